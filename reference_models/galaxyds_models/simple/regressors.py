"""Rows that keep everyone honest: a constant, nearest neighbours, boosted trees."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from galaxyds.errors import UsageError, missing_extra
from galaxyds_models.registry import Features

_TINY = 1e-12
"""Least distance of a neighbour that weighs by its distance."""
_LEAF = 20
"""Least objects in a leaf of a boosted tree."""


@dataclass(frozen=True, kw_only=True, slots=True)
class NeighboursConfig:
    """Nearest neighbours.

    Attributes
    ----------
    neighbours : int
        How many vote; all of the training split where it has fewer.
    weights : str
        ``distance``: each weighs by the inverse of its distance; ``uniform``: all alike.
    vote : str
        Their weighted ``median`` or ``mean``.
    """

    neighbours: int = 20
    weights: Literal["uniform", "distance"] = "distance"
    vote: Literal["median", "mean"] = "median"


@dataclass(frozen=True, kw_only=True, slots=True)
class BoostingConfig:
    """Boosted trees on histograms.

    Attributes
    ----------
    loss : str
        ``absolute_error`` or ``squared_error``.
    rate : float
        Learning rate.
    iterations, leaves : int
        At most as many trees, of at most as many leaves.
    patience : int
        Trees without a better loss on the held-out part before it stops.
    held_out : float
        Fraction of the training split, drawn by the seed, that decides when to stop.
    """

    loss: Literal["absolute_error", "squared_error"] = "absolute_error"
    rate: float = 0.1
    iterations: int = 1000
    leaves: int = 31
    patience: int = 20
    held_out: float = 0.1


class MedianRegressor:
    """The median redshift of the training split, for every object."""

    def __init__(self) -> None:
        self._redshift: float | None = None

    def fit(self, features: Features, redshift: Features, *, seed: int) -> MedianRegressor:
        """Take the median of redshifts (objects,); features and seed change nothing.

        Raises
        ------
        UsageError
            If there is no object.
        """
        _check_objects(features, redshift)
        self._redshift = float(np.median(redshift))
        return self

    def predict(self, features: Features) -> Features:
        """Return the same redshift for all (objects,), float32."""
        return np.full(len(features), _fitted(self._redshift), np.float32)


class NeighboursRegressor:
    """A vote of the nearest objects in standardised features.

    A missing feature is the median of the training split.

    Parameters
    ----------
    config : NeighboursConfig
        Who votes, and how.
    """

    def __init__(self, config: NeighboursConfig) -> None:
        self.config = config
        self._model: Any = None
        self._fill = self._mean = self._deviation = self._redshift = np.empty(0, np.float64)

    def fit(self, features: Features, redshift: Features, *, seed: int) -> NeighboursRegressor:
        """Keep features (objects, columns) and redshifts (objects,); the seed changes nothing.

        Raises
        ------
        UsageError
            If there is no object or no column.
        MissingExtraError
            If scikit-learn is not installed.
        """
        _check_objects(features, redshift)
        _check_columns(features, "knn")
        known = _without_infinity(features)
        self._fill = _by_column(known)
        filled = np.where(np.isnan(known), self._fill, known)
        deviation = filled.std(0)
        self._mean, self._deviation = filled.mean(0), np.where(deviation > 0, deviation, 1.0)
        model = _scikit_learn("neighbors").KNeighborsRegressor(
            n_neighbors=min(self.config.neighbours, len(redshift)), weights=self.config.weights
        )
        self._redshift = redshift.astype(np.float64)
        self._model = model.fit(self._standardised(features), self._redshift)
        return self

    def predict(self, features: Features) -> Features:
        """Return redshifts (objects,), float32."""
        model, columns = _fitted(self._model), self._standardised(features)
        if self.config.vote == "mean":
            return np.asarray(model.predict(columns), np.float32)
        distance, index = model.kneighbors(columns)
        weight = np.ones_like(distance)
        if self.config.weights == "distance":
            weight = 1 / np.maximum(distance, _TINY)
        return weighted_median(self._redshift[index], weight).astype(np.float32)

    def _standardised(self, features: Features) -> NDArray[np.float64]:
        known = _without_infinity(features)
        filled = np.where(np.isnan(known), self._fill, known)
        scaled: NDArray[np.float64] = (filled - self._mean) / self._deviation
        return scaled


class BoostingRegressor:
    """Gradient boosting over histograms of the features (scikit-learn).

    A missing feature is a value of its own: each split learns which side it goes to.  A column that
    is known of fewer objects than a leaf must hold is left out: no split could set them apart, and
    scikit-learn cannot bin a column whose known values all fall to the held-out part.

    Parameters
    ----------
    config : BoostingConfig
        Loss, trees, when to stop.
    """

    def __init__(self, config: BoostingConfig) -> None:
        self.config = config
        self._model: Any = None
        self._columns = np.empty(0, np.int64)

    def fit(self, features: Features, redshift: Features, *, seed: int) -> BoostingRegressor:
        """Learn from features (objects, columns) and redshifts (objects,).

        Raises
        ------
        UsageError
            If there is no object, or no column that is known of enough objects.
        MissingExtraError
            If scikit-learn is not installed.
        """
        _check_objects(features, redshift)
        known = np.isfinite(features).sum(axis=0)
        self._columns = np.flatnonzero(known >= min(_LEAF, len(features)))
        columns = _without_infinity(features[:, self._columns])
        _check_columns(columns, "boosting")
        model = _scikit_learn("ensemble").HistGradientBoostingRegressor(
            loss=self.config.loss,
            learning_rate=self.config.rate,
            max_iter=self.config.iterations,
            max_leaf_nodes=self.config.leaves,
            min_samples_leaf=_LEAF,
            early_stopping=True,
            validation_fraction=self.config.held_out,
            n_iter_no_change=self.config.patience,
            random_state=seed,
        )
        self._model = model.fit(columns, redshift.astype(np.float64))
        return self

    def predict(self, features: Features) -> Features:
        """Return redshifts (objects,), float32."""
        model, columns = _fitted(self._model), features[:, self._columns]
        return np.asarray(model.predict(_without_infinity(columns)), np.float32)


def weighted_median(
    values: NDArray[np.float64], weights: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the lower weighted median of each row: values, weights (n, k) to (n,), float64.

    It is the least value that, with all below it, holds half of the row's weight.
    """
    order = np.argsort(values, axis=1, kind="stable")
    ordered = np.take_along_axis(values, order, axis=1)
    cumulative = np.take_along_axis(weights, order, axis=1).cumsum(axis=1)
    place = (cumulative >= 0.5 * cumulative[:, -1:]).argmax(axis=1)
    found: NDArray[np.float64] = np.take_along_axis(ordered, place[:, None], axis=1)[:, 0]
    return found


def _without_infinity(features: Features) -> NDArray[np.float64]:
    columns = features.astype(np.float64)
    columns[~np.isfinite(columns)] = np.nan
    return columns


def _by_column(known: NDArray[np.float64]) -> NDArray[np.float64]:
    """Median of each column, without NaN; zero where a column is nothing else."""
    found = np.zeros(known.shape[1])
    some = ~np.isnan(known).all(axis=0)
    found[some] = np.nanmedian(known[:, some], axis=0)
    return found


def _check_objects(features: Features, redshift: Features) -> None:
    if len(redshift) == 0 or len(features) != len(redshift):
        raise UsageError(
            f"{len(features)} rows of features and {len(redshift)} redshifts cannot be fitted: "
            "give one of each per object of a training split that has some",
            features=len(features),
            redshifts=len(redshift),
        )


def _check_columns(features: NDArray[Any], model: str) -> None:
    if features.shape[1] == 0:
        raise UsageError(
            f"{model} was given no feature with values: choose a recipe that names photometry of "
            "the dataset",
            model=model,
        )


def _fitted(value: Any) -> Any:
    if value is None:
        raise UsageError("the model has learned nothing yet: call fit before predict")
    return value


def _scikit_learn(module: str) -> Any:
    try:
        return import_module(f"sklearn.{module}")
    except ImportError as error:
        raise missing_extra("scikit-learn", "models", "This model") from error
