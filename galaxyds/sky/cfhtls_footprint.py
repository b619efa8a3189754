"""Where MegaCam points in the simulated sky: tiles, named after their middles as the survey's are.

A tile is one gnomonic plane about its own middle, north up, shared by all bands.  Those of the
survey measure a degree; the simulated ones are smaller, and stand in a row or a square with a
small overlap, near the places of the patches W1 and W4.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from galaxyds.errors import NotInArchiveError
from galaxyds.pixels.gnomonic import deproject, project
from galaxyds.sky.cells import Region
from galaxyds.sky.hashing import Floats
from galaxyds.sky.surveys import CFHTLS, Survey

BANDS = tuple(band.name for band in CFHTLS.bands)
DEGREES = CFHTLS.pixel_scale / 3600
"""Degrees per pixel."""
OLD_I, NEW_I = "i.MP9701", "i.MP9702"
"""The i filter, and the one that took its place after it broke."""
FILTERS = {"u": "u.MP9301", "g": "g.MP9401", "r": "r.MP9601", "i": OLD_I, "z": "z.MP9801"}
"""Names of the filters in the archive."""
_NEW_I_CENTER = 7595.0  # angstrom; the new filter ends a little bluer


@dataclass(frozen=True, kw_only=True, slots=True)
class SkyTile:
    """A tile of the simulated survey.

    Attributes
    ----------
    tile_ra, tile_dec : int
        HHMMSS and signed DDMMSS of the middle, which lies exactly there.
    pixels : int
        Rows and columns.
    new_i : bool
        Whether i was observed with the new filter.
    missing : tuple of str
        Bands that were not observed.
    """

    tile_ra: int
    tile_dec: int
    pixels: int = 3000
    new_i: bool = False
    missing: tuple[str, ...] = ()

    @property
    def ra(self) -> float:
        """Right ascension of the middle, degrees."""
        return 15 * _sexagesimal(self.tile_ra)

    @property
    def dec(self) -> float:
        """Declination of the middle, degrees."""
        return _sexagesimal(self.tile_dec)

    @property
    def number(self) -> int:
        """One number for the tile, for seeds."""
        return self.tile_ra * 2_000_000 + self.tile_dec + 1_000_000

    @property
    def name(self) -> str:
        """Name of the observation, as in ``CFHTLS_W_022539-041200``."""
        return f"CFHTLS_W_{self.place}"

    @property
    def place(self) -> str:
        """HHMMSS and signed DDMMSS, as text."""
        return f"{self.tile_ra:06d}{self.tile_dec:+07d}"

    @property
    def bands(self) -> tuple[str, ...]:
        """Bands that were observed."""
        return tuple(name for name in BANDS if name not in self.missing)

    def filter(self, band: str) -> str:
        """Name of the filter of a band."""
        return NEW_I if band == "i" and self.new_i else FILTERS[band]

    def survey(self) -> Survey:
        """How the tile sees the sky: its i filter is one of two."""
        if not self.new_i:
            return CFHTLS
        bands = tuple(
            replace(band, curve=replace(band.curve, center=_NEW_I_CENTER))
            if band.name == "i"
            else band
            for band in CFHTLS.bands
        )
        return replace(CFHTLS, bands=bands)

    @property
    def middle(self) -> float:
        """0-based pixel (x and y) of the tangent point."""
        return (self.pixels - 1) / 2

    def to_pixel(self, ra: Floats, dec: Floats) -> tuple[Floats, Floats]:
        """Find 0-based pixels (x, y) of sky positions in degrees; x grows westwards."""
        xi, eta = project(ra, dec, center=(self.ra, self.dec))
        return self.middle - xi / DEGREES, self.middle + eta / DEGREES

    def to_sky(self, x: Floats, y: Floats) -> tuple[Floats, Floats]:
        """Find right ascension and declination in degrees of 0-based pixels."""
        xi, eta = (self.middle - x) * DEGREES, (y - self.middle) * DEGREES
        return deproject(xi, eta, center=(self.ra, self.dec))

    def inside(self, ra: Floats, dec: Floats) -> NDArray[np.bool_]:
        """Whether positions lie on the pixels of the tile."""
        x, y = self.to_pixel(ra, dec)
        off = np.maximum(np.abs(x - self.middle), np.abs(y - self.middle))
        near = np.abs((ra - self.ra + 180) % 360 - 180) < 10
        held: NDArray[np.bool_] = near & (off < self.pixels / 2)
        return held

    def region(self, margin: float) -> Region:
        """Box on the sky that holds the tile, with a margin in pixels."""
        edge = np.linspace(-margin, self.pixels - 1 + margin, 21)
        columns, rows = np.meshgrid(edge, edge)
        ra, dec = self.to_sky(columns.ravel(), rows.ravel())
        ra = (ra - self.ra + 180) % 360 - 180 + self.ra
        return Region(
            ra_min=float(ra.min()),
            ra_max=float(ra.max()),
            dec_min=float(dec.min()),
            dec_max=float(dec.max()),
        )

    def cards(self, x: int = 0, y: int = 0) -> dict[str, object]:
        """Cards of the projection of pixels from (x, y) on."""
        return {
            "WCSAXES": 2, "CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CUNIT1": "deg",
            "CUNIT2": "deg", "CRVAL1": self.ra, "CRVAL2": self.dec,
            "CRPIX1": self.middle + 1 - x, "CRPIX2": self.middle + 1 - y,
            "CD1_1": -DEGREES, "CD1_2": 0.0, "CD2_1": 0.0, "CD2_2": DEGREES, "RADESYS": "ICRS",
        }  # fmt: skip


def _sexagesimal(number: int) -> float:
    """Degrees or hours of a signed DDMMSS."""
    whole = abs(number)
    value = whole // 10_000 + whole // 100 % 100 / 60 + whole % 100 / 3600
    return value if number >= 0 else -value


@dataclass(frozen=True, kw_only=True, slots=True)
class CFHTLSFootprint:
    """The tiles of a survey of the simulated sky."""

    tiles: tuple[SkyTile, ...]

    def tile(self, tile_ra: int, tile_dec: int) -> SkyTile:
        """Return the tile of that name.

        Raises
        ------
        NotInArchiveError
            If the footprint has none.
        """
        for tile in self.tiles:
            if (tile.tile_ra, tile.tile_dec) == (tile_ra, tile_dec):
                return tile
        raise NotInArchiveError(
            f"the simulated sky has no tile {tile_ra:06d}{tile_dec:+07d}: "
            f"its tiles are {', '.join(tile.place for tile in self.tiles)}",
            tile=(tile_ra, tile_dec),
        )


DEFAULT_CFHTLS_FOOTPRINT = CFHTLSFootprint(
    tiles=(
        *(
            SkyTile(tile_ra=tile_ra, tile_dec=tile_dec, new_i=tile_ra == 221354)
            for tile_dec in (11500, 12400)
            for tile_ra in (221318, 221354, 221430)
        ),
        SkyTile(tile_ra=21800, tile_dec=-70000, new_i=True),
        SkyTile(tile_ra=21836, tile_dec=-70000),
        SkyTile(tile_ra=21912, tile_dec=-70000, missing=("u",)),
    )
)
"""Nine tiles of 0.155 degrees, of which one lacks u: 0.2 square degrees."""
