"""The stages of a build, in the order of the pipeline.

Each is a plain function from a context to files in a folder.  Rows travel as ``rows.parquet``; what
the manifest will say travels as ``facts.json``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from galaxyds.archives.base import (
    CUTOUTS_ENDPOINT,
    FRAMES_ENDPOINT,
    CatalogQuery,
    CompiledArchive,
)
from galaxyds.build.archives import SIMULATED
from galaxyds.build.context import Context
from galaxyds.build.coverage import cover, cover_inputs
from galaxyds.build.morphology import measure_all, morphology_inputs
from galaxyds.build.pixels import cut_pixels
from galaxyds.build.publication import verify_files, write_files
from galaxyds.build.release import fetch, fetch_inputs
from galaxyds.build.tables import after, read_rows, write_rows
from galaxyds.build.workspace import write_facts
from galaxyds.catalog import (
    CutStep,
    apply_cuts,
    check_pushdown,
    deduplicate,
    derive,
    divide,
    steps,
    take_tiles,
)
from galaxyds.catalog.objects import box_predicates, match_positions
from galaxyds.errors import DataIntegrityError, UsageError

if TYPE_CHECKING:
    import pyarrow as pa

_PIXELS = (FRAMES_ENDPOINT, CUTOUTS_ENDPOINT, "psf")
MATCH_RADIUS = 1.0
"""Arcseconds within which a listed position is taken for an object of the archive."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Stage:
    """A stage: its name, its function, and what decides its outputs.

    Attributes
    ----------
    run : callable
        Fills the folder it is given and returns one line on what came out.
    inputs : callable
        Context to a flat mapping of text, compared when a build is resumed.
    keep : bool
        Whether an interrupted run's partial folder is kept.
    packages : tuple of (str, str)
        Packages that it needs beside the core ones, and the extra that brings each.
    """

    name: str
    run: Callable[[Context, Path], str]
    inputs: Callable[[Context], Mapping[str, str]]
    keep: bool = False
    packages: tuple[tuple[str, str], ...] = ()


def query(context: Context, folder: Path) -> str:
    """Ask the archive for rows; nothing of a listed object is cut."""
    if context.objects is not None:
        return _query_objects(context, folder)
    request = _request(context, tuple(cut.sql for cut in context.pushed()))
    counts = context.catalog.count(request)
    rows = context.catalog.rows(request)
    if context.options.pushdown:
        _check_count(context, "query", rows.num_rows)
    check_pushdown(rows, context.pushed(), context.archive.name)
    write_rows(folder, rows)
    flow = steps(context.pushed(), counts, "archive")
    write_facts(
        folder,
        {
            "queries": [context.catalog.sql(request)],
            "cut_flow": _plain(flow),
            "rows": rows.num_rows,
            "warnings": [],
            **_surveys(context),
        },
    )
    return f"{rows.num_rows:,} rows of {counts[0]:,}"


def _surveys(context: Context) -> dict[str, Any]:
    """What each spectroscopic survey of a compiled catalogue brought and lost."""
    if not isinstance(context.archive, CompiledArchive):
        return {}
    return {"surveys": [asdict(tally) for tally in context.archive.tallies()]}


def _request(
    context: Context,
    predicates: tuple[str, ...],
    only: tuple[str, tuple[int, ...]] | None = None,
) -> CatalogQuery:
    columns = context.table_columns()
    return CatalogQuery(
        columns=columns,
        tables=context.spec.tables,
        predicates=predicates,
        key=context.spec.key,
        vocabulary=columns,
        exact=context.spec.tested_columns(),
        only=only,
        base=context.spec.base,
    )


def _query_objects(context: Context, folder: Path) -> str:
    """Ask for the listed objects, by id or by position."""
    assert context.objects is not None
    wanted = context.objects
    if wanted.ids is not None:
        request = _request(context, (), (context.spec.object_id, tuple(int(i) for i in wanted.ids)))
        rows = context.catalog.rows(request)
        found = np.unique(rows.column(context.spec.object_id).to_numpy())
        missing = [str(i) for i in wanted.ids[~np.isin(wanted.ids, found)]]
        queries = [context.catalog.sql(request)]
    else:
        rows, queries, missing = _query_positions(context)
    if rows.num_rows == 0:
        raise UsageError(
            f"none of the {len(wanted)} objects of {wanted.name} has a row at "
            f"{context.archive.name}: are they {context.spec.data_release} objects with spectra?"
        )
    write_rows(folder, rows)
    warnings = []
    if missing:
        warnings.append(
            f"{len(missing)} of {len(wanted)} listed objects have no row at "
            f"{context.archive.name}, for example {', '.join(missing[:3])}"
        )
        context.reporter.note(warnings[0])
    facts = {"queries": queries, "cut_flow": [], "rows": rows.num_rows, "warnings": warnings,
             **_surveys(context)}  # fmt: skip
    write_facts(folder, facts)
    return f"{rows.num_rows:,} rows for {len(wanted):,} listed objects"


def _query_positions(context: Context) -> tuple[pa.Table, list[str], list[str]]:
    import pyarrow as pa

    wanted = context.objects
    assert wanted is not None
    assert wanted.ra is not None
    assert wanted.dec is not None
    requests = [
        _request(context, (predicate,))
        for predicate in box_predicates(wanted.ra, wanted.dec, radius=MATCH_RADIUS)
    ]
    candidates = pa.concat_tables([context.catalog.rows(request) for request in requests])
    nearest = match_positions(
        wanted.ra,
        wanted.dec,
        to_ra=candidates.column("ra").to_numpy(),
        to_dec=candidates.column("dec").to_numpy(),
        radius=MATCH_RADIUS,
    )
    ids = candidates.column(context.spec.object_id).to_numpy()
    matched = np.isin(ids, ids[nearest[nearest >= 0]])
    _, first = np.unique(candidates.column(context.spec.key).to_numpy(), return_index=True)
    rows = candidates.take(np.intersect1d(np.flatnonzero(matched), first))
    missing = [f"({wanted.ra[n]:.5f}, {wanted.dec[n]:.5f})" for n in np.flatnonzero(nearest < 0)]
    return rows, [context.catalog.sql(request) for request in requests[:1]], missing


def cut(context: Context, folder: Path) -> str:
    """Apply the cuts that the archive did not."""
    rows, flow = apply_cuts(read_rows(context, "query"), context.local())
    write_rows(folder, rows)
    write_facts(folder, {"cut_flow": _plain(flow)})
    return f"{rows.num_rows:,} rows"


def deduplicate_rows(context: Context, folder: Path) -> str:
    """Apply the rules for repeats, in order; one row per object is left."""
    rows = read_rows(context, "cut").sort_by(context.spec.key)
    told = []
    for rule in context.spec.duplicates:
        rows, removed = deduplicate(rows, rule)
        told.append({"name": rule.name, "rule": f"{rule.what}: {rule.rule()}", "removed": removed,
                     "left": rows.num_rows})  # fmt: skip
        _check_count(context, rule.name, rows.num_rows)
    rows = rows.sort_by(context.spec.object_id)
    write_rows(folder, rows)
    write_facts(folder, {"rules": told, "warnings": _lost(context, rows)})
    repeats = ", ".join(f"{rule['removed']:,} by {rule['name']}" for rule in told)
    return f"{rows.num_rows:,} objects; repeats removed: {repeats}"


def _lost(context: Context, rows: pa.Table) -> list[str]:
    """Say which objects of a list the rules for repeats have removed altogether."""
    if context.objects is None:
        return []
    before = np.unique(read_rows(context, "cut").column(context.spec.object_id).to_numpy())
    gone = before[~np.isin(before, rows.column(context.spec.object_id).to_numpy())]
    if not gone.size:
        return []
    shown = ", ".join(str(i) for i in gone[:3])
    told = f"{gone.size} listed objects were removed as repeats, for example {shown}"
    context.reporter.note(told)
    return [told]


def _check_count(context: Context, after: str, rows: int) -> None:
    """Hold a full, real build to the paper's number of rows.

    Raises
    ------
    DataIntegrityError
        If it has another one, and the request does not accept that.
    """
    full = context.options.selection.kind != "objects" and context.archive.name != SIMULATED
    for published in context.config.published:
        if not full or published.after != after or published.count == rows:
            continue
        told = (
            f"{rows:,} {published.what} where the paper has {published.count:,} "
            f"({published.source}): the archive or a cut has changed"
        )
        if not context.options.accept_counts:
            raise DataIntegrityError(
                f"{told}; add --accept-counts to go on with these", got=rows,
                expected=published.count,
            )  # fmt: skip
        context.reporter.note(told)


def split(context: Context, folder: Path) -> str:
    """Choose whole tiles if there is a limit, then divide into train, validation and test."""
    rows = read_rows(context, "deduplicate")
    if context.options.selection.limit is not None:
        rows = take_tiles(rows, context.spec.pixels.tile, context.options.selection.limit)
    if rows.num_rows == 0:
        raise UsageError(f"no object is left after the cuts of {context.config.name}")
    rows = derive(rows, context.spec.columns)
    rule = context.spec.split
    divisions = divide(rows, rule, object_id=context.spec.object_id)
    for column, codes in zip(rule.columns(), divisions, strict=True):
        rows = rows.append_column(column.name, [codes])
    write_rows(folder, rows)
    write_facts(folder, {"rows": rows.num_rows})
    shares = np.bincount(rows.column("split_0").to_numpy(), minlength=len(rule.names))
    return ", ".join(f"{n:,} {name}" for n, name in zip(shares, rule.names, strict=True))


def _plain(flow: tuple[CutStep, ...]) -> list[dict[str, Any]]:
    return [asdict(step) for step in flow]


def _query_inputs(context: Context) -> dict[str, str]:
    selection = context.options.selection
    only = () if context.objects is None else (context.spec.object_id, ())
    request = _request(context, tuple(c.sql for c in context.pushed()), only or None)
    return {
        "archive": context.archive.name,
        "data release": context.spec.data_release,
        "catalogue": "; ".join(
            f"{name} {url}"
            for name, url in sorted(context.archive.endpoints().items())
            if name not in _PIXELS  # a mirror serves the same pixels
        ),
        "sql": context.catalog.sql(request),
        "object list": selection.objects_sha256 or "",
    }


def _cut_inputs(context: Context) -> dict[str, str]:
    return {"cuts": " AND ".join(f"({c.sql})" for c in context.local()), **after("query")(context)}


def _deduplicate_inputs(context: Context) -> dict[str, str]:
    rules = "; ".join(f"{rule.what}: {rule.rule()}" for rule in context.spec.duplicates)
    return {"rules": rules, **after("cut")(context)}


def _before(context: Context, stage: str) -> dict[str, str]:
    """Outputs of whatever stands before a stage."""
    return after(context.stages[context.stages.index(stage) - 1])(context)


def _write_inputs(context: Context) -> dict[str, str]:
    before = _before(context, "write")
    if "fetch" not in context.stages:
        return before
    # Cuts and rules for repeats are applied to published files when they are written.
    return {"declaration": context.spec.digest(context.config.name), **before}


def _split_inputs(context: Context) -> dict[str, str]:
    rule = context.spec.split
    return {
        "limit": str(context.options.selection.limit or ""),
        "fractions": rule.rule(),
        "derived": "; ".join(f"{c.name} = {c.derived}" for c in context.spec.columns if c.derived),
        **after("deduplicate")(context),
    }


def _cutout_inputs(context: Context) -> dict[str, str]:
    return {
        "bands": ", ".join(context.spec.band_names()),
        "pixels": str(asdict(context.spec.pixels)),
        "align": context.options.align,
        **_before(context, "cutouts"),
    }


STAGES: dict[str, Stage] = {
    stage.name: stage
    for stage in (
        Stage(name="query", run=query, inputs=_query_inputs),
        Stage(name="cut", run=cut, inputs=_cut_inputs),
        Stage(name="deduplicate", run=deduplicate_rows, inputs=_deduplicate_inputs),
        Stage(name="split", run=split, inputs=_split_inputs),
        Stage(name="coverage", run=cover, inputs=cover_inputs),
        Stage(name="cutouts", run=cut_pixels, inputs=_cutout_inputs, keep=True),
        Stage(
            name="morphology",
            run=measure_all,
            inputs=morphology_inputs,
            keep=True,
            packages=(("torch", "torch"),),
        ),
        Stage(name="fetch", run=fetch, inputs=fetch_inputs, keep=True),
        Stage(name="write", run=write_files, inputs=_write_inputs),
        Stage(name="verify", run=verify_files, inputs=after("write")),
    )
}

__all__ = ["MATCH_RADIUS", "STAGES", "Stage"]
