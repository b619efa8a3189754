"""Residual network of bottleneck blocks (He et al. 2016): the image encoder of paper 000, Eq. 4."""

from __future__ import annotations

from collections.abc import Iterator

from torch import Tensor, nn
from torch.nn import functional

EXPANSION = 4
"""Channels that leave a block, per channel inside it (He et al. 2016, Table 1)."""


class Bottleneck(nn.Module):
    """1x1, 3x3 (which carries the stride), 1x1, added to the input.

    Parameters
    ----------
    channels : int
        Of the input.
    width : int
        Of the 3x3 convolution; four times as many channels leave.
    stride : int
        1 or 2.
    """

    def __init__(self, channels: int, width: int, *, stride: int) -> None:
        super().__init__()
        leaving = EXPANSION * width
        self.body = nn.Sequential(
            *_convolution(channels, width, size=1),
            nn.ReLU(inplace=True),
            *_convolution(width, width, size=3, stride=stride),
            nn.ReLU(inplace=True),
            *_convolution(width, leaving, size=1),
        )
        same = stride == 1 and channels == leaving
        self.shortcut = nn.Sequential(
            *(() if same else _convolution(channels, leaving, size=1, stride=stride))
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, 4 width, rows / stride, columns / stride)."""
        return functional.relu(self.body(x) + self.shortcut(x))


class ResNet(nn.Module):
    """7x7 stem of stride 2, 3x3 maximum, four groups of blocks, average, linear layer.

    Parameters
    ----------
    in_channels : int
        Bands of an image.
    outputs : int
        Features that leave the linear layer.
    layers : tuple of int
        Blocks of each group; (3, 4, 23, 3) is ResNet-101.
    width : int
        Channels of the stem and of the first group's 3x3 convolutions; doubled at each group.
    """

    def __init__(
        self,
        in_channels: int,
        outputs: int,
        *,
        layers: tuple[int, ...] = (3, 4, 23, 3),
        width: int = 64,
    ) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            *_convolution(in_channels, width, size=7, stride=2),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(3, stride=2, padding=1),
        )
        self.blocks = nn.Sequential(*_blocks(layers, width))
        self.linear = nn.Linear(EXPANSION * width * 2 ** (len(layers) - 1), outputs)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, image: Tensor) -> Tensor:
        """From (B, in_channels, rows, columns) to (B, outputs)."""
        features: Tensor = self.linear(self.blocks(self.stem(image)).mean((-2, -1)))
        return features


def _convolution(
    channels: int, leaving: int, *, size: int, stride: int = 1
) -> tuple[nn.Module, nn.Module]:
    convolution = nn.Conv2d(channels, leaving, size, stride, padding=size // 2, bias=False)
    return convolution, nn.BatchNorm2d(leaving)


def _blocks(layers: tuple[int, ...], width: int) -> Iterator[Bottleneck]:
    channels = width
    for group, count in enumerate(layers):
        for block in range(count):
            stride = 2 if group > 0 and block == 0 else 1
            yield Bottleneck(channels, width * 2**group, stride=stride)
            channels = EXPANSION * width * 2**group
