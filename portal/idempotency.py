"""The same call again does nothing again: results kept by `Idempotency-Key`, in the transaction that did the work.

Two at once need no "in progress": the second waits at the key's unique row until the first is done, and then finds its
result (PostgreSQL), or comes after it anyway (SQLite).
"""

from datetime import datetime, timedelta
from typing import Any, NamedTuple, cast

from sqlalchemy import CursorResult, ForeignKey, Index, Integer, String, Text, UniqueConstraint, delete, select, update
from sqlalchemy.orm import Mapped, Session, mapped_column

from portal.db import Base, Id, insert_for
from portal.errors import Refused

KEPT_FOR = timedelta(hours=24)


class IdempotencyKey(Base):
    """One call under a key of its token: what was asked, and what was answered."""

    __tablename__ = "idempotency_keys"
    __table_args__ = (UniqueConstraint("token_id", "key"), Index("ix_idempotency_keys_created_at", "created_at"))

    id: Mapped[Id]
    token_id: Mapped[int] = mapped_column(ForeignKey("api_tokens.id", ondelete="CASCADE"))
    key: Mapped[str] = mapped_column(String(200))
    asked: Mapped[str] = mapped_column(String(64))
    """Hash of method, path and body."""
    status: Mapped[int] = mapped_column(Integer, default=0)
    """0 only inside the transaction that does the work."""
    answer: Mapped[str] = mapped_column(Text, default="")
    created_at: Mapped[datetime]


class OtherCall(Refused):
    """The key was used for something else."""

    def __init__(self) -> None:
        super().__init__("This Idempotency-Key was used for another call. Take a new one for each.")


class Answered(NamedTuple):
    """What was answered the first time."""

    status: int
    answer: str


def begin(db: Session, *, token_id: int, key: str, asked: str, now: datetime) -> int | Answered:
    """Takes the key for this call and gives its row, or what was answered before. Errors: OtherCall."""
    fresh = {"asked": asked, "status": 0, "answer": "", "created_at": now}
    taken: int | None = db.scalar(
        insert_for(db, IdempotencyKey)
        .values(token_id=token_id, key=key, **fresh)
        .on_conflict_do_update(
            index_elements=["token_id", "key"], set_=fresh, where=IdempotencyKey.created_at <= now - KEPT_FOR
        )
        .returning(IdempotencyKey.id)
    )
    if taken is not None:
        return taken
    known = db.execute(
        select(IdempotencyKey.asked, IdempotencyKey.status, IdempotencyKey.answer).where(
            IdempotencyKey.token_id == token_id, IdempotencyKey.key == key
        )
    ).one()
    if known.asked != asked:
        raise OtherCall
    return Answered(known.status, known.answer)


def keep(db: Session, row_id: int, *, status: int, answer: str) -> None:
    """Keeps what was answered."""
    db.execute(update(IdempotencyKey).where(IdempotencyKey.id == row_id).values(status=status, answer=answer))


def forget_old_keys(db: Session, now: datetime) -> int:
    """Deletes what nobody may repeat any more; gives how many."""
    done = db.execute(delete(IdempotencyKey).where(IdempotencyKey.created_at <= now - KEPT_FOR))
    return cast("CursorResult[Any]", done).rowcount
