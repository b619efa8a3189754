"""``galaxyds preview``: a contact sheet of a build."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from galaxyds_cli.options import Name, Root

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from galaxyds.plots import Ellipses
    from galaxyds.spec import DatasetSpec

ISOPHOTE = 3.0
"""Ellipses are drawn at this many times the rms axes, which is about the isophote."""


def preview(
    name: Name,
    *,
    root: Root = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="PNG", help="Where to write it.")
    ] = None,
    count: Annotated[int, typer.Option("--count", "-n", min=1, max=40, help="Objects.")] = 12,
    ellipses: Annotated[
        bool,
        typer.Option(
            "--ellipses/--no-ellipses",
            help="Draw the measured shapes; dashed where they are likely another object's.",
        ),
    ] = True,
) -> None:
    """Draw objects of a build, ordered by redshift: a colour composite and every band.

    Example: galaxyds preview sdss-qso -o quasars.png
    """
    import numpy as np

    from galaxyds import settings
    from galaxyds.errors import UsageError
    from galaxyds.plots import contact_sheet, save
    from galaxyds.refs import DatasetRef, to_snake
    from galaxyds.specs import get_spec
    from galaxyds.store import find_build, image_map, read_columns

    ref = DatasetRef.parse(name)
    spec = get_spec(ref.name)
    found = find_build(settings.home(root), ref, spec, quiet=True)
    spec = spec.of(found.manifest.config)
    pixels = found.path / "images.hdf5"
    redshift = read_columns(pixels, ("redshift",))["redshift"]
    if not len(redshift):
        raise UsageError(f"{found.address} has no objects: there is nothing to draw")
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
        ellipses=_shapes(pixels, spec, chosen) if ellipses else None,
        measured=_measured(pixels, spec, chosen),
    )
    target = output or Path(f"{to_snake(spec.name)}.png")
    save(figure, target)
    print(target.absolute())


def _measured(
    pixels: Path, spec: DatasetSpec, chosen: NDArray[np.int64]
) -> NDArray[np.bool_] | None:
    """Which bands of the objects have data; None for a dataset without optional bands."""
    from galaxyds.report.sheets import bands_with_data
    from galaxyds.spec import BAND_MASK
    from galaxyds.store import read_columns

    if not spec.has_optional_bands():
        return None
    mask = read_columns(pixels, (BAND_MASK.name,))[BAND_MASK.name][chosen]
    return bands_with_data(mask, len(spec.bands))


def _shapes(pixels: Path, spec: DatasetSpec, chosen: NDArray[np.int64]) -> Ellipses | None:
    """Measured shapes in pixels of the images; None for a dataset without them."""
    import numpy as np

    from galaxyds.morphology.flags import OFF_CENTER, mask
    from galaxyds.plots import Ellipses
    from galaxyds.store import read_columns

    bands = spec.band_names()
    stored = {column.name for column in spec.stored_columns()}
    if f"{bands[0]}_major_axis" not in stored:
        return None

    def per_band(stem: str) -> NDArray[np.float64]:
        names = tuple(f"{band}_{stem}" for band in bands)
        columns = read_columns(pixels, names)
        return np.stack([columns[name][chosen] for name in names], axis=1).astype(np.float64)

    flags = per_band("morphology_flags").astype(np.int64)
    pads = read_columns(pixels, ("pad_columns", "pad_rows"))
    crop = (spec.config().size - spec.pixels.size) // 2
    # 1-based in the delivered cutout, 0-based in the image.
    left, low = (pads[name][chosen, None] - crop - 1 for name in ("pad_columns", "pad_rows"))
    return Ellipses(
        x=per_band("x_coord") + left,
        y=per_band("y_coord") + low,
        a=ISOPHOTE * per_band("major_axis"),
        b=ISOPHOTE * per_band("minor_axis"),
        theta=per_band("pos_angle"),
        # A missing flag is negative.
        dashed=(flags > 0) & (flags & mask(OFF_CENTER) != 0),
    )
