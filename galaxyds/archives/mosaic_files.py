"""FITS mosaics of any size, read where they are looked at.

Files are mapped, never loaded: a cutout touches the pixels that it shows.  A pixel has no data
where it is not finite, where its weight is 0, and where it belongs to a square of at least 3 x 3
pixels that are exactly 0: mosaics are filled with zeros outside of what was observed, and a lone
exact zero may well be measured.
"""

from __future__ import annotations

import math
import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np

from galaxyds.archives.bounded import kind
from galaxyds.archives.mosaic_folder import WEIGHTS, compressed, weight_maps, word_aside
from galaxyds.archives.mosaic_headers import (
    band_of,
    refused,
    require_image,
    zero_point_of,
)
from galaxyds.archives.tan import require_plain

if TYPE_CHECKING:
    from astropy.wcs import WCS
    from numpy.typing import NDArray

EMPTY_BLOCK = 3
"""Rows and columns of a square of exact zeros that means: not observed."""

_TYPES = {-32: ">f4", -64: ">f8"}
_WEIGHT_TYPES = {**_TYPES, 8: "u1", 16: ">i2", 32: ">i4"}
_AROUND = EMPTY_BLOCK  # pixels around a patch that decide what is empty in it
_TOGETHER = 4096  # places that are looked at at once


class PixelSource(Protocol):
    """Pixels of a mosaic: a file, or a simulated sky."""

    shape: tuple[int, int]

    def read(self, rows: slice, columns: slice) -> NDArray[np.float32]:
        """Return a rectangle within the mosaic in native byte order, NaN where it has no data."""

    def whole(self, x: NDArray[np.int64], y: NDArray[np.int64], *, reach: int) -> NDArray[np.bool_]:
        """Say of 0-based pixels whether all within ``reach`` columns and rows have data."""


@dataclass(frozen=True, kw_only=True)
class Mosaic:
    """One band of a large piece of sky.

    Attributes
    ----------
    name : str
        For messages.
    band : str
        One of :data:`galaxyds.archives.mosaic_headers.BANDS`.
    zero_point : float
        AB magnitude of one count.
    wcs : astropy.wcs.WCS
        Gnomonic.
    pixels : PixelSource
        Counts.
    """

    name: str
    band: str
    zero_point: float
    wcs: WCS
    pixels: PixelSource


def emptied(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Put NaN where there is no data.

    Parameters
    ----------
    values : ndarray of float32, shape (..., rows, columns)
        Images; beyond their edges all counts as empty.

    Returns
    -------
    ndarray of float32, shape (..., rows, columns)
        NaN for pixels that are not finite, or in a square of :data:`EMPTY_BLOCK` exact zeros.
    """
    from scipy.ndimage import binary_dilation, binary_erosion

    clean: NDArray[np.float32] = np.where(np.isfinite(values), values, np.float32(np.nan))
    zero = clean == 0
    if zero.any():
        square = np.ones((1,) * (values.ndim - 2) + (EMPTY_BLOCK, EMPTY_BLOCK), bool)
        empty = binary_dilation(binary_erosion(zero, square, border_value=1), square)
        clean[empty & zero] = np.nan
    return clean


class FITSPixels:
    """Pixels of an image in a FITS file, mapped at the first look.

    Parameters
    ----------
    path : pathlib.Path
        The file.
    offset : int
        Bytes before the first pixel.
    shape : tuple of int
        Rows and columns.
    dtype : str
        As stored.
    weights : tuple of FITSPixels
        Weight maps on the same pixels; where one is not above 0, there is no data.
    """

    def __init__(
        self,
        path: Path,
        offset: int,
        shape: tuple[int, int],
        *,
        dtype: str,
        weights: tuple[FITSPixels, ...] = (),
    ) -> None:
        self.path, self.offset, self.shape, self.dtype = path, offset, shape, dtype
        self.weights = weights
        self._map: NDArray[Any] | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_map": None}

    def mapped(self) -> NDArray[Any]:
        """Return the stored pixels, mapped."""
        if self._map is None:
            self._map = np.memmap(
                self.path, dtype=self.dtype, mode="r", offset=self.offset, shape=self.shape
            )
        return self._map

    def read(self, rows: slice, columns: slice) -> NDArray[np.float32]:
        """Return a rectangle; as :class:`PixelSource`."""
        low, left = max(rows.start - _AROUND, 0), max(columns.start - _AROUND, 0)
        around = (slice(low, rows.stop + _AROUND), slice(left, columns.stop + _AROUND))
        patch = emptied(self._taken(around))
        height, width = rows.stop - rows.start, columns.stop - columns.start
        top, side = rows.start - low, columns.start - left
        return np.ascontiguousarray(patch[top : top + height, side : side + width])

    def whole(self, x: NDArray[np.int64], y: NDArray[np.int64], *, reach: int) -> NDArray[np.bool_]:
        """Say which surroundings have data throughout; as :class:`PixelSource`."""
        rows, columns = self.shape
        found = (x >= reach) & (y >= reach) & (x < columns - reach) & (y < rows - reach)
        inside = np.flatnonzero(found)
        # What is empty is decided by two more pixels on every side; beyond the mosaic all is.
        step = np.arange(-reach - 2, reach + 3)
        for start in range(0, inside.size, _TOGETHER):
            some = inside[start : start + _TOGETHER]
            at_y = y[some][:, None, None] + step[:, None]
            at_x = x[some][:, None, None] + step
            beyond = (at_y < 0) | (at_x < 0) | (at_y >= rows) | (at_x >= columns)
            place = (np.clip(at_y, 0, rows - 1), np.clip(at_x, 0, columns - 1))
            patches = self._taken(place)
            patches[beyond] = 0
            inner = emptied(patches)[:, 2:-2, 2:-2]
            found[some] = ~np.isnan(inner).any(axis=(1, 2))
        return found

    def _taken(self, place: Any) -> NDArray[np.float32]:
        with np.errstate(over="ignore", invalid="ignore"):
            values: NDArray[np.float32] = self.mapped()[place].astype(np.float32)
        for weight in self.weights:
            values[~(weight.mapped()[place] > 0)] = np.nan
        return values


def open_mosaic(path: Path) -> Mosaic | None:
    """Read the header of a mosaic; no pixel is touched.

    Parameters
    ----------
    path : pathlib.Path
        The file; weight maps beside it (``x.weight.fits`` for ``x.fits``) and in it (an extension
        ``WHT``) are used.

    Returns
    -------
    Mosaic or None
        None for a band that is not used.

    Raises
    ------
    DataIntegrityError
        If it is no mosaic that can be used: the message says why, and what to do.
    """
    images = _images(path)
    image = _only([one for one in images if not one.aside], path)
    require_image(image.merged, path)
    band = band_of(image.merged, path)
    if not band:
        return None
    zero_point = zero_point_of(image.merged, path, band=band)
    wcs = _projection(image.header, path)
    pixels = _pixels(image, path)
    own = [
        _pixels(_only([one], path), path, _WEIGHT_TYPES) for one in images if one.aside in WEIGHTS
    ]
    beside = [_pixels(_only(_images(one), one), one, _WEIGHT_TYPES) for one in weight_maps(path)]
    for weight in (*own, *beside):
        if weight.shape != pixels.shape:
            wanted, got = (f"{r} rows and {c} columns" for r, c in (pixels.shape, weight.shape))
            raise refused(weight.path, wanted, got, f"take the weight map of {path.name}")
    pixels.weights = (*own, *beside)
    return Mosaic(name=path.name, band=band, zero_point=zero_point, wcs=wcs, pixels=pixels)


class _Image(NamedTuple):
    """An image of a file: its header, alone and behind the primary one; and where its pixels are.

    ``aside`` is the word by which it is called a weight map, a mask or the like; empty for none.
    """

    header: dict[str, Any]
    merged: dict[str, Any]
    place: int
    aside: str


def _images(path: Path) -> list[_Image]:
    """All images of a file."""
    from astropy.io import fits
    from astropy.utils.exceptions import AstropyWarning

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", AstropyWarning)
            with fits.open(path, memmap=True, disable_image_compression=True) as hdus:
                first = dict(hdus[0].header)
                found = [(dict(hdu.header), hdu.fileinfo()["datLoc"]) for hdu in hdus]
    except (OSError, ValueError, TypeError, KeyError, fits.VerifyError) as error:
        if isinstance(error, PermissionError):
            raise refused(path, "a file that can be read", "no permission", "chmod it") from None
        with path.open("rb") as stream:
            got = kind(stream.read(16))
        got = f"{got} that cannot be read" if got == "a FITS file" else got
        raise refused(path, "a FITS file", got, "download it again") from None
    words = [
        word_aside(str(header.get("EXTNAME", ""))) or word_aside(str(header.get("EXTTYPE", "")))
        for header, _ in found
    ]
    images = [
        _Image(header, {**first, **header}, place, word)
        for (header, place), word in zip(found, words, strict=True)
        if header.get("NAXIS", 0) >= 2 and header.get("XTENSION", "IMAGE") == "IMAGE"
    ]
    packed = [word for (header, _), word in zip(found, words, strict=True) if header.get("ZIMAGE")]
    if any(word in WEIGHTS for word in packed) or (packed and not images):
        raise compressed(path, ".fz")
    return images


def _only(images: list[_Image], path: Path) -> _Image:
    if len(images) != 1:
        got = "none" if not images else f"{len(images)}"
        raise refused(path, "one image", got, "combine its parts into one mosaic with SWarp")
    header = images[0].header
    if header["NAXIS"] != 2:
        shown = "x".join(str(header.get(f"NAXIS{k}")) for k in (1, 2, 3))
        raise refused(path, "an image of two axes", f"{shown} pixels", "save its plane alone")
    return images[0]


def _pixels(image: _Image, path: Path, types: Mapping[int, str] = _TYPES) -> FITSPixels:
    header = image.header
    bits, shape = header["BITPIX"], (int(header["NAXIS2"]), int(header["NAXIS1"]))
    scaled = (header.get("BSCALE", 1), header.get("BZERO", 0)) != (1, 0)
    if bits not in types or scaled:
        got = f"BITPIX {bits}{', scaled' if scaled else ''}"
        raise refused(path, "floating-point pixels", got, "convert it to BITPIX -32")
    if min(shape) < 1:
        raise refused(path, "pixels", f"{shape[1]} x {shape[0]}", "download it again")
    needed, there = image.place + math.prod(shape) * abs(bits) // 8, path.stat().st_size
    if there < needed:
        expected = f"{needed:,} bytes ({shape[1]} x {shape[0]} pixels)"
        raise refused(path, expected, f"{there:,}: it is cut short", "download it again")
    return FITSPixels(path, image.place, shape, dtype=types[bits])


def _projection(header: Mapping[str, Any], path: Path) -> WCS:
    """The gnomonic projection of an image's own header."""
    from astropy.io import fits
    from astropy.utils.exceptions import AstropyWarning
    from astropy.wcs import WCS

    require_plain(header, path, advice="resample it with SWarp (PROJECTION_TYPE TAN)")
    chosen = fits.Header()
    for key, value in header.items():
        if _WCS_KEY.fullmatch(key):
            chosen[key] = value
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", AstropyWarning)
            wcs = WCS(chosen, naxis=2)
            size = float(np.sqrt(abs(np.linalg.det(wcs.pixel_scale_matrix)))) * 3600
    except Exception as error:  # astropy's errors share no class
        raise refused(
            path, "a projection", type(error).__name__, "check CRVAL, CRPIX, CD"
        ) from None
    if not 0.01 <= size <= 10:
        raise refused(path, "pixels of 0.01 to 10 arcsec", f"{size:.3g}", "check CD or CDELT")
    return wcs


_WCS_KEY = re.compile(
    r"WCSAXES|RADESYS|RADECSYS|EQUINOX|LONPOLE|LATPOLE|(?:CTYPE|CUNIT|CRVAL|CRPIX|CDELT|CROTA)[12]|"
    r"(?:CD|PC)[12]_[12]|PC00[12]00[12]"
)
