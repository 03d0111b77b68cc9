"""The reader's own few dozen rows as lines of one statement.

A page of results is asked for with every letter that is typed: what each room would read for its own page is read here in
one round trip. Rooms give their lines in these columns (`own_lines`), the page puts them under each other (`united`), and
each room makes documents of what is its own.
"""

from collections.abc import Iterable
from datetime import date, datetime
from typing import Any, NamedTuple

from sqlalchemy import (
    BigInteger,
    CompoundSelect,
    Date,
    Select,
    String,
    cast,
    literal,
    null,
    select,
    type_coerce,
    union_all,
)

from portal.instants import UtcDateTime

_NOTHING = literal("", String)
_NO_NUMBER = cast(null(), BigInteger)
_NO_DAY = cast(null(), Date)
_NO_MOMENT = cast(null(), UtcDateTime)


class OwnLine(NamedTuple):
    """One line; what each column holds is known to the room that gave it. `part`: what it is a line of."""

    part: str
    id: int
    place: int
    key: str
    title: str
    more: str
    also: str
    day: date | None
    at: datetime | None


def line(
    part: str,
    *,
    id: Any,
    place: Any = _NO_NUMBER,
    key: Any = _NOTHING,
    title: Any = _NOTHING,
    more: Any = _NOTHING,
    also: Any = _NOTHING,
    day: Any = _NO_DAY,
    at: Any = _NO_MOMENT,
) -> Select[Any]:
    """A part's columns; the room says from where and which."""
    return select(
        literal(part, String).label("part"),
        id.label("id"),
        place.label("place"),
        type_coerce(key, String).label("key"),
        title.label("title"),
        more.label("more"),
        also.label("also"),
        day.label("day"),
        at.label("at"),
    )


def newest(lines: Select[Any], *order: Any, most: int) -> Select[Any]:
    """Only so many of them: a limit has to stand in a statement of its own to be united with others."""
    limited = lines.order_by(*order).limit(most).subquery()
    return select(*limited.c)


def united(parts: Iterable[Select[Any]]) -> CompoundSelect[Any]:
    """One statement of all."""
    return union_all(*parts)
