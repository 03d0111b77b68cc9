"""The time it was given: instants in UTC, days in the customer's zone, business days.

Only this module reads the machine's clock. Everything else asks the clock it was handed, so that a test or the demo
can live through ninety days in a minute.
"""

from collections.abc import Callable, Container
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Protocol
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

MORNING = time(9, 0)
"""When the plan's days begin for the customer."""

EVENING = time(17, 0)
"""When business hours end."""

NO_HOLIDAYS: Container[date] = frozenset()


class Clock(Protocol):
    """Anything that can say what moment it is, in UTC."""

    def now(self) -> datetime: ...


class SystemClock:
    """The machine's own time."""

    def now(self) -> datetime:
        return datetime.now(UTC)


class FixedClock:
    """A clock that stands where it was put; `set` moves it."""

    def __init__(self, moment: datetime) -> None:
        self.set(moment)

    def now(self) -> datetime:
        return self._moment

    def set(self, moment: datetime) -> None:
        if moment.tzinfo is None:
            raise ValueError("a clock needs a moment with a zone")
        self._moment = moment.astimezone(UTC)


class MovableClock:
    """The demo's clock: the machine's time plus an offset that is kept elsewhere (in the demo's database)."""

    def __init__(self, offset: Callable[[], timedelta]) -> None:
        self._offset = offset

    def now(self) -> datetime:
        return datetime.now(UTC) + self._offset()


@lru_cache(maxsize=600)
def zone(name: str) -> ZoneInfo:
    """The zone of that IANA name; an unknown one is a ValueError (names come from forms and files)."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as unknown:
        raise ValueError(f"unknown time zone: {name!r}") from unknown


def is_business_day(day: date, holidays: Container[date] = NO_HOLIDAYS) -> bool:
    """Monday to Friday, holidays excepted."""
    return day.weekday() < 5 and day not in holidays


def next_business_day(day: date, holidays: Container[date] = NO_HOLIDAYS) -> date:
    """The day itself if it is a business day, else the first one after it."""
    while not is_business_day(day, holidays):
        day += timedelta(days=1)
    return day


def add_business_days(day: date, count: int, holidays: Container[date] = NO_HOLIDAYS) -> date:
    """The business day `count` business days after `day` (0: `day` itself, moved on if it is not one)."""
    day = next_business_day(day, holidays)
    for _ in range(count):
        day = next_business_day(day + timedelta(days=1), holidays)
    return day


def business_days_between(start: date, end: date, holidays: Container[date] = NO_HOLIDAYS) -> int:
    """How many business days lie after `start` up to and including `end`; 0 where `end` is not later."""
    days = (end - start).days
    return sum(is_business_day(start + timedelta(days=n), holidays) for n in range(1, days + 1))


def local_date(moment: datetime, zone_name: str) -> date:
    """The calendar date of an instant where the person is."""
    return moment.astimezone(zone(zone_name)).date()


def at_local(day: date, hour: time, zone_name: str) -> datetime:
    """The instant (UTC) of a wall-clock time somewhere; the first of the two where the clock goes back."""
    return datetime.combine(day, hour, zone(zone_name)).astimezone(UTC)


def day_instant(start: date, day: int, zone_name: str, holidays: Container[date] = NO_HOLIDAYS) -> datetime:
    """When day N of use begins for the customer: start + N days, 09:00 there, moved to the next business day."""
    return at_local(next_business_day(start + timedelta(days=day), holidays), MORNING, zone_name)


def business_days_after(
    moment: datetime, count: int, zone_name: str, holidays: Container[date] = NO_HOLIDAYS
) -> datetime:
    """The same wall-clock time `count` business days later, where the person is."""
    local = moment.astimezone(zone(zone_name))
    day = local.date()
    for _ in range(count):
        day = next_business_day(day + timedelta(days=1), holidays)
    return at_local(day, local.time(), zone_name)
