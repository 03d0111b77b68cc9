"""What the referral pages show: a person's link and friends, who stands behind a link, prompts and referrals for staff."""

from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple, TypeVar

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from portal import links
from portal.accounts.models import Account, Contact
from portal.accounts.rules import Language
from portal.errors import NotFound
from portal.house import House
from portal.journeys.models import Flag, GoalRow, JourneyRow
from portal.mail import LetterRow
from portal.referrals import letters, rules
from portal.referrals.models import Invitation, Programme, Referral, ReferralLink, ReferralPrompt
from portal.referrals.rules import Facts, Step, Why

# The referrer


class Offer(NamedTuple):
    """The programme in one language."""

    headline: str
    friend_gets: str
    referrer_gets: str
    terms: list[str]


def offer(programme: Programme, language: str) -> Offer:
    if language == Language.PT_BR:
        words = programme.headline_pt, programme.friend_gets_pt, programme.referrer_gets_pt, programme.terms_pt
    else:
        words = programme.headline_en, programme.friend_gets_en, programme.referrer_gets_en, programme.terms_en
    return Offer(*words[:3], [line.strip() for line in words[3].splitlines() if line.strip()])


def current_offer(db: Session, language: str) -> Offer | None:
    """What both sides get at the moment; None where there is no programme."""
    programme = db.scalar(select(Programme).where(Programme.is_current))
    return offer(programme, language) if programme else None


def share_url(db: Session, house: House, contact_id: int) -> str | None:
    """The person's own link; None until they have asked for it (`actions.make_link`)."""
    link = db.scalar(select(ReferralLink).where(ReferralLink.contact_id == contact_id))
    return house.url(letters.link_path(house, link)) if link else None


class Brought(NamedTuple):
    """A friend as their referrer may see them: their own word for them until the friend accepts, then the friend's name
    and how far it got; never an address, never why it ended."""

    name: str
    company: str
    step: Step
    at: datetime | None
    mail_came_back: bool = False


class Friends(NamedTuple):
    """A person's friends, the newest first; `forgotten` counts invitations that nobody answered."""

    listed: list[Brought]
    forgotten: int
    rewarded: int


def friends(db: Session, contact_id: int) -> Friends:
    """Everybody this person has brought, as far as each friend's privacy allows. Three statements."""
    invitations = db.scalars(select(Invitation).where(Invitation.contact_id == contact_id)).all()
    referrals = db.scalars(select(Referral).where(Referral.contact_id == contact_id)).all()
    by_invitation = {row.invitation_id: row for row in referrals if row.invitation_id is not None}
    waiting = [row.letter_key for row in invitations if row.forgotten_at is None and row.id not in by_invitation]
    came_back = set(
        db.scalars(select(LetterRow.key).where(LetterRow.key.in_(waiting), LetterRow.failed_at.is_not(None)))
        if waiting
        else ()
    )
    shown = [_invited(row, by_invitation.get(row.id), came_back) for row in invitations]
    shown += [_accepted(row) for row in referrals if row.invitation_id is None and row.accepted_at is not None]
    listed = [friend for friend in shown if friend.step is not Step.FORGOTTEN]
    # at is never None for what is listed; the earliest instant only pleases the types.
    listed.sort(key=lambda friend: friend.at.timestamp() if friend.at else 0.0, reverse=True)
    return Friends(listed, len(shown) - len(listed), rules.earned(friend.step for friend in listed))


def _invited(invitation: Invitation, referral: Referral | None, came_back: set[str]) -> Brought:
    if referral is not None and referral.accepted_at is not None:
        return _accepted(referral)
    opened_at = referral.opened_at if referral is not None else None
    facts = Facts(invited_at=invitation.invited_at, opened_at=opened_at, forgotten_at=invitation.forgotten_at)
    return Brought(invitation.friend_name, "", *rules.step(facts), invitation.letter_key in came_back)


def _accepted(referral: Referral) -> Brought:
    return Brought(referral.name, referral.company, *rules.step(referral.facts))


# The friend


@dataclass(frozen=True)
class Door:
    """A link that a friend has opened: who stands behind it, and under which terms. `invitation` if it came by mail."""

    link_id: int
    referrer: str
    company: str
    programme: Programme
    invitation: Invitation | None = None
    is_answered: bool = False
    """Whether somebody has accepted this invitation already."""


Row = TypeVar("Row", ReferralLink, Invitation, Referral)


def _sealed(db: Session, house: House, kind: type[Row], purpose: str, token: str) -> Row:
    """The row that a token opens. Errors: NotFound, whatever is wrong with it."""
    row: Row | None = db.get(kind, links.row_of(token) or 0)
    if row is None or not links.is_sealed(token, house.secret, purpose, row.nonce):
        raise NotFound
    return row


def _door(db: Session, link: ReferralLink, invitation: Invitation | None = None) -> Door:
    row = db.execute(
        select(Contact.name, Account.name, Account.churned_on, Contact.disabled_at)
        .join(Account, Account.id == Contact.account_id)
        .where(Contact.id == link.contact_id)
    ).one()
    name, company, churned_on, disabled_at = row
    if churned_on is not None or disabled_at is not None:
        raise NotFound
    answered = invitation is not None and (
        db.scalar(select(Referral.id).where(Referral.invitation_id == invitation.id, Referral.accepted_at.is_not(None)))
        is not None
    )
    return Door(link.id, name, company, db.get_one(Programme, link.programme_id), invitation, answered)


def shared_door(db: Session, house: House, token: str) -> Door:
    """Who stands behind a shared link. Errors: NotFound, also once the referrer has left."""
    return _door(db, _sealed(db, house, ReferralLink, letters.LINK, token))


def invited_door(db: Session, house: House, token: str) -> Door:
    """Who stands behind a mailed invitation. Errors: NotFound, also once it was forgotten."""
    invitation = _sealed(db, house, Invitation, letters.INVITATION, token)
    if invitation.forgotten_at is not None:
        raise NotFound
    return _door(db, db.get_one(ReferralLink, invitation.link_id), invitation)


def to_confirm(db: Session, house: House, token: str) -> Referral:
    """The details whose address a mailed link proves. Errors: NotFound."""
    return _sealed(db, house, Referral, letters.CONFIRMATION, token)


# Staff


class Prompt(NamedTuple):
    """Whom to ask, and why now."""

    id: int
    account_id: int
    account_name: str
    contact_name: str
    why: Why
    goal: str
    prompted_at: datetime


def open_prompts(db: Session, owner_id: int | None) -> list[Prompt]:
    """Prompts that wait for a consultant, or for anybody (None), the oldest first. Those of an account with an open flag stay
    out of sight until it is closed."""
    flagged = select(Flag.id).where(Flag.account_id == ReferralPrompt.account_id, Flag.closed_at.is_(None))
    wanted = (
        select(
            ReferralPrompt.id,
            ReferralPrompt.account_id,
            Account.name,
            func.coalesce(Contact.name, ""),
            ReferralPrompt.why,
            func.coalesce(GoalRow.title, ""),
            ReferralPrompt.prompted_at,
        )
        .join(Account, Account.id == ReferralPrompt.account_id)
        .join(JourneyRow, JourneyRow.id == ReferralPrompt.journey_id)
        .outerjoin(Contact, Contact.id == ReferralPrompt.contact_id)
        .outerjoin(GoalRow, GoalRow.id == ReferralPrompt.goal_id)
        .where(ReferralPrompt.closed_at.is_(None), ReferralPrompt.withheld.is_(None), ~flagged.exists())
        .order_by(ReferralPrompt.prompted_at, ReferralPrompt.id)
        .limit(200)
    )
    if owner_id is not None:
        wanted = wanted.where(func.coalesce(Account.consultant_id, JourneyRow.owner_id) == owner_id)
    return [Prompt(*row) for row in db.execute(wanted)]


class Listed(NamedTuple):
    """A friend as staff see them. `moves` are those possible now."""

    id: int
    name: str
    company: str
    email: str
    referrer: str
    account_id: int
    account_name: str
    step: Step
    at: datetime | None
    why: str
    moves: tuple[rules.Move, ...]


def accepted(
    db: Session, *, owner_id: int | None = None, before_id: int | None = None, limit: int = 50
) -> list[Listed]:
    """Friends who accepted, the newest first; of one consultant's customers or of all."""
    wanted = (
        select(Referral, Contact.name, Account.name)
        .join(Contact, Contact.id == Referral.contact_id)
        .join(Account, Account.id == Referral.account_id)
        .where(Referral.accepted_at.is_not(None))
        .order_by(Referral.id.desc())
        .limit(limit)
    )
    if owner_id is not None:
        wanted = wanted.where(Account.consultant_id == owner_id)
    if before_id is not None:
        wanted = wanted.where(Referral.id < before_id)
    return [_listed(*row) for row in db.execute(wanted)]


def one_accepted(db: Session, referral_id: int) -> Listed:
    """One friend who accepted. Errors: NotFound."""
    row = db.execute(
        select(Referral, Contact.name, Account.name)
        .join(Contact, Contact.id == Referral.contact_id)
        .join(Account, Account.id == Referral.account_id)
        .where(Referral.id == referral_id, Referral.accepted_at.is_not(None))
    ).first()
    if row is None:
        raise NotFound
    return _listed(*row)


def _listed(row: Referral, referrer: str, account_name: str) -> Listed:
    step, at = rules.step(row.facts)
    return Listed(
        row.id, row.name, row.company, row.email, referrer, row.account_id, account_name, step, at, row.rejected_why,
        rules.POSSIBLE[step],
    )  # fmt: skip
