"""What staff see of journeys: the board, one customer, the day's activities, the inbox of flags, the timeline.

Costs don't grow with the number of journeys: columns are read in index order with a limit, counts come from the tallies.
"""

from collections.abc import Collection, Sequence
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, NamedTuple, TypeVar

from sqlalchemy import ColumnElement, Select, and_, bindparam, func, or_, select
from sqlalchemy.orm import Session, aliased

from portal.accounts.models import Account, Contact, Staff
from portal.accounts.rules import Role, folded
from portal.audit import AuditEvent, Happened
from portal.clock import local_date
from portal.db import rows_of
from portal.errors import NotFound
from portal.journeys.conduct import current_pipeline_id
from portal.journeys.models import (
    Activity,
    CaseReason,
    Conversation,
    Flag,
    FollowUpRow,
    GoalRow,
    JourneyRow,
    Milestone,
    PendingIssue,
    Resolution,
    StageRow,
    StageTally,
    Touchpoint,
    Visit,
)
from portal.journeys.plans import StageWords, percent_reached
from portal.journeys.queries import stage_words
from portal.journeys.rules import (
    ActivityKind,
    FlagOrigin,
    FlagOutcome,
    Outcome,
    Pace,
    SettledBy,
    Status,
    Whose,
    pace,
)
from portal.journeys.shipped import AFTER_SALE
from portal.mail import LetterRow, Outgoing, outgoing

CARDS = 25
"""Cards a column shows at first."""


class Card(NamedTuple):
    """A journey on the board."""

    journey_id: int
    account_id: int
    account_name: str
    plan: str
    mrr_amount: Decimal
    mrr_currency: str
    owner_id: int | None
    owner_name: str
    days: int
    """Days in the stage."""
    day_of_use: int | None
    pace: Pace
    days_over: int
    """Days past the limit; 0 while on track."""
    open_flags: int
    entered_at: datetime


class Column(NamedTuple):
    stage_id: int
    stage: StageWords
    journeys: int
    flagged: int
    cards: tuple[Card, ...]
    more: bool


class Show(StrEnum):
    """Which cards the board shows."""

    ALL = "all"
    FLAGGED = "flagged"
    BEHIND = "behind"
    STUCK = "stuck"


_CARD_COLUMNS = (
    JourneyRow.id,
    JourneyRow.account_id,
    Account.name,
    Account.plan,
    Account.mrr_amount,
    Account.mrr_currency,
    JourneyRow.owner_id,
    func.coalesce(Staff.name, ""),
    JourneyRow.entered_at,
    JourneyRow.use_started_on,
    JourneyRow.zone,
    JourneyRow.behind_at,
    JourneyRow.stuck_at,
    JourneyRow.open_flags,
)


def _cards(*, status: Status, owned: bool, show: Show, newest_first: bool) -> Select[*tuple[Any, ...]]:
    """The cards of one stage in the board's order: flags first, then the longest there (newest first where it ends)."""
    wanted = (
        select(JourneyRow.id.label("id"))
        .where(JourneyRow.stage_id == bindparam("stage_id"), JourneyRow.status == status)
        .limit(bindparam("most"))
        .offset(bindparam("skipped"))
    )
    if owned:
        wanted = wanted.where(JourneyRow.owner_id == bindparam("owner_id"))
    match show:
        case Show.FLAGGED:
            wanted = wanted.where(JourneyRow.open_flags > 0)
        case Show.BEHIND:
            wanted = wanted.where(JourneyRow.behind_at <= bindparam("now"))
        case Show.STUCK:
            wanted = wanted.where(JourneyRow.stuck_at <= bindparam("now"))
        case Show.ALL:
            pass
    order: tuple[Any, ...]
    if newest_first:
        order = (JourneyRow.open_flags, JourneyRow.entered_at.desc(), JourneyRow.id.desc())
    else:
        order = (JourneyRow.open_flags.desc(), JourneyRow.entered_at, JourneyRow.id)
    some = wanted.order_by(*order).subquery()
    return (
        select(*_CARD_COLUMNS)
        .join(some, some.c.id == JourneyRow.id)
        .join(Account, Account.id == JourneyRow.account_id)
        .outerjoin(Staff, Staff.id == JourneyRow.owner_id)
        .order_by(*order)
    )


CARDS_OF_COLUMN = {
    (ends, owned, show): _cards(status=Status.WON if ends else Status.OPEN, owned=owned, show=show, newest_first=ends)
    for ends in (False, True)
    for owned in (False, True)
    for show in Show
}
_COUNTS = (
    select(StageTally.stage_id, func.sum(StageTally.journeys), func.sum(StageTally.flagged))
    .join(StageRow, StageRow.id == StageTally.stage_id)
    .where(StageRow.pipeline_id == bindparam("pipeline_id"))
    .group_by(StageTally.stage_id)
)
_COUNTS_OF_OWNER = _COUNTS.where(StageTally.owner_id == bindparam("owner_id"))
_STAGE_IDS = select(StageRow.id).where(StageRow.pipeline_id == bindparam("pipeline_id")).order_by(StageRow.position)


def board(
    db: Session,
    *,
    locale: str,
    now: datetime,
    pipeline: str = AFTER_SALE,
    owner_id: int | None = None,
    show: Show = Show.ALL,
    most: int = CARDS,
) -> tuple[Column, ...]:
    """The pipeline's columns with their counts and first cards; `owner_id` narrows to one consultant's."""
    pipeline_id = current_pipeline_id(db, pipeline)
    stages = stage_words(db, pipeline_id, locale)
    ids = db.scalars(_STAGE_IDS, {"pipeline_id": pipeline_id}).all()
    these = {"pipeline_id": pipeline_id} | ({} if owner_id is None else {"owner_id": owner_id})
    counts = {
        row[0]: (int(row[1]), int(row[2]))
        for row in db.execute(_COUNTS if owner_id is None else _COUNTS_OF_OWNER, these)
    }
    columns = []
    for stage_id, stage in zip(ids, stages, strict=True):
        cards = column_cards(db, stage_id, ends=stage.ends, owner_id=owner_id, show=show, now=now, most=most + 1)
        count, flagged = counts.get(stage_id, (0, 0))
        columns.append(Column(stage_id, stage, count, flagged, cards[:most], len(cards) > most))
    return tuple(columns)


def column_cards(
    db: Session,
    stage_id: int,
    *,
    ends: bool,
    owner_id: int | None,
    show: Show,
    now: datetime,
    most: int,
    skipped: int = 0,
) -> tuple[Card, ...]:
    """Some cards of one column, in the board's order."""
    values: dict[str, Any] = {"stage_id": stage_id, "most": most, "skipped": skipped}
    if owner_id is not None:
        values["owner_id"] = owner_id
    if show in (Show.BEHIND, Show.STUCK):
        values["now"] = now
    return tuple(_card(row, now) for row in rows_of(db, CARDS_OF_COLUMN[ends, owner_id is not None, show], values))


def _card(row: Any, now: datetime) -> Card:
    (
        journey_id,
        account_id,
        name,
        plan,
        amount,
        currency,
        owner_id,
        owner,
        entered,
        started,
        zone,
        behind,
        stuck,
        flags,
    ) = row
    today = local_date(now, zone)
    return Card(
        journey_id=journey_id,
        account_id=account_id,
        account_name=name,
        plan=plan,
        mrr_amount=amount,
        mrr_currency=currency,
        owner_id=owner_id,
        owner_name=owner,
        days=(today - local_date(entered, zone)).days,
        day_of_use=(today - started).days if started is not None else None,
        pace=pace(now, behind, stuck),
        days_over=max(0, (now - behind).days) if behind is not None and now >= behind else 0,
        open_flags=flags,
        entered_at=entered,
    )


def card_of(db: Session, journey_id: int, *, now: datetime) -> Card | None:
    """One journey's card, as after a move."""
    row = db.execute(
        select(*_CARD_COLUMNS)
        .join(Account, Account.id == JourneyRow.account_id)
        .outerjoin(Staff, Staff.id == JourneyRow.owner_id)
        .where(JourneyRow.id == journey_id)
    ).first()
    return _card(row, now) if row is not None else None


class LateCard(NamedTuple):
    """A card that is behind or stuck, with where it is."""

    card: Card
    stage: StageWords


def late_cards(db: Session, *, owner_id: int | None, locale: str, now: datetime, most: int = 8) -> tuple[LateCard, ...]:
    """Open journeys past their limit, the latest first; of one consultant, or (None) of all."""
    query = (
        select(*_CARD_COLUMNS, JourneyRow.pipeline_id, JourneyRow.position)
        .join(Account, Account.id == JourneyRow.account_id)
        .outerjoin(Staff, Staff.id == JourneyRow.owner_id)
        .where(JourneyRow.status == Status.OPEN, JourneyRow.behind_at <= now)
        .order_by(JourneyRow.behind_at, JourneyRow.id)
        .limit(most)
    )
    if owner_id is not None:
        query = query.where(JourneyRow.owner_id == owner_id)
    return tuple(
        LateCard(_card(columns, now), stage_words(db, pipeline_id, locale)[position])
        for *columns, pipeline_id, position in db.execute(query)
    )


# Customers


class CustomerLine(NamedTuple):
    """An account in the list."""

    id: int
    external_id: str
    name: str
    plan: str
    mrr_amount: Decimal
    mrr_currency: str
    consultant: str
    stage_id: int | None
    position: int | None
    pipeline_id: int | None
    status: Status | None
    open_flags: int
    behind_at: datetime | None
    stuck_at: datetime | None
    churned_on: date | None


def customers(
    db: Session, *, words: str = "", owner_id: int | None = None, after: tuple[str, int] | None = None, most: int = 50
) -> tuple[CustomerLine, ...]:
    """Accounts by name, those whose names or addresses hold all the words; `after` is (name, id) of the last one shown."""
    latest = (
        select(func.max(JourneyRow.id))
        .where(JourneyRow.account_id == Account.id, JourneyRow.pipeline_key == AFTER_SALE)
        .correlate(Account)
        .scalar_subquery()
    )
    query = (
        select(
            Account.id,
            Account.external_id,
            Account.name,
            Account.plan,
            Account.mrr_amount,
            Account.mrr_currency,
            func.coalesce(Staff.name, ""),
            JourneyRow.stage_id,
            JourneyRow.position,
            JourneyRow.pipeline_id,
            JourneyRow.status,
            func.coalesce(JourneyRow.open_flags, 0),
            JourneyRow.behind_at,
            JourneyRow.stuck_at,
            Account.churned_on,
        )
        .outerjoin(JourneyRow, JourneyRow.id == latest)
        .outerjoin(Staff, Staff.id == Account.consultant_id)
        .order_by(Account.name, Account.id)
        .limit(most)
    )
    for word in folded(words).split():
        query = query.where(Account.search.contains(word, autoescape=True))
    if owner_id is not None:
        query = query.where(Account.consultant_id == owner_id)
    if after is not None:
        name, last = after
        query = query.where(or_(Account.name > name, and_(Account.name == name, Account.id > last)))
    return tuple(CustomerLine._make(row) for row in db.execute(query))


class VisitLine(NamedTuple):
    stage_id: int
    stage_key: str
    position: int
    entered_at: datetime
    left_at: datetime | None
    moved_by: str
    reason: str
    evidence: dict[str, Any]


class FollowUpLine(NamedTuple):
    day: int
    due_on: date | None
    due_at: datetime | None
    sent_at: datetime | None
    converted_at: datetime | None
    converted_why: str
    settled_at: datetime | None
    settled_by: SettledBy | None
    missed_at: datetime | None

    @property
    def state(self) -> str:
        """`settled`, `missed`, `call` (asked by call instead of mail), `sent`, or `planned`."""
        if self.settled_at is not None:
            return "settled"
        if self.missed_at is not None:
            return "missed"
        if self.converted_at is not None:
            return "call"
        return "sent" if self.sent_at is not None else "planned"


class JourneyDetail(NamedTuple):
    """A journey on the staff's page of its customer."""

    id: int
    pipeline_id: int
    pipeline_key: str
    stages: tuple[StageWords, ...]
    position: int
    status: Status
    owner_id: int | None
    zone: str
    opened_at: datetime
    entered_at: datetime
    ended_at: datetime | None
    use_started_on: date | None
    first_contact_at: datetime | None
    open_flags: int
    behind_at: datetime | None
    stuck_at: datetime | None
    held_until: datetime | None
    previous_journey_id: int | None
    next_journey_id: int | None
    visits: tuple[VisitLine, ...]
    follow_ups: tuple[FollowUpLine, ...]

    def pace(self, now: datetime) -> Pace:
        return pace(now, self.behind_at, self.stuck_at)

    @property
    def stage(self) -> StageWords:
        return self.stages[self.position]


def journeys_of(db: Session, account_id: int, *, locale: str) -> tuple[JourneyDetail, ...]:
    """All journeys of an account, newest first, each with visits and contacts; the number of statements is constant."""
    rows = db.scalars(
        select(JourneyRow).where(JourneyRow.account_id == account_id).order_by(JourneyRow.id.desc())
    ).all()
    return _details(db, rows, locale=locale)


def journey_detail(db: Session, journey_id: int, *, locale: str) -> JourneyDetail | None:
    """One journey with visits and contacts; None if it isn't there."""
    rows = db.scalars(select(JourneyRow).where(JourneyRow.id == journey_id)).all()
    return next(iter(_details(db, rows, locale=locale)), None)


def _details(db: Session, rows: Sequence[JourneyRow], *, locale: str) -> tuple[JourneyDetail, ...]:
    ids = [row.id for row in rows]
    visits: dict[int, list[VisitLine]] = {i: [] for i in ids}
    for journey_id, *facts in db.execute(
        select(
            Visit.journey_id,
            Visit.stage_id,
            StageRow.key,
            StageRow.position,
            Visit.entered_at,
            Visit.left_at,
            Visit.moved_by,
            Visit.reason,
            Visit.evidence,
        )
        .join(StageRow, StageRow.id == Visit.stage_id)
        .where(Visit.journey_id.in_(ids))
        .order_by(Visit.journey_id, Visit.seq)
    ):
        visits[journey_id].append(VisitLine._make(facts))
    contacts: dict[int, list[FollowUpLine]] = {i: [] for i in ids}
    for journey_id, *facts in db.execute(
        select(
            FollowUpRow.journey_id,
            FollowUpRow.day,
            FollowUpRow.due_on,
            FollowUpRow.due_at,
            FollowUpRow.sent_at,
            FollowUpRow.converted_at,
            FollowUpRow.converted_why,
            FollowUpRow.settled_at,
            FollowUpRow.settled_by,
            FollowUpRow.missed_at,
        )
        .where(FollowUpRow.journey_id.in_(ids))
        .order_by(FollowUpRow.journey_id, FollowUpRow.day)
    ):
        contacts[journey_id].append(FollowUpLine._make(facts))
    following: dict[int | None, int] = {
        previous: i
        for previous, i in db.execute(
            select(JourneyRow.previous_journey_id, JourneyRow.id).where(JourneyRow.previous_journey_id.in_(ids))
        )
    }
    return tuple(
        JourneyDetail(
            id=r.id,
            pipeline_id=r.pipeline_id,
            pipeline_key=r.pipeline_key,
            stages=stage_words(db, r.pipeline_id, locale),
            position=r.position,
            status=r.status,
            owner_id=r.owner_id,
            zone=r.zone,
            opened_at=r.opened_at,
            entered_at=r.entered_at,
            ended_at=r.ended_at,
            use_started_on=r.use_started_on,
            first_contact_at=r.first_contact_at,
            open_flags=r.open_flags,
            behind_at=r.behind_at,
            stuck_at=r.stuck_at,
            held_until=r.held_until,
            previous_journey_id=r.previous_journey_id,
            next_journey_id=following.get(r.id),
            visits=tuple(visits[r.id]),
            follow_ups=tuple(contacts[r.id]),
        )
        for r in rows
    )


# Activities


class ActivityLine(NamedTuple):
    id: int
    journey_id: int
    account_id: int
    account_name: str
    kind: ActivityKind
    title: str
    """Empty for kinds whose title is `rules.ACTIVITY_TITLES[kind]`."""
    day: int
    assignee_id: int | None
    due_at: datetime
    created_at: datetime
    created_by: str
    done_at: datetime | None
    done_by: str
    note: str


def _activities() -> Select[*tuple[Any, ...]]:
    return (
        select(
            Activity.id,
            Activity.journey_id,
            JourneyRow.account_id,
            Account.name,
            Activity.kind,
            Activity.title,
            Activity.day,
            Activity.assignee_id,
            Activity.due_at,
            Activity.created_at,
            Activity.created_by,
            Activity.done_at,
            Activity.done_by,
            Activity.note,
        )
        .join(JourneyRow, JourneyRow.id == Activity.journey_id)
        .join(Account, Account.id == JourneyRow.account_id)
    )


def open_activities(db: Session, *, assignee_id: int | None, most: int = 100) -> tuple[ActivityLine, ...]:
    """What is to be done, most overdue first; for one person, or (None) for everybody.

    Where the customer is lost, only what somebody wrote down by hand is left to do: the rest had its reason in the
    journey, and is there again if the journey is taken up again.
    """
    still_to_do = or_(JourneyRow.status != Status.LOST, Activity.kind == ActivityKind.OTHER)
    query = (
        _activities().where(Activity.done_at.is_(None), still_to_do).order_by(Activity.due_at, Activity.id).limit(most)
    )
    if assignee_id is not None:
        query = query.where(Activity.assignee_id == assignee_id)
    return tuple(ActivityLine._make(row) for row in db.execute(query))


def activity(db: Session, activity_id: int) -> ActivityLine | None:
    """One activity; None if it isn't there."""
    row = db.execute(_activities().where(Activity.id == activity_id)).first()
    return ActivityLine._make(row) if row is not None else None


def activities_of(db: Session, journey_ids: Sequence[int]) -> tuple[ActivityLine, ...]:
    """All activities of some journeys: open ones first by due date, then the done ones, newest first."""
    rows = [ActivityLine._make(row) for row in db.execute(_activities().where(Activity.journey_id.in_(journey_ids)))]
    waiting = sorted((a for a in rows if a.done_at is None), key=lambda a: (a.due_at, a.id))
    done = sorted((a for a in rows if a.done_at is not None), key=lambda a: (a.done_at, a.id), reverse=True)
    return tuple(waiting + done)


# Flags


class FlagLine(NamedTuple):
    """A case in the inbox."""

    id: int
    journey_id: int
    account_id: int
    account_name: str
    plan: str
    mrr_amount: Decimal
    mrr_currency: str
    contact_id: int | None
    contact_name: str
    contact_email: str
    contact_phone: str
    owner_id: int | None
    owner_name: str
    origin: FlagOrigin
    day: int | None
    stage_id: int
    words: str
    scores: dict[str, Any]
    opened_at: datetime
    act_by: datetime
    acted_at: datetime | None
    closed_at: datetime | None
    outcome: FlagOutcome | None
    note: str
    resolved_by: str
    zone: str
    """Of the journey, in whose business hours the clock runs."""
    half_at: datetime | None
    handed_to_id: int | None
    handed_to_name: str
    merged_into_id: int | None
    resolution_id: int | None
    confirmed_at: datetime | None
    reason_en: str
    reason_pt: str

    def is_past_half(self, now: datetime) -> bool:
        """Half of the time to act is over, nobody has acted, and it isn't late yet."""
        return self.acted_at is None and self.half_at is not None and self.half_at <= now < self.act_by

    def reason(self, locale: str) -> str:
        return self.reason_pt if locale == "pt-BR" else self.reason_en


_Colleague = aliased(Staff)
_FLAGS = (
    select(
        Flag.id,
        Flag.journey_id,
        Flag.account_id,
        Account.name,
        Account.plan,
        Account.mrr_amount,
        Account.mrr_currency,
        Flag.contact_id,
        func.coalesce(Contact.name, ""),
        func.coalesce(Contact.email, ""),
        func.coalesce(Contact.phone, ""),
        JourneyRow.owner_id,
        func.coalesce(Staff.name, ""),
        Flag.origin,
        Flag.day,
        Flag.stage_id,
        Flag.words,
        Flag.scores,
        Flag.opened_at,
        Flag.act_by,
        Flag.acted_at,
        Flag.closed_at,
        Resolution.outcome,
        func.coalesce(Resolution.note, ""),
        func.coalesce(Resolution.by, ""),
        JourneyRow.zone,
        Flag.half_at,
        Flag.handed_to_id,
        func.coalesce(_Colleague.name, ""),
        Flag.merged_into_id,
        Resolution.id,
        Resolution.confirmed_at,
        func.coalesce(CaseReason.words_en, ""),
        func.coalesce(CaseReason.words_pt, ""),
    )
    .join(Account, Account.id == Flag.account_id)
    .join(JourneyRow, JourneyRow.id == Flag.journey_id)
    .outerjoin(Contact, Contact.id == Flag.contact_id)
    .outerjoin(Staff, Staff.id == JourneyRow.owner_id)
    .outerjoin(Resolution, and_(Resolution.flag_id == Flag.id, Resolution.undone_at.is_(None)))
    .outerjoin(CaseReason, CaseReason.id == Resolution.reason_id)
    .outerjoin(_Colleague, _Colleague.id == Flag.handed_to_id)
)


def _worked_on_by(staff_id: int) -> ColumnElement[bool]:
    """Whose case it is: the colleague's whom it was handed to, else the consultant's."""
    return func.coalesce(Flag.handed_to_id, JourneyRow.owner_id) == staff_id


def open_flags(db: Session, *, owner_id: int | None = None, most: int = 100) -> tuple[FlagLine, ...]:
    """Open cases, the most urgent first."""
    query = _FLAGS.where(Flag.closed_at.is_(None)).order_by(Flag.act_by, Flag.id).limit(most)
    if owner_id is not None:
        query = query.where(_worked_on_by(owner_id))
    return tuple(FlagLine._make(row) for row in db.execute(query))


def settled_flags(db: Session, *, owner_id: int | None = None, most: int = 20) -> tuple[FlagLine, ...]:
    """Cases that ended, newest first."""
    query = _FLAGS.where(Flag.closed_at.is_not(None)).order_by(Flag.closed_at.desc(), Flag.id.desc()).limit(most)
    if owner_id is not None:
        query = query.where(_worked_on_by(owner_id))
    return tuple(FlagLine._make(row) for row in db.execute(query))


def flag(db: Session, flag_id: int) -> FlagLine | None:
    """One case."""
    row = db.execute(_FLAGS.where(Flag.id == flag_id)).first()
    return FlagLine._make(row) if row is not None else None


def flags_of(db: Session, account_id: int) -> tuple[FlagLine, ...]:
    """All cases of an account, newest first."""
    return tuple(
        FlagLine._make(row) for row in db.execute(_FLAGS.where(Flag.account_id == account_id).order_by(Flag.id.desc()))
    )


def count_open_flags(db: Session, *, owner_id: int | None = None) -> int:
    """How many cases are open, for the inbox's badge; at most 100 are counted."""
    query = select(Flag.id).where(Flag.closed_at.is_(None)).limit(100)
    if owner_id is not None:
        query = query.join(JourneyRow, JourneyRow.id == Flag.journey_id).where(_worked_on_by(owner_id))
    return len(db.scalars(query).all())


def unhandled_flags(db: Session, *, now: datetime, most: int = 20) -> tuple[FlagLine, ...]:
    """Cases that nobody has acted on although half of their time is over, the most urgent first: what managers see."""
    waiting = Flag.closed_at.is_(None) & Flag.acted_at.is_(None) & (Flag.half_at <= now)
    query = _FLAGS.where(waiting).order_by(Flag.act_by, Flag.id).limit(most)
    return tuple(FlagLine._make(row) for row in db.execute(query))


def duplicates_of(line: FlagLine, others: Sequence[FlagLine]) -> list[FlagLine]:
    """Those of an account's cases (`flags_of`) that are open and about the same person on the same journey: they could go on
    in this one. The oldest first."""
    if line.contact_id is None or line.closed_at is not None:
        return []
    same = (line.contact_id, line.journey_id, None)
    return sorted(
        (one for one in others if one.id != line.id and (one.contact_id, one.journey_id, one.closed_at) == same),
        key=lambda one: one.id,
    )


class PromiseLine(NamedTuple):
    """What we said we would do about a case, and by when."""

    id: int
    flag_id: int
    problem: str
    solution: str
    whose: Whose
    due_on: date
    solved_at: datetime | None


def promises_of(db: Session, flag_ids: Sequence[int]) -> tuple[PromiseLine, ...]:
    """The promises of some cases, by deadline."""
    i = PendingIssue
    query = select(i.id, i.flag_id, i.problem, i.solution, i.whose, i.due_on, i.solved_at)
    rows = db.execute(query.where(i.flag_id.in_(flag_ids)).order_by(i.due_on, i.id))
    return tuple(PromiseLine._make(row) for row in rows)


# Timeline


class TimelineEntry(NamedTuple):
    id: int
    at: datetime
    what: Happened
    by: str
    by_name: str
    """The person's name; empty for rules, the system and the API."""
    contact_name: str
    detail: dict[str, Any]


HIDDEN = (Happened.SIGN_IN_REFUSED, Happened.PERMISSION_REFUSED, Happened.ACTIVITY_CREATED)


def timeline(
    db: Session,
    account_id: int,
    *,
    before: int | None = None,
    most: int = 40,
    only: Collection[Happened] = (),
) -> tuple[TimelineEntry, ...]:
    """What happened to an account, newest first; `before` is the id of the last entry shown, `only` names the kinds
    wanted (empty: all). Three statements."""
    query = (
        select(AuditEvent.id, AuditEvent.at, AuditEvent.what, AuditEvent.by, AuditEvent.contact_id, AuditEvent.detail)
        .where(AuditEvent.account_id == account_id, AuditEvent.what.not_in(HIDDEN))
        .order_by(AuditEvent.at.desc(), AuditEvent.id.desc())
        .limit(most)
    )
    if only:
        query = query.where(AuditEvent.what.in_(only))
    if before is not None:
        last = db.execute(select(AuditEvent.at, AuditEvent.id).where(AuditEvent.id == before)).first()
        if last is not None:
            query = query.where(or_(AuditEvent.at < last.at, and_(AuditEvent.at == last.at, AuditEvent.id < last.id)))
    rows = db.execute(query).all()
    names = actor_names(db, [row.by for row in rows] + [f"contact:{row.contact_id}" for row in rows if row.contact_id])
    return tuple(
        TimelineEntry(
            row.id,
            row.at,
            row.what,
            row.by,
            names.get(row.by, ""),
            names.get(f"contact:{row.contact_id}", ""),
            row.detail,
        )
        for row in rows
    )


def actor_names(db: Session, actors: Sequence[str]) -> dict[str, str]:
    """Names for `staff:12` and `contact:7`; others (rules, system, API) have none. Two statements at most."""
    wanted: dict[str, set[int]] = {"staff": set(), "contact": set()}
    for actor in actors:
        kind, _, number = actor.partition(":")
        if kind in wanted and number.isdigit():
            wanted[kind].add(int(number))
    names = {}
    for kind, table in (("staff", Staff), ("contact", Contact)):
        if wanted[kind]:
            for person_id, name in db.execute(select(table.id, table.name).where(table.id.in_(wanted[kind]))):
                names[f"{kind}:{person_id}"] = name
    return names


class ConversationLine(NamedTuple):
    at: datetime
    by: str
    channel: str
    result: Outcome
    note: str


def conversations_of(db: Session, journey_id: int) -> tuple[ConversationLine, ...]:
    """Logged conversations, newest first."""
    return tuple(
        ConversationLine._make(row)
        for row in db.execute(
            select(Conversation.at, Conversation.by, Conversation.channel, Conversation.result, Conversation.note)
            .where(Conversation.journey_id == journey_id)
            .order_by(Conversation.at.desc(), Conversation.id.desc())
        )
    )


OfJourney = TypeVar("OfJourney", Milestone, Touchpoint)


class GoalState(NamedTuple):
    """A goal with what became of it."""

    id: int
    day: int
    title: str
    measure: str
    met_at: datetime | None
    dropped_at: datetime | None
    unit: str
    starts: Decimal | None
    target: Decimal | None
    reached: Decimal | None

    @property
    def percent(self) -> int | None:
        if self.starts is None or self.target is None:
            return None
        return percent_reached(self.starts, self.target, self.starts if self.reached is None else self.reached)


def goals_of(db: Session, journey_id: int) -> tuple[GoalState, ...]:
    """All goals of a journey, dropped ones too, by day."""
    rows = db.execute(
        select(
            GoalRow.id,
            GoalRow.day,
            GoalRow.title,
            GoalRow.measure,
            GoalRow.met_at,
            GoalRow.dropped_at,
            GoalRow.unit,
            GoalRow.starts,
            GoalRow.target,
            GoalRow.reached,
        )
        .where(GoalRow.journey_id == journey_id)
        .order_by(GoalRow.day, GoalRow.id)
    )
    return tuple(GoalState._make(row) for row in rows)


def milestone_of(db: Session, journey_id: int, milestone_id: int) -> Milestone:
    """One milestone with its words in both languages, for the form that changes it. Errors: NotFound for another journey's."""
    return _of_journey(db.get(Milestone, milestone_id), journey_id)


def touchpoint_of(db: Session, journey_id: int, touchpoint_id: int) -> Touchpoint:
    """The same for a touchpoint."""
    return _of_journey(db.get(Touchpoint, touchpoint_id), journey_id)


def _of_journey(row: OfJourney | None, journey_id: int) -> OfJourney:
    if row is None or row.journey_id != journey_id:
        raise NotFound
    return row


def letters_of(db: Session, account_id: int, *, most: int = 12) -> tuple[Outgoing, ...]:
    """What was written to the people of an account (not to staff about it), newest first."""
    rows = db.scalars(
        select(LetterRow)
        .where(LetterRow.account_id == account_id, LetterRow.contact_id.is_not(None))
        .order_by(LetterRow.id.desc())
        .limit(most)
    )
    return tuple(outgoing(row) for row in rows)


def stage_of(db: Session, stage_id: int, *, locale: str) -> StageWords | None:
    """A stage's names; None if it isn't there."""
    row = db.execute(select(StageRow.pipeline_id, StageRow.position).where(StageRow.id == stage_id)).first()
    return stage_words(db, row.pipeline_id, locale)[row.position] if row is not None else None


def consultants(db: Session) -> Sequence[Any]:
    """Active staff who can own customers: id, name, role."""
    return db.execute(
        select(Staff.id, Staff.name, Staff.role)
        .where(Staff.disabled_at.is_(None), Staff.role.in_([Role.CONSULTANT, Role.MANAGER]))
        .order_by(Staff.name)
    ).all()
