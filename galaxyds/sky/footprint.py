"""Where SDSS points in the simulated sky: runs, camera columns and fields on the equator.

A run is a drift scan along right ascension; its six camera columns are strips of declination, cut
into fields of 1489 rows that advance by 1361, so that neighbours share 128 rows of sky.  Two runs
interleave into one filled stripe, as the north and south strips of SDSS do, and overlap by about
130 columns.  Run numbers lie beyond those of the survey, so that no real tile can be confused with
a simulated one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from galaxyds.archives.base import Tile
from galaxyds.errors import NotInArchiveError
from galaxyds.pixels.gnomonic import project
from galaxyds.sky.cells import Region
from galaxyds.sky.hashing import Floats, keyed, normal, uniform
from galaxyds.sky.surveys import SDSS

ROWS, COLUMNS = SDSS.tile_shape
ADVANCE = 1361
"""Rows between the first rows of successive fields."""
DEGREES = 1.0998e-4
"""Degrees per pixel, as in real frame headers."""
CAMCOL_SPACING = 0.4205
"""Degrees of declination between camera columns of a run."""
CENTER = (1024.0, 744.0)
"""0-based pixel (x, y) of the tangent point: CRPIX less one."""
# Shift (x, y) in pixels of a sky position against band r, as in the real field 94-1-12.
BAND_SHIFT = {"u": (4.0, 7.2), "g": (4.4, 13.9), "r": (0.0, 0.0), "i": (-1.5, 3.7), "z": (0.3, 9.4)}


@dataclass(frozen=True, kw_only=True, slots=True)
class Run:
    """A scan: number, start in RA, declination of camera column 1, first and last field."""

    number: int
    ra: float
    dec: float
    first: int
    last: int

    def dec_of(self, camcol: int) -> float:
        """Declination of the middle of a camera column, degrees."""
        return self.dec + (camcol - 1) * CAMCOL_SPACING

    def ra_step(self, camcol: int) -> float:
        """Degrees of right ascension between fields."""
        return ADVANCE * DEGREES / float(np.cos(np.radians(self.dec_of(camcol))))


@dataclass(frozen=True, kw_only=True, slots=True)
class TileWCS:
    """Tangent-plane astrometry of one frame.

    Attributes
    ----------
    ra, dec : float
        Tangent point (CRVAL), degrees, at the 0-based pixel :data:`CENTER`.
    cd : tuple of float
        CD1_1, CD1_2, CD2_1, CD2_2: degrees per pixel.
    """

    ra: float
    dec: float
    cd: tuple[float, float, float, float]

    def to_pixel(self, ra: Floats, dec: Floats) -> tuple[Floats, Floats]:
        """Find 0-based pixels (x, y) of sky positions (gnomonic)."""
        xi, eta = project(ra, dec, center=(self.ra, self.dec))
        a, b, c, e = self.cd
        determinant = a * e - b * c
        x = (e * xi - b * eta) / determinant + CENTER[0]
        y = (a * eta - c * xi) / determinant + CENTER[1]
        return x, y


@dataclass(frozen=True, kw_only=True, slots=True)
class Footprint:
    """The runs of a survey of the simulated sky."""

    runs: tuple[Run, ...]
    camcols: tuple[int, ...] = (1, 2, 3, 4, 5, 6)

    def tiles(self) -> tuple[Tile, ...]:
        """All tiles (run, camcol, field), in order."""
        return tuple(
            (run.number, camcol, field)
            for run in self.runs
            for camcol in self.camcols
            for field in range(run.first, run.last + 1)
        )

    def run(self, number: int) -> Run | None:
        """Return the run of that number, if there is one."""
        return next((run for run in self.runs if run.number == number), None)

    def has(self, tile: Tile) -> bool:
        """Whether a tile lies in the footprint."""
        if len(tile) != 3:
            return False
        run = self.run(tile[0])
        return run is not None and tile[1] in self.camcols and run.first <= tile[2] <= run.last

    def neighbours(self, tile: Tile) -> tuple[Tile, ...]:
        """Fields before and after a tile in its run and camera column."""
        run, camcol, field = tile
        around = ((run, camcol, field - 1), (run, camcol, field + 1))
        return tuple(other for other in around if self.has(other))

    def wcs(self, tile: Tile, band: str = "r") -> TileWCS:
        """Astrometry of a tile in a band.

        Raises
        ------
        NotInArchiveError
            If the footprint has no such tile.
        """
        run = self.run(tile[0])
        if run is None or not self.has(tile):
            raise NotInArchiveError(
                f"the simulated sky has no field {'-'.join(map(str, tile))}: its runs are "
                + ", ".join(str(known.number) for known in self.runs),
                tile=tile,
            )
        _, camcol, field = tile
        shift = _band_shift(run.number, camcol, band)
        step = run.ra_step(camcol)
        ra = run.ra + (field - run.first) * step + step * (CENTER[1] - shift[1]) / ADVANCE
        dec = run.dec_of(camcol) - shift[0] * DEGREES
        # Rows run exactly along the scan; the columns are tilted by a hair that differs by band.
        skew = DEGREES * 5e-4 * (uniform(keyed(run.number, camcol), f"skew {band}")[()] - 0.5)
        return TileWCS(ra=float(ra), dec=float(dec), cd=(float(skew), DEGREES, DEGREES, 0.0))

    def region(self, tile: Tile, margin: float) -> Region:
        """Box on the sky that holds a tile in all bands with a margin in degrees."""
        wcs = self.wcs(tile)
        half_ra = (ROWS / 2 * DEGREES + margin) / np.cos(np.radians(wcs.dec))
        half_dec = COLUMNS / 2 * DEGREES + margin
        return Region(
            ra_min=wcs.ra - half_ra,
            ra_max=wcs.ra + half_ra,
            dec_min=wcs.dec - half_dec,
            dec_max=wcs.dec + half_dec,
        )


DEFAULT_FOOTPRINT = Footprint(
    runs=(
        Run(number=9001, ra=30.0, dec=-1.2615, first=11, last=34),
        Run(number=9002, ra=30.05, dec=-1.0513, first=11, last=34),
        Run(number=9003, ra=150.0, dec=-1.2615, first=11, last=34),
    )
)
"""432 fields in three runs: about 13 square degrees and 20,000 quasars that pass the cuts."""


def _band_shift(run: int, camcol: int, band: str) -> tuple[float, float]:
    x, y = BAND_SHIFT[band]
    if band == "r":
        return x, y
    key = keyed(run, camcol)
    return (
        x + float(uniform(key, f"shift x {band}")[()]) - 0.5,
        y + float(uniform(key, f"shift y {band}")[()]) - 0.5,
    )


def seeing(tiles: NDArray[np.int64]) -> Floats:
    """Factor on the typical PSF width of tiles.

    Parameters
    ----------
    tiles : ndarray of int, (n, 3)
        run, camcol, field.

    Returns
    -------
    ndarray of float64, (n,)
        Log-normal with a scatter of 7 %, half of it shared by the fields of a camera column.
    """
    shared = normal(keyed(tiles[:, 0], tiles[:, 1]), "seeing of a column")
    own = normal(keyed(tiles[:, 0], tiles[:, 1], tiles[:, 2]), "seeing of a field")
    factor: Floats = np.exp(0.05 * shared.clip(-2, 2) + 0.05 * own.clip(-2, 2))
    return factor


# Electrons per count and counts^2 per camera column (rows) in ugriz: gain_ugriz and
# darkVariance_ugriz of the survey's Field table, runs after 1500.
GAIN = np.array(
    [
        (1.62, 3.32, 4.71, 5.165, 4.745),
        (1.825, 3.855, 4.6, 6.565, 5.155),
        (1.59, 3.845, 4.72, 4.86, 4.885),
        (1.6, 3.995, 4.76, 4.885, 4.775),
        (1.47, 4.05, 4.725, 4.64, 3.48),
        (2.17, 4.035, 4.895, 4.76, 4.69),
    ]
)
DARK_VARIANCE = np.array(
    [
        (9.61, 15.6025, 1.8225, 7.84, 0.81),
        (12.6025, 1.44, 1.00, 6.25, 1.0),
        (8.7025, 1.3225, 1.3225, 4.6225, 1.0),
        (12.6025, 1.96, 1.3225, 7.5625, 12.6025),
        (9.3025, 1.1025, 0.81, 7.84, 2.1025),
        (7.0225, 1.8225, 0.9025, 5.0625, 1.21),
    ]
)
