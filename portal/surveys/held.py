"""One invitation, held until the unit of work ends, with all that came to it so far: read in one statement, since a person
waits for the answer to it, and the next person for this one."""

from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Sequence, bindparam, func, or_, select
from sqlalchemy.orm import Session, aliased

from portal import links
from portal.accounts.models import Account
from portal.db import rows_of, rows_of_each
from portal.errors import NotFound
from portal.house import House
from portal.journeys import cases, conduct
from portal.journeys.conduct import Found
from portal.journeys.models import JourneyRow
from portal.journeys.rules import Outcome
from portal.mail import Kind, LetterRow
from portal.surveys import queries, rules
from portal.surveys.models import AnswerRow, Invitation
from portal.surveys.paths import SURVEY
from portal.surveys.queries import SurveyPage
from portal.surveys.rules import Answers

MAIL_OF_DAY = {30: Kind.SURVEY_30, 60: Kind.SURVEY_60, 90: Kind.SURVEY_90}
FURTHER_MAILS = (Kind.SURVEY_MEETING, Kind.SURVEY_PULSE, Kind.SURVEY_FURTHER, Kind.SURVEY_FURTHER_REMINDER)
"""Of the surveys beyond the plan."""


class Counted(NamedTuple):
    """The answer of an invitation that counts."""

    answer_id: int
    outcome: Outcome | None


class Held(NamedTuple):
    """An invitation that nobody else can answer until this unit of work ends, and what came to it so far."""

    id: int
    survey_id: int
    account_id: int
    journey_id: int
    contact_id: int
    day: int | None
    planned_at: datetime
    sent_at: datetime | None
    suppressed_at: datetime | None
    expires_at: datetime | None
    opened_at: datetime | None
    answer_id: int | None
    outcome: Outcome | None
    csat: int | None
    nps: int | None
    comment: str | None
    wants_help: bool | None
    others: dict[str, Any] | None
    first_at: datetime | None
    """When the first version of the answer that counts came."""
    delivered_at: datetime | None
    """When the latest mail about it was delivered."""
    known_form: int | None
    set_aside: int
    """How many answers of it are in quarantine."""
    typed: dict[str, str] | None
    """What was typed and not sent yet."""
    reminder_waits: bool
    """Whether a reminder of this journey lies in the outbox."""
    call_waits: bool
    """Whether a call about this contact is on somebody's list."""
    is_flagged: bool
    """Whether a dissatisfied answer about this contact stands, anybody's of the account."""
    next_id: int | None
    """The number for an answer that is stored now, where the database gives it ahead: what follows from the answer needn't
    wait for the row."""
    journey: Found
    """Its journey."""

    @property
    def counted(self) -> Counted | None:
        return Counted(self.answer_id, self.outcome) if self.answer_id is not None else None

    @property
    def answers(self) -> Answers:
        return Answers(self.csat, self.nps, self.comment or "", self.wants_help, self.others or {})

    @property
    def form_is_known(self) -> bool:
        """Whether this very form was sent before: whatever became of it stands."""
        return self.known_form is not None

    def is_changeable(self, now: datetime) -> bool:
        return self.first_at is not None and now < rules.changeable_until(self.first_at)


def hold(db: Session, invitation_id: int, *, nonce: str) -> Held:
    """The invitation, with account and journey held in the order that everybody keeps: account, journey, below. `nonce`:
    of the form that came, empty where none did. Errors: NotFound."""
    found = _row(db, invitation_id, nonce=nonce)
    if found is None:
        raise NotFound
    return _held(*found)


def hold_page(db: Session, house: House, token: str, *, nonce: str, now: datetime) -> tuple[SurveyPage, Held] | None:
    """The same by the token of a mail's link, with what its page shows; None where the token isn't sealed for it."""
    found = _row(db, links.row_of(token) or 0, nonce=nonce)
    if found is None or not links.is_sealed(token, house.secret, SURVEY, found[0].nonce):
        return None
    return queries.page_of(db, found[0], now), _held(*found)


def _row(db: Session, invitation_id: int, *, nonce: str) -> tuple[Any, Found] | None:
    it = {"invitation_id": invitation_id}
    its = {**it, "form_nonce": nonce}
    if db.get_bind().dialect.name == "postgresql":
        # In a statement of its own: it has to see what those did who held it before.
        _, found = rows_of_each(db, (_HOLD, it), (_HELD_ON_POSTGRESQL, its))
    else:
        found = rows_of(db, _HELD_ON_SQLITE, its)  # whose transactions hold everything
    return (found[0], conduct.found_in(found[0])) if found else None


def _held(row: Any, journey: Found) -> Held:
    return Held._make([*(getattr(row, name, None) for name in _NAMES), journey])


_One = aliased(AnswerRow)
_OF_IT = _One.invitation_id == Invitation.id
_SURVEY_MAILS = (*MAIL_OF_DAY.values(), Kind.SURVEY_REMINDER, *FURTHER_MAILS, Kind.SURVEY_CONFIRM)
_DELIVERED_AT = select(func.max(LetterRow.sent_at)).where(
    LetterRow.contact_id == Invitation.contact_id,
    LetterRow.journey_id == Invitation.journey_id,
    or_(*(LetterRow.kind == kind for kind in _SURVEY_MAILS)),  # written out: a list is put in anew each time
)
_KNOWN_FORM = select(_One.id).where(_OF_IT, _One.form_nonce == bindparam("form_nonce")).limit(1)
_SET_ASIDE = select(func.count()).where(_OF_IT, _One.quarantined_at.is_not(None))
_HELD = queries.PAGE.add_columns(
    Invitation.journey_id,
    Invitation.planned_at,
    Invitation.opened_at,
    _DELIVERED_AT.scalar_subquery().label("delivered_at"),
    _KNOWN_FORM.scalar_subquery().label("known_form"),
    _SET_ASIDE.scalar_subquery().label("set_aside"),
    cases.reminder_waits(Invitation.journey_id).label("reminder_waits"),
    cases.call_waits(Invitation.journey_id, Invitation.day).label("call_waits"),
    cases.is_flagged(Invitation.journey_id, Invitation.day).label("is_flagged"),
)
_WITH_ACCOUNT = _HELD.join(Account, Account.id == JourneyRow.account_id)
_HELD_ON_POSTGRESQL = _WITH_ACCOUNT.add_columns(
    Sequence("answers_id_seq").next_value().label("next_id"), *conduct.columns_about_it("postgresql")
)
_HELD_ON_SQLITE = _WITH_ACCOUNT.add_columns(*conduct.columns_about_it("sqlite"))
_NAMES = Held._fields[:-1]
_ITS_ACCOUNT = select(Invitation.account_id).where(Invitation.id == bindparam("invitation_id")).scalar_subquery()
_ITS_JOURNEY = select(Invitation.journey_id).where(Invitation.id == bindparam("invitation_id")).scalar_subquery()
# The account only in the mode that a foreign key takes anyway: it must not wait for its other journeys.
# One statement, and the account first all the same: rows of the inner part are locked before the outer part can join them.
_ACCOUNT = (
    select(Account.id)
    .where(Account.id == _ITS_ACCOUNT)
    .with_for_update(read=True, key_share=True)
    .cte("held")
    .prefix_with("MATERIALIZED", dialect="postgresql")
)
_HOLD = (
    select(JourneyRow.id)
    .join(_ACCOUNT, _ACCOUNT.c.id == JourneyRow.account_id)
    .where(JourneyRow.id == _ITS_JOURNEY)
    .with_for_update(of=JourneyRow)
)
