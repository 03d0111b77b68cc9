"""What staff do with what there is to read: write, save, publish, withdraw, bring back an older version, take away a draft.
Every save is a version; who saves says which one they started from."""

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from portal import audit
from portal.audit import Event, Happened
from portal.errors import N_, NotFound, Refused
from portal.learning.changes import readers_view_changed
from portal.learning.models import Tutorial, TutorialText, TutorialVersion
from portal.learning.rules import Draft, Text, compared, slugs_for


class SavedMeanwhile(Refused):
    """Somebody else saved it since; what was typed must not be lost, nor theirs overwritten unseen."""

    def __init__(self) -> None:
        super().__init__(N_("Somebody saved this while you were writing."))


class StillPublished(Refused):
    def __init__(self) -> None:
        super().__init__(N_("Readers can see this. Withdraw it first, then delete it."))


class NothingToRead(Refused):
    def __init__(self) -> None:
        super().__init__(N_("Write it in at least one language first."))


def create(db: Session, draft: Draft, *, by: str, now: datetime) -> int:
    """A new draft: its number."""
    row = Tutorial(slug=_free_slug(db, draft.title), version=0, created_at=now, changed_at=now)
    _put(row, draft)
    db.add(row)
    db.flush()
    _put_texts(db, row.id, draft, now=now)
    _saved(db, row, Happened.CONTENT_CREATED, by=by, now=now)
    return row.id


def _free_slug(db: Session, title: str) -> str:
    """Two statements, however many there are and have that title."""
    slugs = slugs_for(title, last=db.scalar(select(func.max(Tutorial.id))) or 0)
    taken = set(db.scalars(select(Tutorial.slug).where(Tutorial.slug.in_(slugs))))
    return next(slug for slug in slugs if slug not in taken)


def save(
    db: Session,
    tutorial_id: int,
    draft: Draft,
    *,
    version: int,
    by: str,
    now: datetime,
    restored_from: int | None = None,
) -> None:
    """The words and the target as they are now; readers of what is published see them at once.

    `version`: the one the writer started from. Errors: NotFound, SavedMeanwhile.
    """
    row = _locked(db, tutorial_id, version=version)
    _put(row, draft)
    _put_texts(db, tutorial_id, draft, now=now)
    _saved(db, row, Happened.CONTENT_CHANGED, by=by, now=now, restored_from=restored_from)


def restore(db: Session, tutorial_id: int, number: int, *, version: int, by: str, now: datetime) -> None:
    """An older version as the newest one. Errors: NotFound, SavedMeanwhile."""
    old = db.get(TutorialVersion, (tutorial_id, number))
    if old is None:
        raise NotFound
    draft = Draft.from_json(old.content)
    save(db, tutorial_id, draft, version=version, by=by, now=now, restored_from=number)


def publish(db: Session, tutorial_id: int, *, by: str, now: datetime) -> None:
    """Shows it to those it is for; a second time changes nothing. Errors: NotFound, NothingToRead."""
    row = _locked(db, tutorial_id)
    if row.published_at is not None:
        return
    if db.scalar(select(TutorialText.tutorial_id).where(TutorialText.tutorial_id == tutorial_id).limit(1)) is None:
        raise NothingToRead
    row.published_at = now
    _told(db, row, Happened.CONTENT_PUBLISHED, by=by, now=now)


def withdraw(db: Session, tutorial_id: int, *, by: str, now: datetime) -> None:
    """Takes it from readers' sight; what they did with it is kept. A second time changes nothing. Errors: NotFound."""
    row = _locked(db, tutorial_id)
    if row.published_at is None:
        return
    row.published_at = None
    _told(db, row, Happened.CONTENT_WITHDRAWN, by=by, now=now)


def take_away(db: Session, tutorial_id: int, *, by: str, now: datetime) -> None:
    """Deletes a draft with its versions and what readers once did with it. Errors: NotFound, StillPublished."""
    row = _locked(db, tutorial_id)
    if row.published_at is not None:
        raise StillPublished
    _told(db, row, Happened.CONTENT_DELETED, by=by, now=now)
    db.execute(delete(Tutorial).where(Tutorial.id == tutorial_id))


def keep_versions(db: Session, tutorial_ids: Collection[int], *, by: str, now: datetime) -> None:
    """A new version of each as it is now."""
    for row in db.scalars(select(Tutorial).where(Tutorial.id.in_(tutorial_ids)).order_by(Tutorial.id)):
        _keep_version(db, row, by=by, now=now)
    db.flush()


def draft_of(db: Session, tutorial_id: int) -> Draft:
    """It as it is now. Errors: NotFound."""
    row = db.get(Tutorial, tutorial_id)
    if row is None:
        raise NotFound
    return _draft(db, row)


def _locked(db: Session, tutorial_id: int, *, version: int | None = None) -> Tutorial:
    row = db.scalars(select(Tutorial).where(Tutorial.id == tutorial_id).with_for_update()).one_or_none()
    if row is None:
        raise NotFound
    if version is not None and row.version != version:
        raise SavedMeanwhile
    return row


def _put(row: Tutorial, draft: Draft) -> None:
    row.kind, row.stage_key, row.position, row.minutes = draft.kind, draft.stage_key, draft.position, draft.minutes
    row.audience, row.plans, row.happened_on = draft.audience, list(draft.plans), draft.happened_on
    row.for_plans = compared(draft.plans)


def _put_texts(db: Session, tutorial_id: int, draft: Draft, *, now: datetime) -> None:
    known = {text.language: text for text in _texts(db, tutorial_id)}
    for language, row in known.items():
        if language not in draft.texts:
            db.delete(row)
    for language, text in draft.texts.items():
        row_of_it = known.get(language)
        if row_of_it is None:
            row_of_it = TutorialText(tutorial_id=tutorial_id, language=language, fingerprint="", shipped="")
            db.add(row_of_it)
        if text.fingerprint != row_of_it.fingerprint:
            row_of_it.title, row_of_it.summary, row_of_it.body = text.title, text.summary, text.body
            row_of_it.who, row_of_it.achieved = text.who, text.achieved
            row_of_it.fingerprint, row_of_it.changed_at = text.fingerprint, now
    db.flush()


def _saved(
    db: Session, row: Tutorial, what: Happened, *, by: str, now: datetime, restored_from: int | None = None
) -> None:
    _keep_version(db, row, by=by, now=now, restored_from=restored_from)
    _told(db, row, what, by=by, now=now)


def _keep_version(db: Session, row: Tutorial, *, by: str, now: datetime, restored_from: int | None = None) -> None:
    row.version += 1
    db.add(
        TutorialVersion(
            tutorial_id=row.id,
            number=row.version,
            content=_draft(db, row).as_json(),
            by=by,
            at=now,
            restored_from=restored_from,
        )
    )


def _told(db: Session, row: Tutorial, what: Happened, *, by: str, now: datetime) -> None:
    audit.note(db, Event(what, by, now, detail={"tutorial": row.slug, "version": row.version}))
    readers_view_changed(db, [row.id], now=now)


def _texts(db: Session, tutorial_id: int) -> list[TutorialText]:
    found = select(TutorialText).where(TutorialText.tutorial_id == tutorial_id).order_by(TutorialText.language)
    return list(db.scalars(found))


def _draft(db: Session, row: Tutorial) -> Draft:
    texts = {
        text.language: Text(text.title, text.summary, text.body, text.who, text.achieved) for text in _texts(db, row.id)
    }
    return Draft(
        row.kind, row.stage_key, row.position, row.minutes, row.audience, tuple(row.plans), row.happened_on, texts
    )
