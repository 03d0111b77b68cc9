"""What answers to further questions come to: ratings and choices counted, for the results page and for files."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from portal.surveys.results import Listed
from portal.surveys.rules import Question, QuestionKind
from portal.surveys.tallies import Count, keys_of


class Value(NamedTuple):
    """How many gave one value; `key` is `yes` or `no`, a number, or an option's."""

    key: str
    text: str
    n: int
    share: float


class Spread(NamedTuple):
    """One further question and how its answers are spread."""

    key: str
    kind: QuestionKind
    text: str
    answers: int
    values: tuple[Value, ...]
    """The highest number or the first option first; empty for words."""


def questions_of(found: Listed) -> list[Question]:
    """The further questions of all versions, those asked now first; a question is put as it was last."""
    known: dict[str, Question] = {}
    for form in found.forms:
        for question in form.further():
            newer = known.get(question.key)
            known[question.key] = _with_older_options(newer, question) if newer is not None else question
    return list(known.values())


def _with_older_options(newer: Question, older: Question) -> Question:
    """Options that are offered no more were chosen all the same."""
    offered = {option.key for option in newer.options}
    gone = tuple(option for option in older.options if option.key not in offered)
    return Question(
        newer.key,
        newer.kind,
        newer.text,
        newer.hint,
        high=max(newer.high, older.high),
        options=(*newer.options, *gone),
    )


def spreads(count: Count, questions: Sequence[Question], *, language: str, vendor: str) -> list[Spread]:
    """How the answers that were counted are spread."""
    found = []
    for question in questions:
        chosen = {value: n for (key, value), n in count.further.items() if key == question.key and value}
        found.append(_spread(question, count.further[question.key, ""], chosen, language, vendor))
    return found


def _spread(question: Question, people: int, counts: Mapping[str, int], language: str, vendor: str) -> Spread:
    match question.kind:
        case QuestionKind.RATING:
            named = [(str(n), str(n)) for n in range(question.high, 0, -1)]
        case QuestionKind.CHOICE | QuestionKind.CHOICES:
            named = [(option.key, option.text.told(language, vendor)) for option in question.options]
        case QuestionKind.YES_NO:
            named = [("yes", ""), ("no", "")]
        case _:
            named = []
    values = [Value(key, text, counts.get(key, 0), counts.get(key, 0) / people if people else 0) for key, text in named]
    return Spread(question.key, question.kind, question.asked(language, vendor), people, tuple(values))


def told(question: Question, others: Mapping[str, Any], *, language: str, vendor: str) -> list[str]:
    """What one person answered, for a file: the words of an option, else the key."""
    if question.key not in others:
        return []
    texts = {option.key: option.text.told(language, vendor) for option in question.options}
    return [texts.get(key, key) for key in keys_of(others[question.key])]
