"""From latent features to redshifts: fully connected layers, losses, point estimates."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from galaxyds_models.estimator import Outputs
from galaxyds_models.multimodal.config import HeadConfig, Residual
from galaxyds_models.multimodal.layers import dense
from galaxyds_models.redshift_grid import RedshiftGrid


def choose_grid(redshift_range: tuple[float, float]) -> RedshiftGrid:
    """Bins for a range of redshifts.

    180 on [0, 0.4] (Pasquet et al. 2019) or 1000 on [0, 4] (Lin et al. 2022, CFHTLS), the first
    that holds the highest redshift.  Beyond, 1500 of the same width on [0, 6]: paper 003 does not
    state its bins for HSC, whose surveys reach z = 6 (Table 1).
    """
    grids = (
        RedshiftGrid(low=0.0, high=0.4, bins=180),
        RedshiftGrid(low=0.0, high=4.0, bins=1000),
        RedshiftGrid(low=0.0, high=6.0, bins=1500),
    )
    # A range that was computed in float32 may end a rounding error above its grid.
    return next((grid for grid in grids if redshift_range[1] <= grid.high + 1e-6), grids[-1])


def residual_loss(predicted: Tensor, redshift: Tensor, kind: Residual) -> Tensor:
    """Loss of the regression (paper 003, App. A), a scalar, of redshifts (B,)."""
    residual = predicted - redshift
    if kind == "mae":
        return residual.abs().mean()
    if kind == "nmae":
        return (residual.abs() / (1 + redshift)).mean()
    # The gradient of a root is infinite at 0.
    return residual.square().mean().clamp_min(torch.finfo(residual.dtype).tiny).sqrt()


def class_loss(logits: Tensor, redshift: Tensor, grid: RedshiftGrid) -> Tensor:
    """Cross-entropy of the bin that holds each redshift, a float32 scalar."""
    return functional.cross_entropy(logits.float(), grid.classes(redshift))


def pdf_estimates(logits: Tensor, grid: RedshiftGrid) -> dict[str, Tensor]:
    """``z_median``, ``z_mean``, ``z_mode`` (B,) and ``pdf`` (B, bins) in float32."""
    pdf = logits.float().softmax(-1)
    return {
        "pdf": pdf,
        "z_median": grid.median(pdf),
        "z_mean": grid.mean(pdf),
        "z_mode": grid.mode(pdf),
    }


class RedshiftHead(nn.Module):
    """Two hidden layers, then classes, a redshift, or both.

    Parameters
    ----------
    inputs : int
        Features, E(B-V) among them.
    hidden : int
        Units of both hidden layers.
    config : HeadConfig
        What is learnt; with a grid.
    """

    def __init__(self, inputs: int, hidden: int, config: HeadConfig) -> None:
        super().__init__()
        self.first = dense(inputs, hidden)
        self.second = dense(hidden, hidden)
        bins = config.grid.bins if config.grid is not None else 0
        self.classify = dense(hidden, bins) if config.targets != "regression" else None
        self.regress = dense(hidden, 1) if config.targets != "classification" else None

    def forward(self, features: Tensor) -> Outputs:
        """Return ``logits`` (B, bins) and ``redshift`` (B,), where there are such layers."""
        x = functional.relu(self.second(functional.relu(self.first(features))))
        outputs: Outputs = {}
        if self.classify is not None:
            outputs["logits"] = self.classify(x)
        if self.regress is not None:
            outputs["redshift"] = self.regress(x).squeeze(-1)
        return outputs
