"""What we remember of messages: one thread an account, who read how far, what came along, and every mail that came in."""

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from portal.db import Base, Id, Key, Prose, choice
from portal.messages.rules import Became, Via


class Thread(Base):
    """The conversation of an account with us. Whoever writes holds its row, so that ids rise in the order of time."""

    __tablename__ = "threads"

    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"), primary_key=True)
    last_at: Mapped[datetime]
    last_from_customer_id: Mapped[int] = mapped_column(default=0)
    """The newest message of a customer; 0: none yet. As the next one, so that counting unread threads reads no message."""
    last_from_staff_id: Mapped[int] = mapped_column(default=0)


class Message(Base):
    """What one person wrote; never changed."""

    __tablename__ = "messages"
    __table_args__ = (
        CheckConstraint("(contact_id IS NULL) <> (staff_id IS NULL)", name="one_author"),
        Index("ix_messages_account_id", "account_id", "id"),
        Index("ix_messages_journey_id", "journey_id", "id"),
    )

    id: Mapped[Id]
    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"))
    journey_id: Mapped[int | None]
    contact_id: Mapped[int | None] = mapped_column(ForeignKey("contacts.id", ondelete="CASCADE"))
    staff_id: Mapped[int | None] = mapped_column(ForeignKey("staff.id"))
    at: Mapped[datetime]
    via: Mapped[Via] = mapped_column(choice(Via, "via"))
    text: Mapped[Prose]
    original: Mapped[str] = mapped_column(Text, default="")
    """A mail's whole text, where `text` is less: what was quoted, the signature."""
    left_out: Mapped[list[str]] = mapped_column(default=list)
    """Names of files that came along and weren't kept."""
    key: Mapped[Key] = mapped_column(unique=True)
    """Of the form that was sent, or of the mail: the same thing sent twice is one message."""
    message_id: Mapped[str] = mapped_column(String(200), default="")
    """As mail knows it, for what came by mail."""

    @property
    def by(self) -> str:
        return f"contact:{self.contact_id}" if self.contact_id is not None else f"staff:{self.staff_id}"


class Attachment(Base):
    """A picture or file that came along with a message."""

    __tablename__ = "message_attachments"

    message_id: Mapped[int] = mapped_column(ForeignKey("messages.id", ondelete="CASCADE"), primary_key=True)
    medium_id: Mapped[int] = mapped_column(ForeignKey("media.id", ondelete="CASCADE"), primary_key=True, index=True)


class ReadMark(Base):
    """How far somebody has read an account's thread."""

    __tablename__ = "read_marks"
    __table_args__ = (
        CheckConstraint("(contact_id IS NULL) <> (staff_id IS NULL)", name="one_reader"),
        UniqueConstraint("account_id", "contact_id"),
        UniqueConstraint("account_id", "staff_id"),
    )

    id: Mapped[Id]
    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"))
    contact_id: Mapped[int | None] = mapped_column(ForeignKey("contacts.id", ondelete="CASCADE"), index=True)
    staff_id: Mapped[int | None] = mapped_column(ForeignKey("staff.id", ondelete="CASCADE"), index=True)
    read_id: Mapped[int]
    """The newest message that they have seen."""
    at: Mapped[datetime]


class IncomingMail(Base):
    """A mail that came in, whatever became of it. The words of those that are no message are kept only where staff may
    want to read them: from an address that we don't know."""

    __tablename__ = "incoming_mails"
    __table_args__ = (
        Index("ix_incoming_mails_account_id", "account_id", "received_at"),
        Index("ix_incoming_mails_sender", "sender", "received_at"),
    )

    id: Mapped[Id]
    key: Mapped[Key] = mapped_column(unique=True)
    """Its Message-ID, sender and thread as a hash: the same mail delivered twice is one."""
    received_at: Mapped[datetime]
    sender: Mapped[str] = mapped_column(String(40), default="")
    """`contact:7` or `staff:3`, whose address it was sent to as an answer; empty where it was nobody's."""
    account_id: Mapped[int | None] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"))
    from_email: Mapped[str] = mapped_column(String(254), default="")
    subject: Mapped[str] = mapped_column(String(200), default="")
    text: Mapped[str] = mapped_column(Text, default="")
    became: Mapped[Became] = mapped_column(choice(Became, "became"))
    message_id: Mapped[int | None] = mapped_column(ForeignKey("messages.id", ondelete="CASCADE"), index=True)
    put_away_at: Mapped[datetime | None]
    """When staff had read what came from an unknown address."""
