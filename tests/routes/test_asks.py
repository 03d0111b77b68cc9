"""One request is one unit of work; what a route asks for and how it answers."""

import json
from collections.abc import Callable
from decimal import Decimal

import pytest
from fastapi import FastAPI
from pydantic import BaseModel
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError
from starlette.responses import Response
from starlette.routing import Mount
from starlette.testclient import TestClient

from portal import auth
from portal.accounts.models import Account
from portal.audit import AuditEvent, Happened
from portal.auth import BrowserSession, Scope
from portal.clock import FixedClock
from portal.db import Database
from portal.deps import (
    ApiAsk,
    CustomerAsk,
    Id,
    PublicAsk,
    StaffAsk,
    Token,
    api_calls,
    customer_pages,
    public_pages,
    staff_pages,
)
from portal.errors import N_, NotFound, Refused
from portal.forms import empty_form, read_form
from portal.policy import Permission
from portal.text import RequiredLine
from tests.routes.conftest import Cast, SignIn

Browser = Callable[[], TestClient]

customers, staff, managers, anyone = (
    customer_pages(),
    staff_pages(),
    staff_pages(Permission.SEE_FIGURES),
    public_pages(),
)
reading, writing = api_calls(Scope.READ), api_calls(Scope.WRITE)


class Renaming(BaseModel):
    name: RequiredLine


class Deal(BaseModel):
    name: str
    mrr: Decimal


@customers.get("/me")
def me(ask: CustomerAsk) -> Response:
    return Response(f"{ask.me.name} at {ask.me.account_name}, {ask.locale}, {ask.zone}")


@customers.get("/writes")
def writes(ask: CustomerAsk) -> Response:
    ask.db.execute(text("UPDATE accounts SET name = 'changed by a GET'"))
    return Response("done")


@customers.post("/account/name")
def rename(ask: CustomerAsk) -> Response:
    filled = read_form(Renaming, ask.form)
    if filled.value is None:
        return ask.invalid("public/sign_in.html", "content", form=filled, company="")
    ask.db.get_one(Account, ask.me.account_id).name = filled.value.name
    if filled.value.name == "Refused":
        raise Refused(N_("There is a token called %(name)s already."), name="<b>it</b>")
    if filled.value.name == "Crash":
        raise ZeroDivisionError
    return ask.see_other("/page", said=N_("You are signed out on every device."), undo="/undo")


@customers.post("/raw")
def raw(ask: CustomerAsk) -> Response:
    ask.db.get_one(Account, ask.me.account_id).name = ask.form["name"]
    ask.db.flush()
    return Response(json.dumps([ask.form["name"], {name: file.content.decode() for name, file in ask.files.items()}]))


@anyone.get("/page")
def page(ask: PublicAsk) -> Response:
    return ask.page_or_block("public/sign_in.html", "content", form=empty_form(), company="")


@anyone.get("/search")
def search(ask: PublicAsk) -> Response:
    return Response(ask.query.get("q", "nothing"))


@anyone.get("/things/{thing}")
def thing(ask: PublicAsk, thing: Id) -> Response:
    return Response(str(thing))


@anyone.get("/tokens/{token}")
def token(ask: PublicAsk, token: Token) -> Response:
    return Response(token)


@anyone.get("/hidden")
def hidden(ask: PublicAsk) -> Response:
    raise NotFound


@anyone.get("/toast")
def toast(ask: PublicAsk) -> Response:
    return ask.block("public/sign_in.html", "content", said=N_("Please sign in"), form=empty_form(), company="")


@staff.get("/board")
def board(ask: StaffAsk) -> Response:
    return Response(f"{ask.me.name}, {ask.me.role}")


@managers.get("/figures")
def figures(ask: StaffAsk) -> Response:
    return Response("figures")


@reading.get("/firms/{account}")
def account(ask: ApiAsk, account: Id) -> dict[str, str]:
    return {"name": ask.db.get_one(Account, account).name, "by": ask.me.by}


@writing.put("/firms/{account}")
def put_account(ask: ApiAsk, account: Id, deal: Deal) -> dict[str, str]:
    ask.db.get_one(Account, account).name = deal.name
    return {"name": deal.name}


@pytest.fixture(autouse=True)
def _these_pages(onward: FastAPI) -> None:
    onward.router.routes[0:0] = [*customers.routes, *anyone.routes]
    for route in onward.router.routes:
        if isinstance(route, Mount) and route.path == "/staff":
            route.app.routes.extend([*staff.routes, *managers.routes])
        if getattr(route, "path", "") == "/api/v1":
            route.app.router.routes.extend([*reading.routes, *writing.routes])


@pytest.fixture
def maria(signed_in: SignIn, cast: Cast) -> TestClient:
    return signed_in(contact_id=cast.maria)


def name_of(database: Database, account_id: int) -> str:
    with database.read() as db:
        return db.get_one(Account, account_id).name


# The unit of work


def test_a_route_knows_who_asks(maria: TestClient) -> None:
    assert maria.get("/me").text == "Maria Souza at Lumen, en, America/Sao_Paulo"


def test_a_get_cannot_write(maria: TestClient, cast: Cast, database: Database) -> None:
    with pytest.raises(DBAPIError, match=r"readonly database|read-only transaction"):
        maria.get("/writes")
    assert name_of(database, cast.lumen) == "Lumen"


def test_returning_commits_before_the_answer_leaves(maria: TestClient, cast: Cast, database: Database) -> None:
    answer = maria.post("/account/name", data={"name": "Lumen Ltda"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/page")
    assert name_of(database, cast.lumen) == "Lumen Ltda"


def test_a_refusal_rolls_back_and_says_why(maria: TestClient, cast: Cast, database: Database) -> None:
    answer = maria.post("/account/name", data={"name": "Refused"})
    assert answer.status_code == 409
    assert "There is a token called &lt;b&gt;it&lt;/b&gt; already." in answer.text
    assert name_of(database, cast.lumen) == "Lumen"


def test_a_crash_rolls_back_and_apologises(onward: FastAPI, maria: TestClient, cast: Cast, database: Database) -> None:
    patient = TestClient(onward, raise_server_exceptions=False, cookies=dict(maria.cookies))
    answer = patient.post("/account/name", data={"name": "Crash"})
    assert answer.status_code == 500
    assert "Something broke on our side" in answer.text
    assert "ZeroDivisionError" not in answer.text
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert name_of(database, cast.lumen) == "Lumen"


# Forms


def test_wrong_input_comes_back_with_its_errors(maria: TestClient, cast: Cast, database: Database) -> None:
    answer = maria.post("/account/name", data={"name": "x" * 201})
    assert answer.status_code == 422
    assert answer.headers["hx-push-url"] == "false"
    assert name_of(database, cast.lumen) == "Lumen"


URLENCODED = "application/x-www-form-urlencoded"


@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        ("name=a%00b", URLENCODED, 422),
        ("name=%F0%9F%92", URLENCODED, 303),
        ("name=" + "9" * 900_000, URLENCODED, 422),
        ("name=a&" * 300, URLENCODED, 400),
        ("%%%=&&&=&name", URLENCODED, 422),
        ("nonsense", "multipart/form-data; boundary=x", 400),
        ("nonsense", "multipart/form-data", 400),
        (
            '--x\r\nContent-Disposition: form-data; name="name"\r\n\r\n+2AA-\r\n--x--\r\n',
            "multipart/form-data; boundary=x; charset=utf-7",
            303,
        ),
        ('{"name": "\\ud800"}', "application/json", 422),
        ("", URLENCODED, 422),
    ],
)
def test_no_body_however_odd_is_our_fault(maria: TestClient, body: str, content_type: str, status: int) -> None:
    answer = maria.post("/account/name", content=body.encode(), headers={"Content-Type": content_type})
    assert answer.status_code == status


def test_even_a_field_that_no_model_read_is_not_our_fault(maria: TestClient, database: Database) -> None:
    headers = {"Content-Type": URLENCODED}
    refused = {"sqlite": 200, "postgresql": 422}[database.dialect]  # only PostgreSQL refuses NUL itself
    assert maria.post("/raw", content=b"name=a%00b", headers=headers).status_code == refused


def test_files_come_as_bytes_beside_the_fields(maria: TestClient) -> None:
    answer = maria.post("/raw", data={"name": "Lumen"}, files={"list": ("deals.csv", b"a;b\n", "text/csv")})
    assert json.loads(answer.text) == ["Lumen", {"list": "a;b\n"}]


# Paths and queries


@pytest.mark.parametrize(
    "path", ["/things/0", "/things/-1", "/things/x", f"/things/{2**63}", "/tokens/a%00b", "/tokens/ä"]
)
def test_an_impossible_path_is_a_page_that_is_not_there(browser: Browser, path: str) -> None:
    answer = browser().get(path)
    assert answer.status_code == 404
    assert "<h1>We couldn’t find that</h1>" in answer.text


def test_queries_are_clean(browser: Browser) -> None:
    assert browser().get("/search?q=caf%C3%A9%00%0A%ED%A0%80").text == "café \ufffd\ufffd\ufffd"
    assert browser().get("/search?q=" + "x" * 300).text == "x" * 200
    assert browser().get("/search").text == "nothing"


# htmx


def test_the_same_address_is_a_page_and_a_block(browser: Browser) -> None:
    page, block = browser().get("/page"), browser().get("/page", headers={"HX-Request-Type": "partial"})
    assert page.text.startswith("<!doctype html>")
    assert block.text.startswith("<div><h1>Welcome back</h1>")
    assert {answer.headers["vary"] for answer in (page, block)} == {"HX-Request, HX-Request-Type"}
    assert {answer.headers["cache-control"] for answer in (page, block)} == {"no-store"}


def test_going_back_in_history_gets_the_whole_page(browser: Browser) -> None:
    headers = {"HX-Request-Type": "partial", "HX-History-Restore-Request": "true"}
    assert browser().get("/page", headers=headers).text.startswith("<!doctype html>")


def test_a_boosted_form_gets_a_redirect_and_a_fragment_a_header(maria: TestClient) -> None:
    boosted = maria.post("/account/name", data={"name": "A"}, headers={"HX-Request-Type": "full"})
    assert (boosted.status_code, boosted.headers["location"]) == (303, "/page")
    fragment = maria.post("/account/name", data={"name": "B"}, headers={"HX-Request-Type": "partial"})
    assert (fragment.status_code, fragment.headers["hx-redirect"]) == (204, "/page")


def test_a_refusal_is_a_notice_for_htmx(maria: TestClient) -> None:
    answer = maria.post("/account/name", data={"name": "Refused"}, headers={"HX-Request-Type": "partial"})
    assert (answer.status_code, answer.headers["hx-retarget"]) == (409, "#notices")
    assert "<html" not in answer.text


def test_a_block_brings_its_toast(browser: Browser) -> None:
    answer = browser().get("/toast", headers={"HX-Request-Type": "partial"})
    assert '<div id="toasts" hx-swap-oob="innerHTML">' in answer.text
    assert "<span>Please sign in</span>" in answer.text


# A word on the way


def test_a_word_on_the_way_is_shown_once(maria: TestClient) -> None:
    maria.post("/account/name", data={"name": "Lumen Ltda"})
    first = maria.get("/page").text
    assert "You are signed out on every device." in first
    assert '<form method="post" action="/undo">' in first
    assert "You are signed out on every device." not in maria.get("/page").text


def test_nobody_else_puts_words_into_our_mouth(browser: Browser) -> None:
    visitor = browser()
    visitor.cookies.set("said", "WyJCdXkgYml0Y29pbnMiLHt9LCIiXQ.forged")
    assert "bitcoins" not in visitor.get("/page").text


# Who may


def test_a_stranger_is_asked_to_sign_in_and_comes_back(browser: Browser) -> None:
    visitor = browser()
    assert visitor.get("/me?tab=2").headers["location"] == "/sign-in?next=/me%3Ftab%3D2"
    lost = visitor.post("/account/name", headers={"Referer": "http://testserver/plan?x=1"})
    assert (lost.status_code, lost.headers["location"]) == (303, "/sign-in?next=/plan%3Fx%3D1")
    fragment = visitor.get(
        "/me", headers={"HX-Request-Type": "partial", "HX-Current-URL": "http://testserver/plan#now"}
    )
    assert (fragment.status_code, fragment.headers["hx-redirect"]) == (401, "/sign-in?next=/plan")


def test_the_wrong_kind_of_person_finds_nothing(maria: TestClient, signed_in: SignIn, cast: Cast) -> None:
    assert maria.get("/staff/board").status_code == 404
    assert signed_in(staff_id=cast.carla).get("/me").status_code == 404


def test_staff_without_the_permission_are_told_so_and_it_is_noted(
    signed_in: SignIn, cast: Cast, database: Database
) -> None:
    assert signed_in(staff_id=cast.carla).get("/staff/board").text == "Carla Nunes, consultant"
    assert signed_in(staff_id=cast.rui).get("/staff/figures").text == "figures"
    refused = signed_in(staff_id=cast.carla).get("/staff/figures")
    assert refused.status_code == 403
    assert "You don&#39;t have permission to do that." in refused.text
    with database.read() as db:
        noted = db.execute(
            select(AuditEvent.by, AuditEvent.detail).where(AuditEvent.what == Happened.PERMISSION_REFUSED)
        ).all()
    assert [tuple(row) for row in noted] == [
        (f"staff:{cast.carla}", {"path": "/staff/figures", "permission": "see_figures"})
    ]


def test_who_may_not_come_in_hears_that_before_what_was_wrong(browser: Browser) -> None:
    answer = browser().put("/api/v1/firms/1", json={"nonsense": True})
    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")


def test_a_session_is_kept_awake_by_a_write_every_few_minutes(
    maria: TestClient, clock: FixedClock, database: Database
) -> None:
    began = clock.now()

    def last_seen() -> object:
        with database.read() as db:
            return db.scalar(select(BrowserSession.last_seen_at))

    clock.set(began + auth.REFRESH_AFTER / 2)
    maria.get("/me")
    assert last_seen() == began
    clock.set(began + auth.REFRESH_AFTER)
    maria.get("/me")
    assert last_seen() == clock.now()


# The API


def bearer(database: Database, scope: Scope, clock: FixedClock) -> dict[str, str]:
    with database.write() as db:
        return {"Authorization": f"Bearer {auth.create_token(db, scope.value, scope=scope, by='cli', now=clock.now())}"}


def test_the_api_wants_a_token_with_the_right_scope(
    browser: Browser, cast: Cast, database: Database, clock: FixedClock
) -> None:
    reader, writer = bearer(database, Scope.READ, clock), bearer(database, Scope.WRITE, clock)
    path, body = f"/api/v1/firms/{cast.lumen}", {"name": "Lumen Ltda", "mrr": 1}
    client = browser()
    assert client.get(path, headers=reader).json() == {"name": "Lumen", "by": "api:read"}
    assert client.get(path).status_code == 401
    assert client.get(path, headers={"Authorization": "Bearer nonsense"}).status_code == 401
    assert client.get(path, headers={"Authorization": "Basic bWFyaWE6"}).status_code == 401
    refused = client.put(path, json=body, headers=reader)
    assert (refused.status_code, refused.json()["detail"]) == (403, "This token may only read.")
    assert client.put(path, json=body, headers={**writer, "Sec-Fetch-Site": "cross-site"}).json() == {
        "name": "Lumen Ltda"
    }
    assert name_of(database, cast.lumen) == "Lumen Ltda"


def test_the_api_describes_itself(browser: Browser) -> None:
    described = browser().get("/api/v1/openapi.json").json()["paths"]["/firms/{account}"]
    assert sorted(described) == ["get", "put"]
    assert [one["name"] for one in described["put"]["parameters"]] == ["account", "Idempotency-Key"]


def test_a_session_opens_nothing_in_the_api(maria: TestClient, cast: Cast) -> None:
    assert maria.get(f"/api/v1/firms/{cast.lumen}").status_code == 401


@pytest.mark.parametrize(
    "body", ['{"name": "x", "mrr": NaN, "more": NaN}', '{"name": 3}', "{", "[]", '{"name": "\\ud800", "mrr": {}}']
)
def test_wrong_json_is_a_problem_that_says_where(
    browser: Browser, cast: Cast, database: Database, clock: FixedClock, body: str
) -> None:
    headers = {**bearer(database, Scope.WRITE, clock), "Content-Type": "application/json"}
    answer = browser().put(f"/api/v1/firms/{cast.lumen}", content=body, headers=headers)
    assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json")
    assert sorted(answer.json()) == ["detail", "errors", "status", "title", "type"]


def test_the_last_use_of_a_token_is_noted(browser: Browser, cast: Cast, database: Database, clock: FixedClock) -> None:
    headers = bearer(database, Scope.READ, clock)
    browser().get(f"/api/v1/firms/{cast.lumen}", headers=headers)
    with database.read() as db:
        assert db.scalar(select(auth.ApiToken.last_used_at)) == clock.now()
