"""Sersic images through a point-spread function, with their derivatives, for a batch of galaxies.

Everything is a product in Fourier space and one inverse transform per image.  Parameters of one
galaxy, in this order: x, y (pixels), flux, sky, ln of the circularised radius a sqrt(q), two
components (g1, g2) of the ellipticity with q = exp(-2 |g|) and position angle atan2(g2, g1) / 2,
and ln n.  They are free of the trouble that an angle has in a round galaxy.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from galaxyds.morphology.sersic_profile import ProfileTable

X, Y, FLUX, SKY, LOG_RADIUS, G1, G2, LOG_INDEX = range(8)

_FLOOR_SQUARED = 9e-8
"""Square of the wave number at which the profile's table begins."""


@dataclass(frozen=True)
class Waves:
    """Wave numbers of a half-complex transform, in radians per native pixel.

    Parameters
    ----------
    size : int
        Side of the transform.
    x, y : Tensor
        float32 ``(size // 2 + 1, 1)`` and ``(1, size)``: columns lie in memory side by side.
    xx, xy, yy : Tensor
        kx^2, 2 kx ky and ky^2, float32 ``(size // 2 + 1, size)``.
    by_x, by_y : Tensor
        -i kx and -i ky: multiplying by them is differentiating to the position.
    """

    size: int
    x: Tensor
    y: Tensor
    xx: Tensor
    xy: Tensor
    yy: Tensor
    by_x: Tensor
    by_y: Tensor


def waves(size: int, binning: int, device: torch.device, dtype: torch.dtype) -> Waves:
    """Wave numbers for a grid of ``size`` pixels, each ``binning`` native pixels wide."""
    turn = 2 * torch.pi / binning
    x = (torch.fft.rfftfreq(size, dtype=dtype, device=device) * turn)[:, None]
    y = (torch.fft.fftfreq(size, dtype=dtype, device=device) * turn)[None, :]
    return Waves(size, x, y, x * x + 0 * y, 2 * x * y, y * y + 0 * x, -1j * x, -1j * y)


def transfer(psf: Tensor, grid: Waves, binning: int) -> Tensor:
    """Transform point-spread functions into what multiplies a galaxy's transform.

    Parameters
    ----------
    psf : Tensor
        ``(n, p, p)``, centred on pixel ``p // 2``, of any sum.
    grid : Waves
        Wave numbers of the binned grid.
    binning : int
        1 or 2: pixels of the model are means of so many squared native ones.

    Returns
    -------
    Tensor
        Complex ``(n, size // 2 + 1, size)``.
    """
    native, centre = grid.size * binning, psf.shape[-1] // 2
    unit = psf / psf.sum(dim=(1, 2), keepdim=True)
    placed = torch.zeros(len(psf), native, native, dtype=psf.dtype, device=psf.device)
    # A function wider than the grid is cut: its outermost wings would only fold back.
    keep = min(centre, native // 2 - 1)
    inner = slice(centre - keep, centre + keep + 1)
    placed[:, : 2 * keep + 1, : 2 * keep + 1] = unit[:, inner, inner]
    full: Tensor = torch.fft.rfft2(torch.roll(placed, (-keep, -keep), dims=(1, 2)))
    if binning == 1:
        return full.mT.contiguous()
    half = grid.size // 2
    rows = torch.cat([full[:, :half], full[:, -half:]], dim=1)[:, :, : half + 1].mT
    box = torch.cos(grid.x / 2) * torch.cos(grid.y / 2) / binning**2
    # The mean of two pixels sits half a pixel beyond the first.
    shifted: Tensor = rows * box * torch.polar(torch.ones_like(box), (grid.x + grid.y) / 2)
    return shifted.contiguous()


def quadratic(params: Tensor) -> Tensor:
    """Coefficients of kx^2, 2 kx ky, ky^2 in the squared elliptical wave number.

    Parameters
    ----------
    params : Tensor
        ``(n, 8)``.

    Returns
    -------
    Tensor
        ``(n, 4, 3)``: the coefficients, then their derivatives to ln radius, g1 and g2.
    """
    g1, g2 = params[:, G1], params[:, G2]
    g = torch.sqrt(g1 * g1 + g2 * g2).clamp_min(1e-4)
    c, s = torch.cosh(2 * g), torch.sinh(2 * g) / g
    bend = (2 * c - s) / (g * g)
    xx, xy, yy = c + s * g1, s * g2, c - s * g1
    by_g1 = (2 * s * g1 + bend * g1 * g1 + s, bend * g1 * g2, 2 * s * g1 - bend * g1 * g1 - s)
    by_g2 = (2 * s * g2 + bend * g1 * g2, bend * g2 * g2 + s, 2 * s * g2 - bend * g1 * g2)
    rows = [(xx, xy, yy), (2 * xx, 2 * xy, 2 * yy), by_g1, by_g2]
    stacked = torch.stack([torch.stack(row, dim=-1) for row in rows], dim=-2)
    return stacked * torch.exp(2 * params[:, LOG_RADIUS])[:, None, None]


def rows_of_table(log_index: Tensor, table: ProfileTable) -> Tensor:
    """Cut the table at each galaxy's index.

    Parameters
    ----------
    log_index : Tensor
        ln n, ``(n,)``.
    table : ProfileTable
        The profile's transform.

    Returns
    -------
    Tensor
        T, dT/ds and dT/d ln n, ``(n, 3, samples)``.
    """
    start, step = table.log_index
    position = ((log_index - start) / step).clamp(0, len(table.values) - 1.001)
    node = position.long()
    part = (position - node)[:, None, None]
    return torch.lerp(table.values[node], table.values[node + 1], part)


def _read(rows: Tensor, squared: Tensor, table: ProfileTable) -> Tensor:
    """T, dT/ds and dT/d ln n at squared wave numbers ``(n, p)``: ``(n, 3, p)``."""
    start, step = table.log_wave
    position = (torch.log(squared) * (0.5 / step) - start / step).clamp(0, rows.shape[-1] - 1.001)
    cell = position.long()
    fraction = (position - cell)[:, None]
    cell = cell[:, None].expand(-1, rows.shape[1], -1)
    left = rows.gather(2, cell)
    return torch.lerp(left, rows.gather(2, cell + 1), fraction.expand_as(left))


@dataclass(frozen=True)
class Shapes:
    """What the images of some galaxies are drawn from.

    Parameters
    ----------
    params : Tensor
        ``(n, 8)``, with x and y measured from the first pixel of the grid.
    form : Tensor
        ``(n, 3)``: the first row of :func:`quadratic`.
    rows : Tensor
        What :func:`rows_of_table` returned.
    optics : Tensor
        What :func:`transfer` returned, for n galaxies or for one.
    """

    params: Tensor
    form: Tensor
    rows: Tensor
    optics: Tensor

    def squared(self, grid: Waves) -> Tensor:
        """Squared elliptical wave numbers, ``(n, size // 2 + 1, size)``."""
        q = self.form[:, :, None, None]
        return q[:, 0] * grid.xx + q[:, 1] * grid.xy + (q[:, 2] * grid.yy + _FLOOR_SQUARED)

    def seen(self, grid: Waves) -> Tensor:
        """Transform of a point source at the galaxy's place."""
        one = torch.ones((), dtype=self.params.dtype, device=self.params.device)
        shift_x = torch.polar(one, -self.params[:, X, None, None] * grid.x)
        shift_y = torch.polar(one, -self.params[:, Y, None, None] * grid.y)
        return self.optics * (shift_x * shift_y)


def _images(spectra: Tensor, size: int) -> Tensor:
    """Transform back.  In two steps, the first in place, a third faster than ``irfft2``."""
    torch.fft.ifft(spectra, dim=-1, out=spectra)
    images: Tensor = torch.fft.irfft(spectra, n=size, dim=-2)
    return images.mT


def render(shapes: Shapes, grid: Waves, table: ProfileTable) -> Tensor:
    """Images of unit flux, ``(n, size, size)``."""
    squared = shapes.squared(grid)
    t = _read(shapes.rows[:, :1].contiguous(), squared.flatten(1), table).view(squared.shape)
    return _images(shapes.seen(grid) * t, grid.size)


def basis(shapes: Shapes, grid: Waves, table: ProfileTable) -> Tensor:
    """Images of unit flux from which the model and all its derivatives are combined.

    Parameters
    ----------
    shapes : Shapes
        The galaxies.
    grid : Waves
        Wave numbers of the grid.
    table : ProfileTable
        The profile's transform.

    Returns
    -------
    Tensor
        ``(n, 7, size, size)``: the galaxy, its derivatives to the coefficients of kx^2, 2 kx ky
        and ky^2, to ln n, to x and to y.
    """
    squared = shapes.squared(grid)
    count, high, wide = squared.shape
    read = _read(shapes.rows, squared.flatten(1), table).view(count, 3, high, wide)
    t, t_s, t_n = read.unbind(1)
    seen = shapes.seen(grid)
    # Filled in place: copying seven spectra costs as much as making them.
    spectra = seen.new_empty(count, 7, high, wide)
    galaxy = torch.mul(seen, t, out=spectra[:, 0])
    bent = seen * (t_s / (2 * squared))
    for place, (factor, derivative) in enumerate(
        [(bent, grid.xx), (bent, grid.xy), (bent, grid.yy), (seen, t_n)], start=1
    ):
        torch.mul(factor, derivative, out=spectra[:, place])
    torch.mul(galaxy, grid.by_x, out=spectra[:, 5])
    torch.mul(galaxy, grid.by_y, out=spectra[:, 6])
    return _images(spectra, grid.size)


def combination(params: Tensor, forms: Tensor) -> Tensor:
    """The matrix that makes the Jacobian of :func:`basis` and of a constant.

    Parameters
    ----------
    params : Tensor
        ``(n, 8)``.
    forms : Tensor
        What :func:`quadratic` returned.

    Returns
    -------
    Tensor
        ``(n, 8, 8)``: row = parameter, column = image of the basis, the constant last.
    """
    matrix = torch.zeros(len(params), 8, 8, dtype=params.dtype, device=params.device)
    flux = params[:, FLUX]
    matrix[:, X, 5] = matrix[:, Y, 6] = matrix[:, LOG_INDEX, 4] = flux
    matrix[:, FLUX, 0] = matrix[:, SKY, 7] = 1
    matrix[:, LOG_RADIUS : G2 + 1, 1:4] = forms[:, 1:] * flux[:, None, None]
    return matrix
