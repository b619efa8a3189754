"""The contract, for every dataset."""

from __future__ import annotations

import pytest

from galaxyds.build import Request, Summary, build
from galaxyds.testing import DatasetContract


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Summary:
    """One small simulated build for all tests that only read it."""
    pytest.importorskip("galsim")
    root = tmp_path_factory.mktemp("simulated")
    return build(Request(address="sdss-qso", archive="simulated", limit=60, root=root, jobs=1))


class TestQuasars(DatasetContract):
    name = "sdss-qso"
