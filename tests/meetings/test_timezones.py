"""A VTIMEZONE says what the zone does, without the RDATEs that calendars misread."""

from bisect import bisect_right
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from icalendar import Component

from portal.meetings.timezones import definition


def lines(component: Component) -> list[str]:
    return component.to_ical().decode().splitlines()


def onsets(component: Component) -> list[tuple[datetime, timedelta]]:
    """What a reader makes of it, from the text: since when which offset holds. Yearly rules are worked out by hand."""
    found = []
    for each in Component.from_ical(component.to_ical()).subcomponents:
        start = each["DTSTART"].dt
        walls = [start]
        if rule := each.get("RRULE"):
            (byday,), (month,) = rule["BYDAY"], rule["BYMONTH"]
            walls = [on_the(byday, month, start.replace(year=year)) for year in range(start.year, 2031)]
        found += [((wall - each["TZOFFSETFROM"].td).replace(tzinfo=UTC), each["TZOFFSETTO"].td) for wall in walls]
    return sorted(found)


def on_the(byday: str, month: int, like: datetime) -> datetime:
    weekday = ["MO", "TU", "WE", "TH", "FR", "SA", "SU"].index(byday[-2:])
    first = like.replace(day=1, month=month)
    days = [first + timedelta(days=n) for n in range(31)]
    matching = [day for day in days if day.month == month and day.weekday() == weekday]
    ordinal = int(byday[:-2])
    return matching[ordinal if ordinal < 0 else ordinal - 1]


def test_a_zone_with_a_yearly_rule_is_two_rules() -> None:
    assert lines(definition("America/New_York", first_year=2026, last_year=2026)) == [
        "BEGIN:VTIMEZONE",
        "TZID:America/New_York",
        "BEGIN:DAYLIGHT",
        "DTSTART:20250309T020000",
        "RRULE:FREQ=YEARLY;BYDAY=2SU;BYMONTH=3",
        "TZNAME:EDT",
        "TZOFFSETFROM:-0500",
        "TZOFFSETTO:-0400",
        "END:DAYLIGHT",
        "BEGIN:STANDARD",
        "DTSTART:20251102T020000",
        "RRULE:FREQ=YEARLY;BYDAY=1SU;BYMONTH=11",
        "TZNAME:EST",
        "TZOFFSETFROM:-0400",
        "TZOFFSETTO:-0500",
        "END:STANDARD",
        "END:VTIMEZONE",
    ]


def test_a_zone_without_changes_is_one_line_of_history() -> None:
    assert lines(definition("America/Sao_Paulo", first_year=2026, last_year=2026)) == [
        "BEGIN:VTIMEZONE",
        "TZID:America/Sao_Paulo",
        "BEGIN:STANDARD",
        "DTSTART:20250101T000000",
        "TZNAME:-03",
        "TZOFFSETFROM:-0300",
        "TZOFFSETTO:-0300",
        "END:STANDARD",
        "END:VTIMEZONE",
    ]


@pytest.mark.parametrize(
    ("zone_name", "first_year", "last_year"),
    [
        ("America/New_York", 2026, 2027),
        ("Europe/London", 2026, 2027),
        ("Europe/Lisbon", 2025, 2028),
        ("Europe/Dublin", 2026, 2026),
        ("America/Sao_Paulo", 2018, 2019),  # its last summer time
        ("America/Sao_Paulo", 2019, 2020),
        ("Africa/Casablanca", 2024, 2027),  # follows the moon
        ("America/Santiago", 2022, 2026),  # a Sunday from the 2nd to the 8th
        ("Australia/Lord_Howe", 2026, 2026),  # half an hour
        ("America/Asuncion", 2024, 2025),  # gave it up
        ("Asia/Kathmandu", 2026, 2026),
    ],
)
def test_it_says_what_the_zone_does_half_hour_by_half_hour(zone_name: str, first_year: int, last_year: int) -> None:
    component = definition(zone_name, first_year=first_year, last_year=last_year)
    assert not [line for line in lines(component) if line.startswith("RDATE")]
    moment, end = datetime(first_year, 1, 1, tzinfo=UTC), datetime(last_year + 1, 1, 1, tzinfo=UTC)
    said = onsets(component)
    wrong = []
    while moment < end:
        offset = said[bisect_right(said, moment, key=lambda onset: onset[0]) - 1][1]
        if said[0][0] > moment or offset != moment.astimezone(ZoneInfo(zone_name)).utcoffset():
            wrong.append(moment)
        moment += timedelta(minutes=30)
    assert wrong == []


def test_a_zone_that_nobody_knows_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown time zone"):
        definition("Mars/Olympus_Mons", first_year=2026, last_year=2026)
