"""Text from outside: NFC, no NUL, no lone surrogates, no control characters, a length. One type for forms, files and API."""

import re
import unicodedata
from typing import Annotated

from pydantic import AfterValidator, StringConstraints

from portal.errors import N_

FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff\u202a-\u202e\u2066-\u2069]")


def clean(value: str) -> str:
    """The text as we keep it: NFC, Unix line ends, trimmed.

    Errors: ValueError (a sentence) for characters that no text needs and databases or screens choke on.
    """
    if FORBIDDEN.search(value):
        raise ValueError(N_("Please remove the invisible control characters."))
    return unicodedata.normalize("NFC", value.replace("\r\n", "\n").replace("\r", "\n")).strip()


def clean_line(value: str) -> str:
    """The same on one line."""
    return re.sub(r"\s+", " ", clean(value))


Line = Annotated[str, AfterValidator(clean_line), StringConstraints(max_length=200)]
"""One line: a name, a title."""
RequiredLine = Annotated[str, AfterValidator(clean_line), StringConstraints(min_length=1, max_length=200)]
Paragraphs = Annotated[str, AfterValidator(clean), StringConstraints(max_length=10_000)]
"""Free text of several lines."""
