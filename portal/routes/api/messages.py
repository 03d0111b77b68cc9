"""Messages: every mail to a customer, sent or not, and why not; and what was written in the thread, by either side."""

import heapq
from collections.abc import Iterable
from datetime import datetime
from typing import Annotated, Literal, NamedTuple

from fastapi import Query
from pydantic import Field
from starlette.responses import Response

from portal import mail
from portal.auth import Scope
from portal.deps import ApiAsk, api_calls
from portal.mail import Kind, LetterState, Outgoing
from portal.messages import queries
from portal.messages.queries import Written
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
    kind: Kind | Literal["message"] = Field(
        description="The kind of mail; `message`: written in the thread by a person."
    )
    channel: str
    to: str = Field(description="Empty for the thread, which all people of the account and the staff see.")
    subject: str | None = Field(description="As it was sent; null until then.")
    state: LetterState
    why: str | None = Field(description="Why it was not sent.")
    message_id: str
    queued_at: datetime
    due_at: datetime
    sent_at: datetime | None
    attempts: int
    error: str | None
    author: str | None = Field(description="Who wrote it, for what a person wrote.")
    text: str | None = Field(description="What they wrote.")


@reading.get("/messages", response_model=Listing[MessageOut])
def list_messages(ask: ApiAsk, wanted: Annotated[MessagesWanted, Query()]) -> Response:
    """Messages to customers, oldest first."""
    # A cursor from before threads were listed knows only letters.
    letter_id, message_id = (*shapes.after(ask, wanted, places=2), 0)[:2]
    journey_id, most = shapes.row_id(wanted.journey), wanted.limit + 1
    letters = mail.messages_to_customers(ask.db, journey_id=journey_id, after_id=letter_id, limit=most)
    written = queries.written(ask.db, journey_id=journey_id, after_id=message_id, limit=most)
    both: list[Iterable[Outgoing | Written]] = [letters, written]
    rows = []
    for row in heapq.merge(*both, key=_moment):
        if isinstance(row, Written):
            message_id = row.id
        else:
            letter_id = row.id
        rows.append(_Placed(row, (letter_id, message_id)))
    return shapes.listing(
        ask, wanted, rows[:most], told=lambda placed: _told(placed.row), place=lambda placed: placed.place
    )


class _Placed(NamedTuple):
    """A row, and how far both lists are with it."""

    row: Outgoing | Written
    place: tuple[int, int]


def _moment(row: Outgoing | Written) -> datetime:
    return row.at if isinstance(row, Written) else row.queued_at


def _told(row: Outgoing | Written) -> MessageOut:
    if isinstance(row, Written):
        return MessageOut(
            id=f"m{row.id}",
            journey_id=str(row.journey_id) if row.journey_id is not None else None,
            contact_id=str(row.contact_id) if row.contact_id is not None else None,
            kind="message",
            channel=row.via,
            to="",
            subject=None,
            state=LetterState.SENT,
            why=None,
            message_id=row.message_id,
            queued_at=row.at,
            due_at=row.at,
            sent_at=row.at,
            attempts=0,
            error=None,
            author=row.author,
            text=row.text,
        )
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
        author=None,
        text=None,
    )
