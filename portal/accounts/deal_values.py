"""What one cell of a won-deal file says: text, addresses, phones, dates, prices, languages, zones.

Every reader gives the value, or the `Problem` with the cell: nothing is raised and nothing is repaired by guessing."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum
from functools import lru_cache
from typing import NamedTuple
from zoneinfo import available_timezones

import phonenumbers
from babel.core import get_global
from email_validator import EmailNotValidError, validate_email

from portal.accounts.deal_columns import CNPJ_LOOK
from portal.accounts.deal_problems import Problem
from portal.accounts.rules import Language, folded, normalised_email
from portal.text import clean, clean_line

_UNREADABLE = re.compile("[\x00\ud800-\udfff\ufffe\uffff]")
# Dropped without a word: controls, zero-width spaces and the marks that turn the direction of what follows. Joiners
# (U+200C, U+200D) and the plain marks (U+200E, U+200F) stay: Persian, Hindi and emoji are spelled with them.
_INVISIBLE = re.compile("[\x01-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\u200b\u202a-\u202e\u2060\u2066-\u2069\ufeff]")


def line_of(cell: str) -> str | Problem:
    """The cell as one line of text, NFC, trimmed; empty stays empty."""
    if cell.isascii() and cell.isprintable():  # nearly every cell, at a tenth of the price
        return " ".join(cell.split())
    if _UNREADABLE.search(cell):
        return Problem.UNREADABLE_TEXT
    return clean_line(re.sub("[\x0b\x0c\x85]", " ", _INVISIBLE.sub("", cell)))


def prose_of(cell: str) -> str | Problem:
    """The cell as text of several lines."""
    if _UNREADABLE.search(cell):
        return Problem.UNREADABLE_TEXT
    return clean(re.sub("[\x0b\x0c\x85]", "\n", _INVISIBLE.sub("", cell)))


_FORMULA = re.compile(
    r"""=                                   # always one in a spreadsheet
      | @\s*\w+\s*[(!|]                     # @SUM(1+1)*cmd|calc
      | [+-]\s*[\w.]+\s*[(!|]               # +cmd|' /C calc'!A0
      | [+-]\s*[$\w.]*\d[\w.]*\s*[-+*/^]    # -2+3, +A1*2
      | [+-]\s*[\d.,]+$                     # -1: a number, but no name""",
    re.VERBOSE,
)


def is_formula(text: str) -> bool:
    """Whether a spreadsheet would calculate it. `@home` and `+A Educação` are names, so the first letter isn't enough."""
    return _FORMULA.match(text) is not None


# --- addresses and phones ---------------------------------------------------------------------------------------------


class Several(NamedTuple):
    """The first of the values in a cell, and whether there were more."""

    first: str
    more: bool


def email_of(text: str) -> Several | Problem:
    """The first address of the cell (`Ana <ana@x.example>; bia@x.example` has two), lower case."""
    parts = [part.strip() for part in re.split(r"[;,|]", text) if part.strip()]
    if not parts or len(text) > 1000:
        return Problem.IMPOSSIBLE_EMAIL
    named = re.fullmatch(r"[^<>]*<([^<>]*)>", parts[0])
    try:
        found = validate_email((named[1] if named else parts[0]).removeprefix("mailto:"), check_deliverability=False)
    except EmailNotValidError:
        return Problem.IMPOSSIBLE_EMAIL
    address = normalised_email(found.normalized)
    return Several(address, more=len(parts) > 1) if len(address) <= 254 else Problem.IMPOSSIBLE_EMAIL


def phone_of(text: str, regions: Sequence[str], *, usual: str | None = None) -> Several | Problem:
    """The first number of the cell in E.164, read as one of the regions' own if it has no country code.

    `usual` is the region that the rest of the column proves: it wins if the number is possible there. Otherwise a region
    where the number is really assigned goes before one where its length merely fits. Numbers that are possible but
    unassigned are kept: numbering plans change faster than libraries, and a customer who can only be phoned must not be
    lost to that.
    """
    parts = [part for part in re.split(r"[/;|,]|\bou\b|\bor\b", text) if re.search(r"\d", part)]
    if not parts or len(text) > 100:
        return Problem.IMPOSSIBLE_PHONE
    readings = []
    for region in dict.fromkeys([usual, *regions] if usual else [*regions, None]):
        number = _number_of(parts[0], region)
        if number is not None:
            readings.append(number)
            if region == usual or parts[0].lstrip().startswith("+"):
                break
    if not readings:
        return Problem.IMPOSSIBLE_PHONE
    best = readings[0] if len(readings) == 1 else max(readings, key=phonenumbers.is_valid_number)
    return Several(phonenumbers.format_number(best, phonenumbers.PhoneNumberFormat.E164), more=len(parts) > 1)


def _number_of(text: str, region: str | None) -> phonenumbers.PhoneNumber | None:
    """The number, if it can be dialled from abroad: one without its area code can't."""
    try:
        number = phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException:
        return None
    if _dialled(number):
        return number
    # What looks like a carrier's prefix is taken off: +55 90 936254638 would lose its 90. Then the digits count as written.
    digits = re.sub(r"\D", "", text)
    if text.lstrip().startswith("+"):
        digits = digits.removeprefix(str(number.country_code))
    if not digits.isascii() or not 0 < len(digits) <= 15 or digits.startswith("0"):
        return None
    written = phonenumbers.PhoneNumber(country_code=number.country_code, national_number=int(digits))
    return written if _dialled(written) else None


def _dialled(number: phonenumbers.PhoneNumber) -> bool:
    """As long as the country's own fixed or mobile numbers with area code are, or known to be assigned."""
    return any(
        phonenumbers.is_possible_number_for_type_with_reason(number, kind) == phonenumbers.ValidationResult.IS_POSSIBLE
        for kind in (phonenumbers.PhoneNumberType.MOBILE, phonenumbers.PhoneNumberType.FIXED_LINE)
    ) or bool(phonenumbers.is_valid_number(number))


def usual_region(phones: Sequence[str]) -> str | None:
    """The country that most numbers with a country code at the top of this column belong to."""
    seen: Counter[str] = Counter()
    for phone in phones[:2000]:
        if phone.lstrip().startswith("+") and len(phone) < 40:
            try:
                number = phonenumbers.parse(phone, None)
            except phonenumbers.NumberParseException:
                continue
            if region := phonenumbers.region_code_for_country_code(number.country_code or 0):
                seen[region] += 1
    found = seen.most_common(1)
    return found[0][0] if found and found[0][0] not in ("ZZ", "001") else None


def zone_region(zone: str) -> str | None:
    """The country of a time zone: BR for America/Sao_Paulo."""
    territory = get_global("zone_territories").get(zone)
    return territory if territory and re.fullmatch("[A-Z]{2}", territory) and territory != "ZZ" else None


CURRENCY_REGIONS = {
    "BRL": "BR",
    "GBP": "GB",
    "USD": "US",
    "CAD": "CA",
    "AUD": "AU",
    "MXN": "MX",
    "CHF": "CH",
    "ARS": "AR",
}


# --- company keys -----------------------------------------------------------------------------------------------------


def tax_key(tax_id: str) -> str | None:
    """A CNPJ whose check digits are right, bare: it names one company. Anything else proves nothing (`00.000.000/0000-00`)."""
    if not CNPJ_LOOK.fullmatch(tax_id):
        return None
    bare = re.sub(r"[^0-9A-Za-z]", "", tax_id).upper()
    worth = [ord(letter) - 48 for letter in bare]
    for end in (12, 13):
        weights = [2 + (end - 1 - index) % 8 for index in range(end)]
        rest = sum(weight * value for weight, value in zip(weights, worth[:end], strict=True)) % 11
        if worth[end] != (0 if rest < 2 else 11 - rest):
            return None
    return bare if len(set(bare)) > 1 else None


# --- languages and zones ----------------------------------------------------------------------------------------------

_LANGUAGE_NAMES = {
    "english": Language.EN, "ingles": Language.EN, "eng": Language.EN,
    "portuguese": Language.PT_BR, "portugues": Language.PT_BR, "brazilian portuguese": Language.PT_BR, "por": Language.PT_BR,
}  # fmt: skip


def language_of(text: str) -> tuple[Language | None, str | None]:
    """The language we have, and the region a tag names: `en-GB` is English and GB, `Português (Brasil)` is pt-BR.

    A language that we don't have is None.
    """
    tag = re.fullmatch(r"(en|pt)(?:[-_]([A-Za-z]{2}))?", text, re.IGNORECASE)
    if tag:
        return (Language.EN if tag[1].lower() == "en" else Language.PT_BR), (tag[2].upper() if tag[2] else None)
    name = re.sub(r"\W+", " ", re.sub(r"\(.*", "", folded(text))).strip()
    for suffix in (" brasil", " brazil", " do brasil", " us", " uk"):
        name = name.removesuffix(suffix)
    return _LANGUAGE_NAMES.get(name), None


@lru_cache(maxsize=1)
def _zones() -> dict[str, str]:
    """Canonical names by their folded spelling, and by their city where only one zone has it."""
    names = [name for name in sorted(available_timezones()) if "/" in name or name in ("UTC", "GMT")]
    cities = Counter(folded(name.rsplit("/")[-1]) for name in names)
    known = {folded(name.rsplit("/")[-1]): name for name in names if cities[folded(name.rsplit("/")[-1])] == 1}
    return known | {folded(name): name for name in names}


def zone_of(text: str) -> str | Problem:
    """An IANA zone: `America/Sao_Paulo`, `america/sao paulo`, `São Paulo`."""
    return _zones().get(folded(text).replace(" ", "_"), Problem.IMPOSSIBLE_ZONE)


# --- dates ------------------------------------------------------------------------------------------------------------


class DateOrder(StrEnum):
    DAY_FIRST = "day_first"
    MONTH_FIRST = "month_first"


_CLOCK = r"(?:(?:[T,]\s*|\s+)\d{1,2}:\d{2}.{0,25})?"
_YEAR_FIRST = re.compile(r"(\d{4})([-/.])(\d{1,2})\2(\d{1,2})" + _CLOCK)
_YEAR_LAST = re.compile(r"(\d{1,2})([-/.])(\d{1,2})\2(\d{4}|\d{2})" + _CLOCK)
EARLIEST_YEAR, LATEST_YEAR = 1970, 2100


@dataclass(frozen=True)
class OrderFound:
    """How a column writes 02/03/2026. None: its rows contradict each other, so what could be either isn't read."""

    order: DateOrder | None
    proven_by: int | None
    """The place in the column of the first row that can be read in no other way; None where nothing proves it."""


# One row in ten that says otherwise makes a column untrustworthy; fewer are slips of the pen.
_SLIPS = 10


def proven_order(dates: Sequence[str]) -> OrderFound | None:
    """What the rows with a day above 12 prove; None if there are none, and nothing to prove."""
    day_first, month_first = [], []
    for place, text in enumerate(dates):
        if (found := _YEAR_LAST.fullmatch(text.strip())) and found[2] != ".":
            first, second = int(found[1]), int(found[3])
            if first > 12 >= second:
                day_first.append(place)
            elif second > 12 >= first:
                month_first.append(place)
    if not day_first and not month_first:
        return None
    if len(day_first) > _SLIPS * len(month_first):
        return OrderFound(DateOrder.DAY_FIRST, day_first[0])
    if len(month_first) > _SLIPS * len(day_first):
        return OrderFound(DateOrder.MONTH_FIRST, month_first[0])
    return OrderFound(None, None)


def date_of(text: str, order: DateOrder | None) -> date | Problem:
    """The day written; a time of day behind it is dropped. `order` None: only what can be read in one way."""
    if found := _YEAR_FIRST.fullmatch(text):
        return _day(int(found[1]), int(found[3]), int(found[4]))
    if not (found := _YEAR_LAST.fullmatch(text)):
        return Problem.IMPOSSIBLE_DATE
    first, second, year = int(found[1]), int(found[3]), int(found[4]) + (2000 if len(found[4]) == 2 else 0)
    if found[2] == ".":  # 02.03.2026 is never written month first
        order = DateOrder.DAY_FIRST
    match order:
        case DateOrder.DAY_FIRST:
            return _day(year, second, first)
        case DateOrder.MONTH_FIRST:
            return _day(year, first, second)
        case None:
            if first <= 12 and second <= 12 and first != second:
                return Problem.AMBIGUOUS_DATE
            return _day(year, second, first) if first > 12 or first == second else _day(year, first, second)


def _day(year: int, month: int, day: int) -> date | Problem:
    try:
        found = date(year, month, day)
    except ValueError:
        return Problem.IMPOSSIBLE_DATE
    return found if EARLIEST_YEAR <= year <= LATEST_YEAR else Problem.IMPOSSIBLE_DATE


# --- prices -----------------------------------------------------------------------------------------------------------

# ISO 4217, the codes that are money today.
CURRENCIES = frozenset(
    """AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BHD BIF BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF CHF CLP CNY
    COP CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GNF GTQ GYD HKD HNL HTG HUF IDR ILS
    INR IQD IRR ISK JMD JOD JPY KES KGS KHR KMF KPW KRW KWD KYD KZT LAK LBP LKR LRD LSL LYD MAD MDL MGA MKD MMK MNT MOP
    MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN PGK PHP PKR PLN PYG QAR RON RSD RUB RWF SAR SBD SCR
    SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TND TOP TRY TTD TWD TZS UAH UGX USD UYU UZS VES VND VUV
    WST XAF XCD XCG XOF XPF YER ZAR ZMW ZWG""".split()
)
_SYMBOLS = {
    "R$": "BRL", "US$": "USD", "U$S": "USD", "CA$": "CAD", "C$": "CAD", "AU$": "AUD", "A$": "AUD", "NZ$": "NZD", "MX$": "MXN",
    "€": "EUR", "£": "GBP",
}  # fmt: skip
_CURRENCY_NAMES = {
    "real": "BRL", "reais": "BRL", "brazilian real": "BRL", "real brasileiro": "BRL", "euro": "EUR", "euros": "EUR",
    "pound": "GBP", "pounds": "GBP", "pound sterling": "GBP", "libra": "GBP", "libras": "GBP", "us dollar": "USD",
    "dolar": "USD", "dolar americano": "USD", "dollar": "USD", "dollars": "USD",
}  # fmt: skip
_DOLLARS = frozenset({"USD", "CAD", "AUD", "NZD", "MXN", "ARS", "CLP", "COP", "UYU", "SGD", "HKD"})


def currency_of(text: str) -> str | Problem:
    """The three letters of a currency written as a code, a symbol or a name."""
    code = text.upper()
    if code in CURRENCIES:
        return code
    return _SYMBOLS.get(code) or _CURRENCY_NAMES.get(folded(text)) or Problem.IMPOSSIBLE_CURRENCY


class Price(NamedTuple):
    amount: Decimal
    """At least 0, two decimals."""
    currency: str
    """Three letters, `$` where the price only says that it is some dollar or peso, empty where it says nothing."""

    def fits(self, currency: str) -> bool:
        return self.currency in ("", currency) or (self.currency == "$" and currency in _DOLLARS)


_PRICE = re.compile(
    r"""(?P<open>\()? \s* (?P<minus>[-−])? \s*
        (?P<before>[A-Za-z]{3}|[A-Za-z]{0,2}\$S?|[€£$])? \s* (?P<minus2>[-−])? \s*
        (?P<number>\d[\d.,'’\s]*?) \s*
        (?P<after>[A-Za-z]{3}|[A-Za-z]{0,2}\$|[€£$])? \s* (?P<close>\))?
        (?: \s* (?:/|per\s|por\s|ao\s) \s* (?:m[eê]s|month|mo|mth) )?""",
    re.VERBOSE | re.IGNORECASE,
)
_LARGEST = Decimal(10) ** 12


def decimal_mark(prices: Iterable[str]) -> str | None:
    """The mark, `,` or `.`, that most prices of the column prove to be the decimal one; None without proof."""
    proofs: Counter[str] = Counter()
    for text in prices:
        number = re.sub(r"[^\d.,]", "", text[:60])
        commas, points = number.count(","), number.count(".")
        if commas and points:
            proofs[max(",", ".", key=number.rfind)] += 1
        elif commas > 1:
            proofs["."] += 1
        elif points > 1:
            proofs[","] += 1
        elif re.search(r"[.,]\d\d?$", number):
            proofs["," if commas else "."] += 1
    if proofs[","] == proofs["."]:
        return None
    return "," if proofs[","] > proofs["."] else "."


def price_of(text: str, mark: str | None) -> Price | Problem:
    """The price written. `1.240` is above a thousand, unless its point is the column's decimal mark: then ambiguous."""
    found = _PRICE.fullmatch(text)
    if not found or bool(found["open"]) != bool(found["close"]) or (found["before"] and found["after"]):
        return Problem.IMPOSSIBLE_PRICE
    sign = found["before"] or found["after"] or ""
    currency = "$" if sign == "$" else (currency_of(sign) if sign else "")
    if isinstance(currency, Problem):
        return Problem.IMPOSSIBLE_PRICE
    amount = _amount(found["number"], mark)
    if isinstance(amount, Problem):
        return amount
    if amount and (found["open"] or found["minus"] or found["minus2"]):
        return Problem.NEGATIVE_PRICE
    return Price(amount, currency) if amount < _LARGEST else Problem.IMPOSSIBLE_PRICE


def _amount(number: str, mark: str | None) -> Decimal | Problem:
    if len(number) > 24:
        return Problem.IMPOSSIBLE_PRICE
    if re.fullmatch(r"\d{1,3}([\s'’]\d{3})+([.,]\d{1,2})?", number):
        number = re.sub(r"[\s'’]", "", number)
    if re.fullmatch(r"\d+([.,]\d{1,2})?", number):
        return Decimal(number.replace(",", ".")).quantize(Decimal("0.01"))
    grouped = re.fullmatch(r"\d{1,3}(?:([.,])\d{3})(?:\1\d{3})*(?:(?!\1)[.,]\d{1,2})?", number)
    if not grouped:
        return Problem.IMPOSSIBLE_PRICE
    thousands = grouped[1]
    if re.fullmatch(r"\d{1,3}[.,]\d{3}", number) and (thousands == mark or number.startswith("0")):
        return Problem.AMBIGUOUS_PRICE
    return Decimal(number.replace(thousands, "").replace(",", ".")).quantize(Decimal("0.01"))
