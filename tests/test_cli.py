"""The `portal` command, run as people run it."""

import http.client
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from portal.accounts.models import Staff
from portal.audit import AuditEvent
from portal.clock import SystemClock
from portal.db import Database
from tests import servers

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def environment(database_url: str, tmp_path: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PORTAL_")}
    return kept | {
        "PORTAL_DATABASE_URL": database_url,
        "PORTAL_DATA_DIR": str(tmp_path / "data"),
        "PORTAL_SECRET_KEY": "s" * 40,
        "PYTHONPATH": str(servers.ROOT),
    }


@pytest.fixture
def portal(environment: dict[str, str]) -> Run:
    def run(*words: str, **more: str) -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, "-m", "portal.cli", *words]
        return subprocess.run(command, env=environment | more, capture_output=True, text=True, check=False, timeout=120)

    return run


def test_help_imports_nothing_heavy() -> None:
    ask = "import sys; from portal.cli import _parser; _parser().format_help(); print(*sys.modules)"
    shown = subprocess.run([sys.executable, "-c", ask], cwd=servers.ROOT, capture_output=True, text=True, check=True)
    heavy = {"sqlalchemy", "fastapi", "starlette", "alembic", "authlib", "babel", "jinja2", "uvicorn", "pydantic"}
    assert heavy & set(shown.stdout.split()) == set()


def test_wrong_usage_and_wrong_settings_say_what_to_do(portal: Run) -> None:
    assert portal("dance").returncode == 2
    late = portal("work", "--until", "tomorrow")
    assert (late.returncode, "write 2026-08-01 or" in late.stderr) == (2, True)
    unsafe = portal("migrate", PORTAL_ENV="production")
    assert (unsafe.returncode, unsafe.stderr.splitlines()) == (
        2, ["Settings: PORTAL_BASE_URL: set the https address that people use"],
    )  # fmt: skip
    not_demo = portal("work", "--until", "2030-01-01")
    assert (not_demo.returncode, not_demo.stderr) == (
        1, "Only the demo's clock can be moved. Set PORTAL_DEMO=1.\n",
    )  # fmt: skip


def test_a_database_that_is_away_is_a_sentence(portal: Run) -> None:
    away = portal("staff", "add", "ana@x.example", "--name", "Ana", "--role", "administrator",
                  PORTAL_DATABASE_URL="postgresql://nobody@127.0.0.1:1/none")  # fmt: skip
    assert away.returncode == 1
    assert "Traceback" not in away.stderr
    assert away.stderr.endswith("Is it running, and migrated? Try: portal check\n")


def test_staff_are_added_once(portal: Run, database: Database) -> None:
    words = ["staff", "add", " Ana@Larderly.example", "--name", "Ana  Prado", "--role", "administrator"]
    assert portal(*words, "--language", "pt-BR").returncode == 0
    again = portal(*words)
    assert (again.returncode, again.stderr) == (1, "ana@larderly.example is there already.\n")
    assert portal("staff", "add", "nobody", "--name", "N", "--role", "manager").returncode == 2
    assert (
        portal("staff", "add", "n@x.example", "--name", "N", "--role", "manager", "--timezone", "Mars").returncode == 2
    )
    with database.read() as db:
        (ana,) = db.scalars(select(Staff))
        assert (ana.email, ana.name, ana.role, ana.language, ana.timezone) == (
            "ana@larderly.example", "Ana Prado", "administrator", "pt-BR", "America/Sao_Paulo",
        )  # fmt: skip
        assert db.scalars(select(AuditEvent.by)).all() == ["cli"]


def test_tokens_are_created_listed_and_revoked(portal: Run) -> None:
    made = portal("token", "create", "crm", "--scope", "write")
    assert made.returncode == 0
    assert len(made.stdout.strip()) > 40
    assert portal("token", "create", "crm", "--scope", "read").returncode == 1
    assert portal("token", "list").stdout == "crm\twrite\tnever used\n"
    assert portal("token", "revoke", "crm").returncode == 0
    assert portal("token", "revoke", "crm").returncode == 1
    assert portal("token", "list").stdout == "crm\twrite\trevoked\n"


def test_check_says_what_is_missing(portal: Run, smtp_sink: servers.SmtpSink) -> None:
    fine = portal("check", PORTAL_SMTP_URL=smtp_sink.url)
    assert (fine.returncode, [line.split(maxsplit=1) for line in fine.stdout.splitlines()]) == (
        0,
        [
            ["settings", "ok (development)"],
            ["database", "ok"],
            ["answers", "go to the consultants' own mailboxes (PORTAL_REPLY_DOMAIN is not set)"],
            ["mail", "ok"],
        ],
    )
    down = portal("check", PORTAL_SMTP_URL=f"smtp://127.0.0.1:{servers.free_port()}")
    assert down.returncode == 1
    assert "mail      not reached: [Errno 111] Connection refused. Check PORTAL_SMTP_URL." in down.stdout


def test_a_new_database_has_to_be_migrated_first(
    empty_database_url: str, environment: dict[str, str], portal: Run
) -> None:
    environment["PORTAL_DATABASE_URL"] = empty_database_url
    assert "Run: portal migrate" in portal("check").stdout
    assert portal("migrate").returncode == 0
    assert portal("migrate").returncode == 0
    assert portal("check").returncode == 0


def _postgres_programs(environment: dict[str, str]) -> None:
    environment["PATH"] = f"{servers._postgres_binaries()}{os.pathsep}{environment['PATH']}"


def test_a_backup_can_be_restored(portal: Run, database: Database, environment: dict[str, str], tmp_path: Path) -> None:
    if database.dialect == "postgresql":
        _postgres_programs(environment)
    file = tmp_path / "kept.backup"
    add = ["--name", "Ana", "--role", "manager"]
    assert portal("staff", "add", "before@x.example", *add).returncode == 0
    made = portal("backup", str(file))
    assert (made.returncode, made.stderr) == (0, "")
    assert [path.name for path in tmp_path.glob("kept*")] == ["kept.backup"]
    assert portal("backup", str(file)).returncode == 1
    assert portal("staff", "add", "after@x.example", *add).returncode == 0
    restored = portal("restore", str(file))
    assert (restored.returncode, restored.stderr) == (0, "")
    with database.read() as db:
        assert db.scalars(select(Staff.email)).all() == ["before@x.example"]


def test_what_is_no_backup_changes_nothing(portal: Run, database: Database, tmp_path: Path) -> None:
    if database.dialect == "postgresql":
        pytest.skip("pg_restore judges its own files")
    portal("staff", "add", "before@x.example", "--name", "Ana", "--role", "manager")
    text, foreign = tmp_path / "text", tmp_path / "foreign.sqlite"
    text.write_text("no database at all" * 100)
    with sqlite3.connect(foreign) as other:
        other.execute("CREATE TABLE t (x)")
    other.close()
    for file in (text, foreign, tmp_path / "missing"):
        refused = portal("restore", str(file))
        assert (refused.returncode, "Traceback" in refused.stderr) == (1, False)
    with database.read() as db:
        assert db.scalars(select(Staff.email)).all() == ["before@x.example"]


def test_postgresqls_programs_are_named_where_they_are_missing(portal: Run, database: Database, tmp_path: Path) -> None:
    if database.dialect != "postgresql":
        pytest.skip("SQLite needs none")
    missing = portal("backup", str(tmp_path / "x"), PATH=str(tmp_path))
    assert (missing.returncode, missing.stderr) == (
        1, "pg_dump is not installed. Install PostgreSQL's client programs.\n",
    )  # fmt: skip


def test_the_demos_time_passes_by_command(portal: Run) -> None:
    until = (SystemClock().now() + timedelta(days=30)).replace(microsecond=0)
    done = portal("work", "--until", until.isoformat(), PORTAL_DEMO="1")
    assert (done.returncode, done.stdout) == (0, f"0 done. The demo's clock says {until:%Y-%m-%d %H:%M} UTC.\n")
    back = portal("work", "--until", "2020-01-01", PORTAL_DEMO="1")
    assert (back.returncode, f"{until:%Y-%m-%d}" in back.stdout) == (0, True)


@pytest.fixture
def started(environment: dict[str, str], tmp_path: Path) -> Iterator[Callable[..., "subprocess.Popen[str]"]]:
    running: list[subprocess.Popen[str]] = []

    def start(*words: str) -> "subprocess.Popen[str]":
        command = [sys.executable, "-m", "portal.cli", *words]
        running.append(subprocess.Popen(command, env=environment, cwd=tmp_path, stdout=subprocess.PIPE, text=True))
        return running[-1]

    yield start
    for process in running:
        process.kill()
        process.wait()
        if process.stdout:
            process.stdout.close()


def _status(port: int, path: str) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request("GET", path, headers={"Host": f"localhost:{port}"})
    status = connection.getresponse().status
    connection.close()
    return status


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM])
def test_the_demo_starts_web_and_worker_and_ends_cleanly(
    started: Callable[..., "subprocess.Popen[str]"], environment: dict[str, str], tmp_path: Path, end: signal.Signals
) -> None:
    if environment["PORTAL_DATABASE_URL"].startswith("postgresql"):
        pytest.skip("the demo keeps its own SQLite file")
    del environment["PORTAL_DATABASE_URL"]
    port = servers.free_port()
    process = started("demo", "--port", str(port), "--data", str(tmp_path / "demo"))
    assert process.stdout is not None
    said = iter(process.stdout.readline, "")
    assert next(line for line in said if "Onward is at" in line).strip() == f"Onward is at http://localhost:{port}"
    _wait_for(port)
    taken = started("demo", "--port", str(port), "--data", str(tmp_path / "other"))
    assert taken.wait(timeout=60) == 1
    process.send_signal(end)
    assert process.wait(timeout=60) == 0


def test_serve_answers_until_it_is_told_to_stop(started: Callable[..., "subprocess.Popen[str]"]) -> None:
    port = servers.free_port()
    process = started("serve", "--port", str(port))
    _wait_for(port)
    assert _status(port, "/readyz") == 503, "no worker has been seen"
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=60) == 0


def _wait_for(port: int) -> None:
    """Until the server listens: the kernel answers a connection as soon as it does."""
    deadline = SystemClock().now() + timedelta(seconds=60)
    while SystemClock().now() < deadline:
        try:
            if _status(port, "/healthz") == 200:
                return
        except ConnectionRefusedError:
            continue
    raise AssertionError("the server did not start")
