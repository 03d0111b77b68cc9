"""How many statements a page takes: a number that is known, and the same with one row of everything as with three."""

from collections.abc import Callable
from datetime import date, timedelta

import pytest
from sqlalchemy import select
from starlette.testclient import TestClient

from portal.accounts.models import Account, Contact
from portal.accounts.rules import Language
from portal.db import Database
from portal.house import House
from portal.journeys import actions, cases, planning
from portal.journeys.models import JourneyRow, Milestone, PendingIssue, Touchpoint
from portal.journeys.rules import FlagOrigin, Whose
from portal.shipped import load_all
from portal.surveys.models import AnswerRow, Invitation, Survey
from portal.surveys.rules import Provenance
from portal.surveys.stored import stored_form, survey_form
from tests.routes.conftest import NOON, Cast
from tests.routes.staff.conftest import Road, ana, carla, house, maria, road, statements

__all__ = ["ana", "carla", "house", "maria", "road"]  # the staff's fixtures, for both sides

More = Callable[[int], None]

CUSTOMERS_PAGES = {
    # session, journey, stages reached, plan, what they told us, meeting, offer, survey, lessons, own start, how to reach us
    "/": 11,
    "/plan": 7,
    "/learn": 5,  # session, road, how many of everything, the shelves, how to reach us
    "/learn/news": 4,
    "/check-ins": 8,
    "/messages": 5,
}
STAFF_PAGES = {
    "/staff/pipeline": 16,  # one of them for each of the seven columns
    "/staff/customers": 6,
    "/staff/customers/{lumen}": 32,
    # with the most urgent case opened beside the list: its promises, meeting, offers, scores, free times, reasons, colleagues,
    # and the three of its temperature
    "/staff/inbox": 28,
    "/staff": 10,
}


@pytest.fixture
def more(database: Database, house: House, cast: Cast, road: Road) -> More:
    """Another company with its journey and flag, and one more of everything in Lumen's plan."""
    with database.write() as db:
        load_all(db, now=NOON)

    def add(number: int) -> None:
        now = NOON - timedelta(hours=number)
        with database.write() as db:
            plan = {"journey_id": road.lumen, "key": f"more_{number}", "title_en": f"T{number}", "title_pt": "T"}
            db.add(Milestone(**plan, whose=Whose.YOU, due_on=date(2026, 7, number)))
            db.add(Touchpoint(**plan, channel="phone", due_on=date(2026, 7, number)))
            db.add(
                PendingIssue(
                    journey_id=road.lumen,
                    problem=f"P{number}",
                    whose=Whose.US,
                    due_on=date(2026, 7, number),
                    created_at=now,
                    created_by="system",
                )
            )
            by = f"staff:{cast.carla}"
            planning.set_goal(
                db, house, journey_id=road.lumen, day=30, title=f"Goal {number}", measure="", by=by, now=now
            )
            account = Account(
                external_id=f"M-{number}", name=f"Company {number}", created_at=now, created_by="test", search="company"
            )
            db.add(account)
            db.flush()
            db.add(
                Contact(
                    account_id=account.id,
                    name="Somebody",
                    email=f"somebody@company{number}.example",
                    language=Language.EN,
                    timezone="America/Sao_Paulo",
                    is_primary=True,
                    created_at=now,
                )
            )
            journey_id = actions.open_after_sale(
                db, house, account_id=account.id, owner_id=cast.carla, by="test", now=now
            )
            for one in (journey_id, road.lumen):
                cases.open_flag(
                    db, house, journey_id=one, origin=FlagOrigin.CONSULTANT, by=by, words=f"W{number}", now=now
                )

    return add


@pytest.mark.parametrize("path", [*CUSTOMERS_PAGES, *STAFF_PAGES])
def test_a_page_takes_as_many_statements_with_three_rows_as_with_one(
    path: str, carla: TestClient, maria: TestClient, database: Database, cast: Cast, more: More
) -> None:
    browser, address = (maria if path in CUSTOMERS_PAGES else carla), path.format(lumen=cast.lumen)
    more(1)
    assert browser.get(address).status_code == 200  # the pipeline's stages are read once a process
    with statements(database) as with_one:
        first = browser.get(address).text
    more(2)
    more(3)
    with statements(database) as with_three:
        assert browser.get(address).text != first or path in ("/learn", "/learn/news", "/check-ins", "/messages")
    expected = CUSTOMERS_PAGES.get(path) or STAFF_PAGES[path]
    assert (len(with_one), len(with_three)) == (expected, expected), "\n".join(with_three)


RESULTS_PAGES = {
    "/staff/insights/surveys": 9,
    "/staff/insights/surveys/follow_up_30": 14,
    "/staff/insights/surveys/follow_up_30/comments": 13,
    "/admin/surveys": 7,
}


@pytest.mark.parametrize("path", RESULTS_PAGES)
def test_a_page_of_results_takes_as_many_statements_with_many_surveys_questions_and_answers_as_with_few(
    path: str, ana: TestClient, database: Database, more: More
) -> None:
    def add(number: int) -> None:
        """Another survey, and a version of the first one with two further questions and an answer to each."""
        with database.write() as db:
            first = db.scalars(
                select(Survey).where(Survey.key == "follow_up_30").order_by(Survey.version.desc())
            ).first()
            assert first is not None
            asked = [
                {"key": f"more_{number}", "kind": "yes_no", "text": {"en": "More?", "pt": "Mais?"}},
                {"key": f"words_{number}", "kind": "text", "text": {"en": "How?", "pt": "Como?"}},
            ]
            further = [{"hint": {"en": "", "pt": ""}, "after": {}, **one} for one in asked]
            columns = {name: getattr(first, name) for name in stored_form(survey_form(first))}
            questions = [*first.questions, *further]
            other = Survey(**columns | {"key": f"another_{number}"}, version=1, created_at=NOON)
            newer = Survey(**columns | {"questions": questions}, version=first.version + 1, created_at=NOON)
            db.add_all([other, newer])
            db.flush()
            journey = db.scalars(select(JourneyRow).order_by(JourneyRow.id).limit(1)).one()
            contact = db.scalars(select(Contact.id).where(Contact.account_id == journey.account_id).limit(1)).one()
            who = {"account_id": journey.account_id, "journey_id": journey.id, "contact_id": contact}
            moment = NOON - timedelta(days=number)
            invitation = Invitation(
                **who, survey_id=newer.id, occasion=f"test:{number}", nonce="n", planned_at=moment, sent_at=moment,
                expires_at=NOON + timedelta(days=9),
            )  # fmt: skip
            db.add(invitation)
            db.flush()
            given = {f"more_{number}": True, f"words_{number}": "So"}
            answer = AnswerRow(
                **who, invitation_id=invitation.id, nps=9, comment=f"Words {number}", others=given, by="contact:1",
                provenance=Provenance.MAIL_LINK, submitted_at=moment,
            )  # fmt: skip
            db.add(answer)

    more(1)
    add(1)
    assert ana.get(path).status_code == 200  # versions of surveys are read once a process
    with statements(database) as with_few:
        first = ana.get(path).text
    for number in (2, 3, 4):
        add(number)
    ana.get(path)
    with statements(database) as with_many:
        assert ana.get(path).text != first
    assert (len(with_few), len(with_many)) == (RESULTS_PAGES[path], RESULTS_PAGES[path]), "\n".join(with_many)
