"""Small models that every leaderboard needs beside the large ones."""

from __future__ import annotations

from dataclasses import replace

from galaxyds_models.estimator import Facts
from galaxyds_models.recipe import Inputs, Optimiser, Recipe
from galaxyds_models.registry import Entry
from galaxyds_models.simple.hong import HongConfig, HongNetwork
from galaxyds_models.simple.regressors import (
    BoostingConfig,
    BoostingRegressor,
    MedianRegressor,
    NeighboursConfig,
    NeighboursRegressor,
)

__all__ = [
    "ENTRIES",
    "BoostingConfig",
    "BoostingRegressor",
    "HongConfig",
    "HongNetwork",
    "MedianRegressor",
    "NeighboursConfig",
    "NeighboursRegressor",
]

_SDSS = Facts(filters=("u", "g", "r", "i", "z"), redshift_range=(1.0, 5.0), objects=332_744)
_MAGNITUDES = Inputs(photometry=("magnitudes", "colors"), scaling="raw")
_ERRORS = Inputs(photometry=("magnitudes", "colors", "errors"), scaling="raw")

_HONG = Recipe(
    name="paper",
    about="The notebook on photometry alone: min-max scaling, mean absolute error, Adam with "
    "amsgrad at 1e-3, batches of 256, at most 100 epochs, patience 3.",
    config=HongConfig(),
    inputs=Inputs(
        photometry=("magnitudes", "colors", "errors"), scaling="minmax", optional=("errors",)
    ),
    optimiser=Optimiser(lr=1e-3, amsgrad=True),
    batch_size=256,
    epochs=100,
    patience=3,
)
_STANDARD = replace(
    _HONG,
    name="standard",
    about="Ours: as `paper` with standardised columns, since a few errors of many magnitudes "
    "squeeze all others to zero under min-max scaling; patience 10.",
    inputs=replace(_HONG.inputs, scaling="standard"),
    patience=10,
)


def _fitted_recipes(config: object, about: str) -> tuple[Recipe, ...]:
    """Give a model that is fitted in one go its two recipes: without and with errors."""
    magnitudes = Recipe(name="magnitudes", about=about, config=config, inputs=_MAGNITUDES)
    errors = replace(
        magnitudes,
        name="magnitudes-errors",
        about=f"{about} The errors of the magnitudes are features too.",
        inputs=_ERRORS,
    )
    return magnitudes, errors


ENTRIES: tuple[Entry, ...] = (
    Entry(
        name="hong-mlp",
        title="Perceptron of magnitudes, colours and errors",
        paper="Hong et al. 2023, PhotoRedshift-MML (its photometry alone)",
        recipes=(_HONG, _STANDARD),
        network=HongNetwork,
        reference=_SDSS,
        datasets=("sdss-qso",),
        differs=(
            "Scaling is of the training split; the notebook takes it from all rows.",
            "The test split is not used to decide when to stop; the notebook uses it.",
            "The fifth colour, first less last magnitude, is made of the scaled magnitudes.",
            "Errors are zeros where a table has none.",
        ),
    ),
    Entry(
        name="median",
        title="Median redshift of the training split",
        paper="No paper: what knowing nothing of an object scores",
        recipes=(Recipe(name="constant", about="Sees nothing of an object.", inputs=Inputs()),),
        regressor=lambda config: MedianRegressor(),
        reference=Facts(),
        datasets=(),
    ),
    Entry(
        name="knn",
        title="Nearest neighbours in magnitudes and colours",
        paper="No paper: scikit-learn's KNeighborsRegressor",
        recipes=_fitted_recipes(
            NeighboursConfig(),
            "Weighted median of the 20 nearest objects in standardised features.",
        ),
        regressor=NeighboursRegressor,
        reference=_SDSS,
        datasets=(),
    ),
    Entry(
        name="boosting",
        title="Boosted trees of magnitudes and colours",
        paper="No paper: scikit-learn's HistGradientBoostingRegressor",
        recipes=_fitted_recipes(
            BoostingConfig(),
            "Trees of 31 leaves on the absolute error, until 20 of them bring nothing on a tenth "
            "of the training split.",
        ),
        regressor=BoostingRegressor,
        reference=_SDSS,
        datasets=(),
    ),
)
