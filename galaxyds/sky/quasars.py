"""Quasars: power law, emission lines, small blue bump, forest, and their scatter.

Lines are those of the composite of Vanden Berk et al. 2001 (AJ 122, 549, table 2): observed rest
wavelength, rest equivalent width and Gaussian width.  The iron blends and the Balmer continuum,
which that table does not resolve, are broad Gaussians of our own, tuned on the colours of real
quasars (benchmarks/sky_vs_sdss.py).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from galaxyds.sky.hashing import Floats, Keys, choose, normal, uniform
from galaxyds.sky.seds import ab_magnitude, forest
from galaxyds.sky.surveys import SDSS, FilterCurve, Survey

DENSITY = 3250.0
"""Quasars per square degree, about 50 times the spectroscopic quasars of nature."""

# wavelength (angstrom), equivalent width (angstrom), sigma (angstrom)
LINES = (
    (1033.03, 9.77, 7.76),
    (1216.25, 92.91, 19.46),
    (1239.85, 1.11, 2.71),
    (1305.42, 1.66, 5.42),
    (1336.60, 0.69, 3.86),
    (1396.76, 8.13, 14.26),
    (1546.15, 23.78, 14.33),
    (1637.84, 0.51, 3.94),
    (1664.74, 0.43, 5.30),
    (1905.97, 21.19, 23.58),
    (2800.26, 32.28, 34.95),
    (3728.66, 1.56, 3.32),
    (3869.77, 1.38, 5.31),
    (4102.73, 5.05, 18.62),
    (4346.42, 12.62, 20.32),
    (4853.13, 46.21, 40.44),
    (4960.36, 3.50, 3.85),
    (5008.22, 13.23, 6.04),
    (6564.93, 194.52, 47.39),
)
# centre (angstrom), strength relative to the continuum, sigma (angstrom)
BLENDS = (
    (1637.0, 0.20, 135.0),
    (2000.0, 0.14, 61.0),
    (2436.0, 0.30, 65.0),
    (2870.0, 0.30, 220.0),
    (3380.0, 0.12, 120.0),
    (3625.0, 0.14, 225.0),
    (4490.0, 0.22, 78.0),
    (5250.0, 0.10, 110.0),
)
BREAK = 4661.0
"""Where the power law of the composite changes, angstrom (Vanden Berk et al. 2001, section 4.1)."""
SLOPE, SLOPE_RED = -0.44, -2.45
"""Mean exponents of f_nu blueward and redward of the break (the same section)."""

_SLOPES = np.linspace(-1.9, 1.0, 9)
_REDSHIFTS = np.linspace(0.0, 7.0, 701)

# Redshift histogram in bins of 0.2 from 0, and i magnitude in bins of 0.5 from 15.5: shaped like
# those of the spectroscopic quasars of SDSS DR17.
_Z_WEIGHTS = (
    *(47, 72, 140, 200, 280, 340, 385, 385, 352, 310, 295, 295, 235, 165, 106, 68, 42, 22, 15),
    *(11, 8, 6, 5, 5, 5, 4, 3, 2, 2, 1, 1),
)
_I_WEIGHTS = (2, 4, 8, 16, 30, 72, 125, 270, 370, 560, 700, 770, 740, 440, 90)


@dataclass(frozen=True, kw_only=True, slots=True)
class Quasars:
    """Drawn quasars: redshift, i magnitude free of dust, and what sets the spectrum; all (n,)."""

    redshift: Floats
    magnitude: Floats
    slope: Floats
    lines: Floats
    absorption: Floats
    reddening: Floats


def continuum(rest: Floats, slope: Floats) -> Floats:
    """Power-law continuum per unit wavelength, 1 at 2500 angstrom.

    Parameters
    ----------
    rest : ndarray of float64
        Rest wavelengths, angstrom.
    slope : ndarray of float64
        Exponent of f_nu blueward of the break; broadcasts against ``rest``.

    Returns
    -------
    ndarray of float64
        f_l goes as l^-(slope + 2); beyond the break the slope is -2.45 + (slope + 0.44) / 2.
    """
    red = SLOPE_RED + 0.5 * (slope - SLOPE)
    blue_part = (rest / 2500.0) ** (-slope - 2.0)
    at_break = (BREAK / 2500.0) ** (-slope - 2.0)
    result: Floats = np.where(rest < BREAK, blue_part, at_break * (rest / BREAK) ** (-red - 2.0))
    # The far-ultraviolet continuum is softer (Telfer et al. 2002); knee and exponent are tuned.
    softer: Floats = result * np.where(rest < 1308.0, (rest / 1308.0) ** 0.44, 1.0)
    return softer


def emission(rest: Floats) -> Floats:
    """Line and blend flux as a fraction of the continuum at rest wavelengths in angstrom."""
    total = np.zeros_like(rest)
    for center, width, sigma in LINES:
        peak = width / (sigma * np.sqrt(2 * np.pi))
        total += peak * np.exp(-0.5 * ((rest - center) / sigma) ** 2)
    for center, peak, sigma in BLENDS:
        total += peak * np.exp(-0.5 * ((rest - center) / sigma) ** 2)
    return total


@dataclass(frozen=True, kw_only=True, slots=True)
class _Table:
    """Per band: continuum magnitude and line-to-continuum flux ratio over (redshift, slope).

    ``absorbed`` (redshift,) is the mean magnitude that the forest takes.
    """

    continuum: Floats
    ratio: Floats
    absorbed: Floats


@lru_cache(maxsize=64)
def _table(curve: FilterCurve) -> _Table:
    wave = curve.grid()
    rest = wave / (1 + _REDSHIFTS[:, None])
    # Sources beyond the range of the lines are absorbed anyway.
    through = forest(wave, _REDSHIFTS)
    lines = emission(rest)
    base = np.empty((_REDSHIFTS.size, _SLOPES.size))
    ratio = np.empty_like(base)
    for k, slope in enumerate(_SLOPES):
        flux = continuum(rest, np.array(slope)) * through
        base[:, k] = ab_magnitude(wave, flux, curve)
        ratio[:, k] = 10 ** (-0.4 * (ab_magnitude(wave, flux * lines, curve) - base[:, k]))
    mean = continuum(rest, np.array(SLOPE)) * (1 + lines)
    clear = ab_magnitude(wave, mean, curve)
    return _Table(
        continuum=base, ratio=ratio, absorbed=ab_magnitude(wave, mean * through, curve) - clear
    )


def _bilinear(table: Floats, z: Floats, slope: Floats) -> Floats:
    i = np.clip((z / 0.01).astype(int), 0, _REDSHIFTS.size - 2)
    step = _SLOPES[1] - _SLOPES[0]
    j = np.clip(((slope - _SLOPES[0]) / step).astype(int), 0, _SLOPES.size - 2)
    fz = (z - _REDSHIFTS[i]) / 0.01
    fs = (slope - _SLOPES[j]) / step
    low = table[i, j] * (1 - fs) + table[i, j + 1] * fs
    high = table[i + 1, j] * (1 - fs) + table[i + 1, j + 1] * fs
    mixed: Floats = low * (1 - fz) + high * fz
    return mixed


def _relative(quasars: Quasars, curve: FilterCurve) -> Floats:
    """Magnitude in a band up to a constant per quasar, free of Galactic dust."""
    table = _table(curve)
    z = quasars.redshift
    base = _bilinear(table.continuum, z, quasars.slope)
    ratio = _bilinear(table.ratio, z, quasars.slope)
    absorbed = np.interp(z, _REDSHIFTS, table.absorbed)
    rest_micron = curve.pivot() / (1 + z) / 1e4
    # SMC law as in Richards et al. 2003: A = 1.39 E(B-V) / lambda^1.2, lambda in micrometres.
    own_dust = quasars.reddening * 1.39 * rest_micron**-1.2
    relative: Floats = (
        base
        - 2.5 * np.log10(1 + quasars.lines * ratio)
        + quasars.absorption * absorbed
        + np.minimum(own_dust, 4.0)
    )
    return relative


def draw(key: Keys) -> Quasars:
    """Draw quasars from the observed distributions.

    Parameters
    ----------
    key : ndarray of uint64, (n,)

    Returns
    -------
    Quasars
        Slopes scatter by 0.28 around the composite's, line strengths by 30 %, the forest by 20 %
        of its depth; one in seven is visibly reddened by its own dust.
    """
    z_bin = choose(np.array(_Z_WEIGHTS, float), uniform(key, "redshift bin"))
    redshift = 0.2 * (z_bin + uniform(key, "redshift")) + 0.03
    # Quasars beyond redshift 3 were found to a brighter limit, where colours still select them.
    brighter = 0.35 * np.clip(redshift - 2.8, 0.0, 1.0)
    i_bin = choose(np.array(_I_WEIGHTS, float), uniform(key, "magnitude bin"))
    dusty = uniform(key, "dusty") < 0.14
    return Quasars(
        redshift=redshift,
        magnitude=15.5 + 0.5 * (i_bin + uniform(key, "magnitude")) - brighter,
        slope=np.clip(SLOPE + 0.28 * normal(key, "slope"), -1.8, 0.9),
        lines=np.exp(0.30 * normal(key, "lines")),
        absorption=0.20 * normal(key, "absorption").clip(-2.5, 2.5),
        reddening=np.where(dusty, -0.08 * np.log(uniform(key, "reddening")), 0.0),
    )


def magnitudes(quasars: Quasars, survey: Survey) -> Floats:
    """AB magnitudes in a survey's bands, free of Galactic dust.

    Parameters
    ----------
    quasars : Quasars
    survey : Survey

    Returns
    -------
    ndarray of float64, (n, bands)
        Scaled so that SDSS i is ``quasars.magnitude``; at most 30.
    """
    anchor = quasars.magnitude - _relative(quasars, SDSS.band("i").curve)
    columns = [_relative(quasars, band.curve) + anchor for band in survey.bands]
    return np.minimum(np.stack(columns, axis=1), 30.0)
