"""May we quote you? The page behind the request's link: yes, under which name, or no; and later, not any more."""

from typing import Literal

from pydantic import BaseModel
from starlette.responses import Response

from portal import words
from portal.deps import PublicAsk, Token, public_pages
from portal.errors import N_, NotFound
from portal.forms import Filled, empty_form, read_form
from portal.surveys import quoting
from portal.surveys.quoting import Lent
from portal.surveys.rules import ShownAs

pages = public_pages()


class ChoiceForm(BaseModel):
    """Nothing is chosen beforehand: who presses only the button has said nothing."""

    choice: Literal["name_and_company", "first_name_and_company", "company", "nobody", "no"]


@pages.get("/quotes/{token}")
def quote(ask: PublicAsk, token: Token) -> Response:
    """The words, and the choice; opening it decides nothing."""
    return _page(ask, _lent(ask, token), empty_form())


@pages.post("/quotes/{token}")
def decide(ask: PublicAsk, token: Token) -> Response:
    """Their choice, as often as they like: the last one stands."""
    lent = _lent(ask, token)
    filled = read_form(ChoiceForm, ask.form)
    if filled.value is None:
        return _page(ask, lent, filled.with_error("choice", N_("Please choose one.")), status=422)
    if filled.value.choice == "no":
        quoting.decline(ask.db, quote_id=lent.quote.id, now=ask.now)
    else:
        shown_as = ShownAs(filled.value.choice)
        quoting.allow(ask.db, quote_id=lent.quote.id, shown_as=shown_as, consent=_consent(ask), now=ask.now)
    return ask.see_other(f"/quotes/{token}", said=N_("Thank you, we’ve noted it."))


def _consent(ask: PublicAsk) -> str:
    return words.translate(ask.locale, quoting.CONSENT, vendor=ask.settings.vendor_name)


def _page(ask: PublicAsk, lent: Lent, form: Filled[BaseModel] | Filled[ChoiceForm], *, status: int = 200) -> Response:
    names = {way: lent.byline(way) for way in ShownAs}
    return ask.page("public/quote.html", status, lent=lent, names=names, consent=_consent(ask), form=form)


def _lent(ask: PublicAsk, token: str) -> Lent:
    lent = quoting.sealed_quote(ask.db, ask.house, token)
    if lent is None:
        raise NotFound
    ask.speak_to(language=lent.language, timezone=lent.timezone)
    return lent
