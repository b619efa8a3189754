"""The adversarial game of paper 000: two discriminators of modality behind a gradient reversal.

"They have opposite gradient propagation based on the adversarial loss" (Sect. 3.1) is read as the
gradient reversal of Ganin & Lempitsky (2015), for real and for generated features: one loss, one
optimiser, one step.  The authors' later code does the same.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from galaxyds_models.crossmodal.layers import Norm, mlp

REAL, GENERATED = 1, 0
"""Classes of the discriminators."""


class _Reversal(torch.autograd.Function):
    """Identity forward; backward the gradient times ``-strength``."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, strength: float) -> Tensor:
        ctx.strength = strength
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return -ctx.strength * gradient, None


def reverse_gradient(x: Tensor, strength: float = 1.0) -> Tensor:
    """Return ``x``; its gradient arrives reversed and multiplied by ``strength``."""
    reversed_: Tensor = _Reversal.apply(x, strength)  # type: ignore[no-untyped-call]
    return reversed_


class Discriminator(nn.Module):
    """Tells real features of one modality from generated ones (paper 000, Eq. 7).

    Its parameters descend the loss of its answers; whatever made the features ascends it.

    Parameters
    ----------
    features : int
        F; hidden layers have F / 4 and F / 16, as in the authors' later code.
    norm, slope
        As in :func:`~galaxyds_models.crossmodal.layers.mlp`.
    strength : float
        Of the reversal.
    """

    def __init__(self, features: int, *, norm: Norm, slope: float, strength: float = 1.0) -> None:
        super().__init__()
        self.strength = strength
        self.layers = mlp(
            (features, max(features // 4, 2), max(features // 16, 2), 2), norm=norm, slope=slope
        )

    def forward(self, real: Tensor, generated: Tensor) -> Tensor:
        """From twice (B, F) to logits (2 B, 2): the real ones, then the generated ones.

        Both go through in one batch: normalised one by one they would have equal means and
        variances, and nothing could be told from those.
        """
        both = torch.cat((real, generated))
        logits: Tensor = self.layers(reverse_gradient(both, self.strength))
        return logits


def modality_loss(logits: Tensor) -> Tensor:
    """Sum of the mean cross-entropies of real and of generated features: one line of Eq. 9.

    Parameters
    ----------
    logits : Tensor
        (2 B, 2) of a :class:`Discriminator`.

    Returns
    -------
    Tensor
        Scalar, float32; 2 ln 2 where nothing can be told.
    """
    real, generated = logits.float().chunk(2)
    return _cross_entropy(real, REAL) + _cross_entropy(generated, GENERATED)


def _cross_entropy(logits: Tensor, label: int) -> Tensor:
    return -functional.log_softmax(logits, -1)[:, label].mean()
