"""Tables of redshift surveys as they lie on a disk: FITS, CSV, and text in columns.

Columns of text stay text: what a number is, the survey's description knows.  Of a FITS file only
what is asked for is read, so that a catalogue of several GB costs no memory.
"""

from __future__ import annotations

import mmap
from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from pyarrow import csv

from galaxyds.archives.bounded import broken, kind, scan_fits
from galaxyds.errors import DataIntegrityError, one_line

SUFFIXES = (".fits", ".fit", ".csv", ".tsv", ".txt", ".dat", ".cat")
"""Endings of the files that are read."""
_SEPARATORS = {".csv": ",", ".tsv": "\t"}
_HEAD_BYTES = 1 << 20
_LARGEST = 1 << 40


def short_name(column: str) -> str:
    """Name of a column in small letters, without the table's name that some put before a dot."""
    return column.strip().rpartition(".")[2].lower()


def read_table(path: Path, *, names: Collection[str] | None = None) -> pa.Table:
    """Read a table.

    Parameters
    ----------
    path : pathlib.Path
        FITS with a binary table, or text with the names of its columns in a line above the rows,
        which may begin with ``#`` and follow other lines that do.  Commas separate the columns of
        ``.csv``, tabs those of ``.tsv``, spaces those of other text.
    names : collection of str, optional
        Columns to read, as :func:`short_name` has them, as far as there are; by default all.  A
        line that begins with ``#`` names the columns if one of these is among them.

    Returns
    -------
    pyarrow.Table
        Numbers of a FITS file as they are (its NULLs NULL), everything else as text.

    Raises
    ------
    DataIntegrityError
        If the file is not such a table, or is damaged.
    """
    try:
        with path.open("rb") as stream:
            head = stream.read(_HEAD_BYTES)
    except OSError as error:
        cause = "check its permissions, or copy it again"
        raise broken(path, "a readable file", error.strerror or str(error), cause) from error
    if head.startswith(b"SIMPLE  ="):
        return _read_fits(path, names)
    if not head or head.lstrip()[:1] in (b"<", b"{", b"\x89") or head[:2] in (b"\x1f\x8b", b"PK"):
        cause = "unpack it, or save the table itself as .fits, .csv or .txt"
        raise broken(path, "a FITS, CSV or text table", kind(head), cause)
    if head.startswith(b"BZh") or b"\0" in head:
        raise broken(path, "a FITS, CSV or text table", kind(head), "unpack or convert it")
    return _read_text(path, head, names)


def _wanted(columns: list[str], names: Collection[str] | None) -> list[str]:
    return [c for c in columns if names is None or short_name(c) in names or c.lower() in names]


def _read_text(path: Path, head: bytes, names: Collection[str] | None) -> pa.Table:
    separator = _SEPARATORS.get(path.suffix.lower())
    columns, skipped = _header(path, head.decode("utf-8", "replace"), separator, names)
    wanted = _wanted(columns, names)
    with path.open("rb") as stream:
        for _ in range(skipped):
            stream.readline()
        # Columns that spaces align become columns that one space divides.
        rows = stream.read() if separator else b"\n".join(b" ".join(r.split()) for r in stream)
    if not rows.strip():
        return pa.table({name: pa.array([], pa.string()) for name in wanted})
    try:
        return csv.read_csv(
            pa.BufferReader(rows),
            read_options=csv.ReadOptions(column_names=columns, use_threads=False),
            parse_options=csv.ParseOptions(delimiter=separator or " "),
            convert_options=csv.ConvertOptions(
                include_columns=wanted, column_types=dict.fromkeys(columns, pa.string()),
                strings_can_be_null=False,
            ),
        )  # fmt: skip
    except pa.ArrowInvalid as error:
        cause = "the file was cut, damaged or edited: copy it again"
        raise broken(path, f"{len(columns)} columns", one_line(str(error), 160), cause) from None


def _header(
    path: Path, head: str, separator: str | None, names: Collection[str] | None
) -> tuple[list[str], int]:
    """Names of the columns, and how many lines stand before the first row."""
    lines = head.splitlines()
    comments = 0
    while comments < len(lines) and (
        lines[comments].startswith("#") or not lines[comments].strip()
    ):
        comments += 1
    first = _fields(lines[comments], separator) if comments < len(lines) else []
    above = [_fields(line.lstrip("#"), separator) for line in lines[:comments] if line.strip("# ")]
    # A note has as many words as there are columns now and then, but names none of them.
    for words in reversed(above if names is not None else above[-1:]):
        if (not first or len(words) == len(first)) and _are_names(words) and _wanted(words, names):
            return words, comments
    if _are_names(first):
        return first, comments + 1
    cause = "write their names above the first row, as in: # ra dec z flag"
    raise broken(path, "the names of the columns", one_line(" ".join(first), 80) or "none", cause)


def _fields(line: str, separator: str | None) -> list[str]:
    fields = line.lstrip("\ufeff").split(separator)
    return [field.strip().strip('"') for field in fields]


def _are_names(fields: list[str]) -> bool:
    named = all(field and not _is_number(field) for field in fields)
    return bool(fields) and named and len(set(fields)) == len(fields)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _read_fits(path: Path, names: Collection[str] | None) -> pa.Table:
    from astropy.io import fits

    _check_sizes(path)
    try:
        with fits.open(path, memmap=True) as hdus:
            tables = [hdu for hdu in hdus if isinstance(hdu, fits.BinTableHDU)]
            if not tables:
                cause = "save the table itself as FITS, CSV or text"
                raise broken(path, "a binary table", "a FITS file without one", cause)
            kinds = tables[0].data.dtype
            # Vectors and arrays of any length describe no redshift.
            scalar = [name for name in tables[0].columns.names if not kinds[name].shape]
            return pa.table({n: _array(tables[0], n) for n in _wanted(scalar, names)})
    except DataIntegrityError:
        raise
    except Exception as error:  # astropy raises whatever a damaged header leads it to
        cause = "the file is damaged: copy it again"
        raise broken(path, "a binary table", one_line(str(error), 160), cause) from error


def _check_sizes(path: Path) -> None:
    """Hold what the headers declare against the file, before anything is made of it."""
    with path.open("rb") as stream:
        # Closed when the last view of it is gone: an error may carry one.
        view = memoryview(mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ))
    scan_fits(view, path, limit=_LARGEST)


def _array(hdu: Any, name: str) -> pa.Array:
    """Values of one column, copied, in native order, NULL where the file says so."""
    values, null = np.asarray(hdu.data[name]), hdu.columns[name].null
    if values.dtype.kind in "SU":
        return pa.array(np.char.strip(values.astype(str)).tolist(), pa.string())
    native = values.astype(values.dtype.newbyteorder("="))
    absent = native == null if null not in (None, "") and native.dtype.kind in "iu" else None
    return pa.array(native, mask=absent)
