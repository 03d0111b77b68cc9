"""Correcting the start of use: every pending date of the plan moves by the same number of days, and no past one
(invariant 8)."""

from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy import select

from portal.errors import Refused
from portal.journeys import planning
from portal.journeys.models import Milestone, Touchpoint
from portal.journeys.rules import ActivityKind, Outcome, Whose
from portal.mail import Kind
from tests.cast import MONDAY
from tests.journeys.story import Story

DAY_30 = datetime(2026, 4, 1, 12, 0, tzinfo=UTC)
START = MONDAY.date()


def dates(story: Story) -> dict[str, date | None]:
    """Every date of the plan."""
    with story.house.database.read() as db:
        found: dict[str, date | None] = {f"contact {day}": story.contact(day).due_on for day in (30, 60, 90)}
        for table in (Milestone, Touchpoint):
            rows = db.execute(select(table.key, table.due_on).where(table.journey_id == story.id))
            found |= {f"{table.__name__} {key}": on for key, on in rows}
    return found


def moved(before: dict[str, date | None], days: int) -> dict[str, date | None]:
    return {name: on and on + timedelta(days=days) for name, on in before.items()}


@pytest.mark.parametrize("days", [8, -8, 1])
def test_every_pending_date_moves_by_the_same_number_of_days(using: Story, days: int) -> None:
    before = dates(using)
    using.correct_start(START + timedelta(days=days))
    assert dates(using) == moved(before, days)


def test_corrected_back_again_everything_is_as_it_was(using: Story) -> None:
    before, waiting = dates(using), using.waiting
    using.correct_start(START + timedelta(days=13))
    using.correct_start(START)
    assert (dates(using), using.waiting) == (before, waiting)


def test_what_is_past_stays(using: Story) -> None:
    using.live_until_day(30)
    using.answer(30, Outcome.SATISFIED)
    before = dates(using)
    using.correct_start(START + timedelta(days=5))
    still = {"contact 30", "Touchpoint day30", "Touchpoint welcome"}
    after = dates(using)
    assert {name: after[name] for name in still} == {name: before[name] for name in still}
    assert {k: v for k, v in after.items() if k not in still} == moved(
        {k: v for k, v in before.items() if k not in still}, 5
    )


def test_a_milestone_of_the_customers_own_moves_along(using: Story) -> None:
    with using.house.database.write() as db:
        planning.add_milestone(
            db,
            using.house,
            journey_id=using.id,
            title="Count the flour",
            whose=Whose.YOU,
            due_on=date(2026, 3, 20),
            by="staff:1",
            now=using.now,
        )
    using.correct_start(START + timedelta(days=3))
    assert [on for name, on in dates(using).items() if "own:" in name] == [date(2026, 3, 23)]


def test_a_promises_deadline_stays_where_it_was_agreed(using: Story) -> None:
    issue_id = using.promise(date(2026, 3, 20))
    using.correct_start(START + timedelta(days=30))
    using.live_until_day(30)
    assert using.stage == "deployment"
    using.keep_promise(issue_id)
    assert using.stage == "follow_up_30"


def test_a_later_start_puts_day_30_off(using: Story) -> None:
    using.correct_start(START + timedelta(days=7))
    using.live_until(DAY_30 + timedelta(hours=1))
    assert using.stage == "deployment"
    using.live_until(DAY_30 + timedelta(days=7))
    assert using.stage == "follow_up_30"


def test_an_earlier_start_brings_day_30_at_once(using: Story) -> None:
    using.live_until(MONDAY + timedelta(days=9))
    using.correct_start(START - timedelta(days=21))
    using.live_until(using.now + timedelta(minutes=1))
    assert (using.stage, using.surveys_sent) == ("follow_up_30", [Kind.SURVEY_30])


def test_a_start_more_than_two_weeks_too_late_turns_the_mail_into_a_call(using: Story) -> None:
    using.correct_start(START - timedelta(days=50))
    using.live_until(using.now + timedelta(minutes=1))
    assert (using.stage, using.surveys_sent, using.contact(30).converted_why) == ("follow_up_30", [], "late")


def test_a_survey_that_waits_moves_with_the_start(using: Story) -> None:
    using.move("follow_up_30")
    using.correct_start(START + timedelta(days=7))
    assert using.waiting["survey:30"] == DAY_30 + timedelta(days=7)
    using.correct_start(START - timedelta(days=40))
    assert using.waiting["survey:30"] == using.now


def test_an_activity_of_a_day_of_use_moves_with_the_start(using: Story) -> None:
    using.live_until_day(30)
    before = using.activity(ActivityKind.CONTACT_60).due_at
    using.correct_start(START + timedelta(days=7))
    assert using.activity(ActivityKind.CONTACT_60).due_at == before + timedelta(days=7)


def test_a_wake_up_that_rang_rings_again_on_the_new_day(using: Story) -> None:
    issue_id = using.promise(MONDAY.date())
    using.live_until_day(30)
    assert (using.stage, using.due("wake:30").result) == ("deployment", "done")
    using.correct_start(START + timedelta(days=7))
    using.keep_promise(issue_id)
    assert using.stage == "deployment"
    using.live_until_day(30)
    assert using.stage == "follow_up_30"


def test_a_wake_up_rings_again_even_where_its_contact_was_made(using: Story) -> None:
    flag_id = using.raise_flag()
    using.live_until_day(30)
    assert using.contact(30).converted_why == "open_flag"
    using.correct_start(START + timedelta(days=7))
    using.settle_flag(flag_id=flag_id)
    assert using.stage == "deployment"
    using.live_until_day(30)
    assert using.stage == "follow_up_30"


def test_a_date_years_away_is_refused(using: Story) -> None:
    with pytest.raises(Refused, match="two years"):
        using.correct_start(date(2062, 3, 2))
    assert using.row.use_started_on == START
