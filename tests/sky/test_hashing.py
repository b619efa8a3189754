"""Hashed numbers behave as random ones, and depend on nothing but their key."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from galaxyds.sky.hashing import choose, keyed, mix, normal, poisson, uniform

KEYS = keyed(1, np.arange(200_000))


def test_mix_is_the_published_splitmix64():
    # First outputs of SplitMix64 from state 0 (its reference implementation).
    states = np.array([0, 0x9E3779B97F4A7C15], np.uint64)
    assert [hex(value) for value in mix(states)] == ["0xe220a8397b1dcdaf", "0x6e789e6aa1b965f4"]


@pytest.mark.parametrize("label", ["redshift", "ra"])
def test_uniform_numbers_are_uniform(label):
    assert stats.kstest(uniform(KEYS, label), "uniform").pvalue > 1e-3


def test_normal_numbers_are_normal():
    assert stats.kstest(normal(KEYS, "noise"), "norm").pvalue > 1e-3


def test_labels_and_neighbouring_keys_are_independent():
    a, b = uniform(KEYS, "a"), uniform(KEYS, "b")
    assert abs(np.corrcoef(a, b)[0, 1]) < 0.01
    assert abs(np.corrcoef(a[1:], a[:-1])[0, 1]) < 0.01


def test_a_subset_in_another_order_gets_the_same_numbers():
    chosen = np.array([77, 3, 199_999])
    assert np.array_equal(uniform(KEYS[chosen], "x"), uniform(KEYS, "x")[chosen])


@pytest.mark.parametrize("mean", [0.0, 0.7, 25.0, 300.0])
def test_poisson_counts_follow_the_distribution(mean):
    counts = poisson(np.full(20_000, mean), uniform(KEYS[:20_000], "count"))
    assert counts.mean() == pytest.approx(mean, abs=4 * np.sqrt(mean / 20_000) + 1e-9)
    assert counts.var() == pytest.approx(mean, rel=0.05, abs=1e-9)


def test_choose_follows_the_weights():
    picked = choose(np.array([1.0, 0.0, 3.0]), uniform(KEYS, "bin"))
    assert np.bincount(picked, minlength=3) / KEYS.size == pytest.approx([0.25, 0, 0.75], abs=0.01)
