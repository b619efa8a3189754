"""One batch of Sersic fits: a quick fit of binned pixels, then a few steps on the pixels."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import torch
from torch import Tensor

from galaxyds.morphology.flags import FIT_AT_BOUND, FIT_FAILED
from galaxyds.morphology.flags import mask as bits
from galaxyds.morphology.sersic import AXIS_RATIO_MIN, INDEX_MAX, INDEX_MIN, Pixels, SersicFit
from galaxyds.morphology.sersic_lm import Limits, Scene, State, minimise
from galaxyds.morphology.sersic_model import (
    FLUX,
    G1,
    G2,
    LOG_INDEX,
    LOG_RADIUS,
    SKY,
    X,
    Y,
    quadratic,
    render,
    transfer,
    waves,
)
from galaxyds.morphology.sersic_profile import ProfileTable, profile_table

START_INDEX = 2.5
"""Index with which every fit begins: from 1.5 to 3 the results are the same."""

MISSED = 1.2
"""A detection stops at its threshold: flux and radius begin larger by this."""

ENOUGH = 1.0
"""A fit is done when chi^2 can fall by no more than this; the step that remains is still taken."""

STRANGE, STRUCTURE = 4.0, 0.4
"""A binned pixel is a neighbour's when it exceeds a first model by so many times its noise, where
the galaxy's own structure counts as noise of two fifths of its light."""

ROUNDS = 30
"""Most evaluations per resolution."""

WANDER = 6.0
"""Pixels by which the position may leave the detection's."""

RADIUS_MIN = 0.1
"""Smallest circularised half-light radius in pixels: a fortieth of the seeing, a point."""


def fit_batch(pixels: Pixels, *, gain: float | None, softening: float, device: str) -> SersicFit:
    """Fit galaxies whose pixels are in memory.

    Parameters
    ----------
    pixels : Pixels
        n galaxies that can be fitted.
    gain : float, optional
        Electrons per count, for Poisson weights.
    softening : float
        Error of the model as a fraction of its light.
    device : str
        A torch device.

    Returns
    -------
    SersicFit
        Arrays of shape ``(n,)``.
    """
    frame = _frame(pixels, torch.device(device))
    start = _start(pixels).to(frame.data.device)
    limits = _limits(start, frame)
    coarse = frame.scene(2)
    near = _minimise(start, coarse, limits)
    light = _draw(near.params, coarse).clamp_min(0)
    excess = frame.binned() - near.params[:, SKY, None, None].to(light.dtype) - light
    factor = _kept(excess, light) / _variance(frame, light, gain, softening)
    # Of squares of two by two, back to their pixels.
    factor = factor.repeat_interleave(2, 2).repeat_interleave(2, 1)
    frame = replace(frame, weight=frame.weight * factor)
    found = _minimise(near.params, frame.scene(1), limits)
    found.iterations += near.iterations
    return _result(found, frame, limits)


@dataclass(frozen=True)
class _Frame:
    """Images in units of the sky's noise, sky roughly removed, padded to a grid of fast transform.

    ``level`` and ``sigma`` bring parameters back to counts.
    """

    data: Tensor
    weight: Tensor
    psf: Tensor
    level: Tensor
    sigma: Tensor
    table: ProfileTable

    def scene(self, binning: int) -> Scene:
        data, weight, size = self.data, self.weight, self.data.shape[-1] // binning
        if binning == 2:
            data = self.binned()
            # A square with an ignored pixel is ignored.
            weight = _halved(weight, torch.minimum) * 4
        root, grid = torch.sqrt(weight), waves(size, binning, data.device, data.dtype)
        return Scene(root, data * root, transfer(self.psf, grid, binning), grid, self.table)

    def binned(self) -> Tensor:
        return _halved(self.data, torch.add) / 4


def _halved(images: Tensor, join: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """Join the pixels of every square of two by two."""
    rows = join(images[:, ::2], images[:, 1::2])
    return join(rows[..., ::2], rows[..., 1::2])


def grid_size(pixels: int) -> int:
    """Smallest multiple of 16 that holds an image: 128 for 113 to 128 pixels."""
    return 16 * math.ceil(pixels / 16)


@cache
def _table(device: torch.device) -> ProfileTable:
    table = profile_table()
    return ProfileTable(table.values.to(device), table.log_index, table.log_wave)


def _frame(pixels: Pixels, device: torch.device) -> _Frame:
    count, rows, columns = pixels.images.shape
    ignored = pixels.ignored
    size = grid_size(max(rows, columns))
    sky = np.array([_level(*pair) for pair in zip(pixels.images, ignored, strict=True)])
    counts = np.zeros((count, size, size), np.float32)
    inverse = np.zeros_like(counts)
    sigma = pixels.sigma.astype(np.float32)[:, None, None]
    counts[:, :rows, :columns] = (pixels.images - sky[:, None, None]) / sigma
    inverse[:, :rows, :columns] = ~ignored
    counts *= inverse
    data, weight, psf, level, noise = (
        torch.from_numpy(np.ascontiguousarray(array)).to(device)
        for array in (counts, inverse, pixels.psf, sky.astype(np.float64), pixels.sigma)
    )
    return _Frame(data, weight, psf, level, noise, _table(device))


def _level(image: np.ndarray, ignored: np.ndarray) -> np.float32:
    """Median of every fourth pixel: a first sky, so that sums in 32 bits stay small."""
    seen = image[::4, ::4][~ignored[::4, ::4]]
    return np.float32(np.median(seen)) if len(seen) else np.float32(0)


def _start(pixels: Pixels) -> Tensor:
    """First parameters, float64 ``(n, 8)``: the detection's, with the blurring taken out."""
    x, y, flux, radius, axis_ratio, theta = pixels.guess.T
    psf = pixels.psf.astype(np.float64)
    # Noise-equivalent area 4 pi s^2 of a Gaussian, half of whose light is within 1.177 s.
    area = psf.sum((1, 2)) ** 2 / (psf**2).sum((1, 2))
    blur = 1.177**2 * area / (4 * math.pi)
    half = np.sqrt(np.maximum(radius**2 - blur, 0.5))
    g = -np.log(np.clip(axis_ratio, 0.1, 1.0)) / 2
    start = np.zeros((len(x), 8))
    start[:, X], start[:, Y] = x, y
    start[:, FLUX] = MISSED * np.maximum(flux / pixels.sigma, 1.0)
    start[:, LOG_RADIUS], start[:, LOG_INDEX] = np.log(MISSED * half), math.log(START_INDEX)
    start[:, G1], start[:, G2] = (
        g * np.cos(2 * np.radians(theta)),
        g * np.sin(2 * np.radians(theta)),
    )
    return torch.from_numpy(start)


def _limits(start: Tensor, frame: _Frame) -> Limits:
    low, high = torch.full_like(start, -math.inf), torch.full_like(start, math.inf)
    for place in (X, Y):
        low[:, place], high[:, place] = start[:, place] - WANDER, start[:, place] + WANDER
    low[:, FLUX] = 1.0
    low[:, LOG_RADIUS], high[:, LOG_RADIUS] = math.log(RADIUS_MIN), math.log(frame.data.shape[-1])
    low[:, LOG_INDEX], high[:, LOG_INDEX] = math.log(INDEX_MIN), math.log(INDEX_MAX)
    return Limits(low, high)


def _minimise(start: Tensor, scene: Scene, limits: Limits) -> State:
    # On a processor a few images at a time stay in its cache; a card wants them all.
    chunk = 8 if scene.root.device.type == "cpu" else len(start)
    return minimise(start, scene, limits, rounds=ROUNDS, enough=ENOUGH, chunk=chunk)


def _draw(params: Tensor, scene: Scene) -> Tensor:
    shapes = scene.shapes(params, quadratic(params))
    return render(shapes, scene.grid, scene.table) * shapes.params[:, FLUX, None, None]


def _variance(frame: _Frame, light: Tensor, gain: float | None, softening: float) -> Tensor:
    """Variance of a pixel in units of the sky's, with what the galaxy's own light adds."""
    variance = 1 + (softening * light) ** 2
    if gain is not None:
        variance += light / (gain * frame.sigma[:, None, None].to(light.dtype))
    return variance


def _kept(excess: Tensor, light: Tensor) -> Tensor:
    """Give 0 to binned pixels, and those beside them, that are much brighter than the model.

    They belong to neighbours that the detection missed or did not part from the galaxy.
    """
    noise = torch.sqrt(0.25 + (STRUCTURE * light) ** 2)
    stranger = excess > STRANGE * noise
    for dim in (1, 2):
        last, before = stranger.shape[dim] - 1, stranger.clone()
        stranger.narrow(dim, 1, last).logical_or_(before.narrow(dim, 0, last))
        stranger.narrow(dim, 0, last).logical_or_(before.narrow(dim, 1, last))
    return (~stranger).to(light.dtype)


def _result(state: State, frame: _Frame, limits: Limits) -> SersicFit:
    params, sigma = state.params.cpu().numpy(), frame.sigma.cpu().numpy()
    seen = (frame.weight > 0).sum((1, 2)).cpu().numpy()
    g = np.hypot(params[:, G1], params[:, G2])
    bound = ((state.params <= limits.low) | (state.params >= limits.high)).any(1).cpu().numpy()
    bound |= g >= -math.log(AXIS_RATIO_MIN) / 2 * (1 - 1e-6)
    failed = ~(state.fall <= ENOUGH).cpu().numpy()
    fit = SersicFit.empty(len(params))
    fit.index[:] = np.clip(np.exp(params[:, LOG_INDEX]), INDEX_MIN, INDEX_MAX)
    fit.radius[:] = np.exp(params[:, LOG_RADIUS] + g)
    fit.axis_ratio[:] = np.maximum(np.exp(-2 * g), AXIS_RATIO_MIN)
    fit.theta[:] = np.degrees(np.arctan2(params[:, G2], params[:, G1])) / 2
    fit.x[:], fit.y[:], fit.flux[:] = params[:, X], params[:, Y], params[:, FLUX] * sigma
    fit.sky[:] = params[:, SKY] * sigma + frame.level.cpu().numpy()
    fit.chi2[:] = state.chi2.cpu().numpy() / np.maximum(seen - 8, 1)
    fit.flags[:] = np.where(bound, bits(FIT_AT_BOUND), 0) | np.where(failed, bits(FIT_FAILED), 0)
    fit.iterations[:] = state.iterations.cpu().numpy()
    return fit


def draw(fit: SersicFit, shape: tuple[int, int], psf: np.ndarray) -> np.ndarray:
    """Draw fits on the CPU; see :func:`galaxyds.morphology.sersic.model_images`.

    Parameters
    ----------
    fit : SersicFit
        n fits.
    shape : tuple of int
        Rows and columns.
    psf : ndarray
        float32 ``(n or 1, p, p)``.

    Returns
    -------
    ndarray
        float32 ``(n, rows, columns)``.
    """
    cpu = torch.device("cpu")
    # Twice the image: the wings that a transform folds back then miss it.
    grid = waves(grid_size(2 * max(shape)), 1, cpu, torch.float32)
    g, twice = -np.log(fit.axis_ratio) / 2, 2 * np.radians(fit.theta)
    columns = [
        fit.x,
        fit.y,
        fit.flux,
        fit.sky,
        np.log(fit.radius) - g,
        g * np.cos(twice),
        g * np.sin(twice),
    ]
    params = torch.from_numpy(np.stack([*columns, np.log(fit.index)], axis=-1).astype(np.float64))
    images = np.empty((len(params), *shape), np.float32)
    for k in range(len(params)):
        optics = transfer(torch.from_numpy(psf[[k if len(psf) > 1 else 0]]), grid, 1)
        none = torch.empty(0, 1, 1)
        one = _draw(params[[k]], Scene(none, none, optics, grid, _table(cpu)))
        images[k] = one[0, : shape[0], : shape[1]].numpy() + fit.sky[k]
    return images
