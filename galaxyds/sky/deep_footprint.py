"""Three fields of the simulated HSC-Deep: tracts of HSC, and mosaics of u and the near infrared.

They stand for what the survey is like: COSMOS with everything, XMM-LSS with a near infrared that
ends within the field and lacks H, DEEP2-3 without any.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from galaxyds.pixels.gnomonic import project
from galaxyds.sky.cells import Region
from galaxyds.sky.hashing import Floats
from galaxyds.sky.hsc_footprint import INNER, HSCFootprint, Tract

if TYPE_CHECKING:
    from astropy.wcs import WCS

BORDER = 40
"""Pixels of zeros around what a mosaic observed, as real ones have them."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SkyMosaic:
    """A mosaic: a gnomonic plane of its own.

    Attributes
    ----------
    number : int
        Of its noise.
    field, band : str
        Name of the field, and band.
    ra, dec : float
        Tangent point in degrees, the middle of the mosaic.
    scale, turn : float
        Arcsec per pixel; degrees by which its rows are turned from west towards north.
    shape : tuple of int
        Rows and columns, the border of zeros included.
    zero_point : float
        AB magnitude of one count.
    """

    number: int
    field: str
    band: str
    ra: float
    dec: float
    scale: float
    turn: float
    shape: tuple[int, int]
    zero_point: float

    @property
    def name(self) -> str:
        """File name that it would have."""
        return f"simulated_{self.field}_{self.band.replace('*', 'S')}.fits"

    def matrix(self) -> Floats:
        """CD matrix in degrees per pixel, (2, 2)."""
        cosine, sine = np.cos(np.radians(self.turn)), np.sin(np.radians(self.turn))
        unit: Floats = np.array([[-cosine, sine], [sine, cosine]]) * (self.scale / 3600)
        return unit

    def middle(self) -> tuple[float, float]:
        """0-based pixel (x, y) of the tangent point."""
        return (self.shape[1] - 1) / 2, (self.shape[0] - 1) / 2

    def to_pixel(self, ra: Floats, dec: Floats) -> tuple[Floats, Floats]:
        """Find 0-based pixels (x, y) of sky positions."""
        xi, eta = project(ra, dec, center=(self.ra, self.dec))
        inverse = np.linalg.inv(self.matrix())
        x, y = self.middle()
        return (
            x + inverse[0, 0] * xi + inverse[0, 1] * eta,
            y + inverse[1, 0] * xi + inverse[1, 1] * eta,
        )

    def wcs(self) -> WCS:
        """Return its projection."""
        from astropy.wcs import WCS

        made = WCS(naxis=2)
        made.wcs.ctype = ["RA---TAN", "DEC--TAN"]
        made.wcs.crval = (self.ra, self.dec)
        x, y = self.middle()
        made.wcs.crpix = (x + 1, y + 1)
        made.wcs.cd = self.matrix()
        made.wcs.radesys = "ICRS"
        made.wcs.set()
        return made

    def region(self, margin: float) -> Region:
        """Box on the sky that holds it, with a margin in arcsec."""
        half = (np.hypot(*self.shape) / 2 * self.scale + margin) / 3600
        wide = half / np.cos(np.radians(abs(self.dec) + half))
        return Region(
            ra_min=self.ra - wide, ra_max=self.ra + wide,
            dec_min=self.dec - half, dec_max=self.dec + half,
        )  # fmt: skip


@dataclass(frozen=True, kw_only=True, slots=True)
class DeepFootprint:
    """What was observed of the simulated HSC-Deep.

    Attributes
    ----------
    hsc : HSCFootprint
        Tracts and patches.
    mosaics : tuple of SkyMosaic
        In any order.
    """

    hsc: HSCFootprint
    mosaics: tuple[SkyMosaic, ...]

    def regions(self) -> tuple[Region, ...]:
        """Boxes on the sky that hold each tract's patches."""
        return tuple(tract.region(0.0) for tract in self.hsc.tracts)


def field_mosaics(
    tract: Tract, field: str, bands: dict[str, tuple[float, float, float, float]]
) -> tuple[SkyMosaic, ...]:
    """Lay mosaics over the observed patches of a tract.

    Parameters
    ----------
    tract : Tract
    field : str
        Name of the field.
    bands : dict of str to tuple of float
        Per band: arcsec per pixel, turn in degrees, zero point, and the share of the field's
        height that it shows, from the north if positive, from the south if negative.

    Returns
    -------
    tuple of SkyMosaic
    """
    columns = tract.columns[1] + 1 - tract.columns[0]
    rows = tract.rows[1] + 1 - tract.rows[0]
    west = (tract.columns[0] + columns / 2) * INNER
    side = INNER * 0.168
    made = []
    for number, (band, (scale, turn, zero_point, share)) in enumerate(bands.items()):
        height = rows * side * abs(share)
        offset = np.sign(share) * (rows * INNER / 2) * (1 - abs(share))
        north = (tract.rows[0] + rows / 2) * INNER + offset
        ra, dec = tract.to_sky(np.asarray(west), np.asarray(north))
        shape = tuple(
            round((extent + (60 if abs(share) == 1 else 0)) / scale) + 2 * BORDER
            for extent in (height, columns * side)
        )
        made.append(
            SkyMosaic(
                number=tract.number * 10 + number,
                field=field,
                band=band,
                ra=float(ra),
                dec=float(dec),
                scale=scale,
                turn=turn,
                shape=(shape[0], shape[1]),
                zero_point=zero_point,
            )
        )
    return tuple(made)


_EVERYTHING = {
    "u*": (0.186, 0.4, 30.0, 0.6),
    "u": (0.200, -0.3, 25.8, 1.0),
    "J": (0.30, 1.5, 30.0, 1.0),
    "H": (0.30, 1.5, 30.0, 1.0),
    "Ks": (0.25, -1.2, 23.9, 1.0),
}
_PARTLY = {
    "u": (0.186, 0.2, 30.0, 1.0),
    "J": (0.20, -2.0, 28.4, -0.7),
    "Ks": (0.20, -2.0, 27.6, -0.55),
}
_NO_INFRARED = {"u": (0.186, -0.5, 30.0, 0.9)}


def footprint(patches: int = 2) -> DeepFootprint:
    """Make the three fields.

    Parameters
    ----------
    patches : int
        Rows and columns of patches of each.

    Returns
    -------
    DeepFootprint
        Tract numbers beyond those of the survey, at the places of the fields.
    """
    ends = (4, 3 + patches)
    east, middle, west = (
        Tract(number=number, ra=ra, dec=dec, columns=ends, rows=ends)
        for number, ra, dec in ((21035, 150.1, 2.2), (21036, 35.2, -4.7), (21037, 352.1, -0.3))
    )
    return DeepFootprint(
        hsc=HSCFootprint(tracts=(east, middle, west)),
        mosaics=(
            *field_mosaics(east, "COSMOS", _EVERYTHING),
            *field_mosaics(middle, "XMM-LSS", _PARTLY),
            *field_mosaics(west, "DEEP2-3", _NO_INFRARED),
        ),
    )


DEFAULT_DEEP_FOOTPRINT = footprint()
"""Three fields of four patches each: 0.4 square degrees."""
