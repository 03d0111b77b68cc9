"""Reading shipped tutorials, shelves and the next lesson; the words that ship, themselves."""

from datetime import UTC, datetime

import pytest

from portal.accounts.rules import Language
from portal.journeys.shipped import AFTER_SALE, SHIPPED
from portal.learning.actions import CONTENT
from portal.learning.markdown import as_html
from portal.learning.rules import (
    Audience,
    Change,
    Draft,
    Kind,
    Lesson,
    Line,
    State,
    Text,
    Why,
    Written,
    changes,
    is_for,
    next_lesson,
    read_tutorial,
    recommended,
    shelves,
    slugs_for,
)

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
    assert 'href="https://vendor.example"' in shown and 'rel="noopener nofollow"' in shown


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


# For whom


@pytest.mark.parametrize(
    ("plans", "audience", "plan", "own", "expected"),
    [
        ([], Audience.EVERYONE, "", Audience.PRIMARY, True),
        (["Growth"], Audience.EVERYONE, "Growth", Audience.COLLEAGUES, True),
        (["Crescimento"], Audience.EVERYONE, " crescimento", Audience.COLLEAGUES, True),
        (["Growth", "Start"], Audience.EVERYONE, "Team", Audience.PRIMARY, False),
        (["Growth"], Audience.EVERYONE, "", Audience.PRIMARY, False),
        ([], Audience.PRIMARY, "Growth", Audience.PRIMARY, True),
        ([], Audience.PRIMARY, "Growth", Audience.COLLEAGUES, False),
        ([], Audience.COLLEAGUES, "Growth", Audience.PRIMARY, False),
    ],
)
def test_it_is_for_who_has_the_plan_and_the_place(
    plans: list[str], audience: Audience, plan: str, own: Audience, expected: bool
) -> None:
    assert is_for(plans, audience, plan=plan, own=own) is expected


ROAD = [("first", "First hello"), ("second", "Setting up"), ("third", "30-day check-in")]


def reasons(lessons: list[Lesson], here: str = "second") -> list[tuple[str, Why, str]]:
    return [(one.lesson.slug, one.why, one.stage_name) for one in recommended(ROAD, lessons, here=here)]


def test_what_was_begun_comes_before_where_they_are_and_that_before_what_was_left_out() -> None:
    begun = lesson("ahead", "third")._replace(started_at=NOON)
    lessons = [lesson("old", "first"), lesson("b", "second", 2), lesson("a", "second", 1), begun]
    assert reasons(lessons) == [
        ("ahead", Why.BEGUN, "30-day check-in"),
        ("a", Why.HERE, "Setting up"),
        ("b", Why.HERE, "Setting up"),
    ]
    assert reasons([*lessons[:1], lesson("a", "second", done=True)]) == [("old", Why.EARLIER, "First hello")]


def test_a_look_ahead_is_offered_once_all_else_is_read_and_then_nothing() -> None:
    ahead = [lesson("b", "third", 2), lesson("a", "third", 1), lesson("x", "second", done=True)]
    assert reasons(ahead) == [("a", Why.AHEAD, "30-day check-in")]
    assert reasons([lesson("x", "second", done=True)]) == []


def test_what_is_for_the_whole_way_is_recommended_anywhere_and_examples_and_news_never() -> None:
    news = lesson("n", "second")._replace(kind=Kind.NEWS)
    assert reasons([lesson("any", ""), news, lesson("other", "elsewhere")]) == [("any", Why.HERE, "")]
    assert reasons([lesson("a", "first")], here="") == [("a", Why.AHEAD, "First hello")]


# What staff write


def draft(body: str = "One\nTwo\nThree\nFour\nFive\nSix\n", **more: object) -> Draft:
    texts = {Language.EN: Text("Title", "", body)}
    values = {"kind": Kind.TUTORIAL, "stage_key": "", "position": 1, "minutes": 3, "audience": Audience.EVERYONE}
    return Draft(**{**values, "plans": ("Growth",), "happened_on": None, "texts": texts, **more})  # type: ignore[arg-type]


def test_a_draft_is_the_same_after_it_was_kept() -> None:
    news = draft(kind=Kind.NEWS, happened_on=NOON.date())
    assert Draft.from_json(news.as_json()) == news


def test_a_comparison_shows_lines_with_what_stands_around_them() -> None:
    before, after = draft(), draft("One\nTwo\nThree\nFour\n5\nSix\n", minutes=4)
    assert changes(before, after) == [
        Change("minutes", "", [Line("-", "3"), Line("+", "4")]),
        Change(
            "body",
            "en",
            [
                Line("…", ""), Line(" ", "Three"), Line(" ", "Four"),
                Line("-", "Five"), Line("+", "5"), Line(" ", "Six"),
            ],
        ),
    ]  # fmt: skip
    assert changes(before, before) == []


def test_a_comparison_shows_a_language_that_came_or_went() -> None:
    both = draft(texts={**draft().texts, Language.PT_BR: Text("Título", "", "Um\n")})
    assert [(each.field, each.language) for each in changes(draft(), both)] == [("title", "pt-BR"), ("body", "pt-BR")]


@pytest.mark.parametrize(
    ("title", "slugs"),
    [
        ("Conte seu Estoque, já!", ["conte-seu-estoque-ja", "conte-seu-estoque-ja-2", "conte-seu-estoque-ja-3"]),
        ("News", ["news-2", "news-3", "news-4"]),
        ("日本", ["lesson", "lesson-2", "lesson-3"]),
        ("x" * 200, ["x" * 60, "x" * 60 + "-2", "x" * 60 + "-3"]),
    ],
)
def test_an_address_is_made_of_the_title(title: str, slugs: list[str]) -> None:
    assert slugs_for(title, last=0)[:3] == slugs


@pytest.mark.parametrize("last", [0, 1, 48, 49, 50, 51, 5_000, 10**15])
def test_the_addresses_to_try_are_few_and_differ_and_go_beyond_the_last_number(last: int) -> None:
    slugs = slugs_for("Again", last=last)
    assert len(slugs) == len(set(slugs)) == 99
    assert slugs[49] == f"again-{max(last + 1, 50)}"
    assert all(len(slug) <= 80 for slug in slugs_for("x" * 200, last=last))
