"""A survey's page and its submission: what each costs, and how near the submission comes to the database's own pace.

    python -m bench.survey                      PostgreSQL with synchronous commit, then SQLite with 32 people at once
    python -m bench.survey --database sqlite

Each is the real server over HTTP. Submissions are a mix: 14 in 20 good, 4 middling, 2 unhappy ones that open a case. Beside
them, in the same run and on the same database, pgbench sends the very statements of such a submission, as recorded.
"""

import argparse
import asyncio
import itertools
import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlencode

import psycopg
from sqlalchemy import event, func, select, text
from sqlalchemy.engine import make_url
from starlette.testclient import TestClient

from bench.crowd import DAY_30, write_crowd
from bench.filling import settings_for
from bench.measuring import family_seconds, foreign_load, pin, postgres_pid, processor_seconds, server
from portal import links
from portal.app import create_app
from portal.clock import FixedClock
from portal.db import Database, migrate
from portal.house import House
from portal.journeys.models import Flag
from portal.surveys import shown as seals
from portal.surveys.models import AnswerRow, Invitation
from portal.surveys.paths import sealed_path
from portal.surveys.rules import Reader, Shown
from portal.worker import TIMETABLE, Worker
from tests import servers
from tests.conftest import pg_database

NOW = DAY_30 + timedelta(hours=2)
ENGINE_PAGE_MS, ENGINE_SUBMISSION_MS = 33.0, 31.0
"""Processor time of the best survey engine measured on this kind of machine, web and database together."""
ROUNDS = 5
SENT_A_ROUND = 240
SENT_A_TURN = 100
"""On SQLite: the processor's time is told in hundredths of a second, so that a few answers say nothing."""
WARMING = 800
"""Sent before it is measured, as to a server that has been up for some minutes: each of its connections plans a statement
anew the first ten times, and one answer in ten is of the rarest kind."""
PAGES_A_ROUND = 400
AT_ONCE = 8
PEOPLE = 32
RECORDED = 777
"""The invitation whose submission is recorded; its account, journey and contact have the same number."""
_ANSWERS = itertools.cycle(
    [{"csat": "5", "nps": "9", "comment": "Counting is quick now"}] * 7
    + [{"csat": "3", "nps": "8", "comment": "Exports"}] * 2
    + [{"csat": "1", "nps": "2", "comment": "It keeps failing"}]
)


class Form(NamedTuple):
    """One invitation's link, and a form of it that was shown a minute ago."""

    path: str
    body: bytes


def prepared(database: Database, count: int) -> list[Form]:
    """That many customers, asked on day 30 by the worker as it always does."""
    write_crowd(database, count)
    house = House(settings_for(_told(database)), database, FixedClock(NOW), frozenset())
    jobs = [job for job in TIMETABLE if job.name in ("journeys", "surveys")]
    Worker(house, jobs).run_until_idle(DAY_30 + timedelta(minutes=1))
    with database.read() as db:
        rows = db.execute(select(Invitation.id, Invitation.nonce, Invitation.journey_id).order_by(Invitation.id)).all()
    assert [row.id for row in rows] == [row.journey_id for row in rows] == list(range(1, count + 1))
    with database.write() as db:
        db.execute(text("ANALYZE"))
    return [_form(house, row.id, row.nonce) for row in rows]


def _told(database: Database) -> str:
    return database.url.render_as_string(hide_password=False)


def _form(house: House, invitation_id: int, nonce: str) -> Form:
    shown = Shown(NOW - timedelta(minutes=1), links.new_nonce()[:16], Reader.BROWSER, "-")
    sealed = seals.seal(house.secret, invitation_id, shown)
    return Form(sealed_path(house, invitation_id, nonce), urlencode({**next(_ANSWERS), "form": sealed}).encode())


# Over HTTP


class Turn(NamedTuple):
    """Requests a second, milliseconds of processor a request (web, database), and how long each took."""

    rate: float
    web_ms: float
    database_ms: float
    seconds: list[float]


async def _ask(reader: Any, writer: Any, form: Form, *, send: bool) -> float:
    began = time.perf_counter()
    head = f"{'POST' if send else 'GET'} {form.path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: text/html\r\n"
    if send:
        head += (
            "Sec-Fetch-Site: same-origin\r\nContent-Type: application/x-www-form-urlencoded\r\n"
            f"Content-Length: {len(form.body)}\r\n"
        )
    writer.write(f"{head}\r\n".encode() + (form.body if send else b""))
    answer = await reader.readuntil(b"\r\n\r\n")
    found = re.search(rb"(?i)content-length: (\d+)", answer)
    await reader.readexactly(int(found[1]) if found else 0)
    if not answer.startswith(b"HTTP/1.1 303 " if send else b"HTTP/1.1 200 "):
        raise SystemExit(f"{form.path} answers {answer[:60]!r}")
    return time.perf_counter() - began


async def _one_after_another(port: int, forms: Sequence[Form], *, send: bool) -> list[float]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        return [await _ask(reader, writer, form, send=send) for form in forms]
    finally:
        writer.close()


def turn(
    port: int, pid: int, database_pid: int | None, forms: Sequence[Form], *, send: bool, at_once: int = AT_ONCE
) -> Turn:
    """All these forms, shown or sent, by so many people at once."""

    async def everybody() -> list[list[float]]:
        shares = [forms[n::at_once] for n in range(at_once)]
        return await asyncio.gather(*(_one_after_another(port, share, send=send) for share in shares))

    def spent() -> tuple[float, float]:
        return processor_seconds(pid), family_seconds(database_pid) if database_pid else 0.0

    before, began = spent(), time.perf_counter()
    seconds = [each for share in asyncio.run(everybody()) for each in share]
    took, after = time.perf_counter() - began, spent()
    web, database = ((b - a) / len(forms) * 1000 for a, b in zip(before, after, strict=True))
    return Turn(len(forms) / took, web, database, sorted(seconds))


def middle(values: Sequence[float]) -> float:
    return sorted(values)[len(values) // 2]


def told(name: str, turns: Sequence[Turn], engine_ms: float) -> bool:
    web, database = middle([t.web_ms for t in turns]), middle([t.database_ms for t in turns])
    times = engine_ms / (web + database)
    print(
        f"{name:34} {middle([t.rate for t in turns]):6.0f}/s   processor each: web {web:5.2f} ms + database {database:5.2f} ms"
        f"   {times:4.1f} times less than {engine_ms:.0f} ms (goal 5): {'reached' if times >= 5 else 'MISSED'}",
        flush=True,
    )
    return times >= 5


# The same statements from pgbench


def recorded(url: str, form: Form, warming: Form) -> str:
    """One good submission's statements as a pgbench script: the numbers of its rows become `:n`, the new answer's the one
    that the database gave ahead."""
    app = create_app(settings_for(url), FixedClock(NOW))
    database = app.state.wiring.house.database
    statements: list[str] = []
    # Writing values out wants a connection of its own.
    with psycopg.connect(servers.dsn(url)) as plain:

        def keep(_connection: Any, _cursor: Any, statement: str, parameters: Any, _context: Any, many: bool) -> None:
            for each in parameters if many else [parameters]:
                by_name = isinstance(each, dict)  # as SQLAlchemy sends it; what goes past it is by number
                values = dict(each if by_name else enumerate(each, 1))
                place = re.compile(r"%\((\w+)\)s" if by_name else r"\$(\d+)")

                def written(found: re.Match[str], values: dict[Any, Any] = values, by_name: bool = by_name) -> str:
                    return psycopg.sql.Literal(values[found[1] if by_name else int(found[1])]).as_string(plain)

                statements.append(" ".join(place.sub(written, statement).split()))

        for engine in (database.read_engine, database.write_engine):
            event.listen(engine, "before_cursor_execute", keep)
        client = TestClient(app, base_url="http://127.0.0.1", follow_redirects=False)
        headers = {"Content-Type": "application/x-www-form-urlencoded", "Sec-Fetch-Site": "same-origin"}
        client.post(warming.path, content=warming.body, headers=headers)
        statements.clear()
        answer = client.post(form.path, content=form.body, headers=headers)
        assert answer.status_code == 303, answer.text
        for engine in (database.read_engine, database.write_engine):
            event.remove(engine, "before_cursor_execute", keep)
    with database.read() as db:
        answer_id = db.scalars(select(AnswerRow.id).where(AnswerRow.invitation_id == RECORDED)).one()
    database.close()
    lines = ["SELECT nextval('bench_n') AS n \\gset", "BEGIN;"]
    for statement in statements:
        line = re.sub(rf"\b{RECORDED}\b", ":n", re.sub(rf"\b{answer_id}\b", ":held_next_id", statement))
        line = re.sub(r"'[0-9a-f]{16}'", "md5(:n::text)", line) if line.startswith("INSERT INTO answers") else line
        lines.append(f"{line} \\gset held_" if "nextval(" in line else f"{line};")
    return "\n".join([*lines, "COMMIT;", ""])


def pgbench(url: str, script: Path, *, first: int, count: int) -> float:
    """Transactions a second of that script, by as many clients as there were people."""
    program = servers._postgres_binaries() / "pgbench"
    if not os.access(program, os.X_OK):
        program = Path(shutil.which("pgbench") or "")
    with psycopg.connect(servers.dsn(url), autocommit=True) as plain:
        plain.execute(f"CREATE SEQUENCE IF NOT EXISTS bench_n; ALTER SEQUENCE bench_n RESTART WITH {first}".encode())
    known = make_url(url)
    each = str(count // AT_ONCE)
    command = [program, "-n", "-h", known.query["host"], "-U", "onward", "-f", script, "-c", str(AT_ONCE), "-t", each]
    done = subprocess.run([*map(str, command), str(known.database)], capture_output=True, text=True, check=False)
    found = re.search(r"tps = ([\d.]+)", done.stdout)
    failed = re.search(r"number of failed transactions: (\d+)", done.stdout)
    if done.returncode or not found or (failed and failed[1] != "0"):
        raise SystemExit(f"pgbench: {done.stdout}{done.stderr}")
    return float(found[1])


# Both databases


def on_postgresql(folder: Path) -> bool:
    need = 200 + WARMING + SENT_A_ROUND * ROUNDS * 2 + 900
    with ExitStack() as stack:
        server_url = stack.enter_context(servers.postgres(durable=True))
        url = stack.enter_context(pg_database(server_url, "survey"))
        migrate(url)
        database = Database(url)
        with database.write() as db:
            db.execute(text("ALTER SEQUENCE answers_id_seq RESTART WITH 5000000"))
        forms = prepared(database, need)
        database.close()
        good = next(n for n in range(RECORDED - 1, RECORDED))
        script = folder / "submission.sql"
        house = House(settings_for(url), Database(url), FixedClock(NOW), frozenset())
        with house.database.read() as db:
            nonce = db.scalars(select(Invitation.nonce).where(Invitation.id == RECORDED)).one()
        shown = Shown(NOW - timedelta(minutes=1), links.new_nonce()[:16], Reader.BROWSER, "-")
        fields = {"csat": "5", "nps": "9", "comment": "Counting is quick now"}
        body = urlencode({**fields, "form": seals.seal(house.secret, RECORDED, shown)}).encode()
        script.write_text(recorded(url, Form(sealed_path(house, RECORDED, nonce), body), forms[0]))
        count = len(script.read_text().splitlines()) - 1
        print(f"a good submission: {count} statements with BEGIN and COMMIT", flush=True)
        del forms[good], forms[0]
        port, pid = stack.enter_context(server(url, "--now", NOW.isoformat()))
        database_pid = postgres_pid(url)
        turn(port, pid, database_pid, forms[:WARMING], send=True)
        turn(port, pid, database_pid, forms[-200:], send=False)
        pages, sent, rates = [], [], []
        # pgbench takes the numbers from the end, which nobody was sent to.
        first = need - 200 - SENT_A_ROUND * ROUNDS
        for number in range(ROUNDS):
            pages.append(turn(port, pid, database_pid, forms[-PAGES_A_ROUND:], send=False))
            start = WARMING + number * SENT_A_ROUND
            sent.append(turn(port, pid, database_pid, forms[start : start + SENT_A_ROUND], send=True))
            rates.append(pgbench(url, script, first=first + number * SENT_A_ROUND, count=SENT_A_ROUND))
        reached = told("postgresql  the survey's page", pages, ENGINE_PAGE_MS)
        reached &= told("postgresql  a submission", sent, ENGINE_SUBMISSION_MS)
        share = middle([mine.rate / bare for mine, bare in zip(sent, rates, strict=True)])
        print(
            f"postgresql  {share:.0%} of the rate at which pgbench sends the same statements ({middle(rates):.0f}/s, simple"
            f" protocol, {AT_ONCE} clients, synchronous commit): {'reached' if share >= 0.25 else 'MISSED'} (goal 25 %, aim 50 %)",
            flush=True,
        )
        with house.database.read() as db:
            assert db.scalar(select(func.count()).select_from(AnswerRow)) == 2 + WARMING + SENT_A_ROUND * ROUNDS * 2
        house.database.close()
        return reached and share >= 0.25


def on_sqlite(folder: Path) -> bool:
    url = f"sqlite:///{folder / 'survey.sqlite'}"
    migrate(url)
    database = Database(url)
    alone, crowd_of = WARMING + ROUNDS * SENT_A_TURN, PEOPLE * 40
    forms = prepared(database, alone + crowd_of)
    with server(url, "--now", NOW.isoformat()) as (port, pid):
        turn(port, pid, None, forms[:WARMING], send=True)
        pages = [turn(port, pid, None, forms[-100:], send=False) for _ in range(ROUNDS)]
        starts = range(WARMING, alone, SENT_A_TURN)
        sent = [turn(port, pid, None, forms[n : n + SENT_A_TURN], send=True) for n in starts]
        crowd = turn(port, pid, None, forms[alone:], send=True, at_once=PEOPLE)
    reached = told("sqlite      the survey's page", pages, ENGINE_PAGE_MS)
    reached &= told("sqlite      a submission", sent, ENGINE_SUBMISSION_MS)
    p50, p99 = (crowd.seconds[int(len(crowd.seconds) * part)] * 1000 for part in (0.5, 0.99))
    print(
        f"sqlite      {PEOPLE} people at once: {crowd.rate:.0f} answers/s, half within {p50:.0f} ms, 99 % within {p99:.0f} ms"
        f" (goal 150): {'reached' if p99 < 150 else 'MISSED'}; each one was taken, so none was told that the database is locked",
        flush=True,
    )
    with database.read() as db:
        flags = db.scalar(select(func.count()).select_from(Flag))
        assert db.scalar(select(func.count()).select_from(AnswerRow)) == alone + crowd_of, flags
    database.close()
    return reached and p99 < 150


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--database", choices=["sqlite", "postgresql"], action="append")
    given = parser.parse_args()
    pin(os.getpid(), first=False)
    print(f"{datetime.now().astimezone():%Y-%m-%d %H:%M}, load before: {foreign_load():.1f}", flush=True)
    measures = {"postgresql": on_postgresql, "sqlite": on_sqlite}
    with tempfile.TemporaryDirectory() as folder:
        reached = [measures[kind](Path(folder)) for kind in given.database or measures]
    print(f"load after: {foreign_load():.1f}", flush=True)
    return 0 if all(reached) else 1


if __name__ == "__main__":
    raise SystemExit(main())
