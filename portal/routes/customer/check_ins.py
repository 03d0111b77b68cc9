"""Check-ins: what is planned, what was, booking another one, moving and cancelling; the customer's own calendar."""

from datetime import datetime
from typing import Any

from pydantic import BaseModel
from starlette.responses import Response

from portal.accounts import people
from portal.accounts.models import Contact
from portal.accounts.rules import StartStep
from portal.deps import AskOfCustomer, CustomerAsk, Id, customer_pages
from portal.errors import N_, NotFound
from portal.forms import Filled, empty_form, read_form
from portal.meetings import actions, queries
from portal.meetings.actions import Booking, SlotTaken
from portal.meetings.calendars import feed
from portal.meetings.events import Reader, event, where
from portal.meetings.queries import Host, MeetingLine
from portal.meetings.rules import WORDS, KindTerms, MeetingKind, Way
from portal.routes.picking import CHOOSE, WAY_WORDS, Times, Wishes, span, tile, week_of
from portal.text import Paragraphs

pages = customer_pages()

BOOKED = N_("Booked. The invitation is on its way to you.")
MOVED = N_("Moved. The new invitation is on its way to you.")
CANCELLED = N_("Cancelled. You can pick another time whenever it suits you.")
CALENDAR = "text/calendar; charset=utf-8"


class Goodbye(BaseModel):
    why: Paragraphs = ""


@pages.get("/check-ins")
def check_ins(ask: CustomerAsk) -> Response:
    """What is ahead, what can be booked, what was; and the private address for a calendar."""
    host = queries.host_of(ask.db, ask.me.account_id)
    found = queries.check_ins(ask.db, contact_id=ask.me.contact_id, account_id=ask.me.account_id, now=ask.now)
    feed_path = queries.feed_path(ask.db, ask.house, contact_id=ask.me.contact_id)
    terms = queries.all_terms(ask.db)
    return ask.page(
        "customer/check_ins.html",
        host=host,
        ahead=[_shown(ask, line) for line in found.ahead],
        behind=[_shown(ask, line) for line in found.behind],
        kinds=[(kind, WORDS[kind], terms[kind]) for kind in _offered(ask, host)],
        feed_url=ask.house.url(feed_path) if feed_path else "",
    )


def _offered(ask: AskOfCustomer, host: Host | None) -> tuple[MeetingKind, ...]:
    """What this person can book: by the stage, and a doubt meeting while they wait for something to be put right."""
    if host is None:
        return ()
    by_stage = queries.offered_kinds(ask.db, host, now=ask.now)
    case = queries.open_case_of(ask.db, ask.me.contact_id)
    if case is None or queries.planned_for_flag(ask.db, case.flag_id, now=ask.now) is not None:
        return by_stage
    return (MeetingKind.DOUBT, *by_stage)


def _shown(ask: AskOfCustomer, line: MeetingLine) -> dict[str, Any]:
    """A meeting with what a template can't work out: its leaf, its hours, where it is, whose it is."""
    is_own = line.contact_id == ask.me.contact_id
    return {
        "line": line,
        "tile": tile(line.starts_at, ask.zone, ask.locale),
        "hours": span(line, ask.zone, ask.locale),
        "where": where(line, ask.locale),
        "is_own": is_own,
        "agenda": line.agenda if is_own else "",
        "may_change": is_own and line.may_customer_change(ask.now),
    }


# Booking


@pages.get("/check-ins/new")
def pick(ask: CustomerAsk) -> Response:
    """The slots of their consultant for one kind of meeting."""
    host = queries.host_of(ask.db, ask.me.account_id)
    offered = _offered(ask, host)
    if host is None or not offered:
        return ask.page("customer/no_consultant.html")
    kind = _kind(ask.query.get("kind", ""), offered) or offered[0]
    return _picker(ask, host, kind, form=empty_form())


def _kind(text: str, offered: tuple[MeetingKind, ...]) -> MeetingKind | None:
    return next((kind for kind in offered if kind.value == text), None)


def _picker(
    ask: AskOfCustomer,
    host: Host,
    kind: MeetingKind,
    *,
    form: Filled[Any],
    status: int = 200,
    gone: datetime | None = None,
) -> Response:
    terms = queries.terms_of(ask.db, kind)
    slots = queries.slots(
        ask.db, host.staff_id, kind, now=ask.now, zone=ask.zone, holidays=ask.house.holidays, terms=terms
    )
    week = week_of(
        slots,
        zone_name=ask.zone,
        locale=ask.locale,
        now=ask.now,
        wanted=ask.query.get("from", ""),
        chosen=form.typed.get("slot", ""),
        gone=gone,
    )
    return ask.page(
        "customer/slot_picker.html",
        status,
        form=form,
        week=week,
        host=host,
        kind=kind,
        words=WORDS[kind],
        minutes=terms.length_minutes,
        about=terms.agenda(ask.locale),
        ways=_ways(ask, terms),
        at=f"/check-ins/new?kind={kind}",
        moving=None,
        gone=gone,
    )


def _ways(ask: AskOfCustomer, terms: KindTerms) -> list[tuple[str, str, str]]:
    return [(way.value, *WAY_WORDS[way]) for way in _possible_ways(ask, terms)]


def _possible_ways(ask: AskOfCustomer, terms: KindTerms) -> tuple[Way, ...]:
    """Those of the kind that this person can be reached by; a meeting in person has its place from the consultant."""
    contact = ask.db.get_one(Contact, ask.me.contact_id)
    by_phone = (Way.PHONE, Way.WHATSAPP)
    return tuple(way for way in terms.ways if contact.phone or way not in by_phone) or (Way.VIDEO,)


@pages.post("/check-ins/new")
def book(ask: CustomerAsk) -> Response:
    """Books the slot that was chosen; the other slots and all that was typed, where somebody was faster."""
    host = queries.host_of(ask.db, ask.me.account_id)
    offered = _offered(ask, host)
    kind = _kind(ask.query.get("kind", ""), offered)
    if host is None or kind is None:
        # Sent twice, or from a page of yesterday: what they wanted is planned by now.
        return ask.see_other("/check-ins")
    filled = read_form(Wishes, ask.form)
    if filled.value is None:
        return _picker(ask, host, kind, form=_asked_for_time(filled), status=422)
    case = queries.open_case_of(ask.db, ask.me.contact_id) if kind is MeetingKind.DOUBT else None
    wishes = filled.value
    possible = _possible_ways(ask, queries.terms_of(ask.db, kind))
    booking = Booking(
        kind=kind,
        starts_at=wishes.slot,
        journey_id=case.journey_id if case else host.journey_id,
        contact_id=ask.me.contact_id,
        staff_id=host.staff_id,
        way=wishes.way if wishes.way in possible else possible[0],
        agenda=wishes.agenda or (case.words if case else ""),
        flag_id=case.flag_id if case else None,
        once=case is not None,
    )
    try:
        meeting_id = actions.book(ask.db, ask.house, booking, by=ask.me.by, now=ask.now)
    except SlotTaken:
        return _picker(ask, host, kind, form=filled, status=409, gone=wishes.slot)
    people.take_step(ask.db, ask.me.contact_id, StartStep.CALL, now=ask.now)
    return ask.see_other(f"/check-ins/{meeting_id}", said=BOOKED)


def _asked_for_time(filled: Filled[Any]) -> Filled[Any]:
    return filled.with_error("slot", CHOOSE) if "slot" in filled.errors else filled


# One meeting


@pages.get("/check-ins/{meeting}.ics")
def calendar_file(ask: CustomerAsk, meeting: Id) -> Response:
    """The meeting as a file for any calendar."""
    line = _own(ask, meeting)
    reader = Reader(ask.locale, ask.zone, is_staff=False)
    return ask.file(feed([event(line, reader, ask.house)], line.staff_name), name="meeting.ics", media_type=CALENDAR)


def _own(ask: AskOfCustomer, meeting_id: int) -> MeetingLine:
    line = queries.own_meeting(ask.db, meeting_id, contact_id=ask.me.contact_id)
    if line is None:
        raise NotFound
    return line


@pages.get("/check-ins/{meeting}")
def meeting(ask: CustomerAsk, meeting: Id) -> Response:
    """One meeting: when, where, what about, and what can be done with it."""
    line = _own(ask, meeting)
    return ask.page("customer/meeting.html", at=f"/check-ins/{meeting}", **_shown(ask, line))


@pages.get("/check-ins/{meeting}/move")
def pick_new_time(ask: CustomerAsk, meeting: Id) -> Response:
    """Other slots; the meeting stays where it is until a new one is confirmed."""
    return _move_picker(ask, _own(ask, meeting), form=empty_form())


def _move_picker(
    ask: AskOfCustomer, line: MeetingLine, *, form: Filled[Any], status: int = 200, gone: datetime | None = None
) -> Response:
    if not line.may_customer_change(ask.now):
        return ask.page("customer/too_late.html", status if status != 200 else 409, **_shown(ask, line))
    slots = queries.slots(
        ask.db,
        line.staff_id,
        line.kind,
        now=ask.now,
        zone=ask.zone,
        holidays=ask.house.holidays,
        without_meeting=line.id,
    )
    week = week_of(
        slots,
        zone_name=ask.zone,
        locale=ask.locale,
        now=ask.now,
        wanted=ask.query.get("from", ""),
        chosen=form.typed.get("slot", ""),
        own=line.starts_at,
        gone=gone,
    )
    return ask.page(
        "customer/slot_picker.html",
        status,
        form=form,
        week=week,
        host=queries.host_of_journey(ask.db, line.journey_id),
        kind=line.kind,
        words=WORDS[line.kind],
        minutes=line.minutes,
        about="",
        ways=[],
        at=f"/check-ins/{line.id}/move",
        moving=_shown(ask, line),
        gone=gone,
    )


@pages.post("/check-ins/{meeting}/move")
def move(ask: CustomerAsk, meeting: Id) -> Response:
    """Moves it to the slot that was chosen."""
    line = _own(ask, meeting)
    filled = read_form(Times, ask.form)
    if filled.value is None:
        return _move_picker(ask, line, form=_asked_for_time(filled), status=422)
    starts_at = filled.value.slot
    try:
        actions.reschedule(ask.db, ask.house, meeting_id=line.id, starts_at=starts_at, by=ask.me.by, now=ask.now)
    except SlotTaken:
        return _move_picker(ask, line, form=filled, status=409, gone=starts_at)
    return ask.see_other(f"/check-ins/{line.id}", said=MOVED)


@pages.get("/check-ins/{meeting}/cancel")
def ask_to_cancel(ask: CustomerAsk, meeting: Id) -> Response:
    """A page with a deliberate button, and room for why."""
    line = _own(ask, meeting)
    if not line.may_customer_change(ask.now):
        return ask.page("customer/too_late.html", 409, **_shown(ask, line))
    return ask.page("customer/cancel_meeting.html", form=empty_form(), at=f"/check-ins/{meeting}", **_shown(ask, line))


@pages.post("/check-ins/{meeting}/cancel")
def cancel(ask: CustomerAsk, meeting: Id) -> Response:
    """Cancels it; both sides are told."""
    line = _own(ask, meeting)
    filled = read_form(Goodbye, ask.form)
    if filled.value is None:
        return ask.invalid("customer/cancel_meeting.html", form=filled, at=f"/check-ins/{meeting}", **_shown(ask, line))
    why = filled.value.why
    actions.cancel(ask.db, ask.house, meeting_id=line.id, why=why, by=ask.me.by, now=ask.now)
    return ask.see_other("/check-ins", said=CANCELLED)


# Their own calendar


@pages.post("/check-ins/calendar")
def open_calendar(ask: CustomerAsk) -> Response:
    """A private address that a calendar can subscribe to; asked for again, the old one ends."""
    actions.open_feed(ask.db, contact_id=ask.me.contact_id, now=ask.now)
    return ask.see_other("/check-ins#calendar", said=N_("Here is your calendar’s address. Keep it to yourself."))


@pages.post("/check-ins/calendar/end")
def close_calendar(ask: CustomerAsk) -> Response:
    """The address ends for good."""
    actions.close_feed(ask.db, contact_id=ask.me.contact_id)
    return ask.see_other("/check-ins#calendar", said=N_("The address no longer works."))
