"""Lists of objects: ids or positions, and the ids that a spreadsheet has spoiled."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from galaxyds.catalog.positions import nearest
from galaxyds.errors import UsageError

if TYPE_CHECKING:
    from numpy.typing import NDArray

_INTEGER = re.compile(r"[+-]?\d+")
_FLOAT = re.compile(r"[+-]?\d+(?:\.\d*)?(?:[eE][+-]?\d+)?")
_EXACT = 2**53


def parse_ids(values: Iterable[str], source: str) -> NDArray[np.int64]:
    """Read 64-bit object ids from text, refusing those that were rounded on the way.

    Parameters
    ----------
    values : iterable of str
        One id each.
    source : str
        Where they come from, for messages.

    Returns
    -------
    ndarray of int64, shape (n,)
        In their order.

    Raises
    ------
    UsageError
        If an id is in floating-point notation, has lost its last digits, or is no integer.
    """
    texts = [value.strip() for value in values]
    ids = np.array([_one_id(text, n + 1, source) for n, text in enumerate(texts)], dtype=np.int64)
    spoiled = _spoiled(ids)
    if spoiled.any():
        raise _rounded(str(ids[spoiled][0]), source)
    return ids


def _spoiled(ids: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Ids that seem to have been decimal-rounded, or to have passed through a 64-bit float.

    One id in a thousand ends in 000, and one in 128 of SDSS, one in 8 of HSC, is such that a float
    holds it exactly.  A single one proves nothing; a tenth of a list beyond twice what chance gives
    does.
    """
    large = np.abs(ids) > _EXACT
    decimal = large & (ids % 1000 == 0)
    binary = large & (ids.astype(np.float64).astype(np.int64) == ids)
    suspect = np.asarray(decimal | binary, dtype=np.bool_)
    chance = (1 / np.spacing(np.abs(ids[large]).astype(np.float64))).sum()
    alone = large.sum() == 1 and decimal.any()
    few = suspect.sum() < max(2, 0.1 * large.sum() + 2 * chance) and not alone
    return np.zeros_like(suspect) if few else suspect


def _one_id(text: str, line: int, source: str) -> int:
    if _INTEGER.fullmatch(text):
        value = int(text)
        if not -(2**63) <= value < 2**63:
            raise UsageError(f"{source}: id {text} on row {line} does not fit 64 bits")
        return value
    if _FLOAT.fullmatch(text):
        number = float(text)
        if abs(number) >= _EXACT:
            raise _rounded(text, source)
        if number == int(number):
            return int(number)
    raise UsageError(f"{source}: '{text}' on row {line} is no object id")


def _rounded(example: str, source: str) -> UsageError:
    return UsageError(
        f"{source}: ids like {example} were rounded (a spreadsheet keeps 15 digits, a float 16, an "
        "objID has 19), so they no longer name an object: export the ids as text, or remove that "
        "column and give ra and dec",
        source=source,
        example=example,
    )


def match_positions(
    ra: NDArray[np.float64],
    dec: NDArray[np.float64],
    *,
    to_ra: NDArray[np.float64],
    to_dec: NDArray[np.float64],
    radius: float,
) -> NDArray[np.int64]:
    """Nearest candidate within a radius, on the sphere.

    Parameters
    ----------
    ra, dec : ndarray of float64, shape (n,)
        Wanted positions in degrees.
    to_ra, to_dec : ndarray of float64, shape (m,)
        Candidates in degrees.
    radius : float
        Arcseconds.

    Returns
    -------
    ndarray of int64, shape (n,)
        Index of the nearest candidate, -1 where none lies within the radius; ties go to the first.
    """
    return nearest(ra, dec, to_ra=to_ra, to_dec=to_dec, radius=radius)[0]


def box_predicates(
    ra: NDArray[np.float64],
    dec: NDArray[np.float64],
    *,
    radius: float,
    per_predicate: int = 8,
) -> Sequence[str]:
    """SQL predicates that cover circles on the sky by boxes in ra and dec.

    Parameters
    ----------
    ra, dec : ndarray of float64, shape (n,)
        Centres in degrees.
    radius : float
        Arcseconds.
    per_predicate : int
        Boxes per predicate, so that a query stays short.

    Returns
    -------
    sequence of str
        In DuckDB's dialect over columns ``ra`` and ``dec``; together they cover every circle.
    """
    boxes = [box for lon, lat in zip(ra, dec, strict=True) for box in _boxes(lon, lat, radius)]
    return [
        " OR ".join(boxes[start : start + per_predicate])
        for start in range(0, len(boxes), per_predicate)
    ]


def _boxes(ra: float, dec: float, radius: float) -> list[str]:
    half = radius / 3600
    low, high = max(dec - half, -90.0), min(dec + half, 90.0)
    widest = max(abs(low), abs(high))
    width = 180.0 if widest >= 90 - 1e-9 else min(half / np.cos(np.radians(widest)) * 1.001, 180.0)
    spans = [(ra - width, ra + width)]
    if width >= 180:
        spans = [(0.0, 360.0)]
    elif ra - width < 0:
        spans = [(0.0, ra + width), (ra - width + 360, 360.0)]
    elif ra + width > 360:
        spans = [(ra - width, 360.0), (0.0, ra + width - 360)]
    return [
        f"(ra BETWEEN {a:.7f} AND {b:.7f} AND dec BETWEEN {low:.7f} AND {high:.7f})"
        for a, b in spans
    ]
