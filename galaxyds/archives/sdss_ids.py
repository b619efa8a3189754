"""SDSS objID: a 64-bit integer that packs where an object was found.

Layout (functions fSDSSfromObjID and fObjidFromSDSSWithFF of the SDSS database), high bits first:
1 bit unused, sky version 4, rerun 11, run 16, camcol 3, first field 1, field 12, object 16.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from galaxyds.errors import UsageError

_WIDTHS = {
    "sky_version": (59, 4),
    "rerun": (48, 11),
    "run": (32, 16),
    "camcol": (29, 3),
    "first_field": (28, 1),
    "field": (16, 12),
    "id": (0, 16),
}


class ObjId(NamedTuple):
    """Parts of objIDs, int64 arrays (or scalars) of one shape."""

    sky_version: NDArray[np.int64]
    rerun: NDArray[np.int64]
    run: NDArray[np.int64]
    camcol: NDArray[np.int64]
    field: NDArray[np.int64]
    id: NDArray[np.int64]


def unpack_objid(objid: ArrayLike) -> ObjId:
    """Take objIDs apart.

    Parameters
    ----------
    objid : array_like of int
        Identifiers; floats are refused, because they have lost digits.

    Returns
    -------
    ObjId
        Sky version, rerun, run, camcol, field and object number, each in the shape of ``objid``.

    Raises
    ------
    UsageError
        If the values are no integers.
    """
    values = np.asarray(objid)
    if values.dtype.kind not in "iu":
        raise UsageError(f"objID must be integers, not {values.dtype}: they may be rounded")
    values = values.astype(np.int64)
    return ObjId(*(_part(values, name) for name in ObjId._fields))


def pack_objid(
    run: ArrayLike,
    camcol: ArrayLike,
    field: ArrayLike,
    id: ArrayLike,
    *,
    rerun: ArrayLike = 301,
    sky_version: ArrayLike = 2,
) -> NDArray[np.int64]:
    """Put objIDs together; the inverse of :func:`unpack_objid`.

    Parameters
    ----------
    run, camcol, field, id : array_like of int
        Imaging run, camera column, field, object number in the field.
    rerun : array_like of int
        301 since DR8.
    sky_version : array_like of int
        2 in released identifiers.

    Returns
    -------
    ndarray of int64
        Identifiers, broadcast.

    Raises
    ------
    UsageError
        If a part does not fit its bits.
    """
    parts = {
        "sky_version": sky_version, "rerun": rerun, "run": run,
        "camcol": camcol, "field": field, "id": id,
    }  # fmt: skip
    packed = np.zeros((), dtype=np.int64)
    for name, values in parts.items():
        shift, width = _WIDTHS[name]
        array = np.asarray(values, dtype=np.int64)
        if ((array < 0) | (array >= 1 << width)).any():
            raise UsageError(f"{name} of an objID must be in 0..{(1 << width) - 1}", name=name)
        packed = packed | (array << shift)
    return np.asarray(packed, dtype=np.int64)


def _part(values: NDArray[np.int64], name: str) -> NDArray[np.int64]:
    shift, width = _WIDTHS[name]
    return (values >> shift) & ((1 << width) - 1)
