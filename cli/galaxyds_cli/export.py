"""``galaxyds export``: a build in the layout that others published it in."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from galaxyds_cli.console import gigabytes, show_table
from galaxyds_cli.options import Name, Root

if TYPE_CHECKING:
    from galaxyds.store import BuildDirectory

FORMATS = {"galaxiesml": ("hsc-galaxiesml",)}
"""Formats, and the datasets that have them."""


def export(
    name: Name,
    *,
    layout: Annotated[
        str, typer.Option("--format", metavar="FORMAT", help="Layout to write: galaxiesml.")
    ],
    root: Root = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="DIR", help="Where to write (default: here)."),
    ] = None,
) -> None:
    """Write a build in the layout of its authors: files for training, validation and testing.

    Example: galaxyds export hsc-galaxiesml/64 --format galaxiesml --output published
    """
    from galaxyds import settings
    from galaxyds.refs import DatasetRef
    from galaxyds.specs import get_spec
    from galaxyds.store import find_build

    ref = DatasetRef.parse(name)
    spec = get_spec(ref.name)
    check_format(spec.name, layout)
    found = find_build(settings.home(root), ref, spec)
    target = output or Path()
    written, rows = export_build(found, target)
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


def check_format(name: str, layout: str) -> None:
    """Refuse a format that there is not, or that a dataset has not.

    Raises
    ------
    UsageError
        With the formats that the dataset has.
    """
    from galaxyds.errors import UsageError

    if name in FORMATS.get(layout, ()):
        return
    mine = [known for known, names in FORMATS.items() if name in names]
    cause = "there is no such format" if layout not in FORMATS else "its authors use another one"
    has = ", ".join(mine) if mine else "none beside the HDF5 and the hub folder of the build"
    raise UsageError(
        f"{name} cannot be exported as '{layout}': {cause}; formats of {name}: {has} "
        f"(galaxyds path {name} says where)",
        format=layout,
    )


def export_build(found: BuildDirectory, target: Path) -> tuple[list[Path], list[int]]:
    """Write a build in the layout of GalaxiesML, with progress on standard error.

    Returns
    -------
    list of pathlib.Path, list of int
        The files, and the rows of each.

    Raises
    ------
    GalaxydsError
        If the build cannot be read or the files cannot be written.
    """
    import numpy as np

    from galaxyds.spec import SPLITS
    from galaxyds.store import image_map, read_columns
    from galaxyds.store.galaxiesml import write_published
    from galaxyds_cli.progress import TerminalReporter

    columns = read_columns(found.images)
    images = image_map(found.images)
    splits = columns["split_0"]
    with TerminalReporter(sys.stderr) as reporter:
        reporter.stage("export", "started")
        written = write_published(
            target,
            images=images,
            columns=columns,
            splits=splits,
            size=images.shape[-1],
            progress=lambda done, total: reporter.progress(done, total, "objects"),
        )
        reporter.stage("export", "done", f"{len(images):,} objects")
    counts = np.bincount(splits, minlength=len(SPLITS))
    return written, [int(counts[index // 2]) for index in range(len(written))]
