"""Banks: several convolutions of one shape, run one by one or as one grouped convolution.

A bank of n branches has one parameter for all of them, branch after branch along the first axis.
``bank(x, branch)`` runs one branch on its own channels; ``bank(x)`` runs all of them on the n
stacked ones.  Both read the same numbers, so a checkpoint does not know the route.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt

import torch
from torch import Tensor, nn
from torch.nn import functional

BIAS = 0.1
"""Every bias at the start (Pasquet et al. 2019, released code)."""


def glorot_(weight: Tensor, pieces: Sequence[int]) -> None:
    """Fill a weight in place, uniformly in +-sqrt(6 / (fan in + fan out)).

    Parameters
    ----------
    weight : Tensor
        (outputs, inputs, *kernel).
    pieces : sequence of int
        Outputs of each of the layers that are stored in it one after another; each is filled as if
        it were alone.
    """
    area = weight[0, 0].numel()
    start = 0
    with torch.no_grad():
        for outputs in pieces:
            bound = sqrt(6 / (area * (weight.shape[1] + outputs)))
            weight.narrow(0, start, outputs).uniform_(-bound, bound)
            start += outputs


def dense(inputs: int, outputs: int, *, bias: float = BIAS) -> nn.Linear:
    """Make a fully connected layer with Glorot's weights."""
    layer = nn.Linear(inputs, outputs)
    glorot_(layer.weight, (outputs,))
    nn.init.constant_(layer.bias, bias)
    return layer


class ConvBank(nn.Module):
    """Convolutions of one shape, stride 1.

    Parameters
    ----------
    count : int
        Branches.
    inputs : int
        Channels into each.
    pieces : sequence of int
        Channels out of each of the layers that share the input and are run as one.
    kernel : int
        Rows and columns.
    padding : int or None
        None keeps the size of the image.
    """

    def __init__(
        self,
        count: int,
        inputs: int,
        pieces: Sequence[int],
        *,
        kernel: int,
        padding: int | None = None,
    ) -> None:
        super().__init__()
        self.count = count
        self.outputs = sum(pieces)
        self.padding = kernel // 2 if padding is None else padding
        self.weight = nn.Parameter(torch.empty(count * self.outputs, inputs, kernel, kernel))
        self.bias = nn.Parameter(torch.full((count * self.outputs,), BIAS))
        glorot_(self.weight, tuple(pieces) * count)

    def forward(self, x: Tensor, branch: int | None = None) -> Tensor:
        """Convolve (B, count * inputs, r, c), or (B, inputs, r, c) of one branch."""
        if branch is None:
            return functional.conv2d(
                x, self.weight, self.bias, padding=self.padding, groups=self.count
            )
        weight, bias = (self.of(p, branch) for p in (self.weight, self.bias))
        return functional.conv2d(x, weight, bias, padding=self.padding)

    def of(self, stacked: Tensor, branch: int) -> Tensor:
        """Part of a stacked tensor (count * outputs, ...) that belongs to a branch."""
        return stacked.narrow(0, branch * self.outputs, self.outputs)


class ReluBank(ConvBank):
    """A convolution and a ReLU per branch: the block of the plain networks."""

    def forward(self, x: Tensor, branch: int | None = None) -> Tensor:
        """Convolve and rectify."""
        return functional.relu(super().forward(x, branch))


class Stem(nn.Module):
    """The first two convolutions of each branch: 5x5 with PReLU, 3x3 with tanh.

    Parameters
    ----------
    channels : sequence of tuple of int
        Channels of the image that each branch sees, all of one length m.
    bands : int
        Channels of the image.
    conv1, conv2 : int
        Channels out of each convolution, per branch.
    """

    seen: Tensor

    def __init__(
        self, channels: Sequence[tuple[int, ...]], bands: int, *, conv1: int, conv2: int
    ) -> None:
        super().__init__()
        count = len(channels)
        self.outputs = conv2
        self.channels = tuple(channels)
        self.first = ConvBank(count, len(channels[0]), (conv1,), kernel=5)
        self.slope = nn.Parameter(torch.zeros(count * conv1))
        self.second = ConvBank(count, conv1, (conv2,), kernel=3)
        seen = torch.eye(bands)[torch.tensor(self.channels)]
        self.register_buffer("seen", seen, persistent=False)  # (count, m, bands)

    def forward(self, image: Tensor, branch: int | None = None) -> Tensor:
        """Return (B, count * conv2, r, c), or (B, conv2, r, c) of one branch."""
        x = self._all(image) if branch is None else self._one(image, branch)
        slope = self.slope if branch is None else self.first.of(self.slope, branch)
        return torch.tanh(self.second(prelu(x, slope), branch))

    def _one(self, image: Tensor, branch: int) -> Tensor:
        bands = [image.narrow(1, channel, 1) for channel in self.channels[branch]]
        out: Tensor = self.first(torch.cat(bands, 1), branch)
        return out

    def _all(self, image: Tensor) -> Tensor:
        """Run all first convolutions as one over all bands, zeros where a branch sees nothing.

        Two or three channels per group leave a processor's and a GPU's matrix units empty; all
        bands at once do not, and modalities that share a band read it once.
        """
        weight = self.first.weight.view(len(self.seen), -1, *self.first.weight.shape[1:])
        whole = torch.einsum("nomhw,nmb->nobhw", weight, self.seen).flatten(0, 1)
        return functional.conv2d(image, whole, self.first.bias, padding=self.first.padding)


def prelu(x: Tensor, slope: Tensor) -> Tensor:
    """PReLU of (B, C, r, c) with a slope (C,) per channel, in the type of ``x``.

    Torch's own takes more than twice as long in bfloat16 on a processor.
    """
    return functional.relu(x) - slope.to(x.dtype)[:, None, None] * functional.relu(-x)


def concatenate(parts: Sequence[Tensor]) -> Tensor:
    """Concatenate channels; without a copy where there is one part."""
    return parts[0] if len(parts) == 1 else torch.cat(list(parts), 1)


def same_pool(x: Tensor) -> Tensor:
    """Average of each pixel with its right, lower and lower right neighbours, same size.

    At the last row and column only pixels inside the image count, as in TensorFlow's SAME pooling:
    repeating them leaves the average as it is.
    """
    return functional.avg_pool2d(functional.pad(x, (0, 1, 0, 1), mode="replicate"), 2, 1)


def halve(x: Tensor, times: int = 1) -> Tensor:
    """Average over 2x2 pixels, so many times; an odd last row or column is left out."""
    for _ in range(times):
        x = functional.avg_pool2d(x, 2)
    return x


def split_branches(x: Tensor, count: int, sizes: Sequence[int]) -> list[Tensor]:
    """Split the channels of every branch alike.

    Parameters
    ----------
    x : Tensor
        (B, count * sum(sizes), r, c).

    Returns
    -------
    list of Tensor
        (B, count * size, r, c) for each size.
    """
    if count == 1:
        return list(torch.split(x, list(sizes), 1))
    parts = torch.split(_by_branch(x, count), list(sizes), -1)
    return [_channels_second(part.flatten(-2)) for part in parts]


def join_branches(parts: Sequence[Tensor], count: int) -> Tensor:
    """Undo :func:`split_branches`."""
    if count == 1:
        return torch.cat(list(parts), 1)
    joined = torch.cat([_by_branch(part, count) for part in parts], -1)
    return _channels_second(joined.flatten(-2))


def _by_branch(x: Tensor, count: int) -> Tensor:
    # (B, r, c, count, channels): with channels last, splits and joins move whole runs of memory.
    return x.permute(0, 2, 3, 1).reshape(len(x), *x.shape[2:], count, -1)


def _channels_second(x: Tensor) -> Tensor:
    return x.permute(0, 3, 1, 2)
