"""Our numbers against those of qp and RAIL (the extra ``parity``), where definitions agree.

Not compared: RAIL's AD (a two-sample test against a linspace) and qp's Brier metric of ensembles
(it takes densities for probabilities); the class beneath it is.
"""

from __future__ import annotations

import numpy as np
import pytest

from galaxyds import metrics

qp = pytest.importorskip("qp", reason="qp-prob is not installed: pip install 'galaxyds[parity]'")
RAIL = "pz-rail-base is not installed: pip install 'galaxyds[parity]'"
EDGES = np.linspace(0, 1.5, 31)


@pytest.fixture(scope="module")
def binned():
    rng = np.random.default_rng(1)
    pdf = rng.dirichlet(np.full(30, 0.5), 400)
    ensemble = qp.Ensemble(qp.hist, data={"bins": EDGES, "pdfs": pdf / np.diff(EDGES)})
    return pdf, rng.uniform(0.001, 1.499, 400), ensemble


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ("bias_median", "PointBias"),
        ("sigma_mad", "PointSigmaMAD"),
        ("sigma_iqr", "PointSigmaIQR"),
        ("outliers_rail", "PointOutlierRate"),
    ],
)
def test_point_estimates(ours, theirs):
    point = pytest.importorskip("rail.evaluation.metrics.pointestimates", reason=RAIL)
    from qp.metrics import point_estimate_metric_classes as qp_point

    rng = np.random.default_rng(0)
    true = rng.uniform(0, 3, 2001)
    predicted = true + (1 + true) * 0.03 * rng.standard_t(2, 2001)
    found = metrics.METRICS[ours](predicted, true)
    assert found == pytest.approx(getattr(point, theirs)(predicted, true).evaluate(), abs=1e-12)
    digest = getattr(qp_point, theirs)().evaluate(predicted, true)
    assert found == pytest.approx(digest, abs=1e-12)


def test_cde_loss(binned):
    module = pytest.importorskip("rail.evaluation.metrics.cdeloss", reason=RAIL)
    pdf, true, ensemble = binned
    # RAIL's trapezoids and nearest point are exact on a grid with both sides of every edge and
    # with every truth.
    inner = EDGES[1:-1]
    grid = np.sort(np.concatenate([inner - 1e-9, inner + 1e-9, [1e-9, 1.5 - 1e-9], true]))
    expected = module.CDELoss(ensemble, grid, true).evaluate().statistic
    assert metrics.cde_loss(pdf, EDGES, true).mean() == pytest.approx(expected, abs=1e-6)


def test_pit_and_its_statistics(binned):
    from qp.metrics.pit import PIT

    pdf, true, ensemble = binned
    theirs = PIT(ensemble, true)
    ours = metrics.pit(pdf, EDGES, true)
    assert ours == pytest.approx(theirs.pit_samps, abs=1e-6)
    found = metrics.pit_statistics(ours)
    assert found.ks == pytest.approx(theirs.evaluate_PIT_KS().statistic, abs=1e-6)
    assert found.cvm == pytest.approx(theirs.evaluate_PIT_CvM().statistic, abs=1e-6)


def test_brier(binned):
    from qp.metrics.brier import Brier

    pdf, true, _ = binned
    truth = np.eye(30)[np.digitize(true, EDGES) - 1]
    expected = Brier(pdf, truth).evaluate()
    assert metrics.brier(pdf, EDGES, true).mean() == pytest.approx(expected, abs=1e-6)


def test_point_estimates_of_pdfs(binned):
    pdf, _, ensemble = binned
    assert metrics.pdf_median(pdf, EDGES) == pytest.approx(ensemble.ppf(0.5).ravel(), abs=1e-6)
    centres = (EDGES[:-1] + EDGES[1:]) / 2
    assert metrics.pdf_mode(pdf, EDGES) == pytest.approx(ensemble.mode(centres).ravel(), abs=1e-6)


def test_gaussian_mixtures():
    rng = np.random.default_rng(3)
    weights = rng.dirichlet(np.ones(3), 5)
    mu, sigma = rng.uniform(0.5, 1, (5, 3)), rng.uniform(0.05, 0.2, (5, 3))
    ensemble = qp.Ensemble(qp.mixmod, data={"means": mu, "stds": sigma, "weights": weights})
    true = rng.uniform(0.4, 1.2, 5)
    x = np.linspace(-1, 3, 200_001)
    step = x >= true[:, None]
    expected = np.trapezoid((ensemble.cdf(x) - step) ** 2, x, axis=1)
    # The step costs the trapezoid up to half a grid step.
    assert metrics.mixture_crps(weights, mu, sigma, true) == pytest.approx(expected, abs=1e-5)
