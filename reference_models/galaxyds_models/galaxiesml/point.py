"""What networks with one redshift per object have in common."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor

from galaxyds_models.estimator import Batch, Estimator, Outputs
from galaxyds_models.galaxiesml.losses import Loss, Norm, point_loss


class PointConfig(Protocol):
    """A config that names its loss."""

    @property
    def loss(self) -> Loss:
        """Loss of a point estimate."""

    @property
    def norm(self) -> Norm:
        """Normalisation of the Tanaka loss."""


class PointEstimator(Estimator):
    """A network whose ``forward`` gives ``z``, float32 (B,), and nothing else.

    Parameters
    ----------
    config : PointConfig
        Which loss it is trained with.
    """

    def __init__(self, config: PointConfig) -> None:
        super().__init__()
        self.loss: Loss = config.loss
        self.norm: Norm = config.norm

    def objective(self, outputs: Outputs, batch: Batch) -> dict[str, Tensor]:
        """Return the mean loss of the batch."""
        value = point_loss(outputs["z"], batch["redshift"], loss=self.loss, norm=self.norm)
        return {"loss": value}

    def estimates(self, outputs: Outputs) -> dict[str, Tensor]:
        """Return ``z`` (B,), float32."""
        return {"z": outputs["z"].float()}
