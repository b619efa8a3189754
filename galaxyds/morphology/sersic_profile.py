"""The Fourier transform of Sersic's profile, as a table that a fit can afford to read.

A profile I(r) = exp(-b r^(1/n)) of unit half-light radius has the transform

    T(k) = integral of I(r) J0(k r) 2 pi r dr / integral of I(r) 2 pi r dr,    T(0) = 1,

and any ellipse of it is the same T at an elliptical wave number.  Convolving there with the
point-spread function needs no sampling of the core, which is where a profile of high index is
sharpest.  T comes from the logarithmic Hankel transform (Hamilton 2000, MNRAS 312, 257).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from torch import Tensor

from galaxyds.morphology.sersic import INDEX_MAX, INDEX_MIN

_NODES = 201
"""Indices at which T is computed, evenly in ln n: steps of 0.016."""

_SPAN, _SAMPLES = 80.0, 8192
"""Range of ln r, and samples over it: steps of 0.0098.  Interpolation is linear in both, and wrong
by 3e-5 at most."""

_FLOOR = 3e-4
"""Smallest wave number told apart from zero, per half-light radius."""

_CEILING = 600.0
"""Largest wave number of the table."""


@dataclass(frozen=True)
class ProfileTable:
    """T and its slope over a grid of index and wave number.

    Parameters
    ----------
    values : Tensor
        float32 ``(nodes, 3, samples)``: T, dT/ds and dT/d ln n, where s = ln(k^2 + floor^2) / 2.
    log_index : tuple of float
        First ln n and the step of the grid.
    log_wave : tuple of float
        First s and the step of the grid.
    """

    values: Tensor
    log_index: tuple[float, float]
    log_wave: tuple[float, float]


def half_light_b(index: Tensor) -> Tensor:
    """Solve P(2n, b) = 1/2: b makes the unit radius hold half of the light.

    Parameters
    ----------
    index : Tensor
        Sersic index n, float64, any shape.

    Returns
    -------
    Tensor
        b, of the same shape.
    """
    low, high = torch.zeros_like(index), 2 * index + 10
    for _ in range(70):
        middle = (low + high) / 2
        below = torch.special.gammainc(2 * index, middle) < 0.5
        low, high = torch.where(below, middle, low), torch.where(below, high, middle)
    return (low + high) / 2


def _gamma_phase(eta: np.ndarray) -> np.ndarray:
    """Im ln Gamma(1/2 + i eta), by Stirling's series after a shift of ten."""
    z = 0.5 + 1j * eta
    shift = sum(np.log(z + j).imag for j in range(10))
    z = z + 10
    series = (z - 0.5) * np.log(z) - z + 1 / (12 * z) - 1 / (360 * z**3) + 1 / (1260 * z**5)
    return np.asarray(series.imag - shift)


@cache
def _kernel() -> np.ndarray:
    """The transform of exp(u) J0(exp(u)): a pure phase on the grid of the module."""
    eta = 2 * np.pi * np.fft.rfftfreq(_SAMPLES, _SPAN / _SAMPLES)
    kernel = np.exp(1j * (eta * math.log(2) + 2 * _gamma_phase(eta / 2)))
    kernel[-1] = kernel[-1].real
    return np.asarray(kernel)


def _transform(index: float, b: float) -> tuple[np.ndarray, np.ndarray]:
    """Give ln k and T(k) for one index, on the logarithmic grid of the module."""
    log_r = (np.arange(_SAMPLES) - _SAMPLES // 2) * (_SPAN / _SAMPLES)
    total = index * math.exp(math.lgamma(2 * index) - 2 * index * math.log(b))
    # k T(k) is the correlation of r I(r) with the kernel in ln r; r I(r) vanishes at both ends of
    # the range, so that the period does no harm.
    biased = np.exp(log_r - b * np.exp(np.minimum(log_r / index, 50.0))) / total
    product = np.fft.irfft(np.conj(np.fft.rfft(biased) * _kernel()), _SAMPLES)
    return log_r, product * np.exp(-log_r)


@cache
def profile_table() -> ProfileTable:
    """Compute the table, once per process (about a tenth of a second).

    Returns
    -------
    ProfileTable
        On the CPU; indices from 0.3 to 8.
    """
    first, last = math.log(INDEX_MIN), math.log(INDEX_MAX)
    step_n = (last - first) / (_NODES - 1)
    # One node more at each end, so that slopes are central everywhere.
    log_n = first + step_n * np.arange(-1, _NODES + 1)
    b = half_light_b(torch.from_numpy(np.exp(log_n))).numpy()
    pairs = [_transform(float(n), float(b_n)) for n, b_n in zip(np.exp(log_n), b, strict=True)]
    log_k, values = pairs[0][0], np.stack([pair[1] for pair in pairs])
    keep = (log_k >= math.log(_FLOOR)) & (log_k <= math.log(_CEILING))
    slopes = np.gradient(values, step_n, _SPAN / _SAMPLES)
    stacked = np.stack([values, slopes[1], slopes[0]], axis=1)[1:-1, :, keep]
    return ProfileTable(
        values=torch.from_numpy(np.ascontiguousarray(stacked, dtype=np.float32)),
        log_index=(float(log_n[1]), step_n),
        log_wave=(float(log_k[keep][0]), _SPAN / _SAMPLES),
    )
