"""For which plans something to read is, as plans are compared: so that the database can tell for whom it is."""

import re
import unicodedata
from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "2611280730"
down_revision: str | Sequence[str] | None = "2611280530"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

_JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")


def _folded(text: str) -> str:
    """As `accounts.rules.folded` was on the day of this migration."""
    plain = "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))
    return re.sub(r"\s+", " ", plain.casefold()).strip()


def upgrade() -> None:
    op.add_column("tutorials", sa.Column("for_plans", _JSON, nullable=False, server_default=sa.text("'[]'")))
    tutorials = sa.table("tutorials", sa.column("id"), sa.column("plans", _JSON), sa.column("for_plans", _JSON))
    for id_, plans in op.get_bind().execute(sa.select(tutorials.c.id, tutorials.c.plans)).all():
        if plans:
            folded = list(dict.fromkeys(map(_folded, plans)))
            op.execute(sa.update(tutorials).where(tutorials.c.id == id_).values(for_plans=folded))


def downgrade() -> None:
    op.drop_column("tutorials", "for_plans")
