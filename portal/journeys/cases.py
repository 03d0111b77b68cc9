"""Flags: a case is opened by an answer, a request for help or a consultant, and ends only by a person's recorded outcome."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, bindparam, exists, func, insert, or_, select, text, update
from sqlalchemy.orm import Session, aliased
from sqlalchemy.orm.util import identity_key

from portal import audit, mail
from portal.accounts.models import Account, Contact, Staff
from portal.accounts.rules import Role
from portal.audit import Event, Happened
from portal.db import BigId, rows_of, send, write_down
from portal.errors import N_, NotFound, Refused
from portal.house import House
from portal.journeys import conduct, rules, storing
from portal.journeys.models import (
    Activity,
    Flag,
    FollowUpRow,
    JourneyRow,
    OfferedTimes,
    RatingAfter,
    Resolution,
    StageRow,
)
from portal.journeys.rules import ActivityKind, FlagOrigin, FlagOutcome, SettledBy, Status
from portal.links import new_nonce


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
    change: conduct.Change | None = None,
    told: Sequence[Event] = (),
) -> int:
    """Opens a case on a journey, tells its consultant at once, and stops reminders; gives the flag's id.

    The same answer again gives its one flag (invariant 5). A contact whose day has come becomes a call. `change`: the
    journey, where the caller has loaded it; `told`: events that led to it, written along with its own.
    """
    if change is None:
        change = conduct.load(db, [journey_id])[journey_id]
    if answer_id is not None and (known := rows_of(db, _FLAG_OF_ANSWER, {"answer": answer_id})):
        return int(known[0].id)
    journey, account_id = change.after, change.account_id
    act_by = rules.act_by(now, house.settings.flag_hours, journey.zone, house.holidays)
    flag = {
        "journey_id": journey_id,
        "account_id": account_id,
        "contact_id": contact_id,
        "answer_id": answer_id,
        "origin": origin,
        "day": day,
        "stage_id": change.pipeline.stages[journey.position].id,
        "assignee_id": journey.owner_id,
        "words": words,
        "scores": scores or {},
        "opened_at": now,
        "opened_by": by,
        "act_by": act_by,
        "alert_at": act_by,
        "half_at": _half_at(house, journey.zone, now),
    }
    flag_id: int = send(db, _NEW_FLAG, flag).scalar_one()
    write_down(db, _ONE_MORE, {"journey": journey_id})
    _forget(db, journey_id)
    change.after = journey._replace(open_flags=journey.open_flags + 1)
    drop_reminders(db, journey_id, why="answer" if answer_id is not None else "flag", now=now)
    detail = {"flag": flag_id, "origin": origin, "words": words, "day": day}
    opened = Event(Happened.FLAG_OPENED, by, now, account_id, journey_id, contact_id, detail)
    _tell_of_new(db, flag_id, flag, now=now)
    conduct.fold(change, now=now, house=house)
    conduct.store(db, house, changes=[change], now=now, told=[*told, opened])
    return flag_id


_FLAGS: Any = Flag.__table__
_JOURNEYS: Any = JourneyRow.__table__
_FLAG_OF_ANSWER = select(_FLAGS.c.id).where(_FLAGS.c.answer_id == bindparam("answer"))
_NEW_FLAG = insert(_FLAGS).returning(_FLAGS.c.id)
_ONE_MORE = (
    update(_JOURNEYS)
    .where(_JOURNEYS.c.id == bindparam("journey"))
    .values(open_flags=_JOURNEYS.c.open_flags + 1, version=_JOURNEYS.c.version + 1)
)


def _forget(db: Session, journey_id: int) -> None:
    """Has a row that the session knows read anew when it is asked next: it was written past it."""
    if (known := db.identity_map.get(identity_key(JourneyRow, journey_id))) is not None:
        db.expire(known)


def _tell_of_new(db: Session, flag_id: int, flag: Mapping[str, Any], *, now: datetime) -> None:
    """The same mail as `_tell_consultant`'s, with what it says read at once: somebody waits who has just said so."""
    about = {name: flag[name] for name in ("account_id", "contact_id", "stage_id")}
    known = rows_of(db, _ABOUT_NEW, {**about, "owner_id": flag["assignee_id"]})[0]
    context = _context_of(
        flag_id,
        person_name=known.person_name or known.account_name,
        stage_name=known.stage_name,
        act_by=flag["act_by"],
        words=flag["words"],
        scores=flag["scores"],
    )
    readers: Sequence[Any] = [known] if known.id is not None else managers(db)
    of = (flag["account_id"], flag["journey_id"])
    _tell(db, readers, of, key=f"flag_opened:{flag_id}", context=context, now=now)


_ABOUT_NEW = (
    select(
        Account.name.label("account_name"),
        Contact.name.label("person_name"),
        StageRow.name_en.label("stage_name"),
        Staff.id,
        Staff.email,
        Staff.language,
    )
    .select_from(Account)
    .join(StageRow, StageRow.id == bindparam("stage_id"))
    .outerjoin(Contact, Contact.id == bindparam("contact_id", type_=BigId))
    .outerjoin(Staff, and_(Staff.id == bindparam("owner_id", type_=BigId), Staff.disabled_at.is_(None)))
    .where(Account.id == bindparam("account_id"))
)


def _half_at(house: House, zone: str, now: datetime) -> datetime:
    return rules.act_by(now, house.settings.flag_hours / 2, zone, house.holidays)


def take_up_change(
    db: Session, earlier: Sequence[int], answer_id: int, *, words: str, scores: dict[str, Any]
) -> int | None:
    """An unhappy answer was changed and is unhappy still: its open case goes on about the new version. Gives that case,
    or the one that it goes on in."""
    flag: Flag | None = db.scalars(
        select(Flag).where(Flag.answer_id.in_(earlier), _GOES_ON).order_by(Flag.id.desc()).limit(1)
    ).first()
    if flag is None:
        return None
    flag.answer_id, flag.words, flag.scores = answer_id, words or flag.words, scores
    db.flush()
    return flag.merged_into_id or flag.id


_MAIN = aliased(Flag)
_GOES_ON = or_(
    Flag.closed_at.is_(None),
    exists().where(_MAIN.id == Flag.merged_into_id, _MAIN.closed_at.is_(None)),
)
"""Open itself, or merged into a case that is open."""


def open_case(db: Session, journey_id: int, contact_id: int | None) -> int | None:
    """The oldest case that is open for this person; of the whole journey, where nobody is named."""
    same = [Flag.contact_id == contact_id] if contact_id is not None else []
    wanted = select(Flag.id).where(Flag.journey_id == journey_id, Flag.closed_at.is_(None), *same)
    found: int | None = db.scalar(wanted.order_by(Flag.id).limit(1))
    return found


def flag_conversation(
    db: Session,
    house: House,
    *,
    journey_id: int,
    contact_id: int | None,
    day: int | None,
    words: str,
    by: str,
    now: datetime,
) -> int:
    """A conversation showed that the customer is unhappy: gives the case that is open for this person, else opens one."""
    known = open_case(db, journey_id, contact_id)
    if known is not None:
        conduct.advance(db, house, ids=[journey_id], now=now)
        return known
    return open_flag(
        db,
        house,
        journey_id=journey_id,
        origin=FlagOrigin.CONVERSATION,
        by=by,
        now=now,
        contact_id=contact_id,
        day=day,
        words=words,
    )


def is_disputed(db: Session, journey_id: int, day: int) -> bool:
    """Whether a flag about that contact is open: then no kind word of anybody settles it."""
    about = select(Flag.id).where(Flag.journey_id == journey_id, Flag.day == day, _GOES_ON).limit(1)
    return db.scalar(about) is not None


def unhappy(db: Session, contact_ids: Sequence[int]) -> set[int]:
    """Those of these people who have an open flag."""
    wanted = select(Flag.contact_id).where(Flag.contact_id.in_(contact_ids), Flag.closed_at.is_(None))
    return {one for one in db.scalars(wanted) if one is not None}


def drop_reminders(db: Session, journey_id: int, *, why: str, now: datetime, in_outbox: bool = True) -> None:
    """Stops what was to follow surveys without an answer: reminders and calls still waiting, mails not yet sent (unless
    the caller, who holds the journey, knows that none lies in the outbox)."""
    conduct.drop_due_of_kinds(db, journey_id, kinds=("reminder", "call_no_answer"), why=why, now=now)
    if not in_outbox:
        return
    write_down(db, _STOP_REMINDERS, {"journey": journey_id, "at": now})


_LETTERS: Any = mail.LetterRow.__table__
_ACTIVITIES: Any = Activity.__table__


def reminder_waits(journey_id: Any) -> ColumnElement[bool]:
    """Whether a reminder of this journey lies in the outbox, as part of a statement."""
    return exists().where(
        text(mail.WAITING), _LETTERS.c.kind == mail.Kind.SURVEY_REMINDER, _LETTERS.c.journey_id == journey_id
    )


def call_waits(journey_id: Any, day: Any) -> ColumnElement[bool]:
    """Whether a call about this contact is on somebody's list, as part of a statement."""
    return exists().where(
        _ACTIVITIES.c.journey_id == journey_id,
        or_(*(_ACTIVITIES.c.kind == kind for kind in rules.CALLS_OF_CONTACTS)),
        _ACTIVITIES.c.day == day,
        _ACTIVITIES.c.done_at.is_(None),
    )


_STOP_REMINDERS = (
    update(_LETTERS)
    .where(
        text(mail.WAITING),
        _LETTERS.c.kind == mail.Kind.SURVEY_REMINDER,
        _LETTERS.c.journey_id == bindparam("journey"),
    )
    .values(suppressed_at=bindparam("at"), why=N_("They answered or got in touch before the reminder went out."))
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


def _tell_consultant(db: Session, flag: Flag, journey: JourneyRow, *, key: str, words: str, now: datetime) -> None:
    at_work = [db.get(Staff, one) for one in (flag.handed_to_id, journey.owner_id) if one is not None]
    readers = [one for one in at_work if one is not None and one.disabled_at is None][:1] or managers(db)
    context = {**_flag_context(db, flag), "words": words}
    _tell(db, readers, (journey.account_id, journey.id), key=key, context=context, now=now)


def _tell(
    db: Session, readers: Sequence[Any], of: tuple[int, int], *, key: str, context: dict[str, Any], now: datetime
) -> None:
    """Mails these colleagues about an open case of an account and journey (`of`)."""
    account_id, journey_id = of
    letters = [
        mail.Letter(
            key=f"{key}:staff:{person.id}",
            kind=mail.Kind.FLAG_OPENED,
            to_email=person.email,
            language=person.language,
            account_id=account_id,
            journey_id=journey_id,
            staff_id=person.id,
            context=context,
        )
        for person in readers
    ]
    mail.queue_all(db, letters, now=now)


def _flag_context(db: Session, flag: Flag) -> dict[str, Any]:
    person = db.get(Contact, flag.contact_id) if flag.contact_id else None
    return _context_of(
        flag.id,
        person_name=person.name if person is not None else db.get_one(Account, flag.account_id).name,
        stage_name=db.get_one(StageRow, flag.stage_id).name_en,
        act_by=flag.act_by,
        words=flag.words,
        scores=flag.scores,
    )


def _context_of(
    flag_id: int, *, person_name: str, stage_name: str, act_by: datetime, words: str, scores: Mapping[str, Any]
) -> dict[str, Any]:
    return {
        "person_name": person_name,
        "stage_name": stage_name,
        "path": f"/staff/flags/{flag_id}",
        "act_by_at": act_by,
        "words": words,
        **{k: v for k, v in scores.items() if k in ("csat", "nps", "wants_help")},
    }


def managers(db: Session) -> list[Staff]:
    """Managers who work here; administrators where there is none."""
    for role in (Role.MANAGER, Role.ADMINISTRATOR):
        found = db.scalars(
            select(Staff).where(Staff.role == role, Staff.disabled_at.is_(None)).order_by(Staff.id)
        ).all()
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
    event = Event(
        Happened.FLAG_ACTED_ON,
        by,
        now,
        flag.account_id,
        flag.journey_id,
        flag.contact_id,
        {"flag": flag.id, "how": how},
    )
    audit.note(db, event)


def act_on_open_flags(db: Session, journey_id: int, *, how: str, by: str, now: datetime) -> None:
    """The same for every flag that is open on a journey, when a conversation or meeting touches them all."""
    journey = db.get_one(JourneyRow, journey_id)
    for flag in db.scalars(select(Flag).where(Flag.journey_id == journey_id, Flag.closed_at.is_(None))):
        _acted(db, flag, journey, how=how, by=by, now=now)


def resolve_flag(
    db: Session,
    house: House,
    *,
    flag_id: int,
    outcome: FlagOutcome,
    note: str,
    by: str,
    now: datetime,
    reason_id: int | None = None,
) -> None:
    """Ends a case with what was done. Resolved: its contact is settled and the customer is told and asked whether that's
    true; accepted risk: the stage is released, the contact stays to be settled; lost: the journey ends as lost. Cases
    that were merged into it end with it.

    Errors: Refused if it was ended already; for `merged`, which is `merge_flags`.
    """
    if outcome is FlagOutcome.MERGED:
        raise Refused(N_("Choose how the flag ended."))
    flag, journey = _flag_and_journey(db, flag_id)
    resolution = _close(db, flag, journey, outcome=outcome, note=note, reason_id=reason_id, by=by, now=now)
    match outcome:
        case FlagOutcome.LOST:
            _lose_customer(db, house, journey, by=by, reason=note, now=now)
        case FlagOutcome.RESOLVED:
            days = tuple(day for day in _days_of(db, flag) if not is_disputed(db, journey.id, day))
            if days:
                settle(db, journey.id, days=days, by=SettledBy.FLAG, who=by, now=now)
            _tell_customer(db, flag, resolution, now=now)
        case FlagOutcome.ACCEPTED_RISK:
            _call_about(db, journey, _days_of(db, flag), now=now)
    conduct.advance(db, house, ids=[journey.id], now=now)


def _close(
    db: Session,
    flag: Flag,
    journey: JourneyRow,
    *,
    outcome: FlagOutcome,
    note: str,
    by: str,
    now: datetime,
    reason_id: int | None = None,
) -> Resolution:
    if flag.closed_at is not None:
        raise Refused(N_("Somebody already settled this flag. Reload the page to see how."))
    resolution = Resolution(flag_id=flag.id, outcome=outcome, note=note, reason_id=reason_id, by=by, at=now)
    db.add(resolution)
    flag.closed_at, flag.alert_at = now, None
    if flag.acted_at is None:
        flag.acted_at, flag.acted_by = now, by
    journey.worked_at = now
    db.flush()
    _count(db, journey, -1)
    detail = {"flag": flag.id, "outcome": outcome, "note": note}
    audit.note(db, Event(Happened.FLAG_CLOSED, by, now, flag.account_id, journey.id, flag.contact_id, detail))
    return resolution


def _days_of(db: Session, flag: Flag) -> list[int]:
    """The contacts that a case is about, with those that were merged into it."""
    same = or_(Flag.id == flag.id, Flag.merged_into_id == flag.id)
    return [
        day
        for day in db.scalars(select(Flag.day).where(same, Flag.day.is_not(None)).distinct().order_by(Flag.day))
        if day is not None
    ]


def _call_about(db: Session, journey: JourneyRow, days: Sequence[int], *, now: datetime) -> None:
    """The contact that an accepted risk leaves open still has to be settled: by a call, since the survey was answered."""
    change = conduct.load(db, [journey.id])[journey.id]
    calls = [rules.call_instead(day, now) for day in days if not change.after.follow_up(day).is_settled]
    if calls:
        change.add(calls)
        storing.write_activities(db, [change], now=now)


def merge_flags(db: Session, house: House, *, flag_id: int, duplicates: Sequence[int], by: str, now: datetime) -> int:
    """Further open cases of the same person on the same journey go on in this one: each keeps its answer and ends with a
    recorded outcome, `merged` (invariant 5). What becomes of this case became of them. Gives how many those were.

    Errors: Refused if this case, or one of those, isn't open or isn't about the same person.
    """
    main, journey = _flag_and_journey(db, flag_id)
    if main.closed_at is not None:
        raise Refused(N_("Somebody already settled this flag. Reload the page to see how."))
    others = db.scalars(select(Flag).where(Flag.id.in_(duplicates), Flag.id != main.id).order_by(Flag.id)).all()
    for other in others:
        if other.journey_id != main.journey_id or other.contact_id is None or other.contact_id != main.contact_id:
            raise Refused(N_("Only cases of the same person can be merged."))
        _close(db, other, journey, outcome=FlagOutcome.MERGED, note="", by=by, now=now)
        # What was merged into that one comes along, so that nobody has to follow a chain.
        db.execute(update(Flag).where(Flag.merged_into_id == other.id).values(merged_into_id=main.id))
        other.merged_into_id = main.id
    db.flush()
    if not others:
        raise Refused(N_("Please choose which cases belong together."))
    conduct.advance(db, house, ids=[journey.id], now=now)
    return len(others)


def hand_over(db: Session, *, flag_id: int, staff_id: int, note: str, by: str, now: datetime) -> None:
    """A colleague works on the case from here on, and is told by mail with the note; the customer stays with their
    consultant. Errors: Refused for a case that ended, or a colleague who isn't there."""
    flag, journey = _flag_and_journey(db, flag_id)
    if flag.closed_at is not None:
        raise Refused(N_("Somebody already settled this flag. Reload the page to see how."))
    colleague = db.get(Staff, staff_id)
    if colleague is None or colleague.disabled_at is not None:
        raise Refused(N_("Please choose one from the list."))
    flag.handed_to_id = None if staff_id == journey.owner_id else staff_id
    db.flush()
    detail = {"flag": flag.id, "staff": staff_id, "name": colleague.name, "note": note}
    event = Event(Happened.FLAG_HANDED_OVER, by, now, flag.account_id, flag.journey_id, flag.contact_id, detail)
    audit.note(db, event)
    giver = db.get(Staff, int(by.partition(":")[2])) if by.startswith("staff:") else None
    context = {**_flag_context(db, flag), "note": note, "giver_name": giver.name if giver is not None else ""}
    mail.queue(
        db,
        mail.Letter(
            key=f"flag_handed_over:{flag.id}:{staff_id}:{now.isoformat()}",
            kind=mail.Kind.FLAG_HANDED_OVER,
            to_email=colleague.email,
            language=colleague.language,
            account_id=flag.account_id,
            journey_id=flag.journey_id,
            staff_id=colleague.id,
            context=context,
        ),
        now=now,
    )


def offer_times(
    db: Session,
    *,
    flag_id: int,
    contact_id: int,
    starts: Sequence[datetime],
    message_id: int | None,
    by: str,
    now: datetime,
) -> None:
    """Up to three times that the person of a case may choose from, sent with that message; none of them is held."""
    offered = OfferedTimes(
        flag_id=flag_id,
        contact_id=contact_id,
        starts=[moment.isoformat() for moment in sorted(set(starts))],
        nonce=new_nonce(),
        offered_at=now,
        offered_by=by,
        message_id=message_id,
    )
    db.add(offered)
    db.flush()


def rate_again(
    db: Session, *, flag_id: int, contact_id: int, csat: int | None = None, nps: int | None = None, now: datetime
) -> None:
    """How the person of a settled case rates us now; the last word counts. Errors: NotFound for somebody else's case;
    Refused while it is open."""
    flag, _ = _flag_and_journey(db, flag_id)
    if flag.contact_id != contact_id:
        raise NotFound
    if flag.closed_at is None:
        raise Refused(N_("We are still on it. Rate it once it is done."))
    rating = db.get(RatingAfter, flag_id) or RatingAfter(flag_id=flag_id, contact_id=contact_id)
    rating.csat, rating.nps, rating.at = csat, nps, now
    db.add(rating)
    db.flush()
    score = {"csat": csat} if csat is not None else {"nps": nps}
    detail = {"flag": flag_id, **score}
    by = f"contact:{contact_id}"
    audit.note(db, Event(Happened.FLAG_RATED, by, now, flag.account_id, flag.journey_id, contact_id, detail))


def _lose_customer(db: Session, house: House, journey: JourneyRow, *, by: str, reason: str, now: datetime) -> None:
    """Ends the flagged journey; if that was won before, those that are under way for the customer by now."""
    if journey.status is Status.OPEN:
        lose(db, house, journey_ids=[journey.id], by=by, reason=reason, now=now)
    else:
        lose(db, house, journey_ids=_under_way(db, journey.account_id), by=by, reason=reason, now=now)


def _under_way(db: Session, account_id: int) -> Sequence[int]:
    return db.scalars(
        select(JourneyRow.id)
        .where(JourneyRow.account_id == account_id, JourneyRow.status == Status.OPEN)
        .order_by(JourneyRow.id)
    ).all()


def settle(db: Session, journey_id: int, *, days: tuple[int, ...], by: SettledBy, who: str, now: datetime) -> None:
    """Settles contacts that are not settled yet, and finishes what was still to be done about them.

    The journey's row is held by the caller.
    """
    _settle(db, journey_id, days=days, by=by, who=who, now=now)


def settle_by_answer(
    db: Session, change: conduct.Change, *, day: int, who: str, now: datetime, flagged: bool, call_waits: bool
) -> bool:
    """The same for a satisfied or neutral answer: it doesn't outweigh another person's dissatisfied one, settled or not
    by accepting the risk (`flagged`, as `is_flagged` says), nor makes it good that the contact was missed. Gives whether
    it settled the contact; the change knows of it then, and the event is the caller's to tell."""
    journey_id = change.after.id
    contact = next((f for f in change.after.follow_ups if f.day == day), None)
    if contact is None or contact.is_settled or contact.missed_at is not None or flagged:
        return False
    write_down(db, _SETTLE_BY_ANSWER, {"journey": journey_id, "of_day": day, "at": now})
    if contact.sent_at is None:  # what was sent has only reminders waiting, and those are dropped by any sign of life
        conduct.drop_due(db, journey_id, keys=[f"survey:{day}"], why="settled", now=now)
    if call_waits:
        write_down(db, _FINISH_CALLS, {"journey": journey_id, "of_day": day, "at": now, "who": who})
    storing.finish_touchpoints(db, [journey_id], key=f"day{day}", now=now)
    follow_ups = tuple(f._replace(settled_at=now) if f is contact else f for f in change.after.follow_ups)
    change.after = change.after._replace(follow_ups=follow_ups)
    return True


def is_flagged(journey_id: Any, day: Any) -> ColumnElement[bool]:
    """Whether a dissatisfied answer about this contact stands, as part of a statement: its case isn't resolved yet, or
    ended by accepting the risk."""
    return exists().where(
        Flag.journey_id == journey_id,
        Flag.day == day,
        ~exists().where(
            # What was merged ends as the case that it goes on in.
            Resolution.flag_id == func.coalesce(Flag.merged_into_id, Flag.id),
            Resolution.undone_at.is_(None),
            Resolution.outcome == FlagOutcome.RESOLVED,
        ),
    )


_FOLLOW_UPS: Any = FollowUpRow.__table__
_SETTLE_BY_ANSWER = (
    update(_FOLLOW_UPS)
    .where(_FOLLOW_UPS.c.journey_id == bindparam("journey"), _FOLLOW_UPS.c.day == bindparam("of_day"))
    .values(settled_at=bindparam("at"), settled_by=SettledBy.ANSWER)
)
_FINISH_CALLS = (
    update(_ACTIVITIES)
    .where(
        _ACTIVITIES.c.journey_id == bindparam("journey"),
        or_(*(_ACTIVITIES.c.kind == kind for kind in rules.CALLS_OF_CONTACTS)),
        _ACTIVITIES.c.day == bindparam("of_day"),
        _ACTIVITIES.c.done_at.is_(None),
    )
    .values(done_at=bindparam("at"), done_by=bindparam("who"))
)


def _settle(db: Session, journey_id: int, *, days: tuple[int, ...], by: SettledBy, who: str, now: datetime) -> None:
    settled = sorted(
        db.execute(
            update(FollowUpRow)
            .where(
                FollowUpRow.journey_id == journey_id,
                FollowUpRow.day.in_(days),
                FollowUpRow.settled_at.is_(None),
            )
            .values(settled_at=now, settled_by=by)
            .returning(FollowUpRow.day)
        ).scalars()
    )
    if not settled:
        return
    account_id = db.scalar(select(JourneyRow.account_id).where(JourneyRow.id == journey_id))
    audit.note_all(
        db,
        [
            Event(Happened.CONTACT_SETTLED, who, now, account_id, journey_id, None, {"day": d, "by": by})
            for d in settled
        ],
    )
    keys = [f"{kind}:{day}" for day in settled for kind in ("survey", "reminder", "call_no_answer")]
    conduct.drop_due(db, journey_id, keys=keys, why="settled", now=now)
    finish_activities(db, journey_id, kinds=rules.CALLS_OF_CONTACTS, days=settled, by=who, now=now)
    for day in settled:
        storing.finish_touchpoints(db, [journey_id], key=f"day{day}", now=now)


def finish_activities(
    db: Session, journey_id: int, *, kinds: Sequence[ActivityKind], by: str, now: datetime, days: Sequence[int] = ()
) -> None:
    """Ticks off open activities of these kinds (and days) that lost their reason, in the name of who took it away."""
    db.execute(
        update(Activity)
        .where(
            Activity.journey_id == journey_id,
            Activity.kind.in_(kinds),
            Activity.done_at.is_(None),
            *([Activity.day.in_(days)] if days else []),
        )
        .values(done_at=now, done_by=by)
    )


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


def lose(db: Session, house: House, *, journey_ids: Sequence[int], by: str, reason: str, now: datetime) -> None:
    """Ends journeys as lost where they stand; nothing that waited for them happens any more."""
    changes = list(conduct.load(db, journey_ids).values())
    for change in changes:
        change.take(rules.lose(change.after, now, by=by, reason=reason))
    conduct.store(db, house, changes=changes, now=now)


def confirm_resolution(db: Session, *, resolution_id: int, by: str, now: datetime) -> None:
    """The customer says that it is solved."""
    resolution, flag = _standing(db, resolution_id)
    if resolution.undone_at is None and resolution.confirmed_at is None:
        resolution.confirmed_at = now
        db.flush()
        audit.note(
            db,
            Event(
                Happened.NOTE_WRITTEN,
                by,
                now,
                flag.account_id,
                flag.journey_id,
                flag.contact_id,
                {"flag": flag.id, "confirmed": True},
            ),
        )


def reopen_flag(db: Session, house: House, *, resolution_id: int, words: str, by: str, now: datetime) -> None:
    """The customer says "not solved", or staff that it wasn't over: the resolution is undone and the case is open again,
    with a new clock; one that was merged is a case of its own again. Errors: Refused where the journey ended as lost."""
    resolution, flag = _standing(db, resolution_id)
    if resolution.undone_at is not None:
        return
    if resolution.outcome is FlagOutcome.LOST:
        raise Refused(N_("This customer’s journey has ended as lost. Open a new one first."))
    journey = db.get_one(JourneyRow, flag.journey_id, populate_existing=True)
    resolution.undone_at, resolution.undone_by, resolution.undone_words = now, by, words
    days = [flag.day] if resolution.outcome is FlagOutcome.MERGED else _days_of(db, flag)
    flag.closed_at, flag.acted_at, flag.acted_by, flag.merged_into_id = None, None, "", None
    flag.half_at = _half_at(house, journey.zone, now)
    flag.act_by = rules.act_by(now, house.settings.flag_hours, journey.zone, house.holidays)
    flag.alert_at = flag.act_by
    db.flush()
    _count(db, journey, 1)
    if journey.status is Status.OPEN:
        _unsettle(db, journey.id, days, settled_at=resolution.at)
    detail = {"flag": flag.id, "words": words}
    audit.note(db, Event(Happened.FLAG_REOPENED, by, now, flag.account_id, journey.id, flag.contact_id, detail))
    key = f"flag_reopened:{resolution.id}"
    _tell_consultant(db, flag, journey, key=key, words=words or flag.words, now=now)
    conduct.advance(db, house, ids=[journey.id], now=now)


def _unsettle(db: Session, journey_id: int, days: Sequence[int | None], *, settled_at: datetime) -> None:
    """The contact that the undone resolution had settled is open again, until approval made it history."""
    db.execute(
        update(FollowUpRow)
        .where(
            FollowUpRow.journey_id == journey_id,
            FollowUpRow.day.in_(days),
            FollowUpRow.settled_by == SettledBy.FLAG,
            FollowUpRow.settled_at == settled_at,
        )
        .values(settled_at=None, settled_by=None)
    )


def _standing(db: Session, resolution_id: int) -> tuple[Resolution, Flag]:
    flag_id = db.scalar(select(Resolution.flag_id).where(Resolution.id == resolution_id))
    if flag_id is None:
        raise NotFound
    flag, _ = _flag_and_journey(db, flag_id)
    return db.get_one(Resolution, resolution_id, populate_existing=True), flag


def tell_managers_of_late_flags(db: Session, *, now: datetime, limit: int = 200) -> int:
    """Late cases go up to the manager, once each; gives how many."""
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
            db,
            Event(
                Happened.FLAG_LATE, "system", now, flag.account_id, flag.journey_id, flag.contact_id, {"flag": flag.id}
            ),
        )
        flag.alert_at = None
    db.flush()
    return len(flags)


def churn(db: Session, house: House, *, account_id: int, on: date, reason: str, by: str, now: datetime) -> None:
    """The account has left: its open journeys end as lost. Errors: NotFound; Refused without a reason."""
    if not reason.strip():
        raise Refused(N_("Please say why the customer left."))
    conduct.lock_account(db, account_id)
    db.execute(update(Account).where(Account.id == account_id).values(churned_on=on, churn_reason=reason))
    lose(db, house, journey_ids=_under_way(db, account_id), by=by, reason=reason, now=now)
    audit.note(db, Event(Happened.ACCOUNT_CHURNED, by, now, account_id, None, None, {"reason": reason}))
