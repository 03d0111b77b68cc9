"""What people were asked for, and whom of an account we decided to ask."""

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, Integer, String, text
from sqlalchemy.orm import Mapped, mapped_column

from portal.accounts.asking import Asked, Became, Why
from portal.db import Base, By, Id, Key, choice


class RequestRow(Base):
    """One thing that somebody was to be asked for, and what became of it: the ledger that the contact budget is read from."""

    __tablename__ = "requests"
    __table_args__ = (
        CheckConstraint("became IN ('mail', 'call') OR why IS NOT NULL", name="why_no_mail"),
        Index("ix_requests_contact_id", "contact_id", "at"),
        Index("ix_requests_account_id", "account_id"),
        Index("ix_requests_journey_id", "journey_id", "day"),
    )

    id: Mapped[Id]
    key: Mapped[str] = mapped_column(String(120), unique=True)
    """What makes it happen once: `survey:30:journey:7:contact:9`."""
    asked: Mapped[Asked] = mapped_column(choice(Asked, "asked"))
    contact_id: Mapped[int] = mapped_column(ForeignKey("contacts.id", ondelete="CASCADE"))
    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"))
    journey_id: Mapped[int | None]
    day: Mapped[int] = mapped_column(Integer, default=0)
    """The follow-up contact that it belongs to; 0: none."""
    occasion: Mapped[Key] = mapped_column(default="", server_default=text("''"))
    """What it was about where it belongs to no contact of the plan: `meeting:17`."""
    became: Mapped[Became] = mapped_column(choice(Became, "became"))
    why: Mapped[Why | None] = mapped_column(choice(Why, "why"))
    at: Mapped[datetime]
    """When it went out or became something else; of what waits, until when."""
    decided_at: Mapped[datetime]


class AskingChoice(Base):
    """Whether we ask this person; without a row the main contact is asked and colleagues aren't."""

    __tablename__ = "asking_choices"

    contact_id: Mapped[int] = mapped_column(ForeignKey("contacts.id", ondelete="CASCADE"), primary_key=True)
    is_asked: Mapped[bool]
    chosen_at: Mapped[datetime]
    chosen_by: Mapped[By]
