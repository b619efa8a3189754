"""Cutouts of the simulated coadds of HSC, and the point-spread functions at objects."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from galaxyds.archives.base import NO_DATA, Cutout, CutoutObject, PointSpread
from galaxyds.errors import UsageError
from galaxyds.sky.hashing import keyed, label_word
from galaxyds.sky.hsc_conditions import band_at, is_missing, kernel, noise_at
from galaxyds.sky.hsc_footprint import INNER, HSCFootprint, Tract, sky_box
from galaxyds.sky.hsc_fourier import Placed, draw, groups, held, reach
from galaxyds.sky.render import Image, galsim
from galaxyds.sky.surveys import HSC, SurveyBand
from galaxyds.sky.universe import Universe

PSF_SIZE = 41
"""Rows and columns of a point-spread image."""
_FAINTEST = 0.005  # counts per pixel, a seventh of the noise in g; light below it is left out
_FARTHEST = 320  # pixels; sources farther from a cutout are not looked at
_PATCHES_KEPT = 12
_BLOCK = 64  # rows and columns of a block of noise


@dataclass(frozen=True, kw_only=True, slots=True)
class Box:
    """Pixels of a tract that a cutout shows: first (x, y) and size (columns, rows)."""

    x: int
    y: int
    width: int
    height: int


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

    Notes
    -----
    The sources of the last few patches are kept, so objects in the order of their ids are cheap.
    What is kept never changes a result.
    """

    def __init__(self, universe: Universe, footprint: HSCFootprint) -> None:
        self.universe = universe
        self.footprint = footprint
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
            self._near(tract, patch, wider),
            [band_at(tract.number, patch, name) for name in bands],
            columns,
            scale=HSC.pixel_scale,
            shape=(wider.height, wider.width),
        )
        images = {}
        for model, name in zip(smooth, bands, strict=True):
            sigma = np.float32(noise_at(tract.number, patch, name))
            gain = np.float32(HSC.band(name).gain)
            noise = white(self.universe.seed, tract.number, name, wider)
            noise *= np.sqrt(sigma**2 + model / gain)
            images[name] = model[1:-1, 1:-1] + _smoothed(noise)
        return images

    def _near(self, tract: Tract, patch: tuple[int, int], box: Box) -> Placed:
        """Sources whose squares reach a box, in its pixels."""
        placed = self._of_patch(tract, patch)
        x, y = placed.x - box.x, placed.y - box.y
        half_width, half_height = box.width / 2, box.height / 2
        far = placed.reach + 2.0  # a square reaches a pixel or two beyond what it must hold
        near = np.abs(x - half_width) < half_width + far
        seen = np.flatnonzero(near & (np.abs(y - half_height) < half_height + far))
        return Placed(
            sources=placed.sources.take(seen),
            x=x[seen],
            y=y[seen],
            flux=placed.flux[seen],
            reach=placed.reach[seen],
        )

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
    # A source counts as far as its square goes: what it adds to a pixel is then the same from
    # wherever one looks.
    inside = (x > edges[0][0]) & (x < edges[0][-1]) & (y > edges[1][0]) & (y < edges[1][-1])
    chosen = np.flatnonzero(inside)
    chosen = chosen[np.argsort(sources.key[chosen], kind="stable")]
    sources = sources.take(chosen)
    flux = HSC.flux(sources.magnitude)
    far = reach(sources, flux.max(axis=1), scale=HSC.pixel_scale, faintest=_FAINTEST)
    for size, rows in groups(far):
        far[rows] = held(size)
    return Placed(sources=sources, x=x[chosen], y=y[chosen], flux=flux, reach=far)


def white(seed: int, tract: int, band: str, box: Box) -> Image:
    """White noise of standard deviation 1 on the pixels of a tract, the same whoever looks.

    Parameters
    ----------
    seed : int
        Of the universe.
    tract : int
    band : str
    box : Box

    Returns
    -------
    ndarray of float32, (rows, columns)
    """
    columns = np.arange(box.x // _BLOCK, (box.x + box.width - 1) // _BLOCK + 1)
    rows = np.arange(box.y // _BLOCK, (box.y + box.height - 1) // _BLOCK + 1)
    keys = keyed(
        seed, np.asarray(label_word(f"noise {band}")), tract, rows[:, None], columns[None, :]
    )
    noise = np.empty((rows.size, _BLOCK, columns.size, _BLOCK), np.float32)
    for j, i in np.ndindex(keys.shape):
        block = np.random.Generator(np.random.PCG64(int(keys[j, i])))
        noise[j, :, i] = block.standard_normal((_BLOCK, _BLOCK), dtype=np.float32)
    whole = noise.reshape(rows.size * _BLOCK, columns.size * _BLOCK)
    top, left = box.y - int(rows[0]) * _BLOCK, box.x - int(columns[0]) * _BLOCK
    return whole[top : top + box.height, left : left + box.width].copy()


def _smoothed(noise: Image) -> Image:
    """Correlate neighbouring pixels as resampling does; one pixel less on every side."""
    side, middle, _ = kernel().astype(np.float32)
    rows = side * (noise[:-2] + noise[2:]) + middle * noise[1:-1]
    smooth: Image = side * (rows[:, :-2] + rows[:, 2:]) + middle * rows[:, 1:-1]
    return smooth


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
