"""A won deal comes in, from a file, the CRM or a form: the account, its contacts, and the journey that opens once."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from portal import audit
from portal.accounts.models import Account, Contact
from portal.accounts.people import begin_starts, refresh_search
from portal.accounts.rules import Channel, Language, normalised_email
from portal.audit import Event, Happened
from portal.db import insert_for
from portal.errors import N_, Refused
from portal.house import House
from portal.journeys import actions, conduct, public_plans
from portal.journeys.actions import UnderWay
from portal.journeys.models import JourneyRow
from portal.journeys.rules import Status
from portal.journeys.shipped import AFTER_SALE


class Taken(StrEnum):
    """What became of a deal."""

    CREATED = "created"
    UPDATED = "updated"
    UNCHANGED = "unchanged"


class NobodyToReach(Refused):
    """A customer whom nobody can write to or call."""

    status = 422

    def __init__(self) -> None:
        super().__init__(N_("Give at least one contact with an e-mail address or a phone number."))


@dataclass(frozen=True)
class Person:
    """A contact as it came in; e-mail normalised, phone in E.164 or empty."""

    name: str
    email: str | None
    phone: str
    language: Language
    timezone: str
    primary: bool = False
    channel: Channel | None = None
    assumed: tuple[str, ...] = ()
    """`language`, `timezone`: what nobody said and we took as usual; an update leaves what is known."""


@dataclass(frozen=True)
class Deal:
    """A won deal, clean. Fields that are None were not given: an update leaves what is known."""

    external_id: str
    name: str
    people: tuple[Person, ...]
    plan: str | None = None
    mrr_amount: Decimal | None = None
    mrr_currency: str | None = None
    sold_on: date | None = None
    renews_on: date | None = None
    interests: tuple[str, ...] | None = None
    notes: str | None = None
    consultant_id: int | None = None
    under_way: UnderWay | None = None
    public_plan_id: int | None = None
    """The plan that they were shown before they signed."""

    @property
    def fingerprint(self) -> str:
        """Says whether the same deal came in again."""
        given = asdict(self)
        if self.public_plan_id is None:
            del given["public_plan_id"]  # as it was before there were such plans: known deals stay known
        plain = json.dumps(given, default=str, sort_keys=True, ensure_ascii=False)
        return hashlib.sha256(plain.encode("utf-8", "surrogatepass")).hexdigest()


@dataclass(frozen=True)
class Result:
    account_id: int
    taken: Taken


def take_in(db: Session, house: House, *, deal: Deal, by: str, now: datetime) -> Result:
    """Creates the account, its contacts and its journey, or brings what is known up to date.

    A repeat opens nothing, and the very same deal again changes nothing. Errors: NobodyToReach; what `public_plans.sell`
    refuses.
    """
    people = _distinct(deal.people)
    if not any(p.email or p.phone for p in people):
        raise NobodyToReach
    account_id = db.scalar(
        insert_for(db, Account)
        .values(
            external_id=deal.external_id,
            name=deal.name,
            search="",
            plan=deal.plan or "",
            mrr_amount=deal.mrr_amount or Decimal(0),
            mrr_currency=deal.mrr_currency or "",
            sold_on=deal.sold_on,
            renews_on=deal.renews_on,
            interests=list(deal.interests or ()),
            notes=deal.notes or "",
            consultant_id=None,
            churn_reason="",
            created_at=now,
            created_by=by,
            fingerprint=deal.fingerprint,
        )
        .on_conflict_do_nothing(index_elements=["external_id"])
        .returning(Account.id)
    )
    if account_id is None:
        return _update(db, house, deal, people, by=by, now=now)
    for person in people:
        _add_contact(db, account_id, person, now=now)
    _keep_one_primary(db, account_id, people)
    begin_starts(db, account_id, now=now)
    refresh_search(db, account_id)
    audit.note(db, Event(Happened.ACCOUNT_CREATED, by, now, account_id, None, None, {"name": deal.name}))
    agreed = None
    if deal.public_plan_id is not None:
        agreed = public_plans.sell(db, plan_id=deal.public_plan_id, account_id=account_id, by=by, now=now)
    actions.open_after_sale(
        db,
        house,
        account_id=account_id,
        owner_id=deal.consultant_id,
        by=by,
        now=now,
        under_way=deal.under_way,
        agreed=agreed,
    )
    return Result(account_id, Taken.CREATED)


def _distinct(people: Sequence[Person]) -> list[Person]:
    """Each address, or each phone of somebody without one, once."""
    seen: dict[str, Person] = {}
    for person in people:
        seen.setdefault(normalised_email(person.email) if person.email else person.phone, person)
    return list(seen.values())


def _update(db: Session, house: House, deal: Deal, people: Sequence[Person], *, by: str, now: datetime) -> Result:
    account = db.scalars(
        select(Account)
        .where(Account.external_id == deal.external_id)
        .with_for_update(key_share=True)  # workers that hold its journeys may still write events about it
        .execution_options(populate_existing=True)
    ).one()
    if account.fingerprint == deal.fingerprint:
        return Result(account.id, Taken.UNCHANGED)
    changed = {}
    wanted = {
        "name": deal.name,
        "plan": deal.plan,
        "mrr_amount": deal.mrr_amount,
        "mrr_currency": deal.mrr_currency,
        "sold_on": deal.sold_on,
        "renews_on": deal.renews_on,
        "interests": list(deal.interests) if deal.interests is not None else None,
        "notes": deal.notes,
    }
    for field, value in wanted.items():
        if value is not None and getattr(account, field) != value:
            changed[field] = [str(getattr(account, field)), str(value)]
            setattr(account, field, value)
    account.fingerprint = deal.fingerprint
    db.flush()
    for person in people:
        if _change_contact(db, account.id, person, now=now):
            changed.setdefault("contacts", []).append(person.name)
    _keep_one_primary(db, account.id, people)
    begin_starts(db, account.id, now=now)
    refresh_search(db, account.id)
    open_ids = db.scalars(
        select(JourneyRow.id)
        .where(JourneyRow.account_id == account.id, JourneyRow.status == Status.OPEN)
        .order_by(JourneyRow.id)
    ).all()
    if deal.consultant_id is not None and deal.consultant_id != account.consultant_id:
        changed["consultant"] = [str(account.consultant_id), str(deal.consultant_id)]
        for journey_id in open_ids:
            conduct.lock(db, journey_id)
            conduct.assign(db, journey_id=journey_id, staff_id=deal.consultant_id, by=by, now=now)
        db.execute(update(Account).where(Account.id == account.id).values(consultant_id=deal.consultant_id))
    if deal.public_plan_id is not None:
        public_plans.connect(db, house, plan_id=deal.public_plan_id, account_id=account.id, by=by, now=now)
    if changed:
        audit.note(db, Event(Happened.ACCOUNT_CHANGED, by, now, account.id, None, None, changed))
    # A plan or an address that was missing may be what the first stage waited for; a renewal date, what a later one does.
    actions.hear_account_change(db, house, account_id=account.id, now=now)
    return Result(account.id, Taken.UPDATED if changed else Taken.UNCHANGED)


def _add_contact(db: Session, account_id: int, person: Person, *, now: datetime) -> None:
    db.add(
        Contact(
            account_id=account_id,
            name=person.name,
            email=normalised_email(person.email) if person.email else None,
            phone=person.phone,
            channel=person.channel or (Channel.EMAIL if person.email else Channel.PHONE),
            language=person.language,
            timezone=person.timezone,
            is_primary=False,
            created_at=now,
        )
    )
    db.flush()


def _change_contact(db: Session, account_id: int, person: Person, *, now: datetime) -> bool:
    """Adds the person or brings their details up to date; whether anything changed."""
    same = Contact.email == normalised_email(person.email) if person.email else Contact.phone == person.phone
    known = db.scalars(
        select(Contact).where(Contact.account_id == account_id, same).order_by(Contact.id).limit(1)
    ).first()
    if known is None:
        _add_contact(db, account_id, person, now=now)
        return True
    before = (known.name, known.phone, known.language, known.timezone)
    known.name = person.name
    if "language" not in person.assumed:
        known.language = person.language
    if "timezone" not in person.assumed:
        known.timezone = person.timezone
    known.phone = person.phone or known.phone
    if person.channel is not None:
        known.channel = person.channel
    db.flush()
    return before != (known.name, known.phone, known.language, known.timezone)


def _keep_one_primary(db: Session, account_id: int, people: Sequence[Person]) -> None:
    """The person marked primary, else who is so already, else the first with an address."""
    contacts = db.scalars(select(Contact).where(Contact.account_id == account_id).order_by(Contact.id)).all()
    marked = next((p for p in people if p.primary), None)
    chosen = None
    if marked is not None:
        address = normalised_email(marked.email) if marked.email else None
        chosen = next((c for c in contacts if (c.email == address if address else c.phone == marked.phone)), None)
    chosen = chosen or next((c for c in contacts if c.is_primary), None)
    chosen = chosen or next((c for c in contacts if c.email), contacts[0])
    for contact in contacts:
        if contact is not chosen and contact.is_primary:
            contact.is_primary = False
    db.flush()
    if not chosen.is_primary:
        chosen.is_primary = True
        db.flush()


def has_journey(db: Session, account_id: int) -> bool:
    """Whether the account ever had an After-sale journey."""
    found = select(JourneyRow.id).where(JourneyRow.account_id == account_id, JourneyRow.pipeline_key == AFTER_SALE)
    return db.scalar(found.limit(1)) is not None
