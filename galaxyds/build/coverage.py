"""The coverage stage: which tiles' frames show each object, asked once for all objects."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from galaxyds.archives.base import CoverageArchive, Tile
from galaxyds.build.context import Context
from galaxyds.build.tables import after, read_rows
from galaxyds.build.workspace import write_facts
from galaxyds.errors import DataIntegrityError, UsageError

if TYPE_CHECKING:
    import pyarrow as pa

COVERAGE = "coverage.parquet"
"""File of the stage: ``object_id`` int64, ``ra`` and ``dec`` float64 in degrees, ``tiles`` list of
lists of int64, ascending."""
STAGE = "coverage"
_MARGIN = 4  # px that a resampling kernel reaches beyond a cutout


def reach(context: Context) -> float:
    """Arcseconds from an object to the farthest pixel that its cutout may be made from."""
    pixels = context.spec.pixels
    return (pixels.size / math.sqrt(2) + _MARGIN) * pixels.scale


def cover(context: Context, folder: Path) -> str:
    """Ask the archive which tiles cover each object.

    Parameters
    ----------
    context : Context
        With the rows of the split stage.
    folder : pathlib.Path
        Gets :data:`COVERAGE` and facts: ``tiles`` (distinct ones), ``depth`` (mean number per
        object) and ``uncovered`` (objects without any).

    Returns
    -------
    str
        One line on what came out.

    Raises
    ------
    UsageError
        If the archive cannot be asked by position.
    ArchiveError
        If it fails.
    """
    archive = context.archive
    if not isinstance(archive, CoverageArchive):
        raise UsageError(
            f"{archive.name} cannot tell which frames cover a position: "
            f"{context.spec.name} needs an archive that can"
        )
    rows = read_rows(context, "split")
    ra, dec = rows.column("ra").to_numpy(), rows.column("dec").to_numpy()
    tiles = archive.covering(ra, dec, radius=reach(context))
    _write(folder / COVERAGE, rows.rename_columns({context.spec.object_id: "object_id"}), tiles)
    distinct = len({tile for group in tiles for tile in group})
    depth = sum(map(len, tiles)) / max(len(tiles), 1)
    bare = sum(not group for group in tiles)
    warnings = [f"{bare:,} objects lie in no frame of {archive.name}"] if bare else []
    for told in warnings:
        context.reporter.note(told)
    write_facts(
        folder, {"tiles": distinct, "depth": depth, "uncovered": bare, "warnings": warnings}
    )
    return f"{len(tiles):,} objects in {distinct:,} tiles, {depth:.2f} frames each"


def cover_inputs(context: Context) -> dict[str, str]:
    """What decides the coverage: how far a cutout reaches, and the objects."""
    return {"reach": f"{reach(context):.3f} arcsec", **after("split")(context)}


def read_coverage(context: Context) -> dict[int, tuple[Tile, ...]]:
    """Read the tiles of every object that the finished stage left, by object id.

    Raises
    ------
    DataIntegrityError
        If the file is damaged.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = context.workspace.path(STAGE) / COVERAGE
    try:
        table = pq.read_table(path, page_checksum_verification=True, partitioning=None)
    except (OSError, pa.ArrowInvalid) as error:
        raise DataIntegrityError(
            f"{path} is damaged ({error}): run the build again with --from {STAGE}", file=str(path)
        ) from error
    lists = pa.concat_arrays(table.column("tiles").chunks)
    ends = np.cumsum(lists.value_lengths().to_numpy())
    values = lists.flatten().flatten().to_numpy()
    if not len(values):
        return dict.fromkeys(table.column("object_id").to_pylist(), ())
    distinct, which = np.unique(values.reshape(ends[-1], -1), axis=0, return_inverse=True)
    # Half a million objects share the tuples of their tiles.
    known = [tuple(tile) for tile in distinct.tolist()]
    groups = np.split(which.ravel(), ends[:-1])
    return {
        one: tuple(known[number] for number in group)
        for one, group in zip(table.column("object_id").to_pylist(), groups, strict=True)
    }


def _write(path: Path, rows: pa.Table, tiles: Sequence[tuple[Tile, ...]]) -> None:
    """Positions go with the tiles: what stands on this stage is made again when they change."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    lists = pa.array([sorted(group) for group in tiles], pa.list_(pa.list_(pa.int64())))
    table = rows.select(["object_id", "ra", "dec"]).append_column("tiles", lists)
    pq.write_table(table, path, compression="zstd", write_page_checksum=True)
