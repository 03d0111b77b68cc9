"""What customers see of their journey. Module-level statements, rows into tuples; always through the person who asks."""

from collections.abc import Sequence
from datetime import date, datetime
from enum import StrEnum
from typing import Any, NamedTuple

from sqlalchemy import (
    CompoundSelect,
    String,
    bindparam,
    case,
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
from portal.db import rows_of
from portal.journeys.models import (
    Flag,
    GoalRow,
    JourneyRow,
    Milestone,
    PendingIssue,
    Resolution,
    StageRow,
    Touchpoint,
    Visit,
)
from portal.journeys.plans import MilestoneLine, PathStep, StageWords, TouchpointLine, ahead, next_step, path
from portal.journeys.rules import FlagOutcome, Status, Whose
from portal.journeys.shipped import AFTER_SALE
from portal.words import LOCALES

_WORDS: dict[Any, tuple[StageWords, ...]] = {}


def stage_words(db: Session, pipeline_id: int, locale: str) -> tuple[StageWords, ...]:
    """The stages of a pipeline in the reader's language, in order; kept in memory, since a version never changes."""
    key = (db.get_bind().engine.url, pipeline_id, locale)
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
    id: int
    day: int
    title: str
    measure: str
    met_on: date | None


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
    next_step: MilestoneLine | None
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


def _lines(part: _Part, row: Any, key: Any, title: Any, more: Any, which: Any, place: Any, due_on: Any, at: Any) -> Any:
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
    ).where(row.journey_id == bindparam("journey_id"))


def _plan_statement(pt: bool) -> CompoundSelect[*tuple[Any, ...]]:
    """The whole plan in one round trip: four kinds of lines under each other."""
    m, t, g, i = Milestone, Touchpoint, GoalRow, PendingIssue
    nothing = literal("", String)
    milestones = _lines(
        _Part.MILESTONE,
        m,
        m.key,
        m.title_pt if pt else m.title_en,
        m.help_pt if pt else m.help_en,
        m.whose,
        m.position,
        m.due_on,
        m.done_at,
    )
    touchpoints = _lines(
        _Part.TOUCHPOINT,
        t,
        t.key,
        t.title_pt if pt else t.title_en,
        t.objective_pt if pt else t.objective_en,
        t.channel,
        t.position,
        t.due_on,
        t.done_at,
    )
    goals = _lines(_Part.GOAL, g, nothing, g.title, g.measure, nothing, g.day, null(), g.met_at)
    issues = _lines(_Part.ISSUE, i, nothing, i.problem, i.solution, i.whose, literal(0), i.due_on, i.solved_at)
    lines = union_all(milestones, touchpoints, goals.where(g.dropped_at.is_(None)), issues)
    return lines.order_by("place", "id")


_PLAN = {locale: _plan_statement(locale == "pt-BR") for locale in LOCALES}


def plan_of(db: Session, journey_id: int, *, locale: str, zone: str, now: datetime) -> Plan:
    """Milestones, touchpoints, goals and pending issues, with the next step picked by rule. One statement."""
    milestones: list[MilestoneLine] = []
    touchpoints: list[TouchpointLine] = []
    goals: list[GoalLine] = []
    issues: list[IssueLine] = []
    for part, row_id, key, title, more, which, place, due_on, at in rows_of(
        db, _PLAN[locale], {"journey_id": journey_id}
    ):
        on = local_date(at, zone) if at is not None else None
        match part:
            case _Part.MILESTONE:
                milestones.append(MilestoneLine(row_id, key, title, more, Whose(which), due_on, on))
            case _Part.TOUCHPOINT:
                if on is None and due_on is not None:  # the day we really write or call, not the Saturday it falls on
                    due_on = next_business_day(due_on)
                touchpoints.append(TouchpointLine(key, title, more, which, due_on, on))
            case _Part.GOAL:
                goals.append(GoalLine(row_id, place, title, more, on))
            case _Part.ISSUE:
                issues.append(IssueLine(row_id, title, more, Whose(which), due_on, on))
    coming = ahead(touchpoints, local_date(now, zone))
    return Plan(
        tuple(milestones),
        tuple(touchpoints),
        tuple(goals),
        tuple(sorted(issues, key=_by_deadline)),
        next_step(milestones),
        coming,
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
