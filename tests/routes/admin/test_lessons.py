"""Writing what customers read, over HTTP: what is typed is never lost, uploads are refused in words, readers see the rest."""

import csv
import io
import re
from collections.abc import Callable

import pytest
from sqlalchemy import delete, func, insert, select, update
from starlette.testclient import TestClient

from portal.accounts.models import Account, Contact
from portal.accounts.rules import Language
from portal.db import Database
from portal.learning.models import Tutorial, TutorialProgress, TutorialText, TutorialVersion
from portal.media import Medium
from portal.shipped import load_all
from tests.routes.conftest import NOON, Cast
from tests.routes.staff.conftest import statements
from tests.test_media import SVG, office, picture

SignIn = Callable[..., TestClient]
NEW = {
    "kind": "tutorial",
    "stage_key": "deployment",
    "audience": "everyone",
    "position": "3",
    "minutes": "4",
    "title_en": "Count your stock",
    "summary_en": "In twenty minutes.",
    "body_en": "Clear the shelves.\n\n## Then\n\nCount.\n",
}


@pytest.fixture
def rui(database: Database, cast: Cast, signed_in: SignIn) -> TestClient:
    """The manager, with what ships."""
    with database.write() as db:
        load_all(db, now=NOON)
    return signed_in(staff_id=cast.rui)


@pytest.fixture
def maria(cast: Cast, signed_in: SignIn) -> TestClient:
    return signed_in(contact_id=cast.maria)


def written(rui: TestClient, **more: str) -> str:
    """The path of a new draft."""
    answer = rui.post("/admin/lessons", data=NEW | more)
    assert answer.status_code == 303, answer.text
    return answer.headers["location"]


def test_a_manager_writes_and_publishes_and_a_customer_reads(rui: TestClient, maria: TestClient) -> None:
    path = written(rui)
    assert "Draft" in rui.get(path).text
    assert maria.get("/learn/count-your-stock").status_code == 404
    rui.post(f"{path}/published")
    assert "<h2>Then</h2>" in maria.get("/learn/count-your-stock").text
    rui.post(f"{path}/withdrawn")
    assert maria.get("/learn/count-your-stock").status_code == 404


@pytest.mark.parametrize(
    "path", ["/admin/lessons", "/admin/lessons/new", "/admin/lessons/report", "/admin/lessons/report.csv"]
)
def test_consultants_and_customers_may_not(
    rui: TestClient, signed_in: SignIn, cast: Cast, maria: TestClient, path: str
) -> None:
    assert rui.get(path).status_code == 200
    assert signed_in(staff_id=cast.carla).get(path).status_code == 403
    assert maria.get(path).status_code == 404


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"title_en": "", "body_en": "", "summary_en": ""}, "in at least one language"),
        ({"title_en": ""}, "Please write this as well"),
        ({"title_pt": "Conte"}, "Please write this as well"),
        ({"minutes": "0"}, "Please enter 1 or more."),
        ({"stage_key": "nowhere"}, "Please choose one from the list."),
        ({"kind": "poem"}, "Please choose one from the list."),
        ({"kind": "news"}, "News has a day."),
        ({"title_en": "x" * 201}, "Please shorten this to 200 characters."),
        ({"body_en": "![cat](https://pictures.example/cat.png)"}, "is at another host"),
        ({"body_en": f"![cat](/media/{'a' * 40}/cat.webp)"}, "isn’t here"),
        ({"body_en": "a\x00b"}, "invisible control characters"),
    ],
)
def test_what_is_wrong_is_said_beside_the_field_and_what_was_typed_stays(
    rui: TestClient, database: Database, wrong: dict[str, str], said: str
) -> None:
    answer = rui.post("/admin/lessons", data=NEW | {"summary_en": "A summary to keep"} | wrong)
    assert answer.status_code == 422
    assert said in answer.text
    if "summary_en" not in wrong:
        assert 'value="A summary to keep"' in answer.text
    with database.read() as db:
        assert db.scalar(select(func.count()).select_from(Tutorial)) == 14


def test_the_second_of_two_is_told_keeps_what_was_typed_and_may_save_on_purpose(
    rui: TestClient, signed_in: SignIn, cast: Cast, database: Database
) -> None:
    path, ana = written(rui), signed_in(staff_id=cast.ana)
    assert ana.post(path, data=NEW | {"version": "1", "title_en": "Ana’s title"}).status_code == 303
    answer = rui.post(path, data=NEW | {"version": "1", "title_en": "Rui’s title", "body_en": "Rui’s words"})
    assert answer.status_code == 409
    assert "Ana Reis saved version 2 while you were writing." in answer.text
    assert 'value="Rui’s title"' in answer.text and "Rui’s words</textarea>" in answer.text
    assert "Ana’s title</del>" in answer.text.replace('<span class="vh">Gone: </span>', "")
    assert re.search(r'name="version" value="2"', answer.text)
    assert rui.post(path, data=NEW | {"version": "2", "title_en": "Rui’s title"}).status_code == 303
    with database.read() as db:
        assert "Rui’s title" in db.scalars(select(TutorialText.title)).all()
        kept = (
            select(func.count())
            .select_from(TutorialVersion)
            .where(TutorialVersion.tutorial_id == int(path.split("/")[-1]))
        )
        assert db.scalar(kept) == 3


def test_versions_are_compared_and_one_comes_back(rui: TestClient, maria: TestClient) -> None:
    path = written(rui)
    rui.post(path, data=NEW | {"version": "1", "body_en": "Clear the shelves.\n\n## Then\n\nGuess.\n"})
    page = (
        rui.get(f"{path}/versions/1")
        .text.replace('<span class="vh">Gone: </span>', "")
        .replace('<span class="vh">New: </span>', "")
    )
    assert "<del>Count.</del>" in page and "<ins>Guess.</ins>" in page
    assert rui.post(f"{path}/versions/1/restored", data={"version": "1"}).status_code == 409
    assert rui.post(f"{path}/versions/1/restored", data={"version": "2"}).status_code == 303
    assert "Count.</textarea>" in rui.get(path).text.replace("\n</textarea>", "</textarea>")
    assert rui.get(f"{path}/versions/9").status_code == 404


def test_the_preview_is_what_readers_get_and_saves_nothing(rui: TestClient, database: Database) -> None:
    typed = NEW | {"body_en": "## Hello\n\n<script>alert(1)</script>", "title_pt": "Olá"}
    block = rui.post("/admin/lessons/preview", data=typed, headers={"HX-Request-Type": "partial"}).text
    assert block.lstrip().startswith("<section") and "<h2>Hello</h2>" in block and "<script" not in block
    page = rui.post("/admin/lessons/preview", data=typed).text
    assert "<h2>Hello</h2>" in page and 'value="Olá"' in page
    assert "<script>alert" not in page
    with database.read() as db:
        assert db.scalar(select(func.count()).select_from(Tutorial)) == 14


def test_a_picture_is_uploaded_beside_what_is_typed_and_shown_to_readers(rui: TestClient, maria: TestClient) -> None:
    answer = rui.post("/admin/lessons/media", data=NEW, files={"upload": ("shelf.png", picture(), "image/png")})
    assert answer.status_code == 200 and 'value="Count your stock"' in answer.text
    [line] = re.findall(r'value="(!\[shelf\]\(/media/[0-9a-f]{40}/shelf\.webp#60x40\))"', answer.text)
    path = written(rui, body_en=line.replace("shelf]", "A shelf]"), then="publish")
    page = maria.get("/learn/count-your-stock").text
    [address] = re.findall(r'<img src="(/media/[^"]+)" alt="A shelf" width="60" height="40"', page)
    assert maria.get(address).headers["content-type"] == "image/webp"
    assert "A shelf" in rui.get(path).text


def test_an_upload_that_nothing_shows_can_be_deleted(rui: TestClient, maria: TestClient, database: Database) -> None:
    answer = rui.post("/admin/lessons/media", data=NEW, files={"upload": ("shelf.png", picture(), "image/png")})
    [line] = re.findall(r'value="(!\[shelf\]\(/media/[0-9a-f]{40}/shelf\.webp#60x40\))"', answer.text)
    [at] = re.findall(r'href="(/admin/lessons/media/\d+/deletion)"', answer.text)
    path = written(rui, body_en=line.replace("shelf]", "A shelf]"), then="publish")
    page = rui.get(at).text
    assert "It can’t be deleted" in page and "Count your stock" in page
    assert rui.post(at, data={"sure": "1"}).status_code == 409
    # Not shown any more, but a version that could come back does.
    version = re.findall(r'name="version" value="(\d+)"', rui.get(path).text)[0]
    assert rui.post(path, data={**NEW, "body_en": "Words alone.", "version": version}).status_code == 303
    assert rui.post(at, data={"sure": "1"}).status_code == 409

    answer = rui.post("/admin/lessons/media", data=NEW, files={"upload": ("till.png", picture(), "image/png")})
    other = re.findall(r'href="(/admin/lessons/media/\d+/deletion)"', answer.text)[0]
    if other == at:  # the same bytes are kept once
        answer = rui.post(
            "/admin/lessons/media", data=NEW, files={"upload": ("till.png", picture(size=(90, 30)), "image/png")}
        )
        other = next(x for x in re.findall(r'href="(/admin/lessons/media/\d+/deletion)"', answer.text) if x != at)
    assert rui.post(other).status_code == 422
    assert rui.post(other, data={"sure": "1"}).status_code == 303
    assert rui.get(other).status_code == 404
    assert maria.get(other).status_code == 404
    with database.read() as db:
        assert db.scalar(select(func.count()).select_from(Medium)) == 1


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("drawing.svg", SVG, "We don’t take files of this kind"),
        ("drawing.png", SVG, "SVG drawings can hold scripts"),
        ("page.html", b"<script>1</script>", "We don’t take files of this kind"),
        ("plan.pdf", b"<script>1</script>", "isn’t what its name says"),
        ("macros.docx", office(more={"word/vbaProject.bin": b"x"}), "macros"),
        ("huge.png", b"\x89PNG" + b"\0" * 10_500_000, "This file has 11 MB"),
    ],
)
def test_an_upload_of_the_wrong_kind_is_refused_in_words_and_what_was_typed_stays(
    rui: TestClient, database: Database, name: str, content: bytes, said: str
) -> None:
    answer = rui.post("/admin/lessons/media", data=NEW, files={"upload": (name, content)})
    assert answer.status_code == 422
    assert said in answer.text and 'value="Count your stock"' in answer.text
    with database.read() as db:
        assert db.scalar(select(func.count()).select_from(Medium)) == 0


def test_a_colleagues_face_is_no_picture_for_lessons(rui: TestClient, database: Database) -> None:
    assert (
        rui.post("/staff/settings/portrait", files={"portrait": ("me.png", picture(), "image/png")}).status_code == 303
    )
    assert "![portrait]" not in rui.get("/admin/lessons/new?kind=tutorial").text
    with database.read() as db:
        worn = db.scalar(select(Medium.id))
    assert rui.get(f"/admin/lessons/media/{worn}/deletion").status_code == 404


def test_an_upload_beyond_all_measure_stops_at_the_door(rui: TestClient) -> None:
    answer = rui.post("/admin/lessons/media", data=NEW, files={"upload": ("huge.png", b"\0" * 12_000_000)})
    assert answer.status_code == 413


def test_deleting_asks_for_a_tick_and_takes_only_drafts(rui: TestClient) -> None:
    path = written(rui)
    assert rui.post(f"{path}/deleted").status_code == 422
    rui.post(f"{path}/published")
    assert rui.post(f"{path}/deleted", data={"sure": "1"}).status_code == 409
    rui.post(f"{path}/withdrawn")
    assert rui.post(f"{path}/deleted", data={"sure": "1"}).headers["location"] == "/admin/lessons"
    assert rui.get(path).status_code == 404


def test_the_report_tells_who_read_and_what_did_not_help(rui: TestClient, maria: TestClient, cast: Cast) -> None:
    path = written(rui, title_en="=1+1 lesson", then="publish")
    slug = "/learn/1-1-lesson"
    maria.post(f"{slug}/finish")
    maria.post(f"{slug}/helped", data={"helped": "false"})
    assert maria.post(f"{slug}/missing", data={"words": ""}).status_code == 422
    maria.post(f"{slug}/missing", data={"words": "=HYPERLINK(1)"})
    assert "=HYPERLINK(1)" in rui.get("/admin/lessons/report").text
    assert "Maria Souza" in rui.get(f"{path}/readers").text
    assert "=HYPERLINK(1)" in rui.get(f"/staff/customers/{cast.lumen}").text
    rows = list(csv.reader(io.StringIO(rui.get("/admin/lessons/report.csv").content.decode("utf-8-sig"))))
    assert rows[1][:4] == ["'=1+1 lesson", "Lesson", "Lumen", "Maria Souza"]
    assert rows[1][6:] == ["No", "'=HYPERLINK(1)"]


def test_the_list_can_be_narrowed(rui: TestClient) -> None:
    written(rui)
    everything = rui.get("/admin/lessons").text
    assert everything.count('<th scope="row">') == 15 and "Portuguese is missing" in everything
    assert rui.get("/admin/lessons?missing=pt-BR").text.count('<th scope="row">') == 1
    assert rui.get("/admin/lessons?state=draft&kind=tutorial&stage=deployment").text.count('<th scope="row">') == 1
    assert "Nothing like that" in rui.get("/admin/lessons?kind=news").text
    for odd in ("kind=poem", "missing=fr", "stage=nowhere", "kind=" + "x" * 500):
        assert "Nothing like that" in rui.get(f"/admin/lessons?{odd}").text
    assert rui.get("/admin/lessons?stage=%00&kind=%F0%9F").status_code == 200


def test_long_lists_are_turned_page_by_page_with_their_filters(rui: TestClient, database: Database) -> None:
    with database.write() as db:
        more = [
            {"id": 1_000 + n, "slug": f"more-{n}", "kind": "tutorial", "stage_key": "deployment", "position": n}
            for n in range(1, 61)
        ]
        same = {"minutes": 3, "created_at": NOON, "changed_at": NOON}
        db.execute(insert(Tutorial), [row | same for row in more])
    page = rui.get("/admin/lessons?state=draft").text
    assert page.count('<th scope="row">') == 50 and "1–50 of 60" in page
    assert 'href="/admin/lessons?state=draft&amp;page=2"' in page
    last = rui.get("/admin/lessons?state=draft&page=2").text
    assert last.count('<th scope="row">') == 10 and 'href="/admin/lessons?state=draft"' in last
    assert rui.get("/admin/lessons?state=draft&page=3").status_code == 404
    with database.write() as db:
        db.execute(update(Tutorial).values(published_at=NOON))
    report = rui.get("/admin/lessons/report").text
    assert report.count('<th scope="row">') == 50 and "1–50 of 74" in report
    assert rui.get("/admin/lessons/report?page=2").text.count('<th scope="row">') == 24


def readers_of(database: Database, lesson: int, first: int, last: int) -> None:
    """So many people of one company have begun it; every tenth it did not help."""
    with database.write() as db:
        if first == 0:
            db.add(Account(id=500, external_id="many", name="Many", search="many", created_at=NOON, created_by="test"))
            db.flush()
        numbers = range(first, last)
        person = {"account_id": 500, "language": Language.EN, "timezone": "America/Sao_Paulo", "created_at": NOON}
        people = [{"id": 1_000 + n, "name": f"Reader {n:03}", "email": f"reader{n}@many.example"} for n in numbers]
        db.execute(insert(Contact), [each | person | {"is_primary": False} for each in people])
        begun = {"tutorial_id": lesson, "started_at": NOON, "part": 1}
        told = [{"helped": n % 10 != 0, "told_at": NOON, "words": ""} for n in numbers]
        db.execute(
            insert(TutorialProgress),
            [begun | each | {"contact_id": 1_000 + n} for n, each in zip(numbers, told, strict=True)],
        )


def test_who_read_one_comes_a_page_at_a_time(rui: TestClient, database: Database) -> None:
    path = written(rui, then="publish")
    readers = f"{path}/readers"
    assert "Nobody has read this yet" in rui.get(readers).text
    assert rui.get(f"{readers}?page=2").status_code == 404

    readers_of(database, int(path.rpartition("/")[2]), 0, 50)
    with statements(database) as of_a_page:
        full = rui.get(readers).text
    assert full.count('<th scope="row">') == 50 and 'class="pages"' not in full
    assert rui.get(f"{readers}?page=2").status_code == 404

    readers_of(database, int(path.rpartition("/")[2]), 50, 121)
    with statements(database) as of_many:
        first = rui.get(readers).text
    assert len(of_many) == len(of_a_page)
    assert "1–50 of 121" in first and f'href="{readers}?page=2"' in first
    pages = [first, *(rui.get(f"{readers}?page={page}").text for page in (2, 3))]
    names = [re.findall(r'<th scope="row">(Reader \d+)', page) for page in pages]
    assert [len(each) for each in names] == [50, 50, 21]
    everybody = [name for each in names for name in each]
    assert len(set(everybody)) == 121
    assert everybody[:13] == [f"Reader {n:03}" for n in range(0, 130, 10)]  # whom it did not help
    assert 'rel="next"' not in pages[2] and f'href="{readers}?page=2"' in pages[2]
    for odd in ("0", "-1", "x", "4", "99999999999999999999"):
        assert rui.get(f"{readers}?page={odd}").status_code in (404, 422)
    assert rui.get("/admin/lessons/999999/readers").status_code == 404


@pytest.mark.parametrize("path", ["/admin/lessons", "/admin/lessons/report"])
def test_a_full_page_of_staffs_is_the_only_one_and_one_more_makes_a_second(
    rui: TestClient, database: Database, path: str
) -> None:
    with database.write() as db:
        db.execute(update(Tutorial).values(published_at=None))
        db.execute(delete(Tutorial))
    assert rui.get(path).status_code == 200 and 'class="pages"' not in rui.get(path).text
    assert rui.get(f"{path}?page=2").status_code == 404
    same = {"kind": "tutorial", "stage_key": "deployment", "position": 1, "minutes": 3}
    same |= {"created_at": NOON, "changed_at": NOON, "published_at": NOON}

    def more(first: int, last: int) -> None:
        with database.write() as db:
            db.execute(insert(Tutorial), [same | {"id": 100 + n, "slug": f"more-{n:03}"} for n in range(first, last)])

    more(0, 50)
    with statements(database) as of_a_page:
        full = rui.get(path).text
    assert full.count('<th scope="row">') == 50 and 'class="pages"' not in full
    assert rui.get(f"{path}?page=2").status_code == 404
    more(50, 51)
    assert "1–50 of 51" in rui.get(path).text
    assert "51–51 of 51" in rui.get(f"{path}?page=2").text
    more(51, 700)
    with statements(database) as of_many:
        many = rui.get(path).text
    assert len(of_many) == len(of_a_page)
    assert many.count('<th scope="row">') == 50 and len(many) < len(full) + 1_000
    for odd in ("0", "-1", "x", "15", "99999999999999999999"):
        assert rui.get(f"{path}?page={odd}").status_code in (404, 422)


def test_filters_and_pages_go_together(rui: TestClient, database: Database) -> None:
    same = {"position": 1, "minutes": 3, "created_at": NOON, "changed_at": NOON}
    kinds, stages = ("tutorial", "news", "example"), ("deployment", "follow_up_30", "")
    with database.write() as db:
        db.execute(delete(Tutorial))
        rows = [
            same
            | {"id": 100 + n, "slug": f"more-{n:03}", "kind": kinds[n % 3], "stage_key": stages[n // 3 % 3]}
            | {"published_at": NOON if n % 2 else None, "happened_on": NOON.date()}
            for n in range(720)
        ]
        db.execute(insert(Tutorial), rows)
        text = {"summary": "", "body": "x", "who": "", "achieved": "", "fingerprint": "", "shipped": ""}
        db.execute(
            insert(TutorialText),
            [
                text | {"tutorial_id": row["id"], "language": language, "title": row["slug"], "changed_at": NOON}
                for row in rows
                for language in (["en", "pt-BR"] if row["id"] % 5 else ["en"])  # type: ignore[operator]
            ],
        )
    for query, count in (
        ("kind=tutorial", 240),
        ("kind=tutorial&stage=deployment", 80),
        ("kind=tutorial&stage=deployment&state=draft", 40),
        ("missing=pt-BR", 144),
        ("kind=news&state=published&missing=pt-BR", 24),
    ):
        first = rui.get(f"/admin/lessons?{query}").text
        assert first.count('<th scope="row">') == min(50, count)
        assert (f"1–50 of {count}" in first) == (count > 50)
        last = -(-count // 50)
        assert rui.get(f"/admin/lessons?{query}&page={last}").text.count('<th scope="row">') == count - (last - 1) * 50
        assert rui.get(f"/admin/lessons?{query}&page={last + 1}").status_code == 404


def test_an_address_is_free_however_many_have_the_same_title(rui: TestClient, database: Database) -> None:
    def add(*slugs: str) -> None:
        same = {
            "kind": "tutorial",
            "stage_key": "",
            "position": 1,
            "minutes": 3,
            "created_at": NOON,
            "changed_at": NOON,
        }
        with database.write() as db:
            db.execute(insert(Tutorial), [same | {"slug": slug} for slug in slugs])

    def address() -> str:
        path = written(rui)
        with database.read() as db:
            return db.scalars(select(Tutorial.slug).where(Tutorial.id == int(path.rpartition("/")[2]))).one()

    with statements(database) as first:
        assert address() == "count-your-stock"
    add("count-your-stock-2", "count-your-stock-4", "count-your-stock-today")
    assert [address() for _ in range(2)] == ["count-your-stock-3", "count-your-stock-5"]
    add(*(f"count-your-stock-{n}" for n in range(6, 1_000)))
    with statements(database) as among_many:
        found = address()
    assert int(found.removeprefix("count-your-stock-")) >= 1_000
    assert len(among_many) == len(first)
