"""What every catalogue that executes SQL has in common, whatever its dialect."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from typing import ClassVar

import pyarrow as pa

from galaxyds.archives import sql
from galaxyds.archives.base import CatalogQuery, Need
from galaxyds.archives.predicates import Dialect
from galaxyds.errors import ArchiveError


class CatalogFace:
    """The rows of an archive that also delivers pixels: what its catalogue answers.

    A subclass sets ``_catalog``.
    """

    _catalog: SQLCatalog

    def sql(self, query: CatalogQuery) -> str:
        """Return the text sent for a query; as :meth:`SQLCatalog.sql`."""
        return self._catalog.sql(query)

    def count(self, query: CatalogQuery) -> tuple[int, ...]:
        """Count rows step by step; as :meth:`SQLCatalog.count`."""
        return self._catalog.count(query)

    def rows(self, query: CatalogQuery) -> pa.Table:
        """Return all rows; as :meth:`SQLCatalog.rows`."""
        return self._catalog.rows(query)

    def extent(self, query: CatalogQuery, tile: Sequence[str]) -> tuple[int, int]:
        """Count rows and tiles; as :meth:`SQLCatalog.extent`."""
        return self._catalog.extent(query, tile)

    def departures(self) -> tuple[str, ...]:
        """No departures: this is the sky."""
        return ()


class SQLCatalog(ABC):
    """Counts and lists of ids over anything that executes one SELECT; subclasses fetch the rows.

    Parameters
    ----------
    execute : callable
        Takes one SELECT in the dialect, returns a table whose columns are text or typed.
    service : str
        For messages.
    longest : int
        Most characters of a statement; lists of ids are split to fit.

    Attributes
    ----------
    dialect : str
        What the archive speaks.
    advice : str
        The next step when an answer makes no sense.
    """

    name = ""
    dialect: ClassVar[Dialect]
    advice: ClassVar[str] = "run the same command again"

    def __init__(self, execute: Callable[[str], pa.Table], *, service: str, longest: int) -> None:
        self.execute = execute
        self.service = service
        self.longest = longest

    def sql(self, query: CatalogQuery) -> str:
        """Return the text sent for a query, pages aside, a list of ids shown by its length.

        Raises
        ------
        UsageError
            If the query cannot be put into the dialect.
        """
        return sql.shown(query, dialect=self.dialect)

    def count(self, query: CatalogQuery) -> tuple[int, ...]:
        """Count rows under none, the first, the first two, ... of the predicates, in one scan.

        Returns
        -------
        tuple of int
            ``len(query.predicates) + 1`` numbers.

        Raises
        ------
        ArchiveError
            If the archive refuses, fails or answers nonsense.
        CredentialsError
            If it does not accept the account.
        """
        totals = [0] * (len(query.predicates) + 1)
        for ids in self._parts(query, sql.count_steps):
            statement = sql.count_steps(query, dialect=self.dialect, ids=ids)
            found = self._numbers(statement, len(totals))
            totals = [a + b for a, b in zip(totals, found, strict=True)]
        return tuple(totals)

    @abstractmethod
    def rows(self, query: CatalogQuery) -> pa.Table:
        """Return all rows, in the order of the query's key."""

    def extent(self, query: CatalogQuery, tile: Sequence[str]) -> tuple[int, int]:
        """Count the rows of a query, and its tiles.

        Parameters
        ----------
        query : CatalogQuery
            Without a list of ids.
        tile : sequence of str
            Columns that together name a tile.

        Returns
        -------
        tuple of int
            Rows, tiles.

        Raises
        ------
        ArchiveError
            If the archive refuses, fails or answers nonsense.
        CredentialsError
            If it does not accept the account.
        """
        tiles, rows = self._numbers(sql.extent(query, tile, dialect=self.dialect), 2)
        return rows, tiles

    def endpoints(self) -> dict[str, str]:
        """No base URL is known here: whoever executes knows it."""
        return {}

    def needs(self) -> tuple[Need, ...]:
        """Nothing is needed."""
        return ()

    def departures(self) -> tuple[str, ...]:
        """No departures: this is the sky."""
        return ()

    def _length(self, statement: str) -> int:
        """Characters of a statement as it is sent."""
        return len(statement)

    def _parts(
        self, query: CatalogQuery, render: Callable[..., str]
    ) -> Iterator[tuple[int, ...] | None]:
        """Split a list of ids so that each statement keeps to the longest length."""
        if query.only is None:
            yield None
            return
        ids = sorted(set(query.only[1]))
        room = self.longest - self._length(render(query, dialect=self.dialect, ids=(0,)))
        size = max(1, room // (len(str(ids[-1])) + 1)) if ids else 1
        for start in range(0, len(ids), size):
            yield tuple(ids[start : start + size])

    def _numbers(self, statement: str, wanted: int) -> tuple[int, ...]:
        table = self.execute(statement)
        if table.num_rows != 1 or table.num_columns != wanted:
            raise self._error(
                f"answers a COUNT with {table.num_rows} rows of {table.num_columns} columns"
            )
        try:
            # SUM over no rows is NULL, and NULL is an empty cell in CSV.
            return tuple(int(str(column[0].as_py() or 0)) for column in table.columns)
        except ValueError:
            raise self._error(f"answers a COUNT with '{table.column(0)[0]}'") from None

    def _error(self, what: str) -> ArchiveError:
        return ArchiveError(
            f"{self.service} {what}; {self.advice}",
            service=self.service, url="", status=None, answer=what,
        )  # fmt: skip
