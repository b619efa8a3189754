"""Shards: one ``.npz`` file of arrays per unit of work, read together in object-id order.

A shard has ``object_id`` (n,) ascending, one array (n,) per column, arrays with more dimensions,
and the objects that were left out with their reasons.
"""

from __future__ import annotations

import contextlib
import struct
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from galaxyds.errors import DataIntegrityError
from galaxyds.store.files import publishing

if TYPE_CHECKING:
    from numpy.typing import NDArray

_KEY = "object_id"
_MOST_MAPS = 256  # open files of a process
_ASIDE = ("dropped_id", "dropped_reason", "noted_id", "noted_reason")


def write_shard(
    path: Path,
    arrays: Mapping[str, NDArray[Any]],
    dropped: Sequence[tuple[int, str]] = (),
    notes: Sequence[tuple[int, str]] = (),
) -> None:
    """Publish a shard.

    Parameters
    ----------
    path : pathlib.Path
        Its folder is made.
    arrays : mapping of str to ndarray
        ``object_id`` and arrays of equal length.
    dropped : sequence of (int, str)
        Objects without a result, and why.
    notes : sequence of (int, str)
        Objects whose result lacks something, and what.

    Raises
    ------
    StorageError
        If it cannot be written.
    """
    with publishing(path) as temporary, temporary.open("wb") as stream:
        left_out: dict[str, Any] = {
            "dropped_id": np.array([i for i, _ in dropped], dtype=np.int64),
            "dropped_reason": np.array([reason for _, reason in dropped], dtype="U80"),
            "noted_id": np.array([i for i, _ in notes], dtype=np.int64),
            "noted_reason": np.array([reason for _, reason in notes], dtype="U80"),
        }
        np.savez(stream, **{**arrays, **left_out})


def join(parts: Sequence[NDArray[Any]], dtype: Any, shape: tuple[int, ...] = (0,)) -> NDArray[Any]:
    """Concatenate arrays; none at all give an empty one of a dtype and shape."""
    return np.concatenate([*parts]) if parts else np.empty(shape, dtype=dtype)


def read_shard(path: Path) -> dict[str, NDArray[Any]]:
    """Read all arrays of a shard.

    Raises
    ------
    DataIntegrityError
        If it is damaged.
    """
    with _opened(path) as shard:
        return {name: shard[name] for name in shard.files}


class Shards:
    """All shards of a stage, read in object-id order.

    Parameters
    ----------
    directory : pathlib.Path
        Holds the ``.npz`` shards in one folder per scan or tract.

    Attributes
    ----------
    object_id : ndarray of int64, shape (n,)
        All objects that have a result, ascending.
    columns : dict of str to ndarray, shape (n,)
        Arrays of one dimension, in that order.
    files : list of pathlib.Path
        The shards.
    counts : list of int
        Objects of each.
    dropped, notes : list of (int, str)
        Objects without a result, and why; objects whose result lacks something, and what.
    """

    def __init__(self, directory: Path) -> None:
        self.files = sorted(directory.glob("*/*.npz"))
        self._smalls = small = [_columns(path) for path in self.files]
        self.counts = [len(s[_KEY]) for s in small]
        ids = join([s[_KEY] for s in small], np.int64)
        order = np.argsort(ids, kind="stable")
        self.object_id = ids[order].astype(np.int64)
        names = [n for n in (small[0] if small else {}) if n not in (_KEY, *_ASIDE)]
        self.columns = {name: join([s[name] for s in small], np.float32)[order] for name in names}
        self._file = np.repeat(np.arange(len(small)), [len(s[_KEY]) for s in small])[order]
        rows = [np.arange(len(s[_KEY])) for s in small]
        self._row = join(rows, np.int64)[order].astype(np.int64)
        self.dropped = self._told("dropped")
        self.notes = self._told("noted")

    def forget_empty(self) -> None:
        """Remove the shards that dropped more objects than they kept: they are made again."""
        for path, small in zip(self.files, self._smalls, strict=True):
            if len(small["dropped_id"]) > len(small[_KEY]):
                path.unlink()

    def forget_noted(self) -> None:
        """Remove the shards of which most objects lack something: they are made again."""
        for path, small in zip(self.files, self._smalls, strict=True):
            if 2 * len(small["noted_id"]) > len(small[_KEY]):
                path.unlink()

    def _told(self, kind: str) -> list[tuple[int, str]]:
        return sorted(
            (int(i), str(reason))
            for small in self._smalls
            for i, reason in zip(small[f"{kind}_id"], small[f"{kind}_reason"], strict=True)
        )

    def blocks(self, size: int = 256) -> Iterator[NDArray[np.float32]]:
        """Yield pixels (up to ``size``, bands, rows, columns) in the order of ``object_id``."""
        images = _Images(self.files)
        for start in range(0, len(self.object_id), size):
            files, rows = self._file[start : start + size], self._row[start : start + size]
            runs = np.split(np.arange(len(files)), np.flatnonzero(np.diff(files)) + 1)
            yield np.concatenate([images.of(int(files[run[0]]))[rows[run]] for run in runs])


class _Images:
    """Pixels of shards: read whole at the first touch, which checks them, mapped at later ones.

    Ids of one tile mostly follow one another, and then a shard is touched once.  Where they follow
    right ascension, neighbouring tiles take turns: a row is then read alone, not with its shard.
    """

    def __init__(self, files: Sequence[Path]) -> None:
        self._files = files
        self._whole: tuple[int, NDArray[np.float32]] | None = None
        self._checked: set[int] = set()
        self._mapped: dict[int, NDArray[np.float32]] = {}

    def of(self, number: int) -> NDArray[np.float32]:
        """Pixels of a shard, (n, bands, rows, columns)."""
        if self._whole is not None and self._whole[0] == number:
            return self._whole[1]
        if number not in self._checked:
            self._whole = (number, _array(self._files[number], "image"))
            self._checked.add(number)
            return self._whole[1]
        if number not in self._mapped:
            if len(self._mapped) >= _MOST_MAPS:
                del self._mapped[next(iter(self._mapped))]
            self._mapped[number] = _map(self._files[number], "image")
        return self._mapped[number]


def _columns(path: Path) -> dict[str, NDArray[Any]]:
    """Read the arrays of one dimension; the others are told by their headers, unread."""
    with _opened(path) as shard:
        return {name: shard[name] for name in shard.files if _dimensions(shard, name) == 1}


def _dimensions(shard: np.lib.npyio.NpzFile, name: str) -> int:
    assert shard.zip is not None
    with shard.zip.open(f"{name}.npy") as stream:
        version = np.lib.format.read_magic(stream)
        read = np.lib.format.read_array_header_1_0
        if version != (1, 0):
            read = np.lib.format.read_array_header_2_0
        return len(read(stream)[0])


def _array(path: Path, name: str) -> NDArray[np.float32]:
    with _opened(path) as shard:
        values: NDArray[np.float32] = shard[name]
        return values


def _map(path: Path, name: str) -> NDArray[np.float32]:
    """Map an array of a shard, whose members are stored as they are."""
    with _opened(path) as shard, path.open("rb") as file:
        assert shard.zip is not None
        member = shard.zip.getinfo(f"{name}.npy")
        # The local header repeats name and extra field, in lengths of its own (APPNOTE 4.3.7).
        file.seek(member.header_offset + 26)
        lengths = struct.unpack("<HH", file.read(4))
        file.seek(member.header_offset + 30 + sum(lengths))
        np.lib.format.read_magic(file)
        shape, _, dtype = np.lib.format.read_array_header_1_0(file)
        return np.memmap(path, dtype, "r", offset=file.tell(), shape=shape)


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[np.lib.npyio.NpzFile]:
    try:
        with np.load(path, allow_pickle=False) as shard:
            yield shard
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise DataIntegrityError(
            f"the shard {path} is damaged ({error}): run the build again with --from "
            f"{_stage(path)}",
            file=str(path),
        ) from error


def _stage(path: Path) -> str:
    """Stage that made a shard: ``<stage>[.partial]/shards/<tract>/<name>.npz``."""
    return path.parents[2].name.removesuffix(".partial")
