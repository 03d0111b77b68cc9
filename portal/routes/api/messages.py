"""Messages: every mail to a customer, sent or not, and why not."""

from datetime import datetime
from typing import Annotated

from fastapi import Query
from pydantic import Field
from starlette.responses import Response

from portal import mail
from portal.auth import Scope
from portal.deps import ApiAsk, api_calls
from portal.mail import Kind, LetterState, Outgoing
from portal.routes.api import shapes
from portal.routes.api.shapes import Listing, Shape, Wanted
from portal.text import Line

reading = api_calls(Scope.READ)


class MessagesWanted(Wanted):
    journey: Line | None = Field(None, description="A journey's id.")


class MessageOut(Shape):
    id: str
    journey_id: str | None
    contact_id: str | None
    kind: Kind
    channel: str
    to: str
    subject: str | None = Field(description="As it was sent; null until then.")
    state: LetterState
    why: str | None = Field(description="Why it was not sent.")
    message_id: str
    queued_at: datetime
    due_at: datetime
    sent_at: datetime | None
    attempts: int
    error: str | None


@reading.get("/messages", response_model=Listing[MessageOut])
def list_messages(ask: ApiAsk, wanted: Annotated[MessagesWanted, Query()]) -> Response:
    """Messages to customers, oldest first."""
    (last,) = shapes.after(ask, wanted)
    rows = mail.messages_to_customers(
        ask.db, journey_id=shapes.row_id(wanted.journey), after_id=last, limit=wanted.limit + 1
    )
    return shapes.listing(ask, wanted, rows, told=_told, place=lambda row: (row.id,))


def _told(row: Outgoing) -> MessageOut:
    return MessageOut(
        id=str(row.id),
        journey_id=str(row.journey_id) if row.journey_id is not None else None,
        contact_id=str(row.contact_id) if row.contact_id is not None else None,
        kind=row.kind,
        channel=row.channel,
        to=row.to_email,
        subject=row.subject or None,
        state=row.state,
        why=row.why or None,
        message_id=row.message_id,
        queued_at=row.queued_at,
        due_at=row.due_at,
        sent_at=row.sent_at,
        attempts=row.attempts,
        error=row.error or None,
    )
