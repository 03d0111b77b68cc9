"""Reading shipped tutorials, shelves and the next lesson; the words that ship, themselves."""

from datetime import UTC, datetime

import pytest

from portal.journeys.shipped import AFTER_SALE, SHIPPED
from portal.learning.actions import CONTENT
from portal.learning.markdown import as_html
from portal.learning.rules import Lesson, State, Written, next_lesson, read_tutorial, shelves

NOON = datetime(2026, 6, 23, 15, tzinfo=UTC)


def lesson(slug: str, stage: str = "deployment", position: int = 1, *, done: bool = False) -> Lesson:
    return Lesson(slug, stage, position, 5, slug.title(), "", NOON if done else None, NOON if done else None)


SHIPPED_TEXTS = [read_tutorial(path.name, path.read_text("utf-8")) for path in sorted(CONTENT.glob("*.md"))]


def test_a_file_is_read_as_its_front_matter_and_its_words() -> None:
    text = "---\ntitle: Colons: fine\nsummary: S\nstage: deployment\nposition: 2\nminutes: 4\n---\n\nWords.\n\n---\nMore.\n"
    assert read_tutorial("a-b.pt-BR.md", text) == Written(
        "a-b", "pt-BR", "deployment", 2, 4, "Colons: fine", "S", "Words.\n\n---\nMore.\n"
    )


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Words",
        "---\ntitle: T\n",
        "---\ntitle: T\n---\nWords",
        "---\ntitle: T\nsummary: S\nstage: s\nposition: 1\nminutes: 2\nrole: x\n---\n",
    ],
)
def test_a_file_without_proper_front_matter_is_refused_by_its_name(text: str) -> None:
    with pytest.raises(ValueError, match=r"^a\.en\.md: "):
        read_tutorial("a.en.md", text)


def test_two_lessons_ship_for_each_of_the_seven_stages_in_both_languages() -> None:
    stages = [stage.key for plan in SHIPPED if plan.key == AFTER_SALE for stage in plan.stages]
    found = sorted((text.stage_key, text.position, text.language) for text in SHIPPED_TEXTS)
    assert found == sorted((key, place, language) for key in stages for place in (1, 2) for language in ("en", "pt-BR"))


def test_both_languages_of_a_lesson_agree_on_its_place() -> None:
    places: dict[str, set[tuple[str, int, int]]] = {}
    for text in SHIPPED_TEXTS:
        places.setdefault(text.slug, set()).add((text.stage_key, text.position, text.minutes))
    assert {slug: len(found) for slug, found in places.items() if len(found) != 1} == {}


@pytest.mark.parametrize("text", SHIPPED_TEXTS, ids=lambda text: f"{text.slug}.{text.language}")
def test_a_shipped_lesson_is_a_proper_read(text: Written) -> None:
    shown = as_html(text.body)
    assert 120 < len(text.body.split()) < 400
    assert len(text.title) <= 60 and 20 < len(text.summary) <= 160
    assert "<h2>" in shown and "<h1>" not in shown
    assert "&lt;" not in shown


def test_what_a_writer_puts_in_is_words_and_never_a_script() -> None:
    shown = as_html(
        "# Big\n<script>alert(1)</script>\n\n[x](javascript:alert(1)) ![p](https://pictures.example/a.png) "
        '<b onclick="x()" hx-get="/y">b</b>\n\n[ok](https://vendor.example "t")'
    )
    assert "<script" not in shown and "<b " not in shown and 'href="javascript' not in shown
    assert '<a href="https://vendor.example" title="t" rel="noopener nofollow">ok</a>' in shown


def test_where_the_customer_is_comes_first_and_then_the_road_from_its_start() -> None:
    stages = [("first", "First"), ("second", "Second"), ("third", "Third"), ("empty", "Empty")]
    lessons = [lesson("c", "third"), lesson("b", "second"), lesson("a", "first"), lesson("x", "elsewhere")]
    found = shelves(stages, lessons, here="second")
    assert [(shelf.key, shelf.is_here, [each.slug for each in shelf.lessons]) for shelf in found] == [
        ("second", True, ["b"]),
        ("first", False, ["a"]),
        ("third", False, ["c"]),
    ]


def test_a_shelf_counts_what_was_finished() -> None:
    [shelf] = shelves([("deployment", "D")], [lesson("a", done=True), lesson("b", position=2)], here="")
    assert (shelf.finished, [each.state for each in shelf.lessons]) == (1, [State.DONE, State.NEW])


@pytest.mark.parametrize(
    ("road", "at", "following"),
    [
        ("abc", "a", "b"),
        ("aBc", "a", "c"),
        ("abC", "b", "a"),
        ("ABC", "b", None),
        ("ABc", "c", None),
        ("ab", "elsewhere", "a"),
        ("", "a", None),
    ],
)
def test_the_next_lesson_is_the_first_unfinished_one_ahead_else_behind(
    road: str, at: str, following: str | None
) -> None:
    along = [lesson(letter.lower(), done=letter.isupper()) for letter in road]
    found = next_lesson(along, at)
    assert (found.slug if found else None) == following
