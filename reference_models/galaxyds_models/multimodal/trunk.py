"""The body of the networks of paper 003: modalities in parallel, fusion, common part (Fig. 1)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor, nn

from galaxyds.errors import UsageError
from galaxyds_models.multimodal.config import PlainWidths, Widths
from galaxyds_models.multimodal.inception import Cross, InceptionBank
from galaxyds_models.multimodal.layers import ReluBank, Stem, concatenate, halve
from galaxyds_models.multimodal.modalities import Modality


class MakeBlock(Protocol):
    """Makes ``count`` blocks side by side; ``bands`` of a modality, None in the common part."""

    def __call__(self, count: int, inputs: int, bands: int | None) -> InceptionBank | ReluBank:
        """Make them, each with so many channels into it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Design:
    """What tells the networks of the paper apart.

    Attributes
    ----------
    depth, parallel : int
        Blocks in all, and before the fusion.
    pooled : tuple of int
        Blocks before which images are halved; ``depth`` is after the last.
    stem : tuple of int
        Channels of the first two convolutions, per band.
    widths : Widths or PlainWidths
        Scales them; its ``tail`` and ``hidden`` are used as they are.
    block : callable
        Makes a block.
    cross : callable or None
        Makes the cross-fusion that is the first common block, of so many modalities with so many
        channels and bands each.
    """

    depth: int
    parallel: int
    pooled: tuple[int, ...]
    stem: tuple[int, int]
    widths: Widths | PlainWidths
    block: MakeBlock
    cross: Callable[[int, int, int], Cross] | None = None


class Branches(nn.Module):
    """Parallel part of the modalities of one size.

    Parameters
    ----------
    channels : sequence of tuple of int
        Channels of the image that each modality sees.
    bands : int
        Channels of the image.
    design : Design
        The network.
    """

    def __init__(self, channels: Sequence[tuple[int, ...]], bands: int, design: Design) -> None:
        super().__init__()
        self.count, size = len(channels), len(channels[0])
        self.pooled = design.pooled
        conv1, conv2 = (design.widths.of(width, size) for width in design.stem)
        self.stem = Stem(channels, bands, conv1=conv1, conv2=conv2)
        self.blocks = nn.ModuleList()
        self.outputs = conv2
        for _ in range(design.parallel):
            block = design.block(self.count, self.outputs, size)
            self.blocks.append(block)
            self.outputs = block.outputs

    def forward(self, image: Tensor, grouped: bool) -> Tensor:
        """Return (B, modalities * outputs, r, c)."""
        if grouped:
            return self._run(image, None)
        return concatenate([self._run(image, branch) for branch in range(self.count)])

    def _run(self, image: Tensor, branch: int | None) -> Tensor:
        x: Tensor = self.stem(image, branch)
        for index, block in enumerate(self.blocks):
            x = block(halve(x, self.pooled.count(index)), branch)
        return x


class Common(nn.Module):
    """Everything between the fusion and the latent features.

    Parameters
    ----------
    inputs : int
        Channels of all modalities together.
    groups : sequence of sequence of modalities
        Those of each size.
    design : Design
        The network.
    """

    def __init__(self, inputs: int, groups: Sequence[Sequence[Modality]], design: Design) -> None:
        super().__init__()
        self.start, self.depth, self.pooled = design.parallel, design.depth, design.pooled
        self.cross = _cross(inputs, groups, design)
        channels = inputs if self.cross is None else self.cross.outputs
        self.blocks = nn.ModuleList()
        for _ in range(design.depth - design.parallel - int(self.cross is not None)):
            block = design.block(1, channels, None)
            self.blocks.append(block)
            channels = block.outputs
        self.tail = nn.ModuleList()
        self.outputs = design.widths.of(design.widths.tail)
        for _ in range(3):
            self.tail.append(ReluBank(1, channels, (self.outputs,), kernel=3, padding=0))
            channels = self.outputs

    def forward(self, x: Tensor, grouped: bool) -> Tensor:
        """Map (B, inputs, r, c) to latent features (B, outputs)."""
        index = self.start
        if self.cross is not None:
            x = self.cross(halve(x, self.pooled.count(index)), grouped)
            index += 1
        for block in self.blocks:
            x = block(halve(x, self.pooled.count(index)))
            index += 1
        x = halve(x, self.pooled.count(self.depth))
        for layer in self.tail:
            x = layer(x)
        return x.mean((2, 3))  # of 64-pixel images the 2x2 average pool of Fig. 1


def _cross(inputs: int, groups: Sequence[Sequence[Modality]], design: Design) -> Cross | None:
    if design.cross is None:
        return None
    if len(groups) != 1:
        raise UsageError(
            f"cross-fusion of modalities of {len(groups)} sizes: its blocks take one; "
            "merge by concatenation"
        )
    count = len(groups[0])
    return design.cross(count, inputs // count, len(groups[0][0]))
