"""Frames on disk that units of work share: fetched once, given up when space is short.

Every tile has a folder of its own, with a record of the frames in it, and a lock file beside the
folder.  Readers hold the lock together; who fetches, mends or removes holds it alone.  So two
workers that want one tile fetch it once, and nothing that is being read is removed.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, NamedTuple

from galaxyds.archives.base import DAMAGED, NO_DATA, FrameArchive, Tile
from galaxyds.errors import DataIntegrityError, NotInArchiveError
from galaxyds.store.files import publish_bytes

try:
    import fcntl
except ImportError:  # not POSIX: every process keeps frames of its own
    fcntl = None  # type: ignore[assignment]

_AGAIN = 0.02
"""Seconds until a tile that somebody else holds is looked at again."""
_RECORD = "frames.json"


class Held(NamedTuple):
    """Frames of a tile: paths by band, and why the archive does not give the other bands."""

    paths: dict[str, Path]
    missing: dict[str, str]


@dataclass(frozen=True, kw_only=True, slots=True)
class FrameCache:
    """A folder of fetched frames.  It can be pickled; processes and threads share the folder.

    Attributes
    ----------
    directory : pathlib.Path
        Made when needed; whoever owns the cache removes it.
    limit : int
        Bytes beyond which the tiles that were used longest ago are removed.  Tiles in use stay, so
        the folder may exceed it by what the workers hold, one tile each.
    """

    directory: Path
    limit: int

    @contextmanager
    def held(self, archive: FrameArchive, tile: Tile, bands: Sequence[str]) -> Iterator[Held]:
        """Hold the frames of a tile on disk, fetching those that are not there.

        Parameters
        ----------
        archive : FrameArchive
            Where they come from.
        tile : tuple of int
            The tile.
        bands : sequence of str
            Bands that are wanted.

        Yields
        ------
        Held
            Every band of ``bands`` stands in one of its two mappings; the files stay while the
            context lasts.

        Raises
        ------
        ArchiveError
            If a transfer fails for good; that the archive lacks a frame, or holds a damaged one, is
            no error.
        """
        missing: dict[str, str] = {}
        while True:
            with _locked(self._lock(tile)):
                there = self._read(tile)
                if all(band in there or band in missing for band in bands):
                    with suppress(FileNotFoundError):
                        os.utime(self._folder(tile) / _RECORD)
                    yield Held({band: there[band] for band in bands if band in there}, missing)
                    return
            # Between the two locks another process may fetch, or remove: look again.  Whoever reads
            # it meanwhile may do so for long, and is not waited for.
            try:
                with _locked(self._lock(tile), alone=True, wait=False):
                    there = self._read(tile)
                    if lacking := [band for band in bands if band not in there]:
                        self._make_room(archive.tile_bytes(lacking), keep=tile)
                        found, missing = self._fetch(archive, tile, lacking)
                        self._write(tile, {**there, **found})
                        self._make_room(0, keep=tile)
            except BlockingIOError:
                time.sleep(_AGAIN)

    def discard(self, tile: Tile, band: str) -> None:
        """Remove a frame that cannot be read, so that it is fetched afresh."""
        with _locked(self._lock(tile), alone=True):
            there = self._read(tile)
            if band in there:
                there.pop(band).unlink(missing_ok=True)
                self._write(tile, there)

    def _folder(self, tile: Tile) -> Path:
        base = self.directory if fcntl is not None else self.directory / str(os.getpid())
        return base / "-".join(str(part) for part in tile)

    def _lock(self, tile: Tile) -> Path:
        return _lock_of(self._folder(tile))

    def _read(self, tile: Tile) -> dict[str, Path]:
        folder = self._folder(tile)
        try:
            names = json.loads((folder / _RECORD).read_text(encoding="utf-8"))
        except (FileNotFoundError, ValueError):
            return {}
        paths = {band: folder / name for band, name in names.items()}
        return {band: path for band, path in paths.items() if path.is_file()}

    def _write(self, tile: Tile, paths: Mapping[str, Path]) -> None:
        folder = self._folder(tile)
        names = {band: path.relative_to(folder).as_posix() for band, path in paths.items()}
        publish_bytes(folder / _RECORD, json.dumps(names, sort_keys=True).encode())

    def _fetch(self, archive: FrameArchive, tile: Tile, bands: Sequence[str]) -> Held:
        """Ask for all bands together, and one by one where the archive lacks one."""
        folder = self._folder(tile)
        folder.mkdir(parents=True, exist_ok=True)
        try:
            return Held(archive.frames(tile, bands, folder), {})
        except (NotInArchiveError, DataIntegrityError):
            held = Held({}, {})
        for band in bands:
            try:
                held.paths.update(archive.frames(tile, (band,), folder))
            except NotInArchiveError:
                held.missing[band] = NO_DATA
            except DataIntegrityError:
                held.missing[band] = DAMAGED
        return held

    def _make_room(self, needed: int, *, keep: Tile) -> None:
        """Remove the tiles that were used longest ago until ``needed`` bytes more would fit."""
        kept = self._folder(keep)
        entries = sorted(_entries(kept.parent), key=lambda entry: (entry.used, entry.folder.name))
        surplus = sum(entry.size for entry in entries) + needed - self.limit
        for entry in entries:
            if surplus <= 0:
                return
            if entry.folder != kept and _remove(entry.folder):
                surplus -= entry.size


class _Entry(NamedTuple):
    folder: Path
    used: int  # ns since the epoch
    size: int


def _entries(directory: Path) -> Iterator[_Entry]:
    """The tiles of a cache; one that vanishes meanwhile has no size any more."""
    for folder in directory.iterdir():
        if folder.suffix == ".lock":
            continue
        with suppress(FileNotFoundError, NotADirectoryError):
            stats = {path.name: path.stat() for path in folder.iterdir()}
            used = stats.get(_RECORD, folder.stat()).st_mtime_ns
            yield _Entry(folder, used, sum(stat.st_size for stat in stats.values()))


def _remove(folder: Path) -> bool:
    """Remove a tile, unless it is in use."""
    lock = _lock_of(folder)
    try:
        with _locked(lock, alone=True, wait=False):
            shutil.rmtree(folder, ignore_errors=True)
            lock.unlink(missing_ok=True)
            return True
    except BlockingIOError:
        return False


def _lock_of(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.lock")


@contextmanager
def _locked(path: Path, *, alone: bool = False, wait: bool = True) -> Iterator[None]:
    """Hold a lock file, together with others or alone.

    Raises
    ------
    BlockingIOError
        If somebody else holds it and ``wait`` is False.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    while True:
        with path.open("ab") as handle:
            _flock(handle, alone=alone, wait=wait)
            # The file may have been removed while we waited: then its lock protects nothing.
            if _is_named(handle, path):
                yield
                return


def _flock(handle: IO[bytes], *, alone: bool, wait: bool) -> None:
    if fcntl is None:
        return
    fcntl.flock(
        handle, (fcntl.LOCK_EX if alone else fcntl.LOCK_SH) | (0 if wait else fcntl.LOCK_NB)
    )


def _is_named(handle: IO[bytes], path: Path) -> bool:
    """Whether a path still stands for the file that was opened."""
    try:
        return os.path.samestat(os.fstat(handle.fileno()), path.stat())
    except FileNotFoundError:
        return False
