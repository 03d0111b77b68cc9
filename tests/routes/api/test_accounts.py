"""The CRM tells of deals, and asks what became of them."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from portal.audit import AuditEvent
from portal.auth import Scope
from portal.clock import FixedClock
from portal.db import Database
from tests.routes.api.conftest import Crm, deal
from tests.routes.conftest import Cast


def test_a_won_deal_opens_its_journey_once(crm: Crm) -> None:
    first = crm.put("/accounts/D-77", deal(), status=201)
    assert list(first) == [
        "external_id", "name", "status", "plan", "mrr", "sold_on", "renews_on", "consultant_email", "interests",
        "churned_on", "churn_reason", "created_at", "contacts", "temperature", "journeys",
    ]  # fmt: skip
    assert {name: first[name] for name in ("external_id", "name", "plan", "mrr", "sold_on", "consultant_email")} == {
        "external_id": "D-77",
        "name": "Moss & Rye Bakery",
        "plan": "Multi-site",
        "mrr": {"amount": "1200.00", "currency": "BRL"},
        "sold_on": "2026-06-20",
        "consultant_email": "carla@onward.example",
    }
    lia, rui = first["contacts"]
    assert lia | {"id": ""} == {
        "id": "",
        "name": "Lia Moss",
        "email": "lia@mossrye.example",
        "phone": "+5511987654321",
        "channel": "email",
        "language": "pt-BR",
        "timezone": "America/Sao_Paulo",
        "primary": True,
    }
    assert (rui["phone"], rui["email"], rui["channel"], rui["primary"]) == ("+551134567890", None, "phone", False)
    assert [(j["pipeline"], j["stage"], j["status"]) for j in first["journeys"]] == [
        ("after_sale", "demand_analysis", "open")
    ]
    again = crm.put("/accounts/D-77", deal())
    assert again == first
    changed = crm.put("/accounts/D-77", deal(name="Moss & Rye", mrr={"amount": 1300, "currency": "BRL"}))
    assert (changed["name"], changed["mrr"]["amount"], len(changed["journeys"])) == ("Moss & Rye", "1300.00", 1)
    assert crm.get("/accounts/D-77") == changed


def test_what_is_left_out_stays_as_it_is_known(crm: Crm) -> None:
    crm.put("/accounts/D-77", deal(), status=201)
    kept = crm.put("/accounts/D-77", {"name": "Moss & Rye", "contacts": deal()["contacts"]})
    assert (kept["plan"], kept["mrr"], kept["interests"]) == (
        "Multi-site",
        {"amount": "1200.00", "currency": "BRL"},
        ["stock", "waste"],
    )


def test_a_contact_keeps_the_language_and_zone_that_a_repeat_leaves_out(crm: Crm) -> None:
    abroad = {"name": "Lia Moss", "email": "lia@mossrye.example", "language": "pt-BR", "timezone": "Europe/Lisbon"}
    crm.put("/accounts/D-77", deal(contacts=[abroad]), status=201)
    kept = crm.put("/accounts/D-77", deal(contacts=[{"name": "Lia Moss", "email": "lia@mossrye.example"}]))
    assert [(c["language"], c["timezone"]) for c in kept["contacts"]] == [("pt-BR", "Europe/Lisbon")]


def test_a_customer_under_way_is_taken_in_without_mail_for_the_past(crm: Crm) -> None:
    history = {"use_started_on": "2026-04-20", "stage": "follow_up_60"}
    taken = crm.put("/accounts/D-78", deal(history=history), status=201)
    (journey,) = taken["journeys"]
    assert (journey["stage"], journey["use_started_on"]) == ("follow_up_60", "2026-04-20")
    told = crm.get(f"/journeys/{journey['id']}")
    assert {f["day"]: f["state"] for f in told["follow_ups"]} == {30: "missed", 60: "sent", 90: "planned"}
    assert [f["asked_by_call"] for f in told["follow_ups"]] == [False, True, False]
    assert crm.get("/messages", journey=journey["id"])["items"] == []


WRONG: list[tuple[Any, list[str]]] = [
    ({"name": ""}, ["name"]),
    ({"name": None}, ["name"]),
    ({"name": 7}, ["name"]),
    ({"name": "x" * 201}, ["name"]),
    ({"name": "a\x00b"}, ["name"]),
    ({"name": "a\ud800"}, ["name"]),
    ({"nickname": "Moss"}, ["nickname"]),
    ({"contacts": []}, ["contacts"]),
    ({"contacts": None}, ["contacts"]),
    ({"contacts": {}}, ["contacts"]),
    ({"contacts": [{"name": "Lia"}]}, ["contacts.0"]),
    ({"contacts": [{"name": "Lia", "email": "", "phone": " "}]}, ["contacts.0"]),
    ({"contacts": [{"name": "Lia", "email": "lia"}]}, ["contacts.0.email"]),
    ({"contacts": [{"name": "Lia", "phone": "12"}]}, ["contacts.0.phone"]),
    ({"contacts": [{"email": "lia@mossrye.example"}]}, ["contacts.0.name"]),
    ({"contacts": [{"name": "L", "email": "l@x.example", "language": "fr"}]}, ["contacts.0.language"]),
    ({"contacts": [{"name": "L", "email": "l@x.example", "timezone": "Mars/Base"}]}, ["contacts.0.timezone"]),
    ({"contacts": [{"name": "L", "email": "l@x.example", "primary": "yes"}]}, ["contacts.0.primary"]),
    ({"contacts": [{"name": "L", "email": "l@x.example", "role": "boss"}]}, ["contacts.0.role"]),
    ({"contacts": [{"name": n, "email": "l@x.example"} for n in "LM"]}, ["contacts"]),
    ({"contacts": [{"name": n, "email": f"{n}@x.example", "primary": True} for n in "LM"]}, ["contacts"]),
    ({"mrr": {"amount": "-1.00", "currency": "BRL"}}, ["mrr.amount"]),
    ({"mrr": {"amount": "1.234", "currency": "BRL"}}, ["mrr.amount"]),
    ({"mrr": {"amount": "NaN", "currency": "BRL"}}, ["mrr.amount"]),
    ({"mrr": {"amount": "1e5", "currency": "BRL"}}, ["mrr.amount"]),
    ({"mrr": {"amount": True, "currency": "BRL"}}, ["mrr.amount"]),
    ({"mrr": {"amount": 10**30, "currency": "BRL"}}, ["mrr.amount"]),
    ({"mrr": {"amount": "1.00", "currency": "XXX"}}, ["mrr.currency"]),
    ({"mrr": {"amount": "1.00"}}, ["mrr.currency"]),
    ({"mrr": 1200}, ["mrr"]),
    ({"sold_on": "20260620"}, ["sold_on"]),
    ({"sold_on": 20260620}, ["sold_on"]),
    ({"sold_on": "2026-02-30"}, ["sold_on"]),
    ({"sold_on": "2026-06-20T00:00:00Z"}, ["sold_on"]),
    ({"consultant_email": "nobody@onward.example"}, ["consultant_email"]),
    ({"interests": "stock"}, ["interests"]),
    ({"interests": [""]}, ["interests.0"]),
    ({"interests": ["x"] * 51}, ["interests"]),
    ({"history": {"stage": "heaven"}}, ["history.stage"]),
    ({"history": {"stage": "approved"}}, ["history.stage"]),
    ({"history": {"use_started_on": "2031-01-01"}}, ["history.use_started_on"]),
    ({"history": {"since": "2026-01-01"}}, ["history.since"]),
]


def test_every_field_is_checked_and_the_answer_says_which(crm: Crm) -> None:
    for changes, fields in WRONG:
        answer = crm.put("/accounts/D-77", deal(**changes), status=422)
        assert [error["field"] for error in answer["errors"]] == fields, (changes, answer)
        assert all(error["message"] for error in answer["errors"])
    assert crm.ask("GET", "/accounts/D-77", status=404)["status"] == 404


def test_an_impossible_id_of_an_account(crm: Crm) -> None:
    assert crm.put(f"/accounts/{'x' * 201}", deal(), status=422)["errors"][0]["field"] == "external_id"
    assert crm.put("/accounts/a%00b", deal(), status=422)["errors"][0]["field"] == "external_id"
    crm.ask("GET", "/accounts/a%00b", status=404)
    crm.put("/accounts/%C3%A7%20%26%3F", deal(), status=201)
    assert crm.get("/accounts/%C3%A7%20%26%3F")["external_id"] == "ç &?"


def test_a_token_to_read_only_reads(crm: Crm, reader: Crm) -> None:
    crm.put("/accounts/D-77", deal(), status=201)
    assert reader.get("/accounts/D-77")["name"] == "Moss & Rye Bakery"
    for method, path in (("PUT", "/accounts/D-77"), ("POST", "/accounts/D-77/churn"), ("POST", "/flags/1/resolve")):
        refused = reader.ask(method, path, {"nonsense": 1}, status=403)
        assert (refused["title"], refused["detail"]) == ("That’s not possible from here", "This token may only read.")


def test_a_customer_who_left(crm: Crm, database: Database) -> None:
    (journey,) = crm.put("/accounts/D-77", deal(), status=201)["journeys"]
    left = crm.post("/accounts/D-77/churn", {"on": "2026-06-22", "reason": "Sold the shops"})
    assert (left["status"], left["churned_on"], left["churn_reason"]) == ("churned", "2026-06-22", "Sold the shops")
    assert left["temperature"]["score"] == 0
    assert crm.get(f"/journeys/{journey['id']}")["status"] == "lost"
    assert crm.post("/accounts/D-77/churn", {"on": "2026-06-22", "reason": "Sold the shops"}) == left
    refused = crm.post("/accounts/D-77/churn", {"on": "2026-06-23", "reason": "Other"}, status=409)
    assert refused["detail"] == "This customer left already, on 2026-06-22."
    for body in (
        {},
        {"on": "x", "reason": "r"},
        {"on": "2026-06-22", "reason": " "},
        {"on": "1850-01-01", "reason": "r"},
    ):
        crm.post("/accounts/D-77/churn", body, status=422)
    crm.post("/accounts/D-99/churn", {"on": "2026-06-22", "reason": "r"}, status=404)
    with database.read() as db:
        noted = db.scalars(select(AuditEvent.what).where(AuditEvent.by == "api:crm").order_by(AuditEvent.id)).all()
    assert noted == ["account_created", "journey_opened", "journey_lost", "account_churned"]


def test_the_temperature_names_its_parts(crm: Crm, clock: FixedClock) -> None:
    crm.put("/accounts/D-77", deal(), status=201)
    warm = crm.get("/accounts/D-77")["temperature"]
    assert warm == {"score": 60, "parts": [{"name": "start", "points": 60, "text": "Every customer starts at 60."}]}
    clock.set(clock.now() + timedelta(days=15))
    cooler = crm.get("/accounts/D-77")["temperature"]
    assert (cooler["score"], cooler["parts"][1]["name"]) == (50, "sign_in")


def test_lists_go_on_where_they_ended_while_others_come_in(crm: Crm, cast: Cast) -> None:
    for number in range(5):
        crm.put(f"/accounts/D-1{number}", deal(), status=201)
    first = crm.get("/accounts", limit=3)
    crm.put("/accounts/D-20", deal(), status=201)
    second = crm.get("/accounts", limit=3, cursor=first["next_cursor"])
    third = crm.get("/accounts", limit=3, cursor=second["next_cursor"])
    ids = [[account["external_id"] for account in part["items"]] for part in (first, second, third)]
    assert ids == [["D-1", "D-2", "D-10"], ["D-11", "D-12", "D-13"], ["D-14", "D-20"]]
    assert third["next_cursor"] is None
    assert crm.get("/accounts", limit=3, cursor=first["next_cursor"]) == second


@pytest.mark.parametrize("wanted", [
    {"limit": 0}, {"limit": 201}, {"limit": "many"}, {"limit": "9" * 5000}, {"cursor": "x"}, {"cursor": "x" * 400},
    {"cursor": "a\x00b"}, {"page": 2},
])  # fmt: skip
def test_a_wrong_limit_or_cursor_is_said(crm: Crm, wanted: dict[str, Any]) -> None:
    wrong = crm.ask("GET", "/accounts", params=wanted, status=422)
    assert [error["field"] for error in wrong["errors"]] == list(wanted)


def test_a_cursor_of_another_list_or_a_changed_one_is_refused(crm: Crm) -> None:
    for number in range(2):
        crm.put(f"/accounts/D-1{number}", deal(), status=201)
    cursor = crm.get("/accounts", limit=1)["next_cursor"]
    crm.ask("GET", "/journeys", params={"cursor": cursor}, status=422)
    crm.ask("GET", "/accounts", params={"cursor": cursor[:-1] + ("A" if cursor[-1] != "A" else "B")}, status=422)
    assert len(crm.get("/accounts", limit="", cursor="")["items"]) == 4


def test_a_list_costs_as_many_statements_for_three_as_for_one(crm: Crm, statements: list[str]) -> None:
    costs = {}
    for number in range(3):
        crm.put(f"/accounts/D-1{number}", deal(), status=201)
        for path in ("/accounts", "/journeys", "/flags", "/activities", "/messages", "/survey-invitations"):
            crm.get(path)
            statements.clear()
            crm.get(path)
            costs.setdefault(path, []).append(len(statements))
    assert {path: set(counts) for path, counts in costs.items()} == {
        path: {counts[0]} for path, counts in costs.items()
    }


def test_scopes_are_two(crm: Crm) -> None:
    assert [scope.value for scope in Scope] == ["read", "write"]
