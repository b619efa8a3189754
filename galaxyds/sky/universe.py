"""The simulated universe: which sources are where, whatever survey looks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from galaxyds.sky import galaxies, quasars, stars
from galaxyds.sky.cells import Cells, Points, Region, cover, scatter
from galaxyds.sky.dust import reddening
from galaxyds.sky.hashing import Floats, Keys
from galaxyds.sky.rows import join_rows, take_rows
from galaxyds.sky.surveys import Survey

DEFAULT_SEED = 20230117
"""Seed of the universe that ``--archive simulated`` shows."""
STAR, GALAXY, QUASAR = 0, 1, 2
BRIGHT = (13.0, 17.8)
"""Range of r magnitude, free of dust, of the galaxies that may be more than in nature."""
_CROWD = 90  # number of their population, beyond those of the shells
SHELLS = ((13.0, 20.0), (20.0, 21.7), (21.7, 23.2), (23.2, 24.5), (24.5, 25.5), (25.5, 26.5))
"""Ranges of r magnitude that are seeded apart: a deep survey sees more sources, not other ones."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Sources:
    """Sources as a survey would see them without noise; (n,) or (n, bands).

    Attributes
    ----------
    key : ndarray of uint64
        Identity, the same for every survey.
    kind : ndarray of int8
        ``STAR``, ``GALAXY`` or ``QUASAR``.
    ra, dec, redshift, ebv : ndarray of float64
        Degrees, degrees, redshift (0 for stars), Galactic E(B-V).
    magnitude : ndarray of float64, (n, bands)
        Total magnitudes in the survey's calibration, Galactic dust included.
    bulge : ndarray of float64, (n, bands)
        Share of the bulge in the flux (0 for point sources).
    bulge_radius, disk_radius, bulge_ratio, axis_ratio, angle : ndarray of float64
        As in :class:`galaxyds.sky.galaxies.Galaxies` (0 or 1 for point sources).
    """

    key: Keys
    kind: NDArray[np.int8]
    ra: Floats
    dec: Floats
    redshift: Floats
    ebv: Floats
    magnitude: Floats
    bulge: Floats
    bulge_radius: Floats
    disk_radius: Floats
    bulge_ratio: Floats
    axis_ratio: Floats
    angle: Floats

    def __len__(self) -> int:
        return int(self.key.size)

    def take(self, chosen: NDArray[np.intp] | NDArray[np.bool_]) -> Sources:
        """Select rows by index or mask."""
        return take_rows(self, chosen)


@dataclass(frozen=True, kw_only=True, slots=True)
class Universe:
    """A universe; its seed and its crowd are all it holds.

    Attributes
    ----------
    seed : int
    crowd : float
        How many times as dense as in nature galaxies are that are brighter than :data:`BRIGHT`; the
        galaxies of a universe without a crowd are all there.
    """

    seed: int = DEFAULT_SEED
    crowd: float = 1.0

    def sources(self, region: Region, survey: Survey) -> Sources:
        """Find all sources of the cells that touch a region, down to a survey's depth.

        Parameters
        ----------
        region : Region
            Degrees; sources of the touched cells outside of it are returned as well.
        survey : Survey
            Sets the bands, the dust coefficients and the depth.

        Returns
        -------
        Sources
            Quasars, stars and galaxies by shell, the crowd; each in the order of the cells.
        """
        cells = cover(region)
        parts = [self._quasars(cells, survey)]
        for number, (bright, _) in enumerate(SHELLS):
            if bright < survey.depth:
                parts.append(self._stars(cells, survey, number))
                parts.append(self._galaxies(cells, survey, number))
        if self.crowd > 1:
            parts.append(self._crowd(cells, survey))
        return join_rows(parts)

    def _points(self, cells: Cells, density: float, population: int) -> Points:
        return scatter(cells, density, seed=self.seed, population=population)

    def _quasars(self, cells: Cells, survey: Survey) -> Sources:
        points = self._points(cells, quasars.DENSITY, 100 * QUASAR)
        drawn = quasars.draw(points.key)
        magnitude = quasars.magnitudes(drawn, survey)
        return self._pointlike(
            points, QUASAR, magnitude=magnitude, redshift=drawn.redshift, survey=survey
        )

    def _stars(self, cells: Cells, survey: Survey, shell: int) -> Sources:
        bright, faint = SHELLS[shell]
        points = self._points(cells, stars.density(bright, faint), 100 * STAR + shell)
        drawn = stars.draw(points.key, bright, faint)
        magnitude = stars.magnitudes(drawn, survey, points.key)
        return self._pointlike(
            points, STAR, magnitude=magnitude, redshift=np.zeros(points.key.size), survey=survey
        )

    def _pointlike(
        self, points: Points, kind: int, *, magnitude: Floats, redshift: Floats, survey: Survey
    ) -> Sources:
        none, one = np.zeros(points.key.size), np.ones(points.key.size)
        ebv = reddening(points.ra, points.dec, seed=self.seed)
        return Sources(
            key=points.key,
            kind=np.full(points.key.size, kind, np.int8),
            ra=points.ra,
            dec=points.dec,
            redshift=redshift,
            ebv=ebv,
            magnitude=magnitude + _dust(ebv, survey),
            bulge=np.zeros_like(magnitude),
            bulge_radius=none,
            disk_radius=none,
            bulge_ratio=one,
            axis_ratio=one,
            angle=none,
        )

    def _galaxies(self, cells: Cells, survey: Survey, shell: int) -> Sources:
        bright, faint = SHELLS[shell]
        points = self._points(cells, galaxies.density(bright, faint), 100 * GALAXY + shell)
        return self._drawn_galaxies(points, survey, bright, faint)

    def _crowd(self, cells: Cells, survey: Survey) -> Sources:
        more = (self.crowd - 1) * galaxies.density(*BRIGHT)
        points = self._points(cells, more, 100 * GALAXY + _CROWD)
        return self._drawn_galaxies(points, survey, *BRIGHT)

    def _drawn_galaxies(
        self, points: Points, survey: Survey, bright: float, faint: float
    ) -> Sources:
        drawn = galaxies.draw(points.key, bright, faint)
        magnitude, bulge = galaxies.magnitudes(drawn, survey)
        ebv = reddening(points.ra, points.dec, seed=self.seed)
        return Sources(
            key=points.key,
            kind=np.full(points.key.size, GALAXY, np.int8),
            ra=points.ra,
            dec=points.dec,
            redshift=drawn.redshift,
            ebv=ebv,
            magnitude=magnitude + _dust(ebv, survey),
            bulge=bulge,
            bulge_radius=drawn.bulge_radius,
            disk_radius=drawn.disk_radius,
            bulge_ratio=drawn.bulge_ratio,
            axis_ratio=drawn.axis_ratio,
            angle=drawn.angle,
        )


def _dust(ebv: Floats, survey: Survey) -> Floats:
    """Dust, and the offset of the survey's calibration from AB."""
    dimming = ebv[:, None] * np.array([band.extinction for band in survey.bands])
    shift: Floats = dimming + np.array([band.ab_offset for band in survey.bands])
    return shift
