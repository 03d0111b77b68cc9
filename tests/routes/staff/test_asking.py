"""What staff see of the contact budget: whom we ask, why something wasn't sent and what happened instead, who is silent."""

from datetime import timedelta

from sqlalchemy import select, update
from starlette.testclient import TestClient

from portal.accounts import asking_ledger
from portal.accounts.asking import Asked, Became, Why
from portal.accounts.asking_ledger import Request
from portal.accounts.models import Contact
from portal.audit import AuditEvent, Happened
from portal.db import Database
from portal.journeys.models import FollowUpRow
from portal.journeys.rules import Outcome
from portal.surveys.models import AnswerRow, Invitation, Survey
from portal.surveys.rules import Provenance
from portal.surveys.shipped import load_shipped_surveys
from tests.routes.conftest import NOON, Cast
from tests.routes.staff.conftest import Road


def test_staff_tick_whom_we_ask_and_it_is_on_record(
    carla: TestClient, database: Database, cast: Cast, road: Road
) -> None:
    at = f"/staff/customers/{cast.lumen}/people/{cast.joao}"
    assert "Surveys go to their colleagues" in carla.get(at).text
    assert carla.post(f"{at}/asking").status_code == 303
    assert "Surveys go to them, in their hours" in carla.get(at).text
    with database.read() as db:
        assert asking_ledger.choice_of(db, cast.joao) is True
        told = db.scalars(select(AuditEvent).where(AuditEvent.what == Happened.ASKING_CHANGED)).one()
    assert (told.by, told.contact_id, told.detail["how"]) == (f"staff:{cast.carla}", cast.joao, "asked")
    assert "decided that we ask" in carla.get(f"/staff/customers/{cast.lumen}").text
    assert carla.post(f"{at}/asking/end").status_code == 303
    assert "Surveys go to their colleagues" in carla.get(at).text
    stranger = f"/staff/customers/{cast.lumen}/people/{cast.sofia}/asking"
    assert carla.post(stranger).status_code == 404


def test_the_customers_page_says_why_nothing_was_sent_what_happened_instead_and_when(
    carla: TestClient, database: Database, cast: Cast, road: Road
) -> None:
    of_lumen = (cast.lumen, cast.maria, road.lumen, 30)
    with database.write() as db:
        db.execute(update(Contact).where(Contact.id == cast.maria).values(phone="+5511987654321"))
        became = [
            Request(Asked.SURVEY, *of_lumen, Became.WHATSAPP, Why.PREFERS_WHATSAPP, NOON),
            Request(Asked.SURVEY, *of_lumen[:3], 60, Became.WAITING, Why.OUT_OF_HOURS, NOON + timedelta(hours=3)),
        ]
        asking_ledger.keep(db, became, waiting=(), now=NOON)
    page = carla.get(f"/staff/customers/{cast.lumen}").text
    assert "They like WhatsApp best: a message there instead of a mail." in page
    assert "It became a message to write on" in page
    assert "https://wa.me/5511987654321?text=Hi%20Maria" in page or "https://wa.me/5511987654321?text=Oi" in page
    assert "It was outside their hours, or no working day." in page
    assert "It waits until" in page
    assert "Coverage" in page


def test_a_contact_that_was_answered_is_never_said_to_have_no_answer(
    carla: TestClient, database: Database, cast: Cast, road: Road
) -> None:
    page = f"/staff/customers/{cast.lumen}"
    of_30 = (FollowUpRow.journey_id == road.lumen, FollowUpRow.day == 30)
    who = {"account_id": cast.lumen, "journey_id": road.lumen, "contact_id": cast.maria, "day": 30}
    with database.write() as db:
        load_shipped_surveys(db, now=NOON)
        db.execute(update(FollowUpRow).where(*of_30).values(sent_at=NOON))
        survey = db.scalars(select(Survey.id).where(Survey.key == "follow_up_30")).one()
        until = NOON + timedelta(days=20)
        invitation = Invitation(
            **who, survey_id=survey, nonce="n", planned_at=NOON, sent_at=NOON, expires_at=until, occasion="day:30"
        )
        db.add(invitation)
    assert "no answer yet" in carla.get(page).text
    with database.write() as db:
        db.add(
            AnswerRow(
                **who, invitation_id=invitation.id, csat=1, comment="", others={}, outcome=Outcome.DISSATISFIED,
                provenance=Provenance.MAIL_LINK, by=f"contact:{cast.maria}", submitted_at=NOON, evidence={},
            )
        )  # fmt: skip
    seen = carla.get(page).text
    assert "Answered, and not settled yet" in seen and "no answer yet" not in seen
