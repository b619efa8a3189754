"""From features to redshift: a number with the mean square error, or a mixture with the CRPS."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional

from galaxyds_models.crossmodal.config import CrossModalConfig
from galaxyds_models.crossmodal.layers import Norm, mlp
from galaxyds_models.crossmodal.mixture import Mixture
from galaxyds_models.estimator import Facts
from galaxyds_models.redshift_grid import RedshiftGrid

PDF_BINS = 400
"""Of the PDFs that are handed out: 0.01 in redshift on [1, 5]."""


class RedshiftHead(Protocol):
    """What both heads can do; ``raw`` is what the head returned, (B, outputs)."""

    def __call__(self, photometry: Tensor, image: Tensor) -> Tensor:
        """From features, twice (B, F), to ``raw``."""

    def loss(self, raw: Tensor, redshift: Tensor) -> Tensor:
        """Mean loss, float32 scalar."""

    def point(self, raw: Tensor) -> Tensor:
        """Point estimate, float32 (B,)."""

    def describe(self, raw: Tensor) -> dict[str, Tensor]:
        """What there is beside the point estimate: ``sigma``, ``pdf``."""

    def edges(self) -> Tensor | None:
        """Bin edges of ``pdf``."""


class PointHead(nn.Module):
    """Redshift as one number (paper 000, Eq. 6 and 10).

    The last layer has no activation, where the authors' later code has a ReLU, which can die and
    cannot be right below zero; its bias starts in the middle of the redshift range.

    Parameters
    ----------
    features : int
        F.
    norm, slope
        As in :func:`~galaxyds_models.crossmodal.layers.mlp`.
    redshift_range : tuple of float
        Lowest and highest redshift.
    """

    def __init__(
        self, features: int, *, norm: Norm, slope: float, redshift_range: tuple[float, float]
    ) -> None:
        super().__init__()
        self.layers = mlp((*_widths(features), 1), norm=norm, slope=slope)
        _start_at(self.layers, torch.tensor([sum(redshift_range) / 2]))

    def forward(self, photometry: Tensor, image: Tensor) -> Tensor:
        """From features, twice (B, F), to (B, 1)."""
        raw: Tensor = self.layers(torch.cat((photometry, image), -1))
        return raw

    def loss(self, raw: Tensor, redshift: Tensor) -> Tensor:
        """Mean square error, Eq. 10."""
        return functional.mse_loss(self.point(raw), redshift.float())

    def point(self, raw: Tensor) -> Tensor:
        """Redshift, float32 (B,)."""
        return raw.float().squeeze(-1)

    def describe(self, raw: Tensor) -> dict[str, Tensor]:
        """Nothing."""
        return {}

    def edges(self) -> Tensor | None:
        """None: there is no PDF."""
        return None


class MixtureHead(nn.Module):
    """Redshift as a mixture of Gaussians, trained on its CRPS, as the authors' later code means to.

    Parameters
    ----------
    features : int
        F.
    components : int
        Gaussians; their means start spread over the redshift range.
    norm, slope
        As in :func:`~galaxyds_models.crossmodal.layers.mlp`.
    redshift_range : tuple of float
        Lowest and highest redshift, also of the PDF's bins.
    """

    def __init__(
        self,
        features: int,
        components: int,
        *,
        norm: Norm,
        slope: float,
        redshift_range: tuple[float, float],
    ) -> None:
        super().__init__()
        self.grid = RedshiftGrid(low=redshift_range[0], high=redshift_range[1], bins=PDF_BINS)
        self.layers = mlp((*_widths(features), 3 * components), norm=norm, slope=slope)
        means = torch.linspace(*redshift_range, components + 2)[1:-1]
        _start_at(self.layers, torch.cat((means, torch.zeros(2 * components))))

    def forward(self, photometry: Tensor, image: Tensor) -> Tensor:
        """From features, twice (B, F), to (B, 3 components)."""
        raw: Tensor = self.layers(torch.cat((photometry, image), -1))
        return raw

    def loss(self, raw: Tensor, redshift: Tensor) -> Tensor:
        """Mean CRPS of the mixture, in redshift."""
        return Mixture.of(raw).crps(redshift.float()).mean()

    def point(self, raw: Tensor) -> Tensor:
        """Mean of each PDF, float32 (B,)."""
        return Mixture.of(raw).expectation()

    def describe(self, raw: Tensor) -> dict[str, Tensor]:
        """Deviation (B,) and probabilities of bins (B, 400) of each PDF."""
        mixture = Mixture.of(raw)
        edges = self.grid.edges().to(raw.device)
        return {"sigma": mixture.deviation(), "pdf": mixture.probabilities(edges)}

    def edges(self) -> Tensor | None:
        """Bin edges of ``pdf``, (401,)."""
        return self.grid.edges()


def redshift_head(config: CrossModalConfig, facts: Facts) -> PointHead | MixtureHead:
    """Return the head that a config asks for."""
    if config.components:
        return MixtureHead(
            config.features,
            config.components,
            norm=config.norm,
            slope=config.slope,
            redshift_range=facts.redshift_range,
        )
    return PointHead(
        config.features,
        norm=config.norm,
        slope=config.slope,
        redshift_range=facts.redshift_range,
    )


def _widths(features: int) -> tuple[int, ...]:
    """Both features, then a quarter, a sixteenth and a thirty-second of them: 512, 128, 32, 16."""
    both = 2 * features
    return both, max(both // 4, 4), max(both // 16, 4), max(both // 32, 4)


def _start_at(layers: nn.Sequential, value: Tensor) -> None:
    last = layers[-1]
    if isinstance(last, nn.Linear):
        with torch.no_grad():
            last.bias.copy_(value)
