"""The tables of the simulated PDR2 Wide: ``forced``, ``forced2`` and ``specz``."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from galaxyds.sky import hsc_spectroscopy
from galaxyds.sky.hashing import Floats, normal, uniform
from galaxyds.sky.hsc_conditions import WIDE, Layer
from galaxyds.sky.hsc_detections import Detections, detect
from galaxyds.sky.hsc_footprint import HSCFootprint, object_id, patch_number
from galaxyds.sky.photometry import Columns
from galaxyds.sky.surveys import HSC
from galaxyds.sky.universe import Universe

BANDS = tuple(band.name for band in HSC.bands)
NO_MAGNITUDE = 99.9
"""What stands for some magnitudes that were not measured; most are NaN."""
SATURATION = {"g": 17.8, "r": 17.8, "i": 18.0, "z": 17.2, "y": 16.8}
"""Magnitude of stars above which the centre is not saturated in the simulated coadds."""
_PIXEL_FLAGS = {
    "edge": 0.0006,
    "bad": 0.0008,
    "interpolatedcenter": 0.004,
    "saturatedcenter": 0.0003,
    "crcenter": 0.0015,
}
"""Pixel flags, and the share of objects that bear them in a band by chance."""
_FIT_FAILS, _CENTROID_FAILS, _UNMEASURED = 0.003, 0.002, 0.0006
_EDGE = 8.0  # pixels


def tables(universe: Universe, footprint: HSCFootprint, layer: Layer = WIDE) -> dict[str, pa.Table]:
    """Make the catalogue of a footprint.

    Parameters
    ----------
    universe : Universe
    footprint : HSCFootprint
    layer : Layer

    Returns
    -------
    dict of str to pyarrow.Table
        ``forced``, ``forced2`` and ``specz``, with the archive's column names.
    """
    found = detect(universe, footprint, layer)
    ids = object_id(found.tract, found.patch_x, found.patch_y, found.number)
    return {
        "forced": to_arrow(forced(found, ids)),
        "forced2": to_arrow(forced2(found, ids)),
        "specz": to_arrow(hsc_spectroscopy.columns(found, ids)),
    }


def forced(found: Detections, ids: NDArray[np.int64]) -> Columns:
    """Columns of ``forced``: place, extinction, magnitudes, flags.

    Parameters
    ----------
    found : Detections
    ids : ndarray of int64, (n,)

    Returns
    -------
    dict of str to ndarray
        One row per detection; magnitudes are not corrected for extinction.
    """
    patch = patch_number(found.patch_x, found.patch_y)
    table: Columns = {
        "object_id": ids,
        "isprimary": found.primary,
        "ra": found.ra,
        "dec": found.dec,
        "tract": found.tract,
        "patch": patch,
        "skymap_id": found.tract * 10_000 + patch,
        "coord": coord(found.ra, found.dec),
    }
    for k, band in enumerate(HSC.bands):
        table[f"a_{band.name}"] = found.sources.ebv * band.extinction
        magnitude, error = _magnitudes(found, k)
        table[f"{band.name}_cmodel_mag"] = magnitude
        table[f"{band.name}_cmodel_magsigma"] = error
        table.update(_flags(found, k, np.isnan(magnitude)))
    return table


def forced2(found: Detections, ids: NDArray[np.int64]) -> Columns:
    """Columns of ``forced2``: whether the centroid failed."""
    table: Columns = {"object_id": ids}
    for k, name in enumerate(BANDS):
        fails = uniform(found.key, f"centroid fails {name}") < _CENTROID_FAILS
        table[f"{name}_sdsscentroid_flag"] = fails | (found.flux[:, k] < found.error[:, k])
    return table


def coord(ra: Floats, dec: Floats) -> NDArray[Any]:
    """Positions as text: the unit vector, as the archive's search column prints it (unverified)."""
    lon, lat = np.radians(ra), np.radians(dec)
    parts = (np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat))
    triples = zip(*(part.tolist() for part in parts), strict=True)
    return np.array([f"({x:.12f}, {y:.12f}, {z:.12f})" for x, y, z in triples])


def _magnitudes(found: Detections, k: int) -> tuple[Floats, Floats]:
    """Measured magnitude and its error in band k; NaN where the flux is not positive."""
    name = BANDS[k]
    noise = normal(found.key, f"flux {name}") + 0.1 * normal(found.own, f"flux {name}")
    # A model never fits perfectly: one per cent that no photon noise explains.
    flux = (found.flux[:, k] + found.error[:, k] * noise) * np.exp(
        0.01 * normal(found.key, f"model {name}")
    )
    positive = flux > 0
    safe = np.where(positive, flux, 1.0)
    magnitude = np.where(positive, HSC.zero_point - 2.5 * np.log10(safe), np.nan)
    error = np.where(positive, 2.5 / np.log(10) * found.error[:, k] / safe, np.nan)
    lost = uniform(found.key, f"unmeasured {name}") < _UNMEASURED
    return np.where(lost, NO_MAGNITUDE, magnitude), np.where(lost, NO_MAGNITUDE, error)


def _flags(found: Detections, k: int, undetected: NDArray[np.bool_]) -> Columns:
    """Flags of one band, by the archive's names."""
    name = BANDS[k]
    drawn = {
        flag: uniform(found.key, f"{flag} {name}") < share for flag, share in _PIXEL_FLAGS.items()
    }
    drawn["edge"] |= found.edge < _EDGE
    compact = found.sources.disk_radius == 0
    drawn["saturatedcenter"] |= compact & (found.sources.magnitude[:, k] < SATURATION[name])
    # Not every saturated centre is interpolated over in the simulated coadds.
    repaired = uniform(found.key, f"repaired {name}") < 0.7
    drawn["interpolatedcenter"] |= drawn["saturatedcenter"] & repaired
    fails = uniform(found.key, f"fit fails {name}") < _FIT_FAILS
    # A fit without flux says so more often than not.
    fails |= undetected & (uniform(found.key, f"fit of nothing {name}") < 0.5)
    flags: Columns = {f"{name}_pixelflags_{flag}": value for flag, value in drawn.items()}
    flags[f"{name}_cmodel_flag"] = fails
    return flags


_DOUBLES = ("ra", "dec", "specz_ra", "specz_dec", "d_pos")
_LONGS = ("object_id", "skymap_id")


def to_arrow(table: Columns) -> pa.Table:
    """Give columns the archive's types: real, double precision, integer, bigint, boolean, text.

    Floats are rounded first (1e-10 degrees, 1e-7 otherwise), far above the last-bit differences of
    mathematical libraries.
    """
    arrays = {}
    for name, values in table.items():
        if values.dtype.kind == "f":
            kind = pa.float64() if name in _DOUBLES else pa.float32()
            arrays[name] = pa.array(np.round(values, 10 if name in _DOUBLES else 7), kind)
        elif values.dtype.kind == "i":
            arrays[name] = pa.array(values, pa.int64() if name in _LONGS else pa.int32())
        else:
            arrays[name] = pa.array(values)
    return pa.table(arrays)
