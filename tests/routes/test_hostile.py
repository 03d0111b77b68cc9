"""No form however hostile is our fault: every POST of the table, every field that its page reads, every kind of abuse.

The walk reads the routes and the fields from the application itself, so a new page is walked without a line here.
"""

import inspect
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import pytest
from fastapi import FastAPI
from pydantic import BaseModel
from sqlalchemy import JSON, String, cast, select
from starlette.testclient import TestClient

from portal.db import Base, Database
from portal.deps import GuardedRoute, Who
from portal.house import House
from portal.journeys.models import Activity, GoalRow, Milestone, PendingIssue
from portal.surveys.models import Invitation
from tests.routes.conftest import NOON, Cast, SignIn
from tests.routes.staff.conftest import Road, carla, flag, house, maria, road
from tests.routes.test_guards import all_routes

__all__ = ["carla", "flag", "house", "maria", "road"]

MARK = "h0st1le"
"""In every hostile text, so that the database can be searched for what slipped through."""
HOSTILE = {
    "too long": MARK * 2_000,
    "NUL": f"{MARK}\x00x",
    "a direction override": f"{MARK}\u202egpj.exe",
    "bytes that are no text": f"{MARK}\x1b[2J",
}
WRONG_TYPE = ("-1", "0", str(2**63), "1e309", "NaN", "99999-99-99", "20260101", "25:61", "[]", "on\r\nSet-Cookie: a=b")
PLAUSIBLE = {
    "amount": "10", "channel": "phone", "company": "Lumen", "consent": "on", "csat": "4", "currency": "BRL",
    "date": "2026-06-22", "day": "30", "due_on": "2026-07-01", "email": "new@friend.example", "kind": "check_up",
    "language": "en", "measure": "orders", "name": "Nina Weber", "next": "/", "nps": "9", "on": "2026-06-22",
    "outcome": "resolved", "phone": "+55 11 91234 5678", "problem": "The tablet", "reason": "They asked for it",
    "result": "satisfied", "return": "/staff", "role": "consultant", "solution": "A new one", "stage": "deployment",
    "note": "We spoke", "text": "Hello", "timezone": "America/Sao_Paulo", "title": "Count stock", "whose": "us",
}  # fmt: skip


def _routes(app: FastAPI) -> Iterator[tuple[str, GuardedRoute]]:
    for path, route in all_routes(app.routes):
        if isinstance(route, GuardedRoute) and "POST" in route.methods and route.guard.who is not Who.API:
            yield path, route


def _fields(route: GuardedRoute) -> list[str]:
    """What the route reads from its form: the models that it names and what it asks for; where it leaves the reading to
    others, what anything in its file reads."""
    module: Any = inspect.getmodule(route.endpoint)
    return _read_in(inspect.getsource(route.endpoint), module) or _read_in(inspect.getsource(module), module)


def _read_in(source: str, module: Any) -> list[str]:
    models = [value for name, value in vars(module).items() if re.search(rf"\b{name}\b", source) and _is_form(value)]
    asked = re.findall(r'ask\.form(?:\.get|\.getlist)?[\[(]"(\w+)"', source)
    return sorted({*(field for model in models for field in model.model_fields), *asked})


def _is_form(value: object) -> bool:
    return inspect.isclass(value) and issubclass(value, BaseModel) and value is not BaseModel


@pytest.fixture
def rows(database: Database, house: House, road: Road, flag: int, cast: Cast) -> dict[str, int]:
    """A real row of Lumen's for each name in a path; where there is none, a number that could be one."""
    with database.write() as db:
        for row in (
            GoalRow(journey_id=road.lumen, day=30, title="Count", measure="", created_at=NOON, created_by="cli"),
            PendingIssue(
                journey_id=road.lumen, problem="Slow", solution="", whose="us", due_on=NOON.date(),
                created_at=NOON, created_by="cli",
            ),
        ):  # fmt: skip
            db.add(row)
        db.flush()
        first = {
            name: db.scalars(select(table.id).where(table.journey_id == road.lumen).order_by(table.id)).first() or 1
            for name, table in (
                ("activity", Activity), ("goal", GoalRow), ("issue", PendingIssue), ("milestone", Milestone),
                ("invitation", Invitation),
            )
        }  # fmt: skip
    return first | {"account": cast.lumen, "journey": road.lumen, "flag": flag, "person": cast.carla}


def _at(path: str, rows: dict[str, int]) -> str:
    return re.sub(
        r"{(\w+)}", lambda name: "a-token" if name[1] in ("token", "slug") else str(rows.get(name[1], 1)), path
    )


def _post(client: TestClient, path: str, fields: dict[str, str]) -> int:
    body = urlencode(fields, errors="surrogatepass").encode()
    headers = {"Content-Type": "application/x-www-form-urlencoded", "Origin": "http://testserver"}
    return client.post(path, content=body, headers=headers).status_code


@pytest.mark.slow
def test_every_form_survives_every_abuse_of_every_field(
    onward: FastAPI, signed_in: SignIn, database: Database, rows: dict[str, int], cast: Cast
) -> None:
    patient = {"raise_server_exceptions": False, "follow_redirects": False}
    people = {
        Who.ANYONE: TestClient(onward, **patient),
        Who.NOBODY: TestClient(onward, **patient),
        Who.CUSTOMER: TestClient(onward, cookies=dict(signed_in(contact_id=cast.maria).cookies), **patient),
        Who.STAFF: TestClient(onward, cookies=dict(signed_in(staff_id=cast.ana).cookies), **patient),
    }
    answers: dict[str, set[int]] = {}
    for path, route in _routes(onward):
        if path.startswith("/sign-out"):
            continue  # would only send everybody home
        names, at = _fields(route), _at(path, rows)
        known = {name: PLAUSIBLE.get(name, "1") for name in names}
        tries = [dict.fromkeys([*names, "return"], value) for value in (*HOSTILE.values(), *WRONG_TYPE, "\ud800")]
        tries += [
            {**known, name: value} for name in names for value in (HOSTILE["NUL"], HOSTILE["too long"], str(2**63))
        ]
        answers[path] = {_post(people[route.guard.who], at, fields) for fields in tries}
    assert len(answers) > 60
    assert {path: met for path, met in answers.items() if any(status >= 500 for status in met)} == {}
    assert _stored(database) == []


def _stored(database: Database) -> list[str]:
    """The columns in which something hostile was kept."""
    found = []
    with database.read() as db:
        for table in Base.metadata.sorted_tables:
            texts = [column for column in table.columns if isinstance(column.type, (String, JSON))]
            for column in texts:
                if db.scalar(select(column).where(cast(column, String).contains(MARK)).limit(1)) is not None:
                    found.append(f"{table.name}.{column.name}")
    return found
