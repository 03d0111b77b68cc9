"""Ten thousand journeys reach day 30 on the same morning: woken, moved, recorded, their surveys sent to the outbox.

    python -m bench.day30                     both databases, one worker; on PostgreSQL two workers as well
    python -m bench.day30 --journeys 2000 --database sqlite

Prints journeys a second and, as the more robust figure on a busy machine, processor time a journey.
"""

import argparse
import contextlib
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

import psycopg
from sqlalchemy import func, select

from bench.crowd import DAY_30, write_crowd
from portal.clock import FixedClock
from portal.db import Database, migrate
from portal.house import House
from portal.journeys.models import DueAction, FollowUpRow, JourneyRow, Visit
from portal.mail import LetterRow
from portal.settings import read_settings
from portal.worker import TIMETABLE, Worker
from tests import servers

MORNING = DAY_30 + timedelta(minutes=1)
JOBS = tuple(job for job in TIMETABLE if job.name in ("journeys", "surveys"))
TICKS = os.sysconf("SC_CLK_TCK")


class Run(NamedTuple):
    """What one morning took."""

    seconds: float
    worker_seconds: float
    server_seconds: float
    most_megabytes: float


def house_at(url: str) -> House:
    settings = read_settings({"PORTAL_DATABASE_URL": url, "PORTAL_SECRET_KEY": "only for measuring, not a secret"})
    return House(settings, Database(url), FixedClock(MORNING), frozenset())


# One worker, in a process of its own


def work(url: str) -> None:
    """Says that it is ready, waits for the word, does all that is due, tells what it took."""
    house = house_at(url)
    worker = Worker(house, JOBS)
    worker.next_due()  # connected and warm
    print("ready", flush=True)
    sys.stdin.readline()
    before = time.process_time()
    while (due := worker.next_due()) is not None and due <= MORNING:
        worker.run_until_idle(MORNING)
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"cpu": time.process_time() - before, "megabytes": most}), flush=True)


# The measurement


def measured(url: str, workers: int, server_pid: int | None) -> Run:
    """Lets that many workers do the morning's work."""
    command = [sys.executable, "-m", "bench.day30", "--work", url]
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    processes = [subprocess.Popen(command, **pipes) for _ in range(workers)]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n", "a worker did not start"
    server_before, before = _processor_seconds(server_pid), time.perf_counter()
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    told = [json.loads(process.communicate(timeout=600)[0]) for process in processes]
    return Run(
        seconds=time.perf_counter() - before,
        worker_seconds=sum(one["cpu"] for one in told),
        server_seconds=_processor_seconds(server_pid) - server_before,
        most_megabytes=max(one["megabytes"] for one in told),
    )


def _processor_seconds(parent: int | None) -> float:
    """Processor time of a PostgreSQL server: its own, its running children's, and those that have ended."""
    if parent is None:
        return 0.0
    ticks = 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = stat.read_text().rpartition(")")[2].split()
            if stat.parent.name == str(parent):
                ticks += sum(int(n) for n in fields[11:15])
            elif int(fields[1]) == parent:
                ticks += int(fields[11]) + int(fields[12])
    return ticks / TICKS


def check(url: str, journeys: int) -> None:
    """Every journey moved once, was asked once, and nothing was done twice."""
    database = Database(url)
    with database.read() as db:
        counts = {
            "moved": db.scalar(select(func.count()).where(JourneyRow.position == 3, JourneyRow.visit == 4)),
            "visits": db.scalar(select(func.count()).select_from(Visit)),
            "asked": db.scalar(select(func.count()).where(FollowUpRow.day == 30, FollowUpRow.sent_at == MORNING)),
            "letters": db.scalar(select(func.count()).select_from(LetterRow)),
            "done": db.scalar(select(func.count()).where(DueAction.result == "done")),
            "waiting": db.scalar(select(func.count()).where(DueAction.done_at.is_(None))),
            "aside": db.scalar(select(func.count()).where(DueAction.set_aside_at.is_not(None))),
        }
    database.close()
    n = journeys
    expected = {"moved": n, "visits": 4 * n, "asked": n, "letters": n, "done": 2 * n, "waiting": 4 * n, "aside": 0}
    assert counts == expected, f"{counts} instead of {expected}"


@contextlib.contextmanager
def databases(kind: str) -> Iterator[tuple[str, int | None]]:
    """A migrated database of that kind, and its server's process."""
    if kind == "sqlite":
        with tempfile.TemporaryDirectory() as folder:
            url = f"sqlite:///{folder}/day30.sqlite"
            migrate(url)
            yield url, None
        return
    with servers.postgres() as server_url:
        with psycopg.connect(servers.dsn(server_url), autocommit=True) as server:
            server.execute("CREATE DATABASE day30")
            row = server.execute("SELECT pg_backend_pid()").fetchone()
            assert row is not None
            backend = Path(f"/proc/{row[0]}/stat").read_text()
        url = servers.on_server(server_url, "day30")
        migrate(url)
        yield url, int(backend.rpartition(")")[2].split()[1])


def morning(kind: str, journeys: int, workers: int) -> Run:
    with databases(kind) as (url, server_pid):
        database = Database(url)
        write_crowd(database, journeys)
        with database.write_engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql("ANALYZE")
        database.close()
        run = measured(url, workers, server_pid)
        check(url, journeys)
    rate = journeys / run.seconds
    print(
        f"{kind:<11} {workers} worker{'s' if workers > 1 else ' '} {rate:7.0f} journeys/s   processor time a journey: "
        f"worker {1e6 * run.worker_seconds / journeys:5.0f} µs, server {1e6 * run.server_seconds / journeys:5.0f} µs   "
        f"memory {run.most_megabytes:.0f} MB",
        flush=True,
    )
    return run


def main() -> None:
    asked = argparse.ArgumentParser(description="Day 30 for many journeys at once.")
    asked.add_argument("--journeys", type=int, default=10_000)
    asked.add_argument("--database", choices=["sqlite", "postgresql", "both"], default="both")
    asked.add_argument("--workers", type=int, choices=[1, 2], default=0)
    asked.add_argument("--work", help=argparse.SUPPRESS)
    given = asked.parse_args()
    if given.work:
        work(given.work)
        return
    for kind in ("sqlite", "postgresql") if given.database == "both" else (given.database,):
        several = (1, 2) if kind == "postgresql" else (1,)
        for workers in (given.workers,) if given.workers else several:
            morning(kind, given.journeys, workers)


if __name__ == "__main__":
    main()
