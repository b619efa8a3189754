"""The multimodal network of Ait-Ouahmed et al. 2023 (paper 003), its baseline, its plain CNNs."""

from __future__ import annotations

from galaxyds_models.estimator import Facts
from galaxyds_models.multimodal.cnn import build_plain
from galaxyds_models.multimodal.model import build
from galaxyds_models.multimodal.recipes import BASELINE, CNN, MULTIMODAL
from galaxyds_models.registry import Entry

_PAPER = "Ait-Ouahmed et al. 2023"
_DATASETS = ("sdss-mgs", "cfhtls-wide", "hsc-deep")
_HSC9 = Facts(
    bands=("u", "g", "r", "i", "z", "y", "J", "H", "Ks"),
    size=64,
    redshift_range=(0.0, 6.0),
    objects=29_920,  # four fifths of about 37,400 (Sect. 2.4)
)
_COMMON = (
    (
        "Learning rate, schedule and epochs are not in the paper: those of Lin et al.'s code for "
        "the same group's network, 30 epochs."
    ),
    (
        "Redshift bins are not in the paper: 180 on [0, 0.4] as Pasquet et al. 2019, 1000 on "
        "[0, 4] as Lin et al. for CFHTLS, 1500 of the same width on [0, 6] for HSC."
    ),
)
_WIDTHS = (
    "Widths are not in the paper: ours reproduce its parameter counts (Table C.1) within 0.009 "
    "million, the recipe table-c1 to all printed digits, given a number of redshift bins."
)
_SLOPE = "PReLU slopes start at 0, as in Pasquet et al. 2019; the paper does not say."

ENTRIES: tuple[Entry, ...] = (
    Entry(
        name="multimodal",
        title="Inception network with parallel modalities",
        paper=_PAPER,
        recipes=MULTIMODAL,
        reference=_HSC9,
        datasets=_DATASETS,
        network=build,
        differs=(
            *_COMMON,
            _WIDTHS,
            _SLOPE,
            "The sizes of the cross-fusion are ours; it counts as one of the eight blocks.",
        ),
    ),
    Entry(
        name="multimodal-baseline",
        title="Inception network with one modality of all bands",
        paper=_PAPER,
        recipes=BASELINE,
        reference=_HSC9,
        datasets=_DATASETS,
        network=build,
        differs=(*_COMMON, _WIDTHS, _SLOPE),
    ),
    Entry(
        name="multimodal-cnn",
        title="Plain convolutions with parallel modalities",
        paper=_PAPER,
        recipes=CNN,
        reference=_HSC9,
        datasets=("hsc-deep",),
        network=build_plain,
        differs=(*_COMMON, _SLOPE, "Only the number of layers is in the paper; the rest is ours."),
    ),
)
