"""Lessons and referrals."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op


revision: str = "2611222000"
down_revision: str | Sequence[str] | None = "2611221900"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:

    op.create_table(
        "referral_programmes",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("is_current", sa.Boolean(), nullable=False),
        sa.Column("headline_en", sa.String(length=200), nullable=False),
        sa.Column("headline_pt", sa.String(length=200), nullable=False),
        sa.Column("friend_gets_en", sa.String(length=200), nullable=False),
        sa.Column("friend_gets_pt", sa.String(length=200), nullable=False),
        sa.Column("referrer_gets_en", sa.String(length=200), nullable=False),
        sa.Column("referrer_gets_pt", sa.String(length=200), nullable=False),
        sa.Column("terms_en", sa.String(length=10000), nullable=False),
        sa.Column("terms_pt", sa.String(length=10000), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_by", sa.String(length=120), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_referral_programmes")),
    )
    with op.batch_alter_table("referral_programmes", schema=None) as batch_op:
        batch_op.create_index(
            "uq_referral_programmes_current",
            ["is_current"],
            unique=True,
            sqlite_where=sa.text("is_current"),
            postgresql_where=sa.text("is_current"),
        )

    op.create_table(
        "tutorials",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("slug", sa.String(length=80), nullable=False),
        sa.Column("stage_key", sa.String(length=80), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("minutes", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("published_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("minutes > 0", name=op.f("ck_tutorials_takes_minutes")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tutorials")),
        sa.UniqueConstraint("slug", name=op.f("uq_tutorials_slug")),
    )
    with op.batch_alter_table("tutorials", schema=None) as batch_op:
        batch_op.create_index(
            "ix_tutorials_published",
            ["stage_key", "position"],
            unique=False,
            sqlite_where=sa.text("published_at IS NOT NULL"),
            postgresql_where=sa.text("published_at IS NOT NULL"),
        )

    op.create_table(
        "tutorial_texts",
        sa.Column("tutorial_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column(
            "language",
            sa.Enum("en", "pt-BR", name="language", native_enum=False, create_constraint=True, length=40),
            nullable=False,
        ),
        sa.Column("title", sa.String(length=200), nullable=False),
        sa.Column("summary", sa.String(length=300), nullable=False),
        sa.Column("body", sa.String(length=50000), nullable=False),
        sa.Column("fingerprint", sa.String(length=64), nullable=False),
        sa.Column("shipped", sa.String(length=64), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["tutorial_id"], ["tutorials.id"], name=op.f("fk_tutorial_texts_tutorial_id_tutorials"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("tutorial_id", "language", name=op.f("pk_tutorial_texts")),
    )
    op.create_table(
        "referral_links",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("contact_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("account_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("nonce", sa.String(length=32), nullable=False),
        sa.Column("programme_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["accounts.id"], name=op.f("fk_referral_links_account_id_accounts"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["contact_id"], ["contacts.id"], name=op.f("fk_referral_links_contact_id_contacts"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["programme_id"],
            ["referral_programmes.id"],
            name=op.f("fk_referral_links_programme_id_referral_programmes"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_referral_links")),
        sa.UniqueConstraint("contact_id", name=op.f("uq_referral_links_contact_id")),
    )
    op.create_table(
        "referred_addresses",
        sa.Column("address_hash", sa.String(length=64), nullable=False),
        sa.Column("contact_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("mailed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("accepted_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["contact_id"], ["contacts.id"], name=op.f("fk_referred_addresses_contact_id_contacts"), ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("address_hash", name=op.f("pk_referred_addresses")),
    )
    with op.batch_alter_table("referred_addresses", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_referred_addresses_contact_id"), ["contact_id"], unique=False)

    op.create_table(
        "tutorial_progress",
        sa.Column("contact_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("tutorial_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("helped", sa.Boolean(), nullable=True),
        sa.Column("told_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("(helped IS NULL) = (told_at IS NULL)", name=op.f("ck_tutorial_progress_told_when")),
        sa.ForeignKeyConstraint(
            ["contact_id"], ["contacts.id"], name=op.f("fk_tutorial_progress_contact_id_contacts"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["tutorial_id"],
            ["tutorials.id"],
            name=op.f("fk_tutorial_progress_tutorial_id_tutorials"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("contact_id", "tutorial_id", name=op.f("pk_tutorial_progress")),
    )
    with op.batch_alter_table("tutorial_progress", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_tutorial_progress_tutorial_id"), ["tutorial_id"], unique=False)

    op.create_table(
        "referral_invitations",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("link_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("contact_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("account_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("friend_name", sa.String(length=200), nullable=False),
        sa.Column("address_hash", sa.String(length=64), nullable=False),
        sa.Column(
            "language",
            sa.Enum("en", "pt-BR", name="language", native_enum=False, create_constraint=True, length=40),
            nullable=False,
        ),
        sa.Column("nonce", sa.String(length=32), nullable=False),
        sa.Column("invited_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("refused_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("forgotten_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "forgotten_at IS NULL OR (friend_name = '' AND address_hash = '')",
            name=op.f("ck_referral_invitations_forgotten"),
        ),
        sa.ForeignKeyConstraint(
            ["account_id"],
            ["accounts.id"],
            name=op.f("fk_referral_invitations_account_id_accounts"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["contact_id"],
            ["contacts.id"],
            name=op.f("fk_referral_invitations_contact_id_contacts"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["link_id"],
            ["referral_links.id"],
            name=op.f("fk_referral_invitations_link_id_referral_links"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_referral_invitations")),
    )
    with op.batch_alter_table("referral_invitations", schema=None) as batch_op:
        batch_op.create_index("ix_referral_invitations_contact_id", ["contact_id", "invited_at"], unique=False)
        batch_op.create_index(
            "ix_referral_invitations_remembered",
            ["invited_at"],
            unique=False,
            sqlite_where=sa.text("forgotten_at IS NULL"),
            postgresql_where=sa.text("forgotten_at IS NULL"),
        )

    op.create_table(
        "referral_prompts",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("journey_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("account_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("contact_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("what", sa.String(length=80), nullable=False),
        sa.Column(
            "why",
            sa.Enum("answer", "goal", "approval", name="why", native_enum=False, create_constraint=True, length=40),
            nullable=False,
        ),
        sa.Column("goal_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("prompted_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column(
            "withheld",
            sa.Enum(
                "open_flag",
                "recent",
                "no_promoter",
                "no_customer",
                name="withheld",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=True,
        ),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("closed_by", sa.String(length=120), nullable=False),
        sa.Column(
            "result",
            sa.Enum("asked", "not_now", name="result", native_enum=False, create_constraint=True, length=40),
            nullable=True,
        ),
        sa.CheckConstraint(
            "(closed_at IS NULL) = (result IS NULL)", name=op.f("ck_referral_prompts_closed_with_result")
        ),
        sa.CheckConstraint(
            "withheld IS NULL OR closed_at IS NULL", name=op.f("ck_referral_prompts_withheld_or_closed")
        ),
        sa.ForeignKeyConstraint(
            ["account_id"], ["accounts.id"], name=op.f("fk_referral_prompts_account_id_accounts"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["contact_id"], ["contacts.id"], name=op.f("fk_referral_prompts_contact_id_contacts"), ondelete="SET NULL"
        ),
        sa.ForeignKeyConstraint(
            ["goal_id"], ["goals.id"], name=op.f("fk_referral_prompts_goal_id_goals"), ondelete="SET NULL"
        ),
        sa.ForeignKeyConstraint(["journey_id"], ["journeys.id"], name=op.f("fk_referral_prompts_journey_id_journeys")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_referral_prompts")),
        sa.UniqueConstraint("journey_id", "what", name=op.f("uq_referral_prompts_journey_id_what")),
    )
    with op.batch_alter_table("referral_prompts", schema=None) as batch_op:
        batch_op.create_index("ix_referral_prompts_account_id", ["account_id", "prompted_at"], unique=False)
        batch_op.create_index(
            "ix_referral_prompts_open",
            ["prompted_at"],
            unique=False,
            sqlite_where=sa.text("closed_at IS NULL AND withheld IS NULL"),
            postgresql_where=sa.text("closed_at IS NULL AND withheld IS NULL"),
        )

    op.create_table(
        "referrals",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("programme_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("link_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("invitation_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("contact_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("account_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("company", sa.String(length=200), nullable=False),
        sa.Column("email", sa.String(length=254), nullable=False),
        sa.Column("address_hash", sa.String(length=64), nullable=False),
        sa.Column(
            "language",
            sa.Enum("en", "pt-BR", name="language", native_enum=False, create_constraint=True, length=40),
            nullable=False,
        ),
        sa.Column("consent", sa.String(length=1000), nullable=False),
        sa.Column("nonce", sa.String(length=32), nullable=False),
        sa.Column("mails", sa.Integer(), nullable=False),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("accepted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("refused_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column(
            "refusal",
            sa.Enum(
                "oneself",
                "colleague",
                "customer",
                "already_referred",
                "no_contact",
                name="refusal",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=True,
        ),
        sa.Column("qualified_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("qualified_by", sa.String(length=120), nullable=False),
        sa.Column("won_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("won_by", sa.String(length=120), nullable=False),
        sa.Column("rewarded_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("rewarded_by", sa.String(length=120), nullable=False),
        sa.Column("rejected_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("rejected_by", sa.String(length=120), nullable=False),
        sa.Column("rejected_why", sa.String(length=500), nullable=False),
        sa.CheckConstraint("(rejected_at IS NULL) = (rejected_why = '')", name=op.f("ck_referrals_rejected_with_why")),
        sa.CheckConstraint("(refused_at IS NULL) = (refusal IS NULL)", name=op.f("ck_referrals_refused_with_reason")),
        sa.CheckConstraint(
            "qualified_at IS NULL OR accepted_at IS NOT NULL", name=op.f("ck_referrals_qualified_after_accepted")
        ),
        sa.CheckConstraint("refused_at IS NULL OR accepted_at IS NULL", name=op.f("ck_referrals_refused_or_accepted")),
        sa.CheckConstraint("rejected_at IS NULL OR won_at IS NULL", name=op.f("ck_referrals_won_or_rejected")),
        sa.CheckConstraint("rewarded_at IS NULL OR won_at IS NOT NULL", name=op.f("ck_referrals_rewarded_after_won")),
        sa.CheckConstraint("won_at IS NULL OR qualified_at IS NOT NULL", name=op.f("ck_referrals_won_after_qualified")),
        sa.ForeignKeyConstraint(
            ["account_id"], ["accounts.id"], name=op.f("fk_referrals_account_id_accounts"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["contact_id"], ["contacts.id"], name=op.f("fk_referrals_contact_id_contacts"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["invitation_id"],
            ["referral_invitations.id"],
            name=op.f("fk_referrals_invitation_id_referral_invitations"),
            ondelete="SET NULL",
        ),
        sa.ForeignKeyConstraint(
            ["link_id"], ["referral_links.id"], name=op.f("fk_referrals_link_id_referral_links"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["programme_id"], ["referral_programmes.id"], name=op.f("fk_referrals_programme_id_referral_programmes")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_referrals")),
        sa.UniqueConstraint("invitation_id", name=op.f("uq_referrals_invitation_id")),
        sa.UniqueConstraint("link_id", "address_hash", name=op.f("uq_referrals_link_id_address_hash")),
    )
    with op.batch_alter_table("referrals", schema=None) as batch_op:
        batch_op.create_index("ix_referrals_account_id", ["account_id"], unique=False)
        batch_op.create_index("ix_referrals_contact_id", ["contact_id"], unique=False)
        batch_op.create_index(
            "ix_referrals_unconfirmed",
            ["opened_at"],
            unique=False,
            sqlite_where=sa.text("accepted_at IS NULL"),
            postgresql_where=sa.text("accepted_at IS NULL"),
        )


def downgrade() -> None:

    with op.batch_alter_table("referrals", schema=None) as batch_op:
        batch_op.drop_index(
            "ix_referrals_unconfirmed",
            sqlite_where=sa.text("accepted_at IS NULL"),
            postgresql_where=sa.text("accepted_at IS NULL"),
        )
        batch_op.drop_index("ix_referrals_contact_id")
        batch_op.drop_index("ix_referrals_account_id")

    op.drop_table("referrals")
    with op.batch_alter_table("referral_prompts", schema=None) as batch_op:
        batch_op.drop_index(
            "ix_referral_prompts_open",
            sqlite_where=sa.text("closed_at IS NULL AND withheld IS NULL"),
            postgresql_where=sa.text("closed_at IS NULL AND withheld IS NULL"),
        )
        batch_op.drop_index("ix_referral_prompts_account_id")

    op.drop_table("referral_prompts")
    with op.batch_alter_table("referral_invitations", schema=None) as batch_op:
        batch_op.drop_index(
            "ix_referral_invitations_remembered",
            sqlite_where=sa.text("forgotten_at IS NULL"),
            postgresql_where=sa.text("forgotten_at IS NULL"),
        )
        batch_op.drop_index("ix_referral_invitations_contact_id")

    op.drop_table("referral_invitations")
    with op.batch_alter_table("tutorial_progress", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_tutorial_progress_tutorial_id"))

    op.drop_table("tutorial_progress")
    with op.batch_alter_table("referred_addresses", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_referred_addresses_contact_id"))

    op.drop_table("referred_addresses")
    op.drop_table("referral_links")
    op.drop_table("tutorial_texts")
    with op.batch_alter_table("tutorials", schema=None) as batch_op:
        batch_op.drop_index(
            "ix_tutorials_published",
            sqlite_where=sa.text("published_at IS NOT NULL"),
            postgresql_where=sa.text("published_at IS NOT NULL"),
        )

    op.drop_table("tutorials")
    with op.batch_alter_table("referral_programmes", schema=None) as batch_op:
        batch_op.drop_index(
            "uq_referral_programmes_current", sqlite_where=sa.text("is_current"), postgresql_where=sa.text("is_current")
        )

    op.drop_table("referral_programmes")
