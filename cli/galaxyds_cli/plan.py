"""``galaxyds plan``: what a build would cost."""

from __future__ import annotations

from typing import TYPE_CHECKING

from galaxyds.shown import gigabytes
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
    from galaxyds.build.plan import Plan


def plan(
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
    as_json: Json = False,
) -> None:
    """Show what a build would cost: rows, tiles, bytes to fetch, disk, missing accounts.

    Example: galaxyds plan sdss-qso --archive simulated --limit 2000
    """
    from dataclasses import asdict

    from galaxyds.build import Request
    from galaxyds.build.plan import make_plan

    refuse_lists(preset, objects, mosaics, redshifts)
    chosen = with_preset(preset, archive, limit)
    made = make_plan(
        Request(
            address=name,
            archive=chosen.archive,
            root=root,
            limit=chosen.limit,
            objects=objects,
            align=align,
            mosaics=mosaics,
            redshifts=redshifts,
            pushdown=pushdown,
        )
    )
    if as_json:
        show_json(asdict(made))
        return
    _show(made)


def _show(plan: Plan) -> None:
    print(f"{' and '.join(plan.addresses)} {plan.version} from {plan.archive}")
    stages = [(s.name, s.cost, "finished" if s.done else "to do") for s in plan.stages]
    show_table(("stage", "work", "state"), stages)
    print(f"objects    about {plan.rows:,} (published: {plan.published:,})")
    print(f"to fetch   {gigabytes(plan.fetch_bytes)} of {plan.fetch}")
    print(f"disk       {gigabytes(plan.disk_bytes)} at the peak in {plan.root}, "
          f"{gigabytes(plan.free_bytes)} free"
          f"{'' if plan.free_bytes > plan.disk_bytes else '  << NOT ENOUGH'}")  # fmt: skip
    for need in plan.needs:
        print(f"needs      {need.what}: {'present' if need.present else need.advice}")
