"""Statements that go to the driver as they are.

SQLAlchemy writes them, and says how each value gets there and back, once for each kind of database. What it does beyond
that each time one is sent costs more than most of them need at the database.
"""

import sqlite3
from collections import namedtuple
from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

from psycopg import RawCursor
from sqlalchemy import Connection, Dialect, Executable, Insert
from sqlalchemy.exc import DBAPIError
from sqlalchemy.sql.util import find_tables

from portal.instants import UtcDateTime, as_text, from_text, in_utc

Convert = Callable[[Any], Any]


class Words(NamedTuple):
    """A statement as one kind of database wants it, and how its values get there."""

    sql: str
    known: Mapping[str, Any]
    """Values that are the same each time."""
    made: Mapping[str, Convert]
    """Values that a column has by default and that are made anew each time."""
    convert: Mapping[str, Convert]
    order: tuple[str, ...]
    """Names in the order of their places in it."""
    returns: bool
    """Whether rows come back."""
    tables: frozenset[Any]
    """Which it writes or asks."""

    def given(self, row: Mapping[str, Any]) -> Any:
        """The values as the driver takes them."""
        if self.known or self.made:
            row = {**self.known, **{name: make(None) for name, make in self.made.items()}, **row}
        convert = self.convert
        return [convert[name](row[name]) if name in convert else row[name] for name in self.order]


class Sent(NamedTuple):
    """What came of a statement: how many rows it changed, and what it returned."""

    rowcount: int
    rows: Sequence[Any]

    def scalar_one(self) -> Any:
        ((value,),) = self.rows
        return value


# To send


_to_send: WeakKeyDictionary[Any, dict[tuple[str, tuple[str, ...]], Words]] = WeakKeyDictionary()


def words_to_send(dialect: Dialect, statement: Any, names: tuple[str, ...]) -> Words:
    """Of an `INSERT`, `UPDATE` or `DELETE` that is given values of these names. Errors: ValueError for a name it has no
    place for, and for a list of values, which makes a statement anew each time."""
    known = _to_send.get(statement)
    if known is None:
        known = _to_send[statement] = {}
    key = (dialect.name, names)
    if (words := known.get(key)) is None:
        words = known[key] = _worked_out(dialect, statement, names)
    return words


def send(connection: Connection, words: Words, rows: Sequence[Mapping[str, Any]]) -> Sent:
    """Sends it with these rows of values. What it returns comes as the driver gives it: numbers and text only."""
    if len(rows) == 1:
        done = driven(connection, words.sql, words.given(rows[0]), returns=words.returns)
    else:
        done = driven(connection, words.sql, [words.given(row) for row in rows], returns=words.returns, many=True)
    return Sent(done.cursor.rowcount, done.rows)


class Done(NamedTuple):
    """What the driver gave: rows as it gives them, and its cursor, which can say more. psycopg works that out anew each
    time it is asked, and the description of some columns takes as long as their row."""

    rows: Sequence[Any]
    cursor: Any


def driven(connection: Connection, sql: str, values: Any, *, returns: bool = True, many: bool = False) -> Done:
    """A statement as the driver takes it, with all the rows it `returns`: SQLite works some of it out only while they are
    fetched. Its errors are SQLAlchemy's."""
    pooled, heard = _ready(connection)
    cursor = None
    try:
        cursor = _cursor_of(pooled)
        if heard:
            heard(connection, cursor, sql, values, None, many)
        if many:
            cursor.executemany(sql, values)
        else:
            cursor.execute(sql, values)
        return Done(cursor.fetchall() if returns else (), cursor)
    except connection.dialect.loaded_dbapi.Error as error:
        raise _as_sqlalchemy_says(connection, error, (pooled, cursor), sql, values, many=many) from error


class Written(NamedTuple):
    """A statement with its values, as the driver takes them."""

    sql: str
    values: Any
    returns: bool = False


def driven_at_once(
    connection: Connection, these: Sequence[Written], *, and_commit: bool = False
) -> list[Sequence[Any]]:
    """Several on PostgreSQL, one after another but all in one way there and back, which costs more than most of them.
    `and_commit`: with the end of their transaction; what SQLAlchemy does to end it finds it done."""
    if len(these) == 1 and not and_commit:
        return [driven(connection, these[0].sql, these[0].values, returns=these[0].returns).rows]
    pooled, heard = _ready(connection)
    driver = pooled.driver_connection
    cursors: list[Any] = []
    try:
        unasked = RawCursor(driver)  # one is enough for all that returns nothing
        with driver.pipeline():
            for each in these:
                cursor = RawCursor(driver) if each.returns else unasked
                if heard:
                    heard(connection, cursor, each.sql, each.values, None, False)
                cursor.execute(each.sql, each.values)
                cursors.append(cursor)
            if and_commit:  # the driver's own way to say it waits for the answer, and leaving the block waits once more
                unasked.execute("COMMIT", prepare=False)
        return [cursor.fetchall() if each.returns else () for each, cursor in zip(these, cursors, strict=True)]
    except connection.dialect.loaded_dbapi.Error as error:
        sql, values = "; ".join(each.sql for each in these), [each.values for each in these]
        raise _as_sqlalchemy_says(connection, error, (pooled, None), sql, values) from error


def _ready(connection: Connection) -> tuple[Any, Any]:
    if not connection.in_transaction():  # after one that failed within a unit of work: never each statement by itself
        connection.begin()
    return connection.connection, connection.engine.dispatch.before_cursor_execute


def _cursor_of(pooled: Any) -> Any:
    """psycopg's own kind takes values by number, as PostgreSQL does. The usual one looks for names in the statement first,
    and beyond fifty of them does so each time."""
    driver = pooled.driver_connection
    return driver.cursor() if isinstance(driver, sqlite3.Connection) else RawCursor(driver)


def _as_sqlalchemy_says(
    connection: Connection, error: Any, of: tuple[Any, Any], sql: str, values: Any, *, many: bool = False
) -> BaseException:
    dialect, ended = connection.dialect, connection.dialect.is_disconnect(error, *of)
    if ended:
        connection.invalidate(error)
    said: BaseException = DBAPIError.instance(
        sql,
        values,
        error,
        dialect.loaded_dbapi.Error,
        hide_parameters=connection.engine.hide_parameters,
        connection_invalidated=ended,
        dialect=dialect,
        ismulti=many,
    )
    return said


# To ask


class _Question(NamedTuple):
    """A statement that returns rows, and how they come back."""

    words: Words
    as_row: Callable[[Any], Any]
    convert: tuple[tuple[int, Convert], ...]

    def rows(self, found: Sequence[Any]) -> list[Any]:
        if self.convert and found:
            columns: list[Any] = list(zip(*found, strict=True))
            for place, convert in self.convert:
                columns[place] = map(convert, columns[place])
            return list(map(self.as_row, zip(*columns, strict=True)))
        return list(map(self.as_row, found))


_SEEN_OFTEN = 3
_asked: WeakKeyDictionary[Any, dict[str, "_Question | int | None"]] = WeakKeyDictionary()
"""How often each was asked; then how it is asked, or None if only SQLAlchemy can."""


def rows_of(connection: Connection, statement: Executable, values: Mapping[str, Any]) -> Sequence[Any]:
    """The rows of a statement about columns. One that is kept and asked again and again goes to the driver as it is; one
    that is made anew each time is better off with SQLAlchemy, which knows it again by its parts."""
    known = _known(statement)
    dialect = connection.dialect.name
    question = known.get(dialect, 0)
    if isinstance(question, _Question):
        return question.rows(driven(connection, question.words.sql, question.words.given(values)).rows)
    if question is None:
        return connection.execute(statement, values).all()
    if question < _SEEN_OFTEN:
        known[dialect] = question + 1
        return connection.execute(statement, values).all()
    return _first_driven(connection, statement, values, known)


def _known(statement: Executable) -> dict[str, "_Question | int | None"]:
    known = _asked.get(statement)
    if known is None:
        known = _asked[statement] = {}
    return known


Asked = tuple[Executable, Mapping[str, Any]]
"""A question and its values."""


def rows_of_each(connection: Connection, questions: Sequence[Asked], first: Sequence[Written] = ()) -> list[Any]:
    """The rows of each of these, asked in this order; on PostgreSQL in one way there and back, behind what is to be done
    `first`."""
    dialect = connection.dialect.name
    known = [_known(statement).get(dialect) for statement, _ in questions]
    if dialect != "postgresql" or not all(isinstance(each, _Question) for each in known):
        if first:
            driven_at_once(connection, first)
        return [rows_of(connection, statement, values) for statement, values in questions]
    asked: list[Any] = known
    behind = [
        Written(each.words.sql, each.words.given(values), returns=True)
        for each, (_, values) in zip(asked, questions, strict=True)
    ]
    found = driven_at_once(connection, [*first, *behind])[len(first) :]
    return [each.rows(rows) for each, rows in zip(asked, found, strict=True)]


def _first_driven(
    connection: Connection, statement: Any, values: Mapping[str, Any], known: dict[str, Any]
) -> Sequence[Any]:
    dialect = connection.dialect
    try:
        if not hasattr(statement, "exported_columns"):
            raise ValueError("plain text doesn't say what comes back")
        words = _worked_out(dialect, statement, tuple(values))
    except ValueError:
        known[dialect.name] = None
        return connection.execute(statement, values).all()
    done = driven(connection, words.sql, words.given(values))
    known[dialect.name] = question = _Question(words, *_way_back(dialect, statement, done.cursor.description))
    return question.rows(done.rows)


def _way_back(dialect: Dialect, statement: Any, description: Any) -> Any:
    convert = [
        (place, how)
        for place, (column, described) in enumerate(zip(statement.exported_columns, description, strict=True))
        if (how := _from_driver(column.type, dialect, described[1])) is not None
    ]
    as_row: Any = namedtuple("Row", [described[0] for described in description], rename=True)  # type: ignore[misc]
    return partial(tuple.__new__, as_row), tuple(convert)


# The way there and back


def _worked_out(dialect: Dialect, statement: Any, names: tuple[str, ...]) -> Words:
    columns, returns = (list(names) if isinstance(statement, Insert) else None), bool(statement.exported_columns)
    if isinstance(statement, Insert) and not returns:
        statement = statement.inline()  # SQLAlchemy has the new number returned otherwise, which nobody reads
    kind: Any = type(dialect)
    compiled = statement.compile(dialect=dialect if dialect.positional else _by_number(kind), column_keys=columns)
    if compiled.post_compile_params:
        raise ValueError("a list of values makes a statement anew each time: write its values out")
    if unknown := set(names) - set(compiled.binds):
        raise ValueError(f"the statement has no {', '.join(sorted(unknown))}")
    by_default = {column.key for column in compiled.insert_prefetch}
    needed = {name for name, bind in compiled.binds.items() if bind.required or bind.callable}
    if missing := needed - by_default - set(names):
        raise ValueError(f"the statement needs {', '.join(sorted(missing))}")
    convert = {
        name: how for name, bind in compiled.binds.items() if (how := _to_driver(bind.type, dialect)) is not None
    }
    defaults = {column.key: column.default for column in compiled.insert_prefetch}
    made = {name: default.arg for name, default in defaults.items() if not default.is_scalar}
    known = {name: bind.value for name, bind in compiled.binds.items() if name not in {*names, *made}}
    known |= {name: default.arg for name, default in defaults.items() if default.is_scalar}
    for name in set(known) & set(convert):
        known[name] = convert.pop(name)(known[name])
    tables = frozenset(find_tables(statement, check_columns=True, include_selects=True, include_crud=True))
    return Words(str(compiled), known, made, convert, tuple(compiled.positiontup), returns, tables)


@cache
def _by_number(kind: Any) -> Dialect:
    """The same way to write statements, but for the values: `$1`, `$2`, …"""
    dialect: Dialect = kind(paramstyle="numeric_dollar")
    return dialect


def _to_driver(kind: Any, dialect: Dialect) -> Convert | None:
    if isinstance(kind, UtcDateTime):
        return as_text if dialect.name == "sqlite" else in_utc
    how: Convert | None = kind.dialect_impl(dialect).bind_processor(dialect)
    return how


def _from_driver(kind: Any, dialect: Dialect, described: Any) -> Convert | None:
    if isinstance(kind, UtcDateTime):
        return from_text if dialect.name == "sqlite" else in_utc
    how: Convert | None = kind.dialect_impl(dialect).result_processor(dialect, described)
    return how
