"""Puts the house together: `create_app(settings, clock)`. Nothing else wires anything.

Routes are matched in order, so the customer's pages come first; each other area is one mount, one look for whoever
goes elsewhere.
"""

import asyncio
import gc
import gzip
import re
import signal
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from datetime import datetime, timedelta
from functools import lru_cache
from os import stat_result
from pathlib import Path
from types import FrameType
from typing import Any

import anyio.to_thread
from fastapi import APIRouter, FastAPI
from fastapi.exceptions import RequestValidationError
from sqlalchemy.exc import DataError, DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import HTTPConnection, Request
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Mount, Route, Router
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from portal import __version__
from portal.clock import Clock, SystemClock
from portal.db import DeploymentFact, is_migrated
from portal.demo import must_be_the_demos
from portal.deps import READING
from portal.errors import Refused
from portal.front_door import FrontDoor, secure
from portal.house import WORKER_SEEN_AT, House
from portal.places import STATIC
from portal.routes import demo
from portal.routes.admin import asking, lessons, sections
from portal.routes.admin import plans as admin_plans
from portal.routes.admin import reasons as admin_reasons
from portal.routes.admin import surveys as admin_surveys
from portal.routes.api import (
    accounts,
    activities,
    description,
    flags,
    insights,
    journeys,
    messages,
    survey_invitations,
)
from portal.routes.api import meetings as api_meetings
from portal.routes.customer import (
    check_ins,
    current_account,
    details,
    home,
    learn,
    milestones,
    plan,
    refer,
    start,
    team,
    told_us,
    wishes,
)
from portal.routes.customer import messages as own_messages
from portal.routes.customer import search as own_search
from portal.routes.customer import survey as own_survey
from portal.routes.public import (
    about,
    anonymous,
    calendar,
    company_sign_in,
    doubt_meeting,
    friend,
    joining,
    media,
    meeting_offer,
    offered_times,
    preferences,
    quote,
    resolution,
    sign_in,
    survey,
    unsubscribe,
)
from portal.routes.public import meeting as sealed_meeting
from portal.routes.public import plan as public_plan
from portal.routes.staff import (
    contacts,
    customer,
    customers,
    day,
    erasing,
    hours,
    imports,
    inbox,
    meeting_kinds,
    meetings,
    own_settings,
    people,
    pipeline,
    public_plans,
    set_aside,
    survey_results,
)
from portal.routes.staff import insights as staff_insights
from portal.routes.staff import messages as staff_messages
from portal.routes.staff import plan as staff_plan
from portal.routes.staff import referrals as staff_referrals
from portal.settings import Settings
from portal.threads import open_threads
from portal.turns import Turns
from portal.web import API_PREFIX, Wiring, error_response, problem, wiring_of

CUSTOMER_PAGES: Sequence[APIRouter] = [
    home.pages,
    plan.pages,
    told_us.pages,
    offered_times.own_pages,
    milestones.pages,
    check_ins.pages,
    own_survey.pages,
    learn.pages,
    own_search.pages,
    refer.pages,
    own_messages.pages,
    details.pages,
    wishes.pages,
    team.pages,
    start.pages,
    current_account.pages,
]
PUBLIC_PAGES: Sequence[APIRouter] = [
    anonymous.pages,
    resolution.pages,
    quote.pages,
    friend.pages,
    public_plan.pages,
    doubt_meeting.pages,
    offered_times.pages,
    meeting_offer.pages,
    sealed_meeting.pages,
    calendar.pages,
    media.pages,
    sign_in.pages,
    joining.pages,
    unsubscribe.pages,
    preferences.pages,
    about.pages,
    description.pages,
]
STAFF_PAGES: Sequence[APIRouter] = [
    day.pages,
    pipeline.pages,
    pipeline.moves,
    inbox.pages,
    inbox.reassigning,
    set_aside.pages,
    customers.pages,
    customer.pages,
    customer.talks,
    customer.flagging,
    customer.reassigning,
    customer.closing,
    staff_plan.talks,
    public_plans.pages,
    contacts.pages,
    contacts.talks,
    contacts.privacy,
    erasing.pages,
    people.pages,
    own_settings.pages,
    staff_insights.pages,
    survey_results.pages,
    survey_results.files,
    staff_referrals.pages,
    staff_referrals.rewards,
    staff_messages.pages,
    meetings.pages,
    hours.pages,
    meeting_kinds.pages,
    imports.pages,
]
ADMIN_PAGES: Sequence[APIRouter] = [
    admin_plans.pages,
    admin_reasons.pages,
    erasing.setup,
    asking.pages,
    lessons.pages,
    admin_surveys.pages,
]
API_CALLS: Sequence[APIRouter] = [
    router
    for calls in (accounts, journeys, survey_invitations, flags, activities, api_meetings)
    for router in (calls.reading, calls.writing)
] + [messages.reading, insights.reading]

CUSTOMER_SHELL: tuple[Callable[[Any], dict[str, object]], ...] = (own_messages.shell,)
STAFF_SHELL: tuple[Callable[[Any], dict[str, object]], ...] = (inbox.shell, sections.shell, staff_messages.shell)

THREADS = 20
"""As many as a process has database connections of one kind: more would only wait for one."""
DRAIN_NOTICE_SECONDS = 1.0
"""How long `/readyz` says 503 before the server stops listening, so that a load balancer can look elsewhere first."""
WORKER_IS_LATE = timedelta(minutes=3)


def create_app(settings: Settings, clock: Clock | None = None) -> FastAPI:
    """The web application that these settings describe."""
    house = House.open(settings, clock)
    turns = Turns(house.database) if house.database.dialect == "sqlite" else None
    wiring = Wiring(house, {"customer": CUSTOMER_SHELL, "staff": STAFF_SHELL}, turns=turns)
    app = FastAPI(
        title=settings.vendor_name,
        version=__version__,
        lifespan=_lifespan,
        openapi_url=None,
        redirect_slashes=False,
        telemetry={"tracing": False, "metrics": False, "logs": False},
        middleware=[Middleware(FrontDoor, wiring=wiring)],
        exception_handlers=HANDLERS,
    )
    app.state.wiring = wiring
    app.state.api = api = _api()
    app.router.routes[:] = [
        *_flat([survey.pages, *CUSTOMER_PAGES]),  # matched one after another: what is asked for most comes first
        Mount("/staff", Router(_flat(STAFF_PAGES), redirect_slashes=False)),
        *_flat([day.home, sections.home]),
        Mount("/api/v1", api),
        Mount("/static", _Static(directory=STATIC)),
        *_flat(PUBLIC_PAGES),
        *(demo.routes() if settings.demo else ()),
        Mount("/admin", Router(_flat(ADMIN_PAGES), redirect_slashes=False)),
        *company_sign_in.mount(settings),
        Route("/healthz", healthz),
        Route("/readyz", readyz),
    ]
    return app


def spare_what_is_loaded() -> None:
    """For a process that is about to serve: Python's collector never looks again at what was loaded for it. Each look
    would keep everybody waiting for a fifth of a second, and find nothing."""
    gc.collect()
    gc.freeze()


def _flat(routers: Sequence[APIRouter]) -> list[BaseRoute]:
    # Not include_router: FastAPI nests included routers, and each nesting costs every request that passes it.
    return [route for router in routers for route in router.routes]


def _api() -> description.Api:
    api = description.Api(
        title="Onward",
        version="1",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        telemetry={"tracing": False, "metrics": False, "logs": False},
        exception_handlers=HANDLERS,
    )
    api.router.routes.extend(_flat(API_CALLS))
    return api


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    wiring: Wiring = app.state.wiring
    must_be_the_demos(wiring.house)
    open_threads(THREADS)
    anyio.to_thread.current_default_thread_limiter().total_tokens = THREADS  # for files that are served
    with _notice_before_the_end(wiring):
        yield
    wiring.house.database.close()


@contextmanager
def _notice_before_the_end(wiring: Wiring) -> Iterator[None]:
    """SIGTERM first turns `/readyz` to 503, and reaches the server a moment later; a second one reaches it at once."""
    if threading.current_thread() is not threading.main_thread():
        yield  # a test's server: signals are not its own
        return
    servers_own = signal.getsignal(signal.SIGTERM)
    loop = asyncio.get_running_loop()

    def notice(number: int, frame: FrameType | None) -> None:
        again = wiring.is_draining
        wiring.is_draining = True
        if callable(servers_own):
            loop.call_soon_threadsafe(loop.call_later, 0 if again else DRAIN_NOTICE_SECONDS, servers_own, number, frame)

    if callable(servers_own):
        signal.signal(signal.SIGTERM, notice)
    yield
    if callable(servers_own):
        signal.signal(signal.SIGTERM, servers_own)


# Health


async def healthz(request: Request) -> Response:
    """The process lives."""
    return PlainTextResponse("ok\n", headers={"Cache-Control": "no-store"})


def readyz(request: Request) -> Response:
    """Whether to send people here: not draining, the database at the right migration, a worker seen lately."""
    wiring = wiring_of(request)
    with wiring.house.database.read() as db:
        migrated = is_migrated(db)
        seen = db.get(DeploymentFact, WORKER_SEEN_AT) if migrated else None
    # The worker's heartbeat is machine time, also where the demo's clock runs ahead.
    late = seen is None or SystemClock().now() - datetime.fromisoformat(seen.value) > WORKER_IS_LATE
    state = {
        "server": "draining" if wiring.is_draining else "ok",
        "database": "ok" if migrated else "wrong migration",
        "worker": "not seen" if late else "ok",
    }
    ready = all(word == "ok" for word in state.values())
    return JSONResponse(state, 200 if ready else 503, {"Cache-Control": "no-store"})


# Static files


_HASHED = re.compile(r"-[0-9a-f]{8}\.\w+$")


class _Static(StaticFiles):
    """Files whose address carries their content's hash may be kept for ever; text is compressed once a process."""

    def file_response(self, full_path: Any, stat_result: stat_result, scope: Scope, status_code: int = 200) -> Response:
        response = super().file_response(full_path, stat_result, scope, status_code)
        forever = b"v=" in scope["query_string"] or _HASHED.search(str(full_path))
        response.headers["Cache-Control"] = "public, max-age=31536000, immutable" if forever else "no-cache"
        if Path(full_path).suffix not in (".css", ".js", ".svg"):
            return response
        response.headers["Vary"] = "Accept-Encoding"
        if not isinstance(response, FileResponse) or "gzip" not in HTTPConnection(scope).headers.get(
            "accept-encoding", ""
        ):
            return response
        packed = _packed(str(full_path), stat_result.st_mtime_ns)
        headers = {name: value for name, value in response.headers.items() if name != "content-length"}
        headers["etag"] = headers["etag"].rstrip('"') + '-gzip"'
        return Response(packed, status_code, {**headers, "Content-Encoding": "gzip"})


@lru_cache(maxsize=256)
def _packed(path: str, _modified: int) -> bytes:
    return gzip.compress(Path(path).read_bytes(), 9, mtime=0)


# Errors


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - for the types
    return error_response(request, error.status_code, headers=error.headers)


MOST_ERRORS_TOLD = 100
_PLAINER = {"missing": "This is missing.", "extra_forbidden": "There is no such field."}


async def _wrong_request(request: Request, error: Exception) -> Response:
    """A path or query that can't be is a page that isn't there; the API says what was wrong with its body."""
    assert isinstance(error, RequestValidationError)  # noqa: S101 - for the types
    wrong = error.errors()
    if not request.url.path.startswith(API_PREFIX) or any(one["loc"][0] == "path" for one in wrong):
        return error_response(request, 404)
    # The input isn't repeated: it may hold what JSON can't say (NaN), or what a log shouldn't.
    return problem(422, "The request is not valid.", errors=[_told(one) for one in wrong[:MOST_ERRORS_TOLD]])


def _told(wrong: dict[str, Any]) -> dict[str, str]:
    """One error by its field. A field's name can come from outside, too: it is not repeated at any length."""
    field = ".".join(str(part) for part in wrong["loc"][1:])[:200]
    message = str(wrong["msg"]).removeprefix("Value error, ")
    return {"field": field, "message": _PLAINER.get(wrong["type"], message)}


async def _refused(request: Request, error: Exception) -> Response:
    """A refusal outside a route's unit of work."""
    assert isinstance(error, Refused)  # noqa: S101 - for the types
    return error_response(request, error.status, refused=error)


async def _database_error(request: Request, error: Exception) -> Response:
    if isinstance(error, DBAPIError) and not _is_away(error, reading=request.method in READING):
        raise error
    return error_response(request, 503, headers={"Retry-After": "10"})


_SQLITE_AWAY = ("SQLITE_BUSY", "SQLITE_LOCKED", "SQLITE_CANTOPEN", "SQLITE_IOERR", "SQLITE_FULL")


def _is_away(error: DBAPIError, *, reading: bool) -> bool:
    """Whether the database can't be reached or can't write just now, rather than having been asked nonsense."""
    name = getattr(error.orig, "sqlite_errorname", None)
    if not isinstance(name, str):
        return True
    # A file that can't be written is trouble; a page that tried to write is a mistake of ours.
    return name.startswith(_SQLITE_AWAY) or (name.startswith("SQLITE_READONLY") and not reading)


async def _wrong_data(request: Request, error: Exception) -> Response:
    """PostgreSQL refuses what no text may hold (NUL), or a number too large."""
    return error_response(request, 422)


async def _crash(request: Request, error: Exception) -> Response:
    # Sent from outside the front door, which therefore can't add its headers.
    return secure(error_response(request, 500), wiring_of(request).settings)


HANDLERS: dict[int | type[Exception], Any] = {
    HTTPException: _http_error,
    RequestValidationError: _wrong_request,
    Refused: _refused,
    OperationalError: _database_error,
    InterfaceError: _database_error,
    PoolTimeout: _database_error,
    DataError: _wrong_data,
    Exception: _crash,
}
