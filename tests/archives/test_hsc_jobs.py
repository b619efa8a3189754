"""Catalogue jobs: submitted, waited for, brought home, deleted; every failure in one line."""

from __future__ import annotations

import logging
import pickle
import traceback
import tracemalloc
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
import requests

from galaxyds.archives.hsc_csv import Lines, read_lines
from galaxyds.archives.hsc_jobs import HSCJobs
from galaxyds.archives.hsc_settings import REGISTER
from galaxyds.archives.rate import RateLimit
from galaxyds.errors import ArchiveError, CredentialsError
from tests.servers import Fault
from tests.servers.hsc import JOBS

PASSWORD = "canary-password"
COUNT = "SELECT COUNT(*) AS n FROM pdr2_wide.forced"


@pytest.fixture
def jobs(hsc_server, stream_http):
    stream_http.service = "HSC catalogue"
    return HSCJobs(http=stream_http)


def steps(server):
    return [job.steps for job in server.jobs.values()]


@pytest.fixture
def sent(monkeypatch):
    """Steps and time limits of the requests that really go out."""
    request, seen = requests.Session.request, []

    def noted(session, method, url, **options):
        seen.append((url.rpartition("/")[2], options["timeout"]))
        return request(session, method, url, **options)

    monkeypatch.setattr(requests.Session, "request", noted)
    return seen


class TestRun:
    def test_a_job_from_begin_to_end(self, jobs, hsc_server, fake_time):
        hsc_server.words = ("queued", "wip", "a word nobody knows", "running", "running", "running",
                            "running")  # fmt: skip
        assert jobs(COUNT).to_pydict() == {"n": ["600"]}
        assert steps(hsc_server) == [["status"] * 8 + ["download", "delete"]]
        assert [pause for pause in fake_time.pauses if pause] == [1, 2, 4, 8, 16, 30, 30]

    def test_what_is_sent(self, jobs, hsc_server):
        jobs(COUNT)
        first = hsc_server.requests[0]
        assert (first.method, first.path) == ("POST", f"{JOBS}/submit")
        assert first.headers["content-type"] == "application/json"
        assert "authorization" not in first.headers
        assert first.json() == {
            "credential": {"account_name": "ada", "password": PASSWORD},
            "clientVersion": 20190514.1, "nomail": True, "skip_syntax_check": False,
            "catalog_job": {"sql": COUNT, "out_format": "csv", "include_metainfo_to_body": False,
                            "release_version": "pdr2"},
        }  # fmt: skip
        assert {r.path.rpartition("/")[2] for r in hsc_server.requests} == {
            "submit", "status", "download", "delete"
        }  # fmt: skip

    def test_a_recorded_answer_of_the_service(self, jobs, hsc_server, survey_data):
        """The JSON of a real finished job."""
        name = "protocol/astroquery_hsc/response_query_region_async.dat"
        body = (survey_data / name).read_bytes()
        hsc_server.fail(Fault("body", where="/submit", body=body))
        hsc_server.fail(Fault("body", where="/status", body=body))
        hsc_server.fail(Fault("body", where="/download", body=b"# object_id,ra\n7,1.5\n"))
        assert jobs(COUNT).to_pydict() == {"object_id": ["7"], "ra": ["1.5"]}
        assert [r.json()["id"] for r in hsc_server.requests[1:]] == [14067] * 3

    def test_busy_services_are_asked_again(self, jobs, hsc_server):
        hsc_server.fail(
            Fault("503", where="/submit"), *[Fault("502", where="/status")] * 3,
            Fault("502", where="/download"), Fault("cut-chunked", where="/download", after=5),
            Fault("cut", where="/download", after=5), Fault("503", where="/delete"),
        )  # fmt: skip
        assert jobs("SELECT object_id FROM pdr2_wide.forced").num_rows == 600
        assert len(hsc_server.jobs) == 1
        assert steps(hsc_server)[0][-1] == "delete"

    def test_an_answer_cut_without_a_stated_length(self, jobs, hsc_server):
        hsc_server.fail(Fault("cut-close", where="/download", after=100))
        assert jobs("SELECT object_id FROM pdr2_wide.forced").num_rows == 600

    def test_a_submission_is_not_repeated_for_long(self, jobs, hsc_server):
        hsc_server.fail("502", Fault("cut", where="/submit", after=0))
        assert jobs(COUNT).num_rows == 1
        hsc_server.fail(*[Fault("502", where="/submit")] * 4)
        with pytest.raises(ArchiveError, match="failed 3 times"):
            jobs(COUNT)


class TestFailures:
    def test_401(self, jobs, monkeypatch):
        monkeypatch.setenv("GALAXYDS_HSC_PASSWORD", "another-password")
        with pytest.raises(CredentialsError) as caught:
            jobs(COUNT)
        assert caught.value.message == (
            "HSC catalogue refuses the account (HTTP 401): id or password is wrong; register at "
            f"{REGISTER}, then set GALAXYDS_HSC_USER and GALAXYDS_HSC_PASSWORD"
        )

    def test_no_account(self, jobs, hsc_server, monkeypatch):
        monkeypatch.delenv("GALAXYDS_HSC_USER")
        with pytest.raises(CredentialsError, match="HSC needs an account: register at") as caught:
            jobs(COUNT)
        assert caught.value.message.count("register") == 1
        assert hsc_server.requests == []

    def test_406_with_the_words_of_the_server(self, jobs, hsc_server):
        with pytest.raises(ArchiveError, match=r"refuses the query \(HTTP 406\): syntax error: "
                           r".*redshif.*; correct the query"):  # fmt: skip
            jobs("SELECT redshif FROM pdr2_wide.forced")
        assert hsc_server.jobs == {}

    def test_a_job_that_ends_in_error(self, jobs, hsc_server):
        text = "canceling statement\ndue to statement timeout"
        hsc_server.fail(Fault("job-error", where="/submit", body=text.encode()))
        with pytest.raises(ArchiveError, match="job 14067 failed: canceling statement due to st"):
            jobs(COUNT)
        assert steps(hsc_server) == [["status"] * 3 + ["delete"]]

    def test_a_job_that_somebody_cancelled(self, jobs, hsc_server):
        hsc_server.words = ("running", "Cancelled")
        with pytest.raises(ArchiveError, match="job 14067 ended as 'cancelled': no reason given"):
            jobs(COUNT)
        assert steps(hsc_server)[0][-1] == "delete"

    @pytest.mark.parametrize("at", ["_wait", "_table"])
    def test_an_interrupted_job_is_stopped_and_deleted(self, jobs, hsc_server, monkeypatch, at):
        def interrupt(*args):
            raise KeyboardInterrupt

        monkeypatch.setattr(jobs, at, interrupt)
        with pytest.raises(KeyboardInterrupt):
            jobs(COUNT)
        assert steps(hsc_server)[0][-2:] == (
            ["cancel", "delete"] if at == "_wait" else ["status", "delete"]
        )

    def test_a_job_without_an_end(self, jobs, hsc_server, monkeypatch):
        monkeypatch.setattr("galaxyds.archives.hsc_jobs.LONGEST_JOB", 7200.0)
        hsc_server.words = ("running",) * 10_000
        with pytest.raises(ArchiveError, match="is 'running' after 2 h; ask for less"):
            jobs(COUNT)
        assert steps(hsc_server)[0][-2:] == ["cancel", "delete"]

    def test_a_service_that_stays_away(self, jobs, hsc_server):
        hsc_server.fail(*[Fault("502", where="/status")] * 30)
        with pytest.raises(ArchiveError, match=r"failed 10 times at .*status, the last time: HT"):
            jobs(COUNT)
        assert steps(hsc_server)[0] == ["cancel", "delete"]

    def test_tidying_up_that_fails_hides_nothing(self, jobs, hsc_server):
        hsc_server.fail(*[Fault("502", where="/delete")] * 5)
        assert jobs(COUNT).num_rows == 1
        assert len(hsc_server.faults) == 3

    def test_tidying_up_does_not_wait_for_a_silent_service(self, hsc_server, fake_time, sent):
        jobs = HSCJobs()  # with its own patience: eleven minutes
        jobs.http.clock, jobs.http.rate = fake_time.clock, RateLimit(0.0, clock=fake_time.clock)
        late = Fault("429", headers={"Retry-After": "600"})
        hsc_server.fail(*[replace(late, where=step) for step in ("/cancel", "/delete") * 2])
        hsc_server.fail(*[Fault("502", where="/status")] * 10)
        with pytest.raises(ArchiveError, match="failed 10 times"):
            jobs(COUNT)
        assert {timeout for step, timeout in sent if step == "status"} == {(15.0, 660.0)}
        tidying = [(step, max(timeout)) for step, timeout in sent if step in ("cancel", "delete")]
        assert tidying == [("cancel", 10.0)] * 2 + [("delete", 10.0)] * 2
        assert all(pause < 11 for pause in fake_time.pauses[-2:])

    @pytest.mark.parametrize(("where", "kind", "body", "words"), [
        ("/submit", "body", b"[1]", "something that is no JSON object"),
        ("/submit", "body", b"{}", "answers a job without a number"),
        ("/submit", "html", b"", "something that is no JSON object: SkyServer: Down for mainten"),
        ("/status", "body", b"[" * 100_000, "no JSON object"),
        ("/download", "html", b"", "answers with a web page instead of data: SkyServer: Down"),
        ("/download", "html-as-text", b"", "answers with a web page instead of data: Moved"),
        ("/download", "gzip-bomb", b"", "sends gzip although plain bytes were asked"),
        ("/download", "body", b"# a,a\n1,2\n", "header line is ' a,a'|header line is 'a,a'"),
        ("/download", "body", b"# a,b\n1,2\n3\n", "cannot be right: CSV parse error"),
        ("/download", "body", b"# a,b\n1,\"2\n3,4\n5,6\"\n", "3 lines hold 1 rows: broken quotes"),
    ])  # fmt: skip
    def test_nonsense(self, jobs, hsc_server, where, kind, body, words):
        hsc_server.fail(Fault(kind, where=where, body=body))
        with pytest.raises(ArchiveError, match=words):
            jobs(COUNT)

    def test_a_wrong_address(self, hsc_server, stream_http):
        jobs = HSCJobs(f"{hsc_server.url}/no", http=stream_http)
        with pytest.raises(ArchiveError, match=r"\(HTTP 404\): check GALAXYDS_HSC_CATALOG_URL"):
            jobs(COUNT)

    def test_a_redirect_is_not_followed_with_the_password(self, jobs, hsc_server, skip_nothing):
        hsc_server.fail(Fault("redirect", headers={"Location": f"{skip_nothing.url}/x"}))
        with pytest.raises(ArchiveError, match="which is not followed with credentials"):
            jobs(COUNT)
        assert skip_nothing.requests == []


@pytest.fixture
def skip_nothing():
    """Another host, which remembers who came."""
    from tests.servers import HSCEmulator

    with HSCEmulator() as other:
        yield other


class TestCsv:
    def table(self, tmp_path, text):
        path = tmp_path / "a.csv"
        path.write_bytes(text)
        lines = Lines(path, text.count(b"\n") + (not text.endswith(b"\n")))
        return read_lines(lines, tmp_path / "a.arrow", service="S")

    def test_the_comment_mark_is_no_part_of_a_name(self, tmp_path, survey_data):
        """The header of a real file begins so, behind pandas' own index."""
        real = (survey_data / "hsc/hyrax_hscstars/star_cat_correct.csv").read_text()
        text = "\n".join(line.partition(",")[2] for line in real.splitlines()) + "\n"
        assert text.startswith("# object_id,parent_id,ira,")
        table = self.table(tmp_path, text.encode())
        assert table.column_names[:3] == ["object_id", "parent_id", "ira"]
        assert table.num_rows == 10
        assert table.column("object_id")[0].as_py() == "36411452835238206"

    @pytest.mark.parametrize(("text", "wanted"), [
        (b"# a,b\n1,\n", {"a": ["1"], "b": [""]}),
        (b"# sql: select\n# rows: 1\n# a,b\n1,2\n", {"a": ["1"], "b": ["2"]}),
        (b"a,b\n1,2\n", {"a": ["1"], "b": ["2"]}),
        (b"# a,b\r\n1,2\r\n", {"a": ["1"], "b": ["2"]}),
        (b'#"a",b\n1,"x,y"', {"a": ["1"], "b": ["x,y"]}),
        (b"# a\n", {"a": []}),
        (b"# a,b\nNaN,-Infinity\n", {"a": ["NaN"], "b": ["-Infinity"]}),
    ])  # fmt: skip
    def test_shapes(self, tmp_path, text, wanted):
        assert self.table(tmp_path, text).to_pydict() == wanted

    def test_a_long_table_stays_on_disk(self, jobs, hsc_server):
        """Nothing of the answer is in memory before it is looked at."""
        rows = 100_000
        value = pa.array(np.arange(rows) * 1.5 + 0.123456789)
        table = pa.table({"object_id": np.arange(rows) + 36411452835238206,
                          **{f"c{n}": value for n in range(9)}})  # fmt: skip
        hsc_server.execute = lambda statement: table
        before = pa.total_allocated_bytes()
        tracemalloc.start()
        got = jobs("SELECT 1")
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert got.nbytes > 15 << 20
        assert pa.total_allocated_bytes() - before < 4 << 20
        assert peak < 64 << 20  # the server's own copy of the answer is among it
        assert got.column("object_id").to_pylist() == [str(v) for v in table.column(0).to_pylist()]
        assert got.column("c8").cast(pa.float64()).equals(table.column("c8"))


def test_the_account_shows_nowhere(jobs, hsc_server, caplog, monkeypatch):
    caplog.set_level(logging.DEBUG)
    jobs(COUNT)
    shown = [repr(jobs), repr(vars(jobs)), str(pickle.dumps(HSCJobs()))]
    leaking = f"no {PASSWORD} here".encode()
    hsc_server.fail(
        Fault("406", body=leaking), Fault("500json", body=b'{"message": "%s"}' % leaking),
        Fault("job-error", where="/submit", body=leaking),
        *[Fault("502", body=leaking, where="/submit")] * 12,
    )  # fmt: skip
    for _ in range(4):
        with pytest.raises(ArchiveError) as caught:
            jobs(COUNT)
        shown += ["".join(traceback.format_exception(caught.value)), repr(caught.value.values)]
    hsc_server.faults.clear()
    monkeypatch.setattr(hsc_server, "account", ("ada", "another"))
    with pytest.raises(CredentialsError) as refused:
        jobs(COUNT)
    shown += ["".join(traceback.format_exception(refused.value)), caplog.text]
    assert "***" in shown[3]
    assert len(caplog.records) > 10
    for text in shown:
        assert PASSWORD not in text


def test_it_travels(jobs, hsc_server):
    again = pickle.loads(pickle.dumps(HSCJobs()))
    again.http = jobs.http
    assert again.base == f"{hsc_server.url}{JOBS}"
    assert again(COUNT).num_rows == 1
