"""Random numbers as a pure function of keys: no stream, no order, no state.

Every source has a 64-bit key made from the universe's seed, its sky cell and its index there.  An
attribute is a hash of that key and the attribute's name, so asking for one attribute, in any order,
on any machine, for any subset of sources, gives the same bits.
"""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray

Keys = NDArray[np.uint64]
Floats = NDArray[np.float64]

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def mix(values: Keys) -> Keys:
    """Scramble 64-bit words (finaliser of SplitMix64; Steele, Lea & Flood 2014).

    Parameters
    ----------
    values : ndarray of uint64

    Returns
    -------
    ndarray of uint64
        A bijection of the input with every output bit depending on every input bit.
    """
    with np.errstate(over="ignore"):
        x = values + _GOLDEN
        x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed: Keys = x ^ (x >> np.uint64(31))
    return mixed


def keyed(*parts: int | NDArray[np.integer] | Keys) -> Keys:
    """Combine integers into keys.

    Parameters
    ----------
    *parts : int or integer arrays
        Broadcast against each other; their order matters.

    Returns
    -------
    ndarray of uint64
        One key per element of the broadcast shape.
    """
    key: Keys = np.zeros(np.broadcast_shapes(*(np.shape(part) for part in parts)), np.uint64)
    for part in parts:
        key = mix(key ^ np.asarray(part).astype(np.uint64))
    return key


def label_word(label: str) -> np.uint64:
    """Return the 64-bit word of a label: the start of its BLAKE2b digest."""
    return np.uint64(int.from_bytes(hashlib.blake2b(label.encode(), digest_size=8).digest(), "big"))


def uniform(keys: Keys, label: str) -> Floats:
    """Uniform numbers in the open interval (0, 1), one per key.

    Parameters
    ----------
    keys : ndarray of uint64
    label : str
        Name of what is drawn; other labels give independent numbers.

    Returns
    -------
    ndarray of float64
    """
    words = mix(keys ^ label_word(label)) >> np.uint64(11)
    drawn: Floats = (words.astype(np.float64) + 0.5) * 2.0**-53
    return drawn


def normal(keys: Keys, label: str) -> Floats:
    """Standard normal numbers, one per key (Box & Muller 1958)."""
    radius = np.sqrt(-2.0 * np.log(uniform(keys, label + "/radius")))
    drawn: Floats = radius * np.cos(2.0 * np.pi * uniform(keys, label + "/angle"))
    return drawn


def choose(weights: Floats, draws: Floats) -> NDArray[np.intp]:
    """Pick indices with given weights.

    Parameters
    ----------
    weights : ndarray of float64, (n,)
        Non-negative, not necessarily normalised.
    draws : ndarray of float64
        Uniform numbers in (0, 1).

    Returns
    -------
    ndarray of intp
        Indices into ``weights``, in the shape of ``draws``.
    """
    cumulative = np.cumsum(weights)
    found = np.searchsorted(cumulative, draws * cumulative[-1], side="right")
    indices: NDArray[np.intp] = np.minimum(found, len(weights) - 1)
    return indices


def poisson(means: Floats, draws: Floats) -> NDArray[np.int64]:
    """Poisson counts by inverting the cumulative distribution.

    Parameters
    ----------
    means : ndarray of float64, (n,)
        Expected counts, 0 to about 600.
    draws : ndarray of float64, (n,)
        Uniform numbers in (0, 1).

    Returns
    -------
    ndarray of int64, (n,)
    """
    if means.size == 0:
        return np.zeros(0, np.int64)
    top = int(np.max(means) + 12 * np.sqrt(np.max(means)) + 20)
    counts = np.arange(top, dtype=np.float64)
    factorials = np.concatenate([[0.0], np.cumsum(np.log(counts[1:]))])
    safe = np.maximum(means, 1e-300)[:, None]
    cumulative = np.cumsum(np.exp(counts * np.log(safe) - safe - factorials), axis=1)
    found: NDArray[np.int64] = (cumulative < draws[:, None]).sum(axis=1).astype(np.int64)
    return found
