"""``galaxyds export``: a build in the layout that others published it in, or in other formats."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from galaxyds.shown import gigabytes
from galaxyds_cli.console import show_table
from galaxyds_cli.options import Division, Name, Root

if TYPE_CHECKING:
    from galaxyds.publish.exports import Options
    from galaxyds.spec import DatasetSpec
    from galaxyds.store import BuildDirectory

PUBLISHED = ("galaxiesml",)
"""Layouts of authors; which of them a dataset has, its declaration says."""
_SHOWN = 12
"""Columns that are named before the others are only counted."""


def export(
    name: Name,
    *,
    layout: Annotated[
        str,
        typer.Option(
            "--format", metavar="FORMAT", help="webdataset, zarr, hats, croissant or galaxiesml."
        ),
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
    division: Division = 0,
    images: Annotated[
        bool, typer.Option("--images", help="hats: the pixels too, as one more column.")
    ] = False,
) -> None:
    """Write a build in another format, with its manifest and how to read it beside the data.

    webdataset: tar shards per split. zarr: one group of chunked arrays. hats: a catalogue for lsdb.
    croissant: the hub folder with croissant.json. galaxiesml: the files of the authors of
    hsc-galaxiesml; published columns that a build does not have are named at the end.

    Example: galaxyds export sdss-qso --format zarr --output qso
    """
    from galaxyds import settings
    from galaxyds.publish.exports import Options
    from galaxyds.refs import DatasetRef, to_snake
    from galaxyds.specs import get_spec
    from galaxyds.store import find_build

    ref = DatasetRef.parse(name)
    spec = get_spec(ref.name)
    check_format(spec, layout)
    _check_options(layout, division=division, images=images)
    found = find_build(settings.home(root), ref, spec, quiet=True)
    target = output or Path(f"{to_snake(spec.name)}_{found.manifest.config}_{layout}")
    options = Options(division=division, images=images)
    with _tidy_when_terminated():
        if layout in PUBLISHED:
            _export_published(found, spec, target)
        else:
            _export_format(found, spec, target, layout=layout, options=options)


@contextmanager
def _tidy_when_terminated() -> Iterator[None]:
    """Let SIGTERM end the verb as Ctrl-C does, so that nothing half written stays."""

    def leave(number: int, _: object) -> None:
        raise SystemExit(128 + number)

    try:
        before = signal.signal(signal.SIGTERM, leave)
    except ValueError:  # signals belong to the main thread
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def check_format(spec: DatasetSpec, layout: str) -> None:
    """Refuse a format that there is not, or that a dataset has not.

    Raises
    ------
    UsageError
        With the formats that the dataset has, and the one that may have been meant.
    """
    from difflib import get_close_matches

    from galaxyds.errors import UsageError
    from galaxyds.publish.exports import FORMATS

    own = [spec.files.layout] if spec.files and spec.files.layout in PUBLISHED else []
    mine = [*own, *FORMATS]
    if layout in mine:
        return
    near = get_close_matches(layout, mine, 1)
    known = layout in PUBLISHED
    cause = "its authors did not publish it so" if known else "there is no such format"
    cause += f" (did you mean {near[0]}?)" if near and not known else ""
    raise UsageError(
        f"{spec.name} cannot be exported as '{layout}': {cause}; formats of {spec.name}: "
        f"{', '.join(mine)}",
        format=layout,
    )


def _check_options(layout: str, *, division: int, images: bool) -> None:
    from galaxyds.errors import UsageError

    for given, option, only in (
        (images, "--images", "hats"),
        (division, "--division", "webdataset"),
    ):
        if given and layout != only:
            raise UsageError(f"{option} is for --format {only}: leave it out for {layout}")


def _announce(target: Path, size: int) -> None:
    from galaxyds.store import require_space

    typer.echo(f"writing about {gigabytes(size)} to {target.absolute()}", err=True)
    require_space(target, size, what="the export", option="--output")


def _export_format(
    found: BuildDirectory, spec: DatasetSpec, target: Path, *, layout: str, options: Options
) -> None:
    from galaxyds.publish.exports import FORMATS, open_source, write_export
    from galaxyds_cli.progress import terminal_reporter

    form, source = FORMATS[layout], open_source(found, spec)
    _announce(target, form.size(source, options))
    with terminal_reporter() as reporter:
        reporter.stage("export", "started")
        write_export(
            form,
            source,
            target,
            options=options,
            progress=lambda done, total: reporter.progress(done, total, "objects"),
        )
        reporter.stage("export", "done", f"{found.manifest.rows:,} objects")
    entries = list(_entries(target))
    rows = [(name, f"{count:,}", gigabytes(size)) for name, count, size in entries]
    show_table(("name", "files", "size"), rows, right=(1, 2))
    _conclude(found, target, sum(e[1] for e in entries), sum(e[2] for e in entries))


def _entries(folder: Path) -> Iterator[tuple[str, int, int]]:
    """Name, number of files and bytes of everything directly in a folder."""
    for path in sorted(folder.iterdir()):
        inside = [path] if path.is_file() else [p for p in path.rglob("*") if p.is_file()]
        name = path.name if path.is_file() else f"{path.name}/"
        yield name, len(inside), sum(p.stat().st_size for p in inside)


def _conclude(found: BuildDirectory, target: Path, files: int, size: int) -> None:
    print(f"{target.absolute()}: {files:,} files, {found.manifest.rows:,} objects, "
          f"{gigabytes(size)} ({found.address}, {found.manifest.nature()})")  # fmt: skip


def _export_published(found: BuildDirectory, spec: DatasetSpec, target: Path) -> None:
    # Pixels are nearly all of it, and a build's own file has the same.
    _announce(target, found.images.stat().st_size)
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
    _conclude(found, target, len(written), sum(sizes))
    if absent:
        more = f" and {len(absent) - _SHOWN} more" if len(absent) > _SHOWN else ""
        print(f"Without {len(absent)} of the published columns, which the build does not have: "
              f"{', '.join(absent[:_SHOWN])}{more}")  # fmt: skip


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

    from galaxyds.publish.exports import sweep
    from galaxyds.spec import SPLITS
    from galaxyds.store import image_map, read_columns
    from galaxyds.store.galaxiesml import unwritten, write_published
    from galaxyds_cli.progress import terminal_reporter

    assert spec.files is not None
    columns = read_columns(found.images)
    images = image_map(found.images)
    splits, names = columns["split_0"], dict(spec.files.names)
    file_names = spec.files.files(images.shape[-1])
    for name in file_names.values():
        sweep(target / name)
        sweep((target / name).with_suffix(".csv"))
    with terminal_reporter() as reporter:
        reporter.stage("export", "started")
        written = write_published(
            target,
            images=images,
            columns=columns,
            splits=splits,
            file_names=file_names,
            names=names,
            progress=lambda done, total: reporter.progress(done, total, "objects"),
        )
        reporter.stage("export", "done", f"{len(images):,} objects")
    counts = np.bincount(splits, minlength=len(SPLITS))
    rows = [int(counts[index // 2]) for index in range(len(written))]
    return written, rows, unwritten(columns, names)
