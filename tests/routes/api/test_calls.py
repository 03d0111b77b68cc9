"""What holds for every call: odd bodies, keys that repeat, limits, methods, and the description."""

import json
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from fastapi import FastAPI
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter
from sqlalchemy import func, select
from starlette.testclient import TestClient

from portal import idempotency
from portal.accounts.models import Account
from portal.audit import AuditEvent
from portal.auth import Scope
from portal.clock import FixedClock
from portal.db import Database
from portal.idempotency import IdempotencyKey
from portal.journeys.models import Conversation
from portal.routes.api.accounts import AccountOut
from portal.routes.api.shapes import Problem
from tests.routes.api.conftest import Crm, deal, token

WRITES = [
    ("PUT", "/accounts/D-77"), ("POST", "/accounts/D-77/churn"), ("POST", "/journeys/1/move"),
    ("PUT", "/journeys/1/use-started"), ("POST", "/journeys/1/conversations"), ("POST", "/survey-invitations/1/answer"),
    ("POST", "/flags/1/resolve"), ("POST", "/activities/999/complete"), ("POST", "/meetings"),
]  # fmt: skip
LISTS = ["/accounts", "/journeys", "/survey-invitations", "/flags", "/activities", "/messages", "/meetings"]

ODD_BODIES = [
    b"", b"{", b"nonsense", b"null", b"[]", b"7", b'"text"', b"NaN", b'{"name": NaN}', b'{"name": Infinity}',
    b'{"name": -Infinity}', b'{"name": "a\\u0000b"}', b'{"name": "\\ud800"}', b'{"\\ud800": 1}', b'{"a\\u0000": 1}',
    b"[" * 100_000, b'{"a":' * 50_000, b'{"a":' * 900 + b"1" + b"}" * 900, b'{"name": ' + b"9" * 5000 + b"}",
    b'{"name": 1e999999}', b'{"mrr": {"amount": 1e400, "currency": "BRL"}}', b'{"name": "a", "name": "b"}', b"\xff\xfe{}",
    b"\xef\xbb\xbf{}", b'{"name": "' + b"x" * 1_000_000 + b'"}', b'{"' + b"k" * 900_000 + b'": 1}',
    b"{" + b",".join(b'"k%d":1' % n for n in range(20_000)) + b"}", b'{"contacts": [' + b",".join([b"{}"] * 100_000) + b"]}",
    b'{"answers": []}', b'{"note": {}}', b'{"note": 1}', b'{"date": 0}', b'{"on": -1, "reason": []}',
]  # fmt: skip


def test_no_body_however_odd_is_our_fault(crm: Crm) -> None:
    journey = crm.put("/accounts/D-1x", deal(), status=201)["journeys"][0]["id"]
    for method, path in [*WRITES, ("POST", f"/journeys/{journey}/move"), ("PUT", f"/journeys/{journey}/use-started")]:
        for body in ODD_BODIES:
            answer = crm.client.request(
                method, f"/api/v1{path}", content=body, headers={"Content-Type": "application/json"}
            )
            about = (method, path, body[:60], answer.text[:300])
            allowed = {404} if body in (b"", b"null") and path.endswith("/complete") else {422}
            assert answer.status_code in allowed, about
            assert answer.headers["content-type"] == "application/problem+json", about
            problem = Problem.model_validate(answer.json())
            assert problem.status == answer.status_code
            assert answer.status_code != 422 or problem.errors, about
            assert len(answer.content) < 50_000, about


@pytest.mark.parametrize(("content_type", "status"), [
    ("application/json", 201), ("application/json; charset=utf-8", 201), ("APPLICATION/JSON", 201),
    ("application/vnd.crm+json", 201), ("text/plain", 415), ("application/x-www-form-urlencoded", 415),
    ("multipart/form-data; boundary=x", 415), ("application/jsonp", 415), ("", 415),
])  # fmt: skip
def test_only_json_is_read(crm: Crm, content_type: str, status: int) -> None:
    body = json.dumps(deal()).encode()
    answer = crm.client.put("/api/v1/accounts/D-77", content=body, headers={"Content-Type": content_type})
    assert answer.status_code == status, answer.text


def test_a_body_without_end_is_too_large(crm: Crm) -> None:
    answer = crm.client.put(
        "/api/v1/accounts/D-77", content=b" " * 1_100_000, headers={"Content-Type": "application/json"}
    )
    assert (answer.status_code, answer.json()["status"]) == (413, 413)


def test_errors_are_problems_whatever_happened(crm: Crm, onward: FastAPI) -> None:
    stranger = TestClient(onward)
    for answer, status in (
        (stranger.get("/api/v1/accounts"), 401),
        (stranger.get("/api/v1/accounts", headers={"Authorization": "Bearer nonsense"}), 401),
        (stranger.put("/api/v1/accounts/x", content=b"{", headers={"Content-Type": "application/json"}), 401),
        (stranger.put("/api/v1/accounts/x", content=b"{", headers={"Content-Type": "text/plain"}), 401),
        (crm.client.get("/api/v1/nothing"), 404),
        (crm.client.get("/api/v2/accounts"), 404),
        (crm.client.delete("/api/v1/accounts/x"), 405),
        (crm.client.post("/api/v1/journeys/1/use-started"), 405),
    ):
        assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
        assert list(answer.json()) == ["type", "title", "status", "detail"]
    assert stranger.get("/api/v1/accounts").headers["www-authenticate"] == "Bearer"
    assert crm.client.delete("/api/v1/flags").headers["allow"] == "GET"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=8,
)
FIELDS = [
    "name", "plan", "mrr", "sold_on", "renews_on", "consultant_email", "interests", "contacts", "history", "on", "reason",
    "stage", "date", "channel", "result", "note", "contact_email", "answers", "outcome",
]  # fmt: skip


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    call=st.sampled_from(WRITES),
    body=st.dictionaries(st.sampled_from(FIELDS), JSON, max_size=6) | JSON,
    base=st.booleans(),
)
def test_nothing_that_is_json_breaks_a_call(crm: Crm, call: tuple[str, str], body: Any, base: bool) -> None:
    method, path = call
    sent = deal() | body if base and isinstance(body, dict) and path == "/accounts/D-77" else body
    raw = json.dumps(sent).encode()
    answer = crm.client.request(method, f"/api/v1{path}", content=raw, headers={"Content-Type": "application/json"})
    assert answer.status_code in {200, 201, 404, 409, 422}, (call, raw, answer.text)


# Idempotency


def test_the_same_key_and_body_answer_the_same(crm: Crm, database: Database) -> None:
    journey = crm.put("/accounts/D-77", deal(), status=201)["journeys"][0]["id"]
    path, talk = f"/journeys/{journey}/conversations", {"channel": "phone", "result": "satisfied", "note": "Well"}
    first = crm.post(path, talk, status=201, key="k-1")
    assert crm.post(path, dict(reversed(talk.items())), status=201, key="k-1") == first
    again = crm.client.post(f"/api/v1{path}", json=talk, headers={"Idempotency-Key": "k-1"})
    assert again.headers["idempotent-replayed"] == "true"
    other = crm.post(path, talk | {"note": "Other"}, status=409, key="k-1")
    assert other["detail"] == "This Idempotency-Key was used for another call. Take a new one for each."
    crm.post(f"/journeys/{journey}/move", talk, status=422, key="k-1")
    crm.post(f"/journeys/{journey}/move", {"stage": "deployment", "reason": "r"}, status=409, key="k-1")
    crm.post(path, talk, status=201, key="k-2")
    with database.read() as db:
        assert db.scalar(select(func.count()).select_from(Conversation)) == 2


def test_a_refusal_is_repeated_too_and_leaves_nothing(crm: Crm, database: Database) -> None:
    journey = crm.put("/accounts/D-77", deal(), status=201)["journeys"][0]["id"]
    path, move = f"/journeys/{journey}/move", {"stage": "demand_analysis", "reason": "r"}
    refused = crm.post(path, move, status=409, key="k-1")
    crm.post(path, {"stage": "first_contact", "reason": "r"})
    assert crm.post(path, move, status=409, key="k-1") == refused
    assert crm.post(path, move)["stage"] == "demand_analysis"
    with database.read() as db:
        moved = (
            select(func.count())
            .select_from(AuditEvent)
            .where(AuditEvent.what == "stage_entered", AuditEvent.by == "api:crm")
        )
        assert db.scalar(moved) == 2


def test_a_key_belongs_to_its_token_and_a_day(crm: Crm, onward: FastAPI, database: Database, clock: FixedClock) -> None:
    other = Crm(onward, token(database, Scope.WRITE, clock.now(), "other"))
    headers = {"Idempotency-Key": "k-1"}
    crm.ask("PUT", "/accounts/D-77", deal(), status=201, headers=headers)
    crm.ask("PUT", "/accounts/D-77", deal(), status=201, headers=headers)
    other.ask("PUT", "/accounts/D-77", deal(), status=200, headers=headers)
    clock.set(clock.now() + idempotency.KEPT_FOR - timedelta(seconds=1))
    crm.ask("PUT", "/accounts/D-77", deal(), status=201, headers=headers)
    clock.set(clock.now() + timedelta(seconds=1))
    crm.ask("PUT", "/accounts/D-77", deal(), status=200, headers=headers)
    with database.write() as db:
        assert idempotency.forget_old_keys(db, clock.now()) == 1
        assert db.scalar(select(func.count()).select_from(IdempotencyKey)) == 1


@pytest.mark.parametrize("key", ["", " ", "a b", "x" * 201, "é"])
def test_an_impossible_key_is_said(crm: Crm, key: str) -> None:
    headers = {"Idempotency-Key": key.encode()}
    wrong = crm.ask("PUT", "/accounts/D-77", deal(), status=422, headers=headers)
    assert [error["field"] for error in wrong["errors"]] == ["Idempotency-Key"]


def test_twenty_at_once_do_it_once(crm: Crm, database: Database) -> None:
    journey = crm.put("/accounts/D-77", deal(), status=201)["journeys"][0]["id"]
    talk = {"channel": "phone", "result": "dissatisfied", "note": "Angry"}
    with ThreadPoolExecutor(20) as threads:
        said = list(
            threads.map(lambda _: crm.post(f"/journeys/{journey}/conversations", talk, status=201, key="k"), range(20))
        )
    assert all(answer == said[0] for answer in said)
    assert len(crm.get("/flags")["items"]) == 1
    with database.read() as db:
        assert db.scalar(select(func.count()).select_from(Conversation)) == 1


def test_twenty_deals_at_once_make_one_account(crm: Crm, database: Database) -> None:
    def put(_: int) -> int:
        return crm.client.put("/api/v1/accounts/D-77", json=deal()).status_code

    with ThreadPoolExecutor(20) as threads:
        assert Counter(threads.map(put, range(20))) == {201: 1, 200: 19}
    with database.read() as db:
        assert db.scalar(select(func.count()).select_from(Account).where(Account.external_id == "D-77")) == 1
    assert len(crm.get("/journeys", account="D-77")["items"]) == 1


# Limits


@pytest.fixture
def slow(settings: Any, clock: FixedClock) -> Any:
    from portal.app import create_app

    app = create_app(settings.model_copy(update={"api_calls_per_minute": 3}), clock)
    yield app
    app.state.wiring.house.database.close()


def test_a_token_that_calls_too_often_waits(slow: FastAPI, database: Database, clock: FixedClock) -> None:
    crm = Crm(slow, token(database, Scope.WRITE, clock.now(), "crm"))
    other = Crm(slow, token(database, Scope.WRITE, clock.now(), "other"))
    for _ in range(2):
        crm.get("/accounts")
    crm.put("/accounts/D-77", {"wrong": 1}, status=422)
    clock.set(clock.now() + timedelta(seconds=20))
    refused = crm.client.get("/api/v1/accounts")
    assert (refused.status_code, refused.headers["retry-after"], refused.json()["status"]) == (429, "40", 429)
    crm.put("/accounts/D-77", {"wrong": 1}, status=429)
    other.get("/accounts")
    clock.set(clock.now() + timedelta(seconds=40))
    crm.get("/accounts")


# The description


def test_every_call_is_described_with_what_it_answers(crm: Crm) -> None:
    document = crm.client.get("/api/v1/openapi.json").json()
    told = {f"{method.upper()} {path}" for path, calls in document["paths"].items() for method in calls}
    assert told == {
        "PUT /accounts/{external_id}", "GET /accounts", "GET /accounts/{external_id}", "POST /accounts/{external_id}/churn",
        "GET /journeys", "GET /journeys/{journey}", "POST /journeys/{journey}/move", "PUT /journeys/{journey}/use-started",
        "POST /journeys/{journey}/conversations", "GET /survey-invitations", "POST /survey-invitations/{invitation}/answer",
        "GET /flags", "POST /flags/{flag}/resolve", "GET /activities", "POST /activities/{activity}/complete",
        "GET /messages", "GET /meetings", "POST /meetings", "GET /slots", "GET /insights/nps", "GET /insights/csat", "GET /insights/stages",
    }  # fmt: skip
    for calls in document["paths"].values():
        for call in calls.values():
            good = next(answer for status, answer in call["responses"].items() if status.startswith("2"))
            assert "$ref" in good["content"]["application/json"]["schema"]
            assert call["responses"]["429"]["content"].keys() == {"application/problem+json"}
            assert call["description"]
    assert set(document["components"]["schemas"]) >= {"AccountIn", "AccountOut", "JourneyOut", "Problem"}
    assert "HTTPValidationError" not in json.dumps(document)


def test_the_description_is_true(crm: Crm) -> None:
    crm.put("/accounts/D-77", deal(), status=201)
    for path in LISTS:
        assert list(crm.get(path)) == ["items", "next_cursor"]
    TypeAdapter(list[AccountOut]).validate_python(crm.get("/accounts")["items"])


def test_the_page_about_the_api_needs_nobody_else(onward: FastAPI) -> None:
    page = TestClient(onward).get("/api/docs")
    assert page.status_code == 200
    assert "<code>PUT /api/v1/accounts/{external_id}</code>" in page.text.replace("<wbr>", "")
    assert "contacts[].email" in page.text
    assert not [part for part in ("//cdn", "https://", "<style", "style=", "onclick") if part in page.text]
