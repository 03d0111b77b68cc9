"""For migrations: more words in a closed set that a CHECK holds (`db.choice`). A migration names only the words that it
brings, so that two written side by side can land in any order."""

from collections.abc import Callable, Sequence

from alembic import op
from sqlalchemy import Connection, inspect, text


def add_words(table: str, column: str, words: Sequence[str]) -> None:
    """Lets `column` hold these words as well."""
    _change(table, column, lambda known: [*known, *(word for word in words if word not in known)])


def remove_words(table: str, column: str, words: Sequence[str]) -> None:
    """The way back. Rows that hold one of the words are not ours to invent anew: they go, as the rows of a dropped table do."""
    held = ", ".join(_quoted(word) for word in words)
    op.execute(f"DELETE FROM {table} WHERE {column} IN ({held})")  # noqa: S608 - a migration's own words
    _change(table, column, lambda known: [word for word in known if word not in words])


def _change(table: str, column: str, changed: Callable[[list[str]], list[str]]) -> None:
    connection = op.get_bind()
    check = next(
        one for one in inspect(connection).get_check_constraints(table) if one["name"] == f"ck_{table}_{column}"
    )
    name, old = str(check["name"]), str(check["sqltext"])
    # As either database words it: `what IN ('a', 'b')`, or `what::text = ANY (ARRAY['a'::character varying, …])`.
    known = [part for n, part in enumerate(old.split("'")) if n % 2]
    new = f"{column} IN ({', '.join(_quoted(word) for word in changed(known))})"
    if connection.dialect.name == "sqlite":
        rewrite_sqlite(connection, table, old, new)
        return
    op.execute(f"ALTER TABLE {table} DROP CONSTRAINT {name}")
    op.execute(f"ALTER TABLE {table} ADD CONSTRAINT {name} CHECK ({new})")


def rewrite_sqlite(connection: Connection, table: str, old: str, new: str) -> None:
    """SQLite can't alter a CHECK or take a NOT NULL away, and making a large table anew for that is dear. Changing its stored
    definition is the documented way where no row is touched (sqlite.org/lang_altertable.html, section 7)."""
    made = connection.execute(
        text("SELECT sql FROM sqlite_schema WHERE type = 'table' AND name = :table"), {"table": table}
    ).scalar_one()
    if made.count(old) != 1:
        raise RuntimeError(f"the definition of {table} does not hold this once: {old}")
    version = connection.exec_driver_sql("PRAGMA schema_version").scalar_one()
    connection.exec_driver_sql("PRAGMA writable_schema=ON")
    connection.execute(
        text("UPDATE sqlite_schema SET sql = :sql WHERE type = 'table' AND name = :table"),
        {"sql": made.replace(old, new), "table": table},
    )
    # A new version makes every connection, this one included, read the definitions again.
    connection.exec_driver_sql(f"PRAGMA schema_version={version + 1}")
    connection.exec_driver_sql("PRAGMA writable_schema=OFF")


def _quoted(word: str) -> str:
    if not word.replace("_", "").isalnum():
        raise ValueError(f"not a word of a closed set: {word!r}")
    return f"'{word}'"
