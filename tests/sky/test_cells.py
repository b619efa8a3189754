"""Cells tile the sphere; sources depend on where they are, not on who asks."""

from __future__ import annotations

import numpy as np
import pytest

from galaxyds.sky.cells import CELL, Cells, Region, cells_in_row, cover, scatter


def test_cells_cover_the_whole_sphere():
    rows = np.arange(round(180 / CELL))
    number = cells_in_row(rows)
    first = Cells(row=rows, column=np.zeros_like(rows))
    assert float(np.sum(first.area() * number)) == pytest.approx(4 * np.pi * (180 / np.pi) ** 2)


def test_ids_are_unique_in_a_region_that_crosses_zero():
    cells = cover(Region(ra_min=359.5, ra_max=360.5, dec_min=-1, dec_max=1))
    assert np.unique(cells.ids).size == cells.ids.size
    east = cover(Region(ra_min=0.0, ra_max=0.45, dec_min=-1, dec_max=1))
    assert np.isin(east.ids, cells.ids).all()


@pytest.mark.parametrize("dec", [0.0, 60.0, -89.0])
def test_sources_lie_in_their_cells_at_the_stated_density(dec):
    cells = cover(Region(ra_min=10, ra_max=14, dec_min=dec - 0.5, dec_max=dec + 0.5))
    points = scatter(cells, 2000.0, seed=5, population=1)
    expected = 2000.0 * cells.area().sum()
    assert points.key.size == pytest.approx(expected, abs=4 * np.sqrt(expected))
    assert points.dec.min() >= (cells.row * CELL - 90).min() - 1e-9
    assert points.dec.max() <= ((cells.row + 1) * CELL - 90).max() + 1e-9


def test_a_larger_region_holds_the_same_sources():
    small = scatter(
        cover(Region(ra_min=30.02, ra_max=30.1, dec_min=0.02, dec_max=0.08)),
        3000.0,
        seed=1,
        population=2,
    )
    large = scatter(
        cover(Region(ra_min=29, ra_max=31, dec_min=-1, dec_max=1)), 3000.0, seed=1, population=2
    )
    where = np.flatnonzero(np.isin(large.key, small.key))
    assert where.size == small.key.size
    order = np.argsort(small.key)
    assert np.array_equal(np.sort(large.ra[where]), np.sort(small.ra))
    assert np.array_equal(large.dec[where][np.argsort(large.key[where])], small.dec[order])
