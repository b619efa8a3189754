"""Pixels: frames to cutouts, arrays in and arrays out."""

from galaxyds.pixels.cutouts import BAND_OFFSET, FieldCutouts, cut_field, needs_neighbours
from galaxyds.pixels.flags import EDGE, FLAGS, MISSING_BAND, NEIGHBOUR, PADDING_FLAGS, mask
from galaxyds.pixels.frame import Frame
from galaxyds.pixels.padding import Padded, centred, middle, pad, placed

__all__ = [
    "BAND_OFFSET",
    "EDGE",
    "FLAGS",
    "MISSING_BAND",
    "NEIGHBOUR",
    "PADDING_FLAGS",
    "FieldCutouts",
    "Frame",
    "Padded",
    "centred",
    "cut_field",
    "mask",
    "middle",
    "needs_neighbours",
    "pad",
    "placed",
]
