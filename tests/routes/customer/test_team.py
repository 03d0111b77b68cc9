"""Colleagues as they meet the pages: inviting, coming in by the mail's link, leaving; and what nobody sees of another."""

import io
import json
import re
import zipfile
from collections.abc import Callable
from datetime import date
from typing import Any

import pytest
from fastapi import FastAPI
from PIL import Image
from sqlalchemy import select
from starlette.testclient import TestClient

from portal import mail
from portal.accounts import people, people_queries
from portal.accounts.models import Contact
from portal.accounts.people import NewColleague
from portal.accounts.people_models import AddressChange, ColleagueInvitation
from portal.accounts.rules import Language, StartStep
from portal.audit import AuditEvent, Happened
from portal.db import Database
from portal.journeys import cases
from portal.journeys.models import Activity
from portal.journeys.rules import ActivityKind, FlagOrigin
from portal.mail import Kind, LetterRow, Purpose
from tests import factories
from tests.routes.conftest import NOON, Cast, SignIn

SECRET = "The boss must not read this"


def ask_in(browser: TestClient, **typed: str) -> Any:
    given = {"name": "Lia Costa", "email": "lia@lumen.example", "language": "pt-BR"} | typed
    return browser.post("/team/invitations", data=given)


def the_link(onward: FastAPI, database: Database) -> str:
    with database.read() as db:
        row = db.scalars(select(ColleagueInvitation).order_by(ColleagueInvitation.id.desc())).first()
        assert row is not None
        return people_queries.join_path(onward.state.wiring.house, row)


JOIN = {"email": "lia@lumen.example", "name": "Lia Costa", "language": "pt-BR", "timezone": "America/Recife"}


@pytest.fixture
def maria(cast: Cast, signed_in: SignIn) -> TestClient:
    return signed_in(contact_id=cast.maria)


@pytest.fixture
def joao(cast: Cast, signed_in: SignIn) -> TestClient:
    return signed_in(contact_id=cast.joao)


# The page


def test_the_team_is_who_is_here_and_nobody_of_another_account(maria: TestClient) -> None:
    page = maria.get("/team").text
    assert "Maria Souza" in page
    assert "João Lima" in page
    assert "Sofia" not in page


def test_a_colleague_sees_the_team_and_no_invitation(maria: TestClient, joao: TestClient) -> None:
    ask_in(maria)
    assert "lia@lumen.example" in maria.get("/team").text
    page = joao.get("/team").text
    assert "Maria Souza" in page
    assert "lia@lumen.example" not in page


@pytest.mark.parametrize("path", ["/team/invitations", "/team/{maria}/removal", "/team/{maria}/main-contact"])
def test_a_colleague_may_not_do_what_the_main_contact_may(joao: TestClient, cast: Cast, path: str) -> None:
    assert joao.post(path.format(maria=cast.maria), data={"sure": "1"}).status_code == 403


def test_a_colleague_who_may_invite_does(maria: TestClient, joao: TestClient, cast: Cast) -> None:
    assert maria.post(f"/team/{cast.joao}/inviting").status_code == 303
    assert ask_in(joao).status_code == 303
    assert maria.post(f"/team/{cast.joao}/inviting/end").status_code == 303
    assert ask_in(joao, email="ana@lumen.example").status_code == 403


@pytest.mark.parametrize(
    ("email", "words"),
    [
        ("joao@lumen.example", "They are here already."),
        ("someone@elsewhere.example", "ask your consultant to add them"),
        ("not an address", "Please enter an email address"),
    ],
)
def test_a_refused_invitation_says_why_and_keeps_what_was_typed(maria: TestClient, email: str, words: str) -> None:
    answer = maria.post("/team/invitations", data={"name": "Lia Costa", "email": email, "language": "en"})
    assert answer.status_code == 422
    assert words in answer.text
    assert 'value="Lia Costa"' in answer.text


def test_whether_an_address_is_a_customers_or_unwilling_reads_the_same(
    maria: TestClient, database: Database, cast: Cast
) -> None:
    with database.write() as db:
        factories.contact(db, cast.other, "Known", now=NOON, email="known@lumen.example")
        people.refuse(db, "no@lumen.example", Purpose.MARKETING, now=NOON)
    pages = [re.sub(r"known|no@", "", ask_in(maria, email=f"{who}@lumen.example").text) for who in ("known", "no")]
    assert [("We can’t write to this address from here" in page) for page in pages] == [True, True]


def test_strangers_find_none_of_it(maria: TestClient, cast: Cast, signed_in: SignIn, database: Database) -> None:
    ask_in(maria)
    with database.read() as db:
        number = db.scalars(select(ColleagueInvitation.id)).one()
    sofia = signed_in(contact_id=cast.sofia)
    for path in (
        f"/team/invitations/{number}/again",
        f"/team/invitations/{number}/withdrawal",
        f"/team/{cast.joao}/removal",
        f"/team/{cast.joao}/main-contact",
        f"/team/{cast.joao}/inviting",
    ):
        assert sofia.post(path, data={"sure": "1"}).status_code == 404
    assert people_still_open(database)


def people_still_open(database: Database) -> bool:
    with database.read() as db:
        return people.is_open(db.scalars(select(ColleagueInvitation)).one(), NOON)


# Coming in


def test_looking_changes_nothing_and_the_page_holds_no_address(
    maria: TestClient, onward: FastAPI, database: Database, browser: Callable[[], TestClient]
) -> None:
    ask_in(maria)
    link = the_link(onward, database)
    page = browser().get(link)
    assert page.status_code == 200
    assert "Maria Souza" in page.text
    assert 'lang="pt-BR"' in page.text
    assert "lia@lumen.example" not in page.text
    assert people_still_open(database)


def test_a_machine_that_presses_the_button_gets_nowhere(
    maria: TestClient, onward: FastAPI, database: Database, browser: Callable[[], TestClient]
) -> None:
    ask_in(maria)
    link = the_link(onward, database)
    for typed in ({}, {name: value for name, value in JOIN.items() if name != "email"}):
        assert browser().post(link, data=typed).status_code == 422
    assert browser().post(f"{link}/no", data={}).status_code == 422
    assert people_still_open(database)


def test_the_right_address_comes_in_once_signed_in_and_sees_a_start(
    maria: TestClient, onward: FastAPI, database: Database, browser: Callable[[], TestClient]
) -> None:
    ask_in(maria)
    link = the_link(onward, database)
    lia = browser()
    answer = lia.post(link, data=JOIN)
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    assert "Três pequenos passos" in lia.get("/").text
    assert "Lia Costa" in maria.get("/team").text
    again = browser().post(link, data=JOIN)
    assert again.status_code == 410
    assert "session" not in again.cookies


def test_a_forged_or_replaced_link_opens_nothing(
    maria: TestClient, onward: FastAPI, database: Database, browser: Callable[[], TestClient]
) -> None:
    ask_in(maria)
    link = the_link(onward, database)
    with database.read() as db:
        number = db.scalars(select(ColleagueInvitation.id)).one()
    maria.post(f"/team/invitations/{number}/again")
    assert browser().get(link).status_code == 410
    assert browser().post(link, data=JOIN).status_code == 410
    assert browser().get(f"/join/{number}.forged").status_code == 410


def test_wrong_addresses_wear_the_link_out(
    maria: TestClient, onward: FastAPI, database: Database, browser: Callable[[], TestClient]
) -> None:
    ask_in(maria)
    link = the_link(onward, database)
    for n in range(5):
        assert browser().post(link, data=JOIN | {"email": f"guess{n}@lumen.example"}).status_code in (422, 410)
    assert browser().post(link, data=JOIN).status_code == 410


def test_declining_for_good_keeps_everybodys_invitations_away(
    maria: TestClient, onward: FastAPI, database: Database, browser: Callable[[], TestClient]
) -> None:
    ask_in(maria)
    link = the_link(onward, database)
    assert browser().post(f"{link}/no", data={"sure": "1", "never_again": "1"}).status_code == 200
    assert browser().get(link).status_code == 410
    assert ask_in(maria).status_code == 422


# Going


def test_who_is_removed_is_out_with_their_next_click(maria: TestClient, joao: TestClient, cast: Cast) -> None:
    assert joao.get("/team").status_code == 200
    assert maria.post(f"/team/{cast.joao}/removal").status_code == 422
    assert maria.post(f"/team/{cast.joao}/removal", data={"sure": "1"}).status_code == 303
    assert joao.get("/team").status_code == 303


def test_leaving_needs_a_box_and_isnt_for_the_main_contact(maria: TestClient, joao: TestClient) -> None:
    assert joao.post("/leaving").status_code == 422
    assert joao.post("/leaving", data={"sure": "1"}).headers["location"] == "/sign-in"
    assert joao.get("/").status_code == 303
    maria.post("/leaving", data={"sure": "1"})
    assert maria.get("/").status_code == 200


def test_handing_over_swaps_who_decides(maria: TestClient, joao: TestClient, cast: Cast) -> None:
    assert maria.post(f"/team/{cast.joao}/main-contact", data={"sure": "1"}).status_code == 303
    assert ask_in(maria).status_code == 403
    assert ask_in(joao).status_code == 303


# One's own


def test_preferences_are_kept_and_mistakes_are_told(maria: TestClient, database: Database, cast: Cast) -> None:
    given = {
        "channel": "email",
        "frequency": "less",
        "hours_from": "08:00",
        "hours_until": "12:00",
        "weekday": ["0", "2"],
        "topic": ["survey", "reminder"],
    }
    assert maria.post("/preferences", data=given).status_code == 303
    with database.read() as db:
        wishes = people_queries.wishes_of(db, [cast.maria])[cast.maria]
        assert (wishes.frequency, wishes.weekdays, wishes.hours_until.hour) == ("less", {0, 2}, 12)
        assert mail.refusals(db, "maria@lumen.example") == {Purpose.NEWS, Purpose.OFFER, Purpose.REFERRAL}
    wrong = maria.post("/preferences", data=given | {"hours_until": "07:00", "weekday": [], "channel": "whatsapp"})
    assert wrong.status_code == 422
    for words in ("later than the hour", "at least one day", "we need your number"):
        assert words in wrong.text


def test_a_correction_reaches_the_consultant_with_the_words(
    signed_in: SignIn, database: Database, onward: FastAPI, cast: Cast
) -> None:
    house = onward.state.wiring.house
    with database.write() as db:
        factories.load_shipped_rules(db, now=NOON)
        factories.journey(db, house, cast.lumen, now=NOON, owner_id=cast.carla)
    maria = signed_in(contact_id=cast.maria)
    words = "We are Lumen Ltda.\nNot Lumen."
    assert maria.post("/details/correction", data={"correction": words}).status_code == 303
    assert maria.post("/details/correction", data={"correction": " "}).status_code == 422
    with database.read() as db:
        found = db.scalars(select(Activity).where(Activity.kind == ActivityKind.CHECK_CORRECTION)).one()
        assert (found.title, found.assignee_id) == ("We are Lumen Ltda. Not Lumen.", cast.carla)
        event = db.scalars(select(AuditEvent).where(AuditEvent.what == Happened.CORRECTION_SUGGESTED)).one()
        assert event.detail["note"] == words


def test_a_new_address_is_confirmed_by_typing_it_at_the_links_page(
    maria: TestClient, database: Database, onward: FastAPI, cast: Cast, browser: Callable[[], TestClient]
) -> None:
    assert maria.post("/details/address", data={"new_email": "joao@lumen.example"}).status_code == 422
    assert maria.post("/details/address", data={"new_email": "maria@home.example"}).status_code == 303
    with database.read() as db:
        change = db.scalars(select(AddressChange)).one()
        link = people_queries.address_path(onward.state.wiring.house, change)
    stranger = browser()
    assert stranger.get(link).status_code == 200
    assert stranger.post(link, data={"email": "maria@lumen.example"}).status_code == 422
    assert stranger.post(link, data={"email": "maria@home.example"}).status_code == 200
    assert stranger.post(link, data={"email": "maria@home.example"}).status_code == 404
    with database.read() as db:
        assert db.get_one(Contact, cast.maria).email == "maria@home.example"


def test_each_takes_away_their_own_data_only(maria: TestClient, joao: TestClient) -> None:
    ask = maria.post("/details/data")
    with zipfile.ZipFile(io.BytesIO(ask.content)) as packed:
        assert sorted(packed.namelist()) == ["my-data.html", "my-data.json"]
        told = json.loads(packed.read("my-data.json"))
        assert told["person"]["email"] == "maria@lumen.example"
        assert b"joao@lumen.example" not in packed.read("my-data.json") + packed.read("my-data.html")


def test_the_steps_of_a_start_lead_where_they_say(joao: TestClient, database: Database, cast: Cast) -> None:
    with database.write() as db:
        people.begin_start(db, cast.joao, now=NOON)
    assert "own start" in joao.get("/").text or "Seu começo" in joao.get("/").text
    assert joao.post("/start/plan").headers["location"] == "/plan"
    assert joao.post("/start/lesson").headers["location"] == "/learn"
    assert joao.post("/start/nonsense").status_code == 404
    with database.read() as db:
        progress = people_queries.progress_of(db, cast.joao)
        assert progress is not None and progress.done == {StartStep.PLAN}
    joao.post("/start-away")
    assert "Seu começo" not in joao.get("/").text


# Mails one can refuse by their own link


def test_one_click_refuses_and_a_lone_button_does_not(
    database: Database, onward: FastAPI, cast: Cast, browser: Callable[[], TestClient]
) -> None:
    house = onward.state.wiring.house
    with database.write() as db:
        letter = mail.Letter("s", Kind.SURVEY_30, "maria@lumen.example", "en", contact_id=cast.maria)
        mail.queue(db, letter, now=NOON)
        row = db.scalars(select(LetterRow)).one()
        link = mail.unsubscribe_url(house, row).removeprefix("http://testserver")

    def refused() -> set[Purpose]:
        with database.read() as db:
            return mail.refusals(db, "maria@lumen.example")

    assert browser().get(link).status_code == 200
    assert browser().post(link, data={}).status_code == 422
    assert refused() == set()
    assert browser().post(link, data={"List-Unsubscribe": "One-Click"}).status_code == 200
    assert refused() == {Purpose.SURVEY}
    assert browser().get(f"{link}x").status_code == 404


# What stays with each


def test_what_one_person_answered_or_told_us_is_on_no_page_of_a_colleague(
    signed_in: SignIn, database: Database, onward: FastAPI, cast: Cast
) -> None:
    """João is unhappy, and says so in words; the main contact walks every page that she has."""
    house = onward.state.wiring.house
    with database.write() as db:
        factories.load_shipped_rules(db, now=NOON)
        journey = factories.journey(
            db, house, cast.lumen, now=NOON, owner_id=cast.carla, use_started_on=date(2026, 6, 1)
        )
        cases.open_flag(
            db,
            house,
            journey_id=journey,
            origin=FlagOrigin.ANSWER,
            by=f"contact:{cast.joao}",
            now=NOON,
            contact_id=cast.joao,
            words=SECRET,
        )
        people.begin_start(db, cast.maria, now=NOON)
        new = NewColleague("Lia", "lia@lumen.example", Language.EN)
        people.invite(db, house, new, account_id=cast.lumen, by="staff:1", inviter_name="Maria", now=NOON)
    joao, maria = signed_in(contact_id=cast.joao), signed_in(contact_id=cast.maria)
    assert SECRET in joao.get("/plan").text
    for path in ("/", "/plan", "/check-ins", "/learn", "/refer", "/details", "/preferences", "/team", "/leaving"):
        answer = maria.get(path)
        assert answer.status_code == 200, path
        assert SECRET not in answer.text, path
    packed = zipfile.ZipFile(io.BytesIO(maria.post("/details/data").content))
    assert SECRET.encode() not in b"".join(packed.read(name) for name in packed.namelist())


# A picture


def picture(side: int = 600) -> bytes:
    made = io.BytesIO()
    exif = Image.Exif()
    exif[0x010E] = "taken at home"
    Image.new("RGB", (side, side * 2), "teal").save(made, "JPEG", exif=exif)
    return made.getvalue()


def test_a_picture_becomes_a_small_square_that_colleagues_see(maria: TestClient, joao: TestClient) -> None:
    content = picture()
    assert b"taken at home" in content
    answer = maria.post("/details/portrait", files={"portrait": ("me.jpg", content, "image/jpeg")})
    assert answer.status_code == 303
    found = re.search(r'src="(/media/[^"]+)"', joao.get("/team").text)
    assert found is not None
    shown = joao.get(found[1])
    with Image.open(io.BytesIO(shown.content)) as small:
        assert (small.size, small.format) == ((256, 256), "WEBP")
    assert b"taken at home" not in shown.content
    assert maria.post("/details/portrait/end").status_code == 303
    assert "/media/" not in joao.get("/team").text
    assert joao.get(found[1]).status_code == 404


@pytest.mark.parametrize("content", [b"", b"<svg onload=alert(1)>", b"GIF89a but no more"])
def test_what_is_no_picture_is_refused_in_words(maria: TestClient, content: bytes) -> None:
    answer = maria.post("/details/portrait", files={"portrait": ("me.svg", content, "image/svg+xml")})
    assert answer.status_code == 422
    assert 'id="portrait-e"' in answer.text


def test_staff_wear_pictures_too(cast: Cast, signed_in: SignIn) -> None:
    carla = signed_in(staff_id=cast.carla)
    answer = carla.post("/staff/settings/portrait", files={"portrait": ("me.jpg", picture(), "image/jpeg")})
    assert answer.status_code == 303
    assert "/media/" in carla.get("/staff/settings").text
