"""A mail as bytes, read without trust: headers, the person's words, the files. Wrong charsets and broken parts lose nothing
but themselves."""

import email.utils
import re
from collections.abc import Iterator
from email import message_from_bytes, policy
from email.message import EmailMessage, Message
from hashlib import sha256
from typing import NamedTuple

from portal.accounts.rules import normalised_email
from portal.messages.quoting import text_of_html
from portal.messages.rules import ORIGINAL_LIMIT, Incoming
from portal.text import FORBIDDEN, clean

_MOST_PARTS = 100
_ONE_LINE = re.compile(r"\s+")


class Part(NamedTuple):
    """A file that came along."""

    name: str
    content_type: str
    content: bytes


class Parsed(NamedTuple):
    """A mail as we read it."""

    incoming: Incoming
    subject: str
    text: str
    """All of its words as plain text."""
    parts: tuple[Part, ...]
    recipients: tuple[str, ...]
    """Every address that its headers name."""
    results: tuple[str, ...]
    """Its Authentication-Results, one a header."""
    identity: str
    """Its Message-ID, or what stands for it where there is none."""
    returned: tuple[str, ...]
    """The Message-IDs of mails that it brings back (RFC 3464)."""


def parse(raw: bytes, *, envelope_from: str | None) -> Parsed:
    """Reads a mail; there is none so broken that this raises."""
    made = message_from_bytes(raw, policy=policy.default)
    assert isinstance(made, EmailMessage)  # noqa: S101 - for the types
    headers = {name.lower(): _header(made, name) for name in dict.fromkeys(name.lower() for name in made)}
    message_id = headers.get("message-id", "")[:998]
    subject = _line(headers.get("subject", ""))[:200]
    text = _words(made)
    incoming = Incoming(
        headers=headers,
        content_type=made.get_content_type(),
        envelope_from=envelope_from,
        from_address=_author([str(value) for name, value in made.raw_items() if name.lower() == "from"]),
        message_id=message_id,
        references=tuple(
            re.findall(r"<[^<>\s]+>", f"{headers.get('in-reply-to', '')} {headers.get('references', '')}")
        ),
    )
    told = f"{headers.get('date', '')}\0{headers.get('from', '')}\0{subject}\0{text}"
    return Parsed(
        incoming=incoming,
        subject=subject,
        text=text,
        parts=tuple(_files(made)),
        recipients=tuple(dict.fromkeys(_recipients(made))),
        results=tuple(str(value) for value in _all(made, "authentication-results")),
        identity=message_id or sha256(told.encode("utf-8", "replace")).hexdigest(),
        returned=tuple(_returned(made)),
    )


def _header(message: Message, name: str) -> str:
    """A header's words; where the library can't read it, as it came."""
    found = _all(message, name)
    return _plain(found[0]) if found else ""


def _all(message: Message, name: str) -> list[str]:
    try:
        return [str(value) for value in message.get_all(name, [])]
    except (ValueError, LookupError, IndexError, AttributeError, TypeError):
        # The library's own parser stumbles over some headers: then their bytes, without structure.
        return [str(value) for key, value in message.raw_items() if key.lower() == name]


def _plain(words: str) -> str:
    """Text that any database holds: no NUL, no lone surrogates."""
    readable = words.encode("utf-8", "replace").decode()
    return FORBIDDEN.sub("", readable)


def _line(words: str) -> str:
    return _ONE_LINE.sub(" ", words).strip()


def _author(headers: list[str]) -> str:
    """The one address that the mail says it is from; empty where that is not plain. Two authors are nobody whom we know,
    and what one mail program reads as a name and another as an address is somebody's trick."""
    # As it came: the library, asked for the header, mends `maria@a.example <maria@b.example>` into the first of the two.
    if len(headers) != 1:
        return ""
    bare = re.sub(r'"(?:[^"\\]|\\.)*"|\([^()]*\)', " ", _plain(headers[0]))
    inside = re.findall(r"<([^<>]*)>", bare)
    outside = re.sub(r"<[^<>]*>", " ", bare)
    if len(inside) > 1 or "," in outside or ";" in outside or (inside and "@" in outside):
        return ""
    address = (inside[0] if inside else outside).strip()
    return normalised_email(address) if re.fullmatch(r"[^\s@<>]{1,64}@[^\s@<>]{1,189}", address) else ""


def _recipients(message: Message) -> Iterator[str]:
    """Where it was sent, as the mail server that put it into the mailbox says first."""
    for name in ("x-original-to", "delivered-to", "envelope-to", "to", "cc", "resent-to"):
        for value in _all(message, name):
            yield from (address.lower() for _, address in email.utils.getaddresses([_plain(value)]) if "@" in address)


# Words


def _words(message: EmailMessage) -> str:
    """The person's words: the plain text, else those of the HTML."""
    texts, pages = [], []
    for part in _leaves(message):
        if _is_file(part) or part.get_content_maintype() != "text":
            continue
        kind = part.get_content_subtype()
        if kind == "plain":
            texts.append(_decoded(part))
        elif kind == "html":
            pages.append(_decoded(part))
    words = "\n\n".join(filter(None, (text.strip() for text in texts)))
    if not words and pages:
        words = "\n\n".join(text_of_html(page) for page in pages)
    return clean(_plain(words))[:ORIGINAL_LIMIT]


def _leaves(message: EmailMessage) -> Iterator[EmailMessage]:
    """The parts that hold something, in order; not those of a mail that came along inside."""
    waiting: list[Message] = [message]
    seen = 0
    while waiting and seen < _MOST_PARTS:
        part = waiting.pop(0)
        seen += 1
        if part.get_content_maintype() == "multipart" and isinstance(part.get_payload(), list):
            waiting[:0] = [one for one in part.get_payload() if isinstance(one, Message)]
        elif isinstance(part, EmailMessage):
            yield part


def _decoded(part: EmailMessage) -> str:
    content = _content(part)
    for charset in (str(part.get_content_charset("utf-8")), "utf-8", "cp1252"):
        try:
            return content.decode(charset)
        except (LookupError, UnicodeDecodeError, ValueError):
            continue
    return content.decode("utf-8", "replace")


def _content(part: Message) -> bytes:
    payload = part.get_payload(decode=True)
    return payload if isinstance(payload, bytes) else b""


# Files


def _is_file(part: EmailMessage) -> bool:
    return part.get_content_disposition() == "attachment" or bool(part.get_filename())


def _files(message: EmailMessage) -> Iterator[Part]:
    """What came along: attachments and pictures in the text; a mail inside a mail is a file that we don't take."""
    for number, part in enumerate(_leaves(message), 1):
        kind = part.get_content_type()
        if part.get_content_maintype() == "text" and not _is_file(part):
            continue
        if kind in (
            "text/calendar",
            "application/pgp-signature",
            "application/pkcs7-signature",
            "message/delivery-status",
        ):
            continue
        try:
            name = _line(_plain(part.get_filename() or ""))
        except (ValueError, LookupError, TypeError):
            name = ""
        ending = {"image/jpeg": "jpg", "image/png": "png", "image/gif": "gif", "message/rfc822": "eml"}.get(kind, "bin")
        content = _content(part) if kind != "message/rfc822" else b""
        yield Part(name or f"{number}.{ending}", kind, content)


# What comes back


def _returned(message: EmailMessage) -> Iterator[str]:
    """The Message-IDs of our own mails in a report: the third part, whole or only its headers."""
    if message.get_content_type() != "multipart/report":
        return
    for part in message.walk():
        kind = part.get_content_type()
        if kind == "text/rfc822-headers":
            text = _content(part).decode("utf-8", "replace")
            yield from re.findall(r"^message-id:\s*<([^<>\s]+)>", text, re.IGNORECASE | re.MULTILINE)
        elif kind == "message/rfc822" and isinstance(part.get_payload(), list):
            for inner in part.get_payload():
                yield from (
                    re.findall(r"<([^<>\s]+)>", str(inner.get("message-id", ""))) if isinstance(inner, Message) else ()
                )
