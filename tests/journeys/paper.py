"""A journey on paper: the shell's work done in memory around the same rules, so that whole lives pass in milliseconds.

It has the verbs of `story.Story`, and both give `Facts`: what must be true of a journey wherever it is kept.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import NamedTuple

from portal.accounts.asking import Asked, next_opening
from portal.accounts.rules import Wishes
from portal.clock import NO_HOLIDAYS
from portal.errors import Refused
from portal.journeys import rules
from portal.journeys.rules import FlagOutcome, FollowUp, Goal, Journey, Outcome, Pipeline, Stage, Status, Term
from portal.journeys.shipped import AFTER_SALE, SHIPPED

MARIA, JOAO = "maria", "joao"
ZONE = "America/Sao_Paulo"
SURVEY_OPEN = timedelta(days=21)


class Stay(NamedTuple):
    """A stage visit."""

    stage: str
    entered_at: datetime
    left_at: datetime | None
    moved_by: str


class Waiting(NamedTuple):
    """A due action: when it is due, and what became of it (empty: it waits)."""

    due_at: datetime
    result: str


class Facts(NamedTuple):
    """All that can be seen of one journey from outside."""

    stage: str
    status: Status
    stays: tuple[Stay, ...]
    contacts: tuple[FollowUp, ...]
    open_flags: int
    waiting: dict[str, Waiting]
    mails: tuple[str, ...]
    """Survey mails and reminders, such as `survey:30`, in the order they were queued."""
    to_do: tuple[str, ...]
    """Keys of the open activities that the journey made by itself."""
    relationships: int
    limits: tuple[datetime, datetime] | None


@dataclass
class Case:
    """A flag on paper."""

    who: str | None
    day: int | None
    opened_at: datetime
    from_answer: bool = False
    closed_at: datetime | None = None
    outcome: FlagOutcome | None = None
    earlier: list[tuple[datetime, datetime]] = field(default_factory=list)
    """From when until when it was open before it was opened again."""
    merged_into: "Case | None" = None

    @property
    def goes_on_in(self) -> "Case":
        return self.merged_into or self

    def was_open_at(self, moment: datetime) -> bool:
        """Whether it was open just before and just after that moment."""
        spells = [*self.earlier, (self.opened_at, self.closed_at)]
        return any(opened < moment and (closed is None or moment < closed) for opened, closed in spells)


def shipped_pipeline(key: str = AFTER_SALE) -> Pipeline:
    """A shipped pipeline as the rules see it, without a database."""
    plan = next(p for p in SHIPPED if p.key == key)
    stages = [
        Stage(
            id=n + 1,
            position=n,
            key=s.key,
            moves_on=tuple(Term.parse(t) for t in s.moves_on),
            on_enter=s.on_enter,
            limit_days=s.limit_days,
            limit_from=s.limit_from,
            contact_day=s.contact_day,
            gives_way_on_day=s.gives_way_on_day,
            ends=s.ends,
            by_hand_only=s.by_hand_only,
        )
        for n, s in enumerate(plan.stages)
    ]
    return Pipeline(1, key, tuple(stages))


@dataclass
class _Due:
    kind: str
    day: int
    due_at: datetime
    result: str = ""


@dataclass
class Paper:
    """One customer's life. `now` is where it has got to."""

    now: datetime
    pipeline: Pipeline = field(default_factory=shipped_pipeline)
    journey: Journey = field(init=False)
    stays: list[Stay] = field(default_factory=list)
    cases: list[Case] = field(default_factory=list)
    mails: list[str] = field(default_factory=list)
    relationships: int = 0
    answered: set[tuple[int, str]] = field(default_factory=set)
    asked_joao_at: dict[int, datetime] = field(default_factory=dict)
    promises: list[tuple[date, bool]] = field(default_factory=list)
    goals: list[tuple[int, datetime | None, bool]] = field(default_factory=list)
    """(day, met at, dropped)"""
    conversed_at: datetime | None = None
    settled_by_flag: set[int] = field(default_factory=set)
    """Days of contacts that a resolved case settled."""
    last_closed: Case | None = None
    left_us: bool = False
    _due: dict[str, _Due] = field(default_factory=dict)
    _activities: dict[str, tuple[str, int, bool]] = field(default_factory=dict)
    """key: (kind, day, done)"""

    # Time

    def live_until(self, moment: datetime) -> None:
        self.wake_worker()
        while (following := self._next_due()) is not None and following <= moment:
            self.now = max(self.now, following)
            self.wake_worker()
        self.now = max(self.now, moment)

    def skip_until(self, moment: datetime) -> None:
        self.now = max(self.now, moment)

    def wake_worker(self) -> None:
        while any(
            [
                self._work(("wake", "unless_contact", "call_no_answer")),
                self._work(("survey",)),
                self._work(("reminder",)),
            ]
        ):
            pass

    def _next_due(self) -> datetime | None:
        kinds = ("wake", "unless_contact", "call_no_answer", "survey", "reminder")
        return min((d.due_at for d in self._due.values() if not d.result and d.kind in kinds), default=None)

    def _work(self, kinds: Sequence[str]) -> bool:
        for kind in kinds:
            found = [(d.due_at, key) for key, d in self._due.items() if d.kind == kind and not d.result]
            due = sorted((at, key) for at, key in found if at <= self.now)
            if due:
                self._do(due[0][1])
                return True
        return False

    def _do(self, key: str) -> None:
        due = self._due[key]
        journey = self.loaded()
        match due.kind:
            case "wake":
                due.result = "done"
                self._fold(journey)
            case "unless_contact":
                due.result = rules.moot_first_call(journey, int(key.partition("@")[2])) or "done"
                self._call_if_done(due, key, "call_no_contact")
                self._fold(journey)
            case "call_no_answer":
                due.result = rules.moot_call(journey, due.day) or "done"
                self._call_if_done(due, key, "call_no_answer")
                self._fold(journey)
            case "survey":
                self._send_survey(journey, due)
            case "reminder":
                asked_at = journey.follow_up(due.day).sent_at
                if rules.unremindable(journey, due.day, self.now, silent_from=asked_at):
                    due.result = "over"
                elif self._is_time_for(Asked.REMINDER, due):
                    due.result = "done"
                    self.mails.append(f"reminder:{due.day}")

    def _is_time_for(self, asked: Asked, due: _Due) -> bool:
        """Whether it is within their hours; else it waits until then."""
        opens = next_opening(asked, Wishes(timezone=ZONE), self.now)
        assert opens is not None
        due.due_at = due.due_at if opens <= self.now else opens
        return opens <= self.now

    def _call_if_done(self, due: _Due, key: str, kind: str) -> None:
        if due.result == "done":
            self._activities.setdefault(key, (kind, due.day, False))

    def _send_survey(self, journey: Journey, due: _Due) -> None:
        why = rules.unsendable(journey, due.day, self.now)
        if why in ("ended", "settled", "missed", "asked"):
            due.result = "over"
        elif why is not None:
            self._keep(*rules.convert(journey, due.day, self.now, why=why))
        elif self._is_time_for(Asked.SURVEY, due):
            due.result = "done"
            self.mails.append(f"survey:{due.day}")
            self._keep(*rules.was_sent(journey, due.day, self.now))

    # What people do

    def person(self, name: str) -> str:
        return name

    def sell(self) -> None:
        self.journey = Journey(
            id=1,
            position=0,
            status=Status.OPEN,
            visit=1,
            opened_at=self.now,
            entered_at=self.now,
            moved_back=False,
            zone=ZONE,
            owner_id=1,
            plan_known=True,
            reachable=True,
            follow_ups=tuple(FollowUp(day) for day in self.pipeline.contact_days),
        )
        self.stays.append(Stay(self.pipeline.stages[0].key, self.now, None, "test"))
        journey, effects = rules.enter(self.pipeline, self.journey, self.now)
        self._fold(journey, effects)

    def analyse(self) -> None:
        """Carla ticks the newest open analysis off, if there is one."""
        open_ones = [key for key, (kind, _, done) in self._activities.items() if kind == "analyse_demand" and not done]
        if open_ones:
            kind, day, _ = self._activities[open_ones[-1]]
            self._activities[open_ones[-1]] = (kind, day, True)
            self.journey = self.journey._replace(analysed_at=self.now, worked_at=self.now)
            self._fold(self.loaded())

    def sign_in(self) -> None:
        if self.journey.status is Status.OPEN and self._first_contact():
            self._fold(self.loaded())

    def write_to_us(self) -> None:
        self._got_in_touch()
        self._drop(("reminder", "call_no_answer"), "sign_of_life")
        self._fold(self.loaded())

    def book(self, until: datetime | None) -> None:
        self.journey = self.journey._replace(held_until=until, worked_at=self.now)
        self._got_in_touch()
        self._drop(("reminder", "call_no_answer"), "booking")
        self._fold(self.loaded())

    def can_answer(self, day: int, who: str) -> bool:
        sent_at = self.asked_joao_at.get(day, self.now) if who == JOAO else self.journey.follow_up(day).sent_at
        asked = self.journey.follow_up(day).sent_at is not None and sent_at is not None
        return asked and sent_at is not None and self.now < sent_at + SURVEY_OPEN and (day, who) not in self.answered

    def answer(self, day: int, outcome: Outcome, *, who: str = MARIA) -> None:
        self.answered.add((day, who))
        self._got_in_touch()
        self._drop(("reminder", "call_no_answer"), "answer")
        if outcome is Outcome.DISSATISFIED:
            self._open_case(Case(who, day, self.now, from_answer=True))
            return
        unhappy = [c for c in self.cases if c.day == day and c.goes_on_in.outcome is not FlagOutcome.RESOLVED]
        if not unhappy and self.journey.follow_up(day).missed_at is None:
            self._settle([day])
        self._fold(self.loaded())

    def talk(self, result: Outcome = Outcome.SATISFIED, *, who: str | None = None) -> None:
        self._got_in_touch()
        self._drop(("reminder", "call_no_answer"), "conversation")
        if result is not Outcome.DISSATISFIED:
            self.conversed_at = self.now
        days = rules.settles(self.loaded(), self.now)
        if result is Outcome.DISSATISFIED:
            same = [c for c in self.cases if c.closed_at is None and who in (None, c.who)]
            if same:
                self._fold(self.loaded())
            else:
                self._open_case(Case(who, max(days, default=None), self.now))
            return
        self._settle([day for day in days if not self._disputed(day)])
        self._fold(self.loaded())

    def raise_flag(self) -> None:
        self._open_case(Case(MARIA, None, self.now))

    @property
    def open_cases(self) -> list[Case]:
        return [case for case in self.cases if case.closed_at is None]

    def settle_flag(self, outcome: FlagOutcome = FlagOutcome.RESOLVED) -> None:
        """Ends the oldest open case, and with it what was merged into it."""
        if outcome is FlagOutcome.MERGED:
            raise Refused("merging is another verb")
        case = self.open_cases[0]
        self._close(case, outcome)
        days = sorted({c.day for c in self.cases if c.goes_on_in is case and c.day is not None})
        match outcome:
            case FlagOutcome.LOST:
                self._keep(*rules.lose(self.loaded(), self.now, by="staff:1", reason="lost"))
            case FlagOutcome.RESOLVED:
                for day in days:
                    if not self._disputed(day):
                        if not self.journey.follow_up(day).is_settled:
                            self.settled_by_flag.add(day)
                        self._settle([day])
            case FlagOutcome.ACCEPTED_RISK:
                for day in days:
                    if not self.journey.follow_up(day).is_settled:
                        self._activities.setdefault(f"contact_by_call:{day}", ("contact_by_call", day, False))
        self._fold(self.loaded())

    def _close(self, case: Case, outcome: FlagOutcome) -> None:
        case.closed_at, case.outcome = self.now, outcome
        self.last_closed = case
        self.journey = self.journey._replace(open_flags=self.journey.open_flags - 1, worked_at=self.now)

    @property
    def duplicates(self) -> tuple[Case, list[Case]] | None:
        """The oldest open case of somebody who has others, and those."""
        for main in self.open_cases:
            same = [case for case in self.open_cases if case is not main and case.who == main.who]
            if main.who is not None and same:
                return main, same
        return None

    def merge_flags(self) -> None:
        """They go on in one case."""
        assert self.duplicates is not None
        main, others = self.duplicates
        for other in others:
            self._close(other, FlagOutcome.MERGED)
            for case in self.cases:
                if case.goes_on_in is other:
                    case.merged_into = main
        self._fold(self.loaded())

    def say_not_solved(self) -> None:
        """Undoes the last resolution, if it stands."""
        case = self.last_closed
        if case is None or case.closed_at is None:
            return
        if case.outcome is FlagOutcome.LOST:
            raise Refused("the journey has ended")
        own_only = case.outcome is FlagOutcome.MERGED
        about = {c.day for c in self.cases if c is case or (c.goes_on_in is case and not own_only)}
        days = {day for day in about if day is not None}
        for day in days & self.settled_by_flag:
            contact = self.journey.follow_up(day)
            if contact.settled_at == case.closed_at and self.journey.status is Status.OPEN:
                self._put(contact._replace(settled_at=None))
                self.settled_by_flag.discard(day)
        case.earlier.append((case.opened_at, case.closed_at))
        case.opened_at, case.closed_at, case.outcome, case.merged_into = self.now, None, None, None
        self.journey = self.journey._replace(open_flags=self.journey.open_flags + 1)
        self._fold(self.loaded())

    def move(self, stage: str) -> None:
        to = next(s.position for s in self.pipeline.stages if s.key == stage)
        journey = self.loaded()
        if journey.status is not Status.OPEN and self.left_us:
            raise Refused("has left")
        move = rules.move_by_hand(self.pipeline, journey, to, by="staff:1", reason="It fits better.")
        journey, effects = rules.apply(self.pipeline, journey, move, self.now)
        self._fold(rules.worked(journey, self.now), effects)

    def correct_start(self, on: date) -> None:
        if self.journey.status is not Status.OPEN:
            raise Refused("has ended")
        if self.journey.use_started_on == on:
            return
        journey, effects = rules.start_use(self.pipeline, self.loaded(), on, by="staff:1")
        self._fold(rules.worked(journey, self.now), effects)

    def set_goal(self) -> None:
        self.goals.append((90, None, False))
        self._work_done()

    def close_first_goal(self, *, met: bool) -> None:
        n = next(n for n, (_, at, dropped) in enumerate(self.goals) if at is None and not dropped)
        self.goals[n] = (90, self.now if met else None, not met)
        self._work_done()

    @property
    def has_open_goal(self) -> bool:
        return any(at is None and not dropped for _, at, dropped in self.goals)

    def promise(self, due_on: date) -> None:
        self.promises.append((due_on, False))
        self._work_done()

    def keep_first_promise(self) -> None:
        n = next(n for n, (_, kept) in enumerate(self.promises) if not kept)
        self.promises[n] = (self.promises[n][0], True)
        self._work_done()

    @property
    def has_open_promise(self) -> bool:
        return any(not kept for _, kept in self.promises)

    def leave(self) -> None:
        self.left_us = True
        self._keep(*rules.lose(self.loaded(), self.now, by="staff:2", reason="Closed shop"))

    # The shell

    def loaded(self) -> Journey:
        """The journey with all that the shell reads beside its row."""
        journey = self.journey
        return journey._replace(
            promise_due_on=min((on for on, kept in self.promises if not kept), default=None),
            goals=tuple(Goal(day, at) for day, at, dropped in self.goals if not dropped),
            conversed_at=self.conversed_at if journey.moved_back else None,
            has_next=self.relationships > 0,
        )

    def _work_done(self) -> None:
        self.journey = self.journey._replace(worked_at=self.now)
        self._fold(self.loaded())

    def _first_contact(self) -> bool:
        if self.journey.first_contact_at is not None:
            return False
        self.journey = self.journey._replace(first_contact_at=self.now, worked_at=self.now)
        self._drop(("unless_contact",), "sign_of_life")
        self._finish(("call_no_contact",))
        return True

    def _got_in_touch(self) -> None:
        self._first_contact()
        self.journey = self.journey._replace(worked_at=self.now)

    def _open_case(self, case: Case) -> None:
        self.cases.append(case)
        self.journey = self.journey._replace(open_flags=self.journey.open_flags + 1)
        self._drop(("reminder", "call_no_answer"), "flag")
        self._fold(self.loaded())

    def _disputed(self, day: int) -> bool:
        return any(case.day == day and case.goes_on_in.closed_at is None for case in self.cases)

    def _settle(self, days: Sequence[int]) -> None:
        settled = [day for day in days if not self.journey.follow_up(day).is_settled]
        for day in settled:
            self._put(self.journey.follow_up(day)._replace(settled_at=self.now))
            for kind in ("survey", "reminder", "call_no_answer"):
                self._drop_key(f"{kind}:{day}", "settled")
            self._finish(rules.CALLS_OF_CONTACTS, day)

    def _put(self, contact: FollowUp) -> None:
        others = tuple(contact if f.day == contact.day else f for f in self.journey.follow_ups)
        self.journey = self.journey._replace(follow_ups=others)

    def _drop(self, kinds: Sequence[str], why: str) -> None:
        for due in self._due.values():
            if due.kind in kinds and not due.result:
                due.result = why

    def _drop_key(self, key: str, why: str) -> None:
        due = self._due.get(key)
        if due is not None and not due.result:
            due.result = why

    def _finish(self, kinds: Sequence[str], day: int | None = None) -> None:
        for key, (kind, its_day, _) in self._activities.items():
            if kind in kinds and day in (None, its_day):
                self._activities[key] = (kind, its_day, True)

    def _fold(self, journey: Journey, effects: Sequence[rules.Effect] = ()) -> None:
        done = [*effects]
        journey, more = rules.conversions(journey, self.now)
        done += more
        while (move := rules.next_move(self.pipeline, journey, self.now)) is not None:
            journey, more = rules.apply(self.pipeline, journey, move, self.now)
            done += more
        journey, more = rules.left_behind(self.pipeline, journey, self.now)
        self._keep(journey, [*done, *more])

    def _keep(self, journey: Journey, effects: Sequence[rules.Effect]) -> None:
        self.journey = journey
        for kind in (rules.Moved, rules.Due, rules.UseStarted, rules.Converted, rules.Missed, rules.Ended):
            for effect in effects:
                if isinstance(effect, kind):
                    self._keep_one(effect)
        for effect in effects:
            match effect:
                case rules.NewActivity():
                    self._activities.setdefault(effect.key, (effect.kind, effect.day, False))
                case rules.OpenNext():
                    self.relationships += 1
                case rules.Letter():
                    key = f"{effect.key}"
                    if key not in self.mails:
                        self.mails.append(key)
                case _:
                    pass

    def _keep_one(self, effect: rules.Effect) -> None:
        match effect:
            case rules.Moved():
                self.stays[-1] = self.stays[-1]._replace(left_at=effect.at)
                self.stays.append(Stay(self.pipeline.stages[effect.to_position].key, effect.at, None, effect.by))
            case rules.Due():
                self._put_due(effect)
            case rules.UseStarted() if effect.was is not None:
                for contact in self.journey.follow_ups:
                    due = self._due.get(f"survey:{contact.day}")
                    if due is not None and not due.result and contact.is_pending and contact.due_at is not None:
                        due.due_at = max(contact.due_at, self.now)
            case rules.Converted():
                self._drop_key(f"survey:{effect.day}", effect.why)
            case rules.Missed():
                for kind in ("survey", "reminder", "call_no_answer"):
                    self._drop_key(f"{kind}:{effect.day}", "missed")
            case rules.Ended() if effect.how is rules.Ending.LOST:
                self._drop(tuple({due.kind for due in self._due.values()}), "lost")
            case _:
                pass

    def _put_due(self, effect: rules.Due) -> None:
        kind, _, tail = effect.kind.partition(":")
        known = self._due.get(effect.key)
        if known is None:
            self._due[effect.key] = _Due(kind, int(tail) if tail.isdigit() else 0, effect.due_at)
        elif known.result != "done" or (kind == "wake" and known.due_at != effect.due_at):
            known.due_at, known.result = effect.due_at, ""

    # What came of it

    def facts(self) -> Facts:
        return Facts(
            stage=self.pipeline.stages[self.journey.position].key,
            status=self.journey.status,
            stays=tuple(self.stays),
            contacts=self.journey.follow_ups,
            open_flags=self.journey.open_flags,
            waiting={
                key: Waiting(due.due_at, due.result)
                for key, due in sorted(self._due.items())
                if due.kind != "referral_prompt"  # for the room above
            },
            mails=tuple(self.mails),
            to_do=tuple(sorted(key for key, (_, _, done) in self._activities.items() if not done)),
            relationships=self.relationships,
            limits=rules.limits(self.pipeline, self.journey, NO_HOLIDAYS),
        )
