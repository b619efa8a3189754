"""How far PIT values are from uniform, and how often intervals cover."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from galaxyds.errors import UsageError
from galaxyds.metrics.pdf import PIT_EDGES
from galaxyds.metrics.values import Floats, Values, vector

_CLIP = 1e-12
"""PIT values are kept this far from 0 and 1 in Anderson and Darling's logarithms."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PitStatistics:
    """Distances of n PIT values from uniform; all 0 is best.

    Attributes
    ----------
    ks : float
        Kolmogorov-Smirnov: largest distance of the two cumulative distributions, in [0, 1].
    cvm : float
        Cramer-von Mises W^2: n times the mean squared distance; 1/6 expected if uniform.
    ad : float
        Anderson-Darling A^2: as W^2 with the ends weighted up; 1 expected if uniform.  Values
        nearer than 1e-12 to 0 or 1 are taken there, so that truths outside a grid leave it finite.
    outliers : float
        Fraction below 0.0001 or above 0.9999; 0.0002 if uniform.
    count : int
        n.  W^2 and A^2 of a given miscalibration grow with n: compare them at one n only.
    """

    ks: float
    cvm: float
    ad: float
    outliers: float
    count: int


def pit_statistics(pit: Values) -> PitStatistics:
    """Compare PIT values with the uniform distribution.

    Parameters
    ----------
    pit : array-like or torch.Tensor, shape (n,)
        In [0, 1].

    Returns
    -------
    PitStatistics
        Statistics, not p-values: with 10^4 objects every real model is refuted.

    Raises
    ------
    UsageError
        If values are not finite or outside [0, 1].
    """
    u = np.sort(_unit(pit))
    n = u.size
    rank = np.arange(1, n + 1)
    return PitStatistics(
        ks=float(max((rank / n - u).max(), (u - (rank - 1) / n).max())),
        cvm=float(((u - (2 * rank - 1) / (2 * n)) ** 2).sum() + 1 / (12 * n)),
        ad=_anderson_darling(np.clip(u, _CLIP, 1 - _CLIP), rank),
        outliers=pit_outliers(u),
        count=n,
    )


def _anderson_darling(u: Floats, rank: np.ndarray[tuple[int], np.dtype[np.int64]]) -> float:
    logs = np.log(u) + np.log1p(-u[::-1])
    return float(-u.size - ((2 * rank - 1) * logs).mean())


def pit_outliers(pit: Values) -> float:
    """Fraction of PIT values below 0.0001 or above 0.9999 (Schmidt et al. 2020).

    Raises
    ------
    UsageError
        If values are not finite or outside [0, 1].
    """
    u = _unit(pit)
    return float(((u < PIT_EDGES[0]) | (u > PIT_EDGES[1])).mean())


def coverage(pit: Values, level: float) -> float:
    """Fraction of truths in the central interval of a probability.

    Parameters
    ----------
    pit : array-like or torch.Tensor, shape (n,)
        In [0, 1]: a truth is in the interval where abs(PIT - 0.5) <= level / 2.
    level : float
        In (0, 1): 0.6827 for one sigma.

    Returns
    -------
    float
        ``level``, if calibrated; lower, if PDFs are too narrow.

    Raises
    ------
    UsageError
        If the level is not between 0 and 1, or PIT values are not.
    """
    if not 0 < level < 1:
        raise UsageError(f"level {level} is not between 0 and 1: pass 0.6827 for one sigma")
    return float((np.abs(_unit(pit) - 0.5) <= level / 2).mean())


def _unit(pit: Values) -> Floats:
    u = vector(pit, "pit")
    wrong = int(((u < 0) | (u > 1)).sum())
    if wrong:
        raise UsageError(
            f"pit: {wrong} of {u.size} values are outside [0, 1]: pass cumulative probabilities "
            "at the true redshifts",
            count=wrong,
        )
    return u
