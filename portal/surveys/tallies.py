"""How many answered what. Days that have ended are counted once, by the worker (`surveys.counting`), and added up here;
what came since, what changed since, and days that a period cuts in two are counted from the answers themselves. So the sum
is exact, of what nobody changes while it is made.

Two filters at once are counted from the answers: nobody keeps lines for every pair of them.
"""

import json
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from functools import lru_cache
from itertools import pairwise
from typing import Any, NamedTuple

from sqlalchemy import (
    ARRAY,
    Integer,
    String,
    Text,
    and_,
    bindparam,
    case,
    cast,
    false,
    func,
    join,
    literal,
    literal_column,
    select,
    text,
    true,
    type_coerce,
    union_all,
)
from sqlalchemy.orm import Session, aliased

from portal.db import DeploymentFact, Json, rows_of
from portal.instants import UtcDateTime, as_text
from portal.surveys.models import AnswerRow, Invitation
from portal.surveys.narrowing import (
    COUNTED,
    Narrow,
    Shape,
    named,
    only,
    only_whom,
    shape_of,
    survey_named,
    values_of,
)
from portal.surveys.rules import Other, QuestionKind
from portal.surveys.stored import known_form
from portal.surveys.tally_models import AnswerTally, StaleTally

A_DAY = timedelta(days=1)
LOOKED_AT_FIRST = timedelta(days=14)
"""Where the silent are looked for before the whole period is."""
MOST_PARTS = 60
"""Of one statement. Where more parts of a period than that wait to be counted anew, all of it is counted from the answers."""
COUNTED_UNTIL = "answers_counted_until"
"""The fact that holds the first day not counted yet, and how often something was counted."""
MIDNIGHT = time(0, tzinfo=UTC)
OUTSIDE = -1
"""Stands for a period that isn't asked for."""


class Kind(StrEnum):
    """Whose figures a line is."""

    EVERYBODY = ""
    STAGE = "stage"
    PLAN = "plan"
    LANGUAGE = "language"
    OWNER = "owner"


@dataclass
class Count:
    """What came in within one period: answers by what they say, and what became of those delivered in it."""

    answers: int = 0
    nps: Counter[int] = field(default_factory=Counter)
    csat: Counter[int] = field(default_factory=Counter)
    help: Counter[bool] = field(default_factory=Counter)
    comments: int = 0
    delivered: int = 0
    answered: int = 0
    """Of those delivered, however much later."""
    still_open: int = 0
    """Of those delivered, not answered yet, and it can still be."""
    further: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Answers to further questions by question and value (`keys_of`); under the value `""`, how many people answered it."""

    def __add__(self, other: "Count") -> "Count":
        return Count(
            self.answers + other.answers,
            self.nps + other.nps,
            self.csat + other.csat,
            self.help + other.help,
            self.comments + other.comments,
            self.delivered + other.delivered,
            self.answered + other.answered,
            self.still_open + other.still_open,
            self.further + other.further,
        )


def keys_of(other: Other) -> list[str]:
    """What was chosen, each as a key."""
    if isinstance(other, bool):
        return ["yes" if other else "no"]
    return [str(each) for each in other] if isinstance(other, list) else [str(other)]


# Reading


def counted(db: Session, narrow: Narrow, bounds: Sequence[datetime], *, now: datetime) -> list[Count]:
    """One count for each period between a bound and the next (the end left out). Eight statements at most, however many
    answers and questions."""
    total = [Count() for _ in bounds[1:]]
    for counts in counted_by_survey(db, narrow, bounds, now=now).values():
        total = [one + other for one, other in zip(total, counts, strict=True)]
    return total


def counted_by_survey(
    db: Session, narrow: Narrow, bounds: Sequence[datetime], *, now: datetime
) -> dict[int, list[Count]]:
    """The same for each version of a survey; those of which there is nothing are left out."""
    if not narrow.survey_ids:
        return {}
    # Nothing that was delivered from then on has closed: of that, what isn't answered is open, and nobody looks for it.
    start = _all_open_from(db, narrow, now)
    is_cut = bounds[0] < start < bounds[-1] and start not in bounds
    cut = sorted([*bounds, start]) if is_cut else bounds
    found = _counted_by_survey(db, narrow, cut)
    if bounds[0] < start:
        for survey_id, step, n in _still_open(db, narrow, cut, now=now, start=start):
            if 0 < step < len(cut):
                found[survey_id][step - 1].still_open += n
    for counts in found.values():
        for since, count in zip(cut, counts, strict=False):
            _settle(count)
            if since >= start:
                count.still_open = count.delivered - count.answered
        if is_cut:
            place = cut.index(start)
            counts[place - 1 : place + 1] = [counts[place - 1] + counts[place]]
    return dict(found)


def _all_open_from(db: Session, narrow: Narrow, now: datetime) -> datetime:
    values = values_of(Narrow(narrow.survey_ids)) | {"now": now}
    rows = rows_of(db, _last_closed(len(narrow.survey_ids)), values)
    closed = [sent_at for (sent_at,) in rows if sent_at is not None]
    # From a midnight on: a day is counted as a whole.
    return midnight(max(closed).astimezone(UTC).date() + A_DAY) if closed else midnight(date.min)


@lru_cache(maxsize=50)
def _last_closed(surveys: int) -> Any:
    # Of each version by itself, from the newest back: the index is in that order. Not the same as one that is about when they
    # close, or that one is taken, and all that ever closed is read.
    closes = func.coalesce(Invitation.expires_at, Invitation.expires_at)
    return union_all(
        *(
            select(
                select(Invitation.sent_at)
                .where(
                    Invitation.survey_id == survey_named(n), Invitation.sent_at.is_not(None), closes <= bindparam("now")
                )
                .order_by(Invitation.sent_at.desc())
                .limit(1)
                .scalar_subquery()
                .label("sent_at")
            )
            for n in range(surveys)
        )
    )


def _counted_by_survey(db: Session, narrow: Narrow, bounds: Sequence[datetime]) -> dict[int, list[Count]]:
    """All but what is still open."""
    found: dict[int, list[Count]] = defaultdict(lambda: [Count() for _ in bounds[1:]])
    kept = _kept(db, narrow, bounds)
    _add_lines(db, found, narrow, bounds, kept)
    for survey_id, part, nps, csat, wants_help, has_words, n in rows_within(db, _answers, narrow, kept.parts):
        for period, sign in kept.parts[part].goes:
            count = found[survey_id][period]
            count.answers += sign * n
            count.comments += sign * n if has_words else 0
            if nps is not None:
                count.nps[nps] += sign * n
            if csat is not None:
                count.csat[csat] += sign * n
            if wants_help is not None:
                count.help[bool(wants_help)] += sign * n
    for survey_id, part, others, n in _others(db, narrow, kept):
        for key, value in further_in(db, survey_id, others):
            for period, sign in kept.parts[part].goes:
                found[survey_id][period].further[key, value] += sign * n
    for survey_id, part, delivered, answered in rows_within(db, _delivered, narrow, kept.parts):
        for period, sign in kept.parts[part].goes:
            found[survey_id][period].delivered += sign * delivered
            found[survey_id][period].answered += sign * answered
    edges, periods = _steps_since(bounds, kept)
    for survey_id, step, n in rows_within(db, _answered_since, narrow, kept.unknown, edges):
        if (period := periods[step]) != OUTSIDE:
            found[survey_id][period].answered += n
    return found


def _settle(count: Count) -> None:
    # Each statement sees what is there by then: who answers between two of them may be in one and not in the other.
    count.answers, count.comments = max(count.answers, 0), max(count.comments, 0)
    count.delivered = max(count.delivered, 0)
    count.answered = min(max(count.answered, 0), count.delivered)


class Part(NamedTuple):
    """A stretch of time within one period."""

    period: int
    since: datetime
    before: datetime
    instead: int = OUTSIDE
    """The period that the line of its day gives it to, which it is taken back from."""

    @property
    def goes(self) -> list[tuple[int, int]]:
        """To which period what is counted in it is added, and from which it is taken."""
        return [(period, sign) for period, sign in ((self.period, 1), (self.instead, -1)) if period != OUTSIDE]


class _Kept(NamedTuple):
    """What of a period can be read from the lines, and what has to be counted from the answers."""

    kind: Kind | None
    """Whose lines; None: there are none of those that are asked for."""
    value: str
    until: date
    """The first day that isn't counted yet."""
    stale: frozenset[date]
    """Days before `until` whose lines can't be used."""
    cut: Mapping[date, int]
    """Other days that a bound cuts, each with the period that most of it lies in: its line is given to that."""
    parts: tuple[Part, ...]
    """What has to be counted from the answers, in order of time; none reaches into another."""

    @property
    def unknown(self) -> list[Part]:
        """Answers that no line knows: those of stale days, and the newest."""
        if self.kind is None:
            return []
        days = [Part(0, midnight(day), midnight(day + A_DAY)) for day in sorted(self.stale)]
        return [*days, Part(0, midnight(self.until), midnight(date.max))]


def _kept(db: Session, narrow: Narrow, bounds: Sequence[datetime]) -> _Kept:
    chosen = [
        (kind, str(value))
        for kind, value in (
            (Kind.STAGE, narrow.stage),
            (Kind.PLAN, narrow.plan),
            (Kind.LANGUAGE, narrow.language),
            (Kind.OWNER, narrow.owner_id),
        )
        if value is not None
    ]
    whole = (Part(n, since, before) for n, (since, before) in enumerate(pairwise(bounds)))
    nothing = _Kept(None, "", date.min, frozenset(), {}, tuple(whole))
    if len(chosen) > 1:
        return nothing
    kind, value = chosen[0] if chosen else (Kind.EVERYBODY, "")
    first = bounds[0].astimezone(UTC).date()
    rows = rows_of(db, _STATE, {"kind": kind.value, "first": first})
    until = next((read_fact(fact)[0] for fact, _day in rows if fact), date.min)
    stale = frozenset(day for day in (date.fromisoformat(day) for _fact, day in rows if day) if day < until)
    days = {at.date() for at in (bound.astimezone(UTC) for bound in bounds) if at.timetz() != MIDNIGHT}
    cut = {day: _segments(day, bounds) for day in days - stale if day < until}
    parts = [*_parts(stale, max(until, first), bounds), *(part for _most, rest in cut.values() for part in rest)]
    if until <= first or len(parts) > MOST_PARTS:
        return nothing
    return _Kept(
        kind, value, until, stale, {day: most for day, (most, _rest) in cut.items()}, tuple(sorted(parts, key=_since))
    )


def _since(part: Part) -> datetime:
    return part.since


def _segments(day: date, bounds: Sequence[datetime]) -> tuple[int, list[Part]]:
    """The period that the longest stretch of a day lies in, and the stretches that lie in other ones: few answers have to
    be counted, where the whole day's figure is known."""
    ends = [
        midnight(day),
        *(at for at in bounds if midnight(day) < at < midnight(day + A_DAY)),
        midnight(day + A_DAY),
    ]
    pieces = [Part(_period_at(since, bounds), since, before) for since, before in pairwise(ends)]
    most = max(pieces, key=lambda piece: piece.before - piece.since).period
    return most, [piece._replace(instead=most) for piece in pieces if piece.period != most]


_STATE = union_all(
    select(DeploymentFact.value.label("fact"), literal("", String).label("day")).where(
        DeploymentFact.name == COUNTED_UNTIL
    ),
    select(literal("", String), cast(StaleTally.day, String))
    .where(
        StaleTally.kind.in_([literal("", String), bindparam("kind", type_=String())]),
        StaleTally.day >= bindparam("first"),
    )
    .distinct(),
)
"""Read in one statement, and before the lines: a day that is counted anew in between is read from the answers."""


def read_fact(fact: str) -> tuple[date, int]:
    day, _, times = fact.partition(" ")
    return date.fromisoformat(day), int(times)


def _parts(days: Iterable[date], until: date, bounds: Sequence[datetime]) -> Iterator[Part]:
    """Those days and all from `until` on, as far as they lie within the bounds, and cut at each of them."""
    for day, end in [*stretches(sorted(days)), (until, date.max)]:
        for period, (since, before) in enumerate(pairwise(bounds)):
            part = Part(period, max(midnight(day), since), min(midnight(end), before))
            if part.since < part.before:
                yield part


def stretches(days: Sequence[date]) -> list[tuple[date, date]]:
    found: list[tuple[date, date]] = []
    for day in days:
        if found and found[-1][1] == day:
            found[-1] = (found[-1][0], day + A_DAY)
        else:
            found.append((day, day + A_DAY))
    return found


def midnight(day: date) -> datetime:
    return datetime.combine(day, MIDNIGHT)


def _add_lines(
    db: Session, found: dict[int, list[Count]], narrow: Narrow, bounds: Sequence[datetime], kept: _Kept
) -> None:
    if kept.kind is None:
        return
    sums: dict[tuple[int, int], defaultdict[str, int]] = defaultdict(lambda: defaultdict(int))
    came: dict[int, defaultdict[str, int]] = defaultdict(lambda: defaultdict(int))
    for survey_id, day, counts, sent in _known_lines(db, narrow, bounds[0].astimezone(UTC).date(), kept):
        if (period := _period_of(day, bounds, kept)) != OUTSIDE:
            _sum_up(sums[survey_id, period], counts)
        if day not in kept.stale:
            _sum_up(came[survey_id], sent)
    for (survey_id, period), sum_of in sums.items():
        _add(found[survey_id][period], sum_of)
    for survey_id, by_day in came.items():
        for written, n in by_day.items():
            day = date.fromisoformat(written)
            if day < kept.until and (period := _period_of(day, bounds, kept)) != OUTSIDE:
                found[survey_id][period].answered += n


def _sum_up(into: dict[str, int], counts: Mapping[str, int]) -> None:
    for name, n in counts.items():
        into[name] += n


class _Line(NamedTuple):
    survey_id: int
    day: date
    counts: Mapping[str, int]
    sent: Mapping[str, int]


def _known_lines(db: Session, narrow: Narrow, first: date, kept: _Kept) -> list[_Line]:
    """The lines from that day on."""
    whose = {"kind": (kept.kind or Kind.EVERYBODY).value, "value": kept.value, "first": first, "until": kept.until}
    rows = rows_of(db, _lines_of(len(narrow.survey_ids)), values_of(Narrow(narrow.survey_ids)) | whose)
    # Read as one document: read one by one, as a column of JSON is, they are half of the time that a page takes.
    said = iter(json.loads(f"[{','.join(f'{counts},{sent}' for _, _, counts, sent in rows)}]"))
    return [_Line(survey_id, day, next(said), next(said)) for survey_id, day, _, _ in rows]


@lru_cache(maxsize=50)
def _lines_of(surveys: int) -> Any:
    columns = (AnswerTally.survey_id, AnswerTally.day, cast(AnswerTally.counts, String), cast(AnswerTally.sent, String))
    return select(*columns).where(
        AnswerTally.survey_id.in_([survey_named(n) for n in range(surveys)]),
        AnswerTally.kind == bindparam("kind"),
        AnswerTally.value == bindparam("value"),
        AnswerTally.day >= bindparam("first"),
        AnswerTally.day < bindparam("until"),
    )


def _period_of(day: date, bounds: Sequence[datetime], kept: _Kept) -> int:
    """The period that the line of a day is given to, as a whole."""
    if day in kept.stale:
        return OUTSIDE
    return kept.cut[day] if day in kept.cut else _period_at(midnight(day), bounds)


def _period_at(at: datetime, bounds: Sequence[datetime]) -> int:
    period = bisect_right(bounds, at) - 1
    return period if 0 <= period < len(bounds) - 1 else OUTSIDE


def _add(count: Count, counts: Mapping[str, int]) -> None:
    for name, n in counts.items():
        what, _, value = name.partition(":")
        match what:
            case "answers":
                count.answers += n
            case "comments":
                count.comments += n
            case "delivered":
                count.delivered += n
            case "nps":
                count.nps[int(value)] += n
            case "csat":
                count.csat[int(value)] += n
            case "help":
                count.help[value == "yes"] += n
            case _:
                key, _, chosen = value.partition(":")
                count.further[key, chosen] += n


def rows_within(
    db: Session,
    statement: Callable[..., Any],
    narrow: Narrow,
    parts: Sequence[Part],
    edges: Sequence[datetime] = (),
    *more: Any,
    **others: Any,
) -> Sequence[Any]:
    """The rows of a statement about these parts. It is built once for so many of them, and for what is asked for: that took
    as long as the answer, and so did looking it up among all that SQLAlchemy has compiled."""
    if not parts:
        return ()
    dialect = _dialect(db)
    made = statement(dialect, shape_of(narrow), *_how_many(dialect, parts, edges), *more)
    values = values_of(narrow) | _parts_named(dialect, parts) | _edges_named(dialect, edges) | others
    return rows_of(db, made, values)


def _dialect(db: Session) -> str:
    return str(db.get_bind().dialect.name)


def _how_many(dialect: str, parts: Sequence[Part], edges: Sequence[datetime]) -> tuple[int, int]:
    """What a statement depends on: PostgreSQL gets edges as one value, and SQLite parts, however many there are."""
    return (len(parts), 0) if dialect == "postgresql" else (0, len(edges))


@lru_cache(maxsize=200)
def _answers(dialect: str, shape: Shape, parts: int, _edges: int) -> Any:
    has_words = case((AnswerRow.comment != "", 1), else_=0)
    said = (AnswerRow.nps, AnswerRow.csat, AnswerRow.wants_help, has_words)
    return _answers_in(dialect, shape, parts, said)


def _answers_in(dialect: str, shape: Shape, parts: int, said: Sequence[Any]) -> Any:
    """How many answers of these parts say that, by survey and number of the part."""
    narrow, at = named(shape), AnswerRow.submitted_at
    source, inside, part = within(dialect, AnswerRow, at, parts)
    if dialect == "postgresql":
        # Each answer's survey is looked up: joined, all that was ever asked is read for these few.
        of = select(Invitation.survey_id).where(Invitation.id == AnswerRow.invitation_id).scalar_subquery()
        names = [f"said_{n}" for n in range(len(said))]
        each = (
            select(of.label("survey"), part.label("part"), *(one.label(n) for one, n in zip(said, names, strict=True)))
            .select_from(source)
            .where(COUNTED, inside, *only_whom(narrow, AnswerRow, at))
            .subquery()
        )
        columns = (each.c.survey, each.c.part, *(each.c[name] for name in names))
        return select(*columns, func.count()).where(each.c.survey.in_(narrow.survey_ids)).group_by(*columns)
    by = (Invitation.survey_id, part, *said)
    return (
        select(*by, func.count())
        .select_from(source)
        .join(Invitation, Invitation.id == AnswerRow.invitation_id)
        .where(COUNTED, inside, of_survey(dialect, narrow), *only_whom(narrow, AnswerRow, at))
        .group_by(*by)
    )


def of_survey(dialect: str, narrow: Narrow) -> Any:
    """That a row is about the survey, where it is found by something else: SQLite would rather look through all that was ever
    asked of the survey, unless no index fits. PostgreSQL knows better by itself, and worse with that."""
    return (Invitation.survey_id if dialect == "postgresql" else Invitation.survey_id + 0).in_(narrow.survey_ids)


def within(dialect: str, row: Any, at: Any, parts: int) -> tuple[Any, Any, Any]:
    """The rows of so many parts: what to select from, which of it, and the column of the part's number, from 0. The parts
    are handed over as one value (`_parts_named`).

    Each database finds few rows of many by its index in its own way only: PostgreSQL by a list of ranges that it knows the
    width of, SQLite by going from range to range, so that one statement does for any number of them.
    """
    if dialect == "postgresql":
        # As words: of so many comparisons, SQLAlchemy takes 10 ms to make one statement.
        name, ends = f"{at.table.name}.{at.name}", bindparam("parts", type_=_MOMENTS)
        ranges = [f"{name} >= (:parts)[{2 * n + 1}] AND {name} < (:parts)[{2 * n + 2}]" for n in range(parts)]
        inside = text(f"({' OR '.join(ranges)})").bindparams(ends)
        return row, inside, func.width_bucket(at, ends, type_=Integer) // _number(2)
    each = func.json_each(bindparam("parts", type_=String())).table_valued("key", "value")
    since, before = (
        type_coerce(func.json_extract(each.c.value, f"$[{n}]"), UtcDateTime).label(name)
        for n, name in enumerate(("since", "before"))
    )
    table = select(type_coerce(each.c.key, Integer).label("number"), since, before).cte("parts")
    return join(table, row, and_(at >= table.c.since, at < table.c.before)), true(), table.c.number


def _parts_named(dialect: str, parts: Sequence[Part]) -> dict[str, Any]:
    """The value that `within` needs; the parts in order of time, and none reaches into another."""
    if dialect == "postgresql":
        return {"parts": [at for part in parts for at in (part.since, part.before)]}
    return {"parts": json.dumps([(as_text(part.since), as_text(part.before)) for part in parts])}


def _step(dialect: str, at: Any, edges: int) -> Any:
    """How many of these edges, in order of time, a moment has reached."""
    if dialect == "postgresql":
        return func.width_bucket(at, bindparam("edges", type_=_MOMENTS), type_=Integer)
    steps = ((at < bindparam(f"edge_{n}", type_=UtcDateTime()), _number(n)) for n in range(edges))
    return case(*steps, else_=_number(edges))


def _edges_named(dialect: str, edges: Sequence[datetime]) -> dict[str, Any]:
    if not edges:
        return {}
    return {"edges": list(edges)} if dialect == "postgresql" else {f"edge_{n}": at for n, at in enumerate(edges)}


_MOMENTS = ARRAY(UtcDateTime())


def _number(n: int) -> Any:
    return literal_column(str(n), Integer())


def _others(db: Session, narrow: Narrow, kept: _Kept) -> Iterator[tuple[int, int, dict[str, Any], int]]:
    """Answers to further questions, those that say the same together; of words, only that there are some."""
    texts: set[str] = set()
    asks = False
    for survey_id in narrow.survey_ids:
        for question in known_form(db, survey_id).further():
            asks = True
            if question.kind is QuestionKind.TEXT:
                texts.add(question.key)
    if not asks:
        return
    for survey_id, part, given, n in rows_within(db, _given, narrow, kept.parts, (), tuple(sorted(texts))):
        yield survey_id, part, json.loads(given) if isinstance(given, str) else given, n


@lru_cache(maxsize=200)
def _given(dialect: str, shape: Shape, parts: int, _edges: int, texts: tuple[str, ...]) -> Any:
    others: Any = AnswerRow.others
    is_postgresql = dialect == "postgresql"
    for key in texts:
        if is_postgresql:
            others = func.jsonb_set(others, literal([key], ARRAY(Text)), literal(1, Json), false())
        else:
            others = func.json_replace(others, f"$.{json.dumps(key)}", 1)
    return _answers_in(dialect, shape, parts, (others if is_postgresql else cast(others, String),))


def further_in(db: Session, survey_id: int, others: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What an answer adds to: the question as such, and each value that was chosen; no words."""
    if not others:
        return
    for question in known_form(db, survey_id).further():
        if question.key in others:
            yield question.key, ""
            if question.kind is not QuestionKind.TEXT:
                yield from ((question.key, each) for each in keys_of(others[question.key]) if each)


@lru_cache(maxsize=200)
def _delivered(dialect: str, shape: Shape, parts: int, _edges: int) -> Any:
    at = Invitation.sent_at
    source, inside, part = within(dialect, Invitation, at, parts)
    answered = select(AnswerRow.id).where(AnswerRow.invitation_id == Invitation.id, COUNTED).limit(1).scalar_subquery()
    each = (
        select(Invitation.survey_id.label("survey"), part.label("part"), answered.label("answer"))
        .select_from(source)
        .where(inside, *only(named(shape), Invitation, at))
        .subquery()
    )
    by = (each.c.survey, each.c.part)
    return select(*by, func.count(), func.count(each.c.answer)).group_by(*by)


@lru_cache(maxsize=200)
def _answered_since(dialect: str, shape: Shape, parts: int, edges: int) -> Any:
    """Answers that no line knows, by the survey and the step in which it was delivered."""
    narrow, at = named(shape), Invitation.sent_at
    source, inside, _part = within(dialect, AnswerRow, AnswerRow.submitted_at, parts)
    by = (Invitation.survey_id, _step(dialect, at, edges))
    return (
        select(*by, func.count())
        .select_from(source)
        .join(Invitation, Invitation.id == AnswerRow.invitation_id)
        .where(COUNTED, inside, of_survey(dialect, narrow), *only_whom(narrow, Invitation, at))
        .group_by(*by)
    )


def _steps_since(bounds: Sequence[datetime], kept: _Kept) -> tuple[list[datetime], list[int]]:
    """The edges of steps, and the period of each: a survey that was delivered then is counted by a line of that period, or
    by none (`OUTSIDE`)."""
    known = {part.since: (part.before, OUTSIDE) for part in kept.parts if part.instead == OUTSIDE}
    known |= {midnight(day): (midnight(day + A_DAY), period) for day, period in kept.cut.items()}
    edges = sorted({*bounds, *known, *(before for before, _period in known.values())})
    periods, until, its = [OUTSIDE], edges[0], OUTSIDE
    for edge in edges:
        if edge in known:
            until, its = known[edge]
        periods.append(its if edge < until else _period_at(edge, bounds))
    return edges, periods


def _still_open(
    db: Session, narrow: Narrow, bounds: Sequence[datetime], *, now: datetime, start: datetime
) -> Sequence[Any]:
    """Those that were delivered before `start`."""
    dialect = _dialect(db)
    made = _open_by_step(dialect, shape_of(narrow), _how_many(dialect, (), bounds)[1])
    values = values_of(narrow) | _edges_named(dialect, bounds) | {"now": now, "start": start}
    return rows_of(db, made, values)


@lru_cache(maxsize=200)
def _open_by_step(dialect: str, shape: Shape, edges: int) -> Any:
    # The few that are open are looked through for the rest, and not the rest for open ones. By themselves first: PostgreSQL
    # takes them for many, and starts a second process to look for their answers.
    narrow = named(shape)
    columns = (
        Invitation.id,
        Invitation.survey_id,
        Invitation.sent_at,
        Invitation.account_id,
        Invitation.contact_id,
        Invitation.journey_id,
    )
    at = func.coalesce(Invitation.sent_at, Invitation.sent_at)
    those = (
        select(*columns)
        .where(Invitation.expires_at > bindparam("now"), at < bindparam("start"))
        .where(Invitation.survey_id.in_(narrow.survey_ids))
        .cte("still_open")
        .prefix_with("MATERIALIZED", dialect="postgresql")
    )
    row = aliased(Invitation, those)
    answer = select(AnswerRow.id).where(AnswerRow.invitation_id == row.id, COUNTED).limit(1).scalar_subquery()
    said = (row.survey_id, _step(dialect, row.sent_at, edges))
    wanted = (answer.is_(None), *only_whom(narrow, row, row.sent_at))
    return select(*said, func.count()).where(*wanted).group_by(*said)


# Where the silent are


def quiet_parts(db: Session, narrow: Narrow, since: datetime, until: datetime, *, most: int) -> tuple[list[Part], bool]:
    """Stretches of the period in which surveys were delivered that nobody answered, the newest that hold `most` of them by
    the lines, in order of time; and whether those are all. Who has answered since the lines were made is still among them."""
    kept = _kept(db, narrow, (since, until))
    if kept.kind is None:
        return list(kept.parts), True
    # The newest days mostly hold enough. An answer comes after its survey, so older lines say nothing more of them.
    first = since.astimezone(UTC).date()
    newest = max(first, kept.until - LOOKED_AT_FIRST)
    parts, is_enough = _quiet_from(db, narrow, kept, since, until, newest, most)
    if not is_enough and newest > first:
        parts, is_enough = _quiet_from(db, narrow, kept, since, until, first, most)
    return parts, not is_enough


def _quiet_from(
    db: Session, narrow: Narrow, kept: _Kept, since: datetime, until: datetime, first: date, most: int
) -> tuple[list[Part], bool]:
    """Those from a day on, and whether they leave out some, since they hold enough."""
    delivered: Counter[date] = Counter()
    answered: Counter[str] = Counter()
    for _survey_id, day, counts, sent in _known_lines(db, narrow, first, kept):
        delivered[day] += counts.get("delivered", 0)
        if day not in kept.stale:
            _sum_up(answered, sent)
    unsure = kept.stale | kept.cut.keys()
    quiet = {day: n for day in delivered if (n := delivered[day] - answered[day.isoformat()]) > 0 and day not in unsure}
    days = [*quiet, *(day for day in kept.cut if day >= first)]
    chosen = [Part(0, max(midnight(day), since), min(midnight(day + A_DAY), until)) for day in days]
    by_hand = [
        part
        for part in kept.parts
        if part.since >= midnight(first) and part.since.astimezone(UTC).date() not in kept.cut
    ]
    parts: list[Part] = []
    known = 0
    for part in sorted([*chosen, *by_hand], key=lambda part: part.since, reverse=True):
        if known >= most:
            return _joined(parts), True
        if part.since < part.before:
            parts.append(part)
            known += quiet.get(part.since.astimezone(UTC).date(), 0)
    return _joined(parts), known >= most and first > since.astimezone(UTC).date()


def _joined(parts: Sequence[Part]) -> list[Part]:
    """The same stretches in order of time, those that touch as one: of one alone PostgreSQL reads from its end as many as it
    needs, and of several all."""
    found: list[Part] = []
    for part in sorted(parts, key=_since):
        if found and found[-1].before == part.since:
            found[-1] = found[-1]._replace(before=part.before)
        else:
            found.append(part)
    return found
