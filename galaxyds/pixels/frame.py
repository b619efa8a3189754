"""A calibrated image of a piece of sky in one band."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from astropy.wcs import WCS
    from numpy.typing import NDArray


@dataclass(frozen=True, kw_only=True)
class Frame:
    """One band of a tile of sky.

    Attributes
    ----------
    band : str
        Name of the band.
    pixels : ndarray of float32, shape (rows, columns)
        Flux per pixel, native byte order, contiguous.  A pixel without data is NaN.
    wcs : astropy.wcs.WCS
        Celestial, two axes, gnomonic (TAN).  With origin 0 its first pixel axis is the column and
        the centre of the first pixel is (0, 0).
    """

    band: str
    pixels: NDArray[np.float32]
    wcs: WCS
