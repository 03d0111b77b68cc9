"""The team: who joins, what they may do, and that ended access ends at once."""

import pytest
from sqlalchemy import select
from starlette.testclient import TestClient

from portal.accounts.models import Staff
from portal.accounts.rules import Role
from portal.audit import AuditEvent, Happened
from portal.db import Database
from tests.routes.conftest import Cast

BIA = {
    "name": "Bia Lopes",
    "email": "Bia@onward.example",
    "role": "manager",
    "language": "pt-BR",
    "timezone": "America/Bahia",
}


def test_somebody_joins_and_it_is_on_record(ana: TestClient, database: Database, cast: Cast) -> None:
    assert ana.post("/staff/people", data=BIA).status_code == 303
    with database.read() as db:
        bia = db.scalars(select(Staff).where(Staff.email == "bia@onward.example")).one()
        told = db.scalars(select(AuditEvent).where(AuditEvent.what == Happened.STAFF_CHANGED)).one()
    assert (bia.name, bia.role, told.by, told.detail["change"]) == (
        "Bia Lopes",
        Role.MANAGER,
        f"staff:{cast.ana}",
        "added",
    )


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", " "),
        ("name", "x" * 201),
        ("email", "carla@onward.example"),
        ("email", "nobody"),
        ("role", "king"),
        ("language", "xx"),
        ("timezone", "\x00"),
    ],
)
def test_a_mistake_comes_back_beside_its_field(
    field: str, value: str, ana: TestClient, database: Database, cast: Cast
) -> None:
    answer = ana.post("/staff/people", data={**BIA, field: value})
    assert answer.status_code == 422
    assert f'id="{field}-e"' in answer.text
    with database.read() as db:
        assert len(db.scalars(select(Staff.id)).all()) == 3


def test_ended_access_ends_at_once_and_can_be_given_back(
    ana: TestClient, carla: TestClient, database: Database, cast: Cast
) -> None:
    assert carla.get("/staff").status_code == 200
    assert ana.post(f"/staff/people/{cast.carla}/disabled").status_code == 303
    assert carla.get("/staff").headers["location"] == "/sign-in?next=/staff"
    assert "no access since" in ana.get("/staff/people").text or "sem acesso desde" in ana.get("/staff/people").text
    assert ana.post(f"/staff/people/{cast.carla}/enabled").status_code == 303
    with database.read() as db:
        assert db.get_one(Staff, cast.carla).disabled_at is None
    assert carla.get("/staff").status_code == 303, "the old session stays ended"


def test_a_role_counts_from_the_next_click(ana: TestClient, carla: TestClient, cast: Cast) -> None:
    address = f"/staff/customers/{cast.lumen}/churn"
    assert carla.get(address).status_code == 403
    ana.post(f"/staff/people/{cast.carla}/role", data={"role": "manager"})
    assert carla.get(address).status_code == 200


def test_the_last_administrator_stays_and_nobody_ends_their_own_access(
    ana: TestClient, database: Database, cast: Cast
) -> None:
    assert ana.post(f"/staff/people/{cast.ana}/role", data={"role": "consultant"}).status_code == 409
    assert ana.post(f"/staff/people/{cast.ana}/disabled").status_code == 409
    with database.read() as db:
        person = db.get_one(Staff, cast.ana)
    assert (person.role, person.disabled_at) == (Role.ADMINISTRATOR, None)


def test_only_administrators_change_the_team(
    rui: TestClient, carla: TestClient, cast: Cast, database: Database
) -> None:
    for who in (rui, carla):
        assert who.post("/staff/people", data=BIA).status_code == 403
        assert who.post(f"/staff/people/{cast.ana}/disabled").status_code == 403
        assert who.post(f"/staff/people/{cast.carla}/role", data={"role": "administrator"}).status_code == 403
    with database.read() as db:
        assert db.get_one(Staff, cast.carla).role is Role.CONSULTANT


@pytest.mark.parametrize("path", ["/staff/people/999999/disabled", "/staff/people/999999/enabled"])
def test_nobody_is_not_found(path: str, ana: TestClient) -> None:
    assert ana.post(path).status_code == 404
    assert ana.post("/staff/people/999999/role", data={"role": "manager"}).status_code == 404
