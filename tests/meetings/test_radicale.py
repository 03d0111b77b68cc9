"""What we send, in a real calendar server (Radicale), put there as a calendar does that accepts an invitation; and read by a
parser that shares nothing with the library that writes it (vobject, with dateutil's own reading of VTIMEZONE)."""

import json
import subprocess
import urllib.error
import urllib.request
import uuid
from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from icalendar import Calendar
from sqlalchemy import select

from portal import delivery
from portal.delivery import compose
from portal.mail import LetterRow
from portal.meetings import actions
from portal.meetings.calendars import Attendee, CalendarMeeting, Method, Organizer, PartStat, feed, invitation
from portal.meetings.letters import COMPOSERS
from tests.meetings.conftest import WEDNESDAY_10, WEDNESDAY_11, World
from tests.servers import CalendarServer

HOUR = timedelta(hours=1)

READ_BY_VOBJECT = """
import datetime, json, sys, vobject
def instant(line):
    # Where it names a zone, by the rules in this very file, and not by a table of zones that the parser has.
    named = line.params.get("X-VOBJ-ORIGINAL-TZID")
    moment = line.value.replace(tzinfo=zones[named[0]]) if named else line.value
    assert moment.tzinfo is not None
    return moment.astimezone(datetime.timezone.utc).isoformat()
told = []
for text in json.load(sys.stdin):
    calendar = vobject.readOne(text)
    zones = {zone.tzid.value: zone.tzinfo for zone in getattr(calendar, "vtimezone_list", [])}
    for event in calendar.vevent_list:
        told.append({
            "method": calendar.method.value if hasattr(calendar, "method") else "",
            "uid": event.uid.value, "sequence": int(event.sequence.value), "status": event.status.value,
            "starts": instant(event.dtstart), "ends": instant(event.dtend),
            "summary": event.summary.value, "organizer": event.organizer.value,
            "attendees": sorted(one.value for one in event.attendee_list),
        })
json.dump(told, sys.stdout)
"""


@dataclass(frozen=True)
class CalendarOfSomebody:
    """A calendar on the server, used over CalDAV as calendars do."""

    server: CalendarServer
    path: str
    owner: str

    def ask(self, method: str, path: str = "", body: str = "", **headers: str) -> str:
        known = "Basic " + b64encode(f"{self.owner}:any".encode()).decode()
        request = urllib.request.Request(
            f"{self.server.url}{self.path}{path}",
            data=body.encode() or None,
            method=method,
            headers={"Authorization": known, **headers},
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.read().decode()

    def accept(self, part: bytes) -> None:
        """Takes an invitation, an update or a cancellation in: one resource for a UID, without METHOD (RFC 4791, 4.1)."""
        calendar = Calendar.from_ical(part)
        uid = str(next(iter(calendar.walk("VEVENT")))["UID"])
        stored = part.decode().replace(f"METHOD:{calendar['METHOD']}\r\n", "")
        self.ask("PUT", f"{uid}.ics", stored, **{"Content-Type": "text/calendar; charset=utf-8"})

    def stored(self, uid: str) -> str:
        return self.ask("GET", f"{uid}.ics")

    def found_between(self, since: datetime, until: datetime) -> bool:
        """Whether the server finds a meeting in that time: it works the hours out by itself."""
        query = f"""<?xml version="1.0"?><C:calendar-query xmlns:D="DAV:" xmlns:C="urn:ietf:params:xml:ns:caldav">
            <D:prop><D:getetag/></D:prop><C:filter><C:comp-filter name="VCALENDAR"><C:comp-filter name="VEVENT">
            <C:time-range start="{since:%Y%m%dT%H%M%SZ}" end="{until:%Y%m%dT%H%M%SZ}"/>
            </C:comp-filter></C:comp-filter></C:filter></C:calendar-query>"""
        answer = self.ask("REPORT", "", query, **{"Content-Type": "application/xml", "Depth": "1"})
        return ".ics" in answer


@pytest.fixture
def marias(radicale: CalendarServer) -> CalendarOfSomebody:
    """Maria’s calendar, empty; the server makes her a home when she first comes."""
    name = f"maria{uuid.uuid4().hex[:8]}"
    calendar = CalendarOfSomebody(radicale, f"/{name}/calendar/", name)
    calendar.ask("MKCALENDAR")
    return calendar


@pytest.fixture
def by_vobject(radicale: CalendarServer) -> Callable[..., list[dict[str, Any]]]:
    def read(*texts: str) -> list[dict[str, Any]]:
        done = subprocess.run(
            [radicale.python, "-c", READ_BY_VOBJECT],
            input=json.dumps(texts),
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
        told: list[dict[str, Any]] = json.loads(done.stdout)
        return told

    return read


def parts_to_maria(world: World) -> list[bytes]:
    """The calendar parts of the mails that have left for her, in order; the method in the MIME type is that in the calendar."""
    delivery.deliver(world.house, composers=COMPOSERS, now=world.clock.now())
    parts = []
    with world.database.read() as db:
        wanted = (LetterRow.contact_id == world.maria, LetterRow.sent_at.is_not(None))
        for row in db.scalars(select(LetterRow).where(*wanted).order_by(LetterRow.id)):
            message = compose(db, world.house, row, composers=COMPOSERS)
            found = [part for part in message.walk() if part.get_content_type() == "text/calendar"]
            for part in found[:1]:
                content = part.get_content()
                raw = (
                    content
                    if isinstance(content, bytes)
                    else content.replace("\r\n", "\n").replace("\n", "\r\n").encode()
                )
                assert f"METHOD:{part.get_param('method')}\r\n".encode() in raw
                parts.append(raw)
    return parts


def test_booked_moved_and_cancelled_in_a_real_calendar(
    world: World, marias: CalendarOfSomebody, by_vobject: Callable[..., list[dict[str, Any]]]
) -> None:
    meeting_id = world.book(WEDNESDAY_10, by=f"staff:{world.carla}")
    booked = parts_to_maria(world)[-1]
    marias.accept(booked)
    [told] = by_vobject(booked.decode())
    uid = told["uid"]
    assert (told["method"], told["sequence"], told["status"]) == ("REQUEST", 0, "CONFIRMED")
    assert (told["starts"], told["ends"]) == ("2026-06-24T13:00:00+00:00", "2026-06-24T13:45:00+00:00")
    assert told["organizer"] == "mailto:carla@onward.example"
    assert told["attendees"] == ["mailto:carla@onward.example", "mailto:maria@lumen.example"]
    assert marias.found_between(WEDNESDAY_10, WEDNESDAY_10 + HOUR)

    world.clock.set(world.clock.now() + HOUR)
    moved_to = WEDNESDAY_11 + timedelta(hours=3)
    with world.database.write() as db:
        actions.reschedule(
            db,
            world.house,
            meeting_id=meeting_id,
            starts_at=moved_to,
            by=f"contact:{world.maria}",
            now=world.clock.now(),
        )
    moved = parts_to_maria(world)[-1]
    marias.accept(moved)
    [told] = by_vobject(moved.decode())
    assert (told["uid"], told["method"], told["sequence"]) == (uid, "REQUEST", 1)
    assert not marias.found_between(WEDNESDAY_10, WEDNESDAY_10 + HOUR)
    assert marias.found_between(moved_to, moved_to + HOUR)

    world.clock.set(world.clock.now() + HOUR)
    with world.database.write() as db:
        actions.cancel(
            db, world.house, meeting_id=meeting_id, why="", by=f"contact:{world.maria}", now=world.clock.now()
        )
    cancelled = parts_to_maria(world)[-1]
    marias.accept(cancelled)
    [told] = by_vobject(marias.stored(uid))
    assert (told["uid"], told["sequence"], told["status"]) == (uid, 2, "CANCELLED")
    assert by_vobject(cancelled.decode())[0]["method"] == "CANCEL"
    with pytest.raises(urllib.error.HTTPError):
        marias.stored("another")


def a_meeting(starts_at: datetime, zone: str, *, uid: str = "one") -> CalendarMeeting:
    return CalendarMeeting(
        uid=uid,
        sequence=0,
        changed_at=datetime(2026, 6, 1, tzinfo=UTC),
        starts_at=starts_at,
        ends_at=starts_at + timedelta(minutes=45),
        zone_name=zone,
        summary="Conversa; com vírgula, \\ e “aspas”",
        description="Linha um\nlinha dois: ção",
        location="https://meet.example/carla",
        url="",
        categories=("Onward",),
        organizer=Organizer(name='Carla "C" Nunes', email="carla@onward.example"),
        attendees=(Attendee(name="Maria", email="maria@lumen.example", partstat=PartStat.NEEDS_ACTION),),
    )


AROUND_CLOCK_CHANGES = [
    ("Europe/Lisbon", datetime(2027, 3, 28, 1, tzinfo=UTC)),
    ("Europe/Lisbon", datetime(2027, 10, 31, 1, tzinfo=UTC)),
    ("America/New_York", datetime(2027, 3, 14, 7, tzinfo=UTC)),
    ("America/Santiago", datetime(2027, 4, 4, 3, tzinfo=UTC)),
    ("Australia/Lord_Howe", datetime(2027, 4, 3, 15, tzinfo=UTC)),
    ("Africa/Casablanca", datetime(2027, 2, 7, 2, tzinfo=UTC)),
    ("America/Sao_Paulo", datetime(2027, 3, 28, 1, tzinfo=UTC)),
    ("Asia/Kolkata", datetime(2027, 3, 28, 1, tzinfo=UTC)),
]
"""Zones, and instants at which a clock changes there (or, in the last two, elsewhere)."""


@pytest.mark.parametrize(("zone", "change"), AROUND_CLOCK_CHANGES, ids=lambda one: str(one)[:20])
def test_hours_are_right_on_either_side_of_a_clock_change(
    zone: str, change: datetime, by_vobject: Callable[..., list[dict[str, Any]]]
) -> None:
    wanted = [
        change + timedelta(hours=hours) for hours in (-24 * 60, -24 * 5, -25, -2, -1, 0, 1, 2, 25, 24 * 5, 24 * 60)
    ]
    told = by_vobject(*(invitation(a_meeting(at, zone), Method.REQUEST).decode() for at in wanted))
    assert [datetime.fromisoformat(one["starts"]) for one in told] == wanted
    assert [datetime.fromisoformat(one["ends"]) for one in told] == [at + timedelta(minutes=45) for at in wanted]


@pytest.mark.parametrize(("zone", "change"), AROUND_CLOCK_CHANGES[:5], ids=lambda one: str(one)[:20])
def test_the_server_finds_them_at_their_hours(marias: CalendarOfSomebody, zone: str, change: datetime) -> None:
    for days in (-5, 5):
        at = change + timedelta(days=days)
        marias.accept(invitation(a_meeting(at, zone, uid=f"at{days}"), Method.REQUEST))
        assert marias.found_between(at, at + timedelta(minutes=45))
        assert not marias.found_between(at - HOUR, at)
        assert not marias.found_between(at + timedelta(minutes=45), at + 2 * HOUR)


def test_a_feed_is_read_with_all_its_meetings_and_words(by_vobject: Callable[..., list[dict[str, Any]]]) -> None:
    zone, change = AROUND_CLOCK_CHANGES[0]
    wanted = [change + timedelta(days=days) for days in (-30, -1, 1, 30, 300)]
    content = feed([a_meeting(at, zone, uid=f"{n}") for n, at in enumerate(wanted)], "Onward").decode()
    told = by_vobject(content)
    assert [datetime.fromisoformat(one["starts"]) for one in told] == wanted
    assert {one["summary"] for one in told} == {"Conversa; com vírgula, \\ e “aspas”"}
