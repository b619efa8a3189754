"""Closed forms of Gaussian predictions against numerical integration."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import integrate, stats

from galaxyds import metrics
from galaxyds.errors import UsageError

WEIGHTS = np.array([[0.2, 0.5, 0.3], [0.9, 0.1, 0.0]])
MU = np.array([[0.3, 0.5, 1.4], [0.2, 0.9, 0.5]])
SIGMA = np.array([[0.05, 0.2, 0.1], [0.1, 0.3, 0.2]])
TRUE = np.array([0.45, 1.0])


def integral(cdf, z):
    parts = [(-3.0, z, 0.0), (z, 5.0, 1.0)]
    return sum(
        integrate.quad(lambda x, step=step: (cdf(x) - step) ** 2, a, b, limit=400, epsabs=1e-11)[0]
        for a, b, step in parts
    )


def test_gaussian_crps_is_the_integral():
    for mu, sigma, z in ((0.5, 0.1, 0.62), (0.5, 0.3, 0.1)):
        expected = integral(stats.norm(mu, sigma).cdf, z)
        assert metrics.gaussian_crps([mu], [sigma], [z]) == pytest.approx(expected, abs=1e-9)
    # At the mean: sigma (sqrt(2) - 1) / sqrt(pi).
    assert metrics.gaussian_crps([1.0], [0.2], [1.0]) == pytest.approx(
        0.2 * (np.sqrt(2) - 1) / np.sqrt(np.pi)
    )


def test_gaussian_nll_and_pit_equal_scipy():
    law = stats.norm([0.4, 0.5], [0.1, 0.02])
    args = ([0.4, 0.5], [0.1, 0.02], [0.45, 0.41])
    assert metrics.gaussian_nll(*args) == pytest.approx(-law.logpdf(args[2]))
    assert metrics.gaussian_pit(*args) == pytest.approx(law.cdf(args[2]))


def test_coverage_of_calibrated_gaussians():
    rng = np.random.default_rng(0)
    sigma = rng.uniform(0.01, 0.1, 50_000)
    true = 1 + sigma * rng.standard_normal(50_000)
    pit = metrics.gaussian_pit(np.ones(50_000), sigma, true)
    assert metrics.coverage(pit, metrics.ONE_SIGMA) == pytest.approx(0.6827, abs=0.006)
    assert metrics.coverage(pit, metrics.TWO_SIGMA) == pytest.approx(0.9545, abs=0.003)


def test_mixture_crps_is_the_integral():
    found = metrics.mixture_crps(WEIGHTS, MU, SIGMA, TRUE)
    for row in range(2):
        expected = integral(
            lambda x, r=row: WEIGHTS[r] @ stats.norm.cdf(x, MU[r], SIGMA[r]), TRUE[row]
        )
        assert found[row] == pytest.approx(expected, abs=1e-8)


def test_the_sum_of_components_is_an_upper_bound_and_not_the_score():
    exact = metrics.mixture_crps(WEIGHTS, MU, SIGMA, TRUE)
    bound = metrics.mixture_crps_bound(WEIGHTS, MU, SIGMA, TRUE)
    assert (bound > 1.05 * exact).all()
    same = (WEIGHTS, np.full((2, 3), 0.4), np.full((2, 3), 0.1), TRUE)
    one = metrics.gaussian_crps(np.full(2, 0.4), np.full(2, 0.1), TRUE)
    assert metrics.mixture_crps(*same) == pytest.approx(one)
    assert metrics.mixture_crps_bound(*same) == pytest.approx(one)


def test_refusals():
    with pytest.raises(UsageError, match="1 of 2 are not above 0"):
        metrics.gaussian_crps([0.1, 0.2], [0.1, 0.0], [0.1, 0.2])
    with pytest.raises(UsageError, match=r"mu has shape \(1,\), expected \(2,\)"):
        metrics.gaussian_nll([0.1], [0.1, 0.1], [0.1, 0.2])
    with pytest.raises(UsageError, match="1 of 2 numbers are not finite"):
        metrics.gaussian_pit([0.1, np.inf], [0.1, 0.1], [0.1, 0.2])
    with pytest.raises(UsageError, match="weights: 2 of 2 rows"):
        metrics.mixture_crps(2 * WEIGHTS, MU, SIGMA, TRUE)
