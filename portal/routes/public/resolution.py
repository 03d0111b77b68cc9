"""Is it really solved? The page behind the link in the mail that says what was done about what a customer told us.

A lone button does nothing: scanners press those.
"""

from typing import Any, Literal

from pydantic import BaseModel
from sqlalchemy import select
from starlette.responses import Response

from portal import mail
from portal.accounts.models import Contact
from portal.deps import Ask, PublicAsk, Token, public_pages
from portal.errors import N_, NotFound
from portal.forms import Filled, empty_form, read_form
from portal.journeys import cases
from portal.journeys.letters import RESOLUTION
from portal.journeys.models import Flag, Resolution
from portal.text import Paragraphs

pages = public_pages()


class Verdict(BaseModel):
    solved: Literal["yes", "no"]
    words: Paragraphs = ""


@pages.get("/resolutions/{token}")
def resolution(ask: PublicAsk, token: Token) -> Response:
    """Shows what was told and what was done; opening it says nothing yet."""
    found, _, flag = _case(ask, token)
    return _page(ask, found, flag, form=empty_form())


@pages.post("/resolutions/{token}")
def say(ask: PublicAsk, token: Token) -> Response:
    """Solved confirms it; not solved opens the case again with the words given. Of a case that went on since, neither does
    anything, and the page says so; only who said the same twice is thanked twice."""
    found, contact_id, flag = _case(ask, token)
    filled = read_form(Verdict, ask.form)
    by = f"contact:{contact_id}"
    if filled.value is None:
        if "solved" in filled.errors:
            filled = filled.with_error("solved", N_("Please say whether it is solved."))
        return _page(ask, found, flag, form=filled)
    is_solved = filled.value.solved == "yes"
    if found.undone_at is not None and (is_solved or found.undone_by != by):
        return _page(ask, found, flag, form=empty_form())
    if is_solved:
        cases.confirm_resolution(ask.db, resolution_id=found.id, by=by, now=ask.now)
        return _page(ask, found, flag, form=filled, heard=N_("We’re glad. Thank you for confirming it."))
    cases.reopen_flag(ask.db, ask.house, resolution_id=found.id, words=filled.value.words, by=by, now=ask.now)
    heard = N_("We’ve opened it again, and your consultant knows. You’ll hear from us within a working day.")
    return _page(ask, found, flag, form=filled, heard=heard)


def _page(ask: Ask, found: Resolution, flag: Flag, *, form: Filled[Any], heard: str = "") -> Response:
    values: dict[str, Any] = {"resolution": found, "flag": flag, "heard": heard}
    if form.errors:
        return ask.invalid("public/resolution.html", form=form, **values)
    return ask.page("public/resolution.html", form=form, **values)


def _case(ask: PublicAsk, token: str) -> tuple[Resolution, int, Flag]:
    letter = mail.letter_of(ask.db, ask.house, token, RESOLUTION)
    if letter is None or letter.contact_id is None:
        raise NotFound
    found = ask.db.get(Resolution, letter.context.get("resolution_id", 0))
    if found is None:
        raise NotFound
    person = ask.db.execute(select(Contact.language, Contact.timezone).where(Contact.id == letter.contact_id)).one()
    ask.speak_to(language=person.language, timezone=person.timezone)
    return found, letter.contact_id, ask.db.get_one(Flag, found.flag_id)
