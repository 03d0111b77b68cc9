"""Invitations and feeds: what a calendar reads, and that no text can break out of its line."""

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from icalendar import Calendar, Event

from portal.meetings.calendars import (
    Attendee,
    CalendarMeeting,
    Method,
    Organizer,
    PartStat,
    feed,
    invitation,
)

MEETING = CalendarMeeting(
    uid="meeting-17@portal.example",
    sequence=2,
    changed_at=datetime(2026, 6, 1, 15, 30, tzinfo=UTC),
    starts_at=datetime(2026, 6, 23, 13, tzinfo=UTC),
    ends_at=datetime(2026, 6, 23, 13, 30, tzinfo=UTC),
    zone_name="Europe/Lisbon",
    summary="30-day check-in with Carla",
    description="What you told us in the survey.\nTwo goals for the next 30 days.",
    location="Video",
    url="https://portal.example/meetings/17",
    categories=("Check-in",),
    organizer=Organizer(name="Carla Nunes", email="carla@larderly.example", sent_by="portal@portal.example"),
    attendees=(
        Attendee(name="Maria Silva", email="maria@moss.example", partstat=PartStat.ACCEPTED),
        Attendee(name="João Reis", email="joao@moss.example", partstat=PartStat.NEEDS_ACTION),
    ),
)
HOSTILE = 'semi;colon, comma \\ back "quoted"\r\nEND:VEVENT\nBEGIN:VALARM\rX-EVIL:1\x85 \u2028 \x07\x1b 🎉 ção: ' * 26


def unfolded(written: bytes) -> list[str]:
    return written.replace(b"\r\n ", b"").decode().split("\r\n")[:-1]


def only_event(written: bytes) -> Event:
    (event,) = Calendar.from_ical(written).walk("VEVENT")
    assert isinstance(event, Event)
    return event


def assert_well_formed(written: bytes) -> None:
    assert written.endswith(b"END:VCALENDAR\r\n")
    assert b"\n" not in written.replace(b"\r\n", b"")
    assert b"\r" not in written.replace(b"\r\n", b"")
    assert [line for line in written.split(b"\r\n") if len(line) > 75] == []
    for line in written.split(b"\r\n"):
        line.decode()  # no character is cut in two
    assert re.findall(rb"[\x00-\x09\x0b\x0c\x0e-\x1f\x7f]", written) == []


def test_an_invitation_line_by_line() -> None:
    written = invitation(MEETING, Method.REQUEST)
    assert_well_formed(written)
    lines = unfolded(written)
    assert lines[:5] == [
        "BEGIN:VCALENDAR",
        "VERSION:2.0",
        "PRODID:-//Onward//Onward//EN",
        "CALSCALE:GREGORIAN",
        "METHOD:REQUEST",
    ]
    assert lines[lines.index("BEGIN:VEVENT") :] == [
        "BEGIN:VEVENT",
        "SUMMARY:30-day check-in with Carla",
        "DTSTART;TZID=Europe/Lisbon:20260623T140000",
        "DTEND;TZID=Europe/Lisbon:20260623T143000",
        "DTSTAMP:20260601T153000Z",
        "UID:meeting-17@portal.example",
        "SEQUENCE:2",
        'ATTENDEE;CN="Maria Silva";CUTYPE=INDIVIDUAL;PARTSTAT=ACCEPTED;ROLE=REQ-PARTICIPANT;RSVP=FALSE'
        ":mailto:maria@moss.example",
        'ATTENDEE;CN="João Reis";CUTYPE=INDIVIDUAL;PARTSTAT=NEEDS-ACTION;ROLE=REQ-PARTICIPANT;RSVP=TRUE'
        ":mailto:joao@moss.example",
        "CATEGORIES:Check-in",
        "DESCRIPTION:What you told us in the survey.\\nTwo goals for the next 30 days.",
        "LOCATION:Video",
        'ORGANIZER;CN="Carla Nunes";SENT-BY="mailto:portal@portal.example":mailto:carla@larderly.example',
        "STATUS:CONFIRMED",
        "TRANSP:OPAQUE",
        "URL:https://portal.example/meetings/17",
        "BEGIN:VALARM",
        "ACTION:DISPLAY",
        "DESCRIPTION:30-day check-in with Carla",
        "TRIGGER:-PT15M",
        "END:VALARM",
        "END:VEVENT",
        "END:VCALENDAR",
    ]


def test_the_zone_is_defined_before_it_is_used() -> None:
    lines = unfolded(invitation(MEETING, Method.REQUEST))
    assert lines[5:7] == ["BEGIN:VTIMEZONE", "TZID:Europe/Lisbon"]
    assert lines.count("BEGIN:VTIMEZONE") == 1
    assert "RRULE:FREQ=YEARLY;BYDAY=-1SU;BYMONTH=3" in lines


def test_a_cancellation_keeps_the_uid_and_wakes_nobody() -> None:
    written = invitation(replace(MEETING, sequence=3, is_cancelled=True), Method.CANCEL)
    assert_well_formed(written)
    lines = unfolded(written)
    assert lines[4] == "METHOD:CANCEL"
    event = only_event(written)
    assert [str(event[key]) for key in ("UID", "SEQUENCE", "STATUS", "TRANSP")] == [
        "meeting-17@portal.example",
        "3",
        "CANCELLED",
        "TRANSPARENT",
    ]
    assert event.walk("VALARM") == []
    assert len(event["ATTENDEE"]) == 2


def test_a_cancelled_meeting_is_not_asked_for_and_a_live_one_not_cancelled() -> None:
    with pytest.raises(ValueError, match="CANCEL"):
        invitation(MEETING, Method.CANCEL)
    with pytest.raises(ValueError, match="CANCEL"):
        invitation(replace(MEETING, is_cancelled=True), Method.REQUEST)


def test_the_same_meeting_gives_the_same_bytes() -> None:
    abroad = replace(MEETING, uid="meeting-18@portal.example", zone_name="America/New_York")
    assert invitation(MEETING, Method.REQUEST) == invitation(replace(MEETING), Method.REQUEST)
    written = feed([MEETING, abroad], "Check-ins")
    assert [line for line in unfolded(written) if line.startswith("TZID:")] == [
        "TZID:America/New_York",
        "TZID:Europe/Lisbon",
    ]


def test_hostile_text_stays_inside_its_line() -> None:
    hostile = replace(
        MEETING,
        summary=HOSTILE,
        description=HOSTILE,
        location=HOSTILE,
        categories=(HOSTILE, "a,b;c"),
        organizer=Organizer(name=HOSTILE, email="carla@larderly.example"),
        attendees=(Attendee(name=HOSTILE, email="maria@moss.example", partstat=PartStat.ACCEPTED),),
    )
    written = invitation(hostile, Method.REQUEST)
    assert_well_formed(written)
    lines = unfolded(written)
    names = [re.split("[;:]", line)[0] for line in lines[lines.index("BEGIN:VEVENT") :]]
    assert names == [
        *("BEGIN", "SUMMARY", "DTSTART", "DTEND", "DTSTAMP", "UID", "SEQUENCE", "ATTENDEE", "CATEGORIES"),
        *("DESCRIPTION", "LOCATION", "ORGANIZER", "STATUS", "TRANSP", "URL"),
        *("BEGIN", "ACTION", "DESCRIPTION", "TRIGGER", "END", "END", "END"),
    ]
    event = only_event(written)
    said = re.sub("\r\n|[\r\x85\u2028]", "\n", HOSTILE).replace("\x07", "").replace("\x1b", "").strip()
    assert len(said) > 2000
    assert str(event["DESCRIPTION"]) == said
    assert str(event["SUMMARY"]) == " ".join(said.split())
    assert event["ATTENDEE"].params["CN"] == " ".join(said.split()).replace('"', "'")
    assert event["ORGANIZER"].params["CN"] == " ".join(said.split()).replace('"', "'")
    assert [str(category) for category in event["CATEGORIES"].cats] == [" ".join(said.split()), "a,b;c"]


def test_an_address_cannot_leave_its_uri() -> None:
    odd = Attendee(name="", email="o'neil+x%41?cc=eve\"\r\nX:y@moss.example", partstat=PartStat.ACCEPTED)
    written = invitation(replace(MEETING, attendees=(odd,)), Method.REQUEST)
    assert_well_formed(written)
    assert str(only_event(written)["ATTENDEE"]) == "mailto:o'neil+x%2541%3Fcc=eve%22%0D%0AX%3Ay@moss.example"


def test_a_url_with_a_line_end_is_refused() -> None:
    with pytest.raises(ValueError, match="CR or LF"):
        invitation(replace(MEETING, url="https://portal.example/\r\nX-EVIL:1"), Method.REQUEST)


def test_what_is_not_known_is_left_out() -> None:
    bare = replace(MEETING, description="", location=" ", url="", categories=(), attendees=())
    event = only_event(invitation(bare, Method.REQUEST))
    assert [key for key in ("DESCRIPTION", "LOCATION", "URL", "CATEGORIES", "ATTENDEE") if key in event] == []


@pytest.mark.parametrize(
    ("zone_name", "starts_at", "written"),
    [
        ("America/New_York", "2026-11-01 05:30", "DTSTART:20261101T053000Z"),  # the first 01:30
        ("America/New_York", "2026-11-01 06:30", "DTSTART:20261101T063000Z"),  # the second
        ("Europe/London", "2026-03-29 01:15", "DTSTART:20260329T011500Z"),  # 02:15, just after the jump
        ("Europe/Lisbon", "2026-10-25 00:45", "DTSTART:20261025T004500Z"),
        ("America/Sao_Paulo", "2019-02-17 01:30", "DTSTART:20190217T013000Z"),
        ("America/New_York", "2026-11-01 14:00", "DTSTART;TZID=America/New_York:20261101T090000"),
        ("America/New_York", "2026-03-08 13:00", "DTSTART;TZID=America/New_York:20260308T090000"),
        ("Europe/London", "2026-03-29 08:00", "DTSTART;TZID=Europe/London:20260329T090000"),
        ("America/Sao_Paulo", "2018-11-04 11:00", "DTSTART;TZID=America/Sao_Paulo:20181104T090000"),
        ("UTC", "2026-06-23 13:00", "DTSTART:20260623T130000Z"),
    ],
)
def test_near_a_clock_change_the_time_is_written_in_utc(zone_name: str, starts_at: str, written: str) -> None:
    moment = datetime.fromisoformat(starts_at).replace(tzinfo=UTC)
    meeting = replace(MEETING, zone_name=zone_name, starts_at=moment, ends_at=moment + timedelta(minutes=30))
    lines = unfolded(invitation(meeting, Method.REQUEST))
    event = only_event(invitation(meeting, Method.REQUEST))
    assert [line for line in lines[lines.index("BEGIN:VEVENT") :] if line.startswith("DTSTART")] == [written]
    assert event["DTSTART"].dt == moment
    assert event["DTEND"].dt == moment + timedelta(minutes=30)
    assert ("BEGIN:VTIMEZONE" in lines) == ("TZID" in written)


def test_a_feed_lists_every_meeting_and_says_when_to_look_again() -> None:
    cancelled = replace(MEETING, uid="meeting-18@portal.example", is_cancelled=True)
    written = feed([MEETING, cancelled], "Carla's check-ins; all\r\nof them 🎉")
    assert_well_formed(written)
    assert unfolded(written)[4:9] == [
        "METHOD:PUBLISH",
        "NAME:Carla's check-ins\\; all of them 🎉",
        "X-WR-CALNAME:Carla's check-ins\\; all of them 🎉",
        "REFRESH-INTERVAL;VALUE=DURATION:PT1H",
        "X-PUBLISHED-TTL:PT1H",
    ]
    events = Calendar.from_ical(written).walk("VEVENT")
    assert [(str(event["UID"]), str(event["STATUS"])) for event in events] == [
        ("meeting-17@portal.example", "CONFIRMED"),
        ("meeting-18@portal.example", "CANCELLED"),
    ]


def test_an_empty_feed_is_still_a_calendar() -> None:
    written = feed([], "Check-ins")
    assert_well_formed(written)
    assert unfolded(written)[-1] == "END:VCALENDAR"
    assert Calendar.from_ical(written).walk("VEVENT") == []


def test_an_instant_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="zone"):
        replace(MEETING, starts_at=datetime(2026, 6, 23, 13))
    local = replace(MEETING, starts_at=MEETING.starts_at.astimezone(ZoneInfo("Asia/Tokyo")))
    assert invitation(local, Method.REQUEST) == invitation(MEETING, Method.REQUEST)
