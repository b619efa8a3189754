"""Cutouts of the simulated coadds of HSC, and the point-spread functions at objects."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Sequence

import numpy as np

from galaxyds.archives.base import NO_DATA, Cutout, CutoutObject, PointSpread
from galaxyds.errors import UsageError
from galaxyds.sky.coadd import Box, laid, near, noisy, white
from galaxyds.sky.hsc_conditions import WIDE, Layer, band_at, is_missing, noise_at
from galaxyds.sky.hsc_footprint import INNER, HSCFootprint, Tract, sky_box
from galaxyds.sky.hsc_fourier import Placed, draw
from galaxyds.sky.render import Image, galsim
from galaxyds.sky.surveys import HSC, SurveyBand
from galaxyds.sky.universe import Universe

PSF_SIZE = 41
"""Rows and columns of a point-spread image."""
_FAINTEST = 0.005  # counts per pixel, a seventh of the noise in g; light below it is left out
_FARTHEST = 320  # pixels; sources farther from a cutout are not looked at
_PATCHES_KEPT = 12


def cutout_box(tract: Tract, ra: float, dec: float, *, half_size: float) -> Box:
    """Find the pixels of a cutout as the service seems to.

    The corners of the box in right ascension and declination are projected, both ends are rounded,
    and the range includes them: 120 or 121 pixels for a half-size of 10 arcsec.

    Parameters
    ----------
    tract : Tract
    ra, dec : float
        Middle of the box, degrees.
    half_size : float
        Arcsec.

    Returns
    -------
    Box
    """
    half = half_size / 3600
    wide = half / np.cos(np.radians(dec))
    corners = tract.to_pixel(
        ra + wide * np.array([-1.0, 1.0, -1.0, 1.0]), dec + half * np.array([-1.0, -1.0, 1.0, 1.0])
    )
    low, high = ([int(np.floor(end(c) + 0.5)) for c in corners] for end in (np.min, np.max))
    return Box(x=low[0], y=low[1], width=high[0] - low[0] + 1, height=high[1] - low[1] + 1)


class Coadd:
    """The coadds of a footprint, rendered where they are looked at.

    Parameters
    ----------
    universe : Universe
    footprint : HSCFootprint
    layer : Layer

    Notes
    -----
    The sources of the last few patches are kept, so objects in the order of their ids are cheap.
    What is kept never changes a result.
    """

    def __init__(self, universe: Universe, footprint: HSCFootprint, layer: Layer = WIDE) -> None:
        self.universe = universe
        self.footprint = footprint
        self.layer = layer
        self._patches: OrderedDict[tuple[int, int, int], Placed] = OrderedDict()

    def cutouts(
        self, objects: Sequence[CutoutObject], bands: Sequence[str], *, half_size: float
    ) -> Iterator[Cutout]:
        """Render one cutout per object, in their order.

        Parameters
        ----------
        objects : sequence of CutoutObject
        bands : sequence of str
            Of ``grizy``.
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
            If an object's tract is not in the footprint.
        """
        _check(bands)
        for one in objects:
            yield self._cutout(one, bands, half_size)

    def point_spreads(
        self, objects: Sequence[CutoutObject], bands: Sequence[str]
    ) -> Iterator[PointSpread]:
        """Draw the point-spread functions at every object, in order.

        Raises
        ------
        UsageError
            If a band is unknown.
        NotInArchiveError
            If an object's tract is not in the footprint.
        """
        _check(bands)
        for one in objects:
            tract, patch, missing = self._place(one, bands)
            images = {
                name: point_spread(band_at(tract.number, patch, name))
                for name in bands
                if name not in missing and patch is not None
            }
            yield PointSpread(object_id=one.object_id, images=images, missing=missing)

    def _place(
        self, one: CutoutObject, bands: Sequence[str]
    ) -> tuple[Tract, tuple[int, int], dict[str, str]]:
        """Tract and patch of an object, and the bands that have no data there."""
        tract = self.footprint.tract(one.tile[0])
        x, y = (float(v[()]) for v in tract.to_pixel(np.asarray(one.ra), np.asarray(one.dec)))
        patch = tract.patch_of(x, y)
        if patch is None:
            return tract, (0, 0), dict.fromkeys(bands, NO_DATA)
        gone = (name for name in bands if is_missing(tract.number, x, y, name))
        return tract, patch, dict.fromkeys(gone, NO_DATA)

    def _cutout(self, one: CutoutObject, bands: Sequence[str], half_size: float) -> Cutout:
        tract, patch, missing = self._place(one, bands)
        seen = [name for name in bands if name not in missing]
        box = cutout_box(tract, one.ra, one.dec, half_size=half_size)
        x, y = tract.to_pixel(np.asarray(one.ra), np.asarray(one.dec))
        return Cutout(
            object_id=one.object_id,
            pixels=self.render(tract, patch, box, seen) if seen else {},
            position=dict.fromkeys(seen, (float(x) - box.x, float(y) - box.y)),
            missing=missing,
            grid=tract.grid(box.x, box.y),
        )

    def render(
        self, tract: Tract, patch: tuple[int, int], box: Box, bands: Sequence[str]
    ) -> dict[str, Image]:
        """Render a rectangle of a tract.

        Parameters
        ----------
        tract : Tract
        patch : tuple of int
            Whose seeing and depth count.
        box : Box
        bands : sequence of str

        Returns
        -------
        dict of str to ndarray of float32, (rows, columns)
            Counts, native byte order.
        """
        wider = Box(x=box.x - 1, y=box.y - 1, width=box.width + 2, height=box.height + 2)
        columns = [HSC.band_index(name) for name in bands]
        smooth = draw(
            near(self._of_patch(tract, patch), wider),
            [band_at(tract.number, patch, name) for name in bands],
            columns,
            scale=HSC.pixel_scale,
            shape=(wider.height, wider.width),
        )
        return {
            name: noisy(
                model,
                white(self.universe.seed, tract.number, name, wider),
                sigma=noise_at(tract.number, patch, name, deeper=self.layer.deeper),
                gain=HSC.band(name).gain,
            )
            for model, name in zip(smooth, bands, strict=True)
        }

    def _of_patch(self, tract: Tract, patch: tuple[int, int]) -> Placed:
        """Sources of a patch and around it, from the last few that were asked for."""
        key = (tract.number, *patch)
        if key not in self._patches:
            self._patches[key] = place(self.universe, tract, patch)
            while len(self._patches) > _PATCHES_KEPT:
                self._patches.popitem(last=False)
        self._patches.move_to_end(key)
        return self._patches[key]


def _check(bands: Sequence[str]) -> None:
    known = [band.name for band in HSC.bands]
    for name in bands:
        if name not in known:
            raise UsageError(f"HSC has no band '{name}'; it has: {', '.join(known)}", band=name)


def place(universe: Universe, tract: Tract, patch: tuple[int, int]) -> Placed:
    """Put the sources of a patch, and those around it whose light may reach it, on its pixels.

    Parameters
    ----------
    universe : Universe
    tract : Tract
    patch : tuple of int
        x, y.

    Returns
    -------
    Placed
        In tract pixels, sorted by key, so that sums do not depend on where one looks from.
    """
    margin = 240.0 + _FARTHEST  # half a cutout, the border of a patch at the rim, and the light
    edges = [
        np.linspace(index * INNER - margin, (index + 1) * INNER + margin, 9) for index in patch
    ]
    sources = universe.sources(sky_box(tract, edges[0], edges[1]), HSC)
    x, y = tract.to_pixel(sources.ra, sources.dec)
    inside = (x > edges[0][0]) & (x < edges[0][-1]) & (y > edges[1][0]) & (y < edges[1][-1])
    return laid(sources, x, y, inside=inside, survey=HSC, faintest=_FAINTEST)


def point_spread(band: SurveyBand) -> Image:
    """Image of a point source of flux 1 in the middle of the middle pixel.

    Parameters
    ----------
    band : SurveyBand
        With the seeing of the place.

    Returns
    -------
    ndarray of float32, (41, 41)
        Moffat profile and pixel; scaled to sum 1.
    """
    module = galsim()
    profile = module.Convolve(
        module.Moffat(beta=band.psf_beta, fwhm=band.psf_fwhm), module.Pixel(HSC.pixel_scale)
    )
    drawn = profile.drawImage(
        nx=PSF_SIZE, ny=PSF_SIZE, scale=HSC.pixel_scale, method="no_pixel", dtype=float
    ).array
    image: Image = (drawn / drawn.sum()).astype(np.float32)
    return image
