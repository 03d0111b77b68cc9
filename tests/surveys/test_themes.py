"""Themes: words that people use together, in both languages, the same every time."""

from hypothesis import given
from hypothesis import strategies as st

from portal.surveys.themes import MOST_COMMENTS, MOST_THEMES, Written, stem, themes

ABOUT_STOCK = [
    "The stock count is wrong",
    "Our stock never counts right",
    "Stock counting takes an hour",
    "stock counts!",
]
ABOUT_PRINTING = ["Labels print crooked", "The label printer jams", "printing labels is slow"]
SOBRE_PRECO = ["O preço das entregas subiu", "Preços de entrega altos", "A entrega tem preço justo"]


def written(*texts: str, language: str = "en", start: int = 1) -> list[Written]:
    return [Written(number, text, language) for number, text in enumerate(texts, start)]


def test_comments_with_the_same_words_make_a_theme_named_by_them() -> None:
    found = themes(written(*ABOUT_STOCK, *ABOUT_PRINTING))
    assert [(set(theme.words), theme.comments) for theme in found] == [
        ({"stock", "counts"}, (1, 2, 3, 4)),
        ({"labels", "print"}, (5, 6, 7)),
    ]


def test_accents_and_endings_do_not_tell_words_apart_and_the_name_keeps_its_accents() -> None:
    (theme,) = themes(written(*SOBRE_PRECO, "Suporte rápido", "Gostei da cor", "Tela escura", language="pt-BR"))
    assert (set(theme.words), theme.comments) == ({"preço", "entrega"}, (1, 2, 3))


def test_languages_are_kept_apart() -> None:
    both = [
        *written(*ABOUT_STOCK, *ABOUT_PRINTING),
        *written(*SOBRE_PRECO, "Bom", "Ok", "Sim", language="pt-BR", start=20),
    ]
    assert {theme.language for theme in themes(both)} == {"en", "pt-BR"}


def test_two_comments_are_no_theme_and_small_words_never_are() -> None:
    assert (
        themes(written("The printer jams", "Printer jams again", "and then it is what it was", "it is what it was"))
        == []
    )
    assert themes([]) == []


def test_words_are_cut_but_never_to_nothing() -> None:
    assert stem("orders", "en") == stem("ordering", "en") == stem("ordered", "en") == "order"
    assert stem("entregas", "pt-BR") == stem("entrega", "pt-BR") == "entreg"
    assert stem("is", "en") == "is"


@given(st.lists(st.text(alphabet="abc dé\n.", max_size=40), max_size=60))
def test_any_comments_give_few_themes_of_their_own_comments_the_same_each_time(texts: list[str]) -> None:
    comments = written(*texts)
    found = themes(comments)
    assert found == themes(comments)
    assert len(found) <= MOST_THEMES
    members = [number for theme in found for number in theme.comments]
    assert len(members) == len(set(members)) and set(members) <= {one.id for one in comments}


def test_only_the_newest_are_read() -> None:
    old = written(*["stock count"] * 5, start=MOST_COMMENTS + 1)
    assert themes([*written(*["nothing alike"] * MOST_COMMENTS), *old]) == []
