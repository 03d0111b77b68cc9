"""The thread's pages on both sides: read, write, files; strangers find nothing; and every page says how to reach us."""

import io
import re
from urllib.parse import unquote

import pytest
from fastapi import FastAPI
from PIL import Image
from sqlalchemy import select, update
from starlette.testclient import TestClient

from portal.accounts.models import Contact, Staff
from portal.db import Database
from portal.house import House
from portal.messages import actions
from portal.messages.actions import Draft
from portal.messages.models import Message
from tests.routes.conftest import (
    NOON,
    Cast,
    SignIn,
    browser,
    cast,
    clock,
    database,
    onward,
    settings,
    signed_in,
)
from tests.routes.staff.conftest import Road, carla, house, maria, road, statements

__all__ = ["browser", "carla", "cast", "clock", "database", "house", "maria", "onward", "road", "settings", "signed_in"]


@pytest.fixture
def joao(signed_in: SignIn, cast: Cast, road: Road) -> TestClient:
    return signed_in(contact_id=cast.joao)


@pytest.fixture
def sofia(signed_in: SignIn, cast: Cast, road: Road) -> TestClient:
    return signed_in(contact_id=cast.sofia)


def picture() -> bytes:
    made = io.BytesIO()
    Image.new("RGB", (4, 3), "red").save(made, "PNG")
    return made.getvalue()


def key_of(page: str) -> str:
    found = re.search(r'name="key" value="([0-9a-f]{32})"', page)
    assert found is not None
    return found[1]


def texts(database: Database) -> list[str]:
    with database.read() as db:
        return list(db.scalars(select(Message.text).order_by(Message.id)))


def test_a_customer_writes_and_the_consultant_answers(
    maria: TestClient, carla: TestClient, joao: TestClient, cast: Cast, database: Database
) -> None:
    empty = maria.get("/messages").text
    assert "No messages yet" in empty
    sent = maria.post("/messages", data={"text": "The till is stuck.\nSee https://a.example/x.", "key": key_of(empty)})
    assert sent.status_code == 303
    thread = maria.get(sent.headers["location"].partition("#")[0]).text
    assert '<a href="https://a.example/x" rel="nofollow noopener noreferrer">https://a.example/x</a>.' in thread
    assert "Will be mailed to Carla Nunes in a minute" in thread
    day = carla.get("/staff").text
    assert ("Unread messages" in day, f'href="/staff/messages/{cast.lumen}"' in day, "The till is stuck." in day) == (
        True,
        True,
        True,
    )
    assert "Answer the message" in day
    answer = carla.post(f"/staff/messages/{cast.lumen}", data={"text": "On it!", "key": key_of(thread)})
    assert answer.status_code == 303
    assert "Answer the message" not in carla.get("/staff").text.split("Done")[0]
    assert ">1<" in re.sub(r"\s", "", maria.get("/").text.partition('id="unread-count"')[2][:80])
    assert "On it!" in joao.get("/messages").text
    assert texts(database) == ["The till is stuck.\nSee https://a.example/x.", "On it!"]


def test_markup_stays_words(maria: TestClient, carla: TestClient, cast: Cast) -> None:
    maria.post("/messages", data={"text": '<script>alert(1)</script> <b onclick="x">', "key": "a" * 32})
    for page in (maria.get("/messages").text, carla.get(f"/staff/messages/{cast.lumen}").text):
        assert "<script>alert" not in page
        assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page


def test_the_same_form_sent_twice_is_one_message(maria: TestClient, database: Database) -> None:
    for _ in range(2):
        maria.post("/messages", data={"text": "Hello", "key": "b" * 32})
    assert texts(database) == ["Hello"]


def test_nothing_is_refused_in_words(maria: TestClient, database: Database) -> None:
    refused = maria.post("/messages", data={"text": "  ", "key": "c" * 32})
    assert (refused.status_code, "Please write something, or choose a file." in refused.text) == (422, True)
    assert texts(database) == []


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("virus.exe", b"MZ", "virus.exe: We don’t take files of this kind."),
        ("page.html", b"<script>", "We don’t take files of this kind."),
        ("drawing.svg", b"<svg onload=x>", "We don’t take files of this kind."),
        ("photo.png", b"not a picture", "photo.png: "),
        ("letter.pdf", b"%PDF-1.4 /JavaScript (x)", "letter.pdf: This file contains scripts."),
        ("huge.pdf", b"%PDF-" + b"0" * (10 * 1024 * 1024), "huge.pdf: This file has 11 MB."),
    ],
)
def test_files_that_we_do_not_take_are_refused_and_the_text_is_kept(
    maria: TestClient, database: Database, name: str, content: bytes, words: str
) -> None:
    refused = maria.post(
        "/messages", data={"text": "What I typed", "key": "d" * 32}, files=[("files", (name, content))]
    )
    assert refused.status_code == 422
    assert words in refused.text
    assert "What I typed</textarea>" in refused.text
    assert texts(database) == []


def test_six_files_are_too_many(maria: TestClient) -> None:
    six = [("files", (f"{n}.txt", b"x")) for n in range(6)]
    refused = maria.post("/messages", data={"text": "T", "key": "e" * 32}, files=six)
    assert (refused.status_code, "at most 5 files" in refused.text) == (422, True)


def test_files_go_only_to_people_of_the_account_and_do_nothing_there(
    maria: TestClient, joao: TestClient, sofia: TestClient, carla: TestClient, cast: Cast, database: Database
) -> None:
    files = [("files", ("till.png", picture())), ("files", ("list.csv", b"a;b\n1;2\n"))]
    assert maria.post("/messages", data={"text": "", "key": "f" * 32}, files=files).status_code == 303
    page = maria.get("/messages").text
    shown, kept = sorted(set(re.findall(r'href="(/messages/\d+/files/\d+)"', page)))
    for person in (maria, joao):
        got = person.get(shown)
        assert (got.status_code, got.headers["content-type"]) == (200, "image/webp")
        assert "sandbox" in got.headers["content-security-policy"]
        got = person.get(kept)
        assert got.headers["content-disposition"].startswith("attachment")
        assert (got.headers["x-content-type-options"], got.content) == ("nosniff", b"a;b\n1;2\n")
    assert [sofia.get(path).status_code for path in (shown, kept)] == [404, 404]
    assert carla.get(shown.replace("/messages", f"/staff/messages/{cast.lumen}")).status_code == 200
    assert carla.get(shown.replace("/messages", f"/staff/messages/{cast.other}")).status_code == 404


def test_reading_is_noted_by_a_button_and_never_by_a_look(
    maria: TestClient, carla: TestClient, cast: Cast, database: Database, house: House
) -> None:
    with database.write() as db:
        draft = Draft(account_id=cast.lumen, staff_id=cast.carla, text="Hello Maria", key="1")
        last = actions.post(db, house, draft, now=NOON)
    for _ in range(2):
        page = maria.get("/messages").text
        assert ("Mark as read" in page, 'id="new"' in page) == (True, True)
    assert maria.post("/messages/read", data={"to": last}).status_code == 303
    page = maria.get("/messages").text
    assert ("Mark as read" in page, 'id="new"' in page) == (False, False)


def test_what_is_newer_comes_alone_and_nothing_is_no_content(
    maria: TestClient, cast: Cast, database: Database, house: House
) -> None:
    maria.post("/messages", data={"text": "Hello", "key": "1" * 32})
    partial = {"HX-Request": "true", "HX-Request-Type": "partial"}
    assert maria.get("/messages/newer?after=1", headers=partial).status_code == 204
    with database.write() as db:
        actions.post(db, house, Draft(account_id=cast.lumen, staff_id=cast.carla, text="New!", key="2"), now=NOON)
    got = maria.get("/messages/newer?after=1", headers=partial)
    assert ("New!" in got.text, "Hello" in got.text, "<html" in got.text) == (True, False, False)
    sent = maria.post("/messages", data={"text": "Thanks", "key": "3" * 32}, headers=partial)
    assert (sent.status_code, 'id="conversation"' in sent.text, "Thanks" in sent.text) == (200, True, True)


def test_strangers_and_people_switched_off_find_nothing(
    sofia: TestClient, maria: TestClient, joao: TestClient, database: Database, cast: Cast
) -> None:
    maria.post("/messages", data={"text": "Our secret", "key": "4" * 32})
    assert "Our secret" not in sofia.get("/messages").text
    assert sofia.get("/staff/messages").status_code == 404
    with database.write() as db:
        db.execute(update(Contact).where(Contact.id == cast.joao).values(disabled_at=NOON))
    assert joao.get("/messages", headers={"accept": "text/html"}).status_code in (303, 404)


def test_every_page_of_a_customer_says_how_to_reach_us(maria: TestClient, database: Database, cast: Cast) -> None:
    with database.write() as db:
        reach = {"phone": "+5511912345678", "whatsapp": "+5511912345678"}
        db.execute(update(Staff).where(Staff.id == cast.carla).values(**reach))
    for path in ("/", "/plan", "/check-ins", "/learn", "/refer", "/details", "/messages"):
        page = maria.get(path).text
        assert ('href="/messages"' in page, 'href="tel:+5511912345678"' in page) == (True, True), path
        assert 'href="mailto:carla@onward.example"' in page, path
        link = re.search(r'href="https://wa\.me/5511912345678\?text=([^"]+)"', page)
        assert link is not None, path
        assert unquote(link[1]) == "Hi Carla, this is Maria Souza from Lumen.", path


@pytest.mark.parametrize("path", ["/messages", "/staff/messages", "/staff/messages/{lumen}"])
def test_a_thread_takes_as_many_statements_with_many_messages(
    path: str, maria: TestClient, carla: TestClient, database: Database, house: House, cast: Cast
) -> None:
    who, address = (carla if path.startswith("/staff") else maria), path.format(lumen=cast.lumen)

    def say(number: int) -> None:
        with database.write() as db:
            draft = Draft(account_id=cast.lumen, contact_id=cast.maria, text=f"M{number}", key=f"k{number}")
            actions.post(db, house, draft, now=NOON)

    say(0)
    with statements(database) as with_one:
        who.get(address)
    for number in range(1, 60):
        say(number)
    with statements(database) as with_many:
        page = who.get(address).text
    assert len(with_one) == len(with_many)
    assert ("Earlier messages" in page) is (path != "/staff/messages")


def test_an_earlier_stretch_goes_on_where_the_page_began(
    maria: TestClient, database: Database, house: House, cast: Cast
) -> None:
    for number in range(70):
        with database.write() as db:
            draft = Draft(account_id=cast.lumen, contact_id=cast.joao, text=f"Number {number}.", key=f"k{number}")
            actions.post(db, house, draft, now=NOON)
    page = maria.get("/messages").text
    earlier = re.search(r'href="(/messages\?before=\d+)"', page)
    assert earlier is not None
    shown = [int(n) for n in re.findall(r"Number (\d+)\.", page)]
    before = [int(n) for n in re.findall(r"Number (\d+)\.", maria.get(earlier[1]).text)]
    assert before + shown == list(range(70))


def test_staff_put_away_what_came_from_elsewhere(onward: FastAPI, carla: TestClient, cast: Cast) -> None:
    assert carla.post(f"/staff/messages/{cast.lumen}/mails/1/read").status_code == 404
