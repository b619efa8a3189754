"""Order statistics of sorted numbers, of which each may count several times.

A bootstrap resample of sorted numbers is the same numbers with counts.  With the sum of the counts
beside them, medians, quantiles and fractions beyond a limit cost O(log n) in each of thousands of
resamples, and are exact.
"""

from __future__ import annotations

from functools import cached_property
from typing import Literal

import numpy as np

from galaxyds.metrics.values import Floats


class Ordered:
    """Ascending numbers, each as often as its count says.

    Parameters
    ----------
    values : ndarray of float64, shape (n,)
        Ascending.
    counts : ndarray of float64, shape (n,), optional
        Whole numbers; one each by default.
    """

    def __init__(self, values: Floats, counts: Floats | None = None) -> None:
        self.values = values
        self.counts = counts
        self._ranks = None if counts is None else np.cumsum(counts)
        self.size = values.size if self._ranks is None else int(self._ranks[-1])

    def at(self, rank: int) -> float:
        """The number at a place counted from 0."""
        if self._ranks is None:
            return float(self.values[rank])
        return float(self.values[self._ranks.searchsorted(rank, side="right")])

    def up_to(self, value: float, side: Literal["left", "right"]) -> int:
        """How many numbers are below a value (``left``), or not above it (``right``)."""
        place = int(self.values.searchsorted(value, side=side))
        if self._ranks is None or not place:
            return place
        return int(self._ranks[place - 1])

    def near(self, centre: float, reach: float) -> tuple[Floats, Floats | float]:
        """Offsets from a centre that are less than ``reach``, and how often each counts."""
        low = int(self.values.searchsorted(centre - reach, side="right"))
        high = int(self.values.searchsorted(centre + reach, side="left"))
        counts = 1.0 if self.counts is None else self.counts[low:high]
        return self.values[low:high] - centre, counts

    @cached_property
    def expanded(self) -> Floats:
        """Every number as often as it counts, ascending, (size,)."""
        if self.counts is None:
            return self.values
        return np.repeat(self.values, self.counts.astype(np.intp))

    def std(self) -> float:
        """Root of the mean squared offset from the mean."""
        if self.counts is None:
            return float(np.std(self.values))
        mean = self.counts @ self.values / self.size
        return float(np.sqrt(self.counts @ (self.values - mean) ** 2 / self.size))


def quantile(ordered: Ordered, q: float) -> float:
    """Quantile by linear interpolation between neighbours, numpy's default.

    Parameters
    ----------
    ordered : Ordered
        The numbers.
    q : float
        In [0, 1].

    Returns
    -------
    float
        In their unit.
    """
    place = q * (ordered.size - 1)
    low = int(place)
    first = ordered.at(low)
    return first + (ordered.at(min(low + 1, ordered.size - 1)) - first) * (place - low)


def median(ordered: Ordered) -> float:
    """Middle number; of an even count the mean of the two middle ones."""
    half = ordered.size // 2
    if ordered.size % 2:
        return ordered.at(half)
    return (ordered.at(half - 1) + ordered.at(half)) / 2


def median_distance(ordered: Ordered, centre: float) -> float:
    """Median of abs(x - centre), the MAD where the centre is the median."""
    half = ordered.size // 2
    upper = _distance(ordered, centre, half + 1)
    return upper if ordered.size % 2 else (_distance(ordered, centre, half) + upper) / 2


def _distance(ordered: Ordered, centre: float, rank: int) -> float:
    """The rank-th smallest distance: the ``rank`` nearest numbers stand side by side."""
    low, high = 0, ordered.size - rank
    while low < high:
        middle = (low + high) // 2
        if centre - ordered.at(middle) > ordered.at(middle + rank) - centre:
            low = middle + 1
        else:
            high = middle
    return max(centre - ordered.at(low), ordered.at(low + rank - 1) - centre)


def beyond(ordered: Ordered, limit: float, *, centre: float = 0.0, closed: bool) -> float:
    """Fraction with abs(x - centre) above ``limit``.

    Parameters
    ----------
    ordered : Ordered
        The numbers.
    limit : float
        Not negative.
    centre : float
        From where the distance is measured.
    closed : bool
        Whether the limit itself counts: >= rather than >.

    Returns
    -------
    float
        In [0, 1].
    """
    low = ordered.up_to(centre - limit, "right" if closed else "left")
    high = ordered.up_to(centre + limit, "left" if closed else "right")
    # At a closed limit of 0 every number is on both sides.
    return min(low + ordered.size - high, ordered.size) / ordered.size


def biweight_location(ordered: Ordered, centre: float, mad: float) -> float:
    """Tukey's biweight location with c = 6 (Beers, Flynn & Gebhardt 1990).

    Parameters
    ----------
    ordered : Ordered
        The numbers.
    centre, mad : float
        Its median, and the median distance from it; where that is 0 the median is returned.

    Returns
    -------
    float
        In their unit.
    """
    if mad == 0:
        return centre
    away, counts = ordered.near(centre, 6 * mad)
    weight = counts * (1 - (away / (6 * mad)) ** 2) ** 2
    return centre + float(away @ weight / weight.sum())


def biweight_midvariance(ordered: Ordered, centre: float, mad: float) -> float:
    """Biweight midvariance with c = 9 (Beers, Flynn & Gebhardt 1990); 0 where the MAD is.

    Parameters
    ----------
    ordered : Ordered
        The numbers.
    centre, mad : float
        Its median, and the median distance from it.

    Returns
    -------
    float
        In their unit, squared.
    """
    if mad == 0:
        return 0.0
    away, counts = ordered.near(centre, 9 * mad)
    u2 = (away / (9 * mad)) ** 2
    weight = counts * (1 - u2)
    above = (weight * (1 - u2)) @ (away * (1 - u2)) ** 2
    below = weight @ (1 - 5 * u2)
    return float(ordered.size * above / below**2)


def hodges_lehmann(ordered: Floats) -> float:
    """Median of the means of all pairs i <= j, to 1e-12 of their range.

    Parameters
    ----------
    ordered : ndarray of float64, shape (n,)
        Ascending.

    Returns
    -------
    float
        In the unit of the array.  By bisection, O(n log n) a step, rather than over n^2 pairs.
    """
    pairs = ordered.size * (ordered.size + 1) // 2
    low_rank, high_rank = (pairs + 1) // 2, pairs // 2 + 1
    first = _pair_mean(ordered, low_rank)
    return first if low_rank == high_rank else (first + _pair_mean(ordered, high_rank)) / 2


def _pair_mean(ordered: Floats, rank: int) -> float:
    low, high = float(ordered[0]), float(ordered[-1])
    tolerance = 1e-12 * (high - low)
    while high - low > tolerance:
        middle = (low + high) / 2
        if middle in (low, high):
            break
        if _pairs_up_to(ordered, middle) >= rank:
            high = middle
        else:
            low = middle
    return high


def _pairs_up_to(ordered: Floats, mean: float) -> int:
    """Number of pairs i <= j whose mean is at most ``mean``."""
    partners = np.searchsorted(ordered, 2 * mean - ordered, side="right")
    alone = int((ordered <= mean).sum())
    return (int(partners.sum()) + alone) // 2
