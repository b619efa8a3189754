"""A catalogue service of the simulated PDR2: PostgreSQL in, an Arrow table out.

It takes one SELECT over ``pdr2_wide.forced``, ``forced2`` and ``specz`` and refuses anything else
as the service refuses a statement that it cannot parse: with status 406 and a text.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from galaxyds.catalog.engine import connect
from galaxyds.errors import ArchiveError, one_line
from galaxyds.sky.hsc_catalogue import SCHEMA, tables
from galaxyds.sky.hsc_footprint import HSCFootprint
from galaxyds.sky.server import plain
from galaxyds.sky.universe import Universe

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

TABLES = ("forced", "forced2", "specz")
SERVICE = "the simulated HSC catalogue service"


class HSCServer:
    """Answers PostgreSQL on a simulated catalogue, which it makes at the first question.

    Parameters
    ----------
    universe : Universe
    footprint : HSCFootprint
    """

    def __init__(self, universe: Universe, footprint: HSCFootprint) -> None:
        self.universe = universe
        self.footprint = footprint
        self._lock = threading.Lock()
        self._connection: duckdb.DuckDBPyConnection | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        # A worker process makes its own catalogue if it ever asks for one.
        return HSCServer, (self.universe, self.footprint)

    def execute(self, sql: str) -> pa.Table:
        """Run one SELECT.

        Parameters
        ----------
        sql : str
            PostgreSQL over the tables of the schema ``pdr2_wide``.

        Returns
        -------
        pyarrow.Table

        Raises
        ------
        ArchiveError
            For a refused statement, or with DuckDB's words for a wrong one.
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


def refusal(sql: str, words: str) -> ArchiveError:
    """Make the error for a statement that the simulated service does not run."""
    return ArchiveError(
        f"{SERVICE} refused the query: {one_line(words)}",
        service=SERVICE,
        status=406,
        answer=one_line(words),
        sql=sql,
    )


def translate(sql: str) -> str:
    """Turn PostgreSQL for the catalogue service into DuckDB's dialect.

    Parameters
    ----------
    sql : str
        One SELECT.

    Returns
    -------
    str

    Raises
    ------
    ArchiveError
        If it is no single SELECT over the three tables.
    """
    import sqlglot
    from sqlglot import exp

    try:
        statements = sqlglot.parse(sql, read="postgres")
    except (sqlglot.errors.SqlglotError, RecursionError) as error:
        raise refusal(sql, f"syntax error: {error}") from error
    tree = statements[0] if len(statements) == 1 else None
    if not isinstance(tree, exp.Select) or tree.args.get("into"):
        raise refusal(sql, f"only a single SELECT is allowed: {sql.strip()}")
    common = {cte.alias_or_name.lower() for cte in tree.find_all(exp.CTE)}
    for table in tree.find_all(exp.Table):
        if not table.db and table.name.lower() in common:
            continue
        known = table.db.lower() == SCHEMA and table.name.lower() in TABLES and not table.catalog
        if not known or not isinstance(table.this, exp.Identifier):
            raise refusal(sql, f'relation "{table.sql(dialect="postgres")}" does not exist')
        table.set("db", None)
    for column in tree.find_all(exp.Column):
        column.set("db", None)
    return str(tree.sql(dialect="duckdb"))
