"""The published cutouts as a dataset: columns, cuts and order of a declaration, pixels streamed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from galaxyds.errors import one_line
from galaxyds.store.foreign import Difference
from galaxyds.store.hdf5 import Placed
from galaxyds.store.npz import NpzArray, Place, open_npz, refused
from galaxyds.store.p19.columns import read_columns
from galaxyds.store.p19.labels import Labels, open_labels
from galaxyds.store.p19.names import CANDIDATES, CUBE, REQUIRED, ROWS, find_label
from galaxyds.store.p19.selection import Repeats, select

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

    from galaxyds.catalog import CutStep
    from galaxyds.spec import Config, DatasetSpec

_BLOCK = 32
"""Cutouts per block: 3 MB of them, three times over."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Published:
    """The published cutouts as a dataset, in the order of object ids.

    Attributes
    ----------
    table : pyarrow.Table
        The declared columns, but for those of the splits; NULL where the labels have no value.
    differences : tuple of Difference
        What is not as declared.
    cut_flow : tuple of CutStep
        The cuts that the labels allow, and what each removed.
    repeats : tuple of Repeats
        The rules for repeats, and what each removed.
    path : pathlib.Path
        The archive.
    shape : (int, int, int)
        Bands, rows, columns of a cutout.
    place : ndarray of int64, shape (n_file,)
        For each cutout of the archive its row in ``table``, -1 for those that were removed.
    """

    table: pa.Table
    differences: tuple[Difference, ...]
    cut_flow: tuple[CutStep, ...]
    repeats: tuple[Repeats, ...]
    path: Path
    shape: tuple[int, int, int]
    place: NDArray[np.int64]

    def blocks(self, size: int = _BLOCK) -> Iterator[Placed]:
        """Yield the pixels in the order of the archive, each cutout with its row in the table.

        The array is inflated once, from its first byte to its last, and never held as a whole.

        Parameters
        ----------
        size : int
            Cutouts of the archive per block.

        Yields
        ------
        Placed
            Cutouts of shape (bands, rows, columns).

        Raises
        ------
        DataIntegrityError
            If the archive is damaged; its CRC is compared after the last block.
        """
        done = 0
        with open_npz(self.path) as arrays:
            for block in _cube(self.path, arrays, self.shape).blocks(size):
                places = self.place[done : done + len(block)]
                kept = np.flatnonzero(places >= 0)
                done += len(block)
                if len(kept):
                    yield Placed(places[kept], np.moveaxis(block[kept], -1, 1))


def check_published(
    path: Path, spec: DatasetSpec, *, names: Mapping[str, str] | None = None, bring: str = ""
) -> None:
    """Look at everything but the values: headers, shapes, and that there are labels to read.

    Parameters
    ----------
    path : pathlib.Path
        The archive.
    spec : DatasetSpec
        Declares columns and the shape of a cutout.
    names : mapping of str to str, optional
        Labels by our names, where they differ.
    bring : str
        How a table of labels gets beside the archive, for messages.

    Raises
    ------
    DataIntegrityError
        If :func:`open_published` would refuse it.
    """
    with open_npz(path) as arrays:
        labels = _labels(path, arrays, _cube(path, arrays, spec.image_shape()), bring)
        _check_required(labels, spec, names or {})


def open_published(
    path: Path, spec: DatasetSpec, config: Config, *, names: Mapping[str, str] | None = None
) -> Published:
    """Open the published cutouts as a dataset and compare them with a declaration.

    Labels are found by the declared names, else by ours in any spelling; which label identifies an
    object is chosen by :data:`galaxyds.store.p19.names.IDS`, and where there is none, its row in
    the archive does.

    Parameters
    ----------
    path : pathlib.Path
        The archive; a table of labels beside it goes before its own.
    spec : DatasetSpec
        Declares columns, rules for repeats and the shape of a cutout.
    config : Config
        Declares the cuts; those that test columns without a label are left out, and said.
    names : mapping of str to str, optional
        Labels by our names, where they differ.

    Returns
    -------
    Published
        Columns in memory, pixels on disk.

    Raises
    ------
    DataIntegrityError
        If the archive is damaged or means harm, has no ``cube`` of that shape, or labels that are
        missing, Python objects, or not one row per cutout; if there is no label, or no number, for
        one of :data:`galaxyds.store.p19.names.REQUIRED`.
    """
    shape = spec.image_shape()
    with open_npz(path) as arrays:
        cube = _cube(path, arrays, shape)
        labels = _labels(path, arrays, cube, "")
        _check_required(labels, spec, names or {})
        columns = read_columns(labels, spec, config, names=names or {})
        kept = select(columns, spec, config)
        table, told = columns.take(kept.rows, spec)
        _check_values(labels, table, spec)
    place = np.full(cube.shape[0], -1, dtype=np.int64)
    place[kept.rows[np.argsort(columns.ids[kept.rows], kind="stable")]] = np.arange(len(kept.rows))
    return Published(
        table=table,
        differences=(
            *_cube_differences(path, cube),
            *columns.differences,
            *told,
            *kept.differences,
        ),
        cut_flow=kept.cut_flow,
        repeats=kept.repeats,
        path=path,
        shape=shape,
        place=place,
    )


def _cube(path: Path, arrays: Mapping[str, NpzArray], shape: tuple[int, int, int]) -> NpzArray:
    """Find the pixels: (n, rows, columns, bands), floating point."""
    if CUBE not in arrays:
        told = ", ".join(one_line(name, 40) for name in arrays) or "none"
        raise refused(Place(path), f"there is no array {CUBE}, only {told}")
    cube = arrays[CUBE]
    expected = (*shape[1:], shape[0])
    if cube.shape[1:] != expected or len(cube.shape) != 4:
        told = ", ".join(map(str, expected))
        raise refused(cube.where, f"it has shape {cube.shape}, expected (n, {told}), bands last")
    if cube.dtype.kind != "f":
        raise refused(cube.where, f"it is {cube.dtype}, expected float32")
    return cube


def _labels(path: Path, arrays: Mapping[str, NpzArray], cube: NpzArray, bring: str) -> Labels:
    labels = open_labels(path, arrays, bring=bring)
    if labels.rows != cube.shape[0]:
        raise refused(Place(path), f"{labels.rows} rows of labels for {cube.shape[0]} cutouts")
    return labels


def _required(spec: DatasetSpec) -> list[str]:
    """Columns of a declaration that cannot do without a label."""
    declared = {column.name: column for column in spec.columns}
    return [n for n in REQUIRED if n in declared and not declared[n].nullable]


def _check_required(labels: Labels, spec: DatasetSpec, names: Mapping[str, str]) -> None:
    for name in _required(spec):
        if find_label(name, names, labels.names) is None:
            there = one_line(", ".join(labels.names), 400) or "none"
            wanted = names.get(name, (*CANDIDATES.get(name, ()), name)[0])
            raise refused(
                labels.place, f"no label is the column {name} ('{wanted}'): there are {there}"
            )


def _check_values(labels: Labels, table: pa.Table, spec: DatasetSpec) -> None:
    for name in _required(spec):
        if table.num_rows and table.column(name).null_count == table.num_rows:
            raise refused(labels.place, f"no value of the column {name} is a number")


def _cube_differences(path: Path, cube: NpzArray) -> Iterator[Difference]:
    rows, pixels = cube.shape[0], cube.dtype
    if rows != ROWS:
        yield Difference(what=f"cutouts in {path.name}", expected=f"{ROWS:,}", got=f"{rows:,}")
    if pixels.newbyteorder("=") != np.float32:
        yield Difference(what=f"dtype of {CUBE}", expected="float32", got=str(pixels))
