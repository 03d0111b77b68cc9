"""What we remember for searching: what can be found, by whom, and the parts by which a misspelt word is recognised.

Beside these stands `search_index`, each database's own full-text index by one name: a virtual FTS5 table on SQLite, a table
of `tsvector`s under GIN on PostgreSQL. It is made by its migration and known to no model (migrations/env.py leaves it out).
"""

from sqlalchemy import Index, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from portal.db import Base, Id, Key, Words


class SearchDocument(Base):
    """One thing to be found, in one language, by one audience."""

    __tablename__ = "search_documents"
    __table_args__ = (UniqueConstraint("kind", "ref", "language", "audience"),)

    id: Mapped[Id]
    kind: Mapped[Key]
    """A word of `rules.Kind`; no closed set here, so that a new source needs no migration."""
    ref: Mapped[Key]
    language: Mapped[str] = mapped_column(String(10))
    audience: Mapped[Key]
    """`everybody`, `plan:growth`, `account:12`, `contact:7`."""
    title: Mapped[Words]
    text: Mapped[str] = mapped_column(Text)
    folded: Mapped[str] = mapped_column(Text)
    """The text without case and accents, each character in its place: what a page of results looks for words in."""
    path: Mapped[str] = mapped_column(String(300))
    place: Mapped[Key] = mapped_column(default="")
    names: Mapped[str] = mapped_column(String(500), default="")
    fingerprint: Mapped[str] = mapped_column(String(64))


class SearchSpelling(Base):
    """A word, and a part that remains of it when letters are taken out (`rules.parts`).

    Words stay when their last document goes, until the index is made anew: a spelling is only ever a guess that is looked
    up in what the reader may see, and shown when something of theirs has it.
    """

    __tablename__ = "search_spellings"
    __table_args__ = (Index("ix_search_spellings_word", "word"), {"sqlite_with_rowid": False})

    part: Mapped[str] = mapped_column(String(7), primary_key=True)
    word: Mapped[str] = mapped_column(String(40), primary_key=True)
