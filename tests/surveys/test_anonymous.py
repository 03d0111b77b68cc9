"""Anonymous surveys, on both databases: sent to many, answered once by whoever has the link, and nothing anywhere says who
said what."""

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from html import unescape
from typing import Any

import pytest
from fastapi import FastAPI
from sqlalchemy import insert, select, text
from starlette.testclient import TestClient

from portal import auth, delivery
from portal.accounts.asking import Became, Why
from portal.accounts.asking_models import RequestRow
from portal.app import create_app
from portal.db import Base
from portal.errors import Refused
from portal.house import House
from portal.mail import Kind, LetterRow, MailRefusal, Purpose, address_hash
from portal.surveys import anonymous, rounds, triggers
from portal.surveys.models import Invitation, Survey
from portal.surveys.moments import TriggerKind
from portal.surveys.round_models import AnonymousAnswer, AnonymousTicket, SurveyRound
from portal.surveys.rounds import Changed, Segment, TooFew, TooMany
from portal.surveys.rules import Answers, Question, QuestionKind, SurveyForm, SurveyPurpose, Wording
from portal.surveys.stored import stored_form
from portal.web import SESSION_COOKIE, cookie_name
from portal.worker import COMPOSERS
from tests.surveys.conftest import START, Customer, Town
from tests.surveys.test_further import work

NAMELESS = SurveyForm(
    id=0,
    key="honestly",
    name=Wording("Honestly", "Com sinceridade"),
    purpose=SurveyPurpose.OTHER,
    is_anonymous=True,
    questions=(
        Question("csat", QuestionKind.CSAT, Wording("How satisfied are you?", "O quanto você está satisfeito?")),
        Question("fair", QuestionKind.YES_NO, Wording("Is the price fair?", "O preço é justo?")),
        Question("comment", QuestionKind.TEXT, Wording("What should we know?", "O que devemos saber?")),
        Question("wants_help", QuestionKind.YES_NO, Wording("Do you want help?", "Quer ajuda?")),
    ),
)
SECRET_WORDS = "Nobody may know that I wrote this"


@pytest.fixture
def crowd(town: Town) -> list[Customer]:
    """Six customers with one person each, and an anonymous survey to send them."""
    some = [town.customer(name=f"Person {n}", email=f"p{n}@lumen.example") for n in range(6)]
    with town.house.database.write() as db:
        db.execute(insert(Survey).values(**stored_form(NAMELESS), version=1, created_at=START))
    return some


def send(town: Town, *, people: int = 6, key: str = "once", house: House | None = None) -> int:
    with town.house.database.write() as db:
        return rounds.send(
            db, house or town.house, key=key, survey_key="honestly", segment=Segment(), shown=people, is_sure=False, by="staff:3",
            now=START,
        )  # fmt: skip


def mailed(town: Town) -> list[str]:
    """Lets the mails leave; gives the links in them, by letter."""
    links: list[str] = []

    def seen(db: Any, house: House, row: LetterRow) -> dict[str, Any]:
        gives = anonymous.compose(db, house, row)
        links.append(gives["answer_url"])
        return gives

    work(town, START)
    composers = {**COMPOSERS, Kind.SURVEY_ANONYMOUS: seen}
    while delivery.deliver(town.house, composers=composers, now=START):
        pass
    return [link.rpartition("/")[2] for link in links]


@pytest.fixture
def app(house: House) -> Iterator[FastAPI]:
    made = create_app(house.settings, house.clock)
    yield made
    made.state.wiring.house.database.close()


@pytest.fixture
def browser(app: FastAPI) -> TestClient:
    return TestClient(app, follow_redirects=False, headers={"Sec-Fetch-Site": "same-origin"})


def everything(house: House) -> dict[str, list[dict[str, Any]]]:
    """All rows of all tables, as the database gives them when nobody asks for an order."""
    with house.database.read() as db:
        return {
            table.name: [dict(row._mapping) for row in db.execute(select(table))]
            for table in Base.metadata.sorted_tables
        }


def answer_in(browser: TestClient, house: House, token: str, **fields: str) -> Any:
    shown = unescape(browser.get(f"/a/{token}").text)
    sealed = re.findall(r'name="form" value="([^"]+)"', shown)[0]
    house.clock.set(house.clock.now() + timedelta(seconds=20))  # type: ignore[attr-defined]
    return browser.post(f"/a/{token}", data={"form": sealed, "mine": "yes", **fields})


def test_end_to_end_and_once(town: Town, crowd: list[Customer], browser: TestClient) -> None:
    send(town)
    tokens = mailed(town)
    assert len(set(tokens)) == 6
    page = browser.get(f"/a/{tokens[0]}?csat=2")
    assert page.status_code == 200
    shown = unescape(page.text)
    assert "Nobody will know that this is you." in shown
    assert "Person 0" not in shown and "Do you want help?" not in shown
    assert re.search(r'value="2"[^>]* checked', shown)
    thanked = answer_in(browser, town.house, tokens[0], csat="2", answer_fair="no", comment=SECRET_WORDS)
    assert (thanked.status_code, thanked.headers["location"]) == (303, f"/a/{tokens[0]}/thanks")
    assert "Nobody knows that this was you." in unescape(browser.get(f"/a/{tokens[0]}/thanks").text)
    again = browser.get(f"/a/{tokens[0]}")
    assert (again.status_code, "was used already" in unescape(again.text)) == (410, True)
    assert browser.post(f"/a/{tokens[0]}", data={"csat": "5", "mine": "yes"}).status_code == 410
    with town.house.database.read() as db:
        [kept] = db.scalars(select(AnonymousAnswer)).all()
        assert len(db.scalars(select(AnonymousTicket)).all()) == 5
    assert (kept.csat, kept.others, kept.comment, kept.week) == (2, {"fair": False}, SECRET_WORDS, date(2026, 6, 1))


def test_nothing_anywhere_links_an_answer_to_a_person(
    town: Town, crowd: list[Customer], app: FastAPI, browser: TestClient
) -> None:
    """The whole database before and after an answer: a ticket is gone and an answer is there, nothing else, although the
    person is signed in with a session that has slept; and the answer holds nothing that any other row holds."""
    send(town)
    tokens = mailed(town)
    house = town.house
    with house.database.write() as db:
        cookie = auth.open_session(db, contact_id=crowd[3].contact_id, staff_id=None, way="test", now=START)
    browser.cookies.set(cookie_name(house.settings, SESSION_COOKIE), cookie)
    house.clock.set(START + timedelta(minutes=25))  # type: ignore[attr-defined]
    before = everything(house)
    answer_in(browser, house, tokens[3], csat="1", comment=SECRET_WORDS)
    after = everything(house)
    changed = {name for name in before if before[name] != after[name]}
    assert changed == {"anonymous_tickets", "anonymous_answers"}
    gone = [row for row in before["anonymous_tickets"] if row not in after["anonymous_tickets"]]
    assert len(gone) == 1 and len(after["anonymous_tickets"]) == 5
    [answer] = after["anonymous_answers"]
    assert set(answer) == {"id", "round_id", "csat", "nps", "comment", "others", "week"}
    assert set(gone[0]) == {"hash", "round_id"}
    elsewhere = json.dumps({**after, "anonymous_answers": [], "anonymous_tickets": []}, default=str)
    for told in (answer["id"], SECRET_WORDS, *tokens, *(row["hash"] for row in before["anonymous_tickets"])):
        assert told not in elsewhere
    assert [row for row in after["invitations"] if row["survey_id"] == after["survey_rounds"][0]["survey_id"]] == []


def test_no_order_of_rows_tells_who_was_first(town: Town, crowd: list[Customer]) -> None:
    """Rows come back in the order of chance, not of mails or answers; on SQLite there is no hidden number to sort by."""
    send(town)
    house = town.house
    with house.database.write() as db:
        assert anonymous.mix_tickets(db, START) == 0, "nobody was written to yet"
    tokens = mailed(town)
    with house.database.write() as db:
        assert anonymous.mix_tickets(db, START) == 1
        assert anonymous.mix_tickets(db, START) == 0
    tickets = [row["hash"] for row in everything(house)["anonymous_tickets"]]
    assert tickets in (sorted(tickets), sorted(tickets, reverse=True))
    for n, token in enumerate(tokens):
        with house.database.write() as db:
            said = Answers(csat=1 + n % 5, comment=f"{n}")
            anonymous.answer(db, token=token, answers=said, zone="UTC", now=START)
    assert everything(house)["anonymous_tickets"] == []
    if house.database.dialect == "sqlite":
        with house.database.read() as db:
            for table in ("anonymous_tickets", "anonymous_answers"):
                made = db.scalar(text("SELECT sql FROM sqlite_schema WHERE name = :table"), {"table": table})
                assert "WITHOUT ROWID" in str(made)
        ids = [row["id"] for row in everything(house)["anonymous_answers"]]
        assert ids in (sorted(ids), sorted(ids, reverse=True))


def test_the_migrations_make_them_without_hidden_numbers_too() -> None:
    options = {name: Base.metadata.tables[name].dialect_options["sqlite"]["with_rowid"] for name in NAMELESS_TABLES}
    assert options == {"anonymous_answers": False, "anonymous_tickets": False}
    for name in NAMELESS_TABLES:
        columns = {column.name for column in Base.metadata.tables[name].columns}
        assert not columns & {"contact_id", "account_id", "journey_id", "invitation_id", "at", "submitted_at", "by"}


NAMELESS_TABLES = ("anonymous_answers", "anonymous_tickets")


def test_groups_under_five_are_never_shown_and_nothing_before_the_end(town: Town, crowd: list[Customer]) -> None:
    number = send(town)
    tokens = mailed(town)
    house = town.house

    def shown_at(moment: Any) -> anonymous.Shown:
        with house.database.read() as db:
            found = db.get_one(SurveyRound, number)
            return anonymous.shown(db, found, moment)

    def say(token: str, score: int) -> None:
        with house.database.write() as db:
            anonymous.answer(db, token=token, answers=Answers(csat=score, comment="so"), zone="UTC", now=START)

    over = START + timedelta(days=30)
    for token in tokens[:4]:
        say(token, 4)
    assert (shown_at(START), shown_at(over)) == (anonymous.Shown(None, None), anonymous.Shown(None, None))
    say(tokens[4], 1)
    assert shown_at(START) == anonymous.Shown(5, None)
    told = shown_at(over).results
    assert told is not None
    assert (told.answers, dict(told.csat), list(told.words)) == (5, {4: 4, 1: 1}, [("comment", "so")] * 5)
    with house.database.write() as db:
        assert anonymous.forget_tickets(db, over) == 1
        with pytest.raises(anonymous.Used):
            anonymous.answer(db, token=tokens[5], answers=Answers(csat=1), zone="UTC", now=over)


def test_a_button_pressed_by_a_program_keeps_nothing(town: Town, crowd: list[Customer], browser: TestClient) -> None:
    send(town)
    token = mailed(town)[0]
    shown = unescape(browser.get(f"/a/{token}?csat=1").text)
    sealed = re.findall(r'name="form" value="([^"]+)"', shown)[0]
    at_once = browser.post(f"/a/{token}", data={"form": sealed, "csat": "1", "mine": "yes"})
    town.house.clock.set(START + timedelta(minutes=1))  # type: ignore[attr-defined]
    unticked = browser.post(f"/a/{token}", data={"form": sealed, "csat": "1"})
    trapped = browser.post(f"/a/{token}", data={"form": sealed, "csat": "1", "mine": "yes", "subject": "x"})
    assert [r.status_code for r in (at_once, unticked, trapped)] == [422, 422, 422]
    with town.house.database.read() as db:
        assert db.scalars(select(AnonymousAnswer)).all() == []
    wrong = answer_in(browser, town.house, token, csat="9", comment="kept")
    assert wrong.status_code == 422 and "kept" in wrong.text
    assert answer_in(browser, town.house, token, csat="1").status_code == 303


def test_who_cant_get_a_mail_is_not_asked_and_their_page_says_so(town: Town, crowd: list[Customer]) -> None:
    with town.house.database.write() as db:
        refusal = {"address_hash": address_hash("p0@lumen.example"), "purpose": Purpose.SURVEY, "at": START}
        db.execute(insert(MailRefusal).values(refusal))
    send(town)
    assert len(mailed(town)) == 5
    with town.house.database.read() as db:
        kept = db.execute(
            select(RequestRow.became, RequestRow.why).where(RequestRow.contact_id == crowd[0].contact_id)
        ).all()
        assert [tuple(row) for row in kept] == [(Became.NOTHING, Why.REFUSED)]
        assert db.scalars(select(Invitation).where(Invitation.day.is_(None))).all() == []


def test_it_needs_at_least_five_and_goes_by_hand_only(town: Town) -> None:
    for n in range(4):
        town.customer(email=f"p{n}@lumen.example")
    with town.house.database.write() as db:
        db.execute(insert(Survey).values(**stored_form(NAMELESS), version=1, created_at=START))
    with pytest.raises(TooFew):
        send(town, people=4)
    with town.house.database.write() as db, pytest.raises(Refused, match="only be sent to many people"):
        triggers.add_trigger(
            db, survey_key="honestly", kind=TriggerKind.MEETING, days=1, stage="", by="staff:3", now=START
        )


def test_pressed_twice_it_is_sent_once_and_many_need_a_yes(town: Town, crowd: list[Customer]) -> None:
    assert send(town) == send(town)
    assert len(mailed(town)) == 6
    strict = replace(town.house, settings=town.house.settings.model_copy(update={"storm_limit": 5}))
    with pytest.raises(TooMany):
        send(town, key="another", house=strict)
    with pytest.raises(Changed):
        send(town, key="another", people=7)
