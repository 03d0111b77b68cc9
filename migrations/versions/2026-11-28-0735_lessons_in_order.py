"""Lessons are found in the order in which they are shown: a list reads as many as it shows, not all of a stage to sort them."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "2611280735"
down_revision: str | Sequence[str] | None = "2611280730"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

_PUBLISHED = sa.text("published_at IS NOT NULL")


def upgrade() -> None:
    op.create_index(
        "ix_tutorials_in_order",
        "tutorials",
        ["kind", "stage_key", "position", "slug"],
        sqlite_where=_PUBLISHED,
        postgresql_where=_PUBLISHED,
    )
    op.create_index("ix_tutorials_since", "tutorials", ["kind", "published_at"])
    op.drop_index("ix_tutorials_published", table_name="tutorials")


def downgrade() -> None:
    op.create_index(
        "ix_tutorials_published",
        "tutorials",
        ["stage_key", "position"],
        sqlite_where=_PUBLISHED,
        postgresql_where=_PUBLISHED,
    )
    op.drop_index("ix_tutorials_since", table_name="tutorials")
    op.drop_index("ix_tutorials_in_order", table_name="tutorials")
