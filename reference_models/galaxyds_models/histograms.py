"""What the figures of a result are drawn from: counts, so that no predictions are needed."""

from __future__ import annotations

import math

import msgspec
import numpy as np
from numpy.typing import ArrayLike, NDArray

from galaxyds.errors import UsageError

_CELLS = 60
"""Rows and columns of a density: 7 kB of JSON."""
_RESIDUAL_BINS = 80
_PIT_BINS = 20


class Histogram(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Counts between edges.

    Attributes
    ----------
    edges : list of float
        One more than counts, rising.
    counts : list of int
        Objects per bin.
    below, above : int
        Objects outside of the edges.
    """

    edges: list[float]
    counts: list[int]
    below: int = 0
    above: int = 0


class Density(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Counts over true and predicted redshift.

    Attributes
    ----------
    edges : list of float
        Of both axes, rising.
    counts : list of list of int
        ``counts[row][column]``: predicted redshift in ``row``, true redshift in ``column``.
    outside : int
        Objects outside of the edges.
    """

    edges: list[float]
    counts: list[list[int]]
    outside: int = 0


class Histograms(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the figures of a result are drawn from.

    Attributes
    ----------
    density : Density
        Predicted against true redshift.
    residuals : Histogram
        Of (predicted - true) / (1 + true).
    pit : Histogram or None
        Of the probability integral transform, on 0 to 1.
    """

    density: Density
    residuals: Histogram
    pit: Histogram | None = None


def histograms(
    predicted: ArrayLike, true: ArrayLike, pit: ArrayLike | None = None, *, cells: int = _CELLS
) -> Histograms:
    """Count what the figures show; the ranges come from the data.

    The density reaches from the lowest to the highest true redshift, widened to hold 99.8 % of the
    predictions; the residuals reach six times their scatter (1.4826 times the median absolute
    deviation) to both sides of zero.

    Parameters
    ----------
    predicted, true : array_like of float
        Redshifts (objects,); objects with a prediction that is not finite count as outside.
    pit : array_like of float, optional
        Probability integral transform of each object, 0 to 1.
    cells : int
        Rows and columns of the density.

    Returns
    -------
    Histograms
        Lists, ready for JSON.

    Raises
    ------
    UsageError
        If the arrays differ in length or no object has two finite redshifts.
    """
    guess, truth = (np.asarray(values, np.float64).ravel() for values in (predicted, true))
    if guess.shape != truth.shape:
        raise UsageError(
            f"{guess.size} predictions for {truth.size} redshifts: give one for each object"
        )
    seen = np.isfinite(guess) & np.isfinite(truth)
    if not seen.any():
        raise UsageError("no object has a finite prediction and a finite redshift: nothing to plot")
    density = _density(guess[seen], truth[seen], cells)
    missing = int((~seen).sum())
    return Histograms(
        density=msgspec.structs.replace(density, outside=density.outside + missing),
        residuals=_residuals((guess[seen] - truth[seen]) / (1 + truth[seen])),
        pit=None if pit is None else _counted(np.asarray(pit, np.float64), 0.0, 1.0, _PIT_BINS),
    )


def _density(guess: NDArray[np.float64], truth: NDArray[np.float64], cells: int) -> Density:
    low = min(truth.min(), float(np.quantile(guess, 0.001)))
    high = max(truth.max(), float(np.quantile(guess, 0.999)))
    edges = np.linspace(low, high, cells + 1) if high > low else low + np.linspace(-0.5, 0.5, 2)
    counts, _, _ = np.histogram2d(guess, truth, bins=(edges, edges))
    whole = counts.astype(np.int64)
    return Density(
        edges=_rounded(edges), counts=whole.tolist(), outside=int(guess.size - whole.sum())
    )


def _residuals(scaled: NDArray[np.float64]) -> Histogram:
    scatter = 1.4826 * float(np.median(np.abs(scaled - np.median(scaled))))
    reach = 6 * scatter or float(np.abs(scaled).max()) or 1e-3
    return _counted(scaled, -reach, reach, _RESIDUAL_BINS)


def _counted(values: NDArray[np.float64], low: float, high: float, bins: int) -> Histogram:
    finite = values[np.isfinite(values)]
    counts, edges = np.histogram(finite, bins=bins, range=(low, high))
    return Histogram(
        edges=_rounded(edges),
        counts=counts.tolist(),
        below=int((finite < low).sum()),
        above=int((finite > high).sum()),
    )


def _rounded(edges: NDArray[np.float64]) -> list[float]:
    """Six digits of the range are more than a figure shows."""
    digits = 6 - math.floor(math.log10(float(np.ptp(edges))))
    return [round(float(edge), digits) for edge in edges]
