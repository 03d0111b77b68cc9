"""A person can be erased: their row stays for the counts, and nobody can be reached by it."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

from portal.closed_sets import add_words, remove_words, rewrite_sqlite

revision: str = "2611280530"
down_revision: str | Sequence[str] | None = "2611280512"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

REACHABLE = "email IS NOT NULL OR phone <> ''"
ERASED = f"{REACHABLE} OR erased_at IS NOT NULL"


def upgrade() -> None:
    add_words("audit_events", "what", ["person_erased"])
    op.add_column("contacts", sa.Column("erased_at", sa.DateTime(timezone=True), nullable=True))
    if op.get_bind().dialect.name == "sqlite":
        rewrite_sqlite(op.get_bind(), "contacts", REACHABLE, ERASED)
    else:
        op.execute("ALTER TABLE contacts DROP CONSTRAINT ck_contacts_reachable")
        op.execute(f"ALTER TABLE contacts ADD CONSTRAINT ck_contacts_reachable CHECK ({ERASED})")


def downgrade() -> None:
    # Who was erased has neither; nothing of theirs comes back, and an address that cannot exist keeps the row.
    op.execute("UPDATE contacts SET email = 'erased-' || id || '@erased.invalid' WHERE erased_at IS NOT NULL")
    if op.get_bind().dialect.name == "sqlite":
        rewrite_sqlite(op.get_bind(), "contacts", ERASED, REACHABLE)
    else:
        op.execute("ALTER TABLE contacts DROP CONSTRAINT ck_contacts_reachable")
        op.execute(f"ALTER TABLE contacts ADD CONSTRAINT ck_contacts_reachable CHECK ({REACHABLE})")
    op.drop_column("contacts", "erased_at")
    remove_words("audit_events", "what", ["person_erased"])
