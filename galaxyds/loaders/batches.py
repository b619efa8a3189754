"""Shuffled batches, gathered ahead by a thread into memory that is used again.

Worker processes must copy every batch between processes, and fresh memory for every batch costs
more than the copy into it.  A thread that fills used memory has neither cost, since the gather runs
without the interpreter's lock.  A batch is gathered in parts: a caller that has to wait for one
takes parts too, so that a fast consumer gets two threads and a slow one is left alone.
"""

from __future__ import annotations

import math
import queue
import threading
import weakref
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import torch

from galaxyds.errors import UsageError
from galaxyds.loaders.dataset import GalaxyDataset, Sample, collate
from galaxyds.loaders.gather import empty_images

if TYPE_CHECKING:
    from numpy.typing import NDArray

_PART_BYTES = 2 << 20
"""Pixels per part of a batch: a few per batch, each much longer than handing it out takes."""


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
        Batches read ahead by a thread; 0 reads in the caller's thread.  Two deliver the most
        (``benchmarks/loaders.py``); with one, a model that computes on the same cores sometimes
        keeps a few percent more of its speed, and one batch less is in memory.

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
        return self.read(
            [
                order[start : start + self.batch_size]
                for start in range(0, len(self) * self.batch_size, self.batch_size)
            ]
        )

    def read(self, batches: Sequence[NDArray[np.int64]]) -> Iterator[Sample]:
        """Iterate over batches of one's own choice, read ahead as those of an epoch.

        Parameters
        ----------
        batches : sequence of ndarray of int64, shape (k,)
            Positions in the dataset, not checked; at most ``batch_size`` each.

        Returns
        -------
        iterator of dict
            One batch for each.
        """
        if not self.prefetch:
            return (self._begin(positions).finish() for positions in batches)
        return _read_ahead(batches, self._begin, self.prefetch)

    def order(self, epoch: int) -> NDArray[np.int64]:
        """Positions in the order of an epoch; the same for the same seed and epoch, anywhere."""
        if not self.shuffle:
            return np.arange(len(self.dataset))
        return np.random.default_rng([self.seed, epoch]).permutation(len(self.dataset))

    def _begin(self, positions: NDArray[np.int64]) -> _Job:
        if self.dataset.transform is not None:
            batch: Sample = {}
            return _Job(batch, [partial(self._transformed, positions, batch)])
        pixels = self._pool.take(len(positions))
        batch = {"image": torch.from_numpy(pixels), **self.dataset.values(positions)}
        size = max(1, _PART_BYTES // (4 * math.prod(self.dataset.image_shape)))
        slices = [slice(k, k + size) for k in range(0, len(positions), size)]
        gather = self.dataset.gather
        return _Job(batch, [partial(gather, positions[part], pixels[part]) for part in slices])

    def _transformed(self, positions: NDArray[np.int64], batch: Sample) -> None:
        batch.update(collate(self.dataset.__getitems__(positions.tolist())))


class _Job:
    """A batch that is being read, in parts that any thread may take."""

    def __init__(self, batch: Sample, parts: list[Callable[[], None]]) -> None:
        self._batch = batch
        self._parts = deque(parts)
        self._left = len(parts)
        self._lock = threading.Lock()
        self._done = threading.Event()
        self._error: BaseException | None = None

    def help(self) -> None:
        """Take parts until none is left; others may still be at work on theirs."""
        while self._parts:
            try:
                part = self._parts.popleft()
            except IndexError:  # another thread took the last one
                return
            try:
                part()
            except BaseException as error:  # raised again by `finish`
                self._error = error
            with self._lock:
                self._left -= 1
                if not self._left:
                    self._done.set()

    def finish(self) -> Sample:
        """Do or await what is left; return the batch or raise what went wrong."""
        self.help()
        self._done.wait()
        if self._error is not None:
            raise self._error
        return self._batch


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


def _read_ahead(
    batches: Sequence[NDArray[np.int64]], begin: Callable[[NDArray[np.int64]], _Job], ahead: int
) -> Iterator[Sample]:
    """Yield batches that a thread reads; end the thread whatever ends the iteration."""
    ready: queue.SimpleQueue[Sample | BaseException] = queue.SimpleQueue()
    current: deque[_Job] = deque(maxlen=1)
    room = threading.Semaphore(ahead)
    stopped = threading.Event()

    def work() -> None:
        try:
            for positions in batches:
                room.acquire()
                if stopped.is_set():
                    return
                job = begin(positions)
                current.append(job)
                ready.put(job.finish())
                current.clear()
                del job  # it holds the batch, whose memory comes back when nothing does
        except BaseException as error:  # raised again where the batch is asked for
            ready.put(error)

    thread = threading.Thread(target=work, name="galaxyds-prefetch", daemon=True)
    thread.start()
    try:
        for _ in batches:
            answer = _await(ready, current)
            if isinstance(answer, BaseException):
                raise answer
            room.release()
            yield answer
            del answer
    finally:
        stopped.set()
        room.release()
        thread.join()


def _await(
    ready: queue.SimpleQueue[Sample | BaseException], current: deque[_Job]
) -> Sample | BaseException:
    """Return the next batch; instead of waiting for it, help to read it."""
    if ready.empty():
        for job in tuple(current):
            job.help()
    return ready.get()
