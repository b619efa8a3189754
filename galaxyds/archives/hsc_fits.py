"""FITS files of the HSC cutout and PSF services, read from memory without trusting a byte.

A cutout has four HDUs: a header with the filter and the calibration, the image, and an empty mask
and variance where these were not asked for.  Its reference pixel is that of its tract, far outside
of the image, and its size varies by a pixel: an object's place follows from the WCS alone.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from galaxyds.archives.bounded import HDU, Value, scan_fits
from galaxyds.errors import DataIntegrityError, one_line

if TYPE_CHECKING:
    from astropy.wcs import WCS

PIXEL_SCALE = 0.168
"""Arcseconds per pixel of the coadds."""
ZERO_POINT = 27.0
"""Magnitude of one count per second and pixel in the coadds."""
FLUXMAG0 = 10 ** (ZERO_POINT / 2.5)
"""Counts of magnitude 0, as the header of a cutout states."""

_TYPES = {-32: ">f4", -64: ">f8"}


class TanGrid(NamedTuple):
    """A gnomonic grid, by the FITS keywords; degrees, and pixels from 1."""

    crpix: tuple[float, float]
    crval: tuple[float, float]
    cd: tuple[float, float, float, float]

    @classmethod
    def of(cls, header: Mapping[str, Value]) -> TanGrid:
        """Read CRPIX, CRVAL and CD of a FITS header.

        Raises
        ------
        ValueError
            If the header has no such projection.
        """
        if (header.get("CTYPE1"), header.get("CTYPE2")) != ("RA---TAN", "DEC--TAN"):
            raise ValueError("no RA---TAN, DEC--TAN projection")
        values = []
        for name, default in _WCS_KEYWORDS.items():
            value = header.get(name, default)
            if isinstance(value, bool | str) or value is None or not math.isfinite(value):
                raise ValueError(f"no number in {name}")
            values.append(float(value))
        x, y, ra, dec, *cd = values
        return cls((x, y), (ra, dec), (cd[0], cd[1], cd[2], cd[3]))

    def wcs(self) -> WCS:
        """Return it as an object of astropy."""
        from astropy.wcs import WCS

        made = WCS(naxis=2)
        made.wcs.ctype = ["RA---TAN", "DEC--TAN"]
        made.wcs.crpix, made.wcs.crval = self.crpix, self.crval
        made.wcs.cd = np.array(self.cd).reshape(2, 2)
        made.wcs.radesys = "ICRS"
        made.wcs.set()
        return made

    def pixel(self, ra: float, dec: float) -> tuple[float, float]:
        """Pixel of a sky position (Calabretta & Greisen 2002, section 5.1.3).

        Parameters
        ----------
        ra, dec : float
            Degrees, in the header's frame.

        Returns
        -------
        (float, float)
            0-based column and row.

        Raises
        ------
        ValueError
            If the position is not on the projection.
        """
        ra0, dec0 = (math.radians(angle) for angle in self.crval)
        cd11, cd12, cd21, cd22 = self.cd
        turn, north = math.radians(ra) - ra0, math.radians(dec)
        depth = math.sin(dec0) * math.sin(north) + math.cos(dec0) * math.cos(north) * math.cos(turn)
        determinant = cd11 * cd22 - cd12 * cd21
        if depth <= 0 or determinant == 0:
            raise ValueError("the position is not on the projection")
        xi = math.degrees(math.cos(north) * math.sin(turn) / depth)
        eta = math.cos(dec0) * math.sin(north) - math.sin(dec0) * math.cos(north) * math.cos(turn)
        eta = math.degrees(eta / depth)
        x = (cd22 * xi - cd12 * eta) / determinant
        y = (cd11 * eta - cd21 * xi) / determinant
        return self.crpix[0] + x - 1, self.crpix[1] + y - 1


class Placed(NamedTuple):
    """An image, the 0-based (x, y) of the object in it, and its grid."""

    pixels: NDArray[np.float32]
    position: tuple[float, float]
    grid: TanGrid


def tan_pixel(header: Mapping[str, Value], ra: float, dec: float) -> tuple[float, float]:
    """Pixel of a sky position in the gnomonic projection of a header; as :meth:`TanGrid.pixel`.

    Raises
    ------
    ValueError
        If the header has no such projection, or the position is not on it.
    """
    return TanGrid.of(header).pixel(ra, dec)


_WCS_KEYWORDS: dict[str, float | None] = {
    "CRPIX1": None, "CRPIX2": None, "CRVAL1": None, "CRVAL2": None,
    "CD1_1": None, "CD1_2": 0.0, "CD2_1": 0.0, "CD2_2": None,
}  # fmt: skip


def read_cutout(data: bytes, name: str, *, band: str, at: tuple[float, float], side: int) -> Placed:
    """Read one cutout.

    The image is delivered as it came.  A calibration other than zero point 27.0 is refused, not
    scaled: all coadds of the release share it, so another one means that this is another product.

    Parameters
    ----------
    data : bytes
        The file.
    name : str
        Its name, for messages.
    band : str
        Galaxyds name of the band it must be in.
    at : (float, float)
        Right ascension and declination of the object in degrees.
    side : int
        Largest acceptable width and height in pixels.

    Returns
    -------
    Placed
        Image of float32 (rows, columns) in native byte order, and the object's place on it.

    Raises
    ------
    DataIntegrityError
        If the file is damaged; with ``other_product`` if it is sound, and not what was asked: of
        another band, calibration or object.
    """
    hdus = _scan(data, name, side)
    if len(hdus) < 2:
        raise _wrong(name, "an image in the second HDU", f"{len(hdus)} HDU")
    head, image = hdus[0].header, hdus[1]
    found = str(head.get("FILTER", "")).strip().lower().removeprefix("hsc-").removesuffix("2")
    if found != band:
        raise _wrong(name, f"FILTER '{band}'", f"'{one_line(str(head.get('FILTER')), 30)}'")
    zero = head.get("FLUXMAG0")
    if not isinstance(zero, int | float) or not math.isclose(zero, FLUXMAG0, rel_tol=1e-6):
        raise _wrong(name, f"FLUXMAG0 {FLUXMAG0:.6g} (zero point 27.0)", f"{one_line(str(zero))}")
    pixels = _image(image, name, side).astype(np.float32, copy=False)
    try:
        grid = TanGrid.of(image.header)
        x, y = grid.pixel(*at)
    except ValueError as error:
        raise _wrong(name, "the projection of a coadd", str(error)) from None
    rows, columns = pixels.shape
    # At the survey's edge the service may cut off the object itself; far off, it is another one's.
    if not (-side <= x < columns + side and -side <= y < rows + side):
        got = f"pixel ({x:.1f}, {y:.1f}) of {columns} x {rows}"
        raise _wrong(name, "the object in its cutout", got)
    return Placed(pixels, (x, y), grid)


def read_point_spread(data: bytes, name: str, *, side: int) -> NDArray[np.float64]:
    """Read the first image of a file from the PSF service.

    Parameters
    ----------
    data : bytes
        The file.
    name : str
        Its name, for messages.
    side : int
        Largest acceptable width and height in pixels.

    Returns
    -------
    ndarray of float64, shape (rows, columns)
        As delivered.

    Raises
    ------
    DataIntegrityError
        If the file is damaged; with ``other_product`` if it holds no image.
    """
    for hdu in _scan(data, name, side):
        if len(hdu.shape) == 2 and hdu.header.get("BITPIX") in _TYPES:
            return _image(hdu, name, side).astype(np.float64, copy=False)
    raise _wrong(name, "an image of floating-point numbers", "none")


def _scan(data: bytes, name: str, side: int) -> tuple[HDU, ...]:
    return scan_fits(memoryview(data), Path(PurePosixPath(name).name), limit=side * side * 8)


def _image(hdu: HDU, name: str, side: int) -> NDArray[np.floating[Any]]:
    shape, dtype = hdu.shape, _TYPES.get(int(hdu.header["BITPIX"]))
    scaled = (hdu.header.get("BSCALE", 1), hdu.header.get("BZERO", 0)) != (1, 0)
    if len(shape) != 2 or dtype is None or scaled or not all(0 < n <= side for n in shape):
        got = f"{'x'.join(map(str, shape)) or 'no'} pixels of BITPIX {hdu.header['BITPIX']}"
        raise _wrong(name, f"an image of floating-point numbers, at most {side} pixels wide", got)
    stored = np.frombuffer(hdu.data, dtype).reshape(shape)
    return stored.astype(stored.dtype.newbyteorder("="))


def _wrong(name: str, expected: str, got: str) -> DataIntegrityError:
    short = one_line(PurePosixPath(name).name, 80)
    return DataIntegrityError(
        f"{short}: expected {expected}, got {got}; the service sent another product: check the "
        "service's address, or ask again",
        file=short, expected=expected, got=got, other_product=True,
    )  # fmt: skip
