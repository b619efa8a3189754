"""Fluxes to brightness and colour: arrays in, arrays out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def asinh_stretch(
    image: NDArray[np.float32], *, low: float, high: float, softening: float = 0.1
) -> NDArray[np.float64]:
    """Map fluxes to 0..1 with an asinh (Lupton et al. 1999, AJ 118, 1406); NaN stays NaN.

    Parameters
    ----------
    image : ndarray of float32
        Fluxes, any shape.
    low, high : float
        Fluxes that become 0 and 1.
    softening : float
        Fraction of the range below which the scale is linear.

    Returns
    -------
    ndarray of float64
        Same shape, clipped to 0..1.
    """
    scaled = (np.asarray(image, dtype=np.float64) - low) / max(high - low, 1e-30)
    stretched = np.arcsinh(scaled / softening) / np.arcsinh(1 / softening)
    clipped: NDArray[np.float64] = np.clip(stretched, 0, 1)
    return clipped


def limits(image: NDArray[np.float32]) -> tuple[float, float]:
    """Fluxes to show as black and white: a little below the sky, and the brightest pixels amid.

    Only the middle of the image counts for white, so that a bright neighbour leaves the object
    visible.

    Parameters
    ----------
    image : ndarray of float32
        One band of a cutout; NaN is passed over.

    Returns
    -------
    tuple of float
        Low and high; (0, 1) for an image without a finite pixel.
    """
    values = image[np.isfinite(image)]
    if not values.size:
        return 0.0, 1.0
    sky = float(np.median(values))
    scatter = 1.4826 * float(np.median(np.abs(values - sky))) or 1e-6
    return sky - 2 * scatter, max(_bright(image), sky + 10 * scatter)


def _bright(image: NDArray[Any]) -> float:
    """Flux of the brightest pixels in the middle third of the rows and columns."""
    rows, columns = image.shape
    middle = image[rows // 3 : rows - rows // 3, columns // 3 : columns - columns // 3]
    seen = middle[np.isfinite(middle)]
    if not seen.size:
        seen = image[np.isfinite(image)]
    return float(np.quantile(seen, 0.99))


def color_composite(
    red: NDArray[np.float32],
    green: NDArray[np.float32],
    blue: NDArray[np.float32],
    *,
    softening: float = 0.1,
) -> NDArray[np.float64]:
    """Colour picture that keeps hue where it is bright (Lupton et al. 2004, PASP 116, 133).

    White is what is bright in the middle of the cutout; where there is little but noise, the
    picture is grey.

    Parameters
    ----------
    red, green, blue : ndarray of float32, shape (rows, columns)
        Three bands of one cutout, in one unit.
    softening : float
        As in :func:`asinh_stretch`.

    Returns
    -------
    ndarray of float64, shape (rows, columns, 3)
        0..1; pixels that are NaN in any band are mid-grey.
    """
    stack = np.stack([red, green, blue], axis=-1).astype(np.float64)
    missing = ~np.isfinite(stack).all(axis=-1)
    if missing.all():
        return np.full(stack.shape, 0.5)
    stack -= np.nanmedian(stack, axis=(0, 1))
    stack[missing] = 0
    intensity = stack.mean(axis=-1)
    noise = 1.4826 * float(np.median(np.abs(intensity[~missing]))) or 1e-6
    # The noise stays dark: white is at least forty times as bright.
    white = max(_bright(np.where(missing, np.nan, intensity)), 40 * noise)
    shown = np.clip(intensity - noise, 1e-12, None)
    curve = np.arcsinh(shown / (softening * white)) / np.arcsinh(1 / softening)
    # One band's noise is no colour: hue comes in where all together are well above theirs.
    trust = (shown**2 / (shown**2 + (4 * noise) ** 2))[..., None]
    hue = trust * stack / np.maximum(intensity, noise)[..., None] + (1 - trust)
    colors = np.clip(hue * curve[..., None], 0, None)
    colors /= np.maximum(colors.max(axis=-1, keepdims=True), 1)
    colors[missing] = 0.5
    return np.asarray(colors, dtype=np.float64)
