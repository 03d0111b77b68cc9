"""Staff sign in with the company's provider: a real one, and one that lies."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest
from fastapi import FastAPI
from joserfc import jwk, jwt
from pydantic import SecretStr
from sqlalchemy import select
from starlette.testclient import TestClient

from portal.app import create_app
from portal.audit import AuditEvent, Happened
from portal.auth import BrowserSession, StaffIdentity
from portal.clock import FixedClock
from portal.db import Database
from portal.settings import Settings
from tests import servers
from tests.routes.conftest import Cast

Companies = Callable[[str], TestClient]


@pytest.fixture
def browser_of(settings: Settings, onward: FastAPI, clock: FixedClock) -> Iterator[Companies]:
    """A browser at an application that trusts the provider at that address."""
    apps = []

    def new(issuer: str) -> TestClient:
        trusting = {
            "oidc_issuer": issuer,
            "oidc_client_id": "onward",
            "oidc_client_secret": SecretStr("shared"),
            "oidc_allow_insecure": True,
        }
        apps.append(create_app(settings.model_copy(update=trusting), clock))
        return TestClient(apps[-1], follow_redirects=False, headers={"Sec-Fetch-Site": "same-origin"})

    yield new
    for app in apps:
        app.state.wiring.house.database.close()


def come_back(browser: TestClient, sub: str) -> Any:
    """To the provider, sign in there as that subject, and back to us."""
    leaving = browser.get("/company-sign-in/start")
    assert leaving.status_code == 302
    asked = parse_qs(urlsplit(leaving.headers["location"]).query)
    assert (asked["code_challenge_method"], asked["scope"]) == (["S256"], ["openid email profile"])
    back = httpx2.post(leaving.headers["location"], data={"sub": sub})
    return browser.get(back.headers["location"], headers={"Sec-Fetch-Site": "cross-site"})


def is_signed_in(browser: TestClient) -> bool:
    return browser.get("/sign-in").status_code == 303


def test_the_first_time_asks_and_the_next_time_knows(
    cast: Cast, browser_of: Companies, oidc_provider: servers.OidcProvider, database: Database
) -> None:
    oidc_provider.add_person("c-17", email="Carla@onward.example", email_verified=True)
    carlas = browser_of(oidc_provider.issuer)
    assert "/company-sign-in/start" in carlas.get("/sign-in").text
    back = come_back(carlas, "c-17")
    assert (back.status_code, back.headers["location"]) == (303, "/company-sign-in/confirmation")
    assert "as carla@onward.example. We know that address as Carla Nunes." in carlas.get(back.headers["location"]).text
    assert not is_signed_in(carlas)
    confirmed = carlas.post("/company-sign-in/confirmation")
    assert (confirmed.status_code, confirmed.headers["location"]) == (303, "/staff/pipeline")
    assert is_signed_in(carlas)
    with database.read() as db:
        known = db.scalars(select(StaffIdentity)).one()
        assert (known.issuer, known.subject, known.staff_id) == (oidc_provider.issuer, "c-17", cast.carla)
        assert db.scalar(select(AuditEvent.detail).where(AuditEvent.what == Happened.SIGNED_IN)) == {"way": "company"}
    oidc_provider.add_person("c-17", email="new-address@onward.example", email_verified=False)
    again = browser_of(oidc_provider.issuer)
    assert come_back(again, "c-17").headers["location"] == "/staff/pipeline"
    assert is_signed_in(again)
    with database.read() as db:
        assert db.scalars(select(BrowserSession.staff_id)).all() == [cast.carla, cast.carla]


@pytest.mark.parametrize(
    "claims",
    [
        {"email": "carla@onward.example", "email_verified": False},
        {"email": "carla@onward.example"},
        {"email": "carla@onward.example", "email_verified": "true"},
        {"email": "maria@lumen.example", "email_verified": True},
        {"email": "nobody@onward.example", "email_verified": True},
        {},
    ],
)
def test_an_address_that_is_not_verified_or_not_of_the_staff_helps_nobody(
    cast: Cast, browser_of: Companies, oidc_provider: servers.OidcProvider, claims: dict[str, object]
) -> None:
    oidc_provider.add_person("stranger", **claims)
    visitor = browser_of(oidc_provider.issuer)
    back = come_back(visitor, "stranger")
    assert back.status_code == 403
    assert "Nobody of the staff has this address." in back.text
    assert visitor.post("/company-sign-in/confirmation").status_code == 404
    assert not is_signed_in(visitor)


def test_the_way_back_works_once_and_only_for_who_left(
    cast: Cast, browser_of: Companies, oidc_provider: servers.OidcProvider
) -> None:
    oidc_provider.add_person("c-17", email="carla@onward.example", email_verified=True)
    carlas, thief = browser_of(oidc_provider.issuer), browser_of(oidc_provider.issuer)
    leaving = carlas.get("/company-sign-in/start").headers["location"]
    back = httpx2.post(leaving, data={"sub": "c-17"}).headers["location"]
    assert thief.get(back).status_code == 403
    assert carlas.get(back).status_code == 303
    assert carlas.get(back).status_code == 403
    assert carlas.get("/company-sign-in/back").status_code == 403
    assert carlas.get("/company-sign-in/back?error=access_denied&state=x").status_code == 403


def test_a_provider_that_is_away_says_so(cast: Cast, browser_of: Companies) -> None:
    answer = browser_of(f"http://127.0.0.1:{servers.free_port()}").get("/company-sign-in/start")
    assert answer.status_code == 503
    assert "Your company’s sign-in doesn’t answer." in answer.text


def test_without_a_provider_there_is_no_such_way(cast: Cast, browser: Callable[[], TestClient]) -> None:
    assert browser().get("/company-sign-in/start").status_code == 404
    assert "/company-sign-in" not in browser().get("/sign-in").text


# A provider that lies

KEY, OTHER_KEY = (jwk.generate_key("RSA", 2048, {"kid": "1", "use": "sig", "alg": "RS256"}) for _ in range(2))


class Liar:
    """An HTTP server that answers the token request with whatever it was told to."""

    def __init__(self) -> None:
        self.answer: Callable[[str], dict[str, object]] = lambda nonce: {}
        self.nonce = ""
        liar = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                liar.reply(self, liar.metadata() if "openid" in self.path else {"keys": [KEY.as_dict(private=False)]})

            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["Content-Length"]))
                liar.reply(self, liar.answer(liar.nonce))

            def log_message(self, *_args: object) -> None:
                """Says nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.issuer = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def metadata(self) -> dict[str, object]:
        places = {"authorization_endpoint": "/authorize", "token_endpoint": "/token", "jwks_uri": "/keys"}
        return {"issuer": self.issuer, **{name: self.issuer + path for name, path in places.items()}}

    def reply(self, handler: BaseHTTPRequestHandler, body: dict[str, object]) -> None:
        content = json.dumps(body).encode()
        handler.send_response(200)
        handler.send_header("Content-Type", "application/json")
        handler.send_header("Content-Length", str(len(content)))
        handler.end_headers()
        handler.wfile.write(content)

    def claims(self, nonce: str | None, **changed: object) -> dict[str, Any]:
        now = int(time.time())
        good = {"iss": self.issuer, "sub": "c-17", "aud": "onward", "iat": now, "exp": now + 600, "nonce": nonce}
        person = {"email": "carla@onward.example", "email_verified": True}
        return {name: value for name, value in {**good, **person, **changed}.items() if value is not None}

    def token(self, claims: dict[str, Any], key: Any = KEY, alg: str = "RS256") -> dict[str, object]:
        id_token = jwt.encode({"alg": alg, "kid": "1"}, claims, key, algorithms=[alg])
        return {"access_token": "x", "token_type": "Bearer", "id_token": id_token}


@pytest.fixture
def liar() -> Iterator[Liar]:
    made = Liar()
    yield made
    made.server.shutdown()
    made.server.server_close()


def come_back_from(liar: Liar, browser: TestClient) -> Any:
    asked = parse_qs(urlsplit(browser.get("/company-sign-in/start").headers["location"]).query)
    liar.nonce = asked["nonce"][0]
    return browser.get(f"/company-sign-in/back?code=x&state={asked['state'][0]}")


def test_the_liar_would_be_believed_if_it_told_the_truth(cast: Cast, browser_of: Companies, liar: Liar) -> None:
    liar.answer = lambda nonce: liar.token(liar.claims(nonce))
    assert come_back_from(liar, browser_of(liar.issuer)).headers["location"] == "/company-sign-in/confirmation"


LIES: dict[str, Callable[[Liar, str], dict[str, object]]] = {
    "no id_token": lambda liar, nonce: {"access_token": "x", "token_type": "Bearer"},
    "no token at all": lambda liar, nonce: {},
    "an error": lambda liar, nonce: {"error": "invalid_grant"},
    "garbage": lambda liar, nonce: {"access_token": "x", "token_type": "Bearer", "id_token": "a.b.c"},
    "another's signature": lambda liar, nonce: liar.token(liar.claims(nonce), OTHER_KEY),
    "another's audience": lambda liar, nonce: liar.token(liar.claims(nonce, aud="somebody-else")),
    "another's issuer": lambda liar, nonce: liar.token(liar.claims(nonce, iss="https://id.example")),
    "another's nonce": lambda liar, nonce: liar.token(liar.claims("another")),
    "no nonce": lambda liar, nonce: liar.token(liar.claims(None)),
    "expired": lambda liar, nonce: liar.token(liar.claims(nonce, exp=int(time.time()) - 3600)),
    "no subject": lambda liar, nonce: liar.token(liar.claims(nonce, sub=None)),
    "a subject that is no text": lambda liar, nonce: liar.token(liar.claims(nonce, sub=17)),
    "a subject without end": lambda liar, nonce: liar.token(liar.claims(nonce, sub="x" * 256)),
}


@pytest.mark.parametrize("lie", LIES)
def test_no_lie_lets_anybody_in(cast: Cast, browser_of: Companies, liar: Liar, lie: str) -> None:
    liar.answer = lambda nonce: LIES[lie](liar, nonce)
    visitor = browser_of(liar.issuer)
    assert come_back_from(liar, visitor).status_code == 403
    assert not is_signed_in(visitor)
