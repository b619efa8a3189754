"""CasJobs: batch jobs with an account, and an account that shows nowhere."""

from __future__ import annotations

import logging
import pickle
import traceback

import pytest

from galaxyds.archives.base import CatalogQuery
from galaxyds.archives.casjobs import CasJobs, into
from galaxyds.archives.sdss import SDSSArchive, SDSSCatalog
from galaxyds.archives.skyserver import SkyServer
from galaxyds.errors import ArchiveError, CredentialsError
from galaxyds.specs.sdss_qso import SPEC
from tests.servers import Fault

PASSWORD = "canary-password"


@pytest.fixture
def jobs(casjobs, http, monkeypatch):
    monkeypatch.setenv("GALAXYDS_SDSS_USER", "ada")
    monkeypatch.setenv("GALAXYDS_SDSS_PASSWORD", PASSWORD)
    http.service = "CasJobs"
    return CasJobs(base=casjobs.rest_url, auth=casjobs.auth_url, http=http)


def ask():
    columns = SPEC.queried_columns()
    cuts = SPEC.configs[0].cuts
    return CatalogQuery(
        columns=columns, vocabulary=columns, tables=SPEC.tables, key=SPEC.key,
        predicates=tuple(cut.sql for cut in cuts),
    )  # fmt: skip


def test_into_goes_before_the_outer_from():
    assert into("SELECT a FROM t", "mydb.x") == "SELECT a INTO mydb.x FROM t"
    nested = "SELECT SUM(c) FROM (SELECT ' FROM ' AS c FROM t) AS s"
    assert into(nested, "mydb.x") == f"SELECT SUM(c) INTO mydb.x{nested[13:]}"
    with pytest.raises(ArchiveError, match="has no FROM"):
        into("SELECT ' FROM '", "mydb.x")


def test_the_same_rows_as_skyserver(jobs, casjobs, skyserver, http, monkeypatch):
    monkeypatch.setattr("galaxyds.archives.casjobs.FETCH_ROWS", 30)
    batch = SDSSCatalog(jobs, page_rows=10_000, row_limit=10_001, service="CasJobs")
    direct = SDSSCatalog(SkyServer(skyserver.url, http=http))
    assert batch.rows(ask()).equals(direct.rows(ask()))
    assert batch.count(ask()) == direct.count(ask())
    assert casjobs.tables == set()


def test_it_logs_in_once_and_polls_gently(jobs, casjobs, fake_time):
    jobs("SELECT COUNT(*) AS n FROM PhotoObjAll AS b")
    logins = [r for r in casjobs.requests if r.path.startswith("/login-portal")]
    assert len(logins) == 1
    assert [pause for pause in fake_time.pauses if pause] == [5, 5]
    submitted = next(r for r in casjobs.requests if r.method == "PUT")
    assert submitted.path == "/CasJobs/RestApi/contexts/DR17/jobs"
    assert submitted.json()["Query"].startswith("SELECT COUNT(*) AS n INTO mydb.galaxyds_")


def test_a_token_that_ran_out_is_replaced(jobs, casjobs):
    assert jobs.whoami() == "ada"
    casjobs.tokens.clear()
    assert jobs("SELECT COUNT(*) AS n FROM PhotoObjAll AS b").column("n").to_pylist() == ["999"]


def test_a_job_that_fails_says_why(jobs, casjobs):
    with pytest.raises(ArchiveError, match=r"CasJobs job 1 failed: Incorrect syntax or name: .*zz"):
        jobs("SELECT b.zz FROM PhotoObjAll AS b")
    assert len(casjobs.jobs) == 1


def test_a_job_is_not_submitted_twice(jobs, casjobs):
    casjobs.fail(Fault("cut", where="/DR17/jobs", after=0))
    with pytest.raises(ArchiveError, match="failed 1 times"):
        jobs("SELECT COUNT(*) AS n FROM PhotoObjAll AS b")
    assert len(casjobs.jobs) == 1
    casjobs.fail(Fault("503", where="/DR17/jobs"))
    assert jobs("SELECT COUNT(*) AS n FROM PhotoObjAll AS b").num_rows == 1


@pytest.mark.parametrize(("body", "words"), [
    (b"<html><title>Oops</title></html>", "instead of a number"),
    (b"seven", "answers a job with 'seven' instead of a number"),
])  # fmt: skip
def test_an_odd_answer_to_a_job(jobs, casjobs, body, words):
    casjobs.fail(Fault("body", where="/DR17/jobs", body=body))
    with pytest.raises(ArchiveError, match=words):
        jobs("SELECT COUNT(*) AS n FROM PhotoObjAll AS b")


def test_an_odd_status(jobs, casjobs):
    casjobs.fail(Fault("body", where="/jobs/1", body=b"[" * 100_000))
    with pytest.raises(ArchiveError, match="no JSON object"):
        jobs("SELECT COUNT(*) AS n FROM PhotoObjAll AS b")


def test_without_an_account(casjobs, http):
    jobs = CasJobs(base=casjobs.rest_url, auth=casjobs.auth_url, http=http)
    with pytest.raises(CredentialsError, match=r"register at https://apps.sciserver.org"):
        jobs("SELECT COUNT(*) AS n FROM PhotoObjAll AS b")
    assert casjobs.requests == []


def test_the_account_shows_nowhere(jobs, casjobs, caplog, monkeypatch):
    caplog.set_level(logging.DEBUG)
    shown = [repr(jobs), repr(vars(jobs))]
    jobs.whoami()
    jobs("SELECT COUNT(*) AS n FROM PhotoObjAll AS b")
    token = casjobs.tokens[0]
    shown += [repr(jobs), caplog.text]
    bodies = [f'{{"message": "no {word}"}}'.encode() for word in (token, PASSWORD)]
    casjobs.fail(*[Fault("500json", where="/DR17/jobs", body=body) for body in bodies])
    for _ in range(2):
        with pytest.raises(ArchiveError, match=r"HTTP 500: no \*\*\*") as caught:
            jobs("SELECT COUNT(*) AS n FROM PhotoObjAll AS b")
        shown += ["".join(traceback.format_exception(caught.value)), repr(caught.value.values)]
    monkeypatch.setattr(casjobs, "account", ("ada", "another"))
    travelling = CasJobs(base=casjobs.rest_url, auth=casjobs.auth_url)
    travelling._local = jobs._local
    assert token.encode() not in pickle.dumps(travelling)
    again = pickle.loads(pickle.dumps(travelling))
    again.http = jobs.http
    with pytest.raises(CredentialsError, match="CasJobs refuses the account") as refused:
        again("SELECT COUNT(*) AS n FROM PhotoObjAll AS b")
    shown += ["".join(traceback.format_exception(refused.value)), caplog.text]
    assert sum("POST" in record.getMessage() for record in caplog.records) >= 2
    for text in shown:
        assert PASSWORD not in text
        assert token not in text


def test_the_archive_can_ask_in_batch(casjobs, monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("GALAXYDS_SDSS_CATALOG", "casjobs")
    monkeypatch.setenv("GALAXYDS_SDSS_CASJOBS_URL", casjobs.rest_url)
    monkeypatch.setenv("GALAXYDS_SDSS_AUTH_URL", casjobs.auth_url)
    archive = pickle.loads(pickle.dumps(SDSSArchive()))
    assert archive.endpoints()["casjobs"] == casjobs.rest_url
    (need,) = archive.needs()
    assert not need.present
    monkeypatch.setenv("GALAXYDS_SDSS_USER", "ada")
    monkeypatch.setenv("GALAXYDS_SDSS_PASSWORD", PASSWORD)
    assert archive.needs()[0].present
