"""Data releases of the simulated SDSS: what each one observed, and how it corrects for dust.

Both look at one universe.  DR17 is where the quasars are searched.  DR12 is for the main galaxy
sample: short runs that lie over each other, so that a position is seen by one, two or three of
them, in the northern galactic cap, in Stripe 82, and at a place that is in neither.
"""

from __future__ import annotations

from dataclasses import dataclass

from galaxyds.errors import UsageError
from galaxyds.sky.footprint import DEFAULT_FOOTPRINT, Footprint, Run
from galaxyds.sky.surveys import SDSS


@dataclass(frozen=True, kw_only=True, slots=True)
class Release:
    """A data release of the simulated SDSS.

    Attributes
    ----------
    name : str
        ``DR17``.
    footprint : Footprint
        Its runs.
    extinction : tuple of float
        A_band / E(B-V) of the catalogue's columns ``extinction_*`` in ugriz, for the unscaled map.
    crowd : float
        As in :class:`galaxyds.sky.universe.Universe`.
    """

    name: str
    footprint: Footprint
    extinction: tuple[float, ...]
    crowd: float = 1.0

    @property
    def main_sample(self) -> bool:
        """Whether the catalogue has the tables that the main galaxy sample is chosen from."""
        return self.crowd > 1


def _dr12_runs() -> tuple[Run, ...]:
    """Runs of the northern cap, of Stripe 82, and of neither.

    In the cap 9292 sees nearly what 9291 saw, 9293 interleaves with them, and 9294 lies across all
    three; the runs of the stripe lie over each other within a few arcminutes.
    """
    return (
        Run(number=9291, ra=180.0, dec=1.0, first=11, last=16),
        Run(number=9292, ra=180.07, dec=1.02, first=31, last=35),
        Run(number=9293, ra=180.11, dec=1.2102, first=21, last=25),
        Run(number=9294, ra=180.21, dec=1.11, first=51, last=53),
        Run(number=9295, ra=20.0, dec=-1.05, first=11, last=14),
        Run(number=9296, ra=20.06, dec=-1.04, first=41, last=43),
        Run(number=9297, ra=20.03, dec=-1.0, first=71, last=73),
        Run(number=9298, ra=20.0, dec=-12.0, first=11, last=12),
    )


RELEASES = {
    release.name: release
    for release in (
        Release(
            name="DR17",
            footprint=DEFAULT_FOOTPRINT,
            extinction=tuple(band.extinction for band in SDSS.bands),
        ),
        Release(
            name="DR12",
            footprint=Footprint(runs=_dr12_runs()),
            # Schlegel, Finkbeiner & Davis 1998 as used by SDSS up to DR12.
            extinction=(5.155, 3.793, 2.751, 2.086, 1.479),
            crowd=12.0,
        ),
    )
}
"""By name."""


def release(name: str) -> Release:
    """Return a release by its name, in whatever case.

    Raises
    ------
    UsageError
        If the simulated sky has none of that name.
    """
    if name.upper() not in RELEASES:
        raise UsageError(
            f"the simulated SDSS has no data release '{name}': it has {', '.join(RELEASES)}",
            release=name,
        )
    return RELEASES[name.upper()]
