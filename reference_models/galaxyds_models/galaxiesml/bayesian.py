"""The Bayesian network of Jones et al. (2024): a redshift and what is not known of it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from galaxyds_models.estimator import Batch, Estimator, Facts, Outputs, full_precision
from galaxyds_models.galaxiesml.layers import glorot
from galaxyds_models.galaxiesml.variational import VariationalDense

_NARROWEST = 1e-4
"""Added to the deviation of an answer: narrower than any spectroscopic redshift error."""


@dataclass(frozen=True, kw_only=True, slots=True)
class BnnConfig:
    """Bayesian network of magnitudes.

    Attributes
    ----------
    hidden : tuple of int
        Widths of the variational layers.
    spread, rho : float
        Of :class:`~galaxyds_models.galaxiesml.variational.VariationalDense`.
    samples : int
        Draws of the weights that an answer is the mean of, when not training.
    """

    hidden: tuple[int, ...] = (200, 200, 200, 200)
    spread: float = 1e-3
    rho: float = -3.0
    samples: int = 64


class BayesianNetwork(Estimator):
    """The photometry network with variational layers and a normal distribution as its answer.

    Takes ``magnitudes`` (B, filters).  In training one draw of the weights serves a batch, as in
    ``DenseVariational``; else ``samples`` draws do.  Draws come from torch's generator: after the
    same ``torch.manual_seed`` the same batches get the same answers.

    Parameters
    ----------
    config : BnnConfig
        Widths, posterior, draws.
    facts : Facts
        Names the filters, and counts the objects that the divergence is shared by.
    """

    def __init__(self, config: BnnConfig, facts: Facts) -> None:
        super().__init__()
        filters = len(facts.filters)
        self.samples = config.samples
        self.objects = max(facts.objects, 1)
        self.hidden = nn.ModuleList(
            VariationalDense(before, width, spread=config.spread, rho=config.rho)
            for before, width in pairwise((filters, *config.hidden))
        )
        self.head = glorot(nn.Linear(filters + config.hidden[-1], 2))

    def forward(self, batch: Batch) -> Outputs:
        """Return ``mean`` and ``scale`` of each draw (B, draws), and ``kl``, a scalar, in nats."""
        with full_precision(batch["magnitudes"]):
            x = batch["magnitudes"].float().expand(1 if self.training else self.samples, -1, -1)
            hidden = x
            for layer in self.hidden:
                hidden = torch.relu(layer(hidden))
            mean, scale = self.head(torch.cat((x, hidden), dim=2)).movedim(0, 1).unbind(2)
            return {"mean": mean, "scale": softplus(scale) + _NARROWEST, "kl": self.divergence()}

    def divergence(self) -> Tensor:
        """Return the divergence of all layers from their priors, in nats, a scalar."""
        terms = [layer.kl() for layer in self.hidden if isinstance(layer, VariationalDense)]
        return torch.stack(terms).sum()

    def objective(self, outputs: Outputs, batch: Batch) -> dict[str, Tensor]:
        """Return the negative evidence lower bound per object, and its two terms, in nats."""
        mean, scale = outputs["mean"].float(), outputs["scale"].float()
        pull = (batch["redshift"].float()[:, None] - mean) / scale
        nll = (pull.square() / 2 + scale.log()).mean() + math.log(2 * math.pi) / 2
        kl = outputs["kl"].float() / self.objects
        return {"loss": nll + kl, "nll": nll, "kl": kl}

    def estimates(self, outputs: Outputs) -> dict[str, Tensor]:
        """Return ``z``, ``sigma`` and the parts of its square, each (B,).

        The answer is the mixture of the draws: ``sigma_aleatoric`` squared is the mean of their
        variances, ``sigma_epistemic`` squared the variance of their means, and both add up.
        """
        mean, scale = outputs["mean"].float(), outputs["scale"].float()
        aleatoric, epistemic = scale.square().mean(1), mean.var(1, correction=0)
        return {
            "z": mean.mean(1),
            "sigma": (aleatoric + epistemic).sqrt(),
            "sigma_aleatoric": aleatoric.sqrt(),
            "sigma_epistemic": epistemic.sqrt(),
        }
