"""Photometric objects next to redshifts, from the vast catalogue of CFHTLS-Wide at VizieR.

The catalogue has 36 million rows, of which one in three hundred belongs to a redshift: it is asked
box by box, and of every answer only what belongs to a redshift is kept.  That takes hours, so each
box is kept on disk, and a build that broke off goes on where it was.
"""

from __future__ import annotations

import hashlib
import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING

import platformdirs
import pyarrow as pa
import pyarrow.parquet as pq

from galaxyds.archives.cfhtls_objects import (
    CATALOG,
    MATCH_RADIUS,
    PHOTOMETRY,
    cells,
    distinct,
    only_near,
)
from galaxyds.archives.deep_photometry import day_of
from galaxyds.errors import storage_error

if TYPE_CHECKING:
    from galaxyds.archives.regions import Box
    from galaxyds.archives.vizier import VizieR

_LOG = logging.getLogger(__name__)
_TELL = 100  # boxes between two lines in the log


def photometry_near(redshifts: pa.Table, vizier: VizieR, *, folder: Path | None = None) -> pa.Table:
    """Bring the photometric objects next to redshifts.

    Parameters
    ----------
    redshifts : pyarrow.Table
        With columns ra and dec, degrees.
    vizier : VizieR
        Asked for what the folder does not have.
    folder : pathlib.Path, optional
        Where boxes are kept; the platform's cache folder by default.

    Returns
    -------
    pyarrow.Table
        Columns :data:`~galaxyds.archives.cfhtls_objects.PHOTOMETRY`, each object once.

    Raises
    ------
    ArchiveError
        If VizieR fails for good, or cuts an answer.
    StorageError
        If a box cannot be kept.
    """
    kept = folder or Path(platformdirs.user_cache_dir("galaxyds")) / "cfhtls"
    ra, dec = (redshifts.column(name).to_numpy() for name in ("ra", "dec"))
    boxes = list(cells(ra, dec))
    parts: list[pa.Table] = []
    days: list[str] = []
    for number, box in enumerate(boxes, 1):
        inside = redshifts.filter(pa.array(box.holds(ra, dec)))
        parts.append(_of_box(box, inside, vizier, kept, days=days))
        if number % _TELL == 0 or number == len(boxes):
            _LOG.info("photometry: %d of %d boxes", number, len(boxes))
    if days:
        told = (len(days), len(boxes), min(days), max(days))
        _LOG.info("photometry: %d of %d boxes as they were answered from %s to %s", *told)
    return distinct(parts)


def _of_box(
    box: Box, inside: pa.Table, vizier: VizieR, folder: Path, *, days: list[str]
) -> pa.Table:
    """Rows of one box; the day of an answer that was kept is added to ``days``."""
    path = folder / f"{_key(box, inside, vizier.url)}.parquet"
    found = _read(path)
    if found is not None:
        days.append(day_of(path))
    else:
        found = only_near(vizier.table(CATALOG, PHOTOMETRY, region=box), inside)
        _write(found, path)
    return found


def _key(box: Box, inside: pa.Table, url: str) -> str:
    """Digest of all that an answer depends on."""
    digest = hashlib.blake2b(digest_size=16)
    # Plain numbers: how those of numpy are written changes from version to version.
    limits = tuple(float(v) for v in (box.ra_min, box.ra_max, box.dec_min, box.dec_max))
    digest.update(repr((url, CATALOG, PHOTOMETRY, MATCH_RADIUS, limits)).encode())
    for name in ("ra", "dec"):
        digest.update(inside.column(name).to_numpy().tobytes())
    return digest.hexdigest()


def _read(path: Path) -> pa.Table | None:
    try:
        table = pq.read_table(path)
    except FileNotFoundError:
        return None
    except (OSError, pa.ArrowException):
        _LOG.warning("%s is damaged and is brought again", path)
        return None
    return table if table.column_names == list(PHOTOMETRY) else None


def _write(table: pa.Table, path: Path) -> None:
    partial = path.with_suffix(f".partial{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(table, partial)
        partial.replace(path)
    except OSError as error:
        raise storage_error(error, path) from error
