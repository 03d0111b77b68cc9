"""Random lives: whatever people do and time brings, in any order, on paper and (if given) in a database at once."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from itertools import count
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from sqlalchemy import event

from portal.db import Database
from portal.errors import Refused
from portal.journeys.rules import FlagOutcome, Outcome, Status
from tests import cast, factories
from tests.journeys import invariants
from tests.journeys.paper import JOAO, MARIA, Paper
from tests.journeys.story import Story

STAGES = ("demand_analysis", "first_contact", "deployment", "follow_up_30", "follow_up_60", "follow_up_90", "approved")
DAYS = st.sampled_from((0, 1, 2, 3, 5, 7, 14, 20, 30, 31, 45))
HOURS = st.integers(0, 23)


class LivesOnPaper(RuleBasedStateMachine):
    """One journey under everything that can happen to it."""

    def __init__(self) -> None:
        super().__init__()
        self.paper = Paper(cast.MONDAY)

    def both(self, do: Callable[[Any], object]) -> None:
        """Does it; a refusal is an answer too."""
        self._on_paper(do)

    def _on_paper(self, do: Callable[[Any], object]) -> bool:
        try:
            do(self.paper)
        except Refused:
            return False
        return True

    # Time

    @initialize(days=st.sampled_from((0, 0, 29, 45, 59)), started=st.booleans())
    def sold(self, days: int, started: bool) -> None:
        """Many lives begin in use, where most can happen."""
        self.both(lambda life: life.sell())
        if started:
            self.both(lambda life: life.sign_in())
            self.both(lambda life: life.analyse())
        until = self.paper.now + timedelta(days=days, hours=1)
        self.both(lambda life: life.live_until(until))

    @rule(days=DAYS, hours=HOURS)
    def days_pass(self, days: int, hours: int) -> None:
        until = self.paper.now + timedelta(days=days, hours=hours)
        self.both(lambda life: life.live_until(until))

    @rule(days=DAYS, hours=HOURS)
    def the_worker_stands_still(self, days: int, hours: int) -> None:
        until = self.paper.now + timedelta(days=days, hours=hours)
        self.both(lambda life: life.skip_until(until))

    @rule()
    def the_worker_wakes(self) -> None:
        self.both(lambda life: life.wake_worker())

    # What people do

    @rule()
    def analyse(self) -> None:
        self.both(lambda life: life.analyse())

    @rule()
    def sign_in(self) -> None:
        self.both(lambda life: life.sign_in())

    @rule()
    def write_to_us(self) -> None:
        self.both(lambda life: life.write_to_us())

    @rule(days=st.one_of(st.none(), st.integers(1, 20)))
    def book_or_cancel(self, days: int | None) -> None:
        until = None if days is None else self.paper.now + timedelta(days=days)
        self.both(lambda life: life.book(until))

    @rule(day=st.sampled_from((30, 60, 90)), outcome=st.sampled_from(Outcome), who=st.sampled_from((MARIA, JOAO)))
    def answer(self, day: int, outcome: Outcome, who: str) -> None:
        if self.paper.can_answer(day, who):
            self.both(lambda life: life.answer(day, outcome, who=life.person(who)))

    @rule(result=st.sampled_from(Outcome), who=st.sampled_from((None, MARIA, JOAO)))
    def talk(self, result: Outcome, who: str | None) -> None:
        self.both(lambda life: life.talk(result, who=who and life.person(who)))

    @rule()
    def raise_flag(self) -> None:
        self.both(lambda life: life.raise_flag())

    @precondition(lambda self: self.paper.open_cases)
    @rule(outcome=st.sampled_from((FlagOutcome.RESOLVED, FlagOutcome.RESOLVED, *FlagOutcome)))
    def settle_flag(self, outcome: FlagOutcome) -> None:
        self.both(lambda life: life.settle_flag(outcome))

    @precondition(lambda self: self.paper.duplicates)
    @rule()
    def merge_flags(self) -> None:
        self.both(lambda life: life.merge_flags())

    @precondition(lambda self: self.paper.last_closed is not None and self.paper.last_closed.closed_at is not None)
    @rule()
    def say_not_solved(self) -> None:
        self.both(lambda life: life.say_not_solved())

    @rule(stage=st.sampled_from(STAGES))
    def move_by_hand(self, stage: str) -> None:
        self.both(lambda life: life.move(stage))

    @precondition(lambda self: self.paper.journey.use_started_on is not None)
    @rule(days=st.integers(-40, 40))
    def correct_the_start(self, days: int) -> None:
        started = self.paper.journey.use_started_on
        assert started is not None
        before = self.paper.facts()
        self.both(lambda life: life.correct_start(started + timedelta(days=days)))
        if before.status is not Status.OPEN:
            days = 0
        after = {contact.day: contact.due_on for contact in self.paper.facts().contacts}
        moved = {day: on and on + timedelta(days=days) for day, on in invariants.pending_dates(before).items()}
        assert after == moved | invariants.past_dates(before), "invariant 8"

    @rule()
    def set_a_goal(self) -> None:
        self.both(lambda life: life.set_goal())

    @precondition(lambda self: self.paper.has_open_goal)
    @rule(met=st.booleans())
    def close_a_goal(self, met: bool) -> None:
        self.both(lambda life: life.close_first_goal(met=met))

    @rule(days=st.integers(-2, 40))
    def promise(self, days: int) -> None:
        due_on = self.paper.now.date() + timedelta(days=days)
        self.both(lambda life: life.promise(due_on))

    @precondition(lambda self: self.paper.has_open_promise)
    @rule()
    def keep_a_promise(self) -> None:
        self.both(lambda life: life.keep_first_promise())

    @precondition(lambda self: len(self.paper.stays) > 4)
    @rule()
    def leave(self) -> None:
        self.both(lambda life: life.leave())

    # What must be true

    @invariant()
    def what_must_be_true_is(self) -> None:
        if not self.paper.stays:
            return
        facts = self.paper.facts()
        invariants.hold(facts, self.paper.cases)
        waiting = {due_at: key for key, (due_at, result) in facts.waiting.items() if not result}
        if all(due_at > self.paper.now for due_at in waiting):  # the worker is up to date
            journey = self.paper.loaded()
            invariants.will_be_woken(self.paper.pipeline, journey, waiting, self.paper.now)


class Died(BaseException):
    """The process is gone, in the middle of anything; nothing may catch it."""


class LivesInDatabase(LivesOnPaper):
    """The same lives in a real database, beside their paper: both must look the same after each step, and the process
    may die at any statement of a step, after which it is taken again."""

    def __init__(self, database: Database) -> None:
        super().__init__()
        self.database = database
        house = factories.house(database, cast.MONDAY)
        with database.write() as db:
            everybody = cast.put_on_stage(db, house)
        self.story = Story(house, everybody, cast.MONDAY)
        self.dies_after: int | None = None

    @rule(statements=st.integers(0, 40))
    def the_process_will_die(self, statements: int) -> None:
        """In the next step, before that statement."""
        self.dies_after = statements

    def both(self, do: Callable[[Any], object]) -> None:
        done_on_paper = self._on_paper(do)
        dies_after, self.dies_after = self.dies_after, None
        try:
            with _dying(self.database, dies_after):
                done = self._in_database(do)
        except Died:
            done = self._in_database(do)
        assert done == done_on_paper
        self._compare()

    def _in_database(self, do: Callable[[Any], object]) -> bool:
        try:
            do(self.story)
        except Refused:
            return False
        return True

    def _compare(self) -> None:
        if self.story.id:
            assert self.story.facts() == self.paper.facts()
            with self.database.read() as db:
                invariants.hold_in_database(db)

    def teardown(self) -> None:
        self.database.close()


@contextmanager
def _dying(database: Database, after: int | None) -> Iterator[None]:
    """The process dies before it sends the database that many statements more; never, where there is no number."""
    if after is None:
        yield
        return
    sent = count()

    def maybe(*_: object) -> None:
        if next(sent) >= after:
            raise Died

    event.listen(database.write_engine, "before_cursor_execute", maybe)
    try:
        yield
    finally:
        event.remove(database.write_engine, "before_cursor_execute", maybe)
