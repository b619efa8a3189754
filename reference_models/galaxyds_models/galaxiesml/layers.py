"""Layers that start as Keras starts them, and photometry that stays in 32 bits."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor, nn


def full_precision(x: Tensor) -> AbstractContextManager[object]:
    """Return a context without autocast on the device of ``x``.

    Magnitudes near 22 are 0.125 mag apart in bfloat16, redshifts near 1 are 0.008 apart: neither
    may go through it.
    """
    if x.device.type == "meta":
        return nullcontext()
    return torch.autocast(x.device.type, enabled=False)


def glorot(layer: nn.Linear | nn.Conv2d) -> nn.Module:
    """Draw weights as Glorot and Bengio (2010), uniform, and zero the biases, as Keras does."""
    nn.init.xavier_uniform_(layer.weight)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer


def perceptron(
    inputs: int, widths: Sequence[int], activation: Callable[[], nn.Module]
) -> nn.Sequential:
    """Chain dense layers, each followed by an activation: (B, inputs) to (B, widths[-1])."""
    layers: list[nn.Module] = []
    for before, width in zip((inputs, *widths), widths, strict=False):
        layers += [glorot(nn.Linear(before, width)), activation()]
    return nn.Sequential(*layers)
