"""What we remember of referrals: the programme, links, invitations, friends, prompts. States are read from instants.

A friend's address is kept in two places only: in the waiting letter, which forgets it once sent, and in what friends
leave themselves. Everything else knows a keyed hash.
"""

from datetime import datetime

from sqlalchemy import Boolean, CheckConstraint, ForeignKey, Index, Integer, String, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from portal.accounts.rules import Language
from portal.db import Base, By, Id, Key, Prose, Words, choice
from portal.referrals.rules import Facts, Refusal, Result, Why, Withheld


class Programme(Base):
    """What both sides get and on which terms. One is current; those that referrals were made under are kept."""

    __tablename__ = "referral_programmes"
    __table_args__ = (
        Index(
            "uq_referral_programmes_current",
            "is_current",
            unique=True,
            sqlite_where=text("is_current"),
            postgresql_where=text("is_current"),
        ),
    )

    id: Mapped[Id]
    is_current: Mapped[bool] = mapped_column(Boolean)
    headline_en: Mapped[Words]
    headline_pt: Mapped[Words]
    friend_gets_en: Mapped[Words]
    friend_gets_pt: Mapped[Words]
    referrer_gets_en: Mapped[Words]
    referrer_gets_pt: Mapped[Words]
    terms_en: Mapped[Prose]
    """One term a line."""
    terms_pt: Mapped[Prose]
    created_at: Mapped[datetime]
    created_by: Mapped[By]


class ReferralLink(Base):
    """A contact's own link to share. It is made when they have seen the terms and ask for it."""

    __tablename__ = "referral_links"

    id: Mapped[Id]
    contact_id: Mapped[int] = mapped_column(ForeignKey("contacts.id", ondelete="CASCADE"), unique=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"))
    nonce: Mapped[str] = mapped_column(String(32))
    programme_id: Mapped[int] = mapped_column(ForeignKey("referral_programmes.id"))
    """Whose terms they agreed to."""
    created_at: Mapped[datetime]


class ReferredAddress(Base):
    """An address that was written to or has accepted, as its keyed hash, for ever: one mail for each, and the first
    referrer keeps it."""

    __tablename__ = "referred_addresses"

    address_hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    contact_id: Mapped[int | None] = mapped_column(ForeignKey("contacts.id", ondelete="SET NULL"), index=True)
    """Who keeps it; nobody once an unaccepted invitation is forgotten."""
    mailed_at: Mapped[datetime | None]
    accepted_at: Mapped[datetime | None]


class Invitation(Base):
    """One mail to one friend. Name and hash are forgotten after 30 days if nobody accepts; the row stays for the counts."""

    __tablename__ = "referral_invitations"
    __table_args__ = (
        Index("ix_referral_invitations_contact_id", "contact_id", "invited_at"),
        Index(
            "ix_referral_invitations_remembered",
            "invited_at",
            sqlite_where=text("forgotten_at IS NULL"),
            postgresql_where=text("forgotten_at IS NULL"),
        ),
        CheckConstraint("forgotten_at IS NULL OR (friend_name = '' AND address_hash = '')", name="forgotten"),
    )

    id: Mapped[Id]
    link_id: Mapped[int] = mapped_column(ForeignKey("referral_links.id", ondelete="CASCADE"))
    contact_id: Mapped[int] = mapped_column(ForeignKey("contacts.id", ondelete="CASCADE"))
    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"))
    friend_name: Mapped[Words]
    address_hash: Mapped[str] = mapped_column(String(64))
    language: Mapped[Language] = mapped_column(choice(Language, "language"))
    nonce: Mapped[str] = mapped_column(String(32))
    invited_at: Mapped[datetime]
    refused_at: Mapped[datetime | None]
    """When the friend asked not to be written to again."""
    forgotten_at: Mapped[datetime | None]

    @property
    def letter_key(self) -> str:
        return f"referral_invitation:{self.id}"


class Referral(Base):
    """A friend who left their details. Everything of theirs is here because they gave it and agreed to `consent`.

    `opened_at` is when they first left details: looking at a page changes nothing, since mail scanners look too.
    """

    __tablename__ = "referrals"
    __table_args__ = (
        UniqueConstraint("invitation_id"),
        UniqueConstraint("link_id", "address_hash"),
        Index("ix_referrals_account_id", "account_id"),
        Index("ix_referrals_contact_id", "contact_id"),
        Index(
            "ix_referrals_unconfirmed",
            "opened_at",
            sqlite_where=text("accepted_at IS NULL"),
            postgresql_where=text("accepted_at IS NULL"),
        ),
        CheckConstraint("qualified_at IS NULL OR accepted_at IS NOT NULL", name="qualified_after_accepted"),
        CheckConstraint("won_at IS NULL OR qualified_at IS NOT NULL", name="won_after_qualified"),
        CheckConstraint("rewarded_at IS NULL OR won_at IS NOT NULL", name="rewarded_after_won"),
        CheckConstraint("rejected_at IS NULL OR won_at IS NULL", name="won_or_rejected"),
        CheckConstraint("(rejected_at IS NULL) = (rejected_why = '')", name="rejected_with_why"),
        CheckConstraint("(refused_at IS NULL) = (refusal IS NULL)", name="refused_with_reason"),
        CheckConstraint("refused_at IS NULL OR accepted_at IS NULL", name="refused_or_accepted"),
    )

    id: Mapped[Id]
    programme_id: Mapped[int] = mapped_column(ForeignKey("referral_programmes.id"))
    link_id: Mapped[int] = mapped_column(ForeignKey("referral_links.id", ondelete="CASCADE"))
    invitation_id: Mapped[int | None] = mapped_column(ForeignKey("referral_invitations.id", ondelete="SET NULL"))
    contact_id: Mapped[int] = mapped_column(ForeignKey("contacts.id", ondelete="CASCADE"))
    """Who brought them."""
    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"))
    name: Mapped[Words]
    company: Mapped[Words]
    email: Mapped[str] = mapped_column(String(254))
    address_hash: Mapped[str] = mapped_column(String(64))
    language: Mapped[Language] = mapped_column(choice(Language, "language"))
    consent: Mapped[str] = mapped_column(String(1000))
    """The words they agreed to, as they read them."""
    nonce: Mapped[str] = mapped_column(String(32))
    mails: Mapped[int] = mapped_column(Integer, default=0)
    """How many confirmations were asked for; each is a letter of its own."""
    opened_at: Mapped[datetime]
    accepted_at: Mapped[datetime | None]
    refused_at: Mapped[datetime | None]
    refusal: Mapped[Refusal | None] = mapped_column(choice(Refusal, "refusal"))
    qualified_at: Mapped[datetime | None]
    qualified_by: Mapped[By] = mapped_column(default="")
    won_at: Mapped[datetime | None]
    won_by: Mapped[By] = mapped_column(default="")
    rewarded_at: Mapped[datetime | None]
    rewarded_by: Mapped[By] = mapped_column(default="")
    rejected_at: Mapped[datetime | None]
    rejected_by: Mapped[By] = mapped_column(default="")
    rejected_why: Mapped[str] = mapped_column(String(500), default="")

    @property
    def facts(self) -> Facts:
        return Facts(
            opened_at=self.opened_at, accepted_at=self.accepted_at, qualified_at=self.qualified_at, won_at=self.won_at,
            rewarded_at=self.rewarded_at, rejected_at=self.rejected_at,
        )  # fmt: skip

    @property
    def letter_key(self) -> str:
        return f"referral_confirmation:{self.id}:{self.mails}"


class ReferralPrompt(Base):
    """A consultant is told whom to ask for a referral and why; or was not, and why not."""

    __tablename__ = "referral_prompts"
    __table_args__ = (
        UniqueConstraint("journey_id", "what"),
        CheckConstraint("(closed_at IS NULL) = (result IS NULL)", name="closed_with_result"),
        CheckConstraint("withheld IS NULL OR closed_at IS NULL", name="withheld_or_closed"),
        Index("ix_referral_prompts_account_id", "account_id", "prompted_at"),
        Index(
            "ix_referral_prompts_open",
            "prompted_at",
            sqlite_where=text("closed_at IS NULL AND withheld IS NULL"),
            postgresql_where=text("closed_at IS NULL AND withheld IS NULL"),
        ),
    )

    id: Mapped[Id]
    journey_id: Mapped[int] = mapped_column(ForeignKey("journeys.id"))
    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"))
    contact_id: Mapped[int | None] = mapped_column(ForeignKey("contacts.id", ondelete="SET NULL"))
    """Whom to ask."""
    what: Mapped[Key]
    """As the journey told it: `approval`, `answer_17`, `goal_3`."""
    why: Mapped[Why] = mapped_column(choice(Why, "why"))
    goal_id: Mapped[int | None] = mapped_column(ForeignKey("goals.id", ondelete="SET NULL"))
    prompted_at: Mapped[datetime]
    withheld: Mapped[Withheld | None] = mapped_column(choice(Withheld, "withheld"))
    closed_at: Mapped[datetime | None]
    closed_by: Mapped[By] = mapped_column(default="")
    result: Mapped[Result | None] = mapped_column(choice(Result, "result"))
