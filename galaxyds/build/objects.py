"""Reading a list of objects from a file (CSV, Parquet or FITS table)."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from galaxyds.catalog.objects import parse_ids
from galaxyds.errors import UsageError, one_line

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

_ID_NAMES = ("objid", "objectid", "bestobjid")
_RA_NAMES = ("ra", "raj2000", "alpha")
_DEC_NAMES = ("dec", "dej2000", "decj2000", "delta")


@dataclass(frozen=True, kw_only=True)
class ObjectList:
    """Wanted objects, by id or by position.

    Attributes
    ----------
    name, sha256 : str
        Of the file.
    ids : ndarray of int64 or None
        Unique, ascending.
    ra, dec : ndarray of float64 or None
        Degrees, in the file's order.
    """

    name: str
    sha256: str
    ids: NDArray[np.int64] | None = None
    ra: NDArray[np.float64] | None = None
    dec: NDArray[np.float64] | None = None

    def __len__(self) -> int:
        wanted = self.ids if self.ids is not None else self.ra
        return 0 if wanted is None else len(wanted)


def read_object_list(path: Path) -> ObjectList:
    """Read a list with an objID column, or with ra and dec columns.

    Parameters
    ----------
    path : pathlib.Path
        ``.csv``, ``.txt``, ``.tsv``, ``.parquet``, ``.fits``; ``#`` starts a comment line.

    Returns
    -------
    ObjectList
        Ids win when both are there.

    Raises
    ------
    UsageError
        If the file cannot be read, has neither, is empty, or its ids were rounded.
    """
    try:
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        frame = _read_table(path)
    except Exception as error:  # a damaged table makes its reader raise anything
        raise UsageError(f"cannot read the object list {path}: {one_line(str(error))}") from error
    columns = {name.lower().replace("_", "").lstrip("#").strip(): name for name in frame.columns}
    identity = next((columns[n] for n in _ID_NAMES if n in columns), None)
    ra = next((columns[n] for n in _RA_NAMES if n in columns), None)
    dec = next((columns[n] for n in _DEC_NAMES if n in columns), None)
    if not len(frame):
        raise UsageError(f"the object list {path} has no rows")
    if identity is not None:
        ids = parse_ids((str(value) for value in frame[identity]), str(path))
        return ObjectList(name=path.name, sha256=digest, ids=np.unique(ids))
    if ra is None or dec is None:
        raise UsageError(
            f"the object list {path} needs an objID column, or ra and dec in degrees; "
            f"it has: {one_line(', '.join(map(str, frame.columns)))}"
        )
    return ObjectList(
        name=path.name,
        sha256=digest,
        ra=_degrees(frame[ra], 0, 360, path),
        dec=_degrees(frame[dec], -90, 90, path),
    )


def _read_table(path: Path) -> pd.DataFrame:
    import pandas as pd

    suffix = path.suffix.lower()
    if suffix in (".parquet", ".pq"):
        return pd.read_parquet(path)
    if suffix in (".fits", ".fit"):
        from astropy.table import Table

        frame: pd.DataFrame = Table.read(path, hdu=1).to_pandas()
        return frame.map(lambda v: v.decode() if isinstance(v, bytes) else v)
    # Everything as text: an id must never pass through a float.
    separator = "\t" if suffix == ".tsv" else ","
    return pd.read_csv(
        path, dtype=str, comment="#", sep=separator, keep_default_na=False, skipinitialspace=True
    )


def _degrees(values: pd.Series[str], low: float, high: float, path: Path) -> NDArray[np.float64]:
    try:
        numbers = np.asarray(values.astype(float), dtype=np.float64)
    except ValueError as error:
        raise UsageError(f"{path}: {values.name} must be in degrees: {error}") from error
    good = np.isfinite(numbers) & (numbers >= low) & (numbers <= high)
    if not good.all():
        row = int(np.flatnonzero(~good)[0])
        raise UsageError(
            f"{path}: {values.name} = {values.iloc[row]} on row {row + 1} is not within "
            f"{low} to {high} degrees"
        )
    return numbers
