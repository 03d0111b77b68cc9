"""Surveys whose mail failed for good, or came back: nobody got them, so they are no surveys that went out, and become what
they would have become had that been known before: a call, a card in the portal."""

from datetime import datetime
from functools import partial

from sqlalchemy import and_, case, func, or_, select, update
from sqlalchemy.orm import Session, aliased

from portal.accounts.asking import Became, Instead, Why
from portal.boundary import Crash, attempted
from portal.house import House
from portal.journeys import conduct
from portal.mail import Kind, LetterRow
from portal.surveys import leaving
from portal.surveys.held import FURTHER_MAILS, MAIL_OF_DAY
from portal.surveys.models import AnswerRow, Invitation

_FIRST_MAILS = (*MAIL_OF_DAY.values(), *(kind for kind in FURTHER_MAILS if kind is not Kind.SURVEY_FURTHER_REMINDER))
_ITS_DAY = case(*((LetterRow.kind == kind, day) for day, kind in MAIL_OF_DAY.items()))
_Other = aliased(LetterRow)
_ARRIVED = (
    select(_Other.id)
    .where(
        _Other.journey_id == LetterRow.journey_id,
        _Other.contact_id == LetterRow.contact_id,
        _Other.kind == LetterRow.kind,
        # By what it asks about, and not by all that it says: their language may have changed since.
        or_(Invitation.day.is_not(None), _Other.context["occasion"].as_string() == Invitation.occasion),
        or_(_Other.sent_at.is_not(None), _Other.unsure_at.is_not(None)),
    )
    .exists()
)
_ANSWERED = select(AnswerRow.id).where(AnswerRow.invitation_id == Invitation.id).exists()
_CAME_BACK = (
    select(LetterRow.id, Invitation.journey_id, Invitation.id.label("invitation_id"))
    .join(
        Invitation,
        and_(
            Invitation.journey_id == LetterRow.journey_id,
            Invitation.contact_id == LetterRow.contact_id,
            or_(
                Invitation.day == _ITS_DAY,
                and_(Invitation.day.is_(None), Invitation.occasion == LetterRow.context["occasion"].as_string()),
            ),
        ),
    )
    .where(
        LetterRow.failed_at.is_not(None),
        LetterRow.unsure_at.is_(None),
        LetterRow.kind.in_(_FIRST_MAILS),
        Invitation.sent_at.is_not(None),
        ~_ARRIVED,
        ~_ANSWERED,
    )
)
AT_ONCE = 50


def next_due(db: Session) -> datetime | None:
    """Since when the first of them waits to be dealt with."""
    return db.scalar(_CAME_BACK.with_only_columns(func.min(LetterRow.failed_at)))


def deal_with(house: House, now: datetime) -> int:
    """Deals with some of them, each in a unit of work of its own; gives how many."""
    with house.database.read() as db:
        found = db.execute(_CAME_BACK.order_by(LetterRow.failed_at).limit(AT_ONCE)).all()
    for one in found:
        crash = attempted(f"letter {one.id} (came back)", partial(_instead, house, one.id, one.journey_id, now))
        if isinstance(crash, Crash):
            _let_be(house, one.id, now)
    return len(found)


def _instead(house: House, letter_id: int, journey_id: int, now: datetime) -> None:
    with house.database.write() as db:
        change = conduct.load(db, [journey_id])[journey_id]
        still = db.execute(_CAME_BACK.where(LetterRow.id == letter_id)).one_or_none()
        if still is None:
            return  # another worker was faster, or it is being sent again
        row, invitation = db.get_one(LetterRow, letter_id), db.get_one(Invitation, still.invitation_id)
        became = Became.CARD if invitation.day is None else Became.CALL
        leaving.instead_of_mail(db, house, change, row, invitation, Instead(became, Why.UNDELIVERED), now=now)


def _let_be(house: House, letter_id: int, now: datetime) -> None:
    # A mistake of ours: it stays as it is, and keeps no other from its turn.
    with house.database.write() as db:
        db.execute(update(LetterRow).where(LetterRow.id == letter_id).values(unsure_at=now))
