"""Examples and news beside tutorials, for whom each is, versions of them, parts read, what was missing."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from portal.closed_sets import add_words, remove_words

revision: str = "2611272100"
down_revision: str | Sequence[str] | None = "2611272040"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

BIG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
HAPPENED = [
    "content_created",
    "content_changed",
    "content_published",
    "content_withdrawn",
    "content_deleted",
    "content_uploaded",
]


def upgrade() -> None:
    add_words("audit_events", "what", HAPPENED)
    with op.batch_alter_table("tutorials") as tutorials:
        tutorials.add_column(sa.Column("kind", sa.String(40), nullable=False, server_default="tutorial"))
        tutorials.add_column(sa.Column("audience", sa.String(40), nullable=False, server_default="everyone"))
        tutorials.add_column(sa.Column("plans", JSON, nullable=False, server_default="[]"))
        tutorials.add_column(sa.Column("happened_on", sa.Date(), nullable=True))
        tutorials.add_column(sa.Column("version", sa.Integer(), nullable=False, server_default="0"))
        tutorials.add_column(sa.Column("changed_at", sa.DateTime(timezone=True), nullable=True))
    op.execute("UPDATE tutorials SET changed_at = created_at")
    with op.batch_alter_table("tutorials") as tutorials:
        tutorials.alter_column("kind", existing_type=sa.String(40), server_default=None)
        tutorials.alter_column("audience", existing_type=sa.String(40), server_default=None)
        tutorials.alter_column("plans", existing_type=JSON, server_default=None)
        tutorials.alter_column("version", existing_type=sa.Integer(), server_default=None)
        tutorials.alter_column("changed_at", existing_type=sa.DateTime(timezone=True), nullable=False)
        tutorials.create_check_constraint("kind", "kind IN ('tutorial', 'example', 'news')")
        tutorials.create_check_constraint("audience", "audience IN ('everyone', 'primary', 'colleagues')")
    with op.batch_alter_table("tutorial_texts") as texts:
        texts.add_column(sa.Column("who", sa.String(200), nullable=False, server_default=""))
        texts.add_column(sa.Column("achieved", sa.String(300), nullable=False, server_default=""))
    with op.batch_alter_table("tutorial_texts") as texts:
        texts.alter_column("who", existing_type=sa.String(200), server_default=None)
        texts.alter_column("achieved", existing_type=sa.String(300), server_default=None)
    with op.batch_alter_table("tutorial_progress") as progress:
        progress.add_column(sa.Column("part", sa.Integer(), nullable=False, server_default="0"))
        progress.add_column(sa.Column("words", sa.String(2000), nullable=False, server_default=""))
    with op.batch_alter_table("tutorial_progress") as progress:
        progress.alter_column("part", existing_type=sa.Integer(), server_default=None)
        progress.alter_column("words", existing_type=sa.String(2000), server_default=None)
    op.create_table(
        "tutorial_versions",
        sa.Column("tutorial_id", BIG_ID, nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("content", JSON, nullable=False),
        sa.Column("by", sa.String(length=120), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("restored_from", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(
            ["tutorial_id"],
            ["tutorials.id"],
            name=op.f("fk_tutorial_versions_tutorial_id_tutorials"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("tutorial_id", "number", name=op.f("pk_tutorial_versions")),
    )
    op.create_table(
        "news_seen",
        sa.Column("contact_id", BIG_ID, nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["contact_id"], ["contacts.id"], name=op.f("fk_news_seen_contact_id_contacts"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("contact_id", name=op.f("pk_news_seen")),
    )


def downgrade() -> None:
    op.drop_table("news_seen")
    op.drop_table("tutorial_versions")
    with op.batch_alter_table("tutorial_progress") as progress:
        progress.drop_column("words")
        progress.drop_column("part")
    with op.batch_alter_table("tutorial_texts") as texts:
        texts.drop_column("achieved")
        texts.drop_column("who")
    op.execute("DELETE FROM tutorials WHERE kind <> 'tutorial'")
    with op.batch_alter_table("tutorials") as tutorials:
        tutorials.drop_constraint("audience", type_="check")
        tutorials.drop_constraint("kind", type_="check")
        for name in ("changed_at", "version", "happened_on", "plans", "audience", "kind"):
            tutorials.drop_column(name)
    remove_words("audit_events", "what", HAPPENED)
