"""Published catalogues from VizieR, whole: every row that matches, or an error.

The service is asked in its own form (ASU, lines of ``-name=value``), as ``astroquery.vizier`` asks
it, but through this library's session.  astroquery delivers fifty rows unless it is told
otherwise and says nothing of the others, reads an error of the service as an empty list, keeps
answers in a cache of its own, and insists on https, so that it cannot be pointed at another server.
The tests hold this client's rows against astroquery's, from one server.

How a truncated answer is noticed: the service reports ``OVERFLOW``, or more ``matches`` than rows
came, or the row limit that it says it applied is just reached.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import pyarrow as pa

from galaxyds.archives.cadc_settings import VIZIER, base_url
from galaxyds.archives.calls import Call, Policy
from galaxyds.archives.http import rate_directory
from galaxyds.archives.rate import RateLimit
from galaxyds.archives.redact import shown_url
from galaxyds.archives.regions import Region
from galaxyds.archives.tap import TableHttp
from galaxyds.archives.votable import (
    LARGEST,
    VOTable,
    ends_whole,
    read_document,
    refused,
    require_sound,
    require_whole,
)
from galaxyds.errors import NotInArchiveError, UsageError, one_line

POSITION = ("_RAJ2000", "_DEJ2000")
"""Columns that VizieR computes for every table with positions: degrees (ICRS or FK5, J2000),
also where the table itself is sexagesimal."""
INTERVAL = 0.2
"""Seconds between two requests; the service states no limit, so this one is not verified."""

_SERVICE = "VizieR"
_CATALOG = re.compile(r"[A-Za-z0-9+&./_-]{1,80}")
_COLUMN = re.compile(r"[A-Za-z0-9_.+/()\[\]*'-]{1,60}")
_CONDITION = re.compile(r"[ -~]{1,200}")


class VizieR:
    """The VizieR service.

    Parameters
    ----------
    url : str, optional
        Its host; by default the setting ``GALAXYDS_VIZIER_URL``.
    http : TableHttp, optional
        Session.

    Raises
    ------
    UsageError
        If the setting is no http(s) URL.
    """

    name = "vizier"

    def __init__(self, url: str | None = None, *, http: TableHttp | None = None) -> None:
        self.url = (url or base_url(VIZIER)).rstrip("/")
        self.http = http or TableHttp(
            _SERVICE, policy=Policy(timeout=(15.0, 600.0), first_attempts=6), setting=VIZIER,
            rate=RateLimit(INTERVAL, rate_directory()),
        )  # fmt: skip

    def endpoints(self) -> dict[str, str]:
        """Base URLs in use, by service."""
        return {"catalogues": shown_url(self.url)}

    def table(
        self,
        catalog: str,
        columns: Sequence[str],
        *,
        region: Region | None = None,
        conditions: Mapping[str, str] | None = None,
    ) -> pa.Table:
        """Return all rows of one table, in the service's order.

        Parameters
        ----------
        catalog : str
            Its VizieR name, for example ``J/A+A/609/A84/vipersw1``; a catalogue's name does where
            it has one table.
        columns : sequence of str
            As VizieR names them; for positions ask :data:`POSITION`, never sexagesimal columns.
        region : Circle or Box, optional
            Rows inside only.  The service is asked for a circle around it, and the region's own
            edge is applied here.
        conditions : mapping of str to str, optional
            VizieR's constraints by column, for example ``{"zflg": ">=3"}``.

        Returns
        -------
        pyarrow.Table
            ``columns`` in the order asked; NULL where a cell is empty.  Without rows where nothing
            matches.

        Raises
        ------
        NotInArchiveError
            If there is no such table.
        ArchiveError
            If the service refuses (with its words), fails for good, cuts the answer, or knows a
            column not.
        DataIntegrityError
            If the answer is no VOTable that may be read.
        UsageError
            If a name or a constraint is none.
        """
        wanted = tuple(columns)
        needed = wanted if region is None else tuple(dict.fromkeys((*wanted, *POSITION)))
        found = self._ask(lines(catalog, needed, region=region, conditions=conditions))
        _require_all(found)
        if found.tables:
            table = _the_one(found, catalog)
        else:
            # Nothing matches, or nothing is there: the same question without bounds tells.
            found = self._ask(lines(catalog, needed, most=1))
            table = _the_one(found, catalog).slice(0, 0)
        _require(needed, table, found, catalog)
        return (table if region is None else _inside(table, region)).select(wanted)

    def _ask(self, asked: Sequence[str]) -> VOTable:
        # No content type: the service reads lines, not a form.
        call = Call(
            method="POST", url=f"{self.url}/viz-bin/votable", body="\n".join(asked).encode()
        )
        answer = self.http.send(
            call, max_bytes=LARGEST, complete=lambda answer: ends_whole(answer.body)
        )
        document = read_document(answer.body, source=_SERVICE)
        require_sound(document, _SERVICE)
        if answer.status >= 300:
            raise refused(_SERVICE, f"answers HTTP {answer.status} with a table")
        return document


def lines(
    catalog: str,
    columns: Sequence[str],
    *,
    region: Region | None = None,
    conditions: Mapping[str, str] | None = None,
    most: int | None = None,
) -> list[str]:
    """Return a question as VizieR takes it, one ``-name=value`` per line.

    Parameters
    ----------
    catalog, columns, region, conditions
        As in :meth:`VizieR.table`.
    most : int, optional
        Rows at most; all by default.

    Returns
    -------
    list of str
        Without line ends.

    Raises
    ------
    UsageError
        If a name or a constraint is none.
    """
    _require_word(_CATALOG, catalog, "table")
    for name in columns:
        _require_word(_COLUMN, name, "column")
    computed = [name for name in columns if name.startswith("_")]
    stored = [name for name in columns if not name.startswith("_")]
    told = [f"-source={catalog}", f"-out.max={'unlimited' if most is None else most}"]
    told += [f"-out={','.join(stored)}"] if stored else []
    told += [f"-out.add={','.join(computed)}"] if computed else []
    if region is not None:
        circle = region.around()
        told += [f"-c={circle.ra:.8f}{circle.dec:+.8f}", f"-c.rd={circle.radius:.8f}"]
    for name, constraint in (conditions or {}).items():
        _require_word(_COLUMN, name, "column")
        _require_word(_CONDITION, constraint, "constraint")
        told.append(f"{name}={constraint}")
    return [*told, "-out.meta=huUD", "-out.form=mini", "-oc.form=d"]


def _require_word(pattern: re.Pattern[str], text: str, what: str) -> None:
    # A line end would begin a parameter of its own.
    if not pattern.fullmatch(text):
        raise UsageError(f"no {what} of VizieR: '{one_line(text, 80)}'")


def _require_all(document: VOTable) -> None:
    """Refuse an answer that the service cut, whether it says so or not."""
    require_whole(document, _SERVICE)
    rows = sum(table.num_rows for _, table in document.tables)
    for info in document.values("matches"):
        if len(document.tables) == 1 and info.value.isdigit() and int(info.value) > rows:
            raise refused(
                _SERVICE, f"cut its answer: {info.value} rows match, {rows} came; ask for less "
                "at once", info.words,
            )  # fmt: skip
    for info in document.infos:
        limited = info.name == "-out.max" or info.name.lower() == "maxtuples"
        if limited and info.value.isdigit() and 0 < int(info.value) == rows:
            raise refused(
                _SERVICE, f"cut its answer: it applied a limit of {info.value} rows, and as many "
                "came; ask for less at once", info.words,
            )  # fmt: skip


def _the_one(document: VOTable, catalog: str) -> pa.Table:
    if not document.tables:
        words = _warnings(document)
        raise NotInArchiveError(
            f"{_SERVICE} has no table {catalog}, or none of the columns in it"
            f"{f' (it says: {words})' if words else ''}: look them up at the catalogue's page",
            service=_SERVICE, url="", status=None, answer=words,
        )  # fmt: skip
    if len(document.tables) > 1:
        names = ", ".join(name for name, _ in document.tables)
        raise refused(_SERVICE, f"has several tables of {catalog}; name one of {names}")
    return document.tables[0][1]


def _require(names: Sequence[str], table: pa.Table, document: VOTable, catalog: str) -> None:
    lacking = [name for name in names if name not in table.column_names]
    if lacking:
        words = _warnings(document)
        raise refused(
            _SERVICE, f"has no column {', '.join(lacking)} in {catalog}"
            f"{f', it says: {words}' if words else ''}; look the columns up at the catalogue's "
            "page", words,
        )  # fmt: skip


def _warnings(document: VOTable) -> str:
    return "; ".join(info.words for info in document.values("Warning"))


def _inside(table: pa.Table, region: Region) -> pa.Table:
    ra, dec = (table[name].cast(pa.float64()).to_numpy(zero_copy_only=False) for name in POSITION)
    return table.filter(pa.array(region.holds(ra, dec)))
