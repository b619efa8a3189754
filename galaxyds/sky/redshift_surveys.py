"""Spectroscopic surveys of the simulated sky: each one's own table, as its team would publish it.

A survey observes what its row of Table 1 in Ait-Ouahmed et al. (2023) selects, by magnitude and
redshift, and writes it down in its own columns (:mod:`galaxyds.catalog.surveys`), flags and
sentinels, with stars that slipped in, spectra that failed, a few rows that mean nothing, and
positions of its own, so that what several surveys saw has to be recognised.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from galaxyds.catalog.surveys import SURVEYS
from galaxyds.sky.cells import Region
from galaxyds.sky.hashing import Floats, Keys, keyed, normal, uniform
from galaxyds.sky.photometry import Columns
from galaxyds.sky.surveys import Survey
from galaxyds.sky.universe import GALAXY, QUASAR, STAR, Sources, Universe

if TYPE_CHECKING:
    import pyarrow as pa

SCATTER = 0.25
"""Most arcseconds by which a survey's position is off."""
DEPTH = 25.4
"""Faintest SDSS r magnitude of the shells of sources that are looked at."""
NO_REDSHIFT = 9.9999
_LEAK = 0.04  # share of targets outside of the redshifts that a survey aims at
_REPEATS = 0.02  # share of targets that a survey observes twice

Mask = NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """What a survey observes, and how well.

    Attributes
    ----------
    name : str
        As in :data:`galaxyds.catalog.surveys.SURVEYS`.
    band, faintest : str, float
        Band and magnitude of its limit.
    redshifts : tuple of float
        What it aims at.
    share : float
        Share of these that it observes.
    secure : float
        Share of secure redshifts at its limit; brighter targets fail more rarely.
    error : float
        Of the redshift, over 1 + z.
    stars : float
        Share of stars in its magnitude range that it observes.
    write : callable
        Makes its columns.
    """

    name: str
    band: str
    faintest: float
    redshifts: tuple[float, float]
    share: float
    secure: float
    error: float
    stars: float
    write: Callable[[Drawn], Columns]


@dataclass(frozen=True, kw_only=True, slots=True)
class Drawn:
    """Spectra of one survey; all (n,).

    Attributes
    ----------
    key : ndarray of uint64
        Of source, survey and visit.
    ra, dec : ndarray of float64
        The survey's position, degrees.
    z : ndarray of float64
        Redshift, wrong where it is not secure.
    secure, star, quasar : ndarray of bool
    magnitude : ndarray of float64
        In the band of the selection.
    """

    key: Keys
    ra: Floats
    dec: Floats
    z: Floats
    secure: Mask
    star: Mask
    quasar: Mask
    magnitude: Floats

    def draw(self, label: str) -> Floats:
        """Uniform numbers in (0, 1)."""
        return uniform(self.key, label)


def raw_tables(universe: Universe, region: Region, survey: Survey) -> dict[str, pa.Table]:
    """Make the tables of all spectroscopic surveys in a region.

    Parameters
    ----------
    universe : Universe
    region : Region
        Rows are within it, but for those that mean nothing.
    survey : Survey
        Imaging survey by whose r and i magnitudes targets are chosen.

    Returns
    -------
    dict of str to pyarrow.Table
        By the name of the survey, in the order of Table 1; columns as the survey calls them.
    """
    import pyarrow as pa

    depth = min(survey.depth, DEPTH)
    sources = universe.sources(region, replace(survey, depth=depth))
    east = (sources.ra - region.ra_min) % 360.0 <= region.ra_max - region.ra_min
    inside = east & (sources.dec >= region.dec_min) & (sources.dec <= region.dec_max)
    sources = sources.take(np.flatnonzero(inside))
    sources = sources.take(np.argsort(sources.ra, kind="stable"))
    plans = {plan.name: (number, plan) for number, plan in enumerate(PLANS)}
    return {
        one.name: pa.table(plan.write(_observe(sources, survey, number, plan)))
        for one in SURVEYS
        for number, plan in (plans[one.name],)
    }


def wanted(plan: Plan, sources: Sources, survey: Survey) -> Floats:
    """Probability that a survey observes each source, (n,)."""
    magnitude = sources.magnitude[:, survey.band_index(plan.band)]
    low, high = plan.redshifts
    aimed = (sources.redshift >= low) & (sources.redshift <= high)
    share = plan.share * np.where(aimed, 1.0, _LEAK)
    stars = np.where(magnitude > 17.0, plan.stars, 0.0)
    share = np.select([sources.kind == GALAXY, sources.kind == STAR], [share, stars], 0.1 * share)
    # The selection of a survey is by its own photometry, a little off.
    limit = plan.faintest + 0.05 * normal(sources.key, f"{plan.name} limit")
    chosen: Floats = np.where(magnitude < limit, share, 0.0)
    return chosen


def _observe(sources: Sources, survey: Survey, number: int, plan: Plan) -> Drawn:
    drawn = uniform(sources.key, f"{plan.name} observes")
    once = np.flatnonzero(drawn < wanted(plan, sources, survey))
    again = once[uniform(sources.key[once], f"{plan.name} again") < _REPEATS]
    row = np.concatenate([once, again])
    visit = np.concatenate([np.zeros(once.size, np.int64), np.ones(again.size, np.int64)])
    few = sources.take(row)
    key = keyed(few.key, 4000 + number, visit)
    magnitude = few.magnitude[:, survey.band_index(plan.band)]
    failing = (1 - plan.secure) * 10 ** (0.3 * (magnitude - plan.faintest))
    secure = uniform(key, "secure") > failing
    distance = SCATTER * np.sqrt(uniform(key, "off")) / 3600
    angle = 2 * np.pi * uniform(key, "way")
    return Drawn(
        key=key,
        ra=(few.ra + distance * np.sin(angle) / np.cos(np.radians(few.dec))) % 360.0,
        dec=few.dec + distance * np.cos(angle),
        z=_redshifts(few, key, secure, plan),
        secure=secure,
        star=few.kind == STAR,
        quasar=few.kind == QUASAR,
        magnitude=magnitude,
    )


def _redshifts(few: Sources, key: Keys, secure: Mask, plan: Plan) -> Floats:
    """Redshifts with their noise; half of those that are not secure are wrong, stars drift."""
    z = few.redshift + plan.error * (1 + few.redshift) * normal(key, "z")
    guess = 0.02 + 3.0 * uniform(key, "guess") ** 2
    # Some take a line of the night sky for Lyman alpha.
    guess = np.where(uniform(key, "night sky") < 0.15, 6.1 + guess / 6, guess)
    # A redshift that passes for secure is wrong now and then, too.
    wrong = uniform(key, "wrong") < np.where(secure, 0.004, 0.5)
    z = np.where(wrong, guess, np.maximum(z, 1e-3))
    return np.where(few.kind == STAR, 4e-4 * normal(key, "velocity"), z)


# the surveys' own columns ------------------------------------------------------------------------


def _sdss(d: Drawn) -> Columns:
    """SkyServer: class in words, zWarning a bit mask."""
    return {
        "ra": d.ra, "dec": d.dec, "z": d.z, "zWarning": _warnings(d), "class": _classes(d),
        "petroMag_r": np.where(d.draw("petrosian") < 0.003, -9999.0, d.magnitude),
    }  # fmt: skip


def _boss(d: Drawn) -> Columns:
    """The same survey at VizieR, under other names."""
    return {
        "RA_ICRS": d.ra, "DE_ICRS": d.dec, "zsp": d.z, "f_zsp": _warnings(d), "spCl": _classes(d),
    }  # fmt: skip


def _warnings(d: Drawn) -> NDArray[np.int32]:
    return np.where(d.secure, 0, np.where(d.draw("few fibres") < 0.8, 4, 36)).astype(np.int32)


def _classes(d: Drawn) -> NDArray[np.str_]:
    return np.where(d.star, "STAR", np.where(d.quasar, "QSO", "GALAXY"))


def _gama(d: Drawn) -> Columns:
    """Quality from 0 to 4, stars at redshift 0, failures at -2, other visits not the best."""
    quality = np.where(d.secure, np.where(d.draw("very") < 0.8, 4, 3), _one_of(d, (0, 1, 2)))
    return {
        "RAJ2000": d.ra, "DEJ2000": d.dec, "z": np.where(quality == 0, -2.0, d.z),
        "q_z": quality, "IsBest": (d.draw("best") < 0.98).astype(np.int16),
    }  # fmt: skip


def _wigglez(d: Drawn) -> Columns:
    """Q from 1 to 5; 6 is a star."""
    quality = np.where(d.secure, _one_of(d, (3, 4, 4, 5)), _one_of(d, (1, 2)))
    quality = np.where(d.star & d.secure, 6, quality)
    return {"RAJ2000": d.ra, "DEJ2000": d.dec, "z": d.z, "q_z": quality}


def _deep2(d: Drawn) -> Columns:
    """ZQUALITY from -2 (bad) and -1 (star) over 1 and 2 (unsafe) to 4."""
    quality = np.where(d.secure, _one_of(d, (3, 4, 4, 4)), _one_of(d, (-2, 1, 2)))
    quality = np.where(d.star, -1, quality)
    kind = np.where(d.star, "STAR", np.where(d.quasar, "AGN", "GALAXY"))
    return {"RA": d.ra, "DEC": d.dec, "ZBEST": d.z, "ZQUALITY": quality, "CLASS": kind}


def _family(
    ra: str, dec: str, z: str, flag: str, *, decimals: tuple[float, ...] = (0.0,)
) -> Callable[[Drawn], Columns]:
    """Make a writer of flags of the VVDS family, with rows that mean nothing at the beginning."""

    def write(d: Drawn) -> Columns:
        quality = np.where(d.secure, _one_of(d, (3, 4, 4)), _one_of(d, (0, 1, 2, 2, 9)))
        tens = np.select([d.quasar, d.draw("by chance") < 0.03], [10, 20], 0)
        full = quality + np.where(quality > 0, tens, 0)
        own = full + np.array(decimals)[_index(d, "decimal", len(decimals))]
        redshift = np.where(quality == 0, NO_REDSHIFT, d.z)
        columns: Columns = {
            # Stars stand in these tables at exactly 0.
            ra: d.ra, dec: d.dec, z: np.where(d.star, 0.0, np.round(redshift, 4)), flag: own,
        }  # fmt: skip
        junk = {ra: (9_999_999.0, 150.0), dec: (9_999_999.0, 2.0), z: (-99.9, 99.99),
                flag: (-99.0, -10.0)}  # fmt: skip
        return {name: np.concatenate([junk[name], values]) for name, values in columns.items()}

    return write


def _udsz(d: Drawn) -> Columns:
    """Quality in letters."""
    letters = np.where(d.secure, _words(d, ("A", "A", "B")), _words(d, ("C", "D")))
    z = np.where(letters == "D", NO_REDSHIFT, np.where(d.star, 0.0, d.z))
    return {"ra": d.ra, "dec": d.dec, "z": z, "flag": letters}


def _clamato(d: Drawn) -> Columns:
    """Confidence from 0 to 4."""
    confidence = np.where(d.secure, _one_of(d, (3, 4)), _one_of(d, (0, 1, 2)))
    z = np.where(confidence == 0, NO_REDSHIFT, np.where(d.star, 0.0, d.z))
    return {"ra": d.ra, "dec": d.dec, "zspec": z, "conf": confidence}


def _c3r2(d: Drawn) -> Columns:
    """Quality with decimals; failures are negative codes."""
    quality = np.where(d.secure, np.array([4.0, 4.0, 3.5, 3.0])[_index(d, "quality", 4)], 2.0)
    failed = ~d.secure & (d.draw("failed") < 0.5)
    z = np.where(failed, -99.0, np.where(d.star, 0.0, d.z))
    return {"RAdeg": d.ra, "DEdeg": d.dec, "zspec": z, "Qual": np.where(failed, -93.0, quality)}


def _grism(d: Drawn) -> Columns:
    """3D-HST: a redshift is from a spectrum (1), the grism (2) or photometry (3); 0 is a star."""
    source = np.where(d.secure, _one_of(d, (1, 2, 2, 2, 2)), 3)
    used = np.where(d.secure, d.draw("used") < 0.95, d.draw("used") < 0.3)
    return {
        "ra": d.ra, "dec": d.dec, "z_best": np.where(d.star, -1.0, d.z),
        "z_best_s": np.where(d.star, 0, source), "use_zgrism": used.astype(np.int16),
        "use_phot": (d.draw("phot") < 0.96).astype(np.int16), "jh_mag": d.magnitude - 1.2,
    }  # fmt: skip


def _primus(d: Drawn) -> Columns:
    """ZQUALITY 2 to 4, classes in words."""
    quality = np.where(d.secure, _one_of(d, (3, 4, 4, 4)), 2)
    kind = np.where(d.star, "STAR", np.where(d.quasar, "AGN", "GALAXY"))
    return {"RA": d.ra, "DEC": d.dec, "Z": d.z, "ZQUALITY": quality, "CLASS": kind,
            "imag": d.magnitude + 0.02 * normal(d.key, "imag")}  # fmt: skip


def _cosmos2020(d: Drawn) -> Columns:
    """Four photometric redshifts of two codes on two catalogues; no spectra at all."""
    columns: Columns = {"ALPHA_J2000_classic": d.ra, "DELTA_J2000_classic": d.dec}
    spread = np.where(d.secure, 0.015, 0.12) * (1 + d.z)
    for name in ("lp_zBEST_classic", "ez_z_phot_classic", "lp_zBEST_farmer", "ez_z_phot_farmer"):
        value = np.maximum(d.z + spread * normal(d.key, name), 0.01)
        columns[name] = np.where(d.draw(f"no {name}") < 0.01, -99.0, value)
    for name in ("lp_type_classic", "lp_type_farmer"):
        columns[name] = np.where(d.star, 1, 0).astype(np.int16)
    return columns


def _index(d: Drawn, label: str, count: int) -> NDArray[np.int64]:
    return np.minimum((d.draw(label) * count).astype(np.int64), count - 1)


def _one_of(d: Drawn, values: tuple[int, ...]) -> NDArray[np.int64]:
    """One of some values, each as likely as the others."""
    return np.array(values, np.int64)[_index(d, f"one of {values}", len(values))]


def _words(d: Drawn, values: tuple[str, ...]) -> NDArray[np.str_]:
    return np.array(values)[_index(d, f"one of {values}", len(values))]


def _plan(
    name: str,
    selection: tuple[str, float, tuple[float, float]],
    rates: tuple[float, float, float, float],
    write: Callable[[Drawn], Columns],
) -> Plan:
    """Selection: band, limit, redshifts; rates: share, secure, error, stars."""
    band, faintest, redshifts = selection
    share, secure, error, stars = rates
    return Plan(
        name=name, band=band, faintest=faintest, redshifts=redshifts, share=share, secure=secure,
        error=error, stars=stars, write=write,
    )  # fmt: skip


PLANS = (
    _plan("sdss-main", ("r", 17.8, (0.01, 0.4)), (0.9, 0.98, 1e-4, 0.02), _sdss),
    _plan("sdss-boss", ("i", 20.0, (0.3, 0.7)), (0.5, 0.95, 2e-4, 0.03), _boss),
    _plan("gama", ("r", 19.8, (0.01, 0.7)), (0.7, 0.95, 1.5e-4, 0.03), _gama),
    _plan("wigglez", ("r", 22.5, (0.2, 1.2)), (0.06, 0.75, 3e-4, 0.005), _wigglez),
    _plan("zcosmos", ("i", 22.5, (0.1, 1.2)), (0.10, 0.80, 3.7e-4, 0.02),
          _family("RAJ2000", "DEJ2000", "z", "CClass", decimals=(0.5, 0.5, 0.4, 0.3, 0.1))),
    _plan("vandels", ("i", 25.0, (1.0, 6.0)), (0.01, 0.80, 5e-4, 0.001),
          _family("_RAJ2000", "_DEJ2000", "zspec", "zflg")),
    _plan("udsz", ("i", 24.0, (0.8, 4.0)), (0.02, 0.70, 5e-4, 0.002), _udsz),
    _plan("deep2", ("r", 24.0, (0.7, 1.5)), (0.08, 0.75, 1e-4, 0.005), _deep2),
    _plan("vvds", ("i", 24.0, (0.05, 4.0)), (0.06, 0.55, 9e-4, 0.02),
          _family("_RAJ2000", "_DEJ2000", "Z", "ZFLAGS")),
    _plan("vipers", ("i", 22.5, (0.4, 1.5)), (0.40, 0.80, 4.7e-4, 0.02),
          _family("RAJ2000", "DEJ2000", "zsp", "zflg", decimals=(0.5, 0.5, 0.4, 0.2, 0.1))),
    _plan("vuds", ("i", 25.0, (2.0, 6.0)), (0.02, 0.60, 7e-4, 0.001),
          _family("ra", "dec", "z_spec", "zflags")),
    _plan("clamato", ("i", 24.8, (2.0, 3.5)), (0.03, 0.60, 5e-4, 0.0), _clamato),
    _plan("c3r2", ("i", 24.5, (0.1, 4.0)), (0.01, 0.75, 3e-4, 0.002), _c3r2),
    _plan("cosmos", ("i", 24.0, (0.05, 4.0)), (0.05, 0.75, 4e-4, 0.005),
          _family("ra", "dec", "z_spec", "Q_f")),
    _plan("3d-hst", ("i", 25.0, (0.2, 4.0)), (0.03, 0.60, 3e-3, 0.01), _grism),
    _plan("primus", ("i", 22.5, (0.05, 0.9)), (0.25, 0.65, 5e-3, 0.05), _primus),
    _plan("cosmos2020", ("i", 25.0, (0.02, 6.0)), (0.10, 0.85, 1.5e-2, 0.10), _cosmos2020),
)  # fmt: skip
"""What every survey observes: the limits of Table 1, with more targets per area than in nature.

H and K limits stand as i magnitudes that most of such objects have.
"""
