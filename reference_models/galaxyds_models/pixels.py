"""Pixels on their way into a network: compressed once, standardised and turned in every batch."""

from __future__ import annotations

import torch
from torch import Tensor

from galaxyds_models.recipe import Compression

_LARGEST = 65504.0
"""Largest float16."""


def compress(pixels: Tensor, kind: Compression) -> Tensor:
    """Narrow the range of pixels and halve their memory.

    Parameters
    ----------
    pixels : Tensor of float32, any shape
        In the dataset's unit; NaN becomes 0.
    kind : str
        ``signed-sqrt``: sign(x) (sqrt(abs(x) + 1) - 1) (paper 003, Sect. 3.1); ``divide-255``: a
        255th (GalaxiesML's released code); ``none``.

    Returns
    -------
    Tensor of float16
        What leaves the range of float16 is clipped to it; about three digits remain.
    """
    x = torch.nan_to_num(pixels, nan=0.0)
    if kind == "signed-sqrt":
        x = x / ((x.abs() + 1).sqrt() + 1)  # the same number, without the loss of digits near 0
    elif kind == "divide-255":
        x = x / 255
    return x.clamp(-_LARGEST, _LARGEST).half()


def standardise(pixels: Tensor, mean: Tensor, scale: Tensor, mask: Tensor | None = None) -> Tensor:
    """Subtract the mean of each band and multiply by its scale; bands without data are 0.

    Parameters
    ----------
    pixels : Tensor of float16, shape (B, bands, rows, columns)
        Compressed.
    mean, scale : Tensor of float32, shape (bands,)
        Of the training split.
    mask : Tensor of bool, shape (B, bands), optional
        False where a band has no data.

    Returns
    -------
    Tensor of float32
        Of the shape of ``pixels``.
    """
    x = (pixels.float() - mean[:, None, None]) * scale[:, None, None]
    return x if mask is None else x * mask[:, :, None, None]


def turn(images: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """Turn each image by one of the eight symmetries of a square, at random.

    Parameters
    ----------
    images : Tensor, shape (B, bands, N, N)
        Square.
    generator : torch.Generator, optional
        Of the device of ``images``.

    Returns
    -------
    Tensor
        Of the same shape.
    """
    choice = torch.randint(8, (len(images),), generator=generator, device=images.device)
    return turn_by(images, choice)


def turn_by(images: Tensor, choice: Tensor) -> Tensor:
    """Flip rows (bit 0), flip columns (bit 1), then transpose (bit 2): all eight symmetries.

    Parameters
    ----------
    images : Tensor, shape (B, bands, N, N)
        Square.
    choice : Tensor of int64, shape (B,)
        0 to 7.

    Returns
    -------
    Tensor
        Of the same shape.
    """
    bits = [((choice >> bit) & 1).bool()[:, None, None, None] for bit in range(3)]
    x = torch.where(bits[0], images.flip(-2), images)
    x = torch.where(bits[1], x.flip(-1), x)
    return torch.where(bits[2], x.transpose(-1, -2), x)
