"""Files that their authors published: their values in our dtypes, and how they differ from ours."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from galaxyds.spec import Column


@dataclass(frozen=True, kw_only=True, slots=True)
class Difference:
    """A point in which published files are not what was declared."""

    what: str
    expected: str
    got: str


def converted(raw: NDArray[Any], dtype: str) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Bring values to a dtype of the spec.

    Parameters
    ----------
    raw : ndarray, shape (n,)
        Numbers, booleans, or texts (UTF-8 bytes or unicode).
    dtype : str
        One of :data:`galaxyds.spec.DTYPES`.

    Returns
    -------
    ndarray, shape (n,)
        Of that dtype; texts are Python objects of type ``str``.
    ndarray of bool, shape (n,)
        Which values fit: texts are no numbers, and no digit of an integer may be lost.
    """
    everything = np.ones(len(raw), dtype=bool)
    if dtype == "string":
        if raw.dtype.kind == "U":
            return raw.astype(object), everything
        if raw.dtype.kind != "S":
            return np.full(len(raw), "", dtype=object), ~everything
        return np.char.decode(raw, "utf-8", "replace").astype(object), everything
    if raw.dtype.kind in "SU":
        return np.zeros(len(raw), dtype=dtype), ~everything
    if dtype.startswith("float"):
        with np.errstate(over="ignore"):
            return raw.astype(dtype), everything
    with np.errstate(invalid="ignore"):
        values = raw.astype(dtype)
    # Back and forth without loss, and not wrapped around.
    fits = (values.astype(raw.dtype) == raw) & ((values < 0) == (raw < 0))
    return values, fits


def missing_values(values: NDArray[Any], column: Column) -> NDArray[np.bool_]:
    """Which values stand for none, under the rule of the spec.

    Parameters
    ----------
    values : ndarray, shape (n,)
        Of the column's dtype.
    column : Column
        Declares whether values may be missing, and what stands for them.

    Returns
    -------
    ndarray of bool, shape (n,)
        NaN, empty texts and the sentinel of nullable columns.
    """
    missing = np.zeros(len(values), dtype=bool)
    if not column.nullable:
        return missing
    if values.dtype.kind == "f":
        missing |= np.isnan(values)
    if values.dtype.kind in "OU":
        missing |= values == ""
    elif column.sentinel is not None and values.dtype.kind in "iuf":
        missing |= values == column.sentinel
    return missing


def dtype_name(dtype: np.dtype[Any]) -> str:
    """Name a dtype of a file as the spec would."""
    return "string" if dtype.kind in "SU" else dtype.newbyteorder("=").name
