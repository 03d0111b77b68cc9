"""Long closed sets are told case by case on SQLite: it makes a table of a list anew with each statement that checks it."""

from collections.abc import Sequence

from portal.closed_sets import tell_by_case, tell_by_list

revision: str = "2611282040"
down_revision: str | Sequence[str] | None = "2611281730"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

SETS = (("activities", "kind"), ("audit_events", "what"), ("letters", "kind"))


def upgrade() -> None:
    for table, column in SETS:
        tell_by_case(table, column)


def downgrade() -> None:
    for table, column in SETS:
        tell_by_list(table, column)
