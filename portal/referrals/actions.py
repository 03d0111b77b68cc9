"""What people do with referrals: share, invite, leave details, confirm, decide. And what the worker does: prompt, forget."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import delete, func, or_, select, update
from sqlalchemy.orm import Session

from portal import audit, auth, links, mail
from portal.accounts.models import Account, Contact
from portal.accounts.rules import Language
from portal.audit import Event, Happened
from portal.auth import Limit
from portal.db import insert_for
from portal.errors import N_, NotFound, Refused
from portal.house import House
from portal.mail import Kind, Letter, LetterRow, Purpose
from portal.referrals import rules
from portal.referrals.models import (
    Invitation,
    Programme,
    Referral,
    ReferralLink,
    ReferredAddress,
)
from portal.referrals.rules import Candidate, Move, Refusal

DETAILS_BY_A_CLIENT = Limit("referral_details_by", 20, timedelta(hours=1))
DETAILS_FOR_A_LINK = Limit("referral_details_for", 200, timedelta(days=1))
CONFIRMATIONS_TO_AN_ADDRESS = Limit("referral_confirmations_to", 3, timedelta(days=1))
CONFIRMING_BY_A_CLIENT = Limit("referral_confirming_by", 30, timedelta(hours=1))

FORGOTTEN_WHY = N_("Nobody accepted it within 30 days, so it was forgotten.")


class TooManyToday(Refused):
    """A person has sent as many invitations today as anybody may."""

    status = 429

    def __init__(self) -> None:
        super().__init__(
            N_("You have sent %(most)s invitations within a day. Please go on tomorrow, or share your link."),
            most=rules.INVITATIONS_A_DAY,
        )


class NotPossible(Refused):
    """A friend is not where such a step could follow."""

    def __init__(self) -> None:
        super().__init__(N_("This referral is not at a point where that is possible. Please look at it again."))


# The referrer


def make_link(db: Session, contact_id: int, *, account_id: int, now: datetime) -> ReferralLink:
    """The contact's own link, made on first asking: they have seen the terms beside the button. Errors: NotFound without
    a programme."""
    programme_id = db.scalar(select(Programme.id).where(Programme.is_current))
    if programme_id is None:
        raise NotFound
    new = {
        "contact_id": contact_id,
        "account_id": account_id,
        "nonce": links.new_nonce(),
        "programme_id": programme_id,
        "created_at": now,
    }
    db.execute(insert_for(db, ReferralLink).values(new).on_conflict_do_nothing(index_elements=["contact_id"]))
    # Held until the caller's transaction ends: invitations are counted and details taken one at a time for each link.
    return db.scalars(select(ReferralLink).where(ReferralLink.contact_id == contact_id).with_for_update()).one()


@dataclass(frozen=True)
class Friend:
    """Whom to invite, and the line that goes with it."""

    name: str
    email: str
    note: str
    language: Language


def invite(db: Session, house: House, contact_id: int, *, friend: Friend, now: datetime) -> Refusal | None:
    """Sends one friend the one mail they will ever get from us this way; the refusal if they can't be brought.

    Nothing is written if it is refused. Errors: TooManyToday.
    """
    contact = db.get_one(Contact, contact_id)
    link = make_link(db, contact_id, account_id=contact.account_id, now=now)
    if invited_lately(db, contact_id, now=now) >= rules.INVITATIONS_A_DAY:
        raise TooManyToday
    refused = rules.refusal(_candidate(db, contact, friend.email))
    if refused is not None:
        return refused
    address = rules.address_hash(house.secret, friend.email)
    kept = {"address_hash": address, "contact_id": contact_id, "mailed_at": now}
    # The key decides among any number who invite the same friend at once: the first keeps them, and there is one mail.
    claimed = (
        insert_for(db, ReferredAddress).values(kept).on_conflict_do_nothing().returning(ReferredAddress.address_hash)
    )
    if db.scalar(claimed) is None:
        return Refusal.ALREADY_REFERRED
    invitation = Invitation(
        link_id=link.id,
        contact_id=contact_id,
        account_id=contact.account_id,
        friend_name=friend.name,
        address_hash=address,
        language=friend.language,
        nonce=links.new_nonce(),
        invited_at=now,
    )
    db.add(invitation)
    db.flush()
    context = {
        "friend_name": friend.name,
        "referrer_name": contact.name,
        "referrer_company": db.get_one(Account, contact.account_id).name,
        "note": friend.note,
    }
    mail.queue(
        db,
        Letter(invitation.letter_key, Kind.REFERRAL_INVITATION, friend.email, friend.language, context),
        now=now,
    )
    _noted(db, Happened.REFERRAL_INVITED, f"contact:{contact_id}", invitation, {"invitation": invitation.id}, now)
    return None


def invited_lately(db: Session, contact_id: int, *, now: datetime) -> int:
    """How many invitations this person has sent within the last 24 hours."""
    lately = select(func.count()).where(
        Invitation.contact_id == contact_id, Invitation.invited_at > now - timedelta(days=1)
    )
    return db.scalar(lately) or 0


def _candidate(db: Session, referrer: Contact, email: str) -> Candidate:
    known = db.execute(
        select(Contact.account_id, Account.churned_on)
        .join(Account, Account.id == Contact.account_id)
        .where(Contact.email == email)
    ).all()
    return Candidate(
        is_referrer=email == referrer.email,
        is_colleague=any(account_id == referrer.account_id for account_id, _ in known),
        is_customer=any(churned_on is None for _, churned_on in known),
        wants_no_contact=Purpose.MARKETING in mail.refusals(db, email),
    )


# The friend


@dataclass(frozen=True)
class Details:
    """What a friend leaves, and the words they agreed to as they read them."""

    name: str
    company: str
    email: str
    consent: str
    language: Language


def leave_details(
    db: Session,
    house: House,
    *,
    link_id: int,
    details: Details,
    client: str,
    now: datetime,
    invitation_id: int | None = None,
) -> None:
    """Keeps a friend's details until they confirm their address, and asks them to by mail.

    It never says whether the address is known to us: that is told in the mail's page, to whoever can read that mail.
    Details that come twice replace each other until they are confirmed, and change nothing afterwards. Errors: TooMany.
    """
    address = rules.address_hash(house.secret, details.email)
    auth.spend(db, DETAILS_BY_A_CLIENT, client, now=now)
    auth.spend(db, DETAILS_FOR_A_LINK, str(link_id), now=now)
    auth.spend(db, CONFIRMATIONS_TO_AN_ADDRESS, address, now=now)
    link = db.scalars(select(ReferralLink).where(ReferralLink.id == link_id).with_for_update()).one()
    referral = _place_for(db, link, address, invitation_id)
    if referral is None:
        return
    if referral.address_hash != address:
        referral.nonce = links.new_nonce()  # the link in a mail to the address before opens nothing any more
    referral.name, referral.company, referral.email = details.name, details.company, details.email
    referral.address_hash, referral.language, referral.consent = address, details.language, details.consent
    referral.refused_at = referral.refusal = None
    referral.mails = (referral.mails or 0) + 1
    referral.opened_at = referral.opened_at or now
    db.add(referral)
    db.flush()
    if Purpose.MARKETING not in mail.refusals(db, details.email):
        context = {"friend_name": details.name, "referrer_name": db.get_one(Contact, link.contact_id).name}
        letter = Letter(referral.letter_key, Kind.REFERRAL_CONFIRMATION, details.email, details.language, context)
        mail.queue(db, letter, now=now)


def _place_for(db: Session, link: ReferralLink, address: str, invitation_id: int | None) -> Referral | None:
    """The row that these details go into, new or from an earlier try; None where there is nothing left to leave."""
    same_address = db.scalar(select(Referral).where(Referral.link_id == link.id, Referral.address_hash == address))
    same_mail = db.scalar(select(Referral).where(Referral.invitation_id == invitation_id)) if invitation_id else None
    if any(row is not None and row.accepted_at is not None for row in (same_address, same_mail)):
        return None
    if same_address is not None and same_mail is not None and same_address is not same_mail:
        db.delete(same_mail)
        db.flush()
    place = same_address or same_mail
    if place is None:
        place = Referral(
            programme_id=link.programme_id,
            link_id=link.id,
            contact_id=link.contact_id,
            account_id=link.account_id,
            address_hash=address,
            nonce=links.new_nonce(),
        )
    place.invitation_id = place.invitation_id or invitation_id
    return place


def accept(db: Session, house: House, referral_id: int, *, now: datetime) -> Refusal | None:
    """A friend has proven their address: they are accepted, or told plainly why not. Again: the same answer.

    Errors: NotFound.
    """
    # The page has read the row already in this session: what another press changed meanwhile must be seen.
    locked = select(Referral).where(Referral.id == referral_id).with_for_update()
    referral = db.scalars(locked.execution_options(populate_existing=True)).one_or_none()
    if referral is None:
        raise NotFound
    if referral.accepted_at is not None or referral.refusal is not None:
        return referral.refusal
    refused = rules.refusal(_candidate(db, db.get_one(Contact, referral.contact_id), referral.email))
    if refused is None and not _keep(db, referral, now=now):
        refused = Refusal.ALREADY_REFERRED
    if refused is not None:
        referral.refused_at, referral.refusal = now, refused
    else:
        referral.accepted_at = now
        _noted(db, Happened.REFERRAL_ACCEPTED, f"friend:{referral.id}", referral, {"referral": referral.id}, now)
    db.flush()
    return refused


def _keep(db: Session, referral: Referral, *, now: datetime) -> bool:
    """Whether the address is the referrer's to bring, and has not accepted before. One statement decides, under any race."""
    kept = {"address_hash": referral.address_hash, "contact_id": referral.contact_id}
    db.execute(insert_for(db, ReferredAddress).values(kept).on_conflict_do_nothing())
    first = (
        update(ReferredAddress)
        .where(
            ReferredAddress.address_hash == referral.address_hash,
            ReferredAddress.accepted_at.is_(None),
            or_(ReferredAddress.contact_id.is_(None), ReferredAddress.contact_id == referral.contact_id),
        )
        .values(accepted_at=now, contact_id=referral.contact_id)
    )
    return mail.changed(db, first) == 1


def refuse_contact(db: Session, invitation_id: int, *, now: datetime) -> None:
    """A friend wants no more mails from us, whoever asks us to write. Errors: NotFound."""
    invitation = db.get(Invitation, invitation_id)
    if invitation is None:
        raise NotFound
    invitation.refused_at = invitation.refused_at or now
    letter = db.scalar(select(LetterRow).where(LetterRow.key == invitation.letter_key))
    if letter is not None:
        mail.refuse(db, letter, now=now)
        mail.suppress(db, keys=[letter.key], why=mail.REFUSED_WHY, now=now)
    db.flush()


# Staff, and the CRM


def move(db: Session, referral_id: int, *, to: Move, by: str, now: datetime, why: str = "") -> Referral:
    """Notes that a friend qualified, became a customer, did not fit (with a reason), or that both were rewarded.

    Told twice, or late, it changes nothing. Errors: NotFound; NotPossible where the step can't follow.
    """
    referral = db.scalars(
        select(Referral)
        .where(Referral.id == referral_id, Referral.accepted_at.is_not(None))
        .with_for_update()
        .execution_options(populate_existing=True)
    ).one_or_none()
    if referral is None:
        raise NotFound
    at, _ = rules.step(referral.facts)
    if rules.is_done_already(to, at):
        return referral
    if to not in rules.POSSIBLE[at]:
        raise NotPossible
    match to:
        case Move.QUALIFY:
            referral.qualified_at, referral.qualified_by = now, by
        case Move.WIN:
            if referral.qualified_at is None:
                referral.qualified_at, referral.qualified_by = now, by
            referral.won_at, referral.won_by = now, by
        case Move.REWARD:
            referral.rewarded_at, referral.rewarded_by = now, by
        case Move.REJECT:
            referral.rejected_at, referral.rejected_by, referral.rejected_why = now, by, why[:500] or "–"
    db.flush()
    detail = {"referral": referral.id, "from": at, "to": rules.REACHES[to], **({"why": why} if why else {})}
    _noted(db, Happened.REFERRAL_MOVED, by, referral, detail, now)
    return referral


def _noted(
    db: Session, what: Happened, by: str, about: Invitation | Referral, detail: dict[str, Any], now: datetime
) -> None:
    """On the referrer's timeline; the friend is a number there, never a name."""
    audit.note(db, Event(what, by, now, about.account_id, None, about.contact_id, detail))


# Forgetting


def forget_unaccepted(db: Session, now: datetime, *, limit: int = 500) -> int:
    """Forgets invitations and details that nobody confirmed within 30 days; gives how many. What stays is the hash of an
    address that was written to, so that it is never written to again."""
    before = now - rules.FORGOTTEN_AFTER
    return _forget_invitations(db, before, now, limit) + _forget_details(db, before, now, limit)


def _forget_invitations(db: Session, before: datetime, now: datetime, limit: int) -> int:
    accepted = select(Referral.id).where(Referral.invitation_id == Invitation.id, Referral.accepted_at.is_not(None))
    old: Sequence[Invitation] = db.scalars(
        select(Invitation)
        .where(Invitation.invited_at < before, Invitation.forgotten_at.is_(None), ~accepted.exists())
        .order_by(Invitation.invited_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
    ).all()
    if not old:
        return 0
    free = ReferredAddress.address_hash.in_([row.address_hash for row in old]), ReferredAddress.accepted_at.is_(None)
    mail.changed(db, update(ReferredAddress).where(*free).values(contact_id=None))
    mail.forget(db, keys=[row.letter_key for row in old], why=FORGOTTEN_WHY, now=now)
    for row in old:
        row.friend_name = row.address_hash = ""
        row.forgotten_at = now
    db.flush()
    return len(old)


def _forget_details(db: Session, before: datetime, now: datetime, limit: int) -> int:
    old = db.scalars(
        select(Referral)
        .where(Referral.opened_at < before, Referral.accepted_at.is_(None))
        .order_by(Referral.opened_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
    ).all()
    keys = [f"referral_confirmation:{row.id}:{number + 1}" for row in old for number in range(row.mails)]
    mail.forget(db, keys=keys, why=FORGOTTEN_WHY, now=now)
    db.execute(delete(Referral).where(Referral.id.in_([row.id for row in old])))
    return len(old)
