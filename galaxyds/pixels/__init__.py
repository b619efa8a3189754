"""Pixels: frames to cutouts, arrays in and arrays out."""

from galaxyds.pixels.cutouts import BAND_OFFSET, FieldCutouts, cut_field, needs_neighbours
from galaxyds.pixels.flags import EDGE, FLAGS, MISSING_BAND, NEIGHBOUR, PADDING_FLAGS, mask
from galaxyds.pixels.frame import Frame
from galaxyds.pixels.padding import Padded, centred, middle, pad, placed
from galaxyds.pixels.regrid import KERNELS, onto_grid
from galaxyds.pixels.stack import COMBINE, Stack, stack_frames

__all__ = [
    "BAND_OFFSET",
    "COMBINE",
    "EDGE",
    "FLAGS",
    "KERNELS",
    "MISSING_BAND",
    "NEIGHBOUR",
    "PADDING_FLAGS",
    "FieldCutouts",
    "Frame",
    "Padded",
    "Stack",
    "centred",
    "cut_field",
    "mask",
    "middle",
    "needs_neighbours",
    "onto_grid",
    "pad",
    "placed",
    "stack_frames",
]
