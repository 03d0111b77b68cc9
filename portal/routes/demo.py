"""The demo's bar: look at it as somebody else, move the clock, read the mail, start again. Exists in demo mode only.

Moving the clock and starting again live through days, so they are plain routes without a unit of work around them.
"""

from collections.abc import Callable
from datetime import timedelta
from typing import Annotated

from fastapi import Query
from sqlalchemy import select
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from portal import auth, delivery, demo, mail, words
from portal.accounts.models import Account, Contact, Staff
from portal.accounts.rules import Language, Role
from portal.deps import Id, PublicAsk, public_pages
from portal.errors import NotFound
from portal.front_door import CONTENT_SECURITY_POLICY
from portal.house import House
from portal.routes.public.sign_in import start_session
from portal.routes.staff.labels import LETTER
from portal.threads import in_a_thread
from portal.web import SESSION_COOKIE, cookie_name, set_cookie, wiring_of
from portal.worker import COMPOSERS, TIMETABLE, Worker, work_until

pages = public_pages()

LONGEST_STEP = timedelta(days=120)
LONGEST_SESSION = int(auth.CUSTOMER_SESSION.absolute.total_seconds())
ROLES = {"consultant": Role.CONSULTANT, "manager": Role.MANAGER, "administrator": Role.ADMINISTRATOR}
MAIL_CSP = (
    "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'self'; "
    "sandbox allow-popups allow-popups-to-escape-sandbox allow-top-navigation-by-user-activation"
)
"""For a mail's own HTML, which brings its styles with it, in a frame that can do nothing but follow links."""


@pages.post("/demo/person")
def become(ask: PublicAsk) -> Response:
    """Signs in as somebody of the demo, in the reader's language where there is a choice."""
    wanted = ask.form.get("person", "")
    language = Language.PT_BR if ask.locale == "pt-BR" else Language.EN
    if wanted == "customer":
        found = ask.db.scalar(
            select(Contact.id)
            .join(Account, Account.id == Contact.account_id)
            .where(Contact.language == language, Contact.is_primary, Account.external_id.in_(demo.VISITED))
            .order_by(Contact.id)
            .limit(1)
        )
        if found is None:
            raise NotFound
        return start_session(ask, contact_id=found, staff_id=None, way="demo", next_path="/")
    if wanted not in ROLES:
        raise NotFound
    people = ask.db.execute(
        select(Staff.id, Staff.language)
        .where(Staff.role == ROLES[wanted], Staff.disabled_at.is_(None))
        .order_by(Staff.id)
    ).all()
    if not people:
        raise NotFound
    chosen = next((p.id for p in people if p.language == language), people[0].id)
    home = "/staff" if wanted == "consultant" else "/staff/pipeline"
    return start_session(ask, contact_id=None, staff_id=chosen, way="demo", next_path=home)


@pages.get("/demo/mailbox")
def mailbox(ask: PublicAsk, before: Annotated[int | None, Query(ge=1, le=2**62)] = None) -> Response:
    letters = mail.mailbox(ask.db, limit=51, before_id=before)
    more = letters[49].id if len(letters) > 50 else None
    return ask.page("public/mailbox.html", letters=letters[:50], more=more, kinds=LETTER)


@pages.get("/demo/mailbox/{letter}")
def letter(ask: PublicAsk, letter: Id) -> Response:
    found = _rendered(ask, letter)
    subject = found.subject or words.translate(ask.locale, LETTER[found.letter.kind])
    response = ask.page("public/mailbox_letter.html", letter=found, subject=subject)
    response.headers["Content-Security-Policy"] = f"{CONTENT_SECURITY_POLICY}; frame-src 'self'"
    return response


@pages.get("/demo/mailbox/{letter}/html")
def letter_html(ask: PublicAsk, letter: Id) -> Response:
    """The mail's own HTML, for the frame on the page above."""
    found = _rendered(ask, letter)
    if found.ended:
        raise NotFound
    html = found.html.replace("<head>", '<head><base target="_top">', 1)
    return HTMLResponse(html, headers={"Content-Security-Policy": MAIL_CSP, "Cache-Control": "no-store"})


def _rendered(ask: PublicAsk, letter_id: int) -> delivery.Rendered:
    found = delivery.rendered(ask.db, ask.house, letter_id, composers=COMPOSERS)
    if found is None:
        raise NotFound
    return found


async def move_clock(request: Request) -> Response:
    """A day, a week, or to the next thing that happens; all that falls due on the way is done, in order."""
    form = await request.form(max_fields=5, max_files=0)
    settings = wiring_of(request).settings
    before = request.cookies.get(cookie_name(settings, SESSION_COOKIE), "")
    session = await in_a_thread(_live_on, wiring_of(request).house, str(form.get("step", "1")), before)
    response = RedirectResponse(_back(form.get("return")), 303)
    if session:
        set_cookie(response, settings, SESSION_COOKIE, session, seconds=LONGEST_SESSION)
    return response


def _live_on(house: House, step: str, session: str) -> str:
    """Gives the new session of whoever moved the clock: by it theirs ended long ago, yet they only pressed a button."""
    now = house.clock.now()
    with house.database.read() as db:
        found = auth.find_session(db, session, now=now) if session else None
    if step == "next":
        following = Worker(house, [job for job in TIMETABLE if job.moves_the_clock]).next_due()
        until = max(now, following) if following is not None else now + timedelta(days=1)
    else:
        until = now + timedelta(days=7 if step == "7" else 1)
    work_until(house, min(until, now + LONGEST_STEP))
    if found is None:
        return ""
    with house.database.write() as db:
        auth.end_session(db, session)
        return auth.open_session(db, **_whose(found.person), way="demo", now=house.clock.now())


def _whose(person: auth.Person) -> dict[str, int]:
    return {"staff_id": person.staff_id} if isinstance(person, auth.StaffMember) else {"contact_id": person.contact_id}


async def restart(request: Request) -> Response:
    """Forgets what visitors did and lives the history anew."""
    await in_a_thread(demo.start_again, wiring_of(request).house)
    return RedirectResponse("/sign-in", 303)


def _back(path: object) -> str:
    """Only to a page of ours."""
    return path if isinstance(path, str) and path.startswith("/") and not path.startswith(("//", "/\\")) else "/"


def routes() -> list[BaseRoute]:
    """What the demo adds to the application."""
    acts: tuple[tuple[str, Callable[..., object]], ...] = (("/demo/clock", move_clock), ("/demo/restart", restart))
    return [*pages.routes, *(Route(path, act, methods=["POST"]) for path, act in acts)]
