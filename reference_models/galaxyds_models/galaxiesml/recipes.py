"""Recipes of the GalaxiesML models: what the paper says, what its code does, and sounder inputs."""

from __future__ import annotations

from dataclasses import replace

from galaxyds_models.galaxiesml.bayesian import BnnConfig
from galaxyds_models.galaxiesml.networks import CnnConfig, NnConfig
from galaxyds_models.recipe import ImageInput, Inputs, Optimiser, Recipe, Schedule

_MINMAX = Inputs(photometry=("magnitudes",), scaling="minmax")
_STANDARD = Inputs(photometry=("magnitudes",), scaling="standard")
_RELEASED_IMAGES = Inputs(
    image=ImageInput(compression="divide-255", standardise=False, augment=False),
    photometry=("magnitudes",),
    scaling="raw",
)
_SOUND_IMAGES = Inputs(
    image=ImageInput(compression="signed-sqrt", standardise=True, augment=True),
    photometry=("magnitudes",),
    scaling="standard",
)
_ONE_CYCLE = Schedule(kind="one-cycle", warmup=0.2)

_NN_PAPER = Recipe(
    name="paper",
    about="Loss with 1 + z_phot (paper 002, Eq. 1); optimiser, batches and patience are of "
    "train_nn.py, since the paper gives them for the images only.",
    config=NnConfig(norm="phot"),
    inputs=_MINMAX,
    optimiser=Optimiser(lr=5e-4),
    batch_size=100,
    epochs=1000,
    patience=10,
)
NN_RECIPES: tuple[Recipe, ...] = (
    _NN_PAPER,
    replace(
        _NN_PAPER,
        name="released",
        about="What train_nn.py does: its arguments meet Keras's order in such a way that its "
        "loss is the paper's, so the values are those of `paper`.",
    ),
    replace(
        _NN_PAPER,
        name="spec",
        about="As `paper`, with the loss of Tanaka et al. (2018), which divides by 1 + z_spec.",
        config=NnConfig(norm="spec"),
    ),
    replace(
        _NN_PAPER,
        name="small",
        about="Ours, for a processor: as `spec` with standardised magnitudes, two layers of 64, "
        "Adam at 1e-3 in one cycle of 30 epochs.",
        config=NnConfig(norm="spec", hidden=(64, 64)),
        inputs=_STANDARD,
        optimiser=Optimiser(lr=1e-3),
        schedule=_ONE_CYCLE,
        batch_size=64,
        epochs=30,
        patience=None,
    ),
)

_CNN_PAPER = Recipe(
    name="paper",
    about="Paper 002, Sect. 11: loss with 1 + z_phot (Eq. 1), Adam at 1e-4, batches of 256, 200 "
    "epochs; pixels divided by 255 and magnitudes as they are, as in train_cnn.py.",
    config=CnnConfig(norm="phot"),
    inputs=_RELEASED_IMAGES,
    optimiser=Optimiser(lr=1e-4),
    batch_size=256,
    epochs=200,
)
CNN_RECIPES: tuple[Recipe, ...] = (
    _CNN_PAPER,
    replace(
        _CNN_PAPER,
        name="released",
        about="What train_cnn.py does: as `paper`, with a loss that divides by nothing.",
        config=CnnConfig(norm="none"),
    ),
    replace(
        _CNN_PAPER,
        name="spec",
        about="As `paper`, with the loss of Tanaka et al. (2018), which divides by 1 + z_spec.",
        config=CnnConfig(norm="spec"),
    ),
    replace(
        _CNN_PAPER,
        name="standard",
        about="Ours: as `spec`, with compressed and standardised pixels, flips and quarter turns, "
        "and standardised magnitudes.",
        config=CnnConfig(norm="spec"),
        inputs=_SOUND_IMAGES,
    ),
    replace(
        _CNN_PAPER,
        name="small",
        about="Ours, for a processor and images of 64 pixels: as `standard` with half the "
        "channels, Adam at 1e-3 in one cycle of 15 epochs.",
        config=CnnConfig(
            norm="spec",
            stages=(16, 32, 64, 128, 128),
            top=(256, 256),
            dense=(256, 64, 32),
            photometry=(100, 100, 100),
        ),
        inputs=_SOUND_IMAGES,
        optimiser=Optimiser(lr=1e-3),
        schedule=_ONE_CYCLE,
        batch_size=64,
        epochs=15,
    ),
)

_BNN_PAPER = Recipe(
    name="paper",
    about="Layers, posterior and prior as in the helpers of train_nn.py; Jones et al. (2024) in "
    "their abstract give no more, so optimiser, batches and patience are those of the NN.",
    config=BnnConfig(),
    inputs=_MINMAX,
    optimiser=Optimiser(lr=5e-4),
    batch_size=100,
    epochs=1000,
    patience=10,
)
BNN_RECIPES: tuple[Recipe, ...] = (
    _BNN_PAPER,
    replace(
        _BNN_PAPER,
        name="standard",
        about="Ours: standardised magnitudes, and a posterior whose deviation starts at 0.01 and "
        "moves at its own scale.",
        config=BnnConfig(spread=1.0, rho=-5.0),
        inputs=_STANDARD,
    ),
    replace(
        _BNN_PAPER,
        name="small",
        about="Ours, for a processor: as `standard` with two layers of 32, Adam at 2e-3 in one "
        "cycle of 30 epochs.",
        config=BnnConfig(hidden=(32, 32), spread=1.0, rho=-5.0),
        inputs=_STANDARD,
        optimiser=Optimiser(lr=2e-3),
        schedule=_ONE_CYCLE,
        batch_size=64,
        epochs=30,
        patience=None,
    ),
)
