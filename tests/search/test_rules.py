"""Folding, misspelling, ranking and marking: pure, and held by properties."""

import string
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.search import rules
from portal.search.rules import Piece

WORDS = st.text(alphabet="abcdefgo", min_size=1, max_size=12)


# Folding


@given(st.text())
def test_folding_twice_changes_nothing_more(text: str) -> None:
    assert rules.fold(rules.fold(text)) == rules.fold(text)


@given(st.text())
def test_case_and_accents_make_no_difference(text: str) -> None:
    assert rules.fold(unicodedata.normalize("NFD", text)) == rules.fold(unicodedata.normalize("NFC", text))
    assert rules.fold(text.lower()) == rules.fold(rules.fold(text).lower()) or not text.isascii()


@given(st.text())
def test_folding_in_place_keeps_every_place(text: str) -> None:
    assert len(rules.fold_in_place(text)) == len(text)


@given(st.text())
def test_words_are_letters_and_digits_alone(text: str) -> None:
    assert all(word.isalnum() and len(word) <= rules.LONGEST_WORD for word in rules.words_in(text))


@pytest.mark.parametrize(
    ("text", "folded"),
    [
        ("Implantação", "implantacao"),
        ("ÀÉÎÕÜ ç ñ", "aeiou c n"),
        ("Straße", "strasse"),
        ("ﬁm", "fim"),
        ("İstanbul", "istanbul"),
    ],
)
def test_folded(text: str, folded: str) -> None:
    assert rules.fold(text) == folded


# Asking


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ("Como agendar uma reunião?", ("agendar", "reuniao")),
        ("de", ("de",)),
        ("the", ("the",)),
        ('"receipt" AND NEAR(x) *', ("receipt", "near", "x")),
        ("🦊 !!! ،", ()),
        ("receipt receipt", ("receipt",)),
        ("plano de", ("plano",)),
        ("مرحبا", ("مرحبا",)),
    ],
)
def test_the_words_to_look_for(typed: str, words: tuple[str, ...]) -> None:
    assert rules.asked_for(typed) == words


def test_ten_thousand_words_are_eight() -> None:
    assert len(rules.asked_for(" ".join(f"w{n}" for n in range(10_000)))) == rules.MOST_WORDS


@pytest.mark.parametrize(
    ("one", "other"), [("reunioes", "reuniao"), ("booked", "booking"), ("recibos", "recibo"), ("policies", "policy")]
)
def test_forms_of_a_word_share_their_beginning(one: str, other: str) -> None:
    assert other.startswith(rules.stem(one)) or rules.stem(other) == rules.stem(one)


@given(WORDS)
def test_a_stem_is_a_beginning(word: str) -> None:
    assert word.startswith(rules.stem(word))
    assert rules.stem(word) == word or len(rules.stem(word)) >= 4


# Misspelling


@given(WORDS, WORDS)
def test_the_distance_is_the_same_both_ways(one: str, other: str) -> None:
    assert rules.distance(one, other) == rules.distance(other, one)


@given(WORDS, WORDS)
def test_the_distance_has_its_bounds(one: str, other: str) -> None:
    far = rules.distance(one, other)
    assert abs(len(one) - len(other)) <= far <= max(len(one), len(other))
    assert (far == 0) == (one == other)


@given(WORDS, st.integers(0, 11), st.sampled_from(string.ascii_lowercase))
def test_one_slip_is_one(word: str, at: int, letter: str) -> None:
    at %= len(word)
    more, less, another = (
        word[:at] + letter + word[at:],
        word[:at] + word[at + 1 :],
        word[:at] + letter + word[at + 1 :],
    )
    swapped = word[:at] + word[at + 1 : at + 2] + word[at] + word[at + 2 :]
    assert rules.distance(word, more) == rules.distance(word, less) == 1
    assert rules.distance(word, another) <= 1
    assert rules.distance(word, swapped) <= 1


SLIPS = st.lists(
    st.tuples(st.sampled_from(["more", "less", "other", "swap"]), st.integers(0, 12), st.sampled_from("abcdefgo"))
)


@given(st.text(alphabet="abcdefgo", min_size=4, max_size=12), SLIPS)
def test_what_is_near_shares_a_part(word: str, slips: list[tuple[str, int, str]]) -> None:
    """The index finds by parts what a comparison with every word would find."""
    typed = word
    for what, at, letter in slips[:2]:
        at %= len(typed) or 1
        match what:
            case "more":
                typed = typed[:at] + letter + typed[at:]
            case "less":
                typed = typed[:at] + typed[at + 1 :]
            case "other":
                typed = typed[:at] + letter + typed[at + 1 :]
            case _:
                typed = typed[:at] + typed[at + 1 : at + 2] + typed[at : at + 1] + typed[at + 2 :]
    allowed = min(rules.allowance(word), rules.allowance(typed))
    if allowed and rules.distance(word, typed) <= allowed:
        assert rules.parts(word) & rules.parts(typed)


@pytest.mark.parametrize(
    ("typed", "known", "meant"),
    [
        ("agendmento", ["agendamento", "argumento", "acabamento"], "agendamento"),
        ("reciept", ["receipt", "recipe", "recent"], "receipt"),
        ("agendmen", ["agendamento"], "agendamento"),
        ("recbo", ["recibo", "rebocado"], "recibo"),
        ("pagamneto", ["pagamento"], "pagamento"),
    ],
)
def test_what_was_meant(typed: str, known: list[str], meant: str) -> None:
    assert rules.nearest(typed, known)[0] == meant


@pytest.mark.parametrize(("typed", "known"), [("abc", "abd"), ("dois", "doze"), ("receipt", "deposit")])
def test_what_is_too_far_was_not_meant(typed: str, known: str) -> None:
    assert rules.nearest(typed, [known]) == ()


# Ranking and showing


def test_the_word_itself_is_closer_than_its_beginning_than_another_form_than_a_slip() -> None:
    terms = rules.with_spellings(rules.with_other_forms(rules.as_typed(["agendar"])), {"agendar": ("agenda",)})
    said = ["agendar", "agendaram", "agendamento", "agenda"]
    assert [rules.closeness(terms, f" {word} ") for word in said] == [1.0, 0.8, 0.6, 0.6]
    assert rules.closeness(terms, " outra ") == 0.0


def test_marks_stand_on_the_original_text() -> None:
    pattern = rules.pattern_of(rules.as_typed(["implant"]))
    assert rules.marked("A Implantação <b>", pattern) == (
        Piece("A ", False), Piece("Implantação", True), Piece(" <b>", False),
    )  # fmt: skip


@given(st.text(), st.text(min_size=1))
def test_marking_loses_nothing(text: str, typed: str) -> None:
    pattern = rules.pattern_of(rules.as_typed(rules.asked_for(typed)))
    assert "".join(piece.text for piece in rules.marked(text, pattern)) == text


@given(st.text(max_size=2_000), st.text(min_size=1))
def test_an_excerpt_is_short(text: str, typed: str) -> None:
    terms = rules.as_typed(rules.asked_for(typed))
    assert len(rules.excerpt(text, rules.first_place(terms, rules.fold_in_place(text)))) <= rules.EXCERPT + 4


def test_an_excerpt_shows_the_word_that_was_looked_for() -> None:
    text = "Before. " * 100 + "Here the agendamento stands. " + "After. " * 100
    said = rules.excerpt(text, rules.first_place(rules.as_typed(["agendamento"]), rules.fold_in_place(text)))
    assert "agendamento" in said
    assert said.startswith("… ")
    assert said.endswith(" …")


@given(st.text(alphabet="ab ,1é_", max_size=60), st.text(alphabet="ab1", min_size=1, max_size=3), st.booleans())
def test_the_first_place_is_where_the_pattern_finds_it(text: str, word: str, whole: bool) -> None:
    folded = rules.fold_in_place(text)
    term = rules.Term(word, (), (word,)) if whole else rules.Term(word, (word,))
    found = rules.pattern_of([term]).search(folded)
    assert rules.first_place([term], folded) == (found.start() if found else -1)


@given(st.text(alphabet="abc", max_size=8), st.text(alphabet="abc", max_size=8))
def test_what_two_words_begin_with_changes_no_distance(one: str, other: str) -> None:
    for same in ("a", "abc"):
        assert rules.distance(same + one, same + other) == rules.distance(one, other)


def test_a_word_is_written_as_the_text_writes_it() -> None:
    assert (
        rules.as_written("implantacao", [("nothing", "nothing"), ("A Implantação", "a implantacao")]) == "implantação"
    )
