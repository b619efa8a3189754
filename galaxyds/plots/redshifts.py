"""Predicted against true redshift, as the field looks at it: arrays in, a figure out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from galaxyds.errors import UsageError
from galaxyds.plots.figure import figure_class

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

OUTLIER = 0.15
"""|z_phot - z_spec| / (1 + z_spec) from which an object counts as an outlier; drawn as lines."""
_POINTS = 3_000
"""Objects up to which each is a point; more are counted in cells."""
_CELLS = 120
_RUNNING, _FEWEST = 12, 20
"""Bins of the running median, and objects that a bin needs."""


def plot_redshifts(
    z_phot: NDArray[np.floating],
    z_spec: NDArray[np.floating],
    *,
    title: str = "",
    scores: Mapping[str, str] | None = None,
) -> Figure:
    """Draw predicted against true redshift, and the normalised residuals below.

    Parameters
    ----------
    z_phot, z_spec : ndarray of float, shape (n,)
        Predicted and true redshift; rows where one is not finite are left out and counted.
    title : str
        Above the figure.
    scores : mapping of str to str, optional
        Written into the corner, a line each.

    Returns
    -------
    matplotlib.figure.Figure
        Points up to 3,000 objects, counts in cells above; dashed lines at +-0.15 (1 + z), the
        running median of the residuals in orange.

    Raises
    ------
    UsageError
        If the shapes differ or no row is finite.
    MissingExtraError
        If matplotlib is not installed.
    """
    phot, spec, lost = _finite(z_phot, z_spec)
    figure = figure_class()(figsize=(5.2, 6.4), dpi=130, layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    low, high = _limits(phot, spec)
    line = np.array([low, high])
    residual = (phot - spec) / (1 + spec)
    _cloud(above, spec, phot)
    above.plot(line, line, color="black", lw=0.8)
    for sign in (-1, 1):
        above.plot(line, line + sign * OUTLIER * (1 + line), color="black", lw=0.7, ls="--")
        below.axhline(sign * OUTLIER, color="black", lw=0.7, ls="--")
    _cloud(below, spec, residual)
    below.axhline(0, color="black", lw=0.8)
    below.plot(*_running_median(spec, residual), color="tab:orange", lw=1.6)
    above.set(xlim=(low, high), ylim=(low, high), ylabel="predicted redshift")
    span = max(0.2, min(1.0, 1.1 * float(np.quantile(np.abs(residual), 0.99))))
    below.set(ylim=(-span, span), xlabel="spectroscopic redshift", ylabel="Δz / (1 + z)")
    words = [f"{name} {value}" for name, value in (scores or {}).items()]
    words += [f"{lost:,} objects without a value"] if lost else []
    above.text(0.03, 0.97, "\n".join(words), transform=above.transAxes, va="top", fontsize=8)
    figure.suptitle(title, fontsize=9)
    return figure


def _finite(
    z_phot: NDArray[np.floating], z_spec: NDArray[np.floating]
) -> tuple[NDArray[np.float64], NDArray[np.float64], int]:
    phot, spec = np.asarray(z_phot, dtype=np.float64), np.asarray(z_spec, dtype=np.float64)
    if phot.shape != spec.shape or phot.ndim != 1:
        raise UsageError(
            f"predicted and true redshifts have the shapes {phot.shape} and {spec.shape}: give one "
            "value per object in both"
        )
    good = np.isfinite(phot) & np.isfinite(spec)
    if not good.any():
        raise UsageError("no object has both a predicted and a true redshift: nothing to draw")
    return phot[good], spec[good], int((~good).sum())


def _limits(phot: NDArray[np.float64], spec: NDArray[np.float64]) -> tuple[float, float]:
    """One range for both axes: all true redshifts, and all but the wildest predictions."""
    low, high = float(spec.min()), float(spec.max())
    low, high = (
        min(low, float(np.quantile(phot, 0.005))),
        max(high, float(np.quantile(phot, 0.995))),
    )
    margin = 0.03 * max(high - low, 0.1)
    return low - margin, high + margin


def _cloud(axes: Any, x: NDArray[np.float64], y: NDArray[np.float64]) -> None:
    if len(x) <= _POINTS:
        axes.scatter(x, y, s=6, alpha=0.45, lw=0, color="tab:blue")
    else:
        axes.hexbin(x, y, gridsize=_CELLS, bins="log", mincnt=1, cmap="viridis", linewidths=0)


def _running_median(
    x: NDArray[np.float64], y: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Medians of bins with as many objects each; fewer bins where there are few objects."""
    bins = max(1, min(_RUNNING, len(x) // _FEWEST))
    parts = np.array_split(np.argsort(x, kind="stable"), bins)
    medians = [(float(np.median(x[part])), float(np.median(y[part]))) for part in parts]
    return np.array([m[0] for m in medians]), np.array([m[1] for m in medians])
