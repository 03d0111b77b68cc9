"""The shell around the rules: lock the journeys' rows, ask the rules, store what they decided. One journey or ten
thousand take the same few statements.

Lock order: account, journey, everything below. Whoever changes a journey, its contacts, due actions or flags holds its
row; so nothing here needs a second lock.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import func, insert, select, update
from sqlalchemy.orm import Session

from portal import audit
from portal.accounts.models import Account, Staff
from portal.accounts.rules import Candidate, Role, next_consultant
from portal.audit import Event, Happened
from portal.db import connection_of, insert_for
from portal.house import House
from portal.journeys import rules, storing
from portal.journeys.loading import (
    Change,
    Found,
    columns_about_it,
    current_pipeline_id,
    found_in,
    load,
    lock,
    lock_account,
    pipeline,
)
from portal.journeys.models import Activity, FollowUpRow, JourneyRow, StageRow, StageTally, Visit
from portal.journeys.rules import Status
from portal.journeys.storing import drop_due, drop_due_of_kinds, primary_contacts, tally

__all__ = [
    "Change",
    "Found",
    "advance",
    "assign",
    "begin",
    "choose_consultant",
    "columns_about_it",
    "consultant_for",
    "current_pipeline_id",
    "drop_due",
    "drop_due_of_kinds",
    "fold",
    "found_in",
    "load",
    "lock",
    "lock_account",
    "open_journey",
    "pipeline",
    "primary_contacts",
    "store",
    "tally",
]

MOVES_IN_A_ROW = 20
"""More moves by themselves in one go than any pipeline has stages: a pipeline that circles is a mistake, said aloud."""


def fold(change: Change, *, now: datetime, house: House) -> None:
    """Lets the journey make all the moves it makes by itself now."""
    change.take(rules.conversions(change.after, now))
    for _ in range(MOVES_IN_A_ROW):
        move = rules.next_move(change.pipeline, change.after, now, house.holidays)
        if move is None:
            change.take(rules.left_behind(change.pipeline, change.after, now, house.holidays))
            return
        change.take(rules.apply(change.pipeline, change.after, move, now, house.holidays))
    raise RuntimeError(f"journey {change.after.id} moves in a circle in pipeline {change.pipeline.key}")


def advance(db: Session, house: House, *, ids: Sequence[int], now: datetime) -> None:
    """Asks the rules about these journeys until they have no more to say, and stores all they decided."""
    changes = load(db, ids)
    for change in changes.values():
        fold(change, now=now, house=house)
    store(db, house, changes=list(changes.values()), now=now)


def store(db: Session, house: House, *, changes: Sequence[Change], now: datetime, told: Sequence[Event] = ()) -> None:
    """Writes what changed, kind by kind, each in one statement for all journeys; then what it means for others. `told`:
    events that led to it, written along with its own."""
    storing.write(db, house, changes, now=now, told=told)
    if not any(isinstance(effect, (rules.Assign, rules.OpenNext)) for change in changes for effect in change.effects):
        return
    connection_of(db)  # what follows reads what was written
    for change, _ in storing.effects_of(changes, rules.Assign):
        owner_id = consultant_for(db, change.account_id)
        if owner_id is not None:
            assign(db, journey_id=change.after.id, staff_id=owner_id, by="rule:assign_consultant", now=now)
    for change, effect in storing.effects_of(changes, rules.OpenNext):
        _open_next(db, house, change, effect.pipeline, now=now)


def _open_next(db: Session, house: House, change: Change, pipeline_key: str, *, now: datetime) -> None:
    journey_id = open_journey(
        db,
        house,
        account_id=change.account_id,
        pipeline_key=pipeline_key,
        owner_id=change.after.owner_id,
        previous_journey_id=change.after.id,
        by="rule:approved",
        now=now,
        zone=change.after.zone,
    )
    if journey_id is None:
        return
    if pipeline_key == change.pipeline.key:
        # The next cycle waits for a renewal date later than the one just passed.
        db.execute(update(JourneyRow).where(JourneyRow.id == journey_id).values(moved_back=True))
    begin(db, house, journey_id=journey_id, now=now)


def begin(db: Session, house: House, *, journey_id: int, now: datetime) -> None:
    """What entering the first stage sets going, for a journey just opened."""
    change = load(db, [journey_id])[journey_id]
    change.take(rules.enter(change.pipeline, change.after, now, house.holidays))
    fold(change, now=now, house=house)
    store(db, house, changes=[change], now=now)


def choose_consultant(db: Session) -> int | None:
    """Who gets the next customer, by `accounts.rules.next_consultant`; None where there is no consultant at all."""
    # From the board's counts: counting a hundred thousand journeys for each line of an import would not do.
    counts = db.execute(
        select(StageTally.owner_id, func.sum(StageTally.journeys))
        .join(StageRow, StageRow.id == StageTally.stage_id)
        .where(StageRow.ends.is_(None))
        .group_by(StageTally.owner_id)
    )
    loads = {row[0]: int(row[1]) for row in counts}
    people = db.execute(
        select(Staff.id, Staff.last_assigned_at).where(Staff.role == Role.CONSULTANT, Staff.disabled_at.is_(None))
    )
    return next_consultant([Candidate(id_, loads.get(id_, 0), at) for id_, at in people])


def consultant_for(db: Session, account_id: int) -> int | None:
    """The account's own consultant, if they still work here; else whoever is next."""
    own: int | None = db.scalar(
        select(Staff.id)
        .join(Account, Account.consultant_id == Staff.id)
        .where(Account.id == account_id, Staff.disabled_at.is_(None))
    )
    return own if own is not None else choose_consultant(db)


def assign(db: Session, *, journey_id: int, staff_id: int, by: str, now: datetime) -> None:
    """Gives a journey, and its account, to a consultant. The journey's open activities and flags go with it."""
    row = db.get_one(JourneyRow, journey_id, with_for_update=True, populate_existing=True)
    before = row.owner_id
    if before == staff_id:
        return
    flagged = 1 if row.open_flags else 0
    if row.status is not Status.LOST:
        tally(db, stage_id=row.stage_id, owner_id=before, journeys=-1, flagged=-flagged)
        tally(db, stage_id=row.stage_id, owner_id=staff_id, journeys=1, flagged=flagged)
    row.owner_id = staff_id
    row.version += 1
    db.execute(update(Account).where(Account.id == row.account_id).values(consultant_id=staff_id))
    db.execute(update(Staff).where(Staff.id == staff_id).values(last_assigned_at=now))
    db.execute(
        update(Activity)
        .where(Activity.journey_id == journey_id, Activity.done_at.is_(None))
        .values(assignee_id=staff_id)
    )
    db.flush()
    event = Event(Happened.CONSULTANT_ASSIGNED, by, now, row.account_id, journey_id)
    audit.note(db, event._replace(detail={"from": before, "to": staff_id}))


def open_journey(
    db: Session,
    house: House,
    *,
    account_id: int,
    pipeline_key: str,
    owner_id: int | None,
    by: str,
    now: datetime,
    previous_journey_id: int | None = None,
    zone: str | None = None,
) -> int | None:
    """Opens a journey at its first stage and gives its id; None where one is under way in that pipeline already, or the
    one it follows has its successor (invariant 4). What the first stage sets going is the caller's: `begin`."""
    pipeline_id = current_pipeline_id(db, pipeline_key)
    the_pipeline = pipeline(db, pipeline_id)
    first = the_pipeline.stages[0]
    if zone is None:
        person = primary_contacts(db, [account_id]).get(account_id)
        zone = person.timezone if person is not None else house.settings.default_timezone
    values: dict[str, Any] = {
        "account_id": account_id,
        "pipeline_id": pipeline_id,
        "pipeline_key": pipeline_key,
        "stage_id": first.id,
        "position": 0,
        "visit": 1,
        "moved_back": False,
        "owner_id": owner_id,
        "status": Status.OPEN,
        "zone": zone,
        "opened_at": now,
        "entered_at": now,
        "open_flags": 0,
        "previous_journey_id": previous_journey_id,
        "version": 1,
    }
    opened = insert_for(db, JourneyRow).values(**values).on_conflict_do_nothing().returning(JourneyRow.id)
    journey_id: int | None = db.scalar(opened)
    if journey_id is None:
        return None
    db.execute(
        insert(Visit).values(
            journey_id=journey_id, seq=1, stage_id=first.id, entered_at=now, moved_by=by, reason="", evidence={}
        )
    )
    if the_pipeline.contact_days:
        db.execute(insert(FollowUpRow), [{"journey_id": journey_id, "day": day} for day in the_pipeline.contact_days])
    tally(db, stage_id=first.id, owner_id=owner_id, journeys=1)
    audit.note(db, Event(Happened.JOURNEY_OPENED, by, now, account_id, journey_id, None, {"pipeline": pipeline_key}))
    return journey_id
