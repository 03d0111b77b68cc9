"""Tags on comments, words to quote with the person's consent, and indexes that figures are read from."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

from portal.closed_sets import add_words, remove_words

revision: str = "2611272155"
down_revision: str | Sequence[str] | None = "2611272145"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
AT = sa.DateTime(timezone=True)
EVENTS = [
    "comment_tagged",
    "comment_untagged",
    "quote_asked",
    "quote_allowed",
    "quote_declined",
    "quote_withdrawn",
    "answers_exported",
]

COUNTED = "quarantined_at IS NULL AND superseded_at IS NULL"
FIGURES = {
    "ix_answers_figures": (
        ["submitted_at", "invitation_id", "nps", "csat", "wants_help", "quarantined_at", "superseded_at"],
        COUNTED,
    ),
    "ix_answers_comments": (["id", "submitted_at", "invitation_id"], f"{COUNTED} AND comment <> ''"),
}


def upgrade() -> None:
    add_words("audit_events", "what", EVENTS)
    add_words("letters", "kind", ["quote_request"])
    op.create_table(
        "answer_tags",
        sa.Column("answer_id", ID, nullable=False),
        sa.Column("folded", sa.String(80), nullable=False),
        sa.Column("tag", sa.String(40), nullable=False),
        sa.Column("at", AT, nullable=False),
        sa.Column("by", sa.String(120), nullable=False),
        sa.ForeignKeyConstraint(
            ["answer_id"], ["answers.id"], name=op.f("fk_answer_tags_answer_id_answers"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("answer_id", "folded", name=op.f("pk_answer_tags")),
    )
    op.create_index("ix_answer_tags_folded", "answer_tags", ["folded"])
    op.create_table(
        "quotes",
        sa.Column("id", ID, nullable=False),
        sa.Column("answer_id", ID, nullable=False),
        sa.Column("account_id", ID, nullable=False),
        sa.Column("contact_id", ID, nullable=False),
        sa.Column("words", sa.String(1000), nullable=False),
        sa.Column("nonce", sa.String(40), nullable=False),
        sa.Column("asked_at", AT, nullable=False),
        sa.Column("asked_by", sa.String(120), nullable=False),
        sa.Column("consented_at", AT, nullable=True),
        sa.Column("consent", sa.String(500), nullable=False),
        sa.Column(
            "shown_as",
            sa.Enum(
                "name_and_company",
                "first_name_and_company",
                "company",
                "nobody",
                name="shown_as",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=True,
        ),
        sa.Column("declined_at", AT, nullable=True),
        sa.Column("withdrawn_at", AT, nullable=True),
        sa.CheckConstraint("(consented_at IS NULL) = (shown_as IS NULL)", name=op.f("ck_quotes_consented_somehow")),
        sa.CheckConstraint("consented_at IS NULL OR consent <> ''", name=op.f("ck_quotes_consented_to_words")),
        sa.CheckConstraint("declined_at IS NULL OR consented_at IS NULL", name=op.f("ck_quotes_declined_or_consented")),
        sa.CheckConstraint(
            "withdrawn_at IS NULL OR consented_at IS NOT NULL", name=op.f("ck_quotes_withdrawn_after_consent")
        ),
        sa.ForeignKeyConstraint(
            ["answer_id"], ["answers.id"], name=op.f("fk_quotes_answer_id_answers"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["account_id"], ["accounts.id"], name=op.f("fk_quotes_account_id_accounts"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["contact_id"], ["contacts.id"], name=op.f("fk_quotes_contact_id_contacts"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_quotes")),
        sa.UniqueConstraint("answer_id", name=op.f("uq_quotes_answer_id")),
    )
    op.create_index("ix_quotes_contact_id", "quotes", ["contact_id", "asked_at"])
    op.create_index("ix_quotes_account_id", "quotes", ["account_id"])
    op.create_index("ix_invitations_survey_id", "invitations", ["survey_id", "sent_at", "id", "expires_at"])
    for name, (columns, where) in FIGURES.items():
        op.create_index(name, "answers", columns, sqlite_where=sa.text(where), postgresql_where=sa.text(where))


def downgrade() -> None:
    for name, (_, where) in FIGURES.items():
        op.drop_index(name, table_name="answers", sqlite_where=sa.text(where), postgresql_where=sa.text(where))
    op.drop_index("ix_invitations_survey_id", table_name="invitations")
    op.drop_table("quotes")
    op.drop_table("answer_tags")
    remove_words("letters", "kind", ["quote_request"])
    remove_words("audit_events", "what", EVENTS)
