"""Columns of published files: one file's, and one column over all of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np

from galaxyds.errors import one_line
from galaxyds.spec import SPLITS, Column
from galaxyds.store.columns import arrow_type
from galaxyds.store.foreign import Difference, converted, dtype_name, missing_values
from galaxyds.store.galaxiesml.names import ID, PUBLISHED_COLUMNS, refused
from galaxyds.store.galaxiesml.pixels import published_image
from galaxyds.store.hdf5 import IMAGE

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

_LONGEST_TEXT = 4096


class PublishedFile:
    """One published file: its rows, its pixels' dtype, its columns as they are.

    Parameters
    ----------
    path : pathlib.Path
        For messages.
    file : h5py.File
        Opened by :func:`galaxyds.store.hdf5.safe_open`.
    shape : (int, int, int)
        Bands, rows, columns of a cutout.

    Raises
    ------
    DataIntegrityError
        If ``image`` has another shape, or a dataset another length.
    """

    def __init__(self, path: Path, file: h5py.File, shape: tuple[int, int, int]) -> None:
        self.path, self.file = path, file
        image = published_image(path, file, shape)
        self.rows = int(image.shape[0])
        self.pixels = dtype_name(image.dtype)
        self.columns = {name: file[name] for name in file if name != IMAGE}
        for name, dataset in self.columns.items():
            self._check(name, dataset)

    def _check(self, name: str, dataset: h5py.Dataset | h5py.Group) -> None:
        if not isinstance(dataset, h5py.Dataset):
            raise refused(self.path, f"{one_line(name, 60)} is a group")
        if dataset.shape not in ((self.rows,), (self.rows, 1)):
            raise refused(
                self.path,
                f"{one_line(name, 60)} has shape {dataset.shape}, {IMAGE} has {self.rows} rows",
            )
        if dataset.dtype.kind == "S" and dataset.dtype.itemsize > _LONGEST_TEXT:
            raise refused(
                self.path, f"{one_line(name, 60)} has texts of {dataset.dtype.itemsize} bytes"
            )

    def ids(self) -> NDArray[np.int64]:
        """Return the object ids, in the order of the file.

        Raises
        ------
        DataIntegrityError
            If there are none, or they are no integers.
        """
        dataset = self.columns.get(ID)
        if dataset is None:
            raise refused(self.path, f"there is no {ID}")
        if dataset.dtype.kind not in "iu":
            raise refused(self.path, f"{ID} is {dataset.dtype}: its last digits are lost")
        ids: NDArray[np.int64] = dataset[()].reshape(-1).astype(np.int64)
        return ids


class GatheredColumn:
    """One column over the three files, in the order of the table.

    Parameters
    ----------
    column : Column
        What is wanted.
    files : sequence of PublishedFile
        Where from.
    published : str
        Its name there.
    place : ndarray of int64, shape (n, 2)
        For each row of the table: which file, which row in it.

    Attributes
    ----------
    values : ndarray, shape (n,), or None
        Of the column's dtype; None if a file lacks it.
    valid : ndarray of bool, shape (n,)
        Where ``values`` holds one.
    """

    def __init__(
        self,
        column: Column,
        files: Sequence[PublishedFile],
        published: str,
        place: NDArray[np.int64],
    ) -> None:
        self.column, self.published = column, published
        self.lacking = [file.path.name for file in files if published not in file.columns]
        self.dtypes: set[str] = set()
        self.values: NDArray[Any] | None = None
        self.valid = np.zeros(len(place), dtype=bool)
        self.unfit = self.nan = 0
        if not self.lacking:
            self._read(files, place)

    def _read(self, files: Sequence[PublishedFile], place: NDArray[np.int64]) -> None:
        parts = [file.columns[self.published][()].reshape(-1) for file in files]
        self.dtypes = {dtype_name(part.dtype) for part in parts}
        starts = np.cumsum([0, *(len(part) for part in parts)])[:-1]
        raw = np.concatenate(parts)[starts[place[:, 0]] + place[:, 1]]
        self.values, fits = converted(raw, self.column.dtype)
        self.unfit = int(len(fits) - np.count_nonzero(fits))
        missing = missing_values(self.values, self.column)
        if not self.column.nullable and self.values.dtype.kind == "f":
            self.nan = int(np.count_nonzero(np.isnan(self.values)))
        self.valid = fits & ~missing

    def differences(self) -> Iterator[Difference]:
        """Yield where the column is not as declared."""
        name, dtype = self.published, self.column.dtype
        if self.lacking:
            # A column of ours that was never published is no fault of the files.
            if name in PUBLISHED_COLUMNS or len(self.lacking) < len(SPLITS):
                got = _missing_in(self.lacking)
                yield Difference(what=f"column {name}", expected=dtype, got=got)
            return
        if self.dtypes != {dtype}:
            got = " or ".join(sorted(self.dtypes))
            yield Difference(what=f"dtype of {name}", expected=dtype, got=got)
        if self.unfit:
            what = f"values of {name} that are no {dtype}"
            yield Difference(what=what, expected="0", got=f"{self.unfit}, taken as missing")
        if self.nan:
            yield Difference(what=f"NaN in {name}", expected="0", got=str(self.nan))

    def array(self) -> pa.Array:
        """Return the values as Arrow, NULL where there is none."""
        import pyarrow as pa

        kind = arrow_type(self.column)
        if self.values is None:
            return pa.nulls(len(self.valid), kind)
        return pa.array(self.values, type=kind, mask=~self.valid, from_pandas=False)


def _missing_in(names: Sequence[str]) -> str:
    return "no such column" if len(names) == len(SPLITS) else f"none in {', '.join(names)}"
