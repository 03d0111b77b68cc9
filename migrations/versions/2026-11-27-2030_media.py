"""Pictures and files that people bring."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "2611272030"
down_revision: str | Sequence[str] | None = "2611272035"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

BIG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "media",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("address", sa.String(length=80), nullable=False),
        sa.Column(
            "reach",
            sa.Enum(
                "by_address", "through_its_page", name="reach", native_enum=False, create_constraint=True, length=40
            ),
            nullable=False,
        ),
        sa.Column("media_type", sa.String(length=80), nullable=False),
        sa.Column("name", sa.String(length=120), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("width", sa.Integer(), nullable=True),
        sa.Column("height", sa.Integer(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_by", sa.String(length=120), nullable=False),
        sa.CheckConstraint("size > 0", name=op.f("ck_media_not_empty")),
        sa.CheckConstraint("(width IS NULL) = (height IS NULL)", name=op.f("ck_media_both_sides")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_media")),
        sa.UniqueConstraint("address", name=op.f("uq_media_address")),
    )
    op.create_table(
        "media_bytes",
        sa.Column("medium_id", BIG_ID, nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["medium_id"], ["media.id"], name=op.f("fk_media_bytes_medium_id_media"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("medium_id", name=op.f("pk_media_bytes")),
    )


def downgrade() -> None:
    op.drop_table("media_bytes")
    op.drop_table("media")
