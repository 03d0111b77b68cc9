"""What people do in a thread: write, read. Each tells the journey and the other side.

Locks in the order that everybody keeps: account, journey, then the thread's row, which whoever writes holds.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, insert, select, update
from sqlalchemy.orm import Session

from portal import audit, media
from portal.accounts.models import Account, Staff
from portal.audit import Event, Happened
from portal.db import insert_for
from portal.errors import NotFound
from portal.house import House
from portal.journeys import actions as journeys
from portal.journeys import conduct
from portal.journeys.models import Activity, JourneyRow
from portal.journeys.rules import ActivityKind, Status
from portal.media import Harmless
from portal.messages import letters, queries
from portal.messages.findable import keep_findable
from portal.messages.models import Attachment, IncomingMail, Message, ReadMark, Thread
from portal.messages.rules import Via


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """What somebody wrote, about to be posted; texts are clean, files were looked at."""

    account_id: int
    contact_id: int | None = None
    staff_id: int | None = None
    text: str
    key: str
    """The same thing sent twice has the same one."""
    via: Via = Via.PORTAL
    files: Sequence[Harmless] = ()
    original: str = ""
    left_out: Sequence[str] = ()
    message_id: str = ""


def post(db: Session, house: House, draft: Draft, *, now: datetime) -> int:
    """Posts what somebody wrote, tells the journey, and plans the mail to the other side; gives the message's id.

    The same draft again is the same message. Errors: NotFound for a person who may not see the thread.
    """
    by = _author(db, draft)
    journey_ids = _hold(db, draft.account_id)
    thread = _thread(db, draft.account_id, now=now)
    known = db.scalar(select(Message.id).where(Message.key == draft.key))
    if known is not None:
        return known
    message = Message(
        account_id=draft.account_id,
        journey_id=journey_ids[-1] if journey_ids else None,
        contact_id=draft.contact_id,
        staff_id=draft.staff_id,
        # Never before the one above it, whatever the machine's clocks say: days and mails go by it.
        at=max(now, thread.last_at),
        via=draft.via,
        text=draft.text,
        original=draft.original,
        left_out=list(draft.left_out),
        key=draft.key,
        message_id=draft.message_id[:200],
    )
    db.add(message)
    db.flush()
    _attach(db, house, message, draft.files, by=by, now=now)
    thread.last_at = message.at
    if draft.contact_id is not None:
        thread.last_from_customer_id = message.id
    else:
        thread.last_from_staff_id = message.id
    db.flush()
    _mark_read(db, draft.account_id, message.id, contact_id=draft.contact_id, staff_id=draft.staff_id, now=now)
    what = Happened.MESSAGE_RECEIVED if draft.contact_id is not None else Happened.MESSAGE_SENT
    detail = {"message": message.id, "via": draft.via, "note": draft.text[:500]}
    audit.note(db, Event(what, by, now, draft.account_id, message.journey_id, draft.contact_id, detail))
    _tell_journeys(db, house, message, journey_ids, by=by, now=now)
    letters.announce(db, message, now=now)
    keep_findable(db, message.id)
    return message.id


def _author(db: Session, draft: Draft) -> str:
    """Who writes, as history names them. Errors: NotFound where the thread isn't theirs to see."""
    if draft.contact_id is not None:
        if not queries.may_see_thread(db, account_id=draft.account_id, contact_id=draft.contact_id):
            raise NotFound
        return f"contact:{draft.contact_id}"
    staff = db.get(Staff, draft.staff_id) if draft.staff_id is not None else None
    if staff is None or staff.disabled_at is not None:
        raise NotFound
    return f"staff:{staff.id}"


def _hold(db: Session, account_id: int) -> list[int]:
    """Holds the account and the journeys that hear of it, oldest first; gives their ids."""
    # The account as a foreign key would hold it, before the journeys: the message's own key would take it after them.
    found = db.execute(select(Account.id).where(Account.id == account_id).with_for_update(read=True, key_share=True))
    if found.first() is None:
        raise NotFound
    answering = select(Activity.journey_id).where(
        Activity.kind == ActivityKind.ANSWER_MESSAGE, Activity.done_at.is_(None), Activity.journey_id == JourneyRow.id
    )
    theirs = select(JourneyRow.id, JourneyRow.status).where(
        JourneyRow.account_id == account_id, (JourneyRow.status == Status.OPEN) | answering.exists()
    )
    # The one under way last: it is where new things to do belong.
    rows = sorted(db.execute(theirs).all(), key=lambda row: (row.status is Status.OPEN, row.id))
    for journey_id in sorted(row.id for row in rows):
        conduct.lock(db, journey_id)
    return [row.id for row in rows]


def _thread(db: Session, account_id: int, *, now: datetime) -> Thread:
    values = {"account_id": account_id, "last_at": now, "last_from_customer_id": 0, "last_from_staff_id": 0}
    db.execute(insert_for(db, Thread.__table__).values(**values).on_conflict_do_nothing())
    return db.get_one(Thread, account_id, with_for_update=True, populate_existing=True)


def _attach(db: Session, house: House, message: Message, files: Sequence[Harmless], *, by: str, now: datetime) -> None:
    for file in files:
        kept = media.keep(db, house, file, reach=media.Reach.THROUGH_ITS_PAGE, by=by, now=now)
        db.execute(insert(Attachment).values(message_id=message.id, medium_id=kept.id))


def _tell_journeys(
    db: Session, house: House, message: Message, journey_ids: Sequence[int], *, by: str, now: datetime
) -> None:
    for journey_id in sorted(journey_ids):
        if message.contact_id is None:
            journeys.hear_our_message(db, house, journey_id=journey_id, by=by, now=now)
        elif journey_id == journey_ids[-1]:
            journeys.hear_message(
                db,
                house,
                journey_id=journey_id,
                contact_id=message.contact_id,
                message_id=message.id,
                how=_how(message),
                now=now,
            )
        else:
            journeys.hear_sign_of_life(
                db, house, journey_id=journey_id, contact_id=message.contact_id, how=_how(message), now=now
            )


def _how(message: Message) -> str:
    return "reply" if message.via is Via.EMAIL else "message"


# Reading


def mark_read(
    db: Session,
    *,
    account_id: int,
    up_to: int,
    now: datetime,
    contact_id: int | None = None,
    staff_id: int | None = None,
) -> None:
    """Notes that somebody has seen the thread up to that message; never back, and never beyond what is there."""
    newest = db.scalar(select(func.max(Message.id)).where(Message.account_id == account_id, Message.id <= up_to))
    if newest is not None:
        _mark_read(db, account_id, newest, contact_id=contact_id, staff_id=staff_id, now=now)


def _mark_read(
    db: Session, account_id: int, read_id: int, *, contact_id: int | None, staff_id: int | None, now: datetime
) -> None:
    reader = {"contact_id": contact_id} if contact_id is not None else {"staff_id": staff_id}
    write = insert_for(db, ReadMark).values(account_id=account_id, **reader, read_id=read_id, at=now)
    db.execute(
        write.on_conflict_do_update(
            index_elements=["account_id", *reader],
            set_={"read_id": read_id, "at": now},
            where=ReadMark.read_id < read_id,
        )
    )


def put_away(db: Session, *, mail_id: int, account_id: int, by: str, now: datetime) -> None:
    """Staff have read what came from an unknown address. Errors: NotFound."""
    done = db.execute(
        update(IncomingMail)
        .where(IncomingMail.id == mail_id, IncomingMail.account_id == account_id)
        .values(put_away_at=func.coalesce(IncomingMail.put_away_at, now))
        .returning(IncomingMail.id)
    ).first()
    if done is None:
        raise NotFound
    audit.note(db, Event(Happened.MAIL_SET_ASIDE, by, now, account_id, None, None, {"mail": mail_id, "read": True}))


# Erasing


def forget_files(db: Session, account_id: int) -> int:
    """Takes away the pictures and files of an account's thread, bytes and all; the rest goes with the account's row, which
    files don't hang on. For whoever erases an account, before they do. Gives how many those were."""
    theirs = (
        select(Attachment.medium_id)
        .join(Message, Message.id == Attachment.message_id)
        .where(Message.account_id == account_id)
    )
    ids = db.scalars(theirs).all()
    for medium_id in ids:
        media.forget(db, medium_id)
    return len(ids)
