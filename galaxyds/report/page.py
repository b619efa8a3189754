"""The report as one HTML file that loads nothing and runs nothing.

Manifests can come from others: every text is escaped, written out where it would be invisible,
and the page's policy allows no script at all.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from galaxyds.errors import DataIntegrityError
from galaxyds.report import columns as found
from galaxyds.report import facts, figures, sheets, sky
from galaxyds.shown import count, page_environment, trusted, visible, web_link
from galaxyds.store.files import publish_bytes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jinja2 import Environment
    from numpy.typing import NDArray

    from galaxyds.spec import DatasetSpec
    from galaxyds.store import BuildDirectory, Manifest


_LONGEST, _LONGEST_QUERY = 1000, 8000


def write_report(path: Path, spec: DatasetSpec, build: BuildDirectory) -> None:
    """Write the report of a build, all or nothing.

    Parameters
    ----------
    path : pathlib.Path
        The HTML file.
    spec, build
        As for :func:`render`.

    Raises
    ------
    MissingExtraError
        If jinja2 or matplotlib is not installed.
    DataIntegrityError
        If the build is damaged.
    StorageError
        If the file cannot be written.
    """
    publish_bytes(path, render(spec, build).encode(), option="--output")


def render(spec: DatasetSpec, build: BuildDirectory) -> str:
    """Return the report of a build.

    Columns that are drawn are read whole; pixels only of the objects that are drawn.

    Parameters
    ----------
    spec : DatasetSpec
        The declaration.
    build : BuildDirectory
        The build.

    Returns
    -------
    str
        HTML; the same build gives the same page.

    Raises
    ------
    MissingExtraError
        If jinja2 or matplotlib is not installed.
    DataIntegrityError
        If the HDF5 file is refused or does not fit the manifest or the declaration.
    """
    template = _environment().get_template("report.html")
    manifest = build.manifest
    spec = spec.of(manifest.config)
    if tuple(manifest.shape) != spec.image_shape():
        raise _other_shape(spec, build)
    columns = found.read(spec, build)
    context = {**_told(spec, manifest, columns), **_drawn(spec, build, columns)}
    return template.render(
        spec=spec, manifest=manifest, address=build.address, facts=facts, style=_style(), **context
    )


def _told(
    spec: DatasetSpec, manifest: Manifest, columns: Mapping[str, NDArray[Any]]
) -> dict[str, Any]:
    return {
        "is_same": manifest.spec_digest == spec.digest(manifest.config),
        "key_figures": facts.key_figures(spec, manifest),
        "steps": facts.steps(spec, manifest),
        "published": facts.published(manifest),
        "dropped": facts.dropped(manifest),
        "surveys": facts.surveys(manifest),
        "bands": facts.bands(spec, manifest, columns),
        "flags": facts.flags(spec, columns),
        "splits": facts.splits(spec, columns),
        "folds": facts.folds(spec, columns),
        "errata": facts.errata(spec),
        "files": facts.files(manifest),
        "build_command": facts.build_command(manifest),
    }


def _drawn(
    spec: DatasetSpec, build: BuildDirectory, columns: Mapping[str, NDArray[Any]]
) -> dict[str, Any]:
    drawn = sheets.draw_from(spec, build, columns)
    has_magnitudes = found.main_magnitudes(spec)
    return {
        "sky": _sky(columns),
        "redshifts": figures.redshifts(columns, spec),
        "magnitudes": figures.magnitudes(columns, spec),
        "no_magnitudes": [b for b in spec.band_names() if b not in has_magnitudes],
        "more_magnitudes": [
            name for name, each in found.magnitudes(spec).items() if each != has_magnitudes
        ],
        "sheets": sheets.contact_sheets(spec, drawn, columns.get("redshift"), title=build.address),
        "pixels": figures.pixels(drawn, spec),
        "objects_drawn": len(drawn.images),
    }


def _sky(columns: Mapping[str, NDArray[Any]]) -> dict[str, Any] | None:
    """Figures of the positions; None where the dataset has none."""
    if "ra" not in columns or "dec" not in columns:
        return None
    ra, dec = columns["ra"], columns["dec"]
    known = np.isfinite(ra) & np.isfinite(dec) & (np.abs(dec) <= 90)
    close, fields = sky.close_ups(ra[known], dec[known])
    return {
        "map": sky.sky_map(ra[known], dec[known]),
        "fields": fields,
        "close": close,
        "missing": int((~known).sum()),
    }


@cache
def _environment() -> Environment:
    environment = page_environment(
        "galaxyds.report", extra="plots", what="The report", longest=_LONGEST
    )
    environment.filters.update(
        count=count,
        svg=trusted,
        query=_query,
        source_lines=lambda text: text.split("\n"),
    )
    environment.globals.update(link=web_link)
    return environment


def _query(text: str) -> Any:
    """Show more of a query than of other texts."""
    from markupsafe import escape

    return escape(visible(text, _LONGEST_QUERY))


def _style() -> Any:
    from importlib.resources import files

    source = files("galaxyds.report").joinpath("templates", "report.css")
    return trusted(source.read_text(encoding="utf-8"))


def _other_shape(spec: DatasetSpec, build: BuildDirectory) -> DataIntegrityError:
    got, expected = tuple(build.manifest.shape), spec.image_shape()
    return DataIntegrityError(
        f"{build.address} has cutouts of shape {got}, its declaration says {expected}: run "
        f"galaxyds verify {build.address}",
        file=str(build.path),
        expected=expected,
        got=got,
    )
