"""The contact budget: what people were asked for and what became of it, and whom of an account we ask."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

from portal.closed_sets import add_words, remove_words

revision: str = "2611272156"
down_revision: str | Sequence[str] | None = "2611272155"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _words(name: str, *words: str) -> sa.Enum:
    return sa.Enum(*words, name=name, native_enum=False, create_constraint=True, length=40)


def upgrade() -> None:
    op.create_table(
        "requests",
        sa.Column("id", _ID, nullable=False),
        sa.Column("key", sa.String(length=120), nullable=False),
        sa.Column("asked", _words("asked", "survey", "reminder", "news", "offer", "referral"), nullable=False),
        sa.Column("contact_id", _ID, nullable=False),
        sa.Column("account_id", _ID, nullable=False),
        sa.Column("journey_id", _ID, nullable=True),
        sa.Column("day", sa.Integer(), nullable=False),
        sa.Column("became", _words("became", "waiting", "mail", "call", "whatsapp", "card"), nullable=False),
        sa.Column(
            "why",
            _words(
                "why",
                "open_flag",
                "too_soon",
                "no_address",
                "refused",
                "prefers_phone",
                "prefers_whatsapp",
                "prefers_portal",
                "fewer_requests",
                "budget",
                "missed_meeting",
                "out_of_hours",
                "no_hour",
                "late",
                "no_survey",
            ),
            nullable=True,
        ),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("became IN ('mail', 'call') OR why IS NOT NULL", name=op.f("ck_requests_why_no_mail")),
        sa.ForeignKeyConstraint(
            ["account_id"], ["accounts.id"], name=op.f("fk_requests_account_id_accounts"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["contact_id"], ["contacts.id"], name=op.f("fk_requests_contact_id_contacts"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_requests")),
        sa.UniqueConstraint("key", name=op.f("uq_requests_key")),
    )
    op.create_index("ix_requests_contact_id", "requests", ["contact_id", "at"], unique=False)
    op.create_index("ix_requests_account_id", "requests", ["account_id"], unique=False)
    op.create_index("ix_requests_journey_id", "requests", ["journey_id", "day"], unique=False)
    op.create_table(
        "asking_choices",
        sa.Column("contact_id", _ID, nullable=False),
        sa.Column("is_asked", sa.Boolean(), nullable=False),
        sa.Column("chosen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("chosen_by", sa.String(length=120), nullable=False),
        sa.ForeignKeyConstraint(
            ["contact_id"], ["contacts.id"], name=op.f("fk_asking_choices_contact_id_contacts"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("contact_id", name=op.f("pk_asking_choices")),
    )
    add_words("activities", "kind", ["ask_by_whatsapp"])
    add_words("referral_prompts", "withheld", ["not_wanted"])
    add_words("audit_events", "what", ["asking_changed"])


def downgrade() -> None:
    remove_words("referral_prompts", "withheld", ["not_wanted"])
    remove_words("audit_events", "what", ["asking_changed"])
    remove_words("activities", "kind", ["ask_by_whatsapp"])
    op.drop_table("asking_choices")
    op.drop_index("ix_requests_journey_id", table_name="requests")
    op.drop_index("ix_requests_account_id", table_name="requests")
    op.drop_index("ix_requests_contact_id", table_name="requests")
    op.drop_table("requests")
