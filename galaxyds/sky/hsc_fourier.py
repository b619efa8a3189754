"""Sources to pixels in Fourier space: every source on a square of its own, in all bands at once.

The disk has a closed form, the bulge is a table over one radius, and the point-spread function
(PSF) is the same for all sources of a place, so many sources are transformed together.  GalSim
gives the table and the PSF.  The pixels of HSC sample its PSF well: at the highest frequency of the
grid about a thousandth of it is left.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from galaxyds.sky.hashing import Floats
from galaxyds.sky.render import TRUNCATION, Image, galsim
from galaxyds.sky.surveys import SurveyBand
from galaxyds.sky.universe import Sources

Spectrum = NDArray[np.complex64]

SIZES = (32, 48, 64, 96, 128, 192, 256, 640)
"""Rows and columns of the squares; a source goes on the smallest that holds its light."""
CORE = 9.0
"""Least radius in pixels to which the light of a source is drawn."""

_DISK_SCALE = 1.6783469900166605  # half-light radius over scale length of an exponential disk
_STEPS = 64  # table entries per factor of two in 1 + (k r)^2
_OCTAVES = 24
_TOGETHER = 1 << 18  # pixels of one band that are transformed together


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


@lru_cache(maxsize=4)
def _frequencies(size: int) -> tuple[Image, Image]:
    """Angular frequencies per pixel along x, (size // 2 + 1,), and y, (size,)."""
    along = 2 * np.pi * np.fft.rfftfreq(size)
    across = 2 * np.pi * np.fft.fftfreq(size)
    return along.astype(np.float32), across.astype(np.float32)


def _squared(sources: Sources, radius: Floats, ratio: Floats, *, size: int) -> Image:
    """Squared frequencies in units of each galaxy's sheared radius (pixels), (n, size, half)."""
    kx, ky = _frequencies(size)
    # Angles east of north become angles from the column axis: north up, east left.
    angle = sources.angle + np.pi / 2
    cosine, sine = (np.asarray(f(angle) * radius, np.float32) for f in (np.cos, np.sin))
    major = kx * cosine[:, None, None] + ky[:, None] * sine[:, None, None]
    minor = ky[:, None] * cosine[:, None, None] - kx * sine[:, None, None]
    minor *= ratio.astype(np.float32)[:, None, None]
    total: Image = major * major + minor * minor
    return total


def _shift(x: Floats, y: Floats, *, size: int) -> Spectrum:
    """Transforms of unit points at pixel positions, (n, size, half)."""
    along = np.exp(-2j * np.pi * x[:, None] * np.fft.rfftfreq(size)).astype(np.complex64)
    across = np.exp(-2j * np.pi * y[:, None] * np.fft.fftfreq(size)).astype(np.complex64)
    shifted: Spectrum = across[:, :, None] * along[:, None, :]
    return shifted


@lru_cache(maxsize=96)
def _blur(beta: float, width: float, scale: float, size: int) -> Image:
    """Transform of the PSF with the pixel's response, (size, size // 2 + 1); real."""
    module = galsim()
    profile = module.Convolve(module.Moffat(beta=beta, fwhm=width), module.Pixel(scale))
    step = 2 * np.pi / size / scale
    drawn = profile.drawKImage(nx=size + 1, ny=size + 1, scale=step)
    half = size // 2
    quadrant = drawn.real.array[half:, half:].astype(np.float32)
    rows = np.abs(np.rint(np.fft.fftfreq(size) * size).astype(int))
    blur: Image = quadrant[rows]
    return blur


def draw(
    placed: Placed,
    bands: list[SurveyBand],
    columns: list[int],
    *,
    scale: float,
    shape: tuple[int, int],
) -> Image:
    """Draw sources in several bands, without noise.

    Parameters
    ----------
    placed : Placed
    bands : list of SurveyBand
        With the PSF of this place.
    columns : list of int
        Which columns of ``placed.flux`` they are.
    scale : float
        Arcsec per pixel.
    shape : tuple of int
        Rows and columns.

    Returns
    -------
    ndarray of float32, (bands, rows, columns)
        Counts, not below 0.  What a source adds to a pixel does not depend on the shape.
    """
    image = np.zeros((len(bands), *shape), np.float32)
    for size, chosen in groups(placed.reach):
        together = max(1, _TOGETHER // size**2)
        for start in range(0, chosen.size, together):
            rows = chosen[start : start + together]
            pieces = _squares(placed, rows, (bands, columns), scale=scale, size=size)
            for piece, row in zip(pieces, rows.tolist(), strict=True):
                left = int(np.floor(placed.x[row] + 0.5)) - size // 2
                low = int(np.floor(placed.y[row] + 0.5)) - size // 2
                _paste(image, piece, left, low)
    # Rounding leaves a hair below zero far from the sources.
    return np.maximum(image, 0.0)


def groups(reach: Floats) -> list[tuple[int, NDArray[np.intp]]]:
    """Sizes of squares, and the sources that go on each."""
    held = np.array(SIZES) / 2 - 1
    number = np.minimum(np.searchsorted(held, reach), len(SIZES) - 1)
    found = [(size, np.flatnonzero(number == k)) for k, size in enumerate(SIZES)]
    return [(size, chosen) for size, chosen in found if chosen.size]


def _squares(
    placed: Placed,
    rows: NDArray[np.intp],
    seen: tuple[list[SurveyBand], list[int]],
    *,
    scale: float,
    size: int,
) -> Image:
    """Squares of sources, (n, bands, size, size), each around the pixel nearest to its source."""
    bands, columns = seen
    few = placed.sources.take(rows)
    x, y = placed.x[rows], placed.y[rows]
    middle = size // 2
    place = _shift(x - np.floor(x + 0.5) + middle, y - np.floor(y + 0.5) + middle, size=size)
    flux = placed.flux[rows][:, columns].astype(np.float32)
    share = few.bulge[:, columns].astype(np.float32)
    disk = disk_transform(_squared(few, few.disk_radius / scale, few.axis_ratio, size=size))
    bulge = bulge_transform(_squared(few, few.bulge_radius / scale, few.bulge_ratio, size=size))
    result = np.empty((rows.size, len(bands), size, size), np.float32)
    for k, band in enumerate(bands):
        weight = (flux[:, k] * (1 - share[:, k]))[:, None, None]
        light = disk * weight + bulge * (flux[:, k] * share[:, k])[:, None, None]
        light *= _blur(band.psf_beta, band.psf_fwhm, scale, size)
        result[:, k] = np.fft.irfft2(light * place, s=(size, size))
    return result


def _paste(image: Image, piece: Image, column: int, row: int) -> None:
    """Add a piece (bands, rows, columns) in place, its first pixel at (row, column)."""
    left, low = max(column, 0), max(row, 0)
    right = min(column + piece.shape[2], image.shape[2])
    high = min(row + piece.shape[1], image.shape[1])
    if left < right and low < high:
        image[:, low:high, left:right] += piece[
            :, low - row : high - row, left - column : right - column
        ]
