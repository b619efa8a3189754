"""Fixtures for all tests."""

from __future__ import annotations

import logging
import os
from importlib import metadata
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


_ASKED = metadata.entry_points


def _offers(**options: str) -> dict[tuple[str, str, str], metadata.EntryPoint]:
    found = _ASKED(**options)
    return {(e.name, e.value, str(e.dist and e.dist.locate_file(""))): e for e in found}


INSTALLED = frozenset(_offers(group="galaxyds.specs"))
"""Datasets of packages that the user has installed beside galaxyds."""


@pytest.fixture(autouse=True)
def _no_datasets_of_the_user(monkeypatch: pytest.MonkeyPatch):
    """No test sees them; those that a test installs itself, it does."""

    def others(**options: str) -> metadata.EntryPoints:
        found = _offers(**options).items()
        return metadata.EntryPoints(entry for key, entry in found if key not in INSTALLED)

    if INSTALLED:
        monkeypatch.setattr(metadata, "entry_points", others)


@pytest.fixture(autouse=True)
def _log_as_it_was():
    """No test inherits the log of a command line that another test ran in this process."""
    log = logging.getLogger("galaxyds")
    handlers, level, propagate = log.handlers[:], log.level, log.propagate
    yield
    log.handlers[:], log.propagate = handlers, propagate
    log.setLevel(level)
