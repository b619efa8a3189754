"""The simulated sky: a deterministic universe, and surveys that look at it.

The face of this package is small; what is behind it:

=================  ==============================================================================
``hashing``        random numbers as a pure function of keys
``cells``          the sky in cells: where sources are
``seds``           synthetic photometry, cosmology, intergalactic medium
``quasars``        ``galaxies``, ``stars``, ``dust``: the populations
``surveys``        declarations: bands, PSF, noise, zero points (SDSS, HSC, CFHTLS)
``universe``       sources of a region, the same whatever survey looks
``footprint``      where the simulated SDSS points: runs, camera columns, fields
``render``         sources to pixels, for any survey; needs GalSim
``frames``         frames of SDSS in the archive's format
``detections``     ``photometry``, ``spectroscopy``: the catalogue
``server``         T-SQL on that catalogue
``coadd``          what coadds of all surveys share
``hsc_*``          HSC: tracts, conditions, catalogue, PostgreSQL, coadds in Fourier space, files
``cfhtls_*``       CFHTLS: tiles, coadds, photometric catalogue
``redshift_*``     spectroscopic surveys, each in its own columns
=================  ==============================================================================
"""

from __future__ import annotations

from galaxyds.sky.cells import Region
from galaxyds.sky.departures import departures
from galaxyds.sky.footprint import DEFAULT_FOOTPRINT, Footprint, Run
from galaxyds.sky.surveys import CFHTLS, HSC, SDSS, Survey, SurveyBand
from galaxyds.sky.universe import DEFAULT_SEED, Sources, Universe

__all__ = [
    "CFHTLS",
    "DEFAULT_FOOTPRINT",
    "DEFAULT_SEED",
    "HSC",
    "SDSS",
    "Footprint",
    "Region",
    "Run",
    "Sources",
    "Survey",
    "SurveyBand",
    "Universe",
    "departures",
]
