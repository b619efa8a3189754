"""Intervals and the paired test against brute force, theory and the bins' own objects."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from galaxyds import metrics
from galaxyds.errors import UsageError
from galaxyds.metrics import METRICS, Metric, bootstrap
from galaxyds.metrics.sample import Resample, Sample


def residuals(size, seed=0, spread=0.03):
    rng = np.random.default_rng(seed)
    true = rng.uniform(0, 3, size)
    return true + (1 + true) * spread * rng.standard_t(3, size), true


@pytest.mark.parametrize("size", [1, 2, 7, 500])
def test_a_resample_scores_as_its_objects_do(size):
    predicted, true = residuals(size)
    base = Sample.of(predicted, true)
    for each in METRICS.values():
        each.of(base)
    for seed in range(20):
        drawn = np.random.default_rng(seed).integers(0, size, size)
        counts = np.bincount(drawn, minlength=size)
        means = {term: float(column[drawn].mean()) for term, column in base.columns.items()}
        for given in (means, {}):
            one = Resample(base, counts, given)
            for name, each in METRICS.items():
                expected = each(predicted[drawn], true[drawn])
                assert each.of(one) == pytest.approx(expected, rel=1e-8, abs=1e-12, nan_ok=True), (
                    name
                )


def test_intervals_are_the_quantiles_of_explicit_resamples():
    predicted, true = residuals(300)
    found = metrics.evaluate(predicted, true, metrics=["sigma_mad", "rmse"], resamples=50, seed=3)
    rng = np.random.default_rng(3)
    drawn = [rng.integers(0, 300, 300) for _ in range(50)]
    for name, interval in found.items():
        values = [METRICS[name](predicted[i], true[i]) for i in drawn]
        assert interval.value == METRICS[name](predicted, true)
        assert (interval.low, interval.high) == pytest.approx(np.quantile(values, [0.025, 0.975]))


def test_intervals_have_the_width_that_theory_gives():
    rng = np.random.default_rng(1)
    true = np.zeros(20_000)
    found = metrics.evaluate(rng.normal(0, 1, 20_000), true, resamples=400)
    wide = 2 * 1.96 / np.sqrt(20_000)
    theory = {"bias_mean": 1.0, "bias_median": np.sqrt(np.pi / 2), "sigma_mad": 1.1664}
    for name, error in theory.items():  # the MAD's asymptotic variance is 1.36 sigma^2 / n
        assert found[name].high - found[name].low == pytest.approx(error * wide, rel=0.2)


def test_intervals_depend_on_nothing_but_the_objects_and_the_seed(monkeypatch):
    predicted, true = residuals(200)
    whole = metrics.evaluate(predicted, true, resamples=30)
    assert list(whole) == [name for name, each in METRICS.items() if each.quick]
    monkeypatch.setattr(bootstrap, "_BLOCK", 200 * 7)
    parts = metrics.evaluate(predicted, true, metrics=["mse", "sigma_mad"], resamples=30)
    assert parts["sigma_mad"] == whole["sigma_mad"]
    assert parts["mse"].low == pytest.approx(whole["mse"].low, rel=1e-12)
    assert metrics.evaluate(predicted, true, resamples=30, seed=1)["mse"].low != whole["mse"].low


def test_a_metric_of_ones_own():
    predicted, true = residuals(100)
    own = Metric(name="worst", function=lambda p, t: float(np.abs(p - t).max()))
    found = metrics.evaluate(predicted, true, metrics=[own], resamples=20)["worst"]
    assert found.value == found.high == np.abs(predicted - true).max()


def test_memory_does_not_grow_with_the_resamples():
    import tracemalloc

    predicted, true = residuals(300_000)
    tracemalloc.start()
    metrics.evaluate(predicted, true, resamples=20)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 200e6  # 40 columns of 2.4 MB and a block of counts twice; 1000 resamples, too


def test_paired_p_value_is_that_of_explicit_resamples():
    a, true = residuals(400, spread=0.031)
    b = true + 0.97 * (a - true) + 0.002
    found = metrics.paired_bootstrap(a, b, true, "sigma_mad", resamples=300, seed=5)
    rng = np.random.default_rng(5)
    mad = METRICS["sigma_mad"]
    delta = mad(a, true) - mad(b, true)
    count = 0
    for _ in range(300):
        i = rng.integers(0, 400, 400)
        count += mad(a[i], true[i]) - mad(b[i], true[i]) - delta >= delta
    assert found.p_value == count / 300
    assert found.difference == delta
    assert found.gain == pytest.approx((abs(found.a) - abs(found.b)) / abs(found.a))


def test_paired_test_of_means_is_close_to_the_t_test():
    rng = np.random.default_rng(4)
    true = np.zeros(1000)
    a = np.abs(rng.normal(0.1, 0.05, 1000))
    b = np.abs(a - rng.normal(0.0012, 0.02, 1000))
    found = metrics.paired_bootstrap(a, b, true, "nmae", resamples=4000)
    expected = stats.ttest_rel(a, b, alternative="greater").pvalue
    assert 0.005 < expected < 0.3
    assert found.p_value == pytest.approx(expected, abs=0.02)


def test_signs_of_the_paired_test():
    good, true = residuals(300, spread=0.02)
    bad = true + 2 * (good - true) + 0.05 * (1 + true)
    for name in ("sigma_mad", "within_10", "bias_mean", "outliers_05"):
        better = metrics.paired_bootstrap(bad, good, true, name, resamples=200)
        worse = metrics.paired_bootstrap(good, bad, true, name, resamples=200)
        assert better.difference > 0 > worse.difference, name
        assert better.difference == -worse.difference
        assert better.p_value == 0
        assert worse.p_value > 0.99
        assert better.interval.low > 0 > worse.interval.high
    same = metrics.paired_bootstrap(good, good, true, "rmse", resamples=50)
    assert (same.difference, same.p_value, same.gain) == (0, 1, 0)
    assert np.isnan(metrics.paired_bootstrap(true, good, true, "rmse", resamples=5).gain)


def test_p_values_of_equal_models_are_spread_evenly():
    # Under the null hypothesis 10 % of p-values are below 0.1.
    low = 0
    for seed in range(120):
        rng = np.random.default_rng(seed)
        a, b, true = rng.normal(size=80), rng.normal(size=80), np.zeros(80)
        low += metrics.paired_bootstrap(a, b, true, "nmae", resamples=100).p_value < 0.1
    assert 4 <= low <= 24


def test_pdf_scores_are_means_of_their_objects():
    rng = np.random.default_rng(0)
    edges = np.linspace(0, 1, 21)
    pdf, true = rng.dirichlet(np.ones(20), 300), rng.uniform(-0.1, 1.1, 300)
    found = metrics.evaluate_pdf(pdf, edges, true, resamples=50)
    assert list(found.scores) == list(metrics.PDF_METRICS)
    for name in ("crps", "crps_one_hot", "cde_loss", "nll", "brier"):
        values = getattr(metrics, name)(pdf, edges, true)
        assert found.scores[name].value == pytest.approx(values.mean())
        alone = metrics.mean_intervals({name: values}, resamples=50)[name]
        assert alone.low == pytest.approx(found.scores[name].low)
        assert alone.low < alone.value < alone.high
    pit = metrics.pit(pdf, edges, true)
    assert found.pit == metrics.pit_statistics(pit)
    assert found.scores["coverage_68"].value == metrics.coverage(pit, metrics.ONE_SIGMA)
    assert found.scores["pit_outliers"].value == metrics.pit_outliers(pit)


def test_bins_hold_their_objects():
    predicted, true = residuals(600)
    magnitude = np.linspace(16, 24, 600)
    magnitude[5] = np.nan
    rows = metrics.evaluate_bins(
        predicted, true, by=magnitude, edges=[18, 20, 22, 24, 26], metrics=["mse"], resamples=20
    )
    assert [(row.low, row.high) for row in rows] == [(18, 20), (20, 22), (22, 24), (24, 26)]
    inside = (magnitude >= 20) & (magnitude < 22)
    assert rows[1].count == inside.sum()
    assert rows[1].scores["mse"].value == metrics.mse(predicted[inside], true[inside])
    assert rows[3].count == 1  # the last object, at 24 exactly
    empty = metrics.evaluate_bins(predicted, true, edges=[5, 6], resamples=5)
    assert (empty[0].count, empty[0].scores) == (0, {})


def test_bins_of_equal_counts():
    predicted, true = residuals(1000)
    rows = metrics.evaluate_bins(predicted, true, edges=4, metrics=["mae"], resamples=5)
    assert [row.count for row in rows] == [250] * 4
    assert metrics.equal_count_edges([1, 1, 1, 1, 2, 3], 3).tolist() == pytest.approx([1, 4 / 3, 3])


def test_refusals():
    predicted, true = residuals(10)
    for call, says in (
        (lambda: metrics.evaluate(predicted, true, level=95), "level 95"),
        (lambda: metrics.evaluate(predicted, true, resamples=0), "0 resamples"),
        (lambda: metrics.evaluate(predicted, true, metrics=["rms"]), "did you mean rmse"),
        (lambda: metrics.evaluate_bins(predicted, true, by=[1.0]), "one value per object"),
        (lambda: metrics.evaluate_bins(predicted, true, edges=[2, 1]), "ascending"),
        (lambda: metrics.equal_count_edges([1.0, 1.0], 2), "two different"),
        (lambda: metrics.mean_intervals({}), "no columns"),
    ):
        with pytest.raises(UsageError, match=says):
            call()
