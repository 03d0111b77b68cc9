"""The temperature, part by part."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.journeys import temperature
from portal.journeys.rules import Outcome
from portal.journeys.temperature import Facts, Said

NOW = datetime(2026, 6, 23, 15, 0, tzinfo=UTC)
NEW = Facts(customer_since=NOW)


def said(outcome: Outcome | None, nps: int | None, csat: int | None, *, days: int = 1) -> Said:
    return Said(NOW - timedelta(days=days), outcome, csat, nps)


def parts(**known: Any) -> dict[str, int]:
    """What counts besides the start."""
    read = temperature.read(replace(NEW, **known), NOW).parts
    return {part.name: part.points for part in read if part.name != "start"}


def test_who_is_new_is_lukewarm() -> None:
    assert temperature.read(NEW, NOW) == (60, (("start", 60, "Every customer starts at 60.", {}),))


HAPPY, SOSO, ANGRY = Outcome.SATISFIED, Outcome.NEUTRAL, Outcome.DISSATISFIED


@pytest.mark.parametrize(("known", "expected"), [
    ({"answers": (said(HAPPY, 10, 5),)}, {"last_answer": 25}),
    ({"answers": (said(HAPPY, 8, 4),)}, {"last_answer": 20}),
    ({"answers": (said(SOSO, 7, 3),)}, {"last_answer": 0}),
    ({"answers": (said(ANGRY, 2, 1),)}, {"last_answer": -25}),
    ({"answers": (said(ANGRY, None, None),)}, {"last_answer": -25}),
    ({"answers": (said(None, None, None),)}, {}),
    ({"answers": (said(HAPPY, 10, 5, days=181),)}, {}),
    ({"answers": (said(HAPPY, 9, None), said(SOSO, 7, None))}, {"last_answer": 25, "trend": 5}),
    ({"answers": (said(HAPPY, 8, 5), said(HAPPY, 9, 4))}, {"last_answer": 20}),
    ({"answers": (said(HAPPY, 7, None), said(HAPPY, 9, None))}, {"last_answer": 20, "trend": -10}),
    ({"answers": (said(HAPPY, None, 5), said(HAPPY, None, 4))}, {"last_answer": 20, "trend": 5}),
    ({"answers": (said(SOSO, None, 3), said(HAPPY, None, 4))}, {"last_answer": 0, "trend": -10}),
    ({"answers": (said(HAPPY, None, 5), said(HAPPY, 9, None))}, {"last_answer": 20}),
    ({"answers": (said(HAPPY, 9, 5), said(ANGRY, 0, 1, days=181))}, {"last_answer": 25}),
    ({"unanswered_surveys": 1}, {"unanswered_surveys": -10}),
    ({"unanswered_surveys": 9}, {"unanswered_surveys": -20}),
    ({"customer_since": NOW - timedelta(days=14)}, {}),
    ({"customer_since": NOW - timedelta(days=15)}, {"sign_in": -10}),
    ({"last_signed_in_at": NOW - timedelta(days=14)}, {"sign_in": 5}),
    ({"last_signed_in_at": NOW - timedelta(days=30)}, {}),
    ({"last_signed_in_at": NOW - timedelta(days=31)}, {"sign_in": -10}),
    ({"tutorials_done": 2}, {"tutorials": 4}),
    ({"tutorials_done": 40}, {"tutorials": 10}),
    ({"late_milestones": 2}, {"late_milestones": -10}),
    ({"late_milestones": 9}, {"late_milestones": -15}),
    ({"open_flags": 1}, {"open_flags": -20}),
    ({"open_flags": 5}, {"open_flags": -40}),
    ({"open_issues": 3, "late_issues": 1}, {"late_issues": -8, "pending_issues": -4}),
])  # fmt: skip
def test_each_part_counts_so_much(known: dict[str, Any], expected: dict[str, int]) -> None:
    assert parts(**known) == expected


def test_who_left_is_cold_and_the_reason_is_said() -> None:
    read = temperature.read(replace(NEW, churned_on=date(2026, 6, 1), open_flags=1), NOW)
    assert (read.score, [part.text for part in read.parts]) == (0, ["The customer left on 2026-06-01."])


def test_parts_read_as_sentences() -> None:
    read = temperature.read(replace(NEW, answers=(said(HAPPY, 9, 5), said(SOSO, 6, 3)), open_flags=2), NOW)
    assert [part.text for part in read.parts] == [
        "Every customer starts at 60.",
        "The last answer: 9 of 10 for recommending, 5 of 5 for satisfaction.",
        "Better than the answer before, by 3.",
        "Open flags: 2.",
    ]


counts = st.integers(min_value=0, max_value=50)
scores = st.none() | st.integers(min_value=0, max_value=10)


@given(
    st.lists(st.tuples(st.none() | st.sampled_from(Outcome), scores, st.none() | st.integers(1, 5), st.integers(0, 300)), max_size=3),
    counts, counts, counts, counts, counts, st.none() | st.integers(0, 400),
)  # fmt: skip
def test_the_parts_add_up_to_the_score_within_its_bounds(
    answers: list[Any], unanswered: int, tutorials: int, late: int, flags: int, issues: int, signed_in: int | None
) -> None:
    facts = Facts(
        customer_since=NOW - timedelta(days=400),
        answers=tuple(said(outcome, nps, csat, days=days) for outcome, nps, csat, days in answers),
        unanswered_surveys=unanswered,
        last_signed_in_at=NOW - timedelta(days=signed_in) if signed_in is not None else None,
        tutorials_done=tutorials,
        late_milestones=late,
        open_flags=flags,
        open_issues=issues,
        late_issues=issues // 2,
    )
    read = temperature.read(facts, NOW)
    assert read.score == max(0, min(100, sum(part.points for part in read.parts)))
    assert all(part.text and "%(" not in part.text for part in read.parts)
