"""Signing in with a real browser: by keyboard, with and without script, in both languages and themes."""

import shutil
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
import uvicorn
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page
from sqlalchemy import select

from portal import auth
from portal.accounts.models import Staff
from portal.accounts.rules import Role
from portal.app import create_app
from portal.auth import SignInLink
from portal.house import House
from portal.settings import read_settings
from tests import servers

CARLA = "carla@onward.example"


@dataclass(frozen=True)
class Served:
    """The application at an address of its own."""

    address: str
    house: House

    def mailed(self) -> SignInLink:
        with self.house.database.read() as db:
            return db.scalars(select(SignInLink).order_by(SignInLink.id.desc())).first() or pytest.fail("no link")


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
        now = datetime(2026, 1, 1, tzinfo=UTC)
        db.add(Staff(email=CARLA, name="Carla Nunes", role=Role.CONSULTANT, timezone="UTC", created_at=now))
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=port, log_level="critical"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started and thread.is_alive():
        time.sleep(0.01)
    yield Served(f"http://127.0.0.1:{port}", house)
    server.should_exit = True
    thread.join()


def violations(page: Page) -> list[str]:
    found = Axe().run(page).response["violations"]
    return [f"{one['id']}: {[node['target'] for node in one['nodes']]}" for one in found]


def test_by_keyboard_with_the_code_of_the_mail(page: Page, served: Served) -> None:
    page.goto(f"{served.address}/sign-in")
    assert violations(page) == []
    page.get_by_label("Work email").focus()
    page.keyboard.type("carla")
    page.keyboard.press("Enter")
    page.get_by_text("Please enter an email address").wait_for()
    assert page.evaluate("document.activeElement.id") == "email"
    assert violations(page) == []
    page.keyboard.press("End")
    page.keyboard.type("@onward.example")
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="Check your inbox").wait_for()
    assert violations(page) == []
    page.get_by_label("Or type the code from the mail").focus()
    page.keyboard.type(auth.mail_code(served.house.secret, served.mailed()))
    page.keyboard.press("Enter")
    page.wait_for_url("**/staff/pipeline")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_on_a_phone_without_script_in_portuguese(browser: Browser, served: Served, scheme: str) -> None:
    phone = browser.new_context(
        locale="pt-BR", java_script_enabled=False, color_scheme=scheme, viewport={"width": 320, "height": 700}
    )
    page = phone.new_page()
    page.goto(f"{served.address}/sign-in")
    page.get_by_label("E-mail de trabalho").fill(CARLA)
    page.get_by_role("button", name="Quero o link por e-mail").click()
    page.get_by_role("heading", name="Confira seu e-mail").wait_for()
    page.goto(served.address + auth.link_path(served.house.secret, served.mailed()))
    page.get_by_role("button", name="Entrar").click()
    page.wait_for_url("**/staff/pipeline")
    page.goto(served.address + auth.link_path(served.house.secret, served.mailed()))
    page.get_by_role("heading", name="This link has run out").wait_for()
    phone.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_page_on_the_way_is_accessible_and_reflows(browser: Browser, served: Served, scheme: str) -> None:
    laptop, phone = (
        browser.new_context(locale="en-GB", color_scheme=scheme, viewport={"width": 320, "height": 700}) for _ in "12"
    )
    asking, opening = laptop.new_page(), phone.new_page()
    asking.goto(f"{served.address}/sign-in")
    asking.get_by_label("Work email").fill(CARLA)
    asking.keyboard.press("Enter")
    asking.get_by_role("heading", name="Check your inbox").wait_for()
    path = auth.link_path(served.house.secret, served.mailed())
    opening.goto(served.address + path)
    opening.get_by_role("button", name="Sign in").click()
    opening.get_by_text("Please fill this in.").wait_for()
    for page in (asking, opening):
        assert violations(page) == []
        assert page.evaluate("document.documentElement.scrollWidth") == 320
    asking.goto(served.address + path)
    assert violations(asking) == []
    for elsewhere in ("/sign-in/1.forged", "/nowhere"):
        opening.goto(served.address + elsewhere)
        assert violations(opening) == []
        assert opening.evaluate("document.documentElement.scrollWidth") == 320
    laptop.close()
    phone.close()
