"""Spectra: synthetic photometry, cosmology and the intergalactic medium."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from galaxyds.sky.hashing import Floats
from galaxyds.sky.surveys import FilterCurve

SPEED_OF_LIGHT = 2.99792458e18
"""Angstrom per second."""
H0, OMEGA_M = 70.0, 0.3
"""Flat Lambda-CDM: km/s/Mpc, and the matter density."""

Spectrum = Callable[[Floats], Floats]
"""Rest-frame flux per unit wavelength at wavelengths in angstrom, any normalisation."""

_MADAU_LINES = (
    (1215.67, 0.0036),
    (1025.72, 0.0017),
    (972.537, 0.0012),
    (949.743, 0.00093),
)
_LYMAN_LIMIT = 911.75
LYMAN_LIMIT_SYSTEMS = 2.2
"""Factor on the Lyman continuum depth, tuned on u-g of real quasars beyond redshift 3."""


def ab_magnitude(wavelength: Floats, flux: Floats, curve: FilterCurve) -> Floats:
    """AB magnitude of spectra through a filter, for a photon-counting detector.

    Parameters
    ----------
    wavelength : ndarray of float64, (w,)
        Angstrom.
    flux : ndarray of float64, (..., w)
        Flux per unit wavelength, erg / s / cm2 / angstrom.
    curve : FilterCurve

    Returns
    -------
    ndarray of float64, (...)
        -2.5 log10(int f_l T l dl / (c int T dl / l)) - 48.6 (Fukugita et al. 1996, equation 7).
    """
    response = curve(wavelength)
    weight = np.gradient(wavelength)
    photons = np.sum(flux * (response * wavelength * weight), axis=-1)
    flat = SPEED_OF_LIGHT * np.sum(response / wavelength * weight)
    magnitude: Floats = -2.5 * np.log10(np.maximum(photons / flat, 1e-300)) - 48.6
    return magnitude


def redshifted(spectrum: Spectrum, curve: FilterCurve, redshift: Floats) -> Floats:
    """AB magnitudes of a rest-frame spectrum moved to redshifts, without distance dimming.

    Parameters
    ----------
    spectrum : callable
        Rest-frame flux per unit wavelength.
    curve : FilterCurve
    redshift : ndarray of float64, (n,)

    Returns
    -------
    ndarray of float64, (n,)
        At z = 0 the rest-frame magnitude; else that plus the K correction (Hogg et al. 2002).
    """
    observed = curve.grid()
    stretch = 1.0 + redshift[:, None]
    return ab_magnitude(observed, spectrum(observed / stretch) / stretch, curve)


def distance_modulus(redshift: Floats) -> Floats:
    """Distance modulus in magnitudes of redshifts above 0, flat Lambda-CDM."""
    luminosity = (1 + redshift) * comoving_distance(redshift)
    modulus: Floats = 5 * np.log10(luminosity) + 25
    return modulus


def comoving_distance(redshift: Floats) -> Floats:
    """Comoving distance in Mpc (Hogg 1999, equation 15), by the trapezium rule on a fine grid."""
    grid = np.linspace(0, 8, 8001)
    inverse = 1 / np.sqrt(OMEGA_M * (1 + grid) ** 3 + 1 - OMEGA_M)
    steps = (inverse[1:] + inverse[:-1]) / 2 * (grid[1] - grid[0])
    total = np.concatenate([[0.0], np.cumsum(steps)]) * 299792.458 / H0
    return np.interp(redshift, grid, total)


def volume_per_redshift(redshift: Floats) -> Floats:
    """Comoving volume per unit redshift and square degree, Mpc^3 (Hogg 1999, equation 28)."""
    distance = comoving_distance(redshift)
    expansion = H0 * np.sqrt(OMEGA_M * (1 + redshift) ** 3 + 1 - OMEGA_M)
    volume: Floats = 299792.458 / expansion * distance**2 * np.radians(1) ** 2
    return volume


def lyman_alpha_depth(redshift: Floats) -> Floats:
    """Mean optical depth of the Lyman alpha forest.

    Parameters
    ----------
    redshift : ndarray of float64
        Of the absorbing gas.

    Returns
    -------
    ndarray of float64
        0.751 ((1 + z) / 4.5)^2.90 - 0.132 above z = 2.15 (Becker et al. 2013, MNRAS 430, 2067,
        equation 5), continued below with the exponent 3.46 of Madau 1995.
    """
    high = 0.751 * ((1 + redshift) / 4.5) ** 2.90 - 0.132
    joint = 0.751 * (3.15 / 4.5) ** 2.90 - 0.132
    depth: Floats = np.where(redshift > 2.15, high, joint * ((1 + redshift) / 3.15) ** 3.46)
    return depth


def forest(observed: Floats, redshift: Floats) -> Floats:
    """Mean transmission of the intergalactic medium.

    Lyman alpha to delta as :func:`lyman_alpha_depth`, in the ratios of Madau 1995 (ApJ 441, 18);
    the Lyman continuum by the approximation in footnote 3 of that paper, times
    :data:`LYMAN_LIMIT_SYSTEMS`.

    Parameters
    ----------
    observed : ndarray of float64, (w,)
        Observed wavelengths in angstrom.
    redshift : ndarray of float64, (n,)
        Of the sources.

    Returns
    -------
    ndarray of float64, (n, w)
        1 redward of Lyman alpha, down to 0 below the Lyman limit.
    """
    ends = (1 + redshift)[:, None]
    depth = np.zeros((redshift.size, observed.size))
    for line, strength in _MADAU_LINES:
        ratio = observed / line
        own = strength / _MADAU_LINES[0][1] * lyman_alpha_depth(np.maximum(ratio - 1, 0.0))
        depth += np.where(ratio[None, :] < ends, own[None, :], 0.0)
    xc = observed[None, :] / _LYMAN_LIMIT
    continuum = (
        0.25 * xc**3 * (ends**0.46 - xc**0.46)
        + 9.4 * xc**1.5 * (ends**0.18 - xc**0.18)
        - 0.7 * xc**3 * (xc**-1.32 - ends**-1.32)
        - 0.023 * (ends**1.68 - xc**1.68)
    )
    # Below the observed Lyman limit of z = 0 nothing is left to absorb in the approximation.
    depth += np.where(
        (xc < ends) & (xc >= 1), LYMAN_LIMIT_SYSTEMS * np.maximum(continuum, 0.0), 0.0
    )
    return np.exp(-np.minimum(depth, 60.0))
