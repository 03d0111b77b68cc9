"""The whole application on a database of the test's own, with customers under way and a consultant to meet.

Carla works in São Paulo, Monday to Friday, 9 to 12 and 13 to 17. It is Monday, 22 June 2026, 9:00 there.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from fastapi import FastAPI
from sqlalchemy import event
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

import portal.tables  # noqa: F401 - every table
from portal import auth
from portal.accounts.models import Account, Contact, Staff
from portal.accounts.rules import Language, Role
from portal.app import create_app
from portal.clock import FixedClock
from portal.db import Base, Database
from portal.house import House
from portal.journeys import actions as journeys
from portal.journeys import shipped
from portal.meetings import actions
from portal.meetings.actions import Booking
from portal.meetings.rules import MeetingKind, Way
from portal.settings import Settings, read_settings
from portal.surveys.shipped import load_shipped_surveys
from portal.web import SESSION_COOKIE, cookie_name

MONDAY = datetime(2026, 6, 22, 12, 0, tzinfo=UTC)
"""9:00 for Carla and Maria, 13:00 for Sofia in London."""
WEDNESDAY_10 = datetime(2026, 6, 24, 13, 0, tzinfo=UTC)
"""10:00 for Carla and Maria."""
WEDNESDAY_11 = datetime(2026, 6, 24, 14, 0, tzinfo=UTC)


@dataclass
class World:
    """The house, and everybody's ids."""

    house: House
    clock: FixedClock
    maria: int = 0
    joao: int = 0
    sofia: int = 0
    carla: int = 0
    rui: int = 0
    lumen: int = 0
    verdant: int = 0
    journey: int = 0
    """Lumen's."""
    other_journey: int = 0

    @property
    def database(self) -> Database:
        return self.house.database

    def book(
        self,
        starts_at: datetime = WEDNESDAY_10,
        *,
        kind: MeetingKind = MeetingKind.KICKOFF,
        by: str = "",
        contact_id: int | None = None,
        agenda: str = "",
        flag_id: int | None = None,
        way: Way = Way.VIDEO,
    ) -> int:
        """Books for Maria (or whoever is named), by herself unless said otherwise."""
        who = contact_id or self.maria
        booking = Booking(
            kind=kind,
            starts_at=starts_at,
            journey_id=self.other_journey if who == self.sofia else self.journey,
            contact_id=who,
            staff_id=self.carla,
            agenda=agenda,
            flag_id=flag_id,
            way=way,
        )
        with self.database.write() as db:
            return actions.book(db, self.house, booking, by=by or f"contact:{who}", now=self.clock.now())


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock(MONDAY)


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
    Base.metadata.create_all(house.database.write_engine)
    yield app
    house.database.close()


@pytest.fixture
def world(onward: FastAPI, clock: FixedClock) -> World:
    """Everybody on file, with a journey for each of the two accounts; use has not started."""
    made = World(onward.state.wiring.house, clock)
    with made.database.write() as db:
        fill(db, made)
    return made


def fill(db: Session, world: World) -> None:
    now = world.clock.now()
    shipped.load_shipped(db, now=now)
    carla = _staff("carla", "Carla Nunes", Role.CONSULTANT, now)
    carla.meeting_url = "https://meet.example/carla"
    rui = _staff("rui", "Rui Prado", Role.MANAGER, now)
    lumen = Account(external_id="D-1", name="Lumen", created_at=now, created_by="system")
    verdant = Account(external_id="D-2", name="Verdant", created_at=now, created_by="system")
    db.add_all([carla, rui, lumen, verdant])
    db.flush()
    maria = _contact("maria", "Maria Souza", lumen, Language.PT_BR, "America/Sao_Paulo", now, is_primary=True)
    joao = _contact("joao", "João Lima", lumen, Language.PT_BR, "America/Sao_Paulo", now)
    sofia = _contact("sofia", "Sofia Alves", verdant, Language.EN, "Europe/London", now, is_primary=True)
    db.add_all([maria, joao, sofia])
    db.flush()
    world.maria, world.joao, world.sofia = maria.id, joao.id, sofia.id
    world.carla, world.rui = carla.id, rui.id
    world.lumen, world.verdant = lumen.id, verdant.id
    world.journey, world.other_journey = (
        journeys.open_after_sale(db, world.house, account_id=account.id, owner_id=carla.id, by="import", now=now)
        for account in (lumen, verdant)
    )


def _staff(key: str, name: str, role: Role, now: datetime) -> Staff:
    return Staff(
        email=f"{key}@onward.example",
        name=name,
        role=role,
        language=Language.EN,
        timezone="America/Sao_Paulo",
        created_at=now,
    )


def _contact(
    key: str, name: str, account: Account, language: Language, zone: str, now: datetime, *, is_primary: bool = False
) -> Contact:
    return Contact(
        account_id=account.id,
        name=name,
        email=f"{key}@{account.name.lower()}.example",
        phone="+5511987654321",
        language=language,
        timezone=zone,
        is_primary=is_primary,
        created_at=now,
    )


def start_use(world: World, on: date) -> None:
    with world.database.write() as db:
        journeys.correct_use_start(
            db, world.house, journey_id=world.journey, on=on, by=f"staff:{world.carla}", now=world.clock.now()
        )


@pytest.fixture
def browser(onward: FastAPI) -> Callable[[], TestClient]:
    """A new browser each time it is called. It doesn't follow redirects: tests say where they lead."""

    def new() -> TestClient:
        return TestClient(onward, follow_redirects=False, headers={"Sec-Fetch-Site": "same-origin"})

    return new


SignIn = Callable[..., TestClient]


@pytest.fixture
def signed_in(onward: FastAPI, world: World, browser: Callable[[], TestClient]) -> SignIn:
    """`signed_in(contact_id=…)` or `signed_in(staff_id=…)`: a browser with a real session."""

    def sign_in(*, contact_id: int | None = None, staff_id: int | None = None) -> TestClient:
        with world.database.write() as db:
            token = auth.open_session(db, contact_id=contact_id, staff_id=staff_id, way="test", now=world.clock.now())
        made = browser()
        made.cookies.set(cookie_name(onward.state.wiring.settings, SESSION_COOKIE), token)
        return made

    return sign_in


@pytest.fixture
def statements(world: World) -> Iterator[Callable[[], list[str]]]:
    """What the reading engine was asked since the test began."""
    asked: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_more: object) -> None:
        asked.append(statement)

    event.listen(world.database.read_engine, "before_cursor_execute", note)
    yield lambda: asked
    event.remove(world.database.read_engine, "before_cursor_execute", note)


@pytest.fixture
def surveys(world: World) -> None:
    """The surveys that ship."""
    with world.database.write() as db:
        load_shipped_surveys(db, now=world.clock.now())
