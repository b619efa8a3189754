"""Morphology of a galaxy image: detection, shape and radii by SExtractor's definitions."""

from galaxyds.morphology.columns import COUNTS, KEYS, describe
from galaxyds.morphology.flags import FLAGS
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
    "FLAGS",
    "KEYS",
    "DetectionSettings",
    "Detections",
    "Neighbourhood",
    "central",
    "describe",
    "image_center",
    "measure",
    "neighbourhood",
    "surface_brightness",
]
