"""The cutouts stage: objects grouped into units by what the archive delivers, and run."""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from galaxyds.archives.base import CUTOUTS_ENDPOINT, FRAMES_ENDPOINT, CutoutArchive, FrameArchive
from galaxyds.build.context import Context
from galaxyds.build.frames import OUTSIDE, FrameUnit, TileObjects
from galaxyds.build.lists import list_units
from galaxyds.build.pool import run_units
from galaxyds.build.shards import Shards
from galaxyds.build.space import held, product_bytes, shard_bytes
from galaxyds.build.stacks import stack_units
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


def cut_pixels(context: Context, folder: Path) -> str:
    """Make or fetch every object's cutout; finished units survive an interruption."""
    (folder / SHARDS).mkdir(exist_ok=True)
    units = plan_units(context, folder)
    total = sum(unit.count for unit in units)
    needed = shard_bytes(context, total) + product_bytes(context, total) - held(folder / SHARDS)
    require_space(folder, needed, what=f"building {context.spec.name}")
    failed = run_units(context, units, total)
    shards = Shards(folder / SHARDS)
    _settle_missing(context, shards, total)
    warnings = _settle_notes(context, shards, total)
    shutil.rmtree(context.workspace.directory / FRAMES, ignore_errors=True)
    write_facts(folder, {"failed": {o.name: str(o.error) for o in failed}, "warnings": warnings})
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
        if context.spec.pixels.protocol == "stacks":
            return list(stack_units(context, context.archive, folder / SHARDS))
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


def _is_much(context: Context, missing: int, total: int) -> bool:
    """Whether an archive that lacks so many must be taken for broken, not for incomplete."""
    few = max(_MISSING_SHARE * total, min(_MISSING_FEW, total / 2))
    return missing > few and not context.options.drop_failed


def _settle_missing(context: Context, shards: Shards, total: int) -> None:
    """Stop if many objects have no pixels; shards without hardly any are made again."""
    reasons = Counter(reason for _, reason in shards.dropped if reason != OUTSIDE)
    missing = reasons.total()
    if not _is_much(context, missing, total):
        return
    shards.forget_empty()
    endpoints = context.archive.endpoints()
    address = endpoints.get(FRAMES_ENDPOINT) or endpoints.get(CUTOUTS_ENDPOINT) or "its address"
    raise NotInArchiveError(
        f"the archive does not hold the pixels of {missing:,} of {total:,} objects (mostly: "
        f"{reasons.most_common(1)[0][0]}): check {address} and run the same command again, or add "
        "--drop-failed to leave these objects out",
        missing=missing,
    )


def _settle_notes(context: Context, shards: Shards, total: int) -> list[str]:
    """Stop if many objects lack a frame or a point-spread function, else say how many and why."""
    reasons = Counter(reason for _, reason in shards.notes)
    if _is_much(context, reasons.total(), total):
        shards.forget_noted()
        stacked = context.spec.pixels.protocol == "stacks"
        address = context.archive.endpoints().get(FRAMES_ENDPOINT if stacked else "psf")
        what, without = (
            ("all the frames", "stack them from the others")
            if stacked
            else ("the point-spread functions", "go without these fits")
        )
        raise NotInArchiveError(
            f"the archive does not hold {what} of {reasons.total():,} of {total:,} objects "
            f"(mostly: {reasons.most_common(1)[0][0]}): check {address or 'its address'} and run "
            f"the same command again, or add --drop-failed to {without}",
            missing=reasons.total(),
        )
    return [f"{count:,} objects: {reason}" for reason, count in sorted(reasons.items())]
