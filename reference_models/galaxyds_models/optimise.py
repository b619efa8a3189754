"""Optimisers and learning rates, as recipes name them."""

from __future__ import annotations

import math

import torch
from torch import nn

from galaxyds_models.recipe import Optimiser, Recipe, Schedule


def make_optimiser(network: nn.Module, chosen: Optimiser) -> torch.optim.Optimizer:
    """Make the optimiser that a recipe names, fused where torch has it."""
    fused = next(network.parameters()).device.type in ("cuda", "cpu")
    parameters = [p for p in network.parameters() if p.requires_grad]
    if chosen.kind == "sgd":
        return torch.optim.SGD(
            parameters,
            lr=chosen.lr,
            momentum=chosen.momentum,
            weight_decay=chosen.weight_decay,
            fused=fused,
        )
    kind = torch.optim.AdamW if chosen.kind == "adamw" else torch.optim.Adam
    return kind(
        parameters,
        lr=chosen.lr,
        betas=chosen.betas,
        weight_decay=chosen.weight_decay,
        amsgrad=chosen.amsgrad,
        fused=fused,
    )


def set_rate(optimiser: torch.optim.Optimizer, recipe: Recipe, done: float) -> None:
    """Set the learning rate for the share of the training that is done."""
    for group in optimiser.param_groups:
        group["lr"] = recipe.optimiser.lr * rate_factor(recipe.schedule, done)


def rate_factor(schedule: Schedule, done: float) -> float:
    """Factor of the learning rate, from the share of the training that is done (0 to 1)."""
    if schedule.warmup and done < schedule.warmup:
        return (done + 1e-3) / (schedule.warmup + 1e-3)  # the first step is not lost
    left = (1 - done) / (1 - schedule.warmup)
    if schedule.kind == "steps":
        return math.prod(schedule.factor for place in schedule.at if done >= place)
    if schedule.kind == "cosine":
        return 0.5 * (1 - math.cos(math.pi * left))
    return left if schedule.kind == "one-cycle" else 1.0
