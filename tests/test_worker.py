"""Time passing: the loop over a timetable, rows put aside, several workers, the demo's clock."""

import threading
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import SecretStr
from sqlalchemy import Column, Integer, MetaData, String, Table, func, insert, select, update
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from portal.clock import Clock, FixedClock, SystemClock
from portal.db import Base, Database, DeploymentFact
from portal.errors import Refused
from portal.house import CLOCK_OFFSET, WORKER_SEEN_AT, House, set_clock
from portal.instants import UtcDateTime
from portal.settings import Settings
from portal.worker import IDLE_SECONDS, Job, JobCrashed, Worker, rows, work_until

NOW = datetime(2026, 6, 18, 10, 20, tzinfo=UTC)
CHORES = Table(
    "chores",
    MetaData(),
    Column("id", Integer, primary_key=True),
    Column("due_at", UtcDateTime(), nullable=False),
    Column("word", String(40), nullable=False),
    Column("done_at", UtcDateTime()),
    Column("times", Integer, nullable=False, default=0),
    Column("error", String(500), nullable=False, default=""),
)


@pytest.fixture
def chores(database: Database) -> Database:
    """A database with an empty table of chores besides the portal's own facts."""
    Base.metadata.create_all(database.write_engine, tables=[Base.metadata.tables["deployment_facts"]])
    CHORES.create(database.write_engine)
    return database


def a_house(database: Database, clock: Clock | None = None, *, demo: bool = False) -> House:
    settings = Settings(secret_key=SecretStr("s" * 40), demo=demo, database_url=str_url(database))
    return House.open(settings, clock) if demo else House(settings, database, clock or FixedClock(NOW), frozenset())


def str_url(database: Database) -> str:
    return database.url.render_as_string(hide_password=False)


def add(database: Database, *words: str, due_at: datetime = NOW) -> None:
    with database.write() as db:
        db.execute(insert(CHORES), [{"word": word, "due_at": due_at} for word in words])


def told(database: Database, column: str) -> dict[str, Any]:
    with database.read() as db:
        return {
            word: value for word, value in db.execute(select(CHORES.c.word, CHORES.c[column]).order_by(CHORES.c.id))
        }


def chore_job(*, batch: int = 500, do: Callable[..., None] | None = None, name: str = "chores") -> Job:
    """A room's job over chores; `do` may do more than mark them."""
    waiting = [CHORES.c.done_at.is_(None), CHORES.c.error == ""]

    def claim(db: Session, now: datetime, limit: int) -> Sequence[Any]:
        due = select(CHORES.c.id, CHORES.c.word).where(*waiting, CHORES.c.due_at <= now)
        return db.execute(
            due.order_by(CHORES.c.due_at, CHORES.c.id).limit(limit).with_for_update(skip_locked=True)
        ).all()

    def mark(db: Session, house: House, some: Sequence[Any], now: datetime) -> None:
        done = update(CHORES).where(CHORES.c.id.in_([row.id for row in some]))
        db.execute(done.values(done_at=now, times=CHORES.c.times + 1))
        for row in some:
            if do is not None:
                do(db, row.word, now)

    def put_aside(db: Session, row: Any, error: str, now: datetime) -> None:
        db.execute(update(CHORES).where(CHORES.c.id == row.id).values(error=error))

    def next_due(db: Session) -> datetime | None:
        return db.scalar(select(func.min(CHORES.c.due_at)).where(*waiting))

    return rows(name, claim=claim, do=mark, put_aside=put_aside, next_due=next_due, batch=batch)


def never(_db: Session) -> datetime | None:
    return None


def always(_db: Session) -> datetime:
    return NOW


# One row at a time


def test_what_is_due_is_done_in_batches_and_what_is_not_waits(chores: Database) -> None:
    add(chores, "a", "b", "c")
    add(chores, "tomorrow", due_at=NOW + timedelta(days=1))
    worker = Worker(a_house(chores), [chore_job(batch=2)])
    assert worker.next_due() == NOW
    assert worker.run_until_idle(NOW) == 3
    assert told(chores, "times") == {"a": 1, "b": 1, "c": 1, "tomorrow": 0}
    assert worker.next_due() == NOW + timedelta(days=1)
    assert worker.run_until_idle(NOW) == 0


def test_a_row_that_crashes_is_put_aside_with_its_error_and_undone_alone(
    chores: Database, caplog: pytest.LogCaptureFixture
) -> None:
    def follow(db: Session, word: str, now: datetime) -> None:
        db.execute(insert(CHORES), [{"word": f"after {word}", "due_at": now, "done_at": now}])
        if word == "bad":
            raise LookupError("no such stage")

    add(chores, "a", "bad", "c")
    worker = Worker(a_house(chores), [chore_job(do=follow)])
    assert worker.run_until_idle(NOW) == 3
    assert told(chores, "error") == {
        "a": "",
        "bad": "LookupError: no such stage",
        "c": "",
        "after a": "",
        "after c": "",
    }
    assert told(chores, "times") == {"a": 1, "bad": 0, "c": 1, "after a": 0, "after c": 0}
    assert worker.next_due() is None
    assert [record.name for record in caplog.records] == ["portal.worker", "portal.worker"]


def test_what_a_row_makes_due_is_done_in_the_same_go(chores: Database) -> None:
    def follow(db: Session, word: str, now: datetime) -> None:
        if len(word) < 4:
            db.execute(insert(CHORES), [{"word": word + "x", "due_at": now}])

    add(chores, "x")
    assert Worker(a_house(chores), [chore_job(do=follow)]).run_until_idle(NOW) == 4
    assert told(chores, "times") == {"x": 1, "xx": 1, "xxx": 1, "xxxx": 1}


def test_a_job_that_crashes_as_a_whole_is_said_aloud_and_stops_no_other(chores: Database) -> None:
    def crashes(_house: House, _now: datetime, _stopping: object) -> int:
        raise ZeroDivisionError

    add(chores, "a")
    worker = Worker(a_house(chores), [Job("broken", crashes, always), chore_job()])
    with pytest.raises(JobCrashed, match="broken"):
        worker.run_until_idle(NOW)
    assert told(chores, "times") == {"a": 1}


def test_an_idle_worker_never_asks_to_write(chores: Database) -> None:
    asked: list[str] = []

    def run(_house: House, _now: datetime, _stopping: object) -> int:
        asked.append("run")
        return 0

    later = Job("later", run, lambda _db: NOW + timedelta(seconds=1))
    assert Worker(a_house(chores), [Job("never", run, never), later]).run_until_idle(NOW) == 0
    assert asked == []


def test_two_workers_do_each_row_once_over_many_rounds(chores: Database) -> None:
    houses = [a_house(chores), a_house(Database(str_url(chores)))]
    workers = [Worker(house, [chore_job(batch=3)]) for house in houses]
    together = threading.Barrier(2)
    failures: list[BaseException] = []

    def work(worker: Worker) -> None:
        try:
            for n in range(15):
                if worker is workers[0]:
                    add(chores, *(f"{n}:{m}" for m in range(20)))
                together.wait(timeout=60)
                worker.run_until_idle(NOW)
                together.wait(timeout=60)
        except BaseException as failure:
            failures.append(failure)
            together.abort()

    threads = [threading.Thread(target=work, args=(worker,)) for worker in workers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    houses[1].database.close()
    assert failures == []
    assert set(told(chores, "times").values()) == {1}
    assert len(told(chores, "times")) == 300


# The loop


class Stopper:
    """A job that stops its worker at the n-th asking, and may do something at each."""

    def __init__(self, asked: int, each: Callable[[int], None] = lambda _n: None) -> None:
        self.left, self.each, self.asked = asked, each, 0
        self.worker: Worker | None = None

    def __call__(self, _house: House, _now: datetime, _stopping: object) -> int:
        self.asked += 1
        if self.asked == self.left and self.worker is not None:
            self.worker.stop()
        self.each(self.asked)
        return 1


def test_stopping_ends_the_loop_after_the_batch_in_hand(chores: Database) -> None:
    stopper = Stopper(3)
    after = Stopper(99)
    stopper.worker = Worker(a_house(chores), [Job("a", stopper, always), Job("b", after, always)])
    stopper.worker.run()
    assert (stopper.asked, after.asked) == (3, 2)


def test_the_heartbeat_is_written_by_the_machines_clock_once_in_ten_seconds(chores: Database) -> None:
    machine = FixedClock(NOW)
    seen: list[str | None] = []

    def tick(_n: int) -> None:
        with chores.read() as db:
            seen.append(db.scalar(select(DeploymentFact.value).where(DeploymentFact.name == WORKER_SEEN_AT)))
        machine.set(machine.now() + timedelta(seconds=6))

    stopper = Stopper(5, tick)
    demo_clock = FixedClock(NOW + timedelta(days=90))
    stopper.worker = Worker(a_house(chores, demo_clock), [Job("a", stopper, always)], machine=machine)
    stopper.worker.run()
    assert seen == [(NOW + timedelta(seconds=seconds)).isoformat() for seconds in (0, 0, 12, 12, 24)]


def test_a_database_that_is_away_is_waited_for(chores: Database, caplog: pytest.LogCaptureFixture) -> None:
    def away(n: int) -> None:
        if n == 1:
            raise OperationalError("SELECT 1", {}, Exception("server closed the connection"))

    stopper = Stopper(2, away)
    stopper.worker = Worker(a_house(chores), [Job("a", stopper, always)])
    stopper.worker.run()
    assert stopper.asked == 2
    assert [record.getMessage()[:44] for record in caplog.records] == ["the database is away, trying again in 1 s: ("]
    assert IDLE_SECONDS == 1


# The demo's clock


@pytest.fixture
def demo(chores: Database) -> Iterator[House]:
    house = a_house(chores, demo=True)
    yield house
    house.database.close()


def test_the_demo_lives_each_thing_at_its_own_time(demo: House, chores: Database) -> None:
    start = demo.clock.now()
    days = {f"day {n}": start + timedelta(days=n) for n in (1, 30, 60, 200)}
    for word, due_at in days.items():
        add(chores, word, due_at=due_at)

    def follow(db: Session, word: str, now: datetime) -> None:
        if word == "day 30":
            db.execute(insert(CHORES), [{"word": "reminder", "due_at": now + timedelta(days=3)}])

    until = start + timedelta(days=90)
    assert work_until(demo, until, [chore_job(do=follow)]) == 4
    assert told(chores, "done_at") == {
        "day 1": days["day 1"], "day 30": days["day 30"], "day 60": days["day 60"], "day 200": None,
        "reminder": days["day 30"] + timedelta(days=3),
    }  # fmt: skip
    assert timedelta(0) <= demo.clock.now() - until < timedelta(minutes=1)


def test_the_demos_clock_never_goes_back(demo: House) -> None:
    ahead = SystemClock().now() + timedelta(days=40)
    set_clock(demo, ahead)
    assert work_until(demo, ahead - timedelta(days=5), []) == 0
    assert timedelta(0) <= demo.clock.now() - ahead < timedelta(minutes=1)
    with demo.database.read() as db:
        assert db.scalar(select(func.count()).where(DeploymentFact.name == CLOCK_OFFSET)) == 1


def test_the_demos_clock_waits_for_what_another_worker_has_in_hand(demo: House, chores: Database) -> None:
    start = demo.clock.now()
    add(chores, "next week", due_at=start + timedelta(days=7))
    asked = []

    def in_hand(_db: Session) -> int:
        asked.append(demo.clock.now())
        return 1 if len(asked) < 4 else 0

    busy = Job("busy elsewhere", Stopper(99), never, in_hand=in_hand)
    work_until(demo, start + timedelta(days=8), [busy, chore_job()])
    assert {moment - start < timedelta(minutes=1) for moment in asked[:4]} == {True}
    assert told(chores, "times") == {"next week": 1}


def test_time_passes_by_command_only_in_the_demo(chores: Database) -> None:
    with pytest.raises(Refused, match="PORTAL_DEMO=1"):
        work_until(a_house(chores), NOW + timedelta(days=1), [])


def test_housekeeping_does_not_hold_up_the_demos_clock(demo: House) -> None:
    stopper = Stopper(99)
    hourly = Job("hourly", lambda *_: 0, lambda _db: demo.clock.now(), moves_the_clock=False)
    work_until(demo, demo.clock.now() + timedelta(days=300), [hourly, Job("never", stopper, never)])
    assert stopper.asked == 0
