"""Positions on the sphere: the nearest neighbour, and one of many that stand close together.

Separations are chords between unit vectors, searched in a k-d tree, so nothing is special at the
poles or where right ascension begins anew, and arcseconds keep all their digits.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_ARCSEC = np.radians(1 / 3600)
_ROUNDING = 1e-15  # of a chord between unit vectors in 64 bits


def nearest(
    ra: NDArray[np.float64],
    dec: NDArray[np.float64],
    *,
    to_ra: NDArray[np.float64],
    to_dec: NDArray[np.float64],
    radius: float,
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Find the nearest candidate within a radius of every position.

    Parameters
    ----------
    ra, dec : ndarray of float64, shape (n,)
        Wanted positions in degrees.
    to_ra, to_dec : ndarray of float64, shape (m,)
        Candidates in degrees.
    radius : float
        Arcseconds; a candidate exactly there counts.

    Returns
    -------
    index : ndarray of int64, shape (n,)
        The nearest candidate, of several equally near the first; -1 where there is none.
    separation : ndarray of float64, shape (n,)
        Arcseconds; infinite where there is none.
    """
    from scipy.spatial import cKDTree

    index = np.full(len(ra), -1, dtype=np.int64)
    separation = np.full(len(ra), np.inf)
    if not len(ra) or not len(to_ra):
        return index, separation
    wanted, candidates = unit_vectors(ra, dec), unit_vectors(to_ra, to_dec)
    first = _first_of_equals(candidates)
    tree = cKDTree(candidates[first])
    limit = _chord(radius)
    chord, found = tree.query(wanted, k=2, distance_upper_bound=np.nextafter(limit, np.inf))
    near = chord[:, 0] <= limit
    index[near] = first[found[near, 0]]
    # A tree returns any of those at one distance.
    tied = near & (chord[:, 1] <= chord[:, 0] + _ROUNDING)
    for n in np.flatnonzero(tied):
        ball = tree.query_ball_point(wanted[n], chord[n, 0] + _ROUNDING)
        index[n] = first[ball].min()
    separation[near] = 2 * np.arcsin(chord[near, 0] / 2) / _ARCSEC
    return index, separation


def thin(ra: NDArray[np.float64], dec: NDArray[np.float64], *, radius: float) -> NDArray[np.bool_]:
    """Keep positions such that no two are within a radius, the earlier ones first.

    Greedy: a position is kept unless one that was kept before it is within the radius.  Of a chain
    of neighbours the ends may both stay.

    Parameters
    ----------
    ra, dec : ndarray of float64, shape (n,)
        Degrees, the most wanted first.
    radius : float
        Arcseconds; two exactly there are too close.

    Returns
    -------
    ndarray of bool, shape (n,)
        Which are kept.
    """
    from scipy.spatial import cKDTree

    kept = np.zeros(len(ra), dtype=np.bool_)
    if not len(ra):
        return kept
    vectors = unit_vectors(ra, dec)
    # Many rows at one place have as many pairs as their number squared: only the first can stay.
    first = _first_of_equals(vectors)
    alive = np.ones(len(first), dtype=np.bool_)
    pairs = cKDTree(vectors[first]).query_pairs(_chord(radius), output_type="ndarray")
    pairs = np.sort(pairs, axis=1)
    for earlier, later in pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))].tolist():
        if alive[earlier]:
            alive[later] = False
    kept[first[alive]] = True
    return kept


def unit_vectors(ra: NDArray[np.float64], dec: NDArray[np.float64]) -> NDArray[np.float64]:
    """Cartesian unit vectors of positions in degrees, shape (n, 3)."""
    lon, lat = np.radians(ra), np.radians(dec)
    return np.column_stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)])


def _chord(radius: float) -> float:
    """Distance between unit vectors that are ``radius`` arcseconds apart, rounding included."""
    return float(2 * np.sin(min(radius * _ARCSEC, np.pi) / 2)) + _ROUNDING


def _first_of_equals(vectors: NDArray[np.float64]) -> NDArray[np.int64]:
    """Indices of the first of all equal rows, ascending."""
    order = np.lexsort(vectors.T)  # stable: of equals, the first comes first
    ordered = vectors[order]
    new = np.ones(len(order), dtype=np.bool_)
    new[1:] = (ordered[1:] != ordered[:-1]).any(axis=1)
    return np.sort(order[new]).astype(np.int64)
