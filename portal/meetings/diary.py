"""A consultant's diary: their hours, what is taken, and so what can be had. A constant number of statements."""

from collections.abc import Container, Iterable
from datetime import date, datetime, time, timedelta
from typing import NamedTuple

from sqlalchemy import select
from sqlalchemy.orm import Session

from portal.accounts.models import Staff
from portal.clock import NO_HOLIDAYS
from portal.errors import NotFound
from portal.meetings.models import HourException, Meeting, OwnWeek, WeeklyHours
from portal.meetings.rules import TERMS, USUAL_WEEK, Availability, Hours, Interval, MeetingKind, Slot, free_slots

DAY_MINUTES = 24 * 60


class Span(NamedTuple):
    """A stretch of a day in minutes, as it is stored; 1440 is the midnight that ends the day."""

    opens_minute: int
    closes_minute: int


def hours_of(span: Span) -> Hours:
    """A stored stretch as the rules see it."""
    return Hours(time(*divmod(span.opens_minute, 60)), time(*divmod(span.closes_minute % DAY_MINUTES, 60)))


def availability(db: Session, staff_id: int, *, since: date) -> Availability:
    """When a consultant takes meetings, with their exceptions from that date on. Two statements. Errors: NotFound."""
    rows = db.execute(
        select(Staff.timezone, OwnWeek.set_at, WeeklyHours.weekday, WeeklyHours.opens_minute, WeeklyHours.closes_minute)
        .outerjoin(OwnWeek, OwnWeek.staff_id == Staff.id)
        .outerjoin(WeeklyHours, WeeklyHours.staff_id == Staff.id)
        .where(Staff.id == staff_id)
        .order_by(WeeklyHours.weekday, WeeklyHours.opens_minute)
    ).all()
    if not rows:
        raise NotFound
    own = [(row.weekday, Span(row.opens_minute, row.closes_minute)) for row in rows if row.weekday is not None]
    exceptions: dict[date, list[Span]] = {}
    for day, opens, closes in db.execute(
        select(HourException.day, HourException.opens_minute, HourException.closes_minute)
        .where(HourException.staff_id == staff_id, HourException.day >= since)
        .order_by(HourException.day, HourException.opens_minute)
    ):
        exceptions.setdefault(day, []).extend([Span(opens, closes)] if opens is not None and closes is not None else [])
    return Availability(
        zone_name=rows[0].timezone,
        weekly=_weekly(own) if rows[0].set_at is not None else USUAL_WEEK,
        exceptions={day: tuple(map(hours_of, spans)) for day, spans in exceptions.items()},
    )


def _weekly(own: Iterable[tuple[int, Span]]) -> dict[int, tuple[Hours, ...]]:
    week: dict[int, tuple[Hours, ...]] = {}
    for weekday, span in own:
        week[weekday] = (*week.get(weekday, ()), hours_of(span))
    return week


def busy(
    db: Session, staff_id: int, *, since: datetime, until: datetime, without_meeting: int | None = None
) -> list[Interval]:
    """When a consultant is taken by meetings that are planned, their pauses included. One statement.

    `without_meeting`: one that is being moved, and so stands in nobody's way.
    """
    planned = (
        select(Meeting.starts_at, Meeting.held_until)
        .where(
            Meeting.staff_id == staff_id,
            # The index is by start; no meeting lasts longer than a day.
            Meeting.starts_at >= since - timedelta(days=1),
            Meeting.starts_at < until,
            Meeting.cancelled_at.is_(None),
        )
        .order_by(Meeting.starts_at)
    )
    if without_meeting is not None:
        planned = planned.where(Meeting.id != without_meeting)
    return [Interval(starts_at, held_until) for starts_at, held_until in db.execute(planned)]


def slots(
    db: Session,
    staff_id: int,
    kind: MeetingKind,
    *,
    now: datetime,
    zone: str,
    holidays: Container[date] = NO_HOLIDAYS,
    without_meeting: int | None = None,
) -> list[Slot]:
    """Every slot that a customer in that zone can book with a consultant, earliest first. Three statements.

    `without_meeting`: one that is being moved. Errors: NotFound for nobody.
    """
    # Two days to spare on either side: whose "today" it is differs by a day at most.
    until = now + timedelta(days=TERMS[kind].horizon_days + 2)
    return free_slots(
        availability(db, staff_id, since=(now - timedelta(days=2)).date()),
        kind,
        now=now,
        busy=busy(db, staff_id, since=now, until=until, without_meeting=without_meeting),
        customer_zone=zone,
        holidays=holidays,
    )
