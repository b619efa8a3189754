"""What the simulated catalogue services have in common: tables made once, one SELECT at a time."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

from galaxyds.catalog.engine import connect
from galaxyds.errors import ArchiveError, one_line

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

    from galaxyds.sky.universe import Universe


class SQLServer(ABC):
    """Answers SQL on a simulated catalogue, which it makes at the first question.

    Parameters
    ----------
    universe : Universe
    footprint : object
        What was observed, in the words of the survey.

    Attributes
    ----------
    service : str
        For messages.
    status : int
        HTTP status with which the service refuses a statement.
    """

    service: ClassVar[str]
    status: ClassVar[int]

    def __init__(self, universe: Universe, footprint: Any) -> None:
        self.universe = universe
        self.footprint = footprint
        self._lock = threading.Lock()
        self._connection: duckdb.DuckDBPyConnection | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        # A worker process makes its own catalogue if it ever asks for one.
        return type(self), (self.universe, self.footprint)

    @abstractmethod
    def tables(self) -> dict[str, pa.Table]:
        """Make the catalogue, by table name."""

    @abstractmethod
    def translate(self, sql: str) -> str:
        """Turn a statement for the service into DuckDB's dialect, or refuse it."""

    def execute(self, sql: str) -> pa.Table:
        """Run one SELECT.

        Parameters
        ----------
        sql : str
            In the service's dialect, over its tables.

        Returns
        -------
        pyarrow.Table

        Raises
        ------
        ArchiveError
            With the service's words for a refused statement, DuckDB's for a wrong one.
        """
        import duckdb

        statement = self.translate(sql)
        with self._lock:
            try:
                return _plain(self._open().sql(statement).to_arrow_table())
            except duckdb.Error as error:
                raise refusal(self.service, self.status, sql, str(error)) from error

    def _open(self) -> duckdb.DuckDBPyConnection:
        if self._connection is None:
            self._connection = connect()
            for name, table in self.tables().items():
                self._connection.register(name, table)
        return self._connection


def refusal(service: str, status: int, sql: str, words: str) -> ArchiveError:
    """Make the error for a statement that a simulated service does not run."""
    return ArchiveError(
        f"{service} refused the query: {one_line(words)}",
        service=service.removeprefix("the "),
        status=status,
        answer=one_line(words),
        sql=sql,
    )


def _plain(answer: pa.Table) -> pa.Table:
    """Make integers of DuckDB's 128-bit sums, as the databases of the archives return them."""
    import pyarrow as pa

    for place, field in enumerate(answer.schema):
        if pa.types.is_decimal(field.type) and field.type.scale == 0:
            column = answer.column(place).cast(pa.int64())
            answer = answer.set_column(place, field.name, column)
    return answer
