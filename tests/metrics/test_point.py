"""Metrics of point estimates against a real file, closed forms, astropy and scipy."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from astropy import stats as astropy_stats
from scipy import stats

from galaxyds import metrics
from galaxyds.errors import UsageError
from galaxyds.metrics import METRICS


@pytest.fixture(scope="module")
def published(survey_data):
    """Predictions of a published model (28,640 galaxies)."""
    path = survey_data / "photoz_training" / "GalaxiesML_pred_z.dat"
    table = np.loadtxt(path, skiprows=1)
    assert table.shape == (28_640, 4)
    return table[:, 0], table[:, 1]


@pytest.fixture
def noisy():
    rng = np.random.default_rng(5)
    true = rng.uniform(0, 3, 4001)
    return true + (1 + true) * (0.01 + 0.03 * rng.standard_t(2, 4001)), true


@pytest.mark.parametrize(
    ("name", "value", "digits"),
    [
        ("bias_mean", 0.0124, 4),
        ("bias_median", 0.0013, 4),
        ("sigma_mad", 0.0239, 4),
        ("outliers_15", 0.0645, 4),
        ("hsc_loss_spec", 0.0904, 4),
        ("hsc_loss_phot", 0.0894, 4),
        ("hsc_loss_none", 0.1421, 4),
        ("mse", 0.0627, 4),
        ("rmse", 0.130, 3),
    ],
)
def test_known_values_of_a_published_file(published, name, value, digits):
    assert round(METRICS[name](*published), digits) == value


def test_the_unnormalised_mad_of_the_published_file(published):
    # Known as .0347 with the factor 1.4826; paper 002 prints 1.48.
    value = metrics.sigma_mad_unnormalised(*published)
    assert round(value / 1.48 * 1.4826, 4) == 0.0347
    assert round(value * 1.4826 / 1.48 / metrics.sigma_mad(*published), 2) == 1.45


def test_against_astropy_and_scipy(noisy):
    predicted, true = noisy
    d = predicted - true
    dz = d / (1 + true)
    mad = stats.median_abs_deviation
    expected = {
        "bias_median": np.median(dz),
        "bias_biweight": astropy_stats.biweight_location(dz),
        "sigma_mad": 1.4826 * mad(dz),
        "sigma_mad_148": 1.48 * mad(dz),
        "sigma_mad_unnormalised": 1.48 * mad(d),
        "sigma_biweight": np.sqrt(astropy_stats.biweight_midvariance(dz)),
        "sigma_iqr": stats.iqr(dz) / 1.349,
        "sigma_std": np.std(dz),
        "sigma_68": np.diff(np.percentile(dz, [16, 84]))[0] / 2,
        "rmse": np.sqrt(np.mean(dz**2)),
        "mae": np.mean(np.abs(d)),
        "nmae": np.mean(np.abs(dz)),
        "nz_mean_shift": predicted.mean() - true.mean(),
        "r2": 1 - np.sum(d**2) / np.sum((true - true.mean()) ** 2),
        "outliers_catastrophic": np.mean(np.abs(d) > 1),
        "outliers_rail": np.mean(np.abs(dz) > max(0.06, 3 * stats.iqr(dz) / 1.349)),
        "outliers_biweight": np.mean(
            np.abs(dz - astropy_stats.biweight_location(dz))
            > 2 * np.sqrt(astropy_stats.biweight_midvariance(dz))
        ),
        "within_20": np.mean(np.abs(dz) < 0.2),
    }
    found = {name: METRICS[name](predicted, true) for name in expected}
    assert found == pytest.approx(expected, rel=1e-12)


def test_gaussian_residuals_give_their_sigma():
    quantiles = stats.norm.ppf((np.arange(200_000) + 0.5) / 200_000)
    true = np.full(200_000, 1.0)
    predicted = true + 2 * (0.005 + 0.02 * quantiles)  # dz is N(0.005, 0.02)
    for name in ("sigma_mad", "sigma_iqr", "sigma_std"):
        assert METRICS[name](predicted, true) == pytest.approx(0.02, rel=1e-4)
    # Both are unbiased for a Gaussian up to their efficiency at c = 9 and their definition.
    assert metrics.sigma_biweight(predicted, true) == pytest.approx(0.02, rel=0.02)
    assert metrics.sigma_68(predicted, true) == pytest.approx(0.02 * stats.norm.ppf(0.84), rel=1e-4)
    for name in ("bias_mean", "bias_median", "bias_biweight", "bias_hodges_lehmann"):
        assert METRICS[name](predicted, true) == pytest.approx(0.005, abs=1e-7)
    tail = stats.norm.sf(0.045 / 0.02) + stats.norm.cdf(-0.055 / 0.02)
    assert metrics.outliers_05(predicted, true) == pytest.approx(tail, abs=2e-5)


@pytest.mark.parametrize("size", [1, 2, 3, 6, 25, 40])
def test_order_statistics_equal_brute_force(size):
    rng = np.random.default_rng(size)
    for _ in range(30):
        predicted = rng.integers(-3, 4, size) / 8  # ties
        zeros = np.zeros(size)
        assert metrics.sigma_mad(predicted, zeros) == 1.4826 * stats.median_abs_deviation(predicted)
        pairs = [(a + b) / 2 for i, a in enumerate(predicted) for b in predicted[i:]]
        assert metrics.bias_hodges_lehmann(predicted, zeros) == pytest.approx(
            np.median(pairs), abs=1e-11
        )


def test_the_limit_itself_is_an_outlier_only_where_the_name_says_so():
    true = np.zeros(4)
    predicted = np.array([0.15, -0.15, 0.1, 0.2])
    assert metrics.outliers_15(predicted, true) == 0.75
    assert metrics.outliers_above_15(predicted, true) == 0.25
    assert metrics.within_10(predicted, true) == 0.0
    assert metrics.outliers_catastrophic([1.0, -1.5], [0.0, 0.0]) == 0.5


def test_hsc_loss_by_hand():
    # z_phot 1, z_spec 0: d = 1; (1 / 0.15)^2 = 400 / 9; 1 - 9 / 409.
    assert metrics.hsc_loss([1.0], [0.0], norm="spec") == pytest.approx(400 / 409)
    assert metrics.hsc_loss([1.0], [0.0], norm="phot") == pytest.approx(100 / 109)
    assert metrics.hsc_loss([1.0], [1.15], norm="none") == pytest.approx(0.5)
    assert metrics.hsc_loss_phot([-1.0], [0.0]) == 1.0
    with pytest.raises(UsageError, match="none, phot, spec"):
        metrics.hsc_loss([1.0], [0.0], norm="true")  # type: ignore[arg-type]


def test_order_of_objects_does_not_matter(noisy):
    predicted, true = noisy
    mixed = np.random.default_rng(0).permutation(true.size)
    for each in METRICS.values():
        assert each(predicted[mixed], true[mixed]) == pytest.approx(
            each(predicted, true), rel=1e-9, abs=1e-12
        )


def test_mirrored_errors_change_the_sign_of_biases_only(noisy):
    predicted, true = noisy
    mirrored = 2 * true - predicted
    for each in METRICS.values():
        if each.name == "hsc_loss_phot":
            continue
        sign = -1 if each.better == "zero" else 1
        assert each(mirrored, true) == pytest.approx(sign * each(predicted, true), rel=1e-9)


def test_perfect_predictions_are_best_by_every_metric(noisy):
    predicted, true = noisy
    for each in METRICS.values():
        best = each(true, true)
        assert best == (1.0 if each.better == "higher" else 0.0), each.name
        assert each.loss(best) < each.loss(each(predicted, true)), each.name


def test_tensors_give_what_arrays_give(noisy):
    torch = pytest.importorskip("torch")
    predicted, true = (torch.tensor(values, requires_grad=True) for values in noisy)
    assert metrics.sigma_mad(predicted, true) == metrics.sigma_mad(*noisy)
    half = torch.tensor([0.5, 1.0], dtype=torch.bfloat16)
    assert metrics.mae(half, half + 0.5) == 0.5


def test_torch_is_not_imported():
    code = "import sys; from galaxyds import metrics; metrics.mse([1.0], [2.0]);"
    code += "assert not {'torch', 'scipy', 'pandas'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(
    ("predicted", "true", "says"),
    [
        ([0.1, np.nan, np.inf], [0.1, 0.2, 0.3], r"predicted: 2 of 3 .*1 NaN, 1 infinite"),
        ([0.1], [np.nan], r"true: 1 of 1"),
        ([0.1, 0.2], [0.1], r"shape \(2,\) and true \(1,\)"),
        (np.zeros((3, 1)), np.zeros(3), r"\(3, 1\)"),
        (np.zeros((3, 1)), np.zeros((3, 1)), r"reshape\(-1\)"),
        ([], [], "no objects"),
        ([0.1], [-99.0], "sentinels"),
        (np.ma.masked_equal([0.1, 5.0], 5.0), [0.1, 0.2], "1 of 2 entries are masked"),
        (["a"], [0.1], "no real numbers"),
        ([1j], [0.1], "no real numbers"),
    ],
)
def test_what_cannot_be_scored_is_refused(predicted, true, says):
    with pytest.raises(UsageError, match=says):
        metrics.sigma_mad(predicted, true)


def test_declarations():
    assert list(METRICS) == [each.name for each in METRICS.values()]
    for name, each in METRICS.items():
        assert getattr(metrics, name) is each
        assert all((each.formula, each.source, each.about))
        assert each.scale in {"dz", "z", "z^2", "fraction", "loss", "1"}
    assert len({each.formula for each in METRICS.values()}) == len(METRICS)
    assert METRICS["bias_mean"].loss(-0.2) == 0.2
    assert METRICS["within_10"].loss(0.9) == -0.9
    with pytest.raises(UsageError, match="did you mean sigma_mad"):
        metrics.get_metric("sigma_mat")


def test_equal_true_redshifts_have_no_r2():
    assert np.isnan(metrics.r2([0.1, 0.2, 0.3], [0.7, 0.7, 0.7]))
