"""Backup and restore: SQLite through its online backup (a plain copy of the file would lack what is in the log),
PostgreSQL through its own programs."""

import os
import shutil
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

from portal.db import Database
from portal.errors import N_, Refused


class NotCopied(Refused):
    """A backup or a restore that could not be done; nothing was changed."""


def backup(database: Database, file: Path) -> None:
    """Writes a consistent copy, while others read and write. Errors: NotCopied; a half-written file is removed."""
    if file.exists():
        raise NotCopied(N_("%(file)s exists already. Choose another name, or remove it first."), file=file)
    part = file.with_name(file.name + ".part")
    try:
        if database.dialect == "sqlite":
            with closing(sqlite3.connect(_path(database))) as source, closing(sqlite3.connect(part)) as target:
                source.backup(target)
                target.execute("PRAGMA journal_mode=DELETE")
        else:
            _run(database, "pg_dump", "--format=custom", "--no-owner", f"--file={part}")
        part.replace(file)
    finally:
        part.unlink(missing_ok=True)


def restore(database: Database, file: Path) -> None:
    """Puts a backup in the place of what is there, whole or not at all. Errors: NotCopied."""
    if not file.is_file():
        raise NotCopied(N_("There is no file %(file)s."), file=file)
    if database.dialect == "sqlite":
        with closing(sqlite3.connect(file.resolve().as_uri() + "?mode=ro", uri=True)) as source:
            _check(source, file)
            with closing(sqlite3.connect(_path(database), timeout=15)) as target:
                source.backup(target)
    else:
        _run(
            database,
            "pg_restore",
            "--clean",
            "--if-exists",
            "--no-owner",
            "--single-transaction",
            "--exit-on-error",
            str(file),
        )


def _path(database: Database) -> str:
    return str(database.url.database)


def _check(source: sqlite3.Connection, file: Path) -> None:
    try:
        sound = source.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
        ours = source.execute("SELECT count(*) FROM sqlite_master WHERE name = 'deployment_facts'").fetchone()[0] == 1
    except sqlite3.DatabaseError:
        sound = ours = False
    if not (sound and ours):
        raise NotCopied(N_("%(file)s is no sound backup of a portal. Nothing was changed."), file=file)


def _run(database: Database, program: str, *options: str) -> None:
    found = shutil.which(program)
    if found is None:
        raise NotCopied(N_("%(program)s is not installed. Install PostgreSQL's client programs."), program=program)
    url = database.url._replace(drivername="postgresql", password=None)
    # The password in the environment: a command line is for everybody on the machine to read.
    environment = {**os.environ, "PGPASSWORD": database.url.password or ""}
    target = f"--dbname={url.render_as_string()}"
    done = subprocess.run([found, target, *options], env=environment, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode != 0:
        raise NotCopied(
            N_("%(program)s failed: %(words)s"), program=program, words=done.stderr.strip() or done.stdout.strip()
        )
