"""Insights: what customers say, who answers, and where they are lost; every figure with its n and what it may say."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, time, timedelta
from typing import Any, NamedTuple

from starlette.responses import Response

from portal import charts, words
from portal.clock import at_local, local_date
from portal.deps import AskOfStaff, StaffAsk, staff_pages
from portal.errors import N_
from portal.insights import queries, rules
from portal.insights.rules import Nps, Share, Trust
from portal.policy import Permission
from portal.routes.staff.whose import ALL, Whose, whose
from portal.surveys import figures
from portal.surveys.coverage import silent_people
from portal.surveys.figures import Tally

pages = staff_pages(Permission.SEE_FIGURES)

PERIODS: Mapping[int, str] = {
    30: N_("Last 30 days"),
    90: N_("Last 90 days"),
    180: N_("Last 180 days"),
    365: N_("Last 365 days"),
}
USUAL = 90
MONTHS = 6
SURVEY_DAYS = (30, 60, 90)


class Scores(NamedTuple):
    """What a group of answers comes to."""

    nps: Nps
    csat: Share
    faces: tuple[int, ...]
    """Answers 1 to 5, worst first."""
    response: Share
    still_open: int


class Month(NamedTuple):
    """One calendar month in the reader's zone; the last one is under way."""

    start: datetime
    label: str
    scores: Scores


class Line(NamedTuple):
    """One row of a table: a survey, or a consultant."""

    name: str
    scores: Scores


class Filter(NamedTuple):
    """What was chosen; every value is one of a known few."""

    days: int
    survey: int | None
    """Its day; None: all three."""
    whose: Whose


@pages.get("/insights")
def insights(ask: StaffAsk) -> Response:
    """The figures; their own block where a filter changed."""
    return ask.page_or_block("staff/insights.html", "figures", **_figures(ask, _filter(ask)))


def _filter(ask: AskOfStaff) -> Filter:
    days = {str(days): days for days in PERIODS}.get(ask.query.get("period", ""), USUAL)
    survey = {str(day): day for day in SURVEY_DAYS}.get(ask.query.get("survey", ""))
    return Filter(days, survey, whose(ask, asked=ask.query.get("owner", ""), usual=ALL))


def _figures(ask: AskOfStaff, chosen: Filter) -> dict[str, Any]:
    since = ask.now - timedelta(days=chosen.days)
    until = ask.now + timedelta(microseconds=1)  # an answer of this very instant has come
    owner_id = chosen.whose.owner_id
    counted = figures.tallies(
        ask.db,
        [since - timedelta(days=chosen.days), since, until],
        now=ask.now,
        day=chosen.survey,
        owner_id=owner_id,
    )
    before, lately = ([t for t in counted if t.period == n] for n in (0, 1))
    months = _months(ask, day=chosen.survey, owner_id=owner_id)
    stages = queries.time_in_stage(ask.db, locale=ask.locale, now=ask.now, since=since, owner_id=owner_id)
    scores, earlier = _scores(lately), _scores(before)
    return {
        "filter": chosen,
        "periods": PERIODS,
        "days": SURVEY_DAYS,
        "scores": scores,
        "earlier": earlier,
        "nps_change": rules.change(scores.nps, earlier.nps),
        "csat_change": rules.change_of_share(scores.csat, earlier.csat),
        "response_change": rules.change_of_share(scores.response, earlier.response),
        "months": months,
        "by_month": by_month(months, ask.locale),
        "faces": faces(scores, ask.locale),
        "by_survey": [(day, _scores(t for t in lately if t.day == day)) for day in SURVEY_DAYS],
        "by_consultant": [
            Line(person.name, _scores(t for t in lately if t.owner_id == person.id))
            for person in chosen.whose.colleagues
            if any(t.owner_id == person.id for t in lately)
        ],
        "stages": stages,
        "worst": _worst(stages),
        "cohort": max((s.entered for s in stages), default=0),
        "longest": max((s.p90_days or 0 for s in stages), default=0),
        "lost": sum(s.lost for s in stages),
        "silent": silent_people(ask.db, now=ask.now, owner_id=owner_id),
        "Trust": Trust,
        "points": points,
    }


def _scores(tallies: Iterable[Tally]) -> Scores:
    some = list(tallies)
    faces = tuple(sum(t.csat[n] for t in some) for n in range(5))
    return Scores(
        Nps(sum(t.promoters for t in some), sum(t.passives for t in some), sum(t.detractors for t in some)),
        Share(faces[3] + faces[4], sum(faces)),
        faces,
        Share(sum(t.answered for t in some), sum(t.delivered for t in some)),
        sum(t.still_open for t in some),
    )


def _months(ask: AskOfStaff, *, day: int | None, owner_id: int | None) -> list[Month]:
    first = local_date(ask.now, ask.zone).replace(day=1)
    starts = [first]
    while len(starts) < MONTHS:
        starts.insert(0, (starts[0] - timedelta(days=1)).replace(day=1))
    starts.append((first + timedelta(days=31)).replace(day=1))
    bounds = [at_local(start, time(0), ask.zone) for start in starts]
    counted = figures.tallies(ask.db, bounds, now=ask.now, day=day, owner_id=owner_id)
    return [
        Month(bounds[n], words.part(starts[n], "MMM", ask.locale), _scores(t for t in counted if t.period == n))
        for n in range(MONTHS)
    ]


def _worst(stages: Sequence[queries.StageTime]) -> queries.StageTime | None:
    """Where most customers were lost; None where nobody was, or where two stages lost as many."""
    losing = sorted((s for s in stages if s.lost), key=lambda s: -s.lost)
    if not losing or (len(losing) > 1 and losing[0].lost == losing[1].lost):
        return None
    return losing[0]


# Drawings


def points(score: float) -> str:
    """`+45`, `−7`, `0`: points of the Net Promoter Score, with a real minus sign."""
    whole = round(score)
    return f"+{whole}" if whole > 0 else f"\N{MINUS SIGN}{-whole}" if whole < 0 else "0"


def by_month(months: Sequence[Month], locale: str) -> dict[str, Any]:
    """The score by month, twice; empty unless at least two months in a row have answers enough for one.

    A month without a score would leave a hole that a line hides, so only the latest unbroken run is drawn.
    """
    run: list[Month] = []
    for month in reversed(months):
        if month.scores.nps.trust is not Trust.COUNTS_ONLY:
            run.insert(0, month)
        elif len(run) > 1:
            break
        else:
            run = []
    if len(run) < 2:
        return {}

    def say(message: str, **values: object) -> str:
        return words.translate(locale, message, **values)

    drawn = []
    for month in run:
        score, (low, high) = month.scores.nps.score or 0.0, month.scores.nps.interval or (0.0, 0.0)
        text = say(
            N_("%(month)s: %(score)s, between %(low)s and %(high)s, %(count)s answers"),
            **{"month": month.label, "score": points(score), "low": points(low), "high": points(high)},
            count=month.scores.nps.n,
        )
        drawn.append(charts.IntervalPoint(month.label, score, low, high, text))
    last = drawn[-1]
    shape: dict[str, Any] = {
        "key": "nps",
        "title": say(N_("NPS by month, %(first)s to %(last)s"), first=run[0].label, last=run[-1].label),
        "desc": say(
            N_(
                "NPS goes from %(first)s to %(last)s. The band is the 95%% confidence interval, now %(low)s to %(high)s."
            ),
            **{"first": points(drawn[0].value), "last": points(last.value)},
            **{"low": points(last.low), "high": points(last.high)},
        ),
        "range_text": say(N_("%(low)s to %(high)s"), low=points(last.low), high=points(last.high)),
    }
    return {
        "wide": charts.interval_chart(drawn, **shape),
        "narrow": charts.interval_chart(drawn, narrow=True, **shape),
        "first": run[0],
        "last": run[-1],
        "change": rules.change(run[-1].scores.nps, run[0].scores.nps),
    }


_FACES = (N_("Very happy"), N_("Happy"), N_("It’s okay"), N_("Unhappy"), N_("Very unhappy"))


def faces(scores: Scores, locale: str) -> dict[str, Any]:
    """How satisfied they said they are, best first: the bar, and its parts as (words, count)."""
    if not scores.csat.n:
        return {}
    parts = [(words.translate(locale, name), count) for name, count in zip(_FACES, reversed(scores.faces), strict=True)]
    told = [f"{name} {count}" for name, count in parts]
    shares = [
        charts.Share(kind, 100 * count / scores.csat.n, text)
        for kind, text, (_, count) in zip("abcde", told, parts, strict=True)
    ]
    return {"bar": charts.split_bar(shares, label=", ".join(told)), "parts": parts}
