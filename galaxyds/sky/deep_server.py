"""A catalogue service of the simulated Deep layer: ``pdr2_dud.forced``, searched by position."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from galaxyds.sky.hsc_catalogue import tables
from galaxyds.sky.hsc_conditions import DEEP, missing_at
from galaxyds.sky.hsc_footprint import HSCFootprint
from galaxyds.sky.hsc_server import HSCServer, translate
from galaxyds.sky.surveys import HSC

if TYPE_CHECKING:
    from sqlglot import exp

_VALUES = re.compile(r"\(VALUES ((?:\([-0-9.,]+\),?)+)\)")
_STAND_IN = "(0, 0.5, 0.5)"
EXPOSURES = 30
"""Exposures at the centre of an object, where there are any."""


class DeepServer(HSCServer):
    """Answers PostgreSQL over the tables of the schema ``pdr2_dud``, ``conesearch`` included."""

    def tables(self) -> dict[str, pa.Table]:
        """Make ``forced``, ``forced2`` and ``specz``; ``forced`` counts exposures."""
        made = tables(self.universe, self.footprint, DEEP)
        return {**made, "forced": counted(made["forced"], self.footprint)}

    def translate(self, sql: str) -> str:
        """Turn a statement into DuckDB's dialect, or refuse it."""
        import sqlglot
        from sqlglot import exp

        # Thousands of numbers are not worth parsing.
        listed = _VALUES.search(sql)
        short = _VALUES.sub(f"(VALUES {_STAND_IN})", sql) if listed else sql
        tree = sqlglot.parse_one(translate(short, DEEP.schema), read="duckdb")
        for call in list(tree.find_all(exp.Anonymous)):
            if call.name.lower() == "conesearch":
                call.replace(_box(call.expressions))
        text = str(tree.sql(dialect="duckdb"))
        return text.replace(_STAND_IN, listed[1]) if listed else text


def _box(arguments: list[exp.Expression]) -> exp.Expression:
    """A box that holds the circle of a search by position; who asks measures distances anyway."""
    import sqlglot

    coord, ra, dec, radius = arguments
    table = f"{coord.args['table']}." if coord.args.get("table") else ""
    reach = f"({radius.sql()} / 3600.0)"
    north = f"{table}dec BETWEEN {dec.sql()} - {reach} AND {dec.sql()} + {reach}"
    east = f"{table}ra BETWEEN {ra.sql()} - 2 * {reach} AND {ra.sql()} + 2 * {reach}"
    return sqlglot.parse_one(f"({north} AND {east})", read="duckdb")


def counted(forced: pa.Table, footprint: HSCFootprint) -> pa.Table:
    """Append the number of exposures at each object, per band: 0 where the coadd is empty."""
    tract, ra, dec = (forced.column(name).to_numpy() for name in ("tract", "ra", "dec"))
    for band in HSC.bands:
        count = np.zeros(len(tract), np.int32)
        for number in np.unique(tract):
            mine = np.flatnonzero(tract == number)
            x, y = footprint.tract(int(number)).to_pixel(ra[mine], dec[mine])
            empty = missing_at(int(number), x, y, band.name)
            count[mine] = np.where(empty, 0, EXPOSURES)
        forced = forced.append_column(f"{band.name}_inputcount_value", pa.array(count))
    return forced
