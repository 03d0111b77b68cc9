"""Since when somebody can be silent: from when the survey's mail left the outbox, not from when it was put there. Hours or days
may lie between (quiet hours, a mail server that is away), and nobody can answer what they haven't got."""

from collections import defaultdict
from collections.abc import Collection, Mapping
from datetime import datetime

from sqlalchemy import bindparam, case, func, select
from sqlalchemy.orm import Session

from portal.db import rows_of
from portal.journeys.rules import FollowUp
from portal.mail import Kind, LetterRow

Left = Mapping[int | None, datetime | None]
"""When the mail of each person left; of one that waits, when it can leave at the earliest; None: it never left, and won't."""

_DAY_OF = {Kind.SURVEY_30: 30, Kind.SURVEY_60: 60, Kind.SURVEY_90: 90}
_WAITS = LetterRow.sent_at.is_(None) & LetterRow.failed_at.is_(None) & LetterRow.suppressed_at.is_(None)
_LETTERS = (
    select(
        LetterRow.journey_id,
        LetterRow.kind,
        LetterRow.contact_id,
        func.min(LetterRow.sent_at),
        func.max(case((_WAITS, LetterRow.try_at))),
    )
    .where(LetterRow.journey_id.in_(bindparam("journeys", expanding=True)), LetterRow.kind.in_(list(_DAY_OF)))
    .group_by(LetterRow.journey_id, LetterRow.kind, LetterRow.contact_id)
)


def left(db: Session, journey_ids: Collection[int | None], now: datetime) -> Mapping[tuple[int, int], Left]:
    """By journey and day of its contact, who was written to and when that left. One statement; none where nobody is meant."""
    if not journey_ids:
        return {}
    found: dict[tuple[int, int], dict[int | None, datetime | None]] = defaultdict(dict)
    for journey_id, kind, contact_id, sent_at, try_at in rows_of(db, _LETTERS, {"journeys": list(journey_ids)}):
        earliest = max(try_at, now) if try_at is not None else None
        found[journey_id, _DAY_OF[kind]][contact_id] = sent_at or earliest
    return dict(found)


def begins(contact: FollowUp, people: Left) -> datetime | None:
    """From when on it means something that nobody answers: once the last of those who were asked can read it. A card in the
    portal can be read as soon as it is there. None where nobody was asked."""
    if contact.sent_at is None:
        return None
    return max([contact.sent_at, *(at for at in people.values() if at is not None)])
