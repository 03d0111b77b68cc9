"""What customers see of their journey. Module-level statements, rows into tuples; always through the person who asks."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any, NamedTuple

from sqlalchemy import bindparam, case, func, select
from sqlalchemy.orm import Session

from portal.accounts.models import Account, Contact, Staff
from portal.clock import local_date
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
    row = db.execute(_JOURNEY, {"account_id": account_id}).first()
    if row is None:
        return None
    journey_id, _, account_name, pipeline_id, position, status, opened_at, zone, started, version, *staff = row
    stages = stage_words(db, pipeline_id, locale)
    reached = {key: local_date(at, zone) for key, at in db.execute(_REACHED, {"journey_id": journey_id})}
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


_MILESTONES = (
    select(
        Milestone.id,
        Milestone.key,
        Milestone.title_en,
        Milestone.title_pt,
        Milestone.help_en,
        Milestone.help_pt,
        Milestone.whose,
        Milestone.due_on,
        Milestone.done_at,
    )
    .where(Milestone.journey_id == bindparam("journey_id"))
    .order_by(Milestone.position, Milestone.id)
)
_TOUCHPOINTS = (
    select(
        Touchpoint.key,
        Touchpoint.title_en,
        Touchpoint.title_pt,
        Touchpoint.objective_en,
        Touchpoint.objective_pt,
        Touchpoint.channel,
        Touchpoint.due_on,
        Touchpoint.done_at,
    )
    .where(Touchpoint.journey_id == bindparam("journey_id"))
    .order_by(Touchpoint.position)
)
_GOALS = (
    select(GoalRow.id, GoalRow.day, GoalRow.title, GoalRow.measure, GoalRow.met_at)
    .where(GoalRow.journey_id == bindparam("journey_id"), GoalRow.dropped_at.is_(None))
    .order_by(GoalRow.day, GoalRow.id)
)
_ISSUES = (
    select(
        PendingIssue.id,
        PendingIssue.problem,
        PendingIssue.solution,
        PendingIssue.whose,
        PendingIssue.due_on,
        PendingIssue.solved_at,
    )
    .where(PendingIssue.journey_id == bindparam("journey_id"))
    .order_by(PendingIssue.due_on, PendingIssue.id)
)


def plan_of(db: Session, journey_id: int, *, locale: str, zone: str, now: datetime) -> Plan:
    """Milestones, touchpoints, goals and pending issues, with the next step picked by rule. Four statements."""
    pt, this = locale == "pt-BR", {"journey_id": journey_id}
    milestones = tuple(
        MilestoneLine(i, key, t_pt if pt else t_en, h_pt if pt else h_en, whose, due, _date(done, zone))
        for i, key, t_en, t_pt, h_en, h_pt, whose, due, done in db.execute(_MILESTONES, this)
    )
    touchpoints = tuple(
        TouchpointLine(key, t_pt if pt else t_en, o_pt if pt else o_en, channel, due, _date(done, zone))
        for key, t_en, t_pt, o_en, o_pt, channel, due, done in db.execute(_TOUCHPOINTS, this)
    )
    goals = tuple(GoalLine(i, d, t, m, _date(met, zone)) for i, d, t, m, met in db.execute(_GOALS, this))
    issues = tuple(IssueLine(i, p, s, w, d, _date(at, zone)) for i, p, s, w, d, at in db.execute(_ISSUES, this))
    today = local_date(now, zone)
    return Plan(milestones, touchpoints, goals, issues, next_step(milestones), ahead(touchpoints, today))


def _date(at: datetime | None, zone: str) -> date | None:
    return local_date(at, zone) if at is not None else None


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
