"""Figures of a result as SVG: small, without dates or random names, coloured by the page's style.

Of a results file only numbers, and the name of a metric that galaxyds does not know, get into one.
Histograms that do not fit together (edges that do not rise, other lengths) are not drawn.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from itertools import pairwise

from galaxyds.plots.svg import Frame, bars, framed, line, number
from galaxyds_models.leaderboard.columns import Column
from galaxyds_models.results import Bin, Density, Histogram

_WIDTH, _HEIGHT = 230.0, 190.0
_LEVELS = 8
_MOST = 400
"""Bins of an axis above which nothing is drawn."""


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
    frame = Frame(x=span, y=span, width=_WIDTH, height=_WIDTH)
    levels = [[_level(cell, most) for cell in row] for row in rows]
    shades = (_shade(frame, edges, levels, level) for level in range(1, _LEVELS + 1))
    body = "".join(shades) + line(frame, [(span[0], span[0]), (span[1], span[1])], "guide")
    labels = ("spectroscopic z", "photometric z")
    return framed(frame, "Photometric against spectroscopic redshift", body, labels=labels)


def _level(cell: int, most: int) -> int:
    return math.ceil(_LEVELS * math.log1p(cell) / math.log1p(most)) if cell > 0 else 0


def _shade(
    frame: Frame, edges: Sequence[float], levels: Sequence[Sequence[int]], level: int
) -> str:
    """One path for all cells of a level; neighbours in a row are one rectangle."""
    parts = []
    for row, cells in enumerate(levels):
        top, bottom = frame.py(edges[row + 1]), frame.py(edges[row])
        for start, end in _stretches(cells, level):
            left, right = frame.px(edges[start]), frame.px(edges[end])
            parts.append(
                f"M{number(left)} {number(top)}H{number(right)}V{number(bottom)}H{number(left)}z"
            )
    if not parts:
        return ""
    return f'<path class="shade" fill-opacity="{level / _LEVELS:.3f}" d="{"".join(parts)}"/>'


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
    ends = (edges[0], edges[-1])
    frame = Frame(x=ends, y=(0.0, 1.08 * max(heights)), width=_WIDTH, height=_HEIGHT)
    body = bars(frame, edges, heights)
    if zero and edges[0] < 0 < edges[-1]:
        body += line(frame, [(0, 0), (0, frame.y[1])], "guide")
    if level is not None:
        body += line(frame, [(edges[0], level), (edges[-1], level)], "guide")
    return framed(frame, title, body, labels=(label, "objects"))


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
    frame = Frame(
        x=(points[0][0], max(high for _, high, _ in points)),
        y=(lowest - (room if lowest < 0 else 0), highest + room),
        width=_WIDTH,
        height=_HEIGHT,
    )
    if not (_rise(frame.x) and _rise(frame.y)):
        return ""
    body = "".join(_mark(frame, *point) for point in points)
    if frame.y[0] < 0 < frame.y[1]:
        body = line(frame, [(frame.x[0], 0), (frame.x[1], 0)], "guide") + body
    unit = f" [{column.unit}]" if column.unit else ""
    labels = ("spectroscopic z", f"{column.label}{unit}")
    return framed(frame, f"{column.label} by redshift", body, labels=labels)


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


def _mark(frame: Frame, low: float, high: float, values: Sequence[float]) -> str:
    """A level over the bin at the mean, and a bar from the lowest seed to the highest."""
    mean, middle = sum(values) / len(values), (low + high) / 2
    level = line(frame, [(low, mean), (high, mean)], "level")
    return level + line(frame, [(middle, min(values)), (middle, max(values))], "range")


def _rise(edges: Sequence[float]) -> bool:
    """Whether these are edges: finite, rising, not too many."""
    if not 2 <= len(edges) <= _MOST or not all(math.isfinite(edge) for edge in edges):
        return False
    rising = all(low < high for low, high in pairwise(edges))
    return rising and 1e-12 < (edges[-1] - edges[0]) < 1e12
