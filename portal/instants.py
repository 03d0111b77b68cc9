"""Instants in columns: aware and in UTC, on both databases."""

from datetime import UTC, datetime
from functools import lru_cache

from sqlalchemy import DateTime, Dialect
from sqlalchemy.types import TypeDecorator


class UtcDateTime(TypeDecorator[datetime]):
    """An instant: aware in, aware (UTC) out, on both databases; a naive one is refused."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("an instant needs a zone")
        value = value.astimezone(UTC)
        return value if dialect.name == "postgresql" else value.replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return (value if value.tzinfo else value.replace(tzinfo=UTC)).astimezone(UTC)


def in_utc(value: datetime | None) -> datetime | None:
    """As PostgreSQL's driver gives an instant."""
    if value is None or value.tzinfo is UTC:
        return value
    if value.tzinfo is None:
        raise ValueError("an instant needs a zone")
    return value.astimezone(UTC)


def as_text(value: datetime | None) -> str | None:
    """As SQLAlchemy writes an instant for SQLite."""
    if value is None:
        return None
    if value.tzinfo is None:
        raise ValueError("an instant needs a zone")
    # In UTC first: the two hours of a clock change are equal in their own zone.
    return _as_text(value if value.tzinfo is UTC else value.astimezone(UTC))


def as_text_with_zone(value: datetime | None) -> str | None:
    """As PostgreSQL takes an instant in a statement."""
    text = as_text(value)
    return None if text is None else f"{text}+00"


@lru_cache(maxsize=1000)
def _as_text(value: datetime) -> str:
    # One moment is written many times in a unit of work.
    return value.replace(tzinfo=None).isoformat(" ", "microseconds")


def from_text(value: str | None) -> datetime | None:
    """And back."""
    return None if value is None else datetime.fromisoformat(value).replace(tzinfo=UTC)
