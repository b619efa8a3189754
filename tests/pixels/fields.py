"""Synthetic frames with a known sky, and sky positions from a second way of computing them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from astropy.wcs import WCS

from galaxyds.pixels import Frame

SCALE = 1.1e-4  # degrees per pixel, as in the survey


def tan(shift: tuple[float, float] = (0.0, 0.0), *, angle: float = 0.0, scale: float = 1.0) -> WCS:
    """A TAN system in the survey's orientation (columns along dec).

    ``shift`` = (columns, rows): a sky position lies that much further on than without a shift.
    ``angle`` in radians turns the pixel grid; ``scale`` enlarges pixels.
    """
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    wcs.wcs.crval = [336.66, -0.93]
    wcs.wcs.crpix = [101.0 + shift[0], 121.0 + shift[1]]
    cos, sin = np.cos(angle), np.sin(angle)
    turn = np.array([[cos, -sin], [sin, cos]])
    wcs.wcs.cd = np.array([[0.0, SCALE], [SCALE, 0.0]]) @ turn * scale
    wcs.wcs.set()
    return wcs


def frame(
    band: str,
    wcs: WCS,
    brightness: Callable[[np.ndarray, np.ndarray], np.ndarray],
    shape: tuple[int, int] = (240, 200),
) -> Frame:
    """A frame of ``brightness(u, v)``, a function of plane coordinates in reference pixels.

    (u, v) are the 0-based (column, row) that ``tan()`` without arguments gives to the sky position
    of a pixel; values are per reference pixel, so a frame with larger pixels holds more flux in
    each.
    """
    row, column = np.indices(shape)
    sky = wcs.wcs_pix2world(np.stack([column.ravel(), row.ravel()], axis=1), 0)
    u, v = tan().wcs_world2pix(sky, 0).T
    area = abs(np.linalg.det(wcs.wcs.cd) / np.linalg.det(tan().wcs.cd))
    pixels = area * brightness(u, v).reshape(shape)
    return Frame(band=band, pixels=pixels.astype(np.float32), wcs=wcs)


def sky(u, v) -> tuple[np.ndarray, np.ndarray]:
    """RA and dec (degrees) of 0-based columns and rows of ``tan()``."""
    points = np.stack([np.atleast_1d(u), np.atleast_1d(v)], axis=1).astype(float)
    ra, dec = tan().wcs_pix2world(points, 0).T
    return ra, dec


def gaussian(u0: float, v0: float, sigma: float = 2.0, flux: float = 100.0):
    """A round source of known flux and centre."""
    norm = flux / (2 * np.pi * sigma**2)
    return lambda u, v: norm * np.exp(-((u - u0) ** 2 + (v - v0) ** 2) / (2 * sigma**2))


def waves(u, v):
    """A smooth pattern that no other position repeats nearby."""
    return 10 + np.sin(u / 3.1) * np.cos(v / 4.3) + 0.01 * u - 0.02 * v
