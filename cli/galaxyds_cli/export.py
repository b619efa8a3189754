"""``galaxyds export``: a build in the layout that others published it in."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from galaxyds_cli.console import gigabytes, show_table
from galaxyds_cli.options import Name, Root

if TYPE_CHECKING:
    from galaxyds.spec import DatasetSpec
    from galaxyds.store import BuildDirectory

FORMATS = ("galaxiesml",)
"""Layouts that can be written; which of them a dataset has, its declaration says."""
_SHOWN = 12
"""Columns that are named before the others are only counted."""


def export(
    name: Name,
    *,
    layout: Annotated[
        str, typer.Option("--format", metavar="FORMAT", help="Layout to write: galaxiesml.")
    ],
    root: Root = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="DIR",
            help="Where to write (default: here, in a new folder NAME_CONFIG_FORMAT).",
        ),
    ] = None,
) -> None:
    """Write a build in the layout of its authors: files for training, validation and testing.

    Published columns that a build does not have are left out and named at the end
    (hsc-galaxiesml: x_coord, y_coord, x_coord_x, x_coord_y, y_coord_x, y_coord_y).

    Example: galaxyds export hsc-galaxiesml/64 --format galaxiesml --output published
    """
    from galaxyds import settings
    from galaxyds.refs import DatasetRef, to_snake
    from galaxyds.specs import get_spec
    from galaxyds.store import find_build, require_space

    ref = DatasetRef.parse(name)
    spec = get_spec(ref.name)
    check_format(spec, layout)
    found = find_build(settings.home(root), ref, spec)
    target = output or Path(f"{to_snake(spec.name)}_{found.manifest.config}_{layout}")
    # Pixels are nearly all of it, and a build's own file has the same.
    size = found.images.stat().st_size
    typer.echo(f"writing about {gigabytes(size)} to {target.absolute()}", err=True)
    require_space(target, size, what="the export", option="--output")
    written, rows, absent = export_build(found, spec, target)
    sizes = [path.stat().st_size for path in written]
    show_table(
        ("file", "rows", "size"),
        [
            (path.name, f"{count:,}", gigabytes(size))
            for path, count, size in zip(written, rows, sizes, strict=True)
        ],
        right=(1, 2),
    )
    print(f"{target.absolute()}: {len(written)} files, {found.manifest.rows:,} objects, "
          f"{gigabytes(sum(sizes))} ({found.address}, {found.manifest.nature()})")  # fmt: skip
    if absent:
        more = f" and {len(absent) - _SHOWN} more" if len(absent) > _SHOWN else ""
        print(f"Without {len(absent)} of the published columns, which the build does not have: "
              f"{', '.join(absent[:_SHOWN])}{more}")  # fmt: skip


def check_format(spec: DatasetSpec, layout: str) -> None:
    """Refuse a format that there is not, or that a dataset has not.

    Raises
    ------
    UsageError
        With the formats that the dataset has, and the one that may have been meant.
    """
    from difflib import get_close_matches

    from galaxyds.errors import UsageError

    mine = [spec.files.layout] if spec.files and spec.files.layout in FORMATS else []
    if layout in mine:
        return
    near = get_close_matches(layout, mine, 1)
    cause = "its authors did not publish it so" if layout in FORMATS else "there is no such format"
    cause += f" (did you mean {near[0]}?)" if near else ""
    has = ", ".join(mine) if mine else "none beside the HDF5 and the hub folder of the build"
    raise UsageError(
        f"{spec.name} cannot be exported as '{layout}': {cause}; formats of {spec.name}: {has} "
        f"(galaxyds path {spec.name} says where)",
        format=layout,
    )


def export_build(
    found: BuildDirectory, spec: DatasetSpec, target: Path
) -> tuple[list[Path], list[int], tuple[str, ...]]:
    """Write a build in the layout of GalaxiesML, with progress on standard error.

    Parameters
    ----------
    found : BuildDirectory
        The build.
    spec : DatasetSpec
        Its declaration, which has ``files``.
    target : pathlib.Path
        Folder to write.

    Returns
    -------
    list of pathlib.Path, list of int, tuple of str
        The files, the rows of each, and the published columns that they lack.

    Raises
    ------
    GalaxydsError
        If the build cannot be read or the files cannot be written.
    """
    import numpy as np

    from galaxyds.spec import SPLITS
    from galaxyds.store import image_map, read_columns
    from galaxyds.store.galaxiesml import unwritten, write_published
    from galaxyds_cli.progress import TerminalReporter

    assert spec.files is not None
    columns = read_columns(found.images)
    images = image_map(found.images)
    splits, names = columns["split_0"], dict(spec.files.names)
    with TerminalReporter(sys.stderr) as reporter:
        reporter.stage("export", "started")
        written = write_published(
            target,
            images=images,
            columns=columns,
            splits=splits,
            file_names=spec.files.files(images.shape[-1]),
            names=names,
            progress=lambda done, total: reporter.progress(done, total, "objects"),
        )
        reporter.stage("export", "done", f"{len(images):,} objects")
    counts = np.bincount(splits, minlength=len(SPLITS))
    rows = [int(counts[index // 2]) for index in range(len(written))]
    return written, rows, unwritten(columns, names)
