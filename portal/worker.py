"""Time passing: one timetable, one row at a time (in batches where ten thousand wait). Any number of workers may run.

A row that crashes its rule is put aside with its error and never blocks the queue; a database that is away is waited for.
"""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from sqlalchemy import func, select
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.orm import Session

from portal import auth, delivery, idempotency, mail
from portal.accounts import people, people_letters
from portal.boundary import Crash, attempted
from portal.clock import Clock, SystemClock
from portal.db import DeploymentFact, insert_for
from portal.errors import N_, Refused
from portal.house import WORKER_SEEN_AT, House, set_clock
from portal.journeys import cases, due, importing, letters
from portal.journeys.due import Waiting
from portal.journeys.models import Flag
from portal.mail import Composer, Kind, Turn
from portal.meetings import actions as meetings
from portal.meetings import letters as meeting_letters
from portal.meetings import offering, own_calendar
from portal.messages import imap, inbound
from portal.messages import letters as message_letters
from portal.referrals import actions as referrals
from portal.referrals import letters as referral_letters
from portal.referrals import prompts
from portal.surveys import actions as surveys
from portal.surveys import anonymous, counting, leaving, occasions, quoting, returned, sketching, triggers, verifying

log = logging.getLogger("portal.worker")

Row = TypeVar("Row")
Stopping = Callable[[], bool]

IDLE_SECONDS = 1.0
HEARTBEAT = timedelta(seconds=10)
LONGEST_REST_SECONDS = 30.0
"""Between tries while the database is away; also how long a job rests that crashed as a whole."""
LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Job:
    """One line of the timetable."""

    name: str
    run: Callable[[House, datetime, Stopping], int]
    """Does one batch of what is due; gives how many rows it dealt with. More than none means: ask again at once."""
    next_due: Callable[[Session], datetime | None]
    """The earliest instant it has work for, rows put aside left out; None: nothing waits."""
    in_hand: Callable[[Session], int] = lambda _db: 0
    """How many rows some worker has in hand outside any transaction."""
    moves_the_clock: bool = True
    """Whether the demo's clock stops at its instants: not for housekeeping."""


# Rows that only touch our database


def rows(
    name: str,
    *,
    claim: Callable[[Session, datetime, int], Sequence[Row]],
    do: Callable[[Session, House, Sequence[Row], datetime], None],
    put_aside: Callable[[Session, Row, str, datetime], None],
    next_due: Callable[[Session], datetime | None],
    batch: int = 500,
) -> Job:
    """A job over rows that touch only our database: claimed, done and marked in one transaction, so exactly once,
    whoever dies.

    `claim` locks rows (`FOR UPDATE SKIP LOCKED`; SQLite's transactions are exclusive anyway), `do` does all of them and
    marks them done. A batch that crashes is undone and done again row by row; the row that crashes is `put_aside`.
    """

    def done(db: Session, house: House, some: Sequence[Row], now: datetime) -> Crash | None:
        def work() -> None:
            with db.begin_nested():
                do(db, house, some, now)

        return attempted(f"{name}: {some[0] if len(some) == 1 else f'a batch of {len(some)}'}", work)

    def run(house: House, now: datetime, _stopping: Stopping) -> int:
        with house.database.write() as db:
            claimed = claim(db, now, batch)
            if claimed and done(db, house, claimed, now) is not None:
                for row in claimed:
                    crash = done(db, house, [row], now)
                    if crash is not None:
                        put_aside(db, row, crash.words, now)
        return len(claimed)

    return Job(name, run, next_due)


# The timetable

COMPOSERS: dict[Kind, Composer] = {
    Kind.SIGN_IN: auth.sign_in_words,
    **people_letters.COMPOSERS,
    **letters.COMPOSERS,
    **leaving.COMPOSERS,
    **verifying.COMPOSERS,
    **sketching.COMPOSERS,
    **quoting.COMPOSERS,
    **referral_letters.COMPOSERS,
    **meeting_letters.COMPOSERS,
    **offering.COMPOSERS,
    **message_letters.COMPOSERS,
    **own_calendar.COMPOSERS,
}
"""What a letter needs and may not store: links that open something, the plan as it stands, calendar parts."""

TURNS: dict[Kind, Turn] = {**leaving.TURNS, **quoting.TURNS}
"""What becomes of a request whose mail must not leave any more."""

HOUSEKEEPING: tuple[Callable[[Session, datetime], int], ...] = (
    auth.forget_what_ended,
    idempotency.forget_old_keys,
    lambda db, now: due.compact_tallies(db, now=now),
    importing.forget_old,
    referrals.forget_unaccepted,
    people.forget_unanswered,
    verifying.forget_drafts,
    anonymous.mix_tickets,
    anonymous.forget_tickets,
    inbound.forget_old,
)
"""What is tidied up once an hour: ended sessions and links, old calls, folded counts."""
HOUSEKEEPING_DUE_AT = "housekeeping_due_at"
HOUSEKEEPING_EVERY = timedelta(hours=1)


def _actions(name: str, kinds: Sequence[str], do: Callable[[Session, House, Sequence[Waiting], datetime], None]) -> Job:
    """Due actions of these kinds, done by the room that can."""
    return rows(
        name,
        claim=lambda db, now, limit: due.claim(db, kinds=kinds, now=now, limit=limit),
        do=do,
        put_aside=due.put_aside,
        next_due=lambda db: due.next_due(db, kinds=kinds),
    )


def _late_flags(house: House, now: datetime, _stopping: Stopping) -> int:
    with house.database.write() as db:
        return cases.tell_managers_of_late_flags(db, now=now)


def _next_late_flag(db: Session) -> datetime | None:
    return db.scalar(select(func.min(Flag.alert_at)).where(Flag.closed_at.is_(None)))


def _deliver(house: House, now: datetime, stopping: Stopping) -> int:
    return delivery.deliver(house, composers=COMPOSERS, turns=TURNS, now=now, stopping=stopping)


def _housekeep(house: House, now: datetime, _stopping: Stopping) -> int:
    with house.database.write() as db:
        if _next_housekeeping(db) > now:
            return 0  # another worker was faster
        keep_fact(db, HOUSEKEEPING_DUE_AT, (now + HOUSEKEEPING_EVERY).isoformat())
        for tidy in HOUSEKEEPING:
            tidy(db, now)
    return 0


def _next_housekeeping(db: Session) -> datetime:
    kept = db.scalar(select(DeploymentFact.value).where(DeploymentFact.name == HOUSEKEEPING_DUE_AT))
    return datetime.fromisoformat(kept) if kept else LONG_AGO


TIMETABLE: tuple[Job, ...] = (
    _actions("journeys", due.OWN_KINDS, due.do_own),
    _actions("surveys", ("survey",), surveys.send_due),
    _actions("reminders", ("reminder",), surveys.remind_due),
    # Looking at whom it concerns is housekeeping: what is found has its own instant.
    Job("triggers", lambda house, now, _stopping: triggers.look(house, now), triggers.next_look, moves_the_clock=False),
    _actions("further surveys", (occasions.ASK,), occasions.ask_due),
    _actions("further reminders", (occasions.REMIND,), occasions.remind_due),
    rows(
        "stagnation",
        claim=due.claim_stagnant,
        do=due.alert,
        put_aside=due.put_aside_stagnant,
        next_due=due.next_alert,
    ),
    rows(
        "referral prompts",
        claim=lambda db, now, limit: due.claim(db, kinds=(prompts.KIND,), now=now, limit=limit),
        do=prompts.prompt_due,
        put_aside=due.put_aside,
        next_due=lambda db: due.next_due(db, kinds=(prompts.KIND,)),
    ),
    _actions("meetings of the plan", (offering.DUE,), offering.offer_due),
    Job("late flags", _late_flags, _next_late_flag),
    Job(
        "imports",
        lambda house, now, _stopping: importing.carry_on(house, now),
        importing.next_due,
        in_hand=importing.lines_left,
    ),
    rows(
        "meetings that are over",
        claim=meetings.claim_over,
        do=meetings.ask_what_became,
        put_aside=meetings.put_aside_over,
        next_due=meetings.next_over,
    ),
    # The demo's clock must not stop every quarter of an hour for a calendar.
    Job("calendars", own_calendar.read_next, own_calendar.next_due, moves_the_clock=False),
    Job("mail", _deliver, mail.next_due, in_hand=mail.in_hand),
    Job(
        "surveys that came back",
        lambda house, now, _stopping: returned.deal_with(house, now),
        returned.next_due,
        moves_the_clock=False,
    ),
    Job("incoming mail", imap.poll, imap.next_due, moves_the_clock=False),
    Job(
        "answers counted",
        lambda house, now, _stopping: counting.count_days(house, now),
        counting.next_due,
        moves_the_clock=False,
    ),
    Job("housekeeping", _housekeep, _next_housekeeping, moves_the_clock=False),
)


# The loop


class JobCrashed(Exception):
    """A job crashed as a whole, not one of its rows: a mistake in the program."""


class Worker:
    """Goes through the timetable again and again, one batch of each job in turn, until it is stopped."""

    def __init__(self, house: House, timetable: Sequence[Job], *, machine: Clock | None = None) -> None:
        self._house = house
        self._timetable = timetable
        self._machine = machine or SystemClock()
        self._stop = threading.Event()
        self._seen_at: datetime | None = None
        self._rests: dict[str, float] = {}

    def stop(self) -> None:
        """Ends `run` after the batch in hand; mails stop between two letters. Safe in a signal handler and any thread."""
        self._stop.set()

    def run(self) -> None:
        """Works until `stop`; waits a second where nothing is due, and longer and longer for a database that is away."""
        rest = IDLE_SECONDS
        while not self._stop.is_set():
            try:
                self._beat()
                done = self._round(self._house.clock.now())
            except (OperationalError, InterfaceError) as away:
                log.warning("the database is away, trying again in %d s: %s", rest, away)
                self._stop.wait(rest)
                rest = min(rest * 2, LONGEST_REST_SECONDS)
                continue
            rest = IDLE_SECONDS
            if not done:
                self._stop.wait(IDLE_SECONDS)

    def run_until_idle(self, now: datetime) -> int:
        """Does everything that is due at `now`, and what becomes due by that; gives how many rows. Raises JobCrashed."""
        total = 0
        while done := self._round(now):
            total += done
        if self._rests:
            raise JobCrashed(", ".join(sorted(self._rests)))
        return total

    def next_due(self) -> datetime | None:
        """The earliest instant at which there is something to do."""
        with self._house.database.read() as db:
            found = [job.next_due(db) for job in self._timetable if job.moves_the_clock]
        return min((moment for moment in found if moment is not None), default=None)

    def in_hand(self) -> int:
        """How many rows other workers have in hand."""
        with self._house.database.read() as db:
            return sum(job.in_hand(db) for job in self._timetable)

    def _round(self, now: datetime) -> int:
        total = 0
        for job in self._timetable:
            if self._stop.is_set():
                break
            if self._rests.get(job.name, 0) > time.monotonic():
                continue
            done = attempted(f"job {job.name}", lambda job=job: self._turn(job, now))  # type: ignore[misc]
            if isinstance(done, Crash):
                self._rests[job.name] = time.monotonic() + LONGEST_REST_SECONDS
                continue
            self._rests.pop(job.name, None)
            total += done
        return total

    def _turn(self, job: Job, now: datetime) -> int:
        # Asked first, and of the reader: an idle worker must not take SQLite's one write lock every second.
        with self._house.database.read() as db:
            due_at = job.next_due(db)
        if due_at is None or due_at > now:
            return 0
        return job.run(self._house, now, self._stop.is_set)

    def _beat(self) -> None:
        """A sign of life, by the machine's own clock: the demo's may stand anywhere."""
        moment = self._machine.now()
        if self._seen_at is None or moment - self._seen_at >= HEARTBEAT:
            with self._house.database.write() as db:
                keep_fact(db, WORKER_SEEN_AT, moment.isoformat())
            self._seen_at = moment


def keep_fact(db: Session, name: str, value: str) -> None:
    """Writes down what is true of the deployment, over what was."""
    insert = insert_for(db, DeploymentFact.__table__).values(name=name, value=value)
    db.execute(insert.on_conflict_do_update(index_elements=["name"], set_={"value": value}))


# The demo: living through days in a moment

PATIENCE_SECONDS = 20.0
"""How long the demo's clock waits for another worker that has rows in hand and gets nowhere with them."""


def work_until(house: House, until: datetime, timetable: Sequence[Job] = TIMETABLE) -> int:
    """Lives through the time up to `until`: the demo's clock goes from due instant to due instant, and all that falls due
    is done at its own time. Leaves the clock at `until`; never moves it backwards. Gives how many rows were done.

    Errors: Refused outside the demo; TimeoutError where another worker holds what is due and never finishes it.
    """
    if not house.settings.demo:
        raise Refused(N_("Only the demo's clock can be moved. Set PORTAL_DEMO=1."))
    worker = Worker(house, timetable)
    moment = house.clock.now()
    done = worker.run_until_idle(moment)
    while True:
        done += _wait_for_others(worker, moment)
        following = worker.next_due()
        if following is None or following > until:
            break
        moment = max(moment, following)
        set_clock(house, moment)
        done += worker.run_until_idle(moment)
    if until > moment:
        set_clock(house, until)
    return done


def _wait_for_others(worker: Worker, moment: datetime) -> int:
    """Lets other workers finish what was due up to `moment`, so that no clock runs away under their leases; takes over
    what they leave. Gives how many rows that were."""
    done = 0
    before: tuple[int, datetime | None] | None = None
    while True:
        busy, following = state = worker.in_hand(), worker.next_due()
        if not busy and (following is None or following > moment):
            return done
        if state != before:
            before, patience = state, time.monotonic() + PATIENCE_SECONDS
        elif time.monotonic() > patience:
            if following is not None and following <= moment:
                raise TimeoutError(f"something has been due since {following:%Y-%m-%d %H:%M} and can't be finished")
            return done
        time.sleep(0.02)
        done += worker.run_until_idle(moment)
