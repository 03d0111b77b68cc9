"""How many answered what: the counts behind NPS, CSAT and the response rate. Only verified answers; the database counts."""

from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import case, func, select
from sqlalchemy.orm import Session

from portal.accounts.models import Staff
from portal.accounts.rules import normalised_email
from portal.journeys.models import JourneyRow, StageRow
from portal.surveys.models import AnswerRow, Invitation


class Counts(NamedTuple):
    """Answers of a period by what they say."""

    promoters: int
    passives: int
    detractors: int
    csat_good: int
    """Answers of 4 and 5."""
    csat: int
    answered: int
    delivered: int
    """Surveys that went out as a mail in the period."""
    delivered_and_answered: int


class Which(NamedTuple):
    """Which answers: given from `since` up to before `until`; by the contact's stage and the journey's consultant."""

    since: datetime | None = None
    until: datetime | None = None
    stage: str | None = None
    consultant: str | None = None
    """An e-mail address."""


def counts(db: Session, which: Which) -> Counts:
    """Two statements, however many answers there are."""
    nps, csat = AnswerRow.nps, AnswerRow.csat
    answers = _narrowed(
        select(
            func.count(case((nps >= 9, 1))),
            func.count(case((nps.between(7, 8), 1))),
            func.count(case((nps <= 6, 1))),
            func.count(case((csat >= 4, 1))),
            func.count(csat),
            func.count(),
        ).where(AnswerRow.quarantined_at.is_(None), AnswerRow.superseded_at.is_(None)),
        AnswerRow,
        AnswerRow.submitted_at,
        which,
    )
    counted = (
        (AnswerRow.invitation_id == Invitation.id)
        & AnswerRow.quarantined_at.is_(None)
        & AnswerRow.superseded_at.is_(None)
    )
    sent = _narrowed(
        select(func.count(), func.count(AnswerRow.id))
        .select_from(Invitation)
        .outerjoin(AnswerRow, counted)
        .where(Invitation.sent_at.is_not(None)),
        Invitation,
        Invitation.sent_at,
        which,
    )
    return Counts(*db.execute(answers).one(), *db.execute(sent).one())


def _narrowed(query: Any, table: Any, at: Any, which: Which) -> Any:
    if which.since is not None:
        query = query.where(at >= which.since)
    if which.until is not None:
        query = query.where(at < which.until)
    if which.stage is not None:
        # The stage in which that contact is made, wherever the customer stood when they answered.
        days = select(StageRow.contact_day).where(StageRow.key == which.stage)
        query = query.where(table.day.in_(days))
    if which.consultant is not None:
        owner = select(Staff.id).where(Staff.email == normalised_email(which.consultant)).scalar_subquery()
        query = query.where(table.journey_id.in_(select(JourneyRow.id).where(JourneyRow.owner_id == owner)))
    return query
