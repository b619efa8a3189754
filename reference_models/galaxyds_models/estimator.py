"""What the engine asks of a network: one forward pass, what to minimise, what it estimates."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

Batch = Mapping[str, Tensor]
"""Of B objects, float32 unless under autocast: ``redshift`` (B,) and what :class:`Inputs` names:
``image`` (B, bands, rows, columns), ``band_mask`` (B, bands) where the dataset has optional bands,
``magnitudes``, ``errors``, ``extinctions`` (B, filters), ``colors`` (B, filters - 1), ``ebv``
(B, 1).
"""
Outputs = dict[str, Tensor]
Point = Literal["median", "mean"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Facts:
    """What a network is told of the data that it is made for.

    Attributes
    ----------
    bands : tuple of str
        Of the images, in order; empty without images.
    size : int
        Rows and columns of an image.
    filters : tuple of str
        Of the photometry, in order.
    redshift_range : tuple of float
        Lowest and highest redshift that the dataset declares or the training split has.
    objects : int
        In the training split.
    """

    bands: tuple[str, ...] = ()
    size: int = 0
    filters: tuple[str, ...] = ()
    redshift_range: tuple[float, float] = (0.0, 1.0)
    objects: int = 0


class Estimator(nn.Module, ABC):
    """A network that the engine can train and score.

    ``forward`` alone is compiled, autocast and distributed; it must not depend on the values of a
    batch (no ``.item()``, no shapes made from data).

    Attributes
    ----------
    point : str
        What ``z`` is of a PDF, ``median`` or ``mean``; an ensemble takes it of the averaged one.
    """

    point: ClassVar[Point] = "median"

    @abstractmethod
    def forward(self, batch: Batch) -> Outputs:
        """Return everything that the two methods below need."""

    @abstractmethod
    def objective(self, outputs: Outputs, batch: Batch) -> dict[str, Tensor]:
        """Return scalars in float32: ``loss`` is minimised, others are shown beside it."""

    @abstractmethod
    def estimates(self, outputs: Outputs) -> dict[str, Tensor]:
        """Return float32 tensors over the batch.

        ``z`` (B,) is the point estimate that is scored.  Further keys are optional: ``pdf``
        (B, bins), probabilities that sum to 1 over :meth:`edges`; ``sigma`` (B,);
        ``z_mean``, ``z_mode`` (B,); and ``z.PATTERN`` (B,), the estimate from another pattern of
        inputs, scored as a row of its own.
        """

    def edges(self) -> Tensor | None:
        """Return the bin edges of ``pdf``, (bins + 1,); None without one."""
        return None


def full_precision(like: Tensor) -> AbstractContextManager[object]:
    """Return a context without autocast on the device of ``like``.

    bfloat16 has steps of 0.13 at magnitude 22 and of 0.016 at redshift 2: photometry and heads need
    32 bits.
    """
    if like.device.type == "meta":  # operations are counted there; nothing is computed
        return nullcontext()
    return torch.autocast(like.device.type, enabled=False)


def count_parameters(module: nn.Module) -> int:
    """Number of trainable parameters."""
    return sum(p.numel() for p in module.parameters() if p.requires_grad)
