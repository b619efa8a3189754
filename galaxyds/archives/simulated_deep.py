"""The simulated sky as HSC-Deep: redshifts, HSC, u and the near infrared; nothing is downloaded.

Redshifts, photometry and mosaics come in the form in which the real ones are, and go through the
same code.  Where the sky departs from nature on purpose is listed by
:meth:`SimulatedDeep.departures`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

from galaxyds.archives.base import CUTOUTS_ENDPOINT, Cutout, CutoutObject
from galaxyds.archives.hsc import HSCCatalog
from galaxyds.archives.hsc_deep import DeepArchive
from galaxyds.archives.mosaics import Mosaics
from galaxyds.archives.simulated_sky import SimulatedSky
from galaxyds.catalog.specz import Reading, read_survey
from galaxyds.catalog.surveys import survey_named
from galaxyds.sky import DEFAULT_SEED, HSC, Universe
from galaxyds.sky.deep_departures import departures
from galaxyds.sky.deep_footprint import DEFAULT_DEEP_FOOTPRINT, DeepFootprint
from galaxyds.sky.deep_mosaics import mosaics
from galaxyds.sky.deep_server import DeepServer
from galaxyds.sky.dust import reddening
from galaxyds.sky.hsc_coadd import Coadd
from galaxyds.sky.hsc_conditions import DEEP
from galaxyds.sky.redshift_surveys import raw_tables

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from galaxyds.archives.catalog import SQLCatalog

LIST_OBJECTS = 48
"""Objects per unit of work: some seconds of rendering."""


class SimulatedDeep(SimulatedSky, DeepArchive):
    """HSC-Deep as it would be at a simulated universe.

    Parameters
    ----------
    seed : int
        Of the universe.
    footprint : DeepFootprint
        Tracts and mosaics.

    Notes
    -----
    The catalogue is made at the first query, in some seconds; a cutout needs the sources of its
    patch and of the mosaics of its field, and the last few are kept.
    """

    pixels: ClassVar[str] = CUTOUTS_ENDPOINT
    together: ClassVar[int] = 250  # its database has no index of positions
    footprint: DeepFootprint

    def __init__(
        self, seed: int = DEFAULT_SEED, footprint: DeepFootprint = DEFAULT_DEEP_FOOTPRINT
    ) -> None:
        self.universe = Universe(seed=seed)
        self.footprint = footprint
        self.server = DeepServer(self.universe, footprint.hsc)
        self.coadd = Coadd(self.universe, footprint.hsc, DEEP)
        self._mosaics = Mosaics(mosaics(self.universe, footprint))
        super().__init__(service="simulated HSC-Deep")

    def departures(self) -> tuple[str, ...]:
        """Where the simulated sky departs from nature on purpose."""
        return departures()

    def readings(self) -> Iterable[Reading]:
        """Read what every survey of redshifts would publish, field by field."""
        survey = replace(HSC, depth=DEEP.depth)
        for region in self.footprint.regions():
            for name, raw in raw_tables(self.universe, region, survey).items():
                yield read_survey(raw, survey_named(name), where="simulated sky")

    @property
    def photometric(self) -> SQLCatalog:
        """The catalogue of the Deep layer."""
        return HSCCatalog(self.server.execute, service="simulated HSC catalogue")

    @property
    def mosaics(self) -> Mosaics:
        """Mosaics that are rendered where they are looked at."""
        return self._mosaics

    def reddening(self, ra: NDArray[np.float64], dec: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return E(B-V) of the universe."""
        return reddening(ra, dec, seed=self.universe.seed)

    def list_objects(self, bands: Sequence[str]) -> int:
        """Return how many objects are rendered together."""
        del bands
        return LIST_OBJECTS

    def coadds(
        self, objects: Sequence[CutoutObject], bands: Sequence[str], *, half_size: float
    ) -> Iterator[Cutout]:
        """Render the cutouts of HSC, in order."""
        return self.coadd.cutouts(objects, bands, half_size=half_size)

    def cutout_bytes(self, bands: Sequence[str], *, half_size: float) -> int:
        """0: nothing is transferred."""
        del bands, half_size
        return 0
