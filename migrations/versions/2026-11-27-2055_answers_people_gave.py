"""Answers people gave: what was set aside, what is half typed, which form was sent."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from portal.closed_sets import add_words, remove_words

revision: str = "2611272055"
down_revision: str | Sequence[str] | None = "2611272115"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
EVENTS = ["survey_changed", "survey_set_aside", "survey_confirm_asked", "survey_discarded"]


def upgrade() -> None:
    add_words("answers", "provenance", ["unverified"])
    add_words("audit_events", "what", EVENTS)
    add_words("letters", "kind", ["survey_confirm"])
    op.add_column("answers", sa.Column("form_nonce", sa.String(length=40), nullable=True))
    op.create_index("uq_answers_form", "answers", ["invitation_id", "form_nonce"], unique=True)
    op.create_table(
        "quarantines",
        sa.Column("answer_id", ID, nullable=False),
        sa.Column("signs", JSON, nullable=False),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("asked_by", sa.String(length=120), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_by", sa.String(length=120), nullable=False),
        sa.Column(
            "how",
            sa.Enum(
                "confirmed",
                "answered",
                "discarded",
                name="how",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=True,
        ),
        sa.CheckConstraint("(ended_at IS NULL) = (how IS NULL)", name=op.f("ck_quarantines_ended_somehow")),
        sa.ForeignKeyConstraint(
            ["answer_id"], ["answers.id"], name=op.f("fk_quarantines_answer_id_answers"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("answer_id", name=op.f("pk_quarantines")),
    )
    op.create_index(
        "ix_quarantines_open",
        "quarantines",
        ["answer_id"],
        unique=False,
        sqlite_where=sa.text("ended_at IS NULL"),
        postgresql_where=sa.text("ended_at IS NULL"),
    )
    op.create_table(
        "survey_drafts",
        sa.Column("invitation_id", ID, nullable=False),
        sa.Column("typed", JSON, nullable=False),
        sa.Column("saved_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["invitation_id"],
            ["invitations.id"],
            name=op.f("fk_survey_drafts_invitation_id_invitations"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("invitation_id", name=op.f("pk_survey_drafts")),
    )


def downgrade() -> None:
    op.drop_table("survey_drafts")
    op.drop_index(
        "ix_quarantines_open",
        table_name="quarantines",
        sqlite_where=sa.text("ended_at IS NULL"),
        postgresql_where=sa.text("ended_at IS NULL"),
    )
    op.drop_table("quarantines")
    op.drop_index("uq_answers_form", table_name="answers")
    op.drop_column("answers", "form_nonce")
    remove_words("letters", "kind", ["survey_confirm"])
    remove_words("audit_events", "what", EVENTS)
    remove_words("answers", "provenance", ["unverified"])
