"""What networks see: scaled by the training split alone, never NaN, refused where it is missing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from galaxyds.errors import UsageError
from galaxyds_models.preparation import Preparation, features
from galaxyds_models.recipe import ImageInput, Inputs
from tests.models.tiny import tiny_objects


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def train(home):
    return tiny_objects(home)


def test_standard_scaling_is_of_the_training_split_also_for_others(home, train):
    inputs = Inputs(photometry=("magnitudes", "colors"))
    preparation = Preparation.fit(train, inputs)
    seen = preparation.photometry(train, inputs)
    assert seen["magnitudes"].mean(0).abs().max() < 1e-5
    assert (seen["magnitudes"].std(0, correction=0) - 1).abs().max() < 1e-5
    other = tiny_objects(home, "test")
    mean, deviation = train.magnitudes.mean(0), train.magnitudes.std(0)
    expected = (other.magnitudes - mean) / deviation
    np.testing.assert_allclose(
        preparation.photometry(other, inputs)["magnitudes"], expected, atol=2e-4
    )


def test_minmax_scaling_fills_the_unit_interval(train):
    inputs = Inputs(photometry=("magnitudes",), scaling="minmax")
    seen = Preparation.fit(train, inputs).photometry(train, inputs)["magnitudes"]
    assert seen.min(0).values.abs().max() < 1e-6
    assert (seen.max(0).values - 1).abs().max() < 1e-6


def test_missing_values_are_the_mean_and_never_reach_the_statistics(train):
    holes = train.magnitudes.copy()
    holes[::4, 1] = np.nan
    inputs = Inputs(photometry=("magnitudes", "colors"))
    preparation = Preparation.fit(replace(train, magnitudes=holes), inputs)
    seen = preparation.photometry(replace(train, magnitudes=holes), inputs)
    assert seen["magnitudes"].isfinite().all()
    assert seen["magnitudes"][::4, 1].abs().max() < 1e-5
    assert preparation.scales["magnitudes"].offset[1] == pytest.approx(np.nanmean(holes[:, 1]))
    assert seen["colors"][::4].abs().max() < 1e-5  # both colours need the missing one


def test_extinction_and_reddening_stay_as_they_are(train):
    inputs = Inputs(photometry=("ebv",))
    seen = Preparation.fit(train, inputs).photometry(train, inputs)["ebv"]
    assert torch.equal(seen, torch.full((len(train), 1), 0.03))


def test_image_statistics_are_those_of_the_compressed_pixels(train):
    inputs = Inputs(image=ImageInput(compression="signed-sqrt"))
    preparation = Preparation.fit(train, inputs)
    pixels = np.nan_to_num(train.dataset.batch(np.arange(len(train)))["image"].numpy()).astype("f8")
    compressed = np.sign(pixels) * (np.sqrt(np.abs(pixels) + 1) - 1)
    np.testing.assert_allclose(preparation.image_mean, compressed.mean((0, 2, 3)), atol=2e-4)
    np.testing.assert_allclose(
        1 / np.array(preparation.image_scale), compressed.std((0, 2, 3)), rtol=1e-3
    )


def test_bands_without_data_do_not_count(train):
    mask = np.ones((len(train), 3), bool)
    mask[: len(train) // 2, 2] = False
    inputs = Inputs(image=ImageInput(compression="none"))
    preparation = Preparation.fit(replace(train, band_mask=mask), inputs)
    pixels = np.nan_to_num(train.dataset.batch(np.arange(len(train)))["image"].numpy())
    assert preparation.image_mean[2] == pytest.approx(pixels[mask[:, 2], 2].mean(), abs=1e-3)


def test_what_is_not_there_is_refused_by_name(train):
    with pytest.raises(UsageError, match="no extinctions"):
        Preparation.fit(train, Inputs(photometry=("extinctions",)))
    with pytest.raises(UsageError, match="no images"):
        Preparation.fit(replace(train, dataset=None, bands=()), Inputs(image=ImageInput()))
    optional = Inputs(photometry=("errors",), optional=("errors",))
    bare = replace(train, errors=None)
    assert not Preparation.fit(bare, optional).photometry(bare, optional)["errors"].any()


def test_features_stand_side_by_side_in_the_order_of_the_inputs(train):
    found = features(train, Inputs(photometry=("colors", "magnitudes", "errors")))
    assert found.shape == (len(train), 2 + 3 + 3)
    np.testing.assert_array_equal(found[:, 2:5], train.magnitudes)
    np.testing.assert_array_equal(found[:, 0], train.magnitudes[:, 0] - train.magnitudes[:, 1])
