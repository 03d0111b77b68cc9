"""What we remember of surveys: what was asked, whom we invited, what they answered."""

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, Integer, String, UniqueConstraint, false, text
from sqlalchemy.orm import Mapped, mapped_column

from portal.db import Base, By, Id, Key, Prose, Words, choice
from portal.journeys.rules import Outcome
from portal.surveys.rules import (
    OPEN_DAYS,
    Provenance,
    QuarantineEnd,
    ShownAs,
    SurveyPurpose,
    does_by_default,
    stored_does,
)

COUNTED = "quarantined_at IS NULL AND superseded_at IS NULL"
COMMENTED = f"{COUNTED} AND comment <> ''"


class Survey(Base):
    """A survey as it was at one version; an invitation keeps the version it asked."""

    __tablename__ = "surveys"
    __table_args__ = (UniqueConstraint("key", "version"), CheckConstraint("minutes > 0", name="minutes"))

    id: Mapped[Id]
    key: Mapped[Key]
    version: Mapped[int] = mapped_column(Integer)
    name_en: Mapped[Words]
    name_pt: Mapped[Words]
    questions: Mapped[list[dict[str, Any]]]
    """As `surveys.shipped` writes them: key, kind, and the words in both languages."""
    thresholds: Mapped[dict[str, Any]]
    minutes: Mapped[int] = mapped_column(Integer)
    """How long it takes; said before it begins."""
    created_at: Mapped[datetime]
    purpose: Mapped[SurveyPurpose] = mapped_column(
        choice(SurveyPurpose, "purpose"), default=SurveyPurpose.FOLLOW_UP, server_default=text("'follow_up'")
    )
    is_anonymous: Mapped[bool] = mapped_column(default=False, server_default=false())
    does: Mapped[dict[str, Any]] = mapped_column(
        default=lambda: stored_does(does_by_default()), server_default=text("'{}'")
    )
    """What each verdict sets going: values of `rules.Then` by `rules.Verdict`."""
    closes_after_days: Mapped[int] = mapped_column(Integer, default=OPEN_DAYS, server_default=text("21"))
    intro_en: Mapped[str] = mapped_column(String(600), default="", server_default=text("''"))
    intro_pt: Mapped[str] = mapped_column(String(600), default="", server_default=text("''"))
    thanks_en: Mapped[str] = mapped_column(String(600), default="", server_default=text("''"))
    thanks_pt: Mapped[str] = mapped_column(String(600), default="", server_default=text("''"))


class SurveySketch(Base):
    """What an administrator is writing: the next version of a survey, or one that isn't there yet. Nobody is asked it."""

    __tablename__ = "survey_sketches"

    key: Mapped[Key] = mapped_column(primary_key=True)
    version_from: Mapped[int | None] = mapped_column(Integer)
    """The version that it was begun from; None: a survey that was never published."""
    saves: Mapped[int] = mapped_column(Integer)
    """Counts up with each save: who saves over something they haven't seen is told so."""
    form: Mapped[dict[str, Any]]
    """All columns of the version to be, as `stored.stored_form` writes them."""
    saved_at: Mapped[datetime]
    saved_by: Mapped[By]


class RetiredSurvey(Base):
    """A survey that is sent no more. Its rounds that run go on, and its answers stay."""

    __tablename__ = "retired_surveys"

    key: Mapped[Key] = mapped_column(primary_key=True)
    retired_at: Mapped[datetime]
    retired_by: Mapped[By]


def _of_its_day(context: Any) -> str:
    """What an invitation is about that says no more than its day (`moments.of_contact`)."""
    return f"day:{context.get_current_parameters()['day']}"


class Invitation(Base):
    """One person asked once about one thing: a contact of the plan, a meeting, a pulse. Sent by mail, or suppressed with the
    reason why."""

    __tablename__ = "invitations"
    __table_args__ = (
        UniqueConstraint("journey_id", "day", "contact_id"),
        Index("uq_invitations_occasion", "journey_id", "occasion", "contact_id", unique=True),
        CheckConstraint("(suppressed_at IS NULL) = (why = '')", name="suppressed_with_why"),
        CheckConstraint("sent_at IS NULL OR suppressed_at IS NULL", name="sent_or_suppressed"),
        CheckConstraint("(sent_at IS NULL AND suppressed_at IS NULL) OR expires_at IS NOT NULL", name="closes"),
        Index("ix_invitations_contact_id", "contact_id"),
        Index("ix_invitations_account_id", "account_id"),
        Index("ix_invitations_survey_id", "survey_id", "sent_at", "id", "expires_at"),
        Index("ix_invitations_open", "survey_id", "expires_at"),
    )

    id: Mapped[Id]
    survey_id: Mapped[int] = mapped_column(ForeignKey("surveys.id"))
    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id"))
    journey_id: Mapped[int] = mapped_column(ForeignKey("journeys.id"))
    contact_id: Mapped[int] = mapped_column(ForeignKey("contacts.id"))
    day: Mapped[int | None] = mapped_column(Integer)
    """The follow-up contact it belongs to: 30, 60, 90; None: it belongs to none."""
    occasion: Mapped[Key] = mapped_column(default=_of_its_day, server_default=text("''"))
    """What it is about: `day:30`, `meeting:17`, `pulse:2026-11-28` (`surveys.moments`)."""
    nonce: Mapped[str] = mapped_column(String(40))
    """What the mail's link is derived from (`portal.links`); a new one revokes it."""
    planned_at: Mapped[datetime]
    sent_at: Mapped[datetime | None]
    suppressed_at: Mapped[datetime | None]
    why: Mapped[str] = mapped_column(String(40), default="")
    """A key of `rules.WHY_NOT`."""
    expires_at: Mapped[datetime | None]
    opened_at: Mapped[datetime | None]
    """When the form was first shown to the person who then sent it, as it said itself; no GET writes it."""


class AnswerRow(Base):
    """What somebody answered. At most one answer of an invitation counts; kept beside it are earlier versions and what
    is in quarantine."""

    __tablename__ = "answers"
    __table_args__ = (
        Index(
            "uq_answers_counted",
            "invitation_id",
            unique=True,
            sqlite_where=text(COUNTED),
            postgresql_where=text(COUNTED),
        ),
        # The same form sent again is the same answer, whatever became of it.
        Index("uq_answers_form", "invitation_id", "form_nonce", unique=True),
        CheckConstraint("csat BETWEEN 1 AND 5", name="csat"),
        CheckConstraint("nps BETWEEN 0 AND 10", name="nps"),
        Index("ix_answers_journey_id", "journey_id"),
        Index("ix_answers_account_id", "account_id", "submitted_at"),
        Index("ix_answers_submitted_at", "submitted_at"),
        # All that figures need, the two columns of its own condition too (SQLite looks them up in the table otherwise).
        Index(
            "ix_answers_figures",
            *("submitted_at", "invitation_id", "nps", "csat", "wants_help", "quarantined_at", "superseded_at"),
            sqlite_where=text(COUNTED),
            postgresql_where=text(COUNTED),
        ),
        Index(
            "ix_answers_comments",
            *("id", "submitted_at", "invitation_id"),
            sqlite_where=text(COMMENTED),
            postgresql_where=text(COMMENTED),
        ),
    )

    id: Mapped[Id]
    invitation_id: Mapped[int] = mapped_column(ForeignKey("invitations.id"))
    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id"))
    journey_id: Mapped[int] = mapped_column(ForeignKey("journeys.id"))
    contact_id: Mapped[int] = mapped_column(ForeignKey("contacts.id"))
    day: Mapped[int | None] = mapped_column(Integer)
    csat: Mapped[int | None] = mapped_column(Integer)
    nps: Mapped[int | None] = mapped_column(Integer)
    comment: Mapped[Prose] = mapped_column(default="")
    wants_help: Mapped[bool | None]
    others: Mapped[dict[str, Any]] = mapped_column(default=dict, server_default=text("'{}'"))
    """Answers to questions without a column of their own, by the question's key."""
    outcome: Mapped[Outcome | None] = mapped_column(choice(Outcome, "outcome"))
    """As the survey's thresholds had it when it came; None: it says nothing either way."""
    provenance: Mapped[Provenance] = mapped_column(choice(Provenance, "provenance"))
    by: Mapped[By]
    submitted_at: Mapped[datetime]
    evidence: Mapped[dict[str, Any]] = mapped_column(default=dict)
    """What tells people from machines: browser, when the form was shown and to what. Never an address."""
    form_nonce: Mapped[str | None] = mapped_column(String(40))
    """Which form was sent; None where there was none (phone)."""
    quarantined_at: Mapped[datetime | None]
    superseded_at: Mapped[datetime | None]
    """When the person changed it: a later version counts instead."""


class Quarantine(Base):
    """Why an answer was set aside, whether the person was asked, and what became of it. It has no effect on anything."""

    __tablename__ = "quarantines"
    __table_args__ = (
        CheckConstraint("(ended_at IS NULL) = (how IS NULL)", name="ended_somehow"),
        Index(
            "ix_quarantines_open",
            "answer_id",
            sqlite_where=text("ended_at IS NULL"),
            postgresql_where=text("ended_at IS NULL"),
        ),
    )

    answer_id: Mapped[int] = mapped_column(ForeignKey("answers.id", ondelete="CASCADE"), primary_key=True)
    signs: Mapped[list[str]]
    """Values of `rules.Sign`."""
    asked_at: Mapped[datetime | None]
    """When we last asked the person by mail whether it is theirs."""
    asked_by: Mapped[By] = mapped_column(default="")
    ended_at: Mapped[datetime | None]
    ended_by: Mapped[By] = mapped_column(default="")
    how: Mapped[QuarantineEnd | None] = mapped_column(choice(QuarantineEnd, "how"))


class Draft(Base):
    """What somebody has typed into a survey's form and not sent yet. It never counts, and goes once they send."""

    __tablename__ = "survey_drafts"

    invitation_id: Mapped[int] = mapped_column(ForeignKey("invitations.id", ondelete="CASCADE"), primary_key=True)
    typed: Mapped[dict[str, Any]]
    saved_at: Mapped[datetime]


class AnswerTag(Base):
    """A word that a colleague put on a comment, to find it again among others like it."""

    __tablename__ = "answer_tags"
    __table_args__ = (Index("ix_answer_tags_folded", "folded"),)

    answer_id: Mapped[int] = mapped_column(ForeignKey("answers.id", ondelete="CASCADE"), primary_key=True)
    folded: Mapped[str] = mapped_column(String(80), primary_key=True)
    """Without case and accents: `Preço` and `preco` are one tag."""
    tag: Mapped[str] = mapped_column(String(40))
    """As it was first written."""
    at: Mapped[datetime]
    by: Mapped[By]


class Quote(Base):
    """Somebody's words that we asked to show others, and what they said to that. Only with a consent that stands may they
    be shown: with exactly these words, under the name that the person chose."""

    __tablename__ = "quotes"
    __table_args__ = (
        CheckConstraint("(consented_at IS NULL) = (shown_as IS NULL)", name="consented_somehow"),
        CheckConstraint("consented_at IS NULL OR consent <> ''", name="consented_to_words"),
        CheckConstraint("declined_at IS NULL OR consented_at IS NULL", name="declined_or_consented"),
        CheckConstraint("withdrawn_at IS NULL OR consented_at IS NOT NULL", name="withdrawn_after_consent"),
        Index("ix_quotes_contact_id", "contact_id", "asked_at"),
        Index("ix_quotes_account_id", "account_id"),
    )

    id: Mapped[Id]
    answer_id: Mapped[int] = mapped_column(ForeignKey("answers.id", ondelete="CASCADE"), unique=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"))
    contact_id: Mapped[int] = mapped_column(ForeignKey("contacts.id", ondelete="CASCADE"))
    words: Mapped[str] = mapped_column(String(1000))
    """A part of their comment, or all of it, letter for letter."""
    nonce: Mapped[str] = mapped_column(String(40))
    asked_at: Mapped[datetime]
    asked_by: Mapped[By]
    consented_at: Mapped[datetime | None]
    consent: Mapped[str] = mapped_column(String(500), default="")
    """The sentence they agreed to, as they read it."""
    shown_as: Mapped[ShownAs | None] = mapped_column(choice(ShownAs, "shown_as"))
    declined_at: Mapped[datetime | None]
    withdrawn_at: Mapped[datetime | None]

    @property
    def may_be_shown(self) -> bool:
        return self.consented_at is not None and self.withdrawn_at is None
