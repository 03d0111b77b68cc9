"""Time passing for journeys: due actions that touch only our database, stagnation alerts, late flags.

Claims lock the journeys, skipping those another worker holds, and then read the waiting actions afresh under that lock:
whoever changes a journey's actions holds its row, so an action is done exactly once, whoever dies (invariant 3).
"""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Select, bindparam, func, insert, select, update
from sqlalchemy.orm import Session

from portal import audit, mail
from portal.accounts.models import Account, Staff
from portal.audit import Event, Happened
from portal.db import update_each
from portal.house import House
from portal.journeys import cases, conduct, rules, silence
from portal.journeys.models import DueAction, JourneyRow, StageRow, StageTally
from portal.journeys.rules import ActivityKind

_OPEN = (DueAction.__table__.c.done_at.is_(None),)

OWN_KINDS = ("wake", "unless_contact", "call_no_answer")
"""What this room does by itself; `survey`, `reminder`, `ask`, `ask_reminder` and `referral_prompt` are for the rooms above."""


class Waiting(NamedTuple):
    """A due action that was claimed: its journey's row is held."""

    id: int
    journey_id: int
    kind: str
    key: str
    day: int
    what: str
    due_at: datetime


def claim(db: Session, *, kinds: Sequence[str], now: datetime, limit: int) -> list[Waiting]:
    """Up to `limit` actions of these kinds that are due, oldest first within a kind, with their journeys locked; one a
    journey."""
    first: dict[int, int] = {}
    for kind in kinds:  # one at a time: each is a walk along the index, together they would be sorted anew each time
        found = db.execute(DUE, {"kind": kind, "now": now, "most": limit - len(first)})
        for action_id, journey_id in found:
            first.setdefault(journey_id, action_id)
        if len(first) >= limit:
            break
    if not first:
        return []
    return [Waiting(*row) for row in db.execute(_STILL_WAITING, {"ids": list(first.values())})]


DUE = (
    select(DueAction.id, DueAction.journey_id)
    .join(JourneyRow, JourneyRow.id == DueAction.journey_id)
    .where(
        DueAction.kind == bindparam("kind"),
        DueAction.due_at <= bindparam("now"),
        DueAction.done_at.is_(None),
        DueAction.set_aside_at.is_(None),
    )
    .order_by(DueAction.due_at, DueAction.id)
    .limit(bindparam("most"))
    .with_for_update(of=JourneyRow, skip_locked=True)
)
_STILL_WAITING = (
    select(
        DueAction.id,
        DueAction.journey_id,
        DueAction.kind,
        DueAction.key,
        DueAction.day,
        DueAction.what,
        DueAction.due_at,
    )
    .where(
        DueAction.id.in_(bindparam("ids", expanding=True)),
        DueAction.done_at.is_(None),
        DueAction.set_aside_at.is_(None),
    )
    .order_by(DueAction.due_at, DueAction.id)
)


def mark_done(db: Session, rows: Sequence[Waiting], *, now: datetime, result: str = "done") -> None:
    """Notes that these actions were carried out, or why they were dropped."""
    if rows:
        db.execute(
            update(DueAction)
            .where(DueAction.id.in_([row.id for row in rows]), DueAction.done_at.is_(None))
            .values(done_at=now, result=result)
        )


def postpone(db: Session, rows: Sequence[tuple[Waiting, datetime]]) -> None:
    """Lets these actions wait on, each until its own instant: it wasn't the moment."""
    until = [{"id": row.id, "due_at": at} for row, at in rows]
    update_each(db, DueAction.__table__, until, by=("id",), where=_OPEN)


def put_aside(db: Session, row: Waiting, error: str, now: datetime) -> None:
    """An action that crashed its rule: kept with its error for people to see, out of the queue's way."""
    db.execute(update(DueAction).where(DueAction.id == row.id).values(set_aside_at=now, error=error[:2000]))


def next_due(db: Session, *, kinds: Sequence[str]) -> datetime | None:
    """When the next waiting action of these kinds is due; None if none waits."""
    return min((moment for moment in db.execute(first_due(kinds)).one() if moment is not None), default=None)


def first_due(kinds: Sequence[str]) -> Select[*tuple[datetime | None, ...]]:
    """The first waiting action of each kind: one look into the index each, where a min() over several kinds would read
    everything that waits, every second."""
    first = select(func.min(DueAction.due_at)).where(DueAction.done_at.is_(None), DueAction.set_aside_at.is_(None))
    return select(*(first.where(DueAction.kind == kind).scalar_subquery() for kind in kinds))


def do_own(db: Session, house: House, rows: Sequence[Waiting], now: datetime) -> None:
    """Carries out claimed actions of `OWN_KINDS`, or drops them where their reason has gone. A call about silence waits until
    those who were asked had their days since the mail left."""
    changes = conduct.load(db, [row.journey_id for row in rows])
    left = silence.left(db, [row.journey_id for row in rows if row.kind == "call_no_answer"], now)
    results: dict[str, list[Waiting]] = defaultdict(list)
    too_early: list[tuple[Waiting, datetime]] = []
    for row in rows:
        change = changes[row.journey_id]
        moot = _moot(row, change.after)
        if moot is None and row.kind == "call_no_answer":
            begins = silence.begins(change.after.follow_up(row.day), left.get((row.journey_id, row.day), {}))
            if begins is not None and (at := rules.call_at(begins, change.after.zone, house.holidays)) > now:
                too_early.append((row, at))
                continue
        results[moot or "done"].append(row)
        if moot is None and row.kind != "wake":
            kind = ActivityKind(row.what or row.kind)
            change.add([rules.NewActivity(kind, row.key, now, row.day)])
    for result, those in results.items():
        mark_done(db, those, now=now, result=result)
    postpone(db, too_early)
    for change in changes.values():
        conduct.fold(change, now=now, house=house)
    conduct.store(db, house, changes=list(changes.values()), now=now)


def _moot(row: Waiting, journey: rules.Journey) -> str | None:
    """Why there is nothing left to do; None if there is."""
    match row.kind:
        case "unless_contact":
            return rules.moot_first_call(journey, int(row.key.partition("@")[2]))
        case "call_no_answer":
            return rules.moot_call(journey, row.day)
        case _:
            return None


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
    found = db.execute(STAGNANT, {"now": now, "most": limit})
    return [Stagnant(*row) for row in found]


STAGNANT: Select[*tuple[Any, ...]] = (
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
    .where(JourneyRow.alert_at <= bindparam("now"))
    .order_by(JourneyRow.alert_at)  # as the index has them: many fall behind in the same moment
    .limit(bindparam("most"))
    .with_for_update(of=JourneyRow, skip_locked=True)
)
_NEXT_ALERT = update(JourneyRow).where(JourneyRow.id == bindparam("the_id")).values(alert_at=bindparam("next_alert_at"))


def alert(db: Session, house: House, rows: Sequence[Stagnant], now: datetime) -> None:
    """Tells the consultant that a card fell behind and, once it is stuck, the manager too."""
    if not rows:
        return
    owner_ids = {row.owner_id for row in rows if row.owner_id is not None}
    working = select(Staff).where(Staff.id.in_(owner_ids), Staff.disabled_at.is_(None))
    people = {person.id: person for person in db.scalars(working)}
    managers = cases.managers(db)
    letters, events, following = [], [], []
    for row in rows:
        owner = people.get(row.owner_id) if row.owner_id is not None else None
        pace = rules.pace(now, row.behind_at, row.stuck_at)
        told = [(mail.Kind.STAGNATION, owner)] if owner is not None else []
        if pace is rules.Pace.STUCK or owner is None:
            told += [(mail.Kind.STAGNATION_MANAGER, person) for person in managers]
        letters += [_stagnation_letter(row, kind, person, owner, now=now) for kind, person in told]
        events.append(Event(Happened.STAGNATED, "system", now, row.account_id, row.id, None, {"pace": pace}))
        next_alert_at = row.stuck_at if row.stuck_at is not None and row.stuck_at > now else None
        following.append({"the_id": row.id, "next_alert_at": next_alert_at})
    db.connection().execute(_NEXT_ALERT, following)
    mail.queue_all(db, letters, now=now)
    audit.note_all(db, events)


def _stagnation_letter(
    row: Stagnant, kind: mail.Kind, person: Staff, owner: Staff | None, *, now: datetime
) -> mail.Letter:
    return mail.Letter(
        key=f"{kind}:{row.id}:{row.alert_at.isoformat()}:staff:{person.id}",
        kind=kind,
        to_email=person.email,
        language=person.language,
        account_id=row.account_id,
        journey_id=row.id,
        staff_id=person.id,
        context={
            "stage_name": row.stage_name,
            "days": max(1, (now - row.entered_at).days),
            "limit_days": row.limit_days,
            "path": f"/staff/customers/{row.account_id}",
            "consultant_name": owner.name if owner is not None else "",
        },
    )


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
        {"stage_id": stage, "owner_id": owner, "journeys": n, "flagged": f}
        for (stage, owner), (n, f) in sums.items()
        if n or f
    ]
    if rows:
        db.execute(insert(StageTally), rows)
    return len(gone) - len(rows)
