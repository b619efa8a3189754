"""What a build tells the outside while it runs."""

from __future__ import annotations

import logging
import time
from typing import Protocol

LOG = logging.getLogger("galaxyds.build")


class Reporter(Protocol):
    """Hears of stages, of progress within one, and of things a person should know."""

    def stage(self, name: str, state: str, detail: str = "") -> None:
        """Hear that a stage is ``started``, ``done`` or ``skipped``."""

    def progress(self, done: int, total: int, unit: str) -> None:
        """Hear how much of the running stage is finished."""

    def note(self, text: str) -> None:
        """Hear of something worth knowing."""


class LogReporter:
    """Writes to the log, with a progress line at most every ``period`` seconds."""

    def __init__(self, period: float = 30.0) -> None:
        self._period = period
        self._last = time.monotonic()

    def stage(self, name: str, state: str, detail: str = "") -> None:
        """Log the stage's new state."""
        LOG.info("%s: %s%s", name, state, f" ({detail})" if detail else "")
        self._last = time.monotonic()

    def progress(self, done: int, total: int, unit: str) -> None:
        """Log a line if the last one is old, or at the end."""
        now = time.monotonic()
        if now - self._last >= self._period or done == total:
            self._last = now
            LOG.info("%d of %d %s", done, total, unit)

    def note(self, text: str) -> None:
        """Log a warning."""
        LOG.warning("%s", text)


class Both:
    """Passes everything on to several reporters."""

    def __init__(self, *reporters: Reporter) -> None:
        self._reporters = reporters

    def stage(self, name: str, state: str, detail: str = "") -> None:
        """Pass on."""
        for reporter in self._reporters:
            reporter.stage(name, state, detail)

    def progress(self, done: int, total: int, unit: str) -> None:
        """Pass on."""
        for reporter in self._reporters:
            reporter.progress(done, total, unit)

    def note(self, text: str) -> None:
        """Pass on."""
        for reporter in self._reporters:
            reporter.note(text)
