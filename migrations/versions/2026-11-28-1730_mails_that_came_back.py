"""A survey whose mail could not be delivered is no survey that went out."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

from portal.closed_sets import add_words, remove_words

revision: str = "2611281730"
down_revision: str | Sequence[str] | None = "2611281710"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

FAILED = sa.text("failed_at IS NOT NULL")


def upgrade() -> None:
    add_words("requests", "why", ["undelivered"])
    op.create_index("ix_letters_failed", "letters", ["failed_at"], sqlite_where=FAILED, postgresql_where=FAILED)


def downgrade() -> None:
    op.drop_index("ix_letters_failed", "letters")
    remove_words("requests", "why", ["undelivered"])
