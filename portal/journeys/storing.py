"""What the rules decided, written kind by kind: each kind of effect in one statement for a whole batch of journeys.

The journeys' rows are held by the caller.
"""

from collections import Counter
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from functools import cache
from typing import Any, NamedTuple, TypeVar

from sqlalchemy import and_, bindparam, insert, or_, select, update
from sqlalchemy.orm import Session

from portal import audit, auth, mail
from portal.accounts.models import Contact
from portal.audit import Event, Happened
from portal.clock import day_instant
from portal.db import (
    A_FEW,
    Base,
    connection_of,
    insert_all,
    insert_few,
    insert_new,
    insert_on,
    together,
    update_each,
    write_down,
    write_few,
)
from portal.errors import N_
from portal.house import House
from portal.journeys import rules
from portal.journeys.loading import Change
from portal.journeys.models import (
    Milestone,
    StageTally,
    Touchpoint,
)
from portal.journeys.rules import Status

E = TypeVar("E")

_JOURNEYS = Base.metadata.tables["journeys"]
_VISITS = Base.metadata.tables["visits"]
_FOLLOW_UPS = Base.metadata.tables["follow_ups"]
_DUE = Base.metadata.tables["due_actions"]
_WAITS = _DUE.c.done_at.is_(None)
_ACTIVITIES = Base.metadata.tables["activities"]
# Parts of statements that are built once (`update_each` keeps them by what they are made of).
_NEXT_VERSION = {"version": _JOURNEYS.c.version + 1}
_OPEN_VISIT = (_VISITS.c.left_at.is_(None),)
_OPEN_ACTIVITY = (_ACTIVITIES.c.done_at.is_(None),)


def write(db: Session, house: House, changes: Sequence[Change], *, now: datetime, told: Sequence[Event] = ()) -> None:
    """Writes these journeys as they are after their changes, and what their effects mean but for other journeys; and the
    events that led to it."""
    if not changes:
        return
    with together(db):
        _write_journeys(db, house, changes)
        _write_visits(db, changes)
        _write_contacts(db, changes)
        _write_due(db, changes, now=now)
        _drop_due(db, changes)
        write_activities(db, changes, now=now)
        _date_plans(db, house, changes)
        _write_letters(db, changes, now=now)
        _stop_mails_to_the_lost(db, changes, now=now)
        _write_tallies(db, changes)
        _tell(db, changes, now=now, told=told)


def effects_of(changes: Sequence[Change], kind: type[E]) -> list[tuple[Change, E]]:
    """Every effect of one kind, with its journey."""
    return [(change, effect) for change in changes for effect in change.effects if isinstance(effect, kind)]


# The journey and its visits


def _write_journeys(db: Session, house: House, changes: Sequence[Change]) -> None:
    rows = []
    for change in changes:
        journey = change.after
        behind_at, stuck_at = rules.limits(change.pipeline, journey, house.holidays) or (None, None)
        if not change.effects and (behind_at, stuck_at) == change.limits_before and journey == change.before:
            continue
        rows.append(
            {
                "id": journey.id,
                "stage_id": change.pipeline.stages[journey.position].id,
                "position": journey.position,
                "visit": journey.visit,
                "moved_back": journey.moved_back,
                "status": journey.status,
                "entered_at": journey.entered_at,
                "ended_at": journey.ended_at,
                "use_started_on": journey.use_started_on,
                "analysed_at": journey.analysed_at,
                "first_contact_at": journey.first_contact_at,
                "worked_at": journey.worked_at,
                "behind_at": behind_at,
                "stuck_at": stuck_at,
                # A new limit rings anew; one that stands as before keeps what was told of it already.
                "alert_at": change.alert_before if (behind_at, stuck_at) == change.limits_before else behind_at,
            }
        )
    update_each(db, _JOURNEYS, rows, by=("id",), also=_NEXT_VERSION)


def _write_visits(db: Session, changes: Sequence[Change]) -> None:
    left: dict[int, datetime] = {}
    new: list[dict[str, Any]] = []
    last: dict[int, dict[str, Any]] = {}
    for change, effect in effects_of(changes, rules.Moved):
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
    closed = [{"journey_id": journey_id, "left_at": at} for journey_id, at in left.items()]
    update_each(db, _VISITS, closed, by=("journey_id",), where=_OPEN_VISIT)
    insert_new(db, _VISITS, new, known_by=("id",))  # the same visit twice is a mistake, and fails


# The contacts


def _write_contacts(db: Session, changes: Sequence[Change]) -> None:
    missed = [{"journey_id": c.after.id, "day": e.day, "missed_at": e.at} for c, e in effects_of(changes, rules.Missed)]
    converted = [
        {"journey_id": c.after.id, "day": e.day, "sent_at": None, "converted_at": e.at, "converted_why": e.why}
        for c, e in effects_of(changes, rules.Converted)
    ]
    planned = [
        {"journey_id": c.after.id, "day": f.day, "due_on": f.due_on, "due_at": f.due_at}
        for c, _ in effects_of(changes, rules.UseStarted)
        for f, before in zip(c.after.follow_ups, c.before.follow_ups, strict=True)
        if (f.due_on, f.due_at)
        != (before.due_on, before.due_at)  # also where it was converted or missed in the same moment
    ]
    for rows in (missed, converted, planned):
        update_each(db, _FOLLOW_UPS, rows, by=("journey_id", "day"))


# What waits


def _write_due(db: Session, changes: Sequence[Change], *, now: datetime) -> None:
    rows = []
    for change, effect in effects_of(changes, rules.Due):
        kind, _, tail = effect.kind.partition(":")
        rows.append(
            {
                "journey_id": change.after.id,
                "kind": kind,
                "key": effect.key,
                "day": int(tail) if tail.isdigit() else 0,
                "what": "" if tail.isdigit() else tail,
                "due_at": effect.due_at,
                "created_at": now,
            }
        )
    if rows:
        dialect = db.get_bind().dialect.name
        distinct = {(row["journey_id"], row["key"]): row for row in rows}
        if len(distinct) <= A_FEW:
            few = list(distinct.values())
            write_few(db, _wait_or_move(dialect, tuple(few[0]), len(few)), few)
        else:
            write_down(db, _wait_or_move(dialect), *rows)
    moved = [
        {"journey_id": c.after.id, "key": f"survey:{f.day}", "due_at": max(f.due_at, now)}
        for c, e in effects_of(changes, rules.UseStarted)
        if e.was is not None
        for f in c.after.follow_ups
        if f.is_pending and f.due_at is not None
    ]
    update_each(db, _DUE, moved, by=("journey_id", "key"), where=[_WAITS])


@cache
def _wait_or_move(dialect: str, names: tuple[str, ...] = (), count: int = 0) -> Any:
    """The same action again (a start of use corrected, a stage entered anew) moves what still waits and takes up what was
    dropped; what was done stays done. A wake-up rings again once its day moved: it only asks the rules."""
    statement = insert_few(dialect, _DUE, names, count) if count else insert_on(dialect, _DUE)
    new_time = statement.excluded.due_at
    return statement.on_conflict_do_update(
        index_elements=["journey_id", "key"],
        set_={"due_at": new_time, "done_at": None, "result": ""},
        where=or_(_DUE.c.result != "done", and_(_DUE.c.kind == "wake", _DUE.c.due_at != new_time)),
    )


def _drop_due(db: Session, changes: Sequence[Change]) -> None:
    """What waited for a contact that became a call or was missed, or for a customer who left, waits no longer."""
    dropped = [(c, f"survey:{e.day}", e.at, e.why) for c, e in effects_of(changes, rules.Converted)]
    dropped += [
        (c, f"{kind}:{e.day}", e.at, e.why)
        for c, e in effects_of(changes, rules.Converted)
        if c.before.follow_up(e.day).sent_at is not None  # its mail was on its way: silence means nothing
        for kind in ("reminder", "call_no_answer")
    ]
    dropped += [
        (c, f"{kind}:{e.day}", e.at, "missed")
        for c, e in effects_of(changes, rules.Missed)
        for kind in ("survey", "reminder", "call_no_answer")
    ]
    rows = [{"journey_id": c.after.id, "key": key, "done_at": at, "result": why} for c, key, at, why in dropped]
    update_each(db, _DUE, rows, by=("journey_id", "key"), where=[_WAITS])
    lost = [{"journey_id": c.after.id, "done_at": e.at} for c, e in _lost(changes)]
    update_each(db, _DUE, lost, by=("journey_id",), where=[_WAITS], also={"result": "lost"})


def _lost(changes: Sequence[Change]) -> list[tuple[Change, rules.Ended]]:
    return [(c, e) for c, e in effects_of(changes, rules.Ended) if e.how is rules.Ending.LOST]


def drop_due(db: Session, journey_id: int, *, keys: Sequence[str], why: str, now: datetime) -> None:
    """Takes waiting actions back, with the reason on the row."""
    connection_of(db).execute(_DROP_KEYS, {"journey": journey_id, "these": list(keys), "at": now, "why": why})


def drop_due_of_kinds(db: Session, journey_id: int, *, kinds: Sequence[str], why: str, now: datetime) -> None:
    """The same for every waiting action of these kinds."""
    write_down(db, _drop_kinds(tuple(kinds)), {"journey": journey_id, "at": now, "why": why})


_DROP = (
    update(_DUE)
    .where(_DUE.c.journey_id == bindparam("journey"), _WAITS)
    .values(done_at=bindparam("at"), result=bindparam("why"))
)
_DROP_KEYS = _DROP.where(_DUE.c.key.in_(bindparam("these", expanding=True)))


@cache
def _drop_kinds(kinds: tuple[str, ...]) -> Any:
    return _DROP.where(or_(*(_DUE.c.kind == kind for kind in kinds)))


# Activities and the plan


def write_activities(db: Session, changes: Sequence[Change], *, now: datetime) -> None:
    """Puts what is to be done on the owners' lists; the same key again changes nothing."""
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
            "title": "",
            "done_by": "",
            "note": "",
        }
        for c, e in effects_of(changes, rules.NewActivity)
    ]
    insert_new(db, _ACTIVITIES, rows, known_by=("journey_id", "key"))


def _date_plans(db: Session, house: House, changes: Sequence[Change]) -> None:
    """Gives the plans their dates, or moves the pending ones: day N of use is the start plus N days (invariant 8)."""
    started = {c.after.id: (c, e) for c, e in effects_of(changes, rules.UseStarted)}
    if not started:
        return
    for table in (Milestone, Touchpoint):
        pending = db.execute(
            select(table.id, table.journey_id, table.day, table.due_on).where(
                table.journey_id.in_(sorted(started)), table.done_at.is_(None)
            )
        )
        dated = [
            {"id": row_id, "due_on": on}
            for row_id, journey_id, day, due_on in pending
            if (on := _planned_on(started[journey_id][1], day, due_on)) != due_on
        ]
        update_each(db, table.__table__, dated, by=("id",))
    _move_activities(db, house, [(c, e) for c, e in started.values() if e.was is not None])


def _planned_on(started: rules.UseStarted, day: int | None, due_on: date | None) -> date | None:
    if day is not None:
        return started.on + timedelta(days=day)
    if due_on is None or started.was is None:
        return due_on
    return due_on + (started.on - started.was)


def _move_activities(db: Session, house: House, corrected: Sequence[tuple[Change, rules.UseStarted]]) -> None:
    rows = [
        {
            "journey_id": change.after.id,
            "kind": kind,
            "day": day,
            "due_at": day_instant(effect.on, day, change.after.zone, house.holidays),
        }
        for change, effect in corrected
        for kind, day in rules.activities_by_day(change.pipeline)
    ]
    update_each(db, _ACTIVITIES, rows, by=("journey_id", "kind", "day"), where=_OPEN_ACTIVITY)


# Mails


class Addressee(NamedTuple):
    """Whom mails of an account go to."""

    id: int
    name: str
    email: str | None
    phone: str
    language: str
    timezone: str


_ADDRESSEES = (
    select(
        Contact.account_id,
        Contact.id,
        Contact.name,
        Contact.email,
        Contact.phone,
        Contact.language,
        Contact.timezone,
    )
    .where(Contact.account_id.in_(bindparam("accounts", expanding=True)), Contact.disabled_at.is_(None))
    # The last of an account wins: the primary contact, else the first one; those with an address before those without.
    .order_by(Contact.account_id, Contact.email.is_not(None), Contact.is_primary, Contact.id.desc())
)


def primary_contacts(db: Session, account_ids: Sequence[int]) -> dict[int, Addressee]:
    """Whom mails of each account go to: the primary contact, else the first; those with an address come first."""
    rows = db.execute(_ADDRESSEES, {"accounts": sorted(set(account_ids))})
    return {row.account_id: Addressee(*row[1:]) for row in rows}


def _write_letters(db: Session, changes: Sequence[Change], *, now: datetime) -> None:
    wanted = effects_of(changes, rules.Letter)
    if not wanted:
        return
    people = primary_contacts(db, [c.account_id for c, _ in wanted])
    welcomed = {
        person.id: person.email
        for change, effect in wanted
        if effect.kind == "welcome" and (person := people.get(change.account_id)) is not None and person.email
    }
    # The mail lets them in: their consultant is introduced by somebody they can already look up.
    links = auth.welcome_links(db, welcomed, now=now) if welcomed else {}
    letters = [
        mail.Letter(
            key=f"{effect.key}:journey:{change.after.id}",
            kind=mail.Kind(effect.kind),
            to_email=person.email,
            language=person.language,
            account_id=change.account_id,
            journey_id=change.after.id,
            contact_id=person.id,
            context={"link_id": links[person.id]} if effect.kind == "welcome" else {},
        )
        for change, effect in wanted
        if (person := people.get(change.account_id)) is not None and person.email
    ]
    mail.queue_all(db, letters, now=now)
    finish_touchpoints(db, [c.after.id for c, e in wanted if e.kind == "welcome"], key="welcome", now=now)


def finish_touchpoints(db: Session, journey_ids: Sequence[int], *, key: str, now: datetime) -> None:
    """Notes that these customers had this touchpoint of their plan."""
    if len(journey_ids) == 1:
        write_down(db, _FINISH_ONE_TOUCHPOINT, {"journey": journey_ids[0], "the_key": key, "at": now})
    elif journey_ids:
        connection_of(db).execute(_FINISH_TOUCHPOINTS, {"journeys": list(journey_ids), "the_key": key, "at": now})


_TOUCHPOINTS = Base.metadata.tables["touchpoints"]
_FINISH = (
    update(_TOUCHPOINTS)
    .where(_TOUCHPOINTS.c.key == bindparam("the_key"), _TOUCHPOINTS.c.done_at.is_(None))
    .values(done_at=bindparam("at"))
)
_FINISH_TOUCHPOINTS = _FINISH.where(_TOUCHPOINTS.c.journey_id.in_(bindparam("journeys", expanding=True)))
_FINISH_ONE_TOUCHPOINT = _FINISH.where(_TOUCHPOINTS.c.journey_id == bindparam("journey"))


_TO_CUSTOMERS = (mail.Kind.SURVEY_30, mail.Kind.SURVEY_60, mail.Kind.SURVEY_90, mail.Kind.SURVEY_REMINDER)


def _stop_mails_to_the_lost(db: Session, changes: Sequence[Change], *, now: datetime) -> None:
    for change, _ in _lost(changes):
        why = N_("The customer left before it went out.")
        mail.suppress(db, why=why, now=now, kinds=_TO_CUSTOMERS, journey_id=change.after.id)


# The board's counts and the timeline


def _write_tallies(db: Session, changes: Sequence[Change]) -> None:
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
    insert_all(db, StageTally.__table__, rows)


def tally(db: Session, *, stage_id: int, owner_id: int | None, journeys: int = 0, flagged: int = 0) -> None:
    """Books a difference in the board's counts."""
    db.execute(
        insert(StageTally), [{"stage_id": stage_id, "owner_id": owner_id, "journeys": journeys, "flagged": flagged}]
    )


def _tell(db: Session, changes: Sequence[Change], *, now: datetime, told: Sequence[Event]) -> None:
    events = list(told)
    for change in changes:
        for effect in change.effects:
            if (its := _told(change, effect)) is not None:
                what, by, detail = its
                events.append(Event(what, by, now, change.account_id, change.after.id, None, detail))
    audit.note_all(db, events)


def _told(change: Change, effect: rules.Effect) -> tuple[Happened, str, dict[str, Any]] | None:
    """How the timeline tells an effect; None for what is told elsewhere or not at all."""
    match effect:
        case rules.Moved():
            stages = change.pipeline.stages
            there = {"from": stages[effect.from_position].key, "to": stages[effect.to_position].key}
            return Happened.STAGE_ENTERED, effect.by, {**there, "reason": effect.reason}
        case rules.Missed():
            return Happened.CONTACT_MISSED, "system", {"day": effect.day}
        case rules.Converted():
            return Happened.CONTACT_CONVERTED, "system", {"day": effect.day, "why": effect.why}
        case rules.UseStarted():
            was = effect.was.isoformat() if effect.was else None
            return Happened.USE_STARTED, effect.by, {"from": was, "to": effect.on.isoformat()}
        case rules.Ended(how=rules.Ending.WON):
            return Happened.JOURNEY_APPROVED, effect.by, {}
        case rules.Ended():
            return Happened.JOURNEY_LOST, effect.by, {"reason": effect.reason}
        case _:
            return None
