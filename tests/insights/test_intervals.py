"""The intervals beside an implementation of their own: exact fractions, from the definitions, in another way than ours.

Ours takes closed formulas. Here the Net Promoter Score's interval comes from a list of single answers (mean and variance of
what each is worth, after the added ones), and Wilson's as the two roots of the equation that defines it, found by halving.
"""

from fractions import Fraction
from math import isclose, sqrt
from statistics import NormalDist

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.insights.rules import Nps, Share

Z = NormalDist().inv_cdf(0.975)
COUNTS = st.integers(0, 3000)
A_NPS = st.builds(Nps, COUNTS, COUNTS, COUNTS).filter(lambda nps: nps.n > 0)
A_SHARE = st.integers(1, 5000).flatmap(lambda n: st.builds(Share, st.integers(0, n), st.just(n)))


def mean_and_variance(nps: Nps) -> tuple[Fraction, Fraction]:
    """Of answers worth 1, 0 and -1, after ¾ of a promoter, 1½ passives and ¾ of a detractor were added."""
    weights = {
        1: nps.promoters + Fraction(3, 4),
        0: nps.passives + Fraction(3, 2),
        -1: nps.detractors + Fraction(3, 4),
    }
    total = sum(weights.values(), Fraction(0))
    mean = sum((worth * weight for worth, weight in weights.items()), Fraction(0)) / total
    variance = sum((weight * (worth - mean) ** 2 for worth, weight in weights.items()), Fraction(0)) / total
    return mean, variance / total


def wald(nps: Nps) -> tuple[float, float]:
    mean, variance = mean_and_variance(nps)
    half = Z * sqrt(variance)
    return max(-100.0, 100 * (float(mean) - half)), min(100.0, 100 * (float(mean) + half))


def wilson(share: Share) -> tuple[float, float]:
    """All p for which the observed share lies within z standard errors: |k/n - p| <= z·sqrt(p(1-p)/n)."""
    seen = share.k / share.n

    def is_in(p: float) -> bool:
        return abs(seen - p) <= Z * sqrt(p * (1 - p) / share.n) + 1e-15

    def edge(inside: float, outside: float) -> float:
        for _ in range(80):
            middle = (inside + outside) / 2
            inside, outside = (middle, outside) if is_in(middle) else (inside, middle)
        return inside

    return (0.0 if share.k == 0 else edge(seen, 0.0)), (1.0 if share.k == share.n else edge(seen, 1.0))


@given(A_NPS)
def test_the_score_s_interval_is_that_of_the_single_answers(nps: Nps) -> None:
    assert nps.interval == pytest.approx(wald(nps), abs=1e-9)


@given(A_SHARE)
def test_a_share_s_interval_solves_wilson_s_equation(share: Share) -> None:
    assert share.interval == pytest.approx(wilson(share), abs=1e-7)


@given(A_NPS, A_NPS)
def test_two_scores_differ_where_the_interval_of_their_difference_leaves_out_zero(one: Nps, other: Nps) -> None:
    (here, spread), (there, other_spread) = mean_and_variance(one), mean_and_variance(other)
    distance, half = abs(float(here - there)), Z * sqrt(spread + other_spread)
    if not isclose(distance, half, rel_tol=1e-9):
        assert one.differs_from(other) is (distance > half)
        assert other.differs_from(one) is (distance > half)


@given(A_NPS)
def test_a_score_s_interval_stays_on_the_scale_and_contains_what_it_is_centred_on(nps: Nps) -> None:
    assert nps.interval is not None and nps.score is not None
    low, high = nps.interval
    assert -100 <= low <= 100 * float(mean_and_variance(nps)[0]) <= high <= 100
    # The point itself can lie outside only where the added answers pull in a handful of extreme ones.
    assert low <= nps.score <= high or nps.n < 10


@given(st.builds(Nps, st.integers(0, 300), st.integers(0, 300), st.integers(0, 300)).filter(lambda nps: nps.n >= 10))
def test_ten_times_the_answers_say_it_more_closely(nps: Nps) -> None:
    more = Nps(10 * nps.promoters, 10 * nps.passives, 10 * nps.detractors)
    assert nps.interval is not None and more.interval is not None
    # Where everybody says the same, the interval ends at the scale's own end, on both.
    assert more.interval[1] - more.interval[0] < nps.interval[1] - nps.interval[0] + 1e-9


@given(A_SHARE)
def test_a_share_s_interval_contains_it_and_shrinks(share: Share) -> None:
    assert share.interval is not None and share.value is not None
    low, high = share.interval
    assert 0 <= low <= share.value <= high <= 1
    more = Share(10 * share.k, 10 * share.n).interval
    assert more is not None and more[1] - more[0] < high - low


@pytest.mark.parametrize(
    ("share", "low", "high"),
    [
        # Newcombe (1998), "Two-sided confidence intervals for the single proportion", table I, method 3 (Wilson's score).
        (Share(81, 263), 0.2553, 0.3662),
        (Share(15, 148), 0.0624, 0.1605),
        (Share(0, 20), 0.0, 0.1611),
        (Share(1, 29), 0.0061, 0.1718),
    ],
)
def test_published_intervals_of_shares(share: Share, low: float, high: float) -> None:
    assert share.interval == pytest.approx((low, high), abs=5e-5)
