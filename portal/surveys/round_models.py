"""What we remember of asking beyond the plan: what sets a survey going, what was sent by hand, and answers without a name."""

from datetime import date, datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, Integer, String, text
from sqlalchemy.orm import Mapped, mapped_column

from portal.db import Base, By, Id, Key, Prose, choice
from portal.surveys.moments import TriggerKind

IS_ON = "on_since IS NOT NULL"


class SurveyTrigger(Base):
    """A survey that goes out by itself: after meetings, on a day of use, in a stage, every so many days."""

    __tablename__ = "survey_triggers"
    __table_args__ = (
        CheckConstraint("days >= 0", name="days"),
        CheckConstraint("(kind = 'stage') = (stage <> '')", name="stage"),
        # One person is asked once about one thing, so nothing may set two surveys going.
        Index(
            "uq_survey_triggers_scope",
            "scope",
            unique=True,
            sqlite_where=text(IS_ON),
            postgresql_where=text(IS_ON),
        ),
    )

    id: Mapped[Id]
    survey_key: Mapped[Key]
    kind: Mapped[TriggerKind] = mapped_column(choice(TriggerKind, "kind"))
    days: Mapped[int] = mapped_column(Integer)
    """Business days after the meeting; the day of use; days after entering the stage; every how many."""
    stage: Mapped[Key] = mapped_column(default="")
    scope: Mapped[str] = mapped_column(String(120))
    """As `moments.scope_of` says it."""
    on_since: Mapped[datetime | None]
    """What happened before is not asked about; None: it is off."""
    set_at: Mapped[datetime]
    set_by: Mapped[By]
    look_at: Mapped[datetime]
    """When a worker looks next for whom it concerns."""
    looked_up_to: Mapped[int] = mapped_column(Integer, default=0)
    """Up to which journey the look in hand has come; 0: none is in hand."""


class SurveyRound(Base):
    """A survey that was sent by hand to some of the customers."""

    __tablename__ = "survey_rounds"
    __table_args__ = (Index("ix_survey_rounds_survey_id", "survey_id"),)

    id: Mapped[Id]
    key: Mapped[str] = mapped_column(String(40), unique=True)
    """Of the form that it was sent with: pressed twice it is sent once."""
    survey_id: Mapped[int] = mapped_column(ForeignKey("surveys.id"))
    segment: Mapped[dict[str, Any]]
    """As `rounds.Segment` has it."""
    people: Mapped[int] = mapped_column(Integer)
    """How many it was meant for, as the page said before somebody sent it."""
    made_at: Mapped[datetime]
    made_by: Mapped[By]
    closes_at: Mapped[datetime]
    mixed_at: Mapped[datetime | None]
    """Of an anonymous one: when the tickets that were left were put in another order than their mails."""


class AnonymousTicket(Base):
    """One answer that may still be given to an anonymous survey. Nobody's: made of chance when a mail leaves, gone with the
    answer. Without time, person or number of its own; on SQLite without the hidden number, too, that every row has."""

    __tablename__ = "anonymous_tickets"
    __table_args__ = (Index("ix_anonymous_tickets_round_id", "round_id"), {"sqlite_with_rowid": False})

    hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    round_id: Mapped[int] = mapped_column(ForeignKey("survey_rounds.id", ondelete="CASCADE"))


class AnonymousAnswer(Base):
    """What somebody answered, and in which week. Its key is chance, so that no order of rows tells who was first."""

    __tablename__ = "anonymous_answers"
    __table_args__ = (
        CheckConstraint("csat BETWEEN 1 AND 5", name="csat"),
        CheckConstraint("nps BETWEEN 0 AND 10", name="nps"),
        Index("ix_anonymous_answers_round_id", "round_id"),
        {"sqlite_with_rowid": False},
    )

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    round_id: Mapped[int] = mapped_column(ForeignKey("survey_rounds.id", ondelete="CASCADE"))
    csat: Mapped[int | None] = mapped_column(Integer)
    nps: Mapped[int | None] = mapped_column(Integer)
    comment: Mapped[Prose] = mapped_column(default="")
    others: Mapped[dict[str, Any]] = mapped_column(default=dict)
    week: Mapped[date]
    """The Monday of the week in which it came."""
