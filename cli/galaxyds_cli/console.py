"""Writing to the terminal: foreign text is never taken for markup."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterable, Sequence
from typing import Any

import typer

from galaxyds.errors import GalaxydsError, one_line


class Once(logging.Filter):
    """Let each message pass once: a verb that opens three splits warns of their build once."""

    def __init__(self) -> None:
        super().__init__()
        self._seen: set[str] = set()

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether the message is new."""
        message = record.getMessage()
        new = message not in self._seen
        self._seen.add(message)
        return new


def is_quiet() -> bool:
    """Whether ``--quiet`` was given: nothing but results and errors is written."""
    return any(handler.level >= logging.ERROR for handler in logging.getLogger("galaxyds").handlers)


def show_error(error: GalaxydsError) -> None:
    """Write an error as one line on standard error."""
    typer.echo(f"galaxyds: {one_line(str(error), limit=1200)}", err=True)


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
        table.add_row(*(Text(one_line(cell, limit=2000)) for cell in row))
    width = None if sys.stdout.isatty() else 110
    Console(file=sys.stdout, width=width, markup=False, highlight=False, emoji=False).print(table)


def gigabytes(count: int) -> str:
    """Bytes for people."""
    for unit, size in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count} bytes"
