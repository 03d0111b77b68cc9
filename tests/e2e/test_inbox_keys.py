"""Carla works through the inbox by keyboard: next, previous, reply, book, settle; and by links where no script runs."""

import re
from collections.abc import Callable
from datetime import timedelta
from typing import NamedTuple

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Locator, expect

from portal.clock import SystemClock
from portal.journeys import cases
from portal.journeys.rules import FlagOrigin
from tests import factories
from tests.e2e.conftest import Served, Visitor

Visit = Callable[..., Visitor]
# Which keys the page takes for itself, said at once: waiting to see that nothing happens would prove nothing.
TAKEN = """held => ['j', 'k', 'r', 'b', 'e', '?'].filter(key => !document.body.dispatchEvent(new KeyboardEvent(
    'keydown', {key, bubbles: true, cancelable: true, ...(held && {[held]: true})})))"""


class Case(NamedTuple):
    id: int
    account: str


@pytest.fixture
def inbox(served: Served) -> list[Case]:
    """Three cases of Carla's, as the inbox lists them: the one that has waited longest comes first."""
    house, people, now = served.house, served.people, SystemClock().now()
    made = []
    with house.database.write() as db:
        mercado = factories.account(db, "Mercado Azul", now=now)
        rosa = factories.contact(db, mercado, "Rosa Dias", now=now, email="rosa@mercado.example", is_primary=True)
        waiting = (
            ("Padaria do João", people.padaria, people.maria),
            ("Floricultura", people.floricultura, people.sofia),
            ("Mercado Azul", mercado, rosa),
        )
        for hours, (name, account_id, contact_id) in zip((3, 2, 1), waiting, strict=True):
            journey = factories.journey(db, house, account_id, now=now - timedelta(days=2), owner_id=people.carla)
            flag = cases.open_flag(
                db,
                house,
                journey_id=journey,
                origin=FlagOrigin.CONSULTANT,
                by=f"staff:{people.carla}",
                now=now - timedelta(hours=hours),
                contact_id=contact_id,
                words=f"It loses the count at {name}.",
            )
            made.append(Case(flag, name))
    return made


def shows(page: Visitor, case: Case) -> None:
    """The case at its own address, marked in the list."""
    expect(page.get_by_role("blockquote")).to_have_text(f"It loses the count at {case.account}.")
    expect(row(page)).to_have_attribute("href", re.compile(rf"/staff/flags/{case.id}$"))


def row(page: Visitor) -> Locator:
    return page.locator(".ans[aria-current]")


def come(served: Served, visitor: Visit, case: Case, **options: object) -> Visitor:
    page = served.sign_in(visitor(**options), staff_id=served.people.carla)
    page.goto(f"{served.address}/staff/flags/{case.id}")
    shows(page, case)
    return page


def test_next_and_previous_move_through_the_cases(served: Served, visitor: Visit, inbox: list[Case]) -> None:
    first, second, third = inbox
    page = served.sign_in(visitor(), staff_id=served.people.carla)
    page.goto(f"{served.address}/staff/inbox")
    shows(page, first)
    for key, case in (("j", second), ("j", third), ("k", second), ("k", first)):
        page.keyboard.press(key)
        expect(page).to_have_url(f"{served.address}/staff/flags/{case.id}")
        shows(page, case)
        expect(row(page)).to_be_focused()
        assert row(page).evaluate("at => getComputedStyle(at).outlineStyle") == "solid", "the focus is seen"

    # Nothing comes before the first; the page, loaded again, shows the same case.
    page.keyboard.press("k")
    page.reload()
    shows(page, first)
    page.keyboard.press("j")
    shows(page, second)
    page.go_back()
    shows(page, first)


def test_reply_and_settle_open_their_forms_with_the_cursor_in_the_first_field(
    served: Served, visitor: Visit, inbox: list[Case]
) -> None:
    page = come(served, visitor, inbox[1])
    page.keyboard.press("e")
    expect(page.get_by_role("radio", name=re.compile("^Resolved"))).to_be_focused()
    page.keyboard.press("r")
    answer = page.get_by_label("Your answer")
    expect(answer).to_be_focused()

    # In a field they are letters.
    page.keyboard.type("jkrbe?")
    expect(answer).to_have_value("jkrbe?")
    expect(page).to_have_url(f"{served.address}/staff/flags/{inbox[1].id}")


def test_book_opens_the_booking_about_this_case(served: Served, visitor: Visit, inbox: list[Case]) -> None:
    page = come(served, visitor, inbox[1])
    page.keyboard.press("b")
    expect(page).to_have_url(re.compile(rf"/meetings/new\?kind=doubt&flag={inbox[1].id}$"))
    expect(page.get_by_label("What about")).to_have_value(f"It loses the count at {inbox[1].account}.")
    expect(page.locator("main form input:enabled:not([type=hidden])").first).to_be_focused()


@pytest.mark.parametrize("modifier", ["Control", "Meta", "Alt"])
def test_keys_with_a_modifier_are_the_browsers(
    served: Served, visitor: Visit, inbox: list[Case], modifier: str
) -> None:
    page = come(served, visitor, inbox[1])
    held = {"Control": "ctrlKey", "Meta": "metaKey", "Alt": "altKey"}[modifier]
    taken = page.evaluate(TAKEN, held)
    assert taken == []
    shows(page, inbox[1])
    # The same press without it is taken, so the check above looks at the right thing.
    page.keyboard.press("j")
    shows(page, inbox[2])


def test_the_keys_are_listed_and_can_be_switched_off(served: Served, visitor: Visit, inbox: list[Case]) -> None:
    page = come(served, visitor, inbox[0])
    keys = page.locator("[data-keys]")
    expect(keys.get_by_text("Keyboard", exact=True)).to_be_visible()
    page.keyboard.press("?")
    for what in ("next case", "previous case", "reply", "book a doubt meeting", "settle the flag", "this list"):
        expect(keys.get_by_text(what, exact=True)).to_be_visible()
    assert Axe().run(page).response["violations"] == []

    switch = page.get_by_role("checkbox", name=re.compile("^Use these keys"))
    expect(switch).to_be_focused()
    page.keyboard.press("Space")
    expect(switch).not_to_be_checked()
    page.reload()
    expect(keys.get_by_text("Keyboard", exact=True)).to_be_visible()
    assert page.evaluate(TAKEN, None) == []


def test_without_scripts_the_same_is_reached_by_links(served: Served, visitor: Visit, inbox: list[Case]) -> None:
    page = come(served, visitor, inbox[0], java_script_enabled=False)
    expect(page.locator("[data-keys]")).to_be_hidden()
    page.get_by_role("link", name="Next", exact=True).click()
    shows(page, inbox[1])
    page.get_by_role("link", name="Previous", exact=True).click()
    shows(page, inbox[0])
    expect(page.get_by_label("Your answer")).to_be_visible()
    page.locator("summary", has_text="Settle it").click()
    expect(page.get_by_role("radio", name=re.compile("^Resolved"))).to_be_visible()
    page.get_by_role("link", name="Book a doubt meeting").click()
    expect(page.get_by_label("What about")).to_have_value(f"It loses the count at {inbox[0].account}.")
