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
        Candidates in degrees.  Positions that are not finite, wanted or not, match nothing.
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
    wanted, candidates = unit_vectors(ra, dec), unit_vectors(to_ra, to_dec)
    rows, usable = _finite(wanted), _finite(candidates)
    if not len(rows) or not len(usable):
        return index, separation
    wanted = wanted[rows]
    first = usable[_first_of_equals(candidates[usable])]
    tree = cKDTree(candidates[first])
    limit = _chord(radius)
    chord, found = tree.query(wanted, k=2, distance_upper_bound=np.nextafter(limit, np.inf))
    near = chord[:, 0] <= limit
    index[rows[near]] = first[found[near, 0]]
    # A tree returns any of those at one distance.
    tied = near & (chord[:, 1] <= chord[:, 0] + _ROUNDING)
    for n in np.flatnonzero(tied):
        ball = tree.query_ball_point(wanted[n], chord[n, 0] + _ROUNDING)
        index[rows[n]] = first[ball].min()
    separation[rows[near]] = 2 * np.arcsin(chord[near, 0] / 2) / _ARCSEC
    return index, separation


def thin(ra: NDArray[np.float64], dec: NDArray[np.float64], *, radius: float) -> NDArray[np.bool_]:
    """Keep positions such that no two are within a radius, the earlier ones first.

    Greedy: a position is kept unless one that was kept before it is within the radius.  Of a chain
    of neighbours the ends may both stay.  Positions that are not finite are near nothing and stay.

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

    vectors = unit_vectors(ra, dec)
    rows = _finite(vectors)
    kept = np.ones(len(vectors), dtype=np.bool_)
    kept[rows] = False
    if not len(rows):
        return kept
    first = rows[_first_of_equals(vectors[rows])]
    points, limit = vectors[first], _chord(radius)
    tree = cKDTree(points)
    # Most rows have no neighbour, which one query tells of all; only the others are walked.
    distance, _ = tree.query(points, k=2, distance_upper_bound=limit * (1 + 1e-9) + _ROUNDING)
    alive = np.ones(len(first), dtype=np.bool_)
    for n in np.flatnonzero(np.isfinite(distance[:, 1])).tolist():
        if alive[n]:
            # The pairs of a crowd are as many as its rows squared: one ball at a time.
            alive[tree.query_ball_point(points[n], limit)] = False
            alive[n] = True
    kept[first[alive]] = True
    return kept


def unit_vectors(ra: NDArray[np.float64], dec: NDArray[np.float64]) -> NDArray[np.float64]:
    """Cartesian unit vectors of positions in degrees, shape (n, 3)."""
    lon, lat = np.radians(ra), np.radians(dec)
    with np.errstate(invalid="ignore"):  # infinite degrees become NaN
        return np.column_stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)])


def _chord(radius: float) -> float:
    """Distance between unit vectors that are ``radius`` arcseconds apart, rounding included."""
    return float(2 * np.sin(min(radius * _ARCSEC, np.pi) / 2)) + _ROUNDING


def _finite(vectors: NDArray[np.float64]) -> NDArray[np.int64]:
    """Indices of the rows without NaN."""
    return np.flatnonzero(np.isfinite(vectors).all(axis=1)).astype(np.int64)


def _first_of_equals(vectors: NDArray[np.float64]) -> NDArray[np.int64]:
    """Indices of the first of all equal rows, ascending."""
    order = np.lexsort(vectors.T)  # stable: of equals, the first comes first
    ordered = vectors[order]
    new = np.ones(len(order), dtype=np.bool_)
    new[1:] = (ordered[1:] != ordered[:-1]).any(axis=1)
    return np.sort(order[new]).astype(np.int64)
