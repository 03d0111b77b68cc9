"""What the API lists: accounts, journeys, flags, activities, each in the order of their ids, from one id on.

Every list is read from an index that is in this order already, so that neither the page nor the number of rows counts.
"""

from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, NamedTuple

from sqlalchemy import Select, and_, false, literal_column, select, union_all
from sqlalchemy.orm import Session, aliased

from portal.accounts.models import Account, Contact, Staff
from portal.accounts.rules import Channel, Language, normalised_email
from portal.journeys.models import Activity, Flag, JourneyRow, PipelineRow, Resolution, StageRow
from portal.journeys.rules import ActivityKind, FlagOrigin, FlagOutcome, Status


class ListedAccount(NamedTuple):
    """An account as the API tells of it."""

    id: int
    external_id: str
    name: str
    plan: str
    mrr_amount: Decimal
    mrr_currency: str
    sold_on: date | None
    renews_on: date | None
    interests: list[str]
    churned_on: date | None
    churn_reason: str
    created_at: datetime
    consultant_email: str | None


_ACCOUNTS = select(
    Account.id,
    Account.external_id,
    Account.name,
    Account.plan,
    Account.mrr_amount,
    Account.mrr_currency,
    Account.sold_on,
    Account.renews_on,
    Account.interests,
    Account.churned_on,
    Account.churn_reason,
    Account.created_at,
    Staff.email,
).outerjoin(Staff, Staff.id == Account.consultant_id)


def accounts(db: Session, *, after: int, limit: int) -> list[ListedAccount]:
    """Accounts from the one after that id."""
    query = _ACCOUNTS.where(Account.id > after).order_by(Account.id).limit(limit)
    return [ListedAccount._make(row) for row in db.execute(query)]


def account(db: Session, external_id: str) -> ListedAccount | None:
    """One account by the id that the CRM knows it by."""
    row = db.execute(_ACCOUNTS.where(Account.external_id == external_id)).first()
    return ListedAccount._make(row) if row is not None else None


class ListedContact(NamedTuple):
    account_id: int
    id: int
    name: str
    email: str | None
    phone: str
    channel: Channel
    language: Language
    timezone: str
    is_primary: bool


def contacts_of(db: Session, account_ids: Sequence[int]) -> list[ListedContact]:
    """The people of some accounts who are not disabled, in the order they came."""
    query = (
        select(
            Contact.account_id,
            Contact.id,
            Contact.name,
            Contact.email,
            Contact.phone,
            Contact.channel,
            Contact.language,
            Contact.timezone,
            Contact.is_primary,
        )
        .where(Contact.account_id.in_(account_ids), Contact.disabled_at.is_(None))
        .order_by(Contact.account_id, Contact.id)
    )
    return [ListedContact._make(row) for row in db.execute(query)]


class ListedJourney(NamedTuple):
    """A journey as the API tells of it."""

    id: int
    account_id: int
    account_external_id: str
    account_name: str
    pipeline: str
    stage: str
    status: Status
    open_flags: int
    consultant_email: str | None
    use_started_on: date | None
    opened_at: datetime
    entered_at: datetime
    ended_at: datetime | None
    previous_journey_id: int | None
    next_journey_id: int | None


_NONE: Any = literal_column("0")
"""Not a parameter: the index of the flagged ones is only for who asks in its own words."""
_Next = aliased(JourneyRow)
_JOURNEYS = (
    select(
        JourneyRow.id,
        JourneyRow.account_id,
        Account.external_id,
        Account.name,
        JourneyRow.pipeline_key,
        StageRow.key,
        JourneyRow.status,
        JourneyRow.open_flags,
        Staff.email,
        JourneyRow.use_started_on,
        JourneyRow.opened_at,
        JourneyRow.entered_at,
        JourneyRow.ended_at,
        JourneyRow.previous_journey_id,
        _Next.id,
    )
    .join(Account, Account.id == JourneyRow.account_id)
    .join(StageRow, StageRow.id == JourneyRow.stage_id)
    .outerjoin(Staff, Staff.id == JourneyRow.owner_id)
    .outerjoin(_Next, _Next.previous_journey_id == JourneyRow.id)
    .order_by(JourneyRow.id)
)


def journeys(
    db: Session,
    *,
    after: int,
    limit: int,
    pipeline: str | None = None,
    stage: str | None = None,
    flagged: bool | None = None,
    consultant: str | None = None,
    account_external_id: str | None = None,
) -> list[ListedJourney]:
    """Journeys from the one after that id. `consultant`: an e-mail address."""
    wanted: list[Any] = [JourneyRow.id > after]
    if pipeline is not None:
        wanted.append(JourneyRow.pipeline_key == pipeline)
    if flagged is not None:
        wanted.append(JourneyRow.open_flags > _NONE if flagged else JourneyRow.open_flags == 0)
    if consultant is not None:
        owner = db.scalar(select(Staff.id).where(Staff.email == normalised_email(consultant)))
        wanted.append(JourneyRow.owner_id == owner if owner is not None else false())
    if account_external_id is not None:
        of = db.scalar(select(Account.id).where(Account.external_id == account_external_id))
        wanted.append(JourneyRow.account_id == of if of is not None else false())
    some = select(JourneyRow.id).where(*wanted).order_by(JourneyRow.id).limit(limit)
    if stage is None:
        return _journeys(db, _JOURNEYS.where(JourneyRow.id.in_(some)))
    stages = select(StageRow.id).join(PipelineRow, PipelineRow.id == StageRow.pipeline_id).where(StageRow.key == stage)
    if pipeline is not None:
        stages = stages.where(PipelineRow.key == pipeline)
    ids = db.scalars(stages).all()
    if not ids:
        return []
    # A stage has a row in each version of its pipeline: the first of each, read in order, hold the first of all.
    firsts = union_all(*(select(some.where(JourneyRow.stage_id == stage_id).subquery().c.id) for stage_id in ids))
    return _journeys(db, _JOURNEYS.where(JourneyRow.id.in_(firsts)).limit(limit))


def _journeys(db: Session, query: Select[*tuple[Any, ...]]) -> list[ListedJourney]:
    return [ListedJourney._make(row) for row in db.execute(query)]


def journey(db: Session, journey_id: int) -> ListedJourney | None:
    """One journey."""
    return next(iter(_journeys(db, _JOURNEYS.where(JourneyRow.id == journey_id))), None)


def journeys_of(db: Session, account_ids: Sequence[int]) -> list[ListedJourney]:
    """The journeys of some accounts, oldest first."""
    return _journeys(db, _JOURNEYS.where(JourneyRow.account_id.in_(account_ids)))


def stages_of_pipeline(db: Session, key: str) -> dict[str, bool]:
    """The stages of a pipeline's newest version in order, and whether a journey ends there."""
    newest = select(PipelineRow.id).where(PipelineRow.key == key).order_by(PipelineRow.version.desc()).limit(1)
    rows = db.execute(
        select(StageRow.key, StageRow.ends)
        .where(StageRow.pipeline_id == newest.scalar_subquery())
        .order_by(StageRow.position)
    )
    return {stage: ends is not None for stage, ends in rows}


def stages_of_journey(db: Session, journey_id: int) -> list[str]:
    """The stages of a journey's own pipeline, in order; none for a journey that isn't there."""
    of = select(JourneyRow.pipeline_id).where(JourneyRow.id == journey_id).scalar_subquery()
    return list(db.scalars(select(StageRow.key).where(StageRow.pipeline_id == of).order_by(StageRow.position)))


class FlagState(StrEnum):
    """What a flag is: open, or how it ended."""

    OPEN = "open"
    RESOLVED = "resolved"
    ACCEPTED_RISK = "accepted_risk"
    LOST = "lost"


class ListedFlag(NamedTuple):
    """A case as the API tells of it."""

    id: int
    journey_id: int
    account_external_id: str
    contact_email: str | None
    assignee_email: str | None
    origin: FlagOrigin
    day: int | None
    stage: str
    words: str
    scores: dict[str, Any]
    opened_at: datetime
    opened_by: str
    act_by: datetime
    acted_at: datetime | None
    closed_at: datetime | None
    outcome: FlagOutcome | None
    note: str | None
    resolved_by: str | None
    confirmed_at: datetime | None

    @property
    def state(self) -> FlagState:
        return FlagState(self.outcome) if self.closed_at is not None and self.outcome is not None else FlagState.OPEN


_FLAGS = (
    select(
        Flag.id,
        Flag.journey_id,
        Account.external_id,
        Contact.email,
        Staff.email,
        Flag.origin,
        Flag.day,
        StageRow.key,
        Flag.words,
        Flag.scores,
        Flag.opened_at,
        Flag.opened_by,
        Flag.act_by,
        Flag.acted_at,
        Flag.closed_at,
        Resolution.outcome,
        Resolution.note,
        Resolution.by,
        Resolution.confirmed_at,
    )
    .join(Account, Account.id == Flag.account_id)
    .join(StageRow, StageRow.id == Flag.stage_id)
    .outerjoin(Contact, Contact.id == Flag.contact_id)
    .outerjoin(Staff, Staff.id == Flag.assignee_id)
    .outerjoin(Resolution, and_(Resolution.flag_id == Flag.id, Resolution.undone_at.is_(None)))
    .order_by(Flag.id)
)


def flags(
    db: Session, *, after: int, limit: int, state: FlagState | None = None, journey_id: int | None = None
) -> list[ListedFlag]:
    """Cases from the one after that id."""
    some: Select[int]
    if state is None or state is FlagState.OPEN:
        some = select(Flag.id).where(Flag.id > after, *([Flag.closed_at.is_(None)] if state else []))
        column: Any = Flag.id
    else:
        some = select(Resolution.flag_id).where(
            Resolution.flag_id > after, Resolution.undone_at.is_(None), Resolution.outcome == FlagOutcome(state)
        )
        column = Resolution.flag_id
    if journey_id is not None:
        of_journey = select(Flag.id).where(Flag.journey_id == journey_id)
        some = some.where(Flag.journey_id == journey_id if column is Flag.id else column.in_(of_journey))
    query = _FLAGS.where(Flag.id.in_(some.order_by(column).limit(limit)))
    return [ListedFlag._make(row) for row in db.execute(query)]


def flag(db: Session, flag_id: int) -> ListedFlag | None:
    """One case."""
    row = db.execute(_FLAGS.where(Flag.id == flag_id)).first()
    return ListedFlag._make(row) if row is not None else None


class ActivityState(StrEnum):
    OPEN = "open"
    DONE = "done"


class ListedActivity(NamedTuple):
    """Something a consultant is to do, or did."""

    id: int
    journey_id: int
    account_external_id: str
    kind: ActivityKind
    title: str
    day: int
    assignee_email: str | None
    due_at: datetime
    created_at: datetime
    created_by: str
    done_at: datetime | None
    done_by: str
    note: str

    @property
    def state(self) -> ActivityState:
        return ActivityState.DONE if self.done_at is not None else ActivityState.OPEN


_ACTIVITIES = (
    select(
        Activity.id,
        Activity.journey_id,
        Account.external_id,
        Activity.kind,
        Activity.title,
        Activity.day,
        Staff.email,
        Activity.due_at,
        Activity.created_at,
        Activity.created_by,
        Activity.done_at,
        Activity.done_by,
        Activity.note,
    )
    .join(JourneyRow, JourneyRow.id == Activity.journey_id)
    .join(Account, Account.id == JourneyRow.account_id)
    .outerjoin(Staff, Staff.id == Activity.assignee_id)
    .order_by(Activity.id)
)


def activities(
    db: Session, *, after: int, limit: int, state: ActivityState | None = None, journey_id: int | None = None
) -> list[ListedActivity]:
    """Activities from the one after that id."""
    some = select(Activity.id).where(Activity.id > after)
    if state is not None:
        some = some.where(Activity.done_at.is_(None) if state is ActivityState.OPEN else Activity.done_at.is_not(None))
    if journey_id is not None:
        some = some.where(Activity.journey_id == journey_id)
    query = _ACTIVITIES.where(Activity.id.in_(some.order_by(Activity.id).limit(limit)))
    return [ListedActivity._make(row) for row in db.execute(query)]


def activity(db: Session, activity_id: int) -> ListedActivity | None:
    """One activity."""
    row = db.execute(_ACTIVITIES.where(Activity.id == activity_id)).first()
    return ListedActivity._make(row) if row is not None else None


def activities_of(db: Session, journey_id: int) -> list[ListedActivity]:
    """All of a journey, in the order they were given."""
    rows = db.execute(_ACTIVITIES.where(Activity.journey_id == journey_id))
    return [ListedActivity._make(row) for row in rows]


def contact_id_of(db: Session, *, journey_id: int, email: str) -> int | None:
    """The person with that address at the journey's account."""
    return db.scalar(
        select(Contact.id)
        .join(JourneyRow, JourneyRow.account_id == Contact.account_id)
        .where(JourneyRow.id == journey_id, Contact.email == normalised_email(email))
    )


def staff_id_of(db: Session, email: str) -> int | None:
    """The member of staff with that address, unless disabled."""
    return db.scalar(select(Staff.id).where(Staff.email == normalised_email(email), Staff.disabled_at.is_(None)))
