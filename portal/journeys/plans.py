"""The plan as its reader sees it: the path of stages, the one next step, what happens next. Pure functions."""

from collections.abc import Sequence
from datetime import date, timedelta
from enum import StrEnum
from typing import NamedTuple

from portal.clock import next_business_day
from portal.journeys.rules import Whose


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


class MilestoneLine(NamedTuple):
    id: int
    key: str
    title: str
    help: str
    whose: Whose
    due_on: date | None
    done_on: date | None

    @property
    def is_done(self) -> bool:
        return self.done_on is not None

    @property
    def can_tick(self) -> bool:
        """Customers tick what is theirs or shared; ours is ours to tick."""
        return self.whose is not Whose.US


class TouchpointLine(NamedTuple):
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


def next_step(milestones: Sequence[MilestoneLine]) -> MilestoneLine | None:
    """The one thing to do next: the earliest undone milestone that the customer can tick; undated ones come first, since
    they belong to the days before use starts."""
    open_ones = [m for m in milestones if not m.is_done and m.can_tick]
    return min(open_ones, key=lambda m: (m.due_on is not None, m.due_on or date.min), default=None)


def ahead(touchpoints: Sequence[TouchpointLine], today: date) -> tuple[TouchpointLine, ...]:
    """What happens next, in order: contacts not made yet whose day is today or later, or not fixed yet."""
    coming = [t for t in touchpoints if t.done_on is None and (t.due_on is None or t.due_on >= today)]
    return tuple(sorted(coming, key=lambda t: (t.due_on is None, t.due_on or date.max)))
