"""The two networks of Do et al. (2024): photometry alone, and images beside it.

Paper 002, Sect. 11, with what it leaves open from the released training scripts.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn

from galaxyds.errors import UsageError
from galaxyds_models.estimator import Batch, Facts, Outputs, full_precision
from galaxyds_models.galaxiesml.layers import glorot, perceptron
from galaxyds_models.galaxiesml.losses import Loss, Norm
from galaxyds_models.galaxiesml.point import PointEstimator


@dataclass(frozen=True, kw_only=True, slots=True)
class NnConfig:
    """Network of magnitudes.

    Attributes
    ----------
    loss, norm : str
        See :func:`~galaxyds_models.galaxiesml.losses.point_loss`.
    hidden : tuple of int
        Widths of the dense layers.
    """

    loss: Loss = "tanaka"
    norm: Norm = "phot"
    hidden: tuple[int, ...] = (200, 200, 200, 200)


@dataclass(frozen=True, kw_only=True, slots=True)
class CnnConfig:
    """Hybrid network of images and magnitudes.

    Attributes
    ----------
    loss, norm : str
        See :func:`~galaxyds_models.galaxiesml.losses.point_loss`.
    stages : tuple of int
        Channels of the 3x3 convolutions that a tanh and a 2x2 maximum follow.
    top : tuple of int
        Channels of the 3x3 convolutions behind them, each with a ReLU.
    dense : tuple of int
        Widths of the dense layers with tanh that follow.
    photometry : tuple of int
        Widths of the dense layers of the magnitudes, with ReLU.
    """

    loss: Loss = "tanaka"
    norm: Norm = "phot"
    stages: tuple[int, ...] = (32, 64, 128, 256, 256)
    top: tuple[int, ...] = (512, 512)
    dense: tuple[int, ...] = (512, 128, 32)
    photometry: tuple[int, ...] = (200, 200, 200, 200, 200, 200)


class PhotometryNetwork(PointEstimator):
    """Four dense layers on magnitudes; the last one sees the magnitudes again (``train_nn.py``).

    Takes ``magnitudes`` (B, filters); 122,006 parameters with five filters.

    Parameters
    ----------
    config : NnConfig
        Widths and loss.
    facts : Facts
        Names the filters.
    """

    def __init__(self, config: NnConfig, facts: Facts) -> None:
        super().__init__(config)
        filters = len(facts.filters)
        self.hidden = perceptron(filters, config.hidden, nn.ReLU)
        self.head = glorot(nn.Linear(filters + config.hidden[-1], 1))

    def forward(self, batch: Batch) -> Outputs:
        """Return ``z`` (B,)."""
        with full_precision(batch["magnitudes"]):
            x = batch["magnitudes"].float()
            z = self.head(torch.cat((x, self.hidden(x)), dim=1))
        return {"z": z.squeeze(1)}


class HybridNetwork(PointEstimator):
    """Convolutions on the image, dense layers on the magnitudes, joined for the last one.

    Takes ``image`` (B, bands, S, S) and ``magnitudes`` (B, filters); 7,151,073 parameters with five
    of each and S = 127.  The convolutions and their dense layers may run under autocast, the
    photometry and the redshift stay in 32 bits.

    Parameters
    ----------
    config : CnnConfig
        Widths and loss.
    facts : Facts
        Names bands and filters, and gives S.

    Raises
    ------
    UsageError
        If the images are too small to be halved by every stage.
    """

    def __init__(self, config: CnnConfig, facts: Facts) -> None:
        super().__init__(config)
        side = facts.size >> len(config.stages)  # each 2x2 maximum drops an odd last row
        if side < 1:
            least = 1 << len(config.stages)
            raise UsageError(
                f"images of {facts.size} pixels are too small for {len(config.stages)} stages: "
                f"choose a dataset of {least} pixels or more, or a config with fewer stages",
                size=facts.size,
            )
        self.convolutions = _convolutions(len(facts.bands), config)
        last = (*config.stages, *config.top)[-1]
        self.dense = perceptron(last * side * side, config.dense, nn.Tanh)
        self.photometry = perceptron(len(facts.filters), config.photometry, nn.ReLU)
        self.head = glorot(nn.Linear(config.dense[-1] + config.photometry[-1], 1))

    def forward(self, batch: Batch) -> Outputs:
        """Return ``z`` (B,)."""
        features: Tensor = self.dense(self.convolutions(batch["image"]).flatten(1))
        with full_precision(features):
            colours = self.photometry(batch["magnitudes"].float())
            z = self.head(torch.cat((features.float(), colours), dim=1))
        return {"z": z.squeeze(1)}


def _convolutions(bands: int, config: CnnConfig) -> nn.Sequential:
    layers: list[nn.Module] = []
    for before, channels in pairwise((bands, *config.stages)):
        layers += [_convolution(before, channels), nn.Tanh(), nn.MaxPool2d(2)]
    for before, channels in pairwise((config.stages[-1], *config.top)):
        layers += [_convolution(before, channels), nn.ReLU()]
    return nn.Sequential(*layers)


def _convolution(before: int, channels: int) -> nn.Module:
    return glorot(nn.Conv2d(before, channels, kernel_size=3, padding=1))
