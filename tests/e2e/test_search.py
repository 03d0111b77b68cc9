"""Somebody looks for something: on a phone and at a desk, in both languages, as they type, with a slip and without accents, by
keyboard alone, and where no script runs."""

import re
from collections.abc import Callable
from typing import NamedTuple

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect
from sqlalchemy import update

from portal.accounts.models import Contact
from portal.accounts.rules import Language
from tests.e2e.conftest import Served, Visitor

Visit = Callable[..., Visitor]


class Tongue(NamedTuple):
    """What a reader of a language types, and what they find."""

    locale: str
    search: str
    half: str
    slip: str
    plain: str
    """Without the accents that the title has, where it has some."""
    title: str
    slug: str
    meant: re.Pattern[str]
    nothing: str


TONGUES = {
    "en": Tongue(
        "en-GB",
        "Search",
        "first hou",
        "first huor",
        "FIRST HOUR",
        "Your first hour in your workspace",
        "your-first-hour",
        re.compile("Did you mean first hour"),
        "Nothing found for “xyzzyqwert”",
    ),
    "pt-BR": Tongue(
        "pt-BR",
        "Buscar",
        "quando algo n",
        "quando algo não fucniona",
        "quando algo nao funciona",
        "Quando algo não funciona",
        "when-something-does-not-work",
        re.compile("quis dizer .*funciona", re.IGNORECASE),
        "xyzzyqwert",
    ),
}


@pytest.fixture(params=TONGUES)
def tongue(request: pytest.FixtureRequest, served: Served) -> Tongue:
    """Sofia reads this language."""
    with served.house.database.write() as db:
        chosen = update(Contact).where(Contact.id == served.people.sofia).values(language=Language(request.param))
        db.execute(chosen)
    return TONGUES[request.param]


def check(page: Page) -> None:
    """Nothing is wider than the screen, and axe has nothing to say."""
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    found = Axe().run(page).response["violations"]
    assert [f"{one['id']}: {[node['target'] for node in one['nodes']]}" for one in found] == []


def opened(page: Page, tongue: Tongue) -> None:
    expect(page).to_have_url(re.compile(f"/learn/{tongue.slug}"))
    expect(page.get_by_role("heading", level=1)).to_have_text(tongue.title)


def test_on_a_phone_as_one_types(served: Served, visitor: Visit, tongue: Tongue) -> None:
    sofia = served.sign_in(visitor(width=375, locale=tongue.locale), contact_id=served.people.sofia)
    sofia.goto(served.address)
    sofia.get_by_role("link", name=tongue.search, exact=True).click()
    field = sofia.locator("#q")
    expect(field).to_be_focused()
    field.press_sequentially(tongue.half, delay=20)
    found = sofia.locator("#found")
    expect(found.locator("a.hit b").first).to_have_text(tongue.title)
    expect(found.locator("mark").first).to_be_visible()
    check(sofia)

    field.fill(tongue.slip)
    expect(found.locator(".meant")).to_have_text(tongue.meant)
    expect(found.locator("a.hit").filter(has_text=tongue.title)).to_be_visible()
    check(sofia)

    field.fill("xyzzyqwert")
    expect(found).to_contain_text(tongue.nothing)
    check(sofia)

    field.fill(tongue.plain)
    hit = found.locator("a.hit").filter(has_text=tongue.title)
    expect(hit.locator("b")).to_have_text(tongue.title)
    expect(sofia).to_have_url(re.compile(r"/search\?q="))
    hit.click()
    opened(sofia, tongue)

    # Back is where they were, with what they had typed and found.
    sofia.go_back()
    expect(sofia.locator("#q")).to_have_value(tongue.plain)
    expect(sofia.locator("#found a.hit").filter(has_text=tongue.title)).to_be_visible()


def test_at_a_desk_by_keyboard_alone(served: Served, visitor: Visit, tongue: Tongue) -> None:
    sofia = served.sign_in(visitor(width=1280, locale=tongue.locale), contact_id=served.people.sofia)
    sofia.goto(f"{served.address}/plan")
    sofia.keyboard.press("/")
    expect(sofia.locator("#find")).to_be_focused()
    sofia.keyboard.type(tongue.plain, delay=20)
    quick = sofia.locator("#quick")
    expect(quick.locator("a.hit b").first).to_have_text(tongue.title)
    check(sofia)
    sofia.keyboard.press("Tab")
    expect(quick.locator("a.hit").first).to_be_focused()
    sofia.keyboard.press("Enter")
    opened(sofia, tongue)

    # Enter in the box itself goes to the page with all of them; Escape closes the box.
    sofia.keyboard.press("/")
    sofia.keyboard.type(tongue.slip, delay=20)
    expect(quick.locator(".meant")).to_be_visible()
    sofia.keyboard.press("Escape")
    expect(quick).to_be_hidden()
    sofia.keyboard.press("/")
    sofia.keyboard.type(tongue.plain)
    sofia.keyboard.press("Enter")
    expect(sofia).to_have_url(re.compile(r"/search\?q="))
    expect(sofia.locator("#found a.hit").filter(has_text=tongue.title)).to_be_visible()
    check(sofia)


@pytest.mark.parametrize("width", [375, 1280])
def test_without_script(served: Served, visitor: Visit, tongue: Tongue, width: int) -> None:
    sofia = visitor(width=width, locale=tongue.locale, java_script_enabled=False)
    served.sign_in(sofia, contact_id=served.people.sofia)
    sofia.goto(served.address)
    if width < 1000:
        sofia.get_by_role("link", name=tongue.search, exact=True).click()
    sofia.locator("#q" if width < 1000 else "#find").fill(tongue.slip)
    sofia.keyboard.press("Enter")
    expect(sofia.locator("#found .meant")).to_have_text(tongue.meant)
    sofia.locator("#q").fill(tongue.plain)
    sofia.get_by_role("button", name=tongue.search, exact=True).click()
    sofia.locator("#found a.hit").filter(has_text=tongue.title).click()
    opened(sofia, tongue)
