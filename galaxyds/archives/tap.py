"""Tables from a TAP service, asked synchronously (IVOA TAP 1.1, section 2).

The client is its own because the two of the ecosystem do not do what a build needs:
``astroquery.cadc`` drops the row limit that it is given, asks a registry first, and cannot make
cutouts without downloading a vocabulary from ivoa.net, so that nothing of it works on a machine
that reaches the archive alone; ``pyvo`` warns where an answer was cut and returns the part.  Both
bring their own sessions, without limits of rate and size.  The tests hold this client's rows
against those of both, from one server.
"""

from __future__ import annotations

import io
from urllib.parse import urlencode, urljoin, urlsplit

import pyarrow as pa
import requests
import urllib3

from galaxyds.archives.calls import Call, Setback
from galaxyds.archives.http import Http
from galaxyds.archives.redact import shown_url
from galaxyds.archives.votable import LARGEST, ends_whole, read_table, refused

_FORM = {"Content-Type": "application/x-www-form-urlencoded"}
_SEE_OTHER = (302, 303)
_REFUSALS = (400, 403, 404, 413, 422, 500)
_ERROR_BYTES = 1 << 20
_VOTABLE_TYPES = ("application/x-votable+xml", "text/xml", "application/xml")


class OpenHttp(Http):
    """The session for archives that need no account.

    A form that is answered by "see other" is followed with a GET, as TAP allows (UWS 1.1, section
    2.2.3.1); a redirect to a place that wants an account is said, and not followed.
    """

    def _send_once(self, call: Call, url: str) -> requests.Response | Setback:
        if call.method == "POST" and url != call.url:
            call = Call(method="GET", url=url)
        return super()._send_once(call, url)

    def _redirected(self, call: Call, url: str, reply: requests.Response) -> str:
        target = urljoin(url, reply.headers.get("Location", ""))
        if _wants_account(target):
            raise self._error(
                f"redirects to {shown_url(target)}, which wants an account: none is sent; the data "
                "are public, so ask again later or check the service's address", reply,
            )  # fmt: skip
        if call.method == "POST" and reply.status_code in _SEE_OTHER:
            call = Call(method="GET", url=url)
        return super()._redirected(call, url, reply)


class TableHttp(OpenHttp):
    """The session for services that answer with VOTables, errors too, whatever the status."""

    def _sorted(
        self, call: Call, reply: requests.Response, accepted: tuple[int, ...]
    ) -> requests.Response | Setback:
        kind = reply.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        if kind not in _VOTABLE_TYPES or reply.status_code not in _REFUSALS:
            return super()._sorted(call, reply, accepted)
        # A gateway's XML page is no answer of the service: look before it is taken for one.
        with reply:
            body = self._body(reply, _ERROR_BYTES)
        if isinstance(body, Setback):
            return body
        reply.raw = urllib3.HTTPResponse(io.BytesIO(body), preload_content=False)
        spoken = b"VOTABLE" in body[:4096]
        return super()._sorted(call, reply, _REFUSALS if spoken else accepted)


class TAP:
    """A TAP service.

    Parameters
    ----------
    url : str
        Its base, without ``/sync``.
    http : TableHttp
        Session; its service name stands in messages.
    """

    def __init__(self, url: str, http: TableHttp) -> None:
        self.url = url.rstrip("/")
        self.http = http

    def query(self, adql: str, *, most: int | None = None) -> pa.Table:
        """Ask for all rows that a query means.

        Parameters
        ----------
        adql : str
            The query.
        most : int, optional
            Rows to ask for at most; the service's own limit by default.

        Returns
        -------
        pyarrow.Table
            Columns named as in the query.

        Raises
        ------
        ArchiveError
            If the service refuses the query (with its words), fails for good, or delivers fewer
            rows than match.
        DataIntegrityError
            If the answer is no VOTable that may be read.
        """
        fields = {"REQUEST": "doQuery", "LANG": "ADQL", "QUERY": adql, "FORMAT": "votable"}
        if most is not None:
            fields["MAXREC"] = str(most)
        call = Call(
            method="POST", url=f"{self.url}/sync", headers=_FORM, body=urlencode(fields).encode()
        )
        answer = self.http.send(
            call, max_bytes=LARGEST, complete=lambda answer: ends_whole(answer.body)
        )
        table = read_table(answer.body, source=self.http.service)
        if answer.status >= 300:
            raise refused(self.http.service, f"answers HTTP {answer.status} with a table")
        return table


def _wants_account(url: str) -> bool:
    parts = urlsplit(url).path.lower().split("/")
    return bool({"auth", "login"} & set(parts))
