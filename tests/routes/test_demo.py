"""The demo's bar: the mailbox, with every mail it sent, and the clock."""

import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from portal import mail
from portal.accounts.models import Account
from portal.db import Database
from portal.demo import VISITED
from portal.mail import Kind, Letter, LetterRow
from portal.settings import Settings, read_settings
from tests.routes.conftest import NOON, Cast

Browser = Callable[[], TestClient]


@pytest.fixture
def settings(database_url: str, tmp_path: Path) -> Settings:
    return read_settings(
        {
            "PORTAL_DEMO": "1",
            "PORTAL_DATABASE_URL": database_url,
            "PORTAL_DATA_DIR": str(tmp_path),
            "PORTAL_BASE_URL": "http://testserver",
        }
    )


@pytest.fixture
def clock() -> None:
    """The demo's own, which can be moved."""


def sent_to_maria(database: Database, cast: Cast, count: int) -> list[int]:
    """The ids of so many mails, of which the first was the last to leave."""
    with database.write() as db:
        mail.queue_all(
            db,
            [
                Letter(f"mail:{n}", Kind.CONGRATULATIONS, "maria@lumen.example", "en", contact_id=cast.maria)
                for n in range(count)
            ],
            now=NOON,
        )
        rows = db.query(LetterRow).order_by(LetterRow.id).all()
        for n, row in enumerate(rows):
            row.sent_at, row.subject = NOON - timedelta(minutes=n), f"Mail {n}"
        return [row.id for row in rows]


def test_the_mailbox_shows_what_left_last_first(browser: Browser, database: Database, cast: Cast) -> None:
    sent_to_maria(database, cast, 52)
    first = browser().get("/demo/mailbox")
    assert re.findall(r"<b>(Mail \d+)</b>", first.text) == [f"Mail {n}" for n in range(50)]
    (older,) = re.findall(r'href="(/demo/mailbox\?before=\d+)"', first.text)
    rest = browser().get(older)
    assert re.findall(r"<b>(Mail \d+)</b>", rest.text) == ["Mail 50", "Mail 51"]


def test_a_mail_of_the_mailbox_opens(browser: Browser, database: Database, cast: Cast) -> None:
    (letter,) = sent_to_maria(database, cast, 1)
    page = browser().get(f"/demo/mailbox/{letter}")
    assert (page.status_code, f'src="/demo/mailbox/{letter}/html"' in page.text) == (200, True)
    framed = browser().get(f"/demo/mailbox/{letter}/html")
    assert (framed.status_code, "sandbox" in framed.headers["content-security-policy"]) == (200, True)


def test_a_mail_that_has_done_its_work_says_so(browser: Browser, database: Database, cast: Cast) -> None:
    with database.write() as db:
        gone = Letter("invitation:1", Kind.REFERRAL_INVITATION, "friend@elsewhere.example", "en")
        mail.queue(db, gone, now=NOON)
        row = db.query(LetterRow).one()
        row.sent_at, row.subject = NOON, "Maria thought of you"
        letter = row.id
    page = browser().get(f"/demo/mailbox/{letter}")
    assert (page.status_code, "This mail has done its work." in page.text, "<iframe" in page.text) == (200, True, False)
    assert browser().get(f"/demo/mailbox/{letter}/html").status_code == 404


@pytest.mark.parametrize("before", ["²", "nine", "-1", "0", "9" * 40, ""])
def test_a_place_in_the_mailbox_that_cannot_be_is_no_page(browser: Browser, before: str) -> None:
    assert browser().get("/demo/mailbox", params={"before": before}).status_code == 404


@pytest.mark.parametrize(("person", "home"), [("customer", "/"), ("consultant", "/staff")])
def test_whoever_moves_the_clock_stays_signed_in(
    browser: Browser, database: Database, cast: Cast, person: str, home: str
) -> None:
    with database.write() as db:
        db.get_one(Account, cast.lumen).external_id = VISITED[0]
    reader = browser()
    reader.post("/demo/person", data={"person": person})
    moved = reader.post("/demo/clock", data={"step": "7", "return": home})
    assert (moved.status_code, moved.headers["location"], reader.get(home).status_code) == (303, home, 200)


def test_a_stranger_who_moves_the_clock_stays_a_stranger(browser: Browser, cast: Cast) -> None:
    reader = browser()
    reader.cookies.set("session", "made up")
    assert "set-cookie" not in reader.post("/demo/clock", data={"step": "1"}).headers
