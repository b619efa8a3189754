"""HSC-Deep from services on loopback and folders of files; the simulated sky stands behind both."""

from __future__ import annotations

import os
import pickle
import shutil

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pytest
from astropy.io import fits
from astropy.wcs import WCS

from galaxyds.archives.base import (
    NO_DATA,
    CatalogArchive,
    CompiledArchive,
    Cutout,
    CutoutArchive,
    CutoutObject,
    LocalFiles,
)
from galaxyds.archives.deep_objects import match, u_band
from galaxyds.archives.deep_pixels import OUTSIDE, TRACTS, assembled, window
from galaxyds.archives.hsc_deep import FIELDS, HSCDeepArchive, within
from galaxyds.archives.mosaics import Mosaics, own_mosaics
from galaxyds.archives.regions import separation
from galaxyds.archives.simulated_deep import SimulatedDeep
from galaxyds.build.lists import POSITION_OUTSIDE
from galaxyds.catalog.specz import read_survey
from galaxyds.catalog.surveys import survey_named
from galaxyds.errors import ArchiveError, CredentialsError, UsageError
from galaxyds.sky.cells import Region
from galaxyds.sky.hsc_conditions import DEEP
from tests.archives.test_dust import pixel, plane
from tests.servers import Fault
from tests.servers.deep import deep_emulator, local_files, point_there
from tests.sky.deep_small import BANDS, SMALL, A, wanted

HALF = 32 * 0.168


@pytest.fixture(scope="module")
def sky():
    pytest.importorskip("galsim", reason="rendering needs the extra 'sky'")
    pytest.importorskip("dustmaps", reason="reddening needs the extra 'dust'")
    return SimulatedDeep(footprint=SMALL)


@pytest.fixture(scope="module")
def compiled(sky):
    return sky._objects()


@pytest.fixture(scope="module")
def local(sky, tmp_path_factory):
    return local_files(sky, tmp_path_factory.mktemp("local"))


@pytest.fixture
def services(sky, local, monkeypatch, tmp_path):
    """HSC services over the sky."""
    with deep_emulator(sky) as server:
        point_there(server, local, monkeypatch, tmp_path / "cache")
        yield server


@pytest.fixture
def archive(services, local):
    return HSCDeepArchive(local)


def test_the_rows_are_those_of_the_simulated_archive(archive, services, compiled):
    services.fail(Fault("502", where="/submit"), Fault("502", where="/status"))
    table, tallies = archive._objects()
    wanted_table = compiled.table
    assert table.num_rows == wanted_table.num_rows > 1000
    for name in table.column_names:
        if name == "ebv":
            continue
        got, true = (t.column(name).to_numpy(zero_copy_only=False) for t in (table, wanted_table))
        if got.dtype.kind == "f":
            assert np.allclose(got, true, rtol=1e-6, atol=1e-7, equal_nan=True), name
        else:
            assert (got == true).all(), name
    x, y, south = pixel(*(table.column(n).to_numpy() for n in ("ra", "dec")))
    assert table.column("ebv").to_numpy() == pytest.approx(plane(x, y, south), abs=1e-4)
    kept = {t.name: (t.read, t.kept) for t in tallies}
    # Files hold the rows of both fields as one table.
    assert kept == {t.name: (t.read, t.kept) for t in compiled.tallies}
    assert kept["vipers"][1] > 100
    assert all("conesearch(f.coord" in j.sql and "pdr2_dud.forced" in j.sql
               for j in services.jobs.values())  # fmt: skip
    assert all(request.path.startswith("/datasearch") for request in services.requests)


def test_what_was_answered_is_not_asked_again(archive, services, compiled, monkeypatch):
    monkeypatch.setattr(HSCDeepArchive, "together", 400)
    services.fail(*[Fault("job-error", where="/submit", body=b"out of memory")] * 9)
    with pytest.raises(ArchiveError, match="out of memory"):
        archive._objects()
    services.faults.clear()
    first = archive._objects().table
    asked = len(services.jobs)
    assert asked > 6
    again = archive._objects().table
    assert len(services.jobs) == asked
    assert again.equals(first)
    one = next(archive.answers().glob("*.parquet"))
    one.write_bytes(b"damaged")
    assert archive._objects().table.equals(first)
    assert len(services.jobs) == asked + 2  # a count, and its rows


def test_the_cutouts_are_those_of_the_simulated_archive(archive, services, sky, compiled):
    rows, objects = wanted(compiled.table, 6)
    copy = pickle.loads(pickle.dumps(archive))
    got = list(copy.cutouts(objects, BANDS, half_size=HALF))
    true = list(sky.cutouts(objects, BANDS, half_size=HALF))
    bits = {"J": 1, "H": 2, "Ks": 4}
    for one, other, row, place in zip(got, true, rows.itertuples(), objects, strict=True):
        assert one.object_id == other.object_id == place.object_id
        assert one.missing == other.missing
        assert set(one.missing) == {b for b, bit in bits.items() if not row.nir_coverage & bit}
        assert set(one.missing.values()) <= {NO_DATA}
        assert set(one.pixels) | set(one.missing) == set(BANDS)
        x, y = one.grid.all_world2pix(place.ra, place.dec, 0)
        for band, image in one.pixels.items():
            assert image.shape == (64, 64)
            assert one.position[band] == pytest.approx((float(x), float(y)), abs=1e-4)
            true_image = other.pixels[band]
            scale = np.nanmax(np.abs(true_image))
            # A file is rendered whole: sums of 32-bit numbers in another order.
            assert np.allclose(image, true_image, rtol=0, atol=1e-4 * scale, equal_nan=True)
        assert max(abs(x - 31.5), abs(y - 31.5)) <= 0.5 + 1e-6
    lines = [line for one in services.lists for line in one]
    assert {line.filter for line in lines} == {"HSC-G", "HSC-R", "HSC-I", "HSC-Z", "HSC-Y"}
    assert len(lines) == 5 * len(objects)


def test_the_hsc_pixels_are_as_delivered(sky, compiled):
    _, objects = wanted(compiled.table, 2)
    for one, raw in zip(
        sky.cutouts(objects, BANDS, half_size=HALF),
        sky.coadd.cutouts(objects, "grizy", half_size=10.0),
        strict=True,
    ):
        x, y = (round(a - b) for a, b in zip(raw.position["i"], one.position["i"], strict=True))
        for band in "grizy":
            assert np.array_equal(one.pixels[band], raw.pixels[band][y : y + 64, x : x + 64])


def test_u_star_goes_first(sky, compiled):
    rows, objects = wanted(compiled.table)
    assert {"u*", "u"} == set(rows[rows.tract == A.number].u_band)
    assert set(rows[rows.tract != A.number].u_band) == {"u"}
    both = next(o for o, name in zip(objects, rows.u_band, strict=True) if name == "u*")
    (found,) = sky.cutouts([both], BANDS, half_size=HALF)
    at = (both.ra, both.dec)
    star, plain = (sky.mosaics.cutout(n, found.grid, (64, 64), at=at) for n in ("u*", "u"))
    assert np.array_equal(found.pixels["u"], star, equal_nan=True)
    assert not np.array_equal(star, plain, equal_nan=True)
    covered = {"u*": np.array([1, 1, 0, 0], bool), "u": np.array([1, 0, 1, 0], bool)}
    assert u_band(covered) == ["u*", "u*", "u", "none"]


def test_each_object_serves_one_redshift_to_learn_from_first():
    redshifts = pa.table(
        {
            "ra": [10.0, 10.0, 10.0, 20.0, 30.0],
            "dec": np.array([0.1, 0.2, 0.3, 0.0, 0.0]) / 3600,
            "sample": ["test_primus", "training", "training", "test_3dhst", "training"],
        }
    )
    found = pa.table({"ra": [10.0, 20.0], "dec": [0.0, 0.9 / 3600]})
    row, separation = match(redshifts, found)
    assert row.tolist() == [-1, 0, -1, 1, -1]
    assert separation[[1, 3]] == pytest.approx([0.2, 0.9])
    assert np.isinf(separation[[0, 2, 4]]).all()


class TestPieces:
    def test_a_window_beyond_the_image_is_nan(self):
        image = np.arange(12, dtype=np.float32).reshape(3, 4)
        found = window(image, -1, 2, 4)
        wanted_image = np.full((4, 4), np.nan, np.float32)
        wanted_image[1:, :2] = image[:, 2:]
        assert np.array_equal(found, wanted_image, equal_nan=True)
        assert np.isnan(window(image, 10, 10, 4)).all()

    def test_bands_on_several_grids_are_no_cutout(self):
        one = CutoutObject(object_id=1, ra=150.0, dec=2.0, tile=(1, 1))
        pixels = {"i": np.ones((70, 70), np.float32)}
        raw = Cutout(object_id=1, pixels=pixels, position={"i": (35.0, 35.0)}, missing={})
        found = assembled(raw, one, ("u", "i"), mosaics=Mosaics([]), size=64)
        assert found.missing == {"u": TRACTS, "i": TRACTS}
        nothing = Cutout(object_id=1, pixels={}, position={}, missing={"i": NO_DATA})
        found = assembled(nothing, one, ("u", "i"), mosaics=Mosaics([]), size=64)
        assert found.missing == {"u": NO_DATA, "i": NO_DATA}

    @pytest.mark.parametrize("position", [(-10.0, 30.0), (-60.0, 30.0), (30.0, 75.6), (29.6, 9.0)])
    def test_an_object_beside_its_cutout_has_no_pixels(self, position):
        found = self.delivered(np.ones((76, 30), np.float32), position)
        assert not found.pixels
        assert found.missing == dict.fromkeys("grizy", OUTSIDE)

    def test_the_reason_is_that_of_every_archive_that_cuts(self):
        assert OUTSIDE == POSITION_OUTSIDE

    def test_a_band_without_data_at_the_object_is_none(self):
        hole = np.ones((76, 70), np.float32)
        hole[39, 35] = np.nan
        beside = np.ones((76, 70), np.float32)
        beside[39, 36] = np.nan
        found = self.delivered(np.ones((76, 70), np.float32), (35.2, 38.8), g=hole, r=beside)
        assert found.missing == {"g": NO_DATA}
        assert np.isnan(found.pixels["r"]).sum() == 1
        on_the_edge = self.delivered(np.ones((76, 70), np.float32), (69.5, -0.5))
        assert set(on_the_edge.pixels) == set("grizy")

    @staticmethod
    def delivered(image, position, **others):
        grid = WCS(naxis=2)
        grid.wcs.ctype = ["RA---TAN", "DEC--TAN"]
        one = CutoutObject(object_id=1, ra=150.0, dec=2.0, tile=(1, 1))
        raw = Cutout(object_id=1, pixels=dict.fromkeys("grizy", image) | others,
                     position=dict.fromkeys("grizy", position), missing={}, grid=grid)  # fmt: skip
        return assembled(raw, one, tuple("grizy"), mosaics=Mosaics([]), size=64)


def test_redshifts_beside_the_fields_are_not_asked_about(archive, services, local, tmp_path):
    rng = np.random.default_rng(0)
    ra, dec = rng.uniform(0, 360, 3000), rng.uniform(-30, 30, 3000)
    inside = np.zeros(3000, bool)
    for field in FIELDS:
        inside |= separation(ra, dec, field.ra, field.dec) <= field.radius
    assert 0 < inside.sum() < 60
    folder = tmp_path / "redshifts"
    folder.mkdir()
    raw = pa.table({"ra": ra, "dec": dec, "z": np.full(3000, 0.5), "q_z": np.full(3000, 5.0)})
    pyarrow.csv.write_csv(raw, folder / "wigglez.csv")
    whole = HSCDeepArchive(LocalFiles(mosaics=local.mosaics, redshifts=folder))
    whole._redshifts.vizier = None
    table, tallies = whole._objects()
    assert table.num_rows == inside.sum()
    tally = next(t for t in tallies if t.name == "wigglez")
    beside = 3000 - inside.sum()
    assert (tally.read, tally.insecure, tally.secure) == (3000, beside, inside.sum())
    assert tally.where == f"wigglez.csv ({beside:,} outside of the fields)"
    asked = {
        job.sql.partition("VALUES")[2].partition(") AS t")[0] for job in services.jobs.values()
    }
    assert [text.count("),(") + 1 for text in asked] == [inside.sum()]
    read = read_survey(raw.filter(pa.array(inside)), survey_named("wigglez"), where="x")
    assert within(read, FIELDS) is read


def test_an_edited_mosaic_is_another_one(local, tmp_path):
    folder = tmp_path / "mosaics"
    shutil.copytree(local.mosaics, folder)
    first = own_mosaics(folder)
    assert own_mosaics(folder) == first
    assert str(tmp_path) not in first
    path = folder / "simulated_A_H.fits"
    stat = path.stat()
    fits.setval(path, "MAGZERO", value=29.0)
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert path.stat().st_size == stat.st_size
    assert own_mosaics(folder) != first
    shutil.copy2(local.mosaics / path.name, path)
    assert own_mosaics(folder) == first
    os.utime(path, (stat.st_atime, stat.st_mtime + 10))
    assert own_mosaics(folder) != first


class TestWhatIsMissing:
    def test_mosaics_are_asked_for_before_anything_else(self, services, local):
        archive = HSCDeepArchive(LocalFiles(redshifts=local.redshifts))
        with pytest.raises(UsageError, match=r"CLAUDS.*--mosaics|--mosaics.*CLAUDS"):
            archive._objects()
        assert services.requests == []
        lacking = [need.what for need in archive.needs() if not need.present]
        assert lacking == ["mosaics of u and the near infrared"]

    def test_an_account(self, archive, services, monkeypatch):
        monkeypatch.delenv("GALAXYDS_HSC_PASSWORD")
        assert any(need.is_account and not need.present for need in archive.needs())
        with pytest.raises(CredentialsError, match="register at"):
            archive._objects()
        assert services.requests == []

    def test_dust_maps(self, archive, services, monkeypatch, tmp_path):
        monkeypatch.setenv("GALAXYDS_SFD_DIR", str(tmp_path))
        with pytest.raises(UsageError, match="dust maps"):
            archive._objects()
        assert services.requests == []


def test_it_is_an_archive_and_its_fields_do_not_overlap(archive, local):
    assert isinstance(archive, CatalogArchive)
    assert isinstance(archive, CompiledArchive)
    assert isinstance(archive, CutoutArchive)
    assert archive.name == "hsc-deep"
    assert archive.list_objects(BANDS) == 198  # 990 lines of five bands
    assert archive.cutout_bytes(BANDS, half_size=HALF) > 5 * 4 * 64 * 64
    shown = " ".join(archive.endpoints().values())
    assert str(local.mosaics) not in shown
    assert "simulated_A_uS.fits (" in shown
    middles = np.array([(c.ra, c.dec) for c in FIELDS])
    for n, one in enumerate(FIELDS):
        for other in middles[n + 1 :]:
            away = np.hypot((one.ra - other[0]) * np.cos(np.radians(one.dec)), one.dec - other[1])
            assert away > 10
    assert isinstance(SMALL.regions()[0], Region)
    assert DEEP.schema == "pdr2_dud"
