"""What the formats share: a build to read, options, and a folder that appears when complete."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from galaxyds.errors import StorageError, UsageError
from galaxyds.publish.card import code, text
from galaxyds.store.files import process_of, publishing_directory
from galaxyds.store.hdf5 import image_map, read_columns
from galaxyds.store.layout import MANIFEST, BuildDirectory
from galaxyds.store.processes import is_alive

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from galaxyds.spec import DatasetSpec

Progress = Callable[[int, int], None]
README = "README.md"


@dataclass(frozen=True, kw_only=True, slots=True)
class Options:
    """What a user may choose; a format ignores what does not concern it.

    Attributes
    ----------
    division : int
        Division whose splits name the files (webdataset).
    images : bool
        Whether a catalogue carries the pixels (hats).
    """

    division: int = 0
    images: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """A build that is exported.

    Attributes
    ----------
    build : BuildDirectory
        Where it lies, and its manifest.
    spec : DatasetSpec
        Its declaration, narrowed to the config.
    images : ndarray of float32, shape (n, bands, rows, columns)
        Mapped, not read.
    columns : dict of str to ndarray, shape (n,)
        As HDF5 has them: a missing float is NaN, a missing integer its sentinel.
    """

    build: BuildDirectory
    spec: DatasetSpec
    images: NDArray[np.float32]
    columns: dict[str, NDArray[Any]]

    @property
    def stem(self) -> str:
        """``<name>_<config>`` in snake case, for names of files."""
        from galaxyds.refs import to_snake

        return f"{to_snake(self.spec.name)}_{self.build.manifest.config}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Format:
    """One format.

    Attributes
    ----------
    name : str
        As ``--format`` takes it.
    write : callable
        Fill an empty folder: ``write(source, folder, options, progress)``.
    size : callable
        Bytes that are needed, at most: ``size(source, options)``.
    """

    name: str
    write: Callable[[Source, Path, Options, Progress], None]
    size: Callable[[Source, Options], int]


def open_source(build: BuildDirectory, spec: DatasetSpec) -> Source:
    """Map the pixels of a build and read its columns.

    Raises
    ------
    DataIntegrityError
        If its HDF5 file is refused.
    """
    return Source(
        build=build,
        spec=spec.of(build.manifest.config),
        images=image_map(build.images),
        columns=read_columns(build.images),
    )


def write_export(
    form: Format,
    source: Source,
    target: Path,
    *,
    options: Options,
    progress: Progress,
) -> None:
    """Write an export under a temporary name and rename it when it is complete.

    Parameters
    ----------
    form : Format
        One of :data:`galaxyds.publish.exports.FORMATS`.
    source : Source
        The build.
    target : pathlib.Path
        A folder that does not exist yet.
    options : Options
        What the user chose.
    progress : callable
        Told the number of objects done, and of all.

    Raises
    ------
    StorageError
        If ``target`` exists, or something cannot be written.
    UsageError
        If the dataset has no such division, or lacks what the format needs.
    MissingExtraError
        If the format's package is not installed.
    """
    if target.exists():
        raise StorageError(
            f"{target} exists and exported files are not written again: choose another folder "
            "with --output or remove it",
            path=str(target),
        )
    sweep(target)
    with publishing_directory(target, option="--output") as folder:
        form.write(source, folder, options, progress)


def sweep(target: Path) -> None:
    """Remove what killed exports of the same name have left beside it.

    Parameters
    ----------
    target : pathlib.Path
        A folder or file; what living processes of this machine write stays.
    """
    try:
        beside = list(target.absolute().parent.iterdir())
    except OSError:  # not made yet
        return
    for path in beside:
        process = process_of(path)
        if process is None or not path.name.startswith(f".{target.name}.{process}-"):
            continue
        # This process has begun nothing yet: in containers the numbers repeat.
        if process != os.getpid() and is_alive(process):
            continue
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            with suppress(OSError):
                path.unlink()


def accompany(source: Source, folder: Path, *, form: str, reading: str) -> None:
    """Put the build's manifest and a page on how to read the export beside the data.

    Parameters
    ----------
    source : Source
        The build.
    folder : pathlib.Path
        Of the export.
    form : str
        Name of the format.
    reading : str
        Python that reads it.
    """
    shutil.copyfile(source.build.path / MANIFEST, folder / MANIFEST)
    (folder / README).write_text(_page(source, form, reading), encoding="utf-8")


def _page(source: Source, form: str, reading: str) -> str:
    manifest, spec = source.build.manifest, source.spec
    bands, rows, columns = spec.image_shape()
    simulated = ["", "**Simulated: nothing here was observed.**"] * manifest.archive.simulated
    what = (
        f"{code(source.build.address)} as {form}: {manifest.rows:,} objects, "
        f"{text(manifest.nature())}. Cutouts of {bands} bands ({', '.join(spec.band_names())}) x "
        f"{rows} x {columns} pixels, float32, in {text(spec.bands[0].unit)}."
    )
    licence = f"Licence: {text(spec.licence.name)}, {spec.licence.url}."
    lines = [
        *(f"# {text(spec.title)}", "", what, *simulated, ""),
        *("```python", reading, "```", ""),
        f"`{MANIFEST}` tells where every row came from: queries, cut flow, hashes of the build.",
        *("", licence, text(spec.licence.acknowledgement, 2000), ""),
        *(f"- {text(one.role)}: {text(one.text)}" for one in spec.citations),
    ]
    return "\n".join(lines) + "\n"


def check_division(source: Source, division: int) -> None:
    """Refuse a division that the dataset has not.

    Raises
    ------
    UsageError
        With the number of divisions.
    """
    count = source.spec.split.divisions
    if not 0 <= division < count:
        raise UsageError(
            f"{source.spec.name} has divisions 0 to {count - 1}, not {division}: choose one of "
            "them with --division",
            division=division,
        )
