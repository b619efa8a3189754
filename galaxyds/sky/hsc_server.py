"""A catalogue service of the simulated PDR2: PostgreSQL in, an Arrow table out.

It takes one SELECT over ``pdr2_wide.forced``, ``forced2`` and ``specz`` and refuses anything else
as the service refuses a statement that it cannot parse: with status 406 and a text.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from galaxyds.errors import ArchiveError
from galaxyds.sky import sqlserver
from galaxyds.sky.hsc_catalogue import tables
from galaxyds.sky.hsc_conditions import WIDE
from galaxyds.sky.sqlserver import SQLServer

if TYPE_CHECKING:
    import pyarrow as pa

TABLES = ("forced", "forced2", "specz")
SERVICE = "the simulated HSC catalogue service"


class HSCServer(SQLServer):
    """Answers PostgreSQL over the tables of the schema ``pdr2_wide``."""

    service: ClassVar[str] = SERVICE
    status: ClassVar[int] = 406

    def tables(self) -> dict[str, pa.Table]:
        """Make ``forced``, ``forced2`` and ``specz``."""
        return tables(self.universe, self.footprint)

    def translate(self, sql: str) -> str:
        """As :func:`translate`."""
        return translate(sql)


def refusal(sql: str, words: str) -> ArchiveError:
    """Make the error for a statement that the simulated service does not run."""
    return sqlserver.refusal(SERVICE, HSCServer.status, sql, words)


def translate(sql: str, schema: str = WIDE.schema) -> str:
    """Turn PostgreSQL for the catalogue service into DuckDB's dialect.

    Parameters
    ----------
    sql : str
        One SELECT.
    schema : str
        Of the tables.

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
        known = table.db.lower() == schema and table.name.lower() in TABLES and not table.catalog
        if not known or not isinstance(table.this, exp.Identifier):
            raise refusal(sql, f'relation "{table.sql(dialect="postgres")}" does not exist')
        table.set("db", None)
    for column in tree.find_all(exp.Column):
        column.set("db", None)
    return str(tree.sql(dialect="duckdb"))
