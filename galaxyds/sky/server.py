"""A SkyServer of the simulated sky: T-SQL in, an Arrow table out.

It takes what SkyServer's procedure takes (one SELECT, at most 500,000 rows, silently) and refuses
what that refuses, in its words.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from galaxyds.errors import ArchiveError
from galaxyds.sky import fields, main_sample, photometry, spectroscopy, sqlserver
from galaxyds.sky.detections import Detections, detect
from galaxyds.sky.footprint import Footprint
from galaxyds.sky.releases import Release, release
from galaxyds.sky.sqlserver import SQLServer
from galaxyds.sky.universe import Universe

if TYPE_CHECKING:
    import pyarrow as pa

ROW_LIMIT = 500_000
"""Rows after which SkyServer cuts an answer off without a word."""
TABLES = ("PhotoObjAll", "SpecObjAll", "Field", "galSpecInfo", "Photoz")
SERVICE = "the simulated SkyServer"


def tables(
    universe: Universe, footprint: Footprint, release_name: str = "DR17"
) -> dict[str, pa.Table]:
    """Make the catalogue of a footprint.

    Parameters
    ----------
    universe : Universe
    footprint : Footprint
    release_name : str
        Data release, of :mod:`galaxyds.sky.releases`.

    Returns
    -------
    dict of str to pyarrow.Table
        ``PhotoObjAll``, ``SpecObjAll`` and ``Field``, with the archive's column names; in a release
        for the main galaxy sample ``galSpecInfo`` and ``Photoz`` too.
    """
    chosen = release(release_name)
    detections = detect(universe, footprint)
    photo = photometry.table(detections)
    made = {"PhotoObjAll": photo, "Field": photometry.to_arrow(fields.columns(footprint))}
    if chosen.main_sample:
        return {**made, **_main_sample(detections, photo, chosen)}
    spec, _ = spectroscopy.columns(detections, photo.column("objID").to_numpy())
    return {**made, "SpecObjAll": photometry.to_arrow(spec)}


def _main_sample(detections: Detections, photo: pa.Table, chosen: Release) -> dict[str, pa.Table]:
    """Tables of a release for the main galaxy sample, ``PhotoObjAll`` with its further columns."""
    measured = {name: photo.column(name).to_numpy() for name in photo.column_names}
    added = photometry.to_arrow(main_sample.photometry(detections, measured, chosen.extinction))
    for name in added.column_names:
        photo = photo.drop_columns([name]) if name in measured else photo
        photo = photo.append_column(name, added.column(name))
    spec, rows = spectroscopy.columns(detections, measured["objID"], main_sample=True)
    made = {
        "SpecObjAll": spec,
        "galSpecInfo": main_sample.galaxy_spectra(detections, spec, rows),
        "Photoz": main_sample.photometric_redshifts(detections, measured),
    }
    return {"PhotoObjAll": photo, **{k: photometry.to_arrow(v) for k, v in made.items()}}


class SkyServer(SQLServer):
    """Answers T-SQL on a simulated catalogue; at most :data:`ROW_LIMIT` rows, silently.

    Parameters
    ----------
    universe : Universe
    footprint : Footprint
    release_name : str
        Data release, of :mod:`galaxyds.sky.releases`.
    """

    service: ClassVar[str] = SERVICE
    status: ClassVar[int] = 200

    def __init__(
        self, universe: Universe, footprint: Footprint, release_name: str = "DR17"
    ) -> None:
        super().__init__(universe, footprint)
        self.release_name = release_name

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.universe, self.footprint, self.release_name)

    def tables(self) -> dict[str, pa.Table]:
        """Make the tables of the release."""
        return tables(self.universe, self.footprint, self.release_name)

    def translate(self, sql: str) -> str:
        """As :func:`translate`."""
        return translate(sql)


def refusal(sql: str, words: str) -> ArchiveError:
    """Make the error for a statement that the simulated SkyServer does not run."""
    return sqlserver.refusal(SERVICE, SkyServer.status, sql, words)


def translate(sql: str) -> str:
    """Turn T-SQL for SkyServer into DuckDB's dialect.

    Parameters
    ----------
    sql : str
        One SELECT; without TOP, the limit of the archive is put in.

    Returns
    -------
    str

    Raises
    ------
    ArchiveError
        If it is no single SELECT over :data:`TABLES`, or asks for more rows than the limit.
    """
    import sqlglot
    from sqlglot import exp

    if not sql.strip().lower().startswith("select "):
        raise refusal(sql, f"error: must be a select statement: {sql.strip()}")
    try:
        statements = sqlglot.parse(sql, read="tsql")
    except sqlglot.errors.SqlglotError as error:
        raise refusal(sql, f"Incorrect syntax: {error}") from error
    tree = statements[0] if len(statements) == 1 else None
    if not isinstance(tree, exp.Select) or tree.args.get("into"):
        raise refusal(sql, f"error: must be a select statement: {sql.strip()}")
    known = {name.lower() for name in TABLES}
    for table in tree.find_all(exp.Table):
        if table.name.lower() not in known or not isinstance(table.this, exp.Identifier):
            raise refusal(sql, f"Invalid object name '{table.sql(dialect='tsql')}'.")
        table.set("db", None)
        table.set("catalog", None)
    _limit(sql, tree)
    return str(tree.sql(dialect="duckdb"))


def _limit(sql: str, tree: Any) -> None:
    found = tree.args.get("limit")
    if found is None:
        tree.limit(ROW_LIMIT, copy=False)
        return
    wanted = found.expression
    if not wanted.is_int or not 1 <= int(wanted.name) <= ROW_LIMIT:
        raise refusal(sql, f"error: limit is  top {ROW_LIMIT} {sql.strip()}")
