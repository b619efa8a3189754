"""The contract of sdss-mgs, on four simulated fields and the frames that overlap them."""

from __future__ import annotations

from typing import ClassVar

import pytest

from galaxyds.build import Request, Summary, build
from galaxyds.testing import DatasetContract


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Summary:
    pytest.importorskip("galsim")
    root = tmp_path_factory.mktemp("simulated")
    return build(Request(address="sdss-mgs", archive="simulated", limit=1, root=root, jobs=1))


class TestMainGalaxies(DatasetContract):
    name = "sdss-mgs"
    golden_integers = "46a355e1863b86e9f299318c75e30581aab072baa8185c556ce1aefecb2cc7b5"
    golden_pixels: ClassVar = {
        "u": (0.0085587, 0.1556),
        "g": (0.032817, 0.45965),
        "r": (0.066381, 0.75527),
        "i": (0.094424, 0.92415),
        "z": (0.12457, 1.0172),
    }

    @pytest.fixture
    def built(self, small: Summary) -> Summary:
        return small
