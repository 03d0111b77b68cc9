"""Home: what a customer reads in the first five seconds."""

import re

from starlette.testclient import TestClient

from portal.db import Database
from portal.house import House
from portal.journeys import cases
from portal.journeys.rules import FlagOutcome
from tests.routes.conftest import NOON, Cast


def headline(page: str) -> str:
    (found,) = re.findall(r'<h1 id="hello">(.*?)</h1>', page)
    return str(found)


def test_a_content_customer_is_cheered_on(maria: TestClient) -> None:
    page = maria.get("/").text
    assert headline(page) == "Good afternoon, Maria. Let’s get you up and running."
    assert "We’re on it." not in page


def test_an_unhappy_customer_reads_that_somebody_is_on_it(maria: TestClient, flag: int) -> None:
    page = maria.get("/").text
    assert headline(page) == "Good afternoon, Maria. We’re putting it right."
    assert "What you told us on Tue 23 June is with the person who looks after you." in page


def test_what_was_done_is_asked_about_until_they_say(
    maria: TestClient, flag: int, database: Database, house: House, cast: Cast
) -> None:
    with database.write() as db:
        cases.resolve_flag(
            db, house, flag_id=flag, outcome=FlagOutcome.RESOLVED, note="It counts offline now.", by=f"staff:{cast.carla}",
            now=NOON,
        )  # fmt: skip
    page = maria.get("/").text
    assert headline(page) == "Good afternoon, Maria. Let’s get you up and running."
    assert "<b>Is it solved?</b> It counts offline now." in page
    plan = maria.get("/plan").text
    (solved,) = re.findall(r'action="(/told-us/\d+/solved)"', plan)
    maria.post(solved)
    assert "Is it solved?" not in maria.get("/").text
