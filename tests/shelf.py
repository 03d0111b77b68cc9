"""PostgreSQL databases that are used again: emptied after a test, which takes a tenth of the time of making one, and given
a new name, since the product keeps what never changes in memory by the database's address.
"""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import psycopg
from psycopg import sql

from tests import servers

AT_MOST = 40
"""How often one is used: what was deleted is still in its files."""
_MAKE = "CREATE DATABASE {} TEMPLATE {} STRATEGY FILE_COPY"
"""Copied file by file: half the time of the default, which writes every page to the log as well."""
_SHUT_OUT = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s AND pid <> pg_backend_pid()"
_IN_PUBLIC = "FROM pg_class WHERE relnamespace = 'public'::regnamespace"
_SHAPE = f"SELECT count(*), coalesce(sum(relnatts), 0) {_IN_PUBLIC}"
_TABLES = f"SELECT quote_ident(relname) {_IN_PUBLIC} AND relkind = 'r' ORDER BY 1"
_SEQUENCES = "SELECT quote_ident(sequencename), start_value, last_value FROM pg_sequences ORDER BY 1"


class _Made(NamedTuple):
    """A database as migrations make it."""

    shape: tuple[int, int]
    tables: list[str]
    rows: dict[str, bytes]
    """What migrations write, by table."""
    sequences: dict[str, tuple[int, bool]]


def _told(statement: str, table: str) -> bytes:
    """With the name of a table as PostgreSQL quotes it."""
    return statement.format(table).encode()


def _as_made(database: psycopg.Connection) -> _Made:
    shape = database.execute(_SHAPE.encode()).fetchone()
    assert shape is not None
    tables = [row[0] for row in database.execute(_TABLES.encode())]
    rows = {table: copied for table in tables if (copied := _rows(database, table))}
    at = {name: (last or start, last is not None) for name, start, last in database.execute(_SEQUENCES.encode())}
    return _Made(shape, tables, rows, at)


def _rows(database: psycopg.Connection, table: str) -> bytes:
    everything = _told("COPY (SELECT * FROM {} ORDER BY 1) TO STDOUT", table)
    with database.cursor() as cursor, cursor.copy(everything) as out:
        return b"".join(bytes(part) for part in out)


def _empty(database: psycopg.Connection, made: _Made) -> bool:
    """Makes it as it was made; gives whether that could be done."""
    database.execute("SET lock_timeout = '2s'; SET session_replication_role = replica")
    if database.execute(_SHAPE.encode()).fetchone() != made.shape:
        return False
    any_rows = b" UNION ALL ".join(_told("SELECT '{0}' WHERE EXISTS (SELECT FROM {0})", table) for table in made.tables)
    for (table,) in database.execute(any_rows).fetchall():
        if table not in made.rows or _rows(database, table) != made.rows[table]:
            database.execute(_told("DELETE FROM {}", table))
            if table in made.rows:
                with database.cursor() as cursor, cursor.copy(_told("COPY {} FROM STDIN", table)) as back:
                    back.write(made.rows[table])
    for name, start, last in database.execute(_SEQUENCES.encode()).fetchall():
        if (last or start, last is not None) != made.sequences[name]:
            database.execute("SELECT setval(%s::regclass, %s, %s)", [name, *made.sequences[name]])
    return True


class Shelf:
    """Databases that are as their template is."""

    def __init__(self, server_url: str, template: str) -> None:
        self._server_url, self._template = server_url, template
        self._free: list[tuple[str, int]] = []
        self._made: _Made | None = None

    @contextmanager
    def one(self) -> Iterator[str]:
        """A database for as long as the block lasts: its URL."""
        name = f"onward_{uuid.uuid4().hex}"
        with psycopg.connect(servers.dsn(self._server_url), autocommit=True) as server:
            known, uses = self._free.pop() if self._free else ("", 0)
            if known:
                server.execute(_sql("ALTER DATABASE {} RENAME TO {}", known, name))
            else:
                server.execute(_sql(_MAKE, name, self._template))
            try:
                yield servers.on_server(self._server_url, name)
            finally:
                server.execute(_SHUT_OUT, [name])
                if uses + 1 < AT_MOST and self._is_as_made(name):
                    self._free.append((name, uses + 1))
                else:
                    server.execute(_sql("DROP DATABASE {} WITH (FORCE)", name))

    def clear(self) -> None:
        """Drops those that nobody uses."""
        with psycopg.connect(servers.dsn(self._server_url), autocommit=True) as server:
            while self._free:
                server.execute(_sql("DROP DATABASE {} WITH (FORCE)", self._free.pop()[0]))

    def _is_as_made(self, name: str) -> bool:
        if self._made is None:
            with self._open(self._template) as template:
                self._made = _as_made(template)
        try:
            with self._open(name) as database:
                return _empty(database, self._made)
        except psycopg.Error:
            return False

    def _open(self, name: str) -> psycopg.Connection:
        return psycopg.connect(servers.dsn(servers.on_server(self._server_url, name)), autocommit=True)


def _sql(statement: str, *names: str) -> sql.Composed:
    return sql.SQL(statement).format(*map(sql.Identifier, names))
