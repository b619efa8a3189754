"""Where the simulated sky departs from nature, in sentences that a dataset's card can quote."""

from __future__ import annotations

_DEPARTURES = """
Quasars that pass the cuts are about 50 times as dense as in SDSS, so that a small build needs
few frames; a chance neighbour of a quasar is therefore often another quasar.

Quasars are points without host galaxies, lenses or variability: one mean spectrum with scatter
in slope, line strength, forest and dust.

Galaxies, stars and quasars are placed independently: no clusters, groups or pairs.

Galaxies are a de Vaucouleurs bulge and an exponential disk of five types: no arms, bars, knots,
tails or mergers.

The PSF is a round Moffat profile, the same over a field and for all colours.

Frames have no cosmic rays, bleeding, ghosts, satellites or bad columns; stars do not saturate,
although the catalogue flags them, and none is brighter than r = 13.

Every detection counts as deblended: nChild is 0, and magnitudes are the true ones plus noise,
without the light of neighbours.

Pixel noise is normal with the variance of photons and read-out, and Poisson for the photons of
faint galaxies; in the overlap of two fields the sources are the same and the noise is not.

Frames and catalogue share one calibration without errors, and nothing moves on the sky.

Plates, fibers and dates of spectra follow the numbering of SDSS but stand for nothing.
"""

_MAIN_SAMPLE = """
Galaxies brighter than r = 17.8 are 12 times as dense as in nature, so that a small build needs few
frames: they often stand near each other.

In the overlap of two runs the sources are the same, noise and seeing are not; successive fields of
a run repeat 128 rows of sky with noise of their own, where the survey repeats the same electrons.

Nearly every bright galaxy has a spectrum, however near its neighbours are.
"""


def departures(*, main_sample: bool = False) -> tuple[str, ...]:
    """Return what a user must know before drawing conclusions from simulated pixels.

    Parameters
    ----------
    main_sample : bool
        Whether the main galaxy sample is shown.

    Returns
    -------
    tuple of str
        One sentence each.
    """
    text = (f"{_MAIN_SAMPLE}\n" if main_sample else "") + _DEPARTURES
    return tuple(" ".join(part.split()) for part in text.strip().split("\n\n"))
