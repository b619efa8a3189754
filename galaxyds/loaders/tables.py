"""The catalogue of a dataset as pandas, Arrow or astropy table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from galaxyds.errors import UsageError
from galaxyds.store.parquet import read_catalog

if TYPE_CHECKING:
    from astropy.table import QTable
    from numpy.typing import NDArray

    from galaxyds.spec import DatasetSpec
    from galaxyds.store.layout import BuildDirectory

FORMS = ("pandas", "arrow", "astropy")


def catalog(build: BuildDirectory, spec: DatasetSpec, rows: NDArray[np.int64], form: str) -> Any:
    """Read the catalogue of some objects.

    Parameters
    ----------
    build : BuildDirectory
        Where.
    spec : DatasetSpec
        Its declaration, for units.
    rows : ndarray of int64, shape (n,)
        Which rows, in order.
    form : str
        One of :data:`FORMS`.

    Returns
    -------
    pandas.DataFrame, pyarrow.Table or astropy.table.QTable
        Missing values are NA in pandas (nullable dtypes), NULL in Arrow, masked in astropy.

    Raises
    ------
    UsageError
        If the form is another.
    DataIntegrityError
        If the catalogue cannot be read.
    """
    if form not in FORMS:
        raise UsageError(f"no table form '{form}': choose {', '.join(FORMS)}", form=form)
    table = read_catalog(build.catalog, spec=spec, rows=build.manifest.rows).take(pa.array(rows))
    if form == "arrow":
        return table
    return _to_pandas(table) if form == "pandas" else _to_astropy(table, spec)


def _to_pandas(table: pa.Table) -> Any:
    import pandas as pd

    # Integers with missing values would become floats, and 64-bit ids lose their last digits.
    nullable = {
        pa.int8(): pd.Int8Dtype(),
        pa.int16(): pd.Int16Dtype(),
        pa.int32(): pd.Int32Dtype(),
        pa.int64(): pd.Int64Dtype(),
        pa.uint64(): pd.UInt64Dtype(),
        pa.bool_(): pd.BooleanDtype(),
    }
    columns = {
        name: values.to_pandas(types_mapper=nullable.get if values.null_count else None)
        for name, values in zip(table.column_names, table.columns, strict=True)
    }
    return pd.DataFrame(columns)


def _to_astropy(table: pa.Table, spec: DatasetSpec) -> QTable:
    from astropy import units
    from astropy.table import MaskedColumn, QTable
    from astropy.utils.masked import Masked

    result = QTable()
    for column in spec.stored_columns():
        values = table.column(column.name)
        mask = values.is_null().to_numpy()
        zero = {"string": "", "bool": False}.get(column.dtype, 0)
        filled = values.fill_null(pa.scalar(zero, values.type)).to_numpy()
        if column.dtype == "string":
            filled = filled.astype(str)
        if column.unit:
            # Names that astropy does not know (nanomaggy) stay as they are.
            unit = units.Unit(column.unit, parse_strict="silent")
            known = not isinstance(unit, units.UnrecognizedUnit)
            quantity = units.Quantity(filled, unit, dtype=filled.dtype) if known else None
            if quantity is not None:
                result[column.name] = Masked(quantity, mask) if mask.any() else quantity
                continue
        result[column.name] = MaskedColumn(filled, mask=mask) if mask.any() else filled
    for column in spec.stored_columns():
        result[column.name].info.description = column.description
    return result
