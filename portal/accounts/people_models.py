"""What contacts decide about themselves and one another: invitations, rights, wishes, the start of each, a new address."""

from datetime import datetime, time

from sqlalchemy import CheckConstraint, ForeignKey, Index, Integer, String, Time, text
from sqlalchemy.orm import Mapped, mapped_column

from portal.accounts.rules import Frequency, Language, Right, StartStep
from portal.db import Base, By, Id, Words, choice

OPEN_INVITATION = "accepted_at IS NULL AND withdrawn_at IS NULL AND declined_at IS NULL"
NOT_REVOKED = "revoked_at IS NULL"
OPEN_CHANGE = "confirmed_at IS NULL AND dropped_at IS NULL"


class ColleagueInvitation(Base):
    """An invitation to join an account. Its link is derived from `nonce`; a new nonce revokes the old link."""

    __tablename__ = "colleague_invitations"
    __table_args__ = (
        CheckConstraint("(accepted_at IS NULL) = (contact_id IS NULL)", name="accepted_as_somebody"),
        Index(
            "uq_colleague_invitations_open",
            "account_id",
            "email",
            unique=True,
            sqlite_where=text(OPEN_INVITATION),
            postgresql_where=text(OPEN_INVITATION),
        ),
        # Old ones are forgotten, and letters name them by number: a number that came again would be somebody else's.
        {"sqlite_autoincrement": True},
    )

    id: Mapped[Id]
    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"), index=True)
    email: Mapped[str] = mapped_column(String(254))
    name: Mapped[Words]
    language: Mapped[Language] = mapped_column(choice(Language, "language"))
    nonce: Mapped[str] = mapped_column(String(32))
    tries: Mapped[int] = mapped_column(Integer, default=0)
    """How often a wrong address was typed under this link."""
    sendings: Mapped[int] = mapped_column(Integer, default=1)
    invited_by: Mapped[By]
    inviter_name: Mapped[Words]
    created_at: Mapped[datetime]
    sent_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    accepted_at: Mapped[datetime | None]
    contact_id: Mapped[int | None] = mapped_column(ForeignKey("contacts.id", ondelete="CASCADE"), index=True)
    withdrawn_at: Mapped[datetime | None]
    declined_at: Mapped[datetime | None]


class ContactRight(Base):
    """A right that somebody gave to a contact; taken back, the row stays and says when and by whom."""

    __tablename__ = "contact_rights"
    __table_args__ = (
        Index(
            "uq_contact_rights_held",
            "contact_id",
            "what",
            unique=True,
            sqlite_where=text(NOT_REVOKED),
            postgresql_where=text(NOT_REVOKED),
        ),
    )

    id: Mapped[Id]
    contact_id: Mapped[int] = mapped_column(ForeignKey("contacts.id", ondelete="CASCADE"))
    what: Mapped[Right] = mapped_column(choice(Right, "what"))
    granted_at: Mapped[datetime]
    granted_by: Mapped[By]
    revoked_at: Mapped[datetime | None]
    revoked_by: Mapped[str | None] = mapped_column(String(120))


class ContactWishes(Base):
    """When and how often a person wants to be asked for something. Without a row: as usual, in business hours."""

    __tablename__ = "contact_wishes"
    __table_args__ = (
        CheckConstraint("hours_from < hours_until", name="hours_in_order"),
        CheckConstraint("weekdays > 0 AND weekdays < 128", name="some_weekday"),
    )

    contact_id: Mapped[int] = mapped_column(ForeignKey("contacts.id", ondelete="CASCADE"), primary_key=True)
    frequency: Mapped[Frequency] = mapped_column(choice(Frequency, "frequency"))
    hours_from: Mapped[time] = mapped_column(Time)
    hours_until: Mapped[time] = mapped_column(Time)
    weekdays: Mapped[int] = mapped_column(Integer)
    """A bit a day: 1 for Monday … 64 for Sunday."""
    chosen_at: Mapped[datetime]
    chosen_by: Mapped[By]


class Start(Base):
    """The short start of one colleague: when it began, and whether they put it away."""

    __tablename__ = "starts"

    contact_id: Mapped[int] = mapped_column(ForeignKey("contacts.id", ondelete="CASCADE"), primary_key=True)
    began_at: Mapped[datetime]
    dismissed_at: Mapped[datetime | None]


class StartStepDone(Base):
    """A step of somebody's start that they took."""

    __tablename__ = "start_steps_done"

    contact_id: Mapped[int] = mapped_column(ForeignKey("contacts.id", ondelete="CASCADE"), primary_key=True)
    step: Mapped[StartStep] = mapped_column(choice(StartStep, "step"), primary_key=True)
    at: Mapped[datetime]


class AddressChange(Base):
    """Somebody wants another e-mail address; it counts once they confirm from there."""

    __tablename__ = "address_changes"
    __table_args__ = (
        Index(
            "uq_address_changes_open",
            "contact_id",
            unique=True,
            sqlite_where=text(OPEN_CHANGE),
            postgresql_where=text(OPEN_CHANGE),
        ),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[Id]
    contact_id: Mapped[int] = mapped_column(ForeignKey("contacts.id", ondelete="CASCADE"))
    old_email: Mapped[str] = mapped_column(String(254))
    new_email: Mapped[str] = mapped_column(String(254))
    nonce: Mapped[str] = mapped_column(String(32))
    tries: Mapped[int] = mapped_column(Integer, default=0)
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    confirmed_at: Mapped[datetime | None]
    dropped_at: Mapped[datetime | None]


class ErasureRequest(Base):
    """A person asked to be forgotten; an administrator decides, and says what was done."""

    __tablename__ = "erasure_requests"
    __table_args__ = (
        Index(
            "uq_erasure_requests_open",
            "contact_id",
            unique=True,
            sqlite_where=text("settled_at IS NULL"),
            postgresql_where=text("settled_at IS NULL"),
        ),
    )

    id: Mapped[Id]
    contact_id: Mapped[int] = mapped_column(ForeignKey("contacts.id", ondelete="CASCADE"))
    words: Mapped[str] = mapped_column(String(1000), default="")
    asked_at: Mapped[datetime]
    settled_at: Mapped[datetime | None]
    settled_by: Mapped[str | None] = mapped_column(String(120))
