"""Whom of an account to ask, what is known of each, and the ledger of requests. Many people take as many statements as one."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import Select, bindparam, delete, func, or_, select
from sqlalchemy.orm import Session

from portal import audit, mail
from portal.accounts.asking import OF_THE_PLAN, Asked, Became, Colleague, Person, Why, whom_to_ask
from portal.accounts.asking_models import AskingChoice, RequestRow
from portal.accounts.models import Account, Contact
from portal.accounts.people_models import ContactWishes
from portal.accounts.rules import Wishes, as_weekdays
from portal.audit import AuditEvent, Event, Happened
from portal.db import insert_for, insert_new, rows_of
from portal.errors import NotFound
from portal.mail import Purpose

SURVEYED = (Became.MAIL, Became.CARD)
"""What counts as having got a survey; one that became a call is a conversation."""


_FURTHER = (Asked.FURTHER, Asked.MEETING)


class Addressee(NamedTuple):
    """Somebody who is to be asked."""

    account_id: int
    id: int
    name: str
    email: str | None
    phone: str
    language: str
    timezone: str
    wishes: Wishes


_PEOPLE = (
    select(
        Contact.account_id,
        Contact.id,
        Contact.name,
        Contact.email,
        Contact.phone,
        Contact.language,
        Contact.timezone,
        Contact.channel,
        Contact.is_primary,
        ContactWishes.frequency,
        ContactWishes.hours_from,
        ContactWishes.hours_until,
        ContactWishes.weekdays,
        AskingChoice.is_asked,
    )
    .outerjoin(ContactWishes, ContactWishes.contact_id == Contact.id)
    .outerjoin(AskingChoice, AskingChoice.contact_id == Contact.id)
    .where(Contact.disabled_at.is_(None))
    .order_by(Contact.account_id, Contact.id)
)
_OF_ACCOUNTS = _PEOPLE.where(Contact.account_id.in_(bindparam("accounts", expanding=True)))
_THESE = _PEOPLE.where(Contact.id.in_(bindparam("contacts", expanding=True)))


def addressees(db: Session, account_ids: Collection[int]) -> dict[int, list[Addressee]]:
    """Whom to ask of each account, the main contact first; an account where nobody is left is missing. One statement."""
    people: dict[int, dict[int, Addressee]] = {}
    ranked: dict[int, list[Colleague]] = {}
    for row in rows_of(db, _OF_ACCOUNTS, {"accounts": sorted(account_ids)}):
        people.setdefault(row.account_id, {})[row.id] = _addressee(row)
        colleague = Colleague(row.id, row.is_primary, bool(row.email), row.is_asked)
        ranked.setdefault(row.account_id, []).append(colleague)
    return {account: [people[account][one] for one in whom_to_ask(some)] for account, some in ranked.items()}


def languages_asked(db: Session, accounts: Select[Any]) -> Sequence[Sequence[str]]:
    """The languages of those whom to ask, one list for each of the accounts that a statement gives. One statement, and no
    more of each person than that takes: for counting thousands."""
    wanted = (
        select(
            Contact.account_id,
            Contact.id,
            Contact.language,
            Contact.is_primary,
            Contact.email.is_not(None) & (Contact.email != ""),
            AskingChoice.is_asked,
        )
        .outerjoin(AskingChoice, AskingChoice.contact_id == Contact.id)
        .where(Contact.disabled_at.is_(None), Contact.account_id.in_(accounts))
    )
    ranked: dict[int, list[Colleague]] = {}
    spoken: dict[int, str] = {}
    for account, one, language, is_primary, has_address, choice in rows_of(db, wanted):
        spoken[one] = language
        ranked.setdefault(account, []).append(Colleague(one, is_primary, bool(has_address), choice))
    return [[spoken[one] for one in whom_to_ask(some)] for some in ranked.values()]


def people_of(db: Session, contact_ids: Collection[int]) -> dict[int, Addressee]:
    """These people, whether or not they are the ones to ask; who is gone is missing. One statement."""
    return {row.id: _addressee(row) for row in rows_of(db, _THESE, {"contacts": sorted(contact_ids)})}


def _addressee(row: Any) -> Addressee:
    wishes = Wishes(row.timezone, row.channel)
    if row.frequency is not None:
        hours = (row.frequency, row.hours_from, row.hours_until, as_weekdays(row.weekdays))
        wishes = Wishes(row.timezone, row.channel, *hours)
    return Addressee._make([*row[:7], wishes])


_BEFORE = (
    select(RequestRow.contact_id, RequestRow.asked, RequestRow.became, func.max(RequestRow.at))
    .where(RequestRow.contact_id.in_(bindparam("contacts", expanding=True)))
    .group_by(RequestRow.contact_id, RequestRow.asked, RequestRow.became)
)
_OWN = select(RequestRow.id).where(RequestRow.key == bindparam("own")).scalar_subquery()
_BEFORE_IT = _BEFORE.where(RequestRow.key != bindparam("own")).where(
    or_(
        RequestRow.id < _OWN,
        RequestRow.became.in_((Became.CALL, Became.WHATSAPP)),
        RequestRow.asked.in_(bindparam("outranking", expanding=True)),
    )
)
"""What stands in the way of a request that is judged anew. What was decided after it was decided knowing of it, so that only
what people said or were called about since counts, and what outranks it: else two requests could put each other off."""
_MISSED: Select[*tuple[Any, ...]] = (
    select(AuditEvent.contact_id, func.max(AuditEvent.at))
    .where(
        AuditEvent.account_id.in_(bindparam("accounts", expanding=True)),
        AuditEvent.at >= bindparam("since"),
        AuditEvent.what == Happened.MEETING_MISSED,
    )
    .group_by(AuditEvent.contact_id)
)


class Known(NamedTuple):
    """What is known of those whom one wants to ask, by contact."""

    people: Mapping[int, Person]
    waiting: frozenset[int]
    """Who has a request that waits."""


def known_of(
    db: Session,
    some: Sequence[Addressee],
    *,
    purposes: Sequence[Purpose],
    flagged: Collection[int],
    now: datetime,
    anew: "Request | None" = None,
) -> Known:
    """What the rule needs to know of these people. `flagged`: those of them who are unhappy, which journeys know. `anew`:
    a request of the ledger that is to be judged again, as its mail leaves."""
    people = {
        one.id: Person(one.wishes, bool(one.email), bool(one.phone), has_open_flag=one.id in flagged) for one in some
    }
    if not people:
        return Known({}, frozenset())
    addresses = [one.email for one in some if one.email]
    refusing = (
        {email for purpose in purposes for email in mail.refusing(db, addresses, purpose)} if addresses else set()
    )
    for one in some:
        if one.email in refusing:
            people[one.id] = replace(people[one.id], refused=True)
    waiting = set()
    for contact_id, asked, became, at in _before(db, people, anew):
        if became is Became.WAITING:
            waiting.add(contact_id)
            continue
        person = people[contact_id]
        got_it = became in SURVEYED
        is_survey, is_further = got_it and asked is Asked.SURVEY, got_it and asked in _FURTHER
        people[contact_id] = replace(
            person,
            last_asked_at=max(at, person.last_asked_at or at),
            last_survey_at=max(at, person.last_survey_at or at) if is_survey else person.last_survey_at,
            last_further_at=max(at, person.last_further_at or at) if is_further else person.last_further_at,
        )
    of_accounts = {"accounts": sorted({one.account_id for one in some}), "since": now - timedelta(days=2)}
    for contact_id, at in rows_of(db, _MISSED, of_accounts):
        if contact_id in people:
            people[contact_id] = replace(people[contact_id], missed_meeting_at=at)
    return Known(people, frozenset(waiting))


def _before(db: Session, contacts: Collection[int], anew: "Request | None") -> Sequence[Any]:
    these: dict[str, Any] = {"contacts": sorted(contacts)}
    if anew is None:
        return rows_of(db, _BEFORE, these)
    outranking = [] if anew.asked in OF_THE_PLAN else sorted(OF_THE_PLAN)
    return rows_of(db, _BEFORE_IT, {**these, "own": anew.key, "outranking": outranking})


class Request(NamedTuple):
    """A line of the ledger."""

    asked: Asked
    account_id: int
    contact_id: int
    journey_id: int | None
    day: int
    became: Became
    why: Why | None
    at: datetime
    about: int = 0
    """Which prompt or letter it comes from, where it belongs to no contact of the plan."""
    occasion: str = ""
    """What a survey beyond the plan is about."""

    @property
    def key(self) -> str:
        about = self.occasion or self.about or self.day
        return f"{self.asked}:{about}:journey:{self.journey_id}:contact:{self.contact_id}"

    def row(self, now: datetime) -> dict[str, Any]:
        facts = self._asdict()
        del facts["about"]
        return {"key": self.key, **facts, "decided_at": now}


_REQUESTS: Any = RequestRow.__table__
_TAKE_UP = delete(_REQUESTS).where(
    _REQUESTS.c.key.in_(bindparam("keys", expanding=True)), _REQUESTS.c.became == Became.WAITING
)


def keep(db: Session, requests: Sequence[Request], *, waiting: Collection[int], now: datetime) -> None:
    """Writes down what became of these requests; one that waited until now is taken up. `waiting`: as `known_of` said."""
    if taken_up := [one.key for one in requests if one.contact_id in waiting]:
        db.connection().execute(_TAKE_UP, {"keys": taken_up})
    insert_new(db, _REQUESTS, [one.row(now) for one in requests], known_by=("key",))


def turn(db: Session, request: Request, *, now: datetime) -> None:
    """A request that had been decided already became something else, or goes out later than it was to."""
    row = request.row(now)
    said = {name: row[name] for name in ("became", "why", "at", "decided_at")}
    made = insert_for(db, _REQUESTS).on_conflict_do_update(index_elements=["key"], set_=said)
    db.connection().execute(made, row)


def take_back(db: Session, request: Request) -> None:
    """Nothing was asked after all: it doesn't draw on the budget."""
    db.connection().execute(delete(_REQUESTS).where(_REQUESTS.c.key == request.key))


class RequestLine(NamedTuple):
    """A request as staff read it."""

    journey_id: int | None
    day: int
    asked: Asked
    contact_id: int
    name: str
    phone: str
    language: str
    became: Became
    why: Why | None
    at: datetime
    occasion: str = ""


_LINES = (
    select(
        RequestRow.journey_id,
        RequestRow.day,
        RequestRow.asked,
        RequestRow.contact_id,
        Contact.name,
        Contact.phone,
        Contact.language,
        RequestRow.became,
        RequestRow.why,
        RequestRow.at,
        RequestRow.occasion,
    )
    .join(Contact, Contact.id == RequestRow.contact_id)
    .where(RequestRow.account_id == bindparam("account_id"))
    .order_by(RequestRow.id)
    .limit(200)
)


def requests_of(db: Session, account_id: int) -> tuple[RequestLine, ...]:
    """What an account's people were asked for, oldest first. One statement."""
    return tuple(RequestLine._make(row) for row in rows_of(db, _LINES, {"account_id": account_id}))


# Whom we ask


def choice_of(db: Session, contact_id: int) -> bool | None:
    """Whether we decided to ask this person; None: nobody did."""
    return db.scalar(select(AskingChoice.is_asked).where(AskingChoice.contact_id == contact_id))


def choose(db: Session, *, contact_id: int, account_id: int, is_asked: bool, by: str, now: datetime) -> str:
    """From now on surveys and other requests go to this person, or no longer. Gives the name. Errors: NotFound."""
    db.execute(select(Account.id).where(Account.id == account_id).with_for_update())
    person = db.scalar(
        select(Contact).where(Contact.id == contact_id, Contact.account_id == account_id, Contact.disabled_at.is_(None))
    )
    if person is None:
        raise NotFound
    values = {"contact_id": contact_id, "is_asked": is_asked, "chosen_at": now, "chosen_by": by}
    made = insert_for(db, AskingChoice.__table__).values(values)
    db.execute(made.on_conflict_do_update(index_elements=["contact_id"], set_=values))
    detail = {"name": person.name, "how": "asked" if is_asked else "not_asked"}
    audit.note(db, Event(Happened.ASKING_CHANGED, by, now, account_id, None, contact_id, detail))
    return person.name
