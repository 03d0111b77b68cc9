"""Files of won deals: what was uploaded, what becomes of each of its lines, and by which numbers a customer is known again."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import ForeignKey, Index, Integer, LargeBinary, String, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from portal.db import Base, By, Id, Words, choice


class Became(StrEnum):
    """What becomes of a line: as planned, then as it happened."""

    CREATED = "created"
    UPDATED = "updated"
    UNCHANGED = "unchanged"
    JOINED = "joined"
    """A further contact of the customer in an earlier line."""
    DUPLICATE = "duplicate"
    REFUSED = "refused"


class KnownBy(StrEnum):
    """What kind of number a customer is known by."""

    DEAL = "deal"
    COMPANY = "company"
    """A tax number that proves one company."""
    PERSON = "person"
    """A company's name together with one person's address or phone."""


class DealImport(Base):
    """One file. Draft until it is confirmed; then carried out line by line, and finished."""

    __tablename__ = "deal_imports"

    id: Mapped[Id]
    file_name: Mapped[Words]
    content: Mapped[bytes] = mapped_column(LargeBinary, deferred=True)
    """The file, compressed; emptied once nobody can change its columns any more."""
    by: Mapped[By]
    staff_id: Mapped[int | None] = mapped_column(ForeignKey("staff.id"))
    """Who hears how it ended; None: started from a shell."""
    uploaded_at: Mapped[datetime]
    mapping: Mapped[dict[str, Any]] = mapped_column(default=dict)
    """What each column means, by its number from 0; empty: as guessed."""
    date_order: Mapped[str] = mapped_column(String(20), default="")
    version: Mapped[int] = mapped_column(Integer, default=1)
    """Counts the readings: what is confirmed has to be what was seen."""
    reading: Mapped[dict[str, Any]] = mapped_column(default=dict)
    """How the file was read, for people; see `importing.Facts`."""
    trouble: Mapped[dict[str, Any]] = mapped_column(default=dict)
    """Why it can't be read with these columns: message and values; empty if it can."""
    planned_at: Mapped[datetime | None]
    confirmed_at: Mapped[datetime | None]
    confirmed_by: Mapped[str] = mapped_column(String(120), default="")
    use_after_days: Mapped[int] = mapped_column(Integer, default=7)
    finished_at: Mapped[datetime | None]
    counts: Mapped[dict[str, Any]] = mapped_column(default=dict)
    """How many lines became what; written at the end."""


class ImportLine(Base):
    """One line of a file: what is to become of it, and what became of it once it no longer waits."""

    __tablename__ = "deal_import_lines"
    __table_args__ = (
        UniqueConstraint("import_id", "line"),
        Index("ix_deal_import_lines_became", "import_id", "became", "line"),
        Index(
            "ix_deal_import_lines_waiting",
            "import_id",
            "line",
            sqlite_where=text("waiting"),
            postgresql_where=text("waiting"),
        ),
    )

    id: Mapped[Id]
    import_id: Mapped[int] = mapped_column(ForeignKey("deal_imports.id", ondelete="CASCADE"))
    line: Mapped[int] = mapped_column(Integer)
    became: Mapped[Became] = mapped_column(choice(Became, "became"))
    waiting: Mapped[bool]
    """Whether it is still to be carried out."""
    of_line: Mapped[int | None] = mapped_column(Integer)
    """The line of the customer whom this one is about as well."""
    account_id: Mapped[int | None] = mapped_column(ForeignKey("accounts.id", ondelete="SET NULL"))
    company: Mapped[Words]
    deal: Mapped[dict[str, Any]] = mapped_column(default=dict)
    """What is to be taken in; emptied once it is."""
    cells: Mapped[list[str]] = mapped_column(default=list)
    """The line as it stands in the file, to be given back for mending; emptied where nothing is to be mended."""
    findings: Mapped[list[dict[str, Any]]] = mapped_column(default=list)
    """What is wrong with it or should be looked at: column, message (a msgid), values."""
    has_cautions: Mapped[bool] = mapped_column(default=False)


class DealNumber(Base):
    """A number by which a later file knows a customer again, also one that was merged into them."""

    __tablename__ = "deal_numbers"
    __table_args__ = (Index("ix_deal_numbers_account_id", "account_id"),)

    kind: Mapped[KnownBy] = mapped_column(choice(KnownBy, "kind"), primary_key=True)
    number: Mapped[str] = mapped_column(String(120), primary_key=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"))
    fingerprint: Mapped[str] = mapped_column(String(64), default="")
    """Of the deal as it was last taken in under this number: the same again changes nothing."""
    marks: Mapped[dict[str, Any]] = mapped_column(default=dict)
    """A hash of each of its fields: only what is new in the file goes over what people corrected here since."""
