"""Wanting no more mails of a kind, by the link in one of them: mail programs POST it by themselves (RFC 8058), people get a
page with a box and a button. It is the same row that the switch in their preferences writes.
"""

from typing import Any

from pydantic import BaseModel
from starlette.responses import PlainTextResponse, Response

from portal import mail
from portal.deps import Ask, PublicAsk, Token, public_pages
from portal.errors import N_, NotFound
from portal.forms import Filled, empty_form, read_form
from portal.mail import LetterRow, Purpose

pages = public_pages()

ONE_CLICK = ("List-Unsubscribe", "One-Click")
WHAT: dict[Purpose, str] = {
    Purpose.SURVEY: N_("Check-in questions and their reminders"),
    Purpose.REMINDER: N_("Reminders"),
    Purpose.NEWS: N_("News"),
    Purpose.OFFER: N_("Offers"),
    Purpose.REFERRAL: N_("Asking for a recommendation"),
    Purpose.MARKETING: N_("Invitations that others ask us to send"),
}


class Sure(BaseModel):
    sure: bool = False


def _letter(ask: Ask, token: str) -> LetterRow:
    """Errors: NotFound for a link of nobody's, or one in a mail that can't be refused."""
    letter = mail.unsubscribe_letter(ask.db, ask.house, token)
    if letter is None or letter.manner.purpose is Purpose.SERVICE:
        raise NotFound
    ask.speak_to(language=letter.language, timezone=ask.settings.default_timezone)
    return letter


@pages.get("/unsubscribe/{token}")
def ask_to_stop(ask: PublicAsk, token: Token) -> Response:
    """What would stop; looking refuses nothing."""
    return _page(ask, _letter(ask, token), token, empty_form())


@pages.post("/unsubscribe/{token}")
def stop(ask: PublicAsk, token: Token) -> Response:
    """Refuses for good: at once for a mail program, with the box ticked for a person (a scanner presses lone buttons)."""
    letter = _letter(ask, token)
    name, value = ONE_CLICK
    if ask.form.get(name) == value:
        mail.refuse(ask.db, letter, now=ask.now)
        return PlainTextResponse("ok\n")
    filled = read_form(Sure, ask.form)
    if filled.value is None or not filled.value.sure:
        wrong = filled.with_error("sure", N_("Please tick the box, so that nothing happens by accident."))
        return _page(ask, letter, token, wrong)
    mail.refuse(ask.db, letter, now=ask.now)
    return ask.page(
        "public/unsubscribed.html", what=WHAT[letter.manner.purpose], is_customer=letter.contact_id is not None
    )


def _page(ask: Ask, letter: LetterRow, token: str, form: Filled[Any]) -> Response:
    values: dict[str, Any] = {
        "at": f"/unsubscribe/{token}",
        "what": WHAT[letter.manner.purpose],
        "is_customer": letter.contact_id is not None,
    }
    if form.errors:
        return ask.invalid("public/unsubscribe.html", form=form, **values)
    return ask.page("public/unsubscribe.html", form=form, **values)
