"""Three published files as one dataset, compared with a declaration."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from galaxyds.errors import DataIntegrityError, UsageError, one_line
from galaxyds.spec import SPLITS, Column
from galaxyds.store.foreign import Difference, dtype_name
from galaxyds.store.galaxiesml.columns import GatheredColumn, PublishedFile
from galaxyds.store.galaxiesml.names import ID, PUBLISHED_COLUMNS
from galaxyds.store.galaxiesml.pixels import RunReader
from galaxyds.store.hdf5 import IMAGE, safe_open

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray


@dataclass(frozen=True, kw_only=True, eq=False)
class Published:
    """Three published files as one dataset, in the order of object ids.

    Attributes
    ----------
    table : pyarrow.Table
        The columns asked for, NULL where the files have no value, and ``split_0`` (int8) with the
        published membership as codes of :data:`galaxyds.spec.SPLITS`.
    differences : tuple of Difference
        What is not as declared.
    shape : (int, int, int)
        Bands, rows, columns of a cutout.
    paths : tuple of pathlib.Path
        The files, in the order of :data:`galaxyds.spec.SPLITS`.
    place : ndarray of int64, shape (n, 2)
        For each row of ``table``: which file, which row in it.
    """

    table: pa.Table
    differences: tuple[Difference, ...]
    shape: tuple[int, int, int]
    paths: tuple[Path, ...]
    place: NDArray[np.int64]

    def blocks(self, size: int = 256) -> Iterator[NDArray[np.float32]]:
        """Yield the pixels in the order of the table.

        Each chunk of a file is read once, and at most 64 MB of each file are held, unless its
        rows are not in the order of ids or a row of compressed chunks is larger.

        Parameters
        ----------
        size : int
            Cutouts per block.

        Yields
        ------
        ndarray of float32, shape (k, bands, rows, columns)
            A new array each time; k <= size.

        Raises
        ------
        DataIntegrityError
            If a file has changed since it was opened, or cannot be read.
        """
        with ExitStack() as stack:
            readers = [
                RunReader(
                    path,
                    stack.enter_context(safe_open(path)),
                    shape=self.shape,
                    ahead=self._ascending(code),
                )
                for code, path in enumerate(self.paths)
            ]
            for start in range(0, len(self.place), size):
                which, rows = self.place[start : start + size].T
                block = np.empty((len(rows), *self.shape), dtype="<f4")
                for code, reader in enumerate(readers):
                    mine = which == code
                    if mine.any():
                        block[mine] = reader.take(rows[mine])
                yield block

    def _ascending(self, code: int) -> bool:
        """Whether the rows of a file are in the order of ids, so that it is read end to end."""
        return bool(np.all(np.diff(self.place[self.place[:, 0] == code, 1]) == 1))


def open_published(
    paths: Mapping[str, Path],
    columns: Sequence[Column],
    *,
    shape: tuple[int, int, int],
    names: Mapping[str, str] | None = None,
    ranges: Mapping[str, tuple[float, float]] | None = None,
    counts: Mapping[str, int] | None = None,
) -> Published:
    """Open published files as one dataset and compare them with a declaration.

    Parameters
    ----------
    paths : mapping of str to pathlib.Path
        The file of every split (``train``, ``validation``, ``test``).
    columns : sequence of Column
        What is wanted; columns that the files lack are NULL, which is a difference only for those
        that were published.  ``split_0`` is made here.
    shape : (int, int, int)
        Bands, rows, columns of a cutout.
    names : mapping of str to str, optional
        Published names of columns, by ours, where they differ.
    ranges : mapping of str to (float, float), optional
        Smallest and largest value that are expected, by our name of the column.
    counts : mapping of str to int, optional
        Expected rows by split; not compared by default.

    Returns
    -------
    Published
        Columns in memory, pixels on disk.

    Raises
    ------
    UsageError
        If a split has no path.
    DataIntegrityError
        If a file is refused by :func:`galaxyds.store.hdf5.safe_open`, has no ``image`` of that
        shape or no ``object_id``, has datasets of unequal length, or an object is there twice.
    """
    if missing := [split for split in SPLITS if split not in paths]:
        raise UsageError(f"there is no published file for {', '.join(missing)}: name all three")
    ordered = tuple(paths[split] for split in SPLITS)
    names = names or {}
    with ExitStack() as stack:
        files = [
            PublishedFile(path, stack.enter_context(safe_open(path)), shape) for path in ordered
        ]
        ids = [file.ids() for file in files]
        place = _merged(ids, ordered)
        wanted = [column for column in columns if column.name != "split_0"]
        found = {
            c.name: GatheredColumn(c, files, published=names.get(c.name, c.name), place=place)
            for c in wanted
        }
        differences = [
            *_count_differences(files, counts or {}),
            *_order_differences(ids, ordered),
            *_pixel_differences(files),
            *_unknown_columns(files, {names.get(name, name) for name in found}),
            *(row for gathered in found.values() for row in gathered.differences()),
            *_range_differences(found, ranges or {}),
        ]
    return Published(
        table=_table(columns, found, place),
        differences=tuple(differences),
        shape=shape,
        paths=ordered,
        place=place,
    )


def _merged(ids: Sequence[NDArray[np.int64]], paths: Sequence[Path]) -> NDArray[np.int64]:
    """File and row of every object, in the order of ids, shape (n, 2)."""
    everything = np.concatenate(ids)
    order = np.argsort(everything, kind="stable")
    place = np.stack(
        [
            np.repeat(np.arange(len(ids)), [len(part) for part in ids]),
            np.concatenate([np.arange(len(part)) for part in ids]),
        ],
        axis=1,
    )[order]
    twice = np.flatnonzero(np.diff(everything[order]) == 0)
    if len(twice):
        first = int(twice[0])
        where = " and ".join(sorted({paths[code].name for code, _ in place[first : first + 2]}))
        raise DataIntegrityError(
            f"{ID} {everything[order][first]} is there twice, in {where} ({len(twice)} such): "
            "the files do not belong together, fetch them again",
            file=where,
            expected="each object once",
            got=len(twice),
        )
    return place


def _table(
    columns: Sequence[Column], found: Mapping[str, GatheredColumn], place: NDArray[np.int64]
) -> pa.Table:
    import pyarrow as pa

    split = pa.array(place[:, 0].astype(np.int8))
    made = {c.name: found[c.name].array() if c.name in found else split for c in columns}
    return pa.table({**made, "split_0": split})


def _count_differences(
    files: Sequence[PublishedFile], counts: Mapping[str, int]
) -> Iterator[Difference]:
    for split, file in zip(SPLITS, files, strict=True):
        if file.rows != counts.get(split, file.rows):
            what = f"rows of {file.path.name}"
            yield Difference(what=what, expected=f"{counts[split]:,}", got=f"{file.rows:,}")


def _order_differences(
    ids: Sequence[NDArray[np.int64]], paths: Sequence[Path]
) -> Iterator[Difference]:
    for path, part in zip(paths, ids, strict=True):
        if descents := int(np.count_nonzero(np.diff(part) < 0)):
            yield Difference(
                what=f"order of {path.name}",
                expected=f"ascending {ID}",
                got=f"{descents} descents: read row by row",
            )


def _pixel_differences(files: Sequence[PublishedFile]) -> Iterator[Difference]:
    for file in files:
        if file.pixels != "float32":
            what = f"dtype of {IMAGE} in {file.path.name}"
            yield Difference(what=what, expected="float32", got=file.pixels)


def _unknown_columns(files: Sequence[PublishedFile], wanted: set[str]) -> Iterator[Difference]:
    known = wanted.union(PUBLISHED_COLUMNS)
    there = {name: d for file in files for name, d in file.columns.items() if name not in known}
    for name, dataset in sorted(there.items()):
        what = f"column {one_line(name, 60)}"
        yield Difference(what=what, expected="none", got=dtype_name(dataset.dtype))


def _range_differences(
    found: Mapping[str, GatheredColumn], ranges: Mapping[str, tuple[float, float]]
) -> Iterator[Difference]:
    for name, (low, high) in ranges.items():
        column = found.get(name)
        if column is None or column.values is None:
            continue
        values = column.values[column.valid]
        outside = int(np.count_nonzero(~((values >= low) & (values <= high))))
        if outside:
            yield Difference(
                what=f"values of {column.published}",
                expected=f"{low:g} to {high:g}",
                got=f"{outside:,} outside, {np.nanmin(values):g} to {np.nanmax(values):g}",
            )
