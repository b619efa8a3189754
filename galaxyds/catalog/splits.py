"""Seeded divisions by a hash of the object id: adding an object moves no other."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)


def hash_ids(ids: NDArray[np.integer], seed: int) -> NDArray[np.uint64]:
    """Mix 64-bit ids with a seed (the SplitMix64 finalizer of Steele et al. 2014, applied twice).

    Parameters
    ----------
    ids : ndarray of int64 or uint64, shape (n,)
        Object ids.
    seed : int
        Non-negative.

    Returns
    -------
    ndarray of uint64, shape (n,)
        The same on every machine and in every version.
    """
    start = _finalize(np.array([seed], dtype=np.uint64) * _GOLDEN + _GOLDEN)
    return _finalize(_finalize(ids.astype(np.int64).view(np.uint64) + _GOLDEN) ^ start)


def _finalize(x: NDArray[np.uint64]) -> NDArray[np.uint64]:
    with np.errstate(over="ignore"):
        x = (x ^ (x >> np.uint64(30))) * _MIX_1
        x = (x ^ (x >> np.uint64(27))) * _MIX_2
        return x ^ (x >> np.uint64(31))


def assign(
    ids: NDArray[np.integer], division: int, fractions: tuple[float, float, float]
) -> NDArray[np.int8]:
    """Place every object in train (0), validation (1) or test (2).

    Parameters
    ----------
    ids : ndarray of int64, shape (n,)
        Object ids.
    division : int
        Which of the independent divisions; it is the seed.
    fractions : tuple of float
        Expected shares of train, validation and test.

    Returns
    -------
    ndarray of int8, shape (n,)
        Codes; the shares hold up to binomial scatter.
    """
    # 53 bits: exactly representable, so the comparison is the same everywhere.
    uniform = (hash_ids(ids, division) >> np.uint64(11)).astype(np.float64) / 2.0**53
    bounds = np.cumsum(fractions)[:2]
    return np.searchsorted(bounds, uniform, side="right").astype(np.int8)
