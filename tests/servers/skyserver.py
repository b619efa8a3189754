"""SkyServer's SQL search: T-SQL over HTTP as the public sources of the service treat it.

What the sources say and this does: the database procedure takes one SELECT, inserts TOP where there
is none (and so cuts silently), refuses a larger TOP in a table with one column ``error_message``
and status 200, turns ``;`` and a second SELECT outside of parentheses into a syntax error; an SQL
error is status 500 with JSON whatever format was asked; CSV begins with ``#Table1``, quotes a text
only when it holds a comma and escapes nothing, and is sent in chunks without a length.  Text
compares without case and integers divide without fractions, as in SQL Server.
"""

from __future__ import annotations

import json
import math
import re
import threading
import time
from collections.abc import Mapping
from typing import Any

import duckdb
import pyarrow as pa
import sqlglot
from sqlglot import exp

from tests.servers.loopback import Fault, LoopbackServer, Reply, Request

PATHS = re.compile(r"/dr\d+/(SkyServerWS/SearchTools/SqlSearch|en/tools/search/x_results\.aspx)")
_FILTERED = re.compile(r"[. ](xp|sp|fn|ms|dt)_", re.IGNORECASE)


class RefusalError(Exception):
    """The procedure's own refusal: becomes an ``error_message`` table."""


class SqlError(Exception):
    """SQL Server's refusal: becomes 500 and JSON."""


class TSQL:
    """Executes T-SQL on Arrow tables with DuckDB."""

    def __init__(self, tables: Mapping[str, pa.Table]) -> None:
        self.connection = duckdb.connect()
        for name, table in tables.items():
            self.connection.register(name, table)
        self.connection.execute("SET default_collation = 'nocase'; SET integer_division = true")
        self.lock = threading.Lock()

    def run(self, statement: str) -> pa.Table:
        try:
            tree = sqlglot.parse_one(statement, read="tsql")
            for kind in tree.find_all(exp.DataType):
                if kind.this == exp.DataType.Type.FLOAT:  # T-SQL's float is double
                    kind.set("this", exp.DataType.Type.DOUBLE)
            with self.lock:
                return self.connection.sql(tree.sql("duckdb")).to_arrow_table()
        except (sqlglot.errors.SqlglotError, duckdb.Error) as error:
            raise SqlError(f"Incorrect syntax or name: {str(error).splitlines()[0]}") from None


def procedure(statement: str, limit: int) -> str:
    """What ``spExecuteSQL`` makes of a statement before it runs."""
    text = re.sub(r"/\*.*?\*/|--[^\n]*", " ", statement, flags=re.DOTALL)
    text = " ".join(_FILTERED.sub("#", text).replace(";", "#").split()) + " "
    if not text.lower().startswith("select "):
        raise RefusalError(f"error: must be a select statement: {text}")
    head = re.match(r"select (?:all |distinct )?", text, re.IGNORECASE)
    rest = text[head.end() :]
    top = re.match(r"top (\S+)", rest, re.IGNORECASE)
    if top is None:
        text = f"{text[: head.end()]}top {limit} {rest}"
    elif not top[1].isdigit() or not 1 <= int(top[1]) <= limit:
        raise RefusalError(f"error: limit is  top {limit} {text}")
    return text[:7] + re.sub(r"(?<!\()(?<!\( )\bselect ", "#select ", text[7:], flags=re.IGNORECASE)


def dotnet(value: Any, kind: pa.DataType) -> str:
    """A value as .NET Framework prints it."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value)
    if pa.types.is_floating(kind):
        if math.isnan(value):
            return "NaN"
        return f"{value:.7G}" if pa.types.is_float32(kind) else f"{value:.15G}"
    text = str(value)
    return f'"{text}"' if "," in text and not text.startswith('"') else text


def csv(table: pa.Table) -> bytes:
    """A table as the service writes it."""
    columns = [
        [dotnet(value, column.type) for value in column.to_pylist()] for column in table.columns
    ]
    lines = ["#Table1", ",".join(table.column_names), *map(",".join, zip(*columns, strict=True))]
    return ("\n".join(lines) + "\n").encode()


class SkyServerEmulator(LoopbackServer):
    """``tables`` by their archive names (``SpecObjAll``, ``PhotoObjAll``)."""

    def __init__(
        self,
        tables: Mapping[str, pa.Table],
        *,
        row_limit: int = 500_000,
        longest_query: int = 2048,
        per_minute: int | None = None,
    ) -> None:
        super().__init__()
        self.database = TSQL(tables)
        self.row_limit = row_limit
        self.longest_query = longest_query
        self.per_minute = per_minute
        self.statements: list[str] = []
        self.times: list[float] = []

    def stop(self) -> None:
        super().stop()
        self.database.connection.close()

    def handle(self, request: Request) -> Reply:
        html = {"Content-Type": "text/html; charset=utf-8"}
        if not PATHS.fullmatch(request.path):
            return Reply(b"<html><body>404 - not found</body></html>", 404, html)
        if "cmd" not in request.query:
            text = "There are not enough parameters to process your request."
            return _json_error(400, "BadRequest", text)
        try:
            return self.execute(request.query["cmd"])
        except RefusalError as refusal:
            table = pa.table({"error_message": [str(refusal)]})
        except SqlError as error:
            return _json_error(500, "InternalServerError", str(error))
        return Reply(csv(table), headers={"Content-Type": "text/plain"}, chunked=True)

    def answer(self, request: Request) -> Reply | None:
        if len(request.raw_query) > self.longest_query:
            self.requests.append(request)
            return self.spoil(Fault("long-query"), request)
        return super().answer(request)

    def execute(self, statement: str) -> Reply:
        now = time.monotonic()
        with self._lock:
            self.statements.append(statement)
            self.times = [t for t in self.times if now - t < 60]
            if self.per_minute is not None and len(self.times) > self.per_minute:
                raise RefusalError(
                    f"ERROR: Maximum {self.per_minute} queries allowed per minute. "
                    f"Rejected query: {statement}"
                )
            self.times.append(now)
        table = self.database.run(procedure(statement, self.row_limit))
        return Reply(csv(table), headers={"Content-Type": "text/plain"}, chunked=True)


def _json_error(status: int, kind: str, text: str) -> Reply:
    body = {"ErrorCode": status, "ErrorType": kind, "ErrorMessage": text, "LogMessageID": "1"}
    return Reply(json.dumps(body).encode(), status, {"Content-Type": "application/json"})
