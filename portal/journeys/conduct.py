"""The shell around the rules: lock the journeys' rows, ask the rules, store what they decided. One journey or ten
thousand take the same few statements.

Lock order: account, journey, everything below. Whoever changes a journey, its contacts, due actions or flags holds its
row; so nothing here needs a second lock.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import bindparam, func, insert, select, update
from sqlalchemy.orm import Session

from portal import audit, mail
from portal.accounts.models import Account, Contact, Staff
from portal.accounts.rules import Candidate, Role, next_consultant
from portal.audit import Event, Happened
from portal.db import insert_for
from portal.errors import NotFound
from portal.house import House
from portal.journeys import rules
from portal.journeys.models import (
    Activity,
    DueAction,
    FollowUpRow,
    GoalRow,
    JourneyRow,
    Milestone,
    PendingIssue,
    PipelineRow,
    StageRow,
    StageTally,
    Touchpoint,
    Visit,
)
from portal.journeys.rules import Do, Effect, Journey, Pipeline, Stage, Status, Step, Term, Whose

MOVES_IN_A_ROW = 20
"""More moves by themselves in one go than any pipeline has stages: a pipeline that circles is a mistake, said aloud."""


def pipeline(db: Session, pipeline_id: int) -> Pipeline:
    """The pipeline as the rules see it; kept in memory, since a version never changes."""
    key = (db.get_bind().engine.url, pipeline_id)
    if key not in _KEPT:
        _KEPT[key] = _read_pipeline(db, pipeline_id)
    return _KEPT[key]


_KEPT: dict[Any, Pipeline] = {}


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
    found = db.scalar(select(PipelineRow.id).where(PipelineRow.key == key).order_by(PipelineRow.version.desc()).limit(1))
    if found is None:
        raise NotFound
    return found


@dataclass
class Change:
    """One journey while a decision is being made: as it was loaded, as it will be, and what that means."""

    account_id: int
    pipeline: Pipeline
    before: Journey
    after: Journey
    limits_before: tuple[datetime | None, datetime | None]
    effects: list[Effect] = field(default_factory=list)

    def add(self, effects: Iterable[Effect]) -> None:
        self.effects.extend(effects)


_JOURNEYS = select(
    JourneyRow.id,
    JourneyRow.account_id,
    JourneyRow.pipeline_id,
    JourneyRow.position,
    JourneyRow.status,
    JourneyRow.visit,
    JourneyRow.opened_at,
    JourneyRow.entered_at,
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
    Account.plan,
    Account.renews_on,
    select(Contact.id).where(Contact.account_id == JourneyRow.account_id).limit(1).scalar_subquery().label("someone"),
).join(Account, Account.id == JourneyRow.account_id).order_by(JourneyRow.id).where(
    JourneyRow.id.in_(bindparam("ids", expanding=True))
)
_LOCKED_JOURNEYS = _JOURNEYS.with_for_update(of=JourneyRow)
_FOLLOW_UPS = select(
    FollowUpRow.journey_id,
    FollowUpRow.day,
    FollowUpRow.due_on,
    FollowUpRow.due_at,
    FollowUpRow.sent_at,
    FollowUpRow.settled_at,
    FollowUpRow.missed_at,
    FollowUpRow.converted_at,
).where(FollowUpRow.journey_id.in_(bindparam("ids", expanding=True))).order_by(FollowUpRow.journey_id, FollowUpRow.day)
_GOALS = select(GoalRow.journey_id, GoalRow.day, GoalRow.met_at).where(
    GoalRow.journey_id.in_(bindparam("ids", expanding=True)), GoalRow.dropped_at.is_(None)
)
_PROMISES = (
    select(PendingIssue.journey_id, func.min(PendingIssue.due_on))
    .where(
        PendingIssue.journey_id.in_(bindparam("ids", expanding=True)),
        PendingIssue.solved_at.is_(None),
        PendingIssue.whose != Whose.YOU,
    )
    .group_by(PendingIssue.journey_id)
)
_NEXT = select(JourneyRow.previous_journey_id).where(
    JourneyRow.previous_journey_id.in_(bindparam("ids", expanding=True))
)


def load(db: Session, ids: Sequence[int]) -> dict[int, Change]:
    """Locks these journeys and gives what the rules need to know of each, in five statements however many they are.

    Errors: NotFound if one of them isn't there.
    """
    these = {"ids": sorted(set(ids))}
    rows = db.execute(_LOCKED_JOURNEYS, these).all()
    if len(rows) != len(these["ids"]):
        raise NotFound
    contacts: dict[int, list[rules.FollowUp]] = defaultdict(list)
    for journey_id, *facts in db.execute(_FOLLOW_UPS, these):
        contacts[journey_id].append(rules.FollowUp(*facts))
    goals: dict[int, list[rules.Goal]] = defaultdict(list)
    for journey_id, day, met_at in db.execute(_GOALS, these):
        goals[journey_id].append(rules.Goal(day, met_at))
    promises: dict[int, date] = {row[0]: row[1] for row in db.execute(_PROMISES, these)}
    followed = set(db.scalars(_NEXT, these))
    pipelines = {pipeline_id: pipeline(db, pipeline_id) for pipeline_id in {row.pipeline_id for row in rows}}
    changes = {}
    for r in rows:
        journey = Journey(
            id=r.id,
            position=r.position,
            status=r.status,
            visit=r.visit,
            opened_at=r.opened_at,
            entered_at=r.entered_at,
            moved_back=r.moved_back,
            zone=r.zone,
            owner_id=r.owner_id,
            plan_known=bool(r.plan),
            reachable=r.someone is not None,
            use_started_on=r.use_started_on,
            analysed_at=r.analysed_at,
            first_contact_at=r.first_contact_at,
            follow_ups=tuple(contacts[r.id]),
            open_flags=r.open_flags,
            promise_due_on=promises.get(r.id),
            goals=tuple(goals[r.id]),
            worked_at=r.worked_at,
            held_until=r.held_until,
            renews_on=r.renews_on,
            has_next=r.id in followed,
        )
        changes[r.id] = Change(
            r.account_id, pipelines[r.pipeline_id], journey, journey, (r.behind_at, r.stuck_at)
        )
    return changes


def lock(db: Session, journey_id: int) -> None:
    """Holds one journey's row until the unit of work ends. Errors: NotFound."""
    if db.scalar(select(JourneyRow.id).where(JourneyRow.id == journey_id).with_for_update()) is None:
        raise NotFound


def fold(change: Change, *, now: datetime, house: House) -> None:
    """Lets the journey make all the moves it makes by itself now."""
    change.add(rules.conversions(change.after, now))
    for _ in range(MOVES_IN_A_ROW):
        move = rules.next_move(change.pipeline, change.after, now, house.holidays)
        if move is None:
            return
        change.after, effects = rules.apply(change.pipeline, change.after, move, now, house.holidays)
        change.add(effects)
    raise RuntimeError(f"journey {change.after.id} moves in a circle in pipeline {change.pipeline.key}")


def advance(db: Session, house: House, *, ids: Sequence[int], now: datetime) -> None:
    """Asks the rules about these journeys until they have no more to say, and stores all they decided."""
    changes = load(db, ids)
    for change in changes.values():
        fold(change, now=now, house=house)
    store(db, house, changes=list(changes.values()), now=now)


def store(db: Session, house: House, *, changes: Sequence[Change], now: datetime) -> None:
    """Writes what changed, kind by kind, each in one statement for all journeys."""
    for change in changes:
        # The contacts as they are now decide the limits: conversions happen as effects, so they are applied first.
        for effect in change.effects:
            if isinstance(effect, rules.Converted):
                contact = replace(change.after.follow_up(effect.day), converted_at=effect.at)
                others = tuple(contact if f.day == effect.day else f for f in change.after.follow_ups)
                change.after = replace(change.after, follow_ups=others)
    _store_journeys(db, changes, now=now, house=house)
    _store_visits(db, changes)
    _store_contacts(db, changes)
    _date_plans(db, changes)
    _store_due(db, changes, now=now)
    _store_activities(db, changes, now=now)
    _store_letters(db, changes, now=now)
    _store_tallies(db, changes)
    _tell(db, changes, now=now)
    _assign_and_open_next(db, house, changes, now=now)


def _of(changes: Sequence[Change], kind: type[Any]) -> list[tuple[Change, Any]]:
    return [(change, effect) for change in changes for effect in change.effects if isinstance(effect, kind)]


_UPDATE_JOURNEY = (
    update(JourneyRow)
    .where(JourneyRow.id == bindparam("the_id"))
    .values(
        {
            "stage_id": bindparam("the_stage_id"),
            "position": bindparam("the_position"),
            "visit": bindparam("the_visit"),
            "moved_back": bindparam("was_moved_back"),
            "status": bindparam("the_status"),
            "entered_at": bindparam("was_entered_at"),
            "ended_at": bindparam("was_ended_at"),
            "use_started_on": bindparam("use_on"),
            "behind_at": bindparam("is_behind_at"),
            "stuck_at": bindparam("is_stuck_at"),
            "alert_at": bindparam("is_alert_at"),
            "version": JourneyRow.version + 1,
        }
    )
)


def _store_journeys(db: Session, changes: Sequence[Change], *, now: datetime, house: House) -> None:
    rows = []
    for change in changes:
        journey = change.after
        behind_at, stuck_at = rules.limits(change.pipeline, journey, house.holidays) or (None, None)
        if not change.effects and (behind_at, stuck_at) == change.limits_before and journey == change.before:
            continue
        rows.append(
            {
                "the_id": journey.id,
                "the_stage_id": change.pipeline.stages[journey.position].id,
                "the_position": journey.position,
                "the_visit": journey.visit,
                "was_moved_back": journey.moved_back,
                "the_status": journey.status,
                "was_entered_at": journey.entered_at,
                "was_ended_at": None if journey.status is Status.OPEN else journey.entered_at,
                "use_on": journey.use_started_on,
                "is_behind_at": behind_at,
                "is_stuck_at": stuck_at,
                "is_alert_at": _next_alert(behind_at, stuck_at, change, now),
            }
        )
    if rows:
        db.connection().execute(_UPDATE_JOURNEY, rows)


def _next_alert(
    behind_at: datetime | None, stuck_at: datetime | None, change: Change, now: datetime
) -> datetime | None:
    """A new limit rings anew; one that stands as before keeps what was told already (the row's alert is then recomputed
    to the next instant still ahead)."""
    if (behind_at, stuck_at) != change.limits_before:
        return behind_at
    return next((at for at in (behind_at, stuck_at) if at is not None and at > now), None)


_CLOSE_VISIT = (
    update(Visit)
    .where(Visit.journey_id == bindparam("the_journey_id"), Visit.left_at.is_(None))
    .values(left_at=bindparam("was_left_at"))
)


def _store_visits(db: Session, changes: Sequence[Change]) -> None:
    moved = [(c, e) for c, e in _of(changes, rules.Moved)]
    if not moved:
        return
    left: dict[int, datetime] = {}
    new: list[dict[str, Any]] = []
    last: dict[int, dict[str, Any]] = {}
    for change, effect in moved:
        journey_id = change.after.id
        left.setdefault(journey_id, effect.at)
        if journey_id in last:  # passed through in the same moment
            last[journey_id]["left_at"] = effect.at
        last[journey_id] = {
            "journey_id": journey_id,
            "seq": effect.visit,
            "stage_id": change.pipeline.stages[effect.to_position].id,
            "entered_at": effect.at,
            "left_at": None,
            "moved_by": effect.by,
            "reason": effect.reason,
            "evidence": {name: at.isoformat() for name, at in effect.evidence},
        }
        new.append(last[journey_id])
    connection = db.connection()
    connection.execute(_CLOSE_VISIT, [{"the_journey_id": j, "was_left_at": at} for j, at in left.items()])
    connection.execute(insert(Visit), new)


def update_follow_up(*columns: str) -> Any:
    """An UPDATE of one contact for executemany: the_journey_id, the_day, and the_at / the_why / the_on by column."""
    names = {"due_on": "the_on", "converted_why": "the_why"}
    return (
        update(FollowUpRow)
        .where(FollowUpRow.journey_id == bindparam("the_journey_id"), FollowUpRow.day == bindparam("the_day"))
        .values({column: bindparam(names.get(column, "the_at")) for column in columns})
    )


_MISS = update_follow_up("missed_at")
_CONVERT = update_follow_up("converted_at", "converted_why")
_RESCHEDULE = update_follow_up("due_on", "due_at")


def _store_contacts(db: Session, changes: Sequence[Change]) -> None:
    connection = db.connection()
    missed = [
        {"the_journey_id": c.after.id, "the_day": e.day, "the_at": e.at} for c, e in _of(changes, rules.Missed)
    ]
    converted = [
        {"the_journey_id": c.after.id, "the_day": e.day, "the_at": e.at, "the_why": e.why}
        for c, e in _of(changes, rules.Converted)
    ]
    planned = [
        {"the_journey_id": c.after.id, "the_day": f.day, "the_on": f.due_on, "the_at": f.due_at}
        for c, _ in _of(changes, rules.UseStarted)
        for f in c.after.follow_ups
        if not (f.is_asked or f.is_settled or f.missed_at)
    ]
    for statement, rows in ((_MISS, missed), (_CONVERT, converted), (_RESCHEDULE, planned)):
        if rows:
            connection.execute(statement, rows)
    _drop_due_of_contacts(db, changes)


_DROP_DUE = (
    update(DueAction)
    .where(
        DueAction.journey_id == bindparam("the_journey_id"),
        DueAction.key == bindparam("the_key"),
        DueAction.done_at.is_(None),
    )
    .values(done_at=bindparam("was_done_at"), result=bindparam("the_result"))
)


def _drop_due_of_contacts(db: Session, changes: Sequence[Change]) -> None:
    """What waited for a contact that became a call, or was missed, waits no longer."""
    dropped = [(c.after.id, f"survey:{e.day}", e.why, e.at) for c, e in _of(changes, rules.Converted)]
    for change, effect in _of(changes, rules.Missed):
        for kind in ("survey", "reminder", "call_no_answer"):
            dropped.append((change.after.id, f"{kind}:{effect.day}", "missed", effect.at))
    if dropped:
        db.connection().execute(
            _DROP_DUE,
            [
                {"the_journey_id": journey_id, "the_key": key, "the_result": why, "was_done_at": at}
                for journey_id, key, why, at in dropped
            ],
        )


def _date_plans(db: Session, changes: Sequence[Change]) -> None:
    """Gives the plans their dates, or moves the pending ones: day N of use is the start plus N days (invariant 8)."""
    started = {c.after.id: e.on for c, e in _of(changes, rules.UseStarted)}
    if not started:
        return
    for table in (Milestone, Touchpoint):
        pending = db.execute(
            select(table.id, table.journey_id, table.day).where(
                table.journey_id.in_(sorted(started)), table.day.is_not(None), table.done_at.is_(None)
            )
        ).all()
        if pending:
            db.connection().execute(
                update(table).where(table.id == bindparam("the_id")).values(due_on=bindparam("the_on")),
                [{"the_id": i, "the_on": started[j] + timedelta(days=day or 0)} for i, j, day in pending],
            )


def _store_due(db: Session, changes: Sequence[Change], *, now: datetime) -> None:
    rows = [
        {
            "journey_id": c.after.id,
            "kind": e.kind.partition(":")[0],
            "key": e.key,
            "day": int(tail) if (tail := e.kind.partition(":")[2]).isdigit() else 0,
            "what": "" if tail.isdigit() else tail,
            "due_at": e.due_at,
            "created_at": now,
        }
        for c, e in _of(changes, rules.Due)
    ]
    if rows:
        statement = insert_for(db, DueAction)
        # The same action again (a start of use corrected, a stage entered anew) moves what still waits, and never
        # brings back what was done.
        db.connection().execute(
            statement.on_conflict_do_update(
                index_elements=["journey_id", "key"],
                set_={"due_at": statement.excluded.due_at},
                where=DueAction.done_at.is_(None),
            ),
            rows,
        )


def _store_activities(db: Session, changes: Sequence[Change], *, now: datetime) -> None:
    rows = [
        {
            "journey_id": c.after.id,
            "key": e.key,
            "kind": e.kind,
            "day": e.day,
            "assignee_id": c.after.owner_id,
            "due_at": e.due_at,
            "created_at": now,
            "created_by": "system",
        }
        for c, e in _of(changes, rules.NewActivity)
    ]
    if rows:
        db.connection().execute(insert_for(db, Activity).on_conflict_do_nothing(), rows)


def _store_letters(db: Session, changes: Sequence[Change], *, now: datetime) -> None:
    wanted = _of(changes, rules.Letter)
    if not wanted:
        return
    people = primary_contacts(db, [c.account_id for c, _ in wanted])
    letters = [
        mail.Letter(
            key=f"{effect.key}:journey:{change.after.id}",
            kind=mail.Kind(effect.kind),
            to_email=person.email,
            language=person.language,
            account_id=change.account_id,
            journey_id=change.after.id,
            contact_id=person.id,
        )
        for change, effect in wanted
        if (person := people.get(change.account_id)) is not None and person.email
    ]
    mail.queue_all(db, letters, now=now)
    done = [c.after.id for c, e in wanted if e.kind == "welcome"]
    if done:
        db.execute(
            update(Touchpoint)
            .where(Touchpoint.journey_id.in_(done), Touchpoint.key == "welcome", Touchpoint.done_at.is_(None))
            .values(done_at=now)
        )


def primary_contacts(db: Session, account_ids: Sequence[int]) -> dict[int, Any]:
    """Whom mails of an account go to: the primary contact, else the first; with id, name, email, phone, language, timezone."""
    rows = db.execute(
        select(
            Contact.account_id,
            Contact.id,
            Contact.name,
            Contact.email,
            Contact.phone,
            Contact.language,
            Contact.timezone,
        )
        .where(Contact.account_id.in_(sorted(set(account_ids))), Contact.disabled_at.is_(None))
        .order_by(Contact.account_id, Contact.is_primary, Contact.id.desc())
    )
    return {row.account_id: row for row in rows}


def _store_tallies(db: Session, changes: Sequence[Change]) -> None:
    counted: Counter[tuple[int, int | None]] = Counter()
    flagged: Counter[tuple[int, int | None]] = Counter()
    for change in changes:
        for journey, sign in ((change.before, -1), (change.after, 1)):
            if journey.status is not Status.LOST:
                key = (change.pipeline.stages[journey.position].id, journey.owner_id)
                counted[key] += sign
                flagged[key] += sign if journey.open_flags else 0
    rows = [
        {"stage_id": stage, "owner_id": owner, "journeys": counted[stage, owner], "flagged": flagged[stage, owner]}
        for stage, owner in counted
        if counted[stage, owner] or flagged[stage, owner]
    ]
    if rows:
        db.connection().execute(insert(StageTally), rows)


def tally(db: Session, *, stage_id: int, owner_id: int | None, journeys: int = 0, flagged: int = 0) -> None:
    """Books a difference in the board's counts."""
    db.execute(
        insert(StageTally), [{"stage_id": stage_id, "owner_id": owner_id, "journeys": journeys, "flagged": flagged}]
    )


def _tell(db: Session, changes: Sequence[Change], *, now: datetime) -> None:
    events: list[Event] = []
    for change in changes:
        stages = change.pipeline.stages
        for effect in change.effects:
            told: tuple[Happened, str, dict[str, Any]] | None = None
            match effect:
                case rules.Moved():
                    detail = {
                        "from": stages[effect.from_position].key,
                        "to": stages[effect.to_position].key,
                        "reason": effect.reason,
                    }
                    told = (Happened.STAGE_ENTERED, effect.by, detail)
                case rules.Missed():
                    told = (Happened.CONTACT_MISSED, "system", {"day": effect.day})
                case rules.Converted():
                    told = (Happened.CONTACT_CONVERTED, "system", {"day": effect.day, "why": effect.why})
                case rules.UseStarted():
                    dates = {"from": effect.was.isoformat() if effect.was else None, "to": effect.on.isoformat()}
                    told = (Happened.USE_STARTED, effect.by, dates)
                case rules.Ended():
                    ended = Happened.JOURNEY_APPROVED if effect.how is rules.Ending.WON else Happened.JOURNEY_LOST
                    told = (ended, "system", {})
                case _:
                    pass
            if told is not None:
                events.append(Event(told[0], told[1], now, change.account_id, change.after.id, None, told[2]))
    audit.note_all(db, events)


def drop_due(db: Session, journey_id: int, *, keys: Sequence[str], why: str, now: datetime) -> None:
    """Takes waiting actions back, with the reason on the row."""
    db.execute(
        update(DueAction)
        .where(DueAction.journey_id == journey_id, DueAction.key.in_(keys), DueAction.done_at.is_(None))
        .values(done_at=now, result=why)
    )


def _assign_and_open_next(db: Session, house: House, changes: Sequence[Change], *, now: datetime) -> None:
    for change, _ in _of(changes, rules.Assign):
        owner_id = choose_consultant(db)
        if owner_id is not None:
            assign(db, journey_id=change.after.id, staff_id=owner_id, by="rule:assign_consultant", now=now)
    for change, effect in _of(changes, rules.OpenNext):
        open_journey(
            db,
            house,
            account_id=change.account_id,
            pipeline_key=effect.pipeline,
            owner_id=change.after.owner_id,
            previous_journey_id=change.after.id,
            by="rule:approved",
            now=now,
        )


def choose_consultant(db: Session) -> int | None:
    """Who gets the next customer, by `accounts.rules.next_consultant`; None where there is no consultant at all."""
    open_journeys = db.execute(
        select(JourneyRow.owner_id, func.count())
        .where(JourneyRow.status == Status.OPEN, JourneyRow.pipeline_key != "relationship")
        .group_by(JourneyRow.owner_id)
    )
    loads: dict[int | None, int] = {owner_id: number for owner_id, number in open_journeys}
    people = db.execute(
        select(Staff.id, Staff.last_assigned_at).where(Staff.role == Role.CONSULTANT, Staff.disabled_at.is_(None))
    )
    return next_consultant([Candidate(id_, loads.get(id_, 0), at) for id_, at in people])


def assign(db: Session, *, journey_id: int, staff_id: int, by: str, now: datetime) -> None:
    """Gives a journey, and its account, to a consultant. The journey's open activities go with it."""
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
        update(Activity).where(Activity.journey_id == journey_id, Activity.done_at.is_(None)).values(assignee_id=staff_id)
    )
    db.flush()
    audit.note(
        db,
        Event(Happened.CONSULTANT_ASSIGNED, by, now, row.account_id, journey_id, None, {"from": before, "to": staff_id}),
    )


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
    """Opens a journey at its first stage and gives its id; None where the one it follows has its successor already
    (invariant 4)."""
    pipeline_id = current_pipeline_id(db, pipeline_key)
    the_pipeline = pipeline(db, pipeline_id)
    first = the_pipeline.stages[0]
    if zone is None:
        person = primary_contacts(db, [account_id]).get(account_id)
        zone = person.timezone if person is not None else house.settings.default_timezone
    journey_id = db.scalar(
        insert_for(db, JourneyRow)
        .values(
            account_id=account_id,
            pipeline_id=pipeline_id,
            pipeline_key=pipeline_key,
            stage_id=first.id,
            position=0,
            visit=1,
            moved_back=False,
            owner_id=owner_id,
            status=Status.OPEN,
            zone=zone,
            opened_at=now,
            entered_at=now,
            open_flags=0,
            previous_journey_id=previous_journey_id,
            version=1,
        )
        .on_conflict_do_nothing()
        .returning(JourneyRow.id)
    )
    if journey_id is None:
        return None
    db.execute(
        insert(Visit).values(
            journey_id=journey_id, seq=1, stage_id=first.id, entered_at=now, moved_by=by, reason="", evidence={}
        )
    )
    if the_pipeline.contact_days:
        db.execute(
            insert(FollowUpRow), [{"journey_id": journey_id, "day": day} for day in the_pipeline.contact_days]
        )
    tally(db, stage_id=first.id, owner_id=owner_id, journeys=1)
    audit.note(db, Event(Happened.JOURNEY_OPENED, by, now, account_id, journey_id, None, {"pipeline": pipeline_key}))
    return journey_id
