"""Measure all sources of an image."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from galaxyds.errors import UsageError
from galaxyds.morphology.cleaning import Mask
from galaxyds.morphology.detect import Floats, Integers, Isophotes, detect, prepare
from galaxyds.morphology.photometry import Photometry, photometry
from galaxyds.morphology.settings import DetectionSettings

DEFAULT = DetectionSettings()
RADII = (5, 10, 15)
"""Circles around the image's centre in which sources are counted, in pixels."""


@dataclass(frozen=True, slots=True)
class Detections:
    """Sources of an image: one entry per source in every array, in the order of sep.

    Attributes
    ----------
    x, y : numpy.ndarray
        float64, 0-based barycentre in pixels (``X_IMAGE`` - 1, ``Y_IMAGE`` - 1).
    a, b : numpy.ndarray
        float64, RMS along the axes in pixels (``A_IMAGE``, ``B_IMAGE``).
    theta : numpy.ndarray
        float64, degrees from +x towards +y, -90 to 90 (``THETA_IMAGE``).
    ellipticity : numpy.ndarray
        float64, 1 - b / a.
    isophotal_area : numpy.ndarray
        int64 pixels (``ISOAREA_IMAGE``).
    half_light_radius : numpy.ndarray
        float64 pixels (``FLUX_RADIUS`` at 0.5).
    petro_radius, kron_radius : numpy.ndarray
        float64, in units of A (``PETRO_RADIUS``, ``KRON_RADIUS``).
    petro_flux, auto_flux, flux_iso : numpy.ndarray
        float64, in units of the image (``FLUX_PETRO``, ``FLUX_AUTO``, ``FLUX_ISO``).
    peak : numpy.ndarray
        float64, brightest pixel above the background (``FLUX_MAX``).
    mu_max : numpy.ndarray
        float64, mag / arcsec^2 of that pixel (``MU_MAX``).
    petro_reached : numpy.ndarray
        bool, whether the Petrosian radius was found rather than limited.
    flags : numpy.ndarray
        int64, SExtractor's ``FLAGS``.
    segmentation : numpy.ndarray
        int32 (rows, columns): 0, or 1 + the index of the source.
    background, rms : float
        Level and noise of the background.
    """

    x: Floats
    y: Floats
    a: Floats
    b: Floats
    theta: Floats
    ellipticity: Floats
    isophotal_area: Integers
    half_light_radius: Floats
    petro_radius: Floats
    kron_radius: Floats
    petro_flux: Floats
    auto_flux: Floats
    flux_iso: Floats
    peak: Floats
    mu_max: Floats
    petro_reached: npt.NDArray[np.bool_]
    flags: Integers
    segmentation: npt.NDArray[np.int32]
    background: float
    rms: float

    def __len__(self) -> int:
        return len(self.x)


@dataclass(frozen=True, slots=True)
class Neighbourhood:
    """Numbers of sources around the centre of an image, the central one included.

    Attributes
    ----------
    within_5, within_10, within_15 : int
        Sources whose position is at most so many pixels from the centre.
    total : int
        Sources of the image.
    """

    within_5: int
    within_10: int
    within_15: int
    total: int


def measure(image: npt.ArrayLike, settings: DetectionSettings = DEFAULT) -> Detections:
    """Detect and measure every source of an image.

    Parameters
    ----------
    image : array_like
        (rows, columns), any real dtype and byte order; pixels that are not finite are left out.
    settings : DetectionSettings
        Thresholds, filter and apertures.

    Returns
    -------
    Detections
        Without entries for an image in which nothing can be measured.

    Raises
    ------
    UsageError
        If the image has not two dimensions.
    """
    pixels, bad = checked(image)
    if is_corrupt(pixels, bad):
        return _assemble(_nothing(pixels), [], settings)
    found = detect(pixels, bad, settings=settings)
    rows = [photometry(found, index, settings=settings) for index in range(len(found.table))]
    return _assemble(found, rows, settings)


def checked(image: npt.ArrayLike) -> tuple[npt.NDArray[np.float32], Mask | None]:
    """:func:`~galaxyds.morphology.detect.prepare` for an image that must have two dimensions.

    Raises
    ------
    UsageError
        If it has not.
    """
    pixels, bad = prepare(image)
    if pixels.ndim != 2:
        raise UsageError(
            f"morphology is measured on (rows, columns), got shape {pixels.shape}: pass one band",
            shape=pixels.shape,
        )
    return pixels, bad


def is_corrupt(pixels: npt.NDArray[np.float32], bad: Mask | None) -> bool:
    """Whether no finite pixel differs from another."""
    finite = pixels if bad is None else pixels[~bad]
    return finite.size == 0 or bool(finite.min() == finite.max())


def _nothing(pixels: npt.NDArray[np.float32]) -> Isophotes:
    names = ("x", "y", "a", "b", "theta", "flux", "peak")
    table = np.zeros(0, dtype=[(name, float) for name in names] + [("flag", np.int16)])
    return Isophotes(pixels, None, pixels == 0, np.zeros(pixels.shape, np.int32), table, 0.0, 0.0)


def _assemble(found: Isophotes, rows: list[Photometry], settings: DetectionSettings) -> Detections:
    table = found.table

    def column(name: str) -> Floats:
        return np.array([getattr(row, name) for row in rows], dtype=np.float64)

    return Detections(
        **{name: table[name].astype(np.float64) for name in ("x", "y", "a", "b", "peak")},
        theta=np.degrees(table["theta"]),
        ellipticity=1 - table["b"] / table["a"],
        isophotal_area=found.isophotal_area(settings),
        half_light_radius=column("half_light_radius"),
        petro_radius=column("petro_radius"),
        kron_radius=column("kron_radius"),
        petro_flux=column("petro_flux"),
        auto_flux=column("auto_flux"),
        flux_iso=table["flux"].astype(np.float64),
        mu_max=surface_brightness(table["peak"], settings),
        petro_reached=np.array([row.petro_reached for row in rows], dtype=bool),
        flags=found.flags(settings) | np.array([row.flags for row in rows], dtype=np.int64),
        segmentation=found.segmentation,
        background=found.background,
        rms=found.rms,
    )


def surface_brightness(peak: npt.ArrayLike, settings: DetectionSettings = DEFAULT) -> Floats:
    """``MU_MAX``: magnitudes per square arcsecond of a pixel value; 99 where it is not positive."""
    value = np.asarray(peak, dtype=np.float64)
    positive = np.maximum(value, np.finfo(np.float64).tiny)
    brightness = settings.zero_point - 2.5 * np.log10(positive / settings.pixel_scale**2)
    return np.where(value > 0, brightness, 99.0)


def image_center(shape: tuple[int, ...]) -> tuple[float, float]:
    """Middle of an image of that (rows, columns) as 0-based (x, y)."""
    return (shape[1] - 1) / 2, (shape[0] - 1) / 2


def central(detections: Detections, center: tuple[float, float] | None = None) -> int | None:
    """Index of the source nearest to a point (Do et al. 2024, Sect. 3.4).

    Parameters
    ----------
    detections : Detections
        Sources of an image.
    center : tuple of float, optional
        0-based (x, y); the middle of the image by default.

    Returns
    -------
    int or None
        The first of equally near ones; None if nothing was detected.
    """
    distances = _distances(detections.x, detections.y, center, detections.segmentation.shape)
    return int(np.argmin(distances)) if len(distances) else None


def neighbourhood(
    detections: Detections, center: tuple[float, float] | None = None
) -> Neighbourhood:
    """Count the sources within 5, 10 and 15 pixels of a point, and all of them.

    Parameters
    ----------
    detections : Detections
        Sources of an image.
    center : tuple of float, optional
        0-based (x, y); the middle of the image by default.

    Returns
    -------
    Neighbourhood
        The counts; the central source is one of them.
    """
    distances = _distances(detections.x, detections.y, center, detections.segmentation.shape)
    return counts(distances)


def _distances(
    x: Floats, y: Floats, center: tuple[float, float] | None, shape: tuple[int, ...]
) -> Floats:
    middle = image_center(shape) if center is None else center
    return np.hypot(x - middle[0], y - middle[1])


def counts(distances: Floats) -> Neighbourhood:
    """Neighbourhood of a point, from the distances of all sources in pixels."""
    within = [int((distances <= radius).sum()) for radius in RADII]
    return Neighbourhood(within[0], within[1], within[2], len(distances))
