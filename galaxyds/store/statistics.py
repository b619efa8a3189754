"""Mean, scatter and missing pixels of every band, in one pass over the mapped pixels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from galaxyds.store.hdf5 import let_go
from galaxyds.store.manifest import BandStatistics

if TYPE_CHECKING:
    from numpy.typing import NDArray

_BLOCK = 128
"""Objects per block; fixed, so that sums are taken in the same order everywhere."""


@dataclass(slots=True)
class _Moments:
    """Running count, mean and sum of squared differences from the mean."""

    count: int = 0
    mean: float = 0.0
    squares: float = 0.0
    nans: int = 0
    zeros: int = 0

    def add(self, pixels: NDArray[np.float32]) -> None:
        """Merge a block (pairwise update of Chan, Golub and LeVeque 1983)."""
        good = pixels[~np.isnan(pixels)].astype(np.float64)
        self.nans += pixels.size - good.size
        self.zeros += int(np.count_nonzero(good == 0))
        if not good.size:
            return
        mean = float(good.mean())
        total, shift = self.count + good.size, mean - self.mean
        self.squares += float(np.square(good - mean).sum())
        self.squares += shift * shift * self.count * good.size / total
        self.mean += shift * good.size / total
        self.count = total

    def result(self) -> BandStatistics:
        """Summarise what was added."""
        pixels = max(self.count + self.nans, 1)
        return BandStatistics(
            mean=self.mean if self.count else None,
            std=(self.squares / self.count) ** 0.5 if self.count else None,
            nan_fraction=self.nans / pixels,
            zero_fraction=self.zeros / pixels,
        )


def band_statistics(
    images: NDArray[np.float32], bands: Sequence[str], *, mask: NDArray[np.integer] | None = None
) -> dict[str, BandStatistics]:
    """Summarise the pixels of every band over all objects.

    Parameters
    ----------
    images : ndarray of float32, shape (n, bands, rows, columns)
        May be a memory map; it is read in blocks.
    bands : sequence of str
        Names along the second axis.
    mask : ndarray of int, shape (n,), optional
        Bits of the bands that have data; the pixels of the others are padding and count as NaN.

    Returns
    -------
    dict of str to BandStatistics
        Population mean and standard deviation over pixels that are not NaN.
    """
    moments = [_Moments() for _ in bands]
    for start in range(0, len(images), _BLOCK):
        block = images[start : start + _BLOCK]
        bits = None if mask is None else mask[start : start + _BLOCK]
        for index, running in enumerate(moments):
            plane = block[:, index]
            if bits is not None:
                empty = (bits >> index & 1) == 0
                running.nans += int(np.count_nonzero(empty)) * plane[0].size
                plane = plane[~empty]
            running.add(plane.ravel())
        let_go(images)
    return {name: running.result() for name, running in zip(bands, moments, strict=True)}
