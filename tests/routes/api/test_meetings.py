"""Meetings over the API: what is free, booking it, and who was faster."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import update

from portal.accounts.models import Staff
from portal.clock import FixedClock
from portal.db import Database
from tests.routes.api.conftest import Crm, deal
from tests.routes.conftest import Cast


@pytest.fixture
def journey(crm: Crm) -> str:
    made = crm.put("/accounts/D-77", deal(consultant_email="carla@onward.example"), status=201)
    return str(made["journeys"][0]["id"])


def consultant(database: Database, cast: Cast) -> str:
    with database.read() as db:
        return db.get_one(Staff, cast.carla).email


def free(crm: Crm, email: str, **wanted: str) -> list[str]:
    found = crm.get("/slots", consultant_email=email, kind="checkup", **wanted)["items"]
    return [slot["starts_at"] for slot in found]


def test_a_slot_is_booked_listed_and_sold_once(crm: Crm, database: Database, cast: Cast, journey: str) -> None:
    email = consultant(database, cast)
    slot = free(crm, email)[0]
    wish: dict[str, Any] = {"journey_id": journey, "kind": "checkup", "starts_at": slot, "consultant_email": email}
    booked = crm.post("/meetings", wish | {"agenda": "The price file"}, status=201)
    assert (booked["starts_at"], booked["state"], booked["sequence"]) == (slot, "planned", 0)
    assert (booked["journey_id"], booked["account_external_id"]) == (journey, "D-77")
    assert (booked["agenda"], booked["booked_by"]) == ("The price file", "api:crm")
    assert crm.get("/meetings", journey=journey)["items"] == [booked]
    assert crm.get("/meetings", journey="999")["items"] == []
    assert slot not in free(crm, email)
    taken = crm.post("/meetings", wish | {"kind": "kickoff"}, status=409)
    assert taken["detail"] == "That time was just taken. These are still free."


def test_slots_lie_within_the_dates_asked_for(crm: Crm, database: Database, cast: Cast) -> None:
    email = consultant(database, cast)
    every = free(crm, email)
    day = every[len(every) // 2][:10]
    with database.write() as db:
        db.execute(update(Staff).values(timezone="UTC"))
    of_that_day = free(crm, email, **{"from": day, "to": day})
    assert of_that_day
    assert {slot[:10] for slot in of_that_day} == {day}


@pytest.mark.parametrize(
    ("wanted", "field"),
    [
        ({"consultant_email": "nobody@onward.example", "kind": "checkup"}, "consultant_email"),
        ({"kind": "checkup"}, "consultant_email"),
        ({"consultant_email": "x", "kind": "tea"}, "kind"),
        ({"consultant_email": "x", "kind": "checkup", "from": "tomorrow"}, "from"),
        ({"consultant_email": "x", "kind": "checkup", "colour": "red"}, "colour"),
    ],
)
def test_a_wrong_question_is_said_beside_its_field(crm: Crm, wanted: dict[str, str], field: str) -> None:
    answer = crm.ask("GET", "/slots", status=422, params=wanted)
    assert [error["field"] for error in answer["errors"]] == [field]


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"journey_id": "999"}, "journey_id"),
        ({"contact_email": "sofia@elsewhere.example"}, "contact_email"),
        ({"consultant_email": "nobody@onward.example"}, "consultant_email"),
        ({"starts_at": "2026-06-24T10:00:00"}, "starts_at"),
        ({"starts_at": "9999-06-24T10:00:00Z"}, "starts_at"),
        ({"kind": "tea"}, "kind"),
        ({"way": "pigeon"}, "way"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_a_wrong_booking_is_said_beside_its_field(
    crm: Crm, database: Database, cast: Cast, journey: str, clock: FixedClock, wrong: dict[str, str], field: str
) -> None:
    later = (clock.now() + timedelta(days=3)).astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    wish = {"journey_id": journey, "kind": "checkup", "starts_at": later.isoformat()}
    wish["consultant_email"] = consultant(database, cast)
    answer = crm.post("/meetings", wish | wrong, status=422)
    assert [error["field"] for error in answer["errors"]] == [field]


def test_a_time_that_was_never_on_offer_is_a_conflict(crm: Crm, database: Database, cast: Cast, journey: str) -> None:
    night = datetime(2026, 6, 24, 3, 0, tzinfo=UTC).isoformat()
    wish = {
        "journey_id": journey,
        "kind": "checkup",
        "starts_at": night,
        "consultant_email": consultant(database, cast),
    }
    crm.post("/meetings", wish, status=409)
