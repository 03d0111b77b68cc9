"""What every request passes first, what errors look like, health and static files."""

import json
import logging
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from portal.app import WORKER_IS_LATE, create_app
from portal.clock import FixedClock, SystemClock
from portal.db import Database, DeploymentFact
from portal.front_door import masked
from portal.house import WORKER_SEEN_AT
from portal.settings import Settings
from portal.templating import static
from tests.routes.conftest import Cast, SignIn

Browser = Callable[[], TestClient]


# Other sites


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Sec-Fetch-Site": "same-origin"}, 303),
        ({"Sec-Fetch-Site": "none"}, 303),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "cross-site", "Origin": "http://testserver"}, 403),
        ({"Origin": "http://testserver"}, 303),
        ({"Origin": "http://testserver:8000"}, 403),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": ""}, 403),
        ({}, 303),
    ],
)
def test_other_sites_write_nothing(onward: FastAPI, headers: dict[str, str], status: int) -> None:
    answer = TestClient(onward, follow_redirects=False).post("/theme", data={"theme": "dark"}, headers=headers)
    assert answer.status_code == status


def test_other_sites_may_link_to_us(onward: FastAPI) -> None:
    assert TestClient(onward).get("/sign-in", headers={"Sec-Fetch-Site": "cross-site"}).status_code == 200


def test_a_mail_program_may_unsubscribe_from_anywhere(onward: FastAPI) -> None:
    answer = TestClient(onward).post("/unsubscribe/17.abc", headers={"Origin": "https://mail.example"})
    assert answer.status_code != 403


def test_a_session_is_no_pass_for_another_site_at_the_api(onward: FastAPI) -> None:
    answer = TestClient(onward).post("/api/v1/accounts", headers={"Sec-Fetch-Site": "cross-site"})
    assert (answer.status_code, answer.headers["content-type"]) == (403, "application/problem+json")


# Hosts and bodies


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("testserver", 200),
        ("TESTSERVER:8000", 200),
        ("localhost:1", 200),
        ("evil.example", 400),
        ("testserver.evil.example", 400),
        ("testserver@evil.example", 400),
        ("", 400),
        ("[::1", 400),
    ],
)
def test_only_our_hosts_are_served(onward: FastAPI, host: str, status: int) -> None:
    assert TestClient(onward).get("/healthz", headers={"Host": host}).status_code == status


def test_a_body_too_long_is_refused_by_its_length(browser: Browser) -> None:
    answer = browser().post("/sign-in", content=b"email=" + b"x" * 1024 * 1024, headers={"Accept-Language": "pt-BR"})
    assert answer.status_code == 413
    assert "É grande demais" in answer.text


def test_a_body_too_long_is_refused_without_a_length(browser: Browser) -> None:
    def in_pieces() -> Iterator[bytes]:
        yield b"email="
        for _ in range(40):
            yield b"x" * 65536

    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    assert browser().post("/sign-in", content=in_pieces(), headers=headers).status_code == 413


@pytest.mark.parametrize("length", ["-1", "1e3", "9" * 40, "x"])
def test_a_length_that_is_none_is_refused(browser: Browser, length: str) -> None:
    assert browser().post("/theme", content=b"", headers={"Content-Length": length}).status_code == 400


# Headers and log


def test_every_answer_carries_the_security_headers(browser: Browser) -> None:
    for path in ("/sign-in", "/nowhere", "/healthz", static("customer.css"), "/api/v1/nowhere"):
        headers = browser().get(path).headers
        assert headers["content-security-policy"] == (
            "default-src 'none'; style-src 'self'; script-src 'self'; font-src 'self'; img-src 'self' data:; "
            "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'; manifest-src 'self'"
        )
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "same-origin"
        assert "strict-transport-security" not in headers


def test_https_makes_cookies_and_transport_strict(settings: Settings, clock: FixedClock, onward: FastAPI) -> None:
    app = create_app(settings.model_copy(update={"base_url": "https://testserver"}), clock)
    visitor = TestClient(app, base_url="https://testserver", follow_redirects=False)
    assert visitor.get("/sign-in").headers["strict-transport-security"] == "max-age=31536000; includeSubDomains"
    asked = visitor.post("/sign-in", data={"email": "nobody@lumen.example"}).headers["set-cookie"]
    assert asked.startswith("__Host-asking=")
    assert [part.strip() for part in asked.split(";")[1:]] == [
        "HttpOnly",
        "Max-Age=600",
        "Path=/",
        "SameSite=lax",
        "Secure",
    ]
    app.state.wiring.house.database.close()


def test_one_line_tells_of_a_request_and_nothing_of_its_secrets(
    browser: Browser, caplog: pytest.LogCaptureFixture
) -> None:
    token = "17.k3Jx0vN2mA9sQ4tR7uW1yZ5bC8d"
    with caplog.at_level(logging.INFO, logger="portal.requests"):
        answer = browser().get(f"/sign-in/{token}?email=maria@lumen.example")
    line = json.loads(caplog.messages[0])
    assert line.pop("ms") >= 0
    assert line == {
        "request": answer.headers["x-request-id"],
        "method": "GET",
        "path": "/sign-in/…",
        "status": 410,
    }


def test_paths_in_logs_are_masked() -> None:
    assert masked("/staff/customers/17") == "/staff/customers/17"
    assert masked("/people/maria@lumen.example/mail") == "/people/…/mail"
    assert masked("/static/fonts/hanken-grotesk-92e237f8.woff2") == "/static/fonts/hanken-grotesk-92e237f8.woff2"


# Errors


def test_errors_speak_the_readers_language(browser: Browser, signed_in: SignIn, cast: Cast) -> None:
    assert '<html lang="en"' in browser().get("/nowhere").text
    brazilian = browser().get("/nowhere", headers={"Accept-Language": "pt-BR,pt;q=0.9,en;q=0.5"}).text
    assert '<html lang="pt-BR"' in brazilian
    assert "Não encontramos isso" in brazilian


def test_a_method_that_is_not_there(browser: Browser) -> None:
    answer = browser().delete("/sign-in")
    assert (answer.status_code, sorted(answer.headers["allow"].split(", "))) == (405, ["GET", "HEAD"])
    assert "<h1>That’s not how this page works</h1>" in answer.text


def test_head_is_a_get_without_its_body(browser: Browser) -> None:
    assert browser().head("/sign-in").status_code == 200


def test_the_api_answers_problems(browser: Browser) -> None:
    answer = browser().get("/api/v1/nowhere")
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json() == {
        "type": "about:blank",
        "title": "We couldn’t find that",
        "status": 404,
        "detail": "It may have moved, or the link is incomplete.",
    }


def test_a_database_that_is_away_is_a_moments_trouble(
    settings: Settings, tmp_path: Path, clock: FixedClock, signed_in: SignIn
) -> None:
    away = (
        "postgresql://nobody@127.0.0.1:1/away"
        if "postgresql" in settings.database_url
        else f"sqlite:///{tmp_path}/gone/x"
    )
    app = create_app(settings.model_copy(update={"database_url": away}), clock)
    (tmp_path / "gone").exists() and (tmp_path / "gone").rmdir()
    visitor = TestClient(app, headers={"Sec-Fetch-Site": "same-origin"}, follow_redirects=False)
    answer = visitor.post("/sign-in", data={"email": "maria@lumen.example"})
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "10")
    assert "We’ll be right back" in answer.text
    assert visitor.get("/readyz").status_code == 503
    assert visitor.get("/healthz").status_code == 200
    app.state.wiring.house.database.close()


# Health


def test_ready_is_who_has_its_tables_and_a_worker(onward: FastAPI, browser: Browser, database: Database) -> None:
    ok = {"server": "ok", "database": "ok", "worker": "ok"}
    silent = browser().get("/readyz")
    assert (silent.status_code, silent.json()) == (503, {**ok, "worker": "not seen"})

    def heartbeat(ago: timedelta) -> None:
        with database.write() as db:
            db.merge(DeploymentFact(name=WORKER_SEEN_AT, value=(SystemClock().now() - ago).isoformat()))

    heartbeat(timedelta(seconds=10))
    assert (browser().get("/readyz").status_code, browser().get("/readyz").json()) == (200, ok)
    heartbeat(WORKER_IS_LATE + timedelta(seconds=1))
    assert browser().get("/readyz").json() == {**ok, "worker": "not seen"}
    heartbeat(timedelta(0))
    onward.state.wiring.is_draining = True
    assert browser().get("/readyz").json() == {**ok, "server": "draining"}
    assert browser().get("/healthz").status_code == 200


# Static files


def test_static_files_are_kept_for_ever_by_their_hash(browser: Browser) -> None:
    assert browser().get(static("customer.css")).headers["cache-control"] == "public, max-age=31536000, immutable"
    assert browser().get("/static/customer.css").headers["cache-control"] == "no-cache"
    font = browser().get("/static/fonts/hanken-grotesk-92e237f8.woff2")
    assert font.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert browser().get("/static/../portal/settings.py").status_code == 404


def test_text_is_compressed_for_who_takes_it(browser: Browser) -> None:
    plain = browser().get(static("customer.css"), headers={"Accept-Encoding": "identity"})
    packed = browser().get(static("customer.css"), headers={"Accept-Encoding": "gzip"})
    assert (packed.headers["content-encoding"], packed.headers["vary"]) == ("gzip", "Accept-Encoding")
    assert packed.content == plain.content
    assert int(packed.headers["content-length"]) < int(plain.headers["content-length"]) / 2
    assert packed.headers["etag"] != plain.headers["etag"]
    again = browser().get(static("customer.css"), headers={"If-None-Match": plain.headers["etag"]})
    assert again.status_code == 304


# Preferences


def test_language_and_theme_are_chosen_without_script(browser: Browser) -> None:
    visitor = browser()
    chosen = visitor.post("/language", data={"language": "pt-BR", "return": "/sign-in?next=/plan"})
    assert (chosen.status_code, chosen.headers["location"]) == (303, "/sign-in?next=/plan")
    visitor.post("/theme", data={"theme": "dark"})
    page = visitor.get("/sign-in").text
    assert '<html lang="pt-BR" data-theme="dark">' in page
    assert "Que bom ver você" in page
    visitor.post("/theme", data={"theme": ""})
    assert '<html lang="pt-BR">' in visitor.get("/sign-in").text
    assert visitor.post("/language", data={"language": "tlh"}).status_code == 404


@pytest.mark.parametrize(
    "back", ["https://evil.example/x", "//evil.example", "/\\evil.example", "javascript:alert(1)", "/a\r\nb", "", "x"]
)
def test_the_way_back_stays_on_this_site(browser: Browser, back: str) -> None:
    location = browser().post("/theme", data={"theme": "dark", "return": back}).headers["location"]
    assert location == "/"


def test_a_persons_own_language_is_for_every_browser(signed_in: SignIn, cast: Cast) -> None:
    signed_in(contact_id=cast.maria).post("/language", data={"language": "pt-BR"})
    elsewhere = signed_in(contact_id=cast.maria)
    refused = elsewhere.get("/staff/board", headers={"Accept-Language": "en"})
    assert refused.status_code == 404
