"""Dust of the Milky Way: a smooth E(B-V) field, a function of position alone."""

from __future__ import annotations

import numpy as np

from galaxyds.sky.hashing import Floats, keyed, normal, uniform

_WAVES = 24


def reddening(ra: Floats, dec: Floats, *, seed: int) -> Floats:
    """E(B-V) in magnitudes, on the unscaled scale of Schlegel, Finkbeiner & Davis (1998).

    The logarithm is a sum of plane waves over the unit sphere with periods from 60 degrees down to
    0.5 degree, around a median of 0.04, as at high Galactic latitude.

    Parameters
    ----------
    ra, dec : ndarray of float64, (n,)
        Degrees.
    seed : int
        Of the universe.

    Returns
    -------
    ndarray of float64, (n,)
        About 0.015 to 0.15.
    """
    a, d = np.radians(ra), np.radians(dec)
    x, y, z = np.cos(d) * np.cos(a), np.cos(d) * np.sin(a), np.sin(d)
    keys = keyed(seed, 7001, np.arange(_WAVES))
    number = 6.0 * 2.0 ** (np.arange(_WAVES) * 7.0 / (_WAVES - 1))  # radians per unit sphere
    direction = np.stack([normal(keys, "x"), normal(keys, "y"), normal(keys, "z")])
    direction /= np.linalg.norm(direction, axis=0)
    phase = uniform(keys, "phase") * 2 * np.pi
    total = np.zeros_like(a)
    for k in range(_WAVES):
        along = direction[0, k] * x + direction[1, k] * y + direction[2, k] * z
        total += np.cos(number[k] * along + phase[k]) * (number[k] / 6.0) ** -0.35
    scaled: Floats = 0.04 * np.exp(0.22 * total)
    return scaled
