"""What every survey of the simulated sky has in common as an archive."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from typing import Any, ClassVar, Protocol

from galaxyds.archives.base import Cutout, CutoutObject, Need
from galaxyds.sky import Universe


class SimulatedSky:
    """A universe that a survey looks at; stands before the survey's catalogue class.

    A copy in another process is built from the seed and the footprint alone.

    Attributes
    ----------
    name : str
        Of every simulated archive.
    pixels : str
        Name of the service that delivers pixels.
    universe : Universe
        What there is to see.
    footprint : object
        What was observed, in the words of the survey.
    """

    name = "simulated"
    pixels: ClassVar[str]
    universe: Universe
    footprint: Any

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.universe.seed, self.footprint)

    def endpoints(self) -> dict[str, str]:
        """Name the universe in place of base URLs."""
        named = f"simulated sky, seed {self.universe.seed}"
        return {"catalog": named, self.pixels: named}

    def needs(self) -> tuple[Need, ...]:
        """GalSim, for the pixels."""
        return (
            Need(
                what="galsim",
                present=find_spec("galsim") is not None,
                advice="pip install 'galaxyds[sky]'",
            ),
        )


class CutoutRenderer(Protocol):
    """A survey's coadds of the simulated sky."""

    def cutouts(
        self, objects: Sequence[CutoutObject], bands: Sequence[str], *, half_size: float
    ) -> Iterator[Cutout]:
        """Render one cutout per object, in their order."""


class RenderedCutouts:
    """Cutouts of a survey whose coadds are rendered; stands before :class:`SimulatedSky`.

    Attributes
    ----------
    coadd : CutoutRenderer
        Renders them.
    """

    coadd: CutoutRenderer

    def cutouts(
        self, objects: Sequence[CutoutObject], bands: Sequence[str], *, half_size: float
    ) -> Iterator[Cutout]:
        """Render one cutout per object, in the order of ``objects``.

        Parameters
        ----------
        objects : sequence of CutoutObject
            Their tile in the words of the survey.
        bands : sequence of str
            Of the survey's.
        half_size : float
            Arcsec.

        Yields
        ------
        Cutout
            Bands without data are named in its ``missing``.

        Raises
        ------
        UsageError
            If a band is unknown.
        NotInArchiveError
            If an object's tile is not in the footprint.
        MissingExtraError
            If GalSim is not installed.
        """
        return self.coadd.cutouts(objects, bands, half_size=half_size)

    def cutout_bytes(self, bands: Sequence[str], *, half_size: float) -> int:
        """0: nothing is transferred."""
        del bands, half_size
        return 0
