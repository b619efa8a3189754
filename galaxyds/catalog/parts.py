"""Catalogues of the same objects, joined by position."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from galaxyds.catalog.positions import nearest

if TYPE_CHECKING:
    from numpy.typing import NDArray

JOIN_RADIUS = 0.6
"""Arcseconds within which two catalogues of the same images mean the same object."""


def join_parts(
    tables: Mapping[str, pa.Table],
    positions: Mapping[str, tuple[str, str]],
    *,
    radius: float = JOIN_RADIUS,
) -> pa.Table:
    """Join tables row to row where each is the other's nearest.

    Parameters
    ----------
    tables : mapping of str to pyarrow.Table
        By part; the first is what the others are joined to.
    positions : mapping of str to (str, str)
        Names of the columns in degrees, by part.
    radius : float
        Arcseconds.

    Returns
    -------
    pyarrow.Table
        Objects that are in all parts, in the first one's order; every column with the suffix
        ``_<part>``.
    """
    located = {part: _located(table, positions[part]) for part, table in tables.items()}
    (first, (table, ra, dec)), *others = located.items()
    joined = _suffixed(table, first)
    for part, (other, to_ra, to_dec) in others:
        there, _ = nearest(ra, dec, to_ra=to_ra, to_dec=to_dec, radius=radius)
        back, _ = nearest(to_ra, to_dec, to_ra=ra, to_dec=dec, radius=radius)
        near = np.flatnonzero(there >= 0)
        mutual = near[back[there[near]] == near]
        joined = joined.take(pa.array(mutual))
        for name, column in _columns(_suffixed(other.take(pa.array(there[mutual])), part)):
            joined = joined.append_column(name, column)
        ra, dec = ra[mutual], dec[mutual]
    return joined


def _suffixed(table: pa.Table, part: str) -> pa.Table:
    return table.rename_columns([f"{name}_{part}" for name in table.column_names])


def _columns(table: pa.Table) -> list[tuple[str, pa.ChunkedArray]]:
    return list(zip(table.column_names, table.columns, strict=True))


def _located(
    table: pa.Table, names: tuple[str, str]
) -> tuple[pa.Table, NDArray[np.float64], NDArray[np.float64]]:
    """Rows that have a position, and where they are."""
    ra, dec = (table.column(name).cast(pa.float64()).to_numpy() for name in names)
    there = np.isfinite(ra) & np.isfinite(dec)
    return table.filter(pa.array(there)), ra[there], dec[there]
