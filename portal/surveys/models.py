"""What we remember of surveys: what was asked, whom we invited, what they answered."""

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, Integer, String, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from portal.db import Base, By, Id, Key, Prose, Words, choice
from portal.journeys.rules import Outcome
from portal.surveys.rules import Provenance

COUNTED = "quarantined_at IS NULL AND superseded_at IS NULL"


class Survey(Base):
    """A survey as it was at one version; an invitation keeps the version it asked."""

    __tablename__ = "surveys"
    __table_args__ = (UniqueConstraint("key", "version"), CheckConstraint("minutes > 0", name="minutes"))

    id: Mapped[Id]
    key: Mapped[Key]
    version: Mapped[int] = mapped_column(Integer)
    name_en: Mapped[Words]
    name_pt: Mapped[Words]
    questions: Mapped[list[dict[str, Any]]]
    """As `surveys.shipped` writes them: key, kind, and the words in both languages."""
    thresholds: Mapped[dict[str, Any]]
    minutes: Mapped[int] = mapped_column(Integer)
    """How long it takes; said before it begins."""
    created_at: Mapped[datetime]


class Invitation(Base):
    """One person asked once about one contact of one journey: sent by mail, or suppressed with the reason why."""

    __tablename__ = "invitations"
    __table_args__ = (
        UniqueConstraint("journey_id", "day", "contact_id"),
        CheckConstraint("(suppressed_at IS NULL) = (why = '')", name="suppressed_with_why"),
        CheckConstraint("sent_at IS NULL OR suppressed_at IS NULL", name="sent_or_suppressed"),
        CheckConstraint("(sent_at IS NULL AND suppressed_at IS NULL) OR expires_at IS NOT NULL", name="closes"),
        Index("ix_invitations_contact_id", "contact_id"),
        Index("ix_invitations_account_id", "account_id"),
    )

    id: Mapped[Id]
    survey_id: Mapped[int] = mapped_column(ForeignKey("surveys.id"))
    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id"))
    journey_id: Mapped[int] = mapped_column(ForeignKey("journeys.id"))
    contact_id: Mapped[int] = mapped_column(ForeignKey("contacts.id"))
    day: Mapped[int] = mapped_column(Integer)
    """The follow-up contact it belongs to: 30, 60, 90."""
    nonce: Mapped[str] = mapped_column(String(40))
    """What the mail's link is derived from (`portal.links`); a new one revokes it."""
    planned_at: Mapped[datetime]
    sent_at: Mapped[datetime | None]
    suppressed_at: Mapped[datetime | None]
    why: Mapped[str] = mapped_column(String(40), default="")
    """A key of `rules.WHY_NOT`."""
    expires_at: Mapped[datetime | None]
    opened_at: Mapped[datetime | None]
    """When the form was first shown to the person who then sent it, as it said itself; no GET writes it."""


class AnswerRow(Base):
    """What somebody answered. At most one answer of an invitation counts; kept beside it are earlier versions and what
    is in quarantine."""

    __tablename__ = "answers"
    __table_args__ = (
        Index(
            "uq_answers_counted",
            "invitation_id",
            unique=True,
            sqlite_where=text(COUNTED),
            postgresql_where=text(COUNTED),
        ),
        CheckConstraint("csat BETWEEN 1 AND 5", name="csat"),
        CheckConstraint("nps BETWEEN 0 AND 10", name="nps"),
        Index("ix_answers_journey_id", "journey_id"),
        Index("ix_answers_account_id", "account_id", "submitted_at"),
        Index("ix_answers_submitted_at", "submitted_at"),
    )

    id: Mapped[Id]
    invitation_id: Mapped[int] = mapped_column(ForeignKey("invitations.id"))
    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id"))
    journey_id: Mapped[int] = mapped_column(ForeignKey("journeys.id"))
    contact_id: Mapped[int] = mapped_column(ForeignKey("contacts.id"))
    day: Mapped[int] = mapped_column(Integer)
    csat: Mapped[int | None] = mapped_column(Integer)
    nps: Mapped[int | None] = mapped_column(Integer)
    comment: Mapped[Prose] = mapped_column(default="")
    wants_help: Mapped[bool | None]
    outcome: Mapped[Outcome | None] = mapped_column(choice(Outcome, "outcome"))
    """As the survey's thresholds had it when it came; None: it says nothing either way."""
    provenance: Mapped[Provenance] = mapped_column(choice(Provenance, "provenance"))
    by: Mapped[By]
    submitted_at: Mapped[datetime]
    evidence: Mapped[dict[str, Any]] = mapped_column(default=dict)
    """What tells people from machines: browser, when the form was shown. Never an address."""
    quarantined_at: Mapped[datetime | None]
    superseded_at: Mapped[datetime | None]
