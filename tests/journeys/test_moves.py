"""Moves by hand: forward and back, with a reason that is kept, never a second mail, and no bouncing."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select

from portal.audit import AuditEvent, Happened
from portal.errors import Refused
from portal.journeys.rules import ActivityKind, FlagOutcome, Outcome, Status
from portal.mail import Kind
from tests.cast import MONDAY
from tests.journeys.story import Story

DAY_30 = datetime(2026, 4, 1, 12, 0, tzinfo=UTC)


def test_a_move_keeps_who_made_it_and_why(using: Story) -> None:
    using.move("follow_up_30", "They are far ahead.")
    visit = using.last_visit
    assert (visit.moved_by, visit.reason) == (f"staff:{using.cast.carla}", "They are far ahead.")
    with using.house.database.read() as db:
        told = db.scalars(
            select(AuditEvent).where(AuditEvent.what == Happened.STAGE_ENTERED).order_by(AuditEvent.id.desc())
        ).first()
    assert told is not None
    assert told.detail == {"from": "deployment", "to": "follow_up_30", "reason": "They are far ahead."}


@pytest.mark.parametrize(
    ("stage", "reason", "said"),
    [
        ("follow_up_30", "  ", "Please say why"),
        ("deployment", "Why not.", "already in that stage"),
        ("nowhere", "Why not.", "no stage called nowhere"),
        ("approved", "They are happy.", "not settled yet: day 30, 60, 90"),
    ],
)
def test_a_move_that_can_not_be_is_refused_with_the_reason(using: Story, stage: str, reason: str, said: str) -> None:
    with pytest.raises(Refused, match=said):
        using.move(stage, reason)
    assert using.stage == "deployment"


def test_a_flagged_customer_is_not_approved_by_hand(using: Story) -> None:
    using.live_until_day(90)
    using.set_goal(90)
    using.talk()
    using.raise_flag()
    with pytest.raises(Refused, match="open flag"):
        using.move("approved")
    using.settle_flag(FlagOutcome.ACCEPTED_RISK)
    using.move("approved")
    assert using.status is Status.WON


def test_a_flagged_card_may_still_be_moved_by_hand(using: Story) -> None:
    using.raise_flag()
    using.move("follow_up_30")
    assert using.stage == "follow_up_30"


# Forward


def test_moved_ahead_of_its_day_the_survey_still_waits_for_it(using: Story) -> None:
    using.move("follow_up_30")
    using.live_until(DAY_30 - timedelta(minutes=1))
    assert using.surveys_sent == []
    using.live_until_day(30)
    assert using.surveys_sent == [Kind.SURVEY_30]


def test_a_skipped_stage_lets_nobody_off_its_contact(using: Story) -> None:
    using.move("follow_up_60")
    using.live_until_day(30)
    assert (using.stage, using.surveys_sent) == ("follow_up_60", [Kind.SURVEY_30])
    using.live_until_day(60)
    assert (using.stage, using.surveys_sent) == ("follow_up_60", [Kind.SURVEY_30, Kind.SURVEY_60])
    assert using.contact(30).missed_at == using.day_instant(60)


def test_moved_past_deployment_use_starts_all_the_same(story: Story) -> None:
    story.sell()
    story.move("follow_up_30")
    assert story.row.use_started_on == MONDAY.date()
    assert story.waiting["survey:30"] == DAY_30


def test_moved_past_the_first_contact_its_call_is_not_made(story: Story) -> None:
    story.sell()
    story.tick(ActivityKind.ANALYSE_DEMAND)
    story.move("deployment")
    story.live_until(MONDAY + timedelta(days=5))
    assert ActivityKind.CALL_NO_CONTACT not in story.to_do()
    assert story.due(f"call_no_contact@{2}").result == "moved_on"


# Back


def test_moved_back_it_stays_though_the_old_evidence_still_holds(using: Story) -> None:
    using.live_until_day(30)
    using.answer(30, Outcome.SATISFIED)
    using.move("follow_up_30")
    using.live_until(using.now + timedelta(days=20))
    assert using.stage == "follow_up_30"


def test_moved_back_newer_evidence_moves_it_on_again(using: Story) -> None:
    using.live_until_day(30)
    using.answer(30, Outcome.SATISFIED)
    using.move("follow_up_30")
    using.live_until(using.now + timedelta(days=1))
    using.talk()
    assert using.stage == "follow_up_60"


def test_moved_back_the_next_contacts_day_moves_it_on_at_last(using: Story) -> None:
    using.live_until_day(30)
    using.answer(30, Outcome.SATISFIED)
    using.move("follow_up_30")
    using.live_until_day(60)
    assert (using.stage, using.last_visit.moved_by) == ("follow_up_60", "rule:contact_settled:30")
    assert (using.contact(30).missed_at, using.surveys_sent) == (None, [Kind.SURVEY_30, Kind.SURVEY_60])


def test_moved_back_a_survey_is_not_sent_again(using: Story) -> None:
    using.live_until_day(30)
    using.move("deployment")
    using.live_until(using.now + timedelta(days=1))
    using.move("follow_up_30")
    using.live_until(using.now + timedelta(days=1))
    assert using.surveys_sent == [Kind.SURVEY_30]


def test_moved_back_the_work_is_asked_for_again(story: Story) -> None:
    story.sell()
    story.tick(ActivityKind.ANALYSE_DEMAND)
    story.sign_in()
    story.skip_until(MONDAY + timedelta(hours=1))
    story.move("demand_analysis")
    assert (story.stage, story.row.analysed_at) == ("demand_analysis", None)
    assert ActivityKind.ANALYSE_DEMAND in story.to_do()
    story.skip_until(MONDAY + timedelta(hours=2))
    story.tick(ActivityKind.ANALYSE_DEMAND)
    assert story.path[-3:] == ["demand_analysis", "first_contact", "deployment"]


def test_moved_back_to_the_first_contact_the_next_sign_of_life_counts(using: Story) -> None:
    using.skip_until(MONDAY + timedelta(hours=1))
    using.move("first_contact", "Somebody else signed in.")
    assert (using.stage, using.row.first_contact_at) == ("first_contact", None)
    using.live_until(MONDAY + timedelta(days=2, hours=1))
    assert ActivityKind.CALL_NO_CONTACT in using.to_do()
    using.write_to_us()
    assert using.stage == "deployment"


def test_moved_back_to_deployment_a_corrected_start_moves_it_on(using: Story) -> None:
    using.live_until_day(30)
    using.move("deployment", "They only start now.")
    using.correct_start(DAY_30.date())
    assert using.stage == "deployment"
    using.live_until_day(30)
    assert using.stage == "follow_up_30"


def test_an_undone_approval_waits_for_new_evidence(using: Story) -> None:
    using.live_until_day(90)
    using.talk()
    assert using.status is Status.WON
    using.move("follow_up_90", "Too early.")
    using.live_until(using.now + timedelta(days=30))
    assert (using.stage, using.status) == ("follow_up_90", Status.OPEN)
    using.talk()
    assert (using.stage, using.status, len(using.relationships)) == ("approved", Status.WON, 1)


# Journeys that ended


def test_a_lost_journey_is_taken_up_again_by_hand(using: Story) -> None:
    using.live_until_day(30)
    using.answer(30, Outcome.DISSATISFIED)
    using.settle_flag(FlagOutcome.LOST)
    using.move("follow_up_30", "They came back.")
    assert (using.status, using.row.ended_at) == (Status.OPEN, None)
    using.live_until(using.now + timedelta(days=1))
    using.talk()
    using.live_until_day(60)
    assert using.surveys_sent == [Kind.SURVEY_30, Kind.SURVEY_60]


def test_a_survey_that_was_dropped_with_the_journey_is_planned_again_with_it(using: Story) -> None:
    using.move("follow_up_30")
    flag_id = using.raise_flag()
    using.settle_flag(FlagOutcome.LOST, flag_id=flag_id)
    assert using.waiting == {}
    using.move("follow_up_30", "They came back.")
    using.live_until_day(30)
    assert using.surveys_sent == [Kind.SURVEY_30]


def test_a_journey_of_a_customer_who_left_is_not_taken_up_again(using: Story) -> None:
    using.leave()
    assert (using.status, using.waiting) == (Status.LOST, {})
    with pytest.raises(Refused, match="has left"):
        using.move("deployment")


def test_an_old_journey_is_not_taken_up_beside_a_newer_one(using: Story) -> None:
    using.raise_flag()
    using.settle_flag(FlagOutcome.LOST)
    old = using.id
    using.sell()
    using.id = old
    with pytest.raises(Refused, match="newer journey"):
        using.move("deployment")


def test_a_journey_taken_up_again_is_woken_on_its_days(using: Story) -> None:
    using.live_until_day(30)
    using.raise_flag()
    using.settle_flag(FlagOutcome.LOST)
    using.move("follow_up_30", "They came back.")
    using.live_until_day(60)
    assert (using.stage, using.contact(30).missed_at) == ("follow_up_60", using.day_instant(60))
