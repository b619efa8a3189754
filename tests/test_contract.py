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
    golden_integers = "428d92a6af571d52517e83a507cef60fd533e1cd987ee7196ef797716bb322d3"
    golden_pixels: ClassVar = {
        "u": (0.0017366, 0.04312),
        "g": (0.0034153, 0.05677),
        "r": (0.0072758, 0.19142),
        "i": (0.0122705, 0.40759),
        "z": (0.017782, 0.62895),
    }
