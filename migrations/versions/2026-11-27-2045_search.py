"""What can be found, the parts by which misspelt words are recognised, and each database's own full-text index."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "2611272045"
down_revision: str | Sequence[str] | None = "2611221900"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

WORDS_ARE_READY = "unicode61 remove_diacritics 2"
"""The words come folded and one space apart (portal/search/rules.py); this keeps what we call a letter a letter."""


def upgrade() -> None:
    op.create_table(
        "search_documents",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("kind", sa.String(length=80), nullable=False),
        sa.Column("ref", sa.String(length=80), nullable=False),
        sa.Column("language", sa.String(length=10), nullable=False),
        sa.Column("audience", sa.String(length=80), nullable=False),
        sa.Column("title", sa.String(length=200), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("folded", sa.Text(), nullable=False),
        sa.Column("path", sa.String(length=300), nullable=False),
        sa.Column("place", sa.String(length=80), nullable=False),
        sa.Column("names", sa.String(length=500), nullable=False),
        sa.Column("fingerprint", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_search_documents")),
        sa.UniqueConstraint(
            "kind", "ref", "language", "audience", name=op.f("uq_search_documents_kind_ref_language_audience")
        ),
    )
    op.create_table(
        "search_spellings",
        sa.Column("part", sa.String(length=7), nullable=False),
        sa.Column("word", sa.String(length=40), nullable=False),
        sa.PrimaryKeyConstraint("part", "word", name=op.f("pk_search_spellings")),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_search_spellings_word", "search_spellings", ["word"])
    if op.get_bind().dialect.name == "sqlite":
        op.execute(
            "CREATE VIRTUAL TABLE search_index USING fts5("
            f"scope, title, names, text, prefix='2 3 4', tokenize='{WORDS_ARE_READY}')"
        )
    else:
        op.execute(
            "CREATE TABLE search_index ("
            "document_id BIGINT PRIMARY KEY REFERENCES search_documents (id) ON DELETE CASCADE, "
            "title tsvector NOT NULL, words tsvector NOT NULL)"
        )
        # Looked into far more often than written: what waits in a pending list is read by every search.
        for column in ("title", "words"):
            op.execute(
                f"CREATE INDEX ix_search_index_{column} ON search_index USING gin ({column}) WITH (fastupdate = off)"
            )


def downgrade() -> None:
    op.execute("DROP TABLE search_index")
    op.drop_index("ix_search_spellings_word", table_name="search_spellings")
    op.drop_table("search_spellings")
    op.drop_table("search_documents")
