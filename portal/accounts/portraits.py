"""Profile pictures, for who wants one: written anew as a small square, shown wherever the person's initials would be."""

import io
from datetime import datetime

from PIL import Image, ImageOps
from sqlalchemy import select
from sqlalchemy.orm import Session

from portal import audit, media
from portal.accounts.models import Contact, Staff
from portal.audit import Event, Happened
from portal.errors import NotFound
from portal.house import House
from portal.media import Harmless, Reach, Upload

SIDE = 256
"""In pixels: twice what the largest avatar shows."""


def square(upload: Upload) -> Harmless:
    """The middle of the picture as a square. Errors: media.MediaRefused, with the reason in words."""
    safe = media.read_picture(upload)
    with Image.open(io.BytesIO(safe.content), formats=("WEBP",)) as picture:
        small = ImageOps.fit(picture.convert("RGB"), (SIDE, SIDE))
    made = io.BytesIO()
    small.save(made, "WEBP", quality=82, method=4)
    return Harmless("portrait.webp", "image/webp", made.getvalue(), SIDE, SIDE)


def wear(db: Session, house: House, person: Contact | Staff, upload: Upload, *, by: str, now: datetime) -> None:
    """From now on this is their picture; the one before is forgotten. Errors: MediaRefused."""
    kept = media.keep(db, house, square(upload), reach=Reach.BY_ADDRESS, by=by, now=now)
    if person.portrait != kept.path:
        _replace(db, person, kept.path, by=by, now=now)


def take_off(db: Session, person: Contact | Staff, *, by: str, now: datetime) -> None:
    """Initials again."""
    if person.portrait:
        _replace(db, person, "", by=by, now=now)


def _replace(db: Session, person: Contact | Staff, path: str, *, by: str, now: datetime) -> None:
    before, person.portrait = person.portrait, path
    db.flush()
    _forget_unless_shared(db, before)
    if isinstance(person, Contact):
        event = Event(Happened.CONTACT_CHANGED, by, now, person.account_id, None, person.id, {"portrait": bool(path)})
    else:
        event = Event(Happened.STAFF_CHANGED, by, now, detail={"staff": person.id, "change": "portrait"})
    audit.note(db, event)


def _forget_unless_shared(db: Session, path: str) -> None:
    """The same picture is kept once, whoever brought it."""
    if not path or any(
        db.scalar(select(table.id).where(table.portrait == path).limit(1)) is not None for table in (Contact, Staff)
    ):
        return
    try:
        media.forget(db, media.found_by_address(db, path.split("/")[2]).id)
    except NotFound:
        return
