"""Surveys as rows and as the rules see them: there and back."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from sqlalchemy import event, select
from sqlalchemy.orm import Session

from portal.journeys.rules import Outcome
from portal.surveys.models import Survey
from portal.surveys.rules import Question, QuestionKind, SurveyForm, Thresholds, Wording


def stored_form(form: SurveyForm) -> dict[str, Any]:
    """The columns of a survey's row, but for version and time."""
    return {
        "key": form.key,
        "name_en": form.name.en,
        "name_pt": form.name.pt,
        "questions": [asdict(question) for question in form.questions],
        "thresholds": asdict(form.thresholds),
        "minutes": form.minutes,
    }


def survey_form(row: Survey) -> SurveyForm:
    """A stored survey as the rules see it."""
    return SurveyForm(
        id=row.id,
        key=row.key,
        name=Wording(row.name_en, row.name_pt),
        questions=tuple(_question(question) for question in row.questions),
        thresholds=Thresholds(**row.thresholds),
        minutes=row.minutes,
    )


_KEPT: dict[Any, SurveyForm] = {}


def known_form(db: Session, survey_id: int) -> SurveyForm:
    """The survey of that number; kept in memory, since a version never changes."""
    key = (db.get_bind().engine.url, survey_id)
    if key not in _KEPT:
        _KEPT[key] = survey_form(db.get_one(Survey, survey_id))
    return _KEPT[key]


@event.listens_for(Session, "after_rollback")
def _forget_what_never_was(_db: Session) -> None:
    # A survey written and rolled back (a rehearsal) leaves its number to the next one, and must not live on in here.
    _KEPT.clear()


def _question(stored: dict[str, Any]) -> Question:
    return Question(
        key=stored["key"],
        kind=QuestionKind(stored["kind"]),
        text=Wording(**stored["text"]),
        hint=Wording(**stored["hint"]),
        after={Outcome(said): Wording(**words) for said, words in stored["after"].items()},
    )


def newest_surveys(db: Session, keys: Sequence[str]) -> dict[str, SurveyForm]:
    """The newest version of each of these surveys; keys that there are none of are left out."""
    rows = db.scalars(select(Survey).where(Survey.key.in_(keys)).order_by(Survey.version))
    return {row.key: survey_form(row) for row in rows}
