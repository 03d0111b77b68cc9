"""Statements that go to the driver as they are, and connections that the server has ended."""

import itertools
import signal
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import Column, Integer, MetaData, String, Table, bindparam, func, insert, select, text, update
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlalchemy.orm import Session

from portal.audit import AuditEvent, Happened
from portal.db import (
    Database,
    DeploymentFact,
    insert_all,
    insert_few,
    insert_new,
    rows_of,
    rows_of_each,
    send,
    together,
    update_each,
    write_down,
)

AT = datetime(2026, 3, 4, 17, 30, 5, 250_000, tzinfo=UTC)
EVENTS = AuditEvent.__table__
NEW = insert(EVENTS).returning(EVENTS.c.id)  # type: ignore[arg-type]
MOVED = (
    update(EVENTS)  # type: ignore[arg-type]
    .where(EVENTS.c.what == Happened.SIGNED_IN, EVENTS.c.by == bindparam("who"))
    .values(at=bindparam("new_at"), journey_id=EVENTS.c.journey_id + 1)
)

FACTS = DeploymentFact.__table__
NEW_FACT = insert(FACTS)  # type: ignore[arg-type]
CHANGED = update(FACTS).where(FACTS.c.name == bindparam("which")).values(value=bindparam("new"))  # type: ignore[arg-type]


def event(number: int = 1, **other: object) -> dict[str, object]:
    return {"at": AT, "what": Happened.SIGNED_IN, "by": f"contact:{number}", "journey_id": number, **other}


def kept(database: Database) -> list[tuple[object, ...]]:
    wanted = select(EVENTS.c.at, EVENTS.c.what, EVENTS.c.by, EVENTS.c.journey_id, EVENTS.c.detail)
    with database.read() as db:
        return [tuple(row) for row in db.execute(wanted.order_by(EVENTS.c.by))]


def test_what_is_sent_arrives_as_it_would_otherwise(database: Database) -> None:
    with database.write() as db:
        first = send(db, NEW, event(1, detail={"from": 3, "words": "não"})).scalar_one()
        second = send(db, NEW, event(2)).scalar_one()  # `detail` has a default, made anew for each
        later = (AT + timedelta(hours=1)).astimezone(ZoneInfo("America/Sao_Paulo"))
        moved = send(db, MOVED, {"who": "contact:2", "new_at": later}).rowcount
        nobody = send(db, MOVED, {"who": "contact:9", "new_at": AT}).rowcount
    assert (second - first, moved, nobody) == (1, 1, 0)
    assert kept(database) == [
        (AT, Happened.SIGNED_IN, "contact:1", 1, {"from": 3, "words": "não"}),
        (AT + timedelta(hours=1), Happened.SIGNED_IN, "contact:2", 3, {}),
    ]


def test_a_few_rows_are_one_statement_and_many_are_too(database: Database) -> None:
    """Told apart by their number: what arrives is the same, and what is there already changes nothing."""
    for count in (1, 3, 4, 5, 40):
        with database.write() as db:
            db.execute(text("DELETE FROM audit_events"))
            insert_new(db, EVENTS, [event(n, id=n, detail={"n": n}) for n in range(1, count + 1)], known_by=("id",))
            insert_new(db, EVENTS, [event(n, id=n, detail={"n": 0}) for n in range(1, count + 1)], known_by=("id",))
            update_each(db, EVENTS, [{"id": n, "journey_id": n * 10} for n in range(1, count + 1)], by=("id",))
        assert sorted((row[3], row[4]["n"]) for row in kept(database)) == [(n * 10, n) for n in range(1, count + 1)]  # type: ignore[index]


def test_several_rows_may_leave_columns_to_their_defaults(database: Database) -> None:
    with database.write() as db:
        insert_all(db, EVENTS, [event(1), event(2)])
    assert [(row[2], row[4]) for row in kept(database)] == [("contact:1", {}), ("contact:2", {})]


def test_what_is_sent_is_found_by_what_others_ask(database: Database) -> None:
    """Instants are written the same in both ways: SQLite compares them as text."""
    with database.write() as db:
        for at in (AT, AT.replace(microsecond=0)):
            send(db, NEW, event(1) | {"at": at})
            db.add(AuditEvent(**event(1) | {"at": at}))
            db.flush()
            assert db.scalar(select(func.count()).where(EVENTS.c.at == at)) == 2


def test_a_default_that_is_made_anew_is_never_kept_in_a_statement() -> None:
    numbers = itertools.count(1)
    table = Table("made", MetaData(), Column("name", String), Column("nonce", Integer, default=lambda: next(numbers)))
    with pytest.raises(ValueError, match="made anew"):
        insert_few("sqlite", table, ["name"], 2)


def test_what_waits_in_the_session_is_written_first(database: Database) -> None:
    with database.write() as db:
        db.add(AuditEvent(**event(7)))
        assert send(db, MOVED, {"who": "contact:7", "new_at": AT}).rowcount == 1


def test_a_value_without_a_place_and_a_list_are_mistakes(database: Database) -> None:
    with database.write() as db:
        with pytest.raises(ValueError, match="nowhere"):
            send(db, MOVED, {"who": "contact:1", "new_at": AT, "nowhere": 1})
        with pytest.raises(ValueError, match="a zone"):
            send(db, MOVED, {"who": "contact:1", "new_at": AT.replace(tzinfo=None)})
        several = MOVED.where(EVENTS.c.id.in_(bindparam("ids", expanding=True)))
        with pytest.raises(ValueError, match="list of values"):
            send(db, several, {"who": "contact:1", "new_at": AT, "ids": [1]})


def test_connections_that_the_server_ended_are_opened_anew(database: Database) -> None:
    """As after a restart of PostgreSQL: nobody gets an error page for it."""
    if database.dialect != "postgresql":
        pytest.skip("SQLite has no server")
    own = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    with database.write() as one, database.write() as another, database.read() as third:
        for db in (one, another, third):
            db.execute(text("SELECT 1"))
    other = Database(database.url.render_as_string(hide_password=False))
    try:
        with other.write() as db:
            ended = db.execute(text(f"SELECT pg_terminate_backend(pid, 5000) FROM ({own}) AS known")).scalars().all()  # noqa: S608
    finally:
        other.close()
    assert len(ended) >= 3
    assert all(ended)
    for _ in range(4):
        with database.write() as db:
            assert db.scalar(text("SELECT 1")) == 1
        with database.read() as db:
            assert db.scalar(text("SELECT 1")) == 1


def test_what_goes_together_arrives_in_its_order(database: Database) -> None:
    """Rows and a change of them, told to one table and to another, more than one statement may hold."""
    first = AT - timedelta(days=1)
    with database.write() as db, together(db):
        for number in range(1, 21):
            insert_new(db, EVENTS, [event(number)], known_by=("id",))
            insert_all(db, FACTS, [{"name": f"fact {number}", "value": "1"}])
            write_down(db, MOVED, {"who": f"contact:{number}", "new_at": first})
            write_down(db, CHANGED, {"which": f"fact {number}", "new": str(number * 10)})
    assert sorted((row[0], row[3]) for row in kept(database)) == [(first, n + 1) for n in range(1, 21)]
    with database.read() as db:
        facts = dict(db.execute(select(FACTS.c.name, FACTS.c.value).where(FACTS.c.name.like("fact %"))).all())
    assert facts == {f"fact {n}": str(n * 10) for n in range(1, 21)}


def test_what_goes_together_is_there_for_whoever_asks_and_gone_with_a_failure(database: Database) -> None:
    with database.write() as db, together(db):
        write_down(db, NEW_FACT, {"name": "one", "value": "1"})
        assert [row.value for row in rows_of(db, select(FACTS.c.value).where(FACTS.c.name == "one"))] == ["1"]

    def write_and_fail(*, name: str, fails: Exception | None) -> None:
        with database.write() as db, together(db):
            insert_all(db, EVENTS, [event(1)])
            write_down(db, NEW_FACT, {"name": name, "value": "2"})
            if fails is not None:
                raise fails

    with pytest.raises(RuntimeError):
        write_and_fail(name="two", fails=RuntimeError())
    with pytest.raises(IntegrityError):
        write_and_fail(name="one", fails=None)
    with database.read() as db:
        assert db.scalars(select(FACTS.c.value).where(FACTS.c.name.in_(["one", "two"]))).all() == ["1"]
    assert kept(database) == []


BY_NAME = select(FACTS.c.name, FACTS.c.value).where(FACTS.c.name == bindparam("name"))
HOW_MANY = select(func.count()).select_from(FACTS).where(FACTS.c.name.like("fact %"))


def test_what_waits_is_seen_by_every_way_of_asking(database: Database) -> None:
    for number in range(6):  # the first few of a question go with SQLAlchemy, the others past it
        name = {"name": f"fact {number}"}
        with database.write() as db:
            with together(db):
                write_down(db, NEW_FACT, {**name, "value": "1"})
            assert [tuple(row) for row in rows_of(db, BY_NAME, name)] == [(name["name"], "1")]
            with together(db):
                write_down(db, CHANGED, {"which": name["name"], "new": "2"})
                write_down(db, CHANGED, {"which": name["name"], "new": "3"})
            (row,), (count,) = rows_of_each(db, (BY_NAME, name), (HOW_MANY, {}))
            assert (row.value, count[0]) == ("3", number + 1)
            with together(db):
                write_down(db, CHANGED, {"which": name["name"], "new": "4"})
            assert db.get_one(DeploymentFact, name["name"]).value == "4"
            with together(db):
                write_down(db, CHANGED, {"which": name["name"], "new": "5"})
        with database.read() as db:
            assert [row.value for row in rows_of(db, BY_NAME, name)] == ["5"]


def test_what_asks_a_table_comes_after_what_writes_it(database: Database) -> None:
    known = select(FACTS.c.value).where(FACTS.c.name == bindparam("which")).scalar_subquery()
    told = update(EVENTS).where(EVENTS.c.by == bindparam("who")).values(detail={}, by=known)  # type: ignore[arg-type]
    with database.write() as db:
        db.execute(NEW, event(1))
        with together(db):
            write_down(db, NEW_FACT, {"name": "fact 1", "value": "contact:8"})
            write_down(db, told, {"who": "contact:1", "which": "fact 1"})
            db.add(DeploymentFact(name="fact 2", value="contact:9"))  # and so does what the session has yet to write
            write_down(db, told, {"who": "contact:8", "which": "fact 2"})
    assert [by for _, _, by, *_ in kept(database)] == ["contact:9"]


def test_a_savepoint_undoes_what_was_sent_past_the_session_too(database: Database) -> None:
    def tried(db: Session, name: str) -> None:
        with db.begin_nested():
            write_down(db, NEW_FACT, {"name": name, "value": "within"})
            raise LookupError

    with database.write() as db:
        with together(db):
            write_down(db, NEW_FACT, {"name": "fact 1", "value": "before"})
        with pytest.raises(LookupError):
            tried(db, "fact 2")
        with together(db):
            with pytest.raises(LookupError):
                tried(db, "fact 3")
            with db.begin_nested():
                write_down(db, NEW_FACT, {"name": "fact 4", "value": "within"})
            write_down(db, NEW_FACT, {"name": "fact 5", "value": "behind"})
    with database.read() as db:
        assert list(db.scalars(select(FACTS.c.name).order_by(FACTS.c.name))) == ["fact 1", "fact 4", "fact 5"]


def test_what_waits_and_cant_be_kept_fails_the_commit_and_nothing_else(database: Database) -> None:
    with database.write() as db, together(db):
        write_down(db, NEW_FACT, {"name": "fact 0", "value": "1"})

    def again(number: int) -> None:
        with database.write() as db, together(db):
            insert_all(db, EVENTS, [event(number)])
            write_down(db, NEW_FACT, {"name": "fact 0", "value": "2"})

    for number in range(30):  # more often than there are connections
        with pytest.raises(IntegrityError):
            again(number)
        with database.write() as db, together(db):
            write_down(db, CHANGED, {"which": "fact 0", "new": str(number)})
    assert kept(database) == []
    with database.read() as db:
        assert db.scalar(select(FACTS.c.value)) == "29"


def test_postgresql_gets_what_waits_in_one_way_there_and_back(database: Database) -> None:
    if database.dialect != "postgresql":
        pytest.skip("SQLite is no way off")
    ways: list[int] = []
    with database.write() as db, together(db):
        write_down(db, NEW_FACT, {"name": "fact 0", "value": "1"})
        write_down(db, CHANGED, {"which": "fact 0", "new": "2"})
        driver = db.connection().connection.driver_connection
        assert driver is not None
        assert driver.info.transaction_status.name == "IDLE"  # not even begun
        ways.append(1)
    with database.read() as db:
        assert (ways, db.scalar(select(FACTS.c.value))) == ([1], "2")


def test_a_connection_that_ends_within_a_unit_of_work_fails_it_and_no_other(database: Database) -> None:
    if database.dialect != "postgresql":
        pytest.skip("SQLite has no server")
    other = Database(database.url.render_as_string(hide_password=False))

    def cut_short(number: int) -> None:
        with database.write() as db, together(db):
            send(db, NEW, event(number))
            mine = db.scalar(text("SELECT pg_backend_pid()"))
            with other.write() as their_db:
                assert their_db.scalar(text(f"SELECT pg_terminate_backend({mine}, 5000)"))
            write_down(db, NEW_FACT, {"name": f"fact {number}", "value": "1"})

    try:
        for number in range(3):
            with pytest.raises(OperationalError) as failed:
                cut_short(number)
            assert failed.value.connection_invalidated
            with database.write() as db, together(db):
                write_down(db, NEW_FACT, {"name": f"other {number}", "value": "1"})
    finally:
        other.close()
    assert kept(database) == []
    with database.read() as db:
        assert len(db.scalars(select(FACTS.c.name)).all()) == 3


def test_plans_outlive_what_was_refused(database: Database) -> None:
    """A form that is refused would cost those behind it their plans otherwise."""
    if database.dialect != "postgresql":
        pytest.skip("SQLite plans anew each time")
    plans = text("SELECT count(*) FROM pg_prepared_statements WHERE statement LIKE 'INSERT INTO deployment_facts%'")

    def tried(db: Session, number: int) -> None:
        with db.begin_nested():
            send(db, NEW_FACT, {"name": f"within {number}", "value": "1"})
            raise LookupError

    def refused(number: int) -> None:
        with database.write() as db:
            with pytest.raises(LookupError):
                tried(db, number)
            send(db, NEW_FACT, {"name": f"fact {number}", "value": "1"})
            raise LookupError

    for number in range(4):
        with pytest.raises(LookupError):
            refused(number)
    with database.write() as db:
        assert db.scalar(plans) == 1
        assert db.scalar(select(func.count()).select_from(FACTS)) == 0


def test_rows_with_other_names_are_a_mistake(database: Database) -> None:
    one, more = {"name": "fact 1", "value": "1"}, {"value": "2", "name": "fact 2", "by": "nobody"}
    with database.write() as db:
        for write in (
            lambda: insert_all(db, FACTS, [one, more]),
            lambda: send(db, NEW_FACT, one, more),
            lambda: write_down(db, NEW_FACT, one, more),
        ):
            with pytest.raises(ValueError, match="the same names"):
                write()
        insert_all(db, FACTS, [one, {"value": "2", "name": "fact 2"}])  # in another order
    with database.read() as db:
        assert db.execute(select(FACTS).order_by(FACTS.c.name)).all() == [("fact 1", "1"), ("fact 2", "2")]


def test_a_savepoint_whose_waiting_writes_are_refused_is_undone_and_the_rest_goes_on(database: Database) -> None:
    def tried(db: Session) -> None:
        with db.begin_nested():
            write_down(db, NEW_FACT, {"name": "fact 2", "value": "within"})
            write_down(db, NEW_FACT, {"name": "fact 1", "value": "again"})

    with database.write() as db, together(db):
        write_down(db, NEW_FACT, {"name": "fact 1", "value": "before"})
        for _ in range(3):
            with pytest.raises(IntegrityError):
                tried(db)
        write_down(db, NEW_FACT, {"name": "fact 3", "value": "behind"})
    with database.read() as db:
        assert db.scalars(select(FACTS.c.name).order_by(FACTS.c.name)).all() == ["fact 1", "fact 3"]


class Interrupted(BaseException):
    """As KeyboardInterrupt is, which pytest would take for its own."""


def test_who_is_interrupted_hears_so_and_nothing_is_kept(database: Database) -> None:
    if database.dialect != "postgresql":
        pytest.skip("SQLite is no way off")
    other = Database(database.url.render_as_string(hide_password=False))

    def interrupt(*_: object) -> None:
        raise Interrupted

    def held_up(*, nested: bool) -> None:
        with database.write() as db, together(db), db.begin_nested() if nested else nullcontext():
            write_down(db, NEW_FACT, {"name": "ghost", "value": "1"})
            if nested:
                rows_of(db, select(FACTS.c.name))

    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        for nested in (False, True):
            with other.write() as their_db:
                their_db.execute(text("LOCK TABLE deployment_facts"))
                signal.setitimer(signal.ITIMER_REAL, 0.3)
                with pytest.raises(Interrupted):
                    held_up(nested=nested)
            with database.write() as db, together(db):
                write_down(db, NEW_FACT, {"name": f"fact {nested}", "value": "1"})
    finally:
        signal.signal(signal.SIGALRM, before)
        other.close()
    with database.read() as db:
        assert db.scalars(select(FACTS.c.name).order_by(FACTS.c.name)).all() == ["fact False", "fact True"]
