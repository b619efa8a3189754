"""The multi-layer perceptron that every part but the ResNet is made of."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

from torch import nn

Norm = Literal["none", "input", "every"]


def mlp(
    widths: Sequence[int], *, norm: Norm = "none", slope: float = 0.2, activate: bool = False
) -> nn.Sequential:
    """Linear layers with leaky ReLUs between them.

    Parameters
    ----------
    widths : sequence of int
        Features that enter, of each hidden layer, and that leave.
    norm : str
        Batch normalisation before the first linear layer (``input``), before each (``every``), or
        nowhere.
    slope : float
        Of the activation below zero; 0 is the ReLU.
    activate : bool
        Also after the last layer.
    """
    parts: list[nn.Module] = []
    for index, (entering, leaving) in enumerate(pairwise(widths)):
        if norm == "every" or (norm == "input" and index == 0):
            parts.append(nn.BatchNorm1d(entering))
        parts += [nn.Linear(entering, leaving), nn.LeakyReLU(slope)]
    return nn.Sequential(*(parts if activate else parts[:-1]))
