"""Is it solved? What a customer says behind the mail's link, or at what they told us, and what a stale page changes."""

import re
from collections.abc import Callable

import pytest
from sqlalchemy import select
from starlette.testclient import TestClient

from portal import mail
from portal.db import Database
from portal.house import House
from portal.journeys import cases
from portal.journeys.letters import RESOLUTION
from portal.journeys.models import Flag, Resolution
from portal.journeys.rules import FlagOutcome
from portal.mail import LetterRow
from tests.routes.conftest import NOON, Cast


def settle(database: Database, house: House, flag: int, by: int, note: str) -> str:
    """Where the mail about it leads."""
    with database.write() as db:
        cases.resolve_flag(
            db, house, flag_id=flag, outcome=FlagOutcome.RESOLVED, note=note, by=f"staff:{by}", now=NOON
        )  # fmt: skip
    with database.read() as db:
        letters = db.scalars(select(LetterRow).where(LetterRow.kind == mail.Kind.FLAG_RESOLVED))
        newest = max(letters, key=lambda letter: letter.id)
        return f"/resolutions/{mail.token(house, newest, RESOLUTION)}"


@pytest.fixture
def link(database: Database, house: House, flag: int, cast: Cast) -> str:
    return settle(database, house, flag, cast.carla, "It counts offline now.")


def stands(database: Database, flag: int) -> tuple[bool, list[tuple[bool, str]]]:
    """Whether the case is open; of each of its resolutions, whether it is confirmed, and with which words it was undone."""
    with database.read() as db:
        found = db.scalars(select(Resolution).where(Resolution.flag_id == flag).order_by(Resolution.id))
        said = [(each.confirmed_at is not None, each.undone_words) for each in found]
        return db.get_one(Flag, flag).closed_at is None, said


def test_a_lone_button_says_nothing(
    browser: Callable[[], TestClient], link: str, database: Database, flag: int
) -> None:
    page = browser().post(link, data={"words": "Still <b>wrong</b>"})
    assert page.status_code == 422
    assert "Please say whether it is solved." in page.text
    assert "Still &lt;b&gt;wrong&lt;/b&gt;" in page.text
    assert stands(database, flag) == (False, [(False, "")])


def test_it_is_said_once_however_often_it_is_sent(
    browser: Callable[[], TestClient], link: str, database: Database, flag: int
) -> None:
    for _ in range(2):
        assert "Thank you for confirming it." in browser().post(link, data={"solved": "yes"}).text
    assert stands(database, flag) == (False, [(True, "")])
    for words in ("The tills again.", "twice"):
        assert "We’ve opened it again" in browser().post(link, data={"solved": "no", "words": words}).text
    assert stands(database, flag) == (True, [(True, "The tills again.")])


def test_a_page_of_before_changes_nothing_and_says_so(
    browser: Callable[[], TestClient], link: str, database: Database, house: House, flag: int, cast: Cast
) -> None:
    with database.write() as db:
        one = db.scalars(select(Resolution.id).where(Resolution.flag_id == flag)).one()
        cases.reopen_flag(db, house, resolution_id=one, words="", by=f"staff:{cast.carla}", now=NOON)
    settle(database, house, flag, cast.carla, "A new till.")
    for solved in ("yes", "no"):
        page = browser().post(link, data={"solved": solved}).text
        assert "This link no longer fits" in page
        assert "Thank you" not in page
    assert stands(database, flag) == (False, [(False, ""), (False, "")])


def test_a_double_click_at_what_they_told_us_is_no_error(
    maria: TestClient, link: str, database: Database, flag: int
) -> None:
    (action,) = re.findall(r'action="(/told-us/\d+/not-solved)"', maria.get("/told-us").text)
    for _ in range(2):
        assert maria.post(action, data={"words": "No."}, follow_redirects=False).status_code == 303
    assert stands(database, flag) == (True, [(False, "No.")])
