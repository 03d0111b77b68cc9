"""The 30/60/90 contacts, rule by rule: all three happen, silence settles nothing, a dispute gets no cheerful survey."""

from datetime import UTC, datetime, timedelta

import pytest

from portal.errors import Refused
from portal.journeys import rules
from portal.journeys.rules import ActivityKind, FlagOutcome, Outcome, SettledBy, Status
from portal.mail import Kind
from tests.cast import MONDAY
from tests.journeys.story import Story

DAY_30 = datetime(2026, 4, 1, 12, 0, tzinfo=UTC)
"""A Wednesday, 09:00 for the customer."""


# What settles a contact


@pytest.mark.parametrize("outcome", [Outcome.SATISFIED, Outcome.NEUTRAL])
def test_a_satisfied_or_neutral_answer_settles(using: Story, outcome: Outcome) -> None:
    using.live_until_day(30)
    using.answer(30, outcome)
    assert (using.contact(30).settled_by, using.contact(30).settled_at) == (SettledBy.ANSWER, using.now)


def test_a_neutral_answer_asks_what_would_make_it_better(using: Story) -> None:
    using.live_until_day(30)
    using.answer(30, Outcome.NEUTRAL)
    assert ActivityKind.ASK_WHAT_IS_MISSING in using.to_do()


def test_a_conversation_settles(using: Story) -> None:
    using.live_until_day(30)
    using.talk(Outcome.NEUTRAL)
    assert (using.contact(30).settled_by, using.stage) == (SettledBy.CONVERSATION, "follow_up_60")


def test_a_conversation_before_its_day_settles_nothing(using: Story) -> None:
    using.live_until(DAY_30 - timedelta(days=1))
    using.talk()
    assert [using.contact(day).settled_at for day in (30, 60, 90)] == [None] * 3


def test_a_resolved_flag_settles_its_contact(using: Story) -> None:
    using.live_until_day(30)
    using.answer(30, Outcome.DISSATISFIED)
    using.settle_flag(FlagOutcome.RESOLVED)
    assert (using.contact(30).settled_by, using.stage) == (SettledBy.FLAG, "follow_up_60")


def test_an_accepted_risk_releases_the_stage_but_the_contact_stays_to_be_settled(using: Story) -> None:
    using.live_until_day(30)
    using.answer(30, Outcome.DISSATISFIED)
    using.settle_flag(FlagOutcome.ACCEPTED_RISK)
    assert (using.contact(30).settled_at, using.stage, using.row.open_flags) == (None, "follow_up_30", 0)
    assert ActivityKind.CONTACT_BY_CALL in using.to_do()
    using.talk(Outcome.NEUTRAL)
    assert using.stage == "follow_up_60"
    assert ActivityKind.CONTACT_BY_CALL not in using.to_do()


def test_silence_settles_nothing(using: Story) -> None:
    using.live_until_day(60)
    assert [using.contact(day).settled_at for day in (30, 60, 90)] == [None] * 3


def test_a_delighted_answer_on_day_30_cancels_nothing(using: Story) -> None:
    using.live_until_day(30)
    using.answer(30, Outcome.SATISFIED)
    using.live_until_day(60)
    using.answer(60, Outcome.SATISFIED)
    using.live_until_day(90)
    assert using.surveys_sent == [Kind.SURVEY_30, Kind.SURVEY_60, Kind.SURVEY_90]
    assert using.contact(90).settled_at is None


# No answer


def test_silence_is_reminded_once_after_three_business_days_then_called_after_five(using: Story) -> None:
    using.live_until(DAY_30 + timedelta(days=5) - timedelta(minutes=1))  # Monday: the third business day
    assert (using.letters(Kind.SURVEY_REMINDER), ActivityKind.CALL_NO_ANSWER in using.to_do()) == ([], False)
    using.live_until(DAY_30 + timedelta(days=5))
    assert len(using.letters(Kind.SURVEY_REMINDER)) == 1
    using.live_until(DAY_30 + timedelta(days=7) - timedelta(minutes=1))
    assert ActivityKind.CALL_NO_ANSWER not in using.to_do()
    using.live_until(DAY_30 + timedelta(days=7))
    assert using.to_do().count(ActivityKind.CALL_NO_ANSWER) == 1
    using.live_until(DAY_30 + timedelta(days=27))
    assert len(using.letters(Kind.SURVEY_REMINDER)) == 1
    assert using.to_do().count(ActivityKind.CALL_NO_ANSWER) == 1


@pytest.mark.parametrize("sign", ["answer", "write", "book", "talk"])
def test_any_sign_of_life_stops_reminder_and_call_at_once(using: Story, sign: str) -> None:
    using.live_until_day(30)
    match sign:
        case "answer":
            using.answer(30, Outcome.DISSATISFIED)
        case "write":
            using.write_to_us()
        case "book":
            using.book(using.now + timedelta(days=2))
        case "talk":
            using.talk()
    using.live_until(DAY_30 + timedelta(days=20))
    assert using.letters(Kind.SURVEY_REMINDER) == []
    assert ActivityKind.CALL_NO_ANSWER not in using.to_do()


def test_looking_in_is_no_sign_of_life(using: Story) -> None:
    using.live_until_day(30)
    using.sign_in()
    using.live_until(DAY_30 + timedelta(days=7))
    assert len(using.letters(Kind.SURVEY_REMINDER)) == 1
    assert ActivityKind.CALL_NO_ANSWER in using.to_do()


def test_the_call_is_off_the_list_once_the_contact_is_settled(using: Story) -> None:
    using.live_until(DAY_30 + timedelta(days=8))
    using.answer(30, Outcome.SATISFIED)
    assert ActivityKind.CALL_NO_ANSWER not in using.to_do()
    assert using.activity(ActivityKind.CALL_NO_ANSWER).done_by == f"contact:{using.cast.maria}"


# Missed contacts


def test_the_next_contacts_day_moves_a_silent_journey_on_and_marks_the_old_contact_missed(using: Story) -> None:
    using.live_until_day(60)
    assert (using.stage, using.last_visit.moved_by) == ("follow_up_60", "rule:contact_missed:30")
    assert using.contact(30).missed_at == using.day_instant(60)
    assert using.surveys_sent == [Kind.SURVEY_30, Kind.SURVEY_60]


def test_a_missed_contact_stands_in_the_way_of_approval_until_it_is_made_good(using: Story) -> None:
    using.live_until_day(60)
    using.answer(60, Outcome.SATISFIED)
    using.live_until_day(90)
    using.answer(90, Outcome.SATISFIED)
    assert (using.stage, using.status) == ("follow_up_90", Status.OPEN)
    using.talk()
    assert using.contact(30).settled_by is SettledBy.CONVERSATION
    assert using.stage == "approved"


def test_a_late_answer_does_not_make_a_missed_contact_good(using: Story) -> None:
    using.live_until(DAY_30 - timedelta(minutes=1))
    using.skip_until(DAY_30 + timedelta(days=13))  # sent late, so it is still open on day 60
    using.live_until_day(60)
    assert using.contact(30).missed_at is not None
    using.answer(30, Outcome.SATISFIED)
    assert using.contact(30).settled_at is None


def test_one_conversation_makes_every_contact_good_whose_day_has_come(using: Story) -> None:
    using.live_until_day(90)
    assert [using.contact(day).missed_at is not None for day in (30, 60, 90)] == [True, True, False]
    using.talk()
    assert [using.contact(day).settled_by for day in (30, 60, 90)] == [SettledBy.CONVERSATION] * 3
    assert using.stage == "approved"


# With an open flag


def test_a_flagged_journey_waits(using: Story) -> None:
    using.raise_flag()
    using.live_until_day(30)
    assert using.stage == "deployment"
    using.settle_flag()
    assert using.stage == "follow_up_30"


def test_a_flagged_journey_gets_a_call_instead_of_a_cheerful_survey(using: Story) -> None:
    using.raise_flag()
    using.live_until_day(30)
    assert using.surveys_sent == []
    assert (using.contact(30).converted_why, using.contact(30).converted_at) == ("open_flag", DAY_30)
    assert ActivityKind.CONTACT_BY_CALL in using.to_do()
    using.settle_flag()
    using.live_until_day(59)
    assert (using.surveys_sent, using.stage, using.contact(30).settled_at) == ([], "follow_up_30", None)
    using.talk()
    assert using.stage == "follow_up_60"


def test_a_flag_that_opens_between_planning_and_sending_turns_the_survey_into_a_call(using: Story) -> None:
    using.skip_until(DAY_30)
    using.write_to_us()  # the move happens on the way, and plans the survey
    assert using.waiting["survey:30"] == DAY_30
    using.raise_flag()
    assert "survey:30" not in using.waiting
    using.live_until(DAY_30 + timedelta(hours=1))
    assert (using.surveys_sent, using.contact(30).converted_why) == ([], "open_flag")
    assert ActivityKind.CONTACT_BY_CALL in using.to_do()


def test_a_reopened_flag_turns_a_planned_survey_into_a_call_too(using: Story) -> None:
    using.raise_flag()
    using.live_until(DAY_30 - timedelta(hours=1))
    using.settle_flag()
    using.skip_until(DAY_30)
    using.write_to_us()
    using.say_not_solved()
    using.live_until(DAY_30 + timedelta(hours=1))
    assert (using.surveys_sent, using.contact(30).converted_why) == ([], "open_flag")


def test_an_open_flag_keeps_a_silent_contact_from_being_missed(using: Story) -> None:
    using.live_until_day(30)
    using.raise_flag()
    using.live_until_day(60)
    assert (using.stage, using.contact(30).missed_at) == ("follow_up_30", None)
    assert using.contact(60).converted_why == "open_flag"


# Several people


def test_one_persons_flag_outweighs_anothers_kind_answer(using: Story) -> None:
    using.live_until_day(30)
    using.answer(30, Outcome.DISSATISFIED)
    using.answer(30, Outcome.SATISFIED, who=using.cast.joao)
    assert (using.contact(30).settled_at, using.stage) == (None, "follow_up_30")
    using.settle_flag()
    assert (using.contact(30).settled_by, using.stage) == (SettledBy.FLAG, "follow_up_60")


def test_two_unhappy_people_are_two_cases_and_the_contact_waits_for_both(using: Story) -> None:
    using.live_until_day(30)
    using.answer(30, Outcome.DISSATISFIED)
    using.answer(30, Outcome.DISSATISFIED, who=using.cast.joao)
    assert len(using.open_flags) == 2
    using.settle_flag()
    assert (using.contact(30).settled_at, using.stage) == (None, "follow_up_30")
    using.settle_flag()
    assert using.stage == "follow_up_60"


def test_after_an_accepted_risk_a_colleagues_kind_answer_does_not_settle(using: Story) -> None:
    using.live_until_day(30)
    using.answer(30, Outcome.DISSATISFIED)
    using.settle_flag(FlagOutcome.ACCEPTED_RISK)
    using.answer(30, Outcome.SATISFIED, who=using.cast.joao)
    assert using.contact(30).settled_at is None


def test_a_dissatisfied_answer_that_comes_later_flags_the_stage_where_the_journey_is_by_then(using: Story) -> None:
    using.live_until_day(30)
    using.answer(30, Outcome.SATISFIED)
    using.answer(30, Outcome.DISSATISFIED, who=using.cast.joao)
    assert (using.stage, using.row.open_flags, using.contact(30).settled_by) == ("follow_up_60", 1, SettledBy.ANSWER)
    using.live_until_day(60)
    assert (using.stage, using.contact(60).converted_why) == ("follow_up_60", "open_flag")


# Flags, once more


def test_not_solved_opens_the_flag_and_its_contact_again(using: Story) -> None:
    using.live_until_day(30)
    using.answer(30, Outcome.DISSATISFIED)
    using.settle_flag()
    assert using.stage == "follow_up_60"
    using.say_not_solved()
    assert (using.row.open_flags, using.contact(30).settled_at) == (1, None)
    using.settle_flag(FlagOutcome.ACCEPTED_RISK)
    with pytest.raises(Refused, match="not settled yet: day 30, 60, 90"):
        using.move("approved")


def test_an_unhappy_conversation_about_an_open_flag_opens_no_second_one(using: Story) -> None:
    using.live_until_day(30)
    using.answer(30, Outcome.DISSATISFIED)
    using.talk(Outcome.DISSATISFIED, who=using.cast.maria)
    assert len(using.open_flags) == 1
    using.talk(Outcome.DISSATISFIED, who=using.cast.joao)
    assert len(using.open_flags) == 2


def test_a_lost_customer_ends_the_journey_and_all_that_waited(using: Story) -> None:
    using.live_until_day(30)
    using.answer(30, Outcome.DISSATISFIED)
    using.settle_flag(FlagOutcome.LOST)
    assert (using.status, using.stage, using.waiting) == (Status.LOST, "follow_up_30", {})
    using.live_until(DAY_30 + timedelta(days=100))
    assert using.surveys_sent == [Kind.SURVEY_30]


# A worker that stood still


def test_a_30_day_mail_on_day_55_is_void_and_becomes_a_call(using: Story) -> None:
    using.skip_until(DAY_30 + timedelta(days=25))
    using.wake_worker()
    assert (using.stage, using.surveys_sent) == ("follow_up_30", [])
    assert (using.contact(30).converted_why, using.contact(30).sent_at) == ("late", None)
    assert ActivityKind.CONTACT_BY_CALL in using.to_do()
    assert using.due("survey:30").result == "late"


def test_a_mail_that_is_a_few_days_late_still_goes_out(using: Story) -> None:
    using.skip_until(DAY_30 + timedelta(days=14))
    using.wake_worker()
    assert using.surveys_sent == [Kind.SURVEY_30]


def test_after_day_60_a_worker_that_stood_still_sends_the_second_survey_only(using: Story) -> None:
    using.skip_until(DAY_30 + timedelta(days=32))
    using.wake_worker()
    assert using.stage == "follow_up_60"
    assert using.contact(30).missed_at == using.now
    assert (using.due("survey:30").result, "survey:30" in using.waiting) == ("missed", False)
    using.live_until(DAY_30 + timedelta(days=33))  # it was a Sunday, and nobody is asked for anything then
    assert using.surveys_sent == [Kind.SURVEY_60]
    assert using.path == ["demand_analysis", "first_contact", "deployment", "follow_up_30", "follow_up_60"]


def test_after_a_standstill_the_call_is_enough_and_no_reminder_goes_out(using: Story) -> None:
    using.live_until_day(30)
    using.skip_until(DAY_30 + timedelta(days=9))
    using.wake_worker()
    assert using.to_do().count(ActivityKind.CALL_NO_ANSWER) == 1
    assert using.letters(Kind.SURVEY_REMINDER) == []


def test_nobody_gets_two_surveys_within_two_weeks(using: Story) -> None:
    using.live_until_day(30)
    using.answer(30, Outcome.SATISFIED)
    using.correct_start(MONDAY.date() - timedelta(days=25))
    using.live_until_day(60)
    assert (using.surveys_sent, using.contact(60).converted_why) == ([Kind.SURVEY_30], "too_soon")
    assert ActivityKind.CONTACT_BY_CALL in using.to_do()


# Promises


def test_a_promise_past_its_deadline_holds_the_journey_until_it_is_kept(using: Story) -> None:
    issue_id = using.promise((DAY_30 - timedelta(days=1)).date())
    using.live_until_day(30)
    assert (using.stage, using.surveys_sent) == ("deployment", [])
    using.keep_promise(issue_id)
    assert using.stage == "follow_up_30"


def test_a_promise_holds_nothing_on_the_day_of_its_deadline(using: Story) -> None:
    using.promise(DAY_30.date())
    using.live_until_day(30)
    assert using.stage == "follow_up_30"


def test_what_the_customer_owes_holds_nothing(using: Story) -> None:
    using.promise((DAY_30 - timedelta(days=5)).date(), rules.Whose.YOU)
    using.live_until_day(30)
    assert using.stage == "follow_up_30"


@pytest.mark.parametrize("outcome", [Outcome.SATISFIED, Outcome.DISSATISFIED])
def test_an_answer_is_why_nobody_is_reminded_whatever_it_says(using: Story, outcome: Outcome) -> None:
    using.live_until_day(30)
    using.answer(30, outcome)
    assert {using.due(key).result for key in ("reminder:30", "call_no_answer:30")} == {"answer"}
