"""Closing the loop: reasons to choose from, merged cases, handing over, half time, times offered, ratings afterwards."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from portal.closed_sets import add_words, remove_words

revision: str = "2611272145"
down_revision: str | Sequence[str] | None = "2611272130"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
EVENTS = ["flag_handed_over", "flag_rated", "case_reasons_changed"]

SHIPPED = (
    ("Fixed", "Corrigido"),
    ("Explained or trained", "Explicado ou treinado"),
    ("Expectation set anew", "Expectativa alinhada"),
    ("Passed to product", "Encaminhado ao produto"),
    ("Price or contract", "Preço ou contrato"),
    ("Not reachable", "Sem contato"),
)


def upgrade() -> None:
    add_words("audit_events", "what", EVENTS)
    add_words("letters", "kind", ["flag_handed_over"])
    add_words("resolutions", "outcome", ["merged"])
    reasons = op.create_table(
        "case_reasons",
        sa.Column("id", ID, nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("words_en", sa.String(length=120), nullable=False),
        sa.Column("words_pt", sa.String(length=120), nullable=False),
        sa.Column("retired_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_case_reasons")),
    )
    op.bulk_insert(
        reasons, [{"position": n, "words_en": en, "words_pt": pt} for n, (en, pt) in enumerate(SHIPPED, start=1)]
    )
    op.create_table(
        "offered_times",
        sa.Column("id", ID, nullable=False),
        sa.Column("flag_id", ID, nullable=False),
        sa.Column("contact_id", ID, nullable=False),
        sa.Column("starts", JSON, nullable=False),
        sa.Column("nonce", sa.String(length=32), nullable=False),
        sa.Column("offered_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("offered_by", sa.String(length=120), nullable=False),
        sa.Column("message_id", ID, nullable=True),
        sa.ForeignKeyConstraint(
            ["flag_id"], ["flags.id"], name=op.f("fk_offered_times_flag_id_flags"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["contact_id"], ["contacts.id"], name=op.f("fk_offered_times_contact_id_contacts"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_offered_times")),
        sa.UniqueConstraint("message_id", name=op.f("uq_offered_times_message_id")),
    )
    op.create_index("ix_offered_times_flag_id", "offered_times", ["flag_id"])
    op.create_table(
        "ratings_after",
        sa.Column("flag_id", ID, nullable=False),
        sa.Column("contact_id", ID, nullable=False),
        sa.Column("csat", sa.Integer(), nullable=True),
        sa.Column("nps", sa.Integer(), nullable=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("(csat IS NULL) <> (nps IS NULL)", name=op.f("ck_ratings_after_one_scale")),
        sa.CheckConstraint("csat BETWEEN 1 AND 5", name=op.f("ck_ratings_after_csat")),
        sa.CheckConstraint("nps BETWEEN 0 AND 10", name=op.f("ck_ratings_after_nps")),
        sa.ForeignKeyConstraint(
            ["flag_id"], ["flags.id"], name=op.f("fk_ratings_after_flag_id_flags"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["contact_id"], ["contacts.id"], name=op.f("fk_ratings_after_contact_id_contacts"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("flag_id", name=op.f("pk_ratings_after")),
    )
    op.create_index("ix_ratings_after_at", "ratings_after", ["at"])
    op.create_index("ix_pending_issues_flag_id", "pending_issues", ["flag_id"])
    # Plain columns, not batch operations: SQLite would make the table anew. Rows point at rows of the same database only,
    # and whoever writes them holds the journey.
    op.add_column("flags", sa.Column("half_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("flags", sa.Column("handed_to_id", ID, nullable=True))
    op.add_column("flags", sa.Column("merged_into_id", ID, nullable=True))
    op.add_column("resolutions", sa.Column("reason_id", ID, nullable=True))
    op.create_index("ix_flags_merged_into_id", "flags", ["merged_into_id"])
    op.create_index("ix_flags_contact_id", "flags", ["contact_id"])


def downgrade() -> None:
    op.drop_index("ix_flags_contact_id", "flags")
    op.drop_index("ix_flags_merged_into_id", "flags")
    op.drop_column("resolutions", "reason_id")
    op.drop_column("flags", "merged_into_id")
    op.drop_column("flags", "handed_to_id")
    op.drop_column("flags", "half_at")
    op.drop_index("ix_pending_issues_flag_id", "pending_issues")
    op.drop_table("ratings_after")
    op.drop_table("offered_times")
    op.drop_table("case_reasons")
    remove_words("resolutions", "outcome", ["merged"])
    remove_words("letters", "kind", ["flag_handed_over"])
    remove_words("audit_events", "what", EVENTS)
