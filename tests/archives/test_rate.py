"""The rate limit: no window holds more requests than it may, over threads, processes, restarts."""

from __future__ import annotations

import multiprocessing
import pickle
import threading
import time
from pathlib import Path

from galaxyds.archives.rate import Clock, RateLimit


def densest(times, window):
    """Most requests in any sliding window."""
    times = sorted(times)
    return max(sum(start <= t < start + window for t in times) for start in times)


def test_threads_share_it(fake_time):
    limit = RateLimit(1.02, clock=fake_time.clock)
    slots, lock = [], threading.Lock()

    def work():
        for _ in range(10):
            with limit._lock:
                slot = limit._book("h")
            with lock:
                slots.append(slot)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(slots) == 80
    assert densest(slots, 60) <= 60
    assert densest(slots, 1.0) == 1


def test_it_waits_for_its_slot(fake_time):
    limit = RateLimit(2.0, clock=fake_time.clock)
    for _ in range(3):
        limit.wait("a")
    limit.wait("b")
    assert fake_time.pauses == [2.0, 2.0]


def test_a_restart_keeps_to_it(fake_time, tmp_path):
    RateLimit(5.0, tmp_path, clock=fake_time.clock).wait("host:80")
    RateLimit(5.0, tmp_path, clock=fake_time.clock).wait("host:80")
    assert fake_time.pauses == [5.0]


def test_a_clock_set_back_does_not_stop_the_build(fake_time, tmp_path):
    RateLimit(5.0, tmp_path, clock=fake_time.clock).wait("host")
    fake_time.time -= 86_400
    RateLimit(5.0, tmp_path, clock=fake_time.clock).wait("host")
    assert fake_time.pauses == []


def test_a_folder_that_cannot_be(fake_time, tmp_path):
    (tmp_path / "file").write_text("")
    limit = RateLimit(5.0, tmp_path / "file" / "rate", clock=fake_time.clock)
    limit.wait("h")
    limit.wait("h")
    assert fake_time.pauses == [5.0]


def _worker(directory, out):
    limit = RateLimit(0.02, Path(directory))
    for _ in range(10):
        limit.wait("host")
        out.put(time.time())


def test_processes_share_it(tmp_path):
    context = multiprocessing.get_context("spawn")
    out = context.Queue()
    workers = [context.Process(target=_worker, args=(str(tmp_path), out)) for _ in range(3)]
    for worker in workers:
        worker.start()
    times = [out.get(timeout=60) for _ in range(30)]
    for worker in workers:
        worker.join()
    # 30 slots of 0.02 s: the last one cannot be earlier, however many processes ask.
    assert max(times) - min(times) >= 29 * 0.02 - 0.02


def test_it_travels(tmp_path):
    limit = pickle.loads(pickle.dumps(RateLimit(0.5, tmp_path)))
    assert (limit.interval, limit.directory) == (0.5, tmp_path)
    assert limit.clock == Clock()
    limit.wait("h")
