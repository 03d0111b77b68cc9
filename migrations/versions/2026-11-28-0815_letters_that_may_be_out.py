"""A letter knows that it may have left: a try of it ended without an answer."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "2611280815"
down_revision: str | Sequence[str] | None = "2611280810"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.add_column("letters", sa.Column("unsure_at", sa.DateTime(timezone=True), nullable=True))


def downgrade() -> None:
    op.drop_column("letters", "unsure_at")
