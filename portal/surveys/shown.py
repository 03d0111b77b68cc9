"""The seal that a survey's form carries: when it was shown, to which kind of request, and what was filled in already.

It can be read only with our key and for its own invitation, so it is evidence that nothing had to be stored for.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from hashlib import sha256

from portal import links
from portal.surveys.rules import Answers, Reader, Shown

_FORM = "survey_form"
"""The purpose that forms are sealed for."""
_NOTHING = "-"


def seal(secret_key: str, invitation_id: int, shown: Shown) -> str:
    """The form's hidden field."""
    milliseconds = int(shown.at.timestamp() * 1000)
    told = "_".join((str(milliseconds), shown.nonce, shown.reader, shown.filled))
    return f"{told}.{_mac(secret_key, invitation_id, told)}"


def read(secret_key: str, invitation_id: int, sealed: str) -> Shown | None:
    """What the field says; None where it is not ours, or another invitation's."""
    told, _, mac = sealed[:300].rpartition(".")
    if not mac or not links.is_sealed(f"{invitation_id}.{mac}", secret_key, _FORM, told):
        return None
    milliseconds, nonce, reader, filled = told.split("_")
    return Shown(datetime.fromtimestamp(int(milliseconds) / 1000, UTC), nonce, Reader(reader), filled)


def _mac(secret_key: str, invitation_id: int, told: str) -> str:
    return links.seal(secret_key, _FORM, invitation_id, told).partition(".")[2]


def digest(answers: Answers) -> str:
    """What was filled in, short; `-` where nothing was."""
    if answers == Answers():
        return _NOTHING
    return sha256(repr(answers).encode("utf-8", "replace")).hexdigest()[:16]


def is_untouched(shown: Shown | None, answers: Answers) -> bool:
    """Whether exactly what was filled in already was sent."""
    return shown is not None and shown.filled != _NOTHING and shown.filled == digest(answers)


def reader_of(method: str, headers: Mapping[str, str]) -> Reader:
    """Which kind of request asks for the form (`Sec-Purpose`: wicg.github.io/nav-speculation)."""
    if method == "HEAD":
        return Reader.HEAD
    purpose = " ".join(headers.get(name, "") for name in ("sec-purpose", "purpose", "x-purpose", "x-moz"))
    if "prefetch" in purpose or "prerender" in purpose or "preview" in purpose:
        return Reader.PREFETCH
    # Every browser of the last years sends it, but over plain http, where only the accepted types are left to tell.
    looks_like_a_page = headers.get("sec-fetch-dest") == "document" or "text/html" in headers.get("accept", "")
    return Reader.BROWSER if looks_like_a_page else Reader.TOOL


def is_blank(shown: Shown) -> bool:
    """Whether nothing was filled in when it was shown."""
    return shown.filled == _NOTHING
