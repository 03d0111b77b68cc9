"""The counts behind the figures, on both databases: who counts, in which period, and for which share."""

from datetime import timedelta

import pytest
from sqlalchemy import event, update

from portal.house import House
from portal.journeys.models import JourneyRow
from portal.surveys import actions as surveys
from portal.surveys import queries
from portal.surveys.actions import Sending
from portal.surveys.models import AnswerRow, Invitation
from portal.surveys.queries import Tally
from portal.surveys.rules import Answers, Provenance
from tests.surveys.conftest import DAY_30, Customer, Town

A_DAY = timedelta(days=1)
BOUNDS = [DAY_30 - 30 * A_DAY, DAY_30, DAY_30 + 30 * A_DAY]


def answer(town: Town, customer: Customer, answers: Answers, *, days_later: int = 1) -> int:
    with town.house.database.write() as db:
        return surveys.submit(
            db,
            town.house,
            invitation_id=town.invitation(customer).id,
            answers=answers,
            sending=Sending(Provenance.MAIL_LINK, f"contact:{customer.contact_id}"),
            now=DAY_30 + days_later * A_DAY,
        ).answer_id


def tallies(house: House, **wanted: int) -> list[Tally]:
    with house.database.read() as db:
        return queries.tallies(db, BOUNDS, now=DAY_30 + 5 * A_DAY, **wanted)


@pytest.fixture
def asked(town: Town) -> list[Customer]:
    """Five customers who were all asked on day 30."""
    customers = [town.customer(name=f"Person {n}", email=f"person{n}@lumen.example") for n in range(5)]
    town.live_until(DAY_30)
    return customers


def test_promoters_passives_and_detractors_are_counted_by_their_scores(town: Town, asked: list[Customer]) -> None:
    for customer, csat, nps in zip(asked, (5, 5, 4, 3, 1), (10, 9, 7, 8, 6), strict=True):
        answer(town, customer, Answers(csat=csat, nps=nps))
    assert tallies(town.house) == [Tally(1, 30, 1, 2, 2, 1, (1, 0, 1, 1, 2), delivered=5, answered=5, still_open=0)]


def test_a_question_that_was_not_answered_counts_nowhere(town: Town, asked: list[Customer]) -> None:
    answer(town, asked[0], Answers(nps=9))
    assert tallies(town.house) == [Tally(1, 30, 1, 1, 0, 0, (0,) * 5, delivered=5, answered=1, still_open=4)]


def test_quarantine_and_earlier_versions_enter_no_figure(town: Town, asked: list[Customer]) -> None:
    first, second = (answer(town, customer, Answers(csat=5, nps=10)) for customer in asked[:2])
    with town.house.database.write() as db:
        db.execute(update(AnswerRow).where(AnswerRow.id == first).values(quarantined_at=DAY_30))
        db.execute(update(AnswerRow).where(AnswerRow.id == second).values(superseded_at=DAY_30))
    assert tallies(town.house) == [Tally(1, 30, 1, 0, 0, 0, (0,) * 5, delivered=5, answered=0, still_open=5)]


def test_an_answer_belongs_to_its_own_day_and_the_response_to_the_day_of_asking(
    town: Town, asked: list[Customer]
) -> None:
    answer(town, asked[0], Answers(csat=5, nps=10))
    with town.house.database.write() as db:
        db.execute(update(Invitation).values(sent_at=DAY_30 - A_DAY))
    assert tallies(town.house) == [
        Tally(0, 30, 1, 0, 0, 0, (0,) * 5, delivered=5, answered=1, still_open=4),
        Tally(1, 30, 1, 1, 0, 0, (0, 0, 0, 0, 1), delivered=0, answered=0, still_open=0),
    ]


def test_a_survey_that_was_not_sent_or_is_closed_waits_for_nobody(town: Town, asked: list[Customer]) -> None:
    with town.house.database.write() as db:
        db.execute(update(Invitation).where(Invitation.id == town.invitation(asked[0]).id).values(expires_at=DAY_30))
        of_second = Invitation.id == town.invitation(asked[1]).id
        db.execute(update(Invitation).where(of_second).values(sent_at=None, suppressed_at=DAY_30, why="refused"))
    assert tallies(town.house) == [Tally(1, 30, 1, 0, 0, 0, (0,) * 5, delivered=4, answered=0, still_open=3)]


def test_the_survey_and_the_consultant_can_be_chosen(town: Town, asked: list[Customer]) -> None:
    with town.house.database.write() as db:
        db.execute(update(JourneyRow).where(JourneyRow.id == asked[0].journey_id).values(owner_id=None))
    everybody = tallies(town.house)
    assert [(t.owner_id, t.delivered) for t in everybody] == [(None, 1), (1, 4)]
    assert tallies(town.house, owner_id=1) == everybody[1:]
    assert tallies(town.house, day=30) == everybody
    assert tallies(town.house, day=60) == []
    assert tallies(town.house, owner_id=2) == []


def test_it_takes_two_statements_however_many_answers_there_are(town: Town, asked: list[Customer]) -> None:
    answer(town, asked[0], Answers(csat=5, nps=10))
    ran: list[str] = []
    engine = town.house.database.read_engine
    event.listen(engine, "before_cursor_execute", lambda *given: ran.append(given[2]))
    tallies(town.house)
    assert len(ran) == 2
