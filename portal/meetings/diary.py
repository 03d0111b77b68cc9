"""A consultant's diary: their hours, what is taken, and so what can be had. A constant number of statements."""

from collections.abc import Container, Iterable
from datetime import date, datetime, time, timedelta
from typing import NamedTuple

from sqlalchemy import bindparam, select
from sqlalchemy.orm import Session

from portal.accounts.models import Staff
from portal.clock import NO_HOLIDAYS
from portal.db import rows_of
from portal.errors import NotFound
from portal.house import public_holidays
from portal.meetings.models import (
    BusySpans,
    HolidayPlace,
    HourException,
    KindSetting,
    Meeting,
    OwnWeek,
    WeeklyHours,
)
from portal.meetings.rules import (
    TERMS,
    USUAL_WEEK,
    Availability,
    Hours,
    KindTerms,
    MeetingKind,
    Slot,
    Way,
    free_slots,
    ticks,
    unpacked_spans,
)

DAY_MINUTES = 24 * 60
_A_DAY = timedelta(days=1)


class Span(NamedTuple):
    """A stretch of a day in minutes, as it is stored; 1440 is the midnight that ends the day."""

    opens_minute: int
    closes_minute: int


def all_terms(db: Session) -> dict[MeetingKind, KindTerms]:
    """What every kind of meeting takes here: as shipped, or as somebody changed it. One statement."""
    changed = {row.kind: _terms(row) for row in db.scalars(select(KindSetting))}
    return {kind: changed.get(kind, TERMS[kind]) for kind in MeetingKind}


def terms_of(db: Session, kind: MeetingKind) -> KindTerms:
    """The same for one kind. One statement."""
    row = db.scalar(select(KindSetting).where(KindSetting.kind == kind))
    return _terms(row) if row is not None else TERMS[kind]


def _terms(row: KindSetting) -> KindTerms:
    return KindTerms(
        length_minutes=row.length_minutes,
        buffer_minutes=row.after_minutes,
        notice_hours=row.notice_hours,
        horizon_days=row.horizon_days,
        before_minutes=row.before_minutes,
        changes_until_hours=row.changes_until_hours,
        ways=tuple(way for way in Way if way.value in row.ways.split()),
        agenda_en=row.agenda_en,
        agenda_pt=row.agenda_pt,
    )


def hours_of(span: Span) -> Hours:
    """A stored stretch as the rules see it."""
    return Hours(time(*divmod(span.opens_minute, 60)), time(*divmod(span.closes_minute % DAY_MINUTES, 60)))


_HOURS = (
    select(
        Staff.timezone,
        OwnWeek.set_at,
        WeeklyHours.weekday,
        WeeklyHours.opens_minute,
        WeeklyHours.closes_minute,
        HolidayPlace.place,
    )
    .outerjoin(OwnWeek, OwnWeek.staff_id == Staff.id)
    .outerjoin(HolidayPlace, HolidayPlace.staff_id == Staff.id)
    .outerjoin(WeeklyHours, WeeklyHours.staff_id == Staff.id)
    .where(Staff.id == bindparam("staff_id"))
    .order_by(WeeklyHours.weekday, WeeklyHours.opens_minute)
)
_EXCEPTIONS = (
    select(HourException.day, HourException.opens_minute, HourException.closes_minute)
    .where(HourException.staff_id == bindparam("staff_id"), HourException.day >= bindparam("since"))
    .order_by(HourException.day, HourException.opens_minute)
)


def availability(db: Session, staff_id: int, *, since: date) -> Availability:
    """When a consultant takes meetings, with their exceptions from that date on. Two statements. Errors: NotFound."""
    rows = rows_of(db, _HOURS, {"staff_id": staff_id})
    if not rows:
        raise NotFound
    own = [(row.weekday, Span(row.opens_minute, row.closes_minute)) for row in rows if row.weekday is not None]
    exceptions: dict[date, list[Span]] = {}
    for day, opens, closes in rows_of(db, _EXCEPTIONS, {"staff_id": staff_id, "since": since}):
        exceptions.setdefault(day, []).extend([Span(opens, closes)] if opens is not None and closes is not None else [])
    return Availability(
        zone_name=rows[0].timezone,
        weekly=_weekly(own) if rows[0].set_at is not None else USUAL_WEEK,
        exceptions={day: tuple(map(hours_of, spans)) for day, spans in exceptions.items()},
        holiday_place=rows[0].place,
    )


def _weekly(own: Iterable[tuple[int, Span]]) -> dict[int, tuple[Hours, ...]]:
    week: dict[int, tuple[Hours, ...]] = {}
    for weekday, span in own:
        week[weekday] = (*week.get(weekday, ()), hours_of(span))
    return week


_BOOKED = select(Meeting.starts_at, Meeting.held_until, Meeting.before_minutes, Meeting.id, Meeting.ends_at).where(
    Meeting.staff_id == bindparam("staff_id"),
    # The index is by start; no meeting lasts longer than a day.
    Meeting.starts_at >= bindparam("since"),
    Meeting.starts_at < bindparam("until"),
    Meeting.cancelled_at.is_(None),
)
_BOOKED_BY_THEN = _BOOKED.where(Meeting.booked_at <= bindparam("as_of"))
_BUSY = select(BusySpans.packed).where(BusySpans.staff_id == bindparam("staff_id"))


def taken(
    db: Session,
    staff_id: int,
    *,
    since: datetime,
    until: datetime,
    without_meeting: int | None = None,
    as_of: datetime | None = None,
) -> list[range]:
    """The quarters of an hour at which a consultant is taken: by meetings that are planned, their pauses included, and by
    their own calendar. Two statements.

    `without_meeting`: one that is being moved, and so stands in nobody's way; neither does its twin in their calendar.
    `as_of`: meetings that were booked after that moment are left out.
    """
    span = {"staff_id": staff_id, "since": since - _A_DAY, "until": until + _A_DAY}
    meetings = rows_of(db, _BOOKED, span) if as_of is None else rows_of(db, _BOOKED_BY_THEN, {**span, "as_of": as_of})
    window = ticks(since, until)
    busy = [span for (packed,) in rows_of(db, _BUSY, {"staff_id": staff_id}) for span in unpacked_spans(packed, window)]
    held = [
        ticks(row.starts_at - timedelta(minutes=row.before_minutes), row.held_until)
        for row in meetings
        if row.id != without_meeting
    ]
    # Our meetings are left out of a feed by their UID; a calendar that gives them another one still knows the hours.
    moved = [ticks(row.starts_at, row.ends_at) for row in meetings if row.id == without_meeting]
    return held + [span for span in busy if span not in moved]


def slots(
    db: Session,
    staff_id: int,
    kind: MeetingKind,
    *,
    now: datetime,
    zone: str,
    holidays: Container[date] = NO_HOLIDAYS,
    without_meeting: int | None = None,
    terms: KindTerms | None = None,
    as_of: datetime | None = None,
) -> list[Slot]:
    """Every slot that a customer in that zone can book with a consultant, earliest first. Five statements.

    `holidays` are the house's, for a consultant without a place of their own; `without_meeting`: one that is being moved;
    `terms`: those of the kind, where they are known already; `as_of`: as `taken` has it. Errors: NotFound for nobody.
    """
    terms = terms or terms_of(db, kind)
    # Two days to spare on either side: whose "today" it is differs by a day at most.
    until = now + timedelta(days=terms.horizon_days + 2)
    open_at = availability(db, staff_id, since=(now - timedelta(days=2)).date())
    return free_slots(
        open_at,
        terms,
        now=now,
        taken=taken(db, staff_id, since=now, until=until, without_meeting=without_meeting, as_of=as_of),
        customer_zone=zone,
        holidays=holidays if open_at.holiday_place is None else public_holidays(open_at.holiday_place),
    )
