"""A meeting of the plan, booked from the mail that offered it, without signing in.

Opening the link shows times and books nothing; a time must be chosen, so a lone button does nothing either.
"""

from datetime import datetime
from typing import Any

from starlette.responses import Response

from portal.deps import Ask, PublicAsk, Token, public_pages
from portal.errors import N_
from portal.forms import Filled, empty_form, read_form
from portal.meetings import offering, queries
from portal.meetings.actions import Booking, SlotTaken, book
from portal.meetings.offering import Offered
from portal.routes.picking import CHOOSE, Times, mailed_picker

pages = public_pages()


@pages.get("/meet/{token}")
def pick(ask: PublicAsk, token: Token) -> Response:
    """The free times; where it is booked already, that meeting."""
    found = _offered(ask, token)
    if found is None:
        return _broken(ask)
    return _elsewhere(ask, found) or _picker(ask, found, token, form=empty_form({"slot": ask.query.get("slot", "")}))


@pages.post("/meet/{token}")
def book_it(ask: PublicAsk, token: Token) -> Response:
    """Books the chosen time."""
    found = _offered(ask, token)
    if found is None:
        return _broken(ask)
    elsewhere = _elsewhere(ask, found)
    if elsewhere is not None:
        return elsewhere  # sent twice, or booked another way meanwhile: the first one stands
    filled = read_form(Times, ask.form)
    if filled.value is None:
        return _picker(ask, found, token, form=filled.with_error("slot", CHOOSE), status=422)
    host = queries.host_of_journey(ask.db, found.journey_id)
    if host is None:
        return _broken(ask)
    booking = Booking(
        kind=found.kind,
        starts_at=filled.value.slot,
        journey_id=found.journey_id,
        contact_id=found.contact_id,
        staff_id=host.staff_id,
        once=True,
    )
    try:
        book(ask.db, ask.house, booking, by=f"contact:{found.contact_id}", now=ask.now)
    except SlotTaken:
        return _picker(ask, found, token, form=filled, status=409, gone=filled.value.slot)
    booked = _elsewhere(ask, found, said=N_("Booked. The invitation is on its way to you."))
    return booked or ask.see_other(f"/meet/{token}")


def _offered(ask: Ask, token: str) -> Offered | None:
    found = offering.sealed_offer(ask.db, ask.house, token)
    if found is None:
        return None
    ask.speak_to(language=found.language, timezone=found.timezone)
    return found if found.is_open else None


def _broken(ask: Ask) -> Response:
    """A link that was cut, or whose journey has ended: it says nothing of what it was for."""
    return ask.page("public/meeting_unknown.html", 404)


def _elsewhere(ask: Ask, found: Offered, said: str | None = None) -> Response | None:
    """To the meeting that was booked: the person's own by its link, a colleague's after signing in."""
    line = offering.met_already(ask.db, found)
    if line is None:
        return None
    own = line.contact_id == found.contact_id
    return ask.see_other(queries.sealed_path(ask.house, line.id, line.nonce) if own else "/check-ins", said=said)


def _picker(
    ask: Ask, found: Offered, token: str, *, form: Filled[Any], status: int = 200, gone: datetime | None = None
) -> Response:
    host = queries.host_of_journey(ask.db, found.journey_id)
    if host is None:
        return _broken(ask)
    return mailed_picker(
        ask,
        found.kind,
        host,
        staff_id=host.staff_id,
        zone_name=found.timezone,
        at=f"/meet/{token}",
        form=form,
        status=status,
        gone=gone,
    )
