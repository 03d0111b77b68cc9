"""Files of won deals taken in: whom it makes customers, whom it leaves alone, who is written to, and what a crash leaves."""

import threading
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete, event, func, select, update

import portal.tables  # noqa: F401 - every table
from portal.accounts.deal_columns import Field
from portal.accounts.deal_problems import DealFileRefused
from portal.accounts.models import Account, Contact, Staff
from portal.accounts.rules import Language, Role
from portal.audit import AuditEvent, Happened
from portal.clock import FixedClock
from portal.db import Database
from portal.errors import NotFound
from portal.house import House
from portal.journeys import actions, import_plans, import_queries, importing, public_plans
from portal.journeys.import_models import Became, DealImport, DealNumber, ImportLine
from portal.journeys.import_plans import defused
from portal.journeys.importing import ChangedMeanwhile, Confirmation, NotReady, TooManyPeople
from portal.journeys.models import Activity, FollowUpRow, JourneyRow, PublicPlan
from portal.journeys.shipped import load_shipped
from portal.mail import Kind, LetterRow
from portal.settings import read_settings
from portal.worker import TIMETABLE, Worker
from tests.accounts.deal_counts import CONSULTANTS

NOW = datetime(2026, 11, 22, 15, tzinfo=UTC)
DATA = Path(__file__).resolve().parent.parent / "data"
ENGLISH = (DATA / "closed_won_deals.csv").read_bytes()
PORTUGUESE = (DATA / "negocios_ganhos.csv").read_bytes()
HEADER = "Deal ID,Company,Contact Name,Email,Phone,Plan,Amount,Currency,Close Date,Deal Owner,Notes\n"


def row(
    number: str,
    company: str = "Lumen",
    *,
    who: str = "Maria Souza",
    email: str = "maria@lumen.example",
    phone: str = "",
    plan: str = "Pro",
    price: str = "100.00",
    sold: str = "2026-09-01",
    owner: str = "",
    notes: str = "",
) -> str:
    return f"{number},{company},{who},{email},{phone},{plan},{price},EUR,{sold},{owner},{notes}\n"


class Office:
    """A house with the staff of the two files, and one of them at work."""

    def __init__(self, house: House) -> None:
        self.house = house
        with house.database.write() as db:
            load_shipped(db, now=NOW)
            for person in CONSULTANTS:
                role = Role.MANAGER if person.name.startswith("Rui") else Role.CONSULTANT
                db.add(Staff(email=person.email, name=person.name, role=role, timezone="Europe/London", created_at=NOW))
            db.flush()
            self.rui = db.scalars(select(Staff.id).where(Staff.role == Role.MANAGER)).one()

    def draft(self, content: bytes | str, *, staff_id: int | None = None) -> DealImport:
        """A file kept and read, not confirmed."""
        raw = content.encode() if isinstance(content, str) else content
        now = self.house.clock.now()
        with self.house.database.write() as db:
            made, _ = importing.keep_file(db, name="deals.csv", content=raw, by="cli", staff_id=staff_id, now=now)
        importing.plan(self.house, made.id, now=now)
        return self.of(made.id)

    def of(self, import_id: int) -> DealImport:
        with self.house.database.read() as db:
            return db.get_one(DealImport, import_id)

    def confirm(self, draft: DealImport, *, is_sure: bool = False, use_after_days: int = 7) -> None:
        yes = Confirmation(draft.version, use_after_days, is_sure)
        with self.house.database.write() as db:
            importing.confirm(db, self.house, draft.id, yes=yes, by=f"staff:{self.rui}", now=self.house.clock.now())

    def take(self, content: bytes | str, **yes: Any) -> dict[str, int]:
        """The whole way; how many lines became what, where any did."""
        draft = self.draft(content, staff_id=self.rui)
        self.confirm(draft, **yes)
        importing.see_to_the_end(self.house, draft.id, now=self.house.clock.now())
        found = self.of(draft.id)
        assert found.finished_at is not None
        return {became: n for became, n in found.counts.items() if n}

    def work(self) -> None:
        Worker(self.house, [job for job in TIMETABLE if job.name != "mail"]).run_until_idle(self.house.clock.now())

    def told(self, draft: DealImport, became: Became = Became.REFUSED) -> list[tuple[int, str]]:
        with self.house.database.read() as db:
            lines = import_queries.lines(db, draft.id, show=became, after=0, most=100)
        return [(line.line, told["message"] % told["values"]) for line in lines for told in line.findings]

    def everything(self) -> dict[str, list[Any]]:
        """Every row of everything but the imports and what is told of them."""
        tables = [
            table
            for table in Account.metadata.sorted_tables
            if table.name not in ("deal_imports", "deal_import_lines", "audit_events", "letters")
        ]
        with self.house.database.read() as db:
            return {t.name: [tuple(r) for r in db.execute(t.select().order_by(*t.primary_key))] for t in tables}

    def one(self, entity: Any, *where: Any) -> Any:
        with self.house.database.read() as db:
            return db.scalars(select(entity).where(*where)).one()

    def all(self, query: Any) -> list[Any]:
        with self.house.database.read() as db:
            return list(db.scalars(query))


@pytest.fixture
def house(database_url: str) -> Iterator[House]:
    settings = read_settings(
        {
            "PORTAL_DATABASE_URL": database_url,
            "PORTAL_SECRET_KEY": "a secret for tests that nobody needs to keep",
            "PORTAL_DEFAULT_CURRENCY": "EUR",
            "PORTAL_DEFAULT_TIMEZONE": "Europe/London",
        }
    )
    opened = House.open(settings, FixedClock(NOW))
    yield opened
    opened.database.close()


@pytest.fixture
def office(house: House) -> Office:
    return Office(house)


# The two real files


def test_the_english_file_arrives_whole_and_again_changes_nothing(office: Office) -> None:
    assert office.take(ENGLISH) == {"created": 291, "duplicate": 1, "refused": 8}
    assert office.one(func.count(Account.id)) == 291
    before = office.everything()
    assert office.take(ENGLISH) == {"unchanged": 291, "duplicate": 1, "refused": 8}
    assert office.everything() == before
    kinds = Counter(office.all(select(LetterRow.kind)))
    assert kinds == {Kind.IMPORT_REPORT: 2}


def test_the_portuguese_file_arrives_whole_and_again_changes_nothing(office: Office) -> None:
    assert office.take(PORTUGUESE) == {"created": 383, "joined": 1, "duplicate": 1, "refused": 15}
    with office.house.database.read() as db:
        assert (db.scalar(select(func.count(Account.id))), db.scalar(select(func.count(Contact.id)))) == (383, 384)
    before = office.everything()
    assert office.take(PORTUGUESE) == {"unchanged": 384, "duplicate": 1, "refused": 15}
    assert office.everything() == before


# Who is written to


def test_nobody_hears_of_what_lies_behind(office: Office) -> None:
    sold = ["2026-06-01", "2026-08-20", "2026-10-01", "2026-11-13"]
    office.take(
        HEADER + "".join(row(f"D-{n}", f"C{n}", email=f"a@c{n}.example", sold=day) for n, day in enumerate(sold))
    )
    office.work()
    assert set(office.all(select(LetterRow.kind))) == {Kind.IMPORT_REPORT}
    started = office.all(select(JourneyRow.use_started_on).order_by(JourneyRow.id))
    assert started == [date(2026, 6, 8), date(2026, 8, 27), date(2026, 10, 8), date(2026, 11, 20)]
    assert office.all(select(JourneyRow.position).order_by(JourneyRow.id)) == [5, 4, 3, 2]


@pytest.mark.parametrize("sold", ["2026-11-15", "2026-11-22", "2026-12-24", ""])
def test_a_fresh_deal_begins_at_the_first_stage_and_is_welcomed(office: Office, sold: str) -> None:
    draft = office.draft(HEADER + row("D-1", sold=sold))
    assert (draft.reading["contacted"], draft.reading["fresh"], draft.reading["under_way"]) == (1, 1, 0)
    assert draft.reading["undated"] == (sold in ("", "2026-12-24"))
    office.confirm(draft)
    office.work()
    journey = office.one(JourneyRow)
    assert (journey.position, journey.use_started_on) == (0, None)
    with office.house.database.write() as db:
        activity = db.scalars(select(Activity)).one()
        actions.complete_activity(db, office.house, activity_id=activity.id, note="", by="staff:1", now=NOW)
    assert office.all(select(LetterRow.kind).where(LetterRow.kind == Kind.WELCOME)) == [Kind.WELCOME]


def test_the_day_of_use_can_be_further_from_the_sale_but_never_ahead(office: Office) -> None:
    office.take(
        HEADER + row("D-1", sold="2026-09-01") + row("D-2", "Verdant", email="s@verdant.example", sold="2026-11-10"),
        use_after_days=30,
    )
    assert office.all(select(JourneyRow.use_started_on).order_by(JourneyRow.id)) == [date(2026, 10, 1), NOW.date()]


def test_contacts_that_lie_behind_have_to_be_made_good(office: Office) -> None:
    office.take(HEADER + row("D-1", sold="2026-09-01"))
    contacts = office.all(select(FollowUpRow).order_by(FollowUpRow.day))
    assert [(c.day, c.missed_at is not None, c.converted_at is not None) for c in contacts] == [
        (30, True, False), (60, False, True), (90, False, False),
    ]  # fmt: skip


# The storm guard


def many_fresh(count: int) -> str:
    rows = (row(f"D-{n}", f"C{n}", email=f"a@c{n}.example", sold="2026-11-20") for n in range(count))
    return HEADER + "".join(rows)


def test_more_mails_than_the_limit_need_a_word(office: Office) -> None:
    draft = office.draft(many_fresh(51))
    with pytest.raises(TooManyPeople, match="51 people would get a welcome mail, more than 50"):
        office.confirm(draft)
    assert office.of(draft.id).confirmed_at is None
    office.work()
    assert office.all(select(Account.id)) == []
    office.confirm(draft, is_sure=True)
    office.work()
    assert office.one(func.count(Account.id)) == 51


def test_fifty_are_no_storm_and_those_without_mail_dont_count(office: Office) -> None:
    content = many_fresh(50) + row("D-99", "Phone only", email="", phone="+44 20 7946 0718", sold="2026-11-20")
    draft = office.draft(content)
    assert draft.reading["contacted"] == 50
    office.confirm(draft)


# Who is known already


def test_mended_rows_are_taken_up_and_the_good_ones_left_alone(office: Office) -> None:
    bad = (
        HEADER
        + row("D-1")
        + row("D-2", "Verdant", email="sofia@@verdant.example")
        + row("D-3", "", email="x@y.example")
    )
    assert office.take(bad) == {"created": 1, "refused": 2}
    mended = HEADER + row("D-2", "Verdant", email="sofia@verdant.example") + row("D-3", "Ypsilon", email="x@y.example")
    assert office.take(mended) == {"created": 2}
    assert office.take(bad.replace("@@", "@").replace("D-3,,", "D-3,Ypsilon,")) == {"unchanged": 3}
    assert office.one(func.count(Account.id)) == 3


def test_what_changed_in_the_file_changes_here_and_what_people_corrected_stays(office: Office) -> None:
    office.take(HEADER + row("D-1", notes="Wants mobile"))
    with office.house.database.write() as db:
        db.execute(update(Account).values(name="Lumen GmbH", notes="Called on Friday"))
        db.execute(update(Contact).values(phone="+551199999999"))
    assert office.take(HEADER + row("D-1", notes="Wants mobile")) == {"unchanged": 1}
    assert office.take(HEADER + row("D-1", plan="Multi", price="250.00", notes="Wants all")) == {"updated": 1}
    account, contact = office.one(Account), office.one(Contact)
    assert (account.name, account.plan, account.mrr_amount) == ("Lumen GmbH", "Multi", 250)
    assert (account.notes, contact.phone) == ("Called on Friday\nWants all", "+551199999999")
    assert office.one(func.count(JourneyRow.id)) == 1


def test_a_merged_row_alone_makes_no_second_customer(office: Office) -> None:
    both = HEADER + row("D-1") + row("D-9", who="João Lima", email="joao@lumen.example", plan="Starter")
    both = both.replace("Lumen", "Lumen ME").replace("Deal ID,", "Deal ID,CNPJ,")
    both = both.replace("D-1,", "D-1,80.592.042/0001-06,").replace("D-9,", "D-9,80.592.042/0001-06,")
    assert office.take(both) == {"created": 1, "joined": 1}
    header, _, second = both.splitlines(keepends=True)
    assert office.take(header + second) == {"unchanged": 1}
    third = second.replace("D-9", "D-77").replace("joao", "ines").replace("João", "Inês")
    draft = office.draft(header + third)
    assert office.told(draft, Became.UPDATED) == [
        (2, "“Lumen ME” is a customer already, by the deal “D-1”. New people are added; the plan, price and dates in "
            "this line are left out."),
    ]  # fmt: skip
    assert office.take(header + third) == {"updated": 1}
    assert office.take(header + third) == {"unchanged": 1}
    account = office.one(Account)
    assert (account.external_id, account.plan) == ("D-1", "Pro")
    assert office.all(select(Contact.email).order_by(Contact.id)) == [
        "maria@lumen.example", "joao@lumen.example", "ines@lumen.example",
    ]  # fmt: skip


def test_rows_without_a_number_are_known_again_by_company_and_person(office: Office) -> None:
    content = "Company,Contact Name,Email,Close Date\nLumen,Maria,maria@lumen.example,2026-09-01\n"
    assert office.take(content) == {"created": 1}
    assert office.take(content) == {"unchanged": 1}
    assert office.take(content.replace("Maria", "Maria Souza")) == {"updated": 1}
    assert office.one(func.count(Account.id)) == 1


def test_another_companys_number_is_refused_and_nothing_of_theirs_changes(office: Office) -> None:
    office.take(HEADER + row("D-1"))
    draft = office.draft(HEADER + row("D-1", "Zeta", who="Zoe", email="zoe@zeta.example"))
    assert office.told(draft) == [
        (2, "The deal number “D-1” belongs to “Lumen”, another company. Give this deal a number of its own.")
    ]
    renamed = HEADER + row("D-1", "Lumen Group")
    assert office.take(renamed) == {"updated": 1}
    assert office.one(Account).name == "Lumen Group"


def test_a_customer_whom_the_crm_told_of_is_known_by_their_number(office: Office) -> None:
    with office.house.database.write() as db:
        db.add(Account(external_id="D-1", name="Lumen", plan="Pro", created_at=NOW, created_by="api:crm"))
    assert office.take(HEADER + row("D-1")) == {"updated": 1}
    assert office.one(func.count(Account.id)) == 1


def test_who_owns_the_deal_gets_the_customer_if_they_work_here(office: Office) -> None:
    with office.house.database.write() as db:
        db.execute(update(Staff).where(Staff.email == "caio@onward.example").values(disabled_at=NOW))
    office.take(
        HEADER
        + row("D-1", owner="bea@onward.example")
        + row("D-2", "Verdant", email="s@verdant.example", owner="Caio Andrade")
    )
    owners = office.all(select(Staff.email).join(JourneyRow, JourneyRow.owner_id == Staff.id).order_by(JourneyRow.id))
    assert (owners[0], owners[1] != "caio@onward.example") == ("bea@onward.example", True)


# Columns


def test_columns_can_be_corrected_and_a_stale_yes_counts_for_nothing(office: Office) -> None:
    content = "Number,Who,Where,Mailbox\nD-1,Maria,Lumen,maria@lumen.example\n"
    draft = office.draft(content)
    assert draft.trouble["message"] == "Which column holds the company's name? Choose one."
    with pytest.raises(NotReady):
        office.confirm(draft)
    columns = {0: Field.DEAL_ID, 1: Field.NAME, 2: Field.COMPANY, 3: Field.EMAIL}
    with office.house.database.write() as db:
        importing.choose_columns(db, draft.id, mapping=columns, date_order=None)
    with pytest.raises(ChangedMeanwhile):
        office.confirm(draft)
    office.work()
    again = office.of(draft.id)
    assert (again.trouble, again.reading["became"]) == ({}, {"created": 1})
    office.confirm(again)
    office.work()
    account = office.one(Account)
    assert (account.name, account.external_id) == ("Lumen", "D-1")


def test_a_draft_can_be_dropped_but_nothing_confirmed(office: Office) -> None:
    first, second = office.draft(HEADER + row("D-1")), office.draft(HEADER + row("D-1"))
    with office.house.database.write() as db:
        importing.drop(db, first.id)
    assert importing.plan(office.house, first.id, now=NOW) is False
    office.confirm(second)
    office.confirm(second)
    with office.house.database.write() as db, pytest.raises(ChangedMeanwhile):
        importing.drop(db, second.id)
    with office.house.database.write() as db, pytest.raises(NotFound):
        importing.drop(db, first.id)


@pytest.mark.parametrize("content", [b"", b"%PDF-1.7 ...", b"PK\x03\x04 xlsx", b"\x00\x01\x02" * 500, b"one\ntwo\n"])
def test_what_is_no_table_is_not_kept(office: Office, content: bytes) -> None:
    with pytest.raises(DealFileRefused):
        office.draft(content)
    assert office.all(select(DealImport.id)) == []


# Crashes, races, leftovers


def test_what_a_worker_left_behind_is_taken_up_by_the_next(office: Office) -> None:
    draft = office.draft(many_fresh(40))
    office.confirm(draft)
    died: list[bool] = []

    @event.listens_for(office.house.database.write_engine, "commit")
    def die(_connection: Any) -> None:
        if not died:
            died.append(True)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        importing.carry_on(office.house, NOW)
    event.remove(office.house.database.write_engine, "commit", die)
    assert office.all(select(Account.id)) == []
    office.work()
    assert office.of(draft.id).counts["created"] == 40
    assert office.one(func.count(JourneyRow.id)) == 40


def test_two_imports_of_one_file_at_once_make_each_customer_once(office: Office) -> None:
    content = HEADER + "".join(row(f"D-{n}", f"C{n}", email=f"a@c{n}.example") for n in range(60))
    drafts = [office.draft(content), office.draft(content)]
    for draft in drafts:
        office.confirm(draft)
    failures: list[BaseException] = []

    def work(draft: DealImport) -> None:
        try:
            importing.see_to_the_end(office.house, draft.id, now=NOW)
        except BaseException as failure:
            failures.append(failure)

    threads = [threading.Thread(target=work, args=(draft,)) for draft in drafts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    became = [{k: n for k, n in office.of(draft.id).counts.items() if n} for draft in drafts]
    assert became == [{"created": 60}, {"unchanged": 60}]
    assert office.one(func.count(JourneyRow.id)) == 60


def test_a_row_that_cannot_be_stored_is_told_and_the_others_go_on(
    office: Office, caplog: pytest.LogCaptureFixture
) -> None:
    draft = office.draft(HEADER + row("D-1") + row("D-2", "Verdant", email="s@verdant.example"))
    with office.house.database.write() as db:
        line = db.scalars(select(ImportLine).where(ImportLine.line == 2)).one()
        line.deal = {**line.deal, "mrr": "-5"}  # the database's own check is the last to refuse
    office.confirm(draft)
    office.work()
    assert office.of(draft.id).counts | {"duplicate": 0} == {
        "created": 1, "updated": 0, "unchanged": 0, "joined": 0, "duplicate": 0, "refused": 1,
    }  # fmt: skip
    assert office.told(draft) == [
        (2, "Something on our side kept this line out. We made a note of it; please upload it again later.")
    ]
    assert office.one(Account).name == "Verdant"
    assert [record.getMessage() for record in caplog.records] == [f"put aside: line 2 of import {draft.id}"]


def test_a_contact_of_a_refused_customer_waits_with_them(office: Office, caplog: pytest.LogCaptureFixture) -> None:
    draft = office.draft(HEADER + row("D-1") + row("D-1", who="João", email="joao@lumen.example"))
    with office.house.database.write() as db:
        line = db.scalars(select(ImportLine).where(ImportLine.line == 2)).one()
        line.deal = {**line.deal, "mrr": "-5"}
    office.confirm(draft)
    office.work()
    assert [words for line, words in office.told(draft) if line == 3] == [
        "The customer in line 2 was not taken in. Mend that line first, and upload both."
    ]


def test_the_end_is_told_to_who_uploaded_and_noted(office: Office) -> None:
    office.take(HEADER + row("D-1") + row("D-2", ""))
    letter = office.one(LetterRow)
    assert (letter.kind, letter.to_email, letter.context["taken"], letter.context["refused"]) == (
        Kind.IMPORT_REPORT, "rui@onward.example", 1, 1,
    )  # fmt: skip
    told = office.all(
        select(AuditEvent.detail).where(AuditEvent.what == Happened.DEALS_IMPORTED).order_by(AuditEvent.id)
    )
    assert [("confirmed" in detail, detail.get("created")) for detail in told] == [(True, None), (False, 1)]
    assert office.all(select(AuditEvent.by).where(AuditEvent.what == Happened.ACCOUNT_CREATED)) == [
        f"staff:{office.rui}"
    ]


def test_nothing_of_a_taken_line_is_kept_twice_and_old_files_are_forgotten(office: Office) -> None:
    office.take(HEADER + row("D-1") + row("D-2", ""))
    lines = office.all(select(ImportLine).order_by(ImportLine.line))
    assert [(bool(line.deal), bool(line.cells)) for line in lines] == [(False, False), (False, True)]
    assert office.all(select(DealImport.content)) == [b""]
    office.draft(HEADER + row("D-3"))
    later = NOW + timedelta(days=100)
    with office.house.database.write() as db:
        assert importing.forget_old(db, later) == 1
    assert office.all(select(ImportLine.id)) == []
    assert office.one(DealImport).counts["created"] == 1


def test_an_account_that_is_erased_takes_its_numbers_along(office: Office, database: Database) -> None:
    office.take(HEADER + row("D-1"))
    with office.house.database.write() as db:
        db.execute(delete(DealNumber))
    assert office.take(HEADER + row("D-1")) == {"unchanged": 1}


def test_a_plan_asks_as_often_for_three_rows_as_for_three_hundred(office: Office) -> None:
    def statements(count: int) -> int:
        asked: list[str] = []

        def note(_c: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
            asked.append(statement)

        engines = (office.house.database.read_engine, office.house.database.write_engine)
        for engine in engines:
            event.listen(engine, "before_cursor_execute", note)
        office.draft(many_fresh(count))
        for engine in engines:
            event.remove(engine, "before_cursor_execute", note)
        return len(asked)

    office.take(many_fresh(300), is_sure=True)
    assert statements(3) == statements(300)


def test_cells_that_a_spreadsheet_would_calculate_are_text_and_come_back(office: Office) -> None:
    assert [defused(cell) for cell in ("=1+1", "+55 11 9", "-2", "@x", "a=b", "")] == [
        "'=1+1", "'+55 11 9", "'-2", "'@x", "a=b", "",
    ]  # fmt: skip
    office.take(HEADER + row("D-1", phone="'+44 20 7946 0718"))
    assert office.one(Contact).phone == "+442079460718"
    assert office.told(office.draft(HEADER + row("D-2", "'=1+1"))) == [
        (2, "“=1+1” looks like a formula. Write the name itself.")
    ]


# The plan that they were shown before the sale


def shown_plan(office: Office, prospect: str) -> tuple[int, str]:
    """A public plan, and its whole link."""
    with office.house.database.write() as db:
        plan_id = public_plans.make(
            db,
            prospect=prospect,
            product="",
            language=Language.EN,
            starts_on=NOW.date(),
            staff_id=office.rui,
            by=f"staff:{office.rui}",
            now=NOW,
        )
        return plan_id, office.house.url(public_plans.path_of(office.house, db.get_one(PublicPlan, plan_id)))


@pytest.mark.parametrize("header", ["Public plan", "Link do plano público"])
def test_the_plan_they_were_shown_becomes_the_live_one(office: Office, header: str) -> None:
    plan_id, link = shown_plan(office, "Moss & Rye")
    file = f"Deal ID,Company,Email,Close date,{header}\nD-1,Moss & Rye,maria@mossrye.example,2026-11-20,{link}\n"
    assert office.take(file) == {"created": 1}
    assert office.one(PublicPlan, PublicPlan.id == plan_id).account_id == office.one(Account).id
    assert office.take(file) == {"unchanged": 1}


PLANS_HEADER = "Deal ID,Company,Email,Close date,Plan,Public plan\n"


def naming(number: str, company: str, link: str, plan: str = "") -> str:
    return f"{number},{company},someone@{number.lower()}.example,2026-11-20,{plan},{link}\n"


def test_a_link_that_leads_nowhere_is_said_before_the_yes_and_the_customer_comes_without_it(office: Office) -> None:
    _, good = shown_plan(office, "Moss & Rye")
    ended_id, ended = shown_plan(office, "Ended")
    taken_id, taken = shown_plan(office, "Taken")
    other_id, other = shown_plan(office, "Other product")
    office.take(PLANS_HEADER + naming("D-0", "First come", taken))
    with office.house.database.write() as db:
        public_plans.revoke(db, plan_id=ended_id, by=f"staff:{office.rui}", now=NOW)
        db.get_one(PublicPlan, other_id).product = "Growth"
    draft = office.draft(
        PLANS_HEADER
        + naming("D-1", "Broken", good[:-1])
        + naming("D-2", "Too late", ended)
        + naming("D-3", "Second come", taken)
        + naming("D-4", "Another", other, "Start")
        + naming("D-5", "Right", good)
        + naming("D-6", "Twice", good)
    )
    said = office.told(draft, Became.CREATED)
    assert said == [
        (2, public_plans.LEADS_NOWHERE),
        (3, public_plans.WAS_ENDED % {"day": f"{NOW:%Y-%m-%d}"}),
        (4, public_plans.IS_SOMEBODYS % {"company": "First come"}),
        (5, public_plans.OF_OTHER_PRODUCT % {"product": "Growth", "plan": "Start"}),
        (7, import_plans.PLAN_NAMED_TWICE % {"line": 6}),
    ]
    office.confirm(draft)
    importing.see_to_the_end(office.house, draft.id, now=NOW)
    with office.house.database.read() as db:
        whose = dict(
            db.execute(
                select(Account.name, PublicPlan.id).outerjoin(PublicPlan, PublicPlan.account_id == Account.id)
            ).all()
        )
        good_id = db.scalars(select(PublicPlan.id).where(PublicPlan.prospect == "Moss & Rye")).one()
    nobody = dict.fromkeys(("Broken", "Too late", "Second come", "Another", "Twice"))
    assert whose == {"First come": taken_id, "Right": good_id, **nobody}


def test_a_link_that_was_ended_after_the_preview_is_said_at_its_line(office: Office) -> None:
    plan_id, link = shown_plan(office, "Moss & Rye")
    draft = office.draft(PLANS_HEADER + naming("D-1", "Moss & Rye", link))
    assert office.told(draft, Became.CREATED) == []
    office.confirm(draft)
    with office.house.database.write() as db:
        public_plans.revoke(db, plan_id=plan_id, by=f"staff:{office.rui}", now=NOW)
    importing.see_to_the_end(office.house, draft.id, now=NOW)
    assert office.told(draft, Became.CREATED) == [(2, public_plans.WAS_ENDED % {"day": f"{NOW:%Y-%m-%d}"})]
    assert office.one(Account).name == "Moss & Rye"


def test_a_customer_we_know_gets_the_plan_with_the_next_file(office: Office) -> None:
    head = "Deal ID,Company,Email,Close date,Public plan\nD-1,Moss & Rye,maria@mossrye.example,2026-11-20,"
    assert office.take(head + "\n") == {"created": 1}
    plan_id, link = shown_plan(office, "Moss & Rye")
    office.take(head + link + "\n")
    assert office.one(PublicPlan, PublicPlan.id == plan_id).account_id == office.one(Account).id
