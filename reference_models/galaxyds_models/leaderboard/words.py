"""The words of a table, for the page and for Markdown: plain text, not yet escaped."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from galaxyds_models.leaderboard import columns
from galaxyds_models.leaderboard.collect import Board, Cell, Row
from galaxyds_models.leaderboard.columns import Column, decimals_for, number
from galaxyds_models.results import Interval, Result
from galaxyds_models.rules import is_external

UNKNOWN = "–"
"""In a table: no number, or none that is known."""
UNTOLD = "unknown"
"""In the details of a row: what the scorer of others' predictions cannot know."""
BETTER = {"lower": "↓ better", "higher": "↑ better", "zero": "0 best", "": ""}
_TAGS = {
    "paper": "published",
    "abstract": "published, abstract",
    "computed": "computed from published predictions",
}


def heading(board: Board) -> str:
    """What the table is about, below the name of the dataset."""
    data = "simulated sky" if board.place.simulated else "real data"
    return f"{data}, split {board.place.split}"


def caption(board: Board) -> str:
    """One or two sentences: which data, and what they may be compared with."""
    place = board.place
    if not board.has_results:
        return "Real data: published numbers; no result of this kind is recorded yet."
    nature = {"full": "whole dataset", "": "nature not recorded"}.get(board.nature, board.nature)
    build = f"{nature}; version {place.version}, manifest {place.manifest[:12]}."
    if place.simulated:
        return f"Simulated sky, comparable with each other only. Data: {build}"
    only = (
        "" if place.has_published else " Not the published sample: comparable with each other only."
    )
    return f"Real data: {build}{only}"


def left_out(board: Board) -> str:
    """How many rows of the preset smoke are not shown; empty for none."""
    if not board.smoke:
        return ""
    rows = "row" if board.smoke == 1 else "rows"
    return (
        f"{board.smoke} {rows} of the preset smoke left out: galaxyds leaderboard --all shows them."
    )


def detail(row: Row) -> str:
    """How a model was trained, or where a published number is from."""
    return ", ".join(filter(None, (row.detail, "deterministic" if row.deterministic else "")))


def status(row: Row) -> str:
    """What a row is, unless it is an entry with a rank."""
    if row.kind == "published":
        return _TAGS[row.tag] + ("" if row.comparable else ", not comparable")
    told = []
    if row.kind == "other":
        smoke = "smoke, " if row.runs and row.runs[0].preset == "smoke" else ""
        told.append(f"{smoke}not an entry: {', '.join(row.reasons)}")
    if row.partial:
        told.append(f"divisions {', '.join(map(str, row.divisions))} only, not ranked")
    return "; ".join(told)


def value(column: Column, cell: Cell) -> tuple[str, str]:
    """Return a number and its spread over seeds, scaled.

    Digits are those that the larger of bootstrap error and spread supports; a spread has one digit
    at least.  It is empty without one, and where every seed gives the same number.
    """
    if cell.value is None:
        return UNKNOWN, ""
    if cell.digits:
        return columns.printed(cell.value * column.scale, cell.digits), ""
    spread, error = ((each or 0.0) * column.scale for each in (cell.spread, cell.error))
    decimals = decimals_for(max(spread, error))
    shown = number(cell.value * column.scale, decimals)
    if not spread:
        return shown, ""
    return shown, f"± {number(spread, max(decimals or 0, (decimals_for(spread) or 0) - 1))}"


def interval(column: Column, found: Interval | None) -> str:
    """Return one seed's number with its bootstrap interval, scaled."""
    if found is None or found.value is None:
        return UNKNOWN
    if found.low is None or found.high is None:
        return number(found.value * column.scale)
    decimals = decimals_for((found.high - found.low) / 2 * column.scale)
    low, middle, high = (
        number(x * column.scale, decimals) for x in (found.low, found.value, found.high)
    )
    return f"{middle} [{low}, {high}]"


def scaled(column: Column, score: float, like: Interval | None) -> str:
    """Return a score with as many decimals as an interval of the same metric has."""
    width = None
    if like is not None and like.low is not None and like.high is not None:
        width = (like.high - like.low) / 2 * column.scale
    return number(score * column.scale, decimals_for(width))


def other_scores(run: Result) -> str:
    """Return validation scores that are not among the metrics, such as a loss."""
    scores = {name: score for name, score in run.validation.items() if name not in run.metrics}
    told = (
        f"{name} {UNKNOWN if score is None else number(score)}" for name, score in scores.items()
    )
    return "; ".join(told) or UNKNOWN


def intervals(column: Column, row: Row) -> str:
    """Return every seed's interval, for a tooltip."""
    told = (
        f"seed {run.seed}: {interval(column, run.metrics.get(column.name))}" for run in row.runs
    )
    return "; ".join(told)


def printed(column: Column, cell: Cell) -> str:
    """Return the published numbers of the same model, scaled; empty without any."""
    return ", ".join(
        columns.printed(each.value * column.scale, each.digits)
        for each in cell.printed
        if each.value is not None
    )


def remarks(row: Row, column: Column) -> tuple[str, ...]:
    """Return what a footnote says of a cell."""
    cell = row.cells.get(column.name)
    if cell is None:
        return ()
    return tuple(note for note in (cell.why, cell.note) if note)


def footnotes(board: Board) -> tuple[str, ...]:
    """Return the distinct footnotes of a table, in the order of its cells."""
    return tuple(
        dict.fromkeys(
            note for row in board.rows for column in board.columns for note in remarks(row, column)
        )
    )


def marks(row: Row, column: Column, notes: Sequence[str]) -> tuple[int, ...]:
    """Return the numbers of a cell's footnotes, from 1."""
    return tuple(notes.index(note) + 1 for note in remarks(row, column))


def train_objects(run: Result) -> str:
    """Objects trained on; for others' models the evaluator knows the split, not what they used."""
    return UNTOLD if is_external(run) else f"{run.train_objects:,}"


def members(run: Result) -> str:
    """Networks averaged."""
    if is_external(run):
        return UNTOLD
    return str(run.members) if run.parameters else UNKNOWN


def parameters(run: Result) -> str:
    """Trainable parameters; models without a network have none."""
    if run.parameters:
        return f"{run.parameters:,}"
    return UNTOLD if is_external(run) else UNKNOWN


def training(run: Result) -> str:
    """How long the training took, and how fast it was."""
    if is_external(run) and not run.wall_seconds:
        return UNTOLD
    seconds = "under 1 s" if run.wall_seconds < 1 else f"{run.wall_seconds:,.0f} s"
    speed = run.images_per_second
    return seconds if speed is None else f"{seconds}, {speed:,.0f} images/s"


def distinct(values: Iterable[object]) -> str:
    """Join what differs."""
    return "; ".join(dict.fromkeys(str(each) for each in values))
