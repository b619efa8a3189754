"""The gnomonic projection (TAN) in degrees, one tangent point at a time.

:func:`~galaxyds.pixels.tangent.deproject` is the same in radians, for many tangent points.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from galaxyds.pixels import tangent

if TYPE_CHECKING:
    from galaxyds.pixels.tangent import Floats


def project(ra: Floats, dec: Floats, *, center: tuple[float, float]) -> tuple[Floats, Floats]:
    """Find the plane coordinates of sky positions (Calabretta & Greisen 2002, 5.1.3).

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
    ra, dec = np.asarray(center[0], np.float64), np.asarray(center[1], np.float64)
    return tangent.deproject(np.radians(xi), np.radians(eta), ra=ra, dec=dec)
