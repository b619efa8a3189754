"""Background, detection and isophotal parameters of all sources of an image."""

from __future__ import annotations

import threading
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from galaxyds.morphology.cleaning import Mask, blanked
from galaxyds.morphology.settings import DetectionSettings

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


MERGED, SATURATED, TRUNCATED = 2, 4, 8
"""Bits of SExtractor's ``FLAGS`` that detection sets."""

BIG = 1e30
"""Pixels at or beyond this are no measurements, as in SExtractor."""

_LOCK = threading.Lock()  # sep keeps the size of its pixel stack for the whole process


@dataclass(frozen=True, slots=True)
class Isophotes:
    """What detection knows about the sources of an image.

    Attributes
    ----------
    pixels : numpy.ndarray
        float32 (rows, columns): the image less its background; 0 where the image is not finite.
    bad : numpy.ndarray or None
        bool (rows, columns): pixels that are not finite; None if all are.
    blank : numpy.ndarray
        bool (rows, columns): pixels that are hidden while other sources are measured.
    segmentation : numpy.ndarray
        int32 (rows, columns): 0, or 1 + the index of the source that the pixel belongs to.
    table : numpy.ndarray
        The record array of ``sep.extract``, one row per source.
    background : float
        Level of the background, as sep and SExtractor report it for the image.
    rms : float
        Noise of the background.
    """

    pixels: npt.NDArray[np.float32]
    bad: Mask | None
    blank: Mask
    segmentation: npt.NDArray[np.int32]
    table: npt.NDArray[np.void]
    background: float
    rms: float

    def flags(self, settings: DetectionSettings) -> Integers:
        """SExtractor's ``FLAGS`` as far as detection sets them, int64 (sources,)."""
        sep_merged, sep_truncated = 1, 2
        found = self.table["flag"].astype(np.int64)
        merged = np.where(found & sep_merged, MERGED, 0)
        truncated = np.where(found & sep_truncated, TRUNCATED, 0)
        # The level where the peak lies is that of the image to well within what a flag needs.
        bright = self.table["peak"] + self.background >= settings.saturation
        return np.asarray(merged | truncated | np.where(bright, SATURATED, 0), dtype=np.int64)

    def isophotal_area(self, settings: DetectionSettings) -> Integers:
        """``ISOAREA_IMAGE`` of every source, int64 (sources,).

        The source's detected pixels (filtered value above ``DETECT_THRESH``) whose unfiltered value
        is above ``ANALYSIS_THRESH``.
        """
        return np.array([self.area_of(i, settings) for i in range(len(self.table))], dtype=np.int64)

    def area_of(self, index: int, settings: DetectionSettings) -> int:
        """``ISOAREA_IMAGE`` of one source."""
        row = self.table[index]
        box = np.s_[row["ymin"] : row["ymax"] + 1, row["xmin"] : row["xmax"] + 1]
        above = self.pixels[box] > np.float32(settings.analysis_threshold * self.rms)
        above &= self.segmentation[box] == index + 1
        return int(np.count_nonzero(above))


def prepare(image: npt.ArrayLike) -> tuple[npt.NDArray[np.float32], Mask | None]:
    """Copy an image into the form that sep takes.

    Parameters
    ----------
    image : array_like
        (rows, columns), any real dtype and byte order.

    Returns
    -------
    pixels : numpy.ndarray
        float32, native byte order, contiguous, writable; 0 at bad pixels.
    bad : numpy.ndarray or None
        bool (rows, columns), True where the image is not finite or :data:`BIG`; None if it is
        sound everywhere.
    """
    with np.errstate(over="ignore", invalid="ignore"):  # what does not fit becomes infinite: bad
        pixels = np.array(image, dtype=np.float32, order="C", copy=True)
    finite = np.abs(pixels) < BIG
    if finite.all():
        return pixels, None
    bad = ~finite
    pixels[bad] = 0
    return pixels, bad


def detect(
    pixels: npt.NDArray[np.float32], bad: Mask | None, *, settings: DetectionSettings
) -> Isophotes:
    """Subtract the background and find the sources.

    Parameters
    ----------
    pixels, bad
        From :func:`prepare`; the background is subtracted from ``pixels`` in place.
    settings : DetectionSettings
        Thresholds, filter, deblending.

    Returns
    -------
    Isophotes
        Sources in the order of sep, which differs from that of SExtractor's catalogue.
    """
    import sep

    size, filtered = settings.background_size, settings.background_filter
    background = sep.Background(pixels, mask=bad, bw=size, bh=size, fw=filtered, fh=filtered)
    background.subfrom(pixels)
    rms = float(background.globalrms)
    if bad is not None:
        pixels[bad] = 0
    with _LOCK:
        stack = sep.get_extract_pixstack()
        # sep links all pixels of its stack on every call: no more of them than this image needs.
        sep.set_extract_pixstack(pixels.size + 16)
        try:
            table, segmentation = sep.extract(
                pixels,
                settings.detect_threshold * rms,
                mask=bad,
                minarea=settings.min_area,
                filter_kernel=np.array(settings.kernel, dtype=np.float32),
                filter_type="conv",
                deblend_nthresh=settings.deblend_levels,
                deblend_cont=settings.deblend_contrast,
                clean=settings.clean > 0,
                clean_param=settings.clean or 1.0,
                segmentation_map=True,
            )
        finally:
            sep.set_extract_pixstack(stack)
    threshold = settings.detect_threshold * rms
    blank = blanked(pixels, segmentation, table=table, threshold=threshold, settings=settings)
    if bad is not None:
        blank |= bad
    level = float(background.globalback)
    return Isophotes(pixels, bad, blank, segmentation, table, level, rms)
