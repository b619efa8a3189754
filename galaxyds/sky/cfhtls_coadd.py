"""Cutouts of the simulated tiles of CFHTLS, on the pixels of the tile, and whole tiles."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from galaxyds.archives.base import NO_DATA, Cutout, CutoutObject
from galaxyds.errors import UsageError
from galaxyds.sky.cfhtls_footprint import BANDS, CFHTLSFootprint, SkyTile
from galaxyds.sky.coadd import Box, laid, near, noisy, white
from galaxyds.sky.hashing import keyed, label_word, normal, uniform
from galaxyds.sky.hsc_conditions import BETA
from galaxyds.sky.hsc_fourier import Placed, draw
from galaxyds.sky.render import Image
from galaxyds.sky.surveys import CFHTLS, SurveyBand
from galaxyds.sky.universe import Universe

HOLE = 48
"""Pixels of the squares of a tile that may be masked."""
HOLE_SHARE = 0.0004
"""Share of masked squares, per band: about one cutout in a hundred shows a part of one."""
_FAINTEST = 0.25  # counts per pixel, an eighth of the noise in g; light below it is left out
_FARTHEST = 320  # pixels; sources farther from a cutout are not looked at
_FOLDED = (6e3, 6e4)  # counts above which what lies beyond the pixels' frequencies is seen
_TILES_KEPT = 3
_SCATTER = 0.05


def band_at(tile: SkyTile, name: str) -> SurveyBand:
    """Return a band with the seeing of a tile: it scatters log-normally by 5 %."""
    band = tile.survey().band(name)
    own = float(normal(keyed(tile.number), f"cfhtls seeing {name}")[()])
    width = band.psf_fwhm * float(np.exp(_SCATTER * np.clip(own, -2, 2)))
    return replace(band, psf_fwhm=width, psf_beta=BETA)


def noise_at(tile: SkyTile, name: str) -> float:
    """Standard deviation of empty pixels in counts: that of the sky; it scatters by 6 %."""
    band = CFHTLS.band(name)
    own = float(normal(keyed(tile.number), f"cfhtls noise {name}")[()])
    return float(np.sqrt(band.sky / band.gain) * np.exp(0.06 * np.clip(own, -2, 2)))


def cutout_box(tile: SkyTile, ra: float, dec: float, *, half_size: float) -> Box:
    """Find the pixels of a cutout: 64 x 64 for 5.952 arcsec, fewer at the edge of the tile.

    The object stands within half a pixel of the middle, unless pixels are missing.

    Parameters
    ----------
    tile : SkyTile
    ra, dec : float
        Degrees.
    half_size : float
        Arcsec.

    Returns
    -------
    Box
        Of no width or height where the tile does not reach.
    """
    size = max(1, round(2 * half_size / CFHTLS.pixel_scale))
    ends = []
    for place in tile.to_pixel(np.asarray(ra), np.asarray(dec)):
        # A micropixel decides no tie.
        first = int(np.floor(round(float(place), 6) - (size - 1) / 2 + 0.5))
        ends.append((max(first, 0), max(min(first + size, tile.pixels), first, 0)))
    (left, right), (low, high) = ends
    return Box(x=left, y=low, width=right - left, height=high - low)


class CFHTLSCoadd:
    """The tiles of a footprint, rendered where they are looked at.

    Parameters
    ----------
    universe : Universe
    footprint : CFHTLSFootprint

    Notes
    -----
    The sources of the last few tiles are kept; what is kept never changes a result.
    """

    def __init__(self, universe: Universe, footprint: CFHTLSFootprint) -> None:
        self.universe = universe
        self.footprint = footprint
        self._tiles: OrderedDict[int, Placed] = OrderedDict()

    def cutouts(
        self, objects: Sequence[CutoutObject], bands: Sequence[str], *, half_size: float
    ) -> Iterator[Cutout]:
        """Render one cutout per object, in their order.

        Parameters
        ----------
        objects : sequence of CutoutObject
        bands : sequence of str
            Of ``ugriz``.
        half_size : float
            Arcsec.

        Yields
        ------
        Cutout

        Raises
        ------
        UsageError
            If a band is unknown.
        NotInArchiveError
            If an object's tile is not in the footprint.
        """
        for name in bands:
            if name not in BANDS:
                raise UsageError(f"CFHTLS has no band '{name}'; it has: {', '.join(BANDS)}")
        for one in objects:
            yield self._cutout(one, bands, half_size)

    def _cutout(self, one: CutoutObject, bands: Sequence[str], half_size: float) -> Cutout:
        from astropy.wcs import WCS

        tile = self.footprint.tile(one.tile[0], one.tile[1])
        box = cutout_box(tile, one.ra, one.dec, half_size=half_size)
        seen = [name for name in bands if name in tile.bands and box.width and box.height]
        drawn = self.render(tile, box, seen) if seen else {}
        pixels = {name: image for name, image in drawn.items() if np.isfinite(image).any()}
        seen = list(pixels)
        x, y = tile.to_pixel(np.asarray(one.ra), np.asarray(one.dec))
        return Cutout(
            object_id=one.object_id,
            pixels=pixels,
            position=dict.fromkeys(seen, (float(x) - box.x, float(y) - box.y)),
            missing=dict.fromkeys((name for name in bands if name not in seen), NO_DATA),
            grid=WCS(tile.cards(box.x, box.y)),
        )

    def render(self, tile: SkyTile, box: Box, bands: Sequence[str]) -> dict[str, Image]:
        """Render a rectangle of a tile.

        Parameters
        ----------
        tile : SkyTile
        box : Box
            Within the tile.
        bands : sequence of str

        Returns
        -------
        dict of str to ndarray of float32, (rows, columns)
            Counts, native byte order, NaN where the tile is masked.
        """
        wider = Box(x=box.x - 1, y=box.y - 1, width=box.width + 2, height=box.height + 2)
        smooth = draw(
            near(self._of_tile(tile), wider),
            [band_at(tile, name) for name in bands],
            [CFHTLS.band_index(name) for name in bands],
            scale=CFHTLS.pixel_scale,
            shape=(wider.height, wider.width),
            folded=_FOLDED,
        )
        images = {}
        for model, name in zip(smooth, bands, strict=True):
            noise = white(self.universe.seed, tile.number, f"cfhtls {name}", wider)
            image = noisy(model, noise, sigma=noise_at(tile, name), gain=CFHTLS.band(name).gain)
            image[masked(tile, name, box)] = np.nan
            images[name] = image
        return images

    def _of_tile(self, tile: SkyTile) -> Placed:
        """Sources of a tile and around it, from the last few that were asked for."""
        if tile.number not in self._tiles:
            self._tiles[tile.number] = place(self.universe, tile)
            while len(self._tiles) > _TILES_KEPT:
                self._tiles.popitem(last=False)
        self._tiles.move_to_end(tile.number)
        return self._tiles[tile.number]


def place(universe: Universe, tile: SkyTile) -> Placed:
    """Put the sources of a tile, and those around it whose light may reach it, on its pixels.

    Parameters
    ----------
    universe : Universe
    tile : SkyTile

    Returns
    -------
    Placed
        In tile pixels, sorted by key.
    """
    sources = universe.sources(tile.region(_FARTHEST), tile.survey())
    x, y = tile.to_pixel(sources.ra, sources.dec)
    low, high = -float(_FARTHEST), tile.pixels + float(_FARTHEST)
    inside = (x > low) & (x < high) & (y > low) & (y < high)
    return laid(sources, x, y, inside=inside, survey=tile.survey(), faintest=_FAINTEST)


def masked(tile: SkyTile, band: str, box: Box) -> NDArray[np.bool_]:
    """Say which pixels of a box are masked, (rows, columns): squares drawn at random."""
    columns, rows = (
        np.arange(first, first + length) // HOLE
        for first, length in ((box.x, box.width), (box.y, box.height))
    )
    across, down = np.unique(columns), np.unique(rows)
    word = np.asarray(label_word(f"mask {band}"))
    keys = keyed(tile.number, word, down[:, None], across[None, :])
    holes = uniform(keys, "hole") < HOLE_SHARE
    held: NDArray[np.bool_] = holes[np.ix_(rows - rows[0], columns - columns[0])]
    return held
