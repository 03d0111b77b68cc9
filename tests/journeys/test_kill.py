"""Workers killed in the middle of anything, again and again: in the end everything was done, and done once
(domain.md, invariant 3)."""

import multiprocessing
import random
import time
from collections import Counter
from datetime import datetime, timedelta
from multiprocessing.context import ForkServerProcess

import pytest
from sqlalchemy import func, select

from bench.crowd import DAY_30, write_crowd
from portal.audit import AuditEvent, Happened
from portal.db import Database
from portal.journeys.models import Activity, DueAction, JourneyRow
from portal.mail import Kind, LetterRow
from tests.journeys import invariants, mortal

JOURNEYS = 80
MORNINGS = (
    DAY_30,
    DAY_30 + timedelta(days=5),  # the reminders
    DAY_30 + timedelta(days=7),  # the calls
    DAY_30 + timedelta(days=9),  # the alerts: behind after seven business days
    DAY_30 + timedelta(days=20),  # and stuck after as many again
    DAY_30 + timedelta(days=30),  # day 60
)
PATIENCE_SECONDS = 120.0

multiprocessing.get_context("forkserver").set_forkserver_preload(["tests.journeys.mortal"])


def done(database: Database) -> int:
    """How much was done so far, whatever it was."""
    with database.read() as db:
        return db.scalar(select(func.count()).select_from(AuditEvent)) or 0


def start(url: str, now: datetime) -> ForkServerProcess:
    process = multiprocessing.get_context("forkserver").Process(target=mortal.work, args=(url, now), daemon=True)
    process.start()
    return process


def killed_when(database: Database, process: ForkServerProcess, progress: int, deadline: float) -> bool:
    """Kills the process once so much was done; False if it had ended by then."""
    while done(database) < progress and process.is_alive():
        assert time.monotonic() < deadline, "the workers get nowhere"
        process.join(timeout=0.001)
    was_alive = process.is_alive()
    process.kill()
    process.join()
    return was_alive


@pytest.mark.slow
def test_whoever_is_killed_everything_is_done_once(database: Database, database_url: str) -> None:
    write_crowd(database, JOURNEYS)
    chance = random.Random(30)  # noqa: S311 - whom to kill
    deadline = time.monotonic() + PATIENCE_SECONDS
    deaths = 0
    for now in MORNINGS:
        watcher = mortal.worker(database, now)
        while (due := watcher.next_due()) is not None and due <= now:
            workers = [start(database_url, now) for _ in range(2)]
            deaths += sum(
                killed_when(database, worker, done(database) + chance.randrange(JOURNEYS // 2), deadline)
                for worker in workers
            )
    assert deaths >= len(MORNINGS), "they were hardly ever killed at work"

    n = JOURNEYS
    with database.read() as db:
        told = Counter(db.scalars(select(AuditEvent.what)))
        letters = Counter(db.scalars(select(LetterRow.kind)))
        calls = Counter(db.scalars(select(Activity.kind)))
        aside = db.scalars(select(DueAction.error).where(DueAction.set_aside_at.is_not(None))).all()
        positions = Counter(db.scalars(select(JourneyRow.position)))
        invariants.hold_in_database(db)
    assert aside == []
    assert positions == {4: n}
    assert told == {
        Happened.STAGE_ENTERED: 2 * n,
        Happened.SURVEY_SENT: 2 * n,
        Happened.SURVEY_REMINDED: n,
        Happened.STAGNATED: 2 * n,
        Happened.CONTACT_MISSED: n,
    }
    assert letters == {
        Kind.SURVEY_30: n,
        Kind.SURVEY_60: n,
        Kind.SURVEY_REMINDER: n,
        Kind.STAGNATION: 2 * n,
    }
    assert calls == {"call_no_answer": n, "contact_60": n, "contact_90": n}
