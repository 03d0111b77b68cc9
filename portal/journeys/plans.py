"""The plan as its reader sees it: the path of stages, the one next step, what happens next. Pure functions."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any, NamedTuple, Self

from portal.clock import next_business_day
from portal.journeys.rules import EntryKind, Whose


class StepState(StrEnum):
    DONE = "done"
    NOW = "now"
    LATER = "later"


class StageWords(NamedTuple):
    """A stage in the reader's language."""

    key: str
    name: str
    customer_name: str
    customer_text: str
    contact_day: int | None
    ends: bool


class PathStep(NamedTuple):
    """One stage on the customer's path; `on` is when it was reached, or when it is planned."""

    key: str
    name: str
    text: str
    state: StepState
    on: date | None


class StuckLine(NamedTuple):
    """What a customer wrote who can't get on with a milestone; we know, and it isn't settled yet."""

    id: int
    words: str
    on: date


class MilestoneLine(NamedTuple):
    id: int
    key: str
    title: str
    help: str
    whose: Whose
    due_on: date | None
    done_on: date | None
    stage_key: str = ""
    needs: tuple[str, ...] = ()
    """Keys of the milestones that come first."""
    waits_for: tuple[str, ...] = ()
    """Titles of those that are still open: until they are done, this one can't be."""
    stuck: StuckLine | None = None

    @property
    def is_done(self) -> bool:
        return self.done_on is not None

    @property
    def is_theirs(self) -> bool:
        """Customers do what is theirs or shared; ours is ours to tick."""
        return self.whose is not Whose.US

    @property
    def is_blocked(self) -> bool:
        return not self.is_done and bool(self.waits_for)

    @property
    def can_tick(self) -> bool:
        """Whether the customer may tick it now (or take that back)."""
        return self.is_theirs and not self.is_blocked


class TouchpointLine(NamedTuple):
    id: int
    key: str
    title: str
    objective: str
    channel: str
    due_on: date | None
    done_on: date | None


def path(
    stages: Sequence[StageWords], position: int, reached: dict[str, date], started: date | None, *, won: bool
) -> tuple[PathStep, ...]:
    """The stages as done, now and later, each with the day it was reached or is planned for."""
    steps = []
    for n, stage in enumerate(stages):
        if n < position or (won and n == position):
            state = StepState.DONE
        else:
            state = StepState.NOW if n == position else StepState.LATER
        if n <= position:
            on = reached.get(stage.key)
        elif stage.contact_day is not None and started is not None:
            on = next_business_day(started + timedelta(days=stage.contact_day))
        else:
            on = None
        steps.append(PathStep(stage.key, stage.customer_name, stage.customer_text, state, on))
    return tuple(steps)


def waiting(milestones: Sequence[MilestoneLine]) -> tuple[MilestoneLine, ...]:
    """The milestones with what each still waits for; a need that left the plan holds nobody up."""
    still_open = {m.key: m.title for m in milestones if not m.is_done}
    return tuple(
        m._replace(waits_for=tuple(still_open[key] for key in m.needs if key in still_open)) if m.needs else m
        for m in milestones
    )


class Because(StrEnum):
    """Why something is the next step."""

    OVERDUE = "overdue"
    FIRST = "first"
    """It has no date: it belongs to the days before use starts."""
    OTHERS_WAIT = "others_wait"
    NEXT_DATE = "next_date"


class NextStep(NamedTuple):
    """The one thing to do next; `holds_up` counts the steps that can't be done before it."""

    line: MilestoneLine
    because: Because
    holds_up: int


def next_step(milestones: Sequence[MilestoneLine], today: date) -> NextStep | None:
    """The one next step: open, the customer's or shared, waiting for nothing, and nobody is helping with it already.

    What is overdue comes first, the oldest before the others; then what has no date, since it belongs to the days before
    use starts; then the earliest date. Of several for one day: what holds up most others, then what is the customer's alone.
    """
    candidates = [m for m in milestones if not m.is_done and m.can_tick and m.stuck is None]
    if not candidates:
        return None
    held_up = Counter(key for m in milestones if not m.is_done for key in set(m.needs))

    def rank(m: MilestoneLine) -> tuple[bool, bool, date, int, bool, int]:
        overdue = m.due_on is not None and m.due_on < today
        no_date = m.due_on is None
        return not overdue, not no_date, m.due_on or date.min, -held_up[m.key], m.whose is not Whose.YOU, m.id

    line = min(candidates, key=rank)
    holds_up = held_up[line.key]
    if line.due_on is not None and line.due_on < today:
        because = Because.OVERDUE
    elif holds_up:
        because = Because.OTHERS_WAIT
    else:
        because = Because.FIRST if line.due_on is None else Because.NEXT_DATE
    return NextStep(line, because, holds_up)


def circle(needs: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """Keys that wait for each other, each for the one after it and the last for the first; empty if there is no such circle."""
    settled: set[str] = set()

    def walk(key: str, road: tuple[str, ...]) -> tuple[str, ...]:
        if key in road:
            return road[road.index(key) :]
        if key in settled or key not in needs:
            return ()
        for other in needs[key]:
            if found := walk(other, (*road, key)):
                return found
        settled.add(key)
        return ()

    return next((found for key in needs if (found := walk(key, ()))), ())


def percent_reached(starts: Decimal, target: Decimal, reached: Decimal) -> int:
    """How far from `starts` to `target`, 0 to 100; a target may lie below the start (waste from 9 to 4)."""
    if starts == target:
        return 100
    share = (reached - starts) / (target - starts)
    return int(max(Decimal(0), min(Decimal(1), share)) * 100)


def ahead(touchpoints: Sequence[TouchpointLine], today: date) -> tuple[TouchpointLine, ...]:
    """What happens next, in order: contacts not made yet whose day is today or later, or not fixed yet."""
    coming = [t for t in touchpoints if t.done_on is None and (t.due_on is None or t.due_on >= today)]
    return tuple(sorted(coming, key=lambda t: (t.due_on is None, t.due_on or date.max)))


# What a plan is made from


CHANNELS = ("meeting", "phone", "email", "portal")
"""How a touchpoint takes place."""


@dataclass(frozen=True)
class Entry:
    """A milestone or touchpoint as a template has it: texts in English and Portuguese."""

    kind: EntryKind
    key: str
    title: tuple[str, str]
    text: tuple[str, str] = ("", "")
    """A milestone's help, a touchpoint's objective."""
    stage_key: str = ""
    whose: Whose = Whose.US
    channel: str = ""
    day: int | None = None
    """Day of use it is planned for; None with no `after_key`: before use starts."""
    after_key: str = ""
    after_days: int = 0
    """So many days after the planned day of another entry of the same kind, instead of a day of its own."""
    needs: tuple[str, ...] = ()

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Self:
        pairs = {name: (stored[name][0], stored[name][1]) for name in ("title", "text")}
        closed = {"kind": EntryKind(stored["kind"]), "whose": Whose(stored["whose"]), "needs": tuple(stored["needs"])}
        return cls(**{**stored, **pairs, **closed})


def of_kind(entries: Sequence[Entry], kind: EntryKind) -> list[Entry]:
    return [entry for entry in entries if entry.kind is kind]


def planned_days(entries: Sequence[Entry]) -> dict[tuple[EntryKind, str], int | None]:
    """The day of use of each entry, its own or reckoned from another's. None: before use starts, which is also what comes
    of an entry that hangs on one without a day, or in a circle."""
    known = {(entry.kind, entry.key): entry for entry in entries}

    def day_of(entry: Entry, road: frozenset[str]) -> int | None:
        if not entry.after_key:
            return entry.day
        before = known.get((entry.kind, entry.after_key))
        if before is None or entry.after_key in road:
            return None
        day = day_of(before, road | {entry.key})
        return None if day is None else day + entry.after_days

    return {place: day_of(entry, frozenset((entry.key,))) for place, entry in known.items()}
