"""Columns of other people's files: CSV, text in columns, Parquet, FITS.  Digits are never lost."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from galaxyds.errors import DataIntegrityError, UsageError, one_line

if TYPE_CHECKING:
    import pandas as pd

_MISSING = ("", "nan", "null", "none", "na", "n/a", "masked", "--", "-")
_PARQUET, _FITS = (".parquet", ".pq"), (".fits", ".fit", ".fits.gz")


def read_frame(path: Path, columns: Sequence[str]) -> pd.DataFrame:
    """Read some columns of a table.

    Parameters
    ----------
    path : pathlib.Path
        ``.parquet``, ``.fits``, else text: separated by commas or tabs where the first line has
        any, by blanks where not, with names in the first line (a ``#`` before them is none).
    columns : sequence of str
        Which.

    Returns
    -------
    pandas.DataFrame
        Text where the file is text: :func:`numbers` and :func:`texts` read it.

    Raises
    ------
    UsageError
        If there is no such file, or it lacks columns: they are named, and the nearest ones.
    DataIntegrityError
        If it is not what its name says.
    """
    names, read = _open(path)
    check_columns(path, names, columns)
    wanted = list(dict.fromkeys(columns))
    return _guard(path, lambda: read(wanted))


def check_columns(path: Path, names: Collection[str], wanted: Sequence[str]) -> None:
    """Refuse a table that lacks columns.

    Raises
    ------
    UsageError
        Naming them, and what may have been meant.
    """
    missing = [name for name in dict.fromkeys(wanted) if name not in names]
    if not missing:
        return
    near = [n for name in missing[:3] for n in get_close_matches(name, names, 1)]
    hint = f" (did you mean {', '.join(near)}?)" if near else ""
    raise UsageError(
        f"{path} has no column {', '.join(missing)}{hint}; it has: "
        f"{one_line(', '.join(map(str, names))) or 'none'}",
        missing=missing,
    )


def numbers(frame: pd.DataFrame, name: str, path: Path) -> NDArray[np.float64]:
    """Return a column as float64, NaN where the file has nothing.

    Raises
    ------
    UsageError
        If it holds text; row and text are named.
    """
    import pandas as pd

    column = frame[name]
    found = pd.to_numeric(column, errors="coerce").to_numpy(np.float64, na_value=np.nan)
    # What is no number must be one of the words for "missing", or there is a mistake.
    for row in np.flatnonzero(np.isnan(found)):
        text = column.iloc[row]
        if isinstance(text, str) and text.strip().casefold() not in _MISSING:
            raise UsageError(
                f"{path}: column {name} holds '{one_line(text, 40)}' on row {row + 1}, which is no "
                "number: choose another column or mend the file",
                column=name,
                row=int(row) + 1,
            )
    return found


def texts(frame: pd.DataFrame, name: str) -> list[str]:
    """Return a column as the file's own text, where it is text; else as Python writes it."""
    return [v.decode() if isinstance(v, bytes) else str(v) for v in frame[name].tolist()]


_T = TypeVar("_T")
_Reader = Callable[[list[str]], "pd.DataFrame"]


def _open(path: Path) -> tuple[tuple[str, ...], _Reader]:
    """Names of the columns, and how to read some of them."""
    head = first_bytes(path)
    suffix = "".join(path.suffixes[-2:]).lower()
    if suffix.endswith(_PARQUET) or head.startswith(b"PAR1"):
        return _guard(path, lambda: _open_parquet(path))
    if suffix.endswith(_FITS) or head.startswith(b"SIMPLE  ="):
        return _guard(path, lambda: _open_fits(path))
    return _guard(path, lambda: _open_text(path))


def first_bytes(path: Path, count: int = 9) -> bytes:
    """Return the first bytes of a file; a web page is refused.

    Raises
    ------
    UsageError
        If it cannot be read, or is empty.
    DataIntegrityError
        If it is HTML or XML: what a server sends in the place of a file.
    """
    try:
        with path.open("rb") as stream:
            head = stream.read(512)
    except OSError as error:
        cause = error.strerror or str(error)
        raise UsageError(f"cannot read {path}: {cause}", path=str(path)) from error
    if not head:
        raise UsageError(f"{path} is empty", path=str(path))
    if head.lstrip(b"\xef\xbb\xbf \r\n\t").startswith(b"<"):
        raise DataIntegrityError(
            f"{path} is a web page, not a table: a server sent it in the place of the file, look "
            "into it and get the file again",
            file=str(path),
            expected="a table",
            got="HTML or XML",
        )
    return head[:count]


def _open_parquet(path: Path) -> tuple[tuple[str, ...], _Reader]:
    import pyarrow.parquet as pq

    names = tuple(pq.read_schema(path).names)

    def read(wanted: list[str]) -> pd.DataFrame:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            frame: pd.DataFrame = file.read(columns=wanted).to_pandas()
            return frame

    return names, read


def _open_fits(path: Path) -> tuple[tuple[str, ...], _Reader]:
    from astropy.io import fits

    with fits.open(path) as units:
        names = tuple(str(name) for name in units[1].columns.names)
    return names, lambda wanted: _fits_columns(path, wanted)


def _fits_columns(path: Path, wanted: list[str]) -> pd.DataFrame:
    import pandas as pd
    from astropy.io import fits

    with fits.open(path) as units:
        rows = units[1].data
        return pd.DataFrame({name: _native(rows[name]) for name in wanted})


def _native(values: NDArray[Any]) -> NDArray[Any]:
    """Copy values in this machine's byte order."""
    return np.array(values, dtype=values.dtype.newbyteorder("="))


def _open_text(path: Path) -> tuple[tuple[str, ...], _Reader]:
    import pandas as pd

    with path.open(encoding="utf-8-sig") as stream:
        line = stream.readline(1 << 16)
    separator = next((mark for mark in ",\t;" if mark in line), r"\s+")
    blank = separator == r"\s+"
    head = line.strip().removeprefix("#").strip()
    parts = head.split() if blank else head.split(separator)
    names = tuple(part.strip().strip('"') for part in parts)

    def read(wanted: list[str]) -> pd.DataFrame:
        # Everything as text: an id must never pass through a float.
        return pd.read_csv(path, sep=separator, names=list(names), skiprows=1, usecols=wanted,
                           dtype=str, keep_default_na=False, skipinitialspace=True,
                           index_col=False, encoding="utf-8-sig")  # fmt: skip

    return names, read


def _guard(path: Path, work: Callable[[], _T]) -> _T:
    """Run a reader: whatever it raises says that the file is damaged, or of another kind."""
    try:
        return work()
    except (UsageError, DataIntegrityError):
        raise
    except Exception as error:  # a damaged table makes its reader raise anything
        raise DataIntegrityError(
            f"cannot read the table {path} ({one_line(str(error))}): it is damaged, or not what "
            "its name says; get it again",
            file=str(path),
            expected="CSV, text in columns, Parquet or a FITS table",
            got=one_line(str(error)),
        ) from error
