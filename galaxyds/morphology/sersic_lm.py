"""Levenberg-Marquardt for many galaxies at once: each at its own pace, none seeing the others."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from galaxyds.morphology.sersic import AXIS_RATIO_MIN
from galaxyds.morphology.sersic_model import (
    FLUX,
    G1,
    G2,
    LOG_INDEX,
    SKY,
    Shapes,
    Waves,
    basis,
    combination,
    quadratic,
    rows_of_table,
)
from galaxyds.morphology.sersic_profile import ProfileTable


@dataclass(frozen=True)
class Scene:
    """Pixels to fit, at one resolution.

    Parameters
    ----------
    root, scaled : Tensor
        ``(n, side, side)``: one over the noise, 0 where a pixel is ignored; and the data times it.
    optics : Tensor
        Complex ``(n or 1, size // 2 + 1, size)``: transformed point-spread functions.
    grid : Waves
        Wave numbers.
    table : ProfileTable
        The profile's transform, on the same device.
    """

    root: Tensor
    scaled: Tensor
    optics: Tensor
    grid: Waves
    table: ProfileTable

    def take(self, rows: Tensor) -> Scene:
        """The scene of some of the galaxies."""
        optics = self.optics if len(self.optics) == 1 else self.optics[rows]
        return Scene(self.root[rows], self.scaled[rows], optics, self.grid, self.table)

    def shapes(self, params: Tensor, forms: Tensor) -> Shapes:
        """What the galaxies' images are drawn from, in the scene's precision."""
        single = params.to(self.root.dtype)
        rows = rows_of_table(single[:, LOG_INDEX], self.table)
        return Shapes(single, forms[:, 0].to(self.root.dtype), rows, self.optics)


@dataclass(frozen=True)
class Limits:
    """Box of the parameters.

    Parameters
    ----------
    low, high : Tensor
        float64 ``(n, 8)``.
    """

    low: Tensor
    high: Tensor

    def take(self, rows: Tensor) -> Limits:
        """The limits of some of the galaxies."""
        return Limits(self.low[rows], self.high[rows])

    def clamp(self, params: Tensor) -> Tensor:
        """Move parameters into the box; the ellipticity is shortened, not turned."""
        inside = torch.minimum(torch.maximum(params, self.low), self.high)
        g = torch.sqrt(inside[:, G1] ** 2 + inside[:, G2] ** 2)
        most = -math.log(AXIS_RATIO_MIN) / 2
        inside[:, G1 : G2 + 1] *= torch.clamp(most / g.clamp_min(1e-9), max=1.0)[:, None]
        return inside


@dataclass
class Normal:
    """The normal equations at a point: chi^2, curvature and half the downhill gradient."""

    chi2: Tensor
    curvature: Tensor
    gradient: Tensor


def _reduce(shapes: Shapes, scene: Scene) -> Tensor:
    """Weighted sums over the pixels of the products of nine images.

    Returns
    -------
    Tensor
        ``(n, 9, 9)``: the basis, a constant and the residual with each other.
    """
    params, root = shapes.params, scene.root.flatten(1)
    images = basis(shapes, scene.grid, scene.table).flatten(2)
    scaled = images.new_empty(len(params), 9, images.shape[2])
    torch.mul(images, root[:, None], out=scaled[:, :7])
    scaled[:, 7] = root
    residual = torch.addcmul(scene.scaled.flatten(1), root, params[:, SKY, None], value=-1)
    torch.addcmul(residual, scaled[:, 0], params[:, FLUX, None], value=-1, out=scaled[:, 8])
    return scaled @ scaled.mT


def normal_equations(params: Tensor, scene: Scene, rows: Tensor, chunk: int) -> Normal:
    """Evaluate model and Jacobian, and reduce them over the pixels.

    Parameters
    ----------
    params : Tensor
        float64 ``(n, 8)``.
    scene : Scene
        Of all galaxies.
    rows : Tensor
        Which galaxies of the scene the n are.
    chunk : int
        Galaxies whose images are in memory at once.

    Returns
    -------
    Normal
        float64 ``(n,)``, ``(n, 8, 8)`` and ``(n, 8)``.
    """
    forms = quadratic(params)
    parts = []
    for first in range(0, len(params), chunk):
        part = slice(first, first + chunk)
        some = scene.take(rows[part])
        parts.append(_reduce(some.shapes(params[part], forms[part]), some))
    sums = torch.cat(parts).double()
    inner = sums[:, :8, :8]
    matrix = combination(params, forms)
    gradient = (matrix * sums[:, 8, None, :8]).sum(2)
    return Normal(sums[:, 8, 8], matrix @ inner @ matrix.mT, gradient)


def propose(params: Tensor, at: Normal, damping: Tensor, limits: Limits) -> tuple[Tensor, Tensor]:
    """One damped step, and how far chi^2 still has to fall by the undamped model.

    A parameter at its bound that wants to go beyond is held, so that the others move freely.
    """
    held = ((params <= limits.low) & (at.gradient < 0)) | (
        (params >= limits.high) & (at.gradient > 0)
    )
    free = (~held).double()
    diagonal = torch.diagonal(at.curvature, dim1=1, dim2=2)
    scale = torch.where(held | (diagonal <= 0), 1.0, diagonal.clamp_min(1e-30)).rsqrt()
    scaled = at.curvature * scale[:, :, None] * scale[:, None, :]
    scaled = scaled * free[:, :, None] * free[:, None, :]
    scaled = scaled + torch.diag_embed(1 - free + 1e-9)
    gradient = (at.gradient * free * scale)[:, :, None]
    full = torch.linalg.solve_ex(scaled, gradient)[0]
    fall = (gradient * full).sum((1, 2))
    damped = scaled + torch.diag_embed(damping[:, None].expand_as(scale))
    step = torch.linalg.solve_ex(damped, gradient)[0][:, :, 0] * scale
    return limits.clamp(params + step), fall


@dataclass
class State:
    """Where each galaxy's fit stands."""

    params: Tensor
    chi2: Tensor
    fall: Tensor
    iterations: Tensor


def minimise(
    params: Tensor, scene: Scene, limits: Limits, *, rounds: int, enough: float, chunk: int
) -> State:
    """Fit all galaxies of a scene.

    Parameters
    ----------
    params : Tensor
        float64 ``(n, 8)``: where to begin.
    scene, limits : Scene, Limits
        Of the same galaxies.
    rounds : int
        Most evaluations for one galaxy.
    enough : float
        A galaxy is done when its chi^2 can fall by no more than this.
    chunk : int
        Galaxies that are evaluated at once.

    Returns
    -------
    State
        The best point met by each galaxy.
    """
    best = limits.clamp(params)
    trial = best.clone()
    count = len(params)
    inf = torch.full((count,), math.inf, dtype=torch.float64, device=params.device)
    state = State(
        best, inf, inf.clone(), torch.zeros(count, dtype=torch.int32, device=params.device)
    )
    damping = torch.full_like(inf, 1e-2)
    held = Normal(inf.clone(), inf.new_zeros(count, 8, 8), inf.new_zeros(count, 8))
    active = torch.arange(count, device=params.device)
    for _ in range(rounds):
        box = limits.take(active)
        found = normal_equations(trial[active], scene, active, chunk)
        better = found.chi2 <= state.chi2[active] * (1 + 1e-7)
        won = active[better]
        state.chi2[won], state.params[won] = found.chi2[better], trial[won]
        held.curvature[won], held.gradient[won] = found.curvature[better], found.gradient[better]
        damping[active] = (damping[active] * torch.where(better, 0.1, 8.0)).clamp(1e-7, 1e6)
        here = Normal(state.chi2[active], held.curvature[active], held.gradient[active])
        step = propose(state.params[active], here, damping[active], box)
        trial[active], state.fall[active] = step
        state.iterations[active] += 1
        stuck = damping[active] > 1e5
        active = active[(state.fall[active] > enough) & ~stuck]
        if not len(active):
            break
    done = state.fall <= enough
    state.params = torch.where(done[:, None], trial, state.params)
    return state
