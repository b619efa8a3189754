"""Circles and boxes on the sky, against astropy's separations."""

from __future__ import annotations

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import SkyCoord

from galaxyds.archives.regions import Box, Circle
from galaxyds.errors import UsageError

DRAW = np.random.default_rng(3)


@pytest.mark.parametrize("circle", [Circle(359.9, 2.0, 3.0), Circle(10.0, -89.0, 5.0)])
def test_a_circle_holds_what_is_within_its_radius(circle):
    ra = circle.ra + DRAW.uniform(-8, 8, 2000) % 360
    dec = np.clip(circle.dec + DRAW.uniform(-6, 6, 2000), -90, 90)
    middle = SkyCoord(circle.ra, circle.dec, unit="deg")
    distance = SkyCoord(ra, dec, unit="deg").separation(middle).deg
    assert np.array_equal(circle.holds(ra, dec), distance <= circle.radius)
    assert 0 < circle.holds(ra, dec).sum() < 2000


def test_a_box_across_zero_hours():
    box = Box(359.0, 1.0, -1.0, 1.0)
    ra, dec = np.array([359.5, 0.5, 1.5, 358.5, 0.0]), np.array([0, 0, 0, 0, 1.5])
    assert box.holds(ra, dec).tolist() == [True, True, False, False, False]


@pytest.mark.parametrize(
    "box", [Box(30, 39, -11, -3), Box(350, 20, 60, 80), Box(0, 170, -20, 40), Box(5, 9, -80, -60)]
)
def test_the_circle_around_a_box_holds_it(box):
    ra = (box.ra_min + np.linspace(0, box.width, 200)) % 360
    dec = np.linspace(box.dec_min, box.dec_max, 200)
    ra, dec = (grid.ravel() for grid in np.meshgrid(ra, dec))
    circle = box.around()
    middle = SkyCoord(circle.ra * u.deg, circle.dec * u.deg)
    furthest = SkyCoord(ra, dec, unit="deg").separation(middle).deg.max()
    assert furthest <= circle.radius <= 1.01 * furthest


def test_nothing_is_nowhere():
    assert not Circle(10, 0, 90).holds(np.array([np.nan]), np.array([0.0])).any()


@pytest.mark.parametrize(
    "make", [lambda: Circle(10, 0, 0), lambda: Circle(10, 95, 1), lambda: Circle(np.nan, 0, 1),
             lambda: Box(1, 2, 3, 3), lambda: Box(5, 5, 0, 1), lambda: Box(200, 100, 0, 1)]
)  # fmt: skip
def test_what_is_no_region(make):
    with pytest.raises(UsageError, match="no region of the sky"):
        make()
