"""Flags: a case is opened by an answer, a request for help or a consultant, and ends only by a person's recorded outcome."""

from datetime import datetime
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from portal import audit, mail
from portal.accounts.models import Account, Contact, Staff
from portal.accounts.rules import Role
from portal.audit import Event, Happened
from portal.errors import N_, NotFound, Refused
from portal.house import House
from portal.journeys import conduct, rules
from portal.journeys.models import Flag, FollowUpRow, JourneyRow, Resolution, StageRow
from portal.journeys.rules import FlagOrigin, FlagOutcome, SettledBy, Status


def open_flag(
    db: Session,
    house: House,
    *,
    journey_id: int,
    origin: FlagOrigin,
    by: str,
    now: datetime,
    contact_id: int | None = None,
    answer_id: int | None = None,
    day: int | None = None,
    words: str = "",
    scores: dict[str, Any] | None = None,
) -> int:
    """Opens a case on a journey, tells its consultant at once, and stops reminders; gives the flag's id.

    The same answer again gives its one flag (invariant 5).
    """
    conduct.lock(db, journey_id)
    if answer_id is not None and (known := db.scalar(select(Flag.id).where(Flag.answer_id == answer_id))):
        return known
    journey = db.get_one(JourneyRow, journey_id, populate_existing=True)
    act_by = rules.act_by(now, house.settings.flag_hours, journey.zone, house.holidays)
    flag = Flag(
        journey_id=journey_id,
        account_id=journey.account_id,
        contact_id=contact_id,
        answer_id=answer_id,
        origin=origin,
        day=day,
        stage_id=journey.stage_id,
        assignee_id=journey.owner_id,
        words=words,
        scores=scores or {},
        opened_at=now,
        opened_by=by,
        act_by=act_by,
        alert_at=act_by,
    )
    db.add(flag)
    db.flush()
    _count(db, journey, 1)
    drop_reminders(db, journey_id, why="flag", now=now)
    detail = {"flag": flag.id, "origin": origin, "words": words, "day": day}
    audit.note(db, Event(Happened.FLAG_OPENED, by, now, journey.account_id, journey_id, contact_id, detail))
    _tell_consultant(db, flag, journey, now=now)
    return flag.id


def drop_reminders(db: Session, journey_id: int, *, why: str, now: datetime) -> None:
    """Stops what was to follow surveys without an answer: reminders and calls still waiting, mails not yet sent."""
    days = [f"{kind}:{day}" for kind in ("reminder", "call_no_answer") for day in (30, 60, 90)]
    conduct.drop_due(db, journey_id, keys=days, why=why, now=now)
    mail.suppress(
        db,
        why=N_("They answered or got in touch before the reminder went out."),
        now=now,
        kinds=(mail.Kind.SURVEY_REMINDER,),
        journey_id=journey_id,
    )


def _count(db: Session, journey: JourneyRow, difference: int) -> None:
    """Keeps the journey's number of open flags, and the board's count of flagged journeys, as they are."""
    was = journey.open_flags
    journey.open_flags = was + difference
    journey.version += 1
    db.flush()
    change = int(journey.open_flags > 0) - int(was > 0)
    if change and journey.status is not Status.LOST:
        conduct.tally(db, stage_id=journey.stage_id, owner_id=journey.owner_id, flagged=change)


def _tell_consultant(db: Session, flag: Flag, journey: JourneyRow, *, now: datetime) -> None:
    reader = db.get(Staff, journey.owner_id) if journey.owner_id else None
    readers = [reader] if reader is not None and reader.disabled_at is None else managers(db)
    mail.queue_all(
        db,
        [
            mail.Letter(
                key=f"flag_opened:{flag.id}:staff:{person.id}",
                kind=mail.Kind.FLAG_OPENED,
                to_email=person.email,
                language=person.language,
                account_id=journey.account_id,
                journey_id=journey.id,
                staff_id=person.id,
                context=_flag_context(db, flag),
            )
            for person in readers
        ],
        now=now,
    )


def _flag_context(db: Session, flag: Flag) -> dict[str, Any]:
    person = db.get(Contact, flag.contact_id) if flag.contact_id else None
    stage = db.get_one(StageRow, flag.stage_id)
    return {
        "person_name": person.name if person is not None else db.get_one(Account, flag.account_id).name,
        "stage_name": stage.name_en,
        "path": f"/staff/flags/{flag.id}",
        "act_by_at": flag.act_by,
        "words": flag.words,
        **{k: v for k, v in flag.scores.items() if k in ("csat", "nps", "wants_help")},
    }


def managers(db: Session) -> list[Staff]:
    """Managers who work here; administrators where there is none."""
    for role in (Role.MANAGER, Role.ADMINISTRATOR):
        found = db.scalars(select(Staff).where(Staff.role == role, Staff.disabled_at.is_(None)).order_by(Staff.id)).all()
        if found:
            return list(found)
    return []


def _flag_and_journey(db: Session, flag_id: int) -> tuple[Flag, JourneyRow]:
    journey_id = db.scalar(select(Flag.journey_id).where(Flag.id == flag_id))
    if journey_id is None:
        raise NotFound
    conduct.lock(db, journey_id)
    flag = db.get_one(Flag, flag_id, populate_existing=True)
    return flag, db.get_one(JourneyRow, journey_id, populate_existing=True)


def act_on_flag(db: Session, *, flag_id: int, how: str, by: str, now: datetime) -> None:
    """Notes the first thing that somebody did about it (`reply`, `call`, `meeting`): the clock for acting stops."""
    flag, journey = _flag_and_journey(db, flag_id)
    _acted(db, flag, journey, how=how, by=by, now=now)


def _acted(db: Session, flag: Flag, journey: JourneyRow, *, how: str, by: str, now: datetime) -> None:
    if flag.acted_at is None:
        flag.acted_at, flag.acted_by, flag.alert_at = now, by, None
    journey.worked_at = now
    db.flush()
    event = Event(Happened.FLAG_ACTED_ON, by, now, flag.account_id, flag.journey_id, flag.contact_id, {"flag": flag.id, "how": how})
    audit.note(db, event)


def act_on_open_flags(db: Session, journey_id: int, *, how: str, by: str, now: datetime) -> None:
    """The same for every flag that is open on a journey, when a conversation or meeting touches them all."""
    journey = db.get_one(JourneyRow, journey_id)
    for flag in db.scalars(select(Flag).where(Flag.journey_id == journey_id, Flag.closed_at.is_(None))):
        _acted(db, flag, journey, how=how, by=by, now=now)


def resolve_flag(
    db: Session, house: House, *, flag_id: int, outcome: FlagOutcome, note: str, by: str, now: datetime
) -> None:
    """Ends a case with what was done. Resolved: its contact is settled and the customer is told and asked whether that's
    true; accepted risk: the stage is released, the contact stays to be settled; lost: the journey ends as lost.

    Errors: Refused if it was ended already.
    """
    flag, journey = _flag_and_journey(db, flag_id)
    if flag.closed_at is not None:
        raise Refused(N_("Somebody already settled this flag. Reload the page to see how."))
    resolution = Resolution(flag_id=flag_id, outcome=outcome, note=note, by=by, at=now)
    db.add(resolution)
    flag.closed_at, flag.alert_at = now, None
    if flag.acted_at is None:
        flag.acted_at, flag.acted_by = now, by
    journey.worked_at = now
    db.flush()
    _count(db, journey, -1)
    detail = {"flag": flag.id, "outcome": outcome, "note": note}
    audit.note(db, Event(Happened.FLAG_CLOSED, by, now, flag.account_id, journey.id, flag.contact_id, detail))
    if outcome is FlagOutcome.LOST:
        lose(db, journey_id=journey.id, by=by, reason=note, now=now)
        return
    if outcome is FlagOutcome.RESOLVED:
        if flag.day is not None:
            settle(db, journey.id, days=(flag.day,), by=SettledBy.FLAG, who=by, now=now)
        _tell_customer(db, flag, resolution, now=now)
    conduct.advance(db, house, ids=[journey.id], now=now)


def settle(db: Session, journey_id: int, *, days: tuple[int, ...], by: SettledBy, who: str, now: datetime) -> None:
    """Settles contacts that are not settled yet. The journey's row is held by the caller."""
    settled = db.execute(
        update(FollowUpRow)
        .where(FollowUpRow.journey_id == journey_id, FollowUpRow.day.in_(days), FollowUpRow.settled_at.is_(None))
        .values(settled_at=now, settled_by=by)
        .returning(FollowUpRow.day)
    ).scalars().all()
    account_id = db.scalar(select(JourneyRow.account_id).where(JourneyRow.id == journey_id))
    audit.note_all(
        db,
        [Event(Happened.CONTACT_SETTLED, who, now, account_id, journey_id, None, {"day": d, "by": by}) for d in sorted(settled)],
    )
    keys = [f"{kind}:{day}" for day in settled for kind in ("survey", "reminder", "call_no_answer")]
    conduct.drop_due(db, journey_id, keys=keys, why="settled", now=now)


def _tell_customer(db: Session, flag: Flag, resolution: Resolution, *, now: datetime) -> None:
    person = db.get(Contact, flag.contact_id) if flag.contact_id else None
    if person is None or not person.email or person.disabled_at is not None:
        return
    mail.queue(
        db,
        mail.Letter(
            key=f"flag_resolved:{resolution.id}",
            kind=mail.Kind.FLAG_RESOLVED,
            to_email=person.email,
            language=person.language,
            account_id=flag.account_id,
            journey_id=flag.journey_id,
            contact_id=person.id,
            context={"done": resolution.note, "told_us": flag.words, "resolution_id": resolution.id},
        ),
        now=now,
    )


def lose(db: Session, *, journey_id: int, by: str, reason: str, now: datetime) -> None:
    """Ends a journey as lost where it stands. The journey's row is held by the caller."""
    journey = db.get_one(JourneyRow, journey_id)
    if journey.status is not Status.OPEN:
        return
    conduct.tally(
        db, stage_id=journey.stage_id, owner_id=journey.owner_id, journeys=-1, flagged=-1 if journey.open_flags else 0
    )
    journey.status, journey.ended_at = Status.LOST, now
    journey.behind_at = journey.stuck_at = journey.alert_at = None
    journey.version += 1
    db.flush()
    audit.note(db, Event(Happened.JOURNEY_LOST, by, now, journey.account_id, journey_id, None, {"reason": reason}))


def confirm_resolution(db: Session, *, resolution_id: int, by: str, now: datetime) -> None:
    """The customer says that it is solved."""
    resolution, flag = _standing(db, resolution_id)
    if resolution.undone_at is None and resolution.confirmed_at is None:
        resolution.confirmed_at = now
        db.flush()
        audit.note(
            db,
            Event(Happened.NOTE_WRITTEN, by, now, flag.account_id, flag.journey_id, flag.contact_id, {"flag": flag.id, "confirmed": True}),
        )


def reopen_flag(
    db: Session, house: House, *, resolution_id: int, words: str, by: str, now: datetime
) -> None:
    """The customer says "not solved": the resolution is undone and the case is open again, with a new clock."""
    resolution, flag = _standing(db, resolution_id)
    if resolution.undone_at is not None:
        return
    journey = db.get_one(JourneyRow, flag.journey_id, populate_existing=True)
    resolution.undone_at, resolution.undone_by, resolution.undone_words = now, by, words
    flag.closed_at, flag.acted_at, flag.acted_by = None, None, ""
    flag.act_by = rules.act_by(now, house.settings.flag_hours, journey.zone, house.holidays)
    flag.alert_at = flag.act_by
    db.flush()
    _count(db, journey, 1)
    detail = {"flag": flag.id, "words": words}
    audit.note(db, Event(Happened.FLAG_REOPENED, by, now, flag.account_id, journey.id, flag.contact_id, detail))
    owner = db.get(Staff, journey.owner_id) if journey.owner_id else None
    mail.queue_all(
        db,
        [
            mail.Letter(
                key=f"flag_reopened:{resolution.id}:staff:{person.id}",
                kind=mail.Kind.FLAG_OPENED,
                to_email=person.email,
                language=person.language,
                account_id=journey.account_id,
                journey_id=journey.id,
                staff_id=person.id,
                context={**_flag_context(db, flag), "words": words or flag.words},
            )
            for person in ([owner] if owner is not None else managers(db))
        ],
        now=now,
    )


def _standing(db: Session, resolution_id: int) -> tuple[Resolution, Flag]:
    flag_id = db.scalar(select(Resolution.flag_id).where(Resolution.id == resolution_id))
    if flag_id is None:
        raise NotFound
    flag, _ = _flag_and_journey(db, flag_id)
    return db.get_one(Resolution, resolution_id, populate_existing=True), flag


def tell_managers_of_late_flags(db: Session, *, now: datetime, limit: int = 200) -> int:
    """Late cases go up to the manager, once each; gives how many. (domain.md, "Flags: closing the loop")"""
    flags = db.scalars(
        select(Flag)
        .where(Flag.alert_at <= now, Flag.closed_at.is_(None))
        .order_by(Flag.alert_at, Flag.id)
        .limit(limit)
        .with_for_update(skip_locked=True)
    ).all()
    people = managers(db)
    for flag in flags:
        journey = db.get_one(JourneyRow, flag.journey_id)
        owner = db.get(Staff, journey.owner_id) if journey.owner_id else None
        context = {
            **_flag_context(db, flag),
            "opened_at": flag.opened_at,
            "consultant_name": owner.name if owner is not None else "",
        }
        mail.queue_all(
            db,
            [
                mail.Letter(
                    key=f"flag_late:{flag.id}:{flag.act_by.isoformat()}:staff:{person.id}",
                    kind=mail.Kind.FLAG_LATE,
                    to_email=person.email,
                    language=person.language,
                    account_id=flag.account_id,
                    journey_id=flag.journey_id,
                    staff_id=person.id,
                    context=context,
                )
                for person in people
            ],
            now=now,
        )
        audit.note(
            db, Event(Happened.FLAG_LATE, "system", now, flag.account_id, flag.journey_id, flag.contact_id, {"flag": flag.id})
        )
        flag.alert_at = None
    db.flush()
    return len(flags)


def churn(db: Session, *, account_id: int, on: Any, reason: str, by: str, now: datetime) -> None:
    """The account has left: its open journeys end as lost."""
    # FOR NO KEY UPDATE: who holds a journey and writes a row of its account (a foreign key) must not wait for us
    # while we wait for that journey.
    account = db.get(Account, account_id, with_for_update={"key_share": True}, populate_existing=True)
    if account is None:
        raise NotFound
    account.churned_on, account.churn_reason = on, reason
    ids = db.scalars(
        select(JourneyRow.id).where(JourneyRow.account_id == account_id, JourneyRow.status == Status.OPEN).order_by(JourneyRow.id)
    ).all()
    for journey_id in ids:
        conduct.lock(db, journey_id)
        lose(db, journey_id=journey_id, by=by, reason=reason, now=now)
    audit.note(db, Event(Happened.ACCOUNT_CHURNED, by, now, account_id, None, None, {"reason": reason}))
