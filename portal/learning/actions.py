"""What people do with tutorials: begin one, finish it, say whether it helped. And loading those that we ship."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from portal import audit
from portal.accounts.rules import Language
from portal.audit import Event, Happened
from portal.db import insert_for
from portal.errors import NotFound
from portal.learning.findable import lessons
from portal.learning.models import Tutorial, TutorialProgress, TutorialText
from portal.learning.rules import Written, read_tutorial
from portal.places import PACKAGE
from portal.search import index
from portal.search.rules import Kind

CONTENT = PACKAGE / "learning" / "content"


def begin(db: Session, contact_id: int, *, slug: str, now: datetime) -> None:
    """Somebody has opened a tutorial; once begun it stays begun. Errors: NotFound."""
    _reached(db, contact_id, _published(db, slug), now=now)


def finish(db: Session, contact_id: int, *, slug: str, account_id: int, now: datetime) -> None:
    """Somebody has read a tutorial to its end. A second time changes nothing. Errors: NotFound."""
    tutorial_id = _published(db, slug)
    _reached(db, contact_id, tutorial_id, now=now)
    first = db.execute(
        _progress(contact_id, tutorial_id)
        .where(TutorialProgress.finished_at.is_(None))
        .values(finished_at=now)
        .returning(TutorialProgress.tutorial_id)
    ).first()
    if first is not None:
        by = f"contact:{contact_id}"
        audit.note(db, Event(Happened.TUTORIAL_FINISHED, by, now, account_id, None, contact_id, {"tutorial": slug}))


def reopen(db: Session, contact_id: int, *, slug: str) -> None:
    """Takes back that it was finished: pressed by mistake, or worth a second look. Errors: NotFound."""
    db.execute(_progress(contact_id, _published(db, slug)).values(finished_at=None))


def say_whether_it_helped(db: Session, contact_id: int, *, slug: str, helped: bool, now: datetime) -> None:
    """Somebody says whether it helped; the last word counts. Errors: NotFound."""
    tutorial_id = _published(db, slug)
    _reached(db, contact_id, tutorial_id, now=now)
    db.execute(_progress(contact_id, tutorial_id).values(helped=helped, told_at=now))


def _published(db: Session, slug: str) -> int:
    found = db.scalar(select(Tutorial.id).where(Tutorial.slug == slug, Tutorial.published_at.is_not(None)))
    if found is None:
        raise NotFound
    return found


def _reached(db: Session, contact_id: int, tutorial_id: int, *, now: datetime) -> None:
    begun = {"contact_id": contact_id, "tutorial_id": tutorial_id, "started_at": now}
    db.execute(insert_for(db, TutorialProgress).values(begun).on_conflict_do_nothing())


def _progress(contact_id: int, tutorial_id: int) -> Any:
    return update(TutorialProgress).where(
        TutorialProgress.contact_id == contact_id, TutorialProgress.tutorial_id == tutorial_id
    )


# Shipped ones


def load_shipped_tutorials(db: Session, *, now: datetime) -> int:
    """Puts the tutorials that we ship into the database; gives how many texts were new or changed.

    From then on the rows are the truth: words that somebody has edited stay as they are, what was unpublished stays
    so, and what we ship anew replaces only our own words. Run it as often as you like.
    """
    return _load(db, [read_tutorial(path.name, path.read_text("utf-8")) for path in sorted(CONTENT.glob("*.md"))], now)


def _load(db: Session, shipped: Iterable[Written], now: datetime) -> int:
    shipped = list(shipped)
    places = [
        {
            "slug": text.slug,
            "stage_key": text.stage_key,
            "position": text.position,
            "minutes": text.minutes,
            "created_at": now,
            "published_at": now,
        }
        for text in shipped
        if text.language == Language.EN
    ]
    db.execute(insert_for(db, Tutorial).on_conflict_do_nothing(index_elements=["slug"]), places)
    ids = {slug: id_ for slug, id_ in db.execute(select(Tutorial.slug, Tutorial.id))}
    known = {(text.tutorial_id, text.language): text for text in db.scalars(select(TutorialText))}
    changed = 0
    for text in shipped:
        key = ids[text.slug], Language(text.language)
        row = known.get(key)
        if row is None:
            row = TutorialText(tutorial_id=key[0], language=key[1], fingerprint="", shipped="")
            db.add(row)
        if text.fingerprint != row.shipped and row.fingerprint == row.shipped:
            row.title, row.summary, row.body = text.title, text.summary, text.body
            row.fingerprint = row.shipped = text.fingerprint
            row.changed_at = now
            changed += 1
    db.flush()
    if changed:
        index.refresh(db, Kind.LESSON, lessons(db))
    return changed
