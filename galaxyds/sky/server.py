"""A SkyServer of the simulated sky: T-SQL in, an Arrow table out.

It takes what SkyServer's procedure takes (one SELECT, at most 500,000 rows, silently) and refuses
what that refuses, in its words.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from galaxyds.catalog.engine import connect
from galaxyds.errors import ArchiveError, one_line
from galaxyds.sky import photometry, spectroscopy
from galaxyds.sky.detections import detect
from galaxyds.sky.footprint import Footprint
from galaxyds.sky.universe import Universe

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

ROW_LIMIT = 500_000
"""Rows after which SkyServer cuts an answer off without a word."""
TABLES = ("PhotoObjAll", "SpecObjAll")


def tables(universe: Universe, footprint: Footprint) -> dict[str, pa.Table]:
    """Make the catalogue of a footprint.

    Parameters
    ----------
    universe : Universe
    footprint : Footprint

    Returns
    -------
    dict of str to pyarrow.Table
        ``PhotoObjAll`` and ``SpecObjAll``, with the archive's column names.
    """
    detections = detect(universe, footprint)
    photo = photometry.table(detections)
    spec = spectroscopy.columns(detections, photo.column("objID").to_numpy())
    return {"PhotoObjAll": photo, "SpecObjAll": photometry.to_arrow(spec)}


class SkyServer:
    """Answers T-SQL on a simulated catalogue, which it makes at the first question.

    Parameters
    ----------
    universe : Universe
    footprint : Footprint
    """

    def __init__(self, universe: Universe, footprint: Footprint) -> None:
        self.universe = universe
        self.footprint = footprint
        self._lock = threading.Lock()
        self._connection: duckdb.DuckDBPyConnection | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        # A worker process makes its own catalogue if it ever asks for one.
        return SkyServer, (self.universe, self.footprint)

    def execute(self, sql: str) -> pa.Table:
        """Run one SELECT.

        Parameters
        ----------
        sql : str
            T-SQL over ``SpecObjAll`` and ``PhotoObjAll``.

        Returns
        -------
        pyarrow.Table
            ``specObjID`` as uint64; at most :data:`ROW_LIMIT` rows.

        Raises
        ------
        ArchiveError
            With SkyServer's words for a refused statement, DuckDB's for a wrong one.
        """
        import duckdb

        statement = translate(sql)
        with self._lock:
            try:
                return plain(self._open().sql(statement).to_arrow_table())
            except duckdb.Error as error:
                raise refusal(sql, str(error)) from error

    def _open(self) -> duckdb.DuckDBPyConnection:
        if self._connection is None:
            self._connection = connect()
            for name, table in tables(self.universe, self.footprint).items():
                self._connection.register(name, table)
        return self._connection


def plain(answer: pa.Table) -> pa.Table:
    """Make integers of DuckDB's 128-bit sums, as a server's SUM over integers returns.

    Parameters
    ----------
    answer : pyarrow.Table

    Returns
    -------
    pyarrow.Table
        Decimals without digits after the point as int64.
    """
    import pyarrow as pa

    for place, field in enumerate(answer.schema):
        if pa.types.is_decimal(field.type) and field.type.scale == 0:
            column = answer.column(place).cast(pa.int64())
            answer = answer.set_column(place, field.name, column)
    return answer


def refusal(sql: str, words: str) -> ArchiveError:
    """Make the error for a statement that the simulated SkyServer does not run."""
    return ArchiveError(
        f"the simulated SkyServer refused the query: {one_line(words)}",
        service="simulated SkyServer",
        status=200,
        answer=one_line(words),
        sql=sql,
    )


def translate(sql: str) -> str:
    """Turn T-SQL for SkyServer into DuckDB's dialect.

    Parameters
    ----------
    sql : str
        One SELECT; without TOP, the limit of the archive is put in.

    Returns
    -------
    str

    Raises
    ------
    ArchiveError
        If it is no single SELECT over the two tables, or asks for more rows than the limit.
    """
    import sqlglot
    from sqlglot import exp

    if not sql.strip().lower().startswith("select "):
        raise refusal(sql, f"error: must be a select statement: {sql.strip()}")
    try:
        statements = sqlglot.parse(sql, read="tsql")
    except sqlglot.errors.SqlglotError as error:
        raise refusal(sql, f"Incorrect syntax: {error}") from error
    tree = statements[0] if len(statements) == 1 else None
    if not isinstance(tree, exp.Select) or tree.args.get("into"):
        raise refusal(sql, f"error: must be a select statement: {sql.strip()}")
    known = {name.lower() for name in TABLES}
    for table in tree.find_all(exp.Table):
        if table.name.lower() not in known or not isinstance(table.this, exp.Identifier):
            raise refusal(sql, f"Invalid object name '{table.sql(dialect='tsql')}'.")
        table.set("db", None)
        table.set("catalog", None)
    _limit(sql, tree)
    return str(tree.sql(dialect="duckdb"))


def _limit(sql: str, tree: Any) -> None:
    found = tree.args.get("limit")
    if found is None:
        tree.limit(ROW_LIMIT, copy=False)
        return
    wanted = found.expression
    if not wanted.is_int or not 1 <= int(wanted.name) <= ROW_LIMIT:
        raise refusal(sql, f"error: limit is  top {ROW_LIMIT} {sql.strip()}")
