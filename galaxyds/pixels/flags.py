"""Bits of the ``cutout_flags`` column, declared once."""

from __future__ import annotations

from galaxyds.spec import Flag

EDGE = Flag(
    name="edge",
    bit=0,
    description="the cutout leaves the available frames in some band; missing pixels are NaN",
)
NEIGHBOUR = Flag(
    name="neighbour",
    bit=1,
    description="some pixels come from a neighbouring field of the same run",
)
MISSING_BAND = Flag(
    name="missing_band",
    bit=2,
    description="a band has no frame; all its pixels are NaN",
)

CROPPED = Flag(
    name="cropped",
    bit=3,
    description="the delivered cutout was larger than the image and lost its edges",
)
GRIDS_DIFFER = Flag(
    name="grids_differ",
    bit=4,
    description="the bands came with different sizes or positions and were not resampled",
)
NAN_PIXELS = Flag(
    name="nan_pixels",
    bit=5,
    description="some delivered pixels are NaN",
)
TRIMMED = Flag(
    name="trimmed",
    bit=6,
    description="the delivered cutout is smaller than was asked for, at the edge of the coverage: "
    "the object may stand far from the middle",
)

FEWER_FRAMES = Flag(
    name="fewer_frames",
    bit=7,
    description="a frame that may show the object could not be had; it is stacked from the others",
)

FLAGS = (EDGE, NEIGHBOUR, MISSING_BAND)
"""Every flag that :func:`galaxyds.pixels.cut_field` may set."""
PADDING_FLAGS = (CROPPED, GRIDS_DIFFER, NAN_PIXELS, TRIMMED)
"""Every flag that :func:`galaxyds.pixels.pad` may set."""

STACK_FLAGS = (EDGE, MISSING_BAND, FEWER_FRAMES)
"""Every flag that a stack of frames may have."""


def mask(*flags: Flag) -> int:
    """Integer with the bits of ``flags`` set."""
    return sum(1 << bit for bit in {flag.bit for flag in flags})
