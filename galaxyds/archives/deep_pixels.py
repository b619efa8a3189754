"""Cutouts of HSC-Deep: HSC's own, cut to the object, and mosaics resampled onto the same pixels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from galaxyds.archives.base import NO_DATA, Cutout, CutoutObject
from galaxyds.archives.deep_objects import U_BANDS
from galaxyds.archives.deep_photometry import HSC_BANDS

if TYPE_CHECKING:
    from astropy.wcs import WCS
    from numpy.typing import NDArray

    from galaxyds.archives.mosaics import Mosaics

MARGIN = 1.0
"""Arcseconds that are asked for beyond each edge: what comes is cut to the object."""
SCALE = 0.168
"""Arcseconds per pixel of HSC's coadds."""
TRACTS = "coadds of several tracts"
"""Why an object has no pixels: its bands came on several grids."""
OUTSIDE = "position outside of the delivered cutout"
"""Why an object has no pixels: what came does not show its place."""


def side(half_size: float) -> int:
    """Rows and columns of a cutout of half that width in arcseconds."""
    return round(2 * half_size / SCALE)


def assembled(
    cutout: Cutout,
    one: CutoutObject,
    bands: Sequence[str],
    *,
    mosaics: Mosaics,
    size: int,
) -> Cutout:
    """Make the cutout of an object in all bands.

    Parameters
    ----------
    cutout : Cutout
        As HSC delivered it.
    one : CutoutObject
        The object.
    bands : sequence of str
        Of u, g, r, i, z, y, J, H, Ks; u stands for u*, or u where there is no u*.
    mosaics : Mosaics
        u*, u and the near infrared.
    size : int
        Rows and columns.

    Returns
    -------
    Cutout
        All bands on one grid, (size, size), HSC's pixels as they were delivered, the object within
        half a pixel of the middle; NaN where a band has no data, and bands without data at the
        object in :attr:`Cutout.missing`: of HSC in its own pixel, of mosaics around it.
    """
    own = [band for band in bands if band in HSC_BANDS]
    others = [band for band in bands if band not in HSC_BANDS]
    if not cutout.pixels:
        return _nothing(one, {**cutout.missing, **dict.fromkeys(others, NO_DATA)})
    if cutout.grid is None:
        return _nothing(one, dict.fromkeys(bands, TRACTS))
    x, y = cutout.position[next(band for band in own if band in cutout.pixels)]
    inside = [band for band, image in cutout.pixels.items() if _holds(image, x, y)]
    # A window has the object in its middle wherever that is: what was delivered must be asked.
    if not inside:
        return _nothing(one, dict.fromkeys(bands, OUTSIDE))
    left, top = (int(np.floor(at - (size - 1) / 2 + 0.5)) for at in (x, y))
    pixels = {
        band: window(image, top, left, size)
        for band, image in cutout.pixels.items()
        if band in inside and np.isfinite(image[_pixel(image, x, y)])
    }
    grid = moved(cutout.grid, left, top)
    for band in others:
        for name in U_BANDS if band == "u" else (band,):
            image = mosaics.cutout(name, grid, (size, size), at=(one.ra, one.dec))
            if image is not None:
                pixels[band] = image
                break
    lacking = [band for band in (*cutout.pixels, *others) if band not in pixels]
    gone = {band: NO_DATA if band in (*inside, *others) else OUTSIDE for band in lacking}
    return Cutout(
        object_id=one.object_id,
        pixels=pixels,
        position=dict.fromkeys(pixels, (x - left, y - top)),
        missing={**cutout.missing, **gone},
        grid=grid,
    )


def window(image: NDArray[np.float32], top: int, left: int, size: int) -> NDArray[np.float32]:
    """Cut ``size`` rows and columns from (top, left) on; NaN beyond the image."""
    square = np.full((size, size), np.nan, np.float32)
    low, first = max(top, 0), max(left, 0)
    piece = image[low : max(top + size, 0), first : max(left + size, 0)]
    square[low - top : low - top + len(piece), first - left : first - left + piece.shape[1]] = piece
    return square


def _holds(image: NDArray[np.float32], x: float, y: float) -> bool:
    rows, columns = image.shape
    return bool(-0.5 <= x <= columns - 0.5 and -0.5 <= y <= rows - 0.5)


def _pixel(image: NDArray[np.float32], x: float, y: float) -> tuple[int, int]:
    """Row and column of the pixel that holds a position; on the last edge, the last ones."""
    row, column = (int(np.floor(at + 0.5)) for at in (y, x))
    return min(row, image.shape[0] - 1), min(column, image.shape[1] - 1)


def moved(grid: WCS, left: int, top: int) -> WCS:
    """Return the grid of the pixels from column ``left`` and row ``top`` on."""
    grid = grid.deepcopy()
    grid.wcs.crpix = grid.wcs.crpix - (left, top)
    return grid


def _nothing(one: CutoutObject, missing: dict[str, str]) -> Cutout:
    return Cutout(object_id=one.object_id, pixels={}, position={}, missing=missing)
