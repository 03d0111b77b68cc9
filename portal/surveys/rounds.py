"""Surveys sent by hand to some of the customers: how many that would be, and a person's yes where it is many."""

from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Select, func, insert, literal, select
from sqlalchemy.orm import Session

from portal import audit
from portal.accounts.asking_ledger import languages_asked
from portal.accounts.models import Account
from portal.audit import Event, Happened
from portal.db import connection_of, rows_of
from portal.errors import N_, Refused
from portal.house import House
from portal.journeys.models import DueAction, JourneyRow, StageRow
from portal.journeys.rules import Status
from portal.surveys import moments, rules
from portal.surveys.anonymous import FEWEST
from portal.surveys.models import AnswerRow, Invitation
from portal.surveys.occasions import due_row
from portal.surveys.round_models import SurveyRound
from portal.surveys.rules import SurveyForm
from portal.surveys.stored import known_form
from portal.surveys.triggers import surveys_to_send


class TooMany(Refused):
    """The storm guard: so many people would be asked that somebody has to say yes to it."""

    status = 422

    def __init__(self, people: int, limit: int) -> None:
        super().__init__(
            N_("%(people)s people would be asked, more than %(limit)s. Please confirm that this is meant."),
            people=people,
            limit=limit,
        )


class Changed(Refused):
    """It would be other people than the page said."""

    status = 422

    def __init__(self) -> None:
        super().__init__(N_("Meanwhile it would be other people. Look at the number again, please."))


class TooFew(Refused):
    """So few people that an anonymous answer would be no secret."""

    status = 422

    def __init__(self) -> None:
        super().__init__(
            N_("An anonymous survey needs at least %(fewest)s people: among fewer everybody knows who said what."),
            fewest=FEWEST,
        )


class Segment(NamedTuple):
    """Which customers: those of a stage, a plan, a consultant; their people with a language. Empty: all."""

    stage: str = ""
    plan: str = ""
    owner_id: int | None = None
    language: str = ""

    def kept(self) -> dict[str, Any]:
        return {name: value for name, value in self._asdict().items() if value}


class Size(NamedTuple):
    """How many a segment is."""

    customers: int
    people: int
    journeys: int
    """Under way; with those of customers where nobody is left to ask."""


def size_of(db: Session, segment: Segment) -> Size:
    """How many customers and people would be asked, as things stand. Two statements."""
    journeys = _journeys(segment).subquery()
    people = customers = 0
    for languages in languages_asked(db, select(journeys.c.account_id)):
        asked = sum(1 for language in languages if not segment.language or language == segment.language)
        people += asked
        customers += asked > 0
    return Size(customers, people, db.scalar(select(func.count()).select_from(journeys)) or 0)


def _journeys(segment: Segment) -> Select[int, int]:
    """One journey under way of each customer, the newest, with the customer."""
    wanted = (
        select(func.max(JourneyRow.id).label("journey_id"), JourneyRow.account_id)
        .join(Account, Account.id == JourneyRow.account_id)
        .join(StageRow, StageRow.id == JourneyRow.stage_id)
        .where(JourneyRow.status == Status.OPEN, Account.churned_on.is_(None))
        .group_by(JourneyRow.account_id)
    )
    if segment.stage:
        wanted = wanted.where(StageRow.key == segment.stage)
    if segment.plan:
        wanted = wanted.where(Account.plan == segment.plan)
    if segment.owner_id is not None:
        wanted = wanted.where(JourneyRow.owner_id == segment.owner_id)
    return wanted


def send(
    db: Session,
    house: House,
    *,
    key: str,
    survey_key: str,
    segment: Segment,
    size: Size,
    shown: int,
    is_sure: bool,
    by: str,
    now: datetime,
) -> int:
    """Leaves the survey for everybody in the segment, each to be judged by their contact budget; gives the round's number.

    `key`: of the form, so that pressing twice sends once. `shown`: the number of people that the page said. `size`: as the
    segment was counted just before, outside of this unit of work, which others wait for. Errors: Changed; TooMany beyond the
    storm guard without `is_sure`; TooFew for an anonymous survey.
    """
    known = db.scalar(select(SurveyRound.id).where(SurveyRound.key == key))
    if known is not None:
        return known
    form = next((form for form in surveys_to_send(db) if form.key == survey_key), None)
    if form is None:
        raise Refused(N_("That survey can’t be sent any more."))
    if size.people != shown:
        raise Changed
    if not size.people:
        raise Refused(N_("There is nobody to ask."))
    if form.is_anonymous and size.people < FEWEST:
        raise TooFew
    if size.people > house.settings.storm_limit and not is_sure:
        raise TooMany(size.people, house.settings.storm_limit)
    with db.begin_nested():  # nothing of it stays where it has changed since it was counted
        row = SurveyRound(
            key=key,
            survey_id=form.id,
            segment=segment.kept(),
            people=size.people,
            made_at=now,
            made_by=by,
            closes_at=rules.expires_at(now, house.settings.default_timezone, days=form.closes_after_days),
        )
        db.add(row)
        db.flush()
        if _leave_due(db, segment, moments.of_round(row.id), now=now) != size.journeys:
            raise Changed
    detail = {"round": row.id, "survey": form.key, "people": size.people, **segment.kept()}
    audit.note(db, Event(Happened.SURVEY_ROUND_SENT, by, now, detail=detail))
    return row.id


def _leave_due(db: Session, segment: Segment, occasion: str, *, now: datetime) -> int:
    """A due action for each journey of the segment, in one statement, however many; gives how many those are by now."""
    journeys = _journeys(segment).subquery()
    columns: Any = DueAction.__table__.c
    same = {name: value for name, value in due_row(0, occasion, due_at=now, now=now).items() if name != "journey_id"}
    rows = select(journeys.c.journey_id, *(literal(value, columns[name].type) for name, value in same.items()))
    made = insert(DueAction.__table__).from_select(["journey_id", *same], rows).inline()  # type: ignore[arg-type]
    return connection_of(db).execute(made, execution_options={"preserve_rowcount": True}).rowcount


# What became of them


class Round(NamedTuple):
    """A round as the list shows it."""

    row: SurveyRound
    form: SurveyForm
    sent: int
    cards: int
    answered: int


def rounds(db: Session, *, most: int = 20) -> list[Round]:
    """The last rounds, newest first, with what became of those that have names. Three statements."""
    rows = db.scalars(select(SurveyRound).order_by(SurveyRound.id.desc()).limit(most)).all()
    occasions = [moments.of_round(row.id) for row in rows]
    answered = select(AnswerRow.id).where(
        AnswerRow.invitation_id == Invitation.id,
        AnswerRow.quarantined_at.is_(None),
        AnswerRow.superseded_at.is_(None),
    )
    counts = {
        occasion: (sent, every - sent, replies)
        for occasion, every, sent, replies in rows_of(
            db,
            select(
                Invitation.occasion,
                func.count(),
                func.count(Invitation.sent_at),
                func.count(answered.limit(1).scalar_subquery()),
            )
            .where(Invitation.survey_id.in_([row.survey_id for row in rows]), Invitation.occasion.in_(occasions))
            .group_by(Invitation.occasion),
        )
    }
    return [
        Round(row, known_form(db, row.survey_id), *counts.get(occasion, (0, 0, 0)))
        for row, occasion in zip(rows, occasions, strict=True)
    ]
