"""Measurements against closed forms and symmetries."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import quad

from galaxyds.morphology import (
    Detections,
    DetectionSettings,
    central,
    measure,
    neighbourhood,
)
from galaxyds.morphology.photometry import petrosian_radius
from galaxyds.morphology.settings import GAUSS_3X3

SIZE, NOISE = 128, 1e-4
WIDE = 256  # its background meshes beside the galaxy are free of it


def gaussians(*sources, size: int = SIZE, seed: int = 1) -> np.ndarray:
    """Elliptical Gaussians (x, y, sigma_a, sigma_b, theta in degrees, peak) and a little noise."""
    row, column = np.indices((size, size))
    image = np.random.default_rng(seed).normal(0, NOISE, (size, size))
    for x, y, sigma_a, sigma_b, theta, peak in sources:
        angle = np.radians(theta)
        along = (column - x) * np.cos(angle) + (row - y) * np.sin(angle)
        across = -(column - x) * np.sin(angle) + (row - y) * np.cos(angle)
        image += peak * np.exp(-0.5 * ((along / sigma_a) ** 2 + (across / sigma_b) ** 2))
    return image


def only(image: np.ndarray) -> tuple[Detections, int]:
    found = measure(image)
    index = central(found)
    assert index is not None
    return found, index


def filter_variance() -> float:
    """Variance along one axis that the detection filter adds."""
    kernel = np.array(GAUSS_3X3)
    return float(2 * kernel[0].sum() / kernel.sum())


def truncated(sigma: float, found: Detections) -> float:
    """RMS of a filtered Gaussian of peak 1, cut at the detection threshold.

    Where only the part above a share t of its peak counts, the variance of a two-dimensional
    Gaussian is smaller by the factor 1 + t ln(t) / (1 - t).
    """
    share = 3 * found.rms
    return float(
        np.sqrt((sigma**2 + filter_variance()) * (1 + share * np.log(share) / (1 - share)))
    )


@pytest.mark.parametrize("theta", [0.0, 25.0, 60.0, -40.0, 85.0])
def test_axes_and_angle_of_an_elliptical_gaussian(theta):
    found, i = only(gaussians((63.3, 64.2, 6.0, 3.0, theta, 1.0)))
    assert found.x[i] == pytest.approx(63.3, abs=0.01)
    assert found.y[i] == pytest.approx(64.2, abs=0.01)
    assert found.a[i] == pytest.approx(truncated(6.0, found), rel=5e-3)
    assert found.b[i] == pytest.approx(truncated(3.0, found), rel=5e-3)
    assert found.theta[i] == pytest.approx(theta, abs=0.1)
    assert found.ellipticity[i] == pytest.approx(1 - found.b[i] / found.a[i], abs=1e-6)


def test_fluxes_and_radii_of_a_round_gaussian():
    sigma = 5.0
    found, i = only(gaussians((127.5, 127.5, sigma, sigma, 0.0, 1.0), size=WIDE))
    a, total = found.a[i], 2 * np.pi * sigma**2
    # Of a Gaussian 2.5 times the mean radius is 3.13 sigma: the least allowed, 3.5, holds.
    assert found.kron_radius[i] == 3.5
    inside = 1 - np.exp(-0.5 * (3.5 * a / sigma) ** 2)
    assert found.auto_flux[i] == pytest.approx(total * inside, rel=3e-3)
    half = sigma * np.sqrt(-2 * np.log(1 - inside / 2))
    assert found.half_light_radius[i] == pytest.approx(half, rel=5e-3)
    assert found.peak[i] == pytest.approx(np.exp(-0.5 * 0.5 / sigma**2), rel=1e-3)
    assert found.mu_max[i] == pytest.approx(-2.5 * np.log10(found.peak[i] / 0.17**2), abs=1e-6)


def within(k: float, *, index: float, scale: float) -> float:
    """Light within k of the profile exp(-(r / scale)^(1 / index)), over pi."""
    found, _ = quad(lambda r: 2 * r * np.exp(-((r / scale) ** (1 / index))), 0, k)
    return float(found)


@pytest.mark.parametrize(("index", "scale"), [(0.5, 1.3), (1.0, 0.5), (1.0, 0.8), (4.0, 1e-3)])
def test_petrosian_radius_of_a_profile(index, scale):
    for step in range(1, 17):
        k = 0.3 * step
        annulus = within(1.2 * k, index=index, scale=scale) - within(k, index=index, scale=scale)
        mean = within(1.1 * k, index=index, scale=scale) / 1.21
        if annulus / 0.44 < 0.2 * mean:
            break
    # Rings of equal area, so that every one weighs the same.
    radii = 6 * np.sqrt((np.arange(200_000) + 0.5) / 200_000)
    values = np.exp(-((radii / scale) ** (1 / index)))
    radius, reached = petrosian_radius(radii, values, settings=DetectionSettings())
    assert radius == pytest.approx(max(2 * 1.1 * k, 3.5), rel=1e-9)
    assert reached == (k < 4.8)


def test_isophotal_area_of_a_gaussian_is_that_of_the_detection_ellipse():
    found, i = only(gaussians((63.5, 63.5, 5.0, 4.0, 30.0, 1.0)))
    # Detected pixels are at 3 sigma after filtering, all of them far above 1.5 sigma before it.
    edge = -2 * np.log(3 * found.rms)
    expected = np.pi * 5.0 * 4.0 * edge
    assert found.isophotal_area[i] == pytest.approx(expected, rel=0.05)
    assert (found.segmentation == i + 1).sum() >= found.isophotal_area[i]


def test_a_quarter_turn_turns_theta_and_leaves_the_rest():
    image = gaussians((61.0, 66.0, 6.0, 3.0, 20.0, 1.0), (100.0, 30.0, 3.0, 2.0, 0.0, 0.5))
    before, i = only(image)
    after, j = only(np.rot90(image))  # (x, y) -> (y, size - 1 - x): +y becomes +x
    assert after.x[j] == pytest.approx(before.y[i], abs=1e-4)
    assert after.y[j] == pytest.approx(SIZE - 1 - before.x[i], abs=1e-4)
    assert after.theta[j] == pytest.approx(before.theta[i] - 90, abs=1e-3)
    for name in ("a", "b", "half_light_radius", "petro_radius", "kron_radius", "mu_max"):
        assert getattr(after, name)[j] == pytest.approx(getattr(before, name)[i], rel=1e-4), name
    assert after.isophotal_area[j] == before.isophotal_area[i]


def test_a_neighbour_is_replaced_by_the_other_side():
    alone, i = only(gaussians((63.5, 63.5, 3.0, 3.0, 0.0, 1.0)))
    image = gaussians((63.5, 63.5, 3.0, 3.0, 0.0, 1.0), (85.0, 63.5, 2.0, 2.0, 0.0, 1.0))
    beside, j = only(image)
    assert len(beside) == 2
    for name in ("half_light_radius", "auto_flux", "petro_flux"):
        assert getattr(beside, name)[j] == pytest.approx(getattr(alone, name)[i], rel=0.01), name


def test_counts_around_the_centre_include_the_central_source():
    middle = (SIZE - 1) / 2
    places = [(0, 0), (8.0, 0), (0, -13.0), (30, 30)]
    image = gaussians(*((middle + x, middle + y, 1.5, 1.5, 0.0, 1.0) for x, y in places))
    around = neighbourhood(measure(image))
    assert (around.within_5, around.within_10, around.within_15, around.total) == (1, 2, 3, 4)


def test_the_central_source_is_the_nearest_not_the_brightest():
    middle = (SIZE - 1) / 2
    image = gaussians(
        (middle + 3, middle - 2, 2.0, 2.0, 0.0, 0.2), (middle - 20, middle, 3.0, 3.0, 0.0, 5.0)
    )
    found, i = only(image)
    assert found.x[i] == pytest.approx(middle + 3, abs=0.1)
    assert central(found, (middle - 18, middle)) != i


def test_nothing_to_find_is_no_source():
    found = measure(np.zeros((60, 60)))
    assert len(found) == 0
    assert central(found) is None
    assert neighbourhood(found).total == 0
