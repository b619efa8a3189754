"""Sources to pixels, with GalSim; knows surveys, and no file format.

Three ways, chosen by cost.  Point sources add a tabulated PSF (drawn by GalSim at eight times the
pixel's resolution, mixed bilinearly between its phases).  Faint galaxies are shot as photons, all
of a frame at once: unit bulges and disks from GalSim, sheared, scaled and moved per photon, plus a
kick from the PSF.  Bright galaxies are convolved and drawn one by one.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from galaxyds.errors import missing_extra
from galaxyds.sky.hashing import Floats, keyed, label_word
from galaxyds.sky.surveys import Survey, SurveyBand
from galaxyds.sky.universe import Sources

Image = NDArray[np.float32]

TRUNCATION = 8.0
"""Half-light radii at which the bulges end."""

_OVERSAMPLE = 8
_CORE = 24  # half width in pixels of the tabulated PSF; beyond, the profile is sampled
_SHOOT_BELOW = 15_000.0  # electrons; above, one convolution is cheaper than its photons
_BLOCK = 200_000  # photons


def galsim() -> Any:
    """Import GalSim.

    Raises
    ------
    MissingExtraError
        If it is not installed.
    """
    try:
        import galsim as module
    except ImportError as error:
        raise missing_extra("galsim", "sky", "The simulated sky") from error
    return module


@dataclass(frozen=True, kw_only=True, slots=True)
class Exposure:
    """How one band sees one tile.

    Attributes
    ----------
    survey : Survey
    band : SurveyBand
        With the PSF width, gain and dark variance of this tile.
    shape : tuple of int
        Rows and columns.
    sky : ndarray of float32
        Counts per pixel; broadcasts against the shape.
    calibration : ndarray of float32
        Pixel units per count; broadcasts against the shape.
    turn : float
        Angle in radians by which position angles east of north become angles from the column axis
        towards the row axis.
    seed : int
        Of the noise.
    """

    survey: Survey
    band: SurveyBand
    shape: tuple[int, int]
    sky: Image
    calibration: Image
    turn: float
    seed: int


def noise_generator(*parts: int | str) -> np.random.Generator:
    """Generator for pixel noise, seeded by a hash of integers and words."""
    words = [label_word(part) if isinstance(part, str) else np.uint64(part) for part in parts]
    key = keyed(*[np.asarray(word) for word in words])
    return np.random.Generator(np.random.PCG64(int(key[()])))


def expose(sources: Sources, x: Floats, y: Floats, exposure: Exposure) -> Image:
    """Render an exposure of sources, with noise, sky subtracted.

    Parameters
    ----------
    sources : Sources
        Of the exposure's survey.
    x, y : ndarray of float64, (n,)
        0-based pixel positions of the sources.
    exposure : Exposure

    Returns
    -------
    ndarray of float32, (rows, columns)
        In the survey's pixel unit.

    Notes
    -----
    With S the counts of the smooth sources and sky, the noise is normal with variance
    S / gain + dark variance; photons of shot galaxies carry their own Poisson noise.
    """
    random = noise_generator(exposure.seed, exposure.band.name, "noise")
    electrons = electrons_of(sources, exposure)
    size = np.where(sources.disk_radius > 0, _reach(sources, exposure.survey.pixel_scale), _CORE)
    rows, columns = exposure.shape
    seen = (x > -size) & (x < columns + size) & (y > -size) & (y < rows + size)
    seen &= electrons > 0.5
    extended = sources.disk_radius > 0
    smooth = np.zeros(exposure.shape, np.float32)
    psf = PointSpread(exposure.band, exposure.survey.pixel_scale)
    add_points(smooth, psf, (x, y, electrons), seen & ~extended)
    shot = seen & extended & (electrons < _SHOOT_BELOW)
    for index in np.flatnonzero(seen & extended & ~shot):
        add_galaxy(smooth, sources, int(index), place=(x[index], y[index]), exposure=exposure)
    gain = np.float32(exposure.band.gain)
    # Fourier transforms ring by a hair below zero around bright galaxies.
    np.maximum(smooth, 0.0, out=smooth)
    smooth /= gain
    image = random.standard_normal(exposure.shape, dtype=np.float32)
    image *= np.sqrt((smooth + exposure.sky) / gain + np.float32(exposure.band.dark_variance))
    image += smooth
    image += (
        shoot(sources, np.flatnonzero(shot), (x, y, electrons), exposure=exposure, random=random)
        / gain
    )
    image *= exposure.calibration
    return image


def electrons_of(sources: Sources, exposure: Exposure) -> Floats:
    """Expected electrons of each source in the exposure's band."""
    band = exposure.survey.band_index(exposure.band.name)
    flux = exposure.survey.flux(sources.magnitude[:, band])
    electrons: Floats = flux / exposure.band.unit_per_count * exposure.band.gain
    return electrons


def _reach(sources: Sources, scale: float) -> Floats:
    largest = np.maximum(sources.disk_radius, sources.bulge_radius)
    return np.minimum(8.0 * largest / scale + _CORE, 400.0)


class PointSpread:
    """A Moffat PSF with its pixel, tabulated for fast addition at any sub-pixel position.

    Parameters
    ----------
    band : SurveyBand
        Gives the width and the exponent.
    scale : float
        Arcsec per pixel.
    """

    def __init__(self, band: SurveyBand, scale: float) -> None:
        module = galsim()
        self.beta = band.psf_beta
        self.radius = band.psf_fwhm / scale / (2 * np.sqrt(2 ** (1 / band.psf_beta) - 1))
        size = (2 * _CORE + 3) * _OVERSAMPLE
        profile = module.Convolve(
            module.Moffat(beta=band.psf_beta, fwhm=band.psf_fwhm), module.Pixel(scale)
        )
        fine = profile.drawImage(
            nx=size + 1, ny=size + 1, scale=scale / _OVERSAMPLE, method="no_pixel", dtype=float
        )
        table = fine.array * _OVERSAMPLE**2
        width = 2 * _CORE + 1
        # phases[q, p] is the pixel image of a source p/8 right of and q/8 above the middle pixel
        self.phases = np.empty((_OVERSAMPLE + 1, _OVERSAMPLE + 1, width, width), np.float32)
        for q in range(_OVERSAMPLE + 1):
            for p in range(_OVERSAMPLE + 1):
                row = slice((3 * _OVERSAMPLE) // 2 - q, None, _OVERSAMPLE)
                column = slice((3 * _OVERSAMPLE) // 2 - p, None, _OVERSAMPLE)
                self.phases[q, p] = table[row, column][:width, :width]

    def at(self, dx: float, dy: float) -> Image:
        """Pixel image, (49, 49), of a unit source at an offset in [0, 1) from the middle pixel."""
        p, q = int(dx * _OVERSAMPLE), int(dy * _OVERSAMPLE)
        fx, fy = np.float32(dx * _OVERSAMPLE - p), np.float32(dy * _OVERSAMPLE - q)
        low = self.phases[q, p] * (1 - fx) + self.phases[q, p + 1] * fx
        high = self.phases[q + 1, p] * (1 - fx) + self.phases[q + 1, p + 1] * fx
        mixed: Image = low * (1 - fy) + high * fy
        return mixed

    def wings(self, half: int, dx: float, dy: float) -> Image:
        """Like :meth:`at`, out to a half width of ``half``, sampled outside of the core."""
        steps = np.arange(-half, half + 1, dtype=np.float32)
        squared = (steps[None, :] - np.float32(dx)) ** 2 + (steps[:, None] - np.float32(dy)) ** 2
        peak = (self.beta - 1) / (np.pi * self.radius**2)
        profile = (1 + squared / np.float32(self.radius**2)) ** np.float32(-self.beta)
        image: Image = (np.float32(peak) * profile).astype(np.float32)
        core = slice(half - _CORE, half + _CORE + 1)
        image[core, core] = self.at(dx, dy)
        return image


def add_points(
    image: Image,
    psf: PointSpread,
    catalogue: tuple[Floats, Floats, Floats],
    chosen: NDArray[np.bool_],
) -> None:
    """Add point sources to an image of electrons.

    Parameters
    ----------
    image : ndarray of float32
        Changed in place.
    psf : PointSpread
    catalogue : tuple of ndarray
        x, y (0-based pixels) and electrons of all sources.
    chosen : ndarray of bool
        Which of them.
    """
    for x, y, flux in zip(*(column[chosen] for column in catalogue), strict=True):
        column, row = int(np.floor(x)), int(np.floor(y))
        if flux > 2e5:
            half = int(np.clip(_CORE * (flux / 2e5) ** 0.25, _CORE + 1, 200))
            cutout = psf.wings(half, x - column, y - row)
        else:
            half, cutout = _CORE, psf.at(x - column, y - row)
        paste(image, cutout * np.float32(flux), column - half, row - half)


def paste(image: Image, piece: Image, column: int, row: int) -> None:
    """Add a piece to an image in place, its first pixel at (row, column); the rest falls off."""
    left, low = max(column, 0), max(row, 0)
    right = min(column + piece.shape[1], image.shape[1])
    high = min(row + piece.shape[0], image.shape[0])
    if left < right and low < high:
        image[low:high, left:right] += piece[low - row : high - row, left - column : right - column]


def _shears(sources: Sources, turn: float) -> tuple[Any, Any]:
    """Per galaxy 2 x 2 matrices that take a unit circle to the disk and the bulge, in arcsec."""

    def matrices(radius: Floats, ratio: Floats) -> Floats:
        angle = sources.angle + turn
        cosine, sine = np.cos(angle), np.sin(angle)
        return np.stack(
            [radius * cosine, -radius * ratio * sine, radius * sine, radius * ratio * cosine],
            axis=-1,
        )

    return (
        matrices(sources.disk_radius, sources.axis_ratio),
        matrices(sources.bulge_radius, sources.bulge_ratio),
    )


def shoot(
    sources: Sources,
    chosen: NDArray[np.intp],
    catalogue: tuple[Floats, Floats, Floats],
    *,
    exposure: Exposure,
    random: np.random.Generator,
) -> Image:
    """Shoot the photons of galaxies: a Poisson number each, placed by profile and PSF.

    Parameters
    ----------
    sources : Sources
    chosen : ndarray of intp
        Which of them.
    catalogue : tuple of ndarray
        x, y (0-based pixels) and expected electrons of all sources.
    exposure : Exposure
    random : numpy.random.Generator
        For the numbers of photons and the seed of their places.

    Returns
    -------
    ndarray of float32, (rows, columns)
        Electrons.
    """
    x, y, electrons = (column[chosen] for column in catalogue)
    few = sources.take(chosen)
    share = few.bulge[:, exposure.survey.band_index(exposure.band.name)]
    counts = random.poisson(np.stack([electrons * (1 - share), electrons * share]))
    rng = galsim().BaseDeviate(int(random.integers(1, 2**31 - 1)))
    hits = [np.zeros(0, np.int32)]
    shears = _shears(few, exposure.turn)
    for profile, matrix, number in zip(_unit_profiles(), shears, counts, strict=True):
        # Blocks keep the photons in the processor's cache and the memory small.
        block = np.cumsum(number) // _BLOCK
        for mine in (np.flatnonzero(block == k) for k in np.unique(block)):
            places = (x[mine], y[mine], matrix[mine] / exposure.survey.pixel_scale)
            hits.append(_hits(profile, places, number[mine], rng=rng, exposure=exposure))
    rows, columns = exposure.shape
    counted = np.bincount(np.concatenate(hits), minlength=rows * columns)
    return counted.astype(np.float32).reshape(exposure.shape)


def _unit_profiles() -> tuple[Any, Any]:
    module = galsim()
    return (
        module.Exponential(half_light_radius=1.0),
        module.DeVaucouleurs(half_light_radius=1.0, trunc=TRUNCATION),
    )


def _hits(
    profile: Any,
    places: tuple[Floats, Floats, Floats],
    number: NDArray[np.int64],
    *,
    rng: Any,
    exposure: Exposure,
) -> NDArray[np.int32]:
    """Pixels, as flat indices, that the photons of galaxies hit; places are x, y and shear."""
    photons = int(number.sum())
    kernel = galsim().Moffat(beta=exposure.band.psf_beta, fwhm=exposure.band.psf_fwhm)
    unit, blur = profile.shoot(photons, rng), kernel.shoot(photons, rng)
    owner = np.repeat(np.arange(number.size), number)
    x, y, shear = places
    scale = exposure.survey.pixel_scale
    column = x[owner] + shear[owner, 0] * unit.x + shear[owner, 1] * unit.y + blur.x / scale
    row = y[owner] + shear[owner, 2] * unit.x + shear[owner, 3] * unit.y + blur.y / scale
    rows, columns = exposure.shape
    column, row = np.rint(column), np.rint(row)
    inside = (column >= 0) & (column < columns) & (row >= 0) & (row < rows)
    hit: NDArray[np.int32] = (row[inside] * columns + column[inside]).astype(np.int32)
    return hit


def add_galaxy(
    image: Image,
    sources: Sources,
    index: int,
    *,
    place: tuple[float, float],
    exposure: Exposure,
) -> None:
    """Draw one bright galaxy, convolved with PSF and pixel, into an image of electrons.

    Parameters
    ----------
    image : ndarray of float32
        Changed in place.
    sources : Sources
    index : int
        Row of the galaxy.
    place : tuple of float
        0-based pixel position (x, y).
    exposure : Exposure
    """
    module = galsim()
    survey, band = exposure.survey, exposure.band
    flux = electrons_of(sources.take(np.array([index])), exposure)[0]
    share = float(sources.bulge[index, survey.band_index(band.name)])
    one = sources.take(np.array([index]))
    parts = []
    for profile, matrix, part in zip(
        _unit_profiles(), _shears(one, exposure.turn), (1 - share, share), strict=True
    ):
        if part > 1e-4:
            a, b, c, d = (float(value) for value in matrix[0])
            sheared = module.Transform(profile, jac=[[a, b], [c, d]], flux_ratio=1.0)
            # A Jacobian keeps surface brightness, so the flux is set anew.
            parts.append(sheared.withFlux(flux * part))
    kernel = module.Moffat(beta=band.psf_beta, fwhm=band.psf_fwhm)
    column, row = int(np.rint(place[0])), int(np.rint(place[1]))
    half = int(_reach(one, survey.pixel_scale)[0])
    drawn = module.Convolve(module.Add(parts), kernel).drawImage(
        nx=2 * half + 1,
        ny=2 * half + 1,
        scale=survey.pixel_scale,
        offset=(place[0] - column, place[1] - row),
        dtype=np.float32,
    )
    paste(image, drawn.array, column - half, row - half)


def patch(
    sources: Sources, survey: Survey, center: tuple[float, float], size: int, *, seed: int = 0
) -> dict[str, Image]:
    """Render a square of sky in all bands of any survey, north up, east left.

    Parameters
    ----------
    sources : Sources
        Of that survey.
    survey : Survey
    center : tuple of float
        Right ascension and declination in degrees, at pixel (size - 1) / 2.
    size : int
        Rows and columns.
    seed : int
        Of the noise.

    Returns
    -------
    dict of str to ndarray of float32, (size, size)
        Per band, in the survey's pixel unit.
    """
    scale = survey.pixel_scale / 3600
    middle = (size - 1) / 2
    x = middle - (sources.ra - center[0]) * np.cos(np.radians(center[1])) / scale
    y = middle + (sources.dec - center[1]) / scale
    images = {}
    for band in survey.bands:
        exposure = Exposure(
            survey=survey,
            band=replace(band),
            shape=(size, size),
            sky=np.full((1, 1), band.sky, np.float32),
            calibration=np.full((1, 1), band.unit_per_count, np.float32),
            turn=np.pi / 2,
            seed=seed,
        )
        images[band.name] = expose(sources, x, y, exposure)
    return images
