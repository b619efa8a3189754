"""Scores of binned PDFs: a number per object, whose mean over objects is the metric.

A PDF is piecewise constant in its bins, its cumulative F piecewise linear; p_k is the probability
of bin k, w_k its width.  **True redshifts outside the grid** are scored, never dropped: F is 0
below the grid and 1 above, the density there 0.  So CRPS counts the distance to the grid in full,
CDE loss and NLL see no density (NLL its floor), the PIT is 0 or 1, no interval covers.

Every function takes ``pdf`` (n, bins) probabilities, ``edges`` (bins + 1,) and ``true`` (n,), numpy
or torch, raises :class:`~galaxyds.errors.UsageError` as :func:`~galaxyds.metrics.binned_pdf.blocks`
says, and needs a few tens of MB beside its input.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from galaxyds.metrics.binned_pdf import Block, Rule, each
from galaxyds.metrics.metric import Better
from galaxyds.metrics.values import Floats, Values, vector

FLOOR = 1e-10
"""Least probability of a bin in :func:`nll`, 23 nats: one hopeless object is no infinity."""
PIT_EDGES = (1e-4, 0.9999)
"""PIT values outside are outliers (Schmidt et al. 2020; RAIL)."""
ONE_SIGMA, TWO_SIGMA = 0.6826894921370859, 0.9544997361036416
"""Probability within one and two sigma of a Gaussian."""


def crps(pdf: Values, edges: Values, true: Values) -> Floats:
    """Continuous ranked probability score, the integral of (F(z) - [z >= z_spec])^2, in redshift.

    Exact for the piecewise linear F: over a bin in which F goes from a to b the integral of F^2 is
    w (a^2 + a b + b^2) / 3; the bin that holds z_spec is cut there.

    Returns
    -------
    ndarray of float64, shape (n,)
        0 is perfect; abs(z - z_spec) for a PDF that is a point at z.
    """
    return each(_crps, pdf, edges, true)


def _crps(block: Block) -> Floats:
    a, b = block.cumulative[:, :-1], block.cumulative[:, 1:]
    below = _square(a, b) * block.widths
    above = _square(1 - a, 1 - b) * block.widths
    here = np.arange(block.widths.size)
    whole = np.where(here < block.bins[:, None], below, above)
    whole[np.arange(block.true.size), block.bins] = 0.0
    return np.asarray(whole.sum(axis=1) + _cut_bin(block) + _outside(block))


def _cut_bin(block: Block) -> Floats:
    """Integral over the bin that holds the true redshift; outside the grid over the nearest."""
    a, b = block.take(block.cumulative), block.take(block.cumulative[:, 1:])
    split = block.part * _square(a, block.pit)
    split += (1 - block.part) * _square(1 - block.pit, 1 - b)
    return split * block.widths[block.bins]


def _outside(block: Block) -> Floats:
    """Distance to the grid, where the integrand is 1."""
    below = np.maximum(block.edges[0] - block.true, 0.0)
    return np.asarray(below + np.maximum(block.true - block.edges[-1], 0.0))


def _square(a: Floats, b: Floats) -> Floats:
    """Mean of the square of what goes linearly from a to b."""
    return (a * a + a * b + b * b) / 3


def crps_one_hot(pdf: Values, edges: Values, true: Values) -> Floats:
    """CRPS against a one-hot CDF: sum over bins of w_k (F_k - [k >= k_spec])^2 (Lin et al. 2022).

    Off by up to a bin width from :func:`crps`; F_k is taken at the upper edges, and a true redshift
    outside the grid counts as the nearest bin.  For comparison with published values only.

    Returns
    -------
    ndarray of float64, shape (n,)
        In redshift.
    """
    return each(_crps_one_hot, pdf, edges, true)


def _crps_one_hot(block: Block) -> Floats:
    step = np.arange(block.widths.size) >= block.bins[:, None]
    return (block.cumulative[:, 1:] - step) ** 2 @ block.widths


def cde_loss(pdf: Values, edges: Values, true: Values) -> Floats:
    """Conditional density loss, integral of p^2 - 2 p(z_spec) (Izbicki & Lee 2017), per redshift.

    Exact for piecewise constant densities: the sum of p_k^2 / w_k minus 2 p_k / w_k of the bin of
    z_spec.  RAIL takes trapezoids and the nearest grid point instead.

    Returns
    -------
    ndarray of float64, shape (n,)
        Lower is better; negative for a good PDF.
    """
    return each(_cde_loss, pdf, edges, true)


def _cde_loss(block: Block) -> Floats:
    square = block.pdf**2 @ (1 / block.widths)
    return np.asarray(square - 2 * block.at_truth / block.widths[block.bins])


def nll(pdf: Values, edges: Values, true: Values) -> Floats:
    """Negative log density at the true redshift, -ln(max(p_k, 1e-10) / w_k), nats.

    The division by the width makes grids of different bins comparable: without it half the bin
    width costs ln 2 more.

    Returns
    -------
    ndarray of float64, shape (n,)
        Lower is better; may be negative.
    """
    return each(_nll, pdf, edges, true)


def _nll(block: Block) -> Floats:
    return np.log(block.widths[block.bins]) - np.log(np.maximum(block.at_truth, FLOOR))


def brier(pdf: Values, edges: Values, true: Values) -> Floats:
    """Brier score over the bins as classes, the sum of (p_k - [k = k_spec])^2 (Brier 1950).

    It depends on the bins and knows no distance: compare on one grid only.  Outside the grid no bin
    is right.

    Returns
    -------
    ndarray of float64, shape (n,)
        In [0, 2].
    """
    return each(_brier, pdf, edges, true)


def _brier(block: Block) -> Floats:
    wrong = np.where(block.inside, 1 - 2 * block.at_truth, 1.0)
    return np.asarray((block.pdf**2).sum(axis=1) + wrong)


def pit(pdf: Values, edges: Values, true: Values, *, randomised: int | None = None) -> Floats:
    """Probability integral transform F(z_spec), uniform over objects where PDFs are calibrated.

    F is continuous here, linear inside a bin, so nothing needs to be drawn at random.  Where z_spec
    is known only as a bin (rounded labels, a simulation of classes), F is a step and its values
    repeat: ``randomised`` then draws uniformly between F at the two edges of that bin.

    Parameters
    ----------
    pdf, edges, true
        See the module.
    randomised : int, optional
        Seed of the draws.

    Returns
    -------
    ndarray of float64, shape (n,)
        In [0, 1]; 0 or 1 outside the grid.
    """
    if randomised is None:
        return each(_pit, pdf, edges, true)
    rng = np.random.default_rng(randomised)

    def draw(block: Block) -> Floats:
        part = rng.random(block.true.size)
        inner = block.take(block.cumulative) + part * block.take(block.pdf)
        return np.where(block.inside, np.minimum(inner, 1.0), block.pit)

    return each(draw, pdf, edges, true)


def _pit(block: Block) -> Floats:
    return block.pit


def pdf_mean(pdf: Values, edges: Values) -> Floats:
    """Mean of each PDF, over bin centres, float64 (n,)."""
    return each(lambda block: block.pdf @ ((block.edges[:-1] + block.edges[1:]) / 2), pdf, edges)


def pdf_median(pdf: Values, edges: Values) -> Floats:
    """Median of each PDF, linear inside its bin, float64 (n,): the estimate of paper 003, 5.1."""
    return each(_median, pdf, edges)


def _median(block: Block) -> Floats:
    rows = np.arange(block.pdf.shape[0])
    index = (block.cumulative[:, 1:] >= 0.5).argmax(axis=1)
    inside = np.maximum(block.pdf[rows, index], np.finfo(np.float64).tiny)
    part = np.clip((0.5 - block.cumulative[rows, index]) / inside, 0.0, 1.0)
    return np.asarray(block.edges[index] + part * block.widths[index])


def pdf_mode(pdf: Values, edges: Values) -> Floats:
    """Centre of the bin of highest density, float64 (n,); the first of equal ones."""

    def highest(block: Block) -> Floats:
        index = (block.pdf / block.widths).argmax(axis=1)
        return np.asarray(block.edges[index] + block.widths[index] / 2)

    return each(highest, pdf, edges)


def zconf(pdf: Values, edges: Values, point: Values, *, half_width: float = 0.03) -> Floats:
    """Probability within ``half_width`` (1 + z) of a point estimate (Tanaka et al. 2018; "odds").

    Parameters
    ----------
    pdf, edges
        See the module.
    point : array-like or torch.Tensor, shape (n,)
        Point estimates z.
    half_width : float
        0.03 for HSC.

    Returns
    -------
    ndarray of float64, shape (n,)
        In [0, 1]: how sure the PDF is of the estimate, not whether it is right.
    """
    at = vector(point, "point")
    reach = half_width * (1 + at)
    return pit(pdf, edges, at + reach) - pit(pdf, edges, at - reach)


@dataclass(frozen=True, kw_only=True, slots=True)
class PdfMetric:
    """A mean over objects that scores binned PDFs.

    Attributes
    ----------
    name, formula, source, better, scale, about : str
        As those of :class:`~galaxyds.metrics.metric.Metric`; ``target`` is where a calibrated
        model stands, if that is a number.
    rule : callable
        From a block of checked PDFs to a number per object.
    """

    name: str
    rule: Rule = field(repr=False)
    formula: str
    source: str
    better: Better | None = "lower"
    scale: str = "z"
    about: str = ""
    target: float | None = None


def _covers(level: float) -> Callable[[Block], Floats]:
    return lambda block: (np.abs(block.pit - 0.5) <= level / 2).astype(np.float64)


def _pit_outlier(block: Block) -> Floats:
    return ((block.pit < PIT_EDGES[0]) | (block.pit > PIT_EDGES[1])).astype(np.float64)


PDF_METRICS: dict[str, PdfMetric] = {
    each_.name: each_
    for each_ in (
        PdfMetric(
            name="crps",
            rule=_crps,
            formula="mean of the integral of (F(z) - [z >= z_spec])^2 dz",
            source="Matheson & Winkler 1976; exact in linear bins",
            about="Distance between the PDF and the truth.",
        ),
        PdfMetric(
            name="crps_one_hot",
            rule=_crps_one_hot,
            formula="mean of sum_k w_k (F_k - [k >= k_spec])^2",
            source="Lin et al. 2022, released code",
            about="CRPS with the truth moved to a bin: off by up to a bin width.",
        ),
        PdfMetric(
            name="cde_loss",
            rule=_cde_loss,
            formula="mean of (sum_k p_k^2 / w_k) - 2 p(z_spec)",
            source="Izbicki & Lee 2017",
            scale="1/z",
            about="Squared error of the density, up to a constant.",
        ),
        PdfMetric(
            name="nll",
            rule=_nll,
            formula="mean of -ln(max(p_k, 1e-10) / w_k)",
            source="per unit redshift, so that grids compare",
            scale="nat",
            about="Surprise at the truth.",
        ),
        PdfMetric(
            name="brier",
            rule=_brier,
            formula="mean of sum_k (p_k - [k = k_spec])^2",
            source="Brier 1950",
            scale="1",
            about="Squared error over bins as classes; compare on one grid only.",
        ),
        PdfMetric(
            name="coverage_68",
            rule=_covers(ONE_SIGMA),
            formula="fraction |PIT - 0.5| <= 0.6827 / 2",
            source="central interval",
            better=None,
            scale="fraction",
            about="Share of truths in the central one-sigma interval.",
            target=ONE_SIGMA,
        ),
        PdfMetric(
            name="coverage_95",
            rule=_covers(TWO_SIGMA),
            formula="fraction |PIT - 0.5| <= 0.9545 / 2",
            source="central interval",
            better=None,
            scale="fraction",
            about="Share of truths in the central two-sigma interval.",
            target=TWO_SIGMA,
        ),
        PdfMetric(
            name="pit_outliers",
            rule=_pit_outlier,
            formula="fraction PIT < 0.0001 or PIT > 0.9999",
            source="Schmidt et al. 2020; RAIL",
            scale="fraction",
            about="Truths where the PDF has nothing.",
            target=2e-4,
        ),
    )
}
"""Every mean-type metric of binned PDFs by name, in the order of the documentation."""
