"""Bands beside those of HSC: u of MegaCam, two filters, and the near infrared of VIRCAM.

Wavelengths and widths: the instruments' filter tables (MegaCam MP9301 = u*, MP9302 = u; VIRCAM J,
H, Ks).  Depths are those of CLAUDS (Sawicki et al. 2019), and between those of UltraVISTA and VIDEO
(McCracken et al. 2012; Jarvis et al. 2013), for point sources; extinction follows Schlafly &
Finkbeiner 2011 for like filters.
"""

from __future__ import annotations

from galaxyds.sky.surveys import HSC, FilterCurve, Survey, SurveyBand

DEPTH = {"u*": 27.0, "u": 27.0, "J": 24.6, "H": 24.2, "Ks": 24.0}
"""5-sigma limit of point sources, AB."""

DEEP = Survey(
    name="HSC-Deep mosaics",
    pixel_scale=0.25,
    zero_point=27.0,
    unit="count",
    depth=HSC.depth,
    tile_shape=(0, 0),
    bands=tuple(
        SurveyBand(
            name=name,
            curve=FilterCurve(center=center, width=width),
            psf_fwhm=fwhm,
            psf_beta=2.5,
            sky=0.0,
            gain=500.0,
            dark_variance=0.0,
            unit_per_count=1.0,
            extinction=extinction,
        )
        for name, center, width, fwhm, extinction in (
            ("u*", 3743, 758, 0.92, 4.11),
            ("u", 3538, 868, 0.92, 4.45),
            ("J", 12520, 1720, 0.80, 0.71),
            ("H", 16450, 2910, 0.78, 0.45),
            ("Ks", 21470, 3090, 0.78, 0.30),
        )
    ),
)
"""What mosaics show; pixel scale and zero point are each mosaic's own."""
