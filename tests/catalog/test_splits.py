from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from galaxyds.catalog.splits import assign, divide, hash_ids
from galaxyds.spec import ExtraSplit, Split

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


FOLDS = Split(folds=5, source="Sect. 4")


def as_table(ids: np.ndarray, **columns: np.ndarray) -> pa.Table:
    return pa.table({"object_id": ids, **columns})


def test_every_object_is_tested_in_exactly_one_fold_of_a_fifth():
    codes = np.stack(divide(as_table(IDS), FOLDS, object_id="object_id"))
    assert ((codes == 2).sum(axis=0) == 1).all()
    for k in range(5):
        for code, share in enumerate(FOLDS.shares(k)):
            sigma = np.sqrt(len(IDS) * share * (1 - share))
            assert abs((codes[k] == code).sum() - len(IDS) * share) < 5 * sigma


def test_folds_stay_when_objects_are_added_and_the_order_changes():
    some = np.stack(divide(as_table(IDS[::-7]), FOLDS, object_id="object_id"))
    everything = np.stack(divide(as_table(IDS), FOLDS, object_id="object_id"))
    assert np.array_equal(everything[:, ::-7], some)


def test_validation_objects_of_the_folds_are_independent():
    held = [code == 1 for code in divide(as_table(IDS), FOLDS, object_id="object_id")]
    expected = len(IDS) * (3 / 5) * 0.05**2  # trained on in both folds, held back in both
    assert abs((held[0] & held[1]).sum() - expected) < 5 * np.sqrt(expected)


def test_another_column_may_decide():
    rule = Split(folds=5, key="spectrum", source="Sect. 4")
    by_spectrum = divide(as_table(IDS, spectrum=IDS[::-1]), rule, object_id="object_id")
    by_object = divide(as_table(IDS[::-1]), FOLDS, object_id="object_id")
    assert all(np.array_equal(a, b) for a, b in zip(by_spectrum, by_object, strict=True))


def test_further_test_samples_stand_outside_of_every_fold():
    sample = np.where(np.arange(len(IDS)) % 10 == 3, "prism", "slits")
    rule = replace(
        FOLDS,
        extra=(ExtraSplit(name="test_prism", sql="sample = 'prism'", why="w", source="s"),),
    )
    for codes, plain in zip(
        divide(as_table(IDS, sample=sample), rule, object_id="object_id"),
        divide(as_table(IDS), FOLDS, object_id="object_id"),
        strict=True,
    ):
        assert ((codes == 3) == (sample == "prism")).all()
        assert np.array_equal(codes[codes < 3], plain[codes < 3])
