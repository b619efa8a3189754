"""What a fetch or a push tells the outside while it runs."""

from __future__ import annotations

import logging
from typing import Protocol

_log = logging.getLogger(__name__)


class Watcher(Protocol):
    """Hears of steps and of progress within one."""

    def stage(self, name: str, state: str, detail: str = "") -> None:
        """Hear that a step is ``started`` or ``done``."""

    def progress(self, done: int, total: int, unit: str) -> None:
        """Hear how much of the running step is finished."""


class LogWatcher:
    """Writes steps to the log."""

    def stage(self, name: str, state: str, detail: str = "") -> None:
        """Log the step's new state; a start that has more to say is seen without asking."""
        level = logging.WARNING if state == "started" and detail else logging.INFO
        _log.log(level, "%s: %s%s", name, state, f" ({detail})" if detail else "")

    def progress(self, done: int, total: int, unit: str) -> None:
        """Pass over it."""
