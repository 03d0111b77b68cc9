"""Signing in by a mailed link, and out again.

The link works with one deliberate click in the browser that asked for it. Anywhere else it wants the six digits which
that browser shows: mail scanners fetch links, run scripts and press the only button there is.
"""

import secrets
from typing import Any

from pydantic import BaseModel
from starlette.responses import Response

from portal import auth, mail
from portal.accounts.rules import normalised_email
from portal.auth import LinkPurpose, SignInLink, StaffMember
from portal.deps import Ask, PublicAsk, Token, public_pages
from portal.errors import N_
from portal.forms import Email, Filled, Model, empty_form, read_form
from portal.journeys import actions as journeys
from portal.text import Line
from portal.web import (
    ASKING_COOKIE,
    CUSTOMER_HOME,
    SESSION_COOKIE,
    STAFF_HOME,
    YEAR_SECONDS,
    delete_cookie,
    safe_path,
    set_cookie,
)

pages = public_pages()


class WhoAsks(BaseModel):
    email: Email
    next: str = ""


class Code(BaseModel):
    code: Line


class Address(BaseModel):
    email: Email


class OldLink(BaseModel):
    token: Line


# Asking for a link


@pages.get("/sign-in")
def sign_in(ask: PublicAsk) -> Response:
    """The form; whoever is signed in already goes on."""
    back = safe_path(ask.query.get("next", ""))
    if ask.me is not None:
        return ask.see_other(_home(is_staff=isinstance(ask.me, StaffMember), wanted=back))
    return _ask_form(ask, empty_form({"email": ask.query.get("email", ""), "next": back}))


def _ask_form(ask: Ask, form: Filled[Model]) -> Response:
    values: dict[str, Any] = {"company": ask.settings.oidc_name if ask.settings.oidc_issuer else ""}
    if form.errors:
        return ask.invalid("public/sign_in.html", form=form, **values)
    return ask.page("public/sign_in.html", form=form, **values)


@pages.post("/sign-in")
def ask_to_sign_in(ask: PublicAsk) -> Response:
    """Mails a link. An address that we don't know gets the same answer after the same work, and no mail."""
    filled = read_form(WhoAsks, ask.form)
    if filled.value is None:
        return _ask_form(ask, filled)
    return _send_link(ask, filled.value.email, next_path=safe_path(filled.value.next))


def _send_link(ask: Ask, email: str, *, next_path: str) -> Response:
    auth.spend(ask.db, auth.SIGN_IN_MAILS_BY_A_CLIENT, ask.client, now=ask.now)
    auth.spend(ask.db, auth.SIGN_IN_MAILS_TO_AN_ADDRESS, email, now=ask.now)
    browser = secrets.token_urlsafe(24)
    who = auth.addressee(ask.db, email)
    link = auth.ask_for_link(ask.db, email, who, browser=browser, next_path=next_path, now=ask.now)
    letter = mail.Letter(
        kind=mail.Kind.SIGN_IN,
        key=f"sign_in:{link.id}",
        to_email=email,
        language=who.language or ask.locale,
        context={"link_id": link.id},
        contact_id=who.contact_id,
        staff_id=who.staff_id,
        account_id=who.account_id,
    )
    with ask.db.begin_nested() as attempt:
        mail.queue(ask.db, letter, now=ask.now)
        ask.db.flush()
        if not who.is_known:
            attempt.rollback()
    response = ask.see_other("/sign-in/sent")
    set_cookie(
        response, ask.settings, ASKING_COOKIE, browser, seconds=int(auth.VALID_FOR[LinkPurpose.SIGN_IN].total_seconds())
    )
    return response


@pages.get("/sign-in/sent")
def sent(ask: PublicAsk) -> Response:
    """Where it went, the digits for another browser, and a place for the digits in the mail."""
    link = auth.link_of_browser(ask.db, ask.cookie(ASKING_COOKIE))
    if link is None:
        return ask.see_other("/sign-in")
    return _sent_page(ask, link, empty_form())


def _sent_page(ask: Ask, link: SignInLink, form: Filled[Model]) -> Response:
    if not link.is_open(ask.now):
        return _expired(ask, link)
    values: dict[str, Any] = {
        "email": link.email,
        "page_code": auth.page_code(ask.house.secret, link),
        "next": link.next_path,
    }
    if form.errors:
        return ask.invalid("public/sign_in_sent.html", form=form, **values)
    return ask.page("public/sign_in_sent.html", form=form, **values)


@pages.post("/sign-in/code")
def type_code(ask: PublicAsk) -> Response:
    """The digits from the mail, typed where sign-in was asked for."""
    link = auth.link_of_browser(ask.db, ask.cookie(ASKING_COOKIE))
    if link is None:
        return ask.see_other("/sign-in")
    filled = read_form(Code, ask.form)
    if filled.value is None:
        return _sent_page(ask, link, filled)
    expected = auth.mail_code(ask.house.secret, link)
    if not _is_right(ask, link, typed=auth.digits(filled.value.code), expected=expected):
        return _sent_page(
            ask, link, filled.with_error("code", N_("That isn’t the code from the mail. Please look again."))
        )
    return _let_in(ask, link)


@pages.post("/sign-in/fresh")
def send_fresh(ask: PublicAsk) -> Response:
    """A new link for whoever held an old one."""
    filled = read_form(OldLink, ask.form)
    link = auth.link_of(ask.db, filled.value.token, secret=ask.house.secret) if filled.value else None
    if link is None:
        return ask.see_other("/sign-in")
    return _send_link(ask, link.email, next_path=link.next_path)


# Opening it


@pages.get("/sign-in/{token}")
def open_link(ask: PublicAsk, token: Token) -> Response:
    """Only shows what is to be done; nothing is used up by looking."""
    link = auth.link_of(ask.db, token, secret=ask.house.secret)
    if link is None or not link.is_open(ask.now):
        return _expired(ask, link, token=token)
    return _open_page(ask, link, token, empty_form())


def _open_page(ask: Ask, link: SignInLink, token: str, form: Filled[Model]) -> Response:
    if link.purpose is LinkPurpose.WELCOME:
        proof = "address"
    else:
        proof = "browser" if _is_asking_browser(ask, link) else "code"
    values: dict[str, Any] = {"token": token, "proof": proof, "email": link.email if proof == "browser" else ""}
    if form.errors:
        return ask.invalid("public/sign_in_open.html", form=form, **values)
    return ask.page("public/sign_in_open.html", form=form, **values)


def _is_asking_browser(ask: Ask, link: SignInLink) -> bool:
    cookie = ask.cookie(ASKING_COOKIE)
    return bool(cookie) and secrets.compare_digest(auth.hashed(cookie), link.browser)


@pages.post("/sign-in/{token}")
def use_link(ask: PublicAsk, token: Token) -> Response:
    """Signs in who asked, or who can type what only they know."""
    link = auth.link_of(ask.db, token, secret=ask.house.secret)
    if link is None or not link.is_open(ask.now):
        return _expired(ask, link, token=token)
    if link.purpose is LinkPurpose.WELCOME:
        return _welcome(ask, link, token)
    if not _is_asking_browser(ask, link):
        filled = read_form(Code, ask.form)
        if filled.value is None:
            return _open_page(ask, link, token, filled)
        expected = auth.page_code(ask.house.secret, link)
        if not _is_right(ask, link, typed=auth.digits(filled.value.code), expected=expected):
            wrong = filled.with_error("code", N_("That isn’t the code on the other screen. Please look again."))
            return _open_page(ask, link, token, wrong) if link.is_open(ask.now) else _expired(ask, link, token=token)
    return _let_in(ask, link)


def _welcome(ask: Ask, link: SignInLink, token: str) -> Response:
    filled = read_form(Address, ask.form)
    if filled.value is None:
        return _open_page(ask, link, token, filled)
    if not _is_right(ask, link, typed=filled.value.email, expected=normalised_email(link.email)):
        wrong = filled.with_error("email", N_("The invitation went to another address. Please look at the mail again."))
        return _open_page(ask, link, token, wrong) if link.is_open(ask.now) else _expired(ask, link, token=token)
    return _let_in(ask, link)


def _is_right(ask: Ask, link: SignInLink, *, typed: str, expected: str) -> bool:
    auth.spend(ask.db, auth.CODES_BY_A_CLIENT, ask.client, now=ask.now)
    return auth.try_once(ask.db, link, typed=typed, expected=expected, now=ask.now)


def _expired(ask: Ask, link: SignInLink | None, *, token: str = "") -> Response:
    """Why it doesn't work any more, and one button for a fresh one."""
    if link is not None and not token:
        token = auth.link_path(ask.house.secret, link).rpartition("/")[2]
    why = "unknown" if link is None else (link.ended_why or "late")
    return ask.page("public/sign_in_expired.html", 410, token=token if link else "", why=why)


def _let_in(ask: Ask, link: SignInLink) -> Response:
    if not auth.use_link(ask.db, link, now=ask.now):
        return _expired(ask, link)
    response = start_session(
        ask, contact_id=link.contact_id, staff_id=link.staff_id, way=link.purpose, next_path=link.next_path
    )
    delete_cookie(response, ask.settings, ASKING_COOKIE)
    return response


def start_session(ask: Ask, *, contact_id: int | None, staff_id: int | None, way: str, next_path: str) -> Response:
    """Opens a session for one person (a contact or staff) in this browser, and leads on. A session from before ends."""
    before = ask.cookie(SESSION_COOKIE)
    if before:
        auth.end_session(ask.db, before)
    session = auth.open_session(ask.db, contact_id=contact_id, staff_id=staff_id, way=way, now=ask.now)
    if contact_id is not None:
        journeys.hear_sign_in(ask.db, ask.house, contact_id=contact_id, now=ask.now)
    found = auth.find_session(ask.db, session, now=ask.now)
    lifetime = auth.STAFF_SESSION if staff_id is not None else auth.CUSTOMER_SESSION
    response = ask.see_other(_home(is_staff=staff_id is not None, wanted=next_path))
    set_cookie(response, ask.settings, SESSION_COOKIE, session, seconds=int(lifetime.absolute.total_seconds()))
    if found:
        # So that pages which don't know who reads (an error, the sign-in page) speak their language, too.
        response.set_cookie(
            "language",
            found.person.language,
            max_age=YEAR_SECONDS,
            path="/",
            secure=ask.settings.secure_cookies,
            samesite="lax",
        )
    return response


def _home(*, is_staff: bool, wanted: str) -> str:
    """The page they came for, if it is one of theirs; else where their day begins."""
    is_of_staff = wanted.startswith(("/staff", "/admin"))
    if is_staff:
        return wanted if is_of_staff else STAFF_HOME
    return wanted if wanted and not is_of_staff else CUSTOMER_HOME


# Leaving


@pages.post("/sign-out")
def sign_out(ask: PublicAsk) -> Response:
    return _leave(ask, everywhere=False)


@pages.post("/sign-out/everywhere")
def sign_out_everywhere(ask: PublicAsk) -> Response:
    return _leave(ask, everywhere=True)


def _leave(ask: Ask, *, everywhere: bool) -> Response:
    if ask.me is not None:
        auth.sign_out(ask.db, ask.me, everywhere=everywhere, now=ask.now)
    said = N_("You are signed out on every device.") if everywhere else N_("You are signed out. See you soon.")
    response = ask.see_other("/sign-in", said=said)
    delete_cookie(response, ask.settings, SESSION_COOKIE)
    return response
