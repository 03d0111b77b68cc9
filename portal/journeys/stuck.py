""" "I'm stuck": a customer can't get on with a milestone. Their words reach whoever looks after them, and stay beside the
milestone until that is settled."""

from datetime import datetime, timedelta

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from portal import audit, auth, mail
from portal.accounts.models import Contact, Staff
from portal.accounts.rules import Language
from portal.audit import Event, Happened
from portal.clock import business_days_after
from portal.db import insert_for
from portal.house import House
from portal.journeys import cases
from portal.journeys.models import Activity, JourneyRow, Milestone, StuckNote
from portal.journeys.rules import ActivityKind

A_DAY = auth.Limit("stuck", 10, timedelta(days=1))
"""More than that in a day is no way to get help: the phone is."""
ANSWER_WITHIN_BUSINESS_DAYS = 1


def note(db: Session, house: House, milestone: Milestone, *, contact_id: int, words: str, now: datetime) -> bool:
    """Keeps the words, and tells the consultant: an activity, a mail, the timeline. False where one is open already.

    The journey's row is held by the caller. Errors: TooMany.
    """
    note_id: int | None = db.scalar(
        insert_for(db, StuckNote)
        .values(
            journey_id=milestone.journey_id,
            milestone_id=milestone.id,
            contact_id=contact_id,
            words=words,
            at=now,
            settled_by="",
        )
        .on_conflict_do_nothing()
        .returning(StuckNote.id)
    )
    if note_id is None:
        return False
    auth.spend(db, A_DAY, f"contact:{contact_id}", now=now)
    journey = db.get_one(JourneyRow, milestone.journey_id, populate_existing=True)
    owner = db.get(Staff, journey.owner_id) if journey.owner_id else None
    language = owner.language if owner is not None else house.settings.default_language
    step = milestone.title_pt if language == Language.PT_BR else milestone.title_en
    title = f"{step}: {words}"
    db.add(
        Activity(
            journey_id=journey.id,
            key=f"stuck:{note_id}",
            kind=ActivityKind.UNSTICK,
            title=" ".join(title.split())[:200],
            assignee_id=journey.owner_id,
            due_at=business_days_after(now, ANSWER_WITHIN_BUSINESS_DAYS, journey.zone, house.holidays),
            created_at=now,
            created_by=f"contact:{contact_id}",
        )
    )
    db.flush()
    detail = {"milestone": milestone.key, "title": milestone.title_en, "title_pt": milestone.title_pt, "words": words}
    audit.note(
        db, Event(Happened.STUCK, f"contact:{contact_id}", now, journey.account_id, journey.id, contact_id, detail)
    )
    _tell_consultant(db, journey, milestone, note_id, contact_id=contact_id, words=words, now=now)
    return True


def _tell_consultant(
    db: Session, journey: JourneyRow, milestone: Milestone, note_id: int, *, contact_id: int, words: str, now: datetime
) -> None:
    owner = db.get(Staff, journey.owner_id) if journey.owner_id else None
    readers = [owner] if owner is not None and owner.disabled_at is None else cases.managers(db)
    person = db.get_one(Contact, contact_id)
    mail.queue_all(
        db,
        [
            mail.Letter(
                key=f"stuck:{note_id}:staff:{reader.id}",
                kind=mail.Kind.STUCK,
                to_email=reader.email,
                language=reader.language,
                account_id=journey.account_id,
                journey_id=journey.id,
                staff_id=reader.id,
                context={
                    "person_name": person.name,
                    "person_email": person.email or "",
                    "person_phone": person.phone,
                    "step": milestone.title_pt if reader.language is Language.PT_BR else milestone.title_en,
                    "due_on": milestone.due_on,
                    "words": words,
                    "path": f"/staff/customers/{journey.account_id}?journey={journey.id}#ms-{milestone.id}",
                },
            )
            for reader in readers
        ],
        now=now,
    )


def milestones_of(db: Session, journey_id: int) -> list[int]:
    """The milestones of a journey that somebody is stuck with."""
    open_notes = select(StuckNote.milestone_id).where(
        StuckNote.journey_id == journey_id, StuckNote.settled_at.is_(None)
    )
    return list(db.scalars(open_notes))


def settle(db: Session, milestone_id: int, *, by: str, now: datetime) -> bool:
    """Nobody is stuck with this milestone any more; its activity is done with it. Whether anybody was."""
    row = db.execute(
        update(StuckNote)
        .where(StuckNote.milestone_id == milestone_id, StuckNote.settled_at.is_(None))
        .values(settled_at=now, settled_by=by)
        .returning(StuckNote.id, StuckNote.journey_id)
    ).first()
    if row is None:
        return False
    db.execute(
        update(Activity)
        .where(Activity.journey_id == row.journey_id, Activity.key == f"stuck:{row.id}", Activity.done_at.is_(None))
        .values(done_at=now, done_by=by)
    )
    _told(db, row.id, by=by, now=now)
    return True


def settle_by_activity(db: Session, key: str, *, by: str, now: datetime) -> None:
    """The activity of that key was done, and so the customer is helped."""
    note_id = int(key.removeprefix("stuck:"))
    settled = db.execute(
        update(StuckNote)
        .where(StuckNote.id == note_id, StuckNote.settled_at.is_(None))
        .values(settled_at=now, settled_by=by)
        .returning(StuckNote.id)
    ).first()
    if settled is not None:
        _told(db, note_id, by=by, now=now)


def _told(db: Session, note_id: int, *, by: str, now: datetime) -> None:
    row = db.execute(
        select(
            JourneyRow.account_id,
            JourneyRow.id,
            StuckNote.contact_id,
            Milestone.key,
            Milestone.title_en,
            Milestone.title_pt,
        )
        .join(StuckNote, StuckNote.journey_id == JourneyRow.id)
        .join(Milestone, Milestone.id == StuckNote.milestone_id)
        .where(StuckNote.id == note_id)
    ).one()
    detail = {"milestone": row.key, "title": row.title_en, "title_pt": row.title_pt}
    audit.note(db, Event(Happened.UNSTUCK, by, now, row.account_id, row.id, row.contact_id, detail))
