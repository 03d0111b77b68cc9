"""A worker in a process of its own, that may be killed at any moment: it does in small batches what is due, then ends."""

from datetime import datetime

from portal.clock import FixedClock
from portal.db import Database
from portal.house import House
from portal.journeys import due
from portal.settings import read_settings
from portal.surveys import actions as surveys
from portal.worker import Job, Worker, rows

BATCH = 5


def _actions(name: str, kinds: tuple[str, ...], do: object) -> Job:
    return rows(
        name,
        claim=lambda db, now, limit: due.claim(db, kinds=kinds, now=now, limit=limit),
        do=do,  # type: ignore[arg-type]
        put_aside=due.put_aside,
        next_due=lambda db: due.next_due(db, kinds=kinds),
        batch=BATCH,
    )


JOBS = (
    _actions("journeys", due.OWN_KINDS, due.do_own),
    _actions("surveys", ("survey",), surveys.send_due),
    _actions("reminders", ("reminder",), surveys.remind_due),
    rows(
        "stagnation",
        claim=due.claim_stagnant,
        do=due.alert,
        put_aside=due.put_aside_stagnant,
        next_due=due.next_alert,
        batch=BATCH,
    ),
)


def worker(database: Database, now: datetime) -> Worker:
    settings = read_settings({"PORTAL_SECRET_KEY": "a-secret-that-only-the-tests-know"})
    return Worker(House(settings, database, FixedClock(now), frozenset()), JOBS)


def work(url: str, now: datetime) -> None:
    """Everything that is due by now."""
    worker(Database(url), now).run_until_idle(now)
