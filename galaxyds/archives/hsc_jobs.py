"""Catalogue jobs of HSC-SSP: submit a SELECT, ask how it stands, bring its rows home, delete it.

The account travels in the body of each request.  It is read when it is used, and shows in no log,
error or pickle.
"""

from __future__ import annotations

import copy
import dataclasses
import json
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import pyarrow as pa

from galaxyds.archives.calls import Answer, Call, Policy, Setback
from galaxyds.archives.hsc_csv import Lines, read_lines
from galaxyds.archives.hsc_session import Body, StreamHttp, shared_rate
from galaxyds.archives.hsc_settings import account, base_url, refused
from galaxyds.archives.redact import REDACTION
from galaxyds.archives.tarstream import CutShort
from galaxyds.errors import (
    ArchiveError,
    CredentialsError,
    NotInArchiveError,
    one_line,
    storage_error,
)

SETTING = "GALAXYDS_HSC_CATALOG_URL"
"""Setting that holds the address of the catalogue service."""
CLIENT_VERSION = 20190514.1
"""Version that the survey's own script states."""
MAX_TABLE_BYTES = 8 << 30
LONGEST_JOB = 24 * 3600.0
FIRST_POLL, LONGEST_POLL = 1.0, 30.0
_DONE, _ERROR = (
    "done",
    "error",
)  # other words of a status are not verified: such a job is waited for
_ENDED = ("cancel", "abort")
_JSON_BYTES = 4 << 20
_TIDYING = Policy(attempts=2, timeout=(10.0, 10.0), longest_retry_after=10.0)


class HSCJobs:
    """Executes SELECTs as catalogue jobs.

    Parameters
    ----------
    base : str, optional
        Base URL; the setting ``GALAXYDS_HSC_CATALOG_URL`` by default.
    release : str
        Data release.
    http : StreamHttp, optional
        The session.
    """

    def __init__(
        self, base: str | None = None, *, release: str = "pdr2", http: StreamHttp | None = None
    ) -> None:
        self.base = (base or base_url(SETTING)).rstrip("/")
        self.release = release
        self.http = http or StreamHttp(
            "HSC catalogue",
            policy=Policy(timeout=(15.0, 660.0)),
            rate=shared_rate(),
            setting=SETTING,
        )

    def __repr__(self) -> str:
        return f"HSCJobs(base={self.base!r}, release={self.release!r})"

    def __call__(self, statement: str) -> pa.Table:
        """Execute a SELECT as a job and bring its rows home.

        The job is deleted whatever happens, and cancelled first if it may still run.

        Parameters
        ----------
        statement : str
            In PostgreSQL's dialect, one line.

        Returns
        -------
        pyarrow.Table
            Columns of text, which lie in a file without a name until they are let go.

        Raises
        ------
        CredentialsError
            If there is no account, or it is refused.
        ArchiveError
            If the query is refused, the job fails, or its answer is no table.
        StorageError
            If there is no room for the answer.
        """
        job, running = self._submit(statement), True
        try:
            self._wait(job)
            running = False
            return self._table(job)
        except ArchiveError as error:
            running = running and error.values.get("job_ended") is None
            raise
        finally:
            for step in ("cancel", "delete") if running else ("delete",):
                with suppress(ArchiveError, CredentialsError):  # a left-over job harms nobody
                    # Tidying up must not keep a user waiting who interrupted.
                    self._send(step, {"id": job}, policy=_TIDYING)

    # one step each ---------------------------------------------------------------------------

    def _submit(self, statement: str) -> Any:
        body = {
            "catalog_job": {
                "sql": statement, "out_format": "csv", "include_metainfo_to_body": False,
                "release_version": self.release,
            },
            "nomail": True, "skip_syntax_check": False,
        }  # fmt: skip
        try:
            # After a cut nobody knows whether the job was taken, and a second one costs the
            # service as much again: few attempts.
            policy = dataclasses.replace(self.http.policy, attempts=3)
            answer = self._send("submit", body, policy=policy)
        except ArchiveError as error:
            if error.values.get("status") != 406:
                raise
            words = error.values.get("answer") or "no reason given"
            raise ArchiveError(
                f"HSC catalogue refuses the query (HTTP 406): {words}; correct the query "
                f"({error.values.get('url')})", **error.values,
            ) from None  # fmt: skip
        job = _decoded(answer).get("id")
        if not isinstance(job, int | str) or isinstance(job, bool) or job == "":
            raise _error(f"answers a job without a number: {answer.words()}", answer)
        return job

    def _wait(self, job: Any) -> None:
        pause, waited = FIRST_POLL, 0.0
        while True:
            answer = self._send("status", {"id": job})
            found = _decoded(answer)
            status = str(found.get("status", "")).lower()
            if status == _DONE:
                return
            if status == _ERROR or status.startswith(_ENDED):
                words = one_line(REDACTION.clean(str(found.get("error") or "no reason given")))
                what = "failed" if status == _ERROR else f"ended as '{one_line(status, 40)}'"
                raise _error(f"job {one_line(str(job), 40)} {what}: {words}", answer, ended=True)
            if waited >= LONGEST_JOB:
                raise _error(f"job {one_line(str(job), 40)} is '{one_line(status, 40)}' after "
                             f"{waited / 3600:.0f} h; ask for less at once", answer)  # fmt: skip
            self.http.clock.sleep(pause)
            waited += pause
            pause = min(2 * pause, LONGEST_POLL)

    def _table(self, job: Any) -> pa.Table:
        """Fetch the answer into a file, and read it into columns of text in another."""
        call = self._call("download", {"id": job})
        with tempfile.TemporaryDirectory(prefix="galaxyds-", ignore_cleanup_errors=True) as folder:
            try:
                path = Path(folder) / "answer.csv"
                lines = self._asked(
                    lambda: self.http.attempt(
                        call, lambda body: _poured(body, path), max_bytes=MAX_TABLE_BYTES
                    ),
                    call,
                )
                return read_lines(lines, Path(folder) / "columns.arrow", service="HSC catalogue")
            except OSError as error:
                raise storage_error(error, folder) from error

    # requests --------------------------------------------------------------------------------

    def _call(self, step: str, body: dict[str, Any]) -> Call:
        found = account(self.base, SETTING)
        credential = {"account_name": found.user, "password": found.password}
        return Call(
            method="POST", url=f"{self.base}/{step}", secret=True,
            json={"credential": credential, "clientVersion": CLIENT_VERSION, **body},
        )  # fmt: skip

    def _send(self, step: str, body: dict[str, Any], *, policy: Policy | None = None) -> Answer:
        http = self.http
        if policy is not None:
            http = copy.copy(http)
            http.policy = policy
        try:
            return http.send(self._call(step, body), max_bytes=_JSON_BYTES)
        except CredentialsError as error:
            raise refused(error) from None
        except NotInArchiveError as error:
            raise ArchiveError(f"{error.message}: check {SETTING}", **error.values) from None

    def _asked(self, once: Any, call: Call) -> Lines:
        try:
            found: Lines = self.http.persist(once, call)
        except CredentialsError as error:
            raise refused(error) from None
        return found


def _poured(body: Body, path: Path) -> Lines | Setback:
    """Write an answer to a file, from its beginning, and count its lines."""
    newlines, last = 0, b""
    with path.open("wb") as file:
        for piece in body.pieces():
            file.write(piece)
            newlines += piece.count(b"\n")
            last = piece[-1:]
    ended = last in (b"\n", b"")
    if not body.total or not (ended or body.complete):
        raise CutShort
    return Lines(path, newlines + (not ended))


def _decoded(answer: Answer) -> dict[str, Any]:
    try:
        found = json.loads(answer.body)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise _error(f"answers with something that is no JSON object: {answer.words()}", answer)
    return found


def _error(what: str, answer: Answer, *, ended: bool = False) -> ArchiveError:
    more = {"job_ended": True} if ended else {}
    return ArchiveError(
        f"HSC catalogue {what} ({answer.url})",
        service="HSC catalogue", url=answer.url, status=answer.status, answer=answer.words(),
        **more,
    )  # fmt: skip
