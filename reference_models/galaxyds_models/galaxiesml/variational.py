"""A dense layer with a distribution over its weights, in the place of ``DenseVariational``."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

_UNIT = math.log(math.expm1(1.0))
"""softplus of this is 1."""


class VariationalDense(nn.Module):
    """Dense layer whose weights and biases are drawn from independent normal distributions.

    The posterior of a weight is N(mean, (spread softplus(c + rho))^2) with softplus(c) = 1, its
    prior N(m, 1) with m trained too (``posterior_mean_field`` and ``prior_trainable`` of the
    released ``train_nn.py``): 3 (inputs + 1) outputs parameters.

    Parameters
    ----------
    inputs, outputs : int
        Columns before and after.
    spread : float
        Factor of the posterior's deviation; 1e-3 in the released code.
    rho : float
        Where ``rho`` starts, with a scatter of 0.1; -3 in the released code.
    """

    def __init__(
        self, inputs: int, outputs: int, *, spread: float = 1e-3, rho: float = -3.0
    ) -> None:
        super().__init__()
        self.spread = spread
        shape = (outputs, inputs + 1)  # the last column is the bias
        self.mean = nn.Parameter(torch.empty(shape))
        self.rho = nn.Parameter(torch.empty(shape))
        self.prior = nn.Parameter(torch.zeros(shape))
        nn.init.normal_(self.mean, std=0.1)
        nn.init.normal_(self.rho, mean=rho, std=0.1)

    def deviation(self) -> Tensor:
        """Return the standard deviation of each weight, (outputs, inputs + 1)."""
        return self.spread * softplus(_UNIT + self.rho)

    def forward(self, x: Tensor) -> Tensor:
        """Apply one draw of the weights to each set: (draws, B, inputs) to (draws, B, outputs)."""
        noise = torch.randn(len(x), *self.mean.shape, device=x.device)
        weight = self.mean + self.deviation() * noise
        return torch.baddbmm(weight[:, None, :, -1], x, weight[:, :, :-1].mT)

    def kl(self) -> Tensor:
        """Return the divergence of the posterior from the prior, in nats, a scalar."""
        deviation = self.deviation()
        squares = deviation.square() + (self.mean - self.prior).square()
        return (squares / 2 - deviation.log() - 0.5).sum()
