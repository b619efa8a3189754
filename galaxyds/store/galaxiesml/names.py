"""Names of the published layout: files, columns, counts; the error of a file with another one."""

from __future__ import annotations

from pathlib import Path

from galaxyds.errors import DataIntegrityError
from galaxyds.spec import SPLITS

BANDS = ("g", "r", "i", "z", "y")
ID = "object_id"
PUBLISHED_NAMES = {"redshift": "specz_redshift"}
"""Our name of a column and the published one, where they differ."""
PUBLISHED_COUNTS = {"train": 204_573, "validation": 40_914, "test": 40_914}
"""Rows per file (Do et al. 2024)."""
_WORDS = {"train": "training", "validation": "validation", "test": "testing"}
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


def file_names(bands: int, size: int) -> dict[str, str]:
    """Names of the three published files, by split.

    Parameters
    ----------
    bands, size : int
        Bands, and rows and columns, of a cutout.

    Returns
    -------
    dict of str to str
        ``{"train": "5x64x64_training_with_morphology.hdf5", ...}``.
    """
    return {s: f"{bands}x{size}x{size}_{_WORDS[s]}_with_morphology.hdf5" for s in SPLITS}


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
