"""Answers that are changed, half typed, confirmed by their person, or written down on the phone."""

import re
from collections.abc import Iterator
from datetime import timedelta

import pytest
from fastapi import FastAPI
from sqlalchemy import func, select
from starlette.testclient import TestClient

from portal import auth
from portal.app import create_app
from portal.audit import AuditEvent, Happened
from portal.errors import Refused
from portal.house import House
from portal.journeys import cases
from portal.journeys.models import Activity, DueAction, Flag
from portal.journeys.rules import ActivityKind, FlagOutcome
from portal.mail import Kind, LetterRow, Withheld
from portal.surveys import figures, verifying
from portal.surveys.models import AnswerRow, Draft, Quarantine
from portal.surveys.paths import sealed_path
from portal.surveys.rules import Answers, Provenance
from portal.web import SESSION_COOKIE, cookie_name
from tests.journeys.invariants import hold_in_database
from tests.surveys.conftest import DAY_30, Customer, Later, Town, form_of
from tests.surveys.scanners import filled_in
from tests.surveys.test_pages import send, text_of


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
    invitation = town.invitation(maria)
    return sealed_path(town.house, invitation.id, invitation.nonce)


def versions(house: House) -> list[tuple[int | None, int | None, bool]]:
    """CSAT, NPS and whether it counts, oldest first, without what was set aside."""
    with house.database.read() as db:
        rows = db.scalars(select(AnswerRow).where(AnswerRow.quarantined_at.is_(None)).order_by(AnswerRow.id))
        return [(row.csat, row.nps, row.superseded_at is None) for row in rows]


def count(house: House, table: type, **values: object) -> int:
    with house.database.read() as db:
        return db.scalar(select(func.count()).select_from(table).filter_by(**values)) or 0


def change(browser: TestClient, town: Town, link: str, **data: str) -> int:
    """Opens the page for changing and sends it, a while later."""
    fields = filled_in(browser.get(f"{link}/change").text)
    form = form_of(town.house, link)
    return browser.post(link, data={**fields, **data, "form": form}).status_code


# Changes


def test_a_change_counts_instead_and_the_earlier_version_is_kept(browser: TestClient, town: Town, link: str) -> None:
    send(browser, town, link, {"csat": "5", "nps": "9"})
    thanks = text_of(browser.get(f"{link}/thanks").text)
    assert "Change my answer" in thanks
    assert "possible until Wed 8 July" in thanks
    page = browser.get(f"{link}/change").text
    assert (filled_in(page)["csat"], filled_in(page)["nps"]) == ("5", "9")
    assert change(browser, town, link, csat="4") == 303
    assert versions(town.house) == [(5, 9, False), (4, 9, True)]
    with town.house.database.read() as db:
        assert figures.counts(db, figures.Which())[3:6] == (1, 1, 1)
        hold_in_database(db)
    assert count(town.house, AuditEvent, what=Happened.SURVEY_CHANGED) == 1


def test_a_change_for_the_worse_opens_one_case_and_changing_it_again_no_second(
    browser: TestClient, town: Town, maria: Customer, link: str
) -> None:
    send(browser, town, link, {"csat": "5", "nps": "9"})
    assert change(browser, town, link, csat="2", comment="It broke") == 303
    assert change(browser, town, link, csat="1", comment="It broke twice") == 303
    with town.house.database.read() as db:
        (flag,) = db.scalars(select(Flag)).all()
        assert (flag.words, flag.scores["csat"], flag.closed_at) == ("It broke twice", 1, None)
        hold_in_database(db)
    assert change(browser, town, link, csat="5", comment="All well") == 303
    with town.house.database.read() as db:
        assert [flag.closed_at for flag in db.scalars(select(Flag))] == [None]
        hold_in_database(db)
    assert town.journey(maria).open_flags == 1
    assert count(town.house, DueAction, kind="referral_prompt") == 1
    assert count(town.house, LetterRow, kind=Kind.FLAG_OPENED) == 1


def test_a_case_that_a_person_ended_stays_ended_and_a_new_bad_version_opens_another(
    browser: TestClient, town: Town, link: str
) -> None:
    send(browser, town, link, {"csat": "1"})
    with town.house.database.write() as db:
        flag_id = db.scalars(select(Flag.id)).one()
        cases.resolve_flag(
            db, town.house, flag_id=flag_id, outcome=FlagOutcome.RESOLVED, note="Fixed", by="staff:1", now=DAY_30
        )
    assert change(browser, town, link, csat="2") == 303
    with town.house.database.read() as db:
        assert [flag.closed_at is None for flag in db.scalars(select(Flag).order_by(Flag.id))] == [False, True]


def test_a_middling_answer_changed_is_asked_about_once(browser: TestClient, town: Town, link: str) -> None:
    send(browser, town, link, {"csat": "3"})
    assert change(browser, town, link, comment="Exports") == 303
    assert count(town.house, Activity, kind=ActivityKind.ASK_WHAT_IS_MISSING) == 1


def test_after_a_week_it_stands(browser: TestClient, town: Town, link: str, later: Later) -> None:
    send(browser, town, link, {"csat": "5"})
    town.house.clock.set(later(7))  # type: ignore[attr-defined]
    assert "Change my answer" not in text_of(browser.get(f"{link}/thanks").text)
    assert browser.get(f"{link}/change").headers["location"] == f"{link}/thanks"
    answer_id = str(1)
    sent = browser.post(link, data={"csat": "1", "changes": answer_id, "form": form_of(town.house, link)})
    assert sent.headers["location"] == f"{link}/thanks"
    assert versions(town.house) == [(5, None, True)]


def test_another_tab_keeps_what_was_typed_and_asks_before_it_replaces(
    browser: TestClient, town: Town, link: str
) -> None:
    send(browser, town, link, {"csat": "5"})
    other = send(browser, town, link, {"csat": "2", "comment": "Wait, it broke"})
    assert other.status_code == 409
    assert "We have an answer from you already." in text_of(other.text)
    fields = filled_in(other.text)
    assert (fields["csat"], fields["comment"]) == ("2", "Wait, it broke")
    assert versions(town.house) == [(5, None, True)]
    assert browser.post(link, data={**fields, "form": form_of(town.house, link)}).status_code == 303
    assert versions(town.house) == [(5, None, False), (2, None, True)]
    # A third tab that still shows the first version.
    assert send(browser, town, link, {"csat": "4", "changes": fields["changes"]}).status_code == 409
    assert versions(town.house) == [(5, None, False), (2, None, True)]


def test_back_and_send_again_is_the_same_answer(browser: TestClient, town: Town, link: str) -> None:
    data = {"csat": "5", "form": form_of(town.house, link)}
    assert [browser.post(link, data=data).status_code for _ in range(3)] == [303] * 3
    assert browser.post(link, data={**data, "csat": "1"}).status_code == 409
    assert versions(town.house) == [(5, None, True)]


# Half typed


def test_what_is_half_typed_waits_counts_for_nothing_and_goes_with_send(
    browser: TestClient, town: Town, maria: Customer, link: str
) -> None:
    form = form_of(town.house, link)
    typed = {"csat": "2", "comment": "It keeps f\0ai", "form": form}
    assert browser.post(f"{link}/draft", data=typed).status_code == 204
    assert browser.post(f"{link}/draft", data={**typed, "comment": "It keeps failing"}).status_code == 204
    assert (versions(town.house), count(town.house, Flag), count(town.house, Draft)) == ([], 0, 1)
    page = browser.get(link).text
    assert (filled_in(page)["csat"], filled_in(page)["comment"]) == ("2", "It keeps failing")
    # Only pressing Send is no deliberate act, even where a person typed before: one tick.
    untouched = form_of(town.house, link, filled=Answers(csat=2, comment="It keeps failing"))
    data = {"csat": "2", "comment": "It keeps failing", "form": untouched}
    assert browser.post(link, data=data).status_code == 422
    assert browser.post(link, data={**data, "mine": "yes", "form": form}).status_code == 303
    assert (versions(town.house), count(town.house, Draft)) == ([(2, None, True)], 0)


def test_a_draft_needs_our_form_and_an_open_survey(browser: TestClient, town: Town, link: str, later: Later) -> None:
    form = form_of(town.house, link)
    assert browser.post(f"{link}/draft", data={"csat": "2"}).status_code == 204
    assert browser.post("/s/1.nonsense/draft", data={"csat": "2", "form": form}).status_code == 404
    town.house.clock.set(later(22))  # type: ignore[attr-defined]
    assert browser.post(f"{link}/draft", data={"csat": "2", "form": form}).status_code == 204
    assert count(town.house, Draft) == 0


def test_drafts_of_closed_surveys_are_forgotten(browser: TestClient, town: Town, link: str, later: Later) -> None:
    browser.post(f"{link}/draft", data={"csat": "2", "form": form_of(town.house, link)})
    with town.house.database.write() as db:
        assert verifying.forget_drafts(db, DAY_30) == 0
        assert verifying.forget_drafts(db, later(23)) == 1
    assert count(town.house, Draft) == 0


# Asking the person


def machines_answer(browser: TestClient, link: str) -> int:
    assert browser.post(link, data={"csat": "1", "comment": "Seen by a machine"}).status_code == 422
    return 1


def ask_maria(town: Town, answer_id: int = 1) -> None:
    with town.house.database.write() as db:
        verifying.ask_to_confirm(db, answer_id=answer_id, by="staff:1", now=town.house.clock.now())


def confirm(browser: TestClient, town: Town, link: str, mine: str, *, seconds: float = 20) -> int:
    form = form_of(town.house, link, seconds=seconds)
    return browser.post(f"{link}/confirm", data={"mine": mine, "form": form}).status_code


def test_a_person_who_confirms_makes_it_count_from_then_on(
    browser: TestClient, town: Town, maria: Customer, link: str
) -> None:
    machines_answer(browser, link)
    assert browser.get(f"{link}/confirm").headers["location"] == link
    ask_maria(town)
    page = text_of(browser.get(f"{link}/confirm").text)
    assert "Was this you?" in page
    assert "Seen by a machine" in page
    assert count(town.house, Flag) == 0
    assert confirm(browser, town, link, "") == 422
    assert confirm(browser, town, link, "yes", seconds=1) == 422
    assert (versions(town.house), count(town.house, Flag)) == ([], 0)
    town.house.clock.set(DAY_30 + timedelta(hours=3))  # type: ignore[attr-defined]
    assert confirm(browser, town, link, "yes") == 303
    assert versions(town.house) == [(1, None, True)]
    with town.house.database.read() as db:
        (flag,) = db.scalars(select(Flag)).all()
        assert flag.opened_at == DAY_30 + timedelta(hours=3)
        assert db.scalars(select(Quarantine.how).where(Quarantine.answer_id == 1)).one() == "confirmed"
        hold_in_database(db)


def test_a_person_who_says_no_finds_the_form_open(browser: TestClient, town: Town, link: str) -> None:
    machines_answer(browser, link)
    ask_maria(town)
    assert confirm(browser, town, link, "no") == 303
    assert count(town.house, Quarantine, how="discarded") == 1
    assert send(browser, town, link, {"csat": "5"}).status_code == 303
    assert versions(town.house) == [(5, None, True)]


def test_the_mail_that_asks_tells_what_came_and_is_withheld_once_it_is_settled(
    browser: TestClient, town: Town, link: str
) -> None:
    machines_answer(browser, link)
    ask_maria(town)
    with town.house.database.read() as db:
        row = db.scalars(select(LetterRow).where(LetterRow.kind == Kind.SURVEY_CONFIRM)).one()
        told = verifying.compose_confirm(db, town.house, row)
    assert told["confirm_url"].endswith(f"{link}/confirm")
    assert (told["csat"], told["words"]) == (1, "Seen by a machine")
    send(browser, town, link, {"csat": "5"})
    with town.house.database.read() as db, pytest.raises(Withheld):
        verifying.compose_confirm(db, town.house, row)
    with pytest.raises(Refused):
        ask_maria(town)


# Staff


def as_carla(browser: TestClient, house: House) -> TestClient:
    with house.database.write() as db:
        token = auth.open_session(db, staff_id=1, way="test", now=house.clock.now())
    browser.cookies.set(cookie_name(house.settings, SESSION_COOKIE), token)
    return browser


def test_staff_see_it_with_why_ask_by_mail_or_discard(
    browser: TestClient, town: Town, maria: Customer, link: str
) -> None:
    machines_answer(browser, link)
    machines_answer(browser, link)
    carla = as_carla(browser, town.house)
    for page in ("/staff/set-aside", f"/staff/customers/{maria.account_id}"):
        seen = text_of(carla.get(page).text)
        assert "Seen by a machine" in seen
        assert "It came without the page that we show to people." in seen
    assert "2 answers look like a machine’s and were set aside" in text_of(carla.get("/staff/inbox").text)
    assert carla.post("/staff/set-aside/1/question").status_code == 303
    assert carla.post("/staff/set-aside/2/discard").status_code == 303
    assert carla.post("/staff/set-aside/2/discard").status_code == 409
    assert carla.post("/staff/set-aside/4711/discard").status_code == 404
    seen = text_of(carla.get("/staff/set-aside").text)
    assert "Asked by mail on" in seen
    assert count(town.house, LetterRow, kind=Kind.SURVEY_CONFIRM) == 1


def test_what_they_say_on_the_phone_is_written_down_and_marked(
    browser: TestClient, town: Town, maria: Customer, link: str
) -> None:
    machines_answer(browser, link)
    carla = as_carla(browser, town.house)
    path = f"/staff/survey-invitations/{town.invitation(maria).id}/answer"
    assert path in carla.get(f"/staff/customers/{maria.account_id}").text
    assert re.search(r'name="csat" value="1" checked', carla.get(f"{path}?said=1").text)
    assert carla.post(path, data={"csat": "9"}).status_code == 422
    assert carla.post(path, data={"csat": "4", "comment": "By phone"}).status_code == 303
    with town.house.database.read() as db:
        row = db.scalars(select(AnswerRow).where(AnswerRow.quarantined_at.is_(None))).one()
        assert (row.provenance, row.by, row.csat) == (Provenance.PHONE, "staff:1", 4)
        assert db.scalars(select(Quarantine.how)).one() == "answered"
    assert "They have answered already." in text_of(carla.get(path).text)
    # Not told to replace it: the first stands.
    assert carla.post(path, data={"csat": "1"}).status_code == 303
    assert carla.post(path, data={"csat": "5", "changes": str(row.id)}).status_code == 303
    assert versions(town.house) == [(4, None, False), (5, None, True)]
    assert carla.get("/staff/survey-invitations/4711/answer").status_code == 404
