"""Strangers' calendars: what blocks and when, in every zone and across clock changes; and what is refused."""

import time
from datetime import UTC, datetime, timedelta

import pytest

from portal.meetings import foreign
from portal.meetings.foreign import Unreadable, busy_times, read

SINCE = datetime(2026, 3, 1, tzinfo=UTC)
UNTIL = datetime(2026, 5, 1, tzinfo=UTC)


def calendar(*entries: str, zones: str = "") -> bytes:
    body = "".join(f"BEGIN:VEVENT\nUID:{n}\n{entry.strip()}\nEND:VEVENT\n" for n, entry in enumerate(entries))
    return f"BEGIN:VCALENDAR\nVERSION:2.0\nPRODID:-//Else//EN\n{zones}{body}END:VCALENDAR\n".replace(
        "\n", "\r\n"
    ).encode()


def busy(content: bytes, *, zone: str = "America/Sao_Paulo", declined_by: str = "") -> list[str]:
    """The busy times, in UTC, as they are read."""
    found = busy_times(content, zone_name=zone, since=SINCE, until=UNTIL, declined_by=declined_by)
    return [f"{each.busy.starts_at:%m-%d %H:%M}–{each.busy.ends_at:%m-%d %H:%M}" for each in found.taken]


def test_a_time_in_utc_is_that_instant() -> None:
    assert busy(calendar("DTSTART:20260324T090000Z\nDTEND:20260324T100000Z")) == ["03-24 09:00–03-24 10:00"]


def test_a_weekly_meeting_in_lisbon_keeps_its_wall_clock_across_the_change() -> None:
    weekly = "DTSTART;TZID=Europe/Lisbon:20260323T100000\nDTEND;TZID=Europe/Lisbon:20260323T110000\nRRULE:FREQ=WEEKLY;COUNT=3"
    assert busy(calendar(weekly)) == [
        "03-23 10:00–03-23 11:00",
        "03-30 09:00–03-30 10:00",  # after the last Sunday of March
        "04-06 09:00–04-06 10:00",
    ]


def test_a_zone_that_only_the_calendar_knows_is_read_from_it() -> None:
    zone = """BEGIN:VTIMEZONE
TZID:Of our own
BEGIN:STANDARD
DTSTART:20001029T030000
TZOFFSETFROM:+0200
TZOFFSETTO:+0100
RRULE:FREQ=YEARLY;BYMONTH=10;BYDAY=-1SU
END:STANDARD
BEGIN:DAYLIGHT
DTSTART:20000326T020000
TZOFFSETFROM:+0100
TZOFFSETTO:+0200
RRULE:FREQ=YEARLY;BYMONTH=3;BYDAY=-1SU
END:DAYLIGHT
END:VTIMEZONE
"""
    weekly = "DTSTART;TZID=Of our own:20260323T100000\nDURATION:PT30M\nRRULE:FREQ=WEEKLY;COUNT=2"
    assert busy(calendar(weekly, zones=zone)) == ["03-23 09:00–03-23 09:30", "03-30 08:00–03-30 08:30"]


def test_names_of_zones_as_outlook_has_them_are_known() -> None:
    entry = "DTSTART;TZID=E. South America Standard Time:20260324T090000\nDURATION:PT1H"
    assert busy(calendar(entry)) == ["03-24 12:00–03-24 13:00"]


def test_a_time_without_a_zone_is_on_the_owners_wall() -> None:
    entry = calendar("DTSTART:20260401T090000\nDTEND:20260401T100000")
    assert busy(entry, zone="America/Sao_Paulo") == ["04-01 12:00–04-01 13:00"]
    assert busy(entry, zone="Europe/Lisbon") == ["04-01 08:00–04-01 09:00"]


def test_a_whole_day_blocks_the_owners_day_even_one_of_23_hours() -> None:
    entry = calendar("DTSTART;VALUE=DATE:20260329\nDTEND;VALUE=DATE:20260330")
    assert busy(entry, zone="Europe/Lisbon") == ["03-29 00:00–03-29 23:00"]
    assert busy(entry, zone="America/Sao_Paulo") == ["03-29 03:00–03-30 03:00"]


def test_a_whole_day_without_an_end_is_one_day_and_a_point_in_time_blocks_nothing() -> None:
    assert busy(calendar("DTSTART;VALUE=DATE:20260402"), zone="UTC") == ["04-02 00:00–04-03 00:00"]
    assert busy(calendar("DTSTART:20260402T100000Z")) == []


def test_one_that_was_moved_blocks_its_new_time_and_one_left_out_none() -> None:
    series = (
        "DTSTART:20260302T100000Z\nDTEND:20260302T110000Z\nRRULE:FREQ=WEEKLY;COUNT=4\nEXDATE:20260309T100000Z",
        "DTSTART:20260317T150000Z\nDTEND:20260317T160000Z\nRECURRENCE-ID:20260316T100000Z",
    )
    content = calendar(*series).replace(b"UID:1\r\n", b"UID:0\r\n")
    assert busy(content) == ["03-02 10:00–03-02 11:00", "03-17 15:00–03-17 16:00", "03-23 10:00–03-23 11:00"]


@pytest.mark.parametrize(
    "mark",
    ["TRANSP:TRANSPARENT", "STATUS:CANCELLED", "X-MICROSOFT-CDO-BUSYSTATUS:FREE",
     "ATTENDEE;PARTSTAT=DECLINED:mailto:Carla@onward.example"],
)  # fmt: skip
def test_what_is_free_cancelled_or_declined_blocks_nothing(mark: str) -> None:
    entry = f"DTSTART:20260324T090000Z\nDTEND:20260324T100000Z\n{mark}"
    assert busy(calendar(entry), declined_by="carla@onward.example") == []


def test_others_who_declined_change_nothing() -> None:
    entry = "DTSTART:20260324T090000Z\nDTEND:20260324T100000Z\nATTENDEE;PARTSTAT=DECLINED:mailto:rui@onward.example"
    assert len(busy(calendar(entry), declined_by="carla@onward.example")) == 1


def test_a_cancelled_one_of_a_series_blocks_nothing() -> None:
    content = calendar(
        "DTSTART:20260302T100000Z\nDTEND:20260302T110000Z\nRRULE:FREQ=WEEKLY;COUNT=2",
        "DTSTART:20260309T100000Z\nDTEND:20260309T110000Z\nRECURRENCE-ID:20260309T100000Z\nSTATUS:CANCELLED",
    ).replace(b"UID:1\r\n", b"UID:0\r\n")
    assert busy(content) == ["03-02 10:00–03-02 11:00"]


def test_only_what_lies_ahead_is_kept_and_a_long_absence_is_cut_to_it() -> None:
    content = calendar(
        "DTSTART;VALUE=DATE:20250101\nDTEND;VALUE=DATE:20300101", "DTSTART:20240101T100000Z\nDURATION:PT1H"
    )
    assert busy(content) == ["03-01 00:00–05-01 00:00"]


def test_what_cannot_be_understood_is_counted_and_spoils_nothing() -> None:
    content = calendar("DTSTART:nonsense\nDTEND:20260324T100000Z", "DTSTART:20260324T090000Z\nDURATION:PT1H")
    found = busy_times(content, zone_name="UTC", since=SINCE, until=UNTIL)
    assert (len(found.taken), found.left_out) == (1, 1)


def test_an_endless_series_is_read_as_far_as_anybody_can_book() -> None:
    daily = calendar("DTSTART:19700101T100000Z\nDTEND:19700101T103000Z\nRRULE:FREQ=DAILY")
    assert len(busy(daily)) == 61


def refusal(content: bytes) -> str:
    with pytest.raises(Unreadable) as why:
        read(content, zone_name="UTC", since=SINCE, until=UNTIL)
    return why.value.message


def test_the_other_process_finds_the_same() -> None:
    content = calendar("DTSTART;TZID=Europe/Lisbon:20260330T100000\nDURATION:PT1H", "DTSTART;VALUE=DATE:20260402")
    here = busy_times(content, zone_name="Europe/Lisbon", since=SINCE, until=UNTIL)
    assert read(content, zone_name="Europe/Lisbon", since=SINCE, until=UNTIL) == here
    assert len(here.taken) == 2


@pytest.mark.parametrize(
    "content", [b"", b"<html>Please sign in</html>", b"\x89PNG\r\n", b"BEGIN:VCARD\r\nEND:VCARD\r\n", b"[]"]
)
def test_what_is_no_calendar_is_refused(content: bytes) -> None:
    assert refusal(content) == foreign.NO_CALENDAR


@pytest.mark.parametrize("often", ["SECONDLY", "MINUTELY"])
def test_what_repeats_every_second_is_refused_at_once(often: str) -> None:
    began = time.monotonic()
    assert refusal(calendar(f"DTSTART:19700101T000000Z\nDURATION:PT1S\nRRULE:FREQ={often}")) == foreign.TOO_OFTEN
    assert time.monotonic() - began < 10


def test_what_expands_beyond_measure_is_refused() -> None:
    hourly = "DTSTART:20260301T000000Z\nDURATION:PT10M\nRRULE:FREQ=HOURLY;BYMINUTE=0,5,10,15,20,25,30,35,40,45,50,55"
    assert refusal(calendar(hourly)) == foreign.TOO_MANY


def test_what_takes_for_ever_ends_at_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """A rule that never matches, asked for day by day to the end of time."""
    monkeypatch.setattr(foreign, "PATIENCE_SECONDS", 3)
    never = "DTSTART:19000101T000000Z\nDURATION:PT1H\nRRULE:FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30;BYHOUR=1,2,3,4,5,6,7,8,9"
    began = time.monotonic()
    assert refusal(calendar(*[never] * 400)) == foreign.TOO_HARD
    assert time.monotonic() - began < 15


def test_a_feed_of_two_thousand_entries_is_read_in_seconds() -> None:
    start = datetime(2026, 3, 2, 8, tzinfo=UTC)
    entries = [
        f"SUMMARY:Meeting {n}\nDTSTART:{start + timedelta(minutes=30 * n):%Y%m%dT%H%M%SZ}\nDURATION:PT20M"
        for n in range(2000)
    ]
    found = read(calendar(*entries), zone_name="UTC", since=SINCE, until=UNTIL)
    assert (len(found.taken), found.left_out) == (2000, 0)


def test_secrets_do_not_go_along(monkeypatch: pytest.MonkeyPatch) -> None:
    """The other process gets no environment of ours."""
    monkeypatch.setenv("PORTAL_SECRET_KEY", "x" * 40)
    seen: dict[str, object] = {}
    run = foreign.subprocess.run

    def watch(*words: object, **options: object) -> object:
        seen.update(options)
        return run(*words, **options)  # type: ignore[call-overload]

    monkeypatch.setattr(foreign.subprocess, "run", watch)
    read(calendar("DTSTART;VALUE=DATE:20260402"), zone_name="UTC", since=SINCE, until=UNTIL)
    assert seen["env"] == {}
