"""A survey's form as browsers send it: the names of its fields, the answers to further questions there and back."""

from collections.abc import Mapping
from typing import Any, Protocol

from portal.surveys.rules import Answers, Option, Other, Question, QuestionKind, SurveyForm
from portal.text import FORBIDDEN, clean


class Sent(Protocol):
    """A form's fields, several values each."""

    def getlist(self, key: Any) -> list[Any]: ...


LONGEST_SENT = 10_100
"""What is read of one field; the rules say what of it is too long."""


def field_of(question: Question) -> str:
    """The field's name: that of the column, or one that no column's can be mistaken for."""
    return question.key if question.is_own else f"answer_{question.key}"


def others_in(form: SurveyForm, sent: Sent) -> dict[str, Other]:
    """The answers to further questions as they were sent, in the form's order; `rules.problems` says what doesn't fit."""
    found: dict[str, Other] = {}
    for question in form.further():
        values = [_clean(value) for value in sent.getlist(field_of(question))]
        values = [value for value in values if value]
        if values:
            found[question.key] = _answer(question, values)
    return found


def _clean(value: str) -> str:
    return clean(FORBIDDEN.sub("", value[:LONGEST_SENT]))


def _answer(question: Question, values: list[str]) -> Other:
    last = values[-1]
    match question.kind:
        case QuestionKind.CHOICES:
            order = [option.key for option in question.options]
            return sorted(set(values), key=lambda key: order.index(key) if key in order else len(order))
        case QuestionKind.RATING:
            return int(last) if last.isascii() and last.isdigit() and len(last) < 4 else last
        case QuestionKind.YES_NO:
            return {"yes": True, "no": False}.get(last, last)
        case _:
            return last


def others_typed(form: SurveyForm, others: Mapping[str, Other]) -> dict[str, str | list[str]]:
    """Those answers as a form would have sent them, by field."""
    return {field_of(q): _typed(others[q.key]) for q in form.further() if q.key in others}


def _typed(other: Other) -> str | list[str]:
    if isinstance(other, bool):
        return "yes" if other else "no"
    return other if isinstance(other, list) else str(other)


def typed_answers(form: SurveyForm, answers: Answers) -> dict[str, str | list[str]]:
    """All answers as a form would have sent them."""
    help_wanted = {None: "", True: "yes", False: "no"}[answers.wants_help]
    scores = {"csat": answers.csat, "nps": answers.nps}
    told: dict[str, str | list[str]] = {name: str(score) for name, score in scores.items() if score is not None}
    own = {**told, "comment": answers.comment, "wants_help": help_wanted}
    return {**own, **others_typed(form, answers.others)}


def option_words(options: tuple[Option, ...], language: str, vendor: str) -> list[tuple[str, str]]:
    return [(option.key, option.text.told(language, vendor)) for option in options]
