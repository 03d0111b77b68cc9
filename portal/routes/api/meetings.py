"""Meetings: what is booked, what can be booked, and booking it."""

from datetime import date, datetime, time, timedelta
from typing import Annotated

from fastapi import Query
from pydantic import AwareDatetime, Field
from starlette.responses import Response

from portal.accounts import queries as accounts
from portal.auth import Scope
from portal.clock import at_local
from portal.deps import ApiAsk, AskOfApi, api_calls
from portal.errors import Invalid, NotFound
from portal.meetings import actions, queries
from portal.meetings.actions import Booking
from portal.meetings.queries import Host, MeetingLine
from portal.meetings.rules import MeetingKind, MeetingState, Slot, Way
from portal.routes.api import shapes
from portal.routes.api.shapes import Blank, Day, Listing, Note, Shape, Wanted
from portal.text import Line

reading, writing = api_calls(Scope.READ), api_calls(Scope.WRITE)

LONGEST_LOOK = timedelta(days=62)
MOST_SLOTS = 2000


class MeetingsWanted(Wanted):
    journey: Line | None = Field(None, description="A journey's id.")


class SlotsWanted(Shape):
    consultant_email: Line
    kind: MeetingKind
    first: Day | None = Field(None, alias="from", description="The first date; today if it is left out.")
    last: Day | None = Field(None, alias="to", description="The last date; as far as can be booked if it is left out.")
    timezone: Line | None = Field(None, description="Whose days `from` and `to` are; the consultant's if left out.")


class MeetingIn(Shape):
    journey_id: Line
    kind: MeetingKind
    starts_at: AwareDatetime = Field(description="One of the `starts_at` of `/slots`.")
    contact_email: Annotated[Line | None, Blank] = Field(None, description="The primary contact if left out.")
    consultant_email: Annotated[Line | None, Blank] = Field(None, description="The journey's consultant if left out.")
    way: Way = Way.VIDEO
    place: Annotated[Line | None, Blank] = Field(None, description="The address of a meeting in person.")
    agenda: Note | None = None


class MeetingOut(Shape):
    id: str
    uid: str = Field(description="As calendars know it; the same for its whole life.")
    sequence: int
    kind: MeetingKind
    state: MeetingState
    journey_id: str
    account_external_id: str
    contact_email: str | None
    consultant_email: str
    starts_at: datetime
    ends_at: datetime
    way: Way
    place: str
    agenda: str
    booked_by: str
    booked_at: datetime
    changed_at: datetime
    cancelled_at: datetime | None
    cancelled_by: str | None
    cancelled_why: str | None


class SlotOut(Shape):
    starts_at: datetime
    ends_at: datetime


class SlotsOut(Shape):
    """Every start that can be booked, earliest first."""

    items: list[SlotOut]
    next_cursor: None = None


@reading.get("/meetings", response_model=Listing[MeetingOut])
def list_meetings(ask: ApiAsk, wanted: Annotated[MeetingsWanted, Query()]) -> Response:
    """Meetings in the order that they were booked, cancelled ones too."""
    (last,) = shapes.after(ask, wanted)
    rows = queries.booked(ask.db, journey_id=shapes.row_id(wanted.journey), after_id=last, limit=wanted.limit + 1)
    return shapes.listing(ask, wanted, rows, told=_told, place=lambda row: (row.id,))


@reading.get("/slots", response_model=SlotsOut)
def list_slots(ask: ApiAsk, wanted: Annotated[SlotsWanted, Query()]) -> Response:
    """When a consultant can be met: hours, notice, pauses, meetings and their own calendar taken into account."""
    consultant = accounts.consultant(ask.db, wanted.consultant_email)
    if consultant is None:
        raise Invalid({"consultant_email": "Give the e-mail address of a member of staff."})
    zone_name = _zone(wanted.timezone) if wanted.timezone else consultant.timezone
    if wanted.first and wanted.last and not timedelta(0) <= wanted.last - wanted.first <= LONGEST_LOOK:
        raise Invalid({"to": "Give a date from `from` on, at most 62 days later."})
    found = queries.slots(ask.db, consultant.id, wanted.kind, now=ask.now, zone=zone_name, holidays=ask.house.holidays)
    items = [
        SlotOut(starts_at=slot.starts_at, ends_at=slot.ends_at)
        for slot in found
        if _lies_in(slot, wanted.first, wanted.last, zone_name)
    ]
    return ask.json(SlotsOut(items=items[:MOST_SLOTS]))


def _zone(name: str) -> str:
    try:
        at_local(date(2026, 1, 1), time(0, 0), name)
    except ValueError as unknown:
        raise Invalid({"timezone": "Give an IANA time zone, such as America/Sao_Paulo."}) from unknown
    return name


def _lies_in(slot: Slot, first: date | None, last: date | None, zone_name: str) -> bool:
    if first is not None and slot.starts_at < at_local(first, time(0, 0), zone_name):
        return False
    return last is None or slot.starts_at < at_local(last + timedelta(days=1), time(0, 0), zone_name)


@writing.post("/meetings", status_code=201, response_model=MeetingOut)
def book(ask: ApiAsk, meeting: MeetingIn) -> Response:
    """Books a slot and invites both sides. 409 if somebody was faster, or it was never on offer."""
    host = queries.host_of_journey(ask.db, shapes.row_id(meeting.journey_id) or 0)
    if host is None:
        raise Invalid({"journey_id": "Give the id of a journey that has a consultant."})
    booking = Booking(
        kind=meeting.kind,
        starts_at=_of_our_age(meeting.starts_at),
        journey_id=host.journey_id,
        contact_id=_contact(ask, host, meeting.contact_email),
        staff_id=_staff(ask, host, meeting.consultant_email),
        way=meeting.way,
        place=meeting.place or "",
        agenda=meeting.agenda or "",
    )
    made = actions.book(ask.db, ask.house, booking, by=ask.me.by, now=ask.now)
    line = queries.meeting(ask.db, made)
    if line is None:
        raise NotFound
    return ask.json(_told(line), 201)


def _of_our_age(moment: datetime) -> datetime:
    """Years that no calendar reaches overflow on the way to UTC."""
    if not 2000 <= moment.year <= 2200:
        raise Invalid({"starts_at": "Give one of the times of /slots."})
    return moment


def _contact(ask: AskOfApi, host: Host, email: str | None) -> int:
    found = accounts.contact_to_meet(ask.db, host.account_id, email)
    if found is None:
        raise Invalid({"contact_email": "Give the e-mail address of one of the account's contacts."})
    return found


def _staff(ask: AskOfApi, host: Host, email: str | None) -> int:
    if email is None:
        return host.staff_id
    found = accounts.consultant(ask.db, email)
    if found is None:
        raise Invalid({"consultant_email": "Give the e-mail address of a member of staff."})
    return found.id


def _told(line: MeetingLine) -> MeetingOut:
    return MeetingOut(
        id=str(line.id),
        uid=line.uid,
        sequence=line.sequence,
        kind=line.kind,
        state=line.state,
        journey_id=str(line.journey_id),
        account_external_id=line.account_external_id,
        contact_email=line.contact_email,
        consultant_email=line.staff_email,
        starts_at=line.starts_at,
        ends_at=line.ends_at,
        way=line.way,
        place=line.place,
        agenda=line.agenda,
        booked_by=line.booked_by,
        booked_at=line.booked_at,
        changed_at=line.changed_at,
        cancelled_at=line.cancelled_at,
        cancelled_by=line.cancelled_by or None,
        cancelled_why=line.cancelled_why or None,
    )
