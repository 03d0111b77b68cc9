"""Won deals as companies export them: every row becomes a customer, a second contact, a repetition, or a line to mend.

Pure: no database, no clock. `open_deals` gives the table, `read_deals` what it says; storing it is for `actions`."""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from enum import StrEnum

from portal.accounts.deal_columns import Field, headers_language
from portal.accounts.deal_files import DealFile, Row, open_deals
from portal.accounts.deal_problems import (
    Caution,
    ColumnTwice,
    CompanyColumnMissing,
    Finding,
    NoSuchColumn,
    Problem,
    ReachColumnMissing,
    shown,
)
from portal.accounts.deal_values import (
    CURRENCY_REGIONS,
    DateOrder,
    currency_of,
    date_of,
    decimal_mark,
    email_of,
    is_formula,
    language_of,
    line_of,
    phone_of,
    price_of,
    prose_of,
    proven_order,
    tax_key,
    usual_region,
    zone_of,
    zone_region,
)
from portal.accounts.rules import Language, folded, normalised_email
from portal.errors import N_

__all__ = [
    "BadDeal", "ColumnOrder", "DealContact", "DealContext", "DealFile", "DealReading", "DuplicateDeal", "Field", "GoodDeal",
    "KnownConsultant", "OrderBasis", "SecondContact", "made_id", "open_deals", "read_deals",
]  # fmt: skip

NAME_LETTERS = 200
_SHORT_LETTERS = 100
_INTEREST_LETTERS = 60
_INTERESTS = 20
_OBSERVATION_LETTERS = 5000


@dataclass(frozen=True)
class KnownConsultant:
    email: str
    name: str
    active: bool = True
    """False: no longer with the company."""


@dataclass(frozen=True)
class DealContext:
    """What the file can't say by itself."""

    today: date
    language: Language
    time_zone: str
    currency: str
    consultants: tuple[KnownConsultant, ...] = ()
    date_order: DateOrder | None = None
    """For columns whose rows don't prove their own order."""


# --- what comes out ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class DealContact:
    line: int
    name: str
    email: str | None
    phone: str
    """E.164 or empty; never empty when there is no address."""
    language: Language
    time_zone: str
    role: str
    primary: bool


@dataclass(frozen=True)
class GoodDeal:
    """A customer to take in."""

    line: int
    external_id: str
    """The deal's own number, else a key made of company and contact: the same in every export."""
    other_ids: tuple[str, ...]
    """Deal numbers of further lines that belong to the same customer."""
    company: str
    tax_id: str
    plan: str
    mrr: Decimal | None
    currency: str
    """Three letters; empty where there is no price."""
    sold_on: date | None
    renews_on: date | None
    interests: tuple[str, ...]
    consultant_email: str | None
    """None: to be assigned."""
    contacts: tuple[DealContact, ...]
    """At least one; the first is the primary one."""
    title: str
    source: str
    observation: str
    cautions: tuple[Finding, ...]
    public_plan: str = ""
    """The link of the plan that they were shown before the sale; empty where there was none."""

    @property
    def fingerprint(self) -> str:
        """The same for the same content, wherever it stands in a file: what was stored with it needn't be again."""
        content = replace(
            self, line=0, cautions=(), contacts=tuple(replace(contact, line=0) for contact in self.contacts)
        )
        said = repr(content)
        if not self.public_plan:
            said = said.removesuffix(", public_plan='')") + ")"  # as it was before there was such a column
        return hashlib.sha256(said.encode()).hexdigest()


@dataclass(frozen=True)
class SecondContact:
    """A line that only adds a person to the customer in another line; that GoodDeal already holds the contact."""

    line: int
    of_line: int
    contact: DealContact
    cautions: tuple[Finding, ...]

    message = N_("A further contact of the customer in line %(line)s.")

    @property
    def values(self) -> dict[str, str | int]:
        return {"line": self.of_line}


@dataclass(frozen=True)
class DuplicateDeal:
    """A line that says again what another one said; nothing is taken from it."""

    line: int
    of_line: int
    differing: tuple[str, ...]
    """Headers of the columns in which it says something else; empty for a true repetition."""

    @property
    def message(self) -> str:
        if self.differing:
            return N_(
                "The same customer and contact as in line %(line)s, with another value in: %(columns)s. Line %(line)s was "
                "taken; change the customer by hand if this line is right."
            )
        return N_("The same deal as in line %(line)s. It was taken once.")

    @property
    def values(self) -> dict[str, str | int]:
        return {"line": self.of_line, "columns": ", ".join(self.differing)}


@dataclass(frozen=True)
class BadDeal:
    """A line to mend. The others don't wait for it."""

    line: int
    problems: tuple[Finding, ...]
    """At least one."""
    cells: tuple[str, ...]
    """The line as it stands in the file, so that it can be given back for mending."""


Result = GoodDeal | SecondContact | DuplicateDeal | BadDeal


class OrderBasis(StrEnum):
    PROVEN = "proven"
    """A row of the column can be read in no other way."""
    OTHER_COLUMN = "other_column"
    PREFERRED = "preferred"
    LANGUAGE = "language"
    """Only the language of the headers speaks for it."""
    CONTRADICTED = "contradicted"


@dataclass(frozen=True)
class ColumnOrder:
    """How dates such as 02/03/2026 were read in a column, and why."""

    column: str
    order: DateOrder | None
    basis: OrderBasis
    line: int | None
    """The line that proves it."""


@dataclass(frozen=True)
class DealReading:
    results: tuple[Result, ...]
    """One for each row, in the file's order."""
    orders: tuple[ColumnOrder, ...]
    """Of the date columns that hold such dates at all."""
    language: Language
    """Of contacts whose row doesn't say."""
    time_zone: str

    @property
    def good(self) -> tuple[GoodDeal, ...]:
        return tuple(result for result in self.results if isinstance(result, GoodDeal))

    @property
    def bad(self) -> tuple[BadDeal, ...]:
        return tuple(result for result in self.results if isinstance(result, BadDeal))

    @property
    def duplicates(self) -> tuple[DuplicateDeal, ...]:
        return tuple(result for result in self.results if isinstance(result, DuplicateDeal))

    @property
    def second_contacts(self) -> tuple[SecondContact, ...]:
        return tuple(result for result in self.results if isinstance(result, SecondContact))


def read_deals(file: DealFile, context: DealContext, *, mapping: Mapping[int, Field] | None = None) -> DealReading:
    """What each row says, by the guessed mapping or the one a person corrected (column index from 0 to field).

    Errors: CompanyColumnMissing, ReachColumnMissing, ColumnTwice, NoSuchColumn. A row never raises.
    """
    columns = _Columns(file, file.mapping if mapping is None else mapping)
    facts = _facts(columns, context)
    results: dict[int, Result] = {}
    kept = _Kept(columns)
    for row in file.rows:
        read = _read_row(_Cells(row, columns), facts)
        results[row.line] = read if isinstance(read, BadDeal) else kept.take(row, read)
    for deal in kept.customers():
        results[deal.line] = deal
    return DealReading(tuple(results.values()), facts.orders, facts.language, facts.time_zone)


# --- columns and what they prove together -----------------------------------------------------------------------------


class _Columns:
    """Where each field stands."""

    def __init__(self, file: DealFile, mapping: Mapping[int, Field]) -> None:
        self.header = file.header
        self.rows = file.rows
        self.index: dict[Field, int] = {}
        for index, field in sorted(mapping.items()):
            if not 0 <= index < len(file.header):
                raise NoSuchColumn(index + 1)
            if field in self.index:
                raise ColumnTwice(self.header[self.index[field]], self.header[index])
            self.index[field] = index
        if Field.COMPANY not in self.index:
            raise CompanyColumnMissing
        if not self.index.keys() & {Field.EMAIL, Field.PHONE}:
            raise ReachColumnMissing

    def name(self, *fields: Field) -> str:
        """The headers of those fields that have a column."""
        return " / ".join(self.header[self.index[field]] for field in fields if field in self.index)

    def values(self, field: Field) -> list[str]:
        """The field's cell of every row, trimmed; empty where there is none."""
        index = self.index.get(field)
        if index is None:
            return []
        return [row.cells[index][:1000].strip() if index < len(row.cells) else "" for row in self.rows]


@dataclass(frozen=True)
class _Facts:
    """What no row can tell alone."""

    context: DealContext
    orders: tuple[ColumnOrder, ...]
    order_of: Mapping[Field, DateOrder | None]
    mark: str | None
    language: Language
    time_zone: str
    region: str | None
    """The country that the phones with a country code are from."""
    regions: tuple[str, ...]
    """Where else a phone without one may be from, likeliest first."""
    by_email: Mapping[str, KnownConsultant]
    by_name: Mapping[str, tuple[KnownConsultant, ...]]


def _facts(columns: _Columns, context: DealContext) -> _Facts:
    by_name: defaultdict[str, list[KnownConsultant]] = defaultdict(list)
    for consultant in context.consultants:
        by_name[folded(consultant.name)].append(consultant)
    order_of, orders = _orders(columns, context)
    region = usual_region(columns.values(Field.PHONE))
    language, time_zone = _usual_language_and_zone(columns, context, region)
    likely = (
        "BR" if language is Language.PT_BR else None,
        zone_region(time_zone),
        CURRENCY_REGIONS.get(context.currency),
    )
    return _Facts(
        context=context,
        orders=orders,
        order_of=order_of,
        mark=decimal_mark(columns.values(Field.PRICE)),
        language=language,
        time_zone=time_zone,
        region=region,
        regions=tuple(region for region in likely if region),
        by_email={normalised_email(consultant.email): consultant for consultant in context.consultants},
        by_name={name: tuple(people) for name, people in by_name.items()},
    )


# Countries where one zone holds nearly everybody.
_MAIN_ZONES = {"BR": "America/Sao_Paulo", "PT": "Europe/Lisbon", "GB": "Europe/London", "IE": "Europe/Dublin"}


def _usual_language_and_zone(columns: _Columns, context: DealContext, region: str | None) -> tuple[Language, str]:
    """The company's own, unless the file has no such column and is plainly from elsewhere.

    A Brazilian export's customers must not be greeted in English at five in the morning.
    """
    language, time_zone = context.language, context.time_zone
    if Field.LANGUAGE not in columns.index and headers_language(columns.header) is Language.PT_BR:
        language = Language.PT_BR
    if Field.TIME_ZONE not in columns.index and region in _MAIN_ZONES and zone_region(time_zone) != region:
        time_zone = _MAIN_ZONES[region]
    return language, time_zone


def _orders(columns: _Columns, context: DealContext) -> tuple[dict[Field, DateOrder | None], tuple[ColumnOrder, ...]]:
    proofs = {
        field: proven_order(columns.values(field))
        for field in (Field.SOLD_ON, Field.RENEWS_ON)
        if field in columns.index
    }
    elsewhere = next((proof.order for proof in proofs.values() if proof and proof.order), None)
    spoken = headers_language(columns.header)
    orders = {}
    for field, proof in proofs.items():
        line = None
        if proof is not None and proof.order is None:
            order, basis = None, OrderBasis.CONTRADICTED
        elif proof is not None:
            order, basis = proof.order, OrderBasis.PROVEN
            line = None if proof.proven_by is None else columns.rows[proof.proven_by].line
        elif elsewhere is not None:
            order, basis = elsewhere, OrderBasis.OTHER_COLUMN
        elif context.date_order is not None:
            order, basis = context.date_order, OrderBasis.PREFERRED
        else:
            order = DateOrder.DAY_FIRST if spoken is Language.PT_BR else DateOrder.MONTH_FIRST
            basis = OrderBasis.LANGUAGE
        orders[field] = ColumnOrder(columns.name(field), order, basis, line)
    ambiguous = tuple(
        found
        for field, found in orders.items()
        if any(date_of(text, None) is Problem.AMBIGUOUS_DATE for text in columns.values(field))
    )
    return {field: found.order for field, found in orders.items()}, ambiguous


# --- one row ----------------------------------------------------------------------------------------------------------

# What people write into a cell that is empty.
_NOTHING = frozenset({"-", "--", "—", "–", "n/a", "n.a.", "null", "#n/a", "?"})


class _Cells:
    """One row by field, and what was found wrong with it on the way."""

    def __init__(self, row: Row, columns: _Columns) -> None:
        self.row = row
        self._columns = columns
        self.width = len(columns.header)
        self.problems: list[Finding] = []
        self.cautions: list[Finding] = []

    def has(self, field: Field) -> bool:
        return field in self._columns.index

    def raw(self, field: Field) -> str:
        index = self._columns.index.get(field)
        return "" if index is None or index >= len(self.row.cells) else self.row.cells[index]

    def finding(
        self, code: Problem | Caution, field: Field, *others: Field, value: str | None = None, limit: int | None = None
    ) -> Finding:
        text = self.raw(field) if value is None else value
        return Finding(code, self._columns.name(field, *others), field, shown(text), limit=limit)

    def refuse(
        self, code: Problem, field: Field, *others: Field, value: str | None = None, limit: int | None = None
    ) -> None:
        self.problems.append(self.finding(code, field, *others, value=value, limit=limit))

    def warn(self, code: Caution, field: Field, *, value: str | None = None, limit: int | None = None) -> None:
        self.cautions.append(self.finding(code, field, value=value, limit=limit))

    def line(self, field: Field) -> str:
        """The cell as one line; unreadable text is a problem and reads as empty."""
        text = line_of(self.raw(field))
        if isinstance(text, Problem):
            self.refuse(text, field)
            return ""
        return text

    def value(self, field: Field) -> str:
        """The same, where a dash or `n/a` means nothing."""
        text = self.line(field)
        return "" if text.casefold() in _NOTHING else text

    def name(self, text: str, field: Field) -> str:
        """A name that people will be called by: no formula, at most NAME_LETTERS."""
        if is_formula(text):
            self.refuse(Problem.FORMULA, field)
        elif len(text) > NAME_LETTERS:
            self.refuse(Problem.TOO_LONG, field, limit=NAME_LETTERS)
        return text

    def detail(self, field: Field, *, letters: int = _SHORT_LETTERS) -> str:
        """Text that the customer can be taken in without."""
        text = self.line(field)
        if len(text) > letters or is_formula(text):
            self.warn(Caution.TEXT_SET_ASIDE, field)
            return ""
        return text


def _read_row(cells: _Cells, facts: _Facts) -> GoodDeal | BadDeal:
    row, width = cells.row, cells.width
    if row.unclosed_quote:
        return BadDeal(row.line, (Finding(Problem.UNCLOSED_QUOTE, "", value=shown(row.cells[0])),), row.cells)
    if len(row.cells) != width:
        return BadDeal(
            row.line, (Finding(Problem.WRONG_NUMBER_OF_CELLS, "", value=str(len(row.cells)), limit=width),), row.cells
        )
    company = _company(cells)
    tax_id = cells.detail(Field.TAX_ID)
    price, currency = _price(cells, facts)
    sold_on, renews_on = _dates(cells, facts)
    consultant_email = _consultant(cells, facts)
    contact = _contact(cells, facts, tax_id=tax_id, currency=currency)
    deal = GoodDeal(
        line=row.line,
        external_id=_external_id(cells) or made_id(company, tax_id, contact),
        other_ids=(),
        company=company,
        tax_id=tax_id,
        plan=cells.detail(Field.PLAN),
        mrr=price,
        currency=currency if price is not None else "",
        sold_on=sold_on,
        renews_on=renews_on,
        interests=_interests(cells),
        consultant_email=consultant_email,
        contacts=(contact,),
        title=cells.detail(Field.TITLE, letters=NAME_LETTERS),
        source=cells.detail(Field.SOURCE),
        observation=_observation(cells),
        cautions=(),
        public_plan=cells.detail(Field.PUBLIC_PLAN),
    )
    if cells.problems:
        return BadDeal(row.line, tuple(cells.problems), row.cells)
    return replace(deal, cautions=tuple(cells.cautions))


def _company(cells: _Cells) -> str:
    company = cells.line(Field.COMPANY)
    if not company and not cells.problems:
        cells.refuse(Problem.NO_COMPANY, Field.COMPANY)
    return cells.name(company, Field.COMPANY)


def _external_id(cells: _Cells) -> str:
    text = cells.value(Field.DEAL_ID)
    if len(text) > _SHORT_LETTERS:
        cells.refuse(Problem.TOO_LONG, Field.DEAL_ID, limit=_SHORT_LETTERS)
    return text


def made_id(company: str, tax_id: str, contact: DealContact) -> str:
    """The key of a deal without a number: the company and whom to reach there."""
    key = "\n".join((tax_key(tax_id) or folded(company), contact.email or contact.phone))
    return "row-" + hashlib.sha256(key.encode()).hexdigest()[:32]


def _price(cells: _Cells, facts: _Facts) -> tuple[Decimal | None, str]:
    """The price and its currency; the currency also helps to tell where a phone is."""
    written = cells.value(Field.CURRENCY)
    currency = currency_of(written) if written else ""
    if isinstance(currency, Problem):
        cells.refuse(currency, Field.CURRENCY)
        currency = ""
    text = cells.value(Field.PRICE)
    if not text:
        if cells.has(Field.PRICE):
            cells.warn(Caution.NO_PRICE, Field.PRICE)
        return None, currency
    price = price_of(text, facts.mark)
    if isinstance(price, Problem):
        cells.refuse(price, Field.PRICE)
        return None, currency
    if currency and not price.fits(currency):
        cells.refuse(Problem.CURRENCY_MISMATCH, Field.PRICE, Field.CURRENCY)
    usual = facts.context.currency
    if price.currency == "$":
        return price.amount, currency or (usual if price.fits(usual) else "USD")
    return price.amount, currency or price.currency or usual


def _dates(cells: _Cells, facts: _Facts) -> tuple[date | None, date | None]:
    sold_on, renews_on = (_date(cells, field, facts) for field in (Field.SOLD_ON, Field.RENEWS_ON))
    if sold_on is None and cells.has(Field.SOLD_ON) and not cells.value(Field.SOLD_ON):
        cells.warn(Caution.NO_SALE_DATE, Field.SOLD_ON)
    if sold_on is not None and sold_on > facts.context.today:
        cells.warn(Caution.SALE_IN_FUTURE, Field.SOLD_ON)
    if sold_on is not None and renews_on is not None and renews_on < sold_on:
        cells.refuse(Problem.RENEWAL_BEFORE_SALE, Field.RENEWS_ON)
    return sold_on, renews_on


def _date(cells: _Cells, field: Field, facts: _Facts) -> date | None:
    text = cells.value(field)
    if not text:
        return None
    found = date_of(text, facts.order_of[field])
    if isinstance(found, Problem):
        cells.refuse(found, field)
        return None
    return found


def _consultant(cells: _Cells, facts: _Facts) -> str | None:
    """The owner's address, if the owner is one of ours. A customer is never refused because the owner isn't."""
    text = cells.value(Field.CONSULTANT)
    if not text:
        return None
    address = email_of(text) if "@" in text else None
    if isinstance(address, Problem) or is_formula(text) or len(text) > NAME_LETTERS:
        cells.refuse(Problem.IMPOSSIBLE_OWNER, Field.CONSULTANT)
        return None
    if address is not None:
        people = tuple(person for person in (facts.by_email.get(address.first),) if person)
    else:
        people = facts.by_name.get(folded(text), ())
    active = [person for person in people if person.active]
    if len(active) == 1:
        return normalised_email(active[0].email)
    if active:
        cells.warn(Caution.OWNER_AMBIGUOUS, Field.CONSULTANT)
    else:
        cells.warn(Caution.OWNER_LEFT if people else Caution.OWNER_UNKNOWN, Field.CONSULTANT)
    return None


def _contact(cells: _Cells, facts: _Facts, *, tax_id: str, currency: str) -> DealContact:
    language, tag_region = _language(cells, facts)
    time_zone = _zone(cells)
    regions = (
        "BR" if tax_key(tax_id) else None,
        tag_region,
        zone_region(time_zone) if time_zone else None,
        CURRENCY_REGIONS.get(currency),
        *facts.regions,
    )
    email, phone = _reach(cells, facts, [region for region in regions if region])
    return DealContact(
        line=cells.row.line,
        name=_contact_name(cells, email or phone),
        email=email,
        phone=phone,
        language=language,
        time_zone=time_zone or facts.time_zone,
        role=cells.detail(Field.ROLE),
        primary=True,
    )


def _language(cells: _Cells, facts: _Facts) -> tuple[Language, str | None]:
    text = cells.value(Field.LANGUAGE)
    if not text:
        return facts.language, None
    language, region = language_of(text)
    if language is None:
        cells.warn(Caution.LANGUAGE_UNKNOWN, Field.LANGUAGE)
        return facts.language, None
    return language, region


def _zone(cells: _Cells) -> str:
    text = cells.value(Field.TIME_ZONE)
    zone = zone_of(text) if text else ""
    if isinstance(zone, Problem):
        cells.refuse(zone, Field.TIME_ZONE)
        return ""
    return zone


def _reach(cells: _Cells, facts: _Facts, regions: Sequence[str]) -> tuple[str | None, str]:
    """The address and the phone. A wrong phone beside a good address is set aside; a wrong address is to mend."""
    address, number = cells.value(Field.EMAIL), cells.value(Field.PHONE)
    if not address and not number:
        fields = [field for field in (Field.EMAIL, Field.PHONE) if cells.has(field)]
        if not any(problem.field in fields for problem in cells.problems):
            cells.refuse(Problem.NOBODY_TO_REACH, *fields, value="")
        return None, ""
    email = email_of(address) if address else None
    phone = phone_of(number, regions, usual=facts.region) if number else None
    if isinstance(email, Problem):
        cells.refuse(email, Field.EMAIL)
        email = None
    elif isinstance(phone, Problem) and email is not None:
        cells.warn(Caution.PHONE_SET_ASIDE, Field.PHONE)
        phone = None
    if isinstance(phone, Problem):
        cells.refuse(phone, Field.PHONE)
        phone = None
    for found, field in ((email, Field.EMAIL), (phone, Field.PHONE)):
        if found is not None and found.more:
            cells.warn(Caution.FIRST_OF_SEVERAL, field)
    return (email.first if email else None), (phone.first if phone else "")


def _contact_name(cells: _Cells, reach: str) -> str:
    fields = (Field.NAME,) if cells.has(Field.NAME) else (Field.FIRST_NAME, Field.LAST_NAME)
    name = " ".join(part for field in fields if (part := cells.line(field)))
    if name:
        return cells.name(name, fields[0])
    if reach and any(cells.has(field) for field in fields):
        cells.warn(Caution.NO_CONTACT_NAME, fields[0], value=reach)
    return reach[:NAME_LETTERS]


def _interests(cells: _Cells) -> tuple[str, ...]:
    text = cells.line(Field.INTERESTS)
    for mark in ("|", ","):
        text = text.replace(mark, ";")
    once: dict[str, str] = {}
    for part in text.split(";"):
        if part.strip():
            once.setdefault(folded(part), part.strip())
    found = list(once.values())
    kept = [part for part in found if len(part) <= _INTEREST_LETTERS and not is_formula(part)][:_INTERESTS]
    if len(kept) < len(found):
        cells.warn(Caution.TEXT_SET_ASIDE, Field.INTERESTS)
    return tuple(kept)


def _observation(cells: _Cells) -> str:
    text = prose_of(cells.raw(Field.OBSERVATION))
    if isinstance(text, Problem):
        cells.refuse(text, Field.OBSERVATION)
        return ""
    if len(text) > _OBSERVATION_LETTERS:
        cells.warn(Caution.TEXT_SHORTENED, Field.OBSERVATION, limit=_OBSERVATION_LETTERS)
    return text[:_OBSERVATION_LETTERS].rstrip()


# --- rows that belong together ----------------------------------------------------------------------------------------

# The same mailbox provider says nothing about being the same company.
_MAILBOXES = frozenset(
    """gmail.com googlemail.com outlook.com hotmail.com live.com yahoo.com yahoo.com.br icloud.com me.com uol.com.br
    bol.com.br terra.com.br ig.com.br proton.me protonmail.com gmx.de gmx.net web.de aol.com""".split()
)


class _Kept:
    """The customers so far. Two rows are one customer by deal number, by company number, or by company and contact.

    A name alone never makes them one: two companies can share it.
    """

    def __init__(self, columns: _Columns) -> None:
        self._columns = columns
        self._lines: dict[int, list[tuple[Row, GoodDeal]]] = {}
        """The rows of each customer, by the line of the first."""
        self._by_id: dict[str, int] = {}
        self._by_key: dict[tuple[object, ...], int] = {}
        self._by_name: dict[tuple[str, str], int] = {}
        self._people: dict[tuple[int, str], tuple[Row, DealContact]] = {}
        """Each customer's people, by address and by phone and name."""

    def take(self, row: Row, deal: GoodDeal) -> Result:
        """What the row is in the light of those before it. A customer's contacts may still grow: see `customers`."""
        home = self._by_id.get(deal.external_id)
        if home is not None and not self._belongs(deal, home):
            taken = Finding(
                Problem.DEAL_ID_TAKEN,
                self._columns.name(Field.DEAL_ID),
                Field.DEAL_ID,
                shown(deal.external_id),
                line=self._by_id[deal.external_id],
            )
            return BadDeal(row.line, (taken,), row.cells)
        if home is None:
            home = next((self._by_key[key] for key in _keys(deal) if key in self._by_key), None)
        if home is None:
            return self._new(row, deal)
        return self._further(home, row, deal)

    def customers(self) -> Iterable[GoodDeal]:
        """Each customer with all contacts, the first row's being the primary one."""
        for rows in self._lines.values():
            deals = [deal for _, deal in rows]
            yield replace(
                deals[0],
                contacts=tuple(replace(deal.contacts[0], primary=deal is deals[0]) for deal in deals),
                other_ids=tuple(
                    sorted(
                        {deal.external_id for deal in deals if Field.DEAL_ID in self._columns.index}
                        - {deals[0].external_id}
                    )
                ),
            )

    def _new(self, row: Row, deal: GoodDeal) -> GoodDeal:
        domain = (deal.contacts[0].email or "").rpartition("@")[2]
        name = (folded(deal.company), domain)
        if domain and domain not in _MAILBOXES and not tax_key(deal.tax_id):
            if name in self._by_name:
                namesake = Finding(
                    Caution.SAME_COMPANY_NAME,
                    self._columns.name(Field.COMPANY),
                    Field.COMPANY,
                    shown(deal.company),
                    line=self._by_name[name],
                )
                deal = replace(deal, cautions=(*deal.cautions, namesake))
            self._by_name.setdefault(name, row.line)
        self._lines[row.line] = []
        self._remember(row.line, row, deal)
        return deal

    def _further(self, home: int, row: Row, deal: GoodDeal) -> SecondContact | DuplicateDeal:
        contact = deal.contacts[0]
        for trait in _traits(contact):
            known_row, known = self._people.get((home, trait), (None, None))
            if known_row and known and _same_person(contact, known):
                return DuplicateDeal(row.line, known_row.line, self._differing(row, known_row))
        first_row, first = self._lines[home][0]
        cautions = deal.cautions
        terms = (Field.PLAN, Field.PRICE, Field.CURRENCY, Field.SOLD_ON, Field.RENEWS_ON)
        if (deal.plan, deal.mrr, deal.currency, deal.sold_on, deal.renews_on) != (
            first.plan, first.mrr, first.currency, first.sold_on, first.renews_on,
        ):  # fmt: skip
            headers = ", ".join(self._differing(row, first_row, terms))
            cautions = (*cautions, Finding(Caution.DEAL_SET_ASIDE, "", value=shown(headers), line=home))
        self._remember(home, row, deal)
        return SecondContact(row.line, home, replace(contact, primary=False), cautions)

    def _remember(self, home: int, row: Row, deal: GoodDeal) -> None:
        self._lines[home].append((row, deal))
        self._by_id.setdefault(deal.external_id, home)
        for trait in _traits(deal.contacts[0]):
            self._people.setdefault((home, trait), (row, deal.contacts[0]))
        for key in _keys(deal):
            self._by_key.setdefault(key, home)

    def _belongs(self, deal: GoodDeal, home: int) -> bool:
        """Whether a row with that customer's deal number is that customer's: the same company or the same person."""
        first = self._lines[home][0][1]
        numbers = tax_key(deal.tax_id), tax_key(first.tax_id)
        same_company = numbers[0] == numbers[1] if all(numbers) else folded(deal.company) == folded(first.company)
        return same_company or _same_person(deal.contacts[0], first.contacts[0])

    def _differing(self, row: Row, other: Row, fields: Sequence[Field] = tuple(Field)) -> tuple[str, ...]:
        """Headers of the columns in which two rows differ, in the file's order."""
        places = sorted(self._columns.index[field] for field in fields if field in self._columns.index)
        return tuple(
            self._columns.header[place] for place in places if row.cells[place].strip() != other.cells[place].strip()
        )


def _keys(deal: GoodDeal) -> list[tuple[object, ...]]:
    """What makes two rows one customer, surest first."""
    contact, number = deal.contacts[0], tax_key(deal.tax_id)
    company = number or folded(deal.company)
    keys: list[tuple[object, ...]] = [("number", number)] if number else []
    keys.append(("contact", company, contact.email or contact.phone))
    if deal.external_id.startswith("row-") and deal.sold_on is not None:
        keys.append(("deal", company, deal.sold_on, deal.plan, deal.mrr, deal.currency))
    return keys


def _traits(contact: DealContact) -> list[str]:
    """Under what the same person would be found again."""
    return [trait for trait in (contact.email, contact.phone and f"{contact.phone} {folded(contact.name)}") if trait]


def _same_person(one: DealContact, other: DealContact) -> bool:
    """The same address; or the same phone and name, since colleagues share phones."""
    if one.email and other.email:
        return one.email == other.email
    return bool(one.phone) and one.phone == other.phone and folded(one.name) == folded(other.name)
