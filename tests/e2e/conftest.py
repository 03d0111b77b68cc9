"""A real browser for the journeys through the whole product; these tests run in a pytest process of their own.
Playwright's sync API leaves a running event loop in its thread, which breaks every later test that starts one.
"""

import os
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from tests import servers

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
