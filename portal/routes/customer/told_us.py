"""What you told us: the customer's side of every case, from their words to "solved", and how they rate it since."""

from typing import Any

from pydantic import BaseModel, Field
from starlette.responses import Response

from portal.deps import AskOfCustomer, CustomerAsk, Id, customer_pages
from portal.errors import N_, NotFound
from portal.forms import empty_form, read_form
from portal.journeys import cases, ledger
from portal.journeys.ledger import Told
from portal.journeys.models import Resolution
from portal.text import Paragraphs

pages = customer_pages()

HERE = "/told-us"


class NotSolved(BaseModel):
    words: Paragraphs = ""


class Rating(BaseModel):
    """A score on one of the two scales."""

    csat: int | None = Field(default=None, ge=1, le=5)
    nps: int | None = Field(default=None, ge=0, le=10)


@pages.get(HERE)
def told_us(ask: CustomerAsk) -> Response:
    """Everything they told us, newest first: what we do about it, by when, what was done."""
    return _page(ask)


def _page(ask: AskOfCustomer, *, form: Any = None, of: int = 0) -> Response:
    lines = ledger.ledger(ask.db, ask.me.contact_id)
    ids = {line.flag_id for line in lines}
    values: dict[str, Any] = {
        # A case that goes on in another one is told there.
        "cases": [line for line in lines if line.merged_into_id not in ids],
        "merged": {
            line.flag_id: [one for one in lines if one.merged_into_id == line.flag_id]
            for line in lines
            if line.merged_into_id not in ids
        },
        "of": of,
    }
    if form is not None:
        return ask.invalid("customer/told_us.html", form=form, **values)
    return ask.page("customer/told_us.html", form=empty_form(), **values)


@pages.post("/told-us/{resolution}/solved")
def solved(ask: CustomerAsk, resolution: Id) -> Response:
    """It's true: the case is over for them, too."""
    line = _mine(ask, resolution)
    if line is None:
        return _went_on(ask)
    cases.confirm_resolution(ask.db, resolution_id=resolution, by=ask.me.by, now=ask.now)
    return ask.see_other(f"{HERE}#t{line.flag_id}", said=N_("Thank you. Good to hear it’s solved."))


@pages.post("/told-us/{resolution}/not-solved")
def not_solved(ask: CustomerAsk, resolution: Id) -> Response:
    """It isn't: the case is open again, with their words."""
    line = _mine(ask, resolution)
    if line is None:
        return _went_on(ask)
    filled = read_form(NotSolved, ask.form)
    if filled.value is None:
        return _page(ask, form=filled, of=line.flag_id)
    cases.reopen_flag(ask.db, ask.house, resolution_id=resolution, words=filled.value.words, by=ask.me.by, now=ask.now)
    return ask.see_other(f"{HERE}#t{line.flag_id}", said=N_("Thank you for saying so. We’re on it again."))


def _went_on(ask: AskOfCustomer) -> Response:
    """From a page of before, or by a second click: the page as it is now says the rest."""
    return ask.see_other(
        HERE, said=N_("The case was settled or opened again in the meantime. This is where it stands.")
    )


@pages.post("/told-us/{flag}/rating")
def rate(ask: CustomerAsk, flag: Id) -> Response:
    """How they rate us now that it is done, on the scale of the score before."""
    line = next((one for one in ledger.ledger(ask.db, ask.me.contact_id) if one.flag_id == flag), None)
    if line is None:
        raise NotFound
    filled = read_form(Rating, ask.form)
    score = getattr(filled.value, line.scale) if filled.value is not None else None
    if score is None:
        return _page(ask, form=filled.with_error("score", N_("Please choose a number.")), of=flag)
    scores = {line.scale: score}
    cases.rate_again(ask.db, flag_id=flag, contact_id=ask.me.contact_id, now=ask.now, **scores)
    return ask.see_other(f"{HERE}#t{flag}", said=N_("Thank you. We see what it changed."))


def _mine(ask: AskOfCustomer, resolution: int) -> Told | None:
    """The case that was settled so; None where it went on since. Errors: NotFound for what isn't theirs to judge."""
    lines = ledger.ledger(ask.db, ask.me.contact_id)
    line = next((one for one in lines if one.resolution_id == resolution), None)
    if line is None:
        known = ask.db.get(Resolution, resolution)
        if known is None or known.undone_at is None or all(one.flag_id != known.flag_id for one in lines):
            raise NotFound
    return line
