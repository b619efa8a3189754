"""Metrics of point estimates: every definition in use under a name of its own.

d = z_phot - z_spec, dz = d / (1 + z_spec), z_spec the true redshift.  Each name is a
:class:`~galaxyds.metrics.metric.Metric`, called with (predicted, true).  Numbers in names are
hundredths: ``outliers_15`` counts from 0.15.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from galaxyds.errors import UsageError, did_you_mean
from galaxyds.metrics import order
from galaxyds.metrics.metric import Metric, metric
from galaxyds.metrics.sample import Sample
from galaxyds.metrics.values import Floats, Values


def _dz(sample: Sample) -> Floats:
    return sample.dz


def _d(sample: Sample) -> Floats:
    return sample.d


def _dz_squared(sample: Sample) -> Floats:
    return sample.dz**2


def _d_squared(sample: Sample) -> Floats:
    return sample.d**2


def _dz_absolute(sample: Sample) -> Floats:
    return np.abs(sample.dz)


def _d_absolute(sample: Sample) -> Floats:
    return np.abs(sample.d)


def _true(sample: Sample) -> Floats:
    return sample.true - sample.true_centre


def _true_squared(sample: Sample) -> Floats:
    return _true(sample) ** 2


@dataclass(frozen=True, slots=True)
class _HscTerm:
    """Tanaka's loss per object, by what d is divided by."""

    norm: Literal["none", "phot", "spec"]

    def __call__(self, sample: Sample) -> Floats:
        error = sample.dz if self.norm == "spec" else sample.d
        if self.norm == "phot":
            with np.errstate(divide="ignore"):  # z_phot = -1: an infinite error, a loss of 1
                error = error / (1 + sample.predicted)
        return np.asarray(1 - 1 / (1 + (error / 0.15) ** 2))


@metric("mean(dz)", "paper 003, Sect. 5.1; Pasquet et al. 2019; Dey et al. 2022", better="zero")
def bias_mean(sample: Sample) -> float:
    """Mean error."""
    return sample.mean(_dz)


@metric("median(dz)", "RAIL PointBias; GalaxiesML's code, conventional", better="zero")
def bias_median(sample: Sample) -> float:
    """Median error."""
    return sample.dz_median


@metric(
    "biweight location of dz, c = 6",
    "GalaxiesML's code, default; Beers et al. 1990",
    better="zero",
)
def bias_biweight(sample: Sample) -> float:
    """Error in the middle of the distribution, blind to outliers."""
    return sample.dz_location


@metric(
    "median over pairs i <= j of (dz_i + dz_j) / 2",
    "Dey et al. 2022 (in bins); Hodges & Lehmann 1963",
    better="zero",
    quick=False,
)
def bias_hodges_lehmann(sample: Sample) -> float:
    """Median of pairwise means; not among the metrics that are resampled by default."""
    return order.hodges_lehmann(sample.dz_ordered.expanded)


@metric("mean(z_phot) - mean(z_spec)", "shift of the mean of N(z)", better="zero", scale="z")
def nz_mean_shift(sample: Sample) -> float:
    """Shift of the mean of the sample's redshift distribution."""
    return sample.mean(_d)


@metric("1.4826 median|dz - median(dz)|", "paper 003, Sect. 5.1; Dey et al. 2022; RAIL")
def sigma_mad(sample: Sample) -> float:
    """Scatter as most papers give it; GalaxiesML's code has MAD / 0.67449, 1.5e-6 more."""
    return 1.4826 * sample.dz_mad


@metric("1.48 median|dz - median(dz)|", "Pasquet et al. 2019, released code")
def sigma_mad_148(sample: Sample) -> float:
    """Scatter with a rounded factor, 0.18 % lower."""
    return 1.48 * sample.dz_mad


@metric("1.48 median|d - median(d)|", "paper 002, Eq. 4 as printed", scale="z")
def sigma_mad_unnormalised(sample: Sample) -> float:
    """Scatter without (1 + z): grows with the redshift of the sample."""
    centre = order.median(sample.d_ordered)
    return 1.48 * order.median_distance(sample.d_ordered, centre)


@metric(
    "sqrt(biweight midvariance of dz), c = 9",
    "GalaxiesML's code, default; Beers et al. 1990",
)
def sigma_biweight(sample: Sample) -> float:
    """Scatter with weights that fall to zero at 9 MAD."""
    return sample.dz_scale


@metric("(q75(dz) - q25(dz)) / 1.349", "RAIL PointSigmaIQR")
def sigma_iqr(sample: Sample) -> float:
    """Scatter from the interquartile range."""
    return sample.dz_iqr / 1.349


@metric("sqrt(mean((dz - mean(dz))^2))", "plain deviation, divided by n")
def sigma_std(sample: Sample) -> float:
    """Scatter that outliers rule."""
    return sample.dz_ordered.std()


@metric("(q84(dz) - q16(dz)) / 2", "half-width of the central 68 %")
def sigma_68(sample: Sample) -> float:
    """Half of what holds 68 % of the objects; 0.9945 sigma of a Gaussian."""
    return (order.quantile(sample.dz_ordered, 0.84) - order.quantile(sample.dz_ordered, 0.16)) / 2


@metric("fraction |dz| >= 0.05", "paper 003, Sect. 5.1 (SDSS)", scale="fraction")
def outliers_05(sample: Sample) -> float:
    """Outliers of bright samples; the limit counts."""
    return order.beyond(sample.dz_ordered, 0.05, closed=True)


@metric("fraction |dz| >= 0.10", "in use at intermediate depth", scale="fraction")
def outliers_10(sample: Sample) -> float:
    """Outliers at 0.10; the limit counts."""
    return order.beyond(sample.dz_ordered, 0.10, closed=True)


@metric("fraction |dz| >= 0.15", "paper 003, Sect. 5.1 (CFHTLS, HSC)", scale="fraction")
def outliers_15(sample: Sample) -> float:
    """Outliers of deep samples; the limit counts."""
    return order.beyond(sample.dz_ordered, 0.15, closed=True)


@metric("fraction |dz| > 0.05", "released code of SDSS models", scale="fraction")
def outliers_above_05(sample: Sample) -> float:
    """As outliers_05, the limit itself apart."""
    return order.beyond(sample.dz_ordered, 0.05, closed=False)


@metric("fraction |dz| > 0.10", "as outliers_10", scale="fraction")
def outliers_above_10(sample: Sample) -> float:
    """As outliers_10, the limit itself apart."""
    return order.beyond(sample.dz_ordered, 0.10, closed=False)


@metric("fraction |dz| > 0.15", "paper 002, Eqs. 5, 6", scale="fraction")
def outliers_above_15(sample: Sample) -> float:
    """As outliers_15, the limit itself apart."""
    return order.beyond(sample.dz_ordered, 0.15, closed=False)


@metric("fraction |dz| > max(0.06, 3 sigma_iqr)", "RAIL PointOutlierRate", scale="fraction")
def outliers_rail(sample: Sample) -> float:
    """Outliers by a limit that follows the scatter: a worse model may have fewer."""
    limit = max(0.06, 3 * sample.dz_iqr / 1.349)
    return order.beyond(sample.dz_ordered, limit, closed=False)


@metric(
    "fraction |dz - bias_biweight| > 2 sigma_biweight",
    "GalaxiesML's code, default",
    scale="fraction",
)
def outliers_biweight(sample: Sample) -> float:
    """Outliers around the biweight location; 4.6 % of a Gaussian."""
    limit = 2 * sample.dz_scale
    return order.beyond(sample.dz_ordered, limit, centre=sample.dz_location, closed=False)


@metric("fraction |d| > 1", "HSC (Tanaka et al. 2018)", scale="fraction")
def outliers_catastrophic(sample: Sample) -> float:
    """Catastrophic outliers, without (1 + z)."""
    return order.beyond(sample.d_ordered, 1.0, closed=False)


@metric("fraction |dz| < 0.1", "paper 000, Table 1", better="higher", scale="fraction")
def within_10(sample: Sample) -> float:
    """Quasars: share within 0.1."""
    return 1 - order.beyond(sample.dz_ordered, 0.1, closed=True)


@metric("fraction |dz| < 0.2", "paper 000, Table 1", better="higher", scale="fraction")
def within_20(sample: Sample) -> float:
    """Quasars: share within 0.2."""
    return 1 - order.beyond(sample.dz_ordered, 0.2, closed=True)


@metric("fraction |dz| < 0.3", "paper 000, Table 1", better="higher", scale="fraction")
def within_30(sample: Sample) -> float:
    """Quasars: share within 0.3."""
    return 1 - order.beyond(sample.dz_ordered, 0.3, closed=True)


@metric("fraction |dz| < 0.4", "paper 000, Table 1", better="higher", scale="fraction")
def within_40(sample: Sample) -> float:
    """Quasars: share within 0.4."""
    return 1 - order.beyond(sample.dz_ordered, 0.4, closed=True)


@metric("sqrt(mean(dz^2))", "paper 000, Eq. 11 and Table 1; paper 002, Eq. 3")
def rmse(sample: Sample) -> float:
    """Root of the mean squared error, with (1 + z)."""
    return float(np.sqrt(sample.mean(_dz_squared)))


@metric("mean(d^2)", "paper 002, Table 2", scale="z^2")
def mse(sample: Sample) -> float:
    """Mean squared error, without (1 + z)."""
    return sample.mean(_d_squared)


@metric("mean|d|", "Hong et al. 2023 (their loss)", scale="z")
def mae(sample: Sample) -> float:
    """Mean absolute error, without (1 + z)."""
    return sample.mean(_d_absolute)


@metric("mean|dz|", "paper 003, App. A (NMAE)")
def nmae(sample: Sample) -> float:
    """Mean absolute error, with (1 + z)."""
    return sample.mean(_dz_absolute)


@metric("mean(1 - 1 / (1 + (d / 0.15)^2))", "GalaxiesML's CNN training code", scale="loss")
def hsc_loss_none(sample: Sample) -> float:
    """HSC loss of d as it is."""
    return sample.mean(_HscTerm("none"))


@metric("mean(1 - 1 / (1 + (d / (1 + z_phot) / 0.15)^2))", "paper 002, Eq. 1", scale="loss")
def hsc_loss_phot(sample: Sample) -> float:
    """HSC loss with 1 + the predicted redshift: a prediction far too high is punished less."""
    return sample.mean(_HscTerm("phot"))


@metric("mean(1 - 1 / (1 + (dz / 0.15)^2))", "Tanaka et al. 2018", scale="loss")
def hsc_loss_spec(sample: Sample) -> float:
    """HSC loss with 1 + the true redshift, the one to compare by."""
    return sample.mean(_HscTerm("spec"))


@metric(
    "1 - sum(d^2) / sum((z_spec - mean(z_spec))^2)",
    "AstroCLIP's tables",
    better="higher",
    scale="1",
)
def r2(sample: Sample) -> float:
    """Share of the variance of the true redshifts explained; NaN where they are all equal."""
    variance = sample.mean(_true_squared) - sample.mean(_true) ** 2
    # Equal redshifts leave a variance of rounding errors.
    return 1 - sample.mean(_d_squared) / variance if variance > 1e-24 else float("nan")


_HSC = {"none": hsc_loss_none, "phot": hsc_loss_phot, "spec": hsc_loss_spec}


def hsc_loss(
    predicted: Values, true: Values, *, norm: Literal["none", "phot", "spec"] = "spec"
) -> float:
    """HSC loss (Tanaka et al. 2018) by what the error is divided by.

    Parameters
    ----------
    predicted, true : array-like or torch.Tensor, shape (n,)
        Redshifts.
    norm : str
        ``spec`` 1 + z_spec (Tanaka), ``phot`` 1 + z_phot (paper 002, Eq. 1), ``none`` nothing.

    Returns
    -------
    float
        In [0, 1]; ``hsc_loss_none``, ``hsc_loss_phot`` and ``hsc_loss_spec`` are the metrics.

    Raises
    ------
    UsageError
        If there is no such norm, or the redshifts cannot be scored.
    """
    if norm not in _HSC:
        raise UsageError(f"no norm '{norm}' of the HSC loss: choose {', '.join(_HSC)}", norm=norm)
    return _HSC[norm](predicted, true)


METRICS: dict[str, Metric] = {
    each.name: each
    for each in (
        bias_mean,
        bias_median,
        bias_biweight,
        bias_hodges_lehmann,
        nz_mean_shift,
        sigma_mad,
        sigma_mad_148,
        sigma_mad_unnormalised,
        sigma_biweight,
        sigma_iqr,
        sigma_std,
        sigma_68,
        outliers_05,
        outliers_10,
        outliers_15,
        outliers_above_05,
        outliers_above_10,
        outliers_above_15,
        outliers_rail,
        outliers_biweight,
        outliers_catastrophic,
        within_10,
        within_20,
        within_30,
        within_40,
        rmse,
        mse,
        mae,
        nmae,
        hsc_loss_none,
        hsc_loss_phot,
        hsc_loss_spec,
        r2,
    )
}
"""Every metric of point estimates by name, in the order of the documentation."""


def get_metric(name: str) -> Metric:
    """Look a metric of point estimates up.

    Raises
    ------
    UsageError
        If there is none of that name; the nearest is offered.
    """
    if name not in METRICS:
        hint = did_you_mean(name, METRICS)
        raise UsageError(f"no metric '{name}': {hint}choose {', '.join(METRICS)}", name=name)
    return METRICS[name]
