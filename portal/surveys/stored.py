"""Surveys as rows and as the rules see them: there and back."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from sqlalchemy import event, select
from sqlalchemy.orm import Session

from portal.db import place_of
from portal.journeys.rules import Outcome
from portal.surveys.models import RetiredSurvey, Survey
from portal.surveys.rules import (
    NO_WORDS,
    Option,
    Question,
    QuestionKind,
    ShowHow,
    ShowIf,
    SurveyForm,
    SurveyPurpose,
    Then,
    Thresholds,
    Verdict,
    Wording,
    stored_does,
)


def stored_form(form: SurveyForm) -> dict[str, Any]:
    """The columns of a survey's row, but for version and time."""
    return {
        "key": form.key,
        "name_en": form.name.en,
        "name_pt": form.name.pt,
        "questions": [asdict(question) for question in form.questions],
        "thresholds": asdict(form.thresholds),
        "minutes": form.minutes,
        "purpose": form.purpose,
        "is_anonymous": form.is_anonymous,
        "does": stored_does(form.does),
        "closes_after_days": form.closes_after_days,
        "intro_en": form.intro.en,
        "intro_pt": form.intro.pt,
        "thanks_en": form.thanks.en,
        "thanks_pt": form.thanks.pt,
    }


def survey_form(row: Survey) -> SurveyForm:
    """A stored survey as the rules see it."""
    return form_from({column.key: getattr(row, column.key) for column in Survey.__table__.columns}, id=row.id)


def form_from(stored: Mapping[str, Any], *, id: int = 0) -> SurveyForm:
    """What `stored_form` wrote, as the rules see it."""
    return SurveyForm(
        id=id,
        key=stored["key"],
        name=Wording(stored["name_en"], stored["name_pt"]),
        questions=tuple(_question(question) for question in stored["questions"]),
        thresholds=Thresholds(**stored["thresholds"]),
        minutes=stored["minutes"],
        purpose=SurveyPurpose(stored["purpose"]),
        is_anonymous=stored["is_anonymous"],
        does={Verdict(verdict): tuple(Then(then) for then in thens) for verdict, thens in stored["does"].items()},
        closes_after_days=stored["closes_after_days"],
        intro=Wording(stored["intro_en"], stored["intro_pt"]),
        thanks=Wording(stored["thanks_en"], stored["thanks_pt"]),
    )


_KEPT: dict[Any, SurveyForm] = {}


def known_form(db: Session, survey_id: int) -> SurveyForm:
    """The survey of that number; kept in memory, since a version never changes."""
    key = (place_of(db), survey_id)
    if key not in _KEPT:
        _KEPT[key] = survey_form(db.get_one(Survey, survey_id))
    return _KEPT[key]


@event.listens_for(Session, "after_rollback")
def _forget_what_never_was(_db: Session) -> None:
    # A survey written and rolled back (a rehearsal) leaves its number to the next one, and must not live on in here.
    _KEPT.clear()


def _question(stored: Mapping[str, Any]) -> Question:
    # A version from before ratings and choices holds nothing of theirs.
    return Question(
        key=stored["key"],
        kind=QuestionKind(stored["kind"]),
        text=Wording(**stored["text"]),
        hint=Wording(**stored["hint"]),
        after={Outcome(said): Wording(**words) for said, words in stored["after"].items()},
        high=stored.get("high", 5),
        low_label=_wording(stored.get("low_label")),
        high_label=_wording(stored.get("high_label")),
        options=tuple(Option(one["key"], Wording(**one["text"])) for one in stored.get("options", ())),
        show_if=_show_if(stored.get("show_if")),
    )


def _wording(stored: Mapping[str, str] | None) -> Wording:
    return Wording(**stored) if stored else NO_WORDS


def _show_if(stored: Mapping[str, Any] | None) -> ShowIf | None:
    if not stored:
        return None
    value = stored["value"]
    return ShowIf(stored["question"], ShowHow(stored["how"]), value if isinstance(value, int) else tuple(value))


def newest_surveys(db: Session, keys: Sequence[str]) -> dict[str, SurveyForm]:
    """The newest version of each of these surveys; keys that there are none of, or that are retired, are left out."""
    is_retired = select(RetiredSurvey.key).where(RetiredSurvey.key == Survey.key).exists()
    rows = db.scalars(select(Survey).where(Survey.key.in_(keys), ~is_retired).order_by(Survey.version))
    return {row.key: survey_form(row) for row in rows}
