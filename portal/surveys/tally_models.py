"""What we remember of answers counted: one line of figures a day, and the days that have to be counted anew."""

from datetime import date
from typing import Any

from sqlalchemy import ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from portal.db import Base, Id, Key


class AnswerTally(Base):
    """What came in on one day (in UTC) about one version of a survey: of everybody, or of one stage, plan, language or
    consultant. Only ever a sum of what stands in `answers` and `invitations` (`surveys.tallies`)."""

    __tablename__ = "answer_tallies"

    survey_id: Mapped[int] = mapped_column(ForeignKey("surveys.id", ondelete="CASCADE"), primary_key=True)
    kind: Mapped[Key] = mapped_column(primary_key=True)
    """A value of `tallies.Kind`."""
    value: Mapped[str] = mapped_column(primary_key=True)
    """Which stage, plan, language or consultant; empty for everybody."""
    day: Mapped[date] = mapped_column(primary_key=True)
    counts: Mapped[dict[str, Any]]
    """How many: `answers`, `comments`, `delivered`, `nps:10`, `csat:5`, `help:yes`, `further:team:sales`…"""
    sent: Mapped[dict[str, Any]]
    """The day's answers by the day on which their survey was delivered."""


class StaleTally(Base):
    """A day that changed after it was counted. Written by the database itself (triggers of the migration), in the
    transaction that changes an answer, an account's plan, a contact's language, or a journey's consultant."""

    __tablename__ = "stale_tallies"
    __table_args__ = (Index("ix_stale_tallies_day", "day", "kind"),)

    id: Mapped[Id]
    day: Mapped[date]
    kind: Mapped[Key]
    """The one kind of figure that is stale; empty: all of them."""
