"""Binned PDFs: checked, normalised, and read in blocks of rows so that memory stays small."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from galaxyds.errors import UsageError
from galaxyds.metrics.values import Floats, Values, to_numpy, truth

_BLOCK = 1 << 20
"""Probabilities in a block: 8 MB each of PDF, cumulative and what a score needs."""
_TOLERANCE = 1e-3
"""How far from 1 probabilities may sum: half precision may, a forgotten softmax may not."""


@dataclass(frozen=True)
class Block:
    """PDFs of some objects, piecewise constant in bins.

    Attributes
    ----------
    pdf : ndarray of float64, shape (m, bins)
        Probabilities that sum to 1 in each row.
    edges : ndarray of float64, shape (bins + 1,)
        Ascending.
    true : ndarray of float64, shape (m,)
        True redshifts; they may lie outside the edges.
    """

    pdf: Floats
    edges: Floats
    true: Floats

    @cached_property
    def widths(self) -> Floats:
        """Widths of the bins, (bins,)."""
        return np.diff(self.edges)

    @cached_property
    def cumulative(self) -> Floats:
        """Cumulative probability at every edge, (m, bins + 1), from exactly 0 to exactly 1."""
        out = np.zeros((self.pdf.shape[0], self.edges.size))
        np.cumsum(self.pdf, axis=1, out=out[:, 1:])
        out[:, -1] = 1.0
        return out

    @cached_property
    def bins(self) -> NDArray[np.intp]:
        """Bin of each true redshift, the nearest one outside; upper edges belong to the next bin.

        The last edge belongs to the last bin.
        """
        found = np.searchsorted(self.edges, self.true, side="right") - 1
        return np.clip(found, 0, self.widths.size - 1)

    @cached_property
    def inside(self) -> NDArray[np.bool_]:
        """Whether each true redshift lies in the grid, ends included."""
        inside: NDArray[np.bool_] = (self.true >= self.edges[0]) & (self.true <= self.edges[-1])
        return inside

    @cached_property
    def at_truth(self) -> Floats:
        """Probability of the bin that holds each true redshift, (m,); 0 outside the grid."""
        return np.where(self.inside, self.take(self.pdf), 0.0)

    @cached_property
    def part(self) -> Floats:
        """How far through its bin each true redshift lies, in [0, 1]; 0 or 1 outside."""
        offset = (self.true - self.edges[self.bins]) / self.widths[self.bins]
        return np.clip(offset, 0.0, 1.0)

    @cached_property
    def pit(self) -> Floats:
        """Cumulative probability at each true redshift, (m,), linear inside the bin."""
        return np.minimum(self.take(self.cumulative) + self.part * self.take(self.pdf), 1.0)

    def take(self, table: Floats) -> Floats:
        """Entry of the true redshift's bin in every row of a (m, bins or more) array."""
        return table[np.arange(self.true.size), self.bins]


Rule: TypeAlias = Callable[[Block], Floats]
"""A number per object of a block, (m,)."""


def blocks(pdf: Values, edges: Values, true: Values | None = None) -> Iterator[Block]:
    """Check PDFs and hand them out in blocks of rows.

    Parameters
    ----------
    pdf : array-like or torch.Tensor, shape (n, bins)
        Probabilities (not densities); each row is divided by its sum.
    edges : array-like or torch.Tensor, shape (bins + 1,)
        Ascending bin edges.
    true : array-like or torch.Tensor, shape (n,), optional
        True redshifts; without them blocks hold the middle of the grid.

    Yields
    ------
    Block
        In the order of the objects.

    Raises
    ------
    UsageError
        If shapes do not match, edges do not ascend, or probabilities are negative, not finite, or
        do not sum to 1 within 0.001.
    """
    grid = _edges(edges)
    table = _table(pdf, grid)
    redshift = np.full(table.shape[0], grid.mean()) if true is None else truth(true)
    if redshift.size != table.shape[0]:
        raise UsageError(
            f"pdf has {table.shape[0]} objects and true {redshift.size}: pass one row per object, "
            "in the same order",
            pdf=table.shape[0],
            true=redshift.size,
        )
    for rows in _rows(table):
        probability = table[rows].astype(np.float64)
        probability /= probability.sum(axis=1, keepdims=True)
        yield Block(probability, grid, redshift[rows])


def each(rule: Rule, pdf: Values, edges: Values, true: Values | None = None) -> Floats:
    """Apply a rule to all objects, block by block, float64 (n,)."""
    return np.concatenate([rule(block) for block in blocks(pdf, edges, true)])


def _rows(table: NDArray[np.float64]) -> list[slice]:
    step = max(1, _BLOCK // table.shape[1])
    return [slice(first, first + step) for first in range(0, table.shape[0], step)]


def _edges(edges: Values) -> Floats:
    grid = np.asarray(to_numpy(edges, "edges"), dtype=np.float64)
    if grid.ndim != 1 or grid.size < 2 or not np.isfinite(grid).all() or (np.diff(grid) <= 0).any():
        raise UsageError(
            f"edges: shape {grid.shape} is no row of at least two ascending, finite bin edges: "
            "pass (bins + 1,) edges, not bin centres",
            shape=grid.shape,
        )
    return grid


def _table(pdf: Values, grid: Floats) -> NDArray[np.float64]:
    table = to_numpy(pdf, "pdf")
    if table.ndim != 2 or table.shape[1] != grid.size - 1 or not table.shape[0]:
        raise UsageError(
            f"pdf has shape {table.shape}: with {grid.size} edges pass (objects, {grid.size - 1}) "
            "probabilities of at least one object",
            shape=table.shape,
        )
    bad = sum(_wrong(table[rows]) for rows in _rows(table))
    if bad:
        raise UsageError(
            f"pdf: {bad} of {table.shape[0]} rows are no probabilities (finite, not negative, sum "
            "within 0.001 of 1): apply softmax to logits, multiply densities by bin widths",
            count=bad,
        )
    return table


def _wrong(rows: NDArray[np.float64]) -> int:
    # A NaN fails both comparisons.
    right = (rows.min(axis=1) >= 0) & (np.abs(rows.sum(axis=1, dtype=np.float64) - 1) <= _TOLERANCE)
    return int(right.size - right.sum())
