"""A consultant's meetings: the agenda, what became of each, booking for a customer, moving and cancelling."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any

from pydantic import BaseModel
from starlette.responses import Response

from portal import words
from portal.accounts.models import Contact
from portal.clock import at_local, local_date, zone
from portal.deps import AskOfStaff, Id, StaffAsk, staff_pages
from portal.errors import N_, NotFound, Refused
from portal.forms import Filled, empty_form, read_form
from portal.journeys import desk
from portal.journeys import queries as journey_queries
from portal.meetings import actions, queries
from portal.meetings.actions import Booking, SlotTaken
from portal.meetings.events import where
from portal.meetings.queries import DoubtCase, Host, MeetingLine
from portal.meetings.rules import WORDS, MeetingKind, Slot, Way
from portal.policy import Permission
from portal.routes.picking import CHOOSE, WAY_WORDS, Instant, WallClock, Week, city, span, tile, week_of
from portal.text import Line, Paragraphs

pages = staff_pages(Permission.TALK_TO_CUSTOMERS)

AHEAD = timedelta(days=14)
NOT_FREE = N_("There is another meeting at that time.")


class NewTime(BaseModel):
    """A slot, or any start by hand (the consultant's own wall clock), which wins."""

    slot: Instant | None = None
    by_hand: WallClock | None = None


class ForCustomer(NewTime):
    contact: int
    way: Way = Way.VIDEO
    place: Line = ""
    agenda: Paragraphs = ""


class Goodbye(BaseModel):
    why: Paragraphs = ""


# The agenda


@pages.get("/meetings")
def agenda(ask: StaffAsk) -> Response:
    """What waits to be closed, today and the next two weeks; of a colleague with `?staff=`."""
    team = desk.consultants(ask.db)
    known = {str(person.id): person.id for person in team}
    whose = known.get(ask.query.get("staff", ""), ask.me.staff_id)
    found = queries.agenda(ask.db, whose, now=ask.now, until=ask.now + AHEAD)
    days = [
        (day, [_shown(ask, line) for line in lines])
        for day, lines in groupby(found.ahead, lambda line: local_date(line.starts_at, ask.zone))
    ]
    return ask.page(
        "staff/meetings.html",
        to_close=[_shown(ask, line) for line in found.to_close],
        days=days,
        today=local_date(ask.now, ask.zone),
        team=[(str(person.id), person.name) for person in team],
        whose=str(whose),
    )


def _shown(ask: AskOfStaff, line: MeetingLine) -> dict[str, Any]:
    """A meeting with what a template can't work out."""
    return {
        "line": line,
        "tile": tile(line.starts_at, ask.zone, ask.locale),
        "start": words.hour_in(line.starts_at, ask.zone, ask.locale),
        "end": words.hour_in(line.ends_at, ask.zone, ask.locale),
        "hours": span(line, ask.zone, ask.locale),
        "where": where(line, ask.locale),
        "their_hours": _their_hours(ask, line),
        "picture": WAY_WORDS[line.way][1],
        "is_link": line.place.startswith(("https://", "http://")),
        "has_begun": line.starts_at <= ask.now,
        "is_ahead": line.is_ahead(ask.now),
    }


def _their_hours(ask: AskOfStaff, line: MeetingLine) -> str:
    """The customer's own hours, where they are not the reader's."""
    offsets = {line.starts_at.astimezone(zone(name)).utcoffset() for name in (ask.zone, line.contact_zone)}
    if len(offsets) == 1:
        return ""
    return f"{words.day_hour_in(line.starts_at, line.contact_zone, ask.locale)} ({city(line.contact_zone, ask.locale)})"


@pages.get("/meetings/{meeting}")
def meeting(ask: StaffAsk, meeting: Id) -> Response:
    """One meeting with all that can be done about it."""
    return ask.page("staff/meeting.html", **_shown(ask, _found(ask, meeting)))


def _found(ask: AskOfStaff, meeting_id: int) -> MeetingLine:
    line = queries.meeting(ask.db, meeting_id)
    if line is None:
        raise NotFound
    return line


@pages.post("/meetings/{meeting}/held")
def mark_held(ask: StaffAsk, meeting: Id) -> Response:
    """It took place."""
    line = _found(ask, meeting)
    actions.mark_held(ask.db, ask.house, meeting_id=meeting, by=ask.me.by, now=ask.now)
    return ask.see_other("/staff/meetings", said=N_("Noted: you met %(name)s."), name=line.contact_name)


@pages.post("/meetings/{meeting}/missed")
def mark_missed(ask: StaffAsk, meeting: Id) -> Response:
    """Nobody came: a call goes on the consultant's list."""
    line = _found(ask, meeting)
    actions.mark_missed(ask.db, ask.house, meeting_id=meeting, by=ask.me.by, now=ask.now)
    said = N_("Noted. Calling %(name)s is on the consultant’s list.")
    return ask.see_other("/staff/meetings", said=said, name=line.contact_name)


# Moving and cancelling


@pages.get("/meetings/{meeting}/move")
def pick_new_time(ask: StaffAsk, meeting: Id) -> Response:
    """Other slots, or any start by hand."""
    return _move_picker(ask, _found(ask, meeting), form=empty_form())


def _move_picker(
    ask: AskOfStaff, line: MeetingLine, *, form: Filled[Any], status: int = 200, gone: datetime | None = None
) -> Response:
    if not line.is_ahead(ask.now):
        return ask.page("staff/meeting.html", 409, **_shown(ask, line))
    slots = queries.slots(
        ask.db,
        line.staff_id,
        line.kind,
        now=ask.now,
        zone=line.contact_zone,
        holidays=ask.house.holidays,
        without_meeting=line.id,
    )
    return ask.page(
        "staff/move_meeting.html",
        status,
        form=form,
        week=_week(ask, slots, form, own=line.starts_at, gone=gone),
        gone=gone,
        at=f"/staff/meetings/{line.id}/move",
        their_now=_their_now(ask, line.contact_name, line.contact_zone),
        **_shown(ask, line),
    )


def _week(
    ask: AskOfStaff, slots: Sequence[Slot], form: Filled[Any], *, own: datetime | None, gone: datetime | None
) -> Week:
    return week_of(
        slots,
        zone_name=ask.zone,
        locale=ask.locale,
        now=ask.now,
        wanted=ask.query.get("from", ""),
        chosen=form.typed.get("slot", ""),
        own=own,
        gone=gone,
    )


def _their_now(ask: AskOfStaff, name: str, zone_name: str) -> tuple[str, str, str]:
    """Whose clock shows what, so that nobody books at four in the morning."""
    return name, words.hour_in(ask.now, zone_name, ask.locale), city(zone_name, ask.locale)


def _start(ask: AskOfStaff, wanted: NewTime) -> datetime | None:
    """The instant that was asked for: by hand on the consultant's own wall clock, else the slot."""
    if wanted.by_hand is not None:
        return at_local(wanted.by_hand.date(), wanted.by_hand.time(), ask.zone)
    return wanted.slot


@pages.post("/meetings/{meeting}/move")
def move(ask: StaffAsk, meeting: Id) -> Response:
    """Moves it: to a slot, or wherever the consultant insists and is free."""
    line = _found(ask, meeting)
    filled = read_form(NewTime, ask.form)
    starts_at = _start(ask, filled.value) if filled.value else None
    if filled.value is None or starts_at is None:
        return _move_picker(ask, line, form=filled if filled.errors else filled.with_error("slot", CHOOSE), status=422)
    by_hand = filled.value.by_hand is not None
    change = actions.reschedule_by_hand if by_hand else actions.reschedule
    try:
        change(ask.db, ask.house, meeting_id=line.id, starts_at=starts_at, by=ask.me.by, now=ask.now)
    except SlotTaken:
        filled = filled.with_error("by_hand", NOT_FREE) if by_hand else filled
        return _move_picker(ask, line, form=filled, status=409, gone=None if by_hand else starts_at)
    except Refused as refused:
        if not by_hand:
            raise
        return _move_picker(ask, line, form=filled.with_error("by_hand", refused.message), status=422)
    return ask.see_other(
        f"/staff/meetings/{line.id}", said=N_("Moved. %(name)s is told by e-mail."), name=line.contact_name
    )


@pages.get("/meetings/{meeting}/cancel")
def ask_to_cancel(ask: StaffAsk, meeting: Id) -> Response:
    """A page with a deliberate button; what is written goes to the customer."""
    line = _found(ask, meeting)
    if not line.is_ahead(ask.now):
        return ask.page("staff/meeting.html", 409, **_shown(ask, line))
    return ask.page("staff/cancel_meeting.html", form=empty_form(), **_shown(ask, line))


@pages.post("/meetings/{meeting}/cancel")
def cancel(ask: StaffAsk, meeting: Id) -> Response:
    """Cancels it; both sides are told."""
    line = _found(ask, meeting)
    filled = read_form(Goodbye, ask.form)
    if filled.value is None:
        return ask.invalid("staff/cancel_meeting.html", form=filled, **_shown(ask, line))
    actions.cancel(ask.db, ask.house, meeting_id=line.id, why=filled.value.why, by=ask.me.by, now=ask.now)
    return ask.see_other("/staff/meetings", said=N_("Cancelled. %(name)s is told by e-mail."), name=line.contact_name)


# Booking for a customer


@pages.get("/customers/{account}/meetings/new")
def pick(ask: StaffAsk, account: Id) -> Response:
    """Slots of the customer's consultant (or one's own, `?with=me`), and a start by hand for who insists."""
    host, case = _host(ask, account)
    typed = {
        "contact": case.contact_id if case else None,
        "way": Way.VIDEO.value,
        "agenda": case.words if case else "",
    }
    return _picker(ask, host, case, form=empty_form(typed))


def _host(ask: AskOfStaff, account_id: int) -> tuple[Host, DoubtCase | None]:
    """Whom the customer meets and on which journey; with the case that it is about."""
    flag = ask.query.get("flag", "")
    case = queries.doubt_case(ask.db, int(flag)) if flag.isascii() and flag.isdigit() and len(flag) < 18 else None
    if flag and (case is None or case.account_id != account_id):
        raise NotFound
    host = queries.host_of_journey(ask.db, case.journey_id) if case else queries.host_of(ask.db, account_id)
    if host is None:
        raise Refused(N_("This customer has no consultant or no journey under way. Settle that first."))
    return host, case


def _kind(ask: AskOfStaff, case: DoubtCase | None) -> MeetingKind:
    asked = ask.query.get("kind", "")
    fallback = MeetingKind.DOUBT if case else MeetingKind.CHECKUP
    return next((kind for kind in MeetingKind if kind.value == asked), fallback)


def _with_me(ask: AskOfStaff, host: Host) -> bool:
    return ask.query.get("with") == "me" and host.staff_id != ask.me.staff_id


def _picker(
    ask: AskOfStaff,
    host: Host,
    case: DoubtCase | None,
    *,
    form: Filled[Any],
    status: int = 200,
    gone: datetime | None = None,
) -> Response:
    kind = _kind(ask, case)
    people = journey_queries.colleagues(ask.db, host.account_id)
    contact = _contact(ask, host, form.typed.get("contact", ""), [person.id for person in people])
    staff_id = ask.me.staff_id if _with_me(ask, host) else host.staff_id
    terms = queries.terms_of(ask.db, kind)
    slots = queries.slots(
        ask.db, staff_id, kind, now=ask.now, zone=contact.timezone, holidays=ask.house.holidays, terms=terms
    )
    base = f"/staff/customers/{host.account_id}/meetings/new"
    more = f"&flag={case.flag_id}" if case else ""
    with_me = "&with=me" if _with_me(ask, host) else ""
    return ask.page(
        "staff/book_meeting.html",
        status,
        form=form,
        week=_week(ask, slots, form, own=None, gone=gone),
        gone=gone,
        host=host,
        case=case,
        kind=kind,
        kinds=[
            (words.translate(ask.locale, WORDS[each].staff), f"{base}?kind={each}{more}{with_me}", each is kind)
            for each in MeetingKind
        ],
        minutes=terms.length_minutes,
        people=[(str(person.id), person.name) for person in people],
        chosen_contact=str(contact.id),
        ways=[(way.value, *WAY_WORDS[way]) for way in Way],
        at=f"{base}?kind={kind}{more}{with_me}",
        swap_url=f"{base}?kind={kind}{more}{'' if with_me else '&with=me'}",
        with_me=bool(with_me),
        is_host=host.staff_id == ask.me.staff_id,
        their_now=_their_now(ask, contact.name, contact.timezone),
    )


def _contact(ask: AskOfStaff, host: Host, typed: str, people: Sequence[int]) -> Contact:
    """Whoever was chosen, else the first (the primary contact)."""
    if not people:
        raise Refused(N_("There is nobody to meet: this customer has no contacts."))
    return ask.db.get_one(Contact, next((each for each in people if str(each) == typed), people[0]))


@pages.post("/customers/{account}/meetings/new")
def book(ask: StaffAsk, account: Id) -> Response:
    """Books it: a slot, or wherever the consultant insists and is free."""
    host, case = _host(ask, account)
    filled = read_form(ForCustomer, ask.form)
    starts_at = _start(ask, filled.value) if filled.value else None
    if filled.value is None or starts_at is None:
        wrong = filled if filled.errors else filled.with_error("slot", CHOOSE)
        return _picker(ask, host, case, form=wrong, status=422)
    wishes = filled.value
    booking = Booking(
        kind=_kind(ask, case),
        starts_at=starts_at,
        journey_id=host.journey_id,
        contact_id=wishes.contact,
        staff_id=ask.me.staff_id if _with_me(ask, host) else host.staff_id,
        way=wishes.way,
        place=wishes.place,
        agenda=wishes.agenda,
        flag_id=case.flag_id if case and case.is_open else None,
    )
    by_hand = wishes.by_hand is not None
    enter = actions.book_by_hand if by_hand else actions.book
    try:
        meeting_id = enter(ask.db, ask.house, booking, by=ask.me.by, now=ask.now)
    except SlotTaken:
        filled = filled.with_error("by_hand", NOT_FREE) if by_hand else filled
        return _picker(ask, host, case, form=filled, status=409, gone=None if by_hand else starts_at)
    except NotFound:
        raise
    except Refused as refused:
        if not by_hand:
            raise
        return _picker(ask, host, case, form=filled.with_error("by_hand", refused.message), status=422)
    return ask.see_other(f"/staff/meetings/{meeting_id}", said=N_("Booked. The invitations are on their way."))
