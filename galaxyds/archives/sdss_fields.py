"""Which SDSS frames show a position: the survey's Field table, and its geometry worked out here.

A few boxes around the positions are asked for, page by page, and each field is then a rectangle on
the tangent plane at its own centre (columns ``ra`` and ``dec``, the middle of the r frame).  Which
way it is turned follows from the fields before and after it in the scan, so that neither node nor
inclination of the stripe is needed; a field that stands alone counts as the circle around it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from galaxyds.archives import sql
from galaxyds.archives.base import CatalogQuery, Tile
from galaxyds.archives.skyserver import encoded
from galaxyds.errors import UsageError
from galaxyds.spec import Column

if TYPE_CHECKING:
    import pyarrow as pa

    from galaxyds.archives.catalog import SQLCatalog

Floats = NDArray[np.float64]

RERUN = 301
"""Number of the processing that the frames of data release 8 and later are from."""
FRAME_ROWS, FRAME_COLUMNS = 1489, 2048
PIXEL = 0.396
"""Arcsec per pixel of a frame."""
MARGIN = 15.0
"""Arcsec by which a frame may reach further than its field's centre says: the bands stand up to 14
rows apart, and a drift scan bends."""
STRIP = 1.0
"""Height in degrees of the strips of sky that boxes are made of, and of what parts two boxes."""
MANY = 150
"""Boxes beyond which larger ones are taken: positions all over the sky."""
_POLE = 88.0  # degrees of declination from where a box goes all around
_CHUNK = 20_000  # positions whose fields are counted at once
_PAIRS = 500_000  # positions with their fields that are looked at at once: some 200 MB
_ARCSEC = 3600.0 * 180.0 / np.pi

COLUMNS = (
    Column(name="field_id", dtype="int64", archive="fieldID", description="id of the field"),
    Column(name="run", dtype="int32", archive="run", description="imaging run"),
    Column(name="rerun", dtype="int32", archive="rerun", description="processing of the run"),
    Column(name="camcol", dtype="int32", archive="camcol", description="camera column"),
    Column(name="field", dtype="int32", archive="field", description="field of the run"),
    Column(name="ra", dtype="float64", unit="deg", archive="ra", description="middle of the field"),
    Column(name="dec", dtype="float64", unit="deg", archive="dec", description="of the field"),
)
"""What is asked of table ``Field``."""


class Box(NamedTuple):
    """A range of right ascension, never across 0, and of declination; degrees."""

    ra_min: float
    ra_max: float
    dec_min: float
    dec_max: float

    def predicate(self) -> str:
        """Condition in DuckDB's dialect over ``ra`` and ``dec``."""
        limits = (
            f"dec >= {self.dec_min:.5f} AND dec <= {self.dec_max:.5f}",
            f"ra >= {self.ra_min:.5f} AND ra <= {self.ra_max:.5f}",
        )
        around = self.ra_min <= 0 and self.ra_max >= 360
        return f"({limits[0] if around else ' AND '.join(limits)})"


@dataclass(frozen=True, kw_only=True, slots=True)
class Fields:
    """Fields as rectangles, in the order of run, camera column and field; m of them.

    Attributes
    ----------
    tiles : ndarray of int64, (m, 3)
        Run, camcol, field.
    centre : ndarray of float64, (m, 3)
        Unit vectors.
    along : ndarray of float64, (m, 3)
        Unit vectors of the scan's direction at the centre; zero where it is not known.
    """

    tiles: NDArray[np.int64]
    centre: Floats
    along: Floats


class FieldCoverage:
    """Coverage of an archive by its Field table.

    A subclass sets ``_catalog``: what answers questions to that table.
    """

    _catalog: SQLCatalog

    def covering(self, ra: Floats, dec: Floats, *, radius: float) -> list[tuple[Tile, ...]]:
        """Find the fields of all runs that show positions; as :func:`covering`."""
        return covering(self._catalog, ra, dec, radius=radius)


def covering(
    catalog: SQLCatalog, ra: Floats, dec: Floats, *, radius: float
) -> list[tuple[Tile, ...]]:
    """Find the fields whose frames may come within a radius of each position.

    Parameters
    ----------
    catalog : SQLCatalog
        Has the table ``Field``.
    ra, dec : ndarray of float64, (n,)
        Degrees, right ascension in [0, 360].
    radius : float
        Arcsec.

    Returns
    -------
    list of tuple of Tile
        (run, camcol, field) in ascending order, every run of the survey, per position.

    Raises
    ------
    UsageError
        If a position is none.
    ArchiveError
        If the archive refuses, fails, truncates or answers nonsense.
    """
    ra, dec = np.asarray(ra, np.float64), np.asarray(dec, np.float64)
    if not (np.isfinite(ra).all() and (np.abs(dec) <= 90).all()):
        raise UsageError("positions must be finite, with declinations within 90 degrees of 0")
    if not ra.size:
        return []
    reach = _half_diagonal(radius)
    # A field is turned as the fields before and after it say: they have to be there, too, or what
    # is found for a position would depend on which others are asked for.
    reach += FRAME_ROWS * PIXEL
    asked = boxes(ra % 360.0, dec, reach=reach / 3600)
    tables = [catalog.rows(query) for query in queries(asked, longest=catalog.longest)]
    return match(ra, dec, make_fields(tables), radius=radius)


def boxes(ra: Floats, dec: Floats, *, reach: float) -> tuple[Box, ...]:
    """Cover positions and all that lies within ``reach`` of them with few boxes.

    Parameters
    ----------
    ra, dec : ndarray of float64, (n,)
        Degrees, right ascension in [0, 360).
    reach : float
        Degrees.

    Returns
    -------
    tuple of Box
        South to north, then along right ascension; neighbours overlap by the reach.
    """
    strip, found = STRIP, _boxes(ra, dec, reach, STRIP)
    while len(found) > MANY and strip < 180:
        strip *= 2
        found = _boxes(ra, dec, reach, strip)
    return tuple(found)


def _boxes(ra: Floats, dec: Floats, reach: float, strip: float) -> list[Box]:
    strips = np.floor(dec / strip)
    found: list[Box] = []
    for number in np.unique(strips):
        mine = np.flatnonzero(strips == number)
        mine = mine[np.argsort(ra[mine], kind="stable")]
        breaks = np.flatnonzero(np.diff(ra[mine]) > strip + 2 * reach) + 1
        for group in np.split(mine, breaks):
            found += _boxes_around(ra[group], dec[group], reach)
    return found


def _boxes_around(ra: Floats, dec: Floats, reach: float) -> list[Box]:
    south, north = float(dec.min()) - reach, float(dec.max()) + reach
    highest = max(abs(south), abs(north))
    if highest >= _POLE:
        return [Box(0.0, 360.0, max(south, -90.0), min(north, 90.0))]
    # The meridians that touch a circle of that reach (spherical sine rule).
    wide = float(np.degrees(np.arcsin(np.sin(np.radians(reach)) / np.cos(np.radians(highest)))))
    west, east = float(ra[0]) - wide, float(ra[-1]) + wide
    if east - west >= 360:
        return [Box(0.0, 360.0, south, north)]
    parts = [(west, east)]
    if west < 0:
        parts = [(0.0, east), (west + 360, 360.0)]
    elif east > 360:
        parts = [(0.0, east - 360), (west, 360.0)]
    return [Box(low, high, south, north) for low, high in parts]


def queries(asked: Sequence[Box], *, longest: int) -> Iterator[CatalogQuery]:
    """Put boxes into as few questions as fit into a statement.

    Parameters
    ----------
    asked : sequence of Box
    longest : int
        Most characters of a statement, percent-encoded.

    Yields
    ------
    CatalogQuery
        Over table ``Field``.
    """
    pending: list[Box] = []
    taken = 0
    for box in asked:
        length = len(encoded(f" OR {box.predicate()}"))
        if pending and taken + length > longest:
            yield _query(pending)
            pending = []
        taken = taken + length if pending else _length(box)
        pending.append(box)
    if pending:
        yield _query(pending)


def _query(asked: Sequence[Box]) -> CatalogQuery:
    return CatalogQuery(
        columns=COLUMNS,
        tables="Field",
        predicates=(f"rerun = {RERUN}", " OR ".join(box.predicate() for box in asked)),
        key="field_id",
        vocabulary=COLUMNS,
    )


def _length(box: Box) -> int:
    # A page's own words are at most TOP 500000 and the last id, and the brackets around a choice.
    return len(encoded(sql.select(_query([box]), top=500_000, after=1 << 62))) + 8


def make_fields(tables: Sequence[pa.Table]) -> Fields:
    """Make rectangles of rows of table ``Field``; rows that come twice count once.

    Parameters
    ----------
    tables : sequence of pyarrow.Table
        Columns ``run``, ``camcol``, ``field``, ``ra`` and ``dec`` in degrees.

    Returns
    -------
    Fields
    """
    parts = [
        np.concatenate([t.column(name).to_numpy() for t in tables])
        for name in ("run", "camcol", "field", "ra", "dec")
    ]
    tiles = np.stack(parts[:3], axis=1).astype(np.int64)
    tiles, first = np.unique(tiles, axis=0, return_index=True)
    centre = unit_vectors(parts[3][first], parts[4][first])
    return Fields(tiles=tiles, centre=centre, along=_directions(tiles, centre))


def _directions(tiles: NDArray[np.int64], centre: Floats) -> Floats:
    """Scan direction from the field before to the field after, as far as they are there."""
    step = np.diff(tiles, axis=0)
    follows = (step == (0, 0, 1)).all(axis=1)
    hop = np.where(follows[:, None], np.diff(centre, axis=0), 0.0)
    none = np.zeros((1, 3))
    total = np.concatenate([hop, none])[: len(tiles)] + np.concatenate([none, hop])[: len(tiles)]
    total -= np.sum(total * centre, axis=1, keepdims=True) * centre
    length = np.linalg.norm(total, axis=1, keepdims=True)
    directions: Floats = np.divide(total, length, out=np.zeros_like(total), where=length > 0)
    return directions


def match(ra: Floats, dec: Floats, fields: Fields, *, radius: float) -> list[tuple[Tile, ...]]:
    """Find the fields that come within a radius of each position.

    Parameters
    ----------
    ra, dec : ndarray of float64, (n,)
        Degrees.
    fields : Fields
    radius : float
        Arcsec.

    Returns
    -------
    list of tuple of Tile
        Tiles in ascending order, per position.
    """
    from scipy.spatial import cKDTree

    if not len(fields.tiles):
        return [()] * len(ra)
    tiles: list[Tile] = [tuple(row) for row in fields.tiles.tolist()]
    tree = cKDTree(fields.centre)
    found: list[tuple[Tile, ...]] = []
    chord = 2 * np.sin(_half_diagonal(radius) / _ARCSEC / 2)
    for start in range(0, len(ra), _CHUNK):
        points = unit_vectors(ra[start : start + _CHUNK], dec[start : start + _CHUNK])
        pairs = np.cumsum(tree.query_ball_point(points, chord, return_length=True))
        for some in np.split(points, np.flatnonzero(np.diff(pairs // _PAIRS)) + 1):
            found += _matched(some, fields, tree, tiles=tiles, radius=radius)
    return found


def _matched(
    points: Floats, fields: Fields, tree: object, *, tiles: Sequence[Tile], radius: float
) -> Iterator[tuple[Tile, ...]]:
    chord = 2 * np.sin(_half_diagonal(radius) / _ARCSEC / 2)
    near = tree.query_ball_point(points, chord, return_sorted=True)  # type: ignore[attr-defined]
    counts = np.array([len(one) for one in near], np.int64)
    which = np.concatenate([np.asarray(one, np.int64) for one in near])
    owner = np.repeat(np.arange(len(points)), counts)
    kept = _inside(points[owner], fields.centre[which], fields.along[which], radius=radius)
    ends = np.cumsum(np.bincount(owner[kept], minlength=len(points)))
    chosen, start = which[kept].tolist(), 0
    for end in ends.tolist():
        yield tuple(tiles[place] for place in chosen[start:end])
        start = end


def _inside(points: Floats, centre: Floats, along: Floats, *, radius: float) -> NDArray[np.bool_]:
    """Whether points lie in the rectangles at the same place (gnomonic projection), or near it."""
    depth = np.sum(points * centre, axis=1)
    row = np.sum(points * along, axis=1) / depth * _ARCSEC
    column = np.sum(points * np.cross(centre, along), axis=1) / depth * _ARCSEC
    reach = radius + MARGIN
    inside: NDArray[np.bool_] = (np.abs(row) <= FRAME_ROWS / 2 * PIXEL + reach) & (
        np.abs(column) <= FRAME_COLUMNS / 2 * PIXEL + reach
    )
    return inside


def _half_diagonal(radius: float) -> float:
    """Arcsec from a field's centre within which it may come near to a position."""
    across = FRAME_COLUMNS / 2 * PIXEL + radius + MARGIN
    return float(np.hypot(FRAME_ROWS / 2 * PIXEL + radius + MARGIN, across))


def unit_vectors(ra: Floats, dec: Floats) -> Floats:
    """Unit vectors (n, 3) of positions in degrees."""
    a, d = np.radians(ra), np.radians(dec)
    return np.stack([np.cos(d) * np.cos(a), np.cos(d) * np.sin(a), np.sin(d)], axis=1)
