"""A meeting is held; on the next business day Maria is asked how it was, by mail, and answers badly on her phone; the flag is
in Carla's inbox. Web, worker and mails are real."""

import re
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
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
def test_a_bad_meeting_is_heard_of_the_day_after(
    house: Running, visitor: Callable[..., Visitor], scripts: bool
) -> None:
    phone = visitor(width=375, java_script_enabled=scripts)
    carla, maria = Desk(visitor(), house), Customer(phone, house, ENGLISH)
    hire_carla(house)
    import_deal(house)
    carla.sign_in()
    begin(carla, maria)
    phone.goto(f"{house.address}/check-ins")
    phone.get_by_role("link", name="See times: Kick-off call").click()
    slot = phone.locator("input[name=slot]").first
    starts_at = datetime.fromisoformat(str(slot.get_attribute("value")).replace("Z", "+00:00"))
    slot.check()
    phone.get_by_role("button", name="Book it").click()

    house.run("work", "--until", (starts_at + timedelta(hours=2)).isoformat())
    carla.sign_in()
    desk = carla.open("/staff/meetings")
    desk.get_by_role("button", name="We met: Maria Souza").click()
    assert not [subject for subject in house.post.subjects(MARIA) if "how was our meeting" in subject]

    days = 3 if starts_at.weekday() == 4 else 1  # a Friday's meeting is asked about on Monday
    house.run("work", "--until", (starts_at + timedelta(days=days)).replace(hour=13).isoformat())
    asked = house.post.letter(MARIA, "how was our meeting?")
    assert asked.message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    phone.goto(asked.link("/s/", query="csat=2"))
    expect(phone.get_by_role("radio", name=re.compile("^Unhappy"))).to_be_checked()
    phone.get_by_label("No", exact=True).check()
    told = "We ran out of time before my question."
    phone.get_by_role("textbox", name=ENGLISH.her_words).fill(told)
    house.a_minute_later()
    phone.get_by_role("button", name=ENGLISH.send).click()
    expect(phone.get_by_role("heading", name="Thank you for being straight with us.")).to_be_visible()

    case = house.post.letter(CARLA, "Lumen needs you now").link("/staff/flags/")
    carla.sign_in()
    desk.goto(f"{house.address}/staff/inbox")
    expect(desk.get_by_text(told).first).to_be_visible()
    desk.goto(case)
    expect(desk.get_by_text(told).first).to_be_visible()
    desk = carla.open_customer()
    expect(desk.get_by_role("heading", name="Other surveys")).to_be_visible()
    expect(desk.get_by_text("After a meeting", exact=True)).to_be_visible()
