"""What we remember of journeys: pipelines and stages, visits, contacts, activities, flags, the plan."""

from datetime import date, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import (
    CheckConstraint,
    ForeignKey,
    Index,
    Integer,
    String,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from portal.accounts.rules import Channel, Language
from portal.db import Base, By, Id, Key, Prose, Words, choice
from portal.journeys.rules import (
    ActivityKind,
    Ending,
    EntryKind,
    FlagOrigin,
    FlagOutcome,
    LimitFrom,
    Outcome,
    SettledBy,
    Status,
    Whose,
)


class PipelineRow(Base):
    """A pipeline as it was at one version; journeys under way keep theirs."""

    __tablename__ = "pipelines"
    __table_args__ = (UniqueConstraint("key", "version"),)

    id: Mapped[Id]
    key: Mapped[Key]
    version: Mapped[int] = mapped_column(Integer)
    name_en: Mapped[Words]
    name_pt: Mapped[Words]
    created_at: Mapped[datetime]


class StageRow(Base):
    """One stage: its names for staff and customers, its limit, and the names of what it does."""

    __tablename__ = "stages"
    __table_args__ = (UniqueConstraint("pipeline_id", "position"), UniqueConstraint("pipeline_id", "key"))

    id: Mapped[Id]
    pipeline_id: Mapped[int] = mapped_column(ForeignKey("pipelines.id"))
    position: Mapped[int] = mapped_column(Integer)
    key: Mapped[Key]
    name_en: Mapped[Words]
    name_pt: Mapped[Words]
    customer_name_en: Mapped[Words]
    customer_name_pt: Mapped[Words]
    customer_text_en: Mapped[str] = mapped_column(String(500), default="")
    customer_text_pt: Mapped[str] = mapped_column(String(500), default="")
    moves_on: Mapped[list[str]] = mapped_column(default=list)
    on_enter: Mapped[list[dict[str, Any]]] = mapped_column(default=list)
    limit_days: Mapped[int | None] = mapped_column(Integer)
    limit_from: Mapped[LimitFrom] = mapped_column(choice(LimitFrom, "limit_from"), default=LimitFrom.ENTERED)
    contact_day: Mapped[int | None] = mapped_column(Integer)
    gives_way_on_day: Mapped[int | None] = mapped_column(Integer)
    ends: Mapped[Ending | None] = mapped_column(choice(Ending, "ends"))
    by_hand_only: Mapped[bool] = mapped_column(default=False)


class JourneyRow(Base):
    """One account's trip through one pipeline. `position` and `stage_id` repeat the open visit, for the board."""

    __tablename__ = "journeys"
    __table_args__ = (
        # One journey under way a pipeline and account; approving again makes no second Relationship (invariant 4).
        Index(
            "uq_journeys_open",
            "account_id",
            "pipeline_key",
            unique=True,
            sqlite_where=text("status = 'open'"),
            postgresql_where=text("status = 'open'"),
        ),
        UniqueConstraint("previous_journey_id"),
        CheckConstraint("open_flags >= 0", name="open_flags"),
        CheckConstraint("(status = 'open') = (ended_at IS NULL)", name="ended"),
        # The board's columns, already in their order: flags first, then the longest in the stage.
        Index("ix_journeys_board", "stage_id", "status", text("open_flags DESC"), "entered_at", "id"),
        Index("ix_journeys_board_owner", "owner_id", "stage_id", "status", text("open_flags DESC"), "entered_at", "id"),
        Index("ix_journeys_account_id", "account_id"),
        # Lists in the order of ids, whatever they are narrowed to.
        Index("ix_journeys_stage_id", "stage_id", "id"),
        Index("ix_journeys_owner_id", "owner_id", "id"),
        Index("ix_journeys_pipeline_key", "pipeline_key", "id"),
        Index(
            "ix_journeys_flagged", "id", sqlite_where=text("open_flags > 0"), postgresql_where=text("open_flags > 0")
        ),
        Index(
            "ix_journeys_alert_at",
            "alert_at",
            sqlite_where=text("alert_at IS NOT NULL"),
            postgresql_where=text("alert_at IS NOT NULL"),
        ),
    )

    id: Mapped[Id]
    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id"))
    pipeline_id: Mapped[int] = mapped_column(ForeignKey("pipelines.id"))
    pipeline_key: Mapped[Key]
    stage_id: Mapped[int] = mapped_column(ForeignKey("stages.id"))
    position: Mapped[int] = mapped_column(Integer)
    visit: Mapped[int] = mapped_column(Integer, default=1)
    moved_back: Mapped[bool] = mapped_column(default=False)
    owner_id: Mapped[int | None] = mapped_column(ForeignKey("staff.id"))
    status: Mapped[Status] = mapped_column(choice(Status, "status"), default=Status.OPEN)
    zone: Mapped[str] = mapped_column(String(64))
    opened_at: Mapped[datetime]
    entered_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    use_started_on: Mapped[date | None]
    analysed_at: Mapped[datetime | None]
    first_contact_at: Mapped[datetime | None]
    worked_at: Mapped[datetime | None]
    held_until: Mapped[datetime | None]
    open_flags: Mapped[int] = mapped_column(Integer, default=0)
    behind_at: Mapped[datetime | None]
    stuck_at: Mapped[datetime | None]
    alert_at: Mapped[datetime | None]
    """When the next stagnation alert is to be told: at `behind_at`, then at `stuck_at`."""
    previous_journey_id: Mapped[int | None] = mapped_column(ForeignKey("journeys.id"))
    version: Mapped[int] = mapped_column(default=1)


class Visit(Base):
    """A stay in a stage. Gapless and without overlap (invariant 6): one is open, each ends where the next begins."""

    __tablename__ = "visits"
    __table_args__ = (
        UniqueConstraint("journey_id", "seq"),
        Index(
            "uq_visits_open",
            "journey_id",
            unique=True,
            sqlite_where=text("left_at IS NULL"),
            postgresql_where=text("left_at IS NULL"),
        ),
        CheckConstraint("left_at IS NULL OR left_at >= entered_at", name="left_after_entered"),
        Index("ix_visits_stage_id", "stage_id"),
    )

    id: Mapped[Id]
    journey_id: Mapped[int] = mapped_column(ForeignKey("journeys.id"))
    seq: Mapped[int] = mapped_column(Integer)
    stage_id: Mapped[int] = mapped_column(ForeignKey("stages.id"))
    entered_at: Mapped[datetime]
    left_at: Mapped[datetime | None]
    moved_by: Mapped[By]
    reason: Mapped[str] = mapped_column(String(500), default="")
    evidence: Mapped[dict[str, Any]] = mapped_column(default=dict)


class FollowUpRow(Base):
    """One of the 30/60/90-day contacts of a journey; its state is read from its facts."""

    __tablename__ = "follow_ups"
    __table_args__ = (
        UniqueConstraint("journey_id", "day"),
        CheckConstraint("(settled_at IS NULL) = (settled_by IS NULL)", name="settled_by_something"),
    )

    id: Mapped[Id]
    journey_id: Mapped[int] = mapped_column(ForeignKey("journeys.id"))
    day: Mapped[int] = mapped_column(Integer)
    due_on: Mapped[date | None]
    due_at: Mapped[datetime | None]
    sent_at: Mapped[datetime | None]
    converted_at: Mapped[datetime | None]
    converted_why: Mapped[str] = mapped_column(String(40), default="")
    settled_at: Mapped[datetime | None]
    settled_by: Mapped[SettledBy | None] = mapped_column(choice(SettledBy, "settled_by"))
    missed_at: Mapped[datetime | None]


class DueAction(Base):
    """Something to do when its time comes, exactly once: `survey:60`, `reminder:30`, `wake:90` (invariant 3)."""

    __tablename__ = "due_actions"
    __table_args__ = (
        UniqueConstraint("journey_id", "key"),
        Index(
            "ix_due_actions_waiting",
            "kind",
            "due_at",
            "id",
            sqlite_where=text("done_at IS NULL AND set_aside_at IS NULL"),
            postgresql_where=text("done_at IS NULL AND set_aside_at IS NULL"),
        ),
    )

    id: Mapped[Id]
    journey_id: Mapped[int] = mapped_column(ForeignKey("journeys.id"))
    kind: Mapped[Key]
    """The word before the colon of the key: `survey`, `reminder`, `wake`, `unless_contact` …"""
    key: Mapped[Key]
    day: Mapped[int] = mapped_column(Integer, default=0)
    what: Mapped[Key] = mapped_column(default="")
    due_at: Mapped[datetime]
    created_at: Mapped[datetime]
    done_at: Mapped[datetime | None]
    result: Mapped[str] = mapped_column(String(40), default="")
    """`done`, or why it was dropped: `settled`, `sign_of_life`, `late`, `open_flag`, `moved_on`."""
    set_aside_at: Mapped[datetime | None]
    error: Mapped[str] = mapped_column(String(2000), default="")


class Activity(Base):
    """Something a consultant is to do."""

    __tablename__ = "activities"
    __table_args__ = (
        UniqueConstraint("journey_id", "key"),
        CheckConstraint("(done_at IS NULL) = (done_by = '')", name="done_by_somebody"),
        Index(
            "ix_activities_open_id",
            "id",
            sqlite_where=text("done_at IS NULL"),
            postgresql_where=text("done_at IS NULL"),
        ),
        Index(
            "ix_activities_open",
            "assignee_id",
            "due_at",
            sqlite_where=text("done_at IS NULL"),
            postgresql_where=text("done_at IS NULL"),
        ),
    )

    id: Mapped[Id]
    journey_id: Mapped[int] = mapped_column(ForeignKey("journeys.id"))
    key: Mapped[Key]
    kind: Mapped[ActivityKind] = mapped_column(choice(ActivityKind, "kind"))
    day: Mapped[int] = mapped_column(Integer, default=0)
    title: Mapped[Words] = mapped_column(default="")
    """Only for activities that people made; the others' titles come from `rules.ACTIVITY_TITLES`."""
    assignee_id: Mapped[int | None] = mapped_column(ForeignKey("staff.id"))
    due_at: Mapped[datetime]
    created_at: Mapped[datetime]
    created_by: Mapped[By]
    done_at: Mapped[datetime | None]
    done_by: Mapped[By] = mapped_column(default="")
    note: Mapped[Prose] = mapped_column(default="")


class Conversation(Base):
    """A conversation that a consultant logged with its result."""

    __tablename__ = "conversations"
    __table_args__ = (Index("ix_conversations_journey_id", "journey_id"),)

    id: Mapped[Id]
    journey_id: Mapped[int] = mapped_column(ForeignKey("journeys.id"))
    contact_id: Mapped[int | None] = mapped_column(ForeignKey("contacts.id"))
    by: Mapped[By]
    at: Mapped[datetime]
    channel: Mapped[Channel] = mapped_column(choice(Channel, "channel"))
    result: Mapped[Outcome] = mapped_column(choice(Outcome, "result"))
    note: Mapped[Prose]


class Flag(Base):
    """A case: somebody is unhappy or asked for help. Open while no standing resolution says how it ended."""

    __tablename__ = "flags"
    __table_args__ = (
        Index("ix_flags_journey_id", "journey_id"),
        Index("ix_flags_contact_id", "contact_id"),
        Index("ix_flags_merged_into_id", "merged_into_id"),
        Index(
            "ix_flags_open_id",
            "id",
            sqlite_where=text("closed_at IS NULL"),
            postgresql_where=text("closed_at IS NULL"),
        ),
        Index(
            "ix_flags_open",
            "act_by",
            sqlite_where=text("closed_at IS NULL"),
            postgresql_where=text("closed_at IS NULL"),
        ),
        Index(
            "ix_flags_alert_at",
            "alert_at",
            sqlite_where=text("alert_at IS NOT NULL"),
            postgresql_where=text("alert_at IS NOT NULL"),
        ),
    )

    id: Mapped[Id]
    journey_id: Mapped[int] = mapped_column(ForeignKey("journeys.id"))
    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id"))
    contact_id: Mapped[int | None] = mapped_column(ForeignKey("contacts.id"))
    answer_id: Mapped[int | None] = mapped_column(ForeignKey("answers.id"), unique=True)
    origin: Mapped[FlagOrigin] = mapped_column(choice(FlagOrigin, "origin"))
    day: Mapped[int | None] = mapped_column(Integer)
    """The 30/60/90 contact it belongs to, which resolving it settles."""
    stage_id: Mapped[int] = mapped_column(ForeignKey("stages.id"))
    assignee_id: Mapped[int | None] = mapped_column(ForeignKey("staff.id"))
    words: Mapped[Prose] = mapped_column(default="")
    scores: Mapped[dict[str, Any]] = mapped_column(default=dict)
    opened_at: Mapped[datetime]
    opened_by: Mapped[By]
    act_by: Mapped[datetime]
    acted_at: Mapped[datetime | None]
    acted_by: Mapped[By] = mapped_column(default="")
    alert_at: Mapped[datetime | None]
    """When the manager is told that nobody acted; none once somebody has."""
    closed_at: Mapped[datetime | None]
    half_at: Mapped[datetime | None]
    """When half of the time to act has passed, in business hours: from then on managers see it, if nobody acted."""
    handed_to_id: Mapped[int | None] = mapped_column()
    """The colleague who works on this case in the consultant's place; the customer stays with their consultant."""
    merged_into_id: Mapped[int | None] = mapped_column()
    """The case that this one goes on in: what becomes of that one became of this one (outcome `merged`)."""


class Resolution(Base):
    """How a flag ended, by whom; a customer who says "not solved" undoes it, and the flag is open again."""

    __tablename__ = "resolutions"
    __table_args__ = (
        Index(
            "uq_resolutions_standing",
            "flag_id",
            unique=True,
            sqlite_where=text("undone_at IS NULL"),
            postgresql_where=text("undone_at IS NULL"),
        ),
        Index(
            "ix_resolutions_outcome",
            "outcome",
            "flag_id",
            sqlite_where=text("undone_at IS NULL"),
            postgresql_where=text("undone_at IS NULL"),
        ),
    )

    id: Mapped[Id]
    flag_id: Mapped[int] = mapped_column(ForeignKey("flags.id"))
    outcome: Mapped[FlagOutcome] = mapped_column(choice(FlagOutcome, "outcome"))
    note: Mapped[Prose]
    reason_id: Mapped[int | None] = mapped_column()
    by: Mapped[By]
    at: Mapped[datetime]
    confirmed_at: Mapped[datetime | None]
    """When the customer said that it is true."""
    undone_at: Mapped[datetime | None]
    undone_by: Mapped[By] = mapped_column(default="")
    undone_words: Mapped[Prose] = mapped_column(default="")


class CaseReason(Base):
    """Why a case came about or how it ended, as managers sort them; retired ones stay on the cases that have them."""

    __tablename__ = "case_reasons"

    id: Mapped[Id]
    position: Mapped[int] = mapped_column(Integer)
    words_en: Mapped[str] = mapped_column(String(120))
    words_pt: Mapped[str] = mapped_column(String(120))
    retired_at: Mapped[datetime | None]


class OfferedTimes(Base):
    """Up to three times for a doubt meeting, offered to the person of a case; they hold none of them."""

    __tablename__ = "offered_times"
    __table_args__ = (Index("ix_offered_times_flag_id", "flag_id"),)

    id: Mapped[Id]
    flag_id: Mapped[int] = mapped_column(ForeignKey("flags.id", ondelete="CASCADE"))
    contact_id: Mapped[int] = mapped_column(ForeignKey("contacts.id", ondelete="CASCADE"))
    starts: Mapped[list[str]]
    """Instants, ISO, ascending."""
    nonce: Mapped[str] = mapped_column(String(32))
    offered_at: Mapped[datetime]
    offered_by: Mapped[By]
    message_id: Mapped[int | None] = mapped_column(unique=True)
    """The message of the thread that they went out with."""


class RatingAfter(Base):
    """How somebody rates us after their case was settled, on the scale that they had used before."""

    __tablename__ = "ratings_after"
    __table_args__ = (
        CheckConstraint("(csat IS NULL) <> (nps IS NULL)", name="one_scale"),
        CheckConstraint("csat BETWEEN 1 AND 5", name="csat"),
        CheckConstraint("nps BETWEEN 0 AND 10", name="nps"),
        Index("ix_ratings_after_at", "at"),
    )

    flag_id: Mapped[int] = mapped_column(ForeignKey("flags.id", ondelete="CASCADE"), primary_key=True)
    contact_id: Mapped[int] = mapped_column(ForeignKey("contacts.id", ondelete="CASCADE"))
    csat: Mapped[int | None] = mapped_column(Integer)
    nps: Mapped[int | None] = mapped_column(Integer)
    at: Mapped[datetime]


class GoalRow(Base):
    """What the customer wants to have reached by a day of use."""

    __tablename__ = "goals"
    __table_args__ = (Index("ix_goals_journey_id", "journey_id"),)

    id: Mapped[Id]
    journey_id: Mapped[int] = mapped_column(ForeignKey("journeys.id"))
    day: Mapped[int] = mapped_column(Integer)
    title: Mapped[Words]
    measure: Mapped[Words] = mapped_column(default="")
    unit: Mapped[str] = mapped_column(String(60), default="", server_default=text("''"))
    starts: Mapped[Decimal | None]
    target: Mapped[Decimal | None]
    reached: Mapped[Decimal | None]
    """What is counted, from where to where, and how far it is; none where a goal can't be put in numbers."""
    created_at: Mapped[datetime]
    created_by: Mapped[By]
    met_at: Mapped[datetime | None]
    met_by: Mapped[By] = mapped_column(default="")
    dropped_at: Mapped[datetime | None]


class PendingIssue(Base):
    """A problem, the agreed solution, its deadline: ours or theirs."""

    __tablename__ = "pending_issues"
    __table_args__ = (
        Index("ix_pending_issues_journey_id", "journey_id"),
        Index("ix_pending_issues_flag_id", "flag_id"),
    )

    id: Mapped[Id]
    journey_id: Mapped[int] = mapped_column(ForeignKey("journeys.id"))
    flag_id: Mapped[int | None] = mapped_column(ForeignKey("flags.id"))
    problem: Mapped[str] = mapped_column(String(1000))
    solution: Mapped[str] = mapped_column(String(1000), default="")
    whose: Mapped[Whose] = mapped_column(choice(Whose, "whose"))
    due_on: Mapped[date]
    created_at: Mapped[datetime]
    created_by: Mapped[By]
    solved_at: Mapped[datetime | None]
    solved_by: Mapped[By] = mapped_column(default="")


class Milestone(Base):
    """A step of the plan that somebody ticks."""

    __tablename__ = "milestones"
    __table_args__ = (UniqueConstraint("journey_id", "key"),)

    id: Mapped[Id]
    journey_id: Mapped[int] = mapped_column(ForeignKey("journeys.id"))
    key: Mapped[Key]
    position: Mapped[int] = mapped_column(Integer, default=0)
    title_en: Mapped[Words]
    title_pt: Mapped[Words]
    help_en: Mapped[str] = mapped_column(String(1000), default="")
    help_pt: Mapped[str] = mapped_column(String(1000), default="")
    whose: Mapped[Whose] = mapped_column(choice(Whose, "whose"))
    day: Mapped[int | None] = mapped_column(Integer)
    """Day of use it is planned for; None: before use starts, or on a date of its own."""
    due_on: Mapped[date | None]
    stage_key: Mapped[Key] = mapped_column(default="", server_default=text("''"))
    needs: Mapped[str] = mapped_column(String(1000), default="", server_default=text("''"))
    """Keys of the milestones of the same journey that come first, separated by spaces."""
    done_at: Mapped[datetime | None]
    done_by: Mapped[By] = mapped_column(default="")


class StuckNote(Base):
    """A customer said that they are stuck with a milestone, in their words; open until staff, or the tick, settle it."""

    __tablename__ = "stuck_notes"
    __table_args__ = (
        Index(
            "uq_stuck_notes_open",
            "milestone_id",
            unique=True,
            sqlite_where=text("settled_at IS NULL"),
            postgresql_where=text("settled_at IS NULL"),
        ),
        Index("ix_stuck_notes_journey_id", "journey_id"),
        CheckConstraint("(settled_at IS NULL) = (settled_by = '')", name="settled_by_somebody"),
    )

    id: Mapped[Id]
    journey_id: Mapped[int] = mapped_column(ForeignKey("journeys.id"))
    milestone_id: Mapped[int] = mapped_column(ForeignKey("milestones.id", ondelete="CASCADE"))
    contact_id: Mapped[int] = mapped_column(ForeignKey("contacts.id"))
    words: Mapped[str] = mapped_column(String(2000))
    at: Mapped[datetime]
    settled_at: Mapped[datetime | None]
    settled_by: Mapped[By] = mapped_column(default="")


class Touchpoint(Base):
    """A contact of the plan that the customer can see coming: what, why, when, how."""

    __tablename__ = "touchpoints"
    __table_args__ = (UniqueConstraint("journey_id", "key"),)

    id: Mapped[Id]
    journey_id: Mapped[int] = mapped_column(ForeignKey("journeys.id"))
    key: Mapped[Key]
    position: Mapped[int] = mapped_column(Integer, default=0)
    title_en: Mapped[Words]
    title_pt: Mapped[Words]
    objective_en: Mapped[str] = mapped_column(String(500), default="")
    objective_pt: Mapped[str] = mapped_column(String(500), default="")
    channel: Mapped[str] = mapped_column(String(20))
    """`email`, `meeting`, `phone`, `portal`."""
    day: Mapped[int | None] = mapped_column(Integer)
    due_on: Mapped[date | None]
    done_at: Mapped[datetime | None]


class PlanTemplate(Base):
    """The plan that customers of one product start with; the one without a product is for all others. Journeys keep what
    they started with: their milestones and touchpoints are copies."""

    __tablename__ = "plan_templates"

    id: Mapped[Id]
    product: Mapped[Words]
    """The plan that was sold (`accounts.plan`), as its people write it; empty: all others."""
    product_key: Mapped[str] = mapped_column(String(200), unique=True)
    """The same without accents and capitals, by which it is found."""
    created_at: Mapped[datetime]
    created_by: Mapped[By]
    changed_at: Mapped[datetime]


class PlanEntry(Base):
    """One milestone or touchpoint of a template; see `plans.Entry`."""

    __tablename__ = "plan_entries"
    __table_args__ = (UniqueConstraint("template_id", "kind", "key"),)

    id: Mapped[Id]
    template_id: Mapped[int] = mapped_column(ForeignKey("plan_templates.id", ondelete="CASCADE"))
    kind: Mapped[EntryKind] = mapped_column(choice(EntryKind, "kind"))
    key: Mapped[Key]
    position: Mapped[int] = mapped_column(Integer)
    stage_key: Mapped[Key] = mapped_column(default="")
    title_en: Mapped[Words]
    title_pt: Mapped[Words]
    text_en: Mapped[str] = mapped_column(String(500), default="")
    text_pt: Mapped[str] = mapped_column(String(500), default="")
    whose: Mapped[Whose] = mapped_column(choice(Whose, "whose"), default=Whose.US)
    channel: Mapped[str] = mapped_column(String(20), default="")
    day: Mapped[int | None] = mapped_column(Integer)
    after_key: Mapped[Key] = mapped_column(default="")
    after_days: Mapped[int] = mapped_column(Integer, default=0)
    needs: Mapped[str] = mapped_column(String(1000), default="")


class PublicPlan(Base):
    """A link that shows a prospect what happens after they sign: the plan as it was on the day the link was made."""

    __tablename__ = "public_plans"
    __table_args__ = (
        UniqueConstraint("account_id"),
        CheckConstraint("(revoked_at IS NULL) = (revoked_by = '')", name="revoked_by_somebody"),
    )

    id: Mapped[Id]
    nonce: Mapped[str] = mapped_column(String(32))
    prospect: Mapped[Words]
    product: Mapped[Words] = mapped_column(default="")
    language: Mapped[Language] = mapped_column(choice(Language, "language"))
    starts_on: Mapped[date]
    """The first day of use that the dates are reckoned from."""
    entries: Mapped[list[dict[str, Any]]]
    """`plans.Entry`, as they were shown."""
    staff_id: Mapped[int] = mapped_column(ForeignKey("staff.id"))
    """Whom the prospect can ask."""
    created_at: Mapped[datetime]
    created_by: Mapped[By]
    revoked_at: Mapped[datetime | None]
    revoked_by: Mapped[By] = mapped_column(default="")
    account_id: Mapped[int | None] = mapped_column(ForeignKey("accounts.id", ondelete="SET NULL"))
    connected_at: Mapped[datetime | None]


class StageTally(Base):
    """Counts of the board as a ledger of differences: summing a few rows replaces counting all journeys, and nobody waits
    for a counter's row. `actions.compact_tallies` folds them now and then."""

    __tablename__ = "stage_tallies"
    __table_args__ = (Index("ix_stage_tallies_stage_id", "stage_id", "owner_id"),)

    id: Mapped[Id]
    stage_id: Mapped[int] = mapped_column(ForeignKey("stages.id"))
    owner_id: Mapped[int | None] = mapped_column()
    journeys: Mapped[int] = mapped_column(Integer)
    flagged: Mapped[int] = mapped_column(Integer, default=0)
