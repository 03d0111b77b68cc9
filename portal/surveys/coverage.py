"""Who of a customer's people was trained, asked, answered, is unhappy; and the silent ones by name."""

from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, and_, bindparam, exists, func, or_, select
from sqlalchemy.orm import Session

from portal.accounts.models import Account, Contact, Staff
from portal.audit import AuditEvent, Happened
from portal.db import rows_of
from portal.journeys.models import Flag
from portal.surveys import rules
from portal.surveys.models import AnswerRow, Invitation

SILENT_AFTER = timedelta(days=7)
"""Who was asked so long ago and has given no sign of life since is silent."""
LATELY = timedelta(days=120)
"""How far back the managers' list looks: a round of 30/60/90 and a month."""
_LIFE = (Happened.SIGNED_IN, Happened.TUTORIAL_FINISHED, Happened.MESSAGE_RECEIVED)


class Covered(NamedTuple):
    """One person, and what we know of how they are."""

    contact_id: int
    name: str
    trained_at: datetime | None
    asked_at: datetime | None
    """When they last got a survey, as a mail or as a card."""
    answered_at: datetime | None
    seen_at: datetime | None
    """Their last sign of life beside answers."""
    is_unhappy: bool

    def is_silent(self, now: datetime) -> bool:
        """Whether they were asked a week ago or longer, and neither answered nor showed themselves since."""
        if self.asked_at is None or now - self.asked_at < SILENT_AFTER:
            return False
        return all(at is None or at < self.asked_at for at in (self.answered_at, self.seen_at))


def _of_them(*what: Happened) -> Any:
    return select(func.max(AuditEvent.at)).where(
        AuditEvent.account_id == Contact.account_id, AuditEvent.contact_id == Contact.id, AuditEvent.what.in_(what)
    )


_GOT_IT: ColumnElement[bool] = or_(
    Invitation.sent_at.is_not(None), Invitation.why.in_(rules.IN_THE_PORTAL), Invitation.day.is_(None)
)
_GOT_AT: ColumnElement[datetime] = func.coalesce(Invitation.sent_at, Invitation.suppressed_at)
_COUNTS = and_(AnswerRow.quarantined_at.is_(None), AnswerRow.superseded_at.is_(None))
_COVERAGE = (
    select(
        Contact.id,
        Contact.name,
        _of_them(Happened.TUTORIAL_FINISHED).scalar_subquery(),
        select(func.max(_GOT_AT)).where(Invitation.contact_id == Contact.id, _GOT_IT).scalar_subquery(),
        select(func.max(AnswerRow.submitted_at))
        .where(AnswerRow.account_id == Contact.account_id, AnswerRow.contact_id == Contact.id, _COUNTS)
        .scalar_subquery(),
        _of_them(*_LIFE).scalar_subquery(),
        exists().where(Flag.contact_id == Contact.id, Flag.closed_at.is_(None)),
    )
    .where(Contact.account_id == bindparam("account_id"), Contact.disabled_at.is_(None))
    .order_by(Contact.is_primary.desc(), Contact.name, Contact.id)
)


def coverage_of(db: Session, account_id: int) -> tuple[Covered, ...]:
    """An account's people, the main contact first. One statement."""
    return tuple(Covered._make(row) for row in rows_of(db, _COVERAGE, {"account_id": account_id}))


class Silent(NamedTuple):
    """Somebody who was asked and has said nothing, for the managers' list."""

    account_id: int
    company: str
    consultant: str
    contact_id: int
    name: str
    day: int | None
    asked_at: datetime


_LIVED = exists().where(
    AuditEvent.account_id == Invitation.account_id,
    AuditEvent.contact_id == Invitation.contact_id,
    AuditEvent.what.in_(_LIFE),
    AuditEvent.at >= _GOT_AT,
)
_ANSWERED = exists().where(
    AnswerRow.account_id == Invitation.account_id,
    AnswerRow.contact_id == Invitation.contact_id,
    AnswerRow.submitted_at >= _GOT_AT,
    _COUNTS,
)
_SILENT = (
    select(
        Account.id,
        Account.name,
        func.coalesce(Staff.name, ""),
        Contact.id,
        Contact.name,
        Invitation.day,
        _GOT_AT,
    )
    .select_from(Invitation)
    .join(Contact, Contact.id == Invitation.contact_id)
    .join(Account, Account.id == Invitation.account_id)
    .outerjoin(Staff, Staff.id == Account.consultant_id)
    .where(
        _GOT_IT,
        _GOT_AT >= bindparam("since"),
        _GOT_AT < bindparam("until"),
        Contact.disabled_at.is_(None),
        Account.churned_on.is_(None),
        ~_ANSWERED,
        ~_LIVED,
    )
    .order_by(_GOT_AT, Invitation.id)
)


def silent_people(db: Session, *, now: datetime, owner_id: int | None = None, most: int = 25) -> tuple[Silent, ...]:
    """Who is silent, the longest first, of everybody's or one consultant's customers; each person once. One statement."""
    wanted = _SILENT if owner_id is None else _SILENT.where(Account.consultant_id == owner_id)
    period = {"since": now - LATELY, "until": now - SILENT_AFTER}
    once: dict[int, Silent] = {}
    for row in rows_of(db, wanted.limit(3 * most), period):
        found = Silent._make(row)
        once.setdefault(found.contact_id, found)
    return tuple(once.values())[:most]
