"""Three customers live through ninety days: one delighted, one unhappy at first, one silent. Web and worker are real
processes, the mails are real mails, and everybody does everything in a real browser."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from playwright.sync_api import Page, expect

from tests import servers
from tests.conftest import pg_database
from tests.e2e.conftest import Visitor
from tests.e2e.running import Running, running

CARLA = "carla@larderly.example"
MARIA = "maria@lumen.example"
MONDAY_AFTER_DAY_90 = 91
"""Use starts on a Monday, so day 90 is a Sunday, and contacts are made on business days."""
BUSINESS_DAYS_3 = 5
"""From day 30, a Wednesday, to the Monday after; and to the Wednesday."""
BUSINESS_DAYS_5 = 7


@pytest.fixture
def house(tmp_path: Path, smtp_sink: servers.SmtpSink) -> Iterator[Running]:
    """Everything running on a new SQLite file."""
    with running(f"sqlite:///{tmp_path / 'onward.sqlite'}", tmp_path, smtp_sink) as started:
        yield started


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def either_house(request: pytest.FixtureRequest, tmp_path: Path, smtp_sink: servers.SmtpSink) -> Iterator[Running]:
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
        goals.get_by_role("radio", name="Day 90").check()
        goals.get_by_label("Goal", exact=True).fill(goal)
        goals.get_by_role("button", name="Set a goal").click()
        expect(goals.get_by_role("button", name=f"Met: {goal}")).to_be_visible()

    def meet_last_goal(self, goal: str) -> None:
        page = self.open_customer()
        page.get_by_role("button", name=f"Met: {goal}").click()
        expect(page.get_by_role("link", name="How it began: After-sale")).to_be_visible()

    def log_conversation(self, words: str) -> None:
        page = self.open_customer()
        page.get_by_role("link", name="Log a conversation").click()
        self._write_down_call("Satisfied", words, button="Log it")
        expect(page.get_by_role("region", name="Timeline")).to_contain_text(words)

    def _write_down_call(self, result: str, words: str, *, button: str) -> None:
        page = self.page
        page.get_by_role("radio", name="Phone").check()
        page.get_by_role("radio", name=re.compile(f"^{result}")).check()
        page.get_by_label("What was said").fill(words)
        page.get_by_role("button", name=button).click()

    def resolve_flag(self, *, told: str, said: str, done: str) -> None:
        """From the mail that calls for help, by way of the inbox, to the outcome."""
        case = self.house.post.letter(CARLA, "Lumen needs you now").link("/staff/flags/")
        page = self.open("/staff/inbox")
        waiting = page.get_by_role("region", name="Close the loop").get_by_role("link", name=re.compile("Lumen"))
        expect(waiting).to_contain_text(told)
        waiting.click()
        assert page.url.partition("?")[0] == case
        expect(page.get_by_role("blockquote")).to_have_text(told)
        page.locator("summary", has_text="Log a conversation").click()
        self._write_down_call("Neither", said, button="Log the conversation")
        page.goto(case)
        page.get_by_role("radio", name=re.compile("^Resolved")).check()
        page.get_by_role("radio", name="Fixed").check()
        page.get_by_label("What was done").fill(done)
        page.get_by_role("button", name="Settle the flag").click()
        expect(self.open("/staff/inbox").get_by_text("Nobody waits")).to_be_visible()

    def expect_in_column(self, column: str, *, pipeline: str = "after_sale") -> None:
        lanes = self.open(f"/staff/pipeline?pipeline={pipeline}").get_by_role("region")
        expect(lanes.filter(has=self.page.get_by_role("link", name="Lumen", exact=True))).to_have_count(1)
        lane = self.page.get_by_role("region", name=column, exact=True)
        expect(lane.get_by_role("link", name="Lumen", exact=True)).to_be_visible()

    def expect_on_my_day(self, activity: str) -> None:
        to_do = self.open("/staff").get_by_role("region", name="To do")
        expect(to_do.get_by_role("button", name=f"Done: {activity}, Lumen")).to_be_visible()

    def expect_in_timeline(self, topic: str, *sentences: str) -> None:
        timeline = self.open_customer_after_sale().get_by_role("region", name="Timeline")
        timeline.get_by_role("link", name=topic).click()
        for sentence in sentences:
            expect(timeline.get_by_text(sentence).first).to_be_visible()

    def expect_contacts_settled(self, *ways: str) -> None:
        contacts = self.open_customer_after_sale().get_by_role("region", name="The 30, 60 and 90-day contacts")
        expect(contacts.get_by_role("listitem")).to_have_text([re.compile(f"Settled on .*, {way}") for way in ways])

    def open_customer_after_sale(self) -> Page:
        page = self.open_customer()
        page.get_by_role("link", name=re.compile("^After-sale")).click()
        return page


# What customers do


class Words(NamedTuple):
    """What Maria reads on her way, in her language."""

    work_email: str
    ask: str
    sign_in: str
    sign_in_mail: str
    welcome_mail: str
    path: str
    her_words: str
    send: str
    done: str


ENGLISH = Words(
    "Work email",
    "Email me a link",
    "Sign in",
    "your sign-in link",
    "meet Carla, your consultant",
    "Your journey in seven steps",
    "Your words",
    "Send my answers",
    ", done",
)
PORTUGUESE = Words(
    "E-mail de trabalho",
    "Quero o link por e-mail",
    "Entrar",
    "seu link de acesso",
    "aqui é Carla, ao seu lado",
    "Sua jornada em sete passos",
    "Suas palavras",
    "Enviar minhas respostas",
    ", concluída",
)


class Customer:
    """Maria, who reads her mail and looks at her portal."""

    def __init__(self, page: Page, house: Running, words: Words) -> None:
        self.page, self.house, self.words = page, house, words

    def join(self) -> None:
        """Comes in by the welcome mail's link, which asks for the address that it went to."""
        self.page.goto(self.house.post.letter(MARIA, self.words.welcome_mail).link("/sign-in/"))
        self.page.get_by_label(self.words.work_email).fill(MARIA)
        self.page.get_by_role("button", name=self.words.sign_in).click()

    def come_back(self) -> None:
        """Signs in again: weeks have passed, and sessions end."""
        self.page.goto(f"{self.house.address}/sign-in")
        self.page.get_by_label(self.words.work_email).fill(MARIA)
        self.page.get_by_role("button", name=self.words.ask).click()
        self.page.goto(self.house.post.letter(MARIA, self.words.sign_in_mail).link("/sign-in/"))
        self.page.get_by_role("button", name=self.words.sign_in).click()

    def answer(self, mail: str, *, nps: int, face: str, words: str, thanks: str) -> None:
        """Opens the link of a score in the mail, which chooses it and stores nothing; then sends."""
        page, before = self.page, self.house.answers_stored()
        page.goto(self.house.post.letter(MARIA, mail).link("/s/", query=f"nps={nps}"))
        expect(page.get_by_role("radio", name=re.compile(rf"^{nps}\b"))).to_be_checked()
        page.get_by_role("radio", name=face, exact=True).check()
        page.get_by_role("textbox", name=self.words.her_words).fill(words)
        assert self.house.answers_stored() == before
        self.house.a_minute_later()
        page.get_by_role("button", name=self.words.send).click()
        expect(page.get_by_role("heading", name=thanks)).to_be_visible()
        assert self.house.answers_stored() == before + 1

    def expect_at(self, stage: str) -> None:
        """Her home page's path stands at that stage, and only there."""
        here = self.page.get_by_role("list", name=self.words.path).locator("[aria-current=step]")
        expect(here).to_have_count(1)
        expect(here).to_contain_text(stage)

    def expect_arrived(self, stage: str) -> None:
        """The whole path is behind her, with that stage at its end."""
        steps = self.page.get_by_role("list", name=self.words.path).get_by_role("listitem")
        expect(steps).to_have_count(7)
        expect(steps.filter(has_text=self.words.done)).to_have_count(7)
        expect(steps.last).to_contain_text(stage)


# The lives


def hire_carla(house: Running) -> None:
    house.run("staff", "add", CARLA, "--name", "Carla Nunes", "--role", "consultant", "--language", "en")


def import_deal(house: Running) -> None:
    """The CRM's export, as a file."""
    deal = {
        "Deal ID": "D-5001",
        "Amount": "310.00",
        "Currency": "BRL",
        "Close Date": house.start.date().isoformat(),
        "Plan": "Team",
        "Company": "Lumen",
        "First Name": "Maria",
        "Last Name": "Souza",
        "Email": MARIA,
        "Deal Owner": CARLA,
        "Language": "en",
        "Time Zone": "America/Sao_Paulo",
    }
    file = house.folder / "won.csv"
    file.write_text(f"{','.join(deal)}\n{','.join(deal.values())}\n", encoding="utf-8")
    house.run("import", str(file))


def begin(carla: Desk, maria: Customer) -> None:
    """The deal is analysed, and Maria comes in: her use starts, on day 0."""
    carla.expect_in_column("Demand analysis")
    carla.tick("Analyse customer demand")
    carla.expect_in_column("Contact with customer")
    maria.join()


def test_a_delighted_customer_is_up_and_running_after_ninety_days(
    either_house: Running, visitor: Callable[..., Visitor]
) -> None:
    house = either_house
    carla, maria = Desk(visitor(), house), Customer(visitor(), house, ENGLISH)
    hire_carla(house)
    import_deal(house)
    carla.sign_in()
    begin(carla, maria)
    maria.expect_at("Setting up")
    milestone = "Tell us how you like to be reached"
    maria.page.get_by_role("button", name=f"Done: {milestone}").click()
    expect(maria.page.get_by_text(f"{milestone}, done")).to_have_count(1)
    maria.page.reload()
    expect(maria.page.get_by_role("region", name="Milestones")).to_contain_text("1 of ")
    carla.expect_in_column("Deployment & feedback")
    carla.set_goal("Count the stock in an hour")

    thanks = "Thank you, Maria."
    for mail, day, stage, column in (
        ("how are your first 30 days going?", 30, "60-day check-in", "60-day follow-up"),
        ("how is it going after 60 days?", 60, "90-day check-in", "90-day follow-up"),
        ("did 90 days get you there?", MONDAY_AFTER_DAY_90, "90-day check-in", "90-day follow-up"),
    ):
        house.live_until(day=day)
        maria.answer(mail, nps=10, face="Very happy", words="It just works.", thanks=thanks)
        maria.come_back()
        maria.expect_at(stage)
        carla.sign_in()
        carla.expect_in_column(column)

    carla.meet_last_goal("Count the stock in an hour")
    carla.expect_in_column("Approved customer")
    carla.expect_in_column("In good hands", pipeline="relationship")
    carla.expect_contacts_settled(*["by their answer"] * 3)
    carla.expect_in_timeline(
        "Everything", "Approved: the whole road was walked", "Goal met: Count the stock in an hour"
    )
    maria.page.reload()
    maria.expect_arrived("Up and running")
    expect(maria.page.get_by_role("heading", name="You’re up and running.")).to_be_visible()
    assert "Count the stock in an hour" in house.post.letter(MARIA, "you’re up and running").text


def test_an_unhappy_customer_is_heard_and_stays(house: Running, visitor: Callable[..., Visitor]) -> None:
    phone = visitor(width=375, locale="pt-BR")
    carla, maria = Desk(visitor(), house), Customer(phone, house, PORTUGUESE)
    hire_carla(house)
    carla.sign_in()
    carla.take_deal(language="pt-BR")
    begin(carla, maria)
    maria.expect_at("Colocando para rodar")

    house.live_until(day=30)
    told = "O tablet perde a contagem toda noite."
    maria.answer(
        "como foram os primeiros 30 dias?",
        nps=2,
        face="Pouco feliz",
        words=told,
        thanks="Obrigado por falar com franqueza.",
    )
    expect(phone.get_by_role("main")).to_contain_text("Carla entra em contato com você até")
    carla.sign_in()
    carla.expect_in_column("30-day follow-up")
    done = "Trocamos o tablet e recuperamos as contagens."
    carla.resolve_flag(told=told, said="O tablet tem defeito; outro vai hoje.", done=done)
    carla.expect_in_column("60-day follow-up")

    phone.goto(house.post.letter(MARIA, "ficou resolvido para você?").link("/resolutions/"))
    expect(phone.get_by_role("main")).to_contain_text(done)
    phone.get_by_role("radio", name="Sim, resolvido").check()
    phone.get_by_role("button", name="Enviar", exact=True).click()
    expect(phone.get_by_text("Que bom. Obrigado por confirmar.")).to_be_visible()
    maria.come_back()
    for mail, day in (("como está indo após 60 dias?", 60), ("90 dias", MONDAY_AFTER_DAY_90)):
        maria.expect_at(f"Conversa dos {min(day, 90)} dias")
        house.live_until(day=day)
        maria.answer(mail, nps=8, face="Feliz", words="Agora vai bem.", thanks="Obrigado, Maria.")
        maria.come_back()

    maria.expect_arrived("Tudo rodando")
    expect(phone.get_by_role("heading", name="Está tudo rodando.")).to_be_visible()
    assert phone.evaluate("document.documentElement.scrollWidth") == 375
    house.post.letter(MARIA, "tudo rodando")
    carla.sign_in()
    carla.expect_in_column("Approved customer")
    carla.expect_in_column("In good hands", pipeline="relationship")
    carla.expect_contacts_settled("by the flag that was resolved", *["by their answer"] * 2)
    carla.expect_in_timeline("Answers and flags", "Carla Nunes resolved the flag", done)


def test_a_silent_customer_is_called_and_arrives_too(house: Running, visitor: Callable[..., Visitor]) -> None:
    """And nobody here has JavaScript."""
    carla = Desk(visitor(java_script_enabled=False), house)
    maria = Customer(visitor(java_script_enabled=False), house, ENGLISH)
    hire_carla(house)
    carla.sign_in()
    carla.take_deal(language="en")
    begin(carla, maria)
    maria.expect_at("Setting up")

    house.live_until(day=30)
    house.post.letter(MARIA, "how are your first 30 days going?")
    house.live_until(day=30 + BUSINESS_DAYS_3)
    house.post.letter(MARIA, "a word on your first 30 days?")
    house.live_until(day=30 + BUSINESS_DAYS_5)
    carla.sign_in()
    carla.expect_on_my_day("Call: no answer to the survey")
    carla.expect_in_column("30-day follow-up")
    carla.log_conversation("All well, she just had no time to write.")
    carla.expect_in_column("60-day follow-up")
    expect(carla.open("/staff").get_by_text("Call: no answer to the survey")).to_have_count(0)

    for day, column in ((60, "90-day follow-up"), (MONDAY_AFTER_DAY_90, "Approved customer")):
        house.live_until(day=day)
        carla.sign_in()
        carla.log_conversation("Called her. Everything runs.")
        carla.expect_in_column(column)

    carla.expect_in_column("In good hands", pipeline="relationship")
    carla.expect_contacts_settled(*["by a conversation"] * 3)
    maria.come_back()
    maria.expect_arrived("Up and running")
    house.post.letter(MARIA, "you’re up and running")
    assert house.answers_stored() == 0
