"""HSC-SSP PDR2 on loopback: catalogue jobs, cutouts by lists, PSFs by lists.

    python -m tests.servers.hsc [DATA]      DATA: folder of real survey files

serves real cutouts and prints the settings to export; ends with Ctrl-C.
"""

from __future__ import annotations

import base64
import email
import email.policy
import itertools
import json
import sys
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from tests.servers.hsc_files import ListLine, RealCutouts, parse_list, tar_of
from tests.servers.loopback import Fault, LoopbackServer, Reply, Request

JOBS = "/datasearch/api/catalog_jobs"
CUTOUTS = "/das_cutout/pdr2/cgi-bin/cutout"
PSF = "/psf/pdr2/cgi/getpsf"
_REFUSED_SQL = (duckdb.ParserException, duckdb.BinderException, duckdb.CatalogException)

Backend = Callable[[ListLine], "bytes | Iterable[tuple[int, bytes]] | None"]


@dataclass
class Job:
    """A job, and what has been done with it."""

    number: int
    sql: str
    table: pa.Table | None = None
    error: str | None = None
    polls: int = 0
    steps: list[str] = field(default_factory=list)


class HSCEmulator(LoopbackServer):
    """Three services, one account.

    Parameters
    ----------
    execute : callable
        SQL to a table.  A parser, binder or catalogue error of DuckDB is a 406, any other exception
        a job that ends in ``error``.
    cutout, psf : callable
        A line of a list to the bytes of a file, to (tract, bytes) of several, or None.
    words : sequence of str
        States of a job before it is done, one per question.
    most : int
        Connections beyond which the cutout service answers 503.

    Notes
    -----
    Faults beside those of :class:`~tests.servers.loopback.Fault`: ``502``, ``406``, ``job-error``
    (the next job ends so), ``tar`` (these bytes instead of the tar).
    """

    def __init__(
        self,
        execute: Callable[[str], pa.Table] | None = None,
        *,
        cutout: Backend | None = None,
        psf: Backend | None = None,
        account: tuple[str, str] = ("ada", "canary-password"),
        words: tuple[str, ...] = ("waiting", "running"),
        most: int = 4,
    ) -> None:
        super().__init__()
        self.execute, self.account, self.words, self.most = execute, account, words, most
        self.backends = {CUTOUTS: cutout, PSF: psf}
        self.jobs: dict[int, Job] = {}
        self.lists: list[list[ListLine]] = []
        self.booleans = ("t", "f")
        self.wait = 0.0
        self.busy = self.busiest = 0
        self._count = threading.Lock()

    @property
    def settings(self) -> dict[str, str]:
        """Settings that point the archive here."""
        return {
            "GALAXYDS_HSC_CATALOG_URL": f"{self.url}{JOBS}/",
            "GALAXYDS_HSC_CUTOUT_URL": f"{self.url}{CUTOUTS}",
            "GALAXYDS_HSC_PSF_URL": f"{self.url}{PSF}",
            "GALAXYDS_HSC_USER": self.account[0],
            "GALAXYDS_HSC_PASSWORD": self.account[1],
        }

    def handle(self, request: Request) -> Reply:
        if request.method != "POST":
            return Reply(b"only POST", 405)
        if request.path.startswith(f"{JOBS}/"):
            return self.job_call(request.path.removeprefix(f"{JOBS}/"), request)
        if request.path in self.backends:
            return self.list_call(request)
        return Reply(b"no such page", 404)

    def spoil(self, fault: Fault, request: Request) -> Reply | None:
        plain = {"Content-Type": "text/plain", **fault.headers}
        if fault.kind in ("502", "406"):
            return Reply(fault.body or b"Bad Gateway", int(fault.kind), plain)
        if fault.kind == "tar":
            return Reply(fault.body, 200, {"Content-Type": "application/x-tar"}, chunked=True)
        if fault.kind == "job-error":
            reply = self.handle(request)
            list(self.jobs.values())[-1].error = fault.body.decode()
            return reply
        return super().spoil(fault, request)

    # catalogue jobs --------------------------------------------------------------------------

    def job_call(self, step: str, request: Request) -> Reply:
        if not request.headers.get("content-type", "").startswith("application/json"):
            return Reply(b"JSON only", 415)
        body = request.json()
        given = body.get("credential", {})
        if (given.get("account_name"), given.get("password")) != self.account:
            return Reply(b"id or password is wrong", 401)
        if not isinstance(body.get("clientVersion"), float):
            return Reply(b"which client?", 400)
        if step == "submit":
            return self.submit(body["catalog_job"])
        job = self.jobs.get(body.get("id", 0))
        if job is None or "delete" in job.steps:
            return Reply(b"no such job", 404)
        job.steps.append(step)
        if step == "status":
            return self.status(job)
        if step == "download" and job.table is not None:
            body = table_csv(job.table, self.booleans)
            return Reply(body, 200, {"Content-Type": "text/csv"}, chunked=True)
        return Reply(b"", 200 if step in ("cancel", "delete") else 404)

    def submit(self, asked: dict[str, object]) -> Reply:
        assert self.execute is not None
        if (asked["out_format"], asked["release_version"]) != ("csv", "pdr2"):
            return Reply(b"unknown format or release", 406)
        job = Job(len(self.jobs) + 14067, str(asked["sql"]))
        try:
            job.table = self.execute(job.sql)
        except _REFUSED_SQL as error:
            return Reply(f"syntax error: {error}".encode(), 406, {"Content-Type": "text/plain"})
        except Exception as error:
            job.error = str(error)
        with self._count:
            self.jobs[job.number] = job
        return self.shown(job, "queued")

    def status(self, job: Job) -> Reply:
        job.polls += 1
        if job.polls <= len(self.words):
            return self.shown(job, self.words[job.polls - 1])
        return self.shown(job, "error" if job.error is not None else "done")

    def shown(self, job: Job, status: str) -> Reply:
        text = {
            "id": job.number, "user_id": 795, "name": "catalog-job", "status": status,
            "sql": job.sql, "error": job.error if status == "error" else None, "out_format": "csv",
        }  # fmt: skip
        return Reply(json.dumps(text).encode(), headers={"Content-Type": "application/json"})

    # lists -----------------------------------------------------------------------------------

    def list_call(self, request: Request) -> Reply:
        token = base64.b64encode(":".join(self.account).encode()).decode()
        if request.headers.get("authorization") != f"Basic {token}":
            realm = {"WWW-Authenticate": 'Basic realm="hsc-ssp"', "Content-Type": "text/html"}
            return Reply(b"<html><title>401 Unauthorized</title></html>", 401, realm)
        if request.path == PSF and request.query.get("bulk") != "on":
            return Reply(b"one at a time is not served here", 400)
        with self._count:
            self.busy += 1
            self.busiest = max(self.busiest, self.busy)
        try:
            time.sleep(self.wait)
            if self.busy > self.most:
                return Reply(b"too many connections", 503)
            return self.answer_list(request)
        finally:
            with self._count:
                self.busy -= 1

    def answer_list(self, request: Request) -> Reply:
        try:
            lines = parse_list(uploaded(request))
        except (ValueError, KeyError) as error:
            return Reply(f"bad list: {error}".encode(), 400)
        if len(lines) > 1000:
            return Reply(b"too many lines", 400)
        with self._count:
            self.lists.append(lines)
        backend = self.backends[request.path]
        assert backend is not None
        members = []
        for line in lines:
            found = backend(line)
            several = [(line.tract or 0, found)] if isinstance(found, bytes) else found or ()
            members += [(self.member(request.path, line, tract), data) for tract, data in several]
        headers = {
            "Content-Type": "application/x-tar",
            "Content-Disposition": 'attachment; filename="arch-210203-101112.tar"',
        }
        return Reply(tar_of(members), 200, headers, chunked=True)

    def member(self, path: str, line: ListLine, tract: int) -> str:
        """Name of a file in the answer."""
        if path == PSF:
            return (
                f"{line.line}-psf-calexp-{line.rerun}-{line.filter}-{tract}-0,6-"
                f"{line.ra:.5f}-{line.dec:.5f}.fits"
            )
        head = f"arch-210203-101112/{line.line}-cutout-{line.filter}"
        return f"{head}-{tract}-{line.rerun}.fits"


def uploaded(request: Request) -> str:
    """Text of the one file part named ``list`` of a multipart request."""
    kind = request.headers["content-type"]
    message = email.message_from_bytes(
        f"Content-Type: {kind}\r\n\r\n".encode() + request.body, policy=email.policy.default
    )
    parts = list(message.iter_parts())
    (part,) = parts
    if part.get_param("name", header="content-disposition") != "list" or not part.get_filename():
        raise ValueError("one file named list is needed")
    return part.get_content()


def printed(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """A ``real`` as PostgreSQL before version 12 prints it, with six digits; the rest as it is."""
    if not pa.types.is_float32(column.type):
        return column
    values = [None if value is None else float(f"{value:.6g}") for value in column.to_pylist()]
    return pa.chunked_array([pa.array(values, pa.float64())])


def table_csv(table: pa.Table, booleans: tuple[str, str] = ("t", "f")) -> bytes:
    """A table as the service writes it: a comment mark before the first name, NULL empty."""
    columns = [
        pc.if_else(column, *booleans) if pa.types.is_boolean(column.type) else printed(column)
        for column in table.columns
    ]
    sink = pa.BufferOutputStream()
    pyarrow.csv.write_csv(
        pa.table(columns, names=table.column_names), sink,
        pyarrow.csv.WriteOptions(include_header=False),
    )  # fmt: skip
    head = f"# {','.join(table.column_names)}\n".encode()
    return head + sink.getvalue().to_pybytes()


def main() -> None:
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "../shared/data") / "hsc/hyrax_hscstars"
    with HSCEmulator(duckdb.connect().execute, cutout=RealCutouts(folder).cutout) as server:
        for name, value in server.settings.items():
            print(f"export {name}={value}", flush=True)
        for _ in itertools.count():
            time.sleep(3600)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(0)
