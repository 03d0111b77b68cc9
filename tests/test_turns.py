"""Who waits to write to SQLite at the same time goes in one transaction, and nobody notices but by the time it takes."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import event, select, text
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlalchemy.orm import Session

from portal.db import Database, DeploymentFact, migrate
from portal.turns import MOST_AT_ONCE, Turns


@pytest.fixture(scope="module")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("turns") / "turns.sqlite"
    migrate(f"sqlite:///{path}")
    return path


@pytest.fixture
def database(migrated: Path) -> Iterator[Database]:
    database = Database(f"sqlite:///{migrated}")
    with database.write() as db:
        db.execute(text("DELETE FROM deployment_facts"))
    yield database
    database.close()


def note(database: Database, name: str, value: str = "") -> str:
    with database.write() as db:
        db.add(DeploymentFact(name=name, value=value))
    return name


def noted(database: Database) -> list[str]:
    with database.read() as db:
        return list(db.scalars(select(DeploymentFact.name).order_by(DeploymentFact.name)))


def all_at_once(database: Database, *works: Callable[[], object]) -> list[object]:
    """What each gave, or its error, where all of them wait behind one that has begun."""

    async def everybody() -> list[object]:
        turns, begun, may_end = Turns(database), threading.Event(), threading.Event()

        def first() -> None:
            begun.set()
            assert may_end.wait(10)

        before = asyncio.create_task(turns.take(first))
        await asyncio.to_thread(begun.wait, 10)
        waiting = [asyncio.create_task(turns.take(work)) for work in works]
        await asyncio.sleep(0)  # each has taken its place
        may_end.set()
        await before
        return await asyncio.gather(*waiting, return_exceptions=True)

    return asyncio.run(everybody())


def test_those_that_wait_are_committed_together_and_each_hears_what_came_of_it(database: Database) -> None:
    begun: list[None] = []
    event.listen(database.write_engine, "begin", lambda _connection: begun.append(None))
    names = [f"fact {n:02}" for n in range(2 * MOST_AT_ONCE + 1)]
    assert all_at_once(database, *(lambda name=name: note(database, name) for name in names)) == names  # type: ignore[misc]
    assert noted(database) == names
    assert len(begun) == 3


def test_what_one_fails_with_is_its_own(database: Database) -> None:
    def half_done() -> None:
        with database.write() as db:
            db.add(DeploymentFact(name="half", value=""))
            db.flush()
            raise LookupError("on the way")

    def twice() -> None:
        note(database, "same")

    given = all_at_once(database, lambda: note(database, "a"), half_done, twice, twice, lambda: note(database, "z"))
    assert [type(each) for each in given] == [str, LookupError, type(None), IntegrityError, str]
    assert noted(database) == ["a", "same", "z"]


def test_whatever_one_fails_with_it_and_all_behind_it_are_told(database: Database) -> None:
    def finds_nothing() -> None:
        with database.write():
            next(iter(()))

    async def within(seconds: float) -> list[object]:
        turns = Turns(database)
        works = [lambda: note(database, "a"), finds_nothing, lambda: note(database, "b")]
        told = asyncio.gather(*(turns.take(work) for work in works), return_exceptions=True)
        return await asyncio.wait_for(told, seconds)

    given = asyncio.run(within(10))
    assert [type(each) for each in given] == [str, RuntimeError, str]
    assert noted(database) == ["a", "b"]


def test_a_savepoint_within_one_of_them_is_undone_by_itself(database: Database) -> None:
    def tries() -> None:
        with database.write() as db:
            db.add(DeploymentFact(name="kept", value=""))
            with pytest.raises(IntegrityError), db.begin_nested():
                db.add_all([DeploymentFact(name="tried", value=""), DeploymentFact(name="a" * 41, value=None)])

    def after_all() -> None:  # another unit of work behind the first, as a refusal writes it
        note(database, "first")
        note(database, "second")

    all_at_once(database, tries, after_all)
    assert noted(database) == ["first", "kept", "second"]


def test_each_sees_what_those_before_it_wrote_and_none_is_lost(database: Database) -> None:
    note(database, "count", "0")

    def one_more() -> None:
        with database.write() as db:
            row = db.get_one(DeploymentFact, "count")
            row.value = str(int(row.value) + 1)

    async def rounds() -> None:
        turns = Turns(database)
        for _ in range(40):
            await asyncio.gather(*(turns.take(one_more) for _ in range(50)))
            with database.read() as db:  # nobody was told before it was kept
                values.append(db.get_one(DeploymentFact, "count").value)

    values: list[str] = []
    asyncio.run(rounds())
    assert values == [str(50 * (n + 1)) for n in range(40)]


def test_what_cant_be_committed_is_said_to_all_of_them(database: Database) -> None:
    def leaves_a_hole() -> None:
        with database.write() as db:
            db.execute(text("PRAGMA defer_foreign_keys = on"))
            db.execute(text("INSERT INTO follow_ups (journey_id, day, converted_why) VALUES (404, 30, '')"))

    given = all_at_once(database, lambda: note(database, "a"), leaves_a_hole, lambda: note(database, "b"))
    assert [type(each) for each in given] == [IntegrityError] * 3
    assert noted(database) == []
    assert all_at_once(database, lambda: note(database, "a"), lambda: note(database, "b")) == ["a", "b"]


def test_who_keeps_in_memory_what_was_written_hears_that_all_of_it_was_rolled_back(database: Database) -> None:
    def leaves_a_hole() -> None:
        with database.write() as db:
            db.execute(text("PRAGMA defer_foreign_keys = on"))
            db.execute(text("INSERT INTO follow_ups (journey_id, day, converted_why) VALUES (404, 30, '')"))

    kept: set[str] = set()

    def keeps() -> None:
        kept.add(note(database, "a"))

    def forgets(_db: Session) -> None:
        kept.clear()

    event.listen(Session, "after_rollback", forgets)
    try:
        all_at_once(database, keeps, leaves_a_hole)
    finally:
        event.remove(Session, "after_rollback", forgets)
    assert (noted(database), kept) == ([], set())


def test_where_sqlite_gives_up_the_whole_transaction_nothing_is_kept_by_halves(database: Database) -> None:
    def loses_it() -> None:
        with database.write() as db:
            db.connection().connection.driver_connection.execute("ROLLBACK")  # type: ignore[union-attr]

    given = all_at_once(database, lambda: note(database, "a"), loses_it, lambda: note(database, "b"))
    assert [type(each) for each in given] == [OperationalError] * 3
    assert noted(database) == []


def test_who_stopped_waiting_keeps_nobody_from_theirs(database: Database) -> None:
    async def some_leave() -> list[object]:
        turns = Turns(database)
        waiting = [asyncio.create_task(turns.take(lambda n=n: note(database, f"{n}"))) for n in range(6)]  # type: ignore[misc]
        await asyncio.sleep(0)
        for gone in waiting[::2]:
            gone.cancel()
        return await asyncio.gather(*waiting, return_exceptions=True)

    given = asyncio.run(some_leave())
    assert [type(each) for each in given] == [asyncio.CancelledError, str] * 3
    assert noted(database) == [f"{n}" for n in range(6)]  # what was sent was sent
