"""``catalog.parquet``: every stored column with NULL where a value is missing.

Written with page checksums and without dictionaries of its own making; read one row group after
the other under a bound, since 17 kB of Parquet can decode to a gigabyte.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from galaxyds.errors import DataIntegrityError, one_line
from galaxyds.store.columns import arrow_type, stored_table

if TYPE_CHECKING:
    from galaxyds.spec import DatasetSpec

ROWS_PER_GROUP = 65_536
_TEXT_BYTES = 256
"""Bytes of text per row and column that a catalogue may hold."""
_LONGEST_TEXT = 4096
"""Bytes of decoded text per row and column above which a file is taken for a bomb."""


def catalog_schema(spec: DatasetSpec) -> pa.Schema:
    """Arrow schema of a build's catalogue, units and descriptions in the fields' metadata."""
    return pa.schema(
        [
            pa.field(
                column.name,
                arrow_type(column),
                metadata={"unit": column.unit, "description": column.description},
            )
            for column in spec.stored_columns()
        ]
    )


def write_catalog(path: Path, table: pa.Table, *, spec: DatasetSpec) -> None:
    """Write the catalogue of a build.

    Parameters
    ----------
    path : pathlib.Path
        A new file.
    table : pyarrow.Table
        One row per object, in object-id order.
    spec : DatasetSpec
        Declares the columns.

    Raises
    ------
    DataIntegrityError
        If a column is missing or does not fit its dtype.
    """
    table = stored_table(table, spec).cast(catalog_schema(spec))
    pq.write_table(
        table,
        path,
        compression="zstd",
        row_group_size=ROWS_PER_GROUP,
        write_page_checksum=True,
        use_dictionary=[c.name for c in spec.stored_columns() if c.dtype == "string"],
    )


def read_catalog(
    path: Path, *, spec: DatasetSpec, rows: int, columns: Sequence[str] | None = None
) -> pa.Table:
    """Read the catalogue of a build under the bound that its declaration gives.

    Parameters
    ----------
    path : pathlib.Path
        ``catalog.parquet``.
    spec : DatasetSpec
        Declares the columns.
    rows : int
        Number of objects that the manifest states.
    columns : sequence of str, optional
        Which columns; all by default.

    Returns
    -------
    pyarrow.Table
        NULL where a value is missing.

    Raises
    ------
    DataIntegrityError
        As :func:`read_batches`.
    """
    texts = sum(column.dtype == "string" for column in spec.stored_columns())
    row_bytes = 16 * len(spec.stored_columns()) + _TEXT_BYTES * texts
    return read_table(path, columns=columns, rows=rows, limit=(1 << 20) + rows * row_bytes)


def read_table(
    path: Path, *, columns: Sequence[str] | None = None, rows: int | None = None, limit: int
) -> pa.Table:
    """Read a Parquet file whole, if it stays under a bound.

    Parameters
    ----------
    path : pathlib.Path
        The file.
    columns : sequence of str, optional
        Which columns; all by default.
    rows : int, optional
        Number of rows that it must have.
    limit : int
        Largest size in memory, in bytes.

    Returns
    -------
    pyarrow.Table
        Its rows.

    Raises
    ------
    DataIntegrityError
        As :func:`read_batches`.
    """
    batches = list(read_batches(path, columns=columns, rows=rows, limit=limit))
    return pa.Table.from_batches(batches, schema=_plain_schema(path, columns))


def read_batches(
    path: Path,
    *,
    columns: Sequence[str] | None = None,
    rows: int | None = None,
    limit: int,
    batch_size: int = 8192,
) -> Iterator[pa.RecordBatch]:
    """Read a Parquet file piece by piece.

    What the file declares is held against ``limit`` before a page is decoded, and what was decoded
    against it after each batch; text stays in its dictionary until its full length is known.

    Parameters
    ----------
    path : pathlib.Path
        The file.
    columns : sequence of str, optional
        Which columns; all by default.
    rows : int, optional
        Number of rows that it must have.
    limit : int
        Largest sum of decoded bytes.
    batch_size : int
        Rows per batch.

    Yields
    ------
    pyarrow.RecordBatch
        Consecutive rows.

    Raises
    ------
    DataIntegrityError
        If it is no Parquet, a page fails its checksum, a column is missing, the number of rows is
        another, or the bound is passed.
    """
    try:
        with _open(path) as file:
            _check_declared(path, file, rows, limit)
            spent = 0
            for batch in file.iter_batches(
                batch_size=batch_size, columns=_known(path, file, columns)
            ):
                plain = _plain(path, batch)
                spent += plain.nbytes
                if spent > limit:
                    raise _refused(path, f"more than {limit} bytes when decoded")
                yield plain
    except (pa.ArrowException, OSError) as error:
        raise _refused(path, one_line(str(error))) from error


def _open(path: Path) -> pq.ParquetFile:
    with pq.ParquetFile(path) as probe:
        text = [f.name for f in probe.schema_arrow if pa.types.is_string(f.type)]
    return pq.ParquetFile(
        path,
        page_checksum_verification=True,
        read_dictionary=text,
        pre_buffer=False,  # it would hold all row groups of a shard at once
    )


def _known(path: Path, file: pq.ParquetFile, columns: Sequence[str] | None) -> list[str] | None:
    if columns is None:
        return None
    if missing := sorted(set(columns) - set(file.schema_arrow.names)):
        raise _refused(path, f"no column {', '.join(missing)}")
    return list(columns)


def _check_declared(path: Path, file: pq.ParquetFile, rows: int | None, limit: int) -> None:
    metadata = file.metadata
    if rows is not None and metadata.num_rows != rows:
        raise _refused(path, f"{metadata.num_rows} rows, not {rows}")
    declared = 0
    for g in range(metadata.num_row_groups):
        group = metadata.row_group(g)
        for c in range(metadata.num_columns):
            chunk = group.column(c)
            # A run-length page of few bytes holds any number of values: count these as well.
            declared += max(chunk.total_uncompressed_size, _width(chunk) * chunk.num_values)
    if declared > limit:
        raise _refused(path, f"{declared} bytes declared, {limit} expected at most")


def _width(chunk: pq.ColumnChunkMetaData) -> int:
    return {"BOOLEAN": 1, "INT32": 4, "FLOAT": 4}.get(chunk.physical_type, 8)


def _plain(path: Path, batch: pa.RecordBatch) -> pa.RecordBatch:
    """Decode dictionaries, after a look at the length that each value would have."""
    arrays = []
    for array in batch.columns:
        if isinstance(array, pa.DictionaryArray):
            longest = max((len(text or "") for text in array.dictionary.to_pylist()), default=0)
            if longest > _LONGEST_TEXT:
                raise _refused(path, f"text of {longest} characters")
            array = array.dictionary_decode()  # noqa: PLW2901
        arrays.append(array)
    return pa.RecordBatch.from_arrays(arrays, names=batch.schema.names)


def _plain_schema(path: Path, columns: Sequence[str] | None) -> pa.Schema:
    schema = pq.read_schema(path).remove_metadata()
    fields = [schema.field(name) for name in (schema.names if columns is None else columns)]
    return pa.schema([field.remove_metadata() for field in fields])


def _refused(path: Path, cause: str) -> DataIntegrityError:
    return DataIntegrityError(
        f"{path} is refused: {cause}; the file is damaged or was not made by galaxyds, get it "
        "again or build the dataset again",
        file=str(path),
        expected="Parquet within its bounds",
        got=cause,
    )
