"""Lanczos-3 against closed forms and another implementation."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import map_coordinates

from galaxyds.pixels import lanczos


def windowed_sinc(distance: float) -> float:
    """The textbook kernel, one number at a time."""
    if distance == 0:
        return 1.0
    if abs(distance) >= 3:
        return 0.0
    turn = np.pi * distance
    return float(3 * np.sin(turn) * np.sin(turn / 3) / turn**2)


@pytest.mark.parametrize("fraction", [0.0, 1e-5, 0.1, 0.25, 0.5, 0.9, 0.999, 1 - 1e-12])
def test_weights_are_the_kernel_over_its_sum(fraction):
    kernel = np.array([windowed_sinc(fraction - step) for step in range(-2, 4)])
    got = lanczos.weights(np.array([fraction]))[0]
    np.testing.assert_allclose(got, kernel / kernel.sum(), atol=2e-7)
    assert got.sum() == pytest.approx(1.0, abs=1e-15)


def grid(size: int, start: float, step: float) -> np.ndarray:
    return start + step * np.arange(size)[None]


def resample(image: np.ndarray, row: np.ndarray, column: np.ndarray, way=lanczos.separable):
    top, rows = lanczos.band_weights(row)
    left, columns = lanczos.band_weights(column)
    height, width = (w.shape[1] + w.shape[2] - 1 for w in (rows, columns))
    patch = image[top[0] : top[0] + height, left[0] : left[0] + width]
    return way(patch[None].astype(np.float32), rows, columns)[0]


@pytest.mark.parametrize("step", [1.0, 1.0004, 0.9996, 0.97, 1.05])
def test_a_smooth_image_agrees_with_a_spline_of_fifth_order(step):
    y, x = np.indices((90, 95))
    image = np.exp(-((y - 41.3) ** 2 + (x - 47.8) ** 2) / (2 * 2.5**2)) + 0.2 * np.sin(x / 4)
    row, column = grid(48, 15.37, step), grid(48, 20.81, step)
    got = resample(image, row, column)
    where = np.meshgrid(row[0], column[0], indexing="ij")
    # Lanczos-3 itself departs from the band-limited value by a few parts in a thousand here.
    np.testing.assert_allclose(got, map_coordinates(image, where, order=5), atol=4e-3)


def test_separable_and_pointwise_are_one_formula():
    image = np.random.default_rng(1).normal(size=(60, 60)).astype(np.float32)
    row, column = grid(32, 10.6, 1.0004), grid(32, 12.2, 0.9995)
    where = np.meshgrid(row[0], column[0], indexing="ij")
    expected = lanczos.pointwise(image, *where)
    np.testing.assert_allclose(resample(image, row, column), expected, atol=2e-6)


def test_a_constant_stays_and_whole_shifts_copy():
    constant = np.full((60, 60), 7.0)
    np.testing.assert_allclose(resample(constant, grid(32, 9.3, 1.0003), grid(32, 8.8, 1)), 7.0)
    image = np.random.default_rng(2).normal(size=(60, 60))
    got = resample(image, grid(32, 9.0, 1.0), grid(32, 11.0, 1.0))
    np.testing.assert_allclose(got, image[9:41, 11:43], atol=1e-6)


def test_nan_spreads_as_far_as_the_kernel_and_no_further():
    image = np.ones((60, 60), np.float32)
    image[30, 30] = np.nan
    # A step of 1.03 makes some kernels occupy the later of the slots.
    row, column = grid(32, 14.4, 1.03), grid(32, 13.7, 1.03)
    got = resample(image, row, column, way=lanczos.separable_with_holes)
    under = [(np.floor(p[0]) - 2 <= 30) & (np.floor(p[0]) + 3 >= 30) for p in (row, column)]
    np.testing.assert_array_equal(np.isnan(got), np.outer(*under))
    np.testing.assert_allclose(got[~np.isnan(got)], 1.0, atol=1e-6)
    where = np.meshgrid(row[0], column[0], indexing="ij")
    np.testing.assert_array_equal(np.isnan(lanczos.pointwise(image, *where)), np.isnan(got))
