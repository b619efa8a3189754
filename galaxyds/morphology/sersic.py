"""Sersic fits of galaxy images: what goes in, what comes out.

The model is one ellipse I(r) = I0 exp(-b r^(1/n)) on a free flat sky, convolved with the survey's
point-spread function.  The function is an image *with* the pixel's response, as surveys deliver it
(HSC's PSF picker, SDSS's psField, PSFEx): no pixel is integrated a second time.

The numerical part needs torch and is loaded by the first fit; this module imports without it.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from galaxyds.errors import UsageError, missing_extra
from galaxyds.morphology.flags import FIT_FAILED, NO_PSF
from galaxyds.morphology.flags import mask as bits

INDEX_MIN, INDEX_MAX = 0.3, 8.0
"""Range of n that is searched; catalogues of the field use 0.2-0.5 to 6-10."""

AXIS_RATIO_MIN = 0.05
"""Smallest axis ratio: thinner than any galactic disc seen edge-on."""

SOFTENING = 0.02
"""Error of the model in a pixel, as a fraction of its light there."""

_CPU_BATCH, _CARD_BATCH = 64, 4096
MIN_PIXELS = 64
"""A fit of eight parameters is not tried on fewer pixels."""


@dataclass(frozen=True, kw_only=True)
class SersicGuess:
    """Where the fits begin: arrays of shape ``(n,)``, as a detection gives them.

    Parameters
    ----------
    x, y : ndarray
        Position, 0-based pixels (column, row).
    flux : ndarray
        Total flux, counts.
    radius : ndarray
        Radius of half the light as seen, pixels, blurring included.
    axis_ratio : ndarray
        B / A as seen.
    theta : ndarray
        Position angle of the major axis in degrees, from +x to +y: SExtractor's THETA_IMAGE.
    """

    x: np.ndarray
    y: np.ndarray
    flux: np.ndarray
    radius: np.ndarray
    axis_ratio: np.ndarray
    theta: np.ndarray


@dataclass(frozen=True, kw_only=True)
class SersicFit:
    """Fitted galaxies: arrays of shape ``(n,)``; NaN (0 iterations) where a fit was not possible.

    Parameters
    ----------
    index : ndarray
        Sersic index n, 0.3 to 8; float32.
    radius : ndarray
        Semi-major axis of the ellipse of half the light, pixels, before blurring; float32.
    axis_ratio : ndarray
        Minor over major axis, 0.05 to 1, before blurring; float32.
    theta : ndarray
        Position angle in degrees, -90 to 90, from +x towards +y; float32.
    x, y : ndarray
        Position, 0-based pixels (column, row); float32.
    flux : ndarray
        Total flux of the model out to infinity, counts; float32.
    sky : ndarray
        Fitted sky, counts per pixel; float32.
    chi2 : ndarray
        chi^2 per degree of freedom; float32.
    flags : ndarray
        Bits of ``fit_failed``, ``fit_at_bound`` and ``no_psf``; int32.
    iterations : ndarray
        Evaluations of the model that the fit took; int32.
    """

    index: np.ndarray
    radius: np.ndarray
    axis_ratio: np.ndarray
    theta: np.ndarray
    x: np.ndarray
    y: np.ndarray
    flux: np.ndarray
    sky: np.ndarray
    chi2: np.ndarray
    flags: np.ndarray
    iterations: np.ndarray

    @classmethod
    def empty(cls, count: int) -> SersicFit:
        """Fits that were not made: NaN, no flag, no iteration.

        Parameters
        ----------
        count : int
            Number of galaxies.

        Returns
        -------
        SersicFit
            Writable arrays of shape ``(count,)``.
        """
        names = [field.name for field in fields(cls)]
        values: dict[str, Any] = {name: np.full(count, np.nan, np.float32) for name in names}
        values["flags"] = np.zeros(count, np.int32)
        values["iterations"] = np.zeros(count, np.int32)
        return cls(**values)


def fit_sersic(
    images: np.ndarray,
    psf: np.ndarray,
    guess: SersicGuess,
    *,
    sigma: np.ndarray,
    mask: np.ndarray | None = None,
    gain: float | None = None,
    device: str = "cpu",
    batch_size: int | None = None,
) -> SersicFit:
    """Fit one Sersic profile to each image.

    Pixels weigh by the sky's noise and by an error of the model itself, 2 % of its light:
    without it, the structure in the core of a bright galaxy outweighs all the rest.  A gain adds
    the galaxy's own Poisson noise; leave it out where it is not known, as on coadds
    (docs/sersic.md compares).

    Parameters
    ----------
    images : ndarray
        float32 ``(n, rows, columns)``, counts.  Pixels that are not finite are ignored.
    psf : ndarray
        ``(n, p, p)``, or ``(p, p)`` for all, p odd, centred on the middle pixel; of any sum.
    guess : SersicGuess
        Where to begin.
    sigma : ndarray
        Noise of the sky per pixel, counts, shape ``(n,)``.
    mask : ndarray, optional
        bool, as ``images``: True where a pixel is ignored (neighbours, padding).
    gain : float, optional
        Electrons per count.
    device : str
        A torch device: ``cpu``, ``cuda``.
    batch_size : int, optional
        Galaxies in memory at once, 0.4 MB each; the results do not depend on it.  By default as
        many as suit a processor's caches, and more on a card.

    Returns
    -------
    SersicFit
        In the order of the images.

    Raises
    ------
    UsageError
        Shapes that do not belong together.
    MissingExtraError
        torch is not installed.
    """
    everything = _checked(guess, images=images, psf=psf, sigma=sigma, mask=mask)
    backend = _backend()
    result = SersicFit.empty(len(images))
    size = batch_size or (_CPU_BATCH if device == "cpu" else _CARD_BATCH)
    for first in range(0, len(images), size):
        part = everything.take(slice(first, first + size))
        usable, flags = _usable(part)
        result.flags[first : first + size] = flags
        if usable.any():
            good, rows = part.only(usable), first + np.flatnonzero(usable)
            found = backend.fit_batch(good, gain=gain, softening=SOFTENING, device=device)
            for field in fields(SersicFit):
                getattr(result, field.name)[rows] = getattr(found, field.name)
    return result


def model_images(fit: SersicFit, shape: tuple[int, int], psf: np.ndarray) -> np.ndarray:
    """Draw fitted galaxies through their point-spread functions, on their fitted sky.

    Parameters
    ----------
    fit : SersicFit
        What :func:`fit_sersic` returned.
    shape : tuple of int
        Rows and columns of each image.
    psf : ndarray
        As for :func:`fit_sersic`.

    Returns
    -------
    ndarray
        float32 ``(n, rows, columns)``; NaN for galaxies without a fit.
    """
    images = np.full((len(fit.index), *shape), np.nan, np.float32)
    good = np.isfinite(fit.index)
    if good.any():
        psfs = _stacked(psf)
        psfs = psfs if len(psfs) == 1 else psfs[good]
        some = SersicFit(**{f.name: getattr(fit, f.name)[good] for f in fields(fit)})
        images[good] = _backend().draw(some, shape, psfs)
    return images


def neighbour_mask(
    segmentation: np.ndarray,
    central_id: int,
    *,
    grow: float = 10.0,
    core: float = 0.5,
    center: tuple[float, float] | None = None,
) -> np.ndarray:
    """Mark the pixels that neighbours spoil for a fit of the central galaxy.

    A detection's segment ends where its light falls below the threshold; what lies outside it, and
    under the central galaxy's own segment, pulls the index up.  So neighbours grow, also into the
    central segment, but not into its core.

    Parameters
    ----------
    segmentation : ndarray
        Integer ``(rows, columns)``: 0 for sky, else the number of a source.
    central_id : int
        Number of the galaxy that is fitted.
    grow : float
        Pixels by which the neighbours' segments grow.
    core : float
        Radius of the part of the central segment that is kept, in units of the radius of the
        circle of the segment's area.
    center : tuple of float, optional
        Position (x, y) of the core, 0-based; the centroid of the segment without it.

    Returns
    -------
    ndarray
        bool ``(rows, columns)``: True = ignore.
    """
    mine = segmentation == central_id
    others = np.asarray((segmentation != 0) & ~mine, bool)
    if not others.any():
        return others
    grown = _grow(others, grow)
    if mine.any():
        y, x = np.nonzero(mine)
        x0, y0 = center if center is not None else (x.mean(), y.mean())
        inside = (x - x0) ** 2 + (y - y0) ** 2 <= core**2 * len(x) / np.pi
        grown[y[inside], x[inside]] = False
    return grown


def _grow(marked: np.ndarray, radius: float) -> np.ndarray:
    """Mark every pixel whose distance to a marked one is at most ``radius``."""
    rows, columns = marked.shape
    reach = int(radius)
    far = columns + reach + 1
    at = np.broadcast_to(np.arange(columns), marked.shape)
    left = np.maximum.accumulate(np.where(marked, at, -far), axis=1)
    right = np.minimum.accumulate(np.where(marked, at, columns + far)[:, ::-1], axis=1)[:, ::-1]
    along = np.minimum(at - left, right - at).astype(np.int16)
    grown = marked.copy()
    for shift in range(-reach, reach + 1):
        width = np.int16(np.sqrt(radius**2 - shift**2))
        to = slice(max(shift, 0), rows + min(shift, 0))
        source = slice(max(-shift, 0), rows - max(shift, 0))
        grown[to] |= along[source] <= width
    return grown


@dataclass(frozen=True)
class Pixels:
    """Arrays of one batch that passed the checks.

    Parameters
    ----------
    images : ndarray
        float32 ``(n, rows, columns)``, 0 where ignored.
    ignored : ndarray
        bool, as images.
    psf : ndarray
        float32 ``(n or 1, p, p)``.
    guess : ndarray
        float64 ``(n, 6)``: the fields of :class:`SersicGuess` in their order.
    sigma : ndarray
        float64 ``(n,)``.
    """

    images: np.ndarray
    ignored: np.ndarray
    psf: np.ndarray
    guess: np.ndarray
    sigma: np.ndarray

    def take(self, rows: np.ndarray | slice) -> Pixels:
        """Cut out some galaxies; NaN pixels become ignored zeros."""
        images = np.asarray(self.images[rows], np.float32)
        ignored = self.ignored[rows] | ~np.isfinite(images)
        images = np.where(ignored, np.float32(0), images)
        psf = self.psf if len(self.psf) == 1 else self.psf[rows]
        return Pixels(images, ignored, psf, self.guess[rows], self.sigma[rows])

    def only(self, good: np.ndarray) -> Pixels:
        """Leave out galaxies, without a copy where there are none."""
        return self if good.all() else self.take(good)


def _stacked(psf: np.ndarray) -> np.ndarray:
    psfs = np.asarray(psf, np.float32)
    psfs = psfs[None] if psfs.ndim == 2 else psfs
    if psfs.ndim != 3 or psfs.shape[1] != psfs.shape[2] or psfs.shape[1] % 2 == 0:
        raise UsageError(
            f"psf has shape {np.shape(psf)}: give (p, p) or (n, p, p) with p odd, "
            "centred on the middle pixel"
        )
    return psfs


def _checked(
    guess: SersicGuess,
    *,
    images: np.ndarray,
    psf: np.ndarray,
    sigma: np.ndarray,
    mask: np.ndarray | None,
) -> Pixels:
    """Hold the arguments to one number of galaxies and one size."""
    psfs, count = _stacked(psf), len(images)
    begin = np.stack(
        [np.asarray(getattr(guess, f.name), np.float64) for f in fields(guess)], axis=-1
    )
    sizes = {
        "guess": len(begin),
        "sigma": len(sigma),
        "psf": count if len(psfs) == 1 else len(psfs),
    }
    for name, size in sizes.items():
        if size != count:
            raise UsageError(f"{name} is for {size} galaxies, images for {count}: give one of each")
    if images.ndim != 3 or (mask is not None and mask.shape != images.shape):
        raise UsageError(
            f"images {images.shape} and mask {None if mask is None else mask.shape}: "
            "give both as (n, rows, columns)"
        )
    hidden = np.broadcast_to(np.bool_(False), images.shape) if mask is None else mask
    return Pixels(images, hidden, psfs, begin, np.asarray(sigma, np.float64))


def _usable(part: Pixels) -> tuple[np.ndarray, np.ndarray]:
    """Tell which galaxies can be fitted, and flag the others."""
    seen = part.psf.reshape(len(part.psf), -1)
    with_psf = np.broadcast_to(np.isfinite(seen).all(1) & (seen.sum(1) > 0), len(part.images))
    good = np.isfinite(part.guess).all(1) & np.isfinite(part.sigma) & (part.sigma > 0)
    good &= (~part.ignored).sum((1, 2)) >= MIN_PIXELS
    good &= (part.images != part.images[:, :1, :1]).any((1, 2))
    flags = np.where(with_psf, 0, bits(NO_PSF)) | np.where(good, 0, bits(FIT_FAILED))
    return good & with_psf, flags.astype(np.int32)


def _backend() -> Any:
    """Load the numerical part, which needs torch."""
    try:
        from galaxyds.morphology import sersic_batch
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        raise missing_extra("torch", "torch", "the Sersic fit") from error
    return sersic_batch
