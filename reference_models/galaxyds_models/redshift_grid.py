"""Redshift in bins: classes for training, and point estimates of a binned PDF."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, kw_only=True, slots=True)
class RedshiftGrid:
    """Equal bins from ``low`` to ``high``.

    Attributes
    ----------
    low, high : float
        First and last edge.
    bins : int
        How many: 180 on [0, 0.4] (Pasquet et al. 2019), 1000 on [0, 4] (Lin et al. 2022).
    """

    low: float
    high: float
    bins: int

    @property
    def width(self) -> float:
        """Width of a bin."""
        return (self.high - self.low) / self.bins

    def edges(self) -> Tensor:
        """Bin edges, float32 (bins + 1,)."""
        return torch.linspace(self.low, self.high, self.bins + 1)

    def classes(self, redshift: Tensor) -> Tensor:
        """Bin of each redshift, int64 (B,); outside the grid the nearest bin."""
        index = ((redshift - self.low) / self.width).floor().long()
        return index.clamp(0, self.bins - 1)

    def mean(self, pdf: Tensor) -> Tensor:
        """Mean of each PDF (B, bins), over bin centres (not left edges), float32 (B,)."""
        edges = self.edges().to(pdf.device)
        return (pdf * (edges[:-1] + edges[1:]) / 2).sum(-1)

    def mode(self, pdf: Tensor) -> Tensor:
        """Centre of the most likely bin, float32 (B,)."""
        return self.low + (pdf.argmax(-1) + 0.5) * self.width

    def median(self, pdf: Tensor) -> Tensor:
        """Redshift where the cumulative PDF is one half, linear inside the bin, float32 (B,)."""
        cumulative = pdf.cumsum(-1)
        half = 0.5 * cumulative[:, -1:]  # the sum is 1 up to rounding
        index = torch.searchsorted(cumulative, half).clamp(max=self.bins - 1)
        inside = pdf.gather(-1, index)
        below = cumulative.gather(-1, index) - inside
        part = (half - below) / inside.clamp_min(torch.finfo(pdf.dtype).tiny)
        return (self.low + (index + part.clamp(0, 1)) * self.width).squeeze(-1)
