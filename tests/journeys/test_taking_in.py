"""Customers taken in under way: with their dates, and no mail for the past."""

from datetime import timedelta

import pytest

from portal.errors import Refused
from portal.journeys.rules import ActivityKind, Status
from portal.mail import Kind
from tests.cast import MONDAY
from tests.journeys.story import Story


def facts(story: Story) -> list[str]:
    """What is known of the three contacts."""
    said = []
    for day in (30, 60, 90):
        contact = story.contact(day)
        state = "missed" if contact.missed_at else contact.converted_why
        said.append(state or ("planned" if contact.due_at else "unplanned"))
    return said


@pytest.mark.parametrize(
    ("days", "stage", "contacts"),
    [
        (0, "deployment", ["planned", "planned", "planned"]),
        (20, "deployment", ["planned", "planned", "planned"]),
        (40, "follow_up_30", ["taken_in", "planned", "planned"]),
        (70, "follow_up_60", ["missed", "taken_in", "planned"]),
        (400, "follow_up_90", ["missed", "missed", "taken_in"]),
    ],
)
def test_they_stand_where_their_day_of_use_says(story: Story, days: int, stage: str, contacts: list[str]) -> None:
    story.sell(use_started_on=MONDAY.date() - timedelta(days=days))
    assert (story.stage, facts(story)) == (stage, contacts)


def test_nothing_is_mailed_for_the_past_and_what_is_to_come_is_planned(story: Story) -> None:
    story.sell(use_started_on=MONDAY.date() - timedelta(days=40))
    story.live_until(MONDAY + timedelta(days=1))
    assert story.letters(Kind.WELCOME, Kind.SURVEY_30) == []
    story.live_until_day(60)
    assert story.surveys_sent == [Kind.SURVEY_60]


def test_their_consultant_is_asked_to_pick_up_where_they_are(story: Story) -> None:
    story.sell(use_started_on=MONDAY.date() - timedelta(days=40))
    assert ActivityKind.TAKE_OVER in story.to_do()


def test_a_stage_may_be_given_instead(story: Story) -> None:
    story.sell(stage="first_contact")
    assert (story.stage, story.letters(), story.row.use_started_on) == ("first_contact", [], None)


def test_a_stage_given_late_in_the_plan_starts_use_today_where_no_date_is_known(story: Story) -> None:
    story.sell(stage="follow_up_60")
    assert (story.stage, facts(story), story.row.use_started_on) == (
        "follow_up_60",
        ["missed", "planned", "planned"],
        MONDAY.date(),
    )


def test_nobody_is_taken_in_as_approved(story: Story) -> None:
    with pytest.raises(Refused, match="can't be taken in as approved"):
        story.sell(stage="approved")


def test_one_conversation_makes_the_past_good(story: Story) -> None:
    story.sell(use_started_on=MONDAY.date() - timedelta(days=400))
    story.talk()
    assert (story.stage, story.status) == ("approved", Status.WON)
