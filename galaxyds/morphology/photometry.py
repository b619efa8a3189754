"""Photometry of one source in apertures, as SExtractor defines it.

SExtractor counts whole pixels in its elliptical apertures and fifths of pixels in its growth curve;
pixels of other sources are replaced by their mirror images (``MASK_TYPE CORRECT``) where a flux is
summed, and left out where a radius is looked for.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from galaxyds.morphology.apertures import Ellipse, Floats, aperture, corrected, is_crowded
from galaxyds.morphology.detect import Isophotes
from galaxyds.morphology.growth import half_light_radius
from galaxyds.morphology.settings import DetectionSettings

SEARCH = 6.0
"""Ellipse, in units of A, in which the Kron and Petrosian radii are looked for."""
STEPS = 20
"""Inner radii of the Petrosian annuli are the multiples of SEARCH / STEPS."""
FALL = 0.2
"""The Petrosian radius: mean of the annulus below so much of the mean inside."""
CROWDED, APERTURE = 1, 16
"""Bits of SExtractor's ``FLAGS`` that photometry sets."""

_FINE = 10  # bins per Petrosian step: 10, 11 and 12 of them are its three radii
_STEP = SEARCH / STEPS


@dataclass(frozen=True, slots=True)
class Photometry:
    """Radii and fluxes of one source.

    Attributes
    ----------
    kron_radius, petro_radius : float
        ``KRON_RADIUS`` and ``PETRO_RADIUS``, in units of A; 0 where the flux is not positive.
    auto_flux, petro_flux : float
        ``FLUX_AUTO`` and ``FLUX_PETRO``.
    half_light_radius : float
        ``FLUX_RADIUS`` at one half, in pixels.
    petro_reached : bool
        Whether the profile fell below :data:`FALL` within the search ellipse.
    flags : int
        :data:`CROWDED` and :data:`APERTURE`.
    """

    kron_radius: float
    petro_radius: float
    auto_flux: float
    petro_flux: float
    half_light_radius: float
    petro_reached: bool
    flags: int


def photometry(isophotes: Isophotes, index: int, *, settings: DetectionSettings) -> Photometry:
    """Measure one source in its apertures.

    Parameters
    ----------
    isophotes : Isophotes
        The image's sources.
    index : int
        Which of them.
    settings : DetectionSettings
        Factors of the apertures.

    Returns
    -------
    Photometry
        Radii and fluxes.
    """
    ellipse = Ellipse.of(isophotes.table[index])
    blank = isophotes.blank & (isophotes.segmentation != index + 1)
    rows, columns, cut = ellipse.box(SEARCH, blank.shape)
    r2, hidden = ellipse.radius2(rows, columns), blank[rows, columns]
    within = r2 <= SEARCH**2
    free = within & ~hidden
    radii, values = np.sqrt(r2[free]), isophotes.pixels[rows, columns][free].astype(np.float64)
    kron = kron_radius(radii, values, settings=settings)
    petro, reached = petrosian_radius(radii, values, settings=settings)
    image = corrected(isophotes.pixels, blank, ellipse=ellipse)
    auto = aperture(image, blank, ellipse=ellipse, k=kron)
    wide = aperture(image, blank, ellipse=ellipse, k=petro)
    half, growth_cut = half_light_radius(image, ellipse, flux=auto.flux)
    crowded = is_crowded(within, hidden) or auto.crowded or wide.crowded
    return Photometry(
        kron_radius=kron if auto.flux > 0 else 0.0,
        petro_radius=petro if wide.flux > 0 else 0.0,
        auto_flux=auto.flux,
        petro_flux=wide.flux,
        half_light_radius=half,
        petro_reached=reached,
        flags=CROWDED * crowded + APERTURE * (cut or auto.cut or wide.cut or growth_cut),
    )


def kron_radius(radii: Floats, values: Floats, *, settings: DetectionSettings) -> float:
    """``KRON_RADIUS``: scaled first moment of the light over elliptical radius.

    Parameters
    ----------
    radii, values : numpy.ndarray
        float64 (pixels,): elliptical radius in units of A and flux of the pixels of the search
        ellipse.
    settings : DetectionSettings
        ``PHOT_AUTOPARAMS``.

    Returns
    -------
    float
        In units of A, at least ``kron_minimum``.
    """
    moment, light = float(radii @ values), float(values.sum())
    if not (moment > 0 and light > 0):
        return settings.kron_minimum
    return max(settings.kron_factor * moment / light, settings.kron_minimum)


def petrosian_radius(
    radii: Floats, values: Floats, *, settings: DetectionSettings
) -> tuple[float, bool]:
    """``PETRO_RADIUS``: scaled radius at which the local mean is a fifth of the mean inside.

    Annuli reach from k to 1.2 k, k = 0.3, 0.6 ... 4.8 A; the mean inside is that within 1.1 k.  The
    first annulus that has fallen below gives 1.1 k, scaled by ``PHOT_PETROPARAMS``; none gives the
    last.  So published values are multiples of 0.66.

    Parameters
    ----------
    radii, values : numpy.ndarray
        float64 (pixels,): elliptical radius in units of A and flux of the pixels of the search
        ellipse.
    settings : DetectionSettings
        ``PHOT_PETROPARAMS``.

    Returns
    -------
    radius : float
        In units of A, dimensionless; at least ``petro_minimum``.
    reached : bool
        Whether the profile fell that far within the search ellipse.
    """
    bins = np.floor(radii * (_FINE / _STEP)).astype(np.int64)
    size = _FINE * STEPS + 2
    light = np.concatenate(([0.0], np.cumsum(np.bincount(bins, values, size))))
    area = np.concatenate(([0], np.cumsum(np.bincount(bins, minlength=size))))
    step = np.arange(1, int((STEPS - 1e-6) / 1.2) + 1)
    inner, middle, outer = 10 * step, 11 * step, 12 * step
    annulus_light, annulus_area = light[outer] - light[inner], area[outer] - area[inner]
    usable = (annulus_area > 0) & (area[middle] > 0)
    local = annulus_light / np.maximum(annulus_area, 1)
    mean = light[middle] / np.maximum(area[middle], 1)
    fallen = np.flatnonzero(usable & (local < FALL * mean))
    last = int(fallen[0]) if len(fallen) else len(step) - 1
    if not (usable[last] and local[last] and mean[last]):
        return settings.petro_minimum, False
    radius = settings.petro_factor * 1.1 * _STEP * float(step[last])
    return max(radius, settings.petro_minimum), bool(len(fallen))
