"""The API as an integrator meets it: a token from the command line, a real server, a real client."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from portal.db import Database
from tests import servers
from tests.factories import load_shipped_rules
from tests.routes.api.conftest import deal
from tests.routes.conftest import NOON, Cast


@pytest.fixture
def environment(database_url: str, tmp_path: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PORTAL_")}
    return kept | {
        "PORTAL_DATABASE_URL": database_url,
        "PORTAL_DATA_DIR": str(tmp_path),
        "PORTAL_SECRET_KEY": "s" * 40,
        "PYTHONPATH": str(servers.ROOT),
    }


def portal(environment: dict[str, str], *words: str) -> str:
    command = [sys.executable, "-m", "portal.cli", *words]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=120)
    return done.stdout


@pytest.fixture
def server(environment: dict[str, str]) -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "portal.cli", "serve", "--port", str(port)]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(600):
            try:
                if httpx2.get(f"{address}/healthz").status_code == 200:
                    break
            except httpx2.TransportError:
                time.sleep(0.1)
        yield address
    finally:
        process.terminate()
        process.wait(30)


def shown_token(printed: str) -> str:
    return next(word for word in printed.split() if word.startswith("onward_"))


def test_a_crm_brings_a_deal_and_a_dashboard_reads_it(
    database: Database, cast: Cast, environment: dict[str, str], server: str
) -> None:
    writing = shown_token(portal(environment, "token", "create", "crm", "--scope", "write"))
    reading = shown_token(portal(environment, "token", "create", "board", "--scope", "read"))
    with httpx2.Client(base_url=f"{server}/api/v1", headers={"Authorization": f"Bearer {writing}"}) as crm:
        made = crm.put("/accounts/D-77", json=deal())
        assert (made.status_code, made.json()["journeys"][0]["stage"]) == (201, "demand_analysis"), made.text
        assert crm.put("/accounts/D-77", json=deal()).status_code == 200
        moved = crm.post(
            f"/journeys/{made.json()['journeys'][0]['id']}/move", json={"stage": "first_contact", "reason": "Called"}
        )
        assert moved.json()["visits"][1]["moved_by"] == "api:crm"
        endless = crm.put(
            "/accounts/D-78", content=(b" " * 65536 for _ in range(40)), headers={"Content-Type": "application/json"}
        )
        assert endless.status_code == 413
    with httpx2.Client(base_url=f"{server}/api/v1", headers={"Authorization": f"Bearer {reading}"}) as board:
        assert [account["external_id"] for account in board.get("/accounts").json()["items"]] == ["D-1", "D-2", "D-77"]
        assert board.post("/accounts/D-77/churn", json={"on": "2026-11-22", "reason": "r"}).status_code == 403
        assert board.get("/openapi.json").json()["openapi"].startswith("3.")
    listed = portal(environment, "token", "list")
    assert "crm" in listed and "never" not in listed.lower()
    portal(environment, "token", "revoke", "board")
    headers = {"Authorization": f"Bearer {reading}"}
    assert httpx2.get(f"{server}/api/v1/accounts", headers=headers).status_code == 401


@pytest.fixture(autouse=True)
def shipped(database: Database, cast: Cast) -> None:
    with database.write() as db:
        load_shipped_rules(db, now=NOON)
