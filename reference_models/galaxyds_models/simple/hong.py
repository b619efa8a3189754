"""The photometric half of Hong et al. (2023): a multilayer perceptron of 1,057 parameters."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from galaxyds_models.estimator import Batch, Facts, Outputs, full_precision
from galaxyds_models.galaxiesml.layers import glorot, perceptron
from galaxyds_models.galaxiesml.losses import Loss, Norm
from galaxyds_models.galaxiesml.point import PointEstimator


@dataclass(frozen=True, kw_only=True, slots=True)
class HongConfig:
    """Perceptron of magnitudes, colours and errors.

    Attributes
    ----------
    loss, norm : str
        See :func:`~galaxyds_models.galaxiesml.losses.point_loss`.
    hidden : tuple of int
        Widths of the dense layers, with ReLU.
    """

    loss: Loss = "mae"
    norm: Norm = "spec"
    hidden: tuple[int, ...] = (32, 16)


class HongNetwork(PointEstimator):
    """Dense layers on three columns per filter (``3 single-modal photo-z by ANN.ipynb``).

    Takes ``magnitudes`` and ``errors`` (B, filters) and ``colors`` (B, filters - 1).  The fifth
    colour of the notebook is the first magnitude less the last, as the row that it prints shows;
    here it is the difference of the scaled magnitudes.

    Parameters
    ----------
    config : HongConfig
        Widths and loss.
    facts : Facts
        Names the filters.
    """

    def __init__(self, config: HongConfig, facts: Facts) -> None:
        super().__init__(config)
        self.hidden = perceptron(3 * len(facts.filters), config.hidden, nn.ReLU)
        self.head = glorot(nn.Linear(config.hidden[-1], 1))

    def forward(self, batch: Batch) -> Outputs:
        """Return ``z`` (B,)."""
        magnitudes = batch["magnitudes"].float()
        widest = magnitudes[:, :1] - magnitudes[:, -1:]
        columns = (magnitudes, batch["colors"].float(), widest, batch["errors"].float())
        with full_precision(magnitudes):
            z = self.head(self.hidden(torch.cat(columns, dim=1)))
        return {"z": z.squeeze(1)}
