"""Words for what administrators do with surveys, the mail with which they try one, and what a consultant is told."""

from collections.abc import Sequence

from portal.closed_sets import add_words, remove_words

revision: str = "2611280110"
down_revision: str | Sequence[str] | None = "2611280045"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

_HAPPENED = [
    "survey_sketched",
    "survey_published",
    "survey_sketch_dropped",
    "survey_retired",
    "survey_revived",
    "survey_test_sent",
]


def upgrade() -> None:
    add_words("audit_events", "what", _HAPPENED)
    add_words("letters", "kind", ["survey_test"])
    add_words("activities", "kind", ["read_answer"])


def downgrade() -> None:
    remove_words("activities", "kind", ["read_answer"])
    remove_words("letters", "kind", ["survey_test"])
    remove_words("audit_events", "what", _HAPPENED)
