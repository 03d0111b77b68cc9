"""Surveys: who is asked when, what became of it, and answers that were taken by phone."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import Query
from pydantic import AfterValidator, Field, WithJsonSchema
from starlette.responses import Response

from portal.auth import Scope
from portal.deps import ApiAsk, AskOfApi, api_calls
from portal.errors import Invalid, NotFound, Refused
from portal.journeys.rules import Outcome
from portal.routes.api import shapes
from portal.routes.api.shapes import Listing, Note, RowId, Shape, StrictBool, StrictInt, Wanted
from portal.surveys import actions as surveys
from portal.surveys import queries
from portal.surveys.queries import Given, Invited
from portal.surveys.rules import LONGEST_TEXT, OWN_FIELDS, Answers, InvitationState, Other, Provenance
from portal.text import Line, clean, clean_line

reading, writing = api_calls(Scope.READ), api_calls(Scope.WRITE)


class InvitationsWanted(Wanted):
    journey: Line | None = Field(None, description="A journey's id.")
    state: InvitationState | None = None


def _other(value: Any) -> Other | None:
    """One value, and one message where it is none: a union would tell what is wrong with it as each of its kinds."""
    match value:
        case None | bool() | int():
            return value
        case str() if len(value) <= LONGEST_TEXT:
            return clean(value)
        case list() if len(value) <= MOST_CHOSEN and all(isinstance(each, str) for each in value):
            return [clean_line(each) for each in value]
        case _:
            raise ValueError("Please give a number, an option's key, a list of keys, a text, or true or false.")


MOST_CHOSEN = 50
OtherIn = Annotated[
    Any,
    AfterValidator(_other),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "integer"},
                {"type": "string", "maxLength": LONGEST_TEXT},
                {"type": "array", "items": {"type": "string"}, "maxItems": MOST_CHOSEN},
                {"type": "boolean"},
                {"type": "null"},
            ]
        }
    ),
]


class AnswersIn(Shape):
    """What was answered. A question that was not asked is left out, or null."""

    csat: Annotated[StrictInt, Field(ge=1, le=5)] | None = None
    nps: Annotated[StrictInt, Field(ge=0, le=10)] | None = None
    comment: Note | None = None
    wants_help: StrictBool | None = None
    others: Annotated[dict[Line, OtherIn], Field(max_length=20)] = Field(
        {},
        description="Answers to the survey's further questions, by the question's key: a number for a rating, an option's "
        "key for a choice, a list of keys where several can be chosen, a text, true or false.",
    )

    def to_answers(self) -> Answers:
        """As the rules see it; an empty text or list is no answer, and what was chosen twice counts once."""
        given = {key: list(dict.fromkeys(v)) if isinstance(v, list) else v for key, v in self.others.items()}
        others = {key: value for key, value in given.items() if value is not None and value not in ("", [])}
        return Answers(self.csat, self.nps, self.comment or "", self.wants_help, others)


class AnswerIn(Shape):
    answers: AnswersIn


class InvitationOut(Shape):
    """One contact and its survey. Without an id while nobody has been invited: it is planned, or was never sent."""

    id: str | None
    journey_id: str
    day: int | None = Field(description="The contact of the plan; null: another survey, about a meeting or a pulse.")
    contact_id: str | None
    contact_email: str | None
    state: InvitationState
    why: str | None = Field(description="Why it was not sent, or not yet.")
    url: str | None = Field(description="The answer page that the mail's link opens.")
    due_at: datetime | None
    sent_at: datetime | None
    expires_at: datetime | None
    provenance: Provenance | None


class AnswerOut(Shape):
    """The answer that counts, and what it set going."""

    id: str
    invitation_id: str
    journey_id: str
    day: int | None
    csat: int | None
    nps: int | None
    comment: str
    wants_help: bool | None
    others: dict[str, bool | int | str | list[str]] = Field(description="Answers to further questions, by their keys.")
    outcome: Outcome | None
    provenance: Provenance
    by: str
    submitted_at: datetime


@reading.get("/survey-invitations", response_model=Listing[InvitationOut])
def list_invitations(ask: ApiAsk, wanted: Annotated[InvitationsWanted, Query()]) -> Response:
    """The contacts of the plan and their surveys: planned, sent, answered, expired, or suppressed and why."""
    contact, invitation = shapes.after(ask, wanted, places=2)
    rows = queries.invitations(
        ask.db,
        ask.house,
        now=ask.now,
        journey_id=shapes.row_id(wanted.journey),
        state=wanted.state,
        after=(contact, invitation),
        limit=wanted.limit + 1,
    )
    return shapes.listing(ask, wanted, rows, told=_told, place=lambda row: row.cursor)


@writing.post("/survey-invitations/{invitation}/answer", status_code=201, response_model=AnswerOut)
def answer(ask: ApiAsk, invitation: RowId, answer: AnswerIn) -> Response:
    """An answer that the customer gave by phone; it is stored as such."""
    if surveys.counted_answer(ask.db, invitation) is not None:
        raise Refused("This survey was answered already.")
    try:
        taken = surveys.answer_by_phone(
            ask.db,
            ask.house,
            invitation_id=invitation,
            answers=answer.answers.to_answers(),
            by=ask.me.by,
            now=ask.now,
        )
    except surveys.Unanswerable as wrong:
        problems = {_field(field): message for field, message in wrong.problems.items()}
        raise Invalid(problems) from wrong
    assert taken.counted is not None  # noqa: S101 - nothing said by phone is set aside
    return ask.json(_answer(ask, taken.counted.answer_id), 201)


def _field(name: str) -> str:
    return f"answers.{name}" if name in OWN_FIELDS.values() else f"answers.others.{name}"


def _told(row: Invited) -> InvitationOut:
    return InvitationOut(
        id=str(row.invitation_id) if row.invitation_id is not None else None,
        journey_id=str(row.journey_id),
        day=row.day,
        contact_id=str(row.contact_id) if row.contact_id is not None else None,
        contact_email=row.contact_email or None,
        state=row.state,
        why=row.why or None,
        url=row.url or None,
        due_at=row.due_at,
        sent_at=row.sent_at,
        expires_at=row.expires_at,
        provenance=row.provenance,
    )


def _answer(ask: AskOfApi, answer_id: int) -> AnswerOut:
    row = queries.answer(ask.db, answer_id)
    if row is None:
        raise NotFound
    return _answer_out(row)


def _answer_out(row: Given) -> AnswerOut:
    return AnswerOut(
        id=str(row.id),
        invitation_id=str(row.invitation_id),
        journey_id=str(row.journey_id),
        day=row.day,
        csat=row.csat,
        nps=row.nps,
        comment=row.comment,
        wants_help=row.wants_help,
        others=dict(row.others),
        outcome=row.outcome,
        provenance=row.provenance,
        by=row.by,
        submitted_at=row.submitted_at,
    )
