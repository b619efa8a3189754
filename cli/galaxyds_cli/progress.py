"""Progress on a terminal: one bar for the running stage; plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import TextIO

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from galaxyds.errors import one_line
from galaxyds_cli.console import is_quiet


def terminal_reporter() -> TerminalReporter:
    """Return the reporter of a verb: on standard error, silent with ``--quiet``."""
    return TerminalReporter(sys.stderr, quiet=is_quiet())


class TerminalReporter:
    """Shows a build's progress.

    Parameters
    ----------
    stream : file
        Where to write; bars are drawn only if it is a terminal.
    period : float
        Seconds between two plain lines.
    quiet : bool
        Write nothing.
    """

    def __init__(self, stream: TextIO, period: float = 20.0, *, quiet: bool = False) -> None:
        self._console = Console(
            file=stream, markup=False, highlight=False, emoji=False, quiet=quiet
        )
        self._bars = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TextColumn("{task.fields[shown]}", markup=False),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=self._console,
            transient=True,
            disable=quiet or not self._console.is_terminal,
        )
        self._stage = ""
        self._begun = self._last = time.monotonic()
        self._period = period

    def __enter__(self) -> TerminalReporter:
        self._bars.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bars.stop()

    def stage(self, name: str, state: str, detail: str = "") -> None:
        """Write a line for a stage that ended; start a bar for one that begins."""
        if state == "started":
            self._stage, self._begun = name, time.monotonic()
            self._last = self._begun
            # A bar without an end: the stage may never say how far it is.
            self._bars.add_task(name, total=None, shown="")
            return
        self._clear()
        taken = "" if state == "skipped" else f" [{time.monotonic() - self._begun:.1f} s]"
        mark = "-" if state == "skipped" else "*"
        self._line(f"{mark} {name:<12} {detail}{taken}")

    def progress(self, done: int, total: int, unit: str) -> None:
        """Move the bar, or write a line now and then."""
        if not self._console.is_terminal:
            now = time.monotonic()
            if now - self._last >= self._period:
                self._last = now
                self._line(f"  {self._stage:<12} {done:,} of {total:,} {unit}")
            return
        shown = f"{done:,} of {total:,} {unit}"
        self._bars.update(self._bars.tasks[0].id, completed=done, total=total, shown=shown)

    def note(self, text: str) -> None:
        """Write a line that stays."""
        self._line(f"! {one_line(text, limit=600)}")

    def _clear(self) -> None:
        for task in list(self._bars.tasks):
            self._bars.remove_task(task.id)

    def _line(self, text: str) -> None:
        self._console.print(Text(text), soft_wrap=True)
