"""The morphology columns of one band: its central source, and how many others there are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from galaxyds.morphology import flags
from galaxyds.morphology.detect import MERGED, TRUNCATED, Isophotes, detect
from galaxyds.morphology.photometry import Photometry, photometry
from galaxyds.morphology.settings import DetectionSettings
from galaxyds.morphology.sources import (
    DEFAULT,
    Neighbourhood,
    checked,
    counts,
    image_center,
    is_corrupt,
    surface_brightness,
)
from galaxyds.spec import Flag

FAR = 15.0
"""Distance in pixels from the centre beyond which the nearest source is flagged as another one."""

KEYS = (
    "x_coord",
    "y_coord",
    "major_axis",
    "minor_axis",
    "pos_angle",
    "ellipticity",
    "isophotal_area",
    "half_light_radius",
    "petro_rad",
    "petro_rad_pixels",
    "peak_surface_brightness",
    "central_image_pop_5px_rad",
    "central_image_pop_10px_rad",
    "central_image_pop_15px_rad",
    "total_galaxies",
    "morphology_flags",
)
"""What :func:`describe` returns for a band, without the band's prefix."""
COUNTS = ("isophotal_area", *KEYS[-5:])
"""The keys whose values are integers."""

Description = dict[str, float | int]


@dataclass(frozen=True, slots=True)
class Central:
    """The source nearest to the centre of an image, described and ready to be fitted.

    Attributes
    ----------
    values : dict of str to float or int
        As :func:`describe` returns them.
    isophotes : Isophotes or None
        The detection; None if there is no source.
    index : int
        The source's row there.
    flux : float
        Its ``FLUX_AUTO``, in units of the image.
    """

    values: Description
    isophotes: Isophotes | None = None
    index: int = 0
    flux: float = 0.0


def describe(image: npt.ArrayLike, settings: DetectionSettings = DEFAULT) -> Description:
    """Measure the source nearest to the centre of an image.

    Parameters
    ----------
    image : array_like
        (rows, columns): the raw cutout of one band, any real dtype and byte order.
    settings : DetectionSettings
        Thresholds, filter and apertures.

    Returns
    -------
    dict of str to float or int
        The :data:`KEYS`.  ``x_coord`` and ``y_coord`` are 1-based, lengths in pixels, ``pos_angle``
        in degrees, ``petro_rad`` in units of ``major_axis``.  All 0 where nothing is detected, with
        the flag that says so.

    Raises
    ------
    UsageError
        If the image has not two dimensions.
    """
    return examine(image, settings).values


def examine(image: npt.ArrayLike, settings: DetectionSettings = DEFAULT) -> Central:
    """As :func:`describe`, with what a fit of the source begins from.

    Raises
    ------
    UsageError
        If the image has not two dimensions.
    """
    pixels, bad = checked(image)
    if is_corrupt(pixels, bad):
        return Central(_empty(flags.CORRUPT, flags.NOT_DETECTED))
    found = detect(pixels, bad, settings=settings)
    marks = [] if bad is None else [flags.NAN_PIXELS]
    if not len(found.table):
        return Central(_empty(flags.NOT_DETECTED, *marks))
    x, y = image_center(pixels.shape)
    distances = np.hypot(found.table["x"] - x, found.table["y"] - y)
    index = int(np.argmin(distances))
    if distances[index] > FAR:
        marks.append(flags.OFF_CENTER)
    light = photometry(found, index, settings=settings)
    if not light.petro_reached:
        marks.append(flags.PETROSIAN_LIMIT)
    values = _described(found, index, around=counts(distances), light=light, settings=settings)
    values["morphology_flags"] = int(values["morphology_flags"]) | flags.mask(*marks)
    return Central(values, found, index, light.auto_flux)


def _empty(*marks: Flag) -> Description:
    nothing: Description = {key: 0 if key in COUNTS else 0.0 for key in KEYS}
    return nothing | {"morphology_flags": flags.mask(*marks)}


def _described(
    found: Isophotes,
    index: int,
    *,
    around: Neighbourhood,
    light: Photometry,
    settings: DetectionSettings,
) -> Description:
    row = found.table[index]
    detected = int(found.flags(settings)[index])
    marks = [
        *([flags.BLENDED] if detected & MERGED else []),
        *([flags.TRUNCATED] if detected & TRUNCATED else []),
    ]
    a, b = float(row["a"]), float(row["b"])
    return {
        "x_coord": float(row["x"]) + 1,
        "y_coord": float(row["y"]) + 1,
        "major_axis": a,
        "minor_axis": b,
        "pos_angle": float(np.degrees(row["theta"])),
        "ellipticity": 1 - b / a,
        "isophotal_area": found.area_of(index, settings),
        "half_light_radius": light.half_light_radius,
        "petro_rad": light.petro_radius,
        "petro_rad_pixels": light.petro_radius * a,
        "peak_surface_brightness": float(surface_brightness(row["peak"], settings)),
        "central_image_pop_5px_rad": around.within_5,
        "central_image_pop_10px_rad": around.within_10,
        "central_image_pop_15px_rad": around.within_15,
        "total_galaxies": around.total,
        "morphology_flags": flags.mask(*marks),
    }
