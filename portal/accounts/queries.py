"""What staff see of companies and people: one account with its contacts, one person, the staff themselves."""

from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import NamedTuple

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from portal.accounts.models import Account, Contact, Staff
from portal.accounts.rules import Channel, Language, Role, normalised_email


class AccountDetail(NamedTuple):
    """A customer company, as its page shows it."""

    id: int
    external_id: str
    name: str
    plan: str
    mrr_amount: Decimal
    mrr_currency: str
    sold_on: date | None
    renews_on: date | None
    interests: list[str]
    notes: str
    consultant_id: int | None
    consultant: str
    churned_on: date | None
    churn_reason: str


def account(db: Session, account_id: int) -> AccountDetail | None:
    """One account; None if it isn't there."""
    row = db.execute(
        select(
            Account.id,
            Account.external_id,
            Account.name,
            Account.plan,
            Account.mrr_amount,
            Account.mrr_currency,
            Account.sold_on,
            Account.renews_on,
            Account.interests,
            Account.notes,
            Account.consultant_id,
            func.coalesce(Staff.name, ""),
            Account.churned_on,
            Account.churn_reason,
        )
        .outerjoin(Staff, Staff.id == Account.consultant_id)
        .where(Account.id == account_id)
    ).first()
    return AccountDetail._make(row) if row is not None else None


class Person(NamedTuple):
    """A contact with every way to reach them."""

    id: int
    account_id: int
    name: str
    email: str
    phone: str
    channel: Channel
    language: Language
    timezone: str
    is_primary: bool

    @property
    def whatsapp(self) -> str:
        """Digits for a WhatsApp link; empty without a number."""
        return self.phone.lstrip("+")


def contacts_of(db: Session, account_id: int) -> tuple[Person, ...]:
    """The people at an account, the primary one first."""
    rows = db.execute(
        select(
            Contact.id,
            Contact.account_id,
            Contact.name,
            func.coalesce(Contact.email, ""),
            Contact.phone,
            Contact.channel,
            Contact.language,
            Contact.timezone,
            Contact.is_primary,
        )
        .where(Contact.account_id == account_id, Contact.disabled_at.is_(None))
        .order_by(Contact.is_primary.desc(), Contact.name, Contact.id)
    )
    return tuple(Person._make(row) for row in rows)


class Colleague(NamedTuple):
    """One of the staff."""

    id: int
    name: str
    email: str
    role: Role
    phone: str
    language: Language
    timezone: str
    disabled_at: datetime | None
    portrait: str = ""


def contact_to_meet(db: Session, account_id: int, email: str | None) -> int | None:
    """Which of an account's people is meant by an address; the primary one by none. None if there is nobody such."""
    people = contacts_of(db, account_id)
    if email is None:
        return people[0].id if people else None
    wanted = normalised_email(email)
    return next((person.id for person in people if person.email == wanted), None)


class Consultant(NamedTuple):
    """One of the staff whom customers can meet, and where they are."""

    id: int
    timezone: str


def consultant(db: Session, email: str) -> Consultant | None:
    """The one with that address; None if nobody who works here has it."""
    row = db.execute(
        select(Staff.id, Staff.timezone).where(Staff.email == normalised_email(email), Staff.disabled_at.is_(None))
    ).first()
    return Consultant._make(row) if row is not None else None


def colleagues(db: Session) -> Sequence[Colleague]:
    """All staff, those who work here first."""
    rows = db.execute(
        select(
            Staff.id,
            Staff.name,
            Staff.email,
            Staff.role,
            Staff.phone,
            Staff.language,
            Staff.timezone,
            Staff.disabled_at,
            Staff.portrait,
        ).order_by(Staff.disabled_at.is_not(None), Staff.name, Staff.id)
    )
    return [Colleague._make(row) for row in rows]
