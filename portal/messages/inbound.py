"""Mail that comes in: whose answer it is, whether a person wrote it, and what is kept of it. Each mail is one unit of work,
and the same mail delivered twice is one message.
"""

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.utils import parseaddr

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from portal import audit
from portal.accounts.models import Contact, Staff
from portal.accounts.rules import normalised_email
from portal.audit import Event, Happened
from portal.db import insert_for
from portal.house import House
from portal.mail import LetterRow
from portal.media import Harmless, MediaRefused, read_file
from portal.messages import actions, queries, rules
from portal.messages.models import IncomingMail
from portal.messages.parsing import Parsed, Part, parse
from portal.messages.quoting import without_history
from portal.messages.rules import Became, Via
from portal.reply_addresses import Answering, Expired, read_address

ROOM_FOR_MAIL = 36 * 1024 * 1024
"""The largest mail that we take: two large files, and what base64 adds."""


@dataclass(frozen=True, slots=True)
class Received:
    """What became of a mail; `message_id` is the message's, where it became one."""

    became: Became
    message_id: int | None = None
    is_new: bool = True


def receive(house: House, raw: bytes, *, to: str | None, envelope_from: str | None, now: datetime) -> Received:
    """Takes in one mail for one recipient, in a unit of work of its own: what it gives is stored.

    `to` is the recipient as the mail server named it; None: as the headers name it. Raises what says that the database
    is away, so that the mail is brought again.
    """
    parsed = parse(raw, envelope_from=envelope_from)
    addressee = _addressee(house, parsed, to, now=now)
    files = _files(parsed) if isinstance(addressee, Answering) else ([], [])
    with house.database.write() as db:
        return _take_in(db, house, parsed, addressee, files, now=now)


def whose(house: House, address: str, *, now: datetime) -> Answering | Expired | None:
    """Whom an address that a mail server asks about speaks of; None where mail to it isn't for us."""
    return read_address(house.secret, house.settings.reply_domain, address, now=now)


def our_address(house: House) -> str:
    """From where our mails come, and to where reports about them go."""
    return normalised_email(parseaddr(house.settings.mail_from)[1])


def _addressee(house: House, parsed: Parsed, to: str | None, *, now: datetime) -> Answering | None:
    """The first recipient that is a working address of ours."""
    for address in [to] if to is not None else parsed.recipients:
        found = whose(house, address, now=now)
        if isinstance(found, Answering):
            return found
    return None


def _files(parsed: Parsed) -> tuple[list[Harmless], list[str]]:
    """The files that we take, and the names of those that we don't. Before the transaction: pictures take their time."""
    taken: list[Harmless] = []
    left_out: list[str] = []
    for part in parsed.parts:
        if len(taken) == rules.MOST_FILES:
            left_out.append(_name(part))
            continue
        try:
            taken.append(read_file(part))
        except MediaRefused:
            left_out.append(_name(part))
    return taken, left_out[:20]


def _name(part: Part) -> str:
    return part.name[:100]


def _take_in(
    db: Session,
    house: House,
    parsed: Parsed,
    addressee: Answering | None,
    files: tuple[list[Harmless], list[str]],
    *,
    now: datetime,
) -> Received:
    sender = _who(addressee)
    known = _begin(db, parsed, addressee, sender, now=now)
    if isinstance(known, Received):
        return known
    became = _judge(db, house, parsed, addressee, sender, known, now=now)
    if became is Became.BOUNCE:
        _note_returned(db, parsed, now=now)
    message_id = None
    if became is Became.MESSAGE and addressee is not None:
        message_id, became = _post(db, house, parsed, addressee, files, now=now)
    kept = became in (Became.UNKNOWN_SENDER, Became.UNREADABLE)
    db.execute(
        update(IncomingMail)
        .where(IncomingMail.id == known)
        .values(became=became, message_id=message_id, text=_with_names(parsed) if kept else "")
    )
    if became is not Became.MESSAGE and addressee is not None:
        detail = {"mail": known, "became": became, "from": parsed.incoming.from_address if kept else ""}
        audit.note(db, Event(Happened.MAIL_SET_ASIDE, sender, now, addressee.account_id, None, None, detail))
    return Received(became, message_id)


def _with_names(parsed: Parsed) -> str:
    names = ", ".join(_name(part) for part in parsed.parts[:20])
    return f"{parsed.text}\n\n[{names}]".strip() if names else parsed.text


def _who(addressee: Answering | None) -> str:
    if addressee is None:
        return ""
    if addressee.contact_id is not None:
        return f"contact:{addressee.contact_id}"
    return f"staff:{addressee.staff_id}"


def _begin(db: Session, parsed: Parsed, addressee: Answering | None, sender: str, *, now: datetime) -> int | Received:
    """Writes the mail down; gives its number, or what became of it when it came before."""
    account_id = addressee.account_id if addressee is not None else None
    # The sender's address is part of it: nobody else can use up somebody's Message-ID.
    told = f"{parsed.identity}\0{parsed.incoming.from_address}\0{account_id}\0{sender}"
    key = hashlib.sha256(told.encode("utf-8", "replace")).hexdigest()
    values = {
        "key": key,
        "received_at": now,
        "sender": sender,
        "account_id": _existing(db, account_id),
        "from_email": parsed.incoming.from_address[:254],
        "subject": parsed.subject,
        "text": "",
        "became": Became.UNREADABLE,
    }
    # Not a look and then an insert: of two workers with the same mail the second waits here for the first one's end.
    new = insert_for(db, IncomingMail.__table__).values(**values)
    made: int | None = db.execute(
        new.on_conflict_do_nothing(index_elements=["key"]).returning(IncomingMail.__table__.c.id)
    ).scalar()
    if made is not None:
        return made
    before = db.execute(select(IncomingMail.became, IncomingMail.message_id).where(IncomingMail.key == key)).one()
    return Received(before.became, before.message_id, is_new=False)


def _existing(db: Session, account_id: int | None) -> int | None:
    """The account, if it is still on file: an address outlives an erasure."""
    known = select(Contact.account_id).where(Contact.account_id == account_id).limit(1)
    return db.scalar(known) if account_id is not None else None


def _judge(
    db: Session,
    house: House,
    parsed: Parsed,
    addressee: Answering | None,
    sender: str,
    mail_id: int,
    *,
    now: datetime,
) -> Became:
    machine = rules.what_sent_it(parsed.incoming, our_address=our_address(house))
    if machine is not Became.MESSAGE:
        return machine
    if _is_ours(db, parsed.incoming.message_id):
        return Became.LOOP
    if addressee is None:
        return Became.NOT_FOR_US
    if not _is_theirs(db, house, parsed, addressee):
        return Became.UNKNOWN_SENDER
    lately = select(func.count()).where(
        IncomingMail.sender == sender,
        IncomingMail.received_at > now - timedelta(hours=1),
        IncomingMail.id != mail_id,
    )
    return Became.TOO_MANY if (db.scalar(lately) or 0) >= rules.MOST_AN_HOUR else Became.MESSAGE


def _is_ours(db: Session, message_id: str) -> bool:
    """Whether it carries the Message-ID of a letter of ours: one that came back as it was."""
    return (
        bool(message_id)
        and db.scalar(select(LetterRow.id).where(LetterRow.message_id == message_id.strip("<> ")[:200]).limit(1))
        is not None
    )


def _is_theirs(db: Session, house: House, parsed: Parsed, who: Answering) -> bool:
    """Whether the sender's address is the person's whom the reply address was made for, and nobody says that it is forged."""
    email: str | None
    if who.contact_id is not None:
        if not queries.may_see_thread(db, account_id=who.account_id, contact_id=who.contact_id):
            return False
        email = db.scalar(select(Contact.email).where(Contact.id == who.contact_id))
    else:
        email = db.scalar(select(Staff.email).where(Staff.id == who.staff_id, Staff.disabled_at.is_(None)))
    address = parsed.incoming.from_address
    if not email or normalised_email(email) != address:
        return False
    return not rules.is_spoofed(
        parsed.results, trusted=house.settings.trusted_authserv, domain=address.rpartition("@")[2]
    )


def _post(
    db: Session,
    house: House,
    parsed: Parsed,
    who: Answering,
    files: tuple[list[Harmless], list[str]],
    *,
    now: datetime,
) -> tuple[int | None, Became]:
    split = without_history(parsed.text)
    taken, left_out = files
    text = split.text[: rules.TEXT_LIMIT]
    if not text and not taken and not left_out:
        return None, Became.EMPTY
    message_id = actions.post(
        db,
        house,
        actions.Draft(
            account_id=who.account_id,
            contact_id=who.contact_id,
            staff_id=who.staff_id,
            text=text,
            key=f"mail:{hashlib.sha256(f'{_who(who)} {parsed.identity}'.encode('utf-8', 'replace')).hexdigest()[:64]}",
            via=Via.EMAIL,
            files=taken,
            original=parsed.text if split.is_shortened or len(split.text) > len(text) else "",
            left_out=left_out,
            message_id=parsed.incoming.message_id,
        ),
        now=now,
    )
    return message_id, Became.MESSAGE


def _note_returned(db: Session, parsed: Parsed, *, now: datetime) -> None:
    """A report says that a letter of ours was not delivered: that is on the letter, where staff see it. The Message-ID is
    random: only whom it was sent to, and their mail server, know it."""
    why = _diagnosis(parsed.text)
    for returned in parsed.returned[:5]:
        row = db.scalar(
            select(LetterRow)
            .where(LetterRow.message_id == returned[:200], LetterRow.sent_at.is_not(None))
            .with_for_update()
        )
        if row is None:
            continue
        row.sent_at, row.failed_at, row.unsure_at, row.error = None, now, None, f"It came back: {why}"[:500]
        detail = {"letter": row.id, "kind": row.kind.value}
        audit.note(
            db, Event(Happened.MAIL_FAILED, "system", now, row.account_id, row.journey_id, row.contact_id, detail)
        )


def _diagnosis(text: str) -> str:
    """The line of a report that gives a status code, else its beginning."""
    lines = [" ".join(line.split()) for line in text.split("\n") if line.strip()]
    coded = next((line for line in lines if line[:3] in ("550", "551", "552", "553", "554") or " 5." in line), "")
    return (coded or " ".join(lines))[:300] or "the receiving mail server refused it"


def forget_old(db: Session, now: datetime) -> int:
    """Forgets what was kept of mails that are no message, three months after they came; the keys of newer ones stay."""
    gone = (
        update(IncomingMail)
        .where(IncomingMail.received_at < now - timedelta(days=90), IncomingMail.text != "")
        .values(text="", from_email="", subject="")
    )
    db.execute(gone)
    return 0


def keep_unreadable(house: House, *, identity: str, now: datetime) -> None:
    """Writes down that a mail could not be read at all; it stays where it was, marked."""
    with house.database.write() as db:
        values = {
            "key": hashlib.sha256(identity.encode()).hexdigest(),
            "received_at": now,
            "subject": "",
            "became": Became.UNREADABLE,
            "text": "",
            "from_email": "",
            "sender": "",
        }
        db.execute(insert_for(db, IncomingMail.__table__).values(**values).on_conflict_do_nothing())
