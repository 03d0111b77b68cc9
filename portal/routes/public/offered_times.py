"""Times that a consultant offered after a bad answer: the customer chooses one, from the mail without signing in.

None of them is held. Who books first has it; then the next ones are offered (409).
"""

from datetime import datetime
from typing import Any

from starlette.responses import Response

from portal.deps import Ask, CustomerAsk, PublicAsk, Token, customer_pages, public_pages
from portal.errors import N_, NotFound
from portal.forms import Filled, empty_form, read_form
from portal.journeys import offers
from portal.journeys.offers import Offered
from portal.meetings import queries
from portal.meetings.actions import Booking, SlotTaken, book
from portal.meetings.queries import Host
from portal.meetings.rules import MeetingKind, Slot, next_few
from portal.routes.picking import CHOOSE, Times, city, few_days, instant

pages = public_pages()
own_pages = customer_pages()

AT_A_GLANCE = 3


@own_pages.get("/offered-times")
def own(ask: CustomerAsk) -> Response:
    """From the thread: the last times that were offered to whoever is signed in."""
    found = offers.own_offer(ask.db, ask.me.contact_id)
    if found is None:
        return ask.see_other("/check-ins")
    return ask.see_other(offers.path_of(ask.house, found.id, found.nonce))


@pages.get("/times/{token}")
def choose(ask: PublicAsk, token: Token) -> Response:
    """The offered times that are still free, and the next ones where none is. Opening it books nothing."""
    found = _offer(ask, token)
    planned = queries.planned_for_flag(ask.db, found.flag_id, now=ask.now)
    if planned is not None:
        return ask.see_other(queries.sealed_path(ask.house, planned.id, planned.nonce))
    return _page(ask, found, token, form=empty_form())


@pages.post("/times/{token}")
def book_one(ask: PublicAsk, token: Token) -> Response:
    """Books the chosen time, with what they told us as its agenda. A time must be chosen: a lone button does nothing."""
    found = _offer(ask, token)
    planned = queries.planned_for_flag(ask.db, found.flag_id, now=ask.now)
    if planned is not None:
        # Sent twice, or booked another way meanwhile: the first one stands.
        return ask.see_other(queries.sealed_path(ask.house, planned.id, planned.nonce))
    host = queries.host_of_journey(ask.db, found.journey_id)
    if host is None or not found.is_open:
        return _page(ask, found, token, form=empty_form())
    filled = read_form(Times, ask.form)
    if filled.value is None:
        return _page(ask, found, token, form=filled.with_error("slot", CHOOSE), status=422)
    booking = Booking(
        kind=MeetingKind.DOUBT,
        starts_at=filled.value.slot,
        journey_id=found.journey_id,
        contact_id=found.contact_id,
        staff_id=host.staff_id,
        agenda=found.words,
        flag_id=found.flag_id,
        once=True,
    )
    try:
        meeting_id = book(ask.db, ask.house, booking, by=f"contact:{found.contact_id}", now=ask.now)
    except SlotTaken:
        return _page(ask, found, token, form=filled, status=409, gone=filled.value.slot)
    made = queries.meeting(ask.db, meeting_id)
    to = queries.sealed_path(ask.house, meeting_id, made.nonce) if made else f"/times/{token}"
    return ask.see_other(to, said=N_("Booked. The invitation is on its way to you."))


def _offer(ask: Ask, token: str) -> Offered:
    found = offers.sealed_offer(ask.db, ask.house, token)
    if found is None:
        raise NotFound
    ask.speak_to(language=found.language, timezone=found.timezone)
    return found


def _page(
    ask: Ask, found: Offered, token: str, *, form: Filled[Any], status: int = 200, gone: datetime | None = None
) -> Response:
    host = queries.host_of_journey(ask.db, found.journey_id)
    free = _slots(ask, found, host) if host is not None and found.is_open else []
    offered = [slot for slot in free if slot.starts_at in found.starts]
    shown = offered or next_few(free, found.timezone, most=AT_A_GLANCE)
    chosen = form.typed.get("slot", "")
    return ask.page(
        "public/offered_times.html",
        status,
        form=form,
        days=few_days(shown, zone_name=found.timezone, locale=ask.locale, chosen=chosen),
        others=[]
        if not offered
        else few_days(
            next_few([slot for slot in free if slot not in offered], found.timezone, most=AT_A_GLANCE),
            zone_name=found.timezone,
            locale=ask.locale,
            chosen=chosen,
        ),
        is_gone=gone is not None and instant(gone) == chosen,
        are_offered=bool(offered),
        host=host,
        is_open=found.is_open,
        told=found.words,
        city=city(found.timezone, ask.locale),
        at=f"/times/{token}",
        minutes=queries.terms_of(ask.db, MeetingKind.DOUBT).length_minutes,
    )


def _slots(ask: Ask, found: Offered, host: Host) -> list[Slot]:
    return queries.slots(
        ask.db,
        host.staff_id,
        MeetingKind.DOUBT,
        now=ask.now,
        zone=found.timezone,
        holidays=ask.house.holidays,
    )
