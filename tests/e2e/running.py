"""The real thing, as whoever installs it starts it: `portal migrate`, `portal serve`, `portal worker`, and a mail server.

It runs in demo mode, whose clock can be moved with `portal work --until`, but on a database without the demo's customers.
"""

import contextlib
import json
import os
import re
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from html import unescape
from pathlib import Path

from sqlalchemy import func, select

from portal.db import Database, DeploymentFact
from portal.house import DEMO, clock_offset
from portal.surveys.models import AnswerRow
from tests import servers
from tests.servers import SmtpSink

PATIENCE_SECONDS = 30


@dataclass
class Letter:
    """A mail as it came."""

    message: EmailMessage

    @property
    def subject(self) -> str:
        return str(self.message["Subject"])

    @property
    def text(self) -> str:
        return self._part("plain")

    def link(self, path: str, *, query: str = "") -> str:
        """The link in its HTML that goes to a path beginning so (and carries that query); AssertionError without one."""
        links = [unescape(found) for found in re.findall(r'href="([^"]+)"', self._part("html"))]
        fitting = [link for link in links if re.match(rf"https?://[^/]+{re.escape(path)}", link) and query in link]
        assert fitting, f"no link to {path}?{query} in {links}"
        return fitting[0]

    def _part(self, kind: str) -> str:
        part = self.message.get_body((kind,))
        assert part is not None, f"no {kind} part"
        return str(part.get_content())


@dataclass
class Post:
    """What the mail server received, opened letter by letter."""

    sink: SmtpSink
    opened: set[int] = field(default_factory=set)

    def letter(self, to: str, subject: str = "") -> Letter:
        """The oldest letter to them that nobody opened yet, with these words in its subject; waits for it to come."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            received = self.sink.received
            for number, one in enumerate(received):
                found = Letter(one.message)
                if number not in self.opened and to in one.recipients and subject in found.subject:
                    self.opened.add(number)
                    return found
            left = deadline - time.monotonic()
            try:
                self.sink.wait_for(len(received) + 1, timeout_seconds=max(left, 0.1))
            except AssertionError as none:
                raise AssertionError(f"nothing new to {to} about {subject!r}: {self.subjects(to)}") from none

    def subjects(self, to: str) -> list[str]:
        """Of everything they got, in order."""
        return [str(one.message["Subject"]) for one in self.sink.received if to in one.recipients]


@dataclass
class Running:
    """The product at an address of its own."""

    address: str
    post: Post
    environ: dict[str, str]
    folder: Path
    start: datetime
    """A Monday at noon UTC, nine in the morning in São Paulo."""

    def run(self, *command: str) -> str:
        """One `portal` command, to its end; gives what it said."""
        done = subprocess.run(
            [sys.executable, "-m", "portal.cli", *command],
            env=self.environ,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def live_until(self, *, day: int, hour: int = 13) -> None:
        """Lives on until so many days after the start, hours in UTC."""
        moment = self.start.replace(hour=hour) + timedelta(days=day)
        self.run("work", "--until", moment.isoformat())

    def a_minute_later(self) -> None:
        """Somebody takes their time, as people do and machines don't: by the product's clock."""
        database = Database(self.environ["PORTAL_DATABASE_URL"])
        moment = datetime.now(UTC) + clock_offset(database) + timedelta(minutes=1)
        database.close()
        self.run("work", "--until", moment.isoformat())

    def answers_stored(self) -> int:
        database = Database(self.environ["PORTAL_DATABASE_URL"])
        with database.read() as db:
            count = db.scalar(select(func.count()).select_from(AnswerRow)) or 0
        database.close()
        return count


@contextlib.contextmanager
def running(database_url: str, folder: Path, sink: SmtpSink, **more: str) -> Iterator[Running]:
    """Everything started for as long as the block lasts, on an empty database; the clock stands on a Monday morning.
    `more`: further settings."""
    port = servers.free_port()
    home = {name: value for name, value in os.environ.items() if not name.startswith("PORTAL_")}
    environ = home | {
        "PORTAL_BASE_URL": f"http://127.0.0.1:{port}",
        "PORTAL_DATABASE_URL": database_url,
        "PORTAL_DATA_DIR": str(folder),
        "PORTAL_DEMO": "1",
        "PORTAL_MAIL_FROM": "Larderly <hello@larderly.example>",
        "PORTAL_SECRET_KEY": "a secret for tests that nobody needs to keep",
        "PORTAL_SMTP_URL": sink.url,
        "PORTAL_VENDOR_NAME": "Larderly",
        **more,
    }
    house = Running(environ["PORTAL_BASE_URL"], Post(sink), environ, folder, _next_monday())
    house.run("migrate")
    _mark_as_the_demos(database_url)
    house.live_until(day=0, hour=12)
    with _process(folder / "serve.log", environ, "serve", "--port", str(port)) as server:
        with _process(folder / "worker.log", environ, "worker"):
            _wait_until_ready(house.address, server, folder)
            yield house


def _next_monday() -> datetime:
    # The machine's own date, since its clock runs on beneath the moved one; always the same weekday, so that the same
    # things happen whenever the tests run.
    today = datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0)
    return today + timedelta(days=7 - today.weekday())


def _mark_as_the_demos(database_url: str) -> None:
    database = Database(database_url)
    with database.write() as db:
        db.add(DeploymentFact(name=DEMO, value="1"))
    database.close()


@contextlib.contextmanager
def _process(log: Path, environ: dict[str, str], *command: str) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "portal.cli", *command], env=environ, stdout=output, stderr=output
        )
    try:
        yield process
    finally:
        process.terminate()
        try:
            code = process.wait(timeout=PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
    said = log.read_text(errors="replace")
    assert code == 0, said
    assert "Traceback" not in said, said


def _wait_until_ready(address: str, server: subprocess.Popen[bytes], folder: Path) -> None:
    """Until the server answers and has seen the worker."""
    deadline = time.monotonic() + 60
    state: object = None
    while server.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(OSError), urllib.request.urlopen(f"{address}/readyz", timeout=5) as answer:
            state = json.load(answer)
            return
        time.sleep(0.05)
    logs = "".join(path.read_text(errors="replace") for path in folder.glob("*.log"))
    raise AssertionError(f"not ready: {state}\n{logs}")
