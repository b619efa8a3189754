"""Where the simulated sky departs from nature, in sentences that a dataset's card can quote."""

from __future__ import annotations


def departures() -> tuple[str, ...]:
    """Return what a user must know before drawing conclusions from simulated pixels.

    Returns
    -------
    tuple of str
        One sentence each.
    """
    return (
        "Quasars that pass the cuts are about 50 times as dense as in SDSS, so that a small build "
        "needs few frames; chance neighbours of a quasar are therefore more often quasars.",
        "Quasars are points: no host galaxy, no lenses, no variability, and one mean spectrum with "
        "scatter in slope, line strength, forest and dust.",
        "Galaxies, stars and quasars are placed independently: no clusters, groups or pairs.",
        "Galaxies are a de Vaucouleurs bulge and an exponential disk of five types: no arms, bars, "
        "knots, tails or mergers.",
        "The PSF is a round Moffat profile, constant over a field and over colour.",
        "Frames have no cosmic rays, bleeding, ghosts, satellites or bad columns; stars do not "
        "saturate, although the catalogue flags them, and none is brighter than r = 13.",
        "Every source of the simulation counts as deblended: nChild is 0, and magnitudes are the "
        "true ones plus noise, without the light of neighbours.",
        "Pixel noise is normal with the variance of photons and read-out; the photons of faint "
        "galaxies are Poisson. Noise in the overlap of two fields is drawn anew for each.",
        "Photometry and frames share one calibration without errors.",
        "Astrometry has no proper motions.",
        "Plates, fibers and dates of spectra follow the numbering of SDSS but stand for nothing.",
    )
