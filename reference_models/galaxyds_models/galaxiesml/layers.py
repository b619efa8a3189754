"""Layers that start as Keras starts them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import nn


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
