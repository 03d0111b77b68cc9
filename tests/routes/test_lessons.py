"""The lesson pages, as a customer uses them."""

import re
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import delete, insert, select, update
from starlette.testclient import TestClient

from portal.accounts.models import Account
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


def written(database: Database, first: int, last: int, **same: object) -> None:
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
                **same,
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


OF_ONE_KIND: dict[str, tuple[int, dict[str, object]]] = {
    "/learn/news": (20, {"kind": Kind.NEWS}),
    "/learn/examples": (20, {"kind": Kind.EXAMPLE}),
    "/learn/stages/any": (30, {"kind": Kind.TUTORIAL, "stage_key": WHEREVER}),
}


@pytest.mark.parametrize("path", OF_ONE_KIND)
def test_a_page_that_is_just_full_is_the_only_one_and_one_more_makes_a_second(
    maria: TestClient, database: Database, path: str
) -> None:
    a_page, same = OF_ONE_KIND[path]
    is_of_stage = same["kind"] is Kind.TUTORIAL
    empty = maria.get(path)
    assert empty.status_code == (404 if is_of_stage else 200)
    assert "rel=" not in re.sub(r"<head>.*?</head>", "", empty.text, flags=re.S)
    assert maria.get(f"{path}?page=2").status_code == 404

    written(database, 0, a_page, **same)
    full = maria.get(path).text
    assert len(set(re.findall(r"/learn/article-\d+", full))) == a_page
    assert 'class="pages"' not in full
    assert maria.get(f"{path}?page=1").text.count("/learn/article-") == full.count("/learn/article-")
    assert maria.get(f"{path}?page=2").status_code == 404

    written(database, a_page, a_page + 1, **same)
    first, second = maria.get(path).text, maria.get(f"{path}?page=2").text
    assert f"1–{a_page} of {a_page + 1}" in first and f'href="{path}?page=2"' in first and 'rel="prev"' not in first
    assert f"{a_page + 1}–{a_page + 1} of {a_page + 1}" in second and f'href="{path}"' in second
    assert set(re.findall(r"/learn/article-\d+", second)) == {f"/learn/article-{a_page:03}"}
    assert 'rel="next"' not in second
    assert maria.get(f"{path}?page=3").status_code == 404


@pytest.mark.parametrize("path", ["/learn/news", "/learn/examples", "/learn/stages/deployment"])
def test_a_page_number_that_makes_no_sense_is_refused_in_words(maria: TestClient, path: str) -> None:
    for page in ("0", "-1", "x", "", "1.5", "9999999999", "1e3", "%00", "２", "50"):
        answer = maria.get(f"{path}?page={page}")
        assert answer.status_code in (404, 422)
        assert "<h1" in answer.text and "Traceback" not in answer.text


def test_only_what_is_for_somebody_is_listed_counted_and_turned_to(
    maria: TestClient, database: Database, cast: Cast, signed_in: Callable[..., TestClient]
) -> None:
    """Maria decides at Lumen, João is her colleague there, Sofia decides at a customer with another plan."""
    people = {"maria": maria, "joao": signed_in(contact_id=cast.joao), "sofia": signed_in(contact_id=cast.sofia)}
    with database.write() as db:
        db.execute(update(Account).where(Account.id == cast.lumen).values(plan="Créscer"))
        db.execute(update(Account).where(Account.id == cast.other).values(plan="Start"))
    any_stage: dict[str, object] = {"kind": Kind.TUTORIAL, "stage_key": WHEREVER}
    written(database, 0, 5, **any_stage)
    written(database, 100, 110, audience=Audience.PRIMARY, **any_stage)
    written(database, 200, 220, audience=Audience.COLLEAGUES, **any_stage)
    written(database, 300, 340, plans=["CRESCER  ", "Enterprise"], for_plans=["crescer", "enterprise"], **any_stage)
    written(database, 400, 480, audience=Audience.PRIMARY, plans=["start"], for_plans=["start"], **any_stage)
    written(database, 500, 600, published_at=None, **any_stage)
    theirs = {"maria": 5 + 10 + 40, "joao": 5 + 20 + 40, "sofia": 5 + 10 + 80}
    for who, count in theirs.items():
        found: list[str] = []
        for page in range(1, 5):
            answer = people[who].get(f"/learn/stages/any?page={page}")
            assert answer.status_code == (200 if (page - 1) * 30 < count else 404)
            if answer.status_code == 200:
                assert re.search(rf"\b0 (of|de) {count}\b", answer.text)
                found += re.findall(r'href="/learn/article-(\d+)"', answer.text)
        assert len(found) == len(set(found)) == count
        assert {int(n) // 100 for n in found} == {
            "maria": {0, 1, 3},
            "joao": {0, 2, 3},
            "sofia": {0, 1, 4},
        }[who]
        assert re.search(rf'"/learn/stages/any">[^<]*\b{count}\b', people[who].get("/learn").text)
    assert maria.get("/learn/article-400").status_code == maria.get("/learn/article-500").status_code == 404


def test_a_list_is_in_the_readers_language_and_says_where_there_is_no_translation(
    maria: TestClient, database: Database
) -> None:
    written(database, 0, 40, kind=Kind.TUTORIAL, stage_key=WHEREVER)
    with database.write() as db:
        numbers = range(1_000, 1_040)
        texts = update(TutorialText).where(TutorialText.tutorial_id.in_(numbers))
        db.execute(texts.where(TutorialText.language == Language.EN).values(title="In English"))
        db.execute(texts.where(TutorialText.language == Language.PT_BR).values(title="Em português"))
        only_portuguese = delete(TutorialText).where(TutorialText.language == Language.EN)
        db.execute(only_portuguese.where(TutorialText.tutorial_id.in_(range(1_000, 1_010))))
    first, second = (maria.get(f"/learn/stages/any?page={page}").text for page in (1, 2))
    assert (first.count("<b>In English</b>"), second.count("<b>In English</b>")) == (20, 10)
    assert first.count("<b>Em português</b>") == first.count("in Portuguese") == 10
    assert "Em português" not in second


def test_progress_stays_right_on_every_page(maria: TestClient, database: Database, cast: Cast) -> None:
    written(database, 0, 70, kind=Kind.TUTORIAL, stage_key=WHEREVER)
    for number in (0, 35, 69):
        assert maria.post(f"/learn/article-{number:03}/finish").status_code == 303
    assert maria.post("/learn/article-040/start").status_code == 204
    pages = [maria.get(f"/learn/stages/any?page={page}").text for page in (1, 2, 3)]
    assert all("3 of 70 finished" in page for page in pages)
    assert [page.count('<span class="vh">Finished</span>') for page in pages] == [1, 1, 1]
    assert [page.count("Started ·") for page in pages] == [0, 1, 0]
    assert "3 of 70 finished" in maria.get("/learn").text
    far = maria.get("/learn/article-069").text
    assert "3 of 70 finished" in far and 'href="/learn/article-060"' in far and 'href="/learn/article-001"' not in far
    assert "Because you began it" in maria.get("/learn").text
    maria.post("/learn/article-035/reopen")
    assert "2 of 70 finished" in maria.get("/learn/stages/any?page=2").text
    with database.write() as db:  # what is withdrawn counts no longer, nor does what somebody once read of it
        db.execute(update(Tutorial).where(Tutorial.slug == "article-000").values(published_at=None))
    assert "1 of 69 finished" in maria.get("/learn/stages/any").text


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
