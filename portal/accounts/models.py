"""Accounts, their contacts, and staff."""

from datetime import date, datetime
from decimal import Decimal

from sqlalchemy import CheckConstraint, ForeignKey, Index, Integer, String, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from portal.accounts.rules import Channel, Language, Role
from portal.db import Base, By, Id, Words, choice


class Staff(Base):
    """A person of the company: consultant, manager or administrator."""

    __tablename__ = "staff"

    id: Mapped[Id]
    email: Mapped[Words] = mapped_column(String(254), unique=True)
    name: Mapped[Words]
    role: Mapped[Role] = mapped_column(choice(Role, "role"))
    phone: Mapped[str] = mapped_column(String(20), default="")
    """E.164 or empty."""
    whatsapp: Mapped[str] = mapped_column(String(20), default="")
    meeting_url: Mapped[str] = mapped_column(String(500), default="")
    portrait: Mapped[str] = mapped_column(String(200), default="", server_default=text("''"))
    """The path of their picture; empty for initials."""
    language: Mapped[Language] = mapped_column(choice(Language, "language"), default=Language.EN)
    timezone: Mapped[str] = mapped_column(String(64))
    created_at: Mapped[datetime]
    last_assigned_at: Mapped[datetime | None]
    disabled_at: Mapped[datetime | None]


class Account(Base):
    """A customer company."""

    __tablename__ = "accounts"
    __table_args__ = (
        CheckConstraint("(churned_on IS NULL) = (churn_reason = '')", name="churned_with_reason"),
        CheckConstraint("mrr_amount >= 0", name="mrr_not_negative"),
        Index("ix_accounts_consultant_id", "consultant_id"),
        Index("ix_accounts_plan", "plan"),
    )

    id: Mapped[Id]
    external_id: Mapped[Words] = mapped_column(unique=True)
    name: Mapped[Words]
    search: Mapped[str] = mapped_column(String(2000), default="")
    """Folded names and addresses of the account and its contacts; kept by `accounts.actions`."""
    plan: Mapped[Words] = mapped_column(default="")
    mrr_amount: Mapped[Decimal] = mapped_column(default=Decimal(0))
    mrr_currency: Mapped[str] = mapped_column(String(3), default="")
    sold_on: Mapped[date | None]
    renews_on: Mapped[date | None]
    interests: Mapped[list[str]] = mapped_column(default=list)
    notes: Mapped[str] = mapped_column(String(10_000), default="")
    consultant_id: Mapped[int | None] = mapped_column(ForeignKey("staff.id"))
    churned_on: Mapped[date | None]
    churn_reason: Mapped[str] = mapped_column(String(500), default="")
    created_at: Mapped[datetime]
    created_by: Mapped[By]
    fingerprint: Mapped[str] = mapped_column(String(64), default="")
    """Hash of the last import row or API body taken in, so that the same input again changes nothing."""

    contacts: Mapped[list["Contact"]] = relationship(back_populates="account", order_by="Contact.id")


class Contact(Base):
    """A person at an account. At least an address or a phone; one contact of an account is primary."""

    __tablename__ = "contacts"
    __table_args__ = (
        UniqueConstraint("account_id", "email"),
        CheckConstraint("email IS NOT NULL OR phone <> '' OR erased_at IS NOT NULL", name="reachable"),
        Index(
            "uq_contacts_primary",
            "account_id",
            unique=True,
            sqlite_where=text("is_primary"),
            postgresql_where=text("is_primary"),
        ),
        Index("ix_contacts_email", "email"),
    )

    id: Mapped[Id]
    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id"))
    name: Mapped[Words]
    email: Mapped[str | None] = mapped_column(String(254))
    phone: Mapped[str] = mapped_column(String(20), default="")
    channel: Mapped[Channel] = mapped_column(choice(Channel, "channel"), default=Channel.EMAIL)
    language: Mapped[Language] = mapped_column(choice(Language, "language"))
    timezone: Mapped[str] = mapped_column(String(64))
    birthday: Mapped[date | None]
    is_primary: Mapped[bool] = mapped_column(default=False)
    position: Mapped[int] = mapped_column(Integer, default=0)
    job_title: Mapped[str] = mapped_column(String(120), default="", server_default=text("''"))
    """What they do there, in their own words."""
    portrait: Mapped[str] = mapped_column(String(200), default="", server_default=text("''"))
    """The path of their picture; empty for initials."""
    created_at: Mapped[datetime]
    disabled_at: Mapped[datetime | None]
    erased_at: Mapped[datetime | None]
    """When everything that says who they are went; the row stays for what is counted (portal/erasing.py)."""

    account: Mapped[Account] = relationship(back_populates="contacts")
