"""The gnomonic projection (TAN) of frames and coadds (Calabretta & Greisen 2002, 5.1.3)."""

from __future__ import annotations

import numpy as np

from galaxyds.sky.hashing import Floats


def project(ra: Floats, dec: Floats, *, center: tuple[float, float]) -> tuple[Floats, Floats]:
    """Find the plane coordinates of sky positions.

    Parameters
    ----------
    ra, dec : ndarray of float64
        Degrees.
    center : tuple of float
        Right ascension and declination of the tangent point, degrees.

    Returns
    -------
    tuple of ndarray of float64
        xi (east) and eta (north) in degrees.
    """
    da, d, d0 = np.radians(ra - center[0]), np.radians(dec), np.radians(center[1])
    depth = np.sin(d0) * np.sin(d) + np.cos(d0) * np.cos(d) * np.cos(da)
    xi = np.degrees(np.cos(d) * np.sin(da) / depth)
    eta = np.degrees((np.cos(d0) * np.sin(d) - np.sin(d0) * np.cos(d) * np.cos(da)) / depth)
    return xi, eta


def deproject(xi: Floats, eta: Floats, *, center: tuple[float, float]) -> tuple[Floats, Floats]:
    """Find the sky positions of plane coordinates; the inverse of :func:`project`.

    Parameters
    ----------
    xi, eta : ndarray of float64
        East and north, degrees.
    center : tuple of float
        Right ascension and declination of the tangent point, degrees.

    Returns
    -------
    tuple of ndarray of float64
        Right ascension in [0, 360) and declination, degrees.
    """
    east, north, d0 = np.radians(xi), np.radians(eta), np.radians(center[1])
    along = np.cos(d0) - north * np.sin(d0)
    ra: Floats = (center[0] + np.degrees(np.arctan2(east, along))) % 360.0
    height = np.sin(d0) + north * np.cos(d0)
    dec: Floats = np.degrees(np.arctan2(height, np.hypot(along, east)))
    return ra, dec
