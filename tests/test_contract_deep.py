"""The contract of hsc-deep, on a small footprint: both fields, some without each infrared band."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import ClassVar

import pytest

from galaxyds.archives.base import CatalogQuery
from galaxyds.archives.simulated_deep import SimulatedDeep
from galaxyds.build import Request, Summary, build
from galaxyds.sky import DEFAULT_SEED
from galaxyds.specs import get_spec
from galaxyds.testing import CatalogContract, DatasetContract
from tests.sky.deep_small import SMALL


@pytest.fixture(scope="module")
def sky() -> SimulatedDeep:
    pytest.importorskip("galsim")
    return SimulatedDeep(footprint=SMALL)


@pytest.fixture(scope="module")
def small(sky: SimulatedDeep, tmp_path_factory: pytest.TempPathFactory) -> Summary:
    root = tmp_path_factory.mktemp("simulated")
    made = sky._made()
    with pytest.MonkeyPatch.context() as patch, ThreadPoolExecutor(1) as executor:
        patch.setattr(SimulatedDeep.__init__, "__defaults__", (DEFAULT_SEED, SMALL))
        patch.setattr(SimulatedDeep, "_objects", lambda self: made)
        request = Request(
            address="hsc-deep/9band", archive="simulated", limit=100, root=root, jobs=1
        )
        return build(request, executor=executor)


class TestDeep(DatasetContract):
    name = "hsc-deep"
    config = "9band"
    golden_integers = "b0e90db37a47aeb32c8bdf0a9dcab02a7779d7bb6397dff033194184d6333c2b"
    golden_pixels: ClassVar = {
        "u": (0.006737, 0.053842),
        "g": (0.017553, 0.11198),
        "r": (0.048692, 0.2598),
        "i": (0.092401, 0.61025),
        "z": (0.12876, 0.82122),
        "y": (0.15291, 0.93218),
        "J": (0.22551, 1.1052),
        "H": (0.45032, 2.1055),
        "Ks": (0.489, 2.6414),
    }

    @pytest.fixture
    def built(self, small: Summary) -> Summary:
        return small


class TestCatalogue(CatalogContract):
    @pytest.fixture
    def archive(self, sky: SimulatedDeep) -> SimulatedDeep:
        return sky

    @pytest.fixture
    def query(self) -> CatalogQuery:
        spec = get_spec("hsc-deep")
        columns = spec.queried_columns()
        return CatalogQuery(
            columns=columns,
            tables=spec.tables,
            predicates=tuple(cut.sql for cut in spec.config("9band").cuts),
            key=spec.key,
            vocabulary=columns,
            exact=spec.tested_columns(),
        )
