"""What a recipe is: inputs, network, optimiser and schedule of one training, frozen.

A recipe is data.  What it leaves out, no code below fills in: two runs of one recipe on one build
differ in their seed only.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

from galaxyds.errors import UsageError

Compression = Literal["none", "signed-sqrt", "divide-255"]
Scaling = Literal["raw", "standard", "minmax"]
Quantity = Literal["magnitudes", "errors", "colors", "extinctions", "ebv"]


@dataclass(frozen=True, kw_only=True, slots=True)
class ImageInput:
    """Pixels that a network sees.

    Attributes
    ----------
    compression : str
        ``signed-sqrt`` is sign(x) (sqrt(abs(x) + 1) - 1) (Pasquet et al. 2019; paper 003,
        Sect. 3.1), ``divide-255`` what GalaxiesML's released code does, ``none`` the unit of the
        dataset.  NaN becomes 0.
    standardise : bool
        Subtract the mean and divide by the deviation of each band of the training split, after
        compression.
    augment : bool
        Flips and quarter turns while training.
    """

    compression: Compression = "signed-sqrt"
    standardise: bool = True
    augment: bool = True


@dataclass(frozen=True, kw_only=True, slots=True)
class Inputs:
    """Everything that a network sees of an object, the redshift apart.

    Attributes
    ----------
    image : ImageInput or None
        Pixels, as the key ``image`` of a batch.
    photometry : tuple of str
        Keys of a batch beside it.  ``magnitudes`` and ``errors`` (objects, bands), ``colors``
        (objects, bands - 1) of neighbouring bands, ``extinctions`` (objects, bands), ``ebv``
        (objects, 1).  The last two are never scaled.
    scaling : str
        Of magnitudes, errors and colors, with numbers of the training split.  Missing ones are the
        training split's mean after scaling (``raw``, ``standard``) or its minimum (``minmax``).
    optional : tuple of str
        Of ``photometry``: zeros where the table has no such quantity at all.
    """

    image: ImageInput | None = None
    photometry: tuple[Quantity, ...] = ()
    scaling: Scaling = "standard"
    optional: tuple[Quantity, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Optimiser:
    """An optimiser and its constants; ``betas`` of Adam, ``momentum`` of SGD."""

    kind: Literal["adam", "adamw", "sgd"] = "adam"
    lr: float = 1e-4
    weight_decay: float = 0.0
    momentum: float = 0.0
    betas: tuple[float, float] = (0.9, 0.999)
    amsgrad: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Schedule:
    """How the learning rate goes.

    Attributes
    ----------
    kind : str
        ``constant``; ``steps``: times ``factor`` after each of ``at`` (fractions of the training);
        ``cosine`` to zero; ``one-cycle``: linear to the full rate in ``warmup`` of the training,
        then linear to zero.
    warmup : float
        Fraction of the training.
    """

    kind: Literal["constant", "steps", "cosine", "one-cycle"] = "constant"
    at: tuple[float, ...] = ()
    factor: float = 0.2
    warmup: float = 0.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Recipe:
    """One way to train one model.

    Attributes
    ----------
    name : str
        ``paper`` is what the paper says where it does; others say what they change in ``about``.
    about : str
        One or two sentences: where the values are from.
    config : object
        The model's own frozen dataclass.
    inputs : Inputs
        What it sees.
    optimiser, schedule
        How it learns.
    batch_size, epochs : int
        Objects per step, passes over the training split.
    patience : int or None
        Epochs without a better validation loss before it stops; None trains all of them.  The
        weights that are kept are those of the best validation loss (``keep="best"``) or the last.
    members : int
        Networks whose answers are averaged.
    clip : float or None
        Largest norm of the gradient.
    """

    name: str
    about: str
    config: Any = None
    inputs: Inputs = Inputs()
    optimiser: Optimiser = Optimiser()
    schedule: Schedule = Schedule()
    batch_size: int = 256
    epochs: int = 30
    patience: int | None = None
    keep: Literal["best", "last"] = "best"
    members: int = 1
    clip: float | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Preset:
    """How much of a recipe is run.

    Attributes
    ----------
    epochs, members : int or None
        At most as many; None leaves the recipe's.
    train, evaluate : int or None
        At most as many objects of the training split, and of each other one.
    batch_size : int or None
        At most as many objects per step.
    """

    name: str
    about: str
    epochs: int | None = None
    members: int | None = None
    train: int | None = None
    evaluate: int | None = None
    batch_size: int | None = None

    def apply(self, recipe: Recipe) -> Recipe:
        """Return the recipe as this preset runs it."""
        return replace(
            recipe,
            epochs=_least(recipe.epochs, self.epochs),
            members=_least(recipe.members, self.members),
            batch_size=_least(recipe.batch_size, self.batch_size),
        )


PRESETS: dict[str, Preset] = {
    preset.name: preset
    for preset in (
        Preset(
            name="smoke",
            about="runs end to end in minutes on a processor; its scores mean nothing",
            epochs=1,
            members=1,
            train=32,
            evaluate=64,
            batch_size=16,
        ),
        Preset(name="default", about="one network, at most 30 epochs", epochs=30, members=1),
        Preset(name="paper", about="the recipe as it stands, all members"),
    )
}


def adjusted(recipe: Recipe, *, epochs: int | None = None, members: int | None = None) -> Recipe:
    """Return a recipe with some of its numbers replaced, which its name then says."""
    if epochs is not None:
        recipe = replace(recipe, name=f"{recipe.name}+epochs{epochs}", epochs=epochs)
    if members is not None:
        recipe = replace(recipe, name=f"{recipe.name}+members{members}", members=members)
    return recipe


def get_preset(name: str) -> Preset:
    """Look a preset up.

    Raises
    ------
    UsageError
        If there is none of that name.
    """
    if name not in PRESETS:
        raise UsageError(f"no preset '{name}': choose {', '.join(PRESETS)}", preset=name)
    return PRESETS[name]


def _least(value: int, limit: int | None) -> int:
    return value if limit is None else min(value, limit)
