"""Letters leaving the house: composed in the reader's language, handed to the mail server, marked one by one."""

import re
import smtplib
import ssl
import time
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, parseaddr
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol, assert_never
from urllib.parse import parse_qs, unquote, urlsplit

import css_inline
from babel.dates import get_timezone_location
from sqlalchemy import ColumnElement, select, text, update
from sqlalchemy.orm import Session

from portal import mail
from portal.accounts.models import Account, Contact, Staff
from portal.audit import Event, Happened, note_all
from portal.boundary import Crash, attempted
from portal.clock import zone
from portal.house import House
from portal.links import new_nonce
from portal.mail import (
    WAITING,
    Calendar,
    Composers,
    DeliveredTo,
    LetterRow,
    LetterState,
    Outgoing,
    Purpose,
    Rank,
    ReplyTo,
    Sender,
    Turns,
    Withheld,
)
from portal.reply_addresses import Answering, reply_address
from portal.templating import render
from portal.words import spoken_phone

LEASE = timedelta(minutes=3)
"""How long a worker may keep the letters it took; a dead worker's letters are free again after it."""
SENDING_SECONDS = 60
"""No further letter is begun after this long, so that the slowest one (five answers of 20 s) ends within the lease."""
SMTP_TIMEOUT = 20
MAX_ATTEMPTS = 36
"""Pauses of 1, 2, 4 … minutes up to four hours: between four and five days in all (RFC 5321, 4.5.4.1)."""
LONGEST_PAUSE = timedelta(hours=4)
NOT_THE_LETTERS_FAULT = frozenset({530, 534, 535, 538})
"""Permanent answers about our own credentials: the letters wait until somebody has set them right."""

_CLOSING = 421
_EMPTY_LINES = re.compile(r"\n{3,}")
_POLICY = SMTP.clone(max_line_length=900)
"""Long links in headers (List-Unsubscribe) stay as they are: at 78 the library would encode them beyond recognition."""
_INLINER = css_inline.CSSInliner(load_remote_stylesheets=False)


# Composing


class Rendered(NamedTuple):
    """A letter as its reader gets it; `ended` says why there is nothing left to show (its link was used, or replaced)."""

    letter: Outgoing
    from_: str
    to: str
    subject: str
    text: str
    html: str
    calendar: str
    ended: str = ""


class _Reader(NamedTuple):
    name: str
    first_name: str
    is_staff: bool
    zone: str


class _Card(NamedTuple):
    """A consultant and every way to reach them."""

    name: str
    first_name: str
    email: str
    phone: str
    phone_url: str
    whatsapp_url: str
    meeting_url: str


class _Words(NamedTuple):
    subject: str
    text: str
    html: str
    calendar: Calendar | None
    reader: _Reader
    signed: str
    """The person it comes from, if any: the consultant, or the friend who thought of somebody."""
    reply_to: Address | None


def compose(db: Session, house: House, row: LetterRow, *, composers: Composers) -> EmailMessage:
    """The letter as it goes out. Raises Withheld where it has lost its reason, ValueError for an impossible address."""
    words = _words(db, house, row, composers)
    made = EmailMessage(policy=_POLICY)
    made["Message-ID"] = f"<{_full_message_id(house, row)}>"
    made["Date"] = format_datetime(house.clock.now())
    made["Subject"] = words.subject
    made["To"] = _address(words.reader.name, row.to_email)
    made["From"] = _from(house, words.signed)
    if words.reply_to is not None:
        made["Reply-To"] = words.reply_to
    made["Auto-Submitted"] = "auto-generated"
    if row.manner.purpose is not Purpose.SERVICE:
        made["List-Unsubscribe"] = f"<{mail.unsubscribe_url(house, row)}>"
        made["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
    made.set_content(words.text, cte="quoted-printable")
    made.add_alternative(words.html, subtype="html", cte="quoted-printable")
    if words.calendar is not None:
        # Twice on purpose: clients that know invitations read the part, the others offer the attachment.
        method, ics = words.calendar
        made.add_alternative(ics, subtype="calendar", params={"method": method}, cte="base64")
        made.add_attachment(ics, subtype="calendar", params={"method": method}, filename="invite.ics", cte="base64")
    return made


def rendered(db: Session, house: House, letter_id: int, *, composers: Composers) -> Rendered | None:
    """A letter rendered anew for the demo's mailbox, with today's words and working links; None if there is none."""
    row = db.get(LetterRow, letter_id)
    if row is None:
        return None
    letter = mail.outgoing(row)
    try:
        words = _words(db, house, row, composers)
    except Withheld as withheld:
        return Rendered(letter, "", row.to_email, row.subject, "", "", "", withheld.why)
    calendar = words.calendar.ics if words.calendar else ""
    from_ = str(_from(house, words.signed))
    return Rendered(letter, from_, row.to_email, words.subject, words.text, words.html, calendar)


def _words(db: Session, house: House, row: LetterRow, composers: Composers) -> _Words:
    composer = composers.get(row.kind)
    made = composer(db, house, row) if composer else {}
    calendar: Calendar | None = made.pop("calendar", None)
    answered_to: ReplyTo | None = made.pop("reply_to", None)
    account = db.get(Account, row.account_id) if row.account_id is not None else None
    consultant = _card(db, account) if row.contact_id is not None else None
    context = mail.revived(row.context)
    reader = _reader(db, house, row, context)
    values: dict[str, Any] = {
        "kind": row.kind.value,
        "vendor": house.settings.vendor_name,
        "postal_address": house.settings.postal_address,
        "url": house.url,
        "zone": reader.zone,
        "zone_city": get_timezone_location(zone(reader.zone), locale=row.language.replace("-", "_"), return_city=True),
        "reader": reader,
        "consultant": consultant,
        "account_name": account.name if account else "",
        "preferences_url": house.url("/preferences"),
        "unsubscribe_url": "" if row.manner.purpose is Purpose.SERVICE else mail.unsubscribe_url(house, row),
        **context,
        **made,
    }
    signed = _signed(row, reader, consultant, context)
    template = f"mail/{row.kind}"
    return _Words(
        subject=" ".join(render(f"{template}.subject.txt", row.language, values).split()),
        text=_EMPTY_LINES.sub("\n\n", render(f"{template}.txt", row.language, values)).strip() + "\n",
        html=_INLINER.inline(render(f"{template}.html", row.language, values)),
        calendar=calendar,
        reader=reader,
        signed=signed,
        reply_to=_address(*answered_to) if answered_to is not None else _reply_to(house, row, consultant, signed),
    )


def _reply_to(house: House, row: LetterRow, consultant: _Card | None, signed: str) -> Address | None:
    """Where an answer to a consultant's mail goes: into the customer's thread, which tells the consultant; without a domain
    of our own for that, to the consultant's mailbox, where only they see it."""
    if consultant is None or signed != consultant.name:
        return None
    domain = house.settings.reply_domain
    if not domain or row.account_id is None or row.contact_id is None:
        return _address(consultant.name, consultant.email)
    who = Answering(row.account_id, contact_id=row.contact_id)
    # From the day it was due: shown again, or sent again, the letter names the same address.
    return _address(consultant.name, reply_address(house.secret, domain, who, now=row.due_at))


def _reader(db: Session, house: House, row: LetterRow, context: dict[str, Any]) -> _Reader:
    """Who reads it: a contact, a member of staff, or a friend whom only the letter itself knows."""
    person: Contact | Staff | None = None
    if row.contact_id is not None:
        person = db.get(Contact, row.contact_id)
    elif row.staff_id is not None:
        person = db.get(Staff, row.staff_id)
    name = " ".join((person.name if person else str(context.get("friend_name", ""))).split())
    zone = person.timezone if person else house.settings.default_timezone
    return _Reader(name, name.split(" ")[0], isinstance(person, Staff), zone)


def _card(db: Session, account: Account | None) -> _Card | None:
    staff = db.get(Staff, account.consultant_id) if account and account.consultant_id is not None else None
    if staff is None:
        return None
    whatsapp = "".join(c for c in staff.whatsapp if c.isdigit())
    return _Card(
        name=" ".join(staff.name.split()),
        first_name=staff.name.split()[0],
        email=staff.email,
        phone=spoken_phone(staff.phone),
        phone_url=f"tel:{staff.phone}" if staff.phone else "",
        whatsapp_url=f"https://wa.me/{whatsapp}" if whatsapp else "",
        meeting_url=staff.meeting_url,
    )


def _signed(row: LetterRow, reader: _Reader, consultant: _Card | None, context: dict[str, Any]) -> str:
    match row.manner.sender:
        case Sender.CONSULTANT:
            return consultant.name if consultant and not reader.is_staff else ""
        case Sender.REFERRER:
            return str(context["referrer_name"])
        case Sender.INVITER:
            return str(context["inviter_name"])
        case Sender.VENDOR:
            return ""
        case _:
            assert_never(row.manner.sender)


def _from(house: House, signed: str) -> Address:
    name, address = parseaddr(house.settings.mail_from)
    return _address(f"{signed} via {house.settings.vendor_name}" if signed else name, address)


def _address(name: str, address: str) -> Address:
    """Built by the library from its parts, so that no name can add a header or a second address."""
    return Address(display_name=" ".join(name.split()), addr_spec=address)


def _full_message_id(house: House, row: LetterRow) -> str:
    if "@" in row.message_id:
        return row.message_id
    return f"{row.message_id}@{_mail_domain(house)}"


def _mail_domain(house: House) -> str:
    return parseaddr(house.settings.mail_from)[1].rpartition("@")[2] or "localhost"


# Delivering


def deliver(
    house: House,
    *,
    composers: Composers,
    now: datetime,
    turns: Turns = MappingProxyType({}),
    limit: int = 50,
    stopping: Callable[[], bool] = lambda: False,
) -> int:
    """Sends what is due at `now`, the most urgent first; gives how many letters were tried.

    At least once: letters are taken with a lease in one transaction, sent outside any, and each is marked in another as
    soon as it is out. Whoever dies in between makes at most that one letter go twice, with the same Message-ID. What
    only goes to the mailbox page leaves no house, and is marked together. What must not leave is for its room to turn
    into something else (`turns`), where it has a say in that.
    """
    taken = _take(house, now, limit)
    began = time.monotonic()
    carrier: _Carrier = open_mail_server(house) if house.settings.smtp_url else _Mailbox()
    tried: list[tuple[LetterRow, _Fate | None]] = []
    marked = 0
    try:
        for row in taken:
            if stopping() or time.monotonic() - began > SENDING_SECONDS:
                _release(house, taken[len(tried) :], now)
                break
            tried.append((row, _tried(house, row, carrier, composers, turns, now)))
            if carrier.to is DeliveredTo.SMTP:
                _mark(house, tried[marked:], carrier.to, now)
                marked = len(tried)
    except _Away as away:
        tried += [(row, _Fate(LetterState.QUEUED, str(away))) for row in taken[len(tried) :]]
    finally:
        carrier.close()
    _mark(house, tried[marked:], carrier.to, now)
    return len(tried)


def open_mail_server(house: House) -> "MailServer":
    """The configured mail server; it connects at the first letter."""
    greeting = urlsplit(house.settings.base_url).hostname or "localhost"
    return MailServer(house.settings.smtp_url, parseaddr(house.settings.mail_from)[1], greeting)


class _Fate(NamedTuple):
    """What became of a try: sent (words: the subject), suppressed (why), failed or queued again (the error)."""

    state: LetterState
    words: str
    may_be_out: bool = False
    """Whether it may have left all the same: the answer never came."""


class _Away(Exception):
    """The mail server can't be reached, or doesn't let us in: no letter's fault."""


def _take(house: House, now: datetime, limit: int) -> list[LetterRow]:
    """Claims letters for one lease. Letters whose every worker died are given up here."""
    me = new_nonce()
    with house.database.write() as db:
        due: list[LetterRow] = []
        for rank in Rank:
            waiting = select(LetterRow).where(text(WAITING), LetterRow.rank == rank.value, LetterRow.try_at <= now)
            first = waiting.order_by(LetterRow.try_at, LetterRow.id).limit(limit - len(due))
            due += db.scalars(first.with_for_update(skip_locked=True))
            if len(due) == limit:
                break
        for row in due:
            if row.leased_by:  # whoever had it never said what became of it
                row.unsure_at = now
            row.leased_by = me
            row.try_at = now + LEASE
            row.attempts += 1
            row.message_id = _full_message_id(house, row)
            if row.attempts > MAX_ATTEMPTS:
                row.failed_at = now
                row.error = row.error or "Given up: every worker that tried it stopped before the end."
    return [row for row in due if row.failed_at is None]


def _release(house: House, rows: Sequence[LetterRow], now: datetime) -> None:
    """Gives back letters that were taken and not tried."""
    mine = update(LetterRow).where(
        text(WAITING), LetterRow.id.in_([row.id for row in rows]), LetterRow.leased_by.in_({r.leased_by for r in rows})
    )
    with house.database.write() as db:
        db.execute(
            mine.values(leased_by="", try_at=now, attempts=LetterRow.attempts - 1),
            execution_options={"synchronize_session": False},
        )


def _tried(
    house: House, row: LetterRow, carrier: "_Carrier", composers: Composers, turns: Turns, now: datetime
) -> _Fate | None:
    """What became of it; None where its room has marked it already."""
    name = f"letter {row.id} ({row.kind})"
    message = attempted(name, lambda: _composed(house, row, composers))
    match message:
        case Crash(words):
            return _Fate(LetterState.FAILED, words)
        case Withheld(why=why):
            if row.kind not in turns:
                return _Fate(LetterState.SUPPRESSED, why)
            crash = attempted(name, lambda: _turned(house, row, turns, why, max(now, house.clock.now())))
            return _Fate(LetterState.FAILED, crash.words) if crash is not None else None
        case EmailMessage():
            return _carried(carrier, message, row)


def _turned(house: House, row: LetterRow, turns: Turns, why: str, now: datetime) -> None:
    # In a unit of work of its own: its room holds what stands above letters, and holds it first.
    with house.database.write() as db:
        turns[row.kind](db, house, row, why, now)


def _composed(house: House, row: LetterRow, composers: Composers) -> EmailMessage | Withheld:
    with house.database.read() as db:
        if row.manner.purpose is not Purpose.SERVICE and row.manner.purposes & mail.refusals(db, row.to_email):
            return Withheld(mail.REFUSED_WHY)
        try:
            return compose(db, house, row, composers=composers)
        except Withheld as withheld:
            return withheld


def _carried(carrier: "_Carrier", message: EmailMessage, row: LetterRow) -> _Fate:
    try:
        carrier.carry(message, row.to_email)
    except smtplib.SMTPRecipientsRefused as refused:
        return _refused(carrier, *next(iter(refused.recipients.values())))
    except smtplib.SMTPResponseException as refused:
        return _refused(carrier, refused.smtp_code, refused.smtp_error)
    except (smtplib.SMTPNotSupportedError, ValueError) as impossible:
        return _Fate(LetterState.FAILED, str(impossible))
    except (smtplib.SMTPException, OSError) as broken:
        carrier.close()
        return _Fate(LetterState.QUEUED, _told(broken), may_be_out=True)
    return _Fate(LetterState.SENT, str(message["Subject"]))


def _refused(carrier: "_Carrier", code: int, answer: bytes | str) -> _Fate:
    words = f"{code} {answer.decode('utf-8', 'replace') if isinstance(answer, bytes) else answer}"
    if code == _CLOSING:
        carrier.close()
    permanent = 500 <= code <= 599 and code not in NOT_THE_LETTERS_FAULT
    return _Fate(LetterState.FAILED if permanent else LetterState.QUEUED, words)


def _told(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"


def _mark(house: House, every: Sequence[tuple[LetterRow, _Fate | None]], to: DeliveredTo, now: datetime) -> None:
    tried = [(row, fate) for row, fate in every if fate is not None]
    if not tried:
        return
    # A long batch, or a demo whose clock has moved: what left now has not left before it was taken.
    at = max(now, house.clock.now())
    events = []
    with house.database.write() as db:
        for row, given in tried:
            worn_out = given.state is LetterState.QUEUED and row.attempts >= MAX_ATTEMPTS
            fate = given._replace(state=LetterState.FAILED) if worn_out else given
            # What left the house has left it, whatever was said of it meanwhile; anything else only changes what still
            # waits for this worker.
            still: list[ColumnElement[bool]] = [LetterRow.sent_at.is_(None)]
            if fate.state is not LetterState.SENT:
                still += [
                    LetterRow.failed_at.is_(None),
                    LetterRow.suppressed_at.is_(None),
                    LetterRow.leased_by == row.leased_by,
                ]
            marked = update(LetterRow).where(LetterRow.id == row.id, *still).values(_facts(row, fate, to, at))
            if mail.changed(db, marked) and row.account_id is not None and fate.state in _TOLD:
                detail = {"letter": row.id, "kind": row.kind.value}
                of = (row.account_id, row.journey_id, row.contact_id)
                events.append(Event(_TOLD[fate.state], "system", at, *of, detail))
        note_all(db, events)


def _facts(row: LetterRow, fate: _Fate, to: DeliveredTo, at: datetime) -> dict[str, Any]:
    words = fate.words[:500]
    forgotten = {"to_email": "", "to_hash": mail.address_hash(row.to_email)} if row.manner.forget else {}
    facts: dict[str, Any]
    match fate.state:
        case LetterState.SENT:
            facts = {"sent_at": at, "failed_at": None, "delivered_to": to.value, "subject": words[:200], "error": ""}
            facts |= forgotten
        case LetterState.SUPPRESSED:
            facts = {"suppressed_at": at, "why": words[:300], **forgotten}
        case LetterState.FAILED:
            facts = {"failed_at": at, "error": words}
        case LetterState.QUEUED:
            facts = {"try_at": at + pause(row.attempts), "error": words}
        case _:
            assert_never(fate.state)
    if fate.may_be_out:
        facts["unsure_at"] = at
    return {**facts, "leased_by": ""}


_TOLD = {LetterState.SENT: Happened.MAIL_SENT, LetterState.FAILED: Happened.MAIL_FAILED}


def pause(attempts: int) -> timedelta:
    """How long a letter rests after its n-th try: 1, 2, 4 … minutes, four hours at most."""
    return min(timedelta(minutes=2 ** min(attempts - 1, 20)), LONGEST_PAUSE)


# Carrying


class _Carrier(Protocol):
    """What takes a letter away."""

    to: DeliveredTo

    def carry(self, message: EmailMessage, to_email: str) -> None: ...

    def close(self) -> None: ...


class _Mailbox:
    """Without a mail server letters go nowhere; the demo's mailbox page shows them."""

    to = DeliveredTo.MAILBOX

    def carry(self, message: EmailMessage, to_email: str) -> None:
        message.as_bytes()

    def close(self) -> None:
        pass


class MailServer:
    """One connection to `smtp://`, `smtps://`, with `user:password@` where needed; several letters one after another.

    STARTTLS is used where it is offered, and insisted on before a password is said; `?starttls=off` and
    `?starttls=required` say otherwise. Certificates are verified.
    """

    to = DeliveredTo.SMTP

    def __init__(self, url: str, sender: str, greeting: str) -> None:
        self._url, self._sender, self._greeting = url, sender, greeting
        self._client: smtplib.SMTP | None = None

    def open(self) -> smtplib.SMTP:
        """The connection, made on first use. Raises OSError or SMTPException where there is none to be had."""
        if self._client is None:
            self._client = self._connected()
        return self._client

    def carry(self, message: EmailMessage, to_email: str) -> None:
        try:
            client = self.open()
        except (OSError, smtplib.SMTPException) as away:
            raise _Away(_told(away)) from away
        client.send_message(message, from_addr=self._sender, to_addrs=[to_email])

    def close(self) -> None:
        if self._client is not None:
            try:
                self._client.quit()
            except (OSError, smtplib.SMTPException):
                self._client.close()
            self._client = None

    def _connected(self) -> smtplib.SMTP:
        parts = urlsplit(self._url)
        starttls = parse_qs(parts.query).get("starttls", ["offered"])[0]
        host, context = parts.hostname or "localhost", ssl.create_default_context()
        insisted = starttls == "required" or parts.username
        client: smtplib.SMTP
        if parts.scheme == "smtps":
            client = smtplib.SMTP_SSL(host, parts.port or 465, self._greeting, timeout=SMTP_TIMEOUT, context=context)
        else:
            client = smtplib.SMTP(host, parts.port or 25, self._greeting, timeout=SMTP_TIMEOUT)
        try:
            client.ehlo_or_helo_if_needed()
            if parts.scheme == "smtp" and starttls != "off" and (insisted or client.has_extn("starttls")):
                client.starttls(context=context)
                client.ehlo()
            if parts.username:
                client.login(unquote(parts.username), unquote(parts.password or ""))
        except BaseException:
            client.close()
            raise
        return client
