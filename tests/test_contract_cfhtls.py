"""The contract of cfhtls-wide, on one simulated tile."""

from __future__ import annotations

from typing import ClassVar

import pytest

from galaxyds.build import Request, Summary, build
from galaxyds.testing import DatasetContract


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Summary:
    pytest.importorskip("galsim")
    root = tmp_path_factory.mktemp("simulated")
    request = Request(address="cfhtls-wide", archive="simulated", limit=1, root=root, jobs=1)
    return build(request)


class TestCFHTLS(DatasetContract):
    name = "cfhtls-wide"
    golden_integers = "dfa07fbb81b7fb13d5c9852cf9182ffed0cd1b526f146f43ddc2579f1a5c931a"
    golden_pixels: ClassVar = {
        "u": (0.51164, 27.151),
        "g": (1.2442, 57.672),
        "r": (2.3898, 100.56),
        "i": (3.6091, 124.19),
        "z": (4.6239, 128.59),
    }

    @pytest.fixture
    def built(self, small: Summary) -> Summary:
        return small
