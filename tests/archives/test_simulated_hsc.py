"""The simulated HSC keeps the contracts; every rule of the paper finds something to remove."""

from __future__ import annotations

import dataclasses
import pickle

import numpy as np
import pytest

from galaxyds.archives.base import CatalogArchive, CatalogQuery, CutoutArchive
from galaxyds.archives.hsc import HSCArchive
from galaxyds.archives.simulated_hsc import SimulatedHSC
from galaxyds.catalog import apply_cuts
from galaxyds.sky.hsc_fits import cutout_fits, point_spread_fits
from galaxyds.specs.hsc_galaxiesml import SPEC
from tests.servers.hsc import HSCEmulator
from tests.sky.hsc_small import SMALL, objects

CUTS = SPEC.config().cuts


def query(cuts):
    return CatalogQuery(
        columns=SPEC.queried_columns(),
        tables=SPEC.tables,
        predicates=tuple(cut.sql for cut in cuts),
        key=SPEC.key,
        vocabulary=SPEC.queried_columns(),
        base=SPEC.base,
    )


@pytest.fixture(scope="module")
def archive():
    """The whole footprint: rare faults need many objects."""
    return SimulatedHSC()


@pytest.fixture(scope="module")
def small():
    return SimulatedHSC(footprint=SMALL)


@pytest.fixture(scope="module")
def table(archive):
    """Rows before any cut."""
    return archive.rows(query(()))


def test_it_is_a_catalogue_and_a_cutout_archive(small):
    assert isinstance(small, CatalogArchive)
    assert isinstance(small, CutoutArchive)
    assert small.name == "simulated"
    assert set(small.endpoints()) == {"catalog", "cutouts"}
    assert small.list_objects("grizy") == 198
    assert small.cutout_bytes("grizy", half_size=10.0) == 0


def test_every_cut_removes_rows(archive):
    counts = archive.count(query(CUTS))
    for cut, before, after in zip(CUTS, counts[:-1], counts[1:], strict=True):
        assert after < before, cut.name


def test_every_flag_and_magnitude_bites_in_every_band(table):
    """Each of the five bands of a cut removes rows that no other band of it removes."""
    for stem in ("sdsscentroid_flag", "pixelflags_interpolatedcenter", "cmodel_flag",
                 "pixelflags_saturatedcenter", "pixelflags_edge", "pixelflags_crcenter",
                 "pixelflags_bad"):  # fmt: skip
        flags = np.stack([table.column(f"{band}_{stem}").to_numpy() for band in "grizy"])
        assert (flags.sum(axis=0) == 1).any(), stem
        assert all((flags[k] & (flags.sum(axis=0) == 1)).any() for k in range(5)), stem


def test_after_all_rules_there_are_some_ten_thousand_objects(archive, table):
    """Cuts and rules for repeats in plain numpy and pandas, apart from any SQL."""
    kept, _ = apply_cuts(table, CUTS)
    assert kept.num_rows == archive.count(query(CUTS))[-1]
    rows = kept.select(["object_id", "specz_name"]).to_pandas()
    first = rows.sort_values(["object_id", "specz_name"]).drop_duplicates("specz_name")
    assert 0.03 < 1 - len(first) / len(rows) < 0.2
    several = first["object_id"].duplicated(keep=False)
    assert 0.003 < several.mean() < 0.03
    assert 12_000 < (~several).sum() < 25_000


def test_sentinels_of_the_archive_occur(table):
    z, error = (table.column(n).to_numpy() for n in ("redshift", "specz_redshift_err"))
    magnitude = table.column("specz_mag_i")
    assert (z == np.float32(-9)).any()
    assert (z == np.float32(9.9999)).any()
    for sentinel in (-9.0, -99.0, 0.0):
        assert (error == sentinel).any()
    assert magnitude.null_count > 0
    assert {-1.0, -99.0} <= set(magnitude.drop_null().to_pylist())
    assert any("," in name for name in table.column("specz_name").to_pylist())


def test_rows_come_by_object_then_name(table):
    keys = list(
        zip(*(table.column(n).to_pylist() for n in ("object_id", "specz_name")), strict=True)
    )
    assert keys == sorted(keys)
    assert len(set(keys)) == len(keys)
    assert len({key for key, _ in keys}) < len(keys)


def test_tiles_are_patches_of_the_footprint(archive):
    rows, tiles = archive.extent(query(CUTS), SPEC.pixels.tile)
    assert tiles == sum(len(tract.patches()) for tract in archive.footprint.tracts)
    assert rows / tiles > 100


def test_a_pickled_archive_is_small_and_the_same(small):
    small.count(query(()))
    data = pickle.dumps(small)
    assert len(data) < 1500
    twin = pickle.loads(data)
    assert twin.universe == small.universe
    assert twin.footprint == SMALL
    assert twin.rows(query(CUTS[:3])).equals(small.rows(query(CUTS[:3])))


def test_departures_from_nature_are_stated(small):
    text = " ".join(small.departures())
    for word in ("Moffat", "ten times", "24.0", "99.9", "noise", "saturate"):
        assert word in text
    assert all(sentence.endswith(".") for sentence in small.departures())


def test_galsim_is_needed_and_named(small, monkeypatch):
    assert small.needs()[0].what == "galsim"
    monkeypatch.setattr("galaxyds.archives.simulated_sky.find_spec", lambda name: None)
    assert not small.needs()[0].present
    assert "galaxyds[sky]" in small.needs()[0].advice


class TestThroughTheRealProtocol:
    """Catalogue jobs, tars and FITS files of the same sky over loopback."""

    @pytest.fixture
    def remote(self, small, monkeypatch, tmp_path):
        pytest.importorskip("galsim", reason="rendering needs the extra 'sky'")
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))

        def cutout(line):
            return cutout_fits(small.coadd, line.band, tract=line.tract, ra=line.ra, dec=line.dec,
                               half_size=line.semi_width)  # fmt: skip

        def psf(line):
            return point_spread_fits(small.coadd, line.band, tract=20001, ra=line.ra, dec=line.dec)

        with HSCEmulator(small.server.execute, cutout=cutout, psf=psf, words=()) as server:
            for name, value in server.settings.items():
                monkeypatch.setenv(name, value)
            yield HSCArchive()

    def test_rows_cutouts_and_psfs_are_the_same(self, small, remote):
        ask = dataclasses.replace(query(CUTS[:4]), columns=SPEC.queried_columns()[:8])
        here, there = small.rows(ask), remote.rows(ask)
        assert here.num_rows == there.num_rows > 500
        assert here.column("object_id").equals(there.column("object_id"))
        west = [r for r in here.select(["object_id", "ra", "dec", "tract"]).to_pylist()
                if r["tract"] == 20001][:8]  # fmt: skip
        asked = objects(west)
        pairs = zip(
            small.cutouts(asked, "gy", half_size=10.0),
            remote.cutouts(asked, "gy", half_size=10.0),
            strict=True,
        )
        for mine, theirs in pairs:
            assert mine.missing == theirs.missing
            for band in mine.pixels:
                assert (mine.pixels[band] == theirs.pixels[band]).all()
                assert mine.position[band] == pytest.approx(theirs.position[band], abs=1e-4)
        spreads = zip(
            small.point_spreads(asked, "r"), remote.point_spreads(asked, "r"), strict=True
        )
        for mine, theirs in spreads:
            assert mine.missing == theirs.missing
            for band in mine.images:
                assert np.abs(mine.images[band] - theirs.images[band]).max() < 1e-7
