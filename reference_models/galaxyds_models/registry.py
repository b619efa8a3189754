"""Every model by name: its paper, its recipes, how it is made."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from galaxyds.errors import UsageError, did_you_mean
from galaxyds_models.recipe import Recipe

if TYPE_CHECKING:
    from galaxyds_models.estimator import Estimator, Facts

Features = NDArray[np.float32]


class Regressor(Protocol):
    """A model that is not a network: fitted on a table of features in one go."""

    def fit(self, features: Features, redshift: Features, *, seed: int) -> Regressor:
        """Learn from features (objects, columns), NaN where missing, and redshifts (objects,)."""

    def predict(self, features: Features) -> Features:
        """Return redshifts (objects,)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """A model that ``galaxyds bench`` knows.

    Attributes
    ----------
    name : str
        Kebab-case.
    title, paper : str
        What it is, and where it is described.
    recipes : tuple of Recipe
        The first is the default.
    network : callable or None
        From a recipe's config and the facts of the data to the network.
    regressor : callable or None
        From a recipe's config to a model that is fitted in one go; one of the two is given.
    reference : Facts
        The data that the paper used: parameter counts are given for it.
    datasets : tuple of str
        Names of the datasets that the paper scored it on.
    differs : tuple of str
        What differs from the paper, and why; one sentence each.
    """

    name: str
    title: str
    paper: str
    recipes: tuple[Recipe, ...]
    reference: Facts
    datasets: tuple[str, ...]
    network: Callable[[Any, Facts], Estimator] | None = None
    regressor: Callable[[Any], Regressor] | None = None
    differs: tuple[str, ...] = ()

    def recipe(self, name: str | None = None) -> Recipe:
        """Look a recipe up; the default without a name.

        Raises
        ------
        UsageError
            If there is none of that name; the nearest is offered.
        """
        if name is None:
            return self.recipes[0]
        found = {recipe.name: recipe for recipe in self.recipes}
        if name not in found:
            raise _unknown("recipe", name, tuple(found), f" of {self.name}")
        return found[name]


_MODULES: dict[str, str] = {
    "crossmodal": "galaxyds_models.crossmodal",
    "galaxiesml-nn": "galaxyds_models.galaxiesml",
    "galaxiesml-cnn": "galaxyds_models.galaxiesml",
    "galaxiesml-bnn": "galaxyds_models.galaxiesml",
    "multimodal": "galaxyds_models.multimodal",
    "multimodal-baseline": "galaxyds_models.multimodal",
    "multimodal-cnn": "galaxyds_models.multimodal",
    "pasquet": "galaxyds_models.pasquet",
    "hong-mlp": "galaxyds_models.simple",
    "median": "galaxyds_models.simple",
    "knn": "galaxyds_models.simple",
    "boosting": "galaxyds_models.simple",
}
"""Where each model's ``ENTRIES`` stand; a module is imported when its model is asked for."""


def names() -> tuple[str, ...]:
    """Names of all models, in the order of the papers."""
    return tuple(_MODULES)


def get_entry(name: str) -> Entry:
    """Look a model up.

    Raises
    ------
    UsageError
        If there is none of that name; the nearest is offered.
    """
    if name not in _MODULES:
        raise _unknown("model", name, names())
    entries: tuple[Entry, ...] = import_module(_MODULES[name]).ENTRIES
    return next(entry for entry in entries if entry.name == name)


def parameters(entry: Entry, recipe: Recipe) -> int | None:
    """Trainable parameters of a recipe's network on the paper's data; None for other models."""
    if entry.network is None:
        return None
    import torch

    from galaxyds_models.estimator import count_parameters

    with torch.device("meta"):
        return count_parameters(entry.network(recipe.config, entry.reference))


def _unknown(kind: str, name: str, known: tuple[str, ...], of: str = "") -> UsageError:
    hint = did_you_mean(name, known)
    return UsageError(f"no {kind} '{name}'{of}: {hint}choose {', '.join(known)}", name=name)
