"""Fixtures for all tests."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import pytest

pytest_plugins = ["tests.servers.fixtures"]


@pytest.fixture(scope="session")
def survey_data() -> Path:
    """Folder of real survey files; tests that need it skip where it is absent."""
    named = os.environ.get("GALAXYDS_TEST_DATA")
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = Path(named) if named else beside
    if not (folder / "sdss_field_94-1-12").is_dir():
        pytest.skip("real survey files are not here: set GALAXYDS_TEST_DATA to their folder")
    return folder


@pytest.fixture(autouse=True)
def _isolated_settings(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory):
    """No test sees the user's configuration, archives or credentials."""
    for name in list(os.environ):
        if name.startswith("GALAXYDS_") and name != "GALAXYDS_TEST_DATA":
            monkeypatch.delenv(name)
    monkeypatch.setenv("GALAXYDS_CONFIG", str(tmp_path_factory.getbasetemp() / "no-config.toml"))


@pytest.fixture(autouse=True)
def _log_as_it_was():
    """No test inherits the log of a command line that another test ran in this process."""
    log = logging.getLogger("galaxyds")
    handlers, level, propagate = log.handlers[:], log.level, log.propagate
    yield
    log.handlers[:], log.propagate = handlers, propagate
    log.setLevel(level)
