"""Closed sets of what is written all the time are types on PostgreSQL: its CHECKs are read anew with each statement."""

from collections.abc import Sequence

from portal.closed_sets import make_check, make_domain

revision: str = "2611281710"
down_revision: str | Sequence[str] | None = "2611280815"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

SETS = (
    ("activities", "kind"),
    ("answers", "outcome"),
    ("answers", "provenance"),
    ("audit_events", "what"),
    ("flags", "origin"),
    ("follow_ups", "settled_by"),
    ("journeys", "status"),
    ("letters", "kind"),
)


def upgrade() -> None:
    for table, column in SETS:
        make_domain(table, column)


def downgrade() -> None:
    for table, column in SETS:
        make_check(table, column)
