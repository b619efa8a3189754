"""Catalogues that no archive serves: tables of several sources, made one here, asked with SQL.

The same questions as to any archive are put to one table, ``objects``, so cuts, counts, lists of
objects and the text in the manifest work as they do elsewhere.
"""

from __future__ import annotations

import threading
from abc import abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from galaxyds.archives import sql
from galaxyds.archives.base import CatalogQuery
from galaxyds.archives.catalog import SQLCatalog
from galaxyds.archives.predicates import Dialect
from galaxyds.archives.tabular import conform, schema
from galaxyds.catalog.engine import connect
from galaxyds.catalog.specz import TRAINING, SurveyTally
from galaxyds.errors import one_line

if TYPE_CHECKING:
    import duckdb
    from numpy.typing import NDArray

OBJECTS = "objects"
"""Name of the table in queries."""
LONGEST_STATEMENT = 1_000_000
"""Most characters of a statement; longer lists of ids are asked for in parts."""

_PER_DEGREE = 360_000  # steps of 0.01 arcsec
_STRIDE = 180 * _PER_DEGREE + 1


def one_each(
    redshifts: pa.Table, row: NDArray[np.int64], separation: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Leave each photometric object to one redshift.

    Of several that it is nearest to, one to learn from comes before one to test with, then the
    nearer one, then the first.

    Parameters
    ----------
    redshifts : pyarrow.Table
        With the column ``sample``.
    row : ndarray of int64, shape (n,)
        Photometric object of every redshift, -1 for none.
    separation : ndarray of float64, shape (n,)
        Arcseconds.

    Returns
    -------
    row, separation : ndarray
        The same, -1 and infinite for those that lose.
    """
    tested = np.asarray(pc.not_equal(redshifts.column("sample"), TRAINING)).astype(bool)
    order = np.lexsort((np.arange(len(row)), separation, tested, row))
    again = np.zeros(len(row), bool)
    again[order[1:]] = row[order[1:]] == row[order[:-1]]
    return np.where(again, -1, row), np.where(again, np.inf, separation)


def position_id(ra: NDArray[np.float64], dec: NDArray[np.float64]) -> NDArray[np.int64]:
    """Name objects by where they are, in steps of 0.01 arcsec.

    Parameters
    ----------
    ra, dec : ndarray of float64, (n,)
        Degrees.

    Returns
    -------
    ndarray of int64, (n,)
        floor(360,000 ra) 64,800,001 + floor(360,000 (dec + 90)), which is below 2**53: a
        spreadsheet or a program with floating-point ids does not spoil it.
    """
    east = np.floor(np.mod(ra, 360.0) * _PER_DEGREE).astype(np.int64)
    north = np.floor((np.asarray(dec) + 90.0) * _PER_DEGREE).astype(np.int64)
    # A hair below 0 wraps to exactly 360.
    named: NDArray[np.int64] = (east % (360 * _PER_DEGREE)) * _STRIDE + north
    return named


class Compiled(NamedTuple):
    """What was put together: the table ``objects``, and what each survey brought and lost."""

    table: pa.Table
    tallies: tuple[SurveyTally, ...] = ()


class CompiledCatalog(SQLCatalog):
    """A catalogue over one table that is put together at the first question.

    Subclasses give the table in :meth:`_objects`.  A copy in another process is pickled without it
    and makes its own if it is ever asked.

    Parameters
    ----------
    service : str
        For messages.
    """

    dialect: ClassVar[Dialect] = "duckdb"

    def __init__(self, *, service: str) -> None:
        super().__init__(self._execute, service=service, longest=LONGEST_STATEMENT)
        self._compiled: Compiled | None = None
        self._connection: duckdb.DuckDBPyConnection | None = None
        self._lock = threading.Lock()

    def __getstate__(self) -> dict[str, Any]:
        kept = dict(self.__dict__)
        for name in ("execute", "_compiled", "_connection", "_lock"):
            del kept[name]
        return kept

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self.execute = self._execute
        self._compiled, self._connection = None, None
        self._lock = threading.Lock()

    @abstractmethod
    def _objects(self) -> Compiled:
        """Put the table together, one row per object, NULL where a value is missing."""

    def tallies(self) -> tuple[SurveyTally, ...]:
        """Return what each spectroscopic survey brought and lost, in the order of the surveys.

        Raises
        ------
        GalaxydsError
            If the sources of the catalogue fail.
        """
        with self._lock:
            return self._made().tallies

    def rows(self, query: CatalogQuery) -> pa.Table:
        """Return all rows of a query, by its key.

        Raises
        ------
        ArchiveError
            If the statement fails, or the table does not hold what the query declares.
        UsageError
            If the query cannot be put into SQL.
        """
        names = sql.output_names(query)
        parts = [
            self.execute(sql.select(query, dialect=self.dialect, ids=ids))
            for ids in self._parts(query, sql.select)
        ]
        tables = [conform(part, query.columns, names, service=self.service) for part in parts]
        table = pa.concat_tables([schema(query.columns).empty_table(), *tables])
        # The parts of a long list of ids are each in order.
        table = table.sort_by(query.key) if len(tables) > 1 else table
        return table.combine_chunks()

    def _made(self) -> Compiled:
        """Return what was put together; the caller holds the lock."""
        if self._compiled is None:
            self._compiled = self._objects()
        return self._compiled

    def _execute(self, statement: str) -> pa.Table:
        import duckdb

        with self._lock:
            try:
                return _plain(self._open().sql(statement).to_arrow_table())
            except duckdb.Error as error:
                raise self._error(f"cannot answer: {one_line(str(error), 200)}") from error

    def _open(self) -> duckdb.DuckDBPyConnection:
        if self._connection is None:
            made = self._made()
            self._connection = connect()
            self._connection.register(OBJECTS, made.table)
        return self._connection


def _plain(answer: pa.Table) -> pa.Table:
    """Make integers of DuckDB's 128-bit sums."""
    for place, field in enumerate(answer.schema):
        if pa.types.is_decimal(field.type) and field.type.scale == 0:
            answer = answer.set_column(place, field.name, pc.cast(answer.column(place), pa.int64()))
    return answer
