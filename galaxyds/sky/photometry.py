"""The table ``PhotoObjAll`` of the simulated sky: measurements, flags and what goes wrong."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from galaxyds.sky.detections import Detections, asinh_error, asinh_magnitude
from galaxyds.sky.footprint import COLUMNS, ROWS
from galaxyds.sky.hashing import Floats, normal, uniform
from galaxyds.sky.rows import take_rows
from galaxyds.sky.surveys import SDSS

SENTINEL = -9999.0
SKY_VERSION, RERUN = 2, 301
# Bits of PhotoFlags in the archive's data model.
EDGE, NOPETRO, INTERP, SATURATED, BINNED1 = 0x4, 0x100, 0x20000, 0x40000, 0x10000000
PSF_FLUX_INTERP = 1 << 47

Columns = dict[str, NDArray[Any]]


def object_id(
    run: NDArray[np.int64],
    camcol: NDArray[np.int64],
    field: NDArray[np.int64],
    number: NDArray[np.int64],
) -> NDArray[np.int64]:
    """Pack object ids as the archive does.

    Parameters
    ----------
    run, camcol, field, number : ndarray of int64
        Imaging run, camera column, field, and number of the object in the field.

    Returns
    -------
    ndarray of int64
        skyVersion << 59 | rerun << 48 | run << 32 | camcol << 29 | field << 16 | number.
    """
    head = np.int64((SKY_VERSION << 59) | (RERUN << 48))
    return head | (run << 32) | (camcol << 29) | (field << 16) | number


def _noisy(detections: Detections, what: str, flux: Floats, error: Floats) -> Floats:
    columns = [normal(detections.key, f"{what} {band.name}") for band in SDSS.bands]
    noisy: Floats = flux + error * np.stack(columns, axis=1)
    return noisy


def _magnitudes(detections: Detections) -> Columns:
    """PSF, model and Petrosian magnitudes, extinction and dereddened magnitudes."""
    source = detections.sources
    shared = _noisy(detections, "flux", np.zeros_like(detections.psf_flux), detections.psf_error)
    psf = detections.psf_flux + shared
    extra = np.sqrt(np.maximum(detections.model_error**2 - detections.psf_error**2, 0.0))
    extra = np.hypot(extra, 0.25 * detections.psf_error)
    # A model fit sees the same photons as the PSF fit, and more of the sky.
    model = _noisy(detections, "model", detections.model_flux + shared, extra)
    extinction = source.ebv[:, None] * np.array([band.extinction for band in SDSS.bands])
    columns: Columns = {}
    lost = np.stack(
        [uniform(detections.key, f"no psf {b.name}") < 2.5e-3 for b in SDSS.bands], axis=1
    )
    psf_mag = np.where(lost, SENTINEL, asinh_magnitude(psf))
    psf_err = np.where(lost, SENTINEL, asinh_error(psf, detections.psf_error))
    model_mag = asinh_magnitude(model)
    model_err = asinh_error(model, np.hypot(detections.psf_error, extra))
    for k, band in enumerate(SDSS.bands):
        columns[f"psfMag_{band.name}"] = psf_mag[:, k]
        columns[f"psfMagErr_{band.name}"] = psf_err[:, k]
        columns[f"modelMag_{band.name}"] = model_mag[:, k]
        columns[f"modelMagErr_{band.name}"] = model_err[:, k]
        columns[f"extinction_{band.name}"] = extinction[:, k]
        columns[f"dered_{band.name}"] = model_mag[:, k] - extinction[:, k]
    point = psf_mag[:, 2] - model_mag[:, 2] < 0.145
    columns["type"] = np.where(point | (psf_mag[:, 2] == SENTINEL), 6, 3)
    return columns


def _petrosian(detections: Detections) -> Columns:
    """Petrosian radius, half-light radius and magnitude in r."""
    source, key = detections.sources, detections.key
    fwhm = detections.width[:, 2] * 2.3548 * SDSS.pixel_scale
    share = source.bulge[:, 2]
    half_light = share * source.bulge_radius + (1 - share) * source.disk_radius
    half_light = half_light * np.sqrt(source.axis_ratio)
    signal = detections.model_flux[:, 2] / detections.model_error[:, 2]
    scatter = np.minimum(0.03 + 1.2 / signal, 0.4)
    radius = np.hypot(1.0 * fwhm, 2.2 * half_light) * np.exp(scatter * normal(key, "petrosian"))
    # Faint neighbours and noise in the wings keep some profiles from falling: radii far too large.
    runaway = uniform(key, "runaway") < 0.01 + 0.10 * np.exp(-signal / 8)
    radius = np.where(runaway, radius * (2.5 + 4 * uniform(key, "runaway size")), radius)
    failed = uniform(key, "no petrosian") < 0.003 + 0.15 * np.exp(-signal / 6)
    half = np.hypot(0.56 * fwhm, 0.9 * half_light) * np.exp(0.5 * scatter * normal(key, "half"))
    flux = detections.model_flux[:, 2] * np.exp(0.02 * normal(key, "petrosian flux"))
    flux = flux + 1.3 * detections.model_error[:, 2] * normal(key, "petrosian noise")
    magnitude = asinh_magnitude(flux[:, None], slice(2, 3))[:, 0]
    return {
        "petroRad_r": np.where(failed, SENTINEL, radius),
        "petroR50_r": np.where(failed, SENTINEL, half),
        "petroMag_r": np.where(failed, SENTINEL, magnitude),
    }


def _flags(detections: Detections, failed: NDArray[np.bool_]) -> Columns:
    """Bits of ``flags``, and ``clean``, which is 0 where photometry cannot be trusted."""
    x, y, key = detections.x, detections.y, detections.key
    edge = (x < 8) | (x > COLUMNS - 9) | (y < 8) | (y > ROWS - 9)
    saturated = detections.sources.magnitude[:, 1:4].min(axis=1) < 14.5
    cosmic = uniform(key, "interpolated")
    bits = np.full(x.size, BINNED1, np.int64)
    bits |= np.where(edge, EDGE, 0)
    bits |= np.where(saturated, SATURATED, 0)
    bits |= np.where(cosmic < 0.12, INTERP, 0)
    bits |= np.where(cosmic < 0.035, PSF_FLUX_INTERP, 0)
    bits |= np.where(failed, NOPETRO, 0)
    unclean = edge | saturated | (cosmic < 0.035)
    mask = uniform(key, "mask") < 0.01
    return {
        "flags": bits,
        "clean": np.where(unclean, 0, 1),
        "insideMask": np.where(mask, 2, 0),
        "nChild": np.zeros(x.size, np.int64),
    }


def _positions(detections: Detections) -> Columns:
    """Measured place on the sky and in the r frame (the centre of the first pixel is 0.5)."""
    source, key = detections.sources, detections.key
    signal = (detections.psf_flux / detections.psf_error)[:, 2]
    sigma = np.hypot(0.02, detections.width[:, 2] * SDSS.pixel_scale / np.maximum(signal, 3.0))
    north, east = sigma * normal(key, "north"), sigma * normal(key, "east")
    return {
        "ra": source.ra + east / 3600 / np.cos(np.radians(source.dec)),
        "dec": source.dec + north / 3600,
        # Declination grows along the columns of a frame, right ascension along the rows.
        "colc_r": detections.x + north / SDSS.pixel_scale + 0.5,
        "rowc_r": detections.y + east / SDSS.pixel_scale + 0.5,
    }


def columns(detections: Detections) -> Columns:
    """All columns of ``PhotoObjAll`` that the simulated archive holds.

    Parameters
    ----------
    detections : Detections

    Returns
    -------
    dict of str to ndarray
        By the archive's names, one row per detection, every value finite, -9999 where missing.
    """
    d = detections
    table: Columns = {
        "objID": object_id(d.run, d.camcol, d.field, d.number),
        "skyVersion": np.full(len(d), SKY_VERSION),
        "run": d.run,
        "rerun": np.full(len(d), RERUN),
        "camcol": d.camcol,
        "field": d.field,
        "obj": d.number,
        "mode": np.where(d.primary, 1, 2),
        **_positions(d),
        **_magnitudes(d),
        **_petrosian(d),
    }
    table.update(_flags(d, table["petroRad_r"] == SENTINEL))
    return table


def table(detections: Detections) -> pa.Table:
    """Make ``PhotoObjAll``, a block of rows at a time to bound the memory.

    Parameters
    ----------
    detections : Detections

    Returns
    -------
    pyarrow.Table
        One chunk, columns as :func:`columns`, types as :func:`to_arrow`.
    """
    rows = np.arange(len(detections))
    starts = range(0, max(rows.size, 1), _BLOCK)
    blocks = [to_arrow(columns(take_rows(detections, rows[s : s + _BLOCK]))) for s in starts]
    return pa.concat_tables(blocks).combine_chunks()


_BLOCK = 1 << 16
_DOUBLES = ("ra", "dec", "l", "b", "raMin", "raMax", "decMin", "decMax")
_DIGITS = {**dict.fromkeys(_DOUBLES, 9), "colc_r": 4, "rowc_r": 4, "zErr": 8}
_LONGS = ("objID", "bestObjID", "fieldID", "flags")


def to_arrow(table: Columns) -> pa.Table:
    """Give columns the archive's types: real, float, int, bigint.

    Floats are rounded first (1e-9 degrees, 1e-4 pixels, 1e-8 in zErr, 1e-5 otherwise), far above
    the last-bit differences of mathematical libraries, so that a table is the same everywhere.
    """
    arrays = {}
    for name, values in table.items():
        if values.dtype.kind == "f":
            digits = _DIGITS.get(name, 5)
            kind = pa.float64() if name in _DOUBLES else pa.float32()
            arrays[name] = pa.array(np.round(values, digits), kind)
        elif values.dtype.kind == "i":
            arrays[name] = pa.array(values, pa.int64() if name in _LONGS else pa.int32())
        else:
            arrays[name] = pa.array(values)
    return pa.table(arrays)
