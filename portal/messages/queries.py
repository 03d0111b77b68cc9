"""What pages show of threads. Whoever asks is looked up with the thread: `may_see_thread` is the one place that says who may."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, and_, bindparam, false, func, or_, select
from sqlalchemy.orm import Session

from portal.accounts.models import Account, Contact, Staff
from portal.db import DeploymentFact, rows_of
from portal.mail import Kind, LetterRow, LetterState
from portal.media import Kept, Medium
from portal.messages.letters import TOGETHER
from portal.messages.models import Attachment, IncomingMail, Message, ReadMark, Thread
from portal.messages.rules import Became, Via

PAGE = 50
"""Messages a page shows at once."""
IMAP_TROUBLE = "imap_trouble"


# Who may see a thread


def sees_thread(account_id: Any) -> ColumnElement[bool]:
    """Which contacts may see the thread of an account: its people who have not been switched off. (What colleagues see by
    permission belongs here, and nowhere else.)"""
    return and_(Contact.account_id == account_id, Contact.disabled_at.is_(None))


def may_see_thread(db: Session, *, account_id: int, contact_id: int) -> bool:
    return db.scalar(select(Contact.id).where(Contact.id == contact_id, sees_thread(account_id))) is not None


def message_of_key(db: Session, key: str) -> int | None:
    """The message that a form was posted as already."""
    return db.scalar(select(Message.id).where(Message.key == key))


def waits_for_answer(db: Session, account_id: int, *, since: datetime) -> bool:
    """Whether a customer wrote last, and after that moment."""
    last = (Thread.last_from_customer_id > Thread.last_from_staff_id) & (Thread.last_at >= since)
    return db.scalar(select(Thread.account_id).where(Thread.account_id == account_id, last)) is not None


# A thread


class File(NamedTuple):
    """A picture or file of a message."""

    message_id: int
    id: int
    name: str
    media_type: str
    size: int
    width: int | None
    height: int | None

    @property
    def is_picture(self) -> bool:
        return self.width is not None

    @property
    def kind(self) -> str:
        return self.name.rpartition(".")[2].upper()


class Copy(NamedTuple):
    """What became of the mail about a message, for one of its readers."""

    reader: str
    state: LetterState
    at: datetime | None
    why: str


class Line(NamedTuple):
    """One message as its readers see it."""

    id: int
    at: datetime
    is_staff: bool
    author_id: int
    author: str
    via: Via
    text: str
    original: str
    left_out: list[str]
    files: tuple[File, ...]
    copies: tuple[Copy, ...]
    portrait: str = ""


class ThreadPage(NamedTuple):
    """A stretch of a thread, oldest first."""

    lines: tuple[Line, ...]
    earlier_id: int
    """The message before which there are more; 0: this is the beginning."""
    read_id: int
    """How far the reader had read."""
    newest_id: int
    """The last message of all; 0: none."""

    @property
    def has_unread(self) -> bool:
        return any(line.id > self.read_id for line in self.lines)


_MESSAGES = (
    select(
        Message.id,
        Message.at,
        Message.contact_id,
        Message.staff_id,
        func.coalesce(Contact.name, Staff.name, "").label("author"),
        func.coalesce(Contact.portrait, Staff.portrait, "").label("portrait"),
        Message.via,
        Message.text,
        Message.original,
        Message.left_out,
    )
    .outerjoin(Contact, Contact.id == Message.contact_id)
    .outerjoin(Staff, Staff.id == Message.staff_id)
    .where(Message.account_id == bindparam("account_id"))
)
_LATEST = (
    _MESSAGES.where(Message.id < bindparam("before"), Message.id > bindparam("after"))
    .order_by(Message.id.desc())
    .limit(bindparam("most"))
)
_FILES = (
    select(Attachment.message_id, Medium.id, Medium.name, Medium.media_type, Medium.size, Medium.width, Medium.height)
    .join(Medium, Medium.id == Attachment.medium_id)
    .join(Message, Message.id == Attachment.message_id)
    .where(
        Message.account_id == bindparam("account_id"),
        Message.id >= bindparam("first"),
        Message.id <= bindparam("last"),
    )
    .order_by(Medium.id)
)
_COPIES = (
    select(
        LetterRow.key,
        func.coalesce(Contact.name, Staff.name, ""),
        LetterRow.sent_at,
        LetterRow.failed_at,
        LetterRow.suppressed_at,
        LetterRow.why,
    )
    .outerjoin(Contact, Contact.id == LetterRow.contact_id)
    .outerjoin(Staff, Staff.id == LetterRow.staff_id)
    .where(
        LetterRow.account_id == bindparam("account_id"),
        LetterRow.kind.in_((Kind.MESSAGE_TO_CUSTOMER, Kind.MESSAGE_TO_STAFF)),
        LetterRow.queued_at >= bindparam("since"),
    )
    .order_by(LetterRow.id)
)
_FAR = 2**62


def thread(
    db: Session,
    account_id: int,
    *,
    contact_id: int | None = None,
    staff_id: int | None = None,
    before: int = 0,
    after: int = 0,
    most: int = PAGE,
) -> ThreadPage:
    """The newest messages of an account's thread (of those before or after one), for who reads it. Four statements."""
    reader = ReadMark.contact_id == contact_id if contact_id is not None else ReadMark.staff_id == staff_id
    read_id = db.scalar(select(ReadMark.read_id).where(ReadMark.account_id == account_id, reader)) or 0
    rows = rows_of(db, _LATEST, {"account_id": account_id, "before": before or _FAR, "after": after, "most": most + 1})[
        ::-1
    ]
    has_more = len(rows) > most
    rows = rows[1:] if has_more else rows
    if not rows:
        return ThreadPage((), 0, read_id, after)
    span = {"account_id": account_id, "first": rows[0].id, "last": rows[-1].id}
    files = [File._make(row) for row in rows_of(db, _FILES, span)]
    copies = _copies(rows_of(db, _COPIES, {"account_id": account_id, "since": rows[0].at}))
    lines = tuple(_line(row, files, copies.get(row.id, ())) for row in rows)
    return ThreadPage(lines, rows[0].id if has_more else 0, read_id, rows[-1].id)


def _line(row: Any, files: Sequence[File], copies: Sequence[Copy]) -> Line:
    is_staff = row.staff_id is not None
    return Line(
        id=row.id,
        at=row.at,
        is_staff=is_staff,
        author_id=row.staff_id if is_staff else row.contact_id,
        author=row.author,
        via=row.via,
        text=row.text,
        original=row.original,
        left_out=row.left_out,
        files=tuple(file for file in files if file.message_id == row.id),
        copies=tuple(copies),
        portrait=row.portrait,
    )


def _copies(rows: Sequence[Any]) -> dict[int, tuple[Copy, ...]]:
    """What became of the mails, by message. One that was sent together with the next message shares its fate."""
    by_reader: dict[str, list[tuple[int, Copy]]] = {}
    for key, name, sent_at, failed_at, suppressed_at, why in rows:
        message_id, reader = _message_of(key)
        state = (
            LetterState.SENT
            if sent_at is not None
            else LetterState.FAILED
            if failed_at is not None
            else LetterState.SUPPRESSED
            if suppressed_at is not None
            else LetterState.QUEUED
        )
        by_reader.setdefault(reader, []).append((message_id, Copy(name, state, sent_at or failed_at, why)))
    found: dict[int, tuple[Copy, ...]] = {}
    for mails in by_reader.values():
        following: Copy | None = None
        for message_id, copy in sorted(mails, reverse=True, key=lambda mail: mail[0]):
            shown = following if copy.why == TOGETHER and following is not None else copy
            following = shown
            found[message_id] = (*found.get(message_id, ()), shown)
    return found


def _message_of(key: str) -> tuple[int, str]:
    """`message:17:contact:4` is about message 17, for contact 4."""
    _, number, reader = key.split(":", 2)
    return int(number), reader


def file_of(db: Session, *, account_id: int, message_id: int, medium_id: int) -> Kept | None:
    """A file of that account's thread; None for anybody else's."""
    row = db.execute(
        select(*(getattr(Medium, name) for name in Kept._fields))
        .join(Attachment, Attachment.medium_id == Medium.id)
        .join(Message, Message.id == Attachment.message_id)
        .where(Medium.id == medium_id, Message.id == message_id, Message.account_id == account_id)
    ).first()
    return Kept(*row) if row is not None else None


# Around every page


class Reachable(NamedTuple):
    """The customer's consultant with every way to reach them, and how much of the thread the reader hasn't seen."""

    unread: int
    name: str
    email: str
    phone: str
    whatsapp: str
    portrait: str = ""


_UNREAD_OF_CONTACT = (
    select(func.count())
    .select_from(Message)
    .where(
        Message.account_id == bindparam("account_id"),
        func.coalesce(Message.contact_id, 0) != bindparam("contact_id"),
        Message.id
        > func.coalesce(
            select(ReadMark.read_id)
            .where(ReadMark.account_id == bindparam("account_id"), ReadMark.contact_id == bindparam("contact_id"))
            .scalar_subquery(),
            0,
        ),
        Message.at >= select(Contact.created_at).where(Contact.id == bindparam("contact_id")).scalar_subquery(),
    )
)
_REACHABLE = (
    select(
        _UNREAD_OF_CONTACT.scalar_subquery().label("unread"),
        func.coalesce(Staff.name, ""),
        func.coalesce(Staff.email, ""),
        func.coalesce(Staff.phone, ""),
        func.coalesce(Staff.whatsapp, ""),
        func.coalesce(Staff.portrait, ""),
    )
    .select_from(Account)
    .outerjoin(Staff, Staff.id == Account.consultant_id)
    .where(Account.id == bindparam("account_id"))
)


def reachable(db: Session, *, account_id: int, contact_id: int) -> Reachable:
    """The way to us from every page of a customer's. One statement."""
    found = rows_of(db, _REACHABLE, {"account_id": account_id, "contact_id": contact_id})
    return Reachable(*found[0]) if found else Reachable(0, "", "", "", "")


_MINE_UNREAD = Account.__table__.join(Thread.__table__, Thread.account_id == Account.id).outerjoin(
    ReadMark.__table__, (ReadMark.account_id == Account.id) & (ReadMark.staff_id == bindparam("staff_id"))
)
_IS_UNREAD = Thread.last_from_customer_id > func.coalesce(ReadMark.read_id, 0)
_COUNT_UNREAD = (
    select(func.count()).select_from(_MINE_UNREAD).where(Account.consultant_id == bindparam("staff_id"), _IS_UNREAD)
)


def count_unread_threads(db: Session, staff_id: int) -> int:
    """How many of a consultant's customers wrote something that they haven't seen."""
    return int(rows_of(db, _COUNT_UNREAD, {"staff_id": staff_id})[0][0])


class ThreadLine(NamedTuple):
    """A thread in a list: whose, when last, and the newest message of the customer."""

    account_id: int
    account_name: str
    last_at: datetime
    author: str
    text: str
    is_unread: bool
    is_answered: bool


def threads(
    db: Session, staff_id: int, *, owner_id: int | None, unread_only: bool = False, most: int = 50
) -> tuple[ThreadLine, ...]:
    """Threads, the ones that the reader hasn't seen first, then the newest; `owner_id`: only that consultant's."""
    unread = _IS_UNREAD
    wanted = [Account.consultant_id == owner_id] if owner_id is not None else []
    rows = db.execute(
        select(
            Account.id,
            Account.name,
            Thread.last_at,
            func.coalesce(Contact.name, ""),
            func.coalesce(Message.text, ""),
            unread.label("unread"),
            Thread.last_from_staff_id > Thread.last_from_customer_id,
        )
        .select_from(_MINE_UNREAD)
        .outerjoin(Message, Message.id == Thread.last_from_customer_id)
        .outerjoin(Contact, Contact.id == Message.contact_id)
        .where(*wanted, *([unread] if unread_only else []))
        .order_by(unread.desc(), Thread.last_at.desc())
        .limit(most),
        {"staff_id": staff_id},
    )
    return tuple(
        ThreadLine(id_, name, at, author, text, bool(is_unread), bool(answered))
        for id_, name, at, author, text, is_unread, answered in rows
    )


def unread_accounts(db: Session, staff_id: int, account_ids: Collection[int] | None = None) -> frozenset[int]:
    """Which of a consultant's customers (or of these accounts) wrote something that the reader hasn't seen."""
    which = Account.consultant_id == staff_id if account_ids is None else Account.id.in_(account_ids)
    if account_ids is not None and not account_ids:
        which = false()
    rows = db.execute(select(Account.id).select_from(_MINE_UNREAD).where(which, _IS_UNREAD), {"staff_id": staff_id})
    return frozenset(row[0] for row in rows)


# Mail that was set aside


class SetAside(NamedTuple):
    """A mail that is no message, which staff may want to read."""

    id: int
    received_at: datetime
    from_email: str
    subject: str
    text: str
    became: Became
    account_id: int | None
    account_name: str


def set_aside(db: Session, *, account_id: int | None = None, most: int = 20) -> tuple[SetAside, ...]:
    """Mails from addresses that we don't know, and unreadable ones, newest first; of one account or of all."""
    wanted = [IncomingMail.account_id == account_id] if account_id is not None else []
    rows = db.execute(
        select(
            IncomingMail.id,
            IncomingMail.received_at,
            IncomingMail.from_email,
            IncomingMail.subject,
            IncomingMail.text,
            IncomingMail.became,
            IncomingMail.account_id,
            func.coalesce(Account.name, ""),
        )
        .outerjoin(Account, Account.id == IncomingMail.account_id)
        .where(
            or_(IncomingMail.became == Became.UNKNOWN_SENDER, IncomingMail.became == Became.UNREADABLE),
            IncomingMail.put_away_at.is_(None),
            *wanted,
        )
        .order_by(IncomingMail.received_at.desc(), IncomingMail.id.desc())
        .limit(most)
    )
    return tuple(SetAside._make(row) for row in rows)


def imap_trouble(db: Session) -> str:
    """Why the mailbox of answers could not be read at the last try; empty if it could."""
    return db.scalar(select(DeploymentFact.value).where(DeploymentFact.name == IMAP_TROUBLE)) or ""


def moment_of(db: Session, account_id: int, message_id: int) -> datetime | None:
    """When a message of that thread was written."""
    return db.scalar(select(Message.at).where(Message.id == message_id, Message.account_id == account_id))


class Written(NamedTuple):
    """A message as integrations get it."""

    id: int
    at: datetime
    journey_id: int | None
    contact_id: int | None
    author: str
    via: Via
    text: str
    message_id: str


def written(db: Session, *, journey_id: int | None = None, after_id: int = 0, limit: int = 50) -> list[Written]:
    """Messages of all threads (of one journey's time), oldest first, from the one after `after_id`."""
    wanted = [Message.journey_id == journey_id] if journey_id is not None else []
    rows = db.execute(
        select(
            Message.id,
            Message.at,
            Message.journey_id,
            Message.contact_id,
            func.coalesce(Contact.name, Staff.name, ""),
            Message.via,
            Message.text,
            Message.message_id,
        )
        .outerjoin(Contact, Contact.id == Message.contact_id)
        .outerjoin(Staff, Staff.id == Message.staff_id)
        .where(Message.id > after_id, *wanted)
        .order_by(Message.id)
        .limit(limit)
    )
    return [Written._make(row) for row in rows]
