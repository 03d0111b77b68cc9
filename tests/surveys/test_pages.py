"""The survey's pages as people and machines meet them: by the mail's link, and signed in."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import timedelta
from html import unescape
from pathlib import Path

import pytest
from fastapi import FastAPI
from httpx2 import Response
from sqlalchemy import insert, select, update
from starlette.testclient import TestClient

from portal import auth, links, mail
from portal.accounts.models import Contact
from portal.accounts.rules import Language
from portal.app import create_app
from portal.house import House
from portal.journeys import cases
from portal.journeys.models import Flag
from portal.journeys.rules import FlagOutcome
from portal.mail import Kind
from portal.surveys.models import AnswerRow, Invitation, Survey
from portal.surveys.paths import own_path, sealed_path
from portal.surveys.rules import Option, Provenance, Question, QuestionKind, ShowHow, ShowIf, Wording
from portal.surveys.shipped import SHIPPED
from portal.surveys.stored import stored_form
from portal.web import SESSION_COOKIE, cookie_name
from tests.surveys.conftest import DAY_30, START, Customer, Later, Town, form_of


@pytest.fixture
def app(house: House) -> Iterator[FastAPI]:
    made = create_app(house.settings, house.clock)
    yield made
    made.state.wiring.house.database.close()


@pytest.fixture
def browser(app: FastAPI) -> TestClient:
    return TestClient(app, follow_redirects=False, headers={"Sec-Fetch-Site": "same-origin"})


@pytest.fixture
def link(town: Town, maria: Customer) -> str:
    """The path of Maria's mail."""
    invitation = town.invitation(maria)
    return sealed_path(town.house, invitation.id, invitation.nonce)


def sign_in(browser: TestClient, house: House, contact_id: int) -> None:
    with house.database.write() as db:
        token = auth.open_session(db, contact_id=contact_id, way="test", now=house.clock.now())
    browser.cookies.set(cookie_name(house.settings, SESSION_COOKIE), token)


def send(browser: TestClient, town: Town, link: str, data: Mapping[str, str], **headers: str) -> Response:
    """As a person does it: the form was open for a while, and this is what they chose in it."""
    return browser.post(link, data={**data, "form": form_of(town.house, link)}, headers=headers)


def text_of(page: str) -> str:
    """What a reader sees, roughly."""
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", re.sub(r"(?s)<(script|svg).*?</\1>", "", page))))


def chosen(page: str, name: str) -> list[str]:
    return re.findall(rf'<input type="radio" name="{name}" value="(\w+)" checked', page)


def answers(house: House) -> list[AnswerRow]:
    with house.database.read() as db:
        return list(db.scalars(select(AnswerRow).order_by(AnswerRow.id)))


# Opening


def test_the_form_greets_by_name_says_the_minutes_and_who_reads(browser: TestClient, link: str) -> None:
    page = browser.get(link)
    assert page.status_code == 200
    seen = text_of(page.text)
    for words in (
        "Hello Maria",
        "About 2 minutes",
        "How satisfied are you with Onward so far?",
        "How likely are you to recommend Onward to a friend or colleague?",
        "Read by Carla Nunes and the team lead",
        "Send my answers",
    ):
        assert words in seen
    assert (chosen(page.text, "csat"), chosen(page.text, "nps")) == ([], [])
    assert page.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    ("query", "csat", "nps"),
    [
        ("?nps=7", [], ["7"]),
        ("?nps=0", [], ["0"]),
        ("?csat=3", ["3"], []),
        ("?nps=11", [], []),
        ("?nps=-1&csat=", [], []),
        ("?nps=%00%ff", [], []),
        ("?nps=7&nps=9", [], ["9"]),
    ],
)
def test_the_link_of_a_score_chooses_that_score_and_answers_nothing(
    browser: TestClient, town: Town, link: str, query: str, csat: list[str], nps: list[str]
) -> None:
    page = browser.get(link + query)
    assert (page.status_code, chosen(page.text, "csat"), chosen(page.text, "nps")) == (200, csat, nps)
    assert answers(town.house) == []


def test_the_page_speaks_the_contacts_language_until_they_choose_another(
    browser: TestClient, town: Town, maria: Customer, link: str
) -> None:
    with town.house.database.write() as db:
        db.execute(update(Contact).where(Contact.id == maria.contact_id).values(language=Language.PT_BR))
    page = browser.get(link, headers={"Accept-Language": "en"})
    assert '<html lang="pt-BR"' in page.text
    seen = text_of(page.text)
    for words in ("O quanto você está satisfeito com Onward até aqui?", "Olá, Maria", "Enviar minhas respostas"):
        assert words in seen
    browser.cookies.set("language", "en")
    assert '<html lang="en"' in browser.get(link).text


def test_the_why_has_words_for_every_score_and_without_script_those_that_fit_all(
    browser: TestClient, link: str
) -> None:
    page = browser.get(link).text
    assert '<span data-said="">What’s behind your score?</span>' in page
    assert '<span data-said="dissatisfied" hidden>What isn’t working for you?</span>' in page
    assert 'data-csat="2 4" data-nps="6 7"' in page


# Sending


def test_send_stores_the_answer_and_thanks(browser: TestClient, town: Town, link: str) -> None:
    sealed = re.search(r'name="form" value="([^"]+)"', browser.get(link, headers={"Accept": "text/html"}).text)
    assert sealed is not None
    town.house.clock.set(DAY_30 + timedelta(seconds=42))  # type: ignore[attr-defined]
    sent = browser.post(
        link,
        data={"csat": "5", "nps": "9", "comment": " Counting is quick \r\nnow ", "form": sealed[1]},
        headers={"User-Agent": "Firefox"},
    )
    assert (sent.status_code, sent.headers["location"]) == (303, f"{link}/thanks")
    (row,) = answers(town.house)
    assert (row.csat, row.nps, row.comment, row.wants_help, row.provenance, row.evidence) == (
        5,
        9,
        "Counting is quick \nnow",
        None,
        Provenance.MAIL_LINK,
        {
            "browser": "Firefox",
            "way": "mail_link",
            "shown_at": DAY_30.isoformat(),
            "shown_to": "browser",
            "open_seconds": 42.0,
            "scores_opened": 0,
            "delivered_at": None,
        },
    )
    thanks = text_of(browser.get(f"{link}/thanks").text)
    assert "You gave us a 9" in thanks
    assert "Invite a friend" in thanks


def test_sent_again_it_thanks_again_and_counts_once(browser: TestClient, town: Town, link: str) -> None:
    data = {"csat": "5", "form": form_of(town.house, link)}
    for again in (data, data, {"csat": "5"}, {"csat": "nonsense"}):
        assert browser.post(link, data=again).headers["location"] == f"{link}/thanks"
    assert browser.get(link).headers["location"] == f"{link}/thanks"
    assert [row.csat for row in answers(town.house)] == [5]


def test_an_unhappy_answer_is_told_by_when_who_gets_in_touch(browser: TestClient, town: Town, link: str) -> None:
    send(browser, town, link, {"csat": "2", "nps": "4", "comment": "It keeps failing", "wants_help": "yes"})
    thanks = text_of(browser.get(f"{link}/thanks").text)
    assert "Thank you for being straight with us." in thanks
    # 09:00 on Wednesday, eight business hours to act.
    assert "Carla gets in touch with you by Wed 1 July, 17:00." in thanks
    assert "carla@onward.example" in thanks
    assert "Invite a friend" not in thanks
    for inside in ("flag", "detractor", "promoter", "dissatisfied"):
        assert inside not in thanks.lower()
    with town.house.database.write() as db:
        flag_id = db.scalars(select(Flag.id)).one()
        cases.act_on_flag(db, flag_id=flag_id, how="call", by="staff:1", now=DAY_30)
    assert "Carla is on it." in text_of(browser.get(f"{link}/thanks").text)
    with town.house.database.write() as db:
        cases.resolve_flag(
            db,
            town.house,
            flag_id=flag_id,
            outcome=FlagOutcome.RESOLVED,
            note="Fixed",
            by="staff:1",
            now=DAY_30,
        )
    assert "We have looked into it" in text_of(browser.get(f"{link}/thanks").text)


def test_a_middling_answer_looks_for_the_gap(browser: TestClient, town: Town, link: str) -> None:
    send(browser, town, link, {"csat": "3", "nps": "8"})
    thanks = text_of(browser.get(f"{link}/thanks").text)
    assert "Good isn’t great: let’s find the gap." in thanks
    assert "Carla will ask you what would make it better." in thanks


@pytest.mark.parametrize("scores", [{"csat": "1"}, {"csat": "3"}, {"nps": "10"}])
def test_thanks_are_said_in_portuguese_too(
    browser: TestClient, town: Town, maria: Customer, link: str, scores: dict[str, str]
) -> None:
    with town.house.database.write() as db:
        db.execute(update(Contact).where(Contact.id == maria.contact_id).values(language=Language.PT_BR))
    send(browser, town, link, scores)
    page = browser.get(f"{link}/thanks").text
    assert "Obrigado" in text_of(page)
    assert "Thank you" not in page


def test_thanks_before_an_answer_lead_to_the_form(browser: TestClient, link: str) -> None:
    assert browser.get(f"{link}/thanks").headers["location"] == link


@pytest.mark.parametrize(
    ("data", "says"),
    [
        ({}, "Please choose a number, or tell us that you would like help."),
        ({"comment": "Only words"}, "Please choose a number, or tell us that you would like help."),
        ({"csat": "6"}, "Please choose a number from 1 to 5."),
        ({"csat": "0"}, "Please choose a number from 1 to 5."),
        ({"nps": "11"}, "Please choose a number from 0 to 10."),
        ({"nps": "-1"}, "Please choose a number from 0 to 10."),
        ({"csat": "very"}, "Please enter a whole number."),
        ({"csat": "4.5"}, "Please enter a whole number."),
        ({"nps": "9" * 30}, "That number is too large."),
        ({"csat": "4", "wants_help": "perhaps"}, "Please choose one from the list."),
        ({"csat": "4", "comment": "nul \0 here"}, "Please remove the invisible control characters."),
        ({"csat": "4", "comment": "x" * 65536}, "Please shorten this to 10000 characters."),
    ],
)
def test_what_is_wrong_stands_beside_the_field_and_what_was_typed_stays(
    browser: TestClient, town: Town, link: str, data: dict[str, str], says: str
) -> None:
    page = browser.post(link, data={"nps": "8", **data} if says.endswith("characters.") else data)
    assert page.status_code == 422
    assert page.text.count('class="error"') == 1
    assert says in text_of(page.text)
    if data.get("comment", "").isprintable():
        assert data.get("comment", "") in page.text
    assert answers(town.house) == []


def test_a_surrogate_in_a_comment_is_no_crash(browser: TestClient, town: Town, link: str) -> None:
    body = b"csat=5&comment=%ED%A0%80+odd+%FF&form=" + form_of(town.house, link).encode()
    sent = browser.post(link, content=body, headers={"Content-Type": "application/x-www-form-urlencoded"})
    assert sent.status_code in (303, 422)
    assert len(answers(town.house)) == (1 if sent.status_code == 303 else 0)


@pytest.mark.parametrize(
    "words", ["<script>alert(1)</script>", "{{ 7*7 }}", "' OR 1=1 --", "</textarea><b>", "😀 ação"]
)
def test_text_is_text(browser: TestClient, town: Town, link: str, words: str) -> None:
    page = browser.post(link, data={"csat": "6", "comment": words})
    assert page.status_code == 422
    assert "<script>alert" not in page.text
    assert "</textarea><b>" not in page.text
    assert send(browser, town, link, {"csat": "5", "comment": words}).status_code == 303
    assert [row.comment for row in answers(town.house)] == [words]


def test_words_light_up_the_progress_as_scores_do(browser: TestClient, link: str) -> None:
    """The style sheet knows by these two whether something was written: without a script."""
    page = browser.get(link).text
    fields = re.findall(r"<textarea[^>]*>", page)
    assert fields != []
    assert all('class="said"' in field and 'placeholder=" "' in field for field in fields)
    assert ".said:not(:placeholder-shown)" in Path("static/css/customer.css").read_text()


def test_another_site_cannot_send_it(app: FastAPI, town: Town, link: str) -> None:
    foreign = TestClient(app, follow_redirects=False, headers={"Sec-Fetch-Site": "cross-site"})
    assert foreign.post(link, data={"csat": "5"}).status_code == 403
    assert answers(town.house) == []


def test_who_is_signed_in_as_that_person_proves_more_than_the_link(
    browser: TestClient, town: Town, maria: Customer, link: str
) -> None:
    sign_in(browser, town.house, maria.contact_id)
    send(browser, town, link, {"csat": "5"})
    assert [row.provenance for row in answers(town.house)] == [Provenance.SIGNED_IN]


# Links that open nothing


def broken_links(link: str) -> dict[str, str]:
    token = link.removeprefix("/s/")
    row, _, mac = token.partition(".")
    return {
        "cut": f"/s/{token[:-3]}",
        "another row": f"/s/{int(row) + 1}.{mac}",
        "no mac": f"/s/{row}",
        "words": "/s/hello",
        "huge": f"/s/{'9' * 150}.{mac}",
    }


@pytest.mark.parametrize("kind", ["cut", "another row", "no mac", "words", "huge"])
def test_a_broken_link_is_a_friendly_page_and_takes_nothing(
    browser: TestClient, town: Town, link: str, kind: str
) -> None:
    path = broken_links(link)[kind]
    for page in (browser.get(path), browser.post(path, data={"csat": "1"}), browser.get(f"{path}/thanks")):
        assert page.status_code == 404
        seen = text_of(page.text)
        assert "This link is not complete" in seen
        assert "Sign in and answer there" in seen
        assert "Maria" not in seen
        assert ("Mail me a fresh link" in seen) is (kind in ("cut", "another row"))
    assert answers(town.house) == []


def test_a_link_of_another_purpose_opens_nothing(browser: TestClient, town: Town, maria: Customer) -> None:
    invitation = town.invitation(maria)
    token = links.seal(town.house.secret, "unsubscribe", invitation.id, invitation.nonce)
    assert browser.get(f"/s/{token}").status_code == 404


def test_a_fresh_link_goes_only_to_the_address_on_file_and_says_nothing_more(
    browser: TestClient, town: Town, maria: Customer, link: str
) -> None:
    cut = broken_links(link)["cut"]
    known, unknown = browser.post(f"{cut}/fresh"), browser.post("/s/4711.abc/fresh")
    assert (known.status_code, known.headers["location"]) == (303, cut)
    assert unknown.status_code == 303
    seen = text_of(browser.get(cut).text)
    assert "If that survey is still open, a fresh link is on its way" in seen
    with town.house.database.read() as db:
        sent = [m for m in mail.messages(db, journey_id=maria.journey_id) if m.kind is Kind.SURVEY_30]
    assert [m.to_email for m in sent] == ["maria@lumen.example"] * 2


def test_fresh_links_can_not_be_asked_for_without_end(browser: TestClient) -> None:
    got = [browser.post(f"/s/{n}.abc/fresh").status_code for n in range(1, 13)]
    assert got == [303] * 10 + [429] * 2


def test_a_closed_survey_says_whom_to_talk_to(browser: TestClient, town: Town, link: str, later: Later) -> None:
    town.house.clock.set(later(22))  # type: ignore[attr-defined]
    for page in [browser.post(link, data={"csat": "1", "comment": "It broke"})]:
        assert page.status_code == 410
        seen = text_of(page.text)
        assert "This check-in is closed, Maria" in seen
        assert "Carla Nunes" in seen
    assert "It broke" in seen
    assert answers(town.house) == []


def test_who_answered_in_time_sees_the_thanks_for_good(
    browser: TestClient, town: Town, link: str, later: Later
) -> None:
    send(browser, town, link, {"csat": "5"})
    town.house.clock.set(later(60))  # type: ignore[attr-defined]
    assert browser.get(link).headers["location"] == f"{link}/thanks"
    assert browser.get(f"{link}/thanks").status_code == 200


# Signed in


def test_the_same_form_waits_in_the_portal(browser: TestClient, town: Town, maria: Customer) -> None:
    sign_in(browser, town.house, maria.contact_id)
    path = own_path(town.invitation(maria).id)
    assert "Hello Maria" in text_of(browser.get(path).text)
    assert browser.post(path, data={"csat": "9"}).status_code == 422
    sent = browser.post(path, data={"csat": "5", "nps": "10"})
    assert (sent.status_code, sent.headers["location"]) == (303, f"{path}/thanks")
    assert browser.get(f"{path}/thanks").status_code == 200
    assert [row.provenance for row in answers(town.house)] == [Provenance.SIGNED_IN]


def test_a_survey_refused_as_a_mail_is_answered_in_the_portal(browser: TestClient, town: Town) -> None:
    joao = town.customer(name="João Lima", email="joao@lumen.example")
    with town.house.database.write() as db:
        refusal = {"address_hash": mail.address_hash("joao@lumen.example"), "purpose": mail.Purpose.SURVEY}
        db.add(mail.MailRefusal(**refusal, at=START))
    town.live_until(DAY_30)
    invitation = town.invitation(joao)
    assert browser.get(sealed_path(town.house, invitation.id, invitation.nonce)).status_code == 410
    sign_in(browser, town.house, joao.contact_id)
    assert browser.get(own_path(invitation.id)).status_code == 200
    assert browser.post(own_path(invitation.id), data={"nps": "9"}).status_code == 303


def test_nobody_else_finds_it_not_even_a_colleague(browser: TestClient, town: Town, maria: Customer) -> None:
    sofia = town.customer(name="Sofia Alves", email="sofia@verdant.example")
    with town.house.database.write() as db:
        joao = Contact(
            account_id=maria.account_id,
            name="João Lima",
            email="joao@lumen.example",
            language=Language.EN,
            timezone="America/Sao_Paulo",
            created_at=START,
        )
        db.add(joao)
        db.flush()
        joao_id = joao.id
    path = own_path(town.invitation(maria).id)
    assert browser.get(path).status_code == 303
    for contact_id in (sofia.contact_id, joao_id):
        sign_in(browser, town.house, contact_id)
        for page in (
            browser.get(path),
            browser.post(path, data={"csat": "1"}),
            browser.get(f"{path}/thanks"),
        ):
            assert page.status_code == 404
            assert "Maria" not in page.text
    assert answers(town.house) == []


def test_the_clock_of_the_page_is_the_readers(browser: TestClient, town: Town, maria: Customer, link: str) -> None:
    with town.house.database.write() as db:
        db.execute(update(Contact).where(Contact.id == maria.contact_id).values(timezone="Europe/Lisbon"))
    send(browser, town, link, {"csat": "1"})
    assert "by Wed 1 July, 21:00." in text_of(browser.get(f"{link}/thanks").text)


# Further questions


def asks_further(town: Town, customer: Customer) -> None:
    """Maria's open survey has a rating, choices, and a question that only the unhappy see."""
    options = (Option("a", Wording("Stock", "Estoque")), Option("b", Wording("Prices", "Preços")))
    form = replace(
        SHIPPED[0],
        key="further",
        questions=(
            SHIPPED[0].questions[0],
            Question("pace", QuestionKind.RATING, Wording("How fast?", "Rápido?"), high=10),
            Question("which", QuestionKind.CHOICES, Wording("Which?", "Quais?"), options=options),
            Question(
                "more", QuestionKind.TEXT, Wording("Why?", "Por quê?"), show_if=ShowIf("csat", ShowHow.AT_MOST, 3)
            ),
        ),
    )
    with town.house.database.write() as db:
        new = insert(Survey).values(**stored_form(form), version=1, created_at=DAY_30).returning(Survey.id)
        survey_id = db.execute(new).scalar_one()
        db.execute(update(Invitation).where(Invitation.journey_id == customer.journey_id).values(survey_id=survey_id))


def test_further_questions_are_asked_and_answered_without_script(
    browser: TestClient, town: Town, maria: Customer, link: str
) -> None:
    asks_further(town, maria)
    page = text_of(browser.get(link).text)
    assert "Only if your answer to question 1 is 3 or less." in page and "Stock" in page
    wrong = send(browser, town, link, {"csat": "5", "answer_pace": "11", "answer_which": "b", "answer_more": "x"})
    assert wrong.status_code == 422 and "Please choose a number from 1 to 10." in text_of(wrong.text)
    assert 'value="b" checked' in wrong.text and answers(town.house) == []
    sent = {
        "csat": "5",
        "answer_pace": "8",
        "answer_which": ["a", "b"],
        "answer_more": "hidden",
        "form": form_of(town.house, link),
    }
    assert browser.post(link, data=sent).headers["location"] == f"{link}/thanks"
    assert [row.others for row in answers(town.house)] == [{"pace": 8, "which": ["a", "b"]}]
    changed = browser.get(f"{link}/change").text
    assert changed.count('type="checkbox" name="answer_which" value="a" checked') == 1
    assert browser.post(link, data=sent).status_code == 303 and len(answers(town.house)) == 1


def test_what_is_half_typed_of_further_questions_is_there_again(
    browser: TestClient, town: Town, maria: Customer, link: str
) -> None:
    asks_further(town, maria)
    half = {"answer_pace": "3", "answer_which": ["b"], "form": form_of(town.house, link)}
    assert browser.post(f"{link}/draft", data=half).status_code == 204
    page = browser.get(link).text
    assert chosen(page, "answer_pace") == ["3"] and 'name="answer_which" value="b" checked' in page
    assert answers(town.house) == []
