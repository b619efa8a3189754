"""Columns are found in declarations, and histograms have the heights that numpy counts."""

from __future__ import annotations

import dataclasses
import re

import numpy as np
import pytest

from galaxyds.report.columns import magnitudes, main_magnitudes
from galaxyds.report.figures import magnitudes as draw_magnitudes
from galaxyds.report.figures import redshifts
from galaxyds.report.sheets import bands_with_data, choose, composite
from galaxyds.spec import Column
from galaxyds.specs import get_spec, spec_names
from tests.small_build import SPEC

STEMS = {
    "sdss-qso": "psf_mag_{}",
    "sdss-mgs": "petro_mag_{}",
    "cfhtls-wide": "mag_{}",
    "hsc-galaxiesml": "{}_cmodel_mag",
    "hsc-deep": "{}_cmodel_mag",
}


@pytest.mark.parametrize("name", spec_names())
def test_magnitudes_are_found_in_every_declaration(name):
    spec = get_spec(name)
    bands = [b for b in spec.band_names() if b not in ("J", "H", "Ks")]
    wanted = [b for b in bands if name != "hsc-deep" or b != "u"]
    assert main_magnitudes(spec) == {band: STEMS[name].format(band) for band in wanted}
    for stem in magnitudes(spec):
        assert not re.search("err|sigma|extinction|color", stem)


def test_without_magnitudes_there_is_no_figure():
    spec = dataclasses.replace(SPEC, columns=SPEC.columns[:7] + SPEC.columns[8:], configs=(
        dataclasses.replace(SPEC.configs[0], cuts=()),))  # fmt: skip
    assert main_magnitudes(spec) == {}
    assert draw_magnitudes({}, spec) == []
    flux = Column(name="flux_g", dtype="float32", unit="nanomaggy", description="flux")
    assert main_magnitudes(dataclasses.replace(spec, columns=(*spec.columns, flux))) == {}


def heights(svg):
    """Heights of a histogram's steps in pixels, from its outline."""
    path = re.search(r'class="bars" d="M[\d.]+ ([\d.]+)(.*?)z"', svg)
    floor, steps = float(path.group(1)), re.findall(r"V([\d.]+)H", path.group(2))
    return floor - np.array([float(step) for step in steps])


def test_the_histogram_of_redshifts_is_that_of_numpy():
    z = np.random.default_rng(0).gamma(2, size=1000)
    z[7] = np.nan
    drawn = redshifts({"redshift": z}, SPEC)[0]
    found = heights(drawn.svg)
    counts, _ = np.histogram(z[np.isfinite(z)], len(found))
    np.testing.assert_allclose(found / found.max(), counts / counts.max(), atol=1e-3)
    assert drawn.caption == "All 999 objects; 1 have no redshift"


def test_equal_and_missing_values_are_drawn():
    one = {"mag_g": np.array([20.0, 20.0, np.nan], "f4")}
    (figure,) = draw_magnitudes(one, SPEC)
    assert "median 20.00" in figure.caption
    assert "1 without" in figure.caption
    assert heights(figure.svg).max() > 100
    assert draw_magnitudes({"mag_g": np.full(3, np.nan, "f4")}, SPEC) == []
    assert redshifts({"redshift": np.full(3, np.nan)}, SPEC) == []


def test_thirds_of_the_redshifts_are_chosen_evenly():
    z = np.random.default_rng(1).permutation(90).astype(float)
    z[z == 89] = np.nan
    groups = choose(z, 90, bands=5)
    assert [len(group) for group in groups] == [6, 6, 6]
    chosen = np.concatenate([z[group] for group in groups])
    assert (np.diff(chosen) > 0).all()
    assert (chosen[0], chosen[-1]) == (0, 88)
    assert sum(map(len, choose(None, 2, bands=5))) == 2
    assert choose(np.empty(0), 0, bands=5) == ()
    unknown = choose(np.full(4, np.nan), 4, bands=5)
    assert np.concatenate(unknown).tolist() == [0, 1, 2, 3]
    assert np.concatenate(choose(np.array([2, -np.inf, 1, np.inf]), 4, bands=5)).tolist() == [2, 0]
    assert max(map(len, choose(z, 90, bands=40))) == 1


def test_the_composite_is_of_three_bands_in_one_unit():
    assert composite(get_spec("hsc-deep").bands) == ("i", "r", "g")
    assert composite(SPEC.bands) == ("r", "g", "u")
    assert composite(SPEC.bands[:2]) is None
    assert composite((*SPEC.bands[:2], dataclasses.replace(SPEC.bands[2], unit="count"))) is None


def test_the_mask_of_bands_is_read_bit_by_bit():
    found = bands_with_data(np.array([0b101, 0b010], "i2"), 3)
    assert found.tolist() == [[True, False, True], [False, True, False]]
