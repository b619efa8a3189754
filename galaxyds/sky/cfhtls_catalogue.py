"""The photometric catalogue of the simulated CFHTLS, in the columns of VizieR II/317.

Column names are those of table ``II/317/cfhtls_w``; only those that galaxyds uses are there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from galaxyds.sky.cfhtls_coadd import band_at, noise_at
from galaxyds.sky.cfhtls_footprint import BANDS, CFHTLSFootprint, SkyTile
from galaxyds.sky.hashing import Floats, keyed, normal, uniform
from galaxyds.sky.photometry import Columns
from galaxyds.sky.surveys import CFHTLS
from galaxyds.sky.universe import STAR, Sources, Universe

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

LIMIT = 25.4
"""Faintest true i magnitude of a source with a row."""
NO_MAGNITUDE = 99.0
"""What stands for a magnitude and its error where the flux is not positive."""
SATURATED = 17.5
"""i magnitude above which stars are not saturated."""
_BLENDED, _NEIGHBOURS, _MASKED = 0.06, 0.10, 0.02


@dataclass(frozen=True, kw_only=True, slots=True)
class Measured:
    """Sources of one tile as they were measured; (n,) or (n, 5).

    Attributes
    ----------
    sources : Sources
    ra, dec : ndarray of float64
        Degrees.
    flux, error : ndarray of float64
        Counts, noise included.
    """

    sources: Sources
    ra: Floats
    dec: Floats
    flux: Floats
    error: Floats


def table(universe: Universe, footprint: CFHTLSFootprint) -> pa.Table:
    """Make the catalogue of a footprint: each source once, from the tile it lies deepest in.

    Parameters
    ----------
    universe : Universe
    footprint : CFHTLSFootprint

    Returns
    -------
    pyarrow.Table
        Columns as in :data:`galaxyds.archives.cfhtls_objects.PHOTOMETRY`, by right ascension
        within each tile.
    """
    import pyarrow as pa

    parts = [
        pa.table(_columns(number, tile, measure(universe, footprint, tile)))
        for number, tile in enumerate(footprint.tiles)
    ]
    return pa.concat_tables(parts).combine_chunks()


def deepest(footprint: CFHTLSFootprint, ra: Floats, dec: Floats) -> NDArray[np.intp]:
    """Index of the tile in which each position lies farthest from the edges."""
    depths = []
    for tile in footprint.tiles:
        x, y = tile.to_pixel(ra, dec)
        off = np.maximum(np.abs(x - tile.middle), np.abs(y - tile.middle))
        depths.append(np.where(tile.inside(ra, dec), tile.pixels / 2 - off, -np.inf))
    found: NDArray[np.intp] = np.argmax(np.stack(depths), axis=0)
    return found


def measure(universe: Universe, footprint: CFHTLSFootprint, tile: SkyTile) -> Measured:
    """Measure the sources that belong to a tile, ordered by right ascension.

    Parameters
    ----------
    universe : Universe
    footprint : CFHTLSFootprint
        Whose other tiles have sources of their own.
    tile : SkyTile

    Returns
    -------
    Measured
        True total fluxes with noise: that of the sky under the source, and of its photons.
    """
    survey = tile.survey()
    sources = universe.sources(tile.region(0), survey)
    mine = footprint.tiles.index(tile)
    kept = tile.inside(sources.ra, sources.dec)
    kept &= deepest(footprint, sources.ra, sources.dec) == mine
    kept &= sources.magnitude[:, BANDS.index("i")] < LIMIT
    sources = sources.take(np.flatnonzero(kept))
    sources = sources.take(np.argsort(sources.ra, kind="stable"))
    flux = survey.flux(sources.magnitude)
    error = _errors(sources, flux, tile)
    noise = np.stack([normal(sources.key, f"cfhtls flux {name}") for name in BANDS], axis=1)
    best = (flux / error).max(axis=1)
    sigma = np.hypot(0.03, 0.3 / np.maximum(best, 3.0)) / 3600
    north, east = (sigma * normal(sources.key, f"cfhtls {way}") for way in ("north", "east"))
    return Measured(
        sources=sources,
        ra=(sources.ra + east / np.cos(np.radians(sources.dec))) % 360.0,
        dec=sources.dec + north,
        flux=flux + error * noise,
        error=error,
    )


def _errors(sources: Sources, flux: Floats, tile: SkyTile) -> Floats:
    """Standard deviation of the flux in an aperture that fits each source, (n, 5)."""
    scale = CFHTLS.pixel_scale
    width = np.array([band_at(tile, name).psf_fwhm for name in BANDS]) / 2.3548 / scale
    light = (
        sources.bulge * sources.bulge_radius[:, None]
        + (1 - sources.bulge) * sources.disk_radius[:, None]
    ) / scale
    area = 4 * np.pi * (width**2 + sources.axis_ratio[:, None] * (light / 1.1774) ** 2)
    sky = np.array([noise_at(tile, name) for name in BANDS]) ** 2
    gain = np.array([band.gain for band in CFHTLS.bands])
    total: Floats = np.sqrt(flux / gain + area * sky + (0.01 * flux) ** 2)
    return total


def _columns(number: int, tile: SkyTile, found: Measured) -> Columns:
    count = len(found.sources)
    columns: Columns = {
        "CFHTLS": np.array([f"1{number % 4 + 1}{number:02d}_{n:06d}" for n in range(count)], str),
        "RAJ2000": np.round(found.ra, 7),
        "DEJ2000": np.round(found.dec, 7),
    }
    for k, name in enumerate(BANDS):
        seen = (found.flux[:, k] > 0) & (name in tile.bands)
        safe = np.where(seen, found.flux[:, k], 1.0)
        magnitude = CFHTLS.zero_point - 2.5 * np.log10(safe)
        error = 2.5 / np.log(10) * found.error[:, k] / safe
        for column, values in ((f"{name}magA", magnitude), (f"e_{name}magA", error)):
            columns[column] = np.where(seen, np.round(values, 4), NO_MAGNITUDE).astype(np.float32)
    columns["Sfl"], columns["Tfl"] = _flags(found.sources)
    columns["ifl"] = np.full(count, int(tile.new_i), np.int16)
    return columns


def _flags(sources: Sources) -> tuple[NDArray[np.int16], NDArray[np.int16]]:
    """Flags of SExtractor (1 neighbours, 2 blended, 4 saturated) and TERAPIX (1 star, masks)."""
    key = keyed(sources.key, 317)
    star = sources.kind == STAR
    full = star & (sources.magnitude[:, BANDS.index("i")] < SATURATED)
    extraction = 1 * (uniform(key, "neighbours") < _NEIGHBOURS)
    extraction += 2 * (uniform(key, "blended") < _BLENDED) + 4 * full
    own = 1 * star + 2 * full + 16 * (uniform(key, "masked") < _MASKED)
    return extraction.astype(np.int16), own.astype(np.int16)
