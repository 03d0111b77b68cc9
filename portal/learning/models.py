"""What we remember of what there is to read: for whom it is, its words in each language and as they were before, who got
how far and what they said of it."""

from datetime import date, datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, Integer, String, text
from sqlalchemy.orm import Mapped, mapped_column

from portal.accounts.rules import Language
from portal.db import Base, By, Id, Key, Words, choice
from portal.learning.rules import Audience, Kind, compared


def _as_compared(context: Any) -> list[str]:
    return compared(context.get_current_parameters().get("plans") or ())


class Tutorial(Base):
    """A tutorial, an example of use or a piece of news. Those whom it is for find it while it is published."""

    __tablename__ = "tutorials"
    __table_args__ = (
        CheckConstraint("minutes > 0", name="takes_minutes"),
        Index(
            "ix_tutorials_in_order",
            "kind",
            "stage_key",
            "position",
            "slug",
            sqlite_where=text("published_at IS NOT NULL"),
            postgresql_where=text("published_at IS NOT NULL"),
        ),
        # Whatever was published since somebody looked at the news: little, while there is much news.
        Index("ix_tutorials_since", "kind", "published_at"),
    )

    id: Mapped[Id]
    slug: Mapped[Key] = mapped_column(unique=True)
    kind: Mapped[Kind] = mapped_column(choice(Kind, "kind"), default=Kind.TUTORIAL)
    stage_key: Mapped[Key]
    """The key of a stage in whichever pipeline has one: a new version of a pipeline keeps its tutorials. Empty: all of the road."""
    position: Mapped[int] = mapped_column(Integer)
    minutes: Mapped[int] = mapped_column(Integer)
    audience: Mapped[Audience] = mapped_column(choice(Audience, "audience"), default=Audience.EVERYONE)
    plans: Mapped[list[str]] = mapped_column(default=list)
    """Of accounts; empty: all plans."""
    for_plans: Mapped[list[str]] = mapped_column(default=_as_compared, server_default=text("'[]'"))
    """The same as plans are compared (`accounts.rules.folded`), since no database folds as we do."""
    happened_on: Mapped[date | None]
    """The day of a piece of news."""
    version: Mapped[int] = mapped_column(Integer, default=1)
    """Of its newest `TutorialVersion`; who saves says which one they started from."""
    created_at: Mapped[datetime]
    published_at: Mapped[datetime | None]
    changed_at: Mapped[datetime]
    """When a reader's view of it changed last: words, target, published or not (`learning.changes`)."""


class TutorialText(Base):
    """A tutorial's words in one language."""

    __tablename__ = "tutorial_texts"

    tutorial_id: Mapped[int] = mapped_column(ForeignKey("tutorials.id", ondelete="CASCADE"), primary_key=True)
    language: Mapped[Language] = mapped_column(choice(Language, "language"), primary_key=True)
    title: Mapped[Words]
    summary: Mapped[str] = mapped_column(String(300), default="")
    body: Mapped[str] = mapped_column(String(50_000))
    """Markdown."""
    who: Mapped[Words] = mapped_column(default="")
    """Of an example: who does it this way."""
    achieved: Mapped[str] = mapped_column(String(300), default="")
    """Of an example: what came of it."""
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
    part: Mapped[int] = mapped_column(Integer, default=0)
    """The furthest part read, from 1."""
    finished_at: Mapped[datetime | None]
    helped: Mapped[bool | None]
    told_at: Mapped[datetime | None]
    """When they said whether it helped."""
    words: Mapped[str] = mapped_column(String(2000), default="")
    """What was missing, if they said so."""


class TutorialVersion(Base):
    """All of one as it was saved once; the newest is what stands."""

    __tablename__ = "tutorial_versions"

    tutorial_id: Mapped[int] = mapped_column(ForeignKey("tutorials.id", ondelete="CASCADE"), primary_key=True)
    number: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    content: Mapped[dict[str, Any]]
    """`rules.Draft.as_json`."""
    by: Mapped[By]
    at: Mapped[datetime]
    restored_from: Mapped[int | None] = mapped_column(Integer)
    """The number of the older version that was brought back."""


class NewsSeen(Base):
    """When somebody looked at the news last; what was published since is new to them."""

    __tablename__ = "news_seen"

    contact_id: Mapped[int] = mapped_column(ForeignKey("contacts.id", ondelete="CASCADE"), primary_key=True)
    seen_at: Mapped[datetime]
