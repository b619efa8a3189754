"""Padded cutouts are measured without their padding, and told in the delivered pixels."""

from __future__ import annotations

import numpy as np
import pytest

from galaxyds.morphology import measure_cutouts
from galaxyds.pixels import pad

pytest.importorskip("torch")


@pytest.mark.parametrize(("rows", "columns"), [(120, 121), (127, 126), (130, 128), (131, 120)])
def test_positions_are_those_in_the_delivered_cutout(rows, columns):
    """A round source with noise; its place is known."""
    x, y = columns / 2 + 1.25, rows / 2 - 2.5
    down, across = np.mgrid[:rows, :columns]
    image = 50 * np.exp(-((across - x) ** 2 + (down - y) ** 2) / (2 * 2.5**2))
    image = (image + np.random.default_rng(rows).normal(0, 0.1, image.shape)).astype(np.float32)
    square = pad({"i": image}, {"i": (x, y)}, bands="i", reference="i", size=127)
    found = measure_cutouts(
        square.image[None], np.zeros((1, 1, 41, 41), np.float32),
        rows=np.array([rows]), columns=np.array([columns]), bands="i",
    )  # fmt: skip
    assert found["i_x_coord"][0] - 1 == pytest.approx(x, abs=0.02)
    assert found["i_y_coord"][0] - 1 == pytest.approx(y, abs=0.02)
    assert found["i_total_galaxies"][0] == 1
