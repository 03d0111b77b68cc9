"""What customers see of their journey. Module-level statements, rows into tuples; always through the person who asks."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any, NamedTuple

from sqlalchemy import (
    CompoundSelect,
    Date,
    Numeric,
    String,
    bindparam,
    case,
    cast,
    func,
    literal,
    null,
    select,
    type_coerce,
    union_all,
)
from sqlalchemy.orm import Session

from portal.accounts.models import Account, Contact, Staff
from portal.clock import local_date, next_business_day
from portal.db import place_of, rows_of
from portal.journeys.models import (
    Flag,
    GoalRow,
    JourneyRow,
    Milestone,
    PendingIssue,
    Resolution,
    StageRow,
    StuckNote,
    Touchpoint,
    Visit,
)
from portal.journeys.plans import (
    MilestoneLine,
    NextStep,
    PathStep,
    StageWords,
    StuckLine,
    TouchpointLine,
    ahead,
    next_step,
    path,
    percent_reached,
    waiting,
)
from portal.journeys.rules import FlagOutcome, Status, Whose
from portal.journeys.shipped import AFTER_SALE
from portal.words import LOCALES

_WORDS: dict[Any, tuple[StageWords, ...]] = {}


def stage_words(db: Session, pipeline_id: int, locale: str) -> tuple[StageWords, ...]:
    """The stages of a pipeline in the reader's language, in order; kept in memory, since a version never changes."""
    key = (place_of(db), pipeline_id, locale)
    if key not in _WORDS:
        rows = db.scalars(select(StageRow).where(StageRow.pipeline_id == pipeline_id).order_by(StageRow.position)).all()
        pt = locale == "pt-BR"
        _WORDS[key] = tuple(
            StageWords(
                r.key,
                r.name_pt if pt else r.name_en,
                r.customer_name_pt if pt else r.customer_name_en,
                r.customer_text_pt if pt else r.customer_text_en,
                r.contact_day,
                r.ends is not None,
            )
            for r in rows
        )
    return _WORDS[key]


class ConsultantCard(NamedTuple):
    """The consultant with every way to reach them."""

    id: int
    name: str
    email: str
    phone: str
    whatsapp: str
    meeting_url: str
    portrait: str = ""


class CustomerJourney(NamedTuple):
    """A customer's own journey, as their pages show it."""

    id: int
    account_id: int
    account_name: str
    pipeline_id: int
    stage: StageWords
    position: int
    status: Status
    opened_at: datetime
    zone: str
    use_started_on: date | None
    day_of_use: int | None
    path: tuple[PathStep, ...]
    consultant: ConsultantCard | None
    version: int


_JOURNEY = (
    select(
        JourneyRow.id,
        JourneyRow.account_id,
        Account.name,
        JourneyRow.pipeline_id,
        JourneyRow.position,
        JourneyRow.status,
        JourneyRow.opened_at,
        JourneyRow.zone,
        JourneyRow.use_started_on,
        JourneyRow.version,
        Staff.id,
        Staff.name,
        Staff.email,
        Staff.phone,
        Staff.whatsapp,
        Staff.meeting_url,
        Staff.portrait,
    )
    .select_from(JourneyRow)
    .join(Account, Account.id == JourneyRow.account_id)
    .outerjoin(Staff, Staff.id == func.coalesce(JourneyRow.owner_id, Account.consultant_id))
    .where(JourneyRow.account_id == bindparam("account_id"), JourneyRow.pipeline_key == AFTER_SALE)
    .order_by(case((JourneyRow.status == Status.OPEN, 0), else_=1), JourneyRow.id.desc())
    .limit(1)
)
_REACHED = (
    select(StageRow.key, func.min(Visit.entered_at))
    .join(StageRow, StageRow.id == Visit.stage_id)
    .where(Visit.journey_id == bindparam("journey_id"))
    .group_by(StageRow.key)
)


def customer_journey(db: Session, account_id: int, *, locale: str, now: datetime) -> CustomerJourney | None:
    """The account's After-sale journey (the open one, else the last), with its path; None if there is none."""
    found = rows_of(db, _JOURNEY, {"account_id": account_id})
    if not found:
        return None
    journey_id, _, account_name, pipeline_id, position, status, opened_at, zone, started, version, *staff = found[0]
    stages = stage_words(db, pipeline_id, locale)
    reached = {key: local_date(at, zone) for key, at in rows_of(db, _REACHED, {"journey_id": journey_id})}
    return CustomerJourney(
        id=journey_id,
        account_id=account_id,
        account_name=account_name,
        pipeline_id=pipeline_id,
        stage=stages[position],
        position=position,
        status=status,
        opened_at=opened_at,
        zone=zone,
        use_started_on=started,
        day_of_use=(local_date(now, zone) - started).days if started is not None else None,
        path=path(stages, position, reached, started, won=status is Status.WON),
        consultant=ConsultantCard._make(staff) if staff[0] is not None else None,
        version=version,
    )


class GoalLine(NamedTuple):
    """A goal; `target` and what belongs to it are there where it can be put in numbers. `due_on`: its day, once use began."""

    id: int
    day: int
    title: str
    measure: str
    met_on: date | None
    unit: str
    starts: Decimal | None
    target: Decimal | None
    reached: Decimal | None
    due_on: date | None

    @property
    def percent(self) -> int | None:
        if self.starts is None or self.target is None:
            return None
        return percent_reached(self.starts, self.target, self.starts if self.reached is None else self.reached)


class IssueLine(NamedTuple):
    id: int
    problem: str
    solution: str
    whose: Whose
    due_on: date
    solved_on: date | None


class Plan(NamedTuple):
    """The written plan of a journey: the same for both sides."""

    milestones: tuple[MilestoneLine, ...]
    touchpoints: tuple[TouchpointLine, ...]
    goals: tuple[GoalLine, ...]
    issues: tuple[IssueLine, ...]
    next_step: NextStep | None
    ahead: tuple[TouchpointLine, ...]

    @property
    def done(self) -> int:
        return sum(m.is_done for m in self.milestones)


class _Part(StrEnum):
    """What a line of the plan's statement is."""

    MILESTONE = "milestone"
    TOUCHPOINT = "touchpoint"
    GOAL = "goal"
    ISSUE = "issue"
    STUCK = "stuck"


_NO_NUMBER = cast(null(), Numeric(14, 2))
_NO_DATE = cast(null(), Date())
_NOTHING = literal("", String)


def _lines(
    part: _Part,
    row: Any,
    *,
    title: Any,
    place: Any,
    at: Any,
    key: Any = _NOTHING,
    more: Any = _NOTHING,
    which: Any = _NOTHING,
    due_on: Any = _NO_DATE,
    tag: Any = _NOTHING,
    needs: Any = _NOTHING,
    numbers: tuple[Any, Any, Any] = (_NO_NUMBER, _NO_NUMBER, _NO_NUMBER),
) -> Any:
    """One kind of line, in the columns that all kinds share."""
    return select(
        literal(part.value).label("part"),
        row.id.label("id"),
        key.label("key"),
        title.label("title"),
        more.label("more"),
        type_coerce(which, String).label("which"),
        place.label("place"),
        due_on.label("due_on"),
        at.label("at"),
        tag.label("tag"),
        needs.label("needs"),
        *(number.label(f"number_{n}") for n, number in enumerate(numbers)),
    ).where(row.journey_id == bindparam("journey_id"))


def _plan_statement(pt: bool) -> CompoundSelect[*tuple[Any, ...]]:
    """The whole plan in one round trip: its kinds of lines under each other."""
    m, t, g, i, s = Milestone, Touchpoint, GoalRow, PendingIssue, StuckNote
    milestones = _lines(
        _Part.MILESTONE,
        m,
        key=m.key,
        title=m.title_pt if pt else m.title_en,
        more=m.help_pt if pt else m.help_en,
        which=m.whose,
        place=m.position,
        due_on=m.due_on,
        at=m.done_at,
        tag=m.stage_key,
        needs=m.needs,
    )
    touchpoints = _lines(
        _Part.TOUCHPOINT,
        t,
        key=t.key,
        title=t.title_pt if pt else t.title_en,
        more=t.objective_pt if pt else t.objective_en,
        which=t.channel,
        place=t.position,
        due_on=t.due_on,
        at=t.done_at,
    )
    goals = _lines(
        _Part.GOAL,
        g,
        title=g.title,
        more=g.measure,
        place=g.day,
        at=g.met_at,
        tag=g.unit,
        numbers=(g.starts, g.target, g.reached),
    )
    issues = _lines(
        _Part.ISSUE,
        i,
        title=i.problem,
        more=i.solution,
        which=i.whose,
        place=literal(0),
        due_on=i.due_on,
        at=i.solved_at,
    )
    stuck = _lines(_Part.STUCK, s, title=s.words, place=s.milestone_id, at=s.at)
    lines = union_all(
        milestones, touchpoints, goals.where(g.dropped_at.is_(None)), issues, stuck.where(s.settled_at.is_(None))
    )
    return lines.order_by("place", "id")


_PLAN = {locale: _plan_statement(locale == "pt-BR") for locale in LOCALES}


def plan_of(
    db: Session, journey_id: int, *, locale: str, zone: str, now: datetime, use_started_on: date | None = None
) -> Plan:
    """Milestones, touchpoints, goals and pending issues, with the next step picked by rule. One statement.

    `use_started_on` dates the goals, where a page shows their dates.
    """
    milestones: list[MilestoneLine] = []
    touchpoints: list[TouchpointLine] = []
    goals: list[GoalLine] = []
    issues: list[IssueLine] = []
    stuck: dict[int, StuckLine] = {}
    for part, row_id, key, title, more, which, place, due_on, at, tag, needs, *numbers in rows_of(
        db, _PLAN[locale], {"journey_id": journey_id}
    ):
        on = local_date(at, zone) if at is not None else None
        match part:
            case _Part.MILESTONE:
                whose, first = Whose(which), tuple(needs.split())
                milestones.append(MilestoneLine(row_id, key, title, more, whose, due_on, on, tag, first))
            case _Part.TOUCHPOINT:
                if on is None and due_on is not None:  # the day we really write or call, not the Saturday it falls on
                    due_on = next_business_day(due_on)
                touchpoints.append(TouchpointLine(row_id, key, title, more, which, due_on, on))
            case _Part.GOAL:
                day = use_started_on + timedelta(days=place) if use_started_on is not None else None
                starts, target, reached = numbers
                goals.append(GoalLine(row_id, place, title, more, on, tag, starts, target, reached, day))
            case _Part.ISSUE:
                issues.append(IssueLine(row_id, title, more, Whose(which), due_on, on))
            case _Part.STUCK:
                stuck[place] = StuckLine(row_id, title, local_date(at, zone))
    today = local_date(now, zone)
    lines = waiting([m._replace(stuck=stuck[m.id]) if m.id in stuck else m for m in milestones])
    return Plan(
        lines,
        tuple(touchpoints),
        tuple(goals),
        tuple(sorted(issues, key=_by_deadline)),
        next_step(lines, today),
        ahead(touchpoints, today),
    )


def _by_deadline(issue: IssueLine) -> tuple[date, int]:
    return issue.due_on, issue.id


class ToldUs(NamedTuple):
    """A flag in the customer's words: what you told us, what we did, is it true?"""

    flag_id: int
    words: str
    opened_at: datetime
    resolution_id: int | None
    done: str
    closed_at: datetime | None
    confirmed_at: datetime | None


_TOLD_US = (
    select(
        Flag.id,
        Flag.words,
        Flag.opened_at,
        Resolution.id,
        func.coalesce(Resolution.note, ""),
        Flag.closed_at,
        Resolution.confirmed_at,
    )
    .outerjoin(
        Resolution,
        (Resolution.flag_id == Flag.id) & Resolution.undone_at.is_(None) & (Resolution.outcome == FlagOutcome.RESOLVED),
    )
    .where(Flag.contact_id == bindparam("contact_id"))
    .order_by(Flag.id.desc())
    .limit(20)
)


def told_us(db: Session, contact_id: int) -> tuple[ToldUs, ...]:
    """What this person told us was wrong, newest first, and what became of it."""
    return tuple(ToldUs._make(row) for row in db.execute(_TOLD_US, {"contact_id": contact_id}))


def colleagues(db: Session, account_id: int) -> Sequence[Any]:
    """The people at an account: id, name, email, phone, language, is_primary."""
    return db.execute(
        select(Contact.id, Contact.name, Contact.email, Contact.phone, Contact.language, Contact.is_primary)
        .where(Contact.account_id == account_id, Contact.disabled_at.is_(None))
        .order_by(Contact.is_primary.desc(), Contact.name)
    ).all()
