"""One object, band by band."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from galaxyds.errors import missing_extra

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from numpy.typing import NDArray


def plot_cutout(cutout: NDArray[np.float32], bands: Sequence[str], title: str) -> Figure:
    """Draw the bands of a cutout side by side, the first row of pixels at the bottom.

    Parameters
    ----------
    cutout : ndarray of float32, shape (bands, rows, columns)
        Pixels; NaN stays empty.
    bands : sequence of str
        Their names.
    title : str
        Above the figure.

    Returns
    -------
    matplotlib.figure.Figure
        Not shown and not registered with pyplot.

    Raises
    ------
    MissingExtraError
        If matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise missing_extra("matplotlib", "plots", "Plotting a cutout") from error
    figure = Figure(figsize=(1.8 * len(bands), 2.3), layout="constrained")
    axes = np.atleast_1d(figure.subplots(1, len(bands)))
    for axis, band, pixels in zip(axes, bands, cutout, strict=True):
        axis.imshow(stretch(pixels), origin="lower", cmap="gray", vmin=0, vmax=1)
        axis.set_title(band, fontsize=9)
        axis.set_axis_off()
    figure.suptitle(title, fontsize=9)
    return figure


def stretch(pixels: NDArray[np.float32]) -> NDArray[np.float64]:
    """Map pixels to 0..1: sky at 0.15, asinh above it (Lupton et al. 2004, without colour).

    Parameters
    ----------
    pixels : ndarray of float32
        Any unit; NaN stays NaN.

    Returns
    -------
    ndarray of float64
        Values in 0..1.
    """
    good = pixels[np.isfinite(pixels)]
    if not good.size:
        return np.full(pixels.shape, np.nan)
    sky = float(np.median(good))
    noise = 1.4826 * float(np.median(np.abs(good - sky))) or 1.0
    scaled = np.arcsinh((pixels.astype(np.float64) - sky) / (3 * noise))
    top = max(float(np.nanmax(scaled)), 1.0)
    return np.clip(0.15 + 0.85 * scaled / top, 0, 1)
