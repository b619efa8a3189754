"""The two tables: identifiers, sentinels, noise, secondaries, repeats."""

from __future__ import annotations

import numpy as np
import pyarrow.compute as pc
import pytest

from galaxyds.sky.detections import SOFTENING, asinh_magnitude
from galaxyds.sky.photometry import SENTINEL, object_id
from galaxyds.sky.spectroscopy import spec_object_id


def column(table, name):
    return table.column(name).to_numpy(zero_copy_only=False)


def test_object_ids_have_the_archives_layout():
    # A real object of the archive: run 1904, camcol 3, field 163.
    parts = [np.array([value]) for value in (1904, 3, 163, 125)]
    assert object_id(*parts)[0] == 1237653651835781245


def test_spectrum_ids_have_the_archives_layout(survey_data):
    pandas = pytest.importorskip("pandas")
    path = survey_data / "sdss_tables" / "Skyserver_SQL2_27_2018_fullprec.csv"
    rows = pandas.read_csv(path).head(200)
    parts = [rows[name].to_numpy(np.int64) for name in ("plate", "mjd", "fiberid")]
    ours = spec_object_id(*parts, np.zeros(len(rows), np.int64))
    # The file gives 15 digits; what is left below bit 24 is the reduction, unknown here.
    difference = rows["specobjid"].to_numpy(float) - ours.astype(float)
    assert (difference > -2e4).all()
    assert (difference < 2**24 + 2e4).all()


def test_asinh_magnitudes_of_no_flux_are_the_published_ones():
    # SDSS: zero-flux magnitudes 24.63, 25.11, 24.80, 24.36, 22.83 in ugriz.
    zero = asinh_magnitude(np.zeros(5))
    assert zero == pytest.approx([24.63, 25.11, 24.80, 24.36, 22.83], abs=0.01)
    bright = np.full(5, 1e3)
    assert asinh_magnitude(bright) == pytest.approx(22.5 - 2.5 * 3, abs=1e-3)
    assert SOFTENING.shape == (5,)


def test_ids_are_unique(photo, spec):
    assert np.unique(column(photo, "objID")).size == photo.num_rows
    assert np.unique(column(spec, "specObjID")).size == spec.num_rows


def test_some_spectrum_ids_exceed_a_signed_integer(spec):
    assert str(spec.schema.field("specObjID").type) == "uint64"
    large = column(spec, "specObjID") > np.uint64(2**63)
    assert 0.1 < large.mean() < 0.9
    assert (column(spec, "plate")[large] >= 8192).all()


def test_nothing_is_null_and_sentinels_stand_for_missing(photo, spec):
    for table in (photo, spec):
        assert all(table.column(name).null_count == 0 for name in table.column_names)
    for name in ("petroRad_r", "psfMag_u", "psfMag_g"):
        share = (column(photo, name) == SENTINEL).mean()
        assert 0 < share < 0.1
    for table in (photo, spec):
        for name in table.column_names:
            values = column(table, name)
            if values.dtype.kind == "f":
                assert np.isfinite(values).all()


def test_secondaries_repeat_a_primary(photo, detections):
    mode = column(photo, "mode")
    assert 0.05 < (mode == 2).mean() < 0.3
    primary = detections.sources.key[mode == 1]
    assert np.unique(primary).size == primary.size
    # Each secondary far from the outer edges has its primary somewhere else.
    inner = (mode == 2) & (detections.x > 300) & (detections.x < 1748) & (detections.run == 9001)
    assert np.isin(detections.sources.key[inner], primary).mean() > 0.9


def test_repeat_spectra_share_an_object(spec):
    best = column(spec, "bestObjID")
    matched = best[best != 0]
    assert (best == 0).any()
    assert np.unique(matched).size < matched.size
    assert (column(spec, "sciencePrimary") == 0).any()


def test_spectra_carry_what_goes_wrong(spec):
    assert set(column(spec, "class")) == {"QSO", "GALAXY", "STAR"}
    assert (column(spec, "zErr") <= 0).any()
    assert (column(spec, "zWarning") != 0).mean() > 0.01
    z = column(spec, "z")
    assert (z < 1).any()
    assert (z >= 5).any()


def test_best_objects_exist(photo, spec):
    best = column(spec, "bestObjID")
    assert np.isin(best[best != 0], column(photo, "objID")).all()


@pytest.mark.parametrize("band", list("ugriz"))
def test_psf_magnitudes_scatter_by_their_errors(photo, detections, band):
    k = "ugriz".index(band)
    star = detections.sources.kind == 0
    true = detections.sources.magnitude[:, k]
    measured, error = column(photo, f"psfMag_{band}"), column(photo, f"psfMagErr_{band}")
    good = star & (measured > 0) & (error < 0.1)
    pull = (measured - true)[good] / error[good]
    assert good.sum() > 200
    assert abs(np.median(pull)) < 0.15
    assert pull.std() == pytest.approx(1.0, abs=0.12)


def test_extended_sources_are_fainter_through_the_psf(photo, detections):
    galaxy = (detections.sources.kind == 1) & (detections.sources.magnitude[:, 2] < 20)
    psf, model = column(photo, "psfMag_r"), column(photo, "modelMag_r")
    good = galaxy & (psf > 0)
    assert np.median((psf - model)[good]) > 0.3
    assert (column(photo, "type")[good] == 3).mean() > 0.9
    star = (detections.sources.kind == 0) & (detections.sources.magnitude[:, 2] < 20)
    assert (column(photo, "type")[star] == 6).mean() > 0.95


def test_dereddened_magnitudes_are_model_less_extinction(photo):
    for band in "ugriz":
        model, dust = column(photo, f"modelMag_{band}"), column(photo, f"extinction_{band}")
        assert np.abs(column(photo, f"dered_{band}") - (model - dust)).max() < 3e-5
    ratio = column(photo, "extinction_g") / column(photo, "extinction_r")
    assert ratio == pytest.approx(3.303 / 2.285, rel=1e-3)


def test_detection_errors_agree_with_a_real_field(survey_data, photo, detections):
    """psfMagErr at a magnitude beside those of field 94-1-12, whose seeing is 1.2 times ours."""
    fits = pytest.importorskip("astropy.io.fits")
    with fits.open(survey_data / "sdss_field_94-1-12" / "photoObj-000094-1-0012.fits") as hdus:
        table = hdus[1].data
        keep = (table["NCHILD"] == 0) & (table["OBJC_TYPE"] == 6)
        real, real_error = table["PSFMAG"][keep], table["PSFMAGERR"][keep]
    for k, band in enumerate("ugriz"):
        low = (20.5, 21.0, 21.0, 20.5, 19.0)[k]
        there = np.median(real_error[(real[:, k] > low) & (real[:, k] < low + 0.5), k])
        measured = column(photo, f"psfMag_{band}")
        mine = (measured > low) & (measured < low + 0.5)
        here = np.median(column(photo, f"psfMagErr_{band}")[mine])
        assert here == pytest.approx(there / 1.2, rel=0.35)


def test_flags_say_why_photometry_is_not_clean(photo, detections):
    flags, clean = column(photo, "flags"), column(photo, "clean")
    assert ((flags & 0x10000000) != 0).all()  # BINNED1: detected
    edge = (flags & 0x4) != 0
    assert (clean[edge] == 0).all()
    assert (detections.x[edge] < 8).any()
    assert 0.85 < clean.mean() < 0.99
    assert pc.min(photo.column("flags")).as_py() > 0
