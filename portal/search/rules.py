"""How words are compared: folded, cut, misspelt, ranked and marked. Pure functions over text."""

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from hashlib import sha256
from itertools import combinations
from typing import NamedTuple


class Kind(StrEnum):
    """What can be found. Not a closed set of the database: a new word here needs no migration."""

    LESSON = "lesson"
    EXAMPLE = "example"
    NEWS = "news"
    PLAN = "plan"
    TOLD = "told"
    MEETING = "meeting"
    PERSON = "person"
    MESSAGE = "message"
    PLACE = "place"


EVERYBODY = "everybody"


def of_plan(name: str) -> str:
    """The audience of customers who bought that plan; case and accents don't matter."""
    return f"plan:{fold(name).strip()[:70]}"


def of_place(audience: str, place: str) -> str:
    """Of an audience only those with that place at their account (the main contact, or colleagues): none in `audience` itself."""
    return f"{audience}|{place[:4]}"


def of_account(account_id: int) -> str:
    return f"account:{account_id}"


def of_contact(contact_id: int) -> str:
    return f"contact:{contact_id}"


def scope(audience: str, language: str) -> str:
    """One word for whom and in which language, that stands in the index beside a document's own words: so the index itself
    passes over what the reader may not see, however much of that there is."""
    return sha256(f"{audience}\0{language}".encode()).hexdigest()[:20]


@dataclass(frozen=True)
class Document:
    """One thing to be found, in one language, by one audience. `text` is plain: no Markdown, no HTML.

    `place`: the key of the stage it belongs to, which nudges it up for who stands there. `names`: further words that it
    goes by and that are not shown.
    """

    kind: Kind
    ref: str
    language: str
    title: str
    path: str
    text: str = ""
    audience: str = EVERYBODY
    place: str = ""
    names: str = ""

    @property
    def fingerprint(self) -> str:
        """Changes whenever anything of it does."""
        parts = (self.title, self.path, self.text, self.place, self.names)
        return sha256("\0".join(parts).encode()).hexdigest()


# Folding


class _Folding(dict[int, str]):
    """What each character is without case and accents, found out when it first appears."""

    def __missing__(self, code: int) -> str:
        plain = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", chr(code)).casefold())
        folded = "".join(c for c in plain if not unicodedata.combining(c)).casefold()
        if code < 0x3000:  # alphabets are remembered; a sender of every character there is fills no memory
            self[code] = folded
        return folded


class _SameLength(dict[int, str]):
    """The same with one character for each, so that places in the folded text are places in the text."""

    def __missing__(self, code: int) -> str:
        folded = _FOLDED[code]
        same = folded[0] if folded else chr(code)
        if code < 0x3000:
            self[code] = same
        return same


_FOLDED = _Folding()
_SAME_LENGTH = _SameLength()


def fold(text: str) -> str:
    """Without case and accents: `Implantação` is `implantacao`."""
    return text.lower() if text.isascii() else text.translate(_FOLDED)


def fold_in_place(text: str) -> str:
    """Folded, and exactly as long as the text (a `ß` is one `s` here)."""
    return text.lower() if text.isascii() else text.translate(_SAME_LENGTH)


_WORD = re.compile(r"[^\W_]+")
LONGEST_WORD = 40
LONGEST_TEXT = 50_000
"""Characters of a text that can be found."""


def words_in(text: str) -> list[str]:
    """The folded words of a text, in order."""
    return [word[:LONGEST_WORD] for word in _WORD.findall(fold(text))]


def spaced(text: str) -> str:
    """The folded words with a space before and after each: ` implantacao passo a passo `. Whether a word is there, or one
    that begins like it, is then one look for a stretch of text."""
    return f" {' '.join(words_in(text))} "


spaced_short = lru_cache(maxsize=8192)(spaced)
"""The same, remembered: titles and the reader's own lines are looked through again with each letter that is typed."""


# Asking

MOST_WORDS = 8
SHORTEST_PREFIX = 2

# Words that carry no meaning of their own: left out of a question that has others.
_SMALL = frozenset(
    "a o e as os um uma de do da dos das em no na nos nas por para pra com que como eu meu minha se ao aos ou é "
    "the an of to in on at for and or is are how do i my we our it with what where when can".split()
) | {"e"}


def asked_for(typed: str) -> tuple[str, ...]:
    """The words to look for; none if what was typed has none. Operators, punctuation and emoji are no words."""
    found = list(dict.fromkeys(words_in(typed)))[:MOST_WORDS]
    if not found:
        return ()
    # The last one may be the beginning of another word.
    telling = [word for word in found[:-1] if word not in _SMALL]
    if telling and found[-1] in _SMALL:
        return tuple(telling)
    return (*telling, found[-1])


_ENDINGS = sorted(
    "s es ns ais eis ois oes aes ao cao coes mente mento mentos ar er ir ando endo indo ado ada ido ida ados adas "
    "ies ing ings ed er ers ment ments ly ion ions".split(),
    key=len,
    reverse=True,
)


def stem(word: str) -> str:
    """The beginning that a word shares with its other forms: `reunioes` and `reuniao`, `booked` and `booking`."""
    for ending in _ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= 4:
            return word[: -len(ending)]
    return word


class Term(NamedTuple):
    """One word to look for and what else will do for it: beginnings of words, and whole words."""

    word: str
    beginnings: tuple[str, ...]
    whole: tuple[str, ...] = ()

    def is_in(self, said: str) -> bool:
        """Whether a text (`spaced`) has it."""
        return any(f" {each}" in said for each in self.beginnings) or any(f" {each} " in said for each in self.whole)


def as_typed(words: Sequence[str]) -> tuple[Term, ...]:
    """Each word as it stands, and whatever begins with it: somebody is still typing. A single letter stands for itself."""
    return tuple(
        Term(word, (word,)) if len(word) >= SHORTEST_PREFIX or not word.isascii() else Term(word, (), (word,))
        for word in words
    )


def with_other_forms(terms: Sequence[Term]) -> tuple[Term, ...]:
    """The same with the words' other endings."""
    return tuple(
        term._replace(beginnings=(stem(term.word),)) if term.beginnings == (term.word,) else term for term in terms
    )


def with_spellings(terms: Sequence[Term], spellings: dict[str, tuple[str, ...]]) -> tuple[Term, ...]:
    """The same with the words that may have been meant."""
    return tuple(term._replace(whole=(*term.whole, *spellings.get(term.word, ()))) for term in terms)


# Misspelling

CUT = 7
"""Of longer words only the beginning is looked up; what comes after is compared afterwards."""


def allowance(word: str) -> int:
    """How many slips are forgiven: none in short words, one from four letters, two from seven."""
    return 0 if len(word) < 4 else 1 if len(word) < 7 else 2


def last_row(one: str, other: str) -> list[int]:
    """Damerau-Levenshtein distances (neighbours swapped count once) from `one` to each beginning of `other`."""
    before: list[int] = []
    row = list(range(len(other) + 1))
    for i, a in enumerate(one, 1):
        above, row = row, [i]
        for j, b in enumerate(other, 1):
            cost = min(above[j] + 1, row[j - 1] + 1, above[j - 1] + (a != b))
            if i > 1 and j > 1 and a == other[j - 2] and one[i - 2] == b:
                cost = min(cost, before[j - 2] + 1)
            row.append(cost)
        before = above
    return row


def distance(one: str, other: str) -> int:
    """How many slips (a letter more, less, another, two swapped) lie between two words."""
    return last_row(one, other)[-1]


@lru_cache(maxsize=4096)
def parts(word: str) -> frozenset[str]:
    """What remains of a word's beginning when up to its allowance of letters are taken out. Two words within the smaller
    allowance of both share one of them, so that an index finds what a comparison with every word would."""
    beginning = word[:CUT]
    return frozenset(
        "".join(beginning[i] for i in range(len(beginning)) if i not in gone)
        for slips in range(min(allowance(word), len(beginning) - 1) + 1)
        for gone in combinations(range(len(beginning)), slips)
    )


def can_be_misspelt(word: str) -> bool:
    """Short words and numbers are what they are."""
    return len(word) >= 4 and word.isalpha()


MOST_SPELLINGS = 6


def nearest(typed: str, known: Iterable[str]) -> tuple[str, ...]:
    """The known words that were most likely meant, the likeliest first. A word half typed may have slips, too."""
    found = []
    for word in set(known):
        most = min(allowance(typed), allowance(word))
        if word == typed or len(word) < len(typed) - most or len(word) > len(typed) + 12:
            continue
        # What both begin with needs no comparing: most of what is near a word begins like it.
        same = _shared_beginning(typed, word)
        row = last_row(typed[same:], word[same:])
        slips, begun = row[-1], min(row)
        if slips <= most:
            found.append((slips * 2, word[0] != typed[0], abs(len(word) - len(typed)), word))
        elif len(typed) >= 5 and begun <= min(most, 1):
            found.append((begun * 2 + 1, word[0] != typed[0], len(word) - len(typed), word))
    found.sort()
    # Two slips away is no guess at all where one slip leads to a word.
    best = [each for each in found if each[0] <= found[0][0] + 1]
    return tuple(word for *_, word in best[:MOST_SPELLINGS])


def _shared_beginning(one: str, other: str) -> int:
    return next((n for n, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))


# Ranking


def closeness(terms: Sequence[Term], said: str) -> float:
    """From 0 to 1: how well a title (`spaced`) answers what was typed; the word itself, then its beginning, then another
    form, then a likely misspelling."""
    total = 0.0
    for term in terms:
        if f" {term.word} " in said:
            total += 1.0
        elif f" {term.word}" in said:
            total += 0.8
        elif any(f" {each}" in said for each in term.beginnings):
            total += 0.6
        elif any(f" {each} " in said for each in term.whole):
            total += 0.4
    return total / len(terms) if terms else 0.0


def matches(terms: Sequence[Term], said: str, *, least: int) -> bool:
    """Whether that many of the terms are met in a text (`spaced`)."""
    return sum(term.is_in(said) for term in terms) >= least


# Showing


class Piece(NamedTuple):
    """A stretch of text, marked if it is what was looked for."""

    text: str
    is_hit: bool


def pattern_of(terms: Sequence[Term]) -> re.Pattern[str]:
    """Finds the terms' words in text that was folded in place."""
    starts = [re.escape(each) + r"[^\W_]*" for term in terms for each in term.beginnings]
    whole = [re.escape(each) + r"(?![^\W_])" for term in terms for each in term.whole]
    return re.compile(r"(?<![^\W_])(?:" + "|".join([*whole, *starts] or [r"(?!)"]) + ")")


def marked(text: str, pattern: re.Pattern[str]) -> tuple[Piece, ...]:
    """The text in pieces, what was looked for being marked."""
    return tuple(_pieces(text, pattern))


def _pieces(text: str, pattern: re.Pattern[str]) -> Iterator[Piece]:
    at = 0
    for found in pattern.finditer(fold_in_place(text)):
        if found.start() > at:
            yield Piece(text[at : found.start()], False)
        yield Piece(text[found.start() : found.end()], True)
        at = found.end()
    if at < len(text):
        yield Piece(text[at:], False)


EXCERPT = 170
LOOKED_THROUGH = 20_000
"""How far into a text an excerpt is looked for: a page of results must not read books."""


def first_place(terms: Sequence[Term], folded: str) -> int:
    """Where the first of the words begins in text that was folded in place; -1 where none does. Looking for each of them is
    some ten times quicker than asking a pattern at every letter."""
    begin = (_next_word(folded, each, is_whole=False) for term in terms for each in term.beginnings)
    whole = (_next_word(folded, each, is_whole=True) for term in terms for each in term.whole)
    return min((place for place in (*begin, *whole) if place >= 0), default=-1)


def _next_word(folded: str, looked_for: str, *, is_whole: bool) -> int:
    at = folded.find(looked_for, 0, LOOKED_THROUGH)
    while at >= 0:
        end = at + len(looked_for)
        if not folded[at - 1 : at].isalnum() and not (is_whole and folded[end : end + 1].isalnum()):
            return at
        at = folded.find(looked_for, at + 1, LOOKED_THROUGH)
    return -1


def excerpt(text: str, at: int) -> str:
    """The stretch of the text around a place in it (`first_place`); its beginning where there is none."""
    start = max(at - EXCERPT // 3, 0)
    if start:
        start = text.find(" ", start, at) + 1 or start
    end = start + EXCERPT
    if end < len(text):
        end = max(text.rfind(" ", start + EXCERPT // 2, end), start + EXCERPT // 2)
    said = " ".join(text[start:end].split())
    return ("… " if start else "") + said + (" …" if end < len(text) else "")


def as_written(word: str, texts: Iterable[tuple[str, str]]) -> str:
    """A folded word as one of the texts (each with itself folded in place) writes it, with its accents; itself if none
    has it."""
    pattern = re.compile(rf"(?<![^\W_]){re.escape(word)}(?![^\W_])")
    for text, folded in texts:
        found = pattern.search(folded, 0, LOOKED_THROUGH)
        if found:
            return text[found.start() : found.end()].lower()
    return word
