"""A consultant's busy times are one row: a page of free times read two thousand rows of which it needed the numbers alone."""

import struct
from collections.abc import Sequence
from itertools import groupby

import sqlalchemy as sa
from alembic import op

revision: str = "2611280106"
down_revision: str | Sequence[str] | None = "2611280059"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

_ROWS = sa.table("busy_times", sa.column("staff_id"), sa.column("first_tick"), sa.column("end_tick"))
_PACKED = sa.table("busy_spans", sa.column("staff_id"), sa.column("packed", sa.LargeBinary))


def upgrade() -> None:
    op.create_table(
        "busy_spans",
        sa.Column("staff_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("packed", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["staff_id"], ["staff.id"], name=op.f("fk_busy_spans_staff_id_staff"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("staff_id", name=op.f("pk_busy_spans")),
    )
    db = op.get_bind()
    columns = (_ROWS.c.staff_id, _ROWS.c.first_tick, _ROWS.c.end_tick)
    rows = db.execute(sa.select(*columns).distinct().order_by(*columns)).all()
    for staff_id, those in groupby(rows, key=lambda row: row.staff_id):
        bounds = [bound for _, first, end in those for bound in (first, end)]
        db.execute(_PACKED.insert().values(staff_id=staff_id, packed=struct.pack(f"<{len(bounds)}I", *bounds)))
    op.drop_index("ix_busy_times_staff_id", table_name="busy_times")
    op.drop_table("busy_times")


def downgrade() -> None:
    op.create_table(
        "busy_times",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("staff_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("first_tick", sa.Integer(), nullable=False),
        sa.Column("end_tick", sa.Integer(), nullable=False),
        sa.CheckConstraint("first_tick < end_tick", name=op.f("ck_busy_times_times")),
        sa.ForeignKeyConstraint(
            ["staff_id"], ["staff.id"], name=op.f("fk_busy_times_staff_id_staff"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_busy_times")),
    )
    op.create_index("ix_busy_times_staff_id", "busy_times", ["staff_id", "end_tick"])
    db = op.get_bind()
    for staff_id, packed in db.execute(sa.select(_PACKED.c.staff_id, _PACKED.c.packed)).all():
        bounds = struct.unpack(f"<{len(packed) // 4}I", packed)
        rows = [
            {"staff_id": staff_id, "first_tick": first, "end_tick": end}
            for first, end in zip(bounds[::2], bounds[1::2], strict=True)
        ]
        if rows:
            db.execute(_ROWS.insert(), rows)
    op.drop_table("busy_spans")
