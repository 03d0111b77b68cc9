"""JSON from outside, read to the letter (RFC 8259): UTF-8, no NaN, no name twice, no endless nesting, numbers kept exact."""

import json
from decimal import Decimal
from typing import Any

from portal.errors import Invalid
from portal.text import FORBIDDEN


class NotJson(Invalid):
    """What came is no JSON, or JSON that means different things to different readers."""

    def __init__(self, message: str) -> None:
        super().__init__({"": message})


def read(body: bytes) -> Any:
    """The value. Fractions are Decimals. Errors: NotJson with what is wrong."""
    try:
        return json.loads(
            body.decode("utf-8"), object_pairs_hook=_object, parse_constant=_no_number, parse_float=_exact
        )
    except UnicodeDecodeError as wrong:
        raise NotJson("The body is not UTF-8.") from wrong
    except RecursionError as wrong:
        raise NotJson("The body is nested too deeply.") from wrong
    except ValueError as wrong:  # malformed, or a whole number of thousands of digits
        raise NotJson("The body is not valid JSON.") from wrong


def canonical(content: Any) -> str:
    """One spelling for all spellings of the same value, to compare by. Errors: NotJson where it is nested too deeply."""
    try:
        return json.dumps(content, sort_keys=True, default=str)
    except RecursionError as wrong:
        raise NotJson("The body is nested too deeply.") from wrong


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise NotJson("A name stands twice in the same object.")
    if any(FORBIDDEN.search(name) for name in found):
        raise NotJson("A name holds characters that no name needs.")
    return found


def _no_number(name: str) -> Any:
    raise NotJson("NaN and Infinity are no JSON.")


def _exact(digits: str) -> Decimal:
    number = Decimal(digits)
    if not -50 < number.adjusted() < 50:
        raise NotJson("A number is out of all proportion.")
    return number
