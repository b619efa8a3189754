"""From redshifts, photometry, tiles and dust to the table ``objects`` of CFHTLS-Wide.

The same code makes it from the archives and from the simulated sky.  Every compiled redshift has a
row; where no photometry or no tile belongs to it, that is to be seen in the row, and a cut removes
and counts it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from galaxyds.archives.cadc_tiles import BANDS, CFHTLSTile, tile_of
from galaxyds.archives.compiled import Compiled, one_each, position_id
from galaxyds.archives.regions import Box
from galaxyds.catalog.positions import nearest
from galaxyds.catalog.specz import Reading, compile_redshifts
from galaxyds.errors import ArchiveError, one_line

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Reddening = Callable[[Floats, Floats], Floats]

CATALOG = "II/317/cfhtls_w"
"""The photometric catalogue of T0007 Wide at VizieR (Hudelot et al. 2012)."""
NAME, RA, DEC = "CFHTLS", "RAJ2000", "DEJ2000"
"""Columns of the catalogue: name of the object and its position in degrees."""
EXTRACTION, MASK = "Sfl", "Tfl"
"""Columns of the catalogue: flags of SExtractor and of TERAPIX."""
# Names seen in a public copy of the catalogue with its descriptions, not at VizieR itself: the
# Kron-like magnitude of a band, not that in an aperture of 3 arcsec, which would be "umag".
MAGNITUDES = {band: f"{band}magA" for band in BANDS}
ERRORS = {band: f"e_{band}magA" for band in BANDS}
PHOTOMETRY = (NAME, RA, DEC, *MAGNITUDES.values(), *ERRORS.values(), EXTRACTION, MASK)
"""All columns that are asked for."""
BRIGHTEST, FAINTEST = 0.0, 50.0
"""Magnitudes outside of these are codes for a missing one (unverified: 99 and -99)."""
MATCH_RADIUS = 1.0
"""Arcseconds within which a spectrum and a photometric object are one."""
NOTHING = "none"
"""What stands where a text is missing: archives do not tell an empty text from a missing one."""
NO_TILE = -1
"""``tile_ra`` of an object that no complete tile holds."""
ROOM = 6.2
"""Arcseconds from an object to the edge of its tile at least: half a cutout, and a pixel."""
NAME_ERROR = 15.5
"""Arcseconds by which the middle of a tile may lie off where its name says: a name is cut to
seconds of time, which are 15 arcsec each, and of arc; room that has to be there beside."""
CELL = 0.25
"""Degrees of the boxes in which the catalogue is asked around redshifts."""

_MARGIN = 2 * MATCH_RADIUS / 3600


def objects(
    redshifts: pa.Table,
    photometry: pa.Table,
    tiles: Sequence[CFHTLSTile],
    *,
    ebv: Reddening,
    room: float = ROOM,
) -> pa.Table:
    """Put the table together.

    Parameters
    ----------
    redshifts : pyarrow.Table
        Columns of :class:`galaxyds.catalog.specz.Compilation`.
    photometry : pyarrow.Table
        Columns :data:`PHOTOMETRY`; all objects near the redshifts.
    tiles : sequence of CFHTLSTile
        Tiles that lack a band hold no object.
    ebv : callable
        Takes right ascensions and declinations in degrees, returns unscaled E(B-V).
    room : float
        As for :func:`in_tiles`.

    Returns
    -------
    pyarrow.Table
        One row per redshift: object_id (int64, of the photometric position), ra, dec, those of the
        spectrum, redshift and what came with it, separation (float32 arcsec, NULL without
        photometry), magnitudes and errors (float32, NULL if missing), flags, ebv, tile_ra and
        tile_dec (int32; :data:`NO_TILE` and 0 without a tile), i_filter.
    """
    row, separation = match(redshifts, photometry)
    seen = row >= 0
    ra, dec = (
        np.where(seen, _numbers(photometry, own)[row], _numbers(redshifts, name))
        if photometry.num_rows
        else _numbers(redshifts, name)
        for own, name in ((RA, "ra"), (DEC, "dec"))
    )
    tile, i_filter = in_tiles(tiles, ra, dec, room=room)
    columns = {
        "object_id": position_id(ra, dec),
        "ra": ra % 360.0,
        "dec": dec,
        "spectrum_ra": redshifts.column("ra"),
        "spectrum_dec": redshifts.column("dec"),
        **{name: redshifts.column(name) for name in _KEPT},
        "redshift_flag": _text(redshifts.column("redshift_flag")),
        "separation": pa.array(separation.astype(np.float32), mask=~seen),
        **_photometric(photometry, row),
        "ebv": np.asarray(ebv(ra, dec)).astype(np.float32),
        "i_filter": pa.array(i_filter, pa.string()),
        "tile_ra": tile[:, 0],
        "tile_dec": tile[:, 1],
    }
    return pa.table(columns)


_KEPT = ("redshift", "redshift_survey", "redshift_confidence", "sample")


def match(redshifts: pa.Table, photometry: pa.Table) -> tuple[NDArray[np.int64], Floats]:
    """Find the photometric object of every redshift; each object serves one of them.

    Parameters
    ----------
    redshifts, photometry : pyarrow.Table
        As :func:`objects`.

    Returns
    -------
    row : ndarray of int64, (n,)
        Row of ``photometry``, -1 where there is none within :data:`MATCH_RADIUS`, or where the
        object belongs to another redshift (:func:`galaxyds.archives.compiled.one_each`).
    separation : ndarray of float64, (n,)
        Arcseconds, infinite where there is none.
    """
    return one_each(redshifts, *_nearest(redshifts, photometry))


def _nearest(redshifts: pa.Table, photometry: pa.Table) -> tuple[NDArray[np.int64], Floats]:
    """Nearest photometric object of every redshift; one without a position is near to none."""
    ra, dec = _numbers(photometry, RA), _numbers(photometry, DEC)
    placed = np.flatnonzero(np.isfinite(ra) & np.isfinite(dec))
    row, separation = nearest(
        _numbers(redshifts, "ra"),
        _numbers(redshifts, "dec"),
        to_ra=ra[placed],
        to_dec=dec[placed],
        radius=MATCH_RADIUS,
    )
    row[row >= 0] = placed[row[row >= 0]]
    return row, separation


def in_tiles(
    tiles: Sequence[CFHTLSTile], ra: Floats, dec: Floats, *, room: float = ROOM
) -> tuple[NDArray[np.int32], list[str]]:
    """Choose for each position the complete tile whose edges are farthest from it.

    Tiles overlap, so that only the rim of the survey has no room for a whole cutout.

    Parameters
    ----------
    tiles : sequence of CFHTLSTile
    ra, dec : ndarray of float64, (n,)
        Degrees.
    room : float
        Arcseconds to the edge of the tile at least; where a middle is known from the tile's name
        alone, :data:`NAME_ERROR` more than :data:`ROOM`.

    Returns
    -------
    tile : ndarray of int32, (n, 2)
        tile_ra and tile_dec; :data:`NO_TILE` and 0 where there is none.
    i_filter : list of str
        :data:`NOTHING` where there is none.
    """
    complete = [
        replace(tile, half_width=tile.half_width - room / 3600)
        for tile in tiles
        if all(band in tile.artifacts for band in BANDS)
    ]
    chosen = tile_of(ra, dec, complete)
    names = np.array([*(t.tile for t in complete), (NO_TILE, 0)], np.int32).reshape(-1, 2)
    filters = [*(t.i_filter for t in complete), NOTHING]
    return names[chosen], [filters[number] for number in chosen]


def fields(tiles: Sequence[CFHTLSTile]) -> tuple[Box, ...]:
    """Boxes around groups of tiles that lie close together, a degree or less apart.

    Parameters
    ----------
    tiles : sequence of CFHTLSTile

    Returns
    -------
    tuple of Box
        Degrees; every position of a tile lies in one of them.
    """
    boxes: list[Box] = []
    waiting = sorted(tiles, key=lambda t: t.tile)
    while waiting:
        group, grown = [waiting.pop(0)], True
        while grown:
            near = [t for t in waiting if any(_touch(t, other) for other in group)]
            waiting = [t for t in waiting if t not in near]
            group, grown = group + near, bool(near)
        boxes.append(_around(group))
    return tuple(boxes)


def _touch(one: CFHTLSTile, other: CFHTLSTile) -> bool:
    away = abs((one.ra - other.ra + 180) % 360 - 180) * np.cos(np.radians(other.dec))
    reach = one.half_width + other.half_width + 1.0
    return bool(max(away, abs(one.dec - other.dec)) < reach)


def _around(group: Sequence[CFHTLSTile]) -> Box:
    first = group[0].ra
    ends = [
        ((t.ra - first + 180) % 360 - 180, t.half_width / np.cos(np.radians(abs(t.dec) + 1)))
        for t in group
    ]
    return Box(
        (first + min(a - w for a, w in ends) - 0.01) % 360,
        (first + max(a + w for a, w in ends) + 0.01) % 360,
        min(t.dec - t.half_width for t in group) - 0.01,
        max(t.dec + t.half_width for t in group) + 0.01,
    )


def cells(ra: Floats, dec: Floats) -> Iterator[Box]:
    """Yield small boxes that hold positions, with a margin: where a catalogue is worth asking.

    Parameters
    ----------
    ra, dec : ndarray of float64, (n,)
        Degrees.

    Yields
    ------
    Box
        Tight around the positions of one cell of :data:`CELL` degrees.
    """
    rows = np.floor((dec + 90) / CELL).astype(np.int64)
    wide = CELL / np.cos(np.radians(np.minimum(np.abs((rows + 0.5) * CELL - 90), 89.0)))
    columns = np.floor(ra / wide).astype(np.int64)
    key = rows * 100_000 + columns
    order = np.argsort(key, kind="stable")
    for part in np.split(order, np.flatnonzero(np.diff(key[order])) + 1) if len(ra) else []:
        low, high = float(dec[part].min()) - _MARGIN, float(dec[part].max()) + _MARGIN
        side = _MARGIN / np.cos(np.radians(min(max(abs(low), abs(high)), 89.0)))
        west, east = float(ra[part].min()) - side, float(ra[part].max()) + side
        yield Box(west % 360, east % 360, max(low, -90.0), min(high, 90.0))


def only_near(photometry: pa.Table, redshifts: pa.Table) -> pa.Table:
    """Keep the photometric objects that are the nearest to some redshift."""
    row, _ = _nearest(redshifts, photometry)
    return photometry.take(pa.array(np.unique(row[row >= 0])))


def distinct(parts: Sequence[pa.Table]) -> pa.Table:
    """Put tables of photometric objects below each other, each object once.

    Parameters
    ----------
    parts : sequence of pyarrow.Table
        Columns :data:`PHOTOMETRY`; there may be none.

    Returns
    -------
    pyarrow.Table
        In their order; of rows with the same name and place the first one.
    """
    kinds = {name: pa.string() if name == NAME else pa.float64() for name in PHOTOMETRY}
    none = pa.table({name: pa.array([], kind) for name, kind in kinds.items()})
    table = pa.concat_tables([none, *(part.cast(none.schema) for part in parts)])
    places = zip(*(table.column(name).to_pylist() for name in (NAME, RA, DEC)), strict=True)
    first: dict[tuple[object, ...], int] = {}
    for row, place in enumerate(places):
        first.setdefault(place, row)
    return table.take(pa.array(list(first.values()), pa.int64()))


def _photometric(photometry: pa.Table, row: NDArray[np.int64]) -> dict[str, pa.Array]:
    """Columns that come from the photometric catalogue; NULL where a row has none."""
    taken = photometry.take(pa.array(row, mask=row < 0))
    columns = {
        "catalogue_name": taken.column(NAME).cast(pa.string()),
        "extraction_flags": _flags(taken, EXTRACTION),
        "mask_flags": _flags(taken, MASK),
    }
    columns["catalogue_name"] = _text(columns["catalogue_name"])
    for band in BANDS:
        columns[f"mag_{band}"] = _sane(taken.column(MAGNITUDES[band]), pc.greater)
        # Errors are rounded to thousandths: those of bright stars are 0.
        error = _sane(taken.column(ERRORS[band]), pc.greater_equal)
        # The error of a missing magnitude is no error.
        columns[f"mag_err_{band}"] = pc.if_else(columns[f"mag_{band}"].is_valid(), error, None)
    return columns


def _text(values: pa.ChunkedArray) -> pa.ChunkedArray:
    """Text, with :data:`NOTHING` where there is none."""
    return pc.if_else(pc.equal(pc.fill_null(values, ""), ""), NOTHING, values)


def _sane(
    values: pa.ChunkedArray, above: Callable[[pa.ChunkedArray, float], pa.ChunkedArray]
) -> pa.ChunkedArray:
    """Magnitudes or errors as float32; codes and NaN become NULL."""
    numbers = values.cast(pa.float32())
    held = pc.and_(above(numbers, BRIGHTEST), pc.less(numbers, FAINTEST))
    return pc.if_else(held, numbers, None)


def _flags(table: pa.Table, name: str) -> pa.ChunkedArray:
    """Flags as int16; -1 where there are none."""
    try:
        return pc.fill_null(table.column(name).cast(pa.int16()), -1)
    except pa.ArrowInvalid as error:
        raise ArchiveError(
            f"column {name} of {CATALOG} holds no 16-bit flags: {one_line(str(error), 120)}; the "
            "catalogue has changed: please report it",
            service="VizieR", url="", status=None, answer=one_line(str(error), 120),
        ) from None  # fmt: skip


def _numbers(table: pa.Table, name: str) -> Floats:
    found: Floats = table.column(name).to_numpy().astype(np.float64)
    return found


def compiled(
    readings: Iterable[Reading],
    tiles: Sequence[CFHTLSTile],
    *,
    photometry: Callable[[pa.Table], pa.Table],
    ebv: Reddening,
    room: float = ROOM,
) -> Compiled:
    """Merge the redshifts and put the table together.

    Parameters
    ----------
    readings : iterable of Reading
        Secure redshifts of every survey.
    tiles : sequence of CFHTLSTile
        All tiles.
    photometry : callable
        Takes the merged redshifts, returns what :func:`objects` takes.
    ebv : callable
        As for :func:`objects`.
    room : float
        As for :func:`in_tiles`.

    Returns
    -------
    Compiled
    """
    merged = compile_redshifts(readings)
    found = photometry(merged.table)
    return Compiled(objects(merged.table, found, tiles, ebv=ebv, room=room), merged.tallies)
