"""The contract of catalogues, for the archive over loopback and for the simulated one."""

from __future__ import annotations

import pytest

from galaxyds.archives.base import CatalogQuery
from galaxyds.archives.sdss import SDSSArchive
from galaxyds.archives.simulated import SimulatedSDSS
from galaxyds.sky import Footprint, Run
from galaxyds.specs import get_spec
from galaxyds.testing import CatalogContract


@pytest.fixture(params=["extended", "baseline"])
def query(request: pytest.FixtureRequest) -> CatalogQuery:
    """The query of a config of sdss-qso."""
    spec = get_spec("sdss-qso")
    columns = spec.queried_columns()
    return CatalogQuery(
        columns=columns,
        tables=spec.tables,
        predicates=tuple(cut.sql for cut in spec.config(request.param).cuts),
        key=spec.key,
        vocabulary=columns,
        exact=spec.tested_columns(),
    )


class TestRemote(CatalogContract):
    @pytest.fixture
    def archive(self, sdss_loopback, monkeypatch):
        monkeypatch.setattr("galaxyds.archives.skyserver.INTERVAL", 0.0)
        return SDSSArchive()


@pytest.fixture(scope="module")
def simulated() -> SimulatedSDSS:
    """One short run: its catalogue is made once."""
    run = Run(number=9001, ra=30.0, dec=-1.2615, first=11, last=14)
    return SimulatedSDSS(footprint=Footprint(runs=(run,)))


class TestSimulated(CatalogContract):
    @pytest.fixture
    def archive(self, simulated):
        return simulated
