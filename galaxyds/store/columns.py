"""Columns of a build as numpy arrays, under one rule for values that are missing.

``catalog.parquet`` keeps NULL.  HDF5 and the hub's Parquet cannot, or must not: there a missing
float is NaN, a missing integer the sentinel that the spec declares, a missing string is empty.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from galaxyds.errors import DataIntegrityError, one_line

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

    from galaxyds.spec import Column, DatasetSpec

_INTEGERS = ("int8", "int16", "int32", "int64", "uint64")


def arrow_type(column: Column) -> pa.DataType:
    """Arrow type of a column's values."""
    import pyarrow as pa

    names = {"bool": pa.bool_(), "string": pa.string()}
    return names.get(column.dtype) or pa.type_for_alias(column.dtype)


def stored_table(table: pa.Table, spec: DatasetSpec) -> pa.Table:
    """Bring a table to the stored columns: their order, their types, sorted and unique ids.

    Parameters
    ----------
    table : pyarrow.Table
        One row per object.
    spec : DatasetSpec
        Declares the columns; columns that it does not store are left out.

    Returns
    -------
    pyarrow.Table
        NULL where a value is missing.

    Raises
    ------
    DataIntegrityError
        If a column is missing, cannot be cast without loss, or ids are not increasing.
    """
    import pyarrow as pa

    columns = spec.stored_columns()
    if missing := [c.name for c in columns if c.name not in table.column_names]:
        raise DataIntegrityError(f"{spec.name}: the table lacks the columns {', '.join(missing)}")
    try:
        arrays = [table.column(c.name).cast(arrow_type(c)) for c in columns]
    except pa.ArrowInvalid as error:
        cause = one_line(str(error))
        raise DataIntegrityError(
            f"{spec.name}: a column does not fit its dtype: {cause}"
        ) from error
    result = pa.table(arrays, names=[c.name for c in columns])
    ids = result.column(spec.object_id).to_numpy()
    if np.any(ids[1:] <= ids[:-1]):
        raise DataIntegrityError(f"{spec.name}: {spec.object_id} is not unique and increasing")
    return result


def to_numpy(values: pa.ChunkedArray, column: Column) -> NDArray[Any]:
    """Values of a column with NULL replaced under the module's rule.

    Parameters
    ----------
    values : pyarrow.ChunkedArray
        Of the column's Arrow type.
    column : Column
        Its declaration.

    Returns
    -------
    ndarray, shape (n,)
        Of the column's dtype; strings are UTF-8 ``S`` of the longest length.

    Raises
    ------
    DataIntegrityError
        If an integer or boolean is missing and the spec declares no sentinel.
    """
    if column.dtype == "string":
        encoded = [text.encode() for text in values.fill_null("").to_pylist()]
        return np.array(encoded, dtype=f"S{max(map(len, encoded), default=0) or 1}")
    if values.null_count:
        values = values.fill_null(fill_value(column))
    return np.ascontiguousarray(values.to_numpy(), dtype=column.dtype)


def fill_value(column: Column) -> float | int:
    """Return what stands for a missing value of a column outside of ``catalog.parquet``.

    Raises
    ------
    DataIntegrityError
        If the column can hold no such value.
    """
    if column.dtype.startswith("float"):
        return float("nan")
    if column.dtype in _INTEGERS and column.sentinel is not None:
        return int(column.sentinel)
    raise DataIntegrityError(
        f"column {column.name} has missing values, but its dtype {column.dtype} has no sentinel",
        column=column.name,
    )


def filled_table(table: pa.Table, spec: DatasetSpec) -> pa.Table:
    """Return a stored table without NULL: what HDF5 and the hub hold.

    Raises
    ------
    DataIntegrityError
        If a value is missing where nothing can stand for it.
    """
    import pyarrow as pa

    arrays = []
    for column in spec.stored_columns():
        values = table.column(column.name).combine_chunks()
        if values.null_count:
            fill = "" if column.dtype == "string" else fill_value(column)
            values = values.fill_null(pa.scalar(fill, values.type))
        arrays.append(values)
    return pa.table(arrays, names=[c.name for c in spec.stored_columns()])
