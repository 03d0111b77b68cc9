"""What staff change on one customer's plan: milestones, touchpoints, goals and pending issues, each with an audit row.

What is done is history and stays; what lies ahead can be changed, put in another order, or taken off. The customer reads
the same plan.
"""

from dataclasses import dataclass, fields
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session

from portal.audit import Happened
from portal.errors import N_, NotFound, Refused
from portal.house import House
from portal.journeys import conduct, stuck
from portal.journeys.actions import tell_work
from portal.journeys.models import GoalRow, JourneyRow, Milestone, PendingIssue, Touchpoint
from portal.journeys.plan_templates import Agreed, Circle, stepped, write_entries
from portal.journeys.plans import circle
from portal.journeys.rules import Whose


@dataclass(frozen=True, kw_only=True)
class MilestoneWords:
    """A milestone as staff write it. `day`, a day of use, only before use starts; afterwards it has a date."""

    title_en: str
    title_pt: str
    help_en: str = ""
    help_pt: str = ""
    whose: Whose
    due_on: date | None = None
    day: int | None = None
    needs: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class TouchpointWords:
    title_en: str
    title_pt: str
    objective_en: str = ""
    objective_pt: str = ""
    channel: str
    due_on: date | None = None
    day: int | None = None


@dataclass(frozen=True, kw_only=True)
class GoalWords:
    """A goal; `starts` and `target` (both or neither) put it in numbers."""

    day: int
    title: str
    measure: str = ""
    unit: str = ""
    starts: Decimal | None = None
    target: Decimal | None = None


@dataclass(frozen=True, kw_only=True)
class IssueWords:
    problem: str
    solution: str
    whose: Whose
    due_on: date


# Milestones


def add_milestone(
    db: Session, house: House, *, journey_id: int, title: str, whose: Whose, due_on: date | None, by: str, now: datetime
) -> int:
    """A milestone of this customer's own, in the words of one language."""
    words = MilestoneWords(title_en=title, title_pt=title, whose=whose, due_on=due_on)
    return write_milestone(db, house, journey_id=journey_id, words=words, by=by, now=now)


def write_milestone(
    db: Session, house: House, *, journey_id: int, words: MilestoneWords, by: str, now: datetime
) -> int:
    """Puts a milestone at the end of this customer's plan. Errors: Circle never, since nothing waits for it yet."""
    conduct.lock(db, journey_id)
    last = db.scalar(select(func.max(Milestone.position)).where(Milestone.journey_id == journey_id))
    milestone = Milestone(
        journey_id=journey_id,
        key=f"own:{now.timestamp()}",
        position=(last if last is not None else -1) + 1,
        **_milestone_columns(words),
    )
    db.add(milestone)
    db.flush()
    milestone.key = f"own:{milestone.id}"
    _changed(db, house, journey_id, "added", "milestone", words.title_en, by=by, now=now)
    return milestone.id


def change_milestone(
    db: Session,
    house: House,
    *,
    milestone_id: int,
    journey_id: int,
    words: MilestoneWords,
    by: str,
    now: datetime,
    locale: str = "en",
) -> None:
    """Rewrites an open milestone. Errors: NotFound, Circle (in the titles of that language), Refused for a done one."""
    milestone = _open_milestone(db, journey_id, milestone_id)
    needs = dict(
        (row.key, row.needs.split())
        for row in db.execute(
            select(Milestone.key, Milestone.needs, Milestone.title_en).where(Milestone.journey_id == journey_id)
        )
    )
    needs[milestone.key] = list(words.needs)
    if found := circle(needs):
        rows = db.execute(
            select(Milestone.key, Milestone.title_en, Milestone.title_pt).where(
                Milestone.journey_id == journey_id, Milestone.key.in_(found)
            )
        )
        titles = {row.key: row.title_pt if locale == "pt-BR" else row.title_en for row in rows}
        raise Circle([titles[key] for key in found])
    columns = _milestone_columns(words)
    if not _is_new_date(milestone, columns):
        del columns["day"], columns["due_on"]
    changed = _write(milestone, columns)
    db.flush()
    if changed:
        _changed(db, house, journey_id, "changed", "milestone", words.title_en, by=by, now=now, changed=changed)


def _milestone_columns(words: MilestoneWords) -> dict[str, Any]:
    given = {field.name: getattr(words, field.name) for field in fields(words)}
    return given | {"needs": " ".join(words.needs), "due_on": None if words.day is not None else words.due_on}


def _is_new_date(row: Milestone | Touchpoint, columns: dict[str, Any]) -> bool:
    """A date that stays keeps its day of use, and so goes on moving with the start (invariant 8 holds for either)."""
    if columns["day"] is not None:
        return bool(columns["day"] != row.day)
    return bool(columns["due_on"] != row.due_on)


def remove_milestone(db: Session, house: House, *, milestone_id: int, journey_id: int, by: str, now: datetime) -> None:
    """Takes an open milestone off; what waited for it waits no longer. Errors: NotFound, Refused for a done one."""
    milestone = _open_milestone(db, journey_id, milestone_id)
    stuck.settle(db, milestone_id, by=by, now=now)
    for row_id, needs in db.execute(
        select(Milestone.id, Milestone.needs).where(Milestone.journey_id == journey_id, Milestone.needs != "")
    ).all():
        left = [key for key in needs.split() if key != milestone.key]
        db.execute(update(Milestone).where(Milestone.id == row_id).values(needs=" ".join(left)))
    db.execute(delete(Milestone).where(Milestone.id == milestone_id))
    _changed(db, house, journey_id, "removed", "milestone", milestone.title_en, by=by, now=now)


def place_milestone(
    db: Session, house: House, *, milestone_id: int, journey_id: int, up: bool, by: str, now: datetime
) -> None:
    """Moves a milestone one place up or down. Errors: NotFound."""
    conduct.lock(db, journey_id)
    rows = db.execute(
        select(Milestone.id, Milestone.title_en)
        .where(Milestone.journey_id == journey_id)
        .order_by(Milestone.position, Milestone.id)
    ).all()
    title = next((row.title_en for row in rows if row.id == milestone_id), None)
    if title is None:
        raise NotFound
    for position, row_id in enumerate(stepped([row.id for row in rows], milestone_id, up=up)):
        db.execute(update(Milestone).where(Milestone.id == row_id).values(position=position))
    _changed(db, house, journey_id, "moved", "milestone", title, by=by, now=now)


def settle_stuck(db: Session, house: House, *, milestone_id: int, journey_id: int, by: str, now: datetime) -> None:
    """The customer who was stuck got help. Errors: NotFound for another journey's milestone."""
    conduct.lock(db, journey_id)
    _milestone(db, journey_id, milestone_id)
    if stuck.settle(db, milestone_id, by=by, now=now):
        db.execute(update(JourneyRow).where(JourneyRow.id == journey_id).values(worked_at=now))
        conduct.advance(db, house, ids=[journey_id], now=now)


def _milestone(db: Session, journey_id: int, milestone_id: int) -> Milestone:
    found = db.scalar(select(Milestone).where(Milestone.id == milestone_id, Milestone.journey_id == journey_id))
    if found is None:
        raise NotFound
    return found


def _open_milestone(db: Session, journey_id: int, milestone_id: int) -> Milestone:
    conduct.lock(db, journey_id)
    milestone = _milestone(db, journey_id, milestone_id)
    if milestone.done_at is not None:
        raise Refused(N_("It is done, so it stays as it was. Open it again first if that was a mistake."))
    return milestone


# Touchpoints


def write_touchpoint(
    db: Session, house: House, *, journey_id: int, words: TouchpointWords, by: str, now: datetime
) -> int:
    """Adds a touchpoint to this customer's plan."""
    conduct.lock(db, journey_id)
    last = db.scalar(select(func.max(Touchpoint.position)).where(Touchpoint.journey_id == journey_id))
    touchpoint = Touchpoint(
        journey_id=journey_id,
        key=f"own:{now.timestamp()}",
        position=(last if last is not None else -1) + 1,
        **_touchpoint_columns(words),
    )
    db.add(touchpoint)
    db.flush()
    touchpoint.key = f"own:{touchpoint.id}"
    _changed(db, house, journey_id, "added", "touchpoint", words.title_en, by=by, now=now)
    return touchpoint.id


def change_touchpoint(
    db: Session, house: House, *, touchpoint_id: int, journey_id: int, words: TouchpointWords, by: str, now: datetime
) -> None:
    """Rewrites a touchpoint that lies ahead. Errors: NotFound, Refused for one that took place."""
    touchpoint = _touchpoint_ahead(db, journey_id, touchpoint_id)
    columns = _touchpoint_columns(words)
    if not _is_new_date(touchpoint, columns):
        del columns["day"], columns["due_on"]
    changed = _write(touchpoint, columns)
    db.flush()
    if changed:
        _changed(db, house, journey_id, "changed", "touchpoint", words.title_en, by=by, now=now, changed=changed)


def _touchpoint_columns(words: TouchpointWords) -> dict[str, Any]:
    given = {field.name: getattr(words, field.name) for field in fields(words)}
    return given | {"due_on": None if words.day is not None else words.due_on}


def remove_touchpoint(
    db: Session, house: House, *, touchpoint_id: int, journey_id: int, by: str, now: datetime
) -> None:
    """Takes a touchpoint off that lies ahead. Errors: NotFound, Refused for one that took place."""
    touchpoint = _touchpoint_ahead(db, journey_id, touchpoint_id)
    db.execute(delete(Touchpoint).where(Touchpoint.id == touchpoint_id))
    _changed(db, house, journey_id, "removed", "touchpoint", touchpoint.title_en, by=by, now=now)


def _touchpoint_ahead(db: Session, journey_id: int, touchpoint_id: int) -> Touchpoint:
    conduct.lock(db, journey_id)
    found = db.scalar(select(Touchpoint).where(Touchpoint.id == touchpoint_id, Touchpoint.journey_id == journey_id))
    if found is None:
        raise NotFound
    if found.done_at is not None:
        raise Refused(N_("It took place already, so it stays as it was."))
    return found


# Goals


def set_goal(
    db: Session, house: House, *, journey_id: int, day: int, title: str, measure: str, by: str, now: datetime
) -> int:
    """A goal in words alone, to be reached by day 30, 60 or 90 of use."""
    words = GoalWords(day=day, title=title, measure=measure)
    return write_goal(db, house, journey_id=journey_id, words=words, by=by, now=now)


def write_goal(db: Session, house: House, *, journey_id: int, words: GoalWords, by: str, now: datetime) -> int:
    """A goal to be reached by day 30, 60 or 90 of use."""
    conduct.lock(db, journey_id)
    goal = GoalRow(journey_id=journey_id, **_columns(words), created_at=now, created_by=by)
    db.add(goal)
    db.flush()
    tell_work(db, house, journey_id, Happened.GOAL_SET, by=by, now=now, detail={"goal": words.title, "day": words.day})
    return goal.id


def change_goal(
    db: Session, house: House, *, goal_id: int, journey_id: int, words: GoalWords, by: str, now: datetime
) -> None:
    """Rewrites a goal that is still pursued. Errors: NotFound, Refused."""
    goal = _goal_ahead(db, journey_id, goal_id)
    changed = _write(goal, _columns(words))
    if goal.target is None:
        goal.reached = None
    db.flush()
    if changed:
        _changed(db, house, journey_id, "changed", "goal", words.title, by=by, now=now, changed=changed)


def note_progress(
    db: Session, house: House, *, goal_id: int, journey_id: int, reached: Decimal, by: str, now: datetime
) -> bool:
    """How far a goal is by now; whether its target is reached. Meeting it stays a person's word (`actions.close_goal`).

    Errors: NotFound, Refused for a goal without a measure in numbers, or one that is closed.
    """
    goal = _goal_ahead(db, journey_id, goal_id)
    if goal.target is None or goal.starts is None:
        raise Refused(N_("This goal has no numbers yet. Give it a start and a target first."))
    was = goal.reached
    if was != reached:
        goal.reached = reached
        db.flush()
        detail = {"goal": goal.title, "from": str(was) if was is not None else None, "to": str(reached)}
        tell_work(db, house, journey_id, Happened.GOAL_PROGRESSED, by=by, now=now, detail=detail | {"unit": goal.unit})
    return reached >= goal.target if goal.target > goal.starts else reached <= goal.target


def _goal_ahead(db: Session, journey_id: int, goal_id: int) -> GoalRow:
    conduct.lock(db, journey_id)
    goal = db.scalar(select(GoalRow).where(GoalRow.id == goal_id, GoalRow.journey_id == journey_id))
    if goal is None:
        raise NotFound
    if goal.met_at is not None or goal.dropped_at is not None:
        raise Refused(N_("This goal is closed, so it stays as it was."))
    return goal


# Pending issues


def change_issue(
    db: Session, house: House, *, issue_id: int, journey_id: int, words: IssueWords, by: str, now: datetime
) -> None:
    """Rewrites a pending issue: the solution agreed since, another deadline. Errors: NotFound, Refused for a solved one."""
    issue = _issue_ahead(db, journey_id, issue_id)
    changed = _write(issue, _columns(words))
    db.flush()
    if changed:
        _changed(db, house, journey_id, "changed", "issue", words.problem, by=by, now=now, changed=changed)


def remove_issue(db: Session, house: House, *, issue_id: int, journey_id: int, by: str, now: datetime) -> None:
    """Takes an issue off that was noted by mistake; the timeline keeps it. Errors: NotFound, Refused for a solved one."""
    issue = _issue_ahead(db, journey_id, issue_id)
    problem, due_on = issue.problem, issue.due_on
    db.execute(delete(PendingIssue).where(PendingIssue.id == issue_id))
    changed = {"due_on": [due_on.isoformat(), ""], "solution": [issue.solution, ""]}
    _changed(db, house, journey_id, "removed", "issue", problem, by=by, now=now, changed=changed)


def _issue_ahead(db: Session, journey_id: int, issue_id: int) -> PendingIssue:
    conduct.lock(db, journey_id)
    issue = db.scalar(select(PendingIssue).where(PendingIssue.id == issue_id, PendingIssue.journey_id == journey_id))
    if issue is None:
        raise NotFound
    if issue.solved_at is not None:
        raise Refused(N_("It is solved, so it stays as it was."))
    return issue


# The plan that was shown before the sale


def adopt(db: Session, house: House, *, journey_id: int, agreed: Agreed, by: str, now: datetime) -> None:
    """Puts the plan that the customer was shown in the place of what lies ahead. What is done, what somebody is stuck with,
    and what staff wrote for this customer stay. Once use began, its dates are reckoned from the real start."""
    conduct.lock(db, journey_id)
    busy = stuck.milestones_of(db, journey_id)
    for table in (Milestone, Touchpoint):
        ahead = (table.journey_id == journey_id, table.done_at.is_(None), table.key.not_like("own:%"))
        keep = [table.id.not_in(busy)] if table is Milestone and busy else []
        db.execute(delete(table).where(*ahead, *keep))
    kept = {
        table: set(db.scalars(select(table.key).where(table.journey_id == journey_id)))
        for table in (Milestone, Touchpoint)
    }
    started = db.scalar(select(JourneyRow.use_started_on).where(JourneyRow.id == journey_id))
    new = [e for e in agreed.entries if e.key not in kept[Milestone if e.kind == "milestone" else Touchpoint]]
    write_entries(db, journey_id, new, all_entries=agreed.entries, starts_on=started or agreed.starts_on)
    _changed(db, house, journey_id, "adopted", "plan", "", by=by, now=now)


# Rows and what is told


def _columns(words: GoalWords | IssueWords) -> dict[str, Any]:
    return {field.name: getattr(words, field.name) for field in fields(words)}


def _write(row: Any, columns: dict[str, Any]) -> dict[str, list[str]]:
    """Sets what is different; gives what was and what is."""
    changed = {}
    for name, value in columns.items():
        was = getattr(row, name)
        if was != value:
            changed[name] = [_plain(was), _plain(value)]
            setattr(row, name, value)
    return changed


def _plain(value: object) -> str:
    return "" if value is None else str(value)


def _changed(
    db: Session,
    house: House,
    journey_id: int,
    did: str,
    what: str,
    title: str,
    *,
    by: str,
    now: datetime,
    changed: dict[str, list[str]] | None = None,
) -> None:
    # Calendars that subscribed to the plan see by the version that its dates may have changed.
    db.execute(update(JourneyRow).where(JourneyRow.id == journey_id).values(version=JourneyRow.version + 1))
    detail = {"did": did, "of": what, "title": title, "changed": changed or {}}
    tell_work(db, house, journey_id, Happened.PLAN_CHANGED, by=by, now=now, detail=detail)
