"""Times for a doubt meeting that were offered to the person of a case: their link, and what it opens."""

from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Select, select
from sqlalchemy.orm import Session

from portal.accounts.models import Contact
from portal.house import House
from portal.journeys.models import Flag, OfferedTimes
from portal.links import is_sealed, row_of, seal

PURPOSE = "offered_times"
"""The purpose of the link by which one of the times is chosen without signing in: `/times/<token>`."""


class Offered(NamedTuple):
    """An offer with the case it belongs to and the person it was made to."""

    id: int
    starts: tuple[datetime, ...]
    nonce: str
    offered_at: datetime
    flag_id: int
    journey_id: int
    account_id: int
    is_open: bool
    words: str
    contact_id: int
    language: str
    timezone: str


def _offers() -> Select[*tuple[Any, ...]]:
    o = OfferedTimes
    return (
        select(
            o.id,
            o.starts,
            o.nonce,
            o.offered_at,
            Flag.id,
            Flag.journey_id,
            Flag.account_id,
            Flag.closed_at.is_(None),
            Flag.words,
            o.contact_id,
            Contact.language,
            Contact.timezone,
        )
        .join(Flag, Flag.id == o.flag_id)
        .join(Contact, Contact.id == o.contact_id)
        .where(Contact.disabled_at.is_(None))
    )


_OFFERS = _offers()


def path_of(house: House, offer_id: int, nonce: str) -> str:
    """Where the times can be chosen from, by whoever has the link."""
    return f"/times/{seal(house.secret, PURPOSE, offer_id, nonce)}"


def sealed_offer(db: Session, house: House, token: str) -> Offered | None:
    """The offer behind a link; None for a link that opens none."""
    offer_id = row_of(token)
    found = _one(db, OfferedTimes.id == offer_id) if offer_id is not None else None
    return found if found is not None and is_sealed(token, house.secret, PURPOSE, found.nonce) else None


def own_offer(db: Session, contact_id: int) -> Offered | None:
    """The last one that was made to this person about a case that is open."""
    return _one(db, (OfferedTimes.contact_id == contact_id) & Flag.closed_at.is_(None))


def last_offer(db: Session, flag_id: int) -> Offered | None:
    """The newest offer of a case."""
    return _one(db, OfferedTimes.flag_id == flag_id)


def offer_of_messages(db: Session, message_ids: list[int], *, contact_id: int) -> Offered | None:
    """The newest offer that went out to them with one of these messages."""
    return _one(db, OfferedTimes.message_id.in_(message_ids) & (OfferedTimes.contact_id == contact_id))


def _one(db: Session, wanted: ColumnElement[bool]) -> Offered | None:
    row = db.execute(_OFFERS.where(wanted).order_by(OfferedTimes.id.desc()).limit(1)).first()
    if row is None:
        return None
    offer_id, starts, *rest = row
    return Offered._make((offer_id, tuple(map(datetime.fromisoformat, starts)), *rest))
