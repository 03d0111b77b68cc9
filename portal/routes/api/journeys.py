"""Journeys: where customers are, and what people do to move them."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Any

from fastapi import Query
from pydantic import Field
from starlette.responses import Response

from portal.accounts.rules import Channel
from portal.auth import Scope
from portal.deps import ApiAsk, AskOfApi, api_calls
from portal.errors import Invalid, NotFound, Refused
from portal.forms import Email
from portal.journeys import actions, desk, listing, queries
from portal.journeys.desk import FollowUpLine, VisitLine
from portal.journeys.listing import ActivityState, ListedActivity, ListedJourney
from portal.journeys.rules import ACTIVITY_TITLES, ActivityKind, Outcome, SettledBy, Status, Whose
from portal.routes.api import shapes
from portal.routes.api.shapes import Blank, Day, Listing, Reason, RequiredNote, RowId, Shape, Wanted
from portal.text import Line, RequiredLine

reading, writing = api_calls(Scope.READ), api_calls(Scope.WRITE)

LOCALE = "en"
"""Names in the API are English; keys are what programs go by."""


# What comes in


class JourneysWanted(Wanted):
    pipeline: Line | None = Field(None, description="A pipeline's key: after_sale, relationship.")
    stage: Line | None = Field(None, description="A stage's key.")
    flagged: bool | None = None
    consultant: Line | None = Field(None, description="The consultant's e-mail address.")
    account: Line | None = Field(None, description="The account's external id.")


class Move(Shape):
    stage: RequiredLine
    reason: Reason


class UseStarted(Shape):
    date: Day


class ConversationIn(Shape):
    channel: Channel
    result: Outcome
    note: RequiredNote
    contact_email: Annotated[Email | None, Blank] = None


# What goes out


class AccountRef(Shape):
    external_id: str
    name: str


class JourneyLine(Shape):
    """A journey in a list."""

    id: str
    account: AccountRef
    pipeline: str
    stage: str
    status: Status
    flagged: bool
    open_flags: int
    consultant_email: str | None
    use_started_on: date | None
    opened_at: datetime
    entered_stage_at: datetime
    ended_at: datetime | None
    previous_journey_id: str | None
    next_journey_id: str | None


class VisitOut(Shape):
    stage: str
    entered_at: datetime
    left_at: datetime | None
    moved_by: str
    reason: str
    evidence: dict[str, Any]


class FollowUpOut(Shape):
    """One of the 30/60/90-day contacts. `asked_by_call`: it was asked, or is to be, by a call instead of a mail."""

    day: int
    due_on: date | None
    due_at: datetime | None
    state: Annotated[str, Field(pattern="^(planned|sent|settled|missed)$")]
    asked_by_call: bool
    why_by_call: str | None
    sent_at: datetime | None
    settled_at: datetime | None
    settled_by: SettledBy | None
    missed_at: datetime | None


class TouchpointOut(Shape):
    key: str
    title: str
    objective: str
    channel: str
    due_on: date | None
    done_on: date | None


class MilestoneOut(Shape):
    id: str
    key: str
    title: str
    owner: Whose
    stage: str | None
    due_on: date | None
    done_on: date | None
    needs: Annotated[list[str], Field(description="Keys of the milestones that come first.")]
    blocked: Annotated[bool, Field(description="Whether one of those is still open.")]
    stuck: Annotated[
        str | None, Field(description="What the customer wrote who can't get on with it, until it's settled.")
    ]


class GoalOut(Shape):
    """A goal. `start`, `target`, `reached` and `percent` are null where it can't be put in numbers."""

    id: str
    day: int
    due_on: date | None
    title: str
    measure: str
    unit: str
    start: Decimal | None
    target: Decimal | None
    reached: Decimal | None
    percent: int | None
    met_on: date | None


class IssueOut(Shape):
    id: str
    problem: str
    solution: str
    owner: Whose
    due_on: date
    solved_on: date | None


class ActivityOut(Shape):
    id: str
    journey_id: str
    account_external_id: str
    kind: ActivityKind
    title: str
    day: int | None
    state: ActivityState
    assignee_email: str | None
    due_at: datetime
    created_at: datetime
    created_by: str
    done_at: datetime | None
    done_by: str | None
    note: str


class ConversationOut(Shape):
    at: datetime
    by: str
    channel: Channel
    result: Outcome
    note: str


class JourneyOut(JourneyLine):
    """A journey with all that belongs to it."""

    visits: list[VisitOut]
    follow_ups: list[FollowUpOut]
    touchpoints: list[TouchpointOut]
    milestones: list[MilestoneOut]
    goals: list[GoalOut]
    issues: list[IssueOut]
    activities: list[ActivityOut]
    conversations: list[ConversationOut]


class Talked(Shape):
    """What a conversation led to: the flag that it opened, or the contacts that it settled are in the journey."""

    flag_id: str | None
    journey: JourneyOut


# Calls


@reading.get("/journeys", response_model=Listing[JourneyLine])
def list_journeys(ask: ApiAsk, wanted: Annotated[JourneysWanted, Query()]) -> Response:
    """Journeys, oldest first."""
    (last,) = shapes.after(ask, wanted)
    rows = listing.journeys(
        ask.db,
        after=last,
        limit=wanted.limit + 1,
        pipeline=wanted.pipeline,
        stage=wanted.stage,
        flagged=wanted.flagged,
        consultant=wanted.consultant,
        account_external_id=wanted.account,
    )
    return shapes.listing(ask, wanted, rows, told=journey_line, place=lambda row: (row.id,))


@reading.get("/journeys/{journey}", response_model=JourneyOut)
def get_journey(ask: ApiAsk, journey: RowId) -> Response:
    """One journey with its visits, contacts, plan and activities."""
    return ask.json(_journey(ask, journey))


@writing.post("/journeys/{journey}/move", response_model=JourneyOut)
def move_journey(ask: ApiAsk, journey: RowId, move: Move) -> Response:
    """A move by hand, forward or back; the reason is kept."""
    _row(ask, journey)
    if move.stage not in listing.stages_of_journey(ask.db, journey):
        raise Invalid({"stage": "There is no stage of that name."})
    actions.move_by_hand(
        ask.db, ask.house, journey_id=journey, stage=move.stage, reason=move.reason, by=ask.me.by, now=ask.now
    )
    return ask.json(_journey(ask, journey))


@writing.put("/journeys/{journey}/use-started", response_model=JourneyOut)
def put_use_started(ask: ApiAsk, journey: RowId, started: UseStarted) -> Response:
    """Sets or corrects the day on which use started; every pending date of the plan moves with it."""
    with _about("date"):
        actions.correct_use_start(ask.db, ask.house, journey_id=journey, on=started.date, by=ask.me.by, now=ask.now)
    return ask.json(_journey(ask, journey))


@writing.post("/journeys/{journey}/conversations", status_code=201, response_model=Talked)
def log_conversation(ask: ApiAsk, journey: RowId, talk: ConversationIn) -> Response:
    """A conversation with its result: settles the contacts whose day has come, or flags."""
    _row(ask, journey)
    contact_id = None
    if talk.contact_email is not None:
        contact_id = listing.contact_id_of(ask.db, journey_id=journey, email=talk.contact_email)
        if contact_id is None:
            raise Invalid({"contact_email": "Nobody at this account has that address."})
    flag_id = actions.log_conversation(
        ask.db,
        ask.house,
        journey_id=journey,
        channel=talk.channel,
        result=talk.result,
        note=talk.note,
        by=ask.me.by,
        now=ask.now,
        contact_id=contact_id,
    )
    return ask.json(Talked(flag_id=_id(flag_id), journey=_journey(ask, journey)), 201)


@contextmanager
def _about(field: str) -> Iterator[None]:
    """What the rules refuse about a value is wrong input at that field."""
    try:
        yield
    except NotFound:
        raise
    except Refused as refused:
        raise Invalid({field: str(refused)}) from refused


# From rows to what goes out


def _id(row_id: int | None) -> str | None:
    return str(row_id) if row_id is not None else None


def _row(ask: AskOfApi, journey_id: int) -> ListedJourney:
    row = listing.journey(ask.db, journey_id)
    if row is None:
        raise NotFound
    return row


def journey_line(row: ListedJourney) -> JourneyLine:
    """A journey as lists and accounts show it."""
    return JourneyLine(**_facts(row))


def _facts(row: ListedJourney) -> dict[str, Any]:
    return {
        "id": str(row.id),
        "account": AccountRef(external_id=row.account_external_id, name=row.account_name),
        "pipeline": row.pipeline,
        "stage": row.stage,
        "status": row.status,
        "flagged": row.open_flags > 0,
        "open_flags": row.open_flags,
        "consultant_email": row.consultant_email,
        "use_started_on": row.use_started_on,
        "opened_at": row.opened_at,
        "entered_stage_at": row.entered_at,
        "ended_at": row.ended_at,
        "previous_journey_id": _id(row.previous_journey_id),
        "next_journey_id": _id(row.next_journey_id),
    }


def _journey(ask: AskOfApi, journey_id: int) -> JourneyOut:
    row = _row(ask, journey_id)
    detail = desk.journey_detail(ask.db, journey_id, locale=LOCALE)
    assert detail is not None  # noqa: S101 - its row was there in this transaction
    plan = queries.plan_of(
        ask.db, journey_id, locale=LOCALE, zone=detail.zone, now=ask.now, use_started_on=row.use_started_on
    )
    return JourneyOut(
        **_facts(row),
        visits=[_visit(visit) for visit in detail.visits],
        follow_ups=[_follow_up(contact) for contact in detail.follow_ups],
        touchpoints=[
            TouchpointOut(
                key=t.key, title=t.title, objective=t.objective, channel=t.channel, due_on=t.due_on, done_on=t.done_on
            )
            for t in plan.touchpoints
        ],
        milestones=[
            MilestoneOut(
                id=str(m.id),
                key=m.key,
                title=m.title,
                owner=m.whose,
                stage=m.stage_key or None,
                due_on=m.due_on,
                done_on=m.done_on,
                needs=list(m.needs),
                blocked=m.is_blocked,
                stuck=m.stuck.words if m.stuck is not None else None,
            )
            for m in plan.milestones
        ],
        goals=[
            GoalOut(
                id=str(g.id),
                day=g.day,
                due_on=g.due_on,
                title=g.title,
                measure=g.measure,
                unit=g.unit,
                start=g.starts,
                target=g.target,
                reached=g.reached,
                percent=g.percent,
                met_on=g.met_on,
            )
            for g in plan.goals
        ],
        issues=[
            IssueOut(
                id=str(i.id),
                problem=i.problem,
                solution=i.solution,
                owner=i.whose,
                due_on=i.due_on,
                solved_on=i.solved_on,
            )
            for i in plan.issues
        ],
        activities=[activity_out(activity) for activity in listing.activities_of(ask.db, journey_id)],
        conversations=[
            ConversationOut(at=c.at, by=c.by, channel=Channel(c.channel), result=c.result, note=c.note)
            for c in desk.conversations_of(ask.db, journey_id)
        ],
    )


def _visit(visit: VisitLine) -> VisitOut:
    return VisitOut(
        stage=visit.stage_key,
        entered_at=visit.entered_at,
        left_at=visit.left_at,
        moved_by=visit.moved_by,
        reason=visit.reason,
        evidence=visit.evidence,
    )


def _follow_up(contact: FollowUpLine) -> FollowUpOut:
    by_call = contact.converted_at is not None
    return FollowUpOut(
        day=contact.day,
        due_on=contact.due_on,
        due_at=contact.due_at,
        state="sent" if contact.state == "call" else contact.state,
        asked_by_call=by_call,
        why_by_call=contact.converted_why or None,
        sent_at=contact.sent_at,
        settled_at=contact.settled_at,
        settled_by=contact.settled_by,
        missed_at=contact.missed_at,
    )


def activity_out(row: ListedActivity) -> ActivityOut:
    """An activity as every call shows it."""
    return ActivityOut(
        id=str(row.id),
        journey_id=str(row.journey_id),
        account_external_id=row.account_external_id,
        kind=row.kind,
        title=row.title or ACTIVITY_TITLES[row.kind],
        day=row.day or None,
        state=row.state,
        assignee_email=row.assignee_email,
        due_at=row.due_at,
        created_at=row.created_at,
        created_by=row.created_by,
        done_at=row.done_at,
        done_by=row.done_by or None,
        note=row.note,
    )
