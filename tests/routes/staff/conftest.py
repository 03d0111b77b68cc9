"""Lumen and Verdant on the road, with Carla as their consultant, and the cast of the staff in browsers."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from fastapi import FastAPI
from sqlalchemy import event, select, update
from starlette.testclient import TestClient

from portal.accounts.models import Account
from portal.db import Database
from portal.house import House
from portal.journeys import actions, cases
from portal.journeys.models import Activity, JourneyRow
from portal.journeys.rules import FlagOrigin
from portal.journeys.shipped import load_shipped
from tests.routes.conftest import NOON, Cast, SignIn

MONTH_AGO = NOON - timedelta(days=31)


@pytest.fixture
def house(onward: FastAPI) -> House:
    found: House = onward.state.wiring.house
    return found


@dataclass(frozen=True)
class Road:
    """The journeys of the two accounts; Lumen's is in deployment, Verdant's in its first stage."""

    lumen: int
    verdant: int


@pytest.fixture
def road(database: Database, house: House, cast: Cast) -> Road:
    """Lumen in use since yesterday, Verdant just sold; both Carla's."""
    with database.write() as db:
        load_shipped(db, now=MONTH_AGO)
    with database.write() as db:
        for account_id, words in ((cast.lumen, "lumen maria souza"), (cast.other, "verdant sofia alves")):
            db.execute(update(Account).where(Account.id == account_id).values(plan="Team", search=words))
        lumen = actions.open_after_sale(
            db, house, account_id=cast.lumen, owner_id=cast.carla, by="api:crm", now=NOON - timedelta(days=3)
        )
        verdant = actions.open_after_sale(
            db, house, account_id=cast.other, owner_id=cast.carla, by="api:crm", now=NOON - timedelta(days=3)
        )
        activity = db.scalars(select(Activity.id).where(Activity.journey_id == lumen)).one()
        actions.complete_activity(
            db, house, activity_id=activity, note="", by=f"staff:{cast.carla}", now=NOON - timedelta(days=2)
        )
        actions.hear_sign_in(db, house, contact_id=cast.maria, now=NOON - timedelta(days=1))
    return Road(lumen, verdant)


@pytest.fixture
def flag(database: Database, house: House, road: Road, cast: Cast) -> int:
    """Maria is unhappy since an hour ago."""
    with database.write() as db:
        return cases.open_flag(
            db,
            house,
            journey_id=road.lumen,
            origin=FlagOrigin.ANSWER,
            by=f"contact:{cast.maria}",
            contact_id=cast.maria,
            words="The tablet loses the count.",
            scores={"nps": 3, "csat": 2},
            now=NOON - timedelta(hours=1),
        )


@pytest.fixture
def carla(signed_in: SignIn, cast: Cast, road: Road) -> TestClient:
    return signed_in(staff_id=cast.carla)


@pytest.fixture
def rui(signed_in: SignIn, cast: Cast, road: Road) -> TestClient:
    return signed_in(staff_id=cast.rui)


@pytest.fixture
def ana(signed_in: SignIn, cast: Cast, road: Road) -> TestClient:
    return signed_in(staff_id=cast.ana)


@pytest.fixture
def maria(signed_in: SignIn, cast: Cast, road: Road) -> TestClient:
    return signed_in(contact_id=cast.maria)


@pytest.fixture
def stage_of(database: Database) -> Callable[[int], int]:
    """The position a journey is at."""

    def position(journey_id: int) -> int:
        with database.read() as db:
            return db.scalars(select(JourneyRow.position).where(JourneyRow.id == journey_id)).one()

    return position


@contextmanager
def statements(database: Database) -> Iterator[list[str]]:
    """The statements that run meanwhile."""
    ran: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        ran.append(statement)

    engines = {database.read_engine, database.write_engine}
    for engine in engines:
        event.listen(engine, "before_cursor_execute", note)
    try:
        yield ran
    finally:
        for engine in engines:
            event.remove(engine, "before_cursor_execute", note)
