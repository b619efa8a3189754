"""Stars: the main-sequence locus in SDSS colours, and counts by magnitude.

The locus holds the median colours of spectroscopic stars of SDSS DR17 brighter than r = 20 in bins
of g-i, less the mean reddening of that sample; it agrees with Covey et al. 2007 (AJ 134, 2398).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from galaxyds.sky.hashing import Floats, Keys, normal, uniform
from galaxyds.sky.surveys import SDSS, Survey

# g-i: u-g, g-r, r-i, i-z
_LOCUS = np.array(
    [
        (-0.5, 0.26, -0.28, -0.23, -0.22),
        (-0.1, 1.10, -0.03, -0.07, -0.06),
        (0.1, 1.06, 0.09, 0.00, -0.03),
        (0.3, 0.92, 0.24, 0.08, 0.01),
        (0.5, 0.97, 0.34, 0.13, 0.04),
        (0.7, 1.29, 0.50, 0.19, 0.08),
        (0.9, 1.52, 0.63, 0.25, 0.12),
        (1.1, 1.82, 0.77, 0.30, 0.16),
        (1.3, 2.18, 0.91, 0.36, 0.19),
        (1.5, 2.40, 1.07, 0.42, 0.23),
        (1.7, 2.57, 1.19, 0.49, 0.28),
        (1.9, 2.61, 1.31, 0.59, 0.34),
        (2.1, 2.60, 1.39, 0.70, 0.40),
        (2.3, 2.59, 1.45, 0.84, 0.47),
        (2.5, 2.56, 1.46, 1.03, 0.56),
        (2.7, 2.51, 1.47, 1.22, 0.66),
        (2.9, 2.49, 1.50, 1.38, 0.75),
        (3.1, 2.44, 1.53, 1.55, 0.84),
        (3.5, 2.40, 1.62, 1.86, 1.00),
    ]
)

# r magnitude, and stars per square degree and magnitude towards b = -50
_COUNTS = np.array(
    [
        (13.0, 60.0),
        (14.0, 110.0),
        (15.0, 190.0),
        (16.0, 300.0),
        (17.0, 450.0),
        (18.0, 620.0),
        (19.0, 800.0),
        (20.0, 1050.0),
        (21.0, 1450.0),
        (22.0, 1850.0),
        (23.0, 2250.0),
        (24.0, 2700.0),
        (26.5, 3600.0),
    ]
)


# Logarithm of wavelength (angstrom) to which the colours of SDSS are continued in a line; scale on
# which the slope dies out beyond; magnitudes per square of the logarithm.
_INFRARED, _FADING, _TAIL = float(np.log(10500.0)), 0.25, 1.1


@dataclass(frozen=True, kw_only=True, slots=True)
class Stars:
    """Drawn stars: r magnitude free of dust, and g-i; both (n,)."""

    magnitude: Floats
    color: Floats


def density(bright: float, faint: float) -> float:
    """Stars per square degree between two r magnitudes."""
    grid = np.linspace(bright, faint, 64)
    counts = np.interp(grid, _COUNTS[:, 0], _COUNTS[:, 1])
    return float(np.sum((counts[1:] + counts[:-1]) / 2) * (grid[1] - grid[0]))


def draw(key: Keys, bright: float, faint: float) -> Stars:
    """Draw stars of a magnitude range.

    Parameters
    ----------
    key : ndarray of uint64, (n,)
    bright, faint : float
        Range of the r magnitude.

    Returns
    -------
    Stars
        Turn-off stars (g-i about 0.6) and M dwarfs (about 2.3, more of them when fainter), with a
        bridge of K dwarfs and a few white dwarfs.
    """
    grid = np.linspace(bright, faint, 64)
    counts = np.interp(grid, _COUNTS[:, 0], _COUNTS[:, 1])
    cumulative = np.concatenate([[0.0], np.cumsum((counts[1:] + counts[:-1]) / 2)])
    magnitude = np.interp(uniform(key, "magnitude") * cumulative[-1], cumulative, grid)
    kind = uniform(key, "kind")
    red = np.clip(0.10 + 0.075 * (magnitude - 15.0), 0.10, 0.55)
    spread = normal(key, "color")
    color = np.where(
        kind < red,
        2.3 + 0.42 * spread,
        np.where(kind < 0.80, 0.58 + 0.20 * spread, 0.4 + 1.9 * uniform(key, "bridge")),
    )
    color = np.where(kind > 0.985, -0.45 + 0.15 * spread, color)
    return Stars(magnitude=magnitude, color=np.clip(color, -0.6, 3.5))


def magnitudes(stars: Stars, survey: Survey, key: Keys) -> Floats:
    """AB magnitudes in a survey's bands, free of dust.

    Parameters
    ----------
    stars : Stars
    survey : Survey
    key : ndarray of uint64, (n,)
        For the scatter around the locus, 0.03 mag per colour and 0.08 in u - g (metallicity).

    Returns
    -------
    ndarray of float64, (n, bands)
        Other bands than those of SDSS by linear interpolation in the logarithm of wavelength, the
        near infrared as :func:`_infrared`.
    """
    colors = [np.interp(stars.color, _LOCUS[:, 0], _LOCUS[:, k]) for k in range(1, 5)]
    for k, (name, size) in enumerate((("ug", 0.08), ("gr", 0.03), ("ri", 0.03), ("iz", 0.02))):
        colors[k] = colors[k] + size * normal(key, name)
    r = stars.magnitude
    g, i = r + colors[1], r - colors[2]
    points = np.stack([g + colors[0], g, r, i, i - colors[3]], axis=1)
    # The locus was measured in the survey's calibration.
    points = points - np.array([band.ab_offset for band in SDSS.bands])
    known = np.log([band.curve.pivot() for band in SDSS.bands])
    return np.stack(
        [_at(np.log(band.curve.pivot()), known, points) for band in survey.bands], axis=1
    )


def _infrared(target: float, known: Floats, points: Floats) -> Floats:
    """Continue to a logarithm of wavelength: the last slope dies out, and the tail of heat begins.

    It gives the Sun's z - Ks of -0.6 (Willmer 2018, ApJS 236, 47) within 0.2, and about 0.4 for M
    dwarfs.
    """
    start = _at(_INFRARED, known, points)
    slope = (points[:, -1] - points[:, -2]) / (known[-1] - known[-2])
    way = target - _INFRARED
    far: Floats = start + slope * _FADING * (1 - np.exp(-way / _FADING)) + _TAIL * way**2
    return far


def _at(target: float, known: Floats, points: Floats) -> Floats:
    if target > _INFRARED:
        return _infrared(target, known, points)
    k = int(np.clip(np.searchsorted(known, target) - 1, 0, known.size - 2))
    if target in known:
        exact: Floats = points[:, int(np.flatnonzero(known == target)[0])]
        return exact
    share = (target - known[k]) / (known[k + 1] - known[k])
    between: Floats = points[:, k] * (1 - share) + points[:, k + 1] * share
    return between
