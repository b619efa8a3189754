from __future__ import annotations

import numpy as np
import pytest

from galaxyds.catalog.splits import assign, hash_ids

FRACTIONS = (0.6, 0.2, 0.2)
IDS = np.arange(1237645876861337601, 1237645876861337601 + 60_000, dtype=np.int64)


def splitmix(x: int) -> int:
    """The finalizer as published, in Python integers."""
    mask = 2**64 - 1
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & mask
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & mask
    return x ^ (x >> 31)


def test_the_hash_equals_python_integers():
    mask, golden = 2**64 - 1, 0x9E3779B97F4A7C15
    for seed in (0, 1, 4):
        start = splitmix((seed * golden + golden) & mask)
        ids = [0, 1, -1, 1237653651835781245, 2**63 - 1]
        expected = [splitmix(splitmix(((i & mask) + golden) & mask) ^ start) for i in ids]
        assert hash_ids(np.array(ids, dtype=np.int64), seed).tolist() == expected


@pytest.mark.parametrize("division", range(5))
def test_shares_are_as_asked_within_binomial_scatter(division):
    counts = np.bincount(assign(IDS, division, FRACTIONS), minlength=3)
    for count, share in zip(counts, FRACTIONS, strict=True):
        sigma = np.sqrt(len(IDS) * share * (1 - share))
        assert abs(count - len(IDS) * share) < 5 * sigma


def test_adding_objects_moves_no_other():
    some = assign(IDS[::7], 0, FRACTIONS)
    assert np.array_equal(assign(IDS, 0, FRACTIONS)[::7], some)


def test_divisions_are_independent():
    a, b = (assign(IDS, k, FRACTIONS) == 2 for k in (0, 1))
    expected = len(IDS) * 0.2 * 0.2
    assert abs((a & b).sum() - expected) < 5 * np.sqrt(expected)
