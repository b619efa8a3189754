"""Writing a build in the published layout: three HDF5 files and their tables as CSV."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np

from galaxyds.errors import StorageError, UsageError
from galaxyds.spec import SPLITS
from galaxyds.store.files import publishing, require_space
from galaxyds.store.galaxiesml.names import ID, PUBLISHED_COLUMNS
from galaxyds.store.hdf5 import IMAGE

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

_BLOCK = 256
_CSV_DIGITS = 20
"""Bytes per value of a CSV, generously."""


def write_published(
    target: Path,
    *,
    images: NDArray[np.float32],
    columns: Mapping[str, NDArray[Any]],
    splits: NDArray[np.int8],
    file_names: Mapping[str, str],
    names: Mapping[str, str] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> list[Path]:
    """Write the three published files and a CSV beside each; all appear, or none.

    Chunks hold one cutout each, so a loader that picks rows reads what it uses; equal values give
    equal bytes.

    The published files have six columns that no build has: ``x_coord``, ``y_coord``,
    ``x_coord_x``, ``x_coord_y``, ``y_coord_x`` and ``y_coord_y``, one position per object where
    ours are one per band.  They are left out; :func:`unwritten` names what an export lacks.

    Parameters
    ----------
    target : pathlib.Path
        Folder; made if it is missing.
    images : ndarray of float32, shape (n, bands, size, size)
        May be a memory map; it is read once, in blocks.
    columns : mapping of str to ndarray, shape (n,)
        By our names, in ascending order of ``object_id``; those without a place in
        :data:`galaxyds.store.galaxiesml.PUBLISHED_COLUMNS` are left out.
    splits : ndarray of int8, shape (n,)
        Codes of :data:`galaxyds.spec.SPLITS`.
    file_names : mapping of str to str
        Name of the HDF5 file of every split, as :meth:`galaxyds.spec.PublishedFiles.files` has
        them.
    names : mapping of str to str, optional
        Published names of columns, by ours, where they differ.
    progress : callable, optional
        Told the number of cutouts done, and of all.

    Returns
    -------
    list of pathlib.Path
        HDF5 and CSV of train, validation, test.

    Raises
    ------
    UsageError
        If lengths, shapes, codes or the order of ids do not fit, or a split has no file name.
    StorageError
        If one of the files exists, or they cannot be written.
    """
    _check(images, columns, splits, file_names)
    published = _published_columns(columns, names or {})
    pixels = [target / file_names[split] for split in SPLITS]
    tables = [path.with_suffix(".csv") for path in pixels]
    _refuse_existing([*pixels, *tables])
    values = sum(array.nbytes + _CSV_DIGITS * len(array) for array in published.values())
    require_space(target, images.nbytes + values, what="the export", option="--output")
    rows = [np.flatnonzero(splits == code) for code in range(len(SPLITS))]
    with ExitStack() as stack:
        # Entered together, so the six names appear when everything is written.
        hidden = [
            stack.enter_context(publishing(path, option="--output")) for path in (*pixels, *tables)
        ]
        _write_files(hidden[:3], images, rows=rows, columns=published, progress=progress)
        for path, chosen in zip(hidden[3:], rows, strict=True):
            _write_csv(path, {name: array[chosen] for name, array in published.items()})
    return [path for pair in zip(pixels, tables, strict=True) for path in pair]


def unwritten(columns: Iterable[str], names: Mapping[str, str] | None = None) -> tuple[str, ...]:
    """Published columns that an export of these columns lacks.

    Parameters
    ----------
    columns : iterable of str
        Names of a build's columns.
    names : mapping of str to str, optional
        Published names of columns, by ours, where they differ.

    Returns
    -------
    tuple of str
        In the published order.
    """
    there = {(names or {}).get(name, name) for name in columns}
    return tuple(name for name in PUBLISHED_COLUMNS if name not in there)


def _check(
    images: NDArray[np.float32],
    columns: Mapping[str, NDArray[Any]],
    splits: NDArray[np.int8],
    file_names: Mapping[str, str],
) -> None:
    if missing := [split for split in SPLITS if split not in file_names]:
        raise UsageError(f"there is no file name for {', '.join(missing)}: name all three")
    if images.ndim != 4:
        raise UsageError(f"cutouts of shape {images.shape} are not (n, bands, rows, columns)")
    lengths = {"split": len(splits), **{name: len(array) for name, array in columns.items()}}
    if wrong := [name for name, length in lengths.items() if length != len(images)]:
        raise UsageError(f"there are {len(images)} cutouts, but not as many rows in {wrong[0]}")
    if ID not in columns or np.any(np.diff(columns[ID]) <= 0):
        raise UsageError(f"{ID} is missing, or not unique and increasing")
    if np.any((splits < 0) | (splits >= len(SPLITS))):
        raise UsageError(f"split codes are not all among 0 to {len(SPLITS) - 1}")


def _refuse_existing(paths: list[Path]) -> None:
    for path in paths:
        if path.exists():
            raise StorageError(
                f"{path} exists and published files are not written again: choose another folder "
                "with --output or remove it",
                path=str(path),
            )


def _published_columns(
    columns: Mapping[str, NDArray[Any]], names: Mapping[str, str]
) -> dict[str, NDArray[Any]]:
    """Columns under their published names and in their order; texts as bytes of one length."""
    renamed = {names.get(name, name): array for name, array in columns.items()}
    result = {name: renamed[name] for name in PUBLISHED_COLUMNS if name in renamed}
    for name, array in result.items():
        if array.dtype.kind in "OU":
            encoded = [str(text).encode() for text in array]
            longest = max(map(len, encoded), default=0) or 1
            result[name] = np.array(encoded, dtype=f"S{longest}")
    return result


def _write_files(
    paths: list[Path],
    images: NDArray[np.float32],
    *,
    rows: list[NDArray[np.int64]],
    columns: Mapping[str, NDArray[Any]],
    progress: Callable[[int, int], None] | None,
) -> None:
    with ExitStack() as stack:
        datasets = []
        for path, chosen in zip(paths, rows, strict=True):
            file = stack.enter_context(h5py.File(path, "x", libver=("v108", "v110"), locking=False))
            for name, array in columns.items():
                _write_column(file, name, array[chosen])
            datasets.append(_empty_image(file, len(chosen), images.shape[1:]))
        _write_pixels(datasets, images, rows, progress)


def _write_pixels(
    datasets: list[h5py.Dataset],
    images: NDArray[np.float32],
    rows: list[NDArray[np.int64]],
    progress: Callable[[int, int], None] | None,
) -> None:
    """Fill the three files together, in one pass over the map."""
    for start in range(0, len(images), _BLOCK):
        block = np.ascontiguousarray(images[start : start + _BLOCK], dtype="<f4")
        for dataset, chosen in zip(datasets, rows, strict=True):
            first, last = np.searchsorted(chosen, (start, start + len(block)))
            if last > first:
                dataset[first:last] = block[chosen[first:last] - start]
        if progress is not None:
            progress(start + len(block), len(images))


def _write_column(file: h5py.File, name: str, values: NDArray[Any]) -> None:
    # Texts lie as (n, 1) in the published files, everything else as (n,).
    shaped = values.reshape(-1, 1) if values.dtype.kind == "S" else values
    file.create_dataset(name, data=shaped, dtype=values.dtype.newbyteorder("<"), track_times=False)


def _empty_image(file: h5py.File, rows: int, shape: tuple[int, ...]) -> h5py.Dataset:
    chunks = (1, *shape) if rows else None
    return file.create_dataset(
        IMAGE, shape=(rows, *shape), dtype="<f4", chunks=chunks, track_times=False
    )


def _write_csv(path: Path, columns: Mapping[str, NDArray[Any]]) -> None:
    """Write a header of plain names and the values; a missing one is an empty field."""
    from pyarrow import csv

    options = csv.WriteOptions(include_header=False, quoting_style="needed")
    with path.open("xb") as stream:
        stream.write((",".join(columns) + "\n").encode())
        csv.write_csv(_csv_table(columns), stream, options)


def _csv_table(columns: Mapping[str, NDArray[Any]]) -> pa.Table:
    import pyarrow as pa

    arrays = {}
    for name, values in columns.items():
        if values.dtype.kind == "S":
            arrays[name] = pa.array([text.decode() for text in values], type=pa.string())
        else:
            arrays[name] = pa.array(values, from_pandas=True)
    return pa.table(arrays)
