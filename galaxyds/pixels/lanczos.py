"""Lanczos-3 interpolation, written so that results depend on neither batch nor BLAS.

The kernel is ``sinc(d) sinc(d / 3)`` for ``|d| < 3`` (Duchon 1979, J. Appl. Meteorology 18, 1016),
its six weights divided by their sum so that a constant stays constant.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

REACH = 3
"""Pixels that the kernel reaches to either side."""

TAPS = 2 * REACH
_STEPS = np.arange(TAPS) - (REACH - 1)
_SIGN_COS = (-1.0) ** _STEPS * np.cos(np.pi * _STEPS / REACH)
_SIGN_SIN = (-1.0) ** _STEPS * np.sin(np.pi * _STEPS / REACH)
_CLOSEST = 1e-7  # px; nearer to a sample the formula is 0 / 0, and the weights are (0 ... 1 ... 0)


def weights(fraction: NDArray[np.float64]) -> NDArray[np.float64]:
    """Normalised weights of the six samples around a position.

    With ``d = f - k`` for the samples k = -2 ... 3 the kernel is ``3 sin(pi d) sin(pi d / 3) /
    (pi d)^2``.  Up to a sign ``sin(pi d)`` is the same for all k, so it cancels in the sum, and
    ``sin(pi d / 3)`` follows from the sine and cosine of ``pi f / 3``: two evaluations, not twelve.

    Parameters
    ----------
    fraction : ndarray of float64, shape (...)
        Position minus its floor, in [0, 1).

    Returns
    -------
    ndarray of float64, shape (..., 6)
        Weights of the samples at floor - 2 ... floor + 3; they sum to 1.
    """
    inner = np.clip(fraction, _CLOSEST, 1 - _CLOSEST)[..., None]
    angle = inner * (np.pi / REACH)
    kernel = np.sin(angle) * _SIGN_COS - np.cos(angle) * _SIGN_SIN
    kernel /= np.square(inner - _STEPS)
    kernel /= kernel.sum(axis=-1, keepdims=True)
    return np.asarray(kernel)


def band_weights(
    position: NDArray[np.float64],
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Weights of a row of positions that advance by about one pixel, as shifted slices.

    Output ``i`` of row ``n`` is ``sum_t w[n, i, t] * sample[start[n] + i + t]``, so that
    interpolation needs slices only.

    Parameters
    ----------
    position : ndarray of float64, shape (n, size)
        Increasing along the last axis, in pixels.

    Returns
    -------
    start : ndarray of int64, shape (n,)
        First sample that is used.
    w : ndarray of float32, shape (n, size, taps)
        ``taps`` is 6, and more by the whole pixels that any row drifts from a step of one.
    """
    base = np.floor(position)
    drift = (base - np.arange(position.shape[1])).astype(np.int64)
    lowest = drift.min(axis=1)
    slot = drift - lowest[:, None]
    w = np.zeros((*position.shape, TAPS + int(slot.max(initial=0))), dtype=np.float32)
    np.put_along_axis(w, slot[..., None] + np.arange(TAPS), weights(position - base), axis=2)
    return lowest - (REACH - 1), w


def separable(
    patches: NDArray[np.float32], rows: NDArray[np.float32], columns: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Interpolate a stack of patches on a product grid.

    Parameters
    ----------
    patches : ndarray of float32, shape (n, size + taps_r - 1, size + taps_c - 1)
        Finite samples; the first is the start given by :func:`band_weights`.
    rows, columns : ndarray of float32, shape (n, size, taps_r) and (n, size, taps_c)
        Weights given by :func:`band_weights`.

    Returns
    -------
    ndarray of float32, shape (n, size, size)
        Sums are taken tap by tap in a fixed order.
    """
    size = rows.shape[1]
    tall = patches[:, :size] * rows[:, :, 0, None]
    scratch = np.empty_like(tall)
    for tap in range(1, rows.shape[2]):
        np.multiply(patches[:, tap : tap + size], rows[:, :, tap, None], out=scratch)
        tall += scratch
    result = tall[:, :, :size] * columns[:, None, :, 0]
    scratch = np.empty_like(result)
    for tap in range(1, columns.shape[2]):
        np.multiply(tall[:, :, tap : tap + size], columns[:, None, :, tap], out=scratch)
        result += scratch
    return np.asarray(result)


def separable_with_holes(
    patches: NDArray[np.float32], rows: NDArray[np.float32], columns: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Like :func:`separable`, for patches with NaN.

    Parameters
    ----------
    patches, rows, columns : ndarray
        As for :func:`separable`.

    Returns
    -------
    ndarray of float32, shape (n, size, size)
        NaN exactly where one of the 6 x 6 samples under the kernel is NaN.
    """
    holes = np.isnan(patches)
    values = separable(np.where(holes, np.float32(0), patches), rows, columns)
    under = [(band != 0).astype(np.float32) for band in (rows, columns)]
    values[separable(holes.astype(np.float32), *under) > 0] = np.nan
    return values


def pointwise(
    patch: NDArray[np.float32], row: NDArray[np.float64], column: NDArray[np.float64]
) -> NDArray[np.float32]:
    """Interpolate one patch at arbitrary positions.

    Parameters
    ----------
    patch : ndarray of float32, shape (rows, columns)
        Samples; a result is NaN if any of its 6 x 6 samples is.
    row, column : ndarray of float64, shape (...)
        Positions in the patch, at least 2 from its lower and 3 from its upper ends.

    Returns
    -------
    ndarray of float32, shape (...)
        Interpolated values.
    """
    base_row, base_column = np.floor(row), np.floor(column)
    corner = (base_row - REACH + 1) * patch.shape[1] + base_column - REACH + 1
    steps = np.arange(TAPS)[:, None] * patch.shape[1] + np.arange(TAPS)
    samples = patch.ravel()[corner.astype(np.int64)[..., None, None] + steps]
    vertical, horizontal = weights(row - base_row), weights(column - base_column)
    summed = (samples * vertical[..., :, None] * horizontal[..., None, :]).sum(axis=(-2, -1))
    return np.asarray(summed, dtype=np.float32)
