"""A SkyServer of the simulated sky: T-SQL in, an Arrow table out.

It takes what SkyServer's procedure takes (one SELECT, at most 500,000 rows, silently) and refuses
what that refuses, in its words.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from galaxyds.errors import ArchiveError
from galaxyds.sky import photometry, spectroscopy, sqlserver
from galaxyds.sky.detections import detect
from galaxyds.sky.footprint import Footprint
from galaxyds.sky.sqlserver import SQLServer
from galaxyds.sky.universe import Universe

if TYPE_CHECKING:
    import pyarrow as pa

ROW_LIMIT = 500_000
"""Rows after which SkyServer cuts an answer off without a word."""
TABLES = ("PhotoObjAll", "SpecObjAll")
SERVICE = "the simulated SkyServer"


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


class SkyServer(SQLServer):
    """Answers T-SQL on a simulated catalogue; at most :data:`ROW_LIMIT` rows, silently."""

    service: ClassVar[str] = SERVICE
    status: ClassVar[int] = 200

    def tables(self) -> dict[str, pa.Table]:
        """Make ``PhotoObjAll`` and ``SpecObjAll``."""
        return tables(self.universe, self.footprint)

    def translate(self, sql: str) -> str:
        """As :func:`translate`."""
        return translate(sql)


def refusal(sql: str, words: str) -> ArchiveError:
    """Make the error for a statement that the simulated SkyServer does not run."""
    return sqlserver.refusal(SERVICE, SkyServer.status, sql, words)


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
