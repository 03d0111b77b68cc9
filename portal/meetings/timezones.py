"""Time zones as calendars can read them: a VTIMEZONE (RFC 5545, 3.6.5) for the few years that a calendar speaks of.

icalendar can write one too, but lists the changes as RDATEs and dates a jump forward in the wrong offset. ical.js reads
only the first RDATE, Outlook none (iCalcreator#86, #106): summer meetings came out an hour late. A yearly rule is read by
everybody; where a zone follows none (Ramadan in Morocco), each change is written out.
"""

from calendar import monthrange
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache

from icalendar import Component, Timezone, TimezoneDaylight, TimezoneStandard

from portal.clock import zone
from portal.meetings.rules import clock_change

WEEKDAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")


@dataclass(frozen=True, slots=True)
class Change:
    """A clock change: the wall-clock time that it happens at, by the clock that it ends; both offsets; the new name."""

    wall: datetime
    offset_before: timedelta
    offset_after: timedelta
    name: str


@lru_cache(maxsize=600)
def definition(zone_name: str, *, first_year: int, last_year: int) -> Component:
    """The VTIMEZONE of a zone, right from the first day of `first_year` to the last of `last_year`; not to be changed.

    ValueError for a zone that nobody knows.
    """
    component = Timezone()
    component.add("tzid", zone_name)
    # One year more on either side: the first days still live by an earlier change, and a rule should hold for longer
    # than the one year that an invitation speaks of.
    changes = list(_changes(zone_name, first_year - 1, last_year + 1))
    if not changes or changes[0].wall.year >= first_year:
        component.add_component(_observance(_standing(zone_name, first_year - 1), rule=None))
    years = last_year - first_year + 3
    series: dict[tuple[object, ...], list[Change]] = {}
    for change in changes:
        series.setdefault(_pattern(change), []).append(change)
    for alike in series.values():
        rule = _yearly_rule(alike) if len(alike) == years else None
        for change in alike[:1] if rule else alike:
            component.add_component(_observance(change, rule=rule))
    return component


def _changes(zone_name: str, first_year: int, last_year: int) -> Iterator[Change]:
    there = zone(zone_name)
    before = datetime(first_year, 1, 1, tzinfo=UTC)
    while before.year <= last_year:
        after = before + timedelta(days=1)
        old, new = _offset(before, zone_name), _offset(after, zone_name)
        if old != new:
            at = clock_change(before, after, zone_name=zone_name)
            yield Change((at + old).replace(tzinfo=None), old, new, at.astimezone(there).tzname() or "")
        before = after


def _standing(zone_name: str, year: int) -> Change:
    """What the clock shows as a year begins, written as a change that changes nothing."""
    start = datetime(year, 1, 1, tzinfo=UTC)
    offset = _offset(start, zone_name)
    return Change(start.replace(tzinfo=None), offset, offset, start.astimezone(zone(zone_name)).tzname() or "")


def _offset(moment: datetime, zone_name: str) -> timedelta:
    return moment.astimezone(zone(zone_name)).utcoffset() or timedelta(0)


def _pattern(change: Change) -> tuple[object, ...]:
    wall = change.wall
    return wall.month, wall.weekday(), wall.time(), change.offset_before, change.offset_after, change.name


def _yearly_rule(alike: list[Change]) -> dict[str, object] | None:
    """The rule that these changes, one a year on the same weekday of the same month, follow; None if there is none."""
    ordinals = {(change.wall.day - 1) // 7 + 1 for change in alike}
    if len({change.wall.year for change in alike}) < len(alike):
        return None
    if all(change.wall.day + 7 > monthrange(change.wall.year, change.wall.month)[1] for change in alike):
        ordinal = -1
    elif len(ordinals) == 1:
        ordinal = ordinals.pop()
    else:
        return None
    wall = alike[0].wall
    return {"freq": "yearly", "bymonth": wall.month, "byday": f"{ordinal}{WEEKDAYS[wall.weekday()]}"}


def _observance(change: Change, *, rule: dict[str, object] | None) -> Component:
    forward = change.offset_after > change.offset_before
    observance: Component = TimezoneDaylight() if forward else TimezoneStandard()
    observance.add("dtstart", change.wall)
    observance.add("tzoffsetfrom", change.offset_before)
    observance.add("tzoffsetto", change.offset_after)
    if change.name:
        observance.add("tzname", change.name)
    if rule:
        observance.add("rrule", rule)
    return observance
