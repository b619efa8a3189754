"""Running units of work: a pool of processes, failures collected, an outage noticed early."""

from __future__ import annotations

import logging
import multiprocessing
import os
import threading
from collections.abc import Iterable, Iterator, Sequence
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

from galaxyds.build.context import Context
from galaxyds.build.units import FAILED, Outcome, Unit, run_unit
from galaxyds.errors import ArchiveError, GalaxydsError, StorageError

_AHEAD = 4  # units per worker that wait in the pool's queue
_PATIENCE = 3  # failures in a row, beside two per worker, that stop a build
LOG = logging.getLogger("galaxyds.build")


def run_units(
    context: Context, units: Sequence[Unit], total: int, *, may_drop: bool = True
) -> list[Outcome]:
    """Run all units, or stop where the archive fails time after time.

    Parameters
    ----------
    context : Context
        Jobs, executor and reporter.
    units : sequence of Unit
        Those whose shard stands are passed over.
    total : int
        Objects of all units.
    may_drop : bool
        Whether ``--drop-failed`` applies: not to what depends on nothing outside.

    Returns
    -------
    list of Outcome
        The failed ones, which the request allows to leave out.

    Raises
    ------
    GalaxydsError
        If units failed and may not be left out, a worker died, or the archive seems to be down.
    """
    failed: list[Outcome] = []
    done = in_a_row = 0
    context.reporter.progress(done, total, "objects")
    for outcome in _run(context, units):
        for words in outcome.missing:
            LOG.warning("left out of unit %s: %s", outcome.name, words)
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
    _settle_failures(context, failed, units=len(units), may_drop=may_drop)
    return failed


def _run(context: Context, units: Sequence[Unit]) -> Iterator[Outcome]:
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


def _settle_failures(
    context: Context, failed: list[Outcome], *, units: int, may_drop: bool
) -> None:
    if not failed:
        return
    for outcome in failed:
        context.reporter.note(f"{FAILED}: {outcome.name}: {outcome.error}")
    if may_drop and context.options.drop_failed:
        return
    first = failed[0].error
    assert first is not None
    if len(failed) == 1 and units == 1:
        raise first
    kind = type(first) if not isinstance(first, StorageError) else ArchiveError
    drop = ", or add --drop-failed to leave their objects out" if may_drop else ""
    raise kind(
        f"{len(failed)} of {units} units failed, the others are kept; first: {first.message} "
        f"(run the same command again to retry{drop})",
        **first.values,
    ) from first
