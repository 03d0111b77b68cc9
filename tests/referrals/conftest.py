"""A house with the shipped programme; Maria and João at Lumen, Sofia elsewhere, and journeys to be prompted on."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from portal.accounts.models import Account, Contact, Staff
from portal.accounts.rules import Language, Role
from portal.clock import FixedClock
from portal.house import House
from portal.journeys import actions as journeys
from portal.journeys.shipped import load_shipped
from portal.referrals.shipped import load_shipped_programme
from portal.settings import read_settings

NOON = datetime(2026, 6, 23, 15, tzinfo=UTC)


@dataclass
class Cast:
    maria: int
    joao: int
    sofia: int
    lumen: int
    verdant: int
    carla: int
    journey: int
    """Lumen's."""


@pytest.fixture
def house(database_url: str, tmp_path: Path) -> Iterator[House]:
    settings = read_settings(
        {
            "PORTAL_DATABASE_URL": database_url,
            "PORTAL_DATA_DIR": str(tmp_path),
            "PORTAL_BASE_URL": "http://portal.example",
        }
    )
    opened = House.open(settings, FixedClock(NOON))
    yield opened
    opened.database.close()


@pytest.fixture
def cast(house: House) -> Cast:
    with house.database.write() as db:
        load_shipped(db, now=NOON)
        load_shipped_programme(db, now=NOON)
        carla = Staff(
            email="carla@onward.example", name="Carla Nunes", role=Role.CONSULTANT, timezone="UTC", created_at=NOON
        )
        db.add(carla)
        db.flush()
        accounts = [
            Account(
                external_id=name,
                name=name.title(),
                plan="Pro",
                consultant_id=carla.id,
                created_at=NOON,
                created_by="system",
            )
            for name in ("lumen", "verdant")
        ]
        db.add_all(accounts)
        db.flush()
        people = {
            name: Contact(
                account_id=accounts[where].id, name=full, email=f"{name}@{accounts[where].external_id}.example",
                language=Language.EN, timezone="UTC", is_primary=is_primary, created_at=NOON,
            )
            for name, full, where, is_primary in (
                ("maria", "Maria Souza", 0, True),
                ("joao", "João Lima", 0, False),
                ("sofia", "Sofia Alves", 1, True),
            )
        }  # fmt: skip
        db.add_all(people.values())
        db.flush()
        journey = journeys.open_after_sale(
            db, house, account_id=accounts[0].id, owner_id=carla.id, by="import", now=NOON
        )
        return Cast(
            people["maria"].id, people["joao"].id, people["sofia"].id, accounts[0].id, accounts[1].id, carla.id, journey
        )
