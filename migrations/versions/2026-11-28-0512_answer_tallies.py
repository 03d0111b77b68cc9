"""Answers counted once a day has ended, and triggers that say which days have to be counted anew.

Triggers, since what moves an answer from one figure to another stands in rooms that know nothing of surveys: an account's
plan, a contact's language, a journey's consultant. None of them runs when an answer is written.
"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "2611280512"
down_revision: str | Sequence[str] | None = "2611280142"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


# Name, when, on which table, under which condition, and the days that it makes stale.
TRIGGERS = (
    (
        "stale_answers_changed",
        "UPDATE OF invitation_id, csat, nps, comment, wants_help, others, submitted_at, quarantined_at, superseded_at",
        "answers",
        "",
        "SELECT {old_answer}, '' UNION SELECT {new_answer}, ''",
    ),
    ("stale_answers_gone", "DELETE", "answers", "", "SELECT {old_answer}, ''"),
    (
        "stale_invitations_moved",
        "UPDATE OF sent_at, survey_id",
        "invitations",
        "OLD.sent_at IS NOT NULL",
        "SELECT {old_sending}, '' UNION SELECT {new_sending}, '' WHERE NEW.sent_at IS NOT NULL "
        "UNION SELECT {day_of_answer}, '' FROM answers WHERE invitation_id = NEW.id",
    ),
    (
        "stale_invitations_gone",
        "DELETE",
        "invitations",
        "OLD.sent_at IS NOT NULL",
        "SELECT {old_sending}, ''",
    ),
    (
        "stale_plans",
        "UPDATE OF plan",
        "accounts",
        "OLD.plan <> NEW.plan",
        "SELECT {day_of_answer}, 'plan' FROM answers WHERE account_id = NEW.id "
        "UNION SELECT {day_of_sending}, 'plan' FROM invitations WHERE account_id = NEW.id AND sent_at IS NOT NULL",
    ),
    (
        "stale_languages",
        "UPDATE OF language",
        "contacts",
        "OLD.language <> NEW.language",
        "SELECT {day_of_answer}, 'language' FROM invitations JOIN answers ON answers.invitation_id = invitations.id "
        "WHERE invitations.contact_id = NEW.id "
        "UNION SELECT {day_of_sending}, 'language' FROM invitations WHERE contact_id = NEW.id AND sent_at IS NOT NULL",
    ),
    (
        "stale_owners",
        "UPDATE OF owner_id",
        "journeys",
        "OLD.owner_id {differs} NEW.owner_id",
        "SELECT {day_of_answer}, 'owner' FROM answers WHERE journey_id = NEW.id "
        "UNION SELECT {day_of_sending}, 'owner' FROM invitations WHERE journey_id = NEW.id AND sent_at IS NOT NULL",
    ),
    (
        "stale_stages",
        "UPDATE OF stage_id, entered_at",
        "visits",
        "OLD.stage_id <> NEW.stage_id OR OLD.entered_at <> NEW.entered_at",
        "SELECT {day_of_answer}, 'stage' FROM answers WHERE journey_id = NEW.journey_id "
        "UNION SELECT {day_of_sending}, 'stage' FROM invitations WHERE journey_id = NEW.journey_id AND sent_at IS NOT NULL",
    ),
)
MOMENTS = {
    "day_of_answer": "answers.submitted_at",
    "day_of_sending": "invitations.sent_at",
    "old_answer": "OLD.submitted_at",
    "new_answer": "NEW.submitted_at",
    "old_sending": "OLD.sent_at",
    "new_sending": "NEW.sent_at",
}


def upgrade() -> None:
    number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    json = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
    op.create_table(
        "answer_tallies",
        sa.Column("survey_id", number, nullable=False),
        sa.Column("kind", sa.String(80), nullable=False),
        sa.Column("value", sa.String(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("counts", json, nullable=False),
        sa.Column("sent", json, nullable=False),
        sa.ForeignKeyConstraint(
            ["survey_id"], ["surveys.id"], name=op.f("fk_answer_tallies_survey_id_surveys"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("survey_id", "kind", "value", "day", name=op.f("pk_answer_tallies")),
    )
    op.create_table(
        "stale_tallies",
        sa.Column("id", number, nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("kind", sa.String(80), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_stale_tallies")),
    )
    op.create_index("ix_stale_tallies_day", "stale_tallies", ["day", "kind"])
    op.create_index("ix_invitations_open", "invitations", ["survey_id", "expires_at"])
    op.create_index("ix_accounts_plan", "accounts", ["plan"])
    is_postgresql = op.get_bind().dialect.name == "postgresql"
    days = {
        name: f"({at} AT TIME ZONE 'UTC')::date" if is_postgresql else f"date({at})" for name, at in MOMENTS.items()
    }
    differs = "IS DISTINCT FROM" if is_postgresql else "IS NOT"
    for name, when, table, condition, stale in TRIGGERS:
        only = f"WHEN ({condition.format(differs=differs)})" if condition else ""
        noted = f"INSERT INTO stale_tallies (day, kind) {stale.format(**days)}"
        if is_postgresql:
            op.execute(
                f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {noted}; RETURN NULL; END $$"
            )
            op.execute(f"CREATE TRIGGER {name} AFTER {when} ON {table} FOR EACH ROW {only} EXECUTE FUNCTION {name}()")
        else:
            op.execute(f"CREATE TRIGGER {name} AFTER {when} ON {table} {only} BEGIN {noted}; END")


def downgrade() -> None:
    is_postgresql = op.get_bind().dialect.name == "postgresql"
    for name, _when, table, _condition, _stale in TRIGGERS:
        op.execute(f"DROP TRIGGER {name} ON {table}" if is_postgresql else f"DROP TRIGGER {name}")
        if is_postgresql:
            op.execute(f"DROP FUNCTION {name}()")
    op.drop_index("ix_accounts_plan", table_name="accounts")
    op.drop_index("ix_invitations_open", table_name="invitations")
    op.drop_index("ix_stale_tallies_day", table_name="stale_tallies")
    op.drop_table("stale_tallies")
    op.drop_table("answer_tallies")
