"""Simple rows: what they are, on a toy whose answer is known, with missing values and seeds."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from galaxyds.errors import UsageError
from galaxyds_models.estimator import Facts, count_parameters
from galaxyds_models.registry import get_entry
from galaxyds_models.simple import (
    BoostingConfig,
    BoostingRegressor,
    HongConfig,
    HongNetwork,
    MedianRegressor,
    NeighboursConfig,
    NeighboursRegressor,
)
from galaxyds_models.simple.regressors import weighted_median

FILTERS = ("u", "g", "r", "i", "z")
# The row that Hong et al.'s notebook 3 prints: five magnitudes, five colours, five errors.
ROW = """22.2388069 20.5110277 20.24194427 20.1458268 20.11881749
1.7277792 0.26908343 0.09611747 0.02700931 2.11998941
0.3205355 0.02898466 0.03272481 0.03613797 0.1095667"""


def toy(count, seed):
    """Magnitudes and colours of objects whose redshift turns with one colour and not with flux."""
    rng = np.random.default_rng(seed)
    redshift = rng.uniform(0, 2, count)
    brightness = rng.uniform(18, 22, count)
    slopes = np.stack([np.sin(redshift), np.cos(redshift), redshift**2 / 4, redshift], axis=1)
    colours = slopes + rng.normal(0, 0.03, (count, 4))
    steps = np.concatenate([np.zeros((count, 1)), -colours.cumsum(1)], axis=1)
    features = np.concatenate([brightness[:, None] + steps, colours], axis=1)
    return features.astype(np.float32), redshift.astype(np.float32)


def error(model, seed=0):
    """Mean absolute error on new objects of the toy."""
    features, redshift = toy(1500, 1)
    new, truth = toy(500, 2)
    found = model.fit(features, redshift, seed=seed).predict(new)
    assert found.dtype == np.float32
    return np.abs(found - truth).mean()


@pytest.fixture
def knn():
    pytest.importorskip("sklearn")
    return NeighboursRegressor(NeighboursConfig())


@pytest.fixture
def boosting():
    pytest.importorskip("sklearn")
    return BoostingRegressor(BoostingConfig(iterations=60))


def hong(filters=FILTERS, **config):
    return HongNetwork(HongConfig(**config), Facts(filters=filters))


@pytest.mark.parametrize(("filters", "expected"), [(5, 1057), (1, 673), (9, 1441)])
def test_parameters_of_hong(filters, expected):
    with torch.device("meta"):
        assert count_parameters(hong(FILTERS * 2)) == 1057 + 15 * 32
        assert count_parameters(hong(("f",) * filters)) == expected


@pytest.mark.parametrize("column", range(15))
def test_hong_s_columns_are_those_that_the_notebook_prints(column):
    row = torch.tensor([float(word) for word in ROW.split()])
    network = hong(hidden=(1,))
    with torch.no_grad():
        network.hidden[0].weight.copy_(torch.eye(15)[column])
        network.head.weight.fill_(1)
    batch = {"magnitudes": row[None, :5], "colors": row[None, 5:9], "errors": row[None, 10:]}
    assert network(batch)["z"].item() == pytest.approx(row[column].item(), abs=5e-6)


def test_hong_learns_one_batch_by_heart():
    torch.manual_seed(0)
    network, recipe = hong(), get_entry("hong-mlp").recipe()
    assert (recipe.batch_size, recipe.patience, recipe.optimiser.amsgrad) == (256, 3, True)
    columns = torch.rand(16, 14)
    batch = {"magnitudes": columns[:, :5], "colors": columns[:, 5:9], "errors": columns[:, 9:]}
    batch["redshift"] = torch.rand(16) + 1
    optimiser = torch.optim.Adam(network.parameters(), lr=1e-2, amsgrad=True)
    losses = []
    for _ in range(800):
        losses.append(network.objective(network(batch), batch)["loss"])
        optimiser.zero_grad()
        losses[-1].backward()
        optimiser.step()
    assert losses[-1] < 0.1 * losses[0]


@pytest.mark.parametrize("count", [1, 10, 11])
def test_median_is_the_median(count):
    redshift = np.random.default_rng(0).uniform(0, 4, count).astype(np.float32)
    found = MedianRegressor().fit(np.empty((count, 0), np.float32), redshift, seed=0)
    expected = np.full(3, np.median(redshift))
    np.testing.assert_array_equal(found.predict(np.empty((3, 0), np.float32)), expected)


def test_neighbours_and_trees_beat_the_median_by_far(knn, boosting):
    constant = error(MedianRegressor())
    assert constant == pytest.approx(0.5, abs=0.05)  # of a uniform distribution on (0, 2)
    assert error(knn) < 0.1 * constant
    assert error(boosting) < 0.1 * constant


@pytest.mark.parametrize("vote", ["mean", "median"])
@pytest.mark.parametrize("weights", ["uniform", "distance"])
def test_neighbours_vote_as_written_out(vote, weights):
    pytest.importorskip("sklearn")
    features, redshift = toy(300, 3)
    new, _ = toy(5, 4)
    config = NeighboursConfig(neighbours=8, vote=vote, weights=weights)
    found = NeighboursRegressor(config).fit(features, redshift, seed=0).predict(new)
    distances = np.linalg.norm((new[:, None] - features) / features.std(0), axis=2)
    nearest = np.argsort(distances, axis=1)[:, :8]
    for row, index, z in zip(distances, nearest, found, strict=True):
        weight = 1 / row[index] if weights == "distance" else np.ones(8)
        votes = redshift[index]
        expected = np.average(votes, weights=weight)
        if vote == "median":
            halves = [v for v in np.sort(votes) if weight[votes <= v].sum() >= weight.sum() / 2]
            expected = halves[0]
        assert z == pytest.approx(expected, rel=1e-4)


def test_the_weighted_median_of_repeats_is_the_median_of_the_list():
    rng = np.random.default_rng(5)
    values, counts = rng.normal(size=(20, 7)), rng.integers(1, 9, (20, 7))
    counts[:, 0] += counts.sum(1) % 2 == 0  # an odd number has one middle
    expected = [np.median(np.repeat(v, n)) for v, n in zip(values, counts, strict=True)]
    np.testing.assert_array_equal(weighted_median(values, counts.astype(np.float64)), expected)


def test_fewer_objects_than_neighbours_and_constant_columns_will_do(knn):
    features = np.ones((3, 2), np.float32)
    found = knn.fit(features, np.array([1, 2, 6], np.float32), seed=0).predict(features)
    np.testing.assert_array_equal(found, [2, 2, 2])


def test_a_missing_feature_is_the_median_of_the_training_objects_to_neighbours(knn):
    features, redshift = toy(400, 6)
    new, _ = toy(20, 7)
    features[::3, 2] = np.nan
    filled, told = features.copy(), new.copy()
    middle = np.nanmedian(features[:, 2])
    filled[::3, 2] = told[:, 2] = middle
    new[:, 2] = np.inf  # infinite is missing too
    expected = NeighboursRegressor(NeighboursConfig()).fit(filled, redshift, seed=0).predict(told)
    np.testing.assert_array_equal(knn.fit(features, redshift, seed=0).predict(new), expected)


@pytest.mark.parametrize("name", ["knn", "boosting"])
def test_missing_values_cost_little_and_never_spread(name, request):
    model = request.getfixturevalue(name)
    features, redshift = toy(1500, 8)
    rng = np.random.default_rng(9)
    features[rng.random(features.shape) < 0.05] = np.nan
    features[:, 4] = np.nan  # a filter that nobody has
    found = model.fit(features, redshift, seed=0).predict(features[:500])
    assert np.isfinite(found).all()
    assert np.abs(found - redshift[:500]).mean() < 0.1


def test_trees_follow_the_seed(boosting):
    features, redshift = toy(600, 10)
    config = BoostingConfig(iterations=20)

    def answer(seed):
        return BoostingRegressor(config).fit(features, redshift, seed=seed).predict(features)

    np.testing.assert_array_equal(answer(1), answer(1))
    assert (answer(1) != answer(2)).any()


@pytest.mark.parametrize("name", ["median", "knn", "boosting"])
def test_registered_regressors_are_made_from_their_recipes(name):
    pytest.importorskip("sklearn")
    entry = get_entry(name)
    assert entry.network is None
    for recipe in entry.recipes:
        columns = 3 * len(recipe.inputs.photometry)
        features = np.random.default_rng(0).normal(size=(40, columns)).astype(np.float32)
        model = entry.regressor(recipe.config)
        found = model.fit(features, np.linspace(0, 1, 40, dtype=np.float32), seed=1)
        assert found.predict(features).shape == (40,)


@pytest.mark.parametrize("name", ["median", "knn", "boosting"])
def test_nothing_to_learn_from_and_nothing_learned_are_refused(name):
    model = get_entry(name).regressor(get_entry(name).recipe().config)
    with pytest.raises(UsageError, match="0 rows of features and 0 redshifts"):
        model.fit(np.empty((0, 2), np.float32), np.empty(0, np.float32), seed=0)
    with pytest.raises(UsageError, match="call fit before predict"):
        model.predict(np.zeros((1, 2), np.float32))


@pytest.mark.parametrize("name", ["knn", "boosting"])
def test_no_feature_at_all_is_refused(name, request):
    with pytest.raises(UsageError, match=f"{name} was given no feature"):
        request.getfixturevalue(name).fit(
            np.empty((2, 0), np.float32), np.ones(2, np.float32), seed=0
        )


@pytest.mark.parametrize("known", [0, 1, 19, 20])
def test_trees_do_without_a_column_that_is_all_but_empty(boosting, known):
    features, redshift = toy(300, 11)
    features[known:, 1] = np.nan
    for seed in range(3):
        found = boosting.fit(features, redshift, seed=seed).predict(features)
        assert np.abs(found - redshift).mean() < 0.1
