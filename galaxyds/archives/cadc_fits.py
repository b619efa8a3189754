"""Coadds on a gnomonic grid, and cutouts of them: the same code for a service's answer and a file.

What stands in the pixels stays: a coadd holds 0 where nothing was observed, and a NaN stays NaN, so
that whoever uses the cutout can tell.  Only a cutout without any pixel that is finite and not 0
counts as no data, and an infinite pixel as damage.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from galaxyds.archives.bounded import HDU, Value, broken, scan_fits
from galaxyds.archives.cadc_tiles import PIXEL_SCALE
from galaxyds.archives.hsc_fits import tan_pixel
from galaxyds.archives.tan import matrix, require_plain
from galaxyds.errors import DataIntegrityError

if TYPE_CHECKING:
    from astropy.wcs import WCS

_TYPES = {-32: ">f4", -64: ">f8"}
_AGAIN = "the archive sent another product: check its address"


class Coadd(NamedTuple):
    """An image on the sky: pixels as stored (a view, big-endian) and the cards of its grid."""

    pixels: NDArray[np.floating]
    grid: Mapping[str, Value]


class Piece(NamedTuple):
    """A cutout: float32 (rows, columns), the object's 0-based (x, y), the cards of its grid."""

    pixels: NDArray[np.float32]
    position: tuple[float, float]
    grid: Mapping[str, Value]


def pixels_across(half_size: float, scale: float = PIXEL_SCALE) -> int:
    """Return the width in pixels of a cutout of half-width ``half_size`` arcseconds, rounded."""
    return max(1, round(2 * half_size / scale))


def read_coadd(content: memoryview, name: str, *, limit: int, scale: float = PIXEL_SCALE) -> Coadd:
    """Find and verify the image of a FITS file, without converting a pixel.

    Parameters
    ----------
    content : memoryview
        The whole file; may be a memory map, of which only headers are read here.
    name : str
        Its name, for messages.
    limit : int
        Most bytes that one data unit may declare.
    scale : float
        Expected arcseconds per pixel.

    Returns
    -------
    Coadd
        The first two-dimensional image of floating-point numbers.

    Raises
    ------
    DataIntegrityError
        If the file is cut or damaged; with ``other_product`` if it is sound and no such image.
    """
    path = Path(name)
    for hdu in scan_fits(content, path, limit=limit):
        dtype = _TYPES.get(int(hdu.header["BITPIX"]))
        if len(hdu.shape) == 2 and min(hdu.shape) > 0 and dtype is not None:
            grid = _grid(hdu, path, scale)
            return Coadd(np.frombuffer(hdu.data, dtype).reshape(hdu.shape), grid)
    raise _other(path, "an image of floating-point numbers", "none")


def cut(coadd: Coadd, ra: float, dec: float, *, size: int, name: str) -> Piece | None:
    """Cut a square of ``size`` pixels, the object within half a pixel of its middle.

    A square that is not whole is none: padded, it would show its object off the middle.

    Parameters
    ----------
    coadd : Coadd
        What it is cut out of.
    ra, dec : float
        Degrees.
    size : int
        Width and height in pixels.
    name : str
        Of the file, for messages.

    Returns
    -------
    Piece or None
        None where the square reaches beyond the coadd, or no pixel is finite and not 0.

    Raises
    ------
    DataIntegrityError
        If a pixel is infinite.
    """
    square = _square(coadd, ra, dec, size)
    if square is None:
        return None
    (x, y), (left, low) = square
    right, high = left + size, low + size
    pixels = coadd.pixels[low:high, left:right].astype(np.float32)
    if np.isinf(pixels).any():
        cause = "the file is damaged: ask again"
        raise broken(Path(name), "finite pixels or NaN", "infinite ones", cause)
    if not np.nan_to_num(pixels).any():
        return None
    shifted = {"CRPIX1": _float(coadd.grid["CRPIX1"]) - left,
               "CRPIX2": _float(coadd.grid["CRPIX2"]) - low}  # fmt: skip
    return Piece(pixels, (x - left, y - low), {**coadd.grid, **shifted})


def wcs_of(grid: Mapping[str, Value]) -> WCS:
    """Make world coordinates out of the cards of a grid.

    Returns
    -------
    astropy.wcs.WCS
        Celestial, gnomonic.
    """
    from astropy.wcs import WCS

    wcs = WCS(naxis=2)
    wcs.wcs.ctype = [grid["CTYPE1"], grid["CTYPE2"]]
    wcs.wcs.cunit = ["deg", "deg"]
    wcs.wcs.crpix = [grid["CRPIX1"], grid["CRPIX2"]]
    wcs.wcs.crval = [grid["CRVAL1"], grid["CRVAL2"]]
    wcs.wcs.cd = [[grid["CD1_1"], grid["CD1_2"]], [grid["CD2_1"], grid["CD2_2"]]]
    wcs.wcs.set()
    return wcs


def holds(coadd: Coadd, ra: float, dec: float, *, size: int) -> bool:
    """Whether a coadd holds the whole square that :func:`cut` would cut.

    Parameters
    ----------
    coadd, ra, dec, size
        As there.

    Returns
    -------
    bool
        Whatever its pixels are.
    """
    return _square(coadd, ra, dec, size) is not None


def _square(
    coadd: Coadd, ra: float, dec: float, size: int
) -> tuple[tuple[float, float], tuple[int, int]] | None:
    """The object's (x, y), and the first column and row of its square; None if it is not whole."""
    try:
        x, y = tan_pixel(coadd.grid, ra, dec)
    except ValueError:
        return None
    # A micropixel decides no tie: the same sky position is computed from shifted headers.
    left, low = (math.floor(round(at, 6) - (size - 1) / 2 + 0.5) for at in (x, y))
    rows, columns = coadd.pixels.shape
    whole = left >= 0 and low >= 0 and left + size <= columns and low + size <= rows
    return ((x, y), (left, low)) if whole else None


def _grid(hdu: HDU, path: Path, scale: float) -> dict[str, Value]:
    """Cards of a gnomonic grid, its matrix as CD; verified."""
    header = hdu.header
    scaled = (header.get("BSCALE", 1), header.get("BZERO", 0)) != (1, 0)
    if scaled:
        raise _other(path, "unscaled pixel values", "BSCALE or BZERO")
    require_plain(header, path, scale=scale, advice=_AGAIN)
    grid: dict[str, Value] = {"CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN"}
    for name in ("CRPIX1", "CRPIX2", "CRVAL1", "CRVAL2"):
        grid[name] = _number(header, name, path)
    return {**grid, **dict(zip(("CD1_1", "CD1_2", "CD2_1", "CD2_2"), matrix(header), strict=True))}


def _number(header: Mapping[str, Value], name: str, path: Path) -> float:
    value = header.get(name)
    if isinstance(value, bool | str) or value is None or not abs(value) < 1e7:
        raise _other(path, f"a number for {name}", repr(value))
    return float(value)


def _float(value: Value) -> float:
    return float(value)


def _other(path: Path, expected: str, got: str) -> DataIntegrityError:
    error = broken(path, expected, got, _AGAIN)
    return DataIntegrityError(error.message, **error.values, other_product=True)
