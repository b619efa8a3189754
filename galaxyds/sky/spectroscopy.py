"""The table ``SpecObjAll`` of the simulated sky: what was observed, how often, and how well."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from galaxyds.sky.detections import Detections
from galaxyds.sky.hashing import Floats, Keys, choose, keyed, normal, uniform
from galaxyds.sky.main_sample import mistaken, observed_share
from galaxyds.sky.photometry import Columns
from galaxyds.sky.surveys import SDSS
from galaxyds.sky.universe import GALAXY, QUASAR, STAR

# survey, first plate, first MJD, fibers of a plate, re-reduction code, share of quasar spectra
_SURVEYS = (
    ("sdss", 266, 51600, 640, 26, 0.20),
    ("boss", 3600, 55200, 1000, 5130, 0.40),
    ("eboss", 8192, 57000, 1000, 5130, 0.40),
)
# The same for the release that the main galaxy sample is from.
_OLDER_SURVEYS = (
    ("sdss", 266, 51600, 640, 26, 0.93),
    ("segue1", 1960, 53300, 640, 103, 0.02),
    ("boss", 3600, 55200, 1000, 5130, 0.05),
)
# Magnitude in ugriz at which the median signal-to-noise per pixel is 10.
_SN_TEN = np.array([18.7, 19.3, 19.4, 19.2, 19.0])
# Scatter between bands in dex: sky lines spoil some spectra in i and z.
_SN_SCATTER = np.array([0.09, 0.08, 0.08, 0.10, 0.13])
_BIT_SMALL_DELTA, _BIT_UNPLUGGED = 4, 128


@dataclass(frozen=True, kw_only=True, slots=True)
class _Targets:
    """Spectra to take: rows of the detections, which visit it is, and a key of its own."""

    row: NDArray[np.intp]
    visit: NDArray[np.int64]
    key: Keys


def _share(detections: Detections) -> Floats:
    """Share of the sources that get a spectrum: most quasars, some bright galaxies and stars."""
    source = detections.sources
    r = source.magnitude[:, 2]
    share: Floats = np.select(
        [
            (source.kind == QUASAR) & (r < 22.4),
            (source.kind == GALAXY) & (r < 19.5),
            (source.kind == STAR) & (r > 15) & (r < 19.5),
        ],
        [0.97, 0.30, 0.12],
        0.0,
    )
    return share


def _targets(detections: Detections, share: Floats) -> _Targets:
    """Choose what is observed; a few again."""
    source = detections.sources
    observed = (uniform(source.key, "observed") < share) & detections.primary
    rows = np.flatnonzero(observed)
    again = rows[uniform(source.key[rows], "observed again") < 0.07]
    row = np.concatenate([rows, again])
    visit = np.concatenate([np.zeros(rows.size, np.int64), np.ones(again.size, np.int64)])
    order = np.lexsort((visit, row))
    row, visit = row[order], visit[order]
    return _Targets(row=row, visit=visit, key=keyed(source.key[row], visit))


def _plates(
    detections: Detections,
    targets: _Targets,
    surveys: tuple[tuple[str, int, int, int, int, float], ...],
) -> Columns:
    """Plate, MJD, fiber and id; every field has one plate per survey, fibers filled in order."""
    shares = np.array([s[5] for s in surveys])
    which = choose(shares, uniform(targets.key, "survey"))
    tile = keyed(detections.run, detections.camcol, detections.field)[targets.row]
    _, order, number = np.unique(tile, return_index=True, return_inverse=True)
    rank = np.argsort(np.argsort(order))[number]  # fields in the order of the detections
    group = rank * len(surveys) + which
    position = _running_count(group)
    fibers = np.array([s[3] for s in surveys])[which]
    # A field with more targets than fibers would spill over to a plate far away.
    plate = np.array([s[1] for s in surveys])[which] + rank + 3000 * (position // fibers)
    mjd = np.array([s[2] for s in surveys])[which] + rank
    fiber = position % fibers + 1
    code = np.array([s[4] for s in surveys])[which]
    return {
        "specObjID": spec_object_id(plate, mjd, fiber, code),
        "plate": plate,
        "mjd": mjd,
        "fiberID": fiber,
        "survey": np.array([s[0] for s in surveys])[which],
    }


def _running_count(group: NDArray[np.int64]) -> NDArray[np.int64]:
    """How many rows of the same group stand before each row."""
    order = np.argsort(group, kind="stable")
    ordered = group[order]
    first = np.searchsorted(ordered, ordered, side="left")
    count = np.empty_like(group)
    count[order] = np.arange(group.size) - first
    return count


def spec_object_id(
    plate: NDArray[np.int64],
    mjd: NDArray[np.int64],
    fiber: NDArray[np.int64],
    code: NDArray[np.int64],
) -> NDArray[np.uint64]:
    """Pack spectrum ids as the archive does.

    Parameters
    ----------
    plate, mjd, fiber, code : ndarray of int64
        Plate, modified Julian date, fiber, number of the reduction.

    Returns
    -------
    ndarray of uint64
        plate << 50 | fiber << 38 | (mjd - 50000) << 24 | code << 10; beyond int64 from plate 8192.
    """
    p, f, m, c = (v.astype(np.uint64) for v in (plate, fiber, mjd - 50000, code))
    shift = [np.uint64(n) for n in (50, 38, 24, 10)]
    packed: NDArray[np.uint64] = (
        (p << shift[0]) | (f << shift[1]) | (m << shift[2]) | (c << shift[3])
    )
    return packed


def _classes(kind: NDArray[np.int8], key: Keys) -> Columns:
    """Class as the pipeline calls it, wrong for one spectrum in thirty."""
    names = np.array(["STAR", "GALAXY", "QSO"])
    wrong = uniform(key, "wrong class") < 0.03
    shift = 1 + (uniform(key, "which class") < 0.5)
    found = names[np.where(wrong, (kind + shift) % 3, kind)]
    broad = np.where(uniform(key, "subclass") < 0.85, "BROADLINE", "")
    sub = np.select([found == "QSO", found == "STAR"], [broad, "F5"], "")
    return {"class": found, "subClass": sub, "_wrong": wrong}


def _redshifts(true: Floats, kind: NDArray[np.int8], key: Keys, noise: Floats) -> Columns:
    """Redshift, its error and the warning bits; ``noise`` is one over the signal-to-noise."""
    base = np.where(kind == QUASAR, 8e-5, 3e-5) * np.exp(0.6 * normal(key, "zErr"))
    error = base * np.clip(0.5 + 2.5 * noise, 0.5, 6.0) * (1 + true)
    warned = uniform(key, "warning") < np.where(kind == QUASAR, 0.05, 0.015)
    lost = warned & (uniform(key, "lost") < 0.5)
    anywhere = 0.01 + 5.5 * uniform(key, "anywhere")
    z = np.where(lost, anywhere, true + error * normal(key, "z"))
    velocity = 2e-4 * normal(key, "velocity")
    z = np.where(kind == STAR, np.where(lost, z, velocity), z)
    bits = np.where(warned, _BIT_SMALL_DELTA, 0)
    unplugged = uniform(key, "unplugged") < 0.003
    bits = np.where(unplugged, bits | _BIT_UNPLUGGED, bits)
    # The pipeline writes non-positive errors where the chi-square has no usable minimum.
    useless = uniform(key, "useless error") < 0.006
    return {
        "z": z,
        "zErr": np.where(useless, np.where(unplugged | warned, -1.0, 0.0), error),
        "zWarning": bits,
    }


def _signal(magnitude: Floats, key: Keys) -> Floats:
    """Median signal-to-noise per pixel in ugriz; (n, 5)."""
    scatter = np.stack([normal(key, f"sn {band.name}") for band in SDSS.bands], axis=1)
    mean = 10.0 ** (1 + 0.34 * (_SN_TEN - magnitude))
    signal: Floats = np.minimum(mean, 120.0) * 10 ** (
        0.10 * normal(key, "sn")[:, None] + _SN_SCATTER * scatter
    )
    return signal


def _best_objects(detections: Detections, ids: NDArray[np.int64], targets: _Targets) -> Columns:
    """``bestObjID``: the primary; a secondary of the source now and then; 0 where unmatched."""
    best = ids[targets.row].copy()
    other = np.flatnonzero(~detections.primary)
    order = np.argsort(detections.sources.key[other], kind="stable")
    keys = detections.sources.key[other][order]
    mine = detections.sources.key[targets.row]
    at = np.searchsorted(keys, mine)
    found = (at < keys.size) & (keys[np.minimum(at, keys.size - 1)] == mine) if keys.size else None
    if found is not None:
        swap = found & (uniform(targets.key, "secondary") < 0.15)
        best[swap] = ids[other][order][at[swap]]
    best[uniform(targets.key, "unmatched") < 0.012] = 0
    return {"bestObjID": best}


def columns(
    detections: Detections, ids: NDArray[np.int64], *, main_sample: bool = False
) -> tuple[Columns, NDArray[np.intp]]:
    """All columns of ``SpecObjAll`` that the simulated archive holds.

    Parameters
    ----------
    detections : Detections
    ids : ndarray of int64, (n,)
        ``objID`` of each detection.
    main_sample : bool
        Whether nearly every bright galaxy is a target, and few quasars are.

    Returns
    -------
    dict of str to ndarray
        One row per spectrum.
    ndarray of intp
        The detection that each spectrum is of.
    """
    share = observed_share(detections) if main_sample else _share(detections)
    targets = _targets(detections, share)
    source = detections.sources.take(targets.row)
    signal = _signal(source.magnitude, targets.key)
    table: Columns = {
        **_plates(detections, targets, _OLDER_SURVEYS if main_sample else _SURVEYS),
        **_best_objects(detections, ids, targets),
        **_classes(source.kind, targets.key),
        **_redshifts(source.redshift, source.kind, targets.key, 1 / signal[:, 1:4].mean(axis=1)),
        "ra": source.ra,
        "dec": source.dec,
        "sciencePrimary": np.where(targets.visit == 0, 1, 0),
        "snMedian": np.median(signal, axis=1),
        **{f"snMedian_{band.name}": signal[:, k] for k, band in enumerate(SDSS.bands)},
    }
    wrong = table.pop("_wrong")
    table["zWarning"] = np.where(
        wrong & (uniform(targets.key, "suspect") < 0.5), _BIT_SMALL_DELTA, table["zWarning"]
    )
    if main_sample:
        table.update(mistaken(table, source.kind, targets.key))
    return table, targets.row
