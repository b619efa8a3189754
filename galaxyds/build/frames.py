"""Units of an archive that delivers frames: chains of tiles, each frame read once."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from galaxyds.archives.base import FrameArchive, Tile
from galaxyds.build.shards import join, write_shard
from galaxyds.errors import DataIntegrityError, NotInArchiveError
from galaxyds.pixels import FieldCutouts, cut_field

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from galaxyds.pixels.frame import Frame

FRAME_MISSING = "frame missing in the archive"
OUTSIDE = "position outside of the frame"


@dataclass(frozen=True, kw_only=True)
class TileObjects:
    """The objects of one tile: ids int64 (n,), positions in degrees float64 (n,)."""

    tile: Tile
    ids: NDArray[np.int64]
    ra: NDArray[np.float64]
    dec: NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class FrameUnit:
    """One chain of tiles, and everything a worker needs to cut it.

    Attributes
    ----------
    tiles : tuple of TileObjects
        Ascending.
    previous, following : frozenset of tuple of int
        Tiles that need the frames of the previous or the next tile.
    archive : FrameArchive
        Pickled to the worker; it holds no credentials.
    directory : pathlib.Path
        Where the shard goes.
    scratch : pathlib.Path
        Where frames lie while they are needed.
    """

    tiles: tuple[TileObjects, ...]
    previous: frozenset[Tile]
    following: frozenset[Tile]
    archive: FrameArchive
    bands: tuple[str, ...]
    size: int
    align: str
    reference: str
    directory: Path
    scratch: Path

    @property
    def name(self) -> str:
        """Name of the unit and of its shard: the first tile."""
        return "-".join(str(part) for part in self.tiles[0].tile)

    @property
    def shard(self) -> Path:
        """The file that the unit leaves; a folder per scan keeps folders small."""
        return self.directory / str(self.tiles[0].tile[0]) / f"{self.name}.npz"

    @property
    def count(self) -> int:
        """How many objects it has."""
        return sum(len(tile.ids) for tile in self.tiles)

    def work(self) -> tuple[str, ...]:
        """Cut all objects and publish the shard; what was fetched of a failure stays.

        Raises
        ------
        GalaxydsError
            If a frame cannot be had or read.
        """
        frames = _Frames(self)
        _write(self, list(_cut_tiles(self, frames)))
        shutil.rmtree(self.scratch / self.name, ignore_errors=True)
        own = {tile.tile for tile in self.tiles}
        return tuple(words for tile, words in frames.missing.items() if tile in own)


class _Frames:
    """Frames of a chain: each tile is fetched and read once, and let go when passed."""

    def __init__(self, unit: FrameUnit) -> None:
        self._unit = unit
        self._held: dict[Tile, dict[str, Frame] | None] = {}
        self.missing: dict[Tile, str] = {}

    def get(self, tile: Tile) -> dict[str, Frame] | None:
        """Frames by band, or None if the archive does not hold the tile."""
        if tile not in self._held:
            self._held[tile] = self._read(tile)
        return self._held[tile]

    def let_go(self, before: Tile) -> None:
        """Forget tiles that come before ``before``."""
        for tile in [t for t in self._held if t < before]:
            del self._held[tile]

    def _read(self, tile: Tile) -> dict[str, Frame] | None:
        unit = self._unit
        folder = unit.scratch / unit.name / "-".join(str(part) for part in tile)
        folder.mkdir(parents=True, exist_ok=True)
        try:
            frames = self._fetch(tile, folder)
        except NotInArchiveError as error:
            self.missing[tile] = error.message
            frames = None
        except DataIntegrityError:
            # What was stored may have been damaged on the way: fetch it afresh, once.
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True, exist_ok=True)
            frames = self._fetch(tile, folder)
        shutil.rmtree(folder, ignore_errors=True)
        return frames

    def _fetch(self, tile: Tile, folder: Path) -> dict[str, Frame]:
        archive = self._unit.archive
        paths = archive.frames(tile, self._unit.bands, folder)
        return {band: archive.read(paths[band], band) for band in self._unit.bands}


def _cut_tiles(
    unit: FrameUnit, frames: _Frames
) -> Iterator[tuple[TileObjects, FieldCutouts | None]]:
    for objects in unit.tiles:
        own = frames.get(objects.tile)
        if own is None:
            yield objects, None
            continue
        around = [frames.get(tile) for tile in _needed_neighbours(unit, objects.tile)]
        yield (
            objects,
            cut_field(
                own,
                objects.ra,
                objects.dec,
                bands=unit.bands,
                size=unit.size,
                align=unit.align,
                reference=unit.reference,
                neighbours=[found for found in around if found is not None],
            ),
        )
        frames.let_go((*objects.tile[:-1], objects.tile[-1] - 1))


def _needed_neighbours(unit: FrameUnit, tile: Tile) -> list[Tile]:
    wanted = []
    for neighbour in unit.archive.neighbours(tile):
        needed = unit.previous if neighbour < tile else unit.following
        if tile in needed:
            wanted.append(neighbour)
    return wanted


def _write(unit: FrameUnit, parts: Sequence[tuple[TileObjects, FieldCutouts | None]]) -> None:
    dropped: list[tuple[int, str]] = []
    kept: list[tuple[NDArray[np.int64], FieldCutouts, NDArray[np.bool_]]] = []
    for objects, cut in parts:
        if cut is None:
            dropped += [(int(i), FRAME_MISSING) for i in objects.ids]
            continue
        reference = cut.image[:, unit.bands.index(unit.reference)]
        inside = np.asarray(~np.isnan(reference).all(axis=(1, 2)), dtype=np.bool_)
        dropped += [(int(i), OUTSIDE) for i in objects.ids[~inside]]
        kept.append((objects.ids, cut, inside))
    shape = (0, len(unit.bands), unit.size, unit.size)
    arrays = {
        "object_id": join([ids[inside] for ids, _, inside in kept], np.int64),
        "image": join([c.image[inside] for _, c, inside in kept], np.float32, shape),
        "cutout_x": join([c.x[inside] for _, c, inside in kept], np.float32),
        "cutout_y": join([c.y[inside] for _, c, inside in kept], np.float32),
        "cutout_flags": join([c.flags[inside] for _, c, inside in kept], np.int32),
    }
    write_shard(unit.shard, arrays, dropped)
