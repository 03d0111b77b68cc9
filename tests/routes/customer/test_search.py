"""The page of search: everything of the reader's, nothing of anybody else's, in their language, whatever they type."""

from collections.abc import Callable
from datetime import date
from html import unescape

import pytest
from fastapi import FastAPI
from sqlalchemy import select, update
from starlette.testclient import TestClient

from portal.accounts.models import Contact
from portal.accounts.rules import Language
from portal.db import Database
from portal.findable import bring_up_to_date, make_anew
from portal.journeys.models import GoalRow, Milestone, PendingIssue
from portal.journeys.rules import Whose
from portal.learning.findable import keep_findable
from portal.learning.models import Tutorial
from portal.messages.actions import Draft, post
from portal.routes.customer.search import PLACES
from portal.shipped import load_all
from tests.routes.conftest import NOON, Cast, SignIn
from tests.routes.staff.conftest import Road, statements

PART = {"HX-Request": "true", "HX-Request-Type": "partial"}


@pytest.fixture
def shelf(database: Database, road: Road, cast: Cast) -> None:
    """All that ships, and in Lumen's plan some words that nobody else has."""
    with database.write() as db:
        load_all(db, now=NOON)
        words = {"title_en": "Import the zeppelin list", "title_pt": "Importar a lista de zepelins"}
        db.add(Milestone(journey_id=road.lumen, key="zeppelin", whose=Whose.YOU, due_on=date(2026, 7, 3), **words))
        made = {"created_at": NOON, "created_by": "system"}
        db.add(GoalRow(journey_id=road.lumen, day=30, title="Fewer mandolins", measure="7 of 9", **made))
        db.add(
            PendingIssue(
                journey_id=road.lumen, problem="The kazoo export fails", whose=Whose.US, due_on=date(2026, 7, 9), **made
            )
        )


def look(browser: TestClient, typed: str) -> str:
    answer = browser.get("/search", params={"q": typed})
    assert answer.status_code == 200
    return unescape(answer.text)


@pytest.fixture
def joao(signed_in: SignIn, cast: Cast, road: Road) -> TestClient:
    return signed_in(contact_id=cast.joao)


@pytest.fixture
def sofia(signed_in: SignIn, cast: Cast, road: Road) -> TestClient:
    return signed_in(contact_id=cast.sofia)


@pytest.mark.usefixtures("shelf")
@pytest.mark.parametrize("typed", ["zeppelin", "zepelin", "mandolins", "kazoo", "kazo"])
def test_a_customer_finds_their_own_plan_and_sofia_nothing_of_it(
    maria: TestClient, sofia: TestClient, typed: str
) -> None:
    found, hidden = look(maria, typed), look(sofia, typed)
    assert "Your plan</h2>" in found
    assert "<mark>" in found
    assert ("<mark>" in hidden, "Did you mean" in hidden) == (False, False)
    assert [word for word in ("zeppelin list", "Fewer", "kazoo export") if word in hidden] == []


@pytest.mark.usefixtures("shelf")
def test_a_lesson_is_found_with_a_slip_and_without_accents_in_the_readers_language(
    maria: TestClient, joao: TestClient
) -> None:
    assert "Write one good <mark>goal</mark>" in look(maria, "goal")
    assert 'href="/search?q=workspace"' in look(maria, "workspcae"), "what was meant is said, and is a link"
    assert "/learn/your-first-hour" in look(joao, "espaco de trabalho")
    assert "<mark>espaço</mark>" in look(joao, "ESPACO")


@pytest.mark.usefixtures("shelf")
@pytest.mark.parametrize("typed", ["Noor", "carla", "nunes", "telefone", "support"])
def test_the_consultant_is_found_by_name_and_by_what_they_are_for(maria: TestClient, typed: str) -> None:
    assert ("Carla Nunes" if typed != "Noor" else "Nothing found") in look(maria, typed).replace("<mark>", "").replace(
        "</mark>", ""
    )


@pytest.mark.usefixtures("shelf")
def test_the_portals_own_places_are_found_by_what_people_call_them(maria: TestClient, joao: TestClient) -> None:
    for typed, path in (("invite", "/refer"), ("indicar", "/refer"), ("fuso", "/details"), ("book", "/check-ins/new")):
        assert f'class="hit" href="{path}"' in look(maria, typed), typed
        assert f'class="hit" href="{path}"' in look(joao, typed), typed


@pytest.mark.usefixtures("shelf")
@pytest.mark.parametrize("place", PLACES, ids=lambda place: place.path)
def test_every_place_is_there(maria: TestClient, place: object) -> None:
    assert maria.get(place.path).status_code == 200  # type: ignore[attr-defined]


@pytest.mark.usefixtures("shelf")
def test_a_lesson_that_is_taken_back_is_not_found_any_more(database: Database, maria: TestClient) -> None:
    assert "/learn/one-good-goal" in look(maria, "good goal")
    with database.write() as db:
        lesson = db.scalars(select(Tutorial).where(Tutorial.slug == "one-good-goal")).one()
        lesson.published_at = None
        keep_findable(db, lesson.id)
    assert "/learn/one-good-goal" not in look(maria, "good goal")
    with database.write() as db:
        lesson = db.scalars(select(Tutorial).where(Tutorial.slug == "one-good-goal")).one()
        lesson.published_at = NOON
        keep_findable(db, lesson.id)
    assert "/learn/one-good-goal" in look(maria, "good goal")


@pytest.mark.usefixtures("shelf")
def test_the_index_is_up_to_date_after_loading_and_the_same_made_anew(database: Database, maria: TestClient) -> None:
    kept = look(maria, "goal")
    with database.write() as db:
        assert bring_up_to_date(db) == 0
        assert make_anew(db) == 28
    assert look(maria, "goal") == kept


@pytest.mark.usefixtures("shelf")
def test_a_message_is_found_by_its_account_alone(
    onward: FastAPI, database: Database, cast: Cast, maria: TestClient, joao: TestClient, sofia: TestClient
) -> None:
    draft = Draft(account_id=cast.lumen, contact_id=cast.maria, text="The trombone till is stuck", key="trombone")
    with database.write() as db:
        number = post(db, onward.state.wiring.house, draft, now=NOON)
    for typed in ("trombone", "trombnoe"):
        assert f'href="/messages?before={number + 1}#m{number}"' in look(maria, typed)
        assert "<mark>trombone</mark>" in look(joao, typed), "whatever language the reader has"
        hidden = look(sofia, typed)
        assert ("<mark>" in hidden, "Did you mean" in hidden, "till is stuck" in hidden) == (False, False, False)
    with database.write() as db:
        assert bring_up_to_date(db) == 0


@pytest.mark.usefixtures("shelf")
def test_htmx_gets_the_part_it_asks_for(maria: TestClient) -> None:
    part = maria.get("/search?q=goal", headers=PART).text
    assert part.lstrip().startswith('<div class="stack g-5" id="found">')
    assert "<html" not in part
    box = maria.get("/search?q=goal&in=box", headers=PART).text
    assert ('<ul class="hits">' in box, "All results" in box, "<form" in box) == (True, True, False)


@pytest.mark.usefixtures("shelf")
def test_what_was_typed_is_text(maria: TestClient) -> None:
    answer = maria.get("/search", params={"q": '<b>"x"</b>'}).text
    assert "<b>&#34;x" not in answer
    assert "&lt;b&gt;&#34;x&#34;&lt;/b&gt;" in answer


@pytest.mark.usefixtures("shelf")
@pytest.mark.parametrize(
    "typed",
    ["", " ", '"', "*", "AND", "NEAR(", "a:b", "\0goal", "🦊", "...", "مرحبا", "x" * 10_000, "goal " * 2_000, "%", "\\", "\u202egoal", "' OR 1=1 --"],
)  # fmt: skip
def test_whatever_is_typed_is_answered(maria: TestClient, typed: str) -> None:
    for headers in ({}, PART):
        for where in ("", "box"):
            assert maria.get("/search", params={"q": typed, "in": where}, headers=headers).status_code == 200


@pytest.mark.usefixtures("shelf")
def test_where_nothing_is_found_lessons_and_the_consultant_are_offered(maria: TestClient) -> None:
    page = look(maria, "xyzzyqwert")
    assert "Nothing found for “xyzzyqwert”" in page
    assert "Often read where you are now" in page
    assert "Or ask your consultant" in page


def test_a_customer_without_a_journey_can_search(database: Database, signed_in: SignIn, cast: Cast) -> None:
    with database.write() as db:
        load_all(db, now=NOON)
        db.execute(update(Contact).where(Contact.id == cast.sofia).values(language=Language.PT_BR))
    assert "/learn/one-good-goal" in look(signed_in(contact_id=cast.sofia), "meta")


More = Callable[[int], None]


@pytest.mark.usefixtures("shelf")
def test_the_page_takes_as_many_statements_with_many_rows_as_with_few(
    database: Database, maria: TestClient, road: Road
) -> None:
    look(maria, "zeppelin")  # the pipeline's stages are read once a process
    with statements(database) as with_one:
        first = look(maria, "goals")
    with database.write() as db:
        for number in range(5):
            db.add(
                Milestone(
                    journey_id=road.lumen,
                    key=f"m{number}",
                    whose=Whose.YOU,
                    title_en=f"Goals {number}",
                    title_pt="Metas",
                )
            )
    with statements(database) as with_more:
        assert look(maria, "goals") != first
    # Session, what is theirs (journey, plan, what they told us, meetings), the index, texts;
    # for the frame, how to reach us.
    assert (len(with_one), len(with_more)) == (5, 5), "\n".join(with_more)
