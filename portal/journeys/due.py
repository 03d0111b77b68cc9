"""Time passing for journeys: due actions that touch only our database, stagnation alerts, late flags.

Claims lock the journeys, skipping those another worker holds, and then read the waiting actions afresh under that lock:
whoever changes a journey's actions holds its row, so an action is done exactly once, whoever dies (invariant 3).
"""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import func, insert, select, update
from sqlalchemy.orm import Session

from portal import audit, mail
from portal.accounts.models import Account, Staff
from portal.audit import Event, Happened
from portal.house import House
from portal.journeys import actions, cases, conduct, rules
from portal.journeys.models import DueAction, FollowUpRow, JourneyRow, StageRow, StageTally
from portal.journeys.rules import ActivityKind, Status

OWN_KINDS = ("wake", "unless_contact", "call_no_answer")
"""What this room does by itself; `survey`, `reminder` and `referral_prompt` are for the rooms above."""


class Waiting(NamedTuple):
    """A due action that was claimed: its journey's row is held."""

    id: int
    journey_id: int
    kind: str
    key: str
    day: int
    what: str
    due_at: datetime


_COLUMNS = (
    DueAction.id,
    DueAction.journey_id,
    DueAction.kind,
    DueAction.key,
    DueAction.day,
    DueAction.what,
    DueAction.due_at,
)


def claim(db: Session, *, kinds: Sequence[str], now: datetime, limit: int) -> list[Waiting]:
    """Up to `limit` actions of these kinds that are due, oldest first, with their journeys locked; one a journey."""
    found = db.execute(
        select(DueAction.id, DueAction.journey_id)
        .join(JourneyRow, JourneyRow.id == DueAction.journey_id)
        .where(
            DueAction.kind.in_(kinds),
            DueAction.due_at <= now,
            DueAction.done_at.is_(None),
            DueAction.set_aside_at.is_(None),
        )
        .order_by(DueAction.due_at, DueAction.id)
        .limit(limit)
        .with_for_update(of=JourneyRow, skip_locked=True)
    ).all()
    first: dict[int, int] = {}
    for action_id, journey_id in found:
        first.setdefault(journey_id, action_id)
    rows = db.execute(
        select(*_COLUMNS)
        .where(DueAction.id.in_(list(first.values())), DueAction.done_at.is_(None), DueAction.set_aside_at.is_(None))
        .order_by(DueAction.due_at, DueAction.id)
    )
    return [Waiting(*row) for row in rows]


def mark_done(db: Session, rows: Sequence[Waiting], *, now: datetime, result: str = "done") -> None:
    """Notes that these actions were carried out, or why they were dropped."""
    if rows:
        db.execute(
            update(DueAction)
            .where(DueAction.id.in_([row.id for row in rows]), DueAction.done_at.is_(None))
            .values(done_at=now, result=result)
        )


def put_aside(db: Session, row: Waiting, error: str, now: datetime) -> None:
    """An action that crashed its rule: kept with its error for people to see, out of the queue's way."""
    db.execute(update(DueAction).where(DueAction.id == row.id).values(set_aside_at=now, error=error[:2000]))


def next_due(db: Session, *, kinds: Sequence[str]) -> datetime | None:
    """When the next waiting action of these kinds is due; None if none waits."""
    return db.scalar(
        select(func.min(DueAction.due_at)).where(
            DueAction.kind.in_(kinds), DueAction.done_at.is_(None), DueAction.set_aside_at.is_(None)
        )
    )


def do_own(db: Session, house: House, rows: Sequence[Waiting], now: datetime) -> None:
    """Carries out claimed actions of `OWN_KINDS`."""
    mark_done(db, rows, now=now)
    for row in rows:
        if row.kind == "unless_contact":
            _call_unless_contact(db, row, now=now)
        elif row.kind == "call_no_answer":
            _call_unless_answer(db, row, now=now)
    conduct.advance(db, house, ids=[row.journey_id for row in rows], now=now)


def _call_unless_contact(db: Session, row: Waiting, *, now: datetime) -> None:
    kind, _, _visit = row.key.partition("@")
    journey = db.execute(
        select(JourneyRow.first_contact_at, JourneyRow.status, JourneyRow.visit).where(JourneyRow.id == row.journey_id)
    ).one()
    if journey.first_contact_at is None and journey.status is Status.OPEN and row.key == f"{kind}@{journey.visit}":
        actions.add_activity(
            db, journey_id=row.journey_id, kind=ActivityKind(kind), key=row.key, due_at=now, by="system", now=now
        )


def _call_unless_answer(db: Session, row: Waiting, *, now: datetime) -> None:
    settled = db.scalar(
        select(FollowUpRow.settled_at).where(FollowUpRow.journey_id == row.journey_id, FollowUpRow.day == row.day)
    )
    if settled is None:
        actions.add_activity(
            db,
            journey_id=row.journey_id,
            kind=ActivityKind.CALL_NO_ANSWER,
            key=row.key,
            due_at=now,
            by="system",
            now=now,
            day=row.day,
        )


# Stagnation


class Stagnant(NamedTuple):
    """A journey whose next stagnation alert is due."""

    id: int
    account_id: int
    account_name: str
    owner_id: int | None
    stage_id: int
    stage_name: str
    limit_days: int | None
    entered_at: datetime
    alert_at: datetime
    behind_at: datetime | None
    stuck_at: datetime | None


def claim_stagnant(db: Session, now: datetime, limit: int) -> list[Stagnant]:
    """Journeys whose alert is due, locked, longest overdue first."""
    rows = db.execute(
        select(
            JourneyRow.id,
            JourneyRow.account_id,
            Account.name,
            JourneyRow.owner_id,
            JourneyRow.stage_id,
            StageRow.name_en,
            StageRow.limit_days,
            JourneyRow.entered_at,
            JourneyRow.alert_at,
            JourneyRow.behind_at,
            JourneyRow.stuck_at,
        )
        .join(Account, Account.id == JourneyRow.account_id)
        .join(StageRow, StageRow.id == JourneyRow.stage_id)
        .where(JourneyRow.alert_at <= now)
        .order_by(JourneyRow.alert_at, JourneyRow.id)
        .limit(limit)
        .with_for_update(of=JourneyRow, skip_locked=True)
    ).all()
    return [Stagnant(*row) for row in rows]


def alert(db: Session, house: House, rows: Sequence[Stagnant], now: datetime) -> None:
    """Tells the consultant that a card fell behind and, once it is stuck, the manager too."""
    people = {p.id: p for p in db.scalars(select(Staff).where(Staff.id.in_({r.owner_id for r in rows if r.owner_id})))}
    managers = cases.managers(db)
    letters, events = [], []
    for row in rows:
        owner = people.get(row.owner_id) if row.owner_id else None
        if owner is not None and owner.disabled_at is not None:
            owner = None
        level = rules.pace(now, row.behind_at, row.stuck_at)
        told = [(mail.Kind.STAGNATION, owner)] if owner is not None else []
        if level is rules.Pace.STUCK or owner is None:
            told += [(mail.Kind.STAGNATION_MANAGER, person) for person in managers]
        context = {
            "stage_name": row.stage_name,
            "days": max(1, (now - row.entered_at).days),
            "limit_days": row.limit_days,
            "path": f"/staff/customers/{row.account_id}",
            "consultant_name": owner.name if owner is not None else "",
        }
        letters += [
            mail.Letter(
                key=f"{kind}:{row.id}:{row.alert_at.isoformat()}:staff:{person.id}",
                kind=kind,
                to_email=person.email,
                language=person.language,
                account_id=row.account_id,
                journey_id=row.id,
                staff_id=person.id,
                context=context,
            )
            for kind, person in told
        ]
        events.append(Event(Happened.STAGNATED, "system", now, row.account_id, row.id, None, {"pace": level}))
        following = row.stuck_at if row.stuck_at is not None and row.stuck_at > now else None
        db.execute(update(JourneyRow).where(JourneyRow.id == row.id).values(alert_at=following))
    mail.queue_all(db, letters, now=now)
    audit.note_all(db, events)


def put_aside_stagnant(db: Session, row: Stagnant, error: str, now: datetime) -> None:
    """An alert that crashes is dropped, with its error on the timeline."""
    db.execute(update(JourneyRow).where(JourneyRow.id == row.id).values(alert_at=None))
    audit.note(db, Event(Happened.STAGNATED, "system", now, row.account_id, row.id, None, {"error": error[:500]}))


def next_alert(db: Session) -> datetime | None:
    """When the next stagnation alert is due."""
    return db.scalar(select(func.min(JourneyRow.alert_at)))


# The board's counts


def compact_tallies(db: Session, *, now: datetime, keep: int = 200) -> int:
    """Folds the ledger of the board's counts into one row a stage and owner once it has grown; gives how many rows went."""
    last = db.scalar(select(func.max(StageTally.id)))
    if last is None or (db.scalar(select(func.count()).select_from(StageTally)) or 0) <= keep:
        return 0
    gone = db.execute(
        StageTally.__table__.delete()  # type: ignore[attr-defined]
        .where(StageTally.id <= last)
        .returning(StageTally.stage_id, StageTally.owner_id, StageTally.journeys, StageTally.flagged)
    ).all()
    sums: dict[tuple[int, int | None], list[int]] = {}
    for stage_id, owner_id, journeys, flagged in gone:
        total = sums.setdefault((stage_id, owner_id), [0, 0])
        total[0] += journeys
        total[1] += flagged
    rows = [
        {"stage_id": stage, "owner_id": owner, "journeys": n, "flagged": f} for (stage, owner), (n, f) in sums.items() if n or f
    ]
    if rows:
        db.execute(insert(StageTally), rows)
    return len(gone) - len(rows)
