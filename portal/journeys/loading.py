"""Journeys as the rules see them: their rows locked, what the rules need to know read in a few statements however many
they are."""

from collections import defaultdict, namedtuple
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from operator import itemgetter
from typing import Any, NamedTuple

from sqlalchemy import JSON, BindParameter, ColumnElement, Row, bindparam, event, func, select
from sqlalchemy.orm import Session, aliased

from portal.accounts.models import Account, Contact
from portal.db import place_of, rows_of, rows_of_each
from portal.errors import NotFound
from portal.journeys.models import Conversation, FollowUpRow, GoalRow, JourneyRow, PendingIssue, PipelineRow, StageRow
from portal.journeys.rules import Do, Effect, FollowUp, Goal, Journey, Outcome, Pipeline, Stage, Step, Term, Whose

# Pipelines


def pipeline(db: Session, pipeline_id: int) -> Pipeline:
    """The pipeline as the rules see it; kept in memory, since a version never changes."""
    key = (place_of(db), pipeline_id)
    if key not in _KEPT:
        _KEPT[key] = _read_pipeline(db, pipeline_id)
    return _KEPT[key]


_KEPT: dict[Any, Pipeline] = {}


@event.listens_for(Session, "after_rollback")
def _forget_what_never_was(_db: Session) -> None:
    # A pipeline written and rolled back (a rehearsal) leaves its number to the next one, and must not live on in here.
    _KEPT.clear()


def _read_pipeline(db: Session, pipeline_id: int) -> Pipeline:
    row = db.get_one(PipelineRow, pipeline_id)
    stages = db.scalars(select(StageRow).where(StageRow.pipeline_id == pipeline_id).order_by(StageRow.position))
    return Pipeline(row.id, row.key, tuple(_stage(s) for s in stages))


def _stage(row: StageRow) -> Stage:
    return Stage(
        id=row.id,
        position=row.position,
        key=row.key,
        moves_on=tuple(Term.parse(t) for t in row.moves_on),
        on_enter=tuple(Step(**{**step, "do": Do(step["do"])}) for step in row.on_enter),
        limit_days=row.limit_days,
        limit_from=row.limit_from,
        contact_day=row.contact_day,
        gives_way_on_day=row.gives_way_on_day,
        ends=row.ends,
        by_hand_only=row.by_hand_only,
    )


def current_pipeline_id(db: Session, key: str) -> int:
    """The newest version of a pipeline. Errors: NotFound where `portal migrate` never ran."""
    found = db.scalar(
        select(PipelineRow.id).where(PipelineRow.key == key).order_by(PipelineRow.version.desc()).limit(1)
    )
    if found is None:
        raise NotFound
    return found


# Journeys


@dataclass
class Change:
    """One journey while a decision is being made: as it was loaded, as it will be, and what that means."""

    account_id: int
    pipeline: Pipeline
    before: Journey
    after: Journey
    limits_before: tuple[datetime | None, datetime | None]
    alert_before: datetime | None
    effects: list[Effect] = field(default_factory=list)

    def add(self, effects: Iterable[Effect]) -> None:
        self.effects.extend(effects)

    def take(self, decided: tuple[Journey, Sequence[Effect]]) -> None:
        """The journey becomes what a rule made of it."""
        self.after, effects = decided
        self.effects.extend(effects)


_THESE: BindParameter[Any] = bindparam("ids", expanding=True)
_LATER = aliased(JourneyRow)
_JOURNEYS = (
    select(
        JourneyRow.id,
        JourneyRow.account_id,
        JourneyRow.pipeline_id,
        JourneyRow.position,
        JourneyRow.status,
        JourneyRow.visit,
        JourneyRow.opened_at,
        JourneyRow.entered_at,
        JourneyRow.ended_at,
        JourneyRow.moved_back,
        JourneyRow.zone,
        JourneyRow.owner_id,
        JourneyRow.use_started_on,
        JourneyRow.analysed_at,
        JourneyRow.first_contact_at,
        JourneyRow.open_flags,
        JourneyRow.worked_at,
        JourneyRow.held_until,
        JourneyRow.behind_at,
        JourneyRow.stuck_at,
        JourneyRow.alert_at,
        Account.plan,
        Account.renews_on,
        select(Contact.id)
        .where(Contact.account_id == JourneyRow.account_id, Contact.disabled_at.is_(None))
        .limit(1)
        .correlate(JourneyRow)
        .scalar_subquery()
        .label("someone"),
        # Looked up beside the row, and not in statements of their own: an answer reads one journey, and each costs more
        # than what it finds.
        select(func.min(PendingIssue.due_on))
        .where(
            PendingIssue.journey_id == JourneyRow.id,
            PendingIssue.solved_at.is_(None),
            PendingIssue.whose != Whose.YOU,
        )
        .correlate(JourneyRow)
        .scalar_subquery()
        .label("promise_due_on"),
        select(_LATER.id)
        .where(_LATER.previous_journey_id == JourneyRow.id)
        .limit(1)
        .correlate(JourneyRow)
        .scalar_subquery()
        .label("next_id"),
        select(GoalRow.id)
        .where(GoalRow.journey_id == JourneyRow.id, GoalRow.dropped_at.is_(None))
        .limit(1)
        .correlate(JourneyRow)
        .scalar_subquery()
        .label("a_goal"),
    )
    .join(Account, Account.id == JourneyRow.account_id)
    .with_for_update(of=JourneyRow)
)
_FOLLOW_UPS = select(
    FollowUpRow.journey_id,
    FollowUpRow.day,
    FollowUpRow.due_on,
    FollowUpRow.due_at,
    FollowUpRow.sent_at,
    FollowUpRow.settled_at,
    FollowUpRow.missed_at,
    FollowUpRow.converted_at,
).order_by(FollowUpRow.journey_id, FollowUpRow.day)
# One journey is asked for by its number: a list is written into the statement anew each time.
_THIS: BindParameter[Any] = bindparam("id")
_ONE_JOURNEY, _ITS_FOLLOW_UPS = (
    _JOURNEYS.where(JourneyRow.id == _THIS),
    _FOLLOW_UPS.where(FollowUpRow.journey_id == _THIS),
)
_MANY_JOURNEYS = _JOURNEYS.where(JourneyRow.id.in_(_THESE)).order_by(JourneyRow.id)
_THEIR_FOLLOW_UPS = _FOLLOW_UPS.where(FollowUpRow.journey_id.in_(_THESE))
_GOALS = select(GoalRow.journey_id, GoalRow.day, GoalRow.met_at).where(
    GoalRow.journey_id.in_(_THESE), GoalRow.dropped_at.is_(None)
)
_CONVERSED = (
    select(Conversation.journey_id, func.max(Conversation.at))
    .where(Conversation.journey_id.in_(_THESE), Conversation.result != Outcome.DISSATISFIED)
    .group_by(Conversation.journey_id)
)


class Found(NamedTuple):
    """What the database said of some journeys and of their contacts."""

    journeys: Sequence[Any]
    follow_ups: Sequence[Any]


_ABOUT = tuple(_JOURNEYS.selected_columns)
_About: Any = namedtuple("_About", [column.key for column in _ABOUT])  # type: ignore[misc]


def _contacts(dialect: str) -> ColumnElement[Any]:
    """The contacts of the journey, one list in another, by no order."""
    columns = tuple(_FOLLOW_UPS.selected_columns)[1:]
    listed: Any = (
        func.json_agg(func.json_build_array(*columns), type_=JSON())
        if dialect == "postgresql"
        else func.json_group_array(func.json_array(*columns), type_=JSON())
    )
    contacts: ColumnElement[Any] = select(listed).where(FollowUpRow.journey_id == JourneyRow.id).scalar_subquery()
    return contacts


def columns_about_it(dialect: str) -> list[ColumnElement[Any]]:
    """What `load` asks about one journey, as the last columns of a statement about something of it: it is joined with the
    journey and its account, and sent by who holds the journey. `found_in` reads their values."""
    return [*(column.label(f"its_{column.key}") for column in _ABOUT), _contacts(dialect)]


def found_in(row: Sequence[Any]) -> Found:
    """What `load` wants to know, of a row that ends with `columns_about_it`."""
    about: Any = _About._make(row[-1 - len(_ABOUT) : -1])
    contacts = [
        (about.id, day, due_on and date.fromisoformat(due_on), *map(_instant, instants))
        for day, due_on, *instants in row[-1] or ()
    ]
    return Found((about,), sorted(contacts, key=itemgetter(1)))


def _instant(told: str | None) -> datetime | None:
    if told is None:
        return None
    at = datetime.fromisoformat(told)
    return at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)  # SQLite's say no zone, and are in UTC


def load(db: Session, ids: Sequence[int], *, found: Found | None = None) -> dict[int, Change]:
    """Locks these journeys and gives what the rules need to know of each. `found`: what was asked about them in this unit
    of work already, when it held them.

    Errors: NotFound if one of them isn't there.
    """
    if not ids:
        return {}
    wanted = sorted(set(ids))
    rows, follow_ups = found if found is not None else _find(db, wanted)
    if len(rows) != len(wanted):
        raise NotFound
    contacts: dict[int, list[FollowUp]] = defaultdict(list)
    for journey_id, *follow_up in follow_ups:
        contacts[journey_id].append(FollowUp(*follow_up))
    goals: dict[int, list[Goal]] = defaultdict(list)
    with_goals = [row.id for row in rows if row.a_goal is not None]
    for journey_id, day, met_at in rows_of(db, _GOALS, {"ids": with_goals}) if with_goals else ():
        goals[journey_id].append(Goal(day, met_at))
    moved_back = [row.id for row in rows if row.moved_back]
    conversed: dict[int, datetime] = dict(rows_of(db, _CONVERSED, {"ids": moved_back})) if moved_back else {}
    pipelines = {pipeline_id: pipeline(db, pipeline_id) for pipeline_id in {row.pipeline_id for row in rows}}
    changes = {}
    for row in rows:
        journey = _journey(
            row,
            follow_ups=tuple(contacts[row.id]),
            goals=tuple(goals[row.id]),
            promise_due_on=row.promise_due_on,
            has_next=row.next_id is not None,
            conversed_at=conversed.get(row.id),
        )
        limits = (row.behind_at, row.stuck_at)
        its_pipeline = pipelines[row.pipeline_id]
        changes[journey.id] = Change(row.account_id, its_pipeline, journey, journey, limits, row.alert_at)
    return changes


def _find(db: Session, wanted: Sequence[int]) -> Found:
    if len(wanted) == 1:
        this = {"id": wanted[0]}
        return Found(*rows_of_each(db, (_ONE_JOURNEY, this), (_ITS_FOLLOW_UPS, this)))
    these = {"ids": wanted}
    return Found(*rows_of_each(db, (_MANY_JOURNEYS, these), (_THEIR_FOLLOW_UPS, these)))


def _journey(row: Row[*tuple[Any, ...]], **known: Any) -> Journey:
    return Journey(
        id=row.id,
        position=row.position,
        status=row.status,
        visit=row.visit,
        opened_at=row.opened_at,
        entered_at=row.entered_at,
        ended_at=row.ended_at,
        moved_back=row.moved_back,
        zone=row.zone,
        owner_id=row.owner_id,
        plan_known=bool(row.plan),
        reachable=row.someone is not None,
        use_started_on=row.use_started_on,
        analysed_at=row.analysed_at,
        first_contact_at=row.first_contact_at,
        open_flags=row.open_flags,
        worked_at=row.worked_at,
        held_until=row.held_until,
        renews_on=row.renews_on,
        **known,
    )


def lock(db: Session, journey_id: int) -> None:
    """Holds one journey's row until the unit of work ends. Errors: NotFound."""
    if db.scalar(select(JourneyRow.id).where(JourneyRow.id == journey_id).with_for_update()) is None:
        raise NotFound


def lock_account(db: Session, account_id: int) -> None:
    """Holds an account's row, which comes before its journeys' rows. Errors: NotFound.

    In the mode that lets others refer to it: a worker that holds one of its journeys writes events about it.
    """
    held = select(Account.id).where(Account.id == account_id).with_for_update(key_share=True)
    if db.scalar(held) is None:
        raise NotFound
