"""Asking for words to quote is a request like any other: the ledger of requests knows it."""

from collections.abc import Sequence

from portal.closed_sets import add_words, remove_words

revision: str = "2611280810"
down_revision: str | Sequence[str] | None = "2611280735"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    add_words("requests", "asked", ["quote"])


def downgrade() -> None:
    remove_words("requests", "asked", ["quote"])
