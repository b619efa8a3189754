"""Shuffled batches, gathered ahead by a thread into a ring of buffers that are used again.

Worker processes must copy every batch between processes, and fresh memory for every batch costs
more than the copy into it; a thread that fills reused buffers has neither cost, since the gather
runs without the interpreter's lock.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import numpy as np

from galaxyds.errors import UsageError
from galaxyds.loaders.dataset import GalaxyDataset, Sample, collate
from galaxyds.loaders.gather import empty_images

if TYPE_CHECKING:
    from numpy.typing import NDArray

Ring = list["NDArray[np.float32]"]
_STOP = None


class BatchLoader:
    """Iterate over a dataset in batches; each iteration is one epoch.

    **Lifetime of a batch.** The pixels of a batch live in a buffer of the ring.  They are valid
    until the next batch is asked for; then the buffer may be filled again.  Copy what must live
    longer (``batch["image"].clone()``; a copy to a GPU must be finished, not only queued), or pass
    ``fresh=True`` for new memory with every batch.  Columns are always new.

    Parameters
    ----------
    dataset : GalaxyDataset
        What to read.  If it has a ``transform``, samples go through it one by one into new memory.
    batch_size : int
        Objects per batch.
    shuffle : bool
        A new order in every epoch, from ``seed`` and the number of the epoch.
    seed : int
        Not negative.
    drop_last : bool
        Leave out a last batch that is smaller.
    ring : int
        Number of buffers, at least 2; 1 reads in the caller's thread, without a prefetch thread.
    fresh : bool
        New memory for every batch.

    Attributes
    ----------
    epoch : int
        Number of the next epoch; set it to resume.

    Raises
    ------
    UsageError
        If a size is not positive.
    """

    def __init__(
        self,
        dataset: GalaxyDataset,
        batch_size: int = 256,
        *,
        shuffle: bool = True,
        seed: int = 0,
        drop_last: bool = False,
        ring: int = 3,
        fresh: bool = False,
    ) -> None:
        if batch_size < 1 or ring < 1 or seed < 0:
            raise UsageError(
                f"batch_size and ring must be positive and seed not negative, got {batch_size}, "
                f"{ring}, {seed}"
            )
        self.dataset, self.batch_size, self.seed = dataset, batch_size, seed
        self.shuffle, self.drop_last, self.ring, self.fresh = shuffle, drop_last, ring, fresh
        self.epoch = 0
        self._idle: list[Ring] = []

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
        # Rings outlive an epoch: their pages are faulted in once.
        ring = self._idle.pop() if self._idle else self._new_ring()
        try:
            yield from (
                _prefetched(batches, ring, self._read)
                if self.ring > 1
                else (self._read(rows, ring[0]) for rows in batches)
            )
        finally:
            self._idle.append(ring)

    def order(self, epoch: int) -> NDArray[np.int64]:
        """Positions in the order of an epoch; the same for the same seed and epoch, anywhere."""
        if not self.shuffle:
            return np.arange(len(self.dataset))
        return np.random.default_rng([self.seed, epoch]).permutation(len(self.dataset))

    def _new_ring(self) -> Ring:
        if self.fresh or self.dataset.transform is not None:
            return [np.empty((0, *self.dataset.image_shape), np.float32)] * self.ring
        rows = min(self.batch_size, max(len(self.dataset), 1))
        return [empty_images((rows, *self.dataset.image_shape)) for _ in range(self.ring)]

    def _read(self, positions: NDArray[np.int64], buffer: NDArray[np.float32]) -> Sample:
        if self.dataset.transform is not None:
            return collate(self.dataset.__getitems__(positions.tolist()))
        out = None if self.fresh else buffer[: len(positions)]
        return self.dataset.batch(positions, out=out)


def _prefetched(
    batches: list[NDArray[np.int64]],
    ring: Ring,
    read: Callable[[NDArray[np.int64], NDArray[np.float32]], Sample],
) -> Iterator[Sample]:
    """Yield batches that a thread reads ahead; end the thread whatever ends the iteration."""
    free: queue.SimpleQueue[int | None] = queue.SimpleQueue()
    ready: queue.SimpleQueue[tuple[int, Sample] | BaseException] = queue.SimpleQueue()
    stopped = threading.Event()

    def work() -> None:
        try:
            for rows in batches:
                slot = free.get()
                if slot is _STOP or stopped.is_set():
                    return
                ready.put((slot, read(rows, ring[slot])))
        except BaseException as error:  # raised again where the batch is asked for
            ready.put(error)

    for slot in range(len(ring)):
        free.put(slot)
    thread = threading.Thread(target=work, name="galaxyds-prefetch", daemon=True)
    thread.start()
    try:
        for _ in batches:
            answer = ready.get()
            if isinstance(answer, BaseException):
                raise answer
            yield answer[1]
            free.put(answer[0])
    finally:
        stopped.set()
        free.put(_STOP)
        thread.join()
