"""Base, column types, the two engines, and the one unit of work: the only place that commits.

SQLite is driven as `BEGIN IMMEDIATE` with WAL and a fair writer lock a process; PostgreSQL reads in AUTOCOMMIT, since
a BEGIN and a ROLLBACK around single statements double the work of a page.
"""

import itertools
import re
import select as sockets
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from functools import lru_cache, partial
from pathlib import Path
from typing import Annotated, Any

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import (
    JSON,
    BigInteger,
    ColumnElement,
    Connection,
    Date,
    Enum,
    Executable,
    Insert,
    Integer,
    MetaData,
    Numeric,
    String,
    bindparam,
    column,
    create_engine,
    event,
    func,
    select,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError, InvalidatePoolError
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column
from sqlalchemy.pool import ConnectionPoolEntry, PoolProxiedConnection

from portal import statements
from portal.instants import UtcDateTime
from portal.pipelines import Written
from portal.places import MIGRATIONS
from portal.statements import Asked, Sent, in_order

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}


Json = JSON().with_variant(JSONB(), "postgresql")
BigId = BigInteger().with_variant(Integer(), "sqlite")

Id = Annotated[int, mapped_column(BigId, primary_key=True)]
Words = Annotated[str, mapped_column(String(200))]
"""A name or a title: at most 200 characters."""
Prose = Annotated[str, mapped_column(String(10_000))]
Key = Annotated[str, mapped_column(String(80))]
By = Annotated[str, mapped_column(String(120))]
"""Who did it: `staff:12`, `contact:7`, `rule:contact_settled:30`, `api:crm`, `import`, `system`."""


class Base(DeclarativeBase):
    """Every table's base; constraint names are fixed by a convention so that migrations can name them."""

    metadata = MetaData(naming_convention=NAMING)
    type_annotation_map = {
        datetime: UtcDateTime(),
        date: Date(),
        dict[str, Any]: Json,
        list[str]: Json,
        list[dict[str, Any]]: Json,
        Decimal: Numeric(14, 2),
        int: BigId,
    }


def choice(kind: type[StrEnum], name: str) -> Enum:
    """A closed set as text with a CHECK: `choice(Role, "role")`."""
    return Enum(
        kind,
        native_enum=False,
        create_constraint=True,
        length=40,
        name=name,
        values_callable=lambda members: [m.value for m in members],
    )


class DeploymentFact(Base):
    """What is true of this database as a whole: that it is the demo's, how far its clock has moved."""

    __tablename__ = "deployment_facts"

    name: Mapped[str] = mapped_column(String(40), primary_key=True)
    value: Mapped[str] = mapped_column(String(200))


def rows_of(db: Session, statement: Executable, values: Mapping[str, Any] = {}) -> Sequence[Any]:
    """The rows of a statement about columns, without the ORM's share in reading them, which is a third of a page's time
    at the database. What waits in the session is written first, as `db.execute` would."""
    connection = _connection(db)
    if waiting := db.info.get(_WAITING):
        return statements.rows_of_each(connection, [(statement, values)], _as_written(waiting))[0]  # type: ignore[no-any-return]
    return statements.rows_of(connection, statement, values)


def rows_of_each(db: Session, *questions: Asked) -> list[Sequence[Any]]:
    """The rows of each of these, asked one after another; PostgreSQL gets all of them in one way there and back."""
    connection = _connection(db)
    return statements.rows_of_each(connection, questions, _as_written(db.info.get(_WAITING) or []))


def place_of(db: Session) -> str:
    """Which database this is, for what a process keeps in memory about each."""
    place: str = db.info[_PLACE]
    return place


def connection_of(db: Session) -> Connection:
    """The session's connection, with what waits in the session written first, and what waits to be sent `together`."""
    known = _connection(db)
    if waiting := db.info.get(_WAITING):
        statements.driven_at_once(known, _as_written(waiting))
    return known


def _connection(db: Session) -> Connection:
    """Kept for the unit of work: the session works it out anew each time it is asked. A savepoint begins only when it is."""
    db.flush()
    known: Connection | None = db.info.get(_CONNECTION)
    if known is None or known.closed or _is_in_new_savepoint(db):
        known = db.info[_CONNECTION] = db.connection()
        db.info[_SAVEPOINT] = db.get_nested_transaction()
        if known.dialect.name == "postgresql" and _WAITING not in db.info:
            known.info[_WAITING] = db.info[_WAITING] = []
    return known


def _is_in_new_savepoint(db: Session) -> bool:
    return db.info.get(_SAVEPOINT) is not db.get_nested_transaction()


_CONNECTION = "portal.connection"
_SAVEPOINT = "portal.savepoint"
_PLACE = "portal.place"
_WAITING = "portal.waiting"
_TOGETHER = "portal.together"


@contextmanager
def together(db: Session) -> Iterator[None]:
    """What is sent within by `write_down` waits on PostgreSQL, where each way there and back costs more than most
    statements: it goes with the next question, at the latest with the commit, and in as few statements as will do.

    The order stays, whoever else writes or asks in this unit of work. What it breaks is heard when it is sent.
    """
    if db.get_bind().dialect.name != "postgresql" or _TOGETHER in db.info:
        yield
        return
    _connection(db)
    db.info[_TOGETHER] = True
    try:
        yield
    finally:
        del db.info[_TOGETHER]


def write_down(db: Session, statement: Any, *rows: Mapping[str, Any]) -> None:
    """`send` for what nobody needs a result of; within `together` it may wait."""
    names = tuple(rows[0])
    _write_down(db, statement, names, *(in_order(names, row) for row in rows))


def _write_down(db: Session, statement: Any, names: tuple[str, ...], *rows: Sequence[Any]) -> None:
    """The same, given the values of each row in the order of their names."""
    if _TOGETHER not in db.info or len(rows) > 1:
        _send(db, statement, names, rows)
        return
    words = statements.words_to_send(_connection(db).dialect, statement, names)
    values, waiting = words.placed(rows[0]), db.info[_WAITING]
    if not waiting or not waiting[-1].has_room_for(words.tables, values):
        waiting.append(_Group())
    waiting[-1].add(statement.table, words.sql, values)


MOST_VALUES = 200
"""Of what goes as one statement."""


class _Group:
    """What waits and will go as one statement."""

    def __init__(self) -> None:
        self._tables: list[Any] = []
        self._parts: list[str] = []
        self._counts: list[int] = []
        self._values: list[Any] = []

    def has_room_for(self, tables: frozenset[Any], values: Sequence[Any]) -> bool:
        """One statement doesn't see what another part of it wrote: what writes or asks the same table comes after it."""
        return tables.isdisjoint(self._tables) and len(self._values) + len(values) <= MOST_VALUES

    def add(self, table: Any, sql: str, values: Sequence[Any]) -> None:
        self._tables.append(table)
        self._parts.append(sql)
        self._counts.append(len(values))
        self._values += values

    def written(self) -> Written:
        return Written(_as_one(tuple(self._parts), tuple(self._counts)), self._values)


def _as_written(waiting: list[_Group]) -> list[Written]:
    """What waits, to be sent now: each group as one statement."""
    these = [group.written() for group in waiting]
    waiting.clear()
    return these


def _first_what_waits(connection: Connection, *_: Any) -> None:
    if waiting := connection.info.get(_WAITING):
        statements.driven_at_once(connection, _as_written(waiting))


def _nothing_waits(connection: Connection, *_: Any) -> None:
    # What came before a savepoint was sent with it. A connection that broke has forgotten all, and can't be asked.
    if not connection.invalidated and (waiting := connection.info.get(_WAITING)):
        waiting.clear()


def _commit(db: Session) -> None:
    """With what waits: it goes with the commit, in one way there and back."""
    db.flush()
    if waiting := db.info.get(_WAITING):
        statements.driven_at_once(_connection(db), _as_written(waiting), and_commit=True)
    db.commit()


@lru_cache(maxsize=1000)
def _as_one(parts: tuple[str, ...], counts: tuple[int, ...]) -> str:
    """Each part's values are numbered behind those of the parts before it."""
    before = itertools.accumulate(counts, initial=0)
    *others, last = [_NUMBER.sub(partial(_moved, by), sql) for by, sql in zip(before, parts, strict=False)]
    if not others:
        return last
    return f"WITH {', '.join(f'w{n} AS ({sql})' for n, sql in enumerate(others))} {last}"


_NUMBER = re.compile(r"\$(\d+)")


def _moved(by: int, number: re.Match[str]) -> str:
    return f"${int(number[1]) + by}"


def send(db: Session, statement: Any, *rows: Mapping[str, Any]) -> Sent:
    """An `INSERT`, `UPDATE` or `DELETE` that is built once, sent with these rows of values (all with the same names)."""
    names = tuple(rows[0])
    return _send(db, statement, names, [in_order(names, row) for row in rows])


def _send(db: Session, statement: Any, names: tuple[str, ...], rows: Sequence[Sequence[Any]]) -> Sent:
    connection = connection_of(db)
    words = statements.words_to_send(connection.dialect, statement, names)
    return statements.send(connection, words, [words.placed(row) for row in rows])


def insert_for(db: Session | Connection, table: Any) -> Any:
    """`INSERT` that knows `on_conflict_do_nothing` / `…_do_update`, on either database."""
    return insert_on(db.get_bind().dialect.name if isinstance(db, Session) else db.dialect.name, table)


def insert_on(dialect: str, table: Any) -> Any:
    """The same for a statement that is built once for each kind of database."""
    made: Insert = postgresql.insert(table) if dialect == "postgresql" else sqlite.insert(table)
    return made


def insert_new(db: Session, table: Any, rows: Sequence[Mapping[str, Any]], *, known_by: Sequence[str]) -> None:
    """Many rows in one statement; those whose `known_by` columns are there already change nothing.

    On PostgreSQL they travel as one JSON document: a third to a half cheaper than as many parameter sets. A few go as they
    are: the database takes a document for a hundred rows, and plans for them.
    """
    if not rows:
        return
    dialect, names = db.get_bind().dialect.name, tuple(rows[0])
    if len(rows) <= A_FEW:
        write_few(db, _insert_few(dialect, table, names, tuple(known_by), len(rows)), rows)
        return
    as_document = dialect == "postgresql"
    statement = _insert_statement(dialect, table, names, tuple(known_by), as_document)
    if as_document:
        connection_of(db).execute(statement, _documents(rows))
    else:
        write_down(db, statement, *rows)


A_FEW = 4


def write_few(db: Session, statement: Any, rows: Sequence[Mapping[str, Any]]) -> None:
    """`write_down` of a few rows (all with the same names) with a statement of `insert_few`."""
    names = tuple(rows[0])
    values = [value for row in rows for value in in_order(names, row)]
    _write_down(db, statement, _numbered(names, len(rows)), values)


@lru_cache(maxsize=300)
def _numbered(names: tuple[str, ...], count: int) -> tuple[str, ...]:
    return tuple(f"r{number}_{name}" for number in range(count) for name in names)


def insert_few(dialect: str, table: Any, names: Sequence[str], count: int) -> Any:
    """`INSERT` of so many rows, for `write_few`. Columns left out have their default as the table's class says."""
    left_out = [each for each in table.c if each.default is not None and each.name not in names]
    same = {each.name: each.default.arg if each.default.is_scalar else _empty(each) for each in left_out}
    rows = [
        {**{name: bindparam(f"r{number}_{name}", type_=table.c[name].type) for name in names}, **same}
        for number in range(count)
    ]
    return insert_on(dialect, table).values(rows)


def _empty(left_out: Any) -> Any:
    # The statement is kept, and with it the value: a nonce or a moment made here would be every row's.
    made = left_out.default.arg(None)
    if made not in ({}, []):
        raise ValueError(f"give {left_out} a value: its default is made anew each time")
    return made


@lru_cache(maxsize=300)
def _insert_few(dialect: str, table: Any, names: tuple[str, ...], known_by: tuple[str, ...], count: int) -> Any:
    return insert_few(dialect, table, names, count).on_conflict_do_nothing(index_elements=known_by)


@lru_cache(maxsize=200)
def _insert_statement(
    dialect: str, table: Any, names: tuple[str, ...], known_by: tuple[str, ...], as_document: bool
) -> Any:
    """Built once: that, and working out its key in the cache of compiled statements, cost more than sending it."""
    if not as_document:
        return insert_on(dialect, table).on_conflict_do_nothing(index_elements=known_by)
    new = _one_document(table, names)
    chosen = select(*(new.c[name] for name in names))
    return postgresql.insert(table).from_select(names, chosen).on_conflict_do_nothing(index_elements=known_by)


def insert_all(db: Session, table: Any, rows: Sequence[Mapping[str, Any]]) -> None:
    """A few rows in one statement."""
    if rows:
        dialect = db.get_bind().dialect.name
        write_few(db, _insert_all(dialect, table, tuple(rows[0]), len(rows)), rows)


@lru_cache(maxsize=100)
def _insert_all(dialect: str, table: Any, names: tuple[str, ...], count: int) -> Any:
    return insert_few(dialect, table, names, count)


def update_each(
    db: Session,
    table: Any,
    rows: Sequence[Mapping[str, Any]],
    *,
    by: Sequence[str],
    where: Sequence[ColumnElement[bool]] = (),
    also: Mapping[str, Any] | None = None,
) -> None:
    """Gives each row that the `by` columns name its own values of the other ones, where `where` holds too; `also` are
    values that are the same for all. One statement on PostgreSQL, as in `insert_new`.
    """
    if not rows:
        return
    as_document = len(rows) > 1 and db.get_bind().dialect.name == "postgresql"
    same, names = tuple((also or {}).items()), tuple(rows[0])
    statement = _update_statement(table, names, tuple(by), tuple(where), same, as_document)
    if as_document:
        connection_of(db).execute(statement, _documents(rows))
    else:
        _write_down(db, statement, _its(names), *(in_order(names, row) for row in rows))


@lru_cache(maxsize=200)
def _its(names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(f"its_{name}" for name in names)


@lru_cache(maxsize=200)
def _update_statement(
    table: Any,
    names: tuple[str, ...],
    by: tuple[str, ...],
    where: tuple[ColumnElement[bool], ...],
    also: tuple[tuple[str, Any], ...],
    as_document: bool,
) -> Any:
    values = [name for name in names if name not in by]
    if not as_document:
        found = (table.c[name] == bindparam(f"its_{name}", type_=table.c[name].type) for name in by)
        new_values = {name: bindparam(f"its_{name}", type_=table.c[name].type) for name in values}
        return update(table).where(*found, *where).values(new_values | dict(also))
    new = _one_document(table, names)
    same = (table.c[name] == new.c[name] for name in by)
    return update(table).where(*same, *where).values({name: new.c[name] for name in values} | dict(also))


def _one_document(table: Any, names: Sequence[str]) -> Any:
    columns = (column(name, table.c[name].type) for name in names)
    found = func.jsonb_to_recordset(bindparam("rows", type_=JSONB)).table_valued(*columns, name="new")
    return found.render_derived(name="new", with_types=True)


def _documents(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return {"rows": [{name: _as_json(value) for name, value in row.items()} for row in rows]}


def _as_json(value: Any) -> Any:
    match value:
        case datetime(tzinfo=None):
            raise ValueError("an instant needs a zone")
        case datetime() | date():
            return value.isoformat()
        case Decimal():
            return str(value)
        case _:
            return value


class Database:
    """The two engines of a process and its unit of work.

    `with database.write() as db:` commits when the block ends and rolls back when it raises; `with database.read()`
    can't write at all. Nothing else commits.
    """

    def __init__(self, url: str, *, pool_size: int = 10) -> None:
        self.url = make_url(url)
        self.dialect = self.url.get_backend_name()
        self._place = self.url.render_as_string()
        self._shared = threading.local()
        if self.dialect == "sqlite":
            if self.url.database in (None, "", ":memory:"):
                raise ValueError("SQLite needs a file: a database in memory can't be shared")
            Path(str(self.url.database)).parent.mkdir(parents=True, exist_ok=True)
            self._writer: Any = threading.Lock()
            options: dict[str, Any] = {"pool_size": pool_size, "max_overflow": 40}
        else:
            self._writer = nullcontext()
            options = {"pool_size": pool_size, "max_overflow": pool_size, "pool_use_lifo": True}
        self.write_engine = create_engine(self.url, **options)
        self.read_engine = create_engine(self.url, isolation_level="AUTOCOMMIT", **options)
        if self.dialect == "sqlite":
            event.listen(self.write_engine, "connect", _open_sqlite_to_write)
            event.listen(self.write_engine, "begin", _begin_immediate)
            event.listen(self.read_engine, "connect", _open_sqlite_to_read)
            _write_savepoints_directly(self.write_engine.dialect)
        else:
            event.listen(self.read_engine, "connect", _open_postgresql_to_read)
            for engine in (self.read_engine, self.write_engine):
                event.listen(engine, "checkout", _still_there)
            event.listen(self.write_engine, "before_cursor_execute", _first_what_waits)
            event.listen(self.write_engine, "rollback_savepoint", _nothing_waits)
            event.listen(self.write_engine, "rollback", _nothing_waits)
            _write_savepoints_directly(self.write_engine.dialect)
            event.listen(self.write_engine, "rollback", _roll_back_with_plans_kept)
            event.listen(self.write_engine, "reset", _reset_with_plans_kept)

    @contextmanager
    def write(self) -> Iterator[Session]:
        """One unit of work: commits at the end, rolls back if the block raises."""
        if (shared := getattr(self._shared, "connection", None)) is not None:
            options: Any = {"join_transaction_mode": "create_savepoint", "expire_on_commit": False}
            with Session(shared, info=self._told(), **options) as db, db.begin():
                yield db
            return
        # One SQLite writer at a time within the process: SQLite's own waiting sleeps and is unfair (p99 of seconds).
        with self._writer, Session(self.write_engine, expire_on_commit=False, info=self._told()) as db:
            db.begin()
            try:
                yield db
                _commit(db)
            except BaseException:
                db.rollback()
                raise

    @contextmanager
    def as_one(self) -> Iterator[Callable[[], bool]]:
        """For SQLite: units of work that this thread begins within are savepoints of one transaction, and committed when
        the block ends. Says whether the transaction still stands."""
        # A session of its own, so that who keeps in memory what was written hears that all of it was rolled back.
        with self._writer, Session(self.write_engine, info=self._told()) as whole, whole.begin():
            connection = self._shared.connection = whole.connection()
            try:
                yield lambda: bool(connection.connection.driver_connection.in_transaction)  # type: ignore[union-attr]
            finally:
                del self._shared.connection

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A session that only reads; each statement sees what is committed by then."""
        with Session(self.read_engine, expire_on_commit=False, info=self._told()) as db:
            yield db

    def _told(self) -> dict[Any, Any]:
        return {_PLACE: self._place}

    def close(self) -> None:
        self.write_engine.dispose()
        self.read_engine.dispose()


def _write_savepoints_directly(dialect: Any) -> None:
    """Each unit of work that shares its transaction has one, and SQLAlchemy's way takes a hundred times as long as theirs.
    PostgreSQL's driver throws away the plans of all its statements with each that it rolls back."""

    def does(words: str) -> Callable[[Connection, str], Any]:
        return lambda connection, name: statements.driven(connection, words + name, (), returns=False)

    back = does("ROLLBACK TO SAVEPOINT ")

    def release(connection: Connection, name: str) -> None:
        try:
            statements.driven(connection, f"RELEASE SAVEPOINT {name}", (), returns=False)
        except DBAPIError:
            # What waited goes with it, and was refused. SQLAlchemy takes the savepoint for gone then, and goes back no more.
            if not connection.invalidated:
                with suppress(DBAPIError):  # SQLite has given up the whole transaction
                    back(connection, name)
            raise

    dialect.do_savepoint = does("SAVEPOINT ")
    dialect.do_release_savepoint = release
    dialect.do_rollback_to_savepoint = back


def _roll_back_with_plans_kept(connection: Connection) -> None:
    # Each refused form would cost the next ones their plans. What SQLAlchemy does next finds it done.
    if not connection.invalidated:
        statements.roll_back(connection.info)


def _reset_with_plans_kept(_connection: Any, record: ConnectionPoolEntry, _state: Any) -> None:
    statements.roll_back(record.info)  # a transaction that was left as it stood: an interrupted commit


def _open_sqlite_to_write(connection: Any, _record: ConnectionPoolEntry) -> None:
    connection.isolation_level = None  # BEGIN is ours: sqlite3's own deferred one loses updates
    for pragma in (
        "journal_mode=wal",
        "synchronous=full",
        "busy_timeout=15000",
        "foreign_keys=on",
        "cache_size=-32768",
    ):
        connection.execute(f"pragma {pragma}")


def _open_sqlite_to_read(connection: Any, _record: ConnectionPoolEntry) -> None:
    for pragma in ("busy_timeout=15000", "cache_size=-32768", "query_only=on"):
        connection.execute(f"pragma {pragma}")


def _open_postgresql_to_read(connection: Any, _record: ConnectionPoolEntry) -> None:
    # AUTOCOMMIT statements are transactions, too: this is what makes a reader unable to write.
    connection.execute("SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY")
    connection.commit()


def _still_there(connection: Any, _record: ConnectionPoolEntry, _fairy: PoolProxiedConnection) -> None:
    # A server that ended a connection has said so, and then there is something to read. Asking it with a statement, as
    # `pool_pre_ping` does, costs a way there and back with every page.
    if not connection.closed:
        waiting = sockets.poll()
        waiting.register(connection.fileno(), sockets.POLLIN)
        if not waiting.poll(0):
            return
    raise InvalidatePoolError  # and so are its neighbours: each is opened anew when it is asked for


def _begin_immediate(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def _alembic_config(connection: Connection | None = None) -> Config:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["connection"] = connection
    return config


def migrate(url: str, revision: str = "head") -> None:
    """Brings the database at `url` to a revision; safe to run again, and by several processes at once."""
    database = Database(url)
    try:
        with database.write_engine.connect() as connection:
            command.upgrade(_alembic_config(connection), revision)
    finally:
        database.close()


def is_migrated(db: Session) -> bool:
    """Whether the tables are those that this code was written for."""
    heads = ScriptDirectory.from_config(_alembic_config()).get_heads()
    return set(MigrationContext.configure(db.connection()).get_current_heads()) == set(heads)
