"""What people do with what there is to read: begin, go on, finish, say whether it helped, look at the news. And loading
those tutorials that we ship."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from sqlalchemy import case, select, update
from sqlalchemy.orm import Session

from portal import audit
from portal.accounts.rules import Language
from portal.audit import Event, Happened
from portal.db import insert_for
from portal.learning.changes import readers_view_changed
from portal.learning.models import NewsSeen, Tutorial, TutorialProgress, TutorialText
from portal.learning.queries import reading
from portal.learning.rules import Reader, Written, read_tutorial
from portal.learning.writing import keep_versions
from portal.places import PACKAGE

CONTENT = PACKAGE / "learning" / "content"


def begin(db: Session, reader: Reader, *, slug: str, now: datetime) -> None:
    """Somebody has opened it; once begun it stays begun. Errors: NotFound."""
    _reached(db, reader, _published(db, reader, slug), now=now)


def reach_part(db: Session, reader: Reader, *, slug: str, part: int, now: datetime) -> None:
    """Somebody has read as far as this part (from 1); going back takes nothing away. Errors: NotFound."""
    tutorial_id = _published(db, reader, slug)
    _reached(db, reader, tutorial_id, now=now)
    furthest = case((TutorialProgress.part < part, part), else_=TutorialProgress.part)
    db.execute(_progress(reader, tutorial_id).values(part=furthest))


def finish(db: Session, reader: Reader, *, slug: str, now: datetime) -> None:
    """Somebody has read it to its end. A second time changes nothing. Errors: NotFound."""
    tutorial_id = _published(db, reader, slug)
    _reached(db, reader, tutorial_id, now=now)
    first = db.execute(
        _progress(reader, tutorial_id)
        .where(TutorialProgress.finished_at.is_(None))
        .values(finished_at=now)
        .returning(TutorialProgress.tutorial_id)
    ).first()
    if first is not None:
        contact, detail = reader.contact_id, {"tutorial": slug}
        audit.note(
            db,
            Event(Happened.TUTORIAL_FINISHED, f"contact:{contact}", now, reader.account_id, None, contact, detail),
        )


def reopen(db: Session, reader: Reader, *, slug: str) -> None:
    """Takes back that it was finished: pressed by mistake, or worth a second look. Errors: NotFound."""
    db.execute(_progress(reader, _published(db, reader, slug)).values(finished_at=None))


def say_whether_it_helped(db: Session, reader: Reader, *, slug: str, helped: bool, now: datetime) -> None:
    """Somebody says whether it helped; the last word counts, and a yes takes back what was missing. Errors: NotFound."""
    tutorial_id = _published(db, reader, slug)
    _reached(db, reader, tutorial_id, now=now)
    taken_back = {"words": ""} if helped else {}
    db.execute(_progress(reader, tutorial_id).values(helped=helped, told_at=now, **taken_back))


def say_what_was_missing(db: Session, reader: Reader, *, slug: str, words: str, now: datetime) -> None:
    """In their own words, after a no; which it then is. Errors: NotFound."""
    tutorial_id = _published(db, reader, slug)
    _reached(db, reader, tutorial_id, now=now)
    db.execute(_progress(reader, tutorial_id).values(helped=False, told_at=now, words=words))


def see_news(db: Session, contact_id: int, *, now: datetime) -> None:
    """Somebody has looked at the news; only what is published from now on is new to them."""
    seen = {"contact_id": contact_id, "seen_at": now}
    insert = insert_for(db, NewsSeen).values(seen)
    db.execute(insert.on_conflict_do_update(index_elements=["contact_id"], set_={"seen_at": now}))


def _published(db: Session, reader: Reader, slug: str) -> int:
    return reading(db, reader, slug).id


def _reached(db: Session, reader: Reader, tutorial_id: int, *, now: datetime) -> None:
    begun = {"contact_id": reader.contact_id, "tutorial_id": tutorial_id, "started_at": now, "part": 0, "words": ""}
    db.execute(insert_for(db, TutorialProgress).values(begun).on_conflict_do_nothing())


def _progress(reader: Reader, tutorial_id: int) -> Any:
    return update(TutorialProgress).where(
        TutorialProgress.contact_id == reader.contact_id, TutorialProgress.tutorial_id == tutorial_id
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
    known_slugs = set(db.scalars(select(Tutorial.slug)))
    db.add_all(
        Tutorial(
            slug=text.slug,
            stage_key=text.stage_key,
            position=text.position,
            minutes=text.minutes,
            version=0,
            created_at=now,
            published_at=now,
            changed_at=now,
        )
        for text in shipped
        if text.language == Language.EN and text.slug not in known_slugs
    )
    db.flush()
    ids = {slug: id_ for slug, id_ in db.execute(select(Tutorial.slug, Tutorial.id))}
    known = {(text.tutorial_id, text.language): text for text in db.scalars(select(TutorialText))}
    changed = []
    for text in shipped:
        key = ids[text.slug], Language(text.language)
        row = known.get(key)
        if row is None:
            row = TutorialText(tutorial_id=key[0], language=key[1], fingerprint="", shipped="", who="", achieved="")
            db.add(row)
        if text.fingerprint != row.shipped and row.fingerprint == row.shipped:
            row.title, row.summary, row.body = text.title, text.summary, text.body
            row.fingerprint = row.shipped = text.fingerprint
            row.changed_at = now
            changed.append(key[0])
    keep_versions(db, set(changed), by="shipped", now=now)
    readers_view_changed(db, set(changed), now=now)
    return len(changed)
