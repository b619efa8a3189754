"""The leaderboard as Markdown tables, for a README: foreign text escaped, no figures."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from html import escape

from galaxyds.shown import visible, web_link
from galaxyds_models.leaderboard import words
from galaxyds_models.leaderboard.collect import Board, Cell, Row
from galaxyds_models.leaderboard.columns import Column

_MARKS = re.compile(r"([\\`*_{}\[\]()#+!|~@:-])")
"""What Markdown may take for markup; ``:``, ``@`` and ``-`` stop autolinks, mentions and rules."""


def markdown(boards: Iterable[Board]) -> str:
    """Write the tables.

    Parameters
    ----------
    boards : iterable of Board
        As :func:`galaxyds_models.leaderboard.collect.collect` returns them.

    Returns
    -------
    str
        GitHub's Markdown; the same boards give the same text.
    """
    parts = [
        "# galaxyds leaderboard",
        (
            "Mean over seeds ± standard deviation over seeds (none where all agree; deterministic: "
            "they agree in every metric). "
            "dz = (z phot - z spec) / (1 + z spec)."
        ),
    ]
    last = None
    for board in boards:
        if board.place.dataset != last:
            parts.append(f"## {safe(board.place.dataset)}")
            last = board.place.dataset
        parts += _section(board)
    return "\n\n".join(parts) + "\n"


def safe(text: str) -> str:
    """Return foreign text that Markdown, and HTML inside of it, shows as it is."""
    return _MARKS.sub(r"\\\1", escape(visible(text), quote=False))


def _section(board: Board) -> list[str]:
    notes = words.footnotes(board)
    header = ["#", "model", *(_heading(column) for column in board.columns), "seeds", "code"]
    lines = [
        _line(header),
        _line(["---:", "---", *("---:" for _ in board.columns), "---:", "---"]),
        *(_line(_cells(board, row, notes)) for row in board.rows),
    ]
    parts = [f"### {safe(words.heading(board))}", safe(words.caption(board)), "\n".join(lines)]
    if left_out := words.left_out(board):
        parts.append(safe(left_out))
    if notes:
        parts.append("\n".join(f"{place}. {safe(note)}" for place, note in enumerate(notes, 1)))
    return parts


def _heading(column: Column) -> str:
    unit = f" [{column.unit}]" if column.unit else ""
    return safe(f"{column.label}{unit} {words.BETTER[column.better]}")


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _cells(board: Board, row: Row, notes: Sequence[str]) -> list[str]:
    numbers = [_number(row, column, notes) for column in board.columns]
    rank = "" if row.rank is None else str(row.rank)
    return [rank, _name(row), *numbers, str(len(row.seeds) or ""), _code(row)]


def _name(row: Row) -> str:
    details = ". ".join(filter(None, (words.detail(row), words.status(row))))
    return f"**{safe(row.label)}** {safe(details)}".strip()


def _number(row: Row, column: Column, notes: Sequence[str]) -> str:
    cell = row.cells.get(column.name, Cell())
    text = " ".join(filter(None, words.value(column, cell)))
    marks = ", ".join(map(str, words.marks(row, column, notes)))
    return f"{text} <sup>{marks}</sup>" if marks else text


def _code(row: Row) -> str:
    links = dict.fromkeys(run.code for run in row.runs)
    return ", ".join(_link(code) for code in links)


def _link(code: str) -> str:
    address = web_link(code)
    if not address:
        return safe(code)
    # Characters that would end the link or the cell are written as in an address.
    coded = re.sub(
        r"[^A-Za-z0-9:/?#@!$&'+,;=%._~-]", lambda found: f"%{ord(found[0]):02X}", address
    )
    return f"[code](<{coded}>)"
