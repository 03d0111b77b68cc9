"""A stranger's calendar as times that are taken, worked out in a process of its own with a limit on everything.

A feed is whatever somebody put at an address: ten megabytes, an entry that repeats every second since 1970, nothing like a
calendar at all. So it is read where it can do no harm: without our settings, with limits on processor and memory.
"""

import contextlib
import json
import resource
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import recurring_ical_events
from icalendar import Calendar, Component
from icalendar.error import BrokenCalendarProperty

from portal.clock import at_local
from portal.errors import N_
from portal.meetings.rules import Interval
from portal.places import PACKAGE

MOST_ENTRIES = 20_000
MOST_BUSY_TIMES = 5_000
PROCESSOR_SECONDS = 20
MEMORY_BYTES = 1024 * 1024 * 1024
PATIENCE_SECONDS = 45
ONE_DAY = timedelta(days=1)

NO_CALENDAR = N_("There is no calendar at this address.")
TOO_MANY = N_("This calendar has more entries than we read (%(most)s).")
TOO_OFTEN = N_("An entry of this calendar repeats every minute or second. Please take it out.")
BROKEN = N_("Something in this calendar is more than we understand.")
TOO_HARD = N_("This calendar takes too long to read.")


class Unreadable(Exception):
    """It is no calendar, or more of one than we take. `message` is a msgid for `values`."""

    def __init__(self, message: str, **values: object) -> None:
        super().__init__(message)
        self.message = message
        self.values = values


@dataclass(frozen=True, slots=True)
class Taken:
    """A time at which its owner is busy, and the entry's UID: our own meetings come back by it."""

    busy: Interval
    uid: str


@dataclass(frozen=True, slots=True)
class Found:
    """The busy times in order; and how many entries could not be understood, which block nothing."""

    taken: tuple[Taken, ...]
    left_out: int


def read(content: bytes, *, zone_name: str, since: datetime, until: datetime, declined_by: str = "") -> Found:
    """The busy times of a feed between two instants, worked out in another process.

    Times without a zone and whole days are the owner's (`zone_name`). Entries that are cancelled, marked as free, or
    declined by the owner (`declined_by`: their address) block nothing. Errors: Unreadable.
    """
    if not content.lstrip(b"\xef\xbb\xbf \t\r\n")[:15].upper().startswith(b"BEGIN:VCALENDAR"):
        raise Unreadable(NO_CALENDAR)
    wanted = {"zone": zone_name, "since": since.isoformat(), "until": until.isoformat(), "declined_by": declined_by}
    try:
        done = subprocess.run(
            [sys.executable, "-m", "portal.meetings.foreign"],
            input=json.dumps(wanted).encode() + b"\n" + content,
            capture_output=True,
            timeout=PATIENCE_SECONDS,
            cwd=PACKAGE.parent,
            env={},
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise Unreadable(TOO_HARD) from None
    if done.returncode:
        # Ended by a signal: it ran into a limit. By itself: it found what no library has thought of.
        raise Unreadable(TOO_HARD if done.returncode < 0 else BROKEN)
    said = json.loads(done.stdout)
    if "message" in said:
        raise Unreadable(said["message"], **said["values"])
    taken = (
        Taken(Interval(datetime.fromtimestamp(start, UTC), datetime.fromtimestamp(end, UTC)), uid)
        for start, end, uid in said["taken"]
    )
    return Found(tuple(taken), said["left_out"])


# In the other process


def main() -> None:
    """Reads what is wanted (a line of JSON) and the feed from its input; writes what it found, or why not."""
    _limit_ourselves()
    wanted = json.loads(sys.stdin.buffer.readline())
    content = sys.stdin.buffer.read()
    try:
        found = busy_times(
            content,
            zone_name=wanted["zone"],
            since=datetime.fromisoformat(wanted["since"]),
            until=datetime.fromisoformat(wanted["until"]),
            declined_by=wanted["declined_by"],
        )
        said: dict[str, Any] = {
            "taken": [
                (each.busy.starts_at.timestamp(), each.busy.ends_at.timestamp(), each.uid) for each in found.taken
            ],
            "left_out": found.left_out,
        }
    except Unreadable as why:
        said = {"message": why.message, "values": why.values}
    sys.stdout.write(json.dumps(said))


def _limit_ourselves() -> None:
    for what, most in ((resource.RLIMIT_CPU, PROCESSOR_SECONDS), (resource.RLIMIT_AS, MEMORY_BYTES)):
        # macOS knows no limit on memory; the processor's holds there too.
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(what, (most, most))


def busy_times(content: bytes, *, zone_name: str, since: datetime, until: datetime, declined_by: str = "") -> Found:
    """The same in this process, without a limit on time. Errors: Unreadable."""
    try:
        calendars = Calendar.from_ical(content, multiple=True)
    except (ValueError, KeyError, IndexError, TypeError, AttributeError) as wrong:
        raise Unreadable(NO_CALENDAR) from wrong
    entries = [entry for calendar in calendars for entry in calendar.walk("VEVENT")]
    if len(entries) > MOST_ENTRIES:
        raise Unreadable(TOO_MANY, most=MOST_ENTRIES)
    if any(_repeats_too_often(entry) for entry in entries):
        raise Unreadable(TOO_OFTEN)
    found: set[tuple[datetime, datetime, str]] = set()
    for calendar in calendars:
        for entry in _occurrences(calendar, since - ONE_DAY, until + ONE_DAY):
            if _blocks(entry, declined_by) and (span := _span(entry, zone_name)) is not None:
                starts, ends = max(span.starts_at, since), min(span.ends_at, until)
                if starts < ends:
                    found.add((starts, ends, str(entry.get("UID", ""))[:250]))
        if len(found) > MOST_BUSY_TIMES:
            raise Unreadable(TOO_MANY, most=MOST_BUSY_TIMES)
    left_out = sum(1 for entry in entries if _start(entry) is None)
    return Found(tuple(Taken(Interval(starts, ends), uid) for starts, ends, uid in sorted(found)), left_out)


def _repeats_too_often(entry: Component) -> bool:
    rules = entry.get("RRULE", [])
    for rule in rules if isinstance(rules, list) else [rules]:
        often = {str(word).upper() for word in (rule.get("FREQ") or [])} if hasattr(rule, "get") else set()
        if often & {"SECONDLY", "MINUTELY"}:
            return True
    return False


def _occurrences(calendar: Component, since: datetime, until: datetime) -> Iterator[Component]:
    yield from recurring_ical_events.of(calendar, skip_bad_series=True).between(since, until)


def _blocks(entry: Component, declined_by: str) -> bool:
    if (
        str(entry.get("TRANSP", "OPAQUE")).upper() == "TRANSPARENT"
        or str(entry.get("STATUS", "")).upper() == "CANCELLED"
    ):
        return False
    # Exchange says here what it doesn't say in TRANSP.
    if str(entry.get("X-MICROSOFT-CDO-BUSYSTATUS", "")).upper() == "FREE":
        return False
    return not (declined_by and _has_declined(entry, declined_by))


def _has_declined(entry: Component, email: str) -> bool:
    attendees = entry.get("ATTENDEE", [])
    for attendee in attendees if isinstance(attendees, Sequence) and not isinstance(attendees, str) else [attendees]:
        if str(attendee).lower() == f"mailto:{email.lower()}":
            return str(getattr(attendee, "params", {}).get("PARTSTAT", "")).upper() == "DECLINED"
    return False


def _start(entry: Component) -> date | None:
    return _moment(entry, "DTSTART")


def _moment(entry: Component, name: str) -> date | None:
    """A day or an instant; None where there is none, or nothing that is one."""
    try:
        found = getattr(entry.get(name), "dt", None)
    except BrokenCalendarProperty:
        return None
    return found if isinstance(found, date) else None


def _span(entry: Component, zone_name: str) -> Interval | None:
    starts, ends = _start(entry), _moment(entry, "DTEND")
    if starts is None or ends is None:
        return None
    begun, ended = _instant(starts, zone_name), _instant(ends, zone_name)
    return Interval(begun, ended) if begun < ended else None


def _instant(moment: date, zone_name: str) -> datetime:
    """A whole day begins at its owner's midnight; a time without a zone is on their wall (RFC 5545, 3.3.5, form 1)."""
    if not isinstance(moment, datetime):
        return at_local(moment, time(0, 0), zone_name)
    if moment.tzinfo is None:
        return at_local(moment.date(), moment.time(), zone_name)
    return moment.astimezone(UTC)


if __name__ == "__main__":
    main()
