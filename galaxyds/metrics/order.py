"""Order statistics of a sorted array, without sorting again.

A bootstrap resample of a sorted array is sorted for free, so that medians, quantiles and fractions
beyond a limit cost O(log n) in each of thousands of resamples.
"""

from __future__ import annotations

import numpy as np

from galaxyds.metrics.values import Floats


def quantile(ordered: Floats, q: float) -> float:
    """Quantile by linear interpolation between neighbours, numpy's default.

    Parameters
    ----------
    ordered : ndarray of float64, shape (n,)
        Ascending.
    q : float
        In [0, 1].

    Returns
    -------
    float
        In the unit of the array.
    """
    place = q * (ordered.size - 1)
    low = int(place)
    high = min(low + 1, ordered.size - 1)
    return float(ordered[low] + (ordered[high] - ordered[low]) * (place - low))


def median(ordered: Floats) -> float:
    """Middle value of an ascending array; of an even number the mean of the two middle ones."""
    half = ordered.size // 2
    if ordered.size % 2:
        return float(ordered[half])
    return float((ordered[half - 1] + ordered[half]) / 2)


def median_distance(ordered: Floats, centre: float) -> float:
    """Median of abs(x - centre), the MAD where the centre is the median."""
    half = ordered.size // 2
    upper = _distance(ordered, centre, half + 1)
    return upper if ordered.size % 2 else (_distance(ordered, centre, half) + upper) / 2


def _distance(ordered: Floats, centre: float, rank: int) -> float:
    """The rank-th smallest distance: the ``rank`` nearest values stand side by side."""
    low, high = 0, ordered.size - rank
    while low < high:
        middle = (low + high) // 2
        if centre - ordered[middle] > ordered[middle + rank] - centre:
            low = middle + 1
        else:
            high = middle
    return float(max(centre - ordered[low], ordered[low + rank - 1] - centre))


def beyond(ordered: Floats, limit: float, *, centre: float = 0.0, closed: bool) -> float:
    """Fraction of an ascending array with abs(x - centre) above ``limit``.

    Parameters
    ----------
    ordered : ndarray of float64, shape (n,)
        Ascending.
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
    below, above = ("right", "left") if closed else ("left", "right")
    low = int(np.searchsorted(ordered, centre - limit, side=below))  # type: ignore[call-overload]
    high = int(np.searchsorted(ordered, centre + limit, side=above))  # type: ignore[call-overload]
    return min(low + ordered.size - high, ordered.size) / ordered.size


def biweight_location(ordered: Floats, centre: float, mad: float) -> float:
    """Tukey's biweight location with c = 6 (Beers, Flynn & Gebhardt 1990, Eq. 5).

    Parameters
    ----------
    ordered : ndarray of float64, shape (n,)
        Ascending.
    centre, mad : float
        Its median, and the median distance from it; where that is 0 the median is returned.

    Returns
    -------
    float
        In the unit of the array.
    """
    if mad == 0:
        return centre
    away, u2 = _near(ordered, centre, 6 * mad)
    weight = (1 - u2) ** 2
    return centre + float((away * weight).sum() / weight.sum())


def biweight_midvariance(ordered: Floats, centre: float, mad: float) -> float:
    """Biweight midvariance with c = 9 (Beers, Flynn & Gebhardt 1990, Eq. 9); 0 where the MAD is.

    Parameters
    ----------
    ordered : ndarray of float64, shape (n,)
        Ascending.
    centre, mad : float
        Its median, and the median distance from it.

    Returns
    -------
    float
        In the squared unit of the array.
    """
    if mad == 0:
        return 0.0
    away, u2 = _near(ordered, centre, 9 * mad)
    above = (away**2 * (1 - u2) ** 4).sum()
    below = ((1 - u2) * (1 - 5 * u2)).sum()
    return float(ordered.size * above / below**2)


def _near(ordered: Floats, centre: float, reach: float) -> tuple[Floats, Floats]:
    """Offsets from the centre within ``reach``, and their squares in its unit."""
    low = np.searchsorted(ordered, centre - reach, side="right")
    high = np.searchsorted(ordered, centre + reach, side="left")
    away = ordered[low:high] - centre
    return away, (away / reach) ** 2


def hodges_lehmann(ordered: Floats) -> float:
    """Median of the means of all pairs i <= j, to 1e-12 of the array's range.

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
