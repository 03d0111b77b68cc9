"""Colleagues: invitations, rights, wishes, the start of each, a new address, and the words for what happens with them."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

from portal.closed_sets import add_words, remove_words


revision: str = "2611272033"
down_revision: str | Sequence[str] | None = "2611272030"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

WORDS = (
    (
        "audit_events",
        "what",
        (
            "colleague_invited",
            "colleague_not_invited",
            "colleague_invitation_ended",
            "colleague_joined",
            "contact_removed",
            "primary_changed",
            "inviting_changed",
            "preferences_changed",
            "address_changed",
            "correction_suggested",
            "data_exported",
            "erasure_asked",
        ),
    ),
    ("letters", "kind", ("colleague_invitation", "address_confirmation", "address_notice", "erasure_asked")),
    ("mail_refusals", "purpose", ("reminder", "news", "offer", "referral")),
    ("activities", "kind", ("check_correction",)),
)


def upgrade() -> None:
    for table, column, brought in WORDS:
        add_words(table, column, brought)
    op.create_table(
        "address_changes",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("contact_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("old_email", sa.String(length=254), nullable=False),
        sa.Column("new_email", sa.String(length=254), nullable=False),
        sa.Column("nonce", sa.String(length=32), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("confirmed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("dropped_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["contact_id"], ["contacts.id"], name=op.f("fk_address_changes_contact_id_contacts"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_address_changes")),
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("address_changes", schema=None) as batch_op:
        batch_op.create_index(
            "uq_address_changes_open",
            ["contact_id"],
            unique=True,
            sqlite_where=sa.text("confirmed_at IS NULL AND dropped_at IS NULL"),
            postgresql_where=sa.text("confirmed_at IS NULL AND dropped_at IS NULL"),
        )

    op.create_table(
        "colleague_invitations",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("account_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("email", sa.String(length=254), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column(
            "language",
            sa.Enum("en", "pt-BR", name="language", native_enum=False, create_constraint=True, length=40),
            nullable=False,
        ),
        sa.Column("nonce", sa.String(length=32), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("sendings", sa.Integer(), nullable=False),
        sa.Column("invited_by", sa.String(length=120), nullable=False),
        sa.Column("inviter_name", sa.String(length=200), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("accepted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("contact_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("withdrawn_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("declined_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "(accepted_at IS NULL) = (contact_id IS NULL)", name=op.f("ck_colleague_invitations_accepted_as_somebody")
        ),
        sa.ForeignKeyConstraint(
            ["account_id"],
            ["accounts.id"],
            name=op.f("fk_colleague_invitations_account_id_accounts"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["contact_id"],
            ["contacts.id"],
            name=op.f("fk_colleague_invitations_contact_id_contacts"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_colleague_invitations")),
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("colleague_invitations", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_colleague_invitations_account_id"), ["account_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_colleague_invitations_contact_id"), ["contact_id"], unique=False)
        batch_op.create_index(
            "uq_colleague_invitations_open",
            ["account_id", "email"],
            unique=True,
            sqlite_where=sa.text("accepted_at IS NULL AND withdrawn_at IS NULL AND declined_at IS NULL"),
            postgresql_where=sa.text("accepted_at IS NULL AND withdrawn_at IS NULL AND declined_at IS NULL"),
        )

    op.create_table(
        "contact_rights",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("contact_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column(
            "what",
            sa.Enum(
                "see_plan",
                "tick_milestones",
                "book_meetings",
                "see_colleagues",
                "refer_friends",
                "invite_colleagues",
                "remove_colleagues",
                "decide_who_invites",
                "hand_over",
                "see_answers_of_others",
                "see_cases_of_others",
                name="what",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("granted_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("granted_by", sa.String(length=120), nullable=False),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoked_by", sa.String(length=120), nullable=True),
        sa.ForeignKeyConstraint(
            ["contact_id"], ["contacts.id"], name=op.f("fk_contact_rights_contact_id_contacts"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_contact_rights")),
    )
    with op.batch_alter_table("contact_rights", schema=None) as batch_op:
        batch_op.create_index(
            "uq_contact_rights_held",
            ["contact_id", "what"],
            unique=True,
            sqlite_where=sa.text("revoked_at IS NULL"),
            postgresql_where=sa.text("revoked_at IS NULL"),
        )

    op.create_table(
        "contact_wishes",
        sa.Column("contact_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column(
            "frequency",
            sa.Enum(
                "usual",
                "less",
                "monthly",
                "necessary",
                name="frequency",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("hours_from", sa.Time(), nullable=False),
        sa.Column("hours_until", sa.Time(), nullable=False),
        sa.Column("weekdays", sa.Integer(), nullable=False),
        sa.Column("chosen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("chosen_by", sa.String(length=120), nullable=False),
        sa.CheckConstraint("hours_from < hours_until", name=op.f("ck_contact_wishes_hours_in_order")),
        sa.CheckConstraint("weekdays > 0 AND weekdays < 128", name=op.f("ck_contact_wishes_some_weekday")),
        sa.ForeignKeyConstraint(
            ["contact_id"], ["contacts.id"], name=op.f("fk_contact_wishes_contact_id_contacts"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("contact_id", name=op.f("pk_contact_wishes")),
    )
    op.create_table(
        "erasure_requests",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("contact_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("words", sa.String(length=1000), nullable=False),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("settled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("settled_by", sa.String(length=120), nullable=True),
        sa.ForeignKeyConstraint(
            ["contact_id"], ["contacts.id"], name=op.f("fk_erasure_requests_contact_id_contacts"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_erasure_requests")),
    )
    with op.batch_alter_table("erasure_requests", schema=None) as batch_op:
        batch_op.create_index(
            "uq_erasure_requests_open",
            ["contact_id"],
            unique=True,
            sqlite_where=sa.text("settled_at IS NULL"),
            postgresql_where=sa.text("settled_at IS NULL"),
        )

    op.create_table(
        "start_steps_done",
        sa.Column("contact_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column(
            "step",
            sa.Enum(
                "plan",
                "lesson",
                "preferences",
                "call",
                name="step",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["contact_id"], ["contacts.id"], name=op.f("fk_start_steps_done_contact_id_contacts"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("contact_id", "step", name=op.f("pk_start_steps_done")),
    )
    op.create_table(
        "starts",
        sa.Column("contact_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("began_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("dismissed_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["contact_id"], ["contacts.id"], name=op.f("fk_starts_contact_id_contacts"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("contact_id", name=op.f("pk_starts")),
    )
    with op.batch_alter_table("contacts", schema=None) as batch_op:
        batch_op.add_column(sa.Column("job_title", sa.String(length=120), server_default=sa.text("''"), nullable=False))


def downgrade() -> None:
    with op.batch_alter_table("contacts", schema=None) as batch_op:
        batch_op.drop_column("job_title")

    op.drop_table("starts")
    op.drop_table("start_steps_done")
    with op.batch_alter_table("erasure_requests", schema=None) as batch_op:
        batch_op.drop_index(
            "uq_erasure_requests_open",
            sqlite_where=sa.text("settled_at IS NULL"),
            postgresql_where=sa.text("settled_at IS NULL"),
        )

    op.drop_table("erasure_requests")
    op.drop_table("contact_wishes")
    with op.batch_alter_table("contact_rights", schema=None) as batch_op:
        batch_op.drop_index(
            "uq_contact_rights_held",
            sqlite_where=sa.text("revoked_at IS NULL"),
            postgresql_where=sa.text("revoked_at IS NULL"),
        )

    op.drop_table("contact_rights")
    with op.batch_alter_table("colleague_invitations", schema=None) as batch_op:
        batch_op.drop_index(
            "uq_colleague_invitations_open",
            sqlite_where=sa.text("accepted_at IS NULL AND withdrawn_at IS NULL AND declined_at IS NULL"),
            postgresql_where=sa.text("accepted_at IS NULL AND withdrawn_at IS NULL AND declined_at IS NULL"),
        )
        batch_op.drop_index(batch_op.f("ix_colleague_invitations_contact_id"))
        batch_op.drop_index(batch_op.f("ix_colleague_invitations_account_id"))

    op.drop_table("colleague_invitations")
    with op.batch_alter_table("address_changes", schema=None) as batch_op:
        batch_op.drop_index(
            "uq_address_changes_open",
            sqlite_where=sa.text("confirmed_at IS NULL AND dropped_at IS NULL"),
            postgresql_where=sa.text("confirmed_at IS NULL AND dropped_at IS NULL"),
        )

    op.drop_table("address_changes")
    for table, column, brought in WORDS:
        remove_words(table, column, brought)
