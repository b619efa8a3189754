"""The one way to a DuckDB connection: in memory, locked, with nothing reachable from SQL."""

from __future__ import annotations

from typing import TYPE_CHECKING

import duckdb

if TYPE_CHECKING:
    import pyarrow as pa


def connect(*, threads: int = 1, memory: str = "2GB") -> duckdb.DuckDBPyConnection:
    """Open a locked in-memory database.

    SQL that runs on it cannot read or write files, load extensions, see Python variables or
    unlock it again; tables are handed in with ``connection.register(name, table)``.

    Parameters
    ----------
    threads : int
        Threads of the engine; 1 keeps row order and memory predictable.
    memory : str
        Limit in DuckDB's notation.

    Returns
    -------
    duckdb.DuckDBPyConnection
        Close it, or use it as a context manager.
    """
    connection = duckdb.connect(":memory:")
    connection.execute(f"SET threads = {int(threads)}")
    connection.execute("SET memory_limit = ?", [memory])
    connection.execute("SET python_enable_replacements = false")
    connection.execute("SET autoinstall_known_extensions = false")
    connection.execute("SET autoload_known_extensions = false")
    # In Jupyter without ipywidgets the bar is off, and DuckDB refuses even to switch it off.
    if connection.execute("SELECT current_setting('enable_progress_bar')").fetchone() != (False,):
        connection.execute("SET enable_progress_bar = false")
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")
    return connection


def evaluate(table: pa.Table, sql: str, *, name: str = "catalog") -> pa.Table:
    """Run one SELECT over one table.

    Parameters
    ----------
    table : pyarrow.Table
        Visible to the query as ``name``.
    sql : str
        A SELECT in DuckDB's dialect.
    name : str
        Name of the table in the query.

    Returns
    -------
    pyarrow.Table
        The result.
    """
    with connect() as connection:
        connection.register(name, table)
        return connection.sql(sql).to_arrow_table()
