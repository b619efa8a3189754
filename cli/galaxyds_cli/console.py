"""Writing to the terminal: foreign text is never taken for markup."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterable, Sequence
from typing import Any

import typer

from galaxyds.errors import GalaxydsError
from galaxyds.shown import visible

_REMEMBERED = 1000
_ERROR_PAUSE = 60.0
"""Seconds after which an error that happens again is told again."""


class Once(logging.Filter):
    """Let each message pass once: a verb that opens three splits warns of their build once.

    An error passes again after a minute, and so does what was told before the last thousand
    messages: a server runs for weeks.
    """

    def __init__(self) -> None:
        super().__init__()
        self._told: dict[str, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether the message is new, or an error that was not told for a minute."""
        message = record.getMessage()
        before = self._told.get(message)
        is_error = record.levelno >= logging.ERROR
        if before is not None and not (is_error and record.created - before >= _ERROR_PAUSE):
            return False
        self._told.pop(message, None)
        self._told[message] = record.created
        if len(self._told) > _REMEMBERED:
            del self._told[next(iter(self._told))]
        return True


def is_quiet() -> bool:
    """Whether ``--quiet`` was given: nothing but results and errors is written."""
    return any(handler.level >= logging.ERROR for handler in logging.getLogger("galaxyds").handlers)


def show_error(error: GalaxydsError) -> None:
    """Write an error as one line on standard error."""
    typer.echo(f"galaxyds: {visible(str(error), limit=1200)}", err=True)


def show_json(value: Any) -> None:
    """Write a value as JSON on standard output."""
    typer.echo(json.dumps(value, indent=2, ensure_ascii=False, default=str))


def show_table(
    header: Sequence[str], rows: Iterable[Sequence[str]], *, right: Sequence[int] = ()
) -> None:
    """Write an aligned table on standard output.

    Parameters
    ----------
    header : sequence of str
        Names of the columns.
    rows : iterable of sequence of str
        Cells; shown as they are.
    right : sequence of int
        Columns that are right-aligned.
    """
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold")
    for number, name in enumerate(header):
        table.add_column(name, justify="right" if number in right else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text(visible(cell, limit=2000)) for cell in row))
    width = None if sys.stdout.isatty() else 110
    Console(file=sys.stdout, width=width, markup=False, highlight=False, emoji=False).print(table)
