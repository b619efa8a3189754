"""A toy of the tables of pdr2_wide, made up from a hash, with the oddities of the real ones."""

from __future__ import annotations

from typing import Any

import duckdb
import numpy as np
import pyarrow as pa

from galaxyds.archives.base import CatalogQuery
from galaxyds.spec import Column
from tests.servers.rows import uniform

OBJECTS = 600
BANDS = "grizy"
TABLES = (
    "pdr2_wide.forced LEFT JOIN pdr2_wide.forced2 USING (object_id) "
    "LEFT JOIN pdr2_wide.specz USING (object_id)"
)


def tables(count: int = OBJECTS, *, repeated: bool = True) -> dict[str, pa.Table]:
    """``forced``, ``forced2`` and ``specz``: a third of the objects has a redshift, a few have two.

    Magnitudes hold NaN, infinities and NULL; names hold commas.
    """
    ids = 36411452835238206 + np.arange(count, dtype=np.int64) * 1_000_003
    forced = {
        "object_id": ids, "tract": (9000 + np.arange(count) % 5).astype(np.int32),
        "skymap_id": ids // 7, "coord": [f"({x:.6f},{x / 7:.6f})" for x in uniform(ids, 1)],
        "ra": 30 + uniform(ids, 2), "dec": -6 + uniform(ids, 3),
    }  # fmt: skip
    for place, band in enumerate(BANDS):
        pick = uniform(ids, 10 + place)
        magnitude = 17 + 8 * uniform(ids, 20 + place)
        magnitude[pick < 0.04], magnitude[pick > 0.97] = np.nan, np.inf
        forced[f"{band}_cmodel_mag"] = pa.array(
            magnitude.astype(np.float32), mask=(pick > 0.5) & (pick < 0.52)
        )
        forced[f"{band}_cmodel_magsigma"] = (0.1 * pick).astype(np.float32)
        forced[f"{band}_cmodel_flag"] = uniform(ids, 30 + place) < 0.05
    second: dict[str, Any] = {"object_id": ids}
    second |= {
        f"{band}_sdsscentroid_flag": uniform(ids, 40 + n) < 0.05 for n, band in enumerate(BANDS)
    }
    return {"forced": pa.table(forced), "forced2": pa.table(second), "specz": _specz(ids, repeated)}


def _specz(ids: np.ndarray, repeated: bool) -> pa.Table:
    chosen = ids[uniform(ids, 4) < 0.35]
    more = chosen[uniform(chosen, 5) < 0.1] if repeated else chosen[:0]
    both = np.concatenate([chosen, more])
    turn = both + np.arange(len(both))
    redshift = 4 * uniform(turn, 6)
    redshift[uniform(turn, 7) < 0.05] = 9.9999
    return pa.table({
        "object_id": both,
        "specz_redshift": redshift,
        "specz_redshift_err": 10 ** (-5 + 6 * uniform(turn, 8)),
        "specz_mag_i": pa.array(20 + uniform(turn, 9), mask=uniform(turn, 50) < 0.1),
        "specz_name": [f"SDSS-DR10-{t % 9973},VIPERS-{t % 7}" for t in turn[::-1].tolist()],
        "specz_flag_homogeneous": uniform(turn, 51) < 0.8,
    })  # fmt: skip


def database(count: int = OBJECTS, *, repeated: bool = True) -> duckdb.DuckDBPyConnection:
    """A DuckDB connection with these tables in the schema ``pdr2_wide``."""
    connection = duckdb.connect()
    connection.execute("CREATE SCHEMA pdr2_wide")
    for name, table in tables(count, repeated=repeated).items():
        connection.register("incoming", table)
        connection.execute(f"CREATE TABLE pdr2_wide.{name} AS SELECT * FROM incoming")
        connection.unregister("incoming")
    return connection


def columns() -> tuple[Column, ...]:
    """What is asked for."""
    plain = [("object_id", "int64"), ("tract", "int32"), ("skymap_id", "int64"),
             ("coord", "string"), ("ra", "float64"), ("dec", "float64")]  # fmt: skip
    made = [Column(name=n, dtype=d, archive=n, description="toy") for n, d in plain]
    spec = [("redshift", "float64", "specz_redshift"),
            ("specz_redshift_err", "float64", "specz_redshift_err"),
            ("specz_mag_i", "float32", "specz_mag_i"), ("specz_name", "string", "specz_name"),
            ("specz_flag_homogeneous", "bool", "specz_flag_homogeneous")]  # fmt: skip
    made += [
        Column(name=n, dtype=d, archive=a, nullable=True, description="toy") for n, d, a in spec
    ]
    for band in BANDS:
        for name in (f"{band}_cmodel_mag", f"{band}_cmodel_magsigma"):
            made.append(
                Column(name=name, dtype="float32", archive=name, nullable=True, description="toy")
            )
    return tuple(made)


def only_tested() -> tuple[Column, ...]:
    """What only predicates look at."""
    names = [f"{band}_{flag}_flag" for band in BANDS for flag in ("cmodel", "sdsscentroid")]
    return tuple(Column(name=n, dtype="bool", archive=n, description="toy") for n in names)


def question(**changes: object) -> CatalogQuery:
    """The selection of a galaxy sample in the manner of the paper, on these tables."""
    given: dict[str, object] = {
        "columns": columns(), "vocabulary": (*columns(), *only_tested()), "tables": TABLES,
        "key": "object_id", "base": "redshift IS NOT NULL",
        "predicates": (
            " AND ".join(f"NOT {band}_cmodel_flag" for band in BANDS),
            " AND ".join(f"NOT {band}_sdsscentroid_flag" for band in BANDS),
            "specz_flag_homogeneous", "redshift > 0.01 AND redshift < 4", "specz_redshift_err < 1",
            " AND ".join(f"{band}_cmodel_mag > 0 AND {band}_cmodel_mag < 50" for band in BANDS),
        ),
    }  # fmt: skip
    return CatalogQuery(**{**given, **changes})  # type: ignore[arg-type]
