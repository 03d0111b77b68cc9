"""The figures' arithmetic, against figures worked out elsewhere."""

import math
from statistics import NormalDist

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.insights.rules import Change, Nps, Share, Trust, change, change_of_share, percentile

answers = st.integers(0, 500)


def test_nps_is_promoters_minus_detractors_in_points() -> None:
    assert Nps(promoters=5, passives=3, detractors=2).score == 30
    assert Nps(0, 0, 0).score is None


def test_the_nps_interval_is_adjusted_wald() -> None:
    # Worked by hand: n' = 103, promoters (60 + .75) / 103, detractors (15 + .75) / 103.
    low, high = Nps(60, 25, 15).interval or (0, 0)
    high_share, low_share = 60.75 / 103, 15.75 / 103
    centre = high_share - low_share
    half = NormalDist().inv_cdf(0.975) * math.sqrt((high_share + low_share - centre**2) / 103)
    assert (low, high) == pytest.approx((100 * (centre - half), 100 * (centre + half)))


def test_the_csat_interval_is_wilsons() -> None:
    # Newcombe (1998), table I: 81 of 263 gives 0.2553 to 0.3662 by Wilson's score method.
    low, high = Share(81, 263).interval or (0, 0)
    assert (round(low, 4), round(high, 4)) == (0.2553, 0.3662)


@pytest.mark.parametrize(
    ("n", "said"),
    [(0, Trust.COUNTS_ONLY), (9, Trust.COUNTS_ONLY), (10, Trust.FEW), (29, Trust.FEW), (30, Trust.ENOUGH)],
)
def test_few_answers_say_little(n: int, said: Trust) -> None:
    assert Nps(n, 0, 0).trust is said


def test_two_periods_differ_only_if_their_difference_leaves_out_zero() -> None:
    assert Nps(60, 25, 15).differs_from(Nps(58, 27, 15)) is False
    assert Nps(80, 15, 5).differs_from(Nps(30, 30, 40)) is True
    assert Nps(1, 0, 0).differs_from(Nps(0, 0, 0)) is None


@given(answers, answers, answers)
def test_intervals_hold_their_score_within_the_scale(promoters: int, passives: int, detractors: int) -> None:
    nps = Nps(promoters, passives, detractors)
    if nps.interval is not None:
        low, high = nps.interval
        assert -100 <= low <= high <= 100


@given(st.integers(0, 300), st.integers(1, 300))
def test_wilson_holds_the_share(k: int, extra: int) -> None:
    share = Share(k, k + extra)
    low, high = share.interval or (2, -1)
    assert share.value is not None
    assert -1e-12 <= low - 1e-12 <= share.value <= high + 1e-12 <= 1 + 1e-9


def test_percentiles_come_from_the_histogram() -> None:
    assert percentile({1: 5, 3: 4, 40: 1}, 0.5) == 1
    assert percentile({1: 5, 3: 4, 40: 1}, 0.9) == 3
    assert percentile({1: 5, 3: 4, 40: 1}, 0.95) == 40
    assert percentile({}, 0.5) is None


def test_the_difference_of_two_shares_is_newcombes() -> None:
    # Newcombe (1998), "Interval estimation for the difference", method 10: 56/70 and 48/80 differ by 0.0524 to 0.3339,
    # 9/10 and 3/10 by 0.1705 to 0.8090; 10/10 against 4/10 reaches from 0.2 up, and 5/10 against 4/10 spans 0.
    assert Share(56, 70).differs_from(Share(48, 80)) is True
    assert Share(3, 10).differs_from(Share(9, 10)) is True
    assert Share(5, 10).differs_from(Share(4, 10)) is False
    assert Share(0, 0).differs_from(Share(4, 10)) is None


@pytest.mark.parametrize(
    ("now", "before", "said"),
    [
        (Nps(9, 0, 0), Nps(80, 10, 10), Change.TOO_FEW),
        (Nps(80, 10, 10), Nps(0, 0, 0), Change.TOO_FEW),
        (Nps(60, 25, 15), Nps(58, 27, 15), Change.NO_CLEAR_CHANGE),
        (Nps(80, 15, 5), Nps(30, 30, 40), Change.BETTER),
        (Nps(30, 30, 40), Nps(80, 15, 5), Change.WORSE),
    ],
)
def test_a_change_is_only_said_where_it_is_clear(now: Nps, before: Nps, said: Change) -> None:
    assert change(now, before) is said


@pytest.mark.parametrize(
    ("now", "before", "said"),
    [
        (Share(9, 9), Share(50, 100), Change.TOO_FEW),
        (Share(50, 100), Share(52, 100), Change.NO_CLEAR_CHANGE),
        (Share(90, 100), Share(50, 100), Change.BETTER),
        (Share(50, 100), Share(90, 100), Change.WORSE),
    ],
)
def test_a_share_changes_only_clearly_too(now: Share, before: Share, said: Change) -> None:
    assert change_of_share(now, before) is said
