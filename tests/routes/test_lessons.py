"""The lesson pages, as a customer uses them."""

import re
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import insert, select
from starlette.testclient import TestClient

from portal.accounts.rules import Language
from portal.clock import FixedClock
from portal.db import Database, rows_of
from portal.journeys.shipped import load_shipped
from portal.learning import actions, queries, writing
from portal.learning.models import Tutorial, TutorialProgress, TutorialText
from portal.learning.rules import WHEREVER, Audience, Draft, Kind, Text
from tests.routes.conftest import NOON, Cast

PATH = "/learn/your-first-hour"


@pytest.fixture
def maria(database: Database, cast: Cast, signed_in: Callable[..., TestClient]) -> TestClient:
    with database.write() as db:
        load_shipped(db, now=NOON)
        actions.load_shipped_tutorials(db, now=NOON)
    return signed_in(contact_id=cast.maria)


def progress(database: Database) -> list[tuple[int, bool, bool | None]]:
    with database.read() as db:
        rows = db.scalars(select(TutorialProgress))
        return [(row.contact_id, row.finished_at is not None, row.helped) for row in rows]


def test_all_lessons_are_listed_and_looking_changes_nothing(maria: TestClient, database: Database) -> None:
    page = maria.get("/learn")
    assert page.status_code == 200 and page.text.count('class="lesson"') == 14 + 1  # the one that is recommended
    assert maria.get(PATH).status_code == 200
    assert progress(database) == []


def test_a_lesson_is_read_finished_judged_and_taken_back(maria: TestClient, database: Database, cast: Cast) -> None:
    assert maria.post(f"{PATH}/start").status_code == 204
    assert progress(database) == [(cast.maria, False, None)]
    assert "Did this help?" not in maria.get(PATH).text
    done = maria.post(f"{PATH}/finish")
    assert (done.status_code, done.headers["location"]) == (303, f"{PATH}#done")
    page = maria.get(PATH).text
    assert "Did this help?" in page and f'action="{PATH}/reopen"' in page
    maria.post(f"{PATH}/helped", data={"helped": "false"})
    assert progress(database) == [(cast.maria, True, False)]
    assert "What was missing?" in maria.get(PATH).text
    maria.post(f"{PATH}/reopen")
    assert progress(database) == [(cast.maria, False, False)]


def test_the_verdict_comes_back_alone_where_htmx_asks(maria: TestClient) -> None:
    maria.post(f"{PATH}/finish")
    answer = maria.post(f"{PATH}/helped", data={"helped": "true"}, headers={"HX-Request-Type": "partial"})
    assert answer.status_code == 200 and "You said that it helped." in answer.text and "<html" not in answer.text


def test_who_reads_portuguese_reads_portuguese(
    maria: TestClient, cast: Cast, signed_in: Callable[..., TestClient]
) -> None:
    page = signed_in(contact_id=cast.joao).get(PATH)
    assert "Sua primeira hora no espaço de trabalho" in page.text and "Marcar como concluída" in page.text


@pytest.mark.parametrize("slug", ["no-such-lesson", "%00", "..%2f..", "A" * 300, "x'--", "%F0%9F%92%A9"])
@pytest.mark.parametrize("verb", ["", "/start", "/finish", "/reopen", "/helped"])
def test_a_lesson_that_is_not_there_is_a_friendly_404(maria: TestClient, slug: str, verb: str) -> None:
    answer = maria.post(f"/learn/{slug}{verb}", data={"helped": "true"}) if verb else maria.get(f"/learn/{slug}")
    assert answer.status_code == 404


@pytest.mark.parametrize("helped", ["", "perhaps", "\x00", "1" * 5000])
def test_an_odd_verdict_is_no_verdict(maria: TestClient, database: Database, helped: str) -> None:
    assert maria.post(f"{PATH}/helped", data={"helped": helped}).status_code == 404
    assert progress(database) == []


def test_what_was_missing_is_said_in_words_beside_the_lesson(maria: TestClient, database: Database) -> None:
    maria.post(f"{PATH}/finish")
    maria.post(f"{PATH}/helped", data={"helped": "false"})
    for empty in ("", "  ", "x" * 2001, "a\x00b"):
        assert maria.post(f"{PATH}/missing", data={"words": empty}).status_code == 422
    answer = maria.post(
        f"{PATH}/missing", data={"words": "The <b>freezer</b>."}, headers={"HX-Request-Type": "partial"}
    )
    assert answer.status_code == 200 and "<html" not in answer.text
    assert "You told us what was missing" in answer.text and "&lt;b&gt;freezer" in answer.text


def test_how_far_one_has_read_is_kept_and_gone_on_from(maria: TestClient) -> None:
    answer = maria.post(f"{PATH}/part", data={"part": "2"})
    assert (answer.status_code, answer.headers["location"]) == (303, f"{PATH}#part-2")
    assert 'href="#part-3"' in maria.get(PATH).text
    assert maria.post(f"{PATH}/part", data={"part": "1"}, headers={"HX-Request-Type": "partial"}).status_code == 204
    assert 'href="#part-3"' in maria.get(PATH).text
    for odd in ("", "0", "-1", "1001", "x", "9" * 30):
        assert maria.post(f"{PATH}/part", data={"part": odd}).status_code == 404


def test_news_and_examples_have_their_pages_and_looking_alone_changes_nothing(
    maria: TestClient, database: Database, clock: FixedClock
) -> None:
    def add(kind: Kind, title: str, **more: str) -> None:
        on = NOON.date() if kind is Kind.NEWS else None
        texts = {Language.EN: Text(title, "In short.", "Long.", **more)}
        draft = Draft(kind, "", 1, 1, Audience.EVERYONE, (), on, texts)
        with database.write() as db:
            now = clock.now()
            writing.publish(db, writing.create(db, draft, by="staff:1", now=now), by="staff:1", now=now)

    clock.set(NOON + timedelta(minutes=1))

    add(Kind.NEWS, "Order lists suggest quantities")
    add(Kind.EXAMPLE, "Half the waste", who="Brightwater Bakery", achieved="From 9% to 4%")
    example = maria.get("/learn/examples").text
    assert "Half the waste" in example and "Brightwater Bakery" in example and "From 9% to 4%" in example
    assert "suggest quantities" not in example and "something new" in example
    for _ in range(2):
        assert "Mark all as seen" in maria.get("/learn/news").text
    assert "Order lists suggest quantities" in maria.get("/").text
    assert "something new" in maria.get("/").text
    assert maria.post("/learn/news/seen").headers["location"] == "/learn/news"
    assert "Mark all as seen" not in maria.get("/learn/news").text
    assert "something new" not in maria.get("/").text
    assert "Long." in maria.get("/learn/half-the-waste").text


# However much there is


def written(database: Database, first: int, last: int) -> None:
    """Published ones of every kind for everybody, half of them lessons of deployment, a quarter news and examples."""
    kinds = (Kind.TUTORIAL, Kind.TUTORIAL, Kind.NEWS, Kind.EXAMPLE)
    with database.write() as db:
        rows = [
            {
                "id": 1_000 + n,
                "slug": f"article-{n:03}",
                "kind": kinds[n % 4],
                "stage_key": "deployment" if n % 8 < 4 else WHEREVER,
                "position": 50 + n,
                "minutes": 3,
                "plans": [],
                "happened_on": NOON.date() - timedelta(days=n) if n % 4 == 2 else None,
                "created_at": NOON,
                "changed_at": NOON,
                "published_at": NOON + timedelta(hours=1),
            }
            for n in range(first, last)
        ]
        db.execute(insert(Tutorial), rows)
        db.execute(
            insert(TutorialText),
            [
                {
                    "tutorial_id": row["id"],
                    "language": language,
                    "title": f"Article {row['slug']}",
                    "summary": "",
                    "body": "x",
                    "who": "",
                    "achieved": "",
                    "fingerprint": "x",
                    "shipped": "",
                    "changed_at": NOON,
                }
                for row in rows
                for language in Language
            ],
        )


LISTS = ("/", "/learn", "/learn/news", "/learn/examples", "/learn/stages/deployment", "/learn/stages/any")


@pytest.mark.parametrize("path", [*LISTS, "/learn/article-100", "/learn/article-102", "/learn/article-103"])
def test_a_page_reads_and_shows_no_more_with_many_more_articles(
    maria: TestClient, database: Database, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    read: list[int] = []

    def counting(*given: Any) -> Sequence[Any]:
        rows = rows_of(*given)
        read.append(len(rows))
        return rows

    written(database, 0, 240)
    monkeypatch.setattr(queries, "rows_of", counting)
    few, rows_of_few = maria.get(path).text, sum(read)
    read.clear()
    written(database, 240, 800)
    many = maria.get(path).text
    assert sum(read) == rows_of_few > 0
    assert many.count('href="/learn') == few.count('href="/learn')


@pytest.mark.parametrize(("path", "a_page"), [("/learn/news", 20), ("/learn/examples", 20), ("/learn/stages/any", 30)])
def test_lists_are_turned_page_by_page_to_their_end(
    maria: TestClient, database: Database, path: str, a_page: int
) -> None:
    written(database, 0, 240)
    found: list[str] = []
    page, at = "", path
    while at:
        page = maria.get(at).text
        on_this = re.findall(r'href="/learn/(article-\d+)"', page)
        assert len(on_this) <= a_page
        found += on_this
        older = re.search(r'href="([^"]+)" rel="next"', page) or re.search(r'rel="next"[^>]* href="([^"]+)"', page)
        at = older[1] if older else ""
    assert 'rel="prev"' in page
    assert len(found) == len(set(found)) == 60
    assert found == sorted(found)
    for odd in ("0", "-1", "x", "", "9999999999", "50"):
        assert maria.get(f"{path}?page={odd}").status_code in (404, 422)


def test_a_long_stage_shows_its_first_lessons_and_leads_to_all_of_them(maria: TestClient, database: Database) -> None:
    assert "/learn/stages/" not in maria.get("/learn").text
    written(database, 0, 100)
    page = maria.get("/learn").text
    assert 'href="/learn/stages/deployment">All 28' in page and 'href="/learn/stages/any">All 2' in page
    assert "0 of 28 finished" in page
    stage = maria.get("/learn/stages/deployment").text
    assert stage.count('class="lesson"') == 28 and 'rel="next"' not in stage
    lesson = maria.get("/learn/article-016").text
    assert "0 of 28 finished" in lesson and 'href="/learn/stages/deployment">All 28' in lesson
    assert "article-017" in lesson and "article-009" in lesson and "article-072" not in lesson


@pytest.mark.parametrize("key", ["nowhere", "%00", "..%2f", "A" * 300, "x'--"])
def test_a_stage_that_is_not_there_is_a_friendly_404(maria: TestClient, key: str) -> None:
    assert maria.get(f"/learn/stages/{key}").status_code == 404
