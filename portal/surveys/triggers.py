"""What sets surveys going by itself: set on and off by people, and looked through by the worker for whom each concerns.

The worker only writes down whom to ask and when, as due actions with a key of their own: however many workers look, and
however often, each is asked once. Meetings need no look: journeys leave a due action with each that took place.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import func, select
from sqlalchemy.orm import Session, aliased

from portal import audit
from portal.audit import Event, Happened
from portal.clock import day_instant, local_date
from portal.db import insert_new, rows_of
from portal.errors import N_, NotFound, Refused
from portal.house import House
from portal.journeys.models import DueAction, JourneyRow, StageRow, Visit
from portal.journeys.rules import Status
from portal.journeys.shipped import RELATIONSHIP
from portal.surveys import moments
from portal.surveys.models import RetiredSurvey, Survey
from portal.surveys.moments import TriggerKind
from portal.surveys.occasions import due_row
from portal.surveys.round_models import SurveyTrigger
from portal.surveys.rules import SurveyForm, SurveyPurpose
from portal.surveys.stored import newest_surveys

LOOK_EVERY = timedelta(hours=6)
BATCH = 1000
"""Journeys that one turn of the worker looks at."""


class Taken(Refused):
    """Another trigger asks about the same already."""

    status = 422

    def __init__(self) -> None:
        super().__init__(N_("Another survey is sent for that already. Switch that one off first."))


# People set them


class Listed(NamedTuple):
    """A trigger with its survey."""

    trigger: SurveyTrigger
    form: SurveyForm


def triggers(db: Session) -> list[Listed]:
    """All of them, those that are on first."""
    rows = db.scalars(select(SurveyTrigger).order_by(SurveyTrigger.on_since.is_(None), SurveyTrigger.id)).all()
    forms = newest_surveys(db, sorted({row.survey_key for row in rows}))
    return [Listed(row, forms[row.survey_key]) for row in rows if row.survey_key in forms]


def surveys_to_send(db: Session) -> list[SurveyForm]:
    """The surveys that can be sent beyond the plan, the newest version of each."""
    keys = select(Survey.key).where(Survey.key.not_in(select(RetiredSurvey.key))).distinct()
    forms = newest_surveys(db, sorted(db.scalars(keys)))
    return [form for form in forms.values() if form.purpose is not SurveyPurpose.FOLLOW_UP]


def add_trigger(
    db: Session, *, survey_key: str, kind: TriggerKind, days: int, stage: str, by: str, now: datetime
) -> int:
    """A new trigger, on from now: what happened before isn't asked about. Errors: Taken; Refused for an anonymous survey,
    whose answers would say whose they are, and for one that can't be sent."""
    form = next((form for form in surveys_to_send(db) if form.key == survey_key), None)
    if form is None:
        raise Refused(N_("That survey can’t be sent any more."))
    if form.is_anonymous:
        raise Refused(N_("An anonymous survey can only be sent to many people at once, by hand."))
    scope = moments.scope_of(kind, survey_key=survey_key, days=days, stage=stage)
    _nobody_else(db, scope)
    row = SurveyTrigger(
        survey_key=survey_key, kind=kind, days=days, stage=stage, scope=scope, on_since=now, set_at=now, set_by=by,
        look_at=now, looked_up_to=0,
    )  # fmt: skip
    db.add(row)
    db.flush()
    _note(db, row, "on", by=by, now=now)
    return row.id


def _nobody_else(db: Session, scope: str) -> None:
    taken = select(SurveyTrigger.id).where(SurveyTrigger.scope == scope, SurveyTrigger.on_since.is_not(None))
    if db.scalar(taken) is not None:
        raise Taken


def switch(db: Session, trigger_id: int, *, on: bool, by: str, now: datetime) -> None:
    """On from now, or off: what waits to be sent then isn't. As it was already: nothing changes. Errors: NotFound; Taken."""
    row = db.scalar(select(SurveyTrigger).where(SurveyTrigger.id == trigger_id).with_for_update())
    if row is None:
        raise NotFound
    if (row.on_since is not None) is on:
        return
    if on:
        _nobody_else(db, row.scope)
    row.on_since, row.set_at, row.set_by = (now if on else None), now, by
    row.look_at, row.looked_up_to = now, 0
    db.flush()
    _note(db, row, "on" if on else "off", by=by, now=now)


def _note(db: Session, row: SurveyTrigger, how: str, *, by: str, now: datetime) -> None:
    detail = {"how": how, "survey": row.survey_key, "kind": row.kind, "days": row.days, "stage": row.stage}
    audit.note(db, Event(Happened.SURVEY_TRIGGER_CHANGED, by, now, detail=detail))


# The worker looks whom they concern


def next_look(db: Session) -> datetime | None:
    """When the next trigger is to be looked through."""
    return db.scalar(
        select(func.min(SurveyTrigger.look_at)).where(
            SurveyTrigger.on_since.is_not(None), SurveyTrigger.kind != TriggerKind.MEETING
        )
    )


def look(house: House, now: datetime) -> int:
    """Looks through the next thousand journeys for one trigger and writes down whom it concerns; gives 0 if none is due.

    Two statements on journeys' rows, however many. Another worker's trigger is skipped; a look that was cut short goes on
    where it stopped, or is done again, which changes nothing.
    """
    with house.database.write() as db:
        trigger = db.scalar(
            select(SurveyTrigger)
            .where(
                SurveyTrigger.on_since.is_not(None),
                SurveyTrigger.kind != TriggerKind.MEETING,
                SurveyTrigger.look_at <= now,
            )
            .order_by(SurveyTrigger.look_at, SurveyTrigger.id)
            .limit(1)
            .with_for_update(skip_locked=True)
        )
        if trigger is None:
            return 0
        found = _BY_KIND[trigger.kind](db, house, trigger, now)
        insert_new(db, DueAction.__table__, found.rows, known_by=("journey_id", "key"))
        trigger.looked_up_to = found.up_to
        if not found.up_to:
            trigger.look_at = now + LOOK_EVERY
    return 1


class _Found(NamedTuple):
    """Due actions to leave, and up to which journey was looked; 0: all were."""

    rows: Sequence[dict[str, Any]]
    up_to: int


def _up_to(journeys: Sequence[Any]) -> int:
    return int(journeys[-1].id) if len(journeys) == BATCH else 0


def _asked_now(day_at: datetime, on_since: datetime, now: datetime) -> bool:
    """Whether that moment belongs to a trigger that is on since then, and is neither far away nor long past."""
    return day_at >= on_since and now - moments.LATEST <= day_at <= now + moments.AHEAD


def _on_day_of_use(db: Session, house: House, trigger: SurveyTrigger, now: datetime) -> _Found:
    # A day to either side for zones, and for weekends and holidays that move the morning.
    first = now.date() - timedelta(days=trigger.days) - moments.LATEST - timedelta(days=7)
    last = now.date() - timedelta(days=trigger.days) + moments.AHEAD + timedelta(days=1)
    journeys = rows_of(
        db,
        select(JourneyRow.id, JourneyRow.zone, JourneyRow.use_started_on)
        .where(
            JourneyRow.id > trigger.looked_up_to,
            JourneyRow.status == Status.OPEN,
            JourneyRow.use_started_on.between(first, last),
        )
        .order_by(JourneyRow.id)
        .limit(BATCH),
    )
    occasion, rows = moments.of_use(trigger.days), []
    for each in journeys:
        at = day_instant(each.use_started_on, trigger.days, each.zone, house.holidays)
        if _asked_now(at, _since(trigger), now):
            rows.append(due_row(each.id, occasion, due_at=at, now=now))
    return _Found(rows, _up_to(journeys))


def _since(trigger: SurveyTrigger) -> datetime:
    assert trigger.on_since is not None  # noqa: S101 - only those that are on are looked through
    return trigger.on_since


def _in_stage(db: Session, house: House, trigger: SurveyTrigger, now: datetime) -> _Found:
    visits = rows_of(
        db,
        select(JourneyRow.id, JourneyRow.zone, JourneyRow.visit, Visit.entered_at)
        .join(Visit, (Visit.journey_id == JourneyRow.id) & (Visit.seq == JourneyRow.visit))
        .join(StageRow, StageRow.id == Visit.stage_id)
        .where(
            JourneyRow.id > trigger.looked_up_to,
            JourneyRow.status != Status.LOST,
            StageRow.key == trigger.stage,
            Visit.entered_at >= _since(trigger),
            Visit.entered_at <= now + moments.AHEAD - timedelta(days=trigger.days),
        )
        .order_by(JourneyRow.id)
        .limit(BATCH),
    )
    rows = []
    for each in visits:
        day = local_date(each.entered_at, each.zone) + timedelta(days=trigger.days)
        at = max(each.entered_at, moments.morning(day, each.zone, house.holidays))
        if _asked_now(at, _since(trigger), now):
            rows.append(due_row(each.id, moments.of_visit(trigger.stage, each.visit), due_at=at, now=now))
    return _Found(rows, _up_to(visits))


_Earlier = aliased(JourneyRow)
_CAME_AT = (
    select(func.min(_Earlier.opened_at))
    .where(_Earlier.account_id == JourneyRow.account_id, _Earlier.pipeline_key == RELATIONSHIP)
    .scalar_subquery()
)
"""When the customer came into Relationship: a new cycle there doesn't begin to count anew."""


def _every_so_often(db: Session, house: House, trigger: SurveyTrigger, now: datetime) -> _Found:
    journeys = rows_of(
        db,
        select(JourneyRow.id, JourneyRow.zone, JourneyRow.opened_at, _CAME_AT.label("came_at"))
        .where(
            JourneyRow.id > trigger.looked_up_to,
            JourneyRow.status == Status.OPEN,
            JourneyRow.pipeline_key == RELATIONSHIP,
        )
        .order_by(JourneyRow.id)
        .limit(BATCH),
    )
    rows = []
    for each in journeys:
        came_on = local_date(each.came_at, each.zone)
        day = moments.turn(came_on, trigger.days, local_date(now + moments.AHEAD, each.zone))
        # A turn that came in the cycle before was asked there.
        if day is None or day < local_date(each.opened_at, each.zone):
            continue
        at = moments.morning(day, each.zone, house.holidays)
        if _asked_now(at, _since(trigger), now):
            rows.append(due_row(each.id, moments.of_turn(trigger.survey_key, day), due_at=at, now=now))
    return _Found(rows, _up_to(journeys))


_BY_KIND = {
    TriggerKind.DAY_OF_USE: _on_day_of_use,
    TriggerKind.STAGE: _in_stage,
    TriggerKind.EVERY_DAYS: _every_so_often,
}
