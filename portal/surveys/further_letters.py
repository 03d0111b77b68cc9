"""What the mails of surveys beyond the plan show; their links are derived when they leave (`leaving.compose_survey`)."""

from datetime import date
from typing import Any

from portal.errors import N_
from portal.mail import Kind
from portal.surveys.rules import QuestionKind, SurveyForm, SurveyPurpose

CSAT_SCALE = {
    "name": "csat",
    "low": 1,
    "high": 5,
    "low_label": N_("very unhappy"),
    "high_label": N_("very happy"),
}
MAIL_OF_PURPOSE = {SurveyPurpose.POST_MEETING: Kind.SURVEY_MEETING, SurveyPurpose.PULSE: Kind.SURVEY_PULSE}


def kind_of(form: SurveyForm) -> Kind:
    """The mail that a survey comes with."""
    return MAIL_OF_PURPOSE.get(form.purpose, Kind.SURVEY_FURTHER)


def context(form: SurveyForm, occasion: str, *, language: str, vendor: str, closes_on: date) -> dict[str, Any]:
    """What such a mail shows, in the reader's language."""
    score = form.first_score
    shown: dict[str, Any] = {
        "occasion": occasion,
        "survey": form.name.told(language, vendor),
        "intro": form.intro.told(language, vendor),
        "closes_on": closes_on,
        "minutes": form.minutes,
        "question": score.asked(language, vendor) if score is not None else "",
    }
    if score is not None and score.kind is QuestionKind.CSAT:
        shown["scale"] = CSAT_SCALE
    return shown
