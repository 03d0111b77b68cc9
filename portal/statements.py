"""Statements that go to the driver as they are.

SQLAlchemy writes them, and says how each value gets there and back, once for each kind of database. What it does beyond
that each time one is sent costs more than most of them need at the database.
"""

import json
from collections import namedtuple
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import cache, partial
from operator import itemgetter
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import psycopg
from sqlalchemy import JSON, Connection, Dialect, Executable, Insert
from sqlalchemy.exc import DBAPIError
from sqlalchemy.sql.util import find_tables

from portal.instants import UtcDateTime, as_text, as_text_with_zone, from_text, in_utc
from portal.pipelines import Heard, Line, Written

Convert = Callable[[Any], Any]


class Words(NamedTuple):
    """A statement as one kind of database wants it, and how its values get there."""

    sql: str
    names: tuple[str, ...]
    """Of the values that it is given."""
    known: tuple[Any, ...]
    """Values that are the same each time."""
    made: tuple[Callable[[Any], Any], ...]
    """What makes values anew each time that a column has by default."""
    pick: Callable[[Sequence[Any]], Sequence[Any]]
    """Of all of these, one after another, each where its place is in the statement."""
    instants: tuple[int, ...]
    """Places of moments."""
    as_instant: Convert
    convert: tuple[tuple[int, Convert], ...]
    """Places of what else the driver takes in another way."""
    returns: bool
    """Whether rows come back."""
    tables: frozenset[Any]
    """Which it writes or asks."""

    def given(self, row: Mapping[str, Any]) -> list[Any]:
        """The values as the driver takes them. Errors: ValueError where there are more than it was built for."""
        return self.placed(in_order(self.names, row))

    def placed(self, values: Sequence[Any]) -> list[Any]:
        """The same for values in the order of their `names`."""
        if self.known or self.made:
            values = [*values, *self.known, *[make(None) for make in self.made]]
        placed = list(self.pick(values))
        for place in self.instants:
            if (moment := placed[place]) is not None:
                placed[place] = self.as_instant(moment)
        for place, convert in self.convert:
            placed[place] = convert(placed[place])
        return placed


def in_order(names: Sequence[str], row: Mapping[str, Any]) -> list[Any]:
    """The values of these names. Errors: ValueError where there are more; KeyError where one is missing."""
    if len(row) != len(names):
        raise ValueError(f"rows of one statement have the same names, not {', '.join(row)} and {', '.join(names)}")
    return [row[name] for name in names]


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


def send(connection: Connection, words: Words, placed: Sequence[Sequence[Any]]) -> Sent:
    """Sends it with these rows of values, placed. What it returns comes as the driver gives it: numbers and text only."""
    if len(placed) == 1:
        done = driven(connection, words.sql, placed[0], returns=words.returns)
    else:
        done = driven(connection, words.sql, placed, returns=words.returns, many=True)
    return Sent(done.rowcount, done.rows)


class Done(NamedTuple):
    """What the driver gave: rows as it gives them, how many were changed, and something that has a `description` of them:
    the drivers work that out anew each time they are asked."""

    rows: Sequence[Any]
    rowcount: int
    described: Any


def driven(connection: Connection, sql: str, values: Any, *, returns: bool = True, many: bool = False) -> Done:
    """A statement as the driver takes it, with all the rows it `returns`: SQLite works some of it out only while they are
    fetched. Its errors are SQLAlchemy's."""
    if connection.dialect.name == "postgresql":
        if not many:
            (heard,) = _said(connection, (Written(sql, values, returns),))
            return Done(heard.rows, heard.rowcount, heard)
        each = _said(connection, [Written(sql, one, returns) for one in values], as_one=True)
        return Done([row for heard in each for row in heard.rows], sum(heard.rowcount for heard in each), each[0])
    pooled, listening = _ready(connection)
    cursor = None
    try:
        cursor = pooled.driver_connection.cursor()
        if listening:
            listening(connection, cursor, sql, values, None, many)
        if many:
            cursor.executemany(sql, values)
        else:
            cursor.execute(sql, values)
        return Done(cursor.fetchall() if returns else (), cursor.rowcount, cursor)
    except connection.dialect.loaded_dbapi.Error as error:
        raise _as_sqlalchemy_says(connection, error, (pooled, cursor), sql, values, many=many) from error


def driven_at_once(
    connection: Connection, these: Sequence[Written], *, and_commit: bool = False
) -> list[Sequence[Any]]:
    """Several on PostgreSQL, one after another but all in one way there and back, which costs more than most of them.
    `and_commit`: with the end of their transaction; what SQLAlchemy does to end it finds it done."""
    return [heard.rows for heard in _said(connection, these, and_commit=and_commit)]


def _said(
    connection: Connection, these: Sequence[Written], *, and_commit: bool = False, as_one: bool = False
) -> list[Heard]:
    """`as_one`: the same statement with many rows of values."""
    pooled, listening = _ready(connection)
    if listening and as_one:
        listening(connection, None, these[0].sql, [each.values for each in these], None, True)
    elif listening:
        for each in these:
            listening(connection, None, each.sql, each.values, None, False)
    try:
        return _line_of(pooled).say(these, and_commit=and_commit)
    except connection.dialect.loaded_dbapi.Error as error:
        sql, values = "; ".join(each.sql for each in these), [each.values for each in these]
        raise _as_sqlalchemy_says(connection, error, (pooled, None), sql, values) from error
    except BaseException as error:
        if pooled.driver_connection.closed:  # it was interrupted, and given up: rolling back would say so in its place
            connection.invalidate(error)
        raise


def roll_back(info: Mapping[str, Any]) -> None:
    """Ends a transaction on PostgreSQL if one stands, and keeps the plans, which the driver's own way throws away. `info`: of
    the connection in its pool. Nothing where that is gone: who rolls it back next hears so."""
    line: Line | None = info.get(_LINE)
    if line is not None:
        with suppress(psycopg.Error):
            line.roll_back()


def _line_of(pooled: Any) -> Line:
    """Of a connection to PostgreSQL, for as long as it is open."""
    info: dict[str, Any] = pooled.info
    known: Line | None = info.get(_LINE)
    if known is None:
        known = info[_LINE] = Line(pooled.driver_connection)
    return known


_LINE = "portal.line"


def _ready(connection: Connection) -> tuple[Any, Any]:
    if not connection.in_transaction():  # after one that failed within a unit of work: never each statement by itself
        connection.begin()
    return connection.connection, connection.engine.dispatch.before_cursor_execute


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
    known[dialect.name] = question = _Question(words, *_way_back(dialect, statement, done.described.description))
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
    defaults = {column.key: column.default for column in compiled.insert_prefetch}
    needed = {name for name, bind in compiled.binds.items() if bind.required or bind.callable}
    if missing := needed - set(defaults) - set(names):
        raise ValueError(f"the statement needs {', '.join(sorted(missing))}")
    made = {name: default.arg for name, default in defaults.items() if not default.is_scalar}
    known = {name: bind.value for name, bind in compiled.binds.items() if name not in {*names, *made}}
    known |= {name: default.arg for name, default in defaults.items() if default.is_scalar}
    order = tuple(compiled.positiontup)
    everything = (*names, *known, *made)
    kinds = {name: bind.type for name, bind in compiled.binds.items()}
    convert = {name: how for name, kind in kinds.items() if (how := _to_driver(kind, dialect)) is not None}
    moments = {name for name, kind in kinds.items() if isinstance(kind, UtcDateTime)}
    same = tuple(convert[name](value) if name in convert else value for name, value in known.items())
    anew = [(place, name) for place, name in enumerate(order) if name in convert and name not in known]
    return Words(
        sql=str(compiled),
        names=names,
        known=same,
        made=tuple(made.values()),
        pick=_picked([everything.index(name) for name in order], len(everything)),
        instants=tuple(place for place, name in anew if name in moments),
        as_instant=_instant_to_driver(dialect),
        convert=tuple((place, convert[name]) for place, name in anew if name not in moments),
        returns=returns,
        tables=frozenset(find_tables(statement, check_columns=True, include_selects=True, include_crud=True)),
    )


def _picked(places: Sequence[int], of: int) -> Callable[[Sequence[Any]], Sequence[Any]]:
    if list(places) == list(range(of)):
        return lambda values: values
    if len(places) < 2:  # `itemgetter` gives one without a sequence around it
        return lambda values: [values[place] for place in places]
    return itemgetter(*places)


@cache
def _by_number(kind: Any) -> Dialect:
    """The same way to write statements, but for the values: `$1`, `$2`, …"""
    dialect: Dialect = kind(paramstyle="numeric_dollar")
    return dialect


def _to_driver(kind: Any, dialect: Dialect) -> Convert | None:
    if isinstance(kind, UtcDateTime):
        return _instant_to_driver(dialect)
    impl = kind.dialect_impl(dialect)
    how: Convert | None = impl.bind_processor(dialect)
    if how is not None and isinstance(impl, JSON) and dialect.name == "postgresql":
        return partial(_as_json_text, how)
    return how


def _as_json_text(how: Convert, value: Any) -> str | None:
    # The text that the driver would make of what SQLAlchemy hands to it, in a fraction of its time.
    wrapped = how(value)
    return None if wrapped is None else json.dumps(wrapped.obj)


def _instant_to_driver(dialect: Dialect) -> Convert:
    return as_text if dialect.name == "sqlite" else as_text_with_zone


def _from_driver(kind: Any, dialect: Dialect, described: Any) -> Convert | None:
    if isinstance(kind, UtcDateTime):
        return from_text if dialect.name == "sqlite" else in_utc
    how: Convert | None = kind.dialect_impl(dialect).result_processor(dialect, described)
    return how
