"""Scores with bootstrap intervals, and the paired test of two models.

One set of resamples serves all metrics.  A resample is how often each object was drawn: means are
products with those counts, and medians and quantiles are found by rank among residuals that were
sorted once, exactly.  Memory beside the input is some twenty float64 columns of the sample and
32 MB of counts, whatever the number of resamples.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from galaxyds.errors import UsageError
from galaxyds.metrics.binned_pdf import blocks
from galaxyds.metrics.calibration import PitStatistics, pit_statistics
from galaxyds.metrics.metric import Metric
from galaxyds.metrics.pdf import PDF_METRICS
from galaxyds.metrics.point import METRICS, get_metric
from galaxyds.metrics.sample import Resample, Sample
from galaxyds.metrics.values import Floats, Values

_BLOCK = 1 << 22
"""Counts held at once, 32 MB."""
_LEVEL = 0.95


@dataclass(frozen=True, slots=True)
class Interval:
    """A score and its percentile bootstrap interval.

    Attributes
    ----------
    value : float
        Of the sample itself; not the mean of the resamples.
    low, high : float
        Percentiles of the resamples.  A score with a bias of its own (an absolute value, a
        maximum) may lie outside.
    """

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.4g} [{self.low:.4g}, {self.high:.4g}]"


@dataclass(frozen=True, slots=True, kw_only=True)
class PdfScores:
    """Scores of binned PDFs.

    Attributes
    ----------
    scores : dict
        An interval for each of ``PDF_METRICS``.
    pit : PitStatistics
        Without intervals: a resample with its repeats is never uniform.
    """

    scores: dict[str, Interval]
    pit: PitStatistics


@dataclass(frozen=True, slots=True, kw_only=True)
class PairedResult:
    """Two models on the same objects; positive where b is better.

    Attributes
    ----------
    metric : str
        By which they are compared.
    a, b : float
        Its values: a the baseline, b the contender.
    difference : float
        L(a) - L(b), with L = M where lower is better, -M where higher is, abs(M) of signed errors.
    interval : Interval
        Of the difference, 95 %, from resamples not shifted.
    gain : float
        difference / abs(M(a)): G(M) of paper 003, Eq. 2; NaN where M(a) is 0.
    p_value : float
        Chance of such a difference if b were no better (paper 003, Eq. D.3), a multiple of
        1 / ``resamples``.
    resamples : int
        K.
    """

    metric: str
    a: float
    b: float
    difference: float
    interval: Interval
    gain: float
    p_value: float
    resamples: int


def evaluate(
    predicted: Values,
    true: Values,
    *,
    metrics: Sequence[str | Metric] | None = None,
    resamples: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> dict[str, Interval]:
    """Score point estimates by many metrics, with bootstrap intervals.

    Parameters
    ----------
    predicted, true : array-like or torch.Tensor, shape (n,)
        Point estimates and spectroscopic redshifts.
    metrics : sequence of str or Metric, optional
        Names in ``METRICS`` or metrics of your own; all quick ones of ``METRICS`` by default.
    resamples : int
        With replacement, of n objects each, the same for all metrics.
    level : float
        Probability of the interval.
    seed : int
        Same seed, same objects in the same order: same intervals, whatever metrics are asked for.

    Returns
    -------
    dict of str to Interval
        In the order asked for.

    Raises
    ------
    UsageError
        If redshifts cannot be scored, a metric is unknown, or ``level`` or ``resamples`` is out of
        range.
    """
    _check(resamples, level)
    chosen = _choose(metrics)
    base = Sample.of(predicted, true)
    values = [each.of(base) for each in chosen]  # asks for the columns, too
    drawn = np.array(
        [[each.of(one) for each in chosen] for (one,) in _resamples([base], resamples, seed)]
    )
    return {
        each.name: _interval(value, drawn[:, i], level)
        for i, (each, value) in enumerate(zip(chosen, values, strict=True))
    }


def evaluate_pdf(
    pdf: Values,
    edges: Values,
    true: Values,
    *,
    resamples: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> PdfScores:
    """Score binned PDFs by every metric of ``PDF_METRICS``, and their PIT.

    Parameters
    ----------
    pdf : array-like or torch.Tensor, shape (n, bins)
        Probabilities.
    edges : array-like or torch.Tensor, shape (bins + 1,)
        Bin edges, ascending.
    true : array-like or torch.Tensor, shape (n,)
        True redshifts; outside the grid see :mod:`galaxyds.metrics.pdf`.
    resamples, level, seed
        As of :func:`evaluate`.

    Returns
    -------
    PdfScores
        Intervals of the means, statistics of the PIT.

    Raises
    ------
    UsageError
        If PDFs are none, shapes differ, or ``level`` or ``resamples`` is out of range.
    """
    _check(resamples, level)
    rules = {name: each.rule for name, each in PDF_METRICS.items()}
    parts = [
        np.column_stack([block.pit, *(rule(block) for rule in rules.values())])
        for block in blocks(pdf, edges, true)
    ]
    table = np.concatenate(parts)
    drawn = np.concatenate([means for _, means in _draws(table[:, 1:], resamples, seed)])
    values = table[:, 1:].mean(axis=0)
    return PdfScores(
        scores={
            name: _interval(float(values[i]), drawn[:, i], level) for i, name in enumerate(rules)
        },
        pit=pit_statistics(table[:, 0]),
    )


def paired_bootstrap(
    predicted_a: Values,
    predicted_b: Values,
    true: Values,
    metric: str | Metric,
    *,
    resamples: int = 10_000,
    seed: int = 0,
) -> PairedResult:
    """Test whether model b is better than model a (paper 003, App. D; Efron & Tibshirani 1994).

    Both are scored on the same resamples.  delta = L(a) - L(b) is positive where b is better
    (``PairedResult.difference``); the paper's Eq. D.1 has the other sign, its text and its use this
    one.  Under the null hypothesis that b is no better the resampled differences are shifted by the
    one observed, and p = Freq(delta* - delta >= delta) (Eq. D.3): one-sided, about 1/2 for equal
    models, near 1 where b is worse, 1 for identical ones.

    Parameters
    ----------
    predicted_a, predicted_b : array-like or torch.Tensor, shape (n,)
        Point estimates of the baseline and of the contender for the same objects.
    true : array-like or torch.Tensor, shape (n,)
        True redshifts.
    metric : str or Metric
        By which they are compared.
    resamples : int
        K; the paper has 10^4.
    seed : int
        Of the draws.

    Returns
    -------
    PairedResult
        Frozen.

    Raises
    ------
    UsageError
        As of :func:`evaluate`.
    """
    _check(resamples, _LEVEL)
    (by,) = _choose([metric])
    first, second = Sample.of(predicted_a, true), Sample.of(predicted_b, true)
    a, b = by.of(first), by.of(second)
    difference = by.loss(a) - by.loss(b)
    pairs = _resamples([first, second], resamples, seed)
    drawn = np.array([by.loss(by.of(one)) - by.loss(by.of(two)) for one, two in pairs])
    return PairedResult(
        metric=by.name,
        a=a,
        b=b,
        difference=difference,
        interval=_interval(difference, drawn, _LEVEL),
        gain=difference / abs(a) if a else float("nan"),
        p_value=float((drawn - difference >= difference).mean()),
        resamples=resamples,
    )


def mean_intervals(
    columns: Mapping[str, Floats], *, resamples: int = 1000, level: float = 0.95, seed: int = 0
) -> dict[str, Interval]:
    """Means of numbers per object, (n,) each, with intervals from one set of resamples.

    For scores of your own, for example of :mod:`galaxyds.metrics.gaussian`.

    Raises
    ------
    UsageError
        If ``level`` or ``resamples`` is out of range, or there is no column.
    """
    _check(resamples, level)
    if not columns:
        raise UsageError("no columns to take means of: pass at least one")
    table = np.column_stack(list(columns.values()))
    drawn = np.concatenate([means for _, means in _draws(table, resamples, seed)])
    return {
        name: _interval(float(table[:, i].mean()), drawn[:, i], level)
        for i, name in enumerate(columns)
    }


def _choose(metrics: Sequence[str | Metric] | None) -> list[Metric]:
    if metrics is None:
        return [each for each in METRICS.values() if each.quick]
    return [each if isinstance(each, Metric) else get_metric(each) for each in metrics]


def _resamples(bases: Sequence[Sample], resamples: int, seed: int) -> Iterator[list[Resample]]:
    """Resamples of the same draws of samples whose metrics were asked for once."""
    size = bases[0].true.size
    columns = [column for base in bases for column in base.columns.values()]
    table = np.column_stack(columns) if columns else np.empty((size, 0))
    for counts, means in _draws(table, resamples, seed):
        for drawn, row in zip(counts, means.tolist(), strict=True):
            values = iter(row)
            yield [
                Resample(base, drawn, {term: next(values) for term in base.columns})
                for base in bases
            ]


def _draws(table: Floats, resamples: int, seed: int) -> Iterator[tuple[Floats, Floats]]:
    """Blocks of counts, (block, n), and of the means of a table's columns, (block, columns)."""
    rng = np.random.default_rng(seed)
    size = table.shape[0]
    step = max(1, _BLOCK // size)
    for first in range(0, resamples, step):
        counts = np.empty((min(step, resamples - first), size))
        for row in counts:
            row[:] = np.bincount(rng.integers(0, size, size), minlength=size)
        yield counts, counts @ table / size


def _interval(value: float, drawn: Floats, level: float) -> Interval:
    low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2])
    return Interval(value, float(low), float(high))


def _check(resamples: int, level: float) -> None:
    if resamples < 1:
        raise UsageError(f"{resamples} resamples give no interval: ask for 1000")
    if not 0 < level < 1:
        raise UsageError(f"level {level} is not between 0 and 1: pass 0.95 or 0.6827")
