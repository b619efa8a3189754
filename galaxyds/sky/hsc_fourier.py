"""Sources to pixels in Fourier space: every source on a square of its own, in all bands at once.

The disk and the point-spread function (PSF) have closed forms, the bulge is a table over one
radius, and many sources are transformed together.  A part of a sharp PSF lies beyond the highest
frequency of the pixels; sampling folds it back, and so do we for sources where it can be seen.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from galaxyds.sky.hashing import Floats
from galaxyds.sky.hsc_conditions import BETA
from galaxyds.sky.render import TRUNCATION, Image, galsim
from galaxyds.sky.surveys import SurveyBand
from galaxyds.sky.universe import Sources

Spectrum = NDArray[np.complex64]
Alias = tuple[int, int]

SIZES = (32, 48, 64, 96, 128, 192, 256, 384, 640)
"""Rows and columns of the squares; a source goes on the smallest that holds its light."""
CORE = 9.0
"""Least radius in pixels to which the light of a source is drawn."""

_DISK_SCALE = 1.6783469900166605  # half-light radius over scale length of an exponential disk
_STEPS = 64  # table entries per factor of two in 1 + (k r)^2
_OCTAVES = 24
_TOGETHER = 1 << 18  # pixels of one band that are transformed together
# Counts above which frequencies beyond those of the grid matter; galaxies have less of them.
_FOLDED_POINT, _FOLDED_GALAXY = 100.0, 1000.0
_PLAIN: tuple[Alias, ...] = ((0, 0),)
_ALIASES = (
    *_PLAIN,
    (1, 0),
    (0, 1),
    (1, 1),
)  # by how many turns frequencies are shifted along x and y


class Grid(NamedTuple):
    """Frequencies of a square of ``size`` pixels, or their aliases."""

    size: int
    alias: Alias
    x: Floats
    y: Floats


@dataclass(frozen=True, kw_only=True, slots=True)
class Placed:
    """Sources on a grid of pixels.

    Attributes
    ----------
    sources : Sources
    x, y : ndarray of float64, (n,)
        0-based pixel positions.
    flux : ndarray of float64, (n, bands)
        Counts, in the order of the sources' bands.
    reach : ndarray of float64, (n,)
        Radius in pixels beyond which the light is far below the noise.
    """

    sources: Sources
    x: Floats
    y: Floats
    flux: Floats
    reach: Floats


def reach(sources: Sources, flux: Floats, *, scale: float, faintest: float) -> Floats:
    """Find the radius in pixels beyond which each source is fainter than a surface brightness.

    Parameters
    ----------
    sources : Sources
    flux : ndarray of float64, (n,)
        Brightest band, in the pixel unit.
    scale : float
        Arcsec per pixel.
    faintest : float
        Surface brightness in the unit per pixel that may be left out.

    Returns
    -------
    ndarray of float64, (n,)
        From the profiles: Moffat (2.5, core of 3 pixels), exponential, and de Vaucouleurs (Ciotti &
        Bertin 1999), the last no further than where it is truncated.
    """
    core = 3.0
    point = core * (flux * 1.5 / (np.pi * core**2 * faintest)) ** 0.2
    length = np.maximum(sources.disk_radius / scale / _DISK_SCALE, 1e-3)
    central = flux / (2 * np.pi * length**2 * np.maximum(sources.axis_ratio, 0.1))
    disk = length * np.log(np.maximum(central / faintest, 1.0))
    half = np.maximum(sources.bulge_radius / scale, 1e-3)
    effective = flux * sources.bulge.max(axis=1) / (22.67 * half**2 * sources.bulge_ratio)
    fall = 1 + np.log(np.maximum(effective / faintest, 1e-3)) / 7.669
    bulge = half * np.clip(fall, 0.0, TRUNCATION**0.25) ** 4
    extended = sources.disk_radius > 0
    farthest: Floats = np.maximum(
        np.maximum(point, CORE), np.where(extended, np.maximum(disk, bulge) + core, 0.0)
    )
    return farthest


@lru_cache(maxsize=1)
def _bulge_table() -> tuple[Image, Image]:
    """Transform of a unit bulge over log2(1 + (k r)^2), and its differences."""
    module = galsim()
    fine = module.GSParams(maxk_threshold=1e-4, kvalue_accuracy=1e-6)
    profile = module.DeVaucouleurs(half_light_radius=1.0, trunc=TRUNCATION, gsparams=fine)
    wave = np.sqrt(2.0 ** (np.arange(_OCTAVES * _STEPS + 1) / _STEPS) - 1)
    values = np.array([profile.kValue(float(k), 0.0).real for k in wave], np.float32)
    return values, np.append(np.diff(values), np.float32(0))


def disk_transform(squared: Image) -> Image:
    """Transform of a unit exponential disk of half-light radius 1 over the squared frequency."""
    root = 1 + squared * np.float32(_DISK_SCALE**-2)
    transform: Image = 1 / (root * np.sqrt(root))
    return transform


def bulge_transform(squared: Image) -> Image:
    """Transform of a unit, truncated de Vaucouleurs bulge of half-light radius 1."""
    values, steps = _bulge_table()
    place = np.log2(1 + squared) * np.float32(_STEPS)
    index = np.minimum(place.astype(np.int32), len(values) - 1)
    mixed: Image = values[index] + (place - index) * steps[index]
    return mixed


def _frequencies(size: int, alias: Alias) -> tuple[Floats, Floats]:
    """Angular frequencies per pixel along x, (size // 2 + 1,), and y, (size,), or their aliases."""
    along = np.arange(size // 2 + 1, dtype=np.float64) / size - alias[0]
    across = np.fft.fftfreq(size).astype(np.float64)
    across -= alias[1] * np.where(across < 0, -1.0, 1.0)
    return 2 * np.pi * along, 2 * np.pi * across


def _squared(sources: Sources, radius: Floats, ratio: Floats, *, grid: Grid) -> Image:
    """Squared frequencies in units of each galaxy's sheared radius (pixels), (n, size, half)."""
    kx, ky = (axis.astype(np.float32) for axis in (grid.x, grid.y))
    # Angles east of north become angles from the column axis: north up, east left.
    angle = sources.angle + np.pi / 2
    cosine, sine = (np.asarray(f(angle) * radius, np.float32) for f in (np.cos, np.sin))
    major = kx * cosine[:, None, None] + ky[:, None] * sine[:, None, None]
    minor = ky[:, None] * cosine[:, None, None] - kx * sine[:, None, None]
    minor *= ratio.astype(np.float32)[:, None, None]
    total: Image = major * major + minor * minor
    return total


def _shift(x: Floats, y: Floats, *, grid: Grid) -> Spectrum:
    """Transforms of unit points at pixel positions, (n, size, half)."""
    along = np.exp(-1j * x[:, None] * grid.x).astype(np.complex64)
    across = np.exp(-1j * y[:, None] * grid.y).astype(np.complex64)
    shifted: Spectrum = across[:, :, None] * along[:, None, :]
    return shifted


@lru_cache(maxsize=240)
def blur(width: float, scale: float, *, size: int, alias: Alias = (0, 0)) -> Image:
    """Transform of the PSF with the pixel's response.

    Parameters
    ----------
    width : float
        Full width at half maximum, arcsec.
    scale : float
        Arcsec per pixel.
    size : int
        Rows and columns of the grid.
    alias : tuple of int
        Turns by which the frequencies are shifted along x and y.

    Returns
    -------
    ndarray of float32, (size, size // 2 + 1)
        (1 + k r) exp(-k r), the Hankel transform of a Moffat profile of exponent 2.5 and radius r,
        times sinc of the pixel along both axes.
    """
    kx, ky = _frequencies(size, alias)
    radius = width / scale / (2 * np.sqrt(2 ** (1 / BETA) - 1))
    way = np.hypot(kx, ky[:, None]) * radius
    pixel = np.sinc(kx / (2 * np.pi)) * np.sinc(ky / (2 * np.pi))[:, None]
    transform: Image = ((1 + way) * np.exp(-way) * pixel).astype(np.float32)
    return transform


def draw(
    placed: Placed,
    bands: list[SurveyBand],
    columns: list[int],
    *,
    scale: float,
    shape: tuple[int, int],
    folded: tuple[float, float] = (_FOLDED_POINT, _FOLDED_GALAXY),
) -> Image:
    """Draw sources in several bands, without noise.

    Parameters
    ----------
    placed : Placed
    bands : list of SurveyBand
        With the width of the PSF at this place; its exponent is :data:`BETA`.
    columns : list of int
        Which columns of ``placed.flux`` they are.
    scale : float
        Arcsec per pixel.
    shape : tuple of int
        Rows and columns.
    folded : tuple of float
        Counts of point sources and of galaxies above which frequencies beyond those of the grid
        matter.

    Returns
    -------
    ndarray of float32, (bands, rows, columns)
        Counts, not below 0.  What a source adds to a pixel does not depend on the shape.
    """
    image = np.zeros((len(bands), *shape), np.float32)
    point, galaxy = folded
    bright = placed.flux.max(axis=1) > np.where(placed.sources.disk_radius > 0, galaxy, point)
    for size, chosen in groups(placed.reach):
        for rows, aliases in _batches(chosen, bright, size):
            pieces = _squares(
                placed, rows, (bands, columns), scale=scale, grids=_grids(size, aliases)
            )
            for piece, row in zip(pieces, rows.tolist(), strict=True):
                left = int(np.floor(placed.x[row] + 0.5)) - size // 2
                low = int(np.floor(placed.y[row] + 0.5)) - size // 2
                _paste(image, piece, left, low)
    # Rounding leaves a hair below zero far from the sources.
    return np.maximum(image, 0.0)


def held(size: int) -> float:
    """Radius of light that a square holds around its source, in pixels."""
    return size / 2 - 1


def groups(reach: Floats) -> list[tuple[int, NDArray[np.intp]]]:
    """Sizes of squares, and the sources that go on each."""
    number = np.minimum(np.searchsorted([held(size) for size in SIZES], reach), len(SIZES) - 1)
    found = [(size, np.flatnonzero(number == k)) for k, size in enumerate(SIZES)]
    return [(size, chosen) for size, chosen in found if chosen.size]


def _batches(
    chosen: NDArray[np.intp], folded: NDArray[np.bool_], size: int
) -> Iterator[tuple[NDArray[np.intp], tuple[Alias, ...]]]:
    """Rows that are transformed together, and the aliases that count for them."""
    together = max(1, _TOGETHER // size**2)
    for mask, aliases in ((~folded, _PLAIN), (folded, _ALIASES)):
        rows = chosen[mask[chosen]]
        for start in range(0, rows.size, together):
            yield rows[start : start + together], aliases


def _grids(size: int, aliases: tuple[Alias, ...]) -> list[Grid]:
    return [Grid(size, alias, *_frequencies(size, alias)) for alias in aliases]


def _squares(
    placed: Placed,
    rows: NDArray[np.intp],
    seen: tuple[list[SurveyBand], list[int]],
    *,
    scale: float,
    grids: list[Grid],
) -> Image:
    """Squares of sources, (n, bands, size, size), each around the pixel nearest to its source."""
    bands, columns = seen
    size = grids[0].size
    few = placed.sources.take(rows)
    x, y = (at[rows] - np.floor(at[rows] + 0.5) + size // 2 for at in (placed.x, placed.y))
    flux = placed.flux[rows][:, columns].astype(np.float32)
    share = few.bulge[:, columns].astype(np.float32)
    spectra = np.zeros((len(bands), rows.size, size, size // 2 + 1), np.complex64)
    for grid in grids:
        place = _shift(x, y, grid=grid)
        disk = disk_transform(_squared(few, few.disk_radius / scale, few.axis_ratio, grid=grid))
        bulge = bulge_transform(_squared(few, few.bulge_radius / scale, few.bulge_ratio, grid=grid))
        for k, band in enumerate(bands):
            light = disk * (flux[:, k] * (1 - share[:, k]))[:, None, None]
            light += bulge * (flux[:, k] * share[:, k])[:, None, None]
            light *= blur(band.psf_fwhm, scale, size=size, alias=grid.alias)
            spectra[k] += light * place
    squares: Image = np.fft.irfft2(spectra, s=(size, size)).astype(np.float32, copy=False)
    return squares.swapaxes(0, 1)


def _paste(image: Image, piece: Image, column: int, row: int) -> None:
    """Add a piece (bands, rows, columns) in place, its first pixel at (row, column)."""
    left, low = max(column, 0), max(row, 0)
    right = min(column + piece.shape[2], image.shape[2])
    high = min(row + piece.shape[1], image.shape[1])
    if left < right and low < high:
        image[:, low:high, left:right] += piece[
            :, low - row : high - row, left - column : right - column
        ]
