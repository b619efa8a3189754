"""What SDSS photometry sees: one row per source and field, and the arithmetic behind it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from galaxyds.sky.cells import Region
from galaxyds.sky.footprint import (
    ADVANCE,
    CENTER,
    COLUMNS,
    DARK_VARIANCE,
    DEGREES,
    GAIN,
    ROWS,
    Footprint,
    Run,
    seeing,
)
from galaxyds.sky.hashing import Floats, Keys, keyed
from galaxyds.sky.rows import join_rows, take_rows
from galaxyds.sky.surveys import SDSS
from galaxyds.sky.universe import Sources, Universe

Integers = NDArray[np.int64]

OVERLAP = (ROWS - ADVANCE) // 2
"""Rows at either end of a field that its neighbour counts as its own."""
DETECTION = 5.0
"""Least signal-to-noise of the PSF flux in r or i."""
SOFTENING = np.array([1.4e-10, 0.9e-10, 1.2e-10, 1.8e-10, 7.4e-10])
"""Softening of the asinh magnitudes in ugriz, maggies (Lupton, Gunn & Szalay 1999)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Detections:
    """Sources seen in fields, before measurement noise; rows in the order of the fields.

    Attributes
    ----------
    sources : Sources
        One row per detection; a source in an overlap appears in every field that sees it.
    key : ndarray of uint64, (n,)
        Of source and field together: the measurement.
    run, camcol, field, number : ndarray of int64, (n,)
        The field, and the object's number in it, from 1.
    x, y : ndarray of float64, (n,)
        0-based position in the r frame.
    primary : ndarray of bool, (n,)
        Whether this is the best detection of the source.
    width : ndarray of float64, (n, 5)
        Gaussian width of the PSF in pixels.
    psf_flux, psf_error, model_flux, model_error : ndarray of float64, (n, 5)
        Expected PSF and model fluxes and their noise, nanomaggies.
    """

    sources: Sources
    key: Keys
    run: Integers
    camcol: Integers
    field: Integers
    number: Integers
    x: Floats
    y: Floats
    primary: NDArray[np.bool_]
    width: Floats
    psf_flux: Floats
    psf_error: Floats
    model_flux: Floats
    model_error: Floats

    def __len__(self) -> int:
        return len(self.sources)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Places:
    """Sources in fields, before detection."""

    row: NDArray[np.intp]
    run: Integers
    camcol: Integers
    field: Integers
    x: Floats
    y: Floats


def detect(universe: Universe, footprint: Footprint) -> Detections:
    """Find all detections of a footprint.

    Parameters
    ----------
    universe : Universe
    footprint : Footprint

    Returns
    -------
    Detections
        Ordered by run, camera column, field, then right ascension.
    """
    return join_rows(
        [_column(universe, footprint, run, c) for run in footprint.runs for c in footprint.camcols]
    )


def _column(universe: Universe, footprint: Footprint, run: Run, camcol: int) -> Detections:
    """Detections of one camera column."""
    dec, step = run.dec_of(camcol), run.ra_step(camcol)
    half = COLUMNS / 2 * DEGREES + 0.002
    region = Region(
        ra_min=run.ra - 0.002,
        ra_max=run.ra + (run.last - run.first + 1) * step + 0.02,
        dec_min=dec - half,
        dec_max=dec + half,
    )
    sources = universe.sources(region, SDSS)
    # Sources far too faint for any band are dropped before the arithmetic.
    sources = sources.take(sources.magnitude[:, 1:4].min(axis=1) < 23.3)
    sources = sources.take(np.argsort(sources.ra, kind="stable"))
    places = _fields(footprint, run, camcol, sources)
    return _measure(footprint, run, sources.take(places.row), places)


def _fields(footprint: Footprint, run: Run, camcol: int, sources: Sources) -> _Places:
    """Find the fields that see each source."""
    parts = []
    step = run.ra_step(camcol)
    for field in range(run.first, run.last + 1):
        start = run.ra + (field - run.first) * step
        low, high = np.searchsorted(sources.ra, (start - 0.002, start + ROWS * DEGREES + 0.002))
        wcs = footprint.wcs((run.number, camcol, field))
        x, y = wcs.to_pixel(sources.ra[low:high], sources.dec[low:high])
        inside = (x >= -0.5) & (x < COLUMNS - 0.5) & (y >= -0.5) & (y < ROWS - 0.5)
        parts.append(
            (np.flatnonzero(inside) + low, np.full(inside.sum(), field), x[inside], y[inside])
        )
    row, number, x, y = (np.concatenate(values) for values in zip(*parts, strict=True))
    return _Places(
        row=row,
        run=np.full(row.size, run.number),
        camcol=np.full(row.size, camcol),
        field=number,
        x=x,
        y=y,
    )


def _measure(footprint: Footprint, run: Run, sources: Sources, places: _Places) -> Detections:
    """Fluxes with their noise, and the detection itself."""
    tiles = np.stack([places.run, places.camcol, places.field], axis=1)
    fwhm = np.array([band.psf_fwhm for band in SDSS.bands]) * seeing(tiles)[:, None]
    width = fwhm / 2.3548 / SDSS.pixel_scale
    half_light = (
        sources.bulge * sources.bulge_radius[:, None]
        + (1 - sources.bulge) * sources.disk_radius[:, None]
    ) / SDSS.pixel_scale
    half_light = half_light * np.sqrt(sources.axis_ratio)[:, None]
    spread = (half_light / 1.1774) ** 2
    flux = SDSS.flux(sources.magnitude)
    psf_flux = flux * 2 * width**2 / (2 * width**2 + spread)
    psf_error = _error(psf_flux, 4 * np.pi * width**2, places.camcol)
    seen = (psf_flux / psf_error)[:, 2:4].max(axis=1) > DETECTION
    everything = Detections(
        sources=sources,
        key=keyed(sources.key, places.run, places.camcol, places.field),
        run=places.run,
        camcol=places.camcol,
        field=places.field,
        number=np.zeros(len(sources), np.int64),
        x=places.x,
        y=places.y,
        primary=_primary(footprint, run, sources, places),
        width=width,
        psf_flux=psf_flux,
        psf_error=psf_error,
        model_flux=flux,
        model_error=_error(flux, 4 * np.pi * (width**2 + spread), places.camcol),
    )
    kept = take_rows(everything, seen)
    first = np.searchsorted(kept.field, kept.field, side="left")
    return replace(kept, number=np.arange(len(kept)) - first + 1)


def _error(flux: Floats, area: Floats, camcol: Integers) -> Floats:
    """Noise of a flux measured over an effective area in pixels, nanomaggies."""
    unit = np.array([band.unit_per_count for band in SDSS.bands])
    sky = np.array([band.sky for band in SDSS.bands])
    gain, dark = GAIN[camcol - 1], DARK_VARIANCE[camcol - 1]
    counts = flux / unit / gain + area * (sky / gain + dark)
    error: Floats = np.sqrt(counts) * unit
    return error


def _primary(
    footprint: Footprint, run: Run, sources: Sources, places: _Places
) -> NDArray[np.bool_]:
    """Whether a detection lies in its field's own rows, and in no earlier run."""
    low = np.where(places.field == run.first, -1.0, OVERLAP - 0.5)
    high = np.where(places.field == run.last, ROWS, ROWS - OVERLAP - 0.5)
    own = (places.y >= low) & (places.y < high)
    for earlier in footprint.runs[: footprint.runs.index(run)]:
        own &= ~_within(earlier, footprint, sources)
    return own


def _within(run: Run, footprint: Footprint, sources: Sources) -> NDArray[np.bool_]:
    inside = np.zeros(len(sources), bool)
    for camcol in footprint.camcols:
        step = run.ra_step(camcol)
        row = (sources.ra - run.ra) / step * ADVANCE
        column = (sources.dec - run.dec_of(camcol)) / DEGREES + CENTER[0]
        along = (row >= -0.5) & (row < (run.last - run.first) * ADVANCE + ROWS - 0.5)
        inside |= along & (column >= -0.5) & (column < COLUMNS - 0.5)
    return inside


def asinh_magnitude(flux: Floats, band: NDArray[np.intp] | slice = slice(None)) -> Floats:
    """Asinh magnitudes of fluxes in nanomaggies (Lupton, Gunn & Szalay 1999, equation 3).

    Parameters
    ----------
    flux : ndarray of float64, (..., bands)
    band : slice or ndarray of intp
        Which of ugriz the last axis holds.

    Returns
    -------
    ndarray of float64
    """
    soft = SOFTENING[band]
    magnitude: Floats = -2.5 / np.log(10) * (np.arcsinh(flux * 1e-9 / (2 * soft)) + np.log(soft))
    return magnitude


def asinh_error(flux: Floats, error: Floats) -> Floats:
    """Errors of asinh magnitudes of ugriz fluxes in nanomaggies."""
    result: Floats = (
        2.5 / np.log(10) * error * 1e-9 / np.sqrt((flux * 1e-9) ** 2 + (2 * SOFTENING) ** 2)
    )
    return result
