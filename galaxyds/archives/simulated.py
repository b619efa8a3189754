"""The simulated sky as an archive: the same SQL, the same frames, nothing downloaded.

Catalogue and frames come from one universe (:mod:`galaxyds.sky`).  Where it departs from nature on
purpose is listed by :meth:`SimulatedSDSS.departures`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from galaxyds.archives.base import FRAMES_ENDPOINT, Tile
from galaxyds.archives.sdss import SDSSCatalog
from galaxyds.archives.sdss_fields import FieldCoverage
from galaxyds.archives.simulated_sky import SimulatedSky
from galaxyds.sky import DEFAULT_SEED, Footprint, Universe, departures
from galaxyds.sky.releases import release as find_release
from galaxyds.sky.server import SkyServer

if TYPE_CHECKING:
    from galaxyds.pixels.frame import Frame

DEFAULT_RELEASE = "DR17"


class SimulatedSDSS(FieldCoverage, SimulatedSky, SDSSCatalog):
    """SDSS as it would look at a simulated universe: a catalogue and a frame archive.

    Parameters
    ----------
    seed : int
        Of the universe.
    footprint : Footprint, optional
        Runs, camera columns and fields that were observed; those of the release by default.
    release : str
        Data release, ``DR17`` or ``DR12``.

    Raises
    ------
    UsageError
        If there is no such release.

    Notes
    -----
    The catalogue is made at the first query, in some seconds; frames need only the sources of their
    tile.  A copy in another process is built from the seed and the footprint alone.
    """

    pixels: ClassVar[str] = FRAMES_ENDPOINT
    footprint: Footprint

    def __init__(
        self,
        seed: int = DEFAULT_SEED,
        footprint: Footprint | None = None,
        release: str = DEFAULT_RELEASE,
    ) -> None:
        chosen = find_release(release)
        self.release = chosen.name
        self.universe = Universe(seed=seed, crowd=chosen.crowd)
        self.footprint = chosen.footprint if footprint is None else footprint
        self.server = SkyServer(self.universe, self.footprint, self.release)
        super().__init__(self.server.execute, service="simulated SkyServer")
        self._catalog = self

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.universe.seed, self.footprint, self.release)

    def departures(self) -> tuple[str, ...]:
        """Where the simulated sky departs from nature on purpose."""
        return departures(main_sample=find_release(self.release).main_sample)

    def frames(self, tile: Tile, bands: Sequence[str], directory: Path) -> dict[str, Path]:
        """Render the frames of a tile, uncompressed.

        Parameters
        ----------
        tile : tuple of int
            run, camcol, field.
        bands : sequence of str
            Of ``ugriz``.
        directory : pathlib.Path
            Created if missing; files already there are rendered again.

        Returns
        -------
        dict of str to pathlib.Path
            By band.

        Raises
        ------
        NotInArchiveError
            If the tile is not in the footprint.
        MissingExtraError
            If GalSim is not installed.
        StorageError
            If a file cannot be written.
        """
        from galaxyds.sky.frames import write_frames

        return write_frames(self.universe, self.footprint, tile, bands=bands, directory=directory)

    def read(self, path: Path, band: str) -> Frame:
        """Read and check one frame.

        Raises
        ------
        DataIntegrityError
            If the file is not a calibrated frame of that band.
        """
        from galaxyds.archives.sdss_frames import read_frame

        return read_frame(path, band)

    def neighbours(self, tile: Tile) -> tuple[Tile, ...]:
        """Fields before and after a tile in its run and camera column."""
        return self.footprint.neighbours(tile)

    def tile_bytes(self, bands: Sequence[str]) -> int:
        """0: nothing is transferred."""
        del bands
        return 0


def simulated_sdss(release: str) -> SimulatedSDSS:
    """Return the simulated SDSS at a data release.

    Parameters
    ----------
    release : str
        ``DR17`` (quasars) or ``DR12`` (the main galaxy sample).

    Returns
    -------
    SimulatedSDSS
        No catalogue has been made yet.

    Raises
    ------
    UsageError
        If there is no such release.
    """
    return SimulatedSDSS(release=release)
