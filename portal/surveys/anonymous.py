"""Anonymous surveys: answers that nobody can tell whose they are, we neither.

A ticket is made of chance when a mail leaves and goes with the answer. What stays has no person, browser, instant or number
of its own, and nothing else is written when an answer comes: no audit row, no sign of life, no session's last use. So
there is no reminder, no flag, no change of an answer either. Results are shown once a round has closed, and only if enough
answered: shown sooner, each new answer would be the difference between two looks.
"""

import hashlib
import secrets
from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.orm import Session

from portal import links
from portal.clock import local_date
from portal.db import rows_of
from portal.errors import N_, Refused
from portal.house import House
from portal.journeys.models import DueAction
from portal.mail import Kind, LetterRow, Withheld
from portal.surveys import moments, rules
from portal.surveys.actions import Unanswerable
from portal.surveys.moments import Occasion
from portal.surveys.round_models import AnonymousAnswer, AnonymousTicket, SurveyRound
from portal.surveys.rules import Answers, SurveyForm
from portal.surveys.stored import known_form

FEWEST = 5
"""Groups of fewer are never shown."""
TICKET = "anonymous_ticket"


class Used(Refused):
    """The link opens nothing any more: it was answered with, or the survey has closed. We can't know which."""

    status = 410

    def __init__(self) -> None:
        super().__init__(N_("This link was used already, or the survey is over."))


# The mail


def compose(db: Session, house: House, row: LetterRow) -> dict[str, Any]:
    """The link of a letter that leaves now, with a new ticket; each try of sending makes its own. Errors: Withheld once the
    round has closed, and where the letter is only shown again: its link was in it and nowhere else."""
    occasion = moments.read(str(row.context["occasion"]))
    found = _round_of(db, occasion)
    if found is None or found.closes_at <= house.clock.now():
        raise Withheld(N_("The survey closed before the mail went out."))
    token = _token(house, row)
    if row.sent_at is None:
        with house.database.write() as own:
            # The demo's letters are composed anew with each look at them and keep their link.
            if own.get(AnonymousTicket, _hash(token)) is None:
                own.execute(insert(AnonymousTicket).values(hash=_hash(token), round_id=found.id))
    return {"answer_url": house.url(f"/a/{token}")}


def _token(house: House, row: LetterRow) -> str:
    if house.settings.demo:  # nobody is asked there who has anything to hide
        made = links.seal(house.secret, TICKET, row.id, row.message_id.partition("@")[0])
        return hashlib.sha256(made.encode()).hexdigest()
    if row.sent_at is not None:
        raise Withheld(N_("The link was in the mail, and nowhere else."))
    return secrets.token_hex(32)


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def _round_of(db: Session, occasion: Occasion) -> SurveyRound | None:
    return db.get(SurveyRound, occasion.number)


# Answering


class Open(NamedTuple):
    """A survey that this ticket may still answer."""

    round_id: int
    form: SurveyForm
    closes_at: datetime


def open_survey(db: Session, token: str, now: datetime) -> Open | None:
    """What a link opens; None where it is used, closed or none of ours. Two statements."""
    found = db.execute(
        select(SurveyRound.id, SurveyRound.survey_id, SurveyRound.closes_at)
        .join(AnonymousTicket, AnonymousTicket.round_id == SurveyRound.id)
        .where(AnonymousTicket.hash == _hash(token), SurveyRound.closes_at > now)
    ).first()
    return Open(found.id, known_form(db, found.survey_id), found.closes_at) if found is not None else None


def answer(db: Session, *, token: str, answers: Answers, zone: str, now: datetime) -> None:
    """Keeps the answer and takes the ticket, once, however often it is sent. Errors: Used; Unanswerable."""
    found = open_survey(db, token, now)
    if found is None:
        raise Used
    heard = rules.heard(found.form, answers)
    if wrong := rules.problems(found.form, heard):
        raise Unanswerable(wrong)
    take = delete(AnonymousTicket).where(AnonymousTicket.hash == _hash(token)).returning(AnonymousTicket.round_id)
    # Twice: it may just have been put in another place (`mix_tickets`); else another tab was first.
    if db.scalar(take) is None and db.scalar(take) is None:
        raise Used
    today = local_date(now, zone)
    db.execute(
        insert(AnonymousAnswer).values(
            id=secrets.token_hex(16),
            round_id=found.round_id,
            csat=heard.csat,
            nps=heard.nps,
            comment=heard.comment,
            others=dict(heard.others),
            week=today - timedelta(days=today.weekday()),
        )
    )


_WAITING_MAIL = (
    select(LetterRow.id)
    .where(
        LetterRow.kind == Kind.SURVEY_ANONYMOUS,
        LetterRow.sent_at.is_(None),
        LetterRow.failed_at.is_(None),
        LetterRow.suppressed_at.is_(None),
    )
    .limit(1)
)


def mix_tickets(db: Session, now: datetime) -> int:
    """Puts the tickets that are left of a round in another order than the one in which its mails went out, as soon as all
    have: PostgreSQL keeps rows as they came, and a gap would tell whose ticket was used. Gives how many rounds."""
    unmixed = select(SurveyRound.id).where(SurveyRound.mixed_at.is_(None)).order_by(SurveyRound.id)
    rounds = db.scalars(unmixed.with_for_update(skip_locked=True)).all()
    if not rounds or db.scalar(_WAITING_MAIL) is not None:
        return 0
    occasions = {moments.of_round(each): each for each in rounds}
    unasked = select(DueAction.what).where(
        DueAction.what.in_(occasions), DueAction.done_at.is_(None), DueAction.set_aside_at.is_(None)
    )
    rounds = sorted(set(rounds) - {occasions[what] for what in db.scalars(unasked.distinct())})
    for round_id in rounds:
        gone = delete(AnonymousTicket).where(AnonymousTicket.round_id == round_id).returning(AnonymousTicket.hash)
        left = sorted(db.scalars(gone))
        if left:
            db.execute(insert(AnonymousTicket), [{"hash": each, "round_id": round_id} for each in left])
    db.execute(update(SurveyRound).where(SurveyRound.id.in_(rounds)).values(mixed_at=now))
    return len(rounds)


def forget_tickets(db: Session, now: datetime) -> int:
    """Tickets of rounds that have closed go; gives how many."""
    closed = select(SurveyRound.id).where(SurveyRound.closes_at < now)
    count = db.scalar(select(func.count()).where(AnonymousTicket.round_id.in_(closed))) or 0
    if count:
        db.execute(delete(AnonymousTicket).where(AnonymousTicket.round_id.in_(closed)))
    return count


# Results


class Results(NamedTuple):
    """What a closed round of at least `FEWEST` answers came to."""

    answers: int
    csat: Counter[int]
    nps: Counter[int]
    others: dict[str, Counter[str]]
    """By question: how often each option or number was chosen."""
    words: Sequence[tuple[str, str]]
    """Question and text, in the order of the alphabet: no other order may be told."""


class Shown(NamedTuple):
    """What may be shown of a round: how many answered, from `FEWEST` on; the results once it has closed."""

    answered: int | None
    results: Results | None


def shown(db: Session, found: SurveyRound, now: datetime) -> Shown:
    """What of this round may be shown by now; of fewer than `FEWEST` answers nothing, not even their number."""
    answered = db.scalar(select(func.count()).where(AnonymousAnswer.round_id == found.id)) or 0
    if answered < FEWEST:
        return Shown(None, None)
    return Shown(answered, _results(db, found) if found.closes_at <= now else None)


def _results(db: Session, found: SurveyRound) -> Results:
    form = known_form(db, found.survey_id)
    csat: Counter[int] = Counter()
    nps: Counter[int] = Counter()
    others: dict[str, Counter[str]] = {}
    words: list[tuple[str, str]] = []
    texts = {question.key for question in form.further() if question.kind is rules.QuestionKind.TEXT}
    wanted = select(AnonymousAnswer.csat, AnonymousAnswer.nps, AnonymousAnswer.comment, AnonymousAnswer.others).where(
        AnonymousAnswer.round_id == found.id
    )
    rows = rows_of(db, wanted)
    for row in rows:
        csat.update([row.csat] if row.csat is not None else [])
        nps.update([row.nps] if row.nps is not None else [])
        words += [("comment", row.comment)] if row.comment else []
        for key, value in row.others.items():
            if key in texts:
                words.append((key, str(value)))
                continue
            chosen = value if isinstance(value, list) else [value]
            others.setdefault(key, Counter()).update(_told(one) for one in chosen)
    return Results(len(rows), csat, nps, others, sorted(words))


def _told(value: Any) -> str:
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)
