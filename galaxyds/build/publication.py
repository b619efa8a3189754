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
from galaxyds.build.context import Context
from galaxyds.build.cutouts import FAILED, Shards
from galaxyds.build.pixels import SHARDS
from galaxyds.build.tables import read_rows
from galaxyds.build.workspace import read_facts
from galaxyds.errors import DataIntegrityError
from galaxyds.publish import write_hub
from galaxyds.spec import SPLITS
from galaxyds.store import (
    ArchiveRecord,
    BandStatistics,
    CutRow,
    Dropped,
    FileRecord,
    Manifest,
    PublishedRecord,
    image_map,
    require_space,
    sha256,
    verify,
    write_catalog,
    write_hdf5,
    write_manifest,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

LOG = logging.getLogger("galaxyds.build")


def write_files(context: Context, folder: Path) -> str:
    """Write ``images.hdf5``, ``catalog.parquet``, ``hub/`` and ``manifest.json``."""
    shards = Shards(context.workspace.path("cutouts") / SHARDS)
    table = _final_table(context, shards)
    size = int(np.prod(context.spec.image_shape())) * 4 * table.num_rows
    require_space(folder, int(2.1 * size), what=f"writing {context.spec.name}")
    spec, config = context.spec, context.config.name
    attributes: dict[str, str | int | float] = {"version": context.version}
    write_hdf5(
        folder / "images.hdf5",
        spec=spec,
        config=config,
        table=table,
        blocks=_with_progress(context, shards),
        attributes=attributes,
    )
    write_catalog(folder / "catalog.parquet", table, spec=spec)
    images = image_map(folder / "images.hdf5")
    manifest = _manifest(context, table, shards, images)
    write_hub(folder / "hub", spec=spec, manifest=manifest, table=table, images=images)
    write_manifest(folder / "manifest.json", _with_files(manifest, folder))
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


def band_statistics(images: NDArray[np.float32], block: int = 512) -> list[BandStatistics]:
    """Mean, standard deviation, NaN and zero fractions of every band.

    Parameters
    ----------
    images : ndarray of float32, shape (n, bands, rows, columns)
        May be a memory map; it is read once, in order.
    block : int
        Objects at a time.

    Returns
    -------
    list of BandStatistics
        Sums are accumulated in float64 about the first block's mean, in a fixed order.
    """
    bands = images.shape[1]
    count, zeros = np.zeros(bands), np.zeros(bands)
    total, squares = np.zeros(bands), np.zeros(bands)
    shift = _band_means(images[:block])
    for start in range(0, len(images), block):
        piece = images[start : start + block].astype(np.float64)
        piece -= shift[None, :, None, None]
        good = ~np.isnan(piece)
        count += good.sum(axis=(0, 2, 3))
        zeros += (images[start : start + block] == 0).sum(axis=(0, 2, 3))
        filled = np.where(good, piece, 0)
        total += filled.sum(axis=(0, 2, 3))
        squares += (filled**2).sum(axis=(0, 2, 3))
    pixels = images.size / bands
    return [
        BandStatistics(
            mean=float(shift[b] + total[b] / count[b]) if count[b] else None,
            std=float(np.sqrt(max(squares[b] / count[b] - (total[b] / count[b]) ** 2, 0)))
            if count[b]
            else None,
            nan_fraction=float(1 - count[b] / pixels),
            zero_fraction=float(zeros[b] / pixels),
        )
        for b in range(bands)
    ]


def _band_means(images: NDArray[np.float32]) -> NDArray[np.float64]:
    values = images.astype(np.float64)
    good = ~np.isnan(values)
    sums = np.where(good, values, 0).sum(axis=(0, 2, 3))
    means: NDArray[np.float64] = sums / np.maximum(good.sum(axis=(0, 2, 3)), 1)
    return means


def _manifest(
    context: Context, table: pa.Table, shards: Shards, images: NDArray[np.float32]
) -> Manifest:
    spec, archive = context.spec, context.archive
    facts = {
        stage: read_facts(context.workspace.path(stage))
        for stage in ("query", "cut", "deduplicate", "cutouts")
    }
    simulated = archive.name == "simulated"
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
            simulated=simulated,
        ),
        rows=table.num_rows,
        shape=spec.image_shape(),
        selection=context.options.selection,
        align=context.options.align,
        queries=tuple(facts["query"]["queries"]),
        cut_flow=tuple(_cut_rows([*facts["query"]["cut_flow"], *facts["cut"]["cut_flow"]])),
        duplicates={facts["deduplicate"]["rule"]: facts["deduplicate"]["removed"]},
        splits=_split_counts(context, table),
        bands=dict(zip(spec.band_names(), band_statistics(images), strict=True)),
        published=_published(context, facts, table.num_rows),
        dropped=tuple(_dropped(context, shards)),
        departures=tuple(getattr(archive, "departures", tuple)()),
        warnings=tuple(facts["query"]["warnings"]),
    )


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
        )


def _split_counts(context: Context, table: pa.Table) -> dict[str, dict[str, int]]:
    counts = {}
    for division, column in enumerate(context.spec.split.columns()):
        codes = np.bincount(table.column(column.name).to_numpy(), minlength=len(SPLITS))
        counts[str(division)] = {s: int(n) for s, n in zip(SPLITS, codes, strict=True)}
    return counts


def _published(context: Context, facts: dict[str, Any], rows: int) -> tuple[PublishedRecord, ...]:
    """Published counts beside ours; only the first one counts what a build counts."""
    if context.objects is not None:
        return ()
    ours = (rows, rows + facts["deduplicate"]["removed"])
    return tuple(
        PublishedRecord(what=p.what, count=p.count, source=p.source, ours=count)
        for p, count in zip(context.config.published, ours, strict=False)
    )


def _dropped(context: Context, shards: Shards) -> Iterator[Dropped]:
    """Every object of the split stage that has no cutout, with its reason."""
    reasons = dict(shards.dropped)
    ids = read_rows(context, "split").column(context.spec.object_id).to_numpy()
    for object_id in ids[~np.isin(ids, shards.object_id)]:
        reason = reasons.get(int(object_id), FAILED)
        yield Dropped(object_id=int(object_id), reason=reason)


def _with_files(manifest: Manifest, folder: Path) -> Manifest:
    import msgspec

    skipped = ("inputs.json", "done.json", "manifest.json")
    files = {
        path.relative_to(folder).as_posix(): FileRecord(
            bytes=path.stat().st_size, sha256=sha256(path)
        )
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name not in skipped
    }
    return msgspec.structs.replace(manifest, files=files)


def verify_and_publish(context: Context, folder: Path) -> str:
    """Check every file of the finished dataset against its declaration."""
    written = context.workspace.path("write")
    results = list(verify(written, context.spec))
    bad = [result for result in results if not result.ok]
    for result in results:
        LOG.info("verify: %s: %s", result.check, "ok" if result.ok else f"got {result.got}")
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
