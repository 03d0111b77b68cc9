"""The mails about messages: to the customer with our words, to the consultant with theirs, both answered by mail.

A mail waits a minute for the next line; what was written in a row goes as one, and what was read meanwhile doesn't go.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from portal import mail, reply_addresses
from portal.accounts.models import Account, Contact, Staff
from portal.errors import N_
from portal.house import House
from portal.journeys import offers
from portal.mail import Kind, Letter, LetterRow, ReplyTo, Withheld
from portal.media import Medium
from portal.messages import rules
from portal.messages.models import Attachment, Message, ReadMark
from portal.reply_addresses import Answering

TOGETHER = N_("It went out together with the next message.")
READ = N_("They had read it in the portal before this went out.")
GONE = N_("The message is no longer on file.")
NO_ACCESS = N_("They have no access to the portal any more.")


def letter_key(message_id: int, reader: str) -> str:
    """The mail about a message for `contact:7` or `staff:3`."""
    return f"message:{message_id}:{reader}"


def announce(db: Session, message: Message, *, now: datetime) -> None:
    """Plans the mails to the other side."""
    people = _contacts(db, message) if message.staff_id is not None else _staff(db, message)
    due_at = now + rules.QUIET
    kind = Kind.MESSAGE_TO_CUSTOMER if message.staff_id is not None else Kind.MESSAGE_TO_STAFF
    mail.queue_all(
        db,
        [
            Letter(
                key=letter_key(message.id, f"{'contact' if isinstance(person, Contact) else 'staff'}:{person.id}"),
                kind=kind,
                to_email=person.email or "",
                language=person.language,
                context={"message_id": message.id},
                due_at=due_at,
                account_id=message.account_id,
                journey_id=message.journey_id,
                contact_id=person.id if isinstance(person, Contact) else None,
                staff_id=person.id if isinstance(person, Staff) else None,
            )
            for person in people
        ],
        now=now,
    )


def _contacts(db: Session, message: Message) -> list[Contact]:
    last = (
        select(Message.contact_id, func.max(Message.at).label("at"))
        .where(Message.account_id == message.account_id, Message.contact_id.is_not(None))
        .group_by(Message.contact_id)
        .subquery()
    )
    rows = db.execute(
        select(Contact, last.c.at)
        .outerjoin(last, last.c.contact_id == Contact.id)
        .where(Contact.account_id == message.account_id, Contact.disabled_at.is_(None))
        .order_by(Contact.id)
    ).all()
    people = [rules.Person(person.id, person.is_primary, bool(person.email), at) for person, at in rows]
    chosen = rules.who_is_written_to(people, message.at)
    return [person for person, _ in rows if person.id in chosen]


def _staff(db: Session, message: Message) -> list[Staff]:
    """The account's consultant; without one, whoever of ours wrote last."""
    own = db.scalar(
        select(Staff)
        .join(Account, Account.consultant_id == Staff.id)
        .where(Account.id == message.account_id, Staff.disabled_at.is_(None))
    )
    if own is None:
        own = db.scalar(
            select(Staff)
            .join(Message, Message.staff_id == Staff.id)
            .where(Message.account_id == message.account_id, Staff.disabled_at.is_(None))
            .order_by(Message.id.desc())
            .limit(1)
        )
    return [own] if own is not None else []


# Composing, when the letter leaves


def _compose(db: Session, house: House, row: LetterRow) -> dict[str, Any]:
    """The run of messages that ends with the letter's own. Errors: Withheld for one that another mail says, or that was read."""
    message_id = int(row.context["message_id"])
    is_ours = row.contact_id is not None
    side = Message.staff_id.is_not(None) if is_ours else Message.contact_id.is_not(None)
    around = (
        select(Message)
        .where(Message.account_id == row.account_id, side, Message.id >= message_id - _LOOK_BACK)
        .order_by(Message.id)
        .limit(4 * _LOOK_BACK)
    )
    lines = {message.id: message for message in db.scalars(around)}
    if message_id not in lines:
        raise Withheld(GONE)
    run = rules.run_of([rules.Line(one.id, one.at) for one in lines.values()], message_id)
    if row.sent_at is None:
        _judge(db, row, run, message_id)
    written = [lines[one] for one in run if one <= message_id]
    return {
        "writer_name": _name(db, written[-1]),
        "messages": [{"text": one.text, "author": _name(db, one), "files": _file_names(db, one)} for one in written],
        "path": f"/messages#m{written[0].id}" if is_ours else f"/staff/messages/{row.account_id}#m{written[0].id}",
        **_offered(db, house, row, [one.id for one in written]),
        "answers_by_mail": bool(house.settings.reply_domain),
        "reply_to": _reply_to(db, house, row, written[-1]),
    }


def _offered(db: Session, house: House, row: LetterRow, message_ids: list[int]) -> dict[str, Any]:
    """The link to the times that were offered with these messages, which opens without signing in."""
    if row.contact_id is None:
        return {}
    found = offers.offer_of_messages(db, message_ids, contact_id=row.contact_id)
    return {"times_url": house.url(offers.path_of(house, found.id, found.nonce))} if found else {}


_LOOK_BACK = 200
"""How many messages before this one its run could begin, by id: other accounts' lie in between, so it is generous."""


def _judge(db: Session, row: LetterRow, run: tuple[int, ...], message_id: int) -> None:
    if row.contact_id is not None:
        person = db.get(Contact, row.contact_id)
        if person is None or person.disabled_at is not None:
            raise Withheld(NO_ACCESS)
    reader = ReadMark.contact_id == row.contact_id if row.contact_id is not None else ReadMark.staff_id == row.staff_id
    read_id = db.scalar(select(ReadMark.read_id).where(ReadMark.account_id == row.account_id, reader)) or 0
    if read_id >= message_id:
        raise Withheld(READ)
    if run[-1] != message_id:
        raise Withheld(TOGETHER)


def _name(db: Session, message: Message) -> str:
    person = db.get(Contact, message.contact_id) if message.contact_id is not None else db.get(Staff, message.staff_id)
    return person.name if person is not None else ""


def _file_names(db: Session, message: Message) -> list[str]:
    names = select(Medium.name).join(Attachment, Attachment.medium_id == Medium.id)
    return list(db.scalars(names.where(Attachment.message_id == message.id).order_by(Medium.id)))


def _reply_to(db: Session, house: House, row: LetterRow, last: Message) -> ReplyTo | None:
    """Where an answer to it belongs. What a customer answers comes in by `delivery`, like every consultant's mail."""
    if row.staff_id is None or row.account_id is None or not house.settings.reply_domain:
        return None
    who = Answering(row.account_id, staff_id=row.staff_id)
    address = reply_addresses.reply_address(house.secret, house.settings.reply_domain, who, now=row.due_at)
    return ReplyTo(_name(db, last), address)


COMPOSERS: dict[Kind, mail.Composer] = {
    Kind.MESSAGE_TO_CUSTOMER: _compose,
    Kind.MESSAGE_TO_STAFF: _compose,
}
