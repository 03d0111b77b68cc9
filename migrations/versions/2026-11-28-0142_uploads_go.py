"""Pictures and files that nothing shows can be deleted."""

from collections.abc import Sequence

from portal.closed_sets import add_words, remove_words

revision: str = "2611280142"
down_revision: str | Sequence[str] | None = "2611280120"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    add_words("audit_events", "what", ["upload_deleted"])


def downgrade() -> None:
    remove_words("audit_events", "what", ["upload_deleted"])
