"""The results of a survey as managers see them, search them, tag them, take them away, and ask for words to quote."""

import csv
import io
import re
import zipfile
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta

import pytest
from sqlalchemy import func, insert, select, update
from starlette.testclient import TestClient

from portal import delivery, mail
from portal.accounts import asking_ledger as ledger
from portal.accounts.asking import Asked, Became, Wait, Why, judge
from portal.accounts.asking_models import RequestRow
from portal.accounts.models import Contact, Staff
from portal.accounts.people_models import ContactWishes
from portal.accounts.rules import Channel, Frequency
from portal.audit import AuditEvent, Happened
from portal.db import Database
from portal.house import House
from portal.journeys.models import JourneyRow
from portal.mail import Kind, LetterRow, MailRefusal, Purpose
from portal.surveys import quoting
from portal.surveys.models import AnswerRow, AnswerTag, Invitation, Quote, Survey
from portal.surveys.rules import ShownAs
from portal.surveys.shipped import load_shipped_surveys
from portal.worker import COMPOSERS, TURNS
from tests import servers
from tests.routes.conftest import NOON, Cast
from tests.routes.staff.conftest import Road, statements

AT = "/staff/insights/surveys/follow_up_30"
Answered = Callable[..., list[int]]


@pytest.fixture
def answered(database: Database, cast: Cast, road: Road) -> Answered:
    """So many answers of one kind by Maria, or by Sofia at the other company; gives their numbers."""
    with database.write() as db:
        load_shipped_surveys(db, now=NOON)

    def answer(count: int, *, nps: int = 10, csat: int = 5, comment: str = "", other: bool = False) -> list[int]:
        given = []
        with database.write() as db:
            survey = db.scalars(select(Survey.id).where(Survey.key == "follow_up_30")).one()
            taken = db.scalar(select(func.count()).select_from(Invitation)) or 0
            common = {
                "account_id": cast.other if other else cast.lumen,
                "journey_id": road.verdant if other else road.lumen,
                "contact_id": cast.sofia if other else cast.maria,
            }
            for n in range(count):
                sent = {"survey_id": survey, "nonce": "n", "planned_at": NOON, "sent_at": NOON, "expires_at": NOON}
                invitation = db.scalars(
                    insert(Invitation).values(**common, **sent, day=1000 + taken + n).returning(Invitation.id)
                ).one()
                said = {"nps": nps, "csat": csat, "comment": comment, "provenance": "mail_link", "by": "contact:1"}
                row = {"invitation_id": invitation, "day": 30, "submitted_at": NOON}
                given.append(
                    db.scalars(insert(AnswerRow).values(**common, **said, **row).returning(AnswerRow.id)).one()
                )
        return given

    return answer


def seen(browser: TestClient, address: str = AT) -> str:
    response = browser.get(address)
    assert response.status_code == 200, response.text
    return words_of(response.text)


def words_of(page: str) -> str:
    main = page[page.index("<main") :]
    return " ".join(re.sub(r"<[^>]+>", " ", main).replace("&#39;", "’").split())


def events(database: Database, what: Happened) -> int:
    with database.read() as db:
        return db.scalar(select(func.count()).select_from(AuditEvent).where(AuditEvent.what == what)) or 0


def test_consultants_do_not_see_it_and_what_is_not_there_is_not_found(
    carla: TestClient, rui: TestClient, answered: Answered
) -> None:
    answered(1)
    assert [who.get(AT).status_code for who in (carla, rui)] == [403, 200]
    assert rui.get("/staff/insights/surveys/no_such").status_code == 404
    assert "30-day check-in" in seen(rui, "/staff/insights/surveys")


def test_ten_answers_have_a_score_with_its_interval_and_nine_only_counts(rui: TestClient, answered: Answered) -> None:
    answered(6, nps=10)
    answered(3, nps=3, csat=2)
    page = seen(rui)
    assert "A score needs 10 answers." in page and "+33" not in page
    answered(1, nps=10)
    page = seen(rui)
    assert "NPS +40 −18 to +79, 10 answers (few). Too few to compare with the 90 days before." in page
    assert "100% 72% to 100%, 10 of 10 delivered surveys answered (few)." in page
    assert "70% gave 4 or 5, between 40% and 89%. Few answers." in page


def test_the_choice_stands_in_the_address_and_narrows(rui: TestClient, answered: Answered) -> None:
    answered(3)
    assert "3 answers" in seen(rui, f"{AT}?period=all&plan=Team&language=en&owner=all")
    assert "Nothing for this choice" in seen(rui, f"{AT}?language=pt-BR")
    assert "3 answers" in seen(rui, f"{AT}?period=dates&from=2026-06-23&to=2026-06-23")
    assert "Nothing for this choice" in seen(rui, f"{AT}?period=dates&from=2026-06-01&to=2026-06-22")
    # What nobody offers to choose narrows nothing; a date that is none is said so.
    assert "3 answers" in seen(rui, f"{AT}?period=x&stage=x&plan=x&language=x&owner=x")
    assert "Please enter a date." in seen(rui, f"{AT}?period=dates&from=2026-02-31&to=2026-06-22")
    assert "That is before the first day." in seen(rui, f"{AT}?period=dates&from=2026-06-22&to=2026-06-01")


def test_htmx_gets_the_block_alone(rui: TestClient, answered: Answered) -> None:
    answered(1)
    for address, block in ((AT, "figures"), (f"{AT}/comments", "comments")):
        part = rui.get(address, headers={"HX-Request": "true", "HX-Request-Type": "partial"}).text
        assert part.strip().startswith(f'<div class="stack" id="{block}">')


def test_the_pages_take_as_many_statements_for_three_answers_as_for_one(
    rui: TestClient, answered: Answered, database: Database
) -> None:
    answered(1, comment="One")
    counts = []
    for more in (0, 3):
        answered(more, comment="The till is fine")
        for address in (AT, f"{AT}/comments"):
            rui.get(address)
            with statements(database) as ran:
                assert rui.get(address).status_code == 200
            counts.append(len(ran))
    assert counts[:2] == counts[2:]


# Comments


def test_comments_are_searched_tagged_and_untagged(rui: TestClient, answered: Answered, database: Database) -> None:
    (number,) = answered(1, comment="A implantação foi ótima")
    answered(1, comment="<b>Slow</b> till")
    assert "&lt;b&gt;Slow" in rui.get(f"{AT}/comments?q=SLOW").text
    page = seen(rui, f"{AT}/comments?q=implantacao")
    assert "A implantação foi ótima" in page and "Slow" not in page
    gone = rui.post(f"{AT}/comments/{number}/tags?q=implantacao", data={"tag": " Preço "})
    assert (gone.status_code, gone.headers["location"]) == (303, f"{AT}/comments?q=implantacao#comment-{number}")
    rui.post(f"{AT}/comments/{number}/tags", data={"tag": "preco"})
    page = seen(rui, f"{AT}/comments?tag=preco")
    assert "Tags Preço 1" in page and "Tagged “preco”" in page and "Slow" not in page
    wrong = rui.post(f"{AT}/comments/{number}/tags", data={"tag": "x" * 41})
    assert wrong.status_code == 422 and "x" * 41 in wrong.text and "at most" not in wrong.text
    assert rui.post(f"{AT}/comments/{number}/tags", data={"tag": "‘’"}).status_code == 422
    rui.post(f"{AT}/comments/{number}/tags/remove", data={"tag": "PREÇO"})
    rui.post(f"{AT}/comments/{number}/tags/remove", data={"tag": "never there"})
    with database.read() as db:
        assert "Preço" not in db.scalars(select(AnswerTag.tag)).all()
    assert events(database, Happened.COMMENT_UNTAGGED) == 1
    assert rui.post(f"{AT}/comments/999/tags", data={"tag": "x"}).status_code == 404


def test_themes_are_named_and_chosen(rui: TestClient, answered: Answered) -> None:
    for text in ("Stock count is wrong", "Stock counts take long", "counting stock", "Lovely people", "Fast", "Nice"):
        answered(1, comment=text, nps=3)
    page = seen(rui, f"{AT}/comments")
    assert "stock 3 comments, 3 unhappy" in page.replace("stock, count", "stock").replace("count, stock", "stock")
    chosen = rui.get(f"{AT}/comments?theme=count").text + rui.get(f"{AT}/comments?theme=stock").text
    assert "About “" in chosen


# Files


def test_files_hold_the_chosen_answers_and_no_formula(
    rui: TestClient, carla: TestClient, answered: Answered, database: Database
) -> None:
    answered(1, comment='=HYPERLINK("https://evil.example","x")')
    answered(1, comment="@SUM(1)", other=True)
    assert carla.post(f"{AT}/answers.csv").status_code == 403
    assert rui.get(f"{AT}/answers.csv").status_code == 405
    got = rui.post(f"{AT}/answers.csv")
    assert got.content.startswith(b"\xef\xbb\xbf")
    head, *lines = csv.reader(io.StringIO(got.content.decode("utf-8-sig")))
    assert (head[0], len(lines)) == ("When", 2)
    assert {line[11] for line in lines} == {"'@SUM(1)", '\'=HYPERLINK("https://evil.example","x")'}
    assert not [cell for line in lines for cell in line if cell.startswith(("=", "+", "-", "@"))]
    assert len(rui.post(f"{AT}/answers.csv?q=hyperlink&only=comments").text.splitlines()) == 2
    assert len(rui.post(f"{AT}/answers.csv?language=pt-BR").text.splitlines()) == 1
    assert events(database, Happened.ANSWERS_EXPORTED) == 3


def test_the_workbook_holds_text_as_text(rui: TestClient, answered: Answered) -> None:
    answered(1, comment="=1+1", nps=9)
    answered(1, comment="https://evil.example", nps=9)
    got = rui.post(f"{AT}/answers.xlsx")
    with zipfile.ZipFile(io.BytesIO(got.content)) as book:
        sheet = book.read("xl/worksheets/sheet1.xml").decode()
        assert "<f>" not in sheet and "<hyperlink" not in sheet
        assert "<is><t>=1+1</t></is>" in sheet and "<v>9</v>" in sheet


# The customer's page


@pytest.mark.parametrize(("language", "name"), [("en", "30-day check-in"), ("pt-BR", "Conversa dos 30 dias")])
def test_an_answer_on_the_customers_page_says_which_survey_it_belongs_to_without_a_statement_for_each(
    rui: TestClient, answered: Answered, database: Database, cast: Cast, language: str, name: str
) -> None:
    answered(1, comment="One of them")
    with database.write() as db:
        db.execute(update(Staff).where(Staff.id == cast.rui).values(language=language))
    page = f"/staff/customers/{cast.lumen}"
    rui.get(page)
    with statements(database) as one:
        assert f"{name} ·" in seen(rui, page)
    answered(3, comment="Three more")
    with statements(database) as four:
        assert seen(rui, page).count(f"{name} ·") == 4
    assert len(four) == len(one)


# Words to quote


@pytest.fixture
def asked(rui: TestClient, answered: Answered, database: Database, house: House) -> str:
    """Maria was asked for her words; the address of her page."""
    (number,) = answered(1, comment="We count in half an hour. The rest is private.")
    form = {"words": "We count in half an hour."}
    assert rui.post(f"/staff/insights/comments/{number}/quote", data=form).status_code == 303
    with database.read() as db:
        return quoting.quote_path(house, db.scalars(select(Quote)).one())


def test_only_their_own_words_are_asked_for_once_and_not_while_something_is_wrong(
    rui: TestClient, answered: Answered, database: Database, road: Road
) -> None:
    first, second = answered(2, comment="We count in half an hour.")
    at = f"/staff/insights/comments/{first}/quote"
    assert "We count in half an hour." in rui.get(at).text
    changed = rui.post(at, data={"words": "We love it in half an hour."})
    assert changed.status_code == 422 and "We love it in half an hour." in changed.text
    with database.write() as db:
        db.execute(update(JourneyRow).where(JourneyRow.id == road.lumen).values(open_flags=1))
    assert "settle that first" in rui.post(at, data={"words": "We count"}).text
    with database.write() as db:
        db.execute(update(JourneyRow).where(JourneyRow.id == road.lumen).values(open_flags=0))
        refusal = {"address_hash": mail.address_hash("maria@lumen.example"), "purpose": Purpose.REFERRAL, "at": NOON}
        db.execute(insert(MailRefusal).values(**refusal))
    assert "asked not to get such mails" in rui.post(at, data={"words": "We count"}).text
    with database.write() as db:
        mail.allow_again(db, "maria@lumen.example", Purpose.REFERRAL)
    assert rui.post(at, data={"words": "We count"}).status_code == 303
    assert "asked about this one already" in rui.post(at, data={"words": "We count"}).text
    assert (
        "less than 90 days ago" in rui.post(f"/staff/insights/comments/{second}/quote", data={"words": "We count"}).text
    )
    with database.read() as db:
        assert db.scalar(select(func.count()).where(LetterRow.kind == Kind.QUOTE_REQUEST)) == 1
    assert rui.get("/staff/insights/comments/999/quote").status_code == 404


def test_asking_for_words_draws_on_the_budget_and_a_refusal_says_from_when_on_it_is_possible(
    rui: TestClient, answered: Answered, database: Database, house: House, cast: Cast, road: Road
) -> None:
    (number,) = answered(1, comment="We count in half an hour.")
    at, form = f"/staff/insights/comments/{number}/quote", {"words": "We count"}
    who = (cast.lumen, cast.maria, road.lumen, 0)

    def before(days: int) -> None:
        line = ledger.Request(Asked.REFERRAL, *who, Became.CALL, None, NOON - timedelta(days=days), about=days)
        with database.write() as db:
            ledger.keep(db, [line], waiting=(), now=NOON)

    before(3)
    page = words_of(rui.post(at, data=form).text)
    told = "They were asked for something else not long before. You can ask from Mon 29 June, 09:00 on."
    assert told in page  # a week later is a Saturday
    assert "We count" in page  # what was typed stands there still
    with database.write() as db:
        db.execute(update(RequestRow).values(at=NOON - timedelta(days=8)))
    assert rui.post(at, data=form).status_code == 303
    with database.read() as db:
        asked = select(RequestRow.asked, RequestRow.contact_id, RequestRow.became, RequestRow.why, RequestRow.at)
        rows = db.execute(asked.order_by(RequestRow.id)).all()
        known = ledger.known_of(
            db, list(ledger.people_of(db, [cast.maria]).values()), purposes=(), flagged=(), now=NOON
        ).people[cast.maria]
    assert tuple(rows[1]) == (Asked.QUOTE, cast.maria, Became.MAIL, None, NOON)
    assert judge(Asked.FURTHER, known, NOON) == Wait(datetime(2026, 6, 30, 15, tzinfo=UTC), Why.BUDGET)


@pytest.mark.parametrize(
    ("channel", "frequency", "said"),
    [
        (Channel.PHONE, None, "They like the phone best: ask them there."),
        (Channel.WHATSAPP, None, "They like WhatsApp best: ask them there."),
        (Channel.PORTAL, None, "They want no mail about such things: ask when you talk to them."),
        (None, Frequency.NECESSARY, "They only want to be asked what is necessary: ask when you talk to them."),
    ],
)
def test_who_wants_to_be_asked_in_another_way_is_not_asked_by_mail(
    rui: TestClient, answered: Answered, database: Database, cast: Cast, channel: Channel | None,
    frequency: Frequency | None, said: str,
) -> None:  # fmt: skip
    (number,) = answered(1, comment="We count in half an hour.")
    wish(database, cast.maria, channel=channel, frequency=frequency)
    refused = rui.post(f"/staff/insights/comments/{number}/quote", data={"words": "We count"})
    assert refused.status_code == 422 and said in words_of(refused.text)
    with database.read() as db:
        assert db.scalar(select(func.count()).select_from(Quote)) == 0


def wish(
    database: Database, contact_id: int, *, channel: Channel | None = None, frequency: Frequency | None = None,
    hours_from: time = time(9),
) -> None:  # fmt: skip
    with database.write() as db:
        if channel is not None:
            chosen = {"channel": channel, "phone": "+5511987654321"}
            db.execute(update(Contact).where(Contact.id == contact_id).values(**chosen))
        values = {"frequency": frequency or Frequency.USUAL, "hours_from": hours_from, "hours_until": time(18)}
        common = {"contact_id": contact_id, "weekdays": 31, "chosen_at": NOON, "chosen_by": "contact:1"}
        db.execute(insert(ContactWishes).values(**values, **common))


def test_outside_their_hours_the_mail_waits_for_them(
    rui: TestClient, answered: Answered, database: Database, cast: Cast
) -> None:
    (number,) = answered(1, comment="We count in half an hour.")
    wish(database, cast.maria, hours_from=time(16))
    assert rui.post(f"/staff/insights/comments/{number}/quote", data={"words": "We count"}).status_code == 303
    four = datetime(2026, 6, 23, 19, tzinfo=UTC)
    with database.read() as db:
        assert db.scalars(select(LetterRow.due_at).where(LetterRow.kind == Kind.QUOTE_REQUEST)).one() == four
        line = db.scalars(select(RequestRow)).one()
    assert (line.became, line.why, line.at) == (Became.MAIL, Why.OUT_OF_HOURS, four)


def test_a_request_that_may_not_leave_asked_for_nothing_and_the_page_says_why(
    rui: TestClient, answered: Answered, database: Database, house: House, road: Road
) -> None:
    first, second = answered(2, comment="We count in half an hour.")
    form = {"words": "We count"}
    assert rui.post(f"/staff/insights/comments/{first}/quote", data=form).status_code == 303
    with database.write() as db:
        db.execute(update(JourneyRow).where(JourneyRow.id == road.lumen).values(open_flags=1))
    for _ in range(2):
        delivery.deliver(house, composers=COMPOSERS, turns=TURNS, now=NOON)
    page = seen(rui, "/staff/insights/quotes")
    assert (
        "Not sent" in page
        and "The mail didn’t go out. They told us that something is wrong: settle that first." in page
    )
    assert rui.post(f"/staff/insights/comments/{second}/quote", data=form).status_code == 422
    assert "Not sent" in seen(rui, "/staff/insights/quotes"), "a refused attempt takes nothing off the page"
    with database.read() as db:
        assert db.scalar(select(func.count()).select_from(RequestRow)) == 0
        letter = db.scalars(select(LetterRow).where(LetterRow.kind == Kind.QUOTE_REQUEST)).one()
    assert letter.why == "They told us that something is wrong: settle that first."
    with database.write() as db:  # settled: another of their comments, or the same, can be asked for
        db.execute(update(JourneyRow).where(JourneyRow.id == road.lumen).values(open_flags=0))
    assert rui.post(f"/staff/insights/comments/{second}/quote", data=form).status_code == 303
    delivery.deliver(house, composers=COMPOSERS, turns=TURNS, now=NOON)
    with database.read() as db:
        assert db.scalars(select(Quote.answer_id)).all() == [second]
        sent = select(func.count()).where(LetterRow.kind == Kind.QUOTE_REQUEST, LetterRow.sent_at.is_not(None))
        assert db.scalar(sent) == 1


def test_a_request_that_could_not_be_delivered_says_so_and_can_be_made_again(
    rui: TestClient, answered: Answered, database: Database, house: House, cast: Cast, smtp_sink: servers.SmtpSink
) -> None:
    (number,) = answered(1, comment="We count in half an hour.")
    at, form = f"/staff/insights/comments/{number}/quote", {"words": "We count"}
    assert rui.post(at, data=form).status_code == 303
    with_a_server = replace(house, settings=house.settings.model_copy(update={"smtp_url": smtp_sink.url}))

    def send() -> None:
        delivery.deliver(with_a_server, composers=COMPOSERS, turns=TURNS, now=NOON)

    smtp_sink.refuse_next("550 5.1.1 No such user", times=9)
    send()
    page = seen(rui, "/staff/insights/quotes")
    assert "Could not be delivered" in page and "Asked, no answer yet" not in page
    assert "Check the address, then ask again; or ask when you talk to them." in page
    assert f'href="{at}"' in rui.get("/staff/insights/quotes").text
    with database.write() as db:
        db.execute(update(Contact).where(Contact.id == cast.maria).values(email="maria.new@lumen.example"))
    assert rui.post(at, data=form).status_code == 303, "what came to nobody draws on no budget"
    smtp_sink.forget()
    send()
    assert [one.recipients for one in smtp_sink.received] == [("maria.new@lumen.example",)]
    page = seen(rui, "/staff/insights/quotes")
    assert "Asked, no answer yet" in page and "Could not be delivered" not in page
    with database.write() as db:
        old = db.scalars(select(LetterRow.id).where(LetterRow.key.contains(":unsent:"))).one()
        assert not mail.retry(db, old, now=NOON), "the old mail can't be tried again"
        assert db.scalars(select(Quote.answer_id)).all() == [number]
    with database.read() as db:
        assert db.scalars(select(RequestRow.asked)).all() == [Asked.QUOTE]


def test_nothing_can_be_copied_before_they_say_yes_and_only_what_they_allowed_after(
    rui: TestClient, browser: Callable[[], TestClient], asked: str, database: Database
) -> None:
    person = browser()
    assert "We count in half an hour." in person.get(asked).text
    assert "data-copy" not in rui.get("/staff/insights/quotes").text
    # A machine that opens the link and presses the only button has chosen nothing.
    assert person.post(asked).status_code == 422
    assert person.post(asked, data={"choice": "everything"}).status_code == 422
    assert person.post(asked, data={"choice": "first_name_and_company"}).status_code == 303
    with database.read() as db:
        quote = db.scalars(select(Quote)).one()
        assert (quote.shown_as, quote.consented_at, quote.may_be_shown) == (
            ShownAs.FIRST_NAME_AND_COMPANY, NOON, True,
        )  # fmt: skip
        assert quote.consent.startswith("I agree that")
    page = rui.get("/staff/insights/quotes").text
    assert "“We count in half an hour.”\nMaria, Lumen</textarea>" in page and "data-copy" in page
    assert "private" not in page
    assert events(database, Happened.QUOTE_ALLOWED) == 1


def test_it_can_be_taken_back_and_given_again(
    rui: TestClient, browser: Callable[[], TestClient], asked: str, database: Database
) -> None:
    person = browser()
    person.post(asked, data={"choice": "company"})
    person.post(asked, data={"choice": "no"})
    assert "You took your words back." in person.get(asked).text
    page = rui.get("/staff/insights/quotes").text
    assert "data-copy" not in page and "Taken back" in page
    person.post(asked, data={"choice": "nobody"})
    assert "data-copy" in rui.get("/staff/insights/quotes").text
    assert [events(database, each) for each in (Happened.QUOTE_ALLOWED, Happened.QUOTE_WITHDRAWN)] == [2, 1]


def test_a_no_is_a_no_and_a_link_of_somebody_else_s_is_none(
    rui: TestClient, browser: Callable[[], TestClient], asked: str
) -> None:
    person = browser()
    person.post(asked, data={"choice": "no"})
    person.post(asked, data={"choice": "no"})
    assert "Said no" in seen(rui, "/staff/insights/quotes")
    assert person.get(asked[:-2] + "zz").status_code == 404
    assert person.get("/quotes/1.nothing").status_code == 404
