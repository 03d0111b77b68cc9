"""Charts drawn on the server as SVG: numbers and finished texts in, Markup out, colour left to the style sheets.

Every chart that says something has a title and a description; the page puts the same numbers in a table beside it.
Coordinates are plain decimals, never localised; texts come already translated.
"""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from markupsafe import Markup, escape

_SEVEN_STAGES = (85, 80, 55, 45, 40, 25, 15)  # steepest during set-up, because that is how a start feels
_HILL_HEIGHT = 240
_HILL_WIDTH = 700
_WIDE = 700
_NARROW = 311


class IntervalPoint(NamedTuple):
    """One period of a score with its interval. `text` is the whole sentence a reader hears for this point."""

    label: str
    value: float
    low: float
    high: float
    text: str


class Share(NamedTuple):
    """One part of a whole. `kind` is "a" (best) to "e" (worst); `percent` 0 to 100; `text` names and counts it."""

    kind: str
    percent: float
    text: str


class Column(NamedTuple):
    """One upright bar. `value` may be below zero; `shown` is the formatted number; `tone` is "", "ok" or "slow"."""

    label: str
    value: float
    shown: str
    tone: str = ""


def climb(count: int) -> tuple[int, ...]:
    """How far from the top each of `count` stages stands on the hill: per cent in steps of five (one class each: y85)."""
    if count == len(_SEVEN_STAGES):
        return _SEVEN_STAGES
    if count < 2:
        return (_SEVEN_STAGES[-1],) * count
    reach = len(_SEVEN_STAGES) - 1
    return tuple(_nearest_five(_between(_SEVEN_STAGES, index * reach / (count - 1))) for index in range(count))


def hill(reached: int, count: int = 7) -> Markup:
    """The elevation profile of `count` stages: solid up to the stage `reached` (1 to count), dotted ahead."""
    step = _HILL_WIDTH / max(count, 1)
    nodes = [(step * (index + 0.5), y * _HILL_HEIGHT / 100) for index, y in enumerate(climb(count))]
    line = [(0.0, 214.0), *nodes, (float(_HILL_WIDTH), 22.0)]
    curves = _curves(line)
    here = min(max(reached, 0), count)
    far = _path([(0, 182), (120, 150), (250, 96), (390, 82), (520, 46), (620, 16), (700, 4)])
    ahead_from = line[here]
    return _drawing(
        '<svg class="path__hill" viewBox="0 0 700 240" preserveAspectRatio="none" aria-hidden="true">'
        f'<path class="far" d="{far}V240H0Z"/><path class="near" d="{_path(line)}V240H0Z"/>'
        f'<path class="next" d="M{_n(ahead_from[0])} {_n(ahead_from[1])}{"".join(curves[here:])}"/>'
        f'<path class="done" d="M{_n(line[0][0])} {_n(line[0][1])}{"".join(curves[:here])}"/></svg>'
    )


def thermo(degrees: float) -> Markup:
    """A small thermometer for a temperature from 0 to 100: cool under 50, neutral to 69, good from 70."""
    level = _within(degrees, 0, 100)
    height = round(level / 100 * 12, 1)
    kind = "cool" if level < 50 else "ok" if level >= 70 else "mid"
    return _drawing(
        f'<svg class="thermo {kind}" viewBox="0 0 6 16" aria-hidden="true"><rect width="6" height="16" rx="3"/>'
        f'<rect class="v" x="1.5" y="{_n(14.5 - height)}" width="3" height="{_n(height)}" rx="1.5"/></svg>'
    )


def ring(percent_left: float, tone: str = "ok") -> Markup:
    """How much of a promise's time is left, 0 to 100 per cent, as a ring. Tones: ok, slow, bad."""
    return _drawing(
        f'<svg class="ring" viewBox="0 0 20 20" aria-hidden="true" data-tone="{escape(tone)}">'
        '<circle cx="10" cy="10" r="8" pathLength="100"/><circle class="v" cx="10" cy="10" r="8" pathLength="100" '
        f'stroke-dasharray="{_n(_within(percent_left, 0, 100))} 100" transform="rotate(-90 10 10)"/></svg>'
    )


def spark(values: Sequence[float], *, width: int = 96, height: int = 28) -> Markup:
    """A word-sized line; the figure beside it says the value. Nothing for fewer than two values."""
    if len(values) < 2:
        return Markup()
    lowest, span = min(values), (max(values) - min(values)) or 1
    points = [
        (2 + index * (width - 6) / (len(values) - 1), height - 3 - (value - lowest) / span * (height - 6))
        for index, value in enumerate(values)
    ]
    return _drawing(
        f'<svg class="spark" viewBox="0 0 {width} {height}" aria-hidden="true"><polyline points="{_pairs(points)}"/>'
        f'<circle cx="{_n(points[-1][0])}" cy="{_n(points[-1][1])}" r="2.6"/></svg>'
    )


def interval_chart(
    points: Sequence[IntervalPoint],
    *,
    key: str,
    title: str,
    desc: str,
    range_text: str,
    narrow: bool = False,
    mark: tuple[int, str] | None = None,
) -> Markup:
    """A score over time with its confidence band, on one scale from a round number below to one above.

    `range_text` stands beside the last point ("24 to 65"). `mark` is (index of the point, what began there).
    Draw it twice, wide and narrow, so that the text stays readable; `key` keeps the ids of the two apart.
    """
    if not points:
        return Markup()
    width, height = (_NARROW, 230) if narrow else (_WIDE, 300)
    left, right, top, bottom, last = 38, 64, 14, 28, len(points) - 1
    low = max(-100, math.floor(min(min(point.low for point in points), 0) / 20) * 20)
    high = min(100, math.ceil(max(max(point.high for point in points), 20) / 20) * 20)

    def x(index: int) -> float:
        return left + index * (width - left - right) / max(last, 1)

    def y(value: float) -> float:
        return top + (high - value) / (high - low) * (height - top - bottom)

    drawn: list[str] = []
    for value in range(low, high + 1, 40 if narrow else 20):
        line = _n(y(value))
        drawn.append(
            f'<line class="g{" zero" if value == 0 else ""}" x1="{left}" x2="{width - right}" y1="{line}" y2="{line}"/>'
            f'<text x="{left - 8}" y="{_n(y(value) + 4)}" text-anchor="end">{_signed(value, plus=False)}</text>'
        )
    if mark is not None:
        at = _n(x(mark[0]))
        flip = x(mark[0]) > width / 2
        drawn.append(
            f'<line class="mark" x1="{at}" x2="{at}" y1="{top}" y2="{height - bottom}"/>'
            f'<text x="{_n(x(mark[0]) + (-6 if flip else 6))}" y="{top + 10}"{_END if flip else ""}>{escape(mark[1])}</text>'
        )
    upper = [(x(index), y(point.high)) for index, point in enumerate(points)]
    lower = [(x(index), y(point.low)) for index, point in enumerate(points)]
    middle = [(x(index), y(point.value)) for index, point in enumerate(points)]
    drawn.append(f'<polygon class="band" points="{_pairs(upper)} {_pairs(lower[::-1])}"/>')
    drawn.append(f'<polyline class="l1" points="{_pairs(middle)}"/>')
    for (at_x, at_y), point in zip(middle[:-1], points[:-1], strict=True):
        drawn.append(
            f'<circle class="pt" cx="{_n(at_x)}" cy="{_n(at_y)}" r="3"><title>{escape(point.text)}</title></circle>'
        )
    end = points[-1]
    drawn.append(
        f'<circle class="last" cx="{_n(x(last))}" cy="{_n(y(end.value))}" r="5"><title>{escape(end.text)}</title></circle>'
        f'<text class="end" x="{width - right + 12}" y="{_n(y(end.value) + 5)}">{_signed(end.value)}</text>'
        f'<text x="{width - right + 12}" y="{_n(y(end.value) + 21)}">{escape(range_text)}</text>'
    )
    every = 3 if narrow and len(points) > 5 else 1
    drawn += [
        f'<text x="{_n(x(index))}" y="{height - 8}" text-anchor="middle">{escape(point.label)}</text>'
        for index, point in enumerate(points)
        if (last - index) % every == 0
    ]
    return _figure("".join(drawn), width=width, height=height, key=key, title=title, desc=desc, narrow=narrow)


def trend_chart(
    values: Sequence[float],
    *,
    events: Mapping[int, str],
    key: str,
    title: str,
    desc: str,
    narrow: bool = False,
) -> Markup:
    """A temperature over time. `events` names some of the points below the axis (pass fewer for the narrow one)."""
    if len(values) < 2:
        return Markup()
    width, height = (_NARROW if narrow else 660), 150
    top, bottom, left, right = 12, 24, 6, 36
    low, high = min(40.0, min(values) - 5), max(85.0, max(values) + 5)

    def x(index: int) -> float:
        return left + index * (width - left - right) / (len(values) - 1)

    def y(value: float) -> float:
        return top + (high - value) / (high - low) * (height - top - bottom)

    drawn: list[str] = []
    for degrees in range(int(low // 10 + 1) * 10, int(high) + 1, 10):
        line = _n(y(degrees))
        drawn.append(
            f'<line class="g" x1="{left}" x2="{width - right}" y1="{line}" y2="{line}"/>'
            f'<text x="{width - right + 10}" y="{_n(y(degrees) + 4)}">{degrees}°</text>'
        )
    points = [(x(index), y(value)) for index, value in enumerate(values)]
    floor = height - bottom
    drawn.append(f'<polygon class="band" points="{left},{floor} {_pairs(points)} {width - right},{floor}"/>')
    drawn.append(f'<polyline class="l1" points="{_pairs(points)}"/>')
    for index, text in events.items():
        anchor = "start" if index == 0 else "end" if index == len(values) - 1 else "middle"
        drawn.append(
            f'<circle class="pt" cx="{_n(x(index))}" cy="{_n(y(values[index]))}" r="3"/>'
            f'<text x="{_n(x(index))}" y="{height - 5}" text-anchor="{anchor}">{escape(text)}</text>'
        )
    drawn.append(f'<circle class="last" cx="{width - right}" cy="{_n(y(values[-1]))}" r="5"/>')
    return _figure("".join(drawn), width=width, height=height, key=key, title=title, desc=desc, narrow=narrow)


def column_chart(columns: Sequence[Column], *, key: str, title: str, desc: str, narrow: bool = False) -> Markup:
    """Upright bars from zero, up or down, each with its formatted number. Narrow: the last six."""
    shown = columns[-6:] if narrow else columns
    if not shown:
        return Markup()
    width, height = (_NARROW, 200) if narrow else (_WIDE, 220)
    top, bottom, side = 22, 26, 4
    high, low = max(0.0, *(column.value for column in shown)), min(0.0, *(column.value for column in shown))
    span = (high - low) or 1
    room = height - top - bottom - (16 if low < 0 else 0)
    step = (width - 2 * side) / len(shown)

    def y(value: float) -> float:
        return top + (high - value) / span * room

    drawn = []
    for index, column in enumerate(shown):
        middle = side + step * (index + 0.5)
        upper, lower = y(max(column.value, 0)), y(min(column.value, 0))
        label_y = lower + 14 if column.value < 0 else upper - 6
        tone = f" {escape(column.tone)}" if column.tone else ""
        drawn.append(
            f'<rect class="bar{tone}" x="{_n(middle - step * 0.32)}" y="{_n(upper)}" width="{_n(step * 0.64)}" '
            f'height="{_n(max(lower - upper, 0))}" rx="2"/>'
            f'<text class="v" x="{_n(middle)}" y="{_n(label_y)}" text-anchor="middle">{escape(column.shown)}</text>'
            f'<text x="{_n(middle)}" y="{height - 6}" text-anchor="middle">{escape(column.label)}</text>'
        )
    zero = _n(y(0))
    drawn.append(f'<line class="g zero" x1="{side}" x2="{width - side}" y1="{zero}" y2="{zero}"/>')
    return _figure("".join(drawn), width=width, height=height, key=key, title=title, desc=desc, narrow=narrow)


def stage_bar(entered: float, left: float, *, cohort: float) -> Markup:
    """One row of the loss table: who stayed, then who left, on the scale of the whole cohort."""
    scale = 120 / cohort if cohort > 0 else 0
    gone = ""
    if left > 0:
        gone = (
            f'<rect class="out" x="{_n((entered - left) * scale + 0.6)}" width="{_n(max(left * scale - 0.6, 0.4))}" '
            'height="16" rx="1"/>'
        )
    return _drawing(
        '<svg class="fbar" viewBox="0 0 120 16" preserveAspectRatio="none" aria-hidden="true">'
        '<rect class="bg" width="120" height="16" rx="2"/>'
        f'<rect class="in" width="{_n((entered - left) * scale)}" height="16" rx="2"/>{gone}</svg>'
    )


def days_bar(days: float, *, limit: float, scale: float = 36) -> Markup:
    """Days spent against a limit, both on one scale of days shared by the rows of a table."""
    return _drawing(
        f'<svg class="fbar" viewBox="0 0 {_n(scale)} 16" preserveAspectRatio="none" aria-hidden="true">'
        f'<rect class="bg" width="{_n(scale)}" height="16" rx="1"/>'
        f'<rect class="day" width="{_n(_within(days, 0, scale))}" height="16" rx="1"/>'
        f'<rect class="lim" x="{_n(_within(limit, 0, scale))}" width="{_n(scale / 72)}" height="16"/></svg>'
    )


def bar(value: float, *, of: float) -> Markup:
    """A plain bar from zero for a table row; `of` is the value that fills it."""
    filled = _within(value / of * 100, 0, 100) if of > 0 else 0.0
    return _drawing(
        '<svg class="fbar" viewBox="0 0 100 16" preserveAspectRatio="none" aria-hidden="true">'
        '<rect class="bg" width="100" height="16" rx="1"/>'
        f'<rect class="in" width="{_n(filled)}" height="16" rx="1"/></svg>'
    )


def whisker(
    value: float, *, low: float, high: float, average: float | None = None, scale: tuple[float, float] = (-100, 100)
) -> Markup:
    """A score with its interval, and the average of all as a dashed line.

    Every row of a table must get the same `scale`, or the rows cannot be compared.
    """
    start, end = scale
    width = 150

    def x(score: float) -> str:
        return _n(5 + (_within(score, start, end) - start) / (end - start) * (width - 10))

    reference = "" if average is None else f'<line class="avg" x1="{x(average)}" x2="{x(average)}" y1="0" y2="18"/>'
    return _drawing(
        f'<svg class="whisk" viewBox="0 0 {width} 18" aria-hidden="true">{reference}'
        f'<line class="ci" x1="{x(low)}" x2="{x(high)}" y1="9" y2="9"/><circle cx="{x(value)}" cy="9" r="4.5"/></svg>'
    )


def split_bar(shares: Sequence[Share], *, label: str) -> Markup:
    """A whole split into its parts, best first. `label` says all parts in words."""
    drawn, start = [], 0.0
    for share in shares:
        if share.percent > 0:
            drawn.append(
                f'<rect class="{escape(share.kind)}" x="{_n(start)}" width="{_n(max(share.percent - 0.5, 0.3))}" '
                f'height="14"><title>{escape(share.text)}</title></rect>'
            )
        start += share.percent
    return _drawing(
        f'<svg class="split5" viewBox="0 0 100 14" preserveAspectRatio="none" role="img" aria-label="{escape(label)}">'
        f"{''.join(drawn)}</svg>"
    )


_END = ' text-anchor="end"'


def _drawing(svg: str) -> Markup:
    """The finished drawing. Everything that came in as text was escaped on its way here; the tests try hostile words."""
    return Markup(svg)  # noqa: S704


def _figure(drawn: str, *, width: int, height: int, key: str, title: str, desc: str, narrow: bool) -> Markup:
    kind = "n" if narrow else "w"
    name = escape(f"{key}-{kind}")
    return _drawing(
        f'<svg class="chart {kind}" viewBox="0 0 {width} {height}" role="img" aria-labelledby="{name}-t {name}-d">'
        f'<title id="{name}-t">{escape(title)}</title><desc id="{name}-d">{escape(desc)}</desc>{drawn}</svg>'
    )


def _path(points: Sequence[tuple[float, float]]) -> str:
    return f"M{_n(points[0][0])} {_n(points[0][1])}{''.join(_curves(points))}"


def _curves(points: Sequence[tuple[float, float]]) -> list[str]:
    """A cardinal spline through the points, one Bézier curve for each stretch."""
    tension = 0.55 / 3
    curves = []
    for index in range(len(points) - 1):
        before, start = points[max(index - 1, 0)], points[index]
        end, after = points[index + 1], points[min(index + 2, len(points) - 1)]
        first = (start[0] + (end[0] - before[0]) * tension, start[1] + (end[1] - before[1]) * tension)
        second = (end[0] - (after[0] - start[0]) * tension, end[1] - (after[1] - start[1]) * tension)
        curves.append("C" + " ".join(_n(number) for number in (*first, *second, *end)))
    return curves


def _between(values: Sequence[int], at: float) -> float:
    low = min(int(at), len(values) - 2)
    return values[low] + (values[low + 1] - values[low]) * (at - low)


def _nearest_five(value: float) -> int:
    return round(value / 5) * 5


def _within(value: float, low: float, high: float) -> float:
    return min(max(value, low), high)


def _pairs(points: Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{_n(x)},{_n(y)}" for x, y in points)


def _signed(value: float, *, plus: bool = True) -> str:
    whole = round(value)
    if whole < 0:
        return f"\N{MINUS SIGN}{-whole}"
    return f"+{whole}" if plus and whole > 0 else str(whole)


def _n(value: float) -> str:
    """A coordinate: at most one decimal, no trailing zero."""
    return f"{value:.1f}".rstrip("0").rstrip(".") if value % 1 else f"{value:.0f}"
