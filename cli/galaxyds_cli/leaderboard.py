"""``galaxyds leaderboard``: results and published numbers, as a page or as Markdown."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from galaxyds_models.results import Result

DEFAULT = Path("runs/results.jsonl")
"""Where ``bench run`` writes; read where no file is named, if it is there."""

Results = Annotated[
    list[Path] | None,
    typer.Argument(metavar="[RESULTS]...", help=f"Files of results (default: {DEFAULT}, if any)."),
]


def leaderboard(
    results: Results = None,
    *,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="DIR", help="Where to write (default: leaderboard)."
        ),
    ] = None,
    markdown: Annotated[
        bool,
        typer.Option(
            "--markdown", help="Write Markdown on standard output, and with --output to a file."
        ),
    ] = False,
    show_all: Annotated[
        bool, typer.Option("--all", help="Show rows of the preset smoke too, marked.")
    ] = False,
) -> None:
    """Gather results by dataset, real and simulated apart, beside the published numbers.

    Example: galaxyds leaderboard runs/results.jsonl --output public
    """
    from galaxyds.store.files import publish_bytes
    from galaxyds_models import leaderboard as tables

    rows = read_results(results)
    boards = tables.collect(rows, smoke=show_all)
    if not markdown:
        path = tables.write_page(output or Path("leaderboard"), boards)
        typer.echo(f"{path.absolute()}: {told(rows, show_all=show_all)}")
        return
    text = tables.markdown(boards)
    typer.echo(text, nl=False)
    if output is not None:
        publish_bytes(output / "leaderboard.md", text.encode(), option="--output")


def read_results(paths: list[Path] | None) -> list[Result]:
    """Read the named files, or the default one where it is there.

    Raises
    ------
    GalaxydsError
        If a named file cannot be read or a line is no result.
    """
    from galaxyds_models.results import read_all

    return read_all(paths or [path for path in (DEFAULT,) if path.exists()])


def told(rows: list[Result], *, show_all: bool = False) -> str:
    """Say how many results there are, of how many models, and how many are not shown."""
    if not rows:
        return "published numbers only; galaxyds bench run adds results"
    models = len({row.model for row in rows})
    said = (
        f"{len(rows)} result{'' if len(rows) == 1 else 's'} of "
        f"{models} model{'' if models == 1 else 's'}"
    )
    hidden = 0 if show_all else sum(row.preset == "smoke" for row in rows)
    if not hidden:
        return said
    shown = len(rows) - hidden
    return f"{said}: {shown} shown, {hidden} of preset smoke left out (--all shows them)"
