"""Galaxies: five types of bulge and disk, Schechter luminosities, sizes that evolve.

A galaxy is a de Vaucouleurs bulge with the light of old stars and an exponential disk with that of
its type, so its image differs from band to band.  Spectra are piecewise linear in the logarithms
of wavelength and flux, with the 4000 angstrom break of old stars or the Balmer break and emission
lines of young ones; the five span the rest-frame colours of Fukugita, Shimasaku & Ichikawa 1995
(PASP 107, 945, table 3).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from galaxyds.sky.hashing import Floats, Keys, choose, normal, uniform
from galaxyds.sky.seds import (
    comoving_distance,
    distance_modulus,
    redshifted,
    volume_per_redshift,
)
from galaxyds.sky.surveys import SDSS, FilterCurve, Survey

# wavelength in angstrom and relative flux per unit wavelength
_OLD = (
    *((912, 1e-4), (1300, 0.008), (1600, 0.012), (2000, 0.015), (2500, 0.035), (2900, 0.09)),
    *((3300, 0.18), (3700, 0.27), (3900, 0.33), (4030, 0.56), (4300, 0.68), (4600, 0.86)),
    *((5000, 0.94), (5200, 0.94), (5500, 1.00), (6200, 1.03), (7000, 1.03), (8000, 1.00)),
    *((9000, 0.95), (10000, 0.90), (12000, 0.80), (16000, 0.55), (22000, 0.27), (26000, 0.17)),
)
_MIXED = (
    *((912, 1e-3), (1200, 0.16), (1500, 0.22), (2000, 0.20), (2500, 0.22), (3000, 0.30)),
    *((3600, 0.42), (3850, 0.52), (4030, 0.78), (4500, 0.90), (5000, 0.97), (5500, 1.00)),
    *((6200, 0.98), (7000, 0.94), (8000, 0.88), (9000, 0.82), (10000, 0.77), (12000, 0.67)),
    *((16000, 0.45), (22000, 0.22), (26000, 0.14)),
)
_LATE = (
    *((912, 5e-3), (1200, 0.75), (1500, 0.78), (2000, 0.62), (2500, 0.56), (3000, 0.58)),
    *((3600, 0.66), (3800, 0.78), (4000, 0.98), (4500, 1.02), (5000, 1.01), (5500, 1.00)),
    *((6200, 0.93), (7000, 0.86), (8000, 0.77), (9000, 0.70), (10000, 0.64), (12000, 0.54)),
    *((16000, 0.36), (22000, 0.17), (26000, 0.11)),
)
_BURST = (
    *((912, 2e-2), (1200, 2.70), (1500, 2.40), (2000, 1.75), (2500, 1.40), (3000, 1.20)),
    *((3600, 1.10), (3750, 1.25), (4000, 1.40), (4500, 1.22), (5000, 1.10), (5500, 1.00)),
    *((6200, 0.86), (7000, 0.74), (8000, 0.62), (9000, 0.54), (10000, 0.47), (12000, 0.38)),
    *((16000, 0.24), (22000, 0.11), (26000, 0.07)),
)
# rest wavelength, and share of the type's line strength (rest angstrom at strength 1)
_LINES = ((3728.0, 1.0), (4862.7, 0.4), (4960.3, 0.3), (5008.2, 0.9), (6564.6, 1.7), (6725.0, 0.5))


@dataclass(frozen=True, kw_only=True, slots=True)
class GalaxyType:
    """A kind of galaxy.

    Attributes
    ----------
    name : str
    disk : tuple of (float, float)
        Spectrum of the disk: wavelength, flux.
    line_width : float
        Equivalent width of [O II] in the disk, rest angstrom; other lines scale with it.
    bulge : float
        Mean share of the bulge in the rest-frame r light.
    m_star, alpha, phi : float
        Schechter function in r: M* at z = 0, faint-end slope, and density in Mpc^-3 per magnitude.
    brightening : float
        M* brightens by this many magnitudes per unit redshift, up to z = 1.5.
    density_slope : float
        The density goes as (1 + z) to this power.
    radius : float
        Half-light radius of the disk (of the bulge, where it dominates) at M_r = -21, z = 0, kpc.
    radius_slope : float
        d log10(radius) / dM.
    size_evolution : float
        The radius goes as (1 + z) to this power (van der Wel et al. 2014).
    """

    name: str
    disk: tuple[tuple[float, float], ...]
    line_width: float
    bulge: float
    m_star: float
    alpha: float
    phi: float
    brightening: float
    density_slope: float
    radius: float
    radius_slope: float
    size_evolution: float


TYPES = (
    GalaxyType(
        name="elliptical",
        disk=_OLD,
        line_width=0.0,
        bulge=0.90,
        m_star=-21.3,
        alpha=-0.4,
        phi=0.003,
        brightening=0.7,
        density_slope=-0.8,
        radius=6.5,
        radius_slope=-0.18,
        size_evolution=-1.2,
    ),
    GalaxyType(
        name="lenticular",
        disk=_OLD,
        line_width=2.0,
        bulge=0.50,
        m_star=-21.0,
        alpha=-0.5,
        phi=0.0028,
        brightening=0.7,
        density_slope=-0.6,
        radius=7.6,
        radius_slope=-0.14,
        size_evolution=-1.0,
    ),
    GalaxyType(
        name="spiral",
        disk=_MIXED,
        line_width=8.0,
        bulge=0.22,
        m_star=-21.1,
        alpha=-0.9,
        phi=0.0037,
        brightening=0.7,
        density_slope=-0.2,
        radius=9.2,
        radius_slope=-0.1,
        size_evolution=-0.75,
    ),
    GalaxyType(
        name="late spiral",
        disk=_LATE,
        line_width=20.0,
        bulge=0.07,
        m_star=-20.6,
        alpha=-1.1,
        phi=0.0027,
        brightening=0.8,
        density_slope=0.0,
        radius=8.6,
        radius_slope=-0.09,
        size_evolution=-0.75,
    ),
    GalaxyType(
        name="starburst",
        disk=_BURST,
        line_width=50.0,
        bulge=0.02,
        m_star=-20.2,
        alpha=-1.2,
        phi=0.0009,
        brightening=1.0,
        density_slope=0.5,
        radius=6.2,
        radius_slope=-0.1,
        size_evolution=-0.75,
    ),
)

_REDSHIFTS = np.linspace(0.005, 3.0, 600)
_MAGNITUDES = np.linspace(12.0, 26.5, 291)


def _spectrum(points: tuple[tuple[float, float], ...], line_width: float, rest: Floats) -> Floats:
    wave = np.log([p[0] for p in points])
    flux = np.log([p[1] for p in points])
    shape: Floats = np.exp(np.interp(np.log(rest), wave, flux, left=-30.0))
    for center, share in _LINES:
        # 15 angstrom of width stand for a narrow line; broad bands do not see the difference.
        profile = np.exp(-0.5 * ((rest - center) / 15.0) ** 2) / (15.0 * np.sqrt(2 * np.pi))
        shape = shape * (1 + line_width * share * profile)
    return shape


@lru_cache(maxsize=64)
def _table(curve: FilterCurve) -> Floats:
    """Magnitudes over (spectrum, redshift) less the rest-frame SDSS r; the first is the bulge's."""
    reference = SDSS.band("r").curve
    rows = []
    for points, width in ((_OLD, 0.0), *((kind.disk, kind.line_width) for kind in TYPES)):

        def spectrum(rest: Floats, points: object = points, width: float = width) -> Floats:
            return _spectrum(points, width, rest)  # type: ignore[arg-type]

        rest_r = redshifted(spectrum, reference, np.zeros(1))
        rows.append(redshifted(spectrum, curve, _REDSHIFTS) - rest_r)
    return np.stack(rows)


def _k_correction(kind: NDArray[np.intp], bulge: Floats, z: Floats, curve: FilterCurve) -> Floats:
    """Bulge and disk magnitudes less the total rest-frame r magnitude; (2, n)."""
    table = _table(curve)
    old = np.interp(z, _REDSHIFTS, table[0])
    disk = np.empty_like(z)
    for number in range(len(TYPES)):
        mine = kind == number
        disk[mine] = np.interp(z[mine], _REDSHIFTS, table[number + 1])
    return np.stack(
        [
            old - 2.5 * np.log10(np.maximum(bulge, 1e-6)),
            disk - 2.5 * np.log10(np.maximum(1 - bulge, 1e-6)),
        ]
    )


def schechter(magnitude: Floats, m_star: Floats, alpha: float) -> Floats:
    """Schechter function per magnitude for unit density (Schechter 1976)."""
    x = np.power(10.0, 0.4 * (m_star - magnitude))
    value: Floats = 0.4 * np.log(10.0) * x ** (alpha + 1) * np.exp(-x)
    return value


@lru_cache(maxsize=1)
def _counts() -> Floats:
    """Galaxies per square degree in bins of (r magnitude, type, redshift)."""
    z = _REDSHIFTS
    dz = z[1] - z[0]
    volume = volume_per_redshift(z) * dz
    edges = _MAGNITUDES
    middle = (edges[1:] + edges[:-1]) / 2
    curve = SDSS.band("r").curve
    result = np.empty((middle.size, len(TYPES), z.size))
    for number, kind in enumerate(TYPES):
        both = _k_correction(np.full(z.shape, number), np.full(z.shape, kind.bulge), z, curve)
        shift = -2.5 * np.log10(np.sum(10 ** (-0.4 * both), axis=0)) + distance_modulus(z)
        absolute = middle[:, None] - shift[None, :]
        m_star = kind.m_star - kind.brightening * np.minimum(z, 1.5)
        density = kind.phi * (1 + z) ** kind.density_slope
        bright = schechter(absolute, m_star[None, :], kind.alpha)
        # Nothing fainter than -14: the steep slopes hold only where they were measured.
        result[:, number] = np.where(absolute < -14, bright, 0.0) * (density * volume)
    counts: Floats = result * (edges[1] - edges[0])
    return counts


def _bins(bright: float, faint: float) -> slice:
    step = _MAGNITUDES[1] - _MAGNITUDES[0]
    return slice(round((bright - 12.0) / step), round((faint - 12.0) / step))


def density(bright: float, faint: float) -> float:
    """Galaxies per square degree between two r magnitudes (12 to 26.5, in steps of 0.05)."""
    return float(_counts()[_bins(bright, faint)].sum())


@dataclass(frozen=True, kw_only=True, slots=True)
class Galaxies:
    """Drawn galaxies, all (n,).

    Attributes
    ----------
    kind : ndarray of intp
        Index into :data:`TYPES`.
    redshift, magnitude, bulge : ndarray of float64
        Redshift, r magnitude free of dust, share of the bulge in the rest-frame r light.
    tilt : ndarray of float64
        Scatter of the colours: magnitudes per unit of (6166 angstrom / wavelength - 1).
    bulge_radius, disk_radius : ndarray of float64
        Half-light radii, arcsec, along the major axis.
    axis_ratio, bulge_ratio, angle : ndarray of float64
        Minor over major axis of disk and bulge; position angle, radians east of north.
    """

    kind: NDArray[np.intp]
    redshift: Floats
    magnitude: Floats
    bulge: Floats
    tilt: Floats
    bulge_radius: Floats
    disk_radius: Floats
    axis_ratio: Floats
    bulge_ratio: Floats
    angle: Floats


def draw(key: Keys, bright: float, faint: float) -> Galaxies:
    """Draw galaxies of a magnitude range from the luminosity functions.

    Parameters
    ----------
    key : ndarray of uint64, (n,)
    bright, faint : float
        Range of the r magnitude.

    Returns
    -------
    Galaxies
    """
    window = _bins(bright, faint)
    table = _counts()[window]
    m, kind, z_bin = np.unravel_index(
        choose(table.ravel(), uniform(key, "galaxy bin")), table.shape
    )
    dz, dm = _REDSHIFTS[1] - _REDSHIFTS[0], _MAGNITUDES[1] - _MAGNITUDES[0]
    z = np.maximum(_REDSHIFTS[z_bin] + (uniform(key, "redshift") - 0.5) * dz, 0.003)
    magnitude = _MAGNITUDES[window.start + m] + uniform(key, "magnitude") * dm
    mean = np.array([t.bulge for t in TYPES])[kind]
    bulge = np.clip(mean * np.exp(0.35 * normal(key, "bulge")), 0.0, 0.97)
    bulge_radius, disk_radius = _radii(key, kind, z, magnitude)
    return Galaxies(
        kind=kind,
        redshift=z,
        magnitude=magnitude,
        bulge=bulge,
        tilt=0.10 * normal(key, "tilt"),
        bulge_radius=bulge_radius,
        disk_radius=disk_radius,
        axis_ratio=np.where(
            mean > 0.7, 0.55 + 0.45 * uniform(key, "tilted"), _thick_disk(uniform(key, "tilted"))
        ),
        bulge_ratio=0.6 + 0.4 * uniform(key, "bulge ratio"),
        angle=np.pi * uniform(key, "angle"),
    )


def _thick_disk(cosine: Floats) -> Floats:
    """Axis ratio of a disk of thickness 0.2 seen at random (Hubble 1926)."""
    ratio: Floats = np.sqrt(cosine**2 * (1 - 0.2**2) + 0.2**2)
    return ratio


def _radii(
    key: Keys, kind: NDArray[np.intp], z: Floats, magnitude: Floats
) -> tuple[Floats, Floats]:
    """Half-light radii of bulge and disk in arcsec."""
    absolute = magnitude - distance_modulus(z)
    reference = np.array([t.radius for t in TYPES])[kind]
    slope = np.array([t.radius_slope for t in TYPES])[kind]
    growth = np.array([t.size_evolution for t in TYPES])[kind]
    kiloparsec = reference * 10 ** (slope * (np.clip(absolute, -24, -15) + 21)) * (1 + z) ** growth
    kiloparsec *= 10 ** (0.15 * normal(key, "radius"))
    arcsec = np.degrees(kiloparsec / 1000 * (1 + z) / comoving_distance(z)) * 3600
    arcsec = np.clip(arcsec, 0.05, 30.0)
    dominant = np.array([t.bulge for t in TYPES])[kind] > 0.7
    return np.where(dominant, arcsec, 0.35 * arcsec), arcsec


def magnitudes(galaxies: Galaxies, survey: Survey) -> tuple[Floats, Floats]:
    """AB magnitudes free of dust, and the share of the bulge, in a survey's bands.

    Parameters
    ----------
    galaxies : Galaxies
    survey : Survey

    Returns
    -------
    tuple of ndarray of float64, both (n, bands)
        Total magnitudes such that SDSS r is ``galaxies.magnitude``, and bulge flux over total.
    """
    reference = SDSS.band("r").curve
    total = _total(galaxies, reference)[0]
    columns, shares = [], []
    for band in survey.bands:
        here, share = _total(galaxies, band.curve)
        lever = reference.pivot() / band.curve.pivot() - 1
        columns.append(galaxies.magnitude + here - total + galaxies.tilt * lever)
        shares.append(share)
    return np.minimum(np.stack(columns, axis=1), 32.0), np.stack(shares, axis=1)


def _total(galaxies: Galaxies, curve: FilterCurve) -> tuple[Floats, Floats]:
    both = _k_correction(galaxies.kind, galaxies.bulge, galaxies.redshift, curve)
    flux = 10 ** (-0.4 * both)
    everything = flux.sum(axis=0)
    return -2.5 * np.log10(everything), flux[0] / everything
