"""One customer's plan, as staff change it: milestones, touchpoints, goals, pending issues, and who is stuck.

Forms are pages of their own, as in `customer.py`; the customer reads every change.
"""

from decimal import Decimal
from typing import Any

from starlette.responses import Response

from portal.deps import AskOfStaff, Id, StaffAsk, staff_pages
from portal.errors import N_, NotFound, Refused
from portal.forms import Filled, empty_form, read_form
from portal.journeys import actions, desk, planning, public_plans, queries
from portal.journeys.plan_templates import Circle
from portal.journeys.planning import GoalWords, IssueWords, MilestoneWords, TouchpointWords
from portal.journeys.rules import Whose
from portal.policy import Permission
from portal.routes.staff.customer import Customer, customer_of, form_page, next_goal_day
from portal.routes.staff.forms import (
    GoalForm,
    IssueForm,
    MilestoneForm,
    ProgressForm,
    ShownPlanForm,
    Tick,
    TouchpointForm,
)

talks = staff_pages(Permission.TALK_TO_CUSTOMERS)

BOTH_DATES = N_("Give a day of use or a date, not both.")


def _pt(ask: AskOfStaff) -> bool:
    return ask.locale == "pt-BR"


def _in_both(ask: AskOfStaff, own: str, other: str) -> tuple[str, str]:
    """English and Portuguese: what was written, in the writer's language, and the other one (the same if left empty)."""
    return (other or own, own) if _pt(ask) else (own, other or own)


# Milestones


@talks.get("/customers/{account}/milestones")
def ask_milestone(ask: StaffAsk, account: Id) -> Response:
    return _milestone_page(ask, customer_of(ask, account), empty_form({"whose": Whose.US}))


@talks.post("/customers/{account}/milestones")
def add_milestone(ask: StaffAsk, account: Id) -> Response:
    """A milestone of this customer's own."""
    found = customer_of(ask, account)
    filled = _checked_milestone(ask, found, read_form(MilestoneForm, ask.form))
    if filled.value is None:
        return _milestone_page(ask, found, filled)
    journey_id = found.the_journey.id
    planning.write_milestone(
        ask.db, ask.house, journey_id=journey_id, words=_words(ask, filled.value), by=ask.me.by, now=ask.now
    )
    return ask.see_other(found.home, said=N_("It’s on the plan. The customer sees it too."))


@talks.get("/customers/{account}/milestones/{milestone}")
def edit_milestone(ask: StaffAsk, account: Id, milestone: Id) -> Response:
    """The milestone with all that can be changed of it."""
    found = customer_of(ask, account)
    row = desk.milestone_of(ask.db, found.the_journey.id, milestone)
    own, other = ("pt", "en") if _pt(ask) else ("en", "pt")
    titles, helps = (
        [getattr(row, f"title_{at}") for at in (own, other)],
        [getattr(row, f"help_{at}") for at in (own, other)],
    )
    known = {
        "title": titles[0],
        "title_other": titles[1] if titles[1] != titles[0] else "",
        "help": helps[0],
        "help_other": helps[1] if helps[1] != helps[0] else "",
        "whose": row.whose,
        "due_on": row.due_on,
        "day": row.day if row.due_on is None else None,
        "needs": row.needs.split(),
    }
    return _milestone_page(ask, found, empty_form(known), milestone=milestone)


@talks.post("/customers/{account}/milestones/{milestone}")
def change_milestone(ask: StaffAsk, account: Id, milestone: Id) -> Response:
    found = customer_of(ask, account)
    filled = _checked_milestone(ask, found, read_form(MilestoneForm, ask.form), milestone=milestone)
    if filled.value is not None:
        try:
            planning.change_milestone(
                ask.db,
                ask.house,
                milestone_id=milestone,
                journey_id=found.the_journey.id,
                words=_words(ask, filled.value),
                by=ask.me.by,
                now=ask.now,
                locale=ask.locale,
            )
        except Circle as circle:
            # Refused before anything is stored.
            filled = filled.with_error("needs", circle.message, **circle.values)
    if filled.value is None:
        return _milestone_page(ask, found, filled, milestone=milestone)
    return ask.see_other(found.home, said=N_("Changed. The customer sees it too."))


def _words(ask: AskOfStaff, form: MilestoneForm) -> MilestoneWords:
    title, help_ = _in_both(ask, form.title, form.title_other), _in_both(ask, form.help, form.help_other)
    return MilestoneWords(
        title_en=title[0],
        title_pt=title[1],
        help_en=help_[0],
        help_pt=help_[1],
        whose=form.whose,
        due_on=form.due_on,
        day=form.day,
        needs=tuple(form.needs),
    )


def _checked_milestone(
    ask: AskOfStaff, found: Customer, filled: Filled[MilestoneForm], *, milestone: int = 0
) -> Filled[MilestoneForm]:
    if filled.value is None:
        return filled
    if filled.value.due_on is not None and filled.value.day is not None:
        return filled.with_error("day", BOTH_DATES)
    known = {m.key for m in _plan(ask, found).milestones if m.id != milestone}
    if not known.issuperset(filled.value.needs):
        return filled.with_error("needs", N_("Please choose from the steps of this plan."))
    return filled


def _plan(ask: AskOfStaff, found: Customer) -> queries.Plan:
    journey = found.the_journey
    return queries.plan_of(ask.db, journey.id, locale=ask.locale, zone=journey.zone, now=ask.now)


def _milestone_page(ask: AskOfStaff, found: Customer, form: Filled[Any], *, milestone: int = 0) -> Response:
    values: dict[str, Any] = {"plan": _plan(ask, found), "editing": milestone}
    if milestone:
        values |= {
            "title": N_("Change a step of the plan"),
            "button": N_("Save"),
            "removal": f"{found.path}/milestones/{milestone}/removal",
        }
    return form_page(ask, found, "milestone", form, **values)


@talks.post("/customers/{account}/milestones/{milestone}/removal")
def remove_milestone(ask: StaffAsk, account: Id, milestone: Id) -> Response:
    found = customer_of(ask, account)
    planning.remove_milestone(
        ask.db, ask.house, milestone_id=milestone, journey_id=found.the_journey.id, by=ask.me.by, now=ask.now
    )
    return ask.see_other(found.home, said=N_("It’s off the plan."))


@talks.post("/customers/{account}/milestones/{milestone}/place")
def place_milestone(ask: StaffAsk, account: Id, milestone: Id) -> Response:
    """One place up, or (`way=down`) down."""
    found = customer_of(ask, account)
    planning.place_milestone(
        ask.db,
        ask.house,
        milestone_id=milestone,
        journey_id=found.the_journey.id,
        up=ask.form.get("way") != "down",
        by=ask.me.by,
        now=ask.now,
    )
    return ask.see_other(f"{found.home}#ms-{milestone}")


@talks.post("/customers/{account}/milestones/{milestone}/done")
def tick(ask: StaffAsk, account: Id, milestone: Id) -> Response:
    """Ticks one of ours, or takes that back. What is the customer's alone is theirs to tick."""
    found = customer_of(ask, account)
    line = next((m for m in _plan(ask, found).milestones if m.id == milestone), None)
    if line is None:
        raise NotFound
    if line.whose is Whose.YOU:
        raise Refused(N_("That one is the customer’s to tick."))
    filled = read_form(Tick, ask.form)
    done = filled.value.done if filled.value is not None else True
    actions.tick_milestone(
        ask.db,
        ask.house,
        milestone_id=milestone,
        journey_id=found.the_journey.id,
        done=done,
        by=ask.me.by,
        now=ask.now,
    )
    return ask.see_other(found.home, said=N_("Done.") if done else N_("Open again."))


@talks.post("/customers/{account}/milestones/{milestone}/unstuck")
def settle_stuck(ask: StaffAsk, account: Id, milestone: Id) -> Response:
    """The customer got help with it."""
    found = customer_of(ask, account)
    planning.settle_stuck(
        ask.db, ask.house, milestone_id=milestone, journey_id=found.the_journey.id, by=ask.me.by, now=ask.now
    )
    return ask.see_other(found.home, said=N_("Settled. They can get on with it."))


# Touchpoints


@talks.get("/customers/{account}/touchpoints")
def ask_touchpoint(ask: StaffAsk, account: Id) -> Response:
    return form_page(ask, customer_of(ask, account), "touchpoint", empty_form({"channel": "meeting"}))


@talks.post("/customers/{account}/touchpoints")
def add_touchpoint(ask: StaffAsk, account: Id) -> Response:
    """One more contact that the customer can see coming."""
    found = customer_of(ask, account)
    filled = _checked_touchpoint(read_form(TouchpointForm, ask.form))
    if filled.value is None:
        return form_page(ask, found, "touchpoint", filled)
    words = _touchpoint_words(ask, filled.value)
    planning.write_touchpoint(
        ask.db, ask.house, journey_id=found.the_journey.id, words=words, by=ask.me.by, now=ask.now
    )
    return ask.see_other(found.home, said=N_("It’s on the plan. The customer sees it too."))


@talks.get("/customers/{account}/touchpoints/{touchpoint}")
def edit_touchpoint(ask: StaffAsk, account: Id, touchpoint: Id) -> Response:
    found = customer_of(ask, account)
    row = desk.touchpoint_of(ask.db, found.the_journey.id, touchpoint)
    own, other = ("pt", "en") if _pt(ask) else ("en", "pt")
    titles = [getattr(row, f"title_{at}") for at in (own, other)]
    texts = [getattr(row, f"objective_{at}") for at in (own, other)]
    known = {
        "title": titles[0],
        "title_other": titles[1] if titles[1] != titles[0] else "",
        "objective": texts[0],
        "objective_other": texts[1] if texts[1] != texts[0] else "",
        "channel": row.channel,
        "due_on": row.due_on,
        "day": row.day if row.due_on is None else None,
    }
    return _touchpoint_page(ask, found, empty_form(known), touchpoint)


@talks.post("/customers/{account}/touchpoints/{touchpoint}")
def change_touchpoint(ask: StaffAsk, account: Id, touchpoint: Id) -> Response:
    found = customer_of(ask, account)
    filled = _checked_touchpoint(read_form(TouchpointForm, ask.form))
    if filled.value is None:
        desk.touchpoint_of(ask.db, found.the_journey.id, touchpoint)
        return _touchpoint_page(ask, found, filled, touchpoint)
    planning.change_touchpoint(
        ask.db,
        ask.house,
        touchpoint_id=touchpoint,
        journey_id=found.the_journey.id,
        words=_touchpoint_words(ask, filled.value),
        by=ask.me.by,
        now=ask.now,
    )
    return ask.see_other(found.home, said=N_("Changed. The customer sees it too."))


def _touchpoint_words(ask: AskOfStaff, form: TouchpointForm) -> TouchpointWords:
    title = _in_both(ask, form.title, form.title_other)
    objective = _in_both(ask, form.objective, form.objective_other)
    return TouchpointWords(
        title_en=title[0],
        title_pt=title[1],
        objective_en=objective[0],
        objective_pt=objective[1],
        channel=form.channel,
        due_on=form.due_on,
        day=form.day,
    )


def _checked_touchpoint(filled: Filled[TouchpointForm]) -> Filled[TouchpointForm]:
    if filled.value is not None and filled.value.due_on is not None and filled.value.day is not None:
        return filled.with_error("day", BOTH_DATES)
    return filled


def _touchpoint_page(ask: AskOfStaff, found: Customer, form: Filled[Any], touchpoint: int) -> Response:
    return form_page(
        ask,
        found,
        "touchpoint",
        form,
        title=N_("Change a touchpoint"),
        button=N_("Save"),
        removal=f"{found.path}/touchpoints/{touchpoint}/removal",
    )


@talks.post("/customers/{account}/touchpoints/{touchpoint}/removal")
def remove_touchpoint(ask: StaffAsk, account: Id, touchpoint: Id) -> Response:
    found = customer_of(ask, account)
    planning.remove_touchpoint(
        ask.db, ask.house, touchpoint_id=touchpoint, journey_id=found.the_journey.id, by=ask.me.by, now=ask.now
    )
    return ask.see_other(found.home, said=N_("It’s off the plan."))


# Goals


@talks.get("/customers/{account}/goals")
def ask_goal(ask: StaffAsk, account: Id) -> Response:
    found = customer_of(ask, account)
    return form_page(ask, found, "goal", empty_form({"day": next_goal_day(found.journey)}))


@talks.post("/customers/{account}/goals")
def set_goal(ask: StaffAsk, account: Id) -> Response:
    """A goal for day 30, 60 or 90, which the customer reads too."""
    found = customer_of(ask, account)
    filled = _checked_goal(read_form(GoalForm, ask.form))
    if filled.value is None:
        return form_page(ask, found, "goal", filled)
    words = _goal_words(filled.value)
    planning.write_goal(ask.db, ask.house, journey_id=found.the_journey.id, words=words, by=ask.me.by, now=ask.now)
    return ask.see_other(found.home, said=N_("Goal set. The customer sees it too."))


@talks.get("/customers/{account}/goals/{goal}")
def edit_goal(ask: StaffAsk, account: Id, goal: Id) -> Response:
    found = customer_of(ask, account)
    row = _goal(ask, found, goal)
    known = {
        "day": row.day,
        "title": row.title,
        "measure": row.measure,
        "unit": row.unit,
        "starts": _typed(row.starts),
        "target": _typed(row.target),
    }
    return form_page(ask, found, "goal", empty_form(known), title=N_("Change a goal"), button=N_("Save"))


@talks.post("/customers/{account}/goals/{goal}")
def change_goal(ask: StaffAsk, account: Id, goal: Id) -> Response:
    found = customer_of(ask, account)
    _goal(ask, found, goal)
    filled = _checked_goal(read_form(GoalForm, ask.form))
    if filled.value is None:
        return form_page(ask, found, "goal", filled, title=N_("Change a goal"), button=N_("Save"))
    planning.change_goal(
        ask.db,
        ask.house,
        goal_id=goal,
        journey_id=found.the_journey.id,
        words=_goal_words(filled.value),
        by=ask.me.by,
        now=ask.now,
    )
    return ask.see_other(found.home, said=N_("Changed. The customer sees it too."))


def _goal(ask: AskOfStaff, found: Customer, goal_id: int) -> desk.GoalState:
    row = next((goal for goal in desk.goals_of(ask.db, found.the_journey.id) if goal.id == goal_id), None)
    if row is None:
        raise NotFound
    return row


def _typed(number: Decimal | None) -> str:
    return "" if number is None else f"{number.normalize():f}"


def _checked_goal(filled: Filled[GoalForm]) -> Filled[GoalForm]:
    """Numbers come in pairs: from where to where."""
    given = filled.value
    if given is None:
        return filled
    if given.target is None and (given.starts is not None or given.unit):
        return filled.with_error("target", N_("Say where it should get to."))
    if given.target is not None and given.target == (given.starts or 0):
        return filled.with_error("target", N_("The target has to differ from the start."))
    return filled


def _goal_words(form: GoalForm) -> GoalWords:
    starts = form.starts if form.target is None or form.starts is not None else Decimal(0)
    return GoalWords(
        day=int(form.day), title=form.title, measure=form.measure, unit=form.unit, starts=starts, target=form.target
    )


@talks.get("/customers/{account}/goals/{goal}/progress")
def ask_progress(ask: StaffAsk, account: Id, goal: Id) -> Response:
    found = customer_of(ask, account)
    row = _goal(ask, found, goal)
    return form_page(ask, found, "progress", empty_form({"reached": _typed(row.reached)}), goal=row)


@talks.post("/customers/{account}/goals/{goal}/progress")
def note_progress(ask: StaffAsk, account: Id, goal: Id) -> Response:
    """How far it is by now; the customer sees the bar move."""
    found = customer_of(ask, account)
    row = _goal(ask, found, goal)
    filled = read_form(ProgressForm, ask.form)
    if filled.value is None:
        return form_page(ask, found, "progress", filled, goal=row)
    is_there = planning.note_progress(
        ask.db,
        ask.house,
        goal_id=goal,
        journey_id=found.the_journey.id,
        reached=filled.value.reached,
        by=ask.me.by,
        now=ask.now,
    )
    said = N_("That’s the target. Mark the goal as met once you both agree.") if is_there else N_("Progress noted.")
    return ask.see_other(found.home, said=said)


@talks.post("/customers/{account}/goals/{goal}/met")
def meet_goal(ask: StaffAsk, account: Id, goal: Id) -> Response:
    return _close_goal(ask, account, goal, met=True)


@talks.post("/customers/{account}/goals/{goal}/dropped")
def drop_goal(ask: StaffAsk, account: Id, goal: Id) -> Response:
    return _close_goal(ask, account, goal, met=False)


def _close_goal(ask: AskOfStaff, account_id: int, goal_id: int, *, met: bool) -> Response:
    found = customer_of(ask, account_id)
    actions.close_goal(
        ask.db, ask.house, goal_id=goal_id, journey_id=found.the_journey.id, met=met, by=ask.me.by, now=ask.now
    )
    return ask.see_other(found.home, said=N_("Goal met. Tell them!") if met else N_("Goal dropped."))


# Pending issues


@talks.get("/customers/{account}/issues")
def ask_issue(ask: StaffAsk, account: Id) -> Response:
    return form_page(ask, customer_of(ask, account), "issue", empty_form({"whose": Whose.US}))


@talks.post("/customers/{account}/issues")
def note_issue(ask: StaffAsk, account: Id) -> Response:
    """A pending issue with solution, owner and deadline, which both sides read."""
    found = customer_of(ask, account)
    filled = read_form(IssueForm, ask.form)
    if filled.value is None:
        return form_page(ask, found, "issue", filled)
    actions.note_issue(
        ask.db,
        ask.house,
        journey_id=found.the_journey.id,
        problem=filled.value.problem,
        solution=filled.value.solution,
        whose=filled.value.whose,
        due_on=filled.value.due_on,
        by=ask.me.by,
        now=ask.now,
    )
    return ask.see_other(found.home, said=N_("Noted. The customer sees it too."))


@talks.get("/customers/{account}/issues/{issue}")
def edit_issue(ask: StaffAsk, account: Id, issue: Id) -> Response:
    found = customer_of(ask, account)
    line = _issue(ask, found, issue)
    known = {"problem": line.problem, "solution": line.solution, "whose": line.whose, "due_on": line.due_on}
    return _issue_page(ask, found, empty_form(known), issue)


@talks.post("/customers/{account}/issues/{issue}")
def change_issue(ask: StaffAsk, account: Id, issue: Id) -> Response:
    """The solution that was agreed since, another deadline."""
    found = customer_of(ask, account)
    _issue(ask, found, issue)
    filled = read_form(IssueForm, ask.form)
    if filled.value is None:
        return _issue_page(ask, found, filled, issue)
    planning.change_issue(
        ask.db,
        ask.house,
        issue_id=issue,
        journey_id=found.the_journey.id,
        words=IssueWords(**filled.value.model_dump()),
        by=ask.me.by,
        now=ask.now,
    )
    return ask.see_other(found.home, said=N_("Changed. The customer sees it too."))


def _issue(ask: AskOfStaff, found: Customer, issue_id: int) -> queries.IssueLine:
    line = next((i for i in _plan(ask, found).issues if i.id == issue_id), None)
    if line is None:
        raise NotFound
    return line


def _issue_page(ask: AskOfStaff, found: Customer, form: Filled[Any], issue: int) -> Response:
    return form_page(
        ask,
        found,
        "issue",
        form,
        title=N_("Change a pending issue"),
        button=N_("Save"),
        removal=f"{found.path}/issues/{issue}/removal",
    )


@talks.post("/customers/{account}/issues/{issue}/removal")
def remove_issue(ask: StaffAsk, account: Id, issue: Id) -> Response:
    found = customer_of(ask, account)
    planning.remove_issue(ask.db, ask.house, issue_id=issue, journey_id=found.the_journey.id, by=ask.me.by, now=ask.now)
    return ask.see_other(found.home, said=N_("It’s off the plan."))


@talks.post("/customers/{account}/issues/{issue}/solved")
def solve_issue(ask: StaffAsk, account: Id, issue: Id) -> Response:
    found = customer_of(ask, account)
    actions.solve_issue(ask.db, ask.house, issue_id=issue, journey_id=found.the_journey.id, by=ask.me.by, now=ask.now)
    return ask.see_other(found.home, said=N_("Solved. One worry less for them."))


# The plan that they were shown before the sale


@talks.get("/customers/{account}/shown-plan")
def ask_shown_plan(ask: StaffAsk, account: Id) -> Response:
    """Which of the plans that prospects were shown was theirs."""
    return _shown_plan_page(ask, customer_of(ask, account), empty_form())


@talks.post("/customers/{account}/shown-plan")
def connect_shown_plan(ask: StaffAsk, account: Id) -> Response:
    """From here on they go by it; its link leads to the sign-in page."""
    found = customer_of(ask, account)
    filled = read_form(ShownPlanForm, ask.form)
    if filled.value is not None:
        try:
            public_plans.connect(
                ask.db, ask.house, plan_id=filled.value.public_plan, account_id=account, by=ask.me.by, now=ask.now
            )
        except Refused as refused:
            # Refused before anything is stored.
            filled = filled.with_error("public_plan", refused.message, **refused.values)
    if filled.value is None:
        return _shown_plan_page(ask, found, filled)
    return ask.see_other(found.home, said=N_("They go by the plan that they were shown."))


def _shown_plan_page(ask: AskOfStaff, found: Customer, form: Filled[Any]) -> Response:
    return form_page(ask, found, "shown_plan", form, public_plans=public_plans.open_plans(ask.db, ask.house))
