"""One customer's plan: dependencies, help when stuck, changes by staff, and templates that change without touching it."""

from datetime import date, timedelta
from decimal import Decimal

import pytest
from sqlalchemy import select

from portal.audit import AuditEvent, Happened
from portal.auth import TooMany
from portal.errors import NotFound, Refused
from portal.journeys import actions, plan_templates, planning, public_plans, queries
from portal.journeys.models import Activity, GoalRow, JourneyRow, Milestone, StuckNote, Touchpoint
from portal.journeys.plan_templates import Agreed, Circle, Dateless
from portal.journeys.planning import GoalWords, MilestoneWords, TouchpointWords
from portal.journeys.plans import Entry
from portal.journeys.rules import ActivityKind, EntryKind, Whose
from portal.mail import Kind, LetterRow
from tests.journeys.story import Story


def milestone(story: Story, key: str) -> Milestone:
    with story.house.database.read() as db:
        return db.scalars(select(Milestone).where(Milestone.journey_id == story.id, Milestone.key == key)).one()


def plan(story: Story) -> queries.Plan:
    with story.house.database.read() as db:
        return queries.plan_of(db, story.id, locale="en", zone="America/Sao_Paulo", now=story.now)


def tick(story: Story, key: str, *, done: bool = True) -> None:
    with story.house.database.write() as db:
        actions.tick_milestone(
            db, story.house, milestone_id=milestone(story, key).id, journey_id=story.id, done=done, by="contact:1",
            now=story.now,
        )  # fmt: skip


def get_stuck(story: Story, key: str = "first_use", words: str = "It asks for a code.") -> bool:
    with story.house.database.write() as db:
        return actions.hear_stuck(
            db, story.house, journey_id=story.id, milestone_id=milestone(story, key).id, contact_id=story.cast.maria,
            words=words, now=story.now,
        )  # fmt: skip


def words(title: str = "Count the shelf", **changes: object) -> MilestoneWords:
    return MilestoneWords(**{"title_en": title, "title_pt": title, "whose": Whose.YOU, **changes})  # type: ignore[arg-type]


# What waits


def test_a_step_that_waits_says_for_what_and_cannot_be_ticked_before(using: Story) -> None:
    waits = next(m for m in plan(using).milestones if m.key == "routine")
    assert waits.waits_for == ("Use it for one real task",)
    with pytest.raises(Refused, match="waits for another one"):
        tick(using, "routine")
    tick(using, "first_use")
    tick(using, "routine")
    assert milestone(using, "routine").done_at == using.now


def test_steps_that_would_wait_for_each_other_are_refused_in_words(using: Story) -> None:
    first = milestone(using, "first_use")
    with (
        pytest.raises(Circle, match="“Use it for one real task” → “Make it part of the week”"),
        using.house.database.write() as db,
    ):
        planning.change_milestone(
            db, using.house, milestone_id=first.id, journey_id=using.id, words=words("Use it for one real task", needs=("routine",)),
            by="staff:1", now=using.now,
        )  # fmt: skip
    assert milestone(using, "first_use").needs == ""
    # In the reader's language.
    with pytest.raises(Circle) as refused, using.house.database.write() as db:
        planning.change_milestone(
            db, using.house, milestone_id=first.id, journey_id=using.id, words=words("Use it for one real task", needs=("routine",)),
            by="staff:1", now=using.now, locale="pt-BR",
        )  # fmt: skip
    assert first.title_pt in str(refused.value)


# Stuck


def test_stuck_reaches_the_consultant_with_the_words_typed(using: Story) -> None:
    assert get_stuck(using)
    with using.house.database.read() as db:
        activity = db.scalars(select(Activity).where(Activity.kind == ActivityKind.UNSTICK)).one()
        told = db.scalars(select(AuditEvent).where(AuditEvent.what == Happened.STUCK)).one()
        row = db.get_one(JourneyRow, using.id)
    assert (activity.assignee_id, activity.title) == (row.owner_id, "Use it for one real task: It asks for a code.")
    assert told.detail["words"] == "It asks for a code."
    assert row.worked_at == using.now
    with using.house.database.read() as db:
        letter = db.scalars(select(LetterRow).where(LetterRow.kind == Kind.STUCK)).one()
    assert (letter.staff_id, letter.context["words"]) == (row.owner_id, "It asks for a code.")
    shown = next(m for m in plan(using).milestones if m.key == "first_use")
    assert shown.stuck is not None
    assert shown.stuck.words == "It asks for a code."


def test_stuck_twice_is_once(using: Story) -> None:
    assert [get_stuck(using), get_stuck(using, words="Again")] == [True, False]
    assert len(using.letters(Kind.STUCK)) == 1


def test_stuck_is_a_sign_of_life_and_first_contact(story: Story) -> None:
    story.sell()
    get_stuck(story, "channels")
    with story.house.database.read() as db:
        assert db.get_one(JourneyRow, story.id).first_contact_at == story.now


@pytest.mark.parametrize("how", ["activity", "staff", "tick"])
def test_stuck_ends_when_it_is_settled(using: Story, how: str) -> None:
    get_stuck(using)
    with using.house.database.write() as db:
        activity = db.scalars(select(Activity.id).where(Activity.kind == ActivityKind.UNSTICK)).one()
        row = db.scalars(
            select(Milestone.id).where(Milestone.key == "first_use", Milestone.journey_id == using.id)
        ).one()
        if how == "activity":
            actions.complete_activity(db, using.house, activity_id=activity, note="Called", by="staff:1", now=using.now)
        elif how == "staff":
            planning.settle_stuck(db, using.house, milestone_id=row, journey_id=using.id, by="staff:1", now=using.now)
        else:
            actions.tick_milestone(
                db, using.house, milestone_id=row, journey_id=using.id, done=True, by="contact:1", now=using.now
            )
    with using.house.database.read() as db:
        assert db.scalars(select(StuckNote)).one().settled_at == using.now
        assert db.get_one(Activity, activity).done_at == using.now
        assert len(db.scalars(select(AuditEvent).where(AuditEvent.what == Happened.UNSTUCK)).all()) == 1


def test_nobody_gets_stuck_more_than_ten_times_a_day(using: Story) -> None:
    keys = [m.key for m in plan(using).milestones if m.whose is not Whose.US]
    for number in range(10):
        get_stuck(using, keys[number % len(keys)])
        with using.house.database.write() as db:
            planning.settle_stuck(
                db, using.house, milestone_id=milestone(using, keys[number % len(keys)]).id, journey_id=using.id,
                by="staff:1", now=using.now,
            )  # fmt: skip
    with pytest.raises(TooMany):
        get_stuck(using, keys[0])


# Changes by staff


def test_a_moved_date_goes_on_moving_with_the_start_of_use(using: Story) -> None:
    """Invariant 8, for dates that staff set."""
    with using.house.database.read() as db:
        started = db.get_one(JourneyRow, using.id).use_started_on
    assert started is not None
    tick(using, "kickoff")
    with using.house.database.write() as db:
        ids = {
            key: db.scalars(select(Milestone.id).where(Milestone.journey_id == using.id, Milestone.key == key)).one()
            for key in ("first_use",)
        }
        talk = db.scalars(select(Touchpoint).where(Touchpoint.journey_id == using.id, Touchpoint.key == "day30")).one()
        planning.change_milestone(
            db, using.house, milestone_id=ids["first_use"], journey_id=using.id, words=words(due_on=started + timedelta(days=9)),
            by="staff:1", now=using.now,
        )  # fmt: skip
        planning.change_touchpoint(
            db, using.house, touchpoint_id=talk.id, journey_id=using.id,
            words=TouchpointWords(title_en="T", title_pt="T", channel="phone", due_on=started + timedelta(days=33)),
            by="staff:1", now=using.now,
        )  # fmt: skip
        planning.write_milestone(
            db, using.house, journey_id=using.id, words=words("Own", due_on=started + timedelta(days=5)), by="staff:1",
            now=using.now,
        )  # fmt: skip

    def dates() -> dict[str, date | None]:
        with using.house.database.read() as db:
            return {
                f"{table.__tablename__}:{row.key}": row.due_on
                for table in (Milestone, Touchpoint)
                for row in db.scalars(select(table).where(table.journey_id == using.id))
            }

    before = dates()
    with using.house.database.write() as db:
        actions.correct_use_start(
            db, using.house, journey_id=using.id, on=started + timedelta(days=3), by="staff:1", now=using.now
        )
    after = dates()
    assert after.keys() == before.keys()
    moved = {key: day - was for key, was in before.items() if was and (day := after[key])}
    assert moved.pop("milestones:kickoff") == timedelta()
    assert set(moved.values()) == {timedelta(days=3)}


def test_what_is_done_stays_and_what_is_removed_holds_nobody_up(using: Story) -> None:
    tick(using, "kickoff")
    with pytest.raises(Refused), using.house.database.write() as db:
        planning.remove_milestone(
            db,
            using.house,
            milestone_id=milestone(using, "kickoff").id,
            journey_id=using.id,
            by="staff:1",
            now=using.now,
        )
    get_stuck(using)
    with using.house.database.write() as db:
        planning.remove_milestone(
            db,
            using.house,
            milestone_id=milestone(using, "first_use").id,
            journey_id=using.id,
            by="staff:1",
            now=using.now,
        )
    assert milestone(using, "routine").needs == ""
    with using.house.database.read() as db:
        told = db.scalars(select(AuditEvent).where(AuditEvent.what == Happened.PLAN_CHANGED)).one()
    assert (told.detail["did"], told.detail["title"]) == ("removed", "Use it for one real task")
    tick(using, "routine")


def test_steps_take_their_place(using: Story) -> None:
    keys = [m.key for m in plan(using).milestones]
    with using.house.database.write() as db:
        planning.place_milestone(
            db, using.house, milestone_id=milestone(using, keys[2]).id, journey_id=using.id, up=True, by="staff:1",
            now=using.now,
        )  # fmt: skip
    assert [m.key for m in plan(using).milestones] == [keys[0], keys[2], keys[1], *keys[3:]]


def test_a_goal_in_numbers_moves_and_is_met_by_a_person_only(using: Story) -> None:
    goal_words = GoalWords(day=30, title="Recipes", unit="recipes", starts=Decimal(0), target=Decimal(10))
    with using.house.database.write() as db:
        goal = planning.write_goal(db, using.house, journey_id=using.id, words=goal_words, by="staff:1", now=using.now)
        plain = planning.set_goal(
            db, using.house, journey_id=using.id, day=30, title="W", measure="", by="staff:1", now=using.now
        )

        def note(number: int, which: int = goal) -> bool:
            return planning.note_progress(
                db,
                using.house,
                goal_id=which,
                journey_id=using.id,
                reached=Decimal(number),
                by="staff:1",
                now=using.now,
            )

        assert [note(6), note(10)] == [False, True]
        with pytest.raises(Refused, match="no numbers"):
            note(1, plain)
        assert db.get_one(GoalRow, goal).met_at is None
    shown = plan(using).goals[0]
    assert (shown.percent, shown.reached, shown.unit) == (100, Decimal(10), "recipes")


def test_another_journeys_step_is_not_found(using: Story) -> None:
    with pytest.raises(NotFound), using.house.database.write() as db:
        planning.remove_milestone(
            db,
            using.house,
            milestone_id=milestone(using, "first_use").id,
            journey_id=using.id + 99,
            by="staff:1",
            now=using.now,
        )


# Templates


def entry(title: str, **changes: object) -> Entry:
    return Entry(**{"kind": EntryKind.MILESTONE, "key": "", "title": (title, title), **changes})  # type: ignore[arg-type]


def test_a_changed_template_is_for_customers_to_come(using: Story) -> None:
    before = [m.title for m in plan(using).milestones]
    with using.house.database.write() as db:
        (template,) = plan_templates.templates(db)
        for line in plan_templates.entries_of(db, template.id)[1:]:
            plan_templates.remove_entry(db, template_id=template.id, entry_id=line.id, by="staff:1", now=using.now)
    assert [m.title for m in plan(using).milestones] == before
    with using.house.database.read() as db:
        assert len(plan_templates.entries_for(db, "anything")) == 1


def test_a_product_has_a_plan_of_its_own_found_however_it_is_written(story: Story) -> None:
    with story.house.database.write() as db:
        (template,) = plan_templates.templates(db)
        own = plan_templates.make_template(db, product="Café Pro", copy_of=template.id, by="staff:1", now=story.now)
        plan_templates.save_entry(
            db, template_id=own, entry_id=None, entry=entry("Only here", day=2), by="staff:1", now=story.now
        )
        titles = [e.title[0] for e in plan_templates.entries_for(db, "CAFE  pro")]
        assert "Only here" in titles
        assert "Only here" not in [e.title[0] for e in plan_templates.entries_for(db, "Team")]
        with pytest.raises(Refused, match="already"):
            plan_templates.make_template(db, product="cafe pro", copy_of=None, by="staff:1", now=story.now)
        plan_templates.remove_template(db, template_id=own, by="staff:1", now=story.now)
        assert "Only here" not in [e.title[0] for e in plan_templates.entries_for(db, "Café Pro")]
        with pytest.raises(Refused, match="stays"):
            plan_templates.remove_template(db, template_id=template.id, by="staff:1", now=story.now)


def test_a_template_refuses_circles_and_dates_from_nothing(story: Story) -> None:
    with story.house.database.write() as db:
        own = plan_templates.make_template(db, product="P", copy_of=None, by="staff:1", now=story.now)

        def save(which: int | None, what: Entry) -> int:
            return plan_templates.save_entry(
                db, template_id=own, entry_id=which, entry=what, by="staff:1", now=story.now
            )

        first = save(None, entry("A", day=3))
        second = save(None, entry("B", after_key=f"entry:{first}", after_days=2, needs=(f"entry:{first}",)))
        loose = save(None, entry("C"))
        with pytest.raises(Circle, match="“A” → “B”"):
            save(first, entry("A", day=3, needs=(f"entry:{second}",)))
        with pytest.raises(Circle):
            save(first, entry("A", after_key=f"entry:{second}", after_days=1))
        with pytest.raises(Dateless, match="“C”"):
            save(second, entry("B", after_key=f"entry:{loose}", after_days=1))
        plan_templates.remove_entry(db, template_id=own, entry_id=first, by="staff:1", now=story.now)
        left = plan_templates.entries_of(db, own)
        assert [(line.entry.title[0], line.day, line.entry.needs) for line in left] == [("B", 5, ()), ("C", None, ())]


# The plan that was shown before the sale


def show(story: Story) -> int:
    with story.house.database.write() as db:
        return public_plans.make(
            db, prospect="Padaria", product="", language="en", starts_on=date(2026, 7, 6),  # type: ignore[arg-type]
            staff_id=story.cast.carla, by="staff:1", now=story.now,
        )  # fmt: skip


def test_the_journey_starts_with_the_plan_that_was_shown_and_its_dates(story: Story) -> None:
    shown = show(story)
    with story.house.database.write() as db:
        (template,) = plan_templates.templates(db)
        for line in plan_templates.entries_of(db, template.id)[1:]:
            plan_templates.remove_entry(db, template_id=template.id, entry_id=line.id, by="staff:1", now=story.now)
        agreed: Agreed = public_plans.sell(
            db, plan_id=shown, account_id=story.cast.padaria, by="staff:1", now=story.now
        )
        story.id = actions.open_after_sale(
            db,
            story.house,
            account_id=story.cast.padaria,
            owner_id=story.cast.carla,
            by="test",
            now=story.now,
            agreed=agreed,
        )
    assert milestone(story, "first_use").due_on == date(2026, 7, 13)
    assert milestone(story, "results").due_on == date(2026, 10, 2)


def test_a_plan_connected_later_replaces_what_lies_ahead_only(using: Story) -> None:
    tick(using, "kickoff")
    get_stuck(using)
    with using.house.database.write() as db:
        own = planning.write_milestone(
            db, using.house, journey_id=using.id, words=words("Own"), by="staff:1", now=using.now
        )
        (template,) = plan_templates.templates(db)
        plan_templates.save_entry(
            db, template_id=template.id, entry_id=None, entry=entry("Promised", day=20), by="staff:1", now=using.now
        )
    shown = show(using)
    with using.house.database.write() as db:
        public_plans.connect(db, using.house, plan_id=shown, account_id=using.cast.padaria, by="staff:1", now=using.now)
    with using.house.database.read() as db:
        started = db.get_one(JourneyRow, using.id).use_started_on
        promised = db.scalars(select(Milestone).where(Milestone.title_en == "Promised")).one()
        assert db.get(Milestone, own) is not None
        assert len(db.scalars(select(StuckNote).where(StuckNote.settled_at.is_(None))).all()) == 1
    assert started is not None
    assert promised.due_on == started + timedelta(days=20)
    assert milestone(using, "kickoff").done_at is not None
    with pytest.raises(Refused), using.house.database.write() as db:
        public_plans.sell(db, plan_id=show_again(using, db), account_id=using.cast.padaria, by="staff:1", now=using.now)


def show_again(story: Story, db: object) -> int:
    return public_plans.make(
        db, prospect="Other", product="", language="en", starts_on=date(2026, 7, 6),  # type: ignore[arg-type]
        staff_id=story.cast.carla, by="staff:1", now=story.now,
    )  # fmt: skip
