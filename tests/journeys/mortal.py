"""A worker in a process of its own, that may be killed at any moment: it does in small batches what is due, then ends.
And everybody else in one: customers who answer, and a consultant who settles what made them unhappy.
"""

import os
from datetime import datetime

from sqlalchemy import select

from portal.clock import FixedClock
from portal.db import Database
from portal.errors import Refused
from portal.house import House
from portal.journeys import cases, due
from portal.journeys.models import Flag
from portal.journeys.rules import FlagOutcome
from portal.settings import read_settings
from portal.surveys import actions as surveys
from portal.surveys.models import AnswerRow, Invitation
from portal.surveys.rules import Answers, Provenance
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


def house(database: Database, now: datetime) -> House:
    settings = read_settings({"PORTAL_SECRET_KEY": "a-secret-that-only-the-tests-know"})
    return House(settings, database, FixedClock(now), frozenset())


def worker(database: Database, now: datetime) -> Worker:
    return Worker(house(database, now), JOBS)


def work(url: str, now: datetime) -> None:
    """Everything that is due by now."""
    worker(Database(url), now).run_until_idle(now)


UNHAPPY_ONE_IN = 4
_UNANSWERED = (
    select(Invitation.id, Invitation.contact_id, Invitation.day)
    .where(Invitation.sent_at.is_not(None), Invitation.id.not_in(select(AnswerRow.invitation_id)))
    .order_by(Invitation.id)
)
_OPEN = select(Flag.id).where(Flag.closed_at.is_(None)).order_by(Flag.id)


def is_over(database: Database, now: datetime) -> bool:
    """Whether nothing is due, nobody asked has still to answer, and no flag is open."""
    following = worker(database, now).next_due()
    with database.read() as db:
        waiting = db.execute(_UNANSWERED).first() or db.execute(_OPEN).first()
    return waiting is None and (following is None or following > now)


def live(url: str, now: datetime, acknowledged: str) -> None:
    """All that anybody does by now. Each answer that was thanked for is a line of that file, written after its commit."""
    database = Database(url)
    work(url, now)
    with database.read() as db:
        asked, flags = db.execute(_UNANSWERED).all(), db.scalars(_OPEN).all()
    thanks = os.open(acknowledged, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    for invitation_id, contact_id, day in asked:
        _answer(database, now, invitation_id=invitation_id, contact_id=contact_id, day=day)
        os.write(thanks, f"{invitation_id}\n".encode())
    for flag_id in flags:
        _resolve(database, now, flag_id)


def _answer(database: Database, now: datetime, *, invitation_id: int, contact_id: int, day: int) -> None:
    """At day 30 one in four is unhappy; later all are content."""
    unhappy = day == 30 and contact_id % UNHAPPY_ONE_IN == 0
    answers = Answers(csat=1, nps=2, comment="It is slow.") if unhappy else Answers(csat=5, nps=9)
    sending = surveys.Sending(Provenance.MAIL_LINK, f"contact:{contact_id}")
    with database.write() as db:
        surveys.submit(db, house(database, now), invitation_id=invitation_id, answers=answers, sending=sending, now=now)


def _resolve(database: Database, now: datetime, flag_id: int) -> None:
    try:
        with database.write() as db:
            cases.resolve_flag(
                db,
                house(database, now),
                flag_id=flag_id,
                outcome=FlagOutcome.RESOLVED,
                note="It is fast now.",
                by="staff:1",
                now=now,
            )
    except Refused:
        return  # the other one was quicker
