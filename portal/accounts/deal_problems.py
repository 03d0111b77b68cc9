"""What can be wrong with a file of won deals, or with one row of it: closed vocabularies, each word with what to do.

Files are refused by named errors; a row's problems and cautions are `Finding`s beside its line, so the others go on."""

import re
from dataclasses import dataclass
from enum import StrEnum

from portal.accounts.deal_columns import Field
from portal.errors import N_, Refused

SHOWN_LETTERS = 80


class DealFileRefused(Refused):
    """The whole file can't be taken in."""

    status = 422


class EmptyFile(DealFileRefused):
    def __init__(self) -> None:
        super().__init__(N_("The file is empty. Export the deals again and choose the new file."))


class OnlyHeader(DealFileRefused):
    def __init__(self) -> None:
        super().__init__(N_("The file has column names but no deals. Export it again with the deals that were won."))


class FileTooLarge(DealFileRefused):
    def __init__(self, megabytes: int) -> None:
        super().__init__(
            N_("The file is larger than %(megabytes)s MB. Split it into smaller files and import them one by one."),
            megabytes=megabytes,
        )


class TooManyRows(DealFileRefused):
    def __init__(self, rows: int) -> None:
        super().__init__(
            N_("The file has more than %(rows)s rows. Split it into smaller files and import them one by one."),
            rows=rows,
        )


class SpreadsheetFile(DealFileRefused):
    def __init__(self) -> None:
        super().__init__(
            N_(
                "This is a spreadsheet or an archive, not a CSV file. Open it in your spreadsheet program and save it as CSV."
            )
        )


class NotATable(DealFileRefused):
    def __init__(self) -> None:
        super().__init__(
            N_(
                "We can't find a table in this file. Save it as CSV: one deal a line, the column names in the first line."
            )
        )


class QuotesBroken(DealFileRefused):
    def __init__(self) -> None:
        super().__init__(
            N_("Too many quotation marks in this file are opened and never closed. Export it again as CSV.")
        )


class Undecodable(DealFileRefused):
    def __init__(self, line: int) -> None:
        super().__init__(
            N_("We can't read the letters in line %(line)s. Save the file as “CSV UTF-8” and choose it again."),
            line=line,
        )


class NoHeader(DealFileRefused):
    def __init__(self) -> None:
        super().__init__(
            N_("The first line looks like a deal, not like column names. Add a first line that names the columns.")
        )


class CompanyColumnMissing(DealFileRefused):
    def __init__(self) -> None:
        super().__init__(N_("Which column holds the company's name? Choose one."))


class ReachColumnMissing(DealFileRefused):
    def __init__(self) -> None:
        super().__init__(N_("Which column holds the e-mail address or the phone number? Choose at least one."))


class ColumnTwice(DealFileRefused):
    def __init__(self, first: str, second: str) -> None:
        super().__init__(
            N_("“%(first)s” and “%(second)s” are set to the same meaning. Choose one of them."),
            first=first,
            second=second,
        )


class NoSuchColumn(DealFileRefused):
    def __init__(self, number: int) -> None:
        super().__init__(N_("The file has no column %(number)s. Choose the columns again."), number=number)


class Problem(StrEnum):
    """Why a row can't be taken in."""

    NO_COMPANY = "no_company"
    NOBODY_TO_REACH = "nobody_to_reach"
    IMPOSSIBLE_EMAIL = "impossible_email"
    IMPOSSIBLE_PHONE = "impossible_phone"
    IMPOSSIBLE_DATE = "impossible_date"
    AMBIGUOUS_DATE = "ambiguous_date"
    RENEWAL_BEFORE_SALE = "renewal_before_sale"
    IMPOSSIBLE_PRICE = "impossible_price"
    AMBIGUOUS_PRICE = "ambiguous_price"
    NEGATIVE_PRICE = "negative_price"
    IMPOSSIBLE_CURRENCY = "impossible_currency"
    CURRENCY_MISMATCH = "currency_mismatch"
    IMPOSSIBLE_ZONE = "impossible_zone"
    IMPOSSIBLE_OWNER = "impossible_owner"
    TOO_LONG = "too_long"
    FORMULA = "formula"
    UNREADABLE_TEXT = "unreadable_text"
    WRONG_NUMBER_OF_CELLS = "wrong_number_of_cells"
    UNCLOSED_QUOTE = "unclosed_quote"
    DEAL_ID_TAKEN = "deal_id_taken"


class Caution(StrEnum):
    """The row was taken in, but something of it was set aside or should be looked at."""

    OWNER_LEFT = "owner_left"
    OWNER_UNKNOWN = "owner_unknown"
    OWNER_AMBIGUOUS = "owner_ambiguous"
    PHONE_SET_ASIDE = "phone_set_aside"
    FIRST_OF_SEVERAL = "first_of_several"
    LANGUAGE_UNKNOWN = "language_unknown"
    TEXT_SET_ASIDE = "text_set_aside"
    TEXT_SHORTENED = "text_shortened"
    NO_PRICE = "no_price"
    NO_SALE_DATE = "no_sale_date"
    SALE_IN_FUTURE = "sale_in_future"
    NO_CONTACT_NAME = "no_contact_name"
    SAME_COMPANY_NAME = "same_company_name"
    DEAL_SET_ASIDE = "deal_set_aside"


MESSAGES: dict[Problem | Caution, str] = {
    Problem.NO_COMPANY: N_("There is no company name. Write it in this cell."),
    Problem.NOBODY_TO_REACH: N_("There is neither an e-mail address nor a phone number. Write at least one of them."),
    Problem.IMPOSSIBLE_EMAIL: N_("“%(value)s” can't be an e-mail address. Correct it, such as name@company.example."),
    Problem.IMPOSSIBLE_PHONE: N_(
        "“%(value)s” can't be a phone number. Write it with the country code, such as +55 11 91234-5678."
    ),
    Problem.IMPOSSIBLE_DATE: N_("“%(value)s” isn't a date in the calendar. Write year-month-day, such as 2026-12-31."),
    Problem.AMBIGUOUS_DATE: N_(
        "“%(value)s” can be read in two ways, as day/month and as month/day. Write year-month-day, such as 2026-12-31."
    ),
    Problem.RENEWAL_BEFORE_SALE: N_("The renewal date “%(value)s” is before the sale. Correct one of the two dates."),
    Problem.IMPOSSIBLE_PRICE: N_("“%(value)s” isn't a price. Write a number, such as 1240.00."),
    Problem.AMBIGUOUS_PRICE: N_(
        "“%(value)s” can be read in two ways. Write the price with two decimals and no thousands mark, such as 1240.00."
    ),
    Problem.NEGATIVE_PRICE: N_("The price “%(value)s” is below zero. Write what the customer pays, or 0."),
    Problem.IMPOSSIBLE_CURRENCY: N_("“%(value)s” isn't a currency. Write its three letters, such as BRL, EUR or USD."),
    Problem.CURRENCY_MISMATCH: N_("The price “%(value)s” and the currency column disagree. Correct one of the two."),
    Problem.IMPOSSIBLE_ZONE: N_("“%(value)s” isn't a time zone. Write region/city, such as America/Sao_Paulo."),
    Problem.IMPOSSIBLE_OWNER: N_(
        "“%(value)s” can't be a person's name or address. Correct it, or leave the cell empty: a consultant is then chosen."
    ),
    Problem.TOO_LONG: N_("This text is longer than %(limit)s letters. Shorten it."),
    Problem.FORMULA: N_("“%(value)s” looks like a formula. Write the name itself."),
    Problem.UNREADABLE_TEXT: N_(
        "Some letters in this cell can't be read. Type the text again and save as “CSV UTF-8”."
    ),
    Problem.WRONG_NUMBER_OF_CELLS: N_(
        "This line has %(value)s cells, but there are %(limit)s columns. Look for a missing or an extra separator."
    ),
    Problem.UNCLOSED_QUOTE: N_("A quotation mark in this line is never closed. Close it, or take it out."),
    Problem.DEAL_ID_TAKEN: N_(
        "The deal number “%(value)s” belongs to another company in line %(line)s. Give each deal its own number."
    ),
    Caution.OWNER_LEFT: N_(
        "“%(value)s” no longer works with us. The customer is taken in and another consultant is chosen."
    ),
    Caution.OWNER_UNKNOWN: N_("We don't know “%(value)s”. The customer is taken in and a consultant is chosen."),
    Caution.OWNER_AMBIGUOUS: N_(
        "More than one colleague is called “%(value)s”. The customer is taken in and a consultant is chosen; "
        "an e-mail address would settle it."
    ),
    Caution.PHONE_SET_ASIDE: N_(
        "“%(value)s” can't be a phone number and is left out. The e-mail address is enough to reach the customer."
    ),
    Caution.FIRST_OF_SEVERAL: N_("“%(value)s” holds more than one. The first is taken in."),
    Caution.LANGUAGE_UNKNOWN: N_("We can't write in “%(value)s” yet. The usual language is used."),
    Caution.TEXT_SET_ASIDE: N_("“%(value)s” is too long or looks like a formula and is left out."),
    Caution.TEXT_SHORTENED: N_("This text is longer than %(limit)s letters. Its end is left out."),
    Caution.NO_PRICE: N_("There is no price. The customer is taken in without one."),
    Caution.NO_SALE_DATE: N_("There is no sale date. The customer is taken in without one."),
    Caution.SALE_IN_FUTURE: N_("The sale date “%(value)s” is still to come. Check it."),
    Caution.NO_CONTACT_NAME: N_("There is no contact's name. “%(value)s” stands in for it."),
    Caution.SAME_COMPANY_NAME: N_(
        "Line %(line)s has a company of the same name and mail domain with another deal. "
        "They are taken in as two customers; check whether they are one."
    ),
    Caution.DEAL_SET_ASIDE: N_(
        "The person is added to the customer in line %(line)s. The plan, price or dates in this line differ and are left out."
    ),
}


@dataclass(frozen=True)
class Finding:
    """One thing about one cell. `translate(locale, finding.message, **finding.values)` is the sentence."""

    code: Problem | Caution
    column: str
    """The header as the file spells it; empty where the whole line is meant."""
    field: Field | None = None
    value: str = ""
    """What stands there, shortened and safe to show."""
    line: int | None = None
    """Another line that this one collides with."""
    limit: int | None = None

    @property
    def message(self) -> str:
        return MESSAGES[self.code]

    @property
    def values(self) -> dict[str, str | int]:
        values: dict[str, str | int] = {"column": self.column, "value": self.value}
        if self.line is not None:
            values["line"] = self.line
        if self.limit is not None:
            values["limit"] = self.limit
        return values


_UNSHOWABLE = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff\u200b\u202a-\u202e\u2060\u2066-\u2069\ufeff]+")


def shown(text: str) -> str:
    """The text on one line, without anything a screen or database chokes on, cut to SHOWN_LETTERS."""
    # Cut first: a cell may be megabytes long.
    plain = " ".join(_UNSHOWABLE.sub(" ", text[: SHOWN_LETTERS * 4]).split())
    return plain if len(plain) <= SHOWN_LETTERS else plain[: SHOWN_LETTERS - 1] + "…"
