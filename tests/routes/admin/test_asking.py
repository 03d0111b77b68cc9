"""The page where people set when customers are asked, and send surveys by hand."""

import re
from html import unescape

import pytest
from sqlalchemy import select
from starlette.testclient import TestClient

from portal.audit import AuditEvent, Happened
from portal.db import Database
from portal.journeys.models import DueAction
from portal.settings import Settings
from portal.surveys.moments import TriggerKind
from portal.surveys.round_models import SurveyRound, SurveyTrigger
from portal.surveys.shipped import load_shipped_surveys, load_shipped_triggers
from tests.routes.conftest import NOON, Cast, SignIn
from tests.routes.staff.conftest import Road, house, road  # noqa: F401 - fixtures


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Asking more than one person at once needs a yes."""
    return settings.model_copy(update={"storm_limit": 1})


@pytest.fixture
def rui(signed_in: SignIn, cast: Cast, database: Database, road: Road) -> TestClient:  # noqa: F811
    """The manager's browser, with the shipped surveys and triggers there."""
    with database.write() as db:
        load_shipped_surveys(db, now=NOON)
        load_shipped_triggers(db, now=NOON)
    return signed_in(staff_id=cast.rui)


def triggers_of(database: Database) -> list[tuple[str, TriggerKind, int, str, bool]]:
    with database.read() as db:
        rows = db.scalars(select(SurveyTrigger).order_by(SurveyTrigger.id))
        return [(row.survey_key, row.kind, row.days, row.stage, row.on_since is not None) for row in rows]


def test_managers_switch_triggers_off_and_on_and_it_is_on_record(
    rui: TestClient, database: Database, cast: Cast, signed_in: SignIn
) -> None:
    page = unescape(rui.get("/admin/asking").text)
    assert "After our meeting" in page and "Every 180 days, to customers in Relationship" in page
    with database.read() as db:
        first = db.scalars(select(SurveyTrigger.id).order_by(SurveyTrigger.id)).first()
    assert rui.post(f"/admin/asking/triggers/{first}/off").status_code == 303
    assert triggers_of(database)[0][4] is False
    assert rui.post(f"/admin/asking/triggers/{first}/on").status_code == 303
    assert triggers_of(database)[0][4] is True
    with database.read() as db:
        told = db.execute(
            select(AuditEvent.by, AuditEvent.detail)
            .where(AuditEvent.what == Happened.SURVEY_TRIGGER_CHANGED)
            .order_by(AuditEvent.id)
        ).all()
    assert [(by, detail["how"]) for by, detail in told] == [(f"staff:{cast.rui}", "off"), (f"staff:{cast.rui}", "on")]
    assert signed_in(staff_id=cast.carla).post(f"/admin/asking/triggers/{first}/off").status_code == 403
    assert rui.post("/admin/asking/triggers/999/off").status_code == 404


@pytest.mark.parametrize(
    ("sent", "wrong"),
    [
        ({"survey": "pulse", "kind": "day_of_use"}, "Please enter a number of days that fits."),
        ({"survey": "pulse", "kind": "day_of_use", "days": "0"}, "Please enter a number of days that fits."),
        ({"survey": "pulse", "kind": "every_days", "days": "5"}, "Please enter a number of days that fits."),
        ({"survey": "pulse", "kind": "stage", "days": "5", "stage": "nowhere"}, "Please choose a stage."),
        ({"survey": "pulse", "kind": "meeting"}, "Another survey is sent for that already."),
        ({"survey": "nothing", "kind": "stage", "days": "5", "stage": "deployment"}, "can’t be sent any more"),
        ({"survey": "pulse", "kind": "full moon"}, "Please choose one from the list."),
    ],
)
def test_a_trigger_that_makes_no_sense_is_told_beside_its_field(
    rui: TestClient, database: Database, sent: dict[str, str], wrong: str
) -> None:
    before = triggers_of(database)
    answer = rui.post("/admin/asking/triggers", data=sent)
    assert answer.status_code == 422
    assert wrong in unescape(answer.text)
    assert triggers_of(database) == before


def test_a_new_trigger(rui: TestClient, database: Database) -> None:
    sent = {"survey": "pulse", "kind": "stage", "days": "5", "stage": "deployment"}
    assert rui.post("/admin/asking/triggers", data=sent).status_code == 303
    assert triggers_of(database)[-1] == ("pulse", TriggerKind.STAGE, 5, "deployment", True)
    assert "5 days after entering the stage Deployment & feedback" in unescape(rui.get("/admin/asking").text)


def test_by_hand_the_number_comes_first_and_then_it_is_sent_once(
    rui: TestClient,
    database: Database,
    cast: Cast,
    road: Road,  # noqa: F811
) -> None:
    page = unescape(rui.get("/admin/asking/sending?survey=pulse&stage=deployment").text)
    assert "1 person would be asked" in page and "At 1 customer that is under way." in page
    with database.read() as db:
        assert db.scalars(select(SurveyRound)).all() == []
    fields = dict(re.findall(r'name="(\w+)" value="([^"]*)"', page.partition("/admin/asking/rounds")[2]))
    assert fields["shown"] == "1"
    first = rui.post("/admin/asking/rounds", data=fields)
    again = rui.post("/admin/asking/rounds", data=fields)
    assert first.headers["location"] == again.headers["location"]
    with database.read() as db:
        [made] = db.scalars(select(SurveyRound)).all()
        due = db.execute(select(DueAction.journey_id, DueAction.what).where(DueAction.kind == "ask")).all()
        [told] = db.scalars(select(AuditEvent).where(AuditEvent.what == Happened.SURVEY_ROUND_SENT)).all()
    assert (made.people, made.segment, made.made_by) == (1, {"stage": "deployment"}, f"staff:{cast.rui}")
    assert [tuple(row) for row in due] == [(road.lumen, f"hand:{made.id}")]
    assert told.detail == {"round": made.id, "survey": "pulse", "people": 1, "stage": "deployment"}
    assert "Meant for" in unescape(rui.get(first.headers["location"]).text)
    assert rui.get("/admin/asking/rounds/999").status_code == 404


def test_a_number_that_has_changed_meanwhile_is_shown_again(rui: TestClient, database: Database) -> None:
    sent = {"survey": "pulse", "key": "k", "shown": "7"}
    answer = rui.post("/admin/asking/rounds", data=sent)
    assert answer.status_code == 422
    assert "Meanwhile it would be other people." in unescape(answer.text)
    assert "2 people would be asked" in unescape(answer.text)


def test_beyond_the_set_number_it_waits_for_a_yes(rui: TestClient) -> None:
    assert "Yes, ask all 2 people" in unescape(rui.get("/admin/asking/sending?survey=pulse").text)
    sent = {"survey": "pulse", "key": "k", "shown": "2"}
    refused = rui.post("/admin/asking/rounds", data=sent)
    assert refused.status_code == 422
    assert "2 people would be asked, more than 1. Please confirm that this is meant." in unescape(refused.text)
    assert rui.post("/admin/asking/rounds", data={**sent, "sure": "1"}).status_code == 303


def test_it_speaks_portuguese(rui: TestClient, signed_in: SignIn, cast: Cast) -> None:
    ana = signed_in(staff_id=cast.ana)
    assert "Quando perguntamos" in unescape(ana.get("/admin/asking").text)
    assert "pessoas seriam consultadas" in unescape(ana.get("/admin/asking/sending?survey=pulse").text)
