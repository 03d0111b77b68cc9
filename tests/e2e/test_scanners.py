"""A headless browser follows the link of a score, runs the page's scripts and presses the only button; then Maria comes."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect
from sqlalchemy import func, select

from portal.db import Database
from portal.surveys.models import AnswerRow, Quarantine
from tests import servers
from tests.e2e.conftest import Visitor
from tests.e2e.running import Running, running
from tests.e2e.test_three_lives import ENGLISH, MARIA, Customer, Desk, begin, hire_carla, import_deal


@pytest.fixture
def asked(tmp_path: Path, smtp_sink: servers.SmtpSink, visitor: Callable[..., Visitor]) -> Iterator[Running]:
    """Everything running; Maria was asked on day 30."""
    with running(f"sqlite:///{tmp_path / 'onward.sqlite'}", tmp_path, smtp_sink) as house:
        carla, maria = Desk(visitor(), house), Customer(visitor(), house, ENGLISH)
        hire_carla(house)
        import_deal(house)
        carla.sign_in()
        begin(carla, maria)
        house.live_until(day=30)
        yield house


def stored(house: Running) -> tuple[int, int]:
    """Answers that count, and answers that were set aside."""
    database = Database(house.environ["PORTAL_DATABASE_URL"])
    with database.read() as db:
        counted = select(func.count()).select_from(AnswerRow).where(AnswerRow.quarantined_at.is_(None))
        found = (db.scalar(counted) or 0, db.scalar(select(func.count()).select_from(Quarantine)) or 0)
    database.close()
    return found


def test_it_changes_nothing_and_costs_maria_one_tap(
    asked: Running, browser: Browser, visitor: Callable[..., Visitor]
) -> None:
    link = asked.post.letter(MARIA, "how are your first 30 days going?").link("/s/", query="nps=3")
    # With scripts the page itself asks; without, or around them, the server does.
    scanner = browser.new_page(locale="en-GB")
    scanner.goto(link)
    asked.a_minute_later()
    scanner.get_by_role("button", name="Send my answers").click()
    expect(scanner.get_by_role("checkbox")).to_be_focused()
    assert stored(asked) == (0, 0)
    scanner.evaluate("document.querySelector('#survey').submit()")
    expect(scanner.get_by_text("One more tap, please.")).to_be_visible()
    assert stored(asked) == (0, 1)
    plain = browser.new_page(locale="en-GB", java_script_enabled=False)
    plain.goto(link)
    asked.a_minute_later()
    plain.get_by_role("button", name="Send my answers").click()
    expect(plain.get_by_text("One more tap, please.")).to_be_visible()
    assert stored(asked) == (0, 2)
    scanner.context.close()
    plain.context.close()
    maria = visitor(width=375)
    maria.goto(link)
    asked.a_minute_later()
    maria.get_by_role("button", name="Send my answers").click()
    maria.get_by_role("checkbox").click()  # which sends the form: there is no box left to look at
    expect(maria.get_by_role("heading", name="Thank you for being straight with us.")).to_be_visible()
    assert stored(asked) == (1, 2)
