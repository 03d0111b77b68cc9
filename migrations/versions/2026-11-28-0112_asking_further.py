"""Asking beyond the plan: surveys without a contact to settle, what sets them going, rounds by hand, answers without a name."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from portal.closed_sets import add_words, remove_words, rewrite_sqlite

revision: str = "2611280112"
down_revision: str | Sequence[str] | None = "2611280110"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
WITH_A_DAY = ("invitations", "answers")
LETTERS = ["survey_meeting", "survey_pulse", "survey_further", "survey_further_reminder", "survey_anonymous"]
EVENTS = ["survey_trigger_changed", "survey_round_sent"]
ASKED = ["further", "meeting", "further_reminder"]
IS_ON = sa.text("on_since IS NOT NULL")


def upgrade() -> None:
    for table in WITH_A_DAY:
        _may_be_empty(table, yes=True)
    op.add_column(
        "invitations", sa.Column("occasion", sa.String(length=80), server_default=sa.text("''"), nullable=False)
    )
    op.execute("UPDATE invitations SET occasion = 'day:' || day")
    op.create_index("uq_invitations_occasion", "invitations", ["journey_id", "occasion", "contact_id"], unique=True)
    op.add_column("requests", sa.Column("occasion", sa.String(length=80), server_default=sa.text("''"), nullable=False))
    add_words("letters", "kind", LETTERS)
    add_words("audit_events", "what", EVENTS)
    add_words("requests", "asked", ASKED)
    add_words("requests", "became", ["nothing"])
    add_words("requests", "why", ["plan_first"])
    op.create_table(
        "survey_triggers",
        sa.Column("id", ID, nullable=False),
        sa.Column("survey_key", sa.String(length=80), nullable=False),
        sa.Column(
            "kind",
            sa.Enum(
                "meeting",
                "day_of_use",
                "stage",
                "every_days",
                name="kind",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("days", sa.Integer(), nullable=False),
        sa.Column("stage", sa.String(length=80), nullable=False),
        sa.Column("scope", sa.String(length=120), nullable=False),
        sa.Column("on_since", sa.DateTime(timezone=True), nullable=True),
        sa.Column("set_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("set_by", sa.String(length=120), nullable=False),
        sa.Column("look_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("looked_up_to", sa.Integer(), nullable=False),
        sa.CheckConstraint("(kind = 'stage') = (stage <> '')", name=op.f("ck_survey_triggers_stage")),
        sa.CheckConstraint("days >= 0", name=op.f("ck_survey_triggers_days")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_survey_triggers")),
    )
    op.create_index(
        "uq_survey_triggers_scope",
        "survey_triggers",
        ["scope"],
        unique=True,
        sqlite_where=IS_ON,
        postgresql_where=IS_ON,
    )
    op.create_table(
        "survey_rounds",
        sa.Column("id", ID, nullable=False),
        sa.Column("survey_id", ID, nullable=False),
        sa.Column("key", sa.String(length=40), nullable=False),
        sa.Column("segment", JSON, nullable=False),
        sa.Column("people", sa.Integer(), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("made_by", sa.String(length=120), nullable=False),
        sa.Column("closes_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("mixed_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["survey_id"], ["surveys.id"], name=op.f("fk_survey_rounds_survey_id_surveys")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_survey_rounds")),
        sa.UniqueConstraint("key", name=op.f("uq_survey_rounds_key")),
    )
    op.create_index("ix_survey_rounds_survey_id", "survey_rounds", ["survey_id"])
    op.create_table(
        "anonymous_tickets",
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.Column("round_id", ID, nullable=False),
        sa.ForeignKeyConstraint(
            ["round_id"],
            ["survey_rounds.id"],
            name=op.f("fk_anonymous_tickets_round_id_survey_rounds"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("hash", name=op.f("pk_anonymous_tickets")),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_anonymous_tickets_round_id", "anonymous_tickets", ["round_id"])
    op.create_table(
        "anonymous_answers",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("round_id", ID, nullable=False),
        sa.Column("csat", sa.Integer(), nullable=True),
        sa.Column("nps", sa.Integer(), nullable=True),
        sa.Column("comment", sa.String(length=10000), nullable=False),
        sa.Column("others", JSON, nullable=False),
        sa.Column("week", sa.Date(), nullable=False),
        sa.CheckConstraint("csat BETWEEN 1 AND 5", name=op.f("ck_anonymous_answers_csat")),
        sa.CheckConstraint("nps BETWEEN 0 AND 10", name=op.f("ck_anonymous_answers_nps")),
        sa.ForeignKeyConstraint(
            ["round_id"],
            ["survey_rounds.id"],
            name=op.f("fk_anonymous_answers_round_id_survey_rounds"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_anonymous_answers")),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_anonymous_answers_round_id", "anonymous_answers", ["round_id"])


def _may_be_empty(table: str, *, yes: bool) -> None:
    """Whether the day may be left out."""
    connection = op.get_bind()
    if connection.dialect.name == "sqlite":
        words = ("day INTEGER NOT NULL", "day INTEGER")
        rewrite_sqlite(connection, table, *(words if yes else words[::-1]))
    else:
        op.alter_column(table, "day", nullable=yes)


def downgrade() -> None:
    for table in ("anonymous_answers", "anonymous_tickets", "survey_rounds", "survey_triggers"):
        op.drop_table(table)
    # What only the new tables could hold goes with them, and so do the rows that hang on it.
    further = "(SELECT id FROM answers WHERE day IS NULL)"
    op.execute(f"UPDATE flags SET answer_id = NULL WHERE answer_id IN {further}")  # noqa: S608 - our own words
    for table in ("quarantines", "answer_tags", "quotes"):
        op.execute(f"DELETE FROM {table} WHERE answer_id IN {further}")  # noqa: S608 - our own words
    op.execute("DELETE FROM answers WHERE day IS NULL")
    op.execute("DELETE FROM survey_drafts WHERE invitation_id IN (SELECT id FROM invitations WHERE day IS NULL)")
    op.execute("DELETE FROM invitations WHERE day IS NULL")
    remove_words("requests", "why", ["plan_first"])
    remove_words("requests", "became", ["nothing"])
    remove_words("requests", "asked", ASKED)
    remove_words("audit_events", "what", EVENTS)
    remove_words("letters", "kind", LETTERS)
    op.drop_column("requests", "occasion")
    op.drop_index("uq_invitations_occasion", "invitations")
    op.drop_column("invitations", "occasion")
    for table in WITH_A_DAY:
        _may_be_empty(table, yes=False)
