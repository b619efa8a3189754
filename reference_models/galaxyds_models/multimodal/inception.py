"""Inception blocks in parallel, and their cross-fusion (paper 003, Sect. 3.2 and 4.3)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from galaxyds_models.multimodal.config import BlockWidths
from galaxyds_models.multimodal.layers import (
    ConvBank,
    ReluBank,
    join_branches,
    same_pool,
    split_branches,
)


class InceptionBank(nn.Module):
    """Inception blocks of one shape, side by side.

    The output of a block is the concatenation of 1x1 -> 5x5, 1x1 -> 3x3, 1x1 -> average pool and
    1x1, each with a ReLU (Treyer et al. 2024, as in the code published with Lin et al. 2024).
    The four 1x1 convolutions share their input and run as one.

    Parameters
    ----------
    count : int
        Blocks.
    inputs : int
        Channels into each.
    widths : BlockWidths
        Channels within each.
    """

    def __init__(self, count: int, inputs: int, widths: BlockWidths) -> None:
        super().__init__()
        self.count = count
        self.outputs = widths.outputs
        self.pieces = (widths.reduce, widths.reduce, widths.reduce, widths.direct)
        self.reduce = ConvBank(count, inputs, self.pieces, kernel=1)
        self.five = ConvBank(count, widths.reduce, (widths.kernels,), kernel=5)
        self.three = ConvBank(count, widths.reduce, (widths.kernels,), kernel=3)

    def forward(self, x: Tensor, branch: int | None = None) -> Tensor:
        """Map (B, count * inputs, r, c) to (B, count * outputs, r, c), or one block's share."""
        count = self.count if branch is None else 1
        reduced = functional.relu(self.reduce(x, branch))
        for_five, for_three, for_pool, direct = split_branches(reduced, count, self.pieces)
        five = functional.relu(self.five(for_five, branch))
        three = functional.relu(self.three(for_three, branch))
        return join_branches((five, three, same_pool(for_pool), direct), count)


class Cross(nn.Module):
    """Cross-fusion of n modalities of one size.

    Our reading of Sect. 4.3, which gives no sizes: n inception blocks side by side, each of which
    processes the n modalities one by one with the same weights; all n * n results pass one common
    1x1 convolution with a ReLU, which narrows each to 1/n so that their concatenation is about as
    wide as the concatenation of the modalities.  It counts as one of the eight blocks.

    Parameters
    ----------
    count : int
        Modalities.
    inputs : int
        Channels of each.
    widths : BlockWidths
        Channels within each block.
    """

    def __init__(self, count: int, inputs: int, widths: BlockWidths) -> None:
        super().__init__()
        self.count = count
        self.blocks = InceptionBank(count, inputs, widths)
        self.narrow = ReluBank(1, self.blocks.outputs, (max(1, widths.outputs // count),), kernel=1)
        self.outputs = count * count * self.narrow.outputs

    def forward(self, x: Tensor, grouped: bool) -> Tensor:
        """Map (B, n * inputs, r, c) to (B, outputs, r, c)."""
        each = split_branches(x, 1, [x.shape[1] // self.count] * self.count)
        return torch.cat([self._one(modality, grouped) for modality in each], 1)

    def _one(self, modality: Tensor, grouped: bool) -> Tensor:
        if grouped:
            crossed = self.blocks(modality.repeat(1, self.count, 1, 1))
            maps = crossed.split(self.blocks.outputs, 1)
        else:
            maps = tuple(self.blocks(modality, branch) for branch in range(self.count))
        return torch.cat([self.narrow(one) for one in maps], 1)
