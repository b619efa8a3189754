"""HSC-SSP PDR2: the catalogue as SQL jobs, the pixels as cutouts in lists."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import ClassVar

import pyarrow as pa
import pyarrow.compute as pc

from galaxyds import settings
from galaxyds.archives import sql
from galaxyds.archives.base import (
    CUTOUTS_ENDPOINT,
    CatalogQuery,
    Cutout,
    CutoutObject,
    Need,
    PointSpread,
)
from galaxyds.archives.catalog import CatalogFace, SQLCatalog
from galaxyds.archives.hsc_cutouts import HSCCutouts
from galaxyds.archives.hsc_jobs import HSCJobs
from galaxyds.archives.hsc_lists import list_objects
from galaxyds.archives.hsc_psf import HSCPointSpreads
from galaxyds.archives.hsc_settings import ADVICE
from galaxyds.archives.predicates import Dialect
from galaxyds.archives.redact import shown_url
from galaxyds.archives.tabular import conform, schema
from galaxyds.errors import UsageError
from galaxyds.spec import Column

LONGEST_STATEMENT = 100_000
"""Most characters of a statement; the service states no limit, so this one is not verified."""

_TIE = "specz_name"  # what tells the rows of one object apart
_NULLS = ("null", "NULL", "\\N")
_TRUTH = {"t": "true", "f": "false"}  # PostgreSQL's own spelling of a boolean


class HSCCatalog(SQLCatalog):
    """Rows from anything that executes PostgreSQL: catalogue jobs, the simulated sky.

    The whole answer comes from one SELECT, and the number of its rows is compared with a COUNT of
    the same query.  The key need not be unique: an object that has several spectroscopic redshifts
    has several rows.

    Parameters
    ----------
    execute : callable
        Takes one SELECT in PostgreSQL's dialect, returns a table whose columns are text or typed.
    service : str
        For messages.
    longest : int
        Most characters of a statement; lists of ids are split to fit.
    """

    name = "hsc"
    dialect: ClassVar[Dialect] = "postgres"

    def __init__(
        self,
        execute: Callable[[str], pa.Table],
        *,
        service: str = "HSC",
        longest: int = LONGEST_STATEMENT,
    ) -> None:
        super().__init__(execute, service=service, longest=longest)

    def rows(self, query: CatalogQuery) -> pa.Table:
        """Return all rows of a query, by its key; rows of one key by every other column.

        Raises
        ------
        ArchiveError
            If the archive refuses, fails, truncates or answers nonsense.
        CredentialsError
            If it does not accept the account.
        UsageError
            If the key is not among the columns.
        """
        if query.key not in {column.name for column in query.columns}:
            raise UsageError(f"the key '{query.key}' must be among the columns of the query")
        tables = [self._part(query, ids) for ids in self._parts(query, sql.select)]
        table = pa.concat_tables([schema(query.columns).empty_table(), *tables])
        order = sorted(table.column_names, key=lambda name: (name != query.key, name != _TIE))
        return table.sort_by([(name, "ascending") for name in order]).combine_chunks()

    def _part(self, query: CatalogQuery, ids: tuple[int, ...] | None) -> pa.Table:
        (expected,) = self._numbers(sql.count(query, dialect=self.dialect, ids=ids), 1)
        raw = self.execute(sql.select(query, dialect=self.dialect, ids=ids))
        if raw.num_rows != expected:
            raise self._error(
                f"counts {expected} rows and delivers {raw.num_rows}: the answer was cut, or the "
                "catalogue changed meanwhile"
            )
        return self._conformed(raw, query)

    def _conformed(self, raw: pa.Table, query: CatalogQuery) -> pa.Table:
        """Give the declared dtypes column by column: the text of the others may stay on disk."""
        names, columns = sql.output_names(query), query.columns
        if raw.num_columns != len(columns):
            return conform(raw, columns, names, service=self.service)  # says what is wrong
        typed = [
            conform(_plain(raw.select([n]), c), (c,), (names[n],), service=self.service).column(0)
            for n, c in enumerate(columns)
        ]
        return pa.Table.from_arrays(typed, schema=schema(columns))


def _plain(table: pa.Table, column: Column) -> pa.Table:
    """Put PostgreSQL's spellings of NULL and of booleans in a column into the common ones."""
    values = table.column(0)
    if not pa.types.is_string(values.type) or column.dtype == "string":
        return table
    text = pc.if_else(pc.is_in(values, pa.array(_NULLS)), "", values)
    if column.dtype == "bool":
        for short, word in _TRUTH.items():
            text = pc.if_else(pc.equal(text, short), word, text)
    return pa.table([text], names=table.column_names)


class HSCArchive(CatalogFace):
    """HSC-SSP PDR2 over the network: catalogue jobs, cutouts and point-spread functions by lists.

    Can be pickled: the account is not part of it, a process reads it where it is used.

    Parameters
    ----------
    catalog, cutouts, psf : str, optional
        Addresses; the settings of :mod:`galaxyds.archives.hsc_settings` by default.

    Raises
    ------
    UsageError
        If a setting is wrong.
    """

    name = "hsc"

    def __init__(
        self, *, catalog: str | None = None, cutouts: str | None = None, psf: str | None = None
    ) -> None:
        self._jobs = HSCJobs(catalog)
        self._cutouts = HSCCutouts(cutouts)
        self._psf = HSCPointSpreads(psf)
        self._catalog = HSCCatalog(self._jobs, service="HSC catalogue")

    def endpoints(self) -> dict[str, str]:
        """Addresses in use, by service."""
        used = {
            "catalog": self._jobs.base,
            CUTOUTS_ENDPOINT: self._cutouts.url,
            "psf": self._psf.url,
        }
        return {service: shown_url(url) for service, url in used.items()}

    def needs(self) -> tuple[Need, ...]:
        """An account of the survey."""
        return (Need("an HSC-SSP account", settings.has_credentials("HSC"), ADVICE, True),)

    # pixels ----------------------------------------------------------------------------------

    def list_objects(self, bands: Sequence[str]) -> int:
        """Return how many objects, in all bands, fit into one request."""
        return list_objects(bands)

    def cutouts(
        self, objects: Sequence[CutoutObject], bands: Sequence[str], *, half_size: float
    ) -> Iterator[Cutout]:
        """Yield one cutout per object; as :meth:`galaxyds.archives.hsc_cutouts.HSCCutouts`."""
        return self._cutouts.cutouts(objects, bands, half_size=half_size)

    def point_spreads(
        self, objects: Sequence[CutoutObject], bands: Sequence[str]
    ) -> Iterator[PointSpread]:
        """Yield point-spread functions; as :class:`galaxyds.archives.hsc_psf.HSCPointSpreads`."""
        return self._psf.point_spreads(objects, bands)

    def cutout_bytes(self, bands: Sequence[str], *, half_size: float) -> int:
        """Bytes to transfer per object, estimated: its cutouts and point-spread functions."""
        cutouts = self._cutouts.cutout_bytes(bands, half_size=half_size)
        return cutouts + self._psf.point_spread_bytes(bands)
