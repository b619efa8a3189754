"""The simulated sky as HSC would see it: the same SQL, the same cutouts, nothing downloaded.

Catalogue and coadds come from one universe (:mod:`galaxyds.sky`).  Where it departs from nature on
purpose is listed by :meth:`SimulatedHSC.departures`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import ClassVar

from galaxyds.archives.base import CUTOUTS_ENDPOINT, CutoutObject, PointSpread
from galaxyds.archives.hsc import HSCCatalog
from galaxyds.archives.hsc_lists import list_objects
from galaxyds.archives.simulated_sky import RenderedCutouts, SimulatedSky
from galaxyds.sky import DEFAULT_SEED, Universe
from galaxyds.sky.hsc_coadd import Coadd
from galaxyds.sky.hsc_departures import departures
from galaxyds.sky.hsc_footprint import DEFAULT_HSC_FOOTPRINT, HSCFootprint
from galaxyds.sky.hsc_server import HSCServer


class SimulatedHSC(RenderedCutouts, SimulatedSky, HSCCatalog):
    """HSC as it would look at a simulated universe: a catalogue and a cutout archive.

    Parameters
    ----------
    seed : int
        Of the universe.
    footprint : HSCFootprint
        Tracts and patches that were observed.

    Notes
    -----
    The catalogue is made at the first query, in some seconds; a cutout needs only the sources of
    its patch, and the last few patches are kept.  A copy in another process is built from the seed
    and the footprint alone.
    """

    pixels: ClassVar[str] = CUTOUTS_ENDPOINT
    footprint: HSCFootprint
    coadd: Coadd

    def __init__(
        self, seed: int = DEFAULT_SEED, footprint: HSCFootprint = DEFAULT_HSC_FOOTPRINT
    ) -> None:
        self.universe = Universe(seed=seed)
        self.footprint = footprint
        self.server = HSCServer(self.universe, footprint)
        self.coadd = Coadd(self.universe, footprint)
        super().__init__(self.server.execute, service="simulated HSC")

    def departures(self) -> tuple[str, ...]:
        """Where the simulated sky departs from nature on purpose."""
        return departures()

    def list_objects(self, bands: Sequence[str]) -> int:
        """Return how many objects fit into one request of the real service."""
        return list_objects(bands)

    def point_spreads(
        self, objects: Sequence[CutoutObject], bands: Sequence[str]
    ) -> Iterator[PointSpread]:
        """Draw the point-spread functions of the cutouts of every object, in order.

        Raises
        ------
        UsageError
            If a band is unknown.
        NotInArchiveError
            If an object's tract is not in the footprint.
        MissingExtraError
            If GalSim is not installed.
        """
        return self.coadd.point_spreads(objects, bands)
