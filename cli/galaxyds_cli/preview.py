"""``galaxyds preview``: a contact sheet of a build."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from galaxyds_cli.options import Name, Root


def preview(
    name: Name,
    *,
    root: Root = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="PNG", help="Where to write it.")
    ] = None,
    count: Annotated[int, typer.Option("--count", "-n", min=1, max=40, help="Objects.")] = 12,
) -> None:
    """Draw objects of a build, ordered by redshift: a colour composite and every band.

    Example: galaxyds preview sdss-qso -o quasars.png
    """
    import numpy as np

    from galaxyds import settings
    from galaxyds.plots import contact_sheet, save
    from galaxyds.refs import DatasetRef, to_snake
    from galaxyds.specs import get_spec
    from galaxyds.store import find_build, image_map, read_columns

    ref = DatasetRef.parse(name)
    spec = get_spec(ref.name)
    found = find_build(settings.home(root), ref, spec)
    pixels = found.path / "images.hdf5"
    redshift = read_columns(pixels, ("redshift",))["redshift"]
    order = np.argsort(redshift, kind="stable")
    chosen = order[np.linspace(0, len(order) - 1, min(count, len(order))).round().astype(int)]
    images = np.stack([image_map(pixels)[row] for row in chosen])
    manifest = found.manifest
    figure = contact_sheet(
        images,
        bands=spec.band_names(),
        labels=[f"z = {redshift[row]:.3f}" for row in chosen],
        title=f"{manifest.name}/{manifest.config}:{manifest.version}   {manifest.rows:,} objects"
        + ("" if manifest.is_full else f"   ({manifest.nature()})"),
    )
    target = output or Path(f"{to_snake(spec.name)}.png")
    save(figure, target)
    print(target)
