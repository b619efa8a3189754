"""Photometry next to redshifts, over loopback, beside a loop over all pairs."""

from __future__ import annotations

import logging
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pytest
from astropy.coordinates import SkyCoord

from galaxyds.archives.cfhtls_objects import CATALOG, PHOTOMETRY
from galaxyds.archives.cfhtls_photometry import _key, photometry_near
from galaxyds.archives.regions import Box
from galaxyds.archives.vizier import VizieR
from galaxyds.errors import ArchiveError
from tests.servers.vizier import VizieREmulator

N = 3000


@pytest.fixture(scope="module")
def catalogue():
    """Stars on both sides of right ascension 0."""
    rng = np.random.default_rng(7)
    columns = {name: rng.uniform(18, 25, N) for name in PHOTOMETRY}
    columns |= {
        "CFHTLS": [f"1101_{n:06d}" for n in range(N)],
        "RAJ2000": np.round(rng.uniform(-0.4, 0.4, N) % 360, 7),
        "DEJ2000": np.round(rng.uniform(1, 1.6, N), 7),
        "Sfl": rng.integers(0, 4, N).astype(np.int16),
        "Tfl": rng.integers(0, 2, N).astype(np.int16),
    }
    return pa.table(columns)


@pytest.fixture(scope="module")
def redshifts(catalogue):
    """Some near an object, some near none."""
    rng = np.random.default_rng(8)
    chosen = rng.choice(N, 200, replace=False)
    off = rng.uniform(-0.9, 0.9, (2, 200)) / 3600
    ra = (catalogue.column("RAJ2000").to_numpy()[chosen] + off[0]) % 360
    return pa.table({"ra": ra, "dec": catalogue.column("DEJ2000").to_numpy()[chosen] + off[1]})


@pytest.fixture
def server(catalogue, monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr("galaxyds.archives.rate.RateLimit.wait", lambda self, host: None)
    monkeypatch.setattr("galaxyds.archives.http.Http._pause", lambda *args: 0.0)
    with VizieREmulator({CATALOG: catalogue}) as server:
        monkeypatch.setenv("GALAXYDS_VIZIER_URL", server.url)
        yield server


def test_all_that_belongs_to_a_redshift_comes_once(server, catalogue, redshifts, tmp_path):
    found = photometry_near(redshifts, VizieR(), folder=tmp_path)
    stars, spectra = (
        SkyCoord(table.column(a).to_numpy(), table.column(b).to_numpy(), unit="deg")
        for table, a, b in ((catalogue, "RAJ2000", "DEJ2000"), (redshifts, "ra", "dec"))
    )
    nearest, apart, _ = spectra.match_to_catalog_sky(stars)
    wanted = {f"1101_{n:06d}" for n in nearest[apart.arcsec <= 1.0]}
    assert 50 < len(wanted) < 200
    assert sorted(found.column("CFHTLS").to_pylist()) == sorted(wanted)
    rows = {row["CFHTLS"]: row for row in catalogue.to_pylist()}
    for row in found.to_pylist():
        assert row == pytest.approx(rows[row["CFHTLS"]])


def test_boxes_that_came_are_not_asked_for_again(server, redshifts, tmp_path, caplog):
    caplog.set_level(logging.INFO)
    first = photometry_near(redshifts, VizieR(), folder=tmp_path)
    asked = len(server.requests)
    assert asked > 5
    assert photometry_near(redshifts, VizieR(), folder=tmp_path).equals(first)
    assert len(server.requests) == asked
    day = datetime.now(UTC).date().isoformat()[:7]
    assert f"{asked} of {asked} boxes as they were answered from {day}" in caplog.text
    sorted(tmp_path.glob("*.parquet"))[0].write_bytes(b"PAR1 nothing")
    assert photometry_near(redshifts, VizieR(), folder=tmp_path).equals(first)
    assert len(server.requests) == asked + 1
    assert not list(tmp_path.glob("*.partial*"))


def test_a_question_that_broke_off_goes_on_where_it_was(server, redshifts, tmp_path):
    wanted = photometry_near(redshifts, VizieR(), folder=tmp_path / "other")
    asked = len(server.requests)
    server.requests.clear()
    healthy, server.handle = server.handle, None

    def failing(request):
        if len(server.requests) > 4:
            server.limit = 1
        return healthy(request)

    server.handle = failing
    with pytest.raises(ArchiveError, match="cut its answer"):
        photometry_near(redshifts, VizieR(), folder=tmp_path)
    server.handle = healthy
    server.limit = None
    done = len(list(tmp_path.glob("*.parquet")))
    assert 0 < done < asked
    server.requests.clear()
    assert photometry_near(redshifts, VizieR(), folder=tmp_path).equals(wanted)
    assert len(server.requests) == asked - done


def test_a_key_is_the_same_for_numbers_of_any_kind(redshifts):
    plain = Box(1.5, 2.5, -1.0, 1.0)
    numpy = Box(*(np.float64(v) for v in (1.5, 2.5, -1.0, 1.0)))
    assert _key(plain, redshifts, "u") == _key(numpy, redshifts, "u")
    assert _key(plain, redshifts, "u") != _key(Box(1.5, 2.5, -1.0, 1.1), redshifts, "u")


def test_another_set_of_redshifts_is_another_question(server, redshifts, tmp_path):
    photometry_near(redshifts, VizieR(), folder=tmp_path)
    server.requests.clear()
    fewer = redshifts.slice(0, 150)
    again = photometry_near(fewer, VizieR(), folder=tmp_path)
    fresh = photometry_near(fewer, VizieR(), folder=tmp_path / "other")
    assert again.equals(fresh)
    assert len(server.requests) > 0
