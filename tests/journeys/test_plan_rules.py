"""The plan's pure rules: what waits for what, which step is next, and how far a goal is."""

from datetime import date, timedelta
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from portal.journeys.plans import (
    Because,
    Entry,
    MilestoneLine,
    StuckLine,
    circle,
    next_step,
    percent_reached,
    planned_days,
    waiting,
)
from portal.journeys.rules import EntryKind, Whose

TODAY = date(2026, 6, 23)


def line(number: int, **changes: object) -> MilestoneLine:
    plain = MilestoneLine(number, f"k{number}", f"T{number}", "", Whose.YOU, None, None)
    return plain._replace(**changes)  # type: ignore[arg-type]


@st.composite
def plans(draw: st.DrawFn) -> tuple[MilestoneLine, ...]:
    """Plans as they can be: needs point backwards only, so that there is no circle."""
    lines = []
    for number in range(draw(st.integers(0, 8))):
        needs = draw(st.sets(st.integers(0, number - 1))) if number else set()
        lines.append(
            line(
                number,
                whose=draw(st.sampled_from(Whose)),
                due_on=draw(st.none() | st.integers(-20, 20).map(lambda days: TODAY + timedelta(days=days))),
                done_on=draw(st.none() | st.just(TODAY)),
                needs=tuple(f"k{n}" for n in sorted(needs)),
                stuck=draw(st.none() | st.just(StuckLine(1, "help", TODAY))),
            )
        )
    return waiting(lines)


@given(plans())
def test_the_next_step_can_be_done_by_the_customer_right_now(plan: tuple[MilestoneLine, ...]) -> None:
    found = next_step(plan, TODAY)
    can = [m for m in plan if not m.is_done and m.whose is not Whose.US and not m.waits_for and m.stuck is None]
    assert (found is None) == (can == [])
    if found is not None:
        assert found.line in can


@given(plans())
def test_what_is_overdue_comes_first_and_the_oldest_before_the_others(plan: tuple[MilestoneLine, ...]) -> None:
    found = next_step(plan, TODAY)
    late = [
        m.due_on
        for m in plan
        if not m.is_done and m.can_tick and m.stuck is None and m.due_on is not None and m.due_on < TODAY
    ]
    if found is not None:
        assert (found.because is Because.OVERDUE) == (late != [])
        assert not late or found.line.due_on == min(late)


@given(plans(), st.randoms())
def test_the_order_in_which_steps_are_read_changes_nothing(plan: tuple[MilestoneLine, ...], dice: object) -> None:
    shuffled = list(plan)
    dice.shuffle(shuffled)  # type: ignore[attr-defined]
    assert next_step(shuffled, TODAY) == next_step(plan, TODAY)


@given(plans())
def test_as_long_as_something_is_open_something_can_be_done(plan: tuple[MilestoneLine, ...]) -> None:
    still_open = [m for m in plan if not m.is_done]
    assert not still_open or any(not m.is_blocked for m in still_open)


@given(st.dictionaries(st.integers(0, 6).map(str), st.lists(st.integers(0, 6).map(str), max_size=3)))
def test_a_circle_is_one_and_without_one_there_is_an_order(needs: dict[str, list[str]]) -> None:
    found = circle(needs)
    if found:
        assert all(after in needs[before] for before, after in zip(found, (*found[1:], found[0]), strict=True))
        return
    done: set[str] = set()
    while left := [key for key in needs if key not in done]:
        free = [key for key in left if all(other in done or other not in needs for other in needs[key])]
        assert free
        done.update(free)


def test_what_holds_up_others_comes_before_what_does_not_on_the_same_day() -> None:
    plan = waiting([line(1), line(2), line(3, needs=("k2",), due_on=TODAY)])
    found = next_step(plan, TODAY)
    assert found is not None
    assert (found.line.key, found.because, found.holds_up) == ("k2", Because.OTHERS_WAIT, 1)


def test_a_need_that_left_the_plan_holds_nobody_up() -> None:
    (only,) = waiting([line(1, needs=("gone",))])
    assert only.can_tick


def test_days_are_reckoned_from_other_entries() -> None:
    def entry(key: str, day: int | None = None, after: str = "", days: int = 0) -> Entry:
        return Entry(EntryKind.MILESTONE, key, (key, key), day=day, after_key=after, after_days=days)

    days = planned_days(
        [
            entry("a", 7),
            entry("b", after="a", days=3),
            entry("c", after="b", days=4),
            entry("d"),
            entry("e", after="d", days=1),
        ]
    )
    assert [days[EntryKind.MILESTONE, key] for key in "abcde"] == [7, 10, 14, None, None]
    in_a_circle = planned_days([entry("a", after="b"), entry("b", after="a")])
    assert set(in_a_circle.values()) == {None}


def test_how_far_a_goal_is_upwards_and_downwards() -> None:
    def percent(starts: str, target: str, reached: str) -> int:
        return percent_reached(Decimal(starts), Decimal(target), Decimal(reached))

    assert [percent("0", "10", "6"), percent("9", "4", "6.5"), percent("9", "4", "12"), percent("0", "10", "14")] == [
        60, 50, 0, 100,
    ]  # fmt: skip
