"""Files of won deals: what each row becomes, which are to be mended and why, and that no file is ever too strange."""

import csv
import io
import re
from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.accounts import deal_problems
from portal.accounts.deal_columns import Confidence, guess_columns
from portal.accounts.deal_files import Row
from portal.accounts.deal_problems import (
    MESSAGES,
    Caution,
    ColumnTwice,
    CompanyColumnMissing,
    DealFileRefused,
    EmptyFile,
    FileTooLarge,
    NoHeader,
    NoSuchColumn,
    NotATable,
    OnlyHeader,
    Problem,
    QuotesBroken,
    ReachColumnMissing,
    SpreadsheetFile,
    TooManyRows,
    Undecodable,
)
from portal.accounts.deal_values import (
    DateOrder,
    currency_of,
    date_of,
    email_of,
    is_formula,
    language_of,
    line_of,
    phone_of,
    price_of,
    tax_key,
    zone_of,
)
from portal.accounts.deals import (
    BadDeal,
    DealReading,
    DuplicateDeal,
    Field,
    GoodDeal,
    KnownConsultant,
    OrderBasis,
    open_deals,
    read_deals,
)
from portal.accounts.rules import Language
from tests.accounts.deal_counts import CONTEXT, counted

DATA = Path(__file__).resolve().parent.parent / "data"
ENGLISH = DATA / "closed_won_deals.csv"
PORTUGUESE = DATA / "negocios_ganhos.csv"


def read(text: str | bytes, **changes: object) -> DealReading:
    raw = text.encode() if isinstance(text, str) else text
    return read_deals(open_deals(raw), replace(CONTEXT, **changes))  # type: ignore[arg-type]


def only(text: str, **changes: object) -> GoodDeal:
    (found,) = read(text, **changes).results
    assert isinstance(found, GoodDeal), found
    return found


def problems(reading: DealReading) -> list[tuple[int, str, Problem | Caution]]:
    """Line, column and code of everything that is to be mended."""
    return [(bad.line, found.column, found.code) for bad in reading.bad for found in bad.problems]


def cautions(reading: DealReading) -> list[tuple[int, str, Problem | Caution]]:
    taken = [*reading.good, *reading.second_contacts]
    return [(deal.line, found.column, found.code) for deal in taken for found in deal.cautions]


# --- the two real files -----------------------------------------------------------------------------------------------


def test_the_english_file_is_read_as_it_is() -> None:
    file = open_deals(ENGLISH)
    assert (file.encoding, file.delimiter, len(file.rows), file.rows[0].line) == ("utf-8", ",", 300, 2)
    assert {column.header: column.field for column in file.columns} == {
        "Deal ID": Field.DEAL_ID,
        "Deal Name": Field.TITLE,
        "Amount": Field.PRICE,
        "Currency": Field.CURRENCY,
        "Close Date": Field.SOLD_ON,
        "Plan": Field.PLAN,
        "Company": Field.COMPANY,
        "First Name": Field.FIRST_NAME,
        "Last Name": Field.LAST_NAME,
        "Email": Field.EMAIL,
        "Phone": Field.PHONE,
        "Deal Owner": Field.CONSULTANT,
        "Language": Field.LANGUAGE,
        "Time Zone": Field.TIME_ZONE,
        "Renewal Date": Field.RENEWS_ON,
        "Interests": Field.INTERESTS,
    }
    assert {column.confidence for column in file.columns} == {Confidence.NAMED}


def test_the_english_files_bad_rows_are_these() -> None:
    reading = read_deals(open_deals(ENGLISH), CONTEXT)
    assert problems(reading) == [
        (19, "Email / Phone", Problem.NOBODY_TO_REACH),
        (22, "Email / Phone", Problem.NOBODY_TO_REACH),
        (42, "Time Zone", Problem.IMPOSSIBLE_ZONE),
        (82, "Currency", Problem.IMPOSSIBLE_CURRENCY),
        (97, "Company", Problem.FORMULA),
        (112, "Close Date", Problem.IMPOSSIBLE_DATE),
        (258, "Email / Phone", Problem.NOBODY_TO_REACH),
        (271, "Email / Phone", Problem.NOBODY_TO_REACH),
    ]
    assert counted(reading) == {
        "BadDeal": 8,
        "DuplicateDeal": 1,
        "GoodDeal": 291,
        "caution same_company_name": 4,
        "problem formula": 1,
        "problem impossible_currency": 1,
        "problem impossible_date": 1,
        "problem impossible_zone": 1,
        "problem nobody_to_reach": 4,
    }
    assert reading.duplicates == (DuplicateDeal(line=62, of_line=12, differing=()),)


def test_the_english_files_namesakes_stay_two_customers_and_are_pointed_out() -> None:
    reading = read_deals(open_deals(ENGLISH), CONTEXT)
    assert [(deal.line, found.line) for deal in reading.good for found in deal.cautions] == [
        (106, 85),
        (201, 34),
        (232, 83),
        (277, 14),
    ]


def test_the_english_files_american_dates_are_proven_by_their_column() -> None:
    reading = read_deals(open_deals(ENGLISH), CONTEXT)
    (order,) = reading.orders
    assert (order.column, order.order, order.basis, order.line) == (
        "Close Date",
        DateOrder.MONTH_FIRST,
        OrderBasis.PROVEN,
        3,
    )
    slashed = {row.line for row in open_deals(ENGLISH).rows if "/" in row.cells[4]}
    assert len(slashed) == 32
    # The file's renewals are a year after the sale to the day, so they say independently what the sale dates mean.
    for deal in reading.good:
        assert deal.sold_on is not None
        assert deal.renews_on == deal.sold_on.replace(year=2027)


def test_the_english_files_phones_are_all_british() -> None:
    reading = read_deals(open_deals(ENGLISH), CONTEXT)
    phones = [contact.phone for deal in reading.good for contact in deal.contacts if contact.phone]
    assert (len(phones), {re.sub(r"\d{6}$", "", phone) for phone in phones}) == (172, {"+447700", "+442079"})


def test_the_english_files_odd_names_arrive_whole() -> None:
    companies = {deal.line: deal.company for deal in read_deals(open_deals(ENGLISH), CONTEXT).good}
    assert companies[72] == 'O\'Brien, Ltd. "The Shop"'
    assert companies[132] == "مخبز النور 🥐"


def test_the_portuguese_file_is_read_as_it_is() -> None:
    file = open_deals(PORTUGUESE)
    assert (file.encoding, file.delimiter, len(file.rows)) == ("windows-1252", ";", 400)
    assert {column.header: column.field for column in file.columns} == {
        "ID": Field.DEAL_ID,
        "Título da oportunidade": Field.TITLE,
        "Empresa": Field.COMPANY,
        "CNPJ": Field.TAX_ID,
        "Pessoa": Field.NAME,
        "Cargo": Field.ROLE,
        "E-mail": Field.EMAIL,
        "Telefone": Field.PHONE,
        "Plano": Field.PLAN,
        "Valor mensal (MRR)": Field.PRICE,
        "Data de fechamento": Field.SOLD_ON,
        "Responsável": Field.CONSULTANT,
        "Origem": Field.SOURCE,
        "Observação": Field.OBSERVATION,
    }


def test_the_portuguese_files_bad_rows_are_these() -> None:
    reading = read_deals(open_deals(PORTUGUESE), CONTEXT)
    assert problems(reading) == [
        (24, "E-mail / Telefone", Problem.NOBODY_TO_REACH),
        (33, "E-mail / Telefone", Problem.NOBODY_TO_REACH),
        (41, "E-mail / Telefone", Problem.NOBODY_TO_REACH),
        (43, "E-mail", Problem.IMPOSSIBLE_EMAIL),
        (63, "E-mail / Telefone", Problem.NOBODY_TO_REACH),
        (65, "Data de fechamento", Problem.IMPOSSIBLE_DATE),
        (68, "E-mail / Telefone", Problem.NOBODY_TO_REACH),
        (80, "Valor mensal (MRR)", Problem.NEGATIVE_PRICE),
        (109, "Empresa", Problem.FORMULA),
        (149, "Pessoa", Problem.TOO_LONG),
        (166, "Empresa", Problem.NO_COMPANY),
        (191, "E-mail / Telefone", Problem.NOBODY_TO_REACH),
        (224, "E-mail / Telefone", Problem.NOBODY_TO_REACH),
        (360, "E-mail / Telefone", Problem.NOBODY_TO_REACH),
        (387, "E-mail / Telefone", Problem.NOBODY_TO_REACH),
    ]
    assert counted(reading) == {
        "BadDeal": 15,
        "DuplicateDeal": 1,
        "GoodDeal": 383,
        "SecondContact": 1,
        "caution deal_set_aside": 1,
        "caution owner_unknown": 1,
        "problem formula": 1,
        "problem impossible_date": 1,
        "problem impossible_email": 1,
        "problem negative_price": 1,
        "problem no_company": 1,
        "problem nobody_to_reach": 9,
        "problem too_long": 1,
    }


def test_the_portuguese_files_lines_are_the_ones_an_editor_shows() -> None:
    lines = PORTUGUESE.read_text(encoding="windows-1252").split("\n")
    for row in open_deals(PORTUGUESE).rows:
        assert lines[row.line - 1].startswith(row.cells[0] + ";")


def test_the_portuguese_files_second_contact_joins_the_customer_with_the_same_company_number() -> None:
    reading = read_deals(open_deals(PORTUGUESE), CONTEXT)
    (customer,) = [deal for deal in reading.good if len(deal.contacts) > 1]
    assert (customer.line, customer.external_id, customer.other_ids) == (17, "10013", ("10999",))
    assert [(contact.line, contact.name, contact.email, contact.primary) for contact in customer.contacts] == [
        (17, "Luana Barros", "luana.barros@mendes.example", True),
        (209, "Nova Colega", "nova.colega@mendes.example", False),
    ]
    assert reading.duplicates == (DuplicateDeal(line=95, of_line=17, differing=()),)
    (second,) = reading.second_contacts
    assert (second.line, second.of_line, second.contact) == (209, 17, customer.contacts[1])
    (caution,) = second.cautions
    assert (caution.code, caution.value) == (
        Caution.DEAL_SET_ASIDE,
        "Plano, Valor mensal (MRR), Data de fechamento",
    )


def test_companies_that_share_a_name_but_not_a_number_stay_apart() -> None:
    reading = read_deals(open_deals(PORTUGUESE), CONTEXT)
    assert [(deal.line, deal.tax_id) for deal in reading.good if deal.company == "Casa Grande"] == [
        (4, "38.156.350/0001-14"),
        (19, "59.862.317/0001-80"),
        (437, "25.479.283/0001-27"),
    ]


def test_the_portuguese_files_first_row_in_full() -> None:
    deal = read_deals(open_deals(PORTUGUESE), CONTEXT).good[0]
    assert (deal.external_id, deal.company, deal.tax_id, deal.plan) == (
        "10001",
        "Cassiano",
        "80.592.042/0001-06",
        "Profissional",
    )
    assert (deal.mrr, deal.currency, deal.sold_on, deal.renews_on) == (
        Decimal("240.00"),
        "BRL",
        date(2026, 8, 11),
        None,
    )
    assert (deal.consultant_email, deal.source, deal.observation) == ("caio@onward.example", "Indicação", "")
    (contact,) = deal.contacts
    assert (contact.name, contact.email, contact.phone, contact.role) == (
        "Ana Julia Barbosa",
        None,
        "+5579925426991",
        "Analista",
    )
    # The company is English; the file, its phones and so its customers are Brazilian.
    assert (contact.language, contact.time_zone) == (Language.PT_BR, "America/Sao_Paulo")


def test_the_portuguese_files_three_spellings_of_phones_are_one() -> None:
    reading = read_deals(open_deals(PORTUGUESE), CONTEXT)
    phones = [contact.phone for deal in reading.good for contact in deal.contacts if contact.phone]
    assert {bool(re.fullmatch(r"\+55\d{11}", phone)) for phone in phones} == {True}
    raw = {row.line: row.cells[7] for row in open_deals(PORTUGUESE).rows}
    assert [raw[2], raw[3], raw[5]] == ["+55 79 925426991", "(18) 93028-4657", "42920986393"]
    assert [deal.contacts[0].phone for deal in reading.good[:4]] == [
        "+5579925426991",
        "+5518930284657",
        "+5550939612688",
        "+5542920986393",
    ]


def test_a_line_break_inside_a_cell_stays_in_the_observation() -> None:
    deals = {deal.line: deal for deal in read_deals(open_deals(PORTUGUESE), CONTEXT).good}
    assert deals[7].observation == "Pediu contato por WhatsApp\nde manhã"
    assert deals[4].observation == '"Urgente"'


@pytest.mark.parametrize(("file", "customers"), [(ENGLISH, 291), (PORTUGUESE, 383)])
def test_without_any_staff_every_customer_still_arrives(file: Path, customers: int) -> None:
    reading = read_deals(open_deals(file), replace(CONTEXT, consultants=()))
    assert len(reading.good) == customers
    assert {deal.consultant_email for deal in reading.good} == {None}


@pytest.mark.parametrize("file", [ENGLISH, PORTUGUESE])
def test_the_same_file_again_gives_the_same_keys_and_fingerprints(file: Path) -> None:
    first, again = (read_deals(open_deals(file), CONTEXT).good for _ in range(2))
    assert [(deal.external_id, deal.fingerprint) for deal in first] == [
        (deal.external_id, deal.fingerprint) for deal in again
    ]
    assert len({deal.external_id for deal in first}) == len(first)


def test_a_mended_file_adds_only_the_mended_rows() -> None:
    text = ENGLISH.read_text(encoding="utf-8-sig")
    mended = (
        text.replace("Mars/Olympus", "Europe/Lisbon").replace(",ZZZ,", ",EUR,").replace(",tomorrow,", ",2026-11-09,")
    )
    mended = "\n".join(line for line in mended.splitlines() if not line.startswith("D-5001,"))  # and lines have moved
    before = {deal.external_id: deal.fingerprint for deal in read(text).good}
    after = {deal.external_id: deal.fingerprint for deal in read(mended).good}
    assert set(after) - set(before) == {"D-5041", "D-5081", "D-5111"}
    assert {key for key in after if key in before and after[key] != before[key]} == set()


# --- encodings, delimiters, lines -------------------------------------------------------------------------------------

SMALL = "Company,Email,Notes\nPadaria São João,ana@padaria.example,“olá”\n"


@pytest.mark.parametrize(
    ("raw", "encoding"),
    [
        (SMALL.encode("utf-8"), "utf-8"),
        (SMALL.encode("utf-8-sig"), "utf-8"),
        (SMALL.encode("utf-16"), "utf-16"),
        (b"\xfe\xff" + SMALL.encode("utf-16-be"), "utf-16"),
        (SMALL.encode("utf-32"), "utf-32"),
        (SMALL.encode("windows-1252"), "windows-1252"),
    ],
)
def test_each_encoding_gives_the_same_words(raw: bytes, encoding: str) -> None:
    file = open_deals(raw)
    assert file.encoding == encoding
    (deal,) = read_deals(file, CONTEXT).good
    assert (deal.company, deal.observation) == ("Padaria São João", "“olá”")


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_each_delimiter_is_found_even_among_the_others(delimiter: str) -> None:
    line = delimiter.join
    text = "\n".join(
        [
            line(["Company", "Email", "Interests"]),
            line(['"Silva, Souza; Filhos"', "ana@silva.example", '"a,b,c"']),
            line(["Casa", "b@casa.example", "d"]),
        ]
    )
    file = open_deals(text.encode())
    assert (file.delimiter, file.rows[0].cells[0]) == (delimiter, "Silva, Souza; Filhos")


def test_excels_own_delimiter_line_is_obeyed_and_counted() -> None:
    file = open_deals(b"sep=|\nCompany|Email\nA|a@a.example\n")
    assert (file.delimiter, file.rows) == ("|", (Row(3, ("A", "a@a.example")),))


def test_a_path_and_an_open_file_are_read_like_bytes() -> None:
    raw = ENGLISH.read_bytes()
    with ENGLISH.open("rb") as opened:
        assert open_deals(ENGLISH) == open_deals(raw) == open_deals(opened)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_lines_are_counted_through_breaks_in_cells_and_blank_lines(end: str) -> None:
    text = end.join(["Company,Email,Notes", 'A,a@a.example,"one', "", 'three"', "", ",,", "B,b@b.example,x"])
    assert [(row.line, row.cells[0]) for row in open_deals(text.encode()).rows] == [(2, "A"), (7, "B")]


def test_an_unclosed_quote_costs_its_own_line_only() -> None:
    text = 'Company,Email,Notes\nA,a@a.example,"oops\nB,b@b.example,fine\nC,c@c.example,"two\nlines"\nD,d@d.example,\n'
    reading = read(text)
    assert problems(reading) == [(2, "", Problem.UNCLOSED_QUOTE)]
    assert [deal.line for deal in reading.good] == [3, 4, 6]


def test_an_unclosed_quote_that_a_later_quote_seems_to_close_costs_its_own_line_only() -> None:
    text = 'Company,Email,Notes\nA,a@a.example,"oops\nB,b@b.example,"fine"\nC,c@c.example,x\n'
    reading = read(text)
    assert problems(reading) == [(2, "", Problem.UNCLOSED_QUOTE)]
    assert [deal.line for deal in reading.good] == [3, 4]


def test_a_wrong_number_of_cells_is_told() -> None:
    reading = read("Company,Email,Notes\nA,a@a.example\nB,b@b.example,x,,\nC,c@c.example,x,y\n")
    assert problems(reading) == [(2, "", Problem.WRONG_NUMBER_OF_CELLS), (4, "", Problem.WRONG_NUMBER_OF_CELLS)]
    assert reading.bad[0].problems[0].values == {"column": "", "value": "2", "limit": 3}
    assert reading.bad[0].cells == ("A", "a@a.example")


def test_a_few_broken_bytes_cost_their_row_only() -> None:
    raw = "Empresa,E-mail\nPão,a@a.example\nAçaí,b@b.example\nX".encode() + b"\xff,c@c.example\n"
    reading = read(raw)
    assert problems(reading) == [(4, "Empresa", Problem.UNREADABLE_TEXT)]
    assert [deal.company for deal in reading.good] == ["Pão", "Açaí"]


@pytest.mark.parametrize(
    ("raw", "refusal"),
    [
        (b"", EmptyFile),
        (b" \r\n\n ", EmptyFile),
        (b"\xef\xbb\xbf", EmptyFile),
        (b"\xff\xfe", EmptyFile),
        (b"sep=;\n", EmptyFile),
        (b"Company,Email\n", OnlyHeader),
        (b"Company,Email\n,\n\n", OnlyHeader),
        (b"PK\x03\x04 a workbook", SpreadsheetFile),
        (b"\xd0\xcf\x11\xe0 an old workbook", SpreadsheetFile),
        (b"%PDF-1.7", NotATable),
        (b"<html><table>", NotATable),
        (b"just words", NotATable),
        (bytes(range(32)) * 40, NotATable),
        (b"Acme,ana@acme.example,2026-01-01\n", NoHeader),
        (b"Company,Email\nA\x81\x8d,a@a.example\n", Undecodable),
        (b"\xff\xfea\x00,\x00b\x00\n\x00\x00\xd8a", Undecodable),
        (b"Company,Email\n" + b"A,a@a.example\n" * 50_001, TooManyRows),
        (b"Company,Email\n" + b"\n" * 3_000_000, TooManyRows),
        (b"a," * 1000 + b"\n1,2", NotATable),
        (b"ID,Company,Email\n" + (b'x","' + b"y" * 390 + b"\n") * 3000, QuotesBroken),
        (b"x" * (20 * 1024 * 1024 + 1), FileTooLarge),
    ],
    ids=str,
)
def test_what_is_no_file_of_deals_is_refused_by_name(raw: bytes, refusal: type[DealFileRefused]) -> None:
    with pytest.raises(refusal) as refused:
        open_deals(raw)
    assert type(refused.value) is refusal
    assert "%(" not in str(refused.value)


def test_a_huge_file_is_refused_without_being_read() -> None:
    class Endless(io.RawIOBase):
        given = 0

        def read(self, size: int = -1) -> bytes:
            assert size >= 0
            self.given += min(size, 1 << 20)
            return b"x" * min(size, 1 << 20)

    source = Endless()
    with pytest.raises(FileTooLarge):
        open_deals(source)  # type: ignore[arg-type]
    assert source.given == 20 * 1024 * 1024 + 1


# --- columns ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("header", "field", "confidence"),
    [
        ("E-MAIL", Field.EMAIL, Confidence.NAMED),
        ("emailAddress", Field.EMAIL, Confidence.NAMED),
        ("Razão Social", Field.COMPANY, Confidence.NAMED),
        ("Account Name", Field.COMPANY, Confidence.NAMED),
        ("Opportunity Name", Field.TITLE, Confidence.NAMED),
        ("Data da Venda", Field.SOLD_ON, Confidence.NAMED),
        ("close_date", Field.SOLD_ON, Confidence.NAMED),
        ("Fuso horário", Field.TIME_ZONE, Confidence.NAMED),
        ("Celular", Field.PHONE, Confidence.NAMED),
        ("E-mail do responsável", Field.CONSULTANT, Confidence.LIKELY),
        ("Primary e-mail of the contact", Field.EMAIL, Confidence.LIKELY),
        ("Zodiac sign", None, Confidence.NONE),
    ],
)
def test_columns_are_known_by_their_names(header: str, field: Field | None, confidence: Confidence) -> None:
    (column,) = guess_columns([header], [])
    assert (column.field, column.confidence) == (field, confidence)


def test_columns_are_known_by_what_stands_in_them() -> None:
    text = "Firma;Kunde;Ruf;Ort;Am;Wert\n" + "\n".join(
        f"Haus {n};k{n}@haus.example;+49 30 901820;Europe/Berlin;{n}.02.2026;{n}0,00 €" for n in range(1, 9)
    )
    assert {column.header: (column.field, column.confidence) for column in open_deals(text.encode()).columns} == {
        "Firma": (None, Confidence.NONE),
        "Kunde": (Field.EMAIL, Confidence.GUESSED),
        "Ruf": (Field.PHONE, Confidence.GUESSED),
        "Ort": (Field.TIME_ZONE, Confidence.GUESSED),
        "Am": (Field.SOLD_ON, Confidence.GUESSED),
        "Wert": (Field.PRICE, Confidence.GUESSED),
    }


def test_a_contact_column_full_of_addresses_is_the_address() -> None:
    text = "Company,Contact\nA,a@a.example\nB,b@b.example\n"
    assert open_deals(text.encode()).mapping == {0: Field.COMPANY, 1: Field.EMAIL}


def test_the_person_can_correct_the_mapping() -> None:
    file = open_deals(b"Firma,Wer,Email\nHaus,Ana,a@a.example\n")
    with pytest.raises(CompanyColumnMissing):
        read_deals(file, CONTEXT)
    (deal,) = read_deals(file, CONTEXT, mapping={0: Field.COMPANY, 1: Field.NAME, 2: Field.EMAIL}).good
    assert (deal.company, deal.contacts[0].name) == ("Haus", "Ana")


def test_a_mapping_that_cannot_be_is_refused() -> None:
    file = open_deals(b"Company,Email\nA,a@a.example\n")
    with pytest.raises(ReachColumnMissing):
        read_deals(file, CONTEXT, mapping={0: Field.COMPANY})
    with pytest.raises(ColumnTwice):
        read_deals(file, CONTEXT, mapping={0: Field.COMPANY, 1: Field.COMPANY})
    with pytest.raises(NoSuchColumn):
        read_deals(file, CONTEXT, mapping={0: Field.COMPANY, 2: Field.EMAIL})


# --- values -----------------------------------------------------------------------------------------------------------

DAY, MONTH = DateOrder.DAY_FIRST, DateOrder.MONTH_FIRST


@pytest.mark.parametrize(
    ("text", "order", "found"),
    [
        ("2026-09-02", None, date(2026, 9, 2)),
        ("2026-09-02T10:30:00Z", None, date(2026, 9, 2)),
        ("2026-09-02 10:30", None, date(2026, 9, 2)),
        ("2026/9/2", None, date(2026, 9, 2)),
        ("02/09/2026", DAY, date(2026, 9, 2)),
        ("02/09/2026", MONTH, date(2026, 2, 9)),
        ("02/09/2026", None, Problem.AMBIGUOUS_DATE),
        ("09/17/2026 00:00", None, date(2026, 9, 17)),
        ("09/09/2026", None, date(2026, 9, 9)),
        ("02.09.2026", MONTH, date(2026, 9, 2)),
        ("2/9/26", DAY, date(2026, 9, 2)),
        ("29/02/2028", DAY, date(2028, 2, 29)),
        ("29/02/2026", DAY, Problem.IMPOSSIBLE_DATE),
        ("31/02/2026", DAY, Problem.IMPOSSIBLE_DATE),
        ("13/13/2026", None, Problem.IMPOSSIBLE_DATE),
        ("17/09/2026", MONTH, Problem.IMPOSSIBLE_DATE),
        ("tomorrow", DAY, Problem.IMPOSSIBLE_DATE),
        ("0001-01-01", None, Problem.IMPOSSIBLE_DATE),
        ("9999-12-31", None, Problem.IMPOSSIBLE_DATE),
        ("2026-09-02abc", None, Problem.IMPOSSIBLE_DATE),
    ],
)
def test_dates(text: str, order: DateOrder | None, found: date | Problem) -> None:
    assert date_of(text, order) == found


def dated(*days: str, header: str = "Close Date", **changes: object) -> DealReading:
    rows = "".join(f"C{n},c{n}@c.example,{day}\n" for n, day in enumerate(days))
    return read(f"Company,Email,{header}\n{rows}", **changes)


def sold(reading: DealReading) -> list[date | None]:
    return [deal.sold_on for deal in reading.good]


def test_one_day_above_twelve_proves_the_whole_column() -> None:
    assert sold(dated("02/03/2026", "25/03/2026")) == [date(2026, 3, 2), date(2026, 3, 25)]
    assert sold(dated("02/03/2026", "03/25/2026")) == [date(2026, 2, 3), date(2026, 3, 25)]


def test_an_ambiguous_column_follows_the_preference_then_the_language_of_the_headers() -> None:
    assert sold(dated("02/03/2026")) == [date(2026, 2, 3)]
    assert sold(dated("02/03/2026", date_order=DAY)) == [date(2026, 3, 2)]
    assert sold(read("Empresa,E-mail,Fechamento\nA,a@a.example,02/03/2026\n")) == [date(2026, 3, 2)]
    assert [dated("02/03/2026").orders[0].basis, dated("02/03/2026", date_order=DAY).orders[0].basis] == [
        OrderBasis.LANGUAGE,
        OrderBasis.PREFERRED,
    ]


def test_a_proven_column_is_not_overruled_by_the_preference() -> None:
    assert sold(dated("02/03/2026", "25/03/2026", date_order=MONTH)) == [date(2026, 3, 2), date(2026, 3, 25)]


def test_a_column_that_contradicts_itself_is_not_guessed() -> None:
    reading = dated("02/03/2026", "25/03/2026", "03/25/2026", "04/04/2026")
    assert problems(reading) == [(2, "Close Date", Problem.AMBIGUOUS_DATE)]
    assert sold(reading) == [date(2026, 3, 25), date(2026, 3, 25), date(2026, 4, 4)]
    assert reading.orders[0].basis is OrderBasis.CONTRADICTED


def test_one_slip_in_a_long_column_is_a_bad_row_and_not_a_reason_to_doubt_the_others() -> None:
    reading = dated(*["25/03/2026"] * 20, "02/03/2026", "02/13/2026")
    assert problems(reading) == [(23, "Close Date", Problem.IMPOSSIBLE_DATE)]
    assert sold(reading)[-1] == date(2026, 3, 2)


def test_one_date_column_proves_the_other() -> None:
    text = "Company,Email,Close Date,Renewal Date\nA,a@a.example,02/03/2026,25/03/2027\n"
    assert only(text).sold_on == date(2026, 3, 2)


def test_a_renewal_before_the_sale_is_to_be_mended() -> None:
    text = "Company,Email,Close Date,Renewal Date\nA,a@a.example,2026-03-02,2026-03-01\n"
    assert problems(read(text)) == [(2, "Renewal Date", Problem.RENEWAL_BEFORE_SALE)]


def test_a_sale_still_to_come_or_undated_is_taken_in_with_a_word() -> None:
    assert cautions(dated("2026-11-23", "-", "2026-11-22")) == [
        (2, "Close Date", Caution.SALE_IN_FUTURE),
        (3, "Close Date", Caution.NO_SALE_DATE),
    ]


@pytest.mark.parametrize(
    ("text", "amount", "currency"),
    [
        ("9,800.50", "9800.50", ""),
        ("1.240,00", "1240.00", ""),
        ("R$ 1.240,00", "1240.00", "BRL"),
        ("R$\u00a01.240,00", "1240.00", "BRL"),
        ("€ 250", "250.00", "EUR"),
        ("250 €", "250.00", "EUR"),
        ("US$ 99", "99.00", "USD"),
        ("$99.5", "99.50", "$"),
        ("£1,190.00", "1190.00", "GBP"),
        ("BRL 99", "99.00", "BRL"),
        ("99 eur", "99.00", "EUR"),
        ("1240", "1240.00", ""),
        ("1.240", "1240.00", ""),
        ("1,240", "1240.00", ""),
        ("1 240,50", "1240.50", ""),
        ("1'240.50", "1240.50", ""),
        ("12.345.678,90", "12345678.90", ""),
        ("R$ 99,00/mês", "99.00", "BRL"),
        ("0", "0.00", ""),
        ("-0,00", "0.00", ""),
    ],
)
def test_prices(text: str, amount: str, currency: str) -> None:
    assert price_of(text, None) == (Decimal(amount), currency)


@pytest.mark.parametrize(
    ("text", "mark", "problem"),
    [
        ("R$ -120,00", None, Problem.NEGATIVE_PRICE),
        ("-R$ 120,00", None, Problem.NEGATIVE_PRICE),
        ("(120.00)", None, Problem.NEGATIVE_PRICE),
        ("−5", None, Problem.NEGATIVE_PRICE),
        ("1.240", ".", Problem.AMBIGUOUS_PRICE),
        ("0.125", None, Problem.AMBIGUOUS_PRICE),
        ("free", None, Problem.IMPOSSIBLE_PRICE),
        ("1.2.3", None, Problem.IMPOSSIBLE_PRICE),
        ("12,34,56", None, Problem.IMPOSSIBLE_PRICE),
        ("1,240.505", None, Problem.IMPOSSIBLE_PRICE),
        ("12 34", None, Problem.IMPOSSIBLE_PRICE),
        ("1e9", None, Problem.IMPOSSIBLE_PRICE),
        ("NaN", None, Problem.IMPOSSIBLE_PRICE),
        ("ABC 5", None, Problem.IMPOSSIBLE_PRICE),
        ("9" * 13, None, Problem.IMPOSSIBLE_PRICE),
        ("9" * 400, None, Problem.IMPOSSIBLE_PRICE),
    ],
)
def test_prices_that_are_none(text: str, mark: str | None, problem: Problem) -> None:
    assert price_of(text, mark) == problem


def test_the_currency_comes_from_its_column_then_the_symbol_then_the_house() -> None:
    header = "Company,Email,Amount,Currency\n"
    assert only(header + "A,a@a.example,99.00,gbp\n").currency == "GBP"
    assert only(header + "A,a@a.example,$99.00,CAD\n").currency == "CAD"
    assert only(header + "A,a@a.example,R$ 99,\n").currency == "BRL"
    assert only(header + "A,a@a.example,$99,\n").currency == "USD"
    assert only(header + "A,a@a.example,99,\n").currency == "EUR"
    assert problems(read(header + "A,a@a.example,R$ 99,USD\n")) == [(2, "Amount / Currency", Problem.CURRENCY_MISMATCH)]


def test_a_row_without_a_price_has_none_rather_than_zero() -> None:
    reading = read("Company,Email,Amount\nA,a@a.example,\n")
    assert [(deal.mrr, deal.currency) for deal in reading.good] == [(None, "")]
    assert cautions(reading) == [(2, "Amount", Caution.NO_PRICE)]


@pytest.mark.parametrize(
    ("text", "found"),
    [("brl", "BRL"), ("R$", "BRL"), ("€", "EUR"), ("Reais", "BRL"), ("ZZZ", None), ("XXX", None), ("12", None)],
)
def test_currencies(text: str, found: str | None) -> None:
    assert currency_of(text) == (found or Problem.IMPOSSIBLE_CURRENCY)


@pytest.mark.parametrize(
    ("text", "regions", "usual", "found"),
    [
        ("+55 79 925426991", ["GB"], None, "+5579925426991"),
        ("(18) 93028-4657", ["BR"], None, "+5518930284657"),
        ("42920986393", ["BR"], None, "+5542920986393"),
        ("07700 900229", ["BR", "US"], "GB", "+447700900229"),
        ("020 7946 0718", ["BR", "GB"], None, "+442079460718"),
        ("tel: +44 20 7946 0718", [], None, "+442079460718"),
        ("(11) 98486-2148 / (11) 3333-4444", ["BR"], None, "+5511984862148"),
        ("+55 90 936254638", ["BR"], None, "+5590936254638"),
        ("90935717448", ["BR"], None, "+5590935717448"),
        ("55914921421", ["BR"], None, "+5555914921421"),
        ("3333-4444", ["BR"], None, None),
        ("07700 900229", [], None, None),
        ("123", ["BR"], None, None),
        ("ligar de manhã", ["BR"], None, None),
        ("9" * 200, ["BR"], None, None),
    ],
)
def test_phones(text: str, regions: list[str], usual: str | None, found: str | None) -> None:
    phone = phone_of(text, regions, usual=usual)
    assert (None if isinstance(phone, Problem) else phone.first) == found


def test_a_valid_company_number_says_that_the_phone_is_brazilian() -> None:
    text = "Company,Tax ID,Phone\nA,17.746.529/0001-51,(11) 98486-2148\n"
    assert only(text).contacts[0].phone == "+5511984862148"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Ana@Padaria.Example", "ana@padaria.example"),
        ("mailto:ana@padaria.example", "ana@padaria.example"),
        ("Ana Souza <ana@padaria.example>", "ana@padaria.example"),
        ("ana@padaria.example; bia@padaria.example", "ana@padaria.example"),
        ("maria@@padaria.example", None),
        ("maria silva@padaria.example", None),
        ("maria@padaria", None),
        ("maria", None),
        ("@padaria.example", None),
        ("a@b.example\r\nBcc: c@d.example", None),
        ("a" * 300 + "@padaria.example", None),
    ],
)
def test_addresses(text: str, found: str | None) -> None:
    address = email_of(text)
    assert (None if isinstance(address, Problem) else address.first) == found


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("pt-BR", (Language.PT_BR, "BR")),
        ("pt_br", (Language.PT_BR, "BR")),
        ("en-GB", (Language.EN, "GB")),
        ("EN", (Language.EN, None)),
        ("Português", (Language.PT_BR, None)),
        ("Português (Brasil)", (Language.PT_BR, None)),
        ("inglês", (Language.EN, None)),
        ("English", (Language.EN, None)),
        ("fr", (None, None)),
        ("klingon", (None, None)),
    ],
)
def test_languages(text: str, found: tuple[Language | None, str | None]) -> None:
    assert language_of(text) == found


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("America/Sao_Paulo", "America/Sao_Paulo"),
        ("america/sao paulo", "America/Sao_Paulo"),
        ("São Paulo", "America/Sao_Paulo"),
        ("UTC", "UTC"),
        ("Mars/Olympus", None),
        ("../../etc/passwd", None),
        ("localtime", None),
        ("Factory", None),
    ],
)
def test_zones(text: str, found: str | None) -> None:
    assert zone_of(text) == (found or Problem.IMPOSSIBLE_ZONE)


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("17.746.529/0001-51", "17746529000151"),
        ("17746529000151", "17746529000151"),
        ("12.ABC.345/01DE-35", "12ABC34501DE35"),
        ("17.746.529/0001-52", None),
        ("00.000.000/0000-00", None),
        ("GB123456789", None),
        ("", None),
    ],
)
def test_only_a_right_company_number_names_a_company(text: str, key: str | None) -> None:
    assert tax_key(text) == key


@pytest.mark.parametrize(
    "text",
    ["=1+1", '=HYPERLINK("http://x.example","oi")', "@SUM(1+1)*cmd|calc", "+cmd|' /C calc'!A0", "-2+3", "-1", "+A1*2"],
)
def test_formulas_are_no_names(text: str) -> None:
    assert is_formula(text)
    assert problems(read(f'Company,Email\n"{text.replace(chr(34), chr(34) * 2)}",a@a.example\n')) == [
        (2, "Company", Problem.FORMULA)
    ]


@pytest.mark.parametrize("text", ["@home", "+A Educação", "-Z- Studio", "A = B", "@ Casa", "+Mais Saúde & Cia"])
def test_names_that_only_begin_like_a_formula_are_names(text: str) -> None:
    assert only(f"Company,Email\n{text},a@a.example\n").company == text


def test_text_is_tidied_and_what_cannot_be_read_is_refused() -> None:
    assert line_of("  Jose\u0301\u00a0 da\tSilva\x07 ") == "José da Silva"
    assert line_of("abc\u202edef\u2066\ufeff") == "abcdef"
    assert line_of("👩‍🍳 مخبز\u200f") == "👩‍🍳 مخبز\u200f"
    assert line_of("a\x00b") == Problem.UNREADABLE_TEXT
    assert line_of("a\ud800b") == Problem.UNREADABLE_TEXT


def test_a_nul_in_a_name_is_that_rows_problem() -> None:
    assert problems(read("Company,Email\nA\0B,a@a.example\nC,c@c.example\n")) == [
        (2, "Company", Problem.UNREADABLE_TEXT)
    ]


def test_a_company_of_invisible_letters_has_no_name() -> None:
    assert problems(read("Company,Email\n\u200b\u202e,a@a.example\n")) == [(2, "Company", Problem.NO_COMPANY)]


# --- people -----------------------------------------------------------------------------------------------------------


def test_a_wrong_phone_beside_a_good_address_is_set_aside() -> None:
    reading = read("Company,Email,Phone\nA,a@a.example,12\nB,,12\nC,c@@c.example,+44 20 7946 0718\n")
    assert cautions(reading) == [(2, "Phone", Caution.PHONE_SET_ASIDE)]
    assert problems(reading) == [(3, "Phone", Problem.IMPOSSIBLE_PHONE), (4, "Email", Problem.IMPOSSIBLE_EMAIL)]


def test_a_contact_without_a_name_is_called_by_the_address() -> None:
    reading = read("Company,Email,Name\nA,a@a.example,\n")
    assert reading.good[0].contacts[0].name == "a@a.example"
    assert cautions(reading) == [(2, "Name", Caution.NO_CONTACT_NAME)]


def owned(owner: str, *consultants: KnownConsultant) -> tuple[str | None, list[tuple[int, str, Problem | Caution]]]:
    reading = read(f'Company,Email,Owner\nA,a@a.example,"{owner}"\n', consultants=consultants)
    return (reading.good[0].consultant_email if reading.good else None), cautions(reading) + problems(reading)


def test_owners_are_known_by_address_and_by_name() -> None:
    carla = KnownConsultant("carla@onward.example", "Cárla Nogueira")
    assert owned("Carla@onward.example", carla) == ("carla@onward.example", [])
    assert owned("carla nogueira", carla) == ("carla@onward.example", [])
    assert owned("Carla Nogueira <carla@onward.example>", carla) == ("carla@onward.example", [])
    assert owned("", carla) == (None, [])


def test_an_owner_who_is_not_ours_costs_a_word_but_not_the_customer() -> None:
    left = KnownConsultant("bea@onward.example", "Bea", active=False)
    twins = (KnownConsultant("a1@onward.example", "Ana"), KnownConsultant("a2@onward.example", "Ana"))
    assert owned("bea@onward.example", left) == (None, [(2, "Owner", Caution.OWNER_LEFT)])
    assert owned("Somebody", left) == (None, [(2, "Owner", Caution.OWNER_UNKNOWN)])
    assert owned("Ana", *twins) == (None, [(2, "Owner", Caution.OWNER_AMBIGUOUS)])


@pytest.mark.parametrize("owner", ["bea@@onward.example", "=1+1", "x" * 201])
def test_an_owner_cell_that_is_nobody_is_to_be_mended(owner: str) -> None:
    assert owned(owner) == (None, [(2, "Owner", Problem.IMPOSSIBLE_OWNER)])


def test_an_unknown_language_is_replaced_by_the_usual_one() -> None:
    reading = read("Company,Email,Language\nA,a@a.example,Klingon\n", language=Language.PT_BR)
    assert reading.good[0].contacts[0].language is Language.PT_BR
    assert cautions(reading) == [(2, "Language", Caution.LANGUAGE_UNKNOWN)]


def test_interests_are_split_and_each_kept_once() -> None:
    text = 'Company,Email,Interests\nA,a@a.example,"reports; Mobile|reports, api,,=1+1"\n'
    assert only(text).interests == ("reports", "Mobile", "api")
    assert cautions(read(text)) == [(2, "Interests", Caution.TEXT_SET_ASIDE)]


def test_every_problem_of_a_row_is_told_at_once() -> None:
    reading = read("Company,Email,Amount,Close Date\n,x@@x.example,-5,never\n")
    assert problems(reading) == [
        (2, "Company", Problem.NO_COMPANY),
        (2, "Amount", Problem.NEGATIVE_PRICE),
        (2, "Close Date", Problem.IMPOSSIBLE_DATE),
        (2, "Email", Problem.IMPOSSIBLE_EMAIL),
    ]


# --- rows that belong together ----------------------------------------------------------------------------------------


def kinds(reading: DealReading) -> list[str]:
    return [type(result).__name__ for result in reading.results]


def test_the_same_deal_number_with_another_person_is_a_second_contact() -> None:
    reading = read("ID,Company,Email\n1,A,a@a.example\n1,A,b@a.example\n1,A,A@a.example\n")
    assert kinds(reading) == ["GoodDeal", "SecondContact", "DuplicateDeal"]
    assert [contact.email for contact in reading.good[0].contacts] == ["a@a.example", "b@a.example"]
    assert reading.duplicates[0].differing == ("Email",)


def test_the_same_deal_number_at_another_company_is_to_be_mended() -> None:
    reading = read("ID,Company,Email\n1,A,a@a.example\n1,B,b@b.example\n")
    assert problems(reading) == [(3, "ID", Problem.DEAL_ID_TAKEN)]
    assert reading.bad[0].problems[0].line == 2


def test_a_deal_again_with_another_price_is_told_with_what_differs() -> None:
    reading = read("ID,Company,Email,Amount\n1,A,a@a.example,10\n1,A,a@a.example,20\n2,A,a@a.example,30\n")
    assert kinds(reading) == ["GoodDeal", "DuplicateDeal", "DuplicateDeal"]
    assert [found.differing for found in reading.duplicates] == [("Amount",), ("ID", "Amount")]
    assert reading.good[0].mrr == Decimal("10.00")


def test_without_numbers_the_same_deal_with_another_person_is_a_second_contact() -> None:
    text = "Company,Email,Plan,Amount,Close Date\nA,a@a.example,Pro,10,2026-01-02\nA,b@a.example,Pro,10,2026-01-02\n"
    assert kinds(read(text)) == ["GoodDeal", "SecondContact"]
    assert kinds(read(text.replace("b@a.example,Pro", "b@a.example,Team"))) == ["GoodDeal", "GoodDeal"]


def test_without_numbers_the_key_comes_from_company_and_contact() -> None:
    first = only("Company,Email,Notes\nPadaria  São João,ana@padaria.example,x\n")
    again = only("Email,Notes,Company\nANA@padaria.example,x,padaria sao joao\n")
    other = only("Company,Email,Notes\nPadaria São João,bia@padaria.example,x\n")
    assert first.external_id == again.external_id
    assert first.external_id != other.external_id


def test_a_row_is_not_a_repetition_of_a_bad_one() -> None:
    reading = read("ID,Company,Email,Close Date\n1,A,a@a.example,never\n1,A,a@a.example,2026-01-02\n")
    assert kinds(reading) == ["BadDeal", "GoodDeal"]


def test_colleagues_who_share_a_phone_are_two_people() -> None:
    text = "ID,Company,Name,Phone\n1,A,Ana,+44 20 7946 0718\n1,A,Bia,+44 20 7946 0718\n1,A,Ana,+44 20 7946 0718\n"
    assert kinds(read(text)) == ["GoodDeal", "SecondContact", "DuplicateDeal"]


# --- words ------------------------------------------------------------------------------------------------------------


def test_every_code_has_a_sentence_whose_places_are_filled() -> None:
    assert set(MESSAGES) == {*Problem, *Caution}
    for code, message in MESSAGES.items():
        found = deal_problems.Finding(code, "Column", Field.NAME, "value", line=3, limit=4)
        assert "%(" not in message % found.values


# --- any file at all --------------------------------------------------------------------------------------------------

PIECES = st.sampled_from(
    [
        *("Company", "E-mail", "Telefone", "Close Date", "Amount", "ID", "Language", "Time Zone", "Currency", "Owner"),
        *(
            ",",
            ";",
            "\t",
            "|",
            '"',
            '""',
            "\n",
            "\r\n",
            "\r",
            " ",
            "=",
            "@",
            "+",
            "-",
            "\ufeff",
            "\x00",
            "\x85",
            "\u2028",
        ),
        *(
            "a@a.example",
            "12/31/2026",
            "02/03/2026",
            "1.240,00",
            "R$ 5",
            "+55 11 98486-2148",
            "Mars/Olympus",
            "pt-BR",
            "ü",
        ),
    ]
)


def read_or_refused(raw: bytes) -> None:
    try:
        file = open_deals(raw)
        reading = read_deals(file, CONTEXT)
    except DealFileRefused:
        return
    assert [result.line for result in reading.results] == [row.line for row in file.rows]
    for found in (*reading.bad, *reading.good, *reading.second_contacts):
        for finding in found.problems if isinstance(found, BadDeal) else found.cautions:
            assert len(finding.value) <= 80
            (finding.message % finding.values).encode()
    for deal in reading.good:
        deal.fingerprint.encode()
        assert deal.company
        assert deal.contacts[0].email or deal.contacts[0].phone


@given(st.binary(max_size=400))
def test_no_bytes_raise_anything_but_a_named_refusal(raw: bytes) -> None:
    read_or_refused(raw)


@given(st.lists(PIECES, max_size=60), st.sampled_from(["utf-8", "utf-16", "utf-8-sig", "windows-1252"]))
def test_no_table_of_odd_pieces_raises_anything_but_a_named_refusal(pieces: list[str], encoding: str) -> None:
    read_or_refused("".join(pieces).encode(encoding, "replace"))


HEADER = (
    "ID,Deal Name,Company,Tax ID,Name,Role,Email,Phone,Language,Time Zone,Plan,Amount,Currency,Close Date,Renewal Date,"
    "Interests,Owner,Source,Notes"
)
ANY_CELL = st.one_of(st.text(max_size=30), st.text(st.sampled_from("0123456789+-/.,:@= aR$€()"), max_size=16), PIECES)


@given(st.lists(st.lists(ANY_CELL, min_size=19, max_size=19), min_size=1, max_size=4))
def test_no_row_raises(rows: list[list[str]]) -> None:
    file = open_deals(f"{HEADER}\n{',' * 18}x\n".encode())
    made = replace(file, rows=tuple(Row(n, tuple(cells)) for n, cells in enumerate(rows, 2)))
    assert len(read_deals(made, CONTEXT).results) == len(rows)


# Without ª, º and µ: "Âª" in Windows-1252 is the same two bytes as "ª" in UTF-8, and nobody can tell them apart.
NAMES = st.text(st.characters(codec="latin-1", categories=["L"], exclude_characters="ªºµ"), min_size=1, max_size=30)
DAYS = st.dates(date(2000, 1, 1), date(2026, 11, 22))
AMOUNTS = st.decimals(0, 10**7, places=2, allow_nan=False)


def brazilian(amount: Decimal) -> str:
    return "R$ " + f"{amount:,.2f}".translate(str.maketrans(",.", ".,"))


@given(
    rows=st.lists(st.tuples(NAMES, DAYS, AMOUNTS, st.integers(10_000_000, 99_999_999)), min_size=1, max_size=5),
    brazil=st.booleans(),
    delimiter=st.sampled_from(",;\t|"),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "windows-1252"]),
    end=st.sampled_from(["\n", "\r\n"]),
)
def test_what_is_written_in_a_format_is_read_back(
    rows: list[tuple[str, date, Decimal, int]], brazil: bool, delimiter: str, encoding: str, end: str
) -> None:
    header = (
        ["Código", "Empresa", "E-mail", "Celular", "Valor", "Fechamento", "Observações"]
        if brazil
        else ["Deal ID", "Company", "Email", "Phone", "Amount", "Close Date", "Notes"]
    )
    written = io.StringIO(newline="")
    table = csv.writer(written, delimiter=delimiter, lineterminator=end)
    table.writerow(header)
    for number, (name, day, amount, digits) in enumerate(rows):
        table.writerow(
            [
                f"D{number}",
                name,
                f"c{number}@c{number}.example",
                f"(11) 9{digits // 10000}-{digits % 10000:04}" if brazil else f"+55 11 9{digits}",
                brazilian(amount) if brazil else f"{amount:,.2f}",
                day.strftime("%d/%m/%Y") if brazil else day.isoformat(),
                "one\ntwo",
            ]
        )
    reading = read(
        written.getvalue().encode(encoding),
        currency="BRL",
        time_zone="America/Sao_Paulo",
        date_order=DateOrder.DAY_FIRST,
    )
    assert problems(reading) == []
    assert [
        (deal.company, deal.sold_on, deal.mrr, deal.currency, deal.contacts[0].phone, deal.observation)
        for deal in reading.good
    ] == [(line_of(name), day, amount, "BRL", f"+55119{digits}", "one\ntwo") for name, day, amount, digits in rows]
