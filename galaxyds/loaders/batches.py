"""Shuffled batches, gathered ahead by a thread into memory that is used again.

Worker processes must copy every batch between processes, and fresh memory for every batch costs
more than the copy into it.  A thread that fills used memory has neither cost, since the gather runs
without the interpreter's lock.
"""

from __future__ import annotations

import queue
import threading
import weakref
from collections import deque
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import numpy as np

from galaxyds.errors import UsageError
from galaxyds.loaders.dataset import GalaxyDataset, Sample, collate
from galaxyds.loaders.gather import empty_images

if TYPE_CHECKING:
    from numpy.typing import NDArray

_Read = Callable[["NDArray[np.int64]"], Sample]


class BatchLoader:
    """Iterate over a dataset in batches; each iteration is one epoch.

    **Lifetime of a batch.** A batch is valid for as long as something refers to it; then its
    memory is filled again.  A loop that drops each batch before it keeps the next but one works in
    ``prefetch`` + 2 buffers; one that collects batches gets new memory for each.

    Parameters
    ----------
    dataset : GalaxyDataset
        What to read.  If it has a ``transform``, samples go through it one by one.
    batch_size : int
        Objects per batch.
    shuffle : bool
        A new order in every epoch, from ``seed`` and the number of the epoch.
    seed : int
        Not negative.
    drop_last : bool
        Leave out a last batch that is smaller.
    prefetch : int
        Batches read ahead by a thread; 0 reads in the caller's thread.

    Attributes
    ----------
    epoch : int
        Number of the next epoch; set it to resume.

    Raises
    ------
    UsageError
        If a number is out of range.
    """

    def __init__(
        self,
        dataset: GalaxyDataset,
        batch_size: int = 256,
        *,
        shuffle: bool = True,
        seed: int = 0,
        drop_last: bool = False,
        prefetch: int = 2,
    ) -> None:
        if batch_size < 1 or prefetch < 0 or seed < 0:
            raise UsageError(
                "batch_size must be positive, prefetch and seed not negative, got "
                f"{batch_size}, {prefetch}, {seed}"
            )
        self.dataset, self.batch_size, self.seed = dataset, batch_size, seed
        self.shuffle, self.drop_last, self.prefetch = shuffle, drop_last, prefetch
        self.epoch = 0
        rows = min(batch_size, max(len(dataset), 1))
        self._pool = _Pool((rows, *dataset.image_shape), keep=prefetch + 2)

    def __len__(self) -> int:
        full, rest = divmod(len(self.dataset), self.batch_size)
        return full + (rest > 0 and not self.drop_last)

    def __iter__(self) -> Iterator[Sample]:
        order = self.order(self.epoch)
        self.epoch += 1
        batches = [
            order[start : start + self.batch_size]
            for start in range(0, len(self) * self.batch_size, self.batch_size)
        ]
        if not self.prefetch:
            return map(self._read, batches)
        return _read_ahead(batches, self._read, self.prefetch)

    def order(self, epoch: int) -> NDArray[np.int64]:
        """Positions in the order of an epoch; the same for the same seed and epoch, anywhere."""
        if not self.shuffle:
            return np.arange(len(self.dataset))
        return np.random.default_rng([self.seed, epoch]).permutation(len(self.dataset))

    def _read(self, positions: NDArray[np.int64]) -> Sample:
        if self.dataset.transform is not None:
            return collate(self.dataset.__getitems__(positions.tolist()))
        return self.dataset.batch(positions, out=self._pool.take(len(positions)))


class _Pool:
    """Buffers that come back by themselves when the last reference to their pixels is gone."""

    def __init__(self, shape: tuple[int, ...], *, keep: int) -> None:
        self._shape = shape
        self._free: deque[NDArray[np.float32]] = deque(maxlen=keep)

    def take(self, rows: int) -> NDArray[np.float32]:
        """Return the first ``rows`` of a buffer that nothing else refers to."""
        try:
            buffer = self._free.pop()
        except IndexError:
            buffer = empty_images(self._shape)
        # A tensor made from this view keeps it alive; the buffer itself is never handed out.
        view = buffer[:rows]
        weakref.finalize(view, self._free.append, buffer).atexit = False
        return view


def _read_ahead(batches: list[NDArray[np.int64]], read: _Read, ahead: int) -> Iterator[Sample]:
    """Yield batches that a thread reads; end the thread whatever ends the iteration."""
    ready: queue.SimpleQueue[Sample | BaseException] = queue.SimpleQueue()
    room = threading.Semaphore(ahead)
    stopped = threading.Event()

    def work() -> None:
        try:
            for positions in batches:
                room.acquire()
                if stopped.is_set():
                    return
                ready.put(read(positions))
        except BaseException as error:  # raised again where the batch is asked for
            ready.put(error)

    thread = threading.Thread(target=work, name="galaxyds-prefetch", daemon=True)
    thread.start()
    try:
        for _ in batches:
            answer = ready.get()
            if isinstance(answer, BaseException):
                raise answer
            room.release()
            yield answer
            del answer
    finally:
        stopped.set()
        room.release()
        thread.join()
