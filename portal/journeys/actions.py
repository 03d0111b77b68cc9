"""What people do to journeys, and what journeys hear from the rooms above: sign-ins, answers, bookings, conversations.

Every verb takes the session (the caller's unit of work), says who does it and when, and ends by asking the rules what
moves now. Texts are clean already (forms and API own that).
"""

import hashlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import bindparam, insert, select, update
from sqlalchemy.orm import Session

from portal import audit
from portal.accounts.models import Account, Contact
from portal.accounts.rules import Channel
from portal.audit import Event, Happened
from portal.clock import business_days_after, day_instant, local_date
from portal.db import connection_of, insert_for
from portal.errors import N_, NotFound, Refused
from portal.house import House
from portal.journeys import cases, conduct, rules, stuck
from portal.journeys.models import (
    Activity,
    Conversation,
    DueAction,
    Flag,
    FollowUpRow,
    GoalRow,
    JourneyRow,
    Milestone,
    PendingIssue,
    StageRow,
    Touchpoint,
    Visit,
)
from portal.journeys.plan_templates import Agreed, lay_out
from portal.journeys.rules import ActivityKind, FlagOrigin, Outcome, SettledBy, Status, Whose
from portal.journeys.shipped import AFTER_SALE


@dataclass(frozen=True)
class UnderWay:
    """A customer who was on the road before we knew them: since when they use it, where they stand. No mail for the past."""

    use_started_on: date | None = None
    stage: str = ""


def open_after_sale(
    db: Session,
    house: House,
    *,
    account_id: int,
    owner_id: int | None,
    by: str,
    now: datetime,
    under_way: UnderWay | None = None,
    zone: str | None = None,
    agreed: Agreed | None = None,
) -> int:
    """Opens the After-sale journey of an account, with its whole plan (the one that was agreed before the sale, else the
    one of its product), and gives its id.

    Without `under_way` it begins at stage 1; with it, at the stage given or the one its day of use says. Contacts whose
    day lies behind are marked missed (they have to be made good), and the current one becomes a call.
    Errors: Refused if one is open already, or the stage can't be begun in.
    """
    conduct.lock_account(db, account_id)
    owner_id = owner_id if owner_id is not None else conduct.consultant_for(db, account_id)
    journey_id = conduct.open_journey(
        db, house, account_id=account_id, pipeline_key=AFTER_SALE, owner_id=None, by=by, now=now, zone=zone
    )
    if journey_id is None:
        raise Refused(N_("This customer already has a journey under way."))
    if owner_id is not None:
        conduct.assign(db, journey_id=journey_id, staff_id=owner_id, by="rule:assign_consultant", now=now)
    lay_out(db, journey_id, agreed=agreed)
    if under_way is None:
        conduct.begin(db, house, journey_id=journey_id, now=now)
    else:
        _take_in(db, house, conduct.load(db, [journey_id])[journey_id], under_way, by=by, now=now)
    return journey_id


def _take_in(db: Session, house: House, change: conduct.Change, under_way: UnderWay, *, by: str, now: datetime) -> None:
    pipeline, journey_id = change.pipeline, change.after.id
    today = local_date(now, change.after.zone)
    keys = [s.key for s in pipeline.stages]
    started = under_way.use_started_on
    if under_way.stage:
        if under_way.stage not in keys:
            raise Refused(N_("There is no stage called %(stage)s."), stage=under_way.stage)
        position = keys.index(under_way.stage)
    else:
        position = rules.position_on_day(pipeline, (today - started).days if started else 0)
    if pipeline.stages[position].ends is not None:
        raise Refused(N_("A customer can't be taken in as approved: the contacts of day 30, 60 and 90 come first."))
    if position >= rules.position_on_day(pipeline, 0) and started is None:
        started = today
    values: dict[str, Any] = {"position": position, "stage_id": pipeline.stages[position].id}
    if position > 0:
        values["analysed_at"] = now
    if started is not None:
        values |= {"first_contact_at": now}
    old_stage = pipeline.stages[0].id
    db.execute(update(JourneyRow).where(JourneyRow.id == journey_id).values(**values))
    db.execute(
        update(Visit)
        .where(Visit.journey_id == journey_id, Visit.left_at.is_(None))
        .values(stage_id=pipeline.stages[position].id, reason="taken in under way")
    )
    owner_id = change.after.owner_id
    conduct.tally(db, stage_id=old_stage, owner_id=owner_id, journeys=-1)
    conduct.tally(db, stage_id=pipeline.stages[position].id, owner_id=owner_id, journeys=1)
    change = conduct.load(db, [journey_id])[journey_id]
    if started is not None:
        journey, effects = rules.start_use(pipeline, change.after, started, by=by, holidays=house.holidays)
        # Who is on the road already is not asked to start (no mail for the past).
        never = rules.meeting_offers(journey, house.holidays)
        change.take((journey, [effect for effect in effects if effect not in never]))
    change.take(rules.take_in(pipeline, change.after, now, house.holidays))
    conduct.fold(change, now=now, house=house)
    conduct.store(db, house, changes=[change], now=now)


def move_by_hand(
    db: Session, house: House, *, journey_id: int, stage: str, reason: str, by: str, now: datetime
) -> None:
    """Moves a journey to the stage with that key, forward or back, with a reason that is kept.

    Errors: Refused without a reason, for an unknown stage, where approval has an obstacle, or where a journey that ended
    can't be taken up again; NotFound.
    """
    if not reason.strip():
        raise Refused(N_("Please say why: the reason stays with the move."))
    change = conduct.load(db, [journey_id])[journey_id]
    position = next((s.position for s in change.pipeline.stages if s.key == stage), None)
    if position is None:
        raise Refused(N_("There is no stage called %(stage)s."), stage=stage)
    if change.before.status is not Status.OPEN:
        _refuse_to_take_up(db, change)
    move = rules.move_by_hand(change.pipeline, change.after, position, by=by, reason=reason)
    change.take(rules.apply(change.pipeline, change.after, move, now, house.holidays))
    change.after = rules.worked(change.after, now)
    conduct.fold(change, now=now, house=house)
    conduct.store(db, house, changes=[change], now=now)


def _refuse_to_take_up(db: Session, change: conduct.Change) -> None:
    """An ended journey is not taken up again for a customer who left, nor beside another one of its pipeline."""
    if db.scalar(select(Account.churned_on).where(Account.id == change.account_id)) is not None:
        raise Refused(N_("This customer has left. Note that they are back before you move them."))
    beside = select(JourneyRow.id).where(
        JourneyRow.account_id == change.account_id,
        JourneyRow.pipeline_key == change.pipeline.key,
        JourneyRow.status == Status.OPEN,
    )
    if db.scalar(beside) is not None:
        raise Refused(N_("This customer already has a newer journey under way. Move that one."))


def correct_use_start(db: Session, house: House, *, journey_id: int, on: date, by: str, now: datetime) -> None:
    """Sets or corrects day 0 of use; every pending date of the plan moves with it, and no past one (invariant 8).

    Errors: Refused for a date more than two years away, and for a journey that ended: its dates are history.
    """
    change = conduct.load(db, [journey_id])[journey_id]
    if change.before.status is not Status.OPEN:
        raise Refused(N_("This journey has ended, so its dates stay as they were."))
    if abs((on - local_date(now, change.after.zone)).days) > 730:
        raise Refused(N_("That date is more than two years away. Check the year."))
    if change.after.use_started_on == on:
        return
    change.take(rules.start_use(change.pipeline, change.after, on, by=by, holidays=house.holidays))
    change.after = rules.worked(change.after, now)
    conduct.fold(change, now=now, house=house)
    conduct.store(db, house, changes=[change], now=now)


def hold_all(db: Session, account_id: int) -> None:
    """Holds an account and all its journeys, those that ended too, until the unit of work ends: for who changes what lies
    below several of them. Errors: NotFound."""
    conduct.lock_account(db, account_id)
    every = select(JourneyRow.id).where(JourneyRow.account_id == account_id).order_by(JourneyRow.id)
    db.scalars(every.with_for_update()).all()


def assign_consultant(db: Session, house: House, *, journey_id: int, staff_id: int, by: str, now: datetime) -> None:
    """Gives a customer to another consultant; a first stage that waited for one moves on. Errors: NotFound."""
    account_id = db.scalar(select(JourneyRow.account_id).where(JourneyRow.id == journey_id))
    if account_id is None:
        raise NotFound
    conduct.lock_account(db, account_id)
    conduct.assign(db, journey_id=journey_id, staff_id=staff_id, by=by, now=now)
    conduct.advance(db, house, ids=[journey_id], now=now)


# What journeys hear


def hear_sign_in(db: Session, house: House, *, contact_id: int, now: datetime) -> None:
    """A customer signed in. The first time is first contact; later ones are visits, no work that resets a limit."""
    for journey_id in open_journeys_of(db, contact_id):
        conduct.lock(db, journey_id)
        if _first_contact(db, journey_id, contact_id=contact_id, how="sign_in", now=now):
            conduct.advance(db, house, ids=[journey_id], now=now)


def hear_account_change(db: Session, house: House, *, account_id: int, now: datetime) -> None:
    """What is known of an account changed (plan, people, renewal date): its open journeys may wait for that."""
    ids = db.scalars(
        select(JourneyRow.id)
        .where(JourneyRow.account_id == account_id, JourneyRow.status == Status.OPEN)
        .order_by(JourneyRow.id)
    ).all()
    changes = list(conduct.load(db, ids).values())
    for change in changes:
        change.add(rules.renewal_wake(change.pipeline, change.after))
        conduct.fold(change, now=now, house=house)
    conduct.store(db, house, changes=changes, now=now)


def hear_sign_of_life(
    db: Session, house: House, *, journey_id: int, contact_id: int | None, how: str, now: datetime
) -> None:
    """The customer got in touch (`reply`, `message`, `booking`): first contact, and reminders stop at once."""
    conduct.lock(db, journey_id)
    _got_in_touch(db, journey_id, contact_id=contact_id, how=how, now=now)
    cases.drop_reminders(db, journey_id, why="sign_of_life", now=now)
    conduct.advance(db, house, ids=[journey_id], now=now)


def hear_stuck(
    db: Session, house: House, *, journey_id: int, milestone_id: int, contact_id: int, words: str, now: datetime
) -> bool:
    """A customer is stuck with a milestone: their consultant gets an activity and a mail with their words, and it is a sign
    of life. False, and nothing more happens, where we know already (a double click). Errors: NotFound for another journey's
    or a done one, TooMany.
    """
    conduct.lock(db, journey_id)
    milestone = db.scalar(select(Milestone).where(Milestone.id == milestone_id, Milestone.journey_id == journey_id))
    if milestone is None or milestone.done_at is not None:
        raise NotFound
    if not stuck.note(db, house, milestone, contact_id=contact_id, words=words, now=now):
        return False
    _got_in_touch(db, journey_id, contact_id=contact_id, how="stuck", now=now)
    cases.drop_reminders(db, journey_id, why="sign_of_life", now=now)
    conduct.advance(db, house, ids=[journey_id], now=now)
    return True


def hear_message(
    db: Session, house: House, *, journey_id: int, contact_id: int, message_id: int, how: str, now: datetime
) -> None:
    """The customer wrote (`message`, or `reply` by mail): a sign of life, and something to answer unless one waits already."""
    hear_sign_of_life(db, house, journey_id=journey_id, contact_id=contact_id, how=how, now=now)
    waiting = select(Activity.id).where(
        Activity.journey_id == journey_id,
        Activity.kind == ActivityKind.ANSWER_MESSAGE,
        Activity.done_at.is_(None),
    )
    if db.scalar(waiting.limit(1)) is None:
        zone = db.scalars(select(JourneyRow.zone).where(JourneyRow.id == journey_id)).one()
        add_activity(
            db,
            journey_id=journey_id,
            kind=ActivityKind.ANSWER_MESSAGE,
            key=f"{ActivityKind.ANSWER_MESSAGE}:{message_id}",
            due_at=business_days_after(now, 1, zone, house.holidays),
            by=f"contact:{contact_id}",
            now=now,
        )


def hear_our_message(db: Session, house: House, *, journey_id: int, by: str, now: datetime) -> None:
    """We wrote to the customer: what waited for an answer is done, flags are acted on, and it is work by people."""
    conduct.lock(db, journey_id)
    db.execute(update(JourneyRow).where(JourneyRow.id == journey_id).values(worked_at=now))
    cases.finish_activities(db, journey_id, kinds=(ActivityKind.ANSWER_MESSAGE,), by=by, now=now)
    new_flags = select(Flag.id).where(Flag.journey_id == journey_id, Flag.closed_at.is_(None), Flag.acted_at.is_(None))
    for flag_id in db.scalars(new_flags.order_by(Flag.id)).all():
        cases.act_on_flag(db, flag_id=flag_id, how="reply", by=by, now=now)
    conduct.advance(db, house, ids=[journey_id], now=now)


def open_journeys_of(db: Session, contact_id: int) -> Sequence[int]:
    """The open journeys of a contact's account, oldest first."""
    return db.scalars(
        select(JourneyRow.id)
        .join(Contact, Contact.account_id == JourneyRow.account_id)
        .where(Contact.id == contact_id, JourneyRow.status == Status.OPEN)
        .order_by(JourneyRow.id)
    ).all()


def _got_in_touch(db: Session, journey_id: int, *, contact_id: int | None, how: str, now: datetime) -> None:
    """First contact if there was none yet, and work by people in any case."""
    _first_contact(db, journey_id, contact_id=contact_id, how=how, now=now)
    db.execute(update(JourneyRow).where(JourneyRow.id == journey_id).values(worked_at=now))


def _first_contact(db: Session, journey_id: int, *, contact_id: int | None, how: str, now: datetime) -> bool:
    """Whether this was the first; then the call for want of one is off."""
    first = db.execute(
        update(JourneyRow)
        .where(JourneyRow.id == journey_id, JourneyRow.first_contact_at.is_(None))
        .values(first_contact_at=now, worked_at=now)
        .returning(JourneyRow.account_id)
    ).first()
    if first is None:
        return False
    by = f"contact:{contact_id}" if contact_id else "system"
    audit.note(db, Event(Happened.FIRST_CONTACT, by, now, first.account_id, journey_id, contact_id, {"how": how}))
    conduct.drop_due_of_kinds(db, journey_id, kinds=("unless_contact",), why="sign_of_life", now=now)
    cases.finish_activities(db, journey_id, kinds=(ActivityKind.CALL_NO_CONTACT,), by=by, now=now)
    return True


@dataclass(frozen=True)
class HeardAnswer:
    """A verified answer to a survey, as the journey needs to know it."""

    journey_id: int
    answer_id: int
    contact_id: int
    day: int | None
    outcome: Outcome
    by: str
    words: str = ""
    scores: dict[str, Any] | None = None
    wants_help: bool = False
    is_promoter: bool = False
    """And the survey has us think of a referral then."""
    flags: bool = True
    """Whether a dissatisfied one opens a flag; a follow-up's always does (invariant 5)."""
    asks_what_is_missing: bool = True
    tells_consultant: bool = False
    earlier: tuple[int, ...] = ()
    """Earlier versions of it, oldest first: what follows an answer follows once, however often it is changed."""
    reminder_waits: bool = True
    """Whether a reminder may lie in the outbox; who holds the journey and has looked can say that none does."""
    call_waits: bool = True
    """The same of a call about this contact on somebody's list."""
    flagged: bool = False
    """Whether a dissatisfied answer about this contact stands (`cases.is_flagged`)."""

    @property
    def first_id(self) -> int:
        return self.earlier[0] if self.earlier else self.answer_id


def hear_answer(
    db: Session,
    house: House,
    *,
    answer: HeardAnswer,
    now: datetime,
    told: Sequence[Event] = (),
    found: conduct.Found | None = None,
) -> int | None:
    """An answer settles its contact or flags the stage; gives the flag's id if it flagged.

    A satisfied or neutral one settles the contact unless somebody else was dissatisfied about it, and not where it was
    missed: that is made good by a conversation. `told`: events to write along with its own; `found`: the journey, where
    the caller has asked about it since it holds it.
    """
    journey_id = answer.journey_id
    change = conduct.load(db, [journey_id], found=found)[journey_id]
    if change.before.first_contact_at is None:
        _first_contact(db, journey_id, contact_id=answer.contact_id, how="answer", now=now)
        change = conduct.load(db, [journey_id])[journey_id]
    is_unhappy = answer.outcome is Outcome.DISSATISFIED
    change.after = rules.worked(change.after, now)
    if is_unhappy and answer.flags:
        if answer.earlier and (
            known := cases.take_up_change(
                db, answer.earlier, answer.answer_id, words=answer.words, scores=answer.scores or {}
            )
        ):
            cases.drop_reminders(db, journey_id, why="answer", now=now)
            conduct.fold(change, now=now, house=house)
            conduct.store(db, house, changes=[change], now=now, told=told)
            return known
        return cases.open_flag(
            db,
            house,
            journey_id=journey_id,
            origin=FlagOrigin.HELP if answer.wants_help else FlagOrigin.ANSWER,
            by=answer.by,
            now=now,
            contact_id=answer.contact_id,
            answer_id=answer.answer_id,
            day=answer.day,
            words=answer.words,
            scores=answer.scores,
            change=change,
            told=told,
        )
    events = list(told)
    settles = answer.day is not None and not is_unhappy
    if settles and cases.settle_by_answer(
        db,
        change,
        day=answer.day or 0,
        who=answer.by,
        now=now,
        flagged=answer.flagged,
        call_waits=answer.call_waits,
    ):
        detail = {"day": answer.day, "by": SettledBy.ANSWER}
        events.append(Event(Happened.CONTACT_SETTLED, answer.by, now, change.account_id, journey_id, None, detail))
    cases.drop_reminders(db, journey_id, why="answer", now=now, in_outbox=answer.reminder_waits)
    if answer.outcome is Outcome.NEUTRAL and answer.asks_what_is_missing:
        change.add([_to_do(house, ActivityKind.ASK_WHAT_IS_MISSING, f"answer:{answer.first_id}", 2, change, now)])
    if answer.is_promoter and change.after.status is not Status.LOST:
        why = f"answer_{answer.first_id}"
        if answer.earlier:  # it may have been carried out or dropped already, and that stands
            _leave_referral_prompt(db, journey_id, why=why, now=now)
        else:
            change.add([rules.Due(f"referral_prompt:{why}", f"referral_prompt:{why}", now)])
    if answer.tells_consultant:
        change.add([_to_do(house, ActivityKind.READ_ANSWER, f"{answer.first_id}", 1, change, now)])
    conduct.fold(change, now=now, house=house)
    conduct.store(db, house, changes=[change], now=now, told=events)
    return None


def _to_do(
    house: House, kind: ActivityKind, what: str, days: int, change: conduct.Change, now: datetime
) -> rules.NewActivity:
    """Something for the owner to do within so many business days."""
    return rules.NewActivity(kind, f"{kind}:{what}", business_days_after(now, days, change.after.zone, house.holidays))


def ask_for_referral(db: Session, *, journey_id: int, why: str, now: datetime) -> None:
    """Leaves a due action: the referrals room decides whether the consultant is prompted. Nobody who left is asked."""
    if db.scalar(select(JourneyRow.status).where(JourneyRow.id == journey_id)) is Status.LOST:
        return
    _leave_referral_prompt(db, journey_id, why=why, now=now)


def _leave_referral_prompt(db: Session, journey_id: int, *, why: str, now: datetime) -> None:
    row = {
        "journey_id": journey_id,
        "kind": "referral_prompt",
        "key": f"referral_prompt:{why}",
        "what": why,
        "day": 0,
        "due_at": now,
        "created_at": now,
    }
    connection_of(db).execute(insert_for(db, DueAction.__table__).on_conflict_do_nothing(), row)


def hear_surveys_sent(
    db: Session,
    house: House,
    *,
    sent: Sequence[tuple[int, int]],
    now: datetime,
    changes: Mapping[int, conduct.Change] | None = None,
) -> None:
    """Surveys went out: pairs of (journey, day). Plans the reminder and the call that follow silence.

    The journeys' rows are held by the caller (the worker claimed them); who loaded them already hands them in.
    """
    if not sent:
        return
    known = changes if changes is not None else conduct.load(db, [journey_id for journey_id, _ in sent])
    for journey_id, day in sent:
        known[journey_id].take(rules.was_sent(known[journey_id].after, day, now, house.holidays))
    by_day: dict[int, list[int]] = defaultdict(list)
    for journey_id, day in sent:
        by_day[day].append(journey_id)
    for day, ids in by_day.items():
        connection_of(db).execute(_SENT, {"the_day": day, "ids": ids, "the_at": now})
    conduct.store(db, house, changes=_distinct(known, [journey_id for journey_id, _ in sent]), now=now)
    audit.note_all(
        db, [Event(Happened.SURVEY_SENT, "system", now, known[j].account_id, j, None, {"day": day}) for j, day in sent]
    )


_SENT = (
    update(FollowUpRow)
    .where(FollowUpRow.day == bindparam("the_day"), FollowUpRow.journey_id.in_(bindparam("ids", expanding=True)))
    .values(sent_at=bindparam("the_at"))
)


def convert_contacts(
    db: Session,
    house: House,
    *,
    contacts: Sequence[tuple[int, int, str]],
    now: datetime,
    changes: Mapping[int, conduct.Change] | None = None,
) -> None:
    """Contacts that can't be asked by mail become calls for the consultant: (journey, day, why).

    Rows are held and handed in as in `hear_surveys_sent`. The survey's due action ends with the reason.
    """
    if not contacts:
        return
    known = changes if changes is not None else conduct.load(db, [journey_id for journey_id, _, _ in contacts])
    for journey_id, day, why in contacts:
        known[journey_id].take(rules.convert(known[journey_id].after, day, now, why=why))
    conduct.store(db, house, changes=_distinct(known, [journey_id for journey_id, _, _ in contacts]), now=now)


def _distinct(changes: Mapping[int, conduct.Change], ids: Sequence[int]) -> list[conduct.Change]:
    return [changes[journey_id] for journey_id in dict.fromkeys(ids)]


def hear_meeting(
    db: Session,
    house: House,
    *,
    journey_id: int,
    contact_id: int | None,
    held_until: datetime | None,
    booked_by_customer: bool,
    flag_id: int | None,
    by: str,
    now: datetime,
) -> None:
    """A meeting was booked, moved or cancelled: `held_until` is the end of the last one planned, which holds the limit.

    A booking by the customer is a sign of life; one that belongs to a flag is an action on it.
    """
    conduct.lock(db, journey_id)
    db.execute(update(JourneyRow).where(JourneyRow.id == journey_id).values(held_until=held_until, worked_at=now))
    if booked_by_customer:
        _got_in_touch(db, journey_id, contact_id=contact_id, how="booking", now=now)
        cases.drop_reminders(db, journey_id, why="booking", now=now)
    if flag_id is not None:
        cases.act_on_flag(db, flag_id=flag_id, how="meeting", by=by, now=now)
    conduct.advance(db, house, ids=[journey_id], now=now)


def hear_meeting_held(
    db: Session, house: House, *, journey_id: int, meeting_id: int, contact_id: int, kind: str, by: str, now: datetime
) -> None:
    """A meeting took place: first contact, and the touchpoint of that name (kickoff, day14) is done. Whoever was there may
    be asked how it was: the surveys room decides that, on the next business day."""
    conduct.lock(db, journey_id)
    _got_in_touch(db, journey_id, contact_id=None, how="meeting", now=now)
    cases.drop_reminders(db, journey_id, why="meeting", now=now)
    for table in (Touchpoint, Milestone):
        db.execute(
            update(table)
            .where(table.journey_id == journey_id, table.key == kind, table.done_at.is_(None))
            .values(done_at=now, **({"done_by": by} if table is Milestone else {}))
        )
    _leave_question_about_meeting(db, house, journey_id, meeting_id, contact_id, now=now)
    conduct.advance(db, house, ids=[journey_id], now=now)


def _leave_question_about_meeting(
    db: Session, house: House, journey_id: int, meeting_id: int, contact_id: int, *, now: datetime
) -> None:
    zone = db.scalar(select(Contact.timezone).where(Contact.id == contact_id)) or house.settings.default_timezone
    row = {
        "journey_id": journey_id,
        "kind": "ask",
        "key": f"ask:meeting:{meeting_id}:contact:{contact_id}",
        "what": f"meeting:{meeting_id}",
        "day": 0,
        "due_at": day_instant(local_date(now, zone), 1, zone, house.holidays),
        "created_at": now,
    }
    connection_of(db).execute(insert_for(db, DueAction.__table__).on_conflict_do_nothing(), row)


def log_conversation(
    db: Session,
    house: House,
    *,
    journey_id: int,
    channel: Channel,
    result: Outcome,
    note: str,
    by: str,
    now: datetime,
    contact_id: int | None = None,
    by_hand: bool = False,
) -> int | None:
    """A conversation with its result: it settles every contact whose day has come, missed ones too, or flags. Written down
    `by_hand`, the very same one again within ten minutes is a second click; an integration says with its key what is new.

    Gives the flag's id if the customer was dissatisfied. Errors: Refused without a note.
    """
    if not note.strip():
        raise Refused(N_("Please write a line about what was said."))
    conduct.lock(db, journey_id)
    said = {"contact_id": contact_id, "by": by, "channel": channel, "result": result, "note": note}
    if by_hand and _was_logged(db, journey_id, said, since=now - SECOND_CLICK):
        return cases.open_case(db, journey_id, contact_id) if result is Outcome.DISSATISFIED else None
    account_id = db.scalar(select(JourneyRow.account_id).where(JourneyRow.id == journey_id))
    db.execute(insert(Conversation).values(journey_id=journey_id, at=now, **said))
    detail = {"channel": channel, "result": result, "note": note}
    audit.note(db, Event(Happened.CONVERSATION_LOGGED, by, now, account_id, journey_id, contact_id, detail))
    _got_in_touch(db, journey_id, contact_id=contact_id, how="conversation", now=now)
    cases.drop_reminders(db, journey_id, why="conversation", now=now)
    cases.act_on_open_flags(db, journey_id, how="call", by=by, now=now)
    days = rules.settles(conduct.load(db, [journey_id])[journey_id].after, now)
    if result is Outcome.DISSATISFIED:
        return cases.flag_conversation(
            db,
            house,
            journey_id=journey_id,
            contact_id=contact_id,
            day=max(days, default=None),
            words=note,
            by=by,
            now=now,
        )
    settled = tuple(day for day in days if not cases.is_disputed(db, journey_id, day))
    cases.settle(db, journey_id, days=settled, by=SettledBy.CONVERSATION, who=by, now=now)
    conduct.advance(db, house, ids=[journey_id], now=now)
    return None


SECOND_CLICK = timedelta(minutes=10)


def _was_logged(db: Session, journey_id: int, said: dict[str, Any], *, since: datetime) -> bool:
    same = [getattr(Conversation, name).is_not_distinct_from(value) for name, value in said.items()]
    wanted = select(Conversation.id).where(Conversation.journey_id == journey_id, Conversation.at > since, *same)
    return db.scalar(wanted.limit(1)) is not None


# Activities


def add_activity(
    db: Session,
    *,
    journey_id: int,
    kind: ActivityKind,
    key: str,
    due_at: datetime,
    by: str,
    now: datetime,
    title: str = "",
    day: int = 0,
) -> None:
    """Puts something on the owner's list; the same key again changes nothing."""
    owner_id = db.scalar(select(JourneyRow.owner_id).where(JourneyRow.id == journey_id))
    db.execute(
        insert_for(db, Activity)
        .values(
            journey_id=journey_id,
            key=key,
            kind=kind,
            day=day,
            title=title,
            assignee_id=owner_id,
            due_at=due_at,
            created_at=now,
            created_by=by,
            done_by="",
            note="",
        )
        .on_conflict_do_nothing()
    )


def add_own_activity(
    db: Session, house: House, *, journey_id: int, title: str, due_at: datetime, by: str, now: datetime
) -> None:
    """Something to do that a colleague wrote down. The same words for the same moment are one (a double click)."""
    conduct.lock(db, journey_id)
    digest = hashlib.sha256(f"{due_at.isoformat()} {title}".encode()).hexdigest()[:32]
    add_activity(
        db,
        journey_id=journey_id,
        kind=ActivityKind.OTHER,
        key=f"own:{digest}",
        due_at=due_at,
        by=by,
        now=now,
        title=title,
    )
    tell_work(
        db,
        house,
        journey_id,
        Happened.ACTIVITY_CREATED,
        by=by,
        now=now,
        detail={"kind": ActivityKind.OTHER, "title": title, "due_at": due_at.isoformat()},
    )


def complete_activity(db: Session, house: House, *, activity_id: int, note: str, by: str, now: datetime) -> None:
    """Ticks an activity off; done once stays as it was done. Errors: NotFound."""
    journey_id = db.scalar(select(Activity.journey_id).where(Activity.id == activity_id))
    if journey_id is None:
        raise NotFound
    conduct.lock(db, journey_id)
    activity = db.get_one(Activity, activity_id, populate_existing=True)
    if activity.done_at is not None:
        return
    activity.done_at, activity.done_by, activity.note = now, by, note
    values: dict[str, Any] = {"worked_at": now}
    if activity.kind is ActivityKind.ANALYSE_DEMAND:
        values["analysed_at"] = now
    if activity.kind is ActivityKind.UNSTICK:
        stuck.settle_by_activity(db, activity.key, by=by, now=now)
    db.flush()
    row = db.execute(
        update(JourneyRow).where(JourneyRow.id == journey_id).values(**values).returning(JourneyRow.account_id)
    ).one()
    detail = {"activity": activity_id, "kind": activity.kind, "title": activity.title, "note": note}
    audit.note(db, Event(Happened.ACTIVITY_COMPLETED, by, now, row.account_id, journey_id, None, detail))
    conduct.advance(db, house, ids=[journey_id], now=now)


# The plan


def tick_milestone(
    db: Session, house: House, *, milestone_id: int, journey_id: int, done: bool, by: str, now: datetime
) -> None:
    """Marks a milestone done, or takes that back. Whoever was stuck with it no longer is.

    Errors: NotFound for another journey's; Refused while it waits for others.
    """
    conduct.lock(db, journey_id)
    milestone = db.scalar(select(Milestone).where(Milestone.id == milestone_id, Milestone.journey_id == journey_id))
    if milestone is None:
        raise NotFound
    if (milestone.done_at is not None) is done:
        return
    if done and milestone.needs:
        _refuse_before_others(db, milestone)
    if done:
        stuck.settle(db, milestone_id, by=by, now=now)
    milestone.done_at, milestone.done_by = (now, by) if done else (None, "")
    db.flush()
    what = Happened.MILESTONE_DONE if done else Happened.MILESTONE_UNDONE
    named = {"milestone": milestone.key, "title": milestone.title_en, "title_pt": milestone.title_pt}
    tell_work(db, house, journey_id, what, by=by, now=now, detail=named)


def _refuse_before_others(db: Session, milestone: Milestone) -> None:
    first = select(Milestone.title_en, Milestone.title_pt).where(
        Milestone.journey_id == milestone.journey_id,
        Milestone.key.in_(milestone.needs.split()),
        Milestone.done_at.is_(None),
    )
    if db.execute(first.limit(1)).first() is not None:
        raise Refused(N_("This step waits for another one. Finish that one first."))


def close_goal(db: Session, house: House, *, goal_id: int, journey_id: int, met: bool, by: str, now: datetime) -> None:
    """A goal was met, or is dropped because it no longer fits. Errors: NotFound."""
    conduct.lock(db, journey_id)
    goal = db.scalar(select(GoalRow).where(GoalRow.id == goal_id, GoalRow.journey_id == journey_id))
    if goal is None:
        raise NotFound
    if goal.met_at is not None or goal.dropped_at is not None:
        return
    if met:
        goal.met_at, goal.met_by = now, by
    else:
        goal.dropped_at = now
    db.flush()
    if met:
        ask_for_referral(db, journey_id=journey_id, why=f"goal_{goal_id}", now=now)
    tell_work(db, house, journey_id, Happened.GOAL_MET, by=by, now=now, detail={"goal": goal.title, "met": met})


def note_issue(
    db: Session,
    house: House,
    *,
    journey_id: int,
    problem: str,
    solution: str,
    whose: Whose,
    due_on: date,
    by: str,
    now: datetime,
    flag_id: int | None = None,
) -> int:
    """A pending issue with the solution that was agreed and its deadline. The same again about a case, while it
    waits (a double click), is known already."""
    conduct.lock(db, journey_id)
    same = select(PendingIssue.id).where(
        PendingIssue.journey_id == journey_id,
        PendingIssue.flag_id == flag_id,
        PendingIssue.problem == problem,
        PendingIssue.solution == solution,
        PendingIssue.whose == whose,
        PendingIssue.due_on == due_on,
        PendingIssue.solved_at.is_(None),
    )
    if flag_id is not None and (known := db.scalar(same.limit(1))) is not None:
        return known
    issue = PendingIssue(
        journey_id=journey_id,
        flag_id=flag_id,
        problem=problem,
        solution=solution,
        whose=whose,
        due_on=due_on,
        created_at=now,
        created_by=by,
    )
    db.add(issue)
    db.flush()
    tell_work(
        db,
        house,
        journey_id,
        Happened.ISSUE_NOTED,
        by=by,
        now=now,
        detail={"problem": problem, "due_on": due_on.isoformat()},
    )
    return issue.id


def solve_issue(db: Session, house: House, *, issue_id: int, journey_id: int, by: str, now: datetime) -> None:
    """The pending issue is solved. Errors: NotFound."""
    conduct.lock(db, journey_id)
    issue = db.scalar(select(PendingIssue).where(PendingIssue.id == issue_id, PendingIssue.journey_id == journey_id))
    if issue is None:
        raise NotFound
    if issue.solved_at is not None:
        return
    issue.solved_at, issue.solved_by = now, by
    db.flush()
    tell_work(db, house, journey_id, Happened.ISSUE_SOLVED, by=by, now=now, detail={"problem": issue.problem})


def write_note(db: Session, house: House, *, journey_id: int, words: str, by: str, now: datetime) -> None:
    """A note by staff on the customer's timeline."""
    conduct.lock(db, journey_id)
    tell_work(db, house, journey_id, Happened.NOTE_WRITTEN, by=by, now=now, detail={"note": words})


def tell_work(
    db: Session, house: House, journey_id: int, what: Happened, *, by: str, now: datetime, detail: dict[str, Any]
) -> None:
    """Work by people: noted, the limit starts anew, and the rules are asked."""
    row = db.execute(
        update(JourneyRow).where(JourneyRow.id == journey_id).values(worked_at=now).returning(JourneyRow.account_id)
    ).one()
    audit.note(db, Event(what, by, now, row.account_id, journey_id, None, detail))
    conduct.advance(db, house, ids=[journey_id], now=now)


def stage_key(db: Session, stage_id: int) -> str:
    """The key of a stage, for texts and API."""
    return db.get_one(StageRow, stage_id).key
