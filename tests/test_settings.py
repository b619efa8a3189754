from __future__ import annotations

from pathlib import Path

import pytest

from galaxyds import settings
from galaxyds.errors import CredentialsError, UsageError


def test_argument_beats_environment_beats_file_beats_default(monkeypatch, tmp_path):
    file = tmp_path / "config.toml"
    monkeypatch.setenv("GALAXYDS_CONFIG", str(file))
    assert settings.resolve("GALAXYDS_HOME", "/default").origin == "default"
    file.write_text('home = "/from/file"\n')
    assert settings.home() == Path("/from/file")
    monkeypatch.setenv("GALAXYDS_HOME", "/from/env")
    assert settings.home() == Path("/from/env")
    assert settings.home("/from/call") == Path("/from/call")


def test_a_broken_configuration_file_is_named(monkeypatch, tmp_path):
    file = tmp_path / "config.toml"
    file.write_text("home = ")
    monkeypatch.setenv("GALAXYDS_CONFIG", str(file))
    with pytest.raises(UsageError, match=r"config\.toml is not valid TOML"):
        settings.home()


def test_a_url_must_be_one(monkeypatch):
    monkeypatch.setenv("GALAXYDS_SDSS_SAS_URL", "data.sdss.org")
    with pytest.raises(UsageError, match="GALAXYDS_SDSS_SAS_URL must be an http"):
        settings.url("GALAXYDS_SDSS_SAS_URL", "https://data.sdss.org/sas")


def test_missing_credentials_say_where_to_register_and_what_to_set():
    with pytest.raises(CredentialsError, match=r"register at https://here.*GALAXYDS_SDSS_USER"):
        settings.credentials("SDSS", register="https://here")


def test_a_password_never_shows(monkeypatch):
    monkeypatch.setenv("GALAXYDS_SDSS_USER", "someone")
    monkeypatch.setenv("GALAXYDS_SDSS_PASSWORD", "canary-4711")
    found = settings.credentials("SDSS", register="")
    assert found.password == "canary-4711"
    assert "canary" not in repr(found)


@pytest.mark.parametrize(
    "value", ["http://[::1", "http://ada:canary@h:x/", "https://?token=canary"]
)
def test_a_url_that_cannot_be_read_is_an_error_of_ours(monkeypatch, value):
    monkeypatch.setenv("GALAXYDS_SDSS_SAS_URL", value)
    with pytest.raises(UsageError, match="GALAXYDS_SDSS_SAS_URL must be an http") as caught:
        settings.url("GALAXYDS_SDSS_SAS_URL", "https://data.sdss.org/sas")
    assert "canary" not in str(caught.value)
