"""Questions asked again and again go to the driver as they are, and what comes back is what SQLAlchemy gives."""

import gc
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import (
    Boolean,
    Column,
    Date,
    Executable,
    Integer,
    MetaData,
    Numeric,
    String,
    Table,
    bindparam,
    case,
    event,
    func,
    insert,
    literal,
    null,
    select,
    text,
    type_coerce,
    union_all,
    update,
)
from sqlalchemy.exc import DBAPIError, IntegrityError

from portal import statements
from portal.db import Database, Json, choice, rows_of, send
from portal.instants import UtcDateTime

AT = datetime(2026, 3, 4, 17, 30, 5, 250_000, tzinfo=UTC)


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


THINGS = Table(
    "things",
    MetaData(),
    Column("id", Integer, primary_key=True),
    Column("name", String(40), nullable=False, unique=True),
    Column("at", UtcDateTime()),
    Column("on", Date),
    Column("price", Numeric(14, 2)),
    Column("is_new", Boolean(create_constraint=False)),
    Column("colour", choice(Colour, "colour")),
    Column("more", Json),
)
ROWS: list[dict[str, Any]] = [
    {
        "id": 1,
        "name": "one é 100%",
        "at": AT,
        "on": date(2026, 3, 4),
        "price": Decimal("1234.50"),
        "is_new": True,
        "colour": Colour.RED,
        "more": {"a": [1, "ç"], "b": None},
    },
    {"id": 2, "name": "two", "at": AT.replace(microsecond=0), "price": Decimal("0.10"), "is_new": False, "more": {}},
    {"id": 3, "name": "three"},
]
EVERYTHING = select(THINGS).order_by(THINGS.c.id)
QUESTIONS: dict[str, tuple[Executable, dict[str, Any]]] = {
    "everything": (EVERYTHING, {}),
    "by a value": (select(THINGS.c.name, THINGS.c.at).where(THINGS.c.at == bindparam("at")), {"at": AT}),
    "by a word of a closed set": (select(THINGS.c.id).where(THINGS.c.colour == Colour.RED), {}),
    "a list, which is written out each time": (
        select(THINGS.c.id).where(THINGS.c.id.in_(bindparam("ids", expanding=True))).order_by(THINGS.c.id),
        {"ids": [1, 3]},
    ),
    "what is worked out": (
        select(
            func.count().label("count"),
            func.min(THINGS.c.at),
            func.max(THINGS.c.on).label("index"),
            func.sum(THINGS.c.price).label("sum"),
            case((func.count(THINGS.c.more) > 1, literal("many")), else_="few").label("how many"),
            type_coerce(null(), UtcDateTime()).label("never"),
        ),
        {},
    ),
    "several together": (
        union_all(
            select(THINGS.c.id.label("number"), THINGS.c.at.label("at")).where(THINGS.c.id == bindparam("id")),
            select(THINGS.c.id, THINGS.c.at).where(THINGS.c.id == 2),
        ),
        {"id": 1},
    ),
    "the same column twice": (select(THINGS.c.name, THINGS.c.name).where(THINGS.c.id == 1), {}),
    "nobody": (select(THINGS.c.name, THINGS.c.at).where(THINGS.c.id == 99), {}),
    "plain text": (text("SELECT name FROM things WHERE id = :id"), {"id": 2}),
}


@pytest.fixture
def shop(database: Database) -> Database:
    with database.write() as db:
        THINGS.metadata.create_all(db.connection())
        for row in ROWS:
            db.execute(insert(THINGS), row)
    yield database  # type: ignore[misc]
    with database.write() as db:
        THINGS.metadata.drop_all(db.connection())


@pytest.mark.parametrize("name", QUESTIONS)
def test_each_time_it_is_the_same(shop: Database, name: str) -> None:
    question, values = QUESTIONS[name]
    with shop.read() as db:
        plain = db.execute(question, values).all()
        for _ in range(6):
            found = rows_of(db, question, values)
            assert [tuple(row) for row in found] == [tuple(row) for row in plain]
            assert [[type(value) for value in row] for row in found] == [
                [type(value) for value in row] for row in plain
            ]


def test_columns_are_known_by_their_names_each_time(shop: Database) -> None:
    with shop.read() as db:
        for _ in range(6):
            first = rows_of(db, EVERYTHING)[0]
            assert (first.name, first.at, first.colour, first.more["b"]) == ("one é 100%", AT, Colour.RED, None)
            told = rows_of(db, QUESTIONS["what is worked out"][0])[0]
            assert (told.count, told.index) == (3, date(2026, 3, 4))


def test_each_time_it_has_its_own_values(shop: Database) -> None:
    question = select(THINGS.c.name).where(THINGS.c.id == bindparam("id"))
    with shop.read() as db:
        for number in (1, 2, 3, 1, 2, 3, 99):
            assert [row.name for row in rows_of(db, question, {"id": number})] == [
                row["name"] for row in ROWS if row["id"] == number
            ]
        with pytest.raises(Exception, match="id"):
            rows_of(db, question, {})


def test_it_sees_what_waits_in_the_unit_of_work_and_only_there(shop: Database) -> None:
    with shop.read() as other:
        for _ in range(5):
            assert len(rows_of(other, EVERYTHING)) == 3
        with shop.write() as db:
            send(db, insert(THINGS), {"id": 4, "name": "four"})
            assert len(rows_of(db, EVERYTHING)) == 4
            assert len(rows_of(other, EVERYTHING)) == 3
        assert len(rows_of(other, EVERYTHING)) == 4


def test_a_refusal_of_the_database_is_the_same_error(shop: Database) -> None:
    with pytest.raises(IntegrityError), shop.write() as db:
        send(db, insert(THINGS), {"id": 5, "name": "two"})
    gone = select(THINGS.c.id, text("no_such_column"))
    for _ in range(5):
        with pytest.raises(DBAPIError, match="no_such_column"), shop.read() as db:
            rows_of(db, gone)
    with shop.read() as db:
        assert len(rows_of(db, EVERYTHING)) == 3


def test_an_error_while_rows_are_read_is_the_same_error(shop: Database) -> None:
    """SQLite works out the second row only when it is fetched."""
    if shop.dialect != "sqlite":
        pytest.skip("PostgreSQL works out all rows before the first is fetched")
    with shop.write() as db:
        db.execute(text("UPDATE things SET name = 'not json' WHERE id = 3"))
        db.execute(text("UPDATE things SET name = '[' || id || ']' WHERE id < 3"))
    question = select(func.json_extract(THINGS.c.name, "$[0]")).order_by(THINGS.c.id)
    for _ in range(6):
        with pytest.raises(DBAPIError, match="malformed JSON"), shop.read() as db:
            rows_of(db, question)


def test_how_many_rows_changed_is_known_with_what_came_back(shop: Database) -> None:
    changed = update(THINGS).values(colour=bindparam("new")).returning(THINGS.c.id)
    for _ in range(2):
        with shop.write() as db:
            done = send(db, changed, {"new": Colour.BLUE})
            assert (done.rowcount, sorted(row[0] for row in done.rows)) == (3, [1, 2, 3])


def test_after_a_failure_that_was_swallowed_nothing_is_written_by_itself(shop: Database) -> None:
    def write_and_lose() -> None:
        with shop.write() as db:
            with pytest.raises(IntegrityError):
                db.execute(insert(THINGS), {"id": 9, "name": "two"})
            if shop.dialect == "sqlite":
                send(db, insert(THINGS), {"id": 10, "name": "ten"})
            raise RuntimeError

    with pytest.raises(RuntimeError):
        write_and_lose()
    with shop.read() as db:
        assert [row.id for row in rows_of(db, EVERYTHING)] == [1, 2, 3]


def test_the_two_hours_of_a_clock_change_are_two(shop: Database) -> None:
    zone = ZoneInfo("America/New_York")
    twice = [datetime(2026, 11, 1, 1, 30, tzinfo=zone, fold=fold) for fold in (0, 1)]
    with shop.write() as db:
        for number, at in enumerate(twice):
            send(db, insert(THINGS), {"id": 20 + number, "name": f"{number}", "at": at})
    with shop.read() as db:
        assert [row.at.hour for row in rows_of(db, EVERYTHING) if row.id >= 20] == [5, 6]


def test_a_reader_can_not_write(shop: Database) -> None:
    for _ in range(5):
        with pytest.raises(DBAPIError), shop.read() as db:
            rows_of(db, insert(THINGS).returning(THINGS.c.id), {"id": 6, "name": "six"})
    with shop.read() as db:
        with pytest.raises(DBAPIError):
            send(db, insert(THINGS), {"id": 6, "name": "six"})
        assert len(rows_of(db, EVERYTHING)) == 3


def test_who_listens_hears_every_statement(shop: Database) -> None:
    heard: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_more: Any) -> None:
        heard.append(statement)

    event.listen(shop.read_engine, "before_cursor_execute", note)
    try:
        with shop.read() as db:
            for _ in range(6):
                rows_of(db, EVERYTHING)
    finally:
        event.remove(shop.read_engine, "before_cursor_execute", note)
    assert len(heard) == 6
    assert len(set(heard)) == 1


def test_a_question_made_for_one_time_is_forgotten(shop: Database) -> None:
    gc.collect()
    before = len(statements._asked)
    with shop.read() as db:
        for number in range(50):
            rows_of(db, select(THINGS.c.name).where(THINGS.c.id == number))
    gc.collect()
    assert len(statements._asked) <= before + 1  # SQLAlchemy knows the first by its parts, and so keeps it


def test_an_instant_without_a_zone_is_refused_each_time(shop: Database) -> None:
    question = select(THINGS.c.name).where(THINGS.c.at > bindparam("at"))
    with shop.read() as db:
        for _ in range(6):
            assert [row.name for row in rows_of(db, question, {"at": AT - timedelta(seconds=0.1)})] == ["one é 100%"]
    for _ in range(2):
        with pytest.raises(Exception, match="zone"), shop.read() as db:
            rows_of(db, question, {"at": AT.replace(tzinfo=None)})
