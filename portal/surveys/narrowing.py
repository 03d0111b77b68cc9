"""About whom one asks, as conditions on answers and invitations."""

from functools import lru_cache
from typing import Any, NamedTuple

from sqlalchemy import and_, bindparam, inspect, or_, select

from portal.accounts.models import Account, Contact
from portal.journeys.models import JourneyRow, StageRow, Visit
from portal.surveys.models import AnswerRow, Invitation

COUNTED = and_(AnswerRow.quarantined_at.is_(None), AnswerRow.superseded_at.is_(None))
"""Only verified answers, the latest version of each."""


class Narrow(NamedTuple):
    """About whom one asks. An answer belongs to the stage that the customer was in when it came, a survey that was
    delivered to the stage in which it was."""

    survey_ids: tuple[int, ...]
    """Every version of one survey."""
    stage: str | None = None
    plan: str | None = None
    language: str | None = None
    owner_id: int | None = None


class Shape(NamedTuple):
    """What of a narrowing a statement depends on: how many versions, and what else it asks for. One that is built for a
    shape is built once, and gets the values by name (`values_of`)."""

    surveys: int
    stage: bool
    plan: bool
    language: bool
    owner_id: bool


def shape_of(narrow: Narrow) -> Shape:
    ids, *others = narrow
    return Shape(len(ids), *(value is not None for value in others))


@lru_cache(maxsize=100)
def named(shape: Shape) -> Narrow:
    """A narrowing of that shape with names in place of its values."""
    ids, *others = shape
    names: Any = {name: bindparam(name) if has else None for name, has in zip(shape._fields[1:], others, strict=True)}
    return Narrow(tuple([survey_named(n) for n in range(ids)]), **names)


def survey_named(number: int) -> Any:
    return bindparam(f"survey_{number}", type_=Invitation.survey_id.type)


def values_of(narrow: Narrow) -> dict[str, Any]:
    """The values by these names."""
    ids, *others = narrow
    values: dict[str, Any] = {f"survey_{n}": survey_id for n, survey_id in enumerate(ids)}
    return values | {name: value for name, value in zip(Narrow._fields[1:], others, strict=True) if value is not None}


def only(narrow: Narrow, row: Any, at: Any) -> list[Any]:
    """The conditions on answers or invitations (`row`), of which `at` is the moment that counts."""
    return [Invitation.survey_id.in_(narrow.survey_ids), *only_whom(narrow, row, at)]


def only_whom(narrow: Narrow, row: Any, at: Any) -> list[Any]:
    """Those that are about whom, whatever the survey.

    Each is looked up for the row at hand: pages read few rows, and a list of all accounts of a plan is dear to make.
    """
    wanted: list[Any] = []
    if narrow.owner_id is not None:
        wanted.append(_its(row, JourneyRow.owner_id, JourneyRow.id == row.journey_id) == narrow.owner_id)
    if narrow.plan is not None:
        wanted.append(_its(row, Account.plan, Account.id == row.account_id) == narrow.plan)
    if narrow.language is not None:
        wanted.append(_its(row, Contact.language, Contact.id == row.contact_id) == narrow.language)
    if narrow.stage is not None:
        wanted.append(_its(row, StageRow.key, *is_visit_at(row, at), StageRow.id == Visit.stage_id) == narrow.stage)
    return wanted


def is_visit_at(row: Any, at: Any) -> list[Any]:
    """That a visit is the one the customer was on at that moment."""
    return [
        Visit.journey_id == row.journey_id,
        Visit.entered_at <= at,
        or_(Visit.left_at.is_(None), Visit.left_at > at),
    ]


def _its(row: Any, what: Any, *wanted: Any) -> Any:
    # Whatever else the statement joins: these are about the row's own account, contact, journey. A value, and not whether it
    # is there: PostgreSQL makes a join of that, and reads whole tables for a few rows.
    return select(what).where(*wanted).limit(1).correlate(inspect(row).selectable).scalar_subquery()
