"""Anyone's predictions, joined with the true redshifts by object id, and scored.

Whoever predicts sees :class:`~galaxyds_models.objects.Objects`, or the files of a build; what
belongs to the test split, only this side decides.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from galaxyds.errors import UsageError
from galaxyds.metrics import (
    METRICS,
    ONE_SIGMA,
    TWO_SIGMA,
    PitStatistics,
    evaluate,
    evaluate_bins,
    evaluate_pdf,
    gaussian_crps,
    gaussian_nll,
    gaussian_pit,
    mean_intervals,
    pit,
    pit_statistics,
)
from galaxyds.metrics import Interval as Scores
from galaxyds.metrics.pdf import PIT_EDGES
from galaxyds_models.objects import Floats, Ids, Objects
from galaxyds_models.predictions import Predictions, read_predictions, some, write_predictions
from galaxyds_models.results import Bin, Histograms, Interval, Result, histograms

__all__ = [
    "Origin",
    "Predictions",
    "Scored",
    "as_results",
    "join",
    "read_predictions",
    "score",
    "score_columns",
    "write_predictions",
]

EXTERNAL = "external"
"""Recipe and preset of predictions that galaxyds did not make."""
_EXACT = 2**53
_BINS, _FEWEST = 10, 20
"""Bins of redshift, and objects that a bin needs."""
_BY_REDSHIFT = ("bias_mean", "bias_median", "sigma_mad", "outliers_05", "outliers_15",
                "outliers_above_15", "rmse", "hsc_loss_spec")  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Scored:
    """Scores of one set of point estimates.

    Attributes
    ----------
    objects : int
        How many were scored.
    metrics : dict of str to Interval
        Of ``galaxyds.metrics``; those of PDFs where there is a ``pdf`` or a ``sigma``.
    bins : list of Bin
        Some of them in bins of true redshift with as many objects each.
    figures : Histograms
        Density, residuals, PIT.
    pit : PitStatistics or None
        How far the PIT is from uniform; None without PDFs.
    patterns : dict of str to Scored
        Of the estimates from other patterns of inputs.
    """

    objects: int
    metrics: dict[str, Interval]
    bins: list[Bin]
    figures: Histograms
    pit: PitStatistics | None = None
    patterns: dict[str, Scored] = field(default_factory=dict)


def join(predictions: Predictions, objects: Objects) -> Predictions:
    """Bring predictions into the order of the objects.

    Parameters
    ----------
    predictions : Predictions
        One for each of the objects, in any order.
    objects : Objects
        What they are scored on.

    Returns
    -------
    Predictions
        Row ``k`` is of object ``k``.

    Raises
    ------
    UsageError
        If predictions are missing, or are of objects that are none of these: how many, the first
        three, and the split that they belong to where they belong to one.
    """
    if foreign := _foreign(predictions.object_id, objects):
        raise UsageError(f"{_where(objects)}: {foreign}", split=objects.split)
    missing = objects.object_id[~np.isin(objects.object_id, predictions.object_id)]
    if missing.size:
        raise UsageError(
            f"{_where(objects)}: no prediction for {missing.size:,} of {len(objects):,} objects "
            f"({some(missing)}): predict every object of the split",
            split=objects.split,
            missing=missing.size,
        )
    order = np.argsort(predictions.object_id, kind="stable")
    places = np.searchsorted(predictions.object_id, objects.object_id, sorter=order)
    return predictions.take(order[places])


def score(
    predictions: Predictions, objects: Objects, *, resamples: int = 1000, seed: int = 0
) -> Scored:
    """Join predictions with the truth and score them.

    Parameters
    ----------
    predictions : Predictions
        One for each of the objects, in any order.
    objects : Objects
        With the true redshifts.
    resamples : int
        Of the bootstrap; 0 leaves the intervals out.
    seed : int
        Of the bootstrap.

    Returns
    -------
    Scored
        Numbers do not depend on the order of the predictions.

    Raises
    ------
    UsageError
        As :func:`join`.
    """
    joined = join(predictions, objects)
    truth = objects.redshift.astype(np.float64)
    metrics, values = _score_pdf(joined, truth, resamples=resamples, seed=seed)
    main = _score_points(joined.z, truth, resamples=resamples, seed=seed)
    return replace(
        main,
        metrics={**main.metrics, **metrics},
        figures=histograms(joined.z, truth, values),
        pit=None if values is None else pit_statistics(values),
        patterns={
            name: _score_points(values, truth, resamples=resamples, seed=seed)
            for name, values in joined.patterns.items()
        },
    )


def mean_prediction(paths: Sequence[Path], objects: Objects) -> NDArray[np.float64]:
    """Read predictions of several files and average their point estimates.

    Parameters
    ----------
    paths : sequence of pathlib.Path
        For example one per seed.
    objects : Objects
        What they are of.

    Returns
    -------
    ndarray of float64, shape (N,)
        In the order of the objects.

    Raises
    ------
    UsageError, DataIntegrityError
        As :func:`read_predictions` and :func:`join`.
    """
    joined = [join(read_predictions(path), objects).z for path in paths]
    return np.asarray(np.mean(joined, axis=0, dtype=np.float64))


def score_columns(
    predicted: NDArray[np.float64], true: NDArray[np.float64], *, resamples: int = 1000
) -> dict[str, Interval]:
    """Score two columns by every metric of point estimates.

    Parameters
    ----------
    predicted, true : ndarray of float64, shape (n,)
        Finite redshifts.
    resamples : int
        Of the bootstrap; the metrics that are too slow for it come without an interval.

    Returns
    -------
    dict of str to Interval
        In the order of ``galaxyds.metrics.METRICS``.

    Raises
    ------
    UsageError
        If redshifts cannot be scored.
    """
    quick = _intervals(evaluate(predicted, true, resamples=resamples), known=True)
    return {
        name: quick.get(name) or Interval(value=_finite(each(predicted, true)))
        for name, each in METRICS.items()
    }


def _score_points(z: Floats, truth: NDArray[np.float64], *, resamples: int, seed: int) -> Scored:
    found = evaluate(z, truth, resamples=max(resamples, 1), seed=seed)
    return Scored(
        objects=len(truth),
        metrics=_intervals(found, known=resamples > 0),
        bins=_by_redshift(z, truth),
        figures=histograms(z, truth),
    )


def _score_pdf(
    joined: Predictions, truth: NDArray[np.float64], *, resamples: int, seed: int
) -> tuple[dict[str, Interval], NDArray[np.float64] | None]:
    """Score PDFs, or Gaussians in their place: metrics, and the PIT of each object."""
    draws = {"resamples": max(resamples, 1), "seed": seed}
    if joined.pdf is not None and joined.edges is not None:
        scores = evaluate_pdf(joined.pdf, joined.edges, truth, **draws)
        values = pit(joined.pdf, joined.edges, truth)
        return _intervals(scores.scores, known=resamples > 0), values
    if joined.sigma is None:
        return {}, None
    values = gaussian_pit(joined.z, joined.sigma, truth)
    columns = {
        "crps": gaussian_crps(joined.z, joined.sigma, truth),
        "nll": gaussian_nll(joined.z, joined.sigma, truth),
        "coverage_68": _within(values, ONE_SIGMA),
        "coverage_95": _within(values, TWO_SIGMA),
        "pit_outliers": ((values < PIT_EDGES[0]) | (values > PIT_EDGES[1])).astype(np.float64),
    }
    return _intervals(mean_intervals(columns, **draws), known=resamples > 0), values


def _within(values: NDArray[np.float64], level: float) -> NDArray[np.float64]:
    return (np.abs(values - 0.5) <= level / 2).astype(np.float64)


def _intervals(found: Mapping[str, Scores], *, known: bool) -> dict[str, Interval]:
    """As the results have them: None for what is not finite, or not known."""
    return {
        name: Interval(
            value=_finite(each.value),
            low=_finite(each.low) if known else None,
            high=_finite(each.high) if known else None,
        )
        for name, each in found.items()
    }


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _by_redshift(z: Floats, truth: NDArray[np.float64]) -> list[Bin]:
    """Score bins of true redshift; none of objects that all have one redshift."""
    bins = min(_BINS, len(truth) // _FEWEST)
    if not bins or truth.min() == truth.max():
        return []
    rows = evaluate_bins(z, truth, edges=bins, metrics=_BY_REDSHIFT, resamples=1)
    return [
        Bin(
            low=row.low,
            high=row.high,
            count=row.count,
            metrics={name: _finite(each.value) for name, each in row.scores.items()},
        )
        for row in rows
    ]


@dataclass(frozen=True, kw_only=True, slots=True)
class Origin:
    """Whose predictions are scored, and where they are from.

    Attributes
    ----------
    model : str
        Name of the model.
    seed : int
        Of its training.
    code : str
        Link to its code.
    hardware, software : str
        What it was trained on, and with which versions.
    command : str
        What scored it.
    predictions : str
        sha256 of the file.
    """

    model: str
    seed: int
    code: str
    hardware: str = ""
    software: str = ""
    command: str
    predictions: str


def as_results(
    scored: Scored, objects: Objects, origin: Origin, *, validation: Scored | None = None
) -> list[Result]:
    """Make the lines of a results file: one of ``z``, one of each pattern.

    Parameters and seconds, which only the trainer knows, are 0.

    Parameters
    ----------
    scored : Scored
        The scores.
    objects : Objects
        What was scored.
    origin : Origin
        Whose predictions.
    validation : Scored, optional
        Scores of the same model on the validation split.

    Returns
    -------
    list of Result
        With recipe and preset ``external``.
    """
    created = datetime.now(UTC).isoformat(timespec="seconds")
    return [
        Result(
            model=origin.model,
            recipe=EXTERNAL,
            preset=EXTERNAL,
            pattern=pattern,
            dataset=objects.address,
            version=objects.version,
            manifest=objects.manifest,
            split=objects.split,
            division=objects.division,
            simulated=objects.simulated,
            nature=objects.nature,
            seed=origin.seed,
            members=1,
            objects=each.objects,
            train_objects=len(objects.elsewhere.get("train", ())),
            metrics=each.metrics,
            validation=_values(validation, pattern),
            parameters=0,
            hardware=origin.hardware,
            software=origin.software,
            wall_seconds=0.0,
            code=origin.code,
            command=origin.command,
            created=created,
            predictions=origin.predictions,
            bins=each.bins,
            figures=each.figures,
        )
        for pattern, each in {"": scored, **scored.patterns}.items()
    ]


def _values(scored: Scored | None, pattern: str) -> dict[str, float | None]:
    found = scored.patterns.get(pattern) if scored and pattern else scored
    return {name: each.value for name, each in found.metrics.items()} if found else {}


def _where(objects: Objects) -> str:
    return f"{objects.address}, {objects.split} of division {objects.division}"


def _foreign(ids: Ids, objects: Objects) -> str:
    """Say which ids are none of the objects', and what they are instead; empty if there is none."""
    strangers = ids[~np.isin(ids, objects.object_id)]
    if not strangers.size:
        return ""
    told = []
    for split, members in objects.elsewhere.items():
        theirs = np.isin(strangers, members)
        if theirs.any():
            told.append(f"{theirs.sum():,} predicted ids belong to {split} "
                        f"({some(strangers[theirs])})")  # fmt: skip
            strangers = strangers[~theirs]
    if strangers.size:
        told.append(f"{strangers.size:,} predicted ids are no objects of this dataset "
                    f"({some(strangers)}){_rounding(strangers)}")  # fmt: skip
    return f"{'; '.join(told)}: predict the objects of {objects.split} only"


def _rounding(ids: Ids) -> str:
    """A word on ids that look as if a float or a spreadsheet had rounded them."""
    large = np.abs(ids) > _EXACT
    rounded = large & (ids.astype(np.float64).astype(np.int64) == ids)
    hint = ", which a float has rounded: keep object_id as a 64-bit whole number on the whole way"
    return hint if large.any() and rounded[large].all() else ""
