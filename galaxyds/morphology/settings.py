"""What a measurement depends on: the settings of SExtractor that matter here."""

from __future__ import annotations

from dataclasses import dataclass

GAUSS_3X3 = (
    (0.109853, 0.300700, 0.109853),
    (0.300700, 0.823102, 0.300700),
    (0.109853, 0.300700, 0.109853),
)
"""SExtractor's ``gauss_1.5_3x3.conv``: a Gaussian of 1.5 pixels FWHM on 3 x 3 pixels."""


@dataclass(frozen=True, kw_only=True, slots=True)
class DetectionSettings:
    """Detection and photometry, with the values that the authors of GalaxiesML ran.

    Their configuration file names some keywords twice; SExtractor takes the later line, and so do
    the defaults here.

    Attributes
    ----------
    detect_threshold : float
        ``DETECT_THRESH``: a filtered pixel above so many sigma of the background is detected.
    analysis_threshold : float
        ``ANALYSIS_THRESH``: in sigma; only the isophotal area counts with it, on unfiltered pixels.
    min_area : int
        ``DETECT_MINAREA``: fewest detected pixels of a source.
    kernel : tuple of tuple of float
        ``FILTER_NAME``: 3 x 3 detection filter, symmetric, normalised to a sum of one when applied.
    deblend_levels : int
        ``DEBLEND_NTHRESH``.
    deblend_contrast : float
        ``DEBLEND_MINCONT``.
    clean : float
        ``CLEAN_PARAM``; 0 stands for ``CLEAN N``.
    background_size : int
        ``BACK_SIZE``: side of a background mesh in pixels.
    background_filter : int
        ``BACK_FILTERSIZE``: side of the median filter in meshes.
    petro_factor, petro_minimum : float
        ``PHOT_PETROPARAMS``.
    kron_factor, kron_minimum : float
        ``PHOT_AUTOPARAMS``.
    saturation : float
        ``SATUR_LEVEL``: peak, background included, from which a source is flagged.
    zero_point : float
        ``MAG_ZEROPOINT``; 0 as published, so surface brightnesses are negative.
    pixel_scale : float
        ``PIXEL_SCALE``: arcseconds per pixel in surface brightnesses; 0.17 as published.
    """

    detect_threshold: float = 3.0
    analysis_threshold: float = 1.5
    min_area: int = 5
    kernel: tuple[tuple[float, ...], ...] = GAUSS_3X3
    deblend_levels: int = 32
    deblend_contrast: float = 0.005
    clean: float = 1.0
    background_size: int = 64
    background_filter: int = 3
    petro_factor: float = 2.0
    petro_minimum: float = 3.5
    kron_factor: float = 2.5
    kron_minimum: float = 3.5
    saturation: float = 50000.0
    zero_point: float = 0.0
    pixel_scale: float = 0.17
