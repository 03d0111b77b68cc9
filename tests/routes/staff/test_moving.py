"""Moving a customer by hand: with a reason, answered by the server, refused in words."""

from collections.abc import Callable

import pytest
from sqlalchemy import select
from starlette.testclient import TestClient

from portal.audit import AuditEvent, Happened
from portal.db import Database
from tests.routes.conftest import Cast
from tests.routes.staff.conftest import Road

FRAGMENT = {
    "HX-Request": "true",
    "HX-Request-Type": "partial",
    "HX-Current-URL": "http://testserver/staff/pipeline?show=flagged",
}
DEPLOYMENT, FOLLOW_UP_30 = 2, 3


def test_a_move_says_what_it_does_before_it_is_made(carla: TestClient, road: Road) -> None:
    page = carla.get(f"/staff/journeys/{road.lumen}/move").text
    assert "plans the 30-day survey, unless it was sent before; adds the activity “Contact at 60 days of use”" in page
    assert "sends the welcome e-mail" in page
    assert "opens the journey “Relationship”" in page


def test_a_move_keeps_its_reason_and_who_made_it(
    carla: TestClient, database: Database, cast: Cast, road: Road, stage_of: Callable[[int], int]
) -> None:
    answer = carla.post(
        f"/staff/journeys/{road.lumen}/move",
        data={"stage": "follow_up_30", "reason": "They use it since May", "return": "/staff/pipeline?owner=mine"},
    )
    assert (answer.status_code, answer.headers["location"]) == (303, "/staff/pipeline?owner=mine")
    assert stage_of(road.lumen) == FOLLOW_UP_30
    with database.read() as db:
        moved = db.scalars(
            select(AuditEvent).where(AuditEvent.what == Happened.STAGE_ENTERED).order_by(AuditEvent.id.desc()).limit(1)
        ).one()
    assert (moved.by, moved.detail["reason"]) == (f"staff:{cast.carla}", "They use it since May")
    assert "Lumen moved to 30-day follow-up" in carla.get(answer.headers["location"]).text


def test_from_the_board_the_answer_is_the_board_with_its_filter(carla: TestClient, road: Road, flag: int) -> None:
    answer = carla.post(
        f"/staff/journeys/{road.verdant}/move", data={"stage": "first_contact", "reason": "Known"}, headers=FRAGMENT
    )
    assert answer.status_code == 200
    assert answer.text.lstrip().startswith('<div class="stack g-3" id="board-part">')
    assert "Lumen" in answer.text, "flagged cards stay in sight"
    assert "Verdant</a>" not in answer.text, "it isn't flagged"
    assert "Verdant moved to Contact with customer" in answer.text


@pytest.mark.parametrize("reason", ["", "   ", "x" * 501, "a\x00b", "\u202eevil"])
def test_without_a_good_reason_nothing_moves_and_what_was_typed_stays(
    reason: str, carla: TestClient, road: Road, stage_of: Callable[[int], int]
) -> None:
    answer = carla.post(f"/staff/journeys/{road.lumen}/move", data={"stage": "follow_up_60", "reason": reason})
    assert answer.status_code == 422
    assert 'value="follow_up_60" checked' in answer.text
    assert 'id="page-reason-e"' in answer.text
    assert stage_of(road.lumen) == DEPLOYMENT


def test_a_dialog_that_came_back_turns_into_the_page(carla: TestClient, road: Road) -> None:
    answer = carla.post(
        f"/staff/journeys/{road.lumen}/move", data={"stage": "follow_up_60", "reason": ""}, headers=FRAGMENT
    )
    assert answer.status_code == 422
    assert answer.headers["hx-retarget"] == "#main"
    assert "<html" not in answer.text and 'value="follow_up_60" checked' in answer.text


@pytest.mark.parametrize(
    ("stage", "sentence"),
    [
        ("approved", "There is an open flag. Settle it first, then approve the customer."),
        ("deployment", "The customer is already in that stage."),
        ("no_such", "There is no stage called no_such."),
    ],
)
def test_a_refusal_is_a_notice_beside_what_was_typed(
    stage: str, sentence: str, carla: TestClient, road: Road, flag: int, stage_of: Callable[[int], int]
) -> None:
    answer = carla.post(f"/staff/journeys/{road.lumen}/move", data={"stage": stage, "reason": "They are ready"})
    assert answer.status_code == 422
    assert sentence in answer.text
    assert 'value="They are ready"' in answer.text
    assert stage_of(road.lumen) == DEPLOYMENT


def test_a_customer_moves_nobody(maria: TestClient, road: Road, stage_of: Callable[[int], int]) -> None:
    answer = maria.post(f"/staff/journeys/{road.lumen}/move", data={"stage": "approved", "reason": "Me"})
    assert answer.status_code == 404
    assert stage_of(road.lumen) == DEPLOYMENT
