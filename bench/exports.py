"""Taking away the answers to one survey: 100 000 of them as CSV and as a workbook, from a server of its own.

    python -m bench.exports                       both databases, some minutes
    python -m bench.exports --database sqlite

Goal: the first byte of the CSV within 500 ms, and while a file is made the server's memory grows by less than 100 MB, with ten
thousand answers as with all of them. Meanwhile others write: no write waits for more than a second. Exit code 1 where one is missed.
"""

import argparse
import asyncio
import os
import re
import tempfile
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import NamedTuple

from sqlalchemy import text

from bench.filling import NOW, fill
from bench.measuring import empty_database, foreign_load, pin, server
from bench.results import DELIVERED, write_answers
from portal.db import Database
from portal.web import SESSION_COOKIE

FIRST_BYTE = 0.5
GROWTH_MB = 100
LONGEST_WRITE = 1.0


class Took(NamedTuple):
    first: float
    total: float
    bytes: int
    growth_mb: float
    longest_write: float


def take(database: Database, port: int, pid: int, cookie: str, path: str) -> Took:
    """One file, taken away as fast as it comes, while somebody else writes."""
    before, longest, done = _memory(pid, "VmRSS"), 0.0, threading.Event()
    Path(f"/proc/{pid}/clear_refs").write_text("5")  # the highest is counted anew

    def write() -> None:
        nonlocal longest
        while not done.wait(0.02):
            began = time.perf_counter()
            with database.write() as db:
                db.execute(text("UPDATE staff SET name = name WHERE id = 1"))
            longest = max(longest, time.perf_counter() - began)

    writer = threading.Thread(target=write)
    writer.start()
    first, total, size = asyncio.run(_post(port, path, cookie))
    done.set()
    writer.join()
    return Took(first, total, size, (_memory(pid, "VmHWM") - before) / 1024, longest)


def _memory(pid: int, name: str) -> int:
    """In kB."""
    found = re.search(rf"^{name}:\s+(\d+)", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    assert found is not None
    return int(found[1])


async def _post(port: int, path: str, cookie: str) -> tuple[float, float, int]:
    began = time.perf_counter()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(
        f"POST {path} HTTP/1.1\r\nHost: localhost:8000\r\nConnection: close\r\nContent-Length: 0\r\n"
        f"Sec-Fetch-Site: same-origin\r\nCookie: {SESSION_COOKIE}={cookie}\r\n\r\n".encode()
    )
    head = await reader.readuntil(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.1 200"):
        raise SystemExit(head.decode())
    size = len(await reader.read(1))
    first = time.perf_counter() - began
    while part := await reader.read(1 << 20):
        size += len(part)
    writer.close()
    return first, time.perf_counter() - began, size


def compare(kind: str, folder: Path) -> bool:
    """Measures and prints; gives whether the goal was reached."""
    with empty_database(kind, "exports", folder) as (url, _):
        database = Database(url)
        filled = fill(database, journeys=DELIVERED, customers=2)
        key = write_answers(database)
        days = (NOW - timedelta(days=35)).date(), NOW.date()
        reached = True
        with server(url) as (port, pid):
            run: Callable[[str], Took] = lambda path: take(database, port, pid, filled.manager, path)  # noqa: E731
            at = f"/staff/insights/surveys/{key}/answers"
            run(f"{at}.csv?period=dates&from={days[0]}&to={days[1]}")  # to warm up
            for ending in ("csv", "xlsx"):
                for name, query in (
                    ("35 days", f"period=dates&from={days[0]}&to={days[1]}"),
                    ("everything", "period=all"),
                ):
                    took = run(f"{at}.{ending}?{query}")
                    fits = took.growth_mb < GROWTH_MB and took.longest_write < LONGEST_WRITE
                    fits &= ending != "csv" or took.first < FIRST_BYTE
                    reached &= fits
                    print(
                        f"{kind:12} {ending:4} {name:10} {took.bytes / 1e6:6.1f} MB   first byte {took.first * 1000:7.0f} ms   "
                        f"all {took.total:5.1f} s   memory + {took.growth_mb:5.1f} MB   longest write meanwhile "
                        f"{took.longest_write * 1000:5.0f} ms   goal {'reached' if fits else 'MISSED'}",
                        flush=True,
                    )
        database.close()
    return reached


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--database", choices=["sqlite", "postgresql"], action="append")
    given = parser.parse_args()
    pin(os.getpid(), first=False)
    print(f"load before: {foreign_load():.1f}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        reached = [compare(kind, Path(folder)) for kind in given.database or ["sqlite", "postgresql"]]
    return 0 if all(reached) else 1


if __name__ == "__main__":
    raise SystemExit(main())
