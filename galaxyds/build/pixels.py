"""The cutouts stage: units of work on a pool of processes."""

from __future__ import annotations

import logging
import multiprocessing
import os
import shutil
import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import (
    FIRST_COMPLETED,
    Executor,
    Future,
    ProcessPoolExecutor,
    as_completed,
    wait,
)
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from galaxyds.archives.base import FRAMES_ENDPOINT
from galaxyds.build.context import Context
from galaxyds.build.cutouts import (
    FAILED,
    FRAME_MISSING,
    Outcome,
    Shards,
    TileObjects,
    Unit,
    run_unit,
)
from galaxyds.build.tables import read_rows
from galaxyds.build.workspace import write_facts
from galaxyds.catalog import chains, tiles_of
from galaxyds.errors import ArchiveError, GalaxydsError, NotInArchiveError, StorageError
from galaxyds.pixels import needs_neighbours
from galaxyds.store import require_space

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

    from galaxyds.spec import Pixels

SHARDS = "shards"
FRAMES = "frames"
_AHEAD = 4  # units per worker that wait in the pool's queue
_PATIENCE = 3  # failures in a row, beside two per worker, that stop a build
_MISSING_SHARE = 0.01  # objects without frames beyond which an archive is taken for broken
_ROOM = 2.9  # disk at the peak over the size of the pixels: shards, HDF5 and hub
LOG = logging.getLogger("galaxyds.build")


def cut_pixels(context: Context, folder: Path) -> str:
    """Cut every object out of its frames; finished units survive an interruption."""
    units = plan_units(context, folder)
    total = sum(len(tile.ids) for unit in units for tile in unit.tiles)
    bytes_needed = int(_ROOM * total * 4 * np.prod(context.spec.image_shape()))
    require_space(folder, bytes_needed, what=f"building {context.spec.name}")
    (folder / SHARDS).mkdir(exist_ok=True)
    failed = _run_all(context, units, total)
    _settle_failures(context, failed, len(units))
    _settle_missing(context, Shards(folder / SHARDS), total)
    shutil.rmtree(context.workspace.directory / FRAMES, ignore_errors=True)
    write_facts(folder, {"failed": {o.name: str(o.error) for o in failed}})
    return f"{total - sum(o.objects for o in failed):,} objects in {len(units):,} units"


def _run_all(context: Context, units: list[Unit], total: int) -> list[Outcome]:
    """Run all units, or stop where the archive fails time after time; return the failed ones."""
    failed: list[Outcome] = []
    done = in_a_row = 0
    context.reporter.progress(done, total, "objects")
    for outcome in _run(context, units):
        for words in outcome.missing:
            LOG.warning("tile of unit %s left out: %s", outcome.name, words)
        if outcome.error is None:
            done, in_a_row = done + outcome.objects, 0
        else:
            failed.append(outcome)
            in_a_row += isinstance(outcome.error, ArchiveError)
        context.reporter.progress(done, total, "objects")
        if in_a_row >= _PATIENCE + 2 * context.options.jobs:
            raise ArchiveError(
                f"{in_a_row} units failed one after the other, {done:,} of {total:,} objects are "
                f"done and kept; the last: {failed[-1].error} (run the same command again to "
                "resume)",
                service=context.archive.name,
            )
    return failed


def _settle_missing(context: Context, shards: Shards, total: int) -> None:
    """Take an archive that lacks more than a few frames for broken, not for incomplete."""
    missing = sum(reason == FRAME_MISSING for _, reason in shards.dropped)
    if missing <= _MISSING_SHARE * total or context.options.drop_failed:
        return
    shards.forget(FRAME_MISSING)
    raise NotInArchiveError(
        f"the archive answers that it does not hold the frames of {missing:,} of {total:,} "
        f"objects: check {context.archive.endpoints().get(FRAMES_ENDPOINT, 'its address')} and run "
        "the same command again, or add --drop-failed to leave these objects out",
        missing=missing,
    )


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
    """
    spec = context.spec
    rows = read_rows(context, "split")
    tiles = tiles_of(rows, spec.pixels.tile)
    ids = rows.column(spec.object_id).to_numpy()
    ra, dec = rows.column("ra").to_numpy(), rows.column("dec").to_numpy()
    low, high = _near_ends(rows, spec.pixels)
    previous = {tile for tile, chosen in tiles.items() if low[chosen].any()}
    following = {tile for tile, chosen in tiles.items() if high[chosen].any()}
    return [
        Unit(
            tiles=tuple(
                TileObjects(tile=t, ids=ids[tiles[t]], ra=ra[tiles[t]], dec=dec[tiles[t]])
                for t in chain
            ),
            previous=frozenset(previous & set(chain)),
            following=frozenset(following & set(chain)),
            archive=context.archive,
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


def _run(context: Context, units: list[Unit]) -> Iterator[Outcome]:
    """Run units in any order; a storage error or an interruption stops them all."""
    waiting = [unit for unit in units if not unit.shard.exists()]
    finished = [unit for unit in units if unit.shard.exists()]
    yield from (run_unit(unit) for unit in finished)
    if context.executor is None and (context.options.jobs == 1 or len(waiting) <= 1):
        yield from map(run_unit, waiting)
        return
    with _pool(context) as pool:
        yield from _submit(pool, waiting, ahead=_AHEAD * context.options.jobs)


def _submit(pool: Executor, units: Iterable[Unit], *, ahead: int) -> Iterator[Outcome]:
    """Keep ``ahead`` units with the pool: half a million futures at once would fill memory."""
    running: set[Future[Outcome]] = set()
    try:
        for unit in units:
            running.add(pool.submit(run_unit, unit))
            if len(running) >= ahead:
                finished, running = wait(running, return_when=FIRST_COMPLETED)
                yield from (future.result() for future in finished)
        yield from (future.result() for future in as_completed(running))
    except BrokenProcessPool as error:
        raise GalaxydsError(
            "a worker process died (killed, or out of memory): run the same command again to "
            "resume, with a smaller --jobs if memory is short"
        ) from error
    finally:
        for future in running:
            future.cancel()


def _die_with_parent() -> None:
    """End a worker when the build's process is gone: it must not work beside a resumed build."""
    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def watch() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=watch, name="galaxyds-parent-watch", daemon=True).start()


@contextmanager
def _pool(context: Context) -> Iterator[Executor]:
    if context.executor is not None:
        yield context.executor
        return
    # Spawned, not forked: no inherited locks or maps, and a worker hears when its parent is gone.
    pool = ProcessPoolExecutor(
        context.options.jobs,
        mp_context=multiprocessing.get_context("spawn"),
        initializer=_die_with_parent,
    )
    try:
        yield pool
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _settle_failures(context: Context, failed: list[Outcome], units: int) -> None:
    if not failed:
        return
    for outcome in failed:
        context.reporter.note(f"{FAILED}: {outcome.name}: {outcome.error}")
    if context.options.drop_failed:
        return
    first = failed[0].error
    assert first is not None
    if len(failed) == 1 and units == 1:
        raise first
    kind = type(first) if not isinstance(first, StorageError) else ArchiveError
    raise kind(
        f"{len(failed)} of {units} units failed, the others are kept; first: {first.message} "
        "(run the same command again to retry, or add --drop-failed to leave their objects out)",
        **first.values,
    ) from first
