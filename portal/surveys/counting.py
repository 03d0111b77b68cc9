"""Counting how many answered what, day by day, for the worker: what `surveys.tallies` adds up.

Which days changed is written down by the database (triggers of the migration `2611280512`), in the transaction that
changes them.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

from sqlalchemy import and_, bindparam, case, delete, func, insert, select, update
from sqlalchemy.orm import Session

from portal.accounts.models import Account, Contact
from portal.db import DeploymentFact, insert_for, rows_of
from portal.house import House
from portal.journeys.models import JourneyRow, StageRow, Visit
from portal.surveys.models import AnswerRow, Invitation
from portal.surveys.narrowing import COUNTED, is_visit_at
from portal.surveys.tallies import A_DAY, COUNTED_UNTIL, Kind, further_in, midnight, read_fact, stretches
from portal.surveys.tally_models import AnswerTally, StaleTally

SETTLES = timedelta(hours=1)
"""How long after its end a day is counted: by then every request of that day is done."""
DAYS_AT_ONCE = 7
MARKS_AT_ONCE = 5000


def next_due(db: Session) -> datetime | None:
    """When a day can be counted, or has to be counted anew."""
    fact = db.scalar(select(DeploymentFact.value).where(DeploymentFact.name == COUNTED_UNTIL))
    if fact is None:
        first = _first_day(db)
        return midnight(first + A_DAY) + SETTLES if first is not None else None
    if db.scalar(select(StaleTally.id).limit(1)) is not None:
        return midnight(date(2000, 1, 1))
    return midnight(read_fact(fact)[0] + A_DAY) + SETTLES


def count_days(house: House, now: datetime) -> int:
    """Counts a week of days that have ended, and those that changed; gives how many days, or changes, that were.

    Read first and written afterwards, so that nobody waits for the reading. Who finds that another worker has counted
    meanwhile gives up; what changed after the reading has left a mark that stays, and is counted again.
    """
    with house.database.read() as db:
        fact = db.scalar(select(DeploymentFact.value).where(DeploymentFact.name == COUNTED_UNTIL))
        marks = rows_of(db, _MARKS)
        if fact is None:
            first = _first_day(db)
            if first is None:
                return 0
            until, times = first, 0
        else:
            until, times = read_fact(fact)
        ended = (now - SETTLES).astimezone(UTC).date()
        new_until = max(until, min(ended, until + DAYS_AT_ONCE * A_DAY))
        days = sorted({day for _id, day in marks if day < until})[:DAYS_AT_ONCE]
        days += [until + n * A_DAY for n in range((new_until - until).days)]
        done = [number for number, day in marks if day >= until or day in set(days)]
        lines = [line for start, end in stretches(days) for line in _lines(db, start, end)]
    if not days and not done:
        return 0
    with house.database.write() as db:
        if not _is_first(db, fact, f"{new_until.isoformat()} {times + 1}"):
            return 0
        db.execute(delete(AnswerTally).where(AnswerTally.day.in_(days)))
        if lines:
            db.connection().execute(insert(AnswerTally), lines)
        for start in range(0, len(done), 500):
            db.execute(delete(StaleTally).where(StaleTally.id.in_(done[start : start + 500])))
    return len(days) + len(done)


_MARKS = select(StaleTally.id, StaleTally.day).order_by(StaleTally.id).limit(MARKS_AT_ONCE)


def _first_day(db: Session) -> date | None:
    moments = (db.scalar(select(func.min(AnswerRow.submitted_at))), db.scalar(select(func.min(Invitation.sent_at))))
    return min((moment.astimezone(UTC).date() for moment in moments if moment is not None), default=None)


def _is_first(db: Session, known: str | None, new: str) -> bool:
    fact: Any = DeploymentFact.__table__
    if known is None:
        written: Any = insert_for(db, fact).values(name=COUNTED_UNTIL, value=new)
        written = written.on_conflict_do_nothing(index_elements=["name"])
    else:
        written = update(fact).where(fact.c.name == COUNTED_UNTIL, fact.c.value == known).values(value=new)
    return db.connection().execute(written.returning(fact.c.name)).first() is not None


def _lines(db: Session, first: date, end: date) -> list[dict[str, Any]]:
    """The lines of all days from the first up to before the end."""
    between = {"first": midnight(first), "end": midnight(end)}
    counts: dict[tuple[int, Kind, str, date], Counter[str]] = defaultdict(Counter)
    sent: dict[tuple[int, Kind, str, date], Counter[str]] = defaultdict(Counter)
    seen: set[int] = set()
    for row in rows_of(db, _ANSWERS_OF_DAYS, between):
        adds = ["answers"]
        adds += ["comments"] if row.has_words else []
        adds += [f"nps:{row.nps}"] if row.nps is not None else []
        adds += [f"csat:{row.csat}"] if row.csat is not None else []
        adds += [f"help:{'yes' if row.wants_help else 'no'}"] if row.wants_help is not None else []
        adds += [f"further:{key}:{value}" for key, value in further_in(db, row.survey_id, row.others)]
        for kind, value in _whose(row, is_known=row.id in seen):
            counts[row.survey_id, kind, value, row.at.date()].update(adds)
        seen.add(row.id)
    # Where a survey was when it was delivered, and not when it was answered, is what its share is about.
    seen.clear()
    for row in rows_of(db, _ANSWERED_OF_DAYS, between):
        for kind, value in _whose(row, is_known=row.id in seen):
            sent[row.survey_id, kind, value, row.at.date()][row.sent_at.date().isoformat()] += 1
        seen.add(row.id)
    seen.clear()
    for row in rows_of(db, _DELIVERED_OF_DAYS, between):
        for kind, value in _whose(row, is_known=row.id in seen):
            counts[row.survey_id, kind, value, row.at.date()]["delivered"] += 1
        seen.add(row.id)
    return [
        {
            "survey_id": survey_id,
            "kind": kind.value,
            "value": value,
            "day": day,
            "counts": dict(counts[survey_id, kind, value, day]),
            "sent": dict(sent[survey_id, kind, value, day]),
        }
        for survey_id, kind, value, day in sorted({*counts, *sent})
    ]


def _whose(row: Any, *, is_known: bool) -> Iterator[tuple[Kind, str]]:
    """Whose lines a row adds to. One that comes again does so for another stage alone."""
    if row.stage is not None:
        yield Kind.STAGE, row.stage
    if is_known:
        return
    yield Kind.EVERYBODY, ""
    yield Kind.PLAN, row.plan
    yield Kind.LANGUAGE, row.language
    if row.owner_id is not None:
        yield Kind.OWNER, str(row.owner_id)


def _of_whom(query: Any, row: Any, at: Any) -> Any:
    """With the columns that `_whose` reads."""
    who = (StageRow.key.label("stage"), Account.plan, Contact.language, JourneyRow.owner_id)
    return (
        query.add_columns(*who)
        .join(Account, Account.id == row.account_id)
        .join(Contact, Contact.id == row.contact_id)
        .join(JourneyRow, JourneyRow.id == row.journey_id)
        .outerjoin(Visit, and_(*is_visit_at(row, at)))
        .outerjoin(StageRow, StageRow.id == Visit.stage_id)
    )


_BETWEEN = (bindparam("first", type_=AnswerRow.submitted_at.type), bindparam("end", type_=AnswerRow.submitted_at.type))
_ANSWERS_OF_DAYS = _of_whom(
    select(
        AnswerRow.id,
        Invitation.survey_id,
        AnswerRow.submitted_at.label("at"),
        AnswerRow.nps,
        AnswerRow.csat,
        AnswerRow.wants_help,
        case((AnswerRow.comment != "", 1), else_=0).label("has_words"),
        AnswerRow.others,
    )
    .select_from(AnswerRow)
    .join(Invitation, Invitation.id == AnswerRow.invitation_id)
    .where(COUNTED, AnswerRow.submitted_at >= _BETWEEN[0], AnswerRow.submitted_at < _BETWEEN[1]),
    AnswerRow,
    AnswerRow.submitted_at,
)
_ANSWERED_OF_DAYS = _of_whom(
    select(AnswerRow.id, Invitation.survey_id, AnswerRow.submitted_at.label("at"), Invitation.sent_at)
    .select_from(AnswerRow)
    .join(Invitation, Invitation.id == AnswerRow.invitation_id)
    .where(COUNTED, AnswerRow.submitted_at >= _BETWEEN[0], AnswerRow.submitted_at < _BETWEEN[1])
    .where(Invitation.sent_at.is_not(None)),
    Invitation,
    Invitation.sent_at,
)
_DELIVERED_OF_DAYS = _of_whom(
    select(Invitation.id, Invitation.survey_id, Invitation.sent_at.label("at")).where(
        Invitation.sent_at >= _BETWEEN[0], Invitation.sent_at < _BETWEEN[1]
    ),
    Invitation,
    Invitation.sent_at,
)
