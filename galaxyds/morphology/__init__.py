"""Morphology of a galaxy image: detection, shape and radii by SExtractor's definitions."""

from galaxyds.morphology.columns import COUNTS, KEYS, Central, describe, examine
from galaxyds.morphology.cutouts import FIT_KEYS, measure_cutouts, settings_text
from galaxyds.morphology.flags import FLAGS
from galaxyds.morphology.sersic import (
    SersicFit,
    SersicGuess,
    fit_sersic,
    model_images,
    neighbour_mask,
)
from galaxyds.morphology.settings import DetectionSettings
from galaxyds.morphology.sources import (
    Detections,
    Neighbourhood,
    central,
    image_center,
    measure,
    neighbourhood,
    surface_brightness,
)

__all__ = [
    "COUNTS",
    "FIT_KEYS",
    "FLAGS",
    "KEYS",
    "Central",
    "DetectionSettings",
    "Detections",
    "Neighbourhood",
    "SersicFit",
    "SersicGuess",
    "central",
    "describe",
    "examine",
    "fit_sersic",
    "image_center",
    "measure",
    "measure_cutouts",
    "model_images",
    "neighbour_mask",
    "neighbourhood",
    "settings_text",
    "surface_brightness",
]
