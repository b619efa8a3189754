"""A canary in every credential slot: it is found in nothing that a build leaves or says."""

from __future__ import annotations

import logging
import pickle
import traceback

import pytest

from galaxyds.archives.sdss import SDSSArchive
from galaxyds.build import Request, build
from galaxyds.errors import CredentialsError, GalaxydsError
from tests.servers import CasJobsEmulator, SASEmulator

CANARY = "canary-4711-pässword"
FIELD = "sdss_field_94-1-12"


@pytest.fixture
def casjobs_build(survey_data, field_rows, monkeypatch, tmp_path):
    monkeypatch.setenv("GALAXYDS_SDSS_CATALOG", "casjobs")
    monkeypatch.setenv("GALAXYDS_SDSS_USER", "ada")
    monkeypatch.setenv("GALAXYDS_SDSS_PASSWORD", CANARY)
    monkeypatch.setattr("galaxyds.archives.casjobs.POLL_SECONDS", 0.0)
    monkeypatch.setattr("galaxyds.archives.rate.RateLimit.wait", lambda self, host: None)
    with (
        CasJobsEmulator(field_rows, password=CANARY, polls=0) as casjobs,
        SASEmulator(survey_data / FIELD) as sas,
    ):
        monkeypatch.setenv("GALAXYDS_SDSS_CASJOBS_URL", casjobs.rest_url)
        monkeypatch.setenv("GALAXYDS_SDSS_AUTH_URL", casjobs.auth_url)
        monkeypatch.setenv("GALAXYDS_SDSS_SAS_URL", sas.url)
        yield casjobs, sas, tmp_path


def leaks(text: str, tokens: list[str]) -> list[str]:
    return [secret for secret in (CANARY, *tokens) if secret in text]


def test_a_build_in_batch_leaks_nothing(casjobs_build, caplog):
    casjobs, sas, root = casjobs_build
    caplog.set_level(logging.DEBUG)
    summary = build(Request(address="sdss-qso", root=root, jobs=1))
    assert summary.manifest.rows > 50
    assert casjobs.tokens
    said = "\n".join(record.getMessage() for record in caplog.records)
    assert said
    assert not leaks(said, casjobs.tokens)
    for path in root.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            for secret in (CANARY, *casjobs.tokens):
                assert secret.encode() not in content, path
    for request in sas.requests:
        assert not leaks(str(request), casjobs.tokens)


def test_a_wrong_password_is_one_line_without_it(casjobs_build, monkeypatch, caplog):
    _, _, root = casjobs_build
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("GALAXYDS_SDSS_PASSWORD", CANARY + "x")
    with pytest.raises(GalaxydsError) as caught:
        build(Request(address="sdss-qso", root=root, jobs=1))
    told = "".join(traceback.format_exception(caught.value)) + caplog.text + repr(caught.value)
    assert CANARY not in told
    assert CANARY not in (next(root.rglob("build.log"))).read_text()


def test_what_travels_to_a_worker_holds_no_secret(casjobs_build):
    assert CANARY.encode() not in pickle.dumps(SDSSArchive())


def test_without_an_account_the_build_says_where_to_get_one(casjobs_build, monkeypatch):
    _, _, root = casjobs_build
    monkeypatch.delenv("GALAXYDS_SDSS_PASSWORD")
    monkeypatch.setattr("galaxyds.settings._from_keyring", lambda service, user: None)
    with pytest.raises(CredentialsError, match=r"register at .*GALAXYDS_SDSS_PASSWORD"):
        build(Request(address="sdss-qso", root=root, jobs=1))
