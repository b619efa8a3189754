"""``galaxyds show``: a report of a build as one HTML file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from galaxyds_cli.options import Name, Root


def show(
    name: Name,
    *,
    root: Root = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="Where to write it (default: here, as NAME_CONFIG_VERSION.html).",
        ),
    ] = None,
    open_browser: Annotated[
        bool, typer.Option("--open", help="Open it in the browser, if there is one.")
    ] = False,
) -> None:
    """Write a report of a build as one HTML file: counts, sky, cutouts, splits, files, terms.

    Example: galaxyds show sdss-qso --output quasars.html --open
    """
    from galaxyds import settings
    from galaxyds.refs import DatasetRef, to_snake
    from galaxyds.report import write_report
    from galaxyds.specs import get_spec
    from galaxyds.store import find_build

    ref = DatasetRef.parse(name)
    spec = get_spec(ref.name)
    found = find_build(settings.home(root), ref, spec, quiet=True)
    build = found.manifest
    target = output or Path(f"{to_snake(spec.name)}_{build.config}_{build.version}.html")
    write_report(target, spec, found)
    typer.echo(target.absolute())
    if open_browser and not open_in_browser(target):
        typer.echo(f"no browser could be started: open {target} yourself", err=True)


def open_in_browser(path: Path) -> bool:
    """Open a file in the user's browser; False where there is none, or it does not start."""
    import webbrowser

    try:
        return webbrowser.open(path.absolute().as_uri())
    except (webbrowser.Error, OSError):
        return False
