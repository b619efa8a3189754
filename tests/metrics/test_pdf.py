"""Scores of binned PDFs against hand calculation, numerical integration and scipy."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from scipy import integrate, stats

from galaxyds import metrics
from galaxyds.errors import UsageError
from galaxyds.metrics import binned_pdf

EDGES = np.array([0.0, 0.1, 0.15, 0.4, 0.5, 1.0])


@pytest.fixture
def random_pdfs():
    rng = np.random.default_rng(2)
    pdf = rng.dirichlet(np.ones(5), 14)
    pdf[3] = [0, 0, 1, 0, 0]
    true = np.append(rng.uniform(0, 1, 10), [0.0, 1.0, -0.3, 1.7])  # ends, and outside
    return pdf, true


def cumulative(pdf, z):
    return np.interp(z, EDGES, np.append(0, np.cumsum(pdf)), left=0, right=1)


def test_crps_is_the_integral(random_pdfs):
    pdf, true = random_pdfs
    for row, z, found in zip(pdf, true, metrics.crps(pdf, EDGES, true), strict=True):
        breaks = np.unique(np.concatenate([EDGES, [z]]))
        expected = sum(
            integrate.quad(lambda x, row=row, z=z: (cumulative(row, x) - (x > z)) ** 2, a, b)[0]
            for a, b in pairwise(breaks)
        )
        assert found == pytest.approx(expected, abs=1e-10)


def test_crps_by_hand():
    # Uniform on [0, 1], truth at t: (t^3 + (1 - t)^3) / 3.
    pdf, edges = np.full((3, 10), 0.1), np.linspace(0, 1, 11)
    assert metrics.crps(pdf, edges, [0.5, 0.0, 0.27]) == pytest.approx(
        [1 / 12, 1 / 3, (0.27**3 + 0.73**3) / 3]
    )
    # All in one bin of width w: the distance to its middle, where the truth is in another bin,
    # less w / 6, half the mean distance of two draws from it.
    point = np.array([[0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]])
    assert metrics.crps(point, edges, [0.85]) == pytest.approx(0.5 - 0.1 / 6)
    # Outside the grid the distance counts in full.
    assert metrics.crps(point, edges, [1.85]) == pytest.approx(1.5 - 0.1 / 6)
    assert metrics.crps(point, edges, [-0.65]) == pytest.approx(1.0 - 0.1 / 6)


def test_one_hot_crps_by_hand_and_its_limit():
    pdf, edges = np.array([[0.25, 0.25, 0.5]]), np.array([0.0, 1.0, 2.0, 4.0])
    # CDFs .25 .5 1 against 0 1 1: .0625 + .25.
    assert metrics.crps_one_hot(pdf, edges, [1.2]) == pytest.approx(0.3125)
    fine = np.linspace(0, 1, 2001)
    flat = np.full((1, 2000), 1 / 2000)
    exact = metrics.crps(flat, fine, [0.3])
    assert metrics.crps_one_hot(flat, fine, [0.3]) == pytest.approx(exact, abs=1e-3)


def test_fine_bins_approach_the_gaussian_closed_forms():
    edges = np.linspace(-0.5, 1.5, 4001)
    mu, sigma = np.array([0.3, 0.5, 0.61]), np.array([0.05, 0.1, 0.02])
    true = np.array([0.32, 0.41, 0.6123])
    pdf = np.diff(stats.norm.cdf(edges, mu[:, None], sigma[:, None]))
    assert metrics.crps(pdf, edges, true) == pytest.approx(
        metrics.gaussian_crps(mu, sigma, true), abs=1e-6
    )
    assert metrics.nll(pdf, edges, true) == pytest.approx(
        metrics.gaussian_nll(mu, sigma, true), abs=1e-2
    )
    assert metrics.pit(pdf, edges, true) == pytest.approx(
        metrics.gaussian_pit(mu, sigma, true), abs=1e-5
    )
    # Integral of the squared density of a Gaussian: 1 / (2 sigma sqrt(pi)).
    closed = 1 / (2 * sigma * np.sqrt(np.pi)) - 2 * stats.norm.pdf(true, mu, sigma)
    assert metrics.cde_loss(pdf, edges, true) == pytest.approx(closed, rel=1e-2)
    for estimate in (metrics.pdf_mean, metrics.pdf_median, metrics.pdf_mode):
        assert estimate(pdf, edges) == pytest.approx(mu, abs=5e-4)


def test_cde_loss_nll_and_brier_by_hand():
    pdf = np.array([[0.2, 0.8]] * 3)
    edges = np.array([0.0, 0.5, 1.5])
    true = [0.25, 1.0, 2.0]
    square = 0.04 / 0.5 + 0.64
    assert metrics.cde_loss(pdf, edges, true) == pytest.approx([square - 0.8, square - 1.6, square])
    assert metrics.nll(pdf, edges, true) == pytest.approx(
        [-np.log(0.4), -np.log(0.8), -np.log(1e-10)]
    )
    assert metrics.brier(pdf, edges, true) == pytest.approx([0.64 + 0.64, 0.08, 1.68])


def test_splitting_bins_changes_nothing_but_brier(random_pdfs):
    pdf, true = random_pdfs
    edges = np.sort(np.append(EDGES, (EDGES[:-1] + EDGES[1:]) / 2))
    halved = np.repeat(pdf / 2, 2, axis=1)
    inside = (true >= 0) & (true <= 1)
    for score in (metrics.crps, metrics.cde_loss, metrics.pit):
        assert score(halved, edges, true) == pytest.approx(score(pdf, EDGES, true), abs=1e-12)
    some = inside & (np.arange(14) != 3)
    assert metrics.nll(halved, edges, true)[some] == pytest.approx(
        metrics.nll(pdf, EDGES, true)[some]
    )
    assert not np.allclose(metrics.brier(halved, edges, true), metrics.brier(pdf, EDGES, true))


def test_truth_at_an_edge_belongs_to_the_bin_above():
    pdf = np.array([[0.25, 0.75]] * 3)
    density = np.exp(-metrics.nll(pdf, [0.0, 1.0, 2.0], [1.0, 0.0, 2.0]))
    assert density == pytest.approx([0.75, 0.25, 0.75])


def test_pit_of_calibrated_pdfs_is_uniform():
    rng = np.random.default_rng(8)
    edges = np.linspace(0, 2, 41)
    pdf = rng.dirichlet(np.ones(40), 20_000)
    bins = (np.cumsum(pdf, axis=1) < rng.random((20_000, 1))).sum(axis=1).clip(max=39)
    true = edges[bins] + 0.05 * rng.random(20_000)
    found = metrics.evaluate_pdf(pdf, edges, true, resamples=200)
    pit = metrics.pit(pdf, edges, true)
    assert stats.kstest(pit, "uniform").pvalue > 0.01
    assert found.scores["coverage_68"].low < 0.6827 < found.scores["coverage_68"].high
    assert found.scores["coverage_95"].low < 0.9545 < found.scores["coverage_95"].high


def test_pit_of_truths_known_as_bins_has_to_be_drawn():
    rng = np.random.default_rng(8)
    chances, edges = np.array([0.1, 0.2, 0.4, 0.2, 0.1]), np.linspace(0, 1, 6)
    middles = edges[rng.choice(5, 5000, p=chances)] + 0.1
    pdf = np.tile(chances, (5000, 1))
    assert stats.kstest(metrics.pit(pdf, edges, middles), "uniform").pvalue < 1e-6
    drawn = metrics.pit(pdf, edges, middles, randomised=1)
    assert stats.kstest(drawn, "uniform").pvalue > 0.01
    assert np.array_equal(drawn, metrics.pit(pdf, edges, middles, randomised=1))


def test_pit_outside_the_grid():
    pdf = np.array([[0.5, 0.5]] * 2)
    for seed in (None, 0):
        assert metrics.pit(pdf, [0.0, 1.0, 2.0], [-0.5, 2.5], randomised=seed).tolist() == [0, 1]


def test_pit_statistics_equal_scipy():
    u = np.random.default_rng(0).beta(1.2, 0.9, 500)
    found = metrics.pit_statistics(u)
    assert found.ks == pytest.approx(stats.kstest(u, "uniform").statistic)
    assert found.cvm == pytest.approx(stats.cramervonmises(u, "uniform").statistic)
    # Anderson & Darling's integral, (F_n - u)^2 / (u (1 - u)), between the order statistics.
    steps = np.concatenate([[0], np.sort(u), [1]])
    integral = sum(
        integrate.quad(lambda x, k=k: (k / 500 - x) ** 2 / (x * (1 - x)), a, b)[0]
        for k, (a, b) in enumerate(pairwise(steps))
    )
    assert found.ad == pytest.approx(500 * integral, rel=1e-6)


def test_pit_statistics_of_an_ideal_sample():
    u = (np.arange(1000) + 0.5) / 1000
    found = metrics.pit_statistics(u)
    assert found.ks == pytest.approx(0.0005)
    assert found.cvm == pytest.approx(1 / 12_000)
    assert found.outliers == 0
    assert metrics.pit_outliers([0.0, 5e-5, 0.5, 1.0]) == 0.75
    assert np.isfinite(metrics.pit_statistics([0.0, 1.0]).ad)
    assert metrics.coverage(u, 0.6827) == 0.682  # 341 of them on each side
    with pytest.raises(UsageError, match="1 of 2 values are outside"):
        metrics.pit_statistics([0.5, 1.5])
    with pytest.raises(UsageError, match="not between"):
        metrics.coverage(u, 68.27)


def test_zconf_of_a_uniform_pdf():
    pdf, edges = np.full((1, 10), 0.1), np.linspace(0, 1, 11)
    assert metrics.zconf(pdf, edges, [0.5]) == pytest.approx(2 * 0.03 * 1.5)


def test_point_estimates_agree_with_the_models_own():
    torch = pytest.importorskip("torch")
    from galaxyds_models.redshift_grid import RedshiftGrid

    grid = RedshiftGrid(low=0.0, high=0.4, bins=180)
    pdf = torch.softmax(4 * torch.randn(50, 180, generator=torch.Generator().manual_seed(0)), -1)
    for name in ("mean", "median", "mode"):
        ours = getattr(metrics, f"pdf_{name}")(pdf, grid.edges())
        assert ours == pytest.approx(getattr(grid, name)(pdf).numpy(), abs=2e-6)


def test_blocks_change_nothing(random_pdfs, monkeypatch):
    pdf, true = random_pdfs
    whole = metrics.crps(pdf, EDGES, true)
    monkeypatch.setattr(binned_pdf, "_BLOCK", 15)
    assert np.array_equal(metrics.crps(pdf, EDGES, true), whole)


@pytest.mark.parametrize(
    ("pdf", "edges", "true", "says"),
    [
        ([[1.0, 3.0]], [0, 1, 2], [0.5], "apply softmax"),
        ([[1.5, -0.5]], [0, 1, 2], [0.5], "1 of 1 rows"),
        ([[0.5, np.nan], [0.5, 0.5]], [0, 1, 2], [0.5, 1], "1 of 2 rows"),
        ([[0.5, 0.5]], [0, 1], [0.5], r"pass \(objects, 1\)"),
        ([[0.5, 0.5]], [0, 2, 1], [0.5], "ascending"),
        ([[0.5, 0.5]], [0, 1, 2], [0.5, 0.6], "1 objects and true 2"),
        (np.empty((0, 2)), [0, 1, 2], [], "at least one object"),
        ([[0.5, 0.5]], [0, 1, 2], [np.nan], "not finite"),
    ],
)
def test_what_is_no_pdf_is_refused(pdf, edges, true, says):
    with pytest.raises(UsageError, match=says):
        metrics.crps(pdf, edges, true)
