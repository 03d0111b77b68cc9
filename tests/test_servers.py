"""The real parts that other tests stand on do start, serve and end; and the databases they hand out are separate."""

import json
import os
import smtplib
import subprocess
import sys
import urllib.parse
import urllib.request
from email.message import EmailMessage
from http.cookiejar import CookieJar
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import create_engine, inspect, text

from portal.db import Database
from tests import servers
from tests.conftest import pg_database


def a_message(subject: str) -> EmailMessage:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "hello@onward.example", "maria@acme.example", subject
    message.set_content("Olá, Maria")
    return message


@pytest.mark.postgresql
def test_a_postgresql_server_answers_and_lets_us_create_databases(pg_server_url: str) -> None:
    with pg_database(pg_server_url, "onward_servers_test") as url, psycopg.connect(servers.dsn(url)) as connection:
        row = connection.execute("SELECT current_database(), 'Olá' COLLATE \"C\"").fetchone()
    assert row == ("onward_servers_test", "Olá")


@pytest.mark.postgresql
def test_a_dropped_database_is_gone_even_while_somebody_is_connected(pg_server_url: str) -> None:
    with pg_database(pg_server_url, "onward_held_open") as url:
        held = psycopg.connect(servers.dsn(url))
    with pytest.raises(psycopg.OperationalError):
        held.execute("SELECT 1")
    held.close()


def test_a_server_that_does_not_answer_is_missing_not_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEST_PG_URL", f"postgresql://nobody@127.0.0.1:{servers.free_port()}/none")
    with pytest.raises(servers.Missing, match="TEST_PG_URL"), servers.postgres():
        pass


@pytest.mark.parametrize("turn", ["first", "second"])
def test_each_test_has_a_migrated_database_of_its_own(database: Database, turn: str) -> None:
    with database.write() as db:
        db.execute(text("INSERT INTO deployment_facts (name, value) VALUES ('turn', :turn)"), {"turn": turn})
    with database.read() as db:
        assert db.execute(text("SELECT value FROM deployment_facts")).scalars().all() == [turn]


def test_an_empty_database_has_no_table(empty_database_url: str) -> None:
    engine = create_engine(empty_database_url)
    assert inspect(engine).get_table_names() == []
    engine.dispose()


def test_the_mail_server_keeps_what_it_gets(smtp_sink: servers.SmtpSink) -> None:
    with smtplib.SMTP(smtp_sink.host, smtp_sink.port) as client:
        client.send_message(a_message("first"))
        client.send_message(a_message("second"), to_addrs=["joao@acme.example"])
    first, second = smtp_sink.wait_for(2)
    assert (first.sender, first.recipients) == ("hello@onward.example", ("maria@acme.example",))
    assert second.recipients == ("joao@acme.example",)
    assert [first.message["Subject"], second.message["Subject"]] == ["first", "second"]
    assert first.message.get_content() == "Olá, Maria\n"


def test_the_mail_server_refuses_when_it_is_told_to_and_then_takes_mail_again(smtp_sink: servers.SmtpSink) -> None:
    smtp_sink.refuse_next("451 4.3.0 Try again later")
    with smtplib.SMTP(smtp_sink.host, smtp_sink.port) as client:
        with pytest.raises(smtplib.SMTPDataError) as refusal:
            client.send_message(a_message("refused"))
        client.send_message(a_message("taken"))
    assert (refusal.value.smtp_code, refusal.value.smtp_error) == (451, b"4.3.0 Try again later")
    assert [one.message["Subject"] for one in smtp_sink.received] == ["taken"]


def test_waiting_for_mail_that_does_not_come_says_what_came(smtp_sink: servers.SmtpSink) -> None:
    with smtplib.SMTP(smtp_sink.host, smtp_sink.port) as client:
        client.send_message(a_message("only one"))
    with pytest.raises(AssertionError, match=r"2 messages expected, 1 came: \['only one'\]"):
        smtp_sink.wait_for(2, timeout_seconds=0.01)


def test_a_person_signs_in_at_the_provider_and_it_tells_us_who_they_are(oidc_provider: servers.OidcProvider) -> None:
    oidc_provider.add_person("carla", email="carla@onward.example", email_verified=True)
    with urllib.request.urlopen(f"{oidc_provider.issuer}/.well-known/openid-configuration") as answer:
        found = json.load(answer)
    assert found["issuer"] == oidc_provider.issuer
    asked = {
        "client_id": "onward",
        "redirect_uri": "http://localhost/callback",
        "response_type": "code",
        "scope": "openid email",
    }
    address = f"{found['authorization_endpoint']}?{urllib.parse.urlencode(asked)}"
    sent_back = _redirect_after_signing_in(address, sub="carla")
    code = urllib.parse.parse_qs(urllib.parse.urlsplit(sent_back).query)["code"][0]
    given = {"grant_type": "authorization_code", "code": code, "redirect_uri": asked["redirect_uri"]}
    secret = {"client_id": "onward", "client_secret": "any"}
    token_form = urllib.parse.urlencode(given | secret).encode()
    with urllib.request.urlopen(found["token_endpoint"], data=token_form) as answer:
        token = json.load(answer)["access_token"]
    who = urllib.request.Request(found["userinfo_endpoint"], headers={"Authorization": f"Bearer {token}"})
    with urllib.request.urlopen(who) as answer:
        claims = json.load(answer)
    assert (claims["sub"], claims["email"], claims["email_verified"]) == ("carla", "carla@onward.example", True)


class _StayHere(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *args: object) -> None:
        return None


def _redirect_after_signing_in(address: str, *, sub: str) -> str:
    opener = urllib.request.build_opener(_StayHere, urllib.request.HTTPCookieProcessor(CookieJar()))
    with pytest.raises(urllib.error.HTTPError) as redirect:
        opener.open(address, data=urllib.parse.urlencode({"sub": sub}).encode())
    with redirect.value as answer:
        return answer.headers["Location"]


def test_no_sign_in_environment_is_missing_not_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OIDC_VENV", str(tmp_path))
    with pytest.raises(servers.Missing, match="no sign-in provider"), servers.oidc_provider():
        pass


def test_a_browser_that_does_not_run_is_missing_not_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = tmp_path / "chromium"
    broken.write_text("#!/bin/sh\nexit 1\n")
    broken.chmod(0o755)
    monkeypatch.setenv("CHROMIUM_PATH", str(broken))
    with pytest.raises(servers.Missing, match="does not run"):
        servers.chromium_path()


@pytest.mark.parametrize("part", ["postgresql", "oidc"])
def test_each_part_can_be_asked_for_by_name(part: str) -> None:
    asked = subprocess.run(
        [sys.executable, "-m", "tests.servers", part], cwd=servers.ROOT, capture_output=True, text=True
    )
    if asked.returncode and not os.environ.get("CI"):
        pytest.skip(asked.stderr.strip())
    assert (asked.returncode, asked.stderr) == (0, "")
