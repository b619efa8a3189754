"""Figures of pages: marks are round, their texts tell them apart, and texts are no markup."""

from __future__ import annotations

import re

import numpy as np
import pytest

from galaxyds.plots.svg import Frame, bars, dots, framed, line, tick_texts, ticks

SCALES = {"k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12}


@pytest.mark.parametrize(
    ("low", "high"),
    [(0, 1), (333.55, 333.7), (360.2, 359.8), (-7.1, -6.9), (0, 3e6), (2, 2), (0, 3e-7),
     (-2e-12, 5e-12), (0, 4e11), (0, 7e14), (0, 1250)],
)  # fmt: skip
def test_ticks_are_round_told_apart_and_inside(low, high):
    found = ticks(low, high, most=5)
    assert 1 <= len(found) <= 6
    room = 1e-9 * abs(high - low)
    assert all(min(low, high) - room <= value <= max(low, high) + room for value in found)
    texts = tick_texts(found)
    assert len(set(texts)) == len(texts)
    assert max(map(len, texts)) <= 7
    for text, value in zip(texts, found, strict=True):
        number = float(text.rstrip("kMGT").replace("−", "-")) * SCALES.get(text[-1], 1)
        assert number == pytest.approx(value, rel=1e-6, abs=1e-15)


def test_a_place_in_the_data_is_a_place_in_the_picture():
    frame = Frame(x=(10, 0), y=(-1, 1), width=100, height=50, left=20)
    assert [frame.px(x) for x in (10, 5, 0)] == [20, 70, 120]
    assert frame.py(-1) - frame.py(1) == 50
    assert line(frame, [(10, 1), (0, -1)], "guide") == '<path class="guide" d="M20 8L120 58"/>'
    assert re.findall(r"[VH]([\d.]+)", bars(frame, [10, 5, 0], [1, 0])) == [
        "8", "70", "33", "120", "58",
    ]  # fmt: skip


def test_words_are_no_markup():
    text = framed(Frame(x=(0, 1), y=(0, 1)), '"><script>', "", labels=("<b>", "</svg>"))
    assert "<script>" not in text
    assert "<b>" not in text
    assert text.count("</svg>") == 1


def test_dots_are_drawn_once_each():
    assert dots(np.array([[1.01, 2], [1.02, 2], [3, 4]])).count("h0") == 2
    assert dots(np.empty((0, 2))) == ""
