"""Tiles of sky: grouping objects by them, and choosing whole tiles in hash order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from galaxyds.catalog.splits import hash_ids

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

Tile = tuple[int, ...]


def tiles_of(table: pa.Table, names: Sequence[str]) -> dict[Tile, NDArray[np.int64]]:
    """Row numbers of every tile.

    Parameters
    ----------
    table : pyarrow.Table
        With integer columns ``names``.
    names : sequence of str
        Columns that together name a tile.

    Returns
    -------
    dict of tuple of int to ndarray of int64
        In ascending order of the tiles; rows in their order.
    """
    if table.num_rows == 0:
        return {}
    parts = np.column_stack([table.column(name).to_numpy().astype(np.int64) for name in names])
    tiles, inverse = np.unique(parts, axis=0, return_inverse=True)
    order = np.argsort(inverse.ravel(), kind="stable")
    counts = np.bincount(inverse.ravel(), minlength=len(tiles))
    rows = np.split(order, np.cumsum(counts)[:-1])
    return {tuple(int(v) for v in tile): chunk for tile, chunk in zip(tiles, rows, strict=True)}


def take_tiles(table: pa.Table, names: Sequence[str], limit: int) -> pa.Table:
    """Keep whole tiles, in the order of a hash of their names, until ``limit`` objects are there.

    The choice does not depend on the order of rows, and a larger limit only adds tiles.

    Parameters
    ----------
    table : pyarrow.Table
        One row per object.
    names : sequence of str
        Columns that together name a tile.
    limit : int
        At least this many objects, if there are as many.

    Returns
    -------
    pyarrow.Table
        The rows of the chosen tiles, in their order.
    """
    tiles = list(tiles_of(table, names).items())
    ranks = _tile_hashes(np.array([tile for tile, _ in tiles], dtype=np.int64))
    chosen: list[NDArray[np.int64]] = []
    total = 0
    for place in np.argsort(ranks, kind="stable"):
        if total >= limit:
            break
        chosen.append(tiles[place][1])
        total += len(chosen[-1])
    rows = np.sort(np.concatenate(chosen)) if chosen else np.empty(0, dtype=np.int64)
    return table.take(rows)


def _tile_hashes(tiles: NDArray[np.int64]) -> NDArray[np.uint64]:
    """One number per tile (rows of ``tiles``), by hashing its parts one after the other."""
    value = np.zeros(len(tiles), dtype=np.uint64)
    for part in tiles.reshape(len(tiles), -1).T:
        value = hash_ids((value ^ np.ascontiguousarray(part).view(np.uint64)).view(np.int64), 0)
    return value


def chains(
    tiles: Sequence[Tile], needs_previous: set[Tile], needs_next: set[Tile]
) -> list[tuple[Tile, ...]]:
    """Group tiles that share frames, so that each frame is read once.

    Tiles are neighbours when they differ by one in their last part.  Two tiles stand in one chain
    if one needs the other's frames, or if both need those of the tile between them.

    Parameters
    ----------
    tiles : sequence of tuple of int
        Tiles that hold objects.
    needs_previous, needs_next : set of tuple of int
        Tiles with an object so near the edge that the previous or next tile must complete it.

    Returns
    -------
    list of tuple of tuple of int
        Chains in ascending order, tiles ascending within each.
    """
    found: list[list[Tile]] = []
    reach: Tile | None = None  # last tile whose frames the current chain reads
    for tile in sorted(tiles):
        first = _step(tile, -1) if tile in needs_previous else tile
        if found and reach is not None and tile[:-1] == reach[:-1] and first[-1] <= reach[-1]:
            found[-1].append(tile)
        else:
            found.append([tile])
        last = _step(tile, +1) if tile in needs_next else tile
        reach = last if reach is None or reach[:-1] != last[:-1] else max(reach, last)
    return [tuple(chain) for chain in found]


def _step(tile: Tile, by: int) -> Tile:
    return (*tile[:-1], tile[-1] + by)
