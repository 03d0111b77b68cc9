"""The plan on a phone, with and without JavaScript: ticking, what waits, "I'm stuck" all the way to the consultant, and a
plan for a prospect that is made, opened and ended."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from tests.e2e.conftest import Visitor
from tests.e2e.running import Running
from tests.e2e.test_three_lives import CARLA, ENGLISH, Customer, Desk, hire_carla, house

__all__ = ["house"]

FIRST, THEN = "Use it for one real task", "Make it part of the week"
WORDS = "The tablet asks for a code. Which one?"


@pytest.mark.parametrize("java_script_enabled", [True, False], ids=["script", "no_script"])
def test_the_plan_on_a_phone(house: Running, visitor: Callable[..., Visitor], java_script_enabled: bool) -> None:
    hire_carla(house)
    desk = Desk(visitor(java_script_enabled=java_script_enabled), house)
    desk.sign_in()
    desk.take_deal(language="en")
    desk.tick("Analyse customer demand")
    phone = visitor(width=375, java_script_enabled=java_script_enabled)
    Customer(phone, house, ENGLISH).come_back()

    # What waits says for what, and can be ticked once that is done.
    phone.goto(f"{house.address}/plan")
    waits = phone.get_by_role("listitem").filter(has_text=THEN)
    expect(waits).to_contain_text(f"Comes after: {FIRST}")
    expect(phone.get_by_role("button", name=f"Done: {THEN}")).to_have_count(0)
    phone.get_by_role("button", name=f"Done: {FIRST}").click()
    expect(phone.get_by_role("button", name=f"Done: {THEN}")).to_be_visible()

    # Stuck: the words reach Carla.
    waits.get_by_text("I’m stuck").click()
    waits.get_by_label("What’s in the way?").fill(WORDS)
    waits.get_by_role("button", name="Ask for help").click()
    expect(phone.get_by_role("listitem").filter(has_text=THEN)).to_contain_text(WORDS)
    expect(phone.get_by_text("Carla knows")).to_be_visible()
    letter = house.post.letter(CARLA, "Maria Souza is stuck")
    assert WORDS in letter.text
    page = desk.page
    page.goto(letter.link("/staff/customers/"))
    steps = page.get_by_role("region", name="Milestones")
    expect(steps.get_by_role("blockquote")).to_have_text(WORDS)
    steps.get_by_role("button", name=f"Settled: {THEN}").click()
    expect(page.get_by_role("region", name="Milestones").get_by_role("blockquote")).to_have_count(0)
    phone.goto(f"{house.address}/plan")
    expect(phone.get_by_text("Carla knows")).to_have_count(0)

    # A plan for a prospect: made, opened by somebody who is not signed in, ended.
    page.goto(f"{house.address}/staff/plans")
    page.get_by_label("For whom").fill("Copperline Coffee")
    page.get_by_role("button", name="Make the link").click()
    link = page.get_by_label("Link for Copperline Coffee", exact=True).input_value()
    prospect = visitor(width=375, java_script_enabled=java_script_enabled)
    prospect.goto(link)
    expect(prospect.get_by_role("heading", name="What happens after you sign")).to_be_visible()
    expect(prospect.get_by_text("Plan for Copperline Coffee")).to_be_visible()
    assert prospect.evaluate("document.documentElement.scrollWidth <= innerWidth") if java_script_enabled else True
    page.get_by_role("button", name="End the link for Copperline Coffee").click()
    expect(page.get_by_text(re.compile("^Ended on"))).to_be_visible()
    ended = prospect.request.get(link)
    assert (ended.status, "Copperline" in ended.text()) == (410, False)
