"""What should happen to messages and to mail that comes in: pure functions over frozen data.

A person's words are a message; whatever a machine sent is kept and moves nothing (RFC 3834; issue: "Mail loops and
auto-replies never start a conversation").
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple

from portal.errors import N_

TEXT_LIMIT = 10_000
"""What a message may hold, in characters."""
ORIGINAL_LIMIT = 60_000
"""What is kept of a mail as it came."""
MOST_FILES = 5
MOST_AN_HOUR = 20
"""Mails of one person that become messages in an hour; nobody writes more, and programs do."""

QUIET = timedelta(seconds=60)
"""After a message we wait so long for the next one before a mail goes out: lines typed in a row go as one mail."""
LONGEST_RUN = timedelta(minutes=5)
"""…but nobody waits longer than this for the first of them."""
TAKES_PART = timedelta(days=30)
"""Who wrote within this time is written to."""


class Via(StrEnum):
    """How a message came."""

    PORTAL = "portal"
    EMAIL = "email"


class Became(StrEnum):
    """What became of a mail that came in."""

    MESSAGE = "message"
    UNKNOWN_SENDER = "unknown_sender"
    AUTOMATIC = "automatic"
    LOOP = "loop"
    TOO_MANY = "too_many"
    BOUNCE = "bounce"
    EMPTY = "empty"
    NOT_FOR_US = "not_for_us"
    UNREADABLE = "unreadable"


WHY: dict[Became, str] = {
    Became.MESSAGE: "",
    Became.UNKNOWN_SENDER: N_("It came from another address than the one on file, so it isn’t shown as theirs."),
    Became.AUTOMATIC: N_("A program wrote it: an automatic answer or a list."),
    Became.LOOP: N_("It was one of our own mails coming back."),
    Became.TOO_MANY: N_("More mails came within an hour than anybody writes."),
    Became.BOUNCE: N_("A mail server says that one of our mails could not be delivered."),
    Became.EMPTY: N_("There was nothing in it but what we had written."),
    Became.NOT_FOR_US: N_("It names no address that we gave out."),
    Became.UNREADABLE: N_("It could not be read."),
}


# Who is told


class Line(NamedTuple):
    """A message as the rules see it."""

    id: int
    at: datetime


def run_of(lines: Sequence[Line], message_id: int) -> tuple[int, ...]:
    """The messages that go out in one mail with this one: one side's, written in a row. `lines`: that side's, oldest first.

    The mail is that of the run's last message, so whoever composes the mail of an earlier one leaves it to the last.
    """
    run: list[Line] = []
    for line in lines:
        if run and (line.at - run[-1].at > QUIET or line.at - run[0].at > LONGEST_RUN):
            if any(one.id == message_id for one in run):
                break
            run = []
        run.append(line)
    ids = tuple(line.id for line in run)
    return ids if message_id in ids else (message_id,)


@dataclass(frozen=True)
class Person:
    """A contact as the rules see them. `wrote_at`: their last message in the thread."""

    id: int
    is_primary: bool
    has_email: bool
    wrote_at: datetime | None


def who_is_written_to(people: Sequence[Person], now: datetime) -> tuple[int, ...]:
    """Which contacts get our message by mail: those who take part in the thread, else the main contact, else whoever
    can be reached. `people` are those who may see the thread."""
    reachable = [p for p in people if p.has_email]
    taking_part = [p for p in reachable if p.wrote_at is not None and now - p.wrote_at <= TAKES_PART]
    chosen = taking_part or [p for p in reachable if p.is_primary] or reachable[:1]
    return tuple(p.id for p in chosen)


# What came in


@dataclass(frozen=True)
class Incoming:
    """What the headers of a mail say, lower-case names."""

    headers: Mapping[str, str]
    content_type: str
    envelope_from: str | None
    """The return path as the mail server handed it over; None where it isn't known."""
    from_address: str
    message_id: str
    references: tuple[str, ...] = ()


_AUTOMATIC_PRECEDENCE = frozenset({"bulk", "auto_reply", "auto-reply", "list", "junk"})
_AUTOMATIC_HEADERS = (
    "x-autoreply",
    "x-autorespond",
    "x-auto-response-suppress",
    "x-autoresponder",
    "x-mail-autoreply",
    "x-vacation",
    "list-id",
    "list-unsubscribe",
    "feedback-id",
)
_AUTOMATIC_SUBJECT = re.compile(
    r"\s*(auto(matic)?[ -]?(reply|response)|out of (the )?office|resposta autom[aá]tica|fora do escrit[oó]rio|"
    r"aus[eê]ncia( tempor[aá]ria)?\b|estou de f[eé]rias|on vacation|vacation (reply|response)|autoreply|"
    r"undeliver(ed|able)|delivery status notification|mail delivery (failed|failure|subsystem)|returned mail|"
    r"falha na entrega|n[aã]o entregue)\b",
    re.IGNORECASE,
)
_MACHINES = re.compile(r"(mailer-daemon|postmaster|no-?reply|do-?not-?reply|bounces?([+=-].*)?)@", re.IGNORECASE)


def what_sent_it(mail: Incoming, *, our_address: str) -> Became:
    """MESSAGE where a person seems to have written it; else which kind of machine did (RFC 3834, section 2; RFC 3464)."""
    if mail.content_type == "multipart/report" or mail.headers.get("x-failed-recipients"):
        return Became.BOUNCE
    if mail.from_address.lower() == our_address.lower() or mail.headers.get("x-onward-letter"):
        return Became.LOOP
    submitted = mail.headers.get("auto-submitted", "no").split(";")[0].strip().lower()
    if submitted not in ("no", ""):
        return Became.AUTOMATIC
    if mail.envelope_from is not None and mail.envelope_from.strip("<> ") == "":
        return Became.AUTOMATIC
    if mail.headers.get("return-path", "x").strip() == "<>":
        return Became.AUTOMATIC
    if mail.headers.get("precedence", "").strip().lower() in _AUTOMATIC_PRECEDENCE:
        return Became.AUTOMATIC
    if any(name in mail.headers for name in _AUTOMATIC_HEADERS):
        return Became.AUTOMATIC
    if _AUTOMATIC_SUBJECT.match(mail.headers.get("subject", "")):  # not after "Re: ": that is a person answering one
        return Became.AUTOMATIC
    return Became.AUTOMATIC if _MACHINES.match(mail.from_address) else Became.MESSAGE


def is_spoofed(results: Sequence[str], *, trusted: str, domain: str) -> bool:
    """Whether the mail server that we trust says the sender's address isn't the sender's (RFC 8601). Only its own word
    counts: anybody can write the header, so those of other hosts are passed over. No word at all is no proof."""
    if not trusted:
        return False
    ours = [r for r in results if r.split(";")[0].strip().split(" ")[0].lower() == trusted.lower()]
    if not ours:
        return False
    words = re.sub(r"\([^)]*\)", "", " ".join(ours)).lower()
    if re.search(r"\bdmarc\s*=\s*pass\b", words):
        return False
    if re.search(r"\bdmarc\s*=\s*(fail|reject|quarantine)\b", words):
        return True
    passed_dkim = re.search(rf"\bdkim\s*=\s*pass\b[^;]*header\.(d|i)\s*=\s*@?([\w.-]*\.)?{re.escape(domain)}\b", words)
    passed_spf = re.search(rf"\bspf\s*=\s*pass\b[^;]*{re.escape(domain)}\b", words)
    return not (passed_dkim or passed_spf)
