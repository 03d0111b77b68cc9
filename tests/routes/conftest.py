"""The whole application on a database of the test's own, with the cast in it and a clock that stands still."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from portal import auth
from portal.accounts.models import Account, Contact, Staff
from portal.accounts.rules import Language, Role
from portal.app import create_app
from portal.clock import FixedClock
from portal.db import Database
from portal.house import House
from portal.settings import Settings, read_settings
from portal.web import SESSION_COOKIE, cookie_name

NOON = datetime(2026, 6, 23, 15, 0, tzinfo=UTC)


class Cast:
    """Everybody's ids: Maria and João at Lumen, Sofia at another account; Carla, Rui and Ana of the staff."""

    maria: int
    joao: int
    sofia: int
    carla: int
    rui: int
    ana: int
    lumen: int
    other: int


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock(NOON)


@pytest.fixture
def settings(database_url: str, tmp_path: Path) -> Settings:
    return read_settings(
        {
            "PORTAL_DATABASE_URL": database_url,
            "PORTAL_DATA_DIR": str(tmp_path),
            "PORTAL_BASE_URL": "http://testserver",
            "PORTAL_SECRET_KEY": "a secret for tests that nobody needs to keep",
        }
    )


@pytest.fixture
def onward(settings: Settings, clock: FixedClock) -> Iterator[FastAPI]:
    """The application."""
    app = create_app(settings, clock)
    house: House = app.state.wiring.house
    yield app
    house.database.close()


@pytest.fixture
def database(onward: FastAPI) -> Database:
    house: House = onward.state.wiring.house
    return house.database


@pytest.fixture
def cast(database: Database) -> Cast:
    """The people, on file."""
    people = Cast()
    with database.write() as db:
        staff = {
            name: Staff(
                email=f"{name}@onward.example",
                name=full,
                role=role,
                language=language,
                timezone="America/Sao_Paulo",
                created_at=NOON,
            )
            for name, full, role, language in (
                ("carla", "Carla Nunes", Role.CONSULTANT, Language.EN),
                ("rui", "Rui Prado", Role.MANAGER, Language.EN),
                ("ana", "Ana Reis", Role.ADMINISTRATOR, Language.PT_BR),
            )
        }
        lumen = Account(external_id="D-1", name="Lumen", created_at=NOON, created_by="system")
        other = Account(external_id="D-2", name="Verdant", created_at=NOON, created_by="system")
        db.add_all([*staff.values(), lumen, other])
        db.flush()
        contacts = {
            name: Contact(
                account_id=account.id,
                name=full,
                email=f"{name}@{where}.example",
                language=language,
                timezone="America/Sao_Paulo",
                is_primary=is_primary,
                created_at=NOON,
            )
            for name, full, account, where, language, is_primary in (
                ("maria", "Maria Souza", lumen, "lumen", Language.EN, True),
                ("joao", "João Lima", lumen, "lumen", Language.PT_BR, False),
                ("sofia", "Sofia Alves", other, "verdant", Language.EN, True),
            )
        }
        db.add_all(contacts.values())
        db.flush()
        for name, person in (staff | contacts).items():
            setattr(people, name, person.id)
        people.lumen, people.other = lumen.id, other.id
    return people


@pytest.fixture
def browser(onward: FastAPI) -> Callable[[], TestClient]:
    """A new browser (its own cookies) each time it is called. It doesn't follow redirects: tests say where they lead."""

    def new() -> TestClient:
        return TestClient(onward, follow_redirects=False, headers={"Sec-Fetch-Site": "same-origin"})

    return new


SignIn = Callable[..., TestClient]


@pytest.fixture
def signed_in(onward: FastAPI, database: Database, browser: Callable[[], TestClient], clock: FixedClock) -> SignIn:
    """`signed_in(contact_id=…)` or `signed_in(staff_id=…)`: a browser with a real session."""

    def sign_in(*, contact_id: int | None = None, staff_id: int | None = None) -> TestClient:
        with database.write() as db:
            token = auth.open_session(db, contact_id=contact_id, staff_id=staff_id, way="test", now=clock.now())
        made = browser()
        made.cookies.set(cookie_name(onward.state.wiring.settings, SESSION_COOKIE), token)
        return made

    return sign_in
