"""What a route may ask for, and who may ask it: one request is one thread hop and one unit of work.

The async part reads the form; then everything else (session, guard, route, rendering, commit) happens in the thread of
the route, and the response leaves after the commit. GET and HEAD get a session that can't write.
"""

import functools
import inspect
import ipaddress
import re
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, NamedTuple, TypeVar, get_type_hints
from urllib.parse import parse_qsl, quote, urlsplit

from fastapi import APIRouter, Depends, Path
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import BaseModel, TypeAdapter, ValidationError
from sqlalchemy.orm import Session
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response, StreamingResponse

from portal import auth, idempotency, media, strict_json, words
from portal.audit import Event, Happened, note
from portal.auth import ApiClient, Customer, Scope, StaffMember
from portal.errors import N_, Invalid, NotAllowed, NotFound, Refused
from portal.forms import Filled, FormFields
from portal.house import House
from portal.policy import Permission
from portal.settings import Settings
from portal.templating import render, render_block
from portal.text import FORBIDDEN
from portal.threads import in_a_thread
from portal.web import (
    FRAGMENT_HEADERS,
    SAID_COOKIE,
    SESSION_COOKIE,
    STAFF_HOME,
    Toast,
    browser_locale,
    cookie_name,
    delete_cookie,
    error_response,
    html,
    safe_path,
    say,
    surroundings,
    wants_fragment,
    what_was_said,
    wiring_of,
)

UnitOfWork = Callable[[], AbstractContextManager[Session]]

READING = frozenset({"GET", "HEAD"})
MAX_FIELDS = 250
MAX_FILES = 10

Id = Annotated[int, Path(ge=1, le=2**62)]
"""A row's number in a path; what can't be one is a page that doesn't exist."""
Token = Annotated[str, Path(pattern=r"^[A-Za-z0-9._~-]{1,200}$")]
"""A capability in a path."""


class Upload(NamedTuple):
    """A file that came with a form."""

    name: str
    content_type: str
    content: bytes


class Who(StrEnum):
    """For whom a route is."""

    ANYONE = "anyone"
    NOBODY = "nobody"
    """Anyone, and nobody looks who it is: not even a session is noticed."""
    CUSTOMER = "customer"
    STAFF = "staff"
    API = "api"


@dataclass(frozen=True)
class Guard:
    """Who may use a route. Staff: with that permission, if one is named. API: a token with that scope."""

    who: Who
    permission: Permission | None = None
    scope: Scope | None = None

    def __str__(self) -> str:
        return " ".join(filter(None, (self.who, self.permission, self.scope)))


class SignInFirst(Exception):
    """Nobody is signed in, and somebody has to be."""


class _TokenNeeded(Refused):
    status = 401

    def __init__(self) -> None:
        super().__init__(N_("This needs a valid access token."))


class _ScopeTooSmall(Refused):
    status = 403

    def __init__(self) -> None:
        super().__init__(N_("This token may only read."))


class Ask:
    """One request as a route sees it, and the ways to answer it. `me` is whoever is signed in, or None."""

    db: Session
    now: datetime
    me: Any
    seen: Any = None
    """What the route looked at before its unit of work (`looking_first`)."""

    def __init__(self, request: Request, form: FormFields, files: Mapping[str, Upload]) -> None:
        self.request = request
        self.wiring = wiring_of(request)
        self.house: House = self.wiring.house
        self.settings: Settings = self.house.settings
        self.form = form
        self.files = files
        self.htmx = wants_fragment(request)
        self.path = _path_of(request)
        self.me = None
        self._who = Who.ANYONE
        self._addressee: tuple[str, str] | None = None

    # What it asks

    @functools.cached_property
    def query(self) -> FormFields:
        """The query string: one-line texts of at most 200 characters, without the characters that no text needs."""
        return FormFields(
            [
                (name, " ".join(FORBIDDEN.sub("", value)[:200].split()))
                for name, value in self.request.query_params.multi_items()
            ]
        )

    @property
    def locale(self) -> str:
        """The person's own language, else the browser's."""
        if isinstance(self.me, (Customer, StaffMember)) and self.me.language in words.LOCALES:
            return str(self.me.language)
        if self._addressee and self.request.cookies.get("language") not in words.LOCALES:
            return self._addressee[0]
        return browser_locale(self.request)

    @property
    def zone(self) -> str:
        """The person's own time zone, else the deployment's."""
        if isinstance(self.me, (Customer, StaffMember)):
            return self.me.timezone
        return self._addressee[1] if self._addressee else self.settings.default_timezone

    def speak_to(self, *, language: str, timezone: str) -> None:
        """The reader is known by the link they came with: the page is in their language (unless they chose another one
        here) and their time zone. Who is signed in is spoken to as themselves."""
        self._addressee = (language, timezone)

    @property
    def client(self) -> str:
        """Where the request comes from, for rate limits: one IPv4 address, or the /64 that one household has."""
        host = self.request.client.host if self.request.client else ""
        try:
            address = ipaddress.ip_address(host)
        except ValueError:
            return host
        return str(ipaddress.ip_network((address, 64), strict=False)) if address.version == 6 else str(address)

    @property
    def came_from(self) -> str:
        """The page of ours that this was sent from (the form's `return`, else what the browser says); else `/`."""
        if "return" in self.form:
            return safe_path(self.form["return"]) or "/"
        headers = self.request.headers
        page = urlsplit(headers.get("hx-current-url") or headers.get("referer", ""))
        return safe_path(page.path + (f"?{page.query}" if page.query else "")) or "/"

    def cookie(self, name: str) -> str:
        """One of our cookies, or empty."""
        return self.request.cookies.get(cookie_name(self.settings, name), "")

    # How it is answered

    def page(self, template: str, status: int = 200, **values: Any) -> Response:
        """A whole page."""
        locale = self.locale
        said = what_was_said(self.request, locale)
        known = self._values(values, said=said)
        response = html(render(template, locale, known), status, {"Vary": "HX-Request, HX-Request-Type"})
        if said:
            delete_cookie(response, self.settings, SAID_COOKIE)
        return response

    def block(
        self,
        template: str,
        block: str,
        *,
        said: str | None = None,
        undo: str | None = None,
        places: Mapping[str, object] = {},
        status: int = 200,
        **values: Any,
    ) -> Response:
        """One block of a page, for htmx; `said` (a msgid, its `places` filled) comes along as a toast."""
        locale = self.locale
        known = self._values(values)
        text = render_block(template, block, locale, known)
        if said:
            toast = Toast(words.translate(locale, said, **places), undo or "")
            text += render("_shared/said.html", locale, {**known, "said": toast})
        return html(text, status, FRAGMENT_HEADERS)

    def page_or_block(self, template: str, block: str, **values: Any) -> Response:
        """The same address as a page, or as its block where htmx asks for a fragment."""
        return self.block(template, block, **values) if self.htmx else self.page(template, **values)

    def invalid(self, template: str, block: str | None = None, *, form: Filled[Any], **values: Any) -> Response:
        """422 with the form as it was typed and its errors. The address bar stays where the form is."""
        if block and self.htmx:
            response = self.block(template, block, status=422, form=form, **values)
        else:
            response = self.page(template, 422, form=form, **values)
        response.headers["HX-Push-Url"] = "false"
        return response

    def see_other(self, path: str, said: str | None = None, undo: str | None = None, **places: Any) -> Response:
        """303 to one of our own paths. `said`: a msgid for the toast there, `places` fill it; `undo`: where its button POSTs."""
        if self.htmx:
            response = Response(status_code=204, headers={"HX-Redirect": path, **FRAGMENT_HEADERS})
        else:
            response = RedirectResponse(path, 303)
        response.headers["Cache-Control"] = "no-store"
        if said:
            say(response, self.settings, said, undo=undo or "", places=places)
        return response

    def file(self, content: bytes, *, name: str, media_type: str, inline: bool = False) -> Response:
        """A download; `inline` where the browser may show it."""
        way = "inline" if inline else "attachment"
        disposition = f"{way}; filename*=UTF-8''{quote(name)}"
        return Response(
            content, media_type=media_type, headers={"Content-Disposition": disposition, "Cache-Control": "no-store"}
        )

    def stream(self, parts: Iterator[bytes], *, name: str, media_type: str) -> Response:
        """A download that is made while it leaves: whoever makes the parts holds no connection between two of them, since
        the other side may be slow."""
        disposition = f"attachment; filename*=UTF-8''{quote(name)}"
        headers = {"Content-Disposition": disposition, "Cache-Control": "no-store"}
        return StreamingResponse(parts, media_type=media_type, headers=headers)

    def kept(self, medium: media.Kept) -> Response:
        """A picture or file of `portal.media`: pictures shown, files downloaded, and nothing in it may run."""
        if medium.reach is media.Reach.BY_ADDRESS:
            caching = "private, max-age=31536000, immutable"
        else:
            caching = "private, no-cache"
        tag = f'"{medium.address}"'
        headers = {
            "Cache-Control": caching,
            "ETag": tag,
            "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'; sandbox",
            "X-Content-Type-Options": "nosniff",
        }
        if self.request.headers.get("if-none-match") == tag:
            return Response(status_code=304, headers=headers)
        way = "inline" if medium.is_picture else "attachment"
        headers["Content-Disposition"] = f"{way}; filename*=UTF-8''{quote(medium.name)}"
        return Response(media.bytes_of(self.db, medium.id), media_type=medium.media_type, headers=headers)

    def _values(self, values: Mapping[str, object], *, said: Toast | None = None) -> dict[str, object]:
        """What the template sees: the route's values and what every page needs."""
        locale = self.locale
        shown = {name: value.shown(locale) if isinstance(value, Filled) else value for name, value in values.items()}
        me = self.me if isinstance(self.me, (Customer, StaffMember)) else None
        known: dict[str, object] = {
            **surroundings(self.request, self.settings),
            "me": me,
            "zone": self.zone,
            "now": self.now,
            "htmx": self.htmx,
            "may": self._may,
            "said": said,
            "acting_as": "customer" if isinstance(me, Customer) else me.role.value if me else "",
        }
        for part in self.wiring.shells.get(self._who, ()):
            known |= part(self)
        return {**known, **shown}

    def _may(self, permission: str) -> bool:
        return isinstance(self.me, StaffMember) and self.me.may(Permission(permission))

    # The unit of work around it

    def answer(self, guard: Guard, route: Callable[[], Any], *, unit: UnitOfWork) -> Any:
        """Calls the route for whoever asks, in its unit of work; a refusal becomes the answer after the rollback."""
        self._who = guard.who
        self.now = self.house.clock.now()
        database = self.house.database
        asleep_since_long: int | None = None
        try:
            with unit() as db:
                self.db = db
                asleep_since_long = self._see_who_asks(guard)
                admit(guard, self)
                response = route()
        except SignInFirst:
            return self._send_to_sign_in()
        except Refused as refused:
            response = self._refuse(guard, refused)
        if asleep_since_long is not None:
            with database.write() as db:
                if isinstance(self.me, ApiClient):
                    auth.note_token_use(db, self.me, now=self.now)
                else:
                    auth.keep_awake(db, asleep_since_long, now=self.now)
        return response

    def check(self, guard: Guard, look: Callable[[], Any] | None = None) -> Response | None:
        """Only whether they may come in; None if so. For requests that are wrong before the route is called, and where a
        route has a look first (`looking_first`), which is called then."""
        self.now = self.house.clock.now()
        try:
            with self.house.database.read() as db:
                self.db = db
                self._see_who_asks(guard)
                admit(guard, self)
                if look is not None:
                    self.seen = look()
        except SignInFirst:
            return self._send_to_sign_in()
        except Refused as refused:
            return self._refuse(guard, refused)
        return None

    def _see_who_asks(self, guard: Guard) -> int | None:
        """Finds out who it is. Gives the session (or token) whose last use is noted too long ago, if it is."""
        if guard.who is Who.NOBODY:
            return None
        if guard.who is Who.API:
            kind, _, token = self.request.headers.get("authorization", "").partition(" ")
            client = auth.find_token(self.db, token.strip()) if kind.lower() == "bearer" else None
            self.me = client
            stale = client and (client.last_used_at is None or self.now - client.last_used_at >= auth.REFRESH_AFTER)
            return client.token_id if client and stale else None
        cookie = self.cookie(SESSION_COOKIE)
        found = auth.find_session(self.db, cookie, now=self.now) if cookie else None
        self.me = found.person if found else None
        return found.person.session_id if found and found.is_stale else None

    def _send_to_sign_in(self) -> Response:
        """To the sign-in page, and back here afterwards. After a lost POST: back to the page it was on."""
        is_page = self.request.method in READING and not self.htmx
        url = self.request.url
        back = safe_path(url.path + (f"?{url.query}" if url.query else "")) if is_page else self.came_from
        target = "/sign-in" + (f"?next={quote(back)}" if back not in ("", "/") else "")
        if self.htmx:
            # fetch would follow a redirect and swap the sign-in page into the fragment's place.
            return Response(
                status_code=401, headers={"HX-Redirect": target, "Cache-Control": "no-store", **FRAGMENT_HEADERS}
            )
        return RedirectResponse(target, 303, {"Cache-Control": "no-store"})

    def _refuse(self, guard: Guard, refused: Refused) -> Response:
        if isinstance(refused, NotAllowed) and isinstance(self.me, StaffMember):
            with self.house.database.write() as db:
                detail = {"path": self.path, "permission": guard.permission}
                note(db, Event(Happened.PERMISSION_REFUSED, self.me.by, self.now, detail=detail))
        if self.path == "/" and isinstance(self.me, StaffMember):
            # The address that everybody types: a customer's home, which staff don't have.
            return RedirectResponse(STAFF_HOME, 303, {"Cache-Control": "no-store"})
        headers = {}
        if isinstance(refused, auth.TooMany):
            headers["Retry-After"] = str(refused.retry_after)
        if refused.status == 401:
            headers["WWW-Authenticate"] = "Bearer"
        return error_response(self.request, refused.status, refused=refused, headers=headers, locale=self.locale)


class AskOfCustomer(Ask):
    """A request of a customer who is signed in."""

    me: Customer


class AskOfStaff(Ask):
    """A request of a member of staff who is signed in."""

    me: StaffMember


class AskOfApi(Ask):
    """A call of an integration."""

    me: ApiClient
    _is_known = False
    _noted_too_long_ago: int | None = None

    def json(self, answer: BaseModel, status: int = 200) -> Response:
        """An answer of the API. Nobody else may keep it."""
        return _json(answer.model_dump_json(), status)

    def answer(self, guard: Guard, route: Callable[[], Any], *, unit: UnitOfWork) -> Any:
        """Who it is and whether that is too often is found out before the unit of work: what is refused counts, too."""
        refusal = self.check(guard)
        if refusal is not None:
            return refusal
        return super().answer(guard, functools.partial(self._answer_once, guard, route), unit=unit)

    def check(self, guard: Guard, look: Callable[[], Any] | None = None) -> Response | None:
        refusal = super().check(guard, look)
        if refusal is not None:
            return refusal
        most = self.settings.api_calls_per_minute
        try:
            self.wiring.allowances.take(self.house.database, self.me.token_id, most=most, now=self.now)
        except auth.TooMany as too_many:
            return self._refuse(guard, too_many)
        return None

    def _see_who_asks(self, guard: Guard) -> int | None:
        if not self._is_known:
            self._noted_too_long_ago = super()._see_who_asks(guard)
            self._is_known = True
        return self._noted_too_long_ago

    def _answer_once(self, guard: Guard, route: Callable[[], Any]) -> Any:
        """The route's answer; under an Idempotency-Key the one that was given the first time, refusals included."""
        key = self.request.headers.get("idempotency-key")
        if key is None or self.request.method in READING:
            return route()
        if not re.fullmatch(r"[\x21-\x7e]{1,200}", key):
            raise Invalid({"Idempotency-Key": "Give 1 to 200 visible ASCII characters."})
        asked = auth.hashed(f"{self.request.method} {self.path} {self.request.scope.get(BODY_HASH, '')}")
        known = idempotency.begin(self.db, token_id=self.me.token_id, key=key, asked=asked, now=self.now)
        if isinstance(known, idempotency.Answered):
            return _json(known.answer, known.status, {"Idempotent-Replayed": "true"})
        try:
            with self.db.begin_nested():
                response: Response = route()
        except Refused as refused:
            response = self._refuse(guard, refused)
        idempotency.keep(self.db, known, status=response.status_code, answer=bytes(response.body).decode())
        return response


def _json(text: str, status: int, headers: Mapping[str, str] = {}) -> Response:
    media_type = "application/problem+json" if status >= 400 else "application/json"
    return Response(text, status, {"Cache-Control": "no-store", **headers}, media_type)


def admit(guard: Guard, ask: Ask) -> None:
    """Lets in whom the guard names. Strangers are asked to sign in; the wrong kind of person finds nothing here."""
    match guard.who:
        case Who.ANYONE | Who.NOBODY:
            return
        case Who.API:
            if ask.me is None:
                raise _TokenNeeded
            if guard.scope is Scope.WRITE and ask.me.scope is not Scope.WRITE:
                raise _ScopeTooSmall
        case Who.CUSTOMER | Who.STAFF:
            if ask.me is None:
                raise SignInFirst
            if not isinstance(ask.me, Customer if guard.who is Who.CUSTOMER else StaffMember):
                raise NotFound
            if guard.permission and not ask._may(guard.permission):
                raise NotAllowed


# Reading the request, before the thread


SomeAsk = TypeVar("SomeAsk", bound=Ask)


def _path_of(request: Request) -> str:
    """As `request.url.path` has it, without the address around it."""
    path: str = request.scope["path"]
    return path.replace("?", "%3F").replace("#", "%23").replace("\\", "%5C")


async def _read(kind: type[SomeAsk], request: Request) -> SomeAsk:
    sent_as = "" if request.method in READING else request.headers.get("content-type", "")
    if re.match(r"application/x-www-form-urlencoded\b", sent_as):
        return kind(request, FormFields(_urlencoded(await request.body())), {})
    if not re.match(r"multipart/form-data\b", sent_as):
        return kind(request, FormFields(), {})
    fields: list[tuple[str, str]] = []
    files: dict[str, Upload] = {}
    async with request.form(max_fields=MAX_FIELDS, max_files=MAX_FILES) as form:
        for name, value in form.multi_items():
            if isinstance(value, UploadFile):
                if value.filename:
                    # Several files of one field: `files`, `files#2`, `files#3`.
                    same = sum(known.partition("#")[0] == name for known in files)
                    files[f"{name}#{same + 1}" if same else name] = Upload(
                        _text(value.filename)[:200], value.content_type or "", await value.read()
                    )
            else:
                fields.append((_text(name), _text(value)))
    return kind(request, FormFields(fields), files)


def _urlencoded(body: bytes) -> list[tuple[str, str]]:
    # The library's parser is made for forms that come in pieces, and takes ten times as long for one that is here.
    try:
        given = parse_qsl(body.decode("latin-1"), keep_blank_values=True, max_num_fields=MAX_FIELDS)
    except ValueError:
        raise HTTPException(400) from None
    return [(_text(name), _text(value)) for name, value in given]


def _text(value: str) -> str:
    """Without lone surrogates, which a form in an odd charset can carry and no page can show."""
    return value.encode("utf-8", "replace").decode()


async def _public_ask(request: Request) -> Ask:
    return await _read(Ask, request)


async def _customer_ask(request: Request) -> AskOfCustomer:
    return await _read(AskOfCustomer, request)


async def _staff_ask(request: Request) -> AskOfStaff:
    return await _read(AskOfStaff, request)


async def _api_ask(request: Request) -> AskOfApi:
    return AskOfApi(request, FormFields(), {})


PublicAsk = Annotated[Ask, Depends(_public_ask)]
CustomerAsk = Annotated[AskOfCustomer, Depends(_customer_ask)]
StaffAsk = Annotated[AskOfStaff, Depends(_staff_ask)]
ApiAsk = Annotated[AskOfApi, Depends(_api_ask)]

_ASK_OF: dict[Who, type[Ask]] = {
    Who.ANYONE: Ask,
    Who.NOBODY: Ask,
    Who.CUSTOMER: AskOfCustomer,
    Who.STAFF: AskOfStaff,
    Who.API: AskOfApi,
}


# Routes and their guards


class GuardedRoute(APIRoute):
    """A route that belongs to a guard; subclasses (one a guard, see `_guarded`) say which."""

    guard: Guard

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        _check_shape(endpoint, self.guard)
        methods = set(options.pop("methods", None) or {"GET"})
        # Pages answer HEAD as well; the API's description would list it as an operation of its own.
        options["methods"] = methods | {"HEAD"} if "GET" in methods and self.guard.who is not Who.API else methods
        super().__init__(path, _in_one_unit_of_work(endpoint, self.guard), **options)

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle, guard, call = super().get_route_handler(), self.guard, self.endpoint
        parts = _parts_of_path(self)

        async def handle_guarded(request: Request) -> Response:
            try:
                if parts is not None and (arguments := _read_parts(parts, request.path_params)) is not None:
                    response: Response = await call(ask=await _read(_ASK_OF[guard.who], request), **arguments)
                    return response
                return await handle(await _with_json(request) if guard.who is Who.API else request)
            except (RequestValidationError, Refused):
                # Who may not come in hears that first, and nothing about what was wrong with the request.
                ask = _ASK_OF[guard.who](request, FormFields(), {})
                refusal = await in_a_thread(ask.check, guard)
                if refusal is None:
                    raise
                return refusal

        return handle_guarded


def _parts_of_path(route: GuardedRoute) -> Mapping[str, TypeAdapter[Any]] | None:
    """How the parts of its path are read, for a page that asks for nothing else; None for all others. FastAPI's own way
    is for bodies, headers and what depends on what, and takes a twelfth of such a page's time."""
    if route.guard.who is Who.API:
        return None
    asked = get_type_hints(route.endpoint, include_extras=True)
    given = asked.pop("return", None)
    if not (isinstance(given, type) and issubclass(given, Response)):  # else FastAPI makes the answer of it
        return None
    if set(asked) - set(route.param_convertors) != {"ask"}:
        return None
    return {name: TypeAdapter(kind) for name, kind in asked.items() if name != "ask"}


def _read_parts(parts: Mapping[str, TypeAdapter[Any]], given: Mapping[str, Any]) -> dict[str, Any] | None:
    """None where one is wrong: FastAPI says what."""
    try:
        return {name: kind.validate_python(given[name]) for name, kind in parts.items()}
    except ValidationError:
        return None


BODY_HASH = "portal.body_hash"


class _JsonRequest(Request):
    """A request whose body was read by our own rules already."""

    def __init__(self, request: Request, raw: bytes, content: Any) -> None:
        super().__init__(request.scope, request.receive)
        self._raw = raw
        self._content = content

    async def body(self) -> bytes:
        return self._raw

    async def json(self) -> Any:
        return self._content


class _NotJsonType(Refused):
    status = 415

    def __init__(self) -> None:
        super().__init__("Send JSON, with Content-Type: application/json.")


async def _with_json(request: Request) -> Request:
    """The request with its JSON read strictly. Errors: Refused with what is wrong."""
    body = b"" if request.method in READING else await request.body()
    if not body:
        return request
    if not re.match(r"application/([\w.-]+\+)?json\s*(;|$)", request.headers.get("content-type", ""), re.IGNORECASE):
        raise _NotJsonType
    content = strict_json.read(body)
    if "idempotency-key" in request.headers:
        request.scope[BODY_HASH] = auth.hashed(strict_json.canonical(content))
    return _JsonRequest(request, body, content)


def _check_shape(endpoint: Callable[..., Any], guard: Guard) -> None:
    asked = get_type_hints(endpoint).get("ask")
    if inspect.iscoroutinefunction(endpoint) or asked is not _ASK_OF[guard.who]:
        raise TypeError(f"{endpoint.__qualname__}: a route is a plain function of `ask: {_ASK_OF[guard.who].__name__}`")


Route = TypeVar("Route", bound=Callable[..., Any])


def looking_first(look: Callable[..., Any]) -> Callable[[Route], Route]:
    """For a route that writes and has much to read: `look`, called like the route, reads it before the unit of work, which
    holds SQLite's one write lock, and leaves it in `ask.seen`. What it saw may have changed by then: the route sees to what
    must hold."""

    def marked(endpoint: Route) -> Route:
        _LOOKS[endpoint] = look
        return endpoint

    return marked


_LOOKS: dict[Callable[..., Any], Callable[..., Any]] = {}


def _in_one_unit_of_work(endpoint: Callable[..., Any], guard: Guard) -> Callable[..., Any]:
    look = _LOOKS.get(endpoint)

    @functools.wraps(endpoint)
    async def call(**arguments: Any) -> Any:
        ask: Ask = arguments["ask"]
        database = ask.house.database
        is_reading = ask.request.method in READING
        unit = database.read if is_reading else database.write
        route = functools.partial(endpoint, **arguments)
        if look is not None:
            seen = functools.partial(look, **arguments)
            refusal = await in_a_thread(ask.check, guard, seen)
            if refusal is not None:
                return refusal
        answer = functools.partial(ask.answer, guard, route, unit=unit)
        if is_reading or (turns := ask.wiring.turns) is None:
            return await in_a_thread(answer)
        return await turns.take(answer)

    return call


def answer_in_writing(request: Request, answer: Callable[[Ask], Response]) -> Response:
    """A unit of work that writes although the method is GET. Only for the way back from a sign-in provider, which is a
    GET by its standard and carries a state that can be used once. Call it in a thread."""
    ask = Ask(request, FormFields(), {})
    response: Response = ask.answer(Guard(Who.ANYONE), functools.partial(answer, ask), unit=ask.house.database.write)
    return response


def _guarded(guard: Guard) -> APIRouter:
    route_class = type("GuardedRoute", (GuardedRoute,), {"guard": guard})
    return APIRouter(route_class=route_class)


def public_pages() -> APIRouter:
    """Pages for anyone. Each is named in tests/routes/test_guards.py."""
    return _guarded(Guard(Who.ANYONE))


def nameless_pages() -> APIRouter:
    """Pages for anyone that don't look who it is, signed in or not. Named in tests/routes/test_guards.py, too."""
    return _guarded(Guard(Who.NOBODY))


def customer_pages() -> APIRouter:
    """Pages of the customer who is signed in."""
    return _guarded(Guard(Who.CUSTOMER))


def staff_pages(permission: Permission | None = None) -> APIRouter:
    """Pages for all staff, or for those with that permission. Paths go without `/staff`."""
    return _guarded(Guard(Who.STAFF, permission))


def admin_pages(permission: Permission) -> APIRouter:
    """Administration, each group by its permission. Paths go without `/admin`."""
    return _guarded(Guard(Who.STAFF, permission))


def api_calls(scope: Scope) -> APIRouter:
    """Calls of the JSON API. Paths go without `/api/v1`."""
    return _guarded(Guard(Who.API, scope=scope))
