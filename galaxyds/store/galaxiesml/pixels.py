"""Pixels of one published file: what they must be, and reading them in runs of rows."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import h5py
import numpy as np

from galaxyds.errors import one_line
from galaxyds.store.galaxiesml.names import refused
from galaxyds.store.hdf5 import IMAGE

if TYPE_CHECKING:
    from numpy.typing import NDArray

_READ = 16 << 20
"""Bytes that are read at once from a file, where its chunks allow it."""
_DEEPEST = 64 << 20
"""Bytes up to which a whole row of chunks is read at once."""
_MOST_ROWS = 10_000_000
_FEW = 8
"""Rows below which a run is read in one call, whatever the chunks."""


def published_image(path: Path, file: h5py.File, shape: tuple[int, int, int]) -> h5py.Dataset:
    """Return the pixels of a file after a look at their shape and at what was written of them.

    Parameters
    ----------
    path : pathlib.Path
        For messages.
    file : h5py.File
        Opened by :func:`galaxyds.store.hdf5.safe_open`.
    shape : (int, int, int)
        Bands, rows, columns of a cutout.

    Returns
    -------
    h5py.Dataset
        Floating point, shape (n, bands, rows, columns).

    Raises
    ------
    DataIntegrityError
        If there is none of that shape.
    """
    image = file.get(IMAGE)
    if not isinstance(image, h5py.Dataset):
        raise refused(path, f"there is no {IMAGE}")
    if image.ndim != 4 or image.shape[1:] != tuple(shape):
        raise refused(path, f"{IMAGE} has shape {image.shape}, expected (n, {shape})")
    if image.dtype.kind != "f":
        raise refused(path, f"{IMAGE} is {image.dtype}, expected float32")
    if image.shape[0] > _MOST_ROWS:
        raise refused(path, f"{IMAGE} has {image.shape[0]} rows")
    plain = image.id.get_create_plist().get_nfilters() == 0
    if plain and image.id.get_storage_size() < image.nbytes:
        raise refused(path, f"{IMAGE} was not written to its end")
    return image


class RunReader:
    """Rows of ``image`` of one file, a run of whole chunks at a time.

    Parameters
    ----------
    path : pathlib.Path
        For messages.
    file : h5py.File
        Opened by :func:`galaxyds.store.hdf5.safe_open`.
    shape : (int, int, int)
        Bands, rows, columns of a cutout.
    ahead : bool
        Whether rows will be asked for from first to last: then more than was asked for is read.

    Raises
    ------
    DataIntegrityError
        If ``image`` has another shape.
    """

    def __init__(
        self, path: Path, file: h5py.File, *, shape: tuple[int, int, int], ahead: bool
    ) -> None:
        name = published_image(path, file, shape).name.encode()
        # Without a chunk cache HDF5 reads the wanted part of a chunk straight into our buffer.
        access = h5py.h5p.create(h5py.h5p.DATASET_ACCESS)
        access.set_chunk_cache(1, 0, 1.0)
        self.path, self.ahead = path, ahead
        self.image = h5py.Dataset(h5py.h5d.open(file.id, name, access))
        self.step, self.boxes = _step(self.image), _boxes(self.image)
        self.begin = 0
        self.buffer = self.nothing = np.empty((0, *shape), dtype="<f4")

    def take(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return rows of the file, in the order asked for.

        Parameters
        ----------
        rows : ndarray of int64, shape (k,), k > 0
            Each at most once.

        Returns
        -------
        ndarray of float32, shape (k, bands, rows, columns)
            A new array.

        Raises
        ------
        DataIntegrityError
            If the file cannot be read.
        """
        order = np.argsort(rows, kind="stable")
        runs = np.split(rows[order], np.flatnonzero(np.diff(rows[order]) != 1) + 1)
        result = np.empty((len(rows), *self.image.shape[1:]), dtype="<f4")
        done = 0
        for run in runs:
            for piece in self._pieces(int(run[0]), int(run[-1]) + 1):
                result[order[done : done + len(piece)]] = piece
                done += len(piece)
        return result

    def _pieces(self, first: int, stop: int) -> Iterator[NDArray[np.float32]]:
        while first < stop:
            if not self.begin <= first < self.begin + len(self.buffer):
                self._load(first, stop)
            piece = self.buffer[first - self.begin : stop - self.begin]
            yield piece
            first += len(piece)

    def _load(self, first: int, stop: int) -> None:
        """Fill the buffer from ``first``'s own chunk on, or with no more than is asked for."""
        begin = first // self.step * self.step if self.ahead else first
        end = min(begin + self.step, len(self.image) if self.ahead else stop)
        self.buffer = self.nothing  # its memory first
        buffer = np.empty((end - begin, *self.image.shape[1:]), dtype="<f4")
        boxes = self.boxes if len(buffer) >= _FEW else self.boxes[:0]
        try:
            for box in boxes:
                buffer[:, *box] = self._box(begin, len(buffer), box)
            if not boxes:
                self.image.read_direct(buffer, np.s_[begin:end])
        except (OSError, RuntimeError, ValueError) as error:
            raise refused(self.path, one_line(str(error))) from error
        self.begin, self.buffer = begin, buffer

    def _box(self, begin: int, rows: int, box: tuple[slice, ...]) -> NDArray[np.float32]:
        """Read one column of chunks: its bytes lie together there and in the array."""
        piece = np.empty((rows, *(side.stop - side.start for side in box)), dtype="<f4")
        wanted = self.image.id.get_space()
        wanted.select_hyperslab((begin, *(side.start for side in box)), piece.shape)
        self.image.id.read(h5py.h5s.create_simple(piece.shape), wanted, piece)
        return piece


def _step(image: h5py.Dataset) -> int:
    """Rows to read at once: whole chunks, where a row of chunks is not too large."""
    row = max(4 * int(np.prod(image.shape[1:])), 1)
    depth = image.chunks[0] if image.chunks else 1
    if depth * row > _DEEPEST:
        return max(_DEEPEST // row, 1)
    return max(_READ // (depth * row), 1) * depth


def _boxes(image: h5py.Dataset) -> list[tuple[slice, ...]]:
    """Bands, rows, columns of the chunks of a cutout; none if a chunk holds whole cutouts.

    HDF5 chooses chunks of a few pixels and thousands of cutouts when it is not told.  Such a file
    is read thirty times faster column of chunks by column of chunks than in one call.
    """
    if image.chunks is None or image.chunks[1:] == image.shape[1:]:
        return []
    sides = zip(image.shape[1:], image.chunks[1:], strict=True)
    cuts = [[slice(at, min(at + step, n)) for at in range(0, n, step)] for n, step in sides]
    return list(itertools.product(*cuts))
