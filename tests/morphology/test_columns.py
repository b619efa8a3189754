"""The columns of one band, their flags, and what corrupt images give."""

from __future__ import annotations

import csv

import numpy as np
import pytest

from galaxyds.errors import UsageError
from galaxyds.morphology import COUNTS, FLAGS, KEYS, central, describe, measure
from galaxyds.morphology.flags import mask
from tests.morphology.test_closed_forms import gaussians

BIT = {flag.name: 1 << flag.bit for flag in FLAGS}
MEASURED = [key for key in KEYS if key != "morphology_flags"]


def raised(image: np.ndarray) -> set[str]:
    found = describe(image)["morphology_flags"]
    return {name for name, bit in BIT.items() if found & bit}


@pytest.fixture(scope="module")
def galaxy() -> np.ndarray:
    return gaussians((60.0, 59.0, 4.0, 3.0, 30.0, 1.0), (100.0, 30.0, 3.0, 2.0, 0.0, 0.5), size=121)


def test_the_columns_are_those_of_the_central_source(galaxy):
    columns, found = describe(galaxy), measure(galaxy)
    i = central(found)
    assert tuple(columns) == KEYS
    assert columns["x_coord"] == found.x[i] + 1
    assert columns["y_coord"] == found.y[i] + 1
    assert columns["major_axis"] == found.a[i]
    assert columns["pos_angle"] == pytest.approx(found.theta[i])
    assert columns["petro_rad_pixels"] == pytest.approx(found.petro_radius[i] * found.a[i])
    assert columns["isophotal_area"] == found.isophotal_area[i]
    assert columns["peak_surface_brightness"] == found.mu_max[i]
    assert columns["total_galaxies"] == 2
    assert columns["central_image_pop_5px_rad"] == 1
    assert all(isinstance(columns[key], int) == (key in COUNTS) for key in KEYS)


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((127, 127), np.float32),
        np.full((127, 127), 3.5, np.float32),
        np.full((127, 127), np.nan, np.float32),
        np.full((127, 127), np.inf),
        np.full((127, 127), 1e60),
        np.zeros((1, 1)),
        np.zeros((0, 5)),
    ],
    ids=["zero", "constant", "nan", "inf", "beyond float32", "one pixel", "no pixel"],
)
def test_a_corrupt_band_is_flagged_and_all_zero(image):
    columns = describe(image)
    assert columns["morphology_flags"] == BIT["corrupt"] | BIT["not_detected"]
    assert all(columns[key] == 0 for key in MEASURED)
    assert len(measure(image)) == 0


def test_an_undetected_band_is_all_zero_with_its_flag():
    columns = describe(np.random.default_rng(5).normal(size=(120, 121)))
    assert columns["morphology_flags"] == BIT["not_detected"]
    assert all(columns[key] == 0 for key in MEASURED)


def test_pixels_that_are_not_finite_are_left_out_and_flagged(galaxy):
    holed = galaxy.copy()
    holed[5:9, 5:9] = np.nan
    holed[110, 3] = np.inf
    assert raised(holed) == {"nan_pixels"}
    sound, other = describe(galaxy), describe(holed)
    for key in ("major_axis", "half_light_radius", "petro_rad"):
        assert other[key] == pytest.approx(sound[key], rel=0.02), key


def test_a_hole_in_the_galaxy_is_filled_from_the_other_side(galaxy):
    holed = galaxy.copy()
    holed[59:61, 66:69] = np.nan
    assert describe(holed)["half_light_radius"] == pytest.approx(
        describe(galaxy)["half_light_radius"], rel=0.05
    )


@pytest.mark.parametrize("dtype", [">f4", "<f8", ">f8", np.float16])
def test_dtype_byte_order_and_layout_do_not_matter(galaxy, dtype):
    image = galaxy.astype(np.float16).astype(dtype)
    expected = describe(image.astype(np.float32))
    assert describe(image) == expected
    assert describe(np.asfortranarray(image)) == expected
    wide = np.zeros((2 * image.shape[0], image.shape[1]), dtype)
    wide[::2] = image
    assert describe(wide[::2]) == expected


def test_a_read_only_image_is_measured_and_not_changed(galaxy):
    image = galaxy.astype(np.float32)
    image.flags.writeable = False
    copy = image.copy()
    assert describe(image)["total_galaxies"] == 2
    np.testing.assert_array_equal(image, copy)


def test_measuring_twice_and_after_others_gives_the_same_bits(galaxy):
    blend = gaussians((60, 60, 4, 4, 0, 1.0), (78, 62, 4, 3, 0, 0.7), size=121)
    first = describe(blend)
    for other in (galaxy, np.zeros((30, 30)), blend[:80]):
        describe(other)
    assert describe(blend) == first


def test_a_deblended_centre_is_flagged():
    image = gaussians((60, 60, 4, 4, 0, 1.0), (78, 62, 4, 3, 0, 0.7), size=121)
    assert raised(image) == {"blended"}


def test_a_source_at_the_border_is_flagged_as_truncated_and_off_centre():
    image = gaussians((0, 60, 4, 4, 0, 1.0), size=121)
    assert raised(image) == {"truncated", "off_center"}


def test_a_profile_that_never_falls_is_flagged_at_the_limit():
    row, column = np.indices((121, 121))
    radius = np.hypot(row - 60, column - 60)
    rng = np.random.default_rng(3)
    image = 1 / (1 + radius / 2) ** 1.2 + rng.normal(0, 0.03, radius.shape)
    columns = describe(image)
    assert columns["petro_rad"] == pytest.approx(10.56)
    assert "petrosian_limit" in raised(image)


def test_only_images_of_two_dimensions_are_taken():
    with pytest.raises(UsageError, match=r"\(5, 20, 20\): pass one band"):
        describe(np.zeros((5, 20, 20)))


def test_the_bits_are_distinct_and_combine():
    bits = [flag.bit for flag in FLAGS]
    assert bits == sorted(set(bits))
    assert mask(FLAGS[0], FLAGS[2], FLAGS[2]) == 0b101


def test_values_are_of_the_kind_that_the_authors_published(survey_data, galaxy):
    """Their rows: Petrosian radii are multiples of 0.66, an undetected band is all zeros."""
    path = survey_data / "galaxiesml_sextractor" / "galaxiesml_morphology_head_tail.csv"
    with path.open() as file:
        rows = list(csv.DictReader(file))
    detected = [row for row in rows if float(row["y_x_coord"])]
    assert len(detected) == len(rows) - 1
    for row in detected:
        steps = float(row["y_petro_rad"]) / 0.66
        assert steps == pytest.approx(round(steps), abs=1e-6)
        assert float(row["y_petro_rad"]) <= 10.56
    steps = describe(galaxy)["petro_rad"] / 0.66
    assert steps == pytest.approx(round(steps))
    nothing = describe(np.random.default_rng(5).normal(size=(120, 121)))
    (undetected,) = (row for row in rows if not float(row["y_x_coord"]))
    for name, value in undetected.items():
        key = name.removeprefix("y_")
        if key in KEYS and name != key:
            assert nothing[key] == float(value), key


def test_a_noiseless_image_with_a_bump_on_a_wing_is_measured():
    row, column = np.indices((127, 127))
    image = np.where(np.hypot(row - 63, column - 63) < 30, 1.0, 0.0)
    image[2:5, 2:5] = 1e-3
    image += np.exp(-0.5 * ((row - 63) ** 2 + (column - 63) ** 2) / 9)
    assert all(np.isfinite(value) for value in describe(image).values())
