"""From the user's file to :class:`Objects`, and one way to open a build or a table by its name."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from galaxyds.catalog.cuts import apply_cuts
from galaxyds.catalog.objects import parse_ids
from galaxyds.catalog.splits import divide, hash_ids
from galaxyds.errors import DataIntegrityError, UsageError, did_you_mean
from galaxyds.refs import to_kebab
from galaxyds.store import sha256
from galaxyds_models.objects import Floats, Ids, Objects, check_names, known, open_objects
from galaxyds_models.tables.declared import DIVISIONS, TABLES, Identity, PhotometricTable
from galaxyds_models.tables.reading import numbers, read_frame, texts

if TYPE_CHECKING:
    import pandas as pd

_ID, _ROW = "object_id", "file_row"


def open_any(
    name: str,
    split: str,
    *,
    root: str | os.PathLike[str] | None = None,
    table: Path | None = None,
    division: int = 0,
    limit: int | None = None,
    pixels: bool = True,
) -> Objects:
    """Open a split of a build, or of a real table.

    Parameters
    ----------
    name : str
        Address of a dataset, or name of a table.
    split : str
        Which split.
    root : path-like, optional
        Folder of the builds.
    table : pathlib.Path, optional
        The table's file.
    division : int
        Which division, or fold.
    limit : int, optional
        At most so many objects, as :meth:`Objects.first` takes them.
    pixels : bool
        Open the images of a build too, which needs torch.

    Returns
    -------
    Objects
        Of either.

    Raises
    ------
    GalaxydsError
        As :func:`open_table` and :func:`galaxyds_models.objects.open_objects`; also where a table
        comes without its file, or a dataset with one.
    """
    if table is not None:
        return open_table(name, table, split, division=division, limit=limit)
    if to_kebab(name) in TABLES:
        raise UsageError(f"{name} is a table that you bring: give its file with --table FILE")
    return open_objects(name, split, root=root, division=division, limit=limit, pixels=pixels)


def get_table(name: str) -> PhotometricTable:
    """Look a table up.

    Raises
    ------
    UsageError
        If there is none of that name; the nearest is offered.
    """
    if to_kebab(name) not in TABLES:
        hint = did_you_mean(to_kebab(name), TABLES)
        raise UsageError(
            f"there is no table '{name}': {hint}choose {', '.join(TABLES)}, or leave --table out "
            "for a dataset",
            name=name,
        )
    return TABLES[to_kebab(name)]


def open_table(
    name: str,
    path: Path,
    split: str,
    *,
    division: int = 0,
    limit: int | None = None,
    key: str | None = None,
) -> Objects:
    """Open a split of a real photometric table.

    Parameters
    ----------
    name : str
        One of :data:`TABLES`.
    path : pathlib.Path
        The file.
    split : str
        ``train``, ``validation`` or ``test``.
    division : int
        Which of the five divisions.
    limit : int, optional
        At most so many objects, as :meth:`Objects.first` takes them.
    key : str, optional
        Column of whole numbers to take for the id, in the place of the declared one.

    Returns
    -------
    Objects
        In the order of the file, without pixels.  Rows of one galaxy share a split.

    Raises
    ------
    UsageError
        If a table, split or division does not exist, the file cannot be read or lacks columns, or
        ids were rounded.
    DataIntegrityError
        If the file is no table, or ids occur twice.
    """
    declared = get_table(name)
    check_names(declared.name, DIVISIONS.names, split)
    if not 0 <= division < DIVISIONS.divisions:
        last = DIVISIONS.divisions - 1
        raise UsageError(f"{declared.name} has divisions 0 to {last}, not {division}")
    everything = _rows(declared, path, key)
    rows, _ = apply_cuts(everything, declared.cuts)
    ids = _whole_numbers(rows, _ID)
    _check_unique(ids, path)
    codes = divide(rows, DIVISIONS, object_id=_ID)[division]
    members = {name: ids[codes == k] for k, name in enumerate(DIVISIONS.names) if name != split}
    chosen = rows.filter(pa.array(codes == DIVISIONS.names.index(split)))
    version, known_as, digest = _identify(declared, path)
    kept = f"{rows.num_rows:,} of {everything.num_rows:,} rows of {known_as}"
    return Objects(
        address=declared.name,
        version=version,
        manifest=digest,
        simulated=False,
        nature=f"real table, {kept}",
        split=split,
        division=division,
        object_id=_whole_numbers(chosen, _ID),
        redshift=_floats(chosen, "redshift"),
        filters=declared.filters,
        magnitudes=_stack(chosen, "mag", declared.filters),
        errors=_stack(chosen, "err", declared.filters) if declared.errors else None,
        rows=_whole_numbers(chosen, _ROW),
        redshift_range=declared.redshift_range,
        elsewhere=members,
    ).first(limit)


def _identify(declared: PhotometricTable, path: Path) -> tuple[str, str, str]:
    """Version, words and sha256 of a file; another one than the declared one says so."""
    digest = sha256(path)
    if digest == declared.sha256:
        return declared.version, "the declared file", digest
    version = f"{declared.version}+file.{digest[:8]}"
    return version, f"another file than the declared one (sha256 {digest[:8]}...)", digest


def _rows(declared: PhotometricTable, path: Path, key: str | None) -> pa.Table:
    """Return all rows of a file under our names; what is missing is NULL."""
    frame = read_frame(path, (*declared.columns(), *((key,) if key else ())))
    columns = {
        _ID: _ids(frame, declared.identity, key, path),
        _ROW: np.arange(len(frame), dtype=np.int64),
        DIVISIONS.key: _alike(frame, declared.alike, path),
        "redshift": _nullable(numbers(frame, "redshift", path)),
    }
    for place, band in enumerate(declared.filters):
        errors = declared.errors[place] if declared.errors else ()
        found = _first_known(frame, declared.magnitudes[place], errors, path=path)
        for stem, values in zip(("mag", "err"), found, strict=False):
            columns[f"{stem}_{band}"] = _nullable(values)
    for name, column in declared.texts:
        columns[name] = texts(frame, column)
    return pa.table(columns)


def _ids(frame: pd.DataFrame, identity: Identity, key: str | None, path: Path) -> Ids:
    """Pack the ids of all rows.

    Raises
    ------
    UsageError
        If a part is no whole number, has lost digits, or does not fit its bits.
    """
    if key:
        return _whole(frame, key, identity, path)
    packed = np.zeros(len(frame), np.int64)
    if not identity.columns:
        return np.arange(len(frame), dtype=np.int64)
    for name, bits, offset in zip(identity.columns, identity.bits, identity.offsets, strict=True):
        part = _whole(frame, name, identity, path) - offset
        if wrong := np.flatnonzero((part < 0) | (part >= 1 << bits)).tolist():
            raise UsageError(
                f"{path}: {name} = {part[wrong[0]] + offset} on row {wrong[0] + 1} cannot be: it "
                f"is not in {offset} to {offset + (1 << bits) - 1}",
                column=name,
            )
        packed = (packed << bits) | part
    return packed


def _whole(frame: pd.DataFrame, name: str, identity: Identity, path: Path) -> Ids:
    try:
        return parse_ids(texts(frame, name), f"{path}, column {name}")
    except UsageError as error:
        cause, _, _ = error.message.partition(": export the ids")
        raise UsageError(
            f"{cause}: rows cannot be told apart, joined or divided by it; without key= the id is "
            f"{identity.why}",
            column=name,
        ) from error


def _alike(frame: pd.DataFrame, names: Sequence[str], path: Path) -> NDArray[np.int64]:
    """Hash the bits of some columns, so that rows which agree in all of them share a value."""
    mixed = np.zeros(len(frame), np.int64)
    for place, name in enumerate(names):
        values = numbers(frame, name, path) + 0.0  # -0.0 is 0.0
        mixed = hash_ids(values.view(np.int64) ^ mixed, place).view(np.int64)
    return mixed


def _first_known(
    frame: pd.DataFrame, names: Sequence[str], errors: Sequence[str], *, path: Path
) -> list[Floats]:
    """Return the first magnitude that there is, row by row, and its error if there are errors."""
    pairs = zip(names, errors, strict=True) if errors else ((name,) for name in names)
    read = [[known(numbers(frame, name, path)) for name in pair] for pair in pairs]
    found = read[0]
    for other in read[1:]:
        missing = np.isnan(found[0])
        found = [np.where(missing, theirs, ours) for ours, theirs in zip(found, other, strict=True)]
    return [np.where(np.isnan(found[0]), np.float32(np.nan), values) for values in found]


def _nullable(values: NDArray[np.floating]) -> pa.Array:
    return pa.array(values, from_pandas=True)


def _whole_numbers(rows: pa.Table, name: str) -> Ids:
    return np.asarray(rows.column(name).to_numpy(), dtype=np.int64)


def _floats(rows: pa.Table, name: str) -> Floats:
    """Return a column as float32, NaN where it is NULL."""
    return np.asarray(rows.column(name).to_numpy(), dtype=np.float32)


def _stack(rows: pa.Table, stem: str, filters: Sequence[str]) -> Floats:
    """Return a quantity, float32 (rows, filters)."""
    return np.stack([_floats(rows, f"{stem}_{band}") for band in filters], axis=1)


def _check_unique(ids: Ids, path: Path) -> None:
    values, counts = np.unique(ids, return_counts=True)
    if (counts > 1).any():
        raise DataIntegrityError(
            f"{path}: {int((counts > 1).sum())} ids occur more than once, {values[counts > 1][0]} "
            "first: leave one row of each, or choose a column that is an id",
            file=str(path),
            expected="one row per id",
            got=f"{int((counts > 1).sum())} repeated ids",
        )
