"""Stagnation: business days without work by people; the consultant is told, then the manager."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import update

from portal.accounts.models import Staff
from portal.journeys import actions, rules
from portal.journeys.models import JourneyRow
from portal.journeys.rules import ActivityKind, Outcome, Pace
from portal.mail import Kind
from tests.cast import MONDAY
from tests.journeys.story import Story

DAY_30 = datetime(2026, 4, 1, 12, 0, tzinfo=UTC)
NEXT_FRIDAY = MONDAY + timedelta(days=4)


def pace(story: Story) -> Pace:
    return rules.pace(story.now, story.row.behind_at, story.row.stuck_at)


def limits(story: Story) -> tuple[datetime | None, datetime | None]:
    return story.row.behind_at, story.row.stuck_at


def test_a_card_falls_behind_after_its_limit_and_is_stuck_after_as_long_again(story: Story) -> None:
    story.sell()
    assert pace(story) is Pace.ON_TRACK
    story.live_until(MONDAY + timedelta(days=1))
    assert pace(story) is Pace.BEHIND
    story.live_until(MONDAY + timedelta(days=2))
    assert pace(story) is Pace.STUCK


def test_the_consultant_is_told_first_and_the_manager_too_once_it_is_stuck(story: Story) -> None:
    story.sell()
    story.live_until(MONDAY + timedelta(days=1))
    assert len(story.letters(Kind.STAGNATION)) == 1
    assert story.letters(Kind.STAGNATION_MANAGER) == []
    story.live_until(MONDAY + timedelta(days=2))
    assert len(story.letters(Kind.STAGNATION)) == 2
    assert len(story.letters(Kind.STAGNATION_MANAGER)) == 1
    story.live_until(MONDAY + timedelta(days=40))
    assert len(story.letters(Kind.STAGNATION)) + len(story.letters(Kind.STAGNATION_MANAGER)) == 3


def test_without_a_consultant_the_manager_is_told_at_once(story: Story) -> None:
    story.sell()
    with story.house.database.write() as db:
        db.execute(update(Staff).where(Staff.id == story.cast.carla).values(disabled_at=story.now))
    story.live_until(MONDAY + timedelta(days=1))
    assert story.letters(Kind.STAGNATION) == []
    assert len(story.letters(Kind.STAGNATION_MANAGER)) == 1


def test_weekends_do_not_count(story: Story) -> None:
    story.skip_until(NEXT_FRIDAY)
    story.sell()
    assert limits(story) == (NEXT_FRIDAY + timedelta(days=3), NEXT_FRIDAY + timedelta(days=4))


@pytest.mark.parametrize(("stage", "days"), [("demand_analysis", 1), ("first_contact", 5), ("deployment", 30)])
def test_each_early_stage_has_its_limit_in_business_days(story: Story, stage: str, days: int) -> None:
    story.sell()
    if stage != "demand_analysis":
        story.move(stage)
    weekends = 2 * (days // 5)
    assert limits(story)[0] == MONDAY + timedelta(days=days + weekends)


def test_work_by_people_starts_the_limit_anew(story: Story) -> None:
    story.sell()
    story.move("first_contact")
    story.live_until(MONDAY + timedelta(days=3))
    with story.house.database.write() as db:
        by = f"staff:{story.cast.carla}"
        actions.write_note(db, story.house, journey_id=story.id, words="On holiday.", by=by, now=story.now)
    assert limits(story)[0] == MONDAY + timedelta(days=3 + 7)


def test_automatic_mails_do_not_start_it_anew(story: Story) -> None:
    story.sell()
    story.tick(ActivityKind.ANALYSE_DEMAND)
    before = limits(story)
    story.live_until(MONDAY + timedelta(days=3))
    assert len(story.letters(Kind.WELCOME)) == 1
    assert limits(story) == before


def test_looking_in_again_does_not_start_it_anew(using: Story) -> None:
    before = limits(using)
    using.live_until(NEXT_FRIDAY)
    using.sign_in()
    assert limits(using) == before


def test_a_planned_meeting_holds_the_clock_until_it_is_due(using: Story) -> None:
    using.live_until_day(30)
    meeting = using.now + timedelta(days=20)  # a Tuesday
    using.book(meeting)
    assert limits(using)[0] == meeting + timedelta(days=9)  # seven business days later
    using.book(None)
    assert limits(using)[0] == using.now + timedelta(days=9)


@pytest.mark.parametrize(("day", "weekend_days"), [(30, 2), (60, 4), (90, 2)])
def test_a_follow_up_counts_seven_business_days_from_its_survey(using: Story, day: int, weekend_days: int) -> None:
    using.live_until_day(day)
    sent_at = using.contact(day).sent_at
    assert (using.stage, sent_at) == (f"follow_up_{day}", using.day_instant(day))
    assert limits(using)[0] == using.day_instant(day) + timedelta(days=7 + weekend_days)


def test_before_the_survey_goes_out_nothing_is_late(using: Story) -> None:
    using.move("follow_up_30")
    assert limits(using) == (None, None)


def test_a_call_in_place_of_the_survey_counts_from_when_it_was_asked_for(using: Story) -> None:
    using.live_until(DAY_30 - timedelta(hours=2))
    using.raise_flag()
    using.move("follow_up_30")
    using.live_until_day(30)
    assert limits(using)[0] == DAY_30 + timedelta(days=9)


def test_an_answer_starts_it_anew_and_a_move_ends_it(using: Story) -> None:
    using.live_until_day(30)
    using.live_until(using.now + timedelta(days=2))
    using.answer(30, Outcome.DISSATISFIED)
    assert limits(using)[0] == using.now + timedelta(days=11)  # from Friday
    using.settle_flag()
    assert (using.stage, limits(using)) == ("follow_up_60", (None, None))


def test_an_ended_journey_is_never_late(using: Story) -> None:
    using.leave()
    assert (limits(using), using.row.alert_at) == ((None, None), None)


def test_an_alert_that_is_due_is_not_lost_where_the_journey_is_written_first(story: Story) -> None:
    story.sell()
    story.skip_until(MONDAY + timedelta(days=1, hours=1))
    with story.house.database.write() as db:  # something that is no work, before the worker told of the limit
        actions.hear_account_change(db, story.house, account_id=story.cast.padaria, now=story.now)
        assert db.get_one(JourneyRow, story.id).alert_at == MONDAY + timedelta(days=1)
    story.wake_worker()
    assert len(story.letters(Kind.STAGNATION)) == 1


def test_holidays_do_not_count_where_the_house_knows_them(story: Story) -> None:
    journey = rules.Journey(
        id=1, position=0, status=rules.Status.OPEN, visit=1, opened_at=MONDAY, entered_at=MONDAY, moved_back=False,
        zone="America/Sao_Paulo", owner_id=1, plan_known=True, reachable=True,
    )  # fmt: skip
    pipeline = rules.Pipeline(1, "p", (rules.Stage(1, 0, "first", limit_days=1),))
    tuesday = (MONDAY + timedelta(days=1)).date()
    assert rules.limits(pipeline, journey, {tuesday}) == (MONDAY + timedelta(days=2), MONDAY + timedelta(days=3))
