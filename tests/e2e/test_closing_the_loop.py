"""A bad answer by mail, and how it ends: a slot on the thank-you page, the doubt meeting, a promise, "solved", the next stage.
Maria is on her phone, once with JavaScript and once without; web, worker and mails are real."""

import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests import servers
from tests.e2e.conftest import Visitor
from tests.e2e.running import Running, running
from tests.e2e.test_three_lives import CARLA, ENGLISH, MARIA, Customer, Desk, begin, hire_carla, import_deal


@pytest.fixture
def house(tmp_path: Path, smtp_sink: servers.SmtpSink) -> Iterator[Running]:
    with running(f"sqlite:///{tmp_path / 'onward.sqlite'}", tmp_path, smtp_sink) as started:
        yield started


@pytest.mark.parametrize("scripts", [True, False], ids=["with_scripts", "without"])
def test_a_bad_answer_ends_with_the_customer_saying_solved(
    house: Running, visitor: Callable[..., Visitor], scripts: bool
) -> None:
    phone = visitor(width=375, java_script_enabled=scripts)
    carla, maria = Desk(visitor(), house), Customer(phone, house, ENGLISH)
    hire_carla(house)
    import_deal(house)
    carla.sign_in()
    begin(carla, maria)
    house.live_until(day=30)
    told = "The tablet loses the count."
    maria.answer(
        "how are your first 30 days going?",
        nps=3,
        face="Unhappy",
        words=told,
        thanks="Thank you for being straight with us.",
    )

    # Three slots of her own consultant, without signing in; one is booked.
    slots = phone.locator("input[name=slot]")
    expect(slots).to_have_count(3)
    slots.first.check()
    phone.get_by_role("button", name="Book the call").click()
    assert "/s/" not in phone.url
    invitation = house.post.letter(MARIA, "we meet on")
    calendar = next(part for part in invitation.message.walk() if part.get_content_type() == "text/calendar")
    assert told in str(calendar.get_content()).replace("\r\n ", ""), "her words are its agenda"

    # Carla promises something with a date, keeps it, and settles the case with a reason.
    carla.sign_in()
    case = house.post.letter(CARLA, "Lumen needs you now").link("/staff/flags/")
    desk = carla.page
    desk.goto(case)
    expect(desk.get_by_text("A meeting is planned.")).to_be_visible()
    desk.locator("summary", has_text="Promise something").click()
    desk.get_by_label("What we will do").fill("Offline counting on every tablet")
    desk.get_by_label("By when").fill((house.start + timedelta(days=40)).date().isoformat())
    desk.get_by_role("button", name="Promise it").click()
    expect(desk.get_by_text("Promised. The customer sees it in the portal.")).to_be_visible()

    maria.come_back()
    phone.goto(f"{house.address}/told-us")
    expect(phone.get_by_role("blockquote")).to_have_text(told)
    expect(phone.get_by_text("Offline counting on every tablet")).to_be_visible()

    # They meet; then the promise is kept.
    house.live_until(day=35, hour=14)
    carla.sign_in()
    desk.goto(f"{house.address}/staff/meetings")
    desk.get_by_role("button", name="We met: Maria Souza").click()
    desk.goto(case)
    if not desk.get_by_role("button", name="Done: Offline counting on every tablet").is_visible():
        desk.locator("summary", has_text="Promise something").click()
    desk.get_by_role("button", name="Done: Offline counting on every tablet").click()
    expect(desk.get_by_text("Everything that was promised is done.")).to_be_visible()
    if not desk.get_by_role("radio", name=re.compile("^Resolved")).is_visible():
        desk.locator("summary", has_text="Settle it").click()
    desk.get_by_role("radio", name=re.compile("^Resolved")).check()
    desk.get_by_role("radio", name="Fixed").check()
    desk.get_by_label("What was done").fill("It counts without wifi now.")
    desk.get_by_role("button", name="Settle the flag").click()
    expect(desk.get_by_text("Resolved. The customer is told")).to_be_visible()

    # Maria confirms it from the mail, and rates again; the road goes on.
    phone.goto(house.post.letter(MARIA, "is it solved for you?").link("/resolutions/"))
    expect(phone.get_by_text("It counts without wifi now.")).to_be_visible()
    phone.get_by_role("radio", name="Yes, solved").check()
    phone.get_by_role("button", name="Send", exact=True).click()
    expect(phone.get_by_role("link", name="See what you told us")).to_have_attribute("href", "/told-us")
    maria.come_back()
    phone.goto(f"{house.address}/told-us")
    phone.get_by_role("radio", name=re.compile("^4")).check()
    phone.get_by_role("button", name="Send", exact=True).click()
    expect(phone.get_by_text(re.compile("and 4 since"))).to_be_visible()
    phone.goto(house.address)
    maria.expect_at("60-day check-in")
    carla.expect_in_column("60-day follow-up")
