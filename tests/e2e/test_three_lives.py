"""Three customers live through ninety days: one delighted, one unhappy at first, one silent. Web and worker are real
processes, the mails are real mails, and everybody does everything in a real browser."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from tests import servers
from tests.conftest import pg_database
from tests.e2e.conftest import Visitor
from tests.e2e.running import Running, running

CARLA = "carla@larderly.example"
MARIA = "maria@lumen.example"


@pytest.fixture
def house(tmp_path: Path, smtp_sink: servers.SmtpSink) -> Iterator[Running]:
    """Everything running on a new SQLite file."""
    with running(f"sqlite:///{tmp_path / 'onward.sqlite'}", tmp_path, smtp_sink) as started:
        yield started


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def either_house(
    request: pytest.FixtureRequest, tmp_path: Path, smtp_sink: servers.SmtpSink
) -> Iterator[Running]:
    """The same on each engine in turn."""
    if request.param == "sqlite":
        yield request.getfixturevalue("house")
        return
    server_url = request.getfixturevalue("pg_server_url")
    with (
        pg_database(server_url, f"onward_{tmp_path.name[:40].lower().replace('-', '_')}") as url,
        running(url, tmp_path, smtp_sink) as started,
    ):
        yield started


# What consultants do


class Desk:
    """Carla at work, in English."""

    def __init__(self, page: Page, house: Running) -> None:
        self.page, self.house = page, house

    def open(self, path: str) -> Page:
        self.page.goto(self.house.address + path)
        return self.page

    def sign_in(self) -> None:
        page = self.open("/sign-in")
        page.get_by_label("Work email").fill(CARLA)
        page.get_by_role("button", name="Email me a link").click()
        page.goto(self.house.post.letter(CARLA, "your sign-in link").link("/sign-in/"))
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_role("navigation", name="Main")).to_be_visible()

    def take_deal(self, *, language: str) -> None:
        page = self.open("/staff/customers/new")
        page.get_by_label("Company", exact=True).fill("Lumen")
        page.get_by_label("Plan", exact=True).fill("Team")
        page.get_by_label("Name", exact=True).fill("Maria Souza")
        page.get_by_label("E-mail", exact=True).fill(MARIA)
        page.get_by_label("Language").select_option(language)
        page.get_by_label("Time zone").select_option("America/Sao_Paulo")
        page.get_by_role("button", name="Add the customer").click()
        expect(page.get_by_role("heading", name="Lumen", level=1)).to_be_visible()

    def open_customer(self, name: str = "Lumen") -> Page:
        page = self.open("/staff/customers")
        page.get_by_role("main").get_by_role("link", name=name, exact=True).click()
        return page

    def tick(self, activity: str) -> None:
        page = self.open_customer()
        activities = page.get_by_role("region", name="Activities")
        activities.get_by_role("button", name=f"Done: {activity}").click()
        expect(activities.get_by_role("button", name=f"Done: {activity}")).to_have_count(0)

    def set_goal(self, goal: str) -> None:
        goals = self.open_customer().get_by_role("region", name="Goals")
        goals.locator("summary", has_text="Set a goal").click()
        goals.get_by_text("Day 90").click()
        goals.get_by_label("Goal", exact=True).fill(goal)
        goals.get_by_role("button", name="Set a goal").click()
        expect(goals.get_by_role("button", name=f"Met: {goal}")).to_be_visible()

    def meet_goal(self, goal: str) -> None:
        goals = self.open_customer().get_by_role("region", name="Goals")
        goals.get_by_role("button", name=f"Met: {goal}").click()
        expect(goals).to_contain_text("Met on")

    def log_conversation(self, words: str) -> None:
        page = self.open_customer()
        page.get_by_role("link", name="Log a conversation").click()
        page.get_by_text("Phone", exact=True).click()
        page.get_by_label("Satisfied").check()
        page.get_by_label("What was said").fill(words)
        page.get_by_role("main").get_by_role("button", name="Log the conversation").click()
        expect(page.get_by_role("region", name="Timeline")).to_contain_text(words)

    def expect_in_column(self, column: str, *, pipeline: str = "after_sale") -> None:
        lanes = self.open(f"/staff/pipeline?pipeline={pipeline}").get_by_role("region")
        expect(lanes.filter(has=self.page.get_by_role("link", name="Lumen", exact=True))).to_have_count(1)
        lane = self.page.get_by_role("region", name=column, exact=True)
        expect(lane.get_by_role("link", name="Lumen", exact=True)).to_be_visible()

    def expect_contacts_settled(self, *ways: str) -> None:
        contacts = self.open_customer_after_sale().get_by_role("region", name="The 30, 60 and 90-day contacts")
        expect(contacts.get_by_role("listitem")).to_have_text([re.compile(f"Settled on .*, {way}") for way in ways])

    def open_customer_after_sale(self) -> Page:
        page = self.open_customer()
        page.get_by_role("link", name=re.compile("^After-sale")).click()
        return page


# What customers see


def expect_here(page: Page, *, path: str, stage: str) -> None:
    """The home page's path stands at that stage, and only there."""
    here: Locator = page.get_by_role("list", name=path).locator("[aria-current=step]")
    expect(here).to_have_count(1)
    expect(here).to_contain_text(stage)


def join(house: Running, page: Page, *, button: str, field: str, welcome: str) -> None:
    """Comes in by the welcome mail's link, which asks for the address it went to."""
    page.goto(house.post.letter(MARIA, welcome).link("/sign-in/"))
    page.get_by_label(field).fill(MARIA)
    page.get_by_role("button", name=button).click()


def come_back(house: Running, page: Page, *, field: str, ask: str, button: str, subject: str) -> None:
    """Signs in again: sessions end, and weeks have passed."""
    page.goto(f"{house.address}/sign-in")
    page.get_by_label(field).fill(MARIA)
    page.get_by_role("button", name=ask).click()
    page.goto(house.post.letter(MARIA, subject).link("/sign-in/"))
    page.get_by_role("button", name=button).click()


ENGLISH = {"field": "Work email", "ask": "Email me a link", "button": "Sign in", "subject": "your sign-in link"}


def answer_happily(house: Running, page: Page, *, days: int) -> None:
    """Opens the mail's link for a ten, and sends it; opening it alone stores nothing."""
    before = house.answers_stored()
    page.goto(house.post.letter(MARIA, f"first {days} days").link("/s/", query="nps=10"))
    expect(page.get_by_role("radio", name="10, certain")).to_be_checked()
    page.get_by_text("Very happy").click()
    page.get_by_role("textbox", name="Your words").fill("It just works.")
    assert house.answers_stored() == before
    page.get_by_role("button", name="Send my answers").click()
    expect(page.get_by_role("heading", name="Thank you, Maria.")).to_be_visible()
    assert house.answers_stored() == before + 1


def test_a_delighted_customer_is_up_and_running_after_ninety_days(
    either_house: Running, visitor: Callable[..., Visitor]
) -> None:
    house = either_house
    house.run("staff", "add", CARLA, "--name", "Carla Nunes", "--role", "consultant", "--language", "en")
    carla, maria = Desk(visitor(), house), visitor()
    seven = "Your journey in seven steps"

    carla.sign_in()
    carla.take_deal(language="en")
    carla.expect_in_column("Demand analysis")
    carla.tick("Analyse customer demand")
    carla.expect_in_column("Contact with customer")

    join(house, maria, field="Work email", button="Sign in", welcome="meet Carla")
    expect_here(maria, path=seven, stage="Setting up")
    maria.get_by_role("button", name="Done: Tell us how you like to be reached").click()
    expect(maria.get_by_text("Tell us how you like to be reached, done")).to_have_count(1)
    maria.reload()
    expect(maria.get_by_role("region", name="Milestones")).to_contain_text("1 of ")
    carla.expect_in_column("Deployment & feedback")
    carla.set_goal("Count the stock in an hour")

    for day, lived, stage, column in (
        (30, 30, "60-day check-in", "60-day follow-up"),
        (60, 60, "90-day check-in", "90-day follow-up"),
        (90, 91, "90-day check-in", "90-day follow-up"),
    ):
        house.live_until(day=lived)
        answer_happily(house, maria, days=day)
        come_back(house, maria, **ENGLISH)
        expect_here(maria, path=seven, stage=stage)
        carla.sign_in()
        carla.expect_in_column(column)

    carla.meet_goal("Count the stock in an hour")
    carla.expect_in_column("Approved customer")
    carla.expect_in_column("In good hands", pipeline="relationship")
    carla.expect_contacts_settled(*["by their answer"] * 3)
    maria.reload()
    expect_here(maria, path=seven, stage="Up and running")
    expect(maria.get_by_role("heading", name="You’re up and running.")).to_be_visible()
    assert "Count the stock in an hour" in house.post.letter(MARIA, "you’re up and running").text
