"""Pieces of sky that a catalogue is asked for."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from galaxyds.errors import UsageError

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Circle:
    """All positions within a distance of a point.

    Attributes
    ----------
    ra, dec : float
        Of the middle, degrees.
    radius : float
        Degrees on the sky, above 0 and at most 90.

    Raises
    ------
    UsageError
        If it is no circle on the sky.
    """

    ra: float
    dec: float
    radius: float

    def __post_init__(self) -> None:
        _require(0 <= self.ra <= 360 and -90 <= self.dec <= 90 and 0 < self.radius <= 90, self)

    def holds(self, ra: Floats, dec: Floats) -> NDArray[np.bool_]:
        """Tell which positions lie inside, the rim included.

        Parameters
        ----------
        ra, dec : ndarray of float64, shape (n,)
            Degrees.

        Returns
        -------
        ndarray of bool, shape (n,)
            False where a coordinate is not finite.
        """
        inside: NDArray[np.bool_] = separation(ra, dec, self.ra, self.dec) <= self.radius
        return inside

    def around(self) -> Circle:
        """Return itself: the smallest circle that holds it."""
        return self


@dataclass(frozen=True, slots=True)
class Box:
    """Right ascensions and declinations between two values each.

    Attributes
    ----------
    ra_min, ra_max : float
        Degrees; a box across 0 h has ``ra_min > ra_max``.
    dec_min, dec_max : float
        Degrees.

    Raises
    ------
    UsageError
        If it is no box on the sky, or wider than 180 degrees.
    """

    ra_min: float
    ra_max: float
    dec_min: float
    dec_max: float

    def __post_init__(self) -> None:
        in_order = -90 <= self.dec_min < self.dec_max <= 90 and 0 < self.width <= 180
        _require(in_order and 0 <= self.ra_min <= 360 and 0 <= self.ra_max <= 360, self)

    @property
    def width(self) -> float:
        """Degrees of right ascension."""
        return (self.ra_max - self.ra_min) % 360.0

    def holds(self, ra: Floats, dec: Floats) -> NDArray[np.bool_]:
        """Tell which positions lie inside, the rim included; as :meth:`Circle.holds`."""
        east = (np.asarray(ra) - self.ra_min) % 360.0
        inside: NDArray[np.bool_] = (
            (east <= self.width) & (dec >= self.dec_min) & (dec <= self.dec_max)
        )
        return inside

    def around(self) -> Circle:
        """Return a circle that holds the box: about its middle, through its furthest point.

        On a meridian the furthest point from the middle is an end, and on a parallel the distance
        grows with the difference in right ascension: one of the corners is furthest, or, on a box
        about the equator, a point of a side, which a hundred steps find to within the margin.
        """
        ra = (self.ra_min + self.width / 2) % 360.0
        dec = (self.dec_min + self.dec_max) / 2
        side = np.linspace(self.dec_min, self.dec_max, 101)
        furthest = float(separation(np.full(101, self.ra_min), side, ra, dec).max())
        return Circle(ra, dec, min(90.0, furthest * 1.001))


Region = Circle | Box


def separation(ra: Floats, dec: Floats, to_ra: float, to_dec: float) -> Floats:
    """Great-circle distances to one point, by the haversine formula.

    Parameters
    ----------
    ra, dec : ndarray of float64, shape (n,)
        Degrees.
    to_ra, to_dec : float
        Degrees.

    Returns
    -------
    ndarray of float64, shape (n,)
        Degrees.
    """
    north, to_north = np.radians(dec), math.radians(to_dec)
    half_north = np.sin((north - to_north) / 2) ** 2
    half_east = np.sin(np.radians(np.asarray(ra) - to_ra) / 2) ** 2
    square = half_north + np.cos(north) * math.cos(to_north) * half_east
    distance: Floats = 2 * np.degrees(np.arcsin(np.sqrt(np.clip(square, 0.0, 1.0))))
    return distance


def _require(sound: bool, region: object) -> None:
    if not sound:
        raise UsageError(f"no region of the sky: {region}; give degrees, the smaller value first")
