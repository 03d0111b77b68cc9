"""Profile pictures: where each contact's and each of the staff's is, empty for initials."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "2611272115"
down_revision: str | Sequence[str] | None = "2611272033"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    for table in ("contacts", "staff"):
        op.add_column(table, sa.Column("portrait", sa.String(length=200), server_default=sa.text("''"), nullable=False))


def downgrade() -> None:
    for table in ("staff", "contacts"):
        op.drop_column(table, "portrait")
