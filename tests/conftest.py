"""What every test can ask for: a database of its own on either engine, a mail server, a sign-in provider, a calendar server.
Under CI a part that is missing fails the test that needed it; on a desk the test is skipped and says why.
"""

import os
import shutil
import sqlite3
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from hypothesis import settings
from psycopg import sql
from sqlalchemy import Engine, event

from portal.catalogues import compile_catalogues
from portal.db import Database, migrate
from portal.places import LOCALE
from tests import servers
from tests.shelf import Shelf

IN_CI = os.environ.get("CI", "").lower() in ("1", "true")

# No deadline: a busy machine is not a wrong answer. In CI the same examples every time; on a desk new ones.
settings.register_profile("desk", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True, print_blob=True)
settings.load_profile("ci" if IN_CI else "desk")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--write-table", action="store_true", help="write tests/routes/table.txt anew")


def pytest_sessionstart() -> None:
    # Once, by whoever hands out the tests: two processes that write the same file read each other's halves.
    if "PYTEST_XDIST_WORKER" not in os.environ:
        compile_catalogues(LOCALE)


@event.listens_for(Engine, "connect")
def _in_no_order(connection: Any, _record: Any) -> None:
    """SQLite gives what nobody put in order the other way round than it would: what relies on it fails here, every time,
    and not on PostgreSQL, now and then."""
    if isinstance(connection, sqlite3.Connection):
        connection.execute("PRAGMA reverse_unordered_selects=ON")


@contextmanager
def _or_skip() -> Iterator[None]:
    try:
        yield
    except servers.Missing as missing:
        if IN_CI:
            raise
        pytest.skip(str(missing))


@pytest.fixture(scope="session")
def pg_server_url() -> Iterator[str]:
    """A PostgreSQL server, started once for all tests: the URL of its maintenance database."""
    with ExitStack() as stack:
        with _or_skip():
            url = stack.enter_context(servers.postgres())
        yield url


@pytest.fixture(scope="session")
def migrated_sqlite_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite file with every table and no row; copied for each test."""
    file = tmp_path_factory.mktemp("template") / "migrated.sqlite"
    migrate(f"sqlite:///{file}")
    assert [path.name for path in file.parent.iterdir()] == [file.name], (
        "a write-ahead log is left: a copy would lack it"
    )
    return file


@pytest.fixture(scope="session")
def migrated_pg_template(pg_server_url: str) -> Iterator[str]:
    """The name of a PostgreSQL database with every table and no row; `CREATE DATABASE … TEMPLATE` copies it."""
    name = f"onward_template_{uuid.uuid4().hex[:12]}"
    with pg_database(pg_server_url, name) as url:
        migrate(url)
        yield name


@pytest.fixture(scope="session")
def pg_shelf(pg_server_url: str, migrated_pg_template: str) -> Iterator[Shelf]:
    """Migrated databases of PostgreSQL, used by one test after another."""
    shelf = Shelf(pg_server_url, migrated_pg_template)
    yield shelf
    shelf.clear()


@contextmanager
def pg_database(server_url: str, name: str, *, template: str = "template1") -> Iterator[str]:
    """A database on the server for as long as the block lasts: its URL."""
    # Copied file by file: half the time of the default, which writes every page to the log as well.
    create = sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY FILE_COPY").format(
        sql.Identifier(name), sql.Identifier(template)
    )
    drop = sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name))
    with psycopg.connect(servers.dsn(server_url), autocommit=True) as server:
        server.execute(create)
        try:
            yield servers.on_server(server_url, name)
        finally:
            server.execute(drop)


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def empty_database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A database of this test's own without a single table, on each engine in turn: for tests of migrations."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'empty.sqlite'}"
        return
    with pg_database(request.getfixturevalue("pg_server_url"), f"onward_{uuid.uuid4().hex}") as url:
        yield url


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A migrated database of this test's own, without rows, on each engine in turn."""
    if request.param == "sqlite":
        file = tmp_path / "onward.sqlite"
        shutil.copyfile(request.getfixturevalue("migrated_sqlite_file"), file)
        yield f"sqlite:///{file}"
        return
    with request.getfixturevalue("pg_shelf").one() as url:
        yield url


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """This test's own migrated database, opened; closed afterwards."""
    opened = Database(database_url)
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def _mail_server() -> Iterator[servers.SmtpSink]:
    with servers.smtp_sink() as sink:
        yield sink


@pytest.fixture
def smtp_sink(_mail_server: servers.SmtpSink) -> servers.SmtpSink:
    """A mail server that has received nothing yet; point `PORTAL_SMTP_URL` at its `url`."""
    _mail_server.forget()
    return _mail_server


@pytest.fixture(scope="session")
def _imap_server() -> Iterator[servers.Mailbox]:
    with ExitStack() as stack:
        with _or_skip():
            mailbox = stack.enter_context(servers.dovecot())
        yield mailbox


@pytest.fixture
def mailbox(_imap_server: servers.Mailbox) -> servers.Mailbox:
    """A mailbox on a real IMAP server, with nothing in it yet; point `PORTAL_IMAP_URL` at its `url`."""
    _imap_server.empty()
    return _imap_server


@pytest.fixture(scope="session")
def radicale() -> Iterator[servers.CalendarServer]:
    """A calendar server, started once for all tests."""
    with ExitStack() as stack:
        with _or_skip():
            server = stack.enter_context(servers.radicale())
        yield server


@pytest.fixture(scope="session")
def oidc_provider() -> Iterator[servers.OidcProvider]:
    """A sign-in provider, started once for all tests."""
    with ExitStack() as stack:
        with _or_skip():
            provider = stack.enter_context(servers.oidc_provider())
        yield provider
