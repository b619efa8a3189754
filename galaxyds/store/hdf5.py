"""``images.hdf5``: pixels that every HDF5 reader opens and that a loader maps without copying.

Layout: ``image`` (n, bands, rows, columns), little-endian float32, contiguous, uncompressed, its
first byte on a page of 4096; beside it one dataset (n,) per stored column, whose further names are
hard links to it.  The same values give
the same bytes: no times, no variable-length data, a fixed range of library versions.

A file from elsewhere may point at other files or declare more than it holds, and HDF5 follows
silently; every file is therefore opened by :func:`safe_open`.
"""

from __future__ import annotations

import math
import mmap
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import h5py
import numpy as np

from galaxyds.errors import DataIntegrityError, one_line
from galaxyds.store.columns import to_numpy

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

    from galaxyds.spec import Column, DatasetSpec
    from galaxyds.store.manifest import Manifest

IMAGE = "image"
_PAGE = 4096
_LARGEST_RATIO = 1000
"""Declared over stored bytes of a compressed dataset above which it is taken for a bomb."""
_SMALL_CHUNK = 1 << 20
_DEEPEST = 8


class Placed(NamedTuple):
    """Cutouts that come in another order than the rows of their table.

    Attributes
    ----------
    rows : ndarray of int64, shape (k,)
        Their rows in the table.
    pixels : ndarray of float32, shape (k, bands, rows, columns)
        The cutouts.
    """

    rows: NDArray[np.int64]
    pixels: NDArray[np.float32]


Blocks = Iterator["NDArray[np.float32] | Placed"]
"""The pixels of a build: in the order of its rows, or with the rows they belong to."""


def write_hdf5(
    path: Path,
    *,
    spec: DatasetSpec,
    config: str,
    table: pa.Table,
    blocks: Blocks,
    attributes: Mapping[str, str | int | float],
) -> None:
    """Write the pixels and columns of a build, from first row to last.

    Pixels go through ordinary writes: a full disk is then an error, where a sparse memory map
    would end the process with SIGBUS.

    Parameters
    ----------
    path : pathlib.Path
        A new file (publish it with :func:`galaxyds.store.files.publishing`).
    spec : DatasetSpec
        Declares bands, columns and the shape of a cutout.
    config : str
        Name of the config.
    table : pyarrow.Table
        The stored columns, in object-id order.
    blocks : iterator of ndarray or Placed
        float32 (k, bands, rows, columns), k >= 0, together one cutout per row of ``table``; in its
        order, or each with its row.
    attributes : mapping
        More attributes of the file; nothing that changes from run to run, such as a time.

    Raises
    ------
    DataIntegrityError
        If a block has another shape, or there are more or fewer cutouts than rows.
    """
    with h5py.File(
        path,
        "x",
        libver=("v108", "v110"),
        alignment_threshold=_PAGE,
        alignment_interval=_PAGE,
        locking=False,
    ) as file:
        _describe(file, {"dataset": spec.name, "config": config, **attributes})
        for column in spec.stored_columns():
            _write_column(file, column, to_numpy(table.column(column.name), column))
        _write_image(file, spec, table.num_rows, blocks)


def image_attributes(spec: DatasetSpec, manifest: Manifest) -> dict[str, str | int | float]:
    """What a build's file says of itself beside dataset and config: for :func:`write_hdf5`."""
    return {
        "version": manifest.version,
        "title": spec.title,
        "nature": manifest.nature(),
        "data_release": manifest.archive.data_release,
        "licence": spec.licence.name,
    }


def _describe(
    target: h5py.File | h5py.Dataset, values: Mapping[str, str | int | float | NDArray[Any]]
) -> None:
    for name, value in values.items():
        target.attrs[name] = value


def _write_column(file: h5py.File, column: Column, values: NDArray[Any]) -> None:
    kind = (
        h5py.string_dtype("utf-8", values.dtype.itemsize)
        if column.dtype == "string"
        else values.dtype.newbyteorder("<")
    )
    dataset = file.create_dataset(
        column.name, dtype=kind, data=values.astype(kind), track_times=False
    )
    text: dict[str, str | int | float] = {"unit": column.unit, "description": column.description}
    if column.nullable and column.sentinel is not None and column.dtype.startswith(("int", "uint")):
        text["missing"] = int(column.sentinel)
    if column.aliases:
        text["aliases"] = ",".join(column.aliases)
    _describe(dataset, text)
    for alias in column.aliases:
        file[alias] = dataset


def _write_image(file: h5py.File, spec: DatasetSpec, rows: int, blocks: Blocks) -> None:
    shape = spec.image_shape()
    dataset = file.create_dataset(IMAGE, shape=(rows, *shape), dtype="<f4", track_times=False)
    _describe(
        dataset,
        {
            "axes": "object, band, row, column",
            "bands": ",".join(spec.band_names()),
            "unit": ",".join(band.unit for band in spec.bands),
            "zero_point": np.array([band.zero_point for band in spec.bands]),
        },
    )
    written = np.zeros(rows, dtype=bool)
    done = 0
    for block in blocks:
        places, pixels = block if isinstance(block, Placed) else (None, block)
        if pixels.shape[1:] != shape or done + len(pixels) > rows:
            raise DataIntegrityError(
                f"{spec.name}: cutouts {done} to {done + len(pixels)} of shape {pixels.shape[1:]} "
                f"do not fit {rows} rows of shape {shape}",
                expected=(rows, *shape),
                got=(done + len(pixels), *pixels.shape[1:]),
            )
        if places is None:
            places = np.arange(done, done + len(pixels))
        _write_cutouts(dataset, places, np.ascontiguousarray(pixels, dtype="<f4"))
        written[places] = True
        done += len(pixels)
    if done != rows or not written.all():
        raise DataIntegrityError(
            f"{spec.name}: {done} cutouts for {rows} rows of the catalogue", expected=rows, got=done
        )


def _write_cutouts(
    dataset: h5py.Dataset, places: NDArray[np.int64], pixels: NDArray[np.float32]
) -> None:
    """Write cutouts to their rows, those of neighbouring rows together."""
    runs = np.flatnonzero(np.diff(places) != 1) + 1
    for part in np.split(np.arange(len(places)), runs):
        if len(part):
            first, last = int(part[0]), int(part[-1]) + 1
            dataset[places[first] : places[first] + last - first] = pixels[first:last]


@contextmanager
def safe_open(path: Path) -> Iterator[h5py.File]:
    """Open an HDF5 file for reading after a look at everything that it declares.

    Only hard links, groups and datasets of fixed-size numbers, booleans and strings are let
    through: no soft or external links, no raw data in other files, no virtual datasets, no
    variable-length or reference types, and nothing that declares more than the file stores (for
    compressed datasets: more than 1000 times).

    Parameters
    ----------
    path : pathlib.Path
        The file.

    Yields
    ------
    h5py.File
        Read-only.

    Raises
    ------
    DataIntegrityError
        If the file is no HDF5, is cut short, or breaks one of these rules.
    """
    try:
        file = h5py.File(path, "r", locking=False)
    except (OSError, RuntimeError, ValueError) as error:
        raise _refused(path, "/", one_line(str(error))) from error
    with file:
        try:
            _inspect(path, file.id, set())
        except (OSError, RuntimeError, ValueError, KeyError, TypeError) as error:
            raise _refused(path, "/", one_line(str(error))) from error
        yield file


def _inspect(path: Path, group: h5py.h5g.GroupID, seen: set[int], *, where: str = "/") -> None:
    if where.count("/") > _DEEPEST:
        raise _refused(path, where, f"groups nested deeper than {_DEEPEST}")
    for raw in group:
        name = f"{where}{raw.decode(errors='replace').replace('/', '_')}"
        if group.links.get_info(raw).type != h5py.h5l.TYPE_HARD:
            raise _refused(path, name, "a soft or external link")
        found = h5py.h5o.open(group, raw)
        address = h5py.h5o.get_info(found).addr
        if address in seen and not _is_alias(found, raw):
            raise _refused(path, name, "a second link to the same object")
        seen.add(address)
        if isinstance(found, h5py.h5g.GroupID):
            _inspect(path, found, seen, where=f"{name}/")
        elif isinstance(found, h5py.h5d.DatasetID):
            _inspect_dataset(path, found, name)
        else:
            raise _refused(path, name, "neither a group nor a dataset")


def _is_alias(found: h5py.h5g.GroupID | h5py.h5d.DatasetID, raw: bytes) -> bool:
    """Whether a dataset says itself that it is also known under this name."""
    if not isinstance(found, h5py.h5d.DatasetID):
        return False
    told = str(h5py.Dataset(found).attrs.get("aliases", ""))
    return raw.decode(errors="replace") in told.split(",")


def _inspect_dataset(path: Path, dataset: h5py.h5d.DatasetID, name: str) -> None:
    created = dataset.get_create_plist()
    layout = created.get_layout()
    if layout == h5py.h5d.VIRTUAL:
        raise _refused(path, name, "a virtual dataset, which reads other files")
    if layout not in (h5py.h5d.CONTIGUOUS, h5py.h5d.CHUNKED):
        raise _refused(path, name, "a layout that is neither contiguous nor chunked")
    if created.get_external_count():
        raise _refused(path, name, "raw data in an external file")
    kind = dataset.dtype
    if kind.hasobject or kind.kind not in "biufS":
        raise _refused(path, name, f"values of type {kind}, not fixed-size numbers or strings")
    _inspect_size(path, dataset, name)


def _inspect_size(path: Path, dataset: h5py.h5d.DatasetID, name: str) -> None:
    declared = _bytes(dataset.shape, dataset)
    stored, size = dataset.get_storage_size(), path.stat().st_size
    created = dataset.get_create_plist()
    if created.get_layout() == h5py.h5d.CHUNKED:
        # Chunks are decoded whole, so one may not be much larger than the dataset.
        largest = max(declared, _bytes(created.get_chunk(), dataset) - _SMALL_CHUNK)
        if largest > _LARGEST_RATIO * stored or stored > size:
            raise _refused(path, name, f"{largest} bytes declared, {stored} stored")
        return
    available = min(stored, size - (dataset.get_offset() or 0))
    if declared > available:
        raise _refused(path, name, f"{declared} bytes declared, {available} in the file")


def _bytes(shape: tuple[int, ...], dataset: h5py.h5d.DatasetID) -> int:
    # Python integers do not overflow, whatever a hostile shape declares.
    return math.prod(int(length) for length in shape) * int(dataset.dtype.itemsize)


def _refused(path: Path, where: str, cause: str) -> DataIntegrityError:
    return DataIntegrityError(
        f"{path}: {one_line(where, 80)} is refused: {cause}; the file is damaged or was not made "
        "by galaxyds, get it again or build the dataset again",
        file=str(path),
        expected="plain HDF5 with hard links and its own data",
        got=cause,
    )


def image_map(path: Path) -> NDArray[np.float32]:
    """Map the pixels of a build read-only, without copying.

    Parameters
    ----------
    path : pathlib.Path
        ``images.hdf5``.

    Returns
    -------
    numpy.memmap of float32, shape (n, bands, rows, columns)
        Pages are read when they are touched.

    Raises
    ------
    DataIntegrityError
        If the file is refused or ``image`` is not contiguous little-endian float32.
    """
    with safe_open(path) as file:
        shape, offset = _image_place(path, file)
    if not shape[0]:
        return np.empty(shape, dtype="<f4")
    return np.memmap(path, dtype="<f4", mode="r", offset=offset, shape=shape)


def let_go(images: NDArray[np.float32]) -> None:
    """Leave the pages of mapped pixels that were read to the page cache: they count no longer.

    Parameters
    ----------
    images : ndarray of float32
        From :func:`image_map`; anything else is left as it is.
    """
    mapped = getattr(images, "_mmap", None)
    if isinstance(mapped, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
        mapped.madvise(mmap.MADV_DONTNEED)


def _image_place(path: Path, file: h5py.File) -> tuple[tuple[int, ...], int]:
    dataset = file.get(IMAGE)
    if not isinstance(dataset, h5py.Dataset) or dataset.ndim != 4:
        raise _refused(path, IMAGE, "no dataset of four dimensions")
    if dataset.chunks is not None or dataset.dtype != np.dtype("<f4"):
        raise _refused(path, IMAGE, "not contiguous little-endian float32")
    return dataset.shape, dataset.id.get_offset() or 0


def read_columns(path: Path, names: tuple[str, ...] | None = None) -> dict[str, NDArray[Any]]:
    """Read columns of a build; strings come back as Python objects of type ``str``.

    Parameters
    ----------
    path : pathlib.Path
        ``images.hdf5``.
    names : tuple of str, optional
        Which; all by default.

    Returns
    -------
    dict of str to ndarray, shape (n,)
        In the order asked for, else that of the file.

    Raises
    ------
    DataIntegrityError
        If the file is refused or lacks a column.
    """
    with safe_open(path) as file:
        wanted = _own_names(file) if names is None else names
        if missing := [name for name in wanted if name not in file]:
            raise _refused(path, ", ".join(missing), "no such column")
        return {name: _read_column(file[name]) for name in wanted}


def _own_names(file: h5py.File) -> list[str]:
    """Names of the columns, further names of the same values left out."""
    aliases = {
        alias
        for dataset in file.values()
        for alias in str(dataset.attrs.get("aliases", "")).split(",")
    }
    return [name for name in file if name != IMAGE and name not in aliases]


def _read_column(dataset: h5py.Dataset) -> NDArray[Any]:
    values: NDArray[Any] = dataset[()]
    if values.dtype.kind != "S":
        return values
    return np.array([text.decode("utf-8", "replace") for text in values], dtype=object)
