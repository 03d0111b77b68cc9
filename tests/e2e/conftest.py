"""A real browser for the journeys through the whole product; these tests run in a pytest process of their own.
Playwright's sync API leaves a running event loop in its thread, which breaks every later test that starts one.
"""

import os
from collections.abc import Callable, Iterator
from typing import Any

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
