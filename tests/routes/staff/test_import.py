"""The pages on which a file of won deals is uploaded, looked at, confirmed and watched."""

import csv
import html
import io
import re
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from sqlalchemy import event, func, select
from starlette.testclient import TestClient

from portal.accounts.models import Account
from portal.db import Database
from portal.house import House
from portal.journeys import importing
from portal.journeys.import_models import DealImport, ImportLine
from portal.journeys.shipped import load_shipped
from tests.routes.conftest import NOON, Cast, SignIn

DATA = Path(__file__).resolve().parents[2] / "data"
HEADER = "Deal ID,Company,Contact Name,Email,Close Date\n"
GOOD = HEADER + "N-1,Verdant Two,Inês,ines@verdant.example,2026-03-01\n"
MIXED = GOOD + "N-2,=1+1,Ana,ana@x.example,2026-03-01\nN-3,Zeta,,,2026-03-01\n"


@pytest.fixture
def rui(signed_in: SignIn, cast: Cast, database: Database) -> TestClient:
    """Rui, who may import."""
    with database.write() as db:
        load_shipped(db, now=NOON)
    return signed_in(staff_id=cast.rui)


def upload(browser: TestClient, content: str | bytes, name: str = "deals.csv") -> Any:
    raw = content.encode() if isinstance(content, str) else content
    return browser.post("/staff/import", files={"file": (name, raw, "text/csv")})


def uploaded(browser: TestClient, content: str | bytes) -> str:
    """The address of the file's page."""
    answer = upload(browser, content)
    assert answer.status_code == 303
    return str(answer.headers["location"])


def work(onward: FastAPI) -> None:
    house: House = onward.state.wiring.house
    while importing.carry_on(house, NOON):
        pass


def text_of(answer: Any) -> str:
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", answer.text)).split())


def test_a_file_is_looked_at_confirmed_watched_and_reported(
    rui: TestClient, onward: FastAPI, database: Database
) -> None:
    page = uploaded(rui, MIXED)
    seen = rui.get(page)
    assert seen.status_code == 200
    for words in (
        "Nothing has happened yet", "Company : “=1+1” looks like a formula. Write the name itself.",
        "There is neither an e-mail address nor a phone number.", "Verdant Two", "under way since 8 March",
        "Take in 1 customer", "utf-8", "comma",
    ):  # fmt: skip
        assert words in text_of(seen), words
    confirmed = rui.post(f"{page}/confirmation", data={"version": "1", "use_after_days": "10"})
    assert (confirmed.status_code, confirmed.headers["location"]) == (303, page)
    watched = rui.get(page)
    assert "The customers are being taken in." in text_of(watched)
    assert '<noscript><meta http-equiv="refresh" content="3"></noscript>' in watched.text
    assert 'hx-trigger="every 1s"' in watched.text
    partial = rui.get(page, headers={"HX-Request": "true", "HX-Request-Type": "partial"})
    assert (partial.status_code, partial.text.lstrip()[:8]) == (200, "<section")
    work(onward)
    ended = rui.get(page, headers={"HX-Request": "true", "HX-Request-Type": "partial"})
    assert (ended.status_code, ended.headers["hx-redirect"]) == (204, page)
    with database.read() as db:
        account_id = db.scalar(select(Account.id).where(Account.external_id == "N-1"))
    result = rui.get(f"{page}?show=created")
    assert f'href="/staff/customers/{account_id}"' in result.text
    assert "Taken in on" in text_of(result)
    assert "Files so far" in text_of(rui.get("/staff/import"))


@pytest.mark.parametrize("name", ["closed_won_deals.csv", "negocios_ganhos.csv"])
def test_the_real_files_can_be_taken_as_they_are(
    rui: TestClient, onward: FastAPI, database: Database, name: str
) -> None:
    page = uploaded(rui, (DATA / name).read_bytes())
    assert rui.get(page).status_code == 200
    people = int(re.findall(r"(\d+) people get a welcome mail", text_of(rui.get(page)))[0])
    answer = rui.post(f"{page}/confirmation", data={"version": "1", "sure": "1"})
    assert answer.status_code == 303
    assert people > 50  # most sale dates of the files are still to come on this day
    assert rui.get(page).status_code == 200


def test_many_mails_need_a_tick(rui: TestClient, database: Database) -> None:
    fresh = "".join(f"F-{n},Firm {n},A,a@f{n}.example,2026-06-20\n" for n in range(51))
    page = uploaded(rui, HEADER + fresh)
    assert "51 people would be written to; more than 50 need your word." in text_of(rui.get(page))
    refused = rui.post(f"{page}/confirmation", data={"version": "1"})
    assert refused.status_code == 422
    assert "Please confirm that this is meant." in text_of(refused)
    with database.read() as db:
        assert db.scalars(select(DealImport.confirmed_at)).all() == [None]
    assert rui.post(f"{page}/confirmation", data={"version": "1", "sure": "1"}).status_code == 303


def test_refused_lines_come_back_with_what_to_do_and_harmless(rui: TestClient, onward: FastAPI) -> None:
    page = uploaded(rui, MIXED)
    answer = rui.get(f"{page}/refused.csv")
    assert answer.headers["content-disposition"].startswith("attachment")
    rows = list(csv.reader(io.StringIO(answer.content.decode("utf-8-sig"))))
    assert rows == [
        ["Deal ID", "Company", "Contact Name", "Email", "Close Date", "What to do"],
        ["N-2", "'=1+1", "Ana", "ana@x.example", "2026-03-01",
         "Company: “=1+1” looks like a formula. Write the name itself."],
        ["N-3", "Zeta", "", "", "2026-03-01",
         "Email: There is neither an e-mail address nor a phone number. Write at least one of them."],
    ]  # fmt: skip
    mended = (
        answer.content.decode("utf-8-sig").replace("'=1+1", "One plus one").replace("Zeta,,", "Zeta,Zoe,z@z.example")
    )
    again = rui.get(uploaded(rui, mended))
    assert "Take in 2 customers" in text_of(again)


def test_columns_are_corrected_on_the_page(rui: TestClient) -> None:
    page = uploaded(rui, "A,B,C\nLumen,Maria,maria@lumen.example\nZeta,Zoe,zoe@zeta.example\n")
    first = rui.get(page)
    assert "Which column holds the company's name? Choose one." in text_of(first)
    twice = {"column-0": "company", "column-1": "company", "column-2": "email"}
    assert rui.post(f"{page}/columns", data=twice).status_code == 303
    assert "“A” and “B” are set to the same meaning." in text_of(rui.get(page))
    assert rui.post(f"{page}/confirmation", data={"version": "2"}).status_code == 409
    good = {"column-0": "company", "column-1": "name", "column-2": "email", "date_order": "day_first"}
    assert rui.post(f"{page}/columns", data=good).status_code == 303
    seen = rui.get(page)
    assert "Take in 2 customers" in text_of(seen)
    assert rui.post(f"{page}/confirmation", data={"version": "2"}).status_code == 409
    assert rui.post(f"{page}/confirmation", data={"version": "3"}).status_code == 303
    assert rui.post(f"{page}/columns", data=good).status_code == 409
    assert rui.post(f"{page}/dropped").status_code == 409


def test_a_draft_is_dropped(rui: TestClient, database: Database) -> None:
    page = uploaded(rui, MIXED)
    assert rui.post(f"{page}/dropped").headers["location"] == "/staff/import"
    assert rui.get(page).status_code == 404
    with database.read() as db:
        assert db.scalar(select(func.count(ImportLine.id))) == 0


def test_a_large_file_is_read_by_the_worker(rui: TestClient, onward: FastAPI) -> None:
    rows = "".join(f"F-{n},Firm {n},A,a@f{n}.example,2026-01-20\n" for n in range(501))
    page = uploaded(rui, HEADER + rows)
    assert "The file is being read." in text_of(rui.get(page))
    assert rui.post(f"{page}/confirmation", data={"version": "1"}).status_code == 409
    work(onward)
    seen = rui.get(f"{page}?show=created")
    assert "Take in 501 customers" in text_of(seen)
    (older,) = set(re.findall(r'href="([^"]+after=\d+[^"]*)"', seen.text))
    assert len(re.findall(r'<li class="row keep', rui.get(html.unescape(older)).text)) == 50


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "The file is empty."),
        (b"%PDF-1.7\n...", "We can't find a table in this file."),
        (b"PK\x03\x04" + b"\x00" * 100, "This is a spreadsheet or an archive, not a CSV file."),
        (b"\x89PNG\r\n\x1a\n", "We can't find a table in this file."),
        (b"a,b\n", "The file has column names but no deals."),
        (b"a,b\n" + b"x" * (20 * 1024 * 1024), "The file is larger than 20 MB."),
    ],
    ids=["empty", "pdf", "xlsx", "png", "header", "large"],
)
def test_a_wrong_file_is_told_so_beside_the_field(
    rui: TestClient, database: Database, content: bytes, words: str
) -> None:
    answer = upload(rui, content)
    assert answer.status_code == 422
    assert words in text_of(answer)
    assert 'aria-describedby="file-h file-e"' in answer.text
    assert 'id="file-e"' in answer.text
    with database.read() as db:
        assert db.scalar(select(func.count(DealImport.id))) == 0


def test_far_too_much_is_413(rui: TestClient) -> None:
    assert upload(rui, b"x" * (22 * 1024 * 1024)).status_code == 413


def test_odd_requests_are_answered_with_sentences(rui: TestClient) -> None:
    assert rui.post("/staff/import").status_code == 422
    assert rui.post("/staff/import", data={"file": "no file"}).status_code == 422
    odd = upload(rui, GOOD, name='../../etc/"pass\x00wd<script>' + "x" * 300)
    assert odd.status_code == 303
    page = odd.headers["location"]
    assert "<script>x" not in rui.get(page).text
    assert rui.get(f"{page}/refused.csv").status_code == 200
    assert [
        rui.get(f"{page}{more}").status_code
        for more in ("?show=nonsense", "?after=-1", "?after=99999999999999999999", "?show=created&after=abc")
    ] == [200] * 4
    assert rui.post(f"{page}/columns", data={"column-0": "no such meaning"}).status_code == 409
    bad = [{}, {"version": "x"}, {"version": "1", "use_after_days": "-1"}, {"version": "1", "use_after_days": "9" * 30}]
    assert [rui.post(f"{page}/confirmation", data=form).status_code for form in bad] == [422] * 4
    assert rui.post(f"{page}/confirmation", data={"version": "7"}).status_code == 409
    for missing in ("/staff/import/999", "/staff/import/0", "/staff/import/x", f"/staff/import/{2**64}"):
        assert rui.get(missing).status_code == 404
    assert rui.post("/staff/import/999/confirmation", data={"version": "1"}).status_code == 404
    assert rui.post("/staff/import/999/columns").status_code == 404


def test_a_file_full_of_markup_and_control_characters_is_only_text(rui: TestClient) -> None:
    evil = HEADER + '<script>alert(1)</script>,<img src=x>,"a\nb",a@b.example,2026-03-01\nN\x00,C,D,c@d.example,"x\n'
    page = uploaded(rui, evil.encode() + b"\xff\xfe,\xed\xa0\x80,,,\n")
    seen = rui.get(f"{page}?show=created")
    assert seen.status_code == 200
    assert "<script>alert" not in seen.text
    assert "<img src" not in seen.text
    assert rui.get(f"{page}/refused.csv").status_code == 200


def test_only_who_may_import_sees_any_of_it(signed_in: SignIn, cast: Cast, rui: TestClient) -> None:
    page = uploaded(rui, GOOD)
    carla, maria = signed_in(staff_id=cast.carla), signed_in(contact_id=cast.maria)
    for address in ("/staff/import", page, f"{page}/refused.csv"):
        assert (carla.get(address).status_code, maria.get(address).status_code) == (403, 404)
    assert carla.post(f"{page}/confirmation", data={"version": "1"}).status_code == 403


def test_the_page_speaks_portuguese(signed_in: SignIn, cast: Cast, rui: TestClient) -> None:
    ana = signed_in(staff_id=cast.ana)
    page = uploaded(ana, MIXED)
    seen = text_of(ana.get(page))
    assert "Nada aconteceu ainda: isto é o que o arquivo faria." in seen
    assert "Fazer entrar 1 cliente" in seen
    rows = list(csv.reader(io.StringIO(ana.get(f"{page}/refused.csv").content.decode("utf-8-sig"))))
    assert rows[0][-1] == "O que fazer"


def test_pages_ask_as_often_for_one_line_as_for_three_hundred(rui: TestClient, database: Database) -> None:
    def asked(page: str) -> int:
        count = 0

        def note(*_: Any) -> None:
            nonlocal count
            count += 1

        event.listen(database.read_engine, "before_cursor_execute", note)
        assert rui.get(page).status_code == 200
        event.remove(database.read_engine, "before_cursor_execute", note)
        return count

    rows = "".join(f"F-{n},Firm {n},A,a@f{n}.example,2026-01-20\n" for n in range(300))
    assert asked(uploaded(rui, GOOD)) == asked(uploaded(rui, HEADER + rows))
