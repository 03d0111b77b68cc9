"""Every page that a link leads to in the demo (those in mails too), as each kind of person, in both languages: it is there, axe
finds nothing, nothing scrolls sideways down to 320 px, the console is silent, and every form can be sent without JavaScript.
In English on a light desktop, in Portuguese on a dark phone. Then the states that only what somebody did leads to."""

import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections import Counter, deque
from collections.abc import Callable, Iterator
from html import unescape
from pathlib import Path
from urllib.parse import parse_qsl, urljoin, urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page

from tests import servers
from tests.e2e.conftest import WATCH_THE_POLICY, Visitor

PEOPLE = ("customer", "consultant", "manager", "administrator")
OF_A_KIND = 2
"""How many pages of one kind are opened: two customers stand for all of them."""
MAILBOX = "/demo/mailbox"
"""Here every page is opened once: each letter leads somewhere else."""
NARROWEST = 320
LINK = re.compile(r'<a\b[^>]*\bhref="([^"]*)"')


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """`portal demo`, filled and started as its readers are told to; gives its address."""
    folder, port = tmp_path_factory.mktemp("demo"), servers.free_port()
    environ = {name: value for name, value in os.environ.items() if not name.startswith("PORTAL_")}
    log = folder / "demo.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "portal.cli", "demo", "--port", str(port), "--data", str(folder)],
            env=environ,
            stdout=output,
            stderr=output,
        )
    try:
        _wait_until_it_answers(f"http://localhost:{port}/healthz", process, log)
        yield f"http://localhost:{port}"
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(timeout=30)


def _wait_until_it_answers(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 300
    while process.poll() is None and time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except OSError:
            time.sleep(0.2)
    raise AssertionError(f"the demo did not start: {log.read_text(errors='replace')}")


def kind_of(url: str) -> str:
    """Pages that differ only in which row they show, or how a filter stands, are of one kind."""
    parts = urlsplit(url)
    path = re.sub(r"/[^/]*\d[^/]*|(?<=^/learn)/(?!examples|news)[^/]+", "/*", parts.path)
    asked = sorted({name for name, _ in parse_qsl(parts.query, keep_blank_values=True)})
    return f"{path}?{'&'.join(asked)}" if asked else path


def become(page: Page, demo: str, person: str) -> None:
    page.goto(f"{demo}/sign-in") if person == PEOPLE[0] else page.goto(demo)
    page.locator(f"aside button[name=person][value={person}]").click()
    page.wait_for_load_state()


def faults(page: Page) -> list[str]:
    """What is wrong with the page, with everything on it unfolded, and at its narrowest."""
    page.evaluate("document.querySelectorAll('main details:not(.menu)').forEach(each => each.open = true)")
    found = [
        f"{one['id']}: {[node['target'] for node in one['nodes']][:3]}"
        for one in Axe().run(page).response["violations"]
    ]
    usual = page.viewport_size
    assert usual is not None
    for width in (usual["width"], NARROWEST):
        page.set_viewport_size({"width": width, "height": usual["height"]})
        beyond = page.evaluate("document.documentElement.scrollWidth - innerWidth")
        if beyond > 0:
            found.append(f"scrolls sideways by {beyond} px at {width} px")
    page.set_viewport_size(usual)
    return found


SCRIPTS_ONLY = """() => {
  const BY_ITSELF = "[hx-trigger*=intersect]";  // notes how far somebody scrolled; a button below does it without script
  document.querySelectorAll('details').forEach(each => each.open = true);
  const seen = each => each.checkVisibility({visibilityProperty: true});
  const sends = form => [...form.elements].some(each => each.matches('button:not([type=button]), [type=submit]') && seen(each));
  const fields = form => [...form.elements].filter(each => each.matches('input:not([type=hidden]), select, textarea'));
  const enter = form => fields(form).length === 1 && fields(form)[0].matches('[type=search], [type=text]');
  return [
    ...[...document.forms].filter(form => seen(form) && !form.matches(BY_ITSELF) && !sends(form) && !enter(form)).map(form => `cannot be sent: ${form.action}`),
    ...[...document.querySelectorAll('button[type=button]:enabled')].filter(seen).map(each => `does nothing: ${each.outerHTML.slice(0, 90)}`),
  ];
}"""


def needs_script(page: Page) -> list[str]:
    """What on the page only a script could use: forms without a button to send them, buttons that do nothing."""
    found: list[str] = page.evaluate(SCRIPTS_ONLY)
    return found


def crawl(page: Page, demo: str, judged: set[str], judge: Callable[[Page], list[str]] = faults) -> dict[str, object]:
    """What is wrong, by address, on the pages that can be reached from here; one of each kind that isn't `judged` yet is
    looked at, and then it is."""
    wrong: dict[str, object] = {}
    reads_letters = not judged
    opened: Counter[str] = Counter()
    waiting, known = deque([page.url]), {page.url}
    while waiting:
        url = waiting.popleft()
        kind = kind_of(url)
        if opened[kind] == OF_A_KIND and not (reads_letters and kind.startswith(MAILBOX)):
            continue
        opened[kind] += 1
        answer = page.request.get(url, max_retries=2)  # the server may hang up while axe thinks
        if answer.status != 200:
            wrong[url] = answer.status
            continue
        if "text/html" not in answer.headers["content-type"]:
            continue
        for link in LINK.findall(answer.text()):
            address = urljoin(url, unescape(link)).partition("#")[0]
            if address.startswith(f"{demo}/") and address not in known:
                known.add(address)
                waiting.append(address)
        if kind not in judged:
            judged.add(kind)
            page.goto(url)
            if found := judge(page):
                wrong[url] = found
    return wrong


@pytest.mark.slow
@pytest.mark.parametrize(
    ("locale", "width", "theme"), [("en-GB", 1280, "light"), ("pt-BR", 375, "dark")], ids=["en-1280", "pt-BR-375"]
)
def test_every_page_is_there_accessible_and_quiet(
    demo: str, visitor: Callable[..., Visitor], locale: str, width: int, theme: str
) -> None:
    page = visitor(width=width, locale=locale, color_scheme=theme, reduced_motion="reduce")
    judged: set[str] = set()
    wrong = {}
    for person in PEOPLE:
        become(page, demo, person)
        wrong |= {f"{person} {url.removeprefix(demo)}": what for url, what in crawl(page, demo, judged).items()}
    assert not wrong, "\n".join(f"{where}: {what}" for where, what in wrong.items())
    assert len(judged) > 60


@pytest.mark.slow
def test_every_form_can_be_sent_without_javascript(demo: str, visitor: Callable[..., Visitor]) -> None:
    page = visitor(width=NARROWEST, locale="pt-BR", java_script_enabled=False)
    judged: set[str] = set()
    wrong = {}
    for person in PEOPLE:
        become(page, demo, person)
        found = crawl(page, demo, judged, needs_script)
        wrong |= {f"{person} {url.removeprefix(demo)}": what for url, what in found.items()}
    assert not wrong, "\n".join(f"{where}: {what}" for where, what in wrong.items())


def press(page: Page, form: str) -> None:
    """Presses the first button that sends the form, with everything unfolded."""
    page.evaluate("document.querySelectorAll('main details:not(.menu)').forEach(each => each.open = true)")
    page.locator(form).first.locator("button:not([type=button])").first.click()
    page.wait_for_load_state("networkidle")


def states(page: Page, demo: str) -> Iterator[str]:
    """What a customer does, and then somebody of the house: names each state in which the page then stands. Without a word
    of any language: the same in both."""
    go: Callable[[str], object] = lambda path: page.goto(f"{demo}{path}")  # noqa: E731 - short beside what it does

    go("/check-ins/new")
    press(page, "main form[action^='/check-ins/new']")
    yield "booking without a time"
    page.locator("main input[name=slot]:enabled").first.check(force=True)
    press(page, "main form[action^='/check-ins/new']")
    booked = page.url
    yield "booked"
    for path in ("/check-ins", "/"):
        go(path)
        yield f"{path} with a meeting"
    for what in ("move", "cancel"):
        page.goto(f"{booked.partition('?')[0]}/{what}")
        yield f"a meeting to {what}"
    press(page, "main form[action$='/cancel']")
    yield "cancelling without saying so"

    go("/messages")
    press(page, "form#write")
    yield "a message without words"
    page.locator("#message-text").fill("Obrigado! Thank you!")
    press(page, "form#write")
    yield "a message sent"

    go("/plan")
    stuck = page.locator("main form[action$='/stuck']").first.get_attribute("action")
    go(str(stuck))
    press(page, "main form[action$='/stuck']")
    yield "stuck without words"
    page.locator("main textarea").first.fill("The tablet asks for a code. Which one?")
    press(page, "main form[action$='/stuck']")
    yield "stuck"

    go("/details")
    page.locator("input[name=name]").fill("")
    press(page, "main form[action='/details']")
    yield "details without a name"
    go("/team")
    press(page, "main form[action='/team/invitations']")
    yield "an invitation without a name"
    go("/preferences")
    press(page, "main form[action='/preferences']")
    yield "wishes kept"
    go("/refer")
    press(page, "main form[action='/refer/invitations']")
    yield "a friend without a name"
    go("/search?q=zzzqq")
    yield "nothing found"
    go("/details/forgetting")
    yield "asking to be forgotten"

    for _week in range(8):
        go("/")
        if page.locator("#survey-due").count():
            break
        page.locator("aside button[name=step][value='7']").click(timeout=120_000)
        page.wait_for_load_state("networkidle", timeout=120_000)
    yield "a survey is due"
    page.locator("#survey-due a").click()
    page.wait_for_load_state("networkidle")
    press(page, "form#survey")
    yield "a survey without a score"
    for bad in ("csat][value='2", "nps][value='3"):  # not every survey asks both
        score = page.locator(f"form#survey input[name={bad}']")
        if score.count():
            score.check(force=True)
    page.locator("form#survey button.go").last.click()
    page.wait_for_load_state("networkidle")
    yield "thank you, we call you"
    go("/")
    yield "we are on it"

    page.context.clear_cookies(name="session")
    go("/sign-in")
    press(page, "main form[action='/sign-in']")
    yield "signing in without an address"
    page.locator("input[name=email]").fill("nobody@example.com")
    press(page, "main form[action='/sign-in']")
    yield "a link is on its way"

    become(page, demo, "administrator")
    go("/staff/plans")
    link = str(page.locator("input[id^=link-]").first.input_value())
    page.goto(link)
    yield "a plan before the sale"
    go("/staff/plans")
    press(page, "main form[action^='/staff/plans/']")
    yield "its link has ended"
    for path, form in (("/admin/lessons/new", "main form[action^='/admin/lessons']"), ("/admin/plans", "main form")):
        go(path)
        press(page, form)
        yield f"{path} without words"


@pytest.mark.slow
@pytest.mark.parametrize(("locale", "theme"), [("en-GB", "dark"), ("pt-BR", "light")])
def test_what_people_do_leads_to_good_pages(demo: str, browser: Browser, locale: str, theme: str) -> None:
    context = browser.new_context(
        locale=locale,
        viewport={"width": 375, "height": 700},
        color_scheme="dark" if theme == "dark" else "light",
        reduced_motion="reduce",
    )
    page = context.new_page()
    complaints: list[str] = []
    page.add_init_script(WATCH_THE_POLICY)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda line: complaints.append(line.text) if line.text.startswith("CSP ") else None)
    become(page, demo, PEOPLE[0])
    wrong = {state: found for state in states(page, demo) if (found := faults(page))}
    context.close()
    assert not wrong, "\n".join(f"{state}: {what}" for state, what in wrong.items())
    assert complaints == []
