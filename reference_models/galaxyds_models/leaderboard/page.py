"""The leaderboard as one HTML page that loads nothing: style, script and figures stand in it.

Results files are written by others, so every text is escaped, spelt out where it would be
invisible, and never becomes markup, an attribute's name or a script; the page's own policy allows
exactly the script and the style that stand in it, by their sha256.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Iterable, Sequence
from functools import cache, partial
from importlib.resources import files
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from galaxyds.shown import page_environment, trusted, web_link
from galaxyds_models.leaderboard import figures, words
from galaxyds_models.leaderboard.collect import Board, Cell, Row
from galaxyds_models.leaderboard.columns import Column, column

if TYPE_CHECKING:
    from jinja2 import Environment

_FIGURE_BYTES = 2_000_000
"""Figures of a page; tables and words stay below a megabyte beside them."""
_LONGEST = 1200


def page(boards: Sequence[Board]) -> str:
    """Return the page.

    Parameters
    ----------
    boards : sequence of Board
        As :func:`galaxyds_models.leaderboard.collect.collect` returns them.

    Returns
    -------
    str
        HTML; the same boards give the same page.

    Raises
    ------
    MissingExtraError
        If jinja2 is not installed.
    """
    environment = _environment()
    style, script = _asset("page.css"), _asset("page.js")
    pictures = _Pictures(_FIGURE_BYTES)
    datasets = [
        {"name": name, "boards": list(members)}
        for name, members in groupby(boards, lambda board: board.place.dataset)
    ]
    filled = {board.place.dataset for board in boards if board.has_results}
    return environment.get_template("page.html.j2").render(
        datasets=datasets,
        filled=[each for each in datasets if each["name"] in filled],
        bare=[each for each in datasets if each["name"] not in filled],
        style=trusted(style),
        script=trusted(script),
        policy=_policy(style, script),
        pictures=pictures,
    )


def write_page(folder: Path, boards: Sequence[Board]) -> Path:
    """Write ``index.html`` into a folder, all or nothing.

    Returns
    -------
    pathlib.Path
        The file.

    Raises
    ------
    MissingExtraError
        If jinja2 is not installed.
    StorageError
        If it cannot be written.
    """
    from galaxyds.store.files import publish_bytes

    path = folder / "index.html"
    publish_bytes(path, page(boards).encode(), option="--output")
    return path


class _Pictures:
    """Figures of a row, until the page is large enough; counts what it hands out."""

    def __init__(self, budget: int) -> None:
        self.left = budget

    def __call__(self, board: Board, row: Row) -> list[Any]:
        """Return the figures of the first run that has them, as trusted SVG with a caption."""
        drawn = [(text, svg) for text, svg in _figures(board, row) if svg]
        size = sum(len(svg) for _, svg in drawn)
        if size > self.left:
            return []
        self.left -= size
        return [(text, trusted(svg)) for text, svg in drawn]


def _figures(board: Board, row: Row) -> Iterable[tuple[str, str]]:
    run = next((run for run in row.runs if run.figures is not None), None)
    if run is not None and run.figures is not None:
        seed = f"seed {run.seed}"
        outside = run.figures.density.outside
        beyond = f"; {outside:,} objects outside" if outside > 0 else ""
        yield f"Predictions, {seed}{beyond}", figures.density(run.figures.density)
        yield f"Residuals, {seed}", figures.residuals(run.figures.residuals)
        if run.figures.pit is not None:
            yield f"PIT, {seed}", figures.pit(run.figures.pit)
    bins = [each.bins for each in row.runs if each.bins]
    has = {name for parts in bins for part in parts for name in part.metrics}
    for shown_column in [each for each in board.columns if each.name in has][:3]:
        yield f"{shown_column.label} by redshift", figures.by_redshift(bins, shown_column)


@cache
def _environment() -> Environment:
    environment = page_environment(
        "galaxyds_models.leaderboard",
        extra="models",
        what="the leaderboard page",
        longest=_LONGEST,
    )
    environment.globals.update(
        {
            "words": words,
            "cell": _cell,
            "columns_of": _columns_of,
            "facts": _facts,
            "first_order": _first_order,
            "link": web_link,
            "sort_key": _sort_key,
        }
    )
    return environment


def _asset(name: str) -> str:
    source = files("galaxyds_models.leaderboard").joinpath("templates", name)
    return source.read_text(encoding="utf-8")


def _policy(style: str, script: str) -> str:
    """Return the Content-Security-Policy: nothing from anywhere but this style and script."""
    return (
        f"default-src 'none'; style-src '{_hash(style)}'; script-src '{_hash(script)}'; "
        "base-uri 'none'; form-action 'none'"
    )


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _cell(row: Row, metric: Column) -> Cell:
    return row.cells.get(metric.name, Cell())


def _sort_key(row: Row, metric: Column) -> str:
    key = metric.key(_cell(row, metric).value)
    return "" if key is None else repr(key)


def _first_order(metric: Column) -> str:
    """Return the order in which the best row of a metric comes first."""
    return "descending" if metric.better == "higher" else "ascending"


def _columns_of(row: Row, board: Board) -> list[Column]:
    """Return all metrics of a row, those of the table first."""
    names = dict.fromkeys(each.name for each in board.columns)
    names |= dict.fromkeys(sorted({name for run in row.runs for name in run.metrics}))
    return [column(name) for name in names if any(name in run.metrics for run in row.runs)]


def _facts(row: Row) -> list[tuple[str, str]]:
    """Return what was trained on what, as pairs of a term and what differs between the runs."""
    each = partial(_each, row)
    return [
        ("Objects scored", each(lambda run: f"{run.objects:,}")),
        ("Objects trained on", each(words.train_objects)),
        ("Networks averaged", each(words.members)),
        ("Parameters", each(words.parameters)),
        ("Data", each(lambda run: run.nature)),
        ("Hardware", each(lambda run: run.hardware or words.UNTOLD)),
        ("Software", each(lambda run: run.software or words.UNTOLD)),
        ("Last recorded", max(run.created for run in row.runs)),
    ]


def _each(row: Row, value: Callable[[Any], object]) -> str:
    return words.distinct(value(run) for run in row.runs)
