"""Meetings as calendars read them: invitations and cancellations for mail (iMIP, RFC 6047), and a feed to subscribe to.

The same meeting gives the same bytes every time, so that a repeated mail and an unchanged feed are recognised as such.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from urllib.parse import quote

from icalendar import Alarm, Calendar, Event, vCalAddress, vDuration, vText, vUri

from portal.clock import zone
from portal.meetings.timezones import definition

PRODUCT = "-//Onward//Onward//EN"
ALARM_BEFORE = timedelta(minutes=15)
REFRESH_EVERY = timedelta(hours=1)
NEAR_A_CLOCK_CHANGE = timedelta(hours=3)

# Control characters are not TEXT (RFC 5545, 3.3.11), and strict readers drop the whole calendar for one of them.
_LINE_ENDS = re.compile("\r\n|[\r\x0b\x0c\x85\u2028\u2029]")
_CONTROLS = re.compile("[\x00-\x08\x0e-\x1f\x7f-\x9f]")


class Method(StrEnum):
    """What a mail with a meeting asks of the reader's calendar; it must match the mail part's `method` parameter."""

    REQUEST = "REQUEST"
    CANCEL = "CANCEL"


class PartStat(StrEnum):
    """How someone stands to a meeting. Who booked it has accepted it; whom it was booked for is asked."""

    NEEDS_ACTION = "NEEDS-ACTION"
    ACCEPTED = "ACCEPTED"
    DECLINED = "DECLINED"


@dataclass(frozen=True, slots=True, kw_only=True)
class Organizer:
    """The consultant; `sent_by` is the portal's own address where the mail comes from there, else empty."""

    name: str
    email: str
    sent_by: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attendee:
    """Someone invited. Only who needs to act is asked for a reply."""

    name: str
    email: str
    partstat: PartStat


@dataclass(frozen=True, slots=True, kw_only=True)
class CalendarMeeting:
    """One meeting as one reader's calendar shows it: texts in their language, hours in their zone.

    `uid` stays the same for the meeting's whole life, whatever address the portal has by then. `sequence` goes up by
    one with every change of time and with the cancellation: calendars ignore a mail that brings no higher one.
    `changed_at` is when that last change was made (DTSTAMP). Instants are aware; ValueError if they are not.
    """

    uid: str
    sequence: int
    changed_at: datetime
    starts_at: datetime
    ends_at: datetime
    zone_name: str
    summary: str
    description: str
    location: str
    url: str
    categories: tuple[str, ...]
    organizer: Organizer
    attendees: tuple[Attendee, ...]
    is_cancelled: bool = False

    def __post_init__(self) -> None:
        if any(moment.tzinfo is None for moment in (self.changed_at, self.starts_at, self.ends_at)):
            raise ValueError("a meeting needs instants with a zone")


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanDay:
    """A dated step of a customer's plan: a whole day, which takes nobody's time. `sequence` goes up when the plan changes."""

    uid: str
    sequence: int
    changed_at: datetime
    on: date
    summary: str
    description: str
    url: str
    categories: tuple[str, ...]


def invitation(meeting: CalendarMeeting, method: Method) -> bytes:
    """The calendar part of a mail about one meeting, UTF-8.

    REQUEST books it, or moves it if the sequence is higher. CANCEL takes it back for everybody; ValueError if the
    meeting is not cancelled, or if a cancelled one is asked for.
    """
    if (method is Method.CANCEL) != meeting.is_cancelled:
        raise ValueError("a cancelled meeting is sent with CANCEL, any other with REQUEST")
    calendar = _calendar(method.value)
    calendar.add_component(_event(meeting))
    return _finished(calendar, [meeting])


def feed(meetings: Iterable[CalendarMeeting], name: str, days: Iterable[PlanDay] = ()) -> bytes:
    """A calendar to subscribe to, UTF-8: the meetings in the order given, cancelled ones marked, then the days of the plan;
    may be empty.

    It says to look again every hour (RFC 7986, and the older X-PUBLISHED-TTL that more calendars know).
    """
    calendar = _calendar("PUBLISH")
    # Without its type the library takes NAME for an unknown property and escapes nothing.
    title = vText(_line(name))
    calendar.add("name", title)
    calendar.add("x-wr-calname", title)
    calendar.add("refresh-interval", vDuration(REFRESH_EVERY), parameters={"VALUE": "DURATION"})
    calendar.add("x-published-ttl", vDuration(REFRESH_EVERY))
    listed = list(meetings)
    for meeting in listed:
        calendar.add_component(_event(meeting))
    for day in days:
        calendar.add_component(_whole_day(day))
    return _finished(calendar, listed)


def _calendar(method: str) -> Calendar:
    calendar = Calendar()
    calendar.add("prodid", PRODUCT)
    calendar.add("version", "2.0")
    calendar.add("calscale", "GREGORIAN")
    calendar.add("method", method)
    return calendar


def _event(meeting: CalendarMeeting) -> Event:
    event = Event()
    event.add("uid", meeting.uid)
    event.add("sequence", meeting.sequence)
    event.add("dtstamp", meeting.changed_at.astimezone(UTC))
    starts, ends = _written(meeting)
    event.add("dtstart", starts)
    event.add("dtend", ends)
    event.add("summary", _line(meeting.summary))
    for key, text in (("description", _text(meeting.description)), ("location", _line(meeting.location))):
        if text:
            event.add(key, text)
    if meeting.url:
        event.add("url", vUri(meeting.url))
    if meeting.categories:
        event.add("categories", [_line(category) for category in meeting.categories])
    event.add("status", "CANCELLED" if meeting.is_cancelled else "CONFIRMED")
    event.add("transp", "TRANSPARENT" if meeting.is_cancelled else "OPAQUE")
    event.add("organizer", _organizer(meeting.organizer), encode=False)
    for attendee in meeting.attendees:
        event.add("attendee", _attendee(attendee), encode=False)
    if not meeting.is_cancelled:
        event.add_component(_alarm(meeting))
    return event


def _whole_day(day: PlanDay) -> Event:
    event = Event()
    event.add("uid", day.uid)
    event.add("sequence", day.sequence)
    event.add("dtstamp", day.changed_at.astimezone(UTC))
    event.add("dtstart", day.on)
    event.add("dtend", day.on + timedelta(days=1))  # the day that ends it is not part of it (RFC 5545, 3.6.1)
    event.add("summary", _line(day.summary))
    if text := _text(day.description):
        event.add("description", text)
    event.add("url", vUri(day.url))
    event.add("categories", [_line(category) for category in day.categories])
    event.add("status", "CONFIRMED")
    event.add("transp", "TRANSPARENT")
    return event


def _written(meeting: CalendarMeeting) -> tuple[datetime, datetime]:
    """Start and end on the reader's wall clock; in UTC near a clock change, where wall clocks are ambiguous.

    iCalendar has no way to say "the second 01:30" (RFC 5545, 3.3.5), and readers disagree on the first. Every calendar
    shows UTC in the reader's zone.
    """
    there = zone(meeting.zone_name)
    around = (meeting.starts_at - NEAR_A_CLOCK_CHANGE, meeting.ends_at + NEAR_A_CLOCK_CHANGE)
    steady = len({moment.astimezone(there).utcoffset() for moment in around}) == 1
    shown = there if steady else UTC
    return meeting.starts_at.astimezone(shown), meeting.ends_at.astimezone(shown)


def _organizer(organizer: Organizer) -> vCalAddress:
    address = _address(organizer.name, organizer.email)
    if organizer.sent_by:
        address.params["SENT-BY"] = _mailto(organizer.sent_by)
    return address


def _attendee(attendee: Attendee) -> vCalAddress:
    address = _address(attendee.name, attendee.email)
    address.params["CUTYPE"] = "INDIVIDUAL"
    address.params["ROLE"] = "REQ-PARTICIPANT"
    address.params["PARTSTAT"] = attendee.partstat.value
    address.params["RSVP"] = "TRUE" if attendee.partstat is PartStat.NEEDS_ACTION else "FALSE"
    return address


def _address(name: str, email: str) -> vCalAddress:
    address = vCalAddress(_mailto(email))
    # A quotation mark in a parameter can only be written as RFC 6868 has it, and many calendars show that as it stands.
    address.params["CN"] = _line(name).replace('"', "'") or email
    return address


def _mailto(email: str) -> str:
    return "mailto:" + quote(email, safe="@!$&'*+/=^_`{|}~.-")


def _alarm(meeting: CalendarMeeting) -> Alarm:
    alarm = Alarm()
    alarm.add("action", "DISPLAY")
    alarm.add("description", _line(meeting.summary))
    alarm.add("trigger", -ALARM_BEFORE)
    return alarm


def _finished(calendar: Calendar, meetings: list[CalendarMeeting]) -> bytes:
    """The calendar as bytes, with the rules of every zone it names in front, for the years it spans."""
    if meetings:
        first = min(meeting.starts_at for meeting in meetings).year
        last = max(meeting.ends_at for meeting in meetings).year
        # Sorted, since a set's order changes from process to process.
        calendar.subcomponents[:0] = [
            definition(tzid, first_year=first, last_year=last) for tzid in sorted(calendar.get_missing_tzids())
        ]
    written: bytes = calendar.to_ical()
    return written


def _text(text: str) -> str:
    """Text of several lines as calendars allow it: other line ends as newlines, no control characters."""
    return _CONTROLS.sub("", _LINE_ENDS.sub("\n", text)).strip()


def _line(text: str) -> str:
    """Text on one line."""
    return " ".join(_text(text).split())
