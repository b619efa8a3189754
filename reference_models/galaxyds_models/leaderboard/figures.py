"""Figures of a result as SVG: small, without dates or random names, coloured by the page's style.

Of a results file only numbers, and the name of a metric that galaxyds does not know, get into one.
Histograms that do not fit together (edges that do not rise, other lengths) are not drawn.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from itertools import pairwise

from galaxyds_models.leaderboard.columns import Column, number
from galaxyds_models.results import Bin, Density, Histogram

_LEFT, _TOP, _RIGHT, _BOTTOM = 46.0, 8.0, 10.0, 38.0
_LEVELS = 8
_MOST = 400
"""Bins of an axis above which nothing is drawn."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Frame:
    """Axes: data ranges, and the size of the inner box in pixels."""

    x: tuple[float, float]
    y: tuple[float, float]
    width: float = 230.0
    height: float = 190.0

    def px(self, value: float) -> float:
        return _LEFT + self.width * (value - self.x[0]) / (self.x[1] - self.x[0])

    def py(self, value: float) -> float:
        return _TOP + self.height * (self.y[1] - value) / (self.y[1] - self.y[0])


def density(counts: Density) -> str:
    """Draw predicted against true redshift, shaded by the logarithm of the count.

    Returns
    -------
    str
        SVG, empty where it cannot be drawn.
    """
    edges, rows = counts.edges, counts.counts
    square = all(len(row) == len(edges) - 1 for row in rows) and len(rows) == len(edges) - 1
    most = max((cell for row in rows for cell in row), default=0)
    if not (_rise(edges) and square and 0 < most < 1 << 53):
        return ""
    span = (edges[0], edges[-1])
    frame = _Frame(x=span, y=span, height=230.0)
    levels = [[_level(cell, most) for cell in row] for row in rows]
    shades = (_shade(frame, edges, levels, level) for level in range(1, _LEVELS + 1))
    diagonal = _line(frame, [(span[0], span[0]), (span[1], span[1])], "fig-guide")
    body = "".join(shades) + diagonal + _axes(frame, "spectroscopic z", "photometric z")
    return _svg(frame, "Photometric against spectroscopic redshift", body)


def _level(cell: int, most: int) -> int:
    return math.ceil(_LEVELS * math.log1p(cell) / math.log1p(most)) if cell > 0 else 0


def _shade(
    frame: _Frame, edges: Sequence[float], levels: Sequence[Sequence[int]], level: int
) -> str:
    """One path for all cells of a level; neighbours in a row are one rectangle."""
    parts = []
    for row, cells in enumerate(levels):
        top, bottom = frame.py(edges[row + 1]), frame.py(edges[row])
        for start, end in _stretches(cells, level):
            left, right = frame.px(edges[start]), frame.px(edges[end])
            parts.append(f"M{_n(left)} {_n(top)}H{_n(right)}V{_n(bottom)}H{_n(left)}z")
    if not parts:
        return ""
    return f'<path class="fig-fill" fill-opacity="{level / _LEVELS:.3f}" d="{"".join(parts)}"/>'


def _stretches(cells: Sequence[int], level: int) -> Iterable[tuple[int, int]]:
    start = None
    for index, cell in enumerate([*cells, -1]):
        if cell == level and start is None:
            start = index
        elif cell != level and start is not None:
            yield start, index
            start = None


def residuals(counts: Histogram) -> str:
    """Draw the histogram of (z_phot - z_spec) / (1 + z_spec); empty where it cannot be drawn."""
    return _histogram(counts, "dz = (z phot - z spec) / (1 + z spec)", "Residuals", zero=True)


def pit(counts: Histogram) -> str:
    """Draw the histogram of the PIT with the level of calibrated PDFs; empty where it cannot be."""
    level = sum(counts.counts) / max(len(counts.counts), 1)
    return _histogram(counts, "PIT", "Probability integral transform", level=level)


def _histogram(
    counts: Histogram, label: str, title: str, *, zero: bool = False, level: float | None = None
) -> str:
    edges, heights = counts.edges, counts.counts
    sound = len(heights) == len(edges) - 1 and min(heights, default=-1) >= 0
    if not (_rise(edges) and sound and 0 < max(heights) < 1 << 53):
        return ""
    frame = _Frame(x=(edges[0], edges[-1]), y=(0.0, 1.08 * max(heights)))
    steps = "".join(
        f"V{_n(frame.py(height))}H{_n(frame.px(right))}"
        for height, right in zip(heights, edges[1:], strict=True)
    )
    floor = _n(frame.py(0))
    body = f'<path class="fig-bars" d="M{_n(frame.px(edges[0]))} {floor}{steps}V{floor}z"/>'
    if zero and edges[0] < 0 < edges[-1]:
        body += _line(frame, [(0, 0), (0, frame.y[1])], "fig-guide")
    if level is not None:
        body += _line(frame, [(edges[0], level), (edges[-1], level)], "fig-guide")
    return _svg(frame, title, body + _axes(frame, label, "objects"))


def by_redshift(seeds: Sequence[Sequence[Bin]], column: Column) -> str:
    """Draw a metric by redshift: the mean over seeds, and their range where there are several.

    Parameters
    ----------
    seeds : sequence of sequence of Bin
        Bins of each run; runs with other edges than the first are left out.
    column : Column
        Metric, for its name and scale.

    Returns
    -------
    str
        SVG, empty where it cannot be drawn.
    """
    points = list(_points(seeds, column))
    if not points or len(points) > _MOST:
        return ""
    values = [value for _, _, numbers in points for value in numbers]
    lowest, highest = min(values), max(values)
    if column.better != "zero":
        lowest = min(lowest, 0.0)
    room = 0.06 * (highest - lowest) or 1.0
    frame = _Frame(
        x=(points[0][0], max(high for _, high, _ in points)),
        y=(lowest - (room if lowest < 0 else 0), highest + room),
    )
    if not (_rise(frame.x) and _rise(frame.y)):
        return ""
    body = "".join(_mark(frame, *point) for point in points)
    if frame.y[0] < 0 < frame.y[1]:
        body = _line(frame, [(frame.x[0], 0), (frame.x[1], 0)], "fig-guide") + body
    unit = f" [{column.unit}]" if column.unit else ""
    body += _axes(frame, "spectroscopic z", f"{column.label}{unit}")
    return _svg(frame, f"{column.label} by redshift", body)


def _points(
    seeds: Sequence[Sequence[Bin]], column: Column
) -> Iterable[tuple[float, float, list[float]]]:
    """Low edge, high edge and the scaled values of every seed, of bins that have any."""
    same = [bins for bins in seeds if bins and _edges(bins) == _edges(seeds[0])]
    for bins in zip(*same, strict=True):
        numbers = [b.metrics.get(column.name) for b in bins]
        values = [x * column.scale for x in numbers if x is not None and math.isfinite(x)]
        if values and _rise((bins[0].low, bins[0].high)):
            yield bins[0].low, bins[0].high, values


def _edges(bins: Sequence[Bin]) -> list[tuple[float, float]]:
    return [(part.low, part.high) for part in bins]


def _mark(frame: _Frame, low: float, high: float, values: Sequence[float]) -> str:
    """A level over the bin at the mean, and a bar from the lowest seed to the highest."""
    mean, middle = sum(values) / len(values), (low + high) / 2
    level = _line(frame, [(low, mean), (high, mean)], "fig-level")
    return level + _line(frame, [(middle, min(values)), (middle, max(values))], "fig-range")


def _line(frame: _Frame, points: Sequence[tuple[float, float]], kind: str) -> str:
    path = "L".join(f"{_n(frame.px(x))} {_n(frame.py(y))}" for x, y in points)
    return f'<path class="{kind}" d="M{path}"/>'


def _axes(frame: _Frame, x_label: str, y_label: str) -> str:
    bottom, right = _TOP + frame.height, _LEFT + frame.width
    box = f'<path class="fig-axis" d="M{_n(_LEFT)} {_n(_TOP)}V{_n(bottom)}H{_n(right)}"/>'
    x_ticks = "".join(
        f'<path class="fig-axis" d="M{_n(frame.px(value))} {_n(bottom)}v4"/>'
        f'<text x="{_n(frame.px(value))}" y="{_n(bottom + 15)}" text-anchor="middle">{text}</text>'
        for value, text in _ticks(*frame.x)
    )
    y_ticks = "".join(
        f'<path class="fig-axis" d="M{_n(_LEFT)} {_n(frame.py(value))}h-4"/>'
        f'<text x="{_n(_LEFT - 6)}" y="{_n(frame.py(value) + 3.5)}" text-anchor="end">{text}</text>'
        for value, text in _ticks(*frame.y)
    )
    middle, centre = _LEFT + frame.width / 2, _TOP + frame.height / 2
    below = f'x="{_n(middle)}" y="{_n(bottom + 31)}" text-anchor="middle"'
    return (
        f"{box}{x_ticks}{y_ticks}<text {below}>{escape(x_label)}</text>"
        f'<text transform="translate(10 {_n(centre)}) rotate(-90)" text-anchor="middle">'
        f"{escape(y_label)}</text>"
    )


def _ticks(low: float, high: float) -> list[tuple[float, str]]:
    """Three to six round numbers between two limits, and how they are written."""
    rough = (high - low) / 5
    power = 10.0 ** math.floor(math.log10(rough))
    step = power * next(factor for factor in (1, 2, 5, 10) if factor * power >= 0.999 * rough)
    decimals = max(0, -math.floor(math.log10(step) + 1e-9))
    first = math.ceil(low / step - 1e-9)
    values = [index * step for index in range(first, math.floor(high / step + 1e-9) + 1)]
    return [(value, _tick(value, decimals)) for value in values]


def _tick(value: float, decimals: int) -> str:
    if abs(value) >= 1e4 or (decimals > 4):
        return number(value)
    return number(value, decimals)


def _svg(frame: _Frame, title: str, body: str) -> str:
    width, height = _LEFT + frame.width + _RIGHT, _TOP + frame.height + _BOTTOM
    return (
        f'<svg class="fig" viewBox="0 0 {_n(width)} {_n(height)}" width="{_n(width)}" '
        f'height="{_n(height)}" role="img" aria-label="{escape(title)}">{body}</svg>'
    )


def _n(value: float) -> str:
    """Write a length in tenths of a pixel."""
    return f"{value:.1f}".removesuffix(".0")


def _rise(edges: Sequence[float]) -> bool:
    """Whether these are edges: finite, rising, not too many."""
    if not 2 <= len(edges) <= _MOST or not all(math.isfinite(edge) for edge in edges):
        return False
    rising = all(low < high for low, high in pairwise(edges))
    return rising and 1e-12 < (edges[-1] - edges[0]) < 1e12
