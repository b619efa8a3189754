"""A frame continued by its neighbours along the scan: rectangles of pixels from both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from astropy.wcs import WCS
    from numpy.typing import NDArray

    from galaxyds.pixels.frame import Frame

SEAM_TOLERANCE = 0.25
"""Pixels by which a neighbour may miss the integer row offset that places it.

Fields of a run are pieces of one scan, hence offset by whole rows; each has its own astrometric
fit, good to about 0.1 pixel.  A neighbour that misses by more is not used.
"""


class Block(NamedTuple):
    """Rectangles cut for several objects.

    Attributes
    ----------
    pixels : ndarray of float32, shape (n, height, width)
        NaN where no frame has a pixel.
    missing, borrowed : ndarray of bool, shape (n,)
        Whether some pixel has no frame, or comes from a neighbour.
    """

    pixels: NDArray[np.float32]
    missing: NDArray[np.bool_]
    borrowed: NDArray[np.bool_]


def to_pixels(
    wcs: WCS, ra: NDArray[np.float64], dec: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """0-based columns and rows of sky positions; NaN where the projection has none.

    Parameters
    ----------
    wcs : astropy.wcs.WCS
        Celestial, two axes.
    ra, dec : ndarray of float64, shape (n,)
        Degrees.

    Returns
    -------
    column, row : ndarray of float64, shape (n,)
        The centre of the first pixel is (0, 0).
    """
    if not len(ra):
        return np.zeros(0), np.zeros(0)
    to = wcs.all_world2pix if wcs.has_distortion else wcs.wcs_world2pix
    column, row = to(ra, dec, 0)
    return np.asarray(column), np.asarray(row)


def to_sky(
    wcs: WCS, column: NDArray[np.float64], row: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Right ascensions and declinations (degrees) of 0-based columns and rows."""
    if not len(column):
        return np.zeros(0), np.zeros(0)
    to = wcs.all_pix2world if wcs.has_distortion else wcs.wcs_pix2world
    ra, dec = to(column, row, 0)
    return np.asarray(ra), np.asarray(dec)


def row_offset(frame: Frame, other: Frame) -> int | None:
    """Row of ``frame`` on which row 0 of ``other`` lies; None where they do not join.

    Both must have the same columns; positions along both edges of ``frame`` are compared through
    the sky, and all must agree with one whole number of rows to :data:`SEAM_TOLERANCE`.

    Parameters
    ----------
    frame, other : Frame
        Fields of the same run, camera column and band.

    Returns
    -------
    int or None
        The offset, or None if ``other`` cannot continue ``frame``.
    """
    rows, columns = frame.pixels.shape
    if other.pixels.shape[1] != columns:
        return None
    middle = to_sky(other.wcs, np.array([(columns - 1) / 2]), np.array([0.0]))
    first = to_pixels(frame.wcs, *middle)[1][0]
    if not abs(first) < 2 * (rows + len(other.pixels)):
        return None
    edge = rows - 1.0 if first > 0 else 0.0
    column, row = (
        a.ravel()
        for a in np.meshgrid(np.linspace(0, columns - 1, 5), edge + np.array([-64, 0, 64]))
    )
    there_column, there_row = to_pixels(other.wcs, *to_sky(frame.wcs, column, row))
    offset = float(np.round(np.median(row - there_row)))
    worst = max(np.abs(row - there_row - offset).max(), np.abs(column - there_column).max())
    return int(offset) if worst <= SEAM_TOLERANCE else None


@dataclass(frozen=True)
class Strip:
    """A frame and those neighbours that continue it.

    Attributes
    ----------
    frame : Frame
        Its pixels win wherever it has them.
    neighbours : sequence of Frame
        Candidates, by preference; compared with the frame only when pixels are missing.
    """

    frame: Frame
    neighbours: Sequence[Frame] = ()

    def cut(
        self,
        top: NDArray[np.int64],
        left: NDArray[np.int64],
        *,
        height: int,
        width: int,
    ) -> Block:
        """Cut one rectangle per object, by integer corners.

        Parameters
        ----------
        top, left : ndarray of int64, shape (n,)
            Row and column of the first pixel; anywhere.
        height, width : int
            Size of all rectangles.

        Returns
        -------
        Block
            Copies; pixels of the frame are bit for bit its own.
        """
        pixels = self.frame.pixels
        rows, columns = pixels.shape
        whole = (top >= 0) & (left >= 0) & (top + height <= rows) & (left + width <= columns)
        block = np.empty((len(top), height, width), dtype=np.float32)
        missing = np.zeros(len(top), dtype=np.bool_)
        borrowed = np.zeros(len(top), dtype=np.bool_)
        pieces = [] if whole.all() else self.pieces
        for k, (a, b) in enumerate(zip(top.tolist(), left.tolist(), strict=True)):
            if whole[k]:
                block[k] = pixels[a : a + height, b : b + width]
            else:
                missing[k], borrowed[k] = _assemble(block[k], a, b, pieces=pieces)
        return Block(block, missing, borrowed)

    @cached_property
    def pieces(self) -> list[tuple[int, NDArray[np.float32]]]:
        """The frame and those neighbours that join it, each with its first row."""
        pieces = [(0, self.frame.pixels)]
        for other in self.neighbours:
            offset = row_offset(self.frame, other)
            if offset is not None:
                pieces.append((offset, other.pixels))
        return pieces


def _assemble(
    target: NDArray[np.float32],
    top: int,
    left: int,
    *,
    pieces: Sequence[tuple[int, NDArray[np.float32]]],
) -> tuple[bool, bool]:
    """Fill ``target`` from ``pieces``, first come first served; returns missing and borrowed."""
    height, width = target.shape
    target.fill(np.nan)
    vacant = np.ones(height, dtype=np.bool_)
    borrowed = False
    first, last = max(left, 0), min(left + width, pieces[0][1].shape[1])
    for order, (offset, pixels) in enumerate(pieces):
        wanted = np.arange(top, top + height) - offset
        take = vacant & (wanted >= 0) & (wanted < len(pixels))
        if first < last and take.any():
            target[take, first - left : last - left] = pixels[wanted[take], first:last]
            vacant &= ~take
            borrowed |= order > 0
    return bool(vacant.any() or last - first < width), borrowed
