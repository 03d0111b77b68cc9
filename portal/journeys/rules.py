"""What should happen to a journey: pure functions over frozen data, decisions and effects returned as data.

A pipeline is data that names conditions and steps from the closed vocabularies below; this module owns what a name
means. The shell (`actions.py`) locks the journey's row, asks `next_move`, stores the effects.
The invariants are numbered in `tests/journeys/invariants.py`.
"""

from collections.abc import Container
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import NamedTuple, assert_never

from portal.clock import (
    EVENING,
    MORNING,
    NO_HOLIDAYS,
    at_local,
    business_days_after,
    day_instant,
    local_date,
    next_business_day,
)
from portal.errors import N_, Refused

CALL_AFTER_BUSINESS_DAYS = 5
REMIND_AFTER_BUSINESS_DAYS = 3
LATE_CONTACT_DAYS = 14
"""A contact that could not go out for so long (the worker stood still) is void as a mail and becomes a call."""
DAYS_BETWEEN_SURVEYS = 14
"""Nobody gets two surveys within so many days."""


class Status(StrEnum):
    OPEN = "open"
    WON = "won"
    LOST = "lost"


class Condition(StrEnum):
    """What may let a stage go: `day_of_use:30` is a condition with its number."""

    DEMAND_ANALYSED = "demand_analysed"
    PLAN_KNOWN = "plan_known"
    OWNER_ASSIGNED = "owner_assigned"
    REACHABLE = "reachable"
    FIRST_CONTACT = "first_contact"
    DAY_OF_USE = "day_of_use"
    CONTACT_SETTLED = "contact_settled"
    ALL_CONTACTS_SETTLED = "all_contacts_settled"
    GOALS_MET = "goals_met"
    RENEWAL_WITHIN = "renewal_within"


class Do(StrEnum):
    """What entering a stage may set going."""

    ASSIGN_CONSULTANT = "assign_consultant"
    ACTIVITY = "activity"
    ACTIVITY_UNLESS_CONTACT = "activity_unless_contact"
    MAIL = "mail"
    START_USE = "start_use"
    SURVEY = "survey"
    PROMPT_REFERRAL = "prompt_referral"
    OPEN_NEXT = "open_next"


class Ending(StrEnum):
    """How a journey ends in a stage that ends it."""

    WON = "won"
    LOST = "lost"


class LimitFrom(StrEnum):
    """What a stage's stagnation limit counts from."""

    ENTERED = "entered"
    ASKED = "asked"
    """From when the stage's contact was asked (survey sent, or turned into a call); nothing is late before that."""


class ActivityKind(StrEnum):
    """What a consultant may be asked to do; titles in `ACTIVITY_TITLES`."""

    ANALYSE_DEMAND = "analyse_demand"
    CALL_NO_CONTACT = "call_no_contact"
    FILL_IN_NEEDS = "fill_in_needs"
    CONTACT_60 = "contact_60"
    CONTACT_90 = "contact_90"
    CALL_NO_ANSWER = "call_no_answer"
    CONTACT_BY_CALL = "contact_by_call"
    ASK_BY_WHATSAPP = "ask_by_whatsapp"
    ASK_WHAT_IS_MISSING = "ask_what_is_missing"
    TAKE_OVER = "take_over"
    HAND_OVER = "hand_over"
    CALL_AFTER_NO_SHOW = "call_after_no_show"
    FIND_NEW_TIME = "find_new_time"
    CONFIRM_MEETING = "confirm_meeting"
    UNSTICK = "unstick"
    CHECK_CORRECTION = "check_correction"
    ANSWER_MESSAGE = "answer_message"
    READ_ANSWER = "read_answer"
    OTHER = "other"


ACTIVITY_TITLES: dict[ActivityKind, str] = {
    ActivityKind.ANALYSE_DEMAND: N_("Analyse customer demand"),
    ActivityKind.CALL_NO_CONTACT: N_("Call: no contact yet"),
    ActivityKind.FILL_IN_NEEDS: N_("Fill in customer needs"),
    ActivityKind.CONTACT_60: N_("Contact at 60 days of use"),
    ActivityKind.CONTACT_90: N_("Contact at 90 days of use"),
    ActivityKind.CALL_NO_ANSWER: N_("Call: no answer to the survey"),
    ActivityKind.CONTACT_BY_CALL: N_("Call instead of the survey"),
    ActivityKind.ASK_BY_WHATSAPP: N_("Ask by WhatsApp instead of the survey"),
    ActivityKind.ASK_WHAT_IS_MISSING: N_("Ask what would make it better"),
    ActivityKind.TAKE_OVER: N_("Call: pick up where we are"),
    ActivityKind.HAND_OVER: N_("Hand over to the relationship team"),
    ActivityKind.CALL_AFTER_NO_SHOW: N_("Call: they missed the meeting"),
    ActivityKind.FIND_NEW_TIME: N_("Find a new time: they cancelled the doubt meeting"),
    ActivityKind.CONFIRM_MEETING: N_("Did the meeting take place?"),
    ActivityKind.UNSTICK: N_("Help: they are stuck with a step"),
    ActivityKind.CHECK_CORRECTION: N_("Check what they say is wrong in their details"),
    ActivityKind.ANSWER_MESSAGE: N_("Answer the message"),
    ActivityKind.READ_ANSWER: N_("Read what they answered"),
    ActivityKind.OTHER: N_("Something else"),
}


CALLS_OF_CONTACTS = (
    ActivityKind.CONTACT_60,
    ActivityKind.CONTACT_90,
    ActivityKind.CALL_NO_ANSWER,
    ActivityKind.CONTACT_BY_CALL,
    ActivityKind.ASK_BY_WHATSAPP,
)
"""What has nothing left to do once the contact of its day is settled."""


class Outcome(StrEnum):
    """What one answer, or one conversation, says."""

    DISSATISFIED = "dissatisfied"
    NEUTRAL = "neutral"
    SATISFIED = "satisfied"


class SettledBy(StrEnum):
    ANSWER = "answer"
    FLAG = "flag"
    CONVERSATION = "conversation"


class FlagOrigin(StrEnum):
    ANSWER = "answer"
    HELP = "help"
    CONVERSATION = "conversation"
    CONSULTANT = "consultant"


class FlagOutcome(StrEnum):
    RESOLVED = "resolved"
    ACCEPTED_RISK = "accepted_risk"
    LOST = "lost"
    MERGED = "merged"
    """It goes on in another case of the same person; what becomes of that one became of this one."""


class Whose(StrEnum):
    YOU = "you"
    US = "us"
    TOGETHER = "together"


class EntryKind(StrEnum):
    """What a plan consists of."""

    MILESTONE = "milestone"
    TOUCHPOINT = "touchpoint"


class Pace(StrEnum):
    """How a card stands against its limit."""

    ON_TRACK = "on_track"
    BEHIND = "behind"
    STUCK = "stuck"


@dataclass(frozen=True)
class Term:
    """A condition with its number, written `contact_settled:30`."""

    name: Condition
    number: int = 0

    @classmethod
    def parse(cls, written: str) -> "Term":
        name, _, number = written.partition(":")
        return cls(Condition(name), int(number or 0))

    def __str__(self) -> str:
        return f"{self.name}:{self.number}" if self.number else str(self.name)


@dataclass(frozen=True)
class Step:
    """One thing that entering a stage sets going."""

    do: Do
    what: str = ""
    """Activity kind, mail kind, or the key of the pipeline to open."""
    day: int = 0
    """Day of use, for surveys and for activities due on such a day."""
    after_days: int = 0
    """Business days after entering, for activities."""


@dataclass(frozen=True)
class Stage:
    id: int
    position: int
    key: str
    moves_on: tuple[Term, ...] = ()
    on_enter: tuple[Step, ...] = ()
    limit_days: int | None = None
    """Business days without work by people before the card is behind; None: never."""
    limit_from: LimitFrom = LimitFrom.ENTERED
    contact_day: int | None = None
    """The contact (30, 60, 90) that is made in this stage."""
    gives_way_on_day: int | None = None
    """The day of use on which a contact still open, with no flag, is missed and the journey moves on."""
    ends: Ending | None = None
    by_hand_only: bool = False
    """Moves by themselves pass over it."""


@dataclass(frozen=True)
class Pipeline:
    id: int
    key: str
    stages: tuple[Stage, ...]

    @property
    def contact_days(self) -> tuple[int, ...]:
        return tuple(s.contact_day for s in self.stages if s.contact_day is not None)

    def after(self, position: int) -> Stage | None:
        """The stage that a move by itself leads to."""
        return next((s for s in self.stages[position + 1 :] if not s.by_hand_only), None)


class FollowUp(NamedTuple):
    """One of the 30/60/90-day contacts."""

    day: int
    due_on: date | None = None
    due_at: datetime | None = None
    sent_at: datetime | None = None
    settled_at: datetime | None = None
    missed_at: datetime | None = None
    converted_at: datetime | None = None
    """When it became a call because it could not be asked by mail."""

    @property
    def is_settled(self) -> bool:
        return self.settled_at is not None

    @property
    def is_asked(self) -> bool:
        return self.sent_at is not None or self.converted_at is not None

    @property
    def is_pending(self) -> bool:
        """Whether it still lies ahead: neither asked nor settled nor missed. Only pending contacts are dated anew."""
        return not (self.is_asked or self.is_settled or self.missed_at)

    def has_come(self, now: datetime) -> bool:
        """Whether its day is here, or it was asked for already."""
        return self.is_asked or self.missed_at is not None or (self.due_at is not None and self.due_at <= now)


@dataclass(frozen=True)
class Goal:
    day: int
    met_at: datetime | None


class Journey(NamedTuple):
    """All that the rules need to know of one journey, as of now."""

    id: int
    position: int
    status: Status
    visit: int
    """Sequence number of the stage visit under way."""
    opened_at: datetime
    entered_at: datetime
    moved_back: bool
    """Only evidence newer than `entered_at` moves it on: a person moved it back, or it repeats a pipeline just won."""
    zone: str
    owner_id: int | None
    plan_known: bool
    reachable: bool
    use_started_on: date | None = None
    analysed_at: datetime | None = None
    first_contact_at: datetime | None = None
    follow_ups: tuple[FollowUp, ...] = ()
    open_flags: int = 0
    promise_due_on: date | None = None
    """The earliest deadline among the pending issues that we owe."""
    goals: tuple[Goal, ...] = ()
    conversed_at: datetime | None = None
    """The last conversation that didn't end in a flag; known only where it was moved back, since only there it counts."""
    worked_at: datetime | None = None
    """When a person, either side, last did something."""
    held_until: datetime | None = None
    """End of a planned meeting: it holds the clock until it's due."""
    renews_on: date | None = None
    has_next: bool = False
    ended_at: datetime | None = None

    def follow_up(self, day: int) -> FollowUp:
        return next(f for f in self.follow_ups if f.day == day)


@dataclass(frozen=True)
class Move:
    """A decision: go to that stage, by this rule or person, on this evidence."""

    to: int
    by: str
    reason: str
    evidence: tuple[tuple[str, datetime], ...] = ()
    misses: int | None = None
    """Day of the contact that this move leaves behind as missed."""


# Effects: what storing a decision means. The shell writes each kind in one statement for a whole batch.


@dataclass(frozen=True)
class Moved:
    from_position: int
    to_position: int
    visit: int
    at: datetime
    by: str
    reason: str
    evidence: tuple[tuple[str, datetime], ...]


@dataclass(frozen=True)
class Missed:
    day: int
    at: datetime


@dataclass(frozen=True)
class Converted:
    """A contact that can't be asked by mail becomes a call."""

    day: int
    at: datetime
    why: str


@dataclass(frozen=True)
class UseStarted:
    on: date
    was: date | None
    by: str


@dataclass(frozen=True)
class Due:
    """Something to do when its time comes, once: (journey, key) is unique."""

    kind: str
    key: str
    due_at: datetime


@dataclass(frozen=True)
class NewActivity:
    kind: ActivityKind
    key: str
    due_at: datetime
    day: int = 0


@dataclass(frozen=True)
class Letter:
    kind: str
    key: str


@dataclass(frozen=True)
class Assign:
    pass


@dataclass(frozen=True)
class Ended:
    how: Ending
    at: datetime
    by: str = "system"
    reason: str = ""


@dataclass(frozen=True)
class OpenNext:
    pipeline: str


Effect = Moved | Missed | Converted | UseStarted | Due | NewActivity | Letter | Assign | Ended | OpenNext


def promise_is_broken(journey: Journey, now: datetime) -> bool:
    """Whether something we promised is past its deadline: nothing moves by itself meanwhile."""
    return journey.promise_due_on is not None and journey.promise_due_on < local_date(now, journey.zone)


def evidence(term: Term, journey: Journey, now: datetime, holidays: Container[date] = NO_HOLIDAYS) -> datetime | None:
    """Since when a condition holds; None while it doesn't."""
    match term.name:
        case Condition.DEMAND_ANALYSED:
            return journey.analysed_at
        case Condition.PLAN_KNOWN:
            return journey.opened_at if journey.plan_known else None
        case Condition.OWNER_ASSIGNED:
            return journey.opened_at if journey.owner_id is not None else None
        case Condition.REACHABLE:
            return journey.opened_at if journey.reachable else None
        case Condition.FIRST_CONTACT:
            return journey.first_contact_at
        case Condition.DAY_OF_USE:
            return _day_come(journey, term.number, now, holidays)
        case Condition.CONTACT_SETTLED:
            settled_at = journey.follow_up(term.number).settled_at
            return settled_at and max(settled_at, journey.conversed_at or settled_at)
        case Condition.ALL_CONTACTS_SETTLED:
            return _last_settled(journey)
        case Condition.GOALS_MET:
            goals = [g.met_at for g in journey.goals if g.day == term.number]
            met = [at for at in goals if at is not None]
            return None if len(met) < len(goals) else max(met, default=journey.opened_at)
        case Condition.RENEWAL_WITHIN:
            at = _renewal_nears(journey, term.number)
            return at if at is not None and at <= now else None
        case never:
            assert_never(never)


def _renewal_nears(journey: Journey, days: int) -> datetime | None:
    if journey.renews_on is None:
        return None
    return at_local(journey.renews_on - timedelta(days=days), MORNING, journey.zone)


def _day_come(journey: Journey, day: int, now: datetime, holidays: Container[date]) -> datetime | None:
    if journey.use_started_on is None:
        return None
    at = day_instant(journey.use_started_on, day, journey.zone, holidays)
    return at if at <= now else None


def _last_settled(journey: Journey) -> datetime | None:
    settled = [f.settled_at for f in journey.follow_ups if f.settled_at is not None]
    return max(settled) if settled and len(settled) == len(journey.follow_ups) else None


def next_move(
    pipeline: Pipeline, journey: Journey, now: datetime, holidays: Container[date] = NO_HOLIDAYS
) -> Move | None:
    """The one move the journey makes by itself now, or None. Ask again after each stored decision.

    Never while a flag is open (invariant 2) or while a promise of ours is past its deadline; one stage at a time. After
    a move back by hand only evidence newer than that move counts, else the rule would undo the person's decision.
    """
    stage = pipeline.stages[journey.position]
    following = pipeline.after(journey.position)
    if journey.status is not Status.OPEN or following is None or not stage.moves_on:
        return None
    if journey.open_flags or promise_is_broken(journey, now):
        return None
    proofs: list[tuple[str, datetime]] = []
    gave_way: FollowUp | None = None
    for term in stage.moves_on:
        proof = str(term), evidence(term, journey, now, holidays)
        if term.name is Condition.CONTACT_SETTLED and stage.gives_way_on_day is not None and _is_old(proof[1], journey):
            next_came = _day_come(journey, stage.gives_way_on_day, now, holidays)
            if next_came is not None:
                gave_way = journey.follow_up(term.number) if proof[1] is None else None
                proof = str(Term(Condition.DAY_OF_USE, stage.gives_way_on_day)), next_came
        if proof[1] is None:
            return None
        proofs.append((proof[0], proof[1]))
    if _is_old(max(at for _, at in proofs), journey):
        return None
    if gave_way is None:
        return Move(following.position, f"rule:{stage.moves_on[0]}", "", tuple(proofs))
    misses = gave_way.day if gave_way.missed_at is None else None
    return Move(following.position, f"rule:contact_missed:{gave_way.day}", "", tuple(proofs), misses)


def _is_old(at: datetime | None, journey: Journey) -> bool:
    """Whether evidence is missing, or older than the person's decision to move the journey back."""
    return at is None or (journey.moved_back and at <= journey.entered_at)


def approval_obstacle(journey: Journey) -> Refused | None:
    """Why the journey can't be approved yet (invariant 1), as a sentence; None if it can."""
    if journey.open_flags:
        return Refused(N_("There is an open flag. Settle it first, then approve the customer."))
    missing = [f.day for f in journey.follow_ups if not f.is_settled]
    if missing:
        days = ", ".join(str(d) for d in missing)
        return Refused(
            N_("These contacts are not settled yet: day %(days)s. Log the conversation, then approve the customer."),
            days=days,
        )
    return None


def move_by_hand(pipeline: Pipeline, journey: Journey, to: int, *, by: str, reason: str) -> Move:
    """A person's move, forward or back. Errors: Refused with the reason why not."""
    if to == journey.position and journey.status is not Status.LOST:
        raise Refused(N_("The customer is already in that stage."))
    if pipeline.stages[to].ends is Ending.WON and (obstacle := approval_obstacle(journey)):
        raise obstacle
    return Move(to, by, reason)


def apply(
    pipeline: Pipeline, journey: Journey, move: Move, now: datetime, holidays: Container[date] = NO_HOLIDAYS
) -> tuple[Journey, list[Effect]]:
    """The journey after the move, and all that storing the move means, in order."""
    effects: list[Effect] = []
    if move.misses is not None:
        journey = _with_follow_up(journey, journey.follow_up(move.misses)._replace(missed_at=now))
        effects.append(Missed(move.misses, now))
    by_hand = not move.by.startswith("rule:")
    came_from = journey.position
    taken_up = journey.status is not Status.OPEN
    moved_back = by_hand and (move.to < came_from or taken_up)
    effects.append(Moved(came_from, move.to, journey.visit + 1, now, move.by, move.reason, move.evidence))
    journey = journey._replace(
        position=move.to,
        visit=journey.visit + 1,
        entered_at=now,
        status=Status.OPEN,
        ended_at=None,
        moved_back=moved_back,
        conversed_at=None,
    )
    if moved_back:
        journey = _asked_again(pipeline.stages[move.to], journey)
    if taken_up:
        effects += _wakes(pipeline, journey, holidays)  # they were dropped when it was lost
    journey, entering = enter(pipeline, journey, now, holidays, by=move.by, reason=move.reason)
    passed_over = pipeline.stages[came_from + 1 : move.to] if by_hand else ()
    for step in (step for stage in passed_over for step in stage.on_enter if step.do is Do.SURVEY):
        entering += _survey(journey, step.day, now)  # a contact is not let off because a person skipped its stage
    return journey, effects + entering


def _asked_again(stage: Stage, journey: Journey) -> Journey:
    """Moving a customer back to a stage says that its work is to be done again: what it waits for once is forgotten."""
    waits_for = {term.name for term in stage.moves_on}
    if Condition.FIRST_CONTACT in waits_for:
        journey = journey._replace(first_contact_at=None)
    if Condition.DEMAND_ANALYSED in waits_for:
        journey = journey._replace(analysed_at=None)
    return journey


def enter(
    pipeline: Pipeline,
    journey: Journey,
    now: datetime,
    holidays: Container[date] = NO_HOLIDAYS,
    *,
    by: str = "system",
    reason: str = "",
) -> tuple[Journey, list[Effect]]:
    """What entering the current stage sets going. Keys name the visit for work, and the contact alone for mail to
    customers: a visit made again repeats the work, never the mail."""
    stage = pipeline.stages[journey.position]
    effects: list[Effect] = []
    for step in stage.on_enter:
        match step.do:
            case Do.ASSIGN_CONSULTANT:
                if journey.owner_id is None:
                    effects.append(Assign())
            case Do.ACTIVITY:
                effects.append(_activity(step, journey, now, holidays))
            case Do.ACTIVITY_UNLESS_CONTACT:
                if journey.first_contact_at is None:
                    due_at = business_days_after(now, step.after_days, journey.zone, holidays)
                    effects.append(Due(f"unless_contact:{step.what}", f"{step.what}@{journey.visit}", due_at))
            case Do.MAIL:
                effects.append(Letter(step.what, step.what))
            case Do.START_USE:
                if journey.use_started_on is None:
                    today = local_date(now, journey.zone)
                    journey, started = start_use(pipeline, journey, today, by="rule:start_use", holidays=holidays)
                    effects += started
            case Do.SURVEY:
                effects += _survey(journey, step.day, now)
            case Do.PROMPT_REFERRAL:
                effects.append(Due(f"referral_prompt:{step.what}", f"referral_prompt:{step.what}", now))
            case Do.OPEN_NEXT:
                if not journey.has_next:
                    effects.append(OpenNext(step.what))
                    journey = journey._replace(has_next=True)
            case never:
                assert_never(never)
    effects += renewal_wake(pipeline, journey)
    if stage.ends is not None:
        status = Status.WON if stage.ends is Ending.WON else Status.LOST
        journey = journey._replace(status=status, ended_at=now)
        effects.append(Ended(stage.ends, now, by, reason))
    return journey, effects


def _survey(journey: Journey, day: int, now: datetime) -> list[Effect]:
    contact = journey.follow_up(day)
    if contact.due_at is None or not contact.is_pending:
        return []
    return [Due(f"survey:{day}", f"survey:{day}", max(contact.due_at, now))]


def renewal_wake(pipeline: Pipeline, journey: Journey) -> list[Effect]:
    """The wake-up for the day when the renewal comes near, where the stage waits for it."""
    waits = [t.number for t in pipeline.stages[journey.position].moves_on if t.name is Condition.RENEWAL_WITHIN]
    at = _renewal_nears(journey, max(waits)) if waits else None
    return [Due("wake", "wake:renewal", at)] if at is not None else []


def _activity(step: Step, journey: Journey, now: datetime, holidays: Container[date]) -> NewActivity:
    kind = ActivityKind(step.what)
    if step.day and journey.use_started_on is not None:
        due_at = max(now, day_instant(journey.use_started_on, step.day, journey.zone, holidays))
    else:
        due_at = business_days_after(now, step.after_days, journey.zone, holidays)
    return NewActivity(kind, f"{kind}@{journey.visit}", due_at, step.day)


def start_use(
    pipeline: Pipeline, journey: Journey, on: date, *, by: str, holidays: Container[date] = NO_HOLIDAYS
) -> tuple[Journey, list[Effect]]:
    """Sets day 0, and with it every contact that is still to come; also the correction of a date set before.

    Contacts already asked, settled or missed are history and stay (invariant 8). Every day that the pipeline waits for
    gets its wake-up anew, for a stage may still wait for a day whose contact was made.
    """
    effects: list[Effect] = [UseStarted(on, journey.use_started_on, by)]
    follow_ups = tuple(
        f._replace(due_on=on + timedelta(days=f.day), due_at=day_instant(on, f.day, journey.zone, holidays))
        if f.is_pending
        else f
        for f in journey.follow_ups
    )
    journey = journey._replace(use_started_on=on, follow_ups=follow_ups)
    return journey, effects + _wakes(pipeline, journey, holidays) + meeting_offers(journey, holidays)


MEETING_OFFERS = (("kickoff", 0), ("day14", 14))
"""The meetings that a plan offers by itself, and on which day of use."""


def meeting_offers(journey: Journey, holidays: Container[date] = NO_HOLIDAYS) -> list[Effect]:
    """When the kick-off and the two-week check-in are offered: in the morning of their day."""
    started = journey.use_started_on
    if started is None:
        return []
    return [
        Due(f"meeting_offer:{what}", f"meeting_offer:{what}", day_instant(started, day, journey.zone, holidays))
        for what, day in MEETING_OFFERS
    ]


def _wakes(pipeline: Pipeline, journey: Journey, holidays: Container[date]) -> list[Effect]:
    started = journey.use_started_on
    if started is None:
        return []
    days = set(pipeline.contact_days) | {s.gives_way_on_day for s in pipeline.stages if s.gives_way_on_day is not None}
    days |= {t.number for s in pipeline.stages for t in s.moves_on if t.name is Condition.DAY_OF_USE}
    return [Due("wake", f"wake:{day}", day_instant(started, day, journey.zone, holidays)) for day in sorted(days)]


def conversions(journey: Journey, now: datetime) -> tuple[Journey, list[Effect]]:
    """Contacts whose day has come while a flag is open: a call instead of a cheerful survey in the middle of a dispute."""
    effects: list[Effect] = []
    if journey.open_flags and journey.status is Status.OPEN:
        for contact in journey.follow_ups:
            if contact.is_pending and contact.due_at is not None and contact.due_at <= now:
                journey, converted = convert(journey, contact.day, now, why="open_flag")
                effects += converted
    return journey, effects


def left_behind(
    pipeline: Pipeline, journey: Journey, now: datetime, holidays: Container[date] = NO_HOLIDAYS
) -> tuple[Journey, list[Effect]]:
    """Contacts of stages that a person moved the journey past, still open when the next contact's day comes: missed,
    as they would have been had the journey moved by itself. An open flag keeps them as they are."""
    effects: list[Effect] = []
    if journey.status is Status.OPEN and not journey.open_flags:
        for stage in pipeline.stages[: journey.position]:
            if stage.contact_day is None or stage.gives_way_on_day is None:
                continue
            contact = journey.follow_up(stage.contact_day)
            is_open = not contact.is_settled and contact.missed_at is None
            if is_open and _day_come(journey, stage.gives_way_on_day, now, holidays) is not None:
                journey = _with_follow_up(journey, contact._replace(missed_at=now))
                effects.append(Missed(contact.day, now))
    return journey, effects


def convert(journey: Journey, day: int, now: datetime, *, why: str) -> tuple[Journey, list[Effect]]:
    """Turns one contact into a call for the consultant, with the reason it could not be sent; also where its mail was on
    its way already, and then didn't leave."""
    journey = _with_follow_up(journey, journey.follow_up(day)._replace(sent_at=None, converted_at=now))
    return journey, [Converted(day, now, why), call_instead(day, now, why=why)]


def call_instead(day: int, now: datetime, *, why: str = "", person: int | None = None) -> NewActivity:
    """The call, or for who prefers that the WhatsApp message, that settles a contact which no survey can settle. `person`:
    the one of several whom it is about, where others got the survey."""
    kind = ActivityKind.ASK_BY_WHATSAPP if why == "prefers_whatsapp" else ActivityKind.CONTACT_BY_CALL
    key = f"contact_by_call:{day}"  # one a contact, whichever way
    return NewActivity(kind, key if person is None else f"{key}:contact:{person}", now, day)


def unsendable(journey: Journey, day: int, now: datetime) -> str | None:
    """Why the survey of that day must not go out as a mail now; None if it may.

    `ended`, `settled`, `missed`, `asked`: nothing is to be asked any more. `open_flag`, `late`, `too_soon` after another
    survey (the start of use was corrected): a call instead.
    """
    contact = journey.follow_up(day)
    if journey.status is not Status.OPEN:
        return "ended"
    if contact.is_settled:
        return "settled"
    if contact.missed_at is not None:
        return "missed"
    if contact.is_asked:
        return "asked"
    if journey.open_flags:
        return "open_flag"
    if contact.due_at is not None and now - contact.due_at > timedelta(days=LATE_CONTACT_DAYS):
        return "late"
    last = max((f.sent_at for f in journey.follow_ups if f.sent_at), default=None)
    return "too_soon" if last is not None and now - last < timedelta(days=DAYS_BETWEEN_SURVEYS) else None


def unremindable(
    journey: Journey, day: int, now: datetime, holidays: Container[date] = NO_HOLIDAYS, *, silent_from: datetime | None
) -> str | None:
    """Why the reminder of that day's survey must not go out now; None if it may. `late`: the call is due already.
    `silent_from`: from when on they could have answered (`silence.begins`)."""
    contact = journey.follow_up(day)
    if contact.sent_at is None or silent_from is None:
        return "not_asked"
    if journey.status is not Status.OPEN:
        return "ended"
    if contact.is_settled:
        return "settled"
    if contact.missed_at is not None:
        return "missed"
    if journey.open_flags:
        return "open_flag"
    return "late" if now >= call_at(silent_from, journey.zone, holidays) else None


def moot_first_call(journey: Journey, visit: int) -> str | None:
    """Why the call for want of a first contact, planned on that visit, is not needed any more; None if it still is."""
    if journey.status is not Status.OPEN:
        return "ended"
    if journey.first_contact_at is not None:
        return "sign_of_life"
    return "moved_on" if journey.visit != visit else None


def moot_call(journey: Journey, day: int) -> str | None:
    """Why the call after an unanswered survey is not needed any more; None if it still is."""
    contact = journey.follow_up(day)
    if journey.status is not Status.OPEN:
        return "ended"
    if contact.is_settled:
        return "settled"
    if contact.missed_at is not None:
        return "missed"
    return None


def settles(journey: Journey, now: datetime) -> tuple[int, ...]:
    """The contacts that a conversation held now settles: every one whose day has come and that is still open or missed."""
    return tuple(f.day for f in journey.follow_ups if not f.is_settled and f.has_come(now))


def limits(
    pipeline: Pipeline, journey: Journey, holidays: Container[date] = NO_HOLIDAYS
) -> tuple[datetime, datetime] | None:
    """When the card falls behind and when it is stuck; None where no limit runs.

    Business days in the customer's zone; only work done by people and a planned meeting move the start.
    """
    stage = pipeline.stages[journey.position]
    if journey.status is not Status.OPEN or stage.limit_days is None:
        return None
    start = journey.entered_at
    if stage.limit_from is LimitFrom.ASKED and stage.contact_day is not None:
        contact = journey.follow_up(stage.contact_day)
        asked = contact.sent_at or contact.converted_at
        if asked is None and not contact.is_settled:
            return None
        start = max(start, asked or start)
    start = max(start, journey.worked_at or start, journey.held_until or start)
    return (
        business_days_after(start, stage.limit_days, journey.zone, holidays),
        business_days_after(start, 2 * stage.limit_days, journey.zone, holidays),
    )


def pace(now: datetime, behind_at: datetime | None, stuck_at: datetime | None) -> Pace:
    """On track, behind or stuck; behind and stuck begin at their instant."""
    if stuck_at is not None and now >= stuck_at:
        return Pace.STUCK
    return Pace.BEHIND if behind_at is not None and now >= behind_at else Pace.ON_TRACK


def reminders(journey: Journey, day: int, sent_at: datetime, holidays: Container[date] = NO_HOLIDAYS) -> list[Effect]:
    """What follows a survey that went out: one reminder, then a call, unless there is a sign of life."""
    following = (("reminder", remind_at), ("call_no_answer", call_at))
    return [
        Due(f"{kind}:{day}", f"{kind}:{day}", moment(sent_at, journey.zone, holidays)) for kind, moment in following
    ]


def remind_at(silent_from: datetime, zone_name: str, holidays: Container[date] = NO_HOLIDAYS) -> datetime:
    """When somebody who could have answered from then on is reminded."""
    return business_days_after(silent_from, REMIND_AFTER_BUSINESS_DAYS, zone_name, holidays)


def call_at(silent_from: datetime, zone_name: str, holidays: Container[date] = NO_HOLIDAYS) -> datetime:
    """When the consultant is to call, had nobody answered from then on."""
    return business_days_after(silent_from, CALL_AFTER_BUSINESS_DAYS, zone_name, holidays)


def activities_by_day(pipeline: Pipeline) -> list[tuple[ActivityKind, int]]:
    """The activities that are due on a day of use: they move with its start."""
    steps = [step for stage in pipeline.stages for step in stage.on_enter]
    return [(ActivityKind(s.what), s.day) for s in steps if s.do is Do.ACTIVITY and s.day]


def act_by(opened_at: datetime, hours: float, zone_name: str, holidays: Container[date] = NO_HOLIDAYS) -> datetime:
    """When somebody must have acted on a flag: `hours` business hours (09:00–17:00) after it was opened."""
    left = timedelta(hours=hours)
    day = local_date(opened_at, zone_name)
    while True:
        day = next_business_day(day, holidays)
        opens = at_local(day, MORNING, zone_name)
        starts, closes = max(opens, opened_at), at_local(day, EVENING, zone_name)
        if starts < closes:
            if left <= closes - starts:
                return starts + left
            left -= closes - starts
        day += timedelta(days=1)


def business_time(
    since: datetime, until: datetime, zone_name: str, holidays: Container[date] = NO_HOLIDAYS
) -> timedelta:
    """How much business time (09:00–17:00) lies between two instants; none where the second isn't later."""
    passed = timedelta()
    day, last = local_date(since, zone_name), local_date(until, zone_name)
    # A case that nobody ever settles must not make a page slow: beyond a quarter the hours are not what matters.
    day = max(day, last - timedelta(days=92))
    while (day := next_business_day(day, holidays)) <= last:
        starts = max(since, at_local(day, MORNING, zone_name))
        ends = min(until, at_local(day, EVENING, zone_name))
        passed += max(ends - starts, timedelta())
        day += timedelta(days=1)
    return passed


def _with_follow_up(journey: Journey, contact: FollowUp) -> Journey:
    return journey._replace(follow_ups=tuple(contact if f.day == contact.day else f for f in journey.follow_ups))


def worked(journey: Journey, now: datetime) -> Journey:
    """The journey once a person did something for it."""
    return journey._replace(worked_at=now)


def was_sent(
    journey: Journey, day: int, at: datetime, holidays: Container[date] = NO_HOLIDAYS
) -> tuple[Journey, list[Effect]]:
    """The journey once the survey of that day went out, and what silence will lead to."""
    journey = _with_follow_up(journey, journey.follow_up(day)._replace(sent_at=at))
    return journey, reminders(journey, day, at, holidays)


def lose(journey: Journey, now: datetime, *, by: str, reason: str) -> tuple[Journey, list[Effect]]:
    """Ends a journey as lost where it stands; one that ended already stays as it ended."""
    if journey.status is not Status.OPEN:
        return journey, []
    return journey._replace(status=Status.LOST, ended_at=now), [Ended(Ending.LOST, now, by, reason)]


def position_on_day(pipeline: Pipeline, day: int) -> int:
    """Where a customer stands on that day of use: the stage of the last contact whose day has come, else the one before
    the first contact."""
    come = [s.position for s in pipeline.stages if s.contact_day is not None and s.contact_day <= day]
    if come:
        return come[-1]
    first = next((s.position for s in pipeline.stages if s.contact_day is not None), 1)
    return first - 1


def take_in(
    pipeline: Pipeline, journey: Journey, now: datetime, holidays: Container[date] = NO_HOLIDAYS
) -> tuple[Journey, list[Effect]]:
    """A customer taken in under way: contacts whose day lies behind are missed, the current stage's becomes a call, and
    nothing is mailed for the past. Contacts still to come are planned as usual."""
    current = pipeline.stages[journey.position].contact_day
    effects: list[Effect] = []
    for contact in journey.follow_ups:
        behind = contact.due_at is not None and contact.due_at <= now
        if contact.day == current and behind:
            effects.append(Converted(contact.day, now, "taken_in"))
            journey = _with_follow_up(journey, contact._replace(converted_at=now))
        elif behind or (current is not None and contact.day < current):
            effects.append(Missed(contact.day, now))
            journey = _with_follow_up(journey, contact._replace(missed_at=now))
    journey, entering = enter(pipeline, journey, now, holidays)
    effects += [e for e in entering if not isinstance(e, Letter)]
    due_at = business_days_after(now, 3, journey.zone, holidays)
    effects.append(NewActivity(ActivityKind.TAKE_OVER, f"{ActivityKind.TAKE_OVER}@{journey.visit}", due_at))
    return journey, effects
