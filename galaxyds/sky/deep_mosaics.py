"""Pixels of simulated mosaics, rendered where they are looked at, and files of them."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from galaxyds.archives.mosaic_files import Mosaic, emptied
from galaxyds.sky.coadd import Box, laid, near, noisy, white
from galaxyds.sky.deep_footprint import BORDER, DeepFootprint, SkyMosaic
from galaxyds.sky.deep_survey import DEEP, DEPTH
from galaxyds.sky.hsc_fourier import Placed, draw
from galaxyds.sky.surveys import Survey
from galaxyds.sky.universe import Universe

if TYPE_CHECKING:
    from numpy.typing import NDArray

_FARTHEST = 60.0  # arcsec beyond the edge from which light is looked for
_FAINTEST = 0.15  # of the noise of a pixel; light below it is left out


class SimulatedPixels:
    """Pixels of a mosaic of the simulated sky; as :class:`PixelSource`.

    Parameters
    ----------
    universe : Universe
    mosaic : SkyMosaic

    Attributes
    ----------
    shape : tuple of int
        Rows and columns.

    Notes
    -----
    The sources of the whole mosaic are found at the first look, in some seconds, and kept.
    """

    def __init__(self, universe: Universe, mosaic: SkyMosaic) -> None:
        self.universe = universe
        self.mosaic = mosaic
        self.shape = mosaic.shape

    def __getstate__(self) -> dict[str, Any]:
        return {"universe": self.universe, "mosaic": self.mosaic, "shape": self.shape}

    def read(self, rows: slice, columns: slice) -> NDArray[np.float32]:
        """Return a rectangle, NaN where nothing was observed."""
        return emptied(self.stored(rows, columns))

    def whole(self, x: NDArray[np.int64], y: NDArray[np.int64], *, reach: int) -> NDArray[np.bool_]:
        """Say of 0-based pixels whether all within ``reach`` were observed."""
        found = np.ones(np.shape(x), bool)
        for at, extent in ((x, self.shape[1]), (y, self.shape[0])):
            found &= (at - reach >= BORDER) & (at + reach < extent - BORDER)
        return found

    def stored(self, rows: slice, columns: slice) -> NDArray[np.float32]:
        """Return a rectangle as the file has it: zeros where nothing was observed."""
        image = np.zeros((rows.stop - rows.start, columns.stop - columns.start), np.float32)
        low, high, left, right = (
            int(np.clip(end, BORDER, extent - BORDER))
            for extent, span in zip(self.shape, (rows, columns), strict=True)
            for end in (span.start, span.stop)
        )
        if low < high and left < right:
            box = Box(x=left, y=low, width=right - left, height=high - low)
            image[
                low - rows.start : high - rows.start, left - columns.start : right - columns.start
            ] = self._drawn(box)
        return image

    def _drawn(self, box: Box) -> NDArray[np.float32]:
        wider = Box(x=box.x - 1, y=box.y - 1, width=box.width + 2, height=box.height + 2)
        band = self.survey.bands[0]
        model = draw(
            near(self._placed, wider), [band], [0], scale=self.mosaic.scale,
            shape=(wider.height, wider.width),
        )[0]  # fmt: skip
        noise = white(self.universe.seed, self.mosaic.number, self.mosaic.band, wider)
        return noisy(model, noise, sigma=self.sigma, gain=band.gain)

    @cached_property
    def survey(self) -> Survey:
        """The band on the mosaic's own pixels and scale."""
        band = DEEP.band(self.mosaic.band)
        # The same light makes the same electrons, whatever a count is.
        gain = band.gain * 10 ** (0.4 * (DEEP.zero_point - self.mosaic.zero_point))
        return replace(
            DEEP,
            bands=(replace(band, gain=gain),),
            pixel_scale=self.mosaic.scale,
            zero_point=self.mosaic.zero_point,
        )

    @cached_property
    def sigma(self) -> float:
        """Standard deviation of empty pixels in counts, were they independent."""
        width = self.survey.bands[0].psf_fwhm / 2.3548 / self.mosaic.scale
        limit = 10 ** (0.4 * (self.mosaic.zero_point - DEPTH[self.mosaic.band]))
        return float(limit / 5 / np.sqrt(4 * np.pi) / width)

    @cached_property
    def _placed(self) -> Placed:
        """Every source of the mosaic, and around it, on its pixels."""
        sources = self.universe.sources(self.mosaic.region(_FARTHEST), self.survey)
        # Angles are from north, and the mosaic is turned against it.
        sources = replace(sources, angle=sources.angle - np.radians(self.mosaic.turn))
        x, y = self.mosaic.to_pixel(sources.ra, sources.dec)
        far = _FARTHEST / self.mosaic.scale
        inside = np.ones(len(sources), bool)
        for at, extent in ((x, self.shape[1]), (y, self.shape[0])):
            inside &= (at > -far) & (at < extent + far)
        faintest = _FAINTEST * self.sigma
        return laid(sources, x, y, inside=inside, survey=self.survey, faintest=faintest)


def mosaics(universe: Universe, footprint: DeepFootprint) -> tuple[Mosaic, ...]:
    """Make the mosaics of a footprint, of which nothing is rendered yet."""
    return tuple(
        Mosaic(
            name=one.name, band=one.band, zero_point=one.zero_point, wcs=one.wcs(),
            pixels=SimulatedPixels(universe, one),
        )
        for one in footprint.mosaics
    )  # fmt: skip


def write_mosaics(universe: Universe, footprint: DeepFootprint, folder: Path) -> tuple[Path, ...]:
    """Render mosaics into FITS files, whole.

    Parameters
    ----------
    universe : Universe
    footprint : DeepFootprint
        A small one: every pixel is rendered.
    folder : pathlib.Path
        Exists.

    Returns
    -------
    tuple of pathlib.Path
        One file per mosaic, with FILTER, MAGZERO and PHOTSYS in its header.
    """
    from astropy.io import fits

    paths = []
    for one in footprint.mosaics:
        header = one.wcs().to_header()
        header["FILTER"], header["MAGZERO"] = one.band, one.zero_point
        header["PHOTSYS"] = "AB"
        rows, columns = (slice(0, extent) for extent in one.shape)
        image = SimulatedPixels(universe, one).stored(rows, columns)
        paths.append(folder / one.name)
        fits.writeto(paths[-1], image, header, overwrite=True)
    return tuple(paths)
