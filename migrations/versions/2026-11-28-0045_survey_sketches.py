"""Surveys that administrators write: what a survey is for and what its outcomes set going, sketches of a next version,
surveys that are retired, and answers to further questions."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "2611280045"
down_revision: str | Sequence[str] | None = "2611272200"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

_AS_BEFORE = {
    "dissatisfied": ["flag"],
    "neutral": ["ask_what_is_missing"],
    "satisfied": [],
    "promoter": ["referral_prompt"],
}
_JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")


def upgrade() -> None:
    # With its CHECK in the column itself, so that SQLite needn't make the table anew.
    op.execute(
        "ALTER TABLE surveys ADD COLUMN purpose VARCHAR(40) DEFAULT 'follow_up' NOT NULL CONSTRAINT ck_surveys_purpose "
        "CHECK (purpose IN ('follow_up', 'post_meeting', 'pulse', 'other'))"
    )
    op.add_column("surveys", sa.Column("is_anonymous", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.add_column("surveys", sa.Column("does", _JSON, nullable=False, server_default=sa.text("'{}'")))
    op.add_column("surveys", sa.Column("closes_after_days", sa.Integer(), nullable=False, server_default=sa.text("21")))
    for name in ("intro_en", "intro_pt", "thanks_en", "thanks_pt"):
        op.add_column("surveys", sa.Column(name, sa.String(600), nullable=False, server_default=sa.text("''")))
    surveys = sa.table("surveys", sa.column("does", _JSON))
    op.execute(surveys.update().values(does=_AS_BEFORE))
    op.add_column("answers", sa.Column("others", _JSON, nullable=False, server_default=sa.text("'{}'")))
    op.create_table(
        "survey_sketches",
        sa.Column("key", sa.String(length=80), nullable=False),
        sa.Column("version_from", sa.Integer(), nullable=True),
        sa.Column("saves", sa.Integer(), nullable=False),
        sa.Column("form", _JSON, nullable=False),
        sa.Column("saved_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("saved_by", sa.String(length=120), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_survey_sketches")),
    )
    op.create_table(
        "retired_surveys",
        sa.Column("key", sa.String(length=80), nullable=False),
        sa.Column("retired_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("retired_by", sa.String(length=120), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_retired_surveys")),
    )


def downgrade() -> None:
    op.drop_table("retired_surveys")
    op.drop_table("survey_sketches")
    op.drop_column("answers", "others")
    for name in (
        "thanks_pt",
        "thanks_en",
        "intro_pt",
        "intro_en",
        "closes_after_days",
        "does",
        "is_anonymous",
        "purpose",
    ):
        op.drop_column("surveys", name)
