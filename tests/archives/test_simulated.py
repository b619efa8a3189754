"""The simulated archive keeps the contracts; every cut finds something to remove."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from galaxyds.archives.base import CatalogArchive, CatalogQuery, FrameArchive
from galaxyds.archives.simulated import SimulatedSDSS
from galaxyds.sky import Footprint, Run
from galaxyds.specs.sdss_qso import SPEC

# About 2,000 quasars that pass: 41 fields.
SMALL = Footprint(runs=(Run(number=9001, ra=30.0, dec=-1.2615, first=11, last=51),), camcols=(3,))


@pytest.fixture(scope="module")
def archive():
    return SimulatedSDSS(footprint=SMALL)


def query(config):
    return CatalogQuery(
        columns=SPEC.queried_columns(),
        tables=SPEC.tables,
        predicates=tuple(cut.sql for cut in SPEC.config(config).cuts),
        key=SPEC.key,
        vocabulary=SPEC.queried_columns(),
    )


def test_it_is_a_catalogue_and_a_frame_archive(archive):
    assert isinstance(archive, CatalogArchive)
    assert isinstance(archive, FrameArchive)
    assert archive.name == "simulated"
    assert "seed" in archive.endpoints()["catalog"]
    assert archive.tile_bytes("ugriz") == 0


@pytest.mark.parametrize("config", ["extended", "baseline"])
def test_every_cut_removes_rows_in_a_small_sample(archive, config):
    counts = archive.count(query(config))
    assert 1500 < counts[-1] < 3000
    for cut, before, after in zip(SPEC.config(config).cuts, counts[:-1], counts[1:], strict=True):
        assert (after < before) == cut.has_effect, cut.name


@pytest.mark.parametrize("config", ["extended", "baseline"])
def test_rows_are_the_counted_ones_and_pass_the_cuts_elsewhere(archive, config):
    table = archive.rows(query(config))
    assert table.num_rows == archive.count(query(config))[-1]
    # Independent of SQL: the same conditions in numpy.
    z = table.column("redshift").to_numpy()
    g = table.column("psf_mag_g").to_numpy()
    assert ((z >= 1) & (z < 5)).all()
    assert ((g >= 18) & (g <= 22)).all()
    radius = table.column("petro_rad_r")
    assert radius.null_count > 0
    assert (radius.drop_null().to_numpy() < 5).all()
    ids = table.column("spec_object_id").to_numpy()
    assert (np.diff(ids.astype(object)) > 0).all()


def test_duplicates_wait_to_be_removed(archive):
    ids = archive.rows(query("extended")).column("object_id").to_numpy()
    assert 0.01 < 1 - np.unique(ids).size / ids.size < 0.2


def test_tiles_of_rows_are_tiles_of_the_footprint(archive):
    table = archive.rows(query("extended"))
    tiles = set(zip(*(table.column(n).to_pylist() for n in SPEC.pixels.tile), strict=True))
    assert tiles <= set(SMALL.tiles())
    assert archive.neighbours((9001, 3, 11)) == ((9001, 3, 12),)
    assert archive.neighbours((9001, 3, 20)) == ((9001, 3, 19), (9001, 3, 21))


def test_a_pickled_archive_is_small_and_the_same(archive):
    archive.count(query("extended"))
    data = pickle.dumps(archive)
    assert len(data) < 2000
    copy = pickle.loads(data)
    assert copy.universe == archive.universe
    assert copy.footprint == SMALL


def test_departures_from_nature_are_stated(archive):
    text = " ".join(archive.departures())
    assert "50 times" in text
    assert all(sentence.endswith(".") for sentence in archive.departures())


def test_galsim_is_needed_and_named(archive, monkeypatch):
    assert archive.needs()[0].what == "galsim"
    monkeypatch.setattr("galaxyds.archives.simulated_sky.find_spec", lambda name: None)
    need = archive.needs()[0]
    assert not need.present
    assert "galaxyds[sky]" in need.advice


def test_frames_are_read_back_on_the_pixels_that_the_catalogue_states(archive, tmp_path):
    pytest.importorskip("galsim", reason="rendering needs the extra 'sky'")
    tile = (9001, 3, 14)
    paths = archive.frames(tile, ("r",), tmp_path)
    frame = archive.read(paths["r"], "r")
    table = archive.execute(
        "SELECT ra, dec, rowc_r, colc_r, psfMag_r FROM PhotoObjAll "
        "WHERE field = 14 AND psfMag_r > 14 AND psfMag_r < 18.5 AND type = 6 "
        "AND rowc_r > 20 AND rowc_r < 1469 AND colc_r > 20 AND colc_r < 2028"
    )
    x, y = frame.wcs.all_world2pix(table.column("ra"), table.column("dec"), 0)
    # SDSS counts the centre of the first pixel as 0.5.
    assert np.abs(x - (table.column("colc_r").to_numpy() - 0.5)).max() < 0.01
    assert np.abs(y - (table.column("rowc_r").to_numpy() - 0.5)).max() < 0.01
    offsets = []
    for cx, cy in zip(x, y, strict=True):
        column, row = round(float(cx)), round(float(cy))
        box = frame.pixels[row - 4 : row + 5, column - 4 : column + 5].astype(float)
        yy, xx = np.indices(box.shape)
        weight = box / box.sum()
        offsets.append(((weight * xx).sum() + column - 4 - cx, (weight * yy).sum() + row - 4 - cy))
    assert len(offsets) >= 15
    assert np.abs(np.median(offsets, axis=0)).max() < 0.1
