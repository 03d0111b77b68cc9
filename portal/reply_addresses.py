"""Addresses that a mail can be answered to: `reply+c7-12-fb1-…@reply.example` says whose thread it is and who answers,
signed by the deployment's secret, with an end. Lower case only, since mail servers fold the local part; 64 characters at most
(RFC 5321, 4.5.3.1.1)."""

import hmac
import re
from base64 import b32encode
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256

PREFIX = "reply+"
ANSWERED_WITHIN = timedelta(days=180)
"""How long a mail can be answered by mail: longer than the journey's three months, shorter than for ever."""

_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
_MAC_BYTES = 16
_TOKEN = re.compile(r"([cs])([0-9a-z]{1,12})-([0-9a-z]{1,12})-([0-9a-z]{1,5})-([a-z2-7]{26})")


@dataclass(frozen=True, slots=True)
class Answering:
    """Who answers in which account's thread: a contact or a member of staff."""

    account_id: int
    contact_id: int | None = None
    staff_id: int | None = None


@dataclass(frozen=True, slots=True)
class Expired:
    """The address was one of ours, and its time is over."""

    who: Answering


def reply_address(secret: str, domain: str, who: Answering, *, now: datetime) -> str:
    """The address at which this person's answers belong to that thread, for `ANSWERED_WITHIN` from now."""
    is_contact = who.contact_id is not None
    person = who.contact_id if is_contact else who.staff_id
    if person is None:
        raise ValueError("somebody has to answer")
    until = _day(now + ANSWERED_WITHIN)
    what = f"{'c' if is_contact else 's'}{_in36(who.account_id)}-{_in36(person)}-{_in36(until)}"
    return f"{PREFIX}{what}-{_mac(secret, what)}@{domain.lower()}"


def read_address(secret: str, domain: str, address: str, *, now: datetime) -> Answering | Expired | None:
    """Whom an address speaks of; None if it is none of ours, or not as we wrote it."""
    local, at, host = address.strip().strip("<>").lower().rpartition("@")
    if not domain or not at or host.rstrip(".") != domain.lower() or not local.startswith(PREFIX):
        return None
    found = _TOKEN.fullmatch(local.removeprefix(PREFIX))
    if found is None:
        return None
    kind, account, person, until, mac = found.groups()
    if not hmac.compare_digest(mac, _mac(secret, f"{kind}{account}-{person}-{until}")):
        return None
    who = Answering(int(account, 36), **{"contact_id" if kind == "c" else "staff_id": int(person, 36)})
    return who if _day(now) <= int(until, 36) else Expired(who)


def _mac(secret: str, what: str) -> str:
    made = hmac.new(secret.encode(), f"reply:{what}".encode(), sha256).digest()[:_MAC_BYTES]
    return b32encode(made).decode().rstrip("=").lower()


def _day(moment: datetime) -> int:
    return int(moment.astimezone(UTC).timestamp()) // 86_400


def _in36(number: int) -> str:
    digits = ""
    while number:
        number, digit = divmod(number, 36)
        digits = _DIGITS[digit] + digits
    return digits or "0"
