"""CasJobs: the SDSS catalogue in batch, with a SciServer account, where SkyServer is too narrow.

Five calls: log in, submit a job that writes into the account's MyDB, ask how it stands, fetch the
table page by page, drop it.  The account is read when it is used; neither password nor token shows
in a log or an error.
"""

from __future__ import annotations

import json
import re
import secrets
import threading
from contextlib import suppress
from typing import Any

import pyarrow as pa

from galaxyds import settings
from galaxyds.archives.calls import Answer, Call
from galaxyds.archives.http import Http, rate_directory
from galaxyds.archives.rate import RateLimit
from galaxyds.archives.redact import REDACTION
from galaxyds.archives.sdss_settings import REGISTER, base_url
from galaxyds.archives.tabular import read_csv
from galaxyds.errors import ArchiveError, CredentialsError, one_line

BATCH_ROWS = 2_000_000
FETCH_ROWS = 100_000
POLL_SECONDS = 5.0
MAX_TABLE_BYTES = 512 << 20
_TASK = "galaxyds"
_FINISHED, _FAILED, _CANCELED = 5, 4, 3
_ORDER = re.compile(r" ORDER BY (?:\w+\.)?(\w+)$")


def into(statement: str, table: str) -> str:
    """Turn ``SELECT ... FROM ...`` into ``SELECT ... INTO table FROM ...``.

    Parameters
    ----------
    statement : str
        One SELECT on one line.
    table : str
        Where its rows go.

    Returns
    -------
    str
        The statement with its INTO before the outermost FROM.

    Raises
    ------
    ArchiveError
        If the statement has no FROM.
    """
    depth, quoted = 0, False
    for place, sign in enumerate(statement):
        if sign == "'":
            quoted = not quoted
        elif not quoted:
            depth += {"(": 1, ")": -1}.get(sign, 0)
            if depth == 0 and statement.startswith(" FROM ", place):
                return f"{statement[:place]} INTO {table}{statement[place:]}"
    raise ArchiveError(f"CasJobs cannot store '{one_line(statement, 80)}': it has no FROM")


class CasJobs:
    """Executes SELECTs as batch jobs.

    Parameters
    ----------
    context : str
        Database, for example ``DR17``.
    base, auth : str, optional
        Base URLs of the service and of the login; settings by default.
    http : Http, optional
        The session.
    poll : float
        Seconds between two questions how a job stands; the service asks for at least 5.
    """

    def __init__(
        self,
        *,
        context: str = "DR17",
        base: str | None = None,
        auth: str | None = None,
        http: Http | None = None,
        poll: float = POLL_SECONDS,
    ) -> None:
        self.context = context
        self.base = base or base_url("GALAXYDS_SDSS_CASJOBS_URL")
        self.auth = auth or base_url("GALAXYDS_SDSS_AUTH_URL")
        self.http = http or Http(
            "CasJobs",
            rate=RateLimit(1.0, rate_directory()),
            setting="GALAXYDS_SDSS_CASJOBS_URL",
        )
        self.poll = poll
        self._local = threading.local()

    def __getstate__(self) -> dict[str, Any]:
        # A token never travels: a worker process logs in itself.
        return {name: value for name, value in vars(self).items() if name != "_local"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._local = threading.local()

    def __repr__(self) -> str:
        return f"CasJobs(context={self.context!r}, base={self.base!r})"

    def __call__(self, statement: str) -> pa.Table:
        """Execute a SELECT as a job and bring its rows home.

        Parameters
        ----------
        statement : str
            T-SQL, one line.

        Returns
        -------
        pyarrow.Table
            Columns of text, in the order of the statement's ORDER BY.

        Raises
        ------
        CredentialsError
            If there is no account, or it is refused.
        ArchiveError
            If the job fails.
        """
        table = f"galaxyds_{secrets.token_hex(8)}"
        ordered = _ORDER.search(statement)
        self._wait(self._submit(into(statement, f"mydb.{table}")))
        try:
            return self._fetch(table, ordered[1] if ordered else None)
        finally:
            with suppress(ArchiveError):  # a left-over table harms nobody; the rows are here
                self._query("MyDB", f"DROP TABLE {table}")

    def whoami(self) -> str:
        """Return the user's name as the service knows it.

        Raises
        ------
        CredentialsError
            If there is no account, or it is refused.
        ArchiveError
            If the service fails.
        """
        call = Call(method="GET", url=f"{self.auth}/{self._token()}?TaskName={_TASK}", secret=True)
        found = _decoded(self.http.send(call, max_bytes=1 << 20))
        return one_line(str(found.get("token", {}).get("user", {}).get("name", "")))

    def _login(self) -> str:
        account = settings.credentials("SDSS", register=REGISTER)
        REDACTION.conceal(account.password)
        identity = {"password": {"user": {"name": account.user, "password": account.password}}}
        call = Call(
            method="POST", url=f"{self.auth}?TaskName={_TASK}", secret=True,
            json={"auth": {"identity": identity}},
        )  # fmt: skip
        answer = self.http.send(call, max_bytes=1 << 20)
        token = answer.headers.get("X-Subject-Token", "")
        if not token:
            raise ArchiveError(
                f"the login at {answer.url} gives no token: check GALAXYDS_SDSS_AUTH_URL",
                service="CasJobs", url=answer.url, status=answer.status, answer="",
            )  # fmt: skip
        REDACTION.conceal(token)
        return token

    def _token(self) -> str:
        if not getattr(self._local, "token", ""):
            self._local.token = self._login()
        return str(self._local.token)

    def _send(self, method: str, path: str, *, json: Any = None, repeatable: bool = True) -> Answer:
        """Send with the token; one that has run out is replaced once."""
        for again in (True, False):
            headers = {"X-Auth-Token": self._token(), "Accept": "text/plain"}
            call = Call(
                method=method, url=f"{self.base}/{path}?TaskName={_TASK}", headers=headers,
                json=json, secret=True, repeatable=repeatable,
            )  # fmt: skip
            try:
                return self.http.send(call, max_bytes=MAX_TABLE_BYTES)
            except CredentialsError:
                if not again:
                    raise
                self._local.token = ""
        raise AssertionError("unreachable")

    def _submit(self, statement: str) -> int:
        body = {"Query": statement, "TaskName": _TASK}
        # Not repeatable: after a cut nobody knows whether the job was taken.
        answer = self._send("PUT", f"contexts/{self.context}/jobs", json=body, repeatable=False)
        text = answer.body.decode("ascii", "replace").strip().strip('"')
        if not text.isdigit():
            raise self._error(f"answers a job with '{answer.words()}' instead of a number", answer)
        return int(text)

    def _wait(self, job: int) -> None:
        while True:
            answer = self._send("GET", f"jobs/{job}")
            found = _decoded(answer)
            status = found.get("Status")
            if status == _FINISHED:
                return
            if status in (_FAILED, _CANCELED):
                told = str(found.get("Message") or found.get("Error") or "no reason")
                words = one_line(REDACTION.clean(told))
                what = "failed" if status == _FAILED else "was canceled"
                raise self._error(f"job {job} {what}: {words}", answer)
            self.http.clock.sleep(max(self.poll, POLL_SECONDS))

    def _fetch(self, table: str, key: str | None) -> pa.Table:
        if key is None:
            return self._query("MyDB", f"SELECT * FROM {table}")
        pages: list[pa.Table] = []
        condition = ""
        while not pages or pages[-1].num_rows == FETCH_ROWS:
            statement = f"SELECT TOP {FETCH_ROWS} * FROM {table}{condition} ORDER BY {key}"
            pages.append(self._query("MyDB", statement))
            if pages[-1].num_rows:
                condition = f" WHERE {key} > {pages[-1].column(key)[-1].as_py()}"
        return pa.concat_tables(pages)

    def _query(self, context: str, statement: str) -> pa.Table:
        body = {"Query": statement, "TaskName": _TASK}
        answer = self._send("POST", f"contexts/{context}/query", json=body)
        text = answer.body.replace(b"\r\n", b"\n")
        if text.startswith(b"#"):
            text = text.partition(b"\n")[2]
        if text and not text.endswith(b"\n"):
            raise self._error("sends a table that ends in the middle of a line", answer)
        return read_csv(text, service="CasJobs") if text else pa.table({})

    def _error(self, what: str, answer: Answer) -> ArchiveError:
        return ArchiveError(
            f"CasJobs {what} ({answer.url})",
            service="CasJobs", url=answer.url, status=answer.status, answer=answer.words(),
        )  # fmt: skip


def _decoded(answer: Answer) -> dict[str, Any]:
    try:
        found = json.loads(answer.body)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise ArchiveError(
            f"CasJobs answers with something that is no JSON object: {answer.words()} "
            f"({answer.url})",
            service="CasJobs", url=answer.url, status=answer.status, answer=answer.words(),
        )  # fmt: skip
    return found
