"""Copying scattered cutouts from the mapped file into one buffer, at the speed of memory.

Two measured facts shape this module.  ``numpy.take`` into an existing buffer copies whole cutouts
without holding the interpreter's lock, so a thread can do it while a model computes.  And the C
library copies blocks of this size with ``rep movsb``, which some processors slow down to half when
the target lies a few bytes behind the source modulo the page of 4096 bytes: cutouts begin on pages
in our files, so buffers begin half a page further.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_OFFSET = 2048
_HUGE_PAGE = 2 << 20


def empty_images(shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Allocate float32 pixels that begin half a page after the boundary of a page.

    Large arrays begin on a huge page, which numpy asks the kernel for: fewer address translations
    for who fills them and who reads them.

    Parameters
    ----------
    shape : tuple of int
        Of the array.

    Returns
    -------
    ndarray of float32
        Uninitialised and C-contiguous.
    """
    size = math.prod(shape) * 4
    page = _HUGE_PAGE if size > 2 * _HUGE_PAGE else 2 * _OFFSET
    memory = np.empty(size + 2 * page, dtype=np.uint8)
    start = -memory.ctypes.data % page + _OFFSET
    return memory[start : start + size].view(np.float32).reshape(shape)


def gather(
    images: NDArray[np.float32],
    rows: NDArray[np.int64],
    *,
    bands: NDArray[np.int64] | None,
    out: NDArray[np.float32],
) -> None:
    """Copy cutouts, or some bands of them, into ``out``.

    Parameters
    ----------
    images : ndarray of float32, shape (n, all bands, rows, columns)
        Contiguous; usually a memory map.
    rows : ndarray of int64, shape (k,)
        Which cutouts, each in ``0 <= row < n`` (not checked: others are clipped).
    bands : ndarray of int64, shape (b,), or None
        Which bands, in the order wanted; None copies all.
    out : ndarray of float32, shape (k, b, rows, columns)
        Contiguous; overwritten.
    """
    # mode="clip" is what lets numpy write to `out` without a copy on the side.
    if bands is None:
        np.take(images, rows, axis=0, out=out, mode="clip")
        return
    planes = images.reshape(-1, *images.shape[2:])
    wanted = (rows[:, None] * images.shape[1] + bands).ravel()
    np.take(planes, wanted, axis=0, out=out.reshape(-1, *images.shape[2:]), mode="clip")
