"""Accounts: the CRM tells of a won deal, or that a customer left; and asks what became of them."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import date, datetime, timedelta
from typing import Annotated

from fastapi import Path, Query
from pydantic import Field, StringConstraints, field_validator, model_validator
from pydantic_core import PydanticCustomError
from starlette.responses import Response

from portal.accounts.deal_problems import Problem
from portal.accounts.deal_values import phone_of, zone_region
from portal.accounts.rules import Channel, Language
from portal.auth import Scope
from portal.clock import local_date
from portal.deps import ApiAsk, AskOfApi, api_calls
from portal.errors import Invalid, NotFound, Refused
from portal.forms import Email, Zone
from portal.journeys import cases, intake, listing, public_plans
from portal.journeys.actions import UnderWay
from portal.journeys.intake import Deal, Person, Taken
from portal.journeys.listing import ListedAccount, ListedContact, ListedJourney
from portal.journeys.shipped import AFTER_SALE
from portal.routes.api import shapes
from portal.routes.api.journeys import JourneyLine, journey_line
from portal.routes.api.shapes import Blank, Day, Listing, Money, Reason, Shape, StrictBool, Wanted
from portal.surveys.temperatures import temperatures
from portal.text import Line, RequiredLine, clean_line

reading, writing = api_calls(Scope.READ), api_calls(Scope.WRITE)

ExternalId = Annotated[str, Path(description="The CRM's own id of the account.")]


# What comes in


class ContactIn(Shape):
    """A person at the account; an address or a phone number at least."""

    name: RequiredLine
    email: Annotated[Email | None, Blank] = None
    phone: Annotated[Line | None, Blank] = Field(
        None, description="With its country code, or as dialled where they are."
    )
    language: Annotated[Language | None, Blank] = None
    timezone: Annotated[Zone | None, Blank] = None
    primary: StrictBool = False

    @model_validator(mode="after")
    def _reachable(self) -> "ContactIn":
        if not self.email and not self.phone:
            raise PydanticCustomError("value_error", "Give an e-mail address or a phone number.")
        return self


class HistoryIn(Shape):
    """A customer who was under way before we knew them: no mail is sent for the past."""

    use_started_on: Day | None = None
    stage: Annotated[Line | None, Blank] = None


class AccountIn(Shape):
    """A won deal. What is left out, or null, stays as it is known."""

    name: RequiredLine
    plan: Line | None = None
    mrr: Money | None = None
    sold_on: Day | None = None
    renews_on: Day | None = None
    consultant_email: Annotated[Email | None, Blank] = None
    interests: Annotated[list[RequiredLine], Field(max_length=50)] | None = None
    contacts: Annotated[list[ContactIn], Field(min_length=1, max_length=500)]
    history: HistoryIn | None = None
    public_plan: Annotated[Line | None, Blank] = Field(
        None, description="The link (or its last part) of the plan that they were shown before they signed."
    )

    @field_validator("contacts")
    @classmethod
    def _distinct(cls, contacts: list[ContactIn]) -> list[ContactIn]:
        addresses = [contact.email for contact in contacts if contact.email]
        if len(set(addresses)) < len(addresses):
            raise PydanticCustomError("value_error", "Two contacts have the same e-mail address.")
        if sum(contact.primary for contact in contacts) > 1:
            raise PydanticCustomError("value_error", "Only one contact can be the primary one.")
        return contacts


class Churn(Shape):
    on: Day
    reason: Reason


# What goes out


class ContactOut(Shape):
    id: str
    name: str
    email: str | None
    phone: str | None
    channel: Channel
    language: Language
    timezone: str
    primary: bool


class Part(Shape):
    name: str
    points: int
    text: str


class Temperature(Shape):
    """0 (cold) to 100, and what makes it."""

    score: int
    parts: list[Part]


class AccountOut(Shape):
    external_id: str
    name: str
    status: Annotated[str, StringConstraints(pattern="^(active|churned)$")]
    plan: str
    mrr: Money | None
    sold_on: date | None
    renews_on: date | None
    consultant_email: str | None
    interests: list[str]
    churned_on: date | None
    churn_reason: str | None
    created_at: datetime
    contacts: list[ContactOut]
    temperature: Temperature
    journeys: list[JourneyLine]


# Calls


@writing.put("/accounts/{external_id}", response_model=AccountOut, responses={201: {"model": AccountOut}})
def put_account(ask: ApiAsk, external_id: ExternalId, account: AccountIn) -> Response:
    """Creates an account from the CRM, or updates it. The first call opens its After-sale journey (201); a repeat updates
    and opens nothing (200)."""
    taken = intake.take_in(ask.db, ask.house, deal=_deal(ask, external_id, account), by=ask.me.by, now=ask.now)
    status = 201 if taken.taken is Taken.CREATED else 200
    return ask.json(_one(ask, external_id), status)


@reading.get("/accounts", response_model=Listing[AccountOut])
def list_accounts(ask: ApiAsk, wanted: Annotated[Wanted, Query()]) -> Response:
    """Every account, oldest first."""
    (last,) = shapes.after(ask, wanted)
    rows = listing.accounts(ask.db, after=last, limit=wanted.limit + 1)
    known = {row.id: told for row, told in zip(rows, _told(ask, rows), strict=True)}
    return shapes.listing(ask, wanted, rows, told=lambda row: known[row.id], place=lambda row: (row.id,))


@reading.get("/accounts/{external_id}", response_model=AccountOut)
def get_account(ask: ApiAsk, external_id: ExternalId) -> Response:
    """One account with its people, its temperature and its journeys."""
    return ask.json(_one(ask, external_id))


@writing.post("/accounts/{external_id}/churn", response_model=AccountOut)
def churn(ask: ApiAsk, external_id: ExternalId, churn: Churn) -> Response:
    """The customer has left: open journeys end as lost."""
    known = _known(ask, external_id)
    if abs((churn.on - local_date(ask.now, ask.settings.default_timezone)).days) > FARTHEST_DAYS:
        raise Invalid({"on": "That date is more than ten years away. Check the year."})
    if known.churned_on is None:
        cases.churn(ask.db, ask.house, account_id=known.id, on=churn.on, reason=churn.reason, by=ask.me.by, now=ask.now)
    elif (known.churned_on, known.churn_reason) != (churn.on, churn.reason):
        raise Refused("This customer left already, on %(day)s.", day=known.churned_on.isoformat())
    return ask.json(_one(ask, external_id))


FARTHEST_DAYS = 3653


# From what came to a deal


def _clean_id(external_id: str) -> str:
    try:
        cleaned = clean_line(external_id)
    except ValueError as wrong:
        raise Invalid({"external_id": str(wrong)}) from wrong
    if not cleaned:
        raise Invalid({"external_id": "This is missing."})
    if len(cleaned) > 200:
        raise Invalid({"external_id": "An account's id has at most 200 characters."})
    return cleaned


def _deal(ask: AskOfApi, external_id: str, account: AccountIn) -> Deal:
    problems: dict[str, str] = {}
    people = tuple(_people(ask, account.contacts, problems))
    consultant_id = None
    if account.consultant_email is not None:
        consultant_id = listing.staff_id_of(ask.db, account.consultant_email)
        if consultant_id is None:
            problems["consultant_email"] = "Nobody with this address works here."
    under_way = _under_way(ask, account.history, problems) if account.history is not None else None
    public_plan_id = None
    if account.public_plan is not None:
        public_plan_id = public_plans.id_of_link(ask.db, ask.house, account.public_plan)
        if public_plan_id is None:
            problems["public_plan"] = "No plan has this link."
    if problems:
        raise Invalid(problems)
    return Deal(
        external_id=_clean_id(external_id),
        name=account.name,
        people=people,
        plan=account.plan,
        mrr_amount=account.mrr.amount if account.mrr else None,
        mrr_currency=account.mrr.currency if account.mrr else None,
        sold_on=account.sold_on,
        renews_on=account.renews_on,
        interests=tuple(dict.fromkeys(account.interests)) if account.interests is not None else None,
        consultant_id=consultant_id,
        under_way=under_way,
        public_plan_id=public_plan_id,
    )


def _people(ask: AskOfApi, contacts: Sequence[ContactIn], problems: dict[str, str]) -> Iterator[Person]:
    phones: set[str] = set()
    for place, contact in enumerate(contacts):
        timezone = contact.timezone or ask.settings.default_timezone
        phone = ""
        if contact.phone:
            region = zone_region(timezone)
            read = phone_of(contact.phone, [region] if region else [])
            if isinstance(read, Problem) or read.more:
                problems[f"contacts.{place}.phone"] = "Give one phone number, best with its country code."
            else:
                phone = read.first
        if not contact.email and phone in phones:
            problems[f"contacts.{place}.phone"] = "Two contacts without an e-mail address have this number."
        if not contact.email:
            phones.add(phone)
        yield Person(
            name=contact.name,
            email=contact.email,
            phone=phone,
            language=contact.language or Language(ask.settings.default_language),
            timezone=timezone,
            primary=contact.primary,
            assumed=tuple(field for field in ("language", "timezone") if getattr(contact, field) is None),
        )


def _under_way(ask: AskOfApi, history: HistoryIn, problems: dict[str, str]) -> UnderWay:
    started = history.use_started_on
    # The latest date that it is anywhere: the customer's zone may be ahead.
    if started is not None and started > (ask.now + timedelta(hours=14)).date():
        problems["history.use_started_on"] = "Use can't have started in the future."
    if history.stage is not None:
        stages = listing.stages_of_pipeline(ask.db, AFTER_SALE)
        if history.stage not in stages:
            problems["history.stage"] = "There is no stage of that name."
        elif stages[history.stage]:
            problems["history.stage"] = (
                "A customer can't be taken in as approved: the contacts of day 30, 60 and 90 come first."
            )
    return UnderWay(started, history.stage or "")


# From rows to what goes out


def _known(ask: AskOfApi, external_id: str) -> ListedAccount:
    try:
        found = listing.account(ask.db, _clean_id(external_id))
    except Invalid as impossible:
        raise NotFound from impossible
    if found is None:
        raise NotFound
    return found


def _one(ask: AskOfApi, external_id: str) -> AccountOut:
    return _told(ask, [_known(ask, external_id)])[0]


def _told(ask: AskOfApi, rows: Sequence[ListedAccount]) -> list[AccountOut]:
    """Accounts with all that belongs to them; the number of statements doesn't grow with them."""
    ids = [row.id for row in rows]
    people: dict[int, list[ListedContact]] = defaultdict(list)
    for contact in listing.contacts_of(ask.db, ids):
        people[contact.account_id].append(contact)
    journeys: dict[int, list[ListedJourney]] = defaultdict(list)
    for journey in listing.journeys_of(ask.db, ids):
        journeys[journey.account_id].append(journey)
    degrees = temperatures(ask.db, ids, zone=ask.settings.default_timezone, now=ask.now)
    return [
        AccountOut(
            external_id=row.external_id,
            name=row.name,
            status="churned" if row.churned_on is not None else "active",
            plan=row.plan,
            mrr=Money.model_construct(amount=row.mrr_amount, currency=row.mrr_currency) if row.mrr_currency else None,
            sold_on=row.sold_on,
            renews_on=row.renews_on,
            consultant_email=row.consultant_email,
            interests=row.interests,
            churned_on=row.churned_on,
            churn_reason=row.churn_reason or None,
            created_at=row.created_at,
            contacts=[_contact(contact) for contact in people[row.id]],
            temperature=Temperature(
                score=degrees[row.id].score,
                parts=[Part(name=p.name, points=p.points, text=p.text) for p in degrees[row.id].parts],
            ),
            journeys=[journey_line(journey) for journey in journeys[row.id]],
        )
        for row in rows
    ]


def _contact(row: ListedContact) -> ContactOut:
    return ContactOut(
        id=str(row.id),
        name=row.name,
        email=row.email,
        phone=row.phone or None,
        channel=row.channel,
        language=row.language,
        timezone=row.timezone,
        primary=row.is_primary,
    )
