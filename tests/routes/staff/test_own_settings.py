"""One's own settings: what is kept, what is refused beside its field, and that customers see it."""

import re

import pytest
from sqlalchemy import select
from starlette.testclient import TestClient

from portal.accounts.models import Staff
from portal.audit import AuditEvent, Happened
from portal.db import Database
from tests.routes.conftest import Cast

CARLA = {
    "name": "Carla Nunes",
    "phone": "+55 11 98888-1234",
    "whatsapp": "",
    "meeting_url": "https://meet.example/carla",
    "language": "pt-BR",
    "timezone": "America/Bahia",
}


def test_own_settings_are_kept_and_on_record(carla: TestClient, database: Database, cast: Cast) -> None:
    assert carla.post("/staff/settings", data=CARLA).status_code == 303
    with database.read() as db:
        kept = db.get_one(Staff, cast.carla)
        told = db.scalars(select(AuditEvent).where(AuditEvent.what == Happened.STAFF_CHANGED)).one()
    assert (kept.name, kept.phone, kept.meeting_url, kept.timezone) == (
        "Carla Nunes",
        "+5511988881234",
        "https://meet.example/carla",
        "America/Bahia",
    )
    assert (told.by, told.detail["change"]) == (f"staff:{cast.carla}", "details")
    page = carla.get("/staff/settings").text
    assert 'value="+5511988881234"' in page and 'lang="pt-BR"' in page


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", " "),
        ("phone", "call me"),
        ("whatsapp", "12"),
        ("meeting_url", "http://meet.example/carla"),
        ("meeting_url", "javascript:alert(1)"),
        ("language", "xx"),
        ("timezone", "Mars/Olympus"),
    ],
)
def test_a_mistake_comes_back_beside_its_field_with_what_was_typed(
    field: str, value: str, carla: TestClient, database: Database, cast: Cast
) -> None:
    with database.read() as db:
        before = db.get_one(Staff, cast.carla).name
    answer = carla.post("/staff/settings", data={**CARLA, "name": "Somebody Else", field: value})
    assert answer.status_code == 422
    assert re.search(rf'<(input|select) id="{field}"[^>]*aria-invalid="true"', answer.text)
    with database.read() as db:
        assert db.get_one(Staff, cast.carla).name == before


def test_the_set_up_shows_each_reader_what_they_may_enter(ana: TestClient, rui: TestClient, carla: TestClient) -> None:
    assert 'href="/staff/people"' in ana.get("/admin").text
    managers = rui.get("/admin")
    assert managers.status_code == 200
    assert 'href="/staff/people"' not in managers.text and 'href="/staff/import"' in managers.text
    assert carla.get("/admin").status_code == 403
