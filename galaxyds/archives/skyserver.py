"""SkyServer: one SELECT in T-SQL over HTTP, a table of text back, every error in its own words.

**Facts that no source states for DR17**, in one place: the row limit (500,000, as in the public
configuration of DR13), the longest query string (2,048 characters, the default of ASP.NET; it fits
the 21 positions that users found to be the most), and 60 queries a minute (the database's own
procedure; off in its newest text).  All three are kept, and each is checked again by comparing the
rows that came with a COUNT of the same query.  That DR12 answers at the same path as DR17 is not
stated either: an answer that is no table is shown, with its address.
"""

from __future__ import annotations

from urllib.parse import quote_plus

import pyarrow as pa

from galaxyds.archives.calls import Answer, Policy
from galaxyds.archives.http import Http, rate_directory
from galaxyds.archives.rate import RateLimit
from galaxyds.archives.redact import looks_like_html
from galaxyds.archives.sdss_settings import base_url
from galaxyds.archives.tabular import read_csv
from galaxyds.errors import ArchiveError

ROW_LIMIT = 500_000
LONGEST_STATEMENT = 2_000
INTERVAL = 1.02  # a window of 60 s then holds at most 59 requests
MAX_TABLE_BYTES = 512 << 20


def encoded(statement: str) -> str:
    """Return a statement as it stands in a query string."""
    return quote_plus(statement, safe=",()*")


class SkyServer:
    """Executes one SELECT at the SkyServer web service.

    The endpoint is ``/{release}/SkyServerWS/SearchTools/SqlSearch`` and not the front end's
    ``x_results.aspx`` that astroquery uses: its source is public, so the errors are known (a
    refusal by the database's procedure is a table with one column ``error_message`` and status 200,
    an SQL error is status 500 with JSON), and the front end only forwards to it.

    Parameters
    ----------
    base : str, optional
        Base URL; the setting ``GALAXYDS_SDSS_SKYSERVER_URL`` by default.
    release : str
        Data release in the path.
    http : Http, optional
        The session.
    """

    def __init__(
        self, base: str | None = None, *, release: str = "dr17", http: Http | None = None
    ) -> None:
        self.base = base or base_url("GALAXYDS_SDSS_SKYSERVER_URL")
        self.release = release
        self.http = http or Http(
            "SkyServer",
            # A query may run for 600 s before the service gives up.
            policy=Policy(timeout=(15.0, 660.0), attempts=4),
            rate=RateLimit(INTERVAL, rate_directory()),
            setting="GALAXYDS_SDSS_SKYSERVER_URL",
        )

    @property
    def endpoint(self) -> str:
        """URL of the service, without its query."""
        return f"{self.base}/{self.release}/SkyServerWS/SearchTools/SqlSearch"

    def __call__(self, statement: str) -> pa.Table:
        """Execute a SELECT.

        Parameters
        ----------
        statement : str
            T-SQL, one line.

        Returns
        -------
        pyarrow.Table
            Columns of text.

        Raises
        ------
        ArchiveError
            With the service's own words, if it refuses or answers with anything but a table.
        """
        url = f"{self.endpoint}?cmd={encoded(statement)}&format=csv"
        answer = self._ask(url)
        if looks_like_html(answer.body, answer.content_type):
            raise self._error("answers with a web page instead of a table", answer, answer.words())
        if not answer.body.startswith(b"#"):
            raise self._error("answers with something that is no table", answer, answer.words())
        table = read_csv(answer.body.partition(b"\n")[2], service="SkyServer")
        if [name.lower() for name in table.column_names] == ["error_message"]:
            refusal = Answer(
                status=200, headers={}, url=answer.url,
                body="; ".join(table.column(0).to_pylist()).encode(),
            )  # fmt: skip
            raise self._error("refuses the query", answer, refusal.words())
        return table

    def _ask(self, url: str) -> Answer:
        try:
            return self.http.get(url, max_bytes=MAX_TABLE_BYTES, complete=_is_whole)
        except ArchiveError as error:
            if error.values.get("status") != 500:
                raise
            advice = "if it ran out of time, ask in batch with GALAXYDS_SDSS_CATALOG=casjobs"
            raise ArchiveError(f"{error.message}; {advice}", **error.values) from None

    def _error(self, what: str, answer: Answer, words: str) -> ArchiveError:
        return ArchiveError(
            f"SkyServer {what}: {words or 'without a word'} ({answer.url})",
            service="SkyServer", url=answer.url, status=answer.status, answer=words,
        )  # fmt: skip


def _is_whole(answer: Answer) -> bool:
    """Whether a table ends with a complete line; anything else is judged later."""
    return not answer.body.startswith(b"#") or answer.body.endswith(b"\n")
