"""What people do with meetings: book, move, cancel, say that one took place or that nobody came; set their hours.

Each tells the journey. Locks in the order that everybody keeps: account, journey, then the quarters of an hour; those in
ascending order, and new ones are taken before old ones are given back, so that two who swap times can't wait for each other.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime, timedelta
from typing import Any
from uuid import uuid4

from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.orm import Session

from portal import audit
from portal.accounts.models import Account, Contact, Staff
from portal.audit import Event, Happened
from portal.clock import business_days_after
from portal.db import insert_for
from portal.errors import N_, NotFound, Refused
from portal.house import House, public_holidays
from portal.journeys import actions as journeys
from portal.journeys import conduct
from portal.journeys.models import Activity, Flag, JourneyRow
from portal.journeys.rules import ActivityKind, Status
from portal.links import new_nonce
from portal.meetings import diary, letters, rules
from portal.meetings.diary import DAY_MINUTES, Span
from portal.meetings.models import (
    CalendarFeed,
    HolidayPlace,
    HourException,
    KindSetting,
    Meeting,
    MeetingTick,
    OwnWeek,
    WeeklyHours,
)
from portal.meetings.rules import KindTerms, MeetingKind, MeetingState, Slot, Way


class SlotTaken(Refused):
    """Somebody was faster, or the time can't be had any more."""

    def __init__(self) -> None:
        super().__init__(N_("That time was just taken. These are still free."))


class TooLateToChange(Refused):
    """The customer's time for changing it by themselves is over."""

    def __init__(self) -> None:
        super().__init__(N_("It’s too close to our meeting. Please call or write, and we’ll find another way."))


class NotPlanned(Refused):
    """The meeting is over, or was cancelled."""

    def __init__(self) -> None:
        super().__init__(N_("This meeting is over or was cancelled already."))


@dataclass(frozen=True, slots=True, kw_only=True)
class Booking:
    """What is to be booked. `starts_at` is an instant on a quarter of an hour; texts are clean already."""

    kind: MeetingKind
    starts_at: datetime
    journey_id: int
    contact_id: int
    staff_id: int
    way: Way = Way.VIDEO
    place: str = ""
    """Only for a meeting in person; calls get the consultant's link or the customer's number."""
    agenda: str = ""
    flag_id: int | None = None
    once: bool = False
    """Whether one that is planned about the same (the case, else the kind on that journey) stands instead: a link in a mail
    may be used in two places at once, for two different times."""


# Booking


def book(db: Session, house: House, booking: Booking, *, by: str, now: datetime) -> int:
    """Books a slot that is on offer, invites both sides, tells the journey; gives the meeting's id.

    The same wish sent twice books once, and so do two that are for `once`: the first one stands.
    Errors: SlotTaken (nothing was written then); Refused for a journey that was lost; NotFound for people who don't belong to it.
    """
    contact = _hold(db, booking.journey_id, booking.contact_id)
    known = _sent_before(db, booking) or (_stands_instead(db, booking, now=now) if booking.once else None)
    if known is not None:
        return known
    terms = diary.terms_of(db, booking.kind)
    _be_offered(db, house, booking, terms, zone=contact.timezone, now=now)
    return _book(db, house, booking, contact, terms, by=by, now=now)


def book_by_hand(db: Session, house: House, booking: Booking, *, by: str, now: datetime) -> int:
    """The same at any quarter of an hour ahead, hours and notice notwithstanding: staff may insist, but never book twice.

    Errors: SlotTaken; Refused for a start that is past or not on a quarter of an hour.
    """
    contact = _hold(db, booking.journey_id, booking.contact_id)
    terms = diary.terms_of(db, booking.kind)
    _be_possible(booking.starts_at, terms, now=now)
    return _book(db, house, booking, contact, terms, by=by, now=now)


def _hold(db: Session, journey_id: int, contact_id: int) -> Contact:
    """Account and journey are held from here on; gives the contact."""
    account_id = db.scalar(select(JourneyRow.account_id).where(JourneyRow.id == journey_id))
    if account_id is None:
        raise NotFound
    _hold_both(db, account_id, journey_id)
    if db.scalar(select(JourneyRow.status).where(JourneyRow.id == journey_id)) is Status.LOST:
        raise Refused(N_("This customer’s journey has ended. Open a new one before you meet."))
    contact = db.get(Contact, contact_id)
    if contact is None or contact.account_id != account_id or contact.disabled_at is not None:
        raise NotFound
    return contact


def _sent_before(db: Session, booking: Booking) -> int | None:
    """The planned meeting that this very wish has led to: a button pressed twice, a page sent again."""
    return db.scalar(
        select(Meeting.id).where(
            Meeting.staff_id == booking.staff_id,
            Meeting.starts_at == booking.starts_at,
            Meeting.contact_id == booking.contact_id,
            Meeting.kind == booking.kind,
            Meeting.cancelled_at.is_(None),
        )
    )


def _stands_instead(db: Session, booking: Booking, *, now: datetime) -> int | None:
    """Asked once the journey is held: whoever came first has committed by then."""
    about = [Meeting.journey_id == booking.journey_id, Meeting.kind == booking.kind]
    if booking.flag_id is not None:
        about = [Meeting.flag_id == booking.flag_id, Meeting.held_at.is_(None), Meeting.ends_at > now]
    wanted = select(Meeting.id).where(*about, Meeting.cancelled_at.is_(None), Meeting.missed_at.is_(None))
    return db.scalar(wanted.order_by(Meeting.id).limit(1))


def _hold_both(db: Session, account_id: int, journey_id: int) -> None:
    # The account only as a foreign key would hold it: it must not wait for its other journeys.
    db.execute(select(Account.id).where(Account.id == account_id).with_for_update(read=True, key_share=True))
    conduct.lock(db, journey_id)


def _be_offered(
    db: Session,
    house: House,
    booking: Booking,
    terms: KindTerms,
    *,
    zone: str,
    now: datetime,
    without_meeting: int | None = None,
) -> None:
    offered = diary.slots(
        db,
        booking.staff_id,
        booking.kind,
        now=now,
        zone=zone,
        holidays=house.holidays,
        without_meeting=without_meeting,
        terms=terms,
    )
    if booking.starts_at not in {slot.starts_at for slot in offered}:
        raise SlotTaken


def _be_possible(starts_at: datetime, terms: KindTerms, *, now: datetime) -> Slot:
    if starts_at <= now:
        raise Refused(N_("That time has passed. Please choose a later one."))
    try:
        return rules.slot_at(starts_at, terms)
    except ValueError:
        raise Refused(N_("Meetings start on the quarter of an hour: 9:00, 9:15, 9:30, 9:45.")) from None


def _book(
    db: Session, house: House, booking: Booking, contact: Contact, terms: KindTerms, *, by: str, now: datetime
) -> int:
    staff = db.get(Staff, booking.staff_id)
    if staff is None or staff.disabled_at is not None:
        raise NotFound
    slot = rules.slot_at(booking.starts_at, terms)
    # A savepoint, so that whoever answers the refusal themselves (with the other slots) commits nothing of this.
    with db.begin_nested():
        meeting = Meeting(
            uid=str(uuid4()),
            kind=booking.kind,
            journey_id=booking.journey_id,
            account_id=contact.account_id,
            contact_id=contact.id,
            staff_id=staff.id,
            flag_id=booking.flag_id,
            starts_at=slot.starts_at,
            ends_at=slot.ends_at,
            held_until=slot.held_until,
            before_minutes=slot.before_minutes,
            changes_until_hours=terms.changes_until_hours,
            zone=contact.timezone,
            way=booking.way,
            place=_place(booking, staff, contact),
            agenda=booking.agenda or terms.agenda(contact.language),
            booked_by=by,
            booked_at=now,
            changed_at=now,
            nonce=new_nonce(),
        )
        db.add(meeting)
        db.flush()
        _claim(db, meeting, rules.ticks(slot.held_from, slot.held_until))
    letters.announce(db, meeting, moved=False, now=now)
    _note(db, meeting, Happened.MEETING_BOOKED, by=by, now=now)
    _tell_journey(db, house, meeting, flag_id=meeting.flag_id, by=by, now=now)
    return meeting.id


def _place(booking: Booking, staff: Staff, contact: Contact) -> str:
    match booking.way:
        case Way.VIDEO:
            return staff.meeting_url
        case Way.PHONE | Way.WHATSAPP:
            return contact.phone
        case Way.IN_PERSON:
            return booking.place


def _claim(db: Session, meeting: Meeting, ticks: Iterable[int]) -> None:
    """Takes quarters of an hour, in ascending order. Errors: SlotTaken if one of them is somebody else's."""
    rows = [{"staff_id": meeting.staff_id, "tick": tick, "meeting_id": meeting.id} for tick in sorted(ticks)]
    if not rows:
        return
    # Not a look and then an insert: whoever inserts second waits for the first one's commit, and gets no row.
    got = db.execute(
        insert_for(db, MeetingTick).values(rows).on_conflict_do_nothing().returning(MeetingTick.tick)
    ).all()
    if len(got) < len(rows):
        raise SlotTaken


def _note(
    db: Session, meeting: Meeting, what: Happened, *, by: str, now: datetime, detail: Mapping[str, Any] | None = None
) -> None:
    told = {"meeting": meeting.id, "kind": meeting.kind, "starts_at": meeting.starts_at.isoformat(), **(detail or {})}
    audit.note(db, Event(what, by, now, meeting.account_id, meeting.journey_id, meeting.contact_id, told))


def _tell_journey(db: Session, house: House, meeting: Meeting, *, flag_id: int | None, by: str, now: datetime) -> None:
    last = db.scalar(
        select(func.max(Meeting.ends_at)).where(
            Meeting.journey_id == meeting.journey_id,
            Meeting.cancelled_at.is_(None),
            Meeting.held_at.is_(None),
            Meeting.missed_at.is_(None),
            Meeting.ends_at > now,
        )
    )
    journeys.hear_meeting(
        db,
        house,
        journey_id=meeting.journey_id,
        contact_id=meeting.contact_id,
        held_until=last,
        booked_by_customer=_is_customer(by),
        flag_id=flag_id if flag_id is not None and _is_open(db, flag_id) else None,
        by=by,
        now=now,
    )


def _is_open(db: Session, flag_id: int) -> bool:
    return db.scalar(select(Flag.id).where(Flag.id == flag_id, Flag.closed_at.is_(None))) is not None


def _is_customer(by: str) -> bool:
    return by.startswith("contact:")


# Moving and cancelling


def reschedule(db: Session, house: House, *, meeting_id: int, starts_at: datetime, by: str, now: datetime) -> None:
    """Moves a meeting to a slot that is on offer: the same UID, the next SEQUENCE, new invitations and reminders.

    Errors: SlotTaken (it stays where it was); TooLateToChange for a customer; NotPlanned; NotFound.
    """
    meeting = _held(db, meeting_id)
    _be_changeable(meeting, by=by, now=now)
    wanted = Booking(
        kind=meeting.kind,
        starts_at=starts_at,
        journey_id=meeting.journey_id,
        contact_id=meeting.contact_id,
        staff_id=meeting.staff_id,
    )
    if starts_at != meeting.starts_at:
        terms = diary.terms_of(db, meeting.kind)
        _be_offered(db, house, wanted, terms, zone=meeting.zone, now=now, without_meeting=meeting.id)
        _move(db, house, meeting, rules.slot_at(starts_at, terms), by=by, now=now)


def reschedule_by_hand(
    db: Session, house: House, *, meeting_id: int, starts_at: datetime, by: str, now: datetime
) -> None:
    """The same to any quarter of an hour ahead, for staff who insist. Errors: SlotTaken, Refused, NotPlanned, NotFound."""
    meeting = _held(db, meeting_id)
    _be_changeable(meeting, by=by, now=now)
    if starts_at != meeting.starts_at:
        terms = diary.terms_of(db, meeting.kind)
        _move(db, house, meeting, _be_possible(starts_at, terms, now=now), by=by, now=now)


def _held(db: Session, meeting_id: int) -> Meeting:
    """The meeting, with account and journey held."""
    known = db.execute(select(Meeting.account_id, Meeting.journey_id).where(Meeting.id == meeting_id)).one_or_none()
    if known is None:
        raise NotFound
    _hold_both(db, known.account_id, known.journey_id)
    return db.get_one(Meeting, meeting_id, populate_existing=True)


def _be_changeable(meeting: Meeting, *, by: str, now: datetime) -> None:
    if meeting.state is not MeetingState.PLANNED or meeting.ends_at <= now:
        raise NotPlanned
    if _is_customer(by) and not rules.may_customer_change(
        meeting.starts_at, now, until_hours=meeting.changes_until_hours
    ):
        raise TooLateToChange


def _move(db: Session, house: House, meeting: Meeting, slot: Slot, *, by: str, now: datetime) -> None:
    was = meeting.starts_at
    before = set(rules.ticks(meeting.held_from, meeting.held_until))
    after = set(rules.ticks(slot.held_from, slot.held_until))
    with db.begin_nested():
        _claim(db, meeting, after - before)
    _give_back(db, meeting, before - after)
    letters.take_back(db, meeting, now=now)
    meeting.starts_at, meeting.ends_at, meeting.held_until = slot.starts_at, slot.ends_at, slot.held_until
    meeting.before_minutes = slot.before_minutes
    meeting.sequence, meeting.changed_at = meeting.sequence + 1, now
    db.flush()
    letters.announce(db, meeting, moved=True, now=now)
    _note(db, meeting, Happened.MEETING_MOVED, by=by, now=now, detail={"from": was.isoformat()})
    _tell_journey(db, house, meeting, flag_id=meeting.flag_id, by=by, now=now)


def _give_back(db: Session, meeting: Meeting, ticks: Iterable[int]) -> None:
    db.execute(delete(MeetingTick).where(MeetingTick.meeting_id == meeting.id, MeetingTick.tick.in_(sorted(ticks))))


def cancel(db: Session, house: House, *, meeting_id: int, why: str, by: str, now: datetime) -> None:
    """Cancels a meeting and tells both sides; cancelled once stays as it was. Its time can be booked again at once.

    A doubt meeting that the customer cancels leaves the consultant to find another time, since the flag stays open.
    Errors: TooLateToChange for a customer; NotPlanned once it is over; NotFound.
    """
    meeting = _held(db, meeting_id)
    if meeting.state is MeetingState.CANCELLED:
        return
    _be_changeable(meeting, by=by, now=now)
    letters.take_back(db, meeting, now=now)
    meeting.cancelled_at, meeting.cancelled_by, meeting.cancelled_why = now, by, why[:1000]
    meeting.sequence, meeting.changed_at = meeting.sequence + 1, now
    db.flush()
    db.execute(delete(MeetingTick).where(MeetingTick.meeting_id == meeting.id))
    letters.call_off(db, meeting, now=now)
    _note(db, meeting, Happened.MEETING_CANCELLED, by=by, now=now, detail={"why": why})
    if _is_customer(by) and meeting.flag_id is not None and _is_open(db, meeting.flag_id):
        _ask_consultant(db, house, meeting, ActivityKind.FIND_NEW_TIME, by=by, now=now)
    _tell_journey(db, house, meeting, flag_id=None, by=by, now=now)


def _ask_consultant(db: Session, house: House, meeting: Meeting, kind: ActivityKind, *, by: str, now: datetime) -> None:
    journeys.add_activity(
        db,
        journey_id=meeting.journey_id,
        kind=kind,
        key=_key(kind, meeting),
        due_at=business_days_after(now, 1, meeting.zone, house.holidays),
        by=by,
        now=now,
    )


# What became of it

ASKED_AFTER = timedelta(hours=2)
"""How long after its end a meeting that nobody has closed becomes a question to its consultant."""
_ENDINGS = (Meeting.cancelled_at, Meeting.held_at, Meeting.missed_at, Meeting.asked_at)


def claim_over(db: Session, now: datetime, limit: int) -> Sequence[Meeting]:
    """Meetings that are over and that nobody has said anything about, oldest first, locked for this worker."""
    # Their journeys are what is held, as everybody does who changes a meeting: whoever books there now waits, or is passed
    # over until the next time.
    return db.scalars(
        select(Meeting)
        .join(JourneyRow, JourneyRow.id == Meeting.journey_id)
        .where(*(column.is_(None) for column in _ENDINGS), Meeting.ends_at <= now - ASKED_AFTER)
        .order_by(Meeting.ends_at, Meeting.id)
        .limit(limit)
        .with_for_update(skip_locked=True, of=JourneyRow)
    ).all()


def ask_what_became(db: Session, house: House, over: Sequence[Meeting], now: datetime) -> None:
    """Asks the consultant whether they took place."""
    for meeting in over:
        meeting.asked_at = now
        journeys.add_activity(
            db,
            journey_id=meeting.journey_id,
            kind=ActivityKind.CONFIRM_MEETING,
            key=_key(ActivityKind.CONFIRM_MEETING, meeting),
            due_at=business_days_after(now, 1, meeting.zone, house.holidays),
            by="system",
            now=now,
        )
    db.flush()


def put_aside_over(db: Session, meeting: Meeting, _error: str, now: datetime) -> None:
    """One that can't be asked about; it still waits on the agenda to be closed."""
    db.execute(update(Meeting).where(Meeting.id == meeting.id).values(asked_at=now))


def next_over(db: Session) -> datetime | None:
    """When the next question is due."""
    first = db.scalar(select(func.min(Meeting.ends_at)).where(*(column.is_(None) for column in _ENDINGS)))
    return first + ASKED_AFTER if first is not None else None


def _settle(
    db: Session, house: House, meeting: Meeting, kinds: Sequence[ActivityKind], *, by: str, now: datetime
) -> None:
    """What was to be done about the meeting is answered by what is known now."""
    waiting = select(Activity.id).where(
        Activity.journey_id == meeting.journey_id,
        Activity.key.in_([_key(kind, meeting) for kind in kinds]),
        Activity.done_at.is_(None),
    )
    for activity_id in db.scalars(waiting).all():
        journeys.complete_activity(db, house, activity_id=activity_id, note="", by=by, now=now)


def _key(kind: ActivityKind, meeting: Meeting) -> str:
    return f"{kind}:meeting:{meeting.id}"


def mark_held(db: Session, house: House, *, meeting_id: int, by: str, now: datetime) -> None:
    """The meeting took place: the plan's touchpoint of its kind is done. It can also correct "nobody came".

    Errors: Refused before it has begun; NotPlanned if it was cancelled; NotFound.
    """
    meeting = _held(db, meeting_id)
    if meeting.state is MeetingState.HELD:
        return
    _have_begun(meeting, now=now)
    meeting.held_at, meeting.held_by = now, by
    meeting.missed_at, meeting.missed_by = None, ""
    db.flush()
    letters.take_back_follow_up(db, meeting, now=now)
    _note(db, meeting, Happened.MEETING_HELD, by=by, now=now)
    _settle(db, house, meeting, (ActivityKind.CONFIRM_MEETING, ActivityKind.CALL_AFTER_NO_SHOW), by=by, now=now)
    journeys.hear_meeting_held(
        db,
        house,
        journey_id=meeting.journey_id,
        meeting_id=meeting.id,
        contact_id=meeting.contact_id,
        kind=meeting.kind,
        by=by,
        now=now,
    )


def mark_missed(db: Session, house: House, *, meeting_id: int, by: str, now: datetime) -> None:
    """The customer didn't come: the consultant is asked to call, and the customer gets a friendly mail with other times.

    Errors: as `mark_held`; NotPlanned if it was held."""
    meeting = _held(db, meeting_id)
    if meeting.state is MeetingState.MISSED:
        return
    if meeting.state is MeetingState.HELD:
        raise NotPlanned
    _have_begun(meeting, now=now)
    meeting.missed_at, meeting.missed_by = now, by
    db.flush()
    letters.follow_up(db, meeting, now=now)
    _note(db, meeting, Happened.MEETING_MISSED, by=by, now=now)
    _settle(db, house, meeting, (ActivityKind.CONFIRM_MEETING,), by=by, now=now)
    _ask_consultant(db, house, meeting, ActivityKind.CALL_AFTER_NO_SHOW, by=by, now=now)
    _tell_journey(db, house, meeting, flag_id=None, by=by, now=now)


def _have_begun(meeting: Meeting, *, now: datetime) -> None:
    if meeting.state is MeetingState.CANCELLED:
        raise NotPlanned
    if now < meeting.starts_at:
        raise Refused(N_("It hasn’t begun yet. Move or cancel it instead."))


# Hours


class ImpossibleHours(Refused):
    """Hours that end before they begin, or overlap."""

    status = 422
    sentence = N_("These hours overlap, or end before they begin.")

    def __init__(self) -> None:
        super().__init__(self.sentence)


def set_week(db: Session, *, staff_id: int, week: Mapping[int, Sequence[Span]], now: datetime) -> None:
    """Sets somebody's whole week, by weekday; days left out are off. Meetings that are booked stay. Errors: ImpossibleHours."""
    if not all(are_in_order(spans) for spans in week.values()):
        raise ImpossibleHours
    _hold_week(db, staff_id, now=now)
    db.execute(delete(WeeklyHours).where(WeeklyHours.staff_id == staff_id))
    rows = [
        {"staff_id": staff_id, "weekday": weekday, **span._asdict()}
        for weekday, spans in sorted(week.items())
        for span in spans
    ]
    if rows:
        db.execute(insert(WeeklyHours), rows)
    _note_hours(db, staff_id, {"hours": "week"}, now=now)


def _hold_week(db: Session, staff_id: int, *, now: datetime) -> None:
    """Somebody's own week begins, if it has not yet; two who save it at once take turns."""
    values = {"staff_id": staff_id, "set_at": now}
    write = insert_for(db, OwnWeek).values(values)
    db.execute(write.on_conflict_do_update(index_elements=["staff_id"], set_={"set_at": now}))


def are_in_order(spans: Sequence[Span]) -> bool:
    """Whether each stretch of a day ends after it begins, within the day, and none overlaps another."""
    at = 0
    for span in sorted(spans):
        if not at <= span.opens_minute < span.closes_minute <= DAY_MINUTES:
            return False
        at = span.closes_minute
    return True


def set_exception(db: Session, *, staff_id: int, day: date, spans: Sequence[Span], now: datetime) -> None:
    """Other hours on one date, or none at all: a day off. Errors: ImpossibleHours."""
    if not are_in_order(spans):
        raise ImpossibleHours
    _clear(db, staff_id, day)
    rows = [{"staff_id": staff_id, "day": day, **span._asdict()} for span in spans]
    db.execute(insert(HourException), rows or [{"staff_id": staff_id, "day": day}])
    _note_hours(db, staff_id, {"hours": day.isoformat()}, now=now)


def clear_exception(db: Session, *, staff_id: int, day: date, now: datetime) -> None:
    """The week holds on that date again."""
    _clear(db, staff_id, day)
    _note_hours(db, staff_id, {"hours": day.isoformat(), "as": "week"}, now=now)


def _clear(db: Session, staff_id: int, day: date) -> None:
    db.execute(select(Staff.id).where(Staff.id == staff_id).with_for_update(key_share=True))
    db.execute(delete(HourException).where(HourException.staff_id == staff_id, HourException.day == day))


def set_holidays(db: Session, *, staff_id: int, place: str | None, now: datetime) -> None:
    """Whose public holidays somebody has: `BR-SP`, none at all (empty), or those of the house (None).

    Errors: Refused for a place that nobody knows.
    """
    if place:
        try:
            public_holidays(place)
        except NotImplementedError:
            raise Refused(N_("Please choose one from the list.")) from None
    db.execute(delete(HolidayPlace).where(HolidayPlace.staff_id == staff_id))
    if place is not None:
        db.execute(insert(HolidayPlace).values(staff_id=staff_id, place=place))
    _note_hours(db, staff_id, {"hours": "holidays", "place": place}, now=now)


def _note_hours(db: Session, staff_id: int, detail: dict[str, Any], *, now: datetime) -> None:
    audit.note(db, Event(Happened.STAFF_CHANGED, f"staff:{staff_id}", now, detail={"staff": staff_id, **detail}))


# Kinds


def set_kind(db: Session, kind: MeetingKind, terms: KindTerms, *, by: str, now: datetime) -> None:
    """Changes what a kind of meeting takes from now on; meetings that are booked stay as they are."""
    values = {
        "length_minutes": terms.length_minutes,
        "before_minutes": terms.before_minutes,
        "after_minutes": terms.buffer_minutes,
        "notice_hours": terms.notice_hours,
        "horizon_days": terms.horizon_days,
        "changes_until_hours": terms.changes_until_hours,
        "ways": " ".join(way.value for way in Way if way in terms.ways),
        "agenda_en": terms.agenda_en,
        "agenda_pt": terms.agenda_pt,
        "changed_at": now,
        "changed_by": by,
    }
    before = diary.terms_of(db, kind)
    write = insert_for(db, KindSetting).values(kind=kind, **values)
    db.execute(write.on_conflict_do_update(index_elements=["kind"], set_=values))
    _note_kind(db, kind, before, terms, by=by, now=now)


def reset_kind(db: Session, kind: MeetingKind, *, by: str, now: datetime) -> None:
    """What ships holds again."""
    before = diary.terms_of(db, kind)
    db.execute(delete(KindSetting).where(KindSetting.kind == kind))
    _note_kind(db, kind, before, rules.TERMS[kind], by=by, now=now)


def _note_kind(db: Session, kind: MeetingKind, was: KindTerms, now_is: KindTerms, *, by: str, now: datetime) -> None:
    old, new = asdict(was), asdict(now_is)
    changed = {name: {"from": old[name], "to": new[name]} for name in new if old[name] != new[name]}
    audit.note(db, Event(Happened.MEETING_KIND_CHANGED, by, now, detail={"kind": kind, "changed": changed}))


# Feeds


def open_feed(db: Session, *, contact_id: int | None = None, staff_id: int | None = None, now: datetime) -> None:
    """Gives somebody's calendar a new private address; an old one ends at once."""
    owner = {"contact_id": contact_id} if contact_id is not None else {"staff_id": staff_id}
    write = insert_for(db, CalendarFeed).values(**owner, nonce=(nonce := new_nonce()), made_at=now)
    db.execute(write.on_conflict_do_update(index_elements=[*owner], set_={"nonce": nonce, "made_at": now}))


def close_feed(db: Session, *, contact_id: int | None = None, staff_id: int | None = None) -> None:
    """Ends the address for good."""
    own = CalendarFeed.contact_id == contact_id if contact_id is not None else CalendarFeed.staff_id == staff_id
    db.execute(delete(CalendarFeed).where(own))
