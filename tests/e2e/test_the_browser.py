"""The browser that the journeys need runs here, obeys the content policy and can be checked for accessibility."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import BrowserContext, Page

PAGE = """<!doctype html><html lang="en"><head><title>Olá</title></head>
<body><main><h1 style="color: rgb(255, 0, 0)">Welcome</h1></main></body></html>"""


class _OnePage(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Security-Policy", "default-src 'none'; style-src 'self'; script-src 'self'")
        self.end_headers()
        self.wfile.write(PAGE.encode())

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def address() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _OnePage) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


def test_the_browser_shows_a_page_and_axe_can_judge_it(page: Page) -> None:
    page.set_content(PAGE.replace(' style="color: rgb(255, 0, 0)"', ""))
    assert (page.title(), page.locator("h1").inner_text()) == ("Olá", "Welcome")
    assert Axe().run(page).response["violations"] == []


def test_the_content_policy_holds_in_this_browser(context: BrowserContext, address: str) -> None:
    page = context.new_page()
    blocked = []
    page.add_init_script(
        "document.addEventListener('securitypolicyviolation', e => console.error('CSP ' + e.violatedDirective))"
    )
    page.on("console", lambda line: blocked.append(line.text) if line.text.startswith("CSP ") else None)
    page.goto(address)
    colour = page.locator("h1").evaluate("heading => getComputedStyle(heading).color")
    assert (blocked, colour) == (["CSP style-src-attr"], "rgb(0, 0, 0)")
