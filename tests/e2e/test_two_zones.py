"""Booking and moving a meeting across a clock change, between São Paulo, whose clocks stay, and Lisbon, whose clocks change;
on a phone, with and without JavaScript, signed in and from the mail alone. Real processes, real mails, a real browser."""

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from icalendar import Calendar
from playwright.sync_api import Page, expect
from sqlalchemy import update

from portal import auth
from portal.accounts.models import Account, Contact, Staff
from portal.accounts.rules import Language
from portal.db import Database
from portal.house import House
from portal.journeys import actions as journeys
from portal.settings import read_settings
from portal.web import SESSION_COOKIE, cookie_name
from tests import servers
from tests.e2e.conftest import Visitor
from tests.e2e.running import Letter, Running, running

CARLA = "carla@larderly.example"
MARIA = "maria@lumen.example"
LISBON, SAO_PAULO = ZoneInfo("Europe/Lisbon"), ZoneInfo("America/Sao_Paulo")


@pytest.fixture
def house(tmp_path: Path, smtp_sink: servers.SmtpSink) -> Iterator[Running]:
    with running(f"sqlite:///{tmp_path / 'onward.sqlite'}", tmp_path, smtp_sink) as started:
        yield started


def next_change(after: date) -> date:
    """The next Sunday on which Lisbon's clocks change, a fortnight away at least."""
    day = after + timedelta(days=14)
    noon = time(12)
    while (
        datetime.combine(day, noon, LISBON).utcoffset()
        == datetime.combine(day - timedelta(days=1), noon, LISBON).utcoffset()
    ):
        day += timedelta(days=1)
    return day


class Story:
    """Maria's company with Carla as its consultant, on the Monday before the clocks change."""

    def __init__(self, running_house: Running) -> None:
        self.running = running_house
        self.change = next_change(running_house.start.date())
        monday = datetime.combine(self.change - timedelta(days=6), time(12), UTC)
        running_house.run("work", "--until", monday.isoformat())
        running_house.run("staff", "add", CARLA, "--name", "Carla Nunes", "--role", "consultant")
        self.settings = read_settings(
            {name: value for name, value in running_house.environ.items() if name.startswith("PORTAL_")}
        )
        self.house = House.open(self.settings)
        now = self.house.clock.now()
        with self.database.write() as db:
            db.execute(update(Staff).values(timezone="Europe/Lisbon"))
            account = Account(external_id="L-1", name="Lumen", created_at=now, created_by="test")
            db.add(account)
            db.flush()
            contact = Contact(
                account_id=account.id,
                name="Maria Souza",
                email=MARIA,
                phone="+5511987654321",
                language=Language.EN,
                timezone="America/Sao_Paulo",
                is_primary=True,
                created_at=now,
            )
            db.add(contact)
            db.flush()
            carla = db.query(Staff.id).filter(Staff.email == CARLA).scalar()
            journeys.open_after_sale(db, self.house, account_id=account.id, owner_id=carla, by="import", now=now)
            self.maria = contact.id

    @property
    def database(self) -> Database:
        return self.house.database

    def sign_in(self, page: Page) -> None:
        with self.database.write() as db:
            token = auth.open_session(db, contact_id=self.maria, staff_id=None, way="test", now=self.house.clock.now())
        cookie = {"name": cookie_name(self.settings, SESSION_COOKIE), "value": token, "url": self.running.address}
        page.context.add_cookies([cookie])  # type: ignore[list-item]

    def at(self, days_from_change: int, hour: int = 10) -> datetime:
        """So many days from the change, at that hour on Lisbon's wall, in UTC."""
        day = self.change + timedelta(days=days_from_change)
        return datetime.combine(day, time(hour), LISBON).astimezone(UTC)


@pytest.fixture
def story(house: Running) -> Iterator[Story]:
    made = Story(house)
    yield made
    made.house.database.close()


def choose(page: Page, moment: datetime) -> None:
    """Chooses the slot, in a later week if need be; it reads as São Paulo's wall does."""
    slot = page.locator(f'input[name=slot][value="{moment:%Y-%m-%dT%H:%MZ}"]')
    if slot.count() == 0:
        page.get_by_role("link", name="Later week").click()
        expect(slot).to_have_count(1)
    there = moment.astimezone(SAO_PAULO)
    expect(page.get_by_text("Times in São Paulo")).to_be_visible()
    expect(page.locator("label.pick", has=slot)).to_contain_text(f"{there:%H:%M}")
    slot.check()


def invited(letter: Letter) -> tuple[str, str, int, datetime]:
    """The calendar in the mail: method, UID, sequence, start in UTC."""
    part = next(part for part in letter.message.walk() if part.get_content_type() == "text/calendar")
    calendar = Calendar.from_ical(part.get_content())
    event = calendar.walk("VEVENT")[0]
    assert part.get_param("method") == calendar["METHOD"]
    return str(calendar["METHOD"]), str(event["UID"]), int(event["SEQUENCE"]), event["DTSTART"].dt.astimezone(UTC)


def fits(page: Page) -> None:
    """Nothing sticks out at the side of a phone."""
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")


@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without"])
def test_booked_before_the_change_and_moved_behind_it(
    story: Story, visitor: Callable[..., Visitor], scripts: bool
) -> None:
    before, after = story.at(-3), story.at(2)
    assert before.astimezone(SAO_PAULO).hour != after.astimezone(SAO_PAULO).hour  # the same hour for Carla
    page = visitor(width=375, java_script_enabled=scripts)
    story.sign_in(page)
    page.goto(f"{story.running.address}/check-ins")
    page.get_by_role("link", name="See times: Kick-off call").click()
    if scripts:
        fits(page)
    choose(page, before)
    page.get_by_label("Anything we should know before?").fill("The price file")
    page.get_by_role("button", name="Book it").click()
    expect(page.get_by_role("main")).to_contain_text(f"{before.astimezone(SAO_PAULO):%H:%M}")
    invitation = story.running.post.letter(MARIA, "")
    method, uid, sequence, starts_at = invited(invitation)
    assert (method, sequence, starts_at) == ("REQUEST", 0, before)

    page.get_by_role("link", name="Move").first.click()
    choose(page, after)
    page.get_by_role("button", name="Confirm the new time").click()
    expect(page.get_by_role("main")).to_contain_text(f"{after.astimezone(SAO_PAULO):%H:%M}")
    assert invited(story.running.post.letter(MARIA, "")) == ("REQUEST", uid, 1, after)

    # Carla reads the same meeting at ten on her own wall, on either side of the change.
    to_carla = [invited(story.running.post.letter(CARLA, "")) for _ in range(2)]
    assert [(sequence, starts.astimezone(LISBON).hour) for _, _, sequence, starts in to_carla] == [(0, 10), (1, 10)]


def pressed_alone(page: Page, address: str) -> int:
    """What comes of a program that presses the button and nothing else, as mail scanners do."""
    return page.request.post(address, form={}, headers={"Sec-Fetch-Site": "same-origin"}).status


@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without"])
def test_moved_and_cancelled_from_the_mail_without_signing_in(
    story: Story, visitor: Callable[..., Visitor], scripts: bool
) -> None:
    before, after = story.at(-3, hour=9), story.at(1, hour=15)
    hers = visitor(width=375)
    story.sign_in(hers)
    hers.goto(f"{story.running.address}/check-ins/new?kind=kickoff")
    choose(hers, before)
    hers.get_by_role("button", name="Book it").click()
    link = story.running.post.letter(MARIA, "").link("/m/")

    page = visitor(width=375, java_script_enabled=scripts)
    page.goto(link)
    page.get_by_role("link", name="Move it").click()
    assert pressed_alone(page, f"{link}/move") == 422
    choose(page, after)
    page.get_by_role("button", name="Confirm the new time").click()
    expect(page.get_by_role("main")).to_contain_text(f"{after.astimezone(SAO_PAULO):%H:%M}")
    _, uid, sequence, starts_at = invited(story.running.post.letter(MARIA, ""))
    assert (sequence, starts_at) == (1, after)

    page.get_by_role("link", name="Cancel it").click()
    assert pressed_alone(page, f"{link}/cancel") == 422
    page.get_by_label("Yes, we don’t meet then.").check()
    page.get_by_role("button", name="Cancel the meeting").click()
    expect(page.get_by_text("This meeting was cancelled.")).to_be_visible()
    assert invited(story.running.post.letter(MARIA, ""))[:3] == ("CANCEL", uid, 2)
    page.get_by_role("link", name="Book another time").click()
    choose(page, after)
    page.get_by_role("button", name="Book it").click()
    expect(page.get_by_role("main")).to_contain_text(f"{after.astimezone(SAO_PAULO):%H:%M}")
