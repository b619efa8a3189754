"""How often a host is asked: one request per interval, over all threads and processes of a user.

A host has one small file with the time of its next free slot.  Whoever wants to send takes the
file's lock, books the slot, moves the time on by one interval, and waits for the slot outside the
lock.  Times are wall-clock, so the limit holds across a restart too.
"""

from __future__ import annotations

import os
import re
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path

_HORIZON = 600.0  # a booking further ahead is not ours: the clock was set back


@dataclass(frozen=True)
class Clock:
    """Time, so that tests need not wait.

    Attributes
    ----------
    now : callable
        Seconds since the epoch.
    sleep : callable
        Waits for a number of seconds.
    """

    now: Callable[[], float] = time.time
    sleep: Callable[[float], None] = time.sleep


@dataclass
class RateLimit:
    """At most one request per ``interval`` seconds and host.

    Attributes
    ----------
    interval : float
        Seconds between two requests to one host.
    directory : pathlib.Path or None
        Where the slots are kept, shared by the processes of a user; None keeps them in this
        process alone.
    clock : Clock
        Time.
    """

    interval: float
    directory: Path | None = None
    clock: Clock = field(default_factory=Clock)
    _next: dict[str, float] = field(default_factory=dict, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def wait(self, host: str) -> None:
        """Return when the next request to ``host`` may be sent."""
        with self._lock:
            slot = self._book(host)
        pause = slot - self.clock.now()
        if pause > 0:
            self.clock.sleep(pause)

    def _book(self, host: str) -> float:
        path = self._file(host)
        with _locked(path):
            now = self.clock.now()
            free = max(_read(path) if path else 0.0, self._next.get(host, 0.0))
            slot = max(now, free) if free - now < _HORIZON else now
            self._next[host] = slot + self.interval
            if path:
                with suppress(OSError):  # a full disk: this process still keeps its own count
                    path.write_text(repr(slot + self.interval), encoding="ascii")
        return slot

    def _file(self, host: str) -> Path | None:
        if self.directory is None:
            return None
        try:
            self.directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError:
            return None
        if not os.access(self.directory, os.W_OK):
            return None  # a read-only home: each process keeps its own count
        return self.directory / f"{re.sub(r'[^A-Za-z0-9.-]', '_', host)}.slot"

    def __getstate__(self) -> dict[str, object]:
        return {"interval": self.interval, "directory": self.directory, "clock": self.clock}

    def __setstate__(self, state: dict[str, object]) -> None:
        self.__init__(**state)  # type: ignore[misc]


def _locked(path: Path | None) -> AbstractContextManager[object]:
    if path is None:
        return nullcontext()
    from filelock import FileLock

    return FileLock(f"{path}.lock")


def _read(path: Path) -> float:
    try:
        return float(path.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return 0.0
