"""What the referral mails may not store: links, and what is in it for the friend. Composed as the letter leaves."""

from typing import Any

from sqlalchemy.orm import Session

from portal import links
from portal.accounts.rules import Language
from portal.errors import N_
from portal.house import House
from portal.mail import Composer, Kind, LetterRow, Withheld
from portal.referrals.models import Invitation, Programme, Referral, ReferralLink

LINK = "referral"
INVITATION = "referral_invitation"
CONFIRMATION = "referral_confirmation"

_GONE = N_("The invitation was taken back or forgotten before it could leave.")
_REPLACED = N_("A later mail takes its place.")


def link_path(house: House, link: ReferralLink) -> str:
    """Where a person's own link leads."""
    return f"/r/{links.seal(house.secret, LINK, link.id, link.nonce)}"


def invitation_path(house: House, invitation: Invitation) -> str:
    return f"/r/i/{links.seal(house.secret, INVITATION, invitation.id, invitation.nonce)}"


def confirmation_path(house: House, referral: Referral) -> str:
    return f"/r/confirm/{links.seal(house.secret, CONFIRMATION, referral.id, referral.nonce)}"


def invitation(db: Session, house: House, row: LetterRow) -> dict[str, Any]:
    """The link of one invitation, and what the friend gets. Errors: Withheld once it was forgotten or refused."""
    found = db.get(Invitation, _row_of(row))
    if found is None or found.forgotten_at is not None or found.refused_at is not None:
        raise Withheld(_GONE)
    programme = db.get_one(Programme, db.get_one(ReferralLink, found.link_id).programme_id)
    gets = programme.friend_gets_pt if row.language == Language.PT_BR else programme.friend_gets_en
    return {"invitation_url": house.url(invitation_path(house, found)), "reward": gets}


def confirmation(db: Session, house: House, row: LetterRow) -> dict[str, Any]:
    """The link that proves the friend's address. Errors: Withheld once other details replaced these."""
    found = db.get(Referral, _row_of(row))
    if found is None:
        raise Withheld(_GONE)
    if found.letter_key != row.key:
        raise Withheld(_REPLACED)
    return {"confirm_url": house.url(confirmation_path(house, found))}


def _row_of(row: LetterRow) -> int:
    return int(row.key.split(":")[1])


COMPOSERS: dict[Kind, Composer] = {Kind.REFERRAL_INVITATION: invitation, Kind.REFERRAL_CONFIRMATION: confirmation}
