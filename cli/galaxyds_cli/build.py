"""``galaxyds build``: from an archive to a verified dataset."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from galaxyds.errors import one_line
from galaxyds_cli.console import show_json, show_table
from galaxyds_cli.options import (
    Align,
    ArchiveKind,
    Json,
    Limit,
    Mosaics,
    Name,
    Objects,
    Preset,
    Pushdown,
    Redshifts,
    Root,
    refuse_lists,
    with_preset,
)

if TYPE_CHECKING:
    from galaxyds.build import Summary
    from galaxyds.store import Manifest


def build(
    name: Name,
    *,
    archive: ArchiveKind = None,
    preset: Preset = None,
    root: Root = None,
    limit: Limit = None,
    objects: Objects = None,
    align: Align = None,
    mosaics: Mosaics = None,
    redshifts: Redshifts = None,
    pushdown: Pushdown = True,
    jobs: Annotated[
        int | None, typer.Option("--jobs", "-j", min=1, metavar="N", help="Worker processes.")
    ] = None,
    start: Annotated[
        str | None, typer.Option("--from", metavar="STAGE", help="Rerun from this stage.")
    ] = None,
    drop_failed: Annotated[
        bool, typer.Option("--drop-failed", help="Leave out objects of units that fail.")
    ] = False,
    accept_counts: Annotated[
        bool, typer.Option("--accept-counts", help="Go on where a count is not the paper's.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Build a dataset, or finish a build that was interrupted.

    Example: galaxyds build sdss-qso --preset tiny
    """
    from galaxyds.build import Request
    from galaxyds.build import build as run_build
    from galaxyds_cli.progress import terminal_reporter

    refuse_lists(preset, objects, mosaics, redshifts)
    chosen = with_preset(preset, archive, limit)
    request = Request(
        address=name,
        archive=chosen.archive,
        root=root,
        limit=chosen.limit,
        objects=objects,
        align=align,
        mosaics=mosaics,
        redshifts=redshifts,
        pushdown=pushdown,
        drop_failed=drop_failed,
        accept_counts=accept_counts,
        jobs=jobs,
    )
    try:
        with terminal_reporter() as reporter:
            summary = run_build(request, start=start, reporter=reporter)
    except KeyboardInterrupt:
        typer.echo("interrupted: what was finished is kept; run the same command again", err=True)
        raise typer.Exit(130) from None
    if as_json:
        show_json({"path": str(summary.path), "version": summary.manifest.version,
                   "paths": {b.manifest.config: str(b.path) for b in summary.built},
                   "rows": summary.manifest.rows, "skipped": summary.skipped,
                   "seconds": round(summary.seconds, 2)})  # fmt: skip
        return
    _show(summary)


def _show(summary: Summary) -> None:
    manifest = summary.manifest
    if _all_skipped(summary):
        for build in summary.built:
            print(f"Already built: {build.path} ({build.manifest.rows:,} objects, "
                  f"{build.manifest.nature()})")  # fmt: skip
        return
    if manifest.surveys:
        _show_surveys(manifest)
    if manifest.cut_flow:
        _show_flow(manifest)
    for rule, removed in manifest.duplicates.items():
        print(f"duplicates   {removed:,} removed ({one_line(rule)})")
    if manifest.selection.limit is not None and manifest.cut_flow:
        objects = manifest.cut_flow[-1].rows_after - sum(manifest.duplicates.values())
        print(f"limit        {manifest.rows + len(manifest.dropped):,} of {objects:,} objects, in "
              f"whole tiles (--limit {manifest.selection.limit})")  # fmt: skip
    for reason, count in manifest.dropped_by_reason().items():
        print(f"dropped      {count:,} object{'' if count == 1 else 's'}: {one_line(reason)}")
    _show_counts(manifest)
    for warning in manifest.warnings:
        print(f"note         {one_line(warning, 600)}")
    for build in summary.built:
        print(f"dataset      {build.path}")
    print(f"log          {summary.log}")
    addresses = " and ".join(build.address for build in summary.built)
    print(f"Built {addresses}, {manifest.rows:,} objects, verified, in {summary.seconds:.1f} s")


def _show_surveys(manifest: Manifest) -> None:
    head = ("survey", "read", "no redshift", "not secure", "secure", "duplicate", "kept")
    show_table(
        head,
        [
            (s.name, *(f"{n:,}" for n in (s.read, s.sentinel, s.insecure, s.secure, s.duplicate,
                                          s.kept)))
            for s in manifest.surveys
        ],
        right=tuple(range(1, len(head))),
    )  # fmt: skip


def _show_flow(manifest: Manifest) -> None:
    from galaxyds.specs import get_spec

    shown = {cut.name: cut.shown for cut in get_spec(manifest.name).config(manifest.config).cuts}
    show_table(
        ("cut", "keeps rows where", "removed", "left"),
        [
            (c.name, shown.get(c.name, c.sql), f"{c.removed:,}", f"{c.rows_after:,}")
            for c in manifest.cut_flow
        ],
        right=(2, 3),
    )


def _show_counts(manifest: Manifest) -> None:
    from galaxyds.specs import get_spec

    shares = manifest.splits.get("0", {})
    what = "fold" if get_spec(manifest.name).split.folds else "division"
    print(
        "splits       "
        + ", ".join(f"{n:,} {one_line(s)}" for s, n in shares.items())
        + f" ({what} 0)"
    )
    for row in manifest.published:
        ours = "" if row.ours is None else f"; here {row.ours:,}"
        print(f"published    {row.count:,} {one_line(row.what)} ({one_line(row.source)}){ours}")
    if not manifest.is_full:
        print(f"nature       {manifest.nature()}: not the published dataset")


def _all_skipped(summary: Summary) -> bool:
    return len(summary.skipped) == len(summary.stages)
