"""The figures as managers see them: with their n, without a score for too few, empty where there is nothing."""

import re
from collections.abc import Callable
from datetime import timedelta

import pytest
from fastapi import FastAPI
from sqlalchemy import insert, select
from starlette.testclient import TestClient

from portal.db import Database
from portal.journeys.models import JourneyRow
from portal.surveys.models import AnswerRow, Invitation, Survey
from portal.surveys.shipped import load_shipped_surveys
from tests.routes.conftest import NOON, Cast, SignIn
from tests.routes.staff.conftest import Road, statements

Answered = Callable[..., None]


@pytest.fixture
def answered(database: Database, cast: Cast, road: Road) -> Answered:
    """So many answers of one kind, each of a journey's round of its own, a month after the other if asked."""
    with database.write() as db:
        load_shipped_surveys(db, now=NOON)

    def answer(count: int, *, nps: int = 10, csat: int = 5, days_ago: int = 3, journey: int | None = None) -> None:
        journey_id = journey or road.lumen
        with database.write() as db:
            survey_id = db.scalars(select(Survey.id).limit(1)).one()
            account_id = db.get_one(JourneyRow, journey_id).account_id
            person = cast.maria if account_id == cast.lumen else cast.sofia
            taken = db.scalars(select(Invitation.day).where(Invitation.contact_id == person)).all()
            moment = NOON - timedelta(days=days_ago)
            for n in range(count):
                common = {"account_id": account_id, "journey_id": journey_id, "contact_id": person}
                invitation = db.scalars(
                    insert(Invitation)
                    .values(
                        **common,
                        survey_id=survey_id,
                        day=1000 + len(taken) + n if taken or n else 30,
                        nonce=f"{journey_id}-{len(taken)}-{n}",
                        planned_at=moment,
                        sent_at=moment,
                        expires_at=moment + timedelta(days=21),
                    )
                    .returning(Invitation.id)
                ).one()
                db.execute(
                    insert(AnswerRow).values(
                        **common,
                        invitation_id=invitation,
                        day=30,
                        nps=nps,
                        csat=csat,
                        provenance="mail_link",
                        by=f"contact:{person}",
                        submitted_at=moment,
                    )
                )

    return answer


def seen(browser: TestClient, address: str = "/staff/insights") -> str:
    response = browser.get(address)
    assert response.status_code == 200
    main = response.text[response.text.index("<main") :]
    return " ".join(re.sub(r"<[^>]+>", " ", main).replace("&#39;", "’").split())


def test_managers_and_administrators_see_figures_and_consultants_do_not(
    carla: TestClient, rui: TestClient, ana: TestClient
) -> None:
    assert [one.get("/staff/insights").status_code for one in (carla, rui, ana)] == [403, 200, 200]


def test_without_customers_it_says_when_figures_begin(signed_in: SignIn, cast: Cast) -> None:
    page = seen(signed_in(staff_id=cast.rui))
    assert "No figures for this choice" in page
    assert "NPS by month" not in page


def test_customers_on_the_road_without_answers_are_a_funnel_only(rui: TestClient) -> None:
    page = seen(rui)
    assert "Nobody was lost on the way." in page
    assert "NPS – No answers yet." in page
    assert "Demand analysis none 2" in page


def test_under_ten_answers_are_counts_and_no_score(rui: TestClient, answered: Answered) -> None:
    answered(6)
    answered(3, nps=3, csat=2)
    page = seen(rui)
    assert "NPS – 6 would recommend us, 0 perhaps, 3 would not. A score needs 10 answers." in page
    assert "Satisfied (CSAT) – 6 of 9 gave 4 or 5. A share needs 10." in page
    assert "under 10 answers, no score" in page


def test_from_ten_answers_on_a_score_has_its_interval_and_says_that_they_are_few(
    rui: TestClient, answered: Answered
) -> None:
    answered(7)
    answered(3, nps=3, csat=2)
    page = seen(rui)
    assert "NPS +40 −18 to +79, 10 answers (few). Too few to compare with the 90 days before." in page
    assert "70% 40% to 89%, 7 of 10 gave 4 or 5 (few)." in page


def test_two_periods_are_compared_only_where_the_difference_is_clear(rui: TestClient, answered: Answered) -> None:
    answered(30, nps=2, csat=1, days_ago=100)
    answered(30)
    assert "Higher than in the 90 days before (−100)." in seen(rui)
    assert "Too few to compare with the 365 days before." in seen(rui, "/staff/insights?period=365")
    answered(30, days_ago=40)
    assert "No clear change from the 30 days before (+100)." in seen(rui, "/staff/insights?period=30")


def test_months_with_enough_answers_are_drawn_and_all_are_in_the_table(rui: TestClient, answered: Answered) -> None:
    answered(10)
    assert "Too few answers for a line" in seen(rui)
    answered(12, nps=8, days_ago=33)
    page = seen(rui)
    assert "NPS goes from 0 to +100." in page
    assert "Higher in Jun than in May." in page
    assert "May 0 −" in page


def test_the_survey_and_the_consultant_can_be_chosen(rui: TestClient, answered: Answered, cast: Cast) -> None:
    answered(10)
    assert "Answer rate 100%" in seen(rui, f"/staff/insights?owner={cast.carla}")
    assert "No figures for this choice" in seen(rui, "/staff/insights?owner=mine")
    assert "1 of 1 surveys answered" in seen(rui, "/staff/insights?survey=30")
    assert "NPS – No answers yet." in seen(rui, "/staff/insights?survey=60")


def test_a_choice_that_does_not_exist_is_the_usual_one(rui: TestClient, answered: Answered) -> None:
    answered(10)
    odd = "/staff/insights?period=-1&survey=x&owner=99999999999999999999"
    assert seen(rui, odd) == seen(rui)


def test_a_changed_filter_brings_the_figures_alone(rui: TestClient) -> None:
    block = rui.get("/staff/insights?period=30", headers={"HX-Request": "true", "HX-Request-Type": "partial"}).text
    assert block.lstrip().startswith('<div class="stack" id="figures">')
    assert "<main" not in block


def test_the_stage_where_most_are_lost_is_said(rui: TestClient, database: Database, road: Road) -> None:
    with database.write() as db:
        journey = db.get_one(JourneyRow, road.lumen)
        journey.status, journey.ended_at = "lost", NOON  # type: ignore[assignment]
    assert "One customer was lost, in “Deployment &amp; feedback”." in seen(rui)


def test_it_reads_in_portuguese(ana: TestClient, answered: Answered) -> None:
    answered(10)
    page = seen(ana)
    assert "NPS +100" in page
    assert "10 respostas (poucas)" in page
    assert "Onde perdemos clientes" in page


def test_more_answers_take_no_more_statements(
    rui: TestClient, answered: Answered, database: Database, onward: FastAPI, road: Road
) -> None:
    counts = []
    for number in (1, 3):
        answered(number)
        with statements(database) as ran:
            seen(rui)
        counts.append(len(ran))
    assert counts[0] == counts[1]
