"""The values that every call speaks: days, money, texts, ids, lists and problems. Times are RFC 3339 in UTC.

Sentences are English and in no catalogue: the API speaks to programs, and to those who write them.
"""

import re
from collections.abc import Callable, Sequence
from datetime import date
from decimal import Decimal
from typing import Annotated, Any, Generic, TypeVar

from fastapi import Path
from itsdangerous import BadData, URLSafeSerializer
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    StrictBool,
    StrictInt,
    StringConstraints,
    WithJsonSchema,
    model_validator,
)
from starlette.responses import Response

from portal.accounts.deal_values import CURRENCIES
from portal.deps import AskOfApi
from portal.errors import Invalid
from portal.text import clean, clean_line

__all__ = ["StrictBool", "StrictInt"]


class Shape(BaseModel):
    """What comes in or goes out. Fields that it doesn't have are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def _day(value: object) -> object:
    # Pydantic would also take seconds since 1970, and a time at midnight.
    if isinstance(value, date) or value is None:
        return value
    if isinstance(value, str) and re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", value):
        return value
    raise ValueError("Give a date as YYYY-MM-DD.")


def _amount(value: object) -> object:
    if isinstance(value, Decimal) or (isinstance(value, int) and not isinstance(value, bool)):
        value = format(value, "f") if isinstance(value, Decimal) else str(value)
    if isinstance(value, str) and re.fullmatch(r"[0-9]{1,12}(\.[0-9]{1,2})?", value):
        return Decimal(value)
    raise ValueError('Give an amount of at least 0 with at most two decimals, such as "1200.00".')


def _currency(value: str) -> str:
    if value not in CURRENCIES:
        raise ValueError("Give a currency's three letters, such as BRL.")
    return value


def _blank(value: object) -> object:
    return None if isinstance(value, str) and not value.strip() else value


Day = Annotated[date, BeforeValidator(_day)]
Blank = BeforeValidator(_blank)
"""An empty text counts as not given."""
Reason = Annotated[str, AfterValidator(clean_line), StringConstraints(min_length=1, max_length=500)]
Note = Annotated[str, AfterValidator(clean), StringConstraints(max_length=10_000)]
RequiredNote = Annotated[str, AfterValidator(clean), StringConstraints(min_length=1, max_length=10_000)]
RowId = Annotated[int, Path(ge=1, le=2**62), WithJsonSchema({"type": "string"})]
"""A row's id in a path; to callers an opaque text."""


class Money(Shape):
    """An amount and its currency."""

    amount: Annotated[
        Decimal,
        BeforeValidator(_amount),
        PlainSerializer(lambda amount: f"{amount:.2f}", return_type=str),
        WithJsonSchema({"type": "string", "pattern": r"^[0-9]{1,12}(\.[0-9]{1,2})?$", "examples": ["1200.00"]}),
    ]
    currency: Annotated[str, StringConstraints(max_length=3), AfterValidator(_currency)]


class FieldProblem(Shape):
    field: str
    message: str


class Problem(Shape):
    """An error (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str
    errors: list[FieldProblem] | None = None


# Lists

Item = TypeVar("Item", bound=BaseModel)
Row = TypeVar("Row")


class Listing(Shape, Generic[Item]):
    """A part of a list, and where the next one begins."""

    items: list[Item]
    next_cursor: str | None = Field(description="Give it back as `cursor`; null at the end.")


class Wanted(Shape):
    """Which part of a list. An empty parameter counts as not given."""

    limit: Annotated[int, Field(ge=1, le=200)] = 50
    cursor: Annotated[str, StringConstraints(max_length=300)] | None = None

    @model_validator(mode="before")
    @classmethod
    def _without_blanks(cls, given: Any) -> Any:
        return {name: value for name, value in given.items() if value != ""} if isinstance(given, dict) else given


def after(ask: AskOfApi, wanted: Wanted, *, places: int = 1) -> tuple[int, ...]:
    """Where the list goes on: the ids behind the cursor; zeros at its beginning. Errors: Invalid for a cursor not ours."""
    if wanted.cursor is None:
        return (0,) * places
    try:
        found = _signer(ask).loads(wanted.cursor)
    except BadData as wrong:
        raise Invalid({"cursor": "Give a next_cursor of this list."}) from wrong
    return tuple(int(place) for place in found)


def listing(
    ask: AskOfApi,
    wanted: Wanted,
    rows: Sequence[Row],
    *,
    told: Callable[[Row], Item],
    place: Callable[[Row], tuple[int, ...]],
) -> Response:
    """The list of rows, of which one more than wanted was read if there is more."""
    shown = rows[: wanted.limit]
    following = str(_signer(ask).dumps(place(shown[-1]))) if len(rows) > len(shown) else None
    return ask.json(Listing(items=[told(row) for row in shown], next_cursor=following))


def _signer(ask: AskOfApi) -> URLSafeSerializer:
    return URLSafeSerializer(ask.house.secret, salt=f"cursor:{ask.path}")


def row_id(text: str | None) -> int | None:
    """The row behind an opaque id that narrows a list; one that can't be ours is 0, which no row has."""
    if text is None:
        return None
    return int(text) if re.fullmatch(r"[1-9][0-9]{0,17}", text) else 0
