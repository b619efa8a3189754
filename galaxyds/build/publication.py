"""The last stages: writing the files of a dataset, verifying them, publishing them."""

from __future__ import annotations

import datetime
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from galaxyds._version import __version__
from galaxyds.build.archives import SIMULATED
from galaxyds.build.context import Context
from galaxyds.build.layouts import open_released
from galaxyds.build.pixels import SHARDS
from galaxyds.build.release import PublishedRelease, fetched
from galaxyds.build.shards import Shards
from galaxyds.build.tables import read_rows
from galaxyds.build.units import FAILED
from galaxyds.build.workspace import read_facts
from galaxyds.errors import DataIntegrityError
from galaxyds.pixels import middle
from galaxyds.publish import split_counts, write_product
from galaxyds.spec import Config, DatasetSpec
from galaxyds.store import (
    ArchiveRecord,
    CutRow,
    Dropped,
    Manifest,
    PublishedRecord,
    Result,
    SurveyRecord,
    require_space,
    verify,
)
from galaxyds.store.hdf5 import Blocks, Placed

if TYPE_CHECKING:
    from numpy.typing import NDArray

LOG = logging.getLogger("galaxyds.build")
DATASET = "dataset"
"""Folder of the write stage that will be renamed into its published place."""


@dataclass(frozen=True, kw_only=True)
class _Contents:
    """What one product is written from.

    Attributes
    ----------
    table : pyarrow.Table
        Every stored column, in object-id order.
    blocks : callable
        Yields the pixels (k, bands, rows, columns), in that order or with their rows.
    dropped : tuple of Dropped
        Objects without pixels.
    warnings : tuple of str
        What a user must know.
    cut_flow, rules : tuple of dict
        Cuts and rules for repeats that were applied to published files.
    """

    table: pa.Table
    blocks: Callable[[], Blocks]
    dropped: tuple[Dropped, ...] = ()
    warnings: tuple[str, ...] = ()
    cut_flow: tuple[dict[str, Any], ...] = ()
    rules: tuple[dict[str, Any], ...] = ()


def write_files(context: Context, folder: Path) -> str:
    """Write the files of every product into ``folder/dataset/<config>``."""
    told = []
    for product in context.products:
        contents = _contents(context, product)
        spec, rows = context.spec.of(product.name), contents.table.num_rows
        size = int(np.prod(spec.image_shape())) * 4 * rows
        require_space(folder, 2 * size, what=f"writing {spec.name}/{product.name}")
        write_product(
            folder / DATASET / product.name,
            spec=spec,
            manifest=_manifest(context, product, contents),
            table=contents.table,
            blocks=_with_progress(context, contents.blocks(), rows),
        )
        told.append(f"{size / 1e9:.2f} GB of pixels")
        if len(context.products) > 1:
            told[-1] += f" ({product.name})"
    return f"{rows:,} objects, {', '.join(told)}"


def _contents(context: Context, product: Config) -> _Contents:
    if isinstance(context.archive, PublishedRelease):
        return _released(context, product)
    shards = Shards(context.workspace.path("cutouts") / SHARDS)
    if not len(shards.object_id):
        raise DataIntegrityError(
            f"no object of {context.spec.name} has a cutout: see "
            f"{context.workspace.directory / 'build.log'}"
        )
    size = context.spec.of(product.name).pixels.size

    def blocks() -> Iterator[NDArray[np.float32]]:
        return (middle(block, size) for block in shards.blocks())

    table = _final_table(context, shards)
    offset = (context.spec.pixels.size - size) // 2
    for name in ("cutout_x", "cutout_y"):
        place = table.schema.get_field_index(name)
        shifted = table.column(name).to_numpy() - np.float32(offset)
        table = table.set_column(place, name, [shifted])
    return _Contents(table=table, blocks=blocks, dropped=tuple(_dropped(context, shards)))


def _released(context: Context, product: Config) -> _Contents:
    """Open the published files; columns that they lack are missing values."""
    spec = context.spec.of(product.name)
    released = open_released(spec, product, context.workspace.path("fetch"))
    return _Contents(
        table=released.table,
        blocks=released.blocks,
        warnings=(*fetched(context), *released.told()),
        cut_flow=tuple(asdict(step) for step in released.cut_flow),
        rules=tuple(asdict(one) for one in released.repeats),
    )


def _with_progress(context: Context, blocks: Blocks, total: int) -> Blocks:
    done = 0
    for block in blocks:
        yield block
        done += len(block.pixels if isinstance(block, Placed) else block)
        context.reporter.progress(done, total, "objects")


def _final_table(context: Context, shards: Shards) -> pa.Table:
    """Rows of the objects that have a cutout, with the columns made from their pixels."""
    rows = read_rows(context, "split")
    ids = rows.column(context.spec.object_id).to_numpy()
    rows = rows.take(np.flatnonzero(np.isin(ids, shards.object_id)))
    found = rows.column(context.spec.object_id).to_numpy()
    if not np.array_equal(found, shards.object_id):
        raise DataIntegrityError(
            f"the shards in {context.workspace.path('cutouts')} hold {len(shards.object_id)} "
            f"objects, the catalogue {len(found)} of them: build again with --from cutouts"
        )
    for name, values in {**shards.columns, **_measured(context, shards)}.items():
        rows = rows.append_column(name, [values])
    return rows


def _measured(context: Context, cutouts: Shards) -> dict[str, NDArray[Any]]:
    """Columns of the morphology stage, if the dataset has one."""
    if "morphology" not in context.stages:
        return {}
    shards = Shards(context.workspace.path("morphology") / SHARDS)
    if not np.array_equal(shards.object_id, cutouts.object_id):
        raise DataIntegrityError(
            f"the shards in {context.workspace.path('morphology')} hold "
            f"{len(shards.object_id)} objects, those of the cutouts {len(cutouts.object_id)}: "
            "build again with --from morphology"
        )
    return shards.columns


def _manifest(context: Context, product: Config, contents: _Contents) -> Manifest:
    """Everything that is known before the files are written."""
    spec, archive = context.spec.of(product.name), context.archive
    facts = _Facts(context, contents.rules)
    rows = contents.table.num_rows
    counts = {**facts.counts(rows), **_samples(contents.table, spec)}
    published = _published(context, product, counts)
    return Manifest(
        name=spec.name,
        config=product.name,
        version=context.version,
        package_version=__version__,
        spec_digest=spec.digest(product.name),
        created=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        archive=ArchiveRecord(
            name=archive.name,
            data_release=spec.data_release,
            endpoints=archive.endpoints(),
            simulated=archive.name == SIMULATED,
            released=isinstance(archive, PublishedRelease),
        ),
        rows=rows,
        shape=spec.image_shape(),
        selection=context.options.selection,
        align=context.options.align,
        failed=len(facts.of("cutouts").get("failed", ())),
        queries=tuple(facts.of("query").get("queries", ())),
        cut_flow=tuple(_cut_rows([*facts.flow("query"), *facts.flow("cut"), *contents.cut_flow])),
        duplicates={rule["rule"]: rule["removed"] for rule in facts.rules},
        surveys=tuple(SurveyRecord(**one) for one in facts.of("query").get("surveys", ())),
        published=published,
        dropped=contents.dropped,
        departures=tuple(archive.departures()),
        warnings=(
            *(line for stage in facts.stages() for line in facts.of(stage).get("warnings", ())),
            *contents.warnings,
            *_count_warnings(context, published),
        ),
    )


def _samples(table: pa.Table, spec: DatasetSpec) -> dict[str, int]:
    """Objects of the further test samples by name, and the others as ``training``."""
    found = split_counts(table, spec)["0"]
    further = {extra.name: found[extra.name] for extra in spec.split.extra}
    return {**further, "training": table.num_rows - sum(further.values())}


class _Facts:
    """What the stages left for the manifest; a stage that a build has not left nothing."""

    def __init__(self, context: Context, rules: Sequence[dict[str, Any]]) -> None:
        self._rules = list(rules)
        self._facts: dict[str, dict[str, Any]] = {
            stage: read_facts(context.workspace.path(stage))
            for stage in ("query", "cut", "deduplicate", "coverage", "cutouts")
            if stage in context.stages
        }

    def of(self, stage: str) -> dict[str, Any]:
        return self._facts.get(stage, {})

    def stages(self) -> tuple[str, ...]:
        return tuple(self._facts)

    def flow(self, stage: str) -> list[dict[str, Any]]:
        return list(self.of(stage).get("cut_flow", ()))

    @property
    def rules(self) -> list[dict[str, Any]]:
        return [*self.of("deduplicate").get("rules", ()), *self._rules]

    def counts(self, rows: int) -> dict[str, int]:
        """Rows at the places that published counts refer to."""
        found = {rule["name"]: rule["left"] for rule in self.rules}
        if "rows" in self.of("query"):
            found["query"] = self.of("query")["rows"]
        return {**found, "all": rows}


def _count_warnings(context: Context, published: tuple[PublishedRecord, ...]) -> Iterator[str]:
    """One line per published number that a full, real build does not have."""
    if context.archive.name == SIMULATED or context.options.selection.kind != "full":
        return
    for record in published:
        if record.ours is None or record.ours == record.count:
            continue
        share = 100 * (record.ours - record.count) / record.count
        yield (
            f"{record.ours:,} {record.what} where the paper has {record.count:,} ({share:+.2f} %, "
            f"{record.source}): the cut flow shows where; the archive may have changed"
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
            where=step["where"],
            has_effect=step["has_effect"],
        )


def _published(
    context: Context, product: Config, counts: Mapping[str, int]
) -> tuple[PublishedRecord, ...]:
    """Published counts, ours beside those that a build can be compared with."""
    if context.objects is not None:
        return ()
    return tuple(
        PublishedRecord(what=p.what, count=p.count, source=p.source, ours=counts.get(p.after))
        for p in product.published
    )


def _dropped(context: Context, shards: Shards) -> Iterator[Dropped]:
    """Every object of the split stage that has no cutout, with its reason."""
    reasons = dict(shards.dropped)
    ids = read_rows(context, "split").column(context.spec.object_id).to_numpy()
    for object_id in ids[~np.isin(ids, shards.object_id)]:
        reason = reasons.get(int(object_id), FAILED)
        yield Dropped(object_id=int(object_id), reason=reason)


def written_products(context: Context) -> tuple[Config, ...]:
    """Configs whose files the write stage left: an interrupted run may have asked for more."""
    folder = context.workspace.path("write") / DATASET
    return tuple(c for c in context.spec.family(context.config.name) if (folder / c.name).exists())


def verify_files(context: Context, folder: Path) -> str:
    """Check every file of the finished products against their declaration."""
    results: list[Result] = []
    for product in written_products(context):
        results += verify(context.workspace.path("write") / DATASET / product.name, context.spec)
    bad = [result for result in results if not result.ok]
    for result in bad:
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
