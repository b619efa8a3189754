"""What a build would cost, before it begins."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from galaxyds.archives.base import (
    CatalogArchive,
    CatalogQuery,
    CompiledArchive,
    CutoutArchive,
    FrameArchive,
    Need,
    Source,
)
from galaxyds.build.archives import SIMULATED
from galaxyds.build.context import Context
from galaxyds.build.engine import RELEASE_STAGES, Request, needs_of, open_context
from galaxyds.build.release import PublishedRelease
from galaxyds.build.space import product_bytes, shard_bytes


@dataclass(frozen=True, kw_only=True, slots=True)
class StagePlan:
    """One stage: what it will do, and whether it is finished."""

    name: str
    cost: str
    done: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """The cost of a build.

    Attributes
    ----------
    addresses : tuple of str
        What would be built: ``name/config``, several if one download serves several.
    version, archive : str
        Under which version, and from where.
    rows : int
        Rows after the cuts (for a list: wanted objects; without the archive's account: the
        published number).
    tiles : int
        Tiles to fetch; for a list, and without the archive's account, at most one per object.
    fetch : str
        What is transferred for the pixels, in words.
    fetch_bytes : int
        Bytes of it, estimated.
    disk_bytes, free_bytes : int
        Bytes needed at the peak, and free, in ``root``.
    needs : tuple of Need
        Accounts and packages.
    stages : tuple of StagePlan
        In order.
    published : int
        The paper's number of objects.
    """

    addresses: tuple[str, ...]
    version: str
    archive: str
    root: Path
    rows: int
    tiles: int
    fetch: str
    fetch_bytes: int
    disk_bytes: int
    free_bytes: int
    needs: tuple[Need, ...]
    stages: tuple[StagePlan, ...]
    published: int


def make_plan(request: Request) -> Plan:
    """Ask the archive how many rows and tiles a build has, and add up what that costs.

    Parameters
    ----------
    request : Request
        As for :func:`galaxyds.build.build`.

    Returns
    -------
    Plan
        Estimates; nothing is written.

    Raises
    ------
    ArchiveError
        If the archive does not answer.
    """
    context = open_context(request)
    spec = context.spec
    rows, tiles = _extent(context)
    fetched = _fetch_bytes(context, rows, tiles)
    work = fetched if context.stages == RELEASE_STAGES else shard_bytes(context, rows)
    existing = next(p for p in (context.home, *context.home.parents) if p.exists())
    return Plan(
        addresses=tuple(f"{spec.name}/{product.name}" for product in context.products),
        version=context.version,
        archive=context.archive.name,
        root=context.home,
        rows=rows,
        tiles=tiles,
        fetch=_fetch_words(context, rows, tiles),
        fetch_bytes=fetched,
        disk_bytes=work + product_bytes(context, rows),
        free_bytes=shutil.disk_usage(existing).free,
        needs=tuple(need for _, need in needs_of(context)),
        stages=tuple(_stage_plans(context, rows, tiles)),
        published=context.config.published_total,
    )


def _fetch_bytes(context: Context, rows: int, tiles: int) -> int:
    """Bytes to transfer for the pixels, estimated."""
    archive, spec = context.archive, context.spec
    if isinstance(archive, FrameArchive):
        return tiles * archive.tile_bytes(spec.band_names())
    if isinstance(archive, CutoutArchive):
        each = archive.cutout_bytes(spec.band_names(), half_size=spec.pixels.half_size)
        return rows * each
    if _is_at_hand(context):
        return 0
    rows = spec.files.rows if spec.files and spec.files.rows else rows
    return rows * sum(
        int(np.prod(spec.of(product.name).image_shape())) * 4 for product in context.products
    )


def _is_at_hand(context: Context) -> bool:
    """Whether every published file is there already."""
    archive, files = context.archive, context.spec.files
    if not isinstance(archive, PublishedRelease) or files is None:
        return False
    sizes = (context.spec.of(product.name).pixels.size for product in context.products)
    wanted = {name for size in sizes for name in files.files(size).values()}
    return wanted <= set(archive.own())


def _fetch_words(context: Context, rows: int, tiles: int) -> str:
    if context.spec.pixels.protocol == "stacks" and isinstance(context.archive, FrameArchive):
        return f"frames in {tiles:,} tiles, and those that overlap them"
    if isinstance(context.archive, FrameArchive):
        return f"frames in up to {tiles:,} tiles"
    if isinstance(context.archive, CutoutArchive):
        return f"cutouts in at least {_lists(context, context.archive, rows):,} lists"
    return "published files, from your own copy" if _is_at_hand(context) else "published files"


def _lists(context: Context, archive: CutoutArchive, rows: int) -> int:
    """Lists of objects if every list is full."""
    return -(-rows // archive.list_objects(context.spec.band_names()))


def _extent(context: Context) -> tuple[int, int]:
    """Rows and tiles of the build."""
    limit = context.options.selection.limit
    if context.objects is not None:
        return len(context.objects), len(context.objects)  # at most
    if _cannot_count(context.archive):
        rows = min(context.config.published_total, limit or context.config.published_total)
        return rows, rows  # at most
    columns = context.table_columns()
    request = CatalogQuery(
        columns=columns,
        tables=context.spec.tables,
        predicates=tuple(cut.sql for cut in context.cuts),
        key=context.spec.key,
        vocabulary=columns,
        base=context.spec.base,
    )
    rows, tiles = context.catalog.extent(request, context.spec.pixels.tile)
    if limit is None or rows <= limit:
        return rows, tiles
    return limit, max(1, round(tiles * limit / rows))


def _cannot_count(archive: Source) -> bool:
    """Whether an answer would need what is not there, or the compilation of a whole catalogue."""
    if not isinstance(archive, CatalogArchive) or any(not n.present for n in archive.needs()):
        return True
    return isinstance(archive, CompiledArchive) and archive.name != SIMULATED


def _stage_plans(context: Context, rows: int, tiles: int) -> list[StagePlan]:
    finished = context.workspace.finished()
    bands, split = len(context.spec.bands), context.spec.split
    costs = {
        "query": f"{len(context.pushed())} cuts at the archive",
        "cut": f"{len(context.local())} cuts here",
        "deduplicate": ", ".join(f"one row per {r.what}" for r in context.spec.duplicates),
        "split": f"{split.divisions} {'folds' if split.folds else 'seeded divisions'}",
        "coverage": "which frames cover each object",
        "cutouts": _cutout_cost(context, rows, tiles),
        "morphology": f"{rows:,} objects in {bands} bands",
        "fetch": "published files, every size and stated md5 checked",
        "write": f"{rows:,} objects to HDF5, Parquet and hub",
        "verify": "every file read back",
    }
    return [
        StagePlan(name=name, cost=costs.get(name, ""), done=name in finished)
        for name in context.stages
    ]


def _cutout_cost(context: Context, rows: int, tiles: int) -> str:
    bands = context.spec.band_names()
    if isinstance(context.archive, CutoutArchive):
        lists = _lists(context, context.archive, rows)
        return f"{rows:,} objects in {len(bands)} bands, at least {lists:,} lists"
    return f"{tiles:,} tiles, {tiles * len(bands):,} frames"
