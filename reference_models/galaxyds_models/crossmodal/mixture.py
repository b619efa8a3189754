"""Mixtures of Gaussians as redshift PDFs: CRPS, moments, probabilities of bins."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

SIGMA_FLOOR = 1e-3
"""Smallest deviation of a component; the redshift error that paper 000 admits."""


class Mixture(NamedTuple):
    """Components of each object's PDF.

    Attributes
    ----------
    weight, mean, sigma : Tensor
        (B, components); weights sum to 1, deviations are positive, both in redshift.
    """

    weight: Tensor
    mean: Tensor
    sigma: Tensor

    @classmethod
    def of(cls, raw: Tensor) -> Mixture:
        """Read (B, 3 components) outputs of a network: means, deviations, weights; in float32."""
        mean, sigma, weight = raw.float().chunk(3, -1)
        return cls(weight.softmax(-1), mean, functional.softplus(sigma) + SIGMA_FLOOR)

    def expectation(self) -> Tensor:
        """Mean of each PDF, (B,)."""
        return (self.weight * self.mean).sum(-1)

    def deviation(self) -> Tensor:
        """Standard deviation of each PDF, (B,)."""
        offset = self.mean - self.expectation()[:, None]
        return (self.weight * (self.sigma.square() + offset.square())).sum(-1).sqrt()

    def probabilities(self, edges: Tensor) -> Tensor:
        """Probabilities (B, bins) between edges (bins + 1,); the first and last bin are open."""
        standard = (edges[1:-1, None] - self.mean[:, None]) / self.sigma[:, None]
        inside = (self.weight[:, None] * _normal_cdf(standard)).sum(-1)
        cumulative = functional.pad(functional.pad(inside, (1, 0)), (0, 1), value=1.0)
        return cumulative.diff(dim=-1).clamp_min(0)

    def crps(self, redshift: Tensor) -> Tensor:
        """Continuous ranked probability score of each object, (B,); Grimit et al. (2006).

        sum_i w_i A(z - mu_i, s_i^2) - 1/2 sum_ij w_i w_j A(mu_i - mu_j, s_i^2 + s_j^2).  The
        authors' code of 2024 sums the scores of the components, which is an upper bound.
        """
        near = _absolute(redshift[:, None] - self.mean, self.sigma)
        offset = self.mean[:, :, None] - self.mean[:, None]
        sigma = torch.hypot(self.sigma[:, :, None], self.sigma[:, None])
        spread = torch.einsum("bi,bij,bj->b", self.weight, _absolute(offset, sigma), self.weight)
        return (self.weight * near).sum(-1) - spread / 2


def _absolute(mean: Tensor, sigma: Tensor) -> Tensor:
    """Return E|X| of a normal X: A(mean, sigma^2) = 2 s phi(m/s) + m (2 Phi(m/s) - 1)."""
    x = mean / sigma
    density = torch.exp(-x.square() / 2) / math.sqrt(2 * math.pi)
    return 2 * sigma * density + mean * torch.erf(x / math.sqrt(2))


def _normal_cdf(x: Tensor) -> Tensor:
    return (1 + torch.erf(x / math.sqrt(2))) / 2
