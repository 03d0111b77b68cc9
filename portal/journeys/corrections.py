"""What a customer says is wrong in what we keep of their company: it reaches the consultant with the words typed."""

import hashlib
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from portal import audit
from portal.audit import Event, Happened
from portal.clock import business_days_after
from portal.house import House
from portal.journeys import conduct
from portal.journeys.actions import add_activity
from portal.journeys.models import JourneyRow
from portal.journeys.rules import ActivityKind, Status

DAYS_TO_CHECK = 2


def suggest_correction(
    db: Session, house: House, *, account_id: int, contact_id: int, words: str, now: datetime
) -> None:
    """An activity for the consultant, and the words on the timeline; the same words again (a double click) are one."""
    by = f"contact:{contact_id}"
    journey = db.execute(
        select(JourneyRow.id, JourneyRow.zone)
        .where(JourneyRow.account_id == account_id, JourneyRow.status == Status.OPEN)
        .order_by(JourneyRow.id.desc())
        .limit(1)
    ).first()
    if journey is not None:
        conduct.lock(db, journey.id)
        digest = hashlib.sha256(f"{now.date()} {words}".encode()).hexdigest()[:32]
        add_activity(
            db,
            journey_id=journey.id,
            kind=ActivityKind.CHECK_CORRECTION,
            key=f"correction:{digest}",
            due_at=business_days_after(now, DAYS_TO_CHECK, journey.zone, house.holidays),
            by=by,
            now=now,
            title=_short(words),
        )
    journey_id = journey.id if journey is not None else None
    event = Event(Happened.CORRECTION_SUGGESTED, by, now, account_id, journey_id, contact_id, {"note": words})
    audit.note(db, event)


def _short(words: str) -> str:
    """The words on one line, as far as a title holds them; all of them are on the timeline."""
    line = " ".join(words.split())
    return line if len(line) <= 190 else f"{line[:189]}…"
