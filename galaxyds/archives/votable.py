"""VOTable documents from outside, as Arrow tables, without trusting a byte of them.

``astropy.io.votable`` reads the cells.  Before it sees a document, one pass of expat looks at its
elements, because astropy would open whatever address a ``STREAM`` names (a file of this machine
too), unpack a compressed stream of any size, and reserve as many rows as a ``TABLE`` claims, each
as wide as its ``FIELD`` elements claim.  Such documents are refused, and so is one that declares an
entity; a document type is ignored.

A cell without a value is NULL: an empty one, one that equals the column's null value, a NaN, and in
a column of real numbers one that is no number, as astropy reads it (catalogues write ``--``).  An
empty string cannot be told from a missing one in this format, and is NULL too.  An integer that its
column cannot hold is an error.
"""

from __future__ import annotations

import io
import math
import re
import warnings
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from xml.parsers import expat

import numpy as np
import pyarrow as pa

from galaxyds.archives.redact import looks_like_html, server_words
from galaxyds.errors import ArchiveError, DataIntegrityError, one_line

LARGEST = 1 << 30
"""Bytes that a document may have."""

_WIDEST = 1 << 16  # most values that one cell may be declared to hold
_CELLS = frozenset({"TD", "TR"})
_MOST = 64 << 20  # bytes that any document may take as arrays
_DENSEST = 16  # bytes of arrays per byte of a document that takes more
_FIRST_ROWS = 512  # that astropy reserves for the first one
_SIZES = {"bit": 1, "boolean": 1, "unsignedByte": 1, "short": 2, "int": 4, "float": 4, "char": 4,
          "unicodeChar": 4, "floatComplex": 8, "doubleComplex": 16}  # fmt: skip
_OLD = re.compile(
    rb"""(?s)\A(.{,2000}?<(?:\w+:)?VOTABLE\b[^>]*?\sversion\s*=\s*["'])v?1\.[0-2](?=["'])"""
)
_AGAIN = "ask again, and check the service's address"


@dataclass(frozen=True, slots=True)
class Info:
    """What a service says beside the data: name and value, its text, and where it stands.

    Attributes
    ----------
    name, value, text : str
        As written, without space around.
    after : bool
        Whether a table stands before it.
    """

    name: str
    value: str
    text: str
    after: bool

    @property
    def words(self) -> str:
        """Text, or else the value, as one line."""
        return one_line(self.text or self.value)


@dataclass(frozen=True, slots=True)
class VOTable:
    """A document that was read.

    Attributes
    ----------
    tables : tuple of (str, pyarrow.Table)
        Tables with fields, by name, in the document's order; columns named as its fields are.
    infos : tuple of Info
        In the document's order.
    """

    tables: tuple[tuple[str, pa.Table], ...]
    infos: tuple[Info, ...]

    def values(self, name: str) -> tuple[Info, ...]:
        """Return the infos of a name, whatever its case."""
        return tuple(info for info in self.infos if info.name.strip("*").lower() == name.lower())


def read_document(data: bytes | Path, *, source: str, limit: int = LARGEST) -> VOTable:
    """Read a document whose service may have anything to say; its status is not judged.

    Parameters
    ----------
    data : bytes or Path
        The document, or its file.
    source : str
        Who sent it, for messages.
    limit : int
        Largest acceptable size in bytes.

    Returns
    -------
    VOTable
        Tables and infos.

    Raises
    ------
    ArchiveError
        If it is a web page or larger than ``limit``.
    DataIntegrityError
        If it is cut, no VOTable, points elsewhere or declares what it cannot hold.
    """
    body = _bytes(data, source, limit)
    if looks_like_html(body):
        words = server_words(body, "text/html")
        raise refused(source, f"answers with a web page instead of a table: {words}", words)
    scan = _Scan(source, len(body))
    scan.run(body)
    return VOTable(_tables(body, source, scan.nulls), tuple(scan.infos))


def read_table(data: bytes | Path, *, source: str, limit: int = LARGEST) -> pa.Table:
    """Read the one table of a service's answer, all of it.

    Parameters
    ----------
    data, source, limit
        As in :func:`read_document`.

    Returns
    -------
    pyarrow.Table
        Columns named as the fields are.

    Raises
    ------
    ArchiveError
        If the service reports an error, if it cut the answer (``OVERFLOW``), or sends no table or
        several; the service's words are in the message.
    DataIntegrityError
        As :func:`read_document`.
    """
    document = read_document(data, source=source, limit=limit)
    require_whole(document, source)
    if len(document.tables) != 1:
        raise refused(source, f"answers with {len(document.tables)} tables where one was asked")
    return document.tables[0][1]


def require_sound(document: VOTable, source: str) -> None:
    """Refuse an answer that reports an error (DALI 1.1, section 4.4).

    Raises
    ------
    ArchiveError
        With the service's words.
    """
    stated = [info for info in document.values("QUERY_STATUS") if info.value.upper() == "ERROR"]
    told = (info.words for info in (*document.values("Error"), *stated))
    words = "; ".join(dict.fromkeys(word for word in told if word.strip(" -^")))
    if words:
        raise refused(source, f"refuses the query: {words}", words)


def require_whole(document: VOTable, source: str) -> None:
    """Refuse an answer that reports an error, or that the service cut.

    Raises
    ------
    ArchiveError
        With the service's words.
    """
    require_sound(document, source)
    if any(info.value.upper() == "OVERFLOW" for info in document.values("QUERY_STATUS")):
        raise refused(
            source, "cut its answer: it reports OVERFLOW, more rows match than it delivers; ask "
            "for less at once",
        )  # fmt: skip


def ends_whole(body: bytes) -> bool:
    """Whether a body that begins as a VOTable has its last tag too; anything else counts as whole.

    For answers whose length the server does not state.
    """
    if b"VOTABLE" not in body[:4096]:
        return True
    return re.search(rb"</(?:\w+:)?VOTABLE\s*>\s*\Z", body[-256:]) is not None


def refused(source: str, what: str, words: str = "") -> ArchiveError:
    """Make the error for an answer that a service meant, and that is no use here."""
    return ArchiveError(
        one_line(f"{source} {what}", 600), service=source, url="", status=None, answer=words
    )


def _bytes(data: bytes | Path, source: str, limit: int) -> bytes:
    if isinstance(data, Path):
        with data.open("rb") as stream:
            data = stream.read(limit + 1)
    if len(data) > limit:
        raise refused(source, f"answers with more than {limit} bytes")
    return data


def _broken(source: str, what: str) -> DataIntegrityError:
    return DataIntegrityError(
        one_line(f"{source}: the VOTable {what}; {_AGAIN}", 500), file=source,
        expected="a complete VOTable that holds its own data", got=what,
    )  # fmt: skip


@dataclass
class _Scan:
    """One pass over the elements of a document: what it says, and whether it may be read."""

    source: str
    size: int
    infos: list[Info] = field(default_factory=list)
    nulls: set[str] = field(default_factory=set)
    _open: tuple[str, str, bool] | None = None
    _text: list[str] = field(default_factory=list)
    _depth: int = 0
    _tables: int = 0
    _rows: int = 0  # of the table that is open
    _told: int = 0  # rows that it claims to have
    _width: int = 0  # bytes of one of its rows
    _bytes: int = 0  # of the tables before it

    def run(self, body: bytes) -> None:
        """Look at the whole document.

        Raises
        ------
        DataIntegrityError
            If it may not be read.
        """
        parser = expat.ParserCreate()
        parser.StartElementHandler = self.start
        parser.EndElementHandler = self.end
        parser.CharacterDataHandler = self.characters
        parser.EntityDeclHandler = self.entity
        try:
            parser.Parse(body, True)
        except expat.ExpatError as error:
            cut = error.code in _CUT or parser.ErrorByteIndex >= self.size
            what = "ends too early: the answer was cut" if cut else f"is no XML ({error})"
            raise _broken(self.source, what) from None

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        """Judge one element as it begins."""
        name = tag.rpartition(":")[2]
        if name == "TD":
            return
        if name == "TR":
            self._rows += 1
            return
        self._depth += 1
        if self._depth == 1 and name != "VOTABLE":
            raise _broken(self.source, f"is another document: its root is <{one_line(name, 40)}>")
        if self._depth > 64:
            raise _broken(self.source, "has more than 64 elements inside one another")
        check = _CHECKS.get(name)
        complaint = check(attributes, self.size) if check else ""
        if complaint:
            raise _broken(self.source, complaint)
        self._weigh(name, attributes)
        if name == "INFO":
            value = attributes.get("value", "").strip()
            self._open = (attributes.get("name", "").strip(), value, self._tables > 0)
            self._text = []

    def _weigh(self, name: str, attributes: dict[str, str]) -> None:
        """Note what arrays a table will take."""
        if name == "TABLE":
            self._tables += 1
            rows = attributes.get("nrows", "0").strip()
            told = int(rows) if attributes.get("type") != "meta" and rows.isdigit() else 0
            self._rows, self._width, self._told = 0, 0, told
        elif name == "FIELD":
            self._width += _bytes_of(attributes)
        elif name == "DATA":
            self._require_room(max(self._told, _FIRST_ROWS))
        elif name == "VALUES":
            self.nulls.add(attributes.get("null", "").strip())

    def _require_room(self, rows: int) -> None:
        taken = self._bytes + rows * self._width
        if taken > max(_MOST, _DENSEST * self.size):
            what = f"of {self.size} bytes declares arrays of {taken} bytes, which is refused"
            raise _broken(self.source, what)

    def end(self, tag: str) -> None:
        """Keep an info that ends, and weigh a table that does."""
        name = tag.rpartition(":")[2]
        if name in _CELLS:
            return
        self._depth -= 1
        if name == "DATA":
            self._require_room(max(self._told, self._rows))
            self._bytes += max(self._told, self._rows) * self._width
        if self._open is not None and name == "INFO":
            name, value, after = self._open
            self.infos.append(Info(name, value, "".join(self._text).strip(), after))
            self._open = None

    def characters(self, text: str) -> None:
        """Gather the text of an info."""
        if self._open is not None:
            self._text.append(text)

    def entity(self, name: str, *_: object) -> None:
        """Refuse a declared entity: it could read a file, or grow without end."""
        raise _broken(self.source, f"declares the entity '{one_line(name, 40)}', which is refused")


_CUT = frozenset(
    expat.errors.codes[text]
    for text in (
        expat.errors.XML_ERROR_NO_ELEMENTS,
        expat.errors.XML_ERROR_UNCLOSED_TOKEN,
        expat.errors.XML_ERROR_PARTIAL_CHAR,
        expat.errors.XML_ERROR_UNCLOSED_CDATA_SECTION,
    )
)


def _check_stream(attributes: dict[str, str], size: int) -> str:
    if "href" in attributes:
        return f"keeps its data elsewhere ({one_line(attributes['href'], 80)}): never fetched"
    encoding = attributes.get("encoding", "base64")
    return "" if encoding == "base64" else f"has a stream encoded as '{one_line(encoding, 20)}'"


def _check_fits(attributes: dict[str, str], size: int) -> str:
    return "wraps a FITS file, which is not read"


def _check_table(attributes: dict[str, str], size: int) -> str:
    # A row takes a byte at least; without data (type="meta") the number is about another document.
    rows = attributes.get("nrows", "0").strip()
    if attributes.get("type") == "meta" or (rows.isdigit() and len(rows) < 16 and int(rows) < size):
        return ""
    return f"declares {one_line(rows, 30)} rows, which it cannot hold"


def _check_field(attributes: dict[str, str], size: int) -> str:
    told = attributes.get("arraysize", "1")
    parts = [part.rstrip("*") for part in told.split("x")]
    fixed = [int(part) for part in parts if part.isdigit() and len(part) < 10]
    odd = any(part and not (part.isdigit() and len(part) < 10) for part in parts)
    if odd or math.prod(fixed) > _WIDEST:
        return f"declares cells of {one_line(told, 30)} values"
    return ""


def _bytes_of(attributes: dict[str, str]) -> int:
    """Bytes that astropy reserves for a cell: of one of variable length, a reference."""
    parts = attributes.get("arraysize", "1").split("x")
    if any(not part.isdigit() for part in parts):
        return 8
    # A byte more for whether the value is missing.
    size = _SIZES.get(attributes.get("datatype", ""), 8) + 1
    return size * math.prod(int(part) for part in parts)


_CHECKS = {
    "STREAM": _check_stream,
    "FITS": _check_fits,
    "TABLE": _check_table,
    "FIELD": _check_field,
    "PARAM": _check_field,
}


def _tables(body: bytes, source: str, nulls: Iterable[str]) -> tuple[tuple[str, pa.Table], ...]:
    from astropy.io import votable
    from astropy.io.votable.exceptions import W49, W51

    # Before version 1.3 astropy reads an empty integer as 0; empty cells mean the same in all.
    body = _OLD.sub(rb"\g<1>1.3", body, count=1)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            # Where it would only warn: an empty integer read as 0, one that is cut to its range...
            warnings.simplefilter("error", W49)
            warnings.simplefilter("error", W51)
            for null in nulls:  # ... unless that one is the column's null value
                warnings.filterwarnings("ignore", rf".*Value '{re.escape(null)}' is out", W51)
            # "mask" would make NULLs of nonsense: an integer that is none is an error.
            parsed = votable.parse(io.BytesIO(body), verify="warn", invalid="exception")
        found = [table for table in parsed.iter_tables() if table.fields]
        return tuple((str(one.name or one.ID or ""), _arrow(one, source)) for one in found)
    except DataIntegrityError:
        raise
    except MemoryError:
        raise _broken(source, f"of {len(body)} bytes does not fit into memory") from None
    except Exception as error:  # astropy raises whatever a malformed cell leads to
        raise _broken(source, f"cannot be read: {one_line(str(error), 200)}") from error


def _arrow(table: Any, source: str) -> pa.Table:
    names = [str(one.name or one.ID) for one in table.fields]
    if len(set(names)) < len(names):
        raise _broken(source, f"has two columns of one name among {', '.join(names)}")
    stored = table.array.dtype.names or ()
    columns = [
        _column(table.array[name], one.values.null)
        for name, one in zip(stored, table.fields, strict=True)
    ]
    return pa.Table.from_arrays(columns, names=names)


def _column(values: np.ma.MaskedArray[Any, Any], null: Any) -> pa.Array:
    data, mask = np.ma.getdata(values), np.ma.getmaskarray(values)
    if data.dtype.kind in "OUS" or data.ndim > 1:
        return _many(values)
    if data.dtype.kind == "f":
        mask = mask | np.isnan(data)
    elif data.dtype.kind in "iu" and isinstance(null, int | np.integer):
        mask = mask | (data == null)  # astropy cuts a null value out of range, and its cells
    return pa.array(data, mask=mask)


def _many(values: np.ma.MaskedArray[Any, Any]) -> pa.Array:
    """Strings, and cells of several values."""
    cells = [_cell(value) for value in values]
    if values.dtype.kind in "US" or all(cell is None or isinstance(cell, str) for cell in cells):
        return pa.array(cells, pa.string())
    return pa.array(cells)


def _cell(value: Any) -> Any:
    if value is np.ma.masked or value is None:
        return None
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    if isinstance(value, str):
        return str(value) or None
    listed = np.ma.asarray(value).tolist()
    return listed if listed else None
