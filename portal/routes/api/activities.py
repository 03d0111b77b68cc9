"""Activities: what consultants are to do, and what they did."""

from typing import Annotated

from fastapi import Query
from pydantic import Field
from starlette.responses import Response

from portal.auth import Scope
from portal.deps import ApiAsk, api_calls
from portal.errors import NotFound
from portal.journeys import actions, listing
from portal.journeys.listing import ActivityState
from portal.routes.api import shapes
from portal.routes.api.journeys import ActivityOut, activity_out
from portal.routes.api.shapes import Listing, Note, RowId, Shape, Wanted
from portal.text import Line

reading, writing = api_calls(Scope.READ), api_calls(Scope.WRITE)


class ActivitiesWanted(Wanted):
    journey: Line | None = Field(None, description="A journey's id.")
    state: ActivityState | None = None


class Done(Shape):
    note: Note = ""


@reading.get("/activities", response_model=Listing[ActivityOut])
def list_activities(ask: ApiAsk, wanted: Annotated[ActivitiesWanted, Query()]) -> Response:
    """Activities, oldest first."""
    (last,) = shapes.after(ask, wanted)
    rows = listing.activities(
        ask.db,
        after=last,
        limit=wanted.limit + 1,
        state=wanted.state,
        journey_id=shapes.row_id(wanted.journey),
    )
    return shapes.listing(ask, wanted, rows, told=activity_out, place=lambda row: (row.id,))


@writing.post("/activities/{activity}/complete", response_model=ActivityOut)
def complete(ask: ApiAsk, activity: RowId, done: Done | None = None) -> Response:
    """Ticks an activity off; one that was done stays as it was done."""
    actions.complete_activity(
        ask.db, ask.house, activity_id=activity, note=done.note if done else "", by=ask.me.by, now=ask.now
    )
    row = listing.activity(ask.db, activity)
    if row is None:
        raise NotFound
    return ask.json(activity_out(row))
