"""Networks of Do et al. (2024, GalaxiesML; paper 002) and of Jones et al. (2024)."""

from __future__ import annotations

from galaxyds_models.estimator import Facts
from galaxyds_models.galaxiesml.bayesian import BayesianNetwork, BnnConfig
from galaxyds_models.galaxiesml.losses import point_loss, tanaka_loss
from galaxyds_models.galaxiesml.networks import (
    CnnConfig,
    HybridNetwork,
    NnConfig,
    PhotometryNetwork,
)
from galaxyds_models.galaxiesml.recipes import BNN_RECIPES, CNN_RECIPES, NN_RECIPES
from galaxyds_models.galaxiesml.variational import VariationalDense
from galaxyds_models.registry import Entry

__all__ = [
    "ENTRIES",
    "BayesianNetwork",
    "BnnConfig",
    "CnnConfig",
    "HybridNetwork",
    "NnConfig",
    "PhotometryNetwork",
    "VariationalDense",
    "point_loss",
    "tanaka_loss",
]

_BANDS = ("g", "r", "i", "z", "y")
_TRAINED = 204_573  # paper 002, Table 2 and Sect. 11
_IMAGES = Facts(
    bands=_BANDS, size=127, filters=_BANDS, redshift_range=(0.01, 4.0), objects=_TRAINED
)
_MAGNITUDES = Facts(filters=_BANDS, redshift_range=(0.01, 4.0), objects=_TRAINED)
_KEPT = (
    "The weights of the best validation loss are kept; the released script keeps those of the "
    "best training loss."
)
_UPWARDS = (
    "Eq. 1 divides by 1 + z_phot, so that of two equal errors the one to high redshift is the "
    "cheaper (at most 0.978, against 1); a z_phot below 0 counts as 0 in the divisor, without "
    "which estimates below -1 would run away. Tanaka's own loss is the recipe `spec`."
)
_BNN_LAYERS = (
    "The released script holds the posterior and the prior, not the network: its layers are the "
    "NN's, made variational, but for a plain last one for mean and deviation."
)

ENTRIES: tuple[Entry, ...] = (
    Entry(
        name="galaxiesml-nn",
        title="Dense network of magnitudes",
        paper="Do et al. 2024, GalaxiesML, Sect. 11",
        recipes=NN_RECIPES,
        network=PhotometryNetwork,
        reference=_MAGNITUDES,
        datasets=("hsc-galaxiesml",),
        differs=(_KEPT, _UPWARDS),
    ),
    Entry(
        name="galaxiesml-cnn",
        title="Hybrid network of images and magnitudes",
        paper="Do et al. 2024, GalaxiesML, Sect. 11",
        recipes=CNN_RECIPES,
        network=HybridNetwork,
        reference=_IMAGES,
        datasets=("hsc-galaxiesml",),
        differs=(
            "Kernels are 3x3 as in the released script; the paper's text says 3x4.",
            "The three dense layers stand before the branches join (released script), not behind.",
            "Eq. 1 divides by 1 + z_phot (recipe `paper`), the script by nothing (`released`).",
            "Batches are drawn anew in each epoch; the released script's keep their members.",
            _KEPT,
            _UPWARDS,
        ),
    ),
    Entry(
        name="galaxiesml-bnn",
        title="Bayesian network of magnitudes, with an uncertainty",
        paper="Jones et al. 2024, ApJ 964, 130 (67.2 % of redshifts within one sigma)",
        recipes=BNN_RECIPES,
        network=BayesianNetwork,
        reference=_MAGNITUDES,
        datasets=("hsc-galaxiesml",),
        differs=(
            _BNN_LAYERS,
            "An answer is the mean of 64 draws of the weights, and its sigma holds their scatter.",
            "0.0001 is added to the deviation: one perfect object could sink the loss without it.",
            _KEPT,
        ),
    ),
)
