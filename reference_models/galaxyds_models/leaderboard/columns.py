"""How a metric is shown: its heading, its unit, which way is better, how many digits."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from galaxyds.metrics import METRICS, PDF_METRICS
from galaxyds.shown import visible

Better = Literal["lower", "higher", "zero", ""]
_MINUS = "\N{MINUS SIGN}"
_THOUSANDTHS = "10\N{SUPERSCRIPT MINUS}\N{SUPERSCRIPT THREE}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Column:
    """A metric as a column of a table.

    Attributes
    ----------
    name, label : str
        In the results, and as a heading.
    title : str
        What it is, in a line.
    unit : str
        Behind the heading; empty for a plain number.
    scale : float
        From the number in the results to the number that is shown.
    better : str
        ``lower``, ``higher``, ``zero`` (small in size), or empty where neither is known.
    """

    name: str
    label: str
    title: str = ""
    unit: str = ""
    scale: float = 1.0
    better: Better = ""

    def key(self, value: float | None) -> float | None:
        """Return what rows are sorted by: the size of a metric that should be zero."""
        return abs(value) if value is not None and self.better == "zero" else value

    def rank_key(self, value: float | None) -> float:
        """Return what puts the best row first and a missing number last."""
        key = self.key(value)
        if key is None:
            return math.inf
        return -key if self.better == "higher" else key


_LABELS: dict[str, str] = {
    "bias_mean": "mean dz",
    "bias_median": "median dz",
    "sigma_mad": "σ MAD",
    "sigma_mad_148": "σ MAD (1.48)",
    "sigma_mad_unnormalised": "σ MAD of z",
    "sigma_68": "σ 68",
    "sigma_biweight": "σ biweight",
    "sigma_iqr": "σ IQR",
    "sigma_std": "σ of dz",
    "nz_mean_shift": "n(z) mean shift",
    "outliers_05": "|dz| ≥ 0.05",
    "outliers_10": "|dz| ≥ 0.10",
    "outliers_15": "|dz| ≥ 0.15",
    "outliers_above_05": "|dz| > 0.05",
    "outliers_above_10": "|dz| > 0.10",
    "outliers_above_15": "|dz| > 0.15",
    "within_10": "|dz| < 0.1",
    "within_20": "|dz| < 0.2",
    "within_30": "|dz| < 0.3",
    "within_40": "|dz| < 0.4",
    "rmse": "RMSE of dz",
    "mse": "MSE of z",
    "mae": "MAE of z",
    "nmae": "MAE of dz",
    "r2": "R²",
    "hsc_loss_none": "HSC loss of z",
    "hsc_loss_phot": "HSC loss (z phot)",
    "hsc_loss_spec": "HSC loss",
    "crps": "CRPS",
    "cde_loss": "CDE loss",
    "nll": "NLL",
}
_MAIN: dict[str, tuple[str, ...]] = {
    "sdss-qso": (
        *("rmse", "within_10", "within_20", "within_30", "within_40"),
        *("bias_mean", "sigma_mad"),
    ),
    "hsc-galaxiesml": (
        *("sigma_mad", "outliers_above_15", "bias_mean"),
        *("mse", "hsc_loss_phot", "hsc_loss_spec"),
    ),
    "sdss-mgs": ("sigma_mad", "outliers_05", "bias_mean"),
}
_OTHERS = ("sigma_mad", "outliers_15", "bias_mean")


def main_metrics(dataset: str) -> tuple[str, ...]:
    """Return what a table of a dataset (``name/config``) shows; the first ranks."""
    return (*_MAIN.get(dataset.partition("/")[0], _OTHERS), "crps")


def column(name: str) -> Column:
    """Return how a metric is shown; one that galaxyds does not have as a plain number."""
    label = _LABELS.get(name, visible(name.replace("_", " "), 40))
    metric = METRICS.get(name) or PDF_METRICS.get(name)
    if metric is None:
        return Column(name=name, label=label)
    unit, scale = _unit(name, metric.scale)
    return Column(
        name=name,
        label=label,
        title=metric.formula,
        unit=unit,
        scale=scale,
        better=metric.better or "",
    )


def _unit(name: str, scale: str) -> tuple[str, float]:
    if scale == "fraction":
        return "%", 100.0
    return (_THOUSANDTHS, 1e3) if name.startswith(("bias", "sigma", "nz_")) else ("", 1.0)


def number(value: float, decimals: int | None = None) -> str:
    """Write a number with a true minus sign; without ``decimals`` as short as it is."""
    text = f"{value:.6g}" if decimals is None else f"{value:.{decimals}f}"
    if decimals is not None and float(text) == 0:
        text = text.removeprefix("-")
    return text.replace("-", _MINUS)


def decimals_for(error: float | None) -> int | None:
    """Return how many decimals an error supports: two of its digits; None without an error."""
    if error is None or not math.isfinite(error) or error <= 0:
        return None
    return min(max(1 - math.floor(math.log10(error)), 0), 8)


def printed(value: float, digits: int) -> str:
    """Write a published number with the digits that its source prints."""
    if not digits or value == 0:
        return number(value)
    return number(value, max(digits - 1 - math.floor(math.log10(abs(value))), 0))
