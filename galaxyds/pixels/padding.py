"""Cutouts as a service delivers them, put into squares of one size."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from galaxyds.pixels.flags import CROPPED, GRIDS_DIFFER, NAN_PIXELS, TRIMMED, mask

if TYPE_CHECKING:
    from numpy.typing import NDArray

_SAME_GRID = 0.1
"""Pixels by which an object's position may differ between bands of one pixel grid."""


@dataclass(frozen=True, kw_only=True)
class Padded:
    """One object in squares of ``size`` pixels.

    Attributes
    ----------
    image : ndarray of float32, shape (bands, size, size)
        The cutouts, zeros around them.
    x, y : float
        0-based position of the object in the reference band.
    rows, columns : int
        Size of the delivered cutout of the reference band.
    row, column : int
        Where its first pixel lies in the square; negative if the cutout was larger.
    flags : int
        Bits of :data:`galaxyds.pixels.flags.PADDING_FLAGS`.
    """

    image: NDArray[np.float32]
    x: float
    y: float
    rows: int
    columns: int
    row: int
    column: int
    flags: int


def pad(
    pixels: Mapping[str, NDArray[np.float32]],
    position: Mapping[str, tuple[float, float]],
    *,
    bands: Sequence[str],
    reference: str,
    size: int,
    expected: float = 0.0,
) -> Padded:
    """Put the cutouts of one object into the middle of zeros.

    With n pixels along an axis, floor((size - n) / 2) zeros come before them and the rest behind,
    as the authors of GalaxiesML padded theirs; each band by its own n.  Nothing is resampled.

    Parameters
    ----------
    pixels : mapping of str to ndarray
        Per band float32 (rows, columns).
    position : mapping of str to (float, float)
        Per band the object's 0-based (x, y) in its cutout.
    bands : sequence of str
        Order of the result.
    reference : str
        Band whose position is returned.
    size : int
        Rows and columns of the result; larger cutouts lose their edges.
    expected : float
        Rows and columns that were asked for; smaller cutouts are flagged.

    Returns
    -------
    Padded
    """
    image = np.zeros((len(bands), size, size), np.float32)
    own = pixels[reference]
    row, column = ((size - n) // 2 for n in own.shape)
    x, y = position[reference]
    flags = 0
    for index, band in enumerate(bands):
        _paste(image[index], pixels[band])
        dx, dy = (a - b for a, b in zip(position[band], (x, y), strict=True))
        if pixels[band].shape != own.shape or max(abs(dx), abs(dy)) > _SAME_GRID:
            flags |= mask(GRIDS_DIFFER)
    if min(row, column) < 0:
        flags |= mask(CROPPED)
    if min(own.shape) < int(expected):
        flags |= mask(TRIMMED)
    if np.isnan(image).any():
        flags |= mask(NAN_PIXELS)
    return Padded(image=image, x=x + column, y=y + row, rows=own.shape[0], columns=own.shape[1],
                  row=row, column=column, flags=flags)  # fmt: skip


def placed(size: int, length: int) -> tuple[slice, slice]:
    """Say where a cutout lies along one axis of its square, and which part of it that is.

    Parameters
    ----------
    size, length : int
        Pixels of the square and of the cutout along the axis.

    Returns
    -------
    slice, slice
        In the square, and in the cutout: all of it, unless it is larger than the square.
    """
    low = (size - length) // 2
    inside, lost = max(low, 0), max(-low, 0)
    kept = min(length, size)
    return slice(inside, inside + kept), slice(lost, lost + kept)


def _paste(square: NDArray[np.float32], piece: NDArray[np.float32]) -> None:
    target, source = zip(*(placed(len(square), length) for length in piece.shape), strict=True)
    square[target] = piece[source]


def centred(image: NDArray[np.float32], size: int) -> NDArray[np.float32]:
    """Cut or pad an image of odd size to ``size``, its middle pixel in the middle.

    Parameters
    ----------
    image : ndarray of float32, shape (rows, columns)
        Odd sizes.
    size : int
        Odd.

    Returns
    -------
    ndarray of float32, shape (size, size)
        Zeros where ``image`` does not reach.
    """
    square = np.zeros((size, size), np.float32)
    _paste(square, image)
    return square


def middle(images: NDArray[np.float32], size: int) -> NDArray[np.float32]:
    """Return the central rows and columns of images: from (N - size) // 2 on.

    Parameters
    ----------
    images : ndarray of float32, shape (..., N, N)
    size : int
        At most N.

    Returns
    -------
    ndarray of float32, shape (..., size, size)
        A view.
    """
    low = (images.shape[-1] - size) // 2
    return images[..., low : low + size, low : low + size]
