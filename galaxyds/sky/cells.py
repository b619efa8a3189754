"""The sky in cells of about 0.1 degree: the unit in which the universe is seeded."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from galaxyds.sky.hashing import Floats, Keys, keyed, poisson, uniform

CELL = 0.1
"""Height of a cell in degrees of declination, and about its width on the sky."""
_ROWS = round(180 / CELL)
_STRIDE = 4096  # more than the 3,600 cells of the equator, so that an id never collides


@dataclass(frozen=True, kw_only=True, slots=True)
class Region:
    """A box on the sky, in degrees; ``ra_max`` may exceed 360 where the box crosses RA 0."""

    ra_min: float
    ra_max: float
    dec_min: float
    dec_max: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Cells:
    """Cells of the sky.

    Attributes
    ----------
    row, column : ndarray of int64, (n,)
        Index of the declination band from the south pole, and along it from RA 0.
    """

    row: NDArray[np.int64]
    column: NDArray[np.int64]

    @property
    def ids(self) -> NDArray[np.int64]:
        """Number of each cell, unique on the sky."""
        return self.row * _STRIDE + self.column

    def sin_dec(self) -> tuple[Floats, Floats]:
        """Sine of the declination at the lower and the upper edge."""
        low = np.sin(np.radians(self.row * CELL - 90.0))
        return low, np.sin(np.radians((self.row + 1) * CELL - 90.0))

    def area(self) -> Floats:
        """Solid angle of each cell in square degrees."""
        low, high = self.sin_dec()
        area: Floats = np.degrees(high - low) * 360.0 / cells_in_row(self.row)
        return area


def cells_in_row(row: NDArray[np.int64]) -> NDArray[np.int64]:
    """Count the cells of a declination band, so that each is about square."""
    middle = np.radians((row + 0.5) * CELL - 90.0)
    number: NDArray[np.int64] = np.maximum(1, np.rint(360.0 * np.cos(middle) / CELL)).astype(
        np.int64
    )
    return number


def cover(region: Region) -> Cells:
    """Find all cells that touch a region.

    Parameters
    ----------
    region : Region

    Returns
    -------
    Cells
        Each once, ordered by band, then along it.
    """
    first = max(0, int(np.floor((region.dec_min + 90.0) / CELL)))
    last = min(_ROWS - 1, int(np.floor((region.dec_max + 90.0) / CELL)))
    rows, columns = [], []
    for row in range(first, last + 1):
        number = int(cells_in_row(np.array([row]))[0])
        start = int(np.floor(region.ra_min / 360.0 * number))
        stop = int(np.floor(region.ra_max / 360.0 * number))
        along = np.unique(np.arange(start, min(stop, start + number - 1) + 1) % number)
        columns.append(along)
        rows.append(np.full(along.shape, row))
    if not rows:
        return Cells(row=np.zeros(0, np.int64), column=np.zeros(0, np.int64))
    return Cells(
        row=np.concatenate(rows).astype(np.int64), column=np.concatenate(columns).astype(np.int64)
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class Points:
    """Where sources are: key, and ICRS position in degrees; all (n,)."""

    key: Keys
    ra: Floats
    dec: Floats


def scatter(cells: Cells, density: float, *, seed: int, population: int) -> Points:
    """Place the sources of one population in cells: Poisson counts, uniform positions.

    Parameters
    ----------
    cells : Cells
    density : float
        Sources per square degree.
    seed : int
        Of the universe.
    population : int
        Number that names the population (kind and magnitude shell).

    Returns
    -------
    Points
        In the order of the cells, then of the index in the cell.
    """
    cell_keys = keyed(seed, population, cells.ids)
    counts = poisson(density * cells.area(), uniform(cell_keys, "count"))
    starts = np.concatenate([[0], np.cumsum(counts)[:-1]]) if counts.size else counts
    owner = np.repeat(np.arange(counts.size), counts)
    key = keyed(cell_keys[owner], np.arange(owner.size) - starts[owner])
    low, high = cells.sin_dec()
    sine = low[owner] + uniform(key, "dec") * (high - low)[owner]
    width = 360.0 / cells_in_row(cells.row)[owner]
    return Points(
        key=key,
        ra=(cells.column[owner] + uniform(key, "ra")) * width,
        dec=np.degrees(np.arcsin(sine)),
    )
