"""The CSV of a catalogue job: long, with its header behind a comment mark."""

from __future__ import annotations

from pathlib import Path
from typing import IO, NamedTuple

import pyarrow as pa
import pyarrow.csv

from galaxyds.errors import ArchiveError, one_line

_LONGEST_LINE = 1 << 20
_BLOCK = 4 << 20


class Lines(NamedTuple):
    """A file of text and its number of lines."""

    path: Path
    number: int


def read_lines(lines: Lines, scratch: Path, *, service: str) -> pa.Table:
    """Read a CSV into columns of text that lie in a file: memory holds what is looked at.

    The header is the last of the lines that begin with ``#``, or the first line where none does.

    Parameters
    ----------
    lines : Lines
        The CSV.
    scratch : pathlib.Path
        File for the columns; it may be removed once the table is there.
    service : str
        For messages.

    Returns
    -------
    pyarrow.Table
        All columns are strings; an empty cell is an empty text.

    Raises
    ------
    ArchiveError
        If lines have different numbers of fields, or quotes swallow lines, or names repeat.
    OSError
        If a file cannot be written.
    """
    with lines.path.open("rb") as file:
        names, heads = _header(file, service)
        columns = pa.schema([(name, pa.string()) for name in names])
        if lines.number == heads:
            return columns.empty_table()
        try:
            _convert(file, columns, scratch)
        except pa.ArrowInvalid as error:
            raise _nonsense(service, one_line(str(error), 160)) from None
    with pa.memory_map(str(scratch)) as mapped:
        table = pa.ipc.open_file(mapped).read_all()
    if table.num_rows != lines.number - heads:
        raise _nonsense(
            service, f"{lines.number - heads} lines hold {table.num_rows} rows: broken quotes"
        )
    return table


def _header(file: IO[bytes], service: str) -> tuple[list[str], int]:
    """Names of the columns and the number of lines above the first row, to which it moves."""
    heads, line = 1, file.readline(_LONGEST_LINE)
    while line.startswith(b"#"):
        place, following = file.tell(), file.readline(_LONGEST_LINE)
        if not following.startswith(b"#"):
            file.seek(place)
            break
        heads, line = heads + 1, following
    text = line.decode("utf-8", "replace").lstrip("#")
    names = [name.strip().strip('"') for name in text.split(",")]
    if len(set(names)) != len(names) or not all(names):
        raise _nonsense(service, f"its header line is '{one_line(text, 120)}'")
    return names, heads


def _convert(file: IO[bytes], columns: pa.Schema, scratch: Path) -> None:
    reader = pyarrow.csv.open_csv(
        file,
        read_options=pyarrow.csv.ReadOptions(
            column_names=columns.names, use_threads=False, block_size=_BLOCK
        ),
        parse_options=pyarrow.csv.ParseOptions(ignore_empty_lines=False),
        convert_options=pyarrow.csv.ConvertOptions(
            column_types=dict.fromkeys(columns.names, pa.string()), strings_can_be_null=False
        ),
    )
    with pa.OSFile(str(scratch), "wb") as sink, pa.ipc.new_file(sink, columns) as writer:
        for batch in reader:
            writer.write_batch(batch)


def _nonsense(service: str, what: str) -> ArchiveError:
    return ArchiveError(
        f"{service} answers with a table that cannot be right: {what}",
        service=service, url="", status=200, answer=what,
    )  # fmt: skip
