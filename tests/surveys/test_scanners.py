"""Machines open the links of mails, run scripts and press buttons: it changes nothing, and the person still finds the form."""

import asyncio
from collections.abc import Iterator
from datetime import datetime, timedelta
from random import Random
from typing import Any

import pytest
from fastapi import FastAPI
from sqlalchemy import select

from portal.app import create_app
from portal.clock import FixedClock
from portal.db import Base
from portal.house import House
from portal.mail import Kind, LetterRow
from portal.surveys import queries
from portal.surveys.models import AnswerRow, Quarantine
from portal.surveys.paths import own_path, sealed_path
from portal.surveys.rules import (
    Evidence,
    Provenance,
    Reader,
    Shown,
    Sign,
    machine_signs,
)
from portal.surveys.shown import reader_of
from tests.surveys.conftest import DAY_30, Customer, Town
from tests.surveys.scanners import SCANNERS, Client, filled_in, press
from tests.surveys.test_pages import sign_in

RUNS = 500
"""On each database: a thousand in all."""
INVITATIONS = 25


@pytest.fixture
def app(house: House) -> Iterator[FastAPI]:
    made = create_app(house.settings, house.clock)
    yield made
    made.state.wiring.house.database.close()


@pytest.fixture
def client(app: FastAPI, house: House) -> Client:
    assert isinstance(house.clock, FixedClock)
    return Client(app, house.clock)


@pytest.fixture
def link(town: Town, maria: Customer) -> str:
    invitation = town.invitation(maria)
    return sealed_path(town.house, invitation.id, invitation.nonce)


def everything_that_counts(house: House) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of every table, but for what is set aside and the word of it in the timeline."""
    found = {}
    with house.database.read() as db:
        for table in Base.metadata.sorted_tables:
            wanted = select(table)
            if table.name == "answers":
                wanted = wanted.where(table.c.quarantined_at.is_(None))
            elif table.name == "audit_events":
                wanted = wanted.where(table.c.what != "survey_set_aside")
            if table.name != "quarantines":
                found[table.name] = [tuple(map(repr, row)) for row in db.execute(wanted.order_by(*table.primary_key))]
    return found


def counted(house: House) -> list[AnswerRow]:
    with house.database.read() as db:
        wanted = select(AnswerRow).where(AnswerRow.quarantined_at.is_(None), AnswerRow.superseded_at.is_(None))
        return list(db.scalars(wanted.order_by(AnswerRow.id)))


def set_aside(house: House) -> list[list[str]]:
    with house.database.read() as db:
        return [list(signs) for signs in db.scalars(select(Quarantine.signs).order_by(Quarantine.answer_id))]


def test_a_thousand_scanners_change_nothing_and_people_still_find_the_form(town: Town, client: Client) -> None:
    people = [town.customer(email=f"person{n}@lumen.example") for n in range(INVITATIONS)]
    town.live_until(DAY_30)
    paths = []
    for person in people:
        invitation = town.invitation(person)
        paths.append(sealed_path(town.house, invitation.id, invitation.nonce))
    before = everything_that_counts(town.house)

    async def scan() -> None:
        for run in range(RUNS):
            dice = Random(run)  # noqa: S311 - the same scanners every time
            scanner, path = SCANNERS[run % len(SCANNERS)], paths[run * 7 % len(paths)]
            town.house.clock.set(DAY_30 + timedelta(minutes=run))  # type: ignore[attr-defined]
            await scanner(client, path, dice)

    asyncio.run(scan())
    assert everything_that_counts(town.house) == before
    assert {sign for signs in set_aside(town.house) for sign in signs} == set(Sign) - {Sign.JUST_DELIVERED}

    async def answer(path: str) -> int:
        page = await client.get(f"{path}?nps=9", accept="text/html")
        client.wait(9)
        return (await client.post(path, {**filled_in(page.text), "csat": "5"})).status

    for path in paths:
        client.wait(60)
        assert asyncio.run(answer(path)) == 303
    assert [(row.csat, row.nps, row.provenance) for row in counted(town.house)] == [
        (5, 9, Provenance.MAIL_LINK)
    ] * INVITATIONS


def test_a_person_who_only_presses_send_taps_once_more(town: Town, client: Client, link: str) -> None:
    async def live() -> None:
        page = await client.get(f"{link}?nps=3", accept="text/html")
        assert 'name="mine" value="yes"' in page.text
        client.wait(8)
        again = await client.post(link, filled_in(page.text))
        assert again.status == 422
        assert "One more tap, please." in again.text
        assert counted(town.house) == []
        assert (await client.post(link, {**filled_in(again.text), "mine": "yes"})).status == 303

    asyncio.run(live())
    assert [row.nps for row in counted(town.house)] == [3]
    assert set_aside(town.house) == [["untouched"]]


def test_ticking_at_once_costs_one_tap_and_no_page(town: Town, client: Client, link: str) -> None:
    async def live() -> int:
        page = await client.get(f"{link}?nps=3", accept="text/html")
        client.wait(8)
        return (await client.post(link, {**filled_in(page.text), "mine": "yes"})).status

    assert asyncio.run(live()) == 303
    assert (len(counted(town.house)), set_aside(town.house)) == (1, [])


def test_who_is_signed_in_taps_not_once_more(town: Town, client: Client, maria: Customer) -> None:
    path = own_path(town.invitation(maria).id)

    class Jar:
        cookies: dict[str, str] = {}

        def set(self, name: str, value: str) -> None:
            self.cookies[name] = value

    class Browser:
        cookies = Jar()

    sign_in(Browser(), town.house, maria.contact_id)  # type: ignore[arg-type]
    cookie = "; ".join(f"{name}={value}" for name, value in Jar.cookies.items())

    async def live() -> int:
        page = await client.get(f"{path}?nps=9", accept="text/html", cookie=cookie)
        assert 'name="mine"' not in page.text
        return (await client.post(path, filled_in(page.text), cookie=cookie)).status

    assert asyncio.run(live()) == 303
    assert [row.provenance for row in counted(town.house)] == [Provenance.SIGNED_IN]


def test_what_was_typed_before_a_hasty_send_is_all_there(town: Town, client: Client, link: str) -> None:
    async def live() -> None:
        page = await client.get(link, accept="text/html")
        client.wait(1)
        typed = {**filled_in(page.text), "csat": "2", "comment": "It keeps failing", "wants_help": "yes"}
        again = await client.post(link, typed)
        kept = filled_in(again.text)
        assert (kept["csat"], kept["comment"], kept["wants_help"]) == ("2", "It keeps failing", "yes")
        client.wait(4)
        assert (await client.post(link, {**kept, "mine": "yes"})).status == 303

    asyncio.run(live())
    assert [(row.csat, row.comment) for row in counted(town.house)] == [(2, "It keeps failing")]
    assert set_aside(town.house) == [["too_fast"]]
    with town.house.database.read() as db:
        assert [row.how for row in db.scalars(select(Quarantine))] == ["confirmed"]


def test_seconds_after_delivery_it_is_no_person(town: Town, client: Client, link: str) -> None:
    with town.house.database.write() as db:
        db.scalars(select(LetterRow).where(LetterRow.kind == Kind.SURVEY_30)).one().sent_at = DAY_30

    async def live() -> None:
        page = await client.get(f"{link}?nps=9", accept="text/html")
        client.wait(4)
        assert (await client.post(link, {**filled_in(page.text), "csat": "5"})).status == 422

    asyncio.run(live())
    assert (counted(town.house), set_aside(town.house)) == ([], [["just_delivered"]])


def test_one_invitation_keeps_a_bounded_number_of_them(town: Town, client: Client, link: str) -> None:
    async def flood() -> None:
        for _ in range(30):
            await client.post(link, {"nps": "1"})

    asyncio.run(flood())
    assert len(set_aside(town.house)) == 20


def test_a_machine_that_presses_the_button_of_a_change_changes_nothing(town: Town, client: Client, link: str) -> None:
    async def live() -> None:
        page = await client.get(link, accept="text/html")
        client.wait(20)
        await client.post(link, {**filled_in(page.text), "csat": "5"})
        page = await client.get(f"{link}/change", accept="text/html")
        client.wait(20)
        await press(client, link, page.text)

    asyncio.run(live())
    with town.house.database.read() as db:
        assert len(list(db.scalars(select(AnswerRow)))) == 1


def test_staff_see_why_and_what_came(town: Town, client: Client, maria: Customer, link: str) -> None:
    async def scan() -> None:
        await client.post(link, {"nps": "1", "comment": "x"})

    asyncio.run(scan())
    with town.house.database.read() as db:
        (row,) = queries.set_aside(db, account_id=maria.account_id)
        assert queries.count_set_aside(db) == queries.count_set_aside(db, owner_id=1) == 1
        assert queries.set_aside(db, owner_id=4711) == []
    assert (row.contact_name, row.nps, row.comment, row.why) == (
        "Maria Souza",
        1,
        "x",
        ["It came without the page that we show to people."],
    )


# The rule


def evidence(**known: Any) -> Evidence:
    shown = Shown(DAY_30 - timedelta(seconds=20), "n", Reader.BROWSER, "-")
    usual: dict[str, Any] = {
        "way": Provenance.MAIL_LINK,
        "shown": shown,
        "untouched": False,
        "trap": False,
        "delivered_at": DAY_30 - timedelta(minutes=5),
        "scores_opened": 1,
    }
    return Evidence(**{**usual, **known})


def shown_at(moment: datetime) -> Shown:
    return Shown(moment, "n", Reader.BROWSER, "-")


@pytest.mark.parametrize(
    ("known", "signs"),
    [
        ({}, ()),
        ({"shown": None}, (Sign.NO_FORM,)),
        ({"shown": shown_at(DAY_30 - timedelta(seconds=1.9))}, (Sign.TOO_FAST,)),
        ({"shown": shown_at(DAY_30 - timedelta(seconds=2))}, ()),
        ({"shown": shown_at(DAY_30 + timedelta(hours=1))}, (Sign.TOO_FAST,)),
        ({"scores_opened": 2}, ()),
        ({"scores_opened": 3}, (Sign.SCORES_AT_ONCE,)),
        ({"delivered_at": None}, ()),
        (
            {"delivered_at": DAY_30 - timedelta(seconds=9), "shown": shown_at(DAY_30 - timedelta(seconds=5))},
            (Sign.JUST_DELIVERED,),
        ),
        ({"delivered_at": DAY_30 - timedelta(seconds=9)}, ()),  # the form was open before the reminder came
        ({"untouched": True, "trap": True}, (Sign.UNTOUCHED, Sign.TRAP_FILLED)),
        ({"way": Provenance.SIGNED_IN, "untouched": True, "shown": None}, ()),
        ({"way": Provenance.PHONE, "shown": None}, ()),
    ],
)
def test_what_looks_like_a_machine(known: dict[str, Any], signs: tuple[Sign, ...]) -> None:
    assert machine_signs(evidence(**known), DAY_30) == signs


@pytest.mark.parametrize(
    ("method", "headers", "reader"),
    [
        ("HEAD", {"accept": "text/html"}, Reader.HEAD),
        ("GET", {"sec-purpose": "prefetch", "accept": "text/html"}, Reader.PREFETCH),
        ("GET", {"sec-fetch-dest": "document"}, Reader.BROWSER),
        ("GET", {"accept": "text/html,*/*"}, Reader.BROWSER),
        ("GET", {"accept": "*/*"}, Reader.TOOL),
        ("GET", {}, Reader.TOOL),
    ],
)
def test_to_which_kind_of_request_a_form_was_shown(method: str, headers: dict[str, str], reader: Reader) -> None:
    assert reader_of(method, headers) is reader
