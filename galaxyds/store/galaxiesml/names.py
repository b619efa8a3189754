"""Columns of the published layout, and the error of a file with another one."""

from __future__ import annotations

from pathlib import Path

from galaxyds.errors import DataIntegrityError

BANDS = ("g", "r", "i", "z", "y")
ID = "object_id"
_STEMS = (
    "cmodel_mag",
    "cmodel_magsigma",
    "ellipticity",
    "half_light_radius",
    "isophotal_area",
    "major_axis",
    "minor_axis",
    "peak_surface_brightness",
    "petro_rad",
    "pos_angle",
    "sersic_index",
    *(f"central_image_pop_{radius}px_rad" for radius in (5, 10, 15)),
)
PUBLISHED_COLUMNS = (
    *("object_id", "ra", "dec", "coord", "skymap_id"),
    *(f"specz_{name}" for name in ("redshift", "redshift_err", "mag_i", "name", "ra", "dec")),
    "specz_flag_homogeneous",
    *(f"{band}_{stem}" for band in BANDS for stem in _STEMS),
    *("x_coord", "y_coord", "x_coord_x", "x_coord_y", "y_coord_x", "y_coord_y"),
)
"""Datasets of a published file beside ``image``."""


def refused(path: Path, cause: str) -> DataIntegrityError:
    """Say why a file is not taken for a published one.

    Parameters
    ----------
    path : pathlib.Path
        The file.
    cause : str
        What is wrong with it, on one line.

    Returns
    -------
    DataIntegrityError
        Ready to be raised.
    """
    return DataIntegrityError(
        f"{path} is not of the published layout: {cause}; check that it is a file of GalaxiesML, "
        "then fetch it again",
        file=str(path),
        expected="the published layout of GalaxiesML",
        got=cause,
    )
