"""The tables of the simulated PDR2: noise, sentinels, repeats, against what they were made from."""

from __future__ import annotations

import numpy as np
import pytest

from galaxyds.sky import Universe, hsc_spectroscopy
from galaxyds.sky.hsc_catalogue import forced, forced2, tables
from galaxyds.sky.hsc_detections import detect
from galaxyds.sky.hsc_footprint import object_id
from galaxyds.sky.universe import GALAXY, QUASAR, STAR
from tests.sky.hsc_small import SMALL, WEST

BANDS = "grizy"


@pytest.fixture(scope="module")
def found():
    return detect(Universe(), SMALL)


@pytest.fixture(scope="module")
def ids(found):
    return object_id(found.tract, found.patch_x, found.patch_y, found.number)


@pytest.fixture(scope="module")
def photo(found, ids):
    return forced(found, ids)


@pytest.fixture(scope="module")
def spec(found, ids):
    return hsc_spectroscopy.columns(found, ids)


def test_ids_are_unique_and_in_order(ids):
    assert (np.diff(ids) > 0).all()


def test_a_source_is_primary_once_and_overlaps_repeat_it(found):
    primary = found.sources.key[found.primary]
    assert np.unique(primary).size == primary.size
    # Patches of 4200 pixels every 4000: (4200 / 4000)^2 = 1.10, and the rim of the tract.
    one = found.tract == WEST.number
    repeats = one.sum() / np.unique(found.sources.key[one]).size
    assert 1.01 < repeats < 1.11
    both = np.intersect1d(found.sources.key[one], found.sources.key[~one])
    assert both.size > 300


def test_skymap_id_and_patch_name_the_patch(photo):
    assert (photo["skymap_id"] == photo["tract"] * 10_000 + photo["patch"]).all()
    assert set(photo["patch"]) == {5, 6, 805}


@pytest.mark.parametrize("band", list(BANDS))
def test_magnitudes_scatter_by_their_errors(found, photo, band):
    k = BANDS.index(band)
    measured, error = photo[f"{band}_cmodel_mag"], photo[f"{band}_cmodel_magsigma"]
    good = (measured < 50) & (error > 0.03) & (error < 0.15)
    assert good.sum() > 500
    pull = (measured - found.sources.magnitude[:, k])[good] / error[good]
    assert abs(np.median(pull)) < 0.15
    assert 1.4826 * np.median(np.abs(pull - np.median(pull))) == pytest.approx(1.0, abs=0.12)


@pytest.mark.parametrize(
    ("band", "depth"), [("g", 26.6), ("r", 26.2), ("i", 26.2), ("z", 25.3), ("y", 24.5)]
)
def test_point_sources_reach_the_published_depth(found, band, depth):
    """5 sigma at the depth of PDR2 Wide: error of a star, scaled to its background-limited part."""
    k = BANDS.index(band)
    faint = (found.sources.kind == STAR) & (found.sources.magnitude[:, k] > depth - 3)
    limit = 27 - 2.5 * np.log10(5 * np.median(found.error[faint, k]))
    assert limit == pytest.approx(depth, abs=0.3)


def test_undetected_magnitudes_are_nan_or_a_sentinel(photo):
    every = np.concatenate([photo[f"{band}_cmodel_mag"] for band in BANDS])
    assert 0 < (every == 99.9).sum() < 0.003 * every.size
    assert np.isnan(every).mean() < 0.01
    valid = every[(every < 50)]
    assert valid.min() > 10
    assert valid.max() < 33


def test_extinction_has_the_ratios_of_the_filters(photo):
    assert photo["a_g"] / photo["a_i"] == pytest.approx(3.240 / 1.633, rel=1e-6)
    assert (photo["a_y"] > 0).all()


def test_coord_is_the_unit_vector_as_text(photo):
    first = np.array([float(part) for part in photo["coord"][0].strip("()").split(",")])
    assert np.linalg.norm(first) == pytest.approx(1)
    assert np.degrees(np.arcsin(first[2])) == pytest.approx(photo["dec"][0], abs=1e-8)


def test_edges_and_saturated_stars_are_flagged(found, photo):
    assert photo["i_pixelflags_edge"][found.edge < 8].all()
    assert photo["i_pixelflags_edge"][found.edge > 8].mean() < 0.003
    star = (found.sources.kind == STAR) & (found.sources.magnitude[:, 2] < 18)
    assert star.sum() > 20
    assert photo["i_pixelflags_saturatedcenter"][star].all()


def test_centroids_fail_for_few(found, ids):
    table = forced2(found, ids)
    assert list(table) == ["object_id", *(f"{band}_sdsscentroid_flag" for band in BANDS)]
    assert 0.0005 < table["i_sdsscentroid_flag"].mean() < 0.01


def test_every_redshift_belongs_to_an_object_within_the_radius(photo, spec):
    at = np.searchsorted(photo["object_id"], spec["object_id"])
    assert (photo["object_id"][at] == spec["object_id"]).all()
    away = (photo["ra"][at] - spec["specz_ra"]) * np.cos(np.radians(spec["specz_dec"]))
    distance = np.hypot(away, photo["dec"][at] - spec["specz_dec"]) * 3600
    assert distance == pytest.approx(spec["d_pos"], abs=1e-3)
    assert distance.max() < 0.5


def test_secure_redshifts_are_those_of_the_sources(found, ids, spec):
    at = np.searchsorted(ids, spec["object_id"])
    true, kind = found.sources.redshift[at], found.sources.kind[at]
    plain = spec["specz_flag_homogeneous"] & (kind != STAR) & (spec["specz_redshift"] < 9)
    error = spec["specz_redshift_err"]
    # Merged rows have the mean redshift of surveys that are not equally precise.
    trusted = plain & (error > 0) & (error < 0.1) & (np.char.find(spec["specz_name"], ",") < 0)
    assert trusted.sum() > 300
    pull = (spec["specz_redshift"] - true)[trusted] / error[trusted]
    assert (np.abs(pull) > 6).mean() < 0.02
    assert 1.4826 * np.median(np.abs(pull)) == pytest.approx(1.0, abs=0.2)
    assert set(kind) == {STAR, GALAXY, QUASAR}


def test_completeness_falls_with_magnitude(found, spec, ids):
    """Share of galaxies with a redshift, and share of redshifts that are secure."""
    has = np.isin(ids, spec["object_id"])
    i = found.sources.magnitude[:, 2]
    galaxy = found.sources.kind == GALAXY
    shares = [has[galaxy & (i > a) & (i < b)].mean() for a, b in ((17, 19), (20, 22), (23, 24))]
    assert shares[0] > 0.6 > shares[1] > 4 * shares[2] > 0.05
    bright = i[np.searchsorted(ids, spec["object_id"])] < 20
    secure = spec["specz_flag_homogeneous"]
    assert secure[bright].mean() > 0.93
    assert 0.7 < secure[~bright].mean() < secure[bright].mean()


def test_names_are_shared_by_repeats_and_joined_by_commas(spec):
    names, counts = np.unique(spec["specz_name"], return_counts=True)
    assert 0.02 < (counts > 1).mean() < 0.3
    joined = np.char.find(names, ",") > 0
    assert 0.02 < joined.mean() < 0.3
    pairs = np.unique(np.stack([spec["object_id"].astype(str), spec["specz_name"]]), axis=1)
    assert pairs.shape[1] == spec["object_id"].size
    _, rows = np.unique(spec["object_id"], return_counts=True)
    assert 0 < (rows > 1).mean() < 0.05


def test_columns_have_the_archives_types():
    made = tables(Universe(), SMALL)
    kinds = {name: str(made["forced"].schema.field(name).type) for name in (
        "object_id", "ra", "tract", "skymap_id", "coord", "isprimary", "g_cmodel_mag")}  # fmt: skip
    assert list(kinds.values()) == ["int64", "double", "int32", "int64", "string", "bool", "float"]
    assert str(made["specz"].schema.field("specz_flag_homogeneous").type) == "bool"
    assert all(table.column(name).null_count == 0
               for table in made.values() for name in table.column_names)  # fmt: skip
