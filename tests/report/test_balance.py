"""How alike splits are: against scipy, and against draws by chance."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from scipy.stats import ks_2samp

from galaxyds.catalog.splits import divide
from galaxyds.report.balance import chance_level, distance, parts, times_tested
from galaxyds.spec import ExtraSplit, Split

FOLDS = Split(
    folds=5,
    source="here",
    extra=(ExtraSplit(name="test_far", sql="redshift > 0.9", why="far", source="here"),),
)


def divided(rows=2000, split=FOLDS):
    z = np.random.default_rng(3).uniform(0, 1, rows)
    known = pa.table({"object_id": np.arange(rows) * 7919, "redshift": z})
    codes = divide(known, split, object_id="object_id")
    found = {f"split_{k}": np.asarray(each) for k, each in enumerate(codes)}
    return {"redshift": z, **found}


@pytest.mark.parametrize("seed", range(5))
def test_the_distance_is_that_of_scipy(seed):
    rng = np.random.default_rng(seed)
    a, b = rng.normal(size=40).round(1), rng.normal(0.3, size=130).round(1)  # with ties
    assert distance(a, b) == pytest.approx(ks_2samp(a, b).statistic, abs=1e-12)


@pytest.mark.parametrize(("drawn", "whole"), [(300, 2000), (1500, 2000)])
def test_one_draw_in_twenty_is_further_than_chance_has_it(drawn, whole):
    rng = np.random.default_rng(drawn)
    z = rng.gamma(2, size=whole)
    far = [distance(rng.choice(z, drawn, replace=False), z) for _ in range(600)]
    share = np.mean(np.array(far) > chance_level(drawn, whole))
    assert 0.02 < share < 0.08  # five per cent, four standard errors of 600 draws


def test_folds_test_every_object_once_and_further_tests_stand_once():
    columns = divided()
    far = int((columns["redshift"] > 0.9).sum())
    assert times_tested(columns, FOLDS) == {1: 2000 - far}
    found = parts(columns, FOLDS)
    extra = [part for part in found if part.split == "test_far"]
    assert [(part.division, part.rows, part.aim) for part in extra] == [(None, far, None)]
    assert sum(p.rows for p in found if p.split == "test") == 2000 - far
    assert extra[0].distance == pytest.approx(1.0)
    for part in found:
        if part.aim is not None:
            assert part.share == pytest.approx(part.aim, abs=0.04)
    columns["split_0"][:5] = 2
    assert set(times_tested(columns, FOLDS)) >= {1, 2}
    assert times_tested(columns, Split(fractions=((0.6, 0.2, 0.2),), source="here")) == {}


def test_a_split_that_follows_the_redshift_stands_out():
    columns = divided()
    z = columns["redshift"]
    columns["split_1"] = np.where(z < 0.2, 2, 0).astype("i1")
    odd = {(p.division, p.split) for p in parts(columns, FOLDS) if p.stands_out}
    assert {(1, "test"), (1, "train")} <= odd


def test_without_redshifts_only_counts_are_told():
    columns = divided()
    columns["redshift"][:] = np.nan
    first = parts(columns, FOLDS)[0]
    assert (first.median, first.distance, first.chance) == (None, None, None)
    assert first.rows > 0
    assert not first.stands_out
