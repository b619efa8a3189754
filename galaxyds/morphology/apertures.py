"""Elliptical apertures, and the pixels of neighbours in them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from galaxyds.morphology.cleaning import Image, Mask

Floats = npt.NDArray[np.float64]

CROWDED_SHARE = 0.1
"""An aperture with more than this share of blanked pixels is crowded."""


@dataclass(frozen=True, slots=True)
class Ellipse:
    """Place and shape of a source: the quadratic form of its second moments.

    Attributes
    ----------
    x, y : float
        0-based centre.
    a, b : float
        RMS along the axes in pixels.
    cxx, cyy, cxy : float
        ``cxx dx^2 + cyy dy^2 + cxy dx dy = k^2`` is the ellipse of semi-axes k A and k B.
    """

    x: float
    y: float
    a: float
    b: float
    cxx: float
    cyy: float
    cxy: float

    @classmethod
    def of(cls, row: np.void) -> Ellipse:
        """Ellipse of a row of ``sep.extract``."""
        return cls(*(float(row[name]) for name in ("x", "y", "a", "b", "cxx", "cyy", "cxy")))

    def box(self, k: float, shape: tuple[int, ...]) -> tuple[slice, slice, bool]:
        """Rows and columns that hold the ellipse of scale k, and whether the image cuts it."""
        width = self.cxx - self.cxy**2 / (4 * self.cyy)
        height = self.cyy - self.cxy**2 / (4 * self.cxx)
        half_height = k / height**0.5 if height > 0 else 0.0
        half_width = k / width**0.5 if width > 0 else 0.0
        rows = round(self.y - half_height), round(self.y + half_height) + 1
        columns = round(self.x - half_width), round(self.x + half_width) + 1
        return _clip(rows, columns, shape)

    def square(self, radius: float, shape: tuple[int, ...]) -> tuple[slice, slice, bool]:
        """Rows and columns that hold a circle around the centre, and whether the image cuts it."""
        # Truncation towards zero, as a C cast does: a circle may overhang by half a pixel.
        rows = int(self.y - radius + 0.499999), int(self.y + radius + 1.499999)
        columns = int(self.x - radius + 0.499999), int(self.x + radius + 1.499999)
        return _clip(rows, columns, shape)

    def radius2(self, rows: slice, columns: slice) -> Floats:
        """Square of the elliptical radius, in units of A, at the pixels of a box."""
        dx = np.arange(columns.start, columns.stop) - self.x
        dy = np.arange(rows.start, rows.stop)[:, None] - self.y
        form: Floats = self.cxy * dx * dy
        form += self.cxx * dx**2
        form += self.cyy * dy**2
        return form


def _clip(
    rows: tuple[int, int], columns: tuple[int, int], shape: tuple[int, ...]
) -> tuple[slice, slice, bool]:
    inside = [
        slice(max(low, 0), max(min(high, size), 0))
        for (low, high), size in zip((rows, columns), shape, strict=True)
    ]
    cut = min(rows[0], columns[0]) < 0 or rows[1] > shape[0] or columns[1] > shape[1]
    return inside[0], inside[1], cut


def corrected(pixels: Image, blank: Mask, *, ellipse: Ellipse) -> Image:
    """Replace blanked pixels by those opposite the source's centre (``MASK_TYPE CORRECT``).

    Parameters
    ----------
    pixels : numpy.ndarray
        float32 (rows, columns), background subtracted.
    blank : numpy.ndarray
        bool (rows, columns).
    ellipse : Ellipse
        The source.

    Returns
    -------
    numpy.ndarray
        float32 (rows, columns); 0 where the opposite pixel is blanked too or outside.
    """
    height, width = pixels.shape
    place = np.flatnonzero(blank)
    rows, columns = np.divmod(place, width)
    # Truncation towards zero, as a C cast does.
    x = (2 * ellipse.x + 0.49999 - columns).astype(np.int64)
    y = (2 * ellipse.y + 0.49999 - rows).astype(np.int64)
    inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    flat = np.where(inside, y * width + x, 0)
    usable = inside & ~blank.ravel()[flat]
    result = pixels.copy()
    result.ravel()[place] = np.where(usable, pixels.ravel()[flat], 0)
    return result


@dataclass(frozen=True, slots=True)
class Aperture:
    """What an elliptical aperture holds.

    Attributes
    ----------
    flux : float
        Sum of the whole pixels whose middle lies inside.
    crowded : bool
        Whether more than a tenth of them are blanked.
    cut : bool
        Whether the image ends within it.
    """

    flux: float
    crowded: bool
    cut: bool


def aperture(image: Image, blank: Mask, *, ellipse: Ellipse, k: float) -> Aperture:
    """Sum an image in the ellipse with semi-axes k A and k B.

    Parameters
    ----------
    image : numpy.ndarray
        float32 (rows, columns), :func:`corrected`.
    blank : numpy.ndarray
        bool (rows, columns): the pixels that were.
    ellipse : Ellipse
        Place and shape.
    k : float
        Scale.

    Returns
    -------
    Aperture
        Flux and warnings.
    """
    rows, columns, cut = ellipse.box(k, image.shape)
    inside = ellipse.radius2(rows, columns) <= k**2
    flux = float(image[rows, columns][inside].sum(dtype=np.float64))
    return Aperture(flux, is_crowded(inside, blank[rows, columns]), cut)


def is_crowded(inside: Mask, blank: Mask) -> bool:
    """Whether more than a tenth of an aperture's pixels are blanked."""
    hidden = np.count_nonzero(inside & blank)
    return bool(hidden > CROWDED_SHARE * np.count_nonzero(inside))
