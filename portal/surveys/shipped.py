"""The surveys that ship, as data: three follow-ups, one after meetings, the pulse.

`load_shipped_surveys` puts a version into the database once; from then on the rows are the truth and administrators
change them as new versions. Changing this file means raising `VERSION`.
"""

from datetime import datetime

from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from portal.db import insert_for
from portal.journeys.rules import Outcome
from portal.surveys.models import Survey
from portal.surveys.moments import TriggerKind, scope_of
from portal.surveys.round_models import SurveyTrigger
from portal.surveys.rules import Question, QuestionKind, SurveyForm, SurveyPurpose, Wording
from portal.surveys.stored import stored_form

VERSION = 1
POST_MEETING, PULSE = "post_meeting", "pulse"


def follow_up_key(day: int) -> str:
    """The key of the survey that asks about the contact of that day."""
    return f"follow_up_{day}"


_WHY = Question(
    "comment",
    QuestionKind.TEXT,
    Wording("What’s behind your score?", "O que está por trás da sua nota?"),
    Wording("A sentence is plenty. Rough edges welcome.", "Uma frase já ajuda. Pode falar do que não está bom."),
    {
        Outcome.DISSATISFIED: Wording("What isn’t working for you?", "O que não está funcionando para você?"),
        Outcome.NEUTRAL: Wording("What would make it better?", "O que deixaria melhor?"),
        Outcome.SATISFIED: Wording("What do you like most?", "Do que você mais gosta?"),
    },
)
_HELP = Question(
    "wants_help",
    QuestionKind.YES_NO,
    Wording("Would you like someone to help you?", "Você gostaria que alguém te ajudasse?"),
    Wording(
        "A person gets in touch with you, not a machine.", "Uma pessoa entra em contato com você, não uma máquina."
    ),
)


def _follow_up(day: int, csat: Wording, nps: Wording) -> SurveyForm:
    return SurveyForm(
        id=0,
        key=follow_up_key(day),
        name=Wording(f"{day}-day check-in", f"Conversa dos {day} dias"),
        questions=(
            Question("csat", QuestionKind.CSAT, csat),
            Question("nps", QuestionKind.NPS, nps),
            _WHY,
            _HELP,
        ),
    )


_RECOMMEND = Wording(
    "How likely are you to recommend {vendor} to a friend or colleague?",
    "Qual é a chance de você recomendar {vendor} a um amigo ou colega?",
)

SHIPPED = (
    _follow_up(
        30,
        Wording("How satisfied are you with {vendor} so far?", "O quanto você está satisfeito com {vendor} até aqui?"),
        _RECOMMEND,
    ),
    _follow_up(
        60,
        Wording(
            "Two months in: how satisfied are you with {vendor} now?",
            "Dois meses depois: o quanto você está satisfeito com {vendor} agora?",
        ),
        _RECOMMEND,
    ),
    _follow_up(
        90,
        Wording(
            "Three months in: how satisfied are you with {vendor} and its results?",
            "Três meses depois: o quanto você está satisfeito com {vendor} e os resultados?",
        ),
        _RECOMMEND,
    ),
    SurveyForm(
        id=0,
        key=POST_MEETING,
        name=Wording("After our meeting", "Depois da nossa reunião"),
        purpose=SurveyPurpose.POST_MEETING,
        closes_after_days=14,
        minutes=1,
        questions=(
            Question(
                "csat",
                QuestionKind.CSAT,
                Wording(
                    "How satisfied are you with our meeting?", "O quanto você ficou satisfeito com a nossa reunião?"
                ),
            ),
            Question(
                "solved",
                QuestionKind.YES_NO,
                Wording("Did it solve what you came with?", "Ela resolveu o que você trouxe?"),
            ),
            Question(
                "comment",
                QuestionKind.TEXT,
                Wording("What is still open?", "O que ainda ficou em aberto?"),
                Wording("A sentence is plenty.", "Uma frase já ajuda."),
            ),
            _HELP,
        ),
    ),
    SurveyForm(
        id=0,
        key=PULSE,
        name=Wording("A quick question", "Uma pergunta rápida"),
        purpose=SurveyPurpose.PULSE,
        minutes=1,
        questions=(Question("nps", QuestionKind.NPS, _RECOMMEND), _WHY),
    ),
)

TRIGGERS = ((POST_MEETING, TriggerKind.MEETING, 1), (PULSE, TriggerKind.EVERY_DAYS, 180))
"""What sets the shipped ones going beside the plan."""


def load_shipped_triggers(db: Session, *, now: datetime) -> None:
    """Sets the shipped surveys going after meetings and every 180 days, from now on; one that somebody switched off stays
    off. Safe to run at each start."""
    known = set(db.scalars(select(SurveyTrigger.survey_key)))
    rows = [
        {
            "survey_key": key,
            "kind": kind,
            "days": days,
            "stage": "",
            "scope": scope_of(kind, survey_key=key, days=days, stage=""),
            "on_since": now,
            "set_at": now,
            "set_by": "system",
            "look_at": now,
        }
        for key, kind, days in TRIGGERS
        if key not in known
    ]
    if rows:
        db.execute(insert_for(db, SurveyTrigger.__table__).on_conflict_do_nothing(), rows)


def load_shipped_surveys(db: Session, *, now: datetime) -> int:
    """Puts in the shipped surveys that the database doesn't hold yet; gives how many were new. Safe to run at each start."""
    known = {(key, version) for key, version in db.execute(select(Survey.key, Survey.version))}
    new = [form for form in SHIPPED if (form.key, VERSION) not in known]
    if new:
        db.execute(insert(Survey), [{**stored_form(form), "version": VERSION, "created_at": now} for form in new])
    return len(new)
