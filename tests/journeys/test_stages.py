"""The stage table, row by row: what entering sets going, and what moves a customer on."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select, update

from portal.accounts.models import Account, Contact, Staff
from portal.accounts.rules import Role
from portal.auth import SignInLink, link_path
from portal.errors import Refused
from portal.journeys import actions, conduct
from portal.journeys.letters import welcome
from portal.journeys.models import JourneyRow, Milestone, PipelineRow, StageRow, Touchpoint
from portal.journeys.rules import ActivityKind, FlagOutcome, Outcome, SettledBy, Status
from portal.mail import Kind, LetterRow
from tests import factories
from tests.cast import MONDAY
from tests.journeys.story import Story

WEDNESDAY = MONDAY + timedelta(days=2)
DAY_30 = datetime(2026, 4, 1, 12, 0, tzinfo=UTC)
DAY_60 = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)
SUNDAY_DAY_90 = datetime(2026, 5, 31, 12, 0, tzinfo=UTC)


# 1. Demand analysis


def test_a_sold_customer_is_analysed_first(story: Story) -> None:
    story.sell()
    assert (story.stage, story.to_do(), story.letters()) == ("demand_analysis", [ActivityKind.ANALYSE_DEMAND], [])
    analysis = story.activity(ActivityKind.ANALYSE_DEMAND)
    assert (analysis.assignee_id, analysis.due_at) == (story.cast.carla, MONDAY + timedelta(days=1))


def test_the_accounts_own_consultant_gets_the_customer(story: Story) -> None:
    with story.house.database.write() as db:
        factories.staff(db, "Davi Nunes", Role.CONSULTANT, now=story.now)
        db.execute(update(Account).where(Account.id == story.cast.padaria).values(consultant_id=story.cast.carla))
        other = factories.journey(db, story.house, story.cast.floricultura, now=story.now, owner_id=story.cast.carla)
        mine = factories.journey(db, story.house, story.cast.padaria, now=story.now)
        assert [db.get_one(JourneyRow, id_).owner_id for id_ in (other, mine)] == [story.cast.carla] * 2


def test_else_the_consultant_with_the_fewest_open_journeys_then_round_robin(story: Story) -> None:
    with story.house.database.write() as db:
        davi = factories.staff(db, "Davi Nunes", Role.CONSULTANT, now=story.now)
        owners = []
        for n in range(5):
            account_id = factories.account(db, f"Customer {n}", now=story.now, plan="Start")
            factories.contact(db, account_id, "Someone", now=story.now)
            now = story.now + timedelta(minutes=n)
            journey_id = factories.journey(db, story.house, account_id, now=now, owner_id=davi if n == 0 else None)
            owners.append(db.get_one(JourneyRow, journey_id).owner_id)
    carla = story.cast.carla
    assert owners == [davi, carla, davi, carla, davi]  # one each, then whoever has waited longest


def test_a_consultant_who_left_gets_no_customer(story: Story) -> None:
    with story.house.database.write() as db:
        davi = factories.staff(db, "Davi Nunes", Role.CONSULTANT, now=story.now)
        db.execute(update(Account).where(Account.id == story.cast.padaria).values(consultant_id=story.cast.carla))
        db.execute(update(Staff).where(Staff.id == story.cast.carla).values(disabled_at=story.now))
        journey_id = factories.journey(db, story.house, story.cast.padaria, now=story.now)
        assert db.get_one(JourneyRow, journey_id).owner_id == davi


def test_the_analysis_done_leads_to_the_first_contact(story: Story) -> None:
    story.sell()
    story.tick(ActivityKind.ANALYSE_DEMAND)
    assert (story.stage, story.last_visit.moved_by) == ("first_contact", "rule:demand_analysed")
    assert sorted(story.last_visit.evidence) == ["demand_analysed", "owner_assigned", "plan_known", "reachable"]


def test_without_a_plan_the_customer_stays_until_it_is_known(story: Story) -> None:
    with story.house.database.write() as db:
        db.execute(update(Account).where(Account.id == story.cast.padaria).values(plan=""))
    story.sell()
    story.tick(ActivityKind.ANALYSE_DEMAND)
    assert story.stage == "demand_analysis"
    with story.house.database.write() as db:
        db.execute(update(Account).where(Account.id == story.cast.padaria).values(plan="Growth"))
        actions.hear_account_change(db, story.house, account_id=story.cast.padaria, now=story.now)
    assert story.stage == "first_contact"


def test_without_anybody_to_reach_the_customer_stays(story: Story) -> None:
    with story.house.database.write() as db:
        people = Contact.account_id == story.cast.padaria
        db.execute(update(Contact).where(people).values(disabled_at=story.now))
    story.sell()
    story.tick(ActivityKind.ANALYSE_DEMAND)
    assert story.stage == "demand_analysis"


def test_without_a_consultant_the_customer_stays_until_there_is_one(story: Story) -> None:
    with story.house.database.write() as db:
        db.execute(update(Staff).where(Staff.id == story.cast.carla).values(disabled_at=story.now))
        story.id = factories.journey(db, story.house, story.cast.padaria, now=story.now)
    story.tick(ActivityKind.ANALYSE_DEMAND)
    assert (story.stage, story.row.owner_id) == ("demand_analysis", None)
    with story.house.database.write() as db:
        davi = factories.staff(db, "Davi Nunes", Role.CONSULTANT, now=story.now)
        by = f"staff:{story.cast.rui}"
        actions.assign_consultant(db, story.house, journey_id=story.id, staff_id=davi, by=by, now=story.now)
    assert (story.stage, story.row.owner_id) == ("first_contact", davi)


def test_an_account_has_one_journey_under_way(story: Story) -> None:
    story.sell()
    with pytest.raises(Refused, match="already has a journey"):
        story.sell()


# 2. Contact with customer


def test_the_welcome_mail_goes_out_once(story: Story) -> None:
    story.sell()
    story.tick(ActivityKind.ANALYSE_DEMAND)
    assert story.letters() == [f"welcome:journey:{story.id}"]
    story.sign_in()
    story.move("first_contact")
    assert story.letters() == [f"welcome:journey:{story.id}"]


def test_the_welcome_mail_lets_maria_in(story: Story) -> None:
    story.sell()
    story.tick(ActivityKind.ANALYSE_DEMAND)
    with story.house.database.read() as db:
        letter = db.scalars(select(LetterRow).where(LetterRow.kind == Kind.WELCOME)).one()
        link = db.get_one(SignInLink, letter.context["link_id"])
        shown = welcome(db, story.house, letter)["sign_in_url"]
    assert (link.contact_id, link.email, link.is_open(story.now)) == (letter.contact_id, letter.to_email, True)
    assert shown == story.house.url(link_path(story.house.secret, link))


def test_no_contact_in_two_days_asks_for_a_call(story: Story) -> None:
    story.sell()
    story.tick(ActivityKind.ANALYSE_DEMAND)
    story.live_until(WEDNESDAY - timedelta(minutes=1))
    assert story.to_do() == []
    story.live_until(WEDNESDAY)
    assert story.to_do() == [ActivityKind.CALL_NO_CONTACT]


def test_contact_in_time_needs_no_call(story: Story) -> None:
    story.sell()
    story.tick(ActivityKind.ANALYSE_DEMAND)
    story.sign_in()
    story.live_until(WEDNESDAY)
    assert story.to_do() == [ActivityKind.FILL_IN_NEEDS]


def test_the_call_is_off_once_the_customer_turns_up(story: Story) -> None:
    story.sell()
    story.tick(ActivityKind.ANALYSE_DEMAND)
    story.live_until(WEDNESDAY)
    story.sign_in()
    assert story.to_do() == [ActivityKind.FILL_IN_NEEDS]
    assert story.activity(ActivityKind.CALL_NO_CONTACT).done_by == f"contact:{story.cast.maria}"


@pytest.mark.parametrize("how", ["sign in", "write", "book", "hold a meeting", "talk"])
def test_any_first_contact_leads_to_deployment(story: Story, how: str) -> None:
    story.sell()
    story.tick(ActivityKind.ANALYSE_DEMAND)
    match how:
        case "sign in":
            story.sign_in()
        case "write":
            story.write_to_us()
        case "book":
            story.book(story.now + timedelta(days=1))
        case "hold a meeting":
            with story.house.database.write() as db:
                actions.hear_meeting_held(
                    db,
                    story.house,
                    journey_id=story.id,
                    meeting_id=1,
                    contact_id=story.cast.maria,
                    kind="kickoff",
                    by=f"staff:{story.cast.carla}",
                    now=story.now,
                )
        case "talk":
            story.talk()
    assert (story.stage, story.last_visit.moved_by) == ("deployment", "rule:first_contact")


# 3. Deployment & feedback


def test_use_starts_with_deployment_and_dates_the_whole_plan(using: Story) -> None:
    assert using.row.use_started_on == MONDAY.date()
    assert [using.contact(day).due_at for day in (30, 60, 90)] == [
        DAY_30,
        DAY_60,
        SUNDAY_DAY_90 + timedelta(days=1),  # the next business day
    ]
    assert [using.contact(day).due_on for day in (30, 60, 90)] == [
        moment.date() for moment in (DAY_30, DAY_60, SUNDAY_DAY_90)
    ]
    with using.house.database.read() as db:
        milestones = {m.key: m.due_on for m in db.query(Milestone).filter(Milestone.journey_id == using.id)}
        touchpoints = {t.key: t.due_on for t in db.query(Touchpoint).filter(Touchpoint.journey_id == using.id)}
    assert milestones["first_use"] == (MONDAY + timedelta(days=7)).date()
    assert touchpoints["day14"] == (MONDAY + timedelta(days=14)).date()
    assert using.to_do() == [ActivityKind.FILL_IN_NEEDS]


def test_day_30_of_use_leads_to_the_30_day_follow_up(using: Story) -> None:
    using.live_until(DAY_30 - timedelta(minutes=1))
    assert using.stage == "deployment"
    using.live_until(DAY_30)
    assert (using.stage, using.last_visit.moved_by) == ("follow_up_30", "rule:day_of_use:30")


# 4 to 6. The follow-ups


def test_each_follow_up_sends_its_survey_on_its_day(using: Story) -> None:
    for day, kind in ((30, Kind.SURVEY_30), (60, Kind.SURVEY_60), (90, Kind.SURVEY_90)):
        using.live_until(using.day_instant(day) - timedelta(minutes=1))
        assert kind not in using.surveys_sent
        using.live_until_day(day)
        assert using.surveys_sent[-1] is kind
        using.answer(day, Outcome.SATISFIED)
    assert using.surveys_sent == [Kind.SURVEY_30, Kind.SURVEY_60, Kind.SURVEY_90]


def test_the_next_contact_is_on_the_consultants_list_for_its_day(using: Story) -> None:
    using.live_until_day(30)
    assert using.activity(ActivityKind.CONTACT_60).due_at == DAY_60
    using.answer(30, Outcome.SATISFIED)
    assert using.activity(ActivityKind.CONTACT_90).due_at == SUNDAY_DAY_90 + timedelta(days=1)


def test_a_settled_contact_leads_to_the_next_stage(using: Story) -> None:
    using.live_until_day(30)
    using.answer(30, Outcome.SATISFIED)
    assert (using.stage, using.last_visit.moved_by) == ("follow_up_60", "rule:contact_settled:30")


def test_a_settled_contact_takes_its_call_off_the_list(using: Story) -> None:
    using.live_until_day(60)
    assert ActivityKind.CONTACT_60 in using.to_do()
    using.talk()
    assert ActivityKind.CONTACT_60 not in using.to_do()


def test_the_last_contact_settled_approves_the_customer(using: Story) -> None:
    for day in (30, 60, 90):
        using.live_until_day(day)
        using.answer(day, Outcome.SATISFIED)
    assert (using.stage, using.status) == ("approved", Status.WON)


def test_an_unmet_goal_of_day_90_holds_the_approval(using: Story) -> None:
    goal_id = using.set_goal(90)
    for day in (30, 60, 90):
        using.live_until_day(day)
        using.answer(day, Outcome.SATISFIED)
    assert using.stage == "follow_up_90"
    using.close_goal(goal_id, met=True)
    assert using.stage == "approved"


def test_a_dropped_goal_holds_nothing(using: Story) -> None:
    goal_id = using.set_goal(90)
    for day in (30, 60, 90):
        using.live_until_day(day)
        using.answer(day, Outcome.SATISFIED)
    using.close_goal(goal_id, met=False)
    assert using.stage == "approved"


def test_goals_of_earlier_days_hold_nothing(using: Story) -> None:
    using.set_goal(30)
    using.live_until_day(30)
    using.answer(30, Outcome.SATISFIED)
    assert using.stage == "follow_up_60"


# 7. Approved customer


@pytest.fixture
def approved(using: Story) -> Story:
    for day in (30, 60, 90):
        using.live_until_day(day)
        using.answer(day, Outcome.SATISFIED)
    return using


def test_an_approved_customer_is_congratulated_and_handed_over(approved: Story) -> None:
    assert approved.letters(Kind.CONGRATULATIONS) == [f"congratulations:journey:{approved.id}"]
    assert approved.to_do() == [ActivityKind.FILL_IN_NEEDS, ActivityKind.HAND_OVER]
    assert approved.due("referral_prompt:approval").what == "approval"


def test_an_approved_customer_gets_one_relationship_journey_linked_to_the_old_one(approved: Story) -> None:
    (relationship,) = approved.relationships
    assert (relationship.previous_journey_id, relationship.status, relationship.owner_id, relationship.zone) == (
        approved.id,
        Status.OPEN,
        approved.cast.carla,
        "America/Sao_Paulo",
    )


def test_approving_again_makes_no_second_relationship_and_no_second_mail(approved: Story) -> None:
    approved.move("follow_up_90")
    assert (approved.stage, approved.status) == ("follow_up_90", Status.OPEN)
    approved.move("approved")
    assert approved.status is Status.WON
    assert len(approved.relationships) == 1
    assert approved.letters(Kind.CONGRATULATIONS) == [f"congratulations:journey:{approved.id}"]


def test_a_dissatisfied_answer_after_approval_flags_the_approved_stage(approved: Story) -> None:
    approved.answer(90, Outcome.DISSATISFIED, who=approved.cast.joao)
    assert (approved.stage, approved.status, approved.row.open_flags) == ("approved", Status.WON, 1)
    approved.settle_flag()
    assert (approved.stage, approved.status, approved.row.open_flags) == ("approved", Status.WON, 0)


def test_losing_a_customer_over_a_flag_after_approval_ends_the_relationship(approved: Story) -> None:
    approved.answer(90, Outcome.DISSATISFIED, who=approved.cast.joao)
    approved.settle_flag(FlagOutcome.LOST)
    assert approved.status is Status.WON
    assert [row.status for row in approved.relationships] == [Status.LOST]


def test_a_flag_reopened_after_approval_leaves_the_contact_settled(using: Story) -> None:
    for day in (30, 60):
        using.live_until_day(day)
        using.answer(day, Outcome.SATISFIED)
    using.live_until_day(90)
    using.answer(90, Outcome.DISSATISFIED)
    using.settle_flag()
    assert using.status is Status.WON
    using.say_not_solved()
    assert (using.status, using.row.open_flags, using.contact(90).settled_by) == (Status.WON, 1, SettledBy.FLAG)


# What the shell keeps in one piece


class ThatWasARehearsal(Exception):
    pass


def rehearse(story: Story, key: str, *, then: Exception | None = None) -> None:
    """Writes a pipeline of one stage and has the conductor read it."""
    with story.house.database.write() as db:
        row = PipelineRow(key=key, version=1, name_en=key, name_pt=key, created_at=story.now)
        db.add(row)
        db.flush()
        words = dict.fromkeys(("name_en", "name_pt", "customer_name_en", "customer_name_pt"), key)
        db.add(StageRow(pipeline_id=row.id, position=0, key=f"{key}_stage", moves_on=[], on_enter=[], **words))
        db.flush()
        assert conduct.pipeline(db, row.id).stages[0].key == f"{key}_stage"
        if then is not None:
            raise then


def test_a_pipeline_that_was_rolled_back_is_not_remembered(story: Story) -> None:
    with pytest.raises(ThatWasARehearsal):
        rehearse(story, "rehearsed", then=ThatWasARehearsal())
    rehearse(story, "real")  # on SQLite it gets the same number
