"""A message and its answers, in the portal and by mail, in a real browser at a telephone's width, with script and without."""

import contextlib
import smtplib
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from email.message import EmailMessage
from email.utils import parseaddr
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.e2e.running import Post, Running, running
from tests.servers import smtp_sink

DOMAIN = "reply.larderly.example"


@contextlib.contextmanager
def process(environ: dict[str, str], *command: str) -> Iterator[subprocess.Popen[str]]:
    started = subprocess.Popen(
        [sys.executable, "-m", "portal.cli", *command], env=environ, stdout=subprocess.PIPE, text=True
    )
    try:
        yield started
    finally:
        started.terminate()
        started.wait(timeout=30)
        assert started.stdout is not None
        started.stdout.close()


@pytest.mark.parametrize("with_script", [False, True], ids=["without script", "with script"])
def test_a_message_is_answered_by_mail_both_ways(
    tmp_path: Path, visitor: Callable[..., Page], with_script: bool
) -> None:
    """Maria writes; Carla sees it, answers in the portal; Maria answers that by mail, and Carla Maria's by mail."""
    database = f"sqlite:///{tmp_path / 'onward.sqlite'}"
    with smtp_sink() as sink, running(database, tmp_path, sink, PORTAL_REPLY_DOMAIN=DOMAIN) as house:
        house.run("staff", "add", "carla@larderly.example", "--name", "Carla Souza", "--role", "consultant")
        deals = tmp_path / "deals.csv"
        deals.write_text(
            "Company,Contact,Email,Plan,Close date\nMoss & Rye,Maria Lima,maria@mossrye.example,Team,2026-06-01\n"
        )
        house.run("import", str(deals), "--yes")
        with door(house.environ) as lmtp:
            post, address = house.post, house.address
            maria = visitor(width=375, java_script_enabled=with_script)
            carla = visitor(width=375, java_script_enabled=with_script)
            sign_in(maria, post, address, "maria@mossrye.example")
            sign_in(carla, post, address, "carla@larderly.example")

            maria.goto(f"{address}/messages")
            maria.get_by_label("Your message").fill("The till is stuck. Can you help?")
            if with_script:
                maria.get_by_label("Your message").press("Control+Enter")
            else:
                maria.get_by_role("button", name="Send").click()
            expect(maria.locator(".bubble")).to_have_text("The till is stuck. Can you help?")
            check(maria, with_script)

            carla.goto(f"{address}/staff")
            expect(carla.get_by_text("Answer the message")).to_be_visible()
            carla.get_by_role("link", name="Moss & Rye").first.click()
            carla.goto(f"{address}/staff/messages")
            expect(carla.get_by_text("Unread", exact=True)).to_be_visible()
            carla.get_by_role("link", name="Moss & Rye").click()
            expect(carla.locator(".bubble")).to_have_text("The till is stuck. Can you help?")
            if not with_script:
                carla.get_by_role("button", name="Mark as read").click()
            carla.get_by_label("Your message").fill("On it. Is Tuesday good?")
            carla.get_by_role("button", name="Send").click()
            expect(carla.locator(".mine .bubble")).to_have_text("On it. Is Tuesday good?")
            check(carla, with_script)

            pass_time(house, minutes=15)
            to_maria = post.letter("maria@mossrye.example", "wrote to you")
            assert "On it. Is Tuesday good?" in to_maria.text
            by_mail(
                lmtp,
                "maria@mossrye.example",
                to_maria.message,
                "Tuesday is fine.\n\nOn Mon, 1 Jun 2026, Carla wrote:\n> On it.\n",
            )
            pass_time(house, minutes=30)
            to_carla = post.letter("carla@larderly.example", "Maria wrote")
            assert "Tuesday is fine." in to_carla.text
            by_mail(lmtp, "carla@larderly.example", to_carla.message, "See you then!\n")

            maria.goto(f"{address}/messages")
            said = ["The till is stuck. Can you help?", "On it. Is Tuesday good?", "Tuesday is fine.", "See you then!"]
            expect(maria.locator(".bubble")).to_have_text(said)
            carla.reload()
            expect(carla.locator(".bubble")).to_have_text(said)


def pass_time(house: Running, *, minutes: int) -> None:
    """Mails about messages wait a minute for the next line."""
    house.run("work", "--until", (house.start + timedelta(minutes=minutes)).isoformat())


@contextlib.contextmanager
def door(environ: dict[str, str]) -> Iterator[smtplib.LMTP]:
    with process(environ, "lmtp", "--port", "0") as server:
        assert server.stdout is not None
        port = int(server.stdout.readline().split(":")[1].split(".")[0])
        with smtplib.LMTP("127.0.0.1", port, timeout=30) as client:
            yield client


def by_mail(lmtp: smtplib.LMTP, sender: str, to: EmailMessage, text: str) -> None:
    """Answers a mail, as a mail program does."""
    answer = EmailMessage()
    answer["From"], answer["To"] = sender, str(to["Reply-To"])
    answer["Subject"], answer["Message-ID"] = f"Re: {to['Subject']}", f"<{time.time_ns()}@mail.example>"
    answer["In-Reply-To"] = str(to["Message-ID"])
    answer.set_content(text)
    assert parseaddr(str(to["Reply-To"]))[1].endswith(f"@{DOMAIN}")
    assert lmtp.send_message(answer, sender, [parseaddr(str(to["Reply-To"]))[1]]) == {}


def sign_in(page: Page, post: Post, address: str, email: str) -> None:
    page.goto(f"{address}/sign-in")
    page.get_by_label("Work email").fill(email)
    page.get_by_role("button", name="Email me a link").click()
    page.goto(post.letter(email, "your sign-in link").link("/sign-in/"))
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("navigation", name="Main")).to_be_visible()


def check(page: Page, with_script: bool) -> None:
    assert page.evaluate("document.documentElement.scrollWidth") <= 375
    if with_script:
        assert [found["id"] for found in Axe().run(page).response["violations"]] == []
