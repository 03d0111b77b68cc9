"""What the letters to colleagues may not store: links that open something. Composed as the letter leaves."""

from typing import Any

from sqlalchemy.orm import Session

from portal.accounts import people
from portal.accounts.people_models import AddressChange, ColleagueInvitation
from portal.accounts.people_queries import address_path, host, join_path
from portal.errors import N_
from portal.house import House
from portal.mail import Composer, Kind, LetterRow, Withheld

_GONE = N_("The invitation was taken back or forgotten before it could leave.")
_REPLACED = N_("A later mail takes its place.")


def invitation(db: Session, house: House, row: LetterRow) -> dict[str, Any]:
    """The link of an invitation, and until when it opens. Errors: Withheld once it ended, or was sent anew."""
    found = db.get(ColleagueInvitation, row.context.get("invitation_id", 0))
    if found is None or not people.is_open(found, house.clock.now()):
        raise Withheld(_GONE)
    if row.key != people.letter_key(found.id, found.sendings):
        raise Withheld(_REPLACED)
    whose = host(db, found.account_id)
    if whose.has_left:
        raise Withheld(_GONE)
    return {"join_url": house.url(join_path(house, found)), "company": whose.company, "until_at": found.expires_at}


def address_confirmation(db: Session, house: House, row: LetterRow) -> dict[str, Any]:
    """The link that makes the new address theirs. Errors: Withheld once it was dropped or used."""
    change = db.get(AddressChange, row.context.get("change_id", 0))
    if change is None or not people.change_is_open(change, house.clock.now()):
        raise Withheld(_REPLACED)
    return {"confirm_url": house.url(address_path(house, change))}


COMPOSERS: dict[Kind, Composer] = {
    Kind.COLLEAGUE_INVITATION: invitation,
    Kind.ADDRESS_CONFIRMATION: address_confirmation,
}
