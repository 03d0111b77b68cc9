"""What a customer's first page weighs over the wire, and that a second one loads no file again."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import CDPSession

from tests.e2e.conftest import Visitor
from tests.e2e.running import Running
from tests.e2e.test_three_lives import ENGLISH, Customer, Desk, hire_carla, house

__all__ = ["house"]

MOST_BYTES = 100_000
"""Headers and bodies of the page, its styles, fonts, scripts and pictures."""
LARGEST_PAGE = 12_000
"""The HTML alone: home is compressed."""


@dataclass
class Wire:
    """What a page sends for, as the browser counts it: bytes over the wire by path; nothing for what it had kept."""

    session: CDPSession
    paths: dict[str, str] = field(default_factory=dict)
    bytes_of: dict[str, int] = field(default_factory=dict)
    kept: set[str] = field(default_factory=set)

    def watch(self) -> None:
        self.session.send("Network.enable")
        self.session.on("Network.responseReceived", self._answered)
        self.session.on("Network.requestServedFromCache", lambda event: self.kept.add(event["requestId"]))
        self.session.on("Network.loadingFinished", self._finished)

    def forget(self) -> None:
        self.paths.clear()
        self.bytes_of.clear()
        self.kept.clear()

    def _answered(self, event: dict[str, Any]) -> None:
        self.paths[event["requestId"]] = urlsplit(event["response"]["url"]).path
        if event["response"].get("fromDiskCache"):
            self.kept.add(event["requestId"])

    def _finished(self, event: dict[str, Any]) -> None:
        path = self.paths.get(event["requestId"])
        if path is not None and event["requestId"] not in self.kept:
            self.bytes_of[path] = self.bytes_of.get(path, 0) + int(event["encodedDataLength"])


def test_the_first_page_is_light_and_the_second_loads_nothing_again(
    house: Running, visitor: Callable[..., Visitor]
) -> None:
    hire_carla(house)
    desk = Desk(visitor(), house)
    desk.sign_in()
    desk.take_deal(language="en")
    desk.tick("Analyse customer demand")
    phone = visitor(width=375)
    Customer(phone, house, ENGLISH).come_back()

    # The same session, in a browser that has kept nothing.
    fresh = visitor(width=375)
    fresh.context.add_cookies(phone.context.cookies())
    wire = Wire(fresh.context.new_cdp_session(fresh))
    wire.watch()
    fresh.goto(house.address, wait_until="networkidle")
    assert fresh.locator("#hello").is_visible()
    first = dict(wire.bytes_of)
    assert {"/", "/static/customer.css"} <= first.keys()
    assert any(path.endswith(".woff2") for path in first)
    assert sum(first.values()) < MOST_BYTES, first
    assert first["/"] < LARGEST_PAGE, first

    # Another page and the same page again: only the HTML (which belongs to who asks) is sent for.
    for path in ("/plan", "/"):
        wire.forget()
        fresh.goto(f"{house.address}{path}", wait_until="networkidle")
        assert set(wire.bytes_of) == {path}, wire.bytes_of
