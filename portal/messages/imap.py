"""A mailbox in which answers arrive, asked now and then (IMAP4rev1, RFC 3501). A mail is marked as seen only after it is
stored; what several workers fetch twice is one message.
"""

import imaplib
import logging
import re
import ssl
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from portal.boundary import Crash, attempted
from portal.db import DeploymentFact, insert_for
from portal.house import House
from portal.messages import inbound
from portal.messages.queries import IMAP_TROUBLE
from portal.messages.rules import Became

log = logging.getLogger("portal.imap")

EVERY = timedelta(seconds=20)
LEASE = timedelta(minutes=3)
LONGEST_PAUSE = timedelta(minutes=15)
TIMEOUT_SECONDS = 20
AT_ONCE = 50
DUE_AT = "imap_due_at"
TRIES = "imap_tries"
LONG_AGO = "2000-01-01T00:00:00+00:00"


class MailboxTrouble(Exception):
    """The mailbox can't be read; the words are for whoever runs it."""


def next_due(db: Session) -> datetime:
    """When the mailbox is to be asked again. Whether there is one, only its settings say."""
    return datetime.fromisoformat(_fact(db, DUE_AT) or LONG_AGO)


def poll(house: House, now: datetime, stopping: Callable[[], bool]) -> int:
    """Takes in what is new, outside any transaction; one worker at a time. Gives how many mails that were.

    A mailbox that can't be read is tried again after 1, 2, 4 … minutes; why stands where staff and `portal check` see it.
    """
    if not house.settings.imap_url.get_secret_value():
        return 0
    with house.database.write() as db:
        if _held_due_at(db) > now:
            return 0  # another worker was faster
        _keep(db, DUE_AT, (now + LEASE).isoformat())
    try:
        taken = fetch(house, now, stopping)
    except MailboxTrouble as trouble:
        log.warning("the mailbox of answers can't be read: %s", trouble)
        with house.database.write() as db:
            tries = int(_fact(db, TRIES) or 0) + 1
            _keep(db, TRIES, str(tries))
            _keep(db, IMAP_TROUBLE, str(trouble)[:200])
            _keep(db, DUE_AT, (now + min(timedelta(minutes=2 ** min(tries - 1, 10)), LONGEST_PAUSE)).isoformat())
        return 0
    with house.database.write() as db:
        _keep(db, DUE_AT, (now + (timedelta(0) if taken == AT_ONCE else EVERY)).isoformat())
        db.execute(delete(DeploymentFact).where(DeploymentFact.name.in_((IMAP_TROUBLE, TRIES))))
    return taken


def _held_due_at(db: Session) -> datetime:
    """The same, held: who asks at the same moment waits here, and finds what the first one wrote."""
    write = insert_for(db, DeploymentFact.__table__).values(name=DUE_AT, value=LONG_AGO)
    db.execute(write.on_conflict_do_nothing())
    held = select(DeploymentFact.value).where(DeploymentFact.name == DUE_AT).with_for_update()
    return datetime.fromisoformat(db.scalars(held).one())


def _fact(db: Session, name: str) -> str | None:
    return db.scalar(select(DeploymentFact.value).where(DeploymentFact.name == name))


def _keep(db: Session, name: str, value: str) -> None:
    write = insert_for(db, DeploymentFact.__table__).values(name=name, value=value)
    db.execute(write.on_conflict_do_update(index_elements=["name"], set_={"value": value}))


# The mailbox


def fetch(house: House, now: datetime, stopping: Callable[[], bool] = lambda: False) -> int:
    """Takes in the unseen mails of the mailbox. Errors: MailboxTrouble."""
    client = _open(house)
    taken = 0
    try:
        numbers = _answer(client.uid("SEARCH", "UNSEEN", "UNDELETED"))[0] or b""
        for number in numbers.split()[:AT_ONCE]:
            if stopping():
                break
            taken += _take(house, client, number.decode(), now)
    except (imaplib.IMAP4.error, OSError) as trouble:
        raise MailboxTrouble(_told(trouble)) from trouble
    finally:
        _close(client)
    return taken


def check(house: House) -> None:
    """Whether the mailbox can be opened. Errors: MailboxTrouble."""
    _close(_open(house))


def _open(house: House) -> imaplib.IMAP4:
    parts = urlsplit(house.settings.imap_url.get_secret_value())
    starttls = parse_qs(parts.query).get("starttls", ["required"])[0]
    host, context = parts.hostname or "localhost", ssl.create_default_context()
    try:
        client: imaplib.IMAP4
        if parts.scheme == "imaps":
            client = imaplib.IMAP4_SSL(host, parts.port or 993, ssl_context=context, timeout=TIMEOUT_SECONDS)
        else:
            client = imaplib.IMAP4(host, parts.port or 143, timeout=TIMEOUT_SECONDS)
    except (imaplib.IMAP4.error, OSError) as trouble:
        raise MailboxTrouble(_told(trouble)) from trouble
    try:
        if parts.scheme == "imap" and starttls != "off":
            client.starttls(context)
        client.login(unquote(parts.username or ""), unquote(parts.password or ""))
        folder = unquote(parts.path.strip("/")) or "INBOX"
        _answer(client.select('"' + re.sub(r'(["\\])', r"\\\1", folder) + '"'))
    except (imaplib.IMAP4.error, OSError) as trouble:
        _close(client)
        raise MailboxTrouble(_told(trouble)) from trouble
    return client


def _close(client: imaplib.IMAP4) -> None:
    try:
        client.logout()
    except (imaplib.IMAP4.error, OSError):
        client.shutdown()


def _answer(given: tuple[str, list[Any]]) -> list[Any]:
    kind, data = given
    if kind != "OK":
        raise imaplib.IMAP4.error(str(data))
    return data


def _told(trouble: Exception) -> str:
    # Never the address with its password, which some errors would repeat.
    words = re.sub(r"\S+://\S+", "…", str(trouble))
    return f"{type(trouble).__name__}: {words}"[:200]


def _take(house: House, client: imaplib.IMAP4, number: str, now: datetime) -> int:
    """One mail: stored, then marked. Whoever dies in between brings it again, which changes nothing."""
    raw = _whole(client, number)
    if raw is None:
        return 0  # somebody took it away meanwhile
    became = attempted(
        f"mail {number} of the mailbox",
        lambda: inbound.receive(house, raw, to=None, envelope_from=None, now=now).became if raw else Became.UNREADABLE,
    )
    if isinstance(became, Crash) or became is Became.UNREADABLE:
        validity = client.untagged_responses.get("UIDVALIDITY", [b""])[0]
        inbound.keep_unreadable(house, identity=f"imap {validity!r} {number}", now=now)
        became = Became.UNREADABLE
    # What is no answer to us stays for a person to look at.
    flags = r"(\Seen \Flagged)" if became in (Became.NOT_FOR_US, Became.UNREADABLE) else r"(\Seen)"
    _answer(client.uid("STORE", number, "+FLAGS.SILENT", flags))
    return 1


def _whole(client: imaplib.IMAP4, number: str) -> bytes | None:
    """The mail's bytes; empty for one that is too large, None for one that isn't there any more."""
    sizes = [row for row in _answer(client.uid("FETCH", number, "(RFC822.SIZE)")) if row]
    told = b" ".join(row if isinstance(row, bytes) else row[0] for row in sizes)
    size = re.search(rb"RFC822\.SIZE (\d+)", told)
    if size is None:
        return None
    if int(size[1]) > inbound.ROOM_FOR_MAIL:
        return b""
    data = _answer(client.uid("FETCH", number, "(BODY.PEEK[])"))
    return next((row[1] for row in data if isinstance(row, tuple) and isinstance(row[1], bytes)), None)
