"""VizieR: ``POST /viz-bin/votable`` with lines of ASU, tables from memory.

::

    tables = {"J/A+A/609/A84/vipersw1": pa.table({"RAJ2000": ..., "DEJ2000": ..., "zsp": ...})}
    with VizieREmulator(tables) as server:
        monkeypatch.setenv("GALAXYDS_VIZIER_URL", server.url)
        VizieR().table("J/A+A/609/A84/vipersw1", ["zsp", "_RAJ2000", "_DEJ2000"])

Positions are those of ``_RAJ2000``, ``_DEJ2000`` if a table has them, else of ``RAJ2000``,
``DEJ2000`` (degrees), rounded to six digits as the service rounds.  Understood: ``-source`` (a
table, or a catalogue's name for all its tables), ``-out``, ``-out.add``, ``-out.all``,
``-out.max`` (50 if absent; rows that match beyond it are reported by ``OVERFLOW`` unless
``silent``), ``-c`` with ``-c.rd``, and constraints ``>=x``, ``<=x``, ``>x``, ``<x``, ``!=x``,
``a..b``, ``x`` and ``a,b,c`` by column.  An unknown table is answered by
``<INFO name="Error" ...>``, no match by a document without tables, an unknown column by a warning
behind the rows.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from urllib.parse import parse_qsl

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tests.servers.loopback import HTML_404, LoopbackServer, Reply, Request
from tests.servers.votables import document, info, table_xml

XML = {"Content-Type": "text/xml;charset=UTF-8"}
DEFAULT_ROWS = 50


class VizieREmulator(LoopbackServer):
    """Given tables by VizieR name.

    Parameters
    ----------
    tables : mapping of str to pyarrow.Table
        By table name, for example ``II/317/sample``.
    limit : int, optional
        Most rows of any answer, whatever was asked.
    silent : bool
        Whether an answer that was cut says nothing of it but the number of ``matches``.
    """

    def __init__(
        self, tables: Mapping[str, pa.Table], *, limit: int | None = None, silent: bool = False
    ) -> None:
        super().__init__()
        self.tables = dict(tables)
        self.limit, self.silent = limit, silent

    def handle(self, request: Request) -> Reply:
        if request.path.rstrip("/") != "/viz-bin/votable":
            return Reply(HTML_404, 404, {"Content-Type": "text/html"})
        return Reply(self.document(asked(request)), headers=XML)

    def document(self, told: Mapping[str, str]) -> bytes:
        source = told.get("-source", "")
        names = [n for n in self.tables if n == source or n.startswith(f"{source}/")]
        parts = [info("-ref", "VOTx1"), info("-out.max", told.get("-out.max", str(DEFAULT_ROWS)))]
        if not names:
            words = f"Catalogue or table not found: {source}"
            return document([*parts, info("Error", words), info("QUERY_STATUS", "ERROR", words)])
        behind: list[str] = []
        for name in names:
            rows = chosen(self.tables[name], told)
            cut = rows.slice(0, self.most(told))
            if cut.num_rows:
                parts += [info("matches", str(rows.num_rows), "matching records")]
                parts += [table_xml(output(cut, told, name, behind), name)]
            if cut.num_rows < rows.num_rows and not self.silent:
                behind.append(info("QUERY_STATUS", "OVERFLOW", "truncated result"))
        return document([*parts, *behind])

    def most(self, told: Mapping[str, str]) -> int:
        asked_rows = told.get("-out.max", str(DEFAULT_ROWS))
        most = 10**9 if asked_rows == "unlimited" else int(asked_rows)
        return min(most, self.limit or most)


def asked(request: Request) -> dict[str, str]:
    """Parameters of a query string, and of a body of lines (raw) or of a form."""
    text = request.body.decode()
    if "form-urlencoded" in request.headers.get("content-type", ""):
        return dict(parse_qsl(text, keep_blank_values=True))
    pairs = (line.partition("=") for line in text.splitlines() if line.strip())
    return {**request.query, **{name.strip(): value.strip() for name, _, value in pairs}}


def positions(table: pa.Table) -> tuple[np.ndarray, np.ndarray]:
    first = "_RAJ2000" if "_RAJ2000" in table.column_names else "RAJ2000"
    names = (first, first.replace("RA", "DE"))
    return tuple(np.asarray(table[n].to_numpy(zero_copy_only=False), float) for n in names)


def chosen(table: pa.Table, told: Mapping[str, str]) -> pa.Table:
    keep = np.ones(table.num_rows, bool)
    if "-c" in told:
        keep &= around(table, told)
    for name, constraint in told.items():
        if not name.startswith("-") and name in table.column_names:
            keep &= holds(table[name], constraint)
    return table.filter(pa.array(keep))


def around(table: pa.Table, told: Mapping[str, str]) -> np.ndarray:
    """Rows within ``-c.rd`` degrees of ``-c``, by the scalar product of unit vectors."""
    place = told["-c"]
    cut = max(place.rfind("+"), place.rfind("-"))
    ra, dec = positions(table)
    vectors = unit(ra, dec)
    towards = unit(np.array([float(place[:cut])]), np.array([float(place[cut:])]))[0]
    return vectors @ towards >= math.cos(math.radians(float(told["-c.rd"])))


def unit(ra: np.ndarray, dec: np.ndarray) -> np.ndarray:
    a, d = np.radians(ra), np.radians(dec)
    return np.stack([np.cos(d) * np.cos(a), np.cos(d) * np.sin(a), np.sin(d)], axis=1)


def holds(column: pa.ChunkedArray, constraint: str) -> np.ndarray:
    """Whether each value meets a constraint; an empty cell meets none."""
    tests = {">=": pc.greater_equal, "<=": pc.less_equal, "!=": pc.not_equal, ">": pc.greater,
             "<": pc.less}  # fmt: skip
    first, dots, last = constraint.partition("..")
    sign = next((sign for sign in tests if constraint.startswith(sign)), "")
    if dots:
        low, high = (pa.scalar(text).cast(column.type) for text in (first, last))
        met = pc.and_(pc.greater_equal(column, low), pc.less_equal(column, high))
    elif sign:
        met = tests[sign](column, pa.scalar(constraint[len(sign) :]).cast(column.type))
    else:
        values = constraint.removeprefix("=").split(",")
        met = pc.is_in(column, value_set=pa.array(values).cast(column.type))
    return np.asarray(pc.fill_null(met, False).to_numpy(zero_copy_only=False), bool)


def output(table: pa.Table, told: Mapping[str, str], name: str, behind: list[str]) -> pa.Table:
    """Columns that were asked; a warning for each that is unknown."""
    if "_RAJ2000" not in table.column_names and "RAJ2000" in table.column_names:
        for column, values in zip(("_RAJ2000", "_DEJ2000"), positions(table), strict=True):
            table = table.append_column(column, pa.array(np.round(values, 6)))
    names = [n for key in ("-out.add", "-out") for n in told.get(key, "").split(",") if n]
    if "-out.all" in told or not names:
        return table
    for unknown in (n for n in names if n not in table.column_names):
        behind.append(info("Warning", f"Column '{unknown}' unknown in '{name}'"))
    return table.select([n for n in names if n in table.column_names])
