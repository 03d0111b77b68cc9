"""Plans from templates, what milestones wait for, who is stuck, how far goals are, and plans shown before the sale."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from portal.closed_sets import add_words, remove_words

revision: str = "2611272035"
down_revision: str | Sequence[str] | None = "2611272045"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
AT = sa.DateTime(timezone=True)
HAPPENED = (
    "stuck",
    "unstuck",
    "plan_changed",
    "goal_progressed",
    "plan_template_changed",
    "public_plan_made",
    "public_plan_revoked",
    "public_plan_connected",
)


def _closed(name: str, *words: str) -> sa.Enum:
    return sa.Enum(*words, name=name, native_enum=False, create_constraint=True, length=40)


def upgrade() -> None:
    add_words("audit_events", "what", HAPPENED)
    add_words("letters", "kind", ["stuck"])
    add_words("activities", "kind", ["unstick"])
    op.add_column("milestones", sa.Column("stage_key", sa.String(80), nullable=False, server_default=sa.text("''")))
    op.add_column("milestones", sa.Column("needs", sa.String(1000), nullable=False, server_default=sa.text("''")))
    op.add_column("goals", sa.Column("unit", sa.String(60), nullable=False, server_default=sa.text("''")))
    for name in ("starts", "target", "reached"):
        op.add_column("goals", sa.Column(name, sa.Numeric(14, 2), nullable=True))
    op.create_table(
        "stuck_notes",
        sa.Column("id", BIG, nullable=False),
        sa.Column("journey_id", BIG, nullable=False),
        sa.Column("milestone_id", BIG, nullable=False),
        sa.Column("contact_id", BIG, nullable=False),
        sa.Column("words", sa.String(2000), nullable=False),
        sa.Column("at", AT, nullable=False),
        sa.Column("settled_at", AT, nullable=True),
        sa.Column("settled_by", sa.String(120), nullable=False),
        sa.CheckConstraint("(settled_at IS NULL) = (settled_by = '')", name=op.f("ck_stuck_notes_settled_by_somebody")),
        sa.ForeignKeyConstraint(["journey_id"], ["journeys.id"], name=op.f("fk_stuck_notes_journey_id_journeys")),
        sa.ForeignKeyConstraint(
            ["milestone_id"],
            ["milestones.id"],
            name=op.f("fk_stuck_notes_milestone_id_milestones"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(["contact_id"], ["contacts.id"], name=op.f("fk_stuck_notes_contact_id_contacts")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_stuck_notes")),
    )
    op.create_index("ix_stuck_notes_journey_id", "stuck_notes", ["journey_id"])
    op.create_index(
        "uq_stuck_notes_open",
        "stuck_notes",
        ["milestone_id"],
        unique=True,
        sqlite_where=sa.text("settled_at IS NULL"),
        postgresql_where=sa.text("settled_at IS NULL"),
    )
    op.create_table(
        "plan_templates",
        sa.Column("id", BIG, nullable=False),
        sa.Column("product", sa.String(200), nullable=False),
        sa.Column("product_key", sa.String(200), nullable=False),
        sa.Column("created_at", AT, nullable=False),
        sa.Column("created_by", sa.String(120), nullable=False),
        sa.Column("changed_at", AT, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_plan_templates")),
        sa.UniqueConstraint("product_key", name=op.f("uq_plan_templates_product_key")),
    )
    op.create_table(
        "plan_entries",
        sa.Column("id", BIG, nullable=False),
        sa.Column("template_id", BIG, nullable=False),
        sa.Column("kind", _closed("kind", "milestone", "touchpoint"), nullable=False),
        sa.Column("key", sa.String(80), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("stage_key", sa.String(80), nullable=False),
        sa.Column("title_en", sa.String(200), nullable=False),
        sa.Column("title_pt", sa.String(200), nullable=False),
        sa.Column("text_en", sa.String(500), nullable=False),
        sa.Column("text_pt", sa.String(500), nullable=False),
        sa.Column("whose", _closed("whose", "you", "us", "together"), nullable=False),
        sa.Column("channel", sa.String(20), nullable=False),
        sa.Column("day", sa.Integer(), nullable=True),
        sa.Column("after_key", sa.String(80), nullable=False),
        sa.Column("after_days", sa.Integer(), nullable=False),
        sa.Column("needs", sa.String(1000), nullable=False),
        sa.ForeignKeyConstraint(
            ["template_id"],
            ["plan_templates.id"],
            name=op.f("fk_plan_entries_template_id_plan_templates"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_plan_entries")),
        sa.UniqueConstraint("template_id", "kind", "key", name=op.f("uq_plan_entries_template_id_kind_key")),
    )
    op.create_table(
        "public_plans",
        sa.Column("id", BIG, nullable=False),
        sa.Column("nonce", sa.String(32), nullable=False),
        sa.Column("prospect", sa.String(200), nullable=False),
        sa.Column("product", sa.String(200), nullable=False),
        sa.Column("language", _closed("language", "en", "pt-BR"), nullable=False),
        sa.Column("starts_on", sa.Date(), nullable=False),
        sa.Column("entries", JSON, nullable=False),
        sa.Column("staff_id", BIG, nullable=False),
        sa.Column("created_at", AT, nullable=False),
        sa.Column("created_by", sa.String(120), nullable=False),
        sa.Column("revoked_at", AT, nullable=True),
        sa.Column("revoked_by", sa.String(120), nullable=False),
        sa.Column("account_id", BIG, nullable=True),
        sa.Column("connected_at", AT, nullable=True),
        sa.CheckConstraint(
            "(revoked_at IS NULL) = (revoked_by = '')", name=op.f("ck_public_plans_revoked_by_somebody")
        ),
        sa.ForeignKeyConstraint(["staff_id"], ["staff.id"], name=op.f("fk_public_plans_staff_id_staff")),
        sa.ForeignKeyConstraint(
            ["account_id"], ["accounts.id"], name=op.f("fk_public_plans_account_id_accounts"), ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_public_plans")),
        sa.UniqueConstraint("account_id", name=op.f("uq_public_plans_account_id")),
    )
    # What journeys start with lies in templates from now on; each journey has its own copy already.
    op.drop_column("pipelines", "plan")


def downgrade() -> None:
    # "[]" is JSON on both databases; journeys that open after the way back start without milestones until the plan is loaded.
    op.add_column("pipelines", sa.Column("plan", JSON, nullable=False, server_default="[]"))
    op.drop_table("public_plans")
    op.drop_table("plan_entries")
    op.drop_table("plan_templates")
    op.drop_table("stuck_notes")
    for name in ("starts", "target", "reached", "unit"):
        op.drop_column("goals", name)
    op.drop_column("milestones", "needs")
    op.drop_column("milestones", "stage_key")
    remove_words("activities", "kind", ["unstick"])
    remove_words("letters", "kind", ["stuck"])
    remove_words("audit_events", "what", HAPPENED)
