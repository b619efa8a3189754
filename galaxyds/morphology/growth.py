"""The circular growth curve of a source, and its half-light radius."""

from __future__ import annotations

import numpy as np

from galaxyds.morphology.apertures import Ellipse, Floats
from galaxyds.morphology.cleaning import Image, Mask

EXTENT = 6.0
"""The curve ends at so many A."""
BINS = 64
"""Bins of the curve."""
SUBPIXELS = 5
"""Each pixel is split in so many, in both directions."""

_OFFSETS = (np.arange(SUBPIXELS) - (SUBPIXELS - 1) / 2) / SUBPIXELS
_HALF_DIAGONAL = 0.75  # no part of a pixel is farther than this from its middle


def half_light_radius(image: Image, ellipse: Ellipse, *, flux: float) -> tuple[float, bool]:
    """``FLUX_RADIUS`` at one half: where the growth curve reaches half of a flux.

    Parameters
    ----------
    image : numpy.ndarray
        float32 (rows, columns), neighbours replaced.
    ellipse : Ellipse
        The source; the curve has 64 bins out to 6 A.
    flux : float
        ``FLUX_AUTO``.

    Returns
    -------
    radius : float
        In pixels, at most 6 A.
    cut : bool
        Whether the image ends within the curve's largest circle.
    """
    limit, target = EXTENT * ellipse.a, 0.5 * flux
    step = limit / BINS
    rows, columns, cut = ellipse.square(limit + 1.5, image.shape)
    part, corner = image[rows, columns], (columns.start - ellipse.x, rows.start - ellipse.y)
    dx2 = (np.arange(part.shape[1]) + corner[0]) ** 2
    dy2 = (np.arange(part.shape[0]) + corner[1]) ** 2
    rough = np.sqrt(dx2 + dy2[:, None])
    # Subpixels are needed only out to a little beyond where whole pixels reach the target.
    reach = (_first(_curve(rough.ravel(), part.ravel(), step), target) + 3) * step
    near = rough < reach + _HALF_DIAGONAL
    radius = step * _crossing(_curve(*_split(part, near, corner), step), target)
    if radius > reach - step:
        everything = np.ones_like(near)
        radius = step * _crossing(_curve(*_split(part, everything, corner), step), target)
    return min(radius, limit), cut


def _split(part: Image, chosen: Mask, corner: tuple[float, float]) -> tuple[Floats, Floats]:
    """Radii and fluxes of the subpixels of the chosen pixels, float64 (25 pixels,) each."""
    y, x = np.divmod(np.flatnonzero(chosen), chosen.shape[1])
    dx2 = ((x + corner[0])[:, None] + _OFFSETS) ** 2
    dy2 = ((y + corner[1])[:, None] + _OFFSETS) ** 2
    radii = np.sqrt(dx2[:, :, None] + dy2[:, None, :]).ravel()
    values = np.repeat(part[chosen].astype(np.float64) / SUBPIXELS**2, SUBPIXELS**2)
    return radii, values


def _curve(radii: Floats, values: Floats | Image, step: float) -> Floats:
    """Flux within (i + 1) steps, float64 (BINS,)."""
    bins = (radii * (1 / step)).astype(np.int64)
    growth: Floats = np.cumsum(np.bincount(bins, values, BINS)[:BINS])
    return growth


def _first(curve: Floats, target: float) -> int:
    """First bin whose flux is not below the target; the last one if there is none."""
    reached = np.flatnonzero(curve[:-1] >= target)
    return int(reached[0]) if len(reached) else BINS - 1


def _crossing(curve: Floats, target: float) -> float:
    """Where the curve reaches the target, in bins."""
    i = _first(curve, target)
    if i == 0:
        return target / float(curve[0]) if curve[0] else 0.0
    # A curve that never gets there is prolonged along its last but one bin.
    top = min(i, BINS - 2)
    rise = float(curve[top] - curve[top - 1])
    return i + (target - float(curve[top - 1])) / rise if rise else float(i)
