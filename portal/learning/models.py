"""What we remember of tutorials: for which stage they are, their words in each language, and who got how far."""

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, Integer, String, text
from sqlalchemy.orm import Mapped, mapped_column

from portal.accounts.rules import Language
from portal.db import Base, Id, Key, Words, choice


class Tutorial(Base):
    """A tutorial for a stage of the journey. Readers find it while it is published."""

    __tablename__ = "tutorials"
    __table_args__ = (
        CheckConstraint("minutes > 0", name="takes_minutes"),
        Index(
            "ix_tutorials_published",
            "stage_key",
            "position",
            sqlite_where=text("published_at IS NOT NULL"),
            postgresql_where=text("published_at IS NOT NULL"),
        ),
    )

    id: Mapped[Id]
    slug: Mapped[Key] = mapped_column(unique=True)
    stage_key: Mapped[Key]
    """The key of a stage in whichever pipeline has one: a new version of a pipeline keeps its tutorials."""
    position: Mapped[int] = mapped_column(Integer)
    minutes: Mapped[int] = mapped_column(Integer)
    created_at: Mapped[datetime]
    published_at: Mapped[datetime | None]


class TutorialText(Base):
    """A tutorial's words in one language."""

    __tablename__ = "tutorial_texts"

    tutorial_id: Mapped[int] = mapped_column(ForeignKey("tutorials.id", ondelete="CASCADE"), primary_key=True)
    language: Mapped[Language] = mapped_column(choice(Language, "language"), primary_key=True)
    title: Mapped[Words]
    summary: Mapped[str] = mapped_column(String(300), default="")
    body: Mapped[str] = mapped_column(String(50_000))
    """Markdown."""
    fingerprint: Mapped[str] = mapped_column(String(64))
    """Of the words as they are now."""
    shipped: Mapped[str] = mapped_column(String(64), default="")
    """Of the words as we shipped them last; differs from `fingerprint` once somebody here has edited them."""
    changed_at: Mapped[datetime]


class TutorialProgress(Base):
    """How far one person got with one tutorial, in whichever language; one row, facts with their instants."""

    __tablename__ = "tutorial_progress"
    __table_args__ = (CheckConstraint("(helped IS NULL) = (told_at IS NULL)", name="told_when"),)

    contact_id: Mapped[int] = mapped_column(ForeignKey("contacts.id", ondelete="CASCADE"), primary_key=True)
    tutorial_id: Mapped[int] = mapped_column(
        ForeignKey("tutorials.id", ondelete="CASCADE"), primary_key=True, index=True
    )
    started_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]
    helped: Mapped[bool | None]
    told_at: Mapped[datetime | None]
    """When they said whether it helped."""
