"""Target grids on the sky, and the linear maps from their pixels to a frame's.

A map goes from (i, j), rows and columns counted from the middle of a target, to 0-based rows and
columns of a frame.  Over a cutout two gnomonic grids differ from a linear map by far less than
:data:`LINEAR`; where distortion makes it more, :func:`positions` gives every pixel its own place.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np

from galaxyds.pixels.strip import to_pixels, to_sky

if TYPE_CHECKING:
    from astropy.wcs import WCS
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

LINEAR = 1e-3
"""Pixels by which curvature may move a pixel for a map to count as linear."""


class LinearMap(NamedTuple):
    """Linear maps from targets to a frame.

    Attributes
    ----------
    rows, columns : ndarray of float64, shape (n, 3)
        ``row = rows[:, 0] + rows[:, 1] * i + rows[:, 2] * j`` with (i, j) the row and the column
        from the target's middle; likewise ``columns``.  NaN where the frame's projection has no
        such position.
    curvature : ndarray of float64, shape (n,)
        Largest departure from it at the target's corners, edges and middle, in pixels.
    """

    rows: Floats
    columns: Floats
    curvature: Floats

    @property
    def area(self) -> Floats:
        """Pixels of the frame per pixel of the target: what conserves flux."""
        (_, a, b), (_, c, d) = self.rows.T, self.columns.T
        return np.asarray(np.abs(a * d - b * c))

    def of(self, which: NDArray[np.int64]) -> LinearMap:
        """The maps of some targets, by their indices."""
        return LinearMap(self.rows[which], self.columns[which], self.curvature[which])


class Grids(Protocol):
    """Pixel grids of several targets of one size."""

    def sky(self, which: NDArray[np.int64], i: Floats, j: Floats) -> tuple[Floats, Floats]:
        """Sky positions of points of some targets.

        Parameters
        ----------
        which : ndarray of int64, shape (n,)
            Indices of targets.
        i, j : ndarray of float64, shape (m,)
            Rows and columns from a target's middle.

        Returns
        -------
        ra, dec : ndarray of float64, shape (n, m)
            Degrees.
        """
        ...

    def __len__(self) -> int:
        """Number of targets."""
        ...


@dataclass(frozen=True)
class TangentGrids:
    """One gnomonic grid per object: north up, east left, the object in the middle.

    Attributes
    ----------
    ra, dec : ndarray of float64, shape (n,)
        Degrees; the tangent points.
    scale : float
        Arcseconds per pixel.
    """

    ra: Floats
    dec: Floats
    scale: float

    def sky(self, which: NDArray[np.int64], i: Floats, j: Floats) -> tuple[Floats, Floats]:
        """Deproject; rows go towards +dec, columns towards -RA."""
        step = np.radians(self.scale / 3600)
        return deproject(-j * step, i * step, ra=self.ra[which, None], dec=self.dec[which, None])

    def __len__(self) -> int:
        """Number of objects."""
        return len(self.ra)


@dataclass(frozen=True)
class PixelGrids:
    """Pieces of one pixel grid.

    Attributes
    ----------
    wcs : astropy.wcs.WCS
        The grid's.
    row, column : ndarray of float64, shape (n,)
        0-based position of each piece's middle.
    """

    wcs: WCS
    row: Floats
    column: Floats

    def sky(self, which: NDArray[np.int64], i: Floats, j: Floats) -> tuple[Floats, Floats]:
        """Through the grid's own coordinate system."""
        row, column = self.row[which, None] + i, self.column[which, None] + j
        ra, dec = to_sky(self.wcs, column.ravel(), row.ravel())
        return ra.reshape(row.shape), dec.reshape(row.shape)

    def __len__(self) -> int:
        """Number of pieces."""
        return len(self.row)


def deproject(xi: Floats, eta: Floats, *, ra: Floats, dec: Floats) -> tuple[Floats, Floats]:
    """Sky positions of gnomonic plane coordinates (Calabretta & Greisen 2002, 5.1.3).

    Parameters
    ----------
    xi, eta : ndarray of float64, shape (...)
        East and north of the tangent point, radians.
    ra, dec : ndarray of float64, shape (...)
        Tangent points, degrees; broadcast against ``xi``.

    Returns
    -------
    ra, dec : ndarray of float64, shape (...)
        Degrees, right ascension in [0, 360).
    """
    height = np.radians(dec)
    along = np.cos(height) - eta * np.sin(height)
    up = np.sin(height) + eta * np.cos(height)
    east = (ra + np.degrees(np.arctan2(xi, along))) % 360.0
    return np.asarray(east), np.asarray(np.degrees(np.arctan2(up, np.hypot(along, xi))))


def slopes(values: Floats) -> tuple[Floats, Floats]:
    """Least-squares slopes of values on 3 x 3 points, one step apart.

    Parameters
    ----------
    values : ndarray of float64, shape (n, 9)
        Row by row.

    Returns
    -------
    along_i, along_j : ndarray of float64, shape (n,)
        Per step.  Summed by slices: the last digit of BLAS depends on n.
    """
    along_i = (values[:, 6:].sum(axis=1) - values[:, :3].sum(axis=1)) / 6
    along_j = (values[:, 2::3].sum(axis=1) - values[:, ::3].sum(axis=1)) / 6
    return along_i, along_j


def linear_map(
    wcs: WCS,
    grids: Grids,
    size: int,
    *,
    slopes: Callable[[Floats], tuple[Floats, Floats]] = slopes,
) -> LinearMap:
    """Least-squares linear maps through the sky on 3 x 3 points per target.

    Parameters
    ----------
    wcs : astropy.wcs.WCS
        Of the frame.
    grids : Grids
        The targets.
    size : int
        Rows and columns of a target.
    slopes : callable
        How to sum; see :func:`slopes`.

    Returns
    -------
    LinearMap
        In the order of the targets.
    """
    half = (size - 1) / 2
    i, j = np.repeat([-1.0, 0.0, 1.0], 3), np.tile([-1.0, 0.0, 1.0], 3)
    there = _through(wcs, grids.sky(np.arange(len(grids)), half * i, half * j))
    fits, worst = [], np.zeros(len(grids))
    for values in there:
        # On this grid the three unknowns are uncorrelated, so each is a plain average.
        mean, (along_i, along_j) = values.mean(axis=1), slopes(values)
        model = mean[:, None] + along_i[:, None] * i + along_j[:, None] * j
        worst = np.maximum(worst, np.abs(values - model).max(axis=1))
        fits.append(np.stack([mean, along_i / max(half, 0.5), along_j / max(half, 0.5)], axis=1))
    return LinearMap(fits[0], fits[1], worst)


def positions(wcs: WCS, grids: Grids, which: int, size: int) -> tuple[Floats, Floats]:
    """Rows and columns on the frame of all pixels of one target, without approximation.

    Parameters
    ----------
    wcs : astropy.wcs.WCS
        Of the frame.
    grids : Grids
        The targets.
    which : int
        Index of the target.
    size : int
        Its rows and columns.

    Returns
    -------
    row, column : ndarray of float64, shape (size, size)
        0-based.
    """
    i, j = (a.ravel().astype(np.float64) - (size - 1) / 2 for a in np.indices((size, size)))
    row, column = _through(wcs, grids.sky(np.array([which]), i, j))
    return row.reshape(size, size), column.reshape(size, size)


def _through(wcs: WCS, sky: tuple[Floats, Floats]) -> tuple[Floats, Floats]:
    """Rows and columns on the frame of sky positions, shape (targets, points)."""
    ra, dec = sky
    column, row = to_pixels(wcs, ra.ravel(), dec.ravel())
    return row.reshape(ra.shape), column.reshape(ra.shape)
