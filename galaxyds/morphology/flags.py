"""Bits of the ``morphology_flags`` columns, declared once."""

from __future__ import annotations

from galaxyds.pixels.flags import mask
from galaxyds.spec import Flag

NOT_DETECTED = Flag(
    name="not_detected",
    bit=0,
    description="no source above the threshold; all measurements are 0, as published",
)
CORRUPT = Flag(
    name="corrupt",
    bit=1,
    description="no finite pixel, or all pixels equal; nothing was measured",
)
NAN_PIXELS = Flag(
    name="nan_pixels",
    bit=2,
    description="some pixels are not finite; they were left out",
)
BLENDED = Flag(
    name="blended",
    bit=3,
    description="the central source was deblended from a neighbour",
)
TRUNCATED = Flag(
    name="truncated",
    bit=4,
    description="the central source touches the border of the image",
)
PETROSIAN_LIMIT = Flag(
    name="petrosian_limit",
    bit=5,
    description="no fall to a fifth of the mean within 5.76 major axes: petro_rad is a limit",
)
NO_PSF = Flag(
    name="no_psf",
    bit=6,
    description="no point-spread function: no Sersic fit",
)
FIT_FAILED = Flag(
    name="fit_failed",
    bit=7,
    description="the Sersic fit did not converge",
)
FIT_AT_BOUND = Flag(
    name="fit_at_bound",
    bit=8,
    description="a parameter of the Sersic fit ended at its bound",
)
OFF_CENTER = Flag(
    name="off_center",
    bit=9,
    description="the nearest source is over 15 pixels from the centre: likely another object",
)

FLAGS = (
    NOT_DETECTED,
    CORRUPT,
    NAN_PIXELS,
    BLENDED,
    TRUNCATED,
    PETROSIAN_LIMIT,
    NO_PSF,
    FIT_FAILED,
    FIT_AT_BOUND,
    OFF_CENTER,
)
"""Every flag that measuring and fitting may set, in the order of the bits."""

__all__ = [
    "BLENDED",
    "CORRUPT",
    "FIT_AT_BOUND",
    "FIT_FAILED",
    "FLAGS",
    "NAN_PIXELS",
    "NOT_DETECTED",
    "NO_PSF",
    "OFF_CENTER",
    "PETROSIAN_LIMIT",
    "TRUNCATED",
    "mask",
]
