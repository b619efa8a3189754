"""What every survey of the simulated sky has in common as an archive."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any, ClassVar

from galaxyds.archives.base import Need
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
