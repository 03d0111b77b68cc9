"""How migrations run: on the connection they were handed, in one transaction each on PostgreSQL, in one on SQLite."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import sqlalchemy as sa
from alembic import context
from alembic.autogenerate.api import AutogenContext
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection
from sqlalchemy.dialects.postgresql import DOMAIN
from sqlalchemy.schema import CreateIndex

from portal.db import Base
from portal.instants import UtcDateTime
from portal.tables import TABLES

LOCK_TIMEOUT = "5s"
"""A migration that waits for a lock stops everyone behind it: better to fail and be run again."""

ONE_AT_A_TIME = 0x6F6E77617264
"""The number of PostgreSQL's advisory lock for it: `onward` in ASCII."""


def render_item(kind: str, item: Any, autogen: AutogenContext) -> str | bool:
    """Our column types as plain SQLAlchemy, so that a migration doesn't depend on tomorrow's code."""
    if kind == "type" and isinstance(item, UtcDateTime):
        return "sa.DateTime(timezone=True)"
    if kind == "type" and isinstance(item, sa.JSON):
        autogen.imports.add("from sqlalchemy.dialects import postgresql")
        return 'sa.JSON().with_variant(postgresql.JSONB(), "postgresql")'
    if kind == "type" and isinstance(item, sa.BigInteger):
        return 'sa.BigInteger().with_variant(sa.Integer(), "sqlite")'
    return False


def is_known_to_models(name: str | None, kind: str, _parents: object) -> bool:
    """All but the full-text index: a virtual table of FTS5 with tables of its own on SQLite, a table of `tsvector`s on
    PostgreSQL. No model can be both; its migration makes it, and the tests of searching hold it."""
    return not (kind == "table" and (name == "search_index" or (name or "").startswith("search_index_")))


def is_worth_comparing(connection: Connection) -> Callable[..., bool]:
    """All but two things. SQLite's reflection forgets DESC, so an index that has it never looks like itself: such an index
    is judged by the statement that made it, which SQLite keeps. On PostgreSQL a closed set may be a domain's CHECK and not
    its table's (`portal.closed_sets`)."""

    @cache
    def domains() -> frozenset[str]:
        # Asked for only now: a question begins a transaction, and migrations have their own.
        return frozenset(connection.scalars(sa.text("SELECT conname FROM pg_constraint WHERE contypid <> 0")))

    def judge(thing: Any, name: str | None, kind: str, _is_reflected: bool, other: Any) -> bool:
        if connection.dialect.name == "postgresql":
            return kind != "check_constraint" or name not in domains()
        if kind != "index" or other is None or not any("DESC" in str(part) for part in thing.expressions):
            return True
        made = connection.exec_driver_sql("SELECT sql FROM sqlite_master WHERE name = ?", (name,)).scalar_one()
        wanted = str(CreateIndex(thing).compile(dialect=connection.dialect))
        return bool(made.split() != wanted.split())

    return judge


def is_another_type(_context: object, _found: object, _column: object, there: Any, wanted: Any) -> bool | None:
    """A closed set that is a domain is text as the model has it; its words are compared by `tests/test_migrations.py`."""
    is_set = isinstance(there, DOMAIN) and isinstance(there.data_type, sa.VARCHAR) and isinstance(wanted, sa.Enum)
    return False if is_set else None


def refuse_orphans(ctx: MigrationContext, **_step: Any) -> None:
    """On SQLite, inside each migration's transaction: rows that lost their parents take the migration back."""
    connection = ctx.connection
    if connection is None or connection.dialect.name != "sqlite":
        return
    broken = connection.exec_driver_sql("PRAGMA foreign_key_check").fetchall()
    if broken:
        raise RuntimeError(f"the migration leaves rows without their parents: {broken[:5]}")


def run(connection: Connection) -> None:
    on_sqlite = connection.dialect.name == "sqlite"
    with foreign_keys_off(connection) if on_sqlite else alone(connection):
        context.configure(
            connection=connection,
            target_metadata=Base.metadata,
            render_as_batch=on_sqlite,
            render_item=render_item,
            transactional_ddl=True,
            # On SQLite all in one, begun before it is read which are missing: its write lock is what lets one process
            # migrate at a time, and between two transactions another one would begin with the same next step.
            transaction_per_migration=not on_sqlite,
            on_version_apply=refuse_orphans,
            compare_server_default=True,
            include_name=is_known_to_models,
            include_object=is_worth_comparing(connection),
            compare_type=is_another_type,
            autogenerate_plugins=["alembic.autogenerate.*", "alembic.ext.checkconstraint_byname"],
        )
        with context.begin_transaction():
            context.run_migrations()


@contextmanager
def foreign_keys_off(connection: Connection) -> Iterator[None]:
    """On SQLite: with foreign keys on, rebuilding a parent table deletes its children."""
    raw: Any = connection.connection.driver_connection
    # On the raw connection: a PRAGMA inside a transaction does nothing.
    raw.execute("PRAGMA foreign_keys=OFF")
    try:
        yield
    finally:
        raw.execute("PRAGMA foreign_keys=ON")


@contextmanager
def alone(connection: Connection) -> Iterator[None]:
    """On PostgreSQL: one process migrates at a time, the others wait for it and find everything done."""
    connection.exec_driver_sql(f"SELECT pg_advisory_lock({ONE_AT_A_TIME})")
    connection.exec_driver_sql(f"SET lock_timeout = '{LOCK_TIMEOUT}'")
    connection.commit()
    try:
        yield
    finally:
        connection.rollback()
        connection.exec_driver_sql(f"SELECT pg_advisory_unlock({ONE_AT_A_TIME})")
        connection.commit()


assert TABLES  # noqa: S101 - imported so that Base knows them
run(context.config.attributes["connection"])
