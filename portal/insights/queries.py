"""Time in stage: how long customers stay, how many went on, where they are lost. Read from visits, never from counters."""

from collections import defaultdict
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Integer, and_, case, cast, extract, func, select
from sqlalchemy.orm import Session

from portal.insights.rules import percentile
from portal.journeys.models import JourneyRow, PipelineRow, StageRow, Visit
from portal.journeys.rules import Status
from portal.journeys.shipped import AFTER_SALE


class StageTime(NamedTuple):
    """One stage over the visits that began in a period."""

    key: str
    name: str
    entered: int
    went_on: int
    still_there: int
    lost: int
    median_days: int | None
    p90_days: int | None
    ends: bool
    """Whether a journey ends there: nobody goes on from it."""


def _days(db: Session, start: Any, end: Any) -> ColumnElement[int]:
    """Whole days between two instants, on either database."""
    if db.get_bind().dialect.name == "postgresql":
        return cast(func.floor(extract("epoch", end - start) / 86400), Integer)
    # Whole seconds: the difference of two julian days is a hair under the day as often as not.
    return (cast(func.strftime("%s", end), Integer) - cast(func.strftime("%s", start), Integer)) // 86400


def time_in_stage(
    db: Session,
    *,
    locale: str,
    now: datetime,
    since: datetime,
    until: datetime | None = None,
    owner_id: int | None = None,
    pipeline: str = AFTER_SALE,
) -> tuple[StageTime, ...]:
    """Each stage of a pipeline: median and 90th percentile of finished stays in days, and what became of those who entered.

    One statement; the database counts, however many visits there are.
    """
    left = case((Visit.left_at.is_not(None), "on"), (JourneyRow.status == Status.LOST, "lost"), else_="here")
    days = _days(db, Visit.entered_at, func.coalesce(Visit.left_at, now))
    name = StageRow.name_pt if locale == "pt-BR" else StageRow.name_en
    query = (
        select(StageRow.position, StageRow.key, name, StageRow.ends, left, days, func.count())
        .select_from(Visit)
        .join(StageRow, StageRow.id == Visit.stage_id)
        .join(PipelineRow, PipelineRow.id == StageRow.pipeline_id)
        .join(JourneyRow, JourneyRow.id == Visit.journey_id)
        .where(PipelineRow.key == pipeline, Visit.entered_at >= since)
        .group_by(StageRow.position, StageRow.key, name, StageRow.ends, left, days)
    )
    if until is not None:
        query = query.where(Visit.entered_at < until)
    if owner_id is not None:
        query = query.where(and_(JourneyRow.owner_id == owner_id))
    counts: dict[tuple[int, str, str, bool], dict[str, int]] = defaultdict(lambda: defaultdict(int))
    stays: dict[tuple[int, str, str, bool], dict[int, int]] = defaultdict(lambda: defaultdict(int))
    for position, key, title, ends, state, length, n in db.execute(query):
        stage = (position, key, title, ends is not None)
        counts[stage][state] += n
        if state == "on":
            stays[stage][length] += n
    return tuple(
        StageTime(
            key=stage[1],
            name=stage[2],
            entered=sum(counts[stage].values()),
            went_on=counts[stage]["on"],
            still_there=counts[stage]["here"],
            lost=counts[stage]["lost"],
            median_days=percentile(stays[stage], 0.5),
            p90_days=percentile(stays[stage], 0.9),
            ends=stage[3],
        )
        for stage in sorted(counts)
    )
