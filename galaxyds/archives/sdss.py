"""SDSS: the catalogue through SQL, the pixels as calibrated frames.

Own session instead of astroquery.sdss, because of what astroquery 0.4.11 does on a loopback server:
its answers are cached for a week by default, so a 200 page of HTML stays; ``bestObjID`` is not cast
to an unsigned integer; no rows are returned as None; a one-line page of HTML ends in
FileNotFoundError; the useful text of an SQL error is only in the exception's response; and nothing
notices that the server cut the answer at its row limit.  ``tests/archives/test_sdss_catalog.py``
holds that the rows are the same where astroquery is right.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import pyarrow as pa
import pyarrow.compute as pc

from galaxyds import settings
from galaxyds.archives import sql
from galaxyds.archives.base import FRAMES_ENDPOINT, CatalogQuery, Need, Tile
from galaxyds.archives.catalog import CatalogFace, SQLCatalog
from galaxyds.archives.http import Http, rate_directory
from galaxyds.archives.predicates import Dialect
from galaxyds.archives.rate import RateLimit
from galaxyds.archives.redact import shown_url
from galaxyds.archives.sdss_fields import RERUN, FieldCoverage
from galaxyds.archives.sdss_settings import REGISTER, base_url, chosen_catalog
from galaxyds.archives.skyserver import LONGEST_STATEMENT, ROW_LIMIT, SkyServer, encoded
from galaxyds.archives.tabular import conform, schema
from galaxyds.errors import DataIntegrityError, UsageError

if TYPE_CHECKING:
    from galaxyds.pixels.frame import Frame

BANDS = ("u", "g", "r", "i", "z")
LAST_BOSS_RELEASE = 12
"""Frames up to this release lie under ``boss/``, later ones under ``eboss/``."""
SAS_INTERVAL = 0.1
MAX_FRAME_BYTES = 64 << 20
FRAME_BYTES = 3_500_000  # mean of the five frames of run 94, camcol 1, field 12

_BZIP2_START = (b"1AY&SY", b"\x17rE8P\x90")  # a block, or the end of an empty stream


class SDSSCatalog(SQLCatalog):
    """Rows from anything that executes T-SQL: SkyServer, CasJobs, the simulated sky.

    Pages are cut along the query's unique key: ``SELECT TOP n ... WHERE key > last ORDER BY key``.
    The service cuts longer answers silently, so a page stays below its limit, and the number of
    rows is compared with a COUNT of the same query.

    Parameters
    ----------
    execute : callable
        Takes one SELECT in T-SQL, returns a table whose columns are text or typed.
    page_rows : int
        Rows of a page.
    row_limit : int
        Where the service cuts an answer without saying so.
    longest : int
        Most characters of a statement, percent-encoded; lists of ids are split to fit.
    service : str
        For messages.

    Raises
    ------
    UsageError
        If a page could reach the row limit.
    """

    name = "sdss"
    dialect: ClassVar[Dialect] = "tsql"
    advice: ClassVar[str] = (
        "run the same command again, and if it stays, ask in batch with "
        "GALAXYDS_SDSS_CATALOG=casjobs"
    )

    def __init__(
        self,
        execute: Callable[[str], pa.Table],
        *,
        page_rows: int = 100_000,
        row_limit: int = ROW_LIMIT,
        longest: int = LONGEST_STATEMENT,
        service: str = "SDSS",
    ) -> None:
        if not 0 < page_rows < row_limit:
            raise UsageError(
                f"page_rows must be below the service's limit of {row_limit} rows, got {page_rows}"
            )
        super().__init__(execute, service=service, longest=longest)
        self.page_rows = page_rows
        self.row_limit = row_limit

    def rows(self, query: CatalogQuery) -> pa.Table:
        """Return all rows of a query, in the order of its key.

        Raises
        ------
        ArchiveError
            If the archive refuses, fails, truncates or answers nonsense.
        UsageError
            If the key is not among the columns.
        """
        if query.key not in {column.name for column in query.columns}:
            raise UsageError(f"the key '{query.key}' must be among the columns of the query")
        tables = [self._part(query, ids) for ids in self._parts(query, sql.select)]
        table = pa.concat_tables([schema(query.columns).empty_table(), *tables])
        if query.only is not None:
            table = table.sort_by(query.key)
        self._check_order(table, query.key, None)
        return table.combine_chunks()

    def _length(self, statement: str) -> int:
        # Room for TOP, the last key and the second bracket of a page.
        return len(encoded(statement)) + 80

    def _part(self, query: CatalogQuery, ids: tuple[int, ...] | None) -> pa.Table:
        (expected,) = self._numbers(sql.count(query, ids=ids), 1)
        pages, found, after = [schema(query.columns).empty_table()], 0, None
        while found < expected or (found and pages[-1].num_rows == self.page_rows):
            page = self._page(query, ids, after)
            pages.append(page)
            found += page.num_rows
            if page.num_rows < self.page_rows:
                break
            after = page.column(query.key)[-1].as_py()
        if found != expected:
            raise self._error(f"counts {expected} rows and delivers {found}: an answer was cut")
        return pa.concat_tables(pages)

    def _page(
        self, query: CatalogQuery, ids: tuple[int, ...] | None, after: int | None
    ) -> pa.Table:
        statement = sql.select(query, top=self.page_rows, after=after, ids=ids)
        table = self.execute(statement)
        if table.num_rows > self.page_rows or table.num_rows >= self.row_limit:
            raise self._error(
                f"delivers {table.num_rows} rows where at most {self.page_rows} were asked: "
                f"at its limit of {self.row_limit} an answer is cut silently"
            )
        page = conform(table, query.columns, sql.output_names(query), service=self.service)
        self._check_order(page, query.key, after)
        return page

    def _check_order(self, table: pa.Table, key: str, after: int | None) -> None:
        keys = table.column(key).combine_chunks()
        if len(keys) == 0:
            return
        rising = pc.all(pc.less(keys[:-1], keys[1:])).as_py() if len(keys) > 1 else True
        if not rising or (after is not None and keys[0].as_py() <= after):
            raise self._error(f"delivers rows whose {key} is not unique and rising")


class SDSSArchive(FieldCoverage, CatalogFace):
    """SDSS over the network: SkyServer or CasJobs for rows, the Science Archive Server for frames.

    Can be pickled: a worker process opens its own connections.

    Parameters
    ----------
    skyserver, sas : str, optional
        Base URLs; the settings of :mod:`galaxyds.archives.sdss_settings` by default.
    release : str
        Data release from 9 to 17, ``DR12`` or ``dr12``.
    catalog : str, optional
        ``skyserver`` or ``casjobs``; the setting ``GALAXYDS_SDSS_CATALOG`` by default.
    http : Http, optional
        Session for frames.

    Raises
    ------
    UsageError
        If a setting or the release is wrong.
    """

    name = "sdss"

    def __init__(
        self,
        *,
        skyserver: str | None = None,
        sas: str | None = None,
        release: str = "dr17",
        catalog: str | None = None,
        http: Http | None = None,
    ) -> None:
        self.release = release.lower()
        self.instrument = _instrument(self.release)
        self.sas = sas or base_url("GALAXYDS_SDSS_SAS_URL")
        self.kind = catalog or chosen_catalog()
        if self.kind not in ("skyserver", "casjobs"):
            raise UsageError(
                f"GALAXYDS_SDSS_CATALOG must be skyserver or casjobs, got '{self.kind}'"
            )
        self.skyserver = skyserver or base_url("GALAXYDS_SDSS_SKYSERVER_URL")
        self.http = http or Http(
            "SDSS SAS",
            rate=RateLimit(SAS_INTERVAL, rate_directory()),
            setting="GALAXYDS_SDSS_SAS_URL",
        )
        self._catalog = self._make_catalog()

    def _make_catalog(self) -> SDSSCatalog:
        if self.kind == "casjobs":
            from galaxyds.archives.casjobs import BATCH_ROWS, CasJobs

            return SDSSCatalog(
                CasJobs(context=self.release.upper()), service="CasJobs", longest=200_000,
                page_rows=BATCH_ROWS, row_limit=BATCH_ROWS + 1,
            )  # fmt: skip
        execute = SkyServer(self.skyserver, release=self.release)
        return SDSSCatalog(execute, service="SkyServer")

    def endpoints(self) -> dict[str, str]:
        """Base URLs in use, by service."""
        if self.kind == "casjobs":
            used = {"casjobs": base_url("GALAXYDS_SDSS_CASJOBS_URL"), FRAMES_ENDPOINT: self.sas}
        else:
            used = {"skyserver": self.skyserver, FRAMES_ENDPOINT: self.sas}
        return {service: shown_url(url) for service, url in used.items()}

    def needs(self) -> tuple[Need, ...]:
        """An account, if the catalogue is asked in batch."""
        if self.kind != "casjobs":
            return ()
        advice = f"register at {REGISTER}, set GALAXYDS_SDSS_USER and GALAXYDS_SDSS_PASSWORD"
        return (Need("a SciServer account", settings.has_credentials("SDSS"), advice, True),)

    # pixels ----------------------------------------------------------------------------------

    def frame_url(self, tile: Tile, band: str) -> str:
        """URL of one frame; ``tile`` is run, camcol, field.

        Raises
        ------
        UsageError
            If there is no such band.
        """
        if band not in BANDS:
            raise UsageError(f"SDSS has no band '{band}': it has {', '.join(BANDS)}", band=band)
        run, camcol, _ = tile
        return (
            f"{self.sas}/{self.release}/{self.instrument}/photoObj/frames/{RERUN}/{run}/{camcol}/"
            f"{_frame_name(tile, band)}"
        )

    def frames(self, tile: Tile, bands: Sequence[str], directory: Path) -> dict[str, Path]:
        """Fetch the frames of a field into ``directory``, several at a time.

        Parameters
        ----------
        tile : (int, int, int)
            Run, camcol, field.
        bands : sequence of str
            Of u, g, r, i, z.
        directory : pathlib.Path
            Where they go; a frame that is there already is not fetched again.

        Returns
        -------
        dict of str to pathlib.Path
            One ``.fits.bz2`` per band.  Only its first bytes have been looked at: reading a frame
            checks the rest.

        Raises
        ------
        NotInArchiveError
            If the archive does not hold one of them.
        ArchiveError
            If a transfer fails for good.
        """
        with ThreadPoolExecutor(max_workers=min(4, len(bands)) or 1) as pool:
            paths = list(pool.map(lambda band: self._frame(tile, band, directory), bands))
        return dict(zip(bands, paths, strict=True))

    def read(self, path: Path, band: str) -> Frame:
        """Read and check a frame; as :func:`galaxyds.archives.sdss_frames.read_frame`."""
        from galaxyds.archives.sdss_frames import read_frame

        return read_frame(path, band)

    def neighbours(self, tile: Tile) -> tuple[Tile, ...]:
        """Fields before and after this one in its run and camcol: they overlap by 128 rows."""
        run, camcol, field = tile
        return tuple((run, camcol, near) for near in (field - 1, field + 1) if near > 0)

    def tile_bytes(self, bands: Sequence[str]) -> int:
        """Bytes to fetch for one field, estimated."""
        return FRAME_BYTES * len(bands)

    def _frame(self, tile: Tile, band: str, directory: Path) -> Path:
        destination = directory / _frame_name(tile, band)
        if destination.exists():
            return destination
        return self.http.fetch(
            self.frame_url(tile, band), destination, max_bytes=MAX_FRAME_BYTES, check=check_bzip2
        )


def _instrument(release: str) -> str:
    """Folder of the frames of a data release."""
    number = release.removeprefix("dr")
    if not release.startswith("dr") or not number.isdigit() or not 9 <= int(number) <= 17:
        raise UsageError(
            f"galaxyds does not know the frames of SDSS data release '{release}': use dr9 to dr17"
        )
    return "boss" if int(number) <= LAST_BOSS_RELEASE else "eboss"


def _frame_name(tile: Tile, band: str) -> str:
    run, camcol, field = tile
    return f"frame-{band}-{run:06d}-{camcol}-{field:04d}.fits.bz2"


def check_bzip2(path: Path) -> None:
    """Check that a file begins as bzip2 does; its end is checked when it is read.

    Raises
    ------
    DataIntegrityError
        If it does not.
    """
    with path.open("rb") as file:
        start = file.read(10)
    if not (start.startswith(b"BZh") and start[3:4].isdigit() and start[4:10] in _BZIP2_START):
        name = path.name.removesuffix(".part")
        raise DataIntegrityError(
            f"{name} is no bzip2 file, it begins with {start[:8]!r}: the archive sent something "
            "else; look at the URL with a browser",
            file=str(path), expected="bzip2", got=repr(start),
        )  # fmt: skip
