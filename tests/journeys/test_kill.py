"""Workers killed in the middle of anything, again and again: in the end everything was done, and done once
(invariant 3). And the same with customers who answer and a consultant who settles flags, up to approval.
"""

import multiprocessing
import random
import time
from collections import Counter
from datetime import timedelta
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select, update

from bench.crowd import DAY_30, write_crowd
from portal.audit import AuditEvent, Happened
from portal.db import Database
from portal.journeys.models import Activity, DueAction, Flag, JourneyRow, Resolution
from portal.journeys.rules import Status
from portal.mail import Kind, LetterRow
from portal.surveys.models import AnswerRow
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
PATIENCE_SECONDS = 240.0

multiprocessing.get_context("forkserver").set_forkserver_preload(["tests.journeys.mortal"])


def done(database: Database) -> int:
    """How much was done so far, whatever it was."""
    with database.read() as db:
        return db.scalar(select(func.count()).select_from(AuditEvent)) or 0


def start(what: Any, *given: Any) -> ForkServerProcess:
    process = multiprocessing.get_context("forkserver").Process(target=what, args=given, daemon=True)
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
            workers = [start(mortal.work, database_url, now) for _ in range(2)]
            deaths += sum(
                killed_when(database, worker, done(database) + chance.randrange(JOURNEYS // 2), deadline)
                for worker in workers
            )
        with database.write() as db:  # the mail leaves: who hasn't got it yet can't be silent about it
            db.execute(update(LetterRow).where(LetterRow.sent_at.is_(None)).values(sent_at=now))
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


ANSWERING = 24
CONTACT_DAYS = (DAY_30, DAY_30 + timedelta(days=30), DAY_30 + timedelta(days=61))
"""Day 90 is a Sunday, so its contact is made on the Monday."""


@pytest.mark.slow
def test_answers_flags_and_approvals_survive_whoever_is_killed(
    database: Database, database_url: str, tmp_path: Path
) -> None:
    """Invariants 1 to 7, from the first survey to the relationship that opens once."""
    write_crowd(database, ANSWERING)
    chance = random.Random(90)  # noqa: S311 - whom to kill
    deadline = time.monotonic() + PATIENCE_SECONDS
    acknowledged = tmp_path / "acknowledged"
    deaths = 0
    for now in CONTACT_DAYS:
        while not mortal.is_over(database, now):
            people = [start(mortal.live, database_url, now, str(acknowledged)) for _ in range(2)]
            deaths += sum(
                killed_when(database, one, done(database) + chance.randrange(1, ANSWERING), deadline) for one in people
            )
    assert deaths >= len(CONTACT_DAYS), "they were hardly ever killed at work"

    unhappy = ANSWERING // mortal.UNHAPPY_ONE_IN
    with database.read() as db:
        answered = db.scalars(select(AnswerRow.invitation_id)).all()
        ended = Counter(tuple(row) for row in db.execute(select(JourneyRow.pipeline_key, JourneyRow.status)))
        told = Counter(db.scalars(select(AuditEvent.what)))
        flags = db.scalar(select(func.count()).select_from(Flag))
        resolutions = db.scalar(select(func.count()).select_from(Resolution))
        invariants.hold_in_database(db)
    thanked = {int(line) for line in acknowledged.read_text().split()}
    assert thanked <= set(answered), "invariant 7: an answer that was thanked for is lost"
    assert len(answered) == len(set(answered)) == 3 * ANSWERING
    assert (flags, resolutions) == (unhappy, unhappy)
    assert ended == {("after_sale", Status.WON): ANSWERING, ("relationship", Status.OPEN): ANSWERING}
    assert told[Happened.SURVEY_ANSWERED] == 3 * ANSWERING
