"""For migrations: more words in a closed set (`db.choice`). A migration names only the words that it brings, so that two
written side by side can land in any order.

A CHECK holds a closed set; on PostgreSQL, for what is written all the time, a domain does (`make_domain`): PostgreSQL reads
a table's CHECKs anew with each statement that writes to it, which took a tenth of what an answer costs there, and keeps a
domain's. SQLite makes a table of an `IN` anew with each statement, so that a long set is told case by case there
(`tell_by_case`).
"""

from collections.abc import Callable, Sequence

from alembic import op
from sqlalchemy import Connection, inspect, text


def add_words(table: str, column: str, words: Sequence[str]) -> None:
    """Lets `column` hold these words as well."""
    _change(table, column, lambda known: [*known, *(word for word in words if word not in known)])


def remove_words(table: str, column: str, words: Sequence[str]) -> None:
    """The way back. Rows that hold one of the words are not ours to invent anew: they go, as the rows of a dropped table do."""
    op.execute(f"DELETE FROM {table} WHERE {column} IN ({_listed(words)})")  # noqa: S608 - a migration's own words
    _change(table, column, lambda known: [word for word in known if word not in words])


def make_domain(table: str, column: str) -> None:
    """On PostgreSQL: the column's set becomes its type. Its rows are written anew."""
    if (connection := op.get_bind()).dialect.name == "postgresql":
        words = _words_in(_check(connection, table, column))
        op.execute(f"ALTER TABLE {table} DROP CONSTRAINT ck_{table}_{column}")
        op.execute(
            f"CREATE DOMAIN {table}_{column} AS VARCHAR(40)"
            f" CONSTRAINT ck_{table}_{column} CHECK (VALUE IN ({_listed(words)}))"
        )
        op.execute(f"ALTER TABLE {table} ALTER COLUMN {column} TYPE {table}_{column}")


def make_check(table: str, column: str) -> None:
    """The way back."""
    if (connection := op.get_bind()).dialect.name == "postgresql":
        words = _words_in(str(_domain(connection, table, column)))
        op.execute(f"ALTER TABLE {table} ALTER COLUMN {column} TYPE VARCHAR(40)")
        op.execute(f"DROP DOMAIN {table}_{column}")
        op.execute(f"ALTER TABLE {table} ADD CONSTRAINT ck_{table}_{column} CHECK ({column} IN ({_listed(words)}))")


def tell_by_case(table: str, column: str) -> None:
    """On SQLite: `CASE` for `IN`. A statement that writes a row with a word of a hundred takes 4 to 10 µs then, and 65 before."""
    _tell(table, column, _cases)


def tell_by_list(table: str, column: str) -> None:
    """The way back."""
    _tell(table, column, _list)


def _tell(table: str, column: str, told: Callable[[str, Sequence[str]], str]) -> None:
    if (connection := op.get_bind()).dialect.name == "sqlite":
        old = _check(connection, table, column)
        rewrite_sqlite(connection, table, old, told(column, _words_in(old)))


def _list(column: str, words: Sequence[str]) -> str:
    return f"{column} IN ({_listed(words)})"


def _cases(column: str, words: Sequence[str]) -> str:
    cases = " ".join(f"WHEN {_quoted(word)} THEN 1" for word in words)
    return f"CASE {column} {cases} ELSE {column} IS NULL END"  # what isn't there is no wrong word, as with `IN`


def _check(connection: Connection, table: str, column: str) -> str:
    checks = inspect(connection).get_check_constraints(table)
    return next(str(one["sqltext"]) for one in checks if one["name"] == f"ck_{table}_{column}")


def _domain(connection: Connection, table: str, column: str) -> str | None:
    """What the column's domain holds, where it has one."""
    if connection.dialect.name != "postgresql":
        return None
    asked = text("SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE contypid <> 0 AND conname = :name")
    held: str | None = connection.scalar(asked, {"name": f"ck_{table}_{column}"})
    return held


def _words_in(held: str) -> list[str]:
    # As either database words it: `what IN ('a', 'b')`, or `what::text = ANY (ARRAY['a'::character varying, …])`.
    return [part for n, part in enumerate(held.split("'")) if n % 2]


def _listed(words: Sequence[str]) -> str:
    return ", ".join(_quoted(word) for word in words)


def _change(table: str, column: str, changed: Callable[[list[str]], list[str]]) -> None:
    connection, name = op.get_bind(), f"ck_{table}_{column}"
    if (held := _domain(connection, table, column)) is not None:
        new = f"VALUE IN ({_listed(changed(_words_in(held)))})"
        op.execute(f"ALTER DOMAIN {table}_{column} DROP CONSTRAINT {name}")
        op.execute(f"ALTER DOMAIN {table}_{column} ADD CONSTRAINT {name} CHECK ({new})")
        return
    old = _check(connection, table, column)
    words = changed(_words_in(old))
    if connection.dialect.name == "sqlite":
        rewrite_sqlite(connection, table, old, (_cases if old.startswith("CASE") else _list)(column, words))
        return
    op.execute(f"ALTER TABLE {table} DROP CONSTRAINT {name}")
    op.execute(f"ALTER TABLE {table} ADD CONSTRAINT {name} CHECK ({_list(column, words)})")


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
