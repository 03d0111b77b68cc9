"""The thread of an account: messages, what came along, who read how far, and the mails that came in."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from portal.closed_sets import add_words, remove_words

revision: str = "2611272040"
down_revision: str | Sequence[str] | None = "2611272055"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
INSTANT = sa.DateTime(timezone=True)

HAPPENED = ["message_received", "message_sent", "mail_set_aside"]
KINDS = ["message_to_customer", "message_to_staff"]
ACTIVITIES = ["answer_message"]


def upgrade() -> None:
    op.create_table(
        "threads",
        sa.Column("account_id", BIG, nullable=False),
        sa.Column("last_at", INSTANT, nullable=False),
        sa.Column("last_from_customer_id", BIG, nullable=False),
        sa.Column("last_from_staff_id", BIG, nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["accounts.id"], name=op.f("fk_threads_account_id_accounts"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("account_id", name=op.f("pk_threads")),
    )
    op.create_table(
        "messages",
        sa.Column("id", BIG, nullable=False),
        sa.Column("account_id", BIG, nullable=False),
        sa.Column("journey_id", BIG, nullable=True),
        sa.Column("contact_id", BIG, nullable=True),
        sa.Column("staff_id", BIG, nullable=True),
        sa.Column("at", INSTANT, nullable=False),
        sa.Column(
            "via",
            sa.Enum("portal", "email", name="via", native_enum=False, create_constraint=True, length=40),
            nullable=False,
        ),
        sa.Column("text", sa.String(length=10000), nullable=False),
        sa.Column("original", sa.Text(), nullable=False),
        sa.Column("left_out", JSON, nullable=False),
        sa.Column("key", sa.String(length=80), nullable=False),
        sa.Column("message_id", sa.String(length=200), nullable=False),
        sa.CheckConstraint("(contact_id IS NULL) <> (staff_id IS NULL)", name=op.f("ck_messages_one_author")),
        sa.ForeignKeyConstraint(
            ["account_id"], ["accounts.id"], name=op.f("fk_messages_account_id_accounts"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["contact_id"], ["contacts.id"], name=op.f("fk_messages_contact_id_contacts"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["staff_id"], ["staff.id"], name=op.f("fk_messages_staff_id_staff")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_messages")),
        sa.UniqueConstraint("key", name=op.f("uq_messages_key")),
    )
    op.create_index("ix_messages_account_id", "messages", ["account_id", "id"], unique=False)
    op.create_index("ix_messages_journey_id", "messages", ["journey_id", "id"], unique=False)
    op.create_table(
        "message_attachments",
        sa.Column("message_id", BIG, nullable=False),
        sa.Column("medium_id", BIG, nullable=False),
        sa.ForeignKeyConstraint(
            ["medium_id"], ["media.id"], name=op.f("fk_message_attachments_medium_id_media"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["message_id"], ["messages.id"], name=op.f("fk_message_attachments_message_id_messages"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("message_id", "medium_id", name=op.f("pk_message_attachments")),
    )
    op.create_index(op.f("ix_message_attachments_medium_id"), "message_attachments", ["medium_id"], unique=False)
    op.create_table(
        "read_marks",
        sa.Column("id", BIG, nullable=False),
        sa.Column("account_id", BIG, nullable=False),
        sa.Column("contact_id", BIG, nullable=True),
        sa.Column("staff_id", BIG, nullable=True),
        sa.Column("read_id", BIG, nullable=False),
        sa.Column("at", INSTANT, nullable=False),
        sa.CheckConstraint("(contact_id IS NULL) <> (staff_id IS NULL)", name=op.f("ck_read_marks_one_reader")),
        sa.ForeignKeyConstraint(
            ["account_id"], ["accounts.id"], name=op.f("fk_read_marks_account_id_accounts"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["contact_id"], ["contacts.id"], name=op.f("fk_read_marks_contact_id_contacts"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["staff_id"], ["staff.id"], name=op.f("fk_read_marks_staff_id_staff"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_read_marks")),
        sa.UniqueConstraint("account_id", "contact_id", name=op.f("uq_read_marks_account_id_contact_id")),
        sa.UniqueConstraint("account_id", "staff_id", name=op.f("uq_read_marks_account_id_staff_id")),
    )
    op.create_index(op.f("ix_read_marks_contact_id"), "read_marks", ["contact_id"], unique=False)
    op.create_index(op.f("ix_read_marks_staff_id"), "read_marks", ["staff_id"], unique=False)
    op.create_table(
        "incoming_mails",
        sa.Column("id", BIG, nullable=False),
        sa.Column("key", sa.String(length=80), nullable=False),
        sa.Column("received_at", INSTANT, nullable=False),
        sa.Column("sender", sa.String(length=40), nullable=False),
        sa.Column("account_id", BIG, nullable=True),
        sa.Column("from_email", sa.String(length=254), nullable=False),
        sa.Column("subject", sa.String(length=200), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column(
            "became",
            sa.Enum(
                "message",
                "unknown_sender",
                "automatic",
                "loop",
                "too_many",
                "bounce",
                "empty",
                "not_for_us",
                "unreadable",
                name="became",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("message_id", BIG, nullable=True),
        sa.Column("put_away_at", INSTANT, nullable=True),
        sa.ForeignKeyConstraint(
            ["account_id"], ["accounts.id"], name=op.f("fk_incoming_mails_account_id_accounts"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["message_id"], ["messages.id"], name=op.f("fk_incoming_mails_message_id_messages"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_incoming_mails")),
        sa.UniqueConstraint("key", name=op.f("uq_incoming_mails_key")),
    )
    op.create_index("ix_incoming_mails_account_id", "incoming_mails", ["account_id", "received_at"], unique=False)
    op.create_index("ix_incoming_mails_sender", "incoming_mails", ["sender", "received_at"], unique=False)
    op.create_index(op.f("ix_incoming_mails_message_id"), "incoming_mails", ["message_id"], unique=False)
    op.create_index("ix_letters_message_id", "letters", ["message_id"], unique=False)
    add_words("audit_events", "what", HAPPENED)
    add_words("letters", "kind", KINDS)
    add_words("activities", "kind", ACTIVITIES)


def downgrade() -> None:
    remove_words("activities", "kind", ACTIVITIES)
    remove_words("letters", "kind", KINDS)
    remove_words("audit_events", "what", HAPPENED)
    op.drop_index("ix_letters_message_id", table_name="letters")
    op.drop_table("incoming_mails")
    op.drop_table("read_marks")
    op.drop_table("message_attachments")
    op.drop_table("messages")
    op.drop_table("threads")
