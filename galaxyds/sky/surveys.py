"""Surveys that can look at the simulated sky: frozen declarations, no code.

Filter curves are our own compact form, a product of two logistic edges as far apart as the
published full width at half maximum, placed at the published wavelength.  SDSS: Fukugita et al.
1996 (AJ 111, 1748) and Doi et al. 2010 (AJ 139, 1628), pivots 3557, 4702, 6176, 7490 and 8947
angstrom within 12; HSC: Kawanomoto et al. 2018 (PASJ 70, 66); MegaCam: the instrument's filter
table (u*, g', r', i', z').  Sky, gain and zero points of SDSS are those of a real field (run 94,
camcol 1, field 12); for the two coadded surveys they are set so that the 5-sigma depth of a point
source is about the published one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from galaxyds.errors import UsageError
from galaxyds.sky.hashing import Floats


@dataclass(frozen=True, kw_only=True, slots=True)
class FilterCurve:
    """Transmission of a filter with the atmosphere, telescope and detector.

    Attributes
    ----------
    center, width : float
        Middle of the half-power points, and their distance, in angstrom.
    blue_edge, red_edge : float
        Softness of the edges in angstrom (scale of a logistic).
    """

    center: float
    width: float
    blue_edge: float = 30.0
    red_edge: float = 30.0

    def __call__(self, wavelength: Floats) -> Floats:
        """Relative photon response at wavelengths in angstrom."""
        blue = self.center - self.width / 2
        red = self.center + self.width / 2
        rising = 1 / (1 + np.exp(-np.clip((wavelength - blue) / self.blue_edge, -60, 60)))
        response: Floats = rising / (
            1 + np.exp(np.clip((wavelength - red) / self.red_edge, -60, 60))
        )
        return response

    def grid(self, samples: int = 160) -> Floats:
        """Wavelengths, in angstrom, that hold all but 1e-3 of the response."""
        low = self.center - self.width / 2 - 8 * self.blue_edge
        return np.linspace(low, self.center + self.width / 2 + 8 * self.red_edge, samples)

    def pivot(self) -> float:
        """Pivot wavelength in angstrom: sqrt(int T l dl / int T / l dl)."""
        wave = self.grid()
        response = self(wave)
        return float(np.sqrt(np.sum(response * wave) / np.sum(response / wave)))


@dataclass(frozen=True, kw_only=True, slots=True)
class SurveyBand:
    """One band of a survey.

    Attributes
    ----------
    name : str
        As in the survey's files.
    curve : FilterCurve
    psf_fwhm : float
        Typical full width at half maximum of the point-spread function, arcsec.
    psf_beta : float
        Moffat's exponent.
    sky : float
        Sky level in counts per pixel.
    gain : float
        Electrons per count.
    dark_variance : float
        Read noise and dark current, counts squared per pixel.
    unit_per_count : float
        Pixel unit per count (nanomaggies for SDSS frames).
    extinction : float
        A_band / E(B-V) on the unscaled SFD98 scale, R_V = 3.1 (Schlafly & Finkbeiner 2011).
    ab_offset : float
        Magnitude in the survey's calibration less the AB magnitude (SDSS: u 0.04, z -0.02, from its
        page on flux calibration).
    """

    name: str
    curve: FilterCurve
    psf_fwhm: float
    psf_beta: float
    sky: float
    gain: float
    dark_variance: float
    unit_per_count: float
    extinction: float
    ab_offset: float = 0.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Survey:
    """How a survey sees the sky.

    Attributes
    ----------
    name : str
    bands : tuple of SurveyBand
        In the survey's order.
    pixel_scale : float
        Arcsec per pixel.
    zero_point : float
        AB magnitude of a source of flux 1 in the pixel unit.
    unit : str
        Pixel unit, FITS style.
    depth : float
        SDSS r magnitude down to which sources are drawn.
    tile_shape : tuple of int
        Rows and columns of one tile of pixels.
    """

    name: str
    bands: tuple[SurveyBand, ...]
    pixel_scale: float
    zero_point: float
    unit: str
    depth: float
    tile_shape: tuple[int, int]

    def band(self, name: str) -> SurveyBand:
        """Return the band of that name.

        Raises
        ------
        UsageError
            If the survey has none.
        """
        for band in self.bands:
            if band.name == name:
                return band
        known = ", ".join(band.name for band in self.bands)
        raise UsageError(f"{self.name} has no band '{name}'; it has: {known}", band=name)

    def band_index(self, name: str) -> int:
        """Return the position of a band on the band axis."""
        return self.bands.index(self.band(name))

    def flux(self, magnitude: Floats) -> Floats:
        """Flux in the pixel unit of AB magnitudes."""
        return np.power(10.0, 0.4 * (self.zero_point - magnitude))


SDSS = Survey(
    name="SDSS",
    pixel_scale=0.396,
    zero_point=22.5,
    unit="nanomaggy",
    depth=23.2,
    tile_shape=(1489, 2048),
    bands=(
        SurveyBand(
            name="u",
            curve=FilterCurve(center=3567, width=599, blue_edge=60, red_edge=45),
            psf_fwhm=1.53,
            psf_beta=3.0,
            sky=39.2,
            gain=1.62,
            dark_variance=9.61,
            unit_per_count=0.00742077,
            extinction=4.239,
            ab_offset=0.04,
        ),
        SurveyBand(
            name="g",
            curve=FilterCurve(center=4735, width=1379, blue_edge=70, red_edge=25),
            psf_fwhm=1.44,
            psf_beta=3.1,
            sky=104.7,
            gain=3.32,
            dark_variance=15.6025,
            unit_per_count=0.00318618,
            extinction=3.303,
        ),
        SurveyBand(
            name="r",
            curve=FilterCurve(center=6190, width=1382, blue_edge=45, red_edge=35),
            psf_fwhm=1.32,
            psf_beta=3.2,
            sky=183.0,
            gain=4.71,
            dark_variance=1.8225,
            unit_per_count=0.00476035,
            extinction=2.285,
        ),
        SurveyBand(
            name="i",
            curve=FilterCurve(center=7514, width=1535, blue_edge=45, red_edge=40),
            psf_fwhm=1.26,
            psf_beta=3.1,
            sky=274.1,
            gain=5.165,
            dark_variance=7.84,
            unit_per_count=0.0068883,
            extinction=1.698,
        ),
        SurveyBand(
            name="z",
            curve=FilterCurve(center=8905, width=1370, blue_edge=70, red_edge=220),
            psf_fwhm=1.29,
            psf_beta=3.0,
            sky=181.1,
            gain=4.745,
            dark_variance=0.81,
            unit_per_count=0.0332767,
            extinction=1.263,
            ab_offset=-0.02,
        ),
    ),
)

HSC = Survey(
    name="HSC",
    pixel_scale=0.168,
    zero_point=27.0,
    unit="count",
    depth=26.2,
    tile_shape=(4200, 4100),
    bands=tuple(
        SurveyBand(
            name=name,
            curve=FilterCurve(center=center, width=width),
            psf_fwhm=fwhm,
            psf_beta=3.0,
            sky=sky,
            gain=500.0,
            dark_variance=0.0,
            unit_per_count=1.0,
            extinction=extinction,
        )
        for name, center, width, fwhm, sky, extinction in (
            ("g", 4754, 1395, 0.77, 1.06, 3.240),
            ("r", 6175, 1503, 0.76, 2.26, 2.276),
            ("i", 7711, 1574, 0.58, 5.6, 1.633),
            ("z", 8898, 766, 0.68, 17.8, 1.263),
            ("y", 9762, 783, 0.68, 64.8, 1.075),
        )
    ),
)

CFHTLS = Survey(
    name="CFHTLS",
    pixel_scale=0.186,
    zero_point=30.0,
    unit="count",
    depth=25.5,
    tile_shape=(19354, 19354),
    bands=tuple(
        SurveyBand(
            name=name,
            curve=FilterCurve(center=center, width=width),
            psf_fwhm=fwhm,
            psf_beta=3.2,
            sky=sky,
            gain=60.0,
            dark_variance=0.0,
            unit_per_count=1.0,
            extinction=extinction,
        )
        for name, center, width, fwhm, sky, extinction in (
            ("u", 3750, 740, 0.85, 350.0, 4.0),
            ("g", 4870, 1450, 0.78, 240.0, 3.2),
            ("r", 6250, 1220, 0.71, 725.0, 2.25),
            ("i", 7700, 1520, 0.64, 1290.0, 1.65),
            ("z", 9000, 1080, 0.68, 6000.0, 1.25),
        )
    ),
)
