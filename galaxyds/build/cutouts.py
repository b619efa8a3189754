"""The unit of work: one chain of tiles, each frame fetched and decompressed once."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from galaxyds.archives.base import Tile
from galaxyds.errors import DataIntegrityError, GalaxydsError, NotInArchiveError, StorageError
from galaxyds.pixels import FieldCutouts, cut_field
from galaxyds.store.files import publishing

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from galaxyds.build.archives import Archive
    from galaxyds.pixels.frame import Frame

FRAME_MISSING = "frame missing in the archive"
OUTSIDE = "position outside of the frame"
FAILED = "tile failed"


@dataclass(frozen=True, kw_only=True)
class TileObjects:
    """The objects of one tile: ids int64 (n,), positions in degrees float64 (n,)."""

    tile: Tile
    ids: NDArray[np.int64]
    ra: NDArray[np.float64]
    dec: NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Unit:
    """One chain of tiles, and everything a worker needs to cut it.

    Attributes
    ----------
    tiles : tuple of TileObjects
        Ascending.
    previous, following : frozenset of tuple of int
        Tiles that need the frames of the previous or the next tile.
    archive : Archive
        Pickled to the worker; it holds no credentials.
    directory : pathlib.Path
        Where the shard goes.
    scratch : pathlib.Path
        Where frames lie while they are needed.
    """

    tiles: tuple[TileObjects, ...]
    previous: frozenset[Tile]
    following: frozenset[Tile]
    archive: Archive
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


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of a unit.

    Attributes
    ----------
    name : str
        The unit.
    objects : int
        How many it has.
    error : GalaxydsError or None
        None if its shard stands.
    missing : tuple of str
        What the archive says that it does not hold, one line per tile.
    """

    name: str
    objects: int
    error: GalaxydsError | None = None
    missing: tuple[str, ...] = ()


def run_unit(unit: Unit) -> Outcome:
    """Cut all objects of a unit and publish its shard.

    Parameters
    ----------
    unit : Unit
        What to cut.

    Returns
    -------
    Outcome
        With the error of a unit that failed for good; other units go on.

    Raises
    ------
    StorageError
        If the disk is full or may not be written: no other unit could go on either.
    """
    count = sum(len(tile.ids) for tile in unit.tiles)
    if unit.shard.exists():
        return Outcome(name=unit.name, objects=count)
    frames = _Frames(unit)
    try:
        parts = list(_cut_tiles(unit, frames))
        _write_shard(unit, parts)
    except StorageError:
        raise
    except GalaxydsError as error:
        # What was fetched stays for the next try, a frame that came in half included.
        return Outcome(name=unit.name, objects=count, error=error)
    shutil.rmtree(unit.scratch / unit.name, ignore_errors=True)
    own = {tile.tile for tile in unit.tiles}
    missing = tuple(words for tile, words in frames.missing.items() if tile in own)
    return Outcome(name=unit.name, objects=count, missing=missing)


class _Frames:
    """Frames of a chain: each tile is fetched and read once, and let go when passed."""

    def __init__(self, unit: Unit) -> None:
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


def _cut_tiles(unit: Unit, frames: _Frames) -> Iterator[tuple[TileObjects, FieldCutouts | None]]:
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


def _needed_neighbours(unit: Unit, tile: Tile) -> list[Tile]:
    wanted = []
    for neighbour in unit.archive.neighbours(tile):
        needed = unit.previous if neighbour < tile else unit.following
        if tile in needed:
            wanted.append(neighbour)
    return wanted


def _write_shard(unit: Unit, parts: Sequence[tuple[TileObjects, FieldCutouts | None]]) -> None:
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
    with publishing(unit.shard) as temporary, temporary.open("wb") as stream:
        np.savez(
            stream,
            object_id=_join([ids[inside] for ids, _, inside in kept], np.int64),
            image=_join([c.image[inside] for _, c, inside in kept], np.float32, shape),
            cutout_x=_join([c.x[inside] for _, c, inside in kept], np.float32),
            cutout_y=_join([c.y[inside] for _, c, inside in kept], np.float32),
            cutout_flags=_join([c.flags[inside] for _, c, inside in kept], np.int32),
            dropped_id=np.array([i for i, _ in dropped], dtype=np.int64),
            dropped_reason=np.array([reason for _, reason in dropped], dtype="U40"),
        )


def _join(
    parts: Sequence[NDArray[np.generic]], dtype: type, shape: tuple[int, ...] = (0,)
) -> NDArray[np.generic]:
    return np.concatenate([*parts]) if parts else np.empty(shape, dtype=dtype)


class Shards:
    """All shards of the cutouts stage, read in object-id order.

    Parameters
    ----------
    directory : pathlib.Path
        Holds the ``.npz`` shards in one folder per scan.

    Attributes
    ----------
    object_id : ndarray of int64, shape (n,)
        All objects that have a cutout, ascending.
    """

    def __init__(self, directory: Path) -> None:
        self._files = sorted(directory.glob("*/*.npz"))
        self._smalls = small = [self._small(path) for path in self._files]
        ids = _join([s["object_id"] for s in small], np.int64)
        order = np.argsort(ids, kind="stable")
        self.object_id = ids[order].astype(np.int64)
        self.columns = {
            name: _join([s[name] for s in small], np.float32)[order]
            for name in ("cutout_x", "cutout_y", "cutout_flags")
        }
        self._file = np.repeat(np.arange(len(small)), [len(s["object_id"]) for s in small])[order]
        rows = [np.arange(len(s["object_id"])) for s in small]
        self._row = _join(rows, np.int64)[order].astype(np.int64)
        self.dropped = sorted(
            (int(i), str(reason))
            for s in small
            for i, reason in zip(s["dropped_id"], s["dropped_reason"], strict=True)
        )

    def forget(self, reason: str) -> None:
        """Remove the shards that dropped an object for this reason: they are cut again."""
        for path, small in zip(self._files, self._smalls, strict=True):
            if reason in small["dropped_reason"].tolist():
                path.unlink()

    def blocks(self, size: int = 256) -> Iterator[NDArray[np.float32]]:
        """Yield pixels (up to ``size``, bands, rows, columns) in the order of ``object_id``."""
        held: tuple[int, NDArray[np.float32]] | None = None
        for start in range(0, len(self.object_id), size):
            files, rows = self._file[start : start + size], self._row[start : start + size]
            pieces = []
            # Runs of one shard: object ids of a tile are contiguous, so a shard is read once.
            for run in np.split(np.arange(len(files)), np.flatnonzero(np.diff(files)) + 1):
                number = int(files[run[0]])
                if held is None or held[0] != number:
                    held = (number, self._images(self._files[number]))
                pieces.append(held[1][rows[run]])
            yield np.concatenate(pieces)

    def _small(self, path: Path) -> dict[str, NDArray[np.generic]]:
        with _opened(path) as shard:
            return {name: shard[name] for name in shard.files if name != "image"}

    def _images(self, path: Path) -> NDArray[np.float32]:
        with _opened(path) as shard:
            image: NDArray[np.float32] = shard["image"]
            return image


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[np.lib.npyio.NpzFile]:
    import zipfile

    try:
        with np.load(path, allow_pickle=False) as shard:
            yield shard
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise DataIntegrityError(
            f"the shard {path} is damaged ({error}): run the build again with --from cutouts",
            file=str(path),
        ) from error
