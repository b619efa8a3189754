"""Small SVG figures for pages, coloured by their style; the same numbers give the same text.

Texts are escaped; a page's style knows the classes ``axis``, ``bars``, ``line``, ``dots``.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

COLORS = 6
"""Series that the style tells apart (classes ``s0`` to ``s5``)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Frame:
    """Axes of a figure.

    Attributes
    ----------
    x, y : tuple of float
        Data at the left and right, and at the bottom and top; the left may be the larger one.
    width, height : float
        Inner box in pixels.
    left : float
        Room for labels beside it, in pixels.
    """

    x: tuple[float, float]
    y: tuple[float, float]
    width: float = 300.0
    height: float = 150.0
    left: float = 48.0

    def px(self, value: float) -> float:
        """Pixels from the left of the picture."""
        return self.left + self.width * (value - self.x[0]) / (self.x[1] - self.x[0])

    def py(self, value: float) -> float:
        """Pixels from the top of the picture."""
        return _TOP + self.height * (self.y[1] - value) / (self.y[1] - self.y[0])


_TOP, _RIGHT, _BOTTOM = 8.0, 12.0, 38.0
_MARK = 4
"""Pixels of the marks at the axes."""
_EVERY_X, _EVERY_Y = 38, 32
"""Pixels of an axis per mark, at least."""
_SCALES = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))
_SMALL = 1e-4
"""Largest number of an axis below which its numbers are written with exponents."""
_FEW = 300
"""Points up to which each is drawn larger."""


def number(length: float) -> str:
    """Write a length in tenths of a pixel."""
    return f"{length:.1f}".removesuffix(".0")


def picture(width: float, height: float, alt: str, body: str) -> str:
    """Return a whole SVG with what it shows in words."""
    return (
        f'<svg class="fig" role="img" aria-label="{escape(alt)}" width="{number(width)}" '
        f'height="{number(height)}" viewBox="0 0 {number(width)} {number(height)}">{body}</svg>'
    )


def framed(frame: Frame, alt: str, body: str, *, labels: tuple[str, str]) -> str:
    """Return a figure with its axes; ``labels`` are those of x and y."""
    width, height = frame.left + frame.width + _RIGHT, _TOP + frame.height + _BOTTOM
    return picture(width, height, alt, body + "".join(_axes(frame, labels)))


def bars(frame: Frame, edges: Sequence[float], counts: Sequence[float]) -> str:
    """Draw a histogram as one filled outline."""
    floor = number(frame.py(frame.y[0]))
    start = number(frame.px(edges[0]))
    return _path("bars", f"M{start} {floor}{_steps(frame, edges, counts)}V{floor}z")


def outline(frame: Frame, edges: Sequence[float], counts: Sequence[float], series: int) -> str:
    """Draw a histogram as a line in the colour of a series."""
    floor = number(frame.py(frame.y[0]))
    path = f"M{number(frame.px(edges[0]))} {floor}{_steps(frame, edges, counts)}V{floor}"
    return _path(f"line s{series % COLORS}", path)


def _steps(frame: Frame, edges: Sequence[float], counts: Sequence[float]) -> str:
    return "".join(
        f"V{number(frame.py(height))}H{number(frame.px(right))}"
        for height, right in zip(counts, edges[1:], strict=True)
    )


def line(frame: Frame, points: Sequence[tuple[float, float]], kind: str) -> str:
    """Draw straight lines from point to point; ``kind`` is their class."""
    return _path(
        kind, "M" + "L".join(f"{number(frame.px(x))} {number(frame.py(y))}" for x, y in points)
    )


def dots(places: NDArray[Any]) -> str:
    """Draw points; ``places`` are their pixels, shape (n, 2)."""
    rounded = np.unique(np.round(places, 1), axis=0)
    path = "".join(f"M{number(x)} {number(y)}h0" for x, y in rounded.tolist())
    few = " few" if len(rounded) <= _FEW else ""
    return _path(f"dots{few}", path) if path else ""


def ticks(low: float, high: float, most: int = 6) -> list[float]:
    """Round numbers between two ends, at most ``most`` and a step of 1, 2 or 5 apart."""
    low, high = min(low, high), max(low, high)
    if not (math.isfinite(high - low) and high > low):
        return [low]
    power = 10.0 ** math.floor(math.log10((high - low) / most))
    steps = (power * factor for factor in (1, 2, 5, 10, 20))
    step = next(s for s in steps if math.floor(high / s) - math.ceil(low / s) < most)
    return [k * step for k in range(math.ceil(low / step), math.floor(high / step) + 1)]


def tick_texts(values: Sequence[float]) -> list[str]:
    """Write the numbers of ticks with the digits that tell them apart, thousands as k."""
    most = max((abs(value) for value in values), default=0.0)
    scale, letter = next((each for each in _SCALES if most >= each[0]), (1.0, ""))
    step = min((abs(b - a) / scale for a, b in pairwise(values)), default=1.0)
    digits = max(0, math.ceil(-math.log10(step) - 1e-9)) if step > 0 else 0
    # Halves of a rounded step (0.25 at a scale of thousands) need one digit more.
    digits += not math.isclose(round(step, digits), step)
    form = f".{min(digits, 9)}f" if most >= _SMALL else ".6g"
    texts = [f"{value / scale:{form}}" for value in values]
    bare = ("0" if float(text) == 0 else f"{text}{letter}" for text in texts)
    return [text.replace("-", "−") for text in bare]


def _axes(frame: Frame, labels: tuple[str, str]) -> Iterator[str]:
    floor, right = _TOP + frame.height, frame.left + frame.width
    yield _path("axis", f"M{number(frame.left)} {number(_TOP)}V{number(floor)}H{number(right)}")
    across = ticks(*frame.x, most=max(2, int(frame.width // _EVERY_X)))
    for value, text in zip(across, tick_texts(across), strict=True):
        yield _path("axis", f"M{number(frame.px(value))} {number(floor)}v{_MARK}")
        yield _text(frame.px(value), floor + 15, text, "middle")
    up = ticks(*frame.y, most=max(2, int(frame.height // _EVERY_Y)))
    for value, text in zip(up, tick_texts(up), strict=True):
        yield _path("axis", f"M{number(frame.left)} {number(frame.py(value))}h-{_MARK}")
        yield _text(frame.left - 6, frame.py(value) + 4, text, "end")
    yield _text(frame.left + frame.width / 2, floor + 31, labels[0], "middle")
    if labels[1]:
        middle = _TOP + frame.height / 2
        yield _text(11, middle, labels[1], "middle", turn=f"rotate(-90 11 {number(middle)})")


def _path(kind: str, path: str) -> str:
    return f'<path class="{kind}" d="{path}"/>'


def _text(x: float, y: float, text: str, anchor: str, *, turn: str = "") -> str:
    turned = f' transform="{turn}"' if turn else ""
    place = f'x="{number(x)}" y="{number(y)}" text-anchor="{anchor}"'
    return f"<text {place}{turned}>{escape(text)}</text>"


def label(x: float, y: float, text: str) -> str:
    """Write a word with its middle at a place in pixels."""
    return _text(x, y, text, "middle")
