"""The kick-off and the two-week check-in are offered by mail, once each, by a link that books."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

from portal.closed_sets import add_words, remove_words

revision: str = "2611280120"
down_revision: str | Sequence[str] | None = "2611280106"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

KINDS = ("kickoff", "day14", "checkup", "doubt")


def upgrade() -> None:
    big = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "meeting_offers",
        sa.Column("id", big, nullable=False),
        sa.Column("journey_id", big, nullable=False),
        sa.Column(
            "kind", sa.Enum(*KINDS, name="kind", native_enum=False, create_constraint=True, length=40), nullable=False
        ),
        sa.Column("contact_id", big, nullable=False),
        sa.Column("nonce", sa.String(length=40), nullable=False),
        sa.Column("offered_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["journey_id"], ["journeys.id"], name=op.f("fk_meeting_offers_journey_id_journeys"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["contact_id"], ["contacts.id"], name=op.f("fk_meeting_offers_contact_id_contacts"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_meeting_offers")),
        sa.UniqueConstraint("journey_id", "kind", name=op.f("uq_meeting_offers_journey_id_kind")),
    )
    op.create_index(op.f("ix_meeting_offers_contact_id"), "meeting_offers", ["contact_id"])
    add_words("letters", "kind", ["meeting_offer"])


def downgrade() -> None:
    remove_words("letters", "kind", ["meeting_offer"])
    op.drop_index(op.f("ix_meeting_offers_contact_id"), table_name="meeting_offers")
    op.drop_table("meeting_offers")
