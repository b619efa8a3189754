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
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from galaxyds.archives.bounded import kind
from galaxyds.archives.mosaic_headers import band_of, refused, zero_point_of
from galaxyds.errors import DataIntegrityError

if TYPE_CHECKING:
    from astropy.wcs import WCS
    from numpy.typing import NDArray

EMPTY_BLOCK = 3
"""Rows and columns of a square of exact zeros that means: not observed."""

_SUFFIXES = (".fits", ".fit", ".fts")
_COMPRESSED = (".fz", ".gz", ".bz2", ".xz", ".zip")
_ASIDE = re.compile(r"(?i)(?:^|[._-])(?:weights?|wht|conf|rms|var|variance|flags?|mask)(?=[._-]|$)")
_WEIGHTS = (".weight", "_weight", "-weight", ".wht", "_wht")
_TYPES = {-32: ">f4", -64: ">f8"}
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
    weight : FITSPixels, optional
        The weight map on the same pixels.
    """

    def __init__(
        self,
        path: Path,
        offset: int,
        shape: tuple[int, int],
        *,
        dtype: str,
        weight: FITSPixels | None = None,
    ) -> None:
        self.path, self.offset, self.shape, self.dtype = path, offset, shape, dtype
        self.weight = weight
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
        if self.weight is not None:
            weights = self.weight.mapped()[place].astype(np.float32)
            values[~(weights > 0)] = np.nan
        return values


def mosaic_files(folder: Path) -> tuple[Path, ...]:
    """Return the FITS files of a folder that are no weight maps, by name.

    Raises
    ------
    DataIntegrityError
        If one is compressed: it cannot be mapped.
    """
    found = []
    for path in sorted(path for path in folder.iterdir() if path.is_file()):
        suffix = path.suffix.lower()
        inner = Path(path.stem).suffix.lower()
        if suffix in _COMPRESSED and (inner in _SUFFIXES or suffix == ".fz"):
            raise _compressed(path, suffix)
        if suffix in _SUFFIXES and not _ASIDE.search(path.stem):
            found.append(path)
    return tuple(found)


def _compressed(path: Path, how: str) -> DataIntegrityError:
    tool = {".fz": "funpack", ".bz2": "bunzip2", ".xz": "unxz", ".zip": "unzip"}.get(how, "gunzip")
    return refused(path, "an uncompressed file, which can be mapped", how, f"{tool} it first")


def open_mosaic(path: Path) -> Mosaic | None:
    """Read the header of a mosaic; no pixel is touched.

    Parameters
    ----------
    path : pathlib.Path
        The file; a weight map beside it (``x.weight.fits`` for ``x.fits``) is used.

    Returns
    -------
    Mosaic or None
        None for a band that is not used.

    Raises
    ------
    DataIntegrityError
        If it is no mosaic that can be used: the message says why, and what to do.
    """
    header, pixels = _image(path)
    band = band_of(header, path)
    if not band:
        return None
    zero_point = zero_point_of(header, path)
    pixels.weight = _weight(path, pixels.shape)
    return Mosaic(
        name=path.name, band=band, zero_point=zero_point, wcs=_projection(header, path),
        pixels=pixels,
    )  # fmt: skip


def _weight(path: Path, shape: tuple[int, int]) -> FITSPixels | None:
    """Weight map beside a mosaic, if there is one."""
    for ending in _WEIGHTS:
        beside = path.with_name(f"{path.stem}{ending}{path.suffix}")
        if beside.is_file():
            pixels = _image(beside)[1]
            if pixels.shape != shape:
                expected, got = (f"{r} rows and {c} columns" for r, c in (shape, pixels.shape))
                raise refused(beside, expected, got, f"take the weight map of {path.name}")
            return pixels
    return None


def _image(path: Path) -> tuple[dict[str, Any], FITSPixels]:
    """Header and pixels of the one image of a file."""
    from astropy.io import fits
    from astropy.utils.exceptions import AstropyWarning

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", AstropyWarning)
            with fits.open(path, memmap=True, disable_image_compression=True) as hdus:
                number = _only_image([hdu.header for hdu in hdus], path)
                header, place = hdus[number].header, hdus[number].fileinfo()["datLoc"]
                merged = {**dict(hdus[0].header), **dict(header)}
    except (OSError, ValueError, TypeError, KeyError, fits.VerifyError) as error:
        if isinstance(error, PermissionError):
            raise refused(path, "a file that can be read", "no permission", "chmod it") from None
        with path.open("rb") as stream:
            got = kind(stream.read(16))
        got = f"{got} that cannot be read" if got == "a FITS file" else got
        raise refused(path, "a FITS file", got, "download it again") from None
    return merged, _pixels(merged, place, path)


def _only_image(headers: list[Any], path: Path) -> int:
    images = [
        n for n, header in enumerate(headers)
        if header.get("NAXIS", 0) >= 2 and header.get("XTENSION", "IMAGE") == "IMAGE"
        and not any(_ASIDE.search(str(header.get(k, ""))) for k in ("EXTNAME", "EXTTYPE"))
    ]  # fmt: skip
    if not images and any(header.get("ZIMAGE") for header in headers):
        raise _compressed(path, ".fz")
    if len(images) != 1:
        got = "none" if not images else f"{len(images)}"
        raise refused(path, "one image", got, "combine its parts into one mosaic with SWarp")
    if headers[images[0]]["NAXIS"] != 2:
        shape = "x".join(str(headers[images[0]].get(f"NAXIS{k}")) for k in (1, 2, 3))
        raise refused(path, "an image of two axes", f"{shape} pixels", "save its plane alone")
    return images[0]


def _pixels(header: dict[str, Any], offset: int, path: Path) -> FITSPixels:
    bits, shape = header["BITPIX"], (int(header["NAXIS2"]), int(header["NAXIS1"]))
    scaled = (header.get("BSCALE", 1), header.get("BZERO", 0)) != (1, 0)
    if bits not in _TYPES or scaled:
        got = f"BITPIX {bits}{', scaled' if scaled else ''}"
        raise refused(path, "floating-point pixels", got, "convert it to BITPIX -32")
    if min(shape) < 1:
        raise refused(path, "pixels", f"{shape[1]} x {shape[0]}", "download it again")
    needed, there = offset + math.prod(shape) * -bits // 8, path.stat().st_size
    if there < needed:
        expected = f"{needed:,} bytes ({shape[1]} x {shape[0]} pixels)"
        raise refused(path, expected, f"{there:,}: it is cut short", "download it again")
    return FITSPixels(path, offset, shape, dtype=_TYPES[bits])


def _projection(header: dict[str, Any], path: Path) -> WCS:
    """The gnomonic projection of a header."""
    from astropy.io import fits
    from astropy.utils.exceptions import AstropyWarning
    from astropy.wcs import WCS

    types = tuple(str(header.get(f"CTYPE{axis}", "none")).strip() for axis in (1, 2))
    distorted = any(key.startswith(("PV", "A_ORDER", "B_ORDER", "CPDIS")) for key in header)
    if types != ("RA---TAN", "DEC--TAN") or distorted:
        got = f"{types[0]}, {types[1]}{' with distortions' if distorted else ''}"
        raise refused(
            path, "RA---TAN, DEC--TAN", got, "resample it with SWarp (PROJECTION_TYPE TAN)"
        )
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
