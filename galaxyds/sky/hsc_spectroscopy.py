"""The table ``specz`` of the simulated PDR2: redshifts of five surveys matched to objects.

A wide survey of bright galaxies; one of faint ones chosen by colour to lie beyond redshift 0.4; a
prism survey with coarse redshifts; a small deep one; and one of quasars.  A spectrum is secure more
often the brighter its target; one that is not carries a sentinel or a guess.  A source that several
surveys saw has one row with all their names, or, where their positions were not recognised as one,
a row for each.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from galaxyds.sky.hashing import Floats, Keys, keyed, normal, uniform
from galaxyds.sky.hsc_detections import Detections
from galaxyds.sky.photometry import Columns
from galaxyds.sky.rows import join_rows, take_rows
from galaxyds.sky.universe import GALAXY, QUASAR, STAR, Sources

NOT_SECURE, NO_REDSHIFT = -9.0, 9.9999
"""Sentinels of the redshift: not secure, and no redshift at all."""
NO_ERROR, LOST_ERROR = -9.0, -99.0
"""Sentinels of its error."""
NO_MAGNITUDE, LOST_MAGNITUDE = -1.0, -99.0
"""Sentinels of the i magnitude; NaN occurs as well."""
MATCH_RADIUS = 0.5
"""Arcseconds within which a spectrum is matched to an object."""

Mask = NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True, slots=True)
class SpectroscopicSurvey:
    """How a survey observes.

    Attributes
    ----------
    name : str
        First part of ``specz_name``.
    kind : int
        What it wants; others slip in as ``contamination``.
    faintest : float
        i magnitude to which it goes.
    share : float
        Share of its bright targets that it observes; at its limit half of that.
    secure : float
        Share of secure redshifts at its limit; brighter targets fail more rarely.
    error : float
        Typical redshift error over 1 + z.
    contamination : float
        Share of stars in its magnitude range that it observes.
    colors : bool
        Whether it wants red r - i at given g - r.
    """

    name: str
    kind: int
    faintest: float
    share: float
    secure: float
    error: float
    contamination: float = 0.0
    colors: bool = False


SURVEYS = (
    SpectroscopicSurvey(
        name="BRIGHT", kind=GALAXY, faintest=19.6, share=0.80, secure=0.95, error=1e-4,
        contamination=0.02,
    ),
    SpectroscopicSurvey(
        name="COLOR", kind=GALAXY, faintest=22.5, share=0.42, secure=0.75, error=4e-4,
        contamination=0.03, colors=True,
    ),
    SpectroscopicSurvey(
        name="PRISM", kind=GALAXY, faintest=22.7, share=0.16, secure=0.60, error=4.5e-3,
        contamination=0.01,
    ),
    SpectroscopicSurvey(
        name="DEEP", kind=GALAXY, faintest=23.8, share=0.06, secure=0.45, error=3e-4,
        contamination=0.004,
    ),
    SpectroscopicSurvey(
        name="QUASAR", kind=QUASAR, faintest=21.5, share=0.10, secure=0.85, error=6e-4,
    ),
)  # fmt: skip
_UNMERGED = 0.07  # share of sources of two surveys whose spectra stay apart


@dataclass(frozen=True, kw_only=True, slots=True)
class _Spectra:
    """Spectra of sources; all (n,).

    ``row`` is the row of the source, ``survey`` an index into :data:`SURVEYS`; ``secure`` says
    whether the redshift can be trusted.
    """

    row: NDArray[np.int64]
    survey: NDArray[np.int64]
    key: Keys
    z: Floats
    error: Floats
    magnitude: Floats
    secure: Mask


def wanted(survey: SpectroscopicSurvey, sources: Sources) -> Floats:
    """Probability that a survey observes each source, (n,)."""
    g, r, i = (sources.magnitude[:, k] for k in range(3))
    brightness = 1 / (1 + np.exp((i - survey.faintest) / 0.25))
    within = np.where(i < survey.faintest, np.maximum(brightness, 0.5), 0.0)
    share = survey.share * within
    if survey.colors:
        share = np.where(r - i > np.minimum(0.30 + 0.25 * (g - r), 0.72), share, 0.02 * share)
    chosen: Floats = np.select(
        [sources.kind == survey.kind, (sources.kind == STAR) & (i > 17.5)],
        [share, survey.contamination * within],
        0.0,
    )
    return chosen


def _observe(number: int, sources: Sources) -> _Spectra:
    """Spectra of one survey."""
    survey = SURVEYS[number]
    hit = uniform(sources.key, f"{survey.name} observes") < wanted(survey, sources)
    row = np.flatnonzero(hit)
    few = sources.take(row)
    key = keyed(few.key, 50 + number)
    i = few.magnitude[:, 2]
    failing = (1 - survey.secure) * 10 ** (0.35 * (i - survey.faintest))
    secure = uniform(key, "secure") > failing
    error = survey.error * (1 + few.redshift) * np.exp(0.4 * normal(key, "error"))
    return _Spectra(
        row=row,
        survey=np.full(row.size, number),
        key=key,
        z=_redshifts(few, key, secure, error),
        error=_errors(key, secure, error),
        magnitude=_catalogue_magnitude(key, i, prism=survey.name == "PRISM"),
        secure=secure,
    )


def _redshifts(few: Sources, key: Keys, secure: Mask, error: Floats) -> Floats:
    """Redshifts with their noise, wrong ones and sentinels."""
    anywhere = 0.02 + 5.4 * uniform(key, "anywhere") ** 2
    z = few.redshift + error * normal(key, "z")
    # Three in a thousand secure redshifts are wrong, and half of the guesses.
    wrong = uniform(key, "wrong") < np.where(secure, 0.003, 0.5)
    z = np.where(wrong, anywhere, z)
    star = (few.kind == STAR) & secure
    velocity = np.where(uniform(key, "velocity known") < 0.5, 4e-4 * normal(key, "velocity"), 0.0)
    z = np.where(star, velocity, z)
    which = uniform(key, "sentinel")
    z = np.where(~secure & (which < 0.45), NOT_SECURE, z)
    lost = (~secure & (which > 0.85)) | (secure & (which < 0.0008))
    return np.where(lost, NO_REDSHIFT, z)


def _errors(key: Keys, secure: Mask, error: Floats) -> Floats:
    """Errors of the redshift, with zeros, sentinels and absurd ones."""
    which = uniform(key, "error sentinel")
    error = np.where(~secure & (uniform(key, "sentinel") < 0.45) & (which < 0.9), NO_ERROR, error)
    error = np.where(which > 0.988, 0.0, error)
    error = np.where(which > 0.994, LOST_ERROR, error)
    return np.where(which > 0.997, 1.0 + 5.0 * uniform(key, "absurd error"), error)


def _catalogue_magnitude(key: Keys, i: Floats, *, prism: bool) -> Floats:
    """Magnitude i in the survey's own catalogue."""
    which = uniform(key, "magnitude sentinel")
    magnitude = i + 0.08 * normal(key, "magnitude")
    magnitude = np.where(which < 0.001, np.nan, magnitude)
    magnitude = np.where(which > 0.998, LOST_MAGNITUDE, magnitude)
    return np.where(which > (0.94 if prism else 0.999), NO_MAGNITUDE, magnitude)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Matched:
    """Rows of ``specz`` before they meet objects; names are joined by commas."""

    row: NDArray[np.int64]
    name: NDArray[np.str_]
    key: Keys
    z: Floats
    error: Floats
    magnitude: Floats
    secure: Mask


def _names(spectra: _Spectra) -> NDArray[np.str_]:
    titles = [survey.name for survey in SURVEYS]
    pairs = zip(spectra.survey.tolist(), spectra.key.tolist(), strict=True)
    return np.array([f"{titles[number]}-{key >> 16:012x}" for number, key in pairs], dtype=str)


def _merge(spectra: _Spectra, sources: Sources) -> _Matched:
    """Join the spectra of a source; some sources keep a row per spectrum."""
    order = np.lexsort((spectra.survey, spectra.row))
    spectra = take_rows(spectra, order)
    apart = uniform(sources.key[spectra.row], "spectra apart") < _UNMERGED
    same = np.zeros(spectra.row.size, bool)
    same[1:] = (spectra.row[1:] == spectra.row[:-1]) & ~apart[1:]
    start = np.flatnonzero(~same)
    group = np.cumsum(~same) - 1
    names = _names(spectra).tolist()
    ends = [*start[1:].tolist(), len(names)]
    # The mean of the secure redshifts counts; without any, the first row stands.
    votes = np.bincount(group[spectra.secure], minlength=start.size)
    mean = np.bincount(
        group[spectra.secure], weights=spectra.z[spectra.secure], minlength=start.size
    ) / np.maximum(votes, 1)
    first = start.copy()
    trusted = np.flatnonzero(spectra.secure)[::-1]
    first[group[trusted]] = trusted
    return _Matched(
        row=spectra.row[first],
        name=np.array([",".join(names[a:b]) for a, b in zip(start, ends, strict=True)], dtype=str),
        key=spectra.key[first],
        z=np.where(votes > 1, mean, spectra.z[first]),
        error=spectra.error[first],
        magnitude=spectra.magnitude[first],
        secure=votes > 0,
    )


def columns(found: Detections, ids: NDArray[np.int64]) -> Columns:
    """All columns of ``specz`` that the simulated archive holds.

    Parameters
    ----------
    found : Detections
    ids : ndarray of int64, (n,)
        ``object_id`` of each detection.

    Returns
    -------
    dict of str to ndarray
        One row per object and matched spectrum, ordered by object, then name.
    """
    _, first, inverse = np.unique(found.sources.key, return_index=True, return_inverse=True)
    sources = found.sources.take(first)
    spectra = join_rows([_observe(number, sources) for number in range(len(SURVEYS))])
    matched = _merge(spectra, sources)
    # Every object of a source meets every row of its spectra.
    order = np.argsort(inverse, kind="stable")
    low = np.searchsorted(inverse[order], matched.row, side="left")
    high = np.searchsorted(inverse[order], matched.row, side="right")
    times = high - low
    row = np.repeat(np.arange(times.size), times)
    offset = np.arange(row.size) - np.repeat(np.cumsum(times) - times, times)
    table = _rows(found, ids, take_rows(matched, row), order[low[row] + offset])
    keep = table["d_pos"] < MATCH_RADIUS
    table = {name: values[keep] for name, values in table.items()}
    sequence = np.lexsort((table["specz_name"], table["object_id"]))
    return {name: values[sequence] for name, values in table.items()}


def _rows(
    found: Detections,
    ids: NDArray[np.int64],
    matched: _Matched,
    detection: NDArray[np.intp],
) -> Columns:
    true = found.sources.take(detection)
    cosine = np.cos(np.radians(true.dec))
    east, north = (0.08 * normal(matched.key, label) for label in ("east", "north"))
    ra, dec = true.ra + east / 3600 / cosine, true.dec + north / 3600
    away = (found.ra[detection] - ra + 180.0) % 360.0 - 180.0
    return {
        "object_id": ids[detection],
        "d_pos": np.hypot(away * cosine, found.dec[detection] - dec) * 3600,
        "specz_name": matched.name,
        "specz_ra": ra,
        "specz_dec": dec,
        "specz_redshift": matched.z,
        "specz_redshift_err": matched.error,
        "specz_mag_i": matched.magnitude,
        "specz_flag_homogeneous": matched.secure,
    }
