"""Metrics in bins of redshift, magnitude or anything else known of each object."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from galaxyds.errors import UsageError
from galaxyds.metrics.bootstrap import Interval, evaluate
from galaxyds.metrics.metric import Metric
from galaxyds.metrics.values import Floats, Values, redshifts, to_numpy


@dataclass(frozen=True, slots=True, kw_only=True)
class BinRow:
    """Scores of the objects of a bin.

    Attributes
    ----------
    low, high : float
        Its edges; the upper one belongs to the next bin, except in the last.
    count : int
        Objects.
    scores : dict of str to Interval
        By metric; empty for a bin without objects.
    """

    low: float
    high: float
    count: int
    scores: dict[str, Interval]


def equal_count_edges(by: Values, bins: int) -> Floats:
    """Edges of bins with as many objects each.

    Parameters
    ----------
    by : array-like or torch.Tensor, shape (n,)
        Finite values count.
    bins : int
        How many; fewer come back where values repeat so often that edges coincide.

    Returns
    -------
    ndarray of float64, shape (bins + 1,)
        From the lowest to the highest value.

    Raises
    ------
    UsageError
        If there are fewer than two different finite values, or no bins.
    """
    values = np.asarray(to_numpy(by, "by"), dtype=np.float64)
    values = values[np.isfinite(values)]
    if bins < 1 or values.size == 0 or values.min() == values.max():
        raise UsageError(
            f"cannot cut {values.size} finite values into {bins} bins: pass at least two different "
            "values and one bin",
            bins=bins,
        )
    return np.unique(np.quantile(values, np.linspace(0, 1, bins + 1)))


def evaluate_bins(
    predicted: Values,
    true: Values,
    *,
    by: Values | None = None,
    edges: Values | int = 10,
    metrics: Sequence[str | Metric] | None = None,
    resamples: int = 1000,
) -> tuple[BinRow, ...]:
    """Score point estimates in bins.

    Parameters
    ----------
    predicted, true : array-like or torch.Tensor, shape (n,)
        Point estimates and spectroscopic redshifts.
    by : array-like or torch.Tensor, shape (n,), optional
        What the bins are of, such as a magnitude; the true redshift by default.  Objects without a
        finite value, or outside the edges, are in no bin.
    edges : array-like or int
        Ascending edges, or a number of bins with as many objects each.
    metrics, resamples
        As of :func:`galaxyds.metrics.evaluate`; 95 % intervals with seed 0.

    Returns
    -------
    tuple of BinRow
        A row per bin, empty ones included.

    Raises
    ------
    UsageError
        If redshifts cannot be scored, ``by`` has another length, or edges do not ascend.

    Notes
    -----
    Bins of the *true* redshift show a bias of the right sign at both ends for any estimate with
    noise (regression to the mean); bins of the predicted one, ``by=predicted``, do not.
    """
    guess, z = redshifts(predicted, true)
    key = z if by is None else np.asarray(to_numpy(by, "by"), dtype=np.float64)
    if key.shape != z.shape:
        raise UsageError(
            f"by has shape {key.shape} and true {z.shape}: pass one value per object",
            by=key.shape,
        )
    grid = equal_count_edges(key, edges) if isinstance(edges, int) else _ascending(edges)
    place = _place(key, grid)
    return tuple(
        _row((grid[k], grid[k + 1]), guess[place == k], z[place == k], metrics, resamples=resamples)
        for k in range(grid.size - 1)
    )


def _row(
    ends: tuple[float, float],
    predicted: Floats,
    true: Floats,
    metrics: Sequence[str | Metric] | None,
    *,
    resamples: int,
) -> BinRow:
    scores = (
        evaluate(predicted, true, metrics=metrics, resamples=resamples) if predicted.size else {}
    )
    return BinRow(low=float(ends[0]), high=float(ends[1]), count=predicted.size, scores=scores)


def _place(key: Floats, grid: Floats) -> Floats:
    """Bin of each object; -1 for those in none."""
    place = np.searchsorted(grid, key, side="right") - 1
    place[key == grid[-1]] = grid.size - 2
    place[~np.isfinite(key) | (key < grid[0]) | (key > grid[-1])] = -1
    return np.asarray(place)


def _ascending(edges: Values) -> Floats:
    grid = np.asarray(to_numpy(edges, "edges"), dtype=np.float64)
    if grid.ndim != 1 or grid.size < 2 or not (np.diff(grid) > 0).all():
        raise UsageError(
            f"edges: shape {grid.shape} is no row of at least two ascending numbers: pass "
            "np.linspace(0, 4, 21), or a number of bins",
            shape=grid.shape,
        )
    return grid
