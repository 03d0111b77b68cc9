"""The kit's pages in a real browser: nothing for axe to find, no sideways scroll, and what the script adds."""

import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from portal import charts, icons
from portal.places import STATIC
from portal.templating import environment

POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; font-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'; manifest-src 'self'"
)
RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21aa", "wcag22aa", "best-practice"]}
TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml", ".woff2": "font/woff2"}
PAGES = ("kit", "kit_staff", "problem")


def _page_values() -> dict[str, Any]:
    shape = {"key": "c", "title": "A chart", "desc": "What it says."}
    points = [charts.IntervalPoint(m, v, v - 20, v + 20, f"{m}: {v}") for m, v in (("May", 41), ("June", 45))]
    drawn: dict[str, Any] = {}
    for size, narrow in (("wide", False), ("narrow", True)):
        drawn[f"nps_{size}"] = charts.interval_chart(
            points, narrow=narrow, range_text="25 to 65", **{**shape, "key": "nps"}
        )
        drawn[f"trend_{size}"] = charts.trend_chart([62, 52, 71], events={0: "Live"}, narrow=narrow, **shape)
        drawn[f"columns_{size}"] = charts.column_chart(
            [charts.Column("May", 3, "+$3k")], narrow=narrow, **{**shape, "key": "mrr"}
        )
    return {
        "me": SimpleNamespace(name="Noor Haddad", role="administrator", account_name="Moss & Rye Bakery", portrait=""),
        "now": datetime(2026, 6, 18, 10, 20, tzinfo=UTC),
        "said": SimpleNamespace(text="Saved.", undo="/undo"),
        "csat_split": charts.split_bar([charts.Share("a", 100, "All happy")], label="All happy"),
        "icon_names": icons.NAMES,
        "may": lambda _permission: True,
        **{"zone": "Europe/London", "theme": "", "path": "/", "demo": True, "vendor": "Larderly", "status": 404},
        **{"title": "We couldn’t find that", "message": "It may have moved.", "inbox_count": 7, "unread": 2},
        **drawn,
    }


class _Kit(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        address = urlsplit(self.path)
        if address.path.startswith("/static/"):
            file = STATIC / address.path.removeprefix("/static/")
            self._answer(200, TYPES[Path(file).suffix], file.read_bytes())
            return
        locale = parse_qs(address.query).get("in", ["en"])[0]
        page = environment(locale).get_template(f"{address.path.strip('/')}.html").render(_page_values())
        self._answer(200, "text/html; charset=utf-8", page.encode())

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.path.startswith("/milestones/1"):
            row = (
                environment("en").globals["ui"].todo("m1", "Answer the 30-day check-in", url="/milestones/1", done=True)
            )
            said = environment("en").get_template("_shared/said.html").render(_page_values())
            self._answer(200, "text/html; charset=utf-8", f"{row}{said}".encode())
        else:
            self._answer(500, "text/html; charset=utf-8", b"<h1>broken</h1>")

    def _answer(self, status: int, kind: str, content: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Security-Policy", POLICY)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture(scope="module")
def kit() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Kit) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.mark.slow
@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 375, 1280])
def test_axe_finds_nothing_and_nothing_scrolls_sideways(browser: Browser, kit: str, width: int, theme: Any) -> None:
    # axe puts a script of its own into the page, which the policy rightly refuses.
    context = browser.new_context(
        viewport={"width": width, "height": 800}, color_scheme=theme, reduced_motion="reduce", bypass_csp=True
    )
    page = context.new_page()
    found = {}
    for name in PAGES:
        for locale in ("en", "pt-BR"):
            page.goto(f"{kit}/{name}?in={locale}")
            beyond = page.evaluate("document.documentElement.scrollWidth - innerWidth")
            broken = [violation["id"] for violation in Axe().run(page, options=RULES).response["violations"]]
            found[name, locale] = (beyond > 0, broken)
    context.close()
    assert found == dict.fromkeys(found, (False, []))


def test_the_theme_is_changed_and_kept(page: Page, kit: str) -> None:
    page.goto(f"{kit}/kit")
    page.get_by_role("button", name="Switch between light and dark").click()
    assert page.locator("html").get_attribute("data-theme") == "dark"
    assert [(cookie["name"], cookie["value"]) for cookie in page.context.cookies()] == [("theme", "dark")]


def test_escape_closes_a_menu_and_gives_the_focus_back(page: Page, kit: str) -> None:
    page.goto(f"{kit}/kit")
    account = page.locator(".top .menu > summary")
    account.click()
    expect(page.get_by_role("link", name="Your details")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("link", name="Your details")).to_be_hidden()
    expect(account).to_be_focused()


def test_ticking_swaps_the_row_keeps_the_focus_and_says_so(page: Page, kit: str) -> None:
    page.goto(f"{kit}/kit")
    page.locator("#m1-tick").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#m1")).to_have_class("done")
    expect(page.locator("#m1-tick")).to_be_focused()
    expect(page.locator("#toasts")).to_contain_text("Saved.")


def test_ticking_posts_a_form_where_there_is_no_script(browser: Browser, kit: str) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{kit}/kit")
    page.locator("#m1-tick").click()
    assert urlsplit(page.url).path == "/milestones/1"
    context.close()


def test_an_answer_that_broke_leaves_the_page_alone_and_says_what_to_do(page: Page, kit: str) -> None:
    page.goto(f"{kit}/kit")
    page.locator("#m3-tick").click()
    expect(page.get_by_role("alert").filter(has_text="please try again")).to_be_visible()
    expect(page.locator("#m3")).to_contain_text("Train the weekend team")


def test_a_card_is_moved_from_the_keyboard(page: Page, kit: str) -> None:
    page.goto(f"{kit}/kit_staff")
    page.locator("#deal-2-move").focus()
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog", name="Move Olive & Ember")
    expect(dialog.get_by_role("radio", name="1. Demand analysis")).to_be_focused()
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    expect(page.locator("#deal-2-move")).to_be_focused()


def test_a_dragged_card_asks_for_the_reason_first(page: Page, kit: str) -> None:
    page.goto(f"{kit}/kit_staff")
    page.drag_and_drop("#deal-2", "#lane-approved .deals")
    dialog = page.get_by_role("dialog", name="Move Olive & Ember")
    expect(dialog.get_by_role("radio", name="7. Approved customer")).to_be_checked()
    expect(dialog.get_by_role("textbox", name="Reason")).to_be_focused()
    assert dialog.locator("form").evaluate("form => form.action").endswith("#move-2")
