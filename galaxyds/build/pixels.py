"""The cutouts stage: objects grouped into units by what the archive delivers, and run."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from galaxyds.archives.base import CUTOUTS_ENDPOINT, FRAMES_ENDPOINT, CutoutArchive, FrameArchive
from galaxyds.build.context import Context
from galaxyds.build.frames import FRAME_MISSING, FrameUnit, TileObjects
from galaxyds.build.lists import NO_DATA, list_units
from galaxyds.build.pool import run_units
from galaxyds.build.shards import Shards
from galaxyds.build.tables import read_rows
from galaxyds.build.units import Unit
from galaxyds.build.workspace import write_facts
from galaxyds.catalog import chains, tiles_of
from galaxyds.errors import NotInArchiveError, UsageError
from galaxyds.pixels import needs_neighbours
from galaxyds.store import require_space

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

    from galaxyds.spec import Pixels

SHARDS = "shards"
FRAMES = "frames"
_MISSING_SHARE = 0.01  # objects without pixels beyond which an archive is taken for broken,
_MISSING_FEW = 10  # if they are more than so many, or half of a small build
_ABSENT = (FRAME_MISSING, NO_DATA)
_ROOM = 2.9  # disk at the peak over the size of the pixels: shards, HDF5 and hub


def cut_pixels(context: Context, folder: Path) -> str:
    """Make or fetch every object's cutout; finished units survive an interruption."""
    (folder / SHARDS).mkdir(exist_ok=True)
    units = plan_units(context, folder)
    total = sum(unit.count for unit in units)
    bytes_needed = int(_ROOM * total * 4 * np.prod(context.spec.image_shape()))
    require_space(folder, bytes_needed, what=f"building {context.spec.name}")
    failed = run_units(context, units, total)
    _settle_missing(context, Shards(folder / SHARDS), total)
    shutil.rmtree(context.workspace.directory / FRAMES, ignore_errors=True)
    write_facts(folder, {"failed": {o.name: str(o.error) for o in failed}})
    return f"{total - sum(o.objects for o in failed):,} objects in {len(units):,} units"


def plan_units(context: Context, folder: Path) -> list[Unit]:
    """Group the objects into units, in ascending order of tiles.

    Parameters
    ----------
    context : Context
        With the rows of the split stage.
    folder : pathlib.Path
        The stage's folder.

    Returns
    -------
    list of Unit
        Every object stands in exactly one of them.

    Raises
    ------
    UsageError
        If the archive delivers no pixels.
    """
    if isinstance(context.archive, FrameArchive):
        return list(_frame_units(context, context.archive, folder))
    if isinstance(context.archive, CutoutArchive):
        rows = read_rows(context, "split")
        return list(list_units(rows, context.spec, context.archive, folder / SHARDS))
    raise UsageError(f"{context.archive.name} delivers no pixels")


def _frame_units(context: Context, archive: FrameArchive, folder: Path) -> list[FrameUnit]:
    spec = context.spec
    rows = read_rows(context, "split")
    tiles = tiles_of(rows, spec.pixels.tile)
    ids = rows.column(spec.object_id).to_numpy()
    ra, dec = rows.column("ra").to_numpy(), rows.column("dec").to_numpy()
    low, high = _near_ends(rows, spec.pixels)
    previous = {tile for tile, chosen in tiles.items() if low[chosen].any()}
    following = {tile for tile, chosen in tiles.items() if high[chosen].any()}
    return [
        FrameUnit(
            tiles=tuple(
                TileObjects(tile=t, ids=ids[tiles[t]], ra=ra[tiles[t]], dec=dec[tiles[t]])
                for t in chain
            ),
            previous=frozenset(previous & set(chain)),
            following=frozenset(following & set(chain)),
            archive=archive,
            bands=spec.band_names(),
            size=spec.pixels.size,
            align=context.options.align,
            reference=spec.pixels.reference_band,
            directory=folder / SHARDS,
            scratch=context.workspace.directory / FRAMES,
        )
        for chain in chains(list(tiles), previous, following)
    ]


def _near_ends(rows: pa.Table, pixels: Pixels) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which objects may need the frames of the previous and of the next tile."""
    if not pixels.row:
        nobody = np.zeros(rows.num_rows, dtype=np.bool_)
        return nobody, nobody
    position = rows.column(pixels.row).to_numpy().astype(np.float64)
    near = needs_neighbours(position, pixels.size, rows=pixels.tile_rows)
    middle = pixels.tile_rows / 2
    return near & ~(position > middle), near & ~(position < middle)


def _settle_missing(context: Context, shards: Shards, total: int) -> None:
    """Take an archive that lacks more than a few objects for broken, not for incomplete."""
    reasons = [reason for _, reason in shards.dropped if reason.startswith(_ABSENT)]
    missing = len(reasons)
    few = max(_MISSING_SHARE * total, min(_MISSING_FEW, total / 2))
    if missing <= few or context.options.drop_failed:
        return
    for reason in set(reasons):
        shards.forget(reason)
    endpoints = context.archive.endpoints()
    address = endpoints.get(FRAMES_ENDPOINT) or endpoints.get(CUTOUTS_ENDPOINT) or "its address"
    raise NotInArchiveError(
        f"the archive answers that it does not hold the pixels of {missing:,} of {total:,} "
        f"objects: check {address} and run "
        "the same command again, or add --drop-failed to leave these objects out",
        missing=missing,
    )
