"""The temperatures of accounts, read anew each time: seven statements, however many accounts are asked about."""

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
_ACCOUNTS = select(Account.id, Account.created_at, Account.churned_on).where(Account.id.in_(_THESE))
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


_UNANSWERED = _of_open_journeys(FollowUpRow, func.count()).where(
    FollowUpRow.sent_at < bindparam("asked_before"),
    or_(FollowUpRow.settled_at.is_(None), FollowUpRow.missed_at.is_not(None)),
)
_LATE_MILESTONES = _of_open_journeys(Milestone, func.count()).where(
    Milestone.done_at.is_(None), Milestone.due_on < bindparam("today")
)
_ISSUES = _of_open_journeys(
    PendingIssue, func.count(), func.sum(case((PendingIssue.due_on < bindparam("today"), 1), else_=0))
).where(PendingIssue.solved_at.is_(None))
_FLAGS = (
    select(Flag.account_id, func.count())
    .join(JourneyRow, JourneyRow.id == Flag.journey_id)
    .where(JourneyRow.account_id.in_(_THESE), Flag.closed_at.is_(None))
    .group_by(Flag.account_id)
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
    unanswered = _counts(db, _UNANSWERED, {**these, "asked_before": asked_before})
    milestones = _counts(db, _LATE_MILESTONES, {**these, "today": today})
    flags = _counts(db, _FLAGS, these)
    issues = {account_id: (n, late) for account_id, n, late in db.execute(_ISSUES, {**these, "today": today})}
    found = {}
    for account_id, created_at, churned_on in db.execute(_ACCOUNTS, these):
        signed_in = life.get((account_id, Happened.SIGNED_IN))
        open_issues, late_issues = issues.get(account_id, (0, 0))
        facts = Facts(
            customer_since=created_at,
            answers=tuple(answers[account_id]),
            unanswered_surveys=unanswered.get(account_id, 0),
            last_signed_in_at=signed_in[1] if signed_in else None,
            tutorials_done=life.get((account_id, Happened.TUTORIAL_FINISHED), (0, now))[0],
            late_milestones=milestones.get(account_id, 0),
            open_flags=flags.get(account_id, 0),
            open_issues=open_issues,
            late_issues=int(late_issues or 0),
            churned_on=churned_on,
        )
        found[account_id] = temperature.read(facts, now)
    return found


def _counts(db: Session, statement: Select[*tuple[Any, ...]], values: dict[str, Any]) -> dict[int, int]:
    return {account_id: n for account_id, n in db.execute(statement, values)}
