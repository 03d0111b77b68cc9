"""The outbox: `queue()` now, in the caller's transaction; `delivery.deliver()` later, outside any. A letter is composed only
when it leaves, so that no link that opens anything, and no stale name or hour, is ever stored."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from typing import Any, NamedTuple, cast

from sqlalchemy import (
    CheckConstraint,
    CursorResult,
    ForeignKey,
    Index,
    Integer,
    String,
    Update,
    delete,
    func,
    select,
    text,
    tuple_,
    update,
)
from sqlalchemy.orm import Mapped, Session, mapped_column

from portal import links
from portal.accounts.rules import normalised_email
from portal.db import Base, Id, choice, insert_for, insert_new
from portal.errors import N_
from portal.house import House

UNSUBSCRIBE = "unsubscribe"
REFUSED_WHY = N_("They asked not to get mails of this kind.")


class Kind(StrEnum):
    """Every mail there is; the value names its templates: `templates/mail/<kind>.{subject.txt,txt,html}`."""

    SIGN_IN = "sign_in"
    WELCOME = "welcome"
    WELCOME_LINK = "welcome_link"
    SURVEY_30 = "survey_30"
    SURVEY_60 = "survey_60"
    SURVEY_90 = "survey_90"
    SURVEY_REMINDER = "survey_reminder"
    SURVEY_MEETING = "survey_meeting"
    SURVEY_PULSE = "survey_pulse"
    SURVEY_FURTHER = "survey_further"
    SURVEY_FURTHER_REMINDER = "survey_further_reminder"
    SURVEY_ANONYMOUS = "survey_anonymous"
    SURVEY_CONFIRM = "survey_confirm"
    SURVEY_TEST = "survey_test"
    QUOTE_REQUEST = "quote_request"
    CONGRATULATIONS = "congratulations"
    FLAG_OPENED = "flag_opened"
    FLAG_LATE = "flag_late"
    FLAG_RESOLVED = "flag_resolved"
    FLAG_HANDED_OVER = "flag_handed_over"
    STUCK = "stuck"
    STAGNATION = "stagnation"
    STAGNATION_MANAGER = "stagnation_manager"
    MEETING_OFFER = "meeting_offer"
    MEETING_INVITATION = "meeting_invitation"
    MEETING_CANCELLED = "meeting_cancelled"
    MEETING_REMINDER = "meeting_reminder"
    MEETING_MISSED = "meeting_missed"
    CALENDAR_UNREADABLE = "calendar_unreadable"
    REFERRAL_INVITATION = "referral_invitation"
    REFERRAL_CONFIRMATION = "referral_confirmation"
    IMPORT_REPORT = "import_report"
    COLLEAGUE_INVITATION = "colleague_invitation"
    ADDRESS_CONFIRMATION = "address_confirmation"
    ADDRESS_NOTICE = "address_notice"
    ERASURE_ASKED = "erasure_asked"
    MESSAGE_TO_CUSTOMER = "message_to_customer"
    MESSAGE_TO_STAFF = "message_to_staff"


class Purpose(StrEnum):
    """Why a mail may be sent at all: service mail can't be refused, the others can."""

    SERVICE = "service"
    SURVEY = "survey"
    REMINDER = "reminder"
    NEWS = "news"
    OFFER = "offer"
    REFERRAL = "referral"
    """Asking a customer for a referral; a friend's invitation is `MARKETING`."""
    MARKETING = "marketing"


TOPICS = (Purpose.SURVEY, Purpose.REMINDER, Purpose.NEWS, Purpose.OFFER, Purpose.REFERRAL)
"""What a customer can switch off, one by one, in their preferences; each refusal is a row of `MailRefusal`."""


class Sender(StrEnum):
    CONSULTANT = "consultant"
    REFERRER = "referrer"
    INVITER = "inviter"
    """A customer who invites a colleague."""
    VENDOR = "vendor"


class Rank(StrEnum):
    """Who goes first when many wait: somebody looking at a screen, then single letters, then the ten thousand of day 30."""

    AT_THE_SCREEN = "1"
    SINGLE = "2"
    BULK = "3"


class Manner(NamedTuple):
    purpose: Purpose
    sender: Sender
    rank: Rank
    forget: bool = False
    """Forget address and words once sent: a friend's address is used for one mail only."""
    also: Purpose | None = None
    """A second purpose whose refusal stops it, too: a survey's reminder is about a survey and is a reminder."""

    @property
    def purposes(self) -> frozenset[Purpose]:
        return frozenset({self.purpose, *([self.also] if self.also else [])})


MANNERS: dict[Kind, Manner] = {
    Kind.SIGN_IN: Manner(Purpose.SERVICE, Sender.VENDOR, Rank.AT_THE_SCREEN),
    Kind.WELCOME: Manner(Purpose.SERVICE, Sender.CONSULTANT, Rank.SINGLE),
    Kind.WELCOME_LINK: Manner(Purpose.SERVICE, Sender.CONSULTANT, Rank.SINGLE),
    Kind.SURVEY_30: Manner(Purpose.SURVEY, Sender.CONSULTANT, Rank.BULK),
    Kind.SURVEY_60: Manner(Purpose.SURVEY, Sender.CONSULTANT, Rank.BULK),
    Kind.SURVEY_90: Manner(Purpose.SURVEY, Sender.CONSULTANT, Rank.BULK),
    Kind.SURVEY_REMINDER: Manner(Purpose.SURVEY, Sender.CONSULTANT, Rank.BULK, also=Purpose.REMINDER),
    Kind.SURVEY_MEETING: Manner(Purpose.SURVEY, Sender.CONSULTANT, Rank.BULK),
    Kind.SURVEY_PULSE: Manner(Purpose.SURVEY, Sender.CONSULTANT, Rank.BULK),
    Kind.SURVEY_FURTHER: Manner(Purpose.SURVEY, Sender.CONSULTANT, Rank.BULK),
    Kind.SURVEY_FURTHER_REMINDER: Manner(Purpose.SURVEY, Sender.CONSULTANT, Rank.BULK, also=Purpose.REMINDER),
    Kind.SURVEY_ANONYMOUS: Manner(Purpose.SURVEY, Sender.VENDOR, Rank.BULK),
    Kind.SURVEY_CONFIRM: Manner(Purpose.SURVEY, Sender.CONSULTANT, Rank.SINGLE),
    Kind.SURVEY_TEST: Manner(Purpose.SERVICE, Sender.VENDOR, Rank.AT_THE_SCREEN),
    Kind.QUOTE_REQUEST: Manner(Purpose.REFERRAL, Sender.CONSULTANT, Rank.SINGLE, also=Purpose.SURVEY),
    Kind.CONGRATULATIONS: Manner(Purpose.SERVICE, Sender.CONSULTANT, Rank.BULK),
    Kind.FLAG_OPENED: Manner(Purpose.SERVICE, Sender.VENDOR, Rank.SINGLE),
    Kind.FLAG_LATE: Manner(Purpose.SERVICE, Sender.VENDOR, Rank.SINGLE),
    Kind.FLAG_HANDED_OVER: Manner(Purpose.SERVICE, Sender.VENDOR, Rank.SINGLE),
    Kind.FLAG_RESOLVED: Manner(Purpose.SERVICE, Sender.CONSULTANT, Rank.SINGLE),
    Kind.STUCK: Manner(Purpose.SERVICE, Sender.VENDOR, Rank.SINGLE),
    Kind.STAGNATION: Manner(Purpose.SERVICE, Sender.VENDOR, Rank.BULK),
    Kind.STAGNATION_MANAGER: Manner(Purpose.SERVICE, Sender.VENDOR, Rank.BULK),
    Kind.MEETING_OFFER: Manner(Purpose.SERVICE, Sender.CONSULTANT, Rank.SINGLE),
    Kind.MEETING_INVITATION: Manner(Purpose.SERVICE, Sender.CONSULTANT, Rank.SINGLE),
    Kind.MEETING_CANCELLED: Manner(Purpose.SERVICE, Sender.CONSULTANT, Rank.SINGLE),
    Kind.MEETING_REMINDER: Manner(Purpose.SERVICE, Sender.CONSULTANT, Rank.SINGLE),
    Kind.MEETING_MISSED: Manner(Purpose.SERVICE, Sender.CONSULTANT, Rank.SINGLE),
    Kind.CALENDAR_UNREADABLE: Manner(Purpose.SERVICE, Sender.VENDOR, Rank.SINGLE),
    Kind.REFERRAL_INVITATION: Manner(Purpose.MARKETING, Sender.REFERRER, Rank.SINGLE, forget=True),
    Kind.REFERRAL_CONFIRMATION: Manner(Purpose.SERVICE, Sender.VENDOR, Rank.AT_THE_SCREEN, forget=True),
    Kind.IMPORT_REPORT: Manner(Purpose.SERVICE, Sender.VENDOR, Rank.SINGLE),
    Kind.COLLEAGUE_INVITATION: Manner(Purpose.SERVICE, Sender.INVITER, Rank.SINGLE, forget=True),
    Kind.ADDRESS_CONFIRMATION: Manner(Purpose.SERVICE, Sender.VENDOR, Rank.AT_THE_SCREEN, forget=True),
    Kind.ADDRESS_NOTICE: Manner(Purpose.SERVICE, Sender.VENDOR, Rank.SINGLE),
    Kind.ERASURE_ASKED: Manner(Purpose.SERVICE, Sender.VENDOR, Rank.SINGLE),
    Kind.MESSAGE_TO_CUSTOMER: Manner(Purpose.SERVICE, Sender.CONSULTANT, Rank.SINGLE),
    Kind.MESSAGE_TO_STAFF: Manner(Purpose.SERVICE, Sender.VENDOR, Rank.SINGLE),
}


class LetterState(StrEnum):
    QUEUED = "queued"
    SENT = "sent"
    FAILED = "failed"
    SUPPRESSED = "suppressed"


class DeliveredTo(StrEnum):
    SMTP = "smtp"
    MAILBOX = "mailbox"
    """Nowhere: without a mail server letters stay in the demo's mailbox page."""


WAITING = "sent_at IS NULL AND failed_at IS NULL AND suppressed_at IS NULL"
FAILED = "failed_at IS NOT NULL"


class LetterRow(Base):
    """One letter to one person, by whichever way it ended. Its state is derived from the facts."""

    __tablename__ = "letters"
    __table_args__ = (
        CheckConstraint("(suppressed_at IS NULL) = (why = '')", name="suppressed_with_why"),
        CheckConstraint("sent_at IS NULL OR failed_at IS NULL", name="sent_or_failed"),
        Index("ix_letters_waiting", "rank", "try_at", sqlite_where=text(WAITING), postgresql_where=text(WAITING)),
        Index("ix_letters_failed", "failed_at", sqlite_where=text(FAILED), postgresql_where=text(FAILED)),
        Index("ix_letters_journey_id", "journey_id", "id"),
        Index("ix_letters_account_id", "account_id", "id"),
        Index("ix_letters_contact_id", "contact_id", "id"),
        Index("ix_letters_message_id", "message_id"),
    )

    id: Mapped[Id]
    key: Mapped[str] = mapped_column(String(160), unique=True)
    kind: Mapped[Kind] = mapped_column(choice(Kind, "kind"))
    channel: Mapped[str] = mapped_column(String(20), default="email")
    rank: Mapped[str] = mapped_column(String(1))
    account_id: Mapped[int | None] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"))
    journey_id: Mapped[int | None]
    contact_id: Mapped[int | None] = mapped_column(ForeignKey("contacts.id", ondelete="CASCADE"))
    staff_id: Mapped[int | None] = mapped_column(ForeignKey("staff.id", ondelete="CASCADE"))
    to_email: Mapped[str] = mapped_column(String(254))
    to_hash: Mapped[str] = mapped_column(String(64), default="")
    """Stands for the address where that was forgotten, so that a refusal still finds whom it is about."""
    language: Mapped[str] = mapped_column(String(10))
    context: Mapped[dict[str, Any]]
    message_id: Mapped[str] = mapped_column(String(200))
    """Random and fixed at queueing; the part after the @ joins at the first try (queueing knows no settings)."""
    queued_at: Mapped[datetime]
    due_at: Mapped[datetime]
    try_at: Mapped[datetime]
    """When a worker may take it: when due, at the end of another worker's lease, or after a pause."""
    leased_by: Mapped[str] = mapped_column(String(40), default="")
    attempts: Mapped[int] = mapped_column(Integer, default=0)
    error: Mapped[str] = mapped_column(String(500), default="")
    subject: Mapped[str] = mapped_column(String(200), default="")
    """As it was sent; empty until then."""
    sent_at: Mapped[datetime | None]
    delivered_to: Mapped[str] = mapped_column(String(20), default="")
    failed_at: Mapped[datetime | None]
    unsure_at: Mapped[datetime | None]
    """When a try last ended without anybody knowing whether it had left: the mail server fell silent in the middle, or the
    worker died. Its reader may have it in hand."""
    suppressed_at: Mapped[datetime | None]
    why: Mapped[str] = mapped_column(String(300), default="")

    @property
    def manner(self) -> Manner:
        return MANNERS[self.kind]

    @property
    def state(self) -> LetterState:
        if self.sent_at is not None:
            return LetterState.SENT
        if self.failed_at is not None:
            return LetterState.FAILED
        return LetterState.SUPPRESSED if self.suppressed_at is not None else LetterState.QUEUED


class MailRefusal(Base):
    """An address that wants no more mails for a purpose. Only its hash: a friend's address may not be kept."""

    __tablename__ = "mail_refusals"

    address_hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    purpose: Mapped[Purpose] = mapped_column(choice(Purpose, "purpose"), primary_key=True)
    at: Mapped[datetime]


@dataclass(frozen=True, slots=True)
class Letter:
    """A letter to queue. `key` makes it happen once for ever; `context` holds plain values and never a link that opens
    something. Instants under keys ending in `_at` and dates under `_on` survive the JSON as what they are."""

    key: str
    kind: Kind
    to_email: str
    language: str
    context: Mapping[str, Any] = field(default_factory=dict)
    due_at: datetime | None = None
    account_id: int | None = None
    journey_id: int | None = None
    contact_id: int | None = None
    staff_id: int | None = None
    suppressed: str = ""


class Calendar(NamedTuple):
    """A calendar part: iCalendar text and its METHOD."""

    method: str
    ics: str


class ReplyTo(NamedTuple):
    """To whom an answer goes, where a letter says so itself (`reply_to` among what its composer gives)."""

    name: str
    address: str


class Withheld(Exception):
    """A composer found that the letter has lost its reason; it is suppressed with `why`."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


Composer = Callable[[Session, House, LetterRow], dict[str, Any]]
Composers = Mapping[Kind, Composer]
Turn = Callable[[Session, House, LetterRow, str, datetime], None]
"""What a room does with a letter of its own that must not leave (why, now): in one unit of work it stops the letter
(`withhold`) or puts it off (`put_off`), and does instead what is to be done; nothing where neither was its to do."""
Turns = Mapping[Kind, Turn]


class Outgoing(NamedTuple):
    """What people may know of a letter."""

    id: int
    kind: Kind
    channel: str
    account_id: int | None
    journey_id: int | None
    contact_id: int | None
    to_email: str
    subject: str
    queued_at: datetime
    due_at: datetime
    sent_at: datetime | None
    state: LetterState
    why: str
    message_id: str
    attempts: int
    error: str


# Queueing


def queue(db: Session, letter: Letter, *, now: datetime) -> None:
    """Puts one letter into the outbox, in the caller's transaction; a key that is there already changes nothing."""
    queue_all(db, [letter], now=now)


def queue_all(db: Session, letters: Sequence[Letter], *, now: datetime) -> None:
    """Many letters in one statement; keys that are there already change nothing."""
    insert_new(db, LetterRow.__table__, [_new_row(letter, now) for letter in letters], known_by=["key"])


def _new_row(letter: Letter, now: datetime) -> dict[str, Any]:
    due_at = letter.due_at or now
    return {
        "key": letter.key,
        "kind": letter.kind,
        "channel": "email",
        "rank": MANNERS[letter.kind].rank.value,
        "account_id": letter.account_id,
        "journey_id": letter.journey_id,
        "contact_id": letter.contact_id,
        "staff_id": letter.staff_id,
        "to_email": letter.to_email,
        "to_hash": "",
        "language": letter.language,
        "context": _plain(letter.context),
        "message_id": links.new_nonce(),
        "queued_at": now,
        "due_at": due_at,
        "try_at": due_at,
        "leased_by": "",
        "attempts": 0,
        "error": "",
        "subject": "",
        "delivered_to": "",
        "suppressed_at": now if letter.suppressed else None,
        "why": letter.suppressed,
    }


def _plain(value: Any) -> Any:
    """Values as JSON keeps them."""
    match value:
        case Mapping():
            return {key: _plain(inner) for key, inner in value.items()}
        case list() | tuple():
            return [_plain(inner) for inner in value]
        case datetime() | date():
            return value.isoformat()
        case _:
            return value


def suppress(
    db: Session,
    *,
    why: str,
    now: datetime,
    keys: Sequence[str] = (),
    kinds: Sequence[Kind] = (),
    account_id: int | None = None,
    journey_id: int | None = None,
    contact_id: int | None = None,
) -> int:
    """Stops waiting letters that meet every condition given (at least one); returns how many. What was sent stays sent."""
    wanted = [
        *([LetterRow.key.in_(keys)] if keys else []),
        *([LetterRow.kind.in_(kinds)] if kinds else []),
        *([LetterRow.account_id == account_id] if account_id is not None else []),
        *([LetterRow.journey_id == journey_id] if journey_id is not None else []),
        *([LetterRow.contact_id == contact_id] if contact_id is not None else []),
    ]
    if not wanted:
        raise ValueError("say which letters to suppress")
    return changed(db, update(LetterRow).where(text(WAITING), *wanted).values(suppressed_at=now, why=why))


def withhold(db: Session, row: LetterRow, *, why: str, now: datetime) -> bool:
    """Stops a letter that this worker has taken; False if it isn't this worker's any more, or ended otherwise."""
    return changed(db, _taken(row).values(suppressed_at=now, why=why[:300], leased_by="")) > 0


def put_off(db: Session, row: LetterRow, *, until: datetime) -> bool:
    """Gives a letter that this worker has taken back until then, as if it had not been tried; False as in `withhold`."""
    return changed(db, _taken(row).values(try_at=until, attempts=LetterRow.attempts - 1, leased_by="")) > 0


def _taken(row: LetterRow) -> Update:
    return update(LetterRow).where(text(WAITING), LetterRow.id == row.id, LetterRow.leased_by == row.leased_by)


def changed(db: Session, statement: Update) -> int:
    """Runs an update and says how many rows it changed."""
    done = db.execute(statement, execution_options={"synchronize_session": False})
    return cast("CursorResult[Any]", done).rowcount


def forget(db: Session, *, keys: Sequence[str], why: str, now: datetime) -> int:
    """Forgets address and words of these letters, whatever became of them; what still waits is suppressed with `why`.

    For letters that `deliver` had no chance to forget: those that failed, or that nobody could send in time.
    """
    if not keys:
        return 0
    suppress(db, keys=keys, why=why, now=now)
    rows = db.scalars(
        select(LetterRow).where(LetterRow.key.in_(keys), LetterRow.to_email != "").with_for_update()
    ).all()
    for row in rows:
        row.to_hash, row.to_email, row.context = address_hash(row.to_email), "", {}
    db.flush()
    return len(rows)


def retry(db: Session, letter_id: int, *, now: datetime) -> bool:
    """Puts a failed letter back into the outbox with all its tries; False if it had not failed."""
    again = update(LetterRow).where(LetterRow.id == letter_id, LetterRow.failed_at.is_not(None))
    return changed(db, again.values(failed_at=None, attempts=0, try_at=now, error="")) > 0


# Reading


def is_queued(db: Session, key: str) -> bool:
    """Whether a letter with this key was ever queued, whatever became of it."""
    return db.scalar(select(LetterRow.id).where(LetterRow.key == key)) is not None


def next_due(db: Session) -> datetime | None:
    """When the next letter may be tried; None if none waits."""
    # One look into the partial index for each rank; a plain min() over it would read every waiting letter.
    first = select(func.min(LetterRow.try_at)).where(text(WAITING))
    found = db.execute(select(*(first.where(LetterRow.rank == rank.value).scalar_subquery() for rank in Rank))).one()
    return min((moment for moment in found if moment is not None), default=None)


def in_hand(db: Session) -> int:
    """How many letters some worker has taken and not marked yet."""
    return db.scalar(select(func.count()).where(text(WAITING), LetterRow.leased_by != "")) or 0


def messages(
    db: Session,
    *,
    journey_id: int | None = None,
    account_id: int | None = None,
    contact_id: int | None = None,
    after_id: int = 0,
    limit: int = 50,
) -> list[Outgoing]:
    """Letters of a journey, an account or a contact, oldest first, from the one after `after_id`."""
    of = {"journey_id": journey_id, "account_id": account_id, "contact_id": contact_id}
    wanted = [getattr(LetterRow, name) == value for name, value in of.items() if value is not None]
    found = db.scalars(select(LetterRow).where(LetterRow.id > after_id, *wanted).order_by(LetterRow.id).limit(limit))
    return [outgoing(row) for row in found]


def messages_to_customers(
    db: Session, *, journey_id: int | None = None, after_id: int = 0, limit: int = 50
) -> list[Outgoing]:
    """The same without what staff get, for the API."""
    wanted = [LetterRow.journey_id == journey_id] if journey_id is not None else []
    customers = select(LetterRow).where(LetterRow.id > after_id, LetterRow.staff_id.is_(None), *wanted)
    return [outgoing(row) for row in db.scalars(customers.order_by(LetterRow.id).limit(limit))]


def mailbox(db: Session, *, limit: int = 100, before_id: int | None = None) -> list[Outgoing]:
    """What has left, newest first: the demo's mailbox page."""
    sent = select(LetterRow).where(LetterRow.sent_at.is_not(None))
    if before_id is not None:
        last = select(LetterRow.sent_at, LetterRow.id).where(LetterRow.id == before_id).subquery()
        older = tuple_(LetterRow.sent_at, LetterRow.id) < tuple_(last.c.sent_at, last.c.id)
        sent = sent.join(last, older)
    newest = sent.order_by(LetterRow.sent_at.desc(), LetterRow.id.desc()).limit(limit)
    return [outgoing(row) for row in db.scalars(newest)]


def failures(db: Session, *, limit: int = 100) -> list[Outgoing]:
    """Letters that could not be delivered, newest first, with the error: for staff to see and retry."""
    failed = (
        select(LetterRow).where(LetterRow.failed_at.is_not(None)).order_by(LetterRow.failed_at.desc(), LetterRow.id)
    )
    return [outgoing(row) for row in db.scalars(failed.limit(limit))]


def outgoing(row: LetterRow) -> Outgoing:
    """What people may know of a row."""
    return Outgoing(
        row.id, row.kind, row.channel, row.account_id, row.journey_id, row.contact_id, row.to_email, row.subject,
        row.queued_at, row.due_at, row.sent_at, row.state, row.why,
        f"<{row.message_id}>" if "@" in row.message_id else "", row.attempts, row.error,
    )  # fmt: skip


def revived(context: Mapping[str, Any]) -> dict[str, Any]:
    """A stored context as it was given: `…_at` is an instant again, `…_on` a date."""
    return {name: _revived(value, name) for name, value in context.items()}


def _revived(value: Any, name: str = "") -> Any:
    match value:
        case dict():
            return revived(value)
        case list():
            return [_revived(inner) for inner in value]
        case str() if name.endswith("_at") and value:
            return datetime.fromisoformat(value)
        case str() if name.endswith("_on") and value:
            return date.fromisoformat(value)
        case _:
            return value


# Links that open one thing for whoever got the letter


def token(house: House, row: LetterRow, purpose: str) -> str:
    """What a link in this letter opens its one purpose with; the letter's own random part makes it unguessable."""
    return links.seal(house.secret, purpose, row.id, _nonce(row))


def letter_of(db: Session, house: House, token: str, purpose: str) -> LetterRow | None:
    """The letter that a token came with; None if it is none of ours, or for another purpose."""
    row = db.get(LetterRow, links.row_of(token) or 0)
    return row if row is not None and links.is_sealed(token, house.secret, purpose, _nonce(row)) else None


def _nonce(row: LetterRow) -> str:
    return row.message_id.partition("@")[0]


# Refusing (RFC 8058)


def unsubscribe_url(house: House, row: LetterRow) -> str:
    """The link that refuses mails like this one for good, without signing in."""
    return house.url(f"/unsubscribe/{token(house, row, UNSUBSCRIBE)}")


def unsubscribe_letter(db: Session, house: House, token: str) -> LetterRow | None:
    """The letter that a link came with; None if the token is none of ours. Looking refuses nothing: see `refuse`."""
    return letter_of(db, house, token, UNSUBSCRIBE)


def refuse(db: Session, row: LetterRow, *, now: datetime) -> None:
    """Remembers that the reader of this letter wants no more of its purpose; service mail can't be refused."""
    if row.manner.purpose is not Purpose.SERVICE:
        values = {"address_hash": row.to_hash or address_hash(row.to_email), "purpose": row.manner.purpose, "at": now}
        db.execute(insert_for(db, MailRefusal.__table__).on_conflict_do_nothing(), [values])


def allow_again(db: Session, address: str, purpose: Purpose) -> None:
    """Forgets a refusal, since the person changed their mind (signed in, in their preferences)."""
    db.execute(
        delete(MailRefusal).where(MailRefusal.address_hash == address_hash(address), MailRefusal.purpose == purpose)
    )


def refusals(db: Session, address: str) -> set[Purpose]:
    """What an address asked not to get."""
    return set(db.scalars(select(MailRefusal.purpose).where(MailRefusal.address_hash == address_hash(address))))


def refusing(db: Session, addresses: Sequence[str], purpose: Purpose) -> set[str]:
    """Those of many addresses that asked not to get mails of that purpose, in one statement."""
    hashes = {address: address_hash(address) for address in addresses}
    refused = set(
        db.scalars(
            select(MailRefusal.address_hash).where(
                MailRefusal.address_hash.in_(list(hashes.values())), MailRefusal.purpose == purpose
            )
        )
    )
    return {address for address, hashed in hashes.items() if hashed in refused}


def address_hash(address: str) -> str:
    """An address as refusals keep it."""
    return hashlib.sha256(normalised_email(address).encode()).hexdigest()
