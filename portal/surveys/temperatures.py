"""The temperatures of accounts, read anew each time: three statements, however many accounts are asked about."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Select, bindparam, case, func, or_, select, text
from sqlalchemy.orm import Session

from portal.accounts.models import Account
from portal.audit import LIFE, AuditEvent, Happened
from portal.clock import local_date
from portal.journeys import temperature
from portal.journeys.models import Flag, FollowUpRow, JourneyRow, Milestone, PendingIssue
from portal.journeys.rules import Status
from portal.journeys.temperature import Facts, Said, Temperature
from portal.surveys.models import AnswerRow

_THESE: Any = bindparam("accounts", expanding=True)
_NEWEST_ANSWERS = (
    select(
        AnswerRow.account_id,
        AnswerRow.submitted_at,
        AnswerRow.outcome,
        AnswerRow.csat,
        AnswerRow.nps,
        func.row_number()
        .over(partition_by=AnswerRow.account_id, order_by=(AnswerRow.submitted_at.desc(), AnswerRow.id.desc()))
        .label("place"),
    )
    .where(
        AnswerRow.account_id.in_(_THESE),
        AnswerRow.quarantined_at.is_(None),
        AnswerRow.superseded_at.is_(None),
        AnswerRow.submitted_at > bindparam("since"),
    )
    .subquery()
)
_ANSWERS = select(_NEWEST_ANSWERS).where(_NEWEST_ANSWERS.c.place <= 2).order_by(_NEWEST_ANSWERS.c.place)
_LIFE = (
    select(AuditEvent.account_id, AuditEvent.what, func.count(), func.max(AuditEvent.at))
    .where(
        AuditEvent.account_id.in_(_THESE),
        text(LIFE),  # in the index's own words: a database doesn't look behind a parameter
        AuditEvent.at > bindparam("since"),
    )
    .group_by(AuditEvent.account_id, AuditEvent.what)
)


def _of_open_journeys(table: Any, *columns: Any) -> Select[*tuple[Any, ...]]:
    """Sums over rows of the journeys that are under way."""
    return (
        select(JourneyRow.account_id, *columns)
        .join(table, table.journey_id == JourneyRow.id)
        .where(JourneyRow.account_id.in_(_THESE), JourneyRow.status == Status.OPEN)
        .group_by(JourneyRow.account_id)
    )


_UNANSWERED = (
    _of_open_journeys(FollowUpRow, func.count().label("n"))
    .where(
        FollowUpRow.sent_at < bindparam("asked_before"),
        or_(FollowUpRow.settled_at.is_(None), FollowUpRow.missed_at.is_not(None)),
    )
    .subquery()
)
_LATE_MILESTONES = (
    _of_open_journeys(Milestone, func.count().label("n"))
    .where(Milestone.done_at.is_(None), Milestone.due_on < bindparam("today"))
    .subquery()
)
_LATE_ISSUE = case((PendingIssue.due_on < bindparam("today"), 1), else_=0)
_ISSUES = (
    _of_open_journeys(PendingIssue, func.count().label("n"), func.sum(_LATE_ISSUE).label("late"))
    .where(PendingIssue.solved_at.is_(None))
    .subquery()
)
_FLAGS = (
    select(Flag.account_id, func.count().label("n"))
    .join(JourneyRow, JourneyRow.id == Flag.journey_id)
    .where(JourneyRow.account_id.in_(_THESE), Flag.closed_at.is_(None))
    .group_by(Flag.account_id)
    .subquery()
)
_ACCOUNTS = (
    select(
        Account.id,
        Account.created_at,
        Account.churned_on,
        func.coalesce(_UNANSWERED.c.n, 0).label("unanswered"),
        func.coalesce(_LATE_MILESTONES.c.n, 0).label("late_milestones"),
        func.coalesce(_FLAGS.c.n, 0).label("flags"),
        func.coalesce(_ISSUES.c.n, 0).label("issues"),
        func.coalesce(_ISSUES.c.late, 0).label("late_issues"),
    )
    .outerjoin(_UNANSWERED, _UNANSWERED.c.account_id == Account.id)
    .outerjoin(_LATE_MILESTONES, _LATE_MILESTONES.c.account_id == Account.id)
    .outerjoin(_FLAGS, _FLAGS.c.account_id == Account.id)
    .outerjoin(_ISSUES, _ISSUES.c.account_id == Account.id)
    .where(Account.id.in_(_THESE))
)


def temperatures(db: Session, account_ids: Sequence[int], *, zone: str, now: datetime) -> dict[int, Temperature]:
    """Each account's temperature. `zone`: where the house's day ends, for what is late."""
    these = {"accounts": list(account_ids)}
    today = local_date(now, zone)
    answers: dict[int, list[Said]] = defaultdict(list)
    since = now - timedelta(days=temperature.FRESH_DAYS)
    for account_id, at, outcome, csat, nps, _ in db.execute(_ANSWERS, {**these, "since": since}):
        answers[account_id].append(Said(at, outcome, csat, nps))
    life: dict[tuple[int | None, Happened], tuple[int, datetime]] = {
        (account_id, what): (count, last)
        for account_id, what, count, last in db.execute(_LIFE, {**these, "since": now - timedelta(days=90)})
    }
    asked_before = now - timedelta(days=temperature.UNANSWERED_DAYS)
    found = {}
    for row in db.execute(_ACCOUNTS, {**these, "asked_before": asked_before, "today": today}):
        signed_in = life.get((row.id, Happened.SIGNED_IN))
        facts = Facts(
            customer_since=row.created_at,
            answers=tuple(answers[row.id]),
            unanswered_surveys=row.unanswered,
            last_signed_in_at=signed_in[1] if signed_in else None,
            tutorials_done=life.get((row.id, Happened.TUTORIAL_FINISHED), (0, now))[0],
            late_milestones=row.late_milestones,
            open_flags=row.flags,
            open_issues=row.issues,
            late_issues=int(row.late_issues),
            churned_on=row.churned_on,
        )
        found[row.id] = temperature.read(facts, now)
    return found
