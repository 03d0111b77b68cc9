"""What happened: a closed vocabulary, append-only. Every staff write and security event leaves one row; the account's
timeline is read from here too."""

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple

from sqlalchemy import ForeignKey, Index, text
from sqlalchemy.orm import Mapped, Session, mapped_column

from portal.db import Base, By, Id, choice, insert_new


class Happened(StrEnum):
    """Everything that can be told of. A new kind of event is a new word here (and in the migration's CHECK)."""

    ACCOUNT_CREATED = "account_created"
    ACCOUNT_CHANGED = "account_changed"
    ACCOUNT_CHURNED = "account_churned"
    CONTACT_CHANGED = "contact_changed"
    COLLEAGUE_INVITED = "colleague_invited"
    COLLEAGUE_NOT_INVITED = "colleague_not_invited"
    COLLEAGUE_INVITATION_ENDED = "colleague_invitation_ended"
    COLLEAGUE_JOINED = "colleague_joined"
    CONTACT_REMOVED = "contact_removed"
    PRIMARY_CHANGED = "primary_changed"
    INVITING_CHANGED = "inviting_changed"
    PREFERENCES_CHANGED = "preferences_changed"
    ASKING_CHANGED = "asking_changed"
    ADDRESS_CHANGED = "address_changed"
    CORRECTION_SUGGESTED = "correction_suggested"
    DATA_EXPORTED = "data_exported"
    ERASURE_ASKED = "erasure_asked"
    PERSON_ERASED = "person_erased"
    CONSULTANT_ASSIGNED = "consultant_assigned"
    STAFF_CHANGED = "staff_changed"
    DEALS_IMPORTED = "deals_imported"
    JOURNEY_OPENED = "journey_opened"
    STAGE_ENTERED = "stage_entered"
    JOURNEY_APPROVED = "journey_approved"
    JOURNEY_LOST = "journey_lost"
    USE_STARTED = "use_started"
    FIRST_CONTACT = "first_contact"
    CONTACT_SETTLED = "contact_settled"
    CONTACT_MISSED = "contact_missed"
    CONTACT_CONVERTED = "contact_converted"
    SURVEY_SENT = "survey_sent"
    SURVEY_REMINDED = "survey_reminded"
    SURVEY_ANSWERED = "survey_answered"
    SURVEY_CHANGED = "survey_changed"
    SURVEY_SET_ASIDE = "survey_set_aside"
    SURVEY_CONFIRM_ASKED = "survey_confirm_asked"
    SURVEY_DISCARDED = "survey_discarded"
    SURVEY_TRIGGER_CHANGED = "survey_trigger_changed"
    SURVEY_ROUND_SENT = "survey_round_sent"
    SURVEY_SKETCHED = "survey_sketched"
    SURVEY_PUBLISHED = "survey_published"
    SURVEY_SKETCH_DROPPED = "survey_sketch_dropped"
    SURVEY_RETIRED = "survey_retired"
    SURVEY_REVIVED = "survey_revived"
    SURVEY_TEST_SENT = "survey_test_sent"
    COMMENT_TAGGED = "comment_tagged"
    COMMENT_UNTAGGED = "comment_untagged"
    QUOTE_ASKED = "quote_asked"
    QUOTE_ALLOWED = "quote_allowed"
    QUOTE_DECLINED = "quote_declined"
    QUOTE_WITHDRAWN = "quote_withdrawn"
    ANSWERS_EXPORTED = "answers_exported"
    CONVERSATION_LOGGED = "conversation_logged"
    FLAG_OPENED = "flag_opened"
    FLAG_ACTED_ON = "flag_acted_on"
    FLAG_CLOSED = "flag_closed"
    FLAG_REOPENED = "flag_reopened"
    FLAG_LATE = "flag_late"
    FLAG_HANDED_OVER = "flag_handed_over"
    FLAG_RATED = "flag_rated"
    CASE_REASONS_CHANGED = "case_reasons_changed"
    ACTIVITY_CREATED = "activity_created"
    ACTIVITY_COMPLETED = "activity_completed"
    STAGNATED = "stagnated"
    MILESTONE_DONE = "milestone_done"
    MILESTONE_UNDONE = "milestone_undone"
    STUCK = "stuck"
    UNSTUCK = "unstuck"
    PLAN_CHANGED = "plan_changed"
    GOAL_SET = "goal_set"
    GOAL_PROGRESSED = "goal_progressed"
    GOAL_MET = "goal_met"
    ISSUE_NOTED = "issue_noted"
    ISSUE_SOLVED = "issue_solved"
    PLAN_TEMPLATE_CHANGED = "plan_template_changed"
    PUBLIC_PLAN_MADE = "public_plan_made"
    PUBLIC_PLAN_REVOKED = "public_plan_revoked"
    PUBLIC_PLAN_CONNECTED = "public_plan_connected"
    MEETING_BOOKED = "meeting_booked"
    MEETING_MOVED = "meeting_moved"
    MEETING_CANCELLED = "meeting_cancelled"
    MEETING_HELD = "meeting_held"
    MEETING_MISSED = "meeting_missed"
    MEETING_KIND_CHANGED = "meeting_kind_changed"
    TUTORIAL_FINISHED = "tutorial_finished"
    CONTENT_CREATED = "content_created"
    CONTENT_CHANGED = "content_changed"
    CONTENT_PUBLISHED = "content_published"
    CONTENT_WITHDRAWN = "content_withdrawn"
    CONTENT_DELETED = "content_deleted"
    CONTENT_UPLOADED = "content_uploaded"
    UPLOAD_DELETED = "upload_deleted"
    MAIL_SENT = "mail_sent"
    MAIL_FAILED = "mail_failed"
    NOTE_WRITTEN = "note_written"
    MESSAGE_RECEIVED = "message_received"
    MESSAGE_SENT = "message_sent"
    MAIL_SET_ASIDE = "mail_set_aside"
    REFERRAL_PROMPTED = "referral_prompted"
    REFERRAL_PROMPT_CLOSED = "referral_prompt_closed"
    REFERRAL_INVITED = "referral_invited"
    REFERRAL_ACCEPTED = "referral_accepted"
    REFERRAL_MOVED = "referral_moved"
    SIGNED_IN = "signed_in"
    SIGN_IN_REFUSED = "sign_in_refused"
    SIGNED_OUT = "signed_out"
    TOKEN_CREATED = "token_created"
    TOKEN_REVOKED = "token_revoked"
    PERMISSION_REFUSED = "permission_refused"


LIFE = "what IN ('signed_in', 'tutorial_finished')"


class AuditEvent(Base):
    """One thing that happened, by whom, to whom; never changed, never deleted but by retention."""

    __tablename__ = "audit_events"
    __table_args__ = (
        Index("ix_audit_events_account_id", "account_id", "at", "id"),
        # What a customer does on their own: few rows among many, asked for with every temperature.
        Index("ix_audit_events_life", "account_id", "what", "at", sqlite_where=text(LIFE), postgresql_where=text(LIFE)),
    )

    id: Mapped[Id]
    at: Mapped[datetime]
    what: Mapped[Happened] = mapped_column(choice(Happened, "what"))
    by: Mapped[By]
    account_id: Mapped[int | None] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"))
    journey_id: Mapped[int | None] = mapped_column()
    contact_id: Mapped[int | None] = mapped_column()
    detail: Mapped[dict[str, Any]] = mapped_column(default=dict)


class Event(NamedTuple):
    """An event about to be written; `detail` holds plain values (from, to, words), never secrets."""

    what: Happened
    by: str
    at: datetime
    account_id: int | None = None
    journey_id: int | None = None
    contact_id: int | None = None
    detail: dict[str, Any] = {}


def note(db: Session, event: Event) -> None:
    """Writes one event in the caller's transaction."""
    note_all(db, [event])


def note_all(db: Session, events: Sequence[Event]) -> None:
    """Writes many events in one statement, in the order given."""
    insert_new(db, AuditEvent.__table__, [event._asdict() for event in events], known_by=("id",))
