"""The figures' arithmetic: scores with honest intervals, percentiles from a histogram. Pure functions.

Sources: adjusted Wald for a difference of proportions after Agresti and Min (2005) as Sauro and Lewis use it for the Net
Promoter Score; Wilson (1927) for a proportion. NPS is a registered mark of its owners.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from math import sqrt

Z95 = 1.959963984540054
FEW = 30
COUNTS_ONLY = 10


class Trust(StrEnum):
    """How much a figure may say: under 10 answers only counts, under 30 "few answers"."""

    COUNTS_ONLY = "counts_only"
    FEW = "few"
    ENOUGH = "enough"


def trust(n: int) -> Trust:
    if n < COUNTS_ONLY:
        return Trust.COUNTS_ONLY
    return Trust.FEW if n < FEW else Trust.ENOUGH


@dataclass(frozen=True)
class Nps:
    """Net Promoter Score in points, -100 to 100, with its 95 % interval; None without answers."""

    promoters: int
    passives: int
    detractors: int

    @property
    def n(self) -> int:
        return self.promoters + self.passives + self.detractors

    @property
    def score(self) -> float | None:
        return 100 * (self.promoters - self.detractors) / self.n if self.n else None

    @property
    def interval(self) -> tuple[float, float] | None:
        if not self.n:
            return None
        centre, variance = self._adjusted()
        half = Z95 * sqrt(variance)
        return 100 * max(-1.0, centre - half), 100 * min(1.0, centre + half)

    @property
    def trust(self) -> Trust:
        return trust(self.n)

    def _adjusted(self) -> tuple[float, float]:
        """Centre and variance of the mean after three more answers, three quarters of each extreme."""
        n = self.n + 3
        high, low = (self.promoters + 0.75) / n, (self.detractors + 0.75) / n
        return high - low, (high + low - (high - low) ** 2) / n

    def differs_from(self, other: "Nps") -> bool | None:
        """Whether the interval of the difference leaves out 0; None if either has no answers."""
        if not self.n or not other.n:
            return None
        (here, spread), (there, other_spread) = self._adjusted(), other._adjusted()
        return abs(here - there) > Z95 * sqrt(spread + other_spread)


@dataclass(frozen=True)
class Share:
    """`k` of `n` with Wilson's 95 % interval, as shares 0 to 1: CSAT, response rate."""

    k: int
    n: int

    @property
    def value(self) -> float | None:
        return self.k / self.n if self.n else None

    @property
    def interval(self) -> tuple[float, float] | None:
        if not self.n:
            return None
        p, n, z2 = self.k / self.n, self.n, Z95**2
        centre = (p + z2 / (2 * n)) / (1 + z2 / n)
        half = Z95 / (1 + z2 / n) * sqrt(p * (1 - p) / n + z2 / (4 * n * n))
        # Rounding must not leave out the share itself where nobody, or everybody, is counted.
        return max(0.0, min(centre - half, p)), min(1.0, max(centre + half, p))

    @property
    def trust(self) -> Trust:
        return trust(self.n)

    def differs_from(self, other: "Share") -> bool | None:
        """Whether the interval of the difference leaves out 0 (Newcombe 1998, method 10); None if either counted nobody."""
        if self.interval is None or other.interval is None:
            return None
        (low, high), (other_low, other_high) = self.interval, other.interval
        here, there = self.k / self.n, other.k / other.n
        below = sqrt((here - low) ** 2 + (other_high - there) ** 2)
        above = sqrt((high - here) ** 2 + (there - other_low) ** 2)
        return here - there - below > 0 or here - there + above < 0


def percentile(histogram: Mapping[int, int], share: float) -> int | None:
    """The smallest value at or below which at least `share` of the counted lie; None if nothing was counted."""
    total = sum(histogram.values())
    if not total:
        return None
    seen = 0
    for value in sorted(histogram):
        seen += histogram[value]
        if seen >= share * total:
            return value
    return max(histogram)


class Change(StrEnum):
    """What may be said of a figure beside that of the period before."""

    BETTER = "better"
    WORSE = "worse"
    NO_CLEAR_CHANGE = "no_clear_change"
    TOO_FEW = "too_few"
    """One of the two periods has too few answers for a score."""


def change(now: Nps, before: Nps) -> Change:
    """What happened to the score, if anything can be said."""
    if Trust.COUNTS_ONLY in (now.trust, before.trust) or now.score is None or before.score is None:
        return Change.TOO_FEW
    if not now.differs_from(before):
        return Change.NO_CLEAR_CHANGE
    return Change.BETTER if now.score > before.score else Change.WORSE


def change_of_share(now: Share, before: Share) -> Change:
    """The same for a share."""
    if Trust.COUNTS_ONLY in (now.trust, before.trust):
        return Change.TOO_FEW
    if not now.differs_from(before):
        return Change.NO_CLEAR_CHANGE
    return Change.BETTER if now.k * before.n > before.k * now.n else Change.WORSE
