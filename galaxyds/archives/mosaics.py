"""Mosaics that whoever builds has downloaded, resampled onto the grids of other cutouts.

No address of these files is asked: whatever gnomonic mosaics lie in one folder are told apart by
their headers (:mod:`galaxyds.archives.mosaic_headers`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from galaxyds.archives.base import Need
from galaxyds.archives.mosaic_files import Mosaic, open_mosaic
from galaxyds.archives.mosaic_folder import mosaic_files
from galaxyds.archives.mosaic_headers import BANDS
from galaxyds.catalog.positions import unit_vectors
from galaxyds.errors import UsageError, one_line
from galaxyds.pixels.frame import Frame
from galaxyds.pixels.regrid import onto_grid

if TYPE_CHECKING:
    from astropy.wcs import WCS
    from numpy.typing import NDArray

ZERO_POINT = 27.0
"""AB magnitude of one count in every cutout that leaves here."""
REACH = 5
"""Mosaic pixels around an object that must all have data for its band to be there: the kernel's
three on each side, and two more for where the pixels of the cutout lie."""
KERNEL = "lanczos3"
HEAD_BYTES = 1 << 17
"""Bytes of a mosaic that are looked at to tell whether it is still the same."""

# Where the pages are is stated by users' software; none was opened for this list.
EXPECTED = (
    "CLAUDS u* and u (one file per patch or field): https://www.clauds.net/available-data",
    "UltraVISTA DR3 J, H, Ks (COSMOS): ESO Phase 3, https://archive.eso.org, collection UltraVISTA",
    "VIDEO DR4 J, H, Ks (XMM-LSS): ESO Phase 3, https://archive.eso.org, collection VIDEO",
)
"""Mosaics that the dataset of the paper was made from, and where they are published."""


def advice() -> str:
    """Return which files are expected and where they are published, in one line."""
    return (
        "download uncompressed FITS mosaics into one folder and pass --mosaics FOLDER; expected: "
        f"{'; '.join(EXPECTED)}"
    )


def own_mosaics(folder: Path) -> str:
    """Name the files of a folder, with what tells that one was edited, without the folder.

    Mosaics have tens of GB: of each the size, the time of the last change and a digest of the
    first :data:`HEAD_BYTES`, which hold its header.
    """
    found = sorted(folder.iterdir()) if folder.is_dir() else []
    return ", ".join(f"{path.name} ({_edition(path)})" for path in found if path.is_file())


def _edition(path: Path) -> str:
    try:
        stat = path.stat()
        with path.open("rb") as stream:
            head = hashlib.blake2b(stream.read(HEAD_BYTES), digest_size=8).hexdigest()
    except OSError as error:
        return one_line(error.strerror or str(error), 60)
    changed = datetime.fromtimestamp(stat.st_mtime_ns // 10**9, UTC).isoformat()
    return f"{stat.st_size} bytes of {changed}, begins with {head}"


def need(folder: Path | None) -> Need:
    """Say whether there is a folder that holds files.

    Parameters
    ----------
    folder : pathlib.Path or None
        What was given.
    """
    present = folder is not None and folder.is_dir() and any(folder.iterdir())
    return Need("mosaics of u and the near infrared", present, advice())


class _Place(NamedTuple):
    """Middle of a mosaic on the sky, and the cosine of the angle from there to its corners."""

    middle: NDArray[np.float64]
    cosine: float


class Mosaics:
    """Mosaics of several bands.

    Parameters
    ----------
    mosaics : sequence of Mosaic
        At least one; of several of a band that show an object, the one counts in which it is
        farthest from the edges, and the others fill what that lacks.

    Attributes
    ----------
    mosaics : tuple of Mosaic
        In the order of their names.
    """

    def __init__(self, mosaics: Sequence[Mosaic]) -> None:
        self.mosaics = tuple(sorted(mosaics, key=lambda mosaic: mosaic.name))
        self._places = [_place(mosaic) for mosaic in self.mosaics]

    @classmethod
    def of(cls, folder: Path | None) -> Mosaics:
        """Find the mosaics of a folder.

        Parameters
        ----------
        folder : pathlib.Path or None
            Holds FITS files; folders in it are not looked at.

        Returns
        -------
        Mosaics
            Headers are read, pixels are not.

        Raises
        ------
        UsageError
            If there is no folder, or nothing that can be used in it.
        DataIntegrityError
            If a file is no mosaic that can be used: it is named.
        """
        if folder is None:
            raise UsageError(f"no mosaics of u and the near infrared were given: {advice()}")
        if not folder.is_dir():
            raise UsageError(f"there is no folder {folder}: {advice()}")
        found = [mosaic for path in mosaic_files(folder) if (mosaic := open_mosaic(path))]
        if not found:
            raise UsageError(f"{folder} holds no mosaic of {', '.join(BANDS)}: {advice()}")
        return cls(found)

    @property
    def bands(self) -> tuple[str, ...]:
        """Bands of which there is a mosaic, in the order of their wavelengths."""
        there = {mosaic.band for mosaic in self.mosaics}
        return tuple(band for band in BANDS if band in there)

    def covering(
        self, ra: NDArray[np.float64], dec: NDArray[np.float64]
    ) -> dict[str, NDArray[np.bool_]]:
        """Say which bands show each position.

        Parameters
        ----------
        ra, dec : ndarray of float64, shape (n,)
            Degrees.

        Returns
        -------
        dict of str to ndarray of bool, shape (n,)
            For each of :data:`~galaxyds.archives.mosaic_headers.BANDS`: whether a mosaic has data
            in all pixels within :data:`REACH` of the position.
        """
        ra, dec = np.asarray(ra, np.float64), np.asarray(dec, np.float64)
        vectors = unit_vectors(ra, dec)
        found = {band: np.zeros(ra.shape, bool) for band in BANDS}
        for mosaic, place in zip(self.mosaics, self._places, strict=True):
            covered = found[mosaic.band]
            some = np.flatnonzero(~covered & (vectors @ place.middle >= place.cosine))
            if some.size:
                x, y = mosaic.wcs.all_world2pix(ra[some], dec[some], 0)
                pixel = (np.rint(at).astype(np.int64) for at in (x, y))
                covered[some] = mosaic.pixels.whole(*pixel, reach=REACH)
        return found

    def cutout(
        self, band: str, grid: WCS, shape: tuple[int, int], *, at: tuple[float, float]
    ) -> NDArray[np.float32] | None:
        """Resample a band onto a grid.

        Parameters
        ----------
        band : str
            One of :attr:`bands`, or another one that no mosaic has.
        grid : astropy.wcs.WCS
            Gnomonic.
        shape : tuple of int
            Rows and columns.
        at : (float, float)
            Right ascension and declination of the object in degrees.

        Returns
        -------
        ndarray of float32, shape (rows, columns), or None
            Counts of zero point 27.0; NaN where a mosaic has no data; None where
            :meth:`covering` says that the object has none.
        """
        image: NDArray[np.float32] | None = None
        for mosaic, inside in self._showing(band, at):
            if image is None and not inside:
                return None
            lacking = np.ones(shape, bool) if image is None else np.isnan(image)
            if lacking.any():
                more = _resampled(mosaic, grid, shape)
                image = more if image is None else np.where(lacking, more, image)
        return image

    def _showing(self, band: str, at: tuple[float, float]) -> list[tuple[Mosaic, bool]]:
        """Mosaics of a band at a position, the best first, and whether they cover it."""
        vector = unit_vectors(np.array([at[0]]), np.array([at[1]]))[0]
        ranked = []
        for mosaic, place in zip(self.mosaics, self._places, strict=True):
            if mosaic.band != band or vector @ place.middle < place.cosine:
                continue
            x, y = (float(v) for v in mosaic.wcs.all_world2pix(*at, 0))
            rows, columns = mosaic.pixels.shape
            margin = min(x, y, columns - 1 - x, rows - 1 - y)
            pixel = (np.array([round(v)]) for v in (x, y))
            inside = bool(mosaic.pixels.whole(*pixel, reach=REACH)[0])
            ranked.append((not inside, -margin, mosaic.name, mosaic))
        ranked.sort(key=lambda one: one[:3])
        return [(mosaic, not outside) for outside, _, _, mosaic in ranked]


def _place(mosaic: Mosaic) -> _Place:
    """Where a mosaic lies, its edges included."""
    rows, columns = mosaic.pixels.shape
    x = np.array([(columns - 1) / 2, 0, 0, columns - 1, columns - 1])
    y = np.array([(rows - 1) / 2, 0, rows - 1, 0, rows - 1])
    vectors = unit_vectors(*mosaic.wcs.all_pix2world(x, y, 0))
    return _Place(vectors[0], float((vectors[1:] @ vectors[0]).min()) - 1e-12)


def _resampled(mosaic: Mosaic, grid: WCS, shape: tuple[int, int]) -> NDArray[np.float32]:
    """Counts of zero point 27.0 on a grid; reads no more than lies under it."""
    window = _window(mosaic, grid, shape)
    if window is None:
        return np.full(shape, np.nan, np.float32)
    rows, columns = window
    wcs = mosaic.wcs.deepcopy()
    wcs.wcs.crpix = wcs.wcs.crpix - (columns.start, rows.start)
    frame = Frame(band=mosaic.band, pixels=mosaic.pixels.read(rows, columns), wcs=wcs)
    image = onto_grid(frame, grid, shape, kernel=KERNEL)
    image *= np.float32(10 ** (0.4 * (ZERO_POINT - mosaic.zero_point)))
    return image


def _window(mosaic: Mosaic, grid: WCS, shape: tuple[int, int]) -> tuple[slice, slice] | None:
    """Rows and columns of a mosaic under a grid and its kernels; None if there are none."""
    ends = [np.array([-1.0, (n - 1) / 2, n]) for n in shape]
    y, x = (axis.ravel() for axis in np.meshgrid(*ends, indexing="ij"))
    places = mosaic.wcs.all_world2pix(*grid.all_pix2world(x, y, 0), 0)
    spans = []
    for pixels, extent in zip(places[::-1], mosaic.pixels.shape, strict=True):
        low = max(int(np.floor(pixels.min())) - REACH, 0)
        high = min(int(np.ceil(pixels.max())) + REACH + 1, extent)
        if not low < high:
            return None
        spans.append(slice(low, high))
    return spans[0], spans[1]
