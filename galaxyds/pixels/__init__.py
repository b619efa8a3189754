"""Pixels: frames to cutouts, arrays in and arrays out."""

from galaxyds.pixels.cutouts import BAND_OFFSET, FieldCutouts, cut_field, needs_neighbours
from galaxyds.pixels.flags import EDGE, FLAGS, MISSING_BAND, NEIGHBOUR, mask
from galaxyds.pixels.frame import Frame

__all__ = [
    "BAND_OFFSET",
    "EDGE",
    "FLAGS",
    "MISSING_BAND",
    "NEIGHBOUR",
    "FieldCutouts",
    "Frame",
    "cut_field",
    "mask",
    "needs_neighbours",
]
