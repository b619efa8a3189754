"""Where HSC points in the simulated sky: tracts, their patches, and the names of objects in them.

A tract is one gnomonic plane with a grid of 9 x 9 patches, 4000 pixels apart and 4200 wide, so that
neighbours share 200 rows or columns; the tangent point is the middle of the tract, so the reference
pixel lies far outside of nearly every patch.  Tracts overlap at their rims.  Their numbers lie
beyond those of the survey, so that no real object can be confused with a simulated one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from galaxyds.errors import NotInArchiveError
from galaxyds.pixels.gnomonic import deproject, project
from galaxyds.sky.cells import Region
from galaxyds.sky.hashing import Floats
from galaxyds.sky.surveys import HSC

if TYPE_CHECKING:
    from astropy.wcs import WCS

Integers = NDArray[np.int64]

INNER = 4000
"""Pixels from one patch to the next."""
BORDER = 100
"""Pixels by which a patch reaches into its neighbours on either side."""
GRID = 9
"""Patches of a tract along x and along y."""
CENTER = 17999.0
"""0-based pixel (x and y) of the tangent point in the tract, as in the headers of tract 8279."""
DEGREES = HSC.pixel_scale / 3600
"""Degrees per pixel."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Tract:
    """A tract, and the patches of it that were observed.

    Attributes
    ----------
    number : int
    ra, dec : float
        Tangent point in degrees.
    columns, rows : tuple of int
        First and last observed patch along x (towards the west is 8, so x grows to lower right
        ascension) and along y (north).
    """

    number: int
    ra: float
    dec: float
    columns: tuple[int, int] = (0, GRID - 1)
    rows: tuple[int, int] = (0, GRID - 1)

    def to_pixel(self, ra: Floats, dec: Floats) -> tuple[Floats, Floats]:
        """Find 0-based tract pixels (x, y) of sky positions; x grows westwards."""
        xi, eta = project(ra, dec, center=(self.ra, self.dec))
        return CENTER - xi / DEGREES, CENTER + eta / DEGREES

    def to_sky(self, x: Floats, y: Floats) -> tuple[Floats, Floats]:
        """Find right ascension and declination in degrees of 0-based tract pixels."""
        xi, eta = (CENTER - x) * DEGREES, (y - CENTER) * DEGREES
        return deproject(xi, eta, center=(self.ra, self.dec))

    def grid(self, x: int, y: int) -> WCS:
        """Return the projection of the pixels from column ``x`` and row ``y`` on."""
        from astropy.wcs import WCS

        made = WCS(naxis=2)
        made.wcs.ctype = ["RA---TAN", "DEC--TAN"]
        made.wcs.crval = (self.ra, self.dec)
        made.wcs.crpix = (CENTER + 1 - x, CENTER + 1 - y)
        made.wcs.cd = np.array([[-DEGREES, 0.0], [0.0, DEGREES]])
        made.wcs.radesys = "ICRS"
        made.wcs.set()
        return made

    def patches(self) -> tuple[tuple[int, int], ...]:
        """Observed patches (x, y), in the order of their numbers."""
        return tuple(
            (x, y)
            for x in range(self.columns[0], self.columns[1] + 1)
            for y in range(self.rows[0], self.rows[1] + 1)
        )

    def patch_of(self, x: float, y: float) -> tuple[int, int] | None:
        """Patch whose inner area holds a pixel, borders of the observed area included."""
        column, row = _nearest(x, self.columns), _nearest(y, self.rows)
        return None if column is None or row is None else (column, row)

    def region(self, margin: float) -> Region:
        """Box on the sky that holds the observed patches, with a margin in pixels."""
        first, last = self.columns
        low, high = self.rows
        x = np.linspace(first * INNER - margin, (last + 1) * INNER + margin, 21)
        y = np.linspace(low * INNER - margin, (high + 1) * INNER + margin, 21)
        return sky_box(self, x, y)


def _nearest(pixel: float, observed: tuple[int, int]) -> int | None:
    low, high = observed[0] * INNER - BORDER, (observed[1] + 1) * INNER + BORDER
    if not low <= pixel < high:
        return None
    return int(np.clip(pixel // INNER, *observed))


def sky_box(tract: Tract, x: Floats, y: Floats) -> Region:
    """Box on the sky that holds a rectangle of tract pixels, sampled at columns x and rows y."""
    columns, rows = np.meshgrid(x, y)
    ra, dec = tract.to_sky(columns.ravel(), rows.ravel())
    ra = np.where(ra - tract.ra > 180, ra - 360, np.where(ra - tract.ra < -180, ra + 360, ra))
    return Region(
        ra_min=float(ra.min()),
        ra_max=float(ra.max()),
        dec_min=float(dec.min()),
        dec_max=float(dec.max()),
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class HSCFootprint:
    """The tracts of a survey of the simulated sky."""

    tracts: tuple[Tract, ...]

    def tract(self, number: int) -> Tract:
        """Return the tract of that number.

        Raises
        ------
        NotInArchiveError
            If the footprint has none.
        """
        for tract in self.tracts:
            if tract.number == number:
                return tract
        known = ", ".join(str(tract.number) for tract in self.tracts)
        raise NotInArchiveError(
            f"the simulated sky has no tract {number}: its tracts are {known}", tract=number
        )

    def owner(self, ra: Floats, dec: Floats) -> Integers:
        """Index of the tract whose middle is nearest to each position: the primary one."""
        distances = [
            np.hypot((ra - t.ra) * np.cos(np.radians(t.dec)), dec - t.dec) for t in self.tracts
        ]
        nearest: Integers = np.argmin(np.stack(distances), axis=0).astype(np.int64)
        return nearest


DEFAULT_HSC_FOOTPRINT = HSCFootprint(
    tracts=tuple(
        Tract(number=20001 + n, ra=330.0 + 1.62 * n, dec=-0.30, rows=(5, 6)) for n in range(4)
    )
)
"""Four tracts with two rows of patches each: 2.4 square degrees on the equator."""


def patch_number(x: Integers, y: Integers) -> Integers:
    """Number of patches as in the column ``patch``: patch "x,y" is 100 x + y."""
    number: Integers = 100 * x + y
    return number


def object_id(tract: Integers, x: Integers, y: Integers, counter: Integers) -> Integers:
    """Pack object ids as the pipeline does.

    Parameters
    ----------
    tract, x, y, counter : ndarray of int64
        Tract, patch, and number of the object in the patch.

    Returns
    -------
    ndarray of int64
        tract << 42 | x << 37 | y << 32 | counter: the layout of real ids, in which
        36411452835238206 is an object of tract 8279 and patch 0,6.
    """
    return (tract << 42) | (x << 37) | (y << 32) | counter
