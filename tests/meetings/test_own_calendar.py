"""A consultant's own calendar, asked for over real HTTP by the real worker: what it blocks, and what happens when it can't be read."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from sqlalchemy import func, select
from starlette.testclient import TestClient

from portal import vault
from portal.mail import Kind, LetterRow
from portal.meetings import actions, diary, foreign, own_calendar, queries
from portal.meetings.models import BusyCalendar, BusySpans, Meeting
from portal.meetings.own_calendar import READ_EVERY
from portal.meetings.rules import EPOCH, TICK, MeetingKind, unpacked_spans
from portal.settings import Settings, read_settings
from portal.worker import TIMETABLE, Worker
from tests.meetings.conftest import WEDNESDAY_10, WEDNESDAY_11, SignIn, World


class Elsewhere:
    """Somebody's calendar server, which answers whatever a test tells it to."""

    def __init__(self) -> None:
        self.content: bytes = calendar()
        self.status = 200
        self.etag = ""
        self.asked: list[dict[str, str]] = []
        elsewhere = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                elsewhere.asked.append({name.lower(): value for name, value in self.headers.items()})
                unchanged = elsewhere.etag and self.headers.get("If-None-Match") == elsewhere.etag
                self.send_response(304 if unchanged else elsewhere.status)
                if elsewhere.etag:
                    self.send_header("ETag", elsewhere.etag)
                self.send_header("Content-Length", "0" if unchanged else str(len(elsewhere.content)))
                self.end_headers()
                if not unchanged:
                    self.wfile.write(elsewhere.content)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.server.server_port}/private/s3cret/basic.ics"


def calendar(*entries: str) -> bytes:
    body = "".join(f"BEGIN:VEVENT\n{entry}\nEND:VEVENT\n" for entry in entries)
    return f"BEGIN:VCALENDAR\nVERSION:2.0\nPRODID:x\n{body}END:VCALENDAR\n".replace("\n", "\r\n").encode()


def taken(starts_at: datetime, minutes: int = 60, uid: str = "theirs") -> str:
    return f"UID:{uid}\nSUMMARY:Dentist\nDTSTART:{starts_at:%Y%m%dT%H%M%SZ}\nDURATION:PT{minutes}M"


@pytest.fixture
def elsewhere() -> Iterator[Elsewhere]:
    made = Elsewhere()
    thread = Thread(target=made.server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield made
    made.server.shutdown()
    made.server.server_close()
    thread.join()


@pytest.fixture
def settings(database_url: str, tmp_path: Path) -> Settings:
    """Those of the room, and private addresses allowed: the calendar's server is on this machine."""
    return read_settings(
        {
            "PORTAL_DATABASE_URL": database_url,
            "PORTAL_DATA_DIR": str(tmp_path),
            "PORTAL_BASE_URL": "http://testserver",
            "PORTAL_SECRET_KEY": "a secret for tests that nobody needs to keep",
            "PORTAL_ALLOW_PRIVATE_ADDRESSES": "1",
        }
    )


@pytest.fixture
def read(world: World, elsewhere: Elsewhere) -> Callable[[], BusyCalendar]:
    """Carla has given the address; each call is the worker's next turn, and gives what is known of the calendar then."""
    with world.database.write() as db:
        own_calendar.set_address(
            db, world.house, staff_id=world.carla, address=elsewhere.address, now=world.clock.now()
        )

    def turn() -> BusyCalendar:
        Worker(world.house, [job for job in TIMETABLE if job.name == "calendars"]).run_until_idle(world.clock.now())
        with world.database.read() as db:
            return db.get_one(BusyCalendar, world.carla)

    return turn


def later(world: World, by: timedelta = READ_EVERY) -> None:
    world.clock.set(world.clock.now() + by)


def starts(world: World, *, without: int | None = None, kind: MeetingKind = MeetingKind.CHECKUP) -> set[datetime]:
    with world.database.read() as db:
        found = diary.slots(
            db, world.carla, kind, now=world.clock.now(), zone="America/Sao_Paulo", without_meeting=without
        )
    return {slot.starts_at for slot in found}


def busy_times(world: World) -> list[tuple[datetime, datetime]]:
    with world.database.read() as db:
        kept = [unpacked_spans(packed, range(2**32)) for packed in db.scalars(select(BusySpans.packed))]
        return [(EPOCH + span.start * TICK, EPOCH + span.stop * TICK) for spans in kept for span in spans]


Read = Callable[[], BusyCalendar]


def test_a_busy_hour_of_theirs_cannot_be_booked(world: World, elsewhere: Elsewhere, read: Read) -> None:
    assert WEDNESDAY_10 in starts(world)
    elsewhere.content = calendar(taken(WEDNESDAY_10))
    assert (read().busy_count, read().failures) == (1, 0)
    free = starts(world)
    assert WEDNESDAY_10 not in free
    assert WEDNESDAY_11 in free
    with pytest.raises(actions.SlotTaken):
        world.book(WEDNESDAY_10)


def test_only_times_are_kept(world: World, elsewhere: Elsewhere, read: Read) -> None:
    elsewhere.content = calendar(taken(WEDNESDAY_10))
    read()
    assert {column.name for column in BusySpans.__table__.columns} == {"staff_id", "packed"}
    assert busy_times(world) == [(WEDNESDAY_10, WEDNESDAY_11)]


def test_the_address_is_stored_encrypted(world: World, elsewhere: Elsewhere, read: Read) -> None:
    row = read()
    assert "s3cret" not in row.locked_address
    assert row.host == "127.0.0.1"
    assert vault.take_out(world.house.secret, own_calendar.PURPOSE, row.locked_address) == elsewhere.address
    assert vault.take_out("another secret", own_calendar.PURPOSE, row.locked_address) is None
    assert vault.take_out(world.house.secret, "another purpose", row.locked_address) is None


def test_what_they_say_now_replaces_what_they_said(world: World, elsewhere: Elsewhere, read: Read) -> None:
    elsewhere.content = calendar(taken(WEDNESDAY_10))
    read()
    later(world)
    elsewhere.content = calendar(taken(WEDNESDAY_11), taken(WEDNESDAY_11 + timedelta(days=1), uid="another"))
    assert read().busy_count == 2
    assert WEDNESDAY_10 in starts(world)


def test_an_unchanged_calendar_costs_a_question_only(world: World, elsewhere: Elsewhere, read: Read) -> None:
    elsewhere.content, elsewhere.etag = calendar(taken(WEDNESDAY_10)), '"one"'
    read()
    later(world)
    row = read()
    assert [asked.get("if-none-match") for asked in elsewhere.asked] == [None, '"one"']
    assert row.read_at == world.clock.now()
    assert row.worked_out_at == world.clock.now() - READ_EVERY
    assert busy_times(world) == [(WEDNESDAY_10, WEDNESDAY_11)]
    later(world, timedelta(hours=12))  # worked out anew, for its repetitions reach further by now
    assert read().worked_out_at == world.clock.now()


@pytest.mark.parametrize(
    ("status", "content", "why"),
    [
        (200, b"<html>Please sign in</html>", foreign.NO_CALENDAR),
        (404, b"", own_calendar.NOT_THERE),
        (503, b"", own_calendar.NOT_NOW),
        (200, calendar("UID:x\nDTSTART:19700101T000000Z\nDURATION:PT1S\nRRULE:FREQ=SECONDLY"), foreign.TOO_OFTEN),
        (200, b"BEGIN:VCALENDAR\r\n" + b"X:" + b"y" * 10_000_000, "It is larger than %(megabytes)s MB."),
    ],
    ids=["a page", "gone", "in trouble", "every second", "ten megabytes"],
)
def test_the_last_good_state_stays_and_the_consultant_is_told(
    world: World, elsewhere: Elsewhere, read: Read, signed_in: SignIn, status: int, content: bytes, why: str
) -> None:
    elsewhere.content = calendar(taken(WEDNESDAY_10))
    good = read().read_at
    later(world)
    elsewhere.status, elsewhere.content = status, content
    row = read()
    assert (row.error, row.failures, row.read_at, row.busy_count) == (why, 1, good, 1)
    assert busy_times(world) == [(WEDNESDAY_10, WEDNESDAY_11)]
    page = signed_in(staff_id=world.carla).get("/staff/hours").text
    assert why.partition("%")[0].replace("’", "’") in page
    assert "still counts" in page


def test_it_is_asked_more_and_more_rarely_and_told_by_mail_once(world: World, elsewhere: Elsewhere, read: Read) -> None:
    elsewhere.status = 404
    pauses, letters = [], []
    for _ in range(8):
        row = read()
        pauses.append(row.try_at - world.clock.now())
        world.clock.set(row.try_at)
        letters.append(_warnings(world))
    minutes = [int(pause.total_seconds()) // 60 for pause in pauses]
    assert minutes == [15, 30, 60, 120, 240, 360, 360, 360]
    assert letters == [0, 0, 1, 1, 1, 1, 1, 1]
    elsewhere.status = 200
    row = read()
    assert (row.failures, row.error) == (0, "")
    world.clock.set(row.try_at)
    elsewhere.status = 404
    for _ in range(3):
        world.clock.set(read().try_at)
    assert _warnings(world) == 2


def _warnings(world: World) -> int:
    with world.database.read() as db:
        return db.scalar(select(func.count()).where(LetterRow.kind == Kind.CALENDAR_UNREADABLE)) or 0


def test_our_own_meeting_that_comes_back_stands_in_nobodys_way(world: World, elsewhere: Elsewhere, read: Read) -> None:
    meeting_id = world.book(WEDNESDAY_10)
    with world.database.read() as db:
        uid = db.get_one(Meeting, meeting_id).uid
    elsewhere.content = calendar(taken(WEDNESDAY_10, 45, uid=uid))
    assert read().busy_count == 0
    assert WEDNESDAY_10 in starts(world, without=meeting_id, kind=MeetingKind.KICKOFF)


def test_even_if_their_calendar_has_given_it_another_name(world: World, elsewhere: Elsewhere, read: Read) -> None:
    meeting_id = world.book(WEDNESDAY_10)
    elsewhere.content = calendar(taken(WEDNESDAY_10, 45, uid="renamed"))
    assert read().busy_count == 1
    assert WEDNESDAY_10 + timedelta(minutes=15) in starts(world, without=meeting_id, kind=MeetingKind.KICKOFF)
    assert WEDNESDAY_10 + timedelta(minutes=15) not in starts(world, kind=MeetingKind.KICKOFF)


def test_another_address_ends_what_the_old_one_said(world: World, elsewhere: Elsewhere, read: Read) -> None:
    elsewhere.content = calendar(taken(WEDNESDAY_10))
    read()
    with world.database.write() as db:
        own_calendar.set_address(
            db, world.house, staff_id=world.carla, address=elsewhere.address + "?2", now=world.clock.now()
        )
    assert busy_times(world) == []
    with world.database.write() as db:
        own_calendar.forget_address(db, staff_id=world.carla, now=world.clock.now())
    with world.database.read() as db:
        assert own_calendar.next_due(db) is None


def test_what_comes_from_an_address_that_was_changed_meanwhile_is_dropped(
    world: World, elsewhere: Elsewhere, read: Read
) -> None:
    task = own_calendar._take(world.house, world.clock.now())
    assert task is not None
    with world.database.write() as db:
        own_calendar.forget_address(db, staff_id=world.carla, now=world.clock.now())
    assert own_calendar.read_next(world.house, world.clock.now(), lambda: False) == 0
    assert busy_times(world) == []


def test_two_workers_do_not_ask_for_the_same(world: World, read: Read) -> None:
    now = world.clock.now()
    assert own_calendar._take(world.house, now) is not None
    assert own_calendar._take(world.house, now) is None
    assert own_calendar._take(world.house, now + own_calendar.LEASE) is not None  # the first one died


# The page


def hours(browser: TestClient) -> str:
    return browser.get("/staff/hours").text


def test_the_address_is_given_read_and_forgotten_on_the_page(
    world: World, elsewhere: Elsewhere, signed_in: SignIn
) -> None:
    browser = signed_in(staff_id=world.carla)
    elsewhere.content = calendar(taken(WEDNESDAY_10))
    answer = browser.post("/staff/hours/own-calendar", data={"address": elsewhere.address})
    assert (answer.status_code, answer.headers["location"]) == (303, "/staff/hours#own-calendar")
    assert "for the first time" in hours(browser)
    Worker(world.house, [job for job in TIMETABLE if job.name == "calendars"]).run_until_idle(world.clock.now())
    page = hours(browser)
    assert "1 busy time" in page
    assert "s3cret" not in page
    browser.post("/staff/hours/own-calendar/end")
    assert "1 busy time" not in hours(browser)
    with world.database.read() as db:
        assert queries.own_calendar(db, world.carla) is None


def test_an_address_that_is_none_is_refused_beside_the_field(world: World, signed_in: SignIn) -> None:
    browser = signed_in(staff_id=world.carla)
    answer = browser.post("/staff/hours/own-calendar", data={"address": "my calendar"})
    assert answer.status_code == 422
    assert "begins with https://" in answer.text
    assert 'value="my calendar"' in answer.text


def test_a_private_network_is_refused_unless_the_house_allows_it(world: World) -> None:
    closed = world.house.settings.model_copy(update={"allow_private_addresses": False})
    house = type(world.house)(closed, world.house.database, world.house.clock, world.house.holidays)
    with world.database.write() as db:
        for address in ("https://10.0.0.7/x.ics", "https://localhost/x.ics", "https://[::1]/x.ics"):
            with pytest.raises(own_calendar.NoSuchCalendar):
                own_calendar.set_address(db, house, staff_id=world.carla, address=address, now=world.clock.now())


def test_holidays_are_those_of_where_the_consultant_is(world: World, signed_in: SignIn) -> None:
    browser = signed_in(staff_id=world.carla)
    friday = datetime(2026, 7, 3, 13, tzinfo=UTC)  # observed in the United States that year
    thursday = datetime(2026, 7, 9, 13, tzinfo=UTC)  # São Paulo's own
    assert {friday, thursday} <= starts(world)
    browser.post("/staff/hours/holidays", data={"country": "US"})
    assert friday not in starts(world)
    browser.post("/staff/hours/holidays", data={"country": "BR", "state": "sp"})
    assert friday in starts(world)
    assert thursday not in starts(world)
    assert browser.post("/staff/hours/holidays", data={"country": "BR", "state": "XX"}).status_code == 422
    assert browser.post("/staff/hours/holidays", data={"country": "Atlantis"}).status_code == 422
    browser.post("/staff/hours/holidays", data={"country": "none"})
    assert {friday, thursday} <= starts(world)
