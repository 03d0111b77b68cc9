"""The inbox: a case is acted on, settled with an outcome, handed over; each refusal says why."""

import pytest
from sqlalchemy import select
from starlette.testclient import TestClient

from portal.accounts.models import Contact
from portal.audit import AuditEvent, Happened
from portal.clock import FixedClock
from portal.db import Database
from portal.journeys.models import Conversation, Flag, JourneyRow, Resolution
from portal.journeys.rules import FlagOutcome, Status
from portal.surveys.temperatures import temperatures
from tests.routes.conftest import NOON, Cast
from tests.routes.staff.conftest import Road

TALK = {"channel": "phone", "result": "neutral", "note": "Showed them offline counting."}


def test_the_case_shows_the_words_the_clock_and_the_ways_to_reach_the_person(carla: TestClient, flag: int) -> None:
    page = carla.get("/staff/inbox").text
    assert "The tablet loses the count." in page
    assert "mailto:maria@lumen.example" in page
    assert " left</b>" in page
    assert f"/meetings/new?kind=doubt&amp;flag={flag}" in page


def test_the_account_beside_the_case_has_its_temperature(
    carla: TestClient, flag: int, database: Database, cast: Cast
) -> None:
    with database.read() as db:
        score = temperatures(db, [cast.lumen], zone="America/Sao_Paulo", now=NOON)[cast.lumen].score
    for address in ("/staff/inbox", f"/staff/flags/{flag}"):
        beside = carla.get(address).text.split("<dt>Temperature</dt>")[1].split("</dd>")[0]
        assert f'<b class="num">{score}°</b>' in beside


def test_a_late_case_says_so_in_words(rui: TestClient, flag: int, clock: FixedClock, database: Database) -> None:
    with database.write() as db:
        db.get_one(Flag, flag).act_by = NOON.replace(hour=12)
    page = rui.get("/staff/inbox").text
    assert "3 h late" in page
    assert "1 open flag, 1 past its time" in page


def test_a_conversation_stops_the_clock_and_leaves_the_flag_open(
    carla: TestClient, flag: int, database: Database, cast: Cast
) -> None:
    for _ in range(2):  # a second click is the same conversation
        answer = carla.post(f"/staff/flags/{flag}/conversation", data={**TALK, "contact": str(cast.maria)})
        assert answer.headers["location"] == f"/staff/flags/{flag}"
    with database.read() as db:
        case = db.get_one(Flag, flag)
        talk = db.scalars(select(Conversation)).one()
    assert (case.acted_at, case.acted_by, case.closed_at) == (NOON, f"staff:{cast.carla}", None)
    assert (talk.contact_id, talk.note) == (cast.maria, "Showed them offline counting.")
    assert "first step" in carla.get(f"/staff/flags/{flag}").text


@pytest.mark.parametrize("outcome", [one for one in FlagOutcome if one is not FlagOutcome.MERGED])
def test_each_outcome_ends_the_case_with_what_was_done(
    outcome: FlagOutcome, carla: TestClient, flag: int, database: Database, road: Road, cast: Cast
) -> None:
    answer = carla.post(
        f"/staff/flags/{flag}/resolution", data={"outcome": outcome, "reason": "1", "note": "Switched it on."}
    )
    assert answer.status_code == 303
    with database.read() as db:
        resolution = db.scalars(select(Resolution)).one()
        status = db.get_one(JourneyRow, road.lumen).status
        told = db.scalars(select(AuditEvent.by).where(AuditEvent.what == Happened.FLAG_CLOSED)).one()
    assert (resolution.outcome, resolution.note, told) == (outcome, "Switched it on.", f"staff:{cast.carla}")
    assert status is (Status.LOST if outcome is FlagOutcome.LOST else Status.OPEN)
    inbox = carla.get("/staff/inbox").text
    assert "Nobody waits" in inbox and "Switched it on." in inbox


def test_who_comes_second_is_told_and_keeps_what_they_wrote(carla: TestClient, rui: TestClient, flag: int) -> None:
    carla.post(f"/staff/flags/{flag}/resolution", data={"outcome": "resolved", "reason": "1", "note": "Done"})
    answer = rui.post(f"/staff/flags/{flag}/resolution", data={"outcome": "lost", "reason": "1", "note": "They left"})
    assert answer.status_code == 422


@pytest.mark.parametrize(
    ("where", "data"),
    [
        ("resolution", {}),
        ("resolution", {"outcome": "resolved", "note": "  "}),
        ("resolution", {"outcome": "forgotten", "note": "x"}),
        ("resolution", {"outcome": "resolved", "note": "x" * 10_001}),
        ("resolution", {"outcome": "resolved", "note": "a\x00b"}),
        ("conversation", {**TALK, "channel": "pigeon"}),
        ("conversation", {**TALK, "contact": "{sofia}"}),
        ("conversation", {**TALK, "contact": "abc"}),
        ("conversation", {**TALK, "contact": "99999999999999999999"}),
        ("conversation", {**TALK, "note": "\ud800"}),
    ],
)
def test_a_mistake_is_said_beside_its_field_and_nothing_is_kept(
    where: str, data: dict[str, str], carla: TestClient, flag: int, cast: Cast, database: Database
) -> None:
    sent = {name: value.replace("{sofia}", str(cast.sofia)) for name, value in data.items()}
    body = "&".join(f"{name}={_quoted(value)}" for name, value in sent.items())
    answer = carla.post(
        f"/staff/flags/{flag}/{where}", content=body, headers={"Content-Type": "application/x-www-form-urlencoded"}
    )
    if data.get("note") == "\ud800":
        assert answer.status_code in (303, 422), "replaced on the way in, or refused"
        return
    assert answer.status_code == 422
    assert 'class="error"' in answer.text
    with database.read() as db:
        assert db.scalars(select(Conversation)).all() == []
        assert db.scalars(select(Resolution)).all() == []


def _quoted(text: str) -> str:
    return "".join(f"%{byte:02X}" for byte in text.encode("utf-8", "surrogatepass"))


def test_a_manager_hands_the_case_over_and_a_consultant_may_not(
    carla: TestClient, rui: TestClient, flag: int, cast: Cast, database: Database, road: Road
) -> None:
    assert carla.post(f"/staff/flags/{flag}/assignment", data={"staff": str(cast.rui)}).status_code == 403
    assert rui.post(f"/staff/flags/{flag}/assignment", data={"staff": str(cast.ana)}).status_code == 422
    assert rui.post(f"/staff/flags/{flag}/assignment", data={"staff": "x"}).status_code == 422
    assert rui.post(f"/staff/flags/{flag}/assignment", data={"staff": str(cast.rui)}).status_code == 303
    with database.read() as db:
        assert db.get_one(JourneyRow, road.lumen).owner_id == cast.rui


def test_the_words_for_whatsapp_are_in_the_customers_language(
    carla: TestClient, database: Database, road: Road, cast: Cast, flag: int
) -> None:
    with database.write() as db:
        case = db.get_one(Flag, flag)
        case.contact_id = cast.joao
        db.get_one(Contact, cast.joao).phone = "+5511912345678"
    page = carla.get(f"/staff/flags/{flag}").text
    assert "https://wa.me/5511912345678?text=Oi%2C%20Jo%C3%A3o%2C%20aqui%20%C3%A9%20Carla%20Nunes" in page
