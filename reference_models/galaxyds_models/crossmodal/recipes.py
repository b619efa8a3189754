"""Recipes of the quasar model: the paper, the authors' later code, one modality, a small one.

Paper 000 gives the optimiser (Sect. 2.1: SGD, rate 0.008, momentum 0.2, weight decay 0.03), five
bands, 64 x 64 pixels, 512 features and ResNet-101.  It gives neither alpha, beta, batch size,
epochs, widths of perceptrons, treatment of pixels nor augmentation; each choice below says where it
is from.
"""

from __future__ import annotations

from dataclasses import replace

from galaxyds_models.crossmodal.config import (
    CrossModalConfig,
    ImageConfig,
    PhotometryConfig,
    Weights,
)
from galaxyds_models.recipe import ImageInput, Inputs, Optimiser, Recipe, Schedule

PAPER_SGD = Optimiser(kind="sgd", lr=0.008, momentum=0.2, weight_decay=0.03)
_LINEAR = ImageInput(compression="none", standardise=True, augment=False)
_COMPRESSED = ImageInput(compression="signed-sqrt", standardise=True, augment=True)
_MAGNITUDES_ONLY = PhotometryConfig(errors=False)
_SMALL_RESNET = ImageConfig(layers=(1, 1, 1, 1), width=16)
_ONE_CYCLE = Schedule(kind="one-cycle", warmup=0.2)

PAPER = Recipe(
    name="paper",
    about="Paper 000: SGD and its constants, ResNet-101, 512 features, linear pixels without "
    "augmentation. Chosen here: alpha = beta = 0.1, batches of 512, pixels standardised; epochs, "
    "patience and clipping are those of the authors' later code.",
    config=CrossModalConfig(),
    inputs=Inputs(
        image=_LINEAR,
        photometry=("magnitudes", "errors", "colors", "extinctions"),
        optional=("extinctions",),
    ),
    optimiser=PAPER_SGD,
    batch_size=512,
    epochs=200,
    patience=12,
    clip=20.0,
)

PAPER_PATTERNS = replace(
    PAPER,
    name="paper-patterns",
    about="As paper, with J_z averaged over the three patterns of inputs. Eq. 6 names real "
    "features only, but a head that never saw generated ones knows nothing of them, and matching "
    "two distributions does not match their objects.",
    config=CrossModalConfig(train_generated=True),
)

RELEASED = Recipe(
    name="released",
    about="The authors' later code (MMLPhoto-z, 2024): token attention, 256 features, contrastive "
    "loss, five Gaussians and their CRPS, losses 5 : 0.4 : 0.3. Its slips are not repeated, and "
    "its cuts of the rate at a plateau are left out.",
    config=CrossModalConfig(
        photometry=PhotometryConfig(kind="tokens", errors=False),
        image=ImageConfig(perceptron=False),
        features=256,
        slope=0.0,
        components=5,
        weights=Weights(redshift=5.0, adversarial=0.4, contrast=0.3),
    ),
    inputs=Inputs(image=_LINEAR, photometry=("magnitudes", "colors")),
    optimiser=Optimiser(kind="sgd", lr=0.008, momentum=0.6, weight_decay=0.1),
    batch_size=1280,
    epochs=200,
    patience=12,
    clip=20.0,
)

PHOTOMETRY = Recipe(
    name="photometry",
    about="The photometric encoder, the generator of image features and the redshift head alone, "
    "with J_z; any number of filters. Adam, its schedule, batches and epochs chosen here.",
    config=CrossModalConfig(modalities=("photometry",), weights=Weights()),
    inputs=Inputs(photometry=("magnitudes", "errors", "colors")),
    optimiser=Optimiser(kind="adam", lr=2e-3),
    schedule=_ONE_CYCLE,
    batch_size=256,
    epochs=30,
    clip=20.0,
)

PHOTOMETRY_NO_ERRORS = Recipe(
    name="photometry-no-errors",
    about="As photometry, for tables without errors of magnitudes: X of Eq. 1 has one column, so "
    "that no made-up zeros enter.",
    config=CrossModalConfig(
        modalities=("photometry",), weights=Weights(), photometry=_MAGNITUDES_ONLY
    ),
    inputs=Inputs(photometry=("magnitudes", "colors")),
    optimiser=PHOTOMETRY.optimiser,
    schedule=_ONE_CYCLE,
    batch_size=256,
    epochs=30,
    clip=20.0,
)

IMAGE = Recipe(
    name="image",
    about="The image encoder, the generator of photometric features and the redshift head alone, "
    "with J_z; otherwise as paper.",
    config=CrossModalConfig(modalities=("image",), weights=Weights()),
    inputs=Inputs(image=_LINEAR),
    optimiser=PAPER_SGD,
    batch_size=512,
    epochs=200,
    patience=12,
    clip=20.0,
)

SMALL = Recipe(
    name="small",
    about="The same architecture with a ResNet of four blocks and 128 features, trained by Adam on "
    "all three input patterns, with alpha = 0.01 (with 0.1 the game disturbs so short a training): "
    "minutes on a processor with a few thousand objects. Tables without errors give zeros, the "
    "mean, in their place.",
    config=CrossModalConfig(
        image=_SMALL_RESNET,
        features=128,
        weights=Weights.balanced(alpha=0.01),
        train_generated=True,
    ),
    inputs=Inputs(
        image=_COMPRESSED,
        photometry=("magnitudes", "errors", "colors", "extinctions"),
        optional=("errors", "extinctions"),
    ),
    optimiser=Optimiser(kind="adam", lr=2e-3),
    schedule=_ONE_CYCLE,
    batch_size=64,
    epochs=12,
    clip=20.0,
)

SMALL_IMAGE = Recipe(
    name="small-image",
    about="As small, from images alone with J_z: what the photometry adds is the difference.",
    config=CrossModalConfig(
        modalities=("image",), weights=Weights(), image=_SMALL_RESNET, features=128
    ),
    inputs=Inputs(image=_COMPRESSED),
    optimiser=SMALL.optimiser,
    schedule=_ONE_CYCLE,
    batch_size=64,
    epochs=12,
    clip=20.0,
)

RECIPES = (
    PAPER,
    PAPER_PATTERNS,
    RELEASED,
    PHOTOMETRY,
    PHOTOMETRY_NO_ERRORS,
    IMAGE,
    SMALL,
    SMALL_IMAGE,
)
