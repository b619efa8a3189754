"""The labels of the published cutouts: from the archive itself, or from a table beside it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from galaxyds.errors import DataIntegrityError, one_line
from galaxyds.store.npz import NpyHeader, NpzArray, Place, read_npy_header, refused
from galaxyds.store.p19.names import LABELS, companions, plain

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

_BLOCK_BYTES = 4 << 20


class Labels(Protocol):
    """One row of labels per cutout."""

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the labels, in order."""

    @property
    def rows(self) -> int:
        """Number of rows."""

    @property
    def place(self) -> Place:
        """Where they are, for messages."""

    def read(
        self, narrowed: Mapping[str, str], *, rows: NDArray[np.bool_] | None = None
    ) -> dict[str, NDArray[Any]]:
        """Read some of the labels.

        Parameters
        ----------
        narrowed : mapping of str to str
            By label, the dtype to which floating-point values are brought at once; empty to keep
            them as they are.
        rows : ndarray of bool, shape (n,), optional
            Which rows; all by default.

        Returns
        -------
        dict of str to ndarray, shape (k,)
            Numbers, booleans, or texts (kinds ``S`` and ``U``), in native byte order, in the order
            of the file.
        """


def open_labels(path: Path, arrays: Mapping[str, NpzArray], *, bring: str = "") -> Labels:
    """Find the labels of an archive: a table beside it goes before those that it holds.

    Parameters
    ----------
    path : pathlib.Path
        The archive.
    arrays : mapping of str to NpzArray
        Its arrays; must stay open.
    bring : str
        How such a table gets beside the archive, for messages.

    Returns
    -------
    Labels
        Nothing but headers has been read.

    Raises
    ------
    DataIntegrityError
        If there are none, they are Python objects, or not one row per cutout.
    """
    for name in companions(path.name):
        beside = path.with_name(name)
        if beside.exists():
            return _NpyLabels(beside) if beside.suffix == ".npy" else _TableLabels(beside)
    if LABELS not in arrays:
        told = ", ".join(one_line(name, 40) for name in arrays) or "none"
        raise refused(Place(path), f"there is no array {LABELS}, only {told}")
    array = arrays[LABELS]
    if array.dtype.hasobject:
        raise _pickled(path, bring)
    _check_fields(array.where, array.header)
    return _NpzLabels(array)


def _pickled(path: Path, bring: str) -> DataIntegrityError:
    name, file = companions(path.name)[0], Place(path).file
    return DataIntegrityError(
        f"{LABELS} in {file} are Python objects: a pickle, which can run any code, so galaxyds "
        'does not read it; where you trust the file, run python -c "import numpy, pandas; '
        f"pandas.DataFrame(numpy.load('{path.name}', allow_pickle=True)['{LABELS}'])"
        f".to_parquet('{name}')\", {bring or f'put {name} beside it'}, and run the same command "
        "again",
        file=str(file),
        expected="a record array of numbers and texts",
        got="Python objects",
    )


def _check_fields(where: Place, header: NpyHeader) -> None:
    if header.dtype.names is None or len(header.shape) != 1:
        raise refused(where, f"an array {header.shape} of {header.dtype.str} is no table")


class _Records(ABC):
    """A structured array in blocks of rows."""

    def __init__(self, header: NpyHeader, place: Place) -> None:
        self.header, self.place = header, place
        fields: Mapping[str, Any] = header.dtype.fields or {}
        # A field that is itself an array, or of another kind, is no column.
        self._fields = {n: f[0] for n, f in fields.items() if f[0].kind in "biufSU"}

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self._fields)

    @property
    def rows(self) -> int:
        return self.header.shape[0]

    def read(
        self, narrowed: Mapping[str, str], *, rows: NDArray[np.bool_] | None = None
    ) -> dict[str, NDArray[Any]]:
        count = self.rows if rows is None else int(np.count_nonzero(rows))
        dtypes = {name: _native(self._fields[name], to) for name, to in narrowed.items()}
        found = {name: np.empty(count, dtype=dtype) for name, dtype in dtypes.items()}
        first = done = 0
        for block in self._blocks(max(1, _BLOCK_BYTES // self.header.row_bytes)):
            kept = slice(None) if rows is None else rows[first : first + len(block)]
            first, place = first + len(block), done
            for name, values in found.items():
                some = block[name][kept]
                done = place + len(some)
                with np.errstate(over="ignore"):
                    values[place:done] = some
        return found

    @abstractmethod
    def _blocks(self, rows: int) -> Iterator[NDArray[Any]]:
        """Yield the array from first row to last."""


def _native(dtype: np.dtype[Any], narrowed: str) -> np.dtype[Any]:
    if dtype.kind == "f" and narrowed.startswith("float"):
        return np.dtype(narrowed)
    return dtype.newbyteorder("=")


class _NpzLabels(_Records):
    """Labels in the archive."""

    def __init__(self, array: NpzArray) -> None:
        super().__init__(array.header, array.where)
        self.array = array

    def _blocks(self, rows: int) -> Iterator[NDArray[Any]]:
        return self.array.blocks(rows)


class _NpyLabels(_Records):
    """Labels in an ``.npy`` file of their own."""

    def __init__(self, path: Path) -> None:
        with path.open("rb") as stream:
            header = read_npy_header(stream, Place(path))
        if header.dtype.hasobject:
            raise refused(Place(path), "it holds Python objects: save plain dtypes")
        _check_fields(Place(path), header)
        if path.stat().st_size != header.bytes + header.shape[0] * header.row_bytes:
            raise refused(Place(path), "its size is not that of its array")
        super().__init__(header, Place(path))
        self.path = path

    def _blocks(self, rows: int) -> Iterator[NDArray[Any]]:
        with self.path.open("rb") as stream:
            stream.seek(self.header.bytes)
            for first in range(0, self.rows, rows):
                count = min(rows, self.rows - first)
                yield np.fromfile(stream, dtype=self.header.dtype, count=count)


class _TableLabels:
    """Labels in a Parquet or CSV file."""

    def __init__(self, path: Path) -> None:
        import pyarrow as pa

        self.path, self.place = path, Place(path)
        try:
            self.names, self.rows = self._parquet() if self._is_parquet else self._csv()
        except (pa.ArrowException, OSError, ValueError) as error:
            raise refused(Place(path), one_line(str(error), 120)) from error

    @property
    def _is_parquet(self) -> bool:
        return self.path.suffix == ".parquet"

    def _parquet(self) -> tuple[tuple[str, ...], int]:
        import pyarrow.parquet as pq

        file = pq.ParquetFile(self.path)
        return tuple(file.schema_arrow.names), int(file.metadata.num_rows)

    def _csv(self) -> tuple[tuple[str, ...], int]:
        import pyarrow.csv as pc

        with pc.open_csv(self.path) as reader:
            names = tuple(reader.schema.names)
        return names, self._table(names[:1]).num_rows

    def _table(self, names: tuple[str, ...]) -> pa.Table:
        import pyarrow as pa
        import pyarrow.csv as pc
        import pyarrow.parquet as pq

        if self._is_parquet:
            return pq.read_table(self.path, columns=list(names), partitioning=None)
        # Ids exceed what a CSV reader takes for an integer: read as text, no digit is lost.
        ids = {name: pa.string() for name in names if plain(name).endswith("objid")}
        options = pc.ConvertOptions(include_columns=list(names), column_types=ids)
        return pc.read_csv(
            self.path, read_options=pc.ReadOptions(use_threads=False), convert_options=options
        )

    def read(
        self, narrowed: Mapping[str, str], *, rows: NDArray[np.bool_] | None = None
    ) -> dict[str, NDArray[Any]]:
        import pyarrow as pa

        if not narrowed:
            return {}
        table = self._table(tuple(narrowed))
        if rows is not None:
            table = table.filter(pa.array(rows))
        return {name: _numpy(table.column(name), to) for name, to in narrowed.items()}


def _numpy(values: pa.ChunkedArray, narrowed: str) -> NDArray[Any]:
    import pyarrow as pa

    if pa.types.is_binary(values.type):  # pandas writes texts of numpy so
        values = values.cast(pa.string())
    if pa.types.is_string(values.type) or pa.types.is_large_string(values.type):
        return np.array(values.fill_null("").to_pylist(), dtype=str)
    found: NDArray[Any] = values.to_numpy()
    if found.dtype.kind == "O":  # booleans or numbers with gaps, or no values of ours at all
        return np.full(len(found), "", dtype=str)
    return found.astype(_native(found.dtype, narrowed), copy=False)
