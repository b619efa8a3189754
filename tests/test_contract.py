"""The contract, for every dataset."""

from __future__ import annotations

from typing import ClassVar

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
    golden_integers = "dbf8c8f4d8dae0389615723e99d9cc5700f80a1df104d950b73df57c89b5a121"
    golden_pixels: ClassVar = {
        "u": (0.0017595, 0.04666),
        "g": (0.0033577, 0.03503),
        "r": (0.0054563, 0.06455),
        "i": (0.0077761, 0.09589),
        "z": (0.0093845, 0.19632),
    }
