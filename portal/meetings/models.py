"""What we remember of meetings: when a consultant can be had, what is booked, and the quarters of an hour that it takes."""

from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, Integer, LargeBinary, String, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from portal.db import Base, By, Id, Prose, choice
from portal.meetings.rules import MeetingKind, MeetingState, Way


class OwnWeek(Base):
    """Somebody decided on their own weekly hours. Without this row the usual week stands (`rules.USUAL_WEEK`); with it
    only the rows of `weekly_hours` count, and there may be none."""

    __tablename__ = "own_weeks"

    staff_id: Mapped[int] = mapped_column(ForeignKey("staff.id", ondelete="CASCADE"), primary_key=True)
    set_at: Mapped[datetime]


class WeeklyHours(Base):
    """One stretch of a consultant's week, in their own zone. Minutes of the day, 1440 being the midnight that ends it."""

    __tablename__ = "weekly_hours"
    __table_args__ = (
        UniqueConstraint("staff_id", "weekday", "opens_minute"),
        CheckConstraint("weekday BETWEEN 0 AND 6", name="weekday"),
        CheckConstraint("opens_minute >= 0 AND opens_minute < closes_minute AND closes_minute <= 1440", name="hours"),
    )

    id: Mapped[Id]
    staff_id: Mapped[int] = mapped_column(ForeignKey("staff.id", ondelete="CASCADE"))
    weekday: Mapped[int] = mapped_column(Integer)
    """Monday 0 to Sunday 6."""
    opens_minute: Mapped[int] = mapped_column(Integer)
    closes_minute: Mapped[int] = mapped_column(Integer)


class HourException(Base):
    """A date on which the week doesn't hold: off (no hours), or other hours (one row for each stretch)."""

    __tablename__ = "hour_exceptions"
    __table_args__ = (
        UniqueConstraint("staff_id", "day", "opens_minute"),
        CheckConstraint("(opens_minute IS NULL) = (closes_minute IS NULL)", name="hours_or_off"),
        CheckConstraint("opens_minute >= 0 AND opens_minute < closes_minute AND closes_minute <= 1440", name="hours"),
    )

    id: Mapped[Id]
    staff_id: Mapped[int] = mapped_column(ForeignKey("staff.id", ondelete="CASCADE"))
    day: Mapped[date]
    opens_minute: Mapped[int | None] = mapped_column(Integer)
    closes_minute: Mapped[int | None] = mapped_column(Integer)


UNASKED = "cancelled_at IS NULL AND held_at IS NULL AND missed_at IS NULL AND asked_at IS NULL"
"""Nobody has said what became of it, and nobody was asked."""


class Meeting(Base):
    """One meeting between a contact and a consultant. Planned until one of its three ends: cancelled, held, missed."""

    __tablename__ = "meetings"
    __table_args__ = (
        CheckConstraint("starts_at < ends_at AND ends_at <= held_until", name="times"),
        CheckConstraint("sequence >= 0", name="sequence"),
        CheckConstraint("(cancelled_at IS NULL) = (cancelled_by = '')", name="cancelled_by_somebody"),
        CheckConstraint("(held_at IS NULL) = (held_by = '')", name="held_by_somebody"),
        CheckConstraint("(missed_at IS NULL) = (missed_by = '')", name="missed_by_somebody"),
        CheckConstraint("held_at IS NULL OR missed_at IS NULL", name="held_or_missed"),
        CheckConstraint("cancelled_at IS NULL OR (held_at IS NULL AND missed_at IS NULL)", name="one_end"),
        Index("ix_meetings_staff_id", "staff_id", "starts_at"),
        Index("ix_meetings_account_id", "account_id", "starts_at"),
        Index("ix_meetings_journey_id", "journey_id"),
        Index("ix_meetings_unasked", "ends_at", sqlite_where=text(UNASKED), postgresql_where=text(UNASKED)),
    )

    id: Mapped[Id]
    uid: Mapped[str] = mapped_column(String(80), unique=True)
    """As calendars know it, for its whole life."""
    sequence: Mapped[int] = mapped_column(Integer, default=0)
    """Up by one with every change of time and with the cancellation."""
    kind: Mapped[MeetingKind] = mapped_column(choice(MeetingKind, "kind"))
    journey_id: Mapped[int] = mapped_column(ForeignKey("journeys.id"))
    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id"))
    contact_id: Mapped[int] = mapped_column(ForeignKey("contacts.id"))
    staff_id: Mapped[int] = mapped_column(ForeignKey("staff.id"))
    flag_id: Mapped[int | None] = mapped_column(ForeignKey("flags.id"), index=True)
    starts_at: Mapped[datetime]
    ends_at: Mapped[datetime]
    held_until: Mapped[datetime]
    """Until when the consultant is taken: the end and the pause after it."""
    before_minutes: Mapped[int] = mapped_column(Integer, default=0, server_default="0")
    """How long before the start the consultant is taken already."""
    changes_until_hours: Mapped[int] = mapped_column(Integer, default=2, server_default="2")
    """Until how long before the start its customer may change it, as was promised when it was booked."""
    zone: Mapped[str] = mapped_column(String(64))
    """Where the customer was when it was booked."""
    way: Mapped[Way] = mapped_column(choice(Way, "way"))
    place: Mapped[str] = mapped_column(String(500), default="")
    """A link, a number or an address, by `way`; empty while the consultant has yet to say."""
    agenda: Mapped[Prose] = mapped_column(default="")
    booked_by: Mapped[By]
    booked_at: Mapped[datetime]
    changed_at: Mapped[datetime]
    """When the last change was made that calendars hear of."""
    cancelled_at: Mapped[datetime | None]
    cancelled_by: Mapped[By] = mapped_column(default="")
    cancelled_why: Mapped[str] = mapped_column(String(1000), default="")
    held_at: Mapped[datetime | None]
    held_by: Mapped[By] = mapped_column(default="")
    missed_at: Mapped[datetime | None]
    """When it was noted that the customer didn't come."""
    missed_by: Mapped[By] = mapped_column(default="")
    asked_at: Mapped[datetime | None]
    """When the consultant was asked what became of it, since nobody had said so."""
    nonce: Mapped[str] = mapped_column(String(40))
    """What the link in its mails is derived from (`portal.links`)."""

    @property
    def held_from(self) -> datetime:
        """From when on the consultant is taken."""
        return self.starts_at - timedelta(minutes=self.before_minutes)

    @property
    def state(self) -> MeetingState:
        if self.cancelled_at is not None:
            return MeetingState.CANCELLED
        if self.held_at is not None:
            return MeetingState.HELD
        return MeetingState.MISSED if self.missed_at is not None else MeetingState.PLANNED


class MeetingOffer(Base):
    """A meeting of the plan that was offered by mail, once: its link books one without signing in."""

    __tablename__ = "meeting_offers"
    __table_args__ = (UniqueConstraint("journey_id", "kind"),)

    id: Mapped[Id]
    journey_id: Mapped[int] = mapped_column(ForeignKey("journeys.id", ondelete="CASCADE"))
    kind: Mapped[MeetingKind] = mapped_column(choice(MeetingKind, "kind"))
    contact_id: Mapped[int] = mapped_column(ForeignKey("contacts.id", ondelete="CASCADE"), index=True)
    nonce: Mapped[str] = mapped_column(String(40))
    offered_at: Mapped[datetime]


class MeetingTick(Base):
    """A quarter of an hour of a consultant that a planned meeting takes, its pause included (`rules.ticks`).

    The primary key is what keeps a consultant from being sold twice, whatever the lengths of the two meetings.
    """

    __tablename__ = "meeting_ticks"

    staff_id: Mapped[int] = mapped_column(ForeignKey("staff.id"), primary_key=True)
    tick: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    meeting_id: Mapped[int] = mapped_column(ForeignKey("meetings.id"), index=True)


class CalendarFeed(Base):
    """A private address at which somebody's own calendar reads their meetings. A new nonce ends the old address."""

    __tablename__ = "calendar_feeds"
    __table_args__ = (CheckConstraint("(contact_id IS NULL) <> (staff_id IS NULL)", name="one_person"),)

    id: Mapped[Id]
    contact_id: Mapped[int | None] = mapped_column(ForeignKey("contacts.id", ondelete="CASCADE"), unique=True)
    staff_id: Mapped[int | None] = mapped_column(ForeignKey("staff.id", ondelete="CASCADE"), unique=True)
    nonce: Mapped[str] = mapped_column(String(40))
    made_at: Mapped[datetime]


class HolidayPlace(Base):
    """Whose public holidays a consultant has. Without this row those of the house (PORTAL_HOLIDAYS)."""

    __tablename__ = "holiday_places"

    staff_id: Mapped[int] = mapped_column(ForeignKey("staff.id", ondelete="CASCADE"), primary_key=True)
    place: Mapped[str] = mapped_column(String(12))
    """`BR`, `BR-SP`; empty: none at all."""


class KindSetting(Base):
    """What one kind of meeting takes, where somebody changed what ships (`rules.TERMS`)."""

    __tablename__ = "meeting_kinds"
    __table_args__ = (
        CheckConstraint(
            "length_minutes BETWEEN 15 AND 480 AND length_minutes / 15 * 15 = length_minutes", name="length"
        ),
        CheckConstraint(
            "before_minutes BETWEEN 0 AND 240 AND before_minutes / 15 * 15 = before_minutes", name="before"
        ),
        CheckConstraint("after_minutes BETWEEN 0 AND 240 AND after_minutes / 15 * 15 = after_minutes", name="after"),
        CheckConstraint("notice_hours BETWEEN 0 AND 336", name="notice"),
        CheckConstraint("horizon_days BETWEEN 1 AND 60", name="horizon"),
        CheckConstraint("changes_until_hours BETWEEN 0 AND 168", name="changes"),
    )

    kind: Mapped[MeetingKind] = mapped_column(choice(MeetingKind, "kind"), primary_key=True)
    length_minutes: Mapped[int] = mapped_column(Integer)
    before_minutes: Mapped[int] = mapped_column(Integer)
    after_minutes: Mapped[int] = mapped_column(Integer)
    notice_hours: Mapped[int] = mapped_column(Integer)
    horizon_days: Mapped[int] = mapped_column(Integer)
    changes_until_hours: Mapped[int] = mapped_column(Integer)
    ways: Mapped[str] = mapped_column(String(80))
    """Those that customers can choose from, as words with spaces between them."""
    agenda_en: Mapped[Prose] = mapped_column(default="")
    agenda_pt: Mapped[Prose] = mapped_column(default="")
    changed_at: Mapped[datetime]
    changed_by: Mapped[By]


class BusyCalendar(Base):
    """A consultant's own calendar at a private address, and how reading it goes."""

    __tablename__ = "busy_calendars"

    staff_id: Mapped[int] = mapped_column(ForeignKey("staff.id", ondelete="CASCADE"), primary_key=True)
    locked_address: Mapped[str] = mapped_column(String(4000))
    """Encrypted (`portal.vault`): whoever has it reads the whole calendar."""
    host: Mapped[str] = mapped_column(String(255))
    """All of the address that is shown again."""
    added_at: Mapped[datetime]
    try_at: Mapped[datetime] = mapped_column(index=True)
    """When it is read next; until then it rests, or a worker has it."""
    leased_by: Mapped[str] = mapped_column(String(40), default="")
    etag: Mapped[str] = mapped_column(String(300), default="")
    last_modified: Mapped[str] = mapped_column(String(100), default="")
    read_at: Mapped[datetime | None]
    """When it was last asked and all was well; what it said then is what blocks."""
    worked_out_at: Mapped[datetime | None]
    """When its entries were last worked out: not every time, if nothing has changed."""
    busy_count: Mapped[int] = mapped_column(Integer, default=0)
    left_out: Mapped[int] = mapped_column(Integer, default=0)
    """Entries that could not be understood, and so block nothing."""
    failures: Mapped[int] = mapped_column(Integer, default=0)
    """Tries in a row that went wrong."""
    failed_at: Mapped[datetime | None]
    error: Mapped[str] = mapped_column(String(300), default="")
    """What went wrong last (msgid)."""
    error_values: Mapped[dict[str, Any]] = mapped_column(default=dict)
    told_at: Mapped[datetime | None]
    """When its owner was told by mail; once an outage."""


class BusySpans(Base):
    """When a consultant is busy by their own calendar: stretches of quarters of an hour (`rules.packed_spans`).

    Nothing of what it says about it: neither title nor people. One row for all, since a page of free times needs them all,
    and reading two thousand rows took half of its time.
    """

    __tablename__ = "busy_spans"

    staff_id: Mapped[int] = mapped_column(ForeignKey("staff.id", ondelete="CASCADE"), primary_key=True)
    packed: Mapped[bytes] = mapped_column(LargeBinary)
