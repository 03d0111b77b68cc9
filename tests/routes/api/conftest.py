"""A CRM with a token, on the whole application; time passes when a test says so."""

import json
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

import pytest
from fastapi import FastAPI
from sqlalchemy import event
from starlette.testclient import TestClient

from portal import auth
from portal.auth import Scope
from portal.clock import FixedClock
from portal.db import Database
from portal.house import House
from portal.worker import TIMETABLE, Worker
from tests.factories import load_shipped_rules
from tests.routes.conftest import Cast

Body = dict[str, Any]


class Crm:
    """An integration: a token and the calls it makes."""

    def __init__(self, app: FastAPI, token: str) -> None:
        self.client = TestClient(
            app,
            base_url="http://testserver",
            headers={"Authorization": f"Bearer {token}"},
            raise_server_exceptions=False,
        )

    def ask(self, method: str, path: str, body: Any = None, *, status: int | None = None, **options: Any) -> Any:
        """One call; gives the JSON it answers. `status`: what it has to be."""
        if body is not None:  # written here: the client's own way refuses what a lone surrogate is
            options["headers"] = {"Content-Type": "application/json", **options.get("headers", {})}
            options["content"] = json.dumps(body)
        answer = self.client.request(method, f"/api/v1{path}", **options)
        assert status is None or answer.status_code == status, answer.text
        return answer.json()

    def get(self, path: str, **wanted: Any) -> Any:
        return self.ask("GET", path, status=200, params=wanted)

    def post(self, path: str, body: Any, *, status: int = 200, key: str = "") -> Any:
        return self.ask("POST", path, body, status=status, headers={"Idempotency-Key": key} if key else {})

    def put(self, path: str, body: Any, *, status: int = 200) -> Any:
        return self.ask("PUT", path, body, status=status)


@pytest.fixture
def house(onward: FastAPI) -> House:
    found: House = onward.state.wiring.house
    return found


@pytest.fixture(autouse=True)
def shipped(database: Database, cast: Cast, clock: FixedClock) -> None:
    with database.write() as db:
        load_shipped_rules(db, now=clock.now())


def token(database: Database, scope: Scope, now: datetime, name: str) -> str:
    with database.write() as db:
        return auth.create_token(db, name, scope=scope, by="cli", now=now)


@pytest.fixture
def crm(onward: FastAPI, database: Database, clock: FixedClock) -> Crm:
    """The CRM, which may write."""
    return Crm(onward, token(database, Scope.WRITE, clock.now(), "crm"))


@pytest.fixture
def reader(onward: FastAPI, database: Database, clock: FixedClock) -> Crm:
    """A dashboard, which may read."""
    return Crm(onward, token(database, Scope.READ, clock.now(), "board"))


LiveUntil = Callable[[datetime], None]


@pytest.fixture
def live_until(house: House, clock: FixedClock) -> LiveUntil:
    """All that falls due up to then is done, each at its own time."""
    worker = Worker(house, TIMETABLE)

    def live(moment: datetime) -> None:
        worker.run_until_idle(clock.now())
        while (following := worker.next_due()) is not None and following <= moment:
            clock.set(max(following, clock.now()))
            worker.run_until_idle(clock.now())
        clock.set(moment)

    return live


def deal(**changes: Any) -> Body:
    """A won deal as a CRM sends it."""
    return {
        "name": "Moss & Rye Bakery",
        "plan": "Multi-site",
        "mrr": {"amount": "1200.00", "currency": "BRL"},
        "sold_on": "2026-06-20",
        "renews_on": "2027-06-20",
        "consultant_email": "carla@onward.example",
        "interests": ["stock", "waste"],
        "contacts": [
            {
                "name": "Lia Moss",
                "email": "Lia@MossRye.example",
                "phone": "+55 11 98765-4321",
                "language": "pt-BR",
                "timezone": "America/Sao_Paulo",
                "primary": True,
            },
            {"name": "Rui Rye", "phone": "11 3456-7890"},
        ],
    } | changes


@pytest.fixture
def statements(database: Database) -> Iterator[list[str]]:
    """What the reader's connections were asked, as it happens."""
    seen: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_more: Any) -> None:
        seen.append(statement)

    event.listen(database.read_engine, "before_cursor_execute", note)
    yield seen
    event.remove(database.read_engine, "before_cursor_execute", note)
