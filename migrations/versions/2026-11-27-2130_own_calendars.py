"""Consultants' own calendars and holidays; kinds of meeting as settings; what became of meetings that nobody closed."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from portal.closed_sets import add_words, remove_words

revision: str = "2611272130"
down_revision: str | Sequence[str] | None = "2611272100"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.create_table(
        "meeting_kinds",
        sa.Column(
            "kind",
            sa.Enum(
                "kickoff",
                "day14",
                "checkup",
                "doubt",
                name="kind",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("length_minutes", sa.Integer(), nullable=False),
        sa.Column("before_minutes", sa.Integer(), nullable=False),
        sa.Column("after_minutes", sa.Integer(), nullable=False),
        sa.Column("notice_hours", sa.Integer(), nullable=False),
        sa.Column("horizon_days", sa.Integer(), nullable=False),
        sa.Column("changes_until_hours", sa.Integer(), nullable=False),
        sa.Column("ways", sa.String(length=80), nullable=False),
        sa.Column("agenda_en", sa.String(length=10000), nullable=False),
        sa.Column("agenda_pt", sa.String(length=10000), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("changed_by", sa.String(length=120), nullable=False),
        sa.CheckConstraint(
            "after_minutes BETWEEN 0 AND 240 AND after_minutes / 15 * 15 = after_minutes",
            name=op.f("ck_meeting_kinds_after"),
        ),
        sa.CheckConstraint(
            "before_minutes BETWEEN 0 AND 240 AND before_minutes / 15 * 15 = before_minutes",
            name=op.f("ck_meeting_kinds_before"),
        ),
        sa.CheckConstraint("changes_until_hours BETWEEN 0 AND 168", name=op.f("ck_meeting_kinds_changes")),
        sa.CheckConstraint("horizon_days BETWEEN 1 AND 60", name=op.f("ck_meeting_kinds_horizon")),
        sa.CheckConstraint(
            "length_minutes BETWEEN 15 AND 480 AND length_minutes / 15 * 15 = length_minutes",
            name=op.f("ck_meeting_kinds_length"),
        ),
        sa.CheckConstraint("notice_hours BETWEEN 0 AND 336", name=op.f("ck_meeting_kinds_notice")),
        sa.PrimaryKeyConstraint("kind", name=op.f("pk_meeting_kinds")),
    )
    op.create_table(
        "busy_calendars",
        sa.Column("staff_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("locked_address", sa.String(length=4000), nullable=False),
        sa.Column("host", sa.String(length=255), nullable=False),
        sa.Column("added_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("try_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("leased_by", sa.String(length=40), nullable=False),
        sa.Column("etag", sa.String(length=300), nullable=False),
        sa.Column("last_modified", sa.String(length=100), nullable=False),
        sa.Column("read_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("worked_out_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("busy_count", sa.Integer(), nullable=False),
        sa.Column("left_out", sa.Integer(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("failed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("error", sa.String(length=300), nullable=False),
        sa.Column("error_values", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=False),
        sa.Column("told_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["staff_id"], ["staff.id"], name=op.f("fk_busy_calendars_staff_id_staff"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("staff_id", name=op.f("pk_busy_calendars")),
    )
    op.create_index(op.f("ix_busy_calendars_try_at"), "busy_calendars", ["try_at"], unique=False)
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
    op.create_index("ix_busy_times_staff_id", "busy_times", ["staff_id", "end_tick"], unique=False)
    op.create_table(
        "holiday_places",
        sa.Column("staff_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("place", sa.String(length=12), nullable=False),
        sa.ForeignKeyConstraint(
            ["staff_id"], ["staff.id"], name=op.f("fk_holiday_places_staff_id_staff"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("staff_id", name=op.f("pk_holiday_places")),
    )
    op.add_column("meetings", sa.Column("before_minutes", sa.Integer(), server_default="0", nullable=False))
    op.add_column("meetings", sa.Column("changes_until_hours", sa.Integer(), server_default="2", nullable=False))
    op.add_column("meetings", sa.Column("asked_at", sa.DateTime(timezone=True), nullable=True))
    op.create_index(
        "ix_meetings_unasked",
        "meetings",
        ["ends_at"],
        unique=False,
        sqlite_where=sa.text("cancelled_at IS NULL AND held_at IS NULL AND missed_at IS NULL AND asked_at IS NULL"),
        postgresql_where=sa.text("cancelled_at IS NULL AND held_at IS NULL AND missed_at IS NULL AND asked_at IS NULL"),
    )
    # Nobody is asked about the past of a deployment that begins to ask.
    op.execute("UPDATE meetings SET asked_at = changed_at WHERE ends_at < CURRENT_TIMESTAMP")
    add_words("letters", "kind", ["meeting_missed", "calendar_unreadable"])
    add_words("activities", "kind", ["confirm_meeting"])
    add_words("audit_events", "what", ["meeting_kind_changed"])


def downgrade() -> None:
    remove_words("audit_events", "what", ["meeting_kind_changed"])
    remove_words("activities", "kind", ["confirm_meeting"])
    remove_words("letters", "kind", ["meeting_missed", "calendar_unreadable"])
    op.drop_index(
        "ix_meetings_unasked",
        table_name="meetings",
        sqlite_where=sa.text("cancelled_at IS NULL AND held_at IS NULL AND missed_at IS NULL AND asked_at IS NULL"),
        postgresql_where=sa.text("cancelled_at IS NULL AND held_at IS NULL AND missed_at IS NULL AND asked_at IS NULL"),
    )
    op.drop_column("meetings", "asked_at")
    op.drop_column("meetings", "changes_until_hours")
    op.drop_column("meetings", "before_minutes")
    op.drop_table("holiday_places")
    op.drop_index("ix_busy_times_staff_id", table_name="busy_times")
    op.drop_table("busy_times")
    op.drop_index(op.f("ix_busy_calendars_try_at"), table_name="busy_calendars")
    op.drop_table("busy_calendars")
    op.drop_table("meeting_kinds")
