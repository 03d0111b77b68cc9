"""The three follow-up surveys that ship, as data (domain.md, "Surveys").

`load_shipped_surveys` puts a version into the database once; from then on the rows are the truth and administrators
change them as new versions. Changing this file means raising `VERSION`.
"""

from datetime import datetime

from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from portal.journeys.rules import Outcome
from portal.surveys.models import Survey
from portal.surveys.rules import Question, QuestionKind, SurveyForm, Wording
from portal.surveys.stored import stored_form

VERSION = 1


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
)


def load_shipped_surveys(db: Session, *, now: datetime) -> int:
    """Puts in the shipped surveys that the database doesn't hold yet; gives how many were new. Safe to run at each start."""
    known = {(key, version) for key, version in db.execute(select(Survey.key, Survey.version))}
    new = [form for form in SHIPPED if (form.key, VERSION) not in known]
    if new:
        db.execute(insert(Survey), [{**stored_form(form), "version": VERSION, "created_at": now} for form in new])
    return len(new)
