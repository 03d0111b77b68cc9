"""What pages and the API show of meetings: the next one, somebody's check-ins, a consultant's agenda, slots, feeds."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import and_, bindparam, case, func, or_, select
from sqlalchemy.orm import Session, aliased

from portal import links
from portal.accounts.models import Account, Contact, Staff
from portal.clock import local_date
from portal.db import rows_of
from portal.house import House
from portal.journeys.models import Flag, JourneyRow
from portal.journeys.rules import Status
from portal.journeys.shipped import AFTER_SALE
from portal.meetings.diary import Span
from portal.meetings.diary import all_terms as all_terms  # part of what pages and the API ask of this room
from portal.meetings.diary import slots as slots
from portal.meetings.diary import terms_of as terms_of
from portal.meetings.models import (
    BusyCalendar,
    CalendarFeed,
    HolidayPlace,
    HourException,
    KindSetting,
    Meeting,
    WeeklyHours,
)
from portal.meetings.rules import WORDS, KindWords, MeetingKind, MeetingState, Way, kinds_to_offer, may_customer_change

MEETING = "meeting"
"""The purpose that the links in a meeting's mails are sealed for."""
FEED = "calendar"
FEED_LOOKS_BACK = timedelta(days=90)
LINK_ENDS_AFTER = timedelta(days=30)
"""How long after the meeting the link in its mails still shows it."""


class MeetingLine(NamedTuple):
    """One meeting with everybody's names, as every page shows it."""

    id: int
    uid: str
    sequence: int
    kind: MeetingKind
    journey_id: int
    account_id: int
    account_name: str
    contact_id: int
    contact_name: str
    contact_email: str | None
    contact_language: str
    contact_zone: str
    staff_id: int
    staff_name: str
    staff_email: str
    staff_zone: str
    flag_id: int | None
    starts_at: datetime
    ends_at: datetime
    zone: str
    way: Way
    place: str
    agenda: str
    booked_by: str
    booked_at: datetime
    changed_at: datetime
    cancelled_at: datetime | None
    cancelled_by: str
    cancelled_why: str
    held_at: datetime | None
    missed_at: datetime | None
    nonce: str
    changes_until_hours: int
    account_external_id: str

    @property
    def title(self) -> str:
        """What customers call it (msgid)."""
        return WORDS[self.kind].customer

    @property
    def staff_title(self) -> str:
        """What staff call it (msgid)."""
        return WORDS[self.kind].staff

    @property
    def purpose(self) -> str:
        return WORDS[self.kind].purpose

    @property
    def state(self) -> MeetingState:
        if self.cancelled_at is not None:
            return MeetingState.CANCELLED
        if self.held_at is not None:
            return MeetingState.HELD
        return MeetingState.MISSED if self.missed_at is not None else MeetingState.PLANNED

    @property
    def minutes(self) -> int:
        return int((self.ends_at - self.starts_at).total_seconds()) // 60

    @property
    def cancelled_by_customer(self) -> bool:
        return self.cancelled_by.startswith("contact:")

    def is_ahead(self, now: datetime) -> bool:
        """Planned and not over yet."""
        return self.state is MeetingState.PLANNED and now < self.ends_at

    def may_customer_change(self, now: datetime) -> bool:
        return self.state is MeetingState.PLANNED and may_customer_change(
            self.starts_at, now, until_hours=self.changes_until_hours
        )


_LINES = (
    select(
        Meeting.id,
        Meeting.uid,
        Meeting.sequence,
        Meeting.kind,
        Meeting.journey_id,
        Meeting.account_id,
        Account.name,
        Meeting.contact_id,
        Contact.name,
        Contact.email,
        Contact.language,
        Contact.timezone,
        Meeting.staff_id,
        Staff.name,
        Staff.email,
        Staff.timezone,
        Meeting.flag_id,
        Meeting.starts_at,
        Meeting.ends_at,
        Meeting.zone,
        Meeting.way,
        Meeting.place,
        Meeting.agenda,
        Meeting.booked_by,
        Meeting.booked_at,
        Meeting.changed_at,
        Meeting.cancelled_at,
        Meeting.cancelled_by,
        Meeting.cancelled_why,
        Meeting.held_at,
        Meeting.missed_at,
        Meeting.nonce,
        Meeting.changes_until_hours,
        Account.external_id,
    )
    .select_from(Meeting)
    .join(Account, Account.id == Meeting.account_id)
    .join(Contact, Contact.id == Meeting.contact_id)
    .join(Staff, Staff.id == Meeting.staff_id)
)
_PLANNED = and_(Meeting.cancelled_at.is_(None), Meeting.held_at.is_(None), Meeting.missed_at.is_(None))
# Colleagues see the meetings of their company; a doubt meeting is between the person who has the doubt and us.
SEEN_BY = and_(
    Meeting.account_id == bindparam("account_id"),
    or_(Meeting.contact_id == bindparam("contact_id"), Meeting.kind != MeetingKind.DOUBT),
)
_NEXT = (
    _LINES.where(SEEN_BY, _PLANNED, Meeting.ends_at > bindparam("now")).order_by(Meeting.starts_at, Meeting.id).limit(1)
)
_CHECK_INS = _LINES.where(SEEN_BY).order_by(Meeting.starts_at.desc(), Meeting.id.desc()).limit(60)


def _line(row: Any) -> MeetingLine:
    return MeetingLine(*row)


def next_meeting(db: Session, *, contact_id: int, account_id: int, now: datetime) -> MeetingLine | None:
    """The next meeting that a contact sees: their own, or one of their company; None if none is planned. One statement."""
    found = rows_of(db, _NEXT, {"contact_id": contact_id, "account_id": account_id, "now": now})
    return _line(found[0]) if found else None


class CheckIns(NamedTuple):
    """A contact's meetings: those ahead, soonest first; those behind or cancelled, latest first."""

    ahead: tuple[MeetingLine, ...]
    behind: tuple[MeetingLine, ...]


def check_ins(db: Session, *, contact_id: int, account_id: int, now: datetime) -> CheckIns:
    """The last sixty meetings that a contact sees. One statement."""
    lines = [_line(row) for row in rows_of(db, _CHECK_INS, {"contact_id": contact_id, "account_id": account_id})]
    ahead = tuple(line for line in reversed(lines) if line.is_ahead(now))
    return CheckIns(ahead, tuple(line for line in lines if not line.is_ahead(now)))


def meeting(db: Session, meeting_id: int) -> MeetingLine | None:
    """One meeting, for staff; None if there is none."""
    row = db.execute(_LINES.where(Meeting.id == meeting_id)).first()
    return _line(row) if row is not None else None


def own_meeting(db: Session, meeting_id: int, *, contact_id: int) -> MeetingLine | None:
    """One meeting of the contact who asks; None for anybody else's."""
    row = db.execute(_LINES.where(Meeting.id == meeting_id, Meeting.contact_id == contact_id)).first()
    return _line(row) if row is not None else None


def sealed_path(house: House, meeting_id: int, nonce: str) -> str:
    """Where the link in a meeting's mails leads: this one meeting, without signing in."""
    return f"/m/{links.seal(house.secret, MEETING, meeting_id, nonce)}"


def sealed_meeting(db: Session, house: House, token: str, *, now: datetime) -> MeetingLine | None:
    """The meeting that a mail's link was sealed for; None if it was not, or long after the meeting."""
    found = meeting(db, links.row_of(token) or 0)
    if found is None or not links.is_sealed(token, house.secret, MEETING, found.nonce):
        return None
    return found if now < found.ends_at + LINK_ENDS_AFTER else None


def meetings_of(
    db: Session, journey_ids: Sequence[int], *, after_id: int = 0, limit: int = 100
) -> tuple[MeetingLine, ...]:
    """The meetings of some journeys in the order they were booked, from the one after `after_id`. One statement."""
    of = _LINES.where(Meeting.journey_id.in_(journey_ids), Meeting.id > after_id).order_by(Meeting.id).limit(limit)
    return tuple(_line(row) for row in db.execute(of))


def booked(db: Session, *, journey_id: int | None, after_id: int, limit: int) -> tuple[MeetingLine, ...]:
    """Meetings in the order they were booked, of one journey or of all, from the one after `after_id`. One statement."""
    of = _LINES.where(Meeting.id > after_id).order_by(Meeting.id).limit(limit)
    if journey_id is not None:
        of = of.where(Meeting.journey_id == journey_id)
    return tuple(_line(row) for row in db.execute(of))


def planned_for_flag(db: Session, flag_id: int, *, now: datetime) -> MeetingLine | None:
    """The doubt meeting that is planned for a flag, the soonest if there are two; None while there is none."""
    row = db.execute(
        _LINES.where(Meeting.flag_id == flag_id, _PLANNED, Meeting.ends_at > now).order_by(Meeting.starts_at).limit(1)
    ).first()
    return _line(row) if row is not None else None


def was_met_about(db: Session, flag_id: int) -> bool:
    """Whether a meeting about that case was held."""
    held = select(Meeting.id).where(Meeting.flag_id == flag_id, Meeting.held_at.is_not(None)).limit(1)
    return db.scalar(held) is not None


def planned_again(db: Session, line: MeetingLine, *, now: datetime) -> MeetingLine | None:
    """The next meeting of the same person, kind and journey as one that came to nothing; None while there is none."""
    row = db.execute(
        _LINES.where(
            Meeting.journey_id == line.journey_id,
            Meeting.contact_id == line.contact_id,
            Meeting.kind == line.kind,
            _PLANNED,
            Meeting.ends_at > now,
        )
        .order_by(Meeting.starts_at)
        .limit(1)
    ).first()
    return _line(row) if row is not None else None


# A consultant's agenda


class Agenda(NamedTuple):
    """What a consultant has: over and waiting for what became of it; ahead, soonest first."""

    to_close: tuple[MeetingLine, ...]
    ahead: tuple[MeetingLine, ...]


def agenda(db: Session, staff_id: int, *, now: datetime, until: datetime) -> Agenda:
    """The planned meetings of a consultant up to `until`, and the last hundred that nobody has closed. One statement."""
    rows = db.execute(
        _LINES.where(Meeting.staff_id == staff_id, _PLANNED, Meeting.starts_at < until)
        .order_by(Meeting.starts_at.desc(), Meeting.id.desc())
        .limit(300)
    )
    lines = [_line(row) for row in rows][::-1]
    return Agenda(
        tuple(line for line in lines if line.ends_at <= now)[-100:], tuple(line for line in lines if line.ends_at > now)
    )


# Who meets whom


class Host(NamedTuple):
    """The journey that a meeting would belong to, and the consultant who leads it."""

    journey_id: int
    account_id: int
    account_name: str
    use_started_on: date | None
    journey_zone: str
    staff_id: int
    name: str
    email: str
    phone: str
    whatsapp: str
    meeting_url: str
    zone: str
    pipeline_key: str
    portrait: str

    @property
    def first_name(self) -> str:
        return self.name.split()[0] if self.name.split() else self.name


_HOST = (
    select(
        JourneyRow.id,
        Account.id,
        Account.name,
        JourneyRow.use_started_on,
        JourneyRow.zone,
        Staff.id,
        Staff.name,
        Staff.email,
        Staff.phone,
        Staff.whatsapp,
        Staff.meeting_url,
        Staff.timezone,
        JourneyRow.pipeline_key,
        Staff.portrait,
    )
    .select_from(JourneyRow)
    .join(Account, Account.id == JourneyRow.account_id)
    .join(Staff, Staff.id == func.coalesce(JourneyRow.owner_id, Account.consultant_id))
    .where(Staff.disabled_at.is_(None))
)


def host_of(db: Session, account_id: int) -> Host | None:
    """Whom an account's people meet: by its open journey, After-sale before Relationship; None without a consultant."""
    row = db.execute(
        _HOST.where(JourneyRow.account_id == account_id, JourneyRow.status == Status.OPEN)
        .order_by(case((JourneyRow.pipeline_key == AFTER_SALE, 0), else_=1), JourneyRow.id)
        .limit(1)
    ).first()
    return Host._make(row) if row is not None else None


def host_of_journey(db: Session, journey_id: int) -> Host | None:
    """The same for one journey, which may have ended (a flag can outlive it)."""
    row = db.execute(_HOST.where(JourneyRow.id == journey_id)).first()
    return Host._make(row) if row is not None else None


def offered_kinds(db: Session, host: Host, *, now: datetime) -> tuple[MeetingKind, ...]:
    """What the customer can book by themselves on this journey. One statement, or none: after the start there is nothing
    but a check-up."""
    if host.pipeline_key != AFTER_SALE:
        return (MeetingKind.CHECKUP,)
    known = set(
        db.scalars(
            select(Meeting.kind).where(
                Meeting.journey_id == host.journey_id, Meeting.cancelled_at.is_(None), Meeting.missed_at.is_(None)
            )
        )
    )
    started = host.use_started_on
    return kinds_to_offer(known, (local_date(now, host.journey_zone) - started).days if started is not None else None)


class Offer(NamedTuple):
    """A meeting of the plan as the customer sees it there: planned for `starts_at`, or to be booked now (`can_book`)."""

    kind: MeetingKind
    starts_at: datetime | None
    can_book: bool

    @property
    def words(self) -> KindWords:
        return WORDS[self.kind]

    @property
    def path(self) -> str:
        return f"/check-ins/new?kind={self.kind}"


_OF_PLAN = (MeetingKind.KICKOFF, MeetingKind.DAY14)
_PLAN_MEETINGS = (
    select(Meeting.kind, Meeting.starts_at, Meeting.ends_at, Meeting.held_at)
    .where(
        Meeting.journey_id == bindparam("journey_id"),
        Meeting.kind.in_(_OF_PLAN),
        Meeting.cancelled_at.is_(None),
        Meeting.missed_at.is_(None),
    )
    .order_by(Meeting.starts_at)
)


def offers_of_plan(db: Session, journey_id: int, *, day_of_use: int | None, now: datetime) -> dict[MeetingKind, Offer]:
    """The kick-off and the two-week check-in of a journey under way, by kind, each unless it took place: offered by
    themselves once it is time. One statement."""
    rows = rows_of(db, _PLAN_MEETINGS, {"journey_id": journey_id})
    offered = kinds_to_offer({row.kind for row in rows}, day_of_use)
    made: dict[MeetingKind, Offer] = {}
    for kind in _OF_PLAN:
        known = [row for row in rows if row.kind is kind]
        planned = next((row.starts_at for row in known if row.held_at is None and row.ends_at > now), None)
        if planned is not None or (kind in offered and not known):
            made[kind] = Offer(kind, planned, can_book=planned is None)
    return made


class DoubtCase(NamedTuple):
    """A flag as a doubt meeting needs to know it."""

    flag_id: int
    journey_id: int
    account_id: int
    contact_id: int | None
    words: str
    is_open: bool


_CASES = select(Flag.id, Flag.journey_id, Flag.account_id, Flag.contact_id, Flag.words, Flag.closed_at.is_(None))
_GOES_ON_IN = aliased(Flag)


def doubt_case(db: Session, flag_id: int) -> DoubtCase | None:
    """The case of that number."""
    row = db.execute(_CASES.where(Flag.id == flag_id)).first()
    return DoubtCase._make(row) if row is not None else None


def open_case_of(db: Session, contact_id: int) -> DoubtCase | None:
    """The last case of a person that is still open; None while there is nothing to put right."""
    row = db.execute(
        _CASES.where(Flag.contact_id == contact_id, Flag.closed_at.is_(None)).order_by(Flag.id.desc()).limit(1)
    ).first()
    return DoubtCase._make(row) if row is not None else None


def case_of_answer(db: Session, answer_id: int) -> DoubtCase | None:
    """The case that an answer opened, or that this one goes on in."""
    opened = select(func.coalesce(_GOES_ON_IN.merged_into_id, _GOES_ON_IN.id)).where(_GOES_ON_IN.answer_id == answer_id)
    row = db.execute(_CASES.where(Flag.id == opened.scalar_subquery())).first()
    return DoubtCase._make(row) if row is not None else None


# Hours, as their editor shows them


def own_week(db: Session, staff_id: int) -> dict[int, list[Span]]:
    """The weekly hours that somebody set, by weekday."""
    week: dict[int, list[Span]] = {}
    for weekday, opens, closes in db.execute(
        select(WeeklyHours.weekday, WeeklyHours.opens_minute, WeeklyHours.closes_minute)
        .where(WeeklyHours.staff_id == staff_id)
        .order_by(WeeklyHours.weekday, WeeklyHours.opens_minute)
    ):
        week.setdefault(weekday, []).append(Span(opens, closes))
    return week


def exceptions(db: Session, staff_id: int, *, since: date) -> dict[date, list[Span]]:
    """The dates from `since` on with other hours; no stretches: a day off."""
    dates: dict[date, list[Span]] = {}
    for day, opens, closes in db.execute(
        select(HourException.day, HourException.opens_minute, HourException.closes_minute)
        .where(HourException.staff_id == staff_id, HourException.day >= since)
        .order_by(HourException.day, HourException.opens_minute)
    ):
        dates.setdefault(day, []).extend([Span(opens, closes)] if opens is not None and closes is not None else [])
    return dates


def holiday_place(db: Session, staff_id: int) -> str | None:
    """Whose public holidays somebody has; None: those of the house."""
    return db.scalar(select(HolidayPlace.place).where(HolidayPlace.staff_id == staff_id))


class OwnCalendar(NamedTuple):
    """How reading a consultant's own calendar goes. Of its address only the host is ever shown again."""

    host: str
    added_at: datetime
    read_at: datetime | None
    busy_count: int
    left_out: int
    failures: int
    failed_at: datetime | None
    error: str
    error_values: dict[str, Any]
    try_at: datetime


def own_calendar(db: Session, staff_id: int) -> OwnCalendar | None:
    """The calendar whose busy times block somebody's slots; None if they gave none."""
    columns = (getattr(BusyCalendar, name) for name in OwnCalendar._fields)
    row = db.execute(select(*columns).where(BusyCalendar.staff_id == staff_id)).first()
    return OwnCalendar._make(row) if row is not None else None


def changed_kinds(db: Session) -> frozenset[MeetingKind]:
    """The kinds of which somebody changed what ships."""
    return frozenset(db.scalars(select(KindSetting.kind)))


# Feeds


class FeedOwner(NamedTuple):
    """Whose calendar reads a feed, and how they read."""

    contact_id: int | None
    staff_id: int | None
    account_id: int | None
    language: str
    zone: str


def feed_path(db: Session, house: House, *, contact_id: int | None = None, staff_id: int | None = None) -> str:
    """The private address of somebody's feed; empty while there is none."""
    own = CalendarFeed.contact_id == contact_id if contact_id is not None else CalendarFeed.staff_id == staff_id
    feed = db.scalar(select(CalendarFeed).where(own))
    return f"/calendar/{links.seal(house.secret, FEED, feed.id, feed.nonce)}.ics" if feed is not None else ""


def feed_owner(db: Session, house: House, token: str) -> FeedOwner | None:
    """Whose feed it is; None if the address was changed, switched off, or its person is no longer with us."""
    row = db.execute(
        select(
            CalendarFeed.nonce,
            CalendarFeed.contact_id,
            CalendarFeed.staff_id,
            Contact.account_id,
            func.coalesce(Contact.language, Staff.language).label("language"),
            func.coalesce(Contact.timezone, Staff.timezone).label("zone"),
        )
        .outerjoin(Contact, Contact.id == CalendarFeed.contact_id)
        .outerjoin(Staff, Staff.id == CalendarFeed.staff_id)
        .where(
            CalendarFeed.id == (links.row_of(token) or 0), Contact.disabled_at.is_(None), Staff.disabled_at.is_(None)
        )
    ).first()
    if row is None or not links.is_sealed(token, house.secret, FEED, row.nonce):
        return None
    return FeedOwner(row.contact_id, row.staff_id, row.account_id, str(row.language), row.zone)


def feed_meetings(db: Session, owner: FeedOwner, *, now: datetime) -> list[MeetingLine]:
    """What a feed holds: from 90 days back, five hundred at most, in order; cancelled ones too, so that they go away."""
    own = Meeting.contact_id == owner.contact_id if owner.contact_id is not None else Meeting.staff_id == owner.staff_id
    rows = db.execute(
        _LINES.where(own, Meeting.starts_at >= now - FEED_LOOKS_BACK).order_by(Meeting.starts_at, Meeting.id).limit(500)
    )
    return [_line(row) for row in rows]
