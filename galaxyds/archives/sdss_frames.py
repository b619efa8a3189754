"""Read SDSS corrected frames (``frame-{band}-{run}-{camcol}-{field}.fits.bz2``).

Structure after the data model of DR8 and later (datamodel/files/BOSS_PHOTOOBJ/frames): HDU 0 the
calibrated, sky-subtracted image in nanomaggies, HDU 1 the calibration vector (one value per
column), HDU 2 the sky on a coarse grid, HDU 3 the astrometric solution.  All four are verified,
the image alone is converted.
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from galaxyds.archives.bounded import (
    FITS_BLOCK,
    HDU,
    Value,
    broken,
    decompress_bz2,
    head_of_gzip,
    kind,
    read_bytes,
    scan_fits,
)
from galaxyds.errors import DataIntegrityError
from galaxyds.pixels.frame import Frame

if TYPE_CHECKING:
    import numpy as np
    from astropy.wcs import WCS
    from numpy.typing import NDArray

FRAME_LIMIT = 16 * 2**20
"""Most bytes of a frame's content; the survey's have 12,447,360 (2048 x 1489 pixels)."""

_SKY_COLUMNS = ("ALLSKY", "XINTERP", "YINTERP")
_AGAIN = "the file is damaged or not an SDSS frame: fetch it again"


def read_frame(path: Path, band: str, *, threads: int | None = None) -> Frame:
    """Read and verify one frame, decompressing it exactly once.

    Parameters
    ----------
    path : Path
        A ``.fits`` or ``.fits.bz2`` file; its content decides, not its name.
    band : str
        Band that the file must hold (its FILTER card).
    threads : int, optional
        Threads that decompress.  By default one in a worker process, whose siblings keep the other
        processors busy, and up to four in a process that works alone.  Pixels do not depend on it.

    Returns
    -------
    Frame
        Pixels in nanomaggies, shape (rows, columns), float32.

    Raises
    ------
    DataIntegrityError
        If the file is no frame, is another band, an old uncalibrated image (fpC), is cut, damaged
        or has no finite pixel.
    """
    content = _content(path, threads or _free_threads())
    hdus = scan_fits(content, path, limit=FRAME_LIMIT)
    _refuse_fpc(hdus[0].header, path, band)
    _verify_image(hdus[0], path, band)
    _verify_extensions(hdus, path)
    return Frame(band=band, pixels=_pixels(hdus[0], path), wcs=_wcs(hdus[0].header, path))


def _free_threads() -> int:
    if multiprocessing.parent_process() is not None:
        return 1
    return min(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 2, 4)


def _content(path: Path, threads: int) -> memoryview:
    try:
        with path.open("rb") as stream:
            head = stream.read(64)
    except OSError as error:
        cause = "the fetch did not complete or the file was removed: fetch it again"
        raise broken(path, "a readable file", error.strerror or str(error), cause) from error
    if head.startswith(b"BZh"):
        return decompress_bz2(path, limit=FRAME_LIMIT, threads=threads)
    if head.startswith(b"SIMPLE"):
        return memoryview(read_bytes(path, limit=FRAME_LIMIT))
    if head.startswith(b"\x1f\x8b"):
        _refuse_gzip(path)
    cause = "the fetch went wrong: fetch it again"
    raise broken(path, "an SDSS frame (.fits.bz2 or .fits)", kind(head), cause)


def _refuse_gzip(path: Path) -> None:
    """Fields of data release 7 and before are gzip files: say so if this is one."""
    head = head_of_gzip(path, 4 * FITS_BLOCK)
    if b"DNs" in head or b"BZERO   = 3.2768" in head:
        raise _fpc(path, "*")


def _fpc(path: Path, band: str) -> DataIntegrityError:
    got = "an old fpC image (16-bit counts without calibration, data release 7 and before)"
    cause = f"use frame-{band}-*.fits.bz2 of rerun 301 (data release 8 or later)"
    return broken(path, "a corrected frame (float32 nanomaggies)", got, cause)


def _refuse_fpc(header: Mapping[str, Value], path: Path, band: str) -> None:
    if header.get("BITPIX") == 16 and "NMGY" not in header:
        raise _fpc(path, band)


def _verify_image(hdu: HDU, path: Path, band: str) -> None:
    """Refuse what is not a calibrated two-dimensional float32 image of ``band``."""
    header, shape = hdu.header, hdu.shape
    if header["BITPIX"] != -32 or len(shape) != 2 or min(shape) < 1:
        got = f"{len(shape)} axes, BITPIX {header['BITPIX']}"
        raise broken(path, "a two-dimensional float32 image in HDU 0", got, _AGAIN)
    if header.get("BSCALE", 1) != 1 or header.get("BZERO", 0) != 0:
        got = f"BSCALE {header.get('BSCALE')}, BZERO {header.get('BZERO')}"
        raise broken(path, "unscaled pixel values", got, _AGAIN)
    if "NMGY" not in header or header.get("BUNIT", "nanomaggy") != "nanomaggy":
        got = f"BUNIT {header.get('BUNIT')!r} and {'a' if 'NMGY' in header else 'no'} NMGY card"
        raise broken(path, "an image calibrated in nanomaggies", got, _AGAIN)
    if header.get("FILTER") != band:
        cause = "the file has the wrong name or was fetched for another band: fetch it again"
        raise broken(path, f"band {band}", f"FILTER {header.get('FILTER')!r}", cause)


def _verify_extensions(hdus: tuple[HDU, ...], path: Path) -> None:
    """Refuse a file without calibration vector, sky table and astrometric table."""
    kinds = tuple(str(hdu.header.get("XTENSION", "PRIMARY")) for hdu in hdus)
    if kinds != ("PRIMARY", "IMAGE", "BINTABLE", "BINTABLE"):
        expected = "the four HDUs of a frame (image, IMAGE, BINTABLE, BINTABLE)"
        raise broken(path, expected, ", ".join(kinds), _AGAIN)
    columns = hdus[0].shape[1]
    if hdus[1].shape != (columns,) or hdus[1].header["BITPIX"] != -32:
        got = f"shape {hdus[1].shape}, BITPIX {hdus[1].header['BITPIX']}"
        raise broken(path, f"{columns} float32 calibrations in HDU 1", got, _AGAIN)
    names = {str(value).strip() for key, value in hdus[2].header.items() if key[:5] == "TTYPE"}
    if not names.issuperset(_SKY_COLUMNS):
        got = ", ".join(sorted(names)) or "no columns"
        raise broken(path, f"columns {', '.join(_SKY_COLUMNS)} in HDU 2", got, _AGAIN)


def _pixels(hdu: HDU, path: Path) -> NDArray[np.float32]:
    """Pixels in native byte order: the one copy of the data."""
    import numpy as np

    pixels = np.frombuffer(hdu.data, dtype=">f4").reshape(hdu.shape).astype(np.float32)
    # The sparse look settles nearly every frame; only a suspicious one is looked at in full.
    if not np.isfinite(pixels[::16, ::16]).any() and not np.isfinite(pixels).any():
        raise broken(path, "finite pixels", "none", "the archive's file is empty: leave this field")
    return pixels


def _wcs(header: Mapping[str, Value], path: Path) -> WCS:
    """Gnomonic world coordinates from the few cards that define them."""
    from astropy.wcs import WCS, WcsError

    types = (header.get("CTYPE1"), header.get("CTYPE2"))
    if types != ("RA---TAN", "DEC--TAN"):
        raise broken(path, "CTYPE RA---TAN and DEC--TAN", repr(types), _AGAIN)
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = list(types)
    wcs.wcs.cunit = ["deg", "deg"]
    wcs.wcs.crpix = [_number(header, f"CRPIX{i}", path) for i in (1, 2)]
    wcs.wcs.crval = [_number(header, f"CRVAL{i}", path) for i in (1, 2)]
    if "CD1_1" in header or "CD1_2" in header:
        wcs.wcs.cd = _matrix(header, path, name="CD", unit=0.0)
    else:
        wcs.wcs.cdelt = [_number(header, f"CDELT{i}", path) for i in (1, 2)]
        wcs.wcs.pc = _matrix(header, path, name="PC", unit=1.0)
    try:
        wcs.wcs.set()
    except WcsError as error:
        raise broken(path, "an invertible coordinate system", str(error), _AGAIN) from error
    return wcs


def _matrix(
    header: Mapping[str, Value], path: Path, *, name: str, unit: float
) -> list[list[float]]:
    """Linear terms; an absent one is ``unit`` on the diagonal, else 0 (FITS standard, 8.1)."""
    return [
        [_number(header, f"{name}{i}_{j}", path, default=unit * (i == j)) for j in (1, 2)]
        for i in (1, 2)
    ]


def _number(
    header: Mapping[str, Value], name: str, path: Path, *, default: float | None = None
) -> float:
    value = header.get(name, default)
    if isinstance(value, bool | str) or value is None or not abs(value) < 1e6:
        raise broken(path, f"a number for {name}", repr(value), _AGAIN)
    return float(value)
