"""The last stages: writing the files of a dataset, verifying them, publishing them."""

from __future__ import annotations

import datetime
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from galaxyds._version import __version__
from galaxyds.build.archives import SIMULATED
from galaxyds.build.context import Context
from galaxyds.build.cutouts import FAILED, Shards
from galaxyds.build.pixels import SHARDS
from galaxyds.build.tables import read_rows
from galaxyds.build.workspace import read_facts
from galaxyds.errors import DataIntegrityError
from galaxyds.publish import write_product
from galaxyds.store import (
    ArchiveRecord,
    CutRow,
    Dropped,
    Manifest,
    PublishedRecord,
    require_space,
    verify,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

LOG = logging.getLogger("galaxyds.build")
DATASET = "dataset"
"""Folder of the write stage that will be renamed into its published place."""


def write_files(context: Context, folder: Path) -> str:
    """Write the dataset's files into ``folder/dataset``."""
    shards = Shards(context.workspace.path("cutouts") / SHARDS)
    table = _final_table(context, shards)
    if table.num_rows == 0:
        raise DataIntegrityError(
            f"no object of {context.spec.name} has a cutout: see {folder.parent / 'build.log'}"
        )
    size = int(np.prod(context.spec.image_shape())) * 4 * table.num_rows
    require_space(folder, int(2 * size), what=f"writing {context.spec.name}")
    write_product(
        folder / DATASET,
        spec=context.spec,
        manifest=_manifest(context, table.num_rows, shards),
        table=table,
        blocks=_with_progress(context, shards),
    )
    return f"{table.num_rows:,} objects, {size / 1e9:.2f} GB of pixels"


def _with_progress(context: Context, shards: Shards) -> Iterator[NDArray[np.float32]]:
    done, total = 0, len(shards.object_id)
    for block in shards.blocks():
        yield block
        done += len(block)
        context.reporter.progress(done, total, "objects")


def _final_table(context: Context, shards: Shards) -> pa.Table:
    """Rows of the objects that have a cutout, with the columns of the cutouts."""
    rows = read_rows(context, "split")
    ids = rows.column(context.spec.object_id).to_numpy()
    rows = rows.take(np.flatnonzero(np.isin(ids, shards.object_id)))
    found = rows.column(context.spec.object_id).to_numpy()
    if not np.array_equal(found, shards.object_id):
        raise DataIntegrityError(
            f"the shards in {context.workspace.path('cutouts')} hold {len(shards.object_id)} "
            f"objects, the catalogue {len(found)} of them: build again with --from cutouts"
        )
    for name, values in shards.columns.items():
        rows = rows.append_column(name, [values])
    return rows


def _manifest(context: Context, rows: int, shards: Shards) -> Manifest:
    """Everything that is known before the files are written."""
    spec, archive = context.spec, context.archive
    facts = {
        stage: read_facts(context.workspace.path(stage))
        for stage in ("query", "cut", "deduplicate", "cutouts")
    }
    return Manifest(
        name=spec.name,
        config=context.config.name,
        version=context.version,
        package_version=__version__,
        spec_digest=spec.digest(context.config.name),
        created=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        archive=ArchiveRecord(
            name=archive.name,
            data_release=spec.data_release,
            endpoints=archive.endpoints(),
            simulated=archive.name == SIMULATED,
        ),
        rows=rows,
        shape=spec.image_shape(),
        selection=context.options.selection,
        align=context.options.align,
        failed=len(facts["cutouts"]["failed"]),
        queries=tuple(facts["query"]["queries"]),
        cut_flow=tuple(_cut_rows([*facts["query"]["cut_flow"], *facts["cut"]["cut_flow"]])),
        duplicates={facts["deduplicate"]["rule"]: facts["deduplicate"]["removed"]},
        published=_published(context, rows),
        dropped=tuple(_dropped(context, shards)),
        departures=tuple(archive.departures()),
        warnings=(*facts["query"]["warnings"], *_count_warning(context, rows)),
    )


def _count_warning(context: Context, rows: int) -> tuple[str, ...]:
    """One line if a full, real build does not have the published number of objects."""
    published = context.config.published[0]
    partial = context.archive.name == SIMULATED or context.options.selection.kind != "full"
    if partial or rows == published.count:
        return ()
    share = 100 * (rows - published.count) / published.count
    told = (
        f"{rows:,} objects where the paper has {published.count:,} ({share:+.2f} %, "
        f"{published.source}): the cut flow shows where; the archive may have changed"
    )
    return (told,)


def _cut_rows(flow: list[dict[str, Any]]) -> Iterator[CutRow]:
    for step in flow:
        yield CutRow(
            name=step["name"],
            sql=step["sql"],
            rows_before=step["before"],
            rows_after=step["after"],
            removed=step["before"] - step["after"],
            why=step["why"],
            source=step["source"],
            where=step["where"],
            has_effect=step["has_effect"],
        )


def _published(context: Context, rows: int) -> tuple[PublishedRecord, ...]:
    """Published counts; ours stands beside the first, which counts what a build counts."""
    if context.objects is not None:
        return ()
    return tuple(
        PublishedRecord(what=p.what, count=p.count, source=p.source, ours=None if n else rows)
        for n, p in enumerate(context.config.published)
    )


def _dropped(context: Context, shards: Shards) -> Iterator[Dropped]:
    """Every object of the split stage that has no cutout, with its reason."""
    reasons = dict(shards.dropped)
    ids = read_rows(context, "split").column(context.spec.object_id).to_numpy()
    for object_id in ids[~np.isin(ids, shards.object_id)]:
        reason = reasons.get(int(object_id), FAILED)
        yield Dropped(object_id=int(object_id), reason=reason)


def verify_files(context: Context, folder: Path) -> str:
    """Check every file of the finished dataset against its declaration."""
    written = context.workspace.path("write") / DATASET
    results = list(verify(written, context.spec))
    bad = [result for result in results if not result.ok]
    for result in results:
        if not result.ok:
            LOG.warning("verify: %s %s: got %s", result.file, result.check, result.got)
    if bad:
        first = bad[0]
        raise DataIntegrityError(
            f"{len(bad)} of {len(results)} checks failed, nothing was published; first: "
            f"{first.check}: expected {first.expected}, got {first.got}; {first.advice}",
            file=str(first.file),
            expected=first.expected,
            got=first.got,
        )
    (folder / "checks.txt").write_text("\n".join(result.check for result in results) + "\n")
    return f"{len(results)} checks passed"
