"""Losses of a point estimate: Tanaka et al. (2018) in three normalisations, and the usual two."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

Norm = Literal["none", "phot", "spec"]
Loss = Literal["tanaka", "mae", "mse"]

GAMMA = 0.15
"""Where the loss is one half; beyond it a redshift is an outlier (paper 002, Eq. 5)."""


def tanaka_loss(z_phot: Tensor, z_spec: Tensor, norm: Norm) -> Tensor:
    """Return the loss of Tanaka et al. (2018), 1 - 1 / (1 + (d / (0.15 n))^2), d = z_phot - z_spec.

    It is computed as d^2 / (d^2 + (0.15 n)^2), which is the same, keeps its digits where d is small
    and divides by zero nowhere.

    Parameters
    ----------
    z_phot, z_spec : Tensor
        Estimates and true redshifts, (B,).
    norm : str
        What n is.  ``spec``: 1 + z_spec (Tanaka et al. 2018).  ``phot``: 1 + z_phot (paper 002,
        Eq. 1; released code for photometry alone).  ``none``: 1 (released code for images).

    Returns
    -------
    Tensor
        Loss of each object, (B,), float32, from 0 to 1.

    Notes
    -----
    Under ``phot`` a z_phot below 0 counts as 0 in n.  Every redshift that can be is left as in
    Eq. 1; without it, the loss would fall from 1 towards 0.978 the further an estimate goes below
    -1, and a network that starts there would not come back.  Upwards the limit is 0.978 too, below
    the 1 of the other side: of two equal errors the one to high redshift is the cheaper.
    """
    z_phot, z_spec = z_phot.float(), z_spec.float()
    difference = (z_phot - z_spec).square()
    return difference / (difference + (GAMMA * _norm(z_phot, z_spec, norm)).square())


def point_loss(z_phot: Tensor, z_spec: Tensor, *, loss: Loss, norm: Norm) -> Tensor:
    """Return the mean loss of a batch, a scalar in float32; ``norm`` is of ``tanaka`` only."""
    if loss == "tanaka":
        return tanaka_loss(z_phot, z_spec, norm).mean()
    difference = z_phot.float() - z_spec.float()
    return difference.abs().mean() if loss == "mae" else difference.square().mean()


def _norm(z_phot: Tensor, z_spec: Tensor, norm: Norm) -> Tensor:
    if norm == "phot":
        return 1 + z_phot.clamp_min(0)
    return 1 + z_spec if norm == "spec" else torch.ones_like(z_spec)
