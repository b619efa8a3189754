"""Objects of the HSC catalogue next to positions, many positions at a time."""

from __future__ import annotations

import hashlib
import logging
import os
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from galaxyds.archives.base import CatalogQuery
from galaxyds.archives.tabular import schema
from galaxyds.errors import storage_error
from galaxyds.spec import Column

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from galaxyds.archives.catalog import SQLCatalog

    Floats = NDArray[np.float64]

RERUN = "pdr2_dud"
"""The Deep and UltraDeep layers of PDR2: rerun of the coadds, and schema of the catalogue."""
HSC_BANDS = ("g", "r", "i", "z", "y")
MATCH_RADIUS = 1.0
"""Arcseconds within which a redshift and an object of the HSC catalogue are one."""
TOGETHER = 2000
"""Positions of one statement: below the longest that is sent."""
PER_BAND = (("cmodel_mag", "float32"), ("cmodel_magsigma", "float32"))
"""What is asked for in every band, and its type."""

_LOG = logging.getLogger(__name__)
_NUMBER = Column(name="number", dtype="int64", archive="t.n", description="position asked for")
_PRIMARY = Column(name="isprimary", dtype="bool", archive="f.isprimary", description="not a copy")
PHOTOMETRY = (
    _NUMBER,
    Column(name="object_id", dtype="int64", archive="f.object_id", description="id"),
    Column(name="ra", dtype="float64", archive="f.ra", description="degrees"),
    Column(name="dec", dtype="float64", archive="f.dec", description="degrees"),
    Column(name="tract", dtype="int32", archive="f.tract", description="tract"),
    Column(name="patch", dtype="int32", archive="f.patch", description="100 x + y"),
    *(
        Column(name=f"{b}_{stem}", dtype=dtype, archive=f"f.{b}_{stem}", nullable=True,
               description=stem)
        for stem, dtype in PER_BAND
        for b in HSC_BANDS
    ),
    *(
        Column(name=f"{b}_inputcount", dtype="int32", archive=f"f.{b}_inputcount_value",
               nullable=True, description="exposures at the centre")
        for b in HSC_BANDS
    ),
)  # fmt: skip
"""What is asked of the catalogue."""


def photometry(
    catalog: SQLCatalog,
    ra: Floats,
    dec: Floats,
    *,
    together: int = TOGETHER,
    folder: Path | None = None,
) -> pa.Table:
    """Ask the catalogue for the primary objects near positions.

    Hundreds of thousands of positions take the service hours: each answer is kept on disk, and a
    build that broke off goes on where it was.

    Parameters
    ----------
    catalog : SQLCatalog
        Speaks PostgreSQL.
    ra, dec : ndarray of float64, shape (n,)
        Degrees.
    together : int
        Positions of one statement.
    folder : pathlib.Path, optional
        Where answers are kept; nothing is kept without one.

    Returns
    -------
    pyarrow.Table
        Columns :data:`PHOTOMETRY`; each object once, by its id.

    Raises
    ------
    ArchiveError
        If the archive refuses, fails, truncates or answers nonsense.
    CredentialsError
        If it does not accept the account.
    StorageError
        If an answer cannot be kept.
    """
    # Neighbours on the sky stand together, so that a statement looks at few places.
    order = np.lexsort((ra, np.floor(dec * 20), np.floor(ra)))
    tables = [schema(PHOTOMETRY).empty_table()]
    for start in range(0, len(order), together):
        some = order[start : start + together]
        tables.append(_answer(catalog, near(ra[some], dec[some]), folder))
        _LOG.info("photometry: %d of %d positions", start + len(some), len(order))
    table = pa.concat_tables(tables)
    _, first = np.unique(table.column("object_id").to_numpy(), return_index=True)
    return table.take(pa.array(first)).combine_chunks()


def _answer(catalog: SQLCatalog, query: CatalogQuery, folder: Path | None) -> pa.Table:
    """Rows of a query, from the folder if it was answered before."""
    if folder is None:
        return catalog.rows(query)
    path = (
        folder
        / f"{hashlib.blake2b(catalog.sql(query).encode(), digest_size=16).hexdigest()}.parquet"
    )
    wanted = schema(query.columns)
    with suppress(OSError, pa.ArrowException):  # not there, or damaged: it is asked for again
        found = pq.read_table(path)
        if found.schema.equals(wanted):
            _LOG.info("photometry: as it was answered on %s", day_of(path))
            return found
    rows, partial = catalog.rows(query), path.with_suffix(f".partial{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(rows, partial)
        partial.replace(path)
    except OSError as error:
        raise storage_error(error, path) from error
    return rows


def day_of(path: Path) -> str:
    """Day on which an answer was kept, as yyyy-mm-dd."""
    return datetime.fromtimestamp(path.stat().st_mtime, UTC).date().isoformat()


def near(ra: Floats, dec: Floats) -> CatalogQuery:
    """Make the question for the primary objects within :data:`MATCH_RADIUS` of positions."""
    listed = ",".join(
        f"({n},{a:.8f},{d:.8f})"
        for n, (a, d) in enumerate(zip(ra.tolist(), dec.tolist(), strict=True))
    )
    low, high = float(dec.min()) - 0.001, float(dec.max()) + 0.001
    return CatalogQuery(
        columns=PHOTOMETRY,
        # The strip of declination tells the database where nothing can be.
        # That conesearch takes columns of a joined list, not constants alone, is not verified.
        tables=f"(VALUES {listed}) AS t (n, ra, dec) JOIN {RERUN}.forced AS f "
        f"ON f.dec BETWEEN {low:.4f} AND {high:.4f} "
        f"AND conesearch(f.coord, t.ra, t.dec, {MATCH_RADIUS:g})",
        predicates=("isprimary",),
        key=_NUMBER.name,
        vocabulary=(*PHOTOMETRY, _PRIMARY),
    )
