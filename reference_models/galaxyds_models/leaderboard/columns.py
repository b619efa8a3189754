"""How a metric is shown: its heading, its unit, which way is better, how many digits."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

Better = Literal["low", "high", "zero", ""]
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
        ``low``, ``high``, ``zero`` (small in size), or empty where neither is.
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
        return -key if self.better == "high" else key


_DZ = "dz = (z_phot - z_spec) / (1 + z_spec)"


def _percent(name: str, label: str, title: str, better: Better) -> Column:
    return Column(name=name, label=label, title=title, unit="%", scale=100.0, better=better)


def _thousandths(name: str, label: str, title: str, better: Better) -> Column:
    return Column(name=name, label=label, title=title, unit=_THOUSANDTHS, scale=1e3, better=better)


def _plain(name: str, label: str, title: str, better: Better = "low") -> Column:
    return Column(name=name, label=label, title=title, better=better)


_COLUMNS: dict[str, Column] = {
    column.name: column
    for column in (
        _thousandths("sigma_mad", "σ MAD", f"1.4826 median |dz - median dz|, {_DZ}", "low"),
        _thousandths("sigma_mad_148", "σ MAD (1.48)", f"1.48 median |dz - median dz|, {_DZ}", "low"),
        _thousandths("sigma_mad_unnormalised", "σ MAD of z", "the same, not divided by 1 + z_spec", "low"),
        _percent("outliers_05", "|dz| ≥ 0.05", f"outliers, {_DZ}", "low"),
        _percent("outliers_10", "|dz| ≥ 0.10", f"outliers, {_DZ}", "low"),
        _percent("outliers_15", "|dz| ≥ 0.15", f"outliers, {_DZ}", "low"),
        _thousandths("bias_mean", "mean dz", _DZ, "zero"),
        _thousandths("bias_median", "median dz", _DZ, "zero"),
        *(_percent(f"within_{n}", f"|dz| < 0.{n}", f"share of the objects, {_DZ}", "high") for n in (1, 2, 3, 4)),
        _plain("rms", "RMS dz", _DZ),
        _plain("mse", "MSE of z", "mean (z_phot - z_spec)^2"),
        _plain("hsc_loss", "HSC loss", f"mean 1 - 1 / (1 + (dz / 0.15)^2), {_DZ}"),
        _plain("crps", "CRPS", "continuous ranked probability score of the PDF"),
    )
}  # fmt: skip

_MAIN: dict[str, tuple[str, ...]] = {
    "sdss-qso": ("rms", "within_1", "within_2", "within_3", "within_4", "bias_mean", "sigma_mad"),
    "hsc-galaxiesml": ("sigma_mad", "outliers_15", "bias_mean", "mse", "hsc_loss", "rms"),
    "sdss-mgs": ("sigma_mad", "outliers_05", "bias_mean"),
}
_OTHERS = ("sigma_mad", "outliers_15", "bias_mean")
_PROBABILITY = ("crps",)


def main_metrics(dataset: str) -> tuple[str, ...]:
    """Return the metrics that a table of a dataset (``name/config``) shows; it is ranked by the first."""
    return (*_MAIN.get(dataset.partition("/")[0], _OTHERS), *_PROBABILITY)


def column(name: str) -> Column:
    """Return how a metric is shown; one that is not known here as a plain number."""
    return _COLUMNS.get(name, Column(name=name, label=name))


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
