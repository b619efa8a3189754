"""The file format of predictions: Parquet with ids, estimates and PDFs, made by whomever."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from galaxyds.errors import DataIntegrityError, UsageError, one_line
from galaxyds.store.files import publishing
from galaxyds_models.objects import Floats, Ids
from galaxyds_models.tables.reading import first_bytes

if TYPE_CHECKING:
    import pyarrow as pa

EDGES_KEY = b"galaxyds.edges"
"""Key of the schema's metadata that holds the bin edges of ``pdf``, a JSON list."""
_PATTERN = "z."
_SHOWN = 3
_TOLERANCE = 1e-3  # of the sum of a PDF, as galaxyds.metrics has it


@dataclass(frozen=True, kw_only=True)
class Predictions:
    """Estimates of N objects; a Parquet file has a column per attribute.

    Attributes
    ----------
    object_id : ndarray of int64, shape (N,)
        In any order, each once.
    z : ndarray of float32, shape (N,)
        Point estimates.
    sigma : ndarray of float32, shape (N,), or None
        Standard errors, of a Gaussian around ``z`` where there is no ``pdf``.
    pdf : ndarray of float32, shape (N, bins), or None
        Probability of each bin.
    edges : ndarray of float64, shape (bins + 1,), or None
        Of the bins, rising.
    patterns : dict of str to ndarray of float32, shape (N,)
        Point estimates from other patterns of inputs: columns ``z.PATTERN``.
    """

    object_id: Ids
    z: Floats
    sigma: Floats | None = None
    pdf: Floats | None = None
    edges: NDArray[np.float64] | None = None
    patterns: dict[str, Floats] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.object_id)

    def take(self, indices: NDArray[np.integer]) -> Predictions:
        """Return the predictions at ``indices``, in that order."""
        names = ("object_id", "z", "sigma", "pdf")
        columns: dict[str, NDArray[Any] | None] = {name: getattr(self, name) for name in names}
        taken: dict[str, Any] = {k: v[indices] for k, v in columns.items() if v is not None}
        patterns = {name: values[indices] for name, values in self.patterns.items()}
        return replace(self, patterns=patterns, **taken)


def write_predictions(path: Path, predictions: Predictions) -> None:
    """Write predictions as Parquet, all or nothing.

    Parameters
    ----------
    path : pathlib.Path
        Replaced if it is there.
    predictions : Predictions
        What to write.

    Raises
    ------
    UsageError
        If they would be refused on reading: NaN, repeated ids, a PDF without edges.
    StorageError
        If they cannot be written.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    _check(predictions, str(path))
    columns: dict[str, Any] = {"object_id": predictions.object_id, "z": predictions.z}
    if predictions.sigma is not None:
        columns["sigma"] = predictions.sigma
    columns |= {f"{_PATTERN}{name}": values for name, values in predictions.patterns.items()}
    metadata = {}
    if predictions.pdf is not None and predictions.edges is not None:
        flat = pa.array(predictions.pdf.astype(np.float32).ravel())
        columns["pdf"] = pa.FixedSizeListArray.from_arrays(flat, predictions.pdf.shape[1])
        metadata[EDGES_KEY] = msgspec.json.encode(predictions.edges.astype(np.float64).tolist())
    table = pa.table(columns).replace_schema_metadata(metadata)
    with publishing(path) as temporary:
        pq.write_table(table, temporary, compression="zstd", write_page_checksum=True)


def read_predictions(path: Path) -> Predictions:
    """Read predictions from a Parquet file, made by whomever.

    Columns: ``object_id`` (whole numbers), ``z``, and optionally ``sigma``, ``z.PATTERN`` and
    ``pdf`` (a list of one length per row; the edges of its bins stand in the schema's metadata,
    key ``galaxyds.edges``, as a JSON list).  Other columns are not read.

    Parameters
    ----------
    path : pathlib.Path
        The file.

    Returns
    -------
    Predictions
        In the file's order.

    Raises
    ------
    UsageError
        If a column is missing, of the wrong type, holds NaN, ids were rounded or occur twice.
    DataIntegrityError
        If it is no Parquet, or damaged.
    """
    head = first_bytes(path, 4)
    if head != b"PAR1":
        raise _no_parquet(path, "it does not begin as one")
    table = _read_table(path)
    pdf = _pdf(table, path)
    read = Predictions(
        object_id=_ids(table, path),
        z=_floats(table, "z", path),
        sigma=_floats(table, "sigma", path) if "sigma" in table.column_names else None,
        pdf=pdf,
        edges=None if pdf is None else _edges(table, path),
        patterns={
            name.removeprefix(_PATTERN): _floats(table, name, path)
            for name in table.column_names
            if name.startswith(_PATTERN)
        },
    )
    _check(read, str(path))
    return read


def _read_table(path: Path) -> pa.Table:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        schema = pq.read_schema(path)
        _check_columns(schema.names, path)
        wanted = [n for n in schema.names if n in ("object_id", "z", "sigma", "pdf")]
        wanted += [n for n in schema.names if n.startswith(_PATTERN)]
        # ParquetFile and not read_table, which takes a name for a folder or a URL.
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            return file.read(columns=wanted).replace_schema_metadata(schema.metadata)
    except (pa.ArrowException, OSError) as error:
        raise _no_parquet(path, one_line(str(error))) from error


def _check_columns(names: Sequence[str], path: Path) -> None:
    for name in ("object_id", "z"):
        if name not in names:
            raise UsageError(
                f"{path} has no column '{name}' (it has: {one_line(', '.join(names)) or 'none'}): "
                "predictions need object_id (int64) and z (float)",
                column=name,
            )
        if names.count(name) > 1:
            raise UsageError(f"{path} has {names.count(name)} columns '{name}': leave one")


def _no_parquet(path: Path, cause: str) -> DataIntegrityError:
    return DataIntegrityError(
        f"{path} is no readable Parquet file ({cause}): write predictions as Parquet, in pandas "
        "with DataFrame.to_parquet",
        file=str(path),
        expected="Parquet",
        got=cause,
    )


def _ids(table: pa.Table, path: Path) -> Ids:
    """Read ids, refusing whatever may have lost digits."""
    import pyarrow as pa

    column = table.column("object_id")
    if pa.types.is_floating(column.type):
        raise UsageError(
            f"{path}: object_id is {column.type}, which has {_digits(column.type)} digits where "
            "ids of surveys have up to 19, so that they may name other objects: write object_id "
            "as int64 (in pandas an integer column becomes a float where a value is missing)",
            column="object_id",
        )
    if not pa.types.is_integer(column.type):
        raise UsageError(f"{path}: object_id is {column.type}, not int64: convert it with "
                         "int(), never by way of a float", column="object_id")  # fmt: skip
    if column.null_count:
        raise UsageError(f"{path}: {column.null_count} rows have no object_id", column="object_id")
    try:
        return np.asarray(column.cast(pa.int64()).to_numpy(), dtype=np.int64)
    except pa.ArrowInvalid as error:
        raise UsageError(f"{path}: object_id does not fit int64: {one_line(str(error))}") from error


def _digits(kind: pa.DataType) -> int:
    return {"float": 7, "halffloat": 3}.get(str(kind), 15)


def _floats(table: pa.Table, name: str, path: Path) -> Floats:
    import pyarrow as pa

    column = table.column(name)
    if not (pa.types.is_floating(column.type) or pa.types.is_integer(column.type)):
        raise UsageError(f"{path}: column {name} is {column.type}, not a number", column=name)
    return np.asarray(column.to_numpy(zero_copy_only=False), dtype=np.float32)


def _pdf(table: pa.Table, path: Path) -> Floats | None:
    """Read PDFs, float32 (N, bins); lists of different lengths are refused."""
    import pyarrow as pa

    if "pdf" not in table.column_names:
        return None
    column = table.column("pdf").combine_chunks()
    kind = column.type
    is_list = pa.types.is_fixed_size_list(kind) or pa.types.is_list(kind)
    if not (is_list or pa.types.is_large_list(kind)) or not pa.types.is_floating(kind.value_type):
        raise UsageError(f"{path}: column pdf is {kind}, not a list of floats", column="pdf")
    flat = np.asarray(column.flatten().to_numpy(zero_copy_only=False), dtype=np.float32)
    lengths = set(column.value_lengths().to_pylist())
    if len(lengths) != 1 or column.null_count:
        raise UsageError(f"{path}: the rows of pdf have no common length: give every object the "
                         "same bins", column="pdf")  # fmt: skip
    return flat.reshape(len(column), int(lengths.pop()))


def _edges(table: pa.Table, path: Path) -> NDArray[np.float64]:
    text = (table.schema.metadata or {}).get(EDGES_KEY)
    if text is None:
        raise UsageError(
            f"{path} has a column pdf, but the metadata of its schema has no "
            f"{EDGES_KEY.decode()}: put the bin edges there, as a JSON list of bins + 1 numbers, "
            "or leave pdf out",
            column="pdf",
        )
    try:
        return np.array(msgspec.json.decode(text, type=list[float]), dtype=np.float64)
    except msgspec.MsgspecError as error:
        raise UsageError(
            f"{path}: {EDGES_KEY.decode()} is no JSON list of numbers: {one_line(str(error))}"
        ) from error


def _check(predictions: Predictions, path: str) -> None:
    """Refuse predictions that cannot be scored.

    Raises
    ------
    UsageError
        If there are none, values are not finite, ids occur twice, or PDF and edges do not fit.
    """
    if not len(predictions):
        raise UsageError(f"{path}: there are no predictions")
    columns = {"z": predictions.z, "sigma": predictions.sigma}
    columns |= {f"{_PATTERN}{name}": values for name, values in predictions.patterns.items()}
    for name, values in columns.items():
        if values is not None:
            _check_finite(values, name, path, len(predictions))
    if predictions.sigma is not None and (predictions.sigma <= 0).any():
        raise UsageError(f"{path}: {(predictions.sigma <= 0).sum():,} values of sigma are not "
                         "above 0", column="sigma")  # fmt: skip
    ids, counts = np.unique(predictions.object_id, return_counts=True)
    if (counts > 1).any():
        raise UsageError(
            f"{path}: {(counts > 1).sum():,} object ids occur more than once "
            f"({some(ids[counts > 1])}): give one prediction per object",
            column="object_id",
        )
    if predictions.pdf is not None:
        _check_pdf(predictions.pdf, predictions.edges, path, len(predictions))


def _check_finite(values: NDArray[Any], name: str, path: str, rows: int) -> None:
    if len(values) != rows:
        raise UsageError(f"{path}: {len(values)} values of {name} for {rows} objects", column=name)
    bad = np.flatnonzero(~np.isfinite(values))
    if bad.size:
        raise UsageError(
            f"{path}: {bad.size:,} of {rows:,} values of {name} are NaN or infinite (rows "
            f"{some(bad + 1)}): predict every object",
            column=name,
            count=bad.size,
        )


def _check_pdf(pdf: Floats, edges: NDArray[np.float64] | None, path: str, rows: int) -> None:
    if edges is None or pdf.shape != (rows, len(edges) - 1):
        given = "no edges" if edges is None else f"{len(edges)} edges"
        raise UsageError(f"{path}: pdf has the shape {pdf.shape} and {given}; {rows} objects in n "
                         "bins need (objects, n) and n + 1 edges", column="pdf")  # fmt: skip
    if not (np.isfinite(edges).all() and (np.diff(edges) > 0).all()):
        raise UsageError(f"{path}: the bin edges of pdf do not rise", column="pdf")
    total = pdf.sum(axis=1, dtype=np.float64)
    bad = np.flatnonzero(
        ~np.isfinite(total) | (pdf < 0).any(axis=1) | (np.abs(total - 1) > _TOLERANCE)
    )
    if bad.size:
        raise UsageError(
            f"{path}: {bad.size:,} of {rows:,} PDFs are no probabilities (rows {some(bad + 1)}: "
            f"sum {total[bad[0]]:.4g}): values are probabilities of bins, not densities, and sum "
            "to 1",
            column="pdf",
        )


def some(values: NDArray[Any]) -> str:
    """Write the first few values, for a message."""
    more = ", ..." if len(values) > _SHOWN else ""
    return ", ".join(str(value) for value in values[:_SHOWN]) + more
