"""Tables that archives send: CSV to text columns, text or typed columns to the declared dtypes."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from galaxyds.errors import ArchiveError, one_line
from galaxyds.spec import Column

_TYPES: dict[str, Any] = {
    "bool": pa.bool_(),
    "int8": pa.int8(),
    "int16": pa.int16(),
    "int32": pa.int32(),
    "int64": pa.int64(),
    "uint64": pa.uint64(),
    "float32": pa.float32(),
    "float64": pa.float64(),
    "string": pa.string(),
}
_INTEGER = r"^-?[0-9]+$"


def schema(columns: Sequence[Column]) -> pa.Schema:
    """Arrow schema of columns, by their galaxyds names."""
    return pa.schema([(column.name, _TYPES[column.dtype]) for column in columns])


def read_csv(text: bytes, *, service: str) -> pa.Table:
    """Read a CSV with a header line into columns of text; an empty cell is an empty text.

    Parameters
    ----------
    text : bytes
        Header and rows, every line ended by a newline.
    service : str
        For messages.

    Returns
    -------
    pyarrow.Table
        All columns are strings.

    Raises
    ------
    ArchiveError
        If lines have different numbers of fields, or quotes that swallow lines.
    """
    header, _, rows = text.partition(b"\n")
    names = [name.strip() for name in header.decode("utf-8", "replace").split(",")]
    if len(set(names)) != len(names) or not all(names):
        raise _nonsense(service, f"its header line is '{one_line(','.join(names), 120)}'")
    lines = rows.count(b"\n")
    if lines == 0:
        return pa.table({name: pa.array([], pa.string()) for name in names})
    try:
        table = pyarrow.csv.read_csv(
            io.BytesIO(rows),
            read_options=pyarrow.csv.ReadOptions(column_names=names, use_threads=False),
            parse_options=pyarrow.csv.ParseOptions(ignore_empty_lines=False),
            convert_options=pyarrow.csv.ConvertOptions(
                column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False
            ),
        )
    except pa.ArrowInvalid as error:
        raise _nonsense(service, one_line(str(error), 160)) from None
    if table.num_rows != lines:
        raise _nonsense(service, f"{lines} lines hold {table.num_rows} rows: broken quotes")
    return table


def conform(
    table: pa.Table, columns: Sequence[Column], names: Sequence[str], *, service: str
) -> pa.Table:
    """Give an answer the declared names and dtypes.

    Integers never pass through floating point.  In nullable columns the sentinel, NaN, NULL and an
    empty cell become NULL; elsewhere a missing or unreadable value is an error that names it.

    Parameters
    ----------
    table : pyarrow.Table
        Columns of text, or typed.
    columns : sequence of Column
        What was asked for.
    names : sequence of str
        Names that the answer's columns must bear, in order (letter case aside).
    service : str
        For messages.

    Returns
    -------
    pyarrow.Table
        With :func:`schema`.

    Raises
    ------
    ArchiveError
        If the answer has other columns or values that cannot be.
    """
    got = [name.lower() for name in table.column_names]
    if got != [name.lower() for name in names]:
        raise _nonsense(service, f"columns {one_line(', '.join(table.column_names), 120)} came, "
                        f"{one_line(', '.join(names), 120)} were asked")  # fmt: skip
    arrays = [
        _conformed(table.column(place), column, service) for place, column in enumerate(columns)
    ]
    return pa.Table.from_arrays(arrays, schema=schema(columns))


def _conformed(values: pa.ChunkedArray, column: Column, service: str) -> pa.ChunkedArray:
    array = values.combine_chunks() if values.num_chunks != 1 else values.chunk(0)
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    if pa.types.is_decimal(array.type) or pa.types.is_large_string(array.type):
        array = array.cast(pa.string())
    if pa.types.is_string(array.type):
        array = _parsed(array, column, service)
    else:
        array = _cast(array, column, service)
    if column.dtype.startswith("float"):
        array = pc.if_else(pc.is_nan(array), None, array)
    if column.nullable and column.sentinel is not None:
        array = _without(array, column)
    if array.null_count and not column.nullable:
        raise _nonsense(service, f"column {column.name} ({column.archive}) is empty in "
                        f"{array.null_count} rows, and it is declared never to be")  # fmt: skip
    return array


def _parsed(array: pa.Array, column: Column, service: str) -> pa.Array:
    text = pc.utf8_trim_whitespace(array)
    text = pc.if_else(pc.equal(text, ""), None, text)
    if column.dtype == "string":
        return text
    if "int" in column.dtype:
        if column.nullable and column.sentinel is not None:
            # -9999 is no uint64: it has to go before the text becomes a number.
            sentinel = f"{column.sentinel:.0f}"
            text = pc.if_else(pc.is_in(text, pa.array([sentinel, f"{sentinel}.0"])), None, text)
        odd = pc.invert(pc.match_substring_regex(text, _INTEGER))
        if pc.any(odd).as_py():
            raise _bad_value(service, column, text.filter(pc.fill_null(odd, False))[0].as_py())
    return _cast(text, column, service)


def _cast(array: pa.Array, column: Column, service: str) -> pa.Array:
    target = _TYPES[column.dtype]
    if "int" in column.dtype and pa.types.is_floating(array.type):
        raise _nonsense(service, f"column {column.name} ({column.archive}) came as floating point; "
                        f"as {column.dtype} it may have lost digits")  # fmt: skip
    try:
        return array.cast(target)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        raise _bad_value(service, column, _first_bad(array, target)) from None


def _first_bad(array: pa.Array, target: pa.DataType) -> object:
    for value in array:
        try:
            value.cast(target)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
            return value.as_py()
    return array.type


def _without(array: pa.Array, column: Column) -> pa.Array:
    try:
        sentinel = pa.scalar(column.sentinel).cast(array.type)
    except pa.ArrowInvalid:
        return array  # the type cannot hold the sentinel
    return pc.if_else(pc.equal(array, sentinel), None, array)


def _bad_value(service: str, column: Column, value: object) -> ArchiveError:
    return _nonsense(
        service,
        f"column {column.name} ({column.archive}) holds '{one_line(str(value), 60)}', "
        f"which is no {column.dtype}",
    )


def _nonsense(service: str, what: str) -> ArchiveError:
    return ArchiveError(
        f"{service} answers with a table that cannot be right: {what}",
        service=service, url="", status=200, answer=what,
    )  # fmt: skip
