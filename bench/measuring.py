"""Requests a second and processor time a request, of several servers in turns, from one small client in this process."""

import asyncio
import contextlib
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote

from portal.db import migrate
from portal.web import SESSION_COOKIE
from tests import servers
from tests.conftest import pg_database

TICKS = os.sysconf("SC_CLK_TCK")
AT_ONCE = 8
"""Connections that ask at the same time."""
ROUNDS = 7
SECONDS_A_TURN = 1.5
WARMING_SECONDS = 1.5


class Target(NamedTuple):
    """A page on a server: where it is, with which cookies (in turns), and whose processor time it costs."""

    port: int
    path: str
    cookies: Sequence[str]
    web_pid: int
    database_pid: int | None
    """PostgreSQL's first process; None for SQLite, or where nothing is asked of it."""


class Turn(NamedTuple):
    """What one turn gave: requests a second, and microseconds of processor a request of web process and database."""

    rate: float
    web: float
    database: float

    @property
    def processor(self) -> float:
        return self.web + self.database


@contextlib.contextmanager
def server(url: str, *more: str) -> Iterator[tuple[int, int]]:
    """A server of `bench.serving` on a processor of its own (where there are two): its port and its process."""
    command = [sys.executable, "-m", "bench.serving", url, *more]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        port = process.stdout.readline()
        if not port:
            raise SystemExit("the server did not start")
        pin(process.pid, first=True)
        yield int(port), process.pid
    finally:
        process.terminate()
        process.wait(timeout=30)
        if process.stdout:
            process.stdout.close()


@contextlib.contextmanager
def empty_database(kind: str, name: str, folder: Path) -> Iterator[tuple[str, int | None]]:
    """A migrated database: its URL, and PostgreSQL's process."""
    if kind == "sqlite":
        url = f"sqlite:///{folder / name}.sqlite"
        migrate(url)
        yield url, None
        return
    with servers.postgres() as server_url, pg_database(server_url, name) as url:
        migrate(url)
        yield url, postgres_pid(url)


def pin(pid: int, *, first: bool) -> None:
    """The web process on the first processor, everything else on the others: as if the database were another machine."""
    if not hasattr(os, "sched_setaffinity") or (os.cpu_count() or 1) < 2:
        return
    every = sorted(os.sched_getaffinity(0) | {0})
    chosen = every[:1] if first else every[1:] or every
    for task in Path(f"/proc/{pid}/task").iterdir():
        os.sched_setaffinity(int(task.name), chosen)


def postgres_pid(url: str) -> int | None:
    """The first process of a server that the tests started in a folder of its own."""
    folder = unquote(url.partition("host=")[2])
    file = Path(folder) / "data" / "postmaster.pid"
    return int(file.read_text().split()[0]) if folder and file.exists() else None


def processor_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def family_seconds(pid: int) -> float:
    """Of a process and those it started, the ended ones included."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    total = sum(int(fields[n]) for n in (11, 12, 13, 14)) / TICKS
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            total += processor_seconds(int(child))
    return total


def foreign_load() -> float:
    """Processors busy with anything, by the system's own count of the last minute."""
    return os.getloadavg()[0]


def measured(targets: Mapping[str, Target]) -> dict[str, list[Turn]]:
    """All targets in turns, `ROUNDS` times, after a warm-up of each."""
    return asyncio.run(_measured(targets))


async def _measured(targets: Mapping[str, Target]) -> dict[str, list[Turn]]:
    found: dict[str, list[Turn]] = {name: [] for name in targets}
    for target in targets.values():
        await _turn(target, WARMING_SECONDS)
    for number in range(ROUNDS):
        # Back and forth, so that nobody is always the one after.
        for name in list(targets) if number % 2 == 0 else reversed(list(targets)):
            found[name].append(await _turn(targets[name], SECONDS_A_TURN))
    return found


async def _turn(target: Target, seconds: float) -> Turn:
    def spent() -> tuple[float, float]:
        database = family_seconds(target.database_pid) if target.database_pid else 0.0
        return processor_seconds(target.web_pid), database

    before, began = spent(), time.monotonic()
    until = began + seconds
    counts = await asyncio.gather(*(_ask(target, n, until) for n in range(AT_ONCE)))
    took, after, count = time.monotonic() - began, spent(), sum(counts)
    web, database = ((b - a) / count * 1_000_000 for a, b in zip(before, after, strict=True))
    return Turn(count / took, web, database)


async def _ask(target: Target, first: int, until: float) -> int:
    """One connection that asks again and again; gives how often."""
    reader, writer = await asyncio.open_connection("127.0.0.1", target.port)
    asked = first
    try:
        while asked == first or time.monotonic() < until:
            await ask(reader, writer, target, asked)
            asked += AT_ONCE
    finally:
        writer.close()
    return (asked - first) // AT_ONCE


async def ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, target: Target, number: int) -> bytes:
    """One page; what isn't a page stops the measurement."""
    cookie = f"Cookie: {SESSION_COOKIE}={target.cookies[number % len(target.cookies)]}\r\n" if target.cookies else ""
    writer.write(f"GET {target.path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{cookie}\r\n".encode())
    head = await reader.readuntil(b"\r\n\r\n")
    length = next(int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:"))
    body = await reader.readexactly(length)
    if not head.startswith(b"HTTP/1.1 200 "):
        raise SystemExit(f"{target.path} answers {head.partition(bytes([13]))[0].decode()}")
    return body


def page_of(target: Target, number: int) -> bytes:
    """The page as the target answers it."""

    async def once() -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", target.port)
        try:
            return await ask(reader, writer, target, number)
        finally:
            writer.close()

    return asyncio.run(once())


class Median(NamedTuple):
    """The middle of all turns, and how far the rates of the middle half lie apart (0.10: ten per cent)."""

    rate: float
    web: float
    database: float
    processor: float
    spread: float


def median(turns: Sequence[Turn]) -> Median:
    rates = sorted(turn.rate for turn in turns)
    low, _, high = statistics.quantiles(rates, n=4)
    middle = statistics.median(rates)
    return Median(
        middle,
        statistics.median(turn.web for turn in turns),
        statistics.median(turn.database for turn in turns),
        statistics.median(turn.processor for turn in turns),
        (high - low) / middle,
    )


def ratio(these: Sequence[float], those: Sequence[float]) -> float:
    """The middle of the ratios of neighbours: what else the machine does hits both of a round."""
    return statistics.median(a / b for a, b in zip(these, those, strict=True))


def print_turns(title: str, name: str, found: Median) -> None:
    print(
        f"{title:12} {name:28} {found.rate:7.0f} requests/s   processor a request: web {found.web:6.0f} µs"
        f" + database {found.database:5.0f} µs   (rates within {found.spread:.0%})",
        flush=True,
    )
