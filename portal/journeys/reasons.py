"""The reasons that cases end with: a list that managers and administrators keep, in both languages."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from portal import audit
from portal.audit import Event, Happened
from portal.errors import NotFound
from portal.journeys.models import CaseReason


class Reason(NamedTuple):
    """A reason to choose; retired ones stay on the cases that have them."""

    id: int
    words_en: str
    words_pt: str
    is_retired: bool

    def words(self, locale: str) -> str:
        return self.words_pt if locale == "pt-BR" else self.words_en


def reasons(db: Session, *, retired: bool) -> tuple[Reason, ...]:
    """In their order; `retired`: those that are no longer offered as well."""
    r = CaseReason
    query = select(r.id, r.words_en, r.words_pt, r.retired_at.is_not(None)).order_by(r.position, r.id)
    if not retired:
        query = query.where(r.retired_at.is_(None))
    return tuple(Reason(*row) for row in db.execute(query))


def add_reason(db: Session, *, words_en: str, words_pt: str, by: str, now: datetime) -> int:
    """A new reason, at the end of the list; gives its id."""
    last = db.scalar(select(func.max(CaseReason.position))) or 0
    row = CaseReason(position=last + 1, words_en=words_en, words_pt=words_pt)
    db.add(row)
    db.flush()
    _note(db, "added", row, by=by, now=now)
    return row.id


def reword(db: Session, *, reason_id: int, words_en: str, words_pt: str, by: str, now: datetime) -> None:
    """Other words for a reason; cases that have it say them too. Errors: NotFound."""
    row = _held(db, reason_id)
    if (row.words_en, row.words_pt) != (words_en, words_pt):
        row.words_en, row.words_pt = words_en, words_pt
        db.flush()
        _note(db, "reworded", row, by=by, now=now)


def retire(db: Session, *, reason_id: int, by: str, now: datetime) -> None:
    """No longer offered. Errors: NotFound."""
    row = _held(db, reason_id)
    if row.retired_at is None:
        row.retired_at = now
        db.flush()
        _note(db, "retired", row, by=by, now=now)


def bring_back(db: Session, *, reason_id: int, by: str, now: datetime) -> None:
    """Offered again. Errors: NotFound."""
    row = _held(db, reason_id)
    if row.retired_at is not None:
        row.retired_at = None
        db.flush()
        _note(db, "brought_back", row, by=by, now=now)


def move_up(db: Session, *, reason_id: int, by: str, now: datetime) -> None:
    """One place further up. Errors: NotFound."""
    rows: Sequence[CaseReason] = db.scalars(
        select(CaseReason).order_by(CaseReason.position, CaseReason.id).with_for_update()
    ).all()
    at = next((n for n, row in enumerate(rows) if row.id == reason_id), None)
    if at is None:
        raise NotFound
    ordered = list(rows)
    if at > 0:
        ordered[at - 1], ordered[at] = ordered[at], ordered[at - 1]
    for position, row in enumerate(ordered, start=1):
        row.position = position
    db.flush()
    _note(db, "moved", rows[at], by=by, now=now)


def _held(db: Session, reason_id: int) -> CaseReason:
    row = db.get(CaseReason, reason_id, with_for_update=True)
    if row is None:
        raise NotFound
    return row


def _note(db: Session, did: str, row: CaseReason, *, by: str, now: datetime) -> None:
    detail = {"reason": row.id, "did": did, "words": row.words_en}
    audit.note(db, Event(Happened.CASE_REASONS_CHANGED, by, now, None, None, None, detail))
