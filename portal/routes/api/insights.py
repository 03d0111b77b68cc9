"""The figures that managers read. A score comes with its interval and its n; a rate with what it is a rate of."""

from datetime import date, datetime, time, timedelta
from typing import Annotated, Any, NamedTuple

from fastapi import Query
from pydantic import ConfigDict, Field, model_validator
from starlette.responses import Response

from portal.auth import Scope
from portal.clock import at_local, local_date
from portal.deps import ApiAsk, AskOfApi, api_calls
from portal.errors import Invalid
from portal.insights.queries import time_in_stage
from portal.insights.rules import Nps, Share, Trust
from portal.journeys import listing
from portal.journeys.shipped import AFTER_SALE
from portal.routes.api.journeys import LOCALE
from portal.routes.api.shapes import Day, Shape
from portal.surveys import figures
from portal.surveys.figures import Which
from portal.text import Line

reading = api_calls(Scope.READ)

USUAL_DAYS = 90


class Period(Shape):
    """Both days included; the last 90 days unless said otherwise."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_by_alias=True)

    since: Day | None = Field(None, alias="from")
    to: Day | None = None
    stage: Line | None = None
    consultant: Line | None = Field(None, description="The consultant's e-mail address.")

    @model_validator(mode="before")
    @classmethod
    def _without_blanks(cls, given: Any) -> Any:
        return {name: value for name, value in given.items() if value != ""} if isinstance(given, dict) else given


class NpsOut(Shape):
    """Net Promoter Score, -100 to 100, with its 95 % interval; null where nobody answered."""

    score: float | None
    low: float | None
    high: float | None
    promoters: int
    passives: int
    detractors: int
    n: int
    trust: Trust = Field(description="Under 10 answers only the counts say something, under 30 they are few.")
    response_rate: float | None = Field(description="Verified answers of those delivered, 0 to 1.")
    delivered: int


class CsatOut(Shape):
    """The share of 4 and 5 among 1 to 5, with its 95 % interval; null where nobody answered."""

    score: float | None
    low: float | None
    high: float | None
    good: int
    n: int
    trust: Trust
    response_rate: float | None
    delivered: int


class StageOut(Shape):
    stage: str
    name: str
    entered: int
    went_on: int
    still_there: int
    lost: int
    median_days: int | None
    p90_days: int | None


class StagesOut(Shape):
    stages: list[StageOut]


class Between(NamedTuple):
    since: datetime
    until: datetime


def _between(ask: AskOfApi, period: Period) -> Between:
    """The period as instants where the house is. Errors: Invalid where it ends before it begins."""
    zone = ask.settings.default_timezone
    last = period.to or max(local_date(ask.now, zone), period.since or date.min)
    first = period.since or last - timedelta(days=min(USUAL_DAYS, last.toordinal() - 1))
    if last < first:
        raise Invalid({"to": "The period ends before it begins."})
    if not (EARLIEST <= first and last <= LATEST):
        raise Invalid({"from": "Give days from 1970 to 9000."})
    return Between(at_local(first, time(0), zone), at_local(last + timedelta(days=1), time(0), zone))


EARLIEST, LATEST = date(1970, 1, 2), date(9000, 1, 1)


def _which(ask: AskOfApi, period: Period) -> Which:
    since, until = _between(ask, period)
    if period.stage is not None and period.stage not in listing.stages_of_pipeline(ask.db, AFTER_SALE):
        raise Invalid({"stage": "There is no stage of that name."})
    if period.consultant is not None and listing.staff_id_of(ask.db, period.consultant) is None:
        raise Invalid({"consultant": "Nobody with this address works here."})
    return Which(since, until, period.stage, period.consultant)


@reading.get("/insights/nps", response_model=NpsOut)
def nps(ask: ApiAsk, period: Annotated[Period, Query()]) -> Response:
    """Net Promoter Score of a period."""
    found = figures.counts(ask.db, _which(ask, period))
    score = Nps(found.promoters, found.passives, found.detractors)
    low, high = score.interval or (None, None)
    return ask.json(
        NpsOut(
            score=score.score,
            low=low,
            high=high,
            promoters=score.promoters,
            passives=score.passives,
            detractors=score.detractors,
            n=score.n,
            trust=score.trust,
            response_rate=Share(found.delivered_and_answered, found.delivered).value,
            delivered=found.delivered,
        )
    )


@reading.get("/insights/csat", response_model=CsatOut)
def csat(ask: ApiAsk, period: Annotated[Period, Query()]) -> Response:
    """Customer satisfaction of a period."""
    found = figures.counts(ask.db, _which(ask, period))
    share = Share(found.csat_good, found.csat)
    low, high = share.interval or (None, None)
    return ask.json(
        CsatOut(
            score=share.value,
            low=low,
            high=high,
            good=found.csat_good,
            n=found.csat,
            trust=share.trust,
            response_rate=Share(found.delivered_and_answered, found.delivered).value,
            delivered=found.delivered,
        )
    )


@reading.get("/insights/stages", response_model=StagesOut)
def stages(ask: ApiAsk, period: Annotated[Period, Query()]) -> Response:
    """Time in stage, and what became of those who entered in the period."""
    which = _which(ask, period)
    since, until = _between(ask, period)
    owner_id = listing.staff_id_of(ask.db, period.consultant) if period.consultant is not None else None
    rows = time_in_stage(ask.db, locale=LOCALE, now=ask.now, since=since, until=until, owner_id=owner_id)
    return ask.json(
        StagesOut(
            stages=[
                StageOut(
                    stage=row.key,
                    name=row.name,
                    entered=row.entered,
                    went_on=row.went_on,
                    still_there=row.still_there,
                    lost=row.lost,
                    median_days=row.median_days,
                    p90_days=row.p90_days,
                )
                for row in rows
                if which.stage in (None, row.key)
            ]
        )
    )
