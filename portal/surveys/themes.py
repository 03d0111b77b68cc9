"""What comments are about: words that people use together, found here and sent nowhere. Pure functions, the same result
for the same comments every time.

In three steps that can be explained to anybody: words are cut to their stems; stems that often stand in the same comments
are joined into one theme (average linkage over Jaccard's similarity); a comment belongs to the theme whose words weigh most
in it, rare words more than common ones (TF-IDF).
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from itertools import combinations
from math import log
from typing import NamedTuple

from portal.search.rules import words_in

MOST_COMMENTS = 1000
"""Comments that themes are found in: the newest."""
MOST_STEMS = 60
MOST_THEMES = 8
FEWEST = 3
"""A word in fewer comments is no theme yet."""
COMMON = 0.6
"""A word in more than that share of the comments of a language tells nothing apart."""
ALIKE = 0.3
"""How alike two groups of words must be used, on average, to be one theme."""

_SMALL: Mapping[str, frozenset[str]] = {
    "en": frozenset(
        "a about after all also am an and any are as at be because been before being but by can could did do does doing don "
        "down each even ever every few for from get gets getting go going good got great had has have having he her here him "
        "his how i if in into is it its just know like little lot made make makes many me more most much must my need needs "
        "never no not now of off on once one only or other our out over own really s same see she should since so some still "
        "such t take than that the their them then there these they thing things this those to too up us use used using ve "
        "very want was way we well were what when where which while who why will with work works would you your".split()
    ),
    "pt-BR": frozenset(
        "a ao aos aquela aquele aquilo as assim ate bem boa bom cada coisa coisas com como da das de dela dele demais desde "
        "dessa desse desta deste do dos e ela elas ele eles em entao era essa essas esse esses esta estamos estao estar estava "
        "este eu fazer faz fica ficar ficou foi for foram gente ha isso isto ja la mais mas me melhor mesmo meu meus minha "
        "minhas muita muito muitos na nada nao nas nem no nos nossa nosso num numa o onde os ou outra outro para pela pelo "
        "pode podem por porque pouco pra pro quando que quem quer se sem sempre ser seu seus so sobre sua suas sao tambem tao "
        "te tem temos tempo tenho ter teve tinha toda todas todo todos tudo um uma umas uns usar uso vai vamos vez vezes "
        "voce voces vem".split()
    ),
}
_ENDINGS: Mapping[str, tuple[str, ...]] = {
    "en": (
        "ations",
        "ation",
        "ments",
        "ment",
        "ings",
        "ing",
        "ers",
        "ies",
        "ied",
        "er",
        "ed",
        "es",
        "ly",
        "y",
        "s",
        "e",
    ),
    "pt-BR": (
        *("amentos", "imentos", "amento", "imento", "mente", "acoes", "acao", "coes", "cao", "ando", "endo", "indo"),
        *("avam", "aram", "eram", "idades", "idade", "ados", "adas", "idos", "idas", "ado", "ada", "ido", "ida", "ava"),
        *("ou", "ar", "er", "ir", "ais", "eis", "ens", "em", "am", "es", "as", "os", "a", "e", "o", "s"),
    ),
}
"""Longest first: what is cut from the end of a word, if at least four letters stay."""
_STAY = 4


class Written(NamedTuple):
    """A comment: its number, its words, and their language."""

    id: int
    words: str
    language: str


class Theme(NamedTuple):
    """What some comments are about; `words` are the ones people used, the most frequent first."""

    words: tuple[str, ...]
    language: str
    comments: tuple[int, ...]
    """Newest first, as they came in; the first ones are good examples."""


def stem(word: str, language: str) -> str:
    """A word of `search.rules.words_in` without its ending: `orders` and `ordering` are `order`… or near enough."""
    for ending in _ENDINGS.get(language, ()):
        if word.endswith(ending) and len(word) - len(ending) >= _STAY:
            return word[: -len(ending)]
    return word


def themes(comments: Sequence[Written]) -> list[Theme]:
    """The themes of the newest comments, those with most comments first. Languages are kept apart."""
    return list(_themes(tuple(comments[:MOST_COMMENTS])))


@lru_cache(maxsize=32)
def _themes(newest: tuple[Written, ...]) -> tuple[Theme, ...]:
    # Kept by the comments themselves: whoever changes one, in whichever process, asks for something else.
    found: list[Theme] = []
    for language in sorted({one.language for one in newest}):
        found += _of_one_language([one for one in newest if one.language == language], language)
    return tuple(sorted(found, key=lambda theme: (-len(theme.comments), theme.words))[:MOST_THEMES])


def _of_one_language(comments: Sequence[Written], language: str) -> list[Theme]:
    stems_of, spelt = _stems(comments, language)
    users: dict[str, set[int]] = defaultdict(set)
    for number, stems in stems_of.items():
        for each in stems:
            users[each].add(number)
    most = max(COMMON * len(comments), FEWEST)
    telling = sorted(
        (each for each, by in users.items() if FEWEST <= len(by) <= most), key=lambda each: (-len(users[each]), each)
    )
    kept = telling[:MOST_STEMS]
    weight = {each: log(1 + len(comments) / len(users[each])) for each in kept}
    groups = _grouped(kept, users)
    belongs: dict[int, list[int]] = defaultdict(list)
    for one in comments:
        own = stems_of[one.id]
        weighed = [sum(weight[each] * own[each] for each in group if each in own) for group in groups]
        if weighed and max(weighed) > 0:
            belongs[weighed.index(max(weighed))].append(one.id)
    return [
        Theme(_named(group, users, spelt), language, tuple(belongs[n]))
        for n, group in enumerate(groups)
        if len(belongs[n]) >= FEWEST
    ]


def _stems(comments: Iterable[Written], language: str) -> tuple[dict[int, Counter[str]], dict[str, Counter[str]]]:
    """The stems of each comment, and how each stem was spelt."""
    small = _SMALL.get(language, frozenset())
    stems_of: dict[int, Counter[str]] = {}
    spelt: dict[str, Counter[str]] = defaultdict(Counter)
    for one in comments:
        own: Counter[str] = Counter()
        written = one.words.lower().split()
        by_fold = {folded: word.strip(_MARKS) for word in written for folded in words_in(word)[:1]}
        for word in words_in(one.words):
            if len(word) > 2 and word not in small and not word.isdigit():
                each = stem(word, language)
                own[each] += 1
                spelt[each][by_fold.get(word, word)] += 1
        stems_of[one.id] = own
    return stems_of, spelt


_MARKS = ".,;:!?()[]{}\"'“”‘’«»…-–—/*_"


def _grouped(stems: Sequence[str], users: Mapping[str, set[int]]) -> list[tuple[str, ...]]:
    """Groups of stems that stand in the same comments, the two most alike joined first, until none are alike enough."""
    alike: dict[tuple[str, str], float] = {}
    for one, other in combinations(stems, 2):
        both = len(users[one] & users[other])
        alike[one, other] = alike[other, one] = both / (len(users[one]) + len(users[other]) - both)
    groups: list[tuple[str, ...]] = [(each,) for each in stems]
    while len(groups) > 1:
        best, pair = ALIKE, (-1, -1)
        for here, there in combinations(range(len(groups)), 2):
            links = [alike[one, other] for one in groups[here] for other in groups[there]]
            linkage = sum(links) / len(links)
            if linkage > best:
                best, pair = linkage, (here, there)
        if pair == (-1, -1):
            break
        here, there = pair
        groups[here] += groups[there]
        del groups[there]
    return groups


def _named(group: Sequence[str], users: Mapping[str, set[int]], spelt: Mapping[str, Counter[str]]) -> tuple[str, ...]:
    """The three words most used, each as most people spell it."""
    first = sorted(group, key=lambda each: (-len(users[each]), each))[:3]
    return tuple(min(spelt[each].items(), key=lambda pair: (-pair[1], pair[0]))[0] for each in first)
