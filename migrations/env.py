"""How migrations run: on the connection they were handed, one transaction each, on both databases."""

from typing import Any

import sqlalchemy as sa
from alembic import context
from alembic.autogenerate.api import AutogenContext
from sqlalchemy import Connection

from portal.db import Base, UtcDateTime
from portal.tables import TABLES

LOCK_TIMEOUT = "5s"
"""A migration that waits for a lock stops everyone behind it: better to fail and be run again."""


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


def run(connection: Connection) -> None:
    raw: Any = connection.connection.driver_connection if connection.dialect.name == "sqlite" else None
    if raw is not None:
        # On the raw connection: a PRAGMA inside a transaction does nothing, and with foreign keys on, rebuilding a
        # parent table deletes its children.
        raw.execute("PRAGMA foreign_keys=OFF")
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        render_as_batch=raw is not None,
        render_item=render_item,
        transactional_ddl=True,
        transaction_per_migration=True,
        compare_server_default=True,
        autogenerate_plugins=["alembic.autogenerate.*", "alembic.ext.checkconstraint_byname"],
    )
    with context.begin_transaction():
        if raw is None:
            connection.exec_driver_sql(f"SET lock_timeout = '{LOCK_TIMEOUT}'")
        context.run_migrations()
    if raw is not None:
        broken = raw.execute("PRAGMA foreign_key_check").fetchall()
        raw.execute("PRAGMA foreign_keys=ON")
        if broken:
            raise RuntimeError(f"the migration leaves rows without their parents: {broken[:5]}")


assert TABLES
run(context.config.attributes["connection"])
