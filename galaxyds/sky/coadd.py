"""What every coadd has in common: boxes of pixels, sources on them, noise that stays in place."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from galaxyds.sky.hashing import Floats, keyed, label_word
from galaxyds.sky.hsc_conditions import kernel
from galaxyds.sky.hsc_fourier import Placed, groups, held, reach
from galaxyds.sky.render import Image
from galaxyds.sky.surveys import Survey
from galaxyds.sky.universe import Sources

_BLOCK = 64  # rows and columns of a block of noise


@dataclass(frozen=True, kw_only=True, slots=True)
class Box:
    """Pixels of a tract that a cutout shows: first (x, y) and size (columns, rows)."""

    x: int
    y: int
    width: int
    height: int


def laid(
    sources: Sources,
    x: Floats,
    y: Floats,
    *,
    inside: NDArray[np.bool_],
    survey: Survey,
    faintest: float,
) -> Placed:
    """Put sources on pixels, with the distance to which each of them counts.

    Parameters
    ----------
    sources : Sources
    x, y : ndarray of float64, (n,)
        0-based pixels.
    inside : ndarray of bool, (n,)
        Which of them are kept.
    survey : Survey
        Whose magnitudes they have.
    faintest : float
        Surface brightness in counts per pixel that may be left out.

    Returns
    -------
    Placed
        Sorted by key, so that sums do not depend on where one looks from.
    """
    chosen = np.flatnonzero(inside)
    chosen = chosen[np.argsort(sources.key[chosen], kind="stable")]
    sources = sources.take(chosen)
    flux = survey.flux(sources.magnitude)
    far = reach(sources, flux.max(axis=1), scale=survey.pixel_scale, faintest=faintest)
    # A source counts as far as its square goes: what it adds to a pixel is then the same from
    # wherever one looks.
    for size, rows in groups(far):
        far[rows] = held(size)
    return Placed(sources=sources, x=x[chosen], y=y[chosen], flux=flux, reach=far)


def near(placed: Placed, box: Box) -> Placed:
    """Select the sources whose squares reach a box, in its pixels."""
    x, y = placed.x - box.x, placed.y - box.y
    half_width, half_height = box.width / 2, box.height / 2
    far = placed.reach + 2.0  # a square reaches a pixel or two beyond what it must hold
    close = np.abs(x - half_width) < half_width + far
    seen = np.flatnonzero(close & (np.abs(y - half_height) < half_height + far))
    return Placed(
        sources=placed.sources.take(seen),
        x=x[seen],
        y=y[seen],
        flux=placed.flux[seen],
        reach=placed.reach[seen],
    )


def noisy(model: Image, noise: Image, *, sigma: float, gain: float) -> Image:
    """Add the noise of sky and photons to an image.

    Parameters
    ----------
    model : ndarray of float32, (rows + 2, columns + 2)
        Counts, not below 0.
    noise : ndarray of float32, (rows + 2, columns + 2)
        White, of standard deviation 1; overwritten.
    sigma : float
        Standard deviation of empty pixels in counts, were they independent.
    gain : float
        Electrons per count.

    Returns
    -------
    ndarray of float32, (rows, columns)
        Neighbouring pixels are correlated.
    """
    noise *= np.sqrt(np.float32(sigma) ** 2 + model / np.float32(gain))
    image: Image = model[1:-1, 1:-1] + smoothed(noise)
    return image


def white(seed: int, tract: int, band: str, box: Box) -> Image:
    """White noise of standard deviation 1 on the pixels of a tract, the same whoever looks.

    Parameters
    ----------
    seed : int
        Of the universe.
    tract : int
    band : str
    box : Box

    Returns
    -------
    ndarray of float32, (rows, columns)
    """
    columns = np.arange(box.x // _BLOCK, (box.x + box.width - 1) // _BLOCK + 1)
    rows = np.arange(box.y // _BLOCK, (box.y + box.height - 1) // _BLOCK + 1)
    keys = keyed(
        seed, np.asarray(label_word(f"noise {band}")), tract, rows[:, None], columns[None, :]
    )
    noise = np.empty((rows.size, _BLOCK, columns.size, _BLOCK), np.float32)
    for j, i in np.ndindex(keys.shape):
        block = np.random.Generator(np.random.PCG64(int(keys[j, i])))
        noise[j, :, i] = block.standard_normal((_BLOCK, _BLOCK), dtype=np.float32)
    whole = noise.reshape(rows.size * _BLOCK, columns.size * _BLOCK)
    top, left = box.y - int(rows[0]) * _BLOCK, box.x - int(columns[0]) * _BLOCK
    return whole[top : top + box.height, left : left + box.width].copy()


def smoothed(noise: Image) -> Image:
    """Correlate neighbouring pixels as resampling does; one pixel less on every side."""
    side, middle, _ = kernel().astype(np.float32)
    rows = side * (noise[:-2] + noise[2:]) + middle * noise[1:-1]
    smooth: Image = side * (rows[:, :-2] + rows[:, 2:]) + middle * rows[:, 1:-1]
    return smooth
