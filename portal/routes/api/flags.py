"""Flags: the cases of unhappy customers, and how each ended."""

from datetime import datetime
from typing import Annotated

from fastapi import Query
from pydantic import Field
from starlette.responses import Response

from portal.auth import Scope
from portal.deps import ApiAsk, AskOfApi, api_calls
from portal.errors import NotFound
from portal.journeys import cases, listing
from portal.journeys.listing import FlagState, ListedFlag
from portal.journeys.rules import FlagOrigin, FlagOutcome
from portal.routes.api import shapes
from portal.routes.api.shapes import Listing, RequiredNote, RowId, Shape, Wanted
from portal.text import Line

reading, writing = api_calls(Scope.READ), api_calls(Scope.WRITE)


class FlagsWanted(Wanted):
    state: FlagState | None = None
    journey: Line | None = Field(None, description="A journey's id.")


class ResolutionIn(Shape):
    outcome: FlagOutcome
    note: RequiredNote = Field(description="What was done; if it is resolved, the customer reads it.")


class ScoresOut(Shape):
    csat: int | None = None
    nps: int | None = None
    wants_help: bool | None = None


class FlagOut(Shape):
    id: str
    journey_id: str
    account_external_id: str
    contact_email: str | None
    assignee_email: str | None
    state: FlagState
    origin: FlagOrigin
    day: int | None = Field(description="The follow-up contact it belongs to: 30, 60, 90.")
    stage: str
    words: str
    scores: ScoresOut
    opened_at: datetime
    opened_by: str
    act_by: datetime
    acted_at: datetime | None
    closed_at: datetime | None
    outcome: FlagOutcome | None
    note: str | None
    resolved_by: str | None
    confirmed_at: datetime | None = Field(description="When the customer said that it is solved.")


@reading.get("/flags", response_model=Listing[FlagOut])
def list_flags(ask: ApiAsk, wanted: Annotated[FlagsWanted, Query()]) -> Response:
    """Flags, oldest first."""
    (last,) = shapes.after(ask, wanted)
    rows = listing.flags(
        ask.db,
        after=last,
        limit=wanted.limit + 1,
        state=wanted.state,
        journey_id=shapes.row_id(wanted.journey),
    )
    return shapes.listing(ask, wanted, rows, told=_told, place=lambda row: (row.id,))


@writing.post("/flags/{flag}/resolve", response_model=FlagOut)
def resolve(ask: ApiAsk, flag: RowId, resolution: ResolutionIn) -> Response:
    """Ends a case: resolved (the customer is told), accepted risk (the contact still has to be settled), or lost."""
    cases.resolve_flag(
        ask.db,
        ask.house,
        flag_id=flag,
        outcome=resolution.outcome,
        note=resolution.note,
        by=ask.me.by,
        now=ask.now,
    )
    return ask.json(_one(ask, flag))


def _one(ask: AskOfApi, flag_id: int) -> FlagOut:
    row = listing.flag(ask.db, flag_id)
    if row is None:
        raise NotFound
    return _told(row)


def _told(row: ListedFlag) -> FlagOut:
    scores = row.scores
    return FlagOut(
        id=str(row.id),
        journey_id=str(row.journey_id),
        account_external_id=row.account_external_id,
        contact_email=row.contact_email,
        assignee_email=row.assignee_email,
        state=row.state,
        origin=row.origin,
        day=row.day,
        stage=row.stage,
        words=row.words,
        scores=ScoresOut(csat=scores.get("csat"), nps=scores.get("nps"), wants_help=scores.get("wants_help")),
        opened_at=row.opened_at,
        opened_by=row.opened_by,
        act_by=row.act_by,
        acted_at=row.acted_at,
        closed_at=row.closed_at,
        outcome=row.outcome,
        note=row.note,
        resolved_by=row.resolved_by,
        confirmed_at=row.confirmed_at,
    )
