"""What the coadds of HSC show: one row per source and patch that sees it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from galaxyds.sky.hashing import Floats, Keys, keyed, normal
from galaxyds.sky.hsc_conditions import WIDE, Layer, band_at, noise_at
from galaxyds.sky.hsc_footprint import BORDER, GRID, INNER, HSCFootprint, Tract
from galaxyds.sky.rows import join_rows, take_rows
from galaxyds.sky.surveys import HSC
from galaxyds.sky.universe import Sources, Universe

Integers = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True, slots=True)
class Detections:
    """Sources seen in patches, ordered by tract, patch, then right ascension.

    Attributes
    ----------
    sources : Sources
        One row per detection; a source in an overlap appears in every patch that sees it.
    key : ndarray of uint64, (n,)
        Of source and tract: patches of a tract share the exposures, tracts do not.
    own : ndarray of uint64, (n,)
        Of source, tract and patch.
    tract, patch_x, patch_y, number : ndarray of int64, (n,)
        The patch, and the object's number in it, from 1.
    ra, dec : ndarray of float64, (n,)
        Measured position, degrees.
    edge : ndarray of float64, (n,)
        Pixels to the nearest edge of the patch.
    primary : ndarray of bool, (n,)
        Whether the source is in the inner area of its patch and of its tract.
    flux, error : ndarray of float64, (n, 5)
        Expected total flux and its noise, counts.
    """

    sources: Sources
    key: Keys
    own: Keys
    tract: Integers
    patch_x: Integers
    patch_y: Integers
    number: Integers
    ra: Floats
    dec: Floats
    edge: Floats
    primary: NDArray[np.bool_]
    flux: Floats
    error: Floats

    def __len__(self) -> int:
        return len(self.sources)


def detect(universe: Universe, footprint: HSCFootprint, layer: Layer = WIDE) -> Detections:
    """Find all detections of a footprint, down to the limit of a layer.

    Parameters
    ----------
    universe : Universe
    footprint : HSCFootprint
    layer : Layer

    Returns
    -------
    Detections
    """
    parts: list[Detections] = []
    for tract in sorted(footprint.tracts, key=lambda tract: tract.number):
        sources = universe.sources(tract.region(BORDER), replace(HSC, depth=layer.depth))
        sources = sources.take(sources.magnitude[:, 2] < layer.limit)
        sources = sources.take(np.argsort(sources.ra, kind="stable"))
        x, y = tract.to_pixel(sources.ra, sources.dec)
        parts += [
            _in_patch(footprint, tract, p, seen=(sources, x, y), layer=layer)
            for p in tract.patches()
        ]
    return join_rows(parts)


def _in_patch(
    footprint: HSCFootprint,
    tract: Tract,
    patch: tuple[int, int],
    *,
    seen: tuple[Sources, Floats, Floats],
    layer: Layer,
) -> Detections:
    sources, x, y = seen
    inside, edge = np.ones(x.size, bool), np.full(x.size, np.inf)
    inner = np.ones(x.size, bool)
    for pixel, index in ((x, patch[0]), (y, patch[1])):
        low, high = index * INNER - 0.5, (index + 1) * INNER - 0.5
        # Patches at the rim of a tract have no border there.
        first = max(low - BORDER, -0.5)
        last = min(high + BORDER, GRID * INNER - 0.5)
        inside &= (pixel >= first) & (pixel < last)
        inner &= (pixel >= low) & (pixel < high)
        edge = np.minimum(edge, np.minimum(pixel - first, last - pixel))
    rows = np.flatnonzero(inside)
    mine = footprint.owner(sources.ra, sources.dec) == footprint.tracts.index(tract)
    return _measure(
        tract, patch, (take_rows(sources, rows), edge[rows], (inner & mine)[rows]), layer
    )


def _measure(
    tract: Tract,
    patch: tuple[int, int],
    seen: tuple[Sources, Floats, NDArray[np.bool_]],
    layer: Layer,
) -> Detections:
    """Fluxes with their noise, and measured places."""
    sources, edge, primary = seen
    size = len(sources)
    bands = [band_at(tract.number, patch, band.name) for band in HSC.bands]
    noise = np.array(
        [noise_at(tract.number, patch, band.name, deeper=layer.deeper) for band in HSC.bands]
    )
    width = np.array([band.psf_fwhm for band in bands]) / 2.3548 / HSC.pixel_scale
    half_light = (
        sources.bulge * sources.bulge_radius[:, None]
        + (1 - sources.bulge) * sources.disk_radius[:, None]
    ) / HSC.pixel_scale
    spread = sources.axis_ratio[:, None] * (half_light / 1.1774) ** 2
    flux = HSC.flux(sources.magnitude)
    gain = np.array([band.gain for band in bands])
    error = np.sqrt(flux / gain + 4 * np.pi * (width**2 + spread) * noise**2)
    key = keyed(sources.key, tract.number)
    own = keyed(key, patch[0], patch[1])
    best = (flux / error).max(axis=1)
    sigma = np.hypot(0.005, width[2] * HSC.pixel_scale / np.maximum(best, 3.0)) / 3600
    north = sigma * (normal(key, "north") + 0.1 * normal(own, "north"))
    east = sigma * (normal(key, "east") + 0.1 * normal(own, "east"))
    return Detections(
        sources=sources,
        key=key,
        own=own,
        tract=np.full(size, tract.number),
        patch_x=np.full(size, patch[0]),
        patch_y=np.full(size, patch[1]),
        number=np.arange(size) + 1,
        ra=(sources.ra + east / np.cos(np.radians(sources.dec))) % 360.0,
        dec=sources.dec + north,
        edge=edge,
        primary=primary,
        flux=flux,
        error=error,
    )
