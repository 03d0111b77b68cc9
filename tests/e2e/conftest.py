"""A real browser for the journeys through the whole product; these tests run in a pytest process of their own.
Playwright's sync API leaves a running event loop in its thread, which breaks every later test that starts one.
"""

import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from portal import auth
from portal.app import create_app
from portal.clock import SystemClock
from portal.house import House
from portal.settings import read_settings
from portal.shipped import load_all
from portal.web import SESSION_COOKIE, cookie_name
from tests import cast, servers

PAST = datetime(2026, 1, 5, 12, tzinfo=UTC)
WATCH_THE_POLICY = (
    "document.addEventListener('securitypolicyviolation', e => console.error('CSP ' + e.violatedDirective))"
)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Chromium, started once."""
    try:
        path = servers.chromium_path()
    except servers.Missing as missing:
        if os.environ.get("CI", "").lower() in ("1", "true"):
            raise
        pytest.skip(str(missing))
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path)
        yield chromium
        chromium.close()


Visitor = Page
"""The page that somebody has open, in a browser of their own."""


@pytest.fixture
def visitor(browser: Browser) -> Iterator[Callable[..., Visitor]]:
    """`visitor(width=375, locale="pt-BR", java_script_enabled=False, …)`: somebody with a browser of their own, in which
    nothing may go wrong unseen: no script error, no complaint in the console, nothing blocked by the policy."""
    complaints: list[str] = []
    contexts: list[BrowserContext] = []

    def come(*, width: int = 1280, locale: str = "en-GB", **options: Any) -> Visitor:
        height = 800 if width > 600 else 700
        context = browser.new_context(locale=locale, viewport={"width": width, "height": height}, **options)
        contexts.append(context)
        context.set_default_timeout(10_000)
        opened = context.new_page()
        opened.add_init_script(WATCH_THE_POLICY)
        opened.on("pageerror", lambda error: complaints.append(f"script error: {error}"))
        opened.on("console", lambda line: complaints.append(line.text) if line.type == "error" else None)
        return opened

    yield come
    for context in contexts:
        context.close()
    assert complaints == []


@dataclass(frozen=True)
class Served:
    """The application at an address of its own, with the cast in it."""

    address: str
    house: House
    people: cast.Cast

    def sign_in(self, page: Page, *, contact_id: int | None = None, staff_id: int | None = None) -> Page:
        with self.house.database.write() as db:
            now = SystemClock().now()
            token = auth.open_session(db, contact_id=contact_id, staff_id=staff_id, way="test", now=now)
        name = cookie_name(self.house.settings, SESSION_COOKIE)
        page.context.add_cookies([{"name": name, "value": token, "url": self.address}])
        return page


@pytest.fixture
def served(migrated_sqlite_file: Path, tmp_path: Path) -> Iterator[Served]:
    database, port = tmp_path / "onward.sqlite", servers.free_port()
    shutil.copyfile(migrated_sqlite_file, database)
    environ = {
        "PORTAL_DATABASE_URL": f"sqlite:///{database}",
        "PORTAL_DATA_DIR": str(tmp_path),
        "PORTAL_BASE_URL": f"http://127.0.0.1:{port}",
    }
    app = create_app(read_settings(environ))
    house: House = app.state.wiring.house
    with house.database.write() as db:
        people = cast.put_on_stage(db, house, now=PAST)
        load_all(db, now=PAST)
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=port, log_level="critical"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started and thread.is_alive():
        time.sleep(0.01)
    yield Served(f"http://127.0.0.1:{port}", house, people)
    server.should_exit = True
    thread.join()


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    """A visitor's own browser profile."""
    made = browser.new_context(locale="en-GB", viewport={"width": 1280, "height": 800})
    yield made
    made.close()


@pytest.fixture
def page(context: BrowserContext) -> Iterator[Page]:
    """A page on which nothing went wrong unseen: scripts' errors and blocked content fail the test."""
    opened = context.new_page()
    complaints: list[str] = []
    opened.add_init_script(WATCH_THE_POLICY)
    opened.on("pageerror", lambda error: complaints.append(f"script error: {error}"))
    opened.on("console", lambda line: complaints.append(line.text) if line.text.startswith("CSP ") else None)
    yield opened
    assert complaints == []
