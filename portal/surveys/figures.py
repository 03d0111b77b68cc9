"""How many answered what: the counts behind NPS, CSAT and the response rate. Only verified answers; the database counts."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, and_, case, func, select
from sqlalchemy.orm import Session

from portal.accounts.models import Staff
from portal.accounts.rules import normalised_email
from portal.journeys.models import JourneyRow, StageRow
from portal.surveys.models import AnswerRow, Invitation

_IS_COUNTED = and_(AnswerRow.quarantined_at.is_(None), AnswerRow.superseded_at.is_(None))
_HAS_ANSWER = select(AnswerRow.id).where(AnswerRow.invitation_id == Invitation.id, _IS_COUNTED).exists()


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
        ).where(_IS_COUNTED),
        AnswerRow,
        AnswerRow.submitted_at,
        which,
    )
    sent = _narrowed(
        select(func.count(), func.count(AnswerRow.id))
        .select_from(Invitation)
        .outerjoin(AnswerRow, (AnswerRow.invitation_id == Invitation.id) & _IS_COUNTED)
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


# By period, survey and consultant


class Tally(NamedTuple):
    """What became of one survey among one consultant's customers in one period; every count may be 0."""

    period: int
    """Which of the periods that were asked for, from 0."""
    day: int | None
    owner_id: int | None
    promoters: int
    passives: int
    detractors: int
    csat: tuple[int, int, int, int, int]
    """Answers 1 to 5, worst first."""
    delivered: int
    answered: int
    """Of those delivered, however much later."""
    still_open: int
    """Of those delivered, not answered yet, and it can still be."""


def tallies(
    db: Session, bounds: Sequence[datetime], *, now: datetime, day: int | None = None, owner_id: int | None = None
) -> list[Tally]:
    """Counts of the periods between each bound and the next (the end left out), by survey and consultant.

    Answers belong to the period they came in, and are the counted ones: one a person and round, none from quarantine.
    Delivered ones belong to the period they went out in, and so does whether they were answered. Two statements.
    """
    counted: dict[tuple[int, int | None, int | None], tuple[int, ...]] = defaultdict(lambda: (0,) * 8)
    sent: dict[tuple[int, int | None, int | None], tuple[int, ...]] = defaultdict(lambda: (0,) * 3)

    def period_of(moment: Any) -> ColumnElement[int]:
        return case(*((moment < end, n) for n, end in enumerate(bounds[1:])), else_=len(bounds))

    def rows(moment: Any, row_day: Any, journey_id: Any, counts: Sequence[ColumnElement[int]], only: Any) -> Any:
        period = period_of(moment)
        wanted = [moment >= bounds[0], moment < bounds[-1], only]
        if day is not None:
            wanted.append(row_day == day)
        if owner_id is not None:
            wanted.append(JourneyRow.owner_id == owner_id)
        return db.execute(
            select(period, row_day, JourneyRow.owner_id, *counts)
            .join(JourneyRow, JourneyRow.id == journey_id)
            .where(*wanted)
            .group_by(period, row_day, JourneyRow.owner_id)
        )

    score = AnswerRow.nps
    of_answers = [_how_many(score >= 9), _how_many(score.between(7, 8)), _how_many(score <= 6)]
    # How a meeting was says nothing of how satisfied a customer is: CSAT is the plan's surveys' own.
    of_answers += [_how_many(and_(AnswerRow.csat == face, AnswerRow.day.is_not(None))) for face in range(1, 6)]
    for period, on, owner, *counts in rows(
        AnswerRow.submitted_at, AnswerRow.day, AnswerRow.journey_id, of_answers, _IS_COUNTED
    ):
        counted[period, on, owner] = tuple(counts)
    waits = and_(~_HAS_ANSWER, Invitation.expires_at > now)
    of_sent = [func.count(), _how_many(_HAS_ANSWER), _how_many(waits)]
    for period, on, owner, *counts in rows(
        Invitation.sent_at, Invitation.day, Invitation.journey_id, of_sent, Invitation.sent_at.is_not(None)
    ):
        sent[period, on, owner] = tuple(counts)
    found = []
    for key in sorted({*counted, *sent}, key=lambda one: (one[0], one[1] or 0, one[2] or 0)):
        promoters, passives, detractors, *csat = counted[key]
        found.append(Tally(*key, promoters, passives, detractors, tuple(csat), *sent[key]))  # type: ignore[arg-type]
    return found


def _how_many(condition: ColumnElement[bool]) -> ColumnElement[int]:
    return func.coalesce(func.sum(case((condition, 1), else_=0)), 0)
