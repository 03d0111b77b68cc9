"""What a file of won deals would do here: whom it is about, who is known already, and what each of its lines becomes.

Reads only; `importing` keeps what is planned and carries it out."""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import select
from sqlalchemy.orm import Session

from portal import words
from portal.accounts.deal_columns import Field
from portal.accounts.deal_files import DealFile, Row
from portal.accounts.deal_problems import Finding, shown
from portal.accounts.deal_values import DateOrder, decimal_mark, tax_key
from portal.accounts.deals import (
    BadDeal,
    DealContact,
    DealContext,
    DealReading,
    DuplicateDeal,
    GoodDeal,
    KnownConsultant,
    SecondContact,
    made_id,
    read_deals,
)
from portal.accounts.models import Account, Contact, Staff
from portal.accounts.rules import Language, folded, normalised_email
from portal.errors import N_
from portal.house import House
from portal.journeys import public_plans
from portal.journeys.actions import UnderWay
from portal.journeys.import_models import Became, DealNumber, KnownBy
from portal.journeys.intake import Deal, Person
from portal.settings import Settings

FRESH_DAYS = 7
"""Who bought within so many days is welcomed like anybody new; who bought before that is taken in under way."""
USE_AFTER_DAYS = 7
"""How long after the sale customers usually begin to use the product."""
CHUNK = 500
KEPT_LETTERS = 20_000
"""Of a cell that is given back for mending."""

_DEAL = TypeAdapter(GoodDeal)

DEAL_NUMBER_TAKEN = N_(
    "The deal number “%(value)s” belongs to “%(company)s”, another company. Give this deal a number of its own."
)
KNOWN_CUSTOMER = N_(
    "“%(company)s” is a customer already, by the deal “%(value)s”. New people are added; the plan, price and dates in "
    "this line are left out."
)
PLAN_NAMED_TWICE = N_(
    "Line %(line)s names the same public plan, which can be one customer's only. This customer is taken in with the usual plan."
)
NO_SALE_DATE = N_("Without a sale date the customer begins at the first stage and is welcomed like a new one.")
SALE_TO_COME = N_("The sale is still to come; the customer begins at the first stage and is welcomed like a new one.")


# Reading


def colleagues(db: Session) -> tuple[KnownConsultant, ...]:
    """Everybody on the staff, also who left."""
    people = db.execute(select(Staff.email, Staff.name, Staff.disabled_at).order_by(Staff.id))
    return tuple(KnownConsultant(p.email, p.name, p.disabled_at is None) for p in people)


def staff_ids(db: Session) -> dict[str, int]:
    """Who of the staff works here, by address."""
    return {
        normalised_email(p.email): p.id
        for p in db.execute(select(Staff.email, Staff.id).where(Staff.disabled_at.is_(None)))
    }


def read(
    db: Session,
    settings: Settings,
    file: DealFile,
    *,
    mapping: Mapping[int, Field],
    date_order: DateOrder | None,
    today: date,
) -> DealReading:
    """What the file says, with these columns. Errors: DealFileRefused where they can't be."""
    context = DealContext(
        today=today,
        language=Language(settings.default_language),
        time_zone=settings.default_timezone,
        currency=settings.default_currency,
        consultants=colleagues(db),
        date_order=date_order,
    )
    return read_deals(undefused(file), context, mapping=mapping)


def undefused(file: DealFile) -> DealFile:
    """The file without the apostrophes that `defused` put there: spreadsheets give them back as they are."""
    if not any(cell.startswith("'") for row in file.rows for cell in row.cells):
        return file
    rows = (Row(row.line, tuple(map(_undefused, row.cells)), row.unclosed_quote) for row in file.rows)
    return replace(file, rows=tuple(rows))


_CALCULATED = ("=", "+", "-", "@", "\t", "\r")
"""With what a cell begins that a spreadsheet may calculate (OWASP, CSV injection)."""


def defused(cell: str) -> str:
    """The cell as text that no spreadsheet calculates; `+55 11 …` stays a phone number in it, too."""
    return f"'{cell}" if cell.startswith(_CALCULATED) else cell


def _undefused(cell: str) -> str:
    return cell[1:] if cell.startswith("'") and cell[1:].startswith(_CALCULATED) else cell


def facts(file: DealFile, *, mapping: Mapping[int, Field], reading: DealReading | None) -> dict[str, Any]:
    """How the file was read, as plain values for people to check."""
    price = next((index for index, meaning in mapping.items() if meaning is Field.PRICE), None)
    prices = [] if price is None else [row.cells[price] for row in file.rows if price < len(row.cells)]
    return {
        "encoding": file.encoding,
        "delimiter": file.delimiter,
        "rows": len(file.rows),
        "columns": [
            {
                "header": column.header,
                "field": mapping[column.index].value if column.index in mapping else "",
                "confidence": column.confidence.value,
                "examples": [shown(example) for example in column.examples],
            }
            for column in file.columns
        ],
        "mark": decimal_mark(prices) or "",
        "orders": [
            {"column": o.column, "order": o.order.value if o.order else "", "basis": o.basis.value, "line": o.line}
            for o in (reading.orders if reading else ())
        ],
        "language": reading.language.value if reading else "",
        "time_zone": reading.time_zone if reading else "",
    }


# Who is known already


@dataclass(frozen=True)
class Known:
    """The customer whom a deal is about."""

    account: Any
    """The row: id, external_id, name, plan and the other terms."""
    people: tuple[Any, ...]
    by_own_number: bool
    is_other_company: bool
    """The deal's number is theirs, but neither the company nor a person is."""
    fingerprint: str
    marks: Mapping[str, Any]


_ACCOUNT = select(
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
)
_PEOPLE = select(
    Contact.account_id, Contact.name, Contact.email, Contact.phone, Contact.language, Contact.timezone
).order_by(Contact.id)


def numbers_of(deal: GoodDeal) -> list[tuple[KnownBy, str]]:
    """By what the customer of a deal is known again, surest first; the same that makes lines of one file one customer."""
    company = tax_key(deal.tax_id)
    return [
        (KnownBy.DEAL, deal.external_id),
        *((KnownBy.DEAL, number) for number in deal.other_ids),
        *([(KnownBy.COMPANY, company)] if company else []),
        *((KnownBy.PERSON, made_id(deal.company, deal.tax_id, contact)) for contact in deal.contacts),
    ]


def known_customers(db: Session, deals: Sequence[GoodDeal]) -> dict[int, Known]:
    """Those of the deals' customers whom we know, by line; in four statements however many they are."""
    wanted = {deal.line: numbers_of(deal) for deal in deals}
    numbers = sorted({number for several in wanted.values() for _, number in several})
    found = {(n.kind, n.number): n for n in db.scalars(select(DealNumber).where(DealNumber.number.in_(numbers)))}
    ids = {n.account_id for n in found.values()}
    is_one = Account.id.in_(sorted(ids)) | Account.external_id.in_(numbers)
    accounts = {row.id: row for row in db.execute(_ACCOUNT.where(is_one))}
    if not accounts:
        return {}
    by_external_id = {row.external_id: row for row in accounts.values()}
    people = defaultdict(list)
    for person in db.execute(_PEOPLE.where(Contact.account_id.in_(sorted(accounts)))):
        people[person.account_id].append(person)
    companies = defaultdict(set)
    theirs = select(DealNumber.account_id, DealNumber.number).where(
        DealNumber.account_id.in_(sorted(accounts)), DealNumber.kind == KnownBy.COMPANY
    )
    for account_id, number in db.execute(theirs):
        companies[account_id].add(number)
    known = {}
    for deal in deals:
        for kind, number in wanted[deal.line]:
            entry = found.get((kind, number))
            row = accounts[entry.account_id] if entry else by_external_id.get(number) if kind is KnownBy.DEAL else None
            if row is None:
                continue
            own = found.get((KnownBy.DEAL, deal.external_id))
            known[deal.line] = Known(
                account=row,
                people=tuple(people[row.id]),
                by_own_number=row.external_id == deal.external_id,
                is_other_company=kind is KnownBy.DEAL and not _belongs(deal, row, people[row.id], companies[row.id]),
                fingerprint=own.fingerprint if own else "",
                marks=own.marks if own else {},
            )
            break
    return known


def _belongs(deal: GoodDeal, account: Any, people: Sequence[Any], companies: set[str]) -> bool:
    """Whether a deal is that customer's: the same company or one of the same people."""
    number = tax_key(deal.tax_id)
    same = number in companies if number and companies else folded(deal.company) == folded(account.name)
    return same or any(_is_same(contact, person) for contact in deal.contacts for person in people)


def _is_same(contact: DealContact, person: Any) -> bool:
    """The same address; or the same phone and name, since colleagues share phones."""
    if contact.email and person.email:
        return contact.email == str(person.email)
    same_phone = bool(contact.phone) and contact.phone == person.phone
    return same_phone and folded(contact.name) == folded(person.name)


# What is to be taken in


def new_customer(deal: GoodDeal, *, staff: Mapping[str, int], locale: str, under_way: UnderWay | None) -> Deal:
    """The deal of somebody whom we don't know yet."""
    return Deal(
        external_id=deal.external_id,
        name=deal.company,
        people=tuple(_person(contact) for contact in deal.contacts),
        plan=deal.plan,
        mrr_amount=deal.mrr,
        mrr_currency=deal.currency,
        sold_on=deal.sold_on,
        renews_on=deal.renews_on,
        interests=deal.interests,
        notes="\n".join(notes_of(deal, locale=locale)),
        consultant_id=_consultant(deal, staff),
        under_way=under_way,
    )


def changed_customer(deal: GoodDeal, known: Known, *, staff: Mapping[str, int], locale: str) -> Deal:
    """What a deal says anew of a customer we know. What the file said before is left as people have it here by now; a
    line merged into another deal's customer only adds people."""
    account = known.account
    if not known.by_own_number:
        strangers = [c for c in deal.contacts if not any(_is_same(c, person) for person in known.people)]
        people = tuple(replace(_person(c), primary=False) for c in strangers)
        return Deal(external_id=account.external_id, name=account.name, people=people or _as_they_are(known))
    marks = marks_of(deal)
    new = {name for name, mark in marks.items() if name != "people" and known.marks.get(name) != mark}
    said = known.marks.get("people", ())
    people = tuple(
        replace(_person(c), primary=False)
        for c, mark in zip(deal.contacts, marks["people"], strict=True)
        if mark not in said
    )
    kept = (account.notes or "").splitlines()
    notes = [line for line in notes_of(deal, locale=locale) if line not in kept]
    return Deal(
        external_id=account.external_id,
        name=deal.company if "company" in new else account.name,
        people=people or _as_they_are(known),
        plan=deal.plan or None if "plan" in new else None,
        mrr_amount=deal.mrr if "price" in new else None,
        mrr_currency=deal.currency or None if "price" in new else None,
        sold_on=deal.sold_on if "sold_on" in new else None,
        renews_on=deal.renews_on if "renews_on" in new else None,
        interests=deal.interests or None if "interests" in new else None,
        notes="\n".join([*kept, *notes])[:10_000] if notes and "notes" in new else None,
        consultant_id=_consultant(deal, staff) if "consultant" in new else None,
    )


def says_something_new(change: Deal, known: Known) -> bool:
    """Whether taking that in would change anything."""
    account = known.account
    terms = ("name", "plan", "mrr_amount", "mrr_currency", "sold_on", "renews_on", "notes", "consultant_id")
    if any((new := getattr(change, name)) is not None and new != getattr(account, name) for name in terms):
        return True
    if change.interests is not None and list(change.interests) != list(account.interests):
        return True
    return any(not any(_says_the_same(person, p) for p in known.people) for person in change.people)


def _says_the_same(person: Person, known: Any) -> bool:
    same = person.email == known.email if person.email else person.phone == known.phone
    return same and (person.name, person.phone or known.phone, person.language, person.timezone) == (
        known.name, known.phone, known.language, known.timezone,
    )  # fmt: skip


def _person(contact: DealContact) -> Person:
    return Person(contact.name, contact.email, contact.phone, contact.language, contact.time_zone, contact.primary)


def _as_they_are(known: Known) -> tuple[Person, ...]:
    """Somebody who is there already: a deal without any person can't be taken in."""
    return tuple(Person(p.name, p.email, p.phone, p.language, p.timezone) for p in known.people[:1])


def _consultant(deal: GoodDeal, staff: Mapping[str, int]) -> int | None:
    return staff.get(deal.consultant_email) if deal.consultant_email else None


def notes_of(deal: GoodDeal, *, locale: str) -> list[str]:
    """What has no place of its own, a line each, in the language of the house."""
    roles = "; ".join(f"{contact.name}, {contact.role}" for contact in deal.contacts if contact.role)
    entries = (
        (N_("Deal: %(value)s"), deal.title),
        (N_("Tax number: %(value)s"), deal.tax_id),
        (N_("Roles: %(value)s"), roles),
        (N_("Source: %(value)s"), deal.source),
    )
    lines = [words.translate(locale, message, value=value) for message, value in entries if value]
    return [*lines, *(line for line in deal.observation.splitlines() if line.strip())]


def marks_of(deal: GoodDeal) -> dict[str, Any]:
    """A short hash of each field, to see later which of them a file says anew."""
    roles = [contact.role for contact in deal.contacts]
    terms: dict[str, object] = {
        "company": deal.company,
        "plan": deal.plan,
        "price": (deal.mrr, deal.currency),
        "sold_on": deal.sold_on,
        "renews_on": deal.renews_on,
        "interests": deal.interests,
        "notes": (deal.title, deal.tax_id, deal.source, deal.observation, roles),
        "consultant": deal.consultant_email,
    }
    people = [_mark((c.name, c.email, c.phone, c.language, c.time_zone)) for c in deal.contacts]
    return {name: _mark(value) for name, value in terms.items()} | {"people": people}


def _mark(value: object) -> str:
    return hashlib.sha256(repr(value).encode()).hexdigest()[:12]


# Where a customer begins


def is_fresh(sold_on: date | None, today: date) -> bool:
    """Whether the customer begins at the first stage: sold just now, later, or nobody knows when."""
    return sold_on is None or (today - sold_on).days <= FRESH_DAYS


def under_way(sold_on: date | None, *, today: date, use_after_days: int) -> UnderWay | None:
    """Since when an earlier customer uses the product, by the usual distance from the sale; None for a fresh one."""
    if sold_on is None or is_fresh(sold_on, today):
        return None
    return UnderWay(use_started_on=min(sold_on + timedelta(days=use_after_days), today))


# The plan


@dataclass
class Tally:
    """What all lines together would do."""

    became: Counter[Became] = field(default_factory=Counter)
    contacted: int = 0
    """People who are welcomed by mail because of this import."""
    fresh: int = 0
    under_way: int = 0
    undated: int = 0
    """New customers without a sale date, or with one still to come."""

    def plain(self) -> dict[str, Any]:
        return vars(self) | {"became": {became.value: n for became, n in self.became.items()}}


def planned(
    db: Session,
    file: DealFile,
    reading: DealReading,
    *,
    mapping: Mapping[int, Field],
    house: House,
    today: date,
    tally: Tally,
) -> Iterator[list[dict[str, Any]]]:
    """What each line becomes, as rows of `ImportLine` without their import, in the file's order and a chunk at a time;
    counts it all in `tally`."""
    staff, settings = staff_ids(db), house.settings
    id_column = next((file.header[index] for index, f in mapping.items() if f is Field.DEAL_ID), "")
    plan_column = next((file.header[index] for index, f in mapping.items() if f is Field.PUBLIC_PLAN), "")
    named_in: dict[int, int] = {}
    cells = {row.line: row.cells for row in file.rows}
    for start in range(0, len(reading.results), CHUNK):
        results = reading.results[start : start + CHUNK]
        known = known_customers(db, [r for r in results if isinstance(r, GoodDeal)])
        come = links_of(db, house, [r for r in results if isinstance(r, GoodDeal)], known)
        rows = []
        for result in results:
            row = _planned_line(
                result, known.get(result.line), staff=staff, settings=settings, today=today, id_column=id_column
            )
            link = come.get(result.line)
            if link is not None and row["waiting"]:
                earlier = named_in.setdefault(link.plan_id, result.line) if link.plan_id is not None else result.line
                if link.why or earlier != result.line:
                    odd = no_plan(link, column=plan_column) if link.why else told(PLAN_NAMED_TWICE, line=earlier)
                    row |= {"findings": [*row["findings"], odd], "has_cautions": True}
            row["cells"] = [] if isinstance(result, DuplicateDeal) else list(map(kept_cell, cells[result.line]))
            if isinstance(result, GoodDeal) and row["became"] is Became.CREATED:
                tally.fresh += is_fresh(result.sold_on, today)
                tally.under_way += not is_fresh(result.sold_on, today)
                tally.undated += result.sold_on is None or result.sold_on > today
                tally.contacted += is_fresh(result.sold_on, today) and result.contacts[0].email is not None
            tally.became[row["became"]] += 1
            rows.append(row)
        yield rows


def links_of(
    db: Session, house: House, deals: Sequence[GoodDeal], known: Mapping[int, Known]
) -> dict[int, public_plans.Link]:
    """What the links to public plans come to, by line; only of lines that name one."""
    having = [deal for deal in deals if deal.public_plan]
    whose = [known[deal.line].account if deal.line in known else None for deal in having]
    named = [
        public_plans.Named(deal.public_plan, deal.plan or (account.plan if account else ""), account and account.id)
        for deal, account in zip(having, whose, strict=True)
    ]
    return dict(zip((deal.line for deal in having), public_plans.behind(db, house, named), strict=True))


def no_plan(link: public_plans.Link, *, column: str = "") -> dict[str, Any]:
    """Why they don't start with the plan behind the link, to be told at the line."""
    return told(link.why, column=column, **link.values)


def _planned_line(
    result: GoodDeal | SecondContact | DuplicateDeal | BadDeal,
    known: Known | None,
    *,
    staff: Mapping[str, int],
    settings: Settings,
    today: date,
    id_column: str,
) -> dict[str, Any]:
    row: dict[str, Any] = {
        "line": result.line,
        "waiting": False,
        "of_line": None,
        "company": "",
        "deal": {},
        "findings": [],
        "has_cautions": False,
    }
    match result:
        case BadDeal():
            return row | {"became": Became.REFUSED, "findings": [_told(found) for found in result.problems]}
        case DuplicateDeal():
            findings = [_plainly(result.message, result.values)]
            odd = bool(result.differing)
            return row | {
                "became": Became.DUPLICATE, "of_line": result.of_line, "findings": findings, "has_cautions": odd,
            }  # fmt: skip
        case SecondContact():
            findings = [_plainly(result.message, result.values), *(_told(found) for found in result.cautions)]
            return row | {
                "became": Became.JOINED,
                "waiting": True,
                "of_line": result.of_line,
                "company": result.contact.name,
                "findings": findings,
                "has_cautions": bool(result.cautions),
            }
        case GoodDeal():
            became, more = classified(result, known, staff=staff, settings=settings, today=today, id_column=id_column)
            findings = [*(_told(found) for found in result.cautions), *more]
            refused = became is Became.REFUSED
            return row | {
                "became": became,
                "waiting": not refused,
                "company": result.company,
                "deal": {} if refused else stored(result),
                "findings": more if refused else findings,
                "has_cautions": bool(findings) and not refused,
            }


def classified(
    deal: GoodDeal,
    known: Known | None,
    *,
    staff: Mapping[str, int],
    settings: Settings,
    today: date,
    id_column: str = "",
) -> tuple[Became, list[dict[str, Any]]]:
    """What a deal would become, and what is to be told about it."""
    if known is None:
        if deal.sold_on is None:
            return Became.CREATED, [told(NO_SALE_DATE)]
        return Became.CREATED, [told(SALE_TO_COME)] if deal.sold_on > today else []
    if known.is_other_company:
        return Became.REFUSED, [
            told(DEAL_NUMBER_TAKEN, column=id_column, value=deal.external_id, company=known.account.name)
        ]
    if known.fingerprint == deal.fingerprint:
        return Became.UNCHANGED, []
    findings = []
    if not known.by_own_number:
        findings = [told(KNOWN_CUSTOMER, company=known.account.name, value=known.account.external_id)]
    change = changed_customer(deal, known, staff=staff, locale=settings.default_language)
    return (Became.UPDATED if says_something_new(change, known) else Became.UNCHANGED), findings


def told(message: str, *, column: str = "", **values: object) -> dict[str, Any]:
    """One thing to tell about a line: the column, a msgid, what fills its places."""
    return _plainly(message, values, column=column)


def _told(found: Finding) -> dict[str, Any]:
    return _plainly(found.message, found.values, column=found.column)


def _plainly(message: str, values: Mapping[str, object], *, column: str = "") -> dict[str, Any]:
    return {"column": column, "message": message, "values": dict(values)}


def stored(deal: GoodDeal) -> dict[str, Any]:
    """The deal as plain JSON; its cautions are kept beside it."""
    plain: dict[str, Any] = _DEAL.dump_python(replace(deal, cautions=()), mode="json")
    return plain


def restored(plain: Mapping[str, Any]) -> GoodDeal:
    return _DEAL.validate_python(plain)


def kept_cell(cell: str) -> str:
    """The cell as a database may hold it."""
    return cell[:KEPT_LETTERS].replace("\x00", "").encode("utf-8", "replace").decode()
